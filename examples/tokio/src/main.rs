//! A client on tokio, by way of the driver for `embedded-io-async`: it connects, subscribes, publishes a message of each QoS,
//! receives all three, and disconnects.
//!
//! ```text
//! cargo run --manifest-path examples/tokio/Cargo.toml -- localhost 1883
//! ```
//!
//! It says nothing if all went well; otherwise one line, and the exit status is 1.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use embedded_io_adapters::tokio_1::FromTokio;
use mqtt_session::io::{AsyncClock, AsyncDriver, Error, Split};
use mqtt_session::{
    CloseReason, CommandError, Connect, Disconnect, Event, Inbox, Instant, Message, Outcome, Publish, QoS, Session,
    Subscribe, Subscription, Version,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant as Reading, sleep_until, timeout};

const LEVELS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// How long a connection may take to come about, and everything together.
const PATIENCE: Duration = Duration::from_secs(5);
const LIMIT: Duration = Duration::from_secs(20);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match timeout(LIMIT, run()).await.unwrap_or_else(|_| Err(format!("it takes more than {} s", LIMIT.as_secs()))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(line) => {
            eprintln!("tokio: {line}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [host, port] = arguments.as_slice() else { return Err("usage: tokio HOST PORT".to_owned()) };
    let port: u16 = port.parse().map_err(|error| format!("{port}: {error}"))?;
    let unreachable = |error| format!("{host}:{port} cannot be reached: {error}");
    let socket = timeout(PATIENCE, TcpStream::connect((host.as_str(), port))).await;
    let socket = socket.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(unreachable)?;
    socket.set_nodelay(true).map_err(unreachable)?;
    // The place for TLS, for instance of `tokio-rustls`: `let socket = connector.connect(name, socket).await?;`
    match converse(socket).await {
        Ok(Error::Closed(CloseReason::Disconnected)) => Ok(()),
        Ok(error) => Err(error.to_string()),
        Err(refused) => Err(refused.to_string()),
    }
}

/// One connection over any stream; how it ended.
async fn converse<T: AsyncRead + AsyncWrite>(stream: T) -> Result<Error<io::Error>, CommandError> {
    let name = format!("tokio-{}", std::process::id());
    let mut session: Session<1024, 8, 8> = Session::new();
    let mut inbox: Inbox<[u8; 1024]> = Inbox::new();
    session.connect(
        &mut inbox,
        &Connect { response_timeout: core::time::Duration::from_secs(3), ..Connect::new(Version::V5, &name) },
    )?;
    // In halves, so that it is read while it is written.
    let (reader, writer) = tokio::io::split(stream);
    let halves = Split { reader: FromTokio::new(reader), writer: FromTokio::new(writer) };
    let mut driver = AsyncDriver::new(halves, Time(Reading::now()));
    let (mut received, mut acknowledged) = ([false; 3], 0);
    loop {
        let told = driver.next(&mut session, &mut inbox, |session, event| {
            match event {
                Event::Connected(_) => subscribe(session, &name)?,
                Event::Subscribed { .. } => publish(session, &name)?,
                Event::Message(message) => note(&mut received, &message),
                Event::Published { outcome: Outcome::Acknowledged(_), .. } => acknowledged += 1,
                _ => {}
            }
            if received == [true; 3] && acknowledged == 2 { session.disconnect(&Disconnect::default()) } else { Ok(()) }
        });
        match told.await {
            Ok(Ok(()) | Err(CommandError::Offline | CommandError::Closing)) => {} // the end follows
            Ok(Err(refused)) => return Err(refused),
            Err(end) => return Ok(end),
        }
    }
}

fn subscribe(session: &mut Session<1024, 8, 8>, name: &str) -> Result<(), CommandError> {
    let subscriptions = [Subscription::new(name, QoS::ExactlyOnce)];
    session.subscribe(&Subscribe::new(&subscriptions)).map(drop)
}

/// A message of each QoS, with its QoS as payload.
fn publish(session: &mut Session<1024, 8, 8>, name: &str) -> Result<(), CommandError> {
    for qos in LEVELS {
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

/// The time since this connection was opened.
struct Time(Reading);

impl AsyncClock for Time {
    fn now(&mut self) -> Instant {
        Instant::from_millis(u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    async fn sleep_until(&mut self, at: Instant) {
        sleep_until(self.0 + Duration::from_millis(at.as_millis())).await;
    }
}
