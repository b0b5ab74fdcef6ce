//! Whether a series of seconds keeps rising or falling.

use crate::stats::{mann_kendall, median, theil_sen};

/// Fewer seconds tell no drift from chance. A run of 30 s has so many: its users come in over the first two.
const LEAST_SECONDS: usize = 28;

/// Longer series are thinned to about so many points, because the test takes time by their square.
const MOST_POINTS: usize = 300;

/// A drift counts below this probability of chance: half of 1 %, because two series of a run are looked at.
const P_VALUE: f64 = 0.005;

/// A drift counts from this part of the median on.
const LEAST_SHARE: f64 = 0.2;

/// A drift counts from this size on: 1 ms.
const LEAST_US: f64 = 1_000.0;

/// A drift counts from so many times the scatter of the seconds around it on. Seconds that resemble their neighbours make
/// the test of Mann and Kendall alarm far too often; they seldom wander that far.
const LEAST_SCATTERS: f64 = 4.0;

/// The standard deviation of normal values as a multiple of the median of their distances from the median.
const MAD_TO_DEVIATION: f64 = 1.4826;

/// A drift from the start to the end of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drift {
    /// Where the fitted line begins, in microseconds.
    pub from_us: f64,
    /// Where it ends, in microseconds.
    pub to_us: f64,
    /// The probability of such a trend in independent seconds without one.
    pub p_value: f64,
}

/// The drift of a figure of each second, in microseconds and in the order of time; `None` where there is none that matters.
///
/// It matters when the test of Mann and Kendall gives p < 0.005 and the line of Theil and Sen rises or falls, from end to
/// end, by at least 20 % of the median, 1 ms, and four times the scatter of the seconds around it (their median distance
/// from it, scaled to a standard deviation). Series of fewer than 28 seconds are not judged; of longer than 300, medians of
/// neighbouring seconds are.
///
/// In noise whose seconds keep half of their predecessor's deviation (AR(1) of the logarithms, deviations of 10 % and 30 %,
/// 200 seeds each) it gives 0.5 % of false alarms at 30 s and none at 60 s or more. The test alone gives 7 to 15 % at
/// p < 0.01.
#[must_use]
pub fn drift(seconds_us: &[f64]) -> Option<Drift> {
    if seconds_us.len() < LEAST_SECONDS {
        return None;
    }
    let points: Vec<f64> = seconds_us.chunks(seconds_us.len().div_ceil(MOST_POINTS)).filter_map(median).collect();
    let trend = mann_kendall(&points)?;
    if trend.p_value >= P_VALUE {
        return None;
    }
    let (slope, centre) = (theil_sen(&points)?, median(&points)?);
    let middle = float(points.len() - 1) / 2.0;
    let residuals: Vec<f64> = (0..).zip(&points).map(|(i, point)| point - slope * (float(i) - middle)).collect();
    let level = median(&residuals)?;
    let distances: Vec<f64> = residuals.iter().map(|residual| (residual - level).abs()).collect();
    let scatter = MAD_TO_DEVIATION * median(&distances)?;
    let change = 2.0 * middle * slope.abs();
    let matters = change >= LEAST_SHARE * centre && change >= LEAST_US && change >= LEAST_SCATTERS * scatter;
    matters.then(|| Drift {
        // A curve may bend so much that its line begins below nothing.
        from_us: (level - slope * middle).max(0.0),
        to_us: (level + slope * middle).max(0.0),
        p_value: trend.p_value,
    })
}

#[expect(clippy::cast_precision_loss, reason = "a few hundred points")]
fn float(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use rand::RngExt as _;
    use rand::SeedableRng as _;
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;

    /// Seconds around 20 ms whose logarithms are AR(1) with this deviation, each with half of its predecessor's.
    fn noise(seed: u64, seconds: usize, deviation: f64) -> Vec<f64> {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut normal = move || {
            let (u, v): (f64, f64) = (random.random(), random.random());
            (-2.0 * (1.0 - u).ln()).sqrt() * (TAU * v).cos()
        };
        let mut state = normal();
        let mut next = || {
            let now = state;
            state = 0.5 * state + 0.75_f64.sqrt() * normal();
            20_000.0 * (deviation * now).exp()
        };
        (0..seconds).map(|_| next()).collect()
    }

    fn alarms(seconds: usize, deviation: f64) -> usize {
        (1..=200).filter(|seed| drift(&noise(*seed, seconds, deviation)).is_some()).count()
    }

    #[test]
    fn at_most_one_undisturbed_run_in_a_hundred_is_flagged_though_its_seconds_resemble_their_neighbours() {
        // Found: 1 of 200 at 30 s, none at the others. The test of Mann and Kendall alone flags 14 to 29 of 200 at p < 0.01.
        for seconds in [28, 60, 120, 300, 1_000] {
            for deviation in [0.1, 0.3] {
                let alarms = alarms(seconds, deviation);
                assert!(alarms <= 2, "{alarms} of 200 runs of {seconds} s with a deviation of {deviation}");
            }
        }
    }

    #[test]
    fn a_server_that_slows_down_all_the_time_is_found_in_the_same_noise() {
        for (seconds, times) in [(28_u32, 3.0), (60, 2.0), (600, 2.0)] {
            let slows = |seed: u64| {
                let noise = noise(seed, usize::try_from(seconds).unwrap(), 0.1);
                let slower = (0..seconds).map(|i| 1.0 + (times - 1.0) * f64::from(i) / f64::from(seconds));
                let series: Vec<f64> = noise.iter().zip(slower).map(|(us, slower)| us * slower).collect();
                drift(&series).is_some_and(|drift| drift.to_us > drift.from_us)
            };
            let found = (1..=200).filter(|seed| slows(*seed)).count();
            assert!(found >= 190, "{found} of 200 runs of {seconds} s");
        }
    }

    #[test]
    fn a_drift_is_told_with_its_ends() {
        let rising: Vec<f64> = (0..61).map(|i| 10_000.0 + 1_000.0 * f64::from(i)).collect();
        let found = drift(&rising).unwrap();
        assert!((found.from_us - 10_000.0).abs() < 1e-6 && (found.to_us - 70_000.0).abs() < 1e-6, "{found:?}");
        let falling: Vec<f64> = rising.iter().rev().copied().collect();
        assert!(drift(&falling).is_some_and(|found| found.to_us < found.from_us));
    }

    #[test]
    fn what_is_short_small_or_level_is_no_drift() {
        let line = |seconds: u32, from: f64, slope: f64| -> Vec<f64> {
            (0..seconds).map(|i| from + slope * f64::from(i)).collect()
        };
        assert_eq!(drift(&[]), None);
        assert_eq!(drift(&line(27, 10_000.0, 1_000.0)), None);
        assert_eq!(drift(&line(60, 10_000.0, 0.0)), None);
        // 1.5 ms on 10 ms are less than 20 %; 0.6 ms on 0.3 ms are less than 1 ms.
        assert_eq!(drift(&line(61, 10_000.0, 25.0)), None);
        assert_eq!(drift(&line(61, 300.0, 10.0)), None);
        assert_eq!(drift(&[f64::NAN; 60]), None);
        assert!(drift(&line(100_000, 10_000.0, 1.0)).is_some());
    }
}
