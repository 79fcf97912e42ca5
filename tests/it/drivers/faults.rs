//! Peers that are silent, deaf, talk nonsense or go away, and transports that fail: each ends in time and with its name, and
//! the next connection is none the worse.

use core::future::poll_fn;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use embedded_io::ErrorKind;
use mqtt_session::io::{AsyncClock, AsyncDriver, Clock, Driver, Error, Split, TimesOut};
use mqtt_session::{
    CloseReason, CommandError, Connect, Disconnect, Event, Instant, Outcome, Publish, QoS, Unsubscribe, Version,
    Violation,
};

use super::application::{Asking, Client};
use super::wire::{Fault, Habits, Operation, Socket, Time, wire};

/// How the client is driven.
#[derive(Clone, Copy, Debug)]
enum How {
    Blocking,
    TimingOut,
    Whole,
    InHalves,
}

const ALL: [How; 4] = [How::Blocking, How::TimingOut, How::Whole, How::InHalves];

/// Runs a connection to its end.
fn run(
    how: How,
    asking: &mut Asking,
    socket: Socket,
    time: &Time,
    mut handler: impl FnMut(&mut Client, Event<'_>),
) -> Error<Fault> {
    let Asking { session, inbox, .. } = asking;
    match how {
        How::Blocking => {
            let mut driver = Driver::new(socket, time.clone());
            loop {
                if let Err(end) = driver.next(session, &mut *inbox, &mut handler) {
                    return end;
                }
            }
        }
        How::TimingOut => {
            let mut driver = Driver::new(TimesOut(socket), time.clone());
            loop {
                if let Err(end) = driver.next(session, &mut *inbox, &mut handler) {
                    return end;
                }
            }
        }
        How::Whole => {
            let mut driver = AsyncDriver::new(socket, time.clone());
            complete(time, async {
                loop {
                    if let Err(end) = driver.next(session, &mut *inbox, &mut handler).await {
                        return end;
                    }
                }
            })
        }
        How::InHalves => {
            let halves = Split { reader: socket.clone(), writer: socket };
            let mut driver = AsyncDriver::new(halves, time.clone());
            complete(time, async {
                loop {
                    if let Err(end) = driver.next(session, &mut *inbox, &mut handler).await {
                        return end;
                    }
                }
            })
        }
    }
}

/// Polls once in a millisecond.
fn complete<T>(time: &Time, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    for _ in 0..100_000 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
        time.pass(1);
    }
    panic!("it never comes to an end");
}

/// A connection to somebody who does this and nothing else: how it ends, and after how many milliseconds. Then a second
/// one with the same session, which goes well.
fn meet(how: How, habits: Habits, peer: impl Fn(&Socket)) -> (Error<Fault>, u64) {
    let time = Time::default();
    let mut asking = Asking::new();
    asking.connect(Version::V5);
    let times_out = matches!(how, How::TimingOut);
    let [near, far] = wire(0, Habits { times_out, ..habits });
    peer(&far);
    let end = run(how, &mut asking, near, &time, |session, event| match event {
        Event::Connected(_) => session.disconnect(&Disconnect::default()).unwrap(),
        Event::Disconnected(_) => {}
        other => panic!("{other:?}"),
    });
    let taken = time.millis();

    asking.connect(Version::V5);
    let [near, far] = wire(0, Habits { times_out, ..Habits::PLAIN });
    far.inject(&CONNACK);
    let next = run(how, &mut asking, near, &time, |session, event| {
        assert!(matches!(event, Event::Connected(_)), "{event:?}");
        session.disconnect(&Disconnect::default()).unwrap();
    });
    assert_eq!(next, Error::Closed(CloseReason::Disconnected), "{how:?}");
    assert!(far.unread().ends_with(&[0xE0, 0]));
    (end, taken)
}

const CONNACK: [u8; 5] = [0x20, 3, 0, 0, 0];

#[test]
fn a_broker_that_does_not_answer() {
    for how in ALL {
        let (end, taken) = meet(how, Habits::PLAIN, |_| {});
        assert_eq!(end, Error::Closed(CloseReason::ConnackTimeout), "{how:?}");
        assert!((10_000..10_100).contains(&taken), "{how:?}: {taken} ms");
    }
}

#[test]
fn a_broker_that_does_not_even_listen() {
    for how in ALL {
        let (end, taken) = meet(how, Habits { capacity: 7, ..Habits::PLAIN }, |_| {});
        assert_eq!(end, Error::Closed(CloseReason::ConnackTimeout), "{how:?}");
        assert!((10_000..10_100).contains(&taken), "{how:?}: {taken} ms");
    }
}

#[test]
fn a_broker_that_refuses() {
    for how in ALL {
        let (end, _) = meet_refusing(how);
        assert_eq!(
            end.close_reason().to_string(),
            "the server refused the connection: not authorized (0x87)",
            "{how:?}"
        );
    }
}

fn meet_refusing(how: How) -> (Error<Fault>, Time) {
    let time = Time::default();
    let mut asking = Asking::new();
    asking.connect(Version::V5);
    let [near, far] = wire(0, Habits { times_out: true, ..Habits::PLAIN });
    far.inject(&[0x20, 3, 0, 0x87, 0]);
    let end = run(how, &mut asking, near, &time, |session, event| {
        assert!(matches!(event, Event::ConnectionRefused(_)), "{event:?}");
        assert_eq!(session.disconnect(&Disconnect::default()), Err(CommandError::Offline));
    });
    (end, time)
}

#[test]
fn a_broker_that_talks_nonsense() {
    for how in ALL {
        let (end, taken) = meet(how, Habits::PLAIN, |far| far.inject(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
        assert!(matches!(end, Error::Closed(CloseReason::Violation(Violation::PacketFlagsReserved))), "{how:?}: {end}");
        assert!(taken < 100);
    }
}

#[test]
fn a_broker_that_closes() {
    for how in ALL {
        let (end, taken) = meet(how, Habits::PLAIN, Socket::close);
        assert_eq!(end, Error::Closed(CloseReason::ConnectionLost), "{how:?}");
        assert!(taken < 100);
    }
}

#[test]
fn a_transport_that_fails() {
    for (operation, kind) in [
        (Operation::Read, ErrorKind::ConnectionReset),
        (Operation::Write, ErrorKind::BrokenPipe),
        (Operation::Flush, ErrorKind::Other),
    ] {
        for how in ALL {
            let (end, taken) = meet(how, Habits::PLAIN, |far| far.fail(operation, kind));
            assert_eq!(end, Error::Transport(Fault(kind)), "{how:?}");
            assert_eq!(end.to_string(), format!("the transport failed: {kind:?}"));
            assert_eq!(end.close_reason(), CloseReason::ConnectionLost);
            assert!(taken < 100);
        }
    }
}

/// One whose reads and writes end by themselves is not asked.
#[test]
fn a_transport_that_cannot_say_whether_it_is_ready() {
    for operation in [Operation::ReadReady, Operation::WriteReady] {
        let peer = |far: &Socket| far.fail(operation, ErrorKind::NotConnected);
        let (end, taken) = meet(How::Blocking, Habits::PLAIN, peer);
        assert_eq!((end, taken), (Error::Transport(Fault(ErrorKind::NotConnected)), 0));
        let (end, _) = meet(How::TimingOut, Habits::PLAIN, peer);
        assert_eq!(end, Error::Closed(CloseReason::ConnackTimeout));
    }
}

/// To write nothing is not allowed, so the transport is of no use, though it has no error to tell.
#[test]
fn a_transport_that_writes_nothing() {
    for how in ALL {
        let (end, taken) = meet(how, Habits::PLAIN, Socket::take_nothing);
        assert_eq!(end, Error::Closed(CloseReason::ConnectionLost), "{how:?}");
        assert!(taken < 100, "{how:?}: {taken} ms");
    }
}

/// What arrived before the end is told before it.
#[test]
fn a_last_word_is_heard() {
    for how in ALL {
        let (end, _) = meet(how, Habits::PLAIN, |far| {
            far.inject(&[0x20, 3, 0, 0, 0, 0xE0, 1, 0x8B]);
            far.close();
        });
        assert!(
            matches!(end.close_reason(), CloseReason::DisconnectedByPeer(_) | CloseReason::Disconnected),
            "{how:?}: {end}"
        );
    }
}

/// A farewell that nobody takes ends in time, and nobody goes around in circles for it, also when a ping is due by then.
#[test]
fn a_farewell_that_nobody_takes() {
    for how in ALL {
        let time = Time::default();
        let mut asking = Asking::new();
        asking.connect(Version::V5);
        let habits = Habits { times_out: true, ..Habits::PLAIN };
        let [near, far] = wire(0, habits);
        far.inject(&CONNACK);
        let end = run(how, &mut asking, near, &time, |session, event| {
            assert!(matches!(event, Event::Connected(_)), "{event:?}");
            far.stuff();
            session.disconnect(&Disconnect::default()).unwrap();
        });
        assert_eq!(end, Error::Closed(CloseReason::DisconnectTimeout), "{how:?}");
        assert!((5_000..5_100).contains(&time.millis()), "{how:?}: {} ms", time.millis());
    }
}

/// The same where it is the buffer of the transport that never becomes empty.
#[test]
fn a_farewell_whose_flush_is_interrupted_for_ever() {
    for how in ALL {
        let time = Time::default();
        let mut asking = Asking::new();
        asking.connect(Version::V5);
        let [near, far] = wire(0, Habits { times_out: true, buffers: true, hesitates: 2, ..Habits::PLAIN });
        far.inject(&CONNACK);
        let end = run(how, &mut asking, near, &time, |session, event| {
            assert!(matches!(event, Event::Connected(_)), "{event:?}");
            far.fail(Operation::Flush, ErrorKind::Interrupted);
            session.disconnect(&Disconnect::default()).unwrap();
        });
        assert_eq!(end, Error::Closed(CloseReason::DisconnectTimeout), "{how:?}");
        assert!((5_000..5_100).contains(&time.millis()), "{how:?}: {} ms", time.millis());
    }
}

/// One that sends and sends and takes no answer: when the answers have no room any more the inbox fills up, nothing more is
/// read, and the session gives up.
#[test]
fn a_flood_of_messages_whose_answers_nobody_takes() {
    let habits = Habits { times_out: true, ..Habits::PLAIN };
    for how in ALL {
        let time = Time::default();
        let mut asking = Asking::new();
        asking.connect(Version::V311);
        let [near, far] = wire(0, habits);
        far.inject(&[0x20, 2, 0, 0]);
        let mut messages = 0;
        let end = run(how, &mut asking, near, &time, |_, event| match event {
            Event::Connected(_) => {
                far.stuff();
                (1..=200).for_each(|id| far.inject(&[0x32, 5, 0, 1, b't', 0, id]));
            }
            Event::Message(_) => messages += 1,
            other => panic!("{other:?}"),
        });
        assert_eq!(end, Error::Closed(CloseReason::PingTimeout), "{how:?}");
        // In one piece it is not read while it is written, but before each time that it would be given up. And there is a
        // millisecond for one more write.
        let expected = if matches!(how, How::Whole) { 81_758 } else { 1_750 + 10_000 + 1 };
        assert_eq!((messages, time.millis()), (61, expected), "{how:?}");
    }
}

/// A clock that sleeps for as long as it may.
struct Sleepy(Time);

impl Clock for Sleepy {
    fn now(&mut self) -> Instant {
        Clock::now(&mut self.0)
    }

    fn pause(&mut self, until: Option<Instant>) {
        let until = until.unwrap_or_else(|| panic!("it would sleep for ever"));
        self.0.pass(until.as_millis().saturating_sub(self.0.millis()));
    }
}

/// Without a keep alive there is no deadline before the farewell, which the peer's fault brings in the middle of a poll.
#[test]
fn a_farewell_to_a_deaf_peer_that_talks_nonsense() {
    let habits = Habits { times_out: true, ..Habits::PLAIN };
    // One that reads only where there is nothing to write would not hear it.
    for how in [How::Blocking, How::TimingOut, How::InHalves] {
        let time = Time::default();
        let mut asking = Asking::new();
        let connect = Connect { keep_alive: 0, ..Connect::new(Version::V5, "meter-7") };
        asking.session.connect(&mut asking.inbox, &connect).unwrap();
        let [near, far] = wire(0, habits);
        far.inject(&CONNACK);
        let handler = |session: &mut Client, event: Event<'_>| {
            if event == (Event::Dropped { count: 1 }) {
                return;
            }
            assert!(matches!(event, Event::Connected(_)), "{event:?}");
            far.stuff();
            session.publish(&Publish::new("deaf", b"?")).unwrap();
            far.inject(&[0]);
        };
        let end = match how {
            How::Blocking => {
                let mut driver = Driver::new(near, Sleepy(time.clone()));
                loop {
                    if let Err(end) = driver.next(&mut asking.session, &mut asking.inbox, handler) {
                        break end;
                    }
                }
            }
            _ => run(how, &mut asking, near, &time, handler),
        };
        assert_eq!(end, Error::Closed(CloseReason::Violation(Violation::PacketTypeReserved)), "{how:?}");
        assert!((5_000..5_100).contains(&time.millis()), "{how:?}: {} ms", time.millis());
    }
}

/// What was in flight is told behind the DISCONNECT, which leaves all the same.
#[test]
fn a_buffered_farewell_with_losses_to_tell_behind_it() {
    for how in ALL {
        let time = Time::default();
        let mut asking = Asking::new();
        let connect = Connect { keep_alive: 0, ..Connect::new(Version::V5, "meter-7") };
        asking.session.connect(&mut asking.inbox, &connect).unwrap();
        let [near, far] = wire(3, Habits { times_out: true, buffers: true, hesitates: 2, ..Habits::PLAIN });
        far.inject(&CONNACK);
        let end = run(how, &mut asking, near, &time, |session, event| match event {
            Event::Connected(_) => {
                session.publish(&Publish { qos: QoS::AtLeastOnce, ..Publish::new("t", b"1") }).unwrap();
                session.disconnect(&Disconnect::default()).unwrap();
            }
            Event::Published { outcome: Outcome::Lost, .. } => {}
            other => panic!("{other:?}"),
        });
        assert_eq!(end, Error::Closed(CloseReason::Disconnected), "{how:?}");
        assert!(far.unread().ends_with(&[0xE0, 0]), "{how:?}");
    }
}

/// An application that always has something to say, and no time.
#[test]
fn who_publishes_all_the_time_hears_all_the_same() {
    let time = Time::default();
    let mut asking = Asking::new();
    asking.connect(Version::V5);
    let [near, far] = wire(0, Habits::PLAIN);
    far.inject(&CONNACK);
    let mut driver = Driver::new(near, time.clone());
    let mut heard = 0;
    for turn in 0..20 {
        let now = Clock::now(&mut time.clone());
        let told = driver.next_before(&mut asking.session, &mut asking.inbox, now, |_, event| {
            usize::from(matches!(event, Event::Message(_)))
        });
        heard += told.unwrap().unwrap_or(0);
        asking.session.publish(&Publish::new("t", b"1")).unwrap();
        if turn % 2 == 0 {
            far.inject(&[0x30, 4, 0, 1, b'a', 0]);
        }
    }
    assert!(heard > 5, "{heard} messages");
}

/// Counts the times that it is asked, and does nothing else: where nothing tells the time, the driver asks.
struct Ticks(u64);

impl Clock for Ticks {
    fn now(&mut self) -> Instant {
        self.0 += 1;
        Instant::from_millis(self.0)
    }
}

impl AsyncClock for Ticks {
    fn now(&mut self) -> Instant {
        assert!(self.0 < 20_000, "it goes on for ever");
        Clock::now(self)
    }

    fn sleep_until(&mut self, at: Instant) -> impl Future<Output = ()> {
        poll_fn(move |_| if at.as_millis() <= self.0 { Poll::Ready(()) } else { Poll::Pending })
    }
}

/// The asynchronous driver tries again at once, but not for longer than a farewell may take.
#[test]
fn a_farewell_whose_flush_is_interrupted_at_once() {
    let mut asking = Asking::new();
    asking.connect(Version::V5);
    let [near, far] = wire(0, Habits { buffers: true, ..Habits::PLAIN });
    far.inject(&CONNACK);
    let mut driver = AsyncDriver::new(near, Ticks(0));
    let mut leave = async || {
        driver
            .next(&mut asking.session, &mut asking.inbox, |session, event| {
                assert!(matches!(event, Event::Connected(_)), "{event:?}");
                far.fail(Operation::Flush, ErrorKind::Interrupted);
                session.disconnect(&Disconnect::default()).unwrap();
            })
            .await
    };
    let time = Time::default();
    assert_eq!(complete(&time, leave()), Ok(()));
    assert_eq!(complete(&time, leave()), Err(Error::Closed(CloseReason::DisconnectTimeout)));
    let taken = driver.into_parts().1.0;
    assert!((5_000..5_100).contains(&taken), "{taken} ms");
}

#[test]
fn a_clock_that_only_tells_the_time() {
    let mut asking = Asking::new();
    asking.connect(Version::V5);
    let [near, _far] = wire(0, Habits { times_out: true, ..Habits::PLAIN });
    let mut clock = Ticks(0);
    let mut driver = Driver::new(TimesOut(near), &mut clock);
    let end = driver.next(&mut asking.session, &mut asking.inbox, |_, event| panic!("{event:?}"));
    assert_eq!(end, Err(Error::Closed(CloseReason::ConnackTimeout)));
    assert!((10_000..10_010).contains(&clock.0), "{} ms", clock.0);
}

/// A clock that others need, too.
#[test]
fn a_clock_that_is_lent() {
    let mut time = Time::default();
    let silent = || {
        let mut asking = Asking::new();
        asking.connect(Version::V5);
        (asking, wire(0, Habits::PLAIN))
    };
    let (mut asking, [near, _far]) = silent();
    let mut driver = Driver::new(near, &mut time);
    let end = driver.next(&mut asking.session, &mut asking.inbox, |_, event| panic!("{event:?}"));
    assert_eq!((end, time.millis()), (Err(Error::Closed(CloseReason::ConnackTimeout)), 10_000));

    let (mut asking, [near, _far]) = silent();
    let passing = time.clone();
    let mut driver = AsyncDriver::new(near, &mut time);
    let end = complete(&passing, driver.next(&mut asking.session, &mut asking.inbox, |_, event| panic!("{event:?}")));
    assert_eq!((end, passing.millis()), (Err(Error::Closed(CloseReason::ConnackTimeout)), 20_001));
    assert_eq!(driver.into_parts().1.millis(), 20_001);
}

/// What `Debug` shows of a driver: whether something is to be flushed, and what the transport failed of until that is told.
#[test]
fn what_a_driver_shows() {
    let lost = || {
        let mut asking = Asking::new();
        asking.connect(Version::V5);
        // CONNACK comes while most of CONNECT is still to be written.
        let [near, far] = wire(0, Habits { capacity: 7, ..Habits::PLAIN });
        far.inject(&CONNACK);
        (asking, near, far)
    };
    let handler = |far: &Socket, session: &mut Client, event: &Event<'_>| match event {
        Event::Connected(_) => {
            session.unsubscribe(&Unsubscribe::new(&["t"])).unwrap();
            far.fail(Operation::Write, ErrorKind::BrokenPipe);
        }
        Event::RequestLost { .. } => {}
        other => panic!("{other:?}"),
    };
    let shown = |unflushed, failure| format!("Driver {{ unflushed: {unflushed}, failure: {failure}, .. }}");
    let fault = "Some(Fault(BrokenPipe))";
    let expected = [shown(false, "None"), shown(true, "None"), shown(true, fault)];

    let (mut asking, near, far) = lost();
    let time = Time::default();
    let mut driver = Driver::new(near, time.clone());
    let mut seen = vec![format!("{driver:?}")];
    while driver.next(&mut asking.session, &mut asking.inbox, |session, event| handler(&far, session, &event)).is_ok() {
        seen.push(format!("{driver:?}"));
    }
    assert_eq!(seen, expected);
    assert_eq!(format!("{driver:?}"), shown(true, "None"));

    let (mut asking, near, far) = lost();
    let mut driver = AsyncDriver::new(Split { reader: near.clone(), writer: near }, time.clone());
    let mut seen = vec![format!("{driver:?}")];
    complete(&time, async {
        while driver
            .next(&mut asking.session, &mut asking.inbox, |session, event| handler(&far, session, &event))
            .await
            .is_ok()
        {
            seen.push(format!("{driver:?}"));
        }
    });
    assert_eq!(seen, expected.map(|shown| format!("Async{shown}")));
    assert_eq!(format!("{driver:?}"), format!("Async{}", shown(false, "None")));
}

/// T1. A handler takes longer than any answer may; what came in meanwhile is read before the server is given up. One that
/// says nothing is given up in time.
#[test]
fn a_handler_that_takes_long_gives_nobody_up() {
    for version in [Version::V311, Version::V5] {
        for how in ALL {
            for buffers in [false, true] {
                let time = Time::default();
                let mut asking = Asking::new();
                asking.connect(version);
                let [near, far] = wire(0, Habits { times_out: true, buffers, ..Habits::PLAIN });
                let connack: &[u8] = if version == Version::V5 { &CONNACK } else { &[0x20, 2, 0, 0] };
                far.inject(connack);
                let mut messages = 0;
                let end = run(how, &mut asking, near, &time, |session, event| match event {
                    Event::Connected(_) => {
                        // PINGREQ is due when this returns, and PINGRESP comes long before the next one does.
                        far.inject(if version == Version::V5 {
                            &[0x30, 4, 0, 1, b't', 0]
                        } else {
                            &[0x30, 3, 0, 1, b't']
                        });
                        session.publish(&Publish::new("t", b"1")).unwrap();
                        time.pass(60_000);
                    }
                    Event::Message(_) if messages < 5 => {
                        messages += 1;
                        let message: &[u8] =
                            if version == Version::V5 { &[0x30, 4, 0, 1, b't', 0] } else { &[0x30, 3, 0, 1, b't'] };
                        time.pass(60_000);
                        far.inject(&[0xD0, 0]);
                        far.inject(message);
                    }
                    Event::Message(_) => {}
                    other => panic!("{other:?}"),
                });
                assert_eq!(
                    (end, messages),
                    (Error::Closed(CloseReason::PingTimeout), 5),
                    "{version:?} {how:?} {buffers}"
                );
                let taken = time.millis();
                assert!((360_000 + 10_000..360_000 + 14_000).contains(&taken), "{version:?} {how:?}: {taken} ms");
            }
        }
    }
}

/// T1. The same between two calls, and while PINGREQ is unanswered: it is asked, then nobody calls for a while.
#[test]
fn a_pause_between_two_calls_gives_nobody_up() {
    for version in [Version::V311, Version::V5] {
        for (buffers, answers) in [(false, true), (true, true), (false, false), (true, false)] {
            let time = Time::default();
            let mut asking = Asking::new();
            asking.connect(version);
            let [near, far] = wire(0, Habits { buffers, ..Habits::PLAIN });
            let connack: &[u8] = if version == Version::V5 { &CONNACK } else { &[0x20, 2, 0, 0] };
            let mut driver = Driver::new(near, time.clone());
            let mut call = |until: u64| {
                let until = Instant::from_millis(until);
                driver.next_before(&mut asking.session, &mut asking.inbox, until, |_, _| ())
            };
            assert_eq!(call(0), Ok(None));
            time.pass(15_000);
            far.inject(connack);
            assert_eq!(call(0), Ok(None), "CONNACK is read");
            assert_eq!(call(0), Ok(Some(())));
            for _ in 0..3 {
                assert_eq!(call(time.millis() + 1_800), Ok(None));
                assert!(far.unread().ends_with(&[0xC0, 0]));
                if !answers {
                    break;
                }
                far.inject(&[0xD0, 0]);
                time.pass(15_000);
                assert_eq!(call(time.millis()), Ok(None));
            }
            if !answers {
                time.pass(15_000);
                assert_eq!(call(time.millis() + 2), Err(Error::Closed(CloseReason::PingTimeout)));
            }
        }
    }
}

/// T1. A future that is dropped again and again, also between a flush and the read behind it.
#[test]
fn a_future_that_is_dropped_gives_nobody_up() {
    for buffers in [false, true] {
        for halves in [false, true] {
            let time = Time::default();
            let mut asking = Asking::new();
            asking.connect(Version::V5);
            let [near, far] = wire(0, Habits { buffers, ..Habits::PLAIN });
            let mut whole = AsyncDriver::new(near.clone(), time.clone());
            let mut split = AsyncDriver::new(Split { reader: near.clone(), writer: near }, time.clone());
            let mut call = || {
                let Asking { session, inbox, .. } = &mut asking;
                let mut context = Context::from_waker(Waker::noop());
                if halves {
                    pin!(split.next(session, inbox, |_, _| ())).poll(&mut context)
                } else {
                    pin!(whole.next(session, inbox, |_, _| ())).poll(&mut context)
                }
            };
            assert!(call().is_pending() && call().is_pending());
            time.pass(15_000);
            far.inject(&CONNACK);
            assert_eq!(call(), Poll::Ready(Ok(())), "{buffers} {halves}");
            for _ in 0..3 {
                time.pass(1_800);
                assert!(call().is_pending() && call().is_pending());
                assert!(far.unread().ends_with(&[0xC0, 0]));
                time.pass(15_000);
                far.inject(&[0xD0, 0]);
                assert!(call().is_pending() && call().is_pending(), "{buffers} {halves}");
            }
        }
    }
}

/// T2. The write of the packet before DISCONNECT takes longer than both may, and succeeds.
struct Slow(Socket, Time);

impl embedded_io::ErrorType for Slow {
    type Error = Fault;
}

impl embedded_io::Read for Slow {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Fault> {
        embedded_io::Read::read(&mut self.0, buf)
    }
}

impl embedded_io::ReadReady for Slow {
    fn read_ready(&mut self) -> Result<bool, Fault> {
        self.0.read_ready()
    }
}

impl embedded_io::Write for Slow {
    fn write(&mut self, buf: &[u8]) -> Result<usize, Fault> {
        self.1.pass(6_000);
        embedded_io::Write::write(&mut self.0, buf)
    }

    fn flush(&mut self) -> Result<(), Fault> {
        embedded_io::Write::flush(&mut self.0)
    }
}

impl embedded_io::WriteReady for Slow {
    fn write_ready(&mut self) -> Result<bool, Fault> {
        Ok(true)
    }
}

#[test]
fn a_farewell_behind_slow_writes() {
    for version in [Version::V311, Version::V5] {
        for buffers in [false, true] {
            let time = Time::default();
            let mut asking = Asking::new();
            asking.connect(version);
            let [near, far] = wire(0, Habits { buffers, ..Habits::PLAIN });
            far.inject(if version == Version::V5 { &CONNACK } else { &[0x20, 2, 0, 0] });
            let mut driver = Driver::new(Slow(near, time.clone()), time.clone());
            let end = loop {
                let told = driver.next(&mut asking.session, &mut asking.inbox, |session, event| {
                    if matches!(event, Event::Connected(_)) {
                        session.publish(&Publish::new("t", b"1")).unwrap();
                        session.publish(&Publish { qos: QoS::AtLeastOnce, ..Publish::new("t", b"2") }).unwrap();
                        session.disconnect(&Disconnect::default()).unwrap();
                    }
                });
                if let Err(end) = told {
                    break end;
                }
            };
            assert_eq!(end, Error::Closed(CloseReason::Disconnected), "{version:?}");
            assert!(far.unread().ends_with(&[0xE0, 0]), "{version:?}");
        }
    }
}
