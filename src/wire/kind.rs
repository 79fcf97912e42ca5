//! The first byte of a packet: its type and flags.

use super::qos::QoS;
use super::reader::VariableByteInteger;
use super::version::{Role, Version};
use super::violation::Violation;

/// The type of a control packet: the upper half of its first byte. (2.2.1 in 3.1.1, 2.1.2 in 5.0)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are those of the standard")]
pub enum PacketType {
    Connect = 1,
    Connack = 2,
    Publish = 3,
    Puback = 4,
    Pubrec = 5,
    Pubrel = 6,
    Pubcomp = 7,
    Subscribe = 8,
    Suback = 9,
    Unsubscribe = 10,
    Unsuback = 11,
    Pingreq = 12,
    Pingresp = 13,
    Disconnect = 14,
    /// 5.0 only.
    Auth = 15,
}

impl PacketType {
    /// The type of the packet that starts with `first`, checked as far as that byte tells: type, direction, flags.
    ///
    /// # Errors
    ///
    /// The [`Violation`] of the rule that the byte breaks. [MQTT-2.2.2-2] in 3.1.1, [MQTT-2.1.3-1] in 5.0
    pub const fn of_first_byte(version: Version, to: Role, first: u8) -> Result<Self, Violation> {
        let Some(kind) = Self::of_bits(first >> 4, version) else {
            return Err(Violation::PacketTypeReserved);
        };
        if !kind.is_received_by(version, to) {
            return Err(Violation::PacketNotForThisEnd);
        }
        if let Self::Publish = kind {
            return match PublishFlags::of_first_byte(first) {
                Ok(_) => Ok(kind),
                Err(violation) => Err(violation),
            };
        }
        if first & 0x0F == kind.flags() { Ok(kind) } else { Err(Violation::PacketFlagsReserved) }
    }

    /// The first byte of a packet of this type; of a PUBLISH: of one with QoS 0.
    #[must_use]
    pub const fn first_byte(self) -> u8 {
        (self as u8) << 4 | self.flags()
    }

    /// A packet of this type that is nothing but its header: PINGREQ (3.12), PINGRESP (3.13).
    pub(crate) const fn alone(self) -> [u8; 2] {
        [self.first_byte(), 0]
    }

    /// The flags that the standard reserves for this type.
    const fn flags(self) -> u8 {
        if FLAGGED & self.bit() != 0 { 0b0010 } else { 0 }
    }

    const fn of_bits(bits: u8, version: Version) -> Option<Self> {
        Some(match bits {
            1 => Self::Connect,
            2 => Self::Connack,
            3 => Self::Publish,
            4 => Self::Puback,
            5 => Self::Pubrec,
            6 => Self::Pubrel,
            7 => Self::Pubcomp,
            8 => Self::Subscribe,
            9 => Self::Suback,
            10 => Self::Unsubscribe,
            11 => Self::Unsuback,
            12 => Self::Pingreq,
            13 => Self::Pingresp,
            14 => Self::Disconnect,
            15 if version.is_v5() => Self::Auth,
            _ => return None,
        })
    }

    /// The Remaining Length at the front of `bytes`, of a packet of this type; `None` while bytes of it are missing.
    #[inline]
    pub(super) fn remaining_length(
        self,
        version: Version,
        bytes: &[u8],
    ) -> Result<Option<VariableByteInteger>, Violation> {
        let remaining = match VariableByteInteger::read(bytes) {
            Err(Violation::FieldTruncated) => return Ok(None),
            read => read?,
        };
        // 3.1.1 does not demand the shortest form.
        if version.is_v5() && remaining.is_padded() {
            return Err(Violation::IntegerPadded);
        }
        match self.only_length(version) {
            Some(expected) if remaining.value < expected => Err(Violation::FieldTruncated),
            Some(expected) if remaining.value > expected => Err(Violation::TrailingBytes),
            _ => Ok(Some(remaining)),
        }
    }

    /// The only Remaining Length that a packet of this type may have, if there is but one. (3.1.1: 3.4 to 3.7, 3.11 to
    /// 3.14; 5.0: 3.12, 3.13)
    const fn only_length(self, version: Version) -> Option<u32> {
        match self {
            Self::Pingreq | Self::Pingresp => Some(0),
            _ if version.is_v5() => None,
            Self::Disconnect => Some(0),
            Self::Connack | Self::Puback | Self::Pubrec | Self::Pubrel | Self::Pubcomp | Self::Unsuback => Some(2),
            _ => None,
        }
    }

    /// The column "direction of flow" of the standard's table of packet types.
    const fn is_received_by(self, version: Version, to: Role) -> bool {
        let received = match to {
            Role::Client if version.is_v5() => BY_BOTH | BY_CLIENT | Self::Disconnect.bit(),
            Role::Client => BY_BOTH | BY_CLIENT,
            Role::Server => BY_BOTH | BY_SERVER,
        };
        received & self.bit() != 0
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// The types that have a flag.
const FLAGGED: u16 = PacketType::Pubrel.bit() | PacketType::Subscribe.bit() | PacketType::Unsubscribe.bit();
/// The types that are received by one end, and by both.
const BY_CLIENT: u16 =
    PacketType::Connack.bit() | PacketType::Suback.bit() | PacketType::Unsuback.bit() | PacketType::Pingresp.bit();
const BY_SERVER: u16 = PacketType::Connect.bit()
    | PacketType::Subscribe.bit()
    | PacketType::Unsubscribe.bit()
    | PacketType::Pingreq.bit()
    | PacketType::Disconnect.bit();
const BY_BOTH: u16 = PacketType::Publish.bit()
    | PacketType::Puback.bit()
    | PacketType::Pubrec.bit()
    | PacketType::Pubrel.bit()
    | PacketType::Pubcomp.bit()
    | PacketType::Auth.bit();

/// The flags of a PUBLISH. (3.3.1)
#[derive(Clone, Copy)]
pub(crate) struct PublishFlags {
    pub(crate) dup: bool,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
}

impl PublishFlags {
    pub(crate) const DUP: u8 = 0b1000;
    pub(crate) const QOS: u8 = 0b0110;
    const RETAIN: u8 = 0b0001;

    pub(crate) const fn of_first_byte(first: u8) -> Result<Self, Violation> {
        let Some(qos) = QoS::of_bits((first & Self::QOS) >> 1) else {
            return Err(Violation::PublishQosReserved);
        };
        let dup = first & Self::DUP != 0;
        if dup && matches!(qos, QoS::AtMostOnce) {
            return Err(Violation::DupWithoutQos);
        }
        Ok(Self { dup, qos, retain: first & Self::RETAIN != 0 })
    }

    pub(crate) const fn first_byte(self) -> u8 {
        let dup = if self.dup { Self::DUP } else { 0 };
        let retain = if self.retain { Self::RETAIN } else { 0 };
        PacketType::Publish.first_byte() | dup | (self.qos as u8) << 1 | retain
    }
}
