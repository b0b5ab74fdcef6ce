//! The requests of checks: each goes when the limit and the budget let it, over connections of the checks' own.

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::Value;
use tokio::sync::SemaphorePermit;

use super::{Case, STOPPED, Tracker};
use crate::consistency::{Event, Look, Occasion, seen};
use crate::engine::lanes::Lane;
use crate::engine::tokens::Pass;
use crate::engine::worker::Worker;
use crate::http::{Ask, Asked, Purpose, Transport};
use crate::measure::Outcome;
use crate::scenario::{Checks, Rendered, attributes_in};
use crate::units::{Duration, Timer};

/// So often a look is tried that must not fail.
const TRIES: u32 = 3;

/// Nobody waits longer for a target that asks for a pause: the run would not end.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Why a check cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Halt {
    /// Nothing may be sent any more.
    Stopped,
    /// The requests that the budget keeps for checks are used up.
    Budget,
    /// The register cannot be read.
    Unreadable,
    /// The request cannot be made.
    Unrenderable,
    /// A request broke that its client was to leave.
    Broke,
}

impl Halt {
    pub(super) fn why(self) -> &'static str {
        match self {
            Self::Stopped => STOPPED,
            Self::Budget => "the requests that `limit.budget` keeps for checks are used up",
            Self::Unreadable => "the attributes could not be read",
            Self::Broke => "the request broke before its client hung up",
            Self::Unrenderable => "a template failed on its row",
        }
    }
}

/// What a look brought.
pub(super) enum Sight {
    /// It showed the register, and the attributes with it.
    Shown(Look, Value),
    /// It showed nothing; the next one had better not be sent before this instant.
    Nothing(Duration),
}

/// What the checks of a worker send by. Shared by their tasks.
pub(super) struct Desk<T: Timer, X, U> {
    pub(super) worker: Rc<Worker<T>>,
    open: U,
    /// Connections that nobody uses just now. There are no more of them than requests were ever under way together.
    free: RefCell<Vec<X>>,
}

/// The right to send some requests now. Its drop makes room for those of others.
pub(super) struct Clearance<'a> {
    _room: SemaphorePermit<'a>,
}

impl<T: Timer, X: Transport, U: Fn() -> X> Desk<T, X, U> {
    pub(super) fn new(worker: Rc<Worker<T>>, open: U) -> Self {
        Self { worker, open, free: RefCell::default() }
    }

    pub(super) fn tracker(&self) -> &Tracker {
        self.worker.tracker.as_ref().expect("a worker without checks has no desk for them")
    }

    pub(super) fn checks(&self) -> &Checks {
        self.worker.scenario.checks.as_ref().expect("a scenario without checks has no desk for them")
    }

    pub(super) fn now(&self) -> Duration {
        self.worker.timer.now()
    }

    pub(super) async fn sleep_until(&self, at: Duration) {
        self.worker.timer.sleep_until(at).await;
    }

    /// Waits until so many requests of a user may be sent together.
    ///
    /// Room for them and the budget come first: who has a permit sends at once, so that requests keep the distances that the
    /// limit gives them, and no slot is taken from the load for nothing. Several permits come one after the other, and the
    /// first of them wait for the last.
    pub(super) async fn clearance(&self, user: u32, requests: u32) -> Result<Clearance<'_>, Halt> {
        let room = self.tracker().at_once.acquire_many(requests).await.map_err(|_| Halt::Stopped)?;
        let budget = &self.tracker().budget;
        if !budget.spend_all(requests.into()) {
            return Err(Halt::Budget);
        }
        if let Some(key) = self.worker.placement.key_of(&self.worker.scenario, user) {
            for _ in 0..requests {
                if self.worker.limiters[key].permit(Lane::Check, 0, self.now()).await.is_none() {
                    budget.give_back(requests.into());
                    return Err(Halt::Stopped);
                }
            }
        }
        Ok(Clearance { _room: room })
    }

    /// Sends a request of a user that has been cleared.
    pub(super) async fn send(&self, user: u32, purpose: Purpose, rendered: Rendered<'_>) -> Asked {
        let Worker { scenario, tokens, log, .. } = &*self.worker;
        log.effort(|effort| match purpose {
            Purpose::Read => effort.reads += 1,
            Purpose::Write(_) | Purpose::Unanswered(_) => effort.writes += 1,
        });
        let free = self.free.borrow_mut().pop();
        let transport = free.unwrap_or_else(|| (self.open)());
        let pass = tokens.of(scenario.target.tokens.of(user));
        let authorization = pass.as_ref().map(Pass::authorization);
        let asked = transport.ask(Ask { purpose, rendered, authorization }).await;
        tokens.note(pass.as_ref(), &asked.attempt.answer);
        self.free.borrow_mut().push(transport);
        asked
    }

    /// Looks at a register once, as soon as a read may be sent.
    pub(super) async fn look(&self, case: &Case, occasion: Occasion) -> Result<Sight, Halt> {
        let scenario = self.worker.scenario.clone();
        let (user, place) = (case.operation.user, &case.lease.place);
        let read = scenario.read.as_ref().ok_or(Halt::Unreadable)?;
        let row = usize::try_from(place.row).map_err(|_| Halt::Unreadable)?;
        let rendered = read.request(&scenario, row).map_err(|_| Halt::Unreadable)?;
        let query = read.query(&scenario, row).map_err(|_| Halt::Unreadable)?;
        let clearance = self.clearance(user, 1).await?;
        let Asked { attempt, body } = self.send(user, Purpose::Read, rendered).await;
        drop(clearance);
        let attributes = (attempt.answer.outcome == Outcome::Accepted)
            .then(|| serde_json::from_slice(&body).ok())
            .flatten()
            .and_then(|answer: Value| attributes_in(&answer, &query).ok());
        let Some(attributes) = attributes else {
            let pause = attempt.answer.retry_after.unwrap_or_default().min(LONGEST_PAUSE);
            return Ok(Sight::Nothing(attempt.done.saturating_add(pause)));
        };
        let seen = seen(&attributes, &place.key, |value| self.checks().number_in(&scenario, value));
        let look = Look { place: place.clone(), occasion, sent: attempt.sent, done: attempt.done, seen };
        self.worker.log.event(Event::Look(look.clone()));
        Ok(Sight::Shown(look, attributes))
    }

    /// Looks at a register at `at` or later, where a look must not fail: it is tried again, with such a pause at least.
    pub(super) async fn look_surely(
        &self,
        case: &Case,
        occasion: Occasion,
        (mut at, pause): (Duration, Duration),
    ) -> Result<(Look, Value), Halt> {
        for _ in 0..TRIES {
            self.sleep_until(at).await;
            match self.look(case, occasion).await? {
                Sight::Shown(look, attributes) => return Ok((look, attributes)),
                Sight::Nothing(again) => at = again.max(self.now().saturating_add(pause)),
            }
        }
        Err(Halt::Unreadable)
    }
}
