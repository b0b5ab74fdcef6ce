//! The arrivals of a Poisson process of one per unit of time, drawn from a seed.

use rand::{RngExt, SeedableRng};
use rand_xoshiro::SplitMix64;

use super::segment::nearest;

/// Walks from arrival to arrival; the gaps between them are exponential with mean one.
///
/// Gap n is a function of seed and n alone, the n-th number of the stream. Sums are kept in whole 2^-32, so that they
/// are the same however they are reached.
#[derive(Debug, Clone)]
pub(super) struct Gaps {
    random: SplitMix64,
    /// In units of 2^-32.
    sum: u128,
    added: u64,
}

impl Gaps {
    pub(super) fn new(seed: u64) -> Self {
        // An odd multiplier of our own: with the increment of the generator itself, which other streams are made with, the
        // stream of a seed would be that of the seed before, one number further.
        let stream = seed.wrapping_mul(0xd1b5_4a32_d192_ed03) ^ 0x6172_7269_7661_6c73;
        Self { random: SplitMix64::seed_from_u64(stream), sum: 0, added: 0 }
    }

    /// Arrival `n`, counted from 0, times `scale`, rounded down; `None` when that is `end` or more. Every `n` must be
    /// greater than the one before.
    pub(super) fn arrival(&mut self, n: u64, scale: u64, end: u128) -> Option<u128> {
        let mut arrival = 0;
        while self.added <= n && arrival < end {
            self.sum += u128::from(exponential(self.random.random()));
            self.added += 1;
            let (whole, fraction) = (self.sum >> 32, self.sum & u128::from(u32::MAX));
            arrival = whole * u128::from(scale) + ((fraction * u128::from(scale)) >> 32);
        }
        (arrival < end).then_some(arrival)
    }
}

/// The quantile of the exponential distribution with mean one at `uniform`, from 0 to below 1, in units of 2^-32.
///
/// By inversion: L. Devroye, Non-Uniform Random Variate Generation (1986), section II.2.
fn exponential(uniform: f64) -> u64 {
    nearest(-(-uniform).ln_1p() * 4_294_967_296.0)
}
