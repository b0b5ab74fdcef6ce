//! A sliding window by estimate: two counters instead of a log.

use super::exact::{floor, product};
use super::rule::Rule;
use super::window::{Opens, Window};
use crate::units::Rate;

/// What the window before this one admitted counts in proportion to how much of it is less than one window ago.
pub(super) struct SlidingCounter {
    window: Window,
    estimate: Estimate,
    opens: Opens,
}

/// How what is left of the window before is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Estimate {
    /// In parts of a unit.
    Exact,
    /// In whole units, what is over them forgotten.
    Floored,
}

/// What two windows in a row have admitted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counters {
    /// When the newer one started.
    start: u64,
    /// Units of the older one.
    before: u64,
    /// Units of the newer one.
    now: u64,
}

impl SlidingCounter {
    /// Windows on the clock, an exact estimate.
    pub(super) fn exact(rate: Rate) -> Self {
        Self { window: rate.into(), estimate: Estimate::Exact, opens: Opens::Clock }
    }

    /// Windows on the clock, an estimate in whole units.
    pub(super) fn floored(rate: Rate) -> Self {
        Self { estimate: Estimate::Floored, ..Self::exact(rate) }
    }

    /// Windows that follow each other from the first request on, an estimate in whole units.
    pub(super) fn anchored(rate: Rate) -> Self {
        Self { opens: Opens::FirstRequest, ..Self::floored(rate) }
    }

    /// The counters as they are at an instant.
    fn turn(&self, counters: &Counters, at: u64) -> Counters {
        let per = self.window.per;
        let fresh = Counters { start: at, before: 0, now: 0 };
        let start = match self.opens {
            Opens::Clock => at - at % per,
            Opens::FirstRequest if counters.before == 0 && counters.now == 0 => return fresh,
            Opens::FirstRequest => at - at.saturating_sub(counters.start) % per,
        };
        match start.saturating_sub(counters.start) {
            0 => *counters,
            passed if passed == per => Counters { start, before: counters.now, now: 0 },
            _ if self.opens == Opens::FirstRequest => fresh,
            _ => Counters { start, before: 0, now: 0 },
        }
    }

    /// The first instant of a window at which the rest of the window before leaves so many units; the end of the window
    /// if none does earlier.
    fn leaves(&self, start: u64, before: u64, units: u64) -> u64 {
        let per = self.window.per;
        let parts = u128::from(units) * u128::from(per);
        // In parts: before · (per - e) <= parts, for the smallest e. In whole units, what is less than one more is none.
        let parts = match self.estimate {
            Estimate::Exact => parts,
            Estimate::Floored => parts + u128::from(per - 1),
        };
        let in_sight = u64::try_from(parts / u128::from(before.max(1))).unwrap_or(u64::MAX);
        start.saturating_add(per.saturating_sub(in_sight))
    }
}

impl Rule for SlidingCounter {
    type Used = Counters;

    fn limit(&self) -> u64 {
        self.window.limit
    }

    fn parts(&self) -> u64 {
        self.window.per
    }

    fn room(&self, counters: &Counters, at: u64) -> i128 {
        let Window { limit, per } = self.window;
        let Counters { start, before, now } = self.turn(counters, at);
        let in_sight = product(before, per - at.saturating_sub(start).min(per));
        let in_sight = match self.estimate {
            Estimate::Exact => in_sight,
            Estimate::Floored => product(floor(in_sight, per), per),
        };
        product(limit, per).saturating_sub(in_sight).saturating_sub(product(now, per))
    }

    fn frees(&self, counters: &Counters, at: u64, cost: u64) -> Option<u64> {
        let Window { limit, per } = self.window;
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
        Some(counters.start.saturating_add(self.window.per.saturating_mul(windows)))
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

        #[test]
        fn in_whole_units_never_admits_more_than_the_limit(rate in rates(), script in scripts()) {
            let Window { limit, per } = rate.into();
            check(Model::FlooredCounter { rate }, &script, |noted, now, cost| {
                let before = cost_of(noted, |at| at / per + 1 == now / per);
                let current = cost_of(noted, |at| at / per == now / per);
                (before * (per - now % per) / per + current + cost).saturating_sub(limit)
            })?;
        }

        #[test]
        fn anchored_its_windows_follow_each_other_from_the_first_request_until_two_pass_unused(
            rate in rates(), script in scripts(),
        ) {
            let Window { limit, per } = rate.into();
            check(Model::AnchoredCounter { rate }, &script, |noted, now, cost| {
                let (mut start, mut newest) = (noted.first().map_or(now, |first| first.0), 0);
                for at in noted.iter().map(|noted| noted.0).chain([now]) {
                    let window = (at - start) / per;
                    (start, newest) = if window > newest + 1 { (at, 0) } else { (start, window) };
                }
                let window = |at: u64| at.checked_sub(start).map(|passed| passed / per);
                let this = (now - start) / per;
                let before = cost_of(noted, |at| window(at).is_some_and(|window| window + 1 == this));
                let current = cost_of(noted, |at| window(at) == Some(this));
                (before * (per - (now - start) % per) / per + current + cost).saturating_sub(limit)
            })?;
        }
    }
}
