//! Messages that are larger than the store, sent in pieces for which the application is asked.
//!
//! The store holds the front of such a message, and room for one piece. While the message is half written nothing else can leave, so its
//! source has a time limit of its own; what is received meanwhile is taken as always.

use crate::bytes;
use crate::command::{Publish, Source};
use crate::error::{CloseReason, CommandError};
use crate::event::{CommonEvent, PayloadRequest, Step};
use crate::flow::identifiers::{SlotId, slot};
use crate::outbox::{MAX_STORED, Payload, Piece, Place};
use crate::timer::Timer;
use crate::wire::{Measured, PADDED_HEADER, PacketId};

use super::machine::{Acted, End, Engine, StepOf, tell};
use super::sending::{Accepted, Head, needs};
use super::state::Phase;

impl<'m, E: End> Engine<'m, E> {
    pub(crate) fn publish_from(
        &mut self,
        publish: &Publish<'_>,
        source: &Source,
    ) -> Result<Option<PacketId>, CommandError> {
        let waits = publish.offline.unwrap_or(self.core.terms.offline()).keeps(publish.qos);
        self.check_publish(publish, waits)?;
        let mut head = Head::new(publish, usize::try_from(source.len).unwrap_or(usize::MAX));
        let measured = Measured::new(&head, self.stored_version(), E::PEER)?;
        let (extent, body) = (measured.extent(), measured.body_len());
        let payload = Payload::new(source.id, source.len, source.piece, measured.front_len());
        let stored = body.saturating_add(payload.stored());
        // What is stored has a header of its own, whose length is limited.
        let len = if stored > MAX_STORED { usize::MAX } else { stored.saturating_add(PADDED_HEADER) };
        let place = self.make_room_for(extent, len, needs(publish.qos))?;
        let Accepted { packet_id, order, label } = self.accept_message(publish, waits, place, &mut head)?;
        self.accept_record(order, label, place, len);
        let measured = Measured::again(&head, self.stored_version(), E::PEER, extent);
        measured.encode_body(self.store.enter_payload(place, len, measured.first_byte(), payload))?;
        Ok(packet_id)
    }

    /// What is half written goes on once the application has given the next piece of it.
    pub(super) fn await_piece<'i>(&mut self, place: Place, pause: u32, step: &mut StepOf<'m, 'i, E>) -> Acted {
        if !self.request_piece(place, step) && !self.report(step) {
            *step = Step::Wait(self.core.after(pause));
        }
        Acted::Tells
    }

    /// Asks for the piece that is needed next, unless the application was asked for it. `false`: there is nothing to tell.
    fn request_piece<'i>(&mut self, place: Place, step: &mut StepOf<'m, 'i, E>) -> bool {
        let Some((Piece { source, offset, remaining }, false)) = self.store.records().piece(place) else {
            return false;
        };
        self.store.ask(place);
        if self.core.phase == Phase::Online {
            self.core.deadline = Timer::of(u32::from(self.core.payload_timeout).wrapping_mul(1000));
        }
        let packet_id = self.store.records().packet_id(place);
        tell(step, CommonEvent::PayloadRequested(PayloadRequest { source, offset, remaining, packet_id }));
        true
    }

    /// So many bytes of the piece that was asked for are there.
    pub(crate) fn payload_filled(&mut self, len: usize) {
        if self.store.fill_piece(len) != 0 && self.core.phase == Phase::Online {
            self.core.deadline = Timer::OFF;
        }
    }

    /// Copies as much as is asked for, and tells how much that was.
    pub(crate) fn supply(mut self, bytes: &[u8]) -> usize {
        let space = self.store.piece_space();
        let len = space.len().min(bytes.len());
        bytes::copy(space, bytes);
        self.payload_filled(len);
        len
    }

    /// The application cannot go on with the payload that is being sent. What is half written cannot be ended in any other way.
    pub(crate) fn abort_payload(&mut self) -> Result<(), CommandError> {
        if self.store.outbox.written_in_pieces().is_none() {
            return Err(CommandError::NothingToAnswer);
        }
        self.end(CloseReason::PayloadAborted);
        Ok(())
    }

    /// Whether the message of an exchange is half written.
    pub(super) fn is_half_given(&self, id: SlotId) -> bool {
        let place = slot(self.slots, id).and_then(|slot| Place::new(slot.link()));
        self.store.outbox.written_in_pieces().is_some_and(|written| place == Some(written))
            && self.store.records().is_incomplete()
    }

    /// Whether the message of an exchange is half written for the first time, so that nobody can have all of it.
    pub(super) fn is_beyond_reach(&self, id: SlotId) -> bool {
        self.is_half_given(id) && !self.store.records().is_sent_again()
    }
}
