//! What a run consists of, and how it is chosen by chance.

use core::fmt;

use mqtt_session::sim::Faults;
use mqtt_session::strategies::{self, Links, Operations, Weights};
use mqtt_session::{LostSession, Role, Version};
use proptest::prelude::*;
use proptest::sample::select;

/// Everything that is decided before a run.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) version: Version,
    pub(crate) seed: u64,
    /// Which pair of sessions: see `run`.
    pub(crate) sizes: usize,
    pub(crate) faults: Faults,
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
    /// Whether packets may be larger than the inboxes. (5.0)
    pub(crate) exceeds: bool,
    /// What both ends announce at most. (5.0)
    pub(crate) receive_maximum: u16,
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
    Plain(strategies::Operation),
    /// Several small messages of QoS 1 and 2 at once.
    Burst {
        from: Role,
        count: usize,
    },
    Reconnect(Plan),
}

pub(crate) const INBOXES: [usize; 3] = [96, 160, 512];

pub(crate) fn run() -> impl Strategy<Value = (Setup, Vec<Operation>)> {
    setup().prop_flat_map(|setup| {
        let operations = proptest::collection::vec(operation(setup.version), 1..70);
        (Just(setup), operations)
    })
}

fn setup() -> impl Strategy<Value = Setup> {
    let lost = select(vec![LostSession::Standard, LostSession::Report, LostSession::Republish]);
    let faults = Links { delay: 2000, cut_once_in: 5, ..Links::default() }.faults();
    let version = select(vec![Version::V311, Version::V5]);
    (version, strategies::seed(), 0..super::SIZES, faults, lost, plan()).prop_map(
        |(version, seed, sizes, faults, lost_session, plan)| Setup { version, seed, sizes, faults, lost_session, plan },
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
    let receive_maximum = prop_oneof![2 => Just(u16::MAX), 1 => 1_u16..4];
    let limits = (prop::bool::weighted(0.3), receive_maximum);
    let other = (prop::bool::weighted(0.8), retry_interval, any::<bool>(), limits, server);
    (of_session, other).prop_map(|((clean, expiry, manual, keep_alive, inboxes), other)| {
        let (keeps_qos_0, retry_interval, aliases, (exceeds, receive_maximum), server) = other;
        Plan {
            clean,
            expiry,
            manual,
            keep_alive,
            inboxes,
            keeps_qos_0,
            retry_interval,
            aliases,
            exceeds,
            receive_maximum,
            server,
        }
    })
}

fn operation(version: Version) -> impl Strategy<Value = Operation> {
    // To reconnect is a matter of plans here.
    let weights = Weights { reconnect: 0, ..Weights::default() };
    let role = select(vec![Role::Client, Role::Server]);
    prop_oneof![
        45 => Operations { weights, ..Operations::new(version) }.one().prop_map(Operation::Plain),
        2 => (role, 2_usize..10).prop_map(|(from, count)| Operation::Burst { from, count }),
        3 => plan().prop_map(Operation::Reconnect),
    ]
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
