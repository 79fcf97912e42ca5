//! What is told to loggers: every packet, event and refusal, and never a secret or a byte of a payload.
#![cfg(all(feature = "log", feature = "server", feature = "v311", feature = "v5"))]
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a fault here is a failed test")]

use core::cell::RefCell;

use log::{LevelFilter, Log, Metadata, Record};
use mqtt_session::server::{self, Accept};
use mqtt_session::wire::{Auth, Suback};
use mqtt_session::{
    CloseReason, CommandError, Connect, Disconnect, Event, Inbox, Instant, List, Message, Properties, Property,
    Publish, QoS, ReasonCode, Session, Step, Subscribe, Subscription, Version, Will,
};

type Client = Session<512, 4, 4>;
type Server = server::Session<512, 4, 4>;

/// What must not be told.
const SECRETS: [&str; 6] = ["hunter2", "first proof", "challenge", "second proof", "last words", "the payload"];

const USER: &str = "someone";

thread_local! {
    /// `None`: it is not listened to.
    static TOLD: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Keeps what each thread tells while it is listened to. Other tests of this program tell as well.
struct Capture;

impl Log for Capture {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        assert_eq!(record.target(), "mqtt_session");
        TOLD.with_borrow_mut(|told| {
            if let Some(told) = told {
                told.push(format!("{} {}", record.level(), record.args()));
            }
        });
    }

    fn flush(&self) {}
}

/// What is told while `work` runs.
fn told(work: impl FnOnce()) -> Vec<String> {
    // Another test may have come first.
    _ = log::set_logger(&Capture);
    log::set_max_level(LevelFilter::Trace);
    TOLD.set(Some(Vec::new()));
    work();
    TOLD.take().unwrap()
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
        pair.server.open(core::time::Duration::from_secs(10));
        pair.client.connect(&mut pair.inboxes.0, connect).unwrap();
        pair
    }

    /// Polls both until nothing moves. `answer` is given each event of the server's end.
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
    let properties =
        Box::leak(Box::new([Property::AuthenticationMethod("SCRAM"), Property::AuthenticationData(data.as_bytes())]));
    Auth { reason_code, properties: Properties::of(properties) }
}

fn connect() -> Connect<'static> {
    let properties = &[Property::AuthenticationMethod("SCRAM"), Property::AuthenticationData(b"first proof")];
    let will = Will { topic: "will", payload: b"last words", ..Will::default() };
    let (user_name, password) = (Some(USER), Some(&b"hunter2"[..]));
    Connect {
        will: Some(will),
        user_name,
        password,
        properties: Properties::of(properties),
        keep_alive: 0,
        ..Connect::new(Version::V5, "c")
    }
}

/// The server asks once, and then accepts.
fn admit(server: &mut Server, event: server::Event<'_>) {
    match event {
        server::Event::Connecting { .. } => {
            server.authenticate(&proof("challenge", ReasonCode::ContinueAuthentication)).unwrap();
        }
        server::Event::Authenticating(_) => {
            let properties = &[Property::AuthenticationMethod("SCRAM")];
            server.accept(&Accept { properties: Properties::of(properties), ..Accept::default() }).unwrap();
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

/// What a line says first: its level, what was done, and to what.
fn heading(line: &str) -> String {
    let words = line.split([' ', '(']).filter(|word| !word.is_empty()).take(3);
    words.map(|word| word.trim_start_matches('[')).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_whole_connection() {
    let told = told(|| {
        let mut pair = Pair::new(&connect());
        pair.settle(admit);
        let subscriptions = [Subscription::new("t", QoS::ExactlyOnce)];
        pair.client.subscribe(&Subscribe::new(&subscriptions)).unwrap();
        pair.settle(admit);
        pair.client.publish(&message()).unwrap();
        pair.settle(admit);
        pair.client.disconnect(&Disconnect::default()).unwrap();
        pair.settle(admit);
    });
    told.iter().for_each(|line| assert_discreet(line));
    let headings: Vec<_> = told.iter().map(|line| heading(line)).collect();
    let passed = |packet: &str| {
        [format!("TRACE sends {}", packet.trim_end_matches("Packet")), format!("TRACE received {packet}")]
    };
    let expected = [
        passed("ConnectPacket").to_vec(),
        vec!["DEBUG Connecting {".to_owned()],
        passed("Auth").to_vec(),
        vec!["DEBUG Authenticating Auth".to_owned()],
        passed("Auth").to_vec(),
        vec!["DEBUG Authenticating Auth".to_owned()],
        passed("Connack").to_vec(),
        vec!["DEBUG Connected Connack".to_owned()],
        passed("SubscribePacket").to_vec(),
        vec!["DEBUG Subscribing {".to_owned()],
        passed("Suback").to_vec(),
        vec!["DEBUG Subscribed {".to_owned()],
        passed("PublishPacket").to_vec(),
        vec!["DEBUG Message Message".to_owned()],
        passed("Acknowledgement").to_vec(),
        passed("Acknowledgement").to_vec(),
        passed("Acknowledgement").to_vec(),
        vec!["DEBUG Published {".to_owned()],
        passed("DisconnectPacket").to_vec(),
        vec!["DEBUG Disconnected DisconnectPacket".to_owned()],
        vec!["INFO the connection".to_owned(), "INFO the connection".to_owned()],
    ];
    assert_eq!(headings, expected.concat(), "{told:#?}");
    // What is no secret is told.
    assert!(told.iter().any(|line| line.contains(USER) && line.contains("authentication_data([hidden])")));
    assert!(told.iter().any(|line| line.contains(r#"topic: "t""#) && line.contains("payload: [11 bytes]")));
}

/// A client that is connected, and its inbox; what that told is not of interest.
fn connected() -> (Client, Inbox<[u8; 512]>) {
    let mut session = Client::new();
    let mut inbox = Inbox::new();
    session.connect(&mut inbox, &Connect { keep_alive: 0, ..Connect::new(Version::V5, "c") }).unwrap();
    deliver(&[0x20, 3, 0, 0, 0], &mut inbox);
    run(&mut session, &mut inbox);
    TOLD.with_borrow_mut(|told| told.iter_mut().for_each(Vec::clear));
    (session, inbox)
}

/// Polls until there is nothing more to do, and writes all.
fn run(session: &mut Client, inbox: &mut Inbox<[u8; 512]>) {
    loop {
        match session.poll(inbox, Instant::from_millis(0)) {
            Step::Event(_) => {}
            Step::Transmit(bytes) => {
                let len = bytes.len();
                session.transmitted(len);
            }
            Step::Wait(_) | Step::Close(_) => return,
        }
    }
}

#[test]
fn refused_commands() {
    let told = told(|| {
        let (mut session, _) = connected();
        assert_eq!(Client::new().publish(&message()), Err(CommandError::Offline));
        assert!(session.publish(&Publish::new("t", &[7; 600])).is_err());
        while session.publish(&message()).is_ok() {}
        assert!(session.subscribe(&Subscribe::default()).is_err());
    });
    assert_eq!(
        told,
        [
            "DEBUG publish refused: Offline",
            "WARN publish refused: TooLarge { limit: Store, needed: 607, available: 496 }",
            "DEBUG publish refused: Full",
            "WARN subscribe refused: Forbidden(SubscribeEmpty)"
        ]
    );
}

/// PUBREC with a code that refuses the message, and then a packet that is none.
#[test]
fn a_peer_that_refuses_and_one_that_is_at_fault() {
    let told = told(|| {
        let (mut session, mut inbox) = connected();
        session.publish(&message()).unwrap();
        run(&mut session, &mut inbox);
        deliver(&[0x50, 3, 0, 1, 0x97], &mut inbox);
        run(&mut session, &mut inbox);
        deliver(&[0x00, 0], &mut inbox);
        run(&mut session, &mut inbox);
    });
    let warnings: Vec<_> = told.iter().filter(|line| line.starts_with("WARN")).collect();
    assert_eq!(
        warnings,
        [
            "WARN the peer refuses message 1: QuotaExceeded",
            "WARN the peer is at fault: Violation(PacketTypeReserved)",
            "WARN the connection is over: Violation(PacketTypeReserved)"
        ],
        "{told:#?}"
    );
}

/// What `defmt` sends for a value. Numbers and texts are in it as they are, so a secret would be found.
#[cfg(feature = "defmt")]
mod encoded {
    use super::*;
    use mqtt_session::Delivery;
    use mqtt_session::wire;
    use mqtt_session::wire::Packet;

    pub(super) fn encoded(value: impl defmt::Format) -> Vec<u8> {
        defmt::export::fetch_bytes();
        defmt::println!("{}", value);
        defmt::export::fetch_bytes()
    }

    fn contains(bytes: &[u8], text: &str) -> bool {
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    }

    fn assert_discreet(value: impl defmt::Format, shown: &str) {
        let bytes = encoded(value);
        assert!(contains(&bytes, shown), "{shown} is not in {bytes:?}");
        for secret in SECRETS {
            assert!(!contains(&bytes, secret), "{secret} is in {bytes:?}");
        }
    }

    #[test]
    fn holds_no_secret() {
        assert!(contains(&encoded("hunter2"), "hunter2"), "what is logged would be found");
        assert_discreet(connect(), USER);
        assert_discreet(message(), "t");
        assert_discreet(proof("first proof", ReasonCode::ContinueAuthentication), "SCRAM");
        let Connect { will, user_name, password, properties, .. } = connect();
        let packet = wire::ConnectPacket { will, user_name, password, properties, ..Default::default() };
        assert_discreet(Packet::Connect(packet), USER);
        let Publish { topic, payload, properties, .. } = message();
        let delivery = Delivery::AtMostOnce;
        let packet = wire::PublishPacket { topic: "topic", payload, properties, delivery, retain: false };
        assert_discreet(Packet::Publish(packet), "topic");
        let message = Message { topic, payload, properties, delivery, retain: false, remaining: 0, handle: None };
        assert_discreet(Event::Message(message.clone()), "t");
        assert_discreet(<Step<'_, _>>::Event(Event::Message(message)), "t");
    }

    #[test]
    fn has_what_a_step_says() {
        let steps: [Step<'static, Event<'static>>; 4] = [
            Step::Wait(None),
            Step::Wait(Some(Instant::from_millis(5))),
            Step::Close(CloseReason::PingTimeout),
            Step::Close(CloseReason::ConnackTimeout),
        ];
        let told = steps.map(alone);
        assert!(told.iter().enumerate().all(|(index, first)| !told[index + 1..].contains(first)), "{told:?}");
    }

    /// CONNECT as it is written has the password in it.
    #[test]
    fn bytes_to_write_are_a_length() {
        let mut session = Client::new();
        let mut inbox: Inbox<[u8; 512]> = Inbox::new();
        session.connect(&mut inbox, &connect()).unwrap();
        let step = session.poll(&mut inbox, Instant::from_millis(0));
        assert!(matches!(&step, Step::Transmit(bytes) if contains(bytes, "hunter2")));
        let bytes = encoded(step);
        assert!(SECRETS.iter().all(|secret| !contains(&bytes, secret)), "{bytes:?}");
        let bytes = encoded((&session, &inbox));
        assert!(SECRETS.iter().all(|secret| !contains(&bytes, secret)), "{bytes:?}");
    }

    /// On a thread of its own, where formats are numbered anew: equal if the same is told.
    fn alone(value: impl defmt::Format + Send) -> Vec<u8> {
        std::thread::scope(|scope| scope.spawn(|| encoded(value)).join().unwrap())
    }

    #[test]
    fn says_what_a_session_is_doing() {
        let mut server = Server::new();
        let before = alone(&server);
        assert_eq!(alone(Client::new()), before, "both ends say it alike");
        server.open(core::time::Duration::from_secs(10));
        assert_ne!(alone(&server), before, "a connection has begun");
        let (client, _) = connected();
        let mut publishing = client.clone();
        publishing.publish(&message()).unwrap();
        assert_ne!(alone(&publishing), alone(&client), "a message is in flight");
    }

    #[test]
    fn has_the_values_of_properties_that_are_no_secrets() {
        for (property, name, value) in [
            (Property::CorrelationData(b"the payload"), "correlation_data", None),
            (Property::AuthenticationData(b"challenge"), "authentication_data", None),
            (Property::UserProperty("key", "value"), "user_property", Some("value")),
            (Property::ContentType("text/plain"), "content_type", Some("text/plain")),
            (Property::SubscriptionIdentifier(0x2E6F_7069), "subscription_identifier", Some("ipo.")),
            (Property::SharedSubscriptionAvailable(true), "shared_subscription_available", Some("\u{1}")),
        ] {
            let bytes = encoded(property);
            assert!(contains(&bytes, name), "{name} is not in {bytes:?}");
            assert!(value.is_none_or(|value| contains(&bytes, value)), "{value:?} is not in {bytes:?}");
            assert!(SECRETS.iter().all(|secret| !contains(&bytes, secret)), "{bytes:?}");
        }
    }
}

/// What `defmt` sends for a driver: whether something is to be flushed, and whether the transport has failed.
#[cfg(all(feature = "defmt", feature = "embedded-io", feature = "embedded-io-async"))]
mod drivers {
    use core::future::pending;
    use core::pin::pin;
    use core::task::{Context, Poll, Waker};

    use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};
    use mqtt_session::Unsubscribe;
    use mqtt_session::io::{AsyncClock, AsyncDriver, Clock, Driver, Split};

    use super::*;

    /// Takes everything, never flushes it, and breaks when it is read.
    #[derive(Clone, Copy)]
    struct Broken;

    impl ErrorType for Broken {
        type Error = ErrorKind;
    }

    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> Result<usize, ErrorKind> {
            Err(ErrorKind::BrokenPipe)
        }
    }

    impl ReadReady for Broken {
        fn read_ready(&mut self) -> Result<bool, ErrorKind> {
            Ok(true)
        }
    }

    impl Write for Broken {
        fn write(&mut self, buf: &[u8]) -> Result<usize, ErrorKind> {
            Ok(buf.len())
        }

        fn flush(&mut self) -> Result<(), ErrorKind> {
            Err(ErrorKind::Interrupted)
        }
    }

    impl WriteReady for Broken {
        fn write_ready(&mut self) -> Result<bool, ErrorKind> {
            Ok(true)
        }
    }

    impl embedded_io_async::Read for Broken {
        async fn read(&mut self, _: &mut [u8]) -> Result<usize, ErrorKind> {
            Err(ErrorKind::BrokenPipe)
        }
    }

    impl embedded_io_async::Write for Broken {
        async fn write(&mut self, buf: &[u8]) -> Result<usize, ErrorKind> {
            Ok(buf.len())
        }

        async fn flush(&mut self) -> Result<(), ErrorKind> {
            pending().await
        }
    }

    struct Still;

    impl Clock for Still {
        fn now(&mut self) -> Instant {
            Instant::from_millis(0)
        }
    }

    impl AsyncClock for Still {
        fn now(&mut self) -> Instant {
            Instant::from_millis(0)
        }

        async fn sleep_until(&mut self, _: Instant) {
            pending().await
        }
    }

    /// Whether these are the last values that a driver tells. Two bytes end it.
    fn ends_with(driver: &impl defmt::Format, told: [bool; 2]) -> bool {
        encoded::encoded(driver).ends_with(&[u8::from(told[0]), u8::from(told[1]), 0, 0])
    }

    /// A client that waits for UNSUBACK, which it will be told is lost.
    fn waiting() -> (Client, Inbox<[u8; 512]>) {
        let (mut session, inbox) = connected();
        session.unsubscribe(&Unsubscribe::new(&["t"])).unwrap();
        (session, inbox)
    }

    fn note(_: &mut Client, event: Event<'_>) {
        assert!(matches!(event, Event::RequestLost { .. }), "{event:?}");
    }

    #[test]
    fn a_blocking_one() {
        let (mut session, mut inbox) = waiting();
        let mut driver = Driver::new(Broken, Still);
        assert!(ends_with(&driver, [false, false]));
        assert_eq!(driver.next(&mut session, &mut inbox, note), Ok(()));
        assert!(ends_with(&driver, [true, true]));
    }

    #[test]
    fn an_asynchronous_one() {
        let (mut session, mut inbox) = waiting();
        let mut driver = AsyncDriver::new(Split { reader: Broken, writer: Broken }, Still);
        assert!(ends_with(&driver, [false, false]));
        let told = pin!(driver.next(&mut session, &mut inbox, note)).poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(told, Poll::Ready(Ok(())));
        assert!(ends_with(&driver, [true, true]));
    }
}
