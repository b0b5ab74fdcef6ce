//! The words of the simulator's table and what they mean: the loader reads them, and a simulator is shown with them.

use std::num::NonZeroU32;
use std::time::Duration;

use super::{Dialect, QuotaHeaders, RetryAfter};
use crate::quota::{Cost, Dimension, Limiter, Model, Quota, Scope};
use crate::units::Rate;

/// The values of `dialect`.
pub(super) const DIALECTS: [(&str, Dialect); 2] = [("documented", Dialect::Documented), ("forum", Dialect::Forum)];

/// The values of `signals.retry_after`.
pub(super) const RETRY_AFTER: [(&str, RetryAfter); 3] =
    [("seconds", RetryAfter::Seconds), ("date", RetryAfter::Date), ("missing", RetryAfter::Missing)];

/// The values of `signals.headers`.
pub(super) const HEADERS: [(&str, QuotaHeaders); 3] =
    [("none", QuotaHeaders::None), ("ratelimit", QuotaHeaders::RateLimit), ("x-ratelimit", QuotaHeaders::XRateLimit)];

/// The values of `model` of a quota: the names of the models, each with how it is made.
pub(super) const MODELS: [(&str, Make); 12] = [
    ("fixed-window", Make::Window(|rate| Model::FirstRequestWindow { rate })),
    ("clock-window", Make::Window(|rate| Model::ClockWindow { rate })),
    ("sliding-log", Make::Window(|rate| Model::SlidingLog { rate })),
    ("sliding-counter", Make::Window(|rate| Model::SlidingCounter { rate })),
    ("floored-counter", Make::Window(|rate| Model::FlooredCounter { rate })),
    ("anchored-counter", Make::Window(|rate| Model::AnchoredCounter { rate })),
    ("token-bucket", Make::Bucket(|rate, burst| Model::TokenBucket { rate, burst })),
    ("ticking-bucket", Make::Ticks(|rate, burst, tick| Model::TickingBucket { rate, burst, tick })),
    ("gcra", Make::Bucket(|rate, burst| Model::Gcra { rate, burst })),
    ("leaky-meter", Make::Bucket(|rate, burst| Model::LeakyMeter { rate, burst })),
    ("leaky-queue", Make::Bucket(|rate, burst| Model::LeakyQueue { rate, burst })),
    ("concurrency", Make::Limit(|limit| Model::Concurrency { limit })),
];

/// How a model is made of its parameters.
#[derive(Debug, Clone, Copy)]
pub(super) enum Make {
    /// Of a rate.
    Window(fn(Rate) -> Model),
    /// Of a rate and a burst.
    Bucket(fn(Rate, NonZeroU32) -> Model),
    /// Of a rate, a burst, and the time from tick to tick.
    Ticks(fn(Rate, NonZeroU32, Duration) -> Model),
    /// Of a number of requests in flight.
    Limit(fn(NonZeroU32) -> Model),
}

/// The values of `per` of a quota, but for [`ORGANISATION`].
pub(super) const DIMENSIONS: [(&str, Dimension); 4] = [
    (Dimension::Token.name(), Dimension::Token),
    (Dimension::Client.name(), Dimension::Client),
    (Dimension::Address.name(), Dimension::Address),
    (Dimension::Resource.name(), Dimension::Resource),
];

/// The value of `per` for a quota that all requests share.
pub(super) const ORGANISATION: &str = "organisation";

/// The values of `cost` of a quota.
pub(super) const COSTS: [(&str, Cost); 3] = [
    (Cost::Request.name(), Cost::Request),
    (Cost::Attributes.name(), Cost::Attributes),
    (Cost::Bytes.name(), Cost::Bytes),
];

/// What absence is called where it must be told from a default.
pub(super) const NONE: &str = "none";

/// What a rate alone stands for: a quota of each token, in windows that open with their first request.
pub(super) fn per_token(rate: Rate) -> Quota {
    Quota {
        name: "token".to_owned(),
        limiter: Limiter::new(Model::FirstRequestWindow { rate }),
        scope: Scope::of([Dimension::Token]),
        cost: Cost::Request,
    }
}

/// The word for a meaning.
///
/// # Panics
/// When the table does not have it: each table above holds all values of its type.
pub(super) fn word<T: PartialEq + Copy>(words: &[(&'static str, T)], meaning: T) -> &'static str {
    let found = words.iter().find(|(_, other)| *other == meaning);
    found.expect("a table of words holds all values of its type").0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_is_read_by_the_name_that_it_is_shown_with() {
        let (one, rate) = (NonZeroU32::MIN, "1/s".parse().unwrap());
        for (name, make) in MODELS {
            let model = match make {
                Make::Window(of) => of(rate),
                Make::Bucket(of) => of(rate, one),
                Make::Ticks(of) => of(rate, one, Duration::from_secs(1)),
                Make::Limit(of) => of(one),
            };
            assert_eq!(model.name(), name);
        }
    }
}
