//! How long writes may take and how often a miss is looked at again, as numbers of nanoseconds and looks.

use std::time::Duration;

/// How histories are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// What is not seen so long after its answer is never visible.
    pub within: Duration,
    /// Two writes may be applied in either order where less than this lies between the answer to the one and the sending
    /// of the other. Zero for an API that applies writes in the order in which it answers them; [`Bounds::within`] for one
    /// that applies them later and in any order.
    pub order: Duration,
    /// So many more looks must miss after the first one that decides before anything is said to be missing.
    pub confirmations: usize,
    /// All these looks together take no longer than this.
    pub confirming: Duration,
    /// So many looks of the audit must agree, one after the other, before anything is said to be missing; counts as 1 where
    /// it is 0.
    pub audits: usize,
    /// So many before it is said to be there; likewise.
    pub sightings: usize,
    /// Nobody looked any more after this instant, but for the audit.
    pub end: Duration,
}

/// The same, in the unit of the ledger.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spans {
    pub(super) within: u64,
    pub(super) order: u64,
    pub(super) confirmations: usize,
    pub(super) confirming: u64,
    pub(super) audits: usize,
    pub(super) sightings: usize,
    pub(super) end: u64,
}

impl From<Bounds> for Spans {
    fn from(bounds: Bounds) -> Self {
        let Bounds { within, order, confirmations, confirming, audits, sightings, end } = bounds;
        Self {
            within: nanos(within),
            order: nanos(order),
            confirmations,
            confirming: nanos(confirming),
            audits: audits.max(1),
            sightings: sightings.max(1),
            end: nanos(end),
        }
    }
}

/// An instant in nanoseconds; what is beyond 584 years, as that.
pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
