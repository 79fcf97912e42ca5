//! Sessions whose power goes.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a fault here is a failed test")]

mod world;

use mqtt_session::{QoS, Version};

use world::{Counts, Plan, World};

const LIMIT: u32 = 12;

fn runs() -> u64 {
    std::env::var("MQTT_POWER_CUTS").ok().and_then(|text| text.parse().ok()).unwrap_or(400)
}

fn versions() -> [Version; 2] {
    [Version::V311, Version::V5]
}

fn check(name: &str, of: &[u32], qos: QoS, in_order: bool, seed: u64) {
    let all: Vec<_> = (1..=LIMIT).collect();
    let mut firsts = Vec::new();
    for &number in of {
        if !firsts.contains(&number) {
            firsts.push(number);
        }
    }
    if qos == QoS::ExactlyOnce {
        assert_eq!(firsts.len(), of.len(), "{name} has a message twice, seed {seed}: {of:?}");
    }
    if !in_order {
        firsts.sort_unstable();
    }
    assert_eq!(firsts, all, "{name} misses messages or has them out of order, seed {seed}: {of:?}");
}

fn run(qos: QoS, manual: bool, transactions: bool) {
    let mut all = Counts::default();
    for version in versions() {
        for seed in 0..runs() {
            let mut world = World::new(Plan { version, manual, transactions }, seed);
            for _ in 0..600 {
                world.step(qos, LIMIT);
            }
            world.settle(qos, LIMIT);
            let lost = world.client.counts.lost + world.server.counts.lost;
            let in_order = transactions && lost == 0;
            check("the server", &world.server.disk.received, qos, in_order, seed);
            check("the client", &world.client.disk.received, qos, in_order, seed);
            for counts in [world.client.counts, world.server.counts] {
                all.power_cuts += counts.power_cuts;
                all.torn += counts.torn;
                all.persisted += counts.persisted;
                all.lost += counts.lost;
                all.restored_in_flight += counts.restored_in_flight;
            }
        }
    }
    // Otherwise it shows nothing.
    assert!(all.power_cuts > 1_000 && all.torn > 100 && all.persisted > 1_000, "{all:?}");
    assert!(all.restored_in_flight > 500, "{all:?}");
}

#[test]
fn exactly_once_over_losses_of_power() {
    run(QoS::ExactlyOnce, false, true);
}

#[test]
fn exactly_once_where_the_application_acknowledges() {
    run(QoS::ExactlyOnce, true, true);
}

#[test]
fn exactly_once_where_records_are_left_to_the_step() {
    run(QoS::ExactlyOnce, false, false);
}

#[test]
fn at_least_once_over_losses_of_power() {
    run(QoS::AtLeastOnce, false, true);
    run(QoS::AtLeastOnce, true, false);
}
