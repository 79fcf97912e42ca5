//! CONNECT. (3.1)

use core::fmt;

use super::header::Header;
use super::kind::PacketType;
use super::property::{Announcing, Holder, Properties, Secret, Unshown};
use super::qos::QoS;
use super::reader::Reader;
use super::topic::check_topic_name;
use super::version::{Role, Version};
use super::violation::Violation;
use super::writer::{Layout, Writer};

/// CONNECT: the first packet of a connection. [MQTT-3.1.0-1]
///
/// The flags of the packet follow from the fields that are there, so they cannot disagree. `Debug` does not show
/// the password.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct ConnectPacket<'a> {
    /// Whether the server is to forget an earlier session: Clean Start, in 3.1.1 Clean Session, which also ends the new
    /// session with the connection. [MQTT-3.1.2-6] in 3.1.1, [MQTT-3.1.2-4] in 5.0
    pub clean_start: bool,
    /// The longest pause between two packets of the client in seconds; 0: no limit. (3.1.2.10)
    pub keep_alive: u16,
    /// The client identifier. If empty, the server chooses one; in 3.1.1 only with `clean_start`. [MQTT-3.1.3-7]
    pub client_id: &'a str,
    /// The message to be published when the connection ends badly. (3.1.2.5)
    pub will: Option<Will<'a>>,
    /// The user name. [MQTT-3.1.2-19] in 3.1.1, [MQTT-3.1.2-17] in 5.0
    pub user_name: Option<&'a str>,
    /// The password, binary; in 3.1.1 only with a user name. [MQTT-3.1.2-22]
    pub password: Option<&'a [u8]>,
    /// The properties; none in 3.1.1.
    pub properties: Properties<'a>,
}

/// The will of a client: what the server publishes when the connection ends without a clean DISCONNECT.
/// [MQTT-3.1.2-8]
///
/// `Debug` shows of the payload only the length.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Will<'a> {
    /// The topic name. [MQTT-3.1.3-10] in 3.1.1, [MQTT-3.1.3-11] in 5.0
    pub topic: &'a str,
    /// The application message, at most 65,535 bytes; may be empty.
    pub payload: &'a [u8],
    /// The QoS at which it is published. [MQTT-3.1.2-14] in 3.1.1, [MQTT-3.1.2-12] in 5.0
    pub qos: QoS,
    /// Whether it is published as a retained message. [MQTT-3.1.2-17] in 3.1.1, [MQTT-3.1.2-15] in 5.0
    pub retain: bool,
    /// The properties of the message and its delay; none in 3.1.1.
    pub properties: Properties<'a>,
}

/// The connect flags. (3.1.2.3)
mod flags {
    pub(super) const RESERVED: u8 = 1;
    pub(super) const CLEAN_START: u8 = 1 << 1;
    pub(super) const WILL: u8 = 1 << 2;
    pub(super) const WILL_QOS: u8 = 0b11 << WILL_QOS_SHIFT;
    pub(super) const WILL_QOS_SHIFT: u32 = 3;
    pub(super) const WILL_RETAIN: u8 = 1 << 5;
    pub(super) const PASSWORD: u8 = 1 << 6;
    pub(super) const USER_NAME: u8 = 1 << 7;
}

const PROTOCOL_NAME: &[u8] = b"MQTT";

/// What bridges of mosquitto add to the protocol level, unless a server refuses it: then they come back without.
const BRIDGE: u8 = 0x80;

impl<'a> ConnectPacket<'a> {
    pub(crate) fn read(reader: &mut Reader<'a>) -> Self {
        if protocol_level(reader) != reader.version.level() {
            reader.fail(Violation::ProtocolLevelUnsupported);
        }
        let flags = reader.byte();
        reader.check(check_flags(reader.version, flags));
        let has = |flag| flags & flag != 0;
        let packet = Self {
            clean_start: has(flags::CLEAN_START),
            keep_alive: reader.two(),
            properties: reader.properties(Holder::Connect),
            client_id: reader.text(),
            will: has(flags::WILL).then(|| Will::read(flags, reader)),
            user_name: has(flags::USER_NAME).then(|| reader.text()),
            password: has(flags::PASSWORD).then(|| reader.binary()),
        };
        reader.check(packet.check_client_id(reader.version));
        packet
    }

    const fn flags(&self) -> u8 {
        let mut flags = 0;
        if self.clean_start {
            flags |= flags::CLEAN_START;
        }
        if let Some(will) = &self.will {
            flags |= flags::WILL | (will.qos as u8) << flags::WILL_QOS_SHIFT;
            if will.retain {
                flags |= flags::WILL_RETAIN;
            }
        }
        if self.user_name.is_some() {
            flags |= flags::USER_NAME;
        }
        if self.password.is_some() {
            flags |= flags::PASSWORD;
        }
        flags
    }

    /// In 3.1.1 a session that is to be kept needs a name of the client's choice. [MQTT-3.1.3-7], [MQTT-3.1.3-8]
    const fn check_client_id(&self, version: Version) -> Result<(), Violation> {
        if self.client_id.is_empty() && !self.clean_start && !version.is_v5() {
            Err(Violation::ClientIdentifierEmpty)
        } else {
            Ok(())
        }
    }

    fn write(&self, announced: &Properties<'_>, to: &mut Writer<'_>) {
        let version = to.version;
        to.check(|| check_flags(version, self.flags()).and_then(|()| self.check_client_id(version)));
        to.binary(PROTOCOL_NAME);
        to.byte(version.level());
        to.byte(self.flags());
        to.two(self.keep_alive);
        to.properties_and(Holder::Connect, &self.properties, announced);
        to.text(self.client_id);
        if let Some(will) = &self.will {
            will.write(to);
        }
        if let Some(user_name) = self.user_name {
            to.text(user_name);
        }
        if let Some(password) = self.password {
            to.binary(password);
        }
    }
}

impl Layout for ConnectPacket<'_> {
    fn first_byte(&self) -> u8 {
        PacketType::Connect.first_byte()
    }

    fn body(&self, to: &mut Writer<'_>) {
        self.write(&Properties::EMPTY, to);
    }
}

impl Layout for Announcing<'_, ConnectPacket<'_>> {
    fn first_byte(&self) -> u8 {
        PacketType::Connect.first_byte()
    }

    fn body(&self, to: &mut Writer<'_>) {
        self.packet.write(&self.announced, to);
    }
}

impl fmt::Debug for ConnectPacket<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectPacket")
            .field("clean_start", &self.clean_start)
            .field("keep_alive", &self.keep_alive)
            .field("client_id", &self.client_id)
            .field("will", &self.will)
            .field("user_name", &self.user_name)
            .field("password", &self.password.map(|_| Secret))
            .field("properties", &self.properties)
            .finish()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for ConnectPacket<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(
            f,
            "ConnectPacket {{ clean_start: {=bool}, keep_alive: {=u16}, client_id: {=str}, will: {}, user_name: {}, password: {}, \
            properties: {} }}",
            self.clean_start,
            self.keep_alive,
            self.client_id,
            self.will,
            self.user_name,
            self.password.map(|_| Secret),
            self.properties,
        );
    }
}

impl<'a> Will<'a> {
    /// A will of QoS 0, not retained, without properties.
    ///
    /// ```
    /// use mqtt_session::{Connect, QoS, Version, Will};
    ///
    /// let will = Will { qos: QoS::AtLeastOnce, ..Will::new("meter/7/state", b"gone") };
    /// # #[cfg(feature = "v311")]
    /// let connect = Connect { will: Some(will), ..Connect::new(Version::V311, "meter-7") };
    /// # assert!(!will.retain);
    /// ```
    #[must_use]
    pub const fn new(topic: &'a str, payload: &'a [u8]) -> Self {
        Self { topic, payload, qos: QoS::AtMostOnce, retain: false, properties: Properties::EMPTY }
    }

    fn read(flags: u8, from: &mut Reader<'a>) -> Self {
        let qos = QoS::of_bits((flags & flags::WILL_QOS) >> flags::WILL_QOS_SHIFT);
        let will = Self {
            qos: from.qos(qos, Violation::WillQosReserved),
            retain: flags & flags::WILL_RETAIN != 0,
            properties: from.properties(Holder::Will),
            topic: from.text(),
            payload: from.binary(),
        };
        from.check(check_topic_name(will.topic));
        will
    }

    fn write(&self, to: &mut Writer<'_>) {
        to.properties(Holder::Will, &self.properties);
        to.check(|| check_topic_name(self.topic));
        to.text(self.topic);
        to.binary(self.payload);
    }
}

impl fmt::Debug for Will<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Will")
            .field("topic", &self.topic)
            .field("payload", &Unshown(self.payload))
            .field("qos", &self.qos)
            .field("retain", &self.retain)
            .field("properties", &self.properties)
            .finish()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Will<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(
            f,
            "Will {{ topic: {=str}, payload: {}, qos: {}, retain: {=bool}, properties: {} }}",
            self.topic,
            Unshown(self.payload),
            self.qos,
            self.retain,
            self.properties,
        );
    }
}

/// The protocol level of a CONNECT, behind the protocol name. [MQTT-3.1.2-1]
fn protocol_level(reader: &mut Reader<'_>) -> u8 {
    if reader.binary() != PROTOCOL_NAME {
        reader.fail(Violation::ProtocolNameUnknown);
    }
    reader.byte()
}

/// The version that the CONNECT at the front of `bytes` speaks, or the nearest of this build, which refuses it when it
/// decodes it. `None` while bytes are missing.
///
/// # Errors
///
/// What its header breaks, and that it is no CONNECT.
pub(crate) fn connect_version(bytes: &[u8]) -> Result<Option<Version>, Violation> {
    Ok(connect_level(bytes)?.map(Version::nearest))
}

/// The protocol level whose CONNACK the client can read that sent the CONNECT at the front of `bytes`: 4 or 5, whether this build
/// speaks it or not. `None` while bytes are missing.
///
/// # Errors
///
/// What its header breaks, and that it is no CONNECT.
pub(crate) fn connect_level(bytes: &[u8]) -> Result<Option<u8>, Violation> {
    let Some(&first_byte) = bytes.first() else { return Ok(None) };
    if PacketType::of_first_byte(Version::LATEST, Role::Server, first_byte)? != PacketType::Connect {
        return Err(Violation::PacketNotForThisEnd);
    }
    // Which version it is stands behind the length, of which the older one is more lenient.
    let Some(header) = Header::decode(Version::OLDEST, Role::Server, bytes)? else { return Ok(None) };
    let mut reader = Reader::new(Version::LATEST, Role::Server, bytes);
    reader.bytes(header.len.into());
    let level = protocol_level(&mut reader) & !BRIDGE;
    let is_whole = usize::try_from(header.packet_len()).is_ok_and(|len| len <= bytes.len());
    Ok(match reader.so_far() {
        Ok(()) => Some(level.clamp(LEVELS.0, LEVELS.1)),
        Err(Violation::FieldTruncated) if !is_whole => None,
        // The name of 3.1 was another one.
        Err(_) => Some(LEVELS.0),
    })
}

/// The levels of 3.1.1 and of 5.0.
const LEVELS: (u8, u8) = (4, 5);

/// Refuses connect flags that contradict each other. (3.1.2.3)
const fn check_flags(version: Version, flags: u8) -> Result<(), Violation> {
    if flags & flags::RESERVED != 0 {
        return Err(Violation::ConnectFlagReserved);
    }
    if flags & flags::WILL == 0 && flags & flags::WILL_QOS != 0 {
        return Err(Violation::WillQosWithoutWill);
    }
    if flags & flags::WILL == 0 && flags & flags::WILL_RETAIN != 0 {
        return Err(Violation::WillRetainWithoutWill);
    }
    // 5.0 allows a password alone. (5.0: 3.1.2.9)
    if flags & flags::PASSWORD != 0 && flags & flags::USER_NAME == 0 && !version.is_v5() {
        return Err(Violation::PasswordWithoutUserName);
    }
    Ok(())
}

#[cfg(all(test, feature = "v311", feature = "v5"))]
mod tests {
    use super::*;

    /// No version is guessed as long as the byte that names it may still come.
    #[test]
    fn the_version_is_known_with_its_byte() {
        let (older, newer) = ([0, 3, 4, 0x80, 0x83, 0x84], [5, 6, 0x7F, 0x85, 0xFF]);
        let levels =
            older.map(|level| (level, Version::V311)).into_iter().chain(newer.map(|level| (level, Version::V5)));
        for (level, version) in levels {
            let mut connect = *b"\x10\x0d\0\x04MQTT\0\x02\0\x3c\0\x01a";
            connect[8] = level;
            for len in 0..=connect.len() {
                let expected = if len < 9 { None } else { Some(version) };
                assert_eq!(connect_version(&connect[..len]), Ok(expected), "{len} bytes, level {level}");
            }
        }
        // One that is too short for it gets an answer, too.
        let short = b"\x10\x06\0\x04MQTT";
        for len in 0..=short.len() {
            let expected = if len < short.len() { None } else { Some(Version::OLDEST) };
            assert_eq!(connect_version(&short[..len]), Ok(expected), "{len} bytes");
        }
    }
}
