//! A part of a whole.

use std::fmt;
use std::str::FromStr;

use super::ParseError;

/// A part of a whole, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct Share(f64);

impl Share {
    /// Nothing.
    pub const NONE: Self = Self(0.0);

    /// Everything.
    pub const ALL: Self = Self(1.0);

    /// `None` when the value is not from 0 to 1.
    #[must_use]
    pub fn new(value: f64) -> Option<Self> {
        (0.0..=1.0).contains(&value).then_some(Self(value))
    }

    /// The share as a number from 0 to 1.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }

    /// So much of `whole`, rounded to the nearest whole number.
    #[must_use]
    pub fn of(self, whole: u64) -> u64 {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a count is from 0 to the count; beyond 2^53 it is rounded further"
        )]
        let part = (self.0 * whole as f64).round() as u64;
        part.min(whole)
    }
}

impl FromStr for Share {
    type Err = ParseError;

    /// Reads `5%` or `0.2%`.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        // The point is moved in the text, because a division would round a second time.
        text.trim()
            .strip_suffix('%')
            .and_then(|percent| format!("{}e-2", percent.trim()).parse().ok())
            .and_then(Self::new)
            .ok_or_else(|| ParseError::Share(text.to_owned()))
    }
}

impl fmt::Display for Share {
    /// Exactly, as [`from_str`](Self::from_str) reads it back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The shortest text that tells the number from all others has no exponent; adding zero takes the sign of -0.
        let text = (self.0 + 0.0).to_string();
        let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
        let (whole_of_percent, decimals) = decimals.split_at(decimals.len().min(2));
        let whole = format!("{whole}{whole_of_percent:0<2}");
        let point = if decimals.is_empty() { "" } else { "." };
        match whole.trim_start_matches('0') {
            "" => write!(f, "0{point}{decimals}%"),
            whole => write!(f, "{whole}{point}{decimals}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_percentages_only() {
        assert_eq!("5%".parse::<Share>().unwrap(), Share::new(0.05).unwrap());
        for wrong in ["0.05", "101%", "-1%", "NaN%", "inf%", "1e1%", "%", ""] {
            assert!(wrong.parse::<Share>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn writes_percentages_without_the_noise_of_binary_fractions() {
        for (share, text) in
            [(0.0, "0%"), (-0.0, "0%"), (0.07, "7%"), (0.125, "12.5%"), (0.000_3, "0.03%"), (0.2, "20%"), (1.0, "100%")]
        {
            assert_eq!(Share::new(share).unwrap().to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn reads_back_exactly_what_it_writes(share in prop_oneof![0.0..=1.0, 0.0..=1e-12, Just(f64::MIN_POSITIVE)]) {
            let share = Share::new(share).unwrap();
            prop_assert_eq!(share.to_string().parse(), Ok(share));
        }
    }
}
