//! One virtual user: one operation at a time, for as long as there are any for it.

use std::rc::Rc;

use super::checks::PartOf;
use super::lanes::Lane;
use super::log::Due;
use super::retry::{self, Again, Next};
use super::source::{Job, Source};
use super::tokens::Pass;
use super::worker::Worker;
use crate::http::{Attempt, Request, Transport};
use crate::measure::{Answer, GivenUp, Outcome, Sample};
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
        match perform(&worker, &mut round, &job, &transport).await {
            Performed::GivenUp => return,
            Performed::Done(at) => source.done(&job, at),
            Performed::Again(again) => {
                if let Some(retry) = source.wait(job.with(again)).await {
                    job = retry;
                    continue;
                }
            }
        }
        job = match source.next().await {
            Some(job) => job,
            None => return,
        };
    }
}

/// What came of an attempt.
enum Performed {
    /// There was none: the run ended before.
    GivenUp,
    /// The operation ended with it at an instant.
    Done(Duration),
    /// The operation is to be tried again.
    Again(Again),
}

/// Makes one attempt. `round` is the one in which the user asks for the permit of an operation; retries have a lane of their
/// own, in which who comes first goes first.
async fn perform<T: Timer, X: Transport>(worker: &Worker<T>, round: &mut u64, job: &Job, transport: &X) -> Performed {
    let (operation, scenario) = (&job.operation, &worker.scenario);
    let variant = operation.variant;
    let wanted = Wanted { worker, job, started: false };
    let rendered = scenario.variants[variant].render(scenario, operation);
    let admitted = match worker.placement.key_of(scenario, operation.user) {
        None => Some(job.taken),
        Some(key) if job.again.is_some() => {
            worker.limiters[key].permit(Lane::Retry, 0, job.taken).await.map(|permit| permit.admitted)
        }
        Some(key) => worker.limiters[key].permit(Lane::Load, *round, job.taken).await.map(|permit| {
            *round = permit.round + 1;
            permit.admitted
        }),
    };
    let Some(admitted) = admitted.filter(|_| worker.budget.spend()) else { return Performed::GivenUp };
    let flight = wanted.start(admitted);
    let attempt = match rendered {
        Ok(rendered) => {
            let pass = worker.tokens.of(scenario.target.tokens.of(operation.user));
            let authorization = pass.as_ref().map(Pass::authorization);
            let attempt = transport.attempt(Request { variant, rendered, authorization }).await;
            worker.tokens.note(pass.as_ref(), &attempt.answer);
            attempt
        }
        Err(error) => {
            let now = worker.timer.now();
            let answer = Answer { not_sent: true, ..broken("not_sent.template", error.to_string()) };
            Attempt { sent: now, first_byte: None, done: now, connect: None, answer }
        }
    };
    flight.land(attempt)
}

fn broken(code: &str, message: String) -> Answer {
    Answer { code: code.to_owned(), message: Some(message), ..Answer::bare(Outcome::Broken) }
}

/// An operation that is due: it starts, or it is dropped and given up.
struct Wanted<'a, T: Timer> {
    worker: &'a Worker<T>,
    job: &'a Job,
    started: bool,
}

impl<'a, T: Timer> Wanted<'a, T> {
    fn start(mut self, admitted: Duration) -> Flight<'a, T> {
        self.started = true;
        let (worker, job) = (self.worker, self.job);
        if job.again.is_none() {
            worker.log.started(worker.timer.now(), job.wanted());
        }
        Flight { worker, job, admitted, landed: false }
    }
}

impl<T: Timer> Drop for Wanted<'_, T> {
    fn drop(&mut self) {
        if !self.started {
            self.worker.give_up(self.job);
        }
    }
}

/// An attempt in flight: it lands, or it is dropped and recorded as abandoned.
struct Flight<'a, T: Timer> {
    worker: &'a Worker<T>,
    job: &'a Job,
    admitted: Duration,
    landed: bool,
}

impl<T: Timer> Flight<'_, T> {
    fn land(mut self, attempt: Attempt) -> Performed {
        self.landed = true;
        let done = attempt.done;
        let next = self.next(done, &attempt.answer);
        self.record(attempt, !matches!(next, Next::Again(_)));
        match next {
            Next::Again(again) => return Performed::Again(again),
            Next::GivenUp(why) => self.worker.log.give_up(done, self.job.wanted(), why),
            Next::Nothing => {}
        }
        Performed::Done(done)
    }

    /// What follows: nothing is tried again once the run ends, or where there is no room to wait.
    fn next(&self, done: Duration, answer: &Answer) -> Next {
        let retries = self.job.again.map_or(0, |again| again.retry.number);
        match retry::after(&self.worker.scenario, &self.job.operation, retries, (done, answer)) {
            Next::Again(_) if self.worker.is_stopping() => Next::GivenUp(GivenUp::RunEnded),
            Next::Again(_) if !self.worker.has_room() => Next::GivenUp(GivenUp::NoRoom),
            next => next,
        }
    }

    fn record(&self, attempt: Attempt, last: bool) {
        if let Some(tracker) = &self.worker.tracker {
            let part = if last { PartOf::Ended } else { PartOf::Ongoing };
            tracker.attempted(self.worker, &self.job.operation, &attempt, part);
        }
        let Attempt { sent, first_byte, done, connect, answer } = attempt;
        let (Due { variant, at: due }, admitted) = (self.job.wanted(), self.admitted);
        let retry = self.job.again.map(|again| again.retry);
        let sample = Sample { variant, due, admitted, sent, first_byte, done, connect, answer, last, retry };
        self.worker.log.record(&sample);
        self.worker.settle();
    }
}

impl<T: Timer> Drop for Flight<'_, T> {
    fn drop(&mut self) {
        if !self.landed {
            let now = self.worker.timer.now();
            let answer = broken("abandoned", "still in flight when the time to drain ran out".to_owned());
            self.record(Attempt { sent: self.admitted, first_byte: None, done: now, connect: None, answer }, true);
        }
    }
}
