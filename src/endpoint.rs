//! What the two ends have in common for those who carry their bytes.

use crate::event::{self, Step};
use crate::inbox::Inbox;
#[cfg(feature = "server")]
use crate::server;
use crate::session::Session;
use crate::time::Instant;

/// Either end of a connection, as far as a transport sees it: what is written for an `Endpoint` serves clients and servers.
pub trait Endpoint {
    /// What a poll tells.
    type Event<'i>;

    /// See [`Session::poll`].
    fn poll<'i>(&mut self, inbox: &'i mut Inbox, now: Instant) -> Step<'_, Self::Event<'i>>;

    /// See [`Session::transmitted`].
    fn transmitted(&mut self, len: usize);

    /// See [`Session::reading_paused`].
    fn reading_paused(&mut self);

    /// See [`Session::connection_lost`].
    fn connection_lost(&mut self);

    /// See [`Session::deadline`].
    fn deadline(&self) -> Option<Instant>;
}

/// Implements [`Endpoint`] by the methods of the same names.
macro_rules! endpoint {
    ($session:ty, $event:ty) => {
        impl<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize, const CONTROL: usize> Endpoint
            for $session
        {
            type Event<'i> = $event;

            fn poll<'i>(&mut self, inbox: &'i mut Inbox, now: Instant) -> Step<'_, Self::Event<'i>> {
                self.poll(inbox, now)
            }

            fn transmitted(&mut self, len: usize) {
                self.transmitted(len);
            }

            fn reading_paused(&mut self) {
                self.reading_paused();
            }

            fn connection_lost(&mut self) {
                self.connection_lost();
            }

            fn deadline(&self) -> Option<Instant> {
                self.deadline()
            }
        }
    };
}

endpoint!(Session<STORE, OUTBOUND, INBOUND, CONTROL>, event::Event<'i>);
#[cfg(feature = "server")]
endpoint!(server::Session<STORE, OUTBOUND, INBOUND, CONTROL>, server::Event<'i>);
