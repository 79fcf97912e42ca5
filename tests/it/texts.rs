//! What people are told: the text of every refusal and every cause, word by word, and that no two are the same.
#![cfg(all(feature = "v311", feature = "v5", feature = "embedded-io", feature = "embedded-io-async"))]
#![allow(clippy::expect_used, reason = "a fault here is a failed test")]

use core::error::Error as _;
use core::fmt::{self, Debug, Display};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use mqtt_session::wire::Unencodable;
use mqtt_session::{CloseReason, CommandError, ReasonCode, SizeLimit, Violation, io};
use syn::Item;

const ALONE: Violation = Violation::AuthenticationDataAlone;

const TOO_LARGE: CommandError = CommandError::TooLarge { limit: SizeLimit::Store, needed: 342, available: 256 };

const REFUSED: &[(CommandError, &str)] = &[
    (CommandError::Full, "there is no room now"),
    (TOO_LARGE, "it takes 342 bytes, and the store has room for 256"),
    (CommandError::Offline, "there is no connection"),
    (CommandError::Closing, "the connection is being closed"),
    (
        CommandError::Forbidden(ALONE),
        "a peer would refuse it: There is authentication data without an authentication method.",
    ),
    (CommandError::NotInVersion, "the version of the connection has no such field"),
    (CommandError::QosUnsupported, "the server does not support this QoS"),
    (CommandError::RetainUnsupported, "the server does not retain messages"),
    (CommandError::TopicAliasUnsupported, "there is no such topic alias"),
    (CommandError::WildcardUnsupported, "the server has no wildcard subscriptions"),
    (CommandError::SubscriptionIdentifierUnsupported, "the server has no subscription identifiers"),
    (CommandError::SharedUnsupported, "the server has no shared subscriptions"),
    (CommandError::OtherSession, "the session belongs to another client identifier or version"),
    (CommandError::StaleHandle, "the message is acknowledged or gone"),
    (CommandError::NotNext, "another message is to be acknowledged before it"),
    (CommandError::ExpiryRaised, "a session that ends with its connection cannot be kept"),
    (CommandError::NotAuthenticating, "there is no authentication to go on with"),
    (CommandError::Reserved, "the session sets this property itself"),
    (CommandError::NothingToAnswer, "there is nothing that this would answer"),
    (CommandError::ClientIdentifierMissing, "the client needs an identifier"),
];

const CAUSES: &[(CloseReason, &str)] = &[
    (CloseReason::NotConnected, "there was no connection yet"),
    (CloseReason::ConnectionLost, "the transport was lost"),
    (CloseReason::Disconnected, "disconnected as asked"),
    (CloseReason::DisconnectedIncomplete, "disconnected as asked, before every exchange was over"),
    (CloseReason::ConnectionRefused(ReasonCode::Banned), "the server refused the connection: banned (0x8A)"),
    (CloseReason::UnsupportedVersion, "the server does not speak this version"),
    (CloseReason::DisconnectedByPeer(ReasonCode::ServerBusy), "the peer disconnected: server busy (0x89)"),
    (CloseReason::DisconnectTimeout, "DISCONNECT did not leave in time"),
    (CloseReason::ConnackTimeout, "CONNACK did not come in time"),
    (CloseReason::PingTimeout, "the server does not answer"),
    (CloseReason::PayloadAborted, "the application could not go on with a payload"),
    (CloseReason::PayloadTimeout, "a piece of a payload did not come in time"),
    (
        CloseReason::Violation(ALONE),
        "the peer broke a rule: There is authentication data without an authentication method.",
    ),
    (CloseReason::ConnackMissing, "a packet came before CONNACK"),
    (CloseReason::ConnackRepeated, "a second CONNACK came"),
    (CloseReason::SessionNotClean, "the server resumes a session though a clean start was asked for"),
    (CloseReason::SessionUnknown, "the server resumes a session that is not known here"),
    (CloseReason::ClientIdentifierMissing, "the server assigned no client identifier"),
    (CloseReason::AuthenticationMethodChanged, "the authentication method is not that of CONNECT"),
    (CloseReason::AuthenticationUnexpected, "AUTH came though none was due"),
    (CloseReason::UnexpectedAcknowledgement, "an acknowledgement contradicts its exchange"),
    (CloseReason::AnswerMismatched, "SUBACK or UNSUBACK does not answer its request"),
    (CloseReason::PacketIdentifierReused, "the peer used a packet identifier again too early"),
    (CloseReason::ReceiveMaximumExceeded, "more messages are unacknowledged than allowed"),
    (CloseReason::TooManyHeld, "more messages are under way than there are places for"),
    (CloseReason::TopicAliasTooHigh, "a topic alias is above the maximum"),
    (CloseReason::TopicAliasUnknown, "a topic alias stands for no topic"),
    (CloseReason::TopicTooLong, "the topic of an alias is longer than there is room for"),
    (CloseReason::MaximumPacketSizeTooSmall, "the peer takes only packets too small for an acknowledgement"),
    (CloseReason::DiagnosticsUnrequested, "the server sent diagnostics that were not asked for"),
    (CloseReason::ConnectMissing, "the first packet is not CONNECT"),
    (CloseReason::ConnectTimeout, "the client did not connect in time"),
    (CloseReason::ConnectRepeated, "a second CONNECT came"),
    (CloseReason::Rejected(ReasonCode::NotAuthorized), "the connection was refused: not authorized (0x87)"),
    (CloseReason::KeepAliveTimeout, "nothing came in for too long"),
    (CloseReason::QosUnsupported, "a message came with a QoS that is not supported"),
    (CloseReason::RetainUnsupported, "a message to be retained came, which is not supported"),
    (CloseReason::WildcardUnsupported, "a wildcard subscription was asked for, which is not supported"),
    (CloseReason::SubscriptionIdentifierUnsupported, "a subscription identifier was given, which is not supported"),
    (CloseReason::SharedUnsupported, "a shared subscription was asked for, which is not supported"),
    (CloseReason::RequestTooLarge, "a request names more filters than can be answered"),
    (CloseReason::ExpiryRaised, "a session that ends with its connection cannot be kept"),
    (CloseReason::RecordsNotWritten, "the records of the session could not be written"),
];

const TOO_LONG: Unencodable = Unencodable::TooLong { needed: 65_536, available: 65_535 };

const UNENCODABLE: &[(Unencodable, &str)] = &[
    (Unencodable::NoRoom(1024), "the packet takes 1024 bytes, more than there is room for"),
    (TOO_LONG, "a field takes 65536, and the standard allows 65535"),
    (Unencodable::NotInVersion, "this version of the protocol has no such field"),
    (
        Unencodable::Forbidden(ALONE),
        "a peer would refuse the packet: There is authentication data without an authentication method.",
    ),
];

/// The names that the standard gives to its codes, in the order of their values.
const CODES: &[&str] = &[
    "success (0x00)",
    "granted qos1 (0x01)",
    "granted qos2 (0x02)",
    "disconnect with will (0x04)",
    "no matching subscribers (0x10)",
    "no subscription existed (0x11)",
    "continue authentication (0x18)",
    "reauthenticate (0x19)",
    "unspecified error (0x80)",
    "malformed packet (0x81)",
    "protocol error (0x82)",
    "implementation specific error (0x83)",
    "unsupported protocol version (0x84)",
    "client identifier not valid (0x85)",
    "bad user name or password (0x86)",
    "not authorized (0x87)",
    "server unavailable (0x88)",
    "server busy (0x89)",
    "banned (0x8A)",
    "server shutting down (0x8B)",
    "bad authentication method (0x8C)",
    "keep alive timeout (0x8D)",
    "session taken over (0x8E)",
    "topic filter invalid (0x8F)",
    "topic name invalid (0x90)",
    "packet identifier in use (0x91)",
    "packet identifier not found (0x92)",
    "receive maximum exceeded (0x93)",
    "topic alias invalid (0x94)",
    "packet too large (0x95)",
    "message rate too high (0x96)",
    "quota exceeded (0x97)",
    "administrative action (0x98)",
    "payload format invalid (0x99)",
    "retain not supported (0x9A)",
    "qos not supported (0x9B)",
    "use another server (0x9C)",
    "server moved (0x9D)",
    "shared subscriptions not supported (0x9E)",
    "connection rate exceeded (0x9F)",
    "maximum connect time (0xA0)",
    "subscription identifiers not supported (0xA1)",
    "wildcard subscriptions not supported (0xA2)",
];

/// Words of the standard, which are written as it writes them.
const CAPITALS: [&str; 6] = ["AUTH", "CONNACK", "CONNECT", "DISCONNECT", "SUBACK", "UNSUBACK"];

/// Every variant of an enum of `src` has its row, and each row its text, which is the beginning of a sentence, or all that
/// follows a colon.
fn assert_texts<T: Copy + Debug + Display>(file: &str, name: &str, rows: &[(T, &str)]) {
    for (value, text) in rows {
        assert_eq!(value.to_string(), *text, "{value:?}");
        let first = text.split(' ').next().expect("a word");
        assert!(first == first.to_lowercase() || CAPITALS.contains(&first), "{value:?} begins with a capital letter");
        assert!(text.contains(": ") || !text.ends_with('.'), "{value:?} ends with a full stop");
    }
    let texts: BTreeSet<_> = rows.iter().map(|(_, text)| text).collect();
    assert_eq!(texts.len(), rows.len(), "each text stands for one thing");
    let listed: BTreeSet<_> = rows.iter().map(|(value, _)| variant(value)).collect();
    assert_eq!(listed, variants(file, name), "each variant of {name} has a row");
}

fn variant(value: impl Debug) -> String {
    format!("{value:?}").split(['(', ' ']).next().map(str::to_owned).expect("a name")
}

fn variants(file: &str, name: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file);
    let text = fs::read_to_string(path).expect("a text");
    let items = syn::parse_file(&text).expect("a source file").items;
    let variants = items.into_iter().find_map(|item| match item {
        Item::Enum(item) if item.ident == name => Some(item.variants),
        _ => None,
    });
    variants.expect("the enum").into_iter().map(|variant| variant.ident.to_string()).collect()
}

#[test]
fn of_refusals() {
    assert_texts("error.rs", "CommandError", REFUSED);
}

#[test]
fn of_what_is_too_small() {
    for (limit, text) in [
        (SizeLimit::Store, "it takes 342 bytes, and the store has room for 256"),
        (SizeLimit::Outbound, "it takes a place among the exchanges, and there are none"),
        (SizeLimit::Control, "it takes 342 bytes, and CONTROL has room for 256"),
        (SizeLimit::Peer, "it takes 342 bytes, and the peer accepts 256"),
        (SizeLimit::Standard, "it takes 342, and the standard allows 256"),
    ] {
        assert_eq!(CommandError::TooLarge { limit, needed: 342, available: 256 }.to_string(), text);
    }
}

#[test]
fn of_causes() {
    assert_texts("error.rs", "CloseReason", CAUSES);
}

#[test]
fn of_packets_that_cannot_be_encoded() {
    assert_texts("wire/writer.rs", "Unencodable", UNENCODABLE);
}

#[test]
fn of_reason_codes() {
    let texts: Vec<_> = ReasonCode::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(texts, CODES);
}

/// The text of a rule is its documentation, whole sentences in one line.
#[test]
fn of_rules() {
    let texts: BTreeSet<_> = Violation::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), Violation::ALL.len(), "each text stands for one rule");
    for &rule in Violation::ALL {
        let text = rule.text();
        assert_eq!(rule.to_string(), text);
        assert!(text.starts_with(char::is_uppercase) && text.ends_with('.'), "{rule:?}: {text}");
        assert!(!text.contains('\n') && !text.contains("  "), "{rule:?}: {text}");
    }
    assert_eq!(Violation::PublishQosReserved.to_string(), "The QoS of a PUBLISH is 3.");
    assert_eq!(
        Violation::RefusedByOlderServer.to_string(),
        "A 5.0 CONNECT is answered by the refusal of a server that speaks only 3.1.1, `20 02 00 01`."
    );
}

/// What a driver ends with says the same as the cause, or that it was the transport; either is the source.
#[test]
fn of_the_ends_of_a_driver() {
    for &(cause, text) in CAUSES {
        let end = io::Error::<fmt::Error>::Closed(cause);
        assert_eq!(end.to_string(), text);
        assert_eq!(end.close_reason(), cause);
        assert_eq!(end.source().and_then(|source| source.downcast_ref()), Some(&cause));
    }
    let end = io::Error::Transport(fmt::Error);
    assert_eq!(end.to_string(), format!("the transport failed: {}", fmt::Error));
    assert_eq!(end.close_reason(), CloseReason::ConnectionLost);
    assert_eq!(end.source().and_then(|source| source.downcast_ref()), Some(&fmt::Error));
}

/// What cannot be encoded is refused as what it means for a command, and what a peer breaks ends the connection.
#[test]
fn of_what_becomes_of_them() {
    for (found, refused) in [
        (Unencodable::NoRoom(9), CommandError::TooLarge { limit: SizeLimit::Store, needed: 9, available: 0 }),
        (TOO_LONG, CommandError::TooLarge { limit: SizeLimit::Standard, needed: 65_536, available: 65_535 }),
        (Unencodable::NotInVersion, CommandError::NotInVersion),
        (Unencodable::Forbidden(ALONE), CommandError::Forbidden(ALONE)),
    ] {
        assert_eq!(CommandError::from(found), refused);
    }
    assert_eq!(CloseReason::from(ALONE), CloseReason::Violation(ALONE));
    assert_eq!(CloseReason::default(), CloseReason::NotConnected);
}

/// Refusals and causes end there: none has another error behind it.
#[test]
fn of_nothing_behind_them() {
    assert!(REFUSED.iter().all(|(refused, _)| refused.source().is_none()));
    assert!(CAUSES.iter().all(|(cause, _)| cause.source().is_none()));
    assert!(UNENCODABLE.iter().all(|(unencodable, _)| unencodable.source().is_none()));
    assert!(Violation::ALL.iter().all(|rule| rule.source().is_none()));
}
