//! The loop over a blocking transport.

use core::fmt;

use embedded_io::{Error as _, ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};

use crate::endpoint::PlainEndpoint;
use crate::error::CloseReason;
use crate::event::Step;
use crate::inbox::Inbox;
use crate::time::Instant;

use super::Error;

/// A clock for a [`Driver`], and what it does while there is nothing to do.
pub trait Clock {
    /// The time.
    fn now(&mut self) -> Instant;

    /// Waits until `until` at the longest (`None`: for any time), or until the transport is likely to read or write
    /// something. It may return at any moment before, and is called again then.
    ///
    /// By default it returns at once, so that the transport is asked all the time. That is right where [`TimesOut`] waits;
    /// firmware sleeps here until the next interrupt.
    fn pause(&mut self, until: Option<Instant>) {
        _ = until;
        core::hint::spin_loop();
    }
}

impl<C: Clock + ?Sized> Clock for &mut C {
    fn now(&mut self) -> Instant {
        (**self).now()
    }

    fn pause(&mut self, until: Option<Instant>) {
        (**self).pause(until);
    }
}

/// A transport whose reads and writes end by themselves, after a short time without success, with an error of the kind
/// [`TimedOut`](ErrorKind::TimedOut): for instance a socket with time limits for both.
///
/// A [`Driver`] asks a transport whether it is ready, because a read of `embedded-io` knows no time limit; this one always says
/// yes. Deadlines are met as exactly as the time limits are short. The kind `Other` does not do: what the
/// standard library calls `WouldBlock` must be mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TimesOut<T>(pub T);

impl<T: ErrorType> ErrorType for TimesOut<T> {
    type Error = T::Error;
}

impl<T: Read> Read for TimesOut<T> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Self::Error> {
        self.0.read(buf)
    }
}

impl<T: Write> Write for TimesOut<T> {
    fn write(&mut self, buf: &[u8]) -> Result<usize, Self::Error> {
        self.0.write(buf)
    }

    fn flush(&mut self) -> Result<(), Self::Error> {
        self.0.flush()
    }
}

impl<T: ErrorType> ReadReady for TimesOut<T> {
    fn read_ready(&mut self) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

impl<T: ErrorType> WriteReady for TimesOut<T> {
    fn write_ready(&mut self) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

/// Runs the loop of a session over a blocking transport.
///
/// The transport is read and written only when it says that this does not block ([`ReadReady`], [`WriteReady`]), or its reads
/// and writes end by themselves ([`TimesOut`]). So deadlines are met, and two ends that both write cannot block each other.
/// Nothing can be asked about `flush`, so it must not wait for the peer.
///
/// ```
/// use mqtt_session::io::{Clock, Driver, Error};
/// use mqtt_session::{CloseReason, Connect, Disconnect, Event, Inbox, Instant, CommandError, Session, Version};
/// # use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};
/// # struct Uart(&'static [u8]);
/// # impl ErrorType for Uart { type Error = ErrorKind; }
/// # impl Read for Uart { fn read(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> { Read::read(&mut self.0, buf).map_err(|e| match e {}) } }
/// # impl ReadReady for Uart { fn read_ready(&mut self) -> Result<bool, ErrorKind> { Ok(true) } }
/// # impl Write for Uart {
/// #     fn write(&mut self, buf: &[u8]) -> Result<usize, ErrorKind> { Ok(buf.len()) }
/// #     fn flush(&mut self) -> Result<(), ErrorKind> { Ok(()) }
/// # }
/// # impl WriteReady for Uart { fn write_ready(&mut self) -> Result<bool, ErrorKind> { Ok(true) } }
///
/// struct Ticks(u64);
///
/// impl Clock for Ticks {
///     fn now(&mut self) -> Instant {
///         self.0 += 1;
///         Instant::from_millis(self.0)
///     }
/// }
///
/// # #[cfg(feature = "v311")] {
/// # let uart = Uart(&[0x20, 2, 0, 0]);
/// let mut session: Session<256, 4, 4> = Session::new();
/// let mut inbox: Inbox<[u8; 128]> = Inbox::new();
/// session.connect(&mut inbox, &Connect::new(Version::V311, "meter-7"))?;
/// let mut driver = Driver::new(uart, Ticks(0));
/// let end = loop {
///     let told: Result<Result<(), CommandError>, _> = driver.next(&mut session, &mut inbox, |session, event| match event {
///         Event::Connected(_) => session.disconnect(&Disconnect::default()),
///         _ => Ok(()),
///     });
///     match told {
///         Ok(refused) => refused?,
///         Err(end) => break end,
///     }
/// };
/// assert_eq!(end, Error::Closed(CloseReason::Disconnected));
/// # }
/// # Ok::<(), CommandError>(())
/// ```
pub struct Driver<T: ErrorType, C> {
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
}

/// What a turn came to. The handler comes back if there was no event.
enum Turn<R, H> {
    Told(R),
    /// Bytes were written, and more may follow them.
    Wrote(H),
    /// The transport was asked for bytes, or is gone.
    Read(H),
}

/// What came of an attempt to move bytes.
enum Attempt {
    Moved(usize),
    /// The transport is not ready.
    NotYet,
    /// The transport is at its end, or has failed.
    Gone,
}

impl<T: Read + Write + ReadReady + WriteReady, C: Clock> Driver<T, C> {
    /// A driver for one connection over an open transport.
    #[must_use]
    pub const fn new(transport: T, clock: C) -> Self {
        Self { transport, clock, unflushed: false, failure: None, left: 0, closing: None }
    }

    /// Goes on until something happens, hands it to `handler`, and returns what that returns.
    ///
    /// # Errors
    ///
    /// The connection is over, and all that there was to tell of it is told. A further call says so again, without the
    /// transport's error.
    pub fn next<S: PlainEndpoint, R>(
        &mut self,
        session: &mut S,
        inbox: &mut Inbox,
        mut handler: impl FnOnce(&mut S, S::Event<'_>) -> R,
    ) -> Result<R, Error<T::Error>> {
        loop {
            match self.turn(session, inbox, None, handler)? {
                Turn::Told(returned) => return Ok(returned),
                Turn::Wrote(unused) | Turn::Read(unused) => handler = unused,
            }
        }
    }

    /// The same, but not beyond `until`: `None` says that nothing happened before. So an application can act at times of its
    /// own, for instance publish what a sensor says, and go on.
    ///
    /// Each call writes what there is to write and asks for what there is to read, also if `until` is over already. The last one may take as long as is left
    /// for the DISCONNECT (`Connect::disconnect_timeout`).
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub fn next_before<S: PlainEndpoint, R>(
        &mut self,
        session: &mut S,
        inbox: &mut Inbox,
        until: Instant,
        mut handler: impl FnOnce(&mut S, S::Event<'_>) -> R,
    ) -> Result<Option<R>, Error<T::Error>> {
        loop {
            match self.turn(session, inbox, Some(until), handler)? {
                Turn::Told(returned) => return Ok(Some(returned)),
                Turn::Read(_) if until <= self.clock.now() => return Ok(None),
                Turn::Wrote(unused) | Turn::Read(unused) => handler = unused,
            }
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

    /// One poll and what it asks for.
    fn turn<S: PlainEndpoint, R, H: FnOnce(&mut S, S::Event<'_>) -> R>(
        &mut self,
        session: &mut S,
        inbox: &mut Inbox,
        until: Option<Instant>,
        handler: H,
    ) -> Result<Turn<R, H>, Error<T::Error>> {
        let now = self.clock.now();
        let written = match session.poll(inbox, now) {
            Step::Event(event) => return Ok(Turn::Told(handler(session, event))),
            Step::Transmit(bytes) => self.write(bytes),
            Step::Wait(_) => self.flush(),
            Step::Close(cause) => return Err(self.end(cause)),
        };
        // The poll may have found a fault of the peer, which brings a deadline that was not there before.
        let deadline = session.deadline();
        match written {
            Attempt::Moved(len) => {
                self.unflushed = true;
                session.transmitted(len);
                self.left = session.deadline().map_or(0, |at| at.millis_since(now));
                return Ok(Turn::Wrote(handler));
            }
            Attempt::Gone => session.connection_lost(),
            Attempt::NotYet => match self.read(inbox.space()) {
                Attempt::Moved(len) => inbox.filled(len),
                Attempt::Gone => session.connection_lost(),
                Attempt::NotYet => self.clock.pause(deadline.into_iter().chain(until).min()),
            },
        }
        Ok(Turn::Read(handler))
    }

    fn write(&mut self, bytes: &[u8]) -> Attempt {
        let written = match self.transport.write_ready() {
            Ok(true) => self.transport.write(bytes).map(Some),
            Ok(false) => Ok(None),
            Err(error) => Err(error),
        };
        self.attempt(written)
    }

    /// Reads as much as there is space for, which may be none as long as something is to be written.
    fn read(&mut self, space: &mut [u8]) -> Attempt {
        if space.is_empty() {
            return Attempt::NotYet;
        }
        let received = match self.transport.read_ready() {
            Ok(true) => self.transport.read(space).map(Some),
            Ok(false) => Ok(None),
            Err(error) => Err(error),
        };
        self.attempt(received)
    }

    /// Nothing moves by that: the turn goes on.
    fn flush(&mut self) -> Attempt {
        if !self.unflushed {
            return Attempt::NotYet;
        }
        let flushed = self.transport.flush();
        self.unflushed = flushed.is_err();
        self.attempt(flushed.map(|()| None))
    }

    fn attempt(&mut self, done: Result<Option<usize>, T::Error>) -> Attempt {
        match done {
            // The end of the stream; to write nothing is not allowed.
            Ok(Some(0)) => Attempt::Gone,
            Ok(Some(len)) => Attempt::Moved(len),
            Ok(None) => Attempt::NotYet,
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::TimedOut) => Attempt::NotYet,
            Err(error) => {
                self.failure = Some(error);
                Attempt::Gone
            }
        }
    }

    /// The DISCONNECT may still be in the transport, which gets the time that is left for that. To the session it has left; if it
    /// does not, that is told here.
    fn end(&mut self, cause: CloseReason) -> Error<T::Error> {
        if cause == CloseReason::ConnectionLost {
            return self.failure.take().map_or(Error::Closed(cause), Error::Transport);
        }
        while self.unflushed && self.failure.is_none() {
            let now = self.clock.now();
            let until = *self.closing.get_or_insert(now.after_millis(self.left));
            let is_over = until <= now;
            if matches!(self.flush(), Attempt::NotYet) && self.unflushed {
                if is_over {
                    break;
                }
                self.clock.pause(Some(until));
            }
        }
        match self.failure.take() {
            Some(failure) if cause.is_disconnected() => Error::Transport(failure),
            None if cause.is_disconnected() && self.unflushed => Error::Closed(CloseReason::DisconnectTimeout),
            _ => Error::Closed(cause),
        }
    }
}

impl<T: ErrorType, C> fmt::Debug for Driver<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { unflushed, failure, .. } = self;
        f.debug_struct("Driver").field("unflushed", unflushed).field("failure", failure).finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl<T: ErrorType, C> defmt::Format for Driver<T, C> {
    fn format(&self, f: defmt::Formatter<'_>) {
        let Self { unflushed, failure, .. } = self;
        defmt::write!(f, "Driver {{ unflushed: {=bool}, failed: {=bool} }}", unflushed, failure.is_some());
    }
}
