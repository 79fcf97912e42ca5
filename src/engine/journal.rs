//! What changes of a session are due to be written, and what must not leave before they are. Without the feature `durable` nothing of
//! this is built, and for a session without a journal it does nothing.

use core::fmt;

use crate::error::CloseReason;
use crate::flow::held::{Entry, EntryId, entry};
use crate::flow::identifiers::{self, Slot, SlotId, slot};
use crate::flow::receiver::Held;
use crate::flow::sender::{Level, Receipt, Sent};
use crate::journal::{Due, Facts, Journal, Ledger, Mark, Numbered, Part, Way};
use crate::outbox::{OVERHEAD, Order, Place, Records};
use crate::record::{GivenUpRecord, HeldRecord, Key, PublishRecord, Record, ReleaseRecord, SessionRecord, Value};
use crate::wire::Role;

use super::machine::{End, Engine};
use super::state::{Phase, SessionLifetime, SessionLoss};

/// What happened to an exchange that we began.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// It began.
    Begun,
    /// PUBREC came, and PUBREL is next.
    Released,
    /// It has another identifier, or was given up and that is told.
    Altered,
    /// It was given up.
    GivenUp,
    /// It expired. Its record stays until that is told.
    Expired,
    /// The peer has it. Should it be told again, no harm is done.
    Accepted,
    /// It is over, or there is none.
    Over,
}

impl<E: End> Engine<'_, E> {
    pub(crate) fn note_sent(&mut self, id: SlotId, change: Change) {
        let Some(Journal { ledger, sent, .. }) = &mut self.journal else { return };
        let Some(numbered) = sent.get_mut(index(id)) else { return };
        if matches!(change, Change::Begun | Change::Released) {
            numbered.set_place(ledger.next_place());
        }
        let (was, is_present) = (numbered.mark.due(), numbered.mark.is_present());
        let due = match change {
            Change::Begun if is_present => Due::Anew,
            Change::Begun => Due::New,
            Change::Altered if was == Due::Urgently => was,
            Change::Released | Change::Altered => Due::Change,
            Change::GivenUp => Due::Urgently,
            Change::Accepted if is_present => Due::Lazily,
            Change::Over if is_present && was != Due::Lazily => Due::Urgently,
            Change::Over if is_present => Due::Lazily,
            Change::Expired | Change::Accepted | Change::Over => Due::No,
        };
        ledger.set(&mut numbered.mark, due);
    }

    /// The packet of an exchange leaves the memory of the session, not yet the store of the application.
    pub(crate) fn note_unstored(&mut self, id: SlotId, place: Place) {
        let Some(Journal { ledger, sent, .. }) = &mut self.journal else { return };
        if sent.get(index(id)).is_some_and(|numbered| numbered.mark.is_present()) {
            let len = self.store.records().packet(place).len().saturating_add(OVERHEAD);
            ledger.stale = ledger.stale.saturating_add(u32::try_from(len).unwrap_or(u32::MAX));
        }
    }

    /// An incoming message is held, or no longer.
    pub(crate) fn note_held(&mut self, id: EntryId) {
        let Some(Journal { ledger, held, .. }) = &mut self.journal else { return };
        let Some(mark) = held.get_mut(index(id)) else { return };
        let is_held = entry(self.held, id).is_some_and(is_held);
        ledger.set(mark, if is_held || mark.is_present() { Due::Change } else { Due::No });
    }

    /// The same, where it may be noted already.
    pub(crate) fn note_held_if_new(&mut self, id: EntryId) {
        let Some(Journal { held, .. }) = &self.journal else { return };
        let is_noted = held.get(index(id)).is_some_and(|mark| mark.is_present() || mark.due() != Due::No);
        let is_held = entry(self.held, id).is_some_and(is_held);
        if is_held != is_noted {
            self.note_held(id);
        }
    }

    /// The session ends, which one record says.
    pub(crate) fn note_session_lost(&mut self, session_loss: SessionLoss) {
        let floor = if session_loss == SessionLoss::InFlight { self.last_shown() } else { 0 };
        let Some(Journal { ledger, held, sent }) = &mut self.journal else { return };
        if !ledger.has_ended {
            for numbered in sent.iter_mut().filter(|numbered| numbered.mark.due() == Due::Urgently) {
                ledger.set(&mut numbered.mark, Due::Lazily);
            }
        }
        ledger.has_ended = true;
        ledger.highest = ledger.highest.saturating_add(1);
        ledger.number = ledger.highest;
        if session_loss != SessionLoss::Nothing {
            ledger.since = ledger.number;
        }
        ledger.floor = ledger.floor.max(floor);
        let mut session = ledger.session;
        ledger.set(&mut session, Due::Change);
        ledger.session = session;
        for mark in held.iter_mut() {
            ledger.set(mark, if mark.is_present() { Due::Lazily } else { Due::No });
        }
    }

    /// The place in the order of the last PUBLISH that was shown.
    fn last_shown(&self) -> u64 {
        let Some(Journal { sent, .. }) = &self.journal else { return 0 };
        let mut last = 0;
        let mut next = self.store.records().first(Order::Acknowledged);
        while let Some(place) = next {
            next = self.store.records().after(place);
            let id = SlotId::new(self.store.slot(place));
            let sent_so = id.and_then(|id| slot(self.slots, id)).map_or(Sent::Free, Slot::sent);
            if E::QUEUE_OUTLIVES_SESSION && matches!(sent_so, Sent::Queued(_)) {
                continue;
            }
            last = id.and_then(|id| sent.get(index(id))).map_or(0, |numbered| numbered.place()).max(last);
        }
        last
    }

    /// Compares what the session is with what its record was last made of.
    pub(crate) fn note_facts(&mut self) {
        let facts = Facts {
            client: self.core.client.0,
            expiry: E::expiry(self.core),
            level: self.core.level,
            lifetime: lifetime_number(self.core.terms.session_lifetime()),
        };
        let Some(Journal { ledger, .. }) = &mut self.journal else { return };
        if ledger.facts != facts {
            ledger.facts = facts;
            let mut session = ledger.session;
            ledger.set(&mut session, Due::Change);
            ledger.session = session;
        }
    }

    /// Whether nothing new may be shown now, because something is due that it depends on.
    pub(crate) fn is_held_back(&mut self) -> bool {
        self.note_facts();
        let Some(Journal { ledger, .. }) = &self.journal else { return false };
        if !ledger.is_due() || self.core.news.session_loss() != SessionLoss::Nothing {
            return false;
        }
        let is_session_due = ledger.session.due() != Due::No;
        match self.core.phase {
            // CONNECT is shown as soon as it is made.
            Phase::Connecting if E::ROLE == Role::Client => true,
            Phase::Offline | Phase::Reporting => !ledger.has_failed,
            Phase::Failing | Phase::Parting if self.may_part() => {
                E::ROLE == Role::Server && is_session_due && !self.queue.control.is_empty() && !self.is_writing()
            }
            _ => !self.is_writing(),
        }
    }

    /// Whether nothing but the end of the connection is queued.
    fn may_part(&self) -> bool {
        let answers = matches!(self.core.cause, CloseReason::TooManyHeld | CloseReason::ReceiveMaximumExceeded);
        !answers && !self.core.cause.is_disconnected()
    }

    /// The store failed: the connection ends, and what is due stays due.
    pub(crate) fn store_failed(&mut self) {
        if let Some(Journal { ledger, .. }) = &mut self.journal {
            ledger.has_failed = true;
        }
        let is_unsaid = E::is_beginning(self) || E::ROLE == Role::Server && !self.queue.control.is_empty();
        match self.core.phase {
            Phase::Offline | Phase::Reporting => {}
            Phase::Draining | Phase::Settling => self.end(CloseReason::RecordsNotWritten),
            _ if is_unsaid => self.end(CloseReason::RecordsNotWritten),
            Phase::Failing | Phase::Parting => self.end(self.core.cause),
            _ => self.fail(CloseReason::RecordsNotWritten),
        }
    }
}

/// Whether a message that we received has a record: from the time on at which PUBREC may leave.
pub(crate) fn is_held(entry: &Entry) -> bool {
    match entry.held() {
        Held::Received | Held::ReceivedBefore => true,
        Held::Handed | Held::HandedBefore => entry.reason().is_some_and(|reason| !reason.is_error()),
        Held::Free | Held::Pending => false,
    }
}

/// Whether the record of an earlier message is erased before the new one is written.
fn is_erased_first(due: Due, part: Part) -> bool {
    due == Due::Anew && part != Part::All
}

/// The number of a lifetime in its record.
pub(crate) const fn lifetime_number(lifetime: SessionLifetime) -> u8 {
    match lifetime {
        SessionLifetime::None => 0,
        SessionLifetime::UntilClose => 1,
        SessionLifetime::Abandoned => 2,
        #[cfg(feature = "server")]
        SessionLifetime::Begun => 3,
        SessionLifetime::Kept => 4,
    }
}

fn index(id: SlotId) -> usize {
    usize::from(id.get()).wrapping_sub(1)
}

/// Records to be written: what each key is to stand for from now on. An application that writes them one by one may write them in any
/// order.
#[derive(Clone, Copy)]
pub struct Batch<'s> {
    ledger: &'s Ledger,
    sent: &'s [Numbered],
    held_marks: &'s [Mark],
    slots: &'s [Slot],
    held: &'s [Entry],
    records: Records<'s>,
    way: Way,
    part: Part,
    end: u8,
}

/// Only the keys.
impl fmt::Debug for Batch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(key, _)| key)).finish()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Batch<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Batch {{ records: {=usize} }}", self.iter().count());
    }
}

impl<'s> Batch<'s> {
    /// The keys, each once, and what is stored under them; `None`: the record is erased if it is there.
    pub fn iter(&self) -> impl Iterator<Item = (Key, Option<Value<'s>>)> + use<'s> {
        let batch = *self;
        let session = Some((Key::SESSION, batch.ledger.session)).into_iter();
        let sent = batch.sent.iter().enumerate().map(|(index, numbered)| (Key::sent(index), numbered.mark));
        let held = batch.held_marks.iter().enumerate().map(|(index, &mark)| (Key::held(index), mark));
        let out = session.chain(sent).chain(held).filter(move |(_, mark)| mark.is_out(batch.way));
        out.map(move |(key, mark)| {
            let record = if is_erased_first(mark.due(), batch.part) { None } else { batch.record(key) };
            (key, record.map(|record| Value::new(key, &record)))
        })
    }

    fn record(&self, key: Key) -> Option<Record<'s>> {
        use crate::record::KeyPlace;
        match key.place()? {
            KeyPlace::Session => Some(Record::Session(session_record(self.ledger, self.end))),
            KeyPlace::Sent(index) => {
                sent_record(self.slots, self.sent.get(index)?.place(), self.ledger.number, self.records, index)
            }
            KeyPlace::Held(index) => {
                let entry = self.held.get(index).filter(|entry| is_held(entry))?;
                let packet_id = entry.packet_id?.get();
                Some(Record::Held(HeldRecord { number: self.ledger.number, packet_id }))
            }
        }
    }
}

fn session_record(ledger: &Ledger, end: u8) -> SessionRecord {
    let Ledger { facts: Facts { client, expiry, level, lifetime }, .. } = *ledger;
    let Ledger { number, since, floor, .. } = *ledger;
    SessionRecord { end, level, lifetime, number, since, floor, client, expiry }
}

fn sent_record<'s>(slots: &[Slot], place: u64, number: u32, records: Records<'s>, index: usize) -> Option<Record<'s>> {
    let slot = slots.get(index)?;
    let packet_id = identifiers::packet_id_at(slots, index)?.get();
    let release = |receipt| Record::Release(ReleaseRecord { place, number, packet_id, receipt });
    let given_up = |level: Level, told: u8| {
        Record::GivenUp(GivenUpRecord { place, number, packet_id, state: level as u8 | told << 1 })
    };
    match slot.sent() {
        Sent::Queued(_) | Sent::Published(_) | Sent::Resend(_) => {
            let stored = Place::new(slot.link())?;
            let lifetime = records.lifetime(stored).number();
            Some(Record::Publish(PublishRecord { place, lifetime, packet: records.packet(stored) }))
        }
        Sent::Released(_, receipt) | Sent::ResendRelease(receipt) => Some(release(receipt_number(receipt))),
        Sent::GivingUp(level, _) => Some(given_up(level, 0)),
        Sent::GivenUp(level, _) => Some(given_up(level, 1)),
        Sent::Free | Sent::Expired | Sent::Abandoned | Sent::Requesting | Sent::RequestLost => None,
    }
}

const fn receipt_number(receipt: Receipt) -> u8 {
    receipt as u8
}

/// Hands out what is due, for a step or for a transaction.
impl<'m, E: End> Engine<'m, E> {
    /// Whether anything is; [`into_batch`](Self::into_batch) is it then.
    pub(crate) fn hand_out_records(&mut self, way: Way) -> bool {
        self.note_facts();
        let part = if way == Way::Step { self.part_due() } else { Part::All };
        let (slots, records) = (&*self.slots, self.store.records());
        let Some(Journal { ledger, sent, held }) = &mut self.journal else { return false };
        let mut count = 0_u32;
        let mut hand = |mark: &mut Mark, gives: bool, is_value: bool| {
            if gives {
                Ledger::hand_out(mark, way, is_value);
                count = count.saturating_add(1);
            } else {
                Ledger::take_back(mark, way);
            }
        };
        let is_session_due = ledger.session.due() != Due::No && ledger.facts.level != 0;
        hand(&mut ledger.session, is_session_due && matches!(part, Part::All | Part::Session), true);
        for (index, numbered) in sent.iter_mut().enumerate() {
            let due = numbered.mark.due();
            let gives = match part {
                Part::All => due != Due::No,
                Part::Before => matches!(due, Due::Lazily | Due::Anew),
                Part::Session => false,
                Part::Old => !matches!(due, Due::No | Due::New),
            };
            let is_value = sent_record(slots, 0, 0, records, index).is_some();
            hand(&mut numbered.mark, gives, is_value && !is_erased_first(due, part));
        }
        for (mark, entry) in held.iter_mut().zip(&*self.held) {
            let gives = mark.due() != Due::No && matches!(part, Part::All | Part::Old);
            hand(mark, gives, is_held(entry));
        }
        if way == Way::Step {
            ledger.part = part;
        }
        count != 0
    }

    /// Which part of what is due comes next. The end of a session is written when nothing is left in the store whose outcome is told
    /// already, and before anything is erased whose outcome it decides: what of an ended session is left there is told as lost after a
    /// restore, and identifiers are free only once the session has ended.
    fn part_due(&self) -> Part {
        let used = self.store.bytes.len().saturating_sub(self.store.records().idle());
        let Some(Journal { ledger, sent, .. }) = &self.journal else { return Part::All };
        let is_before = |numbered: &Numbered| matches!(numbered.mark.due(), Due::Lazily | Due::Anew);
        if ledger.has_ended && sent.iter().any(is_before) {
            return Part::Before;
        }
        if ledger.session.due() != Due::No {
            return Part::Session;
        }
        let stale = usize::try_from(ledger.stale).unwrap_or(usize::MAX);
        let is_tight = stale != 0 && stale.saturating_add(used) > self.store.bytes.len();
        if ledger.is_urgent() || is_tight { Part::Old } else { Part::All }
    }

    pub(crate) fn into_batch(self, way: Way) -> Option<Batch<'m>> {
        let Journal { ledger, sent, held: held_marks } = self.journal?;
        let part = if way == Way::Step { ledger.part } else { Part::All };
        let (slots, held, records) = (&*self.slots, &*self.held, self.store.into_records());
        let end = u8::from(E::ROLE == Role::Server);
        Some(Batch { ledger, sent, held_marks, slots, held, records, way, part, end })
    }

    /// What was handed out so is in the store.
    pub(crate) fn confirm(&mut self, way: Way) {
        let (slots, records) = (&*self.slots, self.store.records());
        let Some(Journal { ledger, sent, held }) = &mut self.journal else { return };
        let mut session = ledger.session;
        ledger.has_ended &= !session.is_out(way);
        ledger.confirm(&mut session, way, true);
        ledger.session = session;
        let part = if way == Way::Step { ledger.part } else { Part::All };
        for (index, numbered) in sent.iter_mut().enumerate() {
            if is_erased_first(numbered.mark.due(), part) {
                ledger.confirm_erased(&mut numbered.mark, way);
            } else {
                let is_value = sent_record(slots, 0, 0, records, index).is_some();
                ledger.confirm(&mut numbered.mark, way, is_value);
            }
        }
        for (mark, entry) in held.iter_mut().zip(&*self.held) {
            ledger.confirm(mark, way, is_held(entry));
        }
    }
}
