//! What a run consists of, and how it is chosen by chance.

use core::fmt;

use mqtt_session::{LostSession, QoS, Role, Version};
use proptest::prelude::*;
use proptest::sample::select;

/// Everything that is decided before a run.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) version: Version,
    pub(crate) seed: u64,
    /// Which pair of sessions: see `run`.
    pub(crate) sizes: usize,
    pub(crate) fragments: bool,
    pub(crate) delay: u32,
    pub(crate) cut_once_in: u32,
    pub(crate) lost_session: LostSession,
    /// Of the first connection.
    pub(crate) plan: Plan,
}

/// How to connect.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) clean: bool,
    /// Session Expiry Interval in 5.0.
    pub(crate) expiry: u32,
    pub(crate) manual: [bool; 2],
    pub(crate) keep_alive: u16,
    pub(crate) inboxes: [usize; 2],
    pub(crate) keeps_qos_0: bool,
    pub(crate) retry_interval: u8,
    pub(crate) aliases: bool,
    pub(crate) server: ServerPlan,
}

/// What the server does with CONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerPlan {
    Accepts,
    /// With Maximum QoS 1. (5.0)
    AcceptsQos1,
    /// With Retain Available 0. (5.0)
    AcceptsUnretained,
    Rejects,
    /// Does not answer.
    Neglects,
    /// Is told of a Receive Maximum that is higher than the client's. (5.0)
    Misled,
}

/// What happens next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    Publish {
        from: Role,
        qos: QoS,
        len: u16,
        retain: bool,
        expiry: Option<u32>,
        alias: Option<u16>,
        in_place: bool,
    },
    /// Several small messages of QoS 1 and 2 at once.
    Burst {
        from: Role,
        count: usize,
    },
    Subscribe(usize),
    Unsubscribe(usize),
    Acknowledge {
        by: Role,
        which: usize,
        code: usize,
    },
    Cancel {
        from: Role,
        which: usize,
    },
    Step(u16),
    /// Steps until nothing moves, or so many.
    Quiet,
    Cut,
    CutAfter(usize),
    Reconnect(Plan),
    Pass(u32),
    Disconnect {
        by: Role,
        code: usize,
    },
    ServerLoses,
}

pub(crate) const INBOXES: [usize; 3] = [96, 160, 512];

pub(crate) fn run() -> impl Strategy<Value = (Setup, Vec<Operation>)> {
    setup().prop_flat_map(|setup| {
        let operations = proptest::collection::vec(operation(setup.version), 1..70);
        (Just(setup), operations)
    })
}

fn setup() -> impl Strategy<Value = Setup> {
    let lost = select(vec![LostSession::AsTheStandardSays, LostSession::Report, LostSession::Republish]);
    let cuts = prop_oneof![3 => Just(0), 1 => 5_u32..60];
    let version = select(vec![Version::V3, Version::V5]);
    let delay = select(vec![0_u32, 20, 2000]);
    (version, any::<u64>(), 0..crate::SIZES, any::<bool>(), delay, cuts, lost, plan()).prop_map(
        |(version, seed, sizes, fragments, delay, cut_once_in, lost_session, plan)| Setup {
            version,
            seed,
            sizes,
            fragments,
            delay,
            cut_once_in,
            lost_session,
            plan,
        },
    )
}

fn plan() -> impl Strategy<Value = Plan> {
    let server = prop_oneof![
        10 => Just(ServerPlan::Accepts),
        1 => Just(ServerPlan::AcceptsQos1),
        1 => Just(ServerPlan::AcceptsUnretained),
        1 => Just(ServerPlan::Rejects),
        1 => Just(ServerPlan::Neglects),
        3 => Just(ServerPlan::Misled),
    ];
    let clean = prop::bool::weighted(0.1);
    let expiry = prop_oneof![1 => Just(0_u32), 1 => Just(5), 10 => Just(3600), 1 => Just(u32::MAX)];
    let inboxes = [select(INBOXES.to_vec()), select(INBOXES.to_vec())];
    let keep_alive = select(vec![0_u16, 0, 2, 60]);
    let retry_interval = prop_oneof![4 => Just(0_u8), 1 => Just(2)];
    let of_session = (clean, expiry, any::<[bool; 2]>(), keep_alive, inboxes);
    let other = (prop::bool::weighted(0.8), retry_interval, any::<bool>(), server);
    (of_session, other).prop_map(|((clean, expiry, manual, keep_alive, inboxes), other)| {
        let (keeps_qos_0, retry_interval, aliases, server) = other;
        Plan { clean, expiry, manual, keep_alive, inboxes, keeps_qos_0, retry_interval, aliases, server }
    })
}

fn operation(version: Version) -> impl Strategy<Value = Operation> {
    let role = || select(vec![Role::Client, Role::Server]);
    prop_oneof![
        14 => publish(version),
        2 => (role(), 2_usize..10).prop_map(|(from, count)| Operation::Burst { from, count }),
        1 => (1_usize..4).prop_map(Operation::Subscribe),
        1 => (1_usize..4).prop_map(Operation::Unsubscribe),
        5 => (role(), any::<usize>(), 0_usize..6).prop_map(|(by, which, code)| Operation::Acknowledge { by, which, code }),
        1 => (role(), any::<usize>()).prop_map(|(from, which)| Operation::Cancel { from, which }),
        10 => (1_u16..40).prop_map(Operation::Step),
        5 => Just(Operation::Quiet),
        2 => Just(Operation::Cut),
        3 => (0_usize..80).prop_map(Operation::CutAfter),
        3 => plan().prop_map(Operation::Reconnect),
        1 => select(vec![50_u32, 900, 3_000, 20_000, 4_000_000]).prop_map(Operation::Pass),
        1 => (role(), 0_usize..3).prop_map(|(by, code)| Operation::Disconnect { by, code }),
        1 => Just(Operation::ServerLoses),
    ]
}

fn publish(version: Version) -> impl Strategy<Value = Operation> {
    let v5 = version == Version::V5;
    let from = select(vec![Role::Client, Role::Server]);
    let qos = select(vec![QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce, QoS::ExactlyOnce]);
    let len = prop_oneof![6 => 8_u16..20, 1 => 20_u16..200];
    let expiry = proptest::option::weighted(0.15, select(vec![0_u32, 1, 2, 1000]));
    let alias = proptest::option::weighted(0.3, 1_u16..3);
    (from, qos, len, any::<bool>(), expiry, alias, any::<bool>()).prop_map(
        move |(from, qos, len, retain, expiry, alias, in_place)| Operation::Publish {
            from,
            qos,
            len,
            retain,
            expiry: expiry.filter(|_| v5),
            alias: alias.filter(|_| v5),
            in_place,
        },
    )
}

/// A run as a list to read.
pub(crate) struct Script<'a>(pub(crate) &'a Setup, pub(crate) &'a [Operation]);

impl fmt::Display for Script<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(setup, operations) = self;
        writeln!(f, "{setup:?}")?;
        for (number, operation) in (1..).zip(*operations) {
            writeln!(f, "{number:>4}. {operation:?}")?;
        }
        Ok(())
    }
}
