//! How far the values of repeated measurements lie apart.

use super::trend::median;

/// How far values lie apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// How many there are, at least one.
    pub n: usize,
    /// The middle one, or the mean of the two in the middle.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// The coefficient of variation: the standard deviation (by n - 1) as a part of the mean's size; `None` for one value,
    /// and where the mean is 0.
    pub variation: Option<f64>,
}

/// The spread of `values`; `None` without any, or when one of them is no finite number.
#[must_use]
pub fn spread(values: &[f64]) -> Option<Spread> {
    if values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let (min, max) = (values.iter().copied().reduce(f64::min)?, values.iter().copied().reduce(f64::max)?);
    Some(Spread { n: values.len(), median: median(values)?, min, max, variation: variation(values) })
}

fn variation(values: &[f64]) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "repetitions are few")]
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    if n < 2.0 || mean.abs() <= 0.0 {
        return None;
    }
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / (n - 1.0)).sqrt() / mean.abs())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_spread_of_a_few_values_is_that_found_by_hand() {
        // The mean is 5, the squares of the distances are 9, 1, 1, 1, 0, 0, 4, 16: 32 in all, by 7.
        let found = spread(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).unwrap();
        assert_eq!((found.n, found.median, found.min, found.max), (8, 4.5, 2.0, 9.0));
        assert!((found.variation.unwrap() - (32.0_f64 / 7.0).sqrt() / 5.0).abs() < 1e-12);
        // Ten percent above and below 100: the standard deviation is 10.
        assert!((spread(&[110.0, 90.0, 100.0]).unwrap().variation.unwrap() - 0.1).abs() < 1e-12);
    }

    #[test]
    fn one_value_and_a_mean_of_nothing_have_no_variation() {
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[1.0, f64::NAN]), None);
        assert_eq!(spread(&[3.0]), Some(Spread { n: 1, median: 3.0, min: 3.0, max: 3.0, variation: None }));
        assert_eq!(spread(&[0.0, 0.0]).unwrap().variation, None);
    }

    proptest! {
        #[test]
        fn the_median_lies_between_the_ends_and_a_scale_changes_no_variation(
            values in proptest::collection::vec(1.0..1e6_f64, 2..30)
        ) {
            let found = spread(&values).unwrap();
            prop_assert!(found.min <= found.median && found.median <= found.max);
            let scaled: Vec<f64> = values.iter().map(|value| value * 1_000.0).collect();
            let (a, b) = (found.variation.unwrap(), spread(&scaled).unwrap().variation.unwrap());
            prop_assert!(a >= 0.0 && (a - b).abs() <= 1e-9 * (1.0 + a));
        }
    }
}
