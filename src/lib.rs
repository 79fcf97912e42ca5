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

#[cfg(any(feature = "v3", feature = "v5"))]
mod inbox;
#[cfg(any(feature = "v3", feature = "v5"))]
pub mod wire;

#[cfg(any(feature = "v3", feature = "v5"))]
pub use self::{
    inbox::Inbox,
    wire::{PacketId, Property, QoS, ReasonCode, Role, Subscription, Version, Violation, Will, matches},
};

/// The README's examples, run as tests.
#[cfg(all(doctest, feature = "v3", feature = "v5"))]
#[doc = include_str!("../README.md")]
struct Readme;
