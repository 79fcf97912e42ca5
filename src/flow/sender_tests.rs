//! The tables of senders row by row, S1 for QoS 1 and S2 for QoS 2, and every combination that there is.

use super::Counted::{Before, Here};
use super::Level::{AtLeastOnce, ExactlyOnce};
use super::Receipt::{self, NoMatchingSubscribers, Success};
use super::Sent::{
    Abandoned, Expired, Free, GivenUp, GivingUp, Published, Queued, Released, RequestLost, Requesting, Resend,
    ResendRelease,
};
use super::{Reaction, Sent};
use crate::wire::AckType::{self, Puback, Pubcomp, Pubrec};
use crate::wire::ReasonCode;

/// Which reason codes a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Codes {
    Below80,
    From80,
    All,
}

impl Codes {
    fn contain(self, code: ReasonCode) -> bool {
        match self {
            Self::Below80 => (code as u8) < 0x80,
            Self::From80 => (code as u8) >= 0x80,
            Self::All => true,
        }
    }
}

use Codes::{All, Below80, From80};

struct Row {
    states: &'static [Sent],
    kind: AckType,
    codes: Codes,
    reaction: Reaction,
    statement: &'static str,
}

const fn row(states: &'static [Sent], kind: AckType, codes: Codes, reaction: Reaction, statement: &'static str) -> Row {
    Row { states, kind, codes, reaction, statement }
}

const STATES: [Sent; 28] = [
    Free,
    Queued(AtLeastOnce),
    Queued(ExactlyOnce),
    Published(AtLeastOnce),
    Published(ExactlyOnce),
    Resend(AtLeastOnce),
    Resend(ExactlyOnce),
    Released(Here, Success),
    Released(Before, Success),
    Released(Here, NoMatchingSubscribers),
    Released(Before, NoMatchingSubscribers),
    ResendRelease(Success),
    ResendRelease(NoMatchingSubscribers),
    Requesting,
    RequestLost,
    Expired,
    Abandoned,
    GivingUp(AtLeastOnce, Here),
    GivingUp(AtLeastOnce, Before),
    GivingUp(ExactlyOnce, Here),
    GivingUp(ExactlyOnce, Before),
    GivenUp(AtLeastOnce, Here),
    GivenUp(AtLeastOnce, Before),
    GivenUp(ExactlyOnce, Here),
    GivenUp(ExactlyOnce, Before),
    Released(Here, Receipt::GivenUp),
    Released(Before, Receipt::GivenUp),
    ResendRelease(Receipt::GivenUp),
];

/// The kinds that answer what we send; PUBREL goes the other way.
const KINDS: [AckType; 3] = [Puback, Pubrec, Pubcomp];

const SHOWN_ONCE: &[Sent] = &[Published(AtLeastOnce)];
const SHOWN_TWICE: &[Sent] = &[Published(ExactlyOnce)];
const AGAIN_ONCE: &[Sent] = &[Resend(AtLeastOnce)];
const AGAIN_TWICE: &[Sent] = &[Resend(ExactlyOnce)];
const RELEASED_HERE: &[Sent] = &[Released(Here, Success), Released(Here, NoMatchingSubscribers)];
const RELEASED_BEFORE: &[Sent] = &[Released(Before, Success), Released(Before, NoMatchingSubscribers)];
const RELEASE_AGAIN: &[Sent] = &[ResendRelease(Success), ResendRelease(NoMatchingSubscribers)];
const RELEASED: &[Sent] = &[
    Released(Here, Success),
    Released(Before, Success),
    Released(Here, NoMatchingSubscribers),
    Released(Before, NoMatchingSubscribers),
    ResendRelease(Success),
    ResendRelease(NoMatchingSubscribers),
];
const NOT_SHOWN: &[Sent] = &[Queued(AtLeastOnce), Queued(ExactlyOnce), Expired, Abandoned];
const GIVING_ONCE_HERE: &[Sent] = &[GivingUp(AtLeastOnce, Here)];
const GIVING_ONCE_BEFORE: &[Sent] = &[GivingUp(AtLeastOnce, Before)];
const GIVING_TWICE_HERE: &[Sent] = &[GivingUp(ExactlyOnce, Here)];
const GIVING_TWICE_BEFORE: &[Sent] = &[GivingUp(ExactlyOnce, Before)];
const GIVEN_ONCE_HERE: &[Sent] = &[GivenUp(AtLeastOnce, Here)];
const GIVEN_ONCE_BEFORE: &[Sent] = &[GivenUp(AtLeastOnce, Before)];
const GIVEN_TWICE_HERE: &[Sent] = &[GivenUp(ExactlyOnce, Here)];
const GIVEN_TWICE_BEFORE: &[Sent] = &[GivenUp(ExactlyOnce, Before)];
const GIVE_ONCE: &[Sent] = &[
    GivingUp(AtLeastOnce, Here),
    GivingUp(AtLeastOnce, Before),
    GivenUp(AtLeastOnce, Here),
    GivenUp(AtLeastOnce, Before),
];
const GIVE_TWICE: &[Sent] = &[
    GivingUp(ExactlyOnce, Here),
    GivingUp(ExactlyOnce, Before),
    GivenUp(ExactlyOnce, Here),
    GivenUp(ExactlyOnce, Before),
];
const RELEASED_TOLD_HERE: &[Sent] = &[Released(Here, Receipt::GivenUp)];
const RELEASED_TOLD_BEFORE: &[Sent] = &[Released(Before, Receipt::GivenUp), ResendRelease(Receipt::GivenUp)];
const RELEASED_TOLD: &[Sent] =
    &[Released(Here, Receipt::GivenUp), Released(Before, Receipt::GivenUp), ResendRelease(Receipt::GivenUp)];
/// A request is no PUBLISH, so its identifier is unknown to these tables.
const UNKNOWN: &[Sent] = &[Free, Requesting, RequestLost];

const ENDS: Reaction = Reaction::Contradiction;
const STRAY: Reaction = Reaction::Stray { release: false };
const STRAY_PUBREC: Reaction = Reaction::Stray { release: true };

/// Table S1 (4.2).
const S1: &[Row] = &[
    row(NOT_SHOWN, Puback, All, STRAY, "S1 Queued: any ack is as for an unknown id"),
    row(NOT_SHOWN, Pubrec, Below80, STRAY_PUBREC, "S1 Queued: any ack is as for an unknown id"),
    row(NOT_SHOWN, Pubrec, From80, STRAY, "S1 Queued: any ack is as for an unknown id"),
    row(NOT_SHOWN, Pubcomp, All, STRAY, "S1 Queued: any ack is as for an unknown id"),
    row(SHOWN_ONCE, Puback, Below80, Reaction::Accepted(Here), "MQTT-4.3.2-1 (3.1.1), MQTT-4.3.2-3 (5.0)"),
    row(SHOWN_ONCE, Puback, From80, Reaction::Rejected(Here), "MQTT-4.4.0-2 (5.0)"),
    row(SHOWN_ONCE, Pubrec, All, ENDS, "S1 Sent: PUBREC or PUBCOMP with this id"),
    row(SHOWN_ONCE, Pubcomp, All, ENDS, "S1 Sent: PUBREC or PUBCOMP with this id"),
    row(AGAIN_ONCE, Puback, Below80, Reaction::Accepted(Before), "S1 Resend: no re-send, quota unchanged"),
    row(AGAIN_ONCE, Puback, From80, Reaction::Rejected(Before), "S1 Resend: no re-send, quota unchanged"),
    row(AGAIN_ONCE, Pubrec, All, ENDS, "S1 Sent, carried over"),
    row(AGAIN_ONCE, Pubcomp, All, ENDS, "S1 Sent, carried over"),
    row(UNKNOWN, Puback, All, STRAY, "S1 unknown id: ignore, quota unchanged"),
];

/// Table S2 (4.3).
const S2: &[Row] = &[
    row(SHOWN_TWICE, Pubrec, Below80, Reaction::Release(Here), "MQTT-4.3.3-1 (3.1.1), MQTT-4.3.3-4 (5.0)"),
    row(SHOWN_TWICE, Pubrec, From80, Reaction::Rejected(Here), "MQTT-4.4.0-2, MQTT-4.3.3-4 (5.0): no PUBREL"),
    row(SHOWN_TWICE, Puback, All, ENDS, "S2 AwaitRec: PUBACK or PUBCOMP with this id"),
    row(SHOWN_TWICE, Pubcomp, All, ENDS, "S2 AwaitRec: PUBACK or PUBCOMP with this id"),
    row(RELEASED_HERE, Pubrec, Below80, Reaction::ReleaseAgain, "S2 AwaitComp: PUBREC again"),
    row(RELEASED_BEFORE, Pubrec, Below80, Reaction::ReleaseAgain, "S2 AwaitComp: PUBREC again"),
    row(RELEASED, Pubrec, From80, ENDS, "S2 AwaitComp: the peer contradicts itself"),
    row(RELEASED_HERE, Pubcomp, All, Reaction::Accepted(Here), "MQTT-4.3.3-5, 4.9: its PUBLISH took quota here"),
    row(RELEASED_BEFORE, Pubcomp, All, Reaction::Accepted(Before), "4.9: PUBCOMP of an earlier PUBREC: no quota"),
    row(RELEASED, Puback, All, ENDS, "S2 AwaitComp: PUBACK with this id"),
    row(AGAIN_TWICE, Pubrec, Below80, Reaction::Release(Before), "S2 ResendPub: PUBREC before its re-send"),
    row(AGAIN_TWICE, Pubrec, From80, Reaction::Rejected(Before), "S2 ResendPub: PUBREC before its re-send"),
    row(AGAIN_TWICE, Puback, All, ENDS, "S2 AwaitRec, carried over"),
    row(AGAIN_TWICE, Pubcomp, All, ENDS, "S2 AwaitRec, carried over"),
    row(RELEASE_AGAIN, Pubrec, Below80, Reaction::ReleaseAgain, "S2 AwaitComp, carried over: PUBREC again"),
    row(RELEASE_AGAIN, Pubcomp, All, Reaction::Accepted(Before), "S2 ResendRel: PUBCOMP before its re-send"),
    row(UNKNOWN, Pubrec, Below80, STRAY_PUBREC, "MQTT-4.3.3-1 (3.1.1); 5.0: PUBREL 0x92"),
    row(UNKNOWN, Pubrec, From80, STRAY, "S2 unknown id: nothing is sent"),
    row(UNKNOWN, Pubcomp, All, STRAY, "S2 unknown id: ignore, quota unchanged"),
];

/// What the application gives up: it is told once, by the answer if that comes first, and its identifier is free behind the last
/// answer.
const GIVE_UP: &[Row] = &[
    row(GIVING_ONCE_HERE, Puback, Below80, Reaction::Accepted(Here), "as Sent"),
    row(GIVING_ONCE_BEFORE, Puback, Below80, Reaction::Accepted(Before), "as Resend"),
    row(GIVING_ONCE_HERE, Puback, From80, Reaction::Rejected(Here), "as Sent"),
    row(GIVING_ONCE_BEFORE, Puback, From80, Reaction::Rejected(Before), "as Resend"),
    row(GIVING_TWICE_HERE, Pubrec, Below80, Reaction::Release(Here), "as AwaitRec"),
    row(GIVING_TWICE_BEFORE, Pubrec, Below80, Reaction::Release(Before), "as ResendPub"),
    row(GIVING_TWICE_HERE, Pubrec, From80, Reaction::Rejected(Here), "as AwaitRec"),
    row(GIVING_TWICE_BEFORE, Pubrec, From80, Reaction::Rejected(Before), "as ResendPub"),
    row(GIVEN_ONCE_HERE, Puback, Below80, Reaction::Accepted(Here), "as Sent; nothing more is told"),
    row(GIVEN_ONCE_HERE, Puback, From80, Reaction::Rejected(Here), "as Sent; nothing more is told"),
    row(GIVEN_ONCE_BEFORE, Puback, Below80, Reaction::Accepted(Before), "as Resend; nothing more is told"),
    row(GIVEN_ONCE_BEFORE, Puback, From80, Reaction::Rejected(Before), "as Resend; nothing more is told"),
    row(GIVEN_TWICE_HERE, Pubrec, Below80, Reaction::Release(Here), "the peer can finish"),
    row(GIVEN_TWICE_BEFORE, Pubrec, Below80, Reaction::Release(Before), "the peer can finish"),
    row(GIVEN_TWICE_HERE, Pubrec, From80, Reaction::Rejected(Here), "nothing more is told"),
    row(GIVEN_TWICE_BEFORE, Pubrec, From80, Reaction::Rejected(Before), "nothing more is told"),
    row(GIVE_ONCE, Pubrec, All, ENDS, "as Sent"),
    row(GIVE_ONCE, Pubcomp, All, ENDS, "as Sent"),
    row(GIVE_TWICE, Puback, All, ENDS, "as AwaitRec"),
    row(GIVE_TWICE, Pubcomp, All, ENDS, "as AwaitRec"),
    row(RELEASED_TOLD, Pubrec, Below80, Reaction::ReleaseAgain, "as AwaitComp"),
    row(RELEASED_TOLD, Pubrec, From80, ENDS, "as AwaitComp"),
    row(RELEASED_TOLD, Puback, All, ENDS, "as AwaitComp"),
    row(RELEASED_TOLD_HERE, Pubcomp, All, Reaction::Accepted(Here), "nothing more is told"),
    row(RELEASED_TOLD_BEFORE, Pubcomp, All, Reaction::Accepted(Before), "nothing more is told"),
];

fn rows() -> impl Iterator<Item = &'static Row> {
    S1.iter().chain(S2).chain(GIVE_UP)
}

#[test]
fn each_row_holds_for_each_of_its_codes() {
    for row in rows() {
        for &state in row.states {
            for &code in ReasonCode::ALL.iter().filter(|&&code| row.codes.contain(code)) {
                let reaction = state.acknowledged(row.kind, code);
                assert_eq!(reaction, row.reaction, "{state:?}, {:?} {code:?}: {}", row.kind, row.statement);
            }
        }
    }
}

#[test]
fn every_combination_is_in_exactly_one_row() {
    for state in STATES {
        for kind in KINDS {
            for &code in ReasonCode::ALL {
                let found = rows().filter(|row| row.states.contains(&state) && row.kind == kind);
                assert_eq!(found.filter(|row| row.codes.contain(code)).count(), 1, "{state:?}, {kind:?} {code:?}");
            }
        }
    }
}

/// Fails to compile when a state is added, so that it is added to `STATES` too.
const fn place_in_states(state: Sent) -> usize {
    match state {
        Free => 0,
        Queued(AtLeastOnce) => 1,
        Queued(ExactlyOnce) => 2,
        Published(AtLeastOnce) => 3,
        Published(ExactlyOnce) => 4,
        Resend(AtLeastOnce) => 5,
        Resend(ExactlyOnce) => 6,
        Released(Here, Success) => 7,
        Released(Before, Success) => 8,
        Released(Here, NoMatchingSubscribers) => 9,
        Released(Before, NoMatchingSubscribers) => 10,
        ResendRelease(Success) => 11,
        ResendRelease(NoMatchingSubscribers) => 12,
        Requesting => 13,
        RequestLost => 14,
        Expired => 15,
        Abandoned => 16,
        GivingUp(AtLeastOnce, Here) => 17,
        GivingUp(AtLeastOnce, Before) => 18,
        GivingUp(ExactlyOnce, Here) => 19,
        GivingUp(ExactlyOnce, Before) => 20,
        GivenUp(AtLeastOnce, Here) => 21,
        GivenUp(AtLeastOnce, Before) => 22,
        GivenUp(ExactlyOnce, Here) => 23,
        GivenUp(ExactlyOnce, Before) => 24,
        Released(Here, Receipt::GivenUp) => 25,
        Released(Before, Receipt::GivenUp) => 26,
        ResendRelease(Receipt::GivenUp) => 27,
    }
}

#[test]
fn every_state_is_listed() {
    for (place, state) in STATES.into_iter().enumerate() {
        assert_eq!(place_in_states(state), place);
    }
}

/// "transport closed, session kept", and the requests, which are no session state. (table 4.1)
#[test]
fn carried_over_to_the_next_connection() {
    let rows = [
        (Free, Free, "nothing"),
        (Queued(AtLeastOnce), Queued(AtLeastOnce), "S1 Queued: nothing"),
        (Queued(ExactlyOnce), Queued(ExactlyOnce), "S2 Queued, as in S1"),
        (Published(AtLeastOnce), Resend(AtLeastOnce), "S1 Sent: keep message and order; MQTT-4.4.0-1"),
        (Published(ExactlyOnce), Resend(ExactlyOnce), "S2 AwaitRec: keep; MQTT-4.4.0-1"),
        (Resend(AtLeastOnce), Resend(AtLeastOnce), "S1 Resend: it was shown before"),
        (Resend(ExactlyOnce), Resend(ExactlyOnce), "S2 ResendPub: it was shown before"),
        (Released(Here, Success), ResendRelease(Success), "S2 AwaitComp: keep id; MQTT-4.4.0-1"),
        (Released(Before, Success), ResendRelease(Success), "S2 AwaitComp: keep id; MQTT-4.4.0-1"),
        (Released(Here, NoMatchingSubscribers), ResendRelease(NoMatchingSubscribers), "and what PUBREC said"),
        (Released(Before, NoMatchingSubscribers), ResendRelease(NoMatchingSubscribers), "and what PUBREC said"),
        (ResendRelease(Success), ResendRelease(Success), "S2 AwaitComp: even if the PUBREL was never written"),
        (ResendRelease(NoMatchingSubscribers), ResendRelease(NoMatchingSubscribers), "likewise"),
        (Requesting, RequestLost, "4.1: ids of pending SUBSCRIBE and UNSUBSCRIBE are freed, once that is told"),
        (RequestLost, RequestLost, "told on whichever connection"),
        (Expired, Expired, "its outcome is still to be told"),
        (Abandoned, Abandoned, "its outcome is still to be told"),
        (GivingUp(AtLeastOnce, Here), GivingUp(AtLeastOnce, Before), "a given up message is none of this connection's"),
        (
            GivingUp(AtLeastOnce, Before),
            GivingUp(AtLeastOnce, Before),
            "a given up message is none of this connection's",
        ),
        (GivingUp(ExactlyOnce, Here), GivingUp(ExactlyOnce, Before), "a given up message is none of this connection's"),
        (
            GivingUp(ExactlyOnce, Before),
            GivingUp(ExactlyOnce, Before),
            "a given up message is none of this connection's",
        ),
        (GivenUp(AtLeastOnce, Here), GivenUp(AtLeastOnce, Before), "a given up message is none of this connection's"),
        (GivenUp(AtLeastOnce, Before), GivenUp(AtLeastOnce, Before), "a given up message is none of this connection's"),
        (GivenUp(ExactlyOnce, Here), GivenUp(ExactlyOnce, Before), "a given up message is none of this connection's"),
        (GivenUp(ExactlyOnce, Before), GivenUp(ExactlyOnce, Before), "a given up message is none of this connection's"),
        (Released(Here, Receipt::GivenUp), ResendRelease(Receipt::GivenUp), "S2 AwaitComp: keep id; MQTT-4.4.0-1"),
        (Released(Before, Receipt::GivenUp), ResendRelease(Receipt::GivenUp), "S2 AwaitComp: keep id; MQTT-4.4.0-1"),
        (
            ResendRelease(Receipt::GivenUp),
            ResendRelease(Receipt::GivenUp),
            "S2 AwaitComp: even if the PUBREL was never written",
        ),
    ];
    assert_eq!(rows.map(|(before, ..)| before), STATES);
    for (before, after, statement) in rows {
        assert_eq!(before.carried_over(), after, "{before:?}: {statement}");
        // A connection on which nothing happens changes nothing further.
        assert_eq!(after.carried_over(), after, "{after:?}");
    }
}

/// Whatever an old exchange took on its own connection is not given back to the quota of this one. (5.0: 4.9)
#[test]
fn what_was_carried_over_is_not_counted_here() {
    for state in STATES.map(Sent::carried_over) {
        for kind in KINDS {
            for &code in ReasonCode::ALL {
                let reaction = state.acknowledged(kind, code);
                let counted = [Reaction::Accepted(Here), Reaction::Rejected(Here), Reaction::Release(Here)];
                assert!(!counted.contains(&reaction), "{state:?}, {kind:?} {code:?}: {reaction:?}");
            }
        }
    }
}

#[test]
fn each_state_has_a_number_of_five_bits() {
    for state in STATES {
        assert_eq!(Sent::of_number(state.number()), state);
        assert!(state.number() < 32);
    }
    assert_eq!(Free.number(), 0, "a table of zeros is empty");
}

/// The one code of PUBREC below 0x80 that says more than success outlives a PUBCOMP that says no more. (5.0: 3.5.2.1)
#[test]
fn the_outcome_repeats_what_pubrec_said() {
    for state in STATES {
        let said = matches!(state, Released(_, NoMatchingSubscribers) | ResendRelease(NoMatchingSubscribers));
        for &code in ReasonCode::ALL {
            let repeats = said && code == ReasonCode::Success;
            let expected = if repeats { ReasonCode::NoMatchingSubscribers } else { code };
            assert_eq!(state.outcome(code), expected, "{state:?}, {code:?}");
        }
    }
    for &code in ReasonCode::ALL {
        let says_more = code == ReasonCode::NoMatchingSubscribers;
        assert_eq!(Receipt::of(code), if says_more { NoMatchingSubscribers } else { Success }, "{code:?}");
    }
}
