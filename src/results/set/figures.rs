//! The figures of a run that are held against those of its repetitions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::measure::{Clock, Run, quantile};
use crate::results::Rates;

/// A figure of a run over all its variants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// Attempts per second.
    AchievedPerS,
    /// Operations whose last attempt was not accepted, of those that finished, 0 to 1.
    FailureRate,
    /// Operations whose last attempt was throttled, of those that finished, 0 to 1.
    ThrottledRate,
    /// The median of service, in microseconds.
    ServiceP50Us,
    /// The 90th percentile of service, in microseconds.
    ServiceP90Us,
    /// The 99th percentile of service, in microseconds.
    ServiceP99Us,
    /// The median of response, in microseconds.
    ResponseP50Us,
    /// The 90th percentile of response, in microseconds.
    ResponseP90Us,
    /// The 99th percentile of response, in microseconds.
    ResponseP99Us,
    /// The 99th percentile of lag, in microseconds.
    LagP99Us,
}

impl Figure {
    /// All of them, in the order of the reports.
    pub const ALL: [Self; 10] = [
        Self::AchievedPerS,
        Self::FailureRate,
        Self::ThrottledRate,
        Self::ServiceP50Us,
        Self::ServiceP90Us,
        Self::ServiceP99Us,
        Self::ResponseP50Us,
        Self::ResponseP90Us,
        Self::ResponseP99Us,
        Self::LagP99Us,
    ];

    /// The clock and the percentile behind the figure; `None` where it is none.
    fn percentile(self) -> Option<(Clock, f64)> {
        match self {
            Self::AchievedPerS | Self::FailureRate | Self::ThrottledRate => None,
            Self::ServiceP50Us => Some((Clock::Service, 50.0)),
            Self::ServiceP90Us => Some((Clock::Service, 90.0)),
            Self::ServiceP99Us => Some((Clock::Service, 99.0)),
            Self::ResponseP50Us => Some((Clock::Response, 50.0)),
            Self::ResponseP90Us => Some((Clock::Response, 90.0)),
            Self::ResponseP99Us => Some((Clock::Response, 99.0)),
            Self::LagP99Us => Some((Clock::Lag, 99.0)),
        }
    }
}

/// The figures of one run; what is not known of it, as with too few samples, is none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Figures(BTreeMap<Figure, Option<f64>>);

impl Figures {
    /// The figures of a run.
    #[must_use]
    pub fn of(run: &Run) -> Self {
        let all = run.totals.all();
        let rates = Rates::of(&all, run.totals.main_s);
        let figure = |figure: Figure| match figure {
            Figure::AchievedPerS => rates.achieved_per_s,
            Figure::FailureRate => rates.failure.map(|failure| failure.share),
            Figure::ThrottledRate => rates.throttled,
            percentile => percentile.percentile().and_then(|(clock, percent)| {
                let value_us = quantile(&all.distributions.all(clock), percent)?;
                #[expect(clippy::cast_precision_loss, reason = "microseconds of a day at most")]
                Some(value_us as f64)
            }),
        };
        Self(Figure::ALL.into_iter().map(|name| (name, figure(name))).collect())
    }

    /// One of them; `None` where it is not known.
    #[must_use]
    pub fn get(&self, figure: Figure) -> Option<f64> {
        self.0.get(&figure).copied().flatten()
    }
}

#[cfg(test)]
impl Figures {
    /// These figures, and no other.
    pub(crate) fn from_values(values: &[(Figure, f64)]) -> Self {
        Self(values.iter().map(|(figure, value)| (*figure, Some(*value))).collect())
    }
}
