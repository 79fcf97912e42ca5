//! A session taken apart, whichever end it is: everything that both do, over slices.

mod announcement;
mod authentication;
mod content;
mod deadlines;
mod ending;
#[cfg(feature = "durable")]
pub(crate) mod journal;
mod large;
mod machine;
mod memory;
mod outcomes;
mod packed;
#[cfg(feature = "streaming")]
mod pieces;
mod receiving;
#[cfg(feature = "durable")]
mod restore;
mod sending;
pub(crate) mod state;

pub(crate) use self::announcement::{Announcement, is_announced};
pub(crate) use self::content::Digest;
pub(crate) use self::machine::{ANSWER, End, Engine, Processed, SHORTEST, SHOWN, StepOf, received, tell};
#[cfg(feature = "durable")]
pub(crate) use self::memory::Marks;
pub(crate) use self::memory::Memory;
pub(crate) use self::sending::{Needs, Room};
