//! What the checks of all workers recorded, in one place.

use super::repetition::requests;
use super::{CONFIRMING, USUAL};
use crate::consistency::{Bounds, Event, Ledger};
use crate::measure::{Checks, Effort};
use crate::scenario::Scenario;
use crate::units::Duration;

/// So many readings after the run must agree.
const AUDITS: usize = 2;

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
pub(in crate::engine) struct Records {
    ledger: Ledger,
    bounds: Bounds,
    effort: Effort,
}

impl Records {
    /// Of a run without events yet; `None` where its scenario has no checks.
    pub(in crate::engine) fn new(scenario: &Scenario) -> Option<Self> {
        let checks = scenario.checks.as_ref()?;
        let ledger = Ledger::new(checks.ledger, scenario.variants.len());
        Some(Self { ledger, bounds: bounds(scenario), effort: Effort::default() })
    }

    /// Adds what a worker recorded.
    pub(in crate::engine) fn add(&mut self, noted: Noted) {
        self.effort.reads += noted.effort.reads;
        self.effort.writes += noted.effort.writes;
        self.effort.not_sampled += noted.effort.not_sampled;
        noted.events.into_iter().for_each(|event| self.ledger.add(event));
    }

    /// What came of the checks, once all is recorded.
    pub(in crate::engine) fn judge(self, scenario: &Scenario) -> Checks {
        let Effort { reads, writes, not_sampled, .. } = self.effort;
        let mut checks = self.ledger.judge(&self.bounds, &|repetition| requests(scenario, repetition));
        checks.effort = Effort { reads, writes, not_sampled, ..checks.effort };
        checks
    }
}

/// How the history of a scenario with checks is judged.
fn bounds(scenario: &Scenario) -> Bounds {
    let visibility = scenario.checks.as_ref().and_then(|checks| checks.visibility).unwrap_or(USUAL);
    Bounds {
        within: visibility.within,
        order: Duration::ZERO,
        confirmations: CONFIRMING as usize,
        confirming: visibility.most.saturating_mul(CONFIRMING),
        audits: AUDITS,
    }
}
