//! What a profile may cost, and what it asks whoever has the clock and the network to do.

use std::time::Duration;

/// What a profile may cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// Requests at most.
    pub requests: u32,
    /// Requests of the first burst at most: without a refusal until then, no limit was found.
    pub first_burst: u32,
    /// Time at most.
    pub time: Duration,
    /// Requests in flight at most.
    pub widest: u32,
    /// Other keys that may be tried, to see whether they share the quota; such as another token.
    pub others: usize,
    /// A Retry-After longer than this ends the profile.
    pub longest_retry_after: Duration,
    /// How narrow the interval of the time is to be, as a share of it.
    pub precision: f64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            requests: 20_000,
            first_burst: 5_000,
            time: Duration::from_hours(2),
            widest: 256,
            others: 0,
            longest_retry_after: Duration::from_mins(15),
            precision: 0.002,
        }
    }
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Send so many requests at once, each on a connection of its own, at an instant that is not past. Then ask again,
    /// without waiting for their answers.
    Send {
        /// When.
        at: Duration,
        /// How many.
        count: u32,
        /// Whose: 0 for the key under test, else one of the others, from 1 to [`Plan::others`].
        key: usize,
    },
    /// Ask again as soon as an answer has come, at this instant at the latest.
    Await {
        /// When at the latest.
        until: Duration,
    },
    /// Nothing any more: the [`finding`](super::Profiler::finding) stands.
    Done,
}
