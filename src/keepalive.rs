//! When to ask whether the other end is still there, and when to give up. (3.1.2.10)

use crate::timer::NEVER;

/// The pauses of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct KeepAlive {
    /// Milliseconds since the last byte went out or, while the connection begins or ends, since the limit for that began.
    unsent: u32,
    /// Milliseconds since the last byte came in, or since our question was written.
    unheard: u32,
    /// The longest pause allowed, in seconds; 0: any.
    interval: u16,
    /// How long an answer may take, in seconds.
    response_timeout: u8,
    alive: Alive,
}

/// What is known of the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
enum Alive {
    /// There is no connection yet, or none any more: nobody is asked.
    Off,
    /// Nothing was asked.
    Quiet,
    /// PINGREQ is being written.
    Asking,
    /// PINGREQ was sent.
    Asked,
    /// PINGREQ was due, but the transport takes nothing.
    Stalled,
    /// This is the server's end, which does not ask. Packets are what it waits for.
    #[cfg(feature = "server")]
    Watching,
    /// The same, where bytes are enough.
    #[cfg(feature = "server")]
    WatchingBytes,
}

/// What the time demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demand {
    Nothing,
    /// PINGREQ.
    Ask,
    /// The other end is gone. (5.0: 3.1.2.10)
    GiveUp,
}

/// Says of a time that it begins with the next poll: what is told of written bytes does not tell the time.
const BEGINS: u32 = u32::MAX;

/// What a time comes to at most, which is longer than any limit.
const LONGEST: u32 = BEGINS - 1;

impl KeepAlive {
    /// No limits.
    pub(crate) const OFF: Self = Self { unsent: 0, unheard: 0, interval: 0, response_timeout: 0, alive: Alive::Off };

    /// What CONNECT asks for: pauses of at most `interval` seconds, answers within `response_timeout` seconds.
    pub(crate) const fn proposed(interval: u16, response_timeout: u8) -> Self {
        Self { interval, response_timeout, ..Self::OFF }
    }

    /// Begins now, with the interval that the server wants, if it wants another one. [MQTT-3.1.2-21]
    pub(crate) fn start(&mut self, wanted: Option<u16>) {
        let interval = wanted.unwrap_or(self.interval);
        *self = Self { interval, unsent: 0, unheard: 0, alive: Alive::Quiet, ..*self };
    }

    /// Begins now on the server's end, which waits one and a half times the interval for the next packet. [MQTT-3.1.2-24]
    /// in 3.1.1, [MQTT-3.1.2-22] in 5.0
    #[cfg(feature = "server")]
    pub(crate) const fn watching(interval: u16, bytes: bool) -> Self {
        let alive = if bytes { Alive::WatchingBytes } else { Alive::Watching };
        Self { interval, alive, ..Self::OFF }
    }

    pub(crate) const fn elapse(&mut self, millis: u32) {
        self.unsent = later(self.unsent, millis);
        if self.unheard != BEGINS {
            self.unheard = later(self.unheard, millis);
        }
    }

    /// How many seconds an answer may take.
    pub(crate) const fn response_timeout(&self) -> u8 {
        self.response_timeout
    }

    /// A limit for the beginning or the end of the connection begins.
    pub(crate) const fn limit_begins(&mut self) {
        self.unsent = 0;
    }

    /// The milliseconds since that.
    pub(crate) const fn since_limit_began(&self) -> u32 {
        self.unsent
    }

    /// Bytes went out; perhaps all that were shown. [MQTT-3.1.2-23] in 3.1.1, [MQTT-3.1.2-20] in 5.0
    pub(crate) fn sent(&mut self, all: bool) {
        self.unsent = 0;
        match self.alive {
            Alive::Stalled => {
                self.alive = Alive::Quiet;
                // PINGREQ is still due.
                self.unheard = LONGEST;
            }
            // However long the write took, nobody could answer before.
            Alive::Asking => {
                self.unheard = BEGINS;
                if all {
                    self.alive = Alive::Asked;
                }
            }
            _ => {}
        }
    }

    /// Bytes came in, which is enough for a client.
    pub(crate) fn stirred(&mut self) {
        #[cfg(feature = "server")]
        if self.alive == Alive::Watching {
            return;
        }
        self.heard();
    }

    /// Nobody wants to hear now. A transport that takes nothing is no better for it.
    pub(crate) fn unwatched(&mut self) {
        if self.alive != Alive::Stalled {
            self.heard();
        }
    }

    /// A packet came in.
    pub(crate) const fn heard(&mut self) {
        self.unheard = 0;
    }

    /// PINGREQ is on its way, perhaps once more: the wait for an answer is that for the first one's.
    pub(crate) const fn asked(&mut self) {
        if !self.awaits() {
            self.unheard = 0;
            self.alive = Alive::Asking;
        }
        self.unsent = 0;
    }

    /// The application wants PINGREQ to leave. None is under way.
    pub(crate) const fn wanted(&mut self) {
        self.unheard = BEGINS;
        self.alive = Alive::Asking;
    }

    /// PINGREQ is due, but does not fit behind what waits to be written.
    pub(crate) const fn stalled(&mut self) {
        if !self.awaits() {
            self.unheard = 0;
        }
        self.alive = Alive::Stalled;
    }

    /// PINGREQ is due, but the application has yet to go on with what is half written.
    #[cfg(feature = "streaming")]
    pub(crate) const fn postponed(&mut self) {
        (self.unsent, self.unheard) = (0, 0);
    }

    /// PINGRESP came.
    pub(crate) fn answered(&mut self) {
        if self.awaits() {
            self.alive = Alive::Quiet;
        }
    }

    /// Whether a PINGREQ is under way.
    pub(crate) const fn awaits(&self) -> bool {
        matches!(self.alive, Alive::Asking | Alive::Asked)
    }

    pub(crate) fn demand(&mut self) -> Demand {
        if self.unheard == BEGINS {
            self.unheard = 0;
        }
        match self.left() {
            (0, _) => Demand::GiveUp,
            (_, 0) => Demand::Ask,
            _ => Demand::Nothing,
        }
    }

    /// The milliseconds until something is demanded.
    pub(crate) fn pause(&self) -> u32 {
        let (give_up, ask) = self.left();
        give_up.min(ask)
    }

    /// What it means: time that nothing is waited for does not count.
    pub(crate) const fn content(self) -> Self {
        match self.alive {
            // As long as the connection begins, there is a limit for that alone.
            Alive::Off => Self { unheard: 0, ..self },
            Alive::Asking | Alive::Asked if self.interval == 0 => Self { unsent: 0, ..self },
            _ if self.interval == 0 => Self { unsent: 0, unheard: 0, ..self },
            Alive::Quiet | Alive::Asking | Alive::Asked => self,
            Alive::Stalled => Self { unsent: 0, ..self },
            #[cfg(feature = "server")]
            Alive::Watching | Alive::WatchingBytes => Self { unsent: 0, ..self },
        }
    }

    /// What it means while the connection ends: there is a limit for that alone.
    pub(crate) const fn content_of_end(self) -> Self {
        Self { unsent: self.unsent, ..Self::OFF }
    }

    /// The milliseconds until the other end is given up, and until it is asked.
    fn left(&self) -> (u32, u32) {
        match self.alive {
            // The application asked.
            Alive::Asking | Alive::Asked if self.interval == 0 => (self.until_giving_up(), NEVER),
            _ if self.interval == 0 => (NEVER, NEVER),
            Alive::Off => (NEVER, NEVER),
            Alive::Quiet => (NEVER, self.until_asking(self.unsent.max(self.unheard))),
            Alive::Asking | Alive::Asked => (self.until_giving_up(), self.until_asking(self.unsent)),
            Alive::Stalled => (self.until_giving_up(), NEVER),
            #[cfg(feature = "server")]
            Alive::Watching | Alive::WatchingBytes => {
                let interval = millis(self.interval);
                (interval.wrapping_add(interval / 2).saturating_sub(self.unheard), NEVER)
            }
        }
    }

    fn until_giving_up(&self) -> u32 {
        millis(self.response_timeout.into()).saturating_sub(self.unheard)
    }

    /// The other end measures arrival, so we ask a little early.
    fn until_asking(&self, quiet: u32) -> u32 {
        let interval = millis(self.interval);
        interval.wrapping_sub(interval / 8).saturating_sub(quiet)
    }
}

/// A time that goes on, within what it may come to.
const fn later(time: u32, millis: u32) -> u32 {
    let time = time.saturating_add(millis);
    if time < LONGEST { time } else { LONGEST }
}

/// The product of 16 and 10 bits has room in 32.
fn millis(seconds: u16) -> u32 {
    u32::from(seconds).wrapping_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quiet(seconds: u16) -> KeepAlive {
        let mut keep_alive = KeepAlive::proposed(seconds, 10);
        keep_alive.start(None);
        keep_alive
    }

    #[test]
    fn nothing_is_demanded_before_the_start() {
        let mut keep_alive = KeepAlive::proposed(8, 10);
        keep_alive.elapse(u32::MAX);
        assert_eq!((keep_alive.demand(), keep_alive.pause()), (Demand::Nothing, NEVER));
    }

    #[test]
    fn the_server_may_want_another_interval() {
        let mut keep_alive = KeepAlive::proposed(8, 10);
        keep_alive.start(Some(16));
        assert_eq!((keep_alive.demand(), keep_alive.pause()), (Demand::Nothing, 14_000));
        keep_alive.start(Some(0));
        assert_eq!((keep_alive.demand(), keep_alive.pause()), (Demand::Nothing, NEVER));
    }

    #[test]
    fn nothing_is_demanded_without_an_interval() {
        let mut keep_alive = quiet(0);
        keep_alive.elapse(u32::MAX);
        assert_eq!((keep_alive.demand(), keep_alive.pause()), (Demand::Nothing, NEVER));
    }

    #[test]
    fn asks_when_nothing_was_sent_or_nothing_received() {
        for busy in [|keep_alive: &mut KeepAlive| keep_alive.sent(true), KeepAlive::heard] {
            let mut keep_alive = quiet(8);
            keep_alive.elapse(6_999);
            busy(&mut keep_alive);
            assert_eq!((keep_alive.demand(), keep_alive.pause()), (Demand::Nothing, 1));
            keep_alive.elapse(1);
            assert_eq!(keep_alive.demand(), Demand::Ask);
        }
    }

    #[test]
    fn any_byte_extends_the_wait_for_an_answer() {
        let mut keep_alive = quiet(60);
        keep_alive.asked();
        keep_alive.elapse(9_999);
        keep_alive.heard();
        keep_alive.elapse(9_999);
        assert_eq!((keep_alive.demand(), keep_alive.pause()), (Demand::Nothing, 1));
        keep_alive.elapse(1);
        assert_eq!(keep_alive.demand(), Demand::GiveUp);
    }

    /// [MQTT-3.1.2-23] in 3.1.1, [MQTT-3.1.2-20] in 5.0
    #[test]
    fn something_is_sent_in_time_also_while_an_answer_is_awaited() {
        let mut keep_alive = quiet(8);
        keep_alive.elapse(7_000);
        keep_alive.asked();
        keep_alive.elapse(6_000);
        keep_alive.heard();
        assert_eq!((keep_alive.demand(), keep_alive.pause()), (Demand::Nothing, 1_000));
        keep_alive.elapse(1_000);
        assert_eq!(keep_alive.demand(), Demand::Ask);
        keep_alive.asked();
        assert_eq!((keep_alive.demand(), keep_alive.pause()), (Demand::Nothing, 7_000));
        keep_alive.elapse(6_999);
        assert_eq!((keep_alive.demand(), keep_alive.pause()), (Demand::Nothing, 1));
        keep_alive.elapse(2_001);
        assert_eq!(keep_alive.demand(), Demand::GiveUp);
    }

    #[test]
    fn a_stalled_transport_is_asked_later_or_given_up() {
        let mut keep_alive = quiet(8);
        keep_alive.elapse(7_000);
        keep_alive.stalled();
        let mut moves_again = keep_alive;
        moves_again.sent(false);
        assert_eq!(moves_again.demand(), Demand::Ask);
        keep_alive.elapse(10_000);
        assert_eq!(keep_alive.demand(), Demand::GiveUp);
    }

    #[test]
    fn a_stalled_transport_has_its_own_time_unless_an_answer_is_awaited() {
        let mut keep_alive = quiet(8);
        keep_alive.elapse(7_000);
        let mut asked = keep_alive;
        keep_alive.stalled();
        keep_alive.elapse(9_999);
        assert_eq!((keep_alive.demand(), keep_alive.pause()), (Demand::Nothing, 1));
        asked.asked();
        asked.elapse(7_000);
        asked.stalled();
        assert_eq!((asked.demand(), asked.pause()), (Demand::Nothing, 3_000));
    }

    #[test]
    fn an_answer_to_nothing_changes_nothing() {
        let mut keep_alive = quiet(8);
        keep_alive.elapse(7_000);
        keep_alive.stalled();
        let before = keep_alive;
        keep_alive.answered();
        assert_eq!(keep_alive, before);
    }

    #[test]
    fn a_new_connection_begins_anew() {
        let mut keep_alive = quiet(8);
        keep_alive.elapse(7_000);
        keep_alive.asked();
        keep_alive.elapse(1_000);
        keep_alive.start(None);
        assert_eq!(keep_alive, quiet(8));
    }

    /// [MQTT-3.1.2-24] in 3.1.1, [MQTT-3.1.2-22] in 5.0
    #[cfg(feature = "server")]
    #[test]
    fn the_servers_end_waits_one_and_a_half_intervals_for_a_packet() {
        let mut keep_alive = KeepAlive::watching(9, false);
        keep_alive.elapse(13_499);
        keep_alive.sent(true);
        keep_alive.stirred();
        assert_eq!((keep_alive.demand(), keep_alive.pause()), (Demand::Nothing, 1));
        keep_alive.elapse(1);
        assert_eq!(keep_alive.demand(), Demand::GiveUp);
        keep_alive.heard();
        assert_eq!((keep_alive.demand(), keep_alive.pause()), (Demand::Nothing, 13_500));
        let mut keep_alive = KeepAlive::watching(0, false);
        assert_eq!((keep_alive.demand(), keep_alive.pause()), (Demand::Nothing, NEVER));
    }

    #[cfg(feature = "server")]
    #[test]
    fn bytes_are_enough_for_a_server_that_says_so() {
        let mut keep_alive = KeepAlive::watching(9, true);
        keep_alive.elapse(13_499);
        keep_alive.stirred();
        assert_eq!((keep_alive.demand(), keep_alive.pause()), (Demand::Nothing, 13_500));
        keep_alive.elapse(13_500);
        assert_eq!(keep_alive.demand(), Demand::GiveUp);
    }

    /// T2
    #[test]
    fn the_wait_for_an_answer_begins_once_the_question_is_written() {
        let mut keep_alive = quiet(60);
        keep_alive.asked();
        keep_alive.elapse(9_000);
        keep_alive.sent(false);
        keep_alive.elapse(9_000);
        assert_eq!((keep_alive.pause(), keep_alive.demand(), keep_alive.pause()), (0, Demand::Nothing, 10_000));
        keep_alive.elapse(9_000);
        keep_alive.sent(true);
        keep_alive.elapse(11_000);
        assert_eq!((keep_alive.demand(), keep_alive.pause()), (Demand::Nothing, 10_000));
        keep_alive.elapse(9_000);
        keep_alive.sent(true);
        assert_eq!((keep_alive.demand(), keep_alive.pause()), (Demand::Nothing, 1_000), "of another packet");
        keep_alive.elapse(u32::MAX);
        assert_eq!(keep_alive.demand(), Demand::GiveUp);
    }

    #[test]
    fn whoever_does_not_listen_waits_for_nobody() {
        let mut asked = quiet(60);
        asked.asked();
        asked.elapse(9_999);
        let mut stalled = asked;
        stalled.stalled();
        asked.unwatched();
        stalled.unwatched();
        assert_eq!((asked.pause(), stalled.pause()), (10_000, 1));
    }

    #[test]
    fn bytes_are_enough_for_a_client() {
        let mut keep_alive = quiet(8);
        keep_alive.elapse(6_000);
        keep_alive.sent(true);
        keep_alive.stirred();
        assert_eq!((keep_alive.demand(), keep_alive.pause()), (Demand::Nothing, 7_000));
    }

    #[test]
    fn an_answer_ends_the_wait() {
        // Shorter and longer pauses than the response_timeout for an answer.
        for (interval, pause) in [(8, 7_000), (80, 70_000)] {
            let mut keep_alive = quiet(interval);
            keep_alive.asked();
            keep_alive.elapse(9_000);
            keep_alive.sent(true);
            keep_alive.heard();
            keep_alive.answered();
            assert_eq!((keep_alive.demand(), keep_alive.pause()), (Demand::Nothing, pause));
        }
    }
}
