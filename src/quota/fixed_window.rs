//! So many requests per window; the window opens with the first request that finds none open.

use std::num::NonZeroU32;
use std::time::Duration;

/// A quota of `limit` requests per `window`, counted from the first request of each window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FixedWindow {
    /// Requests that one window admits.
    pub limit: NonZeroU32,
    /// Length of a window, above zero.
    pub window: Duration,
}

/// What one key has used up of a [`FixedWindow`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FixedWindowState {
    /// When the open window opened; `None` before the first request.
    opened: Option<Duration>,
    /// Requests that it has admitted.
    admitted: u32,
}

/// What a quota says to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may pass.
    Admitted,
    /// It may not; a request at or after this instant may.
    Refused {
        /// The instant from which a request is admitted again.
        until: Duration,
    },
}

impl FixedWindow {
    /// Judges a request that arrives at `now`, and counts it when it is admitted. A refused request is not counted.
    pub fn admit(&self, state: &mut FixedWindowState, now: Duration) -> Admission {
        let open = state.opened.filter(|opened| now < opened.saturating_add(self.window));
        let Some(opened) = open else {
            *state = FixedWindowState { opened: Some(now), admitted: 1 };
            return Admission::Admitted;
        };
        if state.admitted < self.limit.get() {
            state.admitted += 1;
            return Admission::Admitted;
        }
        Admission::Refused { until: opened.saturating_add(self.window) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn quota(limit: u32, window_s: u64) -> FixedWindow {
        FixedWindow { limit: NonZeroU32::new(limit).unwrap(), window: Duration::from_secs(window_s) }
    }

    #[test]
    fn refuses_until_the_instant_it_named() {
        let (quota, mut state) = (quota(2, 60), FixedWindowState::default());
        let at = |ms| Duration::from_millis(ms);
        assert_eq!(quota.admit(&mut state, at(500)), Admission::Admitted);
        assert_eq!(quota.admit(&mut state, at(900)), Admission::Admitted);
        let until = at(60_500);
        assert_eq!(quota.admit(&mut state, at(1_000)), Admission::Refused { until });
        assert_eq!(
            quota.admit(&mut state, until.saturating_sub(Duration::from_nanos(1))),
            Admission::Refused { until }
        );
        assert_eq!(quota.admit(&mut state, until), Admission::Admitted);
    }

    proptest! {
        #[test]
        fn never_admits_more_than_the_limit_in_a_window_from_an_opening_request(
            limit in 1..20_u32, gaps in proptest::collection::vec(0..2_000_u64, 1..300),
        ) {
            let (quota, mut state) = (quota(limit, 3), FixedWindowState::default());
            let mut now = Duration::ZERO;
            let (mut opened, mut admitted) = (None, 0);
            for gap in gaps {
                now += Duration::from_millis(gap);
                let fresh = opened.is_none_or(|opened: Duration| now >= opened + quota.window);
                if fresh {
                    (opened, admitted) = (Some(now), 0);
                }
                match quota.admit(&mut state, now) {
                    Admission::Admitted => admitted += 1,
                    Admission::Refused { until } => {
                        prop_assert_eq!(admitted, limit, "refused although there was room");
                        prop_assert_eq!(Some(until), opened.map(|opened| opened + quota.window));
                    }
                }
                prop_assert!(admitted <= limit);
            }
        }
    }
}
