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

/// The length of the packet at the front of `bytes`, whose header is known to be sound.
pub(crate) fn packet_len(bytes: &[u8]) -> Option<usize> {
    let remaining = VariableByteInteger::read(bytes.get(1..)?).ok()?;
    usize::try_from(remaining.value).ok()?.checked_add(usize::from(remaining.len()))?.checked_add(1)
}
