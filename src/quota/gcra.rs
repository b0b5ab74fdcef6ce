//! The generic cell rate algorithm (ITU-T I.371): no level, only the instant at which the next request is expected.

use std::num::NonZeroU32;

use super::bucket::Bucket;
use super::exact::ceil;
use super::rule::Rule;
use crate::units::Rate;

/// Requests are expected one period apart, and may come up to `burst - 1` periods early.
///
/// Instants are counted in parts of a nanosecond, `rate.count()` to each, so that a period is `rate.per()` of them.
pub(super) struct Gcra(pub(super) Bucket);

/// When the next request of one key is expected, in parts of a nanosecond.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Expected(i128);

impl Gcra {
    pub(super) fn new(rate: Rate, burst: NonZeroU32) -> Self {
        Self(Bucket::new(rate, burst.get().into()))
    }

    /// How long after an instant the next request is expected, in parts of a nanosecond; zero if it is late.
    fn early(&self, expected: &Expected, at: u64) -> i128 {
        expected.0.saturating_sub(self.0.gained(at)).max(0)
    }

    fn push_back(&self, expected: &mut Expected, at: u64, parts: i128) {
        expected.0 = expected.0.max(self.0.gained(at)).saturating_add(parts);
    }

    /// The whole nanoseconds from an instant to the expected one, rounded up.
    pub(super) fn until_expected(&self, expected: &Expected, at: u64) -> u64 {
        ceil(self.early(expected, at), self.0.gain)
    }
}

impl Rule for Gcra {
    type Used = Expected;

    fn limit(&self) -> u64 {
        self.0.burst
    }

    fn parts(&self) -> u64 {
        self.0.per
    }

    /// A request of several units is as many requests at once, of which each is one period earlier than the last; so it
    /// may cost what the burst leaves after the periods that it comes early.
    fn room(&self, expected: &Expected, at: u64) -> i128 {
        self.0.size().saturating_sub(self.early(expected, at))
    }

    fn frees(&self, expected: &Expected, _at: u64, cost: u64) -> Option<u64> {
        let tolerance = self.0.size().saturating_sub(self.0.parts(cost));
        Some(ceil(expected.0.saturating_sub(tolerance), self.0.gain))
    }

    fn add(&self, expected: &mut Expected, at: u64, cost: u64) {
        self.push_back(expected, at, self.0.parts(cost));
    }

    fn add_refused(&self, expected: &mut Expected, at: u64, cost: u64) {
        self.push_back(expected, at, self.0.refused(self.room(expected, at), cost));
    }

    fn idle_from(&self, expected: &Expected) -> Option<u64> {
        Some(ceil(expected.0, self.0.gain))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Admission, Arrival, Limiter, Model};

    #[test]
    fn a_request_may_come_a_burst_less_one_before_it_is_expected() {
        let limiter = Limiter::new(Model::Gcra { rate: "10/s".parse().unwrap(), burst: 3.try_into().unwrap() });
        let mut state = limiter.fresh();
        let arrival = |ms| Arrival { at: Duration::from_millis(ms), cost: 1 };
        for _ in 0..3 {
            limiter.note_admitted(&mut state, arrival(1_000));
        }
        // Expected at 1.3 s, so two periods of 100 ms earlier it may come.
        let until = Some(Duration::from_millis(1_100));
        assert_eq!(limiter.judge(&state, arrival(1_099)), Admission::Refused { until });
        assert_eq!(limiter.judge(&state, arrival(1_100)), Admission::Admitted { delay: Duration::ZERO });
    }
}
