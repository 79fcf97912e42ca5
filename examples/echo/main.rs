//! Answers each message: publishes its payload under another topic.
//!
//! ```text
//! cargo run --example echo -- -t 'echo/ask/#' --to echo/answer -q 1
//! ```
//!
//! The answer is given from inside the event, while the payload still lies in the inbox; its one copy is the one in the
//! session's store. A question of QoS 1 or 2 is acknowledged once the broker has its answer, so that none is lost between
//! the two, and a broker that keeps to its window asks no faster than it is answered. One that does not may drop answers of
//! QoS 2 in 3.1.1 without a word, as mosquitto 2.0.11 does where more than 20 are under way; 5.0 has words for both.

#[path = "../common/mod.rs"]
mod common;

use core::mem::take;
use core::time::Duration;
use std::collections::HashMap;
use std::process::ExitCode;

use common::{Arguments, Client, Connection, Failure, Grant, Link, Received, Session, finish, granted, receive, said};
use mqtt_session::wire::check_topic_filter;
use mqtt_session::{
    Acknowledge, CloseReason, CommandError, Disconnect, Event, Handle, List, Message, Outcome, PacketId, Publish, QoS,
    ReasonCode, Step, Subscribe, Subscription, matches,
};

const USAGE: &str = "usage: echo [-t FILTER] [--to TOPIC] [flags]
  -t, --topic FILTER            what is answered; echo/ask/# by default
      --to TOPIC                where the answers go; echo/answer by default
  -q, --qos QOS                 the highest QoS of questions and answers: 0 (the default), 1 or 2";

fn main() -> ExitCode {
    let usage = format!("{USAGE}{}", Connection::USAGE);
    finish("echo", &usage, run)
}

fn run(arguments: Arguments) -> Result<(), Failure> {
    let (connection, mut echo) = read(arguments)?;
    let mut client = Client::new("echo", connection, None)?;
    loop {
        let mut link = client.connect_with(Acknowledge::Manually)?;
        let reason = converse(&mut client, &mut link, &mut echo);
        match (echo.failure.take(), client.stop.reason()) {
            (Some(failure), _) | (None, Some(failure)) => return Err(failure),
            (None, None) => client.retry.after(reason, take(&mut echo.said), &client.stop)?,
        }
    }
}

/// One connection.
fn converse(client: &mut Client, link: &mut Link, echo: &mut Echo) -> CloseReason {
    let Client { session, inbox, clock, stop, retry, connection } = client;
    let (session, inbox) = (&mut **session, &mut **inbox);
    let mut leaving = false;
    loop {
        if !leaving && (echo.failure.is_some() || stop.reason().is_some()) {
            leaving = true;
            if session.disconnect(&Disconnect::default()).is_err() {
                session.connection_lost();
            }
        }
        match session.poll(inbox, clock.now()) {
            Step::Event(Event::Connected(connack)) => {
                let is_due = echo.grant.is_due(connack.session_present, clock.elapsed());
                retry.up(inbox);
                if is_due {
                    echo.subscribe(session);
                }
            }
            Step::Event(Event::Message(question)) if !leaving => echo.answer(session, &question),
            Step::Event(Event::Published { packet_id, outcome, .. }) => echo.answered(session, packet_id, outcome),
            Step::Event(Event::Subscribed { reason_codes, properties, .. }) => {
                echo.subscribed(reason_codes, &said(&properties));
            }
            Step::Event(Event::RequestLost { .. }) => echo.grant = Grant::Missing,
            Step::Event(Event::ConnectionRefused(connack)) => echo.said = said(&connack.properties),
            Step::Event(Event::Disconnected(disconnect)) => echo.said = said(&disconnect.properties),
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
                if received == Received::Nothing && echo.grant.is_late(connection.response_timeout(), clock.elapsed()) {
                    echo.said = " (SUBACK did not come in time)".to_owned();
                    session.connection_lost();
                }
            }
            Step::Close(reason) => return reason,
        }
    }
}

/// Which answers are under way.
struct Echo {
    filter: String,
    to: String,
    qos: QoS,
    /// Whether the broker has granted the subscription.
    grant: Grant,
    /// The questions whose answers the broker does not have yet.
    open: HashMap<PacketId, Handle>,
    failure: Option<Failure>,
    said: String,
}

impl Echo {
    fn subscribe(&mut self, session: &mut Session) {
        let subscriptions = [Subscription::new(&self.filter, self.qos)];
        match session.subscribe(&Subscribe::new(&subscriptions)) {
            Ok(_) | Err(CommandError::Offline) => {} // offline: the link is gone already, and Close follows
            Err(refused) => self.failure = Some(refused.into()),
        }
    }

    fn subscribed(&mut self, reason_codes: List<'_, ReasonCode>, said: &str) {
        self.grant = Grant::Given;
        for why in reason_codes.iter().filter_map(|code| granted(code).err()) {
            let line = format!("the subscription to {} was refused: {why}{said}", self.filter);
            self.failure = Some(Failure::Failed(line));
        }
    }

    /// Answers with the QoS of the question.
    fn answer(&mut self, session: &mut Session, question: &Message<'_>) {
        let answer = Publish { qos: question.qos(), ..Publish::new(&self.to, question.payload) };
        match (session.publish(&answer), question.handle) {
            (Ok(Some(packet_id)), Some(handle)) => {
                self.open.insert(packet_id, handle);
            }
            (Ok(_), _) => {}
            (Err(refused), handle) => {
                eprintln!("echo: {} is not answered: {refused}", question.topic);
                if let Some(handle) = handle {
                    acknowledge(session, handle);
                }
            }
        }
    }

    fn answered(&mut self, session: &mut Session, packet_id: PacketId, outcome: Outcome) {
        match outcome {
            Outcome::Acknowledged(_) => {}
            Outcome::Rejected(code) => eprintln!("echo: an answer was refused: {code}"),
            other => eprintln!("echo: an answer did not arrive: {other:?}"),
        }
        if let Some(handle) = self.open.remove(&packet_id) {
            acknowledge(session, handle);
        }
    }
}

/// The question is done with.
fn acknowledge(session: &mut Session, handle: Handle) {
    match session.acknowledge(handle, ReasonCode::Success) {
        // A handle dies with its connection; the question comes again, and so does its answer.
        Ok(()) | Err(CommandError::StaleHandle) => {}
        Err(refused) => eprintln!("echo: a question is not acknowledged: {refused}"),
    }
}

fn read(mut arguments: Arguments) -> Result<(Connection, Echo), Failure> {
    let mut connection = Connection::default();
    let (mut filter, mut to) = ("echo/ask/#".to_owned(), "echo/answer".to_owned());
    let mut qos = QoS::AtMostOnce;
    while let Some(flag) = arguments.flag()? {
        match flag.as_str() {
            "-t" | "--topic" => filter = arguments.text(&flag)?,
            "--to" => to = arguments.topic(&flag)?,
            "-q" | "--qos" => qos = arguments.qos(&flag)?,
            _ => connection.take(&flag, &mut arguments)?,
        }
    }
    connection.check()?;
    check_topic_filter(connection.version, &filter)
        .map_err(|violation| Failure::Usage(format!("-t: {filter}: {violation}")))?;
    if matches(&filter, &to) {
        return Err(Failure::Usage(format!("--to: {to} is among what is answered, and would never end")));
    }
    let (open, said) = (HashMap::new(), String::new());
    Ok((connection, Echo { filter, to, qos, grant: Grant::Missing, open, failure: None, said }))
}
