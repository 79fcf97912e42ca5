//! The fixed header. (2.2 in 3.1.1, 2.1 in 5.0)

use super::kind::PacketType;
use super::reader::VariableByteInteger;
use super::version::{Role, Version};
use super::violation::Violation;

/// The fixed header of a packet: all that its first two to five bytes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Header {
    /// The type of the packet.
    pub packet_type: PacketType,
    pub(crate) first_byte: u8,
    /// The length of the header itself: 2 to 5 bytes.
    pub(crate) len: u8,
    pub(crate) remaining_length: u32,
}

impl Header {
    /// The header at the front of `bytes`, or `None` while bytes of it are missing. What is wrong is refused with the
    /// first byte that shows it.
    ///
    /// # Errors
    ///
    /// The rule that the header breaks: type, direction, flags, and a length that no packet of the type has.
    ///
    /// ```
    /// use mqtt_session::{Role, Version, Violation, wire::Header};
    /// # #[cfg(feature = "v5")] {
    /// let header = Header::decode(Version::V5, Role::Client, &[0x30, 0x80, 0x01]).unwrap().unwrap();
    /// assert_eq!(header.packet_len(), 131);
    /// assert_eq!(Header::decode(Version::V5, Role::Client, &[0x36]), Err(Violation::PublishQosReserved));
    /// # }
    /// ```
    pub fn decode(version: Version, to: Role, bytes: &[u8]) -> Result<Option<Self>, Violation> {
        let Some((&first_byte, length)) = bytes.split_first() else {
            return Ok(None);
        };
        let packet_type = PacketType::of_first_byte(version, to, first_byte)?;
        let Some(remaining) = packet_type.remaining_length(version, length)? else { return Ok(None) };
        let len = remaining.len().wrapping_add(1);
        Ok(Some(Self { packet_type, first_byte, len, remaining_length: remaining.value }))
    }

    /// The length of the whole packet, this header included: 2 to 268,435,460 bytes. It is what a Maximum Packet Size
    /// limits. (5.0: 3.1.2.11.4)
    #[must_use]
    pub const fn packet_len(&self) -> u32 {
        self.remaining_length.wrapping_add(self.len as u32)
    }
}

/// The length of a fixed header whose Remaining Length takes as many bytes as there may be. So is that of a stored PUBLISH which stands
/// for one whose payload is elsewhere; a header that is sent is never padded. [MQTT-1.5.5-1]
#[cfg(feature = "streaming")]
pub(crate) const PADDED_HEADER: usize = 5;

/// Whether the header of a stored packet is padded. Its last byte says so: the highest digit of a number of four bytes is not 0.
#[cfg(feature = "streaming")]
pub(crate) fn is_padded(packet: &[u8]) -> bool {
    matches!(packet, [_, 0x80..=0xFF, 0x80..=0xFF, 0x80..=0xFF, 0, ..])
}

/// A header of as many bytes as there may be. [`is_padded`] holds as long as `remaining` is below 2,097,152.
#[cfg(feature = "streaming")]
pub(crate) fn padded_header(first_byte: u8, remaining: u32) -> [u8; PADDED_HEADER] {
    let digit = |shift: u32| {
        let [low, ..] = (remaining >> shift).to_le_bytes();
        low & 0x7F
    };
    [first_byte, digit(0) | 0x80, digit(7) | 0x80, digit(14) | 0x80, digit(21)]
}

/// A fixed header, and its length. [MQTT-1.5.5-1]
#[cfg(feature = "streaming")]
pub(crate) fn fixed_header(first_byte: u8, remaining: u32) -> ([u8; PADDED_HEADER], usize) {
    let [first_byte, mut digits @ ..] = padded_header(first_byte, remaining);
    let len = usize::from(VariableByteInteger::shortest(remaining));
    if let Some(last) = digits.get_mut(len.wrapping_sub(1)) {
        *last &= 0x7F;
    }
    let [a, b, c, d] = digits;
    ([first_byte, a, b, c, d], len.wrapping_add(1))
}

/// The length of the packet at the front of `bytes`, whose header is known to be sound.
pub(crate) fn packet_len(bytes: &[u8]) -> Option<usize> {
    let remaining = VariableByteInteger::read(bytes.get(1..)?).ok()?;
    usize::try_from(remaining.value).ok()?.checked_add(usize::from(remaining.len()))?.checked_add(1)
}
