//! A sliding window by estimate: two counters on the clock instead of a log.

use super::exact::product;
use super::rule::Rule;
use super::window::Window;
use crate::units::Rate;

/// What the window before this one admitted counts in proportion to how much of it is less than one window ago.
pub(super) struct SlidingCounter(Window);

/// What two windows on the clock have admitted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counters {
    /// When the newer one started.
    start: u64,
    /// Units of the older one.
    before: u64,
    /// Units of the newer one.
    now: u64,
}

impl From<Rate> for SlidingCounter {
    fn from(rate: Rate) -> Self {
        Self(rate.into())
    }
}

impl SlidingCounter {
    /// The counters as they are at an instant.
    fn turn(&self, counters: &Counters, at: u64) -> Counters {
        let start = at - at % self.0.per;
        match start.saturating_sub(counters.start) {
            0 => *counters,
            passed if passed == self.0.per => Counters { start, before: counters.now, now: 0 },
            _ => Counters { start, before: 0, now: 0 },
        }
    }

    /// The first instant of a window at which the rest of the window before leaves so many units; the end of the window
    /// if none does earlier.
    fn leaves(&self, start: u64, before: u64, units: u64) -> u64 {
        // before · (per - e) <= units · per, for the smallest e.
        let per = self.0.per;
        let in_sight = u128::from(units) * u128::from(per) / u128::from(before.max(1));
        let in_sight = u64::try_from(in_sight).unwrap_or(u64::MAX);
        start.saturating_add(per.saturating_sub(in_sight))
    }
}

impl Rule for SlidingCounter {
    type Used = Counters;

    fn limit(&self) -> u64 {
        self.0.limit
    }

    fn parts(&self) -> u64 {
        self.0.per
    }

    fn room(&self, counters: &Counters, at: u64) -> i128 {
        let Window { limit, per } = self.0;
        let Counters { start, before, now } = self.turn(counters, at);
        let in_sight = per - at.saturating_sub(start).min(per);
        product(limit, per).saturating_sub(product(before, in_sight)).saturating_sub(product(now, per))
    }

    fn frees(&self, counters: &Counters, at: u64, cost: u64) -> Option<u64> {
        let Window { limit, per } = self.0;
        let Counters { start, before, now } = self.turn(counters, at);
        Some(match limit.checked_sub(now.saturating_add(cost)) {
            Some(units) => self.leaves(start, before, units),
            // This window has admitted too much, so the next one must have forgotten some of it.
            None => self.leaves(start.saturating_add(per), now, limit.saturating_sub(cost)),
        })
    }

    fn add(&self, counters: &mut Counters, at: u64, cost: u64) {
        *counters = self.turn(counters, at);
        counters.now = counters.now.saturating_add(cost);
    }

    fn idle_from(&self, counters: &Counters) -> Option<u64> {
        // The counters turn when something is added, so whatever they hold, the newer one holds some of it.
        let windows = if counters.now == 0 { 0 } else { 2 };
        Some(counters.start.saturating_add(self.0.per.saturating_mul(windows)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::exact::ceil;
    use super::super::scripts::{check, cost_of, rates, scripts};
    use super::super::{Admission, Arrival, Limiter, Model};
    use super::*;

    #[test]
    fn after_a_burst_nothing_is_admitted_until_the_window_turns_and_then_a_trickle() {
        let limiter = Limiter::new(Model::SlidingCounter { rate: "10/s".parse().unwrap() });
        let mut state = limiter.fresh();
        limiter.note_admitted(&mut state, Arrival { at: Duration::from_millis(200), cost: 10 });
        for admitted in 1..=10 {
            let arrival = Arrival { at: Duration::from_millis(300), cost: admitted };
            let until = Some(Duration::from_millis(1_000 + 100 * u64::from(admitted)));
            assert_eq!(limiter.judge(&state, arrival), Admission::Refused { until });
        }
    }

    proptest! {
        #[test]
        fn never_admits_more_than_the_limit_by_its_estimate(rate in rates(), script in scripts()) {
            let Window { limit, per } = rate.into();
            check(Model::SlidingCounter { rate }, &script, |noted, now, cost| {
                let before = cost_of(noted, |at| at / per + 1 == now / per);
                let current = cost_of(noted, |at| at / per == now / per);
                let estimate = before * (per - now % per) + (current + cost) * per;
                ceil(i128::from(estimate) - i128::from(limit * per), per)
            })?;
        }
    }
}
