//! Requests in flight: what matters is how long they take, not when they come.

use std::num::NonZeroU32;

use super::rule::Rule;

/// At most so many units between an arrival and the end of its answer.
pub(super) struct Concurrency {
    limit: u64,
}

/// Units in flight of one key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct InFlight(u64);

impl From<NonZeroU32> for Concurrency {
    fn from(limit: NonZeroU32) -> Self {
        Self { limit: limit.get().into() }
    }
}

impl Rule for Concurrency {
    type Used = InFlight;

    fn limit(&self) -> u64 {
        self.limit
    }

    fn room(&self, in_flight: &InFlight, _at: u64) -> i128 {
        i128::from(self.limit) - i128::from(in_flight.0)
    }

    fn frees(&self, _in_flight: &InFlight, _at: u64, _cost: u64) -> Option<u64> {
        None
    }

    fn add(&self, in_flight: &mut InFlight, _at: u64, cost: u64) {
        in_flight.0 = in_flight.0.saturating_add(cost);
    }

    /// What was refused is not in flight.
    fn add_refused(&self, _in_flight: &mut InFlight, _at: u64, _cost: u64) {}

    fn done(&self, in_flight: &mut InFlight, cost: u64) {
        in_flight.0 = in_flight.0.saturating_sub(cost);
    }

    fn idle_from(&self, in_flight: &InFlight) -> Option<u64> {
        (in_flight.0 == 0).then_some(0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::{Admission, Arrival, Limiter, Model};
    use super::*;

    proptest! {
        #[test]
        fn never_admits_more_than_the_limit_in_flight(
            limit in 1..9_u32,
            script in prop::collection::vec((1..4_u32, any::<prop::sample::Index>(), any::<bool>()), 1..200),
        ) {
            let limiter = Limiter::new(Model::Concurrency { limit: NonZeroU32::new(limit).unwrap() });
            let (mut state, mut in_flight) = (limiter.fresh(), Vec::new());
            for (cost, which, ends) in script {
                if ends && !in_flight.is_empty() {
                    limiter.note_done(&mut state, in_flight.swap_remove(which.index(in_flight.len())));
                    continue;
                }
                let arrival = Arrival { at: Duration::ZERO, cost };
                if in_flight.iter().sum::<u32>() + cost <= limit {
                    prop_assert_eq!(limiter.judge(&state, arrival), Admission::Admitted { delay: Duration::ZERO });
                    limiter.note_admitted(&mut state, arrival);
                    in_flight.push(cost);
                } else {
                    prop_assert_eq!(limiter.judge(&state, arrival), Admission::Refused { until: None });
                }
            }
            prop_assert_eq!(limiter.is_idle(&state, Duration::ZERO), in_flight.is_empty());
        }
    }
}
