//! The tables of receivers row by row, R1 for QoS 1 and R2 for QoS 2, and every combination that there is.

use super::Arrival::{self, Deliver, HandedAgain, InUse, ReceivedAgain, Repeated};
use super::Held::{self, Free, Handed, HandedBefore, Pending, Received, ReceivedBefore};
use super::Level::{self, AtLeastOnce, ExactlyOnce};

const STATES: [Held; 6] = [Free, Pending, Handed, HandedBefore, Received, ReceivedBefore];

type Row = (Held, Level, Arrival, &'static str);

/// A PUBLISH of QoS 1: table R1 (4.4), and the rows of R2 (4.5) about it.
const R1: [Row; 6] = [
    (Free, AtLeastOnce, Deliver, "MQTT-4.3.2-2 (3.1.1), MQTT-4.3.2-5 (5.0): a new message, whatever DUP says"),
    (Pending, AtLeastOnce, Repeated, "R1 Pending: PUBLISH QoS 1, same id, same connection"),
    (Handed, AtLeastOnce, InUse, "R1 None: id is in R2 state Held"),
    (HandedBefore, AtLeastOnce, InUse, "R1 None: id is in R2 state Held"),
    (Received, AtLeastOnce, InUse, "R2 Recv: PUBLISH QoS 1 same id"),
    (ReceivedBefore, AtLeastOnce, InUse, "R2 Recv: PUBLISH QoS 1 same id"),
];

/// A PUBLISH of QoS 2: table R2 (4.5).
const R2: [Row; 6] = [
    (Free, ExactlyOnce, Deliver, "MQTT-4.3.3-2 (3.1.1), MQTT-4.3.3-12 (5.0): a new message, whatever DUP says"),
    (Pending, ExactlyOnce, InUse, "R2 None: id is in R1 state Pending"),
    (Handed, ExactlyOnce, Repeated, "R2 Held: same id on the same connection"),
    (HandedBefore, ExactlyOnce, HandedAgain, "R2 Held: same id after a reconnect, not delivered again"),
    (Received, ExactlyOnce, ReceivedAgain, "MQTT-4.3.3-2 (3.1.1), MQTT-4.3.3-10 (5.0): PUBREC again"),
    (ReceivedBefore, ExactlyOnce, Arrival::ReceivedBefore, "the same, and MQTT-4.6.0-3: PUBREC in its turn"),
];

#[test]
fn each_row_holds() {
    for (state, level, arrival, statement) in R1.into_iter().chain(R2) {
        assert_eq!(state.published(level), arrival, "{state:?}, {level:?}: {statement}");
    }
}

#[test]
fn every_combination_is_in_exactly_one_row() {
    for level in [AtLeastOnce, ExactlyOnce] {
        for state in STATES {
            let rows = R1.iter().chain(&R2).filter(|row| (row.0, row.1) == (state, level));
            assert_eq!(rows.count(), 1, "{state:?}, {level:?}");
        }
    }
}

/// Fails to compile when a state is added, so that it is added to `STATES` too.
const fn place_in_states(state: Held) -> usize {
    match state {
        Free => 0,
        Pending => 1,
        Handed => 2,
        HandedBefore => 3,
        Received => 4,
        ReceivedBefore => 5,
    }
}

#[test]
fn every_state_is_listed() {
    for (place, state) in STATES.into_iter().enumerate() {
        assert_eq!(place_in_states(state), place);
    }
}

/// No message is handed out while its identifier is held: that would be twice. [MQTT-4.3.3-10] of 5.0
#[test]
fn only_a_free_identifier_delivers() {
    for level in [AtLeastOnce, ExactlyOnce] {
        for state in STATES {
            assert_eq!(state.published(level) == Deliver, state == Free, "{state:?}, {level:?}");
        }
    }
}

/// "transport closed, session kept" of both tables.
#[test]
fn carried_over_to_the_next_connection() {
    let rows = [
        (Free, Free, "nothing"),
        (Pending, Free, "R1 Pending: forget; QoS 1 messages received are no session state"),
        (Handed, HandedBefore, "R2 Held: keep the id"),
        (HandedBefore, HandedBefore, "R2 Held: keep the id"),
        (Received, ReceivedBefore, "R2 Recv: keep"),
        (ReceivedBefore, ReceivedBefore, "R2 Recv: keep"),
    ];
    assert_eq!(rows.map(|(before, ..)| before), STATES);
    for (before, after, statement) in rows {
        assert_eq!(before.carried_over(), after, "{before:?}: {statement}");
        assert_eq!(after.carried_over(), after, "{after:?}");
    }
}

/// The repeat of what was handed out before is answered, not refused: a reconnect is the one reason for it.
#[test]
fn what_was_carried_over_may_be_repeated() {
    for state in STATES.map(Held::carried_over) {
        assert_ne!(state.published(ExactlyOnce), Repeated, "{state:?}");
        assert_ne!(state.published(ExactlyOnce), InUse, "{state:?}");
    }
}

#[test]
fn a_table_of_zeros_is_empty() {
    assert_eq!(Held::default(), Free);
}
