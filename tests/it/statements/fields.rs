//! What stands in packets: strings, flags, identifiers, codes.

use mqtt_session::wire::{Header, Packet};
use mqtt_session::{ReasonCode, Role, Version, Violation};

use super::packets::with_header;
use super::trace::text;
use crate::support::{CONNECTIONS, encode, hex, to_hex};

use Role::{Client, Server};
use Version::{V5, V311};

/// A packet, what it is, and which end of which version receives it.
type Row = (&'static str, Version, Role, Vec<u8>);

fn row(name: &'static str, version: Version, to: Role, first: u8, parts: &[&[u8]]) -> Row {
    (name, version, to, with_header(first, &parts.concat()))
}

/// A string with its length.
fn string(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

/// A block of properties; 3.1.1 has none.
fn block(version: Version, properties: &[u8]) -> Vec<u8> {
    let len = u8::try_from(properties.len()).unwrap();
    if version == V5 { [&[len], properties].concat() } else { Vec::new() }
}

fn connect(version: Version, flags: u8, properties: &[u8], payload: &[&[u8]]) -> Vec<u8> {
    let head = [b"\0\x04MQTT", &[version.level(), flags, 0, 0][..]].concat();
    with_header(0x10, &[head, block(version, properties), payload.concat()].concat())
}

/// Every packet with a string outside properties, with this one.
fn strings(bytes: &[u8]) -> Vec<Row> {
    let held = &string(bytes)[..];
    let c = &text("c")[..];
    let in_version = |version| {
        let none = &block(version, &[])[..];
        [
            ("client identifier", version, Server, connect(version, 0x02, &[], &[held])),
            ("will topic", version, Server, connect(version, 0x06, &[], &[c, none, held, &[0, 0]])),
            ("user name", version, Server, connect(version, 0x82, &[], &[c, held])),
            row("topic name", version, Client, 0x30, &[held, none]),
            row("filter", version, Server, 0x82, &[&[0, 1], none, held, &[0]]),
            row("second filter", version, Server, 0x82, &[&[0, 1], none, c, &[0], held, &[0]]),
            row("filter of UNSUBSCRIBE", version, Server, 0xA2, &[&[0, 1], none, held]),
            row("second filter of UNSUBSCRIBE", version, Server, 0xA2, &[&[0, 1], none, c, held]),
        ]
    };
    [V311, V5].into_iter().flat_map(in_version).collect()
}

/// Every packet with a string as a property, with this one.
fn properties(bytes: &[u8]) -> Vec<Row> {
    let with = |identifier: u8| [&[identifier], &string(bytes)[..]].concat();
    let inside = |identifier| block(V5, &with(identifier));
    let name = block(V5, &[&[0x26], &string(bytes)[..], &[0, 0]].concat());
    let value = block(V5, &[&[0x26, 0, 0], &string(bytes)[..]].concat());
    let c = &text("c")[..];
    let will = |identifier| connect(V5, 0x06, &[], &[c, &inside(identifier), &text("w"), &[0, 0]]);
    let mut rows = vec![
        row("content type", V5, Client, 0x30, &[c, &inside(0x03)]),
        ("content type of a will", V5, Server, will(0x03)),
        row("response topic", V5, Client, 0x30, &[c, &inside(0x08)]),
        ("response topic of a will", V5, Server, will(0x08)),
        row("assigned client identifier", V5, Client, 0x20, &[&[0, 0], &inside(0x12)]),
        ("authentication method", V5, Server, connect(V5, 0x02, &with(0x15), &[c])),
        row("authentication method", V5, Client, 0x20, &[&[0, 0], &inside(0x15)]),
        row("authentication method", V5, Client, 0xF0, &[&[0x18], &inside(0x15)]),
        row("response information", V5, Client, 0x20, &[&[0, 0], &inside(0x1A)]),
        row("server reference", V5, Client, 0x20, &[&[0, 0], &inside(0x1C)]),
        row("server reference", V5, Client, 0xE0, &[&[0x9D], &inside(0x1C)]),
    ];
    for first in [0x40, 0x50, 0x62, 0x70] {
        rows.push(row("reason string", V5, Client, first, &[&[0, 1, 0], &inside(0x1F)]));
    }
    for (first, before, behind) in [(0x20, &[0, 0][..], &[][..]), (0xE0, &[0], &[]), (0x90, &[0, 1], &[0])] {
        for property in [&inside(0x1F), &name, &value] {
            rows.push(row("diagnostics", V5, Client, first, &[before, property, behind]));
        }
    }
    rows.push(row("name of a user property", V5, Client, 0x30, &[c, &name]));
    rows.push(row("value of a user property", V5, Client, 0x30, &[c, &value]));
    rows
}

#[test]
fn every_string_is_utf8_without_null() {
    let wrong: [(&[u8], Violation); 7] = [
        (b"\xED\xA0\x80", Violation::StringNotUtf8),
        (b"a\xED\xBF\xBF", Violation::StringNotUtf8),
        (b"\xC0\x80", Violation::StringNotUtf8),
        (b"\xFF", Violation::StringNotUtf8),
        (b"a\xC3", Violation::StringNotUtf8),
        (b"\0", Violation::StringContainsNull),
        (b"a\0b", Violation::StringContainsNull),
    ];
    for (bytes, rule) in wrong {
        for (name, version, to, packet) in strings(bytes).into_iter().chain(properties(bytes)) {
            assert_eq!(Packet::decode(version, to, &packet), Err(rule), "{name} in {version:?}: {}", to_hex(&packet));
        }
    }
}

/// EF BB BF is a character like others, wherever it stands: it arrives, and leaves as it has come.
#[test]
fn a_zero_width_no_break_space_is_kept() {
    for bytes in ["\u{feff}", "\u{feff}a", "a\u{feff}", "a\u{feff}\u{feff}b"] {
        for (name, version, to, packet) in strings(bytes.as_bytes()).into_iter().chain(properties(bytes.as_bytes())) {
            let (decoded, len) = Packet::decode(version, to, &packet).unwrap().unwrap();
            assert_eq!(len, packet.len(), "{name}");
            assert_eq!(encode(version, to, &decoded), Ok(packet), "{name} in {version:?}");
        }
    }
}

/// Present is what its flag says: one field too few is missing, one too many is left over. They come in one order.
#[test]
fn the_payload_of_connect_follows_its_flags() {
    for version in [V311, V5] {
        for flags in 0..8_u8 {
            let [will, user_name, password] = [1, 2, 4].map(|bit| flags & bit != 0);
            if version == V311 && password && !user_name {
                continue;
            }
            let mut fields = vec![text("client")];
            if will {
                fields.push([block(version, &[]), text("will topic")].concat());
                fields.push(text("will payload"));
            }
            fields.extend(user_name.then(|| text("user")));
            fields.extend(password.then(|| text("password")));
            let first = 0x02 | u8::from(will) << 2 | u8::from(password) << 6 | u8::from(user_name) << 7;
            let packet = |fields: &[Vec<u8>]| connect(version, first, &[], &[&fields.concat()]);
            let whole = packet(&fields);
            let Ok(Some((Packet::Connect(found), _))) = Packet::decode(version, Server, &whole) else {
                panic!("{}", to_hex(&whole))
            };
            assert_eq!(found.client_id, "client");
            let expected = will.then_some(("will topic", &b"will payload"[..]));
            assert_eq!(found.will.map(|will| (will.topic, will.payload)), expected);
            assert_eq!(found.user_name, user_name.then_some("user"));
            assert_eq!(found.password, password.then_some(&b"password"[..]));
            assert_eq!(encode(version, Server, &Packet::Connect(found)), Ok(whole));
            for len in 0..fields.len() {
                let short = packet(&fields[..len]);
                assert_eq!(Packet::decode(version, Server, &short), Err(Violation::FieldTruncated), "{flags} {len}");
            }
            fields.push(text("left over"));
            assert_eq!(Packet::decode(version, Server, &packet(&fields)), Err(Violation::TrailingBytes), "{flags}");
        }
    }
}

/// The table of fixed headers, read off a second time: each type with the ends that receive it and the flags that it may have.
#[test]
fn every_first_byte_is_as_the_table_has_it() {
    let publish: &[u8] = &[0, 1, 2, 3, 4, 5, 10, 11, 12, 13];
    for (version, to) in CONNECTIONS {
        let (v5, client) = (version == V5, to == Client);
        let table: [(bool, &[u8]); 16] = [
            (false, &[]),
            (!client, &[0]),
            (client, &[0]),
            (true, publish),
            (true, &[0]),
            (true, &[0]),
            (true, &[2]),
            (true, &[0]),
            (!client, &[2]),
            (client, &[0]),
            (!client, &[2]),
            (client, &[0]),
            (!client, &[0]),
            (client, &[0]),
            (v5 || !client, &[0]),
            (v5, &[0]),
        ];
        for first in 0..=u8::MAX {
            let (received, flags) = table[usize::from(first >> 4)];
            let found = Header::decode(version, to, &[first]);
            let allowed = received && flags.contains(&(first & 0x0F));
            assert_eq!(found == Ok(None), allowed, "{first:#04x} in {version:?} to {to:?}: {found:?}");
        }
    }
}

/// And each is malformed, unless the other end is to receive it.
#[test]
fn wrong_flags_are_malformed() {
    for (version, to) in CONNECTIONS {
        for first in 0..=u8::MAX {
            if let Err(rule) = Header::decode(version, to, &[first]) {
                let code = rule.reason_code();
                let malformed = rule == Violation::PacketNotForThisEnd || code == ReasonCode::MalformedPacket;
                assert!(malformed, "{first:#04x} in {version:?} to {to:?}: {rule:?}");
            }
        }
    }
}

/// Seven properties are a flag, and Maximum QoS is no more.
#[test]
fn flags_are_0_or_1() {
    let c = &text("c")[..];
    type Holder<'a> = (u8, Role, Violation, &'a dyn Fn(&[u8]) -> Vec<u8>);
    let publish = |property: &[u8]| with_header(0x30, &[c, &block(V5, property)].concat());
    let will = |property: &[u8]| connect(V5, 0x06, &[], &[c, &block(V5, property), &text("w"), &[0, 0]]);
    let hello = |property: &[u8]| connect(V5, 0x02, property, &[c]);
    let connack = |property: &[u8]| with_header(0x20, &[&[0, 0], &block(V5, property)[..]].concat());
    let holders: [Holder<'_>; 9] = [
        (0x01, Client, Violation::PropertyNotFlag, &publish),
        (0x01, Server, Violation::PropertyNotFlag, &will),
        (0x17, Server, Violation::PropertyNotFlag, &hello),
        (0x19, Server, Violation::PropertyNotFlag, &hello),
        (0x24, Client, Violation::MaximumQosInvalid, &connack),
        (0x25, Client, Violation::PropertyNotFlag, &connack),
        (0x28, Client, Violation::PropertyNotFlag, &connack),
        (0x29, Client, Violation::PropertyNotFlag, &connack),
        (0x2A, Client, Violation::PropertyNotFlag, &connack),
    ];
    for (identifier, to, rule, packet) in holders {
        for value in 0..=u8::MAX {
            let packet = packet(&[identifier, value]);
            let found = Packet::decode(V5, to, &packet).map(|packet| packet.is_some());
            assert_eq!(found, if value < 2 { Ok(true) } else { Err(rule) }, "{identifier:#04x} {value}");
        }
    }
}

#[test]
fn a_response_topic_is_a_topic_name() {
    for (name, rule) in [
        ("", Violation::TopicNameEmpty),
        ("#", Violation::TopicNameWildcard),
        ("a/+", Violation::TopicNameWildcard),
        ("a#b", Violation::TopicNameWildcard),
    ] {
        for (what, version, to, packet) in properties(name.as_bytes()) {
            if what.starts_with("response topic") {
                assert_eq!(Packet::decode(version, to, &packet), Err(rule), "{what} {name:?}");
            }
        }
    }
}

#[test]
fn no_identifier_is_0() {
    let packets = [
        (CONNECTIONS[0], "32 05 0001 61 0000"),
        (CONNECTIONS[1], "34 05 0001 61 0000"),
        (CONNECTIONS[2], "32 06 0001 61 0000 00"),
        (CONNECTIONS[3], "34 06 0001 61 0000 00"),
        (CONNECTIONS[1], "82 06 0000 0001 61 00"),
        (CONNECTIONS[3], "82 07 0000 00 0001 61 00"),
        (CONNECTIONS[1], "A2 05 0000 0001 61"),
        (CONNECTIONS[3], "A2 06 0000 00 0001 61"),
        (CONNECTIONS[0], "90 03 0000 00"),
        (CONNECTIONS[2], "90 04 0000 00 00"),
        (CONNECTIONS[0], "B0 02 0000"),
        (CONNECTIONS[2], "B0 04 0000 00 00"),
    ];
    for ((version, to), packet) in packets {
        assert_eq!(Packet::decode(version, to, &hex(packet)), Err(Violation::PacketIdentifierZero), "{packet}");
    }
    for (version, to) in CONNECTIONS {
        for first in ["40", "50", "62", "70"] {
            let packet = hex(&format!("{first} 02 0000"));
            assert_eq!(Packet::decode(version, to, &packet), Err(Violation::PacketIdentifierZero), "{first}");
        }
    }
}

/// 3.1.1 has six codes for CONNACK and four for SUBACK.
#[test]
fn codes_of_3_1_1_that_are_reserved() {
    for code in 0..=u8::MAX {
        let connack = Packet::decode(V311, Client, &[0x20, 2, 0, code]).map(|packet| packet.is_some());
        assert_eq!(connack, if code <= 5 { Ok(true) } else { Err(Violation::ConnackCodeReserved) }, "{code}");
        let suback = Packet::decode(V311, Client, &[0x90, 4, 0, 1, 0, code]).map(|packet| packet.is_some());
        let granted = matches!(code, 0 | 1 | 2 | 0x80);
        assert_eq!(suback, if granted { Ok(true) } else { Err(Violation::SubackCodeReserved) }, "{code}");
    }
}

/// The byte behind a topic filter: QoS and nothing else in 3.1.1, three options more in 5.0.
#[test]
fn subscription_options_are_as_the_table_has_them() {
    for options in 0..=u8::MAX {
        let v311 = with_header(0x82, &[0, 1, 0, 1, b'f', options]);
        let found = Packet::decode(V311, Server, &v311).map(|packet| packet.is_some());
        let expected = if options < 3 { Ok(true) } else { Err(Violation::SubscriptionOptionsReserved) };
        assert_eq!(found, expected, "{options:#04x}");

        let v5 = with_header(0x82, &[0, 1, 0, 0, 1, b'f', options]);
        let found = Packet::decode(V5, Server, &v5).map(|packet| packet.is_some());
        let wrong = [
            (options & 0xC0 != 0, Violation::SubscriptionOptionsReserved),
            (options & 0x03 == 0x03, Violation::SubscriptionQosReserved),
            (options & 0x30 == 0x30, Violation::RetainHandlingReserved),
        ];
        match found {
            Ok(_) => assert!(wrong.iter().all(|(wrong, _)| !wrong), "{options:#04x}"),
            Err(rule) => assert!(wrong.contains(&(true, rule)), "{options:#04x}: {rule:?}"),
        }
    }
}

#[test]
fn connack_has_one_flag() {
    for flags in 0..=u8::MAX {
        for (version, packet) in [(V311, vec![0x20, 2, flags, 0]), (V5, vec![0x20, 3, flags, 0, 0])] {
            let found = Packet::decode(version, Client, &packet).map(|packet| packet.is_some());
            assert_eq!(found, if flags < 2 { Ok(true) } else { Err(Violation::ConnackFlagsReserved) }, "{flags:#04x}");
        }
    }
}

/// Neither a byte less nor, elsewhere, one more.
#[test]
fn packets_of_fixed_length_are_not_shorter() {
    for (version, to) in CONNECTIONS {
        for first in [0x40, 0x50, 0x62, 0x70] {
            for packet in [&[first, 0][..], &[first, 1, 0]] {
                assert_eq!(Packet::decode(version, to, packet), Err(Violation::FieldTruncated), "{first:#04x}");
            }
        }
    }
    for packet in ["B0 00", "B0 01 00", "20 00", "20 01 00"] {
        assert_eq!(Packet::decode(V311, Client, &hex(packet)), Err(Violation::FieldTruncated), "{packet}");
    }
}
