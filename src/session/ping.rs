//! PINGREQ that the application asks for, and how long its answer takes.

use crate::time::Instant;

/// Where the PINGREQ stands that the application asked for. All zero bits: there is none.
///
/// The lowest two bits say where; if it is written, the others when, in a circle of 12 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ping(u32);

impl Ping {
    pub(super) const NONE: Self = Self(0);

    /// PINGRESP to an earlier PINGREQ comes first: it does not say which one it answers.
    pub(super) const WAITING: Self = Self(1);

    /// It leaves with what is shown next of the queue.
    pub(super) const QUEUED: Self = Self(2);

    /// The same, behind what is shown.
    pub(super) const BEHIND: Self = Self(2 | 4);

    const WRITTEN: u32 = 3;

    pub(super) const fn written(at: Instant) -> Self {
        Self(at.millisecond() << 2 | Self::WRITTEN)
    }

    /// The milliseconds since it was written, if it was.
    pub(super) const fn age(self, now: Instant) -> Option<u32> {
        if self.0 & Self::WRITTEN == Self::WRITTEN {
            Some(now.millisecond().wrapping_sub(self.0 >> 2) & (u32::MAX >> 2))
        } else {
            None
        }
    }

    /// The clock was set back: what has passed stays passed.
    pub(super) fn set_back(&mut self, millis: u64) {
        if self.0 & Self::WRITTEN == Self::WRITTEN {
            let [a, b, c, d, ..] = millis.to_le_bytes();
            self.0 = self.0.wrapping_sub(u32::from_le_bytes([a, b, c, d]) << 2);
        }
    }

    /// What it means, whatever the clock says.
    pub(super) fn comparable(self, now: Instant) -> Self {
        self.age(now).map_or(self, |age| Self::written(Instant::from_millis(age.into())))
    }
}
