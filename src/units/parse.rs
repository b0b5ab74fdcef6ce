//! Text to numbers, with errors that say what to write instead.

use std::time::Duration;

/// Why a number with a unit could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not a duration.
    #[error("`{0}` is no duration; write a number with a unit, such as \"30s\", \"250ms\" or \"1h30m\"")]
    Duration(String),
    /// Not a rate.
    #[error("`{0}` is no rate; write a whole number per time, such as \"300/min\" or \"50/s\"")]
    Rate(String),
    /// A rate of nothing per time, or of something in no time.
    #[error("`{0}` is a rate of zero or over no time; use at least 1/h")]
    ZeroRate(String),
    /// A rate over more than a year.
    #[error("`{0}` is a rate over more than a year; use a shorter time")]
    SlowRate(String),
    /// Not a share.
    #[error("`{0}` is no share; write a percentage from \"0%\" to \"100%\"")]
    Share(String),
    /// Not a part of the day.
    #[error(
        "`{0}` is no part of the day; write two different times in UTC, such as \"23:00-05:00\", or with an offset, such \
         as \"23:00-05:00 +02:00\""
    )]
    Hours(String),
}

/// Reads a duration such as `30s`, `250ms` or `1h30m`; a bare number is refused, because its unit would be a guess.
///
/// # Errors
/// [`ParseError::Duration`] when the text is anything else.
pub fn parse_duration(text: &str) -> Result<Duration, ParseError> {
    let trimmed = text.trim();
    let bare = trimmed.chars().all(|c| c.is_ascii_digit());
    match humantime::parse_duration(trimmed) {
        Ok(duration) if !bare => Ok(duration),
        _ => Err(ParseError::Duration(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_needs_its_unit() {
        assert_eq!(parse_duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration(" 250ms "), Ok(Duration::from_millis(250)));
        for wrong in ["", "30", "0", "ten seconds", "-1s", "1x", "99999999999999999999s"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }
}
