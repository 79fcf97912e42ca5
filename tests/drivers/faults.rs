//! Peers that are silent, deaf, talk nonsense or go away, and transports that fail: each ends in time and with its name, and
//! the next connection is none the worse.

use core::pin::pin;
use core::task::{Context, Poll, Waker};

use embedded_io::ErrorKind;
use mqtt_session::io::{AsyncDriver, Clock, Driver, Error, Split, TimesOut};
use mqtt_session::{Cause, Connect, Disconnect, Event, Instant, Outcome, Publish, QoS, Refused, Version, Violation};

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
    assert_eq!(next, Error::Closed(Cause::Disconnected), "{how:?}");
    assert!(far.unread().ends_with(&[0xE0, 0]));
    (end, taken)
}

const CONNACK: [u8; 5] = [0x20, 3, 0, 0, 0];

#[test]
fn a_broker_that_does_not_answer() {
    for how in ALL {
        let (end, taken) = meet(how, Habits::PLAIN, |_| {});
        assert_eq!(end, Error::Closed(Cause::ConnackTimeout), "{how:?}");
        assert!((10_000..10_100).contains(&taken), "{how:?}: {taken} ms");
    }
}

#[test]
fn a_broker_that_does_not_even_listen() {
    for how in ALL {
        let (end, taken) = meet(how, Habits { capacity: 7, ..Habits::PLAIN }, |_| {});
        assert_eq!(end, Error::Closed(Cause::ConnackTimeout), "{how:?}");
        assert!((10_000..10_100).contains(&taken), "{how:?}: {taken} ms");
    }
}

#[test]
fn a_broker_that_refuses() {
    for how in ALL {
        let (end, _) = meet_refusing(how);
        assert_eq!(end.cause().to_string(), "the server refused the connection: not authorized (0x87)", "{how:?}");
    }
}

fn meet_refusing(how: How) -> (Error<Fault>, Time) {
    let time = Time::default();
    let mut asking = Asking::new();
    asking.connect(Version::V5);
    let [near, far] = wire(0, Habits { times_out: true, ..Habits::PLAIN });
    far.inject(&[0x20, 3, 0, 0x87, 0]);
    let end = run(how, &mut asking, near, &time, |session, event| {
        assert!(matches!(event, Event::Refused(_)), "{event:?}");
        assert_eq!(session.disconnect(&Disconnect::default()), Err(Refused::Offline));
    });
    (end, time)
}

#[test]
fn a_broker_that_talks_nonsense() {
    for how in ALL {
        let (end, taken) = meet(how, Habits::PLAIN, |far| far.inject(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
        assert!(matches!(end, Error::Closed(Cause::Violation(Violation::PacketFlagsReserved))), "{how:?}: {end}");
        assert!(taken < 100);
    }
}

#[test]
fn a_broker_that_closes() {
    for how in ALL {
        let (end, taken) = meet(how, Habits::PLAIN, Socket::close);
        assert_eq!(end, Error::Closed(Cause::ConnectionLost), "{how:?}");
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
            assert_eq!(end.cause(), Cause::ConnectionLost);
            assert!(taken < 100);
        }
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
        assert!(matches!(end.cause(), Cause::DisconnectedByPeer(_) | Cause::Disconnected), "{how:?}: {end}");
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
        assert_eq!(end, Error::Closed(Cause::Disconnected), "{how:?}");
        assert!((5_000..5_100).contains(&time.millis()), "{how:?}: {} ms", time.millis());
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
        assert_eq!(end, Error::Closed(Cause::Violation(Violation::PacketTypeReserved)), "{how:?}");
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
        assert_eq!(end, Error::Closed(Cause::Disconnected), "{how:?}");
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
