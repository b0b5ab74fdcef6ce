//! Intervals and tests as pure functions; each names its source.

mod spread;
mod trend;

use statrs::distribution::{Beta, ContinuousCDF, Normal};

pub use spread::{Spread, spread};
pub use trend::{Trend, mann_kendall, median, theil_sen};

/// A two-sided confidence interval of a share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShareInterval {
    /// The lower bound, 0 to 1.
    pub low: f64,
    /// The upper bound, 0 to 1.
    pub high: f64,
}

/// The confidence level of every interval in the reports.
pub const CONFIDENCE: f64 = 0.95;

/// Wilson's score interval of `successes` in `trials` at [`CONFIDENCE`]; `None` without trials.
///
/// Both may be fractional: with clustered data they are divided by the design effect first. Source: E. B. Wilson,
/// Journal of the American Statistical Association 22 (1927).
#[must_use]
pub fn wilson(successes: f64, trials: f64) -> Option<ShareInterval> {
    if trials <= 0.0 {
        return None;
    }
    let z = Normal::standard().inverse_cdf(0.5 + CONFIDENCE / 2.0);
    let (share, z2) = (successes / trials, z * z);
    let scale = 1.0 + z2 / trials;
    let centre = (share + z2 / (2.0 * trials)) / scale;
    let half = z * (share * (1.0 - share) / trials + z2 / (4.0 * trials * trials)).sqrt() / scale;
    // At the ends the formula gives the end itself but for rounding.
    let low = if successes <= 0.0 { 0.0 } else { (centre - half).max(0.0) };
    let high = if successes >= trials { 1.0 } else { (centre + half).min(1.0) };
    Some(ShareInterval { low, high })
}

/// The exact interval of a share of `successes` in `trials` at [`CONFIDENCE`]; from 0 to 1 without trials.
///
/// Source: C. J. Clopper and E. S. Pearson, Biometrika 26 (1934); its ends are quantiles of beta distributions.
#[must_use]
pub fn clopper_pearson(successes: u32, trials: u32) -> ShareInterval {
    let (successes, failures) = (f64::from(successes.min(trials)), f64::from(trials.saturating_sub(successes)));
    let tail = (1.0 - CONFIDENCE) / 2.0;
    let quantile = |a: f64, b: f64, share: f64| Beta::new(a, b).map_or(share, |beta| beta.inverse_cdf(share));
    let low = if successes > 0.0 { quantile(successes, failures + 1.0, tail) } else { 0.0 };
    let high = if failures > 0.0 { quantile(successes + 1.0, failures, 1.0 - tail) } else { 1.0 };
    ShareInterval { low, high }
}

/// The design effect of a share measured in blocks: how many times the variance between blocks exceeds that of
/// independent trials. Never below 1; 1 where fewer than two blocks or no variance at all make it unknown.
///
/// `residual_squares` is the sum over blocks of (successes - share x trials)^2. Source: L. Kish, Survey Sampling
/// (1965), chapter 5, for a ratio estimate with unequal blocks.
#[must_use]
pub fn design_effect(blocks: f64, trials: f64, successes: f64, residual_squares: f64) -> f64 {
    if blocks < 2.0 || trials <= 0.0 {
        return 1.0;
    }
    let share = successes / trials;
    let independent = trials / blocks * share * (1.0 - share);
    if independent <= 0.0 {
        return 1.0;
    }
    (residual_squares / (blocks - 1.0) / independent).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 5e-5
    }

    #[test]
    fn wilson_agrees_with_the_published_example() {
        let interval = wilson(5.0, 100.0).unwrap();
        assert!(close(interval.low, 0.0215) && close(interval.high, 0.1118), "{interval:?}");
    }

    #[test]
    fn the_exact_interval_agrees_with_published_values() {
        // Where nothing or all succeeded the other end is a root: 1 - 0.025^(1/20).
        let cases = [(0, 20, 0.0, 0.168_43), (20, 20, 0.831_57, 1.0), (5, 100, 0.016_43, 0.112_83), (0, 0, 0.0, 1.0)];
        for (successes, trials, low, high) in cases {
            let interval = clopper_pearson(successes, trials);
            assert!(close(interval.low, low) && close(interval.high, high), "{successes}/{trials}: {interval:?}");
        }
    }

    #[test]
    fn wilson_stays_between_zero_and_one() {
        assert_eq!(wilson(0.0, 0.0), None);
        assert_eq!(wilson(0.0, 10.0).unwrap().low.to_bits(), 0.0_f64.to_bits());
        assert_eq!(wilson(10.0, 10.0).unwrap().high.to_bits(), 1.0_f64.to_bits());
        let huge = wilson(1e12, 2e12).unwrap();
        assert!(huge.low < 0.5 && huge.high > 0.5 && huge.high - huge.low < 1e-5);
    }

    #[test]
    fn the_design_effect_of_failures_in_one_burst_is_their_block() {
        // 10 blocks of 100 trials; one block fails whole, the others not at all: share 0.1.
        let residual = 90.0_f64.powi(2) + 9.0 * 10.0_f64.powi(2);
        assert!(close(design_effect(10.0, 1000.0, 100.0, residual), 9000.0 / 9.0 / 9.0));
        assert!(close(design_effect(1.0, 100.0, 10.0, 50.0), 1.0));
        assert!(close(design_effect(10.0, 1000.0, 0.0, 0.0), 1.0));
        assert!(close(design_effect(10.0, 1000.0, 100.0, 0.0), 1.0));
    }
}
