//! A client over a blocking socket, by way of the driver for `embedded-io`: it connects, subscribes, publishes a message of each
//! QoS, receives all three, and disconnects. A lost connection is opened again, later and later.
//!
//! ```text
//! cargo run --example blocking -- localhost 1883
//! ```
//!
//! It says nothing if all went well; otherwise one line, and the exit status is 1.
#![allow(clippy::arithmetic_side_effects, reason = "the numbers of a short run")]

use core::hash::{BuildHasher, Hasher};
use core::time::Duration;
use std::hash::RandomState;
use std::io::{self, ErrorKind};
use std::net::{TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Instant as Reading;

use mqtt_session::io::{Clock, Driver, Error, TimesOut};
use mqtt_session::{
    Backoff, CloseReason, CommandError, Connect, Disconnect, Event, Inbox, Instant, Message, Outcome, Properties,
    Property, Publish, QoS, Session, Subscribe, Subscription, Version,
};

const LEVELS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// How often it is tried, and how many seconds everything together may take.
const ATTEMPTS: u32 = 3;
const LIMIT: u64 = 20;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(line) => {
            eprintln!("blocking: {line}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [host, port] = arguments.as_slice() else { return Err("usage: blocking HOST PORT".to_owned()) };
    let port = port.parse().map_err(|error| format!("{port}: {error}"))?;
    let mut client = Client::new();
    let mut backoff = Backoff::new(250, 5_000);
    let mut attempt = 1;
    loop {
        let why = match open(host, port) {
            Ok(socket) => match client.converse(socket) {
                Ok(()) => return Ok(()),
                Err(Failure::Final(line)) => return Err(line),
                Err(Failure::Passing(line)) => line,
            },
            Err(error) => format!("{host}:{port} cannot be reached: {error}"),
        };
        if attempt == ATTEMPTS {
            return Err(why);
        }
        attempt += 1;
        // A connection that came about begins the pauses anew.
        if core::mem::take(&mut client.connected) {
            backoff.reset();
        }
        std::thread::sleep(Duration::from_millis(backoff.next(random()).into()));
    }
}

/// Why a connection was of no use.
enum Failure {
    /// Another one may go better.
    Passing(String),
    Final(String),
}

impl From<CommandError> for Failure {
    fn from(refused: CommandError) -> Self {
        Self::Final(refused.to_string())
    }
}

impl From<Error<io::Error>> for Failure {
    fn from(error: Error<io::Error>) -> Self {
        if error.close_reason().is_temporary() {
            Self::Passing(error.to_string())
        } else {
            Self::Final(error.to_string())
        }
    }
}

struct Client {
    session: Session<1024, 8, 8>,
    inbox: Inbox<[u8; 1024]>,
    clock: Time,
    name: String,
    /// Whether this process has been connected: then the session is known.
    known: bool,
    /// Whether the last connection came about.
    connected: bool,
    /// Whether the messages of QoS 1 and 2 are on their way.
    published: bool,
    received: [bool; 3],
    acknowledged: u8,
}

impl Client {
    fn new() -> Self {
        Self {
            session: Session::new(),
            inbox: Inbox::new(),
            clock: Time(Reading::now()),
            name: format!("blocking-{}", std::process::id()),
            known: false,
            connected: false,
            published: false,
            received: [false; 3],
            acknowledged: 0,
        }
    }

    /// One connection; `Ok` if everything is done and said.
    fn converse(&mut self, socket: Socket) -> Result<(), Failure> {
        let lasting = [Property::SessionExpiryInterval(60)];
        let connect = Connect {
            clean_start: !self.known,
            properties: Properties::of(&lasting),
            response_timeout: core::time::Duration::from_secs(3),
            ..Connect::new(Version::V5, &self.name)
        };
        self.session.connect(&mut self.inbox, &connect)?;
        let Self { session, inbox, clock, name, known, connected, published, received, acknowledged } = self;
        let mut driver = Driver::new(TimesOut(socket), *clock);
        let end = Instant::from_millis(LIMIT * 1000);
        loop {
            let told = driver.next_before(session, &mut *inbox, end, |session, event| {
                match event {
                    Event::Connected(_) => {
                        (*known, *connected) = (true, true);
                        subscribe(session, name)?;
                    }
                    // Of what was published, only QoS 0 is lost with a connection.
                    Event::Subscribed { .. } => {
                        if !*published {
                            publish(session, name, &LEVELS)?;
                        } else if !received[0] {
                            publish(session, name, &[QoS::AtMostOnce])?;
                        }
                        *published = true;
                    }
                    Event::Message(message) => note(received, &message),
                    Event::Published { outcome: Outcome::Acknowledged(_), .. } => *acknowledged += 1,
                    _ => {}
                }
                if *received == [true; 3] && *acknowledged == 2 {
                    session.disconnect(&Disconnect::default())
                } else {
                    Ok(())
                }
            });
            match told {
                Ok(Some(Ok(()) | Err(CommandError::Offline | CommandError::Closing))) => {} // the end follows
                Ok(Some(Err(refused))) => return Err(refused.into()),
                Ok(None) => return Err(Failure::Final(format!("it takes more than {LIMIT} s"))),
                Err(Error::Closed(CloseReason::Disconnected)) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn subscribe(session: &mut Session<1024, 8, 8>, name: &str) -> Result<(), CommandError> {
    let subscriptions = [Subscription::new(name, QoS::ExactlyOnce)];
    session.subscribe(&Subscribe::new(&subscriptions)).map(drop)
}

/// A message of each of these QoS, with its QoS as payload.
fn publish(session: &mut Session<1024, 8, 8>, name: &str, levels: &[QoS]) -> Result<(), CommandError> {
    for &qos in levels {
        session.publish(&Publish { qos, ..Publish::new(name, &[qos as u8]) })?;
    }
    Ok(())
}

fn note(received: &mut [bool; 3], message: &Message<'_>) {
    let seen = message.payload.first().and_then(|&number| received.get_mut(usize::from(number)));
    if let Some(seen) = seen {
        *seen = true;
    }
}

/// The first address that answers.
fn open(host: &str, port: u16) -> Result<Socket, io::Error> {
    let mut failure = io::Error::new(ErrorKind::NotFound, "there is no such host");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, Duration::from_secs(5)) {
            Ok(socket) => return Socket::new(socket),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// A socket whose reads and writes end in time. A TLS stream over such a socket can take its place.
struct Socket(TcpStream);

impl Socket {
    /// As late as this, deadlines are met, and the other direction gets its turn.
    const PAUSE: Duration = Duration::from_millis(20);

    fn new(socket: TcpStream) -> Result<Self, io::Error> {
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(Self::PAUSE))?;
        socket.set_write_timeout(Some(Self::PAUSE))?;
        Ok(Self(socket))
    }
}

impl embedded_io::ErrorType for Socket {
    type Error = io::Error;
}

impl embedded_io::Read for Socket {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, io::Error> {
        io::Read::read(&mut self.0, buf).map_err(in_time)
    }
}

impl embedded_io::Write for Socket {
    fn write(&mut self, buf: &[u8]) -> Result<usize, io::Error> {
        io::Write::write(&mut self.0, buf).map_err(in_time)
    }

    fn flush(&mut self) -> Result<(), io::Error> {
        io::Write::flush(&mut self.0).map_err(in_time)
    }
}

/// A time limit is called `WouldBlock` on some systems, which `embedded-io` does not know.
fn in_time(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::WouldBlock { ErrorKind::TimedOut.into() } else { error }
}

#[derive(Clone, Copy)]
struct Time(Reading);

impl Clock for Time {
    fn now(&mut self) -> Instant {
        Instant::from_millis(u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

/// Nothing that keeps secrets, but different in each process.
#[expect(clippy::cast_possible_truncation, reason = "any bits will do")]
fn random() -> u32 {
    RandomState::new().build_hasher().finish() as u32
}
