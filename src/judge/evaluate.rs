//! What became of the thresholds.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::figures::{Few, Figures, Measured};
use super::{Metric, Quantity, Threshold};
use crate::measure::Totals;

/// How a figure stands to its threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The condition is met.
    Passed,
    /// It is not.
    Crossed,
    /// There are too few samples to tell.
    TooFewSamples,
}

/// A threshold with what was measured, fit for `run.json` and read back from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// The metric's name.
    pub metric: String,
    /// The condition as the scenario writes it.
    pub condition: String,
    /// The figure; `None` where there are too few samples.
    #[serde(flatten)]
    pub measured: Option<Measured>,
    /// The attempts, operations or durations behind the figure.
    pub samples: u64,
    /// The fewest of them that tell the figure.
    pub least_samples: u64,
    /// How the figure stands to the threshold.
    pub standing: Standing,
}

impl Judged {
    /// Whether it is about what the checks of idempotency and consistency find.
    #[must_use]
    pub fn is_of_checks(&self) -> bool {
        Quantity::at_end_of(&self.metric).is_some_and(Quantity::is_of_checks)
    }

    /// Judges a threshold by figures of its metric.
    pub(super) fn of(threshold: &Threshold, figures: &Figures) -> Self {
        let metric: &Metric = threshold.metric();
        let measured = figures.measured(Few::Unknown);
        let standing = match measured {
            None => Standing::TooFewSamples,
            Some(measured) if threshold.holds(measured) => Standing::Passed,
            Some(_) => Standing::Crossed,
        };
        Self {
            metric: metric.to_string(),
            condition: threshold.condition().to_owned(),
            measured,
            samples: figures.samples(),
            least_samples: metric.quantity.least_samples(),
            standing,
        }
    }
}

impl fmt::Display for Judged {
    /// `service.p99 is 312ms, not < 300ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { metric, condition, .. } = self;
        match (&self.measured, self.standing) {
            (Some(measured), Standing::Passed) => write!(f, "{metric} is {measured}, as wanted: {condition}"),
            (Some(measured), _) => write!(f, "{metric} is {measured}, not {condition}"),
            (None, _) => write!(f, "{metric} is unknown: {} samples are too few for {condition}", self.samples),
        }
    }
}

/// Judges all thresholds by the totals of a run, whose rates are over the totals' own time; in the order of the scenario.
#[must_use]
pub fn evaluate(thresholds: &[Threshold], totals: &Totals) -> Vec<Judged> {
    let judged = |threshold: &Threshold| Judged::of(threshold, &Figures::of_totals(threshold.metric(), totals));
    thresholds.iter().map(judged).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::Measured;
    use crate::measure::{Check, Checks, Findings, Mode, Repetitions, VariantChecks};

    fn judged(metric: &str, condition: &str, checks: Option<Checks>) -> Judged {
        let metric = Metric::parse(metric, &["a", "b"]).unwrap();
        let threshold = Threshold::parse(metric, condition, condition).unwrap();
        let totals = Totals { checks, ..Totals::new(2) };
        evaluate(&[threshold], &totals).remove(0)
    }

    /// Two of 100 writes of the first variant were lost, none of 300 of the second, and one of 50 repetitions differs.
    fn found() -> Checks {
        let mut variants = vec![VariantChecks::default(), VariantChecks::default()];
        variants[0].findings[Check::Lost.index()] = Findings { checked: 100, found: 2, sample: None };
        variants[1].findings[Check::Lost.index()] = Findings { checked: 300, found: 0, sample: None };
        for (mode, violations) in [(Mode::Replay, 0), (Mode::Keyed, 1)] {
            variants[1].repetitions[mode.index()] = Repetitions { pairs: 25, violations, ..Repetitions::default() };
        }
        Checks { variants, ..Checks::default() }
    }

    #[test]
    fn what_the_checks_found_is_judged_of_all_variants_or_of_one() {
        for (metric, condition, measured, standing) in [
            ("lost", "= 0", Measured::Count(2), Standing::Crossed),
            ("lost_rate", "< 1%", Measured::Share(0.005), Standing::Passed),
            ("variant.a.lost_rate", "< 1%", Measured::Share(0.02), Standing::Crossed),
            ("variant.b.lost", "= 0", Measured::Count(0), Standing::Passed),
            ("idempotency.violation_rate", "< 1%", Measured::Share(0.02), Standing::Crossed),
            ("variant.b.idempotency.violation_rate", "<= 2%", Measured::Share(0.02), Standing::Passed),
        ] {
            let judged = judged(metric, condition, Some(found()));
            assert_eq!((judged.measured, judged.standing), (Some(measured), standing), "{metric}");
            assert!(judged.is_of_checks(), "{metric}");
        }
        assert!(!judged("failure_rate", "< 1%", None).is_of_checks());
    }

    #[test]
    fn where_nothing_was_checked_nothing_is_known() {
        for checks in [None, Some(Checks::default()), Some(found())] {
            for metric in ["never_visible", "reverted_rate", "variant.a.idempotency.violation_rate"] {
                let condition = if metric == "never_visible" { "= 0" } else { "= 0%" };
                let judged = judged(metric, condition, checks.clone());
                assert_eq!((judged.samples, judged.standing), (0, Standing::TooFewSamples), "{metric}");
            }
        }
    }
}
