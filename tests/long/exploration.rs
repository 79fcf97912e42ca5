//! Every state that the two real ends can get into together, with `stateright`.
//!
//! A state is a client's session, a server's session, their inboxes, what is under way between them, and a ledger of what
//! was accepted, written, delivered and told. From each state everything is tried that can happen next: an application
//! publishes or, with manual acknowledgement, acknowledges any message in its hands; an end is polled; a packet arrives; the
//! link is cut, and of what is under way in each direction any number of packets still arrives; a write fails though it
//! arrived; one is split, or reported only after other things have happened; the server loses its session; a new connection
//! begins, at once or after the old one was drained, with a clean start or without; an attempt comes to nothing. No depth limits it, only how often the link is cut and so on.
//!
//! In every state each promise holds (`model.rs`), and from every state a run without another fault brings everything to a
//! good end: every message accepted, every outcome told, nothing left in either session.
//!
//! What is left out, and why nothing is missed by it:
//!
//! * Time stands still, and there is no keep alive: nothing here depends on time.
//! * Where things lie in a session, which place of a table was chosen, and generations do not count: equality and hash of
//!   sessions leave them out. What they leave out besides counts here: which identifiers come next (the ledger keeps the
//!   order in which they became free), whether somebody waits for `Writable` (it is asked of a copy), and whether another
//!   message fits.
//! * A packet goes from the link into an inbox when the end has taken all before it and has nothing else to tell: until then
//!   it may as well be under way, and a cut may drop it or not. Where a cut follows, several arrive at once.
//! * What a poll wants to write is written in the same step: before that nobody else sees it. Writes in pieces and late
//!   reports are steps of their own.
//! * After a cut each end is drained in one step, or not at all: the ends have nothing to do with each other then. An end that
//!   goes on for a while without noticing does what it could have done before the cut, and all of it is lost.
//! * How often a message was delivered beyond the first time is not counted: for QoS 1 it means nothing, otherwise it is a
//!   fault at once.
//! * The exploration ends where the client takes a session for the one that it knows, after it missed the CONNACK that said
//!   that this is a new one. MQTT has no means against that; a test shows it.
//!
//! Small configurations are explored by `cargo test`, the large ones by
//!
//! ```text
//! cargo test --release --all-features --test long exploration:: -- --ignored --nocapture --test-threads 1
//! ```
//!
//! The largest of them has 2.2 million states and takes less than a minute and 1 GB on two cores. `--nocapture` shows how many
//! states each has, and the charts of the seeded defects.
#![cfg(all(feature = "v311", feature = "v5"))]
#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a fault here is a failed test"
)]

mod defects;
mod drawing;
mod ends;
mod ledger;
mod link;
mod model;
mod plan;
mod world;

use mqtt_session::{LostSession, QoS, Version};

use defects::{Defect, SEEDED};
use model::{Exploration, Found, LIMITED, RELIEVED};
use plan::Plan;

const Q0: QoS = QoS::AtMostOnce;
const Q1: QoS = QoS::AtLeastOnce;
const Q2: QoS = QoS::ExactlyOnce;

/// Room for three messages.
type Roomy = Exploration<96, 3, 3>;
/// Two at a time, so that places and identifiers are used again; the client's end keeps one place for requests.
type Narrow = Exploration<96, 3, 2>;
/// One at a time.
type Single = Exploration<96, 3, 1>;
/// The store takes one message.
type Scarce = Exploration<32, 3, 3>;

/// Two cuts, one loss of the server's session, one write that is split or reported late.
fn faulty(version: Version, client: &'static [QoS], server: &'static [QoS]) -> Plan {
    Plan { cuts: 2, losses: 1, oddities: 1, ..Plan::new(version, client, server) }
}

/// Both versions.
fn in_both(explore: impl Fn(Version)) {
    for version in [Version::V311, Version::V5] {
        explore(version);
    }
}

#[test]
fn one_way() {
    in_both(|version| {
        Roomy::assert_sound("QoS 2, 1 from the client", faulty(version, &[Q2, Q1], &[]));
        Roomy::assert_sound("QoS 2, 1 from the server", faulty(version, &[], &[Q2, Q1]));
        Roomy::assert_sound("QoS 1, 0 from the client", faulty(version, &[Q1, Q0], &[]));
        Roomy::assert_sound("QoS 1, 0 from the server", faulty(version, &[], &[Q1, Q0]));
    });
}

#[test]
fn both_ways() {
    in_both(|version| {
        Roomy::assert_sound("QoS 2 both ways", faulty(version, &[Q2], &[Q2]));
    });
}

#[test]
fn manual_acknowledgement() {
    in_both(|version| {
        let plan = Plan { manual: true, oddities: 0, ..faulty(version, &[], &[Q2, Q1]) };
        Roomy::assert_sound("manually: QoS 2, 1 from the server", plan);
        let plan = Plan { manual: true, oddities: 0, ..faulty(version, &[Q1, Q2], &[]) };
        Roomy::assert_sound("manually: QoS 1, 2 from the client", plan);
    });
}

/// An application refuses a message, and the refusal may be lost.
#[test]
fn refusals() {
    let plan = |client, server| Plan {
        manual: true,
        refusals: 1,
        oddities: 0,
        losses: 0,
        ..faulty(Version::V5, client, server)
    };
    Roomy::assert_sound("refused: QoS 2, 2 from the server", plan(&[], &[Q2, Q2]));
    Roomy::assert_sound("refused: QoS 1, 2 from the client", plan(&[Q1, Q2], &[]));
}

/// An application gives up a message that was sent: it is told once, nothing is sent again, and a late answer disturbs nobody.
#[test]
fn given_up() {
    in_both(|version| {
        let plan = |client, server| Plan { give_ups: 1, oddities: 0, ..faulty(version, client, server) };
        Roomy::assert_sound("given up: QoS 2, 1 from the client", plan(&[Q2, Q1], &[]));
        Roomy::assert_sound("given up: QoS 2, 1 from the server", plan(&[], &[Q2, Q1]));
        let narrow = |client, server| Plan { cuts: 1, ..plan(client, server) };
        Narrow::assert_sound("given up, two at a time: QoS 1, 2, 2 from the client", narrow(&[Q1, Q2, Q2], &[]));
        Narrow::assert_sound("given up, two at a time: QoS 2, 1, 2 from the server", narrow(&[], &[Q2, Q1, Q2]));
    });
}

#[test]
fn receive_maximum() {
    let plan = Plan { oddities: 0, ..faulty(Version::V5, &[Q2, Q1, Q2], &[]) };
    let seen = Narrow::assert_sound("Receive Maximum 2 or 1: QoS 2, 1, 2", plan);
    assert!(seen.contains(&LIMITED));
    let plan = Plan { oddities: 0, ..faulty(Version::V5, &[], &[Q1, Q2, Q1]) };
    Single::assert_sound("Receive Maximum 1: QoS 1, 2, 1", plan);
}

#[test]
fn full_store() {
    in_both(|version| {
        let plan = Plan { oddities: 0, losses: 0, ..faulty(version, &[Q2, Q1], &[Q2]) };
        let seen = Scarce::assert_sound("full store: QoS 2, 1 against 2", plan);
        assert!(seen.contains(&RELIEVED));
        Scarce::assert_sound("full store: QoS 0, 1, 2 from the client", faulty(version, &[Q0, Q1, Q2], &[]));
        Scarce::assert_sound("full store: QoS 0, 2, 0 from the server", faulty(version, &[], &[Q0, Q2, Q0]));
    });
}

/// What the client does with what was in flight when the server has lost the session.
#[test]
fn lost_sessions() {
    for lost_session in [LostSession::Report, LostSession::Republish] {
        in_both(|version| {
            let plan = Plan { lost_session, ..faulty(version, &[Q2, Q1], &[]) };
            Roomy::assert_sound(&format!("{lost_session:?}: QoS 2, 1 from the client"), plan);
        });
    }
}

/// Attempts to connect that come to nothing, and clean starts that are not confirmed at once: only a session that is known is
/// resumed, and what is known stays known.
#[test]
fn beginnings() {
    in_both(|version| {
        for messages in [[&[Q2][..], &[]], [&[], &[Q2]]] {
            let plan = Plan { messages, attempts: 2, cleans: 2, losses: 1, cuts: 2, ..Plan::new(version, &[], &[]) };
            Roomy::assert_sound("beginnings: QoS 2 from either end", plan);
        }
        let plan = Plan { attempts: 1, cleans: 1, losses: 1, ..Plan::new(version, &[Q2], &[Q2]) };
        Roomy::assert_sound("beginnings: QoS 2 both ways", plan);
    });
}

/// The model checker knows states by their hashes alone.
#[test]
fn hashes_tell_states_apart() {
    in_both(|version| {
        assert!(Roomy::assert_hashes_tell_apart(Plan { losses: 1, ..Plan::new(version, &[Q2], &[Q2]) }) > 1_000);
        let plan = Plan { manual: true, cuts: 2, ..Plan::new(version, &[], &[Q2, Q1]) };
        assert!(Narrow::assert_hashes_tell_apart(plan) > 1_000);
        let plan = Plan { give_ups: 1, cuts: 1, losses: 1, ..Plan::new(version, &[Q2, Q1], &[]) };
        assert!(Roomy::assert_hashes_tell_apart(plan) > 1_000);
    });
}

/// A fault is found, and drawn.
fn assert_found(name: &str, found: Found, property: &str) {
    let Found { states, broken, .. } = found;
    let chart = broken.iter().find(|(broken, _)| *broken == property).map(|(_, chart)| chart);
    let chart = chart.unwrap_or_else(|| panic!("{name}: not found to break \"{property}\", but {broken:?}"));
    println!("{name} breaks \"{property}\", as {states} states show:\n{chart}\n");
}

#[test]
fn seeded_defects_are_found() {
    for (defect, messages, property) in SEEDED {
        let plan = Plan {
            messages,
            losses: u8::from(matches!(defect, Defect::KeepsLostSession | Defect::KeepsUntoldSession)),
            cuts: if defect == Defect::KeepsUntoldSession { 2 } else { 1 },
            oddities: u8::from(defect == Defect::FinishesHalfPacket),
            beyond: defect == Defect::KeepsLostSession,
            manual: defect == Defect::AnswersRepeatsFirst,
            refusals: u8::from(defect == Defect::AnswersRepeatsFirst),
            defect: Some(defect),
            ..Plan::new(Version::V5, &[], &[])
        };
        let is_limited = defect == Defect::IgnoresReceiveMaximum;
        let found = if is_limited { Single::explore(plan, 1) } else { Roomy::explore(plan, 1) };
        assert_found(&format!("{defect:?}"), found, property);
    }
}

/// What MQTT cannot do: the server loses its session, and the CONNACK that says so is lost, too. The next one says that there
/// is a session, and it is not the one that the client means: a new message that happens to have an identifier which the
/// client still holds is taken for a repeat.
#[test]
fn nobody_notices_a_session_that_was_lost_unheard() {
    in_both(|version| {
        let plan = Plan { beyond: true, cuts: 2, losses: 1, ..Plan::new(version, &[], &[Q2, Q2]) };
        assert_found("a loss unheard", Roomy::explore(plan, 1), "what is acknowledged was delivered");
    });
}

#[test]
#[ignore = "takes minutes"]
fn large_one_way() {
    in_both(|version| {
        Roomy::assert_sound("QoS 2, 1, 0 from the client", faulty(version, &[Q2, Q1, Q0], &[]));
        Roomy::assert_sound("QoS 2, 1, 0 from the server", faulty(version, &[], &[Q2, Q1, Q0]));
        Narrow::assert_sound("two at a time: QoS 1, 2, 2 from the client", faulty(version, &[Q1, Q2, Q2], &[]));
        Narrow::assert_sound("two at a time: QoS 1, 2, 2 from the server", faulty(version, &[], &[Q1, Q2, Q2]));
        let plan = Plan { cuts: 3, oddities: 2, ..faulty(version, &[Q2, Q1, Q2], &[]) };
        Roomy::assert_sound("3 cuts, 2 odd writes: QoS 2, 1, 2 from the client", plan);
    });
}

#[test]
#[ignore = "takes minutes"]
fn large_both_ways() {
    in_both(|version| {
        Roomy::assert_sound("QoS 2, 1 against 2", faulty(version, &[Q2, Q1], &[Q2]));
        Roomy::assert_sound("QoS 2 against 1, 2", faulty(version, &[Q2], &[Q1, Q2]));
        Roomy::assert_sound("QoS 0, 2 against 1", faulty(version, &[Q0, Q2], &[Q1]));
        Roomy::assert_sound("QoS 2, 1 against 1, 2", faulty(version, &[Q2, Q1], &[Q1, Q2]));
        Roomy::assert_sound("QoS 2, 1, 0 against 2", faulty(version, &[Q2, Q1, Q0], &[Q2]));
    });
}

#[test]
#[ignore = "takes minutes"]
fn large_beginnings() {
    in_both(|version| {
        let plan = Plan { attempts: 1, cleans: 1, ..faulty(version, &[Q2], &[Q2]) };
        Roomy::assert_sound("beginnings: QoS 2 both ways", plan);
        let plan = Plan { attempts: 2, cleans: 2, manual: true, ..faulty(version, &[], &[Q2, Q1]) };
        Roomy::assert_sound("beginnings, manually: QoS 2, 1 from the server", plan);
    });
}

#[test]
#[ignore = "takes minutes"]
fn large_manual() {
    in_both(|version| {
        let plan = |client, server| Plan { manual: true, ..faulty(version, client, server) };
        Roomy::assert_sound("manually: QoS 2, 1, 2 from the server", plan(&[], &[Q2, Q1, Q2]));
        Roomy::assert_sound("manually: QoS 2, 1 against 2", plan(&[Q2, Q1], &[Q2]));
    });
    let plan = Plan { manual: true, refusals: 2, ..faulty(Version::V5, &[], &[Q2, Q1, Q2]) };
    Roomy::assert_sound("refused twice: QoS 2, 1, 2 from the server", plan);
}

#[test]
#[ignore = "takes minutes"]
fn large_limits() {
    in_both(|version| {
        Scarce::assert_sound("full store: QoS 2, 1 against 2", faulty(version, &[Q2, Q1], &[Q2]));
    });
    let version = Version::V5;
    Narrow::assert_sound("Receive Maximum 2 or 1: QoS 2, 1, 2", faulty(version, &[Q2, Q1, Q2], &[]));
    Narrow::assert_sound("Receive Maximum 2 or 1: QoS 2, 2 against 2", faulty(version, &[Q2, Q2], &[Q2]));
    Single::assert_sound("Receive Maximum 1: QoS 2, 1 against 2", faulty(version, &[Q2, Q1], &[Q2]));
}
