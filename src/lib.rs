//! The MQTT protocol as a value.
//!
//! Bytes come in, packets come out, and back: without I/O, allocation, clock or `unsafe`, for MQTT 3.1.1 and 5.0.
//!
//! * [`wire`]: bytes to packets and back, every rule of the standard checked.
//! * [`Inbox`]: received bytes until they are packets.
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(not(any(feature = "v3", feature = "v5")))]
compile_error!("mqtt-session needs the feature `v3` (MQTT 3.1.1), `v5` (MQTT 5.0), or both");

mod control;
mod error;
mod event;
mod flow;
mod inbox;
mod keepalive;
mod memory;
mod outbox;
mod session;
mod time;
mod timer;
pub mod wire;

pub use self::{
    error::{Cause, Refused},
    event::{Event, Handle, Message, Outcome, Step, StrayPacket},
    inbox::Inbox,
    session::{
        Session,
        command::{Acknowledge, Connect, Disconnect, LostSession, Publish, Subscribe, Unsubscribe},
    },
    time::Instant,
    wire::{PacketId, Property, QoS, ReasonCode, Role, Subscription, Version, Violation, Will, matches},
};

/// The README's examples, run as tests.
#[cfg(all(doctest, feature = "v3", feature = "v5"))]
#[doc = include_str!("../README.md")]
struct Readme;
