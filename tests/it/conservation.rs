//! What is taken is given back: store, identifiers and quota, over random runs of two real ends and a link that breaks.
//!
//! The strategies are the public ones, and so are the means: what `in_flight`, `room` and equality tell, and what passes on
//! the wire.
#![cfg(all(feature = "v311", feature = "v5"))]
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing, reason = "a fault here is a failed test")]
#![allow(clippy::arithmetic_side_effects, reason = "numbers are small")]

mod world;

use mqtt_session::Version;
use mqtt_session::strategies::{Link, Links, Operation, Operations, Weights};
use proptest::prelude::*;
use proptest::strategy::{Union, ValueTree};
use proptest::test_runner::TestRunner;
use world::{INBOUND, Setup, Tally, World};

type Run = (Setup, Vec<Operation>);

/// Runs in which the server keeps its session, or loses it now and then.
fn run(losses: bool) -> impl Strategy<Value = Run> {
    let of_version = |version| {
        let links = Links { losses, breaks: 6, within: 300, ..Links::default() };
        // In 3.1.1 nothing else bounds what the server has to hold.
        let unbounded = if version == Version::V5 { u16::MAX } else { INBOUND[1] };
        let windows = prop_oneof![1..=INBOUND[1], Just(unbounded)];
        let setup = (links.link(), windows, any::<[bool; 2]>()).prop_map(move |(link, window, manual)| Setup {
            version,
            link,
            window,
            manual,
        });
        let weights = Weights { lose: 0, give_up: 0, ..Weights::default() };
        (setup, Operations { expiry: false, aliases: 0, payload: 60, weights, ..Operations::new(version) }.list())
    };
    Union::new([Version::V311, Version::V5].map(|version| of_version(version).boxed()))
}

/// Carries out a run up to the moment at which the link becomes a good one.
fn carry_out((setup, operations): &Run) -> Result<World, TestCaseError> {
    let mut world = World::new(setup);
    operations.iter().try_for_each(|operation| world.apply(operation)).map_err(TestCaseError::fail)?;
    Ok(world)
}

/// `PROPTEST_CASES` makes it more.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: default.cases.max(1_000), failure_persistence: None, ..default }
}

proptest! {
    #![proptest_config(config())]

    /// Once all is done a session equals one that did nothing, and has as much room.
    #[test]
    fn the_store_is_conserved(run in run(false)) {
        let calm = Link { seed: 0, faults: Default::default(), breaks: Vec::new() };
        let mut new = World::new(&Setup { link: calm, ..run.0.clone() });
        let mut used = carry_out(&run)?;
        for world in [&mut used, &mut new] {
            // Twice more, so that the last connection of each goes on with a session.
            for again in [World::settle, World::come_again, World::come_again] {
                prop_assert_eq!(again(world), Ok(true), "not everything came to its end");
            }
        }
        prop_assert_eq!(used.free_space(), new.free_space());
        prop_assert!(used.client == new.client, "{:?}\n{:?}", used.client, new.client);
        prop_assert!(used.server == new.server, "{:?}\n{:?}", used.server, new.server);
    }

    /// An identifier that is handed out is not under way, and stays taken until its application is told how it ended: no
    /// longer and no shorter, after each single step.
    #[test]
    fn identifiers_are_unique_and_released(run in prop_oneof![run(false), run(true)]) {
        let mut world = carry_out(&run)?;
        let settled = world.settle().map_err(TestCaseError::fail)?;
        // Where the server lost its session, and its client never heard of that, what both know may differ for ever.
        prop_assert!(settled || world.tally.losses != 0, "{:?}", world.under_way);
        prop_assert!(!settled || world.under_way.iter().all(|it| it.is_empty()), "{:?}", world.under_way);
    }

    /// On no connection has an end more publishes open than the other end allows, or itself, what is sent again included.
    #[test]
    fn the_quota_is_kept_and_given_back(run in prop_oneof![run(false), run(true)]) {
        let mut world = carry_out(&run)?;
        world.settle().map_err(TestCaseError::fail)?;
        prop_assert_eq!(world.quota().fault.as_ref(), None);
    }
}

/// The runs are about what the properties are about.
#[test]
fn the_runs_reach_their_limits() {
    let mut runner = TestRunner::deterministic();
    let runs = run(true);
    let (mut sum, mut reached) = (Tally::default(), 0);
    for _ in 0..300 {
        let mut world = carry_out(&runs.new_tree(&mut runner).unwrap().current()).unwrap();
        reached += world.quota().reached;
        sum.used += world.tally.used;
        sum.released += world.tally.released;
        sum.full += world.tally.full;
        sum.connections += world.tally.connections;
        sum.losses += world.tally.losses;
    }
    let Tally { used, released, full, connections, losses } = sum;
    assert!(used > 1_500 && released > 800 && full > 100, "{sum:?}");
    assert!(connections > 1_000 && losses > 100 && reached > 300, "{sum:?}, reached {reached}");
}
