//! When to ask whether the other end is still there, and when to give up. (conformance table 4.12)

/// The pauses of a connection, in milliseconds. All saturate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct KeepAlive {
    /// The longest pause allowed; 0: any.
    interval: u32,
    /// How long an answer may take.
    patience: u32,
    /// Since the last byte went out.
    unsent: u32,
    /// Since the last byte came in.
    unheard: u32,
    alive: Alive,
}

/// What is known of the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
enum Alive {
    /// Nothing was asked.
    Quiet,
    /// PINGREQ was sent; so long ago nothing has come in since.
    Asked(u32),
}

/// What the time demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demand {
    /// Nothing for so long; `None`: nothing ever.
    Nothing(Option<u32>),
    /// PINGREQ.
    Ask,
    /// The other end is gone. (5.0: 3.1.2.10)
    GiveUp,
}

impl KeepAlive {
    /// No limits.
    pub(crate) const OFF: Self = Self { interval: 0, patience: 0, unsent: 0, unheard: 0, alive: Alive::Quiet };

    /// Pauses of at most `seconds`, counted from now; 0 switches everything off. An answer may take `patience`
    /// milliseconds.
    pub(crate) fn start(seconds: u16, patience: u32) -> Self {
        Self { interval: u32::from(seconds).saturating_mul(1000), patience, ..Self::OFF }
    }

    pub(crate) const fn elapse(&mut self, millis: u32) {
        self.unsent = self.unsent.saturating_add(millis);
        self.unheard = self.unheard.saturating_add(millis);
        if let Alive::Asked(since) = &mut self.alive {
            *since = since.saturating_add(millis);
        }
    }

    /// A packet went out. [MQTT-3.1.2-23] in 3.1.1, [MQTT-3.1.2-20] in 5.0
    pub(crate) const fn sent(&mut self) {
        self.unsent = 0;
    }

    /// Something came in.
    pub(crate) const fn heard(&mut self) {
        self.unheard = 0;
        if let Alive::Asked(since) = &mut self.alive {
            *since = 0;
        }
    }

    /// PINGREQ is on its way.
    pub(crate) const fn asked(&mut self) {
        self.alive = Alive::Asked(0);
    }

    /// PINGRESP came.
    pub(crate) const fn answered(&mut self) {
        self.alive = Alive::Quiet;
    }

    pub(crate) fn demand(&self) -> Demand {
        match self.alive {
            _ if self.interval == 0 => Demand::Nothing(None),
            Alive::Asked(since) => match self.patience.checked_sub(since) {
                None | Some(0) => Demand::GiveUp,
                left => Demand::Nothing(left),
            },
            Alive::Quiet => match self.ask_after().checked_sub(self.unsent.max(self.unheard)) {
                None | Some(0) => Demand::Ask,
                left => Demand::Nothing(left),
            },
        }
    }

    /// The other end measures arrival, so we ask a little early.
    const fn ask_after(&self) -> u32 {
        self.interval.saturating_sub(self.interval / 8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quiet(seconds: u16) -> KeepAlive {
        KeepAlive::start(seconds, 10_000)
    }

    #[test]
    fn nothing_is_demanded_without_an_interval() {
        let mut keep_alive = quiet(0);
        keep_alive.elapse(u32::MAX);
        assert_eq!(keep_alive.demand(), Demand::Nothing(None));
    }

    #[test]
    fn asks_when_nothing_was_sent_or_nothing_received() {
        for busy in [KeepAlive::sent, KeepAlive::heard] {
            let mut keep_alive = quiet(8);
            keep_alive.elapse(6_999);
            busy(&mut keep_alive);
            assert_eq!(keep_alive.demand(), Demand::Nothing(Some(1)));
            keep_alive.elapse(1);
            assert_eq!(keep_alive.demand(), Demand::Ask);
        }
    }

    #[test]
    fn any_byte_extends_the_wait_for_an_answer() {
        let mut keep_alive = quiet(8);
        keep_alive.asked();
        keep_alive.elapse(9_999);
        keep_alive.heard();
        keep_alive.elapse(9_999);
        assert_eq!(keep_alive.demand(), Demand::Nothing(Some(1)));
        keep_alive.elapse(1);
        assert_eq!(keep_alive.demand(), Demand::GiveUp);
    }

    #[test]
    fn an_answer_ends_the_wait() {
        let mut keep_alive = quiet(8);
        keep_alive.asked();
        keep_alive.elapse(9_000);
        keep_alive.sent();
        keep_alive.heard();
        keep_alive.answered();
        assert_eq!(keep_alive.demand(), Demand::Nothing(Some(7_000)));
    }
}
