//! `disconnect` before CONNACK: what leaves, what stays, and what a CONNACK still says that comes meanwhile.
#![cfg(all(feature = "v311", feature = "v5"))]
#![allow(clippy::panic, reason = "a fault here is a failed test")]

use core::time::Duration;

use mqtt_session::QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
use mqtt_session::{
    Auth, CloseReason, CommandError, Disconnect, DisconnectWhen, Event, Offline, Outcome, Properties, Property, QoS,
    ReasonCode, Step, Subscribe, Subscription, Version,
};

use crate::known_failures::trace::{
    Trace, both, connack, puback, pubcomp, pubrec, pubrel, qos0, qos1, qos2, suback, subscribe,
};

const DISCONNECT: &str = "E0 00";
const COMPLETED: Disconnect<'static> = within(None);

const METHOD: [Property<'static>; 1] = [Property::AuthenticationMethod("m")];

const fn within(timeout: Option<Duration>) -> Disconnect<'static> {
    Disconnect {
        reason_code: ReasonCode::Success,
        properties: Properties::EMPTY,
        when: DisconnectWhen::Completed { timeout },
    }
}

/// A refusal in each version: not authorized.
fn refusal(t: &Trace) -> &'static str {
    if t.is_v5() { "20 03 00 87 00" } else { "20 02 00 05" }
}

impl Trace {
    #[track_caller]
    fn leaves(&mut self, disconnect: &Disconnect<'_>) {
        let done = self.session.disconnect(disconnect);
        self.expect(done.is_ok(), || format!("disconnect: {done:?}"));
    }

    /// Whatever is asked for now is refused.
    #[track_caller]
    fn is_closing(&mut self) {
        let subscriptions = [Subscription::new("f", AtMostOnce)];
        for refused in [
            self.try_publish(AtLeastOnce, "late").err(),
            self.try_publish(AtMostOnce, "late").err(),
            self.session.subscribe(&Subscribe::new(&subscriptions)).err(),
            self.session.ping().err(),
            self.session.disconnect(&Disconnect::default()).err(),
            self.session.disconnect(&COMPLETED).err(),
        ] {
            assert_eq!(refused, Some(CommandError::Closing));
        }
        assert!(!self.session.is_online());
    }

    #[track_caller]
    fn request_lost(&mut self) {
        self.event(|_, event| assert!(matches!(event, Event::RequestLost { .. }), "{event:?}"));
    }

    #[track_caller]
    fn refused(&mut self) {
        self.event(|_, event| assert!(matches!(event, Event::ConnectionRefused(_)), "{event:?}"));
    }
}

/// [MQTT-3.1.2-30] of 5.0 names it, and 3.1.1 lets a client send packets right behind CONNECT. (3.1.4)
#[test]
fn disconnect_follows_connect() {
    for mut t in both() {
        t.connect();
        t.disconnect();
        t.is_closing();
        t.sends(DISCONNECT);
        t.closes(CloseReason::Disconnected);
    }
}

#[test]
fn a_connect_that_is_half_written_is_finished_first() {
    for written in [0, 1, 7] {
        for mut t in both() {
            t.begins();
            let connect = t.connect_packet();
            if written != 0 {
                t.shows(connect.clone(), written);
            }
            t.disconnect();
            t.sends_rest_of(connect, written);
            t.sends(DISCONNECT);
            t.closes(CloseReason::Disconnected);
        }
    }
}

/// CONNECT lies in the store, because the control bytes are too few.
#[test]
fn a_connect_that_passes_through_the_store_is_finished_first() {
    for version in [Version::V311, Version::V5] {
        let mut t = Trace::<1024, 8, 8, 32>::new(version);
        t.options.client_id = "a client identifier of more bytes than there are for control packets";
        t.begins();
        assert_eq!(t.session.disconnect(&Disconnect::default()), Ok(()));
        while t.wants_to_write() {
            t.writes();
        }
        t.closes(CloseReason::Disconnected);
        // It is as long as its first bytes say, and only DISCONNECT follows.
        t.begins();
        t.writes();
        assert_eq!(t.session.disconnect(&Disconnect::default()), Ok(()));
        t.sends(DISCONNECT);
        t.closes(CloseReason::Disconnected);
    }
}

#[test]
fn nothing_else_leaves_and_what_was_accepted_has_its_end_or_waits() {
    for mut t in both() {
        t.options.offline = Offline::Acknowledged;
        t.begins();
        t.publish(AtLeastOnce, "a");
        t.subscribe("f");
        t.publish(ExactlyOnce, "b");
        t.disconnect();
        t.sends((t.connect_packet(), DISCONNECT));
        t.request_lost();
        t.closes(CloseReason::Disconnected);
        assert_eq!(t.session.pending(), 2);
        t.connects();
        t.sends((qos1(1, "a"), qos2(3, "b")));
        t.quiet();
    }
}

#[test]
fn qos_0_waits_or_is_dropped_as_the_application_wants() {
    for mut t in both() {
        t.options.offline = Offline::Everything;
        t.connect();
        t.publish(AtMostOnce, "a");
        t.disconnect();
        t.sends(DISCONNECT);
        t.closes(CloseReason::Disconnected);
        t.connects();
        t.sends(qos0("a"));
        t.quiet();
    }
}

/// What was in flight stays, since nobody has said that it is lost.
#[test]
fn a_session_stays_what_it_was() {
    for mut t in both() {
        t.connects();
        t.publish(AtLeastOnce, "a");
        t.publish(ExactlyOnce, "b");
        t.sends((qos1(1, "a"), qos2(2, "b")));
        t.receives((pubrec(2), qos2(9, "x")));
        t.message(qos2(9, "x"));
        t.sends((pubrel(2), pubrec(9)));
        t.cut();
        t.announced = 7;
        t.connect();
        t.disconnect();
        t.sends(DISCONNECT);
        t.closes(CloseReason::Disconnected);
        t.resumes();
        t.sends((pubrel(2), qos1(1, "a").dup()));
        t.receives((qos2(9, "x").dup(), puback(1), pubcomp(2)));
        t.acknowledged(1);
        t.acknowledged(2);
        t.sends(pubrec(9));
        t.quiet();
    }
}

/// CONNACK crosses DISCONNECT: the session goes on, and nothing but DISCONNECT leaves on this connection.
#[test]
fn a_connack_that_comes_meanwhile_resumes_the_session() {
    for mut t in both() {
        t.connects();
        t.publish(AtLeastOnce, "a");
        t.sends(qos1(1, "a"));
        t.cut();
        t.connect();
        t.disconnect();
        t.receives((connack(true, ""), qos1(7, "x")));
        t.connected(true);
        t.is_closing();
        t.sends(DISCONNECT);
        t.closes(CloseReason::Disconnected);
        t.resumes();
        t.sends(qos1(1, "a").dup());
        t.quiet();
    }
}

/// DISCONNECT is half written when CONNACK comes, or all but reported.
#[test]
fn a_connack_that_comes_behind_disconnect_counts() {
    for mut t in both() {
        t.connects();
        t.publish(ExactlyOnce, "a");
        t.sends(qos2(1, "a"));
        t.cut();
        t.connect();
        t.disconnect();
        t.shows(DISCONNECT, 1);
        t.receives(connack(false, ""));
        t.connected(false);
        if t.is_v5() {
            t.published(1, Outcome::Lost);
        }
        t.sends_rest_of(DISCONNECT, 1);
        t.closes(CloseReason::Disconnected);
        t.resumes();
        if !t.is_v5() {
            t.sends(qos2(1, "a").dup());
        }
        t.quiet();
    }
}

/// The same, where the transport is lost before the session has looked.
#[test]
fn a_connack_in_the_inbox_of_a_lost_link_counts() {
    for mut t in both() {
        t.connects();
        t.publish(AtLeastOnce, "a");
        t.sends(qos1(1, "a"));
        t.cut();
        t.connect();
        t.disconnect();
        t.looks();
        t.receives((connack(true, ""), puback(1)));
        t.loses_link();
        t.connected(true);
        t.acknowledged(1);
        t.closes(CloseReason::ConnectionLost);
        t.resumes();
        t.quiet();
    }
}

/// A clean start that no CONNACK has confirmed is asked for again. [MQTT-3.1.2-4] of 5.0
#[test]
fn a_clean_start_stays_unconfirmed() {
    for mut t in both() {
        t.options.clean_start = true;
        t.connect();
        t.disconnect();
        t.sends(DISCONNECT);
        t.closes(CloseReason::Disconnected);
        let clean = t.connect_packet();
        t.options.clean_start = false;
        t.begins();
        t.sends(clean);
        t.receives(connack(true, ""));
        // The session that the server goes on with may be any.
        t.fails(CloseReason::SessionUnknown, 0x82);
    }
}

#[test]
fn a_clean_start_is_confirmed_by_a_connack_that_comes_meanwhile() {
    let mut t = <Trace>::new(Version::V5);
    t.options.clean_start = true;
    t.connect();
    t.disconnect();
    t.receives(connack(false, ""));
    t.connected(false);
    t.sends(DISCONNECT);
    t.closes(CloseReason::Disconnected);
    t.options.clean_start = false;
    t.resumes();
    t.quiet();
}

/// A session of which this end knows nothing: it is not resumed, and the next connection begins a new one. [MQTT-3.2.2-4] of 5.0
#[test]
fn a_session_that_is_not_ours_is_not_taken() {
    let mut t = <Trace>::new(Version::V5);
    t.connect();
    t.disconnect();
    t.receives((connack(true, ""), qos1(1, "x")));
    t.sends(DISCONNECT);
    t.closes(CloseReason::Disconnected);
    t.options.clean_start = true;
    let clean = t.connect_packet();
    t.options.clean_start = false;
    t.begins();
    t.sends(clean);
}

#[test]
fn a_refusal_that_comes_meanwhile_is_told() {
    for disconnect in [Disconnect::default(), COMPLETED] {
        for mut t in both() {
            t.connect();
            t.leaves(&disconnect);
            t.receives(refusal(&t));
            t.refused();
            let code = ReasonCode::NotAuthorized;
            t.closes(CloseReason::ConnectionRefused(code));
        }
    }
}

#[test]
fn whatever_else_comes_before_connack_is_ignored() {
    for mut t in both() {
        t.connect();
        t.disconnect();
        t.receives((qos1(1, "a"), puback(7)));
        t.sends(DISCONNECT);
        t.closes(CloseReason::Disconnected);
    }
}

/// The transport takes nothing: the limit is that for the end of a connection, 5 s.
#[test]
fn the_time_for_it_is_limited() {
    for mut t in both() {
        t.begins();
        t.disconnect();
        t.looks();
        t.passes(4_999);
        t.looks();
        t.passes(1);
        // It is written to once more before it is given up.
        t.looks();
        t.passes(1);
        t.closes(CloseReason::DisconnectTimeout);
    }
}

#[test]
fn connack_does_not_end_the_limit() {
    for mut t in both() {
        t.connect();
        t.disconnect();
        t.looks();
        t.passes(2_000);
        t.receives(connack(false, ""));
        t.connected(false);
        t.looks();
        assert_eq!(t.session.deadline(), Some(t.clock().after_millis(3_000)));
        t.passes(3_000);
        t.looks();
        t.passes(1);
        t.closes(CloseReason::DisconnectTimeout);
    }
}

#[test]
fn a_link_that_is_lost_first_is_lost() {
    for disconnect in [Disconnect::default(), COMPLETED] {
        for mut t in both() {
            t.connect();
            t.publish(AtLeastOnce, "a");
            t.subscribe("f");
            t.leaves(&disconnect);
            t.loses_link();
            t.request_lost();
            t.closes(CloseReason::ConnectionLost);
            t.connects();
            t.sends(qos1(1, "a"));
        }
    }
}

/// An authentication is declined, with a reason. (5.0: 4.12)
#[test]
fn an_authentication_is_declined() {
    let mut t = <Trace>::new(Version::V5);
    t.options.properties = Properties::of(&METHOD);
    t.begins();
    t.writes();
    t.receives("F0 06 18 04 15 00 01 6D");
    t.event(|_, event| assert!(matches!(event, Event::Authenticating(_)), "{event:?}"));
    let why = [Property::ReasonString("no")];
    let disconnect = Disconnect {
        reason_code: ReasonCode::UnspecifiedError,
        properties: Properties::of(&why),
        ..Disconnect::default()
    };
    t.leaves(&disconnect);
    let auth = Auth { reason_code: ReasonCode::ContinueAuthentication, properties: Properties::of(&METHOD) };
    assert_eq!(t.session.authenticate(&auth), Err(CommandError::NotAuthenticating));
    // The server goes on meanwhile.
    t.receives("F0 06 18 04 15 00 01 6D");
    t.sends("E0 07 80 05 1F 0002 6E6F");
    t.closes(CloseReason::Disconnected);
}

/// Session Expiry Interval 0 in DISCONNECT ends the session if there is one, which only CONNACK says. (5.0: 3.14.2.2.2)
#[test]
fn an_expiry_of_0_ends_the_session_that_connack_tells_of() {
    let expiry = [Property::SessionExpiryInterval(0)];
    let ending = Disconnect { properties: Properties::of(&expiry), ..Disconnect::default() };
    for confirmed in [false, true] {
        let mut t = <Trace>::new(Version::V5);
        t.connects();
        t.publish(AtLeastOnce, "a");
        t.sends(qos1(1, "a"));
        t.cut();
        t.connect();
        t.leaves(&ending);
        if confirmed {
            t.receives(connack(true, ""));
            t.connected(true);
        }
        t.sends("E0 07 00 05 11 00000000");
        if confirmed {
            t.published(1, Outcome::Lost);
        }
        t.closes(CloseReason::Disconnected);
        assert_eq!(t.session.pending(), u16::from(!confirmed));
        t.connects();
        if !confirmed {
            t.published(1, Outcome::Lost);
        }
        t.quiet();
    }
}

/// The interval that CONNACK gives does not count against that of DISCONNECT.
#[test]
fn an_expiry_of_0_counts_behind_that_of_the_server() {
    let expiry = [Property::SessionExpiryInterval(0)];
    for when in [DisconnectWhen::Sent, COMPLETED.when] {
        let mut t = <Trace>::new(Version::V5);
        t.connect();
        t.leaves(&Disconnect { properties: Properties::of(&expiry), when, ..Disconnect::default() });
        t.receives(connack(false, "11 00000064"));
        t.connected(false);
        t.sends("E0 07 00 05 11 00000000");
        t.closes(CloseReason::Disconnected);
        // So a session that the server has is not ours.
        t.connect();
        t.receives(connack(true, ""));
        t.fails(CloseReason::SessionUnknown, 0x82);
    }
}

#[test]
fn an_expiry_is_not_raised() {
    let expiry = [Property::SessionExpiryInterval(9)];
    let mut t = <Trace>::new(Version::V5);
    t.options.properties = Properties::EMPTY;
    t.connect();
    let raised = Disconnect { properties: Properties::of(&expiry), ..Disconnect::default() };
    assert_eq!(t.session.disconnect(&raised), Err(CommandError::ExpiryRaised));
    t.disconnect();
    t.sends(DISCONNECT);
    t.closes(CloseReason::Disconnected);
}

/// Control bytes that CONNECT takes for itself are free for DISCONNECT once it is written.
#[test]
fn a_disconnect_without_room_is_told_when_there_is() {
    for version in [Version::V311, Version::V5] {
        let mut t = Trace::<64, 1, 1, 32>::new(version);
        t.begins();
        let why = "a reason";
        let properties = [Property::ReasonString(why)];
        let disconnect =
            Disconnect { properties: Properties::for_version(version, &properties), ..Disconnect::default() };
        let disconnected = t.session.disconnect(&disconnect);
        if version == Version::V5 {
            assert_eq!(disconnected, Err(CommandError::Full));
            t.sends(t.connect_packet());
            t.tells(&Event::Writable);
            assert_eq!(t.session.disconnect(&disconnect), Ok(()));
            t.sends("E0 0D 00 0B 1F 0008 6120726561736F6E");
        } else {
            assert_eq!(disconnected, Ok(()));
            t.sends((t.connect_packet(), DISCONNECT));
        }
        t.closes(CloseReason::Disconnected);
    }
}

/// `Completed` waits for CONNACK and goes on as it would behind it.
#[test]
fn completed_waits_for_connack_and_for_what_follows() {
    for mut t in both() {
        t.connect();
        t.publish(AtLeastOnce, "a");
        t.subscribe("f");
        t.publish(AtMostOnce, "b");
        t.leaves(&COMPLETED);
        t.is_closing();
        t.quiet();
        t.receives(connack(false, ""));
        t.connected(false);
        t.is_closing();
        t.sends((qos1(1, "a"), subscribe(2, "f"), qos0("b")));
        t.quiet();
        t.receives(puback(1));
        t.acknowledged(1);
        t.quiet();
        t.receives(suback(2, &[0]));
        t.event(|_, event| assert!(matches!(event, Event::Subscribed { .. })));
        t.sends(DISCONNECT);
        t.closes(CloseReason::Disconnected);
    }
}

#[test]
fn completed_resumes_what_was_in_flight() {
    for mut t in both() {
        t.connects();
        t.publish(ExactlyOnce, "a");
        t.sends(qos2(1, "a"));
        t.receives(qos2(9, "x"));
        t.message(qos2(9, "x"));
        t.sends(pubrec(9));
        t.cut();
        t.announced = 7;
        t.begins();
        t.leaves(&COMPLETED);
        t.sends(t.connect_packet());
        t.quiet();
        t.receives(connack(true, ""));
        t.connected(true);
        t.sends(qos2(1, "a").dup());
        t.receives((pubrel(9), pubrec(1)));
        t.sends((pubcomp(9), pubrel(1)));
        t.quiet();
        t.receives(pubcomp(1));
        t.acknowledged(1);
        t.sends(DISCONNECT);
        t.closes(CloseReason::Disconnected);
    }
}

/// The server has lost the session, and the application wanted to end it: what was in flight is not sent to the new one.
#[test]
fn completed_sends_nothing_to_a_session_that_was_lost() {
    let expiry = [Property::SessionExpiryInterval(0)];
    let mut t = <Trace>::new(Version::V5);
    t.connects();
    t.publish(AtLeastOnce, "a");
    t.sends(qos1(1, "a"));
    t.cut();
    t.connect();
    t.leaves(&Disconnect { properties: Properties::of(&expiry), ..COMPLETED });
    t.receives(connack(false, ""));
    t.connected(false);
    t.published(1, Outcome::Lost);
    t.sends("E0 07 00 05 11 00000000");
    t.closes(CloseReason::Disconnected);
}

/// The time for it is that of the command, the wait for CONNACK included.
#[test]
fn completed_has_one_limit_for_all() {
    for mut t in both() {
        t.connect();
        t.publish(AtLeastOnce, "a");
        t.leaves(&within(Some(Duration::from_secs(20))));
        t.quiet();
        // More than CONNACK may take otherwise.
        t.passes(15_000);
        t.quiet();
        assert_eq!(t.session.deadline(), Some(t.clock().after_millis(5_000)));
        t.receives(connack(false, ""));
        t.connected(false);
        t.sends(qos1(1, "a"));
        t.quiet();
        t.passes(4_999);
        t.quiet();
        t.passes(1);
        t.sends(DISCONNECT);
        t.closes(CloseReason::DisconnectedIncomplete);
    }
}

#[test]
fn completed_leaves_without_connack_when_the_time_is_over() {
    for mut t in both() {
        t.begins();
        t.publish(AtLeastOnce, "a");
        t.leaves(&within(Some(Duration::from_secs(2))));
        let connect = t.connect_packet();
        t.shows(connect.clone(), 3);
        t.passes(1_000);
        t.sends_rest_of(connect, 3);
        t.quiet();
        t.passes(999);
        t.quiet();
        t.passes(1);
        t.sends(DISCONNECT);
        t.closes(CloseReason::DisconnectedIncomplete);
        t.connects();
        t.sends(qos1(1, "a"));
    }
}

#[test]
fn completed_is_limited_where_connect_cannot_leave() {
    for mut t in both() {
        t.begins();
        t.leaves(&COMPLETED);
        t.looks();
        t.passes(5_000);
        t.looks();
        t.passes(1);
        // Now the limit for the last packets begins.
        t.looks();
        t.passes(4_999);
        t.looks();
        t.passes(1);
        t.looks();
        t.passes(1);
        t.closes(CloseReason::DisconnectTimeout);
    }
}

#[test]
fn completed_goes_on_with_an_authentication() {
    let mut t = <Trace>::new(Version::V5);
    t.options.properties = Properties::of(&METHOD);
    t.begins();
    t.writes();
    t.leaves(&within(Some(Duration::from_secs(3))));
    t.receives("F0 06 18 04 15 00 01 6D");
    t.event(|_, event| assert!(matches!(event, Event::Authenticating(_)), "{event:?}"));
    let auth = Auth { reason_code: ReasonCode::ContinueAuthentication, properties: Properties::of(&METHOD) };
    t.passes(1_000);
    assert_eq!(t.session.authenticate(&auth), Ok(()));
    t.sends("F0 06 18 04 15 00 01 6D");
    // That does not give it more time.
    assert_eq!(t.session.deadline(), Some(t.clock().after_millis(2_000)));
    t.receives(connack(false, "15 00 01 6D"));
    t.connected(false);
    t.sends(DISCONNECT);
    t.closes(CloseReason::Disconnected);
}

/// What CONNACK breaks ends the connection as it does without `disconnect`.
#[test]
fn completed_does_not_hide_what_the_server_breaks() {
    for mut t in both() {
        t.connect();
        t.leaves(&COMPLETED);
        t.receives(qos0("a"));
        t.fails(CloseReason::ConnackMissing, 0x82);
    }
}

/// CONNACK rules out a request that was made before it, and the application disconnects in the event of CONNACK or before.
#[test]
fn completed_sends_no_request_that_connack_rules_out() {
    for early in [false, true] {
        let mut t = <Trace>::new(Version::V5);
        t.connect();
        t.subscribe("$share/g/f");
        if early {
            t.leaves(&COMPLETED);
        }
        t.receives(connack(false, "2A 00"));
        t.connected(false);
        if !early {
            t.leaves(&COMPLETED);
        }
        t.event(|_, event| {
            let Event::RequestUnsendable { error, .. } = event else { panic!("{event:?}") };
            assert_eq!(error, CommandError::SharedUnsupported);
        });
        t.sends(DISCONNECT);
        t.closes(CloseReason::Disconnected);
    }
}

/// What CONNACK rules out is told, before and behind it.
#[test]
fn completed_sends_no_message_that_connack_rules_out() {
    let mut t = <Trace>::new(Version::V5);
    t.connect();
    t.publish(QoS::ExactlyOnce, "a");
    t.leaves(&COMPLETED);
    t.receives(connack(false, "24 01"));
    t.connected(false);
    t.published(1, Outcome::Unsendable);
    t.sends(DISCONNECT);
    t.closes(CloseReason::Disconnected);
}

/// Where not a byte of CONNECT has left, nothing does.
#[test]
fn completed_ends_in_silence_before_connect_has_left() {
    for mut t in both() {
        t.begins();
        t.leaves(&COMPLETED);
        t.receives(qos0("a"));
        t.closes(CloseReason::ConnackMissing);
    }
}

/// However long the application was busy: a CONNACK that lies in the transport counts.
#[test]
fn completed_is_judged_after_one_more_read() {
    for mut t in both() {
        t.connect();
        t.leaves(&COMPLETED);
        t.quiet();
        t.passes(60_000);
        let now = t.clock();
        assert!(matches!(t.session.poll(&mut t.inbox, now), Step::Wait(Some(at)) if at <= now));
        t.receives(connack(false, ""));
        t.connected(false);
        t.sends(DISCONNECT);
        t.closes(CloseReason::Disconnected);
    }
}

/// What will become of them is different.
#[test]
fn sessions_that_wait_for_connack_with_other_pauses_are_different() {
    for version in [Version::V311, Version::V5] {
        let waiting = |keep_alive| {
            let mut t = <Trace>::new(version);
            t.options.keep_alive = keep_alive;
            t.connect();
            t.leaves(&COMPLETED);
            t.session
        };
        assert!(waiting(10) == waiting(10));
        assert!(waiting(10) != waiting(20));
        let mut t = <Trace>::new(version);
        t.options.keep_alive = 10;
        t.connect();
        assert!(waiting(10) != t.session);
    }
}

/// A second CONNACK says nothing that matters to whoever leaves: what is behind it does.
#[test]
fn a_repeated_connack_is_ignored() {
    for mut t in both() {
        t.connects();
        t.publish(AtLeastOnce, "a");
        t.sends(qos1(1, "a"));
        t.disconnect();
        t.receives((connack(true, ""), puback(1)));
        t.acknowledged(1);
        t.sends(DISCONNECT);
        t.closes(CloseReason::Disconnected);
    }
}

/// A new connection ends the wait, as it ends a connection.
#[test]
fn connect_may_follow_at_once() {
    for disconnect in [Disconnect::default(), COMPLETED] {
        for mut t in both() {
            t.connect();
            t.leaves(&disconnect);
            t.connects();
            let id = t.publish(AtLeastOnce, "a");
            t.sends(qos1(id, "a"));
            t.quiet();
        }
    }
}
