//! The protocol's part of a session, whatever its size.

use core::ops::{Deref, DerefMut};

use mqtt_session::server::{Accept, Event, Session as Sized};
use mqtt_session::wire::{Suback, Unsuback};
use mqtt_session::{CommandError, Disconnect, Handle, Inbox, Instant, PacketId, Properties, Publish, ReasonCode, Step};

use crate::limits::{Session, WideSession};
use crate::pool::Pool;

/// A session and where it lies.
pub(crate) enum Seat {
    /// Most sessions.
    Usual(&'static mut Session),
    /// That of a 3.1.1 client which has had many QoS 2 messages under way.
    Wide(Box<WideSession>),
}

/// For how many QoS 2 messages of its client a session has places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    Usual,
    Wide,
}

/// What `mqtt_session::server::Session` does.
pub(crate) trait Protocol {
    fn open(&mut self, response_timeout: u8);
    fn poll<'s, 'i>(&'s mut self, inbox: &'i mut Inbox, now: Instant) -> Step<'s, Event<'i>>;
    fn transmitted(&mut self, len: usize);
    fn connection_lost(&mut self);
    fn accept(&mut self, accept: &Accept<'_>) -> Result<(), CommandError>;
    fn reject(&mut self, reason_code: ReasonCode, properties: Properties<'_>) -> Result<(), CommandError>;
    fn suback(&mut self, suback: &Suback<'_>) -> Result<(), CommandError>;
    fn unsuback(&mut self, unsuback: &Unsuback<'_>) -> Result<(), CommandError>;
    fn publish(&mut self, publish: &Publish<'_>) -> Result<Option<PacketId>, CommandError>;
    fn acknowledge(&mut self, handle: Handle, reason_code: ReasonCode) -> Result<(), CommandError>;
    fn disconnect(&mut self, disconnect: &Disconnect<'_>) -> Result<(), CommandError>;
    fn pending(&self) -> u16;
    fn deadline(&self) -> Option<Instant>;
    fn is_online(&self) -> bool;
    fn is_lasting(&self) -> bool;
    fn expires_at(&self) -> Option<Instant>;
}

impl Seat {
    pub(crate) fn new(pool: &mut Pool<Session>, size: Size) -> Self {
        match size {
            Size::Usual => Self::Usual(pool.take()),
            Size::Wide => Self::Wide(Box::default()),
        }
    }

    /// Leaves it to others. A session that was over with its connection is as good as a new one: the next client is accepted
    /// without it being present, which gives up all that is left of it.
    pub(crate) fn leave_to(self, pool: &mut Pool<Session>) {
        if let Self::Usual(session) = self {
            if session.is_lasting() {
                *session = Session::new();
            }
            pool.give_back(session);
        }
    }
}

impl Deref for Seat {
    type Target = dyn Protocol;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Usual(session) => &**session,
            Self::Wide(session) => &**session,
        }
    }
}

impl DerefMut for Seat {
    fn deref_mut(&mut self) -> &mut Self::Target {
        match self {
            Self::Usual(session) => &mut **session,
            Self::Wide(session) => &mut **session,
        }
    }
}

impl<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize, const CONTROL: usize> Protocol
    for Sized<STORE, OUTBOUND, INBOUND, CONTROL>
{
    fn open(&mut self, response_timeout: u8) {
        self.open(core::time::Duration::from_secs(response_timeout.into()));
    }

    fn poll<'s, 'i>(&'s mut self, inbox: &'i mut Inbox, now: Instant) -> Step<'s, Event<'i>> {
        self.poll(inbox, now)
    }

    fn transmitted(&mut self, len: usize) {
        self.transmitted(len);
    }

    fn connection_lost(&mut self) {
        self.connection_lost();
    }

    fn accept(&mut self, accept: &Accept<'_>) -> Result<(), CommandError> {
        self.accept(accept)
    }

    fn reject(&mut self, reason_code: ReasonCode, properties: Properties<'_>) -> Result<(), CommandError> {
        self.reject(reason_code, properties)
    }

    fn suback(&mut self, suback: &Suback<'_>) -> Result<(), CommandError> {
        self.suback(suback)
    }

    fn unsuback(&mut self, unsuback: &Unsuback<'_>) -> Result<(), CommandError> {
        self.unsuback(unsuback)
    }

    fn publish(&mut self, publish: &Publish<'_>) -> Result<Option<PacketId>, CommandError> {
        self.publish(publish)
    }

    fn acknowledge(&mut self, handle: Handle, reason_code: ReasonCode) -> Result<(), CommandError> {
        self.acknowledge(handle, reason_code)
    }

    fn disconnect(&mut self, disconnect: &Disconnect<'_>) -> Result<(), CommandError> {
        self.disconnect(disconnect)
    }

    fn pending(&self) -> u16 {
        self.pending()
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline()
    }

    fn is_online(&self) -> bool {
        self.is_online()
    }

    fn is_lasting(&self) -> bool {
        self.is_lasting()
    }

    fn expires_at(&self) -> Option<Instant> {
        self.expires_at()
    }
}
