//! PUBLISH. (3.3)

use core::fmt;

use super::kind::PublishFlags;
use super::property::{Holder, Properties, Unshown};
use super::qos::QoS;
use super::reader::{PacketId, Reader};
use super::topic::check_topic_name;
use super::violation::Violation;
use super::writer::{Layout, Writer};

/// PUBLISH: a message.
///
/// `Debug` shows of the payload only the length.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Publish<'a> {
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

impl<'a> Publish<'a> {
    pub(crate) fn decode(first: u8, mut reader: Reader<'a>) -> Result<Self, Violation> {
        let PublishFlags { dup, qos, retain } = PublishFlags::of_first_byte(first)?;
        let topic = reader.text()?;
        let delivery = match qos {
            QoS::AtMostOnce => Delivery::AtMostOnce,
            QoS::AtLeastOnce => Delivery::AtLeastOnce { packet_id: reader.packet_id()?, dup },
            QoS::ExactlyOnce => Delivery::ExactlyOnce { packet_id: reader.packet_id()?, dup },
        };
        let properties = reader.properties(Holder::Publish)?;
        check_topic(topic, &properties)?;
        Ok(Self { delivery, retain, topic, properties, payload: reader.rest() })
    }
}

impl Layout for Publish<'_> {
    fn first_byte(&self) -> u8 {
        PublishFlags { dup: self.delivery.dup(), qos: self.delivery.qos(), retain: self.retain }.first_byte()
    }

    fn body(&self, to: &mut Writer<'_>) {
        to.check(|| check_topic(self.topic, &self.properties));
        to.text(self.topic);
        if let Some(packet_id) = self.delivery.packet_id() {
            to.packet_id(packet_id);
        }
        to.properties(Holder::Publish, &self.properties);
        to.bytes(self.payload);
    }
}

impl fmt::Debug for Publish<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publish")
            .field("delivery", &self.delivery)
            .field("retain", &self.retain)
            .field("topic", &self.topic)
            .field("properties", &self.properties)
            .field("payload", &Unshown(self.payload))
            .finish()
    }
}

/// A topic alias may stand in for the topic name. (5.0: 3.3.2.1)
fn check_topic(topic: &str, properties: &Properties<'_>) -> Result<(), Violation> {
    if topic.is_empty() && properties.topic_alias().is_some() { Ok(()) } else { check_topic_name(topic) }
}
