//! How long messages wait. (5.0 alone: 3.3.2.3.3)

use std::sync::Mutex;

use mqtt_session::QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
use mqtt_session::wire::Properties;
use mqtt_session::{CommandError, Event, Outcome, Property, Publish, QoS, Version};

use super::trace::{TOPIC, Trace, puback, with_header};

/// Publishes with a Message Expiry Interval.
fn expiring<const STORE: usize, const OUTBOUND: usize>(
    t: &mut Trace<STORE, OUTBOUND>,
    qos: QoS,
    seconds: u32,
) -> Result<u16, CommandError> {
    let properties = [Property::MessageExpiryInterval(seconds)];
    t.tries(&Publish { qos, properties: Properties::of(&properties), ..Publish::new(TOPIC, b"e") })
}

fn lasting<const STORE: usize, const OUTBOUND: usize>(t: &mut Trace<STORE, OUTBOUND>) -> u16 {
    t.publish(AtLeastOnce, "lasts")
}

/// A PUBLISH with a Message Expiry Interval.
fn packet(qos: QoS, id: u16, dup: bool, seconds: u32) -> Vec<u8> {
    let mut body = b"\0\x01t".to_vec();
    if qos != AtMostOnce {
        body.extend(id.to_be_bytes());
    }
    body.extend([5, 2]);
    body.extend(seconds.to_be_bytes());
    body.push(b'e');
    with_header(0x30 | u8::from(dup) << 3 | (qos as u8) << 1, &body)
}

/// T5: room for three messages, of which the first lasts. What expires behind it gives its room back, and its outcome is told
/// when its time is over, without a connection and without any other reason to look.
#[test]
fn t05_what_expires_behind_a_lasting_message_gives_its_room_back() {
    for qos in [AtLeastOnce, ExactlyOnce] {
        let mut t = Trace::<100, 8>::new(Version::V5);
        t.connects();
        t.cut();
        lasting(&mut t);
        let ids = [expiring(&mut t, qos, 1).unwrap(), expiring(&mut t, qos, 1).unwrap()];
        assert_eq!(expiring(&mut t, qos, 1), Err(CommandError::Full));
        t.closes(mqtt_session::CloseReason::ConnectionLost);
        let due = t.session.deadline().expect("a message expires");
        assert_eq!(due.as_millis(), 2_000, "the clock stood at 1,000");
        t.passes(1_000);
        t.published(ids[0], Outcome::Expired);
        // The bytes of both are free by now.
        assert!(expiring(&mut t, qos, 9).is_ok());
        assert!(expiring(&mut t, qos, 9).is_ok());
        t.tells(&Event::Writable);
        t.published(ids[1], Outcome::Expired);
        t.closes(mqtt_session::CloseReason::ConnectionLost);
    }
}

/// T5 of QoS 0, which has no outcome.
#[test]
fn t05_what_expires_without_an_outcome_gives_its_room_back() {
    let mut t = Trace::<100, 8>::new(Version::V5);
    t.connects();
    t.cut();
    lasting(&mut t);
    for _ in 0..2 {
        expiring(&mut t, AtMostOnce, 1).unwrap();
    }
    assert_eq!(expiring(&mut t, AtMostOnce, 1), Err(CommandError::Full));
    t.closes(mqtt_session::CloseReason::ConnectionLost);
    t.passes(1_000);
    t.dropped(2);
    t.tells(&Event::Writable);
    assert!(expiring(&mut t, AtLeastOnce, 1).is_ok());
}

/// T5: online, behind a message that waits for quota.
#[test]
fn t05_what_waits_for_quota_expires_in_time() {
    let mut t = Trace::<1024, 8>::new(Version::V5);
    t.options.properties = Properties::of(&[Property::SessionExpiryInterval(u32::MAX)]);
    t.connects_with(false, "21 0001");
    let shown = lasting(&mut t);
    t.sends(super::trace::qos1(shown, "lasts"));
    let waits = lasting(&mut t);
    let soon = expiring(&mut t, ExactlyOnce, 2).unwrap();
    let later = expiring(&mut t, AtLeastOnce, 5).unwrap();
    t.quiet();
    assert_eq!(t.session.deadline().map(|due| due.as_millis()), Some(3_000));
    t.passes(2_000);
    t.published(soon, Outcome::Expired);
    t.quiet();
    assert_eq!(t.session.deadline().map(|due| due.as_millis()), Some(6_000));
    t.passes(3_000);
    t.published(later, Outcome::Expired);
    t.quiet();
    assert_eq!(t.session.deadline(), None);
    t.receives(puback(shown));
    t.acknowledged(shown);
    t.sends(super::trace::qos1(waits, "lasts"));
}

/// T5: what was shown does not expire, and asks for no attention.
#[test]
fn t05_what_was_shown_has_no_deadline() {
    for qos in [AtMostOnce, AtLeastOnce, ExactlyOnce] {
        let mut t = Trace::<1024, 8>::new(Version::V5);
        t.connects();
        let id = expiring(&mut t, qos, 2).unwrap();
        t.sends(packet(qos, id, false, 2));
        t.quiet();
        assert_eq!(t.session.deadline(), None);
        t.passes(60_000);
        t.quiet();
        t.cut();
        t.resumes();
        if qos != AtMostOnce {
            // A client says how long a message lives in all.
            t.sends(packet(qos, id, true, 2));
        }
        t.quiet();
    }
}

/// T5: an answer to a message that has expired, before its outcome is told, is one to nothing.
#[test]
fn t05_what_has_expired_is_neither_cancelled_nor_acknowledged() {
    let mut t = Trace::<1024, 8>::new(Version::V5);
    t.connects_with(false, "21 0001");
    let shown = lasting(&mut t);
    t.sends(super::trace::qos1(shown, "lasts"));
    let ids = [expiring(&mut t, AtLeastOnce, 1).unwrap(), expiring(&mut t, AtLeastOnce, 1).unwrap()];
    t.quiet();
    t.passes(1_000);
    t.receives(puback(ids[1]));
    t.stray(mqtt_session::AckType::Puback, ids[1]);
    t.published(ids[0], Outcome::Expired);
    let id = super::trace::packet_id(ids[1]);
    assert!(!t.session.cancel(id), "its outcome is decided");
    t.published(ids[1], Outcome::Expired);
    t.quiet();
}

/// T6: whatever the clock says, a message that is shown at once is shown.
#[test]
fn t06_an_interval_of_0_is_sent_at_once() {
    for offset in [0, 1, 500, 999] {
        for qos in [AtMostOnce, AtLeastOnce, ExactlyOnce] {
            let mut t = Trace::<1024, 8>::new(Version::V5);
            t.passes(offset);
            t.connects();
            let id = expiring(&mut t, qos, 0).unwrap();
            t.sends(packet(qos, id, false, 0));
            t.quiet();
        }
    }
}

/// T6: and one that is not, expires soon.
#[test]
fn t06_an_interval_of_0_expires_offline() {
    for offset in [0, 1, 500, 999] {
        let mut t = Trace::<1024, 8>::new(Version::V5);
        t.passes(offset);
        t.connects();
        t.cut();
        let id = expiring(&mut t, AtLeastOnce, 0).unwrap();
        t.closes(mqtt_session::CloseReason::ConnectionLost);
        t.passes(2_000);
        t.published(id, Outcome::Expired);
    }
}

/// More messages than are counted between two polls: each still expires.
#[test]
fn no_message_is_too_many_to_expire() {
    // Too large for the stack of a test.
    static SESSION: Mutex<mqtt_session::Session<4_000_000, 4, 4>> = Mutex::new(mqtt_session::Session::new());
    let mut session = SESSION.lock().unwrap();
    let mut inbox = mqtt_session::Inbox::<[u8; 64]>::new();
    let connect = mqtt_session::Connect::new(Version::V5, "c");
    session.connect(&mut inbox, &connect).unwrap();
    let now = mqtt_session::Instant::from_millis(0);
    session.connection_lost();
    let room = session.free_space();
    let properties = [Property::MessageExpiryInterval(1)];
    let publish = Publish { properties: Properties::of(&properties), ..Publish::new("t", b"") };
    let mut count = 0;
    while session.publish(&publish).is_ok() {
        count += 1;
    }
    assert!(count > 70_000, "{count}");
    while !matches!(session.poll(&mut inbox, now), mqtt_session::Step::Close(_)) {}
    let later = now.after_millis(1_000);
    while !matches!(session.poll(&mut inbox, later), mqtt_session::Step::Close(_)) {}
    assert_eq!(session.free_space(), room);
}
