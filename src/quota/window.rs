//! Fixed windows: so many units per window, and at its end all of them are forgotten at once.

use super::exact::nanos;
use super::rule::Rule;
use crate::units::Rate;

/// So many units per so long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    /// Units.
    pub(super) limit: u64,
    /// Nanoseconds, above zero.
    pub(super) per: u64,
}

/// So many units per window, however its windows follow each other.
#[derive(Debug, Clone, Copy)]
pub(super) struct FixedWindow {
    window: Window,
    opens: Opens,
}

/// When a window opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opens {
    /// With the first arrival that finds none open.
    FirstRequest,
    /// When the last one ends, from the start of time on.
    Clock,
}

/// The window that is open, or was open last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Open {
    /// The first instant after it; zero when there was none yet.
    end: u64,
    /// Units that it has admitted.
    cost: u64,
}

impl From<Rate> for Window {
    fn from(rate: Rate) -> Self {
        Self { limit: rate.count().get().into(), per: nanos(rate.per()) }
    }
}

impl FixedWindow {
    pub(super) fn from_first_request(rate: Rate) -> Self {
        Self { window: rate.into(), opens: Opens::FirstRequest }
    }

    pub(super) fn on_clock(rate: Rate) -> Self {
        Self { window: rate.into(), opens: Opens::Clock }
    }

    /// The end of the window that opens at an instant, or on the clock has opened before.
    fn end(self, at: u64) -> u64 {
        let start = match self.opens {
            Opens::FirstRequest => at,
            Opens::Clock => at - at % self.window.per,
        };
        start.saturating_add(self.window.per)
    }
}

impl Rule for FixedWindow {
    type Used = Open;

    fn limit(&self) -> u64 {
        self.window.limit
    }

    fn room(&self, open: &Open, at: u64) -> i128 {
        let used = if at < open.end { open.cost } else { 0 };
        i128::from(self.window.limit) - i128::from(used)
    }

    fn frees(&self, open: &Open, _at: u64, _cost: u64) -> Option<u64> {
        Some(open.end)
    }

    fn add(&self, open: &mut Open, at: u64, cost: u64) {
        if at >= open.end {
            *open = Open { end: self.end(at), cost: 0 };
        }
        open.cost = open.cost.saturating_add(cost);
    }

    fn idle_from(&self, open: &Open) -> Option<u64> {
        Some(open.end)
    }

    /// On the clock a window is always open, whether or not anything is used of it.
    fn reset(&self, open: &Open, at: u64) -> u64 {
        let end = match self.opens {
            Opens::FirstRequest => open.end,
            Opens::Clock => self.end(at),
        };
        end.saturating_sub(at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::scripts::{check, cost_of, rates, scripts};
    use super::super::{Admission, Arrival, Limiter, Model};
    use super::*;
    use crate::units::Duration;

    #[test]
    fn refuses_until_the_instant_it_named() {
        let limiter = Limiter::new(Model::FirstRequestWindow { rate: "2/min".parse().unwrap() });
        let mut state = limiter.fresh();
        let arrival = |ms| Arrival { at: Duration::from_millis(ms), cost: 1 };
        limiter.note_admitted(&mut state, arrival(500));
        limiter.note_admitted(&mut state, arrival(900));
        let until = Some(Duration::from_millis(60_500));
        assert_eq!(limiter.judge(&state, arrival(1_000)), Admission::Refused { until });
        assert_eq!(limiter.judge(&state, arrival(60_499)), Admission::Refused { until });
        assert_eq!(limiter.judge(&state, arrival(60_500)), Admission::Admitted { delay: Duration::ZERO });
    }

    #[test]
    fn a_window_on_the_clock_ends_whenever_it_was_first_used() {
        let limiter = Limiter::new(Model::ClockWindow { rate: "2/min".parse().unwrap() });
        let mut state = limiter.fresh();
        let arrival = |s| Arrival { at: Duration::from_secs(s), cost: 2 };
        limiter.note_admitted(&mut state, arrival(59));
        assert_eq!(limiter.judge(&state, arrival(59)), Admission::Refused { until: Some(Duration::from_mins(1)) });
        assert_eq!(limiter.judge(&state, arrival(60)), Admission::Admitted { delay: Duration::ZERO });
        assert_eq!(limiter.usage(&state, Duration::from_secs(70)).reset, Duration::from_secs(50));
    }

    #[test]
    fn a_refused_request_opens_a_window_where_it_counts() {
        let model = Model::FirstRequestWindow { rate: "1/s".parse().unwrap() };
        let limiter = Limiter { counts_refused: true, ..Limiter::new(model) };
        let mut state = limiter.fresh();
        limiter.note_refused(&mut state, Arrival { at: Duration::from_millis(300), cost: 1 }, false);
        let until = Some(Duration::from_millis(1_300));
        let later = Arrival { at: Duration::from_millis(400), cost: 1 };
        assert_eq!(limiter.judge(&state, later), Admission::Refused { until });
    }

    proptest! {
        #[test]
        fn never_admits_more_than_the_limit_in_a_window_from_an_opening_request(rate in rates(), script in scripts()) {
            let Window { limit, per } = rate.into();
            check(Model::FirstRequestWindow { rate }, &script, |noted, at, cost| {
                let mut opened = noted.first().map_or(at, |first| first.0);
                while opened + per <= at {
                    opened = noted.iter().map(|noted| noted.0).find(|at| *at >= opened + per).unwrap_or(at);
                }
                (cost_of(noted, |at| at >= opened) + cost).saturating_sub(limit)
            })?;
        }

        #[test]
        fn never_admits_more_than_the_limit_in_a_window_on_the_clock(rate in rates(), script in scripts()) {
            let Window { limit, per } = rate.into();
            check(Model::ClockWindow { rate }, &script, |noted, now, cost| {
                (cost_of(noted, |at| at / per == now / per) + cost).saturating_sub(limit)
            })?;
        }
    }
}
