//! A client: a session, its inbox and a socket, driven by the plain loop.

use core::fmt;
use core::mem::take;
use core::net::SocketAddr;
use core::time::Duration;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Instant as Clock;

use mqtt_session::{
    CloseReason, CommandError, Connect, Disconnect, Event, Inbox, Instant, List, Message, Outcome, PacketId,
    Properties, Property, Publish, QoS, ReasonCode, Session, Step, Subscribe, Subscription, TopicAliases, Unsubscribe,
    Version,
};

/// How long anything may take that is waited for.
const LIMIT: Duration = Duration::from_secs(20);

/// The longest time for which a read or write blocks.
const PAUSE: Duration = Duration::from_millis(4);

/// A client with room for what most tests do.
pub(crate) type Plain = Client<8_192, 32, 64, 4_096>;

/// A session with its connection, and what it has told.
pub(crate) struct Client<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize, const INBOX: usize> {
    pub(crate) session: Box<Session<STORE, OUTBOUND, INBOUND>>,
    pub(crate) seen: Seen,
    inbox: Box<Inbox<[u8; INBOX]>>,
    address: SocketAddr,
    socket: Option<TcpStream>,
    start: Clock,
}

/// What a step of the loop was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Turn {
    /// Something happened or was written.
    Went,
    /// There was nothing to do but wait.
    Waited,
    /// The connection is over.
    Closed(CloseReason),
}

/// What a client was told, in the order in which it came, by kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) connected: Vec<Welcome>,
    pub(crate) messages: Vec<Received>,
    pub(crate) published: Vec<(PacketId, Outcome)>,
    pub(crate) subscribed: Vec<Vec<ReasonCode>>,
    pub(crate) unsubscribed: usize,
    pub(crate) refused: Vec<ReasonCode>,
    pub(crate) disconnected: Vec<ReasonCode>,
    /// Everything else, as text.
    pub(crate) others: Vec<String>,
    /// Why the last connection ended.
    pub(crate) closed: Option<CloseReason>,
}

/// What CONNACK said.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Welcome {
    pub(crate) session_present: bool,
    pub(crate) topic_alias_maximum: u16,
}

/// A message that arrived.
#[derive(Clone, PartialEq)]
pub(crate) struct Received {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) properties: Vec<String>,
}

impl<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize, const INBOX: usize>
    Client<STORE, OUTBOUND, INBOUND, INBOX>
{
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            session: Box::new(Session::new()),
            seen: Seen::default(),
            inbox: Box::new(Inbox::new()),
            address,
            socket: None,
            start: Clock::now(),
        }
    }

    /// A client that is connected.
    pub(crate) fn connected(address: SocketAddr, connect: &Connect<'_>) -> Self {
        let mut client = Self::new(address);
        client.connect(connect);
        client
    }

    /// Sets memory aside for topic aliases of the broker.
    pub(crate) fn allow_topic_aliases(&mut self, aliases: TopicAliases) {
        self.inbox.set_topic_aliases(aliases);
    }

    /// Opens a transport and begins to connect; nothing is sent yet.
    pub(crate) fn open(&mut self, connect: &Connect<'_>) -> Result<(), CommandError> {
        self.seen.closed = None;
        self.session.connect(&mut *self.inbox, connect)?;
        // Without a socket the next step finds the transport lost.
        self.socket = TcpStream::connect(self.address).and_then(prepared).ok();
        Ok(())
    }

    /// Connects, and waits until CONNACK is here.
    pub(crate) fn connect(&mut self, connect: &Connect<'_>) {
        let before = self.seen.connected.len();
        self.open(connect).expect("CONNECT is legal");
        self.run_until("CONNACK", |seen| seen.connected.len() > before);
    }

    /// One step of the loop; an event goes to `on_event`.
    pub(crate) fn step(
        &mut self,
        mut on_event: impl FnMut(&mut Session<STORE, OUTBOUND, INBOUND>, &Event<'_>),
    ) -> Turn {
        let now = Instant::from_millis(self.start.elapsed().as_millis().try_into().expect("not that long"));
        match self.session.poll(&mut *self.inbox, now) {
            Step::Event(event) => on_event(&mut self.session, &event),
            Step::Transmit(bytes) => match self.socket.as_mut().map(|socket| socket.write(bytes)) {
                Some(Ok(written)) => self.session.transmitted(written),
                Some(Err(error)) if is_timeout(&error) => self.session.transmitted(0),
                Some(Err(_)) | None => self.session.connection_lost(),
            },
            Step::Wait(deadline) => {
                let left = deadline.map_or(PAUSE, |at| Duration::from_millis(at.millis_since(now).max(1)));
                match self.socket.as_mut().map(|socket| read(socket, self.inbox.space(), left.min(PAUSE))) {
                    Some(Ok(0)) | None => self.session.connection_lost(),
                    Some(Ok(received)) => self.inbox.filled(received),
                    Some(Err(error)) if is_timeout(&error) => {}
                    Some(Err(_)) => self.session.connection_lost(),
                }
                return Turn::Waited;
            }
            Step::Close(cause) => {
                self.socket = None;
                return Turn::Closed(cause);
            }
        }
        Turn::Went
    }

    /// Goes on until what was seen is as wanted; fails if it never is.
    pub(crate) fn run_until(&mut self, what: &str, condition: impl Fn(&Seen) -> bool) {
        let end = Clock::now() + LIMIT;
        while !condition(&self.seen) {
            assert!(Clock::now() < end, "waited for {what} too long: {:#?}", self.seen);
            let turn = self.turn();
            let over = matches!(turn, Turn::Closed(_)) && !condition(&self.seen);
            assert!(!over, "waited for {what}, but: {:#?}", self.seen);
        }
    }

    /// Goes on as long as something is not yet so elsewhere.
    pub(crate) fn run_while(&mut self, until: &str, condition: impl Fn() -> bool) {
        let end = Clock::now() + LIMIT;
        while condition() {
            assert!(Clock::now() < end, "waited too long until {until}");
            self.run_for(PAUSE);
        }
    }

    /// Goes on for some time, also without a connection.
    pub(crate) fn run_for(&mut self, time: Duration) {
        let end = Clock::now() + time;
        while Clock::now() < end {
            if matches!(self.turn(), Turn::Closed(_)) {
                std::thread::sleep(PAUSE);
            }
        }
    }

    /// Goes on until so many messages have come in all.
    pub(crate) fn run_until_messages(&mut self, count: usize) {
        self.run_until("messages", |seen| seen.messages.len() >= count);
    }

    /// Goes on until the connection is over, and tells why.
    pub(crate) fn run_until_closed(&mut self) -> CloseReason {
        self.run_until("the end", |seen| seen.closed.is_some());
        self.seen.closed.expect("it is closed")
    }

    /// Subscribes, and waits for the answer.
    pub(crate) fn subscribe(&mut self, subscriptions: &[Subscription<'_>]) -> Vec<ReasonCode> {
        self.subscribe_with(subscriptions, &[])
    }

    pub(crate) fn subscribe_with(
        &mut self,
        subscriptions: &[Subscription<'_>],
        properties: &[Property<'_>],
    ) -> Vec<ReasonCode> {
        let before = self.seen.subscribed.len();
        let properties = Properties::of(properties);
        self.session.subscribe(&Subscribe { subscriptions, properties }).expect("SUBSCRIBE is legal");
        self.run_until("SUBACK", |seen| seen.subscribed.len() > before);
        self.seen.subscribed.last().cloned().unwrap_or_default()
    }

    /// Ends a subscription, and waits for the answer.
    pub(crate) fn unsubscribe(&mut self, filter: &str) {
        let before = self.seen.unsubscribed;
        self.session.unsubscribe(&Unsubscribe::new(&[filter])).expect("it is legal");
        self.run_until("UNSUBACK", |seen| seen.unsubscribed > before);
    }

    /// Publishes, and goes on until the message is acknowledged or, at QoS 0, until it has left.
    pub(crate) fn publish(&mut self, publish: &Publish<'_>) {
        let Some(sent) = self.session.publish(publish).expect("there is room") else {
            return self.flush();
        };
        let ended = |seen: &Seen| seen.published.iter().rev().find(|(packet_id, _)| *packet_id == sent).copied();
        let before = self.seen.published.len();
        self.run_until("its outcome", |seen| seen.published.len() > before && ended(seen).is_some());
        let outcome = ended(&self.seen).map(|(_, outcome)| outcome);
        assert!(matches!(outcome, Some(Outcome::Acknowledged(_))), "{outcome:?}");
    }

    /// Goes on until there is nothing to do but wait.
    pub(crate) fn flush(&mut self) {
        while self.turn() == Turn::Went {}
    }

    /// Disconnects, and waits for the end.
    pub(crate) fn disconnect(&mut self, disconnect: &Disconnect<'_>) {
        self.session.disconnect(disconnect).expect("DISCONNECT is legal");
        assert_eq!(self.run_until_closed(), CloseReason::Disconnected);
    }

    /// Closes the socket without a word; the next step finds it gone.
    pub(crate) fn hang_up(&mut self) {
        self.socket = None;
    }

    /// Closes the socket without a word.
    pub(crate) fn drop_socket(&mut self) {
        self.socket = None;
        self.session.connection_lost();
        assert_eq!(self.run_until_closed(), CloseReason::ConnectionLost);
    }

    /// One step with its event noted.
    fn turn(&mut self) -> Turn {
        let mut seen = take(&mut self.seen);
        let turn = self.step(|_, event| seen.note(event));
        if let Turn::Closed(cause) = turn {
            seen.closed = Some(cause);
        }
        self.seen = seen;
        turn
    }
}

impl Seen {
    fn note(&mut self, event: &Event<'_>) {
        match event {
            Event::Connected(connack) => self.connected.push(Welcome {
                session_present: connack.session_present,
                topic_alias_maximum: connack.properties.topic_alias_maximum().unwrap_or(0),
            }),
            Event::Message(message) => self.messages.push(Received::of(message)),
            Event::Published { packet_id, outcome, .. } => self.published.push((*packet_id, *outcome)),
            Event::Subscribed { reason_codes, .. } => self.subscribed.push(codes(reason_codes)),
            Event::Unsubscribed { .. } => self.unsubscribed += 1,
            Event::ConnectionRefused(connack) => self.refused.push(connack.reason_code),
            Event::Disconnected(disconnect) => self.disconnected.push(disconnect.reason_code),
            other => self.others.push(format!("{other:?}")),
        }
    }

    /// The messages as text.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.messages.iter().map(Received::text).collect()
    }
}

impl Received {
    fn of(message: &Message<'_>) -> Self {
        Self {
            topic: message.topic.to_owned(),
            payload: message.payload.to_vec(),
            qos: message.qos(),
            retain: message.retain,
            properties: message.properties.iter().map(|property| described(&property)).collect(),
        }
    }

    /// Topic, QoS, the flag RETAIN and the payload.
    pub(crate) fn text(&self) -> String {
        let Self { topic, qos, retain, payload, .. } = self;
        format!("{topic} {} {} {}", *qos as u8, u8::from(*retain), String::from_utf8_lossy(payload))
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.text();
        text.truncate(60);
        write!(f, "{text} {:?}", self.properties)
    }
}

/// How tests connect: with a session that lasts or not.
pub(crate) fn connect_as(version: Version, client_id: &str, lasting: bool) -> Connect<'_> {
    let kept = Properties::for_version(version, &[Property::SessionExpiryInterval(3600)]);
    let properties = if lasting { kept } else { Properties::EMPTY };
    Connect { clean_start: !lasting, properties, ..Connect::new(version, client_id) }
}

fn described(property: &Property<'_>) -> String {
    match property {
        Property::CorrelationData(data) => format!("correlation_data({data:?})"),
        other => format!("{other:?}"),
    }
}

fn codes(list: &List<'_, ReasonCode>) -> Vec<ReasonCode> {
    list.iter().collect()
}

fn prepared(socket: TcpStream) -> std::io::Result<TcpStream> {
    socket.set_nodelay(true)?;
    socket.set_write_timeout(Some(PAUSE))?;
    Ok(socket)
}

fn read(socket: &mut TcpStream, space: &mut [u8], pause: Duration) -> std::io::Result<usize> {
    socket.set_read_timeout(Some(pause))?;
    socket.read(space)
}

pub(crate) fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
