//! Who gets which of the machine's cores.

use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use crate::scenario::{Endpoint, Scenario};

/// How many threads send, and how many the embedded simulator has.
pub(super) struct Seats {
    pub(super) workers: NonZeroUsize,
    pub(super) simulator: usize,
}

impl Seats {
    /// A quarter of the cores, at least one, goes to the embedded simulator, the rest to workers.
    pub(super) fn new(scenario: &Scenario, workers: Option<NonZeroUsize>) -> Self {
        let cores = available_parallelism().map_or(1, NonZeroUsize::get);
        let simulator = match scenario.target.endpoint {
            Endpoint::Simulator(_) => (cores / 4).max(1),
            Endpoint::Url(_) => 0,
        };
        let rest = NonZeroUsize::new(cores.saturating_sub(simulator)).unwrap_or(NonZeroUsize::MIN);
        Self { workers: workers.unwrap_or(rest), simulator }
    }
}
