//! What a peer would refuse cannot be encoded.
#![cfg(all(feature = "v311", feature = "v5"))]
#![allow(clippy::panic, reason = "a fault here is a failed test")]

use crate::support::{CONNECTIONS, encode, hex};
use mqtt_session::wire::{
    AckType, Acknowledgement, Auth, Connack, ConnectPacket, Delivery, DisconnectPacket, List, Packet, Properties,
    PublishPacket, RetainHandling, Suback, SubscribePacket, Unencodable, Unsuback, UnsubscribePacket,
};
use mqtt_session::{PacketId, Property, QoS, ReasonCode, Role, Subscription, Version, Violation, Will};

use Role::{Client, Server};
use Unencodable::{Forbidden, NotInVersion};
use Version::{V5, V311};

const ID: PacketId = PacketId::MIN;
const LONG: &str = match str::from_utf8(&[b'a'; 65_536]) {
    Ok(text) => text,
    Err(_) => "",
};

const CONNECT: ConnectPacket<'_> = ConnectPacket {
    clean_start: true,
    keep_alive: 60,
    client_id: "c",
    will: None,
    user_name: None,
    password: None,
    properties: Properties::EMPTY,
};
const WILL: Will<'_> =
    Will { topic: "w", payload: b"", qos: QoS::AtMostOnce, retain: false, properties: Properties::EMPTY };
const PUBLISH: PublishPacket<'_> = PublishPacket {
    delivery: Delivery::AtMostOnce,
    retain: false,
    topic: "t",
    properties: Properties::EMPTY,
    payload: b"",
};
const CONNACK: Connack<'_> =
    Connack { session_present: false, reason_code: ReasonCode::Success, properties: Properties::EMPTY };
const AUTH: Auth<'_> = Auth {
    reason_code: ReasonCode::ContinueAuthentication,
    properties: List::of(&[Property::AuthenticationMethod("m")]),
};

const fn too_long(needed: u32, available: u32) -> Unencodable {
    Unencodable::TooLong { needed, available }
}

/// Neither into nothing nor into more room than enough.
#[track_caller]
fn refused(version: Version, to: Role, packet: &Packet<'_>, why: Unencodable) {
    for room in [0, 100_000] {
        let found = packet.encode(version, to, &mut vec![0; room]);
        assert_eq!(found, Err(why), "{version:?} to {to:?}: {}", shown(packet));
    }
}

#[track_caller]
fn accepted(version: Version, to: Role, packet: &Packet<'_>) {
    let bytes = encode(version, to, packet);
    let bytes = bytes.unwrap_or_else(|fault| panic!("{version:?} to {to:?}: {}: {fault}", shown(packet)));
    assert!(Packet::decode(version, to, &bytes) == Ok(Some((*packet, bytes.len()))), "{}", shown(packet));
}

/// The front of what `Debug` shows; strings may be long.
fn shown(packet: &Packet<'_>) -> String {
    format!("{packet:?}").chars().take(200).collect()
}

fn publish(topic: &str) -> Packet<'_> {
    Packet::Publish(PublishPacket { topic, ..PUBLISH })
}

fn subscribe<'a>(subscriptions: &'a [Subscription<'a>], properties: &'a [Property<'a>]) -> Packet<'a> {
    let (properties, subscriptions) = (properties.into(), subscriptions.into());
    Packet::Subscribe(SubscribePacket { packet_id: ID, properties, subscriptions })
}

fn unsubscribe<'a>(filters: &'a [&'a str], properties: &'a [Property<'a>]) -> Packet<'a> {
    Packet::Unsubscribe(UnsubscribePacket { packet_id: ID, properties: properties.into(), filters: filters.into() })
}

fn suback<'a>(reason_codes: &'a [ReasonCode], properties: &'a [Property<'a>]) -> Packet<'a> {
    Packet::Suback(Suback { packet_id: ID, properties: properties.into(), reason_codes: reason_codes.into() })
}

fn unsuback<'a>(reason_codes: &'a [ReasonCode], properties: &'a [Property<'a>]) -> Packet<'a> {
    Packet::Unsuback(Unsuback { packet_id: ID, properties: properties.into(), reason_codes: reason_codes.into() })
}

fn disconnect<'a>(reason_code: ReasonCode, properties: &'a [Property<'a>]) -> Packet<'a> {
    Packet::Disconnect(DisconnectPacket { reason_code, properties: properties.into() })
}

fn acknowledgement<'a>(kind: AckType, reason_code: ReasonCode, properties: &'a [Property<'a>]) -> Packet<'a> {
    Packet::Acknowledgement(Acknowledgement { kind, packet_id: ID, reason_code, properties: properties.into() })
}

fn will(will: Will<'_>) -> Packet<'_> {
    Packet::Connect(ConnectPacket { will: Some(will), ..CONNECT })
}

/// The packets that may carry properties, each with `properties`, and the end that receives them.
fn with_properties<'a>(properties: &'a [Property<'a>]) -> Vec<(Role, Packet<'a>)> {
    use AckType::{Puback, Pubcomp, Pubrec, Pubrel};
    let success = ReasonCode::Success;
    let list = Properties::of(properties);
    let mut all = vec![
        (Server, Packet::Connect(ConnectPacket { properties: list, ..CONNECT })),
        (Server, will(Will { properties: list, ..WILL })),
        (Client, Packet::Connack(Connack { properties: list, ..CONNACK })),
        (Client, Packet::Publish(PublishPacket { properties: list, ..PUBLISH })),
        (Server, subscribe(&[const { Subscription::new("f", QoS::AtMostOnce) }], properties)),
        (Client, suback(&[ReasonCode::Success], properties)),
        (Server, unsubscribe(&["f"], properties)),
        (Client, unsuback(&[ReasonCode::Success], properties)),
        (Server, disconnect(success, properties)),
    ];
    all.extend([Puback, Pubrec, Pubrel, Pubcomp].map(|kind| (Client, acknowledgement(kind, success, properties))));
    all
}

#[test]
fn topic_names() {
    let names = [
        ("", Violation::TopicNameEmpty),
        ("+", Violation::TopicNameWildcard),
        ("a/#", Violation::TopicNameWildcard),
        ("a+b", Violation::TopicNameWildcard),
        ("a\0", Violation::StringContainsNull),
        ("\0a\0", Violation::StringContainsNull),
    ];
    for (topic, rule) in names {
        for (version, to) in CONNECTIONS {
            refused(version, to, &publish(topic), Forbidden(rule));
        }
        for version in [V311, V5] {
            refused(version, Server, &will(Will { topic, ..WILL }), Forbidden(rule));
        }
        let response = [Property::ResponseTopic(topic)];
        let packet = Packet::Publish(PublishPacket { properties: List::of(&response), ..PUBLISH });
        refused(V5, Server, &packet, Forbidden(rule));
    }
}

#[test]
fn a_topic_alias_stands_in_for_the_topic_name_and_for_nothing_else() {
    let alias = Properties::of(&[Property::TopicAlias(1)]);
    accepted(V5, Server, &Packet::Publish(PublishPacket { topic: "", properties: alias, ..PUBLISH }));
    let text = Properties::of(&[Property::PayloadFormatIndicator(true)]);
    let nameless = Packet::Publish(PublishPacket { topic: "", properties: text, ..PUBLISH });
    refused(V5, Server, &nameless, Forbidden(Violation::TopicNameEmpty));
    assert_eq!(Packet::decode(V5, Server, &hex("30 05 0000 02 0101")), Err(Violation::TopicNameEmpty));
    let wildcard = Packet::Publish(PublishPacket { topic: "#", properties: alias, ..PUBLISH });
    refused(V5, Server, &wildcard, Forbidden(Violation::TopicNameWildcard));
    let will = will(Will { topic: "", ..WILL });
    refused(V5, Server, &will, Forbidden(Violation::TopicNameEmpty));
}

#[test]
fn topic_filters() {
    let filters = [
        (V311, "", Violation::TopicFilterEmpty),
        (V5, "", Violation::TopicFilterEmpty),
        (V311, "a/#/b", Violation::MultiLevelWildcardMisplaced),
        (V5, "a#", Violation::MultiLevelWildcardMisplaced),
        (V311, "a+/b", Violation::SingleLevelWildcardMisplaced),
        (V5, "++", Violation::SingleLevelWildcardMisplaced),
        (V5, "$share//a", Violation::ShareNameEmpty),
        (V5, "$share/g", Violation::ShareNameMisplaced),
        (V5, "$share/g/", Violation::ShareNameMisplaced),
        (V5, "$share/#/a", Violation::ShareNameMisplaced),
        (V311, "a\0b", Violation::StringContainsNull),
        (V5, "a\0b", Violation::StringContainsNull),
    ];
    for (version, filter, rule) in filters {
        let good = Subscription::new("good", QoS::AtMostOnce);
        let bad = Subscription::new(filter, QoS::AtMostOnce);
        refused(version, Server, &subscribe(&[bad], &[]), Forbidden(rule));
        refused(version, Server, &subscribe(&[good, bad], &[]), Forbidden(rule));
        refused(version, Server, &unsubscribe(&[filter], &[]), Forbidden(rule));
        refused(version, Server, &unsubscribe(&["good", filter], &[]), Forbidden(rule));
    }
}

#[test]
fn subscription_options() {
    let plain = Subscription::new("f", QoS::ExactlyOnce);
    let shared = Subscription { no_local: true, ..Subscription::new("$share/g/f", QoS::AtMostOnce) };
    refused(V5, Server, &subscribe(&[shared], &[]), Forbidden(Violation::NoLocalOnShared));
    accepted(V5, Server, &subscribe(&[Subscription { no_local: false, ..shared }], &[]));
    for options in [
        Subscription { no_local: true, ..plain },
        Subscription { retain_as_published: true, ..plain },
        Subscription { retain_handling: RetainHandling::DoNotSend, ..plain },
    ] {
        refused(V311, Server, &subscribe(&[options], &[]), NotInVersion);
        accepted(V5, Server, &subscribe(&[options], &[]));
    }
    accepted(V311, Server, &subscribe(&[plain], &[]));
}

#[test]
fn empty_lists() {
    for version in [V311, V5] {
        refused(version, Server, &subscribe(&[], &[]), Forbidden(Violation::SubscribeEmpty));
        refused(version, Server, &unsubscribe(&[], &[]), Forbidden(Violation::UnsubscribeEmpty));
        refused(version, Client, &suback(&[], &[]), Forbidden(Violation::SubackEmpty));
    }
    refused(V5, Client, &unsuback(&[], &[]), Forbidden(Violation::UnsubackEmpty));
    accepted(V311, Client, &unsuback(&[], &[]));
}

#[test]
fn what_3_1_1_has_no_field_for() {
    for (to, packet) in with_properties(&[Property::UserProperty("", "")]) {
        refused(V311, to, &packet, NotInVersion);
        accepted(V5, to, &packet);
    }
    let banned = Connack { reason_code: ReasonCode::Banned, ..CONNACK };
    refused(V311, Client, &Packet::Connack(banned), NotInVersion);
    refused(V311, Client, &acknowledgement(AckType::Puback, ReasonCode::NoMatchingSubscribers, &[]), NotInVersion);
    refused(V311, Client, &acknowledgement(AckType::Pubrec, ReasonCode::QuotaExceeded, &[]), NotInVersion);
    refused(V311, Server, &acknowledgement(AckType::Pubrel, ReasonCode::PacketIdentifierNotFound, &[]), NotInVersion);
    refused(V311, Server, &acknowledgement(AckType::Pubcomp, ReasonCode::PacketIdentifierNotFound, &[]), NotInVersion);
    refused(V311, Server, &disconnect(ReasonCode::DisconnectWithWill, &[]), NotInVersion);
    refused(V311, Client, &unsuback(&[ReasonCode::Success], &[]), NotInVersion);
    let not_authorized = suback(&[ReasonCode::NotAuthorized], &[]);
    refused(V311, Client, &not_authorized, Forbidden(Violation::SubackCodeReserved));
    for to in [Client, Server] {
        refused(V311, to, &Packet::Auth(AUTH), Forbidden(Violation::PacketTypeReserved));
    }
}

#[test]
fn packets_for_the_other_end() {
    let wrong = Forbidden(Violation::PacketNotForThisEnd);
    for version in [V311, V5] {
        let filters = [Subscription::new("f", QoS::AtMostOnce)];
        let connect = Packet::Connect(CONNECT);
        for packet in [connect, subscribe(&filters, &[]), unsubscribe(&["f"], &[]), Packet::Pingreq] {
            accepted(version, Server, &packet);
            refused(version, Client, &packet, wrong);
        }
        for packet in [Packet::Connack(CONNACK), suback(&[ReasonCode::Success], &[]), Packet::Pingresp] {
            accepted(version, Client, &packet);
            refused(version, Server, &packet, wrong);
        }
    }
    refused(V311, Server, &unsuback(&[], &[]), wrong);
    refused(V5, Server, &unsuback(&[ReasonCode::Success], &[]), wrong);
    refused(V311, Client, &disconnect(ReasonCode::Success, &[]), wrong);
    accepted(V5, Client, &disconnect(ReasonCode::Success, &[]));
}

/// Every packet with every reason code: what is encoded is exactly what a receiver takes.
#[test]
fn reason_codes_outside_their_table() {
    for (to, template, legal, illegal, rule) in CODES {
        let with_code = |code| hex(&template.replace("xx", &format!("{:02x}", code as u8)));
        let sample = with_code(legal);
        let (sample, _) = Packet::decode(V5, to, &sample).unwrap().unwrap();
        assert_eq!(Packet::decode(V5, to, &with_code(illegal)), Err(rule));
        for &code in ReasonCode::ALL {
            let codes = [code];
            let packet = recoded(sample, &codes);
            let received = Packet::decode(V5, to, &with_code(code)).map(|_| packet);
            if received == Err(rule) {
                refused(V5, to, &packet, Forbidden(rule));
            } else {
                accepted(V5, to, &packet);
            }
        }
    }
}

/// A packet as another with other reason codes.
fn recoded<'a>(packet: Packet<'a>, codes: &'a [ReasonCode; 1]) -> Packet<'a> {
    let &[reason_code] = codes;
    match packet {
        Packet::Connack(packet) => Packet::Connack(Connack { reason_code, ..packet }),
        Packet::Acknowledgement(packet) => Packet::Acknowledgement(Acknowledgement { reason_code, ..packet }),
        Packet::Suback(packet) => Packet::Suback(Suback { reason_codes: List::of(codes), ..packet }),
        Packet::Unsuback(packet) => Packet::Unsuback(Unsuback { reason_codes: List::of(codes), ..packet }),
        Packet::Disconnect(packet) => Packet::Disconnect(DisconnectPacket { reason_code, ..packet }),
        Packet::Auth(packet) => Packet::Auth(Auth { reason_code, ..packet }),
        other => other,
    }
}

#[test]
fn connect_that_contradicts_itself() {
    let password = Packet::Connect(ConnectPacket { password: Some(b"p"), ..CONNECT });
    refused(V311, Server, &password, Forbidden(Violation::PasswordWithoutUserName));
    accepted(V5, Server, &password);
    let nameless = Packet::Connect(ConnectPacket { clean_start: false, client_id: "", ..CONNECT });
    refused(V311, Server, &nameless, Forbidden(Violation::ClientIdentifierEmpty));
    accepted(V5, Server, &nameless);
    accepted(V311, Server, &Packet::Connect(ConnectPacket { client_id: "", ..CONNECT }));
}

#[test]
fn session_present_in_a_refusal() {
    for version in [V311, V5] {
        let present = Connack { session_present: true, ..CONNACK };
        accepted(version, Client, &Packet::Connack(present));
        let refusal = Packet::Connack(Connack { reason_code: ReasonCode::NotAuthorized, ..present });
        refused(version, Client, &refusal, Forbidden(Violation::SessionPresentInRefusal));
    }
}

#[test]
fn values_of_properties() {
    let connack = |of| (Client, Packet::Connack(Connack { properties: List::of(of), ..CONNACK }));
    let connect = |of| (Server, Packet::Connect(ConnectPacket { properties: List::of(of), ..CONNECT }));
    let publish = |to, of| (to, Packet::Publish(PublishPacket { properties: List::of(of), ..PUBLISH }));
    let auth = |of| (Server, Packet::Auth(Auth { properties: List::of(of), ..AUTH }));
    let filters = [Subscription::new("f", QoS::AtMostOnce)];
    let subscribe = |of| (Server, subscribe(&filters, of));
    let rows = [
        (connack(&[Property::ReceiveMaximum(0)]), Violation::ReceiveMaximumZero),
        (connect(&[Property::ReceiveMaximum(0)]), Violation::ReceiveMaximumZero),
        (connack(&[Property::MaximumPacketSize(0)]), Violation::MaximumPacketSizeZero),
        (connect(&[Property::MaximumPacketSize(0)]), Violation::MaximumPacketSizeZero),
        (connack(&[Property::MaximumQos(QoS::ExactlyOnce)]), Violation::MaximumQosInvalid),
        (publish(Server, &[Property::TopicAlias(0)]), Violation::TopicAliasZero),
        (publish(Client, &[Property::SubscriptionIdentifier(0)]), Violation::SubscriptionIdentifierZero),
        (subscribe(&[Property::SubscriptionIdentifier(0)]), Violation::SubscriptionIdentifierZero),
        (publish(Server, &[Property::SubscriptionIdentifier(1)]), Violation::SubscriptionIdentifierFromClient),
        (publish(Client, &[Property::TopicAlias(1), Property::TopicAlias(1)]), Violation::PropertyRepeated),
        (subscribe(&[const { Property::SubscriptionIdentifier(1) }; 2]), Violation::PropertyRepeated),
        (publish(Client, &[Property::ReceiveMaximum(1)]), Violation::PropertyNotAllowed),
        (connack(&[Property::WillDelayInterval(1)]), Violation::PropertyNotAllowed),
        (connect(&[Property::AuthenticationData(b"")]), Violation::AuthenticationDataAlone),
        (auth(&[]), Violation::AuthenticationMethodMissing),
        (auth(&[Property::AuthenticationData(b"")]), Violation::AuthenticationMethodMissing),
        (auth(&[Property::AuthenticationMethod("\0")]), Violation::StringContainsNull),
        (connect(&[Property::UserProperty("\0", "")]), Violation::StringContainsNull),
        (connect(&[Property::UserProperty("", "\0")]), Violation::StringContainsNull),
    ];
    for ((to, packet), rule) in rows {
        refused(V5, to, &packet, Forbidden(rule));
    }
    let expiry = [Property::SessionExpiryInterval(1)];
    accepted(V5, Server, &disconnect(ReasonCode::Success, &expiry));
    refused(V5, Client, &disconnect(ReasonCode::Success, &expiry), Forbidden(Violation::SessionExpiryFromServer));
    let reference = [Property::ServerReference("s")];
    accepted(V5, Client, &disconnect(ReasonCode::ServerMoved, &reference));
    refused(V5, Server, &disconnect(ReasonCode::Success, &reference), Forbidden(Violation::ServerReferenceFromClient));
    let twice = [Property::SubscriptionIdentifier(268_435_455); 2];
    accepted(V5, Client, &publish(Client, &twice).1);
}

#[test]
fn fields_longer_than_their_length_can_say() {
    let (fits, _) = LONG.split_at(65_535);
    for version in [V311, V5] {
        let holders_of = |text: &'static str| {
            let will = Will { topic: text, payload: text.as_bytes(), ..WILL };
            let named = ConnectPacket { user_name: Some(text), password: Some(text.as_bytes()), ..CONNECT };
            let (user_name, password) = (Some("u"), named.password);
            [
                Packet::Connect(ConnectPacket { client_id: text, ..CONNECT }),
                Packet::Connect(ConnectPacket { user_name: named.user_name, ..CONNECT }),
                Packet::Connect(ConnectPacket { user_name, password, ..CONNECT }),
                Packet::Connect(ConnectPacket { will: Some(Will { topic: "w", ..will }), ..CONNECT }),
                Packet::Connect(ConnectPacket { will: Some(Will { payload: b"", ..will }), ..CONNECT }),
                publish(text),
                subscribe(Vec::leak(vec![Subscription::new(text, QoS::AtMostOnce)]), &[]),
                unsubscribe(Vec::leak(vec![text]), &[]),
            ]
        };
        holders_of(fits).iter().for_each(|packet| accepted(version, Server, packet));
        holders_of(LONG).iter().for_each(|packet| refused(version, Server, packet, too_long(65_536, 65_535)));
    }
    let long_name = [Property::UserProperty(LONG, "")];
    let long_value = [Property::UserProperty("", LONG)];
    let long_type = [Property::ContentType(LONG)];
    let long_data = [Property::CorrelationData(LONG.as_bytes())];
    for list in [long_name, long_value, long_type, long_data] {
        let packet = Packet::Publish(PublishPacket { properties: List::of(&list), ..PUBLISH });
        refused(V5, Client, &packet, too_long(65_536, 65_535));
    }
    for identifier in [268_435_456, u32::MAX] {
        let list = [Property::SubscriptionIdentifier(identifier)];
        let packet = Packet::Publish(PublishPacket { properties: List::of(&list), ..PUBLISH });
        refused(V5, Client, &packet, too_long(identifier, 268_435_455));
    }
}

#[test]
fn the_longest_packet() {
    let zeros = vec![0; 268_435_453];
    let (payload, _) = zeros.split_at(268_435_452);
    let longest = |payload| Packet::Publish(PublishPacket { payload, ..PUBLISH });
    assert_eq!(longest(payload).encode(V311, Server, &mut []), Err(Unencodable::NoRoom(268_435_460)));
    let by_one = too_long(268_435_456, 268_435_455);
    assert_eq!(longest(&zeros).encode(V311, Server, &mut []), Err(by_one));
    assert_eq!(longest(payload).encode(V5, Server, &mut []), Err(by_one), "a byte for the length of no properties");
}

/// For each packet with a reason code `xx` one that is legal, one that is not, and the rule that this one breaks.
#[rustfmt::skip]
const CODES: [(Role, &str, ReasonCode, ReasonCode, Violation); 11] = [
    (Client, "20 03 00 xx 00", ReasonCode::ServerMoved, ReasonCode::DisconnectWithWill, Violation::ConnackCodeReserved),
    (Client, "40 03 0001 xx", ReasonCode::QuotaExceeded, ReasonCode::ServerBusy, Violation::PubackCodeReserved),
    (Server, "50 03 0001 xx", ReasonCode::NotAuthorized, ReasonCode::GrantedQos1, Violation::PubrecCodeReserved),
    (Client, "62 03 0001 xx", ReasonCode::PacketIdentifierNotFound, ReasonCode::ServerBusy, Violation::PubrelCodeReserved),
    (Server, "70 03 0001 xx", ReasonCode::PacketIdentifierNotFound, ReasonCode::ServerBusy, Violation::PubcompCodeReserved),
    (Client, "90 04 0001 00 xx", ReasonCode::GrantedQos2, ReasonCode::ServerBusy, Violation::SubackCodeReserved),
    (Client, "b0 04 0001 00 xx", ReasonCode::NoSubscriptionExisted, ReasonCode::GrantedQos1, Violation::UnsubackCodeReserved),
    (Client, "e0 01 xx", ReasonCode::ServerShuttingDown, ReasonCode::DisconnectWithWill, Violation::DisconnectCodeReserved),
    (Server, "e0 01 xx", ReasonCode::DisconnectWithWill, ReasonCode::ServerShuttingDown, Violation::DisconnectCodeReserved),
    (Client, "f0 05 xx 03 150000", ReasonCode::Success, ReasonCode::Reauthenticate, Violation::AuthCodeReserved),
    (Server, "f0 05 xx 03 150000", ReasonCode::Reauthenticate, ReasonCode::Success, Violation::AuthCodeReserved),
];
