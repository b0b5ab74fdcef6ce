//! Poisson spacing: that it is a schedule like the other, and that it has the statistics of a Poisson process.
//!
//! The seeds are fixed, so that a bound that holds once holds always; each bound is one that a right generator crosses
//! for one seed in a thousand or less.

use proptest::prelude::*;

use super::tests::any_stages;
use super::*;

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn poisson(stages: &[RateStage], repeat: u32, seed: u64) -> Arrivals {
    Arrivals::new(stages, repeat.try_into().unwrap(), Spacing::Poisson { seed }).unwrap()
}

fn constant(rate: &str, seconds: u64, seed: u64) -> Arrivals {
    poisson(&[RateStage::Hold { length: s(seconds), rate: Some(rate.parse().unwrap()) }], 1, seed)
}

/// Up from zero to 2000/s and down again, 20 s each.
fn hill(seed: u64) -> Arrivals {
    let top = Some("2000/s".parse().unwrap());
    poisson(&[RateStage::Ramp { length: s(20), to: top }, RateStage::Ramp { length: s(20), to: None }], 1, seed)
}

/// The expected number of arrivals of the hill in the first `time` seconds.
fn expected_on_hill(time: f64) -> f64 {
    let up = time.min(20.0);
    50.0 * up * up + if time > 20.0 { 20_000.0 - 50.0 * (40.0 - time).powi(2) } else { 0.0 }
}

fn seconds(arrivals: &Arrivals) -> Vec<f64> {
    arrivals.cursor().map(|(_, due)| due.as_secs_f64()).collect()
}

fn float(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}

/// The gaps between times, from zero on.
fn gaps(times: &[f64]) -> Vec<f64> {
    let before = std::iter::once(0.0).chain(times.iter().copied());
    times.iter().zip(before).map(|(time, before)| time - before).collect()
}

/// The largest distance between the sample's distribution and the exponential one with mean one, times the root of the
/// number of samples. For a right sample it is above 1.95 once in a thousand.
fn kolmogorov_smirnov(mut sample: Vec<f64>) -> f64 {
    sample.sort_by(f64::total_cmp);
    let n = float(sample.len());
    let distance = |(i, gap): (usize, &f64)| {
        let share = -(-gap).exp_m1();
        (share - float(i) / n).max(float(i + 1) / n - share)
    };
    sample.iter().enumerate().map(distance).fold(0.0, f64::max) * n.sqrt()
}

/// The number of times in each second.
fn counts(times: &[f64], length: u32) -> Vec<f64> {
    let before = |second: u32| times.partition_point(|time| *time < f64::from(second));
    (0..length).map(|second| float(before(second + 1) - before(second))).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / float(values.len())
}

#[test]
fn gaps_of_a_constant_rate_are_exponential() {
    for seed in 1..=20 {
        let sample = gaps(&seconds(&constant("1000/s", 20, seed))).iter().map(|gap| gap * 1000.0).collect();
        let distance = kolmogorov_smirnov(sample);
        assert!(distance < 1.95, "seed {seed}: {distance}");
    }
}

#[test]
fn gaps_on_a_ramp_are_exponential_in_what_was_expected() {
    for seed in 1..=20 {
        let times: Vec<_> = seconds(&hill(seed)).into_iter().map(expected_on_hill).collect();
        let distance = kolmogorov_smirnov(gaps(&times));
        assert!(distance < 1.95, "seed {seed}: {distance}");
    }
}

#[test]
fn a_gap_tells_nothing_about_the_next() {
    for seed in 1..=20 {
        let gaps = gaps(&seconds(&constant("1000/s", 20, seed)));
        let mean = mean(&gaps);
        let product: f64 = gaps.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum();
        let square: f64 = gaps.iter().map(|gap| (gap - mean).powi(2)).sum();
        // A correlation of independent gaps has the standard deviation 1 / sqrt(n).
        let correlation = product / square * float(gaps.len()).sqrt();
        assert!(correlation.abs() < 3.3, "seed {seed}: {correlation}");
    }
}

#[test]
fn one_seed_is_not_another_shifted() {
    let all: Vec<_> = (1..=20).map(|seed| gaps(&seconds(&constant("1000/s", 2, seed)))).collect();
    for (one, other) in all.iter().zip(&all[1..]) {
        let common = one.iter().filter(|gap| other.contains(gap)).count();
        // Gaps are whole nanoseconds around a million, so that some are the same by chance.
        assert!(common < 20, "{common} gaps of two seeds are the same");
    }
}

#[test]
fn counts_have_the_mean_and_the_variance_of_the_rate() {
    for seed in 1..=20 {
        let counts = counts(&seconds(&constant("100/s", 1000, seed)), 1000);
        let mean = mean(&counts);
        // 100,000 arrivals in all: the mean of the counts has the standard deviation sqrt(100,000) / 1000 = 0.32.
        assert!((mean - 100.0).abs() < 1.05, "seed {seed}: {mean} a second");
        let variance = counts.iter().map(|count| (count - mean).powi(2)).sum::<f64>() / 999.0;
        // The index of dispersion of n counts has the standard deviation sqrt(2 / (n - 1)) = 0.045.
        assert!((variance / mean - 1.0).abs() < 0.15, "seed {seed}: dispersion {}", variance / mean);
    }
}

#[test]
fn counts_on_a_ramp_follow_the_rate() {
    for seed in 1..=20 {
        let counts = counts(&seconds(&hill(seed)), 40);
        let chi_square: f64 = counts
            .iter()
            .zip(0_u32..)
            .map(|(count, second)| {
                let second = f64::from(second);
                let expected = expected_on_hill(second + 1.0) - expected_on_hill(second);
                (count - expected).powi(2) / expected
            })
            .sum();
        // Chi-square with 40 degrees of freedom: 0.05 % on either side.
        assert!((16.9..76.1).contains(&chi_square), "seed {seed}: {chi_square}");
    }
}

#[test]
fn a_pause_stays_empty() {
    let rate = Some("1000/s".parse().unwrap());
    let stages = [RateStage::Hold { length: s(1), rate }, RateStage::Hold { length: s(1), rate: None }];
    let times = seconds(&poisson(&stages, 10, 7));
    assert!(times.len() > 9000 && times.iter().all(|time| time % 2.0 < 1.0));
}

#[test]
fn a_schedule_without_a_rate_has_no_operations() {
    for stages in [&[][..], &[RateStage::Hold { length: s(5), rate: None }]] {
        let arrivals = poisson(stages, 3, 1);
        assert_eq!((arrivals.count(), arrivals.due(0), arrivals.cursor().next()), (0, None, None));
    }
}

#[test]
fn a_seed_keeps_its_due_times_from_version_to_version() {
    let due: Vec<_> = constant("1000/s", 1, 42).cursor().take(4).map(|(_, due)| due.as_micros()).collect();
    assert_eq!(due, [418, 1305, 2078, 5939]);
}

proptest! {
    #[test]
    fn due_times_depend_on_the_seed_and_never_on_the_workers(
        stages in any_stages(), repeat in 1..4_u32, workers in 1..6_usize, seed in any::<u64>(),
    ) {
        let (arrivals, workers) = (poisson(&stages, repeat, seed), NonZeroUsize::new(workers).unwrap());
        let mut shares: Vec<_> = (0..workers.get()).map(|worker| arrivals.share(worker, workers)).collect();
        let mut before = Duration::ZERO;
        for (n, due) in arrivals.cursor().take(1000) {
            prop_assert_eq!(shares[crate::pace::assign(n, workers)].next(), Some((n, due)));
            prop_assert!(due >= before && due < arrivals.length());
            before = due;
        }
        if let Some((n, due)) = arrivals.cursor().nth(99) {
            prop_assert_eq!(arrivals.due(n), Some(due));
        }
    }

    #[test]
    fn the_count_is_that_of_the_cursor(length in 0..3_000_000_000_u64, count in 1..1000_u32, seed in any::<u64>()) {
        let rate = Rate::new(count.try_into().unwrap(), s(1));
        let ramp = RateStage::Ramp { length: Duration::from_nanos(length), to: rate };
        let arrivals = poisson(&[ramp], 2, seed);
        prop_assert_eq!(arrivals.count(), arrivals.cursor().count() as u64);
        prop_assert_eq!(arrivals.due(arrivals.count()), None);
    }
}
