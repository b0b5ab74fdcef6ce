//! One virtual user: one operation at a time, for as long as the schedule has it on stage.

use std::rc::Rc;

use super::lanes::Lane;
use super::worker::Worker;
use crate::http::{Attempt, Request, Transport};
use crate::measure::{Answer, Outcome, Sample};
use crate::scenario::Operation;
use crate::units::{Duration, Timer};

/// A user's place under the limit and among the tokens.
struct Place {
    /// Its token.
    token: usize,
    /// The index of its limit among its worker's; `None` where there is no limit.
    key: Option<usize>,
    /// The round in which it asks for its next permit.
    round: u64,
}

/// Performs a user's operations, one after the other, until the schedule or the run ends.
pub(super) async fn live<T: Timer, X: Transport>(worker: Rc<Worker<T>>, user: u32, open: impl FnOnce() -> X) {
    let scenario = worker.scenario.clone();
    let load = &scenario.load;
    let Some(mut due) = load.stages.next_start(user, Duration::ZERO) else { return };
    worker.timer.sleep_until(due).await;
    let transport = open();
    let (token, key) = (scenario.target.tokens.of(user), worker.placement.key_of(&scenario, user));
    let mut place = Place { token, key, round: 0 };
    for step in 0..load.iterations.unwrap_or(u64::MAX) {
        worker.timer.sleep_until(due).await;
        // Gives way now and then, also where neither pause nor limit nor attempt does.
        tokio::task::coop::consume_budget().await;
        if worker.is_stopping() {
            return;
        }
        let operation = scenario.operation(user, step);
        let Some(done) = perform(&worker, &mut place, (&operation, due), &transport).await else { return };
        match load.stages.next_start(user, done + scenario.think_time(&operation)) {
            Some(next) => due = next,
            None => return,
        }
    }
}

/// Performs one operation, due at an instant, and returns when it was done; `None` when it was given up unsent.
async fn perform<T: Timer, X: Transport>(
    worker: &Worker<T>,
    place: &mut Place,
    (operation, due): (&Operation, Duration),
    transport: &X,
) -> Option<Duration> {
    let variant = operation.variant;
    let wanted = Wanted::new(worker, variant);
    let rendered = worker.scenario.variants[variant].render(&worker.scenario, operation);
    let admitted = match place.key {
        None => Some(due),
        Some(key) => worker.limiters[key].permit(Lane::Load, place.round, due).await.map(|permit| {
            place.round = permit.round + 1;
            permit.admitted
        }),
    };
    let flight = wanted.start(due, admitted?);
    let attempt = match rendered {
        Ok(rendered) => {
            let authorization = worker.tokens.of(place.token);
            transport.attempt(Request { variant, rendered, authorization }).await
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
    Answer {
        outcome: Outcome::Broken,
        status: None,
        code: code.to_owned(),
        correlation_id: None,
        message: Some(message),
        retry_after: None,
        not_sent,
    }
}

/// An operation that is due: it starts, or it is dropped and recorded as unsent.
struct Wanted<'a, T: Timer> {
    worker: &'a Worker<T>,
    variant: usize,
    started: bool,
}

impl<'a, T: Timer> Wanted<'a, T> {
    fn new(worker: &'a Worker<T>, variant: usize) -> Self {
        worker.log.due(worker.timer.now(), variant);
        Self { worker, variant, started: false }
    }

    fn start(mut self, due: Duration, admitted: Duration) -> Flight<'a, T> {
        self.started = true;
        self.worker.log.started(self.worker.timer.now(), self.variant);
        Flight { worker: self.worker, variant: self.variant, due, admitted, landed: false }
    }
}

impl<T: Timer> Drop for Wanted<'_, T> {
    fn drop(&mut self) {
        if !self.started {
            self.worker.log.unsent(self.worker.timer.now(), self.variant);
            self.worker.settle();
        }
    }
}

/// An operation in flight: it lands, or it is dropped and recorded as abandoned.
struct Flight<'a, T: Timer> {
    worker: &'a Worker<T>,
    variant: usize,
    due: Duration,
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
        let (variant, due, admitted) = (self.variant, self.due, self.admitted);
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
