//! One end alone: arbitrary commands, arbitrary bytes from the peer, arbitrary times.

use core::num::NonZeroU16;
use core::time::Duration;

use mqtt_session::server::{self, Accept};
use mqtt_session::wire::{Suback, Unsuback};
use mqtt_session::{
    Acknowledge, Auth, Connect, Disconnect, DisconnectWhen, Event, Handle, Inbox, Instant, List, LostSession,
    MaximumPacketSize, Offline, Oversized, PacketId, Properties, Property, Publish, Session, Source, Step, Subscribe,
    Subscription, TopicAliases, Unsubscribe, Version, Will,
};

use super::input::Input;

/// What is called for messages in pieces, whether or not any is under way.
macro_rules! go_on {
    ($session:expr, $input:expr) => {
        match $input.below(4) {
            0 => $session.abort_payload().err(),
            1 => $session.discard_message($input.code()).err(),
            _ => {
                $session.supply($input.bytes(60));
                None
            }
        }
    };
}

const STORE: usize = 160;
const OUTBOUND: usize = 3;
const INBOUND: usize = 2;

/// Whatever is called and whatever comes in: nothing panics, nothing is stuck, a clone goes the same way, and what a session
/// wants to be transmitted is never empty.
pub(crate) fn session(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    match input.flag() {
        false => Rig::<Session<STORE, OUTBOUND, INBOUND, 120>>::default().run(input),
        true => Rig::<server::Session<STORE, OUTBOUND, INBOUND, 120>>::default().run(input),
    }
}

/// An end and what is around it.
struct Rig<S> {
    session: S,
    inbox: Inbox<[u8; 128]>,
    now: u64,
    handles: Vec<Handle>,
}

impl<S: Default> Default for Rig<S> {
    fn default() -> Self {
        Self { session: S::default(), inbox: Inbox::new(), now: 0, handles: Vec::new() }
    }
}

/// What the two ends do differently.
trait Either: Clone + PartialEq {
    type Event<'i>: PartialEq + core::fmt::Debug;

    fn command(&mut self, inbox: &mut Inbox<[u8; 128]>, input: &mut Input<'_>, handles: &[Handle]);
    fn poll<'i>(&mut self, inbox: &'i mut Inbox, now: Instant) -> Step<'_, Self::Event<'i>>;
    fn told(&mut self, event: &Self::Event<'_>, input: &mut Input<'_>) -> Option<Handle>;
    fn transmitted(&mut self, len: usize);
    fn pending(&self) -> u16;
}

impl<S: Either> Rig<S> {
    fn run(mut self, mut input: Input<'_>) {
        while !input.is_over() {
            match input.below(8) {
                0..=2 => self.session.command(&mut self.inbox, &mut input, &self.handles),
                3 => self.now += u64::from(input.short()) * 10,
                _ => self.receive(input.bytes(64)),
            }
            self.settle(&mut input);
            assert!(usize::from(self.session.pending()) <= OUTBOUND);
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        let space = self.inbox.space();
        let len = bytes.len().min(space.len());
        space[..len].copy_from_slice(&bytes[..len]);
        self.inbox.filled(len);
    }

    /// Polls until there is nothing more to do, with partial writes.
    fn settle(&mut self, input: &mut Input<'_>) {
        // Each poll tells, writes or ends something that came in before.
        for _ in 0..2_000 {
            let now = Instant::from_millis(self.now);
            let mut twin = self.session.clone();
            let mut twin_inbox = self.inbox.clone();
            let step = twin.poll(&mut twin_inbox, now);
            let waits = matches!(step, Step::Wait(_));
            let expected = format!("{step:?}");
            drop(step);
            assert!(!waits || !twin_inbox.space().is_empty(), "nothing could come in");
            let step = self.session.poll(&mut self.inbox, now);
            assert_eq!(format!("{step:?}"), expected, "a clone goes another way");
            let goes_on = match step {
                Step::Event(event) => {
                    let handle = self.session.told(&event, input);
                    self.handles.extend(handle);
                    true
                }
                Step::Transmit(bytes) => {
                    assert!(!bytes.is_empty());
                    let len = if input.flag() { bytes.len() } else { usize::from(input.byte()) };
                    self.session.transmitted(len);
                    len != 0
                }
                Step::Wait(_) | Step::Close(_) => false,
            };
            if !goes_on {
                return;
            }
        }
        panic!("there is no end to it");
    }
}

impl Either for Session<STORE, OUTBOUND, INBOUND, 120> {
    type Event<'i> = Event<'i>;

    fn command(&mut self, inbox: &mut Inbox<[u8; 128]>, input: &mut Input<'_>, handles: &[Handle]) {
        let before = self.clone();
        let refused = match input.below(10) {
            0 => {
                let aliases = TopicAliases { maximum: input.below(3).into(), topic: input.below(9).into() };
                inbox.set_topic_aliases(aliases);
                connect(self, inbox, input).err()
            }
            1..=3 => {
                let expiry = [Property::MessageExpiryInterval(input.byte().into())];
                let publish = Publish {
                    qos: input.qos(),
                    retain: input.flag(),
                    properties: if input.flag() { Properties::of(&expiry) } else { Properties::EMPTY },
                    topic_alias: NonZeroU16::new(input.below(4).into()),
                    offline: offline(input),
                    ..Publish::new(input.topic(), input.bytes(60))
                };
                if input.flag() {
                    self.publish_from(&publish, &source(input)).err()
                } else {
                    self.publish(&publish).err()
                }
            }
            4 => {
                let subscriptions = [Subscription::new(input.topic(), input.qos())];
                self.subscribe(&Subscribe::new(&subscriptions)).err()
            }
            5 => self.unsubscribe(&Unsubscribe::new(&[input.topic()])).err(),
            6 => self.disconnect(&disconnect(input)).err(),
            7 => {
                self.connection_lost();
                None
            }
            8 => {
                let packet_id = PacketId::new(input.below(9).into()).unwrap_or(PacketId::MIN);
                match input.below(5) {
                    0 => self.ping().err(),
                    3.. => go_on!(self, input),
                    1 => {
                        self.give_up(packet_id);
                        None
                    }
                    _ => {
                        self.cancel(packet_id);
                        None
                    }
                }
            }
            _ => {
                let handle = handles.get(usize::from(input.byte()) % handles.len().max(1));
                handle.and_then(|&handle| {
                    if input.flag() {
                        let why = [Property::ReasonString(input.topic())];
                        return self.acknowledge_with(handle, input.code(), Properties::of(&why)).err();
                    }
                    self.acknowledge(handle, input.code()).err()
                })
            }
        };
        assert!(refused.is_none() || *self == before, "{refused:?}, and something has changed");
    }

    fn poll<'i>(&mut self, inbox: &'i mut Inbox, now: Instant) -> Step<'_, Event<'i>> {
        self.poll(inbox, now)
    }

    fn told(&mut self, event: &Event<'_>, input: &mut Input<'_>) -> Option<Handle> {
        match event {
            Event::Message(message) => message.handle,
            Event::MessagePart(part) => part.handle,
            Event::Authenticating(_) => {
                let method = [Property::AuthenticationMethod("m")];
                let auth = Auth { reason_code: input.code(), properties: Properties::of(&method) };
                let _ = self.authenticate(&auth);
                None
            }
            _ => None,
        }
    }

    fn transmitted(&mut self, len: usize) {
        self.transmitted(len);
    }

    fn pending(&self) -> u16 {
        self.pending()
    }
}

fn connect(
    session: &mut Session<STORE, OUTBOUND, INBOUND, 120>,
    inbox: &mut Inbox<[u8; 128]>,
    input: &mut Input<'_>,
) -> Result<(), mqtt_session::CommandError> {
    let properties = [Property::SessionExpiryInterval(input.byte().into()), Property::AuthenticationMethod("m")];
    let version = input.version();
    let most = if version == Version::V5 { usize::from(input.below(3)) } else { 0 };
    let connect = Connect {
        clean_start: input.flag(),
        keep_alive: input.byte().into(),
        will: input.flag().then(|| Will { topic: "will", qos: input.qos(), ..Will::default() }),
        properties: Properties::of(&properties[..most]),
        acknowledgement: if input.flag() { Acknowledge::Manually } else { Acknowledge::AfterHandling },
        lost_session: match input.below(3) {
            0 => LostSession::Standard,
            1 => LostSession::Report,
            _ => LostSession::Republish,
        },
        offline: if input.flag() { Offline::Acknowledged } else { Offline::Everything },
        oversized: oversized(input),
        maximum_packet_size: maximum_packet_size(input),
        receive_maximum: input.below(4).into(),
        topic_aliases: TopicAliases { maximum: input.below(3).into(), topic: input.below(9).into() },
        retry_interval: Duration::from_secs(input.below(3).into()),
        response_timeout: Duration::from_secs(input.byte().into()),
        disconnect_timeout: Duration::from_secs(input.byte().into()),
        ..Connect::new(version, if input.flag() { "" } else { "c" })
    };
    session.connect(inbox, &connect)
}

fn oversized(input: &mut Input<'_>) -> Oversized {
    match input.below(3) {
        0 => Oversized::Disconnect,
        1 => Oversized::Skipped,
        _ => Oversized::InPieces,
    }
}

fn maximum_packet_size(input: &mut Input<'_>) -> MaximumPacketSize {
    match input.below(3) {
        0 => MaximumPacketSize::Inbox,
        1 => MaximumPacketSize::Bytes(u32::from(input.byte()) * 2),
        _ => MaximumPacketSize::Absent,
    }
}

/// A payload that stays with the application.
fn source(input: &mut Input<'_>) -> Source {
    Source { id: input.byte().into(), len: u32::from(input.byte()) * 2, piece: input.byte().into() }
}

/// How long a message waits.
fn offline(input: &mut Input<'_>) -> Option<Offline> {
    [None, Some(Offline::Everything), Some(Offline::Acknowledged), Some(Offline::Nothing)]
        .get(usize::from(input.below(4)))
        .copied()
        .flatten()
}

fn disconnect(input: &mut Input<'_>) -> Disconnect<'static> {
    let timeout = Some(Duration::from_secs(input.byte().into()));
    let when = if input.flag() { DisconnectWhen::Completed { timeout } } else { DisconnectWhen::Sent };
    Disconnect { reason_code: input.code(), when, ..Disconnect::default() }
}

impl Either for server::Session<STORE, OUTBOUND, INBOUND, 120> {
    type Event<'i> = server::Event<'i>;

    fn command(&mut self, inbox: &mut Inbox<[u8; 128]>, input: &mut Input<'_>, handles: &[Handle]) {
        let before = self.clone();
        let refused = match input.below(8) {
            0 => {
                inbox.set_topic_aliases(TopicAliases { maximum: input.below(3).into(), topic: input.below(9).into() });
                self.open(Duration::from_secs(input.byte().into()));
                None
            }
            1..=3 => {
                let topic_alias = NonZeroU16::new(input.below(4).into());
                let (qos, offline) = (input.qos(), offline(input));
                let publish = Publish { qos, topic_alias, offline, ..Publish::new(input.topic(), input.bytes(60)) };
                if input.flag() {
                    self.publish_from(&publish, &source(input)).err()
                } else {
                    self.publish(&publish).err()
                }
            }
            4 => self.disconnect(&disconnect(input)).err(),
            5 => {
                self.connection_lost();
                None
            }
            6 => {
                let packet_id = PacketId::new(input.below(9).into()).unwrap_or(PacketId::MIN);
                match input.below(4) {
                    0 => {
                        self.give_up(packet_id);
                        None
                    }
                    1 => {
                        self.cancel(packet_id);
                        None
                    }
                    _ => go_on!(self, input),
                }
            }
            _ => {
                let handle = handles.get(usize::from(input.byte()) % handles.len().max(1));
                handle.and_then(|&handle| {
                    if input.flag() {
                        let why = [Property::ReasonString(input.topic())];
                        return self.acknowledge_with(handle, input.code(), Properties::of(&why)).err();
                    }
                    self.acknowledge(handle, input.code()).err()
                })
            }
        };
        assert!(refused.is_none() || *self == before, "{refused:?}, and something has changed");
    }

    fn poll<'i>(&mut self, inbox: &'i mut Inbox, now: Instant) -> Step<'_, server::Event<'i>> {
        self.poll(inbox, now)
    }

    fn told(&mut self, event: &server::Event<'_>, input: &mut Input<'_>) -> Option<Handle> {
        let properties = [
            Property::MaximumQos(input.qos()),
            Property::RetainAvailable(input.flag()),
            Property::AssignedClientIdentifier("assigned"),
        ];
        let most = usize::from(input.below(4));
        match event {
            server::Event::Connecting { .. } | server::Event::Authenticating(_) => {
                let method = [Property::AuthenticationMethod("m")];
                let auth = Auth { reason_code: input.code(), properties: Properties::of(&method) };
                let accept = Accept {
                    properties: Properties::of(&properties[..most]),
                    acknowledgement: if input.flag() { Acknowledge::Manually } else { Acknowledge::AfterHandling },
                    topic_aliases: TopicAliases { maximum: input.below(3).into(), topic: 4 },
                    oversized: oversized(input),
                    maximum_packet_size: maximum_packet_size(input),
                    ..Accept::default()
                };
                let _ = match input.below(4) {
                    0 => self.reject(input.code(), Properties::EMPTY),
                    1 => self.authenticate(&auth),
                    _ => self.accept(&accept),
                };
                None
            }
            server::Event::Message(message) => message.handle,
            server::Event::MessagePart(part) => part.handle,
            server::Event::Subscribing { packet_id, subscriptions, .. } => {
                let codes: Vec<_> = subscriptions.iter().map(|_| input.code()).collect();
                let suback = Suback { packet_id: *packet_id, reason_codes: List::of(&codes), properties: List::EMPTY };
                let _ = self.suback(&suback);
                None
            }
            server::Event::Unsubscribing { packet_id, filters, .. } => {
                let codes: Vec<_> = filters.iter().map(|_| input.code()).collect();
                let unsuback =
                    Unsuback { packet_id: *packet_id, reason_codes: List::of(&codes), properties: List::EMPTY };
                let _ = self.unsuback(&unsuback);
                None
            }
            _ => None,
        }
    }

    fn transmitted(&mut self, len: usize) {
        self.transmitted(len);
    }

    fn pending(&self) -> u16 {
        self.pending()
    }
}
