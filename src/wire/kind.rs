//! The first byte of a packet: its type and flags.

use super::qos::QoS;
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
        match kind {
            Self::Publish => match PublishFlags::of_first_byte(first) {
                Ok(_) => Ok(kind),
                Err(violation) => Err(violation),
            },
            _ if first & 0x0F == kind.flags() => Ok(kind),
            _ => Err(Violation::PacketFlagsReserved),
        }
    }

    /// The first byte of a packet of this type; of a PUBLISH: of one with QoS 0.
    #[must_use]
    pub const fn first_byte(self) -> u8 {
        (self as u8) << 4 | self.flags()
    }

    /// The flags that the standard reserves for this type.
    const fn flags(self) -> u8 {
        match self {
            Self::Pubrel | Self::Subscribe | Self::Unsubscribe => 0b0010,
            _ => 0,
        }
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

    /// The only Remaining Length that a packet of this type may have, if there is but one. (3.1.1: 3.4 to 3.7, 3.11 to
    /// 3.14; 5.0: 3.12, 3.13)
    pub(crate) const fn remaining_length(self, version: Version) -> Option<u32> {
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
        match (self, to) {
            (Self::Publish | Self::Puback | Self::Pubrec | Self::Pubrel | Self::Pubcomp | Self::Auth, _)
            | (Self::Connack | Self::Suback | Self::Unsuback | Self::Pingresp, Role::Client)
            | (Self::Connect | Self::Subscribe | Self::Unsubscribe | Self::Pingreq | Self::Disconnect, Role::Server) => {
                true
            }
            (Self::Disconnect, Role::Client) => version.is_v5(),
            _ => false,
        }
    }
}

/// The flags of a PUBLISH. (3.3.1)
#[derive(Clone, Copy)]
pub(crate) struct PublishFlags {
    pub(crate) dup: bool,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
}

impl PublishFlags {
    pub(crate) const DUP: u8 = 0b1000;
    const RETAIN: u8 = 0b0001;

    pub(crate) const fn of_first_byte(first: u8) -> Result<Self, Violation> {
        let Some(qos) = QoS::of_bits(first >> 1 & 0b11) else {
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
