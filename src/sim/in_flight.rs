//! Requests that are in flight.

use std::sync::Arc;

use super::quotas::Caller;
use super::shared::Shared;

/// An admitted request that a quota counts as long as it is in flight: until its answer has left, or its client hangs up.
pub(super) struct InFlight {
    pub(super) shared: Arc<Shared>,
    pub(super) caller: Caller,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.shared.with_api(|api, now| api.done(&self.caller, now));
    }
}
