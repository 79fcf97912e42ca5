//! The loop: one thread, all sockets, and whose turn it is.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::HashMap;
use std::io::{Error, ErrorKind};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use mqtt_session::{CloseReason, Disconnect, Instant, ReasonCode, Step};

use crate::broker::{Broker, leave};
use crate::client::Client;
use crate::common::{Clock, Stop};
use crate::limits::{ALIASES, CROWD_LINGER, Inbox, LINGER, PATIENCE, REPORT, STEPS};
use crate::link::Link;
use crate::message::Key;
use crate::pool::Pool;

const LISTENER: Token = Token(0);

/// How long nobody is let in after the operating system has refused to.
const RECOVERY: u64 = 500;

pub(crate) struct Server {
    poll: Poll,
    listener: TcpListener,
    /// Whether somebody may be waiting to be let in, and from when on that is looked after.
    knocking: bool,
    door_opens: Instant,
    connections: HashMap<Token, Connection>,
    inboxes: Pool<Inbox>,
    /// Memory for what waits to be written, lent to the connection whose turn it is.
    spare: Vec<u8>,
    most: usize,
    last_token: usize,
    broker: Broker,
    clock: Clock,
    /// Nothing is due before this instant. All that may be is looked through then.
    next_look: Instant,
    next_report: Instant,
}

struct Connection {
    link: Link,
    inbox: &'static mut Inbox,
    stage: Stage,
    deadline: Option<Instant>,
}

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// CONNECT is awaited.
    Greeting,
    /// It belongs to a session.
    Serving(Key),
    /// The last bytes are on their way.
    Leaving,
    /// It is over.
    Gone,
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// There may be more to do.
    Went,
    /// There is nothing to do until the socket or the clock says so.
    Waits,
}

impl Server {
    pub(crate) fn new(address: SocketAddr, broker: Broker, most: usize, clock: Clock) -> Result<Self, Error> {
        let poll = Poll::new()?;
        let mut listener = TcpListener::bind(address)?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let now = clock.now();
        Ok(Self {
            poll,
            listener,
            knocking: true,
            door_opens: now,
            connections: HashMap::new(),
            inboxes: Pool::of_inboxes(),
            spare: Vec::new(),
            most,
            last_token: LISTENER.0,
            broker,
            clock,
            next_look: now,
            next_report: now,
        })
    }

    pub(crate) fn address(&self) -> Result<SocketAddr, Error> {
        self.listener.local_addr()
    }

    /// Serves until there is a reason to stop, and then until everybody has been told.
    pub(crate) fn run(&mut self, stop: &Stop) -> Result<(), Error> {
        let mut events = Events::with_capacity(1024);
        let mut end = None;
        loop {
            self.wait(&mut events, stop.longest_pause())?;
            let now = self.clock.now();
            if end.is_none() && stop.reason().is_some() {
                end = Some(now.after_millis(LINGER));
                self.shut_down();
            }
            if end.is_some_and(|end| self.connections.is_empty() || end <= now) {
                return Ok(());
            }
            if self.knocking && end.is_none() && self.door_opens <= now {
                self.let_in(now);
            }
            // Those who become ready meanwhile have their turn after the sockets were looked at.
            for _ in 0..self.broker.ready.len() {
                if let Some(token) = self.broker.ready.pop() {
                    self.serve(token, now);
                }
            }
            if self.next_look <= now {
                self.look_through(now);
            }
        }
    }

    /// Waits until there is something to do.
    fn wait(&mut self, events: &mut Events, longest: Duration) -> Result<(), Error> {
        let left = Duration::from_millis(self.next_look.millis_since(self.clock.now()));
        let pause = if self.broker.ready.len() == 0 { left.min(longest) } else { Duration::ZERO };
        match self.poll.poll(events, Some(pause)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for event in events.iter() {
            if event.token() == LISTENER {
                self.knocking = true;
            } else if let Some(connection) = self.connections.get_mut(&event.token()) {
                connection.link.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
                connection.link.writable |= event.is_writable() || event.is_error();
                self.broker.ready.push(event.token());
            }
        }
        Ok(())
    }

    /// Lets in whoever waits.
    fn let_in(&mut self, now: Instant) {
        loop {
            match self.listener.accept() {
                // Closed at once: there are enough.
                Ok(_) if self.connections.len() >= self.most => {}
                Ok((stream, peer)) => {
                    if let Err(error) = self.enter(stream, now) {
                        self.broker.log.trouble(&format!("{peer} cannot be served: {error}"));
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.knocking = false;
                    return;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    // Too many open files, for instance: it may be better later.
                    self.broker.log.trouble(&format!("nobody can be let in now: {error}"));
                    self.door_opens = now.after_millis(RECOVERY);
                    self.next_look = self.next_look.min(self.door_opens);
                    return;
                }
            }
        }
    }

    fn enter(&mut self, mut stream: TcpStream, now: Instant) -> Result<(), Error> {
        self.last_token = self.last_token.wrapping_add(1).max(1);
        let token = Token(self.last_token);
        stream.set_nodelay(true)?;
        self.poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        let inbox = self.inboxes.take();
        inbox.set_topic_aliases(ALIASES);
        let deadline = Some(now.after_millis(u64::from(PATIENCE).saturating_mul(1000)));
        self.connections.insert(token, Connection { link: Link::new(stream), inbox, stage: Stage::Greeting, deadline });
        self.broker.ready.push(token);
        Ok(())
    }

    /// The turn of one connection.
    fn serve(&mut self, token: Token, now: Instant) {
        // It is out of the table meanwhile, so that its inbox and everything else can be used together.
        let Some(mut connection) = self.connections.remove(&token) else { return };
        connection.link.borrow(&mut self.spare);
        let mut turn = Turn::Went;
        for _ in 0..STEPS {
            turn = match connection.stage {
                Stage::Greeting => self.greet(token, &mut connection, now),
                Stage::Serving(key) => self.step(key, &mut connection, now),
                Stage::Leaving => connection.see_off(now),
                Stage::Gone => return self.inboxes.give_back(connection.inbox),
            };
            if turn == Turn::Waits {
                break;
            }
        }
        connection.link.flush();
        connection.link.give_back(&mut self.spare);
        if turn == Turn::Went || connection.link.is_over() {
            self.broker.ready.push(token);
        }
        self.put_back(token, connection);
    }

    fn put_back(&mut self, token: Token, connection: Connection) {
        if let Some(deadline) = connection.deadline {
            self.next_look = self.next_look.min(deadline);
        }
        self.connections.insert(token, connection);
    }

    /// Waits for CONNECT, and finds the session that it is for.
    fn greet(&mut self, token: Token, connection: &mut Connection, now: Instant) -> Turn {
        let key = match connection.inbox.peek_connect() {
            Ok(None) => return connection.read_greeting(now),
            Ok(Some((version, connect))) => {
                let peer = connection.link.stream.peer_addr().ok();
                let key = self.broker.find(version, &connect, peer, now);
                if self.take_over(key, now) { self.broker.find(version, &connect, peer, now) } else { key }
            }
            // A session knows what is to be answered.
            Err(_) => self.broker.stranger(None),
        };
        if let Some(client) = self.broker.clients.get_mut(&key) {
            client.connection = Some(token);
            client.address = connection.link.stream.peer_addr().ok();
            client.session.open(PATIENCE);
        }
        connection.stage = Stage::Serving(key);
        Turn::Went
    }

    /// One step of the loop of a session.
    fn step(&mut self, key: Key, connection: &mut Connection, now: Instant) -> Turn {
        let Some(client) = self.broker.clients.get_mut(&key) else {
            connection.stage = Stage::Gone;
            return Turn::Went;
        };
        match client.session.poll(connection.inbox, now) {
            Step::Event(event) => self.broker.happened(key, event, now),
            Step::Transmit(bytes) if connection.link.has_room() => {
                connection.link.push(bytes);
                let len = bytes.len();
                client.session.transmitted(len);
            }
            Step::Transmit(_) => {
                connection.link.flush();
                if !connection.link.has_room() {
                    connection.deadline = client.session.deadline();
                    // Perhaps the client wants to be read first.
                    return connection.read(client);
                }
            }
            Step::Wait(deadline) => {
                connection.deadline = deadline;
                if !connection.link.has_room() {
                    connection.link.flush();
                }
                if !self.broker.feed(key, connection.link.free_space(), now) {
                    return self.broker.clients.get_mut(&key).map_or(Turn::Went, |client| connection.read(client));
                }
            }
            Step::Close(reason) => {
                self.broker.closed(key, reason, now);
                connection.leave(now, if reason == CloseReason::TooManyHeld { CROWD_LINGER } else { LINGER });
                // What is left of the session may have a time of its own.
                self.next_look = now;
            }
        }
        Turn::Went
    }

    /// Ends the connection that a session has, for another one that is here. `false`: it has none. [MQTT-3.1.4-2] in 3.1.1,
    /// [MQTT-3.1.4-3] in 5.0
    fn take_over(&mut self, key: Key, now: Instant) -> bool {
        let Some(client) = self.broker.clients.get_mut(&key) else { return false };
        let Some((token, mut old)) = client.connection.and_then(|token| self.connections.remove_entry(&token)) else {
            return false;
        };
        leave(client, &Disconnect { reason_code: ReasonCode::SessionTakenOver, ..Disconnect::default() });
        while let Some(client) = self.broker.clients.get_mut(&key) {
            match client.session.poll(old.inbox, now) {
                Step::Event(event) => self.broker.happened(key, event, now),
                Step::Transmit(bytes) if old.link.has_room() => {
                    old.link.push(bytes);
                    let len = bytes.len();
                    client.session.transmitted(len);
                }
                // The other one does not wait for it.
                Step::Transmit(_) | Step::Wait(_) => client.session.connection_lost(),
                Step::Close(reason) => {
                    self.broker.closed(key, reason, now);
                    break;
                }
            }
        }
        old.leave(now, LINGER);
        self.put_back(token, old);
        self.broker.ready.push(token);
        true
    }

    /// Looks through all that has a time.
    fn look_through(&mut self, now: Instant) {
        let mut next = self.broker.elapse(now);
        let mut note = |time: Option<Instant>| next = next.into_iter().chain(time).min();
        for (&token, connection) in &self.connections {
            if connection.deadline.is_some_and(|deadline| deadline <= now) {
                self.broker.ready.push(token);
            } else {
                note(connection.deadline);
            }
        }
        if self.next_report <= now {
            self.broker.report(now);
            self.next_report = now.after_millis(REPORT);
        }
        note(Some(self.next_report));
        note(Some(self.door_opens).filter(|&time| now < time));
        self.next_look = next.unwrap_or(self.next_report);
    }

    /// Takes leave of everybody.
    fn shut_down(&mut self) {
        self.broker.shut_down();
        for (&token, connection) in &mut self.connections {
            if connection.stage == Stage::Greeting {
                connection.stage = Stage::Gone;
                self.broker.ready.push(token);
            }
        }
    }
}

impl Connection {
    fn read_greeting(&mut self, now: Instant) -> Turn {
        match self.link.read(self.inbox.space()) {
            0 if self.link.is_over() || self.deadline.is_some_and(|deadline| deadline <= now) => {
                self.stage = Stage::Gone
            }
            0 => return Turn::Waits,
            read => self.inbox.filled(read),
        }
        Turn::Went
    }

    fn read(&mut self, client: &mut Client) -> Turn {
        match self.link.read(self.inbox.space()) {
            0 if self.link.is_over() => client.session.connection_lost(),
            0 => return Turn::Waits,
            read => self.inbox.filled(read),
        }
        Turn::Went
    }

    /// The session has nothing more to say; the last bytes have so many milliseconds.
    fn leave(&mut self, now: Instant, linger: u64) {
        self.stage = Stage::Leaving;
        self.deadline = Some(now.after_millis(linger));
        self.inbox.clear();
    }

    /// Writes what is left, and waits until the client has closed: were there anything unread, closing would throw away what
    /// it has not yet read.
    fn see_off(&mut self, now: Instant) -> Turn {
        if !self.link.is_flushed() {
            self.link.flush();
        }
        if self.link.is_flushed() {
            self.link.end();
        }
        // Whoever does not stop talking is not listened to for ever.
        if self.link.is_over() || self.deadline.is_some_and(|deadline| deadline <= now) {
            self.stage = Stage::Gone;
        } else if self.link.read(self.inbox.space()) == 0 && !self.link.is_over() {
            return Turn::Waits;
        }
        Turn::Went
    }
}
