//! What is explored: what there is to publish, and what may go wrong how often.

use mqtt_session::{Acknowledge, LostSession, QoS, Role, Version};

use super::defects::Defect;

/// A configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) version: Version,
    /// What the client publishes, and what the server does, in order.
    pub(crate) messages: [&'static [QoS]; 2],
    /// Whether the applications acknowledge, in any order, or the sessions do.
    pub(crate) manual: bool,
    /// How many messages the applications refuse at most, where they acknowledge. (5.0)
    pub(crate) refusals: u8,
    /// How many messages that were sent the applications give up at most.
    pub(crate) give_ups: u8,
    pub(crate) lost_session: LostSession,
    /// How often the link is cut, and how often the server loses its session, at most.
    pub(crate) cuts: u8,
    pub(crate) losses: u8,
    /// How many attempts to connect come to nothing, and how many connections begin with a clean start, at most.
    pub(crate) attempts: u8,
    pub(crate) cleans: u8,
    /// How many writes are split, or reported late, at most.
    pub(crate) oddities: u8,
    /// Whether to go on where the client takes a new session for the old one.
    pub(crate) beyond: bool,
    pub(crate) defect: Option<Defect>,
}

impl Plan {
    pub(crate) const fn new(version: Version, client: &'static [QoS], server: &'static [QoS]) -> Self {
        Self {
            version,
            messages: [client, server],
            manual: false,
            refusals: 0,
            give_ups: 0,
            lost_session: LostSession::Standard,
            cuts: 1,
            losses: 0,
            attempts: 0,
            cleans: 0,
            oddities: 0,
            beyond: false,
            defect: None,
        }
    }

    pub(crate) const fn is_v5(&self) -> bool {
        matches!(self.version, Version::V5)
    }

    pub(crate) const fn acknowledgement(&self) -> Acknowledge {
        if self.manual { Acknowledge::Manually } else { Acknowledge::AfterHandling }
    }
}

impl Plan {
    /// Whether a message of QoS 2 may arrive twice, if the server loses its session: 3.1.1 sends again into the new one.
    pub(crate) fn repeats_after_loss(&self, sender: Role) -> bool {
        let republished = self.lost_session == LostSession::Republish;
        let standard = self.lost_session == LostSession::Standard && !self.is_v5();
        sender == Role::Client && (republished || standard)
    }
}
