//! What tells client identifiers apart at a server, whose clients choose them.

use crate::engine::state::ClientHash;

/// HalfSipHash-2-4 of 64 bits with a key of zeros: small, and no shorter way to a second name is known than to try about 2^64 of
/// them. The key is no secret, so whoever may choose both names needs about 2^32 attempts, and gains nothing by it.
pub(crate) fn hash(client_id: &str) -> ClientHash {
    ClientHash(half_sip([0; 2], client_id.as_bytes()))
}

fn half_sip([left, right]: [u32; 2], bytes: &[u8]) -> u64 {
    let mut state = [left, right ^ 0xEE, 0x6C79_6765 ^ left, 0x7465_6462 ^ right];
    let (words, rest) = bytes.as_chunks::<4>();
    for &word in words {
        absorb(&mut state, u32::from_le_bytes(word));
    }
    // The last word has the length in its highest byte.
    let len = u32::try_from(bytes.len()).unwrap_or_default() << 24;
    absorb(&mut state, len | rest.iter().rev().fold(0, |word: u32, &byte| word << 8 | u32::from(byte)));
    let [.., half, _] = &mut state;
    *half ^= 0xEE;
    let low = squeeze(&mut state);
    let [_, half, ..] = &mut state;
    *half ^= 0xDD;
    u64::from(squeeze(&mut state)) << 32 | u64::from(low)
}

fn absorb(state: &mut [u32; 4], word: u32) {
    let [.., last] = state;
    *last ^= word;
    scramble(state, 2);
    let [first, ..] = state;
    *first ^= word;
}

fn squeeze(state: &mut [u32; 4]) -> u32 {
    scramble(state, 4);
    let [_, second, _, fourth] = *state;
    second ^ fourth
}

fn scramble(state: &mut [u32; 4], rounds: u8) {
    let [mut a, mut b, mut c, mut d] = *state;
    for _ in 0..rounds {
        a = a.wrapping_add(b);
        b = b.rotate_left(5) ^ a;
        a = a.rotate_left(16);
        c = c.wrapping_add(d);
        d = d.rotate_left(8) ^ c;
        a = a.wrapping_add(d);
        d = d.rotate_left(7) ^ a;
        c = c.wrapping_add(b);
        b = b.rotate_left(13) ^ c;
        c = c.rotate_left(16);
    }
    *state = [a, b, c, d];
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published vectors: the key is 0 to 7, the text counts on from 0.
    #[test]
    fn the_hash_is_the_published_one() {
        let key = [0x0302_0100, 0x0706_0504];
        let expected = [
            (0, [0x21, 0x8D, 0x1F, 0x59, 0xB9, 0xB8, 0x3C, 0xC8]),
            (1, [0xBE, 0x55, 0x24, 0x12, 0xF8, 0x38, 0x73, 0x15]),
            (5, [0xCB, 0x9D, 0x7C, 0x3F, 0x2F, 0x3D, 0xB5, 0x80]),
        ];
        for (len, expected) in expected {
            let text = [0, 1, 2, 3, 4];
            assert_eq!(half_sip(key, &text[..len]).to_le_bytes(), expected, "{len} bytes");
        }
    }
}
