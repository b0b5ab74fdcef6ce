//! When other keys are tried beside the one under test.

use super::super::course::Leg;
use super::super::events::Events;
use super::super::fit::Fit;
use super::super::schedules::{self, Terms};
use super::super::scope;
use super::super::theory::{Family, seconds};
use super::{Profiler, Stage};

impl Profiler {
    /// Whether the key under test happens to be refused, so that others can be tried at no cost. What is urgent goes
    /// before, and so does a test, whose course is looked at when it is over.
    pub(super) fn is_time_for_scope(&self, stage: &Stage) -> bool {
        let is_free = matches!(stage, Stage::Cold | Stage::Release | Stage::Even | Stage::Telling { then_edges: None });
        self.plan.others > 0 && self.scoped < scope::ROUNDS && is_free && scope::is_exhausted(&self.log)
    }

    /// Tries all other keys, after a leg that makes sure of what the key under test has left.
    pub(super) fn try_others(&mut self, then: Stage, terms: Terms, first: Option<Leg>) {
        let round = scope::round(self.plan.others, self.scoped);
        self.scoped += 1;
        self.begin(Stage::Scope(Box::new(then)), terms, first.into_iter().chain([round]));
    }

    /// What must come before a round of other keys: that the quota is used up, or at last that it is whole, to see that
    /// who was refused is admitted then. `None` when all has been tried.
    pub(super) fn before_others(&self, best: &Fit, events: &Events) -> Option<Leg> {
        let theory = best.hypothesis.tiers[0];
        if self.plan.others == 0 || theory.kind.family == Family::Concurrency {
            return None;
        }
        if self.scoped < scope::ROUNDS {
            return Some(schedules::saturate(theory.capacity()));
        }
        let found = scope::judge(&self.log, events, &best.hypothesis);
        let in_doubt = found.iter().any(|sharing| sharing.refused > 0 && sharing.controls == 0);
        (in_doubt && self.scoped < scope::ROUNDS * 2).then(|| Leg::Pause(seconds(theory.recovery() * 1.2)))
    }
}
