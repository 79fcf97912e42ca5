//! The server's end of a session that survives a loss of power. (feature `server`)

use core::fmt;
use core::time::Duration;

use crate::command::{Disconnect, Publish};
use crate::endpoint::Endpoint;
use crate::engine::journal::Batch;
use crate::engine::{Engine, Marks};
use crate::error::CommandError;
use crate::event::{Handle, Step};
use crate::inbox::Inbox;
use crate::journal::Way;
use crate::record::{Key, RestoreError};
use crate::report::attempt;
use crate::server::{Accept, Event, Server, client_hash};
use crate::time::Instant;
use crate::wire::{Auth, PacketId, Properties, ReasonCode, Suback, Unsuback, Version};

use super::restore::{Restorable, Restore, report_event};

/// The server's end of a session that survives a loss of power: [`crate::server::Session`] with [records](crate::durable).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Session<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize, const CONTROL: usize = 256> {
    plain: crate::server::Session<STORE, OUTBOUND, INBOUND, CONTROL>,
    marks: Marks<OUTBOUND, INBOUND>,
}

impl<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize, const CONTROL: usize>
    Session<STORE, OUTBOUND, INBOUND, CONTROL>
{
    /// A new session, all zero bits. One of which there are records is [restored](Self::restore) instead.
    #[must_use]
    pub const fn new() -> Self {
        Self { plain: crate::server::Session::new(), marks: Marks::NEW }
    }

    /// As [`crate::server::Session::open`].
    pub fn open(&mut self, response_timeout: Duration) {
        self.marks.ledger.has_failed = false;
        self.engine().open(response_timeout);
    }

    /// As [`crate::server::Session::accept`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn accept(&mut self, accept: &Accept<'_>) -> Result<(), CommandError> {
        attempt!("accept", self.engine().accept(accept))
    }

    /// As [`crate::server::Session::reject`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn reject(&mut self, reason_code: ReasonCode, properties: Properties<'_>) -> Result<(), CommandError> {
        attempt!("reject", self.engine().reject(reason_code, properties))
    }

    /// As [`crate::server::Session::suback`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn suback(&mut self, suback: &Suback<'_>) -> Result<(), CommandError> {
        attempt!("suback", self.engine().suback(suback))
    }

    /// As [`crate::server::Session::unsuback`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn unsuback(&mut self, unsuback: &Unsuback<'_>) -> Result<(), CommandError> {
        attempt!("unsuback", self.engine().unsuback(unsuback))
    }

    /// As [`crate::server::Session::transmitted`].
    pub fn transmitted(&mut self, len: usize) {
        self.engine().transmitted(len);
    }

    /// As [`crate::server::Session::reading_paused`].
    pub fn reading_paused(&mut self) {
        self.engine().reading_paused();
    }

    /// As [`crate::server::Session::connection_lost`].
    pub fn connection_lost(&mut self) {
        self.engine().connection_lost();
    }

    /// As [`crate::server::Session::publish`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn publish(&mut self, publish: &Publish<'_>) -> Result<Option<PacketId>, CommandError> {
        attempt!("publish", self.engine().publish(publish))
    }

    /// As [`crate::server::Session::publish_with`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn publish_with(
        &mut self,
        publish: &Publish<'_>,
        len: usize,
        fill: impl FnOnce(&mut [u8]),
    ) -> Result<Option<PacketId>, CommandError> {
        attempt!("publish_with", self.engine().publish_with(publish, len, fill))
    }

    /// As [`crate::server::Session::acknowledge`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn acknowledge(&mut self, handle: Handle, reason_code: ReasonCode) -> Result<(), CommandError> {
        attempt!("acknowledge", self.engine().acknowledge(handle, reason_code))
    }

    /// As [`crate::server::Session::acknowledge_with`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn acknowledge_with(
        &mut self,
        handle: Handle,
        reason_code: ReasonCode,
        properties: Properties<'_>,
    ) -> Result<(), CommandError> {
        attempt!("acknowledge_with", self.engine().acknowledge_with(handle, reason_code, properties))
    }

    /// As [`crate::server::Session::disconnect`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn disconnect(&mut self, disconnect: &Disconnect<'_>) -> Result<(), CommandError> {
        attempt!("disconnect", self.engine().disconnect(disconnect))
    }

    /// As [`crate::server::Session::authenticate`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn authenticate(&mut self, auth: &Auth<'_>) -> Result<(), CommandError> {
        attempt!("authenticate", self.engine().authenticate(auth))
    }

    /// As [`crate::server::Session::cancel`].
    pub fn cancel(&mut self, packet_id: PacketId) -> bool {
        self.engine().cancel(packet_id)
    }

    /// As [`crate::server::Session::give_up`].
    pub fn give_up(&mut self, packet_id: PacketId) -> bool {
        self.engine().give_up(packet_id)
    }

    /// As [`crate::server::Session::deadline`].
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.plain.deadline()
    }

    /// What is to be done next. As [`crate::server::Session::poll`], with one step more: [`Step::Persist`].
    pub fn poll<'i>(&mut self, inbox: &'i mut Inbox, now: Instant) -> Step<'_, Event<'i>, Batch<'_>> {
        let mut step = Step::Wait(None);
        let mut engine = self.plain.memory().engine_of(&mut self.marks);
        let pause = engine.advance(inbox, now, &mut step);
        let is_due = pause.is_some() && engine.is_held_back() && engine.hand_out_records(Way::Step);
        let Some(pause) = pause else {
            return match step {
                Step::Event(event) => Step::Event(report_event(event)),
                Step::Wait(deadline) => Step::Wait(deadline),
                Step::Close(reason) => Step::Close(reason),
                Step::Transmit(_) => Step::Wait(Some(now)),
            };
        };
        let engine = self.plain.memory().engine_of(&mut self.marks);
        if is_due {
            return match engine.into_batch(Way::Step) {
                Some(batch) => Step::Persist(batch),
                None => Step::Wait(Some(now)),
            };
        }
        let mut step = Step::Wait(None);
        engine.act(&mut step, pause);
        match step {
            Step::Event(event) => Step::Event(report_event(event)),
            Step::Transmit(bytes) => Step::Transmit(bytes),
            Step::Wait(deadline) => Step::Wait(deadline),
            Step::Close(reason) => Step::Close(reason),
        }
    }

    /// All of what the last [`Step::Persist`] showed is in the store, so that it survives a loss of power.
    ///
    /// What has changed since is due again.
    pub fn persisted(&mut self) {
        self.engine().confirm(Way::Step);
    }

    /// All that is due, for a transaction of the application, which must have all of it or nothing. `None`: nothing is.
    ///
    /// Right after [`publish`](Self::publish) the message is among it, right after an event what the event ended or, if it is a message of QoS 2,
    /// that it was received. Say by [`committed`](Self::committed) that the transaction is in the store; as long as you do not, the same is due
    /// again, also as a step.
    pub fn records(&mut self) -> Option<Batch<'_>> {
        if !self.engine().hand_out_records(Way::Transaction) {
            return None;
        }
        self.engine().into_batch(Way::Transaction)
    }

    /// All of what [`records`](Self::records) returned last is in the store.
    pub fn committed(&mut self) {
        self.engine().confirm(Way::Transaction);
    }

    /// The records of a [`Step::Persist`] could not be written, and the connection is given up for it:
    /// [`CloseReason::RecordsNotWritten`](crate::CloseReason::RecordsNotWritten). What is due stays due, and is asked for again from the next
    /// connection on. Instead, the application may free space and poll again, or [`cancel`](Self::cancel) a message that is too much.
    pub fn not_persisted(&mut self) {
        self.engine().store_failed();
    }

    /// A session from what [`Restore`] is told of the records of another one. See there.
    #[must_use]
    pub const fn restore() -> Restore<Self> {
        Restore { session: Self::new(), error: None }
    }

    /// How many messages of ours are in flight or wait: [`crate::server::Session::pending`].
    #[must_use]
    pub const fn pending(&self) -> u16 {
        self.plain.pending()
    }

    /// The messages of ours whose outcome is not yet told: what the application knows by their identifiers, and nothing else, is
    /// still under way. Not in order.
    pub fn outstanding(&self) -> impl Iterator<Item = PacketId> {
        self.plain.memory_ref().outstanding()
    }

    /// The state besides its records, to read from.
    #[must_use]
    pub const fn plain(&self) -> &crate::server::Session<STORE, OUTBOUND, INBOUND, CONTROL> {
        &self.plain
    }

    fn engine(&mut self) -> Engine<'_, Server> {
        self.plain.memory().engine_of(&mut self.marks)
    }
}

impl<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize, const CONTROL: usize> Default
    for Session<STORE, OUTBOUND, INBOUND, CONTROL>
{
    fn default() -> Self {
        Self::new()
    }
}

impl<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize, const CONTROL: usize> fmt::Debug
    for Session<STORE, OUTBOUND, INBOUND, CONTROL>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.plain.fmt(f)
    }
}

#[cfg(feature = "defmt")]
impl<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize, const CONTROL: usize> defmt::Format
    for Session<STORE, OUTBOUND, INBOUND, CONTROL>
{
    fn format(&self, f: defmt::Formatter<'_>) {
        self.plain.format(f);
    }
}

impl<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize, const CONTROL: usize> Restorable
    for Session<STORE, OUTBOUND, INBOUND, CONTROL>
{
    fn record(&mut self, key: Key, value: &[u8]) -> Result<(), RestoreError> {
        self.engine().restore_record(key, value)
    }

    fn finish(&mut self, now: Instant) -> Result<(), RestoreError> {
        self.engine().finish_restore(now)
    }

    fn check(&self, version: Version, client_id: &str) -> Result<(), RestoreError> {
        let facts = &self.marks.ledger.facts;
        if facts.level == 0 {
            Ok(())
        } else if facts.level != version.level() {
            Err(RestoreError::OtherVersion)
        } else if facts.client != client_hash(client_id).0 {
            Err(RestoreError::OtherClient)
        } else {
            Ok(())
        }
    }
}

impl<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize, const CONTROL: usize> Endpoint
    for Session<STORE, OUTBOUND, INBOUND, CONTROL>
{
    type Event<'i> = Event<'i>;
    type Record<'s> = Batch<'s>;

    fn poll<'i>(&mut self, inbox: &'i mut Inbox, now: Instant) -> Step<'_, Event<'i>, Batch<'_>> {
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
