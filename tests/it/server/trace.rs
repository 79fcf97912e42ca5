//! A server's end driven as a packet trace: each line of a test is one thing that crosses the border, in order.
//!
//! The mirror image of the client's `Trace`, whose packets it uses: [`receives`](Trace::receives) is what the client
//! sends, [`sends`](Trace::sends) what the server's end must write, byte by byte, and no event is skipped.
//!
//! ```text
//! let mut t = Trace::new(Version::V5);
//! t.connects();                        // CONNECT comes, is accepted, CONNACK leaves
//! t.receives(qos2(7, "a"));
//! t.message(qos2(7, "a"));
//! t.sends(pubrec(7));
//! t.cut();
//! t.resumes();                         // with Session Present 1
//! t.quiet();
//! ```
//!
//! What the next CONNECT says lies in [`Trace::hello`], how it is accepted in [`Trace::accept`].

use mqtt_session::server::{Accept, Event, Session};
use mqtt_session::wire::{AckType, ConnectPacket, Properties};
use mqtt_session::{
    Acknowledge, CloseReason, CommandError, Disconnect, Handle, Inbox, Instant, Message, Outcome, PacketId, Publish,
    QoS, ReasonCode, Step, StrayPacket, Version,
};

use super::packets::{Bytes, Pub, TOPIC, connack, packet_id, to_hex, var_int, with_header};

/// A CONNECT.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hello {
    pub(crate) clean: bool,
    pub(crate) keep_alive: u16,
    pub(crate) client: &'static str,
    /// Hex digits; 5.0 only.
    pub(crate) properties: &'static str,
    /// The properties of the will in hex digits, if there is one; 5.0 only. It says "bye" to the topic "w".
    pub(crate) will: Option<&'static str>,
}

/// A CONNECT for a session that is kept for ever.
pub(crate) const LASTING: Hello =
    Hello { clean: false, keep_alive: 0, client: "c", properties: "11 FFFFFFFF", will: None };

/// A CONNECT for a session that ends with its connection.
pub(crate) const PASSING: Hello = Hello { clean: true, properties: "", ..LASTING };

impl Bytes for Hello {
    fn bytes(&self, version: Version) -> Vec<u8> {
        let Self { clean, keep_alive, client, properties, will } = *self;
        let block = |hex: &str, to: &mut Vec<u8>| {
            if version == Version::V5 {
                let bytes = Bytes::bytes(hex, version);
                to.extend(var_int(bytes.len()));
                to.extend(bytes);
            }
        };
        let mut body = b"\0\x04MQTT".to_vec();
        body.push(version.level());
        body.push(u8::from(clean) << 1 | u8::from(will.is_some()) << 2);
        body.extend(keep_alive.to_be_bytes());
        block(properties, &mut body);
        body.extend(text(client));
        if let Some(will) = will {
            block(will, &mut body);
            body.extend(*b"\0\x01w\0\x03bye");
        }
        with_header(0x10, &body)
    }
}

/// Text behind its length.
pub(crate) fn text(text: &str) -> Vec<u8> {
    [&u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes(), text.as_bytes()].concat()
}

/// A server's end and what is around it.
#[derive(Clone)]
pub(crate) struct Trace<
    const STORE: usize = 1024,
    const OUTBOUND: usize = 8,
    const INBOUND: usize = 8,
    const CONTROL: usize = 256,
    const INBOX: usize = 256,
> {
    pub(crate) hello: Hello,
    pub(crate) accept: Accept<'static>,
    /// The properties of `accept` in hex digits.
    pub(crate) said: &'static str,
    /// The Receive Maximum that CONNACK must announce.
    pub(crate) announced: u16,
    pub(crate) version: Version,
    pub(crate) session: Session<STORE, OUTBOUND, INBOUND, CONTROL>,
    pub(crate) inbox: Inbox<[u8; INBOX]>,
    pub(crate) now: u64,
    on_the_way: Vec<u8>,
    log: Vec<String>,
}

/// A step without what it borrows.
pub(crate) enum Seen {
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
    /// A session that nobody has connected to, and a clock that stands still.
    pub(crate) fn new(version: Version) -> Self {
        Self {
            hello: LASTING,
            accept: Accept::default(),
            said: "",
            announced: u16::try_from(INBOUND).unwrap_or(u16::MAX).max(1),
            version,
            session: Session::new(),
            inbox: Inbox::new(),
            now: 1_000,
            on_the_way: Vec::new(),
            log: Vec::new(),
        }
    }

    /// The application acknowledges.
    pub(crate) fn manual(mut self) -> Self {
        self.accept.acknowledgement = Acknowledge::Manually;
        self
    }

    pub(crate) fn is_v5(&self) -> bool {
        self.version == Version::V5
    }

    // Connections.

    /// A new transport.
    pub(crate) fn opens(&mut self) {
        self.log.push("open".to_owned());
        self.on_the_way.clear();
        self.inbox.clear();
        self.session.open(core::time::Duration::from_secs(10));
    }

    /// A connection of a client without a session here.
    #[track_caller]
    pub(crate) fn connects(&mut self) {
        self.connects_with(false);
    }

    /// A connection of a client that comes back to its session.
    #[track_caller]
    pub(crate) fn resumes(&mut self) {
        self.connects_with(true);
    }

    #[track_caller]
    pub(crate) fn connects_with(&mut self, session_present: bool) {
        self.asks(session_present);
        self.accepts();
        self.sends(self.connack(session_present));
    }

    /// A new transport, and CONNECT comes over it.
    #[track_caller]
    pub(crate) fn asks(&mut self, session_present: bool) {
        self.opens();
        self.receives(self.hello);
        self.connecting(session_present);
    }

    /// The event of CONNECT.
    #[track_caller]
    pub(crate) fn connecting(&mut self, session_present: bool) {
        let (hello, version) = (self.hello, self.version);
        let same = self.event(|_, event| match event {
            Event::Connecting { version: found, connect, session_present: present } => {
                let ConnectPacket { clean_start, keep_alive, client_id, will, .. } = connect;
                (found, clean_start, keep_alive, client_id, will.is_some(), present)
                    == (version, hello.clean, hello.keep_alive, hello.client, hello.will.is_some(), session_present)
            }
            _ => false,
        });
        self.expect(same, || format!("Connecting expected, session present: {session_present}"));
    }

    #[track_caller]
    pub(crate) fn accepts(&mut self) {
        self.log.push("accept".to_owned());
        let accepted = self.session.accept(&self.accept);
        self.expect(accepted.is_ok(), || format!("accept: {accepted:?}"));
    }

    /// The CONNACK that accepts.
    pub(crate) fn connack(&self, session_present: bool) -> Vec<u8> {
        connack(session_present, &format!("{} {}", self.said, self.limits())).bytes(self.version)
    }

    /// What CONNACK announces by itself, as hex digits.
    pub(crate) fn limits(&self) -> String {
        format!("21{:04X}27{:08X}", self.announced, self.inbox.capacity())
    }

    #[track_caller]
    pub(crate) fn rejects(&mut self, reason_code: ReasonCode) {
        self.log.push(format!("reject {reason_code:?}"));
        let rejected = self.session.reject(reason_code, Properties::EMPTY);
        self.expect(rejected.is_ok(), || format!("reject: {rejected:?}"));
    }

    /// The transport is lost, which is all that happens.
    #[track_caller]
    pub(crate) fn cut(&mut self) {
        self.loses_link();
        self.closes(CloseReason::ConnectionLost);
    }

    pub(crate) fn loses_link(&mut self) {
        self.log.push("connection lost".to_owned());
        self.on_the_way.clear();
        self.session.connection_lost();
    }

    /// The connection ends for the client's fault: in 5.0 with this reason code in a DISCONNECT, in 3.1.1 without a word.
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
        assert!(!self.session.is_online());
    }

    // Bytes.

    pub(crate) fn receives(&mut self, packets: impl Bytes) {
        let bytes = packets.bytes(self.version);
        self.log.push(format!("<- {}", to_hex(&bytes)));
        self.on_the_way.extend_from_slice(&bytes);
        self.read();
    }

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

    /// The session shows exactly this in one `Transmit`, of which `written` bytes are reported.
    #[track_caller]
    pub(crate) fn shows(&mut self, packets: impl Bytes, written: usize) {
        let expected = packets.bytes(self.version);
        let seen = self.see();
        self.expect(matches!(&seen, Seen::Transmit(shown) if *shown == expected), || {
            format!("{} expected in one piece, not {}", to_hex(&expected), seen.describe())
        });
        self.transmits(written);
    }

    /// Neither bytes nor events: the session waits, and the inbox has space.
    #[track_caller]
    pub(crate) fn quiet(&mut self) -> Option<u64> {
        let seen = self.see();
        let has_space = !self.inbox.space().is_empty();
        self.expect(has_space, || "the session waits for bytes that have no space".to_owned());
        match seen {
            Seen::Wait(until) => until.map(Instant::as_millis),
            seen => self.fail(&format!("nothing expected, not {}", seen.describe())),
        }
    }

    /// Whether the next step is to write; nothing of it is reported as written, and an event is not taken.
    pub(crate) fn wants_to_write(&mut self) -> bool {
        self.read();
        let (mut session, mut inbox) = (self.session.clone(), self.inbox.clone());
        matches!(session.poll(&mut inbox, Instant::from_millis(self.now)), Step::Transmit(_))
    }

    pub(crate) fn passes(&mut self, millis: u64) {
        self.log.push(format!("{millis} ms"));
        self.now += millis;
    }

    // Events.

    #[track_caller]
    pub(crate) fn event<R>(
        &mut self,
        handle: impl FnOnce(&mut Session<STORE, OUTBOUND, INBOUND, CONTROL>, Event<'_>) -> R,
    ) -> R {
        self.read();
        let now = Instant::from_millis(self.now);
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

    #[track_caller]
    pub(crate) fn tells(&mut self, expected: &Event<'_>) {
        let same = self.event(|_, event| event == *expected);
        self.expect(same, || format!("{expected:?} expected"));
    }

    /// A message of the client, as it was sent. What to acknowledge it by, if that is up to the application.
    #[track_caller]
    pub(crate) fn message(&mut self, expected: Pub) -> Option<Handle> {
        let (same, handle) = self.event(|_, event| match event {
            Event::Message(message) => (expected.is(&message), message.handle),
            _ => (false, None),
        });
        self.expect(same, || format!("the message {expected:?} expected"));
        handle
    }

    /// A message with these contents, however it was written.
    #[track_caller]
    pub(crate) fn message_of(&mut self, topic: &str, payload: &str) {
        let same = self.event(|_, event| match event {
            Event::Message(Message { topic: found, payload: bytes, .. }) => {
                (found, bytes) == (topic, payload.as_bytes())
            }
            _ => false,
        });
        self.expect(same, || format!("the message {topic} {payload} expected"));
    }

    #[track_caller]
    pub(crate) fn hands_out(&mut self, expected: Pub) -> Handle {
        let Some(handle) = self.message(expected) else { self.fail("a message without a handle") };
        handle
    }

    #[track_caller]
    pub(crate) fn published(&mut self, id: u16, outcome: Outcome) {
        self.tells(&Event::Published { packet_id: packet_id(id), outcome, properties: Properties::EMPTY });
    }

    #[track_caller]
    pub(crate) fn acknowledged(&mut self, id: u16) {
        self.published(id, Outcome::Acknowledged(ReasonCode::Success));
    }

    /// Messages of QoS 0 are dropped.
    #[track_caller]
    pub(crate) fn dropped(&mut self, count: u8) {
        self.tells(&Event::Dropped { count });
    }

    #[track_caller]
    pub(crate) fn stray(&mut self, kind: AckType, id: u16) {
        self.tells(&Event::Stray { packet: StrayPacket::Acknowledgement(kind), packet_id: packet_id(id) });
    }

    #[track_caller]
    pub(crate) fn will_due(&mut self, delay: u32) {
        self.tells(&Event::WillDue { delay });
    }

    /// The client disconnects; nothing of it is told but the code.
    #[track_caller]
    pub(crate) fn disconnected(&mut self, code: ReasonCode) {
        let found = self.event(|_, event| match event {
            Event::Disconnected(disconnect) => Some(disconnect.reason_code),
            _ => None,
        });
        self.expect(found == Some(code), || format!("Disconnected({code:?}) expected"));
    }

    /// SUBSCRIBE or UNSUBSCRIBE comes with so many filters, and is not yet answered.
    #[track_caller]
    pub(crate) fn asked(&mut self, id: u16, filters: usize) {
        let found = self.event(|_, event| match event {
            Event::Subscribing { packet_id, subscriptions, .. } => (packet_id.get(), subscriptions.iter().count()),
            Event::Unsubscribing { packet_id, filters, .. } => (packet_id.get(), filters.iter().count()),
            _ => (0, 0),
        });
        self.expect(found == (id, filters), || format!("a request {id} with {filters} filters expected"));
    }

    // Commands.

    #[track_caller]
    pub(crate) fn publish(&mut self, qos: QoS, payload: &str) -> u16 {
        match self.try_publish(qos, payload) {
            Ok(id) => id,
            Err(refused) => self.fail(&format!("publish: {refused:?}")),
        }
    }

    pub(crate) fn try_publish(&mut self, qos: QoS, payload: &str) -> Result<u16, CommandError> {
        self.log.push(format!("publish {qos:?} {payload}"));
        let publish = Publish { qos, ..Publish::new(TOPIC, payload.as_bytes()) };
        self.session.publish(&publish).map(|id| id.map_or(0, PacketId::get))
    }

    #[track_caller]
    pub(crate) fn acknowledge(&mut self, handle: Handle) {
        self.log.push("acknowledge".to_owned());
        let done = self.session.acknowledge(handle, ReasonCode::Success);
        self.expect(done.is_ok(), || format!("acknowledge: {done:?}"));
    }

    #[track_caller]
    pub(crate) fn disconnect(&mut self, reason_code: ReasonCode) {
        self.log.push(format!("disconnect {reason_code:?}"));
        let done = self.session.disconnect(&Disconnect { reason_code, ..Disconnect::default() });
        self.expect(done.is_ok(), || format!("disconnect: {done:?}"));
    }

    /// Ends the test, with the trace so far.
    #[track_caller]
    pub(crate) fn fail(&self, what: &str) -> ! {
        let tail = self.log.len().saturating_sub(40);
        let log = self.log.get(tail..).unwrap_or_default().join("\n  ");
        panic!("{:?}: {what}\nthe trace:\n  {log}", self.version)
    }

    #[track_caller]
    pub(crate) fn expect(&self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.fail(&otherwise());
        }
    }

    #[track_caller]
    pub(crate) fn see(&mut self) -> Seen {
        self.read();
        let now = Instant::from_millis(self.now);
        let mut seen = Seen::of(self.session.poll(&mut self.inbox, now));
        if matches!(seen, Seen::Wait(Some(at)) if at <= now) {
            // It is to be read once more, and nothing comes of that.
            seen = Seen::of(self.session.poll(&mut self.inbox, now));
        }
        if matches!(seen, Seen::Transmit(ref bytes) if bytes.is_empty()) {
            self.fail("a Transmit of nothing");
        }
        seen
    }

    pub(crate) fn transmits(&mut self, len: usize) {
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

    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Event(event) => event.clone(),
            Self::Transmit(bytes) => to_hex(bytes),
            Self::Wait(until) => format!("Wait({until:?})"),
            Self::Close(cause) => format!("Close({cause:?})"),
        }
    }
}
