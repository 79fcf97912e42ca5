//! Valid packets at random, in their neutral description.
#![allow(clippy::indexing_slicing, reason = "a field of a JSON object is set by its index")]

use mqtt_session::{Role, Version};
use proptest::char::range;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use crate::support::to_hex;

/// Any packet of `version` that the end `to` may receive.
pub(crate) fn packet(version: Version, to: Role) -> BoxedStrategy<Value> {
    let both_ways = prop_oneof![3 => publish(version, to), 2 => acknowledgement(version)];
    let one_way = match to {
        Role::Client => prop_oneof![connack(version), suback(version), unsuback(version), ping("pingresp")].boxed(),
        Role::Server => {
            prop_oneof![connect(version), subscribe(version), unsubscribe(version), ping("pingreq")].boxed()
        }
    };
    match (version, to) {
        (Version::V3, Role::Client) => prop_oneof![both_ways, one_way].boxed(),
        (Version::V3, _) => {
            let disconnect = Just(json!({ "type": "disconnect", "reason_code": 0 }));
            prop_oneof![5 => both_ways, 4 => one_way, 1 => disconnect].boxed()
        }
        _ => prop_oneof![5 => both_ways, 4 => one_way, 1 => disconnect(to), 1 => auth(to)].boxed(),
    }
}

/// Lengths on both sides of the steps of a variable byte integer, and small ones.
pub(crate) fn length() -> impl Strategy<Value = usize> {
    prop_oneof![8 => 0..20_usize, 2 => 100..140_usize, 1 => 16_370..16_400_usize]
}

/// Text of characters of one to four bytes, U+0000 excepted.
pub(crate) fn text() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        6 => range('\u{1}', '\u{7f}'),
        2 => range('\u{80}', '\u{d7ff}'),
        1 => select(vec!['\u{feff}', '\u{fffd}', '\u{ffff}', '\u{e000}', '+', '#', '/', '$']),
        1 => range('\u{10000}', '\u{10ffff}'),
    ];
    prop::collection::vec(character, 0..12).prop_map(String::from_iter)
}

pub(crate) fn topic_name() -> impl Strategy<Value = String> {
    text().prop_map(|text| text.replace(['+', '#'], "/")).prop_filter("a topic name is not empty", |it| !it.is_empty())
}

pub(crate) fn topic_filter() -> impl Strategy<Value = String> {
    let level = prop_oneof![3 => text().prop_map(|text| text.replace(['+', '#', '/'], "")), 1 => Just("+".to_owned())];
    let levels = prop::collection::vec(level, 1..5);
    (levels, any::<bool>())
        .prop_map(|(mut levels, all_below)| {
            if all_below {
                levels.push("#".to_owned());
            }
            levels.join("/")
        })
        .prop_filter("neither empty nor shared", |it| !it.is_empty() && !it.starts_with("$share/"))
}

fn binary() -> impl Strategy<Value = Value> {
    let bytes = length().prop_flat_map(|len| prop::collection::vec(any::<u8>(), len.min(300)));
    let long = (any::<u8>(), length()).prop_map(|(byte, len)| vec![byte; len]);
    prop_oneof![bytes, long].prop_map(|bytes| json!({ "hex": to_hex(&bytes) }))
}

fn object(version: Version, mut fields: Value, properties: Vec<Value>) -> Value {
    if version == Version::V5 {
        fields["properties"] = Value::Array(properties);
    }
    fields
}

fn ping(name: &str) -> BoxedStrategy<Value> {
    Just(json!({ "type": name })).boxed()
}

fn connect(version: Version) -> BoxedStrategy<Value> {
    let credentials = (prop::option::of(text()), prop::option::of(binary()));
    let properties = properties(&CONNECT).prop_map(with_method_for_data);
    (any::<bool>(), any::<u16>(), text(), prop::option::of(will(version)), credentials, properties)
        .prop_map(move |(clean_start, keep_alive, mut client_id, will, (username, password), properties)| {
            if client_id.is_empty() && !clean_start && version == Version::V3 {
                client_id = "needs a name".to_owned();
            }
            let mut fields =
                json!({ "type": "connect", "clean_start": clean_start, "keep_alive": keep_alive, "client_id": client_id });
            if let Some(will) = will {
                fields["will"] = will;
            }
            if let Some(password) = password.filter(|_| username.is_some() || version == Version::V5) {
                fields["password"] = password;
            }
            if let Some(username) = username {
                fields["username"] = json!(username);
            }
            object(version, fields, properties)
        })
        .boxed()
}

fn will(version: Version) -> impl Strategy<Value = Value> {
    (topic_name(), binary(), 0..3_u8, any::<bool>(), properties(&WILL)).prop_map(
        move |(topic, payload, qos, retain, properties)| {
            object(version, json!({ "topic": topic, "payload": payload, "qos": qos, "retain": retain }), properties)
        },
    )
}

fn connack(version: Version) -> BoxedStrategy<Value> {
    let codes = if version == Version::V3 { (0..=5).collect() } else { CONNACK_CODES.to_vec() };
    (any::<bool>(), prop_oneof![Just(0), select(codes)], properties(&CONNACK))
        .prop_map(move |(session_present, code, properties)| {
            let present = session_present && code == 0;
            object(version, json!({ "type": "connack", "session_present": present, "reason_code": code }), properties)
        })
        .boxed()
}

fn publish(version: Version, to: Role) -> BoxedStrategy<Value> {
    let names: &[_] = if to == Role::Client { &PUBLISH_TO_CLIENT } else { &PUBLISH_TO_SERVER };
    let repeats = if to == Role::Client { 3 } else { 1 };
    let more = prop::collection::vec(property("subscription_identifier"), 0..repeats);
    let properties = (properties(names), more).prop_map(|(some, more)| [some, more].concat()).prop_shuffle();
    let flags = (0..3_u8, any::<bool>(), any::<bool>(), any::<bool>());
    (flags, topic_name(), 1..=u16::MAX, binary(), properties)
        .prop_map(move |((qos, dup, retain, nameless), mut topic, packet_id, payload, properties)| {
            if nameless && version == Version::V5 && properties.iter().any(|property| property[0] == "topic_alias") {
                topic.clear();
            }
            let mut fields = json!({
                "type": "publish", "dup": dup && qos > 0, "qos": qos, "retain": retain, "topic": topic, "payload": payload,
            });
            if qos > 0 {
                fields["packet_id"] = json!(packet_id);
            }
            object(version, fields, properties)
        })
        .boxed()
}

fn acknowledgement(version: Version) -> BoxedStrategy<Value> {
    let kinds =
        vec![("puback", ACK_CODES), ("pubrec", ACK_CODES), ("pubrel", RELEASE_CODES), ("pubcomp", RELEASE_CODES)];
    let outcome = select(kinds).prop_flat_map(|(kind, codes)| (Just(kind), prop_oneof![Just(0), select(codes)]));
    (outcome, 1..=u16::MAX, properties(&DIAGNOSED))
        .prop_map(move |((kind, code), packet_id, properties)| {
            let code = if version == Version::V3 { 0 } else { code };
            object(version, json!({ "type": kind, "packet_id": packet_id, "reason_code": code }), properties)
        })
        .boxed()
}

fn subscribe(version: Version) -> BoxedStrategy<Value> {
    let subscription = (topic_filter(), 0..3_u8, any::<bool>(), any::<bool>(), 0..3_u8, any::<bool>());
    let subscription = subscription.prop_map(move |(filter, qos, no_local, as_published, retain_handling, shared)| {
        if version == Version::V3 {
            return json!({ "filter": filter, "qos": qos });
        }
        let filter = if shared { format!("$share/group/{filter}") } else { filter };
        json!({
            "filter": filter, "qos": qos, "no_local": no_local && !shared,
            "retain_as_published": as_published, "retain_handling": retain_handling,
        })
    });
    (1..=u16::MAX, properties(&["subscription_identifier"]), prop::collection::vec(subscription, 1..5))
        .prop_map(move |(packet_id, properties, filters)| {
            object(version, json!({ "type": "subscribe", "packet_id": packet_id, "filters": filters }), properties)
        })
        .boxed()
}

fn suback(version: Version) -> BoxedStrategy<Value> {
    let codes = if version == Version::V3 { vec![0, 1, 2, 0x80] } else { SUBACK_CODES.to_vec() };
    (1..=u16::MAX, properties(&DIAGNOSED), prop::collection::vec(select(codes), 1..5))
        .prop_map(move |(packet_id, properties, codes)| {
            object(version, json!({ "type": "suback", "packet_id": packet_id, "reason_codes": codes }), properties)
        })
        .boxed()
}

fn unsubscribe(version: Version) -> BoxedStrategy<Value> {
    (1..=u16::MAX, properties(&[]), prop::collection::vec(topic_filter(), 1..5))
        .prop_map(move |(packet_id, properties, filters)| {
            object(version, json!({ "type": "unsubscribe", "packet_id": packet_id, "filters": filters }), properties)
        })
        .boxed()
}

fn unsuback(version: Version) -> BoxedStrategy<Value> {
    (1..=u16::MAX, properties(&DIAGNOSED), prop::collection::vec(select(UNSUBACK_CODES), 1..5))
        .prop_map(move |(packet_id, properties, codes)| {
            let mut fields = json!({ "type": "unsuback", "packet_id": packet_id });
            if version == Version::V5 {
                fields["reason_codes"] = json!(codes);
            }
            object(version, fields, properties)
        })
        .boxed()
}

fn disconnect(to: Role) -> BoxedStrategy<Value> {
    let (codes, names) = match to {
        Role::Client => (DISCONNECT_TO_CLIENT_CODES.to_vec(), ["server_reference", "reason_string"]),
        Role::Server => (DISCONNECT_TO_SERVER_CODES.to_vec(), ["session_expiry_interval", "reason_string"]),
    };
    (prop_oneof![Just(0), select(codes)], properties(&names))
        .prop_map(|(code, properties)| {
            object(Version::V5, json!({ "type": "disconnect", "reason_code": code }), properties)
        })
        .boxed()
}

fn auth(to: Role) -> BoxedStrategy<Value> {
    let codes = if to == Role::Client { [0x00, 0x18] } else { [0x18, 0x19] };
    let method = text().prop_map(|method| json!(["authentication_method", method]));
    let others = properties(&["authentication_data", "reason_string"]);
    let properties = (method, others).prop_map(|(method, others)| [vec![method], others].concat()).prop_shuffle();
    (select(codes.to_vec()), properties)
        .prop_map(|(code, properties)| object(Version::V5, json!({ "type": "auth", "reason_code": code }), properties))
        .boxed()
}

/// Some of the named properties, each once, among some user properties, in any order.
fn properties(names: &[&'static str]) -> BoxedStrategy<Vec<Value>> {
    let some = subsequence(names.to_vec(), 0..=names.len());
    let some = some.prop_flat_map(|names| names.into_iter().map(property).collect::<Vec<_>>());
    let none = prop::collection::vec(property("user_property"), 0..3);
    let properties = (some, none).prop_map(|(some, more)| [some, more].concat()).prop_shuffle();
    prop_oneof![1 => Just(Vec::new()), 2 => properties].boxed()
}

/// A property of this name with any value that it may have.
fn property(name: &'static str) -> BoxedStrategy<Value> {
    let value = match name {
        "payload_format_indicator"
        | "request_problem_information"
        | "request_response_information"
        | "maximum_qos"
        | "retain_available"
        | "wildcard_subscription_available"
        | "subscription_identifier_available"
        | "shared_subscription_available" => (0..=1_u8).prop_map(Value::from).boxed(),
        "server_keep_alive" | "topic_alias_maximum" => any::<u16>().prop_map(Value::from).boxed(),
        "receive_maximum" | "topic_alias" => (1..=u16::MAX).prop_map(Value::from).boxed(),
        "message_expiry_interval" | "session_expiry_interval" | "will_delay_interval" => {
            any::<u32>().prop_map(Value::from).boxed()
        }
        "maximum_packet_size" => (1..=u32::MAX).prop_map(Value::from).boxed(),
        "subscription_identifier" => {
            let edges = select(vec![1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455]);
            prop_oneof![edges, 1..268_435_456_u32].prop_map(Value::from).boxed()
        }
        "response_topic" => topic_name().prop_map(Value::from).boxed(),
        "correlation_data" | "authentication_data" => binary().boxed(),
        "user_property" => (text(), text()).prop_map(|(name, value)| json!([name, value])).boxed(),
        _ => text().prop_map(Value::from).boxed(),
    };
    value.prop_map(move |value| json!([name, value])).boxed()
}

/// Authentication data needs a method beside it.
fn with_method_for_data(mut properties: Vec<Value>) -> Vec<Value> {
    let has = |name| properties.iter().any(|property| property[0] == name);
    if has("authentication_data") && !has("authentication_method") {
        properties.push(json!(["authentication_method", "added"]));
    }
    properties
}

const CONNECT: [&str; 8] = [
    "session_expiry_interval",
    "authentication_method",
    "authentication_data",
    "request_problem_information",
    "request_response_information",
    "receive_maximum",
    "topic_alias_maximum",
    "maximum_packet_size",
];

const WILL: [&str; 6] = [
    "payload_format_indicator",
    "message_expiry_interval",
    "content_type",
    "response_topic",
    "correlation_data",
    "will_delay_interval",
];

const CONNACK: [&str; 16] = [
    "session_expiry_interval",
    "assigned_client_identifier",
    "server_keep_alive",
    "authentication_method",
    "authentication_data",
    "response_information",
    "server_reference",
    "reason_string",
    "receive_maximum",
    "topic_alias_maximum",
    "maximum_qos",
    "retain_available",
    "maximum_packet_size",
    "wildcard_subscription_available",
    "subscription_identifier_available",
    "shared_subscription_available",
];

const PUBLISH_TO_SERVER: [&str; 6] = [
    "payload_format_indicator",
    "message_expiry_interval",
    "content_type",
    "response_topic",
    "correlation_data",
    "topic_alias",
];

const PUBLISH_TO_CLIENT: [&str; 7] = [
    "payload_format_indicator",
    "message_expiry_interval",
    "content_type",
    "response_topic",
    "correlation_data",
    "topic_alias",
    "subscription_identifier",
];

const DIAGNOSED: [&str; 1] = ["reason_string"];

const CONNACK_CODES: &[u8] = &[
    0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C,
    0x9D, 0x9F,
];
const ACK_CODES: &[u8] = &[0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
const RELEASE_CODES: &[u8] = &[0x92];
const SUBACK_CODES: &[u8] = &[0, 1, 2, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2];
const UNSUBACK_CODES: &[u8] = &[0, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91];
const DISCONNECT_TO_CLIENT_CODES: &[u8] = &[
    0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A,
    0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2,
];
const DISCONNECT_TO_SERVER_CODES: &[u8] =
    &[0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99];
