//! What every model answers.

use super::exact::{ceil, floor, product};

/// A model with its parameters in whole nanoseconds. What is *used* is of one key; instants are nanoseconds.
pub(super) trait Rule {
    /// What one key has used up.
    type Used;

    /// The units that a fresh key admits at once: no request may ever cost more.
    fn limit(&self) -> u64;

    /// The parts of a unit that [`room`](Self::room) is counted in, so that it is exact.
    fn parts(&self) -> u64 {
        1
    }

    /// What a request may cost at an instant, in parts of a unit; below zero when more was admitted than there was.
    fn room(&self, used: &Self::Used, at: u64) -> i128;

    /// The first instant at which there is room for a cost that now there is not; `None` when time does not make room.
    /// The cost is within the [`limit`](Self::limit).
    fn frees(&self, used: &Self::Used, at: u64, cost: u64) -> Option<u64>;

    /// Takes note of a request that passed, whether or not there was room for it.
    fn add(&self, used: &mut Self::Used, at: u64, cost: u64);

    /// Takes note of a request that was refused but counts.
    fn add_refused(&self, used: &mut Self::Used, at: u64, cost: u64) {
        self.add(used, at, cost);
    }

    /// Takes note that a request has been answered.
    fn done(&self, _used: &mut Self::Used, _cost: u64) {}

    /// How long a request that is admitted at an instant waits for those before it.
    fn wait(&self, _used: &Self::Used, _at: u64) -> u64 {
        0
    }

    /// The first instant at which nothing is in use, if nothing arrives; `None` when that does not depend on time.
    fn idle_from(&self, used: &Self::Used) -> Option<u64>;

    /// The time that [`Usage::reset`](super::Usage::reset) tells.
    fn reset(&self, used: &Self::Used, at: u64) -> u64 {
        self.idle_from(used).unwrap_or(0).saturating_sub(at)
    }

    /// The units by which a request would be over the quota, rounded up; zero when there is room for it.
    fn over(&self, used: &Self::Used, at: u64, cost: u64) -> u64 {
        ceil(product(cost, self.parts()).saturating_sub(self.room(used, at)), self.parts())
    }

    /// The largest cost that there is room for.
    fn left(&self, used: &Self::Used, at: u64) -> u64 {
        floor(self.room(used, at), self.parts())
    }

    /// The first instant, from this one on, at which there is room for a cost if nothing arrives.
    fn ready(&self, used: &Self::Used, at: u64, cost: u64) -> Option<u64> {
        if cost > self.limit() {
            return None;
        }
        if self.room(used, at) >= product(cost, self.parts()) { Some(at) } else { self.frees(used, at, cost) }
    }
}
