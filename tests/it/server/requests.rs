//! SUBSCRIBE and UNSUBSCRIBE, and what answers them.

use mqtt_session::QoS::{AtLeastOnce, ExactlyOnce};
use mqtt_session::server::Event;
use mqtt_session::wire::{List, Properties, RetainHandling, Suback, Unsuback};
use mqtt_session::{
    CloseReason, CommandError, Disconnect, Property, QoS, ReasonCode, SizeLimit, Subscription, Version, Violation,
};

use super::packets::{Bytes, packet_id, puback, qos0, qos1, subscribe, with_header};
use super::trace::{Trace, both, text};

fn codes(codes: &[ReasonCode]) -> List<'_, ReasonCode> {
    List::of(codes)
}

fn suback<'a>(id: u16, reason_codes: &'a [ReasonCode]) -> Suback<'a> {
    Suback { packet_id: packet_id(id), properties: Properties::EMPTY, reason_codes: codes(reason_codes) }
}

fn unsuback<'a>(id: u16, reason_codes: &'a [ReasonCode]) -> Unsuback<'a> {
    Unsuback { packet_id: packet_id(id), properties: Properties::EMPTY, reason_codes: codes(reason_codes) }
}

/// SUBSCRIBE with QoS 0, or UNSUBSCRIBE, of so many filters.
fn request(version: Version, subscribes: bool, id: u16, filters: usize) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if version == Version::V5 {
        body.push(0);
    }
    for _ in 0..filters {
        body.extend(text("f"));
        if subscribes {
            body.push(0);
        }
    }
    with_header(if subscribes { 0x82 } else { 0xA2 }, &body)
}

/// SUBACK or UNSUBACK with one code so many times.
fn answer(version: Version, subscribes: bool, id: u16, filters: usize, code: u8) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if version == Version::V5 {
        body.push(0);
    }
    if subscribes || version == Version::V5 {
        body.extend(vec![code; filters]);
    }
    with_header(if subscribes { 0x90 } else { 0xB0 }, &body)
}

#[test]
fn a_subscription_arrives_as_it_was_asked_for() {
    let mut t = <Trace>::new(Version::V5);
    t.connects();
    t.receives("82 16 000A 09 0B 05 26 0001 6B 0001 76 0003 612F23 2E 0001 62 01");
    t.event(|session, event| {
        let Event::Subscribing { packet_id, subscriptions, properties } = event else { panic!("{event:?}") };
        let first = Subscription {
            filter: "a/#",
            qos: ExactlyOnce,
            no_local: true,
            retain_as_published: true,
            retain_handling: RetainHandling::DoNotSend,
        };
        assert_eq!(packet_id.get(), 10);
        assert_eq!(subscriptions.iter().collect::<Vec<_>>(), [first, Subscription::new("b", AtLeastOnce)]);
        assert_eq!(properties.subscription_identifier(), Some(5));
        assert_eq!(properties.user_properties().collect::<Vec<_>>(), [("k", "v")]);
        let reason_codes = codes(&[ReasonCode::GrantedQos2, ReasonCode::NotAuthorized]);
        let properties = [Property::ReasonString("r"), Property::UserProperty("k", "v")];
        session.suback(&Suback { packet_id, properties: Properties::of(&properties), reason_codes }).unwrap();
    });
    t.sends("90 10 000A 0B 1F 0001 72 26 0001 6B 0001 76 02 87");
    t.receives("A2 0D 000B 07 26 0001 6B 0001 76 0001 61");
    t.event(|session, event| {
        let Event::Unsubscribing { packet_id, filters, properties } = event else { panic!("{event:?}") };
        assert_eq!(packet_id.get(), 11);
        assert_eq!(filters.iter().collect::<Vec<_>>(), ["a"]);
        assert_eq!(properties.user_properties().collect::<Vec<_>>(), [("k", "v")]);
        let reason_codes = codes(&[ReasonCode::NoSubscriptionExisted]);
        let properties = Properties::of(&[Property::ReasonString("r")]);
        session.unsuback(&Unsuback { packet_id, properties, reason_codes }).unwrap();
    });
    t.sends("B0 08 000B 04 1F 0001 72 11");
    t.quiet();

    let mut t = <Trace>::new(Version::V311);
    t.connects();
    t.receives("82 0C 000A 0003 612F23 02 0001 62 01");
    t.event(|session, event| {
        let Event::Subscribing { packet_id, subscriptions, .. } = event else { panic!("{event:?}") };
        let expected = [Subscription::new("a/#", ExactlyOnce), Subscription::new("b", AtLeastOnce)];
        assert_eq!(subscriptions.iter().collect::<Vec<_>>(), expected);
        session.suback(&suback(packet_id.get(), &[ReasonCode::GrantedQos1, ReasonCode::UnspecifiedError])).unwrap();
    });
    t.sends("90 04 000A 01 80");
    t.receives("A2 08 000B 0001 61 0001 62");
    t.asked(11, 2);
    // 3.1.1 has no codes here; they are counted all the same.
    t.session.unsuback(&unsuback(11, &[ReasonCode::Success, ReasonCode::NoSubscriptionExisted])).unwrap();
    t.sends("B0 02 000B");
    t.quiet();
}

/// [MQTT-3.8.4-2], [MQTT-3.8.4-5] in 3.1.1; [MQTT-3.8.4-2], [MQTT-3.8.4-6] in 5.0
#[test]
fn only_what_answers_is_accepted_and_only_once() {
    use ReasonCode::Success as OK;
    for mut t in both() {
        t.connects();
        assert_eq!(t.session.suback(&suback(10, &[OK])), Err(CommandError::NothingToAnswer));
        for subscribes in [true, false] {
            t.receives(request(t.version, subscribes, 10, 2));
            t.asked(10, 2);
            let before = t.session.clone();
            for (id, given) in [(10, &[OK][..]), (10, &[OK, OK, OK]), (11, &[OK, OK]), (10, &[])] {
                assert_eq!(t.session.suback(&suback(id, given)), Err(CommandError::NothingToAnswer));
                assert_eq!(t.session.unsuback(&unsuback(id, given)), Err(CommandError::NothingToAnswer));
            }
            if subscribes {
                assert_eq!(t.session.unsuback(&unsuback(10, &[OK, OK])), Err(CommandError::NothingToAnswer));
                let bad = t.session.suback(&suback(10, &[OK, ReasonCode::Banned]));
                assert_eq!(bad, Err(CommandError::Forbidden(Violation::SubackCodeReserved)));
            } else {
                assert_eq!(t.session.suback(&suback(10, &[OK, OK])), Err(CommandError::NothingToAnswer));
                if t.is_v5() {
                    let bad = t.session.unsuback(&unsuback(10, &[OK, ReasonCode::Banned]));
                    assert_eq!(bad, Err(CommandError::Forbidden(Violation::UnsubackCodeReserved)));
                }
            }
            assert!(t.session == before);
            if subscribes {
                t.session.suback(&suback(10, &[OK, OK])).unwrap();
                assert_eq!(t.session.suback(&suback(10, &[OK, OK])), Err(CommandError::NothingToAnswer));
            } else {
                t.session.unsuback(&unsuback(10, &[OK, OK])).unwrap();
                assert_eq!(t.session.unsuback(&unsuback(10, &[OK, OK])), Err(CommandError::NothingToAnswer));
            }
            t.sends(answer(t.version, subscribes, 10, 2, 0));
            t.quiet();
        }
    }
}

/// Each filter failed. [MQTT-3.8.4-1]
#[test]
fn a_neglected_request_has_failed() {
    for mut t in both() {
        t.connects();
        for subscribes in [true, false] {
            t.receives(request(t.version, subscribes, 10, 3));
            t.asked(10, 3);
            t.sends(answer(t.version, subscribes, 10, 3, 0x80));
            assert_eq!(t.session.suback(&suback(10, &[ReasonCode::Success; 3])), Err(CommandError::NothingToAnswer));
            assert_eq!(
                t.session.unsuback(&unsuback(10, &[ReasonCode::Success; 3])),
                Err(CommandError::NothingToAnswer)
            );
            t.quiet();
        }
    }
}

/// The same identifier, one behind the other, answered or not.
#[test]
fn several_requests_in_one_read_are_answered_in_turn() {
    for mut t in both() {
        t.connects();
        let version = t.version;
        t.receives((
            request(version, true, 7, 1),
            request(version, false, 7, 2),
            (request(version, true, 7, 3), qos0("a")),
        ));
        t.asked(7, 1);
        t.session.suback(&suback(7, &[ReasonCode::GrantedQos1])).unwrap();
        t.asked(7, 2);
        t.asked(7, 3);
        t.session.suback(&suback(7, &[ReasonCode::Success; 3])).unwrap();
        t.message(qos0("a"));
        t.sends((answer(version, true, 7, 1, 1), answer(version, false, 7, 2, 0x80), answer(version, true, 7, 3, 0)));
        t.quiet();
    }
}

/// To the byte: what can be answered is handed out, one filter more is not.
#[test]
fn a_request_larger_than_any_answer_ends_the_connection() {
    for version in [Version::V311, Version::V5] {
        // 64 bytes less what is kept for a farewell, less the frame of the answer.
        let most = 64 - 9 - if version == Version::V5 { 5 } else { 4 };
        for subscribes in [true, false] {
            let mut t = Trace::<64, 1, 1, 64, 512>::new(version);
            t.connects();
            t.receives(request(version, subscribes, 5, most));
            t.asked(5, most);
            t.sends(answer(version, subscribes, 5, most, 0x80));
            t.receives((request(version, subscribes, 6, most + 1), qos0("a")));
            if version == Version::V311 && !subscribes {
                // There are no codes.
                t.asked(6, most + 1);
                t.message(qos0("a"));
                t.sends(answer(version, subscribes, 6, 0, 0));
                continue;
            }
            t.fails(CloseReason::RequestTooLarge, 0x97);
        }
    }
}

/// What the client takes is the limit, too.
#[test]
fn a_request_whose_answer_the_client_does_not_take_ends_the_connection() {
    for subscribes in [true, false] {
        let mut t = <Trace>::new(Version::V5);
        t.hello.properties = "11 FFFFFFFF 27 0000000D";
        t.connects();
        t.receives(request(t.version, subscribes, 5, 8));
        t.asked(5, 8);
        // Fewer bytes are left out than codes.
        let properties = Properties::of(&[Property::ReasonString("")]);
        let reason_codes = codes(&[ReasonCode::Success; 8]);
        let packet_id = packet_id(5);
        let refused = if subscribes {
            t.session.suback(&Suback { packet_id, properties, reason_codes })
        } else {
            t.session.unsuback(&Unsuback { packet_id, properties, reason_codes })
        };
        assert!(matches!(refused, Err(CommandError::TooLarge { .. })));
        t.sends(answer(t.version, subscribes, 5, 8, 0x80));
        t.receives(request(t.version, subscribes, 6, 9));
        t.fails(CloseReason::RequestTooLarge, 0x97);
    }
}

/// Nothing is written, so answers pile up; what finds no room stays in the inbox until there is some.
#[test]
fn a_request_waits_for_room() {
    for version in [Version::V311, Version::V5] {
        for subscribes in [true, false] {
            let mut t = Trace::<64, 1, 1, 40, 256>::new(version);
            t.connects();
            let filters = if version == Version::V311 && !subscribes { 1 } else { 12 };
            let len = answer(version, subscribes, 1, filters, 0).len();
            let fit = (40 - 9) / len;
            for id in 1..=4 {
                t.receives(request(version, subscribes, id, filters));
            }
            t.receives(qos0("behind"));
            let mut next = 1;
            let mut all = Vec::new();
            // The answers that fit.
            for _ in 0..fit.min(4) {
                t.asked(next, filters);
                all.push(answer(version, subscribes, next, filters, 0x80));
                next += 1;
            }
            assert!(t.wants_to_write() || fit >= 4);
            while next <= 4 {
                // Nothing of what was shown is written yet: still no room.
                assert!(t.wants_to_write());
                t.sends(&all[..]);
                all.clear();
                t.asked(next, filters);
                all.push(answer(version, subscribes, next, filters, 0x80));
                next += 1;
            }
            if t.wants_to_write() {
                t.sends(&all[..]);
                all.clear();
            }
            t.message(qos0("behind"));
            t.sends(&all[..]);
            t.quiet();
        }
    }
}

/// What never has room beside a farewell is too large; what has none now is to be given later.
#[test]
fn an_answer_fits_to_the_byte_or_is_refused() {
    for (pings, free) in [(0, 64), (15, 34)] {
        let mut t = Trace::<64, 1, 1, 64, 256>::new(Version::V5);
        t.connects();
        t.receives(([0xC0, 0].repeat(pings), request(Version::V5, true, 5, 1)));
        t.asked(5, 1);
        for len in 0..60 {
            let text = "x".repeat(len);
            let properties = [Property::ReasonString(&text)];
            let success = [ReasonCode::Success];
            let reply = Suback { properties: Properties::of(&properties), ..suback(5, &success) };
            let needed = 9 + u32::try_from(len).unwrap();
            let expected = match needed + 9 {
                with_disconnect if with_disconnect <= free => Ok(()),
                with_disconnect if with_disconnect <= 64 => Err(CommandError::Full),
                _ => Err(CommandError::TooLarge { limit: SizeLimit::Control, needed, available: 64 - 9 }),
            };
            assert_eq!(t.session.clone().suback(&reply), expected, "{len} bytes, {free} free");
        }
    }
}

/// An answer with more properties than there is room for now is refused, and may be given without them.
#[test]
fn an_answer_may_be_shortened() {
    let mut t = Trace::<64, 1, 1, 64, 256>::new(Version::V5);
    t.connects();
    // 30 bytes of pings are unwritten.
    t.receives(([0xC0, 0].repeat(15), request(Version::V5, true, 5, 1)));
    t.asked(5, 1);
    let before = t.session.clone();
    let reply = |text: &'static str| Suback {
        packet_id: packet_id(5),
        properties: Properties::of(match text {
            "short" => &[Property::ReasonString("short")],
            "long" => &[Property::ReasonString("more than there is room for")],
            _ => &[Property::ReasonString("more than there will ever be, since it takes all the bytes")],
        }),
        reason_codes: List::of(&[ReasonCode::Success]),
    };
    assert!(matches!(t.session.suback(&reply("longer")), Err(CommandError::TooLarge { .. })));
    assert!(t.session == before);
    assert_eq!(t.session.suback(&reply("long")), Err(CommandError::Full));
    assert_eq!(t.session.suback(&reply("short")), Ok(()));
    t.sends(([0xD0, 0].repeat(15), "90 0C 0005 08 1F 0005 73686F7274 00"));
    t.tells(&Event::Writable);
    t.quiet();
}

/// Request Problem Information 0. [MQTT-3.1.2-29]
#[test]
fn diagnostics_are_left_out_where_the_client_wants_none() {
    let mut t = <Trace>::new(Version::V5);
    t.hello.properties = "17 00";
    t.connects();
    let properties = Properties::of(&[Property::ReasonString("r"), Property::UserProperty("k", "v")]);
    let reason_codes = codes(&[ReasonCode::Success]);
    t.receives((request(t.version, true, 5, 1), request(t.version, false, 6, 1)));
    t.asked(5, 1);
    t.session.suback(&Suback { packet_id: packet_id(5), properties, reason_codes }).unwrap();
    t.asked(6, 1);
    t.session.unsuback(&Unsuback { packet_id: packet_id(6), properties, reason_codes }).unwrap();
    t.sends((answer(t.version, true, 5, 1, 0), answer(t.version, false, 6, 1, 0)));
    // DISCONNECT may always say why.
    t.session
        .disconnect(&Disconnect { properties, reason_code: ReasonCode::ServerBusy, ..Disconnect::default() })
        .unwrap();
    t.sends("E0 0D 89 0B 1F 0001 72 26 0001 6B 0001 76");
}

/// What CONNACK said that there is not.
#[test]
fn subscriptions_that_are_not_available_are_refused() {
    for (bytes, cause, code) in [
        ("82 09 0001 00 0003 612F2B 00", CloseReason::WildcardUnsupported, 0xA2),
        ("82 07 0001 00 0001 23 00", CloseReason::WildcardUnsupported, 0xA2),
        ("82 0B 0001 00 0001 61 00 0001 2B 00", CloseReason::WildcardUnsupported, 0xA2),
        ("82 10 0001 00 000A 2473686172652F672F61 00", CloseReason::SharedUnsupported, 0x9E),
        ("82 09 0001 02 0B 05 0001 61 00", CloseReason::SubscriptionIdentifierUnsupported, 0xA1),
    ] {
        let mut t = <Trace>::new(Version::V5);
        // Of the three only the one that is asked for is not available.
        let unavailable: &[_];
        (unavailable, t.said) = match cause {
            CloseReason::WildcardUnsupported => (&[Property::WildcardSubscriptionAvailable(false)], "28 00"),
            CloseReason::SharedUnsupported => (&[Property::SharedSubscriptionAvailable(false)], "2A 00"),
            _ => (&[Property::SubscriptionIdentifierAvailable(false)], "29 00"),
        };
        t.accept.properties = Properties::of(unavailable);
        t.connects();
        t.receives(subscribe(9, "a"));
        t.asked(9, 1);
        t.sends("90 04 0009 00 80");
        t.receives(bytes);
        t.fails(cause, code);
        // There all are where nothing is said.
        t.accept.properties = Properties::EMPTY;
        t.said = "";
        t.resumes();
        t.receives(bytes);
        let Event::Subscribing { .. } = t.event(|_, event| match event {
            Event::Subscribing { packet_id, .. } => {
                Event::Subscribing { packet_id, subscriptions: List::EMPTY, properties: Properties::EMPTY }
            }
            other => panic!("{other:?}"),
        }) else {
            panic!()
        };
    }
    // To end a subscription is no fault.
    let mut t = <Trace>::new(Version::V5);
    t.accept.properties = Properties::of(&[Property::WildcardSubscriptionAvailable(false)]);
    t.said = "28 00";
    t.connects();
    t.receives("A2 06 0001 00 0001 23");
    t.asked(1, 1);
}

/// Answered or neglected; the answer would have nowhere to go.
#[test]
fn a_request_on_a_lost_link_is_told_and_not_answered() {
    for mut t in both() {
        t.connects();
        t.receives((request(t.version, true, 5, 1), request(t.version, false, 6, 1), request(t.version, true, 7, 1)));
        t.loses_link();
        t.asked(5, 1);
        t.session.suback(&suback(5, &[ReasonCode::Success])).unwrap();
        assert_eq!(t.session.suback(&suback(5, &[ReasonCode::Success])), Err(CommandError::NothingToAnswer));
        t.asked(6, 1);
        t.asked(7, 1);
        t.closes(CloseReason::ConnectionLost);
        assert_eq!(t.session.suback(&suback(7, &[ReasonCode::Success])), Err(CommandError::NothingToAnswer));
        t.resumes();
        t.quiet();
    }
}

/// In the hands of the application when the link is lost: its answer is accepted and goes nowhere.
#[test]
fn a_request_dies_with_its_link() {
    for mut t in both() {
        t.connects();
        t.receives(request(t.version, true, 5, 1));
        t.asked(5, 1);
        t.loses_link();
        t.session.suback(&suback(5, &[ReasonCode::Success])).unwrap();
        t.closes(CloseReason::ConnectionLost);
        t.resumes();
        t.quiet();
    }
}

/// Leaving in the handler: the answer leaves first.
#[test]
fn a_request_is_answered_before_the_server_leaves() {
    for answered in [true, false] {
        for mut t in both() {
            t.connects();
            t.receives(request(t.version, true, 5, 1));
            t.asked(5, 1);
            t.disconnect(ReasonCode::Success);
            if answered {
                t.session.suback(&suback(5, &[ReasonCode::Success])).unwrap();
            }
            t.sends(answer(t.version, true, 5, 1, if answered { 0 } else { 0x80 }));
            if t.is_v5() {
                t.sends("E0 00");
            }
            t.closes(CloseReason::Disconnected);
        }
    }
}

/// However many acknowledgements the application gives while it has a request, the answer of the request has its room.
#[test]
fn the_answer_of_a_neglected_request_comes_first() {
    for version in [Version::V311, Version::V5] {
        let mut t = Trace::<64, 1, 8, 30, 256>::new(version).manual();
        t.connects();
        let messages = [1, 2, 3, 4, 5].map(|id| qos1(id, "a"));
        t.receives(messages);
        let handles = messages.map(|message| t.hands_out(message));
        t.receives(request(version, true, 9, 15));
        t.asked(9, 15);
        handles.into_iter().for_each(|handle| t.acknowledge(handle));
        t.sends(answer(version, true, 9, 15, 0x80));
        t.sends([1, 2, 3, 4, 5].map(puback));
        t.quiet();
    }
}

/// QoS 2 asked for, QoS 0 granted: the session has no part in it.
#[test]
fn requests_take_no_identifier_of_ours() {
    for mut t in both() {
        t.connects();
        assert_eq!(t.publish(QoS::AtLeastOnce, "a"), 1);
        t.sends(qos1(1, "a"));
        t.receives(request(t.version, true, 1, 1));
        t.asked(1, 1);
        t.sends(answer(t.version, true, 1, 1, 0x80));
        t.receives(puback(1));
        t.acknowledged(1);
        t.quiet();
        assert!(!Bytes::bytes(&puback(1), t.version).is_empty());
    }
}
