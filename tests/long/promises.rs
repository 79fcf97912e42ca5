//! The promises of the README, held against random runs of two real ends over a simulated link.
//!
//! A run is a list of operations: publish, acknowledge, cut, come back otherwise, let time pass, lose a session, and so on.
//! What passes on the wire and what the two applications see is written down, and each property judges that by what was
//! promised, without knowing how a session works. A failing run is shrunk and shown as a list and as a sequence chart.
//!
//! `MQTT_CASES=20000 cargo test --release --all-features --test long promises::` makes a long run: so many cases for each property, 600 by
//! default. `MQTT_SEED=7` chooses other cases.
#![cfg(all(feature = "v311", feature = "v5"))]
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a fault here is a failed test")]
#![allow(clippy::arithmetic_side_effects, reason = "numbers are small")]
#![allow(clippy::cast_possible_truncation, reason = "numbers are small")]

mod counts;
mod end;
mod journal;
mod model;
mod operation;
mod properties;
mod turns;
mod world;

use std::collections::BTreeMap;

use journal::{Fact, Wire};
use mqtt_session::sim::Faults;
use mqtt_session::{AckType, CloseReason, PacketId, QoS, ReasonCode, Role, Session, Version, server, strategies};
use operation::ServerPlan;
use operation::{Operation, Script, Setup};
use properties::{Checked, Seen};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use world::{Drawing, World};

/// How many pairs of sizes there are.
pub(crate) const SIZES: usize = 9;

/// Evaluates an expression with the types of a pair of sessions.
macro_rules! with_sizes {
    ($sizes:expr, |$client:ident, $server:ident| $body:expr) => {
        with_sizes!(@ $sizes, $client, $server, $body,
            0 => (512, 8, 8, 256), (512, 8, 8, 256);
            1 => (256, 3, 3, 64), (256, 3, 3, 64);
            2 => (2048, 8, 2, 256), (2048, 8, 3, 256);
            3 => (128, 2, 8, 64), (1024, 8, 1, 64);
            4 => (64, 1, 1, 52), (64, 1, 1, 52);
            5 => (512, 3, 0, 64), (512, 8, 8, 256);
            6 => (512, 0, 3, 256), (512, 3, 0, 64);
            7 => (2048, 8, 8, 64), (256, 2, 8, 64);
            8 => (1024, 20, 3, 128), (1024, 20, 2, 128))
    };
    (@ $sizes:expr, $client:ident, $server:ident, $body:expr,
        $($number:literal => ($($c:literal),+), ($($s:literal),+));+) => {
        match $sizes {
            $($number => {
                type $client = Session<$($c),+>;
                type $server = server::Session<$($s),+>;
                $body
            })+
            other => unreachable!("no sizes {other}"),
        }
    };
}

type Run = (Setup, Vec<Operation>);

/// Plays a run to its end, and draws it if that is asked for.
fn play((setup, operations): &Run, drawing: Drawing) -> (Seen, String) {
    with_sizes!(setup.sizes, |Client, Server| {
        let mut world: World<Client, Server> = World::new(setup, drawing);
        world.run(operations);
        world.settle();
        (
            Seen {
                facts: world.take_facts(),
                retries: retries(setup, operations),
                is_v5: setup.version == Version::V5,
            },
            world.chart(),
        )
    })
}

/// Whether any connection of the run sends again after a time.
fn retries(setup: &Setup, operations: &[Operation]) -> bool {
    let of_plan = |operation: &Operation| matches!(operation, Operation::Reconnect(plan) if plan.retry_interval != 0);
    setup.version == Version::V311 && (setup.plan.retry_interval != 0 || operations.iter().any(of_plan))
}

/// A message that is skipped is known by its topic alone, and with an alias many have the same one: where 5.0 may skip one, none has
/// an alias.
fn number_topics((setup, operations): &mut Run) {
    let exceeds = |operation: &Operation| matches!(operation, Operation::Reconnect(plan) if plan.exceeds);
    if !setup.plan.exceeds && !operations.iter().any(exceeds) {
        return;
    }
    for operation in operations {
        if let Operation::Plain(strategies::Operation::Publish { alias, .. }) = operation {
            *alias = None;
        }
    }
}

/// Holds random runs, perhaps adapted, against a property.
fn check(name: &str, adapt: impl Fn(&mut Run), judge: impl Fn(&Run) -> Checked) {
    let number = |variable: &str| std::env::var(variable).ok().and_then(|text| text.parse().ok());
    let cases: u32 = number("MQTT_CASES").map_or(600, |cases: u64| u32::try_from(cases).unwrap_or(u32::MAX));
    let mut seed = [0; 32];
    for (at, byte) in name.bytes().chain(number("MQTT_SEED").unwrap_or(0).to_le_bytes()).enumerate() {
        seed[at % 32] ^= byte;
    }
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 3000,
        max_shrink_time: 20_000,
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let runs = operation::run().prop_map(|mut run| {
        number_topics(&mut run);
        adapt(&mut run);
        run
    });
    let outcome = runner.run(&runs, |run| judge(&run).map_err(TestCaseError::fail));
    if let Err(TestError::Fail(fault, run)) = outcome {
        let (_, chart) = play(&run, Drawing::Drawn);
        panic!("{name}: {fault}\n{}\n{chart}", Script(&run.0, &run.1));
    }
}

/// Judges what a run leaves behind.
fn judged(name: &str, property: impl Fn(&Seen) -> Checked) {
    check(name, |_| (), |run| property(&play(run, Drawing::Undrawn).0));
}

/// Changes how each connection of a run is asked for.
fn with_plans(run: &mut Run, change: impl Fn(&mut operation::Plan)) {
    change(&mut run.0.plan);
    for operation in &mut run.1 {
        if let Operation::Reconnect(plan) = operation {
            change(plan);
        }
    }
}

macro_rules! properties {
    ($($name:ident),+ $(,)?) => {
        $(#[test]
        fn $name() {
            judged(stringify!($name), properties::$name);
        })+
    };
}

properties!(
    one_outcome_each,
    qos_0_at_most_once,
    qos_1_at_least_once,
    messages_arrive_as_they_were,
    first_deliveries_in_order,
    publishes_leave_in_order,
    handles_live_as_long_as_they_should,
    only_a_known_session_is_resumed,
    everything_finishes,
    identifiers_stand_for_one_thing,
    receive_maximum_is_kept,
    dup_says_whether_it_was_shown,
    releases_follow_the_order_of_receipt,
    nothing_comes_before_connack,
    nothing_exceeds_its_bounds,
    a_refused_command_changes_nothing,
    only_the_unseen_is_taken_back,
    messages_age,
);

#[test]
fn qos_2_exactly_once_automatically() {
    let automatic = |run: &mut Run| with_plans(run, |plan| plan.manual = [false; 2]);
    check("qos_2_exactly_once_automatically", automatic, |run| {
        properties::qos_2_exactly_once(&play(run, Drawing::Undrawn).0)
    });
}

#[test]
fn qos_2_exactly_once_manually() {
    let manual = |run: &mut Run| with_plans(run, |plan| plan.manual = [true; 2]);
    check("qos_2_exactly_once_manually", manual, |run| properties::qos_2_exactly_once(&play(run, Drawing::Undrawn).0));
}

/// Sessions end with their connections, which the client leaves while answers come in.
fn with_hasty_departures(run: &mut Run) {
    let v311 = run.0.version == Version::V311;
    run.0.faults.corrupt_once_in = 0;
    with_plans(run, |plan| {
        plan.clean = v311;
        plan.expiry = 0;
        plan.server = ServerPlan::Accepts;
    });
    let plan = run.0.plan;
    for (number, operation) in run.1.iter_mut().enumerate() {
        *operation = match number % 7 {
            0 => Operation::Plain(strategies::Operation::Step(12)),
            1 => Operation::Burst { from: Role::Client, count: 6 },
            2 => Operation::Burst { from: Role::Server, count: 4 },
            3 => Operation::Plain(strategies::Operation::Step(u16::try_from(5 + number / 7 % 20).unwrap_or(0))),
            4 => Operation::Plain(strategies::Operation::Disconnect {
                by: Role::Client,
                code: ReasonCode::NORMAL_DISCONNECTION,
            }),
            5 => Operation::Plain(strategies::Operation::Quiet),
            _ => Operation::Reconnect(plan),
        };
    }
}

#[test]
fn what_was_confirmed_before_leaving_is_not_lost() {
    check("what_was_confirmed_before_leaving_is_not_lost", with_hasty_departures, |run| {
        properties::what_was_confirmed_before_leaving_is_not_lost(&play(run, Drawing::Undrawn).0)
    });
}

/// The server is never told how many messages the client takes, and has many.
fn with_a_server_that_sends_too_much(run: &mut Run) {
    run.0.version = Version::V5;
    with_plans(run, |plan| {
        plan.server = ServerPlan::Misled;
        plan.clean = false;
        plan.expiry = 3600;
    });
    for operation in run.1.iter_mut().step_by(6) {
        *operation = Operation::Burst { from: Role::Server, count: 5 };
    }
}

#[test]
fn no_peer_is_refused_that_counts_each_pubcomp() {
    check("no_peer_is_refused_that_counts_each_pubcomp", with_a_server_that_sends_too_much, |run| {
        properties::no_peer_is_refused_that_counts_each_pubcomp(&play(run, Drawing::Undrawn).0)
    });
}

/// Two PUBRELs of an earlier connection, a message, and one that is sent again come before an answer leaves, where one message is
/// allowed. The last one may be refused; but not if it comes behind a PUBCOMP, nor may what comes behind both.
#[test]
fn a_message_that_is_sent_again_may_be_the_one_too_many() {
    let id = |id| PacketId::new(id).expect("not 0");
    let refused = |early: usize| {
        let publish = |packet_id, dup| Fact::Arrived {
            from: Role::Server,
            packet: Wire::Publish {
                qos: QoS::ExactlyOnce,
                dup,
                packet_id: Some(id(packet_id)),
                topic: "t/1".into(),
                expiry: None,
                len: 0,
            },
        };
        let shown = |packet| Fact::Shown { from: Role::Client, packet };
        let pubcomp = |packet_id| {
            shown(Wire::Answer { kind: AckType::Pubcomp, packet_id: id(packet_id), code: ReasonCode::Success })
        };
        let mut facts = vec![Fact::Connected, Fact::Allowed(1), publish(7, true)];
        facts.extend([5, 6].map(pubcomp).into_iter().take(early));
        facts.push(publish(8, true));
        facts.push(Fact::Delivered {
            to: Role::Client,
            number: 1,
            qos: QoS::ExactlyOnce,
            packet_id: Some(id(7)),
            intact: true,
            manual: false,
            serial: 1,
        });
        facts.extend([5, 6].map(pubcomp).into_iter().skip(early));
        facts.extend([
            publish(10, false),
            shown(Wire::Disconnect(ReasonCode::ReceiveMaximumExceeded)),
            publish(9, false),
        ]);
        facts.push(Fact::Closed { end: Role::Client, cause: CloseReason::ReceiveMaximumExceeded });
        let seen = Seen { facts: facts.into_iter().map(|fact| (0, fact)).collect(), retries: false, is_v5: true };
        properties::no_peer_is_refused_that_counts_each_pubcomp(&seen)
    };
    assert_eq!(refused(0), Ok(()));
    for early in [1, 2] {
        assert!(refused(early).is_err_and(|fault| fault.contains("refused behind 1 messages")));
    }
}

/// What is skipped is answered before all of it is here, and what is repeated on a connection more than once, so
/// here nothing is. And each application keeps to one
/// way to acknowledge: a message that waits for the application does not hold up the session's own acknowledgements.
fn without_skips(run: &mut Run) {
    let manual = run.0.plan.manual;
    let v311 = run.0.version == Version::V311;
    with_plans(run, |plan| {
        plan.manual = manual;
        plan.retry_interval = 0;
        plan.exceeds = false;
        if v311 {
            plan.inboxes = [512; 2];
        }
    });
}

#[test]
fn acknowledgements_leave_in_order() {
    check("acknowledgements_leave_in_order", without_skips, |run| {
        properties::acknowledgements_leave_in_order(&play(run, Drawing::Undrawn).0)
    });
}

/// The applications refuse some of what they are handed, and the link is cut under their answers.
fn with_refusals_that_are_lost(run: &mut Run) {
    run.0.version = Version::V5;
    with_plans(run, |plan| {
        plan.manual = [true; 2];
        plan.clean = false;
        plan.expiry = 3600;
        plan.exceeds = false;
        plan.server = ServerPlan::Accepts;
    });
    let plan = run.0.plan;
    let acknowledge = |code| strategies::Operation::Acknowledge { by: Role::Client, which: 0, code };
    for (number, operation) in run.1.iter_mut().enumerate() {
        *operation = match number % 10 {
            0 => Operation::Burst { from: Role::Server, count: 5 },
            1 | 8 => Operation::Plain(strategies::Operation::Quiet),
            2 => Operation::Plain(acknowledge(ReasonCode::QuotaExceeded)),
            3 | 4 => Operation::Plain(acknowledge(ReasonCode::Success)),
            5 => Operation::Plain(strategies::Operation::Step(u16::try_from(number / 10 % 4).unwrap_or(0))),
            6 => Operation::Plain(strategies::Operation::Cut),
            7 => Operation::Reconnect(plan),
            _ => continue,
        };
    }
}

#[test]
fn acknowledgements_leave_in_order_where_refusals_are_lost() {
    check("acknowledgements_leave_in_order_where_refusals_are_lost", with_refusals_that_are_lost, |run| {
        properties::acknowledgements_leave_in_order(&play(run, Drawing::Undrawn).0)
    });
}

#[test]
fn acknowledgements_come_after_the_application() {
    check("acknowledgements_come_after_the_application", without_skips, |run| {
        properties::acknowledgements_come_after_the_application(&play(run, Drawing::Undrawn).0)
    });
}

/// The same run leads to the same facts at the same times and to the same chart, and so it does if sessions are replaced by
/// their clones all the time.
#[test]
fn the_same_comes_of_the_same() {
    check(
        "the_same_comes_of_the_same",
        |_| (),
        |run| {
            let [(first, chart), (second, again), (cloned, of_clones)] =
                [Drawing::Drawn, Drawing::Drawn, Drawing::DrawnOfClones].map(|drawing| play(run, drawing));
            let same = first.facts == second.facts && chart == again;
            let same_of_clones = first.facts == cloned.facts && chart == of_clones;
            if same && same_of_clones { Ok(()) } else { Err(format!("two runs differ: {same}, {same_of_clones}")) }
        },
    );
}

/// Whatever has happened: once all is done a session equals one to which nothing has happened, and takes as much.
#[test]
fn after_all_is_done_a_session_is_as_good_as_new() {
    check(
        "after_all_is_done_a_session_is_as_good_as_new",
        |_| (),
        |(setup, operations)| {
            let calm = Setup { faults: Faults::NONE, ..setup.clone() };
            with_sizes!(setup.sizes, |Client, Server| {
                let mut used: World<Client, Server> = World::new(setup, Drawing::Undrawn);
                used.run(operations);
                let mut new: World<Client, Server> = World::new(&calm, Drawing::Undrawn);
                // Twice, so that the last connection of each goes on with a session.
                let done = [&mut used, &mut new]
                    .into_iter()
                    .all(|world| world.settle() && world.come_again() && world.come_again());
                // What was sent and may not be sent again stays open on the other end, until the session ends. So does what a
                // client holds of a session whose loss it never heard of.
                let facts = used.take_facts();
                if properties::gave_up_what_was_sent(&facts) || properties::was_estranged(&facts) {
                    return Ok(());
                }
                if !done {
                    return Err("not everything came to its end".into());
                }
                if used.client.session != new.client.session || used.server.session != new.server.session {
                    return Err("two sessions that mean the same are not equal".into());
                }
                let taken = [&mut used, &mut new].map(fill);
                if taken[0] == taken[1] { Ok(()) } else { Err(format!("now and when new: {taken:?}")) }
            })
        },
    );
}

/// Publishes until nothing more is taken, twice over; tells how many messages each end took.
fn fill<C: end::ClientEnd, S: end::ServerEnd>(world: &mut World<C, S>) -> Vec<u32> {
    let mut taken = Vec::new();
    for (from, len) in [(Role::Client, 8), (Role::Server, 8), (Role::Client, 30), (Role::Server, 30)] {
        let mut count = 0;
        while count < 100 && world.publish(from, QoS::AtLeastOnce, len, false, None, Some(1), false) {
            count += 1;
        }
        taken.push(count);
        taken.push(u32::from(world.rest()));
    }
    taken
}

/// A store that is full, and stays so, holds up nothing else: the other end's messages are answered to their end, PINGREQ
/// leaves, and so does DISCONNECT.
#[test]
fn a_full_store_blocks_nothing() {
    let adapt = |run: &mut Run| {
        with_plans(run, |plan| {
            plan.server = ServerPlan::Accepts;
            plan.keep_alive = 60;
        });
    };
    check("a_full_store_blocks_nothing", adapt, |(setup, operations)| {
        with_sizes!(setup.sizes, |Client, Server| {
            let mut world: World<Client, Server> = World::new(setup, Drawing::Undrawn);
            world.run(operations);
            world.stay_full()
        })
    });
}

/// Over the runs of some fixed seeds everything occurs that the properties are about.
#[test]
fn the_runs_are_interesting() {
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &[1; 32]));
    let mut counts = BTreeMap::new();
    for _ in 0..800 {
        let run = operation::run().new_tree(&mut runner).expect("every run is possible").current();
        counts::count(&play(&run, Drawing::Undrawn).0.facts, &mut counts);
    }
    println!("{counts:#?}");
    let missing: Vec<_> =
        counts::SITUATIONS.iter().filter(|name| counts.get(*name).is_none_or(|&count| count < 2)).collect();
    assert!(missing.is_empty(), "{missing:?} in {counts:?}");
}
