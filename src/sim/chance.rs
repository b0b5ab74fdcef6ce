//! What is drawn by request number: latencies, delays, faults, correlation ids. Pure functions of seed and number.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_xoshiro::SplitMix64;
use statrs::distribution::{ContinuousCDF, Normal};

use super::ailment::{Ailments, Odds};
use super::id::Id;
use crate::scenario::{Draw, LogNormal, Simulator, Stall, Timed};

/// No latency is longer, however far apart its two quantiles are.
const LONGEST: Duration = Duration::from_hours(24);

/// What a draw is for; draws for different purposes are independent.
#[derive(Debug, Clone, Copy)]
enum Purpose {
    Correlation = 1,
    Latency,
    Visibility,
    Token,
    Expiry,
    Folklore,
    /// The first of the faults; each has its own.
    Fault,
}

/// The simulator's luck.
#[derive(Debug, Clone)]
pub(super) struct Chance {
    seed: u64,
    /// `None` for no latency at all.
    latency: Option<Latency>,
    /// `None` for no delay at all.
    visible_after: Option<Latency>,
    odds: Odds,
    early_expiry: Timed,
    stall: Option<Stall>,
}

/// A log-normal distribution, ready to draw from.
#[derive(Debug, Clone)]
struct Latency {
    median_s: f64,
    /// Standard deviation of the logarithm.
    sigma: f64,
    standard: Normal,
}

impl Chance {
    pub(super) fn new(config: &Simulator) -> Self {
        Self {
            seed: config.seed,
            latency: Latency::new(config.latency),
            visible_after: Latency::new(config.visible_after),
            odds: Odds::new(&config.faults),
            early_expiry: config.faults.early_expiry,
            stall: config.faults.stall.filter(|stall| !stall.every.is_zero()),
        }
    }

    /// The id under which support would find the request.
    pub(super) fn correlation_id(&self, number: u64) -> Id {
        Id::random(&mut self.random(Purpose::Correlation as u64, number))
    }

    /// The token of a login.
    pub(super) fn token(&self, number: u64) -> Id {
        Id::random(&mut self.random(Purpose::Token as u64, number))
    }

    /// How long the answer takes.
    pub(super) fn latency(&self, number: u64) -> Duration {
        let Some(latency) = &self.latency else { return Duration::ZERO };
        latency.quantile(self.random(Purpose::Latency as u64, number).random())
    }

    /// The time from the answer to a write until a read shows it.
    pub(super) fn visible_after(&self, number: u64) -> Duration {
        let Some(delay) = &self.visible_after else { return Duration::ZERO };
        delay.quantile(self.random(Purpose::Visibility as u64, number).random())
    }

    /// The faults that can happen at all.
    pub(super) fn odds(&self) -> &Odds {
        &self.odds
    }

    /// The faults of a request.
    pub(super) fn ailments(&self, number: u64) -> Ailments {
        self.odds.draw(|ailment, draw| self.happens(Purpose::Fault as u64 + ailment as u64, draw, number))
    }

    /// When the token of a login expires early; `None` when it does not.
    pub(super) fn early_expiry(&self, number: u64) -> Option<Duration> {
        let Timed { draw, time } = self.early_expiry;
        self.happens(Purpose::Expiry as u64, draw, number).then_some(time)
    }

    /// One of two ends of a write that the forum tells different stories of.
    pub(super) fn coin(&self, number: u64) -> bool {
        self.random(Purpose::Folklore as u64, number).random()
    }

    fn happens(&self, purpose: u64, draw: Draw, number: u64) -> bool {
        let seed = draw.seed.unwrap_or(self.seed);
        stream(seed, purpose, number).random::<f64>() < draw.share.get()
    }

    /// The end of the stall into which `at` falls; `None` when it falls into none. Periods count from the server's start.
    pub(super) fn stall_end(&self, at: Duration) -> Option<Duration> {
        let stall = self.stall?;
        let into_period = at.as_nanos() % stall.every.as_nanos();
        let rest = stall.length.as_nanos().checked_sub(into_period).filter(|rest| *rest > 0)?;
        Some(at.saturating_add(Duration::from_nanos(u64::try_from(rest).unwrap_or(u64::MAX))))
    }

    fn random(&self, purpose: u64, number: u64) -> SplitMix64 {
        stream(self.seed, purpose, number)
    }
}

/// The random numbers of one purpose and number.
fn stream(seed: u64, purpose: u64, number: u64) -> SplitMix64 {
    // Odd multipliers of our own keep the streams apart from each other and from the scenario's with the same seed.
    let stream = seed.wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ purpose.wrapping_mul(0x94d0_49bb_1331_11eb);
    SplitMix64::seed_from_u64(stream.wrapping_add(number.wrapping_mul(0xd6e8_feb8_6659_fd93)))
}

impl Latency {
    fn new(given: LogNormal) -> Option<Self> {
        if given.median.is_zero() {
            return None;
        }
        let standard = Normal::standard();
        let (median_s, p99_s) = (given.median.as_secs_f64(), given.p99.as_secs_f64());
        // A p99 below the median would turn the distribution over; the loader refuses it.
        let sigma = (p99_s / median_s).ln().max(0.0) / standard.inverse_cdf(0.99);
        Some(Self { median_s, sigma, standard })
    }

    /// The value below which `share` of all values lie, `share` from 0 to below 1.
    fn quantile(&self, share: f64) -> Duration {
        if self.sigma <= 0.0 {
            return Duration::from_secs_f64(self.median_s).min(LONGEST);
        }
        let seconds = self.median_s * (self.sigma * self.standard.inverse_cdf(share)).exp();
        Duration::try_from_secs_f64(seconds).map_or(LONGEST, |latency| latency.min(LONGEST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Faults;
    use crate::sim::ailment::Ailment;
    use crate::units::Share;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn chance(median: u64, p99: u64, faults: &Faults) -> Chance {
        let latency = LogNormal { median: ms(median), p99: ms(p99) };
        Chance::new(&Simulator { seed: 11, latency, faults: *faults, ..Simulator::default() })
    }

    #[test]
    fn many_latencies_have_the_quantiles_asked_for() {
        let chance = chance(20, 80, &Faults::default());
        let mut drawn: Vec<_> = (0..100_000).map(|number| chance.latency(number).as_secs_f64()).collect();
        drawn.sort_by(f64::total_cmp);
        assert!((drawn[50_000] / 0.020 - 1.0).abs() < 0.02, "median {}", drawn[50_000]);
        assert!((drawn[99_000] / 0.080 - 1.0).abs() < 0.03, "p99 {}", drawn[99_000]);
        // A log-normal distribution has as much of its logarithm below as above the median.
        assert!((drawn[1_000] / 0.005 - 1.0).abs() < 0.03, "p1 {}", drawn[1_000]);
    }

    #[test]
    fn a_latency_without_spread_is_its_median_and_a_zero_median_is_none() {
        let (even, none) = (chance(5, 5, &Faults::default()), chance(0, 80, &Faults::default()));
        for number in [0, 1, u64::MAX] {
            assert_eq!((even.latency(number), none.latency(number)), (ms(5), Duration::ZERO));
        }
    }

    #[test]
    fn a_draw_is_a_function_of_seed_and_number() {
        let (one, same) = (chance(20, 80, &Faults::default()), chance(20, 80, &Faults::default()));
        let other = Chance { seed: 12, ..same.clone() };
        assert_eq!(one.latency(7), same.latency(7));
        assert_eq!(one.correlation_id(7), same.correlation_id(7));
        assert_ne!(one.latency(7), one.latency(8));
        assert_ne!(one.correlation_id(7), other.correlation_id(7));
        assert_ne!(one.correlation_id(7), one.token(7));
    }

    #[test]
    fn a_fault_befalls_as_large_a_share_as_asked_for() {
        for share in [0.0, 0.02, 0.5, 1.0] {
            let draw = Draw { share: Share::new(share).unwrap(), seed: None };
            let chance = chance(0, 0, &Faults { reset: draw, ..Faults::default() });
            let resets = (0..100_000).filter(|number| chance.ailments(*number).has(Ailment::Reset)).count();
            let found = f64::from(u32::try_from(resets).unwrap()) / 1e5;
            // Five standard deviations of a share of 100,000 independent draws.
            assert!((found - share).abs() <= 5.0 * (share * (1.0 - share) / 1e5).sqrt(), "{found} for {share}");
        }
    }

    #[test]
    fn faults_are_drawn_apart_and_a_seed_of_their_own_changes_theirs_alone() {
        let half = |seed| Draw { share: Share::new(0.5).unwrap(), seed };
        let faults = Faults { reset: half(None), cut: half(None), ..Faults::default() };
        let (first, other) = (chance(0, 0, &faults), chance(0, 0, &Faults { cut: half(Some(77)), ..faults }));
        let count = |chance: &Chance, is: fn(Ailments) -> bool| (0..10_000).filter(|n| is(chance.ailments(*n))).count();
        let both = count(&first, |ailments| ailments.has(Ailment::Reset) && ailments.has(Ailment::Cut));
        assert!((2_280..2_720).contains(&both), "{both} of 10,000 have both");
        let differ = |ailment| (0..10_000).any(|n| first.ailments(n).has(ailment) != other.ailments(n).has(ailment));
        assert!(!differ(Ailment::Reset) && differ(Ailment::Cut));
    }

    #[test]
    fn a_stall_holds_back_what_falls_into_it() {
        let chance =
            chance(0, 0, &Faults { stall: Some(Stall { every: ms(1_000), length: ms(300) }), ..Faults::default() });
        for (at, end) in
            [(0, Some(300)), (299, Some(300)), (300, None), (999, None), (1_000, Some(1_300)), (5_100, Some(5_300))]
        {
            assert_eq!(chance.stall_end(ms(at)), end.map(ms), "{at}");
        }
    }
}
