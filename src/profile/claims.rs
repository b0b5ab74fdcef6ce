//! What a server says of its limits, held against what was measured.
//!
//! Whatever a header says is a *claim*: it decides nothing, and each of them is true, wrong or not tested. Texts of a
//! server are read strictly, and what is no claim is none: no text ever does harm.

mod compare;
mod fields;
mod limits;
mod quotas;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use limits::claimed_limits;

use super::finding::Finding;
use super::log::Log;
use fields::{Statement, statements};

/// Something that the server says of its limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// Where: the name of a header as it is usually written, or `organisation limits`.
    pub source: String,
    /// What the quota is called there; empty where it has no name.
    pub name: String,
    /// What it says, and what was measured of that.
    #[serde(flatten)]
    pub says: Says,
    /// How many answers said so.
    pub answers: u32,
    /// Whether it is so.
    pub standing: Standing,
}

/// Whether a claim is so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// What was measured agrees.
    True,
    /// What was measured contradicts it.
    Wrong,
    /// Nothing that was measured tells.
    NotTested,
}

/// What a claim is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "says", rename_all = "snake_case")]
pub enum Says {
    /// So many are allowed.
    Quota {
        /// How many.
        limit: u64,
        /// In how many seconds, where that is said.
        window_s: Option<f64>,
        /// Of what.
        unit: Unit,
        /// The limiter that was measured and comes closest, from 0.
        tier: Option<usize>,
    },
    /// So many are left.
    Remaining {
        /// How many answers could be checked.
        tested: u32,
        /// How many of them said what the limiter has left, to within one request.
        right: u32,
    },
    /// It begins anew in so long.
    Reset {
        /// How many answers could be checked.
        tested: u32,
        /// How many of them named the instant from which the whole quota is there again, to within a second.
        whole: u32,
        /// How many of them named the instant from which the next request is admitted, to within a second.
        next: u32,
    },
    /// Come back in so long.
    RetryAfter {
        /// How many refusals could be checked.
        tested: u32,
        /// After how many of them the wait was enough.
        enough: u32,
        /// By how many seconds those were too long, the middle one of them.
        too_long_s: Option<f64>,
        /// By how many seconds the others were too short, the worst of them.
        too_short_s: Option<f64>,
        /// The wait that all of them named, where all named the same although what was left to wait differed.
        constant_s: Option<f64>,
    },
}

/// What a quota counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Requests.
    Requests,
    /// Requests in flight.
    Concurrent,
    /// Bytes, or what else nobody here counts.
    Other,
}

/// All that a server said.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Claims {
    notes: Vec<Note>,
}

/// What one answer said.
#[derive(Debug, Clone, PartialEq)]
struct Note {
    /// When the answer came, whose it was, and whether the request was refused.
    at: Duration,
    key: usize,
    is_refused: bool,
    statements: Vec<Statement>,
}

impl Claims {
    /// Takes note of an answer's headers: when it came (as [`Observation::received`](super::Observation) says), whose it
    /// was, and whether the quota refused the request. Names may be in any case; what is no claim is ignored. Instants
    /// are understood only beside the answer's own `Date`.
    pub fn note(&mut self, at: Duration, key: usize, is_refused: bool, fields: &[(String, String)]) {
        let statements = statements(fields);
        if !statements.is_empty() {
            self.notes.push(Note { at, key, is_refused, statements });
        }
    }

    /// What was said, once each in the order in which it was said first, and whether it is so.
    ///
    /// Without an answer that stands ([`Finding::stands`]) nothing can be held against what was measured.
    #[must_use]
    pub fn compare(&self, finding: &Finding, log: &Log) -> Vec<Claim> {
        compare::claims(&self.notes, finding, log)
    }
}

/// Claims of quotas that have not been tested, such as the [organisation's](claimed_limits), held against what was measured.
#[must_use]
pub fn held_against(mut claims: Vec<Claim>, finding: &Finding, log: &Log) -> Vec<Claim> {
    quotas::judge(&mut claims, finding, log);
    claims
}

#[cfg(test)]
mod tests;
