//! PUBACK, PUBREC, PUBREL and PUBCOMP, which differ in their first byte and their codes. (3.4 to 3.7)

use super::kind::PacketType;
use super::property::{Holder, Properties};
use super::reader::{PacketId, Reader};
use super::reason::{Carrier, ReasonCode};
use super::version::Version;
use super::violation::Violation;
use super::writer::{Layout, Unencodable, Writer};

/// PUBACK, PUBREC, PUBREL or PUBCOMP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Acknowledgement<'a> {
    /// Which of the four it is.
    pub kind: AckType,
    /// The identifier of the PUBLISH. [MQTT-2.3.1-6] in 3.1.1, [MQTT-2.2.1-5] in 5.0
    pub packet_id: PacketId,
    /// The outcome; always success in 3.1.1. PUBREC may have any code of 0x80 and above, also one that the standard gives to
    /// other packets: it is a refusal all the same. One that nobody has is read as
    /// [`UnspecifiedError`](ReasonCode::UnspecifiedError).
    pub reason_code: ReasonCode,
    /// The properties; none in 3.1.1.
    pub properties: Properties<'a>,
}

/// The steps that follow a PUBLISH.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum AckType {
    /// QoS 1: the receiver owns the message.
    Puback,
    /// QoS 2: the receiver owns the message.
    Pubrec,
    /// QoS 2: the sender has dropped the message.
    Pubrel,
    /// QoS 2: the receiver has forgotten the identifier.
    Pubcomp,
}

impl AckType {
    /// That of a packet of this type; `None` if it is no acknowledgement.
    pub(crate) const fn of(packet_type: PacketType) -> Option<Self> {
        match packet_type {
            PacketType::Puback => Some(Self::Puback),
            PacketType::Pubrec => Some(Self::Pubrec),
            PacketType::Pubrel => Some(Self::Pubrel),
            PacketType::Pubcomp => Some(Self::Pubcomp),
            _ => None,
        }
    }

    pub(crate) const fn packet_type(self) -> PacketType {
        match self {
            Self::Puback => PacketType::Puback,
            Self::Pubrec => PacketType::Pubrec,
            Self::Pubrel => PacketType::Pubrel,
            Self::Pubcomp => PacketType::Pubcomp,
        }
    }

    const fn holder(self) -> Holder {
        match self {
            Self::Puback => Holder::Puback,
            Self::Pubrec => Holder::Pubrec,
            Self::Pubrel => Holder::Pubrel,
            Self::Pubcomp => Holder::Pubcomp,
        }
    }

    /// Where the codes are legal. (5.0: 3.4.2.1, 3.5.2.1, 3.6.2.1, 3.7.2.1)
    const fn table(self) -> Carrier {
        match self {
            Self::Puback | Self::Pubrec => Carrier::Publish,
            Self::Pubrel | Self::Pubcomp => Carrier::Release,
        }
    }

    /// Where the codes are that are read and written, and what is broken by the others.
    const fn codes(self) -> (Carrier, Violation) {
        match self {
            Self::Puback => (Carrier::Publish, Violation::PubackCodeReserved),
            Self::Pubrec => (Carrier::Pubrec, Violation::PubrecCodeReserved),
            Self::Pubrel => (Carrier::Release, Violation::PubrelCodeReserved),
            Self::Pubcomp => (Carrier::Release, Violation::PubcompCodeReserved),
        }
    }
}

impl<'a> Acknowledgement<'a> {
    /// The acknowledgement without anything but its identifier: two bytes behind the header.
    #[must_use]
    pub const fn new(kind: AckType, packet_id: PacketId) -> Self {
        Self { kind, packet_id, reason_code: ReasonCode::Success, properties: Properties::EMPTY }
    }

    /// Whether the body of a PUBREC that refuses has a code that the standard does not give it.
    pub(crate) fn is_code_foreign(body: &[u8]) -> bool {
        let code = body.get(2).and_then(|&code| ReasonCode::of_byte(code));
        code.is_none_or(|code| !code.is_allowed_in(AckType::Pubrec.table()))
    }

    /// Whether an acknowledgement of this kind can say `code`.
    pub(crate) fn check_code(kind: AckType, version: Version, code: ReasonCode) -> Result<(), Unencodable> {
        let (_, rule) = kind.codes();
        match code {
            ReasonCode::Success => Ok(()),
            _ if !version.is_v5() => Err(Unencodable::NotInVersion),
            _ if code.is_allowed_in(kind.table()) => Ok(()),
            _ => Err(Unencodable::Forbidden(rule)),
        }
    }

    /// Says only what it must: an acknowledgement without properties, and without a reason code that is success, as in 3.1.1
    /// every code is. Most of what a session sends are these, so they do not go the way of other packets.
    pub(crate) const fn shortest(kind: AckType, packet_id: PacketId, code: ReasonCode) -> Shortest {
        let [high, low] = packet_id.get().to_be_bytes();
        let first = kind.packet_type().first_byte();
        match code {
            ReasonCode::Success => Shortest { bytes: [first, 2, high, low, 0], len: 4 },
            code => Shortest { bytes: [first, 3, high, low, code as u8], len: 5 },
        }
    }

    /// In 5.0 the properties may be left out, and before them the reason code. (3.4.2.1, 3.4.2.2.1)
    pub(crate) fn read(kind: AckType, reader: &mut Reader<'a>) -> Self {
        let packet_id = reader.packet_id();
        let is_short = reader.is_empty() || !reader.version.is_v5();
        let reason_code = if is_short { ReasonCode::Success } else { reader.reason_code(kind.codes()) };
        let properties = if reader.is_empty() { Properties::EMPTY } else { reader.rare_properties(kind.holder()) };
        Self { kind, packet_id, reason_code, properties }
    }
}

/// An encoded acknowledgement without properties.
pub(crate) struct Shortest {
    bytes: [u8; Self::LONGEST],
    len: usize,
}

impl Shortest {
    /// With a reason code.
    pub(crate) const LONGEST: usize = 5;

    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl Layout for Acknowledgement<'_> {
    fn first_byte(&self) -> u8 {
        self.kind.packet_type().first_byte()
    }

    fn body(&self, to: &mut Writer<'_>) {
        to.packet_id(self.packet_id);
        to.outcome(self.reason_code, self.kind.codes(), self.kind.holder(), &self.properties);
    }
}

impl Reader<'_> {
    /// A reason code that `carrier` may carry; any other breaks `rule`.
    pub(crate) fn reason_code(&mut self, (carrier, rule): (Carrier, Violation)) -> ReasonCode {
        let byte = self.byte();
        match ReasonCode::of_byte(byte) {
            Some(code) if code.is_allowed_in(carrier) => code,
            // Whatever it means, it is a refusal.
            None if carrier == Carrier::Pubrec && byte >= ReasonCode::UnspecifiedError as u8 => {
                ReasonCode::UnspecifiedError
            }
            _ => {
                self.fail(rule);
                ReasonCode::Success
            }
        }
    }
}

impl Writer<'_> {
    pub(crate) fn reason_code(&mut self, code: ReasonCode, (carrier, rule): (Carrier, Violation)) {
        self.check(|| if code.is_allowed_in(carrier) { Ok(()) } else { Err(rule) });
        self.byte(code as u8);
    }

    /// A reason code and properties in the shortest form, as acknowledgements and DISCONNECT have them at their end.
    /// In 3.1.1 there is no way to say anything but success.
    pub(crate) fn outcome(
        &mut self,
        code: ReasonCode,
        codes: (Carrier, Violation),
        holder: Holder,
        properties: &Properties<'_>,
    ) {
        let says_more = code != ReasonCode::Success || !properties.is_empty();
        if self.is_v5_or_without(says_more) && says_more {
            self.reason_code(code, codes);
            if !properties.is_empty() {
                self.properties(holder, properties);
            }
        }
    }
}

#[cfg(test)]
#[path = "acknowledgement_tests.rs"]
mod tests;
