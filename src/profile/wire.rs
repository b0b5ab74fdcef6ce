//! A profile over sockets: the only part of this module that does I/O.
//!
//! One thread sends and stamps all requests, so that nothing but the network lies between two instants. What takes the
//! profiler a while to find out goes on beside it, and what it plans then begins when it is likely to be done.

mod declared;
mod driver;
mod senders;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::LocalSet;
use url::Url;

use super::claims::{Claim, Claims};
use super::log::Answer;
use super::plan::Plan;
use super::profiler::Profiler;
use crate::engine::{Keyring, Pass, RunClock, Stop, TokenKeeper};
use crate::http::{Ask, ClientError, Clients, HttpUser, Purpose, Tried};
use crate::measure::{self, Outcome};
use crate::scenario::{Connections, RenderError, Scenario};
use driver::Driver;

pub use declared::declares;
pub use driver::{Step, Trouble};
pub use senders::{Fixed, Sender, Sends, offered, tokens_of};

/// Why a profile could not be carried through.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No HTTP client.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The system gave no timer.
    #[error("the system refused a timer: {0}; close other programs, or raise `ulimit -n`")]
    System(#[from] std::io::Error),
    /// A request cannot be rendered.
    #[error("the request cannot be rendered: {0}; check the variant's templates and its data row")]
    Request(#[from] RenderError),
}

/// What to profile.
pub struct Job {
    /// The scenario.
    pub scenario: Arc<Scenario>,
    /// Where the target is: the scenario's URL, or the simulator's.
    pub base: Url,
    /// The tokens, already obtained.
    pub tokens: TokenKeeper,
    /// Who sends what, at least one; the first for the key under test.
    pub senders: Vec<Sender>,
    /// What it may cost.
    pub plan: Plan,
}

/// What came of a profile.
#[derive(Debug)]
pub struct Profiled {
    /// The log and the finding.
    pub profiler: Profiler,
    /// What answers said about quotas.
    pub claims: Claims,
    /// What the organisation declares of its limits; not held against anything yet.
    pub declared: Vec<Claim>,
    /// Requests of keys that were sent.
    pub requests: u32,
    /// How long it took.
    pub elapsed: Duration,
    /// What made it impossible to go on, where anything did.
    pub trouble: Option<Trouble>,
}

/// Profiles the target to the end, to `stop`, or until it answers no more; `on_step` sees how it goes.
///
/// # Errors
/// When this machine refuses what is needed. What the target does is never an error.
pub async fn run(job: Job, stop: &Stop, on_step: impl FnMut(&Step<'_>)) -> Result<Profiled, Error> {
    let Job { scenario, base, tokens, senders, plan } = job;
    let requests =
        senders.iter().map(|sender| sender.request(&scenario).map(Rc::new)).collect::<Result<Vec<_>, _>>()?;
    // Requests that are sent at once need a connection each, whichever of those that are open.
    let mut pooled = (*scenario).clone();
    pooled.load.connections = Connections::Shared;
    let clock = RunClock::starting_now();
    let user = Rc::new(Clients::new(Arc::new(pooled), &base)?.for_worker(clock.clone())?.user());
    let (keyring, renewing) = Keyring::of(tokens);
    let (asks, first) = (declares(&scenario, &senders[0]), keyring.clone());
    let place = (scenario.clone(), base);
    let send = move |key: usize| {
        let (sender, request) = (senders[key].clone(), requests[key].clone());
        let (user, keyring, scenario) = (user.clone(), keyring.clone(), scenario.clone());
        async move {
            let tried = send(&user, &keyring, (&sender, &request)).await;
            let throttled = &scenario.variants[sender.operation.variant].throttled_status;
            (answer_of(&tried.attempt.answer, throttled), tried)
        }
    };
    let driver = Driver::new((Profiler::new(plan), plan), clock.clone(), send);
    let whole = async {
        tokio::select! {
            profiled = driver.drive(stop, on_step) => Ok::<_, Error>(profiled),
            Err(error) = clock.drive() => Err(error.into()),
            never = renewing => match never {},
        }
    };
    let mut profiled = LocalSet::new().run_until(whole).await?;
    if asks && profiled.trouble.is_none() && !stop.is_requested() {
        let (scenario, base) = place;
        let authorization = first.pass(0).as_ref().map(Pass::authorization);
        profiled.declared = declared::declared(scenario, &base, authorization.as_ref()).await;
    }
    Ok(profiled)
}

async fn send(user: &HttpUser<RunClock>, keyring: &Keyring, (sender, request): (&Sender, &Fixed)) -> Tried {
    let pass = keyring.pass(sender.token);
    let purpose = match sender.sends {
        Sends::Write => Purpose::Write(sender.operation.variant),
        Sends::Read => Purpose::Read,
    };
    let authorization = pass.as_ref().map(Pass::authorization);
    let tried = user.try_quota(Ask { purpose, rendered: request.rendered(), authorization }).await;
    keyring.note(pass.as_ref(), &tried.attempt.answer);
    tried
}

/// What an answer says about the quota; `throttled` are statuses that mean a refusal also of a request that is no variant's.
fn answer_of(answer: &measure::Answer, throttled: &[u16]) -> Answer {
    let is_throttled = answer.status.is_some_and(|status| throttled.contains(&status));
    match answer.outcome {
        Outcome::Throttled => Answer::Refused { retry_after: answer.retry_after },
        Outcome::Failed | Outcome::Rejected if is_throttled => Answer::Refused { retry_after: answer.retry_after },
        Outcome::Failed => Answer::Failed,
        Outcome::Broken => Answer::Lost,
        Outcome::Accepted | Outcome::Unexpected | Outcome::Rejected => Answer::Admitted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_tells_what_the_quota_decided() {
        let of = |outcome, status| {
            let retry_after = Some(Duration::from_secs(7));
            answer_of(&measure::Answer { status, retry_after, ..measure::Answer::bare(outcome) }, &[503])
        };
        let refused = Answer::Refused { retry_after: Some(Duration::from_secs(7)) };
        for (outcome, status, expected) in [
            (Outcome::Accepted, Some(202), Answer::Admitted),
            (Outcome::Unexpected, Some(200), Answer::Admitted),
            (Outcome::Rejected, Some(404), Answer::Admitted),
            (Outcome::Throttled, Some(429), refused),
            (Outcome::Throttled, Some(400), refused),
            (Outcome::Failed, Some(503), refused),
            (Outcome::Failed, Some(500), Answer::Failed),
            (Outcome::Broken, None, Answer::Lost),
            (Outcome::Broken, Some(503), Answer::Lost),
        ] {
            assert_eq!(of(outcome, status), expected, "{outcome} {status:?}");
        }
    }
}
