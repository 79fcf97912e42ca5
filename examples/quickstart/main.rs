//! A client and a server's end exchange messages over a link that breaks, and nothing is lost or doubled without a word.
//!
//! ```text
//! quickstart [--version 4|5] [--seed N] [--messages N] [--cuts N]
//! ```
//!
//! Both ends are real sessions; the link, the clock and the faults are simulated. The chart shows each packet, the counts
//! below it what became of the messages. The exit status is 1 if a promise was broken.
#![allow(clippy::arithmetic_side_effects, reason = "the numbers of a short run")]

mod ledger;

use std::collections::BTreeMap;
use std::fmt;
use std::process::ExitCode;

use ledger::Ledger;
use mqtt_session::sim::{Chart, Faults, Simulation, Turn};
use mqtt_session::wire::Suback;
use mqtt_session::{
    CommandError, Connect, Disconnect, Event, Inbox, List, LostSession, PacketId, Properties, Property, Publish, QoS,
    ReasonCode, Role, Session, Subscribe, Subscription, Version, server,
};

const USAGE: &str = "usage: quickstart [--version 4|5] [--seed N] [--messages N] [--cuts N]
  --messages: of each end, before the loss of the session (6)
  --cuts: besides the one of the lost session (2)";

/// What the command line asks for.
struct Options {
    version: Version,
    seed: u64,
    /// How many messages each end publishes.
    messages: u32,
    cuts: u32,
}

type Client = Session<1024, 8, 8>;
type Server = server::Session<1024, 8, 8>;

/// Everything there is: two sessions, the link between them, and what the two applications know.
struct World {
    options: Options,
    sim: Simulation<Chart<Stdout>>,
    client: Client,
    client_inbox: Inbox<[u8; 256]>,
    server: Server,
    server_inbox: Inbox<[u8; 256]>,
    ledger: Ledger,
    /// The numbers of the messages that each end has under way.
    under_way: BTreeMap<(bool, PacketId), u32>,
    cuts: u32,
    closed: u8,
}

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--help") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let options = match Options::read(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(fault) => {
            eprintln!("{fault}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match World::new(options).run() {
        Ok(status) => status,
        Err(refused) => {
            eprintln!("a command was refused: {refused}");
            ExitCode::FAILURE
        }
    }
}

impl World {
    fn new(options: Options) -> Self {
        let faults = Faults { fragments: true, delay: 20, ..Faults::NONE };
        Self {
            sim: Simulation::new(options.seed, faults, Chart::new(Stdout)),
            client: Client::new(),
            client_inbox: Inbox::new(),
            server: Server::new(),
            server_inbox: Inbox::new(),
            ledger: Ledger::default(),
            under_way: BTreeMap::new(),
            cuts: 0,
            closed: 0,
            options,
        }
    }

    fn run(mut self) -> Result<ExitCode, CommandError> {
        self.exchange()?;
        self.lose_the_servers_session()?;
        Ok(self.report())
    }

    /// Messages both ways, with cuts in between.
    fn exchange(&mut self) -> Result<(), CommandError> {
        self.connect()?;
        let mut published = 0;
        loop {
            let idle = self.step()?;
            if self.closed == 2 {
                self.connect()?;
            }
            if idle && published < self.options.messages {
                self.publish(Role::Client, published)?;
                self.publish(Role::Server, published)?;
                published += 1;
                self.cut_now_and_then(published);
            } else if idle {
                return Ok(());
            }
        }
    }

    /// The server forgets everything while messages are under way to it.
    fn lose_the_servers_session(&mut self) -> Result<(), CommandError> {
        self.note("the server is about to lose its session");
        for number in 0..3 {
            self.publish(Role::Client, number)?;
        }
        self.sim.cut_after(60);
        while self.closed < 2 {
            if self.step()? {
                self.sim.cut();
            }
        }
        self.server = Server::new();
        self.note("the server has lost its session");
        self.connect()?;
        while !self.step()? {}
        self.client.disconnect(&Disconnect::default())?;
        while self.closed < 2 {
            self.step()?;
        }
        Ok(())
    }

    /// A new transport, and CONNECT over it.
    fn connect(&mut self) -> Result<(), CommandError> {
        let connect = Connect {
            clean_start: false,
            properties: Properties::for_version(self.options.version, &[Property::SessionExpiryInterval(3600)]),
            lost_session: LostSession::Report,
            ..Connect::new(self.options.version, "meter-7")
        };
        self.closed = 0;
        self.sim.connect();
        self.server.open(core::time::Duration::from_secs(10));
        self.server_inbox.clear();
        self.client.connect(&mut self.client_inbox, &connect)
    }

    /// One step; tells whether nothing more happens by itself.
    fn step(&mut self) -> Result<bool, CommandError> {
        let Self { sim, client, client_inbox, server, server_inbox, .. } = self;
        match sim.step(client, client_inbox, server, server_inbox) {
            Turn::Client(Event::Connected(connack)) if !connack.session_present => {
                let subscriptions = [Subscription::new("down/#", QoS::ExactlyOnce)];
                let subscribe = Subscribe::new(&subscriptions);
                client.subscribe(&subscribe)?;
            }
            Turn::Client(Event::Message(message)) => self.ledger.deliver(message.payload),
            Turn::Client(Event::Published { packet_id, outcome, .. }) => {
                if let Some(number) = self.under_way.remove(&(true, packet_id)) {
                    self.ledger.end(number, outcome);
                }
            }
            Turn::Server(server::Event::Connecting { .. }) => {
                server.accept(&server::Accept::default())?;
            }
            Turn::Server(server::Event::Subscribing { packet_id, .. }) => {
                let reason_codes = List::of(&[ReasonCode::GrantedQos2]);
                server.suback(&Suback { packet_id, reason_codes, properties: Properties::EMPTY })?;
            }
            Turn::Server(server::Event::Message(message)) => self.ledger.deliver(message.payload),
            Turn::Server(server::Event::Published { packet_id, outcome, .. }) => {
                if let Some(number) = self.under_way.remove(&(false, packet_id)) {
                    self.ledger.end(number, outcome);
                }
            }
            Turn::Closed { .. } => self.closed += 1,
            // What is left is a time of keep alive, which comes again and again.
            Turn::Idle => return Ok(true),
            _ => {}
        }
        Ok(self.client.is_online() && self.client.pending() == 0 && self.server.pending() == 0)
    }

    /// Publishes the next message of an end; the QoS goes around.
    fn publish(&mut self, from: Role, number: u32) -> Result<(), CommandError> {
        let qos = match number % 3 {
            0 => QoS::AtMostOnce,
            1 => QoS::AtLeastOnce,
            _ => QoS::ExactlyOnce,
        };
        let payload = self.ledger.next().to_string();
        let packet_id = match from {
            Role::Client => self.client.publish(&Publish { qos, ..Publish::new("up/power", payload.as_bytes()) })?,
            Role::Server => self.server.publish(&Publish { qos, ..Publish::new("down/tariff", payload.as_bytes()) })?,
        };
        let number = self.ledger.accept(from, qos);
        if let Some(packet_id) = packet_id {
            self.under_way.insert((from == Role::Client, packet_id), number);
        }
        Ok(())
    }

    /// Spreads the cuts over the messages, each somewhere in the middle of an exchange.
    fn cut_now_and_then(&mut self, published: u32) {
        let due = u64::from(published) * u64::from(self.options.cuts) / u64::from(self.options.messages.max(1));
        if u64::from(self.cuts) < due {
            self.cuts += 1;
            let bytes = 10 + self.sim.random().below(40);
            self.sim.cut_after(bytes);
        }
    }

    fn note(&mut self, text: &str) {
        let now = self.sim.now();
        self.sim.observer().note(now, format_args!("{text}"));
    }

    fn report(&self) -> ExitCode {
        println!("\n{}", self.ledger);
        let broken = self.ledger.broken();
        for fault in &broken {
            println!("broken: {fault}");
        }
        let (messages, cuts) = (self.ledger.accepted(), self.cuts + 1);
        println!("{messages} messages, {cuts} cuts, 1 lost session: {} promises broken", broken.len());
        if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

impl Options {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self { version: Version::V5, seed: 1, messages: 6, cuts: 2 };
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
            let number: u64 = value.parse().map_err(|_| format!("{name}: {value} is no number"))?;
            let short = || u32::try_from(number).map_err(|_| format!("{name}: {value} is too large"));
            match name.as_str() {
                "--version" => {
                    let version = u8::try_from(number).ok().and_then(Version::of_level);
                    options.version = version.ok_or_else(|| format!("--version: {value} is neither 4 nor 5"))?;
                }
                "--seed" => options.seed = number,
                "--messages" => options.messages = short()?,
                "--cuts" => options.cuts = short()?,
                _ => return Err(format!("{name} is not known")),
            }
        }
        Ok(options)
    }
}

/// Standard output, for charts.
struct Stdout;

impl fmt::Write for Stdout {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        print!("{text}");
        Ok(())
    }
}
