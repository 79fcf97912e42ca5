//! Sequences inside a packet: properties, subscriptions, topic filters, reason codes.

use core::fmt::{self, Write};

use super::reader::Reader;
use super::reason::ReasonCode;
use super::version::{Role, Version};
use super::violation::Violation;
use super::writer::Writer;

/// A sequence of fields: one type for what an application gives and for what a peer sent.
///
/// Of a received packet it is a part of the received bytes, checked once, which [`iter`](Self::iter) reads in place.
/// To be sent, it is made from a slice.
///
/// ```
/// use mqtt_session::wire::Properties;
/// use mqtt_session::Property;
///
/// let properties = Properties::of(&[Property::ContentType("text/plain"), Property::UserProperty("k", "v")]);
/// assert_eq!(properties.content_type(), Some("text/plain"));
/// ```
#[derive(Clone, Copy)]
pub struct List<'a, T>(Source<'a, T>);

#[derive(Clone, Copy)]
enum Source<'a, T> {
    Given(&'a [T]),
    /// Bytes that were read once and found to be sound.
    Received(&'a [u8]),
}

/// A field of a [`List`]. Only this crate implements it.
pub trait Element<'a>: Copy + Sealed {
    /// Takes an element off received bytes. A rule that they break is kept there.
    fn read(from: &mut Reader<'a>) -> Self;

    /// Puts the element behind what is written already.
    fn write(&self, to: &mut Writer<'_>);
}

/// Keeps [`Element`] to this crate.
pub trait Sealed {}

impl<'a, T> List<'a, T> {
    /// The sequence with no element.
    pub const EMPTY: Self = Self(Source::Received(&[]));

    /// The sequence of these elements.
    #[must_use]
    pub const fn of(elements: &'a [T]) -> Self {
        Self(Source::Given(elements))
    }

    /// The sequence in these bytes, which were checked.
    pub(crate) const fn checked(bytes: &'a [u8]) -> Self {
        Self(Source::Received(bytes))
    }

    /// Whether there is no element.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        match self.0 {
            Source::Given(elements) => elements.is_empty(),
            Source::Received(bytes) => bytes.is_empty(),
        }
    }
}

impl List<'_, ReasonCode> {
    /// How many reason codes there are, each of which takes a byte.
    pub(crate) const fn count(&self) -> usize {
        match self.0 {
            Source::Given(elements) => elements.len(),
            Source::Received(bytes) => bytes.len(),
        }
    }
}

impl<'a, T: Element<'a>> List<'a, T> {
    /// The elements in their order.
    #[must_use]
    pub const fn iter(&self) -> Iter<'a, T> {
        Iter(self.0)
    }

    pub(crate) fn write(&self, to: &mut Writer<'_>) {
        for element in self.iter() {
            element.write(to);
        }
    }
}

impl<T> Default for List<'_, T> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<'a, T> From<&'a [T]> for List<'a, T> {
    fn from(elements: &'a [T]) -> Self {
        Self::of(elements)
    }
}

impl<'a, T, const N: usize> From<&'a [T; N]> for List<'a, T> {
    fn from(elements: &'a [T; N]) -> Self {
        Self::of(elements)
    }
}

/// Equal elements in the same order, wherever they come from.
impl<'a, T: Element<'a> + PartialEq> PartialEq for List<'a, T> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<'a, T: Element<'a> + Eq> Eq for List<'a, T> {}

/// As that of [`iter`](Self::iter).
impl<'a, T: Element<'a> + fmt::Debug> fmt::Debug for List<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().fmt(f)
    }
}

#[cfg(feature = "defmt")]
impl<'a, T: Element<'a> + defmt::Format> defmt::Format for List<'a, T> {
    fn format(&self, f: defmt::Formatter<'_>) {
        self.iter().format(f);
    }
}

impl<'a, T: Element<'a>> IntoIterator for List<'a, T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

/// The elements of a [`List`] in their order.
#[derive(Clone)]
pub struct Iter<'a, T>(Source<'a, T>);

impl<'a, T: Element<'a>> core::iter::FusedIterator for Iter<'a, T> {}

impl<'a, T: Element<'a>> Iterator for Iter<'a, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        match &mut self.0 {
            Source::Given(elements) => elements.split_off_first().copied(),
            Source::Received([]) => None,
            Source::Received(bytes) => {
                // Every element was read when the packet was decoded, so there is no fault. What an older version takes means
                // the same in the newest one.
                let mut reader = Reader::new(Version::LATEST, Role::Client, bytes);
                let element = T::read(&mut reader);
                *bytes = reader.rest();
                Some(element)
            }
        }
    }
}

/// Shows up to 8 elements, of each up to 120 characters, and how many more there are: a line that can be read.
impl<'a, T: Element<'a> + fmt::Debug> fmt::Debug for Iter<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_list();
        shown.entries(self.clone().take(SHOWN).map(Brief));
        match self.clone().skip(SHOWN).count() {
            0 => shown.finish(),
            more => shown.entry(&format_args!("{more} more")).finish(),
        }
    }
}

/// How many elements are shown, and how many characters of each.
const SHOWN: usize = 8;
const CHARACTERS: usize = 120;

/// The beginning of what `Debug` shows.
struct Brief<T>(T);

impl<T: fmt::Debug> fmt::Debug for Brief<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut beginning = Beginning { out: f, left: CHARACTERS };
        // What did not fit is no failure.
        match write!(beginning, "{:?}", self.0) {
            Err(_) if beginning.left == 0 => f.write_str(".."),
            result => result,
        }
    }
}

/// Takes so many characters, and then none.
struct Beginning<'o, 'f> {
    out: &'o mut fmt::Formatter<'f>,
    left: usize,
}

impl Write for Beginning<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            self.left = self.left.checked_sub(1).ok_or(fmt::Error)?;
            self.out.write_char(character)?;
        }
        Ok(())
    }
}

#[cfg(feature = "defmt")]
impl<'a, T: Element<'a> + defmt::Format> defmt::Format for Iter<'a, T> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "[");
        for (index, element) in self.clone().take(SHOWN).enumerate() {
            if index != 0 {
                defmt::write!(f, ", ");
            }
            element.format(f);
        }
        match self.clone().skip(SHOWN).count() {
            0 => defmt::write!(f, "]"),
            more => defmt::write!(f, ", {=usize} more]", more),
        }
    }
}

impl<'a> Reader<'a> {
    /// All that is left as a sequence, of which `read` takes an element and checks it. That there is none breaks `rule`.
    pub(crate) fn some<T>(&mut self, rule: Violation, mut read: impl FnMut(&mut Self)) -> List<'a, T> {
        let elements = List::checked(self.rest());
        if self.is_empty() {
            self.fail(rule);
        }
        while !self.is_empty() {
            read(self);
        }
        elements
    }
}
