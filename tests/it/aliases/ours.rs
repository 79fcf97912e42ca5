//! Our aliases: when a message leaves with one, and when with its topic.

use mqtt_session::QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
use mqtt_session::wire::Properties;
use mqtt_session::{CommandError, Connect, Inbox, Property, Publish, Session, SizeLimit, TopicAliases, Version};

use super::trace::{Trace, aliased, packet_id, puback, qos0, qos1};
use super::{LEVELS, message, offline, online, sent};

#[test]
fn the_first_use_carries_topic_and_alias_and_later_ones_the_alias() {
    let others: [(&[Property<'_>], &[u8]); 3] = [
        (&[], &[]),
        (&[Property::MessageExpiryInterval(9)], b"\x02\0\0\0\x09"),
        (&[Property::ContentType("text"), Property::UserProperty("a", "b")], b"\x03\0\x04text\x26\0\x01a\0\x01b"),
    ];
    for qos in LEVELS {
        for (given, properties) in others {
            for payload in [&b""[..], b"p", b"payload"] {
                let mut t = online();
                let publish = Publish { qos, properties: Properties::of(given), ..message("a/b", 2, payload) };
                let first = t.tries(&publish).unwrap();
                let second = t.tries(&publish).unwrap();
                let third = t.tries(&publish).unwrap();
                let as_sent = |id| super::Sent { properties, ..sent("a/b", payload).qos(qos, id) };
                t.sends(as_sent(first).alias(2).bytes());
                t.sends(as_sent(second).known_as(2).bytes());
                t.sends(as_sent(third).known_as(2).bytes());
                t.quiet();
            }
        }
    }
}

#[test]
fn the_lengths_in_front_grow_and_shrink_with_the_alias() {
    for len in (100..140).chain(16_360..16_400) {
        for filler in [0, 110, 115, 116, 117, 118, 119, 120, 130] {
            let mut t = offline::<40_000, 8, 8, 256, 256>();
            t.connects_with(false, "22 0002");
            let (payload, value) = (vec![b'p'; len], "v".repeat(filler));
            let property = [Property::UserProperty("name", &value)];
            let publish = Publish { properties: Properties::of(&property), ..message("a/b", 1, &payload) };
            let mut properties = b"\x26\0\x04name".to_vec();
            properties.extend(u16::try_from(filler).unwrap().to_be_bytes());
            properties.extend(value.bytes());
            let as_sent = super::Sent { properties: &properties, ..sent("a/b", &payload) };
            t.tries(&publish).unwrap();
            t.sends(as_sent.clone().alias(1).bytes());
            t.tries(&publish).unwrap();
            t.sends(as_sent.known_as(1).bytes());
            t.quiet();
        }
    }
}

#[test]
fn another_topic_takes_the_alias_over() {
    let mut t = online();
    for topic in ["a", "b/c", "a", "longest!"] {
        t.publish_as(1, AtMostOnce, topic, "x");
        t.publish_as(1, AtMostOnce, topic, "y");
        t.sends([aliased(AtMostOnce, 0, topic, 1, "x"), aliased(AtMostOnce, 0, "", 1, "y")]);
    }
    t.publish_as(2, AtMostOnce, "a", "z");
    t.sends(aliased(AtMostOnce, 0, "a", 2, "z"));
    t.publish_as(1, AtMostOnce, "longest!", "z");
    t.sends(aliased(AtMostOnce, 0, "", 1, "z"));
    t.quiet();
}

/// An alias is above what the server allows, what was set aside, or both.
#[test]
fn an_alias_too_high_is_refused_and_changes_nothing() {
    for (ours, theirs, alias) in [(2, "22 0005", 3), (5, "22 0002", 3), (2, "", 1), (0, "22 0002", 1), (0, "", 1)] {
        for qos in LEVELS {
            let mut t = offline::<1024, 8, 8, 256, 256>();
            t.options.topic_aliases.maximum = ours;
            t.connects_with(false, theirs);
            let before = t.session.clone();
            let refused = t.tries(&Publish { qos, ..message("t", alias, b"x") });
            assert_eq!(refused, Err(CommandError::TopicAliasUnsupported), "{ours} {theirs:?} {alias}");
            assert!(t.session == before, "refused, but something has changed");
            t.quiet();
            let id = t.publish(AtLeastOnce, "y");
            t.sends(qos1(id, "y"));
        }
    }
}

#[test]
fn an_alias_as_a_property_is_refused() {
    let mut t = online();
    let properties = Properties::of(&[Property::TopicAlias(1)]);
    assert_eq!(t.tries(&Publish { properties, ..Publish::new("t", b"") }), Err(CommandError::Reserved));
    assert_eq!(t.tries(&Publish { properties, ..message("t", 1, b"") }), Err(CommandError::Reserved));
    t.quiet();
}

#[test]
fn version_3_1_1_has_no_aliases() {
    let mut t = <Trace>::new(Version::V311);
    t.options.topic_aliases = TopicAliases { maximum: 2, topic: 8 };
    t.connects();
    for online in [true, false] {
        let before = t.session.clone();
        for qos in LEVELS {
            assert_eq!(t.tries(&Publish { qos, ..message("t", 1, b"") }), Err(CommandError::NotInVersion));
        }
        assert!(t.session == before);
        if online {
            t.cut();
        }
    }
    t.resumes();
    t.quiet();
}

/// It is the connection that decides, not the call.
#[test]
fn what_was_queued_leaves_as_the_server_allows() {
    for (allowed, is_aliased) in [("", false), ("22 0001", false), ("22 0002", true), ("22 FFFF", true)] {
        let mut t = online();
        t.cut();
        t.publish_as(2, AtMostOnce, "t", "x");
        let id = t.publish_as(2, AtLeastOnce, "t", "y");
        t.connects_with(true, allowed);
        if is_aliased {
            t.sends((aliased(AtMostOnce, 0, "t", 2, "x"), aliased(AtLeastOnce, id, "", 2, "y")));
        } else {
            t.sends((qos0("x"), qos1(id, "y")));
        }
        t.quiet();
    }
}

#[test]
fn what_was_queued_leaves_as_the_next_connect_sets_aside() {
    let mut t = online();
    t.cut();
    t.publish_as(2, AtMostOnce, "t", "x");
    t.publish_as(1, AtMostOnce, "t", "y");
    t.options.topic_aliases.maximum = 1;
    t.connects_with(true, "22 0002");
    t.sends((qos0("x"), aliased(AtMostOnce, 0, "t", 1, "y")));
    t.quiet();
}

/// The alias keeps its meaning.
#[test]
fn a_topic_longer_than_planned_is_sent_without_alias() {
    let mut t = online();
    t.publish_as(1, AtMostOnce, "eight by", "a");
    t.publish_as(1, AtMostOnce, "nine byte", "b");
    t.publish_as(1, AtMostOnce, "nine byte", "c");
    t.publish_as(1, AtMostOnce, "eight by", "d");
    t.sends(aliased(AtMostOnce, 0, "eight by", 1, "a"));
    t.sends([sent("nine byte", b"b").bytes(), sent("nine byte", b"c").bytes()]);
    t.sends(aliased(AtMostOnce, 0, "", 1, "d"));
    t.quiet();
}

/// CONNECT takes 29 bytes. What is left beside a farewell, 20 bytes, takes a front with a topic of twelve bytes.
#[test]
fn a_front_that_has_no_room_is_not_taken_apart() {
    let mut t = <Trace<1024, 8, 8, 44, 256>>::new(Version::V5);
    t.options.topic_aliases = TopicAliases { maximum: 1, topic: 13 };
    t.connects_with(false, "22 0001");
    let (twelve, thirteen) = ("twelve bytes", "thirteen byte");
    for topic in [twelve, thirteen, thirteen, twelve] {
        t.publish_as(1, AtMostOnce, topic, "payload");
    }
    t.sends(sent(twelve, b"payload").alias(1).bytes());
    t.sends(sent(thirteen, b"payload").bytes());
    t.sends(sent(thirteen, b"payload").bytes());
    t.sends(sent(twelve, b"payload").known_as(1).bytes());
    t.quiet();
}

#[test]
fn a_server_that_takes_only_small_packets_gets_the_form_that_fits() {
    let plain = sent("topic", b"0123456789").bytes().len();
    for (limit, is_aliased) in [(plain, false), (plain + 2, false), (plain + 3, true)] {
        let mut t = offline::<1024, 8, 8, 256, 256>();
        t.connects_with(false, &format!("22 0002 27 {limit:08X}"));
        t.publish_as(1, AtMostOnce, "topic", "0123456789");
        t.publish_as(1, AtMostOnce, "topic", "0123456789");
        let whole = sent("topic", b"0123456789");
        if is_aliased {
            t.sends(whole.clone().alias(1).bytes());
            t.sends(whole.known_as(1).bytes());
        } else {
            t.sends([whole.bytes(), whole.bytes()]);
        }
        // Once the server knows the alias, nothing stands against it.
        t.publish_as(1, AtMostOnce, "topic", "0");
        t.publish_as(1, AtMostOnce, "topic", "0123456789");
        let (small, large) = (sent("topic", b"0"), sent("topic", b"0123456789"));
        t.sends(if is_aliased { small.known_as(1).bytes() } else { small.alias(1).bytes() });
        t.sends(large.known_as(1).bytes());
        // It may have to be sent again with its topic.
        let longer = "0".repeat(limit - plain + 11);
        assert!(matches!(t.tries(&message("topic", 1, longer.as_bytes())), Err(CommandError::TooLarge { .. })));
        t.quiet();
    }
}

#[test]
fn an_alias_means_what_it_means_when_the_message_leaves() {
    let mut t = offline::<1024, 8, 8, 256, 256>();
    t.connects_with(false, "22 0002 21 0001");
    let first = t.publish_as(1, AtLeastOnce, "a", "x");
    let waiting = t.publish_as(1, AtLeastOnce, "a", "y");
    t.publish_as(1, AtMostOnce, "b", "z");
    t.sends(aliased(AtLeastOnce, first, "a", 1, "x"));
    t.sends(aliased(AtMostOnce, 0, "b", 1, "z"));
    t.quiet();
    t.receives(puback(first));
    t.acknowledged(first);
    t.sends(aliased(AtLeastOnce, waiting, "a", 1, "y"));
    t.quiet();
}

#[test]
fn a_message_taken_back_taught_the_server_nothing() {
    let mut t = offline::<1024, 8, 8, 256, 256>();
    t.connects_with(false, "22 0002 21 0001");
    let first = t.publish(AtLeastOnce, "x");
    let waiting = t.publish_as(1, ExactlyOnce, "a", "y");
    t.sends(qos1(first, "x"));
    assert!(t.session.cancel(packet_id(waiting)));
    t.publish_as(1, AtMostOnce, "a", "z");
    t.sends(aliased(AtMostOnce, 0, "a", 1, "z"));
    t.quiet();
}

#[test]
fn what_is_queued_when_the_application_leaves_has_its_alias() {
    let mut t = online();
    t.publish_as(1, AtMostOnce, "a", "x");
    t.publish_as(1, AtMostOnce, "a", "");
    t.disconnect();
    t.sends((aliased(AtMostOnce, 0, "a", 1, "x"), aliased(AtMostOnce, 0, "", 1, "")));
    t.sends("E0 00");
    t.closes(mqtt_session::CloseReason::Disconnected);
}

/// The bytes beside the aliases count, not all.
#[test]
fn what_does_not_fit_beside_the_aliases_is_too_large() {
    let mut session: Session<16, 1, 1, 41> = Session::new();
    let mut inbox: Inbox<[u8; 64]> = Inbox::new();
    let connect = Connect { topic_aliases: TopicAliases { maximum: 1, topic: 15 }, ..Connect::new(Version::V5, "c") };
    let before = session.clone();
    assert_eq!(session.connect(&mut inbox, &connect), Ok(()), "24 bytes of 24");
    let mut session = before.clone();
    let connect = Connect { topic_aliases: TopicAliases { maximum: 1, topic: 16 }, ..connect };
    assert!(matches!(session.connect(&mut inbox, &connect), Err(CommandError::TooLarge { .. })));
    let connect = Connect { topic_aliases: TopicAliases { maximum: u16::MAX, topic: u16::MAX }, ..connect };
    assert!(matches!(session.connect(&mut inbox, &connect), Err(CommandError::TooLarge { .. })));
    assert!(session == before);
}

/// Otherwise it would be refused as full for ever.
#[test]
fn a_disconnect_that_does_not_fit_beside_the_aliases_is_too_large() {
    let mut t = <Trace<1024, 8, 8, 100, 256>>::new(Version::V5);
    t.options.topic_aliases = TopicAliases { maximum: 2, topic: 28 };
    t.connects_with(false, "22 0002");
    let too_large = CommandError::TooLarge { limit: SizeLimit::Control, needed: 36, available: 35 };
    for (len, expected) in [(29, Err(too_large)), (28, Ok(()))] {
        let reason = "r".repeat(len);
        let properties = [Property::ReasonString(&reason)];
        let disconnect =
            mqtt_session::Disconnect { properties: Properties::of(&properties), ..mqtt_session::Disconnect::default() };
        assert_eq!(t.session.disconnect(&disconnect), expected, "{len}");
    }
}

/// Two sessions that will send different bytes are different.
#[test]
fn sessions_that_differ_in_an_alias_are_different() {
    let after = |published: &[(u16, &str)]| {
        let mut t = online();
        for &(alias, topic) in published {
            t.publish_as(alias, AtMostOnce, topic, "");
        }
        super::write(&mut t, usize::MAX, usize::MAX);
        t
    };
    let mapped = after(&[(1, "a"), (2, "b")]);
    assert!(mapped.session == after(&[(2, "b"), (1, "c"), (1, "a")]).session, "what alias 1 stood for is nothing");
    for other in [&[][..], &[(1, "a")], &[(1, "a"), (2, "c")], &[(1, "b"), (2, "a")]] {
        assert!(mapped.session != after(other).session, "{other:?}");
    }
    let (mut one, mut other) = (mapped, after(&[]));
    one.cut();
    other.cut();
    assert!(one.session == other.session, "the aliases are gone with the connection");
    let (mut asked, mut unasked) = (online(), online());
    for (t, alias) in [(&mut asked, 1), (&mut unasked, 0)] {
        t.cut();
        t.publish_as(alias, AtMostOnce, "a", "");
    }
    assert!(asked.session != unasked.session, "an alias is asked for");
}
