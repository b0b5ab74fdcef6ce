//! One virtual user: one operation at a time, for as long as there are any for it.

use std::rc::Rc;

use super::lanes::Lane;
use super::log::Due;
use super::source::{Job, Source};
use super::tokens::Pass;
use super::worker::Worker;
use crate::http::{Attempt, Request, Transport};
use crate::measure::{Answer, Outcome, Sample};
use crate::units::{Duration, Timer};

/// Performs a user's operations, one after the other, until its source has no more or the run ends.
pub(super) async fn live<T: Timer, X: Transport>(
    worker: Rc<Worker<T>>,
    mut source: impl Source,
    open: impl FnOnce() -> X,
) {
    let Some(mut job) = source.next().await else { return };
    let transport = open();
    let mut round = 0;
    loop {
        let Some(done) = perform(&worker, &mut round, &job, &transport).await else { return };
        source.done(&job, done);
        job = match source.next().await {
            Some(job) => job,
            None => return,
        };
    }
}

/// Performs one operation and returns when it was done; `None` when it was given up unsent. `round` is the one in which the
/// user asks for its permit.
async fn perform<T: Timer, X: Transport>(
    worker: &Worker<T>,
    round: &mut u64,
    job: &Job,
    transport: &X,
) -> Option<Duration> {
    let Job { operation, due, taken } = job;
    let (variant, scenario) = (operation.variant, &worker.scenario);
    let wanted = Wanted { worker, due: Due { variant, at: *due }, started: false };
    let rendered = scenario.variants[variant].render(scenario, operation);
    let admitted = match worker.placement.key_of(scenario, operation.user) {
        None => Some(*taken),
        Some(key) => worker.limiters[key].permit(Lane::Load, *round, *taken).await.map(|permit| {
            *round = permit.round + 1;
            permit.admitted
        }),
    };
    let admitted = admitted?;
    if !worker.budget.spend() {
        return None;
    }
    let flight = wanted.start(admitted);
    let attempt = match rendered {
        Ok(rendered) => {
            let pass = worker.tokens.of(scenario.target.tokens.of(operation.user));
            let authorization = pass.as_ref().map(Pass::authorization);
            let mut attempt = transport.attempt(Request { variant, rendered, authorization }).await;
            worker.tokens.note(pass.as_ref(), &mut attempt.answer);
            attempt
        }
        Err(error) => {
            let now = worker.timer.now();
            let answer = broken("not_sent.template", true, error.to_string());
            Attempt { sent: now, first_byte: None, done: now, connect: None, answer }
        }
    };
    Some(flight.land(attempt))
}

fn broken(code: &str, not_sent: bool, message: String) -> Answer {
    Answer { code: code.to_owned(), message: Some(message), not_sent, ..Answer::bare(Outcome::Broken) }
}

/// An operation that is due: it starts, or it is dropped and recorded as unsent.
struct Wanted<'a, T: Timer> {
    worker: &'a Worker<T>,
    due: Due,
    started: bool,
}

impl<'a, T: Timer> Wanted<'a, T> {
    fn start(mut self, admitted: Duration) -> Flight<'a, T> {
        self.started = true;
        self.worker.log.started(self.worker.timer.now(), self.due);
        Flight { worker: self.worker, due: self.due, admitted, landed: false }
    }
}

impl<T: Timer> Drop for Wanted<'_, T> {
    fn drop(&mut self) {
        if !self.started {
            self.worker.log.unsent(self.worker.timer.now(), self.due);
            self.worker.settle();
        }
    }
}

/// An operation in flight: it lands, or it is dropped and recorded as abandoned.
struct Flight<'a, T: Timer> {
    worker: &'a Worker<T>,
    due: Due,
    admitted: Duration,
    landed: bool,
}

impl<T: Timer> Flight<'_, T> {
    fn land(mut self, attempt: Attempt) -> Duration {
        self.landed = true;
        let done = attempt.done;
        self.record(attempt);
        done
    }

    fn record(&self, attempt: Attempt) {
        let Attempt { sent, first_byte, done, connect, answer } = attempt;
        let (Due { variant, at: due }, admitted) = (self.due, self.admitted);
        self.worker.log.record(&Sample { variant, due, admitted, sent, first_byte, done, connect, answer, last: true });
        self.worker.settle();
    }
}

impl<T: Timer> Drop for Flight<'_, T> {
    fn drop(&mut self) {
        if !self.landed {
            let now = self.worker.timer.now();
            let answer = broken("abandoned", false, "still in flight when the time to drain ran out".to_owned());
            self.record(Attempt { sent: self.admitted, first_byte: None, done: now, connect: None, answer });
        }
    }
}
