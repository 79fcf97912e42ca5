//! Who takes part.

mod checked;
mod least;
mod ours;

use crate::contestant::Entry;

/// All of them, this crate first, the floors last.
pub const ALL: &[Entry] = &[ours::ENTRY, checked::ENTRY, least::ENTRY];
