//! A limiter that may be the server's: a kind, its parameters, and how many of them stand over one request.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::quota::{Limiter, Model};
use crate::units::Rate;

/// What the parameters of a limiter mean.
///
/// The token bucket stands for GCRA and the leaky meter, too: no request tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// [`Model::FirstRequestWindow`].
    FirstRequestWindow,
    /// [`Model::ClockWindow`].
    ClockWindow,
    /// [`Model::SlidingLog`].
    SlidingLog,
    /// [`Model::SlidingCounter`].
    SlidingCounter,
    /// [`Model::FlooredCounter`].
    FlooredCounter,
    /// [`Model::AnchoredCounter`].
    AnchoredCounter,
    /// [`Model::TokenBucket`].
    TokenBucket,
    /// [`Model::TickingBucket`].
    TickingBucket,
    /// [`Model::LeakyQueue`].
    LeakyQueue,
    /// [`Model::Concurrency`].
    Concurrency,
}

/// Whether refused requests use up the quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Refusals {
    /// They leave no trace.
    Free,
    /// They count as admitted ones do.
    Counted,
}

/// What a refusal brings with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Penalty {
    /// Nothing.
    None,
    /// Everything is refused for a time, which refusals meanwhile do not extend.
    Fixed,
    /// Everything is refused until a time after the last refusal.
    Extended,
}

/// What can be identified of a limiter apart from its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kind {
    /// What its parameters mean.
    pub family: Family,
    /// Whether refused requests use up the quota.
    pub refusals: Refusals,
    /// What a refusal brings with it.
    pub penalty: Penalty,
}

/// A limiter with its parameters; times are seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Theory {
    /// What it is.
    pub kind: Kind,
    /// The requests of a window; for buckets the burst; for a queue those that may wait; for concurrency those in flight.
    pub limit: u32,
    /// The length of a window; for buckets and queues the time that one request takes to be regained.
    pub time: f64,
    /// An instant at which a window or a tick begins, for those on a clock.
    pub phase: f64,
    /// The time from tick to tick of a ticking bucket.
    pub tick: f64,
    /// How long a penalty lasts.
    pub penalty: f64,
}

/// One or more limiters that a request must all pass.
#[derive(Debug, Clone, PartialEq)]
pub struct Hypothesis {
    /// The limiters, at least one.
    pub tiers: Vec<Theory>,
    /// Whether requests without an answer are taken to have arrived.
    pub lost_arrive: bool,
}

/// The longest and the shortest time that a parameter may have, in seconds.
const TIMES: (f64, f64) = (1e-6, 1e8);

/// Seconds as a duration, within what a parameter may be.
pub(super) fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value.clamp(0.0, TIMES.1)).unwrap_or_default()
}

impl Kind {
    /// A family without options.
    #[must_use]
    pub const fn plain(family: Family) -> Self {
        Self { family, refusals: Refusals::Free, penalty: Penalty::None }
    }

    /// Whether a phase belongs to its parameters.
    #[must_use]
    pub fn has_phase(self) -> bool {
        matches!(
            self.family,
            Family::ClockWindow | Family::SlidingCounter | Family::FlooredCounter | Family::TickingBucket
        )
    }

    /// Whether it admits a burst and then a rate.
    #[must_use]
    pub fn is_bucket(self) -> bool {
        matches!(self.family, Family::TokenBucket | Family::TickingBucket | Family::LeakyQueue)
    }

    /// Whether everything is refused for a while after a refusal.
    #[must_use]
    pub fn blocks(self) -> bool {
        self.penalty != Penalty::None
    }

    /// Whether it estimates a sliding window from counters.
    #[must_use]
    pub fn is_counter(self) -> bool {
        matches!(self.family, Family::SlidingCounter | Family::FlooredCounter | Family::AnchoredCounter)
    }

    /// Whether its windows begin with requests, so that they are known no better than when those arrived.
    #[must_use]
    pub fn begins_with_a_request(self) -> bool {
        matches!(self.family, Family::FirstRequestWindow | Family::SlidingLog | Family::AnchoredCounter)
    }

    /// Whether two kinds are one for a user: the counters differ by less than a request in a window.
    #[must_use]
    pub fn is_like(self, other: Self) -> bool {
        let same_family = self.family == other.family || (self.is_counter() && other.is_counter());
        same_family && self.refusals == other.refusals && self.penalty == other.penalty
    }

    /// The number of free parameters. A penalty counts as three: a short one explains any few odd refusals.
    pub(super) fn parameters(self) -> u32 {
        let penalty = if self.penalty == Penalty::None { 0 } else { 3 };
        match self.family {
            Family::Concurrency => 1 + penalty,
            Family::TickingBucket => 4 + penalty,
            _ => 2 + u32::from(self.has_phase()) + penalty,
        }
    }
}

impl Theory {
    /// The limiter that this is; a clock's phase is not in it. A limit of zero counts as one.
    ///
    /// # Panics
    /// Never: times are kept above zero.
    #[must_use]
    pub fn limiter(&self) -> Limiter {
        let limit = NonZeroU32::new(self.limit).unwrap_or(NonZeroU32::MIN);
        let time = seconds(self.time.max(TIMES.0));
        let rate = |count| Rate::new(count, time).expect("a time is kept above zero");
        let per_window = rate(limit);
        let each = rate(NonZeroU32::MIN);
        let model = match self.kind.family {
            Family::FirstRequestWindow => Model::FirstRequestWindow { rate: per_window },
            Family::ClockWindow => Model::ClockWindow { rate: per_window },
            Family::SlidingLog => Model::SlidingLog { rate: per_window },
            Family::SlidingCounter => Model::SlidingCounter { rate: per_window },
            Family::FlooredCounter => Model::FlooredCounter { rate: per_window },
            Family::AnchoredCounter => Model::AnchoredCounter { rate: per_window },
            Family::TokenBucket => Model::TokenBucket { rate: each, burst: limit },
            Family::TickingBucket => Model::TickingBucket { rate: each, burst: limit, tick: seconds(self.tick) },
            Family::LeakyQueue => Model::LeakyQueue { rate: each, burst: limit },
            Family::Concurrency => Model::Concurrency { limit },
        };
        Limiter {
            counts_refused: self.kind.refusals == Refusals::Counted,
            penalty: if self.kind.penalty == Penalty::None { Duration::ZERO } else { seconds(self.penalty) },
            penalty_extends: self.kind.penalty == Penalty::Extended,
            ..Limiter::new(model)
        }
    }

    /// Whether it is no other kind in disguise: one request per time is a token bucket of one, and a bucket that a single
    /// tick fills is a window on the clock.
    pub(super) fn is_own(&self) -> bool {
        match self.kind.family {
            Family::FirstRequestWindow | Family::SlidingLog => {
                self.limit > 1 || self.kind.refusals == Refusals::Counted
            }
            Family::TickingBucket => self.time * f64::from(self.limit) > self.tick,
            _ => true,
        }
    }

    /// Whether its penalty, if there is one, takes at least so many seconds.
    pub(super) fn lasts(&self, shortest: f64) -> bool {
        self.kind.penalty == Penalty::None || self.penalty >= shortest
    }

    /// The time from one beginning on the clock to the next; `None` for those that have no clock.
    #[must_use]
    pub fn cycle(&self) -> Option<f64> {
        match self.kind.family {
            Family::TickingBucket => Some(self.tick),
            _ if self.kind.has_phase() => Some(self.time),
            _ => None,
        }
    }

    /// Requests that a fresh key is admitted at once.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.limit + u32::from(self.kind.family == Family::LeakyQueue)
    }

    /// Seconds without a request after which it is as good as new.
    #[must_use]
    pub fn recovery(&self) -> f64 {
        let time = match self.kind.family {
            Family::Concurrency => 0.0,
            Family::TickingBucket => self.time * f64::from(self.limit) + self.tick,
            _ if self.kind.is_bucket() => self.time * f64::from(self.limit),
            _ if self.kind.is_counter() => self.time * 2.0,
            _ => self.time,
        };
        time.max(if self.kind.penalty == Penalty::None { 0.0 } else { self.penalty })
    }

    /// Requests per second that it admits for ever; `None` for concurrency.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        match self.kind.family {
            Family::Concurrency => None,
            _ if self.kind.is_bucket() => Some(1.0 / self.time),
            _ => Some(f64::from(self.limit) / self.time),
        }
    }
}

impl Hypothesis {
    /// A single limiter.
    #[must_use]
    pub fn single(theory: Theory) -> Self {
        Self { tiers: vec![theory], lost_arrive: false }
    }

    /// The kinds of its limiters.
    pub(super) fn kinds(&self) -> Vec<Kind> {
        self.tiers.iter().map(|theory| theory.kind).collect()
    }

    /// Whether another one has as many limiters, and each is of the same kind for a user.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        let pairs = || self.tiers.iter().zip(&other.tiers);
        self.tiers.len() == other.tiers.len() && pairs().all(|(one, other)| one.kind.is_like(other.kind))
    }

    /// The same with its times a share of the way to those of another one of its kinds.
    pub(super) fn towards(&self, other: &Self, share: f64) -> Self {
        let mut between = self.clone();
        for (one, other) in between.tiers.iter_mut().zip(&other.tiers) {
            let times = [
                (&mut one.time, other.time),
                (&mut one.phase, other.phase),
                (&mut one.tick, other.tick),
                (&mut one.penalty, other.penalty),
            ];
            for (time, other) in times {
                *time += share * (other - *time);
            }
        }
        between
    }

    /// The number of free parameters.
    pub(super) fn parameters(&self) -> u32 {
        self.tiers.iter().map(|theory| theory.kind.parameters()).sum()
    }
}

impl fmt::Display for Kind {
    /// In words: `fixed window from the first request`, `token bucket, refused requests count`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.family {
            Family::FirstRequestWindow => "fixed window from the first request",
            Family::ClockWindow => "fixed window on the clock",
            Family::SlidingLog => "sliding log",
            Family::SlidingCounter => "sliding counter",
            Family::FlooredCounter => "sliding counter in whole requests",
            Family::AnchoredCounter => "sliding counter from the first request",
            Family::TokenBucket => "token bucket",
            Family::TickingBucket => "token bucket with clock ticks",
            Family::LeakyQueue => "leaky queue",
            Family::Concurrency => "concurrency limit",
        })?;
        if self.refusals == Refusals::Counted {
            f.write_str(", refused requests count")?;
        }
        f.write_str(match self.penalty {
            Penalty::None => "",
            Penalty::Fixed => ", block after a refusal",
            Penalty::Extended => ", block from the last refusal",
        })
    }
}
