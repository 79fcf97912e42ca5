//! What the server's end has besides what both have.

use crate::aliases::TopicAliases;
use crate::engine::state::{ClientHash, Core, SessionLifetime, Support, flags};
use crate::error::CommandError;
use crate::time::Instant;
use crate::wire::{ConnectPacket, PacketId, QoS, Version};

use super::identity::hash;

/// The server's end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Server {
    /// When the last connection of the session ended.
    pub(super) ended: Instant,
    /// Session Expiry Interval and Will Delay Interval, in seconds.
    pub(super) expiry: u32,
    pub(super) will_delay: u32,
    /// The Maximum Packet Size that was announced above the capacity of the inbox; 0: none.
    pub(super) packet_limit: u32,
    pub(super) asked: Asked,
    pub(super) stage: Stage,
    pub(super) will: Will,
    /// What this server has.
    pub(super) support: Support,
    pub(super) dropped: u8,
    /// A request that is to be answered.
    pub(super) pending: Pending,
}

/// What CONNECT asked for, and what the inbox has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Asked {
    pub(super) capacity: usize,
    pub(super) aliases: TopicAliases,
    /// In 3.1.1 a session has no end of its own.
    pub(super) expiry: u32,
    pub(super) will_delay: u32,
    pub(super) client: ClientHash,
    pub(super) keep_alive: u16,
    pub(super) request: Request,
    /// What the will needs of the server.
    pub(super) needs: Support,
    /// The protocol level; 0: CONNECT has not come.
    pub(super) level: u8,
}

/// Where the beginning of a connection stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Stage {
    /// CONNECT is awaited.
    #[default]
    Unconnected,
    /// The application has CONNECT, or AUTH, and is to answer.
    Undecided,
    /// AUTH is awaited.
    Authenticating,
    /// The connection is accepted.
    Accepted,
    /// It is refused.
    Rejected,
}

/// What becomes of the will.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Will {
    /// There is none, or it was taken back. [MQTT-3.14.4-3]
    #[default]
    None,
    /// It is published if the connection ends badly. [MQTT-3.1.2-8]
    Armed,
    /// It is to be told that it is due.
    Due,
}

flags! {
    /// What is one bit each of that.
    Request {
        session_present, with_session_present = 32;
        /// Request Response Information 1.
        inquiring, with_inquiring = 64;
        clean_start, with_clean_start = 1;
        nameless, with_nameless = 2;
        has_will, with_will = 4;
        /// Session Expiry Interval above 0; in 3.1.1 Clean Session 0.
        lasting, with_lasting = 8;
        /// Request Problem Information 0.
        undiagnosed, with_undiagnosed = 16;
    }
}

impl Server {
    /// All zero bits.
    pub(super) const NEW: Self = Self {
        ended: Instant::from_millis(0),
        expiry: 0,
        will_delay: 0,
        packet_limit: 0,
        asked: Asked::NOTHING,
        stage: Stage::Unconnected,
        will: Will::None,
        support: Support::NONE,
        dropped: 0,
        pending: Pending::NOTHING,
    };
}

impl Core<Server> {
    /// When the session ends unless its client comes back. [MQTT-3.1.2-23] of 5.0
    pub(super) fn expires_at(&self) -> Option<Instant> {
        let Server { ended, expiry, .. } = self.end;
        let is_waiting = self.terms.session_lifetime() == SessionLifetime::Kept
            && self.end.stage != Stage::Accepted
            && expiry != u32::MAX;
        is_waiting.then(|| ended.after_millis(u64::from(expiry).saturating_mul(1000)))
    }
}

impl Asked {
    pub(super) const NOTHING: Self = Self {
        capacity: 0,
        aliases: TopicAliases::NONE,
        expiry: 0,
        will_delay: 0,
        client: ClientHash::NONE,
        keep_alive: 0,
        request: Request::NONE,
        needs: Support::NONE,
        level: 0,
    };

    /// A will that this server could not publish must not be accepted. [MQTT-3.2.2-12], [MQTT-3.2.2-13]
    pub(super) const fn check_will(&self, support: Support) -> Result<(), CommandError> {
        let Self { needs, .. } = self;
        if needs.qos_1() && !support.qos_1() || needs.qos_2() && !support.qos_2() {
            Err(CommandError::QosUnsupported)
        } else if needs.retain() && !support.retain() {
            Err(CommandError::RetainUnsupported)
        } else {
            Ok(())
        }
    }

    pub(super) fn read(&mut self, version: Version, connect: &ConnectPacket<'_>) {
        let properties = &connect.properties;
        let forever = !version.is_v5() && !connect.clean_start;
        self.expiry = if forever { u32::MAX } else { properties.session_expiry_interval().unwrap_or(0) };
        self.will_delay = connect.will.and_then(|will| will.properties.will_delay_interval()).unwrap_or(0);
        self.client = hash(connect.client_id);
        self.keep_alive = connect.keep_alive;
        self.request = Request::NONE
            .with_clean_start(connect.clean_start)
            .with_nameless(connect.client_id.is_empty())
            .with_will(connect.will.is_some())
            .with_lasting(self.expiry != 0)
            .with_undiagnosed(properties.request_problem_information() == Some(false))
            .with_inquiring(properties.request_response_information() == Some(true));
        self.needs = connect.will.map_or(Support::NONE, |will| {
            let qos = will.qos;
            let needs = Support::NONE.with_retain(will.retain);
            needs.with_qos_1(qos == QoS::AtLeastOnce).with_qos_2(qos == QoS::ExactlyOnce)
        });
    }
}

/// A request that the application has, and is to answer before the next poll; all zero bits if there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Pending {
    packet_id: Option<PacketId>,
    pub(super) kind: Kind,
    /// How many filters it has.
    pub(super) filters: u16,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Kind {
    #[default]
    Subscribe,
    Unsubscribe,
}

impl Pending {
    pub(super) const NOTHING: Self = Self { packet_id: None, kind: Kind::Subscribe, filters: 0 };

    pub(super) const fn new(packet_id: PacketId, kind: Kind, filters: u16) -> Self {
        Self { packet_id: Some(packet_id), kind, filters }
    }

    /// Its identifier, if there is one.
    pub(super) const fn packet_id(&self) -> Option<PacketId> {
        self.packet_id
    }
}
