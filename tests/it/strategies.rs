//! The public strategies keep to their limits, and what fails shrinks to something small.
#![cfg(all(feature = "v311", feature = "v5"))]
#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, reason = "a fault here is a failed test")]

use core::fmt::Debug;
use std::collections::BTreeSet;

use mqtt_session::strategies::{Damage, Links, Operation, Operations, Packets, Reads, Weights, reads, topic_filter};
use mqtt_session::wire::{Packet, PacketType, check_topic_filter};
use mqtt_session::{QoS, ReasonCode, Role, Version};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

/// The smallest value for which `fails`, as proptest finds it from some seeds.
fn shrunk<S: Strategy<Value: Debug>>(strategy: &S, fails: impl Fn(&S::Value) -> bool) -> Vec<S::Value> {
    let of_seed = |seed| {
        let config = Config { cases: 10_000, failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]));
        let judge = |value| if fails(&value) { Err(TestCaseError::fail("found")) } else { Ok(()) };
        match runner.run(strategy, judge) {
            Err(TestError::Fail(_, value)) => value,
            other => panic!("nothing fails: {other:?}"),
        }
    };
    (1..=10).map(of_seed).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn packets_keep_to_their_limits(
        encoded in select(vec![(Version::V311, Role::Client), (Version::V311, Role::Server), (Version::V5, Role::Server)])
            .prop_flat_map(|(version, to)| Packets { payload: 9, text: 5, properties: false, ..Packets::new(version, to) }.any()),
    ) {
        match encoded.packet() {
            Packet::Publish(it) => prop_assert!(it.payload.len() <= 9 && it.topic.len() <= 5 && it.properties.is_empty()),
            Packet::Subscribe(it) => prop_assert!(it.subscriptions.iter().all(|it| it.filter.len() <= 5)),
            Packet::Unsubscribe(it) => prop_assert!(it.filters.iter().all(|it| it.len() <= 5)),
            Packet::Connect(it) => {
                prop_assert!(it.client_id.len() <= 5 && it.properties.is_empty());
                prop_assert!(it.password.is_none_or(|it| it.len() <= 9));
                prop_assert!(it.will.is_none_or(|it| it.topic.len() <= 5 && it.payload.len() <= 9 && it.properties.is_empty()));
            }
            _ => prop_assert!(encoded.bytes().len() <= 20),
        }
    }

    #[test]
    fn topic_filters_are_valid(filter in (0..30_usize).prop_flat_map(|most| (Just(most), topic_filter(most)))) {
        prop_assert!(filter.1.len() <= filter.0.max(1));
        prop_assert_eq!(check_topic_filter(Version::V5, &filter.1), Ok(()));
    }

    #[test]
    fn operations_keep_to_their_limits(
        list in Operations { by: Some(Role::Server), most: 9, topics: 2, payload: 30, within: 7, ..Operations::new(Version::V311) }.list(),
        nothing in Operations { weights: Weights::NONE, ..Operations::new(Version::V5) }.one(),
    ) {
        prop_assert_eq!(nothing, Operation::Quiet);
        prop_assert!(list.len() <= 9);
        for operation in list {
            match operation {
                Operation::Publish { from, topic, len, expiry, alias, .. } => {
                    prop_assert!(from == Role::Server && topic < 2 && len <= 30 && expiry.is_none() && alias.is_none());
                }
                Operation::Acknowledge { by, code, .. } | Operation::Disconnect { by, code } => {
                    prop_assert!(by == Role::Server && code == ReasonCode::Success);
                }
                Operation::Cancel { from, .. } | Operation::GiveUp { from, .. } => prop_assert_eq!(from, Role::Server),
                Operation::CutAfter(bytes) => prop_assert!(bytes <= 7),
                Operation::Subscribe { .. } | Operation::Unsubscribe { .. } => prop_assert!(false, "a server asks"),
                _ => {}
            }
        }
    }

    #[test]
    fn links_keep_to_their_limits(
        link in Links { delay: 9, breaks: 2, within: 5, cut_once_in: 3, corrupt_once_in: 0, losses: false, fragments: false }.link(),
    ) {
        prop_assert!(!link.faults.fragments && link.faults.delay <= 9 && link.faults.corrupt_once_in == 0);
        prop_assert!(link.faults.cut_once_in == 0 || link.faults.cut_once_in >= 3);
        prop_assert!(link.breaks.len() <= 2 && link.breaks.iter().all(|it| it.after <= 5 && !it.is_lost));
    }
}

#[test]
fn operations_shrink_to_few() {
    let is_lost = |list: &Vec<Operation>| {
        let published = list.iter().position(|it| matches!(it, Operation::Publish { qos: QoS::ExactlyOnce, .. }));
        published.is_some_and(|at| list[at..].contains(&Operation::Cut))
    };
    for list in shrunk(&Operations::new(Version::V5).list(), is_lost) {
        let [Operation::Publish { from, qos, retain, topic, len, expiry, alias }, Operation::Cut] = list[..] else {
            panic!("{list:?}");
        };
        assert_eq!((from, qos, retain, topic, len), (Role::Client, QoS::ExactlyOnce, false, 0, 0));
        assert_eq!((expiry, alias), (None, None));
    }
}

#[test]
fn packets_shrink_to_short_ones() {
    let packets = Packets::new(Version::V5, Role::Server);
    let loaded = |it: &Packet<'_>| matches!(it, Packet::Publish(publish) if publish.payload.len() >= 3);
    for encoded in shrunk(&packets.any(), |encoded| loaded(&encoded.packet())) {
        assert_eq!(encoded.bytes(), [0x30, 7, 0, 1, b't', 0, 0, 0, 0], "{encoded:?}");
    }
    let connects = packets.of_type(PacketType::Connect).unwrap();
    let has_will = |it: &Packet<'_>| matches!(it, Packet::Connect(connect) if connect.will.is_some());
    for encoded in shrunk(&connects, |encoded| has_will(&encoded.packet())) {
        assert_eq!(encoded.bytes().len(), 2 + 10 + 1 + 2 + 1 + 3 + 2, "{encoded:?}");
    }
}

/// Lengths on both sides of the steps of a variable byte integer, as far as there is room for them.
#[test]
fn packets_come_in_lengths_around_the_steps() {
    let packets = Packets { payload: 20_000, text: 150, properties: false, ..Packets::new(Version::V5, Role::Client) };
    let publishes = packets.of_type(PacketType::Publish).unwrap();
    let mut runner = TestRunner::deterministic();
    let (mut lengths, mut topics) = (Vec::new(), Vec::new());
    for _ in 0..2_000 {
        let encoded = publishes.new_tree(&mut runner).unwrap().current();
        let Packet::Publish(publish) = encoded.packet() else { panic!("{encoded:?}") };
        lengths.push(encoded.bytes().len() - 2);
        topics.push(publish.topic.len());
        assert!(publish.payload.len() <= 20_000 && publish.topic.len() <= 150, "{encoded:?}");
    }
    for step in [128, 16_384] {
        let found = |within: core::ops::Range<usize>| lengths.iter().filter(|len| within.contains(len)).count();
        let (below, above) = (found(step - 40..step), found(step..step + 40));
        assert!(below > 5 && above > 5, "{step}: {below} and {above}");
    }
    assert!(topics.iter().any(|len| *len >= 100), "{topics:?}");
}

/// Everything that CONNACK may say, and nothing else. (5.0: 3.2.2.3)
#[test]
fn packets_come_with_each_of_their_properties() {
    let connacks = Packets::new(Version::V5, Role::Client).of_type(PacketType::Connack).unwrap();
    let mut runner = TestRunner::deterministic();
    let mut found = BTreeSet::new();
    for _ in 0..2_000 {
        let encoded = connacks.new_tree(&mut runner).unwrap().current();
        let Packet::Connack(connack) = encoded.packet() else { panic!("{encoded:?}") };
        found.extend(connack.properties.iter().map(|property| property.name()));
    }
    let expected = [
        "assigned_client_identifier",
        "authentication_data",
        "authentication_method",
        "maximum_packet_size",
        "maximum_qos",
        "reason_string",
        "receive_maximum",
        "response_information",
        "retain_available",
        "server_keep_alive",
        "server_reference",
        "session_expiry_interval",
        "shared_subscription_available",
        "subscription_identifier_available",
        "topic_alias_maximum",
        "user_property",
        "wildcard_subscription_available",
    ];
    assert!(found.iter().eq(&expected), "{found:?}");
}

#[test]
fn damage_is_done_to_the_bytes() {
    let publish = [0x30, 4, 0, 1, b't', b'p'];
    let long = [&[0x30, 0][..], &[0; 200]].concat();
    let measured = [&[0x30, 0xC8, 0x01][..], &[0; 200]].concat();
    for (damage, before, after) in [
        (Damage::Flags(0xFF), &publish[..], &[0x3F, 4, 0, 1, b't', b'p'][..]),
        (Damage::Length(3), &publish, &[0x30, 7, 0, 1, b't', b'p']),
        (Damage::Length(-9), &publish, &[0x30, 0, 0, 1, b't', b'p']),
        (Damage::Length(1), &[0x30], &[0x30]),
        (Damage::Pad(1), &publish, &[0x30, 0x84, 0, 0, 1, b't', b'p']),
        (Damage::Pad(3), &[0xD0, 0], &[0xD0, 0x80, 0x80, 0x80, 0]),
        (Damage::Pad(1), &[0xD0], &[0xD0]),
        (Damage::Measure, &publish[..5], &[0x30, 3, 0, 1, b't']),
        (Damage::Measure, &long, &measured),
        (Damage::Pad(1), &[], &[]),
    ] {
        let mut bytes = before.to_vec();
        damage.apply(&mut bytes);
        assert_eq!(bytes, after, "{damage:?}");
    }
}

#[test]
fn damage_shrinks_to_little() {
    let packets = Packets::new(Version::V5, Role::Client);
    let malformed = shrunk(&packets.malformed(), |_| true);
    assert!(malformed.iter().all(|it| matches!(it.damage(), [_] | [_, Damage::Measure])), "{malformed:?}");
    // Not always to the smallest packet: where the damage lies is relative to the length.
    let mut lengths: Vec<_> = malformed.iter().map(|it| it.origin().bytes().len()).collect();
    lengths.sort_unstable();
    assert!(lengths[5] <= 6 && lengths[9] <= 40, "{lengths:?}");
    let torn = |it: &Reads| it.pieces(b"abcdef").len() >= 3;
    for reads in shrunk(&reads(), torn) {
        assert!(reads.pieces(b"abcdef").len() <= 6, "{reads:?}");
        assert!(matches!(&reads, Reads::Cut(at) if at.len() == 2) || matches!(reads, Reads::Each(1 | 2)), "{reads:?}");
    }
}

#[test]
fn links_shrink_to_good_ones() {
    let links = Links { losses: true, cut_once_in: 5, corrupt_once_in: 5, ..Links::default() };
    for link in shrunk(&links.link(), |link| link.breaks.iter().any(|it| it.is_lost)) {
        assert_eq!((link.breaks.len(), link.breaks[0].after), (1, 0), "{link:?}");
        assert_eq!(link.faults, mqtt_session::sim::Faults::NONE, "{link:?}");
    }
}
