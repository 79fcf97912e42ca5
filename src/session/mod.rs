//! The client's session.

pub(crate) mod command;
mod connection;
mod ping;
mod requests;
#[cfg(feature = "streaming")]
mod streaming;

use core::fmt;

use crate::command::{Disconnect, Publish};
use crate::engine::Memory;
use crate::engine::state::Phase;
use crate::error::CommandError;
use crate::event::{Event, Handle, Step};
use crate::inbox::Inbox;
use crate::report::attempt;
use crate::time::Instant;
use crate::wire::{Auth, PacketId, Properties, ReasonCode};

use self::command::{Connect, Subscribe, Unsubscribe};
#[cfg(not(feature = "durable"))]
use self::connection::Client;
#[cfg(feature = "durable")]
pub(crate) use self::connection::{Client, hash as client_hash};

/// The client's end of an MQTT session, over any number of connections.
///
/// It does no I/O and reads no clock. Time enters and events leave only through [`poll`](Self::poll), which says what to do
/// next. Commands ([`connect`](Self::connect), [`publish`](Self::publish), [`subscribe`](Self::subscribe), ...) may be
/// called at any time, also from within the handling of an event. A refused command has changed nothing.
///
/// The memory is in the type:
///
/// * `STORE`: bytes for packets that wait to be sent or acknowledged; each takes 16 bytes besides its own.
/// * `OUTBOUND`: how many publishes of QoS 1 and 2, subscribes and unsubscribes may be under way: 0 to 65,535. Where it is 2 or more,
///   publishes take at most `OUTBOUND` - 1: however many wait, one subscribe or unsubscribe has a place. (Its bytes have none of
///   their own: it needs room in the store like everything else.)
/// * `INBOUND`: how many received messages may be under way, those of QoS 1 only with manual acknowledgement: 0 to 65,535.
/// * `CONTROL`: bytes for CONNECT, AUTH, DISCONNECT and acknowledgements, which a full store never blocks: up to 65,535. A CONNECT that
///   is larger passes through what the store has free then, so a long token needs no bytes that are idle ever after; 14 are needed in any
///   case.
///
/// ```
/// use mqtt_session::{Connect, Event, Inbox, Instant, Publish, QoS, Session, Step, Version};
///
/// # #[cfg(feature = "v311")] {
/// let mut session: Session<256, 8, 8> = Session::new();
/// let mut inbox: Inbox<[u8; 256]> = Inbox::new();
/// session.connect(&mut inbox, &Connect::new(Version::V311, "meter-7"))?;
/// let Step::Transmit(connect) = session.poll(&mut inbox, Instant::from_millis(0)) else { panic!() };
/// assert_eq!(connect[0], 0x10);
/// let written = connect.len();
/// session.transmitted(written);
///
/// inbox.space()[..4].copy_from_slice(&[0x20, 2, 0, 0]);
/// inbox.filled(4);
/// let Step::Event(Event::Connected(_)) = session.poll(&mut inbox, Instant::from_millis(5)) else { panic!() };
/// session.publish(&Publish { qos: QoS::AtLeastOnce, ..Publish::new("power", b"230 W") })?;
/// # }
/// # Ok::<(), mqtt_session::CommandError>(())
/// ```
///
/// Two sessions are equal if they mean the same: the same packets in the same order, the same exchanges, the same state of
/// the connection and its timers. Where things lie, what is left over of earlier packets, the clock, and which identifiers
/// come next do not count. `Debug` shows no stored bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Session<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize, const CONTROL: usize = 256>(
    Memory<Client, STORE, OUTBOUND, INBOUND, CONTROL>,
);

impl<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize, const CONTROL: usize>
    Session<STORE, OUTBOUND, INBOUND, CONTROL>
{
    /// A session that was never connected, all zero bits: in a `static` it takes no flash.
    #[must_use]
    pub const fn new() -> Self {
        Self(Memory::NEW)
    }

    /// Begins a connection over a new transport; an earlier one counts as lost. The inbox is cleared and belongs to this
    /// connection.
    ///
    /// # Errors
    ///
    /// [`CommandError::TooLarge`] if CONNECT takes more bytes than `CONTROL` has, and more than the store has free now: so a store full of
    /// messages that wait refuses a CONNECT that is larger than `CONTROL`, and only such a one; [`CommandError::OtherSession`] if the session, or what
    /// is stored, belongs to another client identifier or version and is not given up by a clean start (which, with another
    /// version, gives up what was never sent, too: it is reported as lost, and QoS 0 dropped); [`CommandError::Forbidden`],
    /// [`CommandError::NotInVersion`] or [`CommandError::Reserved`] for what CONNECT cannot say.
    pub fn connect(&mut self, inbox: &mut Inbox, connect: &Connect<'_>) -> Result<(), CommandError> {
        attempt!("connect", self.0.engine().connect(inbox, connect))
    }

    /// What to do next; do it, then poll again. It is given the inbox of the connection and the time.
    ///
    /// Received packets come first, as long as there is room for their answers; then what time demands; then what is to
    /// be written.
    pub fn poll<'i>(&mut self, inbox: &'i mut Inbox, now: Instant) -> Step<'_, Event<'i>> {
        let mut step = Step::Wait(None);
        self.0.engine().poll(inbox, now, &mut step);
        step
    }

    /// Reports that the first `len` bytes of the last [`Step::Transmit`] were written: all, some, or none. More than
    /// there were counts as all.
    pub fn transmitted(&mut self, len: usize) {
        self.0.engine().transmitted(len);
    }

    /// Reports that the transport is not read now, on purpose: an application that has no place for more holds its peer back. Call it
    /// instead of the read that a [`Step::Wait`] asks for, then wait and poll again as always. Liveness counts from here on, so that a
    /// peer whose packets lie in the transport is not taken for one that is gone; what is due is sent all the same, PINGREQ too. A
    /// transport that takes no bytes still ends the connection in time.
    pub fn reading_paused(&mut self) {
        self.0.engine().reading_paused();
    }

    /// Reports that the transport is gone. Polls after it hand out whole packets that are still in the inbox, then the
    /// outcomes that the loss decides, then [`Step::Close`].
    pub fn connection_lost(&mut self) {
        self.0.engine().connection_lost();
    }

    /// Publishes a message, now or, if there is no connection, later; one of QoS 0, too, unless `Connect::offline` says
    /// otherwise. The payload is copied once.
    ///
    /// A message of QoS 1 or 2 returns its packet identifier and ends in exactly one
    /// [`Event::Published`](crate::Event::Published); one of QoS 0 returns `None`. A Message Expiry Interval counts from
    /// the poll that follows until the message is first shown to a transport.
    ///
    /// # Errors
    ///
    /// [`CommandError::Full`], [`CommandError::TooLarge`], what the server does not support, or what the standard forbids;
    /// [`CommandError::Offline`] before the first [`connect`](Self::connect), which decides on the version.
    pub fn publish(&mut self, publish: &Publish<'_>) -> Result<Option<PacketId>, CommandError> {
        attempt!("publish", self.0.engine().publish(publish))
    }

    /// Publishes a message whose payload of `len` bytes is written in place by `fill`; the payload in `publish` does not
    /// count.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish); `fill` is not called then.
    pub fn publish_with(
        &mut self,
        publish: &Publish<'_>,
        len: usize,
        fill: impl FnOnce(&mut [u8]),
    ) -> Result<Option<PacketId>, CommandError> {
        attempt!("publish_with", self.0.engine().publish_with(publish, len, fill))
    }

    /// Asks for subscriptions, now or once CONNACK is here. It ends in [`Event::Subscribed`](crate::Event::Subscribed) or, with its
    /// connection or the attempt to make one, in [`Event::RequestLost`](crate::Event::RequestLost). Before CONNACK it is not known what
    /// the server supports; what CONNACK then rules out ends in [`Event::RequestUnsendable`](crate::Event::RequestUnsendable).
    ///
    /// ```
    /// use mqtt_session::{Connect, Inbox, Instant, QoS, Session, Step, Subscribe, Subscription, Version};
    ///
    /// # #[cfg(feature = "v311")] {
    /// let mut session: Session<256, 8, 8> = Session::new();
    /// let mut inbox: Inbox<[u8; 256]> = Inbox::new();
    /// session.connect(&mut inbox, &Connect::new(Version::V311, "meter-7"))?;
    /// let subscriptions = [Subscription::new("limits/#", QoS::AtLeastOnce)];
    /// session.subscribe(&Subscribe { subscriptions: &subscriptions, ..Subscribe::default() })?;
    /// # }
    /// # Ok::<(), mqtt_session::CommandError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`CommandError::Offline`] unless there is a connection or one has been asked for by [`connect`](Self::connect); what the server
    /// does not support; and as [`publish`](Self::publish).
    pub fn subscribe(&mut self, subscribe: &Subscribe<'_>) -> Result<PacketId, CommandError> {
        attempt!("subscribe", self.0.engine().subscribe(subscribe))
    }

    /// Ends subscriptions, now or once CONNACK is here. It ends in [`Event::Unsubscribed`](crate::Event::Unsubscribed), or as
    /// [`subscribe`](Self::subscribe) may.
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    pub fn unsubscribe(&mut self, unsubscribe: &Unsubscribe<'_>) -> Result<PacketId, CommandError> {
        attempt!("unsubscribe", self.0.engine().unsubscribe(unsubscribe))
    }

    /// Acknowledges a message, where that is the application's task. Messages may be acknowledged in any order; their
    /// acknowledgements leave in the order of the messages. [MQTT-4.6.0-2], [MQTT-4.6.0-3]
    ///
    /// # Errors
    ///
    /// [`CommandError::StaleHandle`] if the message is acknowledged already, or gone; [`CommandError::Forbidden`] or
    /// [`CommandError::NotInVersion`] for a reason code that the acknowledgement cannot carry.
    pub fn acknowledge(&mut self, handle: Handle, reason_code: ReasonCode) -> Result<(), CommandError> {
        attempt!("acknowledge", self.0.engine().acknowledge(handle, reason_code))
    }

    /// Acknowledges a message with a Reason String, User Properties, or both; 5.0 only. Without properties it is
    /// [`acknowledge`](Self::acknowledge).
    ///
    /// The acknowledgement is queued at once, because properties have no place to wait in. So the message must be the next one: all
    /// that came before it are acknowledged. They go with the acknowledgement once: a PUBREC that is sent again because the message
    /// came again leaves without them.
    ///
    /// # Errors
    ///
    /// [`CommandError::NotNext`] if another message is to be acknowledged first, or if this one, of QoS 2, is of an earlier connection
    /// and did not come again; [`CommandError::Offline`] if its connection is gone; [`CommandError::TooLarge`] if the acknowledgement
    /// takes more bytes than `CONTROL` or the peer has: without properties it fits ([MQTT-3.4.2-2], [MQTT-3.4.2-3], [MQTT-3.5.2-2],
    /// [MQTT-3.5.2-3]); [`CommandError::Full`]; [`CommandError::NotInVersion`] in 3.1.1; and as [`acknowledge`](Self::acknowledge).
    ///
    /// ```
    /// # #[cfg(feature = "v5")] {
    /// # use mqtt_session::{Acknowledge, CommandError, Connect, Event, Inbox, Instant, Properties, Property, ReasonCode, Session, Step, Version};
    /// # let (mut session, mut inbox): (Session<256, 8, 8>, Inbox<[u8; 256]>) = (Session::new(), Inbox::new());
    /// # let now = Instant::from_millis(0);
    /// let manual = Connect { acknowledgement: Acknowledge::Manually, ..Connect::new(Version::V5, "valves") };
    /// # session.connect(&mut inbox, &manual)?;
    /// # session.poll(&mut inbox, now);
    /// # session.transmitted(usize::MAX);
    /// # let received = b"\x20\x03\0\0\0\x32\x07\0\x01t\0\x07\0x";
    /// # inbox.space()[..received.len()].copy_from_slice(received);
    /// # inbox.filled(received.len());
    /// # session.poll(&mut inbox, now);
    /// // Connected, and then a message comes.
    /// let Step::Event(Event::Message(message)) = session.poll(&mut inbox, now) else { panic!() };
    /// let handle = message.handle.unwrap();
    /// let why = [Property::ReasonString("no such valve"), Property::UserProperty("valve", "7")];
    /// match session.acknowledge_with(handle, ReasonCode::TopicNameInvalid, Properties::of(&why)) {
    ///     // Others come first, or the server takes no packet so long: the reason code alone may wait.
    ///     Err(CommandError::NotNext | CommandError::TooLarge { .. }) => {
    ///         session.acknowledge(handle, ReasonCode::TopicNameInvalid)?;
    ///     }
    ///     done => done?,
    /// }
    /// let Step::Transmit([0x40, _, 0, 7, 0x90, ..]) = session.poll(&mut inbox, now) else { panic!() };
    /// # }
    /// # Ok::<(), mqtt_session::CommandError>(())
    /// ```
    pub fn acknowledge_with(
        &mut self,
        handle: Handle,
        reason_code: ReasonCode,
        properties: Properties<'_>,
    ) -> Result<(), CommandError> {
        attempt!("acknowledge_with", self.0.engine().acknowledge_with(handle, reason_code, properties))
    }

    /// Ends the connection by DISCONNECT. [`Disconnect::when`] says what leaves first: by default everything that needs no answer,
    /// which is acknowledgements, messages of QoS 0, and messages of QoS 1 and 2 within the quota.
    ///
    /// From now on every `publish`, `subscribe` and `unsubscribe` is refused as [`CommandError::Closing`]. Of what the server sends from
    /// now on, the session takes only acknowledgements: a message that is behind in the inbox comes again on the next connection.
    ///
    /// Before CONNACK nothing may leave but CONNECT and AUTH, so DISCONNECT follows them at once ([MQTT-3.1.2-30]): queued messages wait
    /// for the next connection, or are dropped, as after any connection, and queued requests end in
    /// [`Event::RequestLost`](crate::Event::RequestLost). A CONNACK that comes before the transport is closed still counts:
    /// [`Event::Connected`](crate::Event::Connected) says whether the server had the session, or the connection ends in
    /// [`CloseReason::ConnectionRefused`](crate::CloseReason::ConnectionRefused). Without CONNACK the session stays what it was, and a
    /// clean start is asked for again by the next `connect`. [`DisconnectWhen::Completed`](crate::DisconnectWhen::Completed) waits for CONNACK.
    ///
    /// ```
    /// # #[cfg(feature = "v311")] {
    /// # use mqtt_session::{CloseReason, Connect, Disconnect, Inbox, Instant, Session, Step, Version};
    /// # let (mut session, mut inbox): (Session<256, 8, 8>, Inbox<[u8; 256]>) = (Session::new(), Inbox::new());
    /// # let now = Instant::from_millis(0);
    /// session.connect(&mut inbox, &Connect::new(Version::V311, "meter-7"))?;
    /// session.disconnect(&Disconnect::default())?;
    /// let Step::Transmit([0x10, ..]) = session.poll(&mut inbox, now) else { panic!() };
    /// session.transmitted(usize::MAX);
    /// let Step::Transmit([0xE0, 0]) = session.poll(&mut inbox, now) else { panic!() };
    /// session.transmitted(2);
    /// let Step::Close(CloseReason::Disconnected) = session.poll(&mut inbox, now) else { panic!() };
    /// # }
    /// # Ok::<(), mqtt_session::CommandError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`CommandError::Offline`] unless there is a connection or one has been asked for by [`connect`](Self::connect);
    /// [`CommandError::Closing`]; [`CommandError::ExpiryRaised`]; [`CommandError::Forbidden`] for what DISCONNECT cannot say;
    /// [`CommandError::Full`] if DISCONNECT does not fit now, because CONNECT is not yet written or DISCONNECT has long properties.
    pub fn disconnect(&mut self, disconnect: &Disconnect<'_>) -> Result<(), CommandError> {
        attempt!("disconnect", self.0.engine().disconnect(disconnect))
    }

    /// Asks the server now whether it is there: PINGREQ. Its PINGRESP is told as [`Event::Pinged`](crate::Event::Pinged), with the
    /// time that it took, which those of the keep alive are not. If none comes, nor anything else, within `Connect::response_timeout`,
    /// the connection ends in [`CloseReason::PingTimeout`](crate::CloseReason::PingTimeout), also where the keep alive is 0. No event
    /// comes if the connection ends before.
    ///
    /// PINGRESP does not say which PINGREQ it answers, so one is under way at a time: a further `ping` asks for nothing more until the
    /// event has come, and one that finds a PINGREQ of the keep alive under way is sent behind its answer.
    ///
    /// # Errors
    ///
    /// [`CommandError::Offline`] unless connected; [`CommandError::Closing`]; [`CommandError::Full`] if what must leave first takes all
    /// `CONTROL` bytes; [`CommandError::TooLarge`] for a server that takes no packet of two bytes.
    ///
    /// ```
    /// # use mqtt_session::{Connect, Event, Inbox, Instant, Session, Step, Version};
    /// # #[cfg(feature = "v311")] {
    /// # let mut session: Session<256, 8, 8> = Session::new();
    /// # let mut inbox: Inbox<[u8; 256]> = Inbox::new();
    /// # session.connect(&mut inbox, &Connect::new(Version::V311, "meter-7"))?;
    /// # let Step::Transmit(connect) = session.poll(&mut inbox, Instant::from_millis(0)) else { panic!() };
    /// # let written = connect.len();
    /// # session.transmitted(written);
    /// # inbox.space()[..4].copy_from_slice(&[0x20, 2, 0, 0]);
    /// # inbox.filled(4);
    /// # let Step::Event(Event::Connected(_)) = session.poll(&mut inbox, Instant::from_millis(5)) else { panic!() };
    /// session.ping()?;
    /// let Step::Transmit([0xC0, 0]) = session.poll(&mut inbox, Instant::from_millis(100)) else { panic!() };
    /// session.transmitted(2);
    /// inbox.space()[..2].copy_from_slice(&[0xD0, 0]);
    /// inbox.filled(2);
    /// match session.poll(&mut inbox, Instant::from_millis(142)) {
    ///     Step::Event(Event::Pinged { round_trip }) => assert_eq!(round_trip.as_millis(), 42),
    ///     step => panic!("{step:?}"),
    /// }
    /// # }
    /// # Ok::<(), mqtt_session::CommandError>(())
    /// ```
    pub fn ping(&mut self) -> Result<(), CommandError> {
        attempt!("ping", self.0.engine().ping())
    }

    /// Sends AUTH: the answer to [`Event::Authenticating`](crate::Event::Authenticating), or a re-authentication.
    /// [MQTT-4.12.0-3], [MQTT-4.12.1-1]
    ///
    /// # Errors
    ///
    /// [`CommandError::NotAuthenticating`] unless it is due and has the method of CONNECT; [`CommandError::Full`].
    pub fn authenticate(&mut self, auth: &Auth<'_>) -> Result<(), CommandError> {
        attempt!("authenticate", self.0.engine().authenticate(auth))
    }

    /// Takes back a publish that was never shown to a transport; no event follows. `false` if it is too late.
    pub fn cancel(&mut self, packet_id: PacketId) -> bool {
        self.0.engine().cancel(packet_id)
    }

    /// Gives up a publish of QoS 1 or 2 that was sent and is not acknowledged: it is not sent again, and ends in
    /// [`Outcome::GivenUp`](crate::Outcome::GivenUp), or in what the server says of it if that comes before the event. For a message at which the
    /// server ends each connection. `false` if it was never sent ([`cancel`](Self::cancel) takes that back), if the server has it already
    /// (PUBREC), or if its outcome is decided.
    ///
    /// **It departs from the standard**, which has both ends send again what is unacknowledged ([MQTT-4.4.0-1]): the message may have
    /// arrived or not, once or, with QoS 2, half way. So its identifier stays taken, and with it one of `OUTBOUND`, until the session
    /// ends; else the server could take another message for a repeat of this one. If the server acknowledges it late, the exchange comes to its
    /// end without an event, PUBREC being answered by PUBREL. On the connection that it was sent on it counts against the quota until
    /// then. Its bytes in the store are free at once, or when the rest of it is written.
    ///
    /// ```
    /// # #[cfg(feature = "v311")] {
    /// # use mqtt_session::{Connect, Event, Inbox, Instant, Outcome, Publish, QoS, Session, Step, Version};
    /// # let mut inbox: Inbox<[u8; 256]> = Inbox::new();
    /// # let mut session: Session<256, 8, 8> = Session::new();
    /// # session.connect(&mut inbox, &Connect { clean_start: false, ..Connect::new(Version::V311, "meter-7") })?;
    /// # session.poll(&mut inbox, Instant::from_millis(0));
    /// # session.transmitted(usize::MAX);
    /// # inbox.space()[..4].copy_from_slice(&[0x20, 2, 0, 0]);
    /// # inbox.filled(4);
    /// # session.poll(&mut inbox, Instant::from_millis(0));
    /// # let now = Instant::from_millis(0);
    /// let id = session.publish(&Publish { qos: QoS::AtLeastOnce, ..Publish::new("power", b"230 W") })?.unwrap();
    /// let Step::Transmit(_) = session.poll(&mut inbox, now) else { panic!() };
    /// session.connection_lost();
    /// assert!(session.give_up(id));
    /// let Step::Event(Event::Published { packet_id, outcome: Outcome::GivenUp, .. }) = session.poll(&mut inbox, now) else { panic!() };
    /// assert_eq!((packet_id, session.pending()), (id, 1));
    /// # }
    /// # Ok::<(), mqtt_session::CommandError>(())
    /// ```
    pub fn give_up(&mut self, packet_id: PacketId) -> bool {
        self.0.engine().give_up(packet_id)
    }

    /// The length in bytes of the largest packet that fits into the store now; 0: none. It compares with what
    /// [`CommandError::TooLarge`] says is needed of [`SizeLimit::Store`](crate::SizeLimit::Store). While a CONNECT that is larger than
    /// `CONTROL` is being written, its bytes are not free.
    ///
    /// ```
    /// let session: &mqtt_session::Session<256, 8, 8> = &mqtt_session::Session::new();
    /// assert_eq!(session.free_space(), 240);
    /// ```
    #[must_use]
    pub fn free_space(&self) -> usize {
        self.0.records().room()
    }

    /// How many publishes of QoS 1 and 2, subscribes and unsubscribes are under way, queued ones included, and those whose identifier
    /// stays taken: given up, or [`Unsendable`](crate::Outcome::Unsendable) after they were sent. Publishes take at most
    /// `OUTBOUND` - 1, and all if that is 1; with a subscribe or unsubscribe there may be one more.
    #[must_use]
    pub const fn pending(&self) -> u16 {
        self.0.core.identifiers.taken()
    }

    /// How many received messages of QoS 1 and 2 are not completely acknowledged: of QoS 2 until PUBREL is here, of QoS 1 until
    /// the application, or after its event the session, has acknowledged them. 0 says that a `disconnect` breaks no exchange that the
    /// server began; [`DisconnectWhen::Completed`](crate::DisconnectWhen::Completed) waits for that.
    #[must_use]
    pub const fn pending_received(&self) -> u16 {
        self.0.core.pending_received()
    }

    /// Whether everything has left that needs no answer: what was accepted of QoS 0, SUBSCRIBE and UNSUBSCRIBE, and the acknowledgements of messages
    /// that are handled; and no packet is half written. "Left" means that the transport took it, as `transmitted` was told.
    ///
    /// What was accepted of QoS 0 and does not leave is told by [`Event::Dropped`](crate::Event::Dropped).
    ///
    /// ```
    /// # #[cfg(feature = "v311")] {
    /// # use mqtt_session::{Connect, Inbox, Instant, Session, Version};
    /// # let (mut session, mut inbox): (Session<256, 8, 8>, Inbox<[u8; 256]>) = (Session::new(), Inbox::new());
    /// assert!(session.is_flushed());
    /// session.connect(&mut inbox, &Connect::new(Version::V311, "meter-7"))?;
    /// assert!(!session.is_flushed(), "CONNECT waits");
    /// session.poll(&mut inbox, Instant::from_millis(0));
    /// session.transmitted(usize::MAX);
    /// assert!(session.is_flushed());
    /// # }
    /// # Ok::<(), mqtt_session::CommandError>(())
    /// ```
    #[must_use]
    pub const fn is_flushed(&self) -> bool {
        self.0.is_flushed()
    }

    /// The next instant at which time demands something of the session.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.0.next_deadline()
    }

    /// Whether CONNACK has come and nothing has ended the connection since.
    #[must_use]
    pub fn is_online(&self) -> bool {
        self.0.core.phase == Phase::Online
    }

    #[cfg(feature = "durable")]
    pub(crate) const fn memory(&mut self) -> &mut Memory<Client, STORE, OUTBOUND, INBOUND, CONTROL> {
        &mut self.0
    }

    #[cfg(feature = "durable")]
    pub(crate) const fn memory_ref(&self) -> &Memory<Client, STORE, OUTBOUND, INBOUND, CONTROL> {
        &self.0
    }
}

impl<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize, const CONTROL: usize> Default
    for Session<STORE, OUTBOUND, INBOUND, CONTROL>
{
    fn default() -> Self {
        Self::new()
    }
}

impl<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize, const CONTROL: usize> fmt::Debug
    for Session<STORE, OUTBOUND, INBOUND, CONTROL>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(feature = "defmt")]
impl<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize, const CONTROL: usize> defmt::Format
    for Session<STORE, OUTBOUND, INBOUND, CONTROL>
{
    fn format(&self, f: defmt::Formatter<'_>) {
        self.0.format(f);
    }
}

// What the README promises: a client with eight messages each way, besides the bytes of packets.
#[cfg(target_pointer_width = "32")]
const _: () = assert!(size_of::<Session<0, 8, 8, 0>>() <= if cfg!(feature = "streaming") { 260 } else { 256 });
