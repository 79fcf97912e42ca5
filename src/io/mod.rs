//! The loop of a session, run over a transport. (features `embedded-io`, `embedded-io-async`)
//!
//! `Driver` (blocking) and `AsyncDriver` do what the steps of an [`Endpoint`](crate::Endpoint) say: they read, write, flush and wait.
//! Everything that happens is handed to the application together with the session, so that it may publish, subscribe or
//! acknowledge while it still holds the payload. There is no protocol in them: if you need another loop, write it.
//!
//! A driver belongs to one connection: it is made over an open transport, after or before `connect` of the session (on the
//! server's end `open`), and given up when `next` returns an [`Error`]. Session and inbox are not part of it; they stay.
//!
//! What both promise:
//!
//! * Bytes that were read are in the inbox, and bytes that were written are reported, before anything else happens: between
//!   two calls, after a time limit and after a dropped future, nothing is lost and nothing is sent twice.
//! * Deadlines of the session are met also while the transport takes nothing or brings nothing. A server that does not answer
//!   ends in [`CloseReason`](crate::CloseReason), not in silence. But the transport is read before anybody is given up, so a handler, or what
//!   is done between two calls, may take as long as it likes.
//! * What is buffered in the transport is flushed before it is waited for an answer, and before the end. A DISCONNECT that does not
//!   leave is told as `DisconnectTimeout` or the transport's error.
//! * An error of the kind `Interrupted`, for a blocking transport also `TimedOut`, means that nothing was read or written yet.
//!   Any other one ends the connection, and so does the end of the stream. What the session has to tell of it comes first,
//!   then the error.

#[cfg(feature = "embedded-io-async")]
mod asynchronous;
#[cfg(feature = "embedded-io")]
mod blocking;
mod error;

#[cfg(feature = "embedded-io-async")]
pub use self::asynchronous::{AsyncClock, AsyncDriver, Split, Transport};
#[cfg(feature = "embedded-io")]
pub use self::blocking::{Clock, Driver, TimesOut};
pub use self::error::Error;
