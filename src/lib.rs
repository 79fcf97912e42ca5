//! MQTT as a value.
#![no_std]

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
