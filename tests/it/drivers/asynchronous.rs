//! The asynchronous driver, whole transports and split ones, with its future dropped at every point.

use core::cell::Cell;
use core::future::poll_fn;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use mqtt_session::io::{AsyncDriver, Error, Split, Transport};
use mqtt_session::{CloseReason, Version};

use super::application::{Answering, Asking, Seen, answer, is_orderly};
use super::wire::{Fault, Habits, Socket, Time, wire};

/// In one piece, two ends that both write would wait for each other if less were under way.
const ROOMY: Habits = Habits { capacity: 1024, ..Habits::DIFFICULT };

/// Which futures are dropped before they are ready.
#[derive(Clone, Copy, Debug)]
enum Drops {
    None,
    /// The one that is polled as the n-th.
    One(u32),
    /// All of them, after one poll.
    All,
}

/// Counts polls.
struct Dropper {
    drops: Drops,
    polls: Cell<u32>,
}

impl Dropper {
    /// What the future comes to; `None` if it was dropped.
    async fn run<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let mut is_dropped = false;
        poll_fn(|context| {
            if is_dropped {
                return Poll::Ready(None);
            }
            let poll = self.polls.replace(self.polls.get() + 1);
            is_dropped = match self.drops {
                Drops::None => false,
                Drops::One(number) => number == poll,
                Drops::All => true,
            };
            future.as_mut().poll(context).map(Some)
        })
        .await
    }
}

/// Polls both until both are ready; a millisecond passes each time.
fn join<A: Future, B: Future>(time: &Time, first: A, second: B) -> (A::Output, B::Output) {
    let (mut first, mut second) = (pin!(first), pin!(second));
    let mut ends = (None, None);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..100_000 {
        if ends.0.is_none() {
            ends.0 = ready(first.as_mut().poll(&mut context));
        }
        if ends.1.is_none() {
            ends.1 = ready(second.as_mut().poll(&mut context));
        }
        ends = match ends {
            (Some(first), Some(second)) => return (first, second),
            ends => ends,
        };
        time.pass(1);
    }
    panic!("they never come to an end");
}

fn ready<T>(poll: Poll<T>) -> Option<T> {
    match poll {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

async fn ask<T: Transport<Error = Fault>>(
    asking: &mut Asking,
    transport: T,
    time: Time,
    dropper: &Dropper,
) -> Error<Fault> {
    let mut driver = AsyncDriver::new(transport, time);
    let Asking { session, inbox, seen } = asking;
    loop {
        let next = driver.next(session, &mut *inbox, |session, event| seen.note(session, &event));
        if let Some(Err(end)) = dropper.run(next).await {
            return end;
        }
    }
}

async fn serve<T: Transport<Error = Fault>>(transport: T, time: Time, dropper: &Dropper) -> Error<Fault> {
    let mut driver = AsyncDriver::new(transport, time);
    let Answering { mut session, mut inbox } = Answering::new();
    loop {
        let next = driver.next(&mut session, &mut inbox, |session, event| answer(session, &event));
        if let Some(Err(end)) = dropper.run(next).await {
            return end;
        }
    }
}

fn split(socket: Socket) -> Split<Socket, Socket> {
    Split { reader: socket.clone(), writer: socket }
}

/// A conversation; tells how many polls it took.
fn converse(version: Version, seed: u64, habits: Habits, in_halves: bool, drops: Drops) -> u32 {
    let time = Time::default();
    let dropper = Dropper { drops, polls: Cell::new(0) };
    let [near, far] = wire(seed, habits);
    let mut asking = Asking::new();
    asking.connect(version);
    let (near, far) = if in_halves {
        let near = ask(&mut asking, split(near), time.clone(), &dropper);
        join(&time, near, serve(split(far), time.clone(), &dropper))
    } else {
        join(&time, ask(&mut asking, near, time.clone(), &dropper), serve(far, time.clone(), &dropper))
    };
    assert_eq!((&asking.seen, near), (&Seen::everything(), Error::Closed(CloseReason::Disconnected)), "{drops:?}");
    assert!(is_orderly(far.close_reason()), "{far}");
    dropper.polls.get()
}

#[test]
fn everything_arrives_in_pieces_of_any_size() {
    for (chunk, buffers) in (1..=70).flat_map(|chunk| [false, true].map(|buffers| (chunk, buffers))) {
        for (version, in_halves) in [(Version::V311, false), (Version::V5, true)] {
            converse(version, 0, Habits { chunk, buffers, ..Habits::PLAIN }, in_halves, Drops::None);
        }
    }
}

#[test]
fn everything_arrives_whatever_the_transport_does() {
    for seed in 0..200 {
        converse(Version::V5, seed, ROOMY, false, Drops::None);
        converse(Version::V311, seed, Habits::DIFFICULT, true, Drops::None);
    }
}

#[test]
fn a_dropped_future_loses_nothing_wherever_that_is() {
    for (habits, in_halves) in [(Habits::PLAIN, true), (Habits::DIFFICULT, true), (ROOMY, false)] {
        let polls = converse(Version::V5, 3, habits, in_halves, Drops::None);
        assert!(polls > 20, "{polls}");
        for poll in 0..polls {
            converse(Version::V5, 3, habits, in_halves, Drops::One(poll));
        }
    }
}

#[test]
fn nothing_is_lost_if_every_future_is_dropped() {
    for seed in 0..100 {
        converse(Version::V5, seed, Habits::DIFFICULT, true, Drops::All);
        converse(Version::V311, seed, ROOMY, false, Drops::All);
    }
}

/// With so little under way, each end has to read in order that the other one can go on writing.
#[test]
fn two_ends_that_both_write_do_not_block_each_other() {
    for capacity in 1..20 {
        converse(Version::V5, 1, Habits { capacity, ..Habits::PLAIN }, true, Drops::None);
    }
}

mod sent {
    //! Futures that go to another thread: compiled, and then only looked at.

    use core::convert::Infallible;
    use core::future::{pending, ready};

    use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
    use mqtt_session::io::{AsyncClock, AsyncDriver, Split};
    use mqtt_session::{CommandError, Event, Inbox, Instant, Publish, Session, server};

    /// A transport that says nothing.
    struct Silence;

    impl ErrorType for Silence {
        type Error = ErrorKind;
    }

    impl Read for Silence {
        async fn read(&mut self, _: &mut [u8]) -> Result<usize, ErrorKind> {
            pending().await
        }
    }

    impl Write for Silence {
        async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
            Ok(bytes.len())
        }

        async fn flush(&mut self) -> Result<(), ErrorKind> {
            Ok(())
        }
    }

    struct Clock;

    impl AsyncClock for Clock {
        fn now(&mut self) -> Instant {
            Instant::from_millis(0)
        }

        async fn sleep_until(&mut self, _: Instant) {
            ready(()).await;
        }
    }

    const fn goes_to_another_thread<T: Send + 'static>(_: &T) {}

    /// All that a task owns, and messages sent back from the payload that is still in the inbox.
    async fn client(mut session: Session<256, 4, 4>, mut inbox: Inbox<[u8; 128]>) -> Result<Infallible, CommandError> {
        let mut driver = AsyncDriver::new(Split { reader: Silence, writer: Silence }, Clock);
        loop {
            let told = driver.next(&mut session, &mut inbox, |session, event| match event {
                Event::Message(message) => session.publish(&Publish::new("echo", message.payload)).map(drop),
                _ => Ok(()),
            });
            if let Ok(answer) = told.await {
                answer?;
            }
        }
    }

    async fn served(mut session: server::Session<256, 4, 4>, mut inbox: Inbox<[u8; 128]>) {
        let mut driver = AsyncDriver::new(Silence, Clock);
        while driver.next(&mut session, &mut inbox, |_, _| ()).await.is_ok() {}
    }

    #[test]
    fn futures_of_the_driver_are_send_where_their_parts_are() {
        goes_to_another_thread(&client(Session::new(), Inbox::new()));
        goes_to_another_thread(&served(server::Session::new(), Inbox::new()));
        goes_to_another_thread(&AsyncDriver::new(Silence, Clock));
    }
}
