//! The server's aliases: messages arrive with their topics, and what cannot be resolved ends the connection.

use mqtt_session::QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
use mqtt_session::{Acknowledge, CloseReason, Event, Inbox, QoS, TopicAliases, Version};

use super::trace::{Trace, aliased, dup, puback, pubcomp, pubrec, pubrel, with_header};

/// A session with an inbox for so many aliases, with topics of up to six bytes. CONNECT is checked by the trace.
fn online(maximum: u16) -> Trace {
    let mut t = <Trace>::new(Version::V5);
    t.inbox.set_topic_aliases(TopicAliases { maximum, topic: 6 });
    t.connects();
    t
}

/// A message arrives with this topic, and its property is what it was.
#[track_caller]
fn arrives(t: &mut Trace, topic: &str, alias: u16, payload: &str) {
    let found = t.event(|_, event| match event {
        Event::Message(message) => {
            let payload = String::from_utf8(message.payload.to_vec()).unwrap();
            (message.topic.to_owned(), message.properties.topic_alias(), payload)
        }
        event => panic!("{event:?}"),
    });
    assert_eq!(found, (topic.to_owned(), Some(alias), payload.to_owned()));
}

#[test]
fn an_alias_is_set_used_and_set_again() {
    let mut t = online(2);
    t.receives([aliased(AtMostOnce, 0, "a", 1, "1"), aliased(AtMostOnce, 0, "b/c", 2, "2")]);
    arrives(&mut t, "a", 1, "1");
    arrives(&mut t, "b/c", 2, "2");
    t.receives([aliased(AtMostOnce, 0, "", 1, "3"), aliased(AtMostOnce, 0, "", 2, "4")]);
    arrives(&mut t, "a", 1, "3");
    arrives(&mut t, "b/c", 2, "4");
    t.receives([aliased(AtMostOnce, 0, "six by", 1, "5"), aliased(AtMostOnce, 0, "", 1, "6")]);
    arrives(&mut t, "six by", 1, "5");
    arrives(&mut t, "six by", 1, "6");
    t.receives([aliased(AtMostOnce, 0, "d", 1, ""), aliased(AtMostOnce, 0, "", 1, "")]);
    arrives(&mut t, "d", 1, "");
    arrives(&mut t, "d", 1, "");
    t.receives("30 04 0001 61 00");
    t.event(|_, event| assert!(matches!(event, Event::Message(message) if message.topic == "a")));
    t.receives(aliased(AtMostOnce, 0, "", 2, "7"));
    arrives(&mut t, "b/c", 2, "7");
    t.quiet();
}

#[test]
fn messages_of_every_qos_are_acknowledged_whatever_gives_their_topic() {
    for acknowledgement in [Acknowledge::AfterHandling, Acknowledge::Manually] {
        let mut t = <Trace>::new(Version::V5);
        t.inbox.set_topic_aliases(TopicAliases { maximum: 1, topic: 6 });
        t.options.acknowledgement = acknowledgement;
        t.connects();
        for (qos, id, topic) in [(AtLeastOnce, 7, "a"), (ExactlyOnce, 8, ""), (AtLeastOnce, 9, "")] {
            t.receives(aliased(qos, id, topic, 1, "x"));
            let handle = t.event(|_, event| match event {
                Event::Message(message) => {
                    assert_eq!((message.topic, message.qos()), ("a", qos));
                    message.handle
                }
                event => panic!("{event:?}"),
            });
            if let Some(handle) = handle {
                t.acknowledge(handle);
            }
            t.sends(if qos == AtLeastOnce { puback(id) } else { pubrec(id) });
        }
        t.receives(pubrel(8));
        t.sends(pubcomp(8));
        t.quiet();
    }
}

/// Alias 0 is malformed for anybody.
#[test]
fn what_cannot_be_resolved_ends_the_connection() {
    let zero = mqtt_session::Violation::TopicAliasZero;
    let cases: [(u16, &str, u16, CloseReason, u8); 9] = [
        (2, "", 1, CloseReason::TopicAliasUnknown, 0x82),
        (2, "", 2, CloseReason::TopicAliasUnknown, 0x82),
        (2, "a", 3, CloseReason::TopicAliasTooHigh, 0x94),
        (2, "", 3, CloseReason::TopicAliasTooHigh, 0x94),
        (2, "a", u16::MAX, CloseReason::TopicAliasTooHigh, 0x94),
        (0, "a", 1, CloseReason::TopicAliasTooHigh, 0x94),
        (2, "a", 0, CloseReason::Violation(zero), 0x94),
        (2, "seven b", 1, CloseReason::TopicTooLong, 0x97),
        (2, "seven b", 3, CloseReason::TopicAliasTooHigh, 0x94),
    ];
    for (maximum, topic, alias, cause, code) in cases {
        for qos in [AtMostOnce, AtLeastOnce, ExactlyOnce] {
            let mut t = online(maximum);
            t.receives(aliased(qos, 7, topic, alias, "x"));
            t.fails(cause, code);
        }
    }
}

#[test]
fn a_connection_knows_nothing_of_the_aliases_of_the_one_before() {
    for told in [true, false] {
        let mut t = online(2);
        t.receives(aliased(AtMostOnce, 0, "a", 1, "x"));
        arrives(&mut t, "a", 1, "x");
        if told {
            t.cut();
        }
        t.resumes();
        t.receives(aliased(AtMostOnce, 0, "", 1, "x"));
        t.fails(CloseReason::TopicAliasUnknown, 0x82);
    }
}

/// They are two tables.
#[test]
fn our_aliases_are_not_theirs() {
    let mut t = <Trace>::new(Version::V5);
    t.inbox.set_topic_aliases(TopicAliases { maximum: 1, topic: 6 });
    t.options.topic_aliases = TopicAliases { maximum: 1, topic: 6 };
    t.connects_with(false, "22 0001");
    t.publish_as(1, AtMostOnce, "ours", "x");
    t.sends(aliased(AtMostOnce, 0, "ours", 1, "x"));
    t.receives(aliased(AtMostOnce, 0, "theirs", 1, "y"));
    arrives(&mut t, "theirs", 1, "y");
    t.publish_as(1, AtMostOnce, "ours", "z");
    t.sends(aliased(AtMostOnce, 0, "", 1, "z"));
    t.receives(aliased(AtMostOnce, 0, "", 1, ""));
    arrives(&mut t, "theirs", 1, "");
    t.quiet();
}

/// It is answered and not delivered, but what it says of the alias holds.
#[test]
fn a_repeat_of_a_held_message_sets_the_alias() {
    let mut t = online(2);
    t.receives(aliased(ExactlyOnce, 7, "a", 1, "x"));
    arrives(&mut t, "a", 1, "x");
    t.sends(pubrec(7));
    t.cut();
    t.announced = 7;
    t.resumes();
    t.receives(dup(aliased(ExactlyOnce, 7, "a", 2, "x")));
    t.sends(pubrec(7));
    t.quiet();
    t.receives(aliased(AtMostOnce, 0, "", 2, "y"));
    arrives(&mut t, "a", 2, "y");
    t.receives(aliased(AtMostOnce, 0, "", 1, "y"));
    t.fails(CloseReason::TopicAliasUnknown, 0x82);
}

/// As a message does that is refused for its identifier.
#[test]
fn a_message_with_an_identifier_in_use_sets_the_alias() {
    let mut t = online(1);
    t.receives("34 06 0001 74 0007 00");
    t.event(|_, event| assert!(matches!(event, Event::Message(_)), "{event:?}"));
    t.sends(pubrec(7));
    t.receives(aliased(AtLeastOnce, 7, "a", 1, "x"));
    t.sends(puback(7).code(0x91));
    t.receives(aliased(AtMostOnce, 0, "", 1, "y"));
    arrives(&mut t, "a", 1, "y");
    t.quiet();
}

/// That the maximum and the capacity are announced is checked by each connection here.
#[test]
fn the_capacity_is_what_the_aliases_leave() {
    let aliases = TopicAliases { maximum: 3, topic: 20 };
    assert_eq!(aliases.len(), 66);
    let mut t = <Trace<1024, 8, 8, 256, 128>>::new(Version::V5);
    assert_eq!(t.inbox.capacity(), 128);
    t.inbox.set_topic_aliases(aliases);
    assert_eq!((t.inbox.capacity(), t.inbox.space().len(), t.inbox.topic_aliases()), (62, 62, aliases));
    t.connects();
    // A packet that fills the inbox leaves the topics alone.
    for (alias, topic) in [(1, "twenty bytes, no mor"), (2, "b"), (3, "twenty bytes of topi")] {
        t.receives(with_header(0x30, &[&[0, 20][..], &[b't'; 20], &[0], &[0xFF; 37]].concat()));
        t.event(|_, event| assert!(matches!(event, Event::Message(_)), "{event:?}"));
        t.receives(aliased(AtMostOnce, 0, topic, alias, ""));
        t.event(|_, event| assert!(matches!(event, Event::Message(message) if message.topic == topic)));
    }
    t.receives(with_header(0x30, &[&[0, 20][..], &[b't'; 20], &[0], &[0xFF; 37]].concat()));
    t.event(|_, event| assert!(matches!(event, Event::Message(message) if message.payload.len() == 37)));
    for (alias, topic) in [(1, "twenty bytes, no mor"), (2, "b"), (3, "twenty bytes of topi")] {
        t.receives(aliased(AtMostOnce, 0, "", alias, ""));
        t.event(|_, event| assert!(matches!(event, Event::Message(message) if message.topic == topic)));
    }
    t.receives("30 3D");
    t.fails(CloseReason::Violation(mqtt_session::Violation::PacketTooLarge), 0x95);
}

#[test]
fn inboxes_are_equal_if_their_aliases_are() {
    let after = |messages: &[(u16, &str)]| {
        let mut t = online(2);
        for &(alias, topic) in messages {
            t.receives(aliased(QoS::AtMostOnce, 0, topic, alias, ""));
            t.event(|_, event| assert!(matches!(event, Event::Message(_))));
        }
        t.inbox
    };
    let mapped = after(&[(1, "a"), (2, "b")]);
    assert_eq!(mapped, after(&[(2, "longer"), (1, "a"), (2, "b"), (1, "")]));
    for other in [&[][..], &[(1, "a")], &[(1, "a"), (2, "c")], &[(1, "b"), (2, "a")]] {
        assert_ne!(mapped, after(other), "{other:?}");
    }
    let mut cleared = mapped.clone();
    cleared.clear();
    assert_eq!(cleared, after(&[]));
    let mut planned: Inbox<[u8; 256]> = Inbox::new();
    assert_ne!(planned, after(&[]), "no aliases are planned");
    planned.set_topic_aliases(TopicAliases { maximum: 2, topic: 6 });
    assert_eq!(planned, after(&[]));
    planned.set_topic_aliases(TopicAliases::NONE);
    assert_eq!(planned, Inbox::new());
}
