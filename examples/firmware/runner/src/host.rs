//! A host: it listens to the board, and publishes for it once it is ready, by the clients of mosquitto.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::broker::tool;

/// What the image says, too: how many messages the board publishes, a third with each QoS, and how many the host.
const BOARDS: u32 = 180;
const OWN: u32 = 40;

/// How long the host waits between two messages, and for the last ones of the board.
const PAUSE: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(10);

/// How long it waits for its own greeting, which tells that it is subscribed.
const HELLO: Duration = Duration::from_millis(200);

const INSTALL: &str = "mosquitto's clients are not installed (on Debian: apt-get install mosquitto-clients)";

/// It ends with this value.
pub struct Host {
    listener: Child,
    publisher: Child,
    heard: Receiver<String>,
}

impl Host {
    /// Starts both clients and waits until one is subscribed.
    pub fn start(broker: SocketAddr) -> Result<Self> {
        let client = |name| {
            let mut command = tool(name);
            command.args(["-h", &broker.ip().to_string(), "-p", &broker.port().to_string(), "-V", "mqttv5", "-q", "2"]);
            command
        };
        let publisher = client("mosquitto_pub").args(["-t", "board/down", "-l"]).stdin(Stdio::piped()).spawn();
        let mut publisher = publisher.context(INSTALL)?;
        let mut input = publisher.stdin.take();
        let topics = ["-t", "board/up", "-t", "board/ready", "-t", "board/hello", "-F", "%t %p"];
        let listener = client("mosquitto_sub").args(topics).stdout(Stdio::piped()).spawn();
        let mut listener = listener.context(INSTALL)?;
        let lines = BufReader::new(listener.stdout.take().context("its output is piped")?).lines();
        let (says, heard) = channel();
        spawn(move || {
            for line in lines.map_while(Result::ok) {
                match line.as_str() {
                    // It may come more than once.
                    "board/ready " => drop(input.take().map(|input| spawn(move || publish(input)))),
                    _ => _ = says.send(line),
                }
            }
        });
        let host = Self { listener, publisher, heard };
        let end = Instant::now() + PATIENCE;
        while host.heard.recv_timeout(HELLO).is_err() {
            if Instant::now() > end {
                bail!("mosquitto_sub does not subscribe");
            }
            client("mosquitto_pub").args(["-t", "board/hello", "-n"]).status()?;
        }
        Ok(host)
    }

    /// Whether what the board published came as it should: QoS 2 once, QoS 1 at least once, QoS 0 at most once.
    pub fn check(&self) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        let mut counts = BTreeMap::new();
        let is_missing =
            |counts: &BTreeMap<u32, u32>| (0..BOARDS).any(|number| number % 3 != 0 && !counts.contains_key(&number));
        while is_missing(&counts) {
            let message = self.heard.recv_timeout(end.saturating_duration_since(Instant::now()));
            let message = message.context("the host misses messages of the board")?;
            if message == "board/hello " {
                continue;
            }
            let number = message.strip_prefix("board/up ").and_then(|number| number.parse().ok());
            *counts.entry(number.with_context(|| format!("a strange message came: {message}"))?).or_default() += 1;
        }
        if let Some((number, count)) = counts.iter().find(|(number, count)| *number % 3 != 1 && **count > 1) {
            bail!("message {number} came {count} times to the host");
        }
        println!("the host has heard each message of QoS 2 once");
        Ok(())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        for process in [&mut self.listener, &mut self.publisher] {
            _ = process.kill();
            _ = process.wait();
        }
    }
}

fn publish(mut input: ChildStdin) {
    for number in 0..OWN {
        // The client has gone; the board will miss its messages.
        if writeln!(input, "{number}").is_err() {
            return;
        }
        sleep(PAUSE);
    }
}
