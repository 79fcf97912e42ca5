//! What the command-line tools share: flags, socket and clock, when to stop, to subscribe and to connect again, how to end.
//!
//! The loop itself is in each tool: poll, and do what the step says.
#![allow(dead_code, unused_imports, reason = "no tool needs everything")]

mod client;
mod failure;
mod grant;
mod link;
mod options;
mod retry;
mod stop;

pub(crate) use client::Client;
pub(crate) use failure::{Failure, ended, finish, granted, said};
pub(crate) use grant::Grant;
pub(crate) use link::{Clock, Link, Received, receive};
pub(crate) use options::{Arguments, Connection};
pub(crate) use retry::Retry;
pub(crate) use stop::Stop;

/// How many publishes of QoS 1 and 2 may be under way.
pub(crate) const MAX_WINDOW: u16 = 4096;

/// 1 MiB for packets that wait, 4,096 requests in flight, as many received messages under way, and a CONNECT of up to
/// 16 KiB.
///
/// So many because some brokers do not keep to what they are told: mosquitto 2.0.11, once restarted, sends all that it has
/// to a 3.1.1 client at once.
pub(crate) type Session = mqtt_session::Session<0x10_0000, 4096, 4096, 0x4000>;

/// Takes packets of up to 128 KiB.
pub(crate) type Inbox = mqtt_session::Inbox<[u8; 0x2_0000]>;
