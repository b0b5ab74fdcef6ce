//! The closed model: how many users are on stage at any time, and so when each of them may start an operation.

use std::time::Duration;

use super::Window;

/// A stretch of the schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// So many users all the time; missing ones enter evenly over `spread`, surplus ones leave at once.
    Hold {
        /// Length of the stage.
        length: Duration,
        /// Users on stage.
        users: u32,
        /// The time over which missing users enter; at most the length counts.
        spread: Duration,
    },
    /// From the users of the stage before (none at first) evenly to so many.
    Ramp {
        /// Length of the stage.
        length: Duration,
        /// Users on stage at its end.
        to: u32,
    },
}

/// A line of the level over time: from `from` users at `start` to `to` users at `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    start: Duration,
    end: Duration,
    from: u32,
    to: u32,
}

/// All stages of a run, one after the other.
///
/// User `u` (counted from 0) is on stage while the level is above `u`: the first to come are the last to leave.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stages {
    segments: Vec<Segment>,
}

impl Stages {
    /// Puts the stages one after the other.
    #[must_use]
    pub fn new(stages: &[Stage]) -> Self {
        let mut this = Self::default();
        let mut level = 0;
        for stage in stages {
            match *stage {
                Stage::Ramp { length, to } => this.push(length, level, to),
                Stage::Hold { length, users, spread } => {
                    let rise = if users > level { spread.min(length) } else { Duration::ZERO };
                    this.push(rise, level, users);
                    this.push(length.saturating_sub(rise), users, users);
                }
            }
            level = match *stage {
                Stage::Ramp { to, .. } => to,
                Stage::Hold { users, .. } => users,
            };
        }
        this
    }

    fn push(&mut self, length: Duration, from: u32, to: u32) {
        if !length.is_zero() {
            let start = self.length();
            self.segments.push(Segment { start, end: start.saturating_add(length), from, to });
        }
    }

    /// The length of all stages together.
    #[must_use]
    pub fn length(&self) -> Duration {
        self.segments.last().map_or(Duration::ZERO, |last| last.end)
    }

    /// Whether the same number of users is on stage in all of a window.
    #[must_use]
    pub fn is_level_in(&self, window: Window) -> bool {
        let inside = self.segments.iter().filter(|segment| segment.end > window.from && segment.start < window.to);
        let mut levels = inside.flat_map(|segment| [segment.from, segment.to]);
        let first = levels.next();
        levels.all(|level| Some(level) == first)
    }

    /// The most users that are on stage at one time.
    #[must_use]
    pub fn max_users(&self) -> u32 {
        self.segments.iter().map(|segment| segment.from.max(segment.to)).max().unwrap_or(0)
    }

    /// The earliest time, not before `after`, at which `user` is on stage; `None` when there is none.
    #[must_use]
    pub fn next_start(&self, user: u32, after: Duration) -> Option<Duration> {
        self.segments.iter().filter(|segment| segment.end > after).find_map(|segment| segment.next_start(user, after))
    }
}

impl Segment {
    fn next_start(&self, user: u32, after: Duration) -> Option<Duration> {
        let after = after.max(self.start);
        let on_stage = if self.from <= self.to {
            // A rising level reaches user u after (u - from) / (to - from) of the segment.
            if user >= self.to {
                return None;
            }
            self.crossing(user.saturating_sub(self.from), self.to - self.from)..self.end
        } else {
            // A falling level leaves user u behind where it reaches u.
            if user >= self.from {
                return None;
            }
            self.start..self.crossing(self.from - user.max(self.to), self.from - self.to)
        };
        let start = after.max(on_stage.start);
        (start < on_stage.end).then_some(start)
    }

    /// The time at which `part` of `whole` of the segment has passed, to the nanosecond.
    fn crossing(&self, part: u32, whole: u32) -> Duration {
        if whole == 0 {
            return self.start;
        }
        let nanos = self.end.saturating_sub(self.start).as_nanos() * u128::from(part) / u128::from(whole);
        self.start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn hold(length: u64, users: u32, spread: u64) -> Stage {
        Stage::Hold { length: s(length), users, spread: s(spread) }
    }

    #[test]
    fn users_enter_evenly_over_the_spread() {
        let stages = Stages::new(&[hold(30, 4, 2)]);
        let starts: Vec<_> = (0..5).map(|user| stages.next_start(user, s(0))).collect();
        let ms = |ms| Some(Duration::from_millis(ms));
        assert_eq!(starts, [ms(0), ms(500), ms(1000), ms(1500), None]);
    }

    #[test]
    fn a_user_stays_until_the_end_and_no_longer() {
        let stages = Stages::new(&[hold(30, 4, 0)]);
        assert_eq!(stages.next_start(0, s(29)), Some(s(29)));
        assert_eq!(stages.next_start(0, s(30)), None);
        assert_eq!((stages.length(), stages.max_users()), (s(30), 4));
    }

    #[test]
    fn a_ramp_rises_and_falls() {
        let stages =
            Stages::new(&[Stage::Ramp { length: s(10), to: 10 }, hold(5, 10, 0), Stage::Ramp { length: s(10), to: 0 }]);
        assert_eq!(stages.next_start(5, s(0)), Some(s(5)));
        assert_eq!(stages.next_start(5, s(19)), Some(s(19)));
        assert_eq!(stages.next_start(5, s(20)), None);
        assert_eq!(stages.next_start(0, s(24)), Some(s(24)));
    }

    #[test]
    fn users_leave_at_once_and_come_back() {
        let stages = Stages::new(&[hold(10, 3, 0), hold(10, 1, 0), hold(10, 3, 0)]);
        assert_eq!(stages.next_start(2, s(9)), Some(s(9)));
        assert_eq!(stages.next_start(2, s(10)), Some(s(20)));
        assert_eq!(stages.next_start(0, s(15)), Some(s(15)));
    }

    #[test]
    fn a_level_is_that_of_the_window_alone() {
        let stages = Stages::new(&[hold(10, 4, 2), hold(10, 8, 1), Stage::Ramp { length: s(10), to: 0 }]);
        for (from, to, is_level) in [(2, 10, true), (1, 10, false), (2, 11, false), (11, 20, true), (11, 21, false)] {
            assert_eq!(stages.is_level_in(Window { from: s(from), to: s(to) }), is_level, "{from} to {to}");
        }
    }

    #[test]
    fn no_stages_mean_no_users() {
        let stages = Stages::new(&[]);
        assert_eq!((stages.length(), stages.max_users(), stages.next_start(0, s(0))), (s(0), 0, None));
    }

    fn any_stage() -> impl Strategy<Value = Stage> {
        prop_oneof![
            (0..20_u64, 0..9_u32, 0..30_u64).prop_map(|(length, users, spread)| hold(length, users, spread)),
            (0..20_u64, 0..9_u32).prop_map(|(length, to)| Stage::Ramp { length: s(length), to }),
        ]
    }

    proptest! {
        #[test]
        fn a_start_never_goes_back_and_is_a_fixed_point(
            stages in proptest::collection::vec(any_stage(), 0..6), user in 0..9_u32, after_ms in 0..100_000_u64,
        ) {
            let stages = Stages::new(&stages);
            let after = Duration::from_millis(after_ms);
            if let Some(start) = stages.next_start(user, after) {
                prop_assert!(start >= after && start < stages.length());
                prop_assert_eq!(stages.next_start(user, start), Some(start));
                if user > 0 {
                    prop_assert!(stages.next_start(user - 1, start) == Some(start), "lower users are on stage too");
                }
            }
        }
    }
}
