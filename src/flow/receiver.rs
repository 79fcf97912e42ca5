//! What becomes of a message that we receive: the receiver's tables of QoS 1 (R1) and QoS 2 (R2) as
//! values. (4.3.2, 4.3.3)

use super::sender::Level;

/// Where an exchange that the peer began stands. QoS 1 messages that are acknowledged at once have no state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Held {
    /// There is none.
    #[default]
    Free,
    /// QoS 1, handed out, to be acknowledged by the application.
    Pending,
    /// QoS 2, handed out, to be acknowledged by the application.
    Handed,
    /// QoS 2, handed out on an earlier connection; the peer has not repeated it yet.
    HandedBefore,
    /// QoS 2, PUBREC sent, PUBREL awaited.
    Received,
    /// QoS 2, PUBREC sent on an earlier connection, PUBREL awaited; the peer has not repeated the PUBLISH yet.
    ReceivedBefore,
}

/// What a PUBLISH of QoS 1 or 2 does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// A new message: it is handed out.
    Deliver,
    /// A repeat of what was received: PUBREC again, nothing else.
    ReceivedAgain,
    /// The same, for the first time on this connection: PUBREC in its turn. [MQTT-4.6.0-3]
    ReceivedBefore,
    /// A repeat of what the application has not acknowledged yet: its acknowledgement answers it.
    HandedAgain,
    /// A repeat on the same connection, which 3.1.1 allows and 5.0 does not: the acknowledgement of the application answers
    /// both.
    Repeated,
    /// The identifier belongs to an exchange of the other QoS.
    InUse,
}

impl Held {
    /// The reaction to a PUBLISH whatever its DUP flag says. R1: [MQTT-4.3.2-2] in 3.1.1, [MQTT-4.3.2-5] in 5.0. R2:
    /// [MQTT-4.3.3-2] in 3.1.1, [MQTT-4.3.3-10] and [MQTT-4.3.3-12] in 5.0.
    pub(crate) const fn published(self, level: Level) -> Arrival {
        match (self, level) {
            (Self::Free, _) => Arrival::Deliver,
            (Self::Pending, Level::AtLeastOnce) | (Self::Handed, Level::ExactlyOnce) => Arrival::Repeated,
            (Self::HandedBefore, Level::ExactlyOnce) => Arrival::HandedAgain,
            (Self::Received, Level::ExactlyOnce) => Arrival::ReceivedAgain,
            (Self::ReceivedBefore, Level::ExactlyOnce) => Arrival::ReceivedBefore,
            (Self::Pending, Level::ExactlyOnce)
            | (Self::Handed | Self::HandedBefore | Self::Received | Self::ReceivedBefore, Level::AtLeastOnce) => {
                Arrival::InUse
            }
        }
    }

    /// The state once the connection is gone and the session is kept. QoS 1 messages are no session state.
    pub(crate) const fn carried_over(self) -> Self {
        match self {
            Self::Free | Self::Pending => Self::Free,
            Self::Handed | Self::HandedBefore => Self::HandedBefore,
            Self::Received | Self::ReceivedBefore => Self::ReceivedBefore,
        }
    }
}

#[cfg(test)]
#[path = "receiver_tests.rs"]
mod tests;
