//! Hours of the day in which something is allowed.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::ParseError;

const DAY_S: u64 = 86_400;
const DAY_MINUTES: u16 = 1_440;

/// The offset from UTC that a place on earth can have, in minutes.
const MOST_OFFSET: i16 = 14 * 60;

/// A part of every day, at an offset from UTC: `23:00-05:00`, or `23:00-05:00 +02:00`.
///
/// It is shorter than a day and longer than nothing, and may go over midnight. An offset stays the same all year: who
/// means a place with summer time writes the offset of the season.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    /// Minutes after midnight, of the offset's own clock; the end is not part of it.
    from: u16,
    to: u16,
    /// Minutes that the offset's clock is ahead of UTC.
    offset: i16,
}

impl Hours {
    /// Whether an instant, as the time since 1970-01-01T00:00:00Z, lies in it.
    #[must_use]
    pub fn contains(&self, now: Duration) -> bool {
        self.since_open(now) < self.length()
    }

    /// The time until it opens; zero where it is open.
    #[must_use]
    pub fn until_open(&self, now: Duration) -> Duration {
        if self.contains(now) {
            Duration::ZERO
        } else {
            Duration::from_secs(DAY_S).saturating_sub(self.since_open(now))
        }
    }

    /// The time until it closes; zero where it is closed.
    #[must_use]
    pub fn until_close(&self, now: Duration) -> Duration {
        self.length().saturating_sub(self.since_open(now))
    }

    /// The time since it last opened, less than a day.
    fn since_open(self, now: Duration) -> Duration {
        let opens_s = (i64::from(self.from) - i64::from(self.offset)).rem_euclid(i64::from(DAY_MINUTES)) * 60;
        let seconds = (now.as_secs() % DAY_S + DAY_S - opens_s.unsigned_abs()) % DAY_S;
        Duration::new(seconds, now.subsec_nanos())
    }

    fn length(self) -> Duration {
        Duration::from_mins(u64::from((self.to + DAY_MINUTES - self.from) % DAY_MINUTES))
    }
}

impl FromStr for Hours {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let parsed = || {
            let (span, offset) = match text.trim().split_once(' ') {
                Some((span, offset)) => (span, offset_of(offset.trim())?),
                None => (text.trim(), 0),
            };
            let (from, to) = span.split_once('-')?;
            let (from, to) = (minute(from)?, minute(to)?);
            let hours = Self { from: from % DAY_MINUTES, to: to % DAY_MINUTES, offset };
            (from < DAY_MINUTES && hours.from != hours.to).then_some(hours)
        };
        parsed().ok_or_else(|| ParseError::Hours(text.to_owned()))
    }
}

/// Minutes after midnight of a time such as `23:00`, up to 24:00.
fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str| {
        let is_plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        is_plain.then(|| text.parse::<u16>().ok())?
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (minutes < 60 && hours * 60 + minutes <= DAY_MINUTES).then_some(hours * 60 + minutes)
}

/// Minutes of an offset such as `+02:00`.
fn offset_of(text: &str) -> Option<i16> {
    let (sign, time) = if let Some(time) = text.strip_prefix('-') { (-1, time) } else { (1, text.strip_prefix('+')?) };
    let minutes = i16::try_from(minute(time)?).ok()?;
    (minutes <= MOST_OFFSET).then_some(sign * minutes)
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [from, to] = [self.from, self.to].map(|minute| format!("{:02}:{:02}", minute / 60, minute % 60));
        write!(f, "{from}-{to} ")?;
        if self.offset == 0 {
            return f.write_str("UTC");
        }
        let sign = if self.offset < 0 { '-' } else { '+' };
        let offset = self.offset.unsigned_abs();
        write!(f, "{sign}{:02}:{:02}", offset / 60, offset % 60)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hours(text: &str) -> Hours {
        text.parse().unwrap()
    }

    /// A time of some day.
    fn at(hour: u64, minute: u64) -> Duration {
        Duration::from_secs(20_000 * DAY_S + hour * 3_600 + minute * 60)
    }

    #[test]
    fn a_window_over_midnight_holds_both_sides_of_it() {
        let night = hours("23:00-05:00");
        let inside = [(22, 59), (23, 0), (0, 0), (4, 59), (5, 0), (12, 0)].map(|(h, m)| night.contains(at(h, m)));
        assert_eq!(inside, [false, true, true, true, false, false]);
        assert_eq!(night.until_open(at(5, 0)), Duration::from_hours(18));
        assert_eq!(night.until_close(at(23, 0)), Duration::from_hours(6));
    }

    #[test]
    fn an_offset_moves_the_window() {
        assert!(hours("23:00-05:00 +02:00").contains(at(21, 0)));
        assert!(!hours("23:00-05:00 +02:00").contains(at(3, 0)));
        assert!(hours("08:00-09:00 -05:30").contains(at(13, 30)));
        assert_eq!(hours("08:00-24:00 -05:30").to_string(), "08:00-00:00 -05:30");
        assert_eq!(hours(" 23:00-05:00").to_string(), "23:00-05:00 UTC");
    }

    #[test]
    fn what_is_no_window_is_refused() {
        for wrong in [
            "",
            "23-5",
            "23:00",
            "23:00-23:00",
            "00:00-24:00",
            "24:00-05:00",
            "25:00-05:00",
            "23:60-05:00",
            "23:00-05:00 CET",
            "23:00-05:00 +15:00",
            "23:00-05:00 02:00",
            "1:00-2:00",
            "+1:00-02:00",
        ] {
            assert!(wrong.parse::<Hours>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn it_is_open_or_opens_next_and_what_opens_closes(
            from in 0..DAY_MINUTES, length in 1..DAY_MINUTES, offset in -MOST_OFFSET..=MOST_OFFSET, now_ms in 0..u64::MAX / 2_000,
        ) {
            let hours = Hours { from, to: (from + length) % DAY_MINUTES, offset };
            let now = Duration::from_millis(now_ms);
            let opens = now + hours.until_open(now);
            prop_assert!(hours.contains(opens));
            prop_assert_eq!(hours.contains(now), hours.until_open(now).is_zero());
            prop_assert_eq!(hours.contains(now), !hours.until_close(now).is_zero());
            let closes = opens + hours.until_close(opens);
            prop_assert!(!hours.contains(closes));
            prop_assert!(hours.contains(closes.saturating_sub(Duration::from_nanos(1))));
            if !hours.contains(now) {
                prop_assert_eq!(hours.until_close(opens), Duration::from_mins(length.into()));
                prop_assert!(!hours.contains(opens.saturating_sub(Duration::from_nanos(1))));
            }
            let shown = hours.to_string().replace(" UTC", "");
            prop_assert_eq!(shown.parse::<Hours>().unwrap(), hours);
        }
    }
}
