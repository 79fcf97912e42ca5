//! PUBLISH. (3.3)

use core::fmt;

use super::kind::PublishFlags;
use super::list::Element;
use super::property::{Holder, Properties, Property, Unshown};
use super::qos::QoS;
use super::reader::{PacketId, Reader};
use super::topic::topic_is_clean;
use super::version::{Role, Version};
use super::violation::Violation;
use super::writer::{Layout, Writer};

/// PUBLISH: a message.
///
/// `Debug` shows of the payload only the length.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublishPacket<'a> {
    /// The quality of service, and what belongs to it.
    pub delivery: Delivery,
    /// Whether the server is to keep the message, or has kept it. [MQTT-3.3.1-5]
    pub retain: bool,
    /// The topic name. Empty only in 5.0 and with a topic alias. [MQTT-4.7.3-1]
    pub topic: &'a str,
    /// The properties; none in 3.1.1.
    pub properties: Properties<'a>,
    /// The application message; may be empty.
    pub payload: &'a [u8],
}

/// How a PUBLISH is delivered. A packet identifier and DUP exist for QoS 1 and 2 alone: [MQTT-2.3.1-5] and
/// [MQTT-3.3.1-2] in 3.1.1, [MQTT-2.2.1-2] and [MQTT-3.3.1-2] in 5.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Delivery {
    /// QoS 0.
    AtMostOnce,
    /// QoS 1.
    AtLeastOnce {
        /// What PUBACK repeats.
        packet_id: PacketId,
        /// Whether the packet may have been sent before. [MQTT-3.3.1-1]
        dup: bool,
    },
    /// QoS 2.
    ExactlyOnce {
        /// What PUBREC, PUBREL and PUBCOMP repeat.
        packet_id: PacketId,
        /// Whether the packet may have been sent before. [MQTT-3.3.1-1]
        dup: bool,
    },
}

impl Delivery {
    /// The quality of service.
    #[must_use]
    pub const fn qos(&self) -> QoS {
        match self {
            Self::AtMostOnce => QoS::AtMostOnce,
            Self::AtLeastOnce { .. } => QoS::AtLeastOnce,
            Self::ExactlyOnce { .. } => QoS::ExactlyOnce,
        }
    }

    /// The packet identifier of QoS 1 and 2.
    #[must_use]
    pub const fn packet_id(&self) -> Option<PacketId> {
        match *self {
            Self::AtMostOnce => None,
            Self::AtLeastOnce { packet_id, .. } | Self::ExactlyOnce { packet_id, .. } => Some(packet_id),
        }
    }

    /// Whether DUP is set.
    #[must_use]
    pub const fn dup(&self) -> bool {
        match *self {
            Self::AtMostOnce => false,
            Self::AtLeastOnce { dup, .. } | Self::ExactlyOnce { dup, .. } => dup,
        }
    }
}

impl<'a> PublishPacket<'a> {
    // Part of what takes the message, so that its fields go straight into the event, where that costs nothing but bytes.
    #[cfg_attr(not(target_pointer_width = "32"), inline(always))]
    pub(crate) fn read(first_byte: u8, mut reader: Reader<'a>) -> Result<Self, Violation> {
        let PublishFlags { dup, qos, retain } = PublishFlags::of_first_byte(first_byte)?;
        let topic = reader.characters();
        reader.check(topic_is_clean(topic));
        let delivery = match qos {
            QoS::AtMostOnce => Delivery::AtMostOnce,
            QoS::AtLeastOnce => Delivery::AtLeastOnce { packet_id: reader.packet_id(), dup },
            QoS::ExactlyOnce => Delivery::ExactlyOnce { packet_id: reader.packet_id(), dup },
        };
        let properties = reader.rare_properties(Holder::Publish);
        reader.check(check_presence(topic, properties));
        reader.so_far()?;
        Ok(Self { delivery, retain, topic, properties, payload: reader.rest() })
    }

    /// The alias that stands for the topic.
    #[inline]
    pub(crate) fn alias(&self) -> Option<u16> {
        // Most have no properties at all.
        if !Version::LATEST.is_v5() || self.properties.is_empty() { None } else { topic_alias(self.properties) }
    }
}

impl Layout for PublishPacket<'_> {
    fn first_byte(&self) -> u8 {
        PublishFlags { dup: self.delivery.dup(), qos: self.delivery.qos(), retain: self.retain }.first_byte()
    }

    fn body(&self, to: &mut Writer<'_>) {
        to.check(|| topic_is_clean(self.topic).and_then(|()| check_presence(self.topic, self.properties)));
        to.binary(self.topic.as_bytes());
        if let Some(packet_id) = self.delivery.packet_id() {
            to.packet_id(packet_id);
        }
        to.rare_properties(Holder::Publish, &self.properties);
        to.bytes(self.payload);
    }
}

impl fmt::Debug for PublishPacket<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublishPacket")
            .field("delivery", &self.delivery)
            .field("retain", &self.retain)
            .field("topic", &self.topic)
            .field("properties", &self.properties)
            .field("payload", &Unshown(self.payload))
            .finish()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for PublishPacket<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(
            f,
            "PublishPacket {{ delivery: {}, retain: {=bool}, topic: {=str}, properties: {}, payload: {} }}",
            self.delivery,
            self.retain,
            self.topic,
            self.properties,
            Unshown(self.payload),
        );
    }
}

/// A stored PUBLISH of 5.0 without a topic alias, to be sent with one: the front of it, which the rest follows as it is
/// stored.
pub(crate) struct Aliased<'p> {
    first_byte: u8,
    /// The topic name; to be left out if the peer knows the alias.
    pub(crate) topic: &'p [u8],
    packet_id: &'p [u8],
    properties_len: u32,
    alias: u16,
    /// How many bytes of the stored packet this stands for.
    pub(crate) replaced: usize,
    rest: usize,
}

impl<'p> Aliased<'p> {
    /// Of a packet that this crate has encoded.
    pub(crate) fn new(packet: &'p [u8], alias: u16) -> Option<Self> {
        let Stored { first_byte, topic, mut behind } = Stored::read(packet);
        let packet_id = behind.bytes(id_len(first_byte));
        let properties_len = behind.variable();
        behind.so_far().ok()?;
        let rest = behind.rest().len();
        Some(Self {
            first_byte,
            topic,
            packet_id,
            properties_len,
            alias,
            replaced: packet.len().wrapping_sub(rest),
            rest,
        })
    }

    /// Of the stored packet, the last `stored` bytes stand for a payload of this length.
    #[cfg(feature = "streaming")]
    pub(crate) const fn with_payload(self, stored: usize, payload: usize) -> Self {
        Self { rest: self.rest.wrapping_sub(stored).wrapping_add(payload), ..self }
    }
}

impl Layout for Aliased<'_> {
    fn first_byte(&self) -> u8 {
        self.first_byte
    }

    fn body(&self, to: &mut Writer<'_>) {
        to.binary(self.topic);
        to.bytes(self.packet_id);
        to.variable(self.properties_len.saturating_add(TOPIC_ALIAS_LEN));
        to.byte(TOPIC_ALIAS);
        to.two(self.alias);
    }

    fn tail(&self) -> usize {
        self.rest
    }
}

/// The identifier of the property, and the length of both.
const TOPIC_ALIAS: u8 = 0x23;
const TOPIC_ALIAS_LEN: u32 = 3;

/// The front of a PUBLISH that this crate has encoded, and what is behind it.
struct Stored<'p> {
    first_byte: u8,
    topic: &'p [u8],
    behind: Reader<'p>,
}

impl<'p> Stored<'p> {
    fn read(packet: &'p [u8]) -> Self {
        // What is read here is the same in both versions.
        let mut reader = Reader::new(Version::LATEST, Role::Client, packet);
        let first_byte = reader.byte();
        reader.skip_variable();
        Self { first_byte, topic: reader.binary(), behind: reader }
    }
}

/// How many bytes the packet identifier takes in a PUBLISH that begins so.
const fn id_len(first_byte: u8) -> usize {
    if first_byte & PublishFlags::QOS == 0 { 0 } else { 2 }
}

/// Where the packet identifier lies in a PUBLISH that this crate has encoded.
pub(crate) fn publish_id_offset(packet: &[u8]) -> usize {
    packet.len().wrapping_sub(Stored::read(packet).behind.rest().len())
}

/// Where the value of the Message Expiry Interval lies in a PUBLISH of 5.0 that this crate has encoded.
pub(crate) fn publish_expiry_offset(packet: &[u8]) -> Option<usize> {
    let Stored { first_byte, behind: mut reader, .. } = Stored::read(packet);
    reader.bytes(id_len(first_byte));
    let len = usize::try_from(reader.variable()).ok()?;
    let payload = reader.rest().len().checked_sub(len)?;
    while reader.rest().len() > payload {
        if let Property::MessageExpiryInterval(_) = Property::read(&mut reader) {
            let behind = reader.rest().len().checked_add(size_of::<u32>())?;
            return packet.len().checked_sub(behind);
        }
    }
    None
}

/// A topic alias may stand in for the topic name. (5.0: 3.3.2.1)
fn check_presence(topic: &str, properties: Properties<'_>) -> Result<(), Violation> {
    if topic.is_empty() && topic_alias(properties).is_none() { Err(Violation::TopicNameEmpty) } else { Ok(()) }
}

/// By value, so that a packet on its way need not be put into memory for this.
fn topic_alias(properties: Properties<'_>) -> Option<u16> {
    properties.topic_alias()
}
