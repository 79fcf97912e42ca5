//! A transport between two ends in memory, which takes and brings bytes as it is told, and the time.

use core::cell::{Cell, RefCell};
use core::fmt;
use core::future::poll_fn;
use core::task::Poll;
use std::collections::VecDeque;
use std::rc::Rc;

use embedded_io::{ErrorKind, ErrorType};
use mqtt_session::Instant;
use mqtt_session::io::{AsyncClock, Clock};
use mqtt_session::sim::Random;

/// What an end of the wire does to those who use it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    /// How many bytes are moved at once, at most.
    pub(crate) chunk: usize,
    /// How many bytes may be under way in each direction.
    pub(crate) capacity: usize,
    /// Once in so many times nothing is ready; 0: never.
    pub(crate) hesitates: u32,
    /// Once in so many times an operation is interrupted; 0: never.
    pub(crate) interrupts: u32,
    /// Whether what is written leaves only when it is flushed.
    pub(crate) buffers: bool,
    /// Whether a blocking read or write that is not ready ends with `TimedOut`. Otherwise it would never end.
    pub(crate) times_out: bool,
}

impl Habits {
    pub(crate) const PLAIN: Self =
        Self { chunk: 1024, capacity: 1024, hesitates: 0, interrupts: 0, buffers: false, times_out: false };

    pub(crate) const DIFFICULT: Self =
        Self { chunk: 23, capacity: 61, hesitates: 3, interrupts: 7, buffers: true, times_out: false };
}

/// Why a transport fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault(pub(crate) ErrorKind);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl core::error::Error for Fault {}

impl embedded_io::Error for Fault {
    fn kind(&self) -> ErrorKind {
        self.0
    }
}

struct Wire {
    habits: Habits,
    random: Random,
    /// What is buffered at each end, and what is on its way from there.
    written: [VecDeque<u8>; 2],
    under_way: [VecDeque<u8>; 2],
    is_closed: bool,
    /// Whether a write ends with no byte written, which is not allowed.
    takes_nothing: bool,
    /// What each operation fails of from now on.
    failing: [Option<Fault>; 5],
}

impl Wire {
    /// How many bytes are under way from an end.
    fn taken(&self, end: usize) -> usize {
        self.written[end].len() + self.under_way[end].len()
    }
}

/// One end of a wire; its copies are the same end.
#[derive(Clone)]
pub(crate) struct Socket {
    wire: Rc<RefCell<Wire>>,
    end: usize,
}

#[derive(Clone, Copy)]
pub(crate) enum Operation {
    Read,
    Write,
    Flush,
    ReadReady,
    WriteReady,
}

/// Both ends of a new wire.
pub(crate) fn wire(seed: u64, habits: Habits) -> [Socket; 2] {
    let (written, under_way) = Default::default();
    let random = Random::new(seed);
    let (is_closed, takes_nothing, failing) = Default::default();
    let wire = Wire { habits, random, written, under_way, is_closed, takes_nothing, failing };
    let wire = Rc::new(RefCell::new(wire));
    [Socket { wire: Rc::clone(&wire), end: 0 }, Socket { wire, end: 1 }]
}

impl Socket {
    /// Closes the wire: what is under way still arrives.
    pub(crate) fn close(&self) {
        self.wire.borrow_mut().is_closed = true;
    }

    /// Puts bytes on the way to the other end.
    pub(crate) fn inject(&self, bytes: &[u8]) {
        self.wire.borrow_mut().under_way[self.end].extend(bytes);
    }

    /// Takes no more bytes.
    pub(crate) fn stuff(&self) {
        self.wire.borrow_mut().habits.capacity = 0;
    }

    /// Says of each write that nothing was written.
    pub(crate) fn take_nothing(&self) {
        self.wire.borrow_mut().takes_nothing = true;
    }

    /// What has come here and was not read.
    pub(crate) fn unread(&self) -> Vec<u8> {
        self.wire.borrow().under_way[1 - self.end].iter().copied().collect()
    }

    pub(crate) fn fail(&self, operation: Operation, kind: ErrorKind) {
        self.wire.borrow_mut().failing[operation as usize] = Some(Fault(kind));
    }

    fn failure(&self, operation: Operation) -> Result<(), Fault> {
        self.wire.borrow().failing[operation as usize].map_or(Ok(()), Err)
    }

    /// What an operation fails of that may also be interrupted.
    fn fault(&self, operation: Operation) -> Result<(), Fault> {
        self.failure(operation)?;
        let mut wire = self.wire.borrow_mut();
        let once_in = wire.habits.interrupts;
        if wire.random.once_in(once_in) { Err(Fault(ErrorKind::Interrupted)) } else { Ok(()) }
    }

    fn hesitates(&self) -> bool {
        let mut wire = self.wire.borrow_mut();
        let once_in = wire.habits.hesitates;
        wire.random.once_in(once_in)
    }

    fn can_read(&self) -> bool {
        let wire = self.wire.borrow();
        let fails = wire.failing[Operation::Read as usize].is_some();
        fails || wire.is_closed || !wire.under_way[1 - self.end].is_empty()
    }

    fn can_write(&self) -> bool {
        let wire = self.wire.borrow();
        let fails = wire.failing[Operation::Write as usize].is_some();
        fails || wire.taken(self.end) < wire.habits.capacity
    }

    fn read(&self, buf: &mut [u8]) -> Result<usize, Fault> {
        assert!(!buf.is_empty(), "a read without space");
        self.fault(Operation::Read)?;
        let mut wire = self.wire.borrow_mut();
        let chunk = wire.habits.chunk;
        let under_way = &mut wire.under_way[1 - self.end];
        let len = buf.len().min(chunk).min(under_way.len());
        buf.iter_mut().zip(under_way.drain(..len)).for_each(|(to, from)| *to = from);
        Ok(len)
    }

    fn write(&self, buf: &[u8]) -> Result<usize, Fault> {
        assert!(!buf.is_empty(), "a write of nothing");
        self.fault(Operation::Write)?;
        let mut wire = self.wire.borrow_mut();
        if wire.takes_nothing {
            return Ok(0);
        }
        let Habits { chunk, capacity, buffers, .. } = wire.habits;
        let taken = wire.taken(self.end);
        let len = buf.len().min(chunk).min(capacity - taken);
        let to = if buffers { &mut wire.written } else { &mut wire.under_way };
        to[self.end].extend(&buf[..len]);
        // A buffer that is full is flushed by itself.
        if taken + len == capacity {
            self.push(&mut wire);
        }
        Ok(len)
    }

    fn flush(&self) -> Result<(), Fault> {
        self.fault(Operation::Flush)?;
        self.push(&mut self.wire.borrow_mut());
        Ok(())
    }

    fn push(&self, wire: &mut Wire) {
        let Wire { written, under_way, .. } = wire;
        under_way[self.end].append(&mut written[self.end]);
    }

    /// An operation that waits until it is ready; dropped before, it has done nothing.
    fn when<T>(&self, is_ready: impl Fn(&Self) -> bool, mut work: impl FnMut(&Self) -> T) -> impl Future<Output = T> {
        poll_fn(move |_| if !self.hesitates() && is_ready(self) { Poll::Ready(work(self)) } else { Poll::Pending })
    }

    /// What a blocking call does that is not ready.
    fn block(&self) -> Fault {
        assert!(self.wire.borrow().habits.times_out, "it blocks for ever");
        Fault(ErrorKind::TimedOut)
    }
}

impl ErrorType for Socket {
    type Error = Fault;
}

impl embedded_io::Read for Socket {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Fault> {
        if self.can_read() { Self::read(self, buf) } else { Err(self.block()) }
    }
}

impl embedded_io::Write for Socket {
    fn write(&mut self, buf: &[u8]) -> Result<usize, Fault> {
        if self.can_write() { Self::write(self, buf) } else { Err(self.block()) }
    }

    fn flush(&mut self) -> Result<(), Fault> {
        Self::flush(self)
    }
}

impl embedded_io::ReadReady for Socket {
    fn read_ready(&mut self) -> Result<bool, Fault> {
        self.failure(Operation::ReadReady)?;
        Ok(!self.hesitates() && self.can_read())
    }
}

impl embedded_io::WriteReady for Socket {
    fn write_ready(&mut self) -> Result<bool, Fault> {
        self.failure(Operation::WriteReady)?;
        Ok(!self.hesitates() && self.can_write())
    }
}

impl embedded_io_async::Read for Socket {
    fn read(&mut self, buf: &mut [u8]) -> impl Future<Output = Result<usize, Fault>> {
        self.when(Self::can_read, |socket| Self::read(socket, buf))
    }
}

impl embedded_io_async::Write for Socket {
    fn write(&mut self, buf: &[u8]) -> impl Future<Output = Result<usize, Fault>> {
        self.when(Self::can_write, |socket| Self::write(socket, buf))
    }

    fn flush(&mut self) -> impl Future<Output = Result<(), Fault>> {
        self.when(|_| true, Self::flush)
    }
}

/// A time that stands still unless it is moved. Whoever asks for it too often in between is going around in circles.
#[derive(Clone, Default)]
pub(crate) struct Time(Rc<Cell<(u64, u32)>>);

impl Time {
    pub(crate) fn millis(&self) -> u64 {
        self.0.get().0
    }

    pub(crate) fn pass(&self, millis: u64) {
        self.0.set((self.0.get().0 + millis, 0));
    }

    fn ask(&self) -> Instant {
        let (millis, asked) = self.0.get();
        assert!(asked < 1000, "it goes on and on at {millis} ms");
        self.0.set((millis, asked + 1));
        Instant::from_millis(millis)
    }
}

impl Clock for Time {
    fn now(&mut self) -> Instant {
        self.ask()
    }

    /// Time passes as slowly as it can.
    fn pause(&mut self, until: Option<Instant>) {
        if until.is_none_or(|at| at.as_millis() > self.millis()) {
            self.pass(1);
        }
    }
}

impl AsyncClock for Time {
    fn now(&mut self) -> Instant {
        self.ask()
    }

    fn sleep_until(&mut self, at: Instant) -> impl Future<Output = ()> {
        poll_fn(move |_| if at.as_millis() <= self.millis() { Poll::Ready(()) } else { Poll::Pending })
    }
}
