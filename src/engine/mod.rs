//! A session taken apart, whichever end it is: everything that both do, over slices.

mod authentication;
mod content;
mod ending;
mod large;
mod machine;
mod memory;
mod outcomes;
mod packed;
#[cfg(feature = "streaming")]
mod pieces;
mod receiving;
mod sending;
pub(crate) mod state;

pub(crate) use self::content::Digest;
pub(crate) use self::machine::{
    ANSWER, Announcement, End, Engine, Processed, SHORTEST, SHOWN, StepOf, is_announced, received, tell,
};
pub(crate) use self::memory::Memory;
pub(crate) use self::sending::{Needs, Room};
