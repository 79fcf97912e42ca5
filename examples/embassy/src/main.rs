//! A client on embassy's executor and timers, by way of the driver for `embedded-io-async`. One task measures and asks for
//! publishes; another one owns the session: it connects, subscribes, publishes what it is given, receives it again, and
//! disconnects after three messages. It runs on a computer; on a chip the socket is one of `embassy-net`.
//!
//! ```text
//! cargo run --manifest-path examples/embassy/Cargo.toml -- localhost 1883
//! ```
//!
//! It says nothing if all went well; otherwise one line, and the exit status is 1.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::process::exit;
use std::time::Duration as Pause;

use async_io::Async;
use embassy_executor::{Executor, Spawner};
use embassy_futures::select::{Either, select};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::channel::Channel;
use embassy_time::{Duration, Instant as Reading, Timer, with_timeout};
use mqtt_session::io::{AsyncClock, AsyncDriver, Error, Split};
use mqtt_session::{
    CloseReason, CommandError, Connect, Disconnect, Event, Inbox, Instant, Message, Outcome, Publish, QoS, Session,
    Subscribe, Subscription, Version,
};
use static_cell::StaticCell;

const LEVELS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

const PATIENCE: Pause = Pause::from_secs(5);
const LIMIT: Duration = Duration::from_secs(20);

/// From the task that measures to the one that publishes.
static MEASURED: Channel<CriticalSectionRawMutex, QoS, 4> = Channel::new();

static EXECUTOR: StaticCell<Executor> = StaticCell::new();

fn main() -> ! {
    EXECUTOR.init(Executor::new()).run(|spawner: Spawner| {
        spawner.spawn(measure().expect("it is spawned once"));
        spawner.spawn(communicate().expect("it is spawned once"));
    })
}

/// A measurement of each importance, now and then.
#[embassy_executor::task]
async fn measure() {
    for qos in LEVELS {
        Timer::after_millis(20).await;
        MEASURED.send(qos).await;
    }
}

#[embassy_executor::task]
async fn communicate() {
    let end = with_timeout(LIMIT, run()).await;
    match end.unwrap_or_else(|_| Err(format!("it takes more than {} s", LIMIT.as_secs()))) {
        Ok(()) => exit(0),
        Err(line) => {
            eprintln!("embassy: {line}");
            exit(1)
        }
    }
}

async fn run() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [host, port] = arguments.as_slice() else { return Err("usage: embassy HOST PORT".to_owned()) };
    let port = port.parse().map_err(|error| format!("{port}: {error}"))?;
    let socket = open(host, port).map_err(|error| format!("{host}:{port} cannot be reached: {error}"))?;
    match converse(&socket).await {
        Ok(Error::Closed(CloseReason::Disconnected)) => Ok(()),
        Ok(error) => Err(error.to_string()),
        Err(refused) => Err(refused.to_string()),
    }
}

/// One connection; how it ended.
async fn converse(socket: &Async<TcpStream>) -> Result<Error<io::Error>, CommandError> {
    let name = format!("embassy-{}", std::process::id());
    let mut session: Session<1024, 8, 8> = Session::new();
    let mut inbox: Inbox<[u8; 1024]> = Inbox::new();
    session.connect(
        &mut inbox,
        &Connect { response_timeout: core::time::Duration::from_secs(3), ..Connect::new(Version::V5, &name) },
    )?;
    let halves = Split { reader: Half(socket), writer: Half(socket) };
    let mut driver = AsyncDriver::new(halves, Time);
    let (mut subscribed, mut received, mut acknowledged) = (false, [false; 3], 0);
    loop {
        let next = driver.next(&mut session, &mut inbox, |session, event| {
            match event {
                Event::Connected(_) => subscribe(session, &name)?,
                Event::Subscribed { .. } => subscribed = true,
                Event::Message(message) => note(&mut received, &message),
                Event::Published { outcome: Outcome::Acknowledged(_), .. } => acknowledged += 1,
                _ => {}
            }
            if received == [true; 3] && acknowledged == 2 { session.disconnect(&Disconnect::default()) } else { Ok(()) }
        });
        // Whichever comes second is dropped, and loses nothing.
        match select(next, MEASURED.ready_to_receive()).await {
            Either::First(Ok(Ok(()) | Err(CommandError::Offline | CommandError::Closing))) => {} // the end follows
            Either::First(Ok(Err(refused))) => return Err(refused),
            Either::First(Err(end)) => return Ok(end),
            Either::Second(()) => {}
        }
        while subscribed && let Ok(qos) = MEASURED.try_receive() {
            session.publish(&Publish { qos, ..Publish::new(&name, &[qos as u8]) })?;
        }
    }
}

fn subscribe(session: &mut Session<1024, 8, 8>, name: &str) -> Result<(), CommandError> {
    let subscriptions = [Subscription::new(name, QoS::ExactlyOnce)];
    session.subscribe(&Subscribe::new(&subscriptions)).map(drop)
}

fn note(received: &mut [bool; 3], message: &Message<'_>) {
    let seen = message.payload.first().and_then(|&number| received.get_mut(usize::from(number)));
    if let Some(seen) = seen {
        *seen = true;
    }
}

/// The first address that answers.
fn open(host: &str, port: u16) -> Result<Async<TcpStream>, io::Error> {
    let mut failure = io::Error::new(ErrorKind::NotFound, "there is no such host");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(socket) => {
                socket.set_nodelay(true)?;
                return Async::new(socket);
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// A half of a socket: what is dropped before it is ready has not read or written anything.
struct Half<'a>(&'a Async<TcpStream>);

impl embedded_io_async::ErrorType for Half<'_> {
    type Error = io::Error;
}

impl embedded_io_async::Read for Half<'_> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, io::Error> {
        self.0.read_with(|mut socket| socket.read(buf)).await
    }
}

impl embedded_io_async::Write for Half<'_> {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, io::Error> {
        self.0.write_with(|mut socket| socket.write(buf)).await
    }

    async fn flush(&mut self) -> Result<(), io::Error> {
        Ok(())
    }
}

struct Time;

impl AsyncClock for Time {
    fn now(&mut self) -> Instant {
        Instant::from_millis(Reading::now().as_millis())
    }

    async fn sleep_until(&mut self, at: Instant) {
        Timer::at(Reading::from_millis(at.as_millis())).await;
    }
}
