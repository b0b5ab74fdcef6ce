//! A leaky bucket as a queue: whoever is admitted waits until those before it have left.

use std::num::NonZeroU32;

use super::bucket::Bucket;
use super::gcra::{Expected, Gcra};
use super::rule::Rule;
use crate::units::Rate;

/// Departures are one period apart for each unit of cost, and at most `burst` units wait.
///
/// It admits as the [`Gcra`] of one unit more does, that of the request which need not wait; what there is the instant
/// at which a request is expected is here the instant at which it departs.
pub(super) struct LeakyQueue(Gcra);

impl LeakyQueue {
    pub(super) fn new(rate: Rate, burst: NonZeroU32) -> Self {
        Self(Gcra(Bucket::new(rate, u64::from(burst.get()) + 1)))
    }
}

impl Rule for LeakyQueue {
    type Used = Expected;

    fn limit(&self) -> u64 {
        self.0.limit()
    }

    fn parts(&self) -> u64 {
        self.0.parts()
    }

    fn room(&self, next: &Expected, at: u64) -> i128 {
        self.0.room(next, at)
    }

    fn frees(&self, next: &Expected, at: u64, cost: u64) -> Option<u64> {
        self.0.frees(next, at, cost)
    }

    fn add(&self, next: &mut Expected, at: u64, cost: u64) {
        self.0.add(next, at, cost);
    }

    fn add_refused(&self, next: &mut Expected, at: u64, cost: u64) {
        self.0.add_refused(next, at, cost);
    }

    fn wait(&self, next: &Expected, at: u64) -> u64 {
        self.0.until_expected(next, at)
    }

    fn idle_from(&self, next: &Expected) -> Option<u64> {
        self.0.idle_from(next)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::exact::{ceil, nanos};
    use super::super::scripts::{arrivals, bursts, rates, scripts};
    use super::super::{Admission, Arrival, Limiter, Model, Slow};

    #[test]
    fn a_burst_leaves_as_a_staircase() {
        let limiter = Limiter::new(Model::LeakyQueue { rate: "10/s".parse().unwrap(), burst: 3.try_into().unwrap() });
        let mut state = limiter.fresh();
        let arrival = Arrival { at: Duration::from_secs(7), cost: 1 };
        for delay_ms in [0, 100, 200, 300] {
            let delay = Duration::from_millis(delay_ms);
            assert_eq!(limiter.judge(&state, arrival), Admission::Admitted { delay });
            limiter.note_admitted(&mut state, arrival);
        }
        let until = Some(Duration::from_millis(7_100));
        assert_eq!(limiter.judge(&state, arrival), Admission::Refused { until });
    }

    /// A queue as a list: when each unit of cost that was ever admitted departs, in parts of a nanosecond.
    struct Departures {
        gain: u64,
        per: u64,
        at: Vec<u64>,
    }

    impl Departures {
        /// The departure of a request that arrives now, and the units that wait when its own have joined.
        fn join(&mut self, now: u64, cost: u32) -> (u64, usize) {
            let now = now * self.gain;
            let first = self.at.last().map_or(now, |last| now.max(last + self.per));
            self.at.extend((0..cost).map(|slot| first + u64::from(slot) * self.per));
            (first, self.at.iter().filter(|departs| **departs > now).count())
        }
    }

    proptest! {
        #[test]
        fn units_depart_one_period_apart_and_no_more_than_the_burst_waits(
            rate in rates(), burst in bursts(), script in scripts(), slow: bool,
        ) {
            let slow = slow.then_some(Slow { by: Duration::from_nanos(3), most: Duration::from_nanos(10) });
            let model = Model::LeakyQueue { rate, burst };
            let limiter = Limiter { slow, ..Limiter::new(model) };
            let (gain, per) = (u64::from(rate.count().get()), nanos(rate.per()));
            let (mut state, mut queue) = (limiter.fresh(), Departures { gain, per, at: Vec::new() });
            for (arrival, forced) in arrivals(model, &script) {
                let (now, without) = (nanos(arrival.at), queue.at.len());
                let (departs, waiting) = queue.join(now, arrival.cost);
                let over = u64::try_from(waiting).unwrap().saturating_sub(burst.get().into());
                let expected = ceil(i128::from(departs) - i128::from(now * gain), gain);
                match limiter.judge(&state, arrival) {
                    Admission::Admitted { delay } => {
                        prop_assert!(over == 0 || slow.is_some(), "{waiting} wait");
                        let slowed = if slow.is_some() { (3 * over).min(10) } else { 0 };
                        prop_assert_eq!(delay, Duration::from_nanos(expected + slowed));
                    }
                    Admission::Refused { .. } => {
                        prop_assert!(over > 0, "refused although only {waiting} wait");
                        if !forced {
                            queue.at.truncate(without);
                            continue;
                        }
                    }
                }
                limiter.note_admitted(&mut state, arrival);
            }
        }
    }
}
