//! Seeded numbers: the same seed and the same names give the same world, whatever the order of requests.

use std::fmt::Write as _;

/// Mixes a number so that neighbours land far apart (the finaliser of SplitMix64).
pub(crate) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number that depends on the seed and on every name.
pub(crate) fn number(seed: u64, names: &[&str]) -> u64 {
    let mut state = mix(seed);
    for name in names {
        for byte in name.bytes() {
            state = (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        state = mix(state);
    }
    state
}

/// A fraction in `0.0..1.0`.
#[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
pub(crate) fn fraction(number: u64) -> f64 {
    (mix(number) >> 11) as f64 / (1_u64 << 53) as f64
}

/// A whole number in `low..=high`.
pub(crate) fn between(seed: u64, names: &[&str], low: i64, high: i64) -> i64 {
    let span = u64::try_from(high - low + 1).unwrap_or(1).max(1);
    low + i64::try_from(number(seed, names) % span).unwrap_or(0)
}

/// Lower-case hexadecimal text of the given length.
pub(crate) fn hex(seed: u64, names: &[&str], length: usize) -> String {
    let mut text = String::with_capacity(length + 16);
    let mut state = number(seed, names);
    while text.len() < length {
        _ = write!(text, "{state:016x}");
        state = mix(state);
    }
    text.truncate(length);
    text
}

/// A name ending as Kubernetes makes them: consonants and digits only.
pub(crate) fn suffix(seed: u64, names: &[&str], length: usize) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut state = number(seed, names);
    (0..length)
        .map(|_| {
            state = mix(state);
            let at = usize::try_from(state % LETTERS.len() as u64).unwrap_or(0);
            LETTERS.get(at).copied().map_or('x', char::from)
        })
        .collect()
}

/// An object's uid in the form of a version 4 UUID.
pub(crate) fn uid(seed: u64, names: &[&str]) -> String {
    let h = hex(seed, names, 32);
    let part = |from: usize, to: usize| h.get(from..to).unwrap_or_default();
    format!("{}-{}-4{}-a{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
}
