//! What the two ends have in common for those who carry their bytes.

use core::convert::Infallible;

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

    /// What a poll asks for besides: [`Infallible`] if nothing, and then a `match` on a [`Step`] needs no arm for it.
    type Request<'s>
    where
        Self: 's;

    /// See [`Session::poll`].
    fn poll<'i>(&mut self, inbox: &'i mut Inbox, now: Instant) -> Step<'_, Self::Event<'i>, Self::Request<'_>>;

    /// See [`Session::transmitted`].
    fn transmitted(&mut self, len: usize);

    /// See [`Session::reading_paused`].
    fn reading_paused(&mut self);

    /// See [`Session::connection_lost`].
    fn connection_lost(&mut self);

    /// See [`Session::deadline`].
    fn deadline(&self) -> Option<Instant>;
}

/// An endpoint that asks for nothing but writing, reading and waiting, as all of this version do.
pub trait PlainEndpoint: 'static + for<'s> Endpoint<Request<'s> = Infallible> {}

impl<E: 'static + for<'s> Endpoint<Request<'s> = Infallible>> PlainEndpoint for E {}

/// Implements [`Endpoint`] by the methods of the same names.
macro_rules! endpoint {
    ($session:ty, $event:ty) => {
        impl<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize, const CONTROL: usize> Endpoint
            for $session
        {
            type Event<'i> = $event;
            type Request<'s> = Infallible;

            fn poll<'i>(&mut self, inbox: &'i mut Inbox, now: Instant) -> Step<'_, Self::Event<'i>, Self::Request<'_>> {
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
