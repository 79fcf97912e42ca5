//! A session from its records.

use crate::flow::held::Table;
use crate::flow::identifiers::{self, Identifiers, Slot, SlotId, slot, slot_mut};
use crate::flow::sender::{Counted, Level, Receipt, Sent};
use crate::journal::{Due, Facts, Journal, Ledger};
use crate::outbox::{Lifetime, Order};
use crate::record::{
    GivenUpRecord, HeldRecord, Key, KeyPlace, PublishRecord, Record, ReleaseRecord, RestoreError, SessionRecord,
};
use crate::time::Instant;
use crate::wire::{Frame, PacketId, PacketType, PublishPacket, Role, Version, packet_len};

use super::journal::lifetime_number;
use super::machine::{End, Engine};
use super::state::{ClientHash, SessionLifetime, SessionLoss};

/// The longest packet that there is.
const LONGEST: usize = 268_435_460;

impl<E: End> Engine<'_, E> {
    /// Takes one record into a session that is new but for others.
    pub(crate) fn restore_record(&mut self, key: Key, bytes: &[u8]) -> Result<(), RestoreError> {
        let record = Record::read(key, bytes)?;
        let place = key.place().ok_or(RestoreError::UnknownKey(key))?;
        match (place, record) {
            (KeyPlace::Session, Record::Session(record)) => self.restore_session(key, &record),
            (KeyPlace::Sent(index), Record::Publish(record)) => self.restore_publish(key, index, &record),
            (KeyPlace::Sent(index), Record::Release(ReleaseRecord { place, number, packet_id, receipt })) => {
                let receipt = match receipt {
                    0 => Receipt::Success,
                    1 => Receipt::NoMatchingSubscribers,
                    2 => Receipt::GivenUp,
                    _ => return Err(RestoreError::Contradictory(key)),
                };
                self.restore_sent(key, index, place, packet_id, Sent::ResendRelease(receipt))?;
                self.restore_number(index, number);
                Ok(())
            }
            (KeyPlace::Sent(index), Record::GivenUp(GivenUpRecord { place, number, packet_id, state })) => {
                let level = if state & 1 == 0 { Level::AtLeastOnce } else { Level::ExactlyOnce };
                let sent = match state >> 1 {
                    0 => Sent::GivingUp(level, Counted::Before),
                    1 => Sent::GivenUp(level, Counted::Before),
                    _ => return Err(RestoreError::Contradictory(key)),
                };
                self.restore_sent(key, index, place, packet_id, sent)?;
                self.restore_number(index, number);
                Ok(())
            }
            (KeyPlace::Held(index), Record::Held(HeldRecord { number, packet_id })) => {
                self.restore_held(key, index, number, packet_id)
            }
            _ => Err(RestoreError::Contradictory(key)),
        }
    }

    fn restore_session(&mut self, key: Key, record: &SessionRecord) -> Result<(), RestoreError> {
        let SessionRecord { end, level, lifetime, number, since, floor, client, expiry } = *record;
        let Some(Journal { ledger, .. }) = &mut self.journal else { return Err(RestoreError::SessionMissing) };
        if ledger.session.is_present() {
            return Err(RestoreError::Repeated(key));
        }
        if end != u8::from(E::ROLE == Role::Server) {
            return Err(RestoreError::OtherEnd);
        }
        let lifetime = LIFETIMES.into_iter().find(|&known| lifetime_number(known) == lifetime);
        let lifetime = lifetime.ok_or(RestoreError::Contradictory(key))?;
        if Version::nearest(level).level() != level {
            return Err(RestoreError::OtherVersion);
        }
        if since > number {
            return Err(RestoreError::Contradictory(key));
        }
        Ledger::found(&mut ledger.session);
        (ledger.number, ledger.since, ledger.floor) = (number, since, floor);
        ledger.highest = ledger.highest.max(number);
        ledger.last_place = ledger.last_place.max(floor);
        ledger.facts = Facts { client, expiry, level, lifetime: lifetime_number(lifetime) };
        self.core.level = level;
        self.core.client = ClientHash(client);
        self.core.terms.set_session_lifetime(lifetime);
        Ok(())
    }

    /// Which number it has is kept where the link will be.
    fn restore_number(&mut self, index: usize, number: u32) {
        if let Some(slot) = self.slots.get_mut(index) {
            slot.set_link(number);
        }
        if let Some(Journal { ledger, .. }) = &mut self.journal {
            ledger.highest = ledger.highest.max(number);
        }
    }

    fn restore_sent(
        &mut self,
        key: Key,
        index: usize,
        place: u64,
        packet_id: u16,
        sent: Sent,
    ) -> Result<(), RestoreError> {
        let packet_id = PacketId::new(packet_id).ok_or(RestoreError::Contradictory(key))?;
        let Some(Journal { ledger, sent: numbered, .. }) = &mut self.journal else {
            return Err(RestoreError::SessionMissing);
        };
        let numbered = numbered.get_mut(index).ok_or(RestoreError::NoPlace(key))?;
        if numbered.mark.is_present() {
            return Err(RestoreError::Repeated(key));
        }
        if !Identifiers::restore(self.slots, index, packet_id, sent) {
            return Err(RestoreError::NoPlace(key));
        }
        Ledger::found(&mut numbered.mark);
        numbered.set_place(place);
        ledger.last_place = ledger.last_place.max(place);
        Ok(())
    }

    fn restore_publish(&mut self, key: Key, index: usize, record: &PublishRecord<'_>) -> Result<(), RestoreError> {
        let PublishRecord { place, lifetime, packet } = *record;
        let wrong = RestoreError::Contradictory(key);
        if packet_len(packet) != Some(packet.len()) {
            return Err(wrong);
        }
        // Which version it is of is not known before the record of the session is.
        let (packet_id, level) = publish_head(packet).ok_or(wrong)?;
        self.restore_sent(key, index, place, packet_id, Sent::Resend(level))?;
        let Some(Journal { sent, .. }) = &self.journal else { return Err(RestoreError::SessionMissing) };
        let is_later = |slot: u16| {
            let other = usize::from(slot).checked_sub(1).and_then(|index| sent.get(index));
            other.is_some_and(|other| other.place() > place)
        };
        let slot = u16::try_from(index).unwrap_or(u16::MAX).wrapping_add(1);
        if self.store.put(slot, Lifetime::of_number(lifetime), packet, is_later) {
            Ok(())
        } else {
            Err(RestoreError::StoreTooSmall)
        }
    }

    fn restore_held(&mut self, key: Key, index: usize, number: u32, packet_id: u16) -> Result<(), RestoreError> {
        let packet_id = PacketId::new(packet_id).ok_or(RestoreError::Contradictory(key))?;
        let Some(Journal { ledger, held, .. }) = &mut self.journal else { return Err(RestoreError::SessionMissing) };
        let (Some(mark), Some(entry)) = (held.get_mut(index), self.held.get_mut(index)) else {
            return Err(RestoreError::NoPlace(key));
        };
        if mark.is_present() {
            return Err(RestoreError::Repeated(key));
        }
        Ledger::found(mark);
        entry.packet_id = Some(packet_id);
        entry.keep_number(number);
        ledger.highest = ledger.highest.max(number);
        Ok(())
    }

    /// All records are here: what they mean together.
    pub(crate) fn finish_restore(&mut self, now: Instant) -> Result<(), RestoreError> {
        self.core.now = now;
        let Some(Journal { ledger, .. }) = &self.journal else { return Ok(()) };
        if !ledger.session.is_present() {
            let is_empty = self.is_journal_empty();
            return if is_empty { Ok(()) } else { Err(RestoreError::SessionMissing) };
        }
        let expiry = ledger.facts.expiry;
        self.check_packets()?;
        let is_lost = self.part_sessions();
        self.link_packets();
        self.core.identifiers = Identifiers::restored(self.slots);
        self.order_releases();
        self.core.table = Table::restored(self.held);
        self.sweep();
        self.store.rewind();
        self.core.next_release = self.core.releases.first(self.slots);
        self.core.unstamped = u16::MAX;
        E::restored(self.core, expiry, now);
        if is_lost {
            self.core.news.set_session_loss(SessionLoss::InFlight);
        }
        if self.core.terms.session_lifetime().ends_with_connection() {
            self.core.terms.set_session_lifetime(SessionLifetime::None);
            if !E::QUEUE_OUTLIVES_SESSION {
                self.give_up_queue();
            }
            self.lose_session(SessionLoss::InFlight);
        }
        Ok(())
    }

    fn is_journal_empty(&self) -> bool {
        let Some(Journal { sent, held, .. }) = &self.journal else { return true };
        sent.iter().all(|numbered| !numbered.mark.is_present()) && held.iter().all(|mark| !mark.is_present())
    }

    /// Every packet is one that this end would have stored, in the version of the session.
    fn check_packets(&self) -> Result<(), RestoreError> {
        let version = self.stored_version();
        for (slot, packet) in self.store.unlinked() {
            let key = Key::sent(usize::from(slot).wrapping_sub(1));
            let wrong = RestoreError::Contradictory(key);
            // What a peer would refuse is not stored.
            let frame = Frame::next(version, E::PEER, packet, LONGEST).ok().flatten().ok_or(wrong)?;
            if frame.packet_type != PacketType::Publish {
                return Err(wrong);
            }
            let publish = PublishPacket::read(frame.first_byte, frame.body).map_err(|_| wrong)?;
            let place = SlotId::new(slot);
            let packet_id = place.and_then(|id| identifiers::packet_id(self.slots, id));
            if publish.alias().is_some() || publish.delivery.packet_id() != packet_id || packet_id.is_none() {
                return Err(wrong);
            }
        }
        Ok(())
    }

    /// What is left of a session that ended was to be told as lost. Nothing of the new one was shown then. Tells whether there is any.
    fn part_sessions(&mut self) -> bool {
        let Some(Journal { ledger, sent, held }) = &mut self.journal else { return false };
        let mut is_lost = false;
        for (slot, numbered) in self.slots.iter_mut().zip(sent.iter_mut()) {
            let counts = match slot.sent() {
                Sent::Free => continue,
                Sent::Resend(_) => numbered.place() > ledger.floor,
                _ => (ledger.since..=ledger.number).contains(&slot.link()),
            };
            match slot.sent() {
                _ if counts => continue,
                sent if sent.is_told() => {
                    slot.set_sent(Sent::Free);
                    ledger.set(&mut numbered.mark, Due::Lazily);
                }
                Sent::GivingUp(..) => slot.set_sent(Sent::Abandoned),
                _ => is_lost = true,
            }
        }
        if is_lost {
            for (slot, numbered) in self.slots.iter_mut().zip(sent.iter()) {
                if let Sent::Resend(level) = slot.sent()
                    && numbered.place() > ledger.floor
                {
                    slot.set_sent(Sent::Queued(level));
                }
            }
        }
        for (entry, mark) in self.held.iter_mut().zip(held.iter_mut()) {
            let number = entry.take_number();
            if entry.packet_id.is_some() && number != ledger.number {
                entry.packet_id = None;
                ledger.set(mark, Due::Lazily);
            }
        }
        is_lost
    }

    fn link_packets(&mut self) {
        self.store.link();
        let mut next = self.store.records().first(Order::Acknowledged);
        while let Some(place) = next {
            next = self.store.records().after(place);
            let id = SlotId::new(self.store.slot(place));
            if let Some(slot) = id.and_then(|id| slot_mut(self.slots, id)) {
                slot.set_link(place.get());
            }
        }
    }

    /// PUBRELs in the order of their PUBRECs, and outcomes that are to be told.
    fn order_releases(&mut self) {
        let mut last = None;
        loop {
            let Some(Journal { sent, .. }) = &self.journal else { return };
            let waiting = self.slots.iter().zip(sent.iter()).enumerate();
            let waiting = waiting.filter(|(_, (slot, _))| {
                matches!(slot.sent(), Sent::ResendRelease(_) | Sent::GivingUp(..) | Sent::Abandoned)
            });
            let places = waiting.map(|(index, (_, numbered))| (numbered.place(), index));
            let Some(next) = places.filter(|&place| last.is_none_or(|last| place > last)).min() else { return };
            last = Some(next);
            let id = u16::try_from(next.1).ok().and_then(|index| SlotId::new(index.wrapping_add(1)));
            let Some(id) = id else { return };
            if matches!(slot(self.slots, id).map(Slot::sent), Some(Sent::GivingUp(..) | Sent::Abandoned)) {
                self.core.untold.push(self.slots, id);
            } else {
                self.core.releases.push(self.slots, id);
            }
        }
    }

    /// An identifier that is there twice is kept once.
    fn sweep(&mut self) {
        let Some(Journal { ledger, held, .. }) = &mut self.journal else { return };
        for (entry, mark) in self.held.iter().zip(held.iter_mut()) {
            if entry.packet_id.is_none() && mark.is_present() {
                ledger.set(mark, Due::Lazily);
            }
        }
    }
}

/// The identifier and the QoS of a stored PUBLISH, as far as its front tells.
fn publish_head(packet: &[u8]) -> Option<(u16, Level)> {
    let first = *packet.first()?;
    let level = match (first >> 4 == PacketType::Publish as u8, first >> 1 & 3) {
        (true, 1) => Level::AtLeastOnce,
        (true, 2) => Level::ExactlyOnce,
        _ => return None,
    };
    // Behind the length, of which all bytes but the last are 0x80 or above, and the topic.
    let len = packet.iter().skip(1).position(|&byte| byte < 0x80)?;
    let rest = packet.get(len.checked_add(2)?..)?;
    let (topic, rest) = rest.split_first_chunk()?;
    let id = rest.get(usize::from(u16::from_be_bytes(*topic))..)?.first_chunk()?;
    Some((u16::from_be_bytes(*id), level))
}

const LIFETIMES: [SessionLifetime; LIFETIME_COUNT] = [
    SessionLifetime::None,
    SessionLifetime::UntilClose,
    SessionLifetime::Abandoned,
    #[cfg(feature = "server")]
    SessionLifetime::Begun,
    SessionLifetime::Kept,
];

const LIFETIME_COUNT: usize = if cfg!(feature = "server") { 5 } else { 4 };
