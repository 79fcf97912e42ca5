//! Which packets may carry which properties: table 2-4 of MQTT 5.0, decoded and encoded.
#![cfg(all(feature = "v311", feature = "v5"))]

use crate::support::{encode, encode_again, hex};
use mqtt_session::wire::{
    Acknowledgement, Auth, Connack, ConnectPacket, DisconnectPacket, List, Packet, Properties, PublishPacket, Suback,
    SubscribePacket, Unencodable, Unsuback, UnsubscribePacket,
};
use mqtt_session::{Property, QoS, Role, Version, Violation, Will};

use Role::{Client, Server};

/// A packet with properties: its name, its receiver, its first byte, and what stands before and behind them.
type Frame = (&'static str, Role, u8, &'static str, &'static str);

const FRAMES: [Frame; 14] = [
    ("connect", Server, 0x10, "00044d515454 05 02 003c", "0000"),
    ("will", Server, 0x10, "00044d515454 05 06 003c 00 0000", "000177 0000"),
    ("connack", Client, 0x20, "00 00", ""),
    ("publish", Client, 0x30, "000161", ""),
    ("puback", Client, 0x40, "0001 00", ""),
    ("pubrec", Client, 0x50, "0001 00", ""),
    ("pubrel", Client, 0x62, "0001 00", ""),
    ("pubcomp", Client, 0x70, "0001 00", ""),
    ("subscribe", Server, 0x82, "0001", "000161 00"),
    ("suback", Client, 0x90, "0001", "00"),
    ("unsubscribe", Server, 0xA2, "0001", "000161"),
    ("unsuback", Client, 0xB0, "0001", "00"),
    ("disconnect", Server, 0xE0, "00", ""),
    ("auth", Client, 0xF0, "18", ""),
];

const DIAGNOSED: &str = "connack puback pubrec pubrel pubcomp suback unsuback disconnect auth";
const EVERY: &str = "connect will connack publish puback pubrec pubrel pubcomp subscribe suback unsubscribe unsuback \
                     disconnect auth";

/// Each property as a value and as bytes, and the packets that may carry it.
const TABLE: [(Property<'_>, &str, &str); 27] = [
    (Property::PayloadFormatIndicator(true), "01 01", "publish will"),
    (Property::MessageExpiryInterval(258), "02 00000102", "publish will"),
    (Property::ContentType("x"), "03 000178", "publish will"),
    (Property::ResponseTopic("x"), "08 000178", "publish will"),
    (Property::CorrelationData(b"\xFF"), "09 0001ff", "publish will"),
    (Property::SubscriptionIdentifier(128), "0b 8001", "publish subscribe"),
    (Property::SessionExpiryInterval(0), "11 00000000", "connect connack disconnect"),
    (Property::AssignedClientIdentifier("x"), "12 000178", "connack"),
    (Property::ServerKeepAlive(0), "13 0000", "connack"),
    (Property::AuthenticationMethod("x"), "15 000178", "connect connack auth"),
    (Property::AuthenticationData(b"\x00"), "16 000100", "connect connack auth"),
    (Property::RequestProblemInformation(false), "17 00", "connect"),
    (Property::WillDelayInterval(u32::MAX), "18 ffffffff", "will"),
    (Property::RequestResponseInformation(true), "19 01", "connect"),
    (Property::ResponseInformation("x"), "1a 000178", "connack"),
    (Property::ServerReference("x"), "1c 000178", "connack disconnect"),
    (Property::ReasonString("x"), "1f 000178", DIAGNOSED),
    (Property::ReceiveMaximum(u16::MAX), "21 ffff", "connect connack"),
    (Property::TopicAliasMaximum(0), "22 0000", "connect connack"),
    (Property::TopicAlias(1), "23 0001", "publish"),
    (Property::MaximumQos(QoS::AtMostOnce), "24 00", "connack"),
    (Property::RetainAvailable(false), "25 00", "connack"),
    (Property::UserProperty("x", ""), "26 000178 0000", EVERY),
    (Property::MaximumPacketSize(1), "27 00000001", "connect connack"),
    (Property::WildcardSubscriptionAvailable(true), "28 01", "connack"),
    (Property::SubscriptionIdentifierAvailable(true), "29 01", "connack"),
    (Property::SharedSubscriptionAvailable(true), "2a 01", "connack"),
];

fn framed((_, _, first, before, behind): Frame, properties: &[u8]) -> Vec<u8> {
    let len = |bytes: &[u8]| u8::try_from(bytes.len()).ok();
    let body = [&hex(before), &Vec::from_iter(len(properties)), properties, &hex(behind)].concat();
    [&[first], &*Vec::from_iter(len(&body)), &body].concat()
}

/// A packet as another with other properties; of a CONNECT with a will, those of the will.
fn with<'a>(packet: Packet<'a>, properties: Properties<'a>) -> Packet<'a> {
    match packet {
        Packet::Connect(packet @ ConnectPacket { will: Some(will), .. }) => {
            Packet::Connect(ConnectPacket { will: Some(Will { properties, ..will }), ..packet })
        }
        Packet::Connect(packet) => Packet::Connect(ConnectPacket { properties, ..packet }),
        Packet::Connack(packet) => Packet::Connack(Connack { properties, ..packet }),
        Packet::Publish(packet) => Packet::Publish(PublishPacket { properties, ..packet }),
        Packet::Acknowledgement(packet) => Packet::Acknowledgement(Acknowledgement { properties, ..packet }),
        Packet::Subscribe(packet) => Packet::Subscribe(SubscribePacket { properties, ..packet }),
        Packet::Suback(packet) => Packet::Suback(Suback { properties, ..packet }),
        Packet::Unsubscribe(packet) => Packet::Unsubscribe(UnsubscribePacket { properties, ..packet }),
        Packet::Unsuback(packet) => Packet::Unsuback(Unsuback { properties, ..packet }),
        Packet::Disconnect(packet) => Packet::Disconnect(DisconnectPacket { properties, ..packet }),
        Packet::Auth(packet) => Packet::Auth(Auth { properties, ..packet }),
        other => other,
    }
}

#[test]
fn each_packet_carries_its_properties_and_no_others() {
    for (frame, (property, bytes, holders)) in FRAMES.into_iter().flat_map(|frame| TABLE.map(|row| (frame, row))) {
        let (name, to, ..) = frame;
        let received = framed(frame, &hex(bytes));
        let decoded = Packet::decode(Version::V5, to, &received);
        let allowed = holders.split(' ').any(|holder| holder == name);
        assert_eq!(decoded != Err(Violation::PropertyNotAllowed), allowed, "{property:?} in {name}");

        let method = framed(frame, if name == "auth" { b"\x15\x00\x00" } else { b"" });
        let (plain, _) = Packet::decode(Version::V5, to, &method).unwrap().unwrap();
        let list = [property];
        let packet = with(plain, List::of(&list));
        match decoded {
            Ok(taken) => {
                assert_eq!(taken, Some((packet, received.len())));
                assert_eq!(encode(Version::V5, to, &packet), Ok(received));
            }
            Err(rule) => assert_eq!(encode(Version::V5, to, &packet), Err(Unencodable::Forbidden(rule))),
        }
    }
}

#[test]
fn properties_stand_once_but_for_two() {
    for (frame, (property, bytes, holders)) in FRAMES.into_iter().flat_map(|frame| TABLE.map(|row| (frame, row))) {
        let (name, to, ..) = frame;
        let received = framed(frame, &hex(bytes).repeat(2));
        let decoded = Packet::decode(Version::V5, to, &received);
        if !holders.split(' ').any(|holder| holder == name)
            || (name, property.name()) == ("disconnect", "server_reference")
        {
            continue;
        }
        match (property, name) {
            (Property::UserProperty(..), "auth") => assert_eq!(decoded, Err(Violation::AuthenticationMethodMissing)),
            (Property::UserProperty(..), _) | (Property::SubscriptionIdentifier(_), "publish") => {
                let (packet, len) = decoded.unwrap().unwrap();
                encode_again(Version::V5, to, &packet, len);
            }
            _ => assert_eq!(decoded, Err(Violation::PropertyRepeated), "{property:?} in {name}"),
        }
    }
}

#[test]
fn properties_end_within_their_block() {
    for (property, bytes, holders) in TABLE {
        let frame = FRAMES.into_iter().find(|(name, ..)| holders.starts_with(name)).expect("a holder");
        let (_, to, ..) = frame;
        let bytes = hex(bytes);
        let (cut, _) = bytes.split_at(bytes.len() - 1);
        assert_eq!(
            Packet::decode(Version::V5, to, &framed(frame, cut)),
            Err(Violation::FieldTruncated),
            "{property:?}"
        );
    }
}

#[test]
fn the_table_is_whole() {
    let identifiers: Vec<_> = TABLE.iter().map(|(property, ..)| property.identifier()).collect();
    assert!(identifiers.is_sorted_by(|one, next| one < next));
    for identifier in (0..0x80).filter(|identifier| !identifiers.contains(identifier)) {
        for frame in FRAMES {
            let (name, to, ..) = frame;
            let received = framed(frame, &[identifier, 0, 0, 0, 0]);
            let decoded = Packet::decode(Version::V5, to, &received);
            assert_eq!(decoded, Err(Violation::PropertyUnknown), "{identifier:#04x} in {name}");
        }
    }
    let long = [0xA6, 0x00, 0x00, 0x00, 0x00, 0x00];
    assert_eq!(Packet::decode(Version::V5, Client, &framed(FRAMES[2], &long)), Err(Violation::IntegerPadded));
    let long = [0xA6, 0x01, 0x00, 0x00, 0x00, 0x00];
    assert_eq!(Packet::decode(Version::V5, Client, &framed(FRAMES[2], &long)), Err(Violation::PropertyUnknown));
}

/// Given by an application and received alike, whatever stands between them.
#[test]
fn what_may_stand_several_times_is_told_in_order() {
    let given = [
        Property::UserProperty("a", "b"),
        Property::SubscriptionIdentifier(128),
        Property::ContentType("x"),
        Property::SubscriptionIdentifier(1),
        Property::UserProperty("a", "c"),
    ];
    let bytes = framed(FRAMES[3], &hex("26 000161 000162 0b 8001 03 000178 0b 01 26 000161 000163"));
    let Ok(Some((Packet::Publish(received), _))) = Packet::decode(Version::V5, Client, &bytes) else {
        panic!("a PUBLISH")
    };
    for properties in [Properties::of(&given), received.properties] {
        assert_eq!(properties.subscription_identifiers().collect::<Vec<_>>(), [128, 1]);
        assert_eq!(properties.user_properties().collect::<Vec<_>>(), [("a", "b"), ("a", "c")]);
        assert_eq!((properties.subscription_identifier(), properties.content_type()), (Some(128), Some("x")));
    }
    assert_eq!(Properties::EMPTY.subscription_identifiers().count(), 0);
    assert_eq!(Properties::EMPTY.user_properties().count(), 0);
}

#[test]
fn lists_are_equal_where_their_elements_are() {
    let (alias, pair) = (Property::TopicAlias(1), Property::UserProperty("x", ""));
    let given = [alias, pair];
    let received = framed(FRAMES[3], &hex("23 0001 26 000178 0000"));
    let Ok(Some((Packet::Publish(publish), _))) = Packet::decode(Version::V5, Client, &received) else {
        panic!("a PUBLISH")
    };
    assert_eq!(publish.properties, List::of(&given));
    for other in [&[pair, alias][..], &[alias], &[alias, pair, pair], &[Property::TopicAlias(2), pair], &[]] {
        assert_ne!(publish.properties, List::of(other));
    }
}
