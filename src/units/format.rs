//! Numbers to text: every number that a person reads goes through here and bears its unit.

use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

/// Microseconds as a duration with three significant digits: `742us`, `1.23ms`, `45.6s`.
#[must_use]
pub fn micros(value_us: u64) -> String {
    duration(Duration::from_micros(value_us))
}

/// A duration with three significant digits and one unit: `0us`, `742us`, `1.23ms`, `45.6s`, `3m20s`.
#[must_use]
pub fn duration(value: Duration) -> String {
    let seconds = value.as_secs_f64();
    if seconds >= 120.0 {
        let whole = value.as_secs();
        return if whole >= 3600 {
            format!("{}h{:02}m", whole / 3600, whole / 60 % 60)
        } else {
            format!("{}m{:02}s", whole / 60, whole % 60)
        };
    }
    if seconds >= 0.999_5 {
        significant(seconds) + "s"
    } else if seconds >= 0.000_999_5 {
        significant(seconds * 1e3) + "ms"
    } else {
        format!("{:.0}us", seconds * 1e6)
    }
}

/// A duration to the last nanosecond, as [`parse_duration`](super::parse_duration) reads it back: `20ms`, `1m30s`, `24h`.
#[must_use]
pub fn exact_duration(value: Duration) -> String {
    const UNITS: [(u128, &str); 6] = [
        (3_600_000_000_000, "h"),
        (60_000_000_000, "m"),
        (1_000_000_000, "s"),
        (1_000_000, "ms"),
        (1_000, "us"),
        (1, "ns"),
    ];
    let mut text = String::new();
    let mut rest = value.as_nanos();
    for (length, unit) in UNITS {
        if rest >= length {
            let _ = write!(text, "{}{unit}", rest / length);
            rest %= length;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Seconds as a [`duration`]; what is no length of time, as 0.
#[must_use]
pub fn seconds(value: f64) -> String {
    duration(Duration::try_from_secs_f64(value).unwrap_or_default())
}

/// Seconds since 1970 as a UTC time stamp to the second: `2026-11-21T13:45:01Z`; beyond 1970 to 9999, the nearer end.
#[must_use]
pub fn utc(unix_s: f64) -> String {
    const LAST_S: f64 = 253_402_300_799.0;
    let since = Duration::try_from_secs_f64(unix_s.clamp(0.0, LAST_S)).unwrap_or_default();
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string()
}

/// A count with its thousands set apart: `1,234,567`.
#[must_use]
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share as a percentage with as many digits as tell it from zero: `0%`, `0.034%`, `1.25%`, `100%`.
#[must_use]
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        p if p <= 0.0 => "0%".to_owned(),
        p if p < 0.1 => format!("{p:.3}%"),
        p if p < 10.0 => format!("{p:.2}%"),
        p if p < 99.95 => format!("{p:.1}%"),
        p => format!("{p:.0}%"),
    }
}

/// A rate per second: `44.9/s`, `1,234/s`.
#[must_use]
pub fn per_second(rate: f64) -> String {
    if rate >= 1000.0 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rate is positive and far below 2^64"
        )]
        let whole = rate.round() as u64;
        format!("{}/s", count(whole))
    } else {
        significant(rate) + "/s"
    }
}

/// Seconds with the interval that they may be in, with as many digits as that leaves them: `60.00s (59.98s to 60.02s)`.
#[must_use]
pub fn seconds_within(value: f64, low: f64, high: f64) -> String {
    let (factor, unit) = match value {
        v if v >= 1.0 => (1.0, "s"),
        v if v >= 1e-3 => (1e3, "ms"),
        _ => (1e6, "us"),
    };
    within([value, low, high].map(|value| value * factor), unit)
}

/// A rate per second with the interval that it may be in; slow ones per minute or hour: `5.000/s (4.998/s to 5.002/s)`.
#[must_use]
pub fn rate_within(value: f64, low: f64, high: f64) -> String {
    let (factor, unit) = match value {
        v if v >= 1.0 => (1.0, "/s"),
        v if v >= 1.0 / 60.0 => (60.0, "/min"),
        _ => (3_600.0, "/h"),
    };
    within([value, low, high].map(|value| value * factor), unit)
}

/// A value and the ends of its interval with the digits that tell them apart; the value alone where nothing does.
fn within([value, low, high]: [f64; 3], unit: &str) -> String {
    const MOST_DECIMALS: usize = 9;
    let half = (high - low) / 2.0;
    if half.is_nan() || half <= 0.0 {
        return significant(value) + unit;
    }
    let tells = |decimals: &usize| (0..*decimals).fold(half, |half, _| half * 10.0) >= 1.0;
    let decimals = (0..=MOST_DECIMALS).find(tells).unwrap_or(MOST_DECIMALS);
    let [value, low, high] = [value, low, high].map(|number| format!("{number:.decimals$}{unit}"));
    if low == high { value } else { format!("{value} ({low} to {high})") }
}

/// A size in binary units: `512 KiB`, `3.4 MiB`.
#[must_use]
pub fn bytes(value: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    let mut size = value as f64;
    let mut units = ["B", "KiB", "MiB", "GiB", "TiB"].iter();
    let mut unit = units.next().copied().unwrap_or("B");
    for next in units {
        if size < 1024.0 {
            break;
        }
        size /= 1024.0;
        unit = next;
    }
    format!("{} {unit}", significant(size))
}

/// Three significant digits for numbers below 1,000, whole numbers above.
fn significant(value: f64) -> String {
    let decimals = match value.abs() {
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::units::parse_duration;

    #[test]
    fn an_exact_duration_has_no_more_parts_than_it_needs() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (20_000_000, "20ms"),
            (90_000_000_000, "1m30s"),
            (86_400_000_000_000, "24h"),
            (3_600_000_001_001, "1h1us1ns"),
        ] {
            assert_eq!(exact_duration(Duration::from_nanos(nanos)), text);
        }
    }

    proptest! {
        #[test]
        fn an_exact_duration_is_read_back_to_the_nanosecond(nanos: u64) {
            let value = Duration::from_nanos(nanos);
            prop_assert_eq!(parse_duration(&exact_duration(value)), Ok(value));
        }
    }

    #[test]
    fn a_duration_has_three_digits_and_one_unit() {
        for (us, text) in [
            (0, "0us"),
            (742, "742us"),
            (1_000, "1.00ms"),
            (12_345, "12.3ms"),
            (999_900, "1.00s"),
            (45_600_000, "45.6s"),
        ] {
            assert_eq!(micros(us), text);
        }
        assert_eq!(duration(Duration::from_secs(200)), "3m20s");
        assert_eq!(duration(Duration::from_mins(62)), "1h02m");
    }

    #[test]
    fn an_interval_has_the_digits_that_it_leaves() {
        for ((value, low, high), text) in [
            ((60.0, 59.98, 60.02), "60.00s (59.98s to 60.02s)"),
            ((3_600.0, 3_590.0, 3_615.0), "3600s (3590s to 3615s)"),
            ((0.2, 0.199_98, 0.200_03), "200.00ms (199.98ms to 200.03ms)"),
            ((1.0, 1.0, 1.0), "1.00s"),
            ((60.0, f64::NAN, 60.02), "60.0s"),
        ] {
            assert_eq!(seconds_within(value, low, high), text);
        }
        assert_eq!(rate_within(5.0, 4.998, 5.002), "5.000/s (4.998/s to 5.002/s)");
        assert_eq!(rate_within(0.05, 0.049, 0.051), "3.00/min (2.94/min to 3.06/min)");
        assert_eq!(rate_within(0.001, 0.001, 0.001), "3.60/h");
    }

    #[test]
    fn times_that_are_none_do_no_harm() {
        assert_eq!(seconds(2.5), "2.50s");
        assert_eq!((seconds(-1.0), seconds(f64::NAN)), ("0us".to_owned(), "0us".to_owned()));
        assert_eq!(utc(1_795_268_701.9), "2026-11-21T13:45:01Z");
        assert_eq!((utc(f64::NAN), utc(-5.0)), ("1970-01-01T00:00:00Z".to_owned(), "1970-01-01T00:00:00Z".to_owned()));
        assert_eq!(utc(1e300), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn counts_and_shares_read_well() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
        for (share, text) in [(0.0, "0%"), (0.000_34, "0.034%"), (0.0125, "1.25%"), (0.5, "50.0%"), (1.0, "100%")] {
            assert_eq!(percent(share), text);
        }
        assert_eq!(per_second(44.94), "44.9/s");
        assert_eq!(per_second(12_345.6), "12,346/s");
        assert_eq!(bytes(3_565_158), "3.40 MiB");
    }
}
