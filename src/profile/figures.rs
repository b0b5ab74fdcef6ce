//! The figures of an answer, each with its interval: what texts and files say of a limiter.

use std::ops::RangeInclusive;

use super::finding::{Finding, Measured, Verdict};
use super::interval::Interval;
use super::theory::{Family, Theory};

/// A number and the values of it that the data allow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The likeliest value, within the interval.
    pub value: f64,
    /// At 95 %.
    pub interval: Interval,
}

/// What is known of one limiter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// What it is, with its likeliest parameters.
    pub theory: Theory,
    /// The lowest and the highest limit that the data allow.
    pub limits: (u32, u32),
    /// The length of the window, or the time in which one request is regained, in seconds. `None` for concurrency, and
    /// where it was not measured.
    pub time: Option<Estimate>,
    /// Requests per second that it admits for ever; `None` as above.
    pub rate: Option<Estimate>,
    /// For how many seconds a refusal blocks; `None` where it does not, and where that was not measured.
    pub block: Option<Estimate>,
}

/// Times in seconds and rates per second that make sense.
const SIZES: RangeInclusive<f64> = 1e-12..=1e12;

impl Estimate {
    /// A value, moved into its interval where it lies outside; `None` where any of them is no size that anything has.
    pub(super) fn of(value: f64, interval: Interval) -> Option<Self> {
        let is_sound = |number: f64| SIZES.contains(&number);
        let sound = is_sound(value) && is_sound(interval.low) && is_sound(interval.high);
        (sound && interval.low <= interval.high)
            .then(|| Self { value: value.clamp(interval.low, interval.high), interval })
    }
}

impl Figures {
    fn of(theory: Theory, measured: Option<&Measured>) -> Self {
        let limits = measured.map_or((theory.limit, theory.limit), |measured| measured.limits);
        let timed = measured.filter(|_| theory.kind.family != Family::Concurrency);
        let time = timed.and_then(|measured| Estimate::of(theory.time, measured.time));
        let block = measured.and_then(|measured| Estimate::of(theory.penalty, measured.block?));
        let rate = time.and_then(|time| {
            let (fewest, most) = if theory.kind.is_bucket() { (1, 1) } else { limits };
            let Interval { low, high } = time.interval;
            let interval = Interval { low: f64::from(fewest) / high, high: f64::from(most) / low };
            let count = if theory.kind.is_bucket() { 1 } else { theory.limit };
            Estimate::of(f64::from(count) / time.value, interval)
        });
        Self { theory, limits, time, rate, block }
    }

    /// Requests that are admitted at once when nothing is used up: so many at least.
    #[must_use]
    pub fn burst(&self) -> u32 {
        Theory { limit: self.limits.0.min(self.theory.limit), ..self.theory }.capacity()
    }
}

impl Finding {
    /// Whether the best explanation may be taken for what the server does: nothing contradicts it, even if it is not
    /// proven.
    #[must_use]
    pub fn stands(&self) -> bool {
        match self.verdict {
            Verdict::Identified | Verdict::NotVerified | Verdict::Equivalent(_) => self.best.is_some(),
            Verdict::NotConfirmed
            | Verdict::SharedQuota { .. }
            | Verdict::Unknown
            | Verdict::NoLimit
            | Verdict::Undecided => false,
        }
    }

    /// What is known of each limiter of the best explanation; nothing where there is none.
    #[must_use]
    pub fn figures(&self) -> Vec<Figures> {
        let theories = self.best.iter().flat_map(|fit| &fit.hypothesis.tiers).enumerate();
        theories.map(|(tier, theory)| Figures::of(*theory, self.tiers.get(tier))).collect()
    }

    /// The rate that all limiters admit for ever; `None` where none of them has one that was measured.
    #[must_use]
    pub fn sustainable(&self) -> Option<Estimate> {
        let rates = self.figures().into_iter().filter_map(|figures| figures.rate);
        rates.min_by(|a, b| a.value.total_cmp(&b.value))
    }

    /// Requests that all limiters admit at once when nothing is used up; `None` where there is none.
    #[must_use]
    pub fn safe_burst(&self) -> Option<u32> {
        self.figures().iter().map(Figures::burst).min()
    }
}
