//! Traces of the client's end, and the vector rows that need the state of a session, run against real sessions.
//!
//! Where a trace makes a choice that is no rule of the standards and ours is another, the trace is adapted, in
//! [`adaptation`] and nowhere else.
#![cfg(all(feature = "v311", feature = "v5"))]
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a fault here is a failed test")]

use core::num::NonZeroU16;
use std::collections::{BTreeMap, VecDeque};

use crate::support::{self, encode, from_hex, report, rows, to_hex};
use mqtt_session::wire::{Auth, Connack, Delivery, Packet, Properties};
use mqtt_session::{
    Acknowledge, CloseReason, Connect, Disconnect, Event, Handle, Inbox, Instant, Outcome, Property, Publish, QoS,
    ReasonCode, Role, Session, Step, Subscribe, Subscription, TopicAliases, Unsubscribe, Version,
};
use serde_json::{Value, json};

type Result<T> = core::result::Result<T, String>;

/// How many places for received messages a session has where nothing else is asked for.
const PLACES: u64 = 64;

/// The capacity of an inbox where nothing else is asked for.
const CAPACITY: u64 = 65_536;

/// How long the topics of aliases may be, and how many aliases of ours there may be.
const ALIASED_TOPIC: u16 = 32;
const ALIASES: u16 = 10;

#[test]
fn every_scenario_is_followed() {
    report(&faults(&rows("session_scenarios.json"), play_scenario));
}

#[test]
fn every_row_of_the_session_layer_has_its_outcome() {
    let mut rows = rows("decode_vectors.json");
    rows.retain(|row| row["layer"] == "session" && row["role"] == "client");
    assert!(!rows.is_empty());
    report(&faults(&rows, check_row));
}

/// What is wrong with each of the rows.
fn faults(rows: &[Value], check: impl Fn(&Value) -> Result<()>) -> Vec<String> {
    rows.iter().filter_map(|row| check(row).err().map(|fault| format!("{}: {fault}", row["name"]))).collect()
}

/// How a trace is read where our choices are not its own. None of them is a rule of the standards.
///
/// * Identifiers: those of a trace stand for ours, as learnt from the packets that bring them in.
/// * CONNECT: the order of properties is free, and Receive Maximum and Maximum Packet Size are announced in any case.
/// * "lost" comes behind "connected", and in any order.
/// * A publish that may not leave yet is queued, not refused. To keep the trace as it is, it is taken back at once, or,
///   where that is not possible (QoS 0), not counted when it leaves.
/// * PINGREQ leaves a little before the last moment.
mod adaptation {
    use super::*;

    /// The steps with their numbers: each "connected" in front of the "lost" before it.
    pub(super) fn order(steps: &[Value]) -> Vec<(usize, &Value)> {
        let mut ordered: Vec<(usize, &Value)> = Vec::new();
        for step in steps.iter().enumerate() {
            let lost = ordered.iter().rev().take_while(|(_, step)| is_event(step, "lost")).count();
            let at = if is_event(step.1, "connected") { ordered.len() - lost } else { ordered.len() };
            ordered.insert(at, step);
        }
        ordered
    }

    fn is_event(step: &Value, name: &str) -> bool {
        step[0] == "event" && step[1] == name
    }

    /// Where the event that a trace expects is among ours: in front, or, if it is a loss, anywhere among the losses there.
    pub(super) fn place(events: &VecDeque<Told>, is_expected: impl Fn(&Told) -> bool) -> Option<usize> {
        let losses = events.iter().take_while(|told| told.names.contains(&"lost")).count();
        events.iter().take(losses.max(1)).position(is_expected)
    }

    /// Identifiers of requests and publishes in a trace, and ours.
    #[derive(Default)]
    pub(super) struct Identifiers(BTreeMap<u16, u16>);

    impl Identifiers {
        pub(super) fn ours(&self, theirs: u16) -> u16 {
            self.0.get(&theirs).copied().unwrap_or(theirs)
        }

        /// Packets of a trace with our identifiers in them.
        pub(super) fn translate(&self, packets: &mut [u8], offset: fn(&[u8]) -> Option<usize>) {
            let mut start = 0;
            while let Some(len) = len_of_first(&packets[start..]).filter(|len| start + len <= packets.len()) {
                if let Some(at) = offset(&packets[start..start + len]).map(|offset| start + offset) {
                    let theirs = u16::from_be_bytes([packets[at], packets[at + 1]]);
                    packets[at..at + 2].copy_from_slice(&self.ours(theirs).to_be_bytes());
                }
                start += len;
            }
        }

        /// Learns an identifier from a packet that brings it in, if this is one.
        pub(super) fn learn(&mut self, theirs: &[u8], ours: &[u8]) {
            let brings_in = |packet: &[u8]| matches!(packet[0], 0x32..=0x35 | 0x82 | 0xA2);
            let identifier = |packet: &[u8]| {
                let at = sent_identifier(packet).filter(|_| brings_in(packet))?;
                Some(u16::from_be_bytes([packet[at], packet[at + 1]]))
            };
            if let (Some(theirs), Some(ours)) = (identifier(theirs), identifier(ours)) {
                self.0.insert(theirs, ours);
            }
        }
    }

    /// Where one of our own identifiers lies in a packet that we send.
    pub(super) fn sent_identifier(packet: &[u8]) -> Option<usize> {
        match packet[0] >> 4 {
            3 if packet[0] & 0b0110 != 0 => {
                let topic = body(packet);
                Some(topic + 2 + usize::from(u16::from_be_bytes([packet[topic], packet[topic + 1]])))
            }
            6 | 8 | 10 => Some(body(packet)),
            _ => None,
        }
        .filter(|at| at + 2 <= packet.len())
    }

    /// Where one of our own identifiers lies in a packet that we receive.
    pub(super) fn received_identifier(packet: &[u8]) -> Option<usize> {
        matches!(packet[0] >> 4, 4 | 5 | 7 | 9 | 11).then(|| body(packet)).filter(|at| at + 2 <= packet.len())
    }

    /// The length that the first of some packets announces.
    pub(super) fn len_of_first(packets: &[u8]) -> Option<usize> {
        let digits = packets.get(1..body(packets))?;
        Some(1 + digits.len() + digits.iter().rev().fold(0, |len, digit| len << 7 | usize::from(digit & 0x7F)))
    }

    /// Where the body of a packet begins.
    fn body(packet: &[u8]) -> usize {
        2 + packet.iter().skip(1).take_while(|byte| **byte >= 0x80).count()
    }

    /// Whether our CONNECT says what that of the trace says.
    pub(super) fn same_connect(version: Version, theirs: &[u8], ours: &[u8]) -> bool {
        let (Some(theirs), Some(mut ours)) = (described(version, theirs), described(version, ours)) else {
            return false;
        };
        let names: Vec<_> = theirs["properties"].as_array().into_iter().flatten().map(|it| it[0].clone()).collect();
        if let Some(properties) = ours["properties"].as_array_mut() {
            properties.retain(|it| {
                let announced = it[0] == "receive_maximum" || it[0] == "maximum_packet_size";
                !announced || names.contains(&it[0])
            });
        }
        sorted(theirs) == sorted(ours)
    }

    fn described(version: Version, bytes: &[u8]) -> Option<Value> {
        match Packet::decode(version, Role::Server, bytes) {
            Ok(Some((packet @ Packet::Connect(_), _))) => Some(support::neutral::describe(version, &packet)),
            _ => None,
        }
    }

    fn sorted(mut connect: Value) -> Value {
        if let Some(properties) = connect["properties"].as_array_mut() {
            properties.sort_unstable_by_key(ToString::to_string);
        }
        support::normal(&connect)
    }
}

/// An event as a trace tells it: by one of these names, with these fields.
#[derive(Debug)]
struct Told {
    names: &'static [&'static str],
    fields: Value,
}

/// A session that follows a trace.
struct Player<const INBOUND: usize> {
    version: Version,
    acknowledgement: Acknowledge,
    session: Box<Session<8192, 64, INBOUND, 1024>>,
    inbox: Box<Inbox>,
    now: u64,
    deadline: Option<u64>,
    events: VecDeque<Told>,
    out: VecDeque<Vec<u8>>,
    /// Since when nothing was written.
    silent: u64,
    online: bool,
    closed: Option<CloseReason>,
    /// Milliseconds.
    keep_alive: u64,
    receive_maximum: u16,
    method: Option<String>,
    handles: BTreeMap<u16, Handle>,
    levels: BTreeMap<u16, QoS>,
    ids: adaptation::Identifiers,
    /// Messages of QoS 0 that a trace takes for refused.
    uncounted: VecDeque<Vec<u8>>,
}

/// Calls a function with a constant argument that is known at run time only.
macro_rules! with_constant {
    ($value:expr, [$($constant:literal),+ $(,)?], $function:ident $arguments:tt) => {
        match $value {
            $( $constant => Ok($function::<$constant> $arguments), )+
            other => Err(format!("{other} is not among the sizes of this test")),
        }
    };
}

fn empty_inbox<const N: usize>() -> Box<Inbox> {
    Box::new(Inbox::<[u8; N]>::new())
}

fn inbox(capacity: u64) -> Result<Box<Inbox>> {
    with_constant!(
        capacity,
        [
            4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 24, 25, 30, 32, 40, 48, 50, 60, 64, 80, 96,
            100, 120, 127, 128, 129, 130, 131, 132, 150, 200, 250, 255, 256, 300, 500, 512, 1000, 1024, 2000, 2048,
            4096, 10_000, 65_535, 65_536
        ],
        empty_inbox()
    )
}

fn play_scenario(scenario: &Value) -> Result<()> {
    let steps = scenario["steps"].as_array().ok_or("no steps")?;
    let asked = steps.iter().find_map(|step| step[1]["receive_maximum"].as_u64());
    let places = asked.unwrap_or(PLACES);
    with_constant!(places, [1, 2, 3, 4, 5, 8, 10, 16, 20, 32, 64], play(scenario, steps))?
}

fn play<const INBOUND: usize>(scenario: &Value, steps: &[Value]) -> Result<()> {
    let manually = scenario["manual_ack"].as_bool().ok_or("manual or not?")?;
    let mut player = Player::<INBOUND>::new(version(scenario)?, manually)?;
    for (number, step) in adaptation::order(steps) {
        player.step(step).map_err(|fault| format!("step {number}, {step}: {fault}"))?;
    }
    Ok(())
}

fn version(row: &Value) -> Result<Version> {
    let level = row["version"].as_u64().and_then(|level| u8::try_from(level).ok());
    level.and_then(Version::of_level).ok_or_else(|| format!("version {}", row["version"]))
}

impl<const INBOUND: usize> Player<INBOUND> {
    fn new(version: Version, manually: bool) -> Result<Self> {
        Ok(Self {
            version,
            acknowledgement: if manually { Acknowledge::Manually } else { Acknowledge::AfterHandling },
            session: Box::default(),
            inbox: inbox(CAPACITY)?,
            now: 1_000_000,
            deadline: None,
            events: VecDeque::new(),
            out: VecDeque::new(),
            silent: 0,
            online: false,
            closed: None,
            keep_alive: 0,
            receive_maximum: u16::MAX,
            method: None,
            handles: BTreeMap::new(),
            levels: BTreeMap::new(),
            ids: adaptation::Identifiers::default(),
            uncounted: VecDeque::new(),
        })
    }

    fn step(&mut self, step: &Value) -> Result<()> {
        let parts = step.as_array().ok_or("not a list")?;
        let refused = parts.len() > 1 && parts.last().is_some_and(|last| last == "error");
        let argument = &step[1];
        match text(&step[0])? {
            "connect" => self.called(refused, |it| it.connect(argument)),
            "publish" if refused => self.publish_too_early(argument),
            "publish" => self.publish(argument).and_then(|_| self.pump()),
            "subscribe" => self.called(refused, |it| it.subscribe(argument)),
            "unsubscribe" => self.called(refused, |it| it.unsubscribe(argument)),
            "ack" => self.called(refused, |it| it.acknowledge(argument, &step[2])),
            "disconnect" => self.called(refused, |it| it.disconnect(argument)),
            "reauth" => self.called(refused, |it| it.authenticate(ReasonCode::Reauthenticate, argument)),
            "auth_reply" => self.called(refused, |it| it.authenticate(ReasonCode::ContinueAuthentication, argument)),
            "in" => self.receive(from_hex(text(argument)?)?),
            "out" => self.check_out(from_hex(text(argument)?)?),
            "no_out" => self.check_silence(),
            "event" => self.check_event(text(argument)?, &step[2]),
            "no_event" if self.events.is_empty() => Ok(()),
            "no_event" => Err(format!("{:?}", self.events)),
            "closed" => self.closed.map(drop).ok_or_else(|| "not closed".to_owned()),
            "transport_closed" => {
                self.online = false;
                self.session.connection_lost();
                self.pump()
            }
            "time" => self.elapse(argument.as_u64().ok_or("no time")?),
            other => Err(format!("{other} is no known step")),
        }
    }

    /// A call of the application that must be refused, or must not.
    fn called(&mut self, refused: bool, call: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        match (call(self), refused) {
            (Ok(()), true) => Err("not refused".to_owned()),
            (Err(fault), false) => Err(fault),
            _ => self.pump(),
        }
    }

    fn connect(&mut self, fields: &Value) -> Result<()> {
        known(
            fields,
            &["clean", "expiry", "receive_maximum", "maximum_packet_size", "topic_alias_maximum", "keep_alive"],
            &["auth_method", "auth_data", "request_problem_information", "client_id"],
        )?;
        if let Some(size) = fields["maximum_packet_size"].as_u64() {
            self.inbox = inbox(size)?;
        }
        let maximum = number::<u16>(&fields["topic_alias_maximum"])?.unwrap_or(0);
        if maximum != 0 && !fields["maximum_packet_size"].is_null() {
            return Err("the inboxes of this test hold no aliases besides packets of a given size".to_owned());
        }
        self.inbox.set_topic_aliases(TopicAliases { maximum, topic: ALIASED_TOPIC });
        self.method = fields["auth_method"].as_str().map(str::to_owned);
        let data = fields["auth_data"].as_str().map(str::as_bytes);
        let properties: Vec<Property<'_>> = [
            number::<u32>(&fields["expiry"])?.map(Property::SessionExpiryInterval),
            number::<u8>(&fields["request_problem_information"])?
                .map(|flag| Property::RequestProblemInformation(flag != 0)),
            self.method.as_deref().map(Property::AuthenticationMethod),
            data.map(Property::AuthenticationData),
        ]
        .into_iter()
        .flatten()
        .collect();
        let keep_alive = number::<u16>(&fields["keep_alive"])?.unwrap_or(0);
        let connect = Connect {
            clean_start: fields["clean"].as_bool().unwrap_or(true),
            keep_alive,
            properties: Properties::of(&properties),
            acknowledgement: self.acknowledgement,
            topic_aliases: TopicAliases { maximum: ALIASES, topic: ALIASED_TOPIC },
            // As long as a pause: a choice of the traces.
            response_timeout: core::time::Duration::from_secs(if keep_alive == 0 { 10 } else { keep_alive.into() }),
            ..Connect::new(self.version, fields["client_id"].as_str().unwrap_or("c"))
        };
        self.session.connect(&mut self.inbox, &connect).map_err(|refused| refused.to_string())?;
        self.keep_alive = u64::from(keep_alive) * 1000;
        self.online = false;
        self.closed = None;
        Ok(())
    }

    fn publish(&mut self, fields: &Value) -> Result<Option<u16>> {
        known(fields, &["topic", "payload", "qos", "retain", "alias"], &["expiry"])?;
        let properties: Vec<_> = number(&fields["expiry"])?.map(Property::MessageExpiryInterval).into_iter().collect();
        let publish = Publish {
            qos: qos(&fields["qos"])?,
            retain: fields["retain"].as_bool().unwrap_or(false) || fields["retain"] == 1,
            properties: Properties::of(&properties),
            topic_alias: number(&fields["alias"])?.and_then(NonZeroU16::new),
            ..Publish::new(fields["topic"].as_str().unwrap_or("a"), fields["payload"].as_str().unwrap_or("").as_bytes())
        };
        let id = self.session.publish(&publish).map_err(|refused| refused.to_string())?;
        Ok(id.map(|id| {
            self.levels.insert(id.get(), publish.qos);
            id.get()
        }))
    }

    /// A publish that the trace wants refused: it is, or it may not leave yet and waits.
    fn publish_too_early(&mut self, fields: &Value) -> Result<()> {
        let written = self.out.len();
        let Ok(id) = self.publish(fields) else { return self.pump() };
        let waits = !self.online || (id.is_some() && self.session.pending() > self.receive_maximum);
        self.pump()?;
        if !waits || self.out.len() != written {
            return Err("not refused, though nothing stands against sending it".to_owned());
        }
        match id.and_then(mqtt_session::PacketId::new) {
            Some(id) if self.session.cancel(id) => Ok(()),
            Some(id) => Err(format!("{id} cannot be taken back")),
            None => {
                let packet = mqtt_session::wire::PublishPacket {
                    delivery: Delivery::AtMostOnce,
                    retain: fields["retain"] == true,
                    topic: fields["topic"].as_str().unwrap_or("a"),
                    properties: Properties::EMPTY,
                    payload: fields["payload"].as_str().unwrap_or("").as_bytes(),
                };
                let bytes =
                    encode(self.version, Role::Server, &Packet::Publish(packet)).map_err(|it| it.to_string())?;
                self.uncounted.push_back(bytes);
                Ok(())
            }
        }
    }

    fn subscribe(&mut self, filters: &Value) -> Result<()> {
        let filters = filters.as_array().ok_or("no filters")?;
        let subscriptions = filters.iter().map(|it| Ok(Subscription::new(text(&it[0])?, qos(&it[1])?)));
        let subscriptions = subscriptions.collect::<Result<Vec<_>>>()?;
        let request = Subscribe::new(&subscriptions);
        self.session.subscribe(&request).map(drop).map_err(|refused| refused.to_string())
    }

    fn unsubscribe(&mut self, filters: &Value) -> Result<()> {
        let filters = filters.as_array().ok_or("no filters")?.iter().map(text).collect::<Result<Vec<_>>>()?;
        let request = Unsubscribe::new(&filters);
        self.session.unsubscribe(&request).map(drop).map_err(|refused| refused.to_string())
    }

    fn acknowledge(&mut self, id: &Value, code: &Value) -> Result<()> {
        let handle = number(id)?.and_then(|id| self.handles.get(&id)).ok_or("no message of this identifier came")?;
        let code = number(code)?.map_or(Some(ReasonCode::Success), ReasonCode::of_byte).ok_or("no reason code")?;
        self.session.acknowledge(*handle, code).map_err(|refused| refused.to_string())
    }

    fn disconnect(&mut self, fields: &Value) -> Result<()> {
        known(fields, &["code", "expiry"], &[])?;
        let properties: Vec<_> = number(&fields["expiry"])?.map(Property::SessionExpiryInterval).into_iter().collect();
        let code = number(&fields["code"])?.map_or(Some(ReasonCode::Success), ReasonCode::of_byte);
        let disconnect = Disconnect {
            reason_code: code.ok_or("no reason code")?,
            properties: Properties::of(&properties),
            ..Disconnect::default()
        };
        self.session.disconnect(&disconnect).map_err(|refused| refused.to_string())?;
        self.online = false;
        Ok(())
    }

    fn authenticate(&mut self, reason_code: ReasonCode, fields: &Value) -> Result<()> {
        if fields.is_object() {
            known(fields, &["method", "data"], &[])?;
        }
        let method = fields["method"].as_str().or(self.method.as_deref()).unwrap_or("m");
        let properties: Vec<_> = [
            Some(Property::AuthenticationMethod(method)),
            fields["data"].as_str().map(|data| Property::AuthenticationData(data.as_bytes())),
        ]
        .into_iter()
        .flatten()
        .collect();
        let auth = Auth { reason_code, properties: Properties::of(&properties) };
        self.session.authenticate(&auth).map_err(|refused| refused.to_string())
    }

    fn receive(&mut self, mut bytes: Vec<u8>) -> Result<()> {
        self.ids.translate(&mut bytes, adaptation::received_identifier);
        let mut left = &bytes[..];
        while !left.is_empty() {
            let space = self.inbox.space();
            let len = space.len().min(left.len());
            space[..len].copy_from_slice(&left[..len]);
            self.inbox.filled(len);
            left = &left[len..];
            self.pump()?;
            if self.closed.is_some() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Polls until there is nothing to do.
    fn pump(&mut self) -> Result<()> {
        let mut written = Vec::new();
        for _ in 0..10_000 {
            match self.session.poll(&mut self.inbox, Instant::from_millis(self.now)) {
                Step::Event(event) => {
                    let told = told(self.version, &event, &self.levels);
                    if let Event::Message(message) = &event
                        && let (Some(id), Some(handle)) = (message.delivery.packet_id(), message.handle)
                    {
                        self.handles.insert(id.get(), handle);
                    }
                    if let Event::Connected(connack) = &event {
                        self.online = true;
                        self.receive_maximum = connack.properties.receive_maximum().unwrap_or(u16::MAX);
                        let keep_alive = connack.properties.server_keep_alive().map(|it| u64::from(it) * 1000);
                        self.keep_alive = keep_alive.unwrap_or(self.keep_alive);
                    }
                    self.events.push_back(told);
                }
                Step::Transmit(bytes) => {
                    let len = bytes.len();
                    written.extend_from_slice(bytes);
                    self.session.transmitted(len);
                    self.silent = self.now;
                }
                Step::Wait(deadline) => {
                    self.deadline = deadline.map(Instant::as_millis);
                    return self.note_written(&written);
                }
                Step::Close(cause) => {
                    self.deadline = None;
                    self.online = false;
                    self.closed = Some(cause);
                    return self.note_written(&written);
                }
            }
        }
        Err("polled 10,000 times, and still there is something to do".to_owned())
    }

    fn note_written(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let len = adaptation::len_of_first(bytes).filter(|len| *len <= bytes.len());
            let (packet, rest) = bytes.split_at(len.ok_or_else(|| format!("half a packet: {}", to_hex(bytes)))?);
            if self.uncounted.front().is_some_and(|uncounted| uncounted == packet) {
                self.uncounted.pop_front();
            } else {
                self.out.push_back(packet.to_vec());
            }
            bytes = rest;
        }
        Ok(())
    }

    /// Time passes as it does for a driver that polls at each deadline.
    fn elapse(&mut self, millis: u64) -> Result<()> {
        let end = self.now + millis;
        while let Some(deadline) = self.deadline.filter(|deadline| *deadline <= end) {
            if deadline < self.now {
                return Err(format!("the deadline {deadline} was over at {}", self.now));
            }
            self.now = deadline;
            self.pump()?;
            if self.deadline == Some(deadline) {
                return Err(format!("nothing happened at the deadline {deadline}"));
            }
        }
        self.now = end;
        self.pump()
    }

    fn check_out(&mut self, mut expected: Vec<u8>) -> Result<()> {
        let packet = self.out.pop_front().ok_or("nothing was written")?;
        let same = if expected[0] == 0x10 {
            adaptation::same_connect(self.version, &expected, &packet)
        } else {
            self.ids.learn(&expected, &packet);
            self.ids.translate(&mut expected, adaptation::sent_identifier);
            expected == packet
        };
        same.then_some(()).ok_or_else(|| format!("{} was written", to_hex(&packet)))
    }

    fn check_silence(&self) -> Result<()> {
        let early = self.out.len() == 1 && self.out[0] == [0xC0, 0] && self.now < self.silent + self.keep_alive;
        let silent = self.out.is_empty() || early;
        silent.then_some(()).ok_or_else(|| format!("{:?} was written", self.out.iter().map(|it| to_hex(it))))
    }

    fn check_event(&mut self, name: &str, fields: &Value) -> Result<()> {
        match (name, self.closed) {
            ("error", Some(cause)) if is_protest(cause) => return Ok(()),
            ("connection_lost", Some(CloseReason::Disconnected | CloseReason::ConnectionLost)) => return Ok(()),
            ("timeout", Some(CloseReason::ConnackTimeout | CloseReason::PingTimeout)) => return Ok(()),
            ("error" | "connection_lost" | "timeout", closed) => return Err(format!("closed: {closed:?}")),
            _ => {}
        }
        let fields = fields.as_object().cloned().unwrap_or_default();
        let ids = &self.ids;
        let is_expected = |told: &Told| {
            told.names.contains(&name)
                && fields.iter().all(|(field, value)| match field.as_str() {
                    "id" if name != "message" => {
                        number(value).ok().flatten().map(|id| json!(ids.ours(id))) == Some(told.fields["id"].clone())
                    }
                    field => told.fields[field] == *value,
                })
        };
        match adaptation::place(&self.events, is_expected) {
            Some(place) => {
                self.events.remove(place);
                Ok(())
            }
            None => Err(format!("the events are {:?}, closed: {:?}", self.events, self.closed)),
        }
    }
}

/// Whether a connection ended because the peer broke a rule.
fn is_protest(cause: CloseReason) -> bool {
    cause != CloseReason::Disconnected && cause.reason_code().is_some()
}

fn told(version: Version, event: &Event<'_>, levels: &BTreeMap<u16, QoS>) -> Told {
    let code = |code: ReasonCode| json!(code as u8);
    let (names, fields): (&'static [&'static str], Value) = match event {
        Event::Connected(connack) => (&["connected"], json!({ "session_present": connack.session_present })),
        Event::ConnectionRefused(connack) => {
            let returned = connack.reason_code.return_code().filter(|_| version == Version::V311);
            (&["refused"], json!({ "code": returned.unwrap_or(connack.reason_code as u8) }))
        }
        Event::Disconnected(disconnect) => (&["disconnected"], json!({ "code": code(disconnect.reason_code) })),
        Event::Authenticating(auth) if auth.reason_code == ReasonCode::Success => (&["reauthenticated"], json!({})),
        Event::Authenticating(auth) => {
            let data = auth.properties.authentication_data().map(String::from_utf8_lossy);
            (&["auth_challenge", "auth"], json!({ "code": code(auth.reason_code), "data": data }))
        }
        Event::Message(message) => {
            let (payload, qos) = (String::from_utf8_lossy(message.payload), message.qos() as u8);
            let id = message.delivery.packet_id().map(mqtt_session::PacketId::get);
            let (topic, retain, dup) = (message.topic, message.retain, message.delivery.dup());
            let fields =
                json!({ "topic": topic, "payload": payload, "qos": qos, "retain": retain, "dup": dup, "id": id });
            (&["message"], fields)
        }
        Event::Published { packet_id, outcome, .. } => return published(packet_id.get(), *outcome, levels),
        Event::Subscribed { packet_id, reason_codes, .. } => {
            let codes: Vec<u8> = reason_codes.iter().map(|code| code as u8).collect();
            (&["subscribed", "suback"], json!({ "id": packet_id, "codes": codes }))
        }
        Event::Unsubscribed { packet_id, reason_codes, .. } => {
            let codes: Vec<u8> = reason_codes.iter().map(|code| code as u8).collect();
            (&["unsubscribed", "unsuback"], json!({ "id": packet_id, "codes": codes }))
        }
        Event::RequestLost { packet_id } => (&["request_failed"], json!({ "id": packet_id })),
        Event::Stray { packet_id, .. } => (&["unknown_ack"], json!({ "id": packet_id })),
        other => (&[], json!(format!("{other:?}"))),
    };
    Told { names, fields }
}

fn published(id: u16, outcome: Outcome, levels: &BTreeMap<u16, QoS>) -> Told {
    let (names, code): (&'static [&'static str], _) = match (outcome, levels.get(&id)) {
        (Outcome::Acknowledged(code), Some(QoS::ExactlyOnce)) => (&["completed"], Some(code)),
        (Outcome::Acknowledged(code), _) => (&["acked"], Some(code)),
        (Outcome::Rejected(code), _) => (&["rejected"], Some(code)),
        (Outcome::Unsendable, _) => (&["rejected", "unsendable"], None),
        (Outcome::Expired, _) => (&["expired"], None),
        (Outcome::Lost, _) => (&["lost"], None),
        (Outcome::LostUnconfirmed, _) => (&["lost", "completed_unconfirmed", "unconfirmed"], None),
        _ => (&[], None),
    };
    Told { names, fields: json!({ "id": id, "code": code.map(|code| code as u8) }) }
}

fn text(value: &Value) -> Result<&str> {
    value.as_str().ok_or_else(|| format!("{value} is no text"))
}

fn number<T: TryFrom<u64>>(value: &Value) -> Result<Option<T>> {
    match value {
        Value::Null => Ok(None),
        Value::Bool(flag) => Ok(T::try_from((*flag).into()).ok()),
        value => value.as_u64().and_then(|it| it.try_into().ok()).map(Some).ok_or_else(|| format!("{value}: number?")),
    }
}

fn qos(value: &Value) -> Result<QoS> {
    match value.as_u64() {
        None | Some(0) => Ok(QoS::AtMostOnce),
        Some(1) => Ok(QoS::AtLeastOnce),
        Some(2) => Ok(QoS::ExactlyOnce),
        _ => Err(format!("QoS {value}")),
    }
}

/// A field that is not known here may mean something that would go untested.
fn known(fields: &Value, some: &[&str], others: &[&str]) -> Result<()> {
    let unknown = fields.as_object().into_iter().flat_map(|it| it.keys()).find(|field| {
        let field = field.as_str();
        !some.contains(&field) && !others.contains(&field)
    });
    unknown.map_or(Ok(()), |field| Err(format!("{field} is no known field")))
}

fn check_row(row: &Value) -> Result<()> {
    let places = row["ctx"]["receive_maximum"].as_u64().unwrap_or(PLACES);
    with_constant!(places, [1, 2, 3, 4, 5, 8, 10, 16, 20, 32, 64], check_row_with(row))?
}

fn check_row_with<const INBOUND: usize>(row: &Value) -> Result<()> {
    let context = &row["ctx"];
    known(
        context,
        &["maximum_packet_size", "topic_alias_maximum", "receive_maximum", "unacknowledged_inbound", "clean_start"],
        &[
            "mapped_aliases",
            "unacknowledged_outbound_qos1",
            "qos2_pending",
            "connected",
            "client_has_session",
            "connect_authentication_method",
            "connect_session_expiry_interval",
            "request_problem_information",
            "pending_subscribe",
            "pending_unsubscribe",
        ],
    )?;
    let bytes = from_hex(text(&row["hex"])?)?;
    let manually = !context["unacknowledged_inbound"].is_null();
    let mut player = Player::<INBOUND>::new(version(row)?, manually)?;
    player.bring_into(context, &bytes).map_err(|fault| format!("before the row: {fault}"))?;
    player.events.clear();
    player.out.clear();
    player.receive(bytes)?;
    player.check_outcome(row)
}

impl<const INBOUND: usize> Player<INBOUND> {
    /// Brings the session into the state in which the row's bytes arrive.
    fn bring_into(&mut self, context: &Value, bytes: &[u8]) -> Result<()> {
        let resumed = !context["client_has_session"].is_null();
        let clean = context["clean_start"].as_bool().unwrap_or(!resumed);
        let method = context["connect_authentication_method"].as_str().filter(|method| !method.is_empty());
        let mut fields = json!({
            "clean": clean,
            "auth_method": method,
            "maximum_packet_size": context["maximum_packet_size"],
            "topic_alias_maximum": context["topic_alias_maximum"],
            "request_problem_information": context["request_problem_information"],
            "expiry": context["connect_session_expiry_interval"],
        });
        if context["client_has_session"] == true {
            if self.version == Version::V5 {
                fields["expiry"] = json!(100);
            }
            self.connect(&fields)?;
            self.accept()?;
            self.step(&json!(["transport_closed"]))?;
        }
        self.connect(&fields)?;
        self.pump()?;
        let connack = bytes[0] == 0x20 && context["connected"] != true;
        if context["connected"] == false || connack || resumed {
            return Ok(());
        }
        self.accept()?;
        for alias in identifiers(&context["mapped_aliases"]) {
            self.receive(aliased_message(alias))?;
        }
        self.open_requests(context)?;
        self.open_messages(context, bytes)
    }

    /// The server's CONNACK.
    fn accept(&mut self) -> Result<()> {
        let method: Vec<_> = self.method.iter().map(|method| Property::AuthenticationMethod(method)).collect();
        let connack =
            Connack { session_present: false, reason_code: ReasonCode::Success, properties: Properties::of(&method) };
        let bytes = encode(self.version, Role::Client, &Packet::Connack(connack)).map_err(|it| it.to_string())?;
        self.pump()?;
        self.receive(bytes)?;
        self.online.then_some(()).ok_or_else(|| format!("not connected: {:?}", self.closed))
    }

    fn open_requests(&mut self, context: &Value) -> Result<()> {
        for (name, kind) in [("pending_subscribe", 0x90), ("pending_unsubscribe", 0xB0)] {
            let pending = &context[name];
            let Some(wanted) = number::<u16>(&pending["id"])? else { continue };
            let filters = usize::try_from(pending["filters"].as_u64().unwrap_or(1)).map_err(|it| it.to_string())?;
            let subscriptions = vec![Subscription::new("f", QoS::AtMostOnce); filters];
            self.until_identifier(wanted, |session| match kind {
                0x90 => session.subscribe(&Subscribe::new(&subscriptions)),
                _ => session.unsubscribe(&Unsubscribe::new(&vec!["f"; filters])),
            })?;
        }
        Ok(())
    }

    /// Repeats a call until it is given the identifier that is wanted. What is taken on the way is given back.
    fn until_identifier(
        &mut self,
        wanted: u16,
        mut call: impl FnMut(
            &mut Session<8192, 64, INBOUND, 1024>,
        ) -> core::result::Result<mqtt_session::PacketId, mqtt_session::CommandError>,
    ) -> Result<()> {
        let message = Publish { qos: QoS::AtLeastOnce, ..Publish::new("t", b"") };
        for _ in 0..u16::MAX {
            let next = self.session.clone().publish(&message).map_err(|it| it.to_string())?;
            if next.is_some_and(|next| next.get() == wanted) {
                call(&mut self.session).map_err(|it| it.to_string())?;
                return self.pump();
            }
            let passed = self.session.publish(&message).map_err(|it| it.to_string())?;
            if !passed.is_some_and(|passed| self.session.cancel(passed)) {
                return Err("not taken back".to_owned());
            }
        }
        Err(format!("{wanted} never comes"))
    }

    fn open_messages(&mut self, context: &Value, bytes: &[u8]) -> Result<()> {
        let answers_ours = matches!(bytes[0] >> 4, 4 | 5 | 7);
        for id in identifiers(&context["unacknowledged_outbound_qos1"]) {
            self.publish_as(id, QoS::AtLeastOnce)?;
        }
        for id in identifiers(&context["qos2_pending"]) {
            if answers_ours {
                self.publish_as(id, QoS::ExactlyOnce)?;
            } else {
                self.receive(self.message(0x34, id))?;
            }
        }
        let open = match &context["unacknowledged_inbound"] {
            Value::Number(count) => {
                (0..count.as_u64().unwrap_or(0)).filter_map(|it| u16::try_from(40_000 + it).ok()).collect()
            }
            list => identifiers(list),
        };
        for id in open {
            self.receive(self.message(0x32, id))?;
        }
        Ok(())
    }

    fn publish_as(&mut self, id: u16, qos: QoS) -> Result<()> {
        self.until_identifier(id, |session| {
            let id = session.publish(&Publish { qos, ..Publish::new("t", b"") })?;
            id.ok_or(mqtt_session::CommandError::Full)
        })
    }

    /// A message of the server.
    fn message(&self, first: u8, id: u16) -> Vec<u8> {
        let [high, low] = id.to_be_bytes();
        let mut packet = vec![first, 5, 0, 1, b'a', high, low];
        if self.version == Version::V5 {
            packet[1] += 1;
            packet.push(0);
        }
        packet
    }

    fn check_outcome(&self, row: &Value) -> Result<()> {
        let protest = self.closed.filter(|cause| is_protest(*cause)).and_then(CloseReason::reason_code);
        let outcome = match protest {
            None if !self.inbox.unread().is_empty() => "incomplete",
            None => "ok",
            Some(ReasonCode::MalformedPacket) => "malformed",
            Some(ReasonCode::PacketTooLarge) => "packet-too-large",
            Some(ReasonCode::TopicAliasInvalid) => "topic-alias-invalid",
            Some(ReasonCode::ReceiveMaximumExceeded) => "receive-maximum-exceeded",
            Some(_) => "protocol-error",
        };
        let also = row["also"].as_array().is_some_and(|also| also.iter().any(|it| it == outcome));
        if row["expect"] != outcome && !also {
            return Err(format!("{outcome}: closed {:?}, events {:?}", self.closed, self.events));
        }
        let Some(code) = protest else { return Ok(()) };
        let farewell = [0xE0, 1, code as u8];
        let expected: &[&[u8]] = if self.version == Version::V5 { &[&farewell] } else { &[] };
        if self.out.iter().ne(expected.iter()) {
            return Err(format!("written: {:?}", self.out));
        }
        let reason = if self.version == Version::V5 { format!("{:#04x}", code as u8) } else { "close".to_owned() };
        let same = row["expect"] != outcome || text(&row["reason"])?.eq_ignore_ascii_case(&reason);
        same.then_some(()).ok_or_else(|| format!("reason {reason}"))
    }
}

/// A message of the server that says what a topic alias stands for.
fn aliased_message(alias: u16) -> Vec<u8> {
    let [high, low] = alias.to_be_bytes();
    vec![0x30, 7, 0, 1, b'a', 3, 0x23, high, low]
}

/// One identifier, or a list of them.
fn identifiers(value: &Value) -> Vec<u16> {
    let one = |value: &Value| value.as_u64().and_then(|id| u16::try_from(id).ok());
    match value {
        Value::Array(list) => list.iter().filter_map(one).collect(),
        value => one(value).into_iter().collect(),
    }
}
