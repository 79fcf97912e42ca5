//! What becomes of a message that we send: the sender's tables of QoS 1 (S1) and QoS 2 (S2) as values.
//! (4.3.2, 4.3.3)

use crate::wire::{AckType, ReasonCode};

/// Where an exchange that we began stands. It has a number of five bits, 0 if there is none.
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
    /// PUBLISH shown once, and given up by the application; its outcome is still to be told.
    GivingUp(Level, Counted),
    /// PUBLISH shown once, and never to be shown again. Its outcome is told, and the identifier stays taken: the peer may know it.
    GivenUp(Level, Counted),
    /// PUBLISH given up, and its session is lost since; its outcome is still to be told.
    Abandoned,
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
    /// The message was given up, so its outcome is told already.
    GivenUp,
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
        let failed = code.is_error();
        let (level, counted) = match self {
            Self::Published(level) => (level, Counted::Here),
            Self::Resend(level) => (level, Counted::Before),
            Self::GivingUp(level, counted) | Self::GivenUp(level, counted) => (level, counted),
            Self::Released(..) | Self::ResendRelease(_) => {
                return match (by, failed) {
                    (Pubrec, false) => Reaction::ReleaseAgain,
                    // Also with 0x92, which is normal after a reconnect.
                    (Pubcomp, _) => Reaction::Accepted(if let Self::Released(counted, _) = self {
                        counted
                    } else {
                        Counted::Before
                    }),
                    _ => Reaction::Contradiction,
                };
            }
            // What was never shown cannot have been answered: the answer is to an exchange long gone.
            Self::Free | Self::Queued(_) | Self::Expired | Self::Abandoned | Self::Requesting | Self::RequestLost => {
                return Reaction::Stray { release: matches!(by, Pubrec) && !failed };
            }
        };
        match (level, by, failed) {
            (Level::AtLeastOnce, Puback, false) => Reaction::Accepted(counted),
            (Level::ExactlyOnce, Pubrec, false) => Reaction::Release(counted),
            (Level::AtLeastOnce, Puback, true) | (Level::ExactlyOnce, Pubrec, true) => Reaction::Rejected(counted),
            _ => Reaction::Contradiction,
        }
    }

    /// What PUBREC with this code says of the message.
    pub(crate) const fn receipt(self, code: ReasonCode) -> Receipt {
        if let Self::GivenUp(..) = self { Receipt::GivenUp } else { Receipt::of(code) }
    }

    /// Whether the outcome was told before, so that nobody waits for the end of the exchange.
    pub(crate) const fn is_told(self) -> bool {
        matches!(self, Self::GivenUp(..) | Self::Released(_, Receipt::GivenUp) | Self::ResendRelease(Receipt::GivenUp))
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
            Self::GivingUp(level, _) => Self::GivingUp(level, Counted::Before),
            Self::GivenUp(level, _) => Self::GivenUp(level, Counted::Before),
            Self::Requesting => Self::RequestLost,
            Self::Free
            | Self::Queued(_)
            | Self::Expired
            | Self::Abandoned
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
            Self::Abandoned => 14,
            Self::ResendRelease(receipt) => 16 | receipt as u16,
            Self::GivingUp(level, counted) => 20 | (level as u16) << 1 | counted as u16,
            Self::GivenUp(level, counted) => 24 | (level as u16) << 1 | counted as u16,
            Self::Requesting => 28,
            Self::RequestLost => 29,
        }
    }

    pub(super) fn of_number(number: u16) -> Self {
        STATES.get(usize::from(number)).copied().unwrap_or(Self::Free)
    }
}

/// The states by their numbers, of which two stand for none.
const STATES: [Sent; 30] = {
    use Counted::{Before, Here};
    use Level::{AtLeastOnce, ExactlyOnce};
    use Receipt::{GivenUp, NoMatchingSubscribers, Success};
    [
        Sent::Free,
        Sent::Expired,
        Sent::Queued(AtLeastOnce),
        Sent::Queued(ExactlyOnce),
        Sent::Published(AtLeastOnce),
        Sent::Published(ExactlyOnce),
        Sent::Resend(AtLeastOnce),
        Sent::Resend(ExactlyOnce),
        Sent::Released(Here, Success),
        Sent::Released(Before, Success),
        Sent::Released(Here, NoMatchingSubscribers),
        Sent::Released(Before, NoMatchingSubscribers),
        Sent::Released(Here, GivenUp),
        Sent::Released(Before, GivenUp),
        Sent::Abandoned,
        Sent::Free,
        Sent::ResendRelease(Success),
        Sent::ResendRelease(NoMatchingSubscribers),
        Sent::ResendRelease(GivenUp),
        Sent::Free,
        Sent::GivingUp(AtLeastOnce, Here),
        Sent::GivingUp(AtLeastOnce, Before),
        Sent::GivingUp(ExactlyOnce, Here),
        Sent::GivingUp(ExactlyOnce, Before),
        Sent::GivenUp(AtLeastOnce, Here),
        Sent::GivenUp(AtLeastOnce, Before),
        Sent::GivenUp(ExactlyOnce, Here),
        Sent::GivenUp(ExactlyOnce, Before),
        Sent::Requesting,
        Sent::RequestLost,
    ]
};

#[cfg(test)]
#[path = "sender_tests.rs"]
mod tests;
