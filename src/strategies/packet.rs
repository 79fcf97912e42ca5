//! Valid packets.

use core::fmt;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::Union;

use crate::wire::{
    AckType, Acknowledgement, Auth, Connack, ConnectPacket, Delivery, DisconnectPacket, List, Packet, PacketId,
    PacketType, Properties, Property, PublishPacket, QoS, ReasonCode, RetainHandling, Role, Suback, SubscribePacket,
    Subscription, Unencodable, Unsuback, UnsubscribePacket, Version, Will,
};

use super::alloc::borrow::ToOwned;
use super::alloc::format;
use super::alloc::string::String;
use super::alloc::vec;
use super::alloc::vec::Vec;
use super::property::{self, Form, Owned, borrowed, properties};
use super::text::{Limits, binary, text, topic_filter, topic_name};

/// Valid packets that an end may receive, within limits. Every field takes every value that the standard allows it, and
/// lengths are now and then on both sides of a step of the variable byte integer.
///
/// ```
/// use mqtt_session::strategies::Packets;
/// use mqtt_session::wire::{Packet, PacketType};
/// use mqtt_session::{Role, Version};
/// use proptest::prelude::*;
///
/// # #[cfg(feature = "v311")] {
/// let packets = Packets { payload: 20, ..Packets::new(Version::V311, Role::Server) };
/// proptest!(|(encoded in packets.of_type(PacketType::Publish).unwrap())| {
///     let Packet::Publish(publish) = encoded.packet() else { panic!() };
///     prop_assert!(publish.payload.len() <= 20);
/// });
/// // A server receives no CONNACK.
/// assert!(packets.of_type(PacketType::Connack).is_none());
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packets {
    /// The version.
    pub version: Version,
    /// The end that receives them.
    pub to: Role,
    /// How many bytes a payload may have, and all other binary data; beyond some 16,400 there is nothing new.
    pub payload: usize,
    /// How many bytes a topic, a topic filter and any other text may have; 0 counts as 1 where a text cannot be empty.
    pub text: usize,
    /// Whether 5.0 packets may have properties. (Without, there is no AUTH.)
    pub properties: bool,
}

/// What begins `$share/group/topic`.
const SHARE: &str = "$share/group/";

impl Packets {
    /// Packets with properties, with payloads of up to 200 bytes and text of up to 40.
    #[must_use]
    pub const fn new(version: Version, to: Role) -> Self {
        Self { version, to, payload: 200, text: 40, properties: true }
    }

    /// Packets of every type; each as [`of_type`](Self::of_type).
    pub fn any(self) -> BoxedStrategy<Encoded> {
        let types = TYPES.iter().filter_map(|&(weight, packet_type)| Some((weight, self.of_type(packet_type)?)));
        Union::new_weighted(types.collect()).boxed()
    }

    /// Packets of one type, or `None` if the version has no such packet, or the end never receives it.
    #[must_use]
    pub fn of_type(self, packet_type: PacketType) -> Option<BoxedStrategy<Encoded>> {
        PacketType::of_first_byte(self.version, self.to, packet_type.first_byte()).ok()?;
        Some(match packet_type {
            PacketType::Connect => self.connect(),
            PacketType::Connack => self.connack(),
            PacketType::Publish => self.publish(),
            PacketType::Puback => self.acknowledgement(AckType::Puback, ACKNOWLEDGED),
            PacketType::Pubrec => self.acknowledgement(AckType::Pubrec, ACKNOWLEDGED),
            PacketType::Pubrel => self.acknowledgement(AckType::Pubrel, RELEASED),
            PacketType::Pubcomp => self.acknowledgement(AckType::Pubcomp, RELEASED),
            PacketType::Subscribe => self.subscribe(),
            PacketType::Suback => self.suback(),
            PacketType::Unsubscribe => self.unsubscribe(),
            PacketType::Unsuback => self.unsuback(),
            PacketType::Pingreq => Just(self.encoded(&Packet::Pingreq)).boxed(),
            PacketType::Pingresp => Just(self.encoded(&Packet::Pingresp)).boxed(),
            PacketType::Disconnect => self.disconnect(),
            PacketType::Auth if !self.properties => return None,
            PacketType::Auth => self.auth(),
        })
    }

    const fn limits(self) -> Limits {
        Limits { binary: self.payload, text: self.text }
    }

    const fn has_properties(self) -> bool {
        self.properties && self.version.is_v5()
    }

    fn properties(self, forms: &[Form]) -> BoxedStrategy<Vec<Owned>> {
        if self.has_properties() { properties(self.limits(), forms) } else { Just(Vec::new()).boxed() }
    }

    fn encoded(self, packet: &Packet<'_>) -> Encoded {
        Encoded::of(self.version, self.to, packet)
    }

    fn connect(self) -> BoxedStrategy<Encoded> {
        let credentials = (option::of(text(self.text)), option::of(binary(self.payload)));
        let properties = self.properties(property::CONNECT).prop_map(property::with_method_for_data);
        (any::<bool>(), any::<u16>(), text(self.text), option::of(self.will()), credentials, properties)
            .prop_map(move |(clean_start, keep_alive, mut client_id, will, (user_name, password), properties)| {
                if client_id.is_empty() && !clean_start && !self.version.is_v5() {
                    client_id = "c".to_owned();
                }
                let may_have_password = user_name.is_some() || self.version.is_v5();
                let of_will = will.as_ref().map(|will| borrowed(&will.properties));
                self.encoded(&Packet::Connect(ConnectPacket {
                    clean_start,
                    keep_alive,
                    client_id: &client_id,
                    will: will.as_ref().zip(of_will.as_ref()).map(|(will, of_will)| Will {
                        topic: &will.topic,
                        payload: &will.payload,
                        qos: will.qos,
                        retain: will.retain,
                        properties: Properties::of(of_will),
                    }),
                    user_name: user_name.as_deref(),
                    password: password.as_deref().filter(|_| may_have_password),
                    properties: Properties::of(&borrowed(&properties)),
                }))
            })
            .boxed()
    }

    fn will(self) -> impl Strategy<Value = OwnedWill> {
        (topic_name(self.text), binary(self.payload), qos(), any::<bool>(), self.properties(property::WILL))
            .prop_map(|(topic, payload, qos, retain, properties)| OwnedWill { topic, payload, qos, retain, properties })
    }

    fn connack(self) -> BoxedStrategy<Encoded> {
        let refusals = if self.version.is_v5() {
            codes(CONNECTED)
        } else {
            (0..=5).filter_map(ReasonCode::of_return_code).collect()
        };
        (any::<bool>(), usually(ReasonCode::Success, refusals), self.properties(property::CONNACK))
            .prop_map(move |(session_present, reason_code, properties)| {
                self.encoded(&Packet::Connack(Connack {
                    session_present: session_present && reason_code == ReasonCode::Success,
                    reason_code,
                    properties: Properties::of(&borrowed(&properties)),
                }))
            })
            .boxed()
    }

    fn publish(self) -> BoxedStrategy<Encoded> {
        let flags = (qos(), any::<bool>(), any::<bool>(), any::<bool>());
        // A server may repeat it, a client may not have it.
        let repeats = if self.has_properties() && self.to == Role::Client { 4 } else { 1 };
        let identifiers = vec(Form::SubscriptionIdentifier.value(self.limits()), 0..repeats);
        let properties = (self.properties(property::PUBLISH), identifiers)
            .prop_map(|(some, identifiers)| [some, identifiers].concat())
            .prop_shuffle();
        (flags, packet_id(), topic_name(self.text), binary(self.payload), properties)
            .prop_map(move |((qos, dup, retain, is_nameless), packet_id, mut topic, payload, properties)| {
                let has_alias = properties.iter().any(|owned| matches!(owned.property(), Property::TopicAlias(_)));
                if has_alias && is_nameless {
                    topic.clear();
                }
                let delivery = match qos {
                    QoS::AtMostOnce => Delivery::AtMostOnce,
                    QoS::AtLeastOnce => Delivery::AtLeastOnce { packet_id, dup },
                    QoS::ExactlyOnce => Delivery::ExactlyOnce { packet_id, dup },
                };
                let properties = borrowed(&properties);
                let properties = Properties::of(&properties);
                self.encoded(&Packet::Publish(PublishPacket {
                    delivery,
                    retain,
                    topic: &topic,
                    properties,
                    payload: &payload,
                }))
            })
            .boxed()
    }

    fn acknowledgement(self, kind: AckType, others: &[u8]) -> BoxedStrategy<Encoded> {
        let reason_code = self.only_in_v5(usually(ReasonCode::Success, codes(others)));
        (packet_id(), reason_code, self.properties(property::DIAGNOSED))
            .prop_map(move |(packet_id, reason_code, properties)| {
                let properties = borrowed(&properties);
                let properties = Properties::of(&properties);
                self.encoded(&Packet::Acknowledgement(Acknowledgement { kind, packet_id, reason_code, properties }))
            })
            .boxed()
    }

    fn subscribe(self) -> BoxedStrategy<Encoded> {
        let options = (qos(), any::<bool>(), any::<bool>(), retain_handling(), any::<bool>());
        let subscription = (topic_filter(self.text), options).prop_map(move |(filter, options)| {
            let (qos, no_local, retain_as_published, retain_handling, is_shared) = options;
            let is_shared = is_shared && filter.len().saturating_add(SHARE.len()) <= self.text;
            let filter = if is_shared && self.version.is_v5() { format!("{SHARE}{filter}") } else { filter };
            (filter, qos, no_local && !is_shared, retain_as_published, retain_handling)
        });
        (packet_id(), self.properties(property::SUBSCRIBE), vec(subscription, 1..5))
            .prop_map(move |(packet_id, properties, subscriptions)| {
                let subscriptions = subscriptions.iter().map(|of| {
                    let (filter, qos, no_local, retain_as_published, retain_handling) = of;
                    let plain = Subscription::new(filter, *qos);
                    if !self.version.is_v5() {
                        return plain;
                    }
                    Subscription {
                        no_local: *no_local,
                        retain_as_published: *retain_as_published,
                        retain_handling: *retain_handling,
                        ..plain
                    }
                });
                self.encoded(&Packet::Subscribe(SubscribePacket {
                    packet_id,
                    properties: Properties::of(&borrowed(&properties)),
                    subscriptions: List::of(&subscriptions.collect::<Vec<_>>()),
                }))
            })
            .boxed()
    }

    fn suback(self) -> BoxedStrategy<Encoded> {
        let granted = if self.version.is_v5() { SUBSCRIBED } else { &[0x00, 0x01, 0x02, 0x80] };
        (packet_id(), self.properties(property::DIAGNOSED), vec(select(codes(granted)), 1..5))
            .prop_map(move |(packet_id, properties, reason_codes)| {
                self.encoded(&Packet::Suback(Suback {
                    packet_id,
                    properties: Properties::of(&borrowed(&properties)),
                    reason_codes: List::of(&reason_codes),
                }))
            })
            .boxed()
    }

    fn unsubscribe(self) -> BoxedStrategy<Encoded> {
        (packet_id(), self.properties(&[]), vec(topic_filter(self.text), 1..5))
            .prop_map(move |(packet_id, properties, filters)| {
                let filters: Vec<_> = filters.iter().map(String::as_str).collect();
                self.encoded(&Packet::Unsubscribe(UnsubscribePacket {
                    packet_id,
                    properties: Properties::of(&borrowed(&properties)),
                    filters: List::of(&filters),
                }))
            })
            .boxed()
    }

    fn unsuback(self) -> BoxedStrategy<Encoded> {
        let counts = if self.version.is_v5() { 1..5 } else { 0..1 };
        (packet_id(), self.properties(property::DIAGNOSED), vec(select(codes(UNSUBSCRIBED)), counts))
            .prop_map(move |(packet_id, properties, reason_codes)| {
                self.encoded(&Packet::Unsuback(Unsuback {
                    packet_id,
                    properties: Properties::of(&borrowed(&properties)),
                    reason_codes: List::of(&reason_codes),
                }))
            })
            .boxed()
    }

    fn disconnect(self) -> BoxedStrategy<Encoded> {
        let (others, forms) = match self.to {
            Role::Client => (DISCONNECTED_BY_SERVER, property::DISCONNECT_TO_CLIENT),
            Role::Server => (DISCONNECTED_BY_CLIENT, property::DISCONNECT_TO_SERVER),
        };
        (self.only_in_v5(usually(ReasonCode::NORMAL_DISCONNECTION, codes(others))), self.properties(forms))
            .prop_map(move |(reason_code, properties)| {
                let properties = borrowed(&properties);
                let properties = Properties::of(&properties);
                self.encoded(&Packet::Disconnect(DisconnectPacket { reason_code, properties }))
            })
            .boxed()
    }

    fn auth(self) -> BoxedStrategy<Encoded> {
        let steps: &[u8] = if self.to == Role::Client { &[0x00, 0x18] } else { &[0x18, 0x19] };
        let method = property::AUTHENTICATION_METHOD.value(self.limits());
        let properties = (method, self.properties(property::AUTH))
            .prop_map(|(method, others)| [vec![method], others].concat())
            .prop_shuffle();
        (select(codes(steps)), properties)
            .prop_map(move |(reason_code, properties)| {
                let properties = borrowed(&properties);
                self.encoded(&Packet::Auth(Auth { reason_code, properties: Properties::of(&properties) }))
            })
            .boxed()
    }

    /// Success in 3.1.1, which has no reason codes here.
    fn only_in_v5(self, reason_code: BoxedStrategy<ReasonCode>) -> BoxedStrategy<ReasonCode> {
        if self.version.is_v5() { reason_code } else { Just(ReasonCode::Success).boxed() }
    }
}

/// A valid packet as the bytes that an end receives.
#[derive(Clone, PartialEq, Eq)]
pub struct Encoded {
    version: Version,
    to: Role,
    bytes: Vec<u8>,
}

impl Encoded {
    /// Encodes a packet, and makes sure that the bytes say what the packet says.
    #[expect(clippy::expect_used, reason = "what cannot be encoded, or comes back otherwise, is a fault of this crate")]
    fn of(version: Version, to: Role, packet: &Packet<'_>) -> Self {
        let len = match packet.encode(version, to, &mut []) {
            Err(Unencodable::NoRoom(len)) => Some(len),
            _ => None,
        };
        let mut bytes = vec![0; len.expect("a valid packet")];
        let written = packet.encode(version, to, &mut bytes);
        let decoded = Packet::decode(version, to, &bytes);
        assert_eq!(decoded, Ok(Some((*packet, bytes.len()))), "{version:?}, to {to:?}, encoded: {written:?}");
        Self { version, to, bytes }
    }

    /// The version.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The end that receives it.
    #[must_use]
    pub const fn to(&self) -> Role {
        self.to
    }

    /// The bytes: this packet alone, in its shortest form.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What the bytes say.
    #[must_use]
    #[expect(clippy::expect_used, reason = "it was decoded when it was made")]
    pub fn packet(&self) -> Packet<'_> {
        let decoded = Packet::decode(self.version, self.to, &self.bytes);
        decoded.ok().flatten().map(|(packet, _)| packet).expect("a valid packet")
    }
}

impl fmt::Debug for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoded")
            .field("version", &self.version)
            .field("to", &self.to)
            .field("packet", &self.packet())
            .field("bytes", &format_args!("{:02x?}", self.bytes))
            .finish()
    }
}

#[derive(Clone, Debug)]
struct OwnedWill {
    topic: String,
    payload: Vec<u8>,
    qos: QoS,
    retain: bool,
    properties: Vec<Owned>,
}

fn qos() -> impl Strategy<Value = QoS> {
    select(vec![QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce])
}

fn retain_handling() -> impl Strategy<Value = RetainHandling> {
    select(vec![RetainHandling::Send, RetainHandling::SendIfNew, RetainHandling::DoNotSend])
}

fn packet_id() -> impl Strategy<Value = PacketId> {
    any::<PacketId>()
}

/// One code as often as all the others together.
fn usually(code: ReasonCode, others: Vec<ReasonCode>) -> BoxedStrategy<ReasonCode> {
    prop_oneof![Just(code), select(others)].boxed()
}

fn codes(bytes: &[u8]) -> Vec<ReasonCode> {
    bytes.iter().copied().filter_map(ReasonCode::of_byte).collect()
}

/// How often there is a packet of each type, the simplest first.
const TYPES: [(u32, PacketType); 15] = [
    (2, PacketType::Pingreq),
    (2, PacketType::Pingresp),
    (2, PacketType::Puback),
    (2, PacketType::Pubrec),
    (2, PacketType::Pubrel),
    (2, PacketType::Pubcomp),
    (12, PacketType::Publish),
    (5, PacketType::Unsubscribe),
    (5, PacketType::Unsuback),
    (5, PacketType::Subscribe),
    (5, PacketType::Suback),
    (3, PacketType::Disconnect),
    (3, PacketType::Auth),
    (5, PacketType::Connack),
    (5, PacketType::Connect),
];

// Reason codes besides success. (5.0: 2.4)
const CONNECTED: &[u8] = &[
    0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C,
    0x9D, 0x9F,
];
const ACKNOWLEDGED: &[u8] = &[0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
const RELEASED: &[u8] = &[0x92];
const DISCONNECTED_BY_SERVER: &[u8] = &[
    0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A,
    0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2,
];
const DISCONNECTED_BY_CLIENT: &[u8] = &[0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99];

// Reason codes, success among them.
const SUBSCRIBED: &[u8] = &[0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2];
const UNSUBSCRIBED: &[u8] = &[0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91];
