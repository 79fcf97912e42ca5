//! The blocking driver.

use embedded_io::{ErrorType, Read, ReadReady, Write, WriteReady};
use mqtt_session::io::{Driver, Error, TimesOut};
use mqtt_session::{CloseReason, Event, Inbox, Instant, PlainEndpoint, Version, server};

use super::application::{Answering, Asking, Client, Seen, Server, answer, is_orderly};
use super::wire::{Fault, Habits, Time, wire};

/// Any blocking driver.
trait Runs<S: PlainEndpoint> {
    /// A turn: what there is to do is done, and time may pass by a millisecond.
    fn turn(
        &mut self,
        session: &mut S,
        inbox: &mut Inbox,
        handler: impl FnOnce(&mut S, S::Event<'_>),
    ) -> Result<(), Error<Fault>>;
}

impl<S, T> Runs<S> for Driver<T, Time>
where
    S: PlainEndpoint,
    T: Read + Write + ReadReady + WriteReady + ErrorType<Error = Fault>,
{
    fn turn(
        &mut self,
        session: &mut S,
        inbox: &mut Inbox,
        handler: impl FnOnce(&mut S, S::Event<'_>),
    ) -> Result<(), Error<Fault>> {
        self.next_before(session, inbox, Instant::from_millis(0), handler).map(drop)
    }
}

fn converse(version: Version, mut near: impl Runs<Client>, mut far: impl Runs<Server>, time: &Time) {
    let (mut asking, mut answering) = (Asking::new(), Answering::new());
    asking.connect(version);
    let Asking { session, inbox, seen } = &mut asking;
    let mut ends = (None, None);
    for _ in 0..100_000 {
        if ends.0.is_none() {
            ends.0 = near.turn(session, inbox, |session, event: Event<'_>| seen.note(session, &event)).err();
        }
        if ends.1.is_none() {
            let handler = |session: &mut Server, event: server::Event<'_>| answer(session, &event);
            ends.1 = far.turn(&mut answering.session, &mut answering.inbox, handler).err();
        }
        if let (Some(near), Some(far)) = (ends.0, ends.1) {
            assert_eq!((&*seen, near), (&Seen::everything(), Error::Closed(CloseReason::Disconnected)));
            assert!(is_orderly(far.close_reason()), "{far}");
            return;
        }
        time.pass(1);
    }
    panic!("they never come to an end: {seen:?} {ends:?}");
}

fn with_both(version: Version, seed: u64, habits: Habits) {
    let time = Time::default();
    let [near, far] = wire(seed, habits);
    if habits.times_out {
        let near = Driver::new(TimesOut(near), time.clone());
        converse(version, near, Driver::new(TimesOut(far), time.clone()), &time);
    } else {
        converse(version, Driver::new(near, time.clone()), Driver::new(far, time.clone()), &time);
    }
}

#[test]
fn everything_arrives_in_pieces_of_any_size() {
    for (chunk, buffers) in (1..=70).flat_map(|chunk| [false, true].map(|buffers| (chunk, buffers))) {
        for (version, times_out) in [(Version::V311, false), (Version::V5, true)] {
            with_both(version, 0, Habits { chunk, buffers, times_out, ..Habits::PLAIN });
        }
    }
}

#[test]
fn everything_arrives_whatever_the_transport_does() {
    for seed in 0..200 {
        with_both(Version::V5, seed, Habits::DIFFICULT);
        with_both(Version::V311, seed, Habits { times_out: true, ..Habits::DIFFICULT });
    }
}

/// With so little under way, each end has to read in order that the other one can go on writing.
#[test]
fn two_ends_that_both_write_do_not_block_each_other() {
    for capacity in 1..20 {
        with_both(Version::V5, 1, Habits { capacity, ..Habits::PLAIN });
        with_both(Version::V5, 1, Habits { capacity, times_out: true, ..Habits::PLAIN });
    }
}

/// The application acts at times of its own.
#[test]
fn a_call_ends_at_the_time_it_was_given() {
    let time = Time::default();
    let [near, far] = wire(0, Habits::PLAIN);
    let mut asking = Asking::new();
    asking.connect(Version::V5);
    let mut driver = Driver::new(near, time.clone());
    let until = Instant::from_millis(1_500);
    let told = driver.next_before(&mut asking.session, &mut asking.inbox, until, |_, event| panic!("{event:?}"));
    assert_eq!((told, time.millis()), (Ok(None), 1_500));
    assert_eq!(far.unread()[0], 0x10, "CONNECT has left");
    far.inject(&[0x20, 3, 0, 0, 0]);
    let until = Instant::from_millis(2_000);
    let told = driver.next_before(&mut asking.session, &mut asking.inbox, until, |_, event| {
        assert!(matches!(event, Event::Connected(_)));
        "connected"
    });
    assert_eq!((told, time.millis()), (Ok(Some("connected")), 1_500));
    assert!(driver.into_parts().1.millis() == 1_500);
}
