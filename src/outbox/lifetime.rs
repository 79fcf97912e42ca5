//! How long a packet may wait to be sent.

use crate::time::Instant;

/// How long a packet may wait: without end, or for some time from the poll that follows, or until a second of the
/// caller's clock. Time is counted in half seconds: a message that is accepted within a second lives half of one longer, so that its
/// age is told in full seconds and it never expires early. The clock may begin anywhere, so times are compared in a circle;
/// intervals of more than 17 years count as endless.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Lifetime(pub(super) u32);

impl Lifetime {
    pub(crate) const ENDLESS: Self = Self(0);

    /// The value is a number of half seconds from the poll that follows.
    const UNSTAMPED: u32 = 1 << 31;
    /// Otherwise it is a half second of the clock, and not 0.
    const VALUE: u32 = Self::UNSTAMPED - 1;
    const HALF: u32 = 1 << 30;

    /// One of 0 seconds counts as one of 1, or it would be over before the packet could be shown.
    pub(crate) const fn of(seconds: u32) -> Self {
        let halves = seconds.saturating_mul(2);
        match halves {
            0 => Self(2 | Self::UNSTAMPED),
            2..Self::HALF => Self(halves | Self::UNSTAMPED),
            _ => Self::ENDLESS,
        }
    }

    /// What a record keeps of it.
    #[cfg(feature = "durable")]
    pub(crate) const fn number(self) -> u32 {
        self.0
    }

    #[cfg(feature = "durable")]
    pub(crate) const fn of_number(number: u32) -> Self {
        Self(number)
    }

    /// Says when this is, where that was not yet said.
    pub(super) fn stamped(self, now: Instant) -> Self {
        if self.0 & Self::UNSTAMPED == 0 {
            self
        } else {
            let (second, millis) = now.second_and_millis();
            let half = second.wrapping_mul(2).wrapping_add(u32::from(millis != 0));
            Self((self.0.wrapping_add(half) & Self::VALUE).max(1))
        }
    }

    /// How many whole seconds of it are left, where that is known.
    pub(crate) const fn left(self, now: Instant) -> Option<u32> {
        match self.halves_left(now.second_and_millis().0) {
            None => None,
            Some(halves) => Some(halves >> 1),
        }
    }

    /// The milliseconds until it is over, where that is known; 0: it is.
    pub(crate) fn millis_left(self, now: Instant) -> Option<u32> {
        // It ends with a second.
        let (second, millis) = now.second_and_millis();
        let seconds = self.halves_left(second)?.wrapping_add(1) >> 1;
        Some(seconds.saturating_mul(1000).saturating_sub(millis))
    }

    const fn halves_left(self, second: u32) -> Option<u32> {
        match self.0.wrapping_sub(second.wrapping_mul(2)) & Self::VALUE {
            _ if self.0 == 0 || self.0 & Self::UNSTAMPED != 0 => None,
            left @ ..Self::HALF => Some(left),
            _ => Some(0),
        }
    }
}

/// In 3.1.1, where no packet expires, the same word says when it was shown last: in half milliseconds, of which the last one
/// makes it differ from 0.
impl Lifetime {
    /// Shown at this millisecond of the clock.
    pub(crate) const fn shown(millis: u32) -> Self {
        Self((millis << 1 | 1) & Self::VALUE)
    }

    /// The milliseconds since it was shown, in a circle of 12 days.
    pub(crate) const fn age(self, millis: u32) -> u32 {
        (Self::shown(millis).0.wrapping_sub(self.0) & Self::VALUE) >> 1
    }

    /// The clock was set back by so many seconds, in 3.1.1 milliseconds: what is left, or has passed, stays the same.
    pub(super) fn set_back(self, by: u32) -> Self {
        if self.0 == 0 || self.0 & Self::UNSTAMPED != 0 {
            self
        } else {
            Self((self.0.wrapping_sub(by.wrapping_mul(2)) & Self::VALUE).max(1))
        }
    }
}
