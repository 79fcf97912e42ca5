//! Publishes messages: one, or each line of standard input.
//!
//! ```text
//! seq 1000 | cargo run --example publish -- -t numbers -q 2 -l
//! ```
//!
//! A file may be larger than the memory: it is read as it is sent. Many messages are under way at a time. The exit status is 0 if each of them came to a
//! good end.

#[path = "../common/mod.rs"]
mod common;
mod file;
mod options;
mod work;

use core::time::Duration;
use std::process::ExitCode;

use common::{Arguments, Client, Connection, Failure, Link, Received, Session, finish, receive};
use mqtt_session::{CloseReason, Disconnect, Event, Properties, Property, Step, Version};

use options::Options;
use work::Work;

fn main() -> ExitCode {
    finish("publish", &Options::usage(), run)
}

fn run(arguments: Arguments) -> Result<(), Failure> {
    let options = Options::read(arguments)?;
    let mut client = Client::new("publish", options.connection, None)?;
    let mut work = Work::new(options.task, client.clock)?;
    let result = deliver(&mut client, &mut work);
    work.end(client.session.pending());
    result
}

/// Connects as often as it takes.
fn deliver(client: &mut Client, work: &mut Work) -> Result<(), Failure> {
    loop {
        let mut link = client.connect()?;
        let reason = converse(client, &mut link, work);
        match (client.stop.reason(), reason) {
            (Some(failure), _) => return Err(failure),
            (None, CloseReason::Disconnected | CloseReason::PayloadAborted) => return work.result(),
            (None, reason) => client.retry.after(reason, work.said(), &client.stop)?,
        }
    }
}

/// One connection.
fn converse(client: &mut Client, link: &mut Link, work: &mut Work) -> CloseReason {
    let Client { session, inbox, clock, stop, retry, connection } = client;
    let (session, inbox) = (&mut **session, &mut **inbox);
    let mut leaving = false;
    loop {
        if !leaving && (work.is_done(session) || stop.reason().is_some()) {
            leaving = true;
            leave(session, connection);
        }
        match session.poll(inbox, clock.now()) {
            Step::Event(Event::Connected(_)) => retry.up(inbox),
            Step::Event(Event::PayloadRequested(request)) => work.supply(session, &request),
            Step::Event(event) => work.take(&event),
            Step::Transmit(bytes) => match link.write(bytes) {
                // The socket takes nothing: perhaps the broker wants to be read first.
                Ok(0) => _ = receive(link, session, inbox, Duration::ZERO),
                Ok(written) => session.transmitted(written),
                Err(_) => session.connection_lost(),
            },
            Step::Wait(deadline) => {
                // Between messages, too, there may be something to read.
                let pause = if work.publish(session) {
                    Duration::ZERO
                } else {
                    clock.pause(deadline, work.pause(session).min(stop.longest_pause()))
                };
                if receive(link, session, inbox, pause) == Received::Bytes {
                    retry.heard();
                }
            }
            Step::Close(reason) => return reason,
        }
        work.show_progress();
    }
}

/// All is said, so the broker need not keep the session either. 3.1.1 has no word for that.
fn leave(session: &mut Session, connection: &Connection) {
    let ended = [Property::SessionExpiryInterval(0)];
    let properties = if connection.lasting && connection.version == Version::V5 {
        Properties::of(&ended)
    } else {
        Properties::EMPTY
    };
    if session.disconnect(&Disconnect { properties, ..Disconnect::default() }).is_err() {
        // There is nobody to take leave of.
        session.connection_lost();
    }
}
