//! How long to wait before the next connection.

/// The pauses between attempts to connect: twice as long each time, up to a limit, and never in step with others.
///
/// Each pause is drawn from the upper half of what it may be, by a random number of the caller's, so that a thousand clients
/// that lost one server do not come back at once. It is arithmetic alone; the waiting is the caller's.
///
/// Reset it behind each connection that was of use: one on which CONNACK came, or, where a server may accept connections
/// only to lose them, one on which something came behind CONNACK. How long a connection lasted does not tell: over a link that
/// breaks every second, pauses would grow to `longest` although each connection carries messages. New messages do not tell
/// either: behind many cuts one may carry nothing but what was sent before.
///
/// ```
/// use mqtt_session::Backoff;
///
/// let mut backoff = Backoff::new(250, 30_000);
/// assert!((125..=250).contains(&backoff.next(0x8000_0000)));
/// assert!((250..=500).contains(&backoff.next(0x1234_5678)));
/// backoff.reset(); // at `Event::Connected`, or once more has come in behind it
/// assert!((125..=250).contains(&backoff.next(0xFFFF_FFFF)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Backoff {
    first: u32,
    longest: u32,
    /// What the next pause may be at most.
    pause: u32,
}

impl Backoff {
    /// Pauses of up to `first` milliseconds at first and `longest` in the end, which none exceeds. A `first` of 0 stays 0.
    #[must_use]
    pub const fn new(first: u32, longest: u32) -> Self {
        let first = if first < longest { first } else { longest };
        Self { first, longest, pause: first }
    }

    /// The next pause in milliseconds. `random` is any number, as evenly spread over all of them as can be had: the same
    /// one gives the shortest pauses at 0 and the longest at its maximum.
    #[must_use = "the pause is to be waited for"]
    pub const fn next(&mut self, random: u32) -> u32 {
        let pause = self.pause;
        let shortest = pause.div_ceil(2);
        let doubled = pause.saturating_mul(2);
        self.pause = if doubled < self.longest { doubled } else { self.longest };
        shortest.saturating_add(share(pause / 2, random))
    }

    /// The next pause is as short as the first.
    pub const fn reset(&mut self) {
        self.pause = self.first;
    }
}

/// A number from 0 to `range`, by a random one.
const fn share(range: u32, random: u32) -> u32 {
    ((range as u64).saturating_add(1).saturating_mul(random as u64) >> u32::BITS) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_its_limit() {
        let mut backoff = Backoff::new(100, 1_000);
        let pauses = [(); 6].map(|()| backoff.next(u32::MAX));
        assert_eq!(pauses, [100, 200, 400, 800, 1_000, 1_000]);
        backoff.reset();
        let pauses = [(); 6].map(|()| backoff.next(0));
        assert_eq!(pauses, [50, 100, 200, 400, 500, 500]);
    }

    #[test]
    fn stays_between_half_and_all() {
        for pause in [0, 1, 2, 3, 7, 1_000, u32::MAX - 1, u32::MAX] {
            for random in [0, 1, 0x7FFF_FFFF, 0x8000_0000, u32::MAX] {
                let drawn = Backoff::new(pause, u32::MAX).next(random);
                assert!(pause / 2 <= drawn && drawn <= pause, "{pause} {random:x}: {drawn}");
            }
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "too much for an interpreter")]
    fn draws_evenly() {
        let mut counts = [0; 6];
        for random in (0..=u32::MAX).step_by(1 << 16) {
            counts[(Backoff::new(10, 10).next(random) - 5) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (10_922..=10_923).contains(count)), "{counts:?}");
    }

    #[test]
    fn never_exceeds_its_limit() {
        let mut backoff = Backoff::new(5_000, 300);
        assert_eq!([backoff.next(u32::MAX), backoff.next(u32::MAX)], [300, 300]);
        backoff.reset();
        assert_eq!(backoff.next(u32::MAX), 300);
        let mut backoff = Backoff::new(0x9000_0000, u32::MAX);
        assert_eq!([backoff.next(u32::MAX), backoff.next(u32::MAX)], [0x9000_0000, u32::MAX]);
        assert_eq!(Backoff::new(0, u32::MAX).next(u32::MAX), 0);
    }
}
