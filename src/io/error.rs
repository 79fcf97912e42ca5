//! Why a driver has come to its end.

use core::fmt;

use crate::error::CloseReason;

/// Why a driver has come to its end. The transport is of no use any more; the session goes on with the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Error<E> {
    /// The session has closed the connection, for this reason; [`CloseReason::Disconnected`] if the application asked for it, and
    /// [`CloseReason::ConnectionLost`] if the peer has closed the transport.
    Closed(CloseReason),
    /// The transport failed. To the session the connection is lost.
    Transport(E),
}

impl<E> Error<E> {
    /// Why the session's connection ended.
    ///
    /// ```
    /// use mqtt_session::{CloseReason, io::Error};
    /// assert_eq!(Error::Transport("reset").close_reason(), CloseReason::ConnectionLost);
    /// ```
    #[must_use]
    pub const fn close_reason(&self) -> CloseReason {
        match self {
            Self::Closed(reason) => *reason,
            Self::Transport(_) => CloseReason::ConnectionLost,
        }
    }
}

impl<E: fmt::Display> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(reason) => reason.fmt(f),
            Self::Transport(error) => write!(f, "the transport failed: {error}"),
        }
    }
}

impl<E: core::error::Error + 'static> core::error::Error for Error<E> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Closed(reason) => Some(reason),
            Self::Transport(error) => Some(error),
        }
    }
}
