//! CONNACK. (3.2)

use super::kind::PacketType;
use super::property::{Announcing, Holder, Properties};
use super::reader::Reader;
use super::reason::{Carrier, ReasonCode};
use super::violation::Violation;
use super::writer::{Fault, Layout, Writer};

/// CONNACK: the server's answer to CONNECT. [MQTT-3.2.0-1]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Connack<'a> {
    /// Whether the server resumes a session; never in a refusal. [MQTT-3.2.2-4] in 3.1.1, [MQTT-3.2.2-6] in 5.0
    pub session_present: bool,
    /// Success, or why the server refuses.
    pub reason_code: ReasonCode,
    /// The properties; none in 3.1.1.
    pub properties: Properties<'a>,
}

const CODES: (Carrier, Violation) = (Carrier::Connack, Violation::ConnackCodeReserved);

/// What follows the header of `20 02 00 01`, by which a server that speaks only 3.1.1 refuses another version.
const REFUSAL_OF_OLDER_SERVER: [u8; 2] = [0, 1];

impl<'a> Connack<'a> {
    pub(crate) fn read(reader: &mut Reader<'a>) -> Self {
        if reader.version.is_v5() && reader.rest() == REFUSAL_OF_OLDER_SERVER {
            reader.fail(Violation::RefusedByOlderServer);
        }
        let session_present = reader.flag(Violation::ConnackFlagsReserved);
        let reason_code = if reader.version.is_v5() { reader.reason_code(CODES) } else { reader.return_code() };
        let packet = Self { session_present, reason_code, properties: reader.properties(Holder::Connack) };
        reader.check(packet.check_session_present());
        packet
    }

    fn check_session_present(&self) -> Result<(), Violation> {
        if self.session_present && self.reason_code != ReasonCode::Success {
            Err(Violation::SessionPresentInRefusal)
        } else {
            Ok(())
        }
    }

    fn write(&self, announced: &Properties<'_>, to: &mut Writer<'_>) {
        to.check(|| self.check_session_present());
        to.flag(self.session_present);
        if to.version.is_v5() {
            to.reason_code(self.reason_code, CODES);
        } else {
            match self.reason_code.return_code() {
                Some(code) => to.byte(code),
                None => to.fail(Fault::NotInVersion),
            }
        }
        to.properties_and(Holder::Connack, &self.properties, announced);
    }
}

impl Reader<'_> {
    fn return_code(&mut self) -> ReasonCode {
        ReasonCode::of_return_code(self.byte()).unwrap_or_else(|| {
            self.fail(Violation::ConnackCodeReserved);
            ReasonCode::Success
        })
    }
}

impl Layout for Connack<'_> {
    fn first_byte(&self) -> u8 {
        PacketType::Connack.first_byte()
    }

    fn body(&self, to: &mut Writer<'_>) {
        self.write(&Properties::EMPTY, to);
    }
}

impl Layout for Announcing<'_, Connack<'_>> {
    fn first_byte(&self) -> u8 {
        PacketType::Connack.first_byte()
    }

    fn body(&self, to: &mut Writer<'_>) {
        self.packet.write(&self.announced, to);
    }
}
