//! When to connect again: after a connection is lost, if the session is kept. Pauses grow until a connection was of use,
//! and never keep step with others.

use core::hash::{BuildHasher, Hasher};
use core::mem::replace;
use core::time::Duration;
use std::hash::RandomState;
use std::time::Instant;

use mqtt_session::{Backoff, CloseReason, ReasonCode, Version};

use super::{Connection, Failure, Inbox, Link, Stop, ended};

/// The first pause, in milliseconds.
const FIRST: u32 = 250;

/// How long a connection must have been up for the pauses to begin anew although nothing was said on it.
const STEADY: Duration = Duration::from_secs(5);

/// The connections of a tool so far.
#[derive(Debug)]
pub(crate) struct Retry {
    name: &'static str,
    lasting: bool,
    reach: Reach,
    backoff: Backoff,
}

/// How far the tool has come.
#[derive(Debug)]
enum Reach {
    /// No connection has ended yet. If there is no transport either, the host or the port may be wrong.
    Nowhere,
    /// One has, without an answer to CONNECT. What that began at the broker is not known here.
    Unheard,
    /// One has, with an answer.
    Broker,
    /// The broker accepted the connection then.
    Connection(Instant),
    /// It did so, and has said more since.
    Conversation(Instant),
}

impl Retry {
    pub(crate) fn new(name: &'static str, connection: &Connection) -> Self {
        let backoff = Backoff::new(FIRST, connection.max_pause);
        Self { name, lasting: connection.lasting, reach: Reach::Nowhere, backoff }
    }

    /// The broker accepted the connection, and perhaps said more already.
    pub(crate) fn up(&mut self, inbox: &Inbox) {
        self.reach = Reach::Connection(Instant::now());
        if !inbox.unread().is_empty() {
            self.heard();
        }
    }

    /// Something has come in. Behind CONNACK it shows that the connection is of use, be it an answer alone.
    pub(crate) fn heard(&mut self) {
        if let Reach::Connection(since) = self.reach {
            self.reach = Reach::Conversation(since);
        }
    }

    /// Whether only a clean start helps: 5.0 resumes no session that no CONNACK made known here. [MQTT-3.2.2-4]
    pub(crate) fn needs_clean_start(&self, connection: &Connection) -> bool {
        connection.version == Version::V5 && matches!(self.reach, Reach::Unheard)
    }

    /// A transport, now or later.
    ///
    /// # Errors
    ///
    /// The host cannot be reached and never was, no session is kept, or there is a reason to stop.
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
    pub(crate) fn after(&mut self, reason: CloseReason, said: String, stop: &Stop) -> Result<(), Failure> {
        let line = ended(reason) + &said;
        let next = match self.reach {
            Reach::Nowhere if !matches!(reason, CloseReason::ConnectionRefused(_)) => Reach::Unheard,
            Reach::Unheard => Reach::Unheard,
            _ => Reach::Broker,
        };
        let served = match replace(&mut self.reach, next) {
            // A broker that says why it ends a connection wants some rest.
            Reach::Conversation(_) if reason == CloseReason::ConnectionLost => true,
            Reach::Conversation(since) | Reach::Connection(since) => STEADY < since.elapsed(),
            Reach::Broker | Reach::Unheard | Reach::Nowhere => false,
        };
        if served {
            self.backoff.reset();
        }
        if reason.is_temporary() { self.wait(line, stop) } else { Err(Failure::Failed(line)) }
    }

    fn wait(&mut self, line: String, stop: &Stop) -> Result<(), Failure> {
        if !self.lasting || matches!(self.reach, Reach::Nowhere) {
            return Err(stop.reason().unwrap_or(Failure::Failed(line)));
        }
        let pause = self.backoff.next(random());
        eprintln!("{}: {line}; connecting again in {pause} ms", self.name);
        stop.sleep(Duration::from_millis(pause.into()))
    }
}

/// Different in each process and each time; nothing that keeps secrets.
#[expect(clippy::cast_possible_truncation, reason = "any bits will do")]
fn random() -> u32 {
    RandomState::new().build_hasher().finish() as u32
}
