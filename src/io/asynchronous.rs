//! The loop over an asynchronous transport.

use core::fmt;
use core::future::{Pending, poll_fn};
use core::pin::{Pin, pin};
use core::task::{Context, Poll};

use embedded_io_async::{Error as _, ErrorKind, ErrorType, Read, Write};

use crate::endpoint::PlainEndpoint;
use crate::error::CloseReason;
use crate::event::Step;
use crate::inbox::Inbox;
use crate::time::Instant;

use super::Error;

use self::sealed::{Both, Exchange, Flushes, Moves};

/// Waits for the first of all, and tells what the two that are not the pause came to by then. A macro, because one future
/// less is one state machine less.
macro_rules! race {
    ($both:expr, $pause:expr) => {{
        let (first, second) = $both;
        let (mut first, mut second, mut pause) = (pin!(first), pin!(second), pin!($pause));
        poll_fn(|context| {
            let first = ready(first.as_mut(), context);
            let second = second.as_mut().as_pin_mut().and_then(|second| ready(second, context));
            let mut is_over = || pause.as_mut().as_pin_mut().and_then(|pause| ready(pause, context)).is_some();
            if first.is_some() || second.is_some() || is_over() { Poll::Ready((first, second)) } else { Poll::Pending }
        })
        .await
    }};
}
/// A clock for an [`AsyncDriver`].
pub trait AsyncClock {
    /// The time.
    fn now(&mut self) -> Instant;

    /// Waits until `at`; not at all if that is over. Dropping the future must do no harm.
    fn sleep_until(&mut self, at: Instant) -> impl Future<Output = ()>;
}

impl<C: AsyncClock> AsyncClock for &mut C {
    fn now(&mut self) -> Instant {
        (**self).now()
    }

    fn sleep_until(&mut self, at: Instant) -> impl Future<Output = ()> {
        (**self).sleep_until(at)
    }
}

/// What an [`AsyncDriver`] runs over: anything that is [`Read`] and [`Write`], or two halves as a [`Split`].
pub trait Transport: Exchange {}

impl<T: Exchange> Transport for T {}

/// A transport in two halves, which is read also while it is written.
///
/// A transport in one piece that takes no more bytes is not read before it does, or time demands something. If the peer waits
/// for us in the same way, that ends only by a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Split<R, W> {
    /// What is read.
    pub reader: R,
    /// What is written.
    pub writer: W,
}

/// Runs the loop of a session over an asynchronous transport, on any executor.
///
/// The future of [`next`](Self::next) may be dropped at any time, for instance by a `select` with other work, and nothing is
/// lost, if the transport keeps its side: reads, writes and flushes that are dropped before they are complete have not moved
/// anything, which `embedded-io-async` calls side-effect-free on cancel. TCP sockets are like that. Of a transport that is
/// not, drop the driver together with the future. The driver itself drops a write or a flush when a deadline comes, or, of
/// a [`Split`], when bytes come in; a read when a deadline comes, or when something was written.
///
/// ```
/// use core::future::{pending, ready};
/// use mqtt_session::io::{AsyncClock, AsyncDriver, Error};
/// use mqtt_session::{CloseReason, Connect, Disconnect, Event, Inbox, Instant, Session, Version};
/// # use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
/// # struct Socket(&'static [u8]);
/// # impl ErrorType for Socket { type Error = ErrorKind; }
/// # impl Read for Socket { async fn read(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> { Read::read(&mut self.0, buf).await.map_err(|e| match e {}) } }
/// # impl Write for Socket {
/// #     async fn write(&mut self, buf: &[u8]) -> Result<usize, ErrorKind> { Ok(buf.len()) }
/// #     async fn flush(&mut self) -> Result<(), ErrorKind> { Ok(()) }
/// # }
/// # struct Clock;
/// # impl AsyncClock for Clock {
/// #     fn now(&mut self) -> Instant { Instant::from_millis(0) }
/// #     async fn sleep_until(&mut self, _: Instant) { pending().await }
/// # }
///
/// # #[cfg(feature = "v311")]
/// async fn visit(socket: Socket, clock: Clock) -> Error<ErrorKind> {
///     let mut session: Session<256, 4, 4> = Session::new();
///     let mut inbox: Inbox<[u8; 128]> = Inbox::new();
///     let connect = Connect::new(Version::V311, "meter-7");
///     session.connect(&mut inbox, &connect).expect("it fits");
///     let mut driver = AsyncDriver::new(socket, clock);
///     loop {
///         let told = driver.next(&mut session, &mut inbox, |session, event| match event {
///             Event::Connected(_) => session.disconnect(&Disconnect::default()),
///             _ => Ok(()),
///         });
///         match told.await {
///             Ok(refused) => refused.expect("it is connected"),
///             Err(end) => return end,
///         }
///     }
/// }
/// # #[cfg(feature = "v311")] {
/// # let mut visit = std::pin::pin!(visit(Socket(&[0x20, 2, 0, 0]), Clock));
/// # let end = visit.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
/// # assert_eq!(end, std::task::Poll::Ready(Error::Closed(CloseReason::Disconnected)));
/// # }
/// ```
pub struct AsyncDriver<T: ErrorType, C> {
    transport: T,
    clock: C,
    /// Whether bytes were written since the last flush.
    unflushed: bool,
    /// What the transport failed of, until it is told.
    failure: Option<T::Error>,
    /// How many milliseconds what was written last may take to leave: the session knows no deadline any more once it has closed.
    left: u64,
    /// Until when that is, once the session has closed.
    closing: Option<Instant>,
    /// Whether the session waits, and nothing was read since.
    unread: bool,
}

impl<T: Transport, C: AsyncClock> AsyncDriver<T, C> {
    /// A driver for one connection over an open transport.
    #[must_use]
    pub const fn new(transport: T, clock: C) -> Self {
        Self { transport, clock, unflushed: false, failure: None, left: 0, closing: None, unread: false }
    }

    /// Goes on until something happens, hands it to `handler`, and returns what that returns. The future may be dropped at
    /// any time; the next one goes on where it was.
    ///
    /// # Errors
    ///
    /// The connection is over, and all that there was to tell of it is told. A further call says so again, without the
    /// transport's error.
    pub async fn next<S: PlainEndpoint, R>(
        &mut self,
        session: &mut S,
        inbox: &mut Inbox,
        handler: impl FnOnce(&mut S, S::Event<'_>) -> R,
    ) -> Result<R, Error<T::Error>> {
        let mut deadline = session.deadline();
        let mut is_stale = true;
        let mut read_until = None;
        loop {
            let now = self.clock.now();
            // Each wait is a read: behind it the session may give up.
            let unread = core::mem::take(&mut self.unread).then(|| read_until.take().unwrap_or(Some(now)));
            let (outgoing, until, cause) = match unread.map_or_else(|| session.poll(inbox, now), Step::Wait) {
                Step::Event(event) => return Ok(handler(session, event)),
                // The poll may have met a deadline, or found a fault of the peer, which brings one: what is to be written is
                // asked for again once it is known.
                Step::Transmit(_) if is_stale => {
                    deadline = no_earlier(session.deadline(), now);
                    is_stale = false;
                    continue;
                }
                Step::Transmit(bytes) => (Outgoing::Bytes(bytes), deadline, None),
                Step::Wait(until) => (self.flush_first(), no_earlier(until, now), None),
                // The DISCONNECT may still be in the transport, which gets the time that is left for that.
                Step::Close(cause) => match (cause, self.flush()) {
                    (CloseReason::ConnectionLost, _) | (_, Outgoing::Nothing) => return Err(self.end(cause)),
                    (_, flush) => (flush, Some(self.closing(now)), Some(cause)),
                },
            };
            let space = if cause.is_none() { inbox.space() } else { &mut [] };
            let pause = until.map(|at| self.clock.sleep_until(at));
            let (sent, received) = match outgoing {
                Outgoing::Bytes(bytes) => {
                    let (written, received) = race!(self.transport.write(bytes, space), pause);
                    (written.map(|len| len.map(Done::Written)), received)
                }
                Outgoing::Flush => {
                    let (flushed, received) = race!(self.transport.flush(space), pause);
                    (flushed.map(|done| done.map(|()| Done::Flushed)), received)
                }
                Outgoing::Nothing => {
                    let (received, second) = race!((self.transport.read(space), None::<Pending<_>>), pause);
                    (None, received.or(second))
                }
            };
            match cause {
                // It is tried again, as long as there is time.
                Some(_) if until > Some(now) && is_interrupted(sent.as_ref()) => continue,
                Some(cause) => return Err(self.end_flushed(cause, sent)),
                None => {}
            }
            read_until = matches!(sent, Some(Ok(Done::Flushed))).then_some(until);
            for done in [sent, received.map(|len| len.map(Done::Received))].into_iter().flatten() {
                self.settle(session, inbox, now, done);
            }
            deadline = no_earlier(session.deadline(), now);
            is_stale = true;
        }
    }

    /// The transport, for what the driver does not do with it.
    pub const fn transport(&self) -> &T {
        &self.transport
    }

    /// The transport. What is read from it or written to it here is missing in the MQTT stream.
    pub const fn transport_mut(&mut self) -> &mut T {
        &mut self.transport
    }

    /// The transport and the clock.
    pub fn into_parts(self) -> (T, C) {
        (self.transport, self.clock)
    }

    /// What is to be done before it is read.
    const fn flush_first(&mut self) -> Outgoing<'static> {
        self.unread = self.unflushed;
        self.flush()
    }

    /// Until when what was written may still leave.
    fn closing(&mut self, now: Instant) -> Instant {
        *self.closing.get_or_insert(now.after_millis(self.left))
    }

    /// What is to be done before it is waited.
    const fn flush(&self) -> Outgoing<'static> {
        if self.unflushed { Outgoing::Flush } else { Outgoing::Nothing }
    }

    fn settle<S: PlainEndpoint>(
        &mut self,
        session: &mut S,
        inbox: &mut Inbox,
        polled: Instant,
        done: Result<Done, T::Error>,
    ) {
        match done {
            // The end of the stream; to write nothing is not allowed.
            Ok(Done::Written(0) | Done::Received(0)) => session.connection_lost(),
            Ok(Done::Written(len)) => {
                self.unflushed = true;
                session.transmitted(len);
                self.left = session.deadline().map_or(0, |at| at.millis_since(polled));
            }
            Ok(Done::Flushed) => self.unflushed = false,
            Ok(Done::Received(len)) => {
                self.unread = false;
                inbox.filled(len);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                self.failure = Some(error);
                self.unread = false;
                session.connection_lost();
            }
        }
    }

    /// The end behind the last flush. To the session the DISCONNECT has left; if it has not, that is told here.
    fn end_flushed(&mut self, cause: CloseReason, flushed: Option<Result<Done, T::Error>>) -> Error<T::Error> {
        match flushed {
            Some(Err(error)) if cause.is_disconnected() && error.kind() != ErrorKind::Interrupted => {
                Error::Transport(error)
            }
            Some(Err(_)) | None if cause.is_disconnected() => Error::Closed(CloseReason::DisconnectTimeout),
            _ => self.end(cause),
        }
    }

    fn end(&mut self, cause: CloseReason) -> Error<T::Error> {
        self.unflushed = false;
        match self.failure.take() {
            Some(failure) if cause == CloseReason::ConnectionLost => Error::Transport(failure),
            _ => Error::Closed(cause),
        }
    }
}

impl<T: ErrorType, C> fmt::Debug for AsyncDriver<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { unflushed, failure, .. } = self;
        f.debug_struct("AsyncDriver").field("unflushed", unflushed).field("failure", failure).finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl<T: ErrorType, C> defmt::Format for AsyncDriver<T, C> {
    fn format(&self, f: defmt::Formatter<'_>) {
        let Self { unflushed, failure, .. } = self;
        defmt::write!(f, "AsyncDriver {{ unflushed: {=bool}, failed: {=bool} }}", unflushed, failure.is_some());
    }
}

impl<R: ErrorType, W> ErrorType for Split<R, W> {
    type Error = R::Error;
}

impl<R: Read, W: Write<Error = R::Error>> Exchange for Split<R, W> {
    fn write(&mut self, bytes: &[u8], space: &mut [u8]) -> Both<impl Moves<R::Error>, impl Moves<R::Error>> {
        (self.writer.write(bytes), receive(&mut self.reader, space))
    }

    fn flush(&mut self, space: &mut [u8]) -> Both<impl Flushes<R::Error>, impl Moves<R::Error>> {
        (self.writer.flush(), receive(&mut self.reader, space))
    }

    fn read(&mut self, space: &mut [u8]) -> impl Moves<R::Error> {
        self.reader.read(space)
    }
}

/// Reads only while there is nothing else to do.
impl<T: Read + Write> Exchange for T {
    fn write(&mut self, bytes: &[u8], _: &mut [u8]) -> Both<impl Moves<T::Error>, impl Moves<T::Error>> {
        (self.write(bytes), None::<Pending<_>>)
    }

    fn flush(&mut self, _: &mut [u8]) -> Both<impl Flushes<T::Error>, impl Moves<T::Error>> {
        (self.flush(), None::<Pending<_>>)
    }

    fn read(&mut self, space: &mut [u8]) -> impl Moves<T::Error> {
        self.read(space)
    }
}

/// What a transport is asked for; nothing that is to be called or implemented elsewhere.
mod sealed {
    use embedded_io_async::ErrorType;

    /// To read or write, and how much it was.
    pub trait Moves<E>: Future<Output = Result<usize, E>> {}

    impl<E, F: Future<Output = Result<usize, E>>> Moves<E> for F {}

    pub trait Flushes<E>: Future<Output = Result<(), E>> {}

    impl<E, F: Future<Output = Result<(), E>>> Flushes<E> for F {}

    /// What is done at once; the second part where that is possible.
    pub(super) type Both<A, B> = (A, Option<B>);

    pub trait Exchange: ErrorType {
        fn write(&mut self, bytes: &[u8], space: &mut [u8]) -> Both<impl Moves<Self::Error>, impl Moves<Self::Error>>;

        fn flush(&mut self, space: &mut [u8]) -> Both<impl Flushes<Self::Error>, impl Moves<Self::Error>>;

        fn read(&mut self, space: &mut [u8]) -> impl Moves<Self::Error>;
    }
}

/// What there is for the transport.
enum Outgoing<'s> {
    Bytes(&'s [u8]),
    Flush,
    Nothing,
}

/// What was done.
enum Done {
    Written(usize),
    Flushed,
    Received(usize),
}

/// There may be no space as long as something is to be written.
fn receive<R: Read>(reader: &mut R, space: &mut [u8]) -> Option<impl Moves<R::Error>> {
    (!space.is_empty()).then(|| reader.read(space))
}

fn ready<F: Future>(future: Pin<&mut F>, context: &mut Context<'_>) -> Option<F::Output> {
    match future.poll(context) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

fn is_interrupted<T, E: embedded_io_async::Error>(done: Option<&Result<T, E>>) -> bool {
    matches!(done, Some(Err(error)) if error.kind() == ErrorKind::Interrupted)
}

/// It is slept for a millisecond at least, so that others get their turn whatever the clock says.
fn no_earlier(deadline: Option<Instant>, now: Instant) -> Option<Instant> {
    deadline.map(|at| at.max(now.after_millis(1)))
}
