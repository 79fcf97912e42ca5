//! The vector rows for a server that need the state of a session, and the client's traces in the mirror: what the client
//! writes there is received here, and what it receives there must be written here.

use std::collections::{BTreeMap, VecDeque};
use std::env;

use mqtt_session::server::{Accept, Event, Session};
use mqtt_session::wire::{AckType, Acknowledgement, Delivery, Packet, Properties, Suback, Unsuback};
use mqtt_session::{
    Acknowledge, CloseReason, Handle, Inbox, Instant, PacketId, Property, Publish, ReasonCode, Role, Step,
    TopicAliases, Version,
};
use serde_json::Value;

use super::packets::to_hex;
use crate::support::{from_hex, report, rows};

/// Traces without a mirror image, and why.
const NO_MIRROR: &[(&str, &str)] = &[
    ("v4_qos1", "the server answers out of order, which ours never does"),
    ("v5_qos1", "the server answers out of order, which ours never does"),
    ("v4_no_retransmission_by_time", "the server answers out of order, which ours never does"),
    ("v5_no_retransmission_by_time", "the server answers out of order, which ours never does"),
    ("v4_resume", "the server answers out of order, which ours never does"),
    ("v5_resume", "the server answers out of order, which ours never does"),
    ("v4_resume_twice", "the server answers out of order, which ours never does"),
    ("v5_resume_twice", "the server answers out of order, which ours never does"),
    ("v4_session_present_0_with_state", "the server answers out of order, which ours never does"),
    ("v5_session_present_0_with_state", "the server answers out of order, which ours never does"),
    ("v4_second_connack", "the server breaks a rule, which ours never does"),
    ("v5_second_connack", "the server breaks a rule, which ours never does"),
    ("v4_pubcomp_before_pubrec", "the server breaks a rule, which ours never does"),
    ("v5_pubcomp_before_pubrec", "the server breaks a rule, which ours never does"),
    ("v4_suback_wrong_count", "the server breaks a rule, which ours never does"),
    ("v5_suback_wrong_count", "the server breaks a rule, which ours never does"),
    ("v4_malformed_input", "the server breaks a rule, which ours never does"),
    ("v5_malformed_input", "the server breaks a rule, which ours never does"),
    ("v5_pubrec_error_after_success", "the server breaks a rule, which ours never does"),
    ("v5_qos1_with_id_of_open_qos2", "the server breaks a rule, which ours never does"),
    ("v5_packet_too_large_received", "the server breaks a rule, which ours never does"),
    ("v5_alias_in_above_maximum", "the server breaks a rule, which ours never does"),
    ("v5_alias_in_not_offered", "the server breaks a rule, which ours never does"),
    ("v5_alias_in_forgotten_on_reconnect", "the server breaks a rule, which ours never does"),
    ("v5_problem_information_not_requested", "the server breaks a rule, which ours never does"),
    ("v5_auth_outside_reauthentication", "the server breaks a rule, which ours never does"),
    ("v4_unknown_pubrel", "the server answers what nobody asked"),
    ("v5_unknown_pubrel", "the server answers what nobody asked"),
    ("v4_unknown_puback_and_pubcomp", "the server answers what nobody asked"),
    ("v5_unknown_puback_and_pubcomp", "the server answers what nobody asked"),
    ("v5_unknown_pubrec_with_error", "the server answers what nobody asked"),
    ("v4_qos2_repeated_pubrec", "the server repeats what it need not repeat"),
    ("v5_qos2_repeated_pubrec", "the server repeats what it need not repeat"),
    ("v5_alias_set_by_a_repeated_qos2", "the server repeats what it need not repeat"),
    ("v4_in_qos2_across_reconnect", "what the client wrote last did not arrive"),
    ("v5_in_qos2_across_reconnect", "what the client wrote last did not arrive"),
    ("v4_in_qos2_pubcomp_lost", "what the client wrote last did not arrive"),
    ("v5_in_qos2_pubcomp_lost", "what the client wrote last did not arrive"),
    ("v4_disconnect", "bytes come after the end"),
    ("v5_disconnect", "bytes come after the end"),
    ("v5_in_qos2_refused_then_new", "an identifier is used again at once, which ours never is"),
];

/// The client's end in the mirror.
struct Mirror {
    version: Version,
    session: Box<Session<8192, 64, 64, 512>>,
    inbox: Box<Inbox<[u8; 4096]>>,
    now: u64,
    /// What was written, packet by packet.
    out: VecDeque<Vec<u8>>,
    handles: BTreeMap<u16, Handle>,
    /// The identifiers of the trace for messages of the server, and ours.
    ids: BTreeMap<u16, u16>,
    /// The topics that aliases stand for in the trace.
    topics: BTreeMap<u16, String>,
    aliases: u16,
    awaits_accept: bool,
    pending: Option<u16>,
    closed: Option<CloseReason>,
}

type Result<T> = core::result::Result<T, String>;

impl Mirror {
    fn new(version: Version) -> Self {
        Self {
            version,
            session: Box::default(),
            inbox: Box::new(Inbox::new()),
            now: 1_000,
            out: VecDeque::new(),
            handles: BTreeMap::new(),
            ids: BTreeMap::new(),
            topics: BTreeMap::new(),
            aliases: 0,
            awaits_accept: false,
            pending: None,
            closed: None,
        }
    }

    fn open(&mut self, inbox_aliases: u16) {
        self.inbox
            .set_topic_aliases(TopicAliases { maximum: inbox_aliases, topic: if inbox_aliases == 0 { 0 } else { 16 } });
        self.session.open(core::time::Duration::from_secs(10));
        self.out.clear();
        self.topics.clear();
        self.closed = None;
    }

    fn pump(&mut self) -> Result<()> {
        let mut written = Vec::new();
        for _ in 0..1_000 {
            match self.session.poll(&mut *self.inbox, Instant::from_millis(self.now)) {
                Step::Event(Event::Connecting { connect, .. }) => {
                    self.aliases = connect.properties.topic_alias_maximum().unwrap_or(0);
                    self.awaits_accept = true;
                    break;
                }
                Step::Event(Event::Message(message)) => {
                    if let (Some(id), Some(handle)) = (message.delivery.packet_id(), message.handle) {
                        self.handles.insert(id.get(), handle);
                    }
                }
                Step::Event(Event::Subscribing { packet_id, .. } | Event::Unsubscribing { packet_id, .. }) => {
                    self.pending = Some(packet_id.get());
                    break;
                }
                Step::Event(_) => {}
                Step::Transmit(bytes) => {
                    let len = bytes.len();
                    written.extend_from_slice(bytes);
                    self.session.transmitted(len);
                }
                Step::Wait(_) => break,
                Step::Close(cause) => {
                    self.closed = Some(cause);
                    break;
                }
            }
        }
        let mut rest = &written[..];
        while let Ok(Some((_, len))) = Packet::decode(self.version, Role::Client, rest) {
            self.out.push_back(rest[..len].to_vec());
            rest = &rest[len..];
        }
        rest.is_empty().then_some(()).ok_or_else(|| format!("{} was written", to_hex(rest)))
    }

    /// What the client writes.
    fn receive(&mut self, mut bytes: Vec<u8>) -> Result<()> {
        if self.closed.is_some() {
            return Err(format!("closed: {:?}", self.closed));
        }
        if let (4 | 5 | 7, Some(ours)) = (bytes[0] >> 4, bytes.get(3).and_then(|_| self.ids.get(&id_at(&bytes, 2)))) {
            bytes[2..4].copy_from_slice(&ours.to_be_bytes());
        }
        let space = self.inbox.space();
        space[..bytes.len()].copy_from_slice(&bytes);
        self.inbox.filled(bytes.len());
        self.pump()
    }

    /// What the server must write, once its application has said what is the application's to say.
    fn expect(&mut self, bytes: &[u8]) -> Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let decoded = Packet::decode(self.version, Role::Client, rest);
            let Ok(Some((packet, len))) = decoded else { return Err(format!("{}: {decoded:?}", to_hex(rest))) };
            self.act(&packet)?;
            self.pump()?;
            let found = self.out.pop_front().ok_or_else(|| format!("{}: nothing was written", to_hex(&rest[..len])))?;
            if !self.is_same(&packet, &rest[..len], &found) {
                return Err(format!("{} expected, not {}", to_hex(&rest[..len]), to_hex(&found)));
            }
            rest = &rest[len..];
        }
        Ok(())
    }

    fn act(&mut self, packet: &Packet<'_>) -> Result<()> {
        let refused = |refused: mqtt_session::CommandError| refused.to_string();
        match packet {
            Packet::Connack(connack) if core::mem::take(&mut self.awaits_accept) => {
                let properties: Vec<_> = connack.properties.iter().filter(|it| !is_announced(it)).collect();
                let topic_aliases =
                    TopicAliases { maximum: self.aliases, topic: if self.aliases == 0 { 0 } else { 16 } };
                let accept = Accept {
                    properties: Properties::of(&properties),
                    acknowledgement: Acknowledge::Manually,
                    topic_aliases,
                    ..Accept::default()
                };
                self.session.accept(&accept).map_err(refused)
            }
            Packet::Connack(_) => Err("a server's end writes one CONNACK".to_owned()),
            Packet::Publish(publish) if !publish.delivery.dup() => {
                let alias = publish.properties.topic_alias();
                if let Some(alias) = alias.filter(|_| !publish.topic.is_empty()) {
                    self.topics.insert(alias, publish.topic.to_owned());
                }
                let known = alias.and_then(|alias| self.topics.get(&alias));
                let topic = if publish.topic.is_empty() { known.map_or("", String::as_str) } else { publish.topic };
                let properties: Vec<_> =
                    publish.properties.iter().filter(|it| !matches!(it, Property::TopicAlias(_))).collect();
                let ours = self.session.publish(&Publish {
                    topic,
                    payload: publish.payload,
                    qos: publish.delivery.qos(),
                    retain: publish.retain,
                    properties: Properties::of(&properties),
                    topic_alias: alias.and_then(core::num::NonZeroU16::new),
                    offline: None,
                });
                if let (Some(theirs), Some(ours)) = (publish.delivery.packet_id(), ours.map_err(refused)?) {
                    self.ids.insert(theirs.get(), ours.get());
                }
                Ok(())
            }
            Packet::Acknowledgement(ack) if is_first_answer(ack) => {
                // Already given, or a repeat that the session answers by itself.
                match self.handles.remove(&ack.packet_id.get()) {
                    Some(handle) => self.session.acknowledge(handle, ack.reason_code).map_err(refused),
                    None => Ok(()),
                }
            }
            Packet::Suback(suback) if self.pending.take().is_some() => {
                self.session.suback(&Suback { ..*suback }).map_err(refused)
            }
            Packet::Unsuback(unsuback) if self.pending.take().is_some() => {
                self.session.unsuback(&Unsuback { ..*unsuback }).map_err(refused)
            }
            _ => Ok(()),
        }
    }

    /// But for what CONNACK announces by itself, and our identifiers.
    fn is_same(&self, expected: &Packet<'_>, bytes: &[u8], found: &[u8]) -> bool {
        match (expected, Packet::decode(self.version, Role::Client, found)) {
            (Packet::Connack(expected), Ok(Some((Packet::Connack(found), _)))) => {
                let said = |properties: &Properties<'_>| {
                    properties.iter().filter(|it| !is_announced(it)).map(|it| format!("{it:?}")).collect::<Vec<_>>()
                };
                expected.session_present == found.session_present
                    && expected.reason_code == found.reason_code
                    && said(&expected.properties) == said(&found.properties)
            }
            (Packet::Publish(publish), Ok(Some((Packet::Publish(ours), _))))
                if publish.delivery.packet_id().is_some() =>
            {
                let id = |delivery: Delivery| delivery.packet_id().map_or(0, PacketId::get);
                let mut bytes = bytes.to_vec();
                let at = 4 + publish.topic.len();
                bytes[at..at + 2].copy_from_slice(&id(ours.delivery).to_be_bytes());
                self.ids.get(&id(publish.delivery)) == Some(&id(ours.delivery)) && bytes == found
            }
            (Packet::Acknowledgement(ack), _) if ack.kind == AckType::Pubrel => {
                let mut bytes = bytes.to_vec();
                let ours = self.ids.get(&ack.packet_id.get()).copied().unwrap_or(0);
                bytes[2..4].copy_from_slice(&ours.to_be_bytes());
                bytes == found
            }
            _ => bytes == found,
        }
    }
}

fn is_first_answer(ack: &Acknowledgement<'_>) -> bool {
    matches!(ack.kind, AckType::Puback | AckType::Pubrec)
}

fn is_announced(property: &Property<'_>) -> bool {
    matches!(property, Property::ReceiveMaximum(_) | Property::MaximumPacketSize(_) | Property::TopicAliasMaximum(_))
}

fn id_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn version(row: &Value) -> Version {
    Version::of_level(u8::try_from(row["version"].as_u64().unwrap()).unwrap()).unwrap()
}

/// The aliases that the next CONNACK of a trace allows.
fn aliases_allowed(version: Version, steps: &[Value]) -> u16 {
    let connack = steps.iter().filter(|step| step[0] == "in").find_map(|step| {
        let bytes = from_hex(step[1].as_str().unwrap()).unwrap();
        match Packet::decode(version, Role::Client, &bytes) {
            Ok(Some((Packet::Connack(connack), _))) => connack.properties.topic_alias_maximum(),
            _ => None,
        }
    });
    connack.unwrap_or(0)
}

fn play(scenario: &Value) -> Result<()> {
    let mut mirror = Mirror::new(version(scenario));
    let steps = scenario["steps"].as_array().unwrap();
    let mut ends_with_bytes_of_the_client = false;
    for (number, step) in steps.iter().enumerate() {
        let hex = || from_hex(step[1].as_str().unwrap()).unwrap();
        let done = match step[0].as_str().unwrap() {
            "in" => {
                ends_with_bytes_of_the_client = false;
                mirror.expect(&hex())
            }
            "out" => {
                ends_with_bytes_of_the_client = true;
                let bytes = hex();
                if bytes[0] == 0x10 {
                    mirror.open(aliases_allowed(mirror.version, &steps[number..]));
                }
                mirror.receive(bytes)
            }
            "transport_closed" if mirror.closed.is_none() => {
                mirror.session.connection_lost();
                mirror.handles.clear();
                mirror.pump()
            }
            "time" => {
                mirror.now += step[1].as_u64().unwrap();
                mirror.pump()
            }
            "closed" => mirror.closed.map(drop).ok_or_else(|| "not closed".to_owned()),
            _ => Ok(()),
        };
        done.map_err(|fault| format!("step {number}, {step}: {fault}"))?;
    }
    if ends_with_bytes_of_the_client || mirror.out.is_empty() {
        Ok(())
    } else {
        Err(format!("{:?} was written besides", mirror.out.iter().map(|it| to_hex(it)).collect::<Vec<_>>()))
    }
}

#[test]
fn every_scenario_has_its_mirror_image() {
    let scenarios = rows("session_scenarios.json");
    let mut faults = Vec::new();
    for scenario in &scenarios {
        let name = scenario["name"].as_str().unwrap();
        let listed = NO_MIRROR.iter().any(|(listed, _)| *listed == name);
        match (play(scenario), listed) {
            (Ok(()), true) => faults.push(format!("{name} has a mirror image")),
            (Err(fault), false) => faults.push(format!("{name}: {fault}")),
            _ => {}
        }
    }
    if env::var_os("MQTT_VECTORS").is_none() {
        for (name, _) in NO_MIRROR {
            if !scenarios.iter().any(|scenario| scenario["name"] == *name) {
                faults.push(format!("{name} is no scenario"));
            }
        }
        report(&faults);
    }
}

/// What a server's end makes of a row.
fn outcome(row: &Value) -> (&'static str, Vec<u8>) {
    let version = version(row);
    let context = &row["ctx"];
    let mut inbox = Inbox::over(vec![0; 65_536]);
    if let Some(size) = context["maximum_packet_size"].as_u64() {
        inbox = Inbox::over(vec![0; usize::try_from(size).unwrap()]);
    }
    if let Some(maximum) = context["topic_alias_maximum"].as_u64() {
        inbox.set_topic_aliases(TopicAliases { maximum: u16::try_from(maximum).unwrap(), topic: 32 });
    }
    let mut sized: Box<Inbox<[u8; 65_536]>> = Box::new(Inbox::new());
    sized.set_topic_aliases(inbox.topic_aliases());
    let mut small: Box<Inbox<[u8; 130]>> = Box::new(Inbox::new());
    let inbox: &mut Inbox = if inbox.capacity() == 130 { &mut *small } else { &mut *sized };
    let mut session: Session<1024, 8, 8> = Session::new();
    session.open(core::time::Duration::from_secs(10));
    let mut fed = Vec::new();
    if context["connected"] != false {
        fed.extend(super::packets::Bytes::bytes(&super::trace::PASSING, version));
    }
    let mut written = Vec::new();
    let mut row_bytes = Some(from_hex(row["hex"].as_str().unwrap()).unwrap());
    loop {
        let len = inbox.space().len().min(fed.len());
        inbox.space()[..len].copy_from_slice(&fed[..len]);
        inbox.filled(len);
        fed.drain(..len);
        let mut wrote = 0;
        match session.poll(inbox, Instant::from_millis(0)) {
            Step::Event(Event::Connecting { .. }) => session.accept(&Accept::default()).unwrap(),
            Step::Event(_) => {}
            Step::Transmit(bytes) => {
                written.extend_from_slice(bytes);
                wrote = bytes.len();
            }
            Step::Wait(_) => match row_bytes.take() {
                Some(bytes) => {
                    fed = bytes;
                    written.clear();
                }
                None if fed.is_empty() => {
                    return (if inbox.unread().is_empty() { "ok" } else { "incomplete" }, written);
                }
                None => {}
            },
            Step::Close(cause) => {
                let outcome = match cause {
                    CloseReason::ConnectMissing | CloseReason::ConnectRepeated => "protocol-error",
                    cause => match cause.reason_code() {
                        Some(ReasonCode::MalformedPacket) => "malformed",
                        Some(ReasonCode::PacketTooLarge) => "packet-too-large",
                        Some(ReasonCode::TopicAliasInvalid) => "topic-alias-invalid",
                        Some(ReasonCode::ReceiveMaximumExceeded) => "receive-maximum-exceeded",
                        _ => "protocol-error",
                    },
                };
                return (outcome, written);
            }
        }
        session.transmitted(wrote);
    }
}

#[test]
fn every_row_of_the_session_layer_has_its_outcome() {
    let rows = rows("decode_vectors.json");
    let rows: Vec<_> = rows.into_iter().filter(|row| row["layer"] == "session" && row["role"] == "server").collect();
    assert!(!rows.is_empty());
    let mut faults = Vec::new();
    for row in &rows {
        let (found, written) = outcome(row);
        // Before CONNECT nothing is said. [MQTT-3.1.0-1]
        let code = row["reason"].as_str().unwrap().strip_prefix("0x").filter(|_| row["ctx"]["connected"] != false);
        let farewell = code.map_or(Vec::new(), |code| vec![0xE0, 1, u8::from_str_radix(code, 16).unwrap()]);
        let also = row["also"].as_array().is_some_and(|also| also.iter().any(|it| it == found));
        if (row["expect"] != found && !also) || (row["expect"] != "ok" && written != farewell) {
            faults.push(format!("{}: {found}, {}", row["name"], to_hex(&written)));
        }
    }
    report(&faults);
}
