//! What is nearly a packet, and how bytes come in pieces.

use core::fmt;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::wire::{Packet, Role, Version, Violation};

use super::alloc::vec;
use super::alloc::vec::Vec;
use super::packet::{Encoded, Packets};

/// A change to the bytes of a packet. A position is relative to the length; empty bytes stay empty.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub enum Damage {
    /// The remaining length becomes that of what follows, in its shortest form.
    Measure,
    /// The bytes end here.
    Truncate(Index),
    /// A byte is missing.
    Delete(Index),
    /// Bits of a byte are flipped.
    Flip(Index, u8),
    /// Flags in the first byte are flipped: of these bits, the lower four.
    Flags(u8),
    /// A byte is another one.
    Set(Index, u8),
    /// A byte too many.
    Insert(Index, u8),
    /// What lies between two positions comes twice.
    Repeat(Index, Index),
    /// What lies between two positions is replaced by these bytes: a piece of another packet.
    Splice(Index, Index, Vec<u8>),
    /// The remaining length, if it is a single byte, is so much larger or smaller.
    Length(i8),
    /// The remaining length takes so many bytes more than it needs. [MQTT-1.5.5-1] (3.1.1 allows that, up to four bytes in
    /// all.)
    Pad(u8),
}

impl Damage {
    /// Changes the bytes.
    ///
    /// ```
    /// use mqtt_session::strategies::Damage;
    /// let mut bytes = vec![0xD0, 0x00];
    /// Damage::Pad(2).apply(&mut bytes);
    /// assert_eq!(bytes, [0xD0, 0x80, 0x80, 0x00]);
    /// ```
    pub fn apply(&self, bytes: &mut Vec<u8>) {
        let len = bytes.len();
        if len == 0 {
            return;
        }
        match self {
            Self::Measure => measure(bytes),
            Self::Truncate(at) => bytes.truncate(at.index(len)),
            Self::Delete(at) => drop(bytes.remove(at.index(len))),
            Self::Flip(at, bits) => change(bytes, at.index(len), |byte| byte ^ bits),
            Self::Flags(bits) => change(bytes, 0, |byte| byte ^ (bits & 0x0F)),
            Self::Set(at, to) => change(bytes, at.index(len), |_| *to),
            Self::Insert(at, byte) => bytes.insert(at.index(len), *byte),
            Self::Repeat(from, to) => {
                let (from, to) = in_order(from.index(len), to.index(len));
                let piece = bytes.get(from..to).unwrap_or_default().to_vec();
                bytes.splice(to..to, piece);
            }
            Self::Splice(from, to, piece) => {
                let (from, to) = in_order(from.index(len), to.index(len));
                bytes.splice(from..to, piece.iter().copied());
            }
            Self::Length(by) => change(bytes, 1, |length| length.saturating_add_signed(*by)),
            Self::Pad(by) => pad(bytes, *by),
        }
    }
}

impl Packets {
    /// Packets of which something is wrong: most break a rule, some are incomplete or followed by something, and some are
    /// valid all the same. A failure shrinks to little damage to a small packet.
    ///
    /// ```
    /// use mqtt_session::strategies::{Packets, reads};
    /// use mqtt_session::{Inbox, Role, Version};
    /// use proptest::prelude::*;
    ///
    /// # #[cfg(feature = "v5")]
    /// proptest!(|(damaged in Packets::new(Version::V5, Role::Client).damaged(), reads in reads())| {
    ///     let mut inbox: Inbox<[u8; 16_384]> = Inbox::new();
    ///     let mut is_refused = false;
    ///     for piece in reads.pieces(damaged.bytes()) {
    ///         inbox.space()[..piece.len()].copy_from_slice(piece);
    ///         inbox.filled(piece.len());
    ///         is_refused |= inbox.packet(Version::V5, Role::Client).is_err();
    ///     }
    ///     prop_assert!(is_refused || damaged.decode().is_ok());
    /// });
    /// ```
    pub fn damaged(self) -> BoxedStrategy<Damaged> {
        (self.any(), vec(self.damage(), 1..4), any::<bool>())
            .prop_map(|(origin, mut damage, is_measured)| {
                if is_measured {
                    damage.push(Damage::Measure);
                }
                let mut bytes = origin.bytes().to_vec();
                damage.iter().for_each(|damage| damage.apply(&mut bytes));
                Damaged { origin, damage, bytes }
            })
            .boxed()
    }

    /// Those of them that break a rule.
    ///
    /// ```
    /// use mqtt_session::strategies::Packets;
    /// use mqtt_session::{Role, Version};
    /// use proptest::prelude::*;
    ///
    /// # #[cfg(feature = "v5")]
    /// proptest!(|(malformed in Packets::new(Version::V5, Role::Server).malformed())| {
    ///     prop_assert!(malformed.decode().unwrap_err().reason_code().is_error());
    /// });
    /// ```
    pub fn malformed(self) -> BoxedStrategy<Damaged> {
        self.damaged().prop_filter("it breaks a rule", |damaged| damaged.decode().is_err()).boxed()
    }

    /// A change to a packet.
    pub fn damage(self) -> BoxedStrategy<Damage> {
        let at = any::<Index>;
        // What means something at many places of a packet.
        let byte = || prop_oneof![select(vec![0, 1, 2, 0x23, 0x2B, 0x7F, 0x80, 0xFF]), any::<u8>()];
        let piece = (self.any(), at(), at()).prop_map(|(other, from, to)| {
            let len = other.bytes().len();
            let (from, to) = in_order(from.index(len), to.index(len));
            other.bytes().get(from..=to).unwrap_or_default().to_vec()
        });
        prop_oneof![
            2 => at().prop_map(Damage::Truncate),
            2 => at().prop_map(Damage::Delete),
            4 => (at(), 0..8_u32).prop_map(|(at, bit)| Damage::Flip(at, 1_u8.rotate_left(bit))),
            2 => (1..0x10_u8).prop_map(Damage::Flags),
            3 => (at(), byte()).prop_map(|(at, byte)| Damage::Set(at, byte)),
            2 => (at(), byte()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
            1 => (at(), at()).prop_map(|(from, to)| Damage::Repeat(from, to)),
            2 => (at(), at(), piece).prop_map(|(from, to, piece)| Damage::Splice(from, to, piece)),
            2 => prop_oneof![1..=3_i8, -3..=-1_i8].prop_map(Damage::Length),
            1 => (1..=4_u8).prop_map(Damage::Pad),
        ]
        .boxed()
    }
}

/// What is left of a packet.
#[derive(Clone)]
pub struct Damaged {
    origin: Encoded,
    damage: Vec<Damage>,
    bytes: Vec<u8>,
}

impl Damaged {
    /// The packet that it was.
    #[must_use]
    pub const fn origin(&self) -> &Encoded {
        &self.origin
    }

    /// What was done to it, in this order.
    #[must_use]
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    /// The bytes that came of it; there may be none.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The version of the packet that it was.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.origin.version()
    }

    /// The end that receives it.
    #[must_use]
    pub const fn to(&self) -> Role {
        self.origin.to()
    }

    /// What the decoder makes of the bytes.
    ///
    /// # Errors
    ///
    /// As [`Packet::decode`].
    pub fn decode(&self) -> Result<Option<(Packet<'_>, usize)>, Violation> {
        Packet::decode(self.version(), self.to(), &self.bytes)
    }
}

impl fmt::Debug for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Damaged")
            .field("origin", &self.origin)
            .field("damage", &self.damage)
            .field("bytes", &format_args!("{:02x?}", self.bytes))
            .field("decoded", &self.decode())
            .finish()
    }
}

/// How a stream of bytes comes in: what each read gives.
#[derive(Clone, Debug)]
pub enum Reads {
    /// All at once.
    Whole,
    /// Cut at these positions.
    Cut(Vec<Index>),
    /// So many bytes each time.
    Each(usize),
}

impl Reads {
    /// The pieces of a stream, in order; none is empty.
    ///
    /// ```
    /// use mqtt_session::strategies::Reads;
    /// assert_eq!(Reads::Each(2).pieces(b"abcde"), [&b"ab"[..], b"cd", b"e"]);
    /// assert_eq!(Reads::Whole.pieces(b"abcde"), [b"abcde"]);
    /// ```
    #[must_use]
    pub fn pieces<'b>(&self, stream: &'b [u8]) -> Vec<&'b [u8]> {
        let mut ends: Vec<usize> = match self {
            Self::Whole => Vec::new(),
            Self::Cut(at) => at.iter().filter(|_| !stream.is_empty()).map(|at| at.index(stream.len())).collect(),
            Self::Each(len) => return stream.chunks((*len).max(1)).collect(),
        };
        ends.push(stream.len());
        ends.sort_unstable();
        let starts = [0].into_iter().chain(ends.iter().copied());
        let pieces = starts.zip(&ends).filter_map(|(start, &end)| stream.get(start..end));
        pieces.filter(|piece| !piece.is_empty()).collect()
    }
}

/// Ways for a stream to come in. A failure shrinks to few reads, if it can.
pub fn reads() -> BoxedStrategy<Reads> {
    prop_oneof![
        1 => Just(Reads::Whole),
        4 => vec(any::<Index>(), 1..30).prop_map(Reads::Cut),
        3 => prop_oneof![1..4_usize, 1..200_usize].prop_map(Reads::Each),
    ]
    .boxed()
}

fn change(bytes: &mut [u8], at: usize, change: impl FnOnce(u8) -> u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte = change(*byte);
    }
}

const fn in_order(a: usize, b: usize) -> (usize, usize) {
    if a < b { (a, b) } else { (b, a) }
}

/// How many bytes behind the first belong to the remaining length.
fn width(bytes: &[u8]) -> usize {
    let length = bytes.iter().skip(1).take(4);
    let further = length.clone().take_while(|&&byte| byte & 0x80 != 0).count();
    further.saturating_add(1).min(length.count())
}

fn measure(bytes: &mut Vec<u8>) {
    let end = width(bytes).saturating_add(1);
    let mut rest = bytes.len().saturating_sub(end);
    let mut length = Vec::new();
    loop {
        let more = if rest > 0x7F { 0x80 } else { 0 };
        length.push(u8::try_from(rest & 0x7F).unwrap_or(0) | more);
        rest >>= 7;
        if rest == 0 {
            break;
        }
    }
    bytes.splice(1..end, length);
}

fn pad(bytes: &mut Vec<u8>, by: u8) {
    let last = width(bytes);
    if last == 0 {
        return;
    }
    change(bytes, last, |byte| byte | 0x80);
    let at = last.saturating_add(1);
    let zeros = vec![0x80; usize::from(by).saturating_sub(1)];
    bytes.splice(at..at, zeros.into_iter().chain([0x00]));
}
