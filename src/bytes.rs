//! Bytes copied and moved without a branch that could panic, which the methods of slices have, and looked at many at a time.

/// How many bytes are looked at together.
const CHUNK: usize = 8;

/// Whether any of the bytes is one that is looked for. Within a chunk there is no early exit, so that a compiler compares all
/// of its bytes at once.
pub(crate) fn any(bytes: &[u8], is_sought: impl Fn(u8) -> bool) -> bool {
    let is_in = |bytes: &[u8]| bytes.iter().fold(false, |found, &byte| found | is_sought(byte));
    let (chunks, rest) = bytes.as_chunks::<CHUNK>();
    // The last chunk may overlap the one before it.
    let last = bytes.last_chunk::<CHUNK>().map_or_else(|| is_in(rest), |last| is_in(last));
    chunks.iter().fold(last, |found, chunk| found | is_in(chunk))
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
    fn finds_one_byte_anywhere_and_two_as_well() {
        let is_sought = |byte| byte == b'+';
        for len in 0..=3 * CHUNK {
            let clean = [b'a'; 3 * CHUNK];
            assert!(!any(&clean[..len], is_sought));
            for (first, second) in (0..len).flat_map(|first| (first..len).map(move |second| (first, second))) {
                let mut bytes = clean;
                bytes[first] = b'+';
                bytes[second] = b'+';
                assert!(any(&bytes[..len], is_sought), "{first} and {second} of {len}");
            }
        }
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
