//! Every rule that a peer can break is found, and named.
#![cfg(all(feature = "v311", feature = "v5"))]

use crate::support::{Verdict, hex, report};
use mqtt_session::wire::Header;
use mqtt_session::{Role, Version, Violation};

use Role::{Client, Server};
use Version::{V5, V311};

#[test]
fn every_rule_is_reached() {
    let faults: Vec<_> = RULES
        .into_iter()
        .filter_map(|(rule, code, version, to, text)| {
            let bytes = hex(text);
            let expected = Verdict::Refused(rule);
            let found = [1, bytes.len()].map(|size| Verdict::of_pieces(version, to, 64, &bytes, size));
            let named = rule.reason_code() as u8 == code && !rule.statement(version).is_empty();
            (found != [expected.clone(), expected] || !named).then_some((rule, text, found))
        })
        .collect();
    report(&faults);
    let rules: Vec<_> = RULES.into_iter().map(|(rule, ..)| rule).collect();
    assert_eq!(rules, Violation::ALL, "one row for each rule, in their order");
}

/// One byte more than a packet has fields for.
#[test]
fn no_packet_has_bytes_left_over() {
    for (versions, to, text) in WHOLE {
        for &version in versions {
            let mut bytes = hex(text);
            assert!(matches!(Verdict::of_bytes(version, to, &bytes), Verdict::Taken(_, len) if len == bytes.len()));
            bytes.push(0);
            bytes[1] += 1;
            let expected = Verdict::Refused(Violation::TrailingBytes);
            assert_eq!(Verdict::of_bytes(version, to, &bytes), expected, "{text} and a byte in {version:?}");
        }
    }
}

/// No byte behind the header is waited for. (3.1.1: 3.2, 3.4 to 3.7, 3.11 to 3.14; 5.0: 3.12, 3.13)
#[test]
fn a_length_that_no_packet_of_the_type_has_is_refused_from_the_header_alone() {
    for (versions, to, first, len) in FIXED {
        for &version in versions {
            let header = |len| Header::decode(version, to, &[first, len]);
            assert_eq!(header(len).unwrap().unwrap().packet_len(), u32::from(len) + 2, "{first:#04x} in {version:?}");
            assert_eq!(header(len + 1), Err(Violation::TrailingBytes), "{first:#04x} in {version:?}");
            if let Some(less) = len.checked_sub(1) {
                assert_eq!(header(less), Err(Violation::FieldTruncated), "{first:#04x} in {version:?}");
            }
        }
    }
}

/// Packets of which there is one length only.
const FIXED: [(&[Version], Role, u8, u8); 9] = [
    (&[V311], Client, 0x20, 2),
    (&[V311], Client, 0x40, 2),
    (&[V311], Client, 0x50, 2),
    (&[V311], Server, 0x62, 2),
    (&[V311], Server, 0x70, 2),
    (&[V311], Client, 0xB0, 2),
    (&[V311, V5], Server, 0xC0, 0),
    (&[V311, V5], Client, 0xD0, 0),
    (&[V311], Server, 0xE0, 0),
];

/// Packets that end with a field of fixed length or with properties.
const WHOLE: [(&[Version], Role, &str); 17] = [
    (&[V311], Server, "10 0c 00044d515454 04 02 003c 0000"),
    (&[V5], Server, "10 0d 00044d515454 05 02 003c 00 0000"),
    (&[V311], Client, "20 02 00 00"),
    (&[V5], Client, "20 03 00 00 00"),
    (&[V311], Client, "40 02 0001"),
    (&[V5], Client, "40 04 0001 00 00"),
    (&[V311], Client, "50 02 0001"),
    (&[V5], Client, "50 04 0001 00 00"),
    (&[V311], Client, "62 02 0001"),
    (&[V5], Client, "62 04 0001 00 00"),
    (&[V311], Client, "70 02 0001"),
    (&[V5], Client, "70 04 0001 00 00"),
    (&[V311], Client, "b0 02 0001"),
    (&[V311, V5], Server, "c0 00"),
    (&[V311, V5], Client, "d0 00"),
    (&[V5], Server, "e0 02 00 00"),
    (&[V5], Server, "f0 05 18 03 150000"),
];

/// For each rule its reason code and one packet that breaks it, received into 64 bytes.
#[rustfmt::skip]
const RULES: [(Violation, u8, Version, Role, &str); 62] = [
    (Violation::PacketTypeReserved, 0x81, V5, Client, "00 00"),
    (Violation::PacketFlagsReserved, 0x81, V5, Client, "d1 00"),
    (Violation::PacketNotForThisEnd, 0x82, V311, Client, "e0 00"),
    (Violation::IntegerTooLong, 0x81, V311, Client, "d0 80808080 01"),
    (Violation::IntegerPadded, 0x81, V5, Client, "d0 8000"),
    (Violation::PacketTooLarge, 0x95, V311, Client, "30 3f"),
    (Violation::FieldTruncated, 0x81, V311, Client, "40 01 00"),
    (Violation::TrailingBytes, 0x81, V311, Client, "d0 01 00"),
    (Violation::StringNotUtf8, 0x81, V311, Client, "30 05 0003eda080"),
    (Violation::StringContainsNull, 0x81, V311, Client, "30 05 0003610062"),
    (Violation::PacketIdentifierZero, 0x82, V311, Client, "40 02 0000"),
    (Violation::TopicNameEmpty, 0x82, V311, Client, "30 02 0000"),
    (Violation::TopicNameWildcard, 0x82, V311, Client, "30 03 00012b"),
    (Violation::TopicFilterEmpty, 0x82, V311, Server, "82 05 0001 0000 00"),
    (Violation::MultiLevelWildcardMisplaced, 0x82, V311, Server, "82 07 0001 00022361 00"),
    (Violation::SingleLevelWildcardMisplaced, 0x82, V311, Server, "82 07 0001 0002612b 00"),
    (Violation::ShareNameEmpty, 0x82, V5, Server, "82 0f 0001 00 00092473686172652f2f61 00"),
    (Violation::ShareNameMisplaced, 0x82, V5, Server, "82 0e 0001 00 00082473686172652f61 00"),
    (Violation::PropertyUnknown, 0x81, V5, Client, "40 06 0001 00 02 7f00"),
    (Violation::PropertyNotAllowed, 0x81, V5, Client, "40 07 0001 00 03 230001"),
    (Violation::PropertyRepeated, 0x82, V5, Client, "40 0a 0001 00 06 1f0000 1f0000"),
    (Violation::PropertyNotFlag, 0x82, V5, Client, "20 05 00 00 02 2502"),
    (Violation::ReceiveMaximumZero, 0x82, V5, Client, "20 06 00 00 03 210000"),
    (Violation::MaximumPacketSizeZero, 0x82, V5, Client, "20 08 00 00 05 2700000000"),
    (Violation::MaximumQosInvalid, 0x82, V5, Client, "20 05 00 00 02 2402"),
    (Violation::TopicAliasZero, 0x94, V5, Client, "30 07 000161 03 230000"),
    (Violation::SubscriptionIdentifierZero, 0x82, V5, Client, "30 06 000161 02 0b00"),
    (Violation::SubscriptionIdentifierFromClient, 0x82, V5, Server, "30 06 000161 02 0b01"),
    (Violation::SessionExpiryFromServer, 0x82, V5, Client, "e0 07 00 05 1100000001"),
    (Violation::ServerReferenceFromClient, 0x82, V5, Server, "e0 05 00 03 1c0000"),
    (Violation::AuthenticationDataAlone, 0x82, V5, Server, "10 10 00044d515454 05 02 003c 03 160000 0000"),
    (Violation::AuthenticationMethodMissing, 0x82, V5, Client, "f0 00"),
    (Violation::ProtocolNameUnknown, 0x84, V311, Server, "10 0c 00044d515458 04 02 003c 0000"),
    (Violation::ProtocolLevelUnsupported, 0x84, V311, Server, "10 0c 00044d515454 03 02 003c 0000"),
    (Violation::ConnectFlagReserved, 0x81, V311, Server, "10 0c 00044d515454 04 03 003c 0000"),
    (Violation::WillQosReserved, 0x81, V311, Server, "10 10 00044d515454 04 1e 003c 0000 0000 0000"),
    (Violation::WillQosWithoutWill, 0x82, V311, Server, "10 0c 00044d515454 04 0a 003c 0000"),
    (Violation::WillRetainWithoutWill, 0x82, V311, Server, "10 0c 00044d515454 04 22 003c 0000"),
    (Violation::PasswordWithoutUserName, 0x82, V311, Server, "10 0e 00044d515454 04 42 003c 0000 0000"),
    (Violation::ClientIdentifierEmpty, 0x85, V311, Server, "10 0c 00044d515454 04 00 003c 0000"),
    (Violation::ConnackFlagsReserved, 0x81, V311, Client, "20 02 02 00"),
    (Violation::SessionPresentInRefusal, 0x82, V311, Client, "20 02 01 05"),
    (Violation::RefusedByOlderServer, 0x84, V5, Client, "20 02 00 01"),
    (Violation::PublishQosReserved, 0x81, V311, Client, "36 03 000161"),
    (Violation::DupWithoutQos, 0x81, V311, Client, "38 03 000161"),
    (Violation::SubscribeEmpty, 0x82, V311, Server, "82 02 0001"),
    (Violation::UnsubscribeEmpty, 0x82, V311, Server, "a2 02 0001"),
    (Violation::SubscriptionOptionsReserved, 0x81, V311, Server, "82 06 0001 000161 04"),
    (Violation::SubscriptionQosReserved, 0x82, V5, Server, "82 07 0001 00 000161 03"),
    (Violation::RetainHandlingReserved, 0x82, V5, Server, "82 07 0001 00 000161 30"),
    (Violation::NoLocalOnShared, 0x82, V5, Server, "82 10 0001 00 000a2473686172652f672f61 04"),
    (Violation::SubackEmpty, 0x82, V311, Client, "90 02 0001"),
    (Violation::UnsubackEmpty, 0x82, V5, Client, "b0 03 0001 00"),
    (Violation::ConnackCodeReserved, 0x82, V311, Client, "20 02 00 06"),
    (Violation::PubackCodeReserved, 0x82, V5, Client, "40 03 0001 01"),
    (Violation::PubrecCodeReserved, 0x82, V5, Client, "50 03 0001 01"),
    (Violation::PubrelCodeReserved, 0x82, V5, Client, "62 03 0001 01"),
    (Violation::PubcompCodeReserved, 0x82, V5, Client, "70 03 0001 01"),
    (Violation::SubackCodeReserved, 0x82, V311, Client, "90 03 0001 03"),
    (Violation::UnsubackCodeReserved, 0x82, V5, Client, "b0 04 0001 00 01"),
    (Violation::DisconnectCodeReserved, 0x82, V5, Client, "e0 01 04"),
    (Violation::AuthCodeReserved, 0x82, V5, Client, "f0 01 19"),
];
