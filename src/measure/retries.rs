//! What was tried again, and what came of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Outcome, Sample};

/// What tells a further attempt of an operation from its first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// How many attempts of the operation came before, at least one.
    pub number: u32,
    /// When it wanted to go: the pause that was asked for, or the back-off, was over.
    pub wanted: Duration,
    /// The instant before which the last answer asked not to come back; `None` where it did not.
    pub asked: Option<Duration>,
}

/// Why an operation was not tried again although its last attempt was one to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GivenUp {
    /// It had all the retries that it may have.
    Max,
    /// The server asked for a longer pause than the scenario grants.
    LongestWait,
    /// Too many operations were parked already.
    NoRoom,
    /// The run ended.
    RunEnded,
}

/// Operations that were tried again, of all variants together; all of it adds up over workers and seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retries {
    /// Attempts that were not an operation's first.
    pub attempts: u64,
    /// Operations with more than one attempt.
    pub operations: u64,
    /// Operations that were accepted, and not at their first attempt.
    pub accepted: u64,
    /// Attempts that followed an answer with a Retry-After.
    pub asked: u64,
    /// Of them, those that were not sent before the time that it asked for.
    pub obeyed: u64,
    /// Operations that were given up because they had all the retries that they may have.
    pub given_up_max: u64,
    /// Operations that were given up because the server asked for too long a pause.
    pub given_up_longest_wait: u64,
    /// Operations that were given up because too many were parked.
    pub given_up_no_room: u64,
    /// Operations that were given up because the run ended, parked or not.
    pub given_up_run_ended: u64,
}

impl Retries {
    /// Adds all counts of `other`.
    pub fn add(&mut self, other: &Self) {
        self.attempts += other.attempts;
        self.operations += other.operations;
        self.accepted += other.accepted;
        self.asked += other.asked;
        self.obeyed += other.obeyed;
        self.given_up_max += other.given_up_max;
        self.given_up_longest_wait += other.given_up_longest_wait;
        self.given_up_no_room += other.given_up_no_room;
        self.given_up_run_ended += other.given_up_run_ended;
    }

    /// Counts an attempt.
    pub(super) fn record(&mut self, sample: &Sample) {
        let Some(retry) = sample.retry else { return };
        self.attempts += 1;
        self.operations += u64::from(retry.number == 1);
        self.accepted += u64::from(sample.last && sample.answer.outcome == Outcome::Accepted);
        if let Some(asked) = retry.asked {
            self.asked += 1;
            self.obeyed += u64::from(sample.sent >= asked);
        }
    }

    /// Counts an operation that was given up.
    pub(super) fn give_up(&mut self, why: GivenUp) {
        *match why {
            GivenUp::Max => &mut self.given_up_max,
            GivenUp::LongestWait => &mut self.given_up_longest_wait,
            GivenUp::NoRoom => &mut self.given_up_no_room,
            GivenUp::RunEnded => &mut self.given_up_run_ended,
        } += 1;
    }
}
