//! What a record says whose payload stays with the application.

/// How many bytes say how far a payload was sent, and where it is.
const PROGRESS: usize = 8;
const DESCRIPTOR: usize = 10;

/// Of a packet that is being written, says that its payload comes in pieces. What is left is that of its header, its front or a piece.
pub(crate) const IN_PIECES: u32 = 1 << 30;

/// How many bytes may be behind the padded header.
pub(crate) const MAX_STORED: usize = (1 << 21) - 1;

/// The smallest buffer, which has room for a fixed header.
const SMALLEST_BUFFER: u16 = 8;

/// A payload that stays with the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Payload {
    /// What the application calls it.
    pub(crate) source: u32,
    /// Its length in bytes.
    pub(crate) len: u32,
    /// How many bytes of it are asked for at once, at most.
    pub(crate) buffer: u16,
}

impl Payload {
    /// One whose buffer is no larger than it is of use: for a piece, or for the `front` bytes before the payload.
    pub(crate) fn new(source: u32, len: u32, buffer: u16, front: usize) -> Self {
        let useful = u16::try_from(len).unwrap_or(u16::MAX).max(u16::try_from(front).unwrap_or(u16::MAX));
        Self { source, len, buffer: buffer.min(useful).max(SMALLEST_BUFFER) }
    }

    /// How many bytes stand for it in the store.
    pub(crate) fn stored(self) -> usize {
        usize::from(self.buffer).wrapping_add(PROGRESS).wrapping_add(DESCRIPTOR)
    }

    pub(crate) fn to_bytes(self) -> [u8; DESCRIPTOR] {
        let ([a, b, c, d], [e, f, g, h]) = (self.source.to_le_bytes(), self.len.to_le_bytes());
        let [i, j] = self.buffer.to_le_bytes();
        [a, b, c, d, e, f, g, h, i, j]
    }

    pub(crate) fn of_bytes([a, b, c, d, e, f, g, h, i, j]: [u8; DESCRIPTOR]) -> Self {
        Self {
            source: u32::from_le_bytes([a, b, c, d]),
            len: u32::from_le_bytes([e, f, g, h]),
            buffer: u16::from_le_bytes([i, j]),
        }
    }
}

/// How far a packet in pieces is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Progress {
    /// How many bytes of the payload are written.
    pub(crate) offset: u32,
    /// How many bytes are in the buffer.
    pub(crate) filled: u16,
    pub(crate) run: Run,
    /// Whether the application was asked for the next piece.
    pub(crate) is_asked: bool,
}

/// What of a packet in pieces is being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Run {
    /// The fixed header, from the buffer, which has no room for more.
    Header,
    /// The fixed header and what is between it and the payload, from the buffer.
    Both,
    /// What is between header and payload, from where it lies.
    Front,
    /// A piece of the payload, from the buffer.
    Piece,
}

impl Progress {
    pub(crate) const BEGIN: Self = Self { offset: 0, filled: 0, run: Run::Header, is_asked: false };

    pub(crate) fn to_bytes(self) -> [u8; PROGRESS] {
        let ([a, b, c, d], [e, f]) = (self.offset.to_le_bytes(), self.filled.to_le_bytes());
        [a, b, c, d, e, f, self.run as u8, self.is_asked.into()]
    }

    pub(crate) fn of_bytes([a, b, c, d, e, f, run, is_asked]: [u8; PROGRESS]) -> Self {
        let run = match run {
            0 => Run::Header,
            1 => Run::Both,
            2 => Run::Front,
            _ => Run::Piece,
        };
        let (offset, filled) = (u32::from_le_bytes([a, b, c, d]), u16::from_le_bytes([e, f]));
        Self { offset, filled, run, is_asked: is_asked != 0 }
    }
}

/// A piece of a payload that is to be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) source: u32,
    /// Where it begins.
    pub(crate) offset: u32,
    /// How many bytes there are from there on.
    pub(crate) remaining: u32,
}
