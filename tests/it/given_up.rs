//! Messages that were sent and are never sent again: what is told of them, and that their identifiers stay taken.
#![cfg(all(feature = "v311", feature = "v5"))]
#![allow(clippy::panic, reason = "a fault here is a failed test")]

use mqtt_session::QoS::{AtLeastOnce, ExactlyOnce};
use mqtt_session::wire::AckType::{Puback, Pubrec};
use mqtt_session::{
    CloseReason, CommandError, Disconnect, DisconnectWhen, Event, LostSession, Outcome, ReasonCode, Version,
};

use crate::known_failures::trace::{Trace, both, connack, packet_id, puback, pubcomp, pubrec, pubrel, qos1, qos2};

impl<const STORE: usize, const OUTBOUND: usize> Trace<STORE, OUTBOUND> {
    fn gives_up(&mut self, id: u16) -> bool {
        self.session.give_up(packet_id(id))
    }
}

#[test]
fn it_is_told_once_and_never_sent_again() {
    for mut t in both() {
        t.connects();
        t.publish(AtLeastOnce, "a");
        t.publish(ExactlyOnce, "b");
        t.publish(AtLeastOnce, "c");
        t.sends((qos1(1, "a"), qos2(2, "b"), qos1(3, "c")));
        t.cut();
        let free = t.session.free_space();
        assert!(t.gives_up(1) && t.gives_up(2));
        assert!(!t.gives_up(1) && !t.gives_up(2), "that is done");
        assert!(t.session.free_space() > free);
        t.published(1, Outcome::GivenUp);
        t.published(2, Outcome::GivenUp);
        assert!(!t.gives_up(1) && !t.gives_up(2));
        t.closes(CloseReason::ConnectionLost);
        assert_eq!(t.session.pending(), 3);
        t.resumes();
        t.sends(qos1(3, "c").dup());
        t.receives(puback(3));
        t.acknowledged(3);
        t.quiet();
        t.cut();
        t.resumes();
        t.quiet();
        assert_eq!(t.session.pending(), 2);
    }
}

#[test]
fn its_identifier_stays_taken() {
    for version in [Version::V311, Version::V5] {
        let mut t = Trace::<1024, 3>::new(version);
        t.connects();
        t.publish(AtLeastOnce, "a");
        t.sends(qos1(1, "a"));
        assert!(t.gives_up(1));
        t.published(1, Outcome::GivenUp);
        let mut seen = vec![];
        for _ in 0..5_000 {
            let id = t.publish(AtLeastOnce, "b");
            assert_ne!(id, 1);
            seen.push(id);
            t.sends(qos1(id, "b"));
            t.receives(puback(id));
            t.acknowledged(id);
        }
        assert!(seen.windows(2).all(|two| two[0] != two[1]));
        t.publish(AtLeastOnce, "b");
        assert_eq!(t.try_publish(AtLeastOnce, "b"), Err(CommandError::Full));
    }
}

#[test]
fn a_late_answer_ends_the_exchange_without_a_word() {
    for mut t in both() {
        for is_cut in [false, true] {
            t = Trace::new(t.version);
            t.connects();
            t.publish(AtLeastOnce, "a");
            t.publish(ExactlyOnce, "b");
            t.publish(ExactlyOnce, "c");
            t.sends((qos1(1, "a"), qos2(2, "b"), qos2(3, "c")));
            for id in 1..=3 {
                assert!(t.gives_up(id));
                t.published(id, Outcome::GivenUp);
            }
            if is_cut {
                t.cut();
                t.resumes();
            }
            t.quiet();
            t.receives((puback(1), pubrec(2)));
            t.sends(pubrel(2));
            t.quiet();
            assert_eq!(t.session.pending(), 2);
            // PUBREL is sent again as any.
            t.cut();
            t.resumes();
            t.sends(pubrel(2));
            t.receives(pubcomp(2));
            t.quiet();
            assert_eq!(t.session.pending(), 1);
            t.receives(puback(1));
            t.stray(Puback, 1);
            if t.is_v5() {
                t.receives(pubrec(3).code(0x97));
                t.quiet();
                assert_eq!(t.session.pending(), 0);
                t.receives(pubrec(3).code(0x97));
                t.stray(Pubrec, 3);
            }
        }
    }
}

/// The answer that comes before the event is what is told.
#[test]
fn an_answer_in_time_is_the_outcome() {
    for mut t in both() {
        t.connects();
        t.publish(AtLeastOnce, "a");
        t.publish(ExactlyOnce, "b");
        t.sends((qos1(1, "a"), qos2(2, "b")));
        t.receives((puback(1), pubrec(2)));
        assert!(t.gives_up(2) && t.gives_up(1));
        t.acknowledged(1);
        t.sends(pubrel(2));
        assert!(!t.gives_up(2), "the server has it");
        t.receives(pubcomp(2));
        t.acknowledged(2);
        t.quiet();
        assert_eq!(t.session.pending(), 0);
    }
}

#[test]
fn what_was_never_sent_is_cancelled_instead() {
    for mut t in both() {
        t.connects();
        t.publish(AtLeastOnce, "a");
        assert!(!t.gives_up(1) && !t.gives_up(7));
        assert!(t.session.cancel(packet_id(1)));
    }
}

/// A half-written packet is written to its end.
#[test]
fn what_is_half_written_is_finished() {
    for mut t in both() {
        t.connects();
        t.publish(AtLeastOnce, "half");
        t.publish(AtLeastOnce, "b");
        t.shows(qos1(1, "half"), 3);
        assert!(t.gives_up(1));
        t.published(1, Outcome::GivenUp);
        while t.try_publish(AtLeastOnce, "filler filler filler").is_ok() {}
        t.sends_rest_of(qos1(1, "half"), 3);
        t.tells(&Event::Writable);
        t.sends(qos1(2, "b"));
    }
}

/// It counts against the quota as long as its connection lasts. (5.0: 4.9)
#[test]
fn the_server_may_still_count_it() {
    let mut t = <Trace>::new(Version::V5);
    t.connects_with(false, "21 0001");
    t.publish(AtLeastOnce, "a");
    t.publish(AtLeastOnce, "b");
    t.sends(qos1(1, "a"));
    assert!(t.gives_up(1));
    t.published(1, Outcome::GivenUp);
    t.quiet();
    t.receives(puback(1));
    t.sends(qos1(2, "b"));
    assert!(t.gives_up(2));
    t.published(2, Outcome::GivenUp);
    t.cut();
    t.connects_with(true, "21 0001");
    t.publish(AtLeastOnce, "c");
    t.sends(qos1(3, "c"));
    // One of an earlier connection does not count here.
    t.publish(AtLeastOnce, "d");
    t.receives(puback(2));
    t.quiet();
}

#[test]
fn the_end_of_the_session_frees_it() {
    for mut t in both() {
        for policy in [LostSession::Standard, LostSession::Report, LostSession::Republish] {
            t = Trace::new(t.version);
            t.options.lost_session = policy;
            t.connects();
            t.publish(AtLeastOnce, "a");
            t.publish(AtLeastOnce, "b");
            t.sends((qos1(1, "a"), qos1(2, "b")));
            assert!(t.gives_up(1));
            t.published(1, Outcome::GivenUp);
            t.cut();
            assert!(t.gives_up(2), "told behind the end of the session");
            assert_eq!(t.session.pending(), 2);
            t.begins();
            t.published(2, Outcome::GivenUp);
            t.sends(t.connect_packet());
            t.receives(connack(false, ""));
            t.connected(false);
            t.quiet();
            assert_eq!(t.session.pending(), 0, "{policy:?}");
        }
        t = Trace::new(t.version);
        t.connects();
        t.publish(AtLeastOnce, "a");
        t.sends(qos1(1, "a"));
        t.loses_link();
        t.closes(CloseReason::ConnectionLost);
        assert!(t.gives_up(1));
        t.options.clean_start = true;
        t.begins();
        t.published(1, Outcome::GivenUp);
        assert_eq!(t.session.pending(), 0);
    }
}

/// Behind PUBREC there is nothing more to tell when the session is lost.
#[test]
fn a_lost_session_does_not_tell_it_again() {
    let mut t = <Trace>::new(Version::V5);
    t.connects();
    t.publish(ExactlyOnce, "a");
    t.publish(ExactlyOnce, "b");
    t.sends((qos2(1, "a"), qos2(2, "b")));
    assert!(t.gives_up(1));
    t.published(1, Outcome::GivenUp);
    t.receives((pubrec(1), pubrec(2)));
    t.sends((pubrel(1), pubrel(2)));
    t.cut();
    t.connects();
    t.published(2, Outcome::LostUnconfirmed);
    t.quiet();
    assert_eq!(t.session.pending(), 0);
}

#[test]
fn disconnect_does_not_wait_for_it() {
    for mut t in both() {
        t.connects();
        t.publish(AtLeastOnce, "a");
        t.sends(qos1(1, "a"));
        assert!(t.gives_up(1));
        t.published(1, Outcome::GivenUp);
        let when = DisconnectWhen::Completed { timeout: None };
        assert_eq!(t.session.disconnect(&Disconnect { when, ..Disconnect::default() }), Ok(()));
        t.sends("E0 00");
        t.closes(CloseReason::Disconnected);
    }
}

/// [MQTT-3.2.2-15] What was sent once may be half way at the server.
#[test]
fn the_identifier_of_what_cannot_be_sent_again_stays_taken() {
    let mut t = <Trace>::new(Version::V5);
    t.connects();
    t.publish(ExactlyOnce, "0123456789");
    t.sends(qos2(1, "0123456789"));
    t.cut();
    t.publish(ExactlyOnce, "0123456789 never sent");
    t.connects_with(true, "27 0000000C");
    t.published(1, Outcome::Unsendable);
    t.published(2, Outcome::Unsendable);
    t.quiet();
    assert_eq!(t.session.pending(), 1);
    t.receives(pubrec(1));
    t.sends(pubrel(1));
    t.receives(pubcomp(1).code(0x92));
    t.quiet();
    assert_eq!(t.session.pending(), 0);
}

#[test]
fn in_3_1_1_nothing_of_it_is_sent_again_by_time() {
    let mut t = <Trace>::new(Version::V311);
    t.options.retry_interval = core::time::Duration::from_secs(5);
    t.connects();
    t.publish(AtLeastOnce, "a");
    t.publish(AtLeastOnce, "b");
    t.sends((qos1(1, "a"), qos1(2, "b")));
    t.quiet();
    assert!(t.gives_up(1));
    t.published(1, Outcome::GivenUp);
    t.passes(5_000);
    t.sends(qos1(2, "b").dup());
    t.receives(puback(2));
    t.acknowledged(2);
    t.passes(50_000);
    t.quiet();
    t.receives(puback(1));
    t.quiet();
    assert_eq!(t.session.pending(), 0);
}

/// Where the identifiers of what was given up differ, so do the sessions.
#[test]
fn it_is_part_of_what_a_session_means() {
    let hash = |t: &Trace| {
        use core::hash::{Hash, Hasher};
        let mut hasher = std::hash::DefaultHasher::new();
        t.session.hash(&mut hasher);
        hasher.finish()
    };
    let run = |given_up: &[u16]| {
        let mut t = <Trace>::new(Version::V5);
        t.connects();
        t.publish(ExactlyOnce, "a");
        t.publish(ExactlyOnce, "a");
        t.sends((qos2(1, "a"), qos2(2, "a")));
        for &id in given_up {
            assert!(t.gives_up(id));
            t.published(id, Outcome::GivenUp);
        }
        for id in 1..=2 {
            t.receives(pubrec(id).code(0x97));
            if given_up.contains(&id) {
                t.quiet();
            } else {
                t.published(id, Outcome::Rejected(ReasonCode::QuotaExceeded));
            }
        }
        t
    };
    let [plain, given] = [run(&[]), run(&[1, 2])];
    assert!(plain.session == given.session && hash(&plain) == hash(&given), "both are over");
    let half = |id| {
        let mut t = <Trace>::new(Version::V5);
        t.connects();
        t.publish(ExactlyOnce, "a");
        t.publish(ExactlyOnce, "a");
        t.sends((qos2(1, "a"), qos2(2, "a")));
        assert!(t.gives_up(id));
        t.published(id, Outcome::GivenUp);
        t.receives(pubrec(3 - id).code(0x97));
        t.published(3 - id, Outcome::Rejected(ReasonCode::QuotaExceeded));
        t
    };
    let [one, other, again] = [half(1), half(2), half(1)];
    assert!(one.session != other.session && hash(&one) != hash(&other));
    assert!(one.session == again.session && hash(&one) == hash(&again));
}

#[cfg(feature = "server")]
mod server {
    use super::*;
    use crate::server::trace::{Hello, LASTING, Trace, both};

    #[test]
    fn the_servers_end_does_the_same() {
        for mut t in both() {
            t.connects();
            t.publish(AtLeastOnce, "a");
            t.publish(ExactlyOnce, "b");
            t.sends((qos1(1, "a"), qos2(2, "b")));
            t.cut();
            assert!(t.session.give_up(packet_id(1)) && t.session.give_up(packet_id(2)));
            t.published(1, Outcome::GivenUp);
            t.published(2, Outcome::GivenUp);
            t.closes(CloseReason::ConnectionLost);
            t.resumes();
            t.quiet();
            assert_eq!(t.session.pending(), 2);
            t.receives(pubrec(2));
            t.sends(pubrel(2));
            t.receives((pubcomp(2), puback(1)));
            t.quiet();
            assert_eq!(t.session.pending(), 0);
        }
    }

    #[test]
    fn a_client_with_a_new_session_knows_none_of_them() {
        for mut t in both() {
            t.connects();
            t.publish(AtLeastOnce, "a");
            t.sends(qos1(1, "a"));
            assert!(t.session.give_up(packet_id(1)));
            t.published(1, Outcome::GivenUp);
            t.cut();
            t.hello.clean = true;
            t.connects();
            assert_eq!(t.session.pending(), 0);
        }
    }

    /// [MQTT-3.1.2-24]
    #[test]
    fn the_identifier_of_what_cannot_be_sent_again_stays_taken() {
        let mut t = <Trace>::new(Version::V5);
        t.connects();
        t.publish(AtLeastOnce, "0123456789 0123456789");
        t.sends(qos1(1, "0123456789 0123456789"));
        t.cut();
        t.hello = Hello { properties: "11 FFFFFFFF 27 00000014", ..LASTING };
        t.asks(true);
        t.accepts();
        t.published(1, Outcome::Unsendable);
        t.sends(t.connack(true));
        t.quiet();
        assert_eq!(t.session.pending(), 1);
        t.receives(puback(1));
        t.quiet();
        assert_eq!(t.session.pending(), 0);
    }
}
