//! When to connect again: after a link that was up is lost, if the session is kept; later and later, never in step with
//! others.

use core::hash::{BuildHasher, Hasher};
use core::time::Duration;
use std::hash::RandomState;
use std::time::Instant;

use mqtt_session::{Backoff, Cause, ReasonCode};

use super::{Connection, Failure, Link, Stop, ended};

/// The first pause and the longest one, in milliseconds.
const FIRST: u32 = 250;
const LONGEST: u32 = 30_000;

/// How long a connection must have been up for the pauses to begin anew.
const STEADY: Duration = Duration::from_secs(5);

/// The connections of a tool so far.
#[derive(Debug)]
pub(crate) struct Retry {
    name: &'static str,
    lasting: bool,
    /// When a broker accepted a connection, if one ever did.
    up_since: Option<Instant>,
    backoff: Backoff,
}

impl Retry {
    pub(crate) fn new(name: &'static str, lasting: bool) -> Self {
        Self { name, lasting, up_since: None, backoff: Backoff::new(FIRST, LONGEST) }
    }

    /// The broker accepted the connection.
    pub(crate) fn up(&mut self) {
        self.up_since = Some(Instant::now());
    }

    /// A transport, now or later.
    ///
    /// # Errors
    ///
    /// The host cannot be reached, and there is nothing to keep up, or there is a reason to stop.
    pub(crate) fn open(&mut self, connection: &Connection, stop: &Stop) -> Result<Link, Failure> {
        loop {
            match connection.open() {
                Ok(link) => return Ok(link),
                Err(error) => {
                    let place = format!("{}:{}", connection.host, connection.port);
                    self.wait(format!("{place} cannot be reached: {error}"), stop)?;
                }
            }
        }
    }

    /// The connection has ended. `Ok`: it is time for the next one.
    ///
    /// # Errors
    ///
    /// Another one would not help, or there is a reason to stop.
    pub(crate) fn after(&mut self, cause: Cause, said: &str, stop: &Stop) -> Result<(), Failure> {
        let line = format!("{}{said}", ended(cause));
        if self.up_since.is_some_and(|since| STEADY < since.elapsed()) {
            self.backoff.reset();
        }
        if is_passing(cause) { self.wait(line, stop) } else { Err(Failure::Failed(line)) }
    }

    fn wait(&mut self, line: String, stop: &Stop) -> Result<(), Failure> {
        if !self.lasting || self.up_since.is_none() {
            return Err(stop.reason().unwrap_or(Failure::Failed(line)));
        }
        let pause = self.backoff.next(random());
        eprintln!("{}: {line}; connecting again in {pause} ms", self.name);
        stop.sleep(Duration::from_millis(pause.into()))
    }
}

/// Whether another attempt may go better.
fn is_passing(cause: Cause) -> bool {
    match cause {
        Cause::ConnectionLost | Cause::ConnackTimeout | Cause::PingTimeout | Cause::TooManyHeld => true,
        Cause::Refused(code) | Cause::DisconnectedByPeer(code) => matches!(
            code,
            ReasonCode::ServerUnavailable
                | ReasonCode::ServerBusy
                | ReasonCode::ServerShuttingDown
                | ReasonCode::ConnectionRateExceeded
                | ReasonCode::MaximumConnectTime
                | ReasonCode::KeepAliveTimeout
        ),
        _ => false,
    }
}

/// Different in each process and each time; nothing that keeps secrets.
#[expect(clippy::cast_possible_truncation, reason = "any bits will do")]
fn random() -> u32 {
    RandomState::new().build_hasher().finish() as u32
}
