//! The drivers, on both ends.

use core::future::poll_fn;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use mqtt_session::io::{AsyncClock, AsyncDriver, Clock, Driver, Error, Split, TimesOut, Transport};
use mqtt_session::{Backoff, CloseReason, Inbox, Instant, PlainEndpoint};

use crate::{any, any_flag, any_time, client, fill, keep, keep_bytes, server};

static mut BACKOFF: Backoff = Backoff::new(250, 30_000);

pub fn turn() {
    // SAFETY: there is one thread, and neither this function nor those of the ends call themselves.
    let (session, inbox) = unsafe { (&mut *(&raw mut client::SESSION), &mut *(&raw mut client::INBOX)) };
    block(session, inbox, |_, event| client::told(event));
    wait(AsyncDriver::new(Device::<0>, Device::<0>), session, inbox, |_, event| client::told(event));
    wait(AsyncDriver::new(split::<2>(), Device::<2>), session, inbox, |_, event| client::told(event));
    // SAFETY: as above.
    let (session, inbox) = unsafe { (&mut *(&raw mut server::SESSION), &mut *(&raw mut server::INBOX)) };
    block(session, inbox, |_, event| server::told(event));
    wait(AsyncDriver::new(Device::<1>, Device::<1>), session, inbox, |_, event| server::told(event));
    wait(AsyncDriver::new(split::<3>(), Device::<3>), session, inbox, |_, event| server::told(event));
    // SAFETY: as above.
    let backoff = unsafe { &mut *(&raw mut BACKOFF) };
    keep(backoff.next(any()) as usize);
    if any_flag() {
        backoff.reset();
    }
}

fn block<S: PlainEndpoint>(session: &mut S, inbox: &mut Inbox, handler: fn(&mut S, S::Event<'_>)) {
    let mut driver = Driver::new(Device::<4>, Device::<4>);
    match driver.next_before(session, inbox, any_time(), handler) {
        Ok(told) => keep(told.is_some().into()),
        Err(error) => ended(error),
    }
    driver.next(session, inbox, handler).unwrap_or_else(ended);
    Driver::new(TimesOut(Device::<4>), Device::<4>).next(session, inbox, handler).unwrap_or_else(ended);
}

/// Polls once. In each state machine of an `async fn` the compiler puts a panic for those who poll it after it is finished;
/// only here it can see that nobody does. No code of the driver is left out by that: each step begins anew.
fn wait<T: Transport<Error = Fault>, S: PlainEndpoint, const N: u8>(
    mut driver: AsyncDriver<T, Device<N>>,
    session: &mut S,
    inbox: &mut Inbox,
    handler: fn(&mut S, S::Event<'_>),
) {
    let next = pin!(driver.next(session, inbox, handler));
    if let Poll::Ready(told) = next.poll(&mut Context::from_waker(Waker::noop())) {
        told.unwrap_or_else(ended);
    }
}

fn ended(error: Error<Fault>) {
    keep(error.close_reason().reason_code().map_or(0, |code| code as usize));
    keep((error == Error::Closed(CloseReason::Disconnected)).into());
}

const fn split<const N: u8>() -> Split<Device<N>, Device<N>> {
    Split { reader: Device, writer: Device }
}

/// A clock and a transport of which nothing is known. Each driver has one of its own type, and so of its own code, or the
/// compiler would not see that.
struct Device<const N: u8>;

#[derive(Debug, PartialEq)]
struct Fault;

impl core::fmt::Display for Fault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("a fault")
    }
}

impl core::error::Error for Fault {}

impl embedded_io::Error for Fault {
    fn kind(&self) -> embedded_io::ErrorKind {
        if any_flag() { embedded_io::ErrorKind::Interrupted } else { embedded_io::ErrorKind::Other }
    }
}

impl<const N: u8> embedded_io::ErrorType for Device<N> {
    type Error = Fault;
}

fn outcome<T>(outcome: T) -> Result<T, Fault> {
    if any_flag() { Ok(outcome) } else { Err(Fault) }
}

/// Something that is ready at any time.
fn at_some_time<T>(mut work: impl FnMut() -> T) -> impl Future<Output = T> {
    poll_fn(move |_| if any_flag() { Poll::Ready(work()) } else { Poll::Pending })
}

impl<const N: u8> embedded_io::Read for Device<N> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Fault> {
        outcome(fill(buf))
    }
}

impl<const N: u8> embedded_io::Write for Device<N> {
    fn write(&mut self, buf: &[u8]) -> Result<usize, Fault> {
        keep_bytes(buf);
        outcome(any() as usize)
    }

    fn flush(&mut self) -> Result<(), Fault> {
        outcome(())
    }
}

impl<const N: u8> embedded_io::ReadReady for Device<N> {
    fn read_ready(&mut self) -> Result<bool, Fault> {
        outcome(any_flag())
    }
}

impl<const N: u8> embedded_io::WriteReady for Device<N> {
    fn write_ready(&mut self) -> Result<bool, Fault> {
        outcome(any_flag())
    }
}

impl<const N: u8> embedded_io_async::Read for Device<N> {
    fn read(&mut self, buf: &mut [u8]) -> impl Future<Output = Result<usize, Fault>> {
        at_some_time(|| outcome(fill(buf)))
    }
}

impl<const N: u8> embedded_io_async::Write for Device<N> {
    fn write(&mut self, buf: &[u8]) -> impl Future<Output = Result<usize, Fault>> {
        at_some_time(|| {
            keep_bytes(buf);
            outcome(any() as usize)
        })
    }

    fn flush(&mut self) -> impl Future<Output = Result<(), Fault>> {
        at_some_time(|| outcome(()))
    }
}

impl<const N: u8> Clock for Device<N> {
    fn now(&mut self) -> Instant {
        any_time()
    }

    fn pause(&mut self, until: Option<Instant>) {
        keep(until.map_or(0, |until| until.as_millis() as usize));
    }
}

impl<const N: u8> AsyncClock for Device<N> {
    fn now(&mut self) -> Instant {
        any_time()
    }

    fn sleep_until(&mut self, at: Instant) -> impl Future<Output = ()> {
        at_some_time(move || keep(at.as_millis() as usize))
    }
}
