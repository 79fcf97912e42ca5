//! The client's session.

pub(crate) mod command;
mod connection;
mod requests;

use core::fmt;

use crate::command::{Disconnect, Publish};
use crate::engine::Memory;
use crate::engine::state::Phase;
use crate::error::CommandError;
use crate::event::{Event, Handle, Step};
use crate::inbox::Inbox;
use crate::report::attempt;
use crate::time::Instant;
use crate::wire::{Auth, PacketId, ReasonCode};

use self::command::{Connect, Subscribe, Unsubscribe};
use self::connection::Client;

/// The client's end of an MQTT session, over any number of connections.
///
/// It does no I/O and reads no clock. Time enters and events leave only through [`poll`](Self::poll), which says what to do
/// next. Commands ([`connect`](Self::connect), [`publish`](Self::publish), [`subscribe`](Self::subscribe), ...) may be
/// called at any time, also from within the handling of an event. A refused command has changed nothing.
///
/// The memory is in the type:
///
/// * `STORE`: bytes for packets that wait to be sent or acknowledged; each takes 16 bytes besides its own.
/// * `OUTBOUND`: how many publishes of QoS 1 and 2, subscribes and unsubscribes may be under way: 0 to 65,535.
/// * `INBOUND`: how many received messages may be under way, those of QoS 1 only with manual acknowledgement: 0 to 65,535.
/// * `CONTROL`: bytes for CONNECT, AUTH, DISCONNECT and acknowledgements, which a full store never blocks: up to 65,535.
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
    /// [`CommandError::TooLarge`] if CONNECT takes more than `CONTROL` bytes; [`CommandError::OtherSession`] if the session, or what
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

    /// Asks for subscriptions. It ends in [`Event::Subscribed`](crate::Event::Subscribed) or, with its connection, in
    /// [`Event::RequestLost`](crate::Event::RequestLost).
    ///
    /// # Errors
    ///
    /// [`CommandError::Offline`] unless connected, and as [`publish`](Self::publish).
    pub fn subscribe(&mut self, subscribe: &Subscribe<'_>) -> Result<PacketId, CommandError> {
        attempt!("subscribe", self.0.engine().subscribe(subscribe))
    }

    /// Ends subscriptions. It ends in [`Event::Unsubscribed`](crate::Event::Unsubscribed) or, with its connection, in
    /// [`Event::RequestLost`](crate::Event::RequestLost).
    ///
    /// # Errors
    ///
    /// [`CommandError::Offline`] unless connected, and as [`publish`](Self::publish).
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

    /// Ends the connection, after everything that needs no answer has left: acknowledgements, messages of QoS 0, and
    /// those of QoS 1 and 2 within the quota. Of what is received from now on, only acknowledgements are taken: a message that
    /// is behind in the inbox comes again on the next connection.
    ///
    /// # Errors
    ///
    /// [`CommandError::Offline`] unless connected; [`CommandError::ExpiryRaised`]; [`CommandError::Full`] if a DISCONNECT with long
    /// properties does not fit now.
    pub fn disconnect(&mut self, disconnect: &Disconnect<'_>) -> Result<(), CommandError> {
        attempt!("disconnect", self.0.engine().disconnect(disconnect))
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

    /// The length in bytes of the largest packet that fits into the store now; 0: none.
    ///
    /// ```
    /// let session: &mqtt_session::Session<256, 8, 8> = &mqtt_session::Session::new();
    /// assert_eq!(session.free_space(), 240);
    /// ```
    #[must_use]
    pub fn free_space(&self) -> usize {
        self.0.records().room()
    }

    /// How many publishes of QoS 1 and 2, subscribes and unsubscribes are under way, queued ones included.
    #[must_use]
    pub const fn pending(&self) -> u16 {
        self.0.core.identifiers.taken()
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
const _: () = assert!(size_of::<Session<0, 8, 8, 0>>() <= 256);
