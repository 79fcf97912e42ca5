//! Sessions that survive a loss of power, at any moment. (feature `durable`)
//!
//! [`Session`] is a client's end, `durable::server::Session` the server's. Each is the plain session with a journal: what changes is a small record,
//! and the application makes it durable before anything leaves that depends on it. The guide is `docs/durable.md`.

mod client;
mod restore;
#[cfg(feature = "server")]
pub mod server;

pub use self::client::Session;
pub use self::restore::Restore;
pub use crate::engine::journal::Batch;
pub use crate::record::{Key, RestoreError, Value};
