//! Buckets: one that tokens drip into and are taken out of, one that requests are poured into and leak out of.

use std::num::NonZeroU32;

use super::exact::{ceil, nanos, product};
use super::rule::Rule;
use crate::units::Rate;

/// The parameters of all models that admit a burst and then a rate.
///
/// A unit has as many parts as `rate.per()` has nanoseconds; so many units of `rate.count()` per `rate.per()` are just
/// as many parts per nanosecond, and nothing is ever rounded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    /// Parts that come free each nanosecond.
    pub(super) gain: u64,
    /// Parts of a unit.
    pub(super) per: u64,
    /// Units.
    pub(super) burst: u64,
}

impl Bucket {
    /// A bucket that holds so many units.
    pub(super) fn new(rate: Rate, burst: u64) -> Self {
        Self { gain: rate.count().get().into(), per: nanos(rate.per()), burst }
    }

    /// Units in parts.
    pub(super) fn parts(self, units: u64) -> i128 {
        product(units, self.per)
    }

    /// What the bucket holds, in parts.
    pub(super) fn size(self) -> i128 {
        self.parts(self.burst)
    }

    /// What comes free in a time, in parts.
    pub(super) fn gained(self, length: u64) -> i128 {
        product(self.gain, length)
    }

    /// The first instant at which so many more parts have come free.
    pub(super) fn after(self, at: u64, parts: i128) -> u64 {
        at.saturating_add(ceil(parts, self.gain))
    }

    /// The parts that a refused request takes where it counts: no more than until the room is one burst below nothing,
    /// so that whoever stops is admitted again within the time of two bursts.
    pub(super) fn refused(self, room: i128, cost: u64) -> i128 {
        self.parts(cost).min(room.saturating_add(self.size()).max(0))
    }
}

/// A bucket of tokens, full at first.
pub(super) struct TokenBucket(Bucket);

/// The tokens of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tokens {
    /// Parts of tokens; below zero when more were taken than there were.
    tokens: i128,
    /// When there were so many.
    at: u64,
}

impl TokenBucket {
    pub(super) fn new(rate: Rate, burst: NonZeroU32) -> Self {
        Self(Bucket::new(rate, burst.get().into()))
    }

    /// A full bucket.
    pub(super) fn full(&self) -> Tokens {
        Tokens { tokens: self.0.size(), at: 0 }
    }

    fn take(&self, used: &mut Tokens, at: u64, parts: i128) {
        *used = Tokens { tokens: self.room(used, at).saturating_sub(parts), at: at.max(used.at) };
    }
}

impl Rule for TokenBucket {
    type Used = Tokens;

    fn limit(&self) -> u64 {
        self.0.burst
    }

    fn parts(&self) -> u64 {
        self.0.per
    }

    fn room(&self, used: &Tokens, at: u64) -> i128 {
        used.tokens.saturating_add(self.0.gained(at.saturating_sub(used.at))).min(self.0.size())
    }

    fn frees(&self, used: &Tokens, at: u64, cost: u64) -> Option<u64> {
        Some(self.0.after(at, self.0.parts(cost).saturating_sub(self.room(used, at))))
    }

    fn add(&self, used: &mut Tokens, at: u64, cost: u64) {
        self.take(used, at, self.0.parts(cost));
    }

    fn add_refused(&self, used: &mut Tokens, at: u64, cost: u64) {
        self.take(used, at, self.0.refused(self.room(used, at), cost));
    }

    fn idle_from(&self, used: &Tokens) -> Option<u64> {
        Some(self.0.after(used.at, self.0.size().saturating_sub(used.tokens)))
    }
}

/// A bucket that leaks, empty at first.
pub(super) struct LeakyMeter(Bucket);

/// What was poured in by one key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Level {
    /// Parts of units; above the brim when more was poured in than there was room for.
    level: i128,
    /// When there was so much.
    at: u64,
}

impl LeakyMeter {
    pub(super) fn new(rate: Rate, burst: NonZeroU32) -> Self {
        Self(Bucket::new(rate, burst.get().into()))
    }

    fn level(&self, used: &Level, at: u64) -> i128 {
        used.level.saturating_sub(self.0.gained(at.saturating_sub(used.at))).max(0)
    }

    fn pour(&self, used: &mut Level, at: u64, parts: i128) {
        *used = Level { level: self.level(used, at).saturating_add(parts), at: at.max(used.at) };
    }
}

impl Rule for LeakyMeter {
    type Used = Level;

    fn limit(&self) -> u64 {
        self.0.burst
    }

    fn parts(&self) -> u64 {
        self.0.per
    }

    fn room(&self, used: &Level, at: u64) -> i128 {
        self.0.size().saturating_sub(self.level(used, at))
    }

    fn frees(&self, used: &Level, at: u64, cost: u64) -> Option<u64> {
        let brim = self.0.size().saturating_sub(self.0.parts(cost));
        Some(self.0.after(at, self.level(used, at).saturating_sub(brim)))
    }

    fn add(&self, used: &mut Level, at: u64, cost: u64) {
        self.pour(used, at, self.0.parts(cost));
    }

    fn add_refused(&self, used: &mut Level, at: u64, cost: u64) {
        self.pour(used, at, self.0.refused(self.room(used, at), cost));
    }

    fn idle_from(&self, used: &Level) -> Option<u64> {
        Some(self.0.after(used.at, used.level))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::scripts::{arrivals, bursts, check, rates, scripts, step};
    use super::super::{Admission, Arrival, Limiter, Model, Slow};
    use super::*;

    /// The three models of a bucket.
    fn buckets(rate: Rate, burst: NonZeroU32) -> [Model; 3] {
        [Model::TokenBucket { rate, burst }, Model::LeakyMeter { rate, burst }, Model::Gcra { rate, burst }]
    }

    /// By how much a request is over what the definition of a bucket allows: in no time from one request to another
    /// more than a burst and what the rate brings in that time.
    fn over(bucket: Bucket, noted: &[(u64, u64)], now: u64, cost: u64) -> u64 {
        let mut sum = cost;
        let mut most = bucket.parts(cost) - bucket.size();
        for (at, cost) in noted.iter().rev() {
            sum += cost;
            most = most.max(bucket.parts(sum) - bucket.size() - bucket.gained(now - at));
        }
        ceil(most, bucket.per)
    }

    #[test]
    fn a_period_that_is_no_whole_nanosecond_is_not_rounded() {
        let (rate, burst) = ("3/s".parse().unwrap(), NonZeroU32::MIN);
        for model in
            [Model::TokenBucket { rate, burst }, Model::Gcra { rate, burst }, Model::LeakyMeter { rate, burst }]
        {
            let limiter = Limiter::new(model);
            let mut state = limiter.fresh();
            let mut at = Duration::ZERO;
            for expected in [333_333_334, 666_666_668, 1_000_000_002] {
                limiter.note_admitted(&mut state, Arrival { at, cost: 1 });
                let until = Duration::from_nanos(expected);
                let refused = limiter.judge(&state, Arrival { at, cost: 1 });
                assert_eq!(refused, Admission::Refused { until: Some(until) }, "{model}");
                at = until;
            }
        }
    }

    #[test]
    fn a_refused_request_that_counts_pays_no_debt_back() {
        let (rate, burst) = ("1/s".parse().unwrap(), 2.try_into().unwrap());
        let arrival = Arrival { at: Duration::from_secs(1), cost: 10 };
        for model in
            [Model::TokenBucket { rate, burst }, Model::Gcra { rate, burst }, Model::LeakyMeter { rate, burst }]
        {
            let limiter = Limiter { counts_refused: true, ..Limiter::new(model) };
            let mut state = limiter.fresh();
            limiter.note_admitted(&mut state, arrival);
            let indebted = state.clone();
            limiter.note_refused(&mut state, arrival, false);
            assert_eq!(state, indebted, "{model}");
        }
    }

    proptest! {
        #[test]
        fn never_admits_more_than_a_burst_and_what_the_rate_brings(
            rate in rates(), burst in bursts(), script in scripts(),
        ) {
            let bucket = Bucket::new(rate, burst.get().into());
            let over = |noted: &[(u64, u64)], now, cost| over(bucket, noted, now, cost);
            for model in buckets(rate, burst) {
                check(model, &script, over)?;
            }
        }

        #[test]
        fn the_three_models_of_a_bucket_cannot_be_told_apart(
            rate in rates(), burst in bursts(), script in scripts(), counts_refused: bool, slow: bool,
        ) {
            let slow = slow.then_some(Slow { by: Duration::from_millis(3), most: Duration::from_secs(1) });
            let models = buckets(rate, burst);
            let limiters = models.map(|model| Limiter { counts_refused, slow, ..Limiter::new(model) });
            let mut states = limiters.each_ref().map(Limiter::fresh);
            for (arrival, forced) in arrivals(models[0], &script) {
                let told: Vec<_> = limiters
                    .iter()
                    .zip(&mut states)
                    .map(|(limiter, state)| {
                        let admission = step(limiter, state, (arrival, forced));
                        (admission, limiter.usage(state, arrival.at), limiter.is_idle(state, arrival.at))
                    })
                    .collect();
                prop_assert!(told.iter().all(|other| *other == told[0]), "{told:?}");
            }
        }

        #[test]
        fn whoever_stops_is_admitted_again_within_two_bursts_however_many_were_refused(
            rate in rates(), burst in bursts(), script in scripts(),
        ) {
            let models = [
                Model::TokenBucket { rate, burst },
                Model::LeakyMeter { rate, burst },
                Model::Gcra { rate, burst },
                Model::LeakyQueue { rate, burst },
            ];
            for model in models {
                let limiter = Limiter { counts_refused: true, ..Limiter::new(model) };
                let mut state = limiter.fresh();
                let size = limiter.usage(&state, Duration::ZERO).limit;
                let two_bursts = ceil(2 * i128::from(size) * i128::from(nanos(rate.per())), rate.count().get().into());
                for (arrival, _) in arrivals(model, &script) {
                    step(&limiter, &mut state, (arrival, false));
                    prop_assert!(limiter.usage(&state, arrival.at).reset <= Duration::from_nanos(two_bursts));
                }
            }
        }
    }
}
