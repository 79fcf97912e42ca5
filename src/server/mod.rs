//! The server's end of a connection: for brokers, and for tests that need one. (feature `server`)
//!
//! [`Session`] is the mirror image of the client's: the same loop, the same messages both ways, and events for what only
//! a server receives.

mod command;
mod connection;
mod event;
mod identity;
mod requests;
mod state;
#[cfg(feature = "streaming")]
mod streaming;

use core::fmt;
use core::time::Duration;

use crate::command::{Disconnect, Publish};
use crate::engine::state::{Phase, SessionLifetime};
use crate::engine::{Memory, SHORTEST};
use crate::error::CommandError;
use crate::event::{Handle, Step};
use crate::inbox::Inbox;
use crate::report::attempt;
use crate::time::Instant;
use crate::wire::{Auth, PacketId, Properties, ReasonCode, Suback, Unsuback};

#[cfg(feature = "durable")]
pub(crate) use self::identity::hash as client_hash;
#[cfg(feature = "durable")]
pub(crate) use self::state::Server;
#[cfg(not(feature = "durable"))]
use self::state::Server;

pub use self::command::{Accept, Liveness};
pub use self::event::Event;

/// The server's end of an MQTT session, over any number of connections.
///
/// For each new transport: fill an [`Inbox`], look by [`Inbox::peek_connect`] whose session it is, [`open`](Self::open) the
/// session, and poll it with that inbox. The version of the connection is that of CONNECT. When the client identifier is in
/// use on another connection, [`disconnect`](Self::disconnect) that first with
/// [`SessionTakenOver`](ReasonCode::SessionTakenOver) and poll it to its end: a session has one transport at a time.
/// [MQTT-3.1.4-2] in 3.1.1, [MQTT-3.1.4-3] in 5.0
///
/// The memory is in the type, as that of the client's [`Session`](crate::Session): `STORE` bytes for packets to send, each
/// with 16 more; `OUTBOUND` and `INBOUND` messages of QoS 1 and 2 under way to the client and from it; `CONTROL` bytes for CONNACK,
/// SUBACK, acknowledgements and the like, at least 14.
///
/// ```
/// use mqtt_session::server::{Accept, Event, Session};
/// use mqtt_session::{Inbox, Instant, Step};
///
/// # #[cfg(feature = "v311")] {
/// let mut session: Session<256, 8, 8> = Session::new();
/// let mut inbox: Inbox<[u8; 256]> = Inbox::new();
/// session.open(core::time::Duration::from_secs(10));
/// let connect = b"\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01a";
/// inbox.space()[..connect.len()].copy_from_slice(connect);
/// inbox.filled(connect.len());
/// match session.poll(&mut inbox, Instant::from_millis(0)) {
///     Step::Event(Event::Connecting { connect, .. }) if connect.client_id == "a" => session.accept(&Accept::default())?,
///     step => panic!("{step:?}"),
/// }
/// let Step::Transmit(connack) = session.poll(&mut inbox, Instant::from_millis(0)) else { panic!() };
/// assert_eq!(connack, [0x20, 2, 0, 0]);
/// # }
/// # Ok::<(), mqtt_session::CommandError>(())
/// ```
///
/// Two sessions are equal if they mean the same, as those of the client's end. `Debug` shows no stored bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Session<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize, const CONTROL: usize = 256>(
    Memory<Server, STORE, OUTBOUND, INBOUND, CONTROL>,
);

impl<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize, const CONTROL: usize>
    Session<STORE, OUTBOUND, INBOUND, CONTROL>
{
    /// A session that nobody has connected to, all zero bits. With fewer than 14 `CONTROL` bytes it does not compile: no CONNECT
    /// would ever be read, as there would be no room for what may have to answer it.
    ///
    /// ```compile_fail,E0080
    /// let session: mqtt_session::server::Session<256, 8, 8, 13> = mqtt_session::server::Session::new();
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        const { assert!(CONTROL >= SHORTEST, "a server's end needs at least 14 CONTROL bytes") };
        Self(Memory::NEW)
    }

    /// Begins a connection over a new transport; an earlier one counts as lost. CONNECT must come within `response_timeout` seconds,
    /// and so must each answer of an authentication, which takes no longer than ten times as long in all. The inbox of the connection is new, or was cleared before its first
    /// bytes came in.
    pub fn open(&mut self, response_timeout: Duration) {
        self.0.engine().open(response_timeout);
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

    /// Accepts the connection: the answer to [`Event::Connecting`], or to [`Event::Authenticating`] before it. What is left of
    /// a session that this is not the continuation of is given up: what was in flight or queued is reported as lost.
    ///
    /// # Errors
    ///
    /// [`CommandError::NothingToAnswer`] unless CONNECT is to be answered, and for Response Information that it did not ask for;
    /// [`CommandError::TooLarge`] if CONNACK takes more bytes than `CONTROL` or the client has;
    /// [`CommandError::ClientIdentifierMissing`]; [`CommandError::QosUnsupported`] or [`CommandError::RetainUnsupported`] for a will that this
    /// CONNACK says could not be published; [`CommandError::NotAuthenticating`] if the authentication method is not repeated;
    /// [`CommandError::Reserved`], [`CommandError::Forbidden`] or [`CommandError::NotInVersion`] for what CONNACK cannot say.
    pub fn accept(&mut self, accept: &Accept<'_>) -> Result<(), CommandError> {
        attempt!("accept", self.0.engine().accept(accept))
    }

    /// Refuses the connection: the answer to [`Event::Connecting`], or to [`Event::Authenticating`] before `accept`. `Close`
    /// follows. The session stays as it is. [MQTT-3.1.4-2]
    ///
    /// # Errors
    ///
    /// [`CommandError::NothingToAnswer`] unless CONNECT is to be answered; [`CommandError::TooLarge`]; [`CommandError::Forbidden`] or
    /// [`CommandError::NotInVersion`] for what CONNACK cannot say: 3.1.1 has five codes.
    pub fn reject(&mut self, reason_code: ReasonCode, properties: Properties<'_>) -> Result<(), CommandError> {
        attempt!("reject", self.0.engine().reject(reason_code, properties))
    }

    /// Sends AUTH: the answer to CONNECT with an authentication method, or to [`Event::Authenticating`]. [MQTT-4.12.0-2]
    ///
    /// # Errors
    ///
    /// [`CommandError::NotAuthenticating`] unless it is due and has the method of CONNECT; [`CommandError::TooLarge`];
    /// [`CommandError::Full`].
    pub fn authenticate(&mut self, auth: &Auth<'_>) -> Result<(), CommandError> {
        attempt!("authenticate", self.0.engine().authenticate(auth))
    }

    /// Answers [`Event::Subscribing`].
    ///
    /// # Errors
    ///
    /// [`CommandError::NothingToAnswer`] unless it has that identifier and as many codes as there are subscriptions; [`CommandError::Full`] or
    /// [`CommandError::TooLarge`] if properties take more room than there is; [`CommandError::Forbidden`] or [`CommandError::NotInVersion`]
    /// for what SUBACK cannot say.
    pub fn suback(&mut self, suback: &Suback<'_>) -> Result<(), CommandError> {
        attempt!("suback", self.0.engine().suback(suback))
    }

    /// Answers [`Event::Unsubscribing`]. In 3.1.1 the codes are not sent.
    ///
    /// # Errors
    ///
    /// As [`suback`](Self::suback).
    pub fn unsuback(&mut self, unsuback: &Unsuback<'_>) -> Result<(), CommandError> {
        attempt!("unsuback", self.0.engine().unsuback(unsuback))
    }

    /// Publishes a message to the client, now or, if there is no connection, later. The payload is copied once.
    ///
    /// A message of QoS 1 or 2 returns its packet identifier and ends in exactly one [`Event::Published`]; one of QoS 0
    /// returns `None`. A Message Expiry Interval counts from the poll that follows until the message is first shown to a
    /// transport, and what is left of it then is what the client is told, in whole seconds. [MQTT-3.3.2-6] One of more than 17
    /// years stays as it is given.
    ///
    /// # Errors
    ///
    /// [`CommandError::Full`], [`CommandError::TooLarge`], or what the standard forbids; [`CommandError::Offline`] before the first
    /// [`accept`](Self::accept), which decides on the version.
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
    /// came again leaves without them. A client that wants no
    /// diagnostics gets none: the properties are left out. [MQTT-3.1.2-29]
    ///
    /// # Errors
    ///
    /// [`CommandError::NotNext`] if another message is to be acknowledged first, or if this one, of QoS 2, is of an earlier connection
    /// and did not come again; [`CommandError::Offline`] if its connection is gone; [`CommandError::TooLarge`] if the acknowledgement
    /// takes more bytes than `CONTROL` or the peer has: without properties it fits ([MQTT-3.4.2-2], [MQTT-3.4.2-3], [MQTT-3.5.2-2],
    /// [MQTT-3.5.2-3]); [`CommandError::Full`]; [`CommandError::NotInVersion`] in 3.1.1; and as [`acknowledge`](Self::acknowledge).
    ///
    /// An example is at [the client's](crate::Session::acknowledge_with).
    pub fn acknowledge_with(
        &mut self,
        handle: Handle,
        reason_code: ReasonCode,
        properties: Properties<'_>,
    ) -> Result<(), CommandError> {
        attempt!("acknowledge_with", self.0.engine().acknowledge_with(handle, reason_code, properties))
    }

    /// Ends the connection by DISCONNECT; in 3.1.1, where a server has no such packet, by closing the transport.
    /// [`Disconnect::when`] says what leaves first: by default everything that needs no answer, which is acknowledgements, messages
    /// of QoS 0, and messages of QoS 1 and 2 within the quota.
    ///
    /// From now on every `publish` is refused as [`CommandError::Closing`]. Of what the client sends from now on, the session takes only
    /// acknowledgements and DISCONNECT.
    ///
    /// Before [`accept`](Self::accept) a server may not send DISCONNECT: [`reject`](Self::reject) says no by CONNACK. [MQTT-3.14.0-1]
    ///
    /// # Errors
    ///
    /// [`CommandError::Offline`] unless connected; [`CommandError::Closing`]; [`CommandError::Forbidden`] for what DISCONNECT cannot say;
    /// [`CommandError::Full`] if it does not fit now.
    pub fn disconnect(&mut self, disconnect: &Disconnect<'_>) -> Result<(), CommandError> {
        attempt!("disconnect", self.0.engine().disconnect(disconnect))
    }

    /// Takes back a publish that was never shown to a transport; no event follows. `false` if it is too late.
    pub fn cancel(&mut self, packet_id: PacketId) -> bool {
        self.0.engine().cancel(packet_id)
    }

    /// Gives up a publish of QoS 1 or 2 that was sent and is not acknowledged: it is not sent again, and ends in
    /// [`Outcome::GivenUp`](crate::Outcome::GivenUp), or in what the client says of it if that comes before the event. For a message at which the
    /// client ends each connection. `false` if it was never sent ([`cancel`](Self::cancel) takes that back), if the client has it already
    /// (PUBREC), or if its outcome is decided.
    ///
    /// **It departs from the standard**, which has both ends send again what is unacknowledged ([MQTT-4.4.0-1]): the message may have
    /// arrived or not, once or, with QoS 2, half way. So its identifier stays taken, and with it one of `OUTBOUND`, until the session
    /// ends; else the client could take another message for a repeat of this one. If the client acknowledges it late, the exchange comes to its
    /// end without an event, PUBREC being answered by PUBREL. On the connection that it was sent on it counts against the quota until
    /// then. Its bytes in the store are free at once, or when the rest of it is written.
    pub fn give_up(&mut self, packet_id: PacketId) -> bool {
        self.0.engine().give_up(packet_id)
    }

    /// The length in bytes of the largest packet that fits into the store now; 0: none. It compares with what
    /// [`CommandError::TooLarge`] says is needed of [`SizeLimit::Store`](crate::SizeLimit::Store).
    ///
    /// ```
    /// let session: &mqtt_session::server::Session<256, 8, 8> = &mqtt_session::server::Session::new();
    /// assert_eq!(session.free_space(), 240);
    /// ```
    #[must_use]
    pub fn free_space(&self) -> usize {
        self.0.records().room()
    }

    /// How many publishes of QoS 1 and 2 are under way, queued ones included, and those whose identifier stays taken: given up, or
    /// [`Unsendable`](crate::Outcome::Unsendable) after they were sent.
    #[must_use]
    pub const fn pending(&self) -> u16 {
        self.0.core.identifiers.taken()
    }

    /// How many received messages of QoS 1 and 2 are not completely acknowledged: of QoS 2 until PUBREL is here, of QoS 1 until
    /// the application, or after its event the session, has acknowledged them. 0 says that a `disconnect` breaks no exchange that the
    /// client began; [`DisconnectWhen::Completed`](crate::DisconnectWhen::Completed) waits for that.
    #[must_use]
    pub const fn pending_received(&self) -> u16 {
        self.0.core.pending_received()
    }

    /// Whether everything has left that needs no answer: what was accepted of QoS 0, and the acknowledgements of messages
    /// that are handled; and no packet is half written. "Left" means that the transport took it, as `transmitted` was told.
    ///
    /// What was accepted of QoS 0 and does not leave is told by [`Event::Dropped`].
    #[must_use]
    pub const fn is_flushed(&self) -> bool {
        self.0.is_flushed()
    }

    /// The next instant at which time demands something of the connection.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.0.next_deadline()
    }

    /// Whether CONNECT was accepted and nothing has ended the connection since.
    #[must_use]
    pub fn is_online(&self) -> bool {
        self.0.core.phase == Phase::Online
    }

    /// Whether there is a session that outlives its connection. If not, nothing of it is left once the connection is over.
    /// [MQTT-3.1.2-6] in 3.1.1, [MQTT-3.1.2-23] in 5.0
    ///
    /// A new session outlives its connection only if its CONNACK was written whole, as
    /// [`transmitted`](Self::transmitted) says: a client that was not told of it must not find it later.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        matches!(self.0.core.terms.session_lifetime(), SessionLifetime::Begun | SessionLifetime::Kept)
    }

    /// When a session that waits for its client ends; what is left of it may be forgotten then. `None` while there is a
    /// connection, if there is no session, and if it never ends. [MQTT-3.1.2-23] of 5.0
    #[must_use]
    pub fn expires_at(&self) -> Option<Instant> {
        self.0.core.expires_at()
    }

    #[cfg(feature = "durable")]
    pub(crate) const fn memory(&mut self) -> &mut Memory<Server, STORE, OUTBOUND, INBOUND, CONTROL> {
        &mut self.0
    }

    #[cfg(feature = "durable")]
    pub(crate) const fn memory_ref(&self) -> &Memory<Server, STORE, OUTBOUND, INBOUND, CONTROL> {
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
