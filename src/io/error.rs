//! Why a driver has come to its end.

use core::fmt;

use crate::error::Cause;

/// Why a driver has come to its end. The transport is of no use any more; the session goes on with the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Error<E> {
    /// The session has closed the connection, for this cause; [`Cause::Disconnected`] if the application asked for it, and
    /// [`Cause::ConnectionLost`] if the peer has closed the transport.
    Closed(Cause),
    /// The transport failed. To the session the connection is lost.
    Transport(E),
}

impl<E> Error<E> {
    /// What the session knows of the end.
    ///
    /// ```
    /// use mqtt_session::{Cause, io::Error};
    /// assert_eq!(Error::Transport("reset").cause(), Cause::ConnectionLost);
    /// ```
    #[must_use]
    pub const fn cause(&self) -> Cause {
        match self {
            Self::Closed(cause) => *cause,
            Self::Transport(_) => Cause::ConnectionLost,
        }
    }
}

impl<E: fmt::Display> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(cause) => cause.fmt(f),
            Self::Transport(error) => write!(f, "the transport failed: {error}"),
        }
    }
}

impl<E: core::error::Error + 'static> core::error::Error for Error<E> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Closed(cause) => Some(cause),
            Self::Transport(error) => Some(error),
        }
    }
}
