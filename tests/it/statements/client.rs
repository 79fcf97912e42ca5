//! What a client does, as packet traces.

use mqtt_session::QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
use mqtt_session::wire::{AckType, Auth, Properties};
use mqtt_session::{
    Acknowledge, CloseReason, CommandError, Connect, Disconnect, Event, Instant, Outcome, Property, Publish, QoS,
    ReasonCode, Step, StrayPacket, Subscribe, Subscription, Unsubscribe, Version,
};

use super::packets::{
    Bytes, TOPIC, Trace, both, connack, packet_id, puback, pubcomp, pubrec, pubrel, qos0, qos1, qos2, suback,
    subscribe, to_hex, with_header,
};

/// Begins a connection, whatever CONNECT says.
fn begins<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize, const CONTROL: usize, const INBOX: usize>(
    t: &mut Trace<STORE, OUTBOUND, INBOUND, CONTROL, INBOX>,
) {
    t.begins();
    // The clock of a trace stands still here.
    while let Step::Transmit(bytes) = t.session.poll(&mut t.inbox, Instant::from_millis(1_000)) {
        let len = bytes.len();
        t.session.transmitted(len);
    }
}

/// A connection, whatever CONNECT says, to a server that answers so.
#[track_caller]
fn connects_to(t: &mut Trace, session_present: bool, properties: &str) {
    begins(t);
    t.receives(connack(session_present, properties));
    t.connected(session_present);
}

/// The method "m" of enhanced authentication, with other properties.
fn auth<'a>(reason_code: ReasonCode, properties: &'a [Property<'a>]) -> Auth<'a> {
    Auth { reason_code, properties: Properties::of(properties) }
}

#[test]
fn nothing_is_said_to_a_server_that_refuses() {
    for code in 1..=5 {
        let mut t = <Trace>::new(Version::V311);
        t.connect();
        t.receives((vec![0x20, 2, 0, code], qos1(1, "unread")));
        is_refused(&mut t, ReasonCode::of_return_code(code).unwrap());
    }
    for code in ReasonCode::ALL.iter().filter(|code| code.is_error()) {
        let packet = vec![0x20, 3, 0, *code as u8, 0];
        let mut t = <Trace>::new(Version::V5);
        t.connect();
        let is_listed = mqtt_session::wire::Packet::decode(Version::V5, mqtt_session::Role::Client, &packet).is_ok();
        t.receives((packet, qos1(1, "unread")));
        if is_listed {
            is_refused(&mut t, *code);
        }
    }
}

#[track_caller]
fn is_refused(t: &mut Trace, code: ReasonCode) {
    let told = t.event(|_, event| matches!(event, Event::ConnectionRefused(connack) if connack.reason_code == code));
    assert!(told, "{code:?}");
    let version = code == ReasonCode::UnsupportedProtocolVersion;
    t.closes(if version { CloseReason::UnsupportedVersion } else { CloseReason::ConnectionRefused(code) });
    t.connects();
    t.quiet();
}

/// Whether there was a session or not.
#[test]
fn a_session_after_a_clean_start_is_an_error() {
    for kept in [false, true] {
        for mut t in both() {
            if kept {
                t.connects();
                t.cut();
            }
            t.options.clean_start = true;
            t.connect();
            t.receives(connack(true, ""));
            t.fails(CloseReason::SessionNotClean, 0x82);
            t.connects();
            t.quiet();
        }
    }
}

#[test]
fn a_client_without_a_name_takes_the_one_it_is_given() {
    let mut t = <Trace>::new(Version::V5);
    t.options.client_id = "";
    begins(&mut t);
    t.receives(connack(false, ""));
    t.fails(CloseReason::ClientIdentifierMissing, 0x82);

    connects_to(&mut t, false, "12 0003 6E6577");
    t.publish(AtLeastOnce, "a");
    t.sends(qos1(1, "a"));
    t.cut();
    for other in ["", "old"] {
        let connect = Connect { client_id: other, ..t.options };
        assert_eq!(t.session.connect(&mut t.inbox, &connect), Err(CommandError::OtherSession), "{other:?}");
    }
    t.options.client_id = "new";
    connects_to(&mut t, true, "");
    t.sends(qos1(1, "a").dup());
    t.quiet();

    // 3.1.1 tells no name.
    let mut t = <Trace>::new(Version::V311);
    t.options.client_id = "";
    t.options.clean_start = true;
    connects_to(&mut t, false, "");
    t.quiet();
}

/// With whatever code; the session is still there.
#[test]
fn nothing_is_said_to_a_server_that_disconnects() {
    for code in ReasonCode::ALL {
        let packet = vec![0xE0, 1, *code as u8];
        if mqtt_session::wire::Packet::decode(Version::V5, mqtt_session::Role::Client, &packet).is_err() {
            continue;
        }
        let mut t = <Trace>::new(Version::V5);
        t.connects();
        t.publish(AtLeastOnce, "a");
        t.sends(qos1(1, "a"));
        t.publish(AtMostOnce, "waits");
        t.receives((qos1(7, "in"), packet, qos1(8, "unread")));
        t.message(qos1(7, "in"));
        let told = t.event(|_, event| matches!(event, Event::Disconnected(said) if said.reason_code == *code));
        assert!(told, "{code:?}");
        t.closes(CloseReason::DisconnectedByPeer(*code));
        t.resumes();
        t.sends((qos1(1, "a").dup(), qos0("waits")));
        t.quiet();
    }
}

/// What may explain itself though we asked it not to: PUBLISH, CONNACK and DISCONNECT, and no other packet.
#[test]
fn diagnostics_that_were_not_asked_for_are_an_error() {
    let online = |method: bool| {
        let mut t = <Trace>::new(Version::V5);
        let properties = [Property::RequestProblemInformation(false), Property::AuthenticationMethod("m")];
        t.options.properties = Properties::of(Vec::leak(properties[..if method { 2 } else { 1 }].to_vec()));
        connects_to(&mut t, false, if method { "1F 0001 72 26 0001 6B 0000 15 0001 6D" } else { "1F 0001 72" });
        t
    };
    for (property, len) in [("1F 0001 72", 4), ("26 0001 6B 0000", 6)] {
        let property = Bytes::bytes(property, Version::V5);
        let packet = |first, before: &[u8], behind: &[u8]| {
            with_header(first, &[before, &[u8::try_from(property.len()).unwrap()], &property, behind].concat())
        };
        assert_eq!(property.len(), len);
        for bytes in [
            packet(0x40, &[0, 1, 0x10], &[]),
            packet(0x50, &[0, 1, 0x00], &[]),
            packet(0x62, &[0, 1, 0x00], &[]),
            packet(0x70, &[0, 1, 0x00], &[]),
            packet(0x90, &[0, 1], &[0]),
            packet(0xB0, &[0, 1], &[0]),
        ] {
            let mut t = online(false);
            t.receives(bytes);
            t.fails(CloseReason::DiagnosticsUnrequested, 0x82);
        }
        let mut t = online(true);
        let again = auth(ReasonCode::Reauthenticate, &[Property::AuthenticationMethod("m")]);
        t.session.authenticate(&again).unwrap();
        t.sends("F0 06 19 04 15 0001 6D");
        let answer = [Bytes::bytes("15 0001 6D", Version::V5), property.clone()].concat();
        let answer = with_header(0xF0, &[&[0x18, u8::try_from(answer.len()).unwrap()], &answer[..]].concat());
        t.receives(answer.clone());
        t.fails(CloseReason::DiagnosticsUnrequested, 0x82);
        // Before CONNACK as well.
        t.begins();
        assert!(matches!(t.session.poll(&mut t.inbox, Instant::from_millis(1_000)), Step::Transmit(_)));
        t.session.transmitted(usize::MAX);
        t.receives(answer);
        t.fails(CloseReason::DiagnosticsUnrequested, 0x82);
    }
    let mut t = online(false);
    t.receives(("30 0A 0001 74 06 26 0001 6B 0000", "E0 0C 8B 0A 1F 0001 72 26 0001 6B 0000"));
    t.event(|_, event| assert!(matches!(event, Event::Message(_)), "{event:?}"));
    t.event(|_, event| assert!(matches!(event, Event::Disconnected(_)), "{event:?}"));
    t.closes(CloseReason::DisconnectedByPeer(ReasonCode::ServerShuttingDown));
}

/// Whoever says nothing of it asks for them.
#[test]
fn diagnostics_that_were_asked_for_are_told() {
    let explained = |properties: Properties<'_>| {
        properties.reason_string() == Some("r") && properties.user_properties().eq([("k", "v")])
    };
    let diagnostics = "0B 1F 0001 72 26 0001 6B 0001 76";
    let options: [&[Property<'_>]; 2] = [&[], &[Property::RequestProblemInformation(true)]];
    for properties in options {
        let mut t = <Trace>::new(Version::V5);
        t.options.properties = Properties::of(properties);
        connects_to(&mut t, false, "");
        t.publish(AtLeastOnce, "a");
        t.sends(qos1(1, "a"));
        t.receives(format!("40 0F 0001 10 {diagnostics}").as_str());
        t.event(|_, event| assert!(matches!(event, Event::Published { properties, .. } if explained(properties))));
        let id = t.subscribe("f");
        t.sends(subscribe(id, "f"));
        t.receives(format!("90 0F {id:04X} {diagnostics} 00").as_str());
        t.event(|_, event| assert!(matches!(event, Event::Subscribed { properties, .. } if explained(properties))));
        t.quiet();
    }
}

/// The quota is used up, and a message waits. Everything else leaves.
#[test]
fn an_exhausted_quota_holds_nothing_else_back() {
    let mut t = <Trace>::new(Version::V5);
    t.options.properties = Properties::of(&[Property::AuthenticationMethod("m")]);
    t.options.keep_alive = 8;
    connects_to(&mut t, false, "21 0001 15 0001 6D");
    t.publish(ExactlyOnce, "a");
    t.publish(AtLeastOnce, "waits");
    t.sends(qos2(1, "a"));
    t.quiet();
    t.publish(AtMostOnce, "b");
    t.sends(qos0("b"));
    let id = t.subscribe("f");
    t.sends(subscribe(id, "f"));
    let request = Unsubscribe::new(&["f"]);
    let id = t.session.unsubscribe(&request).unwrap().get();
    t.sends(with_header(0xA2, &[0, u8::try_from(id).unwrap(), 0, 0, 1, b'f']));
    t.receives((qos1(7, "in"), qos2(8, "in"), pubrel(8)));
    t.message(qos1(7, "in"));
    t.message(qos2(8, "in"));
    t.sends((puback(7), pubrec(8), pubcomp(8)));
    let again = auth(ReasonCode::Reauthenticate, &[Property::AuthenticationMethod("m")]);
    t.session.authenticate(&again).unwrap();
    t.sends("F0 06 19 04 15 0001 6D");
    t.passes(7_000);
    t.sends("C0 00");
    t.receives(pubrec(1));
    t.sends(pubrel(1));
    t.quiet();
    t.disconnect();
    t.sends("E0 00");
}

/// Whether a publish finds the only place.
fn has_place(t: &Trace<256, 1, 1, 256, 256>) -> bool {
    match t.session.clone().publish(&Publish { qos: AtLeastOnce, ..Publish::new(TOPIC, b"") }) {
        Ok(_) => true,
        Err(refused) => {
            assert_eq!(refused, CommandError::Full);
            false
        }
    }
}

/// PUBACK, PUBCOMP, a PUBREC that refuses, SUBACK, UNSUBACK; not a PUBREC that accepts.
#[test]
fn an_identifier_is_free_after_the_last_answer() {
    let [v311, v5] = [&[0x00][..], &[0x00, 0x80]];
    for (version, codes) in [(Version::V311, v311), (Version::V5, v5)] {
        for &code in codes {
            let mut t = Trace::<256, 1, 1, 256, 256>::new(version);
            t.connects();
            let id = t.publish(AtLeastOnce, "a");
            t.sends(qos1(id, "a"));
            assert!(!has_place(&t));
            t.receives(puback(id).code(code));
            t.event(|_, event| assert!(matches!(event, Event::Published { .. }), "{event:?}"));
            assert!(has_place(&t), "PUBACK {code:#04x}");

            let mut t = Trace::<256, 1, 1, 256, 256>::new(version);
            t.connects();
            let id = t.publish(ExactlyOnce, "a");
            t.sends(qos2(id, "a"));
            t.receives(pubrec(id).code(code));
            if code == 0 {
                t.sends(pubrel(id));
                assert!(!has_place(&t), "PUBREC");
                t.receives(pubcomp(id));
            }
            t.event(|_, event| assert!(matches!(event, Event::Published { .. }), "{event:?}"));
            assert!(has_place(&t), "PUBREC {code:#04x}");
        }
        let mut t = Trace::<256, 1, 1, 256, 256>::new(version);
        t.connects();
        let id = t.subscribe("f");
        t.sends(subscribe(id, "f"));
        assert!(!has_place(&t));
        t.receives(suback(id, &[0x80]));
        t.event(|_, event| assert!(matches!(event, Event::Subscribed { .. }), "{event:?}"));
        assert!(has_place(&t), "SUBACK");
        let id = unsubscribes(&mut t);
        assert!(!has_place(&t));
        t.receives(unsuback(id));
        t.event(|_, event| assert!(matches!(event, Event::Unsubscribed { .. }), "{event:?}"));
        assert!(has_place(&t), "UNSUBACK");
    }
}

/// Ends the subscription of "f", and the packet leaves.
#[track_caller]
fn unsubscribes<const OUTBOUND: usize, const INBOUND: usize, const STORE: usize>(
    t: &mut Trace<STORE, OUTBOUND, INBOUND, 256, 256>,
) -> u16 {
    let request = Unsubscribe::new(&["f"]);
    let id = t.session.unsubscribe(&request).unwrap().get();
    let body: &[u8] = if t.is_v5() { &[0, 0, 1, b'f'] } else { &[0, 1, b'f'] };
    t.sends(with_header(0xA2, &[&id.to_be_bytes(), body].concat()));
    id
}

/// UNSUBACK for one filter.
fn unsuback(id: u16) -> impl Bytes {
    struct Unsuback(u16);
    impl Bytes for Unsuback {
        fn bytes(&self, version: Version) -> Vec<u8> {
            let codes: &[u8] = if version == Version::V5 { &[0, 0] } else { &[] };
            with_header(0xB0, &[&self.0.to_be_bytes(), codes].concat())
        }
    }
    Unsuback(id)
}

/// SUBACK belongs to SUBSCRIBE and UNSUBACK to UNSUBSCRIBE, with a code for each filter.
#[test]
fn an_answer_that_does_not_fit_its_request_is_an_error() {
    for version in [Version::V311, Version::V5] {
        let with_request = |is_subscribe: bool| {
            let mut t = Trace::<256, 1, 1, 256, 256>::new(version);
            t.connects();
            if is_subscribe {
                let id = t.subscribe("f");
                t.sends(subscribe(id, "f"));
            } else {
                unsubscribes(&mut t);
            }
            t
        };
        let mut mismatched = vec![
            (true, unsuback(1).bytes(version)),
            (true, suback(1, &[0, 0]).bytes(version)),
            (false, suback(1, &[0]).bytes(version)),
        ];
        if version == Version::V5 {
            mismatched.push((false, vec![0xB0, 5, 0, 1, 0, 0, 0]));
        }
        for (is_subscribe, answer) in mismatched {
            let mut t = with_request(is_subscribe);
            t.receives(answer);
            if t.is_v5() {
                t.sends("E0 01 82");
            }
            t.tells(&Event::RequestLost { packet_id: packet_id(1) });
            t.closes(CloseReason::AnswerMismatched);
        }
    }
}

/// The message goes on, and so does its identifier.
#[test]
fn what_answers_a_request_says_nothing_of_a_message() {
    for mut t in both() {
        t.connects();
        t.publish(AtLeastOnce, "a");
        t.publish(ExactlyOnce, "b");
        t.publish(ExactlyOnce, "c");
        t.sends((qos1(1, "a"), qos2(2, "b"), qos2(3, "c")));
        t.receives(pubrec(3));
        t.sends(pubrel(3));
        for id in 1..=3 {
            t.receives((suback(id, &[0]), unsuback(id)));
            for packet in [StrayPacket::Suback, StrayPacket::Unsuback] {
                t.tells(&Event::Stray { packet, packet_id: packet_id(id) });
            }
        }
        t.receives((puback(1), pubrec(2), pubcomp(3)));
        t.acknowledged(1);
        t.acknowledged(3);
        t.sends(pubrel(2));
        t.receives(pubcomp(2));
        t.acknowledged(2);
        t.quiet();
    }
}

/// However many there are of them.
#[test]
fn a_stray_answer_raises_no_quota() {
    let mut t = <Trace>::new(Version::V5);
    t.connects_with(false, "21 0001");
    t.receives([puback(9), pubcomp(9), pubrec(9).code(0x80)]);
    for kind in [AckType::Puback, AckType::Pubcomp, AckType::Pubrec] {
        t.stray(kind, 9);
    }
    t.publish(AtLeastOnce, "a");
    t.publish(AtLeastOnce, "b");
    t.publish(AtLeastOnce, "c");
    t.sends(qos1(1, "a"));
    t.quiet();
    t.receives([puback(1), puback(1), puback(1)]);
    t.acknowledged(1);
    t.stray(AckType::Puback, 1);
    t.stray(AckType::Puback, 1);
    t.sends(qos1(2, "b"));
    t.quiet();
}

/// Messages are taken and answered before SUBACK and behind UNSUBACK, and whatever they match.
#[test]
fn messages_do_not_depend_on_subscriptions() {
    for mut t in both() {
        t.connects();
        let id = t.subscribe("f");
        t.sends(subscribe(id, "f"));
        t.receives((qos1(7, "early"), qos2(8, "early"), suback(id, &[0])));
        t.message(qos1(7, "early"));
        t.message(qos2(8, "early"));
        t.event(|_, event| assert!(matches!(event, Event::Subscribed { .. }), "{event:?}"));
        t.sends((puback(7), pubrec(8)));
        let id = unsubscribes(&mut t);
        t.receives((unsuback(id), pubrel(8), qos2(9, "late")));
        t.event(|_, event| assert!(matches!(event, Event::Unsubscribed { .. }), "{event:?}"));
        t.message(qos2(9, "late"));
        t.sends((pubcomp(8), pubrec(9)));
        t.receives(pubrel(9));
        t.sends(pubcomp(9));
        t.quiet();
    }
}

/// Of QoS 1 every message is one, whatever its identifier and DUP say.
#[test]
fn a_message_of_qos_1_is_new_behind_puback() {
    for mut t in both() {
        t.connects();
        for message in [qos1(7, "a"), qos1(7, "a").dup(), qos1(7, "b"), qos1(7, "b").dup()] {
            t.receives(message);
            t.message(message);
            t.sends(puback(7));
            t.quiet();
        }
    }
}

#[test]
fn what_was_rejected_is_not_sent_again() {
    let mut t = <Trace>::new(Version::V5);
    t.connects();
    t.publish(AtLeastOnce, "a");
    t.publish(ExactlyOnce, "b");
    t.publish(AtLeastOnce, "c");
    t.sends([qos1(1, "a"), qos2(2, "b"), qos1(3, "c")]);
    t.receives([puback(1).code(0x87), pubrec(2).code(0x97)]);
    t.published(1, Outcome::Rejected(ReasonCode::NotAuthorized));
    t.published(2, Outcome::Rejected(ReasonCode::QuotaExceeded));
    t.quiet();
    t.cut();
    t.resumes();
    t.sends(qos1(3, "c").dup());
    t.quiet();
}

/// The Session Expiry Interval of CONNECT, CONNACK and DISCONNECT: the last one counts.
#[test]
fn the_last_word_on_the_end_of_a_session_counts() {
    let connects: [&[Property<'_>]; 3] =
        [&[], &[Property::SessionExpiryInterval(0)], &[Property::SessionExpiryInterval(9)]];
    for connect in connects {
        for (connack, said) in [("", None), ("11 00000000", Some(0)), ("11 00000009", Some(9))] {
            for disconnect in [None, Some(0), Some(9)] {
                let what = format!("{connect:?} {connack} {disconnect:?}");
                let asked = match connect {
                    [Property::SessionExpiryInterval(seconds)] => *seconds,
                    _ => 0,
                };
                let mut t = <Trace>::new(Version::V5);
                t.options.properties = Properties::of(connect);
                connects_to(&mut t, false, connack);
                t.publish(AtLeastOnce, "a");
                t.sends(qos1(1, "a"));
                let property = disconnect.map(Property::SessionExpiryInterval);
                let properties: Vec<_> = property.into_iter().collect();
                let farewell = Disconnect { properties: Properties::of(&properties), ..Disconnect::default() };
                let left = t.session.disconnect(&farewell);
                if disconnect == Some(9) && asked == 0 {
                    assert_eq!(left, Err(CommandError::ExpiryRaised), "{what}");
                    continue;
                }
                assert_eq!(left, Ok(()), "{what}");
                t.sends(disconnect.map_or("E0 00".to_owned(), |it| format!("E0 07 00 05 11 {it:08X}")).as_str());
                let is_kept = disconnect.or(said).unwrap_or(asked) != 0;
                if !is_kept {
                    t.published(1, Outcome::Lost);
                }
                t.closes(CloseReason::Disconnected);
                assert_eq!(t.session.pending(), u16::from(is_kept), "{what}");
            }
        }
    }
}

/// Neither before CONNACK nor behind it.
#[test]
fn without_a_method_nothing_is_authenticated() {
    for mut t in both() {
        let properties = [Property::AuthenticationMethod("m")];
        for online in [false, true] {
            t.connect();
            if online {
                t.receives(connack(false, ""));
                t.connected(false);
            }
            let before = t.session.clone();
            for code in [ReasonCode::ContinueAuthentication, ReasonCode::Reauthenticate, ReasonCode::Success] {
                assert_eq!(t.session.authenticate(&auth(code, &properties)), Err(CommandError::NotAuthenticating));
                assert_eq!(t.session.authenticate(&auth(code, &[])), Err(CommandError::NotAuthenticating));
            }
            assert!(t.session == before);
            t.quiet();
        }
    }
}

/// Five bytes at most, so that each fits where any of them does.
#[test]
fn acknowledgements_say_no_more_than_their_code() {
    let mut t = <Trace>::new(Version::V5);
    t.options.acknowledgement = Acknowledge::Manually;
    t.connects_with(false, "27 00000005");
    t.receives((qos1(7, "a"), qos2(8, "b")));
    let (first, second) = (t.hands_out(qos1(7, "a")), t.hands_out(qos2(8, "b")));
    t.session.acknowledge(first, ReasonCode::NotAuthorized).unwrap();
    t.session.acknowledge(second, ReasonCode::QuotaExceeded).unwrap();
    t.sends("40 03 0007 87 50 03 0008 97");
    t.receives((pubrel(9), pubrec(9)));
    t.stray(AckType::Pubrec, 9);
    t.sends("70 03 0009 92 62 03 0009 92");
    t.quiet();
}

/// In seconds that the message has long outlived. It arrives here, too, however late it is released.
#[test]
fn what_was_shown_does_not_expire() {
    for (qos, answer) in [(AtLeastOnce, puback(1)), (ExactlyOnce, pubrec(1))] {
        let mut t = <Trace>::new(Version::V5);
        t.connects();
        let properties = [Property::MessageExpiryInterval(5)];
        let publish = Publish { qos, properties: Properties::of(&properties), ..Publish::new(TOPIC, b"a") };
        assert_eq!(t.tries(&publish), Ok(1));
        let bytes = format!("{} 0C 0001 74 0001 05 02 00000005 61", if qos == AtLeastOnce { 32 } else { 34 });
        t.sends(bytes.as_str());
        t.passes(3_600_000);
        t.quiet();
        t.cut();
        t.passes(3_600_000);
        t.resumes();
        t.sends(format!("3{}{}", if qos == AtLeastOnce { "A" } else { "C" }, &bytes[2..]).as_str());
        t.passes(3_600_000);
        t.receives(answer);
        if qos == ExactlyOnce {
            t.sends(pubrel(1));
            t.passes(3_600_000);
            t.receives(pubcomp(1));
        }
        t.acknowledged(1);
        t.quiet();
    }
    let mut t = <Trace>::new(Version::V5);
    t.connects();
    t.receives("34 0C 0001 74 0007 05 02 00000001 61");
    t.event(|_, event| assert!(matches!(event, Event::Message(_)), "{event:?}"));
    t.sends(pubrec(7));
    t.passes(3_600_000);
    t.receives("3C 0C 0001 74 0007 05 02 00000001 61");
    t.sends(pubrec(7));
    t.receives(pubrel(7));
    t.sends(pubcomp(7));
    t.quiet();
}

/// What explains a packet is refused where it makes it too large for the server; without it the packet leaves.
#[test]
fn diagnostics_that_do_not_fit_are_refused() {
    let method = Property::AuthenticationMethod("m");
    for diagnostic in [Property::ReasonString("ten bytes."), Property::UserProperty("ten", "bytes..")] {
        let mut t = <Trace>::new(Version::V5);
        t.options.properties = Properties::of(&[Property::AuthenticationMethod("m")]);
        connects_to(&mut t, false, "15 0001 6D 27 0000000A");
        let long = [method, diagnostic];
        assert!(matches!(
            t.session.authenticate(&auth(ReasonCode::Reauthenticate, &long)),
            Err(CommandError::TooLarge { .. })
        ));
        t.session.authenticate(&auth(ReasonCode::Reauthenticate, &long[..1])).unwrap();
        t.sends("F0 06 19 04 15 0001 6D");
        let properties = [diagnostic];
        let farewell = Disconnect { properties: Properties::of(&properties), ..Disconnect::default() };
        assert!(matches!(t.session.disconnect(&farewell), Err(CommandError::TooLarge { .. })), "{diagnostic:?}");
        t.disconnect();
        t.sends("E0 00");
        t.closes(CloseReason::Disconnected);
    }
}

/// A server that takes no message of QoS 2 may still send some.
#[test]
fn any_qos_may_be_subscribed_to() {
    for maximum in ["24 00", "24 01"] {
        let mut t = <Trace>::new(Version::V5);
        t.connects_with(false, maximum);
        for qos in [AtMostOnce, AtLeastOnce, ExactlyOnce] {
            let subscriptions = [Subscription::new("f", qos)];
            let request = Subscribe::new(&subscriptions);
            let id = t.session.subscribe(&request).unwrap().get();
            t.sends(with_header(0x82, &[&id.to_be_bytes()[..], &[0, 0, 1, b'f', qos as u8]].concat()));
        }
        t.quiet();
    }
}

/// One after the other, in the order of the filters.
#[test]
fn each_filter_has_its_code() {
    let filters = [Subscription::new("a", AtLeastOnce), Subscription::new("b", QoS::ExactlyOnce)];
    for codes in [[0x01, 0x80], [0x80, 0x02], [0x00, 0x01]] {
        for mut t in both() {
            t.connects();
            let request = Subscribe::new(&filters);
            let id = t.session.subscribe(&request).unwrap().get();
            let properties = if t.is_v5() { "00" } else { "" };
            let body = Bytes::bytes(format!("{id:04X} {properties} 0001 61 01 0001 62 02").as_str(), t.version);
            t.sends(with_header(0x82, &body));
            t.receives(suback(id, &codes));
            let found = t.event(|_, event| match event {
                Event::Subscribed { packet_id: found, reason_codes, .. } if found == packet_id(id) => {
                    reason_codes.iter().map(|code| code as u8).collect::<Vec<_>>()
                }
                event => panic!("{event:?}"),
            });
            assert_eq!(found, codes);
        }
    }
    let mut t = <Trace>::new(Version::V5);
    t.connects();
    let request = Unsubscribe { filters: &["a", "b", "c"], ..Unsubscribe::default() };
    let id = t.session.unsubscribe(&request).unwrap().get();
    t.sends(format!("A2 0C {id:04X} 00 0001 61 0001 62 0001 63").as_str());
    t.receives(format!("B0 06 {id:04X} 00 11 00 87").as_str());
    t.event(|_, event| {
        let Event::Unsubscribed { reason_codes, .. } = event else { panic!("{event:?}") };
        let found: Vec<_> = reason_codes.iter().map(|code| code as u8).collect();
        assert_eq!(to_hex(&found), "110087");
    });
}

/// Where the connection ends for a fault, nothing is said in 3.1.1; what is behind it is not read.
#[test]
fn an_error_ends_the_connection() {
    for mut t in both() {
        for (packet, code) in [("36 00", 0x81), ("C0 00", 0x82), ("30 FF FF FF 7F", 0x95), ("62 02 0000", 0x82)] {
            t.connects();
            t.receives((packet, qos0("unread")));
            if t.is_v5() {
                t.sends(vec![0xE0, 1, code]);
            }
            let closed = t.session.poll(&mut t.inbox, Instant::from_millis(1_000));
            assert!(matches!(closed, Step::Close(CloseReason::Violation(_))), "{packet}");
        }
    }
}
