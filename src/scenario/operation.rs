//! What an operation is: pure functions of seed, user and step, whatever worker executes it.

use std::num::NonZeroU32;

use rand::{Rng as _, RngExt, SeedableRng};
use rand_xoshiro::SplitMix64;

use super::rotation::{Rotation, Turn};
use super::variant::Variant;
use super::{Closed, Data, Load, Pick, Scenario, Schedule, Span};
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
    /// What of an operation is checked.
    Check,
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
        let Turn { variant, of_table } = self.rotation().turn(number);
        Operation { user, step, number, variant, row: self.row_of(variant, number, of_table) }
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

    /// The table that runs out first, of those whose rows are taken once; `None` where no table runs out.
    #[must_use]
    pub fn shortest_unique(&self) -> Option<&Data> {
        self.first_end().map(|(_, data)| data)
    }

    /// The number of operations after which a table whose rows are taken once has run out: the next one needs a row that is
    /// not there, so neither it nor any after it takes place. `None` where none runs out.
    #[must_use]
    pub fn most_operations(&self) -> Option<u64> {
        self.first_end().map(|(operations, _)| operations)
    }

    /// The table that runs out first, and after how many operations.
    fn first_end(&self) -> Option<(u64, &Data)> {
        let unique = self.data.iter().enumerate().filter(|(_, data)| data.pick == Pick::Unique);
        let end = |table, data: &Data| self.rotation().end_of(table, data.rows.len() as u64);
        unique.filter_map(|(table, data)| Some((end(table, data)?, data))).min_by_key(|(end, _)| *end)
    }

    fn rotation(&self) -> Rotation<'_> {
        Rotation { variants: &self.variants, seed: self.seed }
    }

    fn row_of(&self, variant: usize, number: u64, turn: u64) -> usize {
        let Some(data) = self.table_of(variant) else { return 0 };
        let rows = data.rows.len() as u64;
        let row = match data.pick {
            // Unique rows wrap only for numbers that no operation of a run bears.
            Pick::Sequential | Pick::Unique => turn % rows,
            Pick::Random => random(self.seed, Purpose::Row, number).random_range(0..rows),
        };
        usize::try_from(row).expect("a remainder by a length fits")
    }
}

/// How many rows of the first table, from its start on, the operations of a schedule can take; all of them where nothing
/// bounds the operations, where chance chooses, or where no variant uses the table.
pub(super) fn rows_within_reach(first: &Data, variants: &[Variant], load: &Load) -> usize {
    let rows = first.rows.len();
    let is_used = variants.iter().any(|variant| variant.data == 0);
    match load.most_operations() {
        Some(operations) if first.pick != Pick::Random && is_used => {
            let turns = Rotation { variants, seed: 0 }.most_turns(0, operations);
            usize::try_from(turns).unwrap_or(rows).min(rows)
        }
        _ => rows,
    }
}

impl Load {
    /// No operation has this number or a higher one; `None` where users go on for as long as the stages leave them time.
    #[must_use]
    pub fn most_operations(&self) -> Option<u64> {
        match &self.schedule {
            Schedule::Users(closed) => closed.iterations.map(|each| each.saturating_mul(u64::from(self.max_users()))),
            Schedule::Arrivals(open) => Some(open.arrivals.count()),
        }
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
