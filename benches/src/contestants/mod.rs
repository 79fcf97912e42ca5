//! Who takes part.

mod checked;
mod least;
mod minimq;
mod ours;
mod protocol_core;
mod rumqttc;
mod rust_mqtt;
mod rusty_rtos;
mod wire;

use crate::contestant::Entry;

/// All of them, this crate first, the floors last.
pub const ALL: &[Entry] = &[
    ours::ENTRY,
    protocol_core::ENTRY,
    rumqttc::ENTRY,
    rusty_rtos::ENTRY,
    minimq::ENTRY,
    rust_mqtt::ENTRY,
    checked::ENTRY,
    least::ENTRY,
];
