//! What most decoders accept: each is refused with its reason code, and nothing behind it is read.

use mqtt_session::QoS::{AtLeastOnce, AtMostOnce};
use mqtt_session::{CloseReason, Version, Violation};

use super::trace::{Bytes, Trace, both, puback, qos0, qos1};

/// A connection with a message in flight and one that waits, which gets these bytes and then a correct packet.
#[track_caller]
fn refuses(version: Version, bytes: &str, violation: Violation, code: u8) {
    let mut t = <Trace>::new(version);
    t.connects();
    t.publish(AtLeastOnce, "a");
    t.sends(qos1(1, "a"));
    t.receives((bytes, puback(1)));
    t.publish(AtLeastOnce, "waits");
    t.fails(CloseReason::Violation(violation), code);
    t.resumes();
    t.sends((qos1(1, "a").dup(), qos1(2, "waits")));
    t.quiet();
}

#[test]
fn w_dup_with_qos_0() {
    refuses(Version::V311, "38 03 0001 74", Violation::DupWithoutQos, 0x81);
    refuses(Version::V5, "38 04 0001 74 00", Violation::DupWithoutQos, 0x81);
}

#[test]
fn w_qos_3() {
    refuses(Version::V311, "36 05 0001 74 0001", Violation::PublishQosReserved, 0x81);
    refuses(Version::V5, "36 06 0001 74 0001 00", Violation::PublishQosReserved, 0x81);
}

#[test]
fn w_subscription_identifier_0() {
    refuses(Version::V5, "30 06 0001 74 02 0B 00", Violation::SubscriptionIdentifierZero, 0x82);
}

#[test]
fn w_reserved_flags() {
    for bytes in [
        "41 02 0001",
        "48 02 0001",
        "52 02 0001",
        "60 02 0001",
        "63 02 0001",
        "72 02 0001",
        "91 03 0001 00",
        "B2 02 0001",
        "21 02 0000",
        "D1 00",
    ] {
        for version in [Version::V311, Version::V5] {
            refuses(version, bytes, Violation::PacketFlagsReserved, 0x81);
        }
    }
}

/// In 3.1.1 there is no such rule.
#[test]
fn w_padded_integers() {
    refuses(Version::V5, "30 84 00 0001 74 00", Violation::IntegerPadded, 0x81);
    refuses(Version::V5, "30 05 0001 74 80 00", Violation::IntegerPadded, 0x81);
    refuses(Version::V5, "D0 80 80 00", Violation::IntegerPadded, 0x81);
    let mut t = <Trace>::new(Version::V311);
    t.connects();
    t.receives("30 84 00 0001 74 61");
    t.message(qos0("a"));
    t.quiet();
}

#[test]
fn w_integers_of_five_bytes() {
    for version in [Version::V311, Version::V5] {
        refuses(version, "30 80 80 80 80 01", Violation::IntegerTooLong, 0x81);
    }
}

#[test]
fn w_strings() {
    for (topic, violation) in [
        ("0001 00", Violation::StringContainsNull),
        ("0003 61 00 62", Violation::StringContainsNull),
        ("0003 EDA080", Violation::StringNotUtf8),
        ("0003 EDBFBF", Violation::StringNotUtf8),
        ("0002 C080", Violation::StringNotUtf8),
        ("0001 FF", Violation::StringNotUtf8),
    ] {
        for (version, properties) in [(Version::V311, ""), (Version::V5, "00")] {
            let body = format!("{topic}{properties}").replace(' ', "");
            refuses(version, &format!("30 {:02X} {body}", body.len() / 2), violation, 0x81);
        }
    }
}

#[test]
fn w_properties_that_stand_twice() {
    refuses(Version::V5, "30 08 0001 74 04 01 00 01 00", Violation::PropertyRepeated, 0x82);
    refuses(Version::V5, "40 0C 0001 00 08 1F 0001 61 1F 0001 62", Violation::PropertyRepeated, 0x82);
}

#[test]
fn w_properties_of_another_packet() {
    refuses(Version::V5, "30 07 0001 74 03 21 0001", Violation::PropertyNotAllowed, 0x81);
    refuses(Version::V5, "40 06 0001 00 02 01 00", Violation::PropertyNotAllowed, 0x81);
    refuses(Version::V5, "30 06 0001 74 02 7F 00", Violation::PropertyUnknown, 0x81);
}

#[test]
fn w_bytes_behind_the_last_field() {
    for bytes in ["40 05 0001 00 00 FF", "62 05 0001 00 00 FF", "E0 03 00 00 FF", "D0 01 00"] {
        refuses(Version::V5, bytes, Violation::TrailingBytes, 0x81);
    }
    for bytes in ["40 03 0001 00", "50 03 0001 00", "62 03 0001 00", "70 03 0001 00", "B0 03 0001 00", "D0 01 00"] {
        refuses(Version::V311, bytes, Violation::TrailingBytes, 0x81);
    }
}

/// CONNACK is refused before a connection is there.
#[test]
fn w_a_malformed_connack() {
    for mut t in both() {
        let mut wrong = vec![("21 02 0000", Violation::PacketFlagsReserved), ("20 01 00", Violation::FieldTruncated)];
        if t.is_v5() {
            wrong.push(("20 03 02 00 00", Violation::ConnackFlagsReserved));
            wrong.push(("20 04 00 00 00 00", Violation::TrailingBytes));
        } else {
            wrong.push(("20 02 02 00", Violation::ConnackFlagsReserved));
            wrong.push(("20 03 00 00 00", Violation::TrailingBytes));
        }
        for (bytes, violation) in wrong {
            t.connect();
            t.receives(bytes);
            t.fails(CloseReason::Violation(violation), 0x81);
        }
        t.connects();
        t.quiet();
    }
}

/// What is half written is finished, so that the DISCONNECT behind it can be read; what is not begun is dropped.
#[test]
fn w_a_half_written_packet_is_finished_before_the_farewell() {
    let mut t = <Trace>::new(Version::V5);
    t.connects();
    t.publish(AtLeastOnce, "a");
    t.publish(AtMostOnce, "b");
    t.shows(qos1(1, "a"), 4);
    t.receives((qos1(7, "in"), "D0 01 00"));
    t.message(qos1(7, "in"));
    t.sends(qos1(1, "a").bytes(t.version).split_off(4));
    t.fails(CloseReason::Violation(Violation::TrailingBytes), 0x81);
    t.resumes();
    t.sends((qos1(1, "a").dup(), qos0("b")));
    t.receives([qos1(7, "in").dup(), qos1(8, "in")]);
    t.message(qos1(7, "in").dup());
    t.message(qos1(8, "in"));
    t.shows([puback(7), puback(8)], 3);
    t.receives("D0 01 00");
    t.sends("07");
    t.fails(CloseReason::Violation(Violation::TrailingBytes), 0x81);
}

/// A fixed vector: an encoder and a decoder with the same mistake agree with each other.
#[test]
fn w_the_remaining_length_is_written_low_byte_first() {
    for mut t in both() {
        t.connects();
        let payload = "p".repeat(if t.is_v5() { 317 } else { 318 });
        t.publish(AtMostOnce, &payload);
        let properties = if t.is_v5() { "00" } else { "" };
        t.sends(("30 C1 02 0001 74", properties, payload.clone().into_bytes()));
        t.quiet();
    }
}
