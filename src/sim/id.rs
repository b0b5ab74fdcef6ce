//! UUIDs: ids of conversations and participants, correlation ids and tokens.

use std::fmt;

use rand::Rng;
use serde::{Serialize, Serializer};

/// The length of a UUID's text.
const LENGTH: usize = 36;

/// Where its hyphens stand.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

/// Where its groups of digits start and end.
const GROUPS: [(usize, usize); 5] = [(0, 8), (9, 13), (14, 18), (19, 23), (24, 36)];

/// What stands in [`DIGITS`] for a byte that is no hexadecimal digit.
const NO_DIGIT: u8 = 0x10;

/// The value of each byte as a hexadecimal digit.
const DIGITS: [u8; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut value = 0_u8;
    while value < 16 {
        digits[b"0123456789abcdef"[value as usize] as usize] = value;
        digits[b"0123456789ABCDEF"[value as usize] as usize] = value;
        value += 1;
    }
    digits
};

/// A UUID, as a number: half the memory of its text, and compared in one step.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Id(u128);

impl Id {
    /// A random (version 4) UUID.
    pub(super) fn random(random: &mut impl Rng) -> Self {
        let bits = u128::from(random.next_u64()) << 64 | u128::from(random.next_u64());
        let version = bits & !(0xf << 76) | 0x4 << 76;
        Self(version & !(0b11 << 62) | 0b10 << 62)
    }

    /// Reads the form `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`, in capitals or not; `None` for anything else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let bytes: &[u8; LENGTH] = text.as_bytes().try_into().ok()?;
        if HYPHENS.iter().any(|at| bytes[*at] != b'-') {
            return None;
        }
        // A digit that is none leaves its mark in `wrong`: one test at the end instead of one for each character.
        let (mut value, mut wrong) = (0, 0);
        for (start, end) in GROUPS {
            let mut group = 0_u64;
            for byte in &bytes[start..end] {
                let digit = DIGITS[usize::from(*byte)];
                group = group << 4 | u64::from(digit);
                wrong |= digit;
            }
            value = value << (4 * (end - start)) | u128::from(group);
        }
        (wrong <= 0xf).then_some(Self(value))
    }

    /// Hands the text to `f`, without an allocation.
    pub(super) fn with_text<T>(self, f: impl FnOnce(&str) -> T) -> T {
        let mut text = [b'-'; LENGTH];
        let mut rest = self.0;
        for i in (0..LENGTH).rev().filter(|i| !HYPHENS.contains(i)) {
            text[i] = b"0123456789abcdef"[usize::from(rest.to_le_bytes()[0] & 0xf)];
            rest >>= 4;
        }
        f(str::from_utf8(&text).expect("hexadecimal digits and hyphens are ASCII"))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_text(|text| f.write_str(text))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.with_text(|text| serializer.serialize_str(text))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_xoshiro::SplitMix64;

    use super::*;
    use crate::scenario::{Simulator, population};

    #[test]
    fn reads_the_ids_of_the_population_and_writes_them_alike() {
        for participant in population(&Simulator { seed: 3, conversations: 50, ..Simulator::default() }) {
            assert_eq!(Id::parse(&participant.participant_id).unwrap().to_string(), participant.participant_id);
        }
    }

    proptest! {
        #[test]
        fn a_random_id_is_of_version_4_and_reads_back(seed in any::<u64>()) {
            let id = Id::random(&mut SplitMix64::seed_from_u64(seed));
            let text = id.to_string();
            prop_assert_eq!(Id::parse(&text), Some(id));
            prop_assert_eq!(text.as_bytes()[14], b'4');
            prop_assert!(b"89ab".contains(&text.as_bytes()[19]));
        }

        #[test]
        fn refuses_what_is_no_uuid(text in "\\PC{0,40}") {
            prop_assume!(text.len() != LENGTH || !text.is_ascii());
            prop_assert_eq!(Id::parse(&text), None);
        }
    }

    #[test]
    fn refuses_misplaced_hyphens_and_other_letters() {
        for wrong in ["", "0123456789012345678901234567890123456", "00000000-0000-4000-8000-00000000000g"] {
            assert_eq!(Id::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Id::parse("0000000-00000-4000-8000-000000000000"), None);
    }
}
