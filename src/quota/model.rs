//! The models, by their parameters.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use super::bucket::Bucket;
use super::exact::{floor, nanos};
use super::window::Window;
use crate::units::Rate;
use crate::units::format::exact_duration;

/// How a limiter decides. All of them measure a request by its cost; with the usual cost of 1 they count requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// `rate.count()` per window of `rate.per()`; the window opens with the first request that finds none open. (Redis
    /// `INCR` and `EXPIRE`, express-rate-limit.)
    FirstRequestWindow {
        /// Quota and length of a window.
        rate: Rate,
    },
    /// `rate.count()` per window of `rate.per()`; windows follow each other on the clock, from the start of time on.
    ClockWindow {
        /// Quota and length of a window.
        rate: Rate,
    },
    /// At most `rate.count()` in any `rate.per()`: each admitted request is remembered for so long.
    SlidingLog {
        /// Quota and length of the window.
        rate: Rate,
    },
    /// An estimate of the sliding window from two counters on the clock: what the window before admitted, in proportion
    /// to how much of it is still in sight, and what this one has admitted, must not exceed `rate.count()`.
    /// (Cloudflare, Kong.)
    SlidingCounter {
        /// Quota and length of the window.
        rate: Rate,
    },
    /// As [`SlidingCounter`](Self::SlidingCounter), but what is left of the window before counts in whole units, rounded
    /// down. (Python `limits`, throttled-py.)
    FlooredCounter {
        /// Quota and length of the window.
        rate: Rate,
    },
    /// As [`FlooredCounter`](Self::FlooredCounter), but its windows follow each other from the first request on; when two
    /// of them pass without a request, from the next one. (`HAProxy`.)
    AnchoredCounter {
        /// Quota and length of the window.
        rate: Rate,
    },
    /// A bucket of `burst` tokens, full at first, that gains `rate`; a request takes its cost in tokens.
    TokenBucket {
        /// Tokens gained per time.
        rate: Rate,
        /// Tokens that the bucket holds.
        burst: NonZeroU32,
    },
    /// A token bucket that gains nothing until the next tick of a clock that ticks every `tick` from the start of time on,
    /// and then what `rate` brings in one tick. (throttled-py, whose clock counts whole seconds.)
    TickingBucket {
        /// Tokens gained per time.
        rate: Rate,
        /// Tokens that the bucket holds.
        burst: NonZeroU32,
        /// The time from one tick to the next; zero counts as a nanosecond.
        tick: Duration,
    },
    /// The generic cell rate algorithm (ITU-T I.371): a request may arrive `burst - 1` periods of `rate` before its
    /// theoretical arrival time.
    Gcra {
        /// Requests per time.
        rate: Rate,
        /// Requests that may arrive at once after a pause.
        burst: NonZeroU32,
    },
    /// A leaky bucket as a meter: a request pours its cost in, `rate` leaks out, and what would overflow `burst` is
    /// refused.
    LeakyMeter {
        /// What leaks out per time.
        rate: Rate,
        /// What the bucket holds.
        burst: NonZeroU32,
    },
    /// A leaky bucket as a queue: requests leave it one by one at `rate`, so each waits for those before it; a request
    /// that finds `burst` waiting is refused. (nginx `limit_req` with a burst and delay.)
    LeakyQueue {
        /// Requests that leave per time.
        rate: Rate,
        /// Requests that may wait; one that finds none waiting or just leaving does not wait.
        burst: NonZeroU32,
    },
    /// At most `limit` requests between their arrival and the end of their answer.
    Concurrency {
        /// Requests in flight.
        limit: NonZeroU32,
    },
}

impl Model {
    /// Its rate; `None` for a concurrency limit.
    #[must_use]
    pub fn rate(self) -> Option<Rate> {
        match self {
            Self::FirstRequestWindow { rate }
            | Self::ClockWindow { rate }
            | Self::SlidingLog { rate }
            | Self::SlidingCounter { rate }
            | Self::FlooredCounter { rate }
            | Self::AnchoredCounter { rate }
            | Self::TokenBucket { rate, .. }
            | Self::TickingBucket { rate, .. }
            | Self::Gcra { rate, .. }
            | Self::LeakyMeter { rate, .. }
            | Self::LeakyQueue { rate, .. } => Some(rate),
            Self::Concurrency { .. } => None,
        }
    }

    /// Whether it must be told when an admitted request has been answered.
    #[must_use]
    pub fn awaits_the_end(self) -> bool {
        matches!(self, Self::Concurrency { .. })
    }

    /// The name of the algorithm, in scenarios, the truth and reports.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::FirstRequestWindow { .. } => "fixed-window",
            Self::ClockWindow { .. } => "clock-window",
            Self::SlidingLog { .. } => "sliding-log",
            Self::SlidingCounter { .. } => "sliding-counter",
            Self::FlooredCounter { .. } => "floored-counter",
            Self::AnchoredCounter { .. } => "anchored-counter",
            Self::TokenBucket { .. } => "token-bucket",
            Self::TickingBucket { .. } => "ticking-bucket",
            Self::Gcra { .. } => "gcra",
            Self::LeakyMeter { .. } => "leaky-meter",
            Self::LeakyQueue { .. } => "leaky-queue",
            Self::Concurrency { .. } => "concurrency",
        }
    }

    /// The most units of cost admitted in a time that starts with a fresh state, as
    /// [`Limiter::most_in`](super::Limiter::most_in) has it.
    ///
    /// For the sliding counter: with `p` admitted in the window before, at most `limit - p (1 - e/per)` are by the time
    /// `e` into a window, so the two have admitted at most `limit (1 + e/per)`, and each window before them at most
    /// `limit`. That is a bucket of `limit`. In whole units it is less than one unit more.
    ///
    /// A ticking bucket gains at the end of a time what any other has gained a tick later at the latest.
    pub(super) fn most_in(&self, length: Duration) -> Option<u64> {
        // The time does not include its end, so it is over with the nanosecond before.
        let Some(last) = nanos(length).checked_sub(1) else {
            return Some(0);
        };
        let bucket = |rate, burst| {
            let bucket = Bucket::new(rate, burst);
            burst.saturating_add(floor(bucket.gained(last), bucket.per))
        };
        match *self {
            Self::FirstRequestWindow { rate } | Self::SlidingLog { rate } => {
                let Window { limit, per } = rate.into();
                Some(limit.saturating_mul((last / per).saturating_add(1)))
            }
            Self::ClockWindow { rate } => {
                let Window { limit, per } = rate.into();
                Some(limit.saturating_mul(last.div_ceil(per).saturating_add(1)))
            }
            Self::SlidingCounter { rate } => Some(bucket(rate, rate.count().get().into())),
            Self::FlooredCounter { rate } | Self::AnchoredCounter { rate } => {
                Some(bucket(rate, u64::from(rate.count().get()) + 1))
            }
            Self::TickingBucket { rate, burst, tick } => {
                let ticking = Self::TokenBucket { rate, burst };
                ticking.most_in(length.saturating_add(tick.max(Duration::from_nanos(1))))
            }
            Self::TokenBucket { rate, burst } | Self::Gcra { rate, burst } | Self::LeakyMeter { rate, burst } => {
                Some(bucket(rate, burst.get().into()))
            }
            Self::LeakyQueue { rate, burst } => Some(bucket(rate, u64::from(burst.get()) + 1)),
            Self::Concurrency { .. } => None,
        }
    }
}

impl fmt::Display for Model {
    /// Its parameters and its name: `300/min fixed-window`, `10/s token-bucket, burst 20`, `concurrency 8`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        match self {
            Self::FirstRequestWindow { rate }
            | Self::ClockWindow { rate }
            | Self::SlidingLog { rate }
            | Self::SlidingCounter { rate }
            | Self::FlooredCounter { rate }
            | Self::AnchoredCounter { rate } => write!(f, "{rate} {name}"),
            Self::TokenBucket { rate, burst }
            | Self::Gcra { rate, burst }
            | Self::LeakyMeter { rate, burst }
            | Self::LeakyQueue { rate, burst } => write!(f, "{rate} {name}, burst {burst}"),
            Self::TickingBucket { rate, burst, tick } => {
                write!(f, "{rate} {name}, burst {burst}, tick {}", exact_duration(*tick))
            }
            Self::Concurrency { limit } => write!(f, "{name} {limit}"),
        }
    }
}
