//! The caller's clock.

/// A point in time on the caller's own clock, in milliseconds since any moment that stays the same for the life of a
/// session. 64 bits do not wrap: they last for 584 million years.
///
/// A session reads no clock; it is told the time with each `poll`. Time that goes backwards changes nothing.
///
/// ```
/// use mqtt_session::Instant;
/// let start = Instant::from_millis(1_000);
/// assert_eq!(start.after_millis(500).millis_since(start), 500);
/// assert_eq!(start.millis_since(start.after_millis(500)), 0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
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

    /// The milliseconds that have passed since `earlier`; 0 if it is not earlier.
    #[must_use]
    pub const fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}
