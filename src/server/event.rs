//! What a poll of the server's end answers.

use crate::error::CloseReason;
use crate::event::{CommonEvent, Message, Outcome, StrayPacket};
#[cfg(feature = "streaming")]
use crate::event::{MessagePart, PayloadRequest};
use crate::wire::{
    Auth, ConnectPacket, DisconnectPacket, List, PacketId, Properties, QoS, ReasonCode, Subscription, Version,
};

/// Something that happened on the server's end.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Event<'i> {
    /// CONNECT came. Answer with `accept`, `reject` or `authenticate` before the next poll, which otherwise rejects it as
    /// [`ServerUnavailable`](crate::ReasonCode::ServerUnavailable).
    Connecting {
        /// The version of the connection.
        version: Version,
        /// The packet.
        connect: ConnectPacket<'i>,
        /// Whether this session goes on with it; otherwise `accept` gives up what is left of it. [MQTT-3.2.2-2]
        ///
        /// `false` also where CONNECT speaks **another version than the session**: what is stored is encoded in that one, and
        /// reported as lost. The standard makes no such exception. [MQTT-3.1.2-4] in 3.1.1, [MQTT-3.1.2-5] in 5.0
        ///
        /// It is no proof of who the client is. Of its identifier a hash of 64 bits is compared: look the session up by the whole
        /// identifier, as [`Inbox::peek_connect`](crate::Inbox::peek_connect) tells it, and use a new session for each.
        session_present: bool,
    },
    /// The client goes on with the authentication, or begins a new one. Before `accept`, answer with `authenticate`,
    /// `accept` or `reject` before the next poll; later with `authenticate`, or `disconnect`. 5.0 only.
    Authenticating(Auth<'i>),
    /// A message arrived; of one that is larger than the inbox, where [`Oversized`](crate::Oversized) says so, the first part.
    Message(Message<'i>),
    /// More of the payload of a message that is larger than the inbox, behind its [`Message`](Self::Message) and earlier parts.
    #[cfg(feature = "streaming")]
    MessagePart(MessagePart<'i>),
    /// The connection ended before the last part of a message came: what was told of it is to be thrown away. It was not acknowledged. One of QoS 1 or 2
    /// comes again from its beginning if the session goes on.
    #[cfg(feature = "streaming")]
    MessageAborted,
    /// A message whose payload stays with the application is being sent, and its next piece is due.
    #[cfg(feature = "streaming")]
    PayloadRequested(PayloadRequest),
    /// A publish of QoS 1 or 2 has come to its end.
    Published {
        /// What `publish` returned.
        packet_id: PacketId,
        /// How it ended.
        outcome: Outcome,
        /// The properties of the packet that ended it; none if no packet did.
        properties: Properties<'i>,
    },
    /// PUBREC said more of a message of QoS 2 than success. The client has the message; [`Published`](Self::Published) still
    /// follows. 5.0 only.
    Received {
        /// What `publish` returned.
        packet_id: PacketId,
        /// The code, below 0x80: [`NoMatchingSubscribers`](ReasonCode::NoMatchingSubscribers), or success where the properties
        /// say something. (5.0: 3.5.2.1)
        reason_code: ReasonCode,
        /// The properties of PUBREC: a Reason String, User Properties, or none.
        properties: Properties<'i>,
    },
    /// The client asks for subscriptions. Answer with `suback` before the next poll, which otherwise says that all failed.
    /// [MQTT-3.8.4-1]
    Subscribing {
        /// What SUBACK repeats.
        packet_id: PacketId,
        /// What is asked for.
        subscriptions: List<'i, Subscription<'i>>,
        /// The properties.
        properties: Properties<'i>,
    },
    /// The client ends subscriptions. Answer with `unsuback` before the next poll, which otherwise says that it failed.
    /// [MQTT-3.10.4-4] in 3.1.1, [MQTT-3.10.4-5] in 5.0
    Unsubscribing {
        /// What UNSUBACK repeats.
        packet_id: PacketId,
        /// The topic filters.
        filters: List<'i, &'i str>,
        /// The properties.
        properties: Properties<'i>,
    },
    /// The client ends the connection; `Close` follows.
    Disconnected(DisconnectPacket<'i>),
    /// The connection ended badly: publish the will that came with CONNECT, unless the client is back in this session before
    /// the delay is over. [MQTT-3.1.2-8], [MQTT-3.1.3-9]
    WillDue {
        /// How long to wait, in seconds: the Will Delay Interval, or the time to the end of the session.
        delay: u32,
    },
    /// A message larger than the inbox came; it was acknowledged and let pass, as `Accept` says. Its properties are not told.
    Skipped {
        /// The topic name.
        topic: &'i str,
        /// The quality of service.
        qos: QoS,
        /// Whether it was to be retained.
        retain: bool,
        /// The length in bytes of the whole packet.
        len: u32,
    },
    /// The client broke a rule that is borne: see [`Event::Tolerated`](crate::Event::Tolerated). Nothing else follows from it.
    Tolerated(CloseReason),
    /// An acknowledgement came that answers nothing. Nothing else follows from it.
    Stray {
        /// The packet.
        packet: StrayPacket,
        /// Its identifier.
        packet_id: PacketId,
    },
    /// Messages of QoS 0 that were accepted are dropped, since this was told last: they were half written or not yet sent when a
    /// connection ended that they do not outlive (`Accept::offline`), or with their session; their expiry interval passed, or the limits
    /// of the connection forbid them. What has left may be lost all the same, of which nobody can tell.
    Dropped {
        /// How many; 255: at least so many.
        count: u8,
    },
    /// A command that was refused as [`Full`](crate::CommandError::Full) may work now.
    Writable,
}

impl<'i> From<CommonEvent<'i>> for Event<'i> {
    // As in `tell`: the one variant that it is given is known.
    #[inline(always)]
    fn from(happened: CommonEvent<'i>) -> Self {
        match happened {
            CommonEvent::Message(message) => Self::Message(message),
            #[cfg(feature = "streaming")]
            CommonEvent::MessagePart(part) => Self::MessagePart(part),
            #[cfg(feature = "streaming")]
            CommonEvent::MessageAborted => Self::MessageAborted,
            #[cfg(feature = "streaming")]
            CommonEvent::PayloadRequested(request) => Self::PayloadRequested(request),
            CommonEvent::Published { packet_id, outcome, properties } => {
                Self::Published { packet_id, outcome, properties }
            }
            CommonEvent::Received { packet_id, reason_code, properties } => {
                Self::Received { packet_id, reason_code, properties }
            }
            CommonEvent::Tolerated(cause) => Self::Tolerated(cause),
            CommonEvent::Stray { packet, packet_id } => Self::Stray { packet, packet_id },
            CommonEvent::Skipped { topic, qos, retain, len } => Self::Skipped { topic, qos, retain, len },
            CommonEvent::Dropped { count } => Self::Dropped { count },
            CommonEvent::Writable => Self::Writable,
        }
    }
}
