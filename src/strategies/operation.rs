//! What applications do with their sessions, and what happens meanwhile.

use core::num::NonZeroU16;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::Union;

use crate::wire::{QoS, ReasonCode, Role, Version};

use super::alloc::vec;
use super::alloc::vec::Vec;

/// What happens next. Whoever carries it out decides what a topic number stands for, and leaves out what does not apply.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Nothing, until nothing moves any more.
    Quiet,
    /// So many steps of the simulation.
    Step(u16),
    /// Milliseconds pass.
    Pass(u32),
    /// A message is published.
    Publish {
        /// By which end.
        from: Role,
        /// How.
        qos: QoS,
        /// Whether the server is to keep it.
        retain: bool,
        /// The number of its topic.
        topic: usize,
        /// How many bytes its payload has.
        len: usize,
        /// Its Message Expiry Interval in seconds. (5.0)
        expiry: Option<u32>,
        /// Its topic alias. (5.0)
        alias: Option<NonZeroU16>,
    },
    /// The client subscribes.
    Subscribe {
        /// To the topic with this number,
        topic: usize,
        /// and to those behind it: so many in all.
        count: usize,
        /// How.
        qos: QoS,
    },
    /// The client unsubscribes.
    Unsubscribe {
        /// From the topic with this number,
        topic: usize,
        /// and from those behind it: so many in all.
        count: usize,
    },
    /// A received message is acknowledged.
    Acknowledge {
        /// By which end.
        by: Role,
        /// Which of those that wait for it, modulo their number.
        which: usize,
        /// How; [`ReasonCode::Success`] in 3.1.1.
        code: ReasonCode,
    },
    /// A publish is taken back, if it is not too late.
    Cancel {
        /// By which end.
        from: Role,
        /// Which of those that are under way, modulo their number.
        which: usize,
    },
    /// A publish that was sent is given up.
    GiveUp {
        /// By which end.
        from: Role,
        /// Which of those that are under way, modulo their number.
        which: usize,
    },
    /// An end leaves.
    Disconnect {
        /// Which.
        by: Role,
        /// Why; [`ReasonCode::NORMAL_DISCONNECTION`] in 3.1.1.
        code: ReasonCode,
    },
    /// The client comes back over a new transport, whatever has become of the old one.
    Reconnect,
    /// The link is cut now.
    Cut,
    /// The link is cut after so many more bytes.
    CutAfter(usize),
    /// The server loses its session, and its connection.
    Lose,
}

/// How often there is an operation of each kind, relative to the others; 0: never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weights {
    /// [`Operation::Quiet`].
    pub quiet: u32,
    /// [`Operation::Step`].
    pub step: u32,
    /// [`Operation::Pass`].
    pub pass: u32,
    /// [`Operation::Publish`] of QoS 0, 1 and 2.
    pub publish: [u32; 3],
    /// [`Operation::Subscribe`].
    pub subscribe: u32,
    /// [`Operation::Unsubscribe`].
    pub unsubscribe: u32,
    /// [`Operation::Acknowledge`].
    pub acknowledge: u32,
    /// [`Operation::Cancel`].
    pub cancel: u32,
    /// [`Operation::GiveUp`].
    pub give_up: u32,
    /// [`Operation::Disconnect`].
    pub disconnect: u32,
    /// [`Operation::Reconnect`].
    pub reconnect: u32,
    /// [`Operation::Cut`].
    pub cut: u32,
    /// [`Operation::CutAfter`].
    pub cut_after: u32,
    /// [`Operation::Lose`].
    pub lose: u32,
}

impl Weights {
    /// Nothing ever: what is wanted is added to it.
    pub const NONE: Self = Self {
        quiet: 0,
        step: 0,
        pass: 0,
        publish: [0; 3],
        subscribe: 0,
        unsubscribe: 0,
        acknowledge: 0,
        cancel: 0,
        give_up: 0,
        disconnect: 0,
        reconnect: 0,
        cut: 0,
        cut_after: 0,
        lose: 0,
    };
}

/// Everything, most often publishes and steps.
impl Default for Weights {
    fn default() -> Self {
        Self {
            quiet: 5,
            step: 10,
            pass: 1,
            publish: [4, 3, 7],
            subscribe: 1,
            unsubscribe: 1,
            acknowledge: 5,
            cancel: 1,
            give_up: 1,
            disconnect: 1,
            reconnect: 3,
            cut: 2,
            cut_after: 3,
            lose: 1,
        }
    }
}

/// Operations, within limits. A failure shrinks to few operations, and those to simple ones.
///
/// ```
/// use mqtt_session::strategies::{Operation, Operations, Weights};
/// use mqtt_session::{Role, Version};
/// use proptest::prelude::*;
///
/// # #[cfg(feature = "v311")] {
/// // An application that publishes with QoS 1 and leaves now and then.
/// let weights = Weights { publish: [0, 9, 0], disconnect: 1, step: 5, ..Weights::NONE };
/// let operations = Operations { by: Some(Role::Client), weights, ..Operations::new(Version::V311) };
/// proptest!(|(list in operations.list())| {
///     prop_assert!(!list.contains(&Operation::Cut));
/// });
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operations {
    /// The version: in 3.1.1 there is neither expiry nor alias, and success is the only code.
    pub version: Version,
    /// The end whose application acts; `None`: both.
    pub by: Option<Role>,
    /// How many operations a list has at most.
    pub most: usize,
    /// How many topics there are; 0 counts as 1.
    pub topics: usize,
    /// How many bytes a payload has at most; most have less than 20.
    pub payload: usize,
    /// Whether some messages expire.
    pub expiry: bool,
    /// The highest topic alias; 0: none.
    pub aliases: u16,
    /// After how many bytes at most [`Operation::CutAfter`] cuts.
    pub within: usize,
    /// How often there is what.
    pub weights: Weights,
}

type Weighted = (u32, BoxedStrategy<Operation>);

impl Operations {
    /// Up to 70 operations of all kinds by both ends, on eight topics, with payloads of up to 200 bytes and aliases of up
    /// to 2.
    #[must_use]
    pub fn new(version: Version) -> Self {
        Self {
            version,
            by: None,
            most: 70,
            topics: 8,
            payload: 200,
            expiry: true,
            aliases: 2,
            within: 80,
            weights: Weights::default(),
        }
    }

    /// A list of operations.
    pub fn list(self) -> BoxedStrategy<Vec<Operation>> {
        vec(self.one(), 0..=self.most).boxed()
    }

    /// A single operation. Where nothing is ever to happen it is [`Operation::Quiet`].
    pub fn one(self) -> BoxedStrategy<Operation> {
        let [meanwhile, acts, requests, link] = [self.meanwhile(), self.acts(), self.requests(), self.link()];
        let all = [meanwhile, acts, requests, link].into_iter().flatten();
        let possible: Vec<_> = all.filter(|(weight, _)| *weight != 0).collect();
        if possible.is_empty() { Just(Operation::Quiet).boxed() } else { Union::new_weighted(possible).boxed() }
    }

    fn meanwhile(self) -> Vec<Weighted> {
        // Shorter than any limit, as long as one, longer than a keep alive, and longer than a session.
        let pass = select(vec![50, 900, 3_000, 20_000, 4_000_000]);
        vec![
            (self.weights.quiet, Just(Operation::Quiet).boxed()),
            (self.weights.step, (1..40_u16).prop_map(Operation::Step).boxed()),
            (self.weights.pass, pass.prop_map(Operation::Pass).boxed()),
        ]
    }

    /// What both ends do.
    fn acts(self) -> Vec<Weighted> {
        let levels = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
        let publishes = self.weights.publish.into_iter().zip(levels).map(|(weight, qos)| (weight, self.publish(qos)));
        let code = if self.version.is_v5() {
            select(vec![
                ReasonCode::Success,
                ReasonCode::Success,
                ReasonCode::QuotaExceeded,
                ReasonCode::UnspecifiedError,
            ])
            .boxed()
        } else {
            Just(ReasonCode::Success).boxed()
        };
        let acknowledge =
            (self.role(), which(), code).prop_map(|(by, which, code)| Operation::Acknowledge { by, which, code });
        let cancel = (self.role(), which()).prop_map(|(from, which)| Operation::Cancel { from, which });
        let give_up = (self.role(), which()).prop_map(|(from, which)| Operation::GiveUp { from, which });
        publishes
            .chain([
                (self.weights.acknowledge, acknowledge.boxed()),
                (self.weights.cancel, cancel.boxed()),
                (self.weights.give_up, give_up.boxed()),
                (self.weights.disconnect, self.disconnect()),
            ])
            .collect()
    }

    fn publish(self, qos: QoS) -> BoxedStrategy<Operation> {
        let is_v5 = self.version.is_v5();
        let len = prop_oneof![6 => 0..=self.payload.min(19), 1 => 0..=self.payload];
        let expiry = option::weighted(0.15, select(vec![0_u32, 1, 2, 1000]));
        let alias = option::weighted(0.3, 1..=self.aliases.max(1));
        (self.role(), any::<bool>(), self.topic(), len, expiry, alias)
            .prop_map(move |(from, retain, topic, len, expiry, alias)| Operation::Publish {
                from,
                qos,
                retain,
                topic,
                len,
                expiry: expiry.filter(|_| is_v5 && self.expiry),
                alias: alias.filter(|&alias| is_v5 && alias <= self.aliases).and_then(NonZeroU16::new),
            })
            .boxed()
    }

    fn disconnect(self) -> BoxedStrategy<Operation> {
        let is_v5 = self.version.is_v5();
        (self.role(), any::<bool>())
            .prop_map(move |(by, otherwise)| {
                let code = match (by, otherwise) {
                    _ if !is_v5 => ReasonCode::NORMAL_DISCONNECTION,
                    (Role::Client, false) => ReasonCode::NORMAL_DISCONNECTION,
                    (Role::Client, true) => ReasonCode::DisconnectWithWill,
                    (Role::Server, false) => ReasonCode::ServerShuttingDown,
                    (Role::Server, true) => ReasonCode::SessionTakenOver,
                };
                Operation::Disconnect { by, code }
            })
            .boxed()
    }

    /// What only a client does.
    fn requests(self) -> Vec<Weighted> {
        if self.by == Some(Role::Server) {
            return Vec::new();
        }
        let qos = select(vec![QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce]);
        let subscribe =
            (self.topic(), 1..4_usize, qos).prop_map(|(topic, count, qos)| Operation::Subscribe { topic, count, qos });
        let unsubscribe = (self.topic(), 1..4_usize).prop_map(|(topic, count)| Operation::Unsubscribe { topic, count });
        vec![(self.weights.subscribe, subscribe.boxed()), (self.weights.unsubscribe, unsubscribe.boxed())]
    }

    fn link(self) -> Vec<Weighted> {
        vec![
            (self.weights.reconnect, Just(Operation::Reconnect).boxed()),
            (self.weights.cut, Just(Operation::Cut).boxed()),
            (self.weights.cut_after, (0..=self.within).prop_map(Operation::CutAfter).boxed()),
            (self.weights.lose, Just(Operation::Lose).boxed()),
        ]
    }

    fn role(self) -> BoxedStrategy<Role> {
        self.by.map_or_else(|| select(vec![Role::Client, Role::Server]).boxed(), |role| Just(role).boxed())
    }

    fn topic(self) -> BoxedStrategy<usize> {
        (0..self.topics.max(1)).boxed()
    }
}

/// Small enough to be read, large enough to mean any of a few.
fn which() -> impl Strategy<Value = usize> {
    0..16_usize
}
