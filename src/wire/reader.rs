//! Fields taken off the front of received bytes.

use core::num::{NonZeroU8, NonZeroU16};
use core::{fmt, mem, str};

use crate::bytes;

use super::qos::QoS;
use super::version::{Role, Version};
use super::violation::Violation;

/// The identifier of a PUBLISH with QoS above 0, a SUBSCRIBE or an UNSUBSCRIBE, and of what answers them; never 0.
/// [MQTT-2.3.1-1] in 3.1.1, [MQTT-2.2.1-3] in 5.0
pub type PacketId = NonZeroU16;

/// The bytes of a packet that are still to be read. What does not fit into them is [`Violation::FieldTruncated`].
///
/// The first fault is kept until [`end`](Self::end), so that a packet reads as the list of its fields. Behind a fault
/// nothing is left, and what is read there is empty, or the least that such a field can be.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    pub(crate) version: Version,
    /// The end that received the bytes.
    pub(crate) to: Role,
    fault: Option<Violation>,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(version: Version, to: Role, bytes: &'a [u8]) -> Self {
        Self { version, to, fault: None, rest: bytes }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// All that is left.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The first fault, if there was one so far.
    pub(crate) const fn so_far(&self) -> Result<(), Violation> {
        match self.fault {
            None => Ok(()),
            Some(violation) => Err(violation),
        }
    }

    /// The packet that `read` takes, unless it has a fault or does not end there.
    // Part of its caller, so that the packet is made where it goes.
    #[inline(always)]
    pub(crate) fn packet<T>(mut self, read: impl FnOnce(&mut Self) -> T) -> Result<T, Violation> {
        let packet = read(&mut self);
        self.end().map(|()| packet)
    }

    /// Says that the packet ends here, and tells the first fault.
    pub(crate) const fn end(&self) -> Result<(), Violation> {
        match self.fault {
            None if self.is_empty() => Ok(()),
            None => Err(Violation::TrailingBytes),
            Some(violation) => Err(violation),
        }
    }

    /// Keeps the first fault; the rest of the packet is then of no interest.
    #[inline(never)]
    pub(crate) fn fail(&mut self, violation: Violation) {
        self.fault = self.fault.or(Some(violation));
        self.rest = &[];
    }

    /// Keeps what came of a check.
    pub(crate) fn check(&mut self, checked: Result<(), Violation>) {
        if let Err(violation) = checked {
            self.fail(violation);
        }
    }

    /// Reads the next `len` bytes as if there were no others.
    pub(crate) fn within(&mut self, len: usize, read: impl FnOnce(&mut Self)) {
        let block = self.bytes(len);
        let behind = mem::replace(&mut self.rest, block);
        read(self);
        if self.fault.is_none() {
            self.rest = behind;
        }
    }

    pub(crate) fn bytes(&mut self, len: usize) -> &'a [u8] {
        match self.rest.split_at_checked(len) {
            Some((head, rest)) => {
                self.rest = rest;
                head
            }
            None => {
                self.fail(Violation::FieldTruncated);
                &[]
            }
        }
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        match self.rest.split_first_chunk() {
            Some((head, rest)) => {
                self.rest = rest;
                *head
            }
            None => {
                self.fail(Violation::FieldTruncated);
                [0; N]
            }
        }
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let [byte] = self.array();
        byte
    }

    /// A two byte integer. (1.5.2)
    pub(crate) fn two(&mut self) -> u16 {
        u16::from_be_bytes(self.array())
    }

    /// A four byte integer. (5.0: 1.5.3)
    pub(crate) fn four(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }

    /// A variable byte integer in its shortest form. [MQTT-1.5.5-1]
    pub(crate) fn variable(&mut self) -> u32 {
        match VariableByteInteger::read(self.rest) {
            Ok(integer) if integer.is_padded() => self.fail(Violation::IntegerPadded),
            Ok(integer) => {
                self.bytes(integer.len().into());
                return integer.value;
            }
            Err(violation) => self.fail(violation),
        }
        0
    }

    /// A variable byte integer in whatever form. What it counts is the caller's affair, so its value is not told.
    pub(crate) fn skip_variable(&mut self) {
        match VariableByteInteger::read(self.rest) {
            Ok(integer) => drop(self.bytes(integer.len().into())),
            Err(violation) => self.fail(violation),
        }
    }

    pub(crate) fn packet_id(&mut self) -> PacketId {
        PacketId::new(self.two()).unwrap_or_else(|| {
            self.fail(Violation::PacketIdentifierZero);
            PacketId::MIN
        })
    }

    /// A flag that takes a whole byte; anything but 0 and 1 breaks `rule`.
    pub(crate) fn flag(&mut self, rule: Violation) -> bool {
        let byte = self.byte();
        if byte > 1 {
            self.fail(rule);
        }
        byte == 1
    }

    /// A QoS; that there is none breaks `rule`.
    pub(crate) fn qos(&mut self, qos: Option<QoS>, rule: Violation) -> QoS {
        qos.unwrap_or_else(|| {
            self.fail(rule);
            QoS::AtMostOnce
        })
    }

    /// Binary data behind its two byte length. (5.0: 1.5.6)
    pub(crate) fn binary(&mut self) -> &'a [u8] {
        let len = self.two();
        self.bytes(len.into())
    }

    /// A UTF-8 string behind its two byte length. [MQTT-1.5.3-1] and [MQTT-1.5.3-2] in 3.1.1, [MQTT-1.5.4-1] and
    /// [MQTT-1.5.4-2] in 5.0; U+FEFF is a character like any other ([MQTT-1.5.3-3], [MQTT-1.5.4-3])
    #[inline(never)]
    pub(crate) fn text(&mut self) -> &'a str {
        let text = self.characters();
        self.check(text_is_clean(text));
        text
    }

    /// A UTF-8 string, of which it is still to be checked what it may not contain.
    pub(crate) fn characters(&mut self) -> &'a str {
        str::from_utf8(self.binary()).unwrap_or_else(|_| {
            self.fail(Violation::StringNotUtf8);
            ""
        })
    }
}

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("left", &self.rest.len()).finish_non_exhaustive()
    }
}

/// Refuses U+0000, the one character that UTF-8 text may not contain. [MQTT-1.5.3-2] in 3.1.1, [MQTT-1.5.4-2] in 5.0
pub(crate) fn text_is_clean(text: &str) -> Result<(), Violation> {
    if bytes::contain(text.as_bytes(), 0) { Err(Violation::StringContainsNull) } else { Ok(()) }
}

/// A variable byte integer as it was received.
#[derive(Clone, Copy)]
pub(crate) struct VariableByteInteger {
    pub(crate) value: u32,
    len: NonZeroU8,
}

impl VariableByteInteger {
    /// The largest value that four bytes hold: 268,435,455.
    pub(crate) const MAX: u32 = (1 << 28) - 1;

    /// The one at the front of `bytes`. (2.2.3 in 3.1.1, 1.5.5 in 5.0)
    ///
    /// # Errors
    ///
    /// [`Violation::FieldTruncated`] while bytes of it are missing, [`Violation::IntegerTooLong`].
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Violation> {
        let (mut value, mut len, mut shift) = (0, NonZeroU8::MIN, 0);
        for &byte in bytes {
            value |= u32::from(byte & 0x7F).wrapping_shl(shift);
            if byte < 0x80 {
                return Ok(Self { value, len });
            }
            if shift == 21 {
                return Err(Violation::IntegerTooLong);
            }
            (len, shift) = (len.saturating_add(1), shift.wrapping_add(7));
        }
        Err(Violation::FieldTruncated)
    }

    /// How many bytes it took: 1 to 4.
    pub(crate) const fn len(self) -> u8 {
        self.len.get()
    }

    pub(crate) const fn is_padded(self) -> bool {
        self.len() > Self::shortest(self.value)
    }

    /// The number of bytes of the shortest form of `value`.
    pub(crate) const fn shortest(value: u32) -> u8 {
        match value {
            0..0x80 => 1,
            0x80..0x4000 => 2,
            0x4000..0x20_0000 => 3,
            _ => 4,
        }
    }
}
