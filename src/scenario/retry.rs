//! When an attempt is followed by another one, and after which pause.

use std::time::Duration;

use rand::RngExt;

use super::operation::{Purpose, random};

/// What is tried again, how often, and after which pause.
#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    /// What is tried again; at least one.
    pub on: Vec<RetryOn>,
    /// Retries of an operation, at most; above zero.
    pub max: u32,
    /// What is done with the pause that the server asks for.
    pub retry_after: Wish,
    /// The pause where the server asks for none, or is not listened to.
    pub backoff: Backoff,
    /// A server that asks for a longer pause, and is listened to, ends the retries of the operation.
    pub longest_wait: Duration,
}

/// What is done with a Retry-After.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// The retry goes when the time that it asks for has passed.
    Honored,
    /// It is as if it were not there: what an impatient client does.
    Ignored,
}

/// What is tried again.
///
/// Attempts that broke after they were written to a connection have no word of their own but `timeout`: the server may have
/// seen them, so a retry may be a second change, and after a reset or a cut answer nobody should try without looking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryOn {
    /// An answer with this status that is not accepted.
    Status(u16),
    /// An attempt that broke before it was written to a connection: the server cannot have seen it, so it is always safe.
    NotSent,
    /// An attempt that was sent and whose answer did not come in time. The server may have applied it.
    Timeout,
}

/// Pauses that grow from retry to retry.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// The first one; above zero.
    pub first: Duration,
    /// How many times as long as the one before each is, 1 or more.
    pub factor: f64,
    /// No pause is longer; at least `first`.
    pub most: Duration,
    /// Whether the pause is as long as computed, or random up to that.
    pub jitter: Jitter,
}

/// How random a pause is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jitter {
    /// Not at all.
    None,
    /// Evenly distributed from nothing to the whole pause: what spreads clients that failed together the most (M. Brooker,
    /// "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
    Full,
}

impl Backoff {
    /// The pause before retry `number`, counted from 1, of the operation with this number in the run: a function of the seed.
    #[must_use]
    pub fn pause(&self, seed: u64, operation: u64, number: u32) -> Duration {
        let grown = self.first.as_secs_f64() * self.factor.powf(f64::from(number.saturating_sub(1)));
        let whole = Duration::try_from_secs_f64(grown).map_or(self.most, |grown| grown.min(self.most));
        match self.jitter {
            Jitter::None => whole,
            // No operation has more retries than that, so each has numbers of its own.
            Jitter::Full => {
                let stream = operation.wrapping_mul(u64::from(MOST_RETRIES) + 1).wrapping_add(number.into());
                random(seed, Purpose::Retry, stream).random_range(Duration::ZERO..=whole)
            }
        }
    }
}

/// The most retries that an operation may be granted.
pub(super) const MOST_RETRIES: u32 = 100;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn backoff(jitter: Jitter) -> Backoff {
        Backoff { first: Duration::from_secs(1), factor: 2.0, most: Duration::from_secs(30), jitter }
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pauses: Vec<_> = (1..=7).map(|number| backoff(Jitter::None).pause(1, 2, number).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(backoff(Jitter::None).pause(1, 2, u32::MAX).as_secs(), 30);
    }

    #[test]
    fn full_jitter_is_even_and_a_function_of_the_seed() {
        let pause = |seed, operation| backoff(Jitter::Full).pause(seed, operation, 1);
        let mean = (0..4_000).map(|operation| pause(7, operation).as_secs_f64()).sum::<f64>() / 4_000.0;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
        assert_eq!(pause(7, 11), pause(7, 11));
        assert_ne!(pause(7, 11), pause(8, 11));
        assert_ne!(pause(7, 11), pause(7, 12));
    }

    proptest! {
        #[test]
        fn no_pause_is_longer_than_the_longest(seed: u64, operation: u64, number in 1..=MOST_RETRIES) {
            for jitter in [Jitter::None, Jitter::Full] {
                prop_assert!(backoff(jitter).pause(seed, operation, number) <= Duration::from_secs(30));
            }
        }
    }
}
