//! What time demands of a connection: the clock goes on, or is set back; limits pass; what is old is sent again. (3.1.1, an option)

use crate::error::CloseReason;
use crate::flow::chain::Ages;
use crate::flow::sender::Sent;
use crate::keepalive::Demand;
use crate::time::Instant;
use crate::timer::{NEVER, Timer};
use crate::wire::{PacketType, Version};

use super::machine::{ANSWER, End, Engine};
use super::state::{Met, Overdue, Phase};

/// By how much a clock may jitter, in milliseconds. One that goes back by more was set back.
const JITTER: u64 = 1_000;

/// So many times its limit the beginning or the end of a connection may take in all, as long as bytes are written.
const LIMITS: u32 = 10;

impl<'m, E: End> Engine<'m, E> {
    pub(super) fn elapse(&mut self, now: Instant) {
        let millis = now.millis_since(self.core.now);
        // Most polls follow within the same millisecond.
        if millis != 0 {
            let millis = u32::try_from(millis).unwrap_or(u32::MAX);
            self.core.now = now;
            self.core.keep_alive.elapse(millis);
            self.core.deadline.elapse(millis);
            if Version::LATEST.is_v5() {
                self.core.expiry.elapse(millis);
            }
            if self.core.overdue == Overdue::Writing {
                self.core.overdue = Overdue::Written;
            }
        } else if now != self.core.now {
            self.go_back(now);
        }
        if self.core.deadline.is_set() {
            self.begin_limit();
        }
        if Version::LATEST.is_v5() && self.core.unstamped != 0 {
            self.stamp();
        }
    }

    /// A message lives from its acceptance on, which is told the time by the poll that follows.
    #[inline(never)]
    pub(super) fn stamp(&mut self) {
        let count = core::mem::take(&mut self.core.unstamped);
        if let Some(millis) = self.store.stamp(count, self.core.now) {
            self.expire_in(millis);
        }
    }

    /// The clock was set back: what is measured goes on from there, and what was counted stays counted.
    #[cold]
    #[inline(never)]
    pub(super) fn go_back(&mut self, now: Instant) {
        let was = self.core.now;
        let millis = was.millis_since(now);
        if millis < JITTER {
            return;
        }
        self.core.now = now;
        self.core.end.set_back(millis);
        let by = if self.stored_version().is_v5() {
            was.second_and_millis().0.wrapping_sub(now.second_and_millis().0)
        } else {
            was.millisecond().wrapping_sub(now.millisecond())
        };
        self.store.set_back(by);
        if self.retry_interval() != 0 {
            let (ages, was, now) = (self.ages(), was.millisecond(), now.millisecond());
            for slot in self.slots.iter_mut().filter(|slot| matches!(slot.sent(), Sent::Released(..))) {
                ages.set_back(slot, was, now);
            }
        }
    }

    /// It is now that a time limit begins: for the first time, or again because bytes were written, but not for ever.
    #[inline(never)]
    pub(super) fn begin_limit(&mut self) {
        if self.core.deadline.begin() {
            let all = u32::from(self.limit(self.core.phase)).wrapping_mul(1000).wrapping_mul(LIMITS);
            self.core.deadline.shorten(all.saturating_sub(self.core.keep_alive.since_limit_began()));
        } else if !self.core.phase.is_watched() {
            self.core.keep_alive.limit_begins();
        }
    }

    /// What time demands of the connection.
    #[inline(never)]
    pub(super) fn meet_deadlines(&mut self, has_space: bool) -> Met {
        let is_online = self.core.phase == Phase::Online;
        let demand = if self.core.phase.is_watched() { self.core.keep_alive.demand() } else { Demand::Nothing };
        if demand == Demand::GiveUp || (!is_online && self.core.deadline.is_over()) {
            self.core.overdue = self.grace(has_space);
            match self.core.overdue {
                Overdue::No => self.give_up_if_silent(),
                Overdue::Reading => return Met::NotRead,
                Overdue::Writing | Overdue::Written => {}
            }
            return Met::All;
        }
        self.core.overdue = Overdue::No;
        if demand == Demand::Ask {
            #[cfg(feature = "streaming")]
            if self.store.outbox.awaits_piece().is_some() {
                self.core.keep_alive.postponed();
                return Met::All;
            }
            if self.queue.has_room(ANSWER) && !self.is_writing() {
                self.core.keep_alive.asked();
                self.push_encoded(&PacketType::Pingreq.alone());
            } else {
                self.core.keep_alive.stalled();
            }
        }
        if !is_online {
            return Met::All;
        }
        #[cfg(feature = "streaming")]
        if self.store.outbox.awaits_piece().is_some() {
            if self.core.deadline.is_over() {
                self.end(CloseReason::PayloadTimeout);
            }
            return Met::All;
        }
        if !self.retries() {
            self.core.deadline = Timer::OFF;
        } else if self.core.deadline.is_off() {
            self.begin_retry_interval();
        } else if self.core.deadline.is_over() {
            self.look_for_old();
        }
        Met::All
    }

    /// What is to be done before a limit that is over is judged. `No`: nothing is left to be done.
    pub(super) fn grace(&self, has_space: bool) -> Overdue {
        let listens = has_space && (self.core.phase.is_connecting() || self.core.phase.is_watched());
        match self.core.overdue {
            Overdue::No if self.is_writing() => Overdue::Writing,
            Overdue::No | Overdue::Written if listens => Overdue::Reading,
            Overdue::Writing => Overdue::Writing,
            _ => Overdue::No,
        }
    }

    /// A limit is over, and nothing came of the last attempt.
    pub(super) fn give_up_if_silent(&mut self) {
        match self.core.phase {
            Phase::Connecting => self.end(E::NO_BEGINNING),
            Phase::Awaiting => {
                self.complete(CloseReason::DisconnectedIncomplete);
                self.part();
            }
            Phase::Completing if self.core.deadline.is_over() => {
                // The last answer may have come with the last read.
                self.complete_if_over();
                if self.core.phase == Phase::Completing {
                    self.complete(CloseReason::DisconnectedIncomplete);
                }
            }
            Phase::Online | Phase::Completing => self.fail(E::SILENCE),
            _ if self.core.cause.is_disconnected() => self.end(CloseReason::DisconnectTimeout),
            _ => self.end(self.core.cause),
        }
    }

    /// The caller does not read, on purpose: silence says nothing of the peer.
    pub(crate) fn reading_paused(&mut self) {
        match self.core.phase {
            Phase::Online | Phase::Completing => self.core.keep_alive.unwatched(),
            Phase::Connecting => self.core.deadline = Timer::set(self.limit(Phase::Connecting)),
            _ => {}
        }
    }

    /// Whether something is to be sent again after a time.
    pub(super) fn retries(&self) -> bool {
        self.retry_interval() != 0 && self.core.phase == Phase::Online && self.core.identifiers.taken() != 0
    }

    pub(super) fn begin_retry_interval(&mut self) {
        self.core.deadline = Timer::of(u32::from(self.retry_interval()).wrapping_mul(1000));
    }

    /// Goes through all that is unanswered once more, in order: what is old enough is sent again, and the next look is when
    /// the next one will be.
    pub(super) fn look_for_old(&mut self) {
        self.begin_retry_interval();
        self.store.rewind();
        self.core.next_release = self.core.releases.first(self.slots);
    }

    /// Passes over what was sent on this connection and is not yet to be sent again.
    #[cold]
    #[inline(never)]
    pub(super) fn pass_young(&mut self) {
        let now = self.core.now.millisecond();
        let limit = if self.retries() { u32::from(self.retry_interval()).wrapping_mul(1000) } else { NEVER };
        let mut passed = 0_u32;
        while let Some(place) = self.next_published() {
            let left = limit.saturating_sub(self.store.lifetime(place).age(now));
            if left == 0 {
                return;
            }
            self.store.pass_over();
            passed = passed.wrapping_add(1);
            self.look_again_in(left, passed);
        }
    }

    /// The next look for what is to be sent again, after so many were looked at: with thousands under way, not each
    /// millisecond.
    #[cold]
    #[inline(never)]
    pub(super) fn look_again_in(&mut self, millis: u32, passed: u32) {
        if self.core.phase == Phase::Online {
            self.core.deadline.shorten(millis.max(passed / 64));
        }
    }

    /// How old the PUBRELs are, where they are sent again after a time.
    pub(super) fn ages(&self) -> Ages {
        Ages::new(self.slots, self.retry_interval())
    }
}
