//! What a poll answers.

use core::convert::Infallible;
use core::fmt;
use core::time::Duration;

use crate::error::{CloseReason, CommandError};
use crate::time::Instant;
use crate::wire::{
    AckType, Auth, Connack, Delivery, DisconnectPacket, List, PacketId, Properties, PublishPacket, QoS, ReasonCode,
    Unshown,
};

/// What to do next. "Do what the step says, then poll again" is the whole contract.
///
/// Events, [`Event<'i>`](Event) of a client, borrow the inbox, and bytes to write borrow the session (`'s`), so a handler may
/// call commands of the session while it holds a payload.
///
/// What loops written by hand need to know:
///
/// * Commands may be called at any time between two polls. Poll soon after each: what it stored is shown by a poll, and a time limit
///   that it set begins with one.
/// * While a [`Transmit`](Step::Transmit) makes no progress, bytes may be read into the inbox, and the session may be polled again: it
///   takes them, and then shows the same bytes again.
/// * The bytes are borrowed, so a transfer that goes on by itself (DMA) must be over before the next call, or work on a copy. What
///   such a copy holds may be reported by `transmitted` piece by piece or at once.
/// * [`Wait`](Step::Wait) is an upper bound: a poll that comes earlier does no harm. One that comes later is judged fairly, because the
///   transport is read once more before a time limit counts.
///
/// The sessions of this version ask for nothing more, so `R` has no value, [`Step::Persist`] cannot exist, and a `match` on a step
/// needs no arm for it.
pub enum Step<'s, E, R = Infallible> {
    /// Something happened.
    Event(E),
    /// Write these bytes, or a part of them, and report how many by `transmitted`. Never empty; repeated, less what was
    /// reported, until all is.
    Transmit(&'s [u8]),
    /// Read, for as long as there is nothing to read until this instant; `None`: no instant. The space of the inbox is not
    /// empty.
    ///
    /// An instant that is over says to read once without waiting, which `std` calls non-blocking; a read time limit of 0 is
    /// refused there. So a peer is never given up before the transport was read: however long an event was handled, what came in
    /// meanwhile counts. If nothing comes of that read, the next poll gives up. It is the one step that may come while bytes
    /// are still to be written; they are shown again.
    ///
    /// A caller that does not read on purpose says so by `reading_paused` each time, or the peer counts as silent.
    Wait(Option<Instant>),
    /// The connection is over: close the transport. Repeated until `connect`.
    Close(CloseReason),
    /// Write these records, so that they survive a loss of power, and say so by `persisted`. Repeated, with what has changed since, until
    /// then; nothing that depends on them leaves before. Only durable sessions have this step.
    Persist(R),
}

/// Of the bytes to write, only how many there are: a password may be among them.
impl<E: fmt::Debug, R: fmt::Debug> fmt::Debug for Step<'_, E, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(event) => f.debug_tuple("Event").field(event).finish(),
            Self::Transmit(bytes) => f.debug_tuple("Transmit").field(&Unshown(bytes)).finish(),
            Self::Wait(deadline) => f.debug_tuple("Wait").field(deadline).finish(),
            Self::Close(cause) => f.debug_tuple("Close").field(cause).finish(),
            Self::Persist(records) => f.debug_tuple("Persist").field(records).finish(),
        }
    }
}

#[cfg(feature = "defmt")]
impl<E: defmt::Format, R: defmt::Format> defmt::Format for Step<'_, E, R> {
    fn format(&self, f: defmt::Formatter<'_>) {
        match self {
            Self::Event(event) => defmt::write!(f, "Event({})", event),
            Self::Transmit(bytes) => defmt::write!(f, "Transmit([{=usize} bytes])", bytes.len()),
            Self::Wait(deadline) => defmt::write!(f, "Wait({})", deadline),
            Self::Close(cause) => defmt::write!(f, "Close({})", cause),
            Self::Persist(records) => defmt::write!(f, "Persist({})", records),
        }
    }
}

/// Something that happened.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Event<'i> {
    /// The server accepted the connection. Without `session_present` it has no subscriptions of ours.
    Connected(Connack<'i>),
    /// The server refused the connection; `Close` follows.
    ConnectionRefused(Connack<'i>),
    /// The server ends the connection; `Close` follows. 5.0 only.
    Disconnected(DisconnectPacket<'i>),
    /// The server goes on with the authentication; answer with `authenticate`, or go on if it says success.
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
    /// PUBREC said more of a message of QoS 2 than success. The server has the message; [`Published`](Self::Published) still
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
    /// A message that was in flight when the server lost the session is published anew, as a new message.
    Republished {
        /// The identifier that it had.
        lost: PacketId,
        /// The identifier that it has.
        packet_id: PacketId,
    },
    /// SUBACK. A code of 0x80 or above says that the subscription failed.
    Subscribed {
        /// What `subscribe` returned.
        packet_id: PacketId,
        /// The granted QoS or the failure, in the order of the subscriptions.
        reason_codes: List<'i, ReasonCode>,
        /// The properties.
        properties: Properties<'i>,
    },
    /// UNSUBACK.
    Unsubscribed {
        /// What `unsubscribe` returned.
        packet_id: PacketId,
        /// The outcomes in the order of the filters; none in 3.1.1.
        reason_codes: List<'i, ReasonCode>,
        /// The properties.
        properties: Properties<'i>,
    },
    /// A subscribe or unsubscribe was lost with the connection, or with the attempt to make one, and is not sent again; whether
    /// the server acted on it is unknown.
    RequestLost {
        /// What `subscribe` or `unsubscribe` returned.
        packet_id: PacketId,
    },
    /// A subscribe or unsubscribe that came before CONNACK cannot be sent, because CONNACK rules it out. It was not sent. 5.0 only.
    RequestUnsendable {
        /// What `subscribe` or `unsubscribe` returned.
        packet_id: PacketId,
        /// What the command would have been refused as if it had come later: as
        /// [`WildcardUnsupported`](CommandError::WildcardUnsupported), [`SharedUnsupported`](CommandError::SharedUnsupported),
        /// [`SubscriptionIdentifierUnsupported`](CommandError::SubscriptionIdentifierUnsupported), or
        /// [`TooLarge`](CommandError::TooLarge) for the server's Maximum Packet Size.
        error: CommandError,
    },
    /// An acknowledgement came that answers nothing. Nothing else follows from it.
    Stray {
        /// The packet.
        packet: StrayPacket,
        /// Its identifier.
        packet_id: PacketId,
    },
    /// The server broke a rule for which the connection would end with this close reason, if servers in wide use did not break it.
    /// Nothing else follows from it, so it may be ignored. 5.0 only.
    ///
    /// * [`CloseReason::Violation`] with [`PubrecCodeReserved`](crate::Violation::PubrecCodeReserved): a PUBREC had a reason code of
    ///   0x80 or above that the standard does not give it. It was taken as a refusal, of which the event before this one tells.
    /// * [`CloseReason::PacketIdentifierReused`]: a message came again on the same connection before it was acknowledged. It is not
    ///   told again, and the one acknowledgement answers both. [MQTT-4.4.0-1]
    Tolerated(CloseReason),
    /// A message larger than the inbox came; it was acknowledged and let pass, as `Connect` asked. Its properties are not told.
    Skipped {
        /// The topic name.
        topic: &'i str,
        /// The quality of service.
        qos: QoS,
        /// Whether the server had kept it.
        retain: bool,
        /// The length in bytes of the whole packet.
        len: u32,
    },
    /// Messages of QoS 0 that were accepted are dropped, since this was told last: they were half written or not yet sent when a
    /// connection ended that they do not outlive (`Connect::offline`), their expiry interval passed, the limits of the connection forbid
    /// them, or what was stored was given up for another version. What has left may be lost all the same, of which nobody can tell.
    Dropped {
        /// How many; 255: at least so many.
        count: u8,
    },
    /// The server answered the PINGREQ that `ping` asked for.
    Pinged {
        /// The time from the poll that showed its last byte to the one that found PINGRESP, in milliseconds.
        round_trip: Duration,
    },
    /// A command that was refused as [`Full`](crate::CommandError::Full) may work now.
    Writable,
}

/// What happens on either end.
pub(crate) enum CommonEvent<'i> {
    Message(Message<'i>),
    #[cfg(feature = "streaming")]
    MessagePart(MessagePart<'i>),
    #[cfg(feature = "streaming")]
    MessageAborted,
    #[cfg(feature = "streaming")]
    PayloadRequested(PayloadRequest),
    Published {
        packet_id: PacketId,
        outcome: Outcome,
        properties: Properties<'i>,
    },
    Received {
        packet_id: PacketId,
        reason_code: ReasonCode,
        properties: Properties<'i>,
    },
    Tolerated(CloseReason),
    Stray {
        packet: StrayPacket,
        packet_id: PacketId,
    },
    Skipped {
        topic: &'i str,
        qos: QoS,
        retain: bool,
        len: u32,
    },
    Dropped {
        count: u8,
    },
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

/// An acknowledgement that answers nothing.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum StrayPacket {
    /// PUBACK, PUBREC or PUBCOMP.
    Acknowledgement(AckType),
    /// SUBACK.
    Suback,
    /// UNSUBACK.
    Unsuback,
}

/// How a publish of QoS 1 or 2 ended: exactly one of these for each.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Outcome {
    /// The server has it: PUBACK or PUBCOMP, with its code. That of PUBCOMP is 0x92 where the server had finished the
    /// exchange before and the link broke under its answer; that is no error. Where PUBCOMP says success and PUBREC said
    /// [`NoMatchingSubscribers`](ReasonCode::NoMatchingSubscribers), it is the code of PUBREC. (5.0)
    Acknowledged(ReasonCode),
    /// The server refused it: PUBACK or PUBREC with a code of 0x80 or above, which is
    /// [`UnspecifiedError`](ReasonCode::UnspecifiedError) for one that the standard does not name. [MQTT-4.4.0-2]
    Rejected(ReasonCode),
    /// It could not be sent, or sent again, because the limits of the new connection forbid it. [MQTT-3.2.2-11],
    /// [MQTT-3.2.2-14], [MQTT-3.2.2-15] The identifier of one that was sent before stays taken, as with [`GivenUp`](Self::GivenUp).
    Unsendable,
    /// Its expiry interval passed before it was ever sent.
    Expired,
    /// The application gave it up (`give_up`) after it was sent; whether the peer has it is unknown. Its identifier stays taken until the
    /// session ends or the peer acknowledges it all the same.
    GivenUp,
    /// The session was lost while it was in flight; whether the server has it is unknown.
    Lost,
    /// The session was lost after the server had confirmed by PUBREC that it has it.
    LostUnconfirmed,
}

/// A message that arrived.
#[derive(Clone, PartialEq, Eq)]
pub struct Message<'i> {
    /// The topic name.
    pub topic: &'i str,
    /// The payload.
    pub payload: &'i [u8],
    /// How many bytes of the payload are still to come; 0 unless the message is larger than the inbox and taken in pieces
    /// ([`Oversized`](crate::Oversized)).
    pub remaining: u32,
    /// How it was delivered.
    pub delivery: Delivery,
    /// Whether the server had kept it.
    pub retain: bool,
    /// The properties; none in 3.1.1.
    pub properties: Properties<'i>,
    /// What to acknowledge it by, if that is the application's task. Of a message in parts it comes with the last one.
    pub handle: Option<Handle>,
}

impl<'i> Message<'i> {
    pub(crate) const fn new(publish: &PublishPacket<'i>, handle: Option<Handle>) -> Self {
        let PublishPacket { delivery, retain, topic, properties, payload } = *publish;
        Self { topic, payload, remaining: 0, delivery, retain, properties, handle }
    }

    /// The quality of service.
    #[must_use]
    pub const fn qos(&self) -> QoS {
        self.delivery.qos()
    }

    /// The packet identifier; none with QoS 0. It says which exchange the message belongs to, not whether it is new: with QoS 1 the
    /// same one may stand for another message later. [MQTT-4.3.2-5]
    #[must_use]
    pub const fn packet_id(&self) -> Option<PacketId> {
        self.delivery.packet_id()
    }

    /// Whether the peer says that it sends the message again. It may be the first time that it arrives all the same.
    /// [MQTT-3.3.1-1]
    #[must_use]
    pub const fn dup(&self) -> bool {
        self.delivery.dup()
    }
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("topic", &self.topic)
            .field("payload", &self.payload.len())
            .field("remaining", &self.remaining)
            .field("delivery", &self.delivery)
            .field("retain", &self.retain)
            .field("properties", &self.properties)
            .field("handle", &self.handle)
            .finish()
    }
}

/// The next piece of a payload that stays with the application is due: nothing else can be sent before it is there.
///
/// Write it to `payload_space` and report it by `payload_filled`, at once or later; or end the connection by `abort_payload`.
#[cfg(feature = "streaming")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PayloadRequest {
    /// [`Source::id`](crate::Source) of the message.
    pub source: u32,
    /// Where in the payload the piece begins. It is 0 again where the message is sent again.
    pub offset: u32,
    /// How many bytes there are from there on. The piece is as long as `payload_space`, or shorter.
    pub remaining: u32,
    /// The packet identifier of the message; none with QoS 0.
    pub packet_id: Option<PacketId>,
}

/// A part of the payload of a message that is larger than the inbox.
#[cfg(feature = "streaming")]
#[derive(Clone, PartialEq, Eq)]
pub struct MessagePart<'i> {
    /// The next bytes of the payload.
    pub payload: &'i [u8],
    /// How many bytes of it are still to come; 0: this is the last part, and the message is complete.
    pub remaining: u32,
    /// What to acknowledge the message by, if that is the application's task; with the last part.
    pub handle: Option<Handle>,
}

#[cfg(feature = "streaming")]
impl fmt::Debug for MessagePart<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessagePart")
            .field("payload", &self.payload.len())
            .field("remaining", &self.remaining)
            .field("handle", &self.handle)
            .finish()
    }
}

#[cfg(all(feature = "streaming", feature = "defmt"))]
impl defmt::Format for MessagePart<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(
            f,
            "MessagePart {{ payload: {=usize}, remaining: {=u32}, handle: {} }}",
            self.payload.len(),
            self.remaining,
            self.handle,
        );
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Message<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(
            f,
            "Message {{ topic: {=str}, payload: {=usize}, remaining: {=u32}, delivery: {}, retain: {=bool}, properties: {}, \
            handle: {} }}",
            self.topic,
            self.payload.len(),
            self.remaining,
            self.delivery,
            self.retain,
            self.properties,
            self.handle,
        );
    }
}

/// What a message is acknowledged by. Valid until the message is acknowledged, and at most until its connection (QoS 1) or its
/// session (QoS 2) ends. A stale handle is refused as [`StaleHandle`](crate::CommandError::StaleHandle) for at least 255 further
/// messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Handle {
    pub(crate) packet_id: PacketId,
    pub(crate) entry: u16,
    pub(crate) generation: u8,
}
