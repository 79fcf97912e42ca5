//! What the application asks of either end.

use core::fmt;
use core::num::NonZeroU16;
use core::time::Duration;

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
    /// Nothing: a message of any QoS is refused unless there is a connection. One of QoS 0 is dropped if it did not leave with it. One
    /// of QoS 1 or 2 that was accepted goes on with the next connection of the session, as the standard has it.
    Nothing,
}

impl Offline {
    /// Whether a message of this QoS waits for a connection.
    pub(crate) const fn keeps(self, qos: QoS) -> bool {
        match self {
            Self::Everything => true,
            Self::Acknowledged => !matches!(qos, QoS::AtMostOnce),
            Self::Nothing => false,
        }
    }
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
    /// It is acknowledged, reported as an event, and otherwise dropped: else a server would send it again on each connection. Its
    /// topic and properties must fit. So it is in 3.1.1, where nobody can be told how much fits, and in 5.0 up to what
    /// [`MaximumPacketSize`] announces above the capacity of the inbox; what exceeds that ends the connection, with 0x95.
    Skipped,
    /// It is told in pieces, as they come: its topic, its properties and the first piece as a [`Message`](crate::Message) whose
    /// `remaining` is above 0, the others as `Event::MessagePart`. Feature `streaming`.
    ///
    /// Topic and properties must fit into the inbox. The message is recorded and acknowledged once its last piece is handled, so one
    /// that breaks off is sent again from its beginning. As with `Skipped`, 5.0 takes as much as [`MaximumPacketSize`] announces above
    /// the capacity of the inbox, and what exceeds that ends the connection, with 0x95.
    #[cfg(feature = "streaming")]
    InPieces,
}

/// What 5.0 announces as Maximum Packet Size: by default what the inbox has room for. 3.1.1 has no such thing.
///
/// A peer may send packets that are larger than the inbox only if it is told so; what becomes of them is said by [`Oversized`].
/// [MQTT-3.1.2-24], [MQTT-3.2.2-15]
///
/// ```
/// use mqtt_session::{Connect, MaximumPacketSize, Oversized, Version};
///
/// # #[cfg(feature = "v5")] {
/// // Messages of any length come, and those that do not fit pass by.
/// let connect = Connect {
///     maximum_packet_size: MaximumPacketSize::Absent,
///     oversized: Oversized::Skipped,
///     ..Connect::new(Version::V5, "meter-7")
/// };
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum MaximumPacketSize {
    /// The capacity of the inbox.
    #[default]
    Inbox,
    /// So many bytes; what is less than the capacity of the inbox counts as that.
    Bytes(u32),
    /// Nothing is announced: packets may be as long as the standard allows.
    Absent,
}

impl MaximumPacketSize {
    /// What is announced where the inbox has this capacity.
    pub(crate) fn announced(self, capacity: usize) -> Option<u32> {
        let capacity = u32::try_from(capacity).unwrap_or(u32::MAX).max(1);
        match self {
            Self::Inbox => Some(capacity),
            Self::Bytes(bytes) => Some(bytes.max(capacity)),
            Self::Absent => None,
        }
    }
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
    /// Whether this message waits while there is no connection; `None`: as the connection says, or said last (`Connect::offline`,
    /// `Accept::offline`). Refused is [`CommandError::Offline`](crate::CommandError::Offline), and dropped is told.
    pub offline: Option<Offline>,
}

impl<'a> Publish<'a> {
    /// A message of QoS 0.
    #[must_use]
    pub const fn new(topic: &'a str, payload: &'a [u8]) -> Self {
        let (qos, properties) = (QoS::AtMostOnce, Properties::EMPTY);
        Self { topic, payload, qos, retain: false, properties, topic_alias: None, offline: None }
    }
}

/// A payload that stays with the application: the session asks for it piece by piece when the message is its turn, each time that it is
/// sent. Feature `streaming`.
#[cfg(feature = "streaming")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Source {
    /// What the application calls it: an address in flash, an index of files. The session repeats it when it asks.
    pub id: u32,
    /// The length in bytes of the whole payload.
    pub len: u32,
    /// How many bytes are asked for at once, at most: so many are set aside in the store for as long as the message is there. 8 at least,
    /// and no more than the payload has, or the front of the packet; 256 by default. The front leaves at once if it fits.
    pub piece: u16,
}

#[cfg(feature = "streaming")]
impl Source {
    /// A payload of `len` bytes, in pieces of 256.
    #[must_use]
    pub const fn new(id: u32, len: u32) -> Self {
        Self { id, len, piece: 256 }
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
            .field("offline", &self.offline)
            .finish()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Publish<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(
            f,
            "Publish {{ topic: {=str}, payload: {=usize}, qos: {}, retain: {=bool}, properties: {}, topic_alias: {}, \
            offline: {} }}",
            self.topic,
            self.payload.len(),
            self.qos,
            self.retain,
            self.properties,
            self.topic_alias,
            self.offline,
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
    /// What DISCONNECT waits for.
    pub when: DisconnectWhen,
}

/// What DISCONNECT waits for.
///
/// ```
/// # #[cfg(feature = "v311")] {
/// # use mqtt_session::{CloseReason, Connect, Disconnect, DisconnectWhen, Event, Inbox, Instant, Publish, QoS, Session, Step, Version};
/// # let (mut session, mut inbox): (Session<256, 8, 8>, Inbox<[u8; 256]>) = (Session::new(), Inbox::new());
/// # let now = Instant::from_millis(0);
/// # session.connect(&mut inbox, &Connect::new(Version::V311, "meter-7"))?;
/// # session.poll(&mut inbox, now);
/// # session.transmitted(usize::MAX);
/// # inbox.space()[..4].copy_from_slice(&[0x20, 2, 0, 0]);
/// # inbox.filled(4);
/// # session.poll(&mut inbox, now);
/// session.publish(&Publish { qos: QoS::AtLeastOnce, ..Publish::new("power", b"230 W") })?;
/// let when = DisconnectWhen::Completed { timeout: Some(core::time::Duration::from_secs(20)) };
/// session.disconnect(&Disconnect { when, ..Disconnect::default() })?;
/// let Step::Transmit([0x32, ..]) = session.poll(&mut inbox, now) else { panic!() };
/// # session.transmitted(usize::MAX);
/// # session.poll(&mut inbox, now);
/// let Step::Wait(_) = session.poll(&mut inbox, now) else { panic!() };
/// // PUBACK comes.
/// # inbox.space()[..4].copy_from_slice(&[0x40, 2, 0, 1]);
/// # inbox.filled(4);
/// let Step::Event(Event::Published { .. }) = session.poll(&mut inbox, now) else { panic!() };
/// let Step::Transmit([0xE0, 0]) = session.poll(&mut inbox, now) else { panic!() };
/// # session.transmitted(2);
/// let Step::Close(CloseReason::Disconnected) = session.poll(&mut inbox, now) else { panic!() };
/// # }
/// # Ok::<(), mqtt_session::CommandError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum DisconnectWhen {
    /// What needs no answer has left: acknowledgements, messages of QoS 0, and those of QoS 1 and 2 within the quota. Before CONNACK
    /// that is CONNECT alone.
    #[default]
    Sent,
    /// Every exchange is over besides, in both directions: what was published has its PUBACK or PUBCOMP, also what the quota holds
    /// back; SUBSCRIBE and UNSUBSCRIBE have their answers; what was received is acknowledged, and of QoS 2 its PUBREL is here. A message
    /// that the application is to acknowledge counts until it has done so; one that it has given up does not.
    ///
    /// The keep alive goes on meanwhile. New messages of the peer are not taken, as in any case behind `disconnect`; they come again on
    /// the next connection of the session.
    ///
    /// A client that calls `disconnect` before CONNACK waits for it first, and then goes on in the same way: what was queued leaves.
    Completed {
        /// How many seconds that may take, the wait for CONNACK included: 1 to 255; `None`: as many as the last packets of the connection
        /// may (`disconnect_timeout`).
        /// Then DISCONNECT leaves all the same, as behind `Sent`, and the connection ends in
        /// [`CloseReason::DisconnectedIncomplete`](crate::CloseReason::DisconnectedIncomplete).
        timeout: Option<Duration>,
    },
}
