//! A CONNECT that is larger than the control bytes passes through the store.
#![cfg(all(feature = "v311", feature = "v5"))]
#![allow(clippy::panic, reason = "a fault here is a failed test")]

use mqtt_session::QoS::{AtLeastOnce, AtMostOnce};
use mqtt_session::wire::{ConnectPacket, Packet, Properties};
use mqtt_session::{CloseReason, CommandError, Connect, Property, Role, SizeLimit, TopicAliases, Version};

use crate::known_failures::trace::{Trace, connack, puback, qos0, qos1};

const TOKEN: [u8; 300] = [b'x'; 300];

type Small = Trace<1024, 8, 8, 64, 256>;

fn small(version: Version) -> Small {
    let mut t = Trace::new(version);
    t.options = Connect { user_name: Some("u"), password: Some(&TOKEN), ..t.options };
    t
}

fn both() -> [Small; 2] {
    [small(Version::V311), small(Version::V5)]
}

/// CONNECT as another encoder writes it.
fn packet(t: &Small) -> Vec<u8> {
    let Connect { clean_start, keep_alive, client_id, user_name, password, .. } = t.options;
    let properties =
        [Property::SessionExpiryInterval(u32::MAX), Property::ReceiveMaximum(8), Property::MaximumPacketSize(256)];
    let properties = if t.is_v5() { Properties::of(&properties) } else { Properties::EMPTY };
    let connect = ConnectPacket { clean_start, keep_alive, client_id, will: None, user_name, password, properties };
    let mut bytes = vec![0; 1024];
    let len = Packet::Connect(connect).encode(t.version, Role::Server, &mut bytes).unwrap_or_default();
    bytes.truncate(len);
    bytes
}

#[test]
fn a_long_connect_leaves_piece_by_piece_and_nothing_touches_it() {
    for mut t in both() {
        let connect = packet(&t);
        t.begins();
        t.sends(connect.clone());
        assert_eq!(t.session.free_space(), 1008);
        t.receives(connack(false, ""));
        t.connected(false);
        let id = t.publish(AtLeastOnce, "a");
        t.sends(qos1(id, "a"));
        t.quiet();
        t.cut();
        // Messages that come meanwhile lie elsewhere.
        t.begins();
        for written in 0..connect.len() - 1 {
            t.shows(connect[written..].to_vec(), 1);
            if written % 64 == 0 {
                t.publish(AtMostOnce, "b");
            }
        }
        while t.try_publish(AtMostOnce, "full").is_ok() {}
        t.sends(connect[connect.len() - 1..].to_vec());
        t.receives(connack(true, ""));
        assert!(t.session.free_space() >= connect.len());
        t.event(|_, event| assert!(matches!(event, mqtt_session::Event::Writable), "{event:?}"));
        t.connected(true);
        t.sends((qos1(id, "a").dup(), qos0("b")));
    }
}

/// With what a store full of messages has left.
#[test]
fn a_full_store_refuses_a_long_connect_and_no_other() {
    for mut t in both() {
        let connect = packet(&t);
        t.begins();
        t.sends(connect.clone());
        t.receives(connack(false, ""));
        t.connected(false);
        t.cut();
        while t.session.free_space() >= connect.len() {
            t.publish(AtMostOnce, "0123456789");
        }
        let available = u32::try_from(t.session.free_space()).unwrap_or_default();
        let needed = u32::try_from(connect.len()).unwrap_or_default();
        let before = t.session.clone();
        let refused = CommandError::TooLarge { limit: SizeLimit::Store, needed, available };
        assert_eq!(t.session.connect(&mut t.inbox, &t.options), Err(refused));
        assert!(t.session == before);
        t.options = Connect { user_name: None, password: None, ..t.options };
        t.resumes();
    }
}

/// To the byte, and whatever is larger tells what there is.
#[test]
fn a_connect_fits_the_store_to_the_byte() {
    for version in [Version::V311, Version::V5] {
        let mut t = Trace::<200, 8, 8, 64, 256>::new(version);
        let shortest = if version == Version::V5 { 24 + 5 } else { 15 } + 3 + 2;
        let token = [b'x'; 300];
        for len in 0..300 {
            let needed = shortest + len + usize::from(shortest + len - 2 > 127);
            let options = Connect { user_name: Some("u"), password: Some(&token[..len]), ..t.options };
            let connected = t.session.clone().connect(&mut t.inbox, &options);
            let needed = u32::try_from(needed).unwrap_or_default();
            let refused = CommandError::TooLarge { limit: SizeLimit::Store, needed, available: 184 };
            assert_eq!(connected, if needed <= 184 { Ok(()) } else { Err(refused) }, "{version:?} {len}");
        }
    }
}

/// Without room for an answer CONNACK would never be read.
#[test]
fn there_is_room_for_answers_in_any_case() {
    for version in [Version::V311, Version::V5] {
        let mut t = Trace::<200, 8, 8, 13, 256>::new(version);
        let refused = CommandError::TooLarge { limit: SizeLimit::Control, needed: 14, available: 13 };
        assert_eq!(t.session.connect(&mut t.inbox, &t.options), Err(refused));
        let mut t = Trace::<200, 8, 8, 14, 256>::new(version);
        t.options = Connect { client_id: "c", user_name: Some("user"), ..t.options };
        assert_eq!(t.session.connect(&mut t.inbox, &t.options), Ok(()));
        assert!(t.wants_to_write());
        t.options = Connect { topic_aliases: TopicAliases { maximum: 1, topic: 1 }, ..t.options };
        let available = 14 - u32::try_from(t.options.topic_aliases.len()).unwrap_or_default();
        let refused = CommandError::TooLarge { limit: SizeLimit::Control, needed: 14, available };
        assert_eq!(t.session.connect(&mut t.inbox, &t.options), Err(refused));
    }
}

/// The attempt ends in the middle, by the transport or by another attempt: the next one has all the room again.
#[test]
fn an_attempt_that_ends_early_leaves_nothing() {
    for mut t in both() {
        let connect = packet(&t);
        for _ in 0..3 {
            t.begins();
            t.shows(connect.clone(), 100);
            t.begins();
            t.sends(connect.clone());
            t.receives(connack(false, ""));
            t.connected(false);
            t.cut();
            t.begins();
            t.shows(connect.clone(), 100);
            t.loses_link();
            assert_eq!(t.session.free_space(), 1008);
            t.closes(CloseReason::ConnectionLost);
            assert_eq!(t.session.free_space(), 1008);
        }
    }
}

/// CONNACK may be here before the last byte of CONNECT is reported as written.
#[test]
fn connack_comes_before_connect_is_reported() {
    for mut t in both() {
        let connect = packet(&t);
        t.begins();
        t.shows(connect.clone(), connect.len() - 1);
        t.receives(connack(false, ""));
        t.connected(false);
        let id = t.publish(AtLeastOnce, "a");
        t.sends(connect[connect.len() - 1..].to_vec());
        t.sends(qos1(id, "a"));
        t.receives(puback(id));
        t.acknowledged(id);
        assert_eq!(t.session.free_space(), 1008);
        t.quiet();
    }
}

/// Nothing may come before CONNECT, and behind a part of it comes the rest. [MQTT-3.1.0-1]
#[test]
fn a_fault_behind_a_part_of_a_long_connect() {
    let fault = CloseReason::ConnackMissing;
    for mut t in both() {
        let connect = packet(&t);
        t.begins();
        t.receives("D0 00");
        t.closes(fault);
        t.begins();
        t.shows(connect.clone(), 10);
        t.receives("D0 00");
        if t.is_v5() {
            t.sends(connect[10..].to_vec());
            t.sends("E0 01 82");
        }
        t.closes(fault);
        assert_eq!(t.session.free_space(), 1008);
    }
}

/// Two sessions that send the same are equal, however they did it.
#[test]
fn what_has_passed_makes_no_difference() {
    for mut t in both() {
        let connect = packet(&t);
        t.begins();
        let early = t.session.clone();
        t.shows(connect.clone(), 10);
        assert!(t.session != early, "less is left to write");
        t.sends(connect[10..].to_vec());
        let mut other = small(t.version);
        other.options = Connect { password: Some(&TOKEN[1..]), ..other.options };
        let other_connect = packet(&other);
        other.begins();
        other.sends(other_connect);
        assert!(t.session == other.session, "of a secret nothing is left");
        assert!(!format!("{:?}", t.session).contains("xxx"));
    }
}
