//! Records whose payload stays with the application.
//!
//! Such a record is a PUBLISH like the others, for everything that only looks at its front: topic, identifier, DUP, expiry. In the place of
//! the payload it has a buffer for one piece of it, eight bytes that say how far it was sent, and ten that say where it is. Its Remaining
//! Length counts those, and is padded, which tells such a record from all others. The header that is sent counts the payload itself.

use core::ops::Range;

use crate::bytes;
use crate::wire::{
    Extent, PADDED_HEADER, PacketId, PublishFlags, fixed_header, is_padded, padded_header, publish_id_offset,
};

use super::payload::{IN_PIECES, Payload, Piece, Progress, Run};
use super::{Outbox, Place, Records, Store, Writing, packet_start};

impl Writing {
    pub(super) const fn is_in_pieces(self) -> bool {
        !self.passes() && self.left & IN_PIECES != 0
    }

    fn in_pieces(place: Place, left: usize) -> Self {
        Self { place: Some(place), left: u32::try_from(left).unwrap_or(u32::MAX) | IN_PIECES }
    }
}

impl Outbox {
    /// The packet that is being written, if its payload comes in pieces.
    pub(crate) fn written_in_pieces(&self) -> Option<Place> {
        self.writing.place.filter(|_| self.writing.is_in_pieces())
    }

    /// The packet that is being written, if a piece of its payload is needed for it to go on.
    pub(crate) fn awaits_piece(&self) -> Option<Place> {
        self.written_in_pieces().filter(|_| self.writing.left() == 0)
    }
}

impl<'a> Records<'a> {
    /// Where the payload of a record is, if it stays with the application.
    pub(crate) fn payload(self, place: Place) -> Option<Payload> {
        let packet = self.packet(place);
        if is_padded(packet) { packet.last_chunk().copied().map(Payload::of_bytes) } else { None }
    }

    /// The length of the packet that a record is sent as, but for a topic alias.
    pub(crate) fn sent_len(self, place: Place) -> usize {
        let packet = self.packet(place);
        match self.payload(place) {
            None => packet.len(),
            Some(payload) => self.extent(place, payload).len(),
        }
    }

    /// The length of the packet that a record in pieces is sent as.
    fn extent(self, place: Place, payload: Payload) -> Extent {
        let len = usize::try_from(payload.len).unwrap_or(usize::MAX);
        Extent::of(self.front(place).len().saturating_add(len))
    }

    /// What is between header and payload of a record in pieces.
    pub(super) fn front(self, place: Place) -> &'a [u8] {
        let packet = self.packet(place);
        let end = packet.len().wrapping_sub(self.payload(place).map_or(0, Payload::stored));
        packet.get(PADDED_HEADER..end).unwrap_or_default()
    }

    /// A record in pieces up to its payload.
    pub(super) fn begin(self, place: Place) -> &'a [u8] {
        let len = self.front(place).len().wrapping_add(PADDED_HEADER);
        self.packet(place).get(..len).unwrap_or_default()
    }

    /// The buffer of a record in pieces, and how far it is written.
    fn buffer(self, place: Place) -> (&'a [u8], Progress) {
        let Some(payload) = self.payload(place) else { return (&[], Progress::BEGIN) };
        let packet = self.packet(place);
        let stored = packet.get(packet.len().wrapping_sub(payload.stored())..).unwrap_or_default();
        let (buffer, rest) = stored.split_at_checked(payload.buffer.into()).unwrap_or_default();
        (buffer, rest.first_chunk().copied().map_or(Progress::BEGIN, Progress::of_bytes))
    }

    /// How far a record in pieces is written, if it is being written.
    pub(super) fn progress(self, place: Place) -> Option<Progress> {
        let is_written = self.outbox.written_in_pieces() == Some(place);
        is_written.then(|| self.buffer(place).1)
    }

    /// Whether the packet that is being written was shown before.
    pub(crate) fn is_sent_again(self) -> bool {
        let packet = self.outbox.writing.place.map(|place| self.packet(place));
        packet.and_then(<[u8]>::first).is_some_and(|&first| first & PublishFlags::DUP != 0)
    }

    /// The packet identifier of a PUBLISH; none with QoS 0.
    pub(crate) fn packet_id(self, place: Place) -> Option<PacketId> {
        let packet = self.packet(place);
        let has_one = packet.first().is_some_and(|&first| first & PublishFlags::QOS != 0);
        let bytes = packet.get(publish_id_offset(packet)..).filter(|_| has_one)?.first_chunk()?;
        PacketId::new(u16::from_be_bytes(*bytes))
    }

    /// Whether a packet is being written of whose payload not all was given, so that nobody can have it whole.
    pub(crate) fn is_incomplete(self) -> bool {
        let Some(place) = self.outbox.written_in_pieces() else { return false };
        let Progress { offset, filled, run, .. } = self.buffer(place).1;
        let given = if run == Run::Piece { offset.wrapping_add(filled.into()) } else { offset };
        self.payload(place).is_some_and(|payload| given < payload.len)
    }

    /// What of a packet in pieces was shown and is not yet written.
    pub(super) fn shown_in_pieces(self, place: Place) -> &'a [u8] {
        let (buffer, progress) = self.buffer(place);
        let run = match progress.run {
            Run::Front => self.front(place),
            Run::Header | Run::Both | Run::Piece => buffer.get(..progress.filled.into()).unwrap_or_default(),
        };
        let left = usize::try_from(self.outbox.writing.left()).unwrap_or_default();
        run.get(run.len().wrapping_sub(left)..).unwrap_or_default()
    }

    /// The piece that is needed next, of the packet that awaits one, and whether the application was asked for it.
    pub(crate) fn piece(self, place: Place) -> Option<(Piece, bool)> {
        let Payload { source, len, .. } = self.payload(place)?;
        let Progress { offset, is_asked, .. } = self.buffer(place).1;
        Some((Piece { source, offset, remaining: len.wrapping_sub(offset) }, is_asked))
    }
}

impl<'m> Store<'m> {
    /// Says in a record that was just accepted, and is so long, where its payload is. Tells where what is between header and payload goes.
    pub(crate) fn enter_payload(&mut self, place: Place, len: usize, first_byte: u8, payload: Payload) -> &mut [u8] {
        let packet = self.packet_mut(place, len);
        let remaining = u32::try_from(len.wrapping_sub(PADDED_HEADER)).unwrap_or(u32::MAX);
        bytes::copy(packet, &padded_header(first_byte, remaining));
        if let Some(descriptor) = packet.last_chunk_mut() {
            *descriptor = payload.to_bytes();
        }
        let front = len.wrapping_sub(PADDED_HEADER).wrapping_sub(payload.stored());
        packet.get_mut(PADDED_HEADER..).and_then(|rest| rest.get_mut(..front)).unwrap_or_default()
    }

    /// Notes that a packet in pieces is being shown, from its beginning. Its first `skipped` bytes in the store are sent in another form;
    /// if there are none, its header is made here.
    pub(super) fn show_in_pieces(&mut self, place: Place, skipped: usize) {
        if skipped == 0 {
            let records = self.records();
            let Some(payload) = records.payload(place) else { return };
            let first_byte = records.packet(place).first().copied().unwrap_or_default();
            let (header, len) = fixed_header(first_byte, records.extent(place, payload).remaining());
            let filled = self.fill_header(place, header.get(..len).unwrap_or_default());
            let run = if filled > len { Run::Both } else { Run::Header };
            let filled_short = u16::try_from(filled).unwrap_or(u16::MAX);
            self.set_progress(place, Progress { filled: filled_short, run, ..Progress::BEGIN });
            self.outbox.writing = Writing::in_pieces(place, filled);
            return;
        }
        let left = self.records().front(place).len().wrapping_add(PADDED_HEADER).saturating_sub(skipped);
        self.set_progress(place, Progress { run: Run::Front, ..Progress::BEGIN });
        self.outbox.writing = Writing::in_pieces(place, left);
        if left == 0 {
            self.next_run(place);
        }
    }

    /// Puts a header into the buffer, and the front behind it if there is room for both. Tells how long that is.
    fn fill_header(&mut self, place: Place, header: &[u8]) -> usize {
        let (Range { start, end }, front) = (self.buffer_range(place), self.records().front(place).len());
        // The front lies right before the buffer.
        let area = self.bytes.get_mut(start.wrapping_sub(front)..end).unwrap_or_default();
        let Some((front, buffer)) = area.split_at_mut_checked(front) else { return 0 };
        bytes::copy(buffer, header);
        let behind = buffer.get_mut(header.len()..).unwrap_or_default();
        if front.len() > behind.len() {
            return header.len();
        }
        bytes::copy(behind, front);
        header.len().wrapping_add(front.len())
    }

    /// All that was shown of a packet in pieces is written.
    pub(super) fn end_run(&mut self) {
        if let Some(place) = self.outbox.written_in_pieces().filter(|_| self.outbox.writing.left() != 0) {
            self.next_run(place);
        }
    }

    /// What comes next of a packet in pieces.
    fn next_run(&mut self, place: Place) {
        let (_, mut progress) = self.records().buffer(place);
        let left = match progress.run {
            Run::Header => self.records().front(place).len(),
            Run::Both | Run::Front | Run::Piece => 0,
        };
        if progress.run == Run::Piece {
            progress.offset = progress.offset.wrapping_add(progress.filled.into());
        }
        progress.run = if progress.run == Run::Header { Run::Front } else { Run::Piece };
        (progress.filled, progress.is_asked) = (0, false);
        self.set_progress(place, progress);
        self.outbox.writing = Writing::in_pieces(place, left);
        let len = self.records().payload(place).map_or(0, |payload| payload.len);
        if progress.run == Run::Piece && progress.offset == len {
            self.stop_writing();
        }
    }

    /// Notes that the application is asked for the piece that is needed next.
    pub(crate) fn ask(&mut self, place: Place) {
        let (_, progress) = self.records().buffer(place);
        self.set_progress(place, Progress { is_asked: true, ..progress });
    }

    /// Where the piece goes that is needed next. Empty if none is.
    pub(crate) fn piece_space(&mut self) -> &mut [u8] {
        let range = self.piece_range();
        self.bytes.get_mut(range).unwrap_or_default()
    }

    /// The same for as long as the store lives.
    pub(crate) fn into_piece_space(self) -> &'m mut [u8] {
        let range = self.piece_range();
        self.bytes.get_mut(range).unwrap_or_default()
    }

    fn piece_range(&self) -> Range<usize> {
        let next = self.outbox.awaits_piece().and_then(|place| Some((place, self.records().piece(place)?)));
        let Some((place, (Piece { remaining, .. }, _))) = next else { return 0..0 };
        let Range { start, end } = self.buffer_range(place);
        start..end.min(start.saturating_add(usize::try_from(remaining).unwrap_or(usize::MAX)))
    }

    /// So many bytes of the piece that is needed next are there; more than are of use count as those. Tells how many.
    pub(crate) fn fill_piece(&mut self, len: usize) -> usize {
        let Some(place) = self.outbox.awaits_piece() else { return 0 };
        let Some((Piece { remaining, .. }, _)) = self.records().piece(place) else { return 0 };
        let (buffer, progress) = self.records().buffer(place);
        let filled = len.min(buffer.len()).min(usize::try_from(remaining).unwrap_or(usize::MAX));
        self.set_progress(place, Progress { filled: u16::try_from(filled).unwrap_or(u16::MAX), ..progress });
        self.outbox.writing = Writing::in_pieces(place, filled);
        filled
    }

    fn buffer_range(&self, place: Place) -> Range<usize> {
        let records = self.records();
        let start = packet_start(place).wrapping_add(PADDED_HEADER).wrapping_add(records.front(place).len());
        start..start.wrapping_add(records.buffer(place).0.len())
    }

    fn set_progress(&mut self, place: Place, progress: Progress) {
        let start = self.buffer_range(place).end;
        if let Some(bytes) = self.bytes.get_mut(start..).and_then(|rest| rest.first_chunk_mut()) {
            *bytes = progress.to_bytes();
        }
    }
}
