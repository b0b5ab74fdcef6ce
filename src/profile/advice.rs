//! The pace that stays a little under a limiter, as a limit that somebody can impose on himself.

use std::num::NonZeroU32;
use std::time::Duration;

use super::finding::Measured;
use super::guess::rounded;
use super::interval::Interval;
use super::theory::{Family, Hypothesis, Theory, seconds};
use crate::units::Rate;

/// A limit to impose on oneself, under which nothing is refused, and what else a client wants to know.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Advice {
    /// How many requests may start per time.
    pub rate: Rate,
    /// How many of them may start at once after a pause.
    pub burst: NonZeroU32,
    /// Which limiter of the hypothesis allows the least in the long run, from 0: the rate is its.
    pub tier: usize,
    /// Requests per second that the server admits for ever.
    pub sustainable: f64,
    /// Requests that a whole quota admits at once.
    pub largest_burst: u32,
    /// Without a request for so long, the quota is whole again.
    pub recovery: Duration,
    /// The time in which the quota turns over: the rate is proven over several of these.
    pub window: Duration,
}

/// How far whoever paces requests makes up for a late wake-up, in seconds: so much closer together they may come.
const CATCH_UP: f64 = 0.02;

/// The share of a bucket's rate that is used, so that it is never empty for long.
const UNDER: f64 = 0.99;

/// A rate in whole numbers may be lower than the exact one by this share of it.
const CLOSE: f64 = 0.003;

/// Less than this is lost by rounding numbers only.
const EXACT: f64 = 1e-6;

/// An interval that is wider than this share of the time says nothing about whether a round one was chosen.
const NARROW: f64 = 0.01;

/// Times that people choose, in seconds.
const ROUND: [u32; 24] =
    [1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 900, 1_800, 3_600, 43_200, 86_400];

/// The fewest and the most requests in which a bucket is taken to turn over, however small or large it is.
const TURNOVER: (f64, f64) = (20.0, 400.0);

impl Advice {
    /// What to do about a hypothesis whose numbers are known as surely as measured; tiers that were not measured are
    /// taken as they are. `None` where no rate keeps anybody from being refused, as with limits on requests in flight.
    pub(super) fn of(hypothesis: &Hypothesis, measured: &[Measured]) -> Option<Self> {
        let tiers = hypothesis.tiers.iter().enumerate().map(|(n, theory)| Edge::of(theory, measured.get(n)));
        let tiers: Vec<_> = tiers.collect();
        let paces = tiers.iter().map(Edge::pace).enumerate();
        let slower = |a: &Rate, b: &Rate| a.per_second().total_cmp(&b.per_second());
        let (tier, rate) =
            paces.filter_map(|(tier, pace)| Some((tier, pace?))).min_by(|(_, a), (_, b)| slower(a, b))?;
        let sustainable = hypothesis.tiers.iter().filter_map(Theory::rate).fold(f64::INFINITY, f64::min);
        let recovery = hypothesis.tiers.iter().map(Theory::recovery).fold(0.0, f64::max);
        let burst = tiers.iter().map(|edge| edge.burst(rate.per_second())).min().unwrap_or(1);
        Some(Self {
            rate,
            burst: NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN),
            tier,
            sustainable,
            largest_burst: tiers.iter().map(|edge| edge.capacity).min().unwrap_or(1),
            recovery: seconds(recovery),
            window: tiers[tier].turnover(rate),
        })
    }

    /// The stricter of two.
    pub(super) fn stricter(self, other: Self) -> Self {
        if other.rate.per_second() < self.rate.per_second() { other } else { self }
    }
}

/// Where a limiter begins to refuse, its numbers taken as strict as the evidence allows.
#[derive(Debug, Clone, Copy)]
struct Edge {
    theory: Theory,
    /// Requests at once at most.
    capacity: u32,
    /// The time of the theory, in seconds.
    time: f64,
}

impl Edge {
    fn of(theory: &Theory, measured: Option<&Measured>) -> Self {
        let limit = measured.map_or(theory.limit, |measured| measured.limits.0.min(theory.limit));
        let time = measured.map_or(Interval { low: theory.time, high: theory.time }, |measured| measured.time);
        let strictest = Theory { limit, ..*theory };
        let is_narrow = time.high - time.low <= NARROW * time.high;
        let rounded = match (is_narrow, theory.kind.is_bucket()) {
            (false, _) => None,
            (true, true) => round_period(time),
            (true, false) => round_time(time),
        };
        Self { theory: *theory, capacity: strictest.capacity(), time: rounded.unwrap_or(time.high) }
    }

    /// Whether the bucket is filled by a single tick, so that it is a window for whoever keeps a pace.
    fn is_filled_by_a_tick(&self) -> bool {
        self.theory.kind.family == Family::TickingBucket
            && f64::from(self.capacity) < self.theory.tick / self.time + 2.0
    }

    /// The rate that is never refused.
    fn pace(&self) -> Option<Rate> {
        self.theory.rate()?;
        if self.is_filled_by_a_tick() {
            return self.per_window(self.theory.tick);
        }
        if !self.theory.kind.is_bucket() {
            return self.per_window(self.time);
        }
        // One more than a bucket holds must not come before one was regained, though all of them may come too soon.
        let after_burst = f64::from(self.capacity) / (self.time + CATCH_UP);
        in_whole_numbers(after_burst.min(UNDER / self.time))
    }

    /// The rate at which every window has one request to spare, and those that a late wake-up may bring into it.
    fn per_window(&self, window: f64) -> Option<Rate> {
        let spare = rounded((f64::from(self.capacity) * CATCH_UP / window).ceil());
        let count = self.capacity.saturating_sub(1).saturating_sub(spare).max(1);
        let longer = if self.capacity == 1 { window + CATCH_UP * 2.0 } else { window };
        let millis = Duration::from_millis(u64::from(rounded((longer * 1e3 - 1e-6).ceil().max(1.0))));
        Rate::new(NonZeroU32::new(count)?, millis)
    }

    /// Requests that may come at once before others keep a rate, in requests per second.
    fn burst(&self, rate: f64) -> u32 {
        let capacity = f64::from(self.capacity);
        let meanwhile = match self.theory.kind.family {
            Family::Concurrency => 0.0,
            _ if self.is_filled_by_a_tick() => rate * (self.theory.tick + CATCH_UP),
            Family::TickingBucket => 1.0 + rate * (CATCH_UP + self.theory.tick),
            _ if self.theory.kind.is_bucket() => 1.0 + rate * CATCH_UP,
            _ => rate * (self.time + CATCH_UP),
        };
        rounded((capacity - meanwhile.ceil()).max(1.0))
    }

    /// The window; for buckets the time in which they fill, within bounds.
    fn turnover(&self, rate: Rate) -> Duration {
        if self.theory.kind.is_bucket() && !self.is_filled_by_a_tick() {
            let requests = f64::from(self.capacity).clamp(TURNOVER.0, TURNOVER.1);
            return seconds(requests / rate.per_second()).max(seconds(self.theory.tick));
        }
        rate.per()
    }
}

/// The time that people choose, if exactly one of these is as likely as any.
fn round_time(time: Interval) -> Option<f64> {
    let mut inside =
        ROUND.iter().map(|seconds| f64::from(*seconds)).filter(|round| (time.low..=time.high).contains(round));
    inside.next().filter(|_| inside.next().is_none())
}

/// The time from one request to the next, where it is that of a whole number per second or per minute, and of one only.
fn round_period(time: Interval) -> Option<f64> {
    for (unit, most) in [(1.0_f64, 1_000.0), (60.0, 300.0)] {
        let (low, high) = ((unit / time.high).ceil(), (unit / time.low).floor());
        if low >= 1.0 && low <= most && (high - low).abs() < 0.5 {
            return Some(unit / low);
        }
    }
    round_time(time)
}

/// A rate per second in whole numbers, per a time as short and as round as that allows, and never higher.
fn in_whole_numbers(per_second: f64) -> Option<Rate> {
    let count = |per: u32| rounded((per_second * f64::from(per) + 1e-9).floor());
    let loss = |per: u32| 1.0 - f64::from(count(per)) / (per_second * f64::from(per));
    let exact = (1..=60).find(|per| count(*per) > 0 && loss(*per) <= EXACT);
    match exact.or_else(|| ROUND.into_iter().find(|per| count(*per) > 0 && loss(*per) <= CLOSE)) {
        Some(per) => Rate::new(NonZeroU32::new(count(per))?, Duration::from_secs(u64::from(per))),
        None => Rate::new(NonZeroU32::MIN, seconds((1e3 / per_second).ceil() / 1e3)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::theory::Kind;
    use super::*;

    fn advice(family: Family, limit: u32, (low, high): (f64, f64)) -> Advice {
        let time = f64::midpoint(low, high);
        let theory = Theory { kind: Kind::plain(family), limit, time, phase: 0.0, tick: 0.0, penalty: 0.0 };
        let measured = Measured { time: Interval { low, high }, block: None, limits: (limit, limit) };
        Advice::of(&Hypothesis::single(theory), &[measured]).unwrap()
    }

    #[test]
    fn a_window_keeps_one_request_and_those_of_a_late_wake_up_to_spare() {
        let cases = [
            (300, (59.97, 60.02), "298/min"),
            (300, (59.97, 59.981_2), "298/59s982ms"),
            (20, (1.999, 2.001), "18/2s"),
            (5, (0.999, 1.001), "3/s"),
            (2, (0.999, 1.001), "1/s"),
            (1, (0.999, 1.001), "1/1s40ms"),
        ];
        for (limit, time, expected) in cases {
            let advice = advice(Family::SlidingLog, limit, time);
            assert_eq!((advice.rate.to_string(), advice.burst.get()), (expected.to_owned(), 1), "{limit} {time:?}");
            assert_eq!(advice.largest_burst, limit);
        }
    }

    #[test]
    fn a_bucket_is_used_at_99_percent_in_whole_numbers() {
        let cases = [
            (10, (0.199_9, 0.200_1), "99/20s", 8),
            (300, (0.199_99, 0.200_01), "99/20s", 298),
            (4, (0.499_9, 0.500_1), "99/50s", 2),
            (1, (0.499_9, 0.500_1), "25/13s", 1),
        ];
        for (limit, time, expected, burst) in cases {
            let advice = advice(Family::TokenBucket, limit, time);
            assert_eq!((advice.rate.to_string(), advice.burst.get()), (expected.to_owned(), burst), "{limit} {time:?}");
        }
        assert_eq!(advice(Family::LeakyQueue, 10, (0.199_9, 0.200_1)).largest_burst, 11);
    }

    #[test]
    fn of_several_limiters_the_strictest_in_the_long_run_gives_the_rate_and_the_smallest_the_burst() {
        let bucket =
            Theory { kind: Kind::plain(Family::TokenBucket), limit: 5, time: 0.1, phase: 0.0, tick: 0.0, penalty: 0.0 };
        let two = Hypothesis { tiers: vec![bucket, Theory { limit: 30, time: 0.5, ..bucket }], lost_arrive: false };
        let advice = Advice::of(&two, &[]).unwrap();
        assert_eq!((advice.tier, advice.burst.get(), advice.largest_burst), (1, 3, 5));
        assert!((advice.sustainable - 2.0).abs() < 1e-9);
        assert!((1.97..=1.98).contains(&advice.rate.per_second()), "{}", advice.rate);
    }

    #[test]
    fn requests_in_flight_have_no_rate() {
        let theory =
            Theory { kind: Kind::plain(Family::Concurrency), limit: 5, time: 1.0, phase: 0.0, tick: 0.0, penalty: 0.0 };
        assert_eq!(Advice::of(&Hypothesis::single(theory), &[]), None);
    }
}
