//! HDR histograms by outcome and clock.

use std::fmt;
use std::time::Duration;

use hdrhistogram::{Counter, Histogram};

use super::{Outcome, Sample};

/// The longest duration that is told apart from longer ones.
const LONGEST: Duration = Duration::from_hours(24);

/// Significant decimal digits of a recorded value.
const DIGITS: u8 = 3;

/// The percentiles that `latency.csv` lists, in percent.
pub const PERCENTILES: [f64; 12] = [1.0, 5.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99, 100.0];

/// What a duration is measured between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Clock {
    /// From due, or from the end of the pause before a retry, to admitted: the limit's doing.
    Wait,
    /// From admitted to sent: our own lateness.
    Lag,
    /// Opening a connection, where one was opened.
    Connect,
    /// From sent to the response head.
    FirstByte,
    /// From sent to done: what the server did.
    Service,
    /// From due to the end of the operation's last attempt: what a user of the schedule would feel.
    Response,
}

impl Clock {
    /// All clocks, in the order of the reports.
    pub const ALL: [Self; 6] = [Self::Wait, Self::Lag, Self::Connect, Self::FirstByte, Self::Service, Self::Response];

    /// The name in reports and tags.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Lag => "lag",
            Self::Connect => "connect",
            Self::FirstByte => "first_byte",
            Self::Service => "service",
            Self::Response => "response",
        }
    }

    /// The clock of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|clock| clock.name() == name)
    }

    /// Whether this clock is kept apart by outcome; the others happen before there is one.
    #[must_use]
    pub fn has_outcome(self) -> bool {
        matches!(self, Self::FirstByte | Self::Service | Self::Response)
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The one HDR configuration: 1 us to 24 h, three significant digits, in microseconds.
#[must_use]
#[expect(clippy::missing_panics_doc, reason = "the bounds are constants that HDR accepts")]
pub fn new_histogram<C: Counter>() -> Histogram<C> {
    Histogram::new_with_bounds(1, micros(LONGEST), DIGITS).expect("the bounds are constants that HDR accepts")
}

/// A duration in whole microseconds, rounded to the nearest.
#[must_use]
pub fn micros(duration: Duration) -> u64 {
    u64::try_from((duration.as_nanos() + 500) / 1000).unwrap_or(u64::MAX)
}

/// The value at rank ceil(percent / 100 x n), in microseconds; `None` when fewer samples lie above the percentile than
/// it takes to speak of it (fewer than one on average), but for 100, which is the maximum of any sample.
///
/// `percent` is from 0 to 100 and counts with six decimals, so that ranks are computed in whole numbers: in binary,
/// 99.9 % of 1,000 is a little above 999, and its rank would be 1,000.
#[must_use]
pub fn quantile<C: Counter>(histogram: &Histogram<C>, percent: f64) -> Option<u64> {
    const WHOLE: u128 = 100_000_000;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0 to 100 million")]
    let part = (percent.clamp(0.0, 100.0) * 1e6).round() as u128;
    let samples = u128::from(histogram.len());
    if samples == 0 || (part < WHOLE && samples * (WHOLE - part) < WHOLE) {
        return None;
    }
    let rank = (samples * part).div_ceil(WHOLE).max(1);
    // Half a rank lower: HDR rounds up to the rank, and no rounding error reaches the next one.
    #[expect(clippy::cast_precision_loss, reason = "sample counts stay far below 2^52")]
    let quantile = (rank as f64 - 0.5) / samples as f64;
    Some(histogram.value_at_quantile(quantile).min(histogram.max()))
}

/// Adds the counts of one histogram to another, which may have another width of counter.
fn merge_histograms<C: Counter, D: Counter>(into: &mut Histogram<C>, from: &Histogram<D>) {
    for bucket in from.iter_recorded() {
        let count = C::from_u64(bucket.count_at_value().as_u64()).expect("one interval counts less than 2^32");
        into.saturating_record_n(bucket.value_iterated_to(), count);
    }
}

/// The histograms of one variant: one per clock, and per outcome where the clock knows it; made on the first sample.
#[derive(Debug, Clone)]
pub struct Distributions<C: Counter> {
    slots: Vec<Option<Histogram<C>>>,
}

impl<C: Counter> Default for Distributions<C> {
    fn default() -> Self {
        Self { slots: vec![None; Clock::ALL.len() * Outcome::ALL.len()] }
    }
}

impl<C: Counter> Distributions<C> {
    /// Records all durations of an attempt; the response only of an operation's last one.
    pub fn record(&mut self, sample: &Sample) {
        let outcome = sample.answer.outcome;
        let mut put = |clock, value| self.slot(clock, outcome).saturating_record(micros(value));
        put(Clock::Wait, sample.admitted.saturating_sub(sample.wanted()));
        put(Clock::Lag, sample.sent.saturating_sub(sample.admitted));
        if let Some(connect) = sample.connect {
            put(Clock::Connect, connect);
        }
        if let Some(first_byte) = sample.first_byte {
            put(Clock::FirstByte, first_byte.saturating_sub(sample.sent));
        }
        put(Clock::Service, sample.done.saturating_sub(sample.sent));
        if sample.last {
            self.record_response(outcome, sample.done.saturating_sub(sample.due));
        }
    }

    /// Records the response of an operation that ended so.
    pub(super) fn record_response(&mut self, outcome: Outcome, response: Duration) {
        self.slot(Clock::Response, outcome).saturating_record(micros(response));
    }

    /// Adds all counts of `other`; no value changes its bucket, because all histograms are of one configuration.
    pub fn add<D: Counter>(&mut self, other: &Distributions<D>) {
        for (clock, outcome, histogram) in other.iter() {
            self.merge(clock, outcome, histogram);
        }
    }

    /// Adds the counts of one histogram; `None` for a clock without outcome.
    pub fn merge<D: Counter>(&mut self, clock: Clock, outcome: Option<Outcome>, histogram: &Histogram<D>) {
        merge_histograms(self.slot(clock, outcome.unwrap_or(Outcome::Accepted)), histogram);
    }

    /// Every histogram that holds a sample, with its clock and its outcome (`None` for a clock without outcome).
    pub fn iter(&self) -> impl Iterator<Item = (Clock, Option<Outcome>, &Histogram<C>)> {
        Clock::ALL.into_iter().flat_map(move |clock| {
            Outcome::ALL.into_iter().filter(move |outcome| clock.has_outcome() || outcome.index() == 0).filter_map(
                move |outcome| {
                    let histogram = self.slots[Self::index(clock, outcome)].as_ref().filter(|h| !h.is_empty())?;
                    Some((clock, clock.has_outcome().then_some(outcome), histogram))
                },
            )
        })
    }

    /// The histogram of a clock over all outcomes.
    #[must_use]
    pub fn all(&self, clock: Clock) -> Histogram<u64> {
        let mut all = new_histogram();
        for (_, _, histogram) in self.iter().filter(|(of, _, _)| *of == clock) {
            merge_histograms(&mut all, histogram);
        }
        all
    }

    /// Forgets all counts and keeps the memory.
    pub fn clear(&mut self) {
        for histogram in self.slots.iter_mut().flatten().filter(|h| !h.is_empty()) {
            histogram.reset();
        }
    }

    fn slot(&mut self, clock: Clock, outcome: Outcome) -> &mut Histogram<C> {
        self.slots[Self::index(clock, outcome)].get_or_insert_with(new_histogram)
    }

    fn index(clock: Clock, outcome: Outcome) -> usize {
        let outcome = if clock.has_outcome() { outcome.index() } else { 0 };
        clock as usize * Outcome::ALL.len() + outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_needs_a_sample_above_it() {
        let mut histogram = new_histogram::<u64>();
        assert_eq!(quantile(&histogram, 100.0), None);
        for value in 1..=99 {
            histogram.record(value).unwrap();
        }
        assert_eq!(quantile(&histogram, 99.0), None);
        assert_eq!(quantile(&histogram, 100.0), Some(99));
        histogram.record(100).unwrap();
        assert_eq!(quantile(&histogram, 99.0), Some(99));
        assert_eq!(quantile(&histogram, 50.0), Some(50));
    }

    #[test]
    fn the_rank_of_a_quantile_is_exact() {
        let mut histogram = new_histogram::<u64>();
        for value in 1..=1_000 {
            histogram.record(value).unwrap();
        }
        for (percent, rank) in [(1.0, 10), (50.0, 500), (90.0, 900), (99.0, 990), (99.9, 999), (100.0, 1_000)] {
            assert_eq!(quantile(&histogram, percent), Some(rank), "{percent}");
        }
        assert_eq!(quantile(&histogram, 99.99), None);
    }

    #[test]
    fn values_beyond_a_day_are_counted_as_a_day() {
        let mut histogram = new_histogram::<u32>();
        histogram.saturating_record(micros(Duration::MAX));
        assert_eq!(histogram.len(), 1);
    }
}
