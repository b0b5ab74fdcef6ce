//! UUIDs: ids of conversations and participants, correlation ids and tokens.

use std::fmt;

use rand::Rng;
use serde::{Serialize, Serializer};

/// The length of a UUID's text.
const LENGTH: usize = 36;

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
        let bytes = text.as_bytes();
        if bytes.len() != LENGTH {
            return None;
        }
        let mut value = 0;
        for (i, &byte) in bytes.iter().enumerate() {
            if is_hyphen(i) {
                if byte != b'-' {
                    return None;
                }
            } else {
                value = value << 4 | u128::from(char::from(byte).to_digit(16)?);
            }
        }
        Some(Self(value))
    }

    /// Hands the text to `f`, without an allocation.
    pub(super) fn with_text<T>(self, f: impl FnOnce(&str) -> T) -> T {
        let mut text = [b'-'; LENGTH];
        let mut rest = self.0;
        for i in (0..LENGTH).rev().filter(|i| !is_hyphen(*i)) {
            text[i] = b"0123456789abcdef"[usize::from(rest.to_le_bytes()[0] & 0xf)];
            rest >>= 4;
        }
        f(str::from_utf8(&text).expect("hexadecimal digits and hyphens are ASCII"))
    }
}

fn is_hyphen(i: usize) -> bool {
    matches!(i, 8 | 13 | 18 | 23)
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
    use crate::scenario::population;

    #[test]
    fn reads_the_ids_of_the_population_and_writes_them_alike() {
        for participant in population(3, 50) {
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
