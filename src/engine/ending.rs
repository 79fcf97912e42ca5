//! How a connection ends, and what becomes of the session: what is told, what is kept, what is lost.

use crate::command::{Disconnect, DisconnectWhen};
use crate::error::{CloseReason, CommandError};
use crate::event::{CommonEvent, Outcome};
use crate::flow::identifiers::{self, Identifiers, Slot, SlotId, slot, slot_mut};
use crate::flow::receiver::Held;
use crate::flow::sender::{Level, Sent};
use crate::keepalive::KeepAlive;
use crate::outbox::{Lifetime, Order, Place};
use crate::report::report;
use crate::time::seconds;
use crate::timer::Timer;
use crate::wire::{self, Measured, Properties, Role, Version, Violation};

#[cfg(feature = "durable")]
use super::journal::Change;
use super::machine::{ANSWER, End, Engine, Processed, StepOf, tell};
#[cfg(feature = "streaming")]
use super::state::Arriving;
use super::state::{
    Authentication, Dropped, Limits, Overdue, Phase, SessionLifetime, SessionLoss, SpaceWait, Support, Tolerated, Turn,
};

impl<'m, E: End> Engine<'m, E> {
    /// Tells one outcome that is decided, if there is one. Mostly there is none.
    #[inline(always)]
    pub(super) fn report<'i>(&mut self, step: &mut StepOf<'m, 'i, E>) -> bool {
        let has_any = E::has_report(self.core) || self.core.news.has_any() || !self.core.untold.is_empty();
        #[cfg(feature = "streaming")]
        let has_any = has_any || self.core.arriving == Arriving::Aborted;
        has_any && self.report_next(step)
    }

    #[cold]
    #[inline(never)]
    fn report_next<'i>(&mut self, step: &mut StepOf<'m, 'i, E>) -> bool {
        #[cfg(feature = "streaming")]
        if self.tell_aborted(step) {
            return true;
        }
        E::report(self, step) || self.tell_lost_request(step) || self.report_news(step)
    }

    /// Tells of one request that was lost, unless the outcome of a message is told before.
    fn tell_lost_request<'i>(&mut self, step: &mut StepOf<'m, 'i, E>) -> bool {
        let id = self.core.untold.first(self.slots);
        id.is_some_and(|id| slot(self.slots, id).is_some_and(Slot::is_request)) && self.tell_outcome(step)
    }

    fn report_news<'i>(&mut self, step: &mut StepOf<'m, 'i, E>) -> bool {
        if Version::LATEST.is_v5() && self.core.news.tolerated() == Tolerated::PubrecCode {
            self.core.news.set_tolerated(Tolerated::Nothing);
            tell(step, CommonEvent::Tolerated(CloseReason::Violation(Violation::PubrecCodeReserved)));
            return true;
        }
        if self.core.news.session_loss() != SessionLoss::Nothing {
            if self.lose(step).is_some() {
                return true;
            }
            self.core.news.set_session_loss(SessionLoss::Nothing);
            self.store.rewind();
        }
        // The end of the connection may drop more.
        let is_ending = matches!(self.core.phase, Phase::Draining | Phase::Settling);
        if self.core.news.dropped() == Dropped::Something && !is_ending {
            self.core.news.set_dropped(Dropped::Nothing);
            let count = core::mem::take(self.core.end.dropped());
            tell(step, CommonEvent::Dropped { count });
            return true;
        }
        if self.core.news.space_wait() == SpaceWait::Relieved {
            self.core.news.set_space_wait(SpaceWait::No);
            tell(step, CommonEvent::Writable);
            return true;
        }
        false
    }

    /// Tells the end of one exchange of a session that is gone. `None`: there is none left.
    #[inline(never)]
    fn lose<'i>(&mut self, step: &mut StepOf<'m, 'i, E>) -> Option<Processed> {
        if let Some(id) = self.core.releases.first(self.slots) {
            return self.finish(id, Outcome::LostUnconfirmed, step);
        }
        let (place, id, level) = self.next_resend()?;
        if self.core.news.session_loss() == SessionLoss::InFlight {
            self.store.look_from(place);
            return self.finish(id, Outcome::Lost, step);
        }
        let lost = identifiers::packet_id(self.slots, id)?;
        let packet_id = Identifiers::renew(self.slots, id)?;
        slot_mut(self.slots, id)?.set_sent(Sent::Queued(level));
        self.store.renew(place, packet_id);
        #[cfg(feature = "durable")]
        self.note_sent(id, Change::Altered);
        if self.stored_version().is_v5() && self.store.lifetime(place) != Lifetime::ENDLESS {
            // It may expire again, so what waits is passed over again.
            self.core.expiry = Timer::of(0);
        }
        E::republished(lost, packet_id).map(|event| tell::<E::Event<'_>, _>(step, event))
    }

    /// The first PUBLISH that was in flight. Those in front of it were published anew before a cut.
    fn next_resend(&self) -> Option<(Place, SlotId, Level)> {
        let mut next = self.store.next(Order::Acknowledged);
        while let Some(place) = next {
            let id = SlotId::new(self.store.slot(place))?;
            if let Sent::Resend(level) = slot(self.slots, id)?.sent() {
                return Some((place, id, level));
            }
            next = self.store.after(place);
        }
        None
    }

    /// Notes that a command was refused for want of room.
    pub(crate) const fn wait_for_space(&mut self) {
        self.core.news.set_space_wait(match self.core.news.space_wait() {
            SpaceWait::No | SpaceWait::Yes => SpaceWait::Yes,
            SpaceWait::Relieved | SpaceWait::Again => SpaceWait::Again,
        });
    }

    /// Notes that something has become free.
    #[inline(never)]
    pub(crate) const fn space_freed(&mut self) {
        if matches!(self.core.news.space_wait(), SpaceWait::Yes | SpaceWait::Again) {
            self.core.news.set_space_wait(SpaceWait::Relieved);
        }
    }

    /// The connection is over. One pass over the tables, no more per connection.
    pub(crate) fn end(&mut self, cause: CloseReason) {
        self.stop(Phase::Reporting, cause);
        self.core.turn = Turn::Queue;
        self.core.receive_quota = 0;
        self.core.news.set_authentication(Authentication::Without);
        self.core.limits = Limits::NONE;
        self.core.support = Support::NONE;
        self.core.quota = 0;
        #[cfg(feature = "streaming")]
        self.abort_arriving();
        self.store.rewind();
        E::ended(self);
        self.carry_over();
        self.core.table.carry_over(self.held);
        self.core.next_release = self.core.releases.first(self.slots);
        self.space_freed();
        if self.core.terms.session_lifetime().ends_with_connection() {
            self.lose_session(SessionLoss::InFlight);
            self.core.terms.set_session_lifetime(SessionLifetime::None);
        }
    }

    /// How many received messages are open once this connection has ended, if there is one.
    pub(crate) fn held_after_end(&self) -> u16 {
        match (self.core.phase, self.core.terms.session_lifetime()) {
            (Phase::Offline | Phase::Reporting, _) => self.core.table.len(),
            (_, SessionLifetime::UntilClose) => 0,
            _ => {
                let kept = self.held.iter().filter(|entry| entry.held().carried_over() != Held::Free).count();
                u16::try_from(kept).unwrap_or(u16::MAX)
            }
        }
    }

    /// The session is gone, on whichever end: what was in flight will be reported, what was held is forgotten.
    pub(crate) fn lose_session(&mut self, session_loss: SessionLoss) {
        #[cfg(feature = "durable")]
        self.note_session_lost(session_loss);
        self.core.news.set_session_loss(session_loss);
        self.core.table.clear(self.held);
        self.free_identifiers();
        if !E::QUEUE_OUTLIVES_SESSION {
            self.give_up_queue();
        }
    }

    /// What was never sent counts as lost, too, and QoS 0 is dropped.
    pub(crate) fn give_up_queue(&mut self) {
        self.drop_immediate(true);
        for slot in self.slots.iter_mut() {
            if let Sent::Queued(level) = slot.sent() {
                slot.set_sent(Sent::Resend(level));
            }
        }
    }

    /// Each exchange as it stands after the loss of a connection. SUBSCRIBE and UNSUBSCRIBE are no session state, not even unsent, and
    /// that one is lost is still to be told.
    fn carry_over(&mut self) {
        let mut next = Some(SlotId::MIN);
        while let Some(id) = next
            && let Some(slot) = slot_mut(self.slots, id)
        {
            let sent = slot.sent();
            slot.set_sent(sent.carried_over());
            if sent == Sent::Requesting {
                self.core.untold.push(self.slots, id);
            }
            next = id.checked_add(1);
        }
        self.drop_immediate(false);
    }

    /// Drops requests, and the PUBLISHes of QoS 0 that do not outlive their connection; or everything of their sequence.
    fn drop_immediate(&mut self, all: bool) {
        let mut next = self.store.first(Order::Immediate);
        while let Some(place) = next {
            next = self.store.after(place);
            let is_publish = self.store.is_publish(place);
            if all || self.store.slot(place) != 0 {
                self.store.remove(Order::Immediate, place);
                if is_publish {
                    self.count_dropped();
                }
            }
        }
    }

    /// A PUBLISH of QoS 0 that was shown is not shown again, whether or not all of it has left.
    fn count_half_written(&mut self) {
        let place = self.store.outbox.written_now().filter(|&place| self.store.first(Order::Immediate) == Some(place));
        if place.is_some_and(|place| self.store.is_publish(place)) {
            self.count_dropped();
        }
    }

    /// A PUBLISH of QoS 0 was accepted and does not leave.
    pub(super) fn count_dropped(&mut self) {
        let count = self.core.end.dropped();
        *count = count.saturating_add(1);
        self.core.news.set_dropped(Dropped::Something);
    }

    /// The transport is gone.
    pub(crate) fn connection_lost(&mut self) {
        match self.core.phase {
            Phase::Connecting | Phase::Online => self.stop(Phase::Draining, CloseReason::ConnectionLost),
            Phase::Awaiting | Phase::Completing | Phase::Leaving => {
                self.stop(Phase::Settling, CloseReason::ConnectionLost);
            }
            Phase::Parting if self.is_leaving() => {
                // DISCONNECT may not have arrived.
                let has_left = self.queue.control.is_empty();
                self.stop(Phase::Settling, if has_left { self.core.cause } else { CloseReason::ConnectionLost });
            }
            Phase::Failing | Phase::Parting => self.end(self.core.cause),
            Phase::Offline | Phase::Draining | Phase::Settling | Phase::Reporting => {}
        }
    }

    /// Nothing leaves any more on this connection.
    #[inline(never)]
    fn stop(&mut self, phase: Phase, cause: CloseReason) {
        self.core.cause = cause;
        self.core.phase = phase;
        self.core.keep_alive = KeepAlive::OFF;
        self.core.deadline = Timer::OFF;
        self.core.overdue = Overdue::No;
        self.core.closing = 0;
        self.core.pending_answer = None;
        self.count_half_written();
        self.queue.clear();
        self.store.stop_writing();
    }

    /// Whether the application wants to disconnect: of what comes in, only acknowledgements matter.
    pub(super) fn is_leaving(&self) -> bool {
        match self.core.phase {
            Phase::Completing | Phase::Leaving | Phase::Settling => true,
            Phase::Parting => self.core.cause.is_disconnected(),
            _ => false,
        }
    }

    /// The peer is at fault, or has more messages open than there are places. In the latter case the answers to those that
    /// were taken still leave: else it would send them all again, and no place would ever become free.
    pub(crate) fn fail(&mut self, cause: CloseReason) {
        report!(warn, "the peer is at fault: {:?}", cause);
        if self.core.phase.is_connecting() && E::refuse(self, cause) {
            return;
        }
        let answers = matches!(cause, CloseReason::TooManyHeld | CloseReason::ReceiveMaximumExceeded);
        let speaks = self.version().is_v5() && cause.reason_code().is_some();
        // What is half written could only be ended by the application.
        #[cfg(feature = "streaming")]
        let speaks = speaks && !self.store.records().is_incomplete();
        if self.core.phase == Phase::Draining || !(speaks || answers) {
            return self.end(cause);
        }
        self.fail_behind_answers(cause);
        if !answers && !self.queue.cut_short(self.store.outbox.is_writing()) {
            self.count_half_written();
            self.store.stop_writing();
        }
    }

    /// The same where a connection has a DISCONNECT, and what is queued leaves before it.
    pub(super) fn fail_behind_answers(&mut self, cause: CloseReason) {
        self.core.cause = cause;
        self.core.phase = Phase::Failing;
        self.core.deadline = Timer::set(self.core.disconnect_timeout);
    }

    /// DISCONNECT with the code of the cause, behind a packet that is half written. (5.0: 4.13.1)
    pub(super) fn send_disconnect(&mut self) {
        if let Some(reason_code) = self.core.cause.reason_code()
            && self.version().is_v5()
        {
            self.push(&wire::DisconnectPacket { reason_code, properties: Properties::EMPTY });
        }
        self.core.phase = Phase::Parting;
    }

    /// The application leaves: DISCONNECT follows what needs no answer, before CONNACK what is queued behind CONNECT. A 3.1.1 server
    /// has none, and none leaves before CONNACK.
    pub(crate) fn leave(&mut self, disconnect: &Disconnect<'_>) -> Result<(), CommandError> {
        if self.version().is_v5() || E::ROLE == Role::Client {
            self.keep_disconnect(disconnect)?;
        }
        self.core.cause = CloseReason::Disconnected;
        let limit = self.core.disconnect_timeout;
        let is_connecting = E::ROLE == Role::Client && self.core.phase == Phase::Connecting;
        match disconnect.when {
            DisconnectWhen::Sent => {
                self.core.deadline = Timer::set(limit);
                self.core.phase = Phase::Leaving;
                if is_connecting {
                    self.part();
                }
            }
            DisconnectWhen::Completed { timeout } => {
                self.core.deadline = Timer::set(timeout.map_or(limit, |timeout| seconds(timeout).max(1)));
                self.core.phase = if is_connecting { Phase::Awaiting } else { Phase::Completing };
            }
        }
        Ok(())
    }

    /// Nothing follows what is queued but the DISCONNECT that was kept.
    pub(super) fn part(&mut self) {
        self.queue.release_disconnect();
        self.core.phase = Phase::Parting;
    }

    /// DISCONNECT waits no longer if every exchange is over, but for those that nobody waits for.
    #[cold]
    #[inline(never)]
    pub(super) fn complete_if_over(&mut self) {
        let is_over = |slot: &Slot| matches!(slot.sent(), Sent::Free | Sent::GivenUp(..));
        #[cfg(feature = "streaming")]
        if self.core.arriving != Arriving::Nothing {
            return;
        }
        if self.core.pending_received() == 0 && self.slots.iter().all(is_over) {
            self.complete(CloseReason::Disconnected);
        }
    }

    /// What is waited for is over, or the time for it is: DISCONNECT follows what needs no answer.
    #[cold]
    #[inline(never)]
    pub(super) fn complete(&mut self, cause: CloseReason) {
        self.core.cause = cause;
        self.core.phase = Phase::Leaving;
        self.core.deadline = Timer::of(u32::from(self.core.disconnect_timeout).wrapping_mul(1000));
        self.core.keep_alive.limit_begins();
    }

    fn keep_disconnect(&mut self, disconnect: &Disconnect<'_>) -> Result<(), CommandError> {
        let Disconnect { reason_code, properties, .. } = *disconnect;
        let packet = wire::DisconnectPacket { reason_code, properties };
        let measured = Measured::new(&packet, self.version(), E::PEER)?;
        // Beside it there must be room for acknowledgements, which leave before it.
        self.queue.check_size(measured.len(), ANSWER)?;
        self.check_peer(measured.len())?;
        let with_answer = measured.len().saturating_add(ANSWER);
        if with_answer > self.queue.free() || !self.queue.keep_disconnect(&measured) {
            self.wait_for_space();
            return Err(CommandError::Full);
        }
        Ok(())
    }
}
