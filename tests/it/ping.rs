//! PINGREQ that the application asks for.
#![cfg(all(feature = "v311", feature = "v5"))]
#![allow(clippy::panic, reason = "a fault here is a failed test")]

use core::time::Duration;

use mqtt_session::QoS::AtLeastOnce;
use mqtt_session::{CloseReason, CommandError, Event, Version};

use crate::known_failures::trace::{Trace, both, puback, pubcomp, pubrec, pubrel, qos1, qos2};

const PINGREQ: &str = "C0 00";
const PINGRESP: &str = "D0 00";

impl Trace {
    #[track_caller]
    fn pings(&mut self) {
        assert_eq!(self.session.ping(), Ok(()));
    }

    #[track_caller]
    fn pinged(&mut self, millis: u64) {
        self.tells(&Event::Pinged { round_trip: Duration::from_millis(millis) });
    }
}

#[test]
fn the_round_trip_is_told_of_what_was_asked_for_alone() {
    for mut t in both() {
        t.options.keep_alive = 8;
        t.connects();
        t.quiet();
        // That of the keep alive.
        t.passes(7_000);
        t.sends(PINGREQ);
        t.passes(100);
        t.receives(PINGRESP);
        t.quiet();
        t.pings();
        t.sends(PINGREQ);
        t.quiet();
        t.passes(30);
        // Other traffic does not begin the time anew.
        t.receives(qos1(7, "a"));
        t.message(qos1(7, "a"));
        t.sends(puback(7));
        t.publish(AtLeastOnce, "b");
        t.sends(qos1(1, "b"));
        t.passes(12);
        t.receives(PINGRESP);
        t.pinged(42);
        t.receives(PINGRESP);
        t.quiet();
    }
}

#[test]
fn one_is_under_way_at_a_time() {
    for mut t in both() {
        t.connects();
        t.pings();
        t.pings();
        t.sends(PINGREQ);
        t.pings();
        t.quiet();
        t.passes(5);
        t.receives(PINGRESP);
        t.pinged(5);
        t.quiet();
        t.pings();
        t.sends(PINGREQ);
        t.passes(6);
        t.receives(PINGRESP);
        t.pinged(6);
    }
}

#[test]
fn that_of_the_keep_alive_is_answered_first() {
    for mut t in both() {
        t.options.keep_alive = 8;
        t.connects();
        t.quiet();
        t.passes(7_000);
        t.sends(PINGREQ);
        t.pings();
        t.quiet();
        t.passes(1_000);
        t.receives(PINGRESP);
        t.sends(PINGREQ);
        t.passes(3);
        t.receives(PINGRESP);
        t.pinged(3);
        t.quiet();
    }
}

/// The time counts from the moment at which the last byte was shown.
#[test]
fn it_waits_behind_what_is_half_written() {
    for mut t in both() {
        t.connects();
        t.publish(AtLeastOnce, "half");
        t.shows(qos1(1, "half"), 1);
        t.pings();
        t.passes(6_000);
        t.sends_rest_of(qos1(1, "half"), 1);
        t.shows(PINGREQ, 1);
        t.passes(9_000);
        t.looks();
        t.shows("00", 1);
        t.passes(9_999);
        t.quiet();
        t.receives(PINGRESP);
        t.pinged(9_999);
        t.receives(puback(1));
        t.acknowledged(1);
    }
}

/// Also without a keep alive.
#[test]
fn no_answer_ends_the_connection() {
    for mut t in both() {
        t.connects();
        t.quiet();
        t.passes(1_000_000);
        t.pings();
        t.sends(PINGREQ);
        t.quiet();
        t.passes(9_999);
        t.quiet();
        // Any byte shows that the server is there.
        t.receives(qos2(7, "a"));
        t.message(qos2(7, "a"));
        t.sends(pubrec(7));
        t.passes(9_999);
        t.quiet();
        t.passes(1);
        t.closes(CloseReason::PingTimeout);
        assert_eq!(t.session.ping(), Err(CommandError::Offline));
        // The next connection knows nothing of it.
        t.announced = 7;
        t.resumes();
        t.receives(pubrel(7));
        t.sends(pubcomp(7));
        t.receives(PINGRESP);
        t.passes(1_000_000);
        t.quiet();
    }
}

#[test]
fn answered_it_is_over() {
    for mut t in both() {
        t.connects();
        t.pings();
        t.sends(PINGREQ);
        t.receives(PINGRESP);
        t.pinged(0);
        t.passes(1_000_000);
        t.quiet();
    }
}

#[test]
fn a_clock_that_is_set_back_changes_nothing() {
    for mut t in both() {
        t.passes(100_000);
        t.connects();
        t.pings();
        t.sends(PINGREQ);
        t.passes(40);
        t.quiet();
        t.goes_back(50_000);
        t.quiet();
        t.passes(2);
        t.receives(PINGRESP);
        t.pinged(42);
    }
}

#[test]
fn refused_unless_online() {
    for mut t in both() {
        assert_eq!(t.session.ping(), Err(CommandError::Offline));
        t.connect();
        assert_eq!(t.session.ping(), Err(CommandError::Offline));
        t.cut();
        t.connects();
        t.disconnect();
        assert_eq!(t.session.ping(), Err(CommandError::Closing));
    }
}

/// What it means is how long ago it was, not what the clock said.
#[test]
fn sessions_are_compared_by_the_age_of_it() {
    let [mut a, mut b] = [<Trace>::new(Version::V5), <Trace>::new(Version::V5)];
    b.passes(5_000);
    for t in [&mut a, &mut b] {
        t.connects();
        t.pings();
    }
    assert!(a.session == b.session);
    for t in [&mut a, &mut b] {
        t.sends(PINGREQ);
        t.passes(7);
        t.quiet();
    }
    assert!(a.session == b.session);
    b.receives(PINGRESP);
    b.pinged(7);
    assert!(a.session != b.session);
}
