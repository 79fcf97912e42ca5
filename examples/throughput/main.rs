//! Measures a broker, and this session with it: messages per second and round trips, per QoS and window.
//!
//! ```text
//! cargo run --release --example throughput -- --messages 20000 --size 64
//! ```
//!
//! A round trip is the time from `publish` until the same message comes back by the tool's own subscription to its topic,
//! with the same QoS both ways. The window is how many messages may be on their way there and back at a time.

#[path = "../common/mod.rs"]
mod common;
mod run;

use core::mem::take;
use core::time::Duration;
use std::process::ExitCode;

use common::{Arguments, Client, Connection, Failure, Link, finish, receive, said};
use mqtt_session::{CloseReason, Disconnect, Event, QoS, Step};

use run::Run;

const USAGE: &str = "usage: throughput [--messages N] [--size BYTES] [-t TOPIC] [flags]
      --messages N              how many messages in each run; 10000 by default
      --size BYTES              the length of their payloads, at least 4; 64 by default
  -t, --topic TOPIC             where they go; throughput/ and a number by default";

/// How long nothing may come back.
const STALL: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let usage = format!("{USAGE}{}", Connection::USAGE);
    finish("throughput", &usage, measure)
}

fn measure(arguments: Arguments) -> Result<(), Failure> {
    let (connection, mut run) = read(arguments)?;
    let mut client = Client::new("throughput", connection, None)?;
    println!("QoS  window  messages/s    p50 ms    p95 ms    p99 ms");
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        for window in [1, 20] {
            run.begin(qos, window);
            let mut link = client.connect()?;
            let reason = converse(&mut client, &mut link, &mut run);
            match (run.failure.take(), client.stop.reason(), reason) {
                (Some(failure), ..) | (None, Some(failure), _) => return Err(failure),
                (None, None, CloseReason::Disconnected) => println!("{run}"),
                (None, None, reason) => client.retry.after(reason, take(&mut run.said), &client.stop)?,
            }
        }
    }
    Ok(())
}

/// One connection, and one line of the table.
fn converse(client: &mut Client, link: &mut Link, run: &mut Run) -> CloseReason {
    let Client { session, inbox, clock, stop, retry, .. } = client;
    let (session, inbox) = (&mut **session, &mut **inbox);
    let mut leaving = false;
    loop {
        let over = run.is_over() && session.pending() == 0;
        if !leaving && (over || run.failure.is_some() || stop.reason().is_some()) {
            leaving = true;
            if session.disconnect(&Disconnect::default()).is_err() {
                session.connection_lost();
            }
        }
        match session.poll(inbox, clock.now()) {
            Step::Event(Event::Connected(_)) => {
                retry.up(inbox);
                run.subscribe(session);
            }
            Step::Event(Event::Subscribed { reason_codes, properties, .. }) => {
                run.start(reason_codes, &said(&properties));
            }
            Step::Event(Event::Message(message)) => run.returned(&message),
            Step::Event(Event::Published { outcome, .. }) => run.published(outcome),
            Step::Event(Event::ConnectionRefused(connack)) => run.said = said(&connack.properties),
            Step::Event(Event::Disconnected(disconnect)) => run.said = said(&disconnect.properties),
            Step::Event(_) => {}
            Step::Transmit(bytes) => match link.write(bytes) {
                // The socket takes nothing: perhaps the broker wants to be read first.
                Ok(0) => _ = receive(link, session, inbox, Duration::ZERO),
                Ok(written) => session.transmitted(written),
                Err(_) => session.connection_lost(),
            },
            Step::Wait(deadline) => {
                if !run.publish(session) {
                    run.check_stall(STALL);
                    receive(link, session, inbox, clock.pause(deadline, stop.longest_pause()));
                }
            }
            Step::Close(reason) => return reason,
        }
    }
}

fn read(mut arguments: Arguments) -> Result<(Connection, Run), Failure> {
    let mut connection = Connection::default();
    let mut topic = format!("throughput/{}", std::process::id());
    let (mut messages, mut size) = (10_000, 64);
    while let Some(flag) = arguments.flag()? {
        match flag.as_str() {
            "--messages" => messages = arguments.number(&flag)?,
            "--size" => size = arguments.number(&flag)?,
            "-t" | "--topic" => topic = arguments.topic(&flag)?,
            _ => connection.take(&flag, &mut arguments)?,
        }
    }
    connection.check()?;
    if connection.lasting {
        return Err(Failure::Usage("-c: what is measured does not outlive its connection".to_owned()));
    }
    if messages == 0 || size < 4 {
        return Err(Failure::Usage("it takes at least one message, of at least 4 bytes".to_owned()));
    }
    Ok((connection, Run::new(topic, messages, size)))
}
