//! Packets from their neutral description: the way back from `neutral::describe`.

use bumpalo::Bump;
use mqtt_session::wire::{
    AckType, Acknowledgement, Auth, Connack, ConnectPacket, Delivery, DisconnectPacket, List, Packet, Properties,
    PublishPacket, RetainHandling, Suback, SubscribePacket, Unsuback, UnsubscribePacket,
};
use mqtt_session::{PacketId, Property, QoS, ReasonCode, Subscription, Version, Will};
use serde_json::Value;

use super::from_hex;

type Result<T> = core::result::Result<T, String>;

/// Builds packets whose strings and lists lie in an arena.
#[derive(Clone, Copy)]
pub(crate) struct Builder<'a> {
    pub(crate) arena: &'a Bump,
    pub(crate) version: Version,
}

impl<'a> Builder<'a> {
    /// The packet that is described; the error says what is wrong with the description.
    pub(crate) fn packet(self, of: &Value) -> Result<Packet<'a>> {
        Ok(match of["type"].as_str().unwrap_or_default() {
            "connect" => Packet::Connect(self.connect(of)?),
            "connack" => Packet::Connack(Connack {
                session_present: flag(&of["session_present"])?,
                reason_code: self.connack_code(&of["reason_code"])?,
                properties: self.properties(of)?,
            }),
            "publish" => Packet::Publish(self.publish(of)?),
            "puback" => self.acknowledgement(AckType::Puback, of)?,
            "pubrec" => self.acknowledgement(AckType::Pubrec, of)?,
            "pubrel" => self.acknowledgement(AckType::Pubrel, of)?,
            "pubcomp" => self.acknowledgement(AckType::Pubcomp, of)?,
            "subscribe" => Packet::Subscribe(SubscribePacket {
                packet_id: packet_id(of)?,
                properties: self.properties(of)?,
                subscriptions: self.list(&of["filters"], |of| self.subscription(of))?,
            }),
            "suback" => Packet::Suback(Suback {
                packet_id: packet_id(of)?,
                properties: self.properties(of)?,
                reason_codes: self.list(&of["reason_codes"], reason_code)?,
            }),
            "unsubscribe" => Packet::Unsubscribe(UnsubscribePacket {
                packet_id: packet_id(of)?,
                properties: self.properties(of)?,
                filters: self.list(&of["filters"], |of| self.text(of))?,
            }),
            "unsuback" => Packet::Unsuback(Unsuback {
                packet_id: packet_id(of)?,
                properties: self.properties(of)?,
                reason_codes: optional(&of["reason_codes"], |of| self.list(of, reason_code))?.unwrap_or_default(),
            }),
            "pingreq" => Packet::Pingreq,
            "pingresp" => Packet::Pingresp,
            "disconnect" => Packet::Disconnect(DisconnectPacket {
                reason_code: reason_code(&of["reason_code"])?,
                properties: self.properties(of)?,
            }),
            "auth" => {
                Packet::Auth(Auth { reason_code: reason_code(&of["reason_code"])?, properties: self.properties(of)? })
            }
            _ => return Err(format!("{of} is of no known type")),
        })
    }

    fn connect(self, of: &Value) -> Result<ConnectPacket<'a>> {
        Ok(ConnectPacket {
            clean_start: flag(&of["clean_start"])?,
            keep_alive: number(&of["keep_alive"])?,
            client_id: self.text(&of["client_id"])?,
            will: optional(&of["will"], |of| self.will(of))?,
            user_name: optional(&of["username"], |of| self.text(of))?,
            password: optional(&of["password"], |of| self.binary(of))?,
            properties: self.properties(of)?,
        })
    }

    fn will(self, of: &Value) -> Result<Will<'a>> {
        Ok(Will {
            topic: self.text(&of["topic"])?,
            payload: self.binary(&of["payload"])?,
            qos: qos(&of["qos"])?,
            retain: flag(&of["retain"])?,
            properties: self.properties(of)?,
        })
    }

    fn publish(self, of: &Value) -> Result<PublishPacket<'a>> {
        let delivery = match (qos(&of["qos"])?, flag(&of["dup"])?) {
            (QoS::AtMostOnce, false) if of["packet_id"].is_null() => Delivery::AtMostOnce,
            (QoS::AtMostOnce, _) => return Err("QoS 0 has neither DUP nor a packet identifier".to_owned()),
            (QoS::AtLeastOnce, dup) => Delivery::AtLeastOnce { packet_id: packet_id(of)?, dup },
            (QoS::ExactlyOnce, dup) => Delivery::ExactlyOnce { packet_id: packet_id(of)?, dup },
        };
        Ok(PublishPacket {
            delivery,
            retain: flag(&of["retain"])?,
            topic: self.text(&of["topic"])?,
            properties: self.properties(of)?,
            payload: self.binary(&of["payload"])?,
        })
    }

    fn acknowledgement(self, kind: AckType, of: &Value) -> Result<Packet<'a>> {
        Ok(Packet::Acknowledgement(Acknowledgement {
            kind,
            packet_id: packet_id(of)?,
            reason_code: reason_code(&of["reason_code"])?,
            properties: self.properties(of)?,
        }))
    }

    fn subscription(self, of: &Value) -> Result<Subscription<'a>> {
        let plain = Subscription::new(self.text(&of["filter"])?, qos(&of["qos"])?);
        if self.version == Version::V311 {
            return Ok(plain);
        }
        let retain_handling = match number::<u8>(&of["retain_handling"])? {
            0 => RetainHandling::Send,
            1 => RetainHandling::SendIfNew,
            2 => RetainHandling::DoNotSend,
            other => return Err(format!("{other} is no retain handling")),
        };
        let no_local = flag(&of["no_local"])?;
        Ok(Subscription { no_local, retain_as_published: flag(&of["retain_as_published"])?, retain_handling, ..plain })
    }

    fn properties(self, of: &Value) -> Result<Properties<'a>> {
        let properties = optional(&of["properties"], |of| self.list(of, |of| self.property(of)))?;
        Ok(properties.unwrap_or_default())
    }

    fn property(self, of: &Value) -> Result<Property<'a>> {
        let value = &of[1];
        Ok(match of[0].as_str().unwrap_or_default() {
            "payload_format_indicator" => Property::PayloadFormatIndicator(bit(value)?),
            "message_expiry_interval" => Property::MessageExpiryInterval(number(value)?),
            "content_type" => Property::ContentType(self.text(value)?),
            "response_topic" => Property::ResponseTopic(self.text(value)?),
            "correlation_data" => Property::CorrelationData(self.binary(value)?),
            "subscription_identifier" => Property::SubscriptionIdentifier(number(value)?),
            "session_expiry_interval" => Property::SessionExpiryInterval(number(value)?),
            "assigned_client_identifier" => Property::AssignedClientIdentifier(self.text(value)?),
            "server_keep_alive" => Property::ServerKeepAlive(number(value)?),
            "authentication_method" => Property::AuthenticationMethod(self.text(value)?),
            "authentication_data" => Property::AuthenticationData(self.binary(value)?),
            "request_problem_information" => Property::RequestProblemInformation(bit(value)?),
            "will_delay_interval" => Property::WillDelayInterval(number(value)?),
            "request_response_information" => Property::RequestResponseInformation(bit(value)?),
            "response_information" => Property::ResponseInformation(self.text(value)?),
            "server_reference" => Property::ServerReference(self.text(value)?),
            "reason_string" => Property::ReasonString(self.text(value)?),
            "receive_maximum" => Property::ReceiveMaximum(number(value)?),
            "topic_alias_maximum" => Property::TopicAliasMaximum(number(value)?),
            "topic_alias" => Property::TopicAlias(number(value)?),
            "maximum_qos" => Property::MaximumQos(qos(value)?),
            "retain_available" => Property::RetainAvailable(bit(value)?),
            "user_property" => Property::UserProperty(self.text(&value[0])?, self.text(&value[1])?),
            "maximum_packet_size" => Property::MaximumPacketSize(number(value)?),
            "wildcard_subscription_available" => Property::WildcardSubscriptionAvailable(bit(value)?),
            "subscription_identifier_available" => Property::SubscriptionIdentifierAvailable(bit(value)?),
            "shared_subscription_available" => Property::SharedSubscriptionAvailable(bit(value)?),
            _ => return Err(format!("{of} is no property")),
        })
    }

    /// 3.1.1 has codes of its own for CONNACK.
    fn connack_code(self, of: &Value) -> Result<ReasonCode> {
        if self.version == Version::V311 {
            ReasonCode::of_return_code(number(of)?).ok_or_else(|| format!("{of} is no return code"))
        } else {
            reason_code(of)
        }
    }

    fn text(self, of: &Value) -> Result<&'a str> {
        of.as_str().map(|text| &*self.arena.alloc_str(text)).ok_or_else(|| format!("{of} is no text"))
    }

    fn binary(self, of: &Value) -> Result<&'a [u8]> {
        match of["hex"].as_str() {
            Some(hex) => Ok(self.arena.alloc_slice_copy(&from_hex(hex)?)),
            None => self.text(of).map(str::as_bytes),
        }
    }

    fn list<T: Copy>(self, of: &Value, element: impl Fn(&Value) -> Result<T>) -> Result<List<'a, T>> {
        let elements = of.as_array().ok_or_else(|| format!("{of} is no list"))?;
        let elements = elements.iter().map(element).collect::<Result<Vec<T>>>()?;
        Ok(List::of(self.arena.alloc_slice_copy(&elements)))
    }
}

fn optional<T>(of: &Value, build: impl FnOnce(&Value) -> Result<T>) -> Result<Option<T>> {
    if of.is_null() { Ok(None) } else { build(of).map(Some) }
}

fn flag(of: &Value) -> Result<bool> {
    of.as_bool().ok_or_else(|| format!("{of} is no flag"))
}

fn number<T: TryFrom<u64>>(of: &Value) -> Result<T> {
    of.as_u64().and_then(|number| T::try_from(number).ok()).ok_or_else(|| format!("{of} is no number of this size"))
}

/// A flag that is described by the byte that it takes.
fn bit(of: &Value) -> Result<bool> {
    match number::<u8>(of)? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(format!("{other} is neither 0 nor 1")),
    }
}

fn qos(of: &Value) -> Result<QoS> {
    QoS::of_bits(number(of)?).ok_or_else(|| format!("{of} is no QoS"))
}

fn packet_id(of: &Value) -> Result<PacketId> {
    number(&of["packet_id"]).and_then(|id| PacketId::new(id).ok_or_else(|| "packet identifier 0".to_owned()))
}

fn reason_code(of: &Value) -> Result<ReasonCode> {
    ReasonCode::of_byte(number(of)?).ok_or_else(|| format!("{of} is no reason code"))
}
