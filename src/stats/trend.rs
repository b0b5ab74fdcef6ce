//! Whether a series rises or falls all the time, and how steeply.

use std::cmp::Ordering;

use statrs::distribution::{ContinuousCDF, Normal};

/// What the test of Mann and Kendall says about a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trend {
    /// Pairs in which the later value is the larger one, less those in which it is the smaller one.
    pub s: i64,
    /// The variance of `s` where the values are independent and there is no trend.
    pub variance: f64,
    /// `s` in standard deviations, one step nearer to zero because `s` is a whole number; 0 where all values are equal.
    pub z: f64,
    /// The probability of a `z` at least as far from zero without a trend, 0 to 1.
    pub p_value: f64,
}

/// The two-sided test of Mann and Kendall for a monotone trend, with the correction for ties; `None` for fewer than three
/// values, or when one of them is no number.
///
/// The normal approximation is good from ten values on. The values are taken as independent: neighbours that are alike
/// make false alarms more frequent. Takes time by the square of the number of values. Sources: H. B. Mann, Econometrica
/// 13 (1945); M. G. Kendall, Rank Correlation Methods (4th edition, 1970), chapter 4 for the ties.
#[must_use]
pub fn mann_kendall(values: &[f64]) -> Option<Trend> {
    if values.len() < 3 || values.iter().any(|value| value.is_nan()) {
        return None;
    }
    let mut s = 0_i64;
    for (i, earlier) in values.iter().enumerate() {
        for later in &values[i + 1..] {
            s += match later.partial_cmp(earlier) {
                Some(Ordering::Greater) => 1,
                Some(Ordering::Less) => -1,
                _ => 0,
            };
        }
    }
    let spread = |n: usize| {
        let n = float(n);
        n * (n - 1.0) * (2.0 * n + 5.0)
    };
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let ties: f64 =
        sorted.chunk_by(|a, b| a.partial_cmp(b) == Some(Ordering::Equal)).map(|tie| spread(tie.len())).sum();
    let variance = (spread(values.len()) - ties) / 18.0;
    #[expect(clippy::cast_precision_loss, reason = "pairs of values stay far below 2^53")]
    let z = if s == 0 { 0.0 } else { (s - s.signum()) as f64 / variance.sqrt() };
    Some(Trend { s, variance, z, p_value: (2.0 * Normal::standard().sf(z.abs())).min(1.0) })
}

/// The slope of a series per step: the median of the slopes between all pairs of values; `None` for fewer than two
/// values.
///
/// Three in ten values may be wild without spoiling it. Takes time and memory by the square of the number of values.
/// Sources: H. Theil, Indagationes Mathematicae 12 (1950); P. K. Sen, Journal of the American Statistical Association 63
/// (1968).
#[must_use]
pub fn theil_sen(values: &[f64]) -> Option<f64> {
    let slopes = values.iter().enumerate().flat_map(|(i, earlier)| {
        values[i + 1..].iter().enumerate().map(move |(steps, later)| (later - earlier) / float(steps + 1))
    });
    median(&slopes.collect::<Vec<_>>())
}

/// The middle value, or the mean of the two in the middle; `None` without values.
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = sorted[(sorted.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}

#[expect(clippy::cast_precision_loss, reason = "the length of a series stays far below 2^53")]
fn float(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn assert_trend(values: &[f64], s: i64, variance: f64, z: f64, p_value: f64) {
        let trend = mann_kendall(values).unwrap();
        assert_eq!(trend.s, s, "{values:?}");
        for (found, expected) in [(trend.variance, variance), (trend.z, z), (trend.p_value, p_value)] {
            assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1e-3), "{values:?}: {trend:?}");
        }
    }

    #[test]
    fn mann_kendall_agrees_with_another_implementation() {
        // Computed with the Python package pymannkendall 1.4.3, `original_test`.
        let rising: Vec<f64> = (1..=10).map(f64::from).collect();
        assert_trend(&rising, 45, 125.0, 3.935_479_640_399_629_7, 8.303_070_332_638_107e-5);
        let tied = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8, 4].map(f64::from);
        assert_trend(&tied, 40, 930.0, 1.278_860_379_787_708, 0.200_946_226_864_327_2);
        let falling = [10, 10, 9, 9, 8, 8, 8, 7, 7, 6, 6, 6, 5, 5, 4].map(f64::from);
        assert_trend(&falling, -95, 397.0, -4.717_724_764_347_858, 2.384_968_479_596_239e-6);
        assert_trend(&[5.0; 4], 0, 0.0, 0.0, 1.0);
    }

    #[test]
    fn theil_sen_agrees_with_another_implementation() {
        let tied = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8, 4].map(f64::from);
        assert!((theil_sen(&tied).unwrap() - 1.0 / 6.0).abs() < 1e-12);
        let falling = [10, 10, 9, 9, 8, 8, 8, 7, 7, 6, 6, 6, 5, 5, 4].map(f64::from);
        assert!((theil_sen(&falling).unwrap() + 0.4).abs() < 1e-12);
    }

    #[test]
    fn a_series_too_short_or_without_numbers_has_no_trend() {
        assert_eq!(mann_kendall(&[]), None);
        assert_eq!(mann_kendall(&[1.0, 2.0]), None);
        assert_eq!(mann_kendall(&[1.0, f64::NAN, 2.0]), None);
        assert_eq!((theil_sen(&[]), theil_sen(&[1.0]), median(&[])), (None, None, None));
        assert_eq!((median(&[3.0, 1.0]), median(&[9.0, 1.0, 2.0])), (Some(2.0), Some(2.0)));
    }

    #[test]
    fn one_wild_value_does_not_turn_the_slope() {
        let mut values: Vec<f64> = (0..20).map(f64::from).collect();
        values[3] = 1e12;
        assert!((theil_sen(&values).unwrap() - 1.0).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn a_series_turned_round_has_the_opposite_trend(values in proptest::collection::vec(-5..5_i32, 3..40)) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let back: Vec<f64> = values.iter().rev().copied().collect();
            let (trend, opposite) = (mann_kendall(&values).unwrap(), mann_kendall(&back).unwrap());
            prop_assert_eq!(trend.s, -opposite.s);
            prop_assert!((trend.p_value - opposite.p_value).abs() < 1e-12);
            prop_assert!((0.0..=1.0).contains(&trend.p_value));
        }
    }
}
