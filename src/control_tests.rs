//! The control queue against a list of bytes.
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, reason = "lengths of small queues")]

extern crate std;

use proptest::prelude::*;
use proptest::sample::Index;
use std::vec::Vec;

use super::{Control, DISCONNECT_RESERVE, Measured, Queue, TopicAliases};
use crate::trials::trials;
use crate::wire::{Layout, Role, Version, Writer};

/// A packet with a body of so many bytes, none of which is zero.
struct Filler(usize);

impl Layout for Filler {
    fn first_byte(&self) -> u8 {
        0x30
    }

    fn body(&self, to: &mut Writer<'_>) {
        to.bytes(&self.content());
    }
}

impl Filler {
    fn content(&self) -> Vec<u8> {
        (0..self.0).map(|at| at as u8 | 1).collect()
    }

    fn encoded(&self) -> Vec<u8> {
        let mut packet = std::vec![0x30];
        match u8::try_from(self.0) {
            Ok(len @ 0..=127) => packet.push(len),
            _ if self.0 < 1 << 14 => packet.extend([self.0 as u8 | 0x80, (self.0 >> 7) as u8]),
            _ => packet.extend([self.0 as u8 | 0x80, (self.0 >> 7) as u8 | 0x80, (self.0 >> 14) as u8]),
        }
        packet.extend(self.content());
        packet
    }

    fn measured(&self) -> Measured<'_> {
        Measured::new(self, Version::LATEST, Role::Server).unwrap()
    }
}

#[derive(Clone, Debug)]
enum Operation {
    Push(usize),
    Show,
    Write(Index),
    WriteAll,
    CutShort,
    KeepDisconnect(usize),
    ReleaseDisconnect,
    Clear,
}

fn operation() -> impl Strategy<Value = Operation> {
    let body = || prop_oneof![6 => 0..=6_usize, 2 => 0..=60_usize, 1 => 100..=200_usize];
    prop_oneof![
        12 => body().prop_map(Operation::Push),
        6 => Just(Operation::Show),
        6 => any::<Index>().prop_map(Operation::Write),
        4 => Just(Operation::WriteAll),
        2 => Just(Operation::CutShort),
        3 => body().prop_map(Operation::KeepDisconnect),
        3 => Just(Operation::ReleaseDisconnect),
        1 => Just(Operation::Clear),
    ]
}

/// A queue and what it should hold.
struct Pair {
    control: Control,
    memory: Vec<u8>,
    /// Since nothing was being written, packet by packet.
    packets: Vec<Vec<u8>>,
    written: usize,
    shown: usize,
    disconnect: Vec<u8>,
    /// How many bytes there are beside the topics of aliases.
    size: usize,
    topics: Vec<u8>,
}

impl Pair {
    fn new(size: usize) -> Self {
        Self {
            size,
            topics: Vec::new(),
            control: Control::EMPTY,
            memory: std::vec![0; size],
            packets: Vec::new(),
            written: 0,
            shown: 0,
            disconnect: Vec::new(),
        }
    }

    /// With so many bytes besides, for the topics of aliases.
    fn with_aliases(size: usize, aliases: TopicAliases) -> Self {
        let mut pair = Self::new(size + aliases.len());
        pair.queue().set_aliases(aliases);
        for alias in 1..=aliases.maximum {
            let topic = std::vec![b't'; usize::from(aliases.topic)];
            assert_eq!(pair.queue().set_topic(alias, &topic), Ok(()));
            assert_eq!(pair.queue().topic(alias), Some(topic.as_slice()));
            pair.topics.extend(aliases.topic.to_be_bytes());
            pair.topics.extend(topic);
        }
        pair.size = size;
        pair
    }

    fn queue(&mut self) -> Queue<'_> {
        Queue::over(&mut self.control, &mut self.memory)
    }

    fn end(&self) -> usize {
        self.packets.iter().map(Vec::len).sum()
    }

    fn free(&self) -> usize {
        self.size - self.end() - self.disconnect.len()
    }

    fn settle(&mut self) {
        if self.written == self.shown {
            let left = self.end() - self.written;
            while self.end() > left {
                self.packets.remove(0);
            }
            (self.written, self.shown) = (0, 0);
        }
    }

    fn push(&mut self, packet: &Filler) -> bool {
        let encoded = packet.encoded();
        let fits = encoded.len() <= self.free();
        assert_eq!(self.queue().push(&packet.measured()), fits, "{} bytes", encoded.len());
        if fits {
            self.packets.push(encoded);
        }
        fits
    }

    fn write(&mut self, len: usize) {
        self.queue().written(len);
        self.written = self.written.saturating_add(len).min(self.shown);
        self.settle();
    }

    /// Whole packets as far as one is begun; one that was only shown may be taken back.
    fn cut_short(&mut self) {
        let _ = self.queue().cut_short(false);
        let mut end = 0;
        let written = self.written;
        self.packets.retain(|packet| {
            let begun = end < written;
            end += packet.len();
            begun
        });
        self.shown = self.shown.min(self.end());
        self.disconnect.clear();
        self.settle();
    }

    fn keep_disconnect(&mut self, packet: &Filler) {
        let encoded = packet.encoded();
        // Another one takes the place of the first.
        let fits = encoded.len() <= self.size - self.end();
        assert_eq!(self.queue().keep_disconnect(&packet.measured()), fits, "{} bytes", encoded.len());
        if fits {
            self.disconnect = encoded;
        }
    }

    fn release_disconnect(&mut self) {
        self.queue().release_disconnect();
        if !self.disconnect.is_empty() {
            self.packets.push(core::mem::take(&mut self.disconnect));
        }
    }

    fn clear(&mut self) {
        self.queue().clear();
        self.packets.clear();
        self.disconnect.clear();
        self.topics.clear();
        self.size = self.memory.len();
        (self.written, self.shown) = (0, 0);
    }

    fn apply(&mut self, operation: &Operation) {
        match *operation {
            // A push onto a DISCONNECT has a test of its own.
            Operation::Push(body) if self.disconnect.is_empty() || Filler(body).encoded().len() <= self.free() => {
                self.push(&Filler(body));
            }
            Operation::Push(_) => {}
            Operation::Show => {
                self.queue().show();
                self.shown = self.end();
            }
            Operation::Write(part) => self.write(part.index(self.shown - self.written + 1)),
            Operation::WriteAll => self.write(usize::MAX),
            Operation::CutShort => self.cut_short(),
            Operation::KeepDisconnect(body) => self.keep_disconnect(&Filler(body)),
            Operation::ReleaseDisconnect => self.release_disconnect(),
            Operation::Clear => self.clear(),
        }
        self.check();
    }

    fn check(&mut self) {
        let bytes = self.packets.concat();
        assert_eq!(self.control.is_empty(), bytes.is_empty());
        assert_eq!(self.control.is_writing(), self.shown != self.written);
        let first = bytes.first().copied().unwrap_or_default();
        assert_eq!(self.queue().is_untouched(first), self.written == 0 && !bytes.is_empty());
        assert!(!self.queue().is_untouched(first ^ 0xFF));
        assert_eq!(usize::from(self.control.unreported()), self.shown - self.written);
        assert_eq!(self.queue().end(), bytes.len());
        assert_eq!(self.memory[..bytes.len()], bytes);
        assert_eq!(self.control.unwritten(&self.memory), &bytes[self.written..]);
        assert_eq!(self.control.disconnect(&self.memory), self.disconnect);
        let shown = &bytes[self.written..self.shown];
        assert_eq!(self.queue().into_shown(), shown);
        let free = self.free();
        assert_eq!(self.queue().free(), free);
        // One that is kept needs no room besides.
        let disconnect = if self.disconnect.is_empty() { DISCONNECT_RESERVE } else { 0 };
        for len in [0, 1, free.saturating_sub(disconnect), free.saturating_sub(disconnect) + 1, free, usize::MAX] {
            assert_eq!(
                self.queue().has_room(len),
                len <= free.saturating_sub(disconnect) && free >= disconnect,
                "{len}"
            );
        }
        for len in [0, 1, self.size.saturating_sub(DISCONNECT_RESERVE), self.size] {
            let fits = self.queue().check_size(len, DISCONNECT_RESERVE).is_ok();
            assert_eq!(fits, len + DISCONNECT_RESERVE <= self.size, "{len}");
        }
        let tail = self.size - self.disconnect.len();
        assert_eq!(self.memory[tail..self.size], self.disconnect);
        assert_eq!(self.memory[self.size..], self.topics);
    }

    /// Nothing but what is queued or kept: the rest may have held secrets.
    fn check_wiped(&self) {
        let rest = &self.memory[self.end()..self.size - self.disconnect.len()];
        assert!(rest.iter().all(|&byte| byte == 0), "{rest:?}");
    }
}

proptest! {
    #![proptest_config(trials(2000))]

    #[test]
    fn behaves_like_a_list(
        size in 0..300_usize,
        maximum in 0..4_u16,
        topic in 1..9_u16,
        operations in prop::collection::vec(operation(), 0..60),
    ) {
        let mut pair = Pair::with_aliases(size, TopicAliases { maximum, topic });
        for operation in &operations {
            pair.apply(operation);
        }
    }

    /// Without a DISCONNECT, for which there is a test of its own.
    #[test]
    fn what_has_left_or_was_dropped_is_zero(
        size in 0..300_usize,
        operations in prop::collection::vec(operation(), 0..60),
    ) {
        let mut pair = Pair::new(size);
        for operation in &operations {
            if !matches!(operation, Operation::KeepDisconnect(_)) {
                pair.apply(operation);
                pair.check_wiped();
            }
        }
    }
}

/// A DISCONNECT that was sent, dropped or replaced is wiped like everything else.
#[test]
fn a_disconnect_leaves_nothing_behind() {
    type End = fn(&mut Pair);
    let ends: [(&str, End); 4] = [
        ("sent", |pair| {
            pair.release_disconnect();
            pair.apply(&Operation::Show);
            pair.write(usize::MAX);
        }),
        ("cut short", Pair::cut_short),
        ("cleared", Pair::clear),
        ("replaced", |pair| pair.keep_disconnect(&Filler(2))),
    ];
    for (name, end) in ends {
        let mut pair = Pair::new(60);
        pair.keep_disconnect(&Filler(20));
        end(&mut pair);
        pair.check();
        let rest = pair.memory.len() - pair.disconnect.len();
        assert!(pair.memory[..rest].iter().all(|&byte| byte == 0), "{name}: {:?}", pair.memory);
    }
}

/// The front of a packet that ends elsewhere is no packet: nothing is counted from it.
#[test]
fn what_is_queued_behind_a_front_that_has_left_begins_anew() {
    let mut pair = Pair::new(64);
    for body in [6, 3, 4] {
        pair.push(&Filler(body));
        if body == 6 {
            pair.queue().show();
        }
    }
    pair.queue().written(8);
    assert!(!pair.control.is_writing());
    let packets = [Filler(3).encoded(), Filler(4).encoded()].concat();
    assert_eq!(pair.control.unwritten(&pair.memory), packets);
    assert!(pair.memory[packets.len()..].iter().all(|&byte| byte == 0));
    pair.queue().show();
    pair.queue().written(1);
    let _ = pair.queue().cut_short(false);
    assert_eq!(*pair.queue().into_shown(), Filler(3).encoded()[1..]);
}

/// A packet that has no room beside the DISCONNECT does not fit.
#[test]
fn a_push_leaves_the_disconnect_alone() {
    let mut pair = Pair::new(40);
    pair.keep_disconnect(&Filler(18));
    pair.push(&Filler(30));
    pair.check();
    assert!(pair.push(&Filler(18)), "room to the byte");
    pair.check();
}

/// The DISCONNECT leaves behind what was queued after it was kept, whole and in one piece with it.
#[test]
fn a_disconnect_is_the_last_to_leave() {
    let mut pair = Pair::new(64);
    for operation in [
        Operation::Push(2),
        Operation::Show,
        Operation::KeepDisconnect(DISCONNECT_RESERVE - 2),
        Operation::Push(3),
        Operation::WriteAll,
        Operation::Show,
        Operation::ReleaseDisconnect,
        Operation::WriteAll,
        Operation::Show,
    ] {
        pair.apply(&operation);
    }
    let disconnect = Filler(DISCONNECT_RESERVE - 2).encoded();
    assert_eq!(pair.queue().into_shown(), disconnect);
    pair.apply(&Operation::WriteAll);
    assert!(pair.control.is_empty());
}

/// An end is 16 bits wide: memory beyond that is not used, and nothing is cut off.
#[test]
#[cfg_attr(miri, ignore = "too much for an interpreter")]
fn a_queue_of_more_than_65535_bytes() {
    let mut pair = Pair::new(70_000);
    assert_eq!(pair.queue().free(), 65_535);
    assert!(pair.queue().push(&Filler(65_000).measured()));
    assert!(!pair.queue().push(&Filler(600).measured()));
    assert!(!pair.queue().keep_disconnect(&Filler(600).measured()));
    pair.queue().show();
    assert_eq!(pair.queue().into_shown(), Filler(65_000).encoded());
    assert!(pair.queue().push(&Filler(500).measured()));
    pair.queue().written(usize::MAX);
    pair.queue().show();
    assert_eq!(pair.queue().into_shown(), Filler(500).encoded());
    pair.queue().written(usize::MAX);
    assert!(pair.control.is_empty());
    assert_eq!(pair.memory.iter().position(|&byte| byte != 0), None);
}

#[test]
fn a_queue_without_memory_takes_nothing() {
    let mut pair = Pair::new(0);
    for operation in
        [Operation::Push(0), Operation::KeepDisconnect(0), Operation::ReleaseDisconnect, Operation::CutShort]
    {
        pair.apply(&operation);
    }
    assert!(pair.packets.is_empty() && pair.control.is_empty());
}
