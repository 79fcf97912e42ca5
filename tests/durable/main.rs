//! Sessions whose power goes.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "a fault here is a failed test"
)]

mod forged;
mod refusals;
mod rows;
mod world;

use std::collections::BTreeMap;

use mqtt_session::{QoS, Version};

use world::{Counts, Plan, World};

const LIMIT: u32 = 12;

fn runs() -> u64 {
    std::env::var("MQTT_POWER_CUTS").ok().and_then(|text| text.parse().ok()).unwrap_or(400)
}

fn versions() -> [Version; 2] {
    [Version::V311, Version::V5]
}

fn check(name: &str, of: &[u32], lost: &BTreeMap<u32, usize>, qos: QoS, in_order: bool, seed: u64) {
    let all: Vec<_> = (1..=LIMIT).collect();
    let mut firsts = Vec::new();
    for &number in of {
        if !firsts.contains(&number) {
            firsts.push(number);
        }
    }
    if qos == QoS::ExactlyOnce {
        for number in &firsts {
            let times = of.iter().filter(|&other| other == number).count();
            let may_be = 1 + lost.get(number).copied().unwrap_or(0);
            assert!(times <= may_be, "{name} has message {number} {times} times, seed {seed}: {of:?}, lost {lost:?}");
        }
    }
    if !in_order {
        firsts.sort_unstable();
    }
    assert_eq!(firsts, all, "{name} misses messages or has them out of order, seed {seed}: {of:?}");
}

fn run(qos: QoS, manual: bool, transactions: bool, losses: bool) {
    let mut all = Counts::default();
    for version in versions() {
        for seed in 0..runs() {
            let mut world = World::new(Plan { version, manual, transactions, losses }, seed);
            for _ in 0..600 {
                world.step(qos, LIMIT);
            }
            world.cut();
            all.holes += u32::from(world.hole);
            if world.hole && losses {
                continue;
            }
            world.settle(qos, LIMIT);
            let lost = world.client.counts.lost + world.server.counts.lost;
            let in_order = transactions && !losses && lost == 0;
            check("the server", &world.server.disk.received, &world.client.disk.lost, qos, in_order, seed);
            check("the client", &world.client.disk.received, &world.server.disk.lost, qos, in_order, seed);
            for counts in [world.client.counts, world.server.counts] {
                all.power_cuts += counts.power_cuts;
                all.torn += counts.torn;
                all.persisted += counts.persisted;
                all.shown += counts.shown;
                all.lost += counts.lost;
                all.restored_in_flight += counts.restored_in_flight;
            }
        }
    }
    // Otherwise it shows nothing.
    assert!(all.power_cuts > 1_000 && all.torn > 100 && all.persisted > 1_000, "{all:?}");
    println!("{all:?}");
    assert!(all.restored_in_flight > 500, "{all:?}");
}

#[test]
fn exactly_once_over_losses_of_power() {
    run(QoS::ExactlyOnce, false, true, false);
}

#[test]
fn exactly_once_where_the_application_acknowledges() {
    run(QoS::ExactlyOnce, true, true, false);
}

#[test]
fn exactly_once_where_records_are_left_to_the_step() {
    run(QoS::ExactlyOnce, false, false, false);
}

#[test]
fn at_least_once_over_losses_of_power() {
    run(QoS::AtLeastOnce, false, true, false);
    run(QoS::AtLeastOnce, true, false, false);
}

#[test]
fn what_is_told_as_lost_is_gone_and_nothing_else_is() {
    run(QoS::ExactlyOnce, false, true, true);
    run(QoS::ExactlyOnce, true, false, true);
    run(QoS::AtLeastOnce, false, false, true);
}

#[test]
fn a_journal_takes_seven_bytes_per_pair_of_places() {
    use mqtt_session::{Session, durable};
    let few = size_of::<durable::Session<0, 8, 8, 0>>() - size_of::<Session<0, 8, 8, 0>>();
    let more = size_of::<durable::Session<0, 16, 16, 0>>() - size_of::<Session<0, 16, 16, 0>>();
    println!("{few} bytes for 8 and 8, {more} for 16 and 16");
    assert_eq!(more - few, 7 * 8);
}
