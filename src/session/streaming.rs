//! The commands for messages that are larger than memory.

use crate::command::{Publish, Source};
use crate::error::CommandError;
use crate::report::attempt;
use crate::wire::{PacketId, ReasonCode};

use super::Session;

impl<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize, const CONTROL: usize>
    Session<STORE, OUTBOUND, INBOUND, CONTROL>
{
    /// Publishes a message whose payload stays with the application; the payload in `publish` does not count. The store holds the front of
    /// the packet, one piece of the payload, and 18 bytes. In everything else it is a message like the others: order, quota, expiry,
    /// [`cancel`](Self::cancel), its [`Event::Published`](crate::Event::Published).
    ///
    /// When its turn comes, [`Event::PayloadRequested`](crate::Event::PayloadRequested) asks for the payload piece by piece. It asks again
    /// from the beginning where the message is sent again on another connection, and not after `Published`, unless that comes while
    /// the message is being sent again. Nothing else can leave before the last piece, which is how MQTT is: acknowledgements, other messages and PINGREQ wait. So the next piece must be there
    /// within `Connect::payload_timeout`, or the connection ends. What is received meanwhile is taken as always, as long as the
    /// answers have room in `CONTROL`.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish). [`CommandError::TooLarge`] with [`SizeLimit::Peer`](crate::SizeLimit::Peer) counts the payload, with
    /// [`SizeLimit::Store`](crate::SizeLimit::Store) what the store has to hold.
    ///
    /// ```
    /// # #[cfg(feature = "v311")] {
    /// # use mqtt_session::{Connect, Event, Inbox, Instant, PayloadRequest, Publish, QoS, Session, Source, Step, Version};
    /// # let (mut session, mut inbox): (Session<256, 8, 8>, Inbox<[u8; 256]>) = (Session::new(), Inbox::new());
    /// # let now = Instant::from_millis(0);
    /// # session.connect(&mut inbox, &Connect::new(Version::V311, "meter-7"))?;
    /// # session.poll(&mut inbox, now);
    /// # session.transmitted(usize::MAX);
    /// # inbox.space()[..4].copy_from_slice(&[0x20, 2, 0, 0]);
    /// # inbox.filled(4);
    /// # session.poll(&mut inbox, now);
    /// let log = [b'.'; 10_000];
    /// let publish = Publish { qos: QoS::ExactlyOnce, ..Publish::new("log", &[]) };
    /// session.publish_from(&publish, &Source { piece: 128, ..Source::new(7, 10_000) })?;
    /// let mut sent = 0;
    /// loop {
    ///     match session.poll(&mut inbox, now) {
    ///         Step::Event(Event::PayloadRequested(PayloadRequest { source: 7, offset, .. })) => {
    ///             session.supply(&log[offset as usize..]);
    ///         }
    ///         Step::Transmit(bytes) => {
    ///             sent += bytes.len();
    ///             session.transmitted(usize::MAX);
    ///         }
    ///         _ => break,
    ///     }
    /// }
    /// assert_eq!(sent, 10_010);
    /// # }
    /// # Ok::<(), mqtt_session::CommandError>(())
    /// ```
    pub fn publish_from(&mut self, publish: &Publish<'_>, source: &Source) -> Result<Option<PacketId>, CommandError> {
        attempt!("publish_from", self.0.engine().publish_from(publish, source))
    }

    /// Where the piece of a payload goes that [`Event::PayloadRequested`](crate::Event::PayloadRequested) asks for; report it by
    /// [`payload_filled`](Self::payload_filled). It is never longer than what is left of the payload, and empty if nothing is asked for. It
    /// stays the same until then, however often the session is polled, but if the connection ends it is empty.
    pub fn payload_space(&mut self) -> &mut [u8] {
        self.0.engine().store.into_piece_space()
    }

    /// Says that the first `len` bytes of [`payload_space`](Self::payload_space) were filled; more than there are count as all. 0 says
    /// nothing: the piece is still waited for.
    pub fn payload_filled(&mut self, len: usize) {
        self.0.engine().payload_filled(len);
    }

    /// Copies as much as is asked for to [`payload_space`](Self::payload_space), reports it, and tells how many bytes that was.
    pub fn supply(&mut self, bytes: &[u8]) -> usize {
        self.0.engine().supply(bytes)
    }

    /// Says that the payload that is being sent cannot go on: what it comes from is broken, or shorter than was said. The connection ends in
    /// [`CloseReason::PayloadAborted`](crate::CloseReason::PayloadAborted), because nothing else ends a packet that is half written. A
    /// message of QoS 1 or 2 is asked for again on the next connection, unless [`give_up`](Self::give_up) gives it up before.
    ///
    /// # Errors
    ///
    /// [`CommandError::NothingToAnswer`] if no payload is being sent.
    pub fn abort_payload(&mut self) -> Result<(), CommandError> {
        attempt!("abort_payload", self.0.engine().abort_payload())
    }

    /// Gives up the message that is being received in parts: the rest passes without an event, and is then answered by this code, which in
    /// 3.1.1 does not count. So the peer does not send it again.
    ///
    /// # Errors
    ///
    /// [`CommandError::NothingToAnswer`] if none is, or its last part was told; [`CommandError::Forbidden`] for a reason code that PUBACK
    /// and PUBREC do not have. [MQTT-3.4.2-1], [MQTT-3.5.2-1]
    pub fn discard_message(&mut self, reason_code: ReasonCode) -> Result<(), CommandError> {
        attempt!("discard_message", self.0.engine().discard_message(reason_code))
    }
}
