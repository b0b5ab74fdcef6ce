//! What became of the thresholds.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::figures::{Few, Figures, Measured};
use super::{Metric, Threshold};
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
