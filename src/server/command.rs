//! What the application asks of the server's end alone.

use core::time::Duration;

use crate::aliases::TopicAliases;
use crate::command::{Acknowledge, MaximumPacketSize, Offline, Oversized};
use crate::wire::Properties;

/// How long the last packets of a connection may take by default.
pub(super) const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How to accept a connection. It becomes CONNACK, and says how the session behaves on this connection.
///
/// The session sets Session Present, and Receive Maximum, Maximum Packet Size and Topic Alias Maximum by what its places for
/// received messages and the inbox allow, unless fields of their own say otherwise.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Accept<'a> {
    /// Everything else that CONNACK may say; none in 3.1.1. What it says holds: Session Expiry Interval and Server Keep
    /// Alive replace what CONNECT asked for; Maximum QoS, Retain Available, and the kinds of subscriptions that are not
    /// available are enforced. Assigned Client Identifier is needed where the client gave none. [MQTT-3.2.2-16] Response
    /// Information is only for a client that asks for it. [MQTT-3.1.2-28]
    pub properties: Properties<'a>,
    /// Who acknowledges received messages.
    pub acknowledgement: Acknowledge,
    /// What is kept while there is no connection.
    pub offline: Offline,
    /// What becomes of a message that is larger than the inbox.
    pub oversized: Oversized,
    /// The Maximum Packet Size to announce: by default what the inbox has room for. (5.0: 3.2.2.3.6)
    pub maximum_packet_size: MaximumPacketSize,
    /// How many received messages of QoS 1 and 2 may be unacknowledged at once: announced as Receive Maximum, and a client that exceeds
    /// it is disconnected with 0x93; 65,535 by default. There are never more than `INBOUND`, less those that are still open from earlier
    /// connections. 0 counts as 1. 3.1.1 has no such limit. (5.0: 3.2.2.3.3) [MQTT-3.3.4-7]
    pub receive_maximum: u16,
    /// How many topic aliases of ours there may be, and for how long topics: so many `CONTROL` bytes are set aside. (5.0:
    /// 3.3.2.3.4)
    pub topic_aliases: TopicAliases,
    /// What counts as silence of the client, which ends the connection.
    pub liveness: Liveness,
    /// How long the last packets of the connection may take: 1 to 255 seconds, whole ones; 5 seconds by default. Each time that bytes of them
    /// were written they have as long again, up to ten times as long in all.
    pub disconnect_timeout: Duration,
    /// How long the application may take for the next piece of a payload that it is asked for: 1 to 255 seconds, whole ones; 30 seconds by
    /// default. Then the connection ends in [`CloseReason::PayloadTimeout`](crate::CloseReason::PayloadTimeout).
    #[cfg(feature = "streaming")]
    pub payload_timeout: Duration,
}

/// What counts as silence of the client. One and a half times the keep alive of it end the connection.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Liveness {
    /// No whole packet comes, as the standard says. A packet that takes longer, because it is large and the link is slow, ends
    /// each connection on which it is sent again. [MQTT-3.1.2-24] in 3.1.1, [MQTT-3.1.2-22] in 5.0
    #[default]
    Packets,
    /// Not even a byte comes. A packet may take as long as it likes, and so may a malicious client.
    Bytes,
}

impl Default for Accept<'_> {
    fn default() -> Self {
        Self {
            properties: Properties::EMPTY,
            acknowledgement: Acknowledge::AfterHandling,
            offline: Offline::Everything,
            oversized: Oversized::Disconnect,
            maximum_packet_size: MaximumPacketSize::Inbox,
            receive_maximum: u16::MAX,
            topic_aliases: TopicAliases::NONE,
            liveness: Liveness::Packets,
            disconnect_timeout: DISCONNECT_TIMEOUT,
            #[cfg(feature = "streaming")]
            payload_timeout: Duration::from_secs(30),
        }
    }
}
