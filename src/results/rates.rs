//! Rates with their intervals, computed once for all reports.

use crate::measure::{Blocks, Totals, VariantTotals};
use crate::stats::{ShareInterval, design_effect, wilson};

/// A share that was measured, with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The share, 0 to 1.
    pub share: f64,
    /// Where the true share lies with a confidence of 95 %.
    pub interval: ShareInterval,
}

impl Estimate {
    /// The estimate of what is left of the whole: of what was accepted where this is of what was not.
    #[must_use]
    pub fn complement(self) -> Self {
        let ShareInterval { low, high } = self.interval;
        Self { share: 1.0 - self.share, interval: ShareInterval { low: 1.0 - high, high: 1.0 - low } }
    }

    /// The share that `found` of `checked` are; `None` where nothing was checked. Cases count as independent: they are drawn
    /// one by one.
    #[must_use]
    pub fn of_cases(found: u64, checked: u64) -> Option<Self> {
        estimate(found, checked, 1.0)
    }
}

/// The rates of one variant, or of all together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// Operations whose last attempt was not accepted, of those that finished; `None` when none did.
    pub failure: Option<Estimate>,
    /// Operations whose last attempt was throttled, of those that finished, 0 to 1; `None` when none did.
    pub throttled: Option<f64>,
    /// How many times the variance of failures between seconds exceeds that of independent failures, 1 or more; `None`
    /// when nothing finished.
    pub design_effect: Option<f64>,
    /// Attempts per second of the main phase; `None` when none of it has passed.
    pub achieved_per_s: Option<f64>,
    /// The design effect of shares of failures.
    burst_effect: f64,
}

impl Rates {
    /// The rates of `totals`, of whose main phase `main_s` seconds have passed.
    #[must_use]
    pub fn of(totals: &VariantTotals, main_s: f64) -> Self {
        let counts = &totals.counts;
        let effect = effect_of(&totals.blocks);
        Self {
            failure: estimate(counts.failed, counts.finished, effect),
            throttled: (counts.finished > 0).then(|| float(counts.throttled) / float(counts.finished)),
            design_effect: (counts.finished > 0).then_some(effect),
            burst_effect: effect,
            achieved_per_s: (main_s > 0.0).then(|| float(counts.attempts()) / main_s),
        }
    }

    /// The rates of each variant. The shares of a kind of failure come in bursts where the run's failures do, even when all
    /// that the variant does fails alike: they are as wide as the larger design effect of both makes them.
    #[must_use]
    pub fn of_variants(totals: &Totals) -> Vec<Self> {
        let all = effect_of(&totals.blocks);
        let rates = |variant| {
            let rates = Self::of(variant, totals.main_s);
            Self { burst_effect: rates.burst_effect.max(all), ..rates }
        };
        totals.variants.iter().map(rates).collect()
    }

    /// The share that `count` of `attempts` are, with an interval as wide as these rates' design effect makes it;
    /// `None` without attempts.
    #[must_use]
    pub fn share(&self, count: u64, attempts: u64) -> Option<Estimate> {
        estimate(count, attempts, self.burst_effect)
    }
}

/// What retries cost and what they brought, of all variants together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Efficiency {
    /// Attempts for each operation that started: 1 where nothing was tried again; `None` where nothing started.
    pub attempts_per_operation: Option<f64>,
    /// Operations that were accepted in the end, per second of the main phase; `None` when none of it has passed.
    pub goodput_per_s: Option<f64>,
    /// Of the retries that a server had asked to wait, those that were not sent before, 0 to 1; `None` where none were.
    pub obeyed: Option<f64>,
}

impl Efficiency {
    /// That of a run.
    #[must_use]
    pub fn of(totals: &Totals) -> Self {
        let (counts, retries) = (totals.all().counts, &totals.retries);
        let share = |part, whole| (whole > 0).then(|| float(part) / float(whole));
        let accepted = float(counts.finished.saturating_sub(counts.failed));
        Self {
            attempts_per_operation: share(counts.attempts(), counts.started),
            goodput_per_s: (totals.main_s > 0.0).then(|| accepted / totals.main_s),
            obeyed: share(retries.obeyed, retries.asked),
        }
    }
}

/// Failures come in bursts, so an interval is that of fewer, independent trials: of their number by the design effect.
fn estimate(count: u64, trials: u64, effect: f64) -> Option<Estimate> {
    let (count, trials) = (float(count), float(trials));
    let effect = effect.max(1.0);
    let interval = wilson(count / effect, trials / effect)?;
    Some(Estimate { share: count / trials, interval })
}

fn effect_of(blocks: &Blocks) -> f64 {
    design_effect(float(blocks.blocks), blocks.finished, blocks.failed, blocks.residual_squares())
}

/// A count as a number to divide with.
#[expect(clippy::cast_precision_loss, reason = "counts of a run stay far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Counts;

    fn totals(seconds: &[(u64, u64)]) -> VariantTotals {
        let mut totals = VariantTotals::default();
        for (finished, failed) in seconds {
            let mut counts = Counts { finished: *finished, failed: *failed, started: *finished, ..Counts::default() };
            counts.outcomes[0] = finished - failed;
            counts.outcomes[4] = *failed;
            totals.counts.add(&counts);
            totals.blocks.add_second(&counts);
        }
        totals
    }

    #[test]
    fn nothing_finished_has_no_rate() {
        let rates = Rates::of(&VariantTotals::default(), 0.0);
        assert_eq!(
            (rates.failure, rates.throttled, rates.design_effect, rates.achieved_per_s),
            (None, None, None, None)
        );
        assert_eq!(rates.share(0, 0), None);
    }

    #[test]
    fn failures_in_one_burst_widen_the_interval() {
        let spread = Rates::of(&totals(&[(100, 10); 10]), 10.0);
        let mut burst = [(100, 0); 10];
        burst[3] = (100, 100);
        let burst = Rates::of(&totals(&burst), 10.0);
        let (even, uneven) = (spread.failure.unwrap(), burst.failure.unwrap());
        assert!((even.share - uneven.share).abs() < 1e-12);
        assert!((burst.design_effect.unwrap() - 9000.0 / 81.0).abs() < 1e-9);
        let width = |estimate: Estimate| estimate.interval.high - estimate.interval.low;
        assert!(width(uneven) > 5.0 * width(even), "{even:?} {uneven:?}");
        assert!((spread.achieved_per_s.unwrap() - 100.0).abs() < 1e-12);
    }
}
