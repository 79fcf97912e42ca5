//! What is asked for between `connect` and CONNACK, and the place that is kept for it.
#![cfg(all(feature = "v311", feature = "v5"))]
#![allow(clippy::panic, reason = "a fault here is a failed test")]

use mqtt_session::QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
use mqtt_session::wire::Properties;
use mqtt_session::{
    CloseReason, CommandError, Connect, Event, Property, SizeLimit, Subscribe, Subscription, Unsubscribe, Version,
};

use crate::known_failures::trace::{
    Trace, both, connack, packet_id, puback, qos0, qos1, qos2, suback, subscribe, with_header,
};

const VERSIONS: [Version; 2] = [Version::V311, Version::V5];

fn lost<'e>(id: u16) -> Event<'e> {
    Event::RequestLost { packet_id: packet_id(id) }
}

fn unsubscribe(t: &mut Trace) -> u16 {
    let filters = ["f"];
    t.session.unsubscribe(&Unsubscribe { filters: &filters, ..Unsubscribe::default() }).map_or(0, |id| id.get())
}

/// Nothing of it leaves before CONNACK. [MQTT-3.1.2-30]
#[test]
fn a_request_before_connack_is_sent_after_it() {
    for mut t in both() {
        t.begins();
        let first = t.subscribe("f");
        t.sends(t.connect_packet());
        let second = unsubscribe(&mut t);
        assert_eq!(t.session.pending(), 2);
        t.quiet();
        t.receives(connack(false, ""));
        t.connected(false);
        t.sends(subscribe(first, "f"));
        let [high, low] = second.to_be_bytes();
        let unsubscribe = if t.is_v5() {
            with_header(0xA2, &[high, low, 0, 0, 1, b'f'])
        } else {
            with_header(0xA2, &[high, low, 0, 1, b'f'])
        };
        t.sends(unsubscribe);
        t.receives(suback(first, &[0]));
        t.event(|_, event| assert!(matches!(event, Event::Subscribed { .. }), "{event:?}"));
        let unsuback = if t.is_v5() { vec![0xB0, 4, high, low, 0, 0] } else { vec![0xB0, 2, high, low] };
        t.receives(unsuback);
        t.event(|_, event| assert!(matches!(event, Event::Unsubscribed { .. }), "{event:?}"));
        assert_eq!(t.session.pending(), 0);
        t.quiet();
    }
}

#[test]
fn without_connect_there_is_nothing_to_wait_for() {
    for mut t in both() {
        let subscriptions = [Subscription::new("f", AtMostOnce)];
        let request = Subscribe { subscriptions: &subscriptions, ..Subscribe::default() };
        assert_eq!(t.session.subscribe(&request), Err(CommandError::Offline));
        t.connects();
        t.cut();
        assert_eq!(t.session.subscribe(&request), Err(CommandError::Offline));
    }
}

/// Refused, lost, or given up for another one.
#[test]
fn a_request_is_lost_with_a_connection_that_never_comes_about() {
    for mut t in both() {
        t.connect();
        let id = t.subscribe("f");
        t.receives(if t.is_v5() { "20 03 00 87 00" } else { "20 02 00 05" });
        t.event(|_, event| assert!(matches!(event, Event::ConnectionRefused(_)), "{event:?}"));
        t.tells(&lost(id));
        let code = mqtt_session::ReasonCode::NotAuthorized;
        t.closes(CloseReason::ConnectionRefused(code));
        assert_eq!((t.session.pending(), t.session.free_space()), (0, 1008));

        t.connect();
        let id = t.subscribe("f");
        t.loses_link();
        t.tells(&lost(id));
        t.closes(CloseReason::ConnectionLost);

        // The old one is told on the new connection, and is no more the new one's than its identifier is.
        t.connect();
        let old = t.subscribe("f");
        t.begins();
        let new = t.subscribe("f");
        t.begins();
        let newest = t.subscribe("f");
        t.tells(&lost(old));
        t.tells(&lost(new));
        t.sends(t.connect_packet());
        t.receives(connack(false, ""));
        t.connected(false);
        t.sends(subscribe(newest, "f"));
        t.receives(suback(newest, &[0]));
        t.event(|_, event| assert!(matches!(event, Event::Subscribed { .. }), "{event:?}"));
        t.quiet();
    }
}

/// What has expired before them does not hide requests that are lost.
#[test]
fn lost_requests_are_told_behind_what_has_expired() {
    let mut t = Trace::<1024, 8>::new(Version::V5);
    t.connects_with(false, "21 0001");
    t.publish(AtLeastOnce, "a");
    t.sends(qos1(1, "a"));
    let properties = [Property::MessageExpiryInterval(1)];
    let expiring = mqtt_session::Publish {
        qos: AtLeastOnce,
        properties: Properties::of(&properties),
        ..mqtt_session::Publish::new("t", b"b")
    };
    let ids = [t.tries(&expiring), t.tries(&expiring)].map(|id| id.unwrap_or_default());
    t.quiet();
    let request = t.subscribe("f");
    t.passes(1_000);
    t.published(ids[0], mqtt_session::Outcome::Expired);
    t.begins();
    let waiting = t.subscribe("f");
    t.published(ids[1], mqtt_session::Outcome::Expired);
    t.tells(&lost(request));
    assert_eq!(t.session.pending(), 2);
    t.sends(t.connect_packet());
    t.receives(connack(true, ""));
    t.connected(true);
    t.sends((qos1(1, "a").dup(), subscribe(waiting, "f")));
    t.quiet();
}

/// The older version may be spoken after the newer one was refused, also if a request had waited for it.
#[test]
fn a_request_binds_no_version() {
    let mut t = Trace::<1024, 8>::new(Version::V5);
    t.connect();
    let id = t.subscribe("f");
    let older = Connect { clean_start: false, ..Connect::new(Version::V311, "c") };
    assert_eq!(t.session.connect(&mut t.inbox, &older), Ok(()));
    t.tells(&lost(id));
}

type Case = (&'static str, fn(&mut Trace) -> u16, CommandError);

/// What CONNACK rules out is told with its cause, and is not sent; what is behind it is.
#[test]
fn what_connack_rules_out_is_told_with_its_cause() {
    let too_large = CommandError::TooLarge { limit: SizeLimit::Peer, needed: 24, available: 23 };
    let cases: [Case; 5] = [
        ("28 00", |t| t.subscribe("a/#"), CommandError::WildcardUnsupported),
        ("2A 00", |t| t.subscribe("$share/g/f"), CommandError::SharedUnsupported),
        (
            "29 00",
            |t| {
                let subscriptions = [Subscription::new("f", AtMostOnce)];
                let properties = [Property::SubscriptionIdentifier(7)];
                let request = Subscribe { subscriptions: &subscriptions, properties: Properties::of(&properties) };
                t.session.subscribe(&request).map_or(0, |id| id.get())
            },
            CommandError::SubscriptionIdentifierUnsupported,
        ),
        ("27 00000017", |t| t.subscribe("0123456789012345"), too_large),
        (
            "27 00000017",
            |t| {
                let filters = ["01234567890123456"];
                let request = Unsubscribe { filters: &filters, ..Unsubscribe::default() };
                t.session.unsubscribe(&request).map_or(0, |id| id.get())
            },
            too_large,
        ),
    ];
    for (properties, request, error) in cases {
        let mut t = Trace::new(Version::V5);
        t.connect();
        let id = request(&mut t);
        let next = t.subscribe("f");
        t.receives(connack(false, properties));
        t.connected(false);
        t.tells(&Event::RequestUnsendable { packet_id: packet_id(id), error });
        t.sends(subscribe(next, "f"));
        t.quiet();
        assert_eq!(t.session.pending(), 1);
        t.cut_with(&lost(next));
        // What counts on one connection counts for that one.
        t.connect();
        let id = request(&mut t);
        t.receives(connack(true, ""));
        t.connected(true);
        assert!(t.wants_to_write());
        t.cut_with(&lost(id));
    }
}

#[test]
fn messages_leave_a_place_to_a_request() {
    for version in VERSIONS {
        let mut t = Trace::<1024, 3, 8, 256, 256>::new(version);
        t.connects();
        t.publish(AtLeastOnce, "a");
        t.publish(ExactlyOnce, "b");
        let id = t.subscribe("f");
        t.sends((qos1(1, "a"), qos2(2, "b"), subscribe(id, "f")));
        assert_eq!(t.try_publish(AtLeastOnce, "c"), Err(CommandError::Full));
        assert_eq!(t.session.pending(), 3);
        t.receives(suback(id, &[0]));
        t.event(|_, event| assert!(matches!(event, Event::Subscribed { .. }), "{event:?}"));
        t.tells(&Event::Writable);
        // The place was for the request alone.
        assert_eq!(t.try_publish(AtLeastOnce, "c"), Err(CommandError::Full));
        t.receives(puback(1));
        t.acknowledged(1);
        t.tells(&Event::Writable);
        // One that has its place leaves all others to messages.
        let id = t.subscribe("f");
        let third = t.publish(AtLeastOnce, "c");
        t.sends((subscribe(id, "f"), qos1(third, "c")));
        // While it is lost and not yet told, it has its place.
        t.begins();
        assert_eq!(t.try_publish(AtLeastOnce, "d"), Err(CommandError::Full));
        let next = Subscribe { subscriptions: &[Subscription::new("f", AtMostOnce)], ..Subscribe::default() };
        assert_eq!(t.session.subscribe(&next), Err(CommandError::Full));
        t.tells(&lost(id));
        t.tells(&Event::Writable);
        assert_eq!(t.try_publish(AtLeastOnce, "d"), Err(CommandError::Full));
        t.subscribe("f");
        t.sends(t.connect_packet());
    }
}

/// With one place, whoever comes first has it; messages of QoS 0 need none.
#[test]
fn a_single_place_is_kept_for_nobody() {
    for version in VERSIONS {
        let mut t = Trace::<1024, 1, 8, 256, 256>::new(version);
        t.connects();
        t.publish(AtLeastOnce, "a");
        t.publish(AtMostOnce, "b");
        t.sends((qos1(1, "a"), qos0("b")));
        let request = Subscribe { subscriptions: &[Subscription::new("f", AtMostOnce)], ..Subscribe::default() };
        assert_eq!(t.session.subscribe(&request), Err(CommandError::Full));
        t.receives(puback(1));
        t.acknowledged(1);
        t.tells(&Event::Writable);
        t.subscribe("f");
        assert_eq!(t.try_publish(AtLeastOnce, "c"), Err(CommandError::Full));
    }
}
