//! Bytes copied and moved without a branch that could panic, which the methods of slices have, and looked at many at a time.

/// How many bytes are looked at together: those of a word.
const CHUNK: usize = size_of::<usize>();

/// A word of bytes that are 1.
const ONES: usize = usize::MAX / 0xFF;

/// The one bit in which the two wildcards differ.
const DIFFERENCE: u8 = b'+' ^ b'#';

/// Whether a text is without U+0000 and the wildcards `+` and `#`, as most are.
pub(crate) fn are_plain(bytes: &[u8]) -> bool {
    let is_plain = |&byte: &u8| byte != 0 && byte & !DIFFERENCE != b'#';
    let all_plain = |chunk: &[u8; CHUNK]| {
        let word = usize::from_ne_bytes(*chunk);
        let wildcards = (word & !repeated(DIFFERENCE)) ^ repeated(b'#');
        (zeros(word) | zeros(wildcards)) & repeated(0x80) == 0
    };
    let (chunks, rest) = bytes.as_chunks();
    // The last chunk may overlap the one before it.
    bytes.last_chunk().map_or_else(|| rest.iter().all(is_plain), all_plain) && chunks.iter().all(all_plain)
}

/// Whether `byte` is among these.
#[expect(clippy::manual_contains, reason = "`contains` is quicker with many bytes, and larger than all that asks here")]
pub(crate) fn contain(bytes: &[u8], byte: u8) -> bool {
    bytes.iter().any(|&other| other == byte)
}

/// A word of bytes that are all the same.
const fn repeated(byte: u8) -> usize {
    ONES.wrapping_mul(byte as usize)
}

/// The highest bit of some byte is set if and only if a byte of `word` is zero.
const fn zeros(word: usize) -> usize {
    word.wrapping_sub(ONES) & !word
}

/// Copies as many bytes as both have. Both are cut to one length first, so that no comparison of theirs is left.
pub(crate) fn copy(to: &mut [u8], from: &[u8]) {
    let len = to.len().min(from.len());
    if let (Some(to), Some(from)) = (to.get_mut(..len), from.get(..len)) {
        to.copy_from_slice(from);
    }
}

/// Moves `len` bytes at `from` down to `to`. Both ranges lie within the buffer, or nothing is moved.
pub(crate) fn move_down(bytes: &mut [u8], from: usize, to: usize, len: usize) {
    let gap = from.wrapping_sub(to);
    let Some(mut rest) = bytes.get_mut(to..from.wrapping_add(len)).filter(|_| gap != 0) else { return };
    // As many bytes at a time as lie in the gap, so that source and target never overlap.
    while let Some((target, source)) = rest.split_at_mut_checked(gap).filter(|(_, source)| !source.is_empty()) {
        copy(target, source);
        rest = source;
    }
}

/// Turns the buffer so that what lies at `by` comes to the front.
pub(crate) fn rotate_left(bytes: &mut [u8], by: usize) {
    if by == 0 {
        return;
    }
    if let Some((front, back)) = bytes.split_at_mut_checked(by) {
        reverse(front);
        reverse(back);
        reverse(bytes);
    }
}

fn reverse(mut bytes: &mut [u8]) {
    while let [first, middle @ .., last] = bytes {
        core::mem::swap(first, last);
        bytes = middle;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_not_plain_wherever_it_is() {
        // All are too many for an interpreter.
        let is_tried = |byte: &u8| !cfg!(miri) || matches!(byte, 0 | 1 | b'#' | b'$' | b'*' | b'+' | 0x80 | 0xFF);
        for len in 0..=3 * CHUNK {
            for (at, byte) in (0..len).flat_map(|at| (0..=u8::MAX).filter(is_tried).map(move |byte| (at, byte))) {
                for around in [b'a', b'"', 0x80, 0xFF, 1] {
                    let mut bytes = [around; 3 * CHUNK];
                    bytes[at] = byte;
                    let expected = !matches!(byte, 0 | b'+' | b'#');
                    assert_eq!(are_plain(&bytes[..len]), expected, "{byte} at {at} of {len} that are {around}");
                }
            }
        }
        assert!(are_plain(b""));
    }

    #[test]
    fn moves_down_like_copy_within() {
        for len in 0..=9 {
            for from in 0..=9 {
                for to in 0..=from {
                    let mut bytes: [u8; 9] = core::array::from_fn(|i| u8::try_from(i).unwrap());
                    let mut expected = bytes;
                    if from + len <= bytes.len() {
                        expected.copy_within(from..from + len, to);
                    }
                    move_down(&mut bytes, from, to, len);
                    assert_eq!(bytes, expected, "{len} bytes from {from} to {to}");
                }
            }
        }
    }

    #[test]
    fn turns_like_rotate_left() {
        for by in 0..=5 {
            let mut bytes = [1, 2, 3, 4, 5];
            let mut expected = bytes;
            expected.rotate_left(by);
            rotate_left(&mut bytes, by);
            assert_eq!(bytes, expected);
        }
        let mut bytes = [1, 2];
        rotate_left(&mut bytes, 3);
        assert_eq!(bytes, [1, 2]);
    }
}
