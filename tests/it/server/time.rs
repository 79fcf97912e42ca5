//! T: time limits of the server's end.

use mqtt_session::server::Liveness;
use mqtt_session::{CloseReason, Instant, QoS, Step, Version};

use super::packets::{Bytes, qos0, qos1};
use super::trace::{Seen, Trace, both};

/// The step that asks for one more read.
fn is_one_more_read(t: &mut Trace) -> bool {
    let now = Instant::from_millis(t.now);
    matches!(t.session.poll(&mut t.inbox, now), Step::Wait(Some(at)) if at <= now)
}

/// T1
#[test]
fn what_lies_in_the_transport_is_read_before_a_client_is_given_up() {
    for mut t in both() {
        t.hello.keep_alive = 10;
        t.connects();
        t.quiet();
        for _ in 0..3 {
            t.passes(20_000);
            assert!(is_one_more_read(&mut t));
            assert_eq!(t.session.deadline().map(Instant::as_millis), Some(t.now));
            t.receives("C0 00");
            t.sends("D0 00");
            assert_eq!(t.quiet(), Some(t.now + 15_000));
        }
        t.passes(20_000);
        assert!(is_one_more_read(&mut t));
        t.fails(CloseReason::KeepAliveTimeout, 0x8D);
    }
}

/// T1
#[test]
fn what_lies_in_the_transport_is_read_before_connect_is_missed() {
    for mut t in both() {
        t.opens();
        t.quiet();
        t.passes(20_000);
        assert!(is_one_more_read(&mut t));
        t.receives(t.hello);
        t.connecting(false);
        t.accepts();

        let mut t = <Trace>::new(t.version);
        t.opens();
        t.quiet();
        t.passes(20_000);
        assert!(is_one_more_read(&mut t));
        t.closes(CloseReason::ConnectTimeout);
    }
}

/// T1
#[test]
fn whoever_does_not_read_on_purpose_gives_nobody_up() {
    for mut t in both() {
        t.hello.keep_alive = 10;
        t.connects();
        for _ in 0..10 {
            t.quiet();
            t.session.reading_paused();
            t.passes(14_000);
            t.session.reading_paused();
        }
        t.receives("C0 00");
        t.sends("D0 00");

        let mut t = <Trace>::new(t.version);
        t.opens();
        for _ in 0..10 {
            t.quiet();
            t.session.reading_paused();
            t.passes(9_000);
        }
        t.receives(t.hello);
        t.connecting(false);
    }
}

/// T2
#[test]
fn a_farewell_leaves_behind_a_write_that_took_long() {
    let mut t = <Trace>::new(Version::V5);
    t.connects();
    t.publish(QoS::AtMostOnce, "a");
    t.disconnect(mqtt_session::ReasonCode::ServerShuttingDown);
    t.shows(qos0("a"), 0);
    t.passes(6_000);
    t.transmits(qos0("a").bytes(Version::V5).len());
    t.shows("E0 01 8B", 0);
    t.passes(4_999);
    t.shows("E0 01 8B", 1);
    t.passes(6_000);
    t.transmits(2);
    t.closes(CloseReason::Disconnected);

    // The peer's fault is what counts where that farewell does not leave.
    for mut t in both() {
        t.connects();
        t.publish(QoS::AtMostOnce, "a");
        t.shows(qos0("a"), 1);
        if t.is_v5() {
            t.disconnect(mqtt_session::ReasonCode::ServerShuttingDown);
            t.see();
            t.passes(5_000);
            t.see();
            t.passes(1);
            t.dropped(1);
            t.closes(CloseReason::DisconnectTimeout);
        }
    }
}

/// A large packet that comes slowly.
#[test]
fn bytes_count_where_that_is_asked_for() {
    for silence in [Liveness::Packets, Liveness::Bytes] {
        for mut t in both() {
            t.accept.liveness = silence;
            t.hello.keep_alive = 10;
            t.connects();
            let packet = qos1(1, "a message that takes its time").bytes(t.version);
            let (last, front) = packet.split_last().unwrap();
            for (number, byte) in front.iter().enumerate() {
                t.receives(vec![*byte]);
                if silence == Liveness::Packets && number == 15 {
                    break;
                }
                t.quiet();
                t.passes(1_000);
            }
            if silence == Liveness::Packets {
                t.fails(CloseReason::KeepAliveTimeout, 0x8D);
                continue;
            }
            t.receives(vec![*last]);
            t.event(|_, _| ());
            t.sends(mqtt_puback(1));
            t.passes(14_999);
            t.quiet();
            t.passes(1);
            t.fails(CloseReason::KeepAliveTimeout, 0x8D);
        }
    }
}

fn mqtt_puback(id: u8) -> Vec<u8> {
    vec![0x40, 2, 0, id]
}

/// T18. A session does not outlive its interval because the clock was set back.
#[test]
fn a_session_ends_in_time_though_the_clock_is_set_back() {
    let mut t = <Trace>::new(Version::V5);
    t.now = 10_000_000;
    t.hello.properties = "11 00000064";
    t.connects();
    t.cut();
    let end = t.session.expires_at().unwrap();
    let left = end.as_millis() - t.now;
    t.now -= 3_600_000;
    assert!(matches!(t.see(), Seen::Close(_)));
    assert_eq!(t.session.expires_at().map(Instant::as_millis), Some(t.now + left));
}
