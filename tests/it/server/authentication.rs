//! Enhanced authentication, before CONNACK and after it. (5.0: 4.12)

use mqtt_session::server::{Accept, Event};
use mqtt_session::wire::{Auth, Properties};
use mqtt_session::{CloseReason, CommandError, Property, ReasonCode, Version};

use super::packets::{Bytes, puback, qos0, qos1, qos2};
use super::trace::{Hello, LASTING, Trace};

const METHOD: Hello = Hello { properties: "11 FFFFFFFF 15 0001 6D", ..LASTING };

const CONTINUE: &str = "F0 06 18 04 15 0001 6D";
const AGAIN: &str = "F0 06 19 04 15 0001 6D";
const SUCCESS: &str = "F0 06 00 04 15 0001 6D";

fn authenticate(t: &mut Trace, reason_code: ReasonCode, method: &str) -> Result<(), CommandError> {
    let properties = [Property::AuthenticationMethod(method)];
    t.session.authenticate(&Auth { reason_code, properties: Properties::of(&properties) })
}

#[track_caller]
fn authenticating(t: &mut Trace, code: ReasonCode) {
    let found = t.event(|_, event| match event {
        Event::Authenticating(auth) => (auth.reason_code, auth.properties.authentication_method() == Some("m")),
        other => panic!("{other:?}"),
    });
    assert_eq!(found, (code, true));
}

/// A client that authenticates by the method "m", and is asked for more.
fn asked() -> Trace {
    let mut t = <Trace>::new(Version::V5);
    t.hello = METHOD;
    t.accept.properties = Properties::of(&[Property::AuthenticationMethod("m")]);
    t.said = "15 0001 6D";
    t.asks(false);
    authenticate(&mut t, ReasonCode::ContinueAuthentication, "m").unwrap();
    t.sends(CONTINUE);
    t.quiet();
    t
}

fn online() -> Trace {
    let mut t = asked();
    t.receives(CONTINUE);
    authenticating(&mut t, ReasonCode::ContinueAuthentication);
    t.accepts();
    t.sends(t.connack(false));
    t.quiet();
    t
}

#[test]
fn an_exchange_comes_before_connack() {
    let mut t = asked();
    for _ in 0..3 {
        t.receives(CONTINUE);
        authenticating(&mut t, ReasonCode::ContinueAuthentication);
        authenticate(&mut t, ReasonCode::ContinueAuthentication, "m").unwrap();
        t.sends(CONTINUE);
    }
    t.receives((CONTINUE, qos0("a")));
    authenticating(&mut t, ReasonCode::ContinueAuthentication);
    t.accepts();
    t.message(qos0("a"));
    t.sends(t.connack(false));
    t.quiet();
}

#[test]
fn a_method_may_need_no_exchange() {
    let mut t = <Trace>::new(Version::V5);
    t.hello = METHOD;
    t.asks(false);
    assert_eq!(t.session.accept(&t.accept), Err(CommandError::NotAuthenticating));
    let other = Accept { properties: Properties::of(&[Property::AuthenticationMethod("n")]), ..t.accept };
    assert_eq!(t.session.accept(&other), Err(CommandError::NotAuthenticating));
    t.accept.properties = Properties::of(&[Property::AuthenticationMethod("m"), Property::AuthenticationData(b"d")]);
    t.said = "15 0001 6D 16 0001 64";
    t.accepts();
    t.sends(t.connack(false));
    t.quiet();
}

#[test]
fn an_exchange_may_end_in_rejection() {
    let mut t = asked();
    t.receives(CONTINUE);
    authenticating(&mut t, ReasonCode::ContinueAuthentication);
    t.rejects(ReasonCode::BadAuthenticationMethod);
    t.sends("20 03 00 8C 00");
    t.closes(CloseReason::Rejected(ReasonCode::BadAuthenticationMethod));
    t.asks(false);
}

#[test]
fn a_neglected_step_is_rejected() {
    let mut t = asked();
    t.receives(CONTINUE);
    authenticating(&mut t, ReasonCode::ContinueAuthentication);
    t.sends("20 03 00 88 00");
    t.closes(CloseReason::Rejected(ReasonCode::ServerUnavailable));
}

/// The stored session waits for the outcome.
#[test]
fn a_session_goes_on_once_its_client_is_known() {
    let mut t = online();
    t.publish(mqtt_session::QoS::AtLeastOnce, "a");
    t.sends(qos1(1, "a"));
    t.receives(qos2(7, "in"));
    t.message(qos2(7, "in"));
    t.sends("50 02 0007");
    t.cut();
    t.announced = 7;
    for way in ["rejected", "lost", "timeout", "wrong", "left", "accepted"] {
        t.asks(true);
        authenticate(&mut t, ReasonCode::ContinueAuthentication, "m").unwrap();
        t.sends(CONTINUE);
        t.quiet();
        match way {
            "lost" => t.cut(),
            "timeout" => {
                t.passes(9_999);
                t.quiet();
                t.passes(1);
                t.closes(CloseReason::ConnectTimeout);
            }
            "wrong" => {
                t.receives("C0 00");
                t.sends("20 03 00 82 00");
                t.closes(CloseReason::AuthenticationUnexpected);
            }
            "left" => {
                t.receives("E0 07 00 05 11 00000000");
                t.disconnected(ReasonCode::NORMAL_DISCONNECTION);
                t.closes(CloseReason::DisconnectedByPeer(ReasonCode::NORMAL_DISCONNECTION));
            }
            _ => {
                t.receives(CONTINUE);
                authenticating(&mut t, ReasonCode::ContinueAuthentication);
            }
        }
        if way == "rejected" {
            t.rejects(ReasonCode::NotAuthorized);
            t.sends("20 03 00 87 00");
            t.closes(CloseReason::Rejected(ReasonCode::NotAuthorized));
        }
    }
    t.accepts();
    t.sends((t.connack(true), qos1(1, "a").dup()));
    t.receives((qos2(7, "in").dup(), puback(1)));
    t.acknowledged(1);
    t.sends("50 02 0007");
    t.quiet();
}

/// [MQTT-4.12.0-2], [MQTT-4.12.0-5]
#[test]
fn a_wrong_step_before_connack_is_refused_aloud() {
    for (bytes, cause) in [
        ("F0 06 18 04 15 0001 6E", CloseReason::AuthenticationMethodChanged),
        (AGAIN, CloseReason::AuthenticationUnexpected),
        ("C0 00", CloseReason::AuthenticationUnexpected),
        ("30 04 0001 74 00", CloseReason::AuthenticationUnexpected),
        ("82 07 0001 00 0001 61 00", CloseReason::AuthenticationUnexpected),
        ("10 0E 0004 4D515454 05 02 0000 00 0001 63", CloseReason::AuthenticationUnexpected),
    ] {
        let mut t = asked();
        t.receives(bytes);
        t.sends("20 03 00 82 00");
        t.closes(cause);
    }
}

/// [MQTT-4.12.0-4]: no method, no AUTH.
#[test]
fn without_a_method_there_is_no_exchange() {
    let mut t = <Trace>::new(Version::V5);
    t.asks(false);
    let before = t.session.clone();
    for code in [ReasonCode::ContinueAuthentication, ReasonCode::Success, ReasonCode::Reauthenticate] {
        assert_eq!(authenticate(&mut t, code, "m"), Err(CommandError::NotAuthenticating));
    }
    assert!(t.session == before);
    t.accepts();
    t.sends(t.connack(false));
    t.receives(AGAIN);
    t.fails(CloseReason::AuthenticationUnexpected, 0x82);
}

/// What the server cannot say, when it is not its turn, and of another method.
#[test]
fn a_wrong_step_of_the_server_is_refused() {
    let mut t = <Trace>::new(Version::V5);
    t.hello = METHOD;
    t.asks(false);
    let before = t.session.clone();
    assert_eq!(authenticate(&mut t, ReasonCode::Success, "m"), Err(CommandError::NotAuthenticating));
    assert_eq!(authenticate(&mut t, ReasonCode::Reauthenticate, "m"), Err(CommandError::NotAuthenticating));
    assert_eq!(authenticate(&mut t, ReasonCode::ContinueAuthentication, "n"), Err(CommandError::NotAuthenticating));
    let long = "x".repeat(300);
    let properties = [Property::AuthenticationMethod("m"), Property::AuthenticationData(long.as_bytes())];
    let auth = Auth { reason_code: ReasonCode::ContinueAuthentication, properties: Properties::of(&properties) };
    assert!(matches!(t.session.authenticate(&auth), Err(CommandError::TooLarge { .. })));
    assert!(t.session == before);
    authenticate(&mut t, ReasonCode::ContinueAuthentication, "m").unwrap();
    let before = t.session.clone();
    assert_eq!(authenticate(&mut t, ReasonCode::ContinueAuthentication, "m"), Err(CommandError::NotAuthenticating));
    assert_eq!(t.session.accept(&t.accept), Err(CommandError::NothingToAnswer));
    assert_eq!(t.session.reject(ReasonCode::NotAuthorized, Properties::EMPTY), Err(CommandError::NothingToAnswer));
    assert!(t.session == before);

    let mut t = online();
    assert_eq!(authenticate(&mut t, ReasonCode::Reauthenticate, "m"), Err(CommandError::NotAuthenticating));
    assert_eq!(authenticate(&mut t, ReasonCode::ContinueAuthentication, "m"), Err(CommandError::NotAuthenticating));
    assert_eq!(authenticate(&mut t, ReasonCode::Success, "m"), Err(CommandError::NotAuthenticating));
}

/// [MQTT-4.12.1-1]
#[test]
fn a_client_may_authenticate_again() {
    let mut t = online();
    for _ in 0..2 {
        t.receives(AGAIN);
        authenticating(&mut t, ReasonCode::Reauthenticate);
        // Everything else goes on, and nothing is answered by itself.
        t.receives("C0 00");
        t.sends("D0 00");
        t.quiet();
        authenticate(&mut t, ReasonCode::ContinueAuthentication, "m").unwrap();
        t.receives((qos0("a"), CONTINUE));
        t.message(qos0("a"));
        authenticating(&mut t, ReasonCode::ContinueAuthentication);
        authenticate(&mut t, ReasonCode::Success, "m").unwrap();
        assert_eq!(authenticate(&mut t, ReasonCode::Success, "m"), Err(CommandError::NotAuthenticating));
        t.sends((CONTINUE, SUCCESS));
        t.quiet();
    }
    // Without an exchange, and refused.
    t.receives(AGAIN);
    authenticating(&mut t, ReasonCode::Reauthenticate);
    authenticate(&mut t, ReasonCode::Success, "m").unwrap();
    t.sends(SUCCESS);
    t.receives(AGAIN);
    authenticating(&mut t, ReasonCode::Reauthenticate);
    t.disconnect(ReasonCode::NotAuthorized);
    t.sends("E0 01 87");
    t.closes(CloseReason::Disconnected);
}

#[test]
fn a_wrong_step_after_connack_is_an_error() {
    for (first, bytes, cause) in [
        ("", CONTINUE, CloseReason::AuthenticationUnexpected),
        ("", "F0 06 19 04 15 0001 6E", CloseReason::AuthenticationMethodChanged),
        (AGAIN, AGAIN, CloseReason::AuthenticationUnexpected),
        (AGAIN, CONTINUE, CloseReason::AuthenticationUnexpected),
    ] {
        let mut t = online();
        t.receives((first, bytes));
        if !first.is_empty() {
            authenticating(&mut t, ReasonCode::Reauthenticate);
        }
        t.fails(cause, 0x82);
    }
    let mut t = online();
    t.receives(AGAIN);
    authenticating(&mut t, ReasonCode::Reauthenticate);
    authenticate(&mut t, ReasonCode::ContinueAuthentication, "m").unwrap();
    t.sends(CONTINUE);
    t.receives(AGAIN);
    t.fails(CloseReason::AuthenticationUnexpected, 0x82);
    for (bytes, code) in [("F0 00", 0x82), (SUCCESS, 0x82), ("F1 00", 0x81), ("F0 02 18 00", 0x82)] {
        let mut t = online();
        t.receives(bytes);
        t.sends(vec![0xE0, 1, code]);
        assert!(matches!(t.see(), super::trace::Seen::Close(CloseReason::Violation(_))));
    }
}

/// Request Problem Information 0: of AUTH, too, nothing is left but what the exchange needs. [MQTT-3.1.2-29]
#[test]
fn auth_says_no_more_than_the_client_wants() {
    for (asked, reason, said) in [("17 00", "", ""), ("17 01", "1F 0001 72", ""), ("", "1F 0001 72", "")] {
        for data in [None, Some(&b"d"[..])] {
            let mut t = <Trace>::new(Version::V5);
            let properties = format!("15 0001 6D {asked}").leak();
            t.hello = Hello { properties, ..METHOD };
            t.asks(false);
            let properties: Vec<_> = [
                Some(Property::ReasonString("r")),
                data.map(Property::AuthenticationData),
                Some(Property::AuthenticationMethod("m")),
            ]
            .into_iter()
            .flatten()
            .collect();
            let reason_code = ReasonCode::ContinueAuthentication;
            t.session.authenticate(&Auth { reason_code, properties: Properties::of(&properties) }).unwrap();
            let data = data.map_or("", |_| "16 0001 64");
            let method = "15 0001 6D";
            let body = if asked == "17 00" { format!("{method} {data}") } else { format!("{reason} {data} {method}") };
            let body = Bytes::bytes(body.as_str(), Version::V5);
            let len = u8::try_from(body.len()).unwrap();
            t.sends([vec![0xF0, len + 2, 0x18, len], body].concat());
            assert_eq!(said, "");
        }
    }
}

/// An answer to AUTH takes the room of the answer to a request, which is then neglected.
#[test]
fn an_authentication_takes_the_room_of_an_answer() {
    let mut t = online();
    t.receives(AGAIN);
    authenticating(&mut t, ReasonCode::Reauthenticate);
    // Of eight filters.
    t.receives("82 23 000A 00 0001 61 00 0001 61 00 0001 61 00 0001 61 00 0001 61 00 0001 61 00 0001 61 00 0001 61 00");
    let data = vec![b'x'; 230];
    let properties = [Property::AuthenticationMethod("m"), Property::AuthenticationData(&data)];
    let auth = Auth { reason_code: ReasonCode::ContinueAuthentication, properties: Properties::of(&properties) };
    t.event(|session, event| {
        assert!(matches!(event, Event::Subscribing { .. }), "{event:?}");
        session.authenticate(&auth).unwrap();
    });
    t.fails(CloseReason::RequestTooLarge, 0x97);
}
