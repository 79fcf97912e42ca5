//! The caller's clock.

use core::time::Duration;

/// What is left of a duration where a byte says how many seconds it takes: full seconds, up to 255.
pub(crate) fn seconds(duration: Duration) -> u8 {
    let begun = u64::from(duration.subsec_nanos() != 0);
    duration.as_secs().saturating_add(begun).min(255) as u8
}

/// A point in time on the caller's own clock, in milliseconds since any moment that stays the same for the life of a
/// session. 64 bits do not wrap: they last for 584 million years.
///
/// A session reads no clock; it is told the time with each `poll`. A clock may be set back: the earlier time is the new one,
/// and what has passed of each limit, and of what is left of a message, stays passed. Less than a second back is taken for a
/// clock that jitters: time stands still until it is where it was, and neither hurries nor delays anything.
///
/// ```
/// use mqtt_session::Instant;
/// let start = Instant::from_millis(1_000);
/// assert_eq!(start.after_millis(500).millis_since(start), 500);
/// assert_eq!(start.millis_since(start.after_millis(500)), 0);
/// ```
// A session has one, which would align all of it to eight bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(Rust, packed(4))]
pub struct Instant(u64);

impl Instant {
    /// The instant `millis` milliseconds after the zero of the clock.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the zero of the clock.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The instant `millis` milliseconds later, or the last one there is.
    #[must_use]
    pub const fn after_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// The millisecond, in a circle of 2^32.
    #[expect(clippy::cast_possible_truncation, reason = "a circle")]
    pub(crate) const fn millisecond(self) -> u32 {
        self.0 as u32
    }

    /// The instant `millis` milliseconds earlier, or the first one there is.
    #[cfg(feature = "server")]
    pub(crate) const fn before_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_sub(millis))
    }

    /// The second that this instant is in, in a circle of 2^32 seconds, and how many of its milliseconds have passed. Small
    /// processors have no division of 64 bits; but 2^32
    /// milliseconds are 4,294,967.296 seconds, and 125 times as many are 2^29 seconds.
    #[expect(clippy::cast_possible_truncation, reason = "both halves of 64 bits")]
    pub(crate) const fn second_and_millis(self) -> (u32, u32) {
        let (high, low) = ((self.0 >> 32) as u32, self.0 as u32);
        let (turns, high) = (high / 125, high % 125);
        let thousandths = high.wrapping_mul(296).wrapping_add(low % 1000);
        let seconds = high.wrapping_mul(4_294_967).wrapping_add(low / 1000).wrapping_add(thousandths / 1000);
        ((turns << 29).wrapping_add(seconds), thousandths % 1000)
    }

    /// The time since an earlier instant; zero if it is not earlier.
    ///
    /// ```
    /// use core::time::Duration;
    /// use mqtt_session::Instant;
    /// let uptime = Duration::from_millis(1_500);
    /// assert_eq!(Instant::from(uptime), Instant::from_millis(1_500));
    /// assert_eq!(Duration::from(Instant::from_millis(1_500)), uptime);
    /// assert_eq!(Instant::from(uptime).since(Instant::from_millis(1_000)), Duration::from_millis(500));
    /// ```
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.millis_since(earlier))
    }

    /// The milliseconds that have passed since `earlier`; 0 if it is not earlier.
    #[must_use]
    pub const fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A time since the zero of the clock, in full milliseconds; beyond 584 million years the last instant there is.
impl From<Duration> for Instant {
    fn from(since_zero: Duration) -> Self {
        Self(u64::try_from(since_zero.as_millis()).unwrap_or(u64::MAX))
    }
}

impl From<Instant> for Duration {
    fn from(instant: Instant) -> Self {
        Self::from_millis(instant.as_millis())
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Instant {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Instant({=u64})", self.as_millis());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "too much for an interpreter")]
    fn seconds_are_those_of_a_long_division() {
        let around = |middle: u64| (0..4_000).map(move |offset| middle.wrapping_add(offset).wrapping_sub(2_000));
        let powers = (0..64).map(|power| 1_u64 << power);
        let turns = (1..1_000).map(|turn| (turn * 125) << 32);
        for millis in powers.chain(turns).flat_map(around) {
            let expected = ((millis / 1000) & u64::from(u32::MAX), millis % 1000);
            let (second, of_second) = Instant::from_millis(millis).second_and_millis();
            assert_eq!((second.into(), of_second.into()), expected, "{millis}");
        }
    }
}
