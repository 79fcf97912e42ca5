//! What is told to loggers: every packet, event and refusal, and never a secret or a byte of a payload.
#![cfg(all(feature = "log", feature = "server", feature = "v3", feature = "v5"))]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a fault here is a failed test")]

use std::cell::RefCell;

use log::{LevelFilter, Log, Metadata, Record};
use mqtt_session::server::{self, Accept};
use mqtt_session::wire::{Auth, Suback};
use mqtt_session::{
    Connect, Disconnect, Event, Inbox, Instant, List, Message, Properties, Property, Publish, QoS, ReasonCode, Refused,
    Session, Step, Subscribe, Subscription, Version, Will,
};

type Client = Session<512, 4, 4>;
type Server = server::Session<512, 4, 4>;

/// What must not be told, and what tells how it would look as a list of numbers.
const SECRETS: [&str; 6] = ["hunter2", "first proof", "challenge", "second proof", "last words", "the payload"];

const USER: &str = "someone";

thread_local! {
    static TOLD: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Keeps what each thread tells.
struct Capture;

impl Log for Capture {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        assert_eq!(record.target(), "mqtt_session");
        TOLD.with_borrow_mut(|told| told.push(format!("{} {}", record.level(), record.args())));
    }

    fn flush(&self) {}
}

/// What is told while `work` runs.
fn told(work: impl FnOnce()) -> Vec<String> {
    // Another test may have come first.
    _ = log::set_logger(&Capture);
    log::set_max_level(LevelFilter::Trace);
    TOLD.take();
    work();
    TOLD.take()
}

/// Two ends whose bytes go from one to the other at once.
struct Pair {
    client: Client,
    server: Server,
    inboxes: (Inbox<[u8; 512]>, Inbox<[u8; 512]>),
}

impl Pair {
    fn new(connect: &Connect<'_>) -> Self {
        let mut pair = Self { client: Session::new(), server: Server::new(), inboxes: (Inbox::new(), Inbox::new()) };
        pair.server.open(10);
        pair.client.connect(&mut pair.inboxes.0, connect).unwrap();
        pair
    }

    /// Polls both until nothing moves; `true` from `answer`, which is given each event of the server's end, is all that
    /// matters of it.
    fn settle(&mut self, mut answer: impl FnMut(&mut Server, server::Event<'_>)) {
        let now = Instant::from_millis(0);
        let mut idle = false;
        while !idle {
            idle = true;
            match self.client.poll(&mut self.inboxes.0, now) {
                Step::Event(event) => {
                    idle = false;
                    if let Event::Authenticating(auth) = event
                        && auth.reason_code == ReasonCode::ContinueAuthentication
                    {
                        self.client.authenticate(&proof("second proof", ReasonCode::ContinueAuthentication)).unwrap();
                    }
                }
                Step::Transmit(bytes) => {
                    idle = false;
                    let len = deliver(bytes, &mut self.inboxes.1);
                    self.client.transmitted(len);
                }
                Step::Wait(_) | Step::Close(_) => {}
            }
            match self.server.poll(&mut self.inboxes.1, now) {
                Step::Event(event) => {
                    idle = false;
                    answer(&mut self.server, event);
                }
                Step::Transmit(bytes) => {
                    idle = false;
                    let len = deliver(bytes, &mut self.inboxes.0);
                    self.server.transmitted(len);
                }
                Step::Wait(_) | Step::Close(_) => {}
            }
        }
    }
}

fn deliver(bytes: &[u8], inbox: &mut Inbox<[u8; 512]>) -> usize {
    inbox.space()[..bytes.len()].copy_from_slice(bytes);
    inbox.filled(bytes.len());
    bytes.len()
}

/// AUTH with something secret. It lives as long as the test.
fn proof(data: &'static str, reason_code: ReasonCode) -> Auth<'static> {
    let properties = Box::leak(Box::new([
        Property::AuthenticationMethod("SCRAM"),
        Property::AuthenticationData(data.as_bytes()),
    ]));
    Auth { reason_code, properties: Properties::of(properties) }
}

fn connect() -> Connect<'static> {
    let properties = &[Property::AuthenticationMethod("SCRAM"), Property::AuthenticationData(b"first proof")];
    let will = Will { topic: "will", payload: b"last words", ..Will::default() };
    let (user_name, password) = (Some(USER), Some(&b"hunter2"[..]));
    Connect { will: Some(will), user_name, password, properties, keep_alive: 0, ..Connect::new(Version::V5, "c") }
}

/// The server asks once, and then accepts.
fn admit(server: &mut Server, event: server::Event<'_>) {
    match event {
        server::Event::Connecting { .. } => {
            server.authenticate(&proof("challenge", ReasonCode::ContinueAuthentication)).unwrap();
        }
        server::Event::Authenticating(_) => {
            let properties = &[Property::AuthenticationMethod("SCRAM")];
            server.accept(&Accept { properties, ..Accept::default() }).unwrap();
        }
        server::Event::Subscribing { packet_id, .. } => {
            let reason_codes = List::of(&[ReasonCode::GrantedQos2]);
            server.suback(&Suback { packet_id, reason_codes, properties: Properties::EMPTY }).unwrap();
        }
        _ => {}
    }
}

fn message() -> Publish<'static> {
    let properties = Properties::of(&[Property::CorrelationData(b"the payload")]);
    Publish { qos: QoS::ExactlyOnce, properties, ..Publish::new("t", b"the payload") }
}

fn assert_discreet(told: &str) {
    for secret in SECRETS {
        let numbers = format!("{:?}", secret.as_bytes());
        assert!(!told.contains(secret) && !told.contains(numbers.trim_matches(['[', ']'])), "{secret}: {told}");
    }
}

#[test]
fn a_whole_connection() {
    let told = told(|| {
        let mut pair = Pair::new(&connect());
        pair.settle(admit);
        let subscriptions = [Subscription::new("t", QoS::ExactlyOnce)];
        pair.client.subscribe(&Subscribe { subscriptions: &subscriptions, ..Subscribe::default() }).unwrap();
        pair.client.publish(&message()).unwrap();
        pair.settle(admit);
        pair.client.disconnect(&Disconnect::default()).unwrap();
        pair.settle(admit);
    });
    println!("{}", told.join("\n"));
    told.iter().for_each(|line| assert_discreet(line));
}
