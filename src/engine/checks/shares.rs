//! What the checks of each worker are given before a run.

use std::sync::Arc;

use crate::engine::placement::Placement;
use crate::scenario::Scenario;

/// What the checks of all workers are given.
pub(in crate::engine) struct Shares {
    resources: Arc<[u32]>,
    /// The requests of each; `None` for as many as they like.
    budget: Option<Vec<u64>>,
}

/// The same of one worker.
pub(in crate::engine) struct Part {
    /// For each data row, the first one that names the same resource.
    pub(super) resources: Arc<[u32]>,
    /// The requests that its checks may make; `None` for as many as they like.
    pub(super) budget: Option<u64>,
}

impl Shares {
    /// `None` where the scenario has no checks.
    pub(in crate::engine) fn new(scenario: &Scenario, placement: &Placement) -> Option<Self> {
        scenario.checks.as_ref()?;
        let budget = scenario.checks_in_budget().map(|requests| placement.shares_of(scenario, requests));
        Some(Self { resources: scenario.resources().into(), budget })
    }

    pub(in crate::engine) fn of(&self, worker: usize) -> Part {
        let budget = self.budget.as_ref().map(|shares| shares[worker]);
        Part { resources: self.resources.clone(), budget }
    }
}
