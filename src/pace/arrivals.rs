//! The open model: when operations are due, whatever the server does.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use super::curve::{ArrivalsError, Curve, Piece, RateStage};
use super::gaps::Gaps;
use crate::units::Rate;

/// How operations lie under the rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spacing {
    /// As evenly as the rate allows: operation n is due when the integral of the rate has reached n.
    Even,
    /// As independent callers come: a Poisson process, inhomogeneous where the rate changes.
    ///
    /// Arrivals of a process of one per unit of time are mapped through the inverse of the integral of the rate (time
    /// rescaling: E. Çinlar, Introduction to Stochastic Processes, 1975, section 4.7; L. Devroye, Non-Uniform Random
    /// Variate Generation, 1986, section VI.1.3). The same seed gives the same due times on the same kind of machine.
    Poisson {
        /// Another seed gives other due times.
        seed: u64,
    },
}

/// A schedule of operations, each due at a time that depends on nothing but the schedule.
///
/// # Exactly when
/// Operations are counted from 0, times from the start of the schedule. Let I(t) be the integral of the rate from 0 to
/// t. With [`Spacing::Even`] operation n is due at the first instant from which I exceeds n, rounded up to a nanosecond:
/// I has reached n there, and one nanosecond earlier it had not, or the rate was zero. So operation 0 is due at the
/// first instant with a rate, and an operation that falls on the start of a pause is due at its end, where the next
/// stretch of work begins. With [`Spacing::Poisson`] the same holds for the sum of n + 1 random gaps in place of n.
///
/// Nothing is due at the end of the schedule or later. All of it is integer arithmetic: no rounding adds up, and a
/// fraction of an operation at the end of a stage or of a repetition counts in the next.
///
/// # Examples
/// ```
/// use std::num::NonZeroU32;
/// use std::time::Duration;
///
/// use patchload::pace::{Arrivals, RateStage, Spacing};
///
/// let hold = RateStage::Hold { length: Duration::from_secs(60), rate: Some("2000/s".parse()?) };
/// let arrivals = Arrivals::new(&[hold], NonZeroU32::MIN, Spacing::Even)?;
/// assert_eq!(arrivals.count(), 120_000);
/// assert_eq!(arrivals.due(3), Some(Duration::from_micros(1500)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrivals {
    /// Shared by all cursors, which live on threads of their own.
    curve: Arc<Curve>,
    spacing: Spacing,
}

impl Arrivals {
    /// Puts the stages one after the other, and all of them `repeat` times. Every repetition begins from no rate, so that
    /// each is like the first.
    ///
    /// # Errors
    /// A rate above 100,000 per second, rates without a common measure, and a schedule of more than 584 years. Rates below
    /// one per hour are as exact as others.
    pub fn new(stages: &[RateStage], repeat: NonZeroU32, spacing: Spacing) -> Result<Self, ArrivalsError> {
        Ok(Self { curve: Arc::new(Curve::new(stages, repeat)?), spacing })
    }

    /// The length of all stages and repetitions.
    #[must_use]
    pub fn length(&self) -> Duration {
        Duration::from_nanos(self.curve.length())
    }

    /// The highest rate of all times, as a stage gives it; `None` when there never is one.
    #[must_use]
    pub fn max_rate(&self) -> Option<Rate> {
        self.curve.fastest()
    }

    /// The rate at a time, in operations per second: where two stages meet that of the later one, after the end 0.
    #[must_use]
    pub fn rate_at(&self, time: Duration) -> f64 {
        u64::try_from(time.as_nanos()).map_or(0.0, |time| self.curve.rate(time))
    }

    /// The number of operations of the schedule.
    ///
    /// With [`Spacing::Even`] the integral of the rate, rounded up because operation 0 is due before anything has come
    /// together; one less in case the last of them would be rounded up to the end. At once. With [`Spacing::Poisson`] it
    /// is random around the integral, and takes a few nanoseconds for each operation.
    #[must_use]
    pub fn count(&self) -> u64 {
        match self.spacing {
            Spacing::Even => self.curve.count(),
            Spacing::Poisson { seed } => {
                let (mut gaps, operation, end) = (Gaps::new(seed), self.curve.operation(), self.curve.end());
                (0..u64::MAX).take_while(|n| gaps.arrival(*n, operation, end).is_some()).count() as u64
            }
        }
    }

    /// When operation `n` is due; `None` when the schedule has no such operation.
    ///
    /// With [`Spacing::Even`] at once. With [`Spacing::Poisson`] it takes a few nanoseconds for each operation before it,
    /// because a sum of random gaps has no short cut: walk with a [`Cursor`] instead.
    #[must_use]
    pub fn due(&self, n: u64) -> Option<Duration> {
        Cursor::new(self, n, 1).next().map(|(_, due)| due)
    }

    /// All operations in order.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor::new(self, 0, 1)
    }

    /// The operations in order that [`assign`](super::assign) gives to a worker: none when there is no such worker.
    #[must_use]
    pub fn share(&self, worker: usize, workers: NonZeroUsize) -> Cursor {
        let first = if worker < workers.get() { worker as u64 } else { u64::MAX };
        Cursor::new(self, first, workers.get() as u64)
    }
}

/// Walks through the operations of a schedule, or of one worker, each with its number and due time, in order.
///
/// A step is cheap and takes the same time however long the schedule is; with [`Spacing::Poisson`] it takes a few
/// nanoseconds more for each operation of other workers. It holds no borrow, so that a worker can own it.
#[derive(Debug, Clone)]
pub struct Cursor {
    curve: Arc<Curve>,
    /// The piece of the last operation; the next one is often in the same.
    piece: Option<Piece>,
    /// The next operation; `None` after the last.
    next: Option<u64>,
    stride: u64,
    /// `None` for even spacing.
    gaps: Option<Gaps>,
}

impl Cursor {
    fn new(arrivals: &Arrivals, first: u64, stride: u64) -> Self {
        let gaps = match arrivals.spacing {
            Spacing::Even => None,
            Spacing::Poisson { seed } => Some(Gaps::new(seed)),
        };
        Self { curve: Arc::clone(&arrivals.curve), piece: None, next: Some(first), stride, gaps }
    }

    /// The part of the curve at which operation `n` is due; `None` after the end. Every `n` must be greater than
    /// the one before.
    fn part(&mut self, n: u64) -> Option<u128> {
        let (operation, end) = (self.curve.operation(), self.curve.end());
        match &mut self.gaps {
            None => Some(u128::from(n) * u128::from(operation)).filter(|part| *part < end),
            Some(gaps) => gaps.arrival(n, operation, end),
        }
    }

    fn due(&mut self, part: u128) -> Option<u64> {
        if let Some(due) = self.piece.and_then(|piece| piece.due(part)) {
            return Some(due);
        }
        self.piece = self.curve.find(part);
        self.piece.and_then(|piece| piece.due(part))
    }
}

impl Iterator for Cursor {
    type Item = (u64, Duration);

    fn next(&mut self) -> Option<Self::Item> {
        let n = self.next.take()?;
        let part = self.part(n)?;
        let due = self.due(part)?;
        self.next = n.checked_add(self.stride);
        Some((n, Duration::from_nanos(due)))
    }
}

impl std::iter::FusedIterator for Cursor {}

#[cfg(test)]
mod poisson_tests;
#[cfg(test)]
mod tests;
