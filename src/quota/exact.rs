//! Whole nanoseconds and parts of a unit: arithmetic that loses nothing, and saturates where no number is large enough.

use std::time::Duration;

/// A time in nanoseconds; beyond 584 years, as many as there are numbers for.
pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The product of two counts.
pub(super) fn product(a: u64, b: u64) -> i128 {
    // Two 64-bit factors always fit into 128 bits, but not always beside a sign.
    i128::try_from(u128::from(a) * u128::from(b)).unwrap_or(i128::MAX)
}

/// A quotient rounded up to a whole count; zero for what is not above zero.
pub(super) fn ceil(dividend: i128, divisor: u64) -> u64 {
    let positive = u128::try_from(dividend).unwrap_or(0);
    u64::try_from(positive.div_ceil(u128::from(divisor))).unwrap_or(u64::MAX)
}

/// A quotient rounded down to a whole count; zero for what is not above zero.
pub(super) fn floor(dividend: i128, divisor: u64) -> u64 {
    let positive = u128::try_from(dividend).unwrap_or(0);
    u64::try_from(positive / u128::from(divisor)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_large_saturates() {
        assert_eq!(nanos(Duration::MAX), u64::MAX);
        assert_eq!(product(u64::MAX, u64::MAX), i128::MAX);
        assert_eq!((ceil(i128::MAX, 1), floor(i128::MAX, 1)), (u64::MAX, u64::MAX));
    }

    #[test]
    fn quotients_are_rounded_as_named_and_never_below_zero() {
        assert_eq!((ceil(7, 3), floor(7, 3), ceil(6, 3), floor(6, 3)), (3, 2, 2, 2));
        assert_eq!((ceil(-7, 3), floor(-7, 3), ceil(0, 3), floor(0, 3)), (0, 0, 0, 0));
    }
}
