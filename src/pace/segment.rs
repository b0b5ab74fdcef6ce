//! One straight piece of a rate over time, in whole numbers: what has come due after so long, and when so much has.

/// A rate that goes evenly from one value to another.
///
/// Time is in nanoseconds. Rates are in parts of an operation per nanosecond, and always even, so that the area below
/// a whole segment is a whole number of parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    /// Not zero.
    pub(super) length: u64,
    pub(super) from: u64,
    pub(super) to: u64,
}

impl Segment {
    /// The parts in the first `time` of the segment, rounded down; `time` is at most the length.
    ///
    /// The parts are `from` x time + (`to` - `from`) / 2 x time^2 / length. With time^2 = `q` x length + `r`, no
    /// product is longer than 128 bits and nothing is rounded before the end.
    pub(super) fn parts(&self, time: u64) -> u128 {
        let even = u128::from(self.from) * u128::from(time);
        if self.from == self.to {
            return even;
        }
        let (time, length) = (u128::from(time), u128::from(self.length));
        let bend = u128::from(self.from.abs_diff(self.to) / 2);
        let (q, r) = (time * time / length, time * time % length);
        if self.from < self.to {
            even + bend * q + bend * r / length
        } else {
            even - bend * q - (bend * r).div_ceil(length)
        }
    }

    /// The shortest time in which the segment has reached so many parts; at most all of its parts.
    pub(super) fn time(&self, parts: u128) -> u64 {
        if parts == 0 {
            return 0;
        }
        if self.from == self.to {
            return whole(parts.div_ceil(u128::from(self.from)));
        }
        self.first(self.guess(parts), |time| self.parts(time) >= parts)
    }

    /// The first time at which `reached` holds, as it does from then on to the end; sought from `guess` in steps that
    /// double, then by halving.
    fn first(&self, guess: u64, reached: impl Fn(u64) -> bool) -> u64 {
        let (mut low, mut high, mut step) = (guess, guess, 1_u64);
        if reached(guess) {
            while low > 0 && reached(low - 1) {
                high = low - 1;
                low = high.saturating_sub(step);
                step = step.saturating_mul(2);
            }
        } else {
            while !reached(high) {
                low = high + 1;
                high = high.saturating_add(step).min(self.length);
                step = step.saturating_mul(2);
            }
        }
        while low < high {
            let middle = low + (high - low) / 2;
            if reached(middle) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        high
    }

    /// About the time in which a ramp has reached so many parts: the root of a quadratic equation, in the form that
    /// loses no digits where the ramp is nearly flat.
    fn guess(&self, parts: u128) -> u64 {
        let (from, to, parts, length) =
            (float(self.from.into()), float(self.to.into()), float(parts), float(self.length.into()));
        let discriminant = from * from + 2.0 * (to - from) / length * parts;
        nearest(2.0 * parts / (from + discriminant.max(0.0).sqrt())).min(self.length)
    }

    /// Parts per nanosecond after `time`, at most the length.
    pub(super) fn rate(&self, time: u64) -> f64 {
        let (from, to) = (float(self.from.into()), float(self.to.into()));
        from + (to - from) * float(time.into()) / float(self.length.into())
    }
}

/// A time that is known to lie inside a segment.
fn whole(time: u128) -> u64 {
    u64::try_from(time).expect("a time within a segment is at most its length")
}

#[expect(clippy::cast_precision_loss, reason = "for a guess that is corrected, and for a rate that is shown")]
pub(super) fn float(value: u128) -> f64 {
    value as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "positive; what is too large for a u64 becomes the largest"
)]
pub(super) fn nearest(value: f64) -> u64 {
    value.round() as u64
}
