//! Every command in every phase; time, sizes, fragments and clones; what a server may demand and an application ask for.
#![cfg(all(feature = "v311", feature = "v5"))]
#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a fault here is a failed test"
)]

use std::thread;

use crate::support::{self, encode, hex, to_hex};
use mqtt_session::wire::{Auth, Connack, Packet, Properties};
use mqtt_session::{
    Acknowledge, CloseReason, CommandError, Connect, Disconnect, DisconnectWhen, Event, Handle, Inbox, Instant,
    LostSession, Message, Outcome, PacketId, Property, Publish, QoS, ReasonCode, Role, Session, SizeLimit, Step,
    Subscribe, Subscription, Unsubscribe, Version, Violation,
};

const VERSIONS: [Version; 2] = [Version::V311, Version::V5];
const YEAR: u64 = 365 * 24 * 3600 * 1000;

/// What a step was.
#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Event(String),
    Out(Vec<u8>),
    Wait(Option<u64>),
    Close(CloseReason),
}

/// A session with an inbox, a clock, and a transport that takes everything, or so many bytes at once.
#[derive(Clone)]
struct Rig<
    const STORE: usize = 1024,
    const OUTBOUND: usize = 8,
    const INBOUND: usize = 8,
    const CONTROL: usize = 256,
    const INBOX: usize = 512,
> {
    version: Version,
    session: Session<STORE, OUTBOUND, INBOUND, CONTROL>,
    inbox: Inbox<[u8; INBOX]>,
    now: u64,
    /// How many bytes a write takes, and a read brings.
    writes: usize,
    reads: usize,
    /// Whether the session is replaced by its clone whenever it shows something.
    clones: bool,
    handles: Vec<Handle>,
}

impl<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize, const CONTROL: usize, const INBOX: usize>
    Rig<STORE, OUTBOUND, INBOUND, CONTROL, INBOX>
{
    fn new(version: Version) -> Self {
        let (session, inbox) = (Session::new(), Inbox::new());
        Self { version, session, inbox, now: 0, writes: usize::MAX, reads: usize::MAX, clones: false, handles: vec![] }
    }

    /// A connection over which nothing happened yet.
    fn online(version: Version) -> Self {
        let mut rig = Self::new(version);
        rig.connect(Connect::new(version, "c")).unwrap();
        rig.accept(false, &[]);
        rig
    }

    fn connect(&mut self, connect: Connect<'_>) -> Result<(), CommandError> {
        self.session.connect(&mut self.inbox, &connect)
    }

    /// CONNACK comes.
    fn accept(&mut self, session_present: bool, properties: &[Property<'_>]) -> Vec<Seen> {
        let mut seen = self.settle();
        self.feed(&connack(self.version, session_present, properties));
        seen.extend(self.settle());
        assert!(events(&seen).iter().any(|event| event.starts_with("Connected")), "{seen:?}");
        seen
    }

    fn feed(&mut self, bytes: &[u8]) {
        let space = self.inbox.space();
        space[..bytes.len()].copy_from_slice(bytes);
        self.inbox.filled(bytes.len());
    }

    /// Bytes come in as they do, and each time all is done.
    fn receive(&mut self, bytes: &[u8]) -> Vec<Seen> {
        let reads = bytes.chunks(self.reads.min(bytes.len()).max(1));
        let mut seen = Vec::new();
        for read in reads {
            self.feed(read);
            seen.extend(self.settle());
        }
        seen
    }

    fn poll(&mut self) -> Seen {
        let mut written = None;
        let seen = match self.session.poll(&mut self.inbox, Instant::from_millis(self.now)) {
            Step::Event(event) => {
                if let Event::Message(Message { handle: Some(handle), .. }) = event {
                    self.handles.push(handle);
                }
                Seen::Event(told(&event))
            }
            Step::Transmit(bytes) => {
                assert!(!bytes.is_empty());
                let len = bytes.len().min(self.writes);
                written = Some(len);
                Seen::Out(bytes[..len].to_vec())
            }
            Step::Wait(deadline) => {
                assert!(!self.inbox.space().is_empty(), "waits, but cannot receive");
                Seen::Wait(deadline.map(Instant::as_millis))
            }
            Step::Close(cause) => Seen::Close(cause),
        };
        if let Some(len) = written {
            if self.clones {
                self.session = self.session.clone();
            }
            self.session.transmitted(len);
        }
        seen
    }

    /// What is shown to the transport, which takes none of it.
    fn shown(&mut self) -> Vec<u8> {
        let writes = core::mem::replace(&mut self.writes, 0);
        let seen = self.poll();
        self.writes = writes;
        assert!(matches!(seen, Seen::Out(_)), "{seen:?}");
        match self.session.poll(&mut self.inbox, Instant::from_millis(self.now)) {
            Step::Transmit(bytes) => bytes.to_vec(),
            other => panic!("{other:?}"),
        }
    }

    /// Polls until there is nothing to do.
    fn settle(&mut self) -> Vec<Seen> {
        let mut seen = Vec::new();
        let mut was_read = false;
        loop {
            seen.push(self.poll());
            match seen.last() {
                // It is to be read once more, and nothing comes of that.
                Some(Seen::Wait(Some(at))) if *at <= self.now && !was_read => {
                    was_read = true;
                    seen.pop();
                }
                Some(Seen::Wait(_) | Seen::Close(_)) => return seen,
                _ => {}
            }
            assert!(seen.len() < 100_000, "polls for ever");
        }
    }

    fn after(&mut self, millis: u64) -> Vec<Seen> {
        self.now += millis;
        self.settle()
    }

    fn lose(&mut self) -> Vec<Seen> {
        self.session.connection_lost();
        self.settle()
    }

    fn publish(&mut self, qos: QoS, payload: &str) -> Result<Option<PacketId>, CommandError> {
        self.session.publish(&Publish { qos, ..Publish::new("t", payload.as_bytes()) })
    }

    fn subscribe(&mut self, filter: &str) -> Result<PacketId, CommandError> {
        let subscriptions = [Subscription::new(filter, QoS::AtLeastOnce)];
        self.session.subscribe(&Subscribe::new(&subscriptions))
    }

    fn acknowledge(&mut self, handle: Handle) -> Result<(), CommandError> {
        self.session.acknowledge(handle, ReasonCode::Success)
    }

    fn disconnect(&mut self) -> Result<(), CommandError> {
        self.session.disconnect(&Disconnect::default())
    }

    fn authenticate(&mut self, reason_code: ReasonCode, method: &str, data: &[u8]) -> Result<(), CommandError> {
        let properties = [Property::AuthenticationMethod(method), Property::AuthenticationData(data)];
        self.session.authenticate(&Auth { reason_code, properties: Properties::of(&properties) })
    }

    /// All that comes of a fixed course of things: two sessions that agree in it are the same to the world.
    fn future(mut self) -> Vec<Seen> {
        let mut seen = self.settle();
        let answers = [vec![0x40, 2, 0, 1], message(self.version, 1, 700, "f"), message(self.version, 2, 701, "f")];
        for bytes in answers {
            seen.extend(self.receive(&bytes));
        }
        for millis in [4_000, 30_000, 25_000, 11_000] {
            seen.extend(self.after(millis));
        }
        seen.extend(self.lose());
        let kept = [Property::SessionExpiryInterval(100)];
        let properties = Properties::for_version(self.version, &kept);
        let again = Connect { clean_start: false, properties, ..Connect::new(self.version, "c") };
        if self.connect(again).is_ok() {
            seen.extend(self.settle());
            seen.extend(self.receive(&connack(self.version, self.version == Version::V311, &[])));
            seen.extend(self.after(100_000));
        }
        seen
    }
}

fn told(event: &Event<'_>) -> String {
    let id = |id: &PacketId| id.get();
    match event {
        Event::Connected(connack) => format!("Connected {}", connack.session_present),
        Event::Message(message) => {
            let payload = String::from_utf8_lossy(message.payload);
            format!("Message {} {payload} {:?} {:?}", message.topic, message.delivery, message.properties)
        }
        Event::Published { packet_id, outcome, .. } => format!("{outcome:?} {}", id(packet_id)),
        Event::Republished { lost, packet_id } => format!("Republished {} {}", id(lost), id(packet_id)),
        Event::RequestLost { packet_id } => format!("RequestLost {}", id(packet_id)),
        Event::Subscribed { packet_id, .. } => format!("Subscribed {}", id(packet_id)),
        Event::Unsubscribed { packet_id, .. } => format!("Unsubscribed {}", id(packet_id)),
        Event::Writable => "Writable".to_owned(),
        other => format!("{other:?}"),
    }
}

fn events(seen: &[Seen]) -> Vec<&str> {
    seen.iter().filter_map(|seen| if let Seen::Event(event) = seen { Some(event.as_str()) } else { None }).collect()
}

/// What was written, in hex.
fn written(seen: &[Seen]) -> String {
    seen.iter().fold(String::new(), |all, seen| if let Seen::Out(bytes) = seen { all + &to_hex(bytes) } else { all })
}

fn cause(seen: &[Seen]) -> Option<CloseReason> {
    seen.iter().find_map(|seen| if let Seen::Close(cause) = seen { Some(*cause) } else { None })
}

fn waits_until(seen: &[Seen]) -> Option<u64> {
    match seen.last() {
        Some(Seen::Wait(deadline)) => *deadline,
        other => panic!("{other:?}"),
    }
}

fn connack(version: Version, session_present: bool, properties: &[Property<'_>]) -> Vec<u8> {
    let properties = Properties::of(properties);
    let connack = Connack { session_present, reason_code: ReasonCode::Success, properties };
    encode(version, Role::Client, &Packet::Connack(connack)).unwrap()
}

/// A PUBLISH of the server's; of QoS 0 for identifier 0.
fn message(version: Version, qos: u8, id: u16, payload: &str) -> Vec<u8> {
    let mut body = vec![0, 1, b't'];
    if qos != 0 {
        body.extend(id.to_be_bytes());
    }
    if version == Version::V5 {
        body.push(0);
    }
    body.extend(payload.as_bytes());
    [vec![0x30 | qos << 1, u8::try_from(body.len()).unwrap()], body].concat()
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP of the server's.
fn answer(first: u8, id: u16) -> Vec<u8> {
    let [high, low] = id.to_be_bytes();
    vec![first, 2, high, low]
}

/// Where a session stands when a command comes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    Never,
    Connecting,
    Awaiting,
    Online,
    Completing,
    Leaving,
    Failing,
    Parting,
    Draining,
    Reporting,
    Closed,
}

const EVERYWHERE: [At; 11] = [
    At::Never,
    At::Connecting,
    At::Awaiting,
    At::Online,
    At::Completing,
    At::Leaving,
    At::Failing,
    At::Parting,
    At::Draining,
    At::Reporting,
    At::Closed,
];

/// A session somewhere on its way, with something of everything under way.
#[derive(Clone)]
struct Stage {
    rig: Rig,
    at: At,
    /// Messages to be acknowledged, by QoS, and one that is acknowledged.
    qos1: Handle,
    qos2: Handle,
    dead: Handle,
    /// A publish that was shown, and one that was not, at least when it was accepted.
    shown: PacketId,
    queued: PacketId,
}

/// A connection that is to be resumed, with manual acknowledgements and, in 5.0, an authentication method.
fn kept(version: Version) -> Connect<'static> {
    let lasting = &[Property::SessionExpiryInterval(100), Property::AuthenticationMethod("m")];
    let properties = Properties::for_version(version, lasting);
    let acknowledgement = Acknowledge::Manually;
    Connect { clean_start: false, acknowledgement, properties, ..Connect::new(version, "c") }
}

fn kept_connack(version: Version) -> &'static [Property<'static>] {
    match version {
        Version::V5 => &[Property::AuthenticationMethod("m"), Property::ReceiveMaximum(1)],
        _ => &[],
    }
}

impl Stage {
    /// `None` where a version has no such phase.
    fn new(version: Version, at: At) -> Option<Self> {
        let mut stage = Self::online(version);
        let rig = &mut stage.rig;
        match at {
            At::Never => *rig = Rig::new(version),
            At::Online => {}
            At::Connecting | At::Awaiting => {
                rig.lose();
                rig.connect(kept(version)).unwrap();
                rig.settle();
                if at == At::Awaiting {
                    rig.session.disconnect(&COMPLETED).unwrap();
                }
            }
            At::Completing => rig.session.disconnect(&COMPLETED).unwrap(),
            At::Leaving => rig.disconnect().unwrap(),
            At::Failing if version == Version::V311 => return None,
            At::Failing => {
                rig.publish(QoS::AtMostOnce, "half written").unwrap();
                rig.shown();
                rig.session.transmitted(1);
                rig.feed(&hex("3600"));
                rig.shown();
            }
            At::Parting if version == Version::V311 => {
                rig.disconnect().unwrap();
                while rig.shown()[0] != 0xE0 {
                    rig.session.transmitted(usize::MAX);
                }
            }
            At::Parting => {
                rig.settle();
                rig.feed(&hex("3600"));
                assert_eq!(rig.shown(), hex("e00181"));
            }
            At::Draining => rig.session.connection_lost(),
            At::Reporting => {
                rig.session.connection_lost();
                assert!(matches!(rig.poll(), Seen::Event(event) if event.starts_with("RequestLost")));
            }
            At::Closed => drop(rig.lose()),
        }
        stage.at = at;
        Some(stage)
    }

    fn online(version: Version) -> Self {
        let mut rig = Rig::new(version);
        rig.connect(kept(version)).unwrap();
        rig.accept(false, kept_connack(version));
        for (qos, id) in [(1, 501), (1, 502), (2, 503)] {
            rig.receive(&message(version, qos, id, "m"));
        }
        let (dead, qos1, qos2) = (rig.handles[0], rig.handles[1], rig.handles[2]);
        rig.acknowledge(dead).unwrap();
        let shown = rig.publish(QoS::AtLeastOnce, "shown").unwrap().unwrap();
        rig.subscribe("a").unwrap();
        rig.subscribe("b").unwrap();
        rig.settle();
        let queued = rig.publish(QoS::AtLeastOnce, "queued").unwrap().unwrap();
        Self { rig, at: At::Online, qos1, qos2, dead, shown, queued }
    }

    fn every() -> impl Iterator<Item = Self> {
        VERSIONS.into_iter().flat_map(|version| EVERYWHERE.into_iter().filter_map(move |at| Self::new(version, at)))
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Command {
    Connect,
    ConnectOther,
    ConnectOtherClean,
    ConnectTooLarge,
    ConnectReserved,
    Publish(QoS),
    PublishWith,
    PublishTooLarge,
    PublishForbidden,
    PublishAlias,
    Subscribe,
    SubscribeNothing,
    Unsubscribe,
    AcknowledgeQos1,
    AcknowledgeQos2,
    AcknowledgeDead,
    AcknowledgeForeign,
    AcknowledgeWith,
    AcknowledgeWithNotNext,
    AcknowledgeWithDead,
    Disconnect,
    DisconnectCompleted,
    Ping,
    GiveUp,
    GiveUpQueued,
    GiveUpNothing,
    Continue,
    Reauthenticate,
    OtherMethod,
}

const COMMANDS: [Command; 31] = [
    Command::Connect,
    Command::ConnectOther,
    Command::ConnectOtherClean,
    Command::ConnectTooLarge,
    Command::ConnectReserved,
    Command::Publish(QoS::AtMostOnce),
    Command::Publish(QoS::AtLeastOnce),
    Command::Publish(QoS::ExactlyOnce),
    Command::PublishWith,
    Command::PublishTooLarge,
    Command::PublishForbidden,
    Command::PublishAlias,
    Command::Subscribe,
    Command::SubscribeNothing,
    Command::Unsubscribe,
    Command::AcknowledgeQos1,
    Command::AcknowledgeQos2,
    Command::AcknowledgeDead,
    Command::AcknowledgeForeign,
    Command::AcknowledgeWith,
    Command::AcknowledgeWithNotNext,
    Command::AcknowledgeWithDead,
    Command::Disconnect,
    Command::DisconnectCompleted,
    Command::Ping,
    Command::GiveUp,
    Command::GiveUpQueued,
    Command::GiveUpNothing,
    Command::Continue,
    Command::Reauthenticate,
    Command::OtherMethod,
];

/// Once every exchange is over.
const COMPLETED: Disconnect<'static> = Disconnect {
    reason_code: ReasonCode::Success,
    properties: Properties::EMPTY,
    when: DisconnectWhen::Completed { timeout: None },
};

/// Of whatever size.
const TOO_LARGE: CommandError = too_large(SizeLimit::Store, 0, 0);

const fn too_large(limit: SizeLimit, needed: u32, available: u32) -> CommandError {
    CommandError::TooLarge { limit, needed, available }
}

/// A handle of a session with more places: there is no such place here.
fn foreign() -> Handle {
    let mut rig = Rig::<64, 1, 16, 256>::new(Version::V311);
    rig.connect(kept(Version::V311)).unwrap();
    rig.accept(false, &[]);
    (1..=16).for_each(|id| drop(rig.receive(&message(Version::V311, 1, id, ""))));
    rig.handles[15]
}

impl Command {
    fn call(self, stage: &mut Stage) -> Result<(), CommandError> {
        let Stage { qos1, qos2, dead, shown, queued, ref mut rig, .. } = *stage;
        let mut give_up = |id| if rig.session.give_up(id) { Ok(()) } else { Err(CommandError::StaleHandle) };
        match self {
            Self::GiveUp => return give_up(shown),
            Self::GiveUpQueued => return give_up(queued),
            Self::GiveUpNothing => return give_up(PacketId::MAX),
            _ => {}
        }
        let why = [Property::ReasonString("why")];
        let mut acknowledge_with =
            |handle| rig.session.acknowledge_with(handle, ReasonCode::Success, Properties::of(&why));
        match self {
            Self::AcknowledgeWith => return acknowledge_with(qos1),
            Self::AcknowledgeWithNotNext => return acknowledge_with(qos2),
            Self::AcknowledgeWithDead => return acknowledge_with(dead),
            _ => {}
        }
        let other = Connect { client_id: "d", ..kept(rig.version) };
        match self {
            Self::Connect => rig.connect(kept(rig.version)),
            Self::ConnectOther => rig.connect(other),
            Self::ConnectOtherClean => rig.connect(Connect { clean_start: true, ..other }),
            Self::ConnectTooLarge => {
                rig.connect(Connect { password: Some(&[0; 1024]), user_name: Some("u"), ..other_of(rig) })
            }
            Self::ConnectReserved => {
                rig.connect(Connect { properties: Properties::of(&[Property::ReceiveMaximum(5)]), ..kept(Version::V5) })
            }
            Self::Publish(qos) => rig.publish(qos, "new").map(drop),
            Self::PublishWith => {
                rig.session.publish_with(&Publish::new("t", b""), 3, |to| to.copy_from_slice(b"put")).map(drop)
            }
            Self::PublishTooLarge => rig.session.publish(&Publish::new("t", &[0; 1024])).map(drop),
            Self::PublishForbidden => rig.session.publish(&Publish::new("t/#", b"")).map(drop),
            Self::PublishAlias => {
                let properties = Properties::of(&[Property::TopicAlias(1)]);
                rig.session.publish(&Publish { properties, ..Publish::new("t", b"") }).map(drop)
            }
            Self::Subscribe => rig.subscribe("f").map(drop),
            Self::SubscribeNothing => rig.session.subscribe(&Subscribe::default()).map(drop),
            Self::Unsubscribe => rig.session.unsubscribe(&Unsubscribe::new(&["f"])).map(drop),
            Self::AcknowledgeQos1 => rig.acknowledge(qos1),
            Self::AcknowledgeQos2 => rig.acknowledge(qos2),
            Self::AcknowledgeDead => rig.acknowledge(dead),
            Self::AcknowledgeForeign => rig.acknowledge(foreign()),
            Self::Disconnect => rig.disconnect(),
            Self::DisconnectCompleted => rig.session.disconnect(&COMPLETED),
            Self::Ping => rig.session.ping(),
            Self::GiveUp
            | Self::GiveUpQueued
            | Self::GiveUpNothing
            | Self::AcknowledgeWith
            | Self::AcknowledgeWithNotNext
            | Self::AcknowledgeWithDead => unreachable!("above"),
            Self::Continue => rig.authenticate(ReasonCode::ContinueAuthentication, "m", b"d"),
            Self::Reauthenticate => rig.authenticate(ReasonCode::Reauthenticate, "m", b"d"),
            Self::OtherMethod => rig.authenticate(ReasonCode::Reauthenticate, "other", b"d"),
        }
    }

    /// What must come of it; a rule of the standard may be any.
    fn expected(self, version: Version, at: At) -> Result<(), CommandError> {
        let accepted = match at {
            At::Never => Err(CommandError::Offline),
            At::Awaiting | At::Completing | At::Leaving | At::Failing | At::Parting => Err(CommandError::Closing),
            _ => Ok(()),
        };
        let online = match at {
            At::Never | At::Connecting | At::Draining | At::Reporting | At::Closed => Err(CommandError::Offline),
            _ => accepted,
        };
        let forbidden = Err(CommandError::Forbidden(Violation::TopicNameWildcard));
        match self {
            Self::Connect | Self::ConnectOtherClean => Ok(()),
            Self::ConnectOther if at == At::Never => Ok(()),
            Self::ConnectOther => Err(CommandError::OtherSession),
            Self::ConnectTooLarge => Err(TOO_LARGE),
            // Which of the two faults is told does not matter.
            Self::ConnectReserved if version == Version::V311 && at != At::Never => Err(CommandError::OtherSession),
            Self::ConnectReserved => Err(CommandError::Reserved),
            Self::Publish(_) | Self::PublishWith => accepted,
            Self::PublishTooLarge => accepted.and(Err(TOO_LARGE)),
            Self::PublishForbidden => accepted.and(forbidden),
            Self::PublishAlias => accepted.and(Err(CommandError::Reserved)),
            Self::Subscribe | Self::Unsubscribe | Self::Disconnect | Self::DisconnectCompleted
                if at == At::Connecting =>
            {
                Ok(())
            }
            Self::Subscribe | Self::Unsubscribe | Self::Disconnect | Self::DisconnectCompleted | Self::Ping => online,
            Self::SubscribeNothing if at == At::Connecting => forbidden,
            Self::SubscribeNothing => online.and(forbidden),
            Self::AcknowledgeQos1 if matches!(at, At::Connecting | At::Awaiting | At::Reporting | At::Closed) => {
                Err(CommandError::StaleHandle)
            }
            Self::GiveUp if at != At::Never => Ok(()),
            // 3.1.1 has no quota that would hold it back.
            Self::GiveUpQueued if version == Version::V311 && at == At::Parting => Ok(()),
            Self::GiveUp | Self::GiveUpQueued | Self::GiveUpNothing => Err(CommandError::StaleHandle),
            Self::AcknowledgeQos1 | Self::AcknowledgeQos2 if at == At::Never => Err(CommandError::StaleHandle),
            Self::AcknowledgeQos1 | Self::AcknowledgeQos2 => Ok(()),
            Self::AcknowledgeWith if Self::AcknowledgeQos1.expected(version, at).is_err() => {
                Err(CommandError::StaleHandle)
            }
            Self::AcknowledgeWith | Self::AcknowledgeWithNotNext if at == At::Never => Err(CommandError::StaleHandle),
            Self::AcknowledgeWith | Self::AcknowledgeWithNotNext if version == Version::V311 => {
                Err(CommandError::NotInVersion)
            }
            Self::AcknowledgeWith | Self::AcknowledgeWithNotNext
                if !matches!(at, At::Online | At::Completing | At::Leaving) =>
            {
                Err(CommandError::Offline)
            }
            Self::AcknowledgeWith => Ok(()),
            Self::AcknowledgeWithNotNext => Err(CommandError::NotNext),
            Self::AcknowledgeWithDead => Err(CommandError::StaleHandle),
            Self::AcknowledgeDead | Self::AcknowledgeForeign => Err(CommandError::StaleHandle),
            Self::Reauthenticate if version == Version::V5 && at == At::Online => Ok(()),
            Self::Continue | Self::Reauthenticate | Self::OtherMethod => Err(CommandError::NotAuthenticating),
        }
    }
}

/// The same client on a clean start.
fn other_of(rig: &Rig) -> Connect<'static> {
    Connect { clean_start: true, ..kept(rig.version) }
}

fn same_refusal(one: Result<(), CommandError>, other: Result<(), CommandError>) -> bool {
    match (one, other) {
        (Err(CommandError::Forbidden(_)), Err(CommandError::Forbidden(_)))
        | (Err(CommandError::TooLarge { .. }), Err(CommandError::TooLarge { .. })) => true,
        (one, other) => one == other,
    }
}

#[test]
fn every_command_in_every_phase() {
    let mut faults = Vec::new();
    for before in Stage::every() {
        for command in COMMANDS {
            let mut stage = before.clone();
            let (version, at) = (stage.rig.version, stage.at);
            let result = command.call(&mut stage);
            if !same_refusal(result, command.expected(version, at)) {
                faults.push(format!("{version:?} {at:?} {command:?}: {result:?}"));
            }
            let changed = result.is_err()
                && (stage.rig.session != before.rig.session || stage.rig.future() != before.rig.clone().future());
            if changed {
                faults.push(format!("{version:?} {at:?} {command:?}: refused, but something has changed"));
            }
        }
    }
    support::report(&faults);
}

#[test]
fn a_session_is_online_between_connack_and_the_end() {
    for stage in Stage::every() {
        assert_eq!(stage.rig.session.is_online(), stage.at == At::Online, "{:?}", stage.at);
    }
}

/// How many received messages are open, and whether all has left that needs no answer.
#[test]
fn what_is_open_is_told_in_every_phase() {
    for mut stage in Stage::every() {
        let (version, at) = (stage.rig.version, stage.at);
        // Of QoS 1 until the connection ends, of QoS 2 until the session does.
        let open = match at {
            At::Never => 0,
            At::Connecting | At::Awaiting | At::Reporting | At::Closed => 1,
            _ => 2,
        };
        assert_eq!(stage.rig.session.pending_received(), open, "{version:?} {at:?}");
        // What is queued of QoS 1 needs an answer, and a DISCONNECT that waits for others is not counted.
        let half_written = matches!(at, At::Failing | At::Parting);
        assert_eq!(stage.rig.session.is_flushed(), !half_written, "{version:?} {at:?}");
        let accepted = stage.rig.publish(QoS::AtMostOnce, "x").is_ok();
        assert_eq!(stage.rig.session.is_flushed(), !half_written && !accepted, "{version:?} {at:?}");
    }
}

#[test]
fn what_was_accepted_comes_to_its_end() {
    for before in Stage::every() {
        for command in COMMANDS {
            let mut stage = before.clone();
            if command.call(&mut stage).is_ok() {
                // It must not panic, nor poll for ever, and the connection must end.
                let mut rig = stage.rig;
                rig.settle();
                rig.after(YEAR);
                rig.after(YEAR);
                let end = rig.lose();
                let never = stage.at == At::Never
                    && !matches!(command, Command::Connect | Command::ConnectOther | Command::ConnectOtherClean);
                assert_eq!(cause(&end) == Some(CloseReason::NotConnected), never, "{:?} {command:?}", stage.at);
            }
        }
    }
}

#[test]
fn only_what_was_never_shown_is_cancelled() {
    for mut stage in Stage::every() {
        let (version, at) = (stage.rig.version, stage.at);
        // 3.1.1 has no quota that would hold it back.
        let gone = at == At::Never || (version == Version::V311 && at == At::Parting);
        assert!(!stage.rig.session.cancel(stage.shown), "{version:?} {at:?}");
        assert!(!stage.rig.session.cancel(PacketId::MAX), "{version:?} {at:?}");
        assert_eq!(stage.rig.session.cancel(stage.queued), !gone, "{version:?} {at:?}");
        assert!(!stage.rig.session.cancel(stage.queued), "{version:?} {at:?}");
        let future = stage.rig.future();
        let ended = events(&future).into_iter().filter(|event| event.ends_with(&format!(" {}", stage.queued)));
        assert!(gone || ended.count() == 0, "{version:?} {at:?}: {future:?}");
    }
}

#[test]
fn a_lost_transport_closes_every_phase() {
    for mut stage in Stage::every() {
        let (version, at) = (stage.rig.version, stage.at);
        let seen = stage.rig.lose();
        let malformed = matches!(cause(&seen), Some(CloseReason::Violation(_)));
        match (version, at) {
            (_, At::Never) => assert_eq!(cause(&seen), Some(CloseReason::NotConnected)),
            (Version::V5, At::Failing | At::Parting) => assert!(malformed, "{at:?} {seen:?}"),
            _ => assert_eq!(cause(&seen), Some(CloseReason::ConnectionLost), "{at:?}"),
        }
        assert!(seen.iter().all(|seen| !matches!(seen, Seen::Out(_))), "{at:?}: {seen:?}");
        assert_eq!(stage.rig.settle(), [Seen::Close(cause(&seen).unwrap())], "Close is repeated");
        let requests = events(&seen).iter().filter(|event| event.starts_with("RequestLost")).count();
        let expected = match at {
            At::Never | At::Connecting | At::Awaiting | At::Closed => 0,
            At::Reporting => 1,
            _ => 2,
        };
        assert_eq!(requests, expected, "{version:?} {at:?}");
    }
}

#[test]
fn nothing_transmitted_changes_nothing() {
    for stage in Stage::every() {
        let mut rig = stage.rig.clone();
        rig.session.transmitted(0);
        assert!(rig.session == stage.rig.session, "{:?}", stage.at);
        assert_eq!(rig.future(), stage.rig.future(), "{:?}", stage.at);
    }
}

#[test]
fn more_transmitted_than_shown_counts_as_what_was_shown() {
    for version in VERSIONS {
        let mut shown = Rig::<1024>::online(version);
        shown.publish(QoS::AtLeastOnce, "p").unwrap();
        let len = shown.shown().len();
        let mut exact = shown.clone();
        exact.session.transmitted(len);
        shown.session.transmitted(usize::MAX);
        assert!(shown.session == exact.session);
        assert_eq!(shown.future(), exact.future());
    }
}

#[test]
fn transmitted_counts_nothing_where_nothing_is_shown() {
    for version in VERSIONS {
        let mut rig = Rig::<1024>::online(version);
        rig.after(20_000);
        let before = rig.clone();
        rig.session.transmitted(100);
        assert!(rig.session == before.session, "{version:?}");
        assert_eq!(rig.future(), before.future(), "{version:?}");
    }
}

#[test]
fn a_refused_connect_leaves_the_inbox_alone() {
    let mut rig = Rig::<1024>::online(Version::V5);
    rig.feed(&hex("d0"));
    let before = rig.clone();
    let long = Connect { password: Some(&[0; 1024]), ..Connect::new(Version::V5, "c") };
    assert!(matches!(rig.connect(long), Err(CommandError::TooLarge { .. })));
    assert_eq!(rig.inbox, before.inbox);
    rig.connect(Connect::new(Version::V5, "c")).unwrap();
    assert!(rig.inbox.unread().is_empty(), "what one connection left behind is nothing to the next");
}

#[test]
fn time_that_jitters_neither_hurries_nor_delays() {
    for version in VERSIONS {
        let mut rig = Rig::<1024>::online(version);
        rig.publish(QoS::AtLeastOnce, "p").unwrap();
        let seen = rig.after(20_000);
        let mut back = rig.clone();
        for now in [19_999, 20_000, 19_001, 19_500, 19_999, 20_000].repeat(100) {
            back.now = now;
            assert_eq!(back.settle(), [Seen::Wait(waits_until(&seen))], "{now}");
        }
        assert!(back.session == rig.session);
        assert_eq!(back.future(), rig.future());
    }
}

/// T18. The earlier time is the new one, and what was counted stays counted.
#[test]
fn a_clock_that_is_set_back_stops_nothing() {
    for version in VERSIONS {
        for back in [1_000, 3_600_000, 10_000_000] {
            let mut rig = Rig::<1024>::new(version);
            rig.now = 10_000_000;
            rig.connect(Connect::new(version, "c")).unwrap();
            rig.settle();
            let mut connecting = rig.clone();
            connecting.after(9_000);
            connecting.now -= back;
            assert_eq!(waits_until(&connecting.settle()), Some(connecting.now + 1_000));
            assert_eq!(cause(&connecting.after(1_000)), Some(CloseReason::ConnackTimeout));

            rig.accept(false, &[]);
            rig.after(20_000);
            rig.now -= back;
            assert_eq!(waits_until(&rig.settle()), Some(rig.now + 32_500), "{version:?} {back}");
            assert_eq!(written(&rig.after(32_500)), "c000");
            rig.now -= back.min(rig.now);
            assert_eq!(waits_until(&rig.settle()), Some(rig.now + 10_000), "{version:?} {back}");
            let mut leaving = rig.clone();
            assert_eq!(cause(&rig.after(10_000)), Some(CloseReason::PingTimeout));

            leaving.disconnect().unwrap();
            leaving.writes = 0;
            leaving.poll();
            leaving.now += 4_000;
            leaving.poll();
            leaving.now -= back.min(leaving.now);
            leaving.poll();
            assert_eq!(leaving.session.deadline().map(Instant::as_millis), Some(leaving.now + 1_000));
        }
    }
}

/// T18. What is left of a message stays the same.
#[test]
fn a_clock_that_is_set_back_keeps_no_message_alive() {
    for back in [1_000, 3_600_000, 50_000_000] {
        let mut rig = Rig::<1024>::online(Version::V5);
        rig.now = 50_000_000;
        rig.settle();
        rig.lose();
        publish_expiring(&mut rig, QoS::AtLeastOnce, 10);
        publish_expiring(&mut rig, QoS::AtLeastOnce, 20);
        rig.settle();
        rig.after(5_000);
        rig.now -= back;
        rig.settle();
        let mut seen = rig.after(8_000);
        rig.connect(Connect::new(Version::V5, "c")).unwrap();
        seen.extend(rig.accept(false, &[]));
        let expired = events(&seen).into_iter().filter(|event| event.contains("Expired")).count();
        assert_eq!(expired, 1, "{back}: {seen:?}");
    }
}

#[test]
fn time_that_jumps_meets_every_deadline() {
    for version in VERSIONS {
        for jump in [60_000, u64::from(u32::MAX), u64::from(u32::MAX) + 1, YEAR, 1000 * YEAR, u64::MAX / 2] {
            let mut rig = Rig::<1024>::new(version);
            rig.connect(Connect::new(version, "c")).unwrap();
            rig.settle();
            assert_eq!(cause(&rig.after(jump)), Some(CloseReason::ConnackTimeout), "{jump}");

            let mut rig = Rig::<1024>::online(version);
            assert_eq!(written(&rig.after(jump)), "c000", "{jump}");
            assert_eq!(cause(&rig.after(jump)), Some(CloseReason::PingTimeout), "{jump}");
            assert_eq!(rig.after(1), [Seen::Close(CloseReason::PingTimeout)]);
        }
    }
}

#[test]
fn the_last_instant_of_the_clock_is_one_like_others() {
    for version in VERSIONS {
        for mut stage in Stage::every() {
            stage.rig.now = u64::MAX;
            stage.rig.settle();
            _ = stage.rig.publish(QoS::ExactlyOnce, "late");
            stage.rig.settle();
            stage.rig.lose();
            _ = stage.rig.connect(kept(version));
            stage.rig.settle();
        }
    }
}

/// Waits as a driver does: nothing happens before the deadline, something at it.
#[test]
fn deadlines_are_exact() {
    for version in VERSIONS {
        let connect = Connect { retry_interval: core::time::Duration::from_secs(20), ..Connect::new(version, "c") };
        let mut rig = Rig::<1024>::new(version);
        rig.connect(connect).unwrap();
        let mut waiting = vec![rig.clone()];
        rig.accept(false, &[]);
        waiting.push(rig.clone());
        rig.publish(QoS::AtLeastOnce, "p").unwrap();
        waiting.push(rig.clone());
        rig.after(100_000);
        waiting.push(rig);
        for (number, mut rig) in waiting.into_iter().enumerate() {
            let deadline = waits_until(&rig.settle()).unwrap();
            assert!(deadline > rig.now, "{number}");
            assert_eq!(rig.session.deadline().map(Instant::as_millis), Some(deadline));
            rig.now = deadline - 2;
            assert_eq!(rig.poll(), Seen::Wait(Some(deadline)), "{version:?} {number}");
            rig.now = deadline;
            // Nobody is given up before the caller has read once more.
            if matches!(number, 0 | 3) {
                assert_eq!(rig.poll(), Seen::Wait(Some(deadline)), "{version:?} {number}");
                assert_eq!(rig.session.deadline().map(Instant::as_millis), Some(deadline));
            }
            assert!(!matches!(rig.poll(), Seen::Wait(_)), "{version:?} {number}");
        }
    }
}

/// A session is told the time by `poll` alone, so what a command begins is measured from the poll behind it.
#[test]
fn a_connection_that_begins_long_after_the_last_poll_has_its_time() {
    for version in VERSIONS {
        for pause in [0, 20_000, YEAR, 50 * YEAR] {
            let mut rig = Rig::<1024>::new(version);
            rig.now = pause;
            rig.connect(Connect::new(version, "c")).unwrap();
            let seen = rig.settle();
            assert_eq!(cause(&seen), None, "{version:?}: given up after 0 ms, {pause} ms after the last poll");
            rig.accept(false, &[]);
            rig.lose();
            rig.now += pause;
            rig.connect(Connect::new(version, "c")).unwrap();
            assert_eq!(cause(&rig.settle()), None, "{version:?}: a second connection after {pause} ms");
        }
    }
}

#[test]
fn a_farewell_long_after_the_last_poll_has_its_time() {
    for version in VERSIONS {
        let mut rig = Rig::<1024>::online(version);
        rig.now += 30_000;
        rig.disconnect().unwrap();
        let seen = rig.settle();
        assert_eq!(written(&seen), "e000", "{version:?}");
        assert_eq!(cause(&seen), Some(CloseReason::Disconnected));
    }
}

#[test]
fn a_message_lives_from_its_acceptance_on() {
    let mut rig = Rig::<1024>::online(Version::V5);
    rig.lose();
    // An application that is offline for an hour need not poll in between.
    rig.now += 3_600_000;
    publish_expiring(&mut rig, QoS::AtLeastOnce, 10);
    rig.connect(Connect::new(Version::V5, "c")).unwrap();
    let seen = rig.accept(false, &[]);
    assert_eq!(events(&seen), ["Connected false"], "the message was accepted just now");
}

fn publish_expiring(rig: &mut Rig, qos: QoS, seconds: u32) {
    let properties = [Property::MessageExpiryInterval(seconds)];
    let properties = Properties::of(&properties);
    rig.session.publish(&Publish { qos, properties, ..Publish::new("t", b"e") }).unwrap();
}

#[test]
fn what_waits_too_long_expires_and_what_was_shown_does_not() {
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        for (wait, expires) in [(9_000, false), (12_000, true)] {
            let mut rig = Rig::<1024>::online(Version::V5);
            rig.lose();
            publish_expiring(&mut rig, qos, 10);
            // A message lives from the poll on that follows its acceptance.
            rig.settle();
            rig.now += wait;
            rig.settle();
            rig.connect(Connect::new(Version::V5, "c")).unwrap();
            rig.settle();
            let before = rig.clone();
            let seen = rig.accept(false, &[]);
            assert_eq!(written(&seen).is_empty(), expires, "{qos:?} after {wait}");
            let in_flight = u16::from(qos != QoS::AtMostOnce && !expires);
            assert_eq!(rig.session.pending(), in_flight, "{qos:?} after {wait}, before {:?}", before.session);
        }
    }
    let mut rig = Rig::<1024>::new(Version::V5);
    rig.connect(kept(Version::V5)).unwrap();
    rig.accept(false, kept_connack(Version::V5));
    publish_expiring(&mut rig, QoS::AtLeastOnce, 10);
    publish_expiring(&mut rig, QoS::AtLeastOnce, 10);
    rig.settle();
    // The first was shown, the second waits for quota.
    rig.after(5_000);
    let seen = rig.after(8_000);
    assert_eq!(events(&seen), ["Expired 2"]);
    rig.lose();
    rig.connect(kept(Version::V5)).unwrap();
    let seen = rig.accept(true, kept_connack(Version::V5));
    assert!(written(&seen).ends_with("3a0c000174000105020000000a65"), "{}", written(&seen));
}

/// One exchange of each kind, as far as the sizes allow.
fn exchange<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize>(version: Version) {
    let mut rig = Rig::<STORE, OUTBOUND, INBOUND, 256>::online(version);
    let fits = |len: usize| len + 16 <= STORE;
    for (qos, len) in [(QoS::AtMostOnce, 5), (QoS::AtLeastOnce, 7), (QoS::ExactlyOnce, 7)] {
        let len = len + usize::from(version == Version::V5);
        let slots = if qos == QoS::AtMostOnce { usize::MAX } else { OUTBOUND };
        let result = rig.session.publish(&Publish { qos, ..Publish::new("t", b"") });
        let (needed, room) = (u32::try_from(len).unwrap(), u32::try_from(STORE.saturating_sub(16)).unwrap());
        if !fits(len) || slots == 0 {
            let (store, table) = (too_large(SizeLimit::Store, needed, room), too_large(SizeLimit::Outbound, 1, 0));
            assert_eq!(result, Err(if fits(len) { table } else { store }), "{STORE} {OUTBOUND} {qos:?}");
            continue;
        }
        let id = result.unwrap();
        rig.settle();
        if let Some(id) = id {
            for first in if qos == QoS::AtLeastOnce { &[0x40][..] } else { &[0x50, 0x70] } {
                rig.receive(&answer(*first, id.get()));
            }
        }
        assert_eq!(rig.session.pending(), 0);
    }
    // As many as there is room for; the next is refused, and there is room again once one of them is over.
    let mut ids = Vec::new();
    while let Ok(Some(id)) = rig.session.publish(&Publish { qos: QoS::AtLeastOnce, ..Publish::new("t", b"") }) {
        ids.push(id);
    }
    let by_store = STORE / (21 + usize::from(version == Version::V5) + 2);
    let slots = if OUTBOUND > 1 { OUTBOUND - 1 } else { OUTBOUND };
    assert_eq!(ids.len(), slots.min(by_store), "{STORE} {OUTBOUND}");
    rig.settle();
    if let Some(id) = ids.first() {
        assert_eq!(rig.publish(QoS::AtLeastOnce, ""), Err(CommandError::Full));
        let seen = rig.receive(&answer(0x40, id.get()));
        assert_eq!(events(&seen), [format!("Acknowledged(Success) {id}").as_str(), "Writable"]);
        rig.session.publish(&Publish { qos: QoS::AtLeastOnce, ..Publish::new("t", b"") }).unwrap();
    }
    hold::<STORE, OUTBOUND, INBOUND>(version);
}

/// As many QoS 2 messages as there are places; one more is not taken, and not lost.
fn hold<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize>(version: Version) {
    let mut rig = Rig::<STORE, OUTBOUND, INBOUND, 256>::online(version);
    for id in (1..=u16::MAX).take(INBOUND) {
        let seen = rig.receive(&message(version, 2, id, ""));
        assert_eq!(events(&seen).len(), 1);
        assert_eq!(written(&seen), to_hex(&answer(0x50, id)));
    }
    if let Some(id) = u16::try_from(INBOUND + 1).ok().filter(|_| INBOUND < 65_535) {
        let seen = rig.clone().receive(&message(version, 2, id, ""));
        let expected = if version == Version::V311 || INBOUND == 0 {
            CloseReason::TooManyHeld
        } else {
            CloseReason::ReceiveMaximumExceeded
        };
        assert_eq!((events(&seen).len(), cause(&seen)), (0, Some(expected)));
    }
    if INBOUND != 0 {
        let seen = rig.receive(&answer(0x62, 1));
        assert_eq!(written(&seen), to_hex(&answer(0x70, 1)));
        assert_eq!(events(&rig.receive(&message(version, 2, 1, ""))).len(), 1);
    }
}

#[test]
fn sizes_from_nothing_to_all_identifiers() {
    for version in VERSIONS {
        exchange::<0, 8, 8>(version);
        exchange::<22, 8, 8>(version);
        exchange::<24, 1, 1>(version);
        exchange::<64, 8, 8>(version);
        exchange::<1024, 0, 0>(version);
        exchange::<1024, 1, 1>(version);
        exchange::<1024, 7, 7>(version);
        exchange::<1024, 7, 0>(version);
    }
}

/// Of the standard: a field, a packet, a subscription identifier.
#[test]
fn what_the_standard_has_no_room_for_is_refused_with_figures() {
    for version in VERSIONS {
        let mut rig = Rig::<1024>::online(version);
        let topic = "t".repeat(65_536);
        let refused = rig.session.publish(&Publish::new(&topic, b"")).unwrap_err();
        assert_eq!(refused, too_large(SizeLimit::Standard, 65_536, 65_535));
        let front = if version == Version::V5 { 4 } else { 3 };
        for (len, needed) in [(268_435_455, 268_435_455 + front), (usize::MAX, u32::MAX)] {
            let refused = rig.session.publish_with(&Publish::new("t", b""), len, |_| {}).unwrap_err();
            assert_eq!(refused, too_large(SizeLimit::Standard, needed, 268_435_455));
        }
        let refused = rig.session.publish_with(&Publish::new("t", b""), 268_435_451, |_| {}).unwrap_err();
        let whole = 268_435_451 + front + 5;
        assert_eq!(refused, too_large(SizeLimit::Store, whole, 1008), "as long as a packet may be, or shorter");
    }
    let mut rig = Rig::<1024>::online(Version::V5);
    let subscriptions = [Subscription::new("f", QoS::AtMostOnce)];
    let properties = Properties::of(&[Property::SubscriptionIdentifier(268_435_456)]);
    let refused = rig.session.subscribe(&Subscribe { subscriptions: &subscriptions, properties });
    assert_eq!(refused, Err(too_large(SizeLimit::Standard, 268_435_456, 268_435_455)));
}

#[test]
fn sizes_at_their_largest() {
    for version in VERSIONS {
        // The session is larger than the stack of a thread is by default.
        let run = move || exchange::<2_000_000, 65_535, 65_535>(version);
        thread::Builder::new().stack_size(256 << 20).spawn(run).unwrap().join().unwrap();
    }
}

#[test]
fn a_connect_that_does_not_fit_is_refused() {
    for version in VERSIONS {
        let mut rig = Rig::<28, 1, 1, 13>::new(version);
        let before = rig.clone();
        let needed = if version == Version::V5 { 24 } else { 15 };
        let refused = too_large(SizeLimit::Control, needed, 13);
        assert_eq!(rig.connect(Connect::new(version, "c")), Err(refused));
        assert!(rig.session == before.session);
        assert_eq!(rig.settle(), [Seen::Close(CloseReason::NotConnected)]);
        assert_eq!(rig.publish(QoS::AtMostOnce, ""), Err(CommandError::Offline));
    }
    let mut rig = Rig::<64, 1, 1, 14>::new(Version::V311);
    rig.connect(Connect::new(Version::V311, "")).unwrap();
    rig.accept(false, &[]);
    rig.receive(&message(Version::V311, 1, 7, ""));
    assert_eq!(written(&rig.receive(&answer(0x62, 9))), "70020009");
    rig.disconnect().unwrap();
    assert_eq!(written(&rig.settle()), "e000");
}

fn small_inbox<const INBOX: usize>(version: Version) {
    let mut rig = Rig::<64, 1, 1, 64, INBOX>::new(version);
    rig.connect(Connect::new(version, "c")).unwrap();
    let mut seen = Vec::new();
    for byte in connack(version, false, &[]) {
        seen.extend(rig.settle());
        let space = rig.inbox.space();
        if cause(&seen).is_some() || space.is_empty() {
            break;
        }
        space[0] = byte;
        rig.inbox.filled(1);
    }
    seen.extend(rig.settle());
    let fits = INBOX >= connack(version, false, &[]).len();
    assert_eq!(events(&seen), ["Connected false"][..usize::from(fits)], "{version:?} {INBOX}");
    let too_large = Some(CloseReason::Violation(Violation::PacketTooLarge));
    assert_eq!(cause(&seen), if fits { None } else { too_large }, "{version:?} {INBOX}");
    let written = written(&seen);
    assert!(written.is_empty() || written.starts_with("10"), "CONNECT comes first: {written}");
}

#[test]
fn inboxes_that_are_too_small_say_so() {
    for version in VERSIONS {
        small_inbox::<0>(version);
        small_inbox::<1>(version);
        small_inbox::<2>(version);
        small_inbox::<3>(version);
        small_inbox::<4>(version);
        small_inbox::<5>(version);
    }
}

/// A day in the life of a session: what it told, and what it wrote.
fn day(rig: &mut Rig) -> (Vec<String>, String) {
    let version = rig.version;
    let again = Connect { acknowledgement: Acknowledge::AfterHandling, ..kept(version) };
    let mut seen = Vec::new();
    rig.connect(again).unwrap();
    seen.extend(rig.settle());
    seen.extend(rig.receive(&connack(version, false, kept_connack(version))));
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce, QoS::ExactlyOnce] {
        rig.publish(qos, "a longer payload").unwrap();
    }
    rig.subscribe("f/#").unwrap();
    seen.extend(rig.settle());
    let pieces = [message(version, 1, 9, "one"), message(version, 2, 10, "two"), message(version, 0, 0, "none")];
    seen.extend(rig.receive(&pieces.concat()));
    seen.extend(rig.receive(&[answer(0x40, 1), answer(0x62, 10), answer(0x40, 77)].concat()));
    seen.extend(rig.receive(&answer(0x50, 2)));
    seen.extend(rig.lose());
    rig.publish(QoS::AtLeastOnce, "offline").unwrap();
    rig.connect(again).unwrap();
    seen.extend(rig.settle());
    seen.extend(rig.receive(&connack(version, true, kept_connack(version))));
    seen.extend(rig.receive(&[answer(0x70, 2), answer(0x50, 3), message(version, 2, 11, "x")].concat()));
    seen.extend(rig.after(55_000));
    seen.extend(rig.receive(&hex("d000")));
    rig.disconnect().unwrap();
    seen.extend(rig.settle());
    let mut told: Vec<_> = events(&seen).into_iter().map(str::to_owned).collect();
    told.push(format!("{:?}", cause(&seen[seen.len() - 1..])));
    (told, written(&seen))
}

/// The packets in some bytes, none of which is longer than 127 bytes, in any order.
fn packets(written: &str) -> Vec<Vec<u8>> {
    let (bytes, mut packets) = (hex(written), Vec::new());
    let mut rest = &bytes[..];
    while let [_, len, ..] = rest {
        let (packet, behind) = rest.split_at(usize::from(*len) + 2);
        packets.push(packet.to_vec());
        rest = behind;
    }
    packets.sort_unstable();
    packets
}

#[test]
fn pieces_and_clones_make_no_difference() {
    for version in VERSIONS {
        let whole = day(&mut Rig::new(version));
        assert!(whole.0.len() > 8, "{whole:?}");
        for size in [1, 2, 3, 5, 7, 64] {
            let rig = Rig::new(version);
            assert_eq!(day(&mut Rig { writes: size, ..rig.clone() }), whole, "{version:?}, writes of {size}");
            assert_eq!(day(&mut Rig { writes: size, clones: true, ..rig.clone() }), whole, "{version:?}, clones");
            // A packet that comes in later is answered later, maybe behind what leaves on its own.
            for writes in [size, usize::MAX] {
                let day = day(&mut Rig { reads: size, writes, clones: true, ..rig.clone() });
                assert_eq!(day.0, whole.0, "{version:?}, reads of {size}");
                assert_eq!(packets(&day.1), packets(&whole.1), "{version:?}, reads of {size}");
            }
        }
    }
}

#[test]
fn what_was_full_becomes_writable() {
    for version in VERSIONS {
        let mut rig = Rig::<64, 8, 8, 256>::online(version);
        rig.publish(QoS::AtMostOnce, "0123456789012345678901234567890123456789").unwrap();
        assert!(rig.session.free_space() < 20);
        assert_eq!(rig.publish(QoS::AtMostOnce, "0123456789"), Err(CommandError::Full));
        assert_eq!(rig.subscribe("0123456789"), Err(CommandError::Full));
        let seen = rig.settle();
        assert_eq!(events(&seen), ["Writable"]);
        assert!(rig.session.free_space() >= 20);
        rig.publish(QoS::AtMostOnce, "0123456789").unwrap();
        assert_eq!(events(&rig.settle()), [""; 0], "once for each refusal");
    }
}

/// Fills the control bytes with answers that are not written.
fn congested(properties: &[Property<'_>]) -> Rig<256, 8, 8, 64> {
    let mut rig = Rig::<256, 8, 8, 64>::new(Version::V5);
    rig.connect(Connect { properties: Properties::of(properties), ..Connect::new(Version::V5, "c") }).unwrap();
    rig.accept(false, properties);
    rig.writes = 0;
    for id in 1..=20 {
        rig.feed(&answer(0x62, id));
        rig.poll();
    }
    rig
}

#[test]
fn a_full_queue_becomes_writable_too() {
    let mut rig = congested(&[Property::AuthenticationMethod("m")]);
    assert_eq!(rig.authenticate(ReasonCode::Reauthenticate, "m", b"0123"), Err(CommandError::Full));
    rig.writes = usize::MAX;
    assert_eq!(events(&rig.settle()), ["Writable"]);
    rig.authenticate(ReasonCode::Reauthenticate, "m", b"0123").unwrap();
}

#[test]
fn a_transport_that_takes_nothing_is_given_up() {
    let mut rig = congested(&[]);
    let deadline = rig.session.deadline().unwrap().as_millis();
    assert!(deadline > rig.now);
    rig.now += 60_000;
    rig.poll();
    rig.now += 60_000;
    rig.poll();
    rig.now += 60_000;
    let seen = [rig.poll(), rig.poll()];
    assert_eq!(cause(&seen), Some(CloseReason::PingTimeout), "{seen:?}");
}

#[test]
fn pauses_are_filled_and_dead_links_noticed() {
    for version in VERSIONS {
        let mut rig = Rig::<1024>::new(version);
        rig.connect(Connect {
            keep_alive: 80,
            response_timeout: core::time::Duration::from_secs(4),
            ..Connect::new(version, "c")
        })
        .unwrap();
        assert_eq!(waits_until(&rig.accept(false, &[])), Some(70_000));
        assert_eq!(written(&rig.after(69_999)), "");
        assert_eq!(written(&rig.after(1)), "c000");
        assert_eq!(waits_until(&rig.settle()), Some(74_000));
        // Any byte extends the wait; the answer ends it.
        rig.now += 3_999;
        rig.receive(&message(version, 0, 0, ""));
        assert_eq!(cause(&rig.after(3_999)), None);
        let mut dead = rig.clone();
        assert_eq!(cause(&dead.after(1)), Some(CloseReason::PingTimeout));
        rig.receive(&hex("d000"));
        let quiet = rig.after(60_000);
        assert_eq!((written(&quiet), cause(&quiet)), (String::new(), None));
        // Sending alone is no sign of life.
        for _ in 0..8 {
            rig.publish(QoS::AtMostOnce, "").unwrap();
            rig.after(3_000);
        }
        let seen = rig.after(0);
        assert_eq!(cause(&seen), Some(CloseReason::PingTimeout), "{seen:?}");
    }
}

#[test]
fn the_server_may_choose_the_pause() {
    for (wanted, deadline) in [(8, Some(7_000)), (0, None), (800, Some(700_000))] {
        let mut rig = Rig::<1024>::new(Version::V5);
        rig.connect(Connect { keep_alive: 80, ..Connect::new(Version::V5, "c") }).unwrap();
        assert_eq!(waits_until(&rig.accept(false, &[Property::ServerKeepAlive(wanted)])), deadline);
        rig.connect(Connect { keep_alive: 80, ..Connect::new(Version::V5, "c") }).unwrap();
        assert_eq!(waits_until(&rig.accept(false, &[])), Some(70_000), "it counts for one connection");
    }
    for version in VERSIONS {
        let mut rig = Rig::<1024>::new(version);
        rig.connect(Connect { keep_alive: 0, ..Connect::new(version, "c") }).unwrap();
        assert_eq!(waits_until(&rig.accept(false, &[])), None);
        assert_eq!(written(&rig.after(YEAR)), "");
    }
}

/// Long after its message, when its place has been used as often as a handle can tell, its identifier tells them apart.
#[test]
fn a_dead_handle_stays_dead() {
    for version in VERSIONS {
        let mut rig = Rig::<64, 1, 1>::new(version);
        rig.connect(kept(version)).unwrap();
        rig.accept(false, kept_connack(version));
        for id in 1..=600 {
            rig.receive(&message(version, 1, id, ""));
            let newest = rig.handles.len() - 1;
            for (age, &handle) in rig.handles[..newest].iter().rev().enumerate() {
                assert_eq!(
                    rig.session.acknowledge(handle, ReasonCode::Success),
                    Err(CommandError::StaleHandle),
                    "{id}, {age}"
                );
            }
            rig.acknowledge(rig.handles[newest]).unwrap();
            rig.settle();
        }
        // The same identifier again and again.
        rig.handles.clear();
        for _ in 0..=255 {
            rig.receive(&message(version, 1, 1, ""));
            let newest = rig.handles.len() - 1;
            for (age, &handle) in rig.handles[..newest].iter().rev().enumerate() {
                assert_eq!(
                    rig.session.acknowledge(handle, ReasonCode::Success),
                    Err(CommandError::StaleHandle),
                    "{age}"
                );
            }
            rig.acknowledge(rig.handles[newest]).unwrap();
            rig.settle();
        }
    }
}

#[test]
fn a_server_that_does_not_answer_is_given_up() {
    for version in VERSIONS {
        let mut rig = Rig::<1024>::new(version);
        rig.connect(Connect { response_timeout: core::time::Duration::from_secs(3), ..Connect::new(version, "c") })
            .unwrap();
        assert_eq!(waits_until(&rig.settle()), Some(3_000));
        assert_eq!(cause(&rig.after(2_998)), None);
        let seen = rig.after(2);
        assert_eq!((cause(&seen), written(&seen)), (Some(CloseReason::ConnackTimeout), String::new()));
    }
}

#[test]
fn a_farewell_that_cannot_leave_is_given_up() {
    for version in VERSIONS {
        let mut rig = Rig::<1024>::online(version);
        rig.connect(Connect { disconnect_timeout: core::time::Duration::from_secs(2), ..Connect::new(version, "c") })
            .unwrap();
        rig.accept(false, &[]);
        rig.disconnect().unwrap();
        assert_eq!(rig.shown(), hex("e000"));
        assert_eq!(rig.session.deadline().map(Instant::as_millis), Some(rig.now + 2_000));
        rig.now += 1_998;
        assert_eq!(rig.shown(), hex("e000"));
        assert_eq!(cause(&rig.after(2)), Some(CloseReason::Disconnected));
    }
}

/// Pauses count no longer once the application has disconnected, however short they may be.
#[test]
fn whoever_leaves_asks_no_more() {
    for version in VERSIONS {
        let mut rig = Rig::<1024>::online(version);
        rig.connect(Connect {
            keep_alive: 4,
            disconnect_timeout: core::time::Duration::from_secs(5),
            ..Connect::new(version, "c")
        })
        .unwrap();
        assert_eq!(waits_until(&rig.accept(false, &[])), Some(rig.now + 3_500));
        rig.disconnect().unwrap();
        assert_eq!(rig.shown(), hex("e000"));
        assert_eq!(rig.session.deadline().map(Instant::as_millis), Some(rig.now + 5_000));
        assert_eq!(cause(&rig.settle()), Some(CloseReason::Disconnected));
        assert_eq!(rig.session.deadline(), None);
    }
}

#[test]
fn only_3_1_1_sends_again_by_time() {
    for version in VERSIONS {
        let mut rig = Rig::<1024>::new(version);
        rig.connect(Connect {
            keep_alive: 0,
            retry_interval: core::time::Duration::from_secs(20),
            ..Connect::new(version, "c")
        })
        .unwrap();
        rig.accept(false, &[]);
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce, QoS::ExactlyOnce, QoS::AtMostOnce] {
            rig.publish(qos, "").unwrap();
        }
        rig.settle();
        rig.receive(&answer(0x50, 2));
        assert_eq!(written(&rig.after(19_000)), "");
        let again = written(&rig.after(1_001));
        if version == Version::V5 {
            assert_eq!(again, "");
            assert_eq!(written(&rig.after(YEAR)), "");
            continue;
        }
        assert_eq!(again, "620200023a050001740001".to_owned() + "3c050001740003");
        rig.after(19_000);
        rig.receive(&answer(0x40, 1));
        assert_eq!(written(&rig.after(999)), "");
        assert_eq!(written(&rig.after(2)), "620200023c050001740003", "an acknowledgement puts off nothing else");
        rig.receive(&[answer(0x70, 2), answer(0x50, 3), answer(0x70, 3)].concat());
        assert_eq!(written(&rig.after(YEAR)), "");
        // A message that is new has all of its time.
        rig.after(19_999);
        rig.publish(QoS::AtLeastOnce, "").unwrap();
        rig.settle();
        assert_eq!(written(&rig.after(19_000)), "");
    }
}

/// Messages in every state, a lost connection, and a server that has lost the session.
fn after_loss(version: Version, policy: LostSession) -> (Vec<String>, String) {
    let properties = Properties::for_version(version, &[Property::SessionExpiryInterval(100)]);
    let connect = Connect { clean_start: false, lost_session: policy, properties, ..Connect::new(version, "c") };
    let mut rig = Rig::<1024>::new(version);
    rig.connect(connect).unwrap();
    rig.accept(false, &[]);
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce, QoS::ExactlyOnce] {
        rig.publish(qos, "").unwrap();
    }
    rig.settle();
    rig.receive(&answer(0x50, 3));
    rig.receive(&message(version, 2, 9, ""));
    rig.lose();
    rig.publish(QoS::AtLeastOnce, "").unwrap();
    rig.connect(connect).unwrap();
    rig.settle();
    rig.feed(&connack(version, false, &[]));
    let mut seen = rig.settle();
    // The server's identifiers begin anew as well: this is another message.
    rig.feed(&message(version, 2, 9, ""));
    assert_eq!(events(&rig.settle()).len(), 1);
    seen.retain(|seen| *seen != Seen::Event("Connected false".to_owned()));
    (events(&seen).into_iter().map(str::to_owned).collect(), written(&seen))
}

#[test]
fn a_session_that_the_server_has_lost() {
    let queued = |version| if version == Version::V5 { "3206000174000400" } else { "32050001740004" };
    for version in VERSIONS {
        let lost = ["LostUnconfirmed 3", "Lost 1", "Lost 2"].map(str::to_owned).to_vec();
        assert_eq!(after_loss(version, LostSession::Report), (lost.clone(), queued(version).to_owned()));
        let (events, written) = after_loss(version, LostSession::Standard);
        if version == Version::V5 {
            assert_eq!((events, written), (lost, queued(version).to_owned()));
        } else {
            assert_eq!(events, [""; 0]);
            assert_eq!(written, "62020003".to_owned() + "3a050001740001" + "3c050001740002" + queued(version));
        }
        let (events, written) = after_loss(version, LostSession::Republish);
        assert_eq!(events, ["LostUnconfirmed 3", "Republished 1 9", "Republished 2 10"]);
        let again = match version {
            Version::V5 => "3206000174000900".to_owned() + "3406000174000a00",
            _ => "32050001740009".to_owned() + "3405000174000a",
        };
        assert_eq!(written, again + queued(version));
    }
}

#[test]
fn a_cut_in_the_middle_of_republishing_loses_no_outcome() {
    let connect = Connect {
        clean_start: false,
        lost_session: LostSession::Republish,
        properties: Properties::of(&[Property::SessionExpiryInterval(100)]),
        ..Connect::new(Version::V5, "c")
    };
    let mut rig = Rig::<1024>::new(Version::V5);
    rig.connect(connect).unwrap();
    rig.accept(false, &[]);
    for payload in ["a", "b", "c"] {
        rig.publish(QoS::AtLeastOnce, payload).unwrap();
    }
    rig.settle();
    rig.lose();
    rig.connect(connect).unwrap();
    rig.settle();
    rig.feed(&connack(Version::V5, false, &[]));
    let mut seen = vec![rig.poll(), rig.poll()];
    assert_eq!(events(&seen), ["Connected false", "Republished 1 9"]);
    rig.connect(connect).unwrap();
    seen.extend(rig.accept(true, &[]));
    let ends = events(&seen).into_iter().filter(|event| event.starts_with("Republished")).collect::<Vec<_>>();
    assert_eq!(ends, ["Republished 1 9", "Republished 2 10", "Republished 3 11"]);
    let sent = written(&seen);
    assert!(!sent.contains("3a07"), "nothing of the session that is lost is sent again: {sent}");
}

#[test]
fn authentication_before_and_after_connack() {
    let method = [Property::AuthenticationMethod("m")];
    let mut rig = Rig::<1024>::new(Version::V5);
    rig.connect(Connect { properties: Properties::of(&method), ..Connect::new(Version::V5, "c") }).unwrap();
    rig.settle();
    let early = rig.clone().authenticate(ReasonCode::ContinueAuthentication, "m", b"");
    assert_eq!(early, Err(CommandError::NotAuthenticating), "the server has asked nothing yet");
    let challenge = hex("f00618041500016d");
    assert!(events(&rig.receive(&challenge))[0].starts_with("Authenticating"));
    assert_eq!(rig.authenticate(ReasonCode::Reauthenticate, "m", b""), Err(CommandError::NotAuthenticating));
    assert_eq!(rig.authenticate(ReasonCode::ContinueAuthentication, "n", b""), Err(CommandError::NotAuthenticating));
    rig.authenticate(ReasonCode::ContinueAuthentication, "m", b"x").unwrap();
    assert_eq!(written(&rig.settle()), "f00a18081500016d16000178");
    let twice = rig.clone().authenticate(ReasonCode::ContinueAuthentication, "m", b"");
    assert_eq!(twice, Err(CommandError::NotAuthenticating), "one answer to each question");
    rig.accept(false, &method);
    assert_eq!(rig.authenticate(ReasonCode::ContinueAuthentication, "m", b""), Err(CommandError::NotAuthenticating));

    rig.authenticate(ReasonCode::Reauthenticate, "m", b"y").unwrap();
    assert_eq!(rig.clone().authenticate(ReasonCode::Reauthenticate, "m", b"y"), Err(CommandError::NotAuthenticating));
    assert_eq!(written(&rig.settle()), "f00a19081500016d16000179");
    rig.publish(QoS::AtMostOnce, "").unwrap();
    assert_eq!(written(&rig.settle()), "300400017400", "traffic goes on meanwhile");
    assert_eq!(events(&rig.receive(&challenge)).len(), 1);
    rig.authenticate(ReasonCode::ContinueAuthentication, "m", b"z").unwrap();
    rig.settle();
    assert_eq!(events(&rig.receive(&hex("f00600041500016d"))).len(), 1);
    rig.authenticate(ReasonCode::Reauthenticate, "m", b"again").unwrap();
    rig.settle();
    assert_eq!(cause(&rig.receive(&hex("f00618041500016e"))), Some(CloseReason::AuthenticationMethodChanged));
}

/// Beside it there must be room for a farewell. One that is refused as full would be tried again for ever.
#[test]
fn an_auth_that_never_fits_is_too_large() {
    let method = [Property::AuthenticationMethod("m")];
    let mut idle = Rig::<64, 1, 1, 100>::new(Version::V5);
    idle.connect(Connect { properties: Properties::of(&method), ..Connect::new(Version::V5, "c") }).unwrap();
    idle.accept(false, &method);
    for len in 0..110_usize {
        let mut rig = idle.clone();
        let result = rig.authenticate(ReasonCode::Reauthenticate, "m", &vec![b'd'; len]);
        let needed = u32::try_from(11 + len).unwrap();
        let refused = Err(too_large(SizeLimit::Control, needed, 100 - 9));
        assert_eq!(result, if needed + 9 <= 100 { Ok(()) } else { refused }, "{len}");
    }
}

/// What may fit once the answers have left is full for now, to the byte.
#[test]
fn what_never_fits_is_too_large_and_what_may_fit_is_full() {
    let method = [Property::AuthenticationMethod("m")];
    let mut idle = Rig::<64, 1, 8, 100>::new(Version::V5);
    idle.connect(Connect { properties: Properties::of(&method), ..Connect::new(Version::V5, "c") }).unwrap();
    idle.accept(false, &method);
    let mut busy = idle.clone();
    for id in 1..=4 {
        busy.feed(&message(Version::V5, 1, id, ""));
        assert!(matches!(busy.poll(), Seen::Event(_)));
    }
    assert_eq!(busy.shown().len(), 4 * 4);
    for (rig, free) in [(&idle, 100), (&busy, 100 - 4 * 4)] {
        for len in 0..110_usize {
            let expected = |packet: u32, kept| match packet + kept {
                needed if needed <= free => Ok(()),
                needed if needed <= 100 => Err(CommandError::Full),
                _ => Err(too_large(SizeLimit::Control, packet, 100 - kept)),
            };
            let data = u32::try_from(len).unwrap();
            let auth = rig.clone().authenticate(ReasonCode::Reauthenticate, "m", &vec![b'd'; len]);
            assert_eq!(auth, expected(11 + data, 9), "AUTH, {len} bytes, {free} free");
            let text = "t".repeat(len);
            let properties = [Property::ReasonString(&text)];
            let farewell = Disconnect { properties: Properties::of(&properties), ..Disconnect::default() };
            let done = rig.clone().session.disconnect(&farewell);
            assert_eq!(done, expected(7 + data, 5), "DISCONNECT, {len} bytes, {free} free");
        }
    }
}

#[test]
fn what_is_as_long_as_the_server_takes_is_sent() {
    for (limit, fits) in [(10, false), (11, true)] {
        let mut rig = Rig::<1024>::new(Version::V5);
        rig.connect(Connect::new(Version::V5, "c")).unwrap();
        rig.accept(false, &[Property::MaximumPacketSize(limit)]);
        let expected = if fits { Ok(()) } else { Err(too_large(SizeLimit::Peer, 11, 10)) };
        // 30 09, the topic, no properties, and five bytes.
        assert_eq!(rig.publish(QoS::AtMostOnce, "12345").map(drop), expected);
        let properties = [Property::ReasonString("1234")];
        let farewell = Disconnect { properties: Properties::of(&properties), ..Disconnect::default() };
        assert_eq!(rig.session.disconnect(&farewell), expected);
    }
}

#[test]
fn authentication_that_goes_wrong() {
    let method = [Property::AuthenticationMethod("m")];
    let cases: [(&[Property<'_>], &str, CloseReason); 5] = [
        (&[], "f00618041500016d", CloseReason::AuthenticationUnexpected),
        (&method, "f00618041500016e", CloseReason::AuthenticationMethodChanged),
        (&method, "f00600041500016d", CloseReason::AuthenticationUnexpected),
        (&method, "2003000000", CloseReason::AuthenticationMethodChanged),
        (&[], "20070000041500016d", CloseReason::AuthenticationMethodChanged),
    ];
    for (properties, answer, expected) in cases {
        let mut rig = Rig::<1024>::new(Version::V5);
        rig.connect(Connect { properties: Properties::of(properties), ..Connect::new(Version::V5, "c") }).unwrap();
        rig.settle();
        let seen = rig.receive(&hex(answer));
        assert_eq!((cause(&seen), written(&seen).as_str()), (Some(expected), "e00182"), "{answer}");
    }
}

#[test]
fn what_the_server_does_not_support_is_refused_until_the_next_connection() {
    type Call = fn(&mut Rig) -> Result<(), CommandError>;
    let retained: Call = |rig| rig.session.publish(&Publish { retain: true, ..Publish::new("t", b"") }).map(drop);
    let identified: Call = |rig| {
        let subscriptions = [Subscription::new("f", QoS::AtMostOnce)];
        let properties = Properties::of(&[Property::SubscriptionIdentifier(7)]);
        rig.session.subscribe(&Subscribe { subscriptions: &subscriptions, properties }).map(drop)
    };
    let long: Call = |rig| rig.publish(QoS::AtMostOnce, "0123456789012345").map(drop);
    let long_filter: Call = |rig| rig.subscribe("0123456789012345").map(drop);
    let cases: [(Property<'_>, Call, CommandError); 9] = [
        (
            Property::MaximumQos(QoS::AtLeastOnce),
            |rig| rig.publish(QoS::ExactlyOnce, "").map(drop),
            CommandError::QosUnsupported,
        ),
        (
            Property::MaximumQos(QoS::AtMostOnce),
            |rig| rig.publish(QoS::AtLeastOnce, "").map(drop),
            CommandError::QosUnsupported,
        ),
        (Property::RetainAvailable(false), retained, CommandError::RetainUnsupported),
        (
            Property::WildcardSubscriptionAvailable(false),
            |rig| rig.subscribe("a/#").map(drop),
            CommandError::WildcardUnsupported,
        ),
        (
            Property::WildcardSubscriptionAvailable(false),
            |rig| rig.subscribe("a/+/b").map(drop),
            CommandError::WildcardUnsupported,
        ),
        (
            Property::SharedSubscriptionAvailable(false),
            |rig| rig.subscribe("$share/g/f").map(drop),
            CommandError::SharedUnsupported,
        ),
        (Property::SubscriptionIdentifierAvailable(false), identified, CommandError::SubscriptionIdentifierUnsupported),
        (Property::MaximumPacketSize(20), long, too_large(SizeLimit::Peer, 22, 20)),
        (Property::MaximumPacketSize(20), long_filter, too_large(SizeLimit::Peer, 24, 20)),
    ];
    for (property, call, expected) in cases {
        let mut rig = Rig::new(Version::V5);
        rig.connect(Connect::new(Version::V5, "c")).unwrap();
        rig.accept(false, &[property]);
        let before = rig.clone();
        assert_eq!(call(&mut rig), Err(expected), "{property:?}");
        assert!(rig.session == before.session, "{property:?}");
        rig.publish(QoS::AtMostOnce, "").unwrap();
        rig.connect(Connect::new(Version::V5, "c")).unwrap();
        rig.accept(false, &[]);
        assert_eq!(call(&mut rig), Ok(()), "{property:?} counts for one connection");
    }
}

#[test]
fn stored_messages_obey_the_limits_of_the_new_connection() {
    let limits =
        [Property::MaximumQos(QoS::AtLeastOnce), Property::RetainAvailable(false), Property::MaximumPacketSize(20)];
    for limit in limits {
        for leaves in [false, true] {
            let mut rig = Rig::<1024>::online(Version::V5);
            rig.lose();
            let publish = Publish { qos: QoS::ExactlyOnce, retain: true, ..Publish::new("t", b"0123456789012345") };
            rig.session.publish(&publish).unwrap();
            rig.session.publish(&Publish { qos: QoS::AtMostOnce, ..publish }).unwrap();
            rig.connect(Connect::new(Version::V5, "c")).unwrap();
            rig.settle();
            rig.feed(&connack(Version::V5, false, &[limit]));
            assert_eq!(rig.poll(), Seen::Event("Connected false".to_owned()));
            if leaves {
                rig.disconnect().unwrap();
            }
            let seen = rig.settle();
            // QoS 0 and a size that fits are no fault of the second message.
            let second = if matches!(limit, Property::MaximumQos(_)) { "31140001740030" } else { "" };
            assert!(written(&seen).starts_with(second), "{limit:?}, leaves: {leaves}: {}", written(&seen));
            assert!(!written(&seen).contains("3516"), "{limit:?}, leaves: {leaves}: {}", written(&seen));
            assert_eq!(second.is_empty(), !written(&seen).contains("3114"), "{limit:?}, leaves: {leaves}");
            let dropped = if second.is_empty() { &["Dropped { count: 1 }"][..] } else { &[] };
            assert_eq!(events(&seen), [&["Unsendable 1"], dropped].concat(), "{limit:?}, leaves: {leaves}");
        }
    }
}

#[test]
fn no_packet_exceeds_the_servers_maximum() {
    let method = [Property::AuthenticationMethod("m")];
    let mut rig = Rig::<1024>::new(Version::V5);
    rig.connect(Connect { properties: Properties::of(&method), ..Connect::new(Version::V5, "c") }).unwrap();
    rig.accept(false, &[Property::AuthenticationMethod("m"), Property::MaximumPacketSize(20)]);
    let long = rig.authenticate(ReasonCode::Reauthenticate, "m", b"0123456789012345");
    assert!(matches!(long, Err(CommandError::TooLarge { .. })), "AUTH");
    let properties = [Property::ReasonString("0123456789012345")];
    let properties = Properties::of(&properties);
    let long = rig.session.disconnect(&Disconnect { properties, ..Disconnect::default() });
    assert!(matches!(long, Err(CommandError::TooLarge { .. })), "DISCONNECT");

    let mut rig = Rig::<1024>::new(Version::V5);
    rig.connect(Connect::new(Version::V5, "c")).unwrap();
    rig.accept(false, &[Property::MaximumPacketSize(4)]);
    let seen = rig.receive(&answer(0x62, 9));
    assert!(!written(&seen).contains("70030009"), "a PUBCOMP of 5 bytes: {}", written(&seen));
}

#[test]
fn connect_is_the_first_packet_whatever_comes() {
    for version in VERSIONS {
        for bytes in [&b"HTTP/1.1 400 Bad Request\r\n"[..], &[0x36, 0], &[0x30, 3, 0, 1, b't']] {
            let mut rig = Rig::<1024>::new(version);
            rig.connect(Connect::new(version, "c")).unwrap();
            rig.feed(bytes);
            let seen = rig.settle();
            assert!(cause(&seen).is_some_and(|cause| cause.reason_code().is_some()), "{seen:?}");
            let written = written(&seen);
            assert!(written.is_empty() || written.starts_with("10"), "{version:?}: {written}");
        }
    }
}

#[test]
fn nothing_leaves_before_connack_but_connect() {
    for version in VERSIONS {
        let mut rig = Rig::<1024>::new(version);
        rig.connect(Connect { clean_start: false, ..kept(version) }).unwrap();
        rig.accept(false, kept_connack(version));
        rig.publish(QoS::AtLeastOnce, "carried over").unwrap();
        rig.settle();
        rig.lose();
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
            rig.publish(qos, "offline").unwrap();
        }
        rig.connect(kept(version)).unwrap();
        rig.publish(QoS::AtMostOnce, "connecting").unwrap();
        let seen = rig.settle();
        let connect = hex(&written(&seen));
        assert_eq!((connect[0], usize::from(connect[1]) + 2), (0x10, connect.len()), "{version:?}");
    }
}

#[test]
fn acknowledgements_too_late_neither_leave_nor_delay_the_end() {
    for stage in Stage::every().filter(|stage| matches!(stage.at, At::Failing | At::Parting)) {
        let mut plain = stage.rig.clone();
        let mut rig = stage.rig.clone();
        // Whether they are refused is a matter of taste.
        for handle in [stage.qos1, stage.qos2] {
            _ = rig.acknowledge(handle);
        }
        assert_eq!(rig.settle(), plain.settle(), "{:?} {:?}", rig.version, stage.at);

        let mut rig = stage.rig_after_farewell();
        assert_eq!(
            cause(&rig.settle()).and_then(CloseReason::reason_code),
            cause(&plain.settle()).and_then(CloseReason::reason_code)
        );
    }
}

impl Stage {
    /// The farewell was written, and then the application acknowledged.
    fn rig_after_farewell(&self) -> Rig {
        let mut rig = self.rig.clone();
        rig.session.transmitted(usize::MAX);
        _ = rig.acknowledge(self.qos1);
        rig
    }
}

#[test]
fn sessions_that_will_say_another_farewell_are_different() {
    let leaving = |reason_code| {
        let mut rig = Rig::<1024>::online(Version::V5);
        rig.session.disconnect(&Disconnect { reason_code, ..Disconnect::default() }).unwrap();
        rig.session
    };
    assert!(leaving(ReasonCode::Success) == leaving(ReasonCode::Success));
    assert!(leaving(ReasonCode::Success) != leaving(ReasonCode::DisconnectWithWill));
}

#[test]
fn disconnect_leaves_behind_what_needs_no_answer() {
    for version in VERSIONS {
        let mut rig = Rig::<1024>::online(version);
        rig.feed(&message(version, 1, 9, ""));
        assert!(matches!(rig.poll(), Seen::Event(_)));
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
            rig.publish(qos, "").unwrap();
        }
        rig.disconnect().unwrap();
        assert_eq!(rig.publish(QoS::AtMostOnce, ""), Err(CommandError::Closing));
        let seen = rig.settle();
        let sent = match version {
            Version::V5 => "40020009".to_owned() + "300400017400" + "3206000174000100" + "e000",
            _ => "40020009".to_owned() + "3003000174" + "32050001740001" + "e000",
        };
        assert_eq!(written(&seen), sent);
        assert_eq!(events(&seen), ["Lost 1"]);
        assert_eq!(cause(&seen), Some(CloseReason::Disconnected));
    }
    for len in 30..48 {
        let mut rig = Rig::<1024, 8, 8, 64>::online(Version::V5);
        rig.feed(&message(Version::V5, 1, 9, ""));
        rig.poll();
        let why = "x".repeat(len);
        let properties = [Property::ReasonString(&why)];
        let disconnect = Disconnect { properties: Properties::of(&properties), ..Disconnect::default() };
        if rig.session.disconnect(&disconnect).is_ok() {
            assert!(written(&rig.settle()).starts_with("40020009e0"), "a reason string of {len} bytes");
        }
    }
}

#[test]
fn whole_packets_are_taken_after_the_loss() {
    for version in VERSIONS {
        let mut rig = Rig::<1024, 8, 8, 64>::online(version);
        rig.publish(QoS::AtLeastOnce, "").unwrap();
        rig.settle();
        for id in 1..=30 {
            rig.feed(&answer(0x62, 100 + id));
        }
        rig.feed(&message(version, 0, 0, "last words"));
        rig.feed(&answer(0x40, 1));
        rig.feed(&[0x40, 2, 0]);
        let seen = rig.lose();
        let events = events(&seen);
        assert_eq!(events.len(), 2, "{version:?}: {events:?}");
        assert!(events[0].contains("last words"));
        assert_eq!(events[1], "Acknowledged(Success) 1");
        assert_eq!(written(&seen), "");
    }
}

#[test]
fn a_wait_leaves_room_to_receive() {
    let mut rig = Rig::<1024, 8, 1, 64, 16>::new(Version::V311);
    rig.connect(kept(Version::V311)).unwrap();
    rig.accept(false, &[]);
    // The first takes the only place, the second and a part of a third wait in the inbox, which is full then.
    rig.receive(&message(Version::V311, 1, 1, ""));
    rig.feed(&message(Version::V311, 1, 2, "01"));
    rig.feed(&message(Version::V311, 1, 3, "0")[..7]);
    let step = rig.session.poll(&mut rig.inbox, Instant::from_millis(rig.now));
    assert!(!matches!(step, Step::Wait(_)) || !rig.inbox.space().is_empty(), "waits, but cannot receive");
}

#[test]
fn outcomes_are_told_once() {
    for version in VERSIONS {
        let mut rig = Rig::<1024>::online(version);
        let mut expected = Vec::new();
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce, QoS::AtLeastOnce] {
            expected.push(format!("{:?} {}", Outcome::Lost, rig.publish(qos, "").unwrap().unwrap()));
        }
        rig.settle();
        let seen = rig.lose();
        assert_eq!(events(&seen), expected);
        assert_eq!(rig.session.pending(), 0);
        assert!(rig.settle() == [Seen::Close(CloseReason::ConnectionLost)]);
    }
}
