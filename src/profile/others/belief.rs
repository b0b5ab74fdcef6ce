//! How many requests of others a limiter holds at an instant, as far as outcomes tell.

use crate::profile::clues::real;
use crate::profile::guess::rounded;

/// A step of births and deaths moves at most this share of a state.
const STEP: f64 = 0.25;

/// More steps than this are no finer than anybody could see.
const MOST_STEPS: f64 = 400.0;

/// A state that is less probable is forgotten.
const NOTHING: f64 = 1e-9;

/// A distribution over how much of a quota others use, in portions of a request.
#[derive(Debug, Clone)]
pub(super) struct Belief {
    chances: Vec<f64>,
    /// The first and the last portion of any probability.
    range: (usize, usize),
    /// Portions of one request.
    portions: usize,
}

/// What happens to what others use, over a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drift {
    /// Requests that others send.
    pub(super) births: f64,
    /// The share of what they use that ends.
    pub(super) deaths: f64,
    /// Portions that are regained whoever used them.
    pub(super) drained: f64,
    /// Others are admitted no further than to so many portions.
    pub(super) most: usize,
}

impl Belief {
    /// Nothing is in use, of at most so many portions.
    pub(super) fn nothing(portions: usize, most: usize) -> Self {
        let mut chances = vec![0.0; most + portions + 1];
        chances[0] = 1.0;
        Self { chances, range: (0, 0), portions }
    }

    /// What came of requests that were expected to be so many and came at random, of which at most so many are in use.
    ///
    /// The probabilities of Poisson, each from the one beside it, beginning with the likeliest.
    pub(super) fn poisson(expected: f64, most: usize) -> Self {
        let mut belief = Self::nothing(1, most);
        let middle = usize::try_from(rounded(expected.floor())).unwrap_or(most).min(most);
        belief.chances[0] = 0.0;
        belief.chances[middle] = 1.0;
        let mut chance = 1.0;
        for count in middle + 1..=most {
            chance *= expected / real(count);
            belief.chances[count] = chance;
            if chance < NOTHING {
                break;
            }
        }
        chance = 1.0;
        for count in (0..middle).rev() {
            chance *= real(count + 1) / expected;
            belief.chances[count] = chance;
            if chance < NOTHING {
                break;
            }
        }
        let sum: f64 = belief.chances.iter().sum();
        belief.chances.iter_mut().for_each(|chance| *chance /= sum);
        belief.range = (0, most);
        belief.trim();
        belief
    }

    /// Lets time pass. What is drained need not be whole portions: what is left over is handed back.
    pub(super) fn pass(&mut self, drift: Drift) -> f64 {
        let expected = drift.births + drift.deaths * f64::from(u32::try_from(self.range.1).unwrap_or(u32::MAX));
        let steps = (expected / STEP).ceil().clamp(1.0, MOST_STEPS);
        let mut owed = 0.0;
        let mut left = steps;
        while left > 0.0 {
            self.lose((drift.deaths / steps).min(1.0));
            owed += drift.drained / steps;
            owed -= self.drain(owed);
            self.gain((drift.births / steps).min(1.0), drift.most);
            left -= 1.0;
        }
        self.trim();
        owed
    }

    fn gain(&mut self, chance: f64, most: usize) {
        let last = self.range.1.min(most.saturating_sub(self.portions));
        if chance <= 0.0 || most < self.portions || last < self.range.0 {
            return;
        }
        for from in (self.range.0..=last).rev() {
            let moved = self.chances[from] * chance;
            self.chances[from] -= moved;
            self.chances[from + self.portions] += moved;
        }
        self.range.1 = self.range.1.max(last + self.portions);
    }

    fn lose(&mut self, chance: f64) {
        if chance <= 0.0 {
            return;
        }
        let mut size = f64::from(u32::try_from(self.range.0.max(1)).unwrap_or(u32::MAX));
        for from in self.range.0.max(1)..=self.range.1 {
            let moved = self.chances[from] * (chance * size).min(1.0);
            self.chances[from] -= moved;
            self.chances[from - 1] += moved;
            size += 1.0;
        }
        self.range.0 = self.range.0.saturating_sub(1);
    }

    /// Drains whole portions and says how many.
    fn drain(&mut self, portions: f64) -> f64 {
        let mut drained = 0.0;
        while drained + 1.0 <= portions && self.range.1 > 0 {
            let (from, to) = self.range;
            let lowest = if from == 0 { self.chances[0] } else { 0.0 };
            self.chances.copy_within(from.max(1)..=to, from.max(1) - 1);
            self.chances[to] = 0.0;
            self.chances[0] += lowest;
            self.range = (from.saturating_sub(1), to - 1);
            drained += 1.0;
        }
        if self.range.1 == 0 { portions.floor() } else { drained }
    }

    /// Adds a request of our own that was admitted.
    pub(super) fn take_one(&mut self) {
        let (from, to) = self.range;
        let last = self.chances.len() - 1;
        for portion in (from..=to).rev() {
            let moved = std::mem::take(&mut self.chances[portion]);
            self.chances[(portion + self.portions).min(last)] += moved;
        }
        self.range = ((from + self.portions).min(last), (to + self.portions).min(last));
    }

    /// The probability that no more than so many portions are in use.
    pub(super) fn up_to(&self, portions: Option<usize>) -> f64 {
        let (from, to) = self.range;
        match portions {
            Some(last) if last >= from => self.chances[from..=to.min(last)].iter().sum::<f64>().min(1.0),
            _ => 0.0,
        }
    }

    /// Learns that no more than so many portions were in use, or that more were. What was all but impossible is then taken
    /// to be as close to that as may be.
    pub(super) fn learn(&mut self, portions: Option<usize>, was_room: bool) {
        let edge = portions.map_or(0, |last| last + 1).min(self.chances.len());
        let (from, to) = self.range;
        let (keep_from, keep_to) = if was_room { (from, to.min(edge.saturating_sub(1))) } else { (from.max(edge), to) };
        let kept: f64 = self.chances.get(keep_from..=keep_to).map_or(0.0, |kept| kept.iter().sum());
        if kept < NOTHING || (was_room && edge == 0) {
            self.chances[from..=to].fill(0.0);
            let only = if was_room { edge.saturating_sub(1) } else { edge.min(self.chances.len() - 1) };
            self.chances[only] = 1.0;
            self.range = (only, only);
            return;
        }
        self.chances[from..keep_from].fill(0.0);
        self.chances[keep_to + 1..=to.max(keep_to)].fill(0.0);
        self.chances[keep_from..=keep_to].iter_mut().for_each(|chance| *chance /= kept);
        self.range = (keep_from, keep_to);
        self.trim();
    }

    fn trim(&mut self) {
        let (mut from, mut to) = self.range;
        while from < to && self.chances[from] < NOTHING {
            self.chances[from] = 0.0;
            from += 1;
        }
        while to > from && self.chances[to] < NOTHING {
            self.chances[to] = 0.0;
            to -= 1;
        }
        self.range = (from, to);
    }
}
