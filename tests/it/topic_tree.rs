//! The topic tree of the example broker: it reaches whom the definition of matching says, and leaves nothing behind.
#![cfg(all(feature = "v311", feature = "v5"))]
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a fault here is a failed test")]

#[path = "../../examples/broker/topics.rs"]
mod topics;

use std::collections::{BTreeMap, BTreeSet};

use mqtt_session::sim::Random;
use mqtt_session::wire::{check_topic_filter, check_topic_name};
use mqtt_session::{QoS, Version, matches};

use topics::{Options, Receiver, Topics};

const EACH_QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

fn plain(qos: QoS) -> Options {
    Options { qos, ..Options::default() }
}

fn tree(subscriptions: &[(&str, u32)]) -> Topics<u32> {
    let mut topics = Topics::new();
    for &(filter, key) in subscriptions {
        topics.subscribe(filter, key, Options::default());
    }
    topics
}

/// Whom a message reaches, if everybody is ready.
fn reached(topics: &Topics<u32>, topic: &str) -> Vec<u32> {
    topics.receivers(topic, None, |_| true).into_iter().map(|receiver| receiver.key).collect()
}

#[test]
fn wildcards_reach_what_the_standard_says() {
    let topics = tree(&[("sport/#", 1), ("sport/+", 2), ("+/+", 3), ("/+", 4), ("+", 5), ("sport", 6), ("#", 7)]);
    for (topic, expected) in [
        ("sport", &[1, 5, 6, 7][..]),
        ("sport/", &[1, 2, 3, 7]),
        ("sport/tennis", &[1, 2, 3, 7]),
        ("sport/tennis/player1", &[1, 7]),
        ("/finance", &[3, 4, 7]),
        ("/", &[3, 4, 7]),
        ("Sport", &[5, 7]),
    ] {
        assert_eq!(reached(&topics, topic), expected, "{topic}");
    }
}

/// [MQTT-4.7.2-1]
#[test]
fn wildcards_in_front_do_not_reach_what_begins_with_a_dollar() {
    let topics =
        tree(&[("#", 1), ("+/broker", 2), ("$SYS/#", 3), ("$SYS/+", 4), ("$share/g/#", 5), ("$share/g/$SYS/#", 6)]);
    assert_eq!(reached(&topics, "$SYS/broker"), [3, 4, 6]);
    assert_eq!(reached(&topics, "SYS/broker"), [1, 2, 5]);
}

#[test]
fn overlapping_subscriptions_are_one_delivery_at_the_highest_qos() {
    let mut topics = Topics::new();
    let options =
        |qos, identifier, retain_as_published| Options { qos, identifier, retain_as_published, no_local: false };
    topics.subscribe("a/#", 1, options(QoS::AtLeastOnce, Some(7), false));
    topics.subscribe("a/+", 1, options(QoS::ExactlyOnce, None, true));
    topics.subscribe("a/b", 1, options(QoS::AtMostOnce, Some(8), false));
    topics.subscribe("a/b", 2, options(QoS::AtMostOnce, None, false));
    let mut receivers = topics.receivers("a/b", None, |_| true);
    receivers[0].identifiers.sort_unstable();
    let receiver = |key, qos, retain_as_published, identifiers: &[u32]| Receiver {
        key,
        qos,
        retain_as_published,
        identifiers: identifiers.to_vec(),
        share: None,
    };
    let expected = [receiver(1, QoS::ExactlyOnce, true, &[7, 8]), receiver(2, QoS::AtMostOnce, false, &[])];
    assert_eq!(receivers, expected);
}

/// [MQTT-3.8.4-3]
#[test]
fn a_second_subscription_to_a_filter_takes_the_place_of_the_first() {
    for filter in ["a/+", "$share/g/a/+"] {
        let mut topics = Topics::new();
        assert!(topics.subscribe(filter, 1, plain(QoS::ExactlyOnce)));
        assert!(!topics.subscribe(filter, 1, plain(QoS::AtLeastOnce)));
        assert!(topics.subscribe(filter, 2, plain(QoS::AtLeastOnce)));
        assert_eq!(topics.receivers("a/b", None, |key| key == 1)[0].qos, QoS::AtLeastOnce, "{filter}");
        assert!(topics.unsubscribe(filter, 1));
        assert!(!topics.unsubscribe(filter, 1));
        assert_eq!(reached(&topics, "a/b"), [2]);
    }
}

/// [MQTT-3.8.3-3]
#[test]
fn no_local_leaves_out_the_publisher_by_that_subscription_alone() {
    let mut topics = Topics::new();
    topics.subscribe("a", 1, Options { no_local: true, ..plain(QoS::ExactlyOnce) });
    topics.subscribe("a", 2, Options { no_local: true, ..plain(QoS::ExactlyOnce) });
    let receivers = topics.receivers("a", Some(1), |_| true);
    assert_eq!(receivers.iter().map(|receiver| receiver.key).collect::<Vec<_>>(), [2]);
    topics.subscribe("+", 1, plain(QoS::AtMostOnce));
    let receivers = topics.receivers("a", Some(1), |_| true);
    assert_eq!((receivers[0].key, receivers[0].qos, receivers.len()), (1, QoS::AtMostOnce, 2));
}

#[test]
fn those_who_share_take_turns() {
    let topics = tree(&[("$share/g/a", 1), ("$share/g/a", 2), ("$share/g/a", 3)]);
    let turns: Vec<_> = (0..7).flat_map(|_| reached(&topics, "a")).collect();
    assert_eq!(turns, [1, 2, 3, 1, 2, 3, 1]);
}

/// Each share name, and each filter with it, has a subscription of its own, beside those that are not shared. (5.0: 4.8.2)
#[test]
fn share_names_are_apart() {
    let topics = tree(&[
        ("$share/g/a", 1),
        ("$share/h/a", 1),
        ("$share/g/+", 1),
        ("a", 1),
        ("$share/g/a", 2),
        ("$share/h/b", 2),
    ]);
    for expected in [[1, 1, 1, 1], [1, 1, 1, 2]] {
        let mut got = reached(&topics, "a");
        got.sort_unstable();
        assert_eq!(got, expected);
    }
}

#[test]
fn of_those_who_share_one_is_chosen_that_is_ready() {
    let mut topics = tree(&[("$share/g/a", 1), ("$share/g/a", 2), ("$share/g/a", 3)]);
    let chosen = |topics: &Topics<u32>, ready: &[u32]| topics.receivers("a", None, |key| ready.contains(&key))[0].key;
    assert_eq!([2, 2, 3].map(|ready| chosen(&topics, &[ready])), [2, 2, 3]);
    // Nobody is: it waits for one of them all the same.
    let mut waiting: Vec<_> = (0..3).map(|_| chosen(&topics, &[])).collect();
    waiting.sort_unstable();
    assert_eq!(waiting, [1, 2, 3]);
    // Somebody leaves whose turn it would have been.
    assert_eq!(chosen(&topics, &[2]), 2);
    assert!(topics.unsubscribe("$share/g/a", 3));
    assert_eq!(chosen(&topics, &[1, 2]), 1);
}

/// A message that one of them cannot deliver goes to somebody fit, if there is one.
#[test]
fn another_one_of_those_who_share_is_found() {
    let mut topics = tree(&[("$share/g/a/+", 1), ("$share/g/a/+", 2), ("$share/h/a/+", 3), ("a/+", 4)]);
    let share = topics.receivers("a/b", None, |key| key == 1).into_iter().find(|receiver| receiver.key == 1);
    let share = share.and_then(|receiver| receiver.share);
    assert_eq!(share.as_deref(), Some("$share/g/a/+"));
    let another = |topics: &Topics<u32>, fit: &[u32]| {
        topics.another("$share/g/a/+", |key| fit.contains(&key)).map(|receiver| (receiver.key, receiver.share))
    };
    assert_eq!(another(&topics, &[2, 3, 4]), Some((2, share.clone())));
    assert_eq!(another(&topics, &[1, 3, 4]), Some((1, share)));
    assert_eq!(another(&topics, &[3, 4]), None);
    assert!(topics.unsubscribe("$share/g/a/+", 1) && topics.unsubscribe("$share/g/a/+", 2));
    assert_eq!(another(&topics, &[1, 2, 3, 4]), None);
}

#[test]
fn nodes_are_counted() {
    let mut topics = Topics::new();
    for (filter, nodes) in [("a/b/c", 3), ("a/b/+", 4), ("a/#", 5), ("$share/g/a/b", 5), ("a/b/c", 5), ("/", 7)] {
        topics.subscribe(filter, 1, Options::default());
        assert_eq!(topics.nodes(), nodes, "{filter}");
    }
    for (filter, nodes) in [("a/b/c", 6), ("a/b/c", 6), ("a/b", 6), ("a/b/+", 5), ("a/#", 4), ("$share/g/a/b", 2)] {
        topics.unsubscribe(filter, 1);
        assert_eq!(topics.nodes(), nodes, "{filter}");
    }
}

#[test]
fn nothing_is_left_behind() {
    let filters = ["a", "a/b/c", "a/+/#", "#", "$share/g/a/b", "$share/h/a/b", "/", "//"];
    for first in 0..filters.len() {
        let mut topics = tree(&filters.map(|filter| (filter, 1)));
        for index in 0..filters.len() {
            assert!(!topics.is_empty());
            let filter = filters[(first + index) % filters.len()];
            assert!(!topics.unsubscribe(filter, 2));
            assert!(topics.unsubscribe(filter, 1));
        }
        assert!(topics.is_empty());
        assert_eq!(topics.nodes(), 0);
        assert!(!topics.unsubscribe("a", 1));
    }
}

/// A topic may have more levels than any filter, and a filter as many as there is room for.
#[test]
fn many_levels_are_no_danger() {
    let deep = "/".repeat(60_000);
    let filter = format!("{}#", "+/".repeat(199));
    let topics = tree(&[("#", 1), (&filter, 2), ("+/+", 3)]);
    assert_eq!(reached(&topics, &deep), [1, 2]);
}

/// Random filters and topics of few levels and names, against the definition.
#[test]
fn it_agrees_with_the_definition() {
    let mut random = Random::new(1);
    let word = |random: &mut Random, words: &[&str]| {
        let levels = 1 + random.below(4);
        let levels: Vec<_> = (0..levels).map(|_| words[random.below(words.len())]).collect();
        levels.join("/")
    };
    let mut found = 0;
    for _ in 0..2_000 {
        let mut topics = Topics::new();
        let mut model: BTreeMap<(String, u32), QoS> = BTreeMap::new();
        for _ in 0..random.below(20) {
            let filter = word(&mut random, &["a", "b", "", "$x", "+", "+", "#"]);
            if check_topic_filter(Version::V5, &filter).is_err() {
                continue;
            }
            let (key, qos) = (u32::try_from(random.below(4)).unwrap_or_default(), EACH_QOS[random.below(3)]);
            if random.once_in(4) {
                assert_eq!(topics.unsubscribe(&filter, key), model.remove(&(filter, key)).is_some());
            } else {
                assert_eq!(topics.subscribe(&filter, key, plain(qos)), model.insert((filter, key), qos).is_none());
            }
        }
        for _ in 0..10 {
            let topic = word(&mut random, &["a", "b", "", "$x"]);
            if check_topic_name(&topic).is_err() {
                continue;
            }
            let matching = model.iter().filter(|((filter, _), _)| matches(filter, &topic));
            let mut expected: BTreeMap<u32, QoS> = BTreeMap::new();
            for (&(_, key), &qos) in matching {
                expected.entry(key).and_modify(|highest| *highest = qos.max(*highest)).or_insert(qos);
            }
            let got = topics.receivers(&topic, None, |_| true);
            let keys: BTreeSet<_> = got.iter().map(|receiver| receiver.key).collect();
            assert_eq!(keys.len(), got.len(), "somebody is reached twice");
            assert_eq!(
                got.into_iter().map(|receiver| (receiver.key, receiver.qos)).collect::<BTreeMap<_, _>>(),
                expected
            );
            found += expected.len();
        }
    }
    assert!(found > 5_000, "hardly anything matched: {found}");
}
