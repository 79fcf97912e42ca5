//! Fields taken off the front of received bytes.

use core::num::NonZeroU16;
use core::{fmt, str};

use crate::bytes;

use super::version::{Role, Version};
use super::violation::Violation;

/// The identifier of a PUBLISH with QoS above 0, a SUBSCRIBE or an UNSUBSCRIBE, and of what answers them; never 0.
/// [MQTT-2.3.1-1] in 3.1.1, [MQTT-2.2.1-3] in 5.0
pub type PacketId = NonZeroU16;

/// The bytes of a packet that are still to be read. What does not fit into them is [`Violation::FieldTruncated`].
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    pub(crate) version: Version,
    /// The end that received the bytes.
    pub(crate) to: Role,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(version: Version, to: Role, bytes: &'a [u8]) -> Self {
        Self { version, to, rest: bytes }
    }

    /// Takes the next `len` bytes as a packet of their own.
    pub(crate) fn block(&mut self, len: usize) -> Result<Self, Violation> {
        Ok(Self { rest: self.bytes(len)?, ..*self })
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// All that is left.
    pub(crate) const fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// Says that the packet ends here.
    pub(crate) const fn end(self) -> Result<(), Violation> {
        if self.is_empty() { Ok(()) } else { Err(Violation::TrailingBytes) }
    }

    pub(crate) const fn bytes(&mut self, len: usize) -> Result<&'a [u8], Violation> {
        match self.rest.split_at_checked(len) {
            Some((head, rest)) => {
                self.rest = rest;
                Ok(head)
            }
            None => Err(Violation::FieldTruncated),
        }
    }

    const fn array<const N: usize>(&mut self) -> Result<[u8; N], Violation> {
        match self.rest.split_first_chunk() {
            Some((head, rest)) => {
                self.rest = rest;
                Ok(*head)
            }
            None => Err(Violation::FieldTruncated),
        }
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Violation> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    /// A two byte integer. (1.5.2)
    pub(crate) fn two(&mut self) -> Result<u16, Violation> {
        self.array().map(u16::from_be_bytes)
    }

    /// A four byte integer. (5.0: 1.5.3)
    pub(crate) fn four(&mut self) -> Result<u32, Violation> {
        self.array().map(u32::from_be_bytes)
    }

    /// A variable byte integer in its shortest form. [MQTT-1.5.5-1]
    pub(crate) fn variable(&mut self) -> Result<u32, Violation> {
        match variable_byte_integer(self.rest)? {
            Some(integer) if integer.is_padded() => Err(Violation::IntegerPadded),
            Some(integer) => {
                self.bytes(integer.len.into())?;
                Ok(integer.value)
            }
            None => Err(Violation::FieldTruncated),
        }
    }

    pub(crate) fn packet_id(&mut self) -> Result<PacketId, Violation> {
        PacketId::new(self.two()?).ok_or(Violation::PacketIdentifierZero)
    }

    /// A flag that takes a whole byte.
    pub(crate) fn flag(&mut self) -> Result<bool, Violation> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Violation::PropertyNotFlag),
        }
    }

    /// Binary data behind its two byte length. (5.0: 1.5.6)
    pub(crate) fn binary(&mut self) -> Result<&'a [u8], Violation> {
        let len = self.two()?;
        self.bytes(len.into())
    }

    /// A UTF-8 string behind its two byte length. [MQTT-1.5.3-1] and [MQTT-1.5.3-2] in 3.1.1, [MQTT-1.5.4-1] and
    /// [MQTT-1.5.4-2] in 5.0; U+FEFF is a character like any other ([MQTT-1.5.3-3], [MQTT-1.5.4-3])
    pub(crate) fn text(&mut self) -> Result<&'a str, Violation> {
        let text = self.characters()?;
        text_is_clean(text).map(|()| text)
    }

    /// A UTF-8 string, of which it is still to be checked what it may not contain.
    pub(crate) fn characters(&mut self) -> Result<&'a str, Violation> {
        str::from_utf8(self.binary()?).map_err(|_| Violation::StringNotUtf8)
    }

    /// A name and its value. [MQTT-1.5.7-1]
    pub(crate) fn pair(&mut self) -> Result<(&'a str, &'a str), Violation> {
        Ok((self.text()?, self.text()?))
    }
}

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("left", &self.rest.len()).finish_non_exhaustive()
    }
}

/// Refuses U+0000, the one character that UTF-8 text may not contain. [MQTT-1.5.3-2] in 3.1.1, [MQTT-1.5.4-2] in 5.0
pub(crate) fn text_is_clean(text: &str) -> Result<(), Violation> {
    if bytes::any(text.as_bytes(), |byte| byte == 0) { Err(Violation::StringContainsNull) } else { Ok(()) }
}

/// A variable byte integer as it was received.
#[derive(Clone, Copy)]
pub(crate) struct VariableByteInteger {
    pub(crate) value: u32,
    /// How many bytes it took: 1 to 4.
    pub(crate) len: u8,
}

impl VariableByteInteger {
    /// The largest value that four bytes hold: 268,435,455.
    pub(crate) const MAX: u32 = (1 << 28) - 1;

    pub(crate) const fn is_padded(self) -> bool {
        self.len > Self::shortest(self.value)
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

/// The variable byte integer at the front of `bytes`; `None` while bytes of it are missing. (2.2.3 in 3.1.1, 1.5.5 in
/// 5.0)
pub(crate) fn variable_byte_integer(bytes: &[u8]) -> Result<Option<VariableByteInteger>, Violation> {
    let mut value = 0;
    for (len, (&byte, shift)) in (1..).zip(bytes.iter().zip([0, 7, 14, 21])) {
        value |= u32::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Ok(Some(VariableByteInteger { value, len }));
        }
    }
    if bytes.len() < 4 { Ok(None) } else { Err(Violation::IntegerTooLong) }
}
