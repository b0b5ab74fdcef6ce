//! A bucket of tokens whose clock ticks: it gains nothing in between.

use std::num::NonZeroU32;
use std::time::Duration;

use super::bucket::{TokenBucket, Tokens};
use super::exact::nanos;
use super::rule::Rule;
use crate::units::Rate;

/// A [`TokenBucket`] that takes every instant for that of the last tick.
pub(super) struct TickingBucket {
    bucket: TokenBucket,
    /// Nanoseconds from one tick to the next, above zero.
    tick: u64,
}

impl TickingBucket {
    pub(super) fn new(rate: Rate, burst: NonZeroU32, tick: Duration) -> Self {
        Self { bucket: TokenBucket::new(rate, burst), tick: nanos(tick).max(1) }
    }

    fn last_tick(&self, at: u64) -> u64 {
        at - at % self.tick
    }

    /// The first tick that is not before an instant.
    fn next_tick(&self, at: u64) -> u64 {
        at.div_ceil(self.tick).saturating_mul(self.tick)
    }
}

impl Rule for TickingBucket {
    type Used = Tokens;

    fn limit(&self) -> u64 {
        self.bucket.limit()
    }

    fn parts(&self) -> u64 {
        self.bucket.parts()
    }

    fn room(&self, used: &Tokens, at: u64) -> i128 {
        self.bucket.room(used, self.last_tick(at))
    }

    fn frees(&self, used: &Tokens, at: u64, cost: u64) -> Option<u64> {
        Some(self.next_tick(self.bucket.frees(used, self.last_tick(at), cost)?))
    }

    fn add(&self, used: &mut Tokens, at: u64, cost: u64) {
        self.bucket.add(used, self.last_tick(at), cost);
    }

    fn add_refused(&self, used: &mut Tokens, at: u64, cost: u64) {
        self.bucket.add_refused(used, self.last_tick(at), cost);
    }

    fn idle_from(&self, used: &Tokens) -> Option<u64> {
        Some(self.next_tick(self.bucket.idle_from(used)?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::scripts::{arrivals, bursts, rates, scripts, step};
    use super::super::{Admission, Arrival, Limiter, Model};
    use super::*;

    #[test]
    fn several_tokens_come_at_a_tick_and_none_before() {
        let (rate, burst) = ("4/s".parse().unwrap(), 6.try_into().unwrap());
        let limiter = Limiter::new(Model::TickingBucket { rate, burst, tick: Duration::from_secs(1) });
        let mut state = limiter.fresh();
        limiter.note_admitted(&mut state, Arrival { at: Duration::from_millis(700), cost: 6 });
        let judge = |ms, cost| limiter.judge(&state, Arrival { at: Duration::from_millis(ms), cost });
        assert_eq!(judge(999, 1), Admission::Refused { until: Some(Duration::from_secs(1)) });
        assert_eq!(judge(1_000, 4), Admission::Admitted { delay: Duration::ZERO });
        assert_eq!(judge(1_000, 5), Admission::Refused { until: Some(Duration::from_secs(2)) });
    }

    proptest! {
        #[test]
        fn is_a_token_bucket_whose_requests_all_arrive_at_ticks(
            rate in rates(), burst in bursts(), script in scripts(), counts_refused: bool, tick in 1..2_000_000_000_u64,
        ) {
            let plain = Model::TokenBucket { rate, burst };
            let ticking = Model::TickingBucket { rate, burst, tick: Duration::from_nanos(tick) };
            let [plain, ticking] = [plain, ticking].map(|model| Limiter { counts_refused, ..Limiter::new(model) });
            let (mut one, mut other) = (plain.fresh(), ticking.fresh());
            for (arrival, forced) in arrivals(plain.model, &script) {
                let at_tick = Duration::from_nanos(nanos(arrival.at) / tick * tick);
                let of_plain = step(&plain, &mut one, (Arrival { at: at_tick, ..arrival }, forced));
                let of_ticking = step(&ticking, &mut other, (arrival, forced));
                let admits = |admission| matches!(admission, Admission::Admitted { .. });
                prop_assert_eq!(admits(of_plain), admits(of_ticking));
            }
        }
    }
}
