//! Packets as JSON: the neutral description that the test vectors use.

use mqtt_session::wire::{AckType, Acknowledgement, Element, List, Packet, Properties, Subscription};
use mqtt_session::{Property, ReasonCode, Version, Will};
use serde_json::{Map, Value, json};

/// Describes a packet of `version`.
pub(crate) fn describe(version: Version, packet: &Packet<'_>) -> Value {
    let mut object = Object::new(version, packet_type(packet));
    match packet {
        Packet::Connect(connect) => {
            object.set("clean_start", connect.clean_start);
            object.set("keep_alive", connect.keep_alive);
            object.set("client_id", connect.client_id);
            object.properties(&connect.properties);
            object.set_some("will", connect.will.as_ref().map(|will| describe_will(version, will)));
            object.set_some("username", connect.user_name);
            object.set_some("password", connect.password.map(binary));
        }
        Packet::Connack(connack) => {
            object.set("session_present", connack.session_present);
            object.set("reason_code", connack_code(version, connack.reason_code));
            object.properties(&connack.properties);
        }
        Packet::Publish(publish) => {
            object.set("dup", publish.delivery.dup());
            object.set("qos", publish.delivery.qos() as u8);
            object.set("retain", publish.retain);
            object.set("topic", publish.topic);
            object.set("payload", binary(publish.payload));
            object.set_some("packet_id", publish.delivery.packet_id().map(|packet_id| packet_id.get()));
            object.properties(&publish.properties);
        }
        Packet::Acknowledgement(Acknowledgement { packet_id, reason_code, properties, .. }) => {
            object.set("packet_id", packet_id.get());
            object.outcome(*reason_code, properties);
        }
        Packet::Subscribe(subscribe) => {
            object.set("packet_id", subscribe.packet_id.get());
            object.properties(&subscribe.properties);
            object
                .set("filters", list(&subscribe.subscriptions, |subscription| describe_filter(version, subscription)));
        }
        Packet::Suback(suback) => {
            object.set("packet_id", suback.packet_id.get());
            object.properties(&suback.properties);
            object.set("reason_codes", list(&suback.reason_codes, |code| json!(*code as u8)));
        }
        Packet::Unsubscribe(unsubscribe) => {
            object.set("packet_id", unsubscribe.packet_id.get());
            object.properties(&unsubscribe.properties);
            object.set("filters", list(&unsubscribe.filters, |filter| json!(filter)));
        }
        Packet::Unsuback(unsuback) => {
            object.set("packet_id", unsuback.packet_id.get());
            object.properties(&unsuback.properties);
            if version == Version::V5 {
                object.set("reason_codes", list(&unsuback.reason_codes, |code| json!(*code as u8)));
            }
        }
        Packet::Disconnect(disconnect) => object.outcome(disconnect.reason_code, &disconnect.properties),
        Packet::Auth(auth) => object.outcome(auth.reason_code, &auth.properties),
        _ => {}
    }
    Value::Object(object.fields)
}

/// A JSON object whose fields are set one by one.
struct Object {
    version: Version,
    fields: Map<String, Value>,
}

impl Object {
    fn new(version: Version, packet_type: &str) -> Self {
        let mut object = Self { version, fields: Map::new() };
        object.set("type", packet_type);
        object
    }

    fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.fields.insert(name.to_owned(), value.into());
    }

    fn set_some(&mut self, name: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.set(name, value);
        }
    }

    /// 3.1.1 has no properties, not even none.
    fn properties(&mut self, properties: &Properties<'_>) {
        if self.version == Version::V5 {
            self.set("properties", list(properties, describe_property));
        }
    }

    /// The end of a packet that may leave its properties out.
    fn outcome(&mut self, reason_code: ReasonCode, properties: &Properties<'_>) {
        self.set("reason_code", reason_code as u8);
        if !properties.is_empty() {
            self.properties(properties);
        }
    }
}

fn packet_type(packet: &Packet<'_>) -> &'static str {
    match packet {
        Packet::Connect(_) => "connect",
        Packet::Connack(_) => "connack",
        Packet::Publish(_) => "publish",
        Packet::Acknowledgement(packet) => match packet.kind {
            AckType::Puback => "puback",
            AckType::Pubrec => "pubrec",
            AckType::Pubrel => "pubrel",
            AckType::Pubcomp => "pubcomp",
        },
        Packet::Subscribe(_) => "subscribe",
        Packet::Suback(_) => "suback",
        Packet::Unsubscribe(_) => "unsubscribe",
        Packet::Unsuback(_) => "unsuback",
        Packet::Pingreq => "pingreq",
        Packet::Pingresp => "pingresp",
        Packet::Disconnect(_) => "disconnect",
        Packet::Auth(_) => "auth",
        _ => "unknown",
    }
}

fn describe_will(version: Version, will: &Will<'_>) -> Value {
    let mut object = Object { version, fields: Map::new() };
    object.set("topic", will.topic);
    object.set("payload", binary(will.payload));
    object.set("qos", will.qos as u8);
    object.set("retain", will.retain);
    object.properties(&will.properties);
    Value::Object(object.fields)
}

fn describe_filter(version: Version, subscription: &Subscription<'_>) -> Value {
    let mut object = Object { version, fields: Map::new() };
    object.set("filter", subscription.filter);
    object.set("qos", subscription.qos as u8);
    if version == Version::V5 {
        object.set("no_local", subscription.no_local);
        object.set("retain_as_published", subscription.retain_as_published);
        object.set("retain_handling", subscription.retain_handling as u8);
    }
    Value::Object(object.fields)
}

fn describe_property(property: &Property<'_>) -> Value {
    let value = match *property {
        Property::PayloadFormatIndicator(flag)
        | Property::RequestProblemInformation(flag)
        | Property::RequestResponseInformation(flag)
        | Property::RetainAvailable(flag)
        | Property::WildcardSubscriptionAvailable(flag)
        | Property::SubscriptionIdentifierAvailable(flag)
        | Property::SharedSubscriptionAvailable(flag) => json!(u8::from(flag)),
        Property::ServerKeepAlive(value)
        | Property::ReceiveMaximum(value)
        | Property::TopicAliasMaximum(value)
        | Property::TopicAlias(value) => json!(value),
        Property::MessageExpiryInterval(value)
        | Property::SubscriptionIdentifier(value)
        | Property::SessionExpiryInterval(value)
        | Property::WillDelayInterval(value)
        | Property::MaximumPacketSize(value) => json!(value),
        Property::ContentType(text)
        | Property::ResponseTopic(text)
        | Property::AssignedClientIdentifier(text)
        | Property::AuthenticationMethod(text)
        | Property::ResponseInformation(text)
        | Property::ServerReference(text)
        | Property::ReasonString(text) => json!(text),
        Property::CorrelationData(data) | Property::AuthenticationData(data) => binary(data),
        Property::MaximumQos(qos) => json!(qos as u8),
        Property::UserProperty(name, value) => json!([name, value]),
        _ => Value::Null,
    };
    json!([property.name(), value])
}

/// The return codes of 3.1.1 are described as they are on the wire.
fn connack_code(version: Version, code: ReasonCode) -> u8 {
    match version {
        Version::V311 => code.return_code().unwrap_or(code as u8),
        _ => code as u8,
    }
}

/// Text where it is printable, hex otherwise.
fn binary(bytes: &[u8]) -> Value {
    match str::from_utf8(bytes) {
        Ok(text) if !text.contains(char::is_control) => json!(text),
        _ => json!({ "hex": to_hex(bytes) }),
    }
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn list<'a, T: Element<'a>>(elements: &List<'a, T>, describe: impl Fn(&T) -> Value) -> Value {
    elements.iter().map(|element| describe(&element)).collect()
}
