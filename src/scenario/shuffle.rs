//! What stands at a place of a shuffled block, without shuffling it.

/// Rounds of the shuffle: in each, an element moves with probability 1/2 to a place that is evenly distributed, so that
/// after them one of 16 million has never moved. That the orders of small blocks are equally frequent is tested.
const ROUNDS: u64 = 24;

/// The element at `place` of the block `0..length` in the order that `stream` gives it: a permutation for every stream.
///
/// The swap-or-not shuffle (V. T. Hoang, B. Morris, P. Rogaway: An enciphering scheme based on a card shuffle, CRYPTO 2012):
/// each round pairs the places up by a random sum and swaps each pair or not. It takes the same short time for a block of any
/// length and keeps nothing; who shuffles the block itself takes time for each of its elements at every look, or has to
/// remember blocks for users that are in many of them at once.
pub(super) fn shuffled(stream: u64, length: u32, place: u32) -> u32 {
    let mut place = place;
    for round in 1..=ROUNDS {
        let random = scramble(stream.wrapping_add(round.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        // The upper half of the product is evenly distributed below the length.
        let sum = low(((random >> 32) * u64::from(length)) >> 32);
        let partner = if sum >= place { sum - place } else { length - (place - sum) };
        // Both of a pair ask for the same bit.
        let pair = u64::from(place.max(partner));
        if scramble(random ^ pair.wrapping_mul(0xd134_2543_de82_ef95)) & 1 == 1 {
            place = partner;
        }
    }
    place
}

/// The finaliser of `SplitMix64` (Steele, Lea, Flood 2014).
fn scramble(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

fn low(value: u64) -> u32 {
    u32::try_from(value & u64::from(u32::MAX)).expect("32 bits fit")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn order(stream: u64, length: u32) -> Vec<u32> {
        (0..length).map(|place| shuffled(stream, length, place)).collect()
    }

    proptest! {
        #[test]
        fn every_element_stands_somewhere(stream: u64, length in 1_u32..300) {
            let mut order = order(stream, length);
            order.sort_unstable();
            prop_assert_eq!(order, (0..length).collect::<Vec<_>>());
        }
    }

    #[test]
    fn all_orders_of_a_small_block_are_equally_frequent() {
        for (length, orders) in [(2_u32, 2_u64), (3, 6), (4, 24), (5, 120)] {
            let mut counts = BTreeMap::new();
            let expected = 1_000;
            for block in 0..orders * expected {
                *counts.entry(order(scramble(block), length)).or_insert(0_u64) += 1;
            }
            assert_eq!(counts.len() as u64, orders);
            let squares: u64 = counts.values().map(|count| count.abs_diff(expected).pow(2)).sum();
            // Chi-square has this mean, and a deviation of the square root of twice of it.
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let (chi_square, mean) = (squares as f64 / expected as f64, (orders - 1) as f64);
            assert!(chi_square < mean + 4.0 * (2.0 * mean).sqrt() + 4.0, "{length}: {chi_square}, mean {mean}");
        }
    }
}
