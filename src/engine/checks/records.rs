//! What the checks of all workers recorded, in one place.

use std::time::Instant;

use super::repetition::requests;
use crate::consistency::{Bounds, Event, Ledger, Line};
use crate::measure::{Check, Checks, Effort};
use crate::scenario::{self, Scenario, Visibility};
use crate::units::Duration;

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
    /// When the clock of the run showed zero.
    start: Instant,
}

impl Records {
    /// Of a run without events yet, whose clock showed zero at `start`; `None` where its scenario has no checks.
    pub(in crate::engine) fn new(scenario: &Scenario, start: Instant) -> Option<Self> {
        let checks = scenario.checks.as_ref()?;
        let ledger = Ledger::new(checks.ledger, scenario.variants.len());
        Some(Self { ledger, bounds: bounds(scenario), effort: Effort::default(), start })
    }

    /// Adds what a worker recorded.
    pub(in crate::engine) fn add(&mut self, noted: Noted) {
        self.effort.reads += noted.effort.reads;
        self.effort.writes += noted.effort.writes;
        self.effort.not_sampled += noted.effort.not_sampled;
        for event in noted.events {
            self.ledger.add(event);
        }
    }

    /// Where looks have shown something older than looks before them, one reading after the run that shows a write does not
    /// say that it is there, and one more must miss it before it is missing: of ten thousand resources of which each
    /// hundredth reading is stale, three in a row show one in a hundred runs.
    pub(in crate::engine) fn expect_stale_reads(&mut self, checks: Option<&Checks>) {
        let variants = checks.into_iter().flat_map(|checks| &checks.variants);
        let are_stale = variants.map(|variant| variant.findings[Check::StaleRead.index()].found).sum::<u64>() > 0;
        if are_stale {
            self.bounds.sightings = 2;
            self.bounds.audits += 1;
        }
    }

    /// The checks have ended: nobody looks any more, but for the audit.
    pub(in crate::engine) fn close(&mut self) {
        self.bounds.end = self.now();
    }

    /// The time on the clock of the run, which goes on when the run has ended.
    pub(in crate::engine) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Resources that the run has written.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.ledger.rows().count() as u64
    }

    /// The history as JSON lines, for checkers that others wrote, and behind it all that was found.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let events = self.ledger.history().map(|event| Line::from(&event));
        events.chain(self.ledger.findings(&self.bounds)).map(|line| line.to_json())
    }

    /// What came of the checks, once all is recorded.
    pub(in crate::engine) fn judge(&self, scenario: &Scenario) -> Checks {
        let Effort { reads, writes, not_sampled, .. } = self.effort;
        let mut checks = self.ledger.judge(&self.bounds, &|repetition| requests(scenario, repetition));
        checks.effort = Effort { reads, writes, not_sampled, ..checks.effort };
        checks
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
        audits: scenario::Checks::AUDITS as usize,
        sightings: 1,
        end: Duration::MAX,
    }
}
