//! What the checks of all workers recorded, in one place.

use super::repetition::requests;
use crate::consistency::{Bounds, Event, Ledger, line};
use crate::measure::{Checks, Effort};
use crate::scenario::{self, Scenario, Visibility};
use crate::units::Duration;

/// So many readings after the run must agree before something is said to be missing: one of them may be stale.
const AUDITS: usize = 3;

/// What the checks of a worker recorded since it last told. A second's work bounds it.
#[derive(Debug, Default)]
pub(in crate::engine) struct Noted {
    pub(in crate::engine) events: Vec<Event>,
    /// What they cost and left out.
    pub(in crate::engine) effort: Effort,
}

impl Noted {
    /// What was recorded so far; from here on, nothing.
    pub(in crate::engine) fn take(&mut self) -> Self {
        // The next second will bring about as much.
        let room = Vec::with_capacity(self.events.len());
        std::mem::replace(self, Self { events: room, effort: Effort::default() })
    }
}

/// The ledger of a run, with what the checks cost.
#[derive(Debug)]
pub struct Records {
    pub(in crate::engine) ledger: Ledger,
    pub(in crate::engine) bounds: Bounds,
    pub(in crate::engine) effort: Effort,
    /// The end of the last write or look.
    latest: Duration,
}

impl Records {
    /// Of a run without events yet; `None` where its scenario has no checks.
    pub(in crate::engine) fn new(scenario: &Scenario) -> Option<Self> {
        let checks = scenario.checks.as_ref()?;
        let ledger = Ledger::new(checks.ledger, scenario.variants.len());
        Some(Self { ledger, bounds: bounds(scenario), effort: Effort::default(), latest: Duration::ZERO })
    }

    /// Adds what a worker recorded.
    pub(in crate::engine) fn add(&mut self, noted: Noted) {
        self.effort.reads += noted.effort.reads;
        self.effort.writes += noted.effort.writes;
        self.effort.not_sampled += noted.effort.not_sampled;
        for event in noted.events {
            self.latest = self.latest.max(end_of(&event));
            self.ledger.add(event);
        }
    }

    /// Since the start of the run, when the last write or look ended.
    pub(in crate::engine) fn longest(&self) -> Duration {
        self.latest
    }

    /// The history as JSON lines, for checkers that others wrote.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.ledger.history().map(|event| line(&event))
    }

    /// What came of the checks, once all is recorded.
    pub(in crate::engine) fn judge(&self, scenario: &Scenario) -> Checks {
        let Effort { reads, writes, not_sampled, .. } = self.effort;
        let mut checks = self.ledger.judge(&self.bounds, &|repetition| requests(scenario, repetition));
        checks.effort = Effort { reads, writes, not_sampled, ..checks.effort };
        checks
    }
}

fn end_of(event: &Event) -> Duration {
    match event {
        Event::Write(write) => write.done,
        Event::Look(look) => look.done,
        Event::Repetition(repetition) => repetition.to,
        Event::GivenUp { .. } => Duration::ZERO,
    }
}

/// How the history of a scenario with checks is judged.
fn bounds(scenario: &Scenario) -> Bounds {
    let visibility = scenario.checks.as_ref().map_or(Visibility::USUAL, scenario::Checks::looking);
    Bounds {
        within: visibility.within,
        // An API that shows writes later may show them in any order, as long as none takes longer than it may.
        order: visibility.within,
        confirmations: Visibility::CONFIRMING as usize,
        confirming: visibility.most.saturating_mul(Visibility::CONFIRMING),
        audits: AUDITS,
    }
}
