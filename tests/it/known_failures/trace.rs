//! A session driven as a packet trace: each line of a test is one thing that crosses the border, in order.
//!
//! A [`Trace`] owns a session, its inbox, a clock that stands still unless told otherwise, and the peer's bytes that
//! are not yet read. It touches the session only as an application does: by `poll`, `transmitted`, `connection_lost`
//! and commands. Other tests use it too.
//!
//! Every line is exact: [`sends`](Trace::sends) wants these bytes and no event before them, [`event`](Trace::event)
//! wants an event and no bytes before it, [`quiet`](Trace::quiet) wants neither. What does not fit ends the test
//! with the trace so far.
//!
//! ```text
//! let mut t = Trace::new(Version::V5);
//! t.connects();
//! let id = t.publish(QoS::ExactlyOnce, "a");
//! t.shows(qos2(id, "a"), 3);           // of the packet, three bytes are reported as written
//! t.cut();
//! t.resumes();
//! t.sends(qos2(id, "a").dup());
//! t.receives(pubrec(id));
//! t.sends(pubrel(id));
//! t.quiet();
//! ```
//!
//! Packets are given as hex digits, or by small builders that know the two versions and share no code with the crate:
//! [`qos0`], [`qos1`], [`qos2`], [`puback`] and so on; several packets as a tuple, an array or a slice.
//!
//! The session is kept between connections: Clean Session 0 in 3.1.1, Clean Start 0 and a Session Expiry Interval in
//! 5.0. What a connection asks for lies in [`Trace::options`] and may be changed before it begins.
#![allow(dead_code, reason = "each test uses a part of this module")]
#![allow(clippy::panic, clippy::arithmetic_side_effects, reason = "a fault here is a failed test")]

use core::fmt::Write;
use core::num::NonZeroU16;

use mqtt_session::wire::{AckType, Delivery, Properties};
use mqtt_session::{
    CloseReason, CommandError, Connect, Event, Handle, Inbox, Instant, Outcome, PacketId, Property, Publish, QoS,
    ReasonCode, Session, Step, StrayPacket, Subscribe, Subscription, Version,
};

/// The topic of every message that is not written by hand.
pub(crate) const TOPIC: &str = "t";

/// A session of one client and what is around it.
pub(crate) struct Trace<
    const STORE: usize = 1024,
    const OUTBOUND: usize = 8,
    const INBOUND: usize = 8,
    const CONTROL: usize = 256,
    const INBOX: usize = 256,
> {
    /// What the next connection asks for. CONNECT is checked byte by byte, but not with a will, a user name, a password
    /// or other properties than at first.
    pub(crate) options: Connect<'static>,
    /// The Receive Maximum that the next 5.0 CONNECT must announce: `INBOUND` unless the test knows of held messages.
    pub(crate) announced: u16,
    pub(crate) version: Version,
    pub(crate) session: Session<STORE, OUTBOUND, INBOUND, CONTROL>,
    pub(crate) inbox: Inbox<[u8; INBOX]>,
    now: Instant,
    /// What the peer has sent and the inbox had no space for yet.
    on_the_way: Vec<u8>,
    log: Vec<String>,
}

/// A step without what it borrows.
enum Seen {
    Event(String),
    Transmit(Vec<u8>),
    Wait(Option<Instant>),
    Close(CloseReason),
}

/// A trace of each version.
pub(crate) fn both() -> [Trace; 2] {
    [Trace::new(Version::V311), Trace::new(Version::V5)]
}

impl<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize, const CONTROL: usize, const INBOX: usize>
    Trace<STORE, OUTBOUND, INBOUND, CONTROL, INBOX>
{
    /// A session that was never connected. No keep alive, so that nothing happens by itself.
    pub(crate) fn new(version: Version) -> Self {
        let properties = Properties::for_version(version, &[Property::SessionExpiryInterval(u32::MAX)]);
        let options = Connect { clean_start: false, keep_alive: 0, properties, ..Connect::new(version, "c") };
        Self {
            options,
            announced: u16::try_from(INBOUND).unwrap_or(u16::MAX).max(1),
            version,
            session: Session::new(),
            inbox: Inbox::new(),
            now: Instant::from_millis(1_000),
            on_the_way: Vec::new(),
            log: Vec::new(),
        }
    }

    /// Whether this is a trace of 5.0.
    pub(crate) fn is_v5(&self) -> bool {
        self.version == Version::V5
    }

    // Connections.

    /// Begins a connection and writes CONNECT; CONNACK is left to the test.
    #[track_caller]
    pub(crate) fn connect(&mut self) {
        self.begins();
        self.sends(self.connect_packet());
    }

    /// Loses the link, which tells this first.
    #[track_caller]
    pub(crate) fn cut_with(&mut self, told: &Event<'_>) {
        self.loses_link();
        self.tells(told);
        self.closes(CloseReason::ConnectionLost);
    }

    /// Begins a connection and leaves CONNECT to the test, too.
    #[track_caller]
    pub(crate) fn begins(&mut self) {
        self.log.push("connect".to_owned());
        self.on_the_way.clear();
        let connected = self.session.connect(&mut self.inbox, &self.options);
        self.expect(connected.is_ok(), || format!("connect: {connected:?}"));
    }

    /// A connection to a server without a session.
    #[track_caller]
    pub(crate) fn connects(&mut self) {
        self.connects_with(false, "");
    }

    /// A connection to a server that still has the session.
    #[track_caller]
    pub(crate) fn resumes(&mut self) {
        self.connects_with(true, "");
    }

    /// A connection with Session Present as given, and with these properties of CONNACK as hex digits.
    #[track_caller]
    pub(crate) fn connects_with(&mut self, session_present: bool, properties: &str) {
        self.connect();
        // Nothing leaves before CONNACK, whatever is stored.
        self.quiet();
        self.receives(connack(session_present, properties));
        self.connected(session_present);
    }

    /// The transport is lost, which is all that happens.
    #[track_caller]
    pub(crate) fn cut(&mut self) {
        self.loses_link();
        self.closes(CloseReason::ConnectionLost);
    }

    /// The transport is lost. What was received and not yet read by the session is still in the inbox.
    pub(crate) fn loses_link(&mut self) {
        self.log.push("connection lost".to_owned());
        self.on_the_way.clear();
        self.session.connection_lost();
    }

    /// The connection ends for the peer's fault: in 5.0 with this reason code in a DISCONNECT, in 3.1.1 without a word.
    #[track_caller]
    pub(crate) fn fails(&mut self, cause: CloseReason, code: u8) {
        if self.is_v5() {
            self.sends(vec![0xE0, 0x01, code]);
        }
        self.closes(cause);
    }

    /// The connection is over and stays so.
    #[track_caller]
    pub(crate) fn closes(&mut self, cause: CloseReason) {
        for _ in 0..2 {
            let seen = self.see();
            self.expect(matches!(seen, Seen::Close(found) if found == cause), || {
                format!("Close({cause:?}) expected, not {}", seen.describe())
            });
        }
    }

    // Bytes.

    /// The peer sends this.
    pub(crate) fn receives(&mut self, packets: impl Bytes) {
        let bytes = packets.bytes(self.version);
        self.log.push(format!("<- {}", to_hex(&bytes)));
        self.on_the_way.extend_from_slice(&bytes);
        self.read();
    }

    /// The session writes exactly this, with as many or as few writes as it likes.
    #[track_caller]
    pub(crate) fn sends(&mut self, packets: impl Bytes) {
        let expected = packets.bytes(self.version);
        let mut rest = expected.as_slice();
        while !rest.is_empty() {
            let seen = self.see();
            let Seen::Transmit(shown) = &seen else {
                self.fail(&format!("{} expected, not {}", to_hex(rest), seen.describe()))
            };
            let len = shown.len().min(rest.len());
            let (written, left) = rest.split_at(len);
            self.expect(shown.starts_with(written), || format!("{} expected, not {}", to_hex(rest), to_hex(shown)));
            self.transmits(len);
            rest = left;
        }
    }

    /// The session writes something, whatever it is.
    #[track_caller]
    pub(crate) fn writes(&mut self) {
        let seen = self.see();
        let Seen::Transmit(shown) = &seen else { self.fail(&format!("a write expected, not {}", seen.describe())) };
        self.transmits(shown.len());
    }

    /// The session shows exactly this in one `Transmit`, of which `written` bytes are reported. The rest is lost with
    /// the connection or shown again.
    #[track_caller]
    pub(crate) fn shows(&mut self, packets: impl Bytes, written: usize) {
        let expected = packets.bytes(self.version);
        let seen = self.see();
        self.expect(matches!(&seen, Seen::Transmit(shown) if *shown == expected), || {
            format!("{} expected in one piece, not {}", to_hex(&expected), seen.describe())
        });
        self.transmits(written);
    }

    /// The session writes the rest of a packet of which so many bytes were written.
    #[track_caller]
    pub(crate) fn sends_rest_of(&mut self, packet: impl Bytes, written: usize) {
        let bytes = packet.bytes(self.version);
        self.sends(bytes.get(written..).unwrap_or_default().to_vec());
    }

    /// Neither bytes nor events: the session waits, and the inbox has space.
    #[track_caller]
    pub(crate) fn quiet(&mut self) {
        let seen = self.see();
        self.expect(matches!(seen, Seen::Wait(_)), || format!("nothing expected, not {}", seen.describe()));
        let has_space = !self.inbox.space().is_empty();
        self.expect(has_space, || "the session waits for bytes that have no space".to_owned());
    }

    /// Whether the next step is to write. Nothing of it is reported as written, and an event is not taken.
    pub(crate) fn wants_to_write(&mut self) -> bool {
        // A step may hand out an event, so the question is put to a copy.
        self.read();
        let (mut session, mut inbox) = (self.session.clone(), self.inbox.clone());
        matches!(session.poll(&mut inbox, self.now), Step::Transmit(_))
    }

    /// The next step is to write, of which nothing is reported.
    #[track_caller]
    pub(crate) fn looks(&mut self) {
        let seen = self.see();
        self.expect(matches!(seen, Seen::Transmit(_)), || format!("a write expected, not {}", seen.describe()));
    }

    /// Whether the peer has sent more than the inbox had space for so far.
    pub(crate) fn wants_to_read(&self) -> bool {
        !self.on_the_way.is_empty()
    }

    /// Time passes.
    pub(crate) fn passes(&mut self, millis: u64) {
        self.log.push(format!("{millis} ms"));
        self.now = self.now.after_millis(millis);
    }

    /// What the clock says.
    pub(crate) const fn clock(&self) -> Instant {
        self.now
    }

    /// The clock is set back.
    pub(crate) fn goes_back(&mut self, millis: u64) {
        self.log.push(format!("{millis} ms back"));
        self.now = Instant::from_millis(self.now.as_millis().saturating_sub(millis));
    }

    /// The CONNECT of the options.
    pub(crate) fn connect_packet(&self) -> Vec<u8> {
        let inbox = u32::try_from(self.inbox.capacity()).unwrap_or(u32::MAX);
        let flags = if self.options.clean_start { 0x02 } else { 0x00 };
        let mut body = b"\0\x04MQTT".to_vec();
        body.extend([if self.is_v5() { 5 } else { 4 }, flags]);
        body.extend(self.options.keep_alive.to_be_bytes());
        if self.is_v5() {
            let mut properties = Vec::new();
            if !self.options.properties.is_empty() {
                properties.extend([0x11, 0xFF, 0xFF, 0xFF, 0xFF]);
            }
            properties.push(0x21);
            properties.extend(self.announced.to_be_bytes());
            properties.push(0x27);
            properties.extend(inbox.to_be_bytes());
            let aliases = self.inbox.topic_aliases().maximum;
            if aliases != 0 {
                properties.push(0x22);
                properties.extend(aliases.to_be_bytes());
            }
            body.extend(var_int(properties.len()));
            body.extend(properties);
        }
        body.extend(*b"\0\x01c");
        with_header(0x10, &body)
    }

    // Events.

    /// An event, which is handled with the session at hand.
    #[track_caller]
    pub(crate) fn event<R>(
        &mut self,
        handle: impl FnOnce(&mut Session<STORE, OUTBOUND, INBOUND, CONTROL>, Event<'_>) -> R,
    ) -> R {
        self.read();
        let now = self.now;
        if matches!(self.session.clone().poll(&mut self.inbox.clone(), now), Step::Wait(Some(at)) if at <= now) {
            // It is to be read once more, and nothing comes of that.
            _ = self.session.poll(&mut self.inbox, now);
        }
        let seen = match self.session.poll(&mut self.inbox, now) {
            Step::Event(event) => {
                self.log.push(format!("event {event:?}"));
                return handle(&mut self.session, event);
            }
            step => Seen::of(step),
        };
        self.fail(&format!("an event expected, not {}", seen.describe()))
    }

    /// This event.
    #[track_caller]
    pub(crate) fn tells(&mut self, expected: &Event<'_>) {
        let same = self.event(|_, event| event == *expected);
        self.expect(same, || format!("{expected:?} expected"));
    }

    /// The server has accepted the connection.
    #[track_caller]
    pub(crate) fn connected(&mut self, session_present: bool) {
        let right = self
            .event(|_, event| matches!(event, Event::Connected(connack) if connack.session_present == session_present));
        self.expect(right, || "Connected expected".to_owned());
    }

    /// A message of the peer, as it was sent. What to acknowledge it by, if that is up to the application.
    #[track_caller]
    pub(crate) fn message(&mut self, expected: Pub) -> Option<Handle> {
        let (same, handle) = self.event(|_, event| match event {
            Event::Message(message) => (expected.is(&message), message.handle),
            _ => (false, None),
        });
        self.expect(same, || format!("the message {expected:?} expected"));
        handle
    }

    /// A message of the peer that the application is to acknowledge.
    #[track_caller]
    pub(crate) fn hands_out(&mut self, expected: Pub) -> Handle {
        let Some(handle) = self.message(expected) else { self.fail("a message without a handle") };
        handle
    }

    /// A publish has come to its end, without properties.
    #[track_caller]
    pub(crate) fn published(&mut self, id: u16, outcome: Outcome) {
        self.tells(&Event::Published { packet_id: packet_id(id), outcome, properties: Properties::EMPTY });
    }

    /// A publish was acknowledged with success.
    #[track_caller]
    pub(crate) fn acknowledged(&mut self, id: u16) {
        self.published(id, Outcome::Acknowledged(ReasonCode::Success));
    }

    /// Messages of QoS 0 are dropped.
    #[track_caller]
    pub(crate) fn dropped(&mut self, count: u8) {
        self.tells(&Event::Dropped { count });
    }

    /// An acknowledgement came that nobody waits for.
    #[track_caller]
    pub(crate) fn stray(&mut self, kind: AckType, id: u16) {
        self.tells(&Event::Stray { packet: StrayPacket::Acknowledgement(kind), packet_id: packet_id(id) });
    }

    // Commands.

    /// Publishes a message; its packet identifier, or 0 with QoS 0.
    #[track_caller]
    pub(crate) fn publish(&mut self, qos: QoS, payload: &str) -> u16 {
        match self.try_publish(qos, payload) {
            Ok(id) => id,
            Err(refused) => self.fail(&format!("publish: {refused:?}")),
        }
    }

    /// Publishes a message, which may be refused.
    pub(crate) fn try_publish(&mut self, qos: QoS, payload: &str) -> Result<u16, CommandError> {
        self.tries(&Publish { qos, ..Publish::new(TOPIC, payload.as_bytes()) })
    }

    /// Publishes a message with a topic alias; its packet identifier, or 0 with QoS 0.
    #[track_caller]
    pub(crate) fn publish_as(&mut self, alias: u16, qos: QoS, topic: &str, payload: &str) -> u16 {
        let topic_alias = NonZeroU16::new(alias);
        match self.tries(&Publish { qos, topic_alias, ..Publish::new(topic, payload.as_bytes()) }) {
            Ok(id) => id,
            Err(refused) => self.fail(&format!("publish: {refused:?}")),
        }
    }

    /// Publishes this message, which may be refused.
    pub(crate) fn tries(&mut self, publish: &Publish<'_>) -> Result<u16, CommandError> {
        self.log.push(format!("{publish:?}"));
        self.session.publish(publish).map(|id| id.map_or(0, PacketId::get))
    }

    /// Subscribes to this filter with QoS 0; the packet identifier.
    #[track_caller]
    pub(crate) fn subscribe(&mut self, filter: &str) -> u16 {
        self.log.push(format!("subscribe {filter}"));
        let subscriptions = [Subscription::new(filter, QoS::AtMostOnce)];
        let subscribe = Subscribe::new(&subscriptions);
        match self.session.subscribe(&subscribe) {
            Ok(id) => id.get(),
            Err(refused) => self.fail(&format!("subscribe: {refused:?}")),
        }
    }

    /// Acknowledges a message with success.
    #[track_caller]
    pub(crate) fn acknowledge(&mut self, handle: Handle) {
        self.log.push("acknowledge".to_owned());
        let done = self.session.acknowledge(handle, ReasonCode::Success);
        self.expect(done.is_ok(), || format!("acknowledge: {done:?}"));
    }

    /// Disconnects normally.
    #[track_caller]
    pub(crate) fn disconnect(&mut self) {
        self.log.push("disconnect".to_owned());
        let done = self.session.disconnect(&mqtt_session::Disconnect::default());
        self.expect(done.is_ok(), || format!("disconnect: {done:?}"));
    }

    /// Ends the test, with the trace so far.
    #[track_caller]
    pub(crate) fn fail(&self, what: &str) -> ! {
        let tail = self.log.len().saturating_sub(40);
        let log = self.log.get(tail..).unwrap_or_default().join("\n  ");
        panic!("{:?}: {what}\nthe trace:\n  {log}", self.version)
    }

    /// Ends the test unless this holds.
    #[track_caller]
    pub(crate) fn expect(&self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.fail(&otherwise());
        }
    }

    #[track_caller]
    fn see(&mut self) -> Seen {
        self.read();
        let mut seen = Seen::of(self.session.poll(&mut self.inbox, self.now));
        if matches!(seen, Seen::Wait(Some(at)) if at <= self.now) {
            // It is to be read once more, and nothing comes of that.
            seen = Seen::of(self.session.poll(&mut self.inbox, self.now));
        }
        if matches!(seen, Seen::Transmit(ref bytes) if bytes.is_empty()) {
            self.fail("a Transmit of nothing");
        }
        seen
    }

    fn transmits(&mut self, len: usize) {
        self.log.push(format!("-> {len} bytes"));
        self.session.transmitted(len);
    }

    /// Moves what is on the way into the inbox, as far as there is space.
    fn read(&mut self) {
        let space = self.inbox.space();
        let len = space.len().min(self.on_the_way.len());
        for (to, from) in space.iter_mut().zip(self.on_the_way.drain(..len)) {
            *to = from;
        }
        self.inbox.filled(len);
    }
}

impl Seen {
    fn of(step: Step<'_, Event<'_>>) -> Self {
        match step {
            Step::Event(event) => Self::Event(format!("{event:?}")),
            Step::Transmit(bytes) => Self::Transmit(bytes.to_vec()),
            Step::Wait(until) => Self::Wait(until),
            Step::Close(cause) => Self::Close(cause),
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Event(event) => event.clone(),
            Self::Transmit(bytes) => to_hex(bytes),
            Self::Wait(until) => format!("Wait({until:?})"),
            Self::Close(cause) => format!("Close({cause:?})"),
        }
    }
}

/// What is on the wire in a version.
pub(crate) trait Bytes {
    /// The bytes.
    fn bytes(&self, version: Version) -> Vec<u8>;
}

impl<T: Bytes + ?Sized> Bytes for &T {
    fn bytes(&self, version: Version) -> Vec<u8> {
        (**self).bytes(version)
    }
}

/// Hex digits, with or without white space between them.
impl Bytes for str {
    fn bytes(&self, _: Version) -> Vec<u8> {
        let digits: Vec<u8> = self.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let pair = |pair: &[u8]| match *pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        };
        digits.chunks(2).map(pair).collect::<Option<_>>().unwrap_or_else(|| panic!("{self:?} is not hex"))
    }
}

impl Bytes for Vec<u8> {
    fn bytes(&self, _: Version) -> Vec<u8> {
        self.clone()
    }
}

impl<T: Bytes, const N: usize> Bytes for [T; N] {
    fn bytes(&self, version: Version) -> Vec<u8> {
        self.iter().flat_map(|packet| packet.bytes(version)).collect()
    }
}

impl<T: Bytes> Bytes for [T] {
    fn bytes(&self, version: Version) -> Vec<u8> {
        self.iter().flat_map(|packet| packet.bytes(version)).collect()
    }
}

impl<A: Bytes, B: Bytes> Bytes for (A, B) {
    fn bytes(&self, version: Version) -> Vec<u8> {
        [self.0.bytes(version), self.1.bytes(version)].concat()
    }
}

impl<A: Bytes, B: Bytes, C: Bytes> Bytes for (A, B, C) {
    fn bytes(&self, version: Version) -> Vec<u8> {
        [self.0.bytes(version), self.1.bytes(version), self.2.bytes(version)].concat()
    }
}

/// A PUBLISH without properties, to the one topic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pub {
    qos: u8,
    dup: bool,
    id: u16,
    payload: &'static str,
}

/// A PUBLISH of QoS 0.
pub(crate) const fn qos0(payload: &'static str) -> Pub {
    Pub { qos: 0, dup: false, id: 0, payload }
}

/// A PUBLISH of QoS 1.
pub(crate) const fn qos1(id: u16, payload: &'static str) -> Pub {
    Pub { qos: 1, dup: false, id, payload }
}

/// A PUBLISH of QoS 2.
pub(crate) const fn qos2(id: u16, payload: &'static str) -> Pub {
    Pub { qos: 2, dup: false, id, payload }
}

impl Pub {
    /// The same with DUP.
    pub(crate) const fn dup(self) -> Self {
        Self { dup: true, ..self }
    }

    /// What the receiver answers.
    pub(crate) const fn answer(self) -> Ack {
        if self.qos == 1 { puback(self.id) } else { pubrec(self.id) }
    }

    /// Whether a message that was handed out is this one.
    pub(crate) fn is(&self, message: &mqtt_session::Message<'_>) -> bool {
        let Self { qos, dup, id, payload } = *self;
        let delivery = match qos {
            0 => Delivery::AtMostOnce,
            1 => Delivery::AtLeastOnce { packet_id: packet_id(id), dup },
            _ => Delivery::ExactlyOnce { packet_id: packet_id(id), dup },
        };
        let mqtt_session::Message { topic, payload: found, remaining, delivery: how, retain, properties, handle: _ } =
            *message;
        (topic, found, how) == (TOPIC, payload.as_bytes(), delivery)
            && (remaining, retain, properties) == (0, false, Properties::EMPTY)
    }
}

impl Bytes for Pub {
    fn bytes(&self, version: Version) -> Vec<u8> {
        let mut body = vec![0, 1];
        body.extend_from_slice(TOPIC.as_bytes());
        if self.qos != 0 {
            body.extend(self.id.to_be_bytes());
        }
        if version == Version::V5 {
            body.push(0);
        }
        body.extend_from_slice(self.payload.as_bytes());
        with_header(0x30 | u8::from(self.dup) << 3 | self.qos << 1, &body)
    }
}

/// A PUBLISH of 5.0 with a topic alias and nothing else in its properties; with an empty topic where the alias is known.
pub(crate) fn aliased(qos: QoS, id: u16, topic: &str, alias: u16, payload: &str) -> Vec<u8> {
    let mut body = u16::try_from(topic.len()).unwrap_or(u16::MAX).to_be_bytes().to_vec();
    body.extend_from_slice(topic.as_bytes());
    if qos != QoS::AtMostOnce {
        body.extend(id.to_be_bytes());
    }
    body.extend([3, 0x23]);
    body.extend(alias.to_be_bytes());
    body.extend_from_slice(payload.as_bytes());
    with_header(0x30 | (qos as u8) << 1, &body)
}

/// A PUBLISH with DUP.
pub(crate) fn dup(mut publish: Vec<u8>) -> Vec<u8> {
    if let Some(first) = publish.first_mut() {
        *first |= 0x08;
    }
    publish
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ack {
    first_byte: u8,
    id: u16,
    code: Option<u8>,
}

/// PUBACK with success.
pub(crate) const fn puback(id: u16) -> Ack {
    Ack { first_byte: 0x40, id, code: None }
}

/// PUBREC with success.
pub(crate) const fn pubrec(id: u16) -> Ack {
    Ack { first_byte: 0x50, id, code: None }
}

/// PUBREL with success.
pub(crate) const fn pubrel(id: u16) -> Ack {
    Ack { first_byte: 0x62, id, code: None }
}

/// PUBCOMP with success.
pub(crate) const fn pubcomp(id: u16) -> Ack {
    Ack { first_byte: 0x70, id, code: None }
}

impl Ack {
    /// Which of the four it is.
    pub(crate) const fn kind(self) -> AckType {
        match self.first_byte >> 4 {
            4 => AckType::Puback,
            5 => AckType::Pubrec,
            6 => AckType::Pubrel,
            _ => AckType::Pubcomp,
        }
    }

    /// The same with a reason code, where the version has one.
    pub(crate) const fn code(self, code: u8) -> Self {
        Self { code: Some(code), ..self }
    }
}

impl Bytes for Ack {
    fn bytes(&self, version: Version) -> Vec<u8> {
        let mut body = self.id.to_be_bytes().to_vec();
        body.extend(self.code.filter(|_| version == Version::V5));
        with_header(self.first_byte, &body)
    }
}

/// CONNACK with success, and with these properties as hex digits where the version has any.
pub(crate) fn connack(session_present: bool, properties: &str) -> impl Bytes {
    struct Connack(bool, Vec<u8>);
    impl Bytes for Connack {
        fn bytes(&self, version: Version) -> Vec<u8> {
            let mut body = vec![u8::from(self.0), 0];
            if version == Version::V5 {
                body.extend(var_int(self.1.len()));
                body.extend(&self.1);
            }
            with_header(0x20, &body)
        }
    }
    Connack(session_present, Bytes::bytes(&properties, Version::V5))
}

/// SUBACK with these reason codes.
pub(crate) fn suback(id: u16, codes: &[u8]) -> impl Bytes {
    struct Suback(u16, Vec<u8>);
    impl Bytes for Suback {
        fn bytes(&self, version: Version) -> Vec<u8> {
            let mut body = self.0.to_be_bytes().to_vec();
            if version == Version::V5 {
                body.push(0);
            }
            body.extend(&self.1);
            with_header(0x90, &body)
        }
    }
    Suback(id, codes.to_vec())
}

/// SUBSCRIBE to one filter with QoS 0.
pub(crate) fn subscribe(id: u16, filter: &'static str) -> impl Bytes {
    struct Subscribe(u16, &'static str);
    impl Bytes for Subscribe {
        fn bytes(&self, version: Version) -> Vec<u8> {
            let mut body = self.0.to_be_bytes().to_vec();
            if version == Version::V5 {
                body.push(0);
            }
            body.extend(u16::try_from(self.1.len()).unwrap_or(u16::MAX).to_be_bytes());
            body.extend_from_slice(self.1.as_bytes());
            body.push(0);
            with_header(0x82, &body)
        }
    }
    Subscribe(id, filter)
}

/// The identifier of this value, which is not 0.
pub(crate) fn packet_id(id: u16) -> PacketId {
    PacketId::new(id).unwrap_or_else(|| panic!("a packet identifier of 0"))
}

/// A packet of this first byte and body.
pub(crate) fn with_header(first_byte: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first_byte];
    packet.extend(var_int(body.len()));
    packet.extend_from_slice(body);
    packet
}

/// A variable byte integer.
pub(crate) fn var_int(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(value % 128).unwrap_or_default();
        value /= 128;
        bytes.push(if value == 0 { low } else { low | 0x80 });
        if value == 0 {
            return bytes;
        }
    }
}

/// Hex digits.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02X}");
        text
    })
}
