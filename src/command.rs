//! What the application asks of either end.

use core::fmt;
use core::num::NonZeroU16;

use crate::wire::{Properties, QoS, ReasonCode};

/// Who acknowledges received messages of QoS 1 and 2.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Acknowledge {
    /// The session, with the poll that follows the event: the handler has run by then.
    #[default]
    AfterHandling,
    /// The application, with `acknowledge`.
    Manually,
}

/// What is kept for a later connection.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Offline {
    /// Messages of every QoS, until the store is full.
    #[default]
    Everything,
    /// Messages of QoS 1 and 2. One of QoS 0 is refused unless there is a connection, and dropped if it did not leave with
    /// it.
    Acknowledged,
}

/// What becomes of a received message that is larger than the inbox.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Oversized {
    /// It ends the connection, with 0x95 in 5.0.
    #[default]
    Disconnect,
    /// In 3.1.1, where nobody can be told how much fits, it is acknowledged, reported as an event, and otherwise dropped:
    /// else a server would send it again on each connection. Its topic must fit. In 5.0 it is refused in any case.
    Skipped,
}

/// A message to publish.
///
/// The session sets DUP and the packet identifier. [MQTT-3.3.1-3]
#[derive(Clone, Copy)]
pub struct Publish<'a> {
    /// The topic name.
    pub topic: &'a str,
    /// The application message.
    pub payload: &'a [u8],
    /// The quality of service.
    pub qos: QoS,
    /// Whether the server is to keep it. [MQTT-3.3.1-5]
    pub retain: bool,
    /// The properties; none in 3.1.1. The topic alias stands apart.
    pub properties: Properties<'a>,
    /// The topic alias to use, if the connection allows it when the message leaves; 5.0 only. The peer learns the topic with
    /// the first message, and the others leave without it. [MQTT-3.3.2-12]
    pub topic_alias: Option<NonZeroU16>,
}

impl<'a> Publish<'a> {
    /// A message of QoS 0.
    #[must_use]
    pub const fn new(topic: &'a str, payload: &'a [u8]) -> Self {
        Self { topic, payload, qos: QoS::AtMostOnce, retain: false, properties: Properties::EMPTY, topic_alias: None }
    }
}

impl fmt::Debug for Publish<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publish")
            .field("topic", &self.topic)
            .field("payload", &self.payload.len())
            .field("qos", &self.qos)
            .field("retain", &self.retain)
            .field("properties", &self.properties)
            .field("topic_alias", &self.topic_alias)
            .finish()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Publish<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(
            f,
            "Publish {{ topic: {=str}, payload: {=usize}, qos: {}, retain: {=bool}, properties: {}, topic_alias: {} }}",
            self.topic,
            self.payload.len(),
            self.qos,
            self.retain,
            self.properties,
            self.topic_alias,
        );
    }
}

/// How to disconnect; by default normally, without a will.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Disconnect<'a> {
    /// Why; in 3.1.1 always success. [`ReasonCode::DisconnectWithWill`] keeps the will. [MQTT-3.14.4-3]
    pub reason_code: ReasonCode,
    /// Session Expiry Interval, Reason String and User Properties; none in 3.1.1.
    pub properties: Properties<'a>,
}
