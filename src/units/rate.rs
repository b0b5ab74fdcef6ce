//! How often something may happen.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use super::{ParseError, format};

/// The longest time that a rate may be given over: a year.
const LONGEST: Duration = Duration::from_hours(24 * 365);

/// So many per so long, such as 300 per minute. Neither part can be zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    count: NonZeroU32,
    per: Duration,
}

impl Rate {
    /// `count` per `per`; `None` when `per` is zero.
    #[must_use]
    pub fn new(count: NonZeroU32, per: Duration) -> Option<Self> {
        (!per.is_zero()).then_some(Self { count, per })
    }

    /// The number of events in one [`per`](Self::per).
    #[must_use]
    pub fn count(self) -> NonZeroU32 {
        self.count
    }

    /// The time in which [`count`](Self::count) events fall.
    #[must_use]
    pub fn per(self) -> Duration {
        self.per
    }

    /// Events per second.
    #[must_use]
    pub fn per_second(self) -> f64 {
        f64::from(self.count.get()) / self.per.as_secs_f64()
    }

    /// The time from one event to the next, rounded up to a nanosecond: the rounded rate is never the higher one.
    #[must_use]
    pub fn period(self) -> Duration {
        let nanos = self.per.as_nanos().div_ceil(u128::from(self.count.get()));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The rate of one of `parts` equal parts.
    #[must_use]
    pub fn part(self, parts: NonZeroU32) -> Self {
        Self { count: self.count, per: self.per.saturating_mul(parts.get()) }
    }
}

impl FromStr for Rate {
    type Err = ParseError;

    /// Reads `300/min`, `50/s` or `20 / 10s`: a whole number, a slash, and a unit of time or a duration.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = || ParseError::Rate(text.to_owned());
        let (count, per) = text.split_once('/').ok_or_else(wrong)?;
        let count: u32 = count.trim().replace('_', "").parse().map_err(|_| wrong())?;
        let per = per.trim();
        let per = if per.starts_with(|c: char| c.is_ascii_digit()) { per.to_owned() } else { format!("1{per}") };
        let per = humantime::parse_duration(&per).map_err(|_| wrong())?;
        if per > LONGEST {
            return Err(ParseError::SlowRate(text.to_owned()));
        }
        NonZeroU32::new(count)
            .and_then(|count| Self::new(count, per))
            .ok_or_else(|| ParseError::ZeroRate(text.to_owned()))
    }
}

impl fmt::Display for Rate {
    /// Exactly, as [`from_str`](Self::from_str) reads it back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.per.as_nanos() {
            1_000_000_000 => "s".to_owned(),
            60_000_000_000 => "min".to_owned(),
            3_600_000_000_000 => "h".to_owned(),
            _ => format::exact_duration(self.per),
        };
        write!(f, "{}/{unit}", self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for text in ["300/min", "50/s", "1/h", "20/10s", "7/1m30s", "5/24h", "1/1ns"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn refuses_what_is_no_rate() {
        for text in ["300", "/s", "0/s", "1/0s", "-1/s", "1.5/s", "5000000000/s", "1/parsec"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_period_is_rounded_up() {
        assert_eq!("3/s".parse::<Rate>().unwrap().period(), Duration::from_nanos(333_333_334));
        assert_eq!("300/min".parse::<Rate>().unwrap().period(), Duration::from_millis(200));
    }
}
