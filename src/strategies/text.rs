//! Text, topics and binary data of bounded length.

use core::ops::RangeInclusive;

use proptest::char::range;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::Union;

use super::alloc::borrow::ToOwned;
use super::alloc::string::String;
use super::alloc::vec;
use super::alloc::vec::Vec;

/// Above this a byte string is one byte again and again, for the sake of speed.
const LONG: usize = 1_000;

/// How long the values in a packet may be, in bytes.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) binary: usize,
    pub(super) text: usize,
}

/// Byte strings of up to `most` bytes: short ones, and lengths on both sides of the steps of a variable byte integer.
pub(super) fn binary(most: usize) -> BoxedStrategy<Vec<u8>> {
    let up_to = |weight, lengths: RangeInclusive<usize>| {
        let (first, last) = lengths.into_inner();
        (first <= most).then(|| (weight, of_length(first..=last.min(most))))
    };
    let lengths = [up_to(8, 0..=19), up_to(2, 100..=139), up_to(1, 16_370..=16_399), up_to(1, 0..=300)];
    Union::new_weighted(lengths.into_iter().flatten().collect()).boxed()
}

fn of_length(lengths: RangeInclusive<usize>) -> BoxedStrategy<Vec<u8>> {
    if *lengths.start() < LONG {
        vec(any::<u8>(), lengths).boxed()
    } else {
        (any::<u8>(), lengths).prop_map(|(byte, len)| vec![byte; len]).boxed()
    }
}

/// Text of up to `most` bytes, of characters of one to four bytes, U+0000 excepted.
pub(super) fn text(most: usize) -> BoxedStrategy<String> {
    let character = prop_oneof![
        4 => range('a', 'z'),
        4 => range('\u{1}', '\u{7f}'),
        2 => range('\u{80}', '\u{d7ff}'),
        1 => select(vec!['\u{feff}', '\u{fffd}', '\u{ffff}', '\u{e000}', '+', '#', '/', '$']),
        1 => range('\u{10000}', '\u{10ffff}'),
    ];
    let short =
        vec(character, 0..=most.min(11)).prop_map(move |characters| cut(characters.into_iter().collect(), most));
    if most < 100 {
        return short.boxed();
    }
    let long = (100..=most.min(140)).prop_map(|len| "t".repeat(len));
    prop_oneof![20 => short, 1 => long].boxed()
}

/// Topic names of up to `most` bytes, at least one. [MQTT-4.7.1-1], [MQTT-4.7.3-1]
///
/// ```
/// use mqtt_session::wire::check_topic_name;
/// use proptest::prelude::*;
///
/// proptest!(|(topic in mqtt_session::strategies::topic_name(10))| {
///     prop_assert!(check_topic_name(&topic).is_ok() && topic.len() <= 10);
/// });
/// ```
pub fn topic_name(most: usize) -> BoxedStrategy<String> {
    text(most).prop_map(|text| if text.is_empty() { "t".to_owned() } else { text.replace(['+', '#'], "/") }).boxed()
}

/// Topic filters of up to `most` bytes, at least one, with and without wildcards; none of a shared subscription.
/// [MQTT-4.7.1-2], [MQTT-4.7.1-3]
pub fn topic_filter(most: usize) -> BoxedStrategy<String> {
    let level = text(most).prop_map(|text| text.replace(['+', '#', '/'], ""));
    let level = prop_oneof![3 => level, 1 => Just("+".to_owned())];
    (vec(level, 1..5), any::<bool>())
        .prop_map(move |(mut levels, all_below)| {
            if all_below {
                levels.push("#".to_owned());
            }
            let filter = cut(levels.join("/"), most);
            if filter.is_empty() { "#".to_owned() } else { filter }
        })
        .prop_filter("not shared", |filter| !filter.starts_with("$share/"))
        .boxed()
}

/// The front of a text, of up to `most` bytes.
fn cut(mut text: String, most: usize) -> String {
    while text.len() > most {
        text.pop();
    }
    text
}
