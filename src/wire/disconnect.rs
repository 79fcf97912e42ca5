//! DISCONNECT (3.14) and AUTH (5.0: 3.15).

use super::kind::PacketType;
use super::property::{Holder, Properties};
use super::reader::Reader;
use super::reason::{Carrier, ReasonCode};
use super::version::Role;
use super::violation::Violation;
use super::writer::{Layout, Writer};

/// DISCONNECT: the last packet of a connection. In 3.1.1 only the client sends it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DisconnectPacket<'a> {
    /// Why the connection ends; always success in 3.1.1.
    pub reason_code: ReasonCode,
    /// The properties; none in 3.1.1.
    pub properties: Properties<'a>,
}

impl<'a> DisconnectPacket<'a> {
    /// In 5.0 the properties may be left out, and before them the reason code. (3.14.2.1, 3.14.2.2.1)
    pub(crate) fn read(reader: &mut Reader<'a>) -> Self {
        let mut packet = Self::default();
        if reader.version.is_v5() && !reader.is_empty() {
            packet.reason_code = reader.reason_code(disconnect_codes(reader.to));
            if !reader.is_empty() {
                packet.properties = reader.properties(Holder::Disconnect);
            }
        }
        packet
    }
}

impl Layout for DisconnectPacket<'_> {
    fn first_byte(&self) -> u8 {
        PacketType::Disconnect.first_byte()
    }

    fn body(&self, to: &mut Writer<'_>) {
        to.outcome(self.reason_code, disconnect_codes(to.to), Holder::Disconnect, &self.properties);
    }
}

const fn disconnect_codes(to: Role) -> (Carrier, Violation) {
    (Carrier::disconnect(to), Violation::DisconnectCodeReserved)
}

/// AUTH: a step of the enhanced authentication, 5.0 only. (5.0: 3.15)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Auth<'a> {
    /// Whether the exchange goes on, starts anew, or has succeeded.
    pub reason_code: ReasonCode,
    /// The properties; the authentication method is always among them. [MQTT-4.12.0-5]
    pub properties: Properties<'a>,
}

impl<'a> Auth<'a> {
    pub(crate) fn read(reader: &mut Reader<'a>) -> Self {
        // An empty AUTH would mean success without an authentication method, which 3.15.2.2.2 forbids.
        if reader.is_empty() {
            reader.fail(Violation::AuthenticationMethodMissing);
        }
        let reason_code = reader.reason_code(auth_codes(reader.to));
        let properties = reader.properties(Holder::Auth);
        Self { reason_code, properties }
    }
}

impl Layout for Auth<'_> {
    fn first_byte(&self) -> u8 {
        PacketType::Auth.first_byte()
    }

    fn body(&self, to: &mut Writer<'_>) {
        to.reason_code(self.reason_code, auth_codes(to.to));
        to.properties(Holder::Auth, &self.properties);
    }
}

const fn auth_codes(to: Role) -> (Carrier, Violation) {
    (Carrier::auth(to), Violation::AuthCodeReserved)
}
