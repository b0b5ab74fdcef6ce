//! Care for the target: what a run may cost it, when it may run, and what stops it.

use std::time::Duration;

use super::{Auth, Checks, Scenario};
use crate::units::{Hours, Share};

/// What a run must not do to its target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Care {
    /// The most requests of a run; `None` for no bound.
    pub budget: Option<u64>,
    /// When a run may send; `None` for always.
    pub window: Option<AllowedHours>,
    /// What stops a run.
    pub stops: StopRules,
}

/// When a run may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllowedHours {
    /// The part of each day.
    pub hours: Hours,
    /// What a run does that starts at another time.
    pub outside: Outside,
}

/// What a run does that starts outside of the allowed hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outside {
    /// It waits until they begin.
    Pause,
    /// It does not start.
    Stop,
}

/// What of the target's answers stops a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StopRules {
    /// A longer Retry-After; `None` where no pause is too long.
    pub retry_after: Option<Duration>,
    /// Lasting refusals; `None` where they stop nothing.
    pub unauthorized: Option<Unauthorized>,
}

/// How many 401 and 403 for how long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Unauthorized {
    /// Their share in all answers of a second.
    pub share: Share,
    /// The share is reached in each second of so long that has an answer.
    pub lasting: Duration,
}

impl Default for StopRules {
    /// What stops a run whose scenario says nothing and whose requests are authorised.
    fn default() -> Self {
        let half = Share::new(0.5).expect("a half is a share");
        Self {
            // Genesys' own SDKs give up above it.
            retry_after: Some(Duration::from_mins(3)),
            unauthorized: Some(Unauthorized { share: half, lasting: Duration::from_secs(10) }),
        }
    }
}

impl Scenario {
    /// The requests of a run that are none of its attempts and that can be known before it: logins before the start, the
    /// most that snapshot and restore may need, another round of logins included, and the reads of all resources that find
    /// lost updates: one before the run, and after it as many as it takes to say that something is missing.
    #[must_use]
    pub fn requests_aside(&self) -> u64 {
        let logins = match self.target.auth {
            Auth::ClientCredentials { .. } => self.target.tokens.count() as u64,
            Auth::None | Auth::Bearer { .. } => 0,
        };
        let audit = self.audited().saturating_mul(1 + u64::from(Checks::AUDITS));
        match self.snapshot_requests() {
            Some(requests) => requests.all().saturating_add(logins.saturating_mul(2)).saturating_add(audit),
            None => logins.saturating_add(audit),
        }
    }

    /// The attempts that `limit.budget` leaves, with room for as many checks as these may bring; `None` without a budget.
    #[must_use]
    pub fn attempts_in_budget(&self) -> Option<u64> {
        let left = self.care.budget?.saturating_sub(self.requests_aside());
        Some(self.attempts_beside_checks(left))
    }
}
