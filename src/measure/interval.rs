//! What a worker counted and recorded since its last hand-over.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::{Answer, Clock, Distributions, Failures, GivenUp, Outcome, Retries, Sample, new_histogram};

/// Counts of operations and attempts; all of them add up over workers, seconds and runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Operations that the schedule wanted.
    pub due: u64,
    /// Operations of which a first attempt was made.
    pub started: u64,
    /// Operations that were due and had not started at the end.
    pub unsent: u64,
    /// Operations whose last attempt is done.
    pub finished: u64,
    /// Operations whose last attempt was not accepted, the throttled ones included.
    pub failed: u64,
    /// Operations whose last attempt was throttled.
    pub throttled: u64,
    /// Attempts that broke before they were written to a connection.
    pub not_sent: u64,
    /// Attempts by outcome, in the order of [`Outcome::ALL`].
    pub outcomes: [u64; Outcome::ALL.len()],
}

impl Counts {
    /// Attempts that are done.
    #[must_use]
    pub fn attempts(&self) -> u64 {
        self.outcomes.iter().sum()
    }

    /// Operations: those that started and those that were due and did not.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.started + self.unsent
    }

    /// Attempts with this outcome.
    #[must_use]
    pub fn outcome(&self, outcome: Outcome) -> u64 {
        self.outcomes[outcome.index()]
    }

    /// Adds all counts of `other`.
    pub fn add(&mut self, other: &Self) {
        self.due += other.due;
        self.started += other.started;
        self.unsent += other.unsent;
        self.finished += other.finished;
        self.failed += other.failed;
        self.throttled += other.throttled;
        self.not_sent += other.not_sent;
        for (mine, theirs) in self.outcomes.iter_mut().zip(other.outcomes) {
            *mine += theirs;
        }
    }

    fn record(&mut self, sample: &Sample) {
        let outcome = sample.answer.outcome;
        self.outcomes[outcome.index()] += 1;
        self.not_sent += u64::from(sample.answer.not_sent);
        if sample.last {
            self.finish(outcome);
        }
    }

    /// An operation has ended, with this outcome of its last attempt.
    fn finish(&mut self, outcome: Outcome) {
        self.finished += 1;
        self.failed += u64::from(outcome != Outcome::Accepted);
        self.throttled += u64::from(outcome == Outcome::Throttled);
    }
}

/// Sums over one-second blocks, from which the design effect of a failure rate is computed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Blocks {
    /// Blocks with at least one finished operation.
    pub blocks: u64,
    /// Finished operations.
    pub finished: f64,
    /// Failed operations.
    pub failed: f64,
    /// Sum of squares of the finished.
    pub finished_squared: f64,
    /// Sum of squares of the failed.
    pub failed_squared: f64,
    /// Sum of products of both.
    pub product: f64,
}

impl Blocks {
    /// Adds the block of one second.
    #[expect(clippy::cast_precision_loss, reason = "operations of one second stay far below 2^53")]
    pub fn add_second(&mut self, counts: &Counts) {
        if counts.finished == 0 {
            return;
        }
        let (finished, failed) = (counts.finished as f64, counts.failed as f64);
        self.blocks += 1;
        self.finished += finished;
        self.failed += failed;
        self.finished_squared += finished * finished;
        self.failed_squared += failed * failed;
        self.product += finished * failed;
    }

    /// Adds the sums of other blocks.
    pub fn add(&mut self, other: &Self) {
        self.blocks += other.blocks;
        self.finished += other.finished;
        self.failed += other.failed;
        self.finished_squared += other.finished_squared;
        self.failed_squared += other.failed_squared;
        self.product += other.product;
    }

    /// The sum over all blocks of (failed - share x finished)^2, where share is that of all blocks together; 0 where
    /// nothing finished.
    #[must_use]
    pub fn residual_squares(&self) -> f64 {
        if self.finished <= 0.0 {
            return 0.0;
        }
        let share = self.failed / self.finished;
        // Rounding may leave a little less than nothing.
        (self.failed_squared - 2.0 * share * self.product + share * share * self.finished_squared).max(0.0)
    }
}

/// One variant's part of an [`Interval`].
#[derive(Debug, Clone, Default)]
pub struct VariantInterval {
    /// Counts of this interval.
    pub counts: Counts,
    /// Durations of this interval.
    pub distributions: Distributions<u32>,
}

/// What was counted and recorded in one second, by one worker or by all.
#[derive(Debug, Clone, Default)]
pub struct Interval {
    /// By variant, in the order of the scenario.
    pub variants: Vec<VariantInterval>,
    /// What was not accepted.
    pub failures: Failures,
    /// What was tried again.
    pub retries: Retries,
    /// What was due in the warm-up or the cool-down, of all variants together: it stands in the timeline and in no figure.
    pub aside: VariantInterval,
    /// What refused us, in whatever phase it was due.
    pub refusals: Refusals,
}

/// Answers that tell a client to go away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Refusals {
    /// Answers with status 401 or 403 that were not expected.
    pub unauthorized: u64,
    /// The longest pause that a server asked for; zero where none did.
    pub longest_retry_after: Duration,
}

impl Refusals {
    fn record(&mut self, answer: &Answer) {
        let is_unauthorized = matches!(answer.status, Some(401 | 403)) && answer.outcome != Outcome::Accepted;
        self.unauthorized += u64::from(is_unauthorized);
        self.longest_retry_after = self.longest_retry_after.max(answer.retry_after.unwrap_or_default());
    }

    fn add(&mut self, other: Self) {
        self.unauthorized += other.unauthorized;
        self.longest_retry_after = self.longest_retry_after.max(other.longest_retry_after);
    }
}

/// What a record is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// A variant, by its index in the scenario, in the main phase.
    Variant(usize),
    /// The warm-up or the cool-down.
    Aside,
}

impl Interval {
    /// An empty interval.
    #[must_use]
    pub fn new(variants: usize) -> Self {
        Self { variants: (0..variants).map(|_| VariantInterval::default()).collect(), ..Self::default() }
    }

    /// Adds everything of `other`.
    pub fn add(&mut self, other: &Self) {
        let (mine, theirs) = (self.parts_mut(), other.parts());
        for (mine, theirs) in mine.zip(theirs) {
            mine.counts.add(&theirs.counts);
            mine.distributions.add(&theirs.distributions);
        }
        self.failures.add(&other.failures);
        self.refusals.add(other.refusals);
        self.retries.add(&other.retries);
    }

    /// All of it: the variants, and what is aside of the figures.
    pub fn parts(&self) -> impl Iterator<Item = &VariantInterval> {
        self.variants.iter().chain([&self.aside])
    }

    fn parts_mut(&mut self) -> impl Iterator<Item = &mut VariantInterval> {
        self.variants.iter_mut().chain([&mut self.aside])
    }

    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        for part in self.parts_mut() {
            part.counts = Counts::default();
            part.distributions.clear();
        }
        self.failures.clear();
        self.refusals = Refusals::default();
        self.retries = Retries::default();
    }

    /// The counts of all variants together, as the figures have them.
    #[must_use]
    pub fn counts(&self) -> Counts {
        sum(self.variants.iter())
    }

    /// All durations of a clock, of all variants and outcomes, in whatever phase they were due.
    ///
    /// # Panics
    /// Never: all histograms have one configuration.
    #[must_use]
    pub fn all_of(&self, clock: Clock) -> Histogram<u64> {
        let mut all = new_histogram();
        for part in self.parts() {
            all.add(part.distributions.all(clock)).expect("all histograms have one configuration");
        }
        all
    }

    /// The counts of all that happened, in whatever phase it was due.
    #[must_use]
    pub fn all_counts(&self) -> Counts {
        sum(self.parts())
    }
}

fn sum<'a>(parts: impl Iterator<Item = &'a VariantInterval>) -> Counts {
    let mut all = Counts::default();
    for part in parts {
        all.add(&part.counts);
    }
    all
}

/// A worker's own record of what it does; nothing else touches it, so it needs no lock.
#[derive(Debug)]
pub struct Recorder {
    interval: Interval,
    in_flight: u64,
}

impl Recorder {
    /// An empty recorder for so many variants.
    #[must_use]
    pub fn new(variants: usize) -> Self {
        Self { interval: Interval::new(variants), in_flight: 0 }
    }

    /// The schedule wants an operation now.
    pub fn due(&mut self, of: Of) {
        self.part(of).counts.due += 1;
    }

    /// The first attempt of an operation is about to be sent.
    pub fn started(&mut self, of: Of) {
        self.part(of).counts.started += 1;
        self.in_flight += 1;
    }

    /// An operation that was due is given up before its first attempt.
    pub fn unsent(&mut self, of: Of) {
        self.part(of).counts.unsent += 1;
    }

    /// An attempt is done.
    pub fn record(&mut self, of: Of, sample: &Sample) {
        let part = self.part(of);
        part.counts.record(sample);
        part.distributions.record(sample);
        if of != Of::Aside {
            self.interval.retries.record(sample);
            if sample.answer.outcome != Outcome::Accepted {
                self.interval.failures.record(sample);
            }
        }
        self.interval.refusals.record(&sample.answer);
        self.in_flight -= u64::from(sample.last);
    }

    /// An operation is not tried again, although its last attempt was one to try again.
    pub fn give_up(&mut self, of: Of, why: GivenUp) {
        if of != Of::Aside {
            self.interval.retries.give_up(why);
        }
    }

    /// An operation that was to be tried again ends with the attempt that it had last: with that one's outcome, so long
    /// after its due time. The attempt itself was recorded when it was done.
    pub fn finish(&mut self, of: Of, outcome: Outcome, response: Duration) {
        let part = self.part(of);
        part.counts.finish(outcome);
        part.distributions.record_response(outcome, response);
        self.in_flight -= 1;
    }

    fn part(&mut self, of: Of) -> &mut VariantInterval {
        match of {
            Of::Variant(index) => &mut self.interval.variants[index],
            Of::Aside => &mut self.interval.aside,
        }
    }

    /// Operations that have started and are not finished.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// Hands over what was recorded and goes on with `empty`.
    pub fn swap(&mut self, empty: Interval) -> Interval {
        std::mem::replace(&mut self.interval, empty)
    }
}

/// A test helper for all layers: an attempt that was sent when it was due and took `service`.
#[cfg(test)]
pub(crate) fn sample_at(variant: usize, due: Duration, service: Duration, answer: super::Answer) -> Sample {
    Sample {
        variant,
        due,
        admitted: due,
        sent: due,
        first_byte: Some(due + service / 2),
        done: due + service,
        connect: None,
        answer,
        last: true,
        retry: None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::measure::{Answer, Clock};

    fn answer(outcome: Outcome) -> Answer {
        Answer { outcome, code: outcome.name().to_owned(), ..Answer::accepted(200) }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn split_and_merged_recorders_equal_one(
            samples in proptest::collection::vec((0..3_usize, 0..6_usize, 0..90_000_000_u64, any::<bool>()), 0..60),
        ) {
            let mut one = Recorder::new(3);
            let mut two = [Recorder::new(3), Recorder::new(3)];
            for (variant, outcome, service, left) in samples {
                let sample =
                    sample_at(variant, Duration::ZERO, Duration::from_micros(service), answer(Outcome::ALL[outcome]));
                for recorder in [&mut one, &mut two[usize::from(left)]] {
                    recorder.due(Of::Variant(variant));
                    recorder.started(Of::Variant(variant));
                    recorder.record(Of::Variant(variant), &sample);
                }
            }
            let one = one.swap(Interval::default());
            let mut merged = Interval::new(3);
            for mut recorder in two {
                merged.add(&recorder.swap(Interval::default()));
            }
            prop_assert_eq!(&one.failures, &merged.failures);
            for (a, b) in one.variants.iter().zip(&merged.variants) {
                prop_assert_eq!(a.counts, b.counts);
                let series = |v: &VariantInterval| {
                    v.distributions.iter().map(|(clock, outcome, h)| (clock, outcome, h.clone())).collect::<Vec<_>>()
                };
                prop_assert_eq!(series(a), series(b));
            }
        }
    }

    #[test]
    fn residual_squares_are_those_of_the_blocks_one_by_one() {
        let parts = [(100.0_f64, 100.0_f64), (100.0, 0.0), (50.0, 5.0), (10.0, 1.0)];
        let mut blocks = Blocks::default();
        assert!(blocks.residual_squares().abs() < 1e-9);
        for (finished, failed) in [(100, 100), (100, 0), (50, 5), (10, 1), (0, 0)] {
            blocks.add_second(&Counts { finished, failed, ..Counts::default() });
        }
        let share = 106.0 / 260.0;
        let expected: f64 = parts.iter().map(|(finished, failed)| (failed - share * finished).powi(2)).sum();
        assert!((blocks.residual_squares() - expected).abs() < 1e-9);
        assert_eq!(blocks.blocks, 4);
    }

    #[test]
    fn a_cleared_interval_equals_a_new_one() {
        let mut recorder = Recorder::new(1);
        recorder.started(Of::Variant(0));
        recorder
            .record(Of::Variant(0), &sample_at(0, Duration::ZERO, Duration::from_millis(3), answer(Outcome::Failed)));
        let mut interval = recorder.swap(Interval::new(1));
        interval.clear();
        assert_eq!(interval.counts(), Counts::default());
        assert_eq!(interval.failures.iter().count(), 0);
        assert_eq!(interval.variants[0].distributions.iter().count(), 0);
        assert!(interval.variants[0].distributions.all(Clock::Response).is_empty());
    }
}
