//! When to connect again: after a link that was up is lost, if the session is kept; later and later, never in step with
//! others.

use core::hash::{BuildHasher, Hasher};
use core::time::Duration;
use std::hash::RandomState;
use std::time::Instant;

use mqtt_session::{Cause, ReasonCode};

use super::{Connection, Failure, Link, Stop, ended};

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(30);

/// How long a connection must have been up for the pauses to begin anew.
const STEADY: Duration = Duration::from_secs(5);

/// The connections of a tool so far.
#[derive(Debug)]
pub(crate) struct Retry {
    name: &'static str,
    lasting: bool,
    /// When a broker accepted a connection, if one ever did.
    up_since: Option<Instant>,
    /// The pause before the next attempt.
    pause: Duration,
}

impl Retry {
    pub(crate) fn new(name: &'static str, lasting: bool) -> Self {
        Self { name, lasting, up_since: None, pause: FIRST }
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
            self.pause = FIRST;
        }
        if is_passing(cause) { self.wait(line, stop) } else { Err(Failure::Failed(line)) }
    }

    fn wait(&mut self, line: String, stop: &Stop) -> Result<(), Failure> {
        if !self.lasting || self.up_since.is_none() {
            return Err(stop.reason().unwrap_or(Failure::Failed(line)));
        }
        let pause = jittered(self.pause);
        eprintln!("{}: {line}; connecting again in {} ms", self.name, pause.as_millis());
        self.pause = self.pause.saturating_mul(2).min(LONGEST);
        stop.sleep(pause)
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

/// Between half of the pause and all of it.
fn jittered(pause: Duration) -> Duration {
    let half = pause.checked_div(2).unwrap_or_default();
    let random = RandomState::new().build_hasher().finish();
    let millis = u64::try_from(half.as_millis()).unwrap_or(u64::MAX).max(1);
    half.saturating_add(Duration::from_millis(random.checked_rem(millis).unwrap_or_default()))
}
