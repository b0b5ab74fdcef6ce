//! Lets a profiler talk to a server until it is done: waits, sends, notes.

use std::time::Duration;

use tokio::task::JoinSet;

use super::Profiled;
use crate::engine::Stop;
use crate::http::Tried;
use crate::measure::{self, Outcome};
use crate::profile::{Answer, Claims, Next, Observation, Plan, Profiler, Stopped};
use crate::units::Timer;

/// A target that answered none of so many requests in a row is gone.
const MOST_LOST: u32 = 8;

/// Where the first answers all say that we may not, or that nothing is there, a profile would be of that.
const FIRST: u32 = 3;

/// The statuses that say so.
const TURNED_AWAY: [u16; 3] = [401, 403, 404];

/// Answers that are still under way at the end are waited for so long.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// A plan whose first request is later than this is made again, from a later instant on.
const LATE: Duration = Duration::from_millis(5);

/// The next search is foreseen to take so many times as long as the one before.
const MARGIN: f64 = 1.25;

/// How often at most.
const PLANS: u32 = 3;

/// How a profile goes.
#[derive(Debug)]
pub struct Step<'a> {
    /// The time since its start.
    pub now: Duration,
    /// What was sent and answered, and what is known.
    pub profiler: &'a Profiler,
    /// What answers said about quotas.
    pub claims: &'a Claims,
    /// Requests that were sent.
    pub requests: u32,
    /// Whether everything was weighed anew before it.
    pub has_thought: bool,
}

/// What makes it impossible to go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The first answers all say that we may not, or that nothing is there.
    #[error(
        "the target answered the first {count} requests with status {status}{}; there is no quota to see before a request \
         is let in: check the credentials, and the path and the data row of the variant",
        .message.as_ref().map(|text| format!(" ({text})")).unwrap_or_default()
    )]
    TurnedAway {
        /// Answers.
        count: u32,
        /// The status of the last of them.
        status: u16,
        /// What the server said.
        message: Option<String>,
    },
    /// Nothing is answered.
    #[error(
        "the target answered none of {count} requests in a row: {why}; check that it is up, and how it ends connections"
    )]
    Silent {
        /// Requests.
        count: u32,
        /// What became of the last of them.
        why: String,
    },
}

/// A request that was answered or given up.
struct Landed {
    observation: Observation,
    tried: Tried,
}

/// The driver of one profile. `send` sends a request of a key and says what its answer means.
pub(super) struct Driver<T, S> {
    profiler: Profiler,
    plan: Plan,
    timer: T,
    send: S,
    /// Requests under way; dropping it gives them up.
    flights: JoinSet<Landed>,
    claims: Claims,
    sent: u32,
    /// The latest instant that the profiler was told.
    told: Duration,
    /// How long the next search is likely to take.
    foreseen: Duration,
    watch: Watch,
    trouble: Option<Trouble>,
}

impl<T, S, F> Driver<T, S>
where
    T: Timer,
    S: Fn(usize) -> F,
    F: Future<Output = (Answer, Tried)> + 'static,
{
    pub(super) fn new((profiler, plan): (Profiler, Plan), timer: T, send: S) -> Self {
        Self {
            profiler,
            plan,
            timer,
            send,
            flights: JoinSet::new(),
            claims: Claims::default(),
            sent: 0,
            told: Duration::ZERO,
            foreseen: Duration::ZERO,
            watch: Watch::default(),
            trouble: None,
        }
    }

    /// Goes on until nothing is left to do, or `stop` is requested.
    pub(super) async fn drive(mut self, stop: &Stop, mut on_step: impl FnMut(&Step<'_>)) -> Profiled {
        loop {
            let began = self.timer.now();
            let (next, has_thought) = self.next().await;
            on_step(&self.step(has_thought));
            if has_thought {
                // Whatever is done at that occasion holds up what was planned, too.
                self.foreseen = self.timer.now().saturating_sub(began).mul_f64(MARGIN);
            }
            if next == Next::Done {
                break;
            }
            tokio::select! {
                biased;
                () = stop.requested() => self.profiler.end(Stopped::Interrupted),
                () = self.follow(next) => {}
            }
        }
        self.hear_the_last().await;
        let (requests, elapsed) = (self.sent, self.timer.now());
        let Self { profiler, claims, trouble, .. } = self;
        Profiled { profiler, claims, declared: Vec::new(), requests, elapsed, trouble }
    }

    fn step(&self, has_thought: bool) -> Step<'_> {
        let Self { profiler, claims, sent, .. } = self;
        Step { now: self.timer.now(), profiler, claims, requests: *sent, has_thought }
    }

    /// Does what is next, but nothing after the end: the profiler hears then that time is over.
    async fn follow(&mut self, next: Next) {
        match next {
            Next::Send { at, count, key } => {
                self.wait_until(at.min(self.plan.time)).await;
                if at <= self.plan.time {
                    (0..count).for_each(|_| self.launch(at, key));
                }
            }
            Next::Await { until } => drop(self.answer_or(until.min(self.plan.time)).await),
            Next::Done => {}
        }
    }

    /// What to do next, and whether everything was weighed for it. That happens beside the requests under way, and what is
    /// planned begins when it is over.
    async fn next(&mut self) -> (Next, bool) {
        self.told = self.told.max(self.timer.now());
        if !self.profiler.is_about_to_think(self.told) {
            return (self.profiler.next(self.told), false);
        }
        let before = self.profiler.clone();
        for plan in 1.. {
            let began = self.timer.now();
            let from = self.told.max(began + self.foreseen);
            let mut profiler = before.clone();
            let thinking = tokio::task::spawn_blocking(move || {
                let next = profiler.next(from);
                (profiler, next)
            });
            let (profiler, next) = thinking.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
            let now = self.timer.now();
            self.foreseen = now.saturating_sub(began).mul_f64(MARGIN);
            let is_late = matches!(next, Next::Send { at, .. } if at + LATE < now);
            if !is_late || plan == PLANS {
                (self.profiler, self.told) = (profiler, from);
                return (next, true);
            }
        }
        unreachable!("the last plan is taken as it is")
    }

    /// Sends a request that was due at an instant.
    fn launch(&mut self, due: Duration, key: usize) {
        self.sent += 1;
        let sending = (self.send)(key);
        self.flights.spawn_local(async move {
            let (answer, tried) = sending.await;
            let attempt = &tried.attempt;
            let sent = tried.written.unwrap_or(attempt.sent);
            let received = attempt.first_byte.filter(|_| answer != Answer::Lost).unwrap_or(attempt.done).max(sent);
            Landed { observation: Observation { key, due, sent, received, answer }, tried }
        });
    }

    /// Notes answers until an instant.
    async fn wait_until(&mut self, at: Duration) {
        while self.answer_or(at).await {}
    }

    /// Waits for an answer, or for an instant; whether an answer came. All that came with it are noted, too.
    async fn answer_or(&mut self, until: Duration) -> bool {
        if self.flights.is_empty() {
            self.timer.sleep_until(until).await;
            return false;
        }
        tokio::select! {
            biased;
            () = self.timer.sleep_until(until) => false,
            Some(landed) = self.flights.join_next() => {
                self.note(landed.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())));
                true
            }
        }
    }

    fn note(&mut self, landed: Landed) {
        let Landed { observation, tried } = landed;
        let Observation { key, received, answer, .. } = observation;
        self.claims.note(received, key, matches!(answer, Answer::Refused { .. }), &tried.quota);
        self.profiler.note(observation);
        if let Some(trouble) = self.watch.see(&tried.attempt.answer).filter(|_| self.trouble.is_none()) {
            let is_silent = matches!(trouble, Trouble::Silent { .. });
            self.profiler.end(if is_silent { Stopped::Silent } else { Stopped::TurnedAway });
            self.trouble = Some(trouble);
        }
    }

    /// Notes what comes soon after the end: it was asked for, and belongs to the log.
    async fn hear_the_last(&mut self) {
        let until = self.timer.now() + LAST_ANSWERS;
        while !self.flights.is_empty() && self.answer_or(until).await {}
    }
}

/// Tells from the answers when it is of no use to go on.
#[derive(Debug, Default)]
struct Watch {
    answers: u32,
    /// Answers from the first on that turned us away.
    turned_away: u32,
    /// Requests in a row without an answer.
    lost: u32,
}

impl Watch {
    fn see(&mut self, answer: &measure::Answer) -> Option<Trouble> {
        let status = answer.status.filter(|status| TURNED_AWAY.contains(status));
        let status = status.filter(|_| answer.outcome == Outcome::Rejected);
        if status.is_some() && self.turned_away == self.answers {
            self.turned_away += 1;
        }
        self.answers += 1;
        self.lost = if answer.outcome == Outcome::Broken { self.lost + 1 } else { 0 };
        if let Some(status) = status.filter(|_| self.turned_away == self.answers && self.answers >= FIRST) {
            return Some(Trouble::TurnedAway { count: self.answers, status, message: answer.message.clone() });
        }
        let most = if self.lost == self.answers { FIRST } else { MOST_LOST };
        (self.lost >= most).then(|| {
            let why = answer.message.clone().unwrap_or_else(|| answer.code.clone());
            Trouble::Silent { count: self.lost, why }
        })
    }
}

#[cfg(test)]
mod tests;
