//! What a link does, and when it breaks.

use core::ops::RangeInclusive;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::sim::Faults;

use super::alloc::vec::Vec;

/// Links with faults, for a [`Simulation`](crate::sim::Simulation), within limits. A failure shrinks to a link that does as
/// little as it can.
///
/// ```
/// use mqtt_session::strategies::Links;
/// use proptest::prelude::*;
///
/// proptest!(|(link in Links { delay: 100, ..Links::default() }.link())| {
///     prop_assert!(link.faults.delay <= 100 && link.faults.corrupt_once_in == 0);
/// });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Links {
    /// Whether writes may be taken, and bytes may arrive, in pieces.
    pub fragments: bool,
    /// How many milliseconds bytes may be under way.
    pub delay: u32,
    /// How often a link may be cut by chance: once in so many transfers, or less often; 0: never. There is no end to these
    /// cuts, unlike to `breaks`.
    pub cut_once_in: u32,
    /// How often a bit may be wrong: once in so many arrivals, or less often; 0: never.
    pub corrupt_once_in: u32,
    /// How many connections may break, one after the other.
    pub breaks: usize,
    /// After how many bytes at most each of them does.
    pub within: usize,
    /// Whether the server may have lost its session when the client comes back.
    pub losses: bool,
}

/// Pieces, up to 50 milliseconds, up to four connections that break within 400 bytes, and no losses.
impl Default for Links {
    fn default() -> Self {
        Self { fragments: true, delay: 50, cut_once_in: 0, corrupt_once_in: 0, breaks: 4, within: 400, losses: false }
    }
}

impl Links {
    /// What a link does all the time.
    pub fn faults(self) -> BoxedStrategy<Faults> {
        let fragments = if self.fragments { any::<bool>().boxed() } else { Just(false).boxed() };
        let delay = prop_oneof![Just(0), 0..=self.delay.min(20), 0..=self.delay];
        (fragments, delay, rarely(self.cut_once_in), rarely(self.corrupt_once_in))
            .prop_map(|(fragments, delay, cut_once_in, corrupt_once_in)| Faults {
                fragments,
                delay,
                cut_once_in,
                corrupt_once_in,
            })
            .boxed()
    }

    /// When one connection after the other breaks.
    pub fn breaks(self) -> BoxedStrategy<Vec<Break>> {
        let is_lost = if self.losses { prop::bool::weighted(0.2).boxed() } else { Just(false).boxed() };
        let each = (0..=self.within, is_lost).prop_map(|(after, is_lost)| Break { after, is_lost });
        vec(each, 0..=self.breaks).boxed()
    }

    /// All that a link does.
    pub fn link(self) -> BoxedStrategy<Link> {
        (self.breaks(), self.faults(), seed()).prop_map(|(breaks, faults, seed)| Link { seed, faults, breaks }).boxed()
    }
}

/// What a link does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// For [`Simulation::new`](crate::sim::Simulation::new).
    pub seed: u64,
    /// What it does all the time.
    pub faults: Faults,
    /// When the first connection breaks, the second, and so on. Those that follow do not break, so that everything can come
    /// to its end.
    pub breaks: Vec<Break>,
}

/// How a connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Break {
    /// After so many bytes, for [`Simulation::cut_after`](crate::sim::Simulation::cut_after).
    pub after: usize,
    /// Whether the server's session is lost then. Replace it by a new one.
    pub is_lost: bool,
}

/// Seeds of a simulation. They do not shrink, for a smaller one is no simpler.
pub fn seed() -> BoxedStrategy<u64> {
    any::<u64>().no_shrink().boxed()
}

/// Mostly never, otherwise once in `most_often` times or up to twelve times more seldom.
fn rarely(most_often: u32) -> BoxedStrategy<u32> {
    let times: RangeInclusive<u32> = most_often..=most_often.saturating_mul(12);
    prop_oneof![3 => Just(0), 1 => times].boxed()
}
