//! Failures of senders at their limits and at those of the server: quota, store, identifiers.
#![allow(clippy::indexing_slicing, reason = "a fault here is a failed test")]

use std::thread;

use mqtt_session::QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
use mqtt_session::wire::Properties;
use mqtt_session::{CommandError, Event, Publish, Subscribe, Subscription, Version};

use super::trace::{
    Bytes, TOPIC, Trace, both, connack, puback, pubcomp, pubrec, pubrel, qos0, qos1, qos2, suback, subscribe,
};

/// More in flight than the new connection allows: as many as it allows go, the rest when there is quota, in order.
#[test]
fn s09_a_smaller_receive_maximum_holds_back_the_rest() {
    let mut t = <Trace>::new(Version::V5);
    t.connects();
    for (qos, payload) in [(AtLeastOnce, "a"), (ExactlyOnce, "b"), (AtLeastOnce, "c"), (ExactlyOnce, "d")] {
        t.publish(qos, payload);
    }
    t.sends((qos1(1, "a"), qos2(2, "b"), (qos1(3, "c"), qos2(4, "d"))));
    t.cut();
    t.connects_with(true, "21 0002");
    t.publish(AtLeastOnce, "e");
    t.sends((qos1(1, "a").dup(), qos2(2, "b").dup()));
    t.quiet();
    t.receives(puback(1));
    t.acknowledged(1);
    t.sends(qos1(3, "c").dup());
    t.quiet();
    t.receives(pubrec(2));
    t.sends(pubrel(2));
    t.quiet();
    t.receives(pubcomp(2));
    t.acknowledged(2);
    t.sends(qos2(4, "d").dup());
    t.quiet();
    t.receives(puback(3));
    t.acknowledged(3);
    t.sends(qos1(5, "e"));
    t.quiet();
    // The whole window is there again on the next connection.
    t.cut();
    t.resumes();
    t.publish(AtLeastOnce, "f");
    t.sends((qos2(4, "d").dup(), qos1(5, "e").dup(), qos1(6, "f")));
    t.quiet();
}

/// What is acknowledged before it was sent again took no quota on this connection, so it frees none.
#[test]
fn s09_an_answer_to_what_still_waits_raises_no_quota() {
    let mut t = <Trace>::new(Version::V5);
    t.connects();
    for (qos, payload) in [(AtLeastOnce, "a"), (AtLeastOnce, "b"), (AtLeastOnce, "c"), (ExactlyOnce, "d")] {
        t.publish(qos, payload);
    }
    t.sends((qos1(1, "a"), qos1(2, "b"), (qos1(3, "c"), qos2(4, "d"))));
    t.cut();
    t.connects_with(true, "21 0002");
    t.publish(AtLeastOnce, "e");
    t.sends((qos1(1, "a").dup(), qos1(2, "b").dup()));
    t.receives((puback(3), pubrec(4)));
    t.acknowledged(3);
    t.sends(pubrel(4));
    t.receives(pubcomp(4));
    t.acknowledged(4);
    t.quiet();
    t.receives(puback(1));
    t.acknowledged(1);
    t.sends(qos1(5, "e"));
    t.quiet();
}

#[test]
fn s10_quota_counts_until_pubcomp() {
    let mut t = <Trace>::new(Version::V5);
    t.connects_with(false, "21 0001");
    t.publish(ExactlyOnce, "a");
    t.sends(qos2(1, "a"));
    t.receives(pubrec(1));
    t.sends(pubrel(1));
    t.publish(ExactlyOnce, "b");
    t.publish(AtMostOnce, "never waits");
    t.sends(qos0("never waits"));
    t.quiet();
    t.receives(pubcomp(1));
    t.acknowledged(1);
    t.sends(qos2(2, "b"));
    t.quiet();
}

/// Receive Maximum 1, Maximum Packet Size 20, Maximum QoS 1, no RETAIN, no wildcards, no subscription identifiers, no
/// shared subscriptions, keep alive; then none of them.
#[test]
fn s11_limits_end_with_their_connection() {
    let mut t = <Trace>::new(Version::V5);
    t.connects_with(false, "21 0001  27 00000014  24 01  25 00  28 00  29 00  2A 00  13 000A");
    assert_eq!(t.try_publish(ExactlyOnce, "a"), Err(CommandError::QosUnsupported));
    assert!(matches!(t.try_publish(AtMostOnce, "more than 20 bytes"), Err(CommandError::TooLarge { .. })));
    let retained = Publish { retain: true, ..Publish::new(TOPIC, b"r") };
    assert_eq!(t.session.publish(&retained), Err(CommandError::RetainUnsupported));
    for (filter, refused) in [("#", CommandError::WildcardUnsupported), ("$share/g/t", CommandError::SharedUnsupported)]
    {
        let subscriptions = [Subscription::new(filter, AtMostOnce)];
        let request = Subscribe { subscriptions: &subscriptions, properties: Properties::EMPTY };
        assert_eq!(t.session.subscribe(&request), Err(refused));
    }
    t.publish(AtLeastOnce, "a");
    t.publish(AtLeastOnce, "b");
    t.sends(qos1(1, "a"));
    t.quiet();
    t.passes(10_000);
    t.sends("C0 00");
    t.receives("D0 00");
    t.quiet();

    t.cut();
    t.resumes();
    t.sends((qos1(1, "a").dup(), qos1(2, "b")));
    t.publish(ExactlyOnce, "more than 20 bytes");
    t.sends(qos2(3, "more than 20 bytes"));
    assert_eq!(t.session.publish(&retained), Ok(None));
    t.sends("31 05 0001 74 00 72");
    for filter in ["#", "$share/g/t"] {
        let id = t.subscribe(filter);
        t.sends(subscribe(id, filter));
        t.receives(suback(id, &[0]));
        t.event(|_, event| assert!(matches!(event, Event::Subscribed { .. }), "{event:?}"));
    }
    t.passes(1_000_000);
    t.quiet();
}

/// More PUBRELs than there is room for at once.
#[test]
fn s12_every_pubrec_gets_its_pubrel() {
    for version in [Version::V311, Version::V5] {
        let mut t = Trace::<512, 10, 1, 30, 256>::new(version);
        t.connects();
        for id in 1..=9 {
            assert_eq!(t.publish(ExactlyOnce, "a"), id);
            t.sends(qos2(id, "a"));
        }
        t.receives(core::array::from_fn::<_, 9, _>(|index| pubrec(9 - u16::try_from(index).unwrap_or(0))));
        for id in (1..=9).rev() {
            t.sends(pubrel(id));
        }
        t.quiet();
        for id in 1..=9 {
            t.receives(pubcomp(id));
            t.acknowledged(id);
        }
        t.quiet();
    }
}

#[test]
fn s12_every_pubrel_is_resumed() {
    for version in [Version::V311, Version::V5] {
        let mut t = Trace::<512, 10, 1, 30, 256>::new(version);
        t.connects();
        for id in 1..=9 {
            t.publish(ExactlyOnce, "a");
            t.sends(qos2(id, "a"));
            t.receives(pubrec(id));
            t.sends(pubrel(id));
        }
        t.cut();
        t.resumes();
        for id in 1..=9 {
            t.sends(pubrel(id));
        }
        t.quiet();
    }
}

/// The PUBLISH of an earlier connection took no quota on this one.
#[test]
fn s13b_a_pubcomp_for_a_carried_over_pubrel_raises_no_quota() {
    let mut t = <Trace>::new(Version::V5);
    t.connects();
    t.publish(ExactlyOnce, "a");
    t.sends(qos2(1, "a"));
    t.receives(pubrec(1));
    t.sends(pubrel(1));
    t.cut();
    t.connects_with(true, "21 0001");
    t.publish(AtLeastOnce, "b");
    t.publish(AtLeastOnce, "c");
    t.sends((pubrel(1), qos1(2, "b")));
    t.quiet();
    t.receives(pubcomp(1));
    t.acknowledged(1);
    t.quiet();
    t.receives(puback(2));
    t.acknowledged(2);
    t.sends(qos1(3, "c"));
    t.quiet();
}

/// Also when the identifiers have gone around: 0 and those in flight are left out. A small table goes around sooner.
#[test]
fn s14_identifiers_in_flight_are_skipped() {
    for version in [Version::V311, Version::V5] {
        take_turns::<3>(version, 2 * 2048);
        take_turns::<32>(version, 31 * 2048 - 1);
    }
}

/// All slots but one go through `all` identifiers, while one exchange is kept in flight.
fn take_turns<const OUTBOUND: usize>(version: Version, all: usize) {
    let mut t = Trace::<256, OUTBOUND, 1, 256, 256>::new(version);
    t.connects();
    t.publish(ExactlyOnce, "kept");
    t.sends(qos2(1, "kept"));
    let mut times = vec![0_usize; 65_536];
    for _ in 0..70_000 {
        let id = t.publish(AtLeastOnce, "x");
        t.sends(qos1(id, "x"));
        let request = t.subscribe("f");
        t.sends(subscribe(request, "f"));
        t.receives(puback(id));
        t.acknowledged(id);
        t.receives(suback(request, &[0]));
        t.event(|_, event| assert!(matches!(event, Event::Subscribed { .. }), "{event:?}"));
        for id in [id, request] {
            let times = &mut times[usize::from(id)];
            *times = times.saturating_add(1);
        }
    }
    assert_eq!(times.get(..2), Some(&[0, 0][..]), "neither 0 nor 1 may be used");
    assert_eq!(times.iter().filter(|&&times| times != 0).count(), all);
    assert!(times.iter().all(|&times| times <= 140_000_usize.div_ceil(all)), "identifiers take turns");
    t.receives(pubrec(1));
    t.sends(pubrel(1));
    t.receives(pubcomp(1));
    t.acknowledged(1);
    t.quiet();
}

#[test]
fn s19_a_full_window_refuses_and_recovers() {
    for version in [Version::V311, Version::V5] {
        let mut t = Trace::<256, 3, 2, 256, 256>::new(version);
        t.connects();
        t.publish(AtLeastOnce, "a");
        t.publish(ExactlyOnce, "b");
        t.sends((qos1(1, "a"), qos2(2, "b")));
        for _ in 0..3 {
            assert_eq!(t.try_publish(AtLeastOnce, "c"), Err(CommandError::Full));
            t.quiet();
        }
        assert_eq!(t.session.pending(), 2);
        t.receives(pubrec(2));
        t.sends(pubrel(2));
        assert_eq!(t.try_publish(AtLeastOnce, "c"), Err(CommandError::Full));
        t.receives(puback(1));
        t.acknowledged(1);
        t.tells(&Event::Writable);
        let third = t.publish(AtLeastOnce, "c");
        t.sends(qos1(third, "c"));
        t.receives(pubcomp(2));
        t.acknowledged(2);
        t.quiet();
    }
}

/// What is free lies in pieces, but is found.
#[test]
fn s19_a_full_store_refuses_and_recovers() {
    for version in [Version::V311, Version::V5] {
        let len = qos1(1, "payload").bytes(version).len() + 16;
        assert!((26..=32).contains(&len));
        let mut t = Trace::<96, 8, 1, 256, 256>::new(version);
        t.connects();
        for id in 1..=3 {
            t.publish(AtLeastOnce, "payload");
            t.sends(qos1(id, "payload"));
        }
        assert_eq!(t.try_publish(ExactlyOnce, "refused"), Err(CommandError::Full));
        assert_eq!(t.try_publish(AtMostOnce, "refused"), Err(CommandError::Full));
        t.quiet();
        t.receives(puback(2));
        t.acknowledged(2);
        t.tells(&Event::Writable);
        t.publish(ExactlyOnce, "accepted");
        t.sends(qos2(4, "accepted"));
        t.receives(puback(1));
        t.acknowledged(1);
        t.cut();
        t.resumes();
        t.sends((qos1(3, "payload").dup(), qos2(4, "accepted").dup()));
        t.quiet();
    }
}

#[test]
fn s20_a_full_store_does_not_block_a_connection() {
    for version in [Version::V311, Version::V5] {
        let mut t = Trace::<64, 8, 2, 256, 256>::new(version);
        t.connects();
        t.publish(AtLeastOnce, "a");
        t.publish(ExactlyOnce, "b");
        t.sends((qos1(1, "a"), qos2(2, "b")));
        assert!(t.session.free_space() < 20);
        t.cut();
        t.resumes();
        t.sends((qos1(1, "a").dup(), qos2(2, "b").dup()));
        // Nor anything else that must never wait.
        t.receives((qos1(1, "in"), qos2(2, "in")));
        t.message(qos1(1, "in"));
        t.message(qos2(2, "in"));
        t.sends((puback(1), pubrec(2)));
        t.receives((pubrec(2), pubrel(2)));
        t.sends((pubrel(2), pubcomp(2)));
        t.disconnect();
        t.sends("E0 00");
    }
}

/// Patience begins with the connection, not with the poll before it. The first poll of all may have any time.
#[test]
fn s20_a_pause_before_a_connection_costs_no_time_limit() {
    for mut t in both() {
        for _ in 0..2 {
            t.passes(3_600_000);
            t.begins();
            t.passes(1);
            t.sends(t.connect_packet());
            t.quiet();
            t.receives(connack(false, ""));
            t.connected(false);
            t.quiet();
            t.cut();
        }
    }
}

/// The table is as large as there are identifiers. It is too large for the stack of a test.
#[test]
fn s27_the_last_identifier_is_the_last() {
    for version in [Version::V311, Version::V5] {
        let child = thread::Builder::new().stack_size(64 << 20).spawn(move || all_identifiers(version));
        let joined = child.map(thread::JoinHandle::join);
        assert!(matches!(joined, Ok(Ok(()))), "{version:?}");
    }
}

fn all_identifiers(version: Version) {
    let mut t = Trace::<1_600_000, 65_535, 1, 256, 256>::new(version);
    t.connects();
    let mut seen = vec![false; 65_536];
    for _ in 0..65_534 {
        let id = t.publish(AtLeastOnce, "");
        t.sends(qos1(id, ""));
        assert!(id != 0 && !core::mem::replace(&mut seen[usize::from(id)], true), "{id}");
    }
    assert_eq!(t.try_publish(AtLeastOnce, ""), Err(CommandError::Full));
    let subscriptions = [Subscription::new("f", AtMostOnce)];
    let request = Subscribe { subscriptions: &subscriptions, properties: Properties::EMPTY };
    let id = t.subscribe("f");
    t.sends(subscribe(id, "f"));
    assert!(!seen[usize::from(id)], "the one identifier that is left");
    assert_eq!(t.try_publish(AtLeastOnce, ""), Err(CommandError::Full));
    assert_eq!(t.session.subscribe(&request), Err(CommandError::Full));
    t.quiet();
    t.receives(puback(777));
    t.acknowledged(777);
    t.tells(&Event::Writable);
    assert_eq!(t.publish(AtLeastOnce, ""), 777);
    t.sends(qos1(777, ""));
    t.quiet();
}
