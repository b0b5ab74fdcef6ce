//! A bound on a metric, as a scenario writes it.

use std::cmp::Ordering;
use std::fmt;
use std::time::Duration;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::figures::Measured;
use super::{Metric, Quantity};
use crate::units::{ParseError, Rate, Share, parse_duration};

/// How a figure must stand to the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Below it.
    Less,
    /// Not above it.
    AtMost,
    /// Above it.
    More,
    /// Not below it.
    AtLeast,
    /// Just so.
    Equal,
}

impl Comparison {
    /// The signs, those of two characters before those that they begin with.
    const SIGNS: [(&str, Self); 5] =
        [("<=", Self::AtMost), (">=", Self::AtLeast), ("<", Self::Less), (">", Self::More), ("=", Self::Equal)];

    /// Whether it is true of a figure that stands so to the bound.
    #[must_use]
    pub fn holds(self, figure_to_bound: Ordering) -> bool {
        match self {
            Self::Less => figure_to_bound.is_lt(),
            Self::AtMost => figure_to_bound.is_le(),
            Self::More => figure_to_bound.is_gt(),
            Self::AtLeast => figure_to_bound.is_ge(),
            Self::Equal => figure_to_bound.is_eq(),
        }
    }
}

/// What kind of number a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A duration, in microseconds.
    Time,
    /// A share, from 0 to 1.
    Share,
    /// A rate, per second.
    Rate,
    /// A count.
    Count,
}

impl Kind {
    /// The kind of a figure.
    #[must_use]
    pub fn of(quantity: Quantity) -> Self {
        match quantity {
            Quantity::FailureRate
            | Quantity::ThrottledRate
            | Quantity::UnexpectedRate
            | Quantity::FoundRate(_)
            | Quantity::Violations => Self::Share,
            Quantity::Achieved => Self::Rate,
            Quantity::Unsent | Quantity::Attempts(_) | Quantity::Found(_) => Self::Count,
            Quantity::Time(..) => Self::Time,
        }
    }

    /// Reads a bound of this kind, as a number of its unit.
    fn bound(self, text: &str) -> Result<f64, ThresholdError> {
        Ok(match self {
            Self::Time => parse_duration(text)?.as_secs_f64() * 1e6,
            Self::Share => text.parse::<Share>()?.get(),
            Self::Rate => text.parse::<Rate>()?.per_second(),
            Self::Count => {
                let count: u32 = text.replace('_', "").parse().map_err(|_| ThresholdError::Count(text.to_owned()))?;
                f64::from(count)
            }
        })
    }
}

/// Why a text is no condition of a metric.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ThresholdError {
    /// It does not begin with a comparison.
    #[error("`{0}` does not begin with a comparison; write one of < <= > >= = in front, such as \"< 1%\" or \"= 0\"")]
    NoComparison(String),
    /// The bound is of another unit.
    #[error(transparent)]
    Bound(#[from] ParseError),
    /// The bound is no count.
    #[error("`{0}` is no count; write a whole number up to 4,294,967,295")]
    Count(String),
    /// What follows the bound is not understood.
    #[error("`{0}` is not understood; write the bound alone, or `for 10s abort` behind it")]
    Tail(String),
    /// It must be violated for no time.
    #[error("`for {0}` is no time at all; use 1s or more")]
    ForNoTime(String),
    /// Equal to something that is never just so.
    #[error("`=` goes with counts and shares only, because times and rates are never just so; use <= or >=")]
    NeverEqual,
    /// It is always met, or never.
    #[error("`{0}` is {1} met, whatever happens; choose another bound")]
    Foregone(String, &'static str),
    /// A count has to grow first.
    #[error("a count is below its bound until it has grown, so `{0}` would stop the run early; remove `for … abort`")]
    AbortBelow(String),
    /// It is known too late.
    #[error("what is unsent is known at the end only, so it cannot stop the run; remove `for … abort`")]
    AbortUnsent,
    /// It is known too late.
    #[error("what the checks find is known at the end only, so it cannot stop the run; remove `for … abort`")]
    AbortChecks,
}

/// A bound on a metric: the run is to keep it.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    metric: Metric,
    comparison: Comparison,
    bound: f64,
    sustained: Option<Duration>,
    condition: String,
}

impl Threshold {
    /// Reads a condition such as `< 300ms`, `< 1%`, `> 50/s`, `= 0` or `< 1% for 10s abort`. The bound's unit must be that of
    /// the metric. `shown` is what stands for the text in files and messages: the text itself, unless a part of it is secret.
    ///
    /// # Errors
    /// When it is not understood, or makes no sense for the metric.
    pub fn parse(metric: Metric, text: &str, shown: &str) -> Result<Self, ThresholdError> {
        let text = text.trim();
        let signs = Comparison::SIGNS.iter().find_map(|(sign, of)| Some((*of, text.strip_prefix(sign)?)));
        let (comparison, rest) = signs.ok_or_else(|| ThresholdError::NoComparison(text.to_owned()))?;
        let (bound_text, sustained) = match rest.split_once(" for ") {
            Some((bound, tail)) => (bound.trim(), Some(sustained(tail)?)),
            None => (rest.trim(), None),
        };
        if let Some((_, tail)) = bound_text.split_once(' ').filter(|(_, tail)| tail.contains("abort")) {
            return Err(ThresholdError::Tail(tail.trim().to_owned()));
        }
        let kind = Kind::of(metric.quantity);
        let bound = kind.bound(bound_text)?;
        check(kind, comparison, bound, text)?;
        if sustained.is_some() {
            match (metric.quantity, comparison) {
                (Quantity::Unsent, _) => return Err(ThresholdError::AbortUnsent),
                (quantity, _) if quantity.is_of_checks() => return Err(ThresholdError::AbortChecks),
                (Quantity::Attempts(_), Comparison::Less | Comparison::AtMost) => {}
                (Quantity::Attempts(_), Comparison::Equal) if bound <= 0.0 => {}
                (Quantity::Attempts(_), _) => return Err(ThresholdError::AbortBelow(text.to_owned())),
                _ => {}
            }
        }
        Ok(Self { metric, comparison, bound, sustained, condition: shown.trim().to_owned() })
    }

    /// What it is about.
    #[must_use]
    pub fn metric(&self) -> &Metric {
        &self.metric
    }

    /// How the figure must stand to the bound.
    #[must_use]
    pub fn comparison(&self) -> Comparison {
        self.comparison
    }

    /// The bound, in the unit of the metric's [`Kind`].
    #[must_use]
    pub fn bound(&self) -> f64 {
        self.bound
    }

    /// The run is stopped when the condition is violated for so long; `None` when it is judged at the end alone.
    #[must_use]
    pub fn sustained(&self) -> Option<Duration> {
        self.sustained
    }

    /// The condition as the scenario writes it: `< 1% for 10s abort`.
    #[must_use]
    pub fn condition(&self) -> &str {
        &self.condition
    }

    /// Whether the condition is true of this figure, which is one of the threshold's metric.
    pub(super) fn holds(&self, measured: Measured) -> bool {
        measured.number().partial_cmp(&self.bound).is_some_and(|order| self.comparison.holds(order))
    }
}

/// Reads what follows `for`.
fn sustained(tail: &str) -> Result<Duration, ThresholdError> {
    let wrong = || ThresholdError::Tail(format!("for {}", tail.trim()));
    let time = tail.trim().strip_suffix("abort").ok_or_else(wrong)?.trim();
    let sustained = parse_duration(time)?;
    if sustained.is_zero() {
        return Err(ThresholdError::ForNoTime(time.to_owned()));
    }
    Ok(sustained)
}

/// Refuses what can only be met or only be crossed.
fn check(kind: Kind, comparison: Comparison, bound: f64, text: &str) -> Result<(), ThresholdError> {
    let most = if kind == Kind::Share { 1.0 } else { f64::INFINITY };
    let foregone = match comparison {
        Comparison::Equal if matches!(kind, Kind::Time | Kind::Rate) => return Err(ThresholdError::NeverEqual),
        Comparison::Less if bound <= 0.0 => "never",
        Comparison::More if bound >= most => "never",
        Comparison::AtLeast if bound <= 0.0 => "always",
        Comparison::AtMost if bound >= most => "always",
        _ => return Ok(()),
    };
    Err(ThresholdError::Foregone(text.to_owned(), foregone))
}

impl fmt::Display for Threshold {
    /// `service.p99 < 300ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.metric, self.condition)
    }
}

impl Serialize for Threshold {
    /// As `metric` and `condition`, the texts of the scenario.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Threshold", 2)?;
        fields.serialize_field("metric", &self.metric.to_string())?;
        fields.serialize_field("condition", &self.condition)?;
        fields.end()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(metric: &str, text: &str) -> Result<Threshold, ThresholdError> {
        Threshold::parse(Metric::parse(metric, &[]).unwrap(), text, text)
    }

    #[test]
    fn a_condition_has_a_comparison_a_bound_of_its_unit_and_perhaps_a_time() {
        for (metric, text, comparison, bound, sustained_s) in [
            ("service.p99", "< 300ms", Comparison::Less, 300_000.0, None),
            ("lag.max", "  <=1m30s ", Comparison::AtMost, 90_000_000.0, None),
            ("failure_rate", "< 1%", Comparison::Less, 0.01, None),
            ("failure_rate", "=0%", Comparison::Equal, 0.0, None),
            ("throttled_rate", ">= 99.5 %", Comparison::AtLeast, 0.995, None),
            ("achieved", "> 50/s", Comparison::More, 50.0, None),
            ("achieved", "> 300 / min", Comparison::More, 5.0, None),
            ("unsent", "= 0", Comparison::Equal, 0.0, None),
            ("never_visible", "= 0", Comparison::Equal, 0.0, None),
            ("reverted_rate", "= 0%", Comparison::Equal, 0.0, None),
            ("idempotency.violation_rate", "< 0.1%", Comparison::Less, 0.001, None),
            ("broken", "<= 4_294_967_295", Comparison::AtMost, 4_294_967_295.0, None),
            ("failure_rate", "< 1% for 10s abort", Comparison::Less, 0.01, Some(10.0)),
            ("response.mean", "< 1s  for  1m abort", Comparison::Less, 1_000_000.0, Some(60.0)),
            ("broken", "= 0 for 1500ms abort", Comparison::Equal, 0.0, Some(1.5)),
        ] {
            let threshold = parse(metric, text).unwrap();
            assert_eq!(threshold.comparison(), comparison, "{text}");
            assert!((threshold.bound() - bound).abs() < 1e-9, "{text}");
            assert_eq!(threshold.sustained(), sustained_s.map(Duration::from_secs_f64), "{text}");
            assert_eq!(threshold.to_string(), format!("{metric} {}", text.trim()));
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (metric, text) in [
            ("service.p99", ""),
            ("service.p99", "300ms"),
            ("service.p99", "<"),
            ("service.p99", "< 300"),
            ("service.p99", "< 1%"),
            ("service.p99", "== 1s"),
            ("service.p99", "= 1s"),
            ("service.p99", "< 0s"),
            ("failure_rate", "< 0.01"),
            ("failure_rate", "< 101%"),
            ("failure_rate", "<= 100%"),
            ("failure_rate", "> 100%"),
            ("failure_rate", ">= 0%"),
            ("failure_rate", "< 1% abort"),
            ("failure_rate", "< 1% for 10s"),
            ("failure_rate", "< 1% for 0s abort"),
            ("failure_rate", "< 1% for 10 abort"),
            ("failure_rate", "< 1% for abort"),
            ("failure_rate", "< 1% for 10s abort now"),
            ("achieved", "> 50"),
            ("achieved", "= 50/s"),
            ("unsent", "= -1"),
            ("unsent", "< 1.5"),
            ("unsent", "= 0 for 10s abort"),
            ("lost", "= 0 for 10s abort"),
            ("idempotency.violation_rate", "< 1% for 10s abort"),
            ("phantom", "< 1%"),
            ("stale_read_rate", "= 0"),
            ("broken", "> 3 for 10s abort"),
            ("broken", "= 3 for 10s abort"),
            ("broken", "< 4294967296"),
        ] {
            assert!(parse(metric, text).is_err(), "{metric} {text}");
        }
    }

    #[test]
    fn run_json_has_the_texts_of_the_scenario() {
        let metric = Metric::parse("failure_rate", &[]).unwrap();
        let threshold = Threshold::parse(metric, "< 1%", "< ${MOST}").unwrap();
        let json = serde_json::to_string(&threshold).unwrap();
        assert_eq!(json, r#"{"metric":"failure_rate","condition":"< ${MOST}"}"#);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in r"[<>=]{0,2} ?[0-9.]{0,12}(ms|s|%|/s|/min)?( for [0-9]{0,20}(ms|s|y)( abort)?)?|\PC*") {
            for metric in ["service.p99", "failure_rate", "achieved", "unsent", "lost", "lost_rate"] {
                let _ = parse(metric, &text);
            }
        }
    }
}
