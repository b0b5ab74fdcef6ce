//! What a threshold is about.

use std::fmt;

use crate::measure::{Check, Clock, Outcome};

/// What stands before the name of a variant in the name of a metric.
const VARIANT: &str = "variant.";

/// A figure of a run, of all variants together or of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// The variant; `None` for all together.
    pub variant: Option<OfVariant>,
    /// The figure.
    pub quantity: Quantity,
}

/// Which variant a metric is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfVariant {
    /// Its index in the scenario.
    pub index: usize,
    /// Its name.
    pub name: String,
}

/// A figure that a threshold can bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// Operations whose last attempt was not accepted, of those that finished: `failure_rate`.
    FailureRate,
    /// Operations whose last attempt was throttled, of those that finished: `throttled_rate`.
    ThrottledRate,
    /// Attempts with a success status that the variant does not expect, of all attempts: `unexpected_rate`.
    UnexpectedRate,
    /// Attempts per second: `achieved`.
    Achieved,
    /// Operations that were due and had not started at the end: `unsent`.
    Unsent,
    /// Attempts with this outcome, by its name: `broken`.
    Attempts(Outcome),
    /// A statistic of a duration over attempts of all outcomes: `service.p99`.
    Time(Clock, Statistic),
    /// Cases in which a check found a violation, by its name: `never_visible`. Known at the end of a run only.
    Found(Check),
    /// Of the cases that were checked, those in which it was found: `never_visible_rate`. Known at the end of a run only.
    FoundRate(Check),
    /// Of the repetitions that were judged, those that differ: `idempotency.violation_rate`. Known at the end of a run only.
    Violations,
}

/// What is taken of many durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistic {
    /// The median.
    P50,
    /// The 90th percentile.
    P90,
    /// The 95th percentile.
    P95,
    /// The 99th percentile.
    P99,
    /// The 99.9th percentile.
    P999,
    /// The 99.99th percentile.
    P9999,
    /// The longest.
    Max,
    /// The arithmetic mean.
    Mean,
}

impl Statistic {
    /// All statistics, in the order of the documentation.
    pub const ALL: [Self; 8] =
        [Self::P50, Self::P90, Self::P95, Self::P99, Self::P999, Self::P9999, Self::Max, Self::Mean];

    /// The name in a metric.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::P999 => "p99.9",
            Self::P9999 => "p99.99",
            Self::Max => "max",
            Self::Mean => "mean",
        }
    }

    /// The percentile in percent, 100 for the longest; `None` for the mean.
    #[must_use]
    pub fn percent(self) -> Option<f64> {
        match self {
            Self::P50 => Some(50.0),
            Self::P90 => Some(90.0),
            Self::P95 => Some(95.0),
            Self::P99 => Some(99.0),
            Self::P999 => Some(99.9),
            Self::P9999 => Some(99.99),
            Self::Max => Some(100.0),
            Self::Mean => None,
        }
    }

    /// The fewest durations that tell it: so many that one of them lies above the percentile on average, as
    /// [`quantile`](crate::measure::quantile) wants it.
    #[must_use]
    pub fn least_samples(self) -> u64 {
        match self {
            Self::P50 => 2,
            Self::P90 => 10,
            Self::P95 => 20,
            Self::P99 => 100,
            Self::P999 => 1_000,
            Self::P9999 => 10_000,
            Self::Max | Self::Mean => 1,
        }
    }
}

/// What stands behind the name of a check in the name of its rate.
const RATE: &str = "_rate";

impl Quantity {
    /// All figures that are neither of durations nor of one outcome or check.
    const PLAIN: [Self; 6] =
        [Self::FailureRate, Self::ThrottledRate, Self::UnexpectedRate, Self::Achieved, Self::Unsent, Self::Violations];

    /// Whether checks of idempotency and consistency tell it.
    #[must_use]
    pub fn is_of_checks(self) -> bool {
        matches!(self, Self::Found(_) | Self::FoundRate(_) | Self::Violations)
    }

    /// The figures of all checks that find violations.
    fn of_checks() -> impl Iterator<Item = Self> {
        let violations = || Check::ALL.into_iter().filter(|check| check.is_violation());
        violations().map(Self::Found).chain(violations().map(Self::FoundRate))
    }

    /// The fewest attempts, operations or durations that tell it.
    #[must_use]
    pub fn least_samples(self) -> u64 {
        match self {
            Self::Time(_, statistic) => statistic.least_samples(),
            // Also of checks: that nothing was found where nothing was looked for says nothing.
            Self::FailureRate
            | Self::ThrottledRate
            | Self::UnexpectedRate
            | Self::Found(_)
            | Self::FoundRate(_)
            | Self::Violations => 1,
            Self::Achieved | Self::Unsent | Self::Attempts(_) => 0,
        }
    }

    /// The figure of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let plain = Self::PLAIN.into_iter().chain(Self::of_checks()).find(|quantity| quantity.to_string() == name);
        if plain.is_some() {
            return plain;
        }
        if let Some((clock, statistic)) = name.split_once('.') {
            let statistic = Statistic::ALL.into_iter().find(|of| of.name() == statistic)?;
            return Some(Self::Time(Clock::from_name(clock)?, statistic));
        }
        Outcome::from_name(name).map(Self::Attempts)
    }

    /// The figure at the end of a metric's name, whatever its variant is called.
    pub(super) fn at_end_of(metric: &str) -> Option<Self> {
        let rests = metric.match_indices('.').map(|(dot, _)| &metric[dot + 1..]);
        std::iter::once(metric).chain(rests).find_map(Self::from_name)
    }

    /// What may stand where `name`, which is no figure's, does: the names of statistics behind a known clock, otherwise one
    /// name for each figure and clock.
    fn near(name: &str) -> Vec<String> {
        match name.split_once('.') {
            Some((clock, _)) if Clock::from_name(clock).is_some() => {
                Statistic::ALL.iter().map(|statistic| format!("{clock}.{}", statistic.name())).collect()
            }
            _ => {
                let plain = Self::PLAIN.into_iter();
                let attempts = Outcome::ALL.into_iter().map(Self::Attempts);
                let times = Clock::ALL.into_iter().map(|clock| Self::Time(clock, Statistic::P99));
                plain
                    .chain(attempts)
                    .chain(times)
                    .chain(Self::of_checks())
                    .map(|quantity| quantity.to_string())
                    .collect()
            }
        }
    }
}

impl fmt::Display for Quantity {
    /// The name in the scenario.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FailureRate => f.write_str("failure_rate"),
            Self::ThrottledRate => f.write_str("throttled_rate"),
            Self::UnexpectedRate => f.write_str("unexpected_rate"),
            Self::Achieved => f.write_str("achieved"),
            Self::Unsent => f.write_str("unsent"),
            Self::Attempts(outcome) => write!(f, "{outcome}"),
            Self::Time(clock, statistic) => write!(f, "{clock}.{}", statistic.name()),
            Self::Found(check) => write!(f, "{check}"),
            Self::FoundRate(check) => write!(f, "{check}{RATE}"),
            Self::Violations => f.write_str("idempotency.violation_rate"),
        }
    }
}

/// Why a name is no metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnknownMetric {
    /// There is no such figure.
    Quantity {
        /// What was read.
        name: String,
        /// What it may be instead.
        known: Vec<String>,
    },
    /// There is no such variant.
    Variant {
        /// What was read.
        name: String,
    },
}

impl Metric {
    /// Whether the variant with this index is in the figure.
    pub(super) fn is_of(&self, variant: usize) -> bool {
        self.variant.as_ref().is_none_or(|of| of.index == variant)
    }

    /// Reads `service.p99`, or `variant.NAME.service.p99` for the variant of that name among `variants`.
    ///
    /// A variant's name may have dots in it: no name of a figure ends with that of another, so only one reading fits.
    ///
    /// # Errors
    /// When there is no such figure or variant.
    pub fn parse(text: &str, variants: &[&str]) -> Result<Self, UnknownMetric> {
        let unknown = |name: &str| UnknownMetric::Quantity { name: name.to_owned(), known: Quantity::near(name) };
        let Some(rest) = text.strip_prefix(VARIANT) else {
            let quantity = Quantity::from_name(text).ok_or_else(|| unknown(text))?;
            return Ok(Self { variant: None, quantity });
        };
        let splits = || rest.match_indices('.').map(|(dot, _)| (&rest[..dot], &rest[dot + 1..]));
        let known = splits().find_map(|(name, figure)| Some((name, Quantity::from_name(figure)?)));
        let Some((name, quantity)) = known else {
            let behind_a_variant = splits().find(|(name, _)| variants.contains(name)).or_else(|| splits().next());
            return Err(unknown(behind_a_variant.map_or("", |(_, figure)| figure)));
        };
        match variants.iter().position(|variant| *variant == name) {
            Some(index) => Ok(Self { variant: Some(OfVariant { index, name: name.to_owned() }), quantity }),
            None => Err(UnknownMetric::Variant { name: name.to_owned() }),
        }
    }
}

impl fmt::Display for Metric {
    /// The name in the scenario.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.variant {
            Some(variant) => write!(f, "{VARIANT}{}.{}", variant.name, self.quantity),
            None => write!(f, "{}", self.quantity),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{new_histogram, quantile};

    fn all_quantities() -> Vec<Quantity> {
        let times = Clock::ALL.into_iter().flat_map(|clock| Statistic::ALL.map(|of| Quantity::Time(clock, of)));
        let plain = Quantity::PLAIN.into_iter().chain(Quantity::of_checks());
        plain.chain(Outcome::ALL.map(Quantity::Attempts)).chain(times).collect()
    }

    #[test]
    fn every_metric_is_read_by_the_name_that_it_is_shown_with() {
        let variants = ["attributes", "a.b", "x.service.p99", "failed"];
        for quantity in all_quantities() {
            for variant in std::iter::once(None).chain(variants.iter().enumerate().map(Some)) {
                let variant = variant.map(|(index, name)| OfVariant { index, name: (*name).to_owned() });
                let metric = Metric { variant, quantity };
                assert_eq!(Quantity::at_end_of(&metric.to_string()), Some(quantity));
                assert_eq!(Metric::parse(&metric.to_string(), &variants), Ok(metric));
            }
        }
    }

    #[test]
    fn what_is_no_violation_has_no_threshold() {
        for name in ["visible", "indeterminate", "visible_rate", "idempotency", "violation_rate", "never_visible.p99"] {
            assert_eq!(Quantity::from_name(name), None, "{name}");
        }
        assert_eq!(Quantity::at_end_of("variant.lost.failure_rate").map(Quantity::is_of_checks), Some(false));
    }

    #[test]
    fn no_name_of_a_figure_ends_with_that_of_another() {
        let names: Vec<_> = all_quantities().iter().map(Quantity::to_string).collect();
        for name in &names {
            assert!(!names.iter().any(|other| other.ends_with(&format!(".{name}"))), "{name}");
        }
    }

    #[test]
    fn a_statistic_is_told_from_just_as_many_samples_as_it_says() {
        for statistic in Statistic::ALL {
            let Some(percent) = statistic.percent() else { continue };
            let mut histogram = new_histogram::<u64>();
            histogram.record_n(1, statistic.least_samples() - 1).unwrap();
            assert_eq!(quantile(&histogram, percent), None, "{}", statistic.name());
            histogram.record(1).unwrap();
            assert_eq!(quantile(&histogram, percent), Some(1), "{}", statistic.name());
        }
    }

    #[test]
    fn what_is_unknown_is_named_with_what_it_may_be() {
        let unknown = |text| match Metric::parse(text, &["a"]) {
            Err(UnknownMetric::Quantity { name, known }) => (name, known.len()),
            other => panic!("{other:?}"),
        };
        assert_eq!(unknown("service.p98"), ("service.p98".to_owned(), 8));
        assert_eq!(unknown("latency"), ("latency".to_owned(), 30));
        assert_eq!(unknown(""), (String::new(), 30));
        assert_eq!(unknown("variant."), (String::new(), 30));
        assert_eq!(unknown("variant.a.service.p98"), ("service.p98".to_owned(), 8));
        let variant = UnknownMetric::Variant { name: "b".to_owned() };
        assert_eq!(Metric::parse("variant.b.failed", &["a"]), Err(variant));
    }
}
