//! Subscribes to topics, and prints the messages that come.
//!
//! ```text
//! cargo run --example subscribe -- -t 'meter/#' -q 1 -v
//! ```
//!
//! A message is printed before it is acknowledged: what cannot be printed comes again, if the session is kept. One that is larger than the
//! memory is kept in a file until all of it is here.

#[path = "../common/mod.rs"]
mod common;
mod spool;

use core::mem::take;
use core::time::Duration;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use common::{Arguments, Client, Connection, Failure, Grant, Link, Received, Session, finish, granted, receive, said};
use mqtt_session::wire::check_topic_filter;
use mqtt_session::{
    CloseReason, CommandError, Connect, Disconnect, Event, List, MaximumPacketSize, Message, MessagePart, Oversized,
    QoS, ReasonCode, Step, Subscribe, Subscription,
};
use spool::Spool;

const USAGE: &str = "usage: subscribe -t FILTER [-t FILTER ...] [flags]
  -t, --topic FILTER            what to subscribe to
  -q, --qos QOS                 the highest QoS of the messages: 0 (the default), 1 or 2
  -C, --count N                 end after N messages
  -W, --timeout SECONDS         end after this time, with status 27
  -v, --verbose                 print the topic in front of each message
  -N, --no-newline              print nothing behind a message";

/// What the command line asks for.
struct Options {
    filters: Vec<String>,
    qos: QoS,
    count: Option<u64>,
    timeout: Option<u64>,
    verbose: bool,
    newline: bool,
}

fn main() -> ExitCode {
    let usage = format!("{USAGE}{}", Connection::USAGE);
    finish("subscribe", &usage, run)
}

fn run(arguments: Arguments) -> Result<(), Failure> {
    let (connection, options) = Options::read(arguments)?;
    let mut client = Client::new("subscribe", connection, options.timeout)?;
    let mut reader = Reader::new(options);
    loop {
        let (oversized, maximum_packet_size) = (Oversized::InPieces, MaximumPacketSize::Absent);
        let mut link = client.connect_as(|connect| Connect { oversized, maximum_packet_size, ..connect })?;
        let reason = converse(&mut client, &mut link, &mut reader);
        match (reader.end.take(), client.stop.reason()) {
            (Some(result), _) => return result,
            (None, Some(failure)) => return Err(failure),
            (None, None) => client.retry.after(reason, take(&mut reader.said), &client.stop)?,
        }
    }
}

/// One connection.
fn converse(client: &mut Client, link: &mut Link, reader: &mut Reader) -> CloseReason {
    let Client { session, inbox, clock, stop, retry, connection } = client;
    let (session, inbox) = (&mut **session, &mut **inbox);
    let mut leaving = false;
    loop {
        if !leaving && (reader.end.is_some() || stop.reason().is_some()) {
            leaving = true;
            // What could not be printed is not acknowledged either.
            if reader.is_mute || session.disconnect(&Disconnect::default()).is_err() {
                session.connection_lost();
            }
        }
        match session.poll(inbox, clock.now()) {
            Step::Event(Event::Connected(connack)) => {
                let is_due = reader.grant.is_due(connack.session_present, clock.elapsed());
                retry.up(inbox);
                if is_due {
                    reader.subscribe(session);
                }
            }
            Step::Event(Event::Message(message)) if !leaving => reader.take(&message),
            Step::Event(Event::MessagePart(part)) if !leaving => reader.take_part(&part),
            Step::Event(Event::MessageAborted) => reader.spool = None,
            Step::Event(Event::Subscribed { reason_codes, properties, .. }) => {
                reader.subscribed(reason_codes, &said(&properties));
            }
            Step::Event(Event::RequestLost { .. }) => reader.grant = Grant::Missing,
            Step::Event(Event::ConnectionRefused(connack)) => reader.said = said(&connack.properties),
            Step::Event(Event::Disconnected(disconnect)) => reader.said = said(&disconnect.properties),
            Step::Event(_) => {}
            Step::Transmit(bytes) => match link.write(bytes) {
                // The socket takes nothing: perhaps the broker wants to be read first.
                Ok(0) => _ = receive(link, session, inbox, Duration::ZERO),
                Ok(written) => session.transmitted(written),
                Err(_) => session.connection_lost(),
            },
            Step::Wait(deadline) => {
                let received = receive(link, session, inbox, clock.pause(deadline, stop.longest_pause()));
                if received == Received::Bytes {
                    retry.heard();
                }
                if received == Received::Nothing && reader.grant.is_late(connection.response_timeout(), clock.elapsed())
                {
                    reader.said = " (SUBACK did not come in time)".to_owned();
                    session.connection_lost();
                }
            }
            Step::Close(reason) => return reason,
        }
    }
}

/// What becomes of the messages.
struct Reader {
    options: Options,
    /// Whether the broker has granted the subscriptions.
    grant: Grant,
    /// How many messages came.
    count: u64,
    /// The line that is printed; kept for its memory.
    line: Vec<u8>,
    /// The message that is coming in parts.
    spool: Option<Spool>,
    /// Whether a message could not be printed.
    is_mute: bool,
    /// How it ends, once it does.
    end: Option<Result<(), Failure>>,
    said: String,
}

impl Reader {
    fn new(options: Options) -> Self {
        let (line, said) = (Vec::new(), String::new());
        Self { options, grant: Grant::Missing, count: 0, line, spool: None, is_mute: false, end: None, said }
    }

    fn subscribe(&mut self, session: &mut Session) {
        let Options { filters, qos, .. } = &self.options;
        let subscriptions: Vec<_> = filters.iter().map(|filter| Subscription::new(filter, *qos)).collect();
        match session.subscribe(&Subscribe::new(&subscriptions)) {
            Ok(_) | Err(CommandError::Offline) => {} // offline: the link is gone already, and Close follows
            Err(refused) => self.end = Some(Err(refused.into())),
        }
    }

    fn subscribed(&mut self, reason_codes: List<'_, ReasonCode>, said: &str) {
        self.grant = Grant::Given;
        for (filter, code) in self.options.filters.iter().zip(reason_codes.iter()) {
            if let Err(why) = granted(code) {
                let line = format!("the subscription to {filter} was refused: {why}{said}");
                self.end = Some(Err(Failure::Failed(line)));
            }
        }
    }

    /// Prints a message; or keeps the first part of one.
    fn take(&mut self, message: &Message<'_>) {
        self.line.clear();
        if self.options.verbose {
            self.line.extend_from_slice(message.topic.as_bytes());
            self.line.push(b' ');
        }
        self.line.extend_from_slice(message.payload);
        if message.remaining == 0 {
            return self.print();
        }
        let kept = Spool::new().and_then(|mut spool| {
            spool.write(&take(&mut self.line))?;
            Ok(spool)
        });
        match kept {
            Ok(spool) => self.spool = Some(spool),
            Err(error) => self.fail(&error),
        }
    }

    fn take_part(&mut self, part: &MessagePart<'_>) {
        let Some(spool) = &mut self.spool else { return };
        match spool.write(part.payload) {
            Ok(()) if part.remaining == 0 => self.print(),
            Ok(()) => {}
            Err(error) => self.fail(&error),
        }
    }

    /// A message cannot be kept, so it must not be acknowledged.
    fn fail(&mut self, error: &io::Error) {
        self.is_mute = true;
        self.end = Some(Err(Failure::Failed(format!("a large message cannot be kept: {error}"))));
    }

    fn print(&mut self) {
        let Options { newline, count, .. } = &self.options;
        if *newline {
            self.line.push(b'\n');
        }
        let mut out = io::stdout().lock();
        let spooled = self.spool.take().map_or(Ok(()), |mut spool| spool.copy_to(&mut out));
        if let Err(error) = spooled.and_then(|()| out.write_all(&self.line)).and_then(|()| out.flush()) {
            self.is_mute = true;
            self.end = Some(match error.kind() {
                // Whoever reads the output has seen enough.
                ErrorKind::BrokenPipe => Ok(()),
                _ => Err(Failure::Failed(format!("standard output: {error}"))),
            });
            return;
        }
        self.count = self.count.saturating_add(1);
        if count.is_some_and(|count| count <= self.count) {
            self.end = Some(Ok(()));
        }
    }
}

impl Options {
    fn read(mut arguments: Arguments) -> Result<(Connection, Self), Failure> {
        let mut connection = Connection::default();
        let mut options = Self {
            filters: Vec::new(),
            qos: QoS::AtMostOnce,
            count: None,
            timeout: None,
            verbose: false,
            newline: true,
        };
        while let Some(flag) = arguments.flag()? {
            match flag.as_str() {
                "-t" | "--topic" => options.filters.push(arguments.text(&flag)?),
                "-q" | "--qos" => options.qos = arguments.qos(&flag)?,
                "-C" | "--count" => options.count = Some(arguments.number(&flag)?),
                "-W" | "--timeout" => options.timeout = Some(arguments.number(&flag)?),
                "-v" | "--verbose" => options.verbose = true,
                "-N" | "--no-newline" => options.newline = false,
                _ => connection.take(&flag, &mut arguments)?,
            }
        }
        connection.check()?;
        if options.filters.is_empty() {
            return Err(Failure::Usage("-t is missing: what to subscribe to".to_owned()));
        }
        for filter in &options.filters {
            check_topic_filter(connection.version, filter)
                .map_err(|violation| Failure::Usage(format!("-t: {filter}: {violation}")))?;
        }
        if options.count == Some(0) {
            return Err(Failure::Usage("-C: it takes at least one message".to_owned()));
        }
        Ok((connection, options))
    }
}
