//! Who takes part.

mod checked;
mod least;
mod ours;
mod protocol_core;
mod rumqttc;

use crate::contestant::Entry;

/// All of them, this crate first, the floors last.
pub const ALL: &[Entry] = &[ours::ENTRY, protocol_core::ENTRY, rumqttc::ENTRY, checked::ENTRY, least::ENTRY];
