//! One and a half times the keep alive without a packet.

use mqtt_session::{CloseReason, Properties, Property, Version};

use super::packets::{Bytes, puback, qos0, qos1};
use super::trace::{Trace, both};

/// [MQTT-3.1.2-24] in 3.1.1, [MQTT-3.1.2-22] in 5.0
#[test]
fn silence_ends_the_connection_after_one_and_a_half_intervals() {
    for (interval, limit) in [(1, 1_500), (10, 15_000), (7, 10_500), (65_535, 98_302_500)] {
        for mut t in both() {
            t.hello.keep_alive = interval;
            t.connects();
            let until = t.quiet();
            assert_eq!(until, Some(t.now + limit));
            assert_eq!(t.session.deadline().map(mqtt_session::Instant::as_millis), until);
            t.passes(limit - 1);
            assert_eq!(t.quiet(), until);
            t.passes(1);
            t.fails(CloseReason::KeepAliveTimeout, 0x8D);
            t.resumes();
        }
    }
}

/// Any packet counts, bytes do not.
#[test]
fn packets_count_and_bytes_do_not() {
    for mut t in both() {
        t.hello.keep_alive = 10;
        t.connects();
        for packet in [vec![0xC0, 0], qos0("a").bytes(t.version), vec![0x40, 2, 0, 9]] {
            t.passes(14_999);
            t.receives(packet.clone());
            if packet[0] == 0xC0 {
                t.sends("D0 00");
            } else {
                t.event(|_, _| ());
            }
            assert_eq!(t.quiet(), Some(t.now + 15_000));
        }
        let until = t.quiet();
        for byte in Bytes::bytes("30 08 0001 74", t.version) {
            t.passes(1_000);
            t.receives(vec![byte]);
            assert_eq!(t.quiet(), until);
        }
        t.passes(10_000);
        t.fails(CloseReason::KeepAliveTimeout, 0x8D);
    }
}

/// What the server sends says nothing of the client.
#[test]
fn what_is_sent_does_not_count() {
    for mut t in both() {
        t.hello.keep_alive = 10;
        t.connects();
        t.passes(14_000);
        t.publish(mqtt_session::QoS::AtLeastOnce, "a");
        t.sends(qos1(1, "a"));
        t.passes(1_000);
        t.fails(CloseReason::KeepAliveTimeout, 0x8D);
    }
}

/// A packet that came in time counts, however late it is read.
#[test]
fn what_is_here_is_read_before_time_is_called() {
    for mut t in both() {
        t.hello.keep_alive = 10;
        t.connects();
        t.receives("C0 00");
        t.passes(1_000_000);
        t.sends("D0 00");
        assert_eq!(t.quiet(), Some(t.now + 15_000));
    }
}

#[test]
fn without_an_interval_silence_lasts() {
    for mut t in both() {
        t.connects();
        for _ in 0..3 {
            t.passes(u64::MAX / 4);
            assert_eq!(t.quiet(), None);
        }
        t.receives("C0 00");
        t.sends("D0 00");
    }
}

/// [MQTT-3.1.2-21]
#[test]
fn the_interval_of_the_server_replaces_that_of_the_client() {
    for (asked, properties, said, limit) in [
        (10, &[Property::ServerKeepAlive(20)], "13 0014", Some(30_000)),
        (20, &[Property::ServerKeepAlive(2)], "13 0002", Some(3_000)),
        (0, &[Property::ServerKeepAlive(2)], "13 0002", Some(3_000)),
        (10, &[Property::ServerKeepAlive(0)], "13 0000", None),
    ] {
        let mut t = <Trace>::new(Version::V5);
        t.hello.keep_alive = asked;
        t.accept.properties = Properties::of(properties);
        t.said = said;
        t.connects();
        assert_eq!(t.quiet(), limit.map(|limit| t.now + limit));
        t.cut();
        // On the next connection nothing of it is left.
        t.accept.properties = Properties::EMPTY;
        t.said = "";
        t.resumes();
        assert_eq!(t.quiet(), (asked != 0).then(|| t.now + u64::from(asked) * 1500));
    }
}

/// Where the client cannot be told it is not told for ever.
#[test]
fn a_stalled_farewell_has_its_time() {
    let mut t = <Trace>::new(Version::V5);
    t.hello.keep_alive = 10;
    t.connects();
    t.publish(mqtt_session::QoS::AtLeastOnce, "a");
    t.shows(qos1(1, "a"), 3);
    t.passes(15_000);
    // The packet that is half written comes first.
    let rest = qos1(1, "a").bytes(Version::V5)[3..].to_vec();
    t.shows(&rest, 0);
    t.passes(1);
    t.shows(&rest, 0);
    t.shows(&rest, 0);
    t.passes(4_999);
    t.shows(&rest, 0);
    t.passes(1);
    // It is tried once more.
    t.shows(&rest, 0);
    t.passes(1);
    t.closes(CloseReason::KeepAliveTimeout);

    let mut t = <Trace>::new(Version::V5);
    t.accept.disconnect_timeout = core::time::Duration::from_secs(1);
    t.hello.keep_alive = 10;
    t.connects();
    t.passes(15_000);
    t.shows("E0 01 8D", 1);
    t.shows("01 8D", 0);
    t.passes(1_000);
    t.shows("01 8D", 0);
    t.passes(1);
    t.closes(CloseReason::KeepAliveTimeout);
}

#[test]
fn every_ping_is_answered() {
    for mut t in both() {
        t.connects();
        t.receives(([0xC0, 0].repeat(3), puback(1)));
        t.event(|_, _| ());
        t.sends([0xD0, 0].repeat(3));
        t.quiet();
    }
}
