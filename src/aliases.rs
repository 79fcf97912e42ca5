//! What topic aliases stand for on one connection, in one direction. (5.0: 3.3.2.3.4)

use crate::bytes::copy;

/// Memory set aside for topic aliases: how many there are, and how many bytes the topic of one may take. The aliases are
/// the numbers from 1 to `maximum`; each takes `topic` + 2 bytes.
///
/// ```
/// use mqtt_session::{Inbox, TopicAliases};
///
/// let mut inbox: Inbox<[u8; 1024]> = Inbox::new();
/// inbox.set_topic_aliases(TopicAliases { maximum: 8, topic: 30 });
/// assert_eq!(inbox.capacity(), 1024 - 8 * (30 + 2));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TopicAliases {
    /// How many aliases there are.
    pub maximum: u16,
    /// The length in bytes of the longest topic that an alias can stand for.
    pub topic: u16,
}

/// Why an alias cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadAlias {
    /// It is above the maximum.
    TooHigh,
    /// It stands for nothing yet.
    Unknown,
    /// There is no room for its topic.
    TopicTooLong,
}

impl TopicAliases {
    /// No alias at all.
    pub const NONE: Self = Self { maximum: 0, topic: 0 };

    /// How many bytes they take.
    #[must_use]
    pub const fn len(self) -> usize {
        (self.maximum as usize).saturating_mul(self.stride())
    }

    /// Whether there is no alias.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.maximum == 0
    }

    /// A topic behind its length, which is 0 as long as the alias stands for nothing.
    const fn stride(self) -> usize {
        (self.topic as usize).saturating_add(2)
    }

    /// The topic that an alias stands for.
    pub(crate) fn topic(self, cells: &[u8], alias: u16) -> Option<&[u8]> {
        let (len, topic) = self.cell(cells, alias)?.split_first_chunk()?;
        topic.get(..u16::from_be_bytes(*len).into()).filter(|topic| !topic.is_empty())
    }

    /// Says what an alias stands for from now on. [MQTT-3.3.2-12]
    pub(crate) fn set(self, cells: &mut [u8], alias: u16, topic: &[u8]) -> Result<(), BadAlias> {
        let start = self.start(alias).ok_or(BadAlias::TooHigh)?;
        let cell = cells.get_mut(start..).and_then(|rest| rest.get_mut(..self.stride())).ok_or(BadAlias::TooHigh)?;
        let (len, place) = cell.split_first_chunk_mut().ok_or(BadAlias::TooHigh)?;
        let short = u16::try_from(topic.len()).ok().filter(|&len| len <= self.topic).ok_or(BadAlias::TopicTooLong)?;
        *len = short.to_be_bytes();
        let (place, rest) = place.split_at_mut_checked(topic.len()).ok_or(BadAlias::TopicTooLong)?;
        copy(place, topic);
        rest.fill(0);
        Ok(())
    }

    fn cell(self, cells: &[u8], alias: u16) -> Option<&[u8]> {
        cells.get(self.start(alias)?..)?.get(..self.stride())
    }

    fn start(self, alias: u16) -> Option<usize> {
        let index = alias.checked_sub(1).filter(|_| alias <= self.maximum)?;
        usize::from(index).checked_mul(self.stride())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: TopicAliases = TopicAliases { maximum: 2, topic: 3 };

    #[test]
    fn stands_for_the_last_topic_that_was_set() {
        let mut cells = [0; 10];
        assert_eq!((TWO.len(), TWO.is_empty()), (cells.len(), false));
        assert_eq!(TWO.topic(&cells, 1), None);
        for topic in [&b"abc"[..], b"d", b"ef"] {
            assert_eq!(TWO.set(&mut cells, 2, topic), Ok(()));
            assert_eq!(TWO.topic(&cells, 2), Some(topic));
            assert_eq!(TWO.topic(&cells, 1), None);
        }
        assert_eq!(cells, *b"\0\0\0\0\0\0\x02ef\0");
    }

    #[test]
    fn refuses_what_has_no_room() {
        let mut cells = [0; 10];
        assert_eq!(TWO.set(&mut cells, 0, b"a"), Err(BadAlias::TooHigh));
        assert_eq!(TWO.set(&mut cells, 3, b"a"), Err(BadAlias::TooHigh));
        assert_eq!(TWO.set(&mut cells, 2, b"abcd"), Err(BadAlias::TopicTooLong));
        assert_eq!(TopicAliases::NONE.set(&mut cells, 1, b"a"), Err(BadAlias::TooHigh));
        assert_eq!(TWO.set(&mut [0; 4], 1, b"a"), Err(BadAlias::TooHigh));
        assert_eq!(cells, [0; 10]);
        assert_eq!((TWO.topic(&cells, 0), TWO.topic(&cells, 3)), (None, None));
        assert_eq!((TopicAliases::NONE.len(), TopicAliases::NONE.is_empty()), (0, true));
    }
}
