//! Quotas that come back little by little, while others send requests that nobody here sees.

use std::collections::VecDeque;

use super::belief::{Belief, Drift};
use super::{Crowded, portions_of};
use crate::profile::events::Event;

/// Standard deviations by which an arrival may be wrong before that matters.
const LENIENT: f64 = 2.0;

/// Portions of a request in which a bucket is seen.
const PORTIONS: usize = 4;

/// Turnovers of a bucket after which nothing is left of how it began.
const LONG: f64 = 3.0;

/// A log of the latest admissions that others use, too.
///
/// When each of their requests was admitted is unknown, and so is when it is too old to count: any of them may be the next.
pub(super) struct SlidingLog {
    crowded: Crowded,
    own: VecDeque<f64>,
    others: Belief,
    at: f64,
}

impl SlidingLog {
    pub(super) fn new(crowded: Crowded, first: f64) -> Self {
        Self { crowded, own: VecDeque::new(), others: Self::alone(&crowded), at: first }
    }

    /// What others use that have been alone for a whole window.
    fn alone(Crowded { theory, others }: &Crowded) -> Belief {
        Belief::poisson(others * theory.time, portions_of(theory.limit))
    }

    /// The probability of what became of a request, which is then known.
    pub(super) fn judge(&mut self, event: &Event, blur: f64, admitted: bool) -> f64 {
        let Crowded { theory, others } = self.crowded;
        let at = event.at.as_secs_f64();
        let slack = (event.sigma + blur) * LENIENT;
        while self.own.front().is_some_and(|begin| begin + theory.time < at - slack) {
            self.own.pop_front();
        }
        // Whoever was admitted came late enough, whoever was refused early enough.
        let counts = self.own.iter().filter(|begin| !admitted || **begin + theory.time > at + slack).count();
        let own = u32::try_from(counts).unwrap_or(u32::MAX);
        let gap = (at - self.at).max(0.0);
        self.at = self.at.max(at);
        if gap >= theory.time {
            self.others = Self::alone(&self.crowded);
        } else {
            let most = portions_of(theory.limit.saturating_sub(own));
            self.others.pass(Drift { births: others * gap, deaths: gap / theory.time, drained: 0.0, most });
        }
        let left = theory.limit.checked_sub(own + 1).map(portions_of);
        let room = self.others.up_to(left);
        self.others.learn(left, admitted);
        if admitted {
            self.own.push_back(at);
        }
        if admitted { room } else { 1.0 - room }
    }
}

/// A token bucket that others use, too.
pub(super) struct Bucket {
    crowded: Crowded,
    used: Belief,
    /// What has been regained and is no whole portion.
    owed: f64,
    at: f64,
}

impl Bucket {
    pub(super) fn new(crowded: Crowded, first: f64) -> Self {
        let most = portions_of(crowded.theory.limit) * PORTIONS;
        let mut bucket = Self { crowded, used: Belief::nothing(PORTIONS, most), owed: 0.0, at: first };
        // Others have been there for long.
        bucket.pass(crowded.theory.recovery() * LONG);
        bucket
    }

    fn pass(&mut self, gap: f64) {
        let theory = &self.crowded.theory;
        let portions = f64::from(u32::try_from(PORTIONS).unwrap_or(1));
        let drained = (gap / theory.time).min(f64::from(theory.limit) * LONG) * portions + self.owed;
        let most = portions_of(theory.limit) * PORTIONS;
        self.owed = self.used.pass(Drift { births: self.crowded.others * gap, deaths: 0.0, drained, most });
    }

    /// The probability of what became of a request, which is then known.
    pub(super) fn judge(&mut self, event: &Event, blur: f64, admitted: bool) -> f64 {
        let at = event.at.as_secs_f64();
        self.pass((at - self.at).max(0.0));
        self.at = self.at.max(at);
        let theory = &self.crowded.theory;
        // As much as may have been regained by mistake of the arrival, and half a portion that nobody sees.
        let slack = (event.sigma + blur) * LENIENT / theory.time * 4.0 + 0.5;
        let slack = portions_of(crate::profile::guess::rounded(slack.ceil().max(0.0)));
        let full = (portions_of(theory.limit) * PORTIONS).checked_sub(PORTIONS);
        let left = full.and_then(|full| if admitted { Some(full + slack) } else { full.checked_sub(slack) });
        let room = self.used.up_to(left);
        self.used.learn(left, admitted);
        if admitted {
            self.used.take_one();
        }
        if admitted { room } else { 1.0 - room }
    }
}
