//! Acknowledgements that say more than a reason code: which may leave, and when.
#![cfg(all(feature = "v311", feature = "v5"))]
#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "a fault here is a failed test"
)]

use mqtt_session::QoS::AtLeastOnce;
use mqtt_session::{Acknowledge, CommandError, Properties, Property, ReasonCode, Version, Violation};

use crate::known_failures::trace::{Trace, both, puback, pubcomp, pubrec, pubrel, qos1, qos2};

/// Reason String "no", and User Property "k", "v".
const WHY: [Property<'static>; 2] = [Property::ReasonString("no"), Property::UserProperty("k", "v")];

/// An acknowledgement with 0x83 and these properties.
fn explained(first_byte: u8, id: u8) -> Vec<u8> {
    let mut packet = vec![first_byte, 16, 0, id, 0x83, 12];
    packet.extend(*b"\x1F\0\x02no\x26\0\x01k\0\x01v");
    packet
}

const CODE: ReasonCode = ReasonCode::ImplementationSpecificError;

fn manual<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize, const CONTROL: usize>(
    mut t: Trace<STORE, OUTBOUND, INBOUND, CONTROL>,
) -> Trace<STORE, OUTBOUND, INBOUND, CONTROL> {
    t.options.acknowledgement = Acknowledge::Manually;
    t
}

/// [MQTT-3.4.2-2], [MQTT-3.5.2-2]
#[test]
fn the_client_says_why() {
    let mut t = manual(<Trace>::new(Version::V5));
    t.connects();
    t.receives((qos1(1, "a"), qos2(2, "b")));
    let handles = [t.hands_out(qos1(1, "a")), t.hands_out(qos2(2, "b"))];
    for handle in handles {
        assert_eq!(t.session.acknowledge_with(handle, CODE, Properties::of(&WHY)), Ok(()));
        assert_eq!(t.session.acknowledge_with(handle, CODE, Properties::of(&WHY)), Err(CommandError::StaleHandle));
    }
    t.sends((explained(0x40, 1), explained(0x50, 2)));
    t.quiet();
    // Both exchanges are over.
    t.receives((qos1(1, "c"), qos2(2, "d")));
    t.hands_out(qos1(1, "c"));
    t.hands_out(qos2(2, "d"));
    t.quiet();
}

#[test]
fn a_message_that_is_taken_goes_on_to_its_pubrel() {
    let mut t = manual(<Trace>::new(Version::V5));
    t.connects();
    t.receives(qos2(2, "b"));
    let handle = t.hands_out(qos2(2, "b"));
    let note = [Property::UserProperty("k", "v")];
    assert_eq!(t.session.acknowledge_with(handle, ReasonCode::Success, Properties::of(&note)), Ok(()));
    t.sends("50 0B 0002 00 07 26 0001 6B 0001 76");
    // Sent again without them.
    t.cut();
    t.options.properties = Properties::of(&[Property::SessionExpiryInterval(u32::MAX)]);
    t.announced = 7;
    t.resumes();
    t.receives(qos2(2, "b").dup());
    t.sends(pubrec(2));
    t.receives(pubrel(2));
    t.sends(pubcomp(2));
    t.quiet();
}

/// [MQTT-4.6.0-2], [MQTT-4.6.0-3]
#[test]
fn only_the_next_one_may_say_why() {
    let mut t = manual(<Trace>::new(Version::V5));
    t.connects();
    t.receives((qos1(1, "a"), qos1(2, "b"), qos2(3, "c")));
    let [first, second, third] = [t.hands_out(qos1(1, "a")), t.hands_out(qos1(2, "b")), t.hands_out(qos2(3, "c"))];
    let before = t.session.clone();
    assert_eq!(t.session.acknowledge_with(second, CODE, Properties::of(&WHY)), Err(CommandError::NotNext));
    assert_eq!(t.session.acknowledge_with(third, CODE, Properties::of(&WHY)), Err(CommandError::NotNext));
    assert!(t.session == before);
    t.acknowledge(second);
    assert_eq!(t.session.acknowledge_with(third, CODE, Properties::of(&WHY)), Err(CommandError::NotNext));
    t.acknowledge(first);
    assert_eq!(t.session.acknowledge_with(third, CODE, Properties::of(&WHY)), Ok(()));
    t.sends((puback(1), puback(2), explained(0x50, 3)));
    t.quiet();
}

#[test]
fn what_cannot_be_said_is_refused() {
    for mut t in both() {
        t = manual(t);
        t.connects();
        t.receives(qos1(1, "a"));
        let handle = t.hands_out(qos1(1, "a"));
        let before = t.session.clone();
        let refused = t.session.acknowledge_with(handle, ReasonCode::Success, Properties::of(&WHY));
        if t.is_v5() {
            assert_eq!(refused, Ok(()));
            t.session = before.clone();
            let foreign = [Property::ReceiveMaximum(7)];
            let refused = t.session.acknowledge_with(handle, CODE, Properties::of(&foreign));
            assert!(matches!(refused, Err(CommandError::Forbidden(_))), "{refused:?}");
            assert_eq!(
                t.session.acknowledge_with(handle, ReasonCode::ServerBusy, Properties::of(&WHY)),
                Err(CommandError::Forbidden(Violation::PubackCodeReserved))
            );
        } else {
            assert_eq!(refused, Err(CommandError::NotInVersion));
        }
        assert!(t.session == before);
        assert_eq!(t.session.acknowledge_with(handle, ReasonCode::Success, Properties::EMPTY), Ok(()));
        t.sends(puback(1));
        t.quiet();
    }
}

/// [MQTT-3.4.2-2], [MQTT-3.4.2-3]
#[test]
fn nothing_is_longer_than_the_server_takes() {
    let mut t = manual(<Trace>::new(Version::V5));
    t.connects_with(false, "27 00000011");
    t.receives(qos1(1, "a"));
    let handle = t.hands_out(qos1(1, "a"));
    assert!(matches!(
        t.session.acknowledge_with(handle, CODE, Properties::of(&WHY)),
        Err(CommandError::TooLarge { .. })
    ));
    assert_eq!(t.session.acknowledge_with(handle, CODE, Properties::of(&WHY[..1])), Ok(()));
    t.sends("40 09 0001 83 05 1F 0002 6E6F");
    t.quiet();
}

#[test]
fn there_must_be_room_beside_what_never_waits() {
    let mut t = manual(Trace::<1024, 8, 8, 64>::new(Version::V5));
    t.connects();
    t.receives([qos1(1, "a"), qos1(2, "b"), qos1(3, "c"), qos1(4, "d")]);
    let handles: Vec<_> = (1..=4).zip(["a", "b", "c", "d"]).map(|(id, text)| t.hands_out(qos1(id, text))).collect();
    let long = "x".repeat(60);
    assert!(matches!(
        t.session.acknowledge_with(handles[0], CODE, Properties::of(&[Property::ReasonString(&long)])),
        Err(CommandError::TooLarge { .. })
    ));
    for &handle in &handles[..3] {
        assert_eq!(t.session.acknowledge_with(handle, CODE, Properties::of(&WHY)), Ok(()));
    }
    let before = t.session.clone();
    assert_eq!(t.session.acknowledge_with(handles[3], CODE, Properties::of(&WHY)), Err(CommandError::Full));
    assert!(t.session == before);
    t.sends((explained(0x40, 1), explained(0x40, 2), explained(0x40, 3)));
    t.tells(&mqtt_session::Event::Writable);
    assert_eq!(t.session.acknowledge_with(handles[3], CODE, Properties::of(&WHY)), Ok(()));
    t.sends(explained(0x40, 4));
    t.quiet();
}

#[test]
fn without_its_connection_it_is_refused() {
    let mut t = manual(<Trace>::new(Version::V5));
    t.connects();
    t.receives((qos1(1, "a"), qos2(2, "b")));
    let [first, second] = [t.hands_out(qos1(1, "a")), t.hands_out(qos2(2, "b"))];
    t.loses_link();
    assert_eq!(t.session.acknowledge_with(first, CODE, Properties::of(&WHY)), Err(CommandError::Offline));
    t.cut();
    assert_eq!(t.session.acknowledge_with(first, CODE, Properties::of(&WHY)), Err(CommandError::StaleHandle));
    assert_eq!(t.session.acknowledge_with(second, CODE, Properties::of(&WHY)), Err(CommandError::Offline));
    t.announced = 7;
    t.resumes();
    assert_eq!(t.session.acknowledge_with(second, CODE, Properties::of(&WHY)), Err(CommandError::NotNext));
    t.receives(qos2(2, "b").dup());
    t.quiet();
    assert_eq!(t.session.acknowledge_with(second, CODE, Properties::of(&WHY)), Ok(()));
    t.sends(explained(0x50, 2));
    t.quiet();
}

/// A repeat on the same connection is known as one, however long the answer is that did not leave yet.
#[test]
fn a_long_answer_that_waits_is_found() {
    let mut t = manual(Trace::<1024, 8, 8, 512>::new(Version::V5));
    t.connects();
    t.publish(AtLeastOnce, "half");
    t.shows(qos1(1, "half"), 1);
    t.receives(qos1(7, "a"));
    let handle = t.hands_out(qos1(7, "a"));
    let long = "x".repeat(200);
    assert_eq!(t.session.acknowledge_with(handle, CODE, Properties::of(&[Property::ReasonString(&long)])), Ok(()));
    t.receives(qos1(7, "a").dup());
    t.tells(&mqtt_session::Event::Tolerated(mqtt_session::CloseReason::PacketIdentifierReused));
}

#[cfg(feature = "server")]
mod server {
    use mqtt_session::wire::{List, Properties, Suback};

    use super::*;
    use crate::known_failures::trace::{packet_id, subscribe};
    use crate::server::trace::{Hello, LASTING, Trace};

    #[test]
    fn the_server_says_why() {
        let mut t = <Trace>::new(Version::V5).manual();
        t.connects();
        t.receives((qos1(1, "a"), qos2(2, "b")));
        let [first, second] = [t.hands_out(qos1(1, "a")), t.hands_out(qos2(2, "b"))];
        assert_eq!(t.session.acknowledge_with(second, CODE, Properties::of(&WHY)), Err(CommandError::NotNext));
        assert_eq!(t.session.acknowledge_with(first, CODE, Properties::of(&WHY)), Ok(()));
        assert_eq!(t.session.acknowledge_with(second, CODE, Properties::of(&WHY)), Ok(()));
        t.sends((explained(0x40, 1), explained(0x50, 2)));
        t.quiet();
        let mut t = <Trace>::new(Version::V311).manual();
        t.connects();
        t.receives(qos1(1, "a"));
        let handle = t.hands_out(qos1(1, "a"));
        assert_eq!(
            t.session.acknowledge_with(handle, ReasonCode::Success, Properties::of(&WHY)),
            Err(CommandError::NotInVersion)
        );
    }

    /// [MQTT-3.1.2-29]
    #[test]
    fn a_client_that_wants_no_diagnostics_gets_none() {
        let mut t = <Trace>::new(Version::V5).manual();
        t.hello = Hello { properties: "11 FFFFFFFF 17 00", ..LASTING };
        t.connects();
        t.receives((qos1(1, "a"), qos1(2, "b")));
        let [first, second] = [t.hands_out(qos1(1, "a")), t.hands_out(qos1(2, "b"))];
        assert_eq!(t.session.acknowledge_with(second, CODE, Properties::of(&WHY)), Ok(()), "so it may wait");
        assert_eq!(t.session.acknowledge_with(first, CODE, Properties::of(&WHY)), Ok(()));
        t.sends((puback(1).code(0x83), puback(2).code(0x83)));
        t.quiet();
    }

    #[test]
    fn nothing_is_longer_than_the_client_takes() {
        let mut t = <Trace>::new(Version::V5).manual();
        t.hello = Hello { properties: "11 FFFFFFFF 27 00000012", ..LASTING };
        t.connects();
        t.receives(qos2(1, "a"));
        let handle = t.hands_out(qos2(1, "a"));
        let longer = [WHY[0], WHY[1], WHY[1]];
        assert!(matches!(
            t.session.acknowledge_with(handle, CODE, Properties::of(&longer)),
            Err(CommandError::TooLarge { .. })
        ));
        assert_eq!(t.session.acknowledge_with(handle, CODE, Properties::of(&WHY)), Ok(()));
        t.sends(explained(0x50, 1));
        t.quiet();
    }

    /// What it takes is not the room of a SUBACK that is due.
    #[test]
    fn a_request_that_waits_is_answered_all_the_same() {
        let mut t = Trace::<1024, 8, 8, 40>::new(Version::V5).manual();
        t.connects();
        t.receives((qos1(1, "a"), subscribe(2, "f")));
        let handle = t.hands_out(qos1(1, "a"));
        t.asked(2, 1);
        let text = "x".repeat(18);
        let why = [Property::ReasonString(&text)];
        assert_eq!(t.session.acknowledge_with(handle, CODE, Properties::of(&why)), Err(CommandError::Full));
        let suback = Suback {
            packet_id: packet_id(2),
            properties: Properties::EMPTY,
            reason_codes: List::of(&[ReasonCode::Success]),
        };
        assert_eq!(t.session.suback(&suback), Ok(()));
        t.sends("90 04 0002 00 00");
        t.tells(&mqtt_session::server::Event::Writable);
        assert_eq!(t.session.acknowledge_with(handle, CODE, Properties::of(&why)), Ok(()));
    }
}
