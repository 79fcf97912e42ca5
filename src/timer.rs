//! A limit of time.

/// More milliseconds than any limit has.
pub(crate) const NEVER: u32 = u32::MAX;

/// The milliseconds that are left until something must be over; a state of zeros is a timer that does not run.
///
/// Commands do not know the time, so a timer that a command sets, or one that begins anew because bytes were written, begins
/// with the poll that follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Timer(u32);

impl Timer {
    pub(crate) const OFF: Self = Self(0);

    /// Says that the timer has not begun.
    const SET: u32 = 1 << 31;

    /// Says besides that it had begun before.
    const AGAIN: u32 = 1 << 30;

    /// What is left of a timer that is over.
    const OVER: u32 = 1;

    /// A timer of so many seconds, which begins with the next poll.
    pub(crate) const fn set(seconds: u8) -> Self {
        Self((seconds as u32).wrapping_mul(1000).wrapping_add(Self::OVER) | Self::SET)
    }

    /// A timer that runs already and has so many milliseconds left, or as many as a timer has.
    pub(crate) fn of(millis: u32) -> Self {
        Self(millis.saturating_add(Self::OVER).min(Self::AGAIN.wrapping_sub(1)))
    }

    /// The one of two timers that is over first.
    pub(crate) fn or_sooner(self, other: Self) -> Self {
        if other.left() < self.left() { other } else { self }
    }

    /// Begins anew with the next poll, if it runs.
    pub(crate) const fn restart(&mut self, seconds: u8) {
        if !self.is_off() && !self.is_set() {
            self.0 = Self::set(seconds).0 | Self::AGAIN;
        }
    }

    /// Time has passed since the last poll.
    pub(crate) fn elapse(&mut self, millis: u32) {
        if self.0 != 0 && self.0 & Self::SET == 0 {
            self.0 = self.0.saturating_sub(millis).max(Self::OVER);
        }
    }

    /// Whether it begins with the next poll.
    pub(crate) const fn is_set(self) -> bool {
        self.0 & Self::SET != 0
    }

    /// Says that it is now that a timer begins that was set, and tells whether it had begun before.
    pub(crate) const fn begin(&mut self) -> bool {
        let again = self.0 & Self::AGAIN != 0;
        self.0 &= !(Self::SET | Self::AGAIN);
        again
    }

    /// Has no more than so many milliseconds left, if it runs.
    pub(crate) fn shorten(&mut self, millis: u32) {
        self.0 = self.0.min(millis.saturating_add(Self::OVER));
    }

    pub(crate) const fn is_off(self) -> bool {
        self.0 == 0
    }

    pub(crate) const fn is_over(self) -> bool {
        self.0 == Self::OVER
    }

    /// The milliseconds that are left; `NEVER` if the timer does not run.
    pub(crate) const fn left(self) -> u32 {
        match self.0 & (Self::SET | Self::AGAIN) {
            // It begins as soon as it is told the time.
            Self::SET => 0,
            // Of one that is off, this is what comes before zero.
            flags => (self.0 & !flags).wrapping_sub(Self::OVER),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begins_with_the_next_poll() {
        let mut timer = Timer::set(5);
        assert_eq!(timer.left(), 0);
        timer.elapse(u32::MAX);
        timer.begin();
        assert_eq!((timer.left(), timer.is_over()), (5_000, false));
        timer.elapse(4_999);
        assert_eq!((timer.left(), timer.is_over()), (1, false));
        timer.elapse(1);
        assert_eq!((timer.left(), timer.is_over()), (0, true));
        timer.elapse(u32::MAX);
        assert!(timer.is_over());
    }

    #[test]
    fn does_not_run_unless_set() {
        let mut timer = Timer::OFF;
        timer.elapse(u32::MAX);
        timer.begin();
        assert!(timer.is_off());
        assert_eq!((timer.left(), timer.is_over()), (NEVER, false));
    }

    #[test]
    fn begins_anew_with_the_next_poll() {
        let mut timer = Timer::set(5);
        timer.restart(5);
        assert!(!timer.begin(), "it has not begun before");
        timer.elapse(4_000);
        timer.restart(5);
        timer.elapse(6_000);
        assert_eq!((timer.left(), timer.is_over()), (5_000, false));
        assert!(timer.begin());
        timer.shorten(3_000);
        timer.shorten(4_000);
        assert_eq!(timer.left(), 3_000);
        timer.shorten(0);
        assert!(timer.is_over());
        let mut timer = Timer::OFF;
        timer.restart(5);
        timer.shorten(0);
        assert!(timer.is_off());
    }

    #[test]
    fn the_longest_timer() {
        let mut timer = Timer::set(u8::MAX);
        timer.begin();
        assert_eq!(timer.left(), 255_000);
    }

    #[test]
    fn a_timer_that_runs_is_no_longer_than_it_can_be() {
        let mut timer = Timer::of(u32::MAX);
        let left = timer.left();
        assert!(!timer.is_set() && left > 12 * 24 * 3_600_000, "{left}");
        timer.elapse(1);
        assert_eq!((timer.left(), timer.or_sooner(Timer::of(5_000))), (left - 1, Timer::of(5_000)));
    }
}
