//! UUIDs from random numbers of ours.

use rand::Rng;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// A random (version 4) UUID: RFC 9562, 5.4.
pub(super) fn uuid(random: &mut impl Rng) -> String {
    let (high, low) = (random.next_u64(), random.next_u64());
    let high = high & !0xf000 | 0x4000;
    let low = low & !(0xc000 << 48) | 0x8000 << 48;
    let bits = u128::from(high) << 64 | u128::from(low);
    let mut text = String::with_capacity(36);
    for place in 0..32_u32 {
        if matches!(place, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        let digit = bits >> (124 - 4 * place) & 0xf;
        text.push(char::from(DIGITS[usize::try_from(digit).expect("four bits fit")]));
    }
    text
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_xoshiro::SplitMix64;

    use super::*;

    #[test]
    fn has_the_form_of_version_4() {
        let mut random = SplitMix64::seed_from_u64(7);
        for _ in 0..1_000 {
            let text = uuid(&mut random);
            let lengths: Vec<_> = text.split('-').map(str::len).collect();
            assert_eq!(lengths, [8, 4, 4, 4, 12], "{text}");
            assert!(text.bytes().all(|byte| byte == b'-' || DIGITS.contains(&byte)), "{text}");
            assert_eq!(&text[14..15], "4", "{text}");
            assert!(matches!(&text[19..20], "8" | "9" | "a" | "b"), "{text}");
        }
    }
}
