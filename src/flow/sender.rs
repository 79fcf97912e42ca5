//! What becomes of a message that we send: the sender's tables of QoS 1 (S1) and QoS 2 (S2) as values.
//! (4.3.2, 4.3.3)

use crate::wire::{AckType, ReasonCode};

/// Where an exchange that we began stands. It has a number of four bits, 0 if there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Sent {
    /// There is none.
    Free,
    /// PUBLISH accepted, never shown to a transport.
    Queued(Level),
    /// PUBLISH expired before it was shown; its outcome is still to be told.
    Expired,
    /// PUBLISH shown on this connection; it counts against the quota.
    Published(Level),
    /// PUBLISH carried over from an earlier connection and not yet shown on this one.
    Resend(Level),
    /// PUBREC received, PUBREL on its way on this connection.
    Released(Counted, Receipt),
    /// PUBREL carried over from an earlier connection and not yet sent on this one.
    ResendRelease(Receipt),
    /// SUBSCRIBE or UNSUBSCRIBE accepted.
    Requesting,
    /// SUBSCRIBE or UNSUBSCRIBE lost with its connection; its outcome is still to be told.
    RequestLost,
}

/// The QoS of a PUBLISH that is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Level {
    AtLeastOnce,
    ExactlyOnce,
}

/// Whether the PUBLISH of an exchange took quota on this connection. (5.0: 4.9)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Counted {
    Here,
    Before,
}

/// What PUBREC said of the message, which the outcome repeats. (5.0: 3.5.2.1)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Receipt {
    Success,
    NoMatchingSubscribers,
}

impl Receipt {
    /// Below 0x80 PUBREC has two codes.
    pub(crate) const fn of(code: ReasonCode) -> Self {
        match code {
            ReasonCode::NoMatchingSubscribers => Self::NoMatchingSubscribers,
            _ => Self::Success,
        }
    }
}

/// What an acknowledgement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reaction {
    /// The exchange is over: accepted.
    Accepted(Counted),
    /// The exchange is over: refused by the peer.
    Rejected(Counted),
    /// The peer owns the message: drop it, send PUBREL.
    Release(Counted),
    /// PUBREL once more.
    ReleaseAgain,
    /// Nobody waits for it. A PUBREC below 0x80 is answered all the same, which unblocks the peer.
    Stray { release: bool },
    /// It contradicts what went before: the connection ends.
    Contradiction,
}

impl Sent {
    /// The reaction to PUBACK, PUBREC or PUBCOMP with `code` (success in 3.1.1).
    ///
    /// S1: [MQTT-4.3.2-1] in 3.1.1, [MQTT-4.3.2-3] and [MQTT-4.4.0-2] in 5.0. S2: [MQTT-4.3.3-1] in 3.1.1,
    /// [MQTT-4.3.3-3] to [MQTT-4.3.3-6] in 5.0. Identifiers: [MQTT-2.3.1-3] in 3.1.1, section 2.2.1 in 5.0.
    pub(crate) const fn acknowledged(self, by: AckType, code: ReasonCode) -> Reaction {
        use AckType::{Puback, Pubcomp, Pubrec};
        use Level::{AtLeastOnce, ExactlyOnce};
        use Reaction::{Accepted, Contradiction, Rejected, Release, ReleaseAgain, Stray};
        match (self, by, code.is_error()) {
            (Self::Published(AtLeastOnce), Puback, false) => Accepted(Counted::Here),
            (Self::Published(AtLeastOnce), Puback, true) => Rejected(Counted::Here),
            (Self::Resend(AtLeastOnce), Puback, false) => Accepted(Counted::Before),
            (Self::Resend(AtLeastOnce), Puback, true) => Rejected(Counted::Before),

            (Self::Published(ExactlyOnce), Pubrec, false) => Release(Counted::Here),
            (Self::Published(ExactlyOnce), Pubrec, true) => Rejected(Counted::Here),
            (Self::Resend(ExactlyOnce), Pubrec, false) => Release(Counted::Before),
            (Self::Resend(ExactlyOnce), Pubrec, true) => Rejected(Counted::Before),

            (Self::Released(..) | Self::ResendRelease(_), Pubrec, false) => ReleaseAgain,
            (Self::Released(..) | Self::ResendRelease(_), Pubrec, true) => Contradiction,
            // Also with 0x92, which is normal after a reconnect.
            (Self::Released(counted, _), Pubcomp, _) => Accepted(counted),
            (Self::ResendRelease(_), Pubcomp, _) => Accepted(Counted::Before),

            // What was never shown cannot have been answered: the answer is to an exchange long gone.
            (Self::Free | Self::Queued(_) | Self::Expired | Self::Requesting | Self::RequestLost, _, failed) => {
                Stray { release: matches!(by, Pubrec) && !failed }
            }
            (Self::Published(_) | Self::Resend(_) | Self::Released(..) | Self::ResendRelease(_), _, _) => Contradiction,
        }
    }

    /// The code with which an exchange ends that PUBACK or PUBCOMP with `code` accepts: where PUBREC said more than a PUBCOMP
    /// with success, that of PUBREC.
    pub(crate) const fn outcome(self, code: ReasonCode) -> ReasonCode {
        match (self, code) {
            (
                Self::Released(_, Receipt::NoMatchingSubscribers) | Self::ResendRelease(Receipt::NoMatchingSubscribers),
                ReasonCode::Success,
            ) => ReasonCode::NoMatchingSubscribers,
            _ => code,
        }
    }

    /// The state once the connection is gone and the session is kept. A queued message stays what it was; a request is
    /// no session state.
    pub(crate) const fn carried_over(self) -> Self {
        match self {
            Self::Published(level) => Self::Resend(level),
            Self::Released(_, receipt) => Self::ResendRelease(receipt),
            Self::Requesting => Self::RequestLost,
            Self::Free
            | Self::Queued(_)
            | Self::Expired
            | Self::Resend(_)
            | Self::ResendRelease(_)
            | Self::RequestLost => self,
        }
    }

    /// The state, and in the low bits what it says besides.
    pub(super) const fn number(self) -> u16 {
        match self {
            Self::Free => 0,
            Self::Expired => 1,
            Self::Queued(level) => 2 | level as u16,
            Self::Published(level) => 4 | level as u16,
            Self::Resend(level) => 6 | level as u16,
            Self::Released(counted, receipt) => 8 | (receipt as u16) << 1 | counted as u16,
            Self::ResendRelease(receipt) => 12 | receipt as u16,
            Self::Requesting => 14,
            Self::RequestLost => 15,
        }
    }

    pub(super) fn of_number(number: u16) -> Self {
        let [low, high] = [number & 1 != 0, number & 2 != 0];
        let level = if low { Level::ExactlyOnce } else { Level::AtLeastOnce };
        let counted = if low { Counted::Before } else { Counted::Here };
        let receipt = |no_matching| if no_matching { Receipt::NoMatchingSubscribers } else { Receipt::Success };
        match number {
            1 => Self::Expired,
            2 | 3 => Self::Queued(level),
            4 | 5 => Self::Published(level),
            6 | 7 => Self::Resend(level),
            8..=11 => Self::Released(counted, receipt(high)),
            12 | 13 => Self::ResendRelease(receipt(low)),
            14 => Self::Requesting,
            15 => Self::RequestLost,
            _ => Self::Free,
        }
    }
}

#[cfg(test)]
#[path = "sender_tests.rs"]
mod tests;
