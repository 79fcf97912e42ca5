//! `disconnect` once every exchange is over, and how many are not.
#![cfg(all(feature = "v311", feature = "v5"))]
#![allow(clippy::panic, reason = "a fault here is a failed test")]

use core::time::Duration;

use mqtt_session::QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
use mqtt_session::{
    Acknowledge, CloseReason, CommandError, Disconnect, DisconnectWhen, Event, Outcome, Properties, ReasonCode, Step,
};

use crate::known_failures::trace::{Trace, both, puback, pubcomp, pubrec, pubrel, qos0, qos1, qos2, suback, subscribe};

const COMPLETED: Disconnect<'static> = within(None);

const fn within(timeout: Option<Duration>) -> Disconnect<'static> {
    Disconnect {
        reason_code: ReasonCode::Success,
        properties: mqtt_session::Properties::EMPTY,
        when: DisconnectWhen::Completed { timeout },
    }
}

const DISCONNECT: &str = "E0 00";

impl Trace {
    #[track_caller]
    fn completes(&mut self, disconnect: &Disconnect<'_>) {
        assert_eq!(self.session.disconnect(disconnect), Ok(()));
    }
}

#[test]
fn without_exchanges_it_leaves_at_once() {
    for mut t in both() {
        t.connects();
        t.publish(AtMostOnce, "a");
        t.completes(&COMPLETED);
        t.sends((qos0("a"), DISCONNECT));
        t.closes(CloseReason::Disconnected);
    }
}

#[test]
fn what_was_published_comes_to_its_end_first() {
    for mut t in both() {
        t.options.max_inflight = 2;
        t.connects();
        t.publish(AtLeastOnce, "a");
        t.publish(ExactlyOnce, "b");
        t.publish(AtLeastOnce, "c");
        t.completes(&COMPLETED);
        assert!(!t.session.is_online());
        for refused in
            [t.try_publish(AtLeastOnce, "d").err(), t.session.ping().err(), t.session.disconnect(&COMPLETED).err()]
        {
            assert_eq!(refused, Some(CommandError::Closing));
        }
        t.sends((qos1(1, "a"), qos2(2, "b")));
        t.quiet();
        t.receives(puback(1));
        t.acknowledged(1);
        // What the quota held back.
        t.sends(qos1(3, "c"));
        t.receives(pubrec(2));
        t.sends(pubrel(2));
        t.receives(pubcomp(2));
        t.acknowledged(2);
        t.quiet();
        t.receives(puback(3));
        t.acknowledged(3);
        t.sends(DISCONNECT);
        t.closes(CloseReason::Disconnected);
    }
}

/// However long the application was busy: an answer that lies in the transport counts.
#[test]
fn an_answer_that_comes_with_the_last_read_completes() {
    for mut t in both() {
        t.connects();
        t.publish(AtLeastOnce, "a");
        t.completes(&COMPLETED);
        t.sends(qos1(1, "a"));
        t.quiet();
        t.passes(60_000);
        let now = t.clock();
        assert!(matches!(t.session.poll(&mut t.inbox, now), Step::Wait(Some(at)) if at <= now));
        t.receives(puback(1));
        t.acknowledged(1);
        t.sends(DISCONNECT);
        t.closes(CloseReason::Disconnected);
    }
}

#[test]
fn requests_are_answered_first() {
    for mut t in both() {
        t.connects();
        t.subscribe("f");
        t.completes(&COMPLETED);
        t.sends(subscribe(1, "f"));
        t.quiet();
        t.receives(suback(1, &[0]));
        t.event(|_, event| assert!(matches!(event, Event::Subscribed { .. })));
        t.sends(DISCONNECT);
        t.closes(CloseReason::Disconnected);
    }
}

#[test]
fn what_was_received_comes_to_its_end_first() {
    for mut t in both() {
        t.connects();
        t.receives((qos1(1, "a"), qos2(2, "b"), qos2(3, "c")));
        t.message(qos1(1, "a"));
        assert_eq!(t.session.pending_received(), 1);
        t.message(qos2(2, "b"));
        assert_eq!(t.session.pending_received(), 1);
        t.message(qos2(3, "c"));
        assert_eq!(t.session.pending_received(), 2);
        t.completes(&COMPLETED);
        t.sends((puback(1), pubrec(2), pubrec(3)));
        t.quiet();
        // A new one is not taken, but what is known goes on.
        t.receives((qos2(4, "d"), qos1(5, "e"), qos2(3, "c").dup()));
        t.sends(pubrec(3));
        t.receives((pubrel(3), pubrel(2)));
        t.sends((pubcomp(3), pubcomp(2), DISCONNECT));
        assert_eq!(t.session.pending_received(), 0);
        t.closes(CloseReason::Disconnected);
    }
}

#[test]
fn the_application_still_acknowledges() {
    for mut t in both() {
        t.options.acknowledgement = Acknowledge::Manually;
        t.connects();
        t.receives((qos1(1, "a"), qos2(2, "b")));
        let [first, second] = [t.hands_out(qos1(1, "a")), t.hands_out(qos2(2, "b"))];
        assert_eq!(t.session.pending_received(), 2);
        t.completes(&COMPLETED);
        t.quiet();
        t.acknowledge(second);
        t.acknowledge(first);
        t.sends((puback(1), pubrec(2)));
        t.quiet();
        t.receives(pubrel(2));
        t.sends((pubcomp(2), DISCONNECT));
        t.closes(CloseReason::Disconnected);
    }
}

#[test]
fn a_message_of_an_earlier_connection_may_be_sent_again() {
    for mut t in both() {
        t.connects();
        t.receives(qos2(2, "b"));
        t.message(qos2(2, "b"));
        t.sends(pubrec(2));
        t.cut();
        assert_eq!(t.session.pending_received(), 1);
        t.announced = 7;
        t.resumes();
        t.completes(&COMPLETED);
        t.quiet();
        t.receives(qos2(2, "b").dup());
        t.sends(pubrec(2));
        t.receives(pubrel(2));
        t.sends((pubcomp(2), DISCONNECT));
        t.closes(CloseReason::Disconnected);
    }
}

#[test]
fn what_is_not_over_in_time_does_not_hold_it_up() {
    for (timeout, millis) in [(None, 5_000), (Some(Duration::from_secs(60)), 60_000), (Some(Duration::ZERO), 1_000)] {
        for mut t in both() {
            t.connects();
            t.publish(AtLeastOnce, "a");
            t.publish(AtLeastOnce, "b");
            t.sends((qos1(1, "a"), qos1(2, "b")));
            t.completes(&within(timeout));
            t.quiet();
            t.passes(millis - 1);
            t.receives(puback(2));
            t.acknowledged(2);
            t.quiet();
            t.passes(1);
            t.sends(DISCONNECT);
            t.closes(CloseReason::DisconnectedIncomplete);
            assert_eq!(t.session.pending(), 1);
            t.resumes();
            t.sends(qos1(1, "a").dup());
        }
    }
}

#[test]
fn what_ends_with_its_connection_is_told_as_lost() {
    for mut t in both() {
        t.options.clean_start = true;
        t.options.properties = Properties::EMPTY;
        t.begins();
        t.looks();
        t.session.transmitted(usize::MAX);
        t.receives(crate::known_failures::trace::connack(false, ""));
        t.connected(false);
        t.publish(AtLeastOnce, "a");
        t.sends(qos1(1, "a"));
        t.completes(&COMPLETED);
        t.quiet();
        t.passes(5_000);
        t.sends(DISCONNECT);
        t.published(1, Outcome::Lost);
        t.closes(CloseReason::DisconnectedIncomplete);
    }
}

/// Behind the time for the exchanges the last packets have theirs.
#[test]
fn a_transport_that_takes_nothing_is_given_up() {
    for mut t in both() {
        t.connects();
        t.publish(AtLeastOnce, "a");
        t.shows(qos1(1, "a"), 1);
        t.completes(&within(Some(Duration::from_secs(2))));
        t.looks();
        // Each limit that is over is judged behind one more write.
        t.passes(2_000);
        t.looks();
        t.passes(1);
        t.looks();
        t.passes(4_999);
        t.looks();
        t.passes(1);
        t.looks();
        t.passes(1);
        t.closes(CloseReason::DisconnectTimeout);
    }
}

/// [MQTT-3.1.2-23] in 3.1.1, [MQTT-3.1.2-20] in 5.0
#[test]
fn the_keep_alive_goes_on_meanwhile() {
    for mut t in both() {
        t.options.keep_alive = 8;
        t.connects();
        t.publish(AtLeastOnce, "a");
        t.sends(qos1(1, "a"));
        t.passes(3_000);
        t.completes(&within(Some(Duration::from_secs(100))));
        t.quiet();
        t.passes(4_000);
        t.sends("C0 00");
        t.receives("D0 00");
        t.quiet();
        t.passes(7_000);
        t.sends("C0 00");
        t.quiet();
        t.passes(10_000);
        t.closes(CloseReason::PingTimeout);
        t.resumes();
        t.sends(qos1(1, "a").dup());
    }
}

#[test]
fn a_fault_of_the_peer_ends_the_wait() {
    for mut t in both() {
        t.connects();
        t.publish(AtLeastOnce, "a");
        t.sends(qos1(1, "a"));
        t.completes(&COMPLETED);
        t.quiet();
        t.receives(("36 00", puback(1)));
        t.sends(DISCONNECT);
        t.closes(CloseReason::DisconnectedIncomplete);
        assert_eq!(t.session.pending(), 1);
    }
}

#[test]
fn a_link_that_is_cut_meanwhile_is_told() {
    for mut t in both() {
        t.connects();
        t.publish(AtLeastOnce, "a");
        t.publish(AtLeastOnce, "b");
        t.sends((qos1(1, "a"), qos1(2, "b")));
        t.completes(&COMPLETED);
        t.quiet();
        t.receives(puback(1));
        t.loses_link();
        t.acknowledged(1);
        t.closes(CloseReason::ConnectionLost);
        t.resumes();
        t.sends(qos1(2, "b").dup());
        t.quiet();
    }
}

#[cfg(feature = "server")]
mod server {
    use super::*;
    use crate::server::trace::{Hello, LASTING, both};

    #[test]
    fn the_servers_end_waits_for_both_directions() {
        for mut t in both() {
            t.connects();
            t.publish(AtLeastOnce, "a");
            t.receives(qos2(7, "b"));
            t.message(qos2(7, "b"));
            assert_eq!((t.session.pending(), t.session.pending_received()), (1, 1));
            assert_eq!(t.session.disconnect(&COMPLETED), Ok(()));
            t.sends((pubrec(7), qos1(1, "a")));
            t.receives((qos1(8, "new"), pubrel(7)));
            t.sends(pubcomp(7));
            t.quiet();
            t.receives(puback(1));
            t.acknowledged(1);
            if t.is_v5() {
                t.sends(DISCONNECT);
            }
            t.closes(CloseReason::Disconnected);
        }
    }

    /// [MQTT-3.12.4-1]
    #[test]
    fn the_client_may_ask_whether_it_is_there() {
        for mut t in both() {
            t.hello = Hello { keep_alive: 8, ..LASTING };
            t.connects();
            t.publish(AtLeastOnce, "a");
            t.sends(qos1(1, "a"));
            let disconnect = within(Some(Duration::from_secs(60)));
            assert_eq!(t.session.disconnect(&disconnect), Ok(()));
            t.quiet();
            t.passes(8_000);
            t.receives("C0 00");
            t.sends("D0 00");
            t.quiet();
            t.passes(11_999);
            t.quiet();
            t.passes(1);
            t.fails(CloseReason::KeepAliveTimeout, 0x8D);
        }
    }

    #[test]
    fn a_client_that_leaves_meanwhile_is_let_go() {
        for mut t in both() {
            t.connects();
            t.publish(AtLeastOnce, "a");
            t.sends(qos1(1, "a"));
            assert_eq!(t.session.disconnect(&COMPLETED), Ok(()));
            t.quiet();
            t.receives("E0 00");
            t.disconnected(ReasonCode::Success);
            t.closes(CloseReason::DisconnectedByPeer(ReasonCode::Success));
        }
    }

    #[test]
    fn it_does_not_wait_for_ever() {
        for mut t in both() {
            t.connects();
            t.publish(ExactlyOnce, "a");
            t.sends(qos2(1, "a"));
            assert_eq!(t.session.disconnect(&COMPLETED), Ok(()));
            t.quiet();
            t.passes(5_000);
            if t.is_v5() {
                t.sends(DISCONNECT);
            }
            t.closes(CloseReason::DisconnectedIncomplete);
            assert_eq!(t.session.pending(), 1);
        }
    }
}
