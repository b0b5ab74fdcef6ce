//! What whoever lets a profiler talk to a real server must know beside what is next.

use std::fmt;
use std::time::Duration;

use super::{Profiler, Stage, Stopped};

/// What a profile is doing, for a person who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It sends as much as it takes to be refused.
    FirstBurst,
    /// It waits until a request is admitted again.
    Recovery,
    /// It looks how much is admitted then, and how it goes on.
    Release,
    /// It tells the best explanations apart.
    Telling,
    /// It tries other keys.
    Scope,
    /// It puts its prediction to the test.
    Verifying,
    /// Nothing any more.
    Over,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FirstBurst => "first burst",
            Self::Recovery => "recovery",
            Self::Release => "release",
            Self::Telling => "telling models apart",
            Self::Scope => "other keys",
            Self::Verifying => "testing the prediction",
            Self::Over => "over",
        })
    }
}

impl Profiler {
    /// What it is doing.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match &self.stage {
            Stage::Cold => Phase::FirstBurst,
            Stage::Recovery => Phase::Recovery,
            Stage::Release | Stage::Even => Phase::Release,
            Stage::Telling { .. } => Phase::Telling,
            Stage::Scope(_) => Phase::Scope,
            Stage::Verifying(_) => Phase::Verifying,
            Stage::Over => Phase::Over,
        }
    }

    /// Whether the next call of [`next`](Self::next) at this instant will look for explanations of all that was seen,
    /// which takes a while; what it plans then begins at the instant that it is told.
    #[must_use]
    pub fn is_about_to_think(&self, now: Duration) -> bool {
        let waits = self.worth_waiting_for().is_some_and(|until| now < until);
        thinks_after(&self.stage) && !self.is_time_for_scope(&self.stage) && !waits && self.course.is_ending(now)
    }

    /// Ends it before its time, with what is known.
    pub fn end(&mut self, why: Stopped) {
        if !matches!(self.stage, Stage::Over) {
            self.finding.stopped = why;
            self.conclude();
        }
    }
}

/// Whether all explanations are weighed when a stage is over.
fn thinks_after(stage: &Stage) -> bool {
    match stage {
        Stage::Even | Stage::Telling { then_edges: None } | Stage::Verifying(_) => true,
        Stage::Scope(then) => thinks_after(then),
        Stage::Cold | Stage::Recovery | Stage::Release | Stage::Telling { .. } | Stage::Over => false,
    }
}
