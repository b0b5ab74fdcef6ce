//! The order in which variants take turns, and with them the rows of their tables.

use rand::Rng as _;

use super::operation::{Purpose, random};
use super::shuffle::shuffled;
use super::variant::Variant;

/// The order of a scenario's variants: blocks that hold each as often as its weight says, in an order that the seed gives
/// each block.
///
/// The turns of a table are counted over the variants that take rows from it. A table that all variants use has one turn
/// for each operation. Another one has in each block as many as its variants have together, in the order of that block's
/// shuffle: so they too come without a gap, but for the order within a block, and are as quickly found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rotation<'a> {
    pub(super) variants: &'a [Variant],
    pub(super) seed: u64,
}

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn {
    /// Index of the variant.
    pub(super) variant: usize,
    /// The number of the turn among those of the variant's table, counted from 0; none is there twice.
    pub(super) of_table: u64,
}

impl Rotation<'_> {
    /// The turn of the operation with this number.
    pub(super) fn turn(&self, number: u64) -> Turn {
        if self.variants.len() == 1 {
            return Turn { variant: 0, of_table: number };
        }
        let length = self.length();
        let place = u32::try_from(number % u64::from(length)).expect("a remainder by a length is below it");
        let block = number / u64::from(length);
        let (variant, rank) = self.drawn(block, place);
        let in_block = self.turns_in_block(self.variants[variant].data);
        let of_table = if in_block == length { number } else { block * u64::from(in_block) + u64::from(rank) };
        Turn { variant, of_table }
    }

    /// The number of the first operation that has no row in a table of so many that gives each row once; `None` for a table
    /// that no variant uses.
    pub(super) fn end_of(&self, table: usize, rows: u64) -> Option<u64> {
        let (length, in_block) = (self.length(), self.turns_in_block(table));
        if in_block == 0 {
            return None;
        }
        if in_block == length {
            return Some(rows);
        }
        let (block, left) = (rows / u64::from(in_block), rows % u64::from(in_block));
        let has_none = |place: &u32| {
            let (variant, rank) = self.drawn(block, *place);
            self.variants[variant].data == table && u64::from(rank) >= left
        };
        let place = (0..length).find(has_none).expect("a block has more turns of the table than rows are left");
        Some(block * u64::from(length) + u64::from(place))
    }

    /// No operation below this number has a turn of the table with this number or a higher one.
    pub(super) fn most_turns(&self, table: usize, operations: u64) -> u64 {
        let (length, in_block) = (u64::from(self.length()), u64::from(self.turns_in_block(table)));
        if in_block == length { operations } else { operations.div_ceil(length).saturating_mul(in_block) }
    }

    fn length(&self) -> u32 {
        self.variants.iter().map(|variant| variant.weight.get()).sum()
    }

    /// The turns of a table in a block.
    fn turns_in_block(&self, table: usize) -> u32 {
        self.variants.iter().filter(|variant| variant.data == table).map(|variant| variant.weight.get()).sum()
    }

    /// The variant at a place of a block, and how many turns of its table come before in the unshuffled block.
    fn drawn(&self, block: u64, place: u32) -> (usize, u32) {
        let mut element = shuffled(random(self.seed, Purpose::Variant, block).next_u64(), self.length(), place);
        for (index, variant) in self.variants.iter().enumerate() {
            let Some(rest) = element.checked_sub(variant.weight.get()) else {
                let before = self.variants[..index].iter().filter(|before| before.data == variant.data);
                return (index, before.map(|before| before.weight.get()).sum::<u32>() + element);
            };
            element = rest;
        }
        unreachable!("an element is below the sum of the weights")
    }
}
