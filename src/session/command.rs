//! What the application asks of the client's end alone.

use core::fmt;
use core::slice;
use core::time::Duration;

use crate::aliases::TopicAliases;
use crate::command::{Acknowledge, MaximumPacketSize, Offline, Oversized};
use crate::wire::{Properties, Secret, Subscription, Version, Will};

/// How to connect. It becomes CONNECT, and says how the session behaves until the next one.
///
/// Receive Maximum, Maximum Packet Size and Topic Alias Maximum are announced by the session itself: what its places for
/// received messages and the inbox allow, unless fields of their own say otherwise. `Debug` does not show the password.
#[derive(Clone, Copy)]
pub struct Connect<'a> {
    /// The version to speak. A session that is resumed must speak the one that it began with.
    pub version: Version,
    /// The client identifier; empty: the server chooses one.
    pub client_id: &'a str,
    /// Whether to begin a new session. [MQTT-3.1.2-6] in 3.1.1, [MQTT-3.1.2-4] in 5.0
    ///
    /// A session outlives its connection only if it is asked for: in 3.1.1 by `false` here from the first connection on, in
    /// 5.0 by a Session Expiry Interval above 0 in the `properties` of each connection. Otherwise what is in flight when
    /// the connection ends is reported as lost.
    ///
    /// A clean start gives the old session up here at once, and at the server when CONNECT arrives. So after `true` every
    /// connection is asked for by a clean start until one is accepted, even with `false`: in 3.1.1 that session ends with its
    /// connection.
    ///
    /// With `false` and no session known here, 5.0 takes none that the server has: [`CloseReason::SessionUnknown`](crate::CloseReason).
    /// What it holds would not fit what is sent, and QoS 2 messages would arrive twice, or not at all. The next connection is
    /// asked for by a clean start then, too. [MQTT-3.2.2-4] 3.1.1 has no such rule: the session is taken. A session that is
    /// known here stays known however often an attempt to resume it fails.
    pub clean_start: bool,
    /// The longest pause between two packets in seconds; 0: any. PINGREQ is sent after seven eighths of it without a packet
    /// sent, or without one received. [MQTT-3.1.2-23] in 3.1.1, [MQTT-3.1.2-20] in 5.0
    pub keep_alive: u16,
    /// What the server publishes if the connection ends badly.
    pub will: Option<Will<'a>>,
    /// The user name.
    pub user_name: Option<&'a str>,
    /// The password; wiped from the session once it is transmitted.
    pub password: Option<&'a [u8]>,
    /// Session Expiry Interval, User Properties, Authentication Method and the like; none in 3.1.1. Receive Maximum,
    /// Maximum Packet Size and Topic Alias Maximum are the session's own: `CommandError::Reserved`.
    pub properties: Properties<'a>,
    /// Who acknowledges received messages.
    pub acknowledgement: Acknowledge,
    /// What becomes of messages in flight when the server has lost the session.
    pub lost_session: LostSession,
    /// What is kept while there is no connection.
    pub offline: Offline,
    /// What becomes of a message that is larger than the inbox.
    pub oversized: Oversized,
    /// The Maximum Packet Size to announce: by default what the inbox has room for. (5.0: 3.1.2.11.4)
    pub maximum_packet_size: MaximumPacketSize,
    /// How many topic aliases of ours there may be, and for how long topics: so many `CONTROL` bytes are set aside. (5.0:
    /// 3.3.2.3.4)
    pub topic_aliases: TopicAliases,
    /// How many publishes of QoS 1 and 2 may be under way to the server at once, whatever it allows; 65,535 by default. What
    /// is accepted beyond them waits. 3.1.1 has no Receive Maximum, and some servers drop what exceeds theirs without a word
    /// (mosquitto: 20 of QoS 2). 0 counts as 1.
    pub max_inflight: u16,
    /// How many received messages of QoS 1 and 2 may be unacknowledged at once: announced as Receive Maximum, and a server that exceeds
    /// it is disconnected from with 0x93; 65,535 by default. There are never more than `INBOUND`, less those that are still open from
    /// earlier connections. 0 counts as 1. 3.1.1 has no such limit. (5.0: 3.1.2.11.3) [MQTT-3.3.4-9]
    pub receive_maximum: u16,
    /// 3.1.1 only: how long a PUBLISH or PUBREL may be unanswered before it is sent again, in whole seconds, at most 255; zero, by
    /// default: never, as in 5.0.
    /// Each goes by its own age, whatever else is acknowledged meanwhile. A PUBREL may come later by up to a 16th of that where
    /// `OUTBOUND` is above 64; above 4,096 all PUBRELs are sent again with the oldest.
    pub retry_interval: Duration,
    /// How long CONNACK and PINGRESP may take: 1 to 255 seconds, whole ones; 10 seconds by default. The time counts from the moment at which
    /// CONNECT or PINGREQ was written, and the transport is read once more before it is called over.
    pub response_timeout: Duration,
    /// How long the last packets of a connection may take: 1 to 255 seconds, whole ones; 5 seconds by default. Each time that bytes of them were
    /// written they have as long again, up to ten times as long in all. What did not leave by then is told as
    /// [`CloseReason::DisconnectTimeout`](crate::CloseReason::DisconnectTimeout).
    pub disconnect_timeout: Duration,
    /// How long the application may take for the next piece of a payload that it is asked for: 1 to 255 seconds, whole ones; 30 seconds by
    /// default. Then the connection ends in [`CloseReason::PayloadTimeout`](crate::CloseReason::PayloadTimeout). The server waits for the
    /// rest of the packet for one and a half times the keep alive, perhaps, so it should be shorter than that.
    #[cfg(feature = "streaming")]
    pub payload_timeout: Duration,
}

impl<'a> Connect<'a> {
    /// A clean start as `client_id`, keep alive after 60 seconds, everything else at its default.
    #[must_use]
    pub const fn new(version: Version, client_id: &'a str) -> Self {
        Self {
            version,
            client_id,
            clean_start: true,
            keep_alive: 60,
            will: None,
            user_name: None,
            password: None,
            properties: Properties::EMPTY,
            acknowledgement: Acknowledge::AfterHandling,
            lost_session: LostSession::Standard,
            offline: Offline::Everything,
            oversized: Oversized::Disconnect,
            maximum_packet_size: MaximumPacketSize::Inbox,
            topic_aliases: TopicAliases::NONE,
            max_inflight: u16::MAX,
            receive_maximum: u16::MAX,
            retry_interval: Duration::ZERO,
            response_timeout: Duration::from_secs(10),
            disconnect_timeout: Duration::from_secs(5),
            #[cfg(feature = "streaming")]
            payload_timeout: Duration::from_secs(30),
        }
    }
}

impl fmt::Debug for Connect<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("version", &self.version)
            .field("client_id", &self.client_id)
            .field("clean_start", &self.clean_start)
            .field("keep_alive", &self.keep_alive)
            .field("will", &self.will)
            .field("user_name", &self.user_name)
            .field("password", &self.password.map(|_| Secret))
            .field("properties", &self.properties)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Connect<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(
            f,
            "Connect {{ version: {}, client_id: {=str}, clean_start: {=bool}, keep_alive: {=u16}, will: {}, user_name: {}, \
            password: {}, properties: {}, .. }}",
            self.version,
            self.client_id,
            self.clean_start,
            self.keep_alive,
            self.will,
            self.user_name,
            self.password.map(|_| Secret),
            self.properties,
        );
    }
}

/// What becomes of messages that were in flight when the server turns out to have lost a session that was to outlive its
/// connection. What was never sent stays queued in any case.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum LostSession {
    /// 3.1.1 sends them again ([MQTT-4.4.0-1]); 5.0 may not, and reports each as lost. [MQTT-3.2.2-5]
    #[default]
    Standard,
    /// Each is reported as lost.
    Report,
    /// Each is published as a new message, which may arrive twice; one whose PUBREC was seen is reported as lost.
    Republish,
}

/// Subscriptions to ask for, at least one.
///
/// ```
/// use mqtt_session::{QoS, Subscribe, Subscription};
///
/// let subscriptions = [Subscription::new("meter/7/ask", QoS::ExactlyOnce), Subscription::new("time", QoS::AtMostOnce)];
/// let several = Subscribe::new(&subscriptions);
/// let single = Subscribe::one(&subscriptions[0]);
/// # assert_eq!(several.subscriptions.len(), 2);
/// # assert_eq!(single.subscriptions, &subscriptions[..1]);
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Subscribe<'a> {
    /// What to subscribe to.
    pub subscriptions: &'a [Subscription<'a>],
    /// Subscription Identifier and User Properties; none in 3.1.1.
    pub properties: Properties<'a>,
}

impl<'a> Subscribe<'a> {
    /// These subscriptions, without properties.
    #[must_use]
    pub const fn new(subscriptions: &'a [Subscription<'a>]) -> Self {
        Self { subscriptions, properties: Properties::EMPTY }
    }

    /// This subscription alone, without properties.
    #[must_use]
    pub const fn one(subscription: &'a Subscription<'a>) -> Self {
        Self::new(slice::from_ref(subscription))
    }
}

/// Subscriptions to end, at least one.
///
/// ```
/// use mqtt_session::Unsubscribe;
///
/// let several = Unsubscribe::new(&["meter/7/ask", "time"]);
/// let single = Unsubscribe::one(&"time");
/// # assert_eq!(several.filters[1..], *single.filters);
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Unsubscribe<'a> {
    /// The topic filters of the subscriptions.
    pub filters: &'a [&'a str],
    /// User Properties; none in 3.1.1.
    pub properties: Properties<'a>,
}

impl<'a> Unsubscribe<'a> {
    /// The subscriptions with these filters, without properties.
    #[must_use]
    pub const fn new(filters: &'a [&'a str]) -> Self {
        Self { filters, properties: Properties::EMPTY }
    }

    /// The subscription with this filter alone, without properties.
    #[must_use]
    pub const fn one(filter: &'a &'a str) -> Self {
        Self::new(slice::from_ref(filter))
    }
}
