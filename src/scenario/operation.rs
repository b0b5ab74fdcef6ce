//! What an operation is: pure functions of seed, user and step, whatever worker executes it.

use std::num::NonZeroU32;

use rand::{Rng as _, RngExt, SeedableRng};
use rand_xoshiro::SplitMix64;

use super::shuffle::shuffled;
use super::{Closed, Data, Pick, Scenario, Span};
use crate::units::Duration;

/// One intended attribute change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// The user that performs it, counted from 0.
    pub user: u32,
    /// How many operations of this user came before.
    pub step: u64,
    /// The operation's number in the run: step x users + user.
    pub number: u64,
    /// Index of its variant.
    pub variant: usize,
    /// Index of its row in the table of its variant; 0 where there is none.
    pub row: usize,
}

/// What a random choice is for; choices for different purposes are independent.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    Variant,
    Row,
    ThinkTime,
    Template,
    /// The pause before a retry; far from the others, whose numbers its own do not follow.
    Retry = 16,
}

/// Random numbers that depend on nothing but seed, purpose and number.
pub(super) fn random(seed: u64, purpose: Purpose, number: u64) -> SplitMix64 {
    // Distinct odd multipliers keep the streams apart; SplitMix64 scrambles the sum (Steele, Lea, Flood 2014).
    let stream =
        seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add((purpose as u64 + 1).wrapping_mul(0xd134_2543_de82_ef95));
    SplitMix64::seed_from_u64(stream ^ number.wrapping_mul(0xaef1_7502_108e_f2d9))
}

/// Random numbers for one place in the request of an operation.
pub(super) fn random_at(seed: u64, number: u64, place: u64) -> SplitMix64 {
    let operation = random(seed, Purpose::Template, number).next_u64();
    SplitMix64::seed_from_u64(operation ^ place.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

impl Scenario {
    /// What `user` does as its operation number `step`.
    #[must_use]
    pub fn operation(&self, user: u32, step: u64) -> Operation {
        let number = step * u64::from(self.load.max_users()) + u64::from(user);
        let variant = self.variant_of(number);
        Operation { user, step, number, variant, row: self.row_of(variant, number) }
    }

    /// The operation with this number in the run.
    #[must_use]
    pub fn operation_numbered(&self, number: u64) -> Operation {
        self.operation(self.user_of(number), number / u64::from(self.load.max_users().max(1)))
    }

    /// The user of the operation with this number: the one that would perform it if all took turns.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "a remainder by a number of users is one of them")]
    pub fn user_of(&self, number: u64) -> u32 {
        let users = u64::from(self.load.max_users().max(1));
        u32::try_from(number % users).expect("a remainder by a number of users is one of them")
    }

    /// The pause that a user makes after this operation.
    #[must_use]
    pub fn think_time(&self, closed: &Closed, operation: &Operation) -> Duration {
        let Span { min, max } = closed.think_time;
        if min == max {
            return min;
        }
        random(self.seed, Purpose::ThinkTime, operation.number).random_range(min..=max)
    }

    /// The table that a variant takes its columns from; `None` where the scenario has none.
    ///
    /// # Panics
    /// When there is no such variant.
    #[must_use]
    pub fn table_of(&self, variant: usize) -> Option<&Data> {
        self.data.get(self.variants[variant].data)
    }

    /// The table that runs out first, of those whose rows are taken once and that a variant uses: operations that bear the
    /// number of no row of it do not take place. `None` where no table runs out.
    #[must_use]
    pub fn shortest_unique(&self) -> Option<&Data> {
        let tables = (0..self.variants.len()).filter_map(|variant| self.table_of(variant));
        tables.filter(|data| data.pick == Pick::Unique).min_by_key(|data| data.rows.len())
    }

    /// The number of operations after which a table whose rows are taken once has run out; `None` where none does.
    #[must_use]
    pub fn most_operations(&self) -> Option<u64> {
        self.shortest_unique().map(|data| data.rows.len() as u64)
    }

    /// Variants come in blocks that hold each as often as its weight says, in an order that the seed gives each block.
    fn variant_of(&self, number: u64) -> usize {
        if self.variants.len() == 1 {
            return 0;
        }
        let length: u32 = self.variants.iter().map(|variant| variant.weight.get()).sum();
        let place = u32::try_from(number % u64::from(length)).expect("a remainder by a length is below it");
        let block = number / u64::from(length);
        let mut element = shuffled(random(self.seed, Purpose::Variant, block).next_u64(), length, place);
        for (index, variant) in self.variants.iter().enumerate() {
            match element.checked_sub(variant.weight.get()) {
                Some(rest) => element = rest,
                None => return index,
            }
        }
        unreachable!("an element is below the sum of the weights")
    }

    fn row_of(&self, variant: usize, number: u64) -> usize {
        let Some(data) = self.table_of(variant) else { return 0 };
        let rows = data.rows.len() as u64;
        let row = match data.pick {
            // Unique rows wrap only for numbers that no operation of a run bears.
            Pick::Sequential | Pick::Unique => number % rows,
            Pick::Random => random(self.seed, Purpose::Row, number).random_range(0..rows),
        };
        usize::try_from(row).expect("a remainder by a length fits")
    }
}

/// The tokens of a run and how users are spread over them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenPool {
    /// Users of each token in a block of users; one entry per token, at least one.
    weights: Vec<NonZeroU32>,
}

impl TokenPool {
    /// So many tokens with the same number of users each.
    #[must_use]
    pub fn even(tokens: NonZeroU32) -> Self {
        Self { weights: vec![NonZeroU32::MIN; tokens.get() as usize] }
    }

    /// A token per weight, with users in proportion to the weights; `None` without weights.
    #[must_use]
    pub fn weighted(weights: Vec<NonZeroU32>) -> Option<Self> {
        (!weights.is_empty()).then_some(Self { weights })
    }

    /// The number of tokens, at least one.
    #[must_use]
    pub fn count(&self) -> usize {
        self.weights.len()
    }

    /// How many of so many users each token has.
    #[must_use]
    pub fn users_of_each(&self, users: u32) -> Vec<u64> {
        let block: u64 = self.weights.iter().map(|weight| u64::from(weight.get())).sum();
        let (blocks, mut rest) = (u64::from(users) / block, u64::from(users) % block);
        let of_token = |weight: &NonZeroU32| {
            let weight = u64::from(weight.get());
            let part = rest.min(weight);
            rest -= part;
            blocks * weight + part
        };
        self.weights.iter().map(of_token).collect()
    }

    /// The token of a user, counted from 0: users take turns in blocks, each token as often as its weight says.
    #[must_use]
    pub fn of(&self, user: u32) -> usize {
        let block: u64 = self.weights.iter().map(|weight| u64::from(weight.get())).sum();
        let mut place = u64::from(user) % block;
        for (token, weight) in self.weights.iter().enumerate() {
            match place.checked_sub(u64::from(weight.get())) {
                Some(rest) => place = rest,
                None => return token,
            }
        }
        unreachable!("a remainder is below the sum of the weights")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_spread_over_tokens_by_weight() {
        let weights = [1, 99].map(|weight| NonZeroU32::new(weight).unwrap()).to_vec();
        let pool = TokenPool::weighted(weights).unwrap();
        assert_eq!((0..1_000).filter(|user| pool.of(*user) == 0).count(), 10);
        assert_eq!(pool.users_of_each(1_050), [11, 1_039]);
        let pool = TokenPool::even(NonZeroU32::new(3).unwrap());
        assert_eq!((pool.users_of_each(5), pool.users_of_each(1)), (vec![2, 2, 1], vec![1, 0, 0]));
        assert_eq!((0..6).map(|user| pool.of(user)).collect::<Vec<_>>(), [0, 1, 2, 0, 1, 2]);
    }
}
