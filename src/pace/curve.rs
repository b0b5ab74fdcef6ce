//! The rate of arrivals over the whole of a run, and the inverse of its integral, in whole numbers.

use std::num::NonZeroU32;
use std::time::Duration;

use thiserror::Error;

use super::segment::{Segment, float};
use crate::units::Rate;

/// The highest rate of arrivals, per second.
const FASTEST_PER_S: u128 = 100_000;

const NANOS_PER_S: u128 = 1_000_000_000;

/// A stretch of the rate of arrivals. A rate of `None` is no arrivals at all.
///
/// Steps are holds one after the other, a spike is a short hold between two others, a pause a hold of `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateStage {
    /// The same rate all the time.
    Hold {
        /// Length of the stage; with zero it only says where a ramp behind it begins.
        length: Duration,
        /// The rate; at most 100,000 per second.
        rate: Option<Rate>,
    },
    /// Evenly from the rate at the end of the stage before, none at the beginning of the pattern, to another.
    Ramp {
        /// Length of the stage; with zero it only says where a ramp behind it begins.
        length: Duration,
        /// The rate at its end; at most 100,000 per second.
        to: Option<Rate>,
    },
}

impl RateStage {
    fn length(&self) -> Duration {
        match *self {
            Self::Hold { length, .. } | Self::Ramp { length, .. } => length,
        }
    }

    /// The rate at its end.
    fn rate(&self) -> Option<Rate> {
        match *self {
            Self::Hold { rate, .. } => rate,
            Self::Ramp { to, .. } => to,
        }
    }
}

/// Why stages are no schedule. `stage` is the index of the stage, counted from 0.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ArrivalsError {
    /// The rate is above 100,000 per second.
    #[error("{rate} is more than 100000/s; lower it, or spread the load over several machines")]
    TooFast {
        /// The stage.
        stage: usize,
        /// Its rate.
        rate: Rate,
    },
    /// The rate and those of the stages before it are whole multiples of no common rate that 63 bits can hold.
    #[error("{rate} does not go with the rates before it; give rates over round times such as 1s or 5min")]
    Uneven {
        /// The stage.
        stage: usize,
        /// Its rate.
        rate: Rate,
    },
    /// The stages with all repetitions last longer than 2^64 ns.
    #[error("the stages last longer than 584 years; shorten them, or repeat them less often")]
    TooLong,
}

/// The rate of arrivals over time: straight segments one after the other, all of them repeated.
///
/// An operation is cut into so many parts that every rate is a whole number of parts per nanosecond. Then the area
/// below the curve can be counted in whole parts, and nothing is lost between segments and repetitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Curve {
    pieces: Vec<Piece>,
    /// Parts of one operation; even.
    operation: u64,
    /// Parts of one repetition.
    parts: u128,
    /// Nanoseconds of one repetition.
    length: u64,
    repeat: NonZeroU32,
    fastest: Option<Rate>,
    /// How many parts come due before the last nanosecond is over: the arrivals at these parts are in the schedule.
    end: u128,
}

/// A segment in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    segment: Segment,
    /// Nanoseconds before it.
    start: u64,
    /// Parts before it.
    before: u128,
    /// Parts up to its end.
    after: u128,
}

impl Piece {
    /// When `part` comes due, in nanoseconds from the start of the schedule, rounded up; `None` if not in this piece.
    pub(super) fn due(&self, part: u128) -> Option<u64> {
        (self.before..self.after).contains(&part).then(|| self.start + self.segment.time(part - self.before))
    }
}

impl Curve {
    pub(super) fn new(stages: &[RateStage], repeat: NonZeroU32) -> Result<Self, ArrivalsError> {
        let operation = parts_of_operation(stages)?;
        let mut this = Self { pieces: Vec::new(), operation, parts: 0, length: 0, repeat, fastest: None, end: 0 };
        let mut before = None;
        for stage in stages {
            let from = if matches!(stage, RateStage::Hold { .. }) { stage.rate() } else { before };
            this.push(stage.length(), [from, stage.rate()])?;
            before = stage.rate();
        }
        this.length.checked_mul(repeat.get().into()).ok_or(ArrivalsError::TooLong)?;
        this.end = this.find_end();
        Ok(this)
    }

    /// Adds a segment with the rates at its two ends.
    fn push(&mut self, length: Duration, rates: [Option<Rate>; 2]) -> Result<(), ArrivalsError> {
        let length = u64::try_from(length.as_nanos()).map_err(|_| ArrivalsError::TooLong)?;
        if length > 0 {
            let parts = |rate| parts_per_nano(rate, self.operation);
            let [from, to] = rates.map(|rate| rate.map_or(0, parts));
            self.fastest = rates.into_iter().flatten().chain(self.fastest).max_by_key(|rate| parts(*rate));
            let segment = Segment { length, from, to };
            let (start, before) = (self.length, self.parts);
            self.length = start.checked_add(length).ok_or(ArrivalsError::TooLong)?;
            self.parts = before + segment.parts(length);
            self.pieces.push(Piece { segment, start, before, after: self.parts });
        }
        Ok(())
    }

    /// Nothing is due at the end or later, so that what would be rounded up to the end is not in the schedule.
    fn find_end(&self) -> u128 {
        let Some(last) = self.pieces.last() else { return 0 };
        let repetitions = u128::from(self.repeat.get());
        let before = self.parts * (repetitions - 1) + last.before;
        (before + last.segment.parts(last.segment.length - 1) + 1).min(self.parts * repetitions)
    }

    /// Parts of one operation.
    pub(super) fn operation(&self) -> u64 {
        self.operation
    }

    /// What comes due at this part or later is not in the schedule.
    pub(super) fn end(&self) -> u128 {
        self.end
    }

    /// How many operations come due before the end when they are evenly spaced.
    pub(super) fn count(&self) -> u64 {
        let count = self.end.div_ceil(self.operation.into());
        u64::try_from(count).expect("there are fewer operations than nanoseconds")
    }

    /// The length of all repetitions, in nanoseconds.
    pub(super) fn length(&self) -> u64 {
        self.length * u64::from(self.repeat.get())
    }

    /// The highest rate of all times.
    pub(super) fn fastest(&self) -> Option<Rate> {
        self.fastest
    }

    /// The piece in which `part` comes due: the first at whose end more than so much is due; `None` from the end on.
    pub(super) fn find(&self, part: u128) -> Option<Piece> {
        if part >= self.end {
            return None;
        }
        let (repetition, part) = (part / self.parts, part % self.parts);
        let piece = self.pieces[self.pieces.partition_point(|piece| piece.after <= part)];
        let parts = repetition * self.parts;
        let start = u64::try_from(repetition * u128::from(self.length) + u128::from(piece.start));
        let start = start.expect("the length of all repetitions fits 64 bits");
        Some(Piece { start, before: parts + piece.before, after: parts + piece.after, ..piece })
    }

    /// Operations per second at `time`, in nanoseconds from the start; 0 from the end on.
    pub(super) fn rate(&self, time: u64) -> f64 {
        if time >= self.length() {
            return 0.0;
        }
        let time = time % self.length;
        let piece = self.pieces[self.pieces.partition_point(|piece| piece.start <= time) - 1];
        piece.segment.rate(time - piece.start) / float(self.operation.into()) * float(NANOS_PER_S)
    }
}

/// Twice the least number of which every rate is a whole part per nanosecond: twice, because half of it must be whole.
fn parts_of_operation(stages: &[RateStage]) -> Result<u64, ArrivalsError> {
    let mut parts = 2_u64;
    for (stage, rate) in stages.iter().enumerate().filter_map(|(stage, shape)| Some((stage, shape.rate()?))) {
        let (count, per) = (u128::from(rate.count().get()), rate.per().as_nanos());
        if count * NANOS_PER_S > FASTEST_PER_S * per {
            return Err(ArrivalsError::TooFast { stage, rate });
        }
        let half = u128::from(parts / 2);
        let per = per / gcd(count, per);
        parts = (per / gcd(half, per))
            .checked_mul(half * 2)
            .and_then(|parts| u64::try_from(parts).ok())
            .ok_or(ArrivalsError::Uneven { stage, rate })?;
    }
    Ok(parts)
}

/// A rate in parts per nanosecond, where an operation has so many parts.
fn parts_per_nano(rate: Rate, operation: u64) -> u64 {
    // At most 100,000/s, so at most a ten thousandth of the parts of an operation.
    let parts = u128::from(rate.count().get()) * u128::from(operation) / rate.per().as_nanos();
    u64::try_from(parts).expect("a rate below one per nanosecond has fewer parts than an operation")
}

fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
