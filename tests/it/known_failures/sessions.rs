//! What becomes of a session when an attempt to connect fails: what is known here is kept, what is not known is not resumed.

use mqtt_session::QoS::ExactlyOnce;
use mqtt_session::{
    CloseReason, CommandError, Connect, Instant, Outcome, Properties, Property, ReasonCode, Step, Version,
};

use super::trace::{Trace, both, connack, pubcomp, pubrec, pubrel, qos2};

/// An attempt to connect that comes to nothing.
type Attempt = fn(&mut Trace);

/// Nothing of CONNECT leaves; the link is lost with half of it or all of it written; it is refused; CONNACK comes too late, or is
/// none.
const FAILING: [(&str, Attempt); 7] = [
    ("never left", |t| t.begins()),
    ("half of it left", |t| {
        t.begins();
        t.shows(connect_packet(t), 7);
        t.cut();
    }),
    ("the link was lost", |t| {
        t.begins();
        t.sends(connect_packet(t));
        t.cut();
    }),
    ("refused for now", |t| refused(t, "20 03 00 88 00", "20 02 00 03", ReasonCode::ServerUnavailable)),
    ("refused for good", |t| refused(t, "20 03 00 87 00", "20 02 00 05", ReasonCode::NotAuthorized)),
    ("no CONNACK in time", |t| {
        t.begins();
        t.sends(connect_packet(t));
        t.quiet();
        t.passes(60_000);
        t.closes(CloseReason::ConnackTimeout);
    }),
    ("no CONNACK at all", |t| {
        t.begins();
        t.sends(connect_packet(t));
        t.receives("D0 00");
        t.fails(CloseReason::ConnackMissing, 0x82);
    }),
];

fn refused(t: &mut Trace, v5: &str, v3: &str, code: ReasonCode) {
    t.begins();
    t.sends(connect_packet(t));
    t.receives(if t.is_v5() { v5 } else { v3 });
    t.event(|_, event| assert!(matches!(event, mqtt_session::Event::ConnectionRefused(_)), "{event:?}"));
    t.closes(CloseReason::ConnectionRefused(code));
}

/// The CONNECT of the options, with their client identifier.
fn connect_packet(t: &Trace) -> Vec<u8> {
    let mut packet = t.connect_packet();
    if let (Some(letter), Some(name)) = (packet.last_mut(), t.options.client_id.bytes().last()) {
        *letter = name;
    }
    packet
}

/// Begins a connection by a clean start, whatever the application asks for.
#[track_caller]
fn starts_clean(t: &mut Trace) {
    t.begins();
    let mut packet = connect_packet(t);
    if let Some(flags) = packet.get_mut(9) {
        *flags |= 2;
    }
    t.sends(packet);
    t.quiet();
}

/// Connects and publishes with QoS 2, so that an identifier is in use.
#[track_caller]
fn publishes(t: &mut Trace) -> u16 {
    let id = t.publish(ExactlyOnce, "a");
    t.sends(qos2(id, "a"));
    id
}

/// T12: an attempt failed, no session is known here, and then the server speaks of one: it is refused, and the next attempt ends
/// it, though the application asks for no clean start.
#[test]
fn t12_a_session_that_is_not_known_is_never_resumed() {
    for (name, attempt) in FAILING {
        for times in 0..3 {
            let mut t = <Trace>::new(Version::V5);
            for _ in 0..times {
                attempt(&mut t);
            }
            t.connect();
            t.receives(connack(true, ""));
            t.fails(CloseReason::SessionUnknown, 0x82);
            // Not even an attempt that fails changes that.
            starts_clean(&mut t);
            t.cut();
            starts_clean(&mut t);
            t.receives(connack(false, ""));
            t.connected(false);
            let id = publishes(&mut t);
            t.cut();
            t.resumes();
            t.sends(qos2(id, "a").dup());
            assert!(t.session.is_online(), "{name}");
        }
    }
}

/// T12: attempts under another client identifier, or in another version.
#[test]
fn t12_an_attempt_of_another_kind_makes_no_session_known() {
    for (name, attempt) in FAILING {
        let mut t = <Trace>::new(Version::V5);
        t.options.client_id = "d";
        attempt(&mut t);
        t.options.client_id = "c";
        t.connect();
        t.receives(connack(true, ""));
        t.fails(CloseReason::SessionUnknown, 0x82);

        let mut t = <Trace>::new(Version::V311);
        attempt(&mut t);
        t.version = Version::V5;
        t.options.version = Version::V5;
        t.options.properties = Properties::of(&[Property::SessionExpiryInterval(u32::MAX)]);
        t.connect();
        t.receives(connack(true, ""));
        t.fails(CloseReason::SessionUnknown, 0x82);
        assert!(!t.session.is_online(), "{name}");
    }
}

/// T12: a session that is known survives attempts that fail, and is resumed.
#[test]
fn t12_a_known_session_survives_failed_attempts() {
    for (_, attempt) in FAILING {
        for mut t in both() {
            t.connects();
            let ids = [publishes(&mut t), publishes(&mut t)];
            t.receives((pubrec(ids[0]), qos2(7, "in")));
            t.message(qos2(7, "in"));
            t.sends((pubrel(ids[0]), "50 02 0007"));
            t.cut();
            t.announced = 7;
            for _ in 0..2 {
                attempt(&mut t);
                let other = Connect { client_id: "d", ..t.options };
                assert_eq!(t.session.connect(&mut t.inbox, &other), Err(CommandError::OtherSession));
            }
            t.resumes();
            t.sends((pubrel(ids[0]), qos2(ids[1], "a").dup()));
            t.receives((qos2(7, "in").dup(), pubcomp(ids[0])));
            t.acknowledged(ids[0]);
            t.sends(pubrec(7));
            t.quiet();
        }
    }
}

/// T12: a clean start gives the session up here at once. Until it is accepted, the server may still have it: each attempt stays a
/// clean start.
#[test]
fn t12_a_clean_start_that_is_not_confirmed_stays_one() {
    for (name, attempt) in FAILING {
        for mut t in both() {
            t.connects();
            let id = publishes(&mut t);
            t.cut();
            let lasting = t.options;
            t.options.clean_start = true;
            t.begins();
            t.published(id, Outcome::Lost);
            attempt(&mut t);
            t.options = lasting;
            starts_clean(&mut t);
            // A server that goes on with its session all the same is not believed.
            t.receives(connack(true, ""));
            t.fails(CloseReason::SessionUnknown, 0x82);
            starts_clean(&mut t);
            t.receives(connack(false, ""));
            t.connected(false);
            let next = publishes(&mut t);
            if t.is_v5() {
                t.cut();
                t.resumes();
                t.sends(qos2(next, "a").dup());
            } else {
                // That session ends with its connection.
                t.loses_link();
                t.published(next, Outcome::Lost);
                t.closes(CloseReason::ConnectionLost);
                t.connects();
                let next = publishes(&mut t);
                t.cut();
                t.resumes();
                t.sends(qos2(next, "a").dup());
            }
            assert!(t.session.is_online(), "{name}");
        }
    }
}

/// T12: a server that does what was asked for in the end is told from one that does not.
#[test]
fn t12_session_present_after_a_clean_start_is_an_error_in_each_attempt() {
    for mut t in both() {
        t.options.clean_start = true;
        for _ in 0..3 {
            t.connect();
            t.receives(connack(true, ""));
            t.fails(CloseReason::SessionNotClean, 0x82);
        }
        t.connects();
        t.quiet();
    }
}

/// 3.1.1 has no such rule: who has lost all memory takes what the server kept for it.
#[test]
fn in_3_1_1_a_session_that_is_not_known_may_be_resumed() {
    for (name, attempt) in FAILING {
        let mut t = <Trace>::new(Version::V311);
        t.resumes();
        assert!(t.session.is_online(), "{name}");
        let mut t = <Trace>::new(Version::V311);
        attempt(&mut t);
        t.resumes();
        assert!(t.session.is_online(), "{name}");
    }
}

/// DISCONNECT that ends the session may not arrive. Then the server still has it.
#[test]
fn a_session_that_was_to_end_with_a_disconnect_is_not_resumed() {
    for written in [0, 3] {
        let mut t = <Trace>::new(Version::V5);
        t.connects();
        let properties = [Property::SessionExpiryInterval(0)];
        let properties = mqtt_session::wire::Properties::of(&properties);
        let disconnect = mqtt_session::Disconnect { properties, ..mqtt_session::Disconnect::default() };
        assert_eq!(t.session.disconnect(&disconnect), Ok(()));
        t.shows("E0 07 00 05 11 00000000", written);
        t.loses_link();
        t.closes(CloseReason::ConnectionLost);
        t.connect();
        t.receives(connack(true, ""));
        t.fails(CloseReason::SessionUnknown, 0x82);
        starts_clean(&mut t);
        t.receives(connack(false, ""));
        t.connected(false);
    }
}

/// A name that the client gave stays its name, whatever the server assigns.
#[test]
fn an_assigned_client_identifier_that_nobody_needs_changes_nothing() {
    let mut t = <Trace>::new(Version::V5);
    t.connects_with(false, "12 0001 78");
    let id = publishes(&mut t);
    t.cut();
    t.connects_with(true, "12 0001 79");
    t.sends(qos2(id, "a").dup());
    t.cut();
    let other = Connect { client_id: "x", ..t.options };
    assert_eq!(t.session.connect(&mut t.inbox, &other), Err(CommandError::OtherSession));
    t.resumes();
    t.sends(qos2(id, "a").dup());
    t.receives(pubrec(id));
    t.sends(pubrel(id));
}

/// Whoever gave none has the assigned one.
#[test]
fn an_assigned_client_identifier_is_that_of_the_session() {
    let mut t = <Trace>::new(Version::V5);
    let named = t.options;
    t.options.client_id = "";
    t.begins();
    let mut packet = t.connect_packet();
    let len = packet.len();
    packet.truncate(len - 1);
    packet[1] -= 1;
    packet[len - 2] = 0;
    t.sends(packet);
    t.receives(connack(false, "12 0001 63"));
    t.connected(false);
    let id = publishes(&mut t);
    t.cut();
    assert_eq!(t.session.connect(&mut t.inbox, &t.options), Err(CommandError::OtherSession));
    t.options = named;
    t.resumes();
    t.sends(qos2(id, "a").dup());
}

/// Two names that 32 bits of FNV-1a take for one.
const ALIKE: [&str; 2] = ["meter-462789", "meter-679192"];

/// As one of them, nobody gets the session of the other.
#[test]
fn client_identifiers_are_told_apart_by_more_than_32_bits() {
    for mut t in both() {
        t.options.client_id = ALIKE[0];
        t.begins();
        assert!(matches!(t.session.poll(&mut t.inbox, Instant::from_millis(1_000)), Step::Transmit(_)));
        t.session.transmitted(usize::MAX);
        t.receives(connack(false, ""));
        t.connected(false);
        t.cut();
        let other = Connect { client_id: ALIKE[1], ..t.options };
        assert_eq!(t.session.connect(&mut t.inbox, &other), Err(CommandError::OtherSession));
    }
}
