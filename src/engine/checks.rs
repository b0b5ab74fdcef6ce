//! The checks of a worker: what they are told of the load, and the requests that they make beside it.
//!
//! Users tell the [`Tracker`] of each attempt. What is drawn to be checked becomes a [`Case`], which a task of its own follows,
//! with connections, permits and a budget of its own. No figure of the load knows of any of it: what is written and seen
//! goes as events to the ledger of the run, and what they mean is decided there.

mod asking;
mod ending;
mod records;
mod register;
mod repetition;
mod shares;
mod visibility;
mod watching;

#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use tokio::sync::{Notify, Semaphore};

pub(super) use records::Noted;
pub use records::Records;
pub(super) use shares::{Part, Shares};
pub(super) use watching::Checking;

use super::budget::Budget;
use super::limiter::Limiter;
use super::worker::Worker;
use crate::consistency::{Ack, Event, Place, Untracked, Write};
use crate::http::Attempt;
use crate::measure::{Answer, Mode, Outcome};
use crate::scenario::{self, Operation};
use crate::units::{Duration, Timer};
use register::{Lease, Registers};

/// So many checks are open on a worker at most, most of which wait for the time of their next look, at about 2 KiB each.
const MOST_OPEN: usize = 10_000;

/// So many requests of checks are under way on a worker at most, each on a connection of its own: more than the most that
/// one check makes at once.
const MOST_AT_ONCE: usize = 256;

/// What a worker knows of the operations that bear the tracked attribute. All of it belongs to the worker's thread.
pub(super) struct Tracker {
    /// For each data row, the first one that names the same resource.
    resources: Arc<[u32]>,
    /// The names of attributes, each of them once.
    names: RefCell<HashSet<Arc<str>>>,
    registers: Registers,
    /// Cases that no task follows yet.
    waiting: RefCell<VecDeque<Case>>,
    /// Tells that there is one.
    arrived: Notify,
    /// Cases that wait or are followed.
    open: Cell<usize>,
    /// No case is taken any more.
    is_closed: Cell<bool>,
    /// The requests that the checks may still make here.
    budget: Budget,
    /// Room for requests under way.
    at_once: Semaphore,
    /// How many cases may be open.
    room: usize,
}

/// An operation that is to be checked.
struct Case {
    operation: Operation,
    /// What it wrote, and what is known of that since.
    lease: Lease,
    ack: Ack,
    /// Its last attempt was done.
    done: Duration,
    /// It is looked for.
    visibility: bool,
    /// It is repeated so.
    idempotency: Option<Mode>,
}

impl Tracker {
    /// Nothing is known yet.
    pub(super) fn new(part: Part) -> Self {
        Self {
            resources: part.resources,
            names: RefCell::default(),
            registers: Registers::default(),
            waiting: RefCell::default(),
            arrived: Notify::new(),
            open: Cell::new(0),
            is_closed: Cell::new(false),
            budget: Budget::new(part.budget),
            at_once: Semaphore::new(MOST_AT_ONCE),
            room: MOST_OPEN,
        }
    }

    /// Takes note of an attempt of the load, and begins to check its operation where that was drawn and ends with it.
    pub(super) fn attempted<T: Timer>(
        &self,
        worker: &Worker<T>,
        operation: &Operation,
        attempt: &Attempt,
        part: PartOf,
    ) {
        let scenario = &worker.scenario;
        let Some(checks) = &scenario.checks else { return };
        if !checks.is_tracked(operation.variant) {
            return self.wrote_untracked(worker, operation, attempt, checks);
        }
        // The loader tries the name on all rows.
        let Ok(name) = checks.key(scenario, operation) else { return };
        let place = self.place(operation.row, &name);
        let ack = ack_of(&attempt.answer);
        self.wrote(worker, operation, &place, attempt);
        if part == PartOf::Ended {
            let drawn = checks.sampled(scenario.seed, operation);
            // What was never sent has no effect, and what was not accepted would not be when it is repeated.
            let visibility = drawn.visibility && ack != Ack::NotSent;
            let idempotency = drawn.idempotency.filter(|_| ack == Ack::Accepted);
            if visibility || idempotency.is_some() {
                let lease = self.registers.lease(place);
                let operation = *operation;
                self.begin(worker, Case { operation, lease, ack, done: attempt.done, visibility, idempotency });
            }
        }
    }

    /// Takes note of a write of the operation's value, be it of the load or a repetition.
    fn wrote<T: Timer>(&self, worker: &Worker<T>, operation: &Operation, place: &Place, attempt: &Attempt) {
        self.registers.note(place, operation.number);
        worker.log.event(Event::Write(Write {
            place: place.clone(),
            value: operation.number,
            variant: operation.variant,
            sent: attempt.sent,
            done: attempt.done,
            ack: ack_of(&attempt.answer),
        }));
    }

    /// Takes note of an attempt that leaves no value to look for, but may change what others left.
    fn wrote_untracked<T: Timer>(
        &self,
        worker: &Worker<T>,
        operation: &Operation,
        attempt: &Attempt,
        checks: &scenario::Checks,
    ) {
        let variant = &worker.scenario.variants[operation.variant];
        // Rows of another table name nobody knows which resources.
        if variant.method == "GET" || variant.data != 0 {
            return;
        }
        worker.log.event(Event::Untracked(Untracked {
            row: self.resource(operation.row),
            number: operation.number,
            variant: operation.variant,
            names_key: checks.names_key(operation.variant),
            sent: attempt.sent,
            done: attempt.done,
            ack: ack_of(&attempt.answer),
        }));
    }

    /// The first data row that names the same resource as this one.
    fn resource(&self, row: usize) -> u32 {
        self.resources.get(row).copied().or_else(|| u32::try_from(row).ok()).unwrap_or(u32::MAX)
    }

    /// The register of a row's attribute.
    fn place(&self, row: usize, name: &str) -> Place {
        let row = self.resource(row);
        let mut names = self.names.borrow_mut();
        if let Some(key) = names.get(name) {
            return Place { row, key: key.clone() };
        }
        let key: Arc<str> = name.into();
        names.insert(key.clone());
        Place { row, key }
    }

    /// Opens a case, where there is anything to find out and room for its requests.
    fn begin<T: Timer>(&self, worker: &Worker<T>, case: Case) {
        if case.ack == Ack::Unknown {
            return given_up(worker, &case, "no answer came");
        }
        if self.is_closed.get() {
            return given_up(worker, &case, STOPPED);
        }
        let limiter = worker.placement.key_of(&worker.scenario, case.operation.user).map(|key| &worker.limiters[key]);
        let is_crowded = self.at_once.available_permits() == 0 || limiter.is_some_and(Limiter::is_crowded_with_checks);
        if is_crowded || self.open.get() >= self.room {
            return worker.log.effort(|effort| effort.not_sampled += 1);
        }
        self.open.set(self.open.get() + 1);
        self.waiting.borrow_mut().push_back(case);
        self.arrived.notify_one();
    }

    /// The next case, for a task that follows it and says when it is closed.
    async fn next(&self) -> Case {
        loop {
            if let Some(case) = self.take() {
                return case;
            }
            self.arrived.notified().await;
        }
    }

    /// The next case, if one waits.
    fn take(&self) -> Option<Case> {
        self.waiting.borrow_mut().pop_front()
    }

    /// A case is closed.
    fn closed(&self) {
        self.open.set(self.open.get() - 1);
    }

    /// Takes no case any more.
    fn close(&self) {
        self.is_closed.set(true);
    }
}

/// Why a check could not tell when the run ended.
const STOPPED: &str = "the run ended before";

/// Records that nobody can tell whether a write that was to be looked for had its effect.
fn given_up<T: Timer>(worker: &Worker<T>, case: &Case, why: &'static str) {
    if case.visibility {
        worker.log.event(given_up_event(case, why));
    }
}

/// That nobody can tell, and why.
fn given_up_event(case: &Case, why: &'static str) -> Event {
    let Operation { number: value, variant, .. } = case.operation;
    Event::GivenUp { row: case.lease.place.row, value, variant, why }
}

/// What an attempt is of its operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PartOf {
    /// There will be another one.
    Ongoing,
    /// It is the last.
    Ended,
}

/// What an answer says about the effect of its request.
fn ack_of(answer: &Answer) -> Ack {
    match (answer.outcome, answer.status) {
        (Outcome::Accepted, _) => Ack::Accepted,
        (Outcome::Broken, _) if answer.not_sent => Ack::NotSent,
        // 408 and 504: somebody on the way to the resource did not wait for it (RFC 9110, sections 15.5.9 and 15.6.5).
        (Outcome::Throttled | Outcome::Rejected, Some(408))
        | (Outcome::Failed, Some(504))
        | (Outcome::Unexpected | Outcome::Broken, _) => Ack::Unknown,
        (Outcome::Throttled | Outcome::Rejected, _) => Ack::Refused,
        (Outcome::Failed, _) => Ack::Failed,
    }
}
