//! The figures that thresholds are about, of a run or of a part of it.

use hdrhistogram::{Counter, Histogram};
use serde::{Deserialize, Serialize};

use super::{Metric, Quantity, Statistic};
use crate::measure::{
    Checks, Counts, Distributions, Outcome, Repetitions, Second, Totals, VariantChecks, new_histogram, quantile,
};
use crate::units::format;

/// A figure with its unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Measured {
    /// A duration, in microseconds.
    #[serde(rename = "measured_us")]
    Time(u64),
    /// A share, 0 to 1.
    #[serde(rename = "measured_share")]
    Share(f64),
    /// A rate, per second.
    #[serde(rename = "measured_per_s")]
    Rate(f64),
    /// A count.
    #[serde(rename = "measured_count")]
    Count(u64),
}

impl Measured {
    /// The number alone.
    pub(super) fn number(self) -> f64 {
        match self {
            Self::Time(number) | Self::Count(number) => float(number),
            Self::Share(number) | Self::Rate(number) => number,
        }
    }
}

impl std::fmt::Display for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&match *self {
            Self::Time(us) => format::micros(us),
            Self::Share(share) => format::percent(share),
            Self::Rate(rate) => format::per_second(rate),
            Self::Count(count) => format::count(count),
        })
    }
}

/// What becomes of a percentile of fewer samples than it takes to speak of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Few {
    /// It is unknown.
    Unknown,
    /// It is the value at its rank, which is then the largest one.
    Largest,
}

/// Counts and durations from which one metric is computed, of any number of seconds.
#[derive(Debug, Clone)]
pub(super) struct Figures {
    quantity: Quantity,
    counts: Counts,
    /// Of the metric's clock, where it has one.
    durations: Option<Histogram<u64>>,
    /// Of the metric's check, where it has one.
    cases: Cases,
    elapsed_s: f64,
}

/// What a check looked at and what it found.
#[derive(Debug, Clone, Copy, Default)]
struct Cases {
    checked: u64,
    found: u64,
}

impl Cases {
    /// Those of a metric of checks.
    fn of(metric: &Metric, checks: &Checks) -> Self {
        let mut cases = Self::default();
        for (_, variant) in checks.variants.iter().enumerate().filter(|(i, _)| metric.is_of(*i)) {
            let part = Self::of_variant(metric.quantity, variant);
            cases.checked += part.checked;
            cases.found += part.found;
        }
        cases
    }

    fn of_variant(quantity: Quantity, variant: &VariantChecks) -> Self {
        match quantity {
            Quantity::Found(check) | Quantity::FoundRate(check) => {
                let finding = &variant.findings[check.index()];
                Self { checked: finding.checked, found: finding.found }
            }
            Quantity::Violations => {
                let sum = |of: fn(&Repetitions) -> u64| variant.repetitions.iter().map(of).sum();
                Self { checked: sum(|mode| mode.pairs), found: sum(|mode| mode.violations) }
            }
            _ => Self::default(),
        }
    }
}

impl Figures {
    /// Those of no time.
    pub(super) fn none(metric: &Metric) -> Self {
        let durations = matches!(metric.quantity, Quantity::Time(..)).then(new_histogram);
        Self {
            quantity: metric.quantity,
            counts: Counts::default(),
            durations,
            cases: Cases::default(),
            elapsed_s: 0.0,
        }
    }

    /// Those of a run.
    pub(super) fn of_totals(metric: &Metric, totals: &Totals) -> Self {
        let parts = totals.variants.iter().map(|variant| (&variant.counts, &variant.distributions));
        let cases = totals.checks.as_ref().map(|checks| Cases::of(metric, checks)).unwrap_or_default();
        Self { elapsed_s: totals.main_s, cases, ..Self::of_parts(metric, parts) }
    }

    /// Those of one second.
    pub(super) fn of_second(metric: &Metric, second: &Second) -> Self {
        let parts = second.interval.variants.iter().map(|variant| (&variant.counts, &variant.distributions));
        Self { elapsed_s: 1.0, ..Self::of_parts(metric, parts) }
    }

    /// Those of the metric's variants, over no time.
    fn of_parts<'a, C: Counter + 'a>(
        metric: &Metric,
        parts: impl Iterator<Item = (&'a Counts, &'a Distributions<C>)>,
    ) -> Self {
        let mut figures = Self::none(metric);
        for (_, (counts, distributions)) in parts.enumerate().filter(|(i, _)| metric.is_of(*i)) {
            figures.counts.add(counts);
            if let (Quantity::Time(clock, _), Some(durations)) = (metric.quantity, &mut figures.durations) {
                merge(durations, &distributions.all(clock));
            }
        }
        figures
    }

    /// Adds those of another time, of the same metric.
    pub(super) fn add(&mut self, other: &Self) {
        self.counts.add(&other.counts);
        self.elapsed_s += other.elapsed_s;
        if let (Some(mine), Some(theirs)) = (&mut self.durations, &other.durations) {
            merge(mine, theirs);
        }
    }

    /// The attempts, operations or durations behind the metric.
    pub(super) fn samples(&self) -> u64 {
        match self.quantity {
            Quantity::FailureRate | Quantity::ThrottledRate => self.counts.finished,
            Quantity::UnexpectedRate | Quantity::Achieved | Quantity::Attempts(_) => self.counts.attempts(),
            Quantity::Unsent => self.counts.operations(),
            Quantity::Time(..) => self.durations.as_ref().map_or(0, Histogram::len),
            Quantity::Found(_) | Quantity::FoundRate(_) | Quantity::Violations => self.cases.checked,
        }
    }

    /// The metric; `None` where there is nothing to compute it from.
    pub(super) fn measured(&self, few: Few) -> Option<Measured> {
        let counts = &self.counts;
        let share = |count: u64, of: u64| (of > 0).then(|| Measured::Share(float(count) / float(of)));
        match self.quantity {
            Quantity::FailureRate => share(counts.failed, counts.finished),
            Quantity::ThrottledRate => share(counts.throttled, counts.finished),
            Quantity::UnexpectedRate => share(counts.outcome(Outcome::Unexpected), counts.attempts()),
            Quantity::Achieved => {
                (self.elapsed_s > 0.0).then(|| Measured::Rate(float(counts.attempts()) / self.elapsed_s))
            }
            Quantity::Unsent => Some(Measured::Count(counts.unsent)),
            Quantity::Attempts(outcome) => Some(Measured::Count(counts.outcome(outcome))),
            Quantity::Found(_) => (self.cases.checked > 0).then_some(Measured::Count(self.cases.found)),
            Quantity::FoundRate(_) | Quantity::Violations => share(self.cases.found, self.cases.checked),
            Quantity::Time(_, statistic) => {
                let durations = self.durations.as_ref().filter(|durations| !durations.is_empty())?;
                statistic_of(durations, statistic, few).map(Measured::Time)
            }
        }
    }
}

fn statistic_of(durations: &Histogram<u64>, statistic: Statistic, few: Few) -> Option<u64> {
    let Some(percent) = statistic.percent() else {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a mean is from 0 to a day")]
        return Some(durations.mean().round() as u64);
    };
    // With so few samples that none lies above the percentile, its rank is the last.
    quantile(durations, percent).or_else(|| (few == Few::Largest).then(|| durations.max()))
}

fn merge(into: &mut Histogram<u64>, from: &Histogram<u64>) {
    into.add(from).expect("all histograms are of one configuration");
}

/// A count as a number to compare and to divide with.
#[expect(clippy::cast_precision_loss, reason = "counts and microseconds of a run stay far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}
