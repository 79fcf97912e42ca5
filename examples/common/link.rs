//! A socket that is waited for, and a clock.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{Error, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Instant as Reading;

use mqtt_session::Instant;

use super::{Inbox, Session};

/// How long a write may wait before there is another look at what comes in.
const WRITE_PAUSE: Duration = Duration::from_millis(100);

/// The time since the program began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Reading);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Reading::now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    pub(crate) fn now(&self) -> Instant {
        Instant::from_millis(u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// How long to wait until `deadline`: at least a millisecond, at most `longest`.
    pub(crate) fn pause(&self, deadline: Option<Instant>, longest: Duration) -> Duration {
        match deadline {
            Some(at) => Duration::from_millis(at.millis_since(self.now()).max(1)).min(longest),
            None => longest,
        }
    }
}

/// A TCP connection.
#[derive(Debug)]
pub(crate) struct Link {
    socket: TcpStream,
    /// How long a read waits now.
    pause: Duration,
}

impl Link {
    /// Connects to the first address of `host` that answers within `response_timeout`.
    pub(crate) fn open(host: &str, port: u16, response_timeout: Duration) -> Result<Self, Error> {
        let mut failure = Error::new(ErrorKind::NotFound, "there is no such host");
        for address in (host, port).to_socket_addrs()? {
            match Self::open_address(&address, response_timeout) {
                Ok(link) => return Ok(link),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    fn open_address(address: &SocketAddr, response_timeout: Duration) -> Result<Self, Error> {
        let socket = TcpStream::connect_timeout(address, response_timeout)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(WRITE_PAUSE))?;
        socket.set_write_timeout(Some(WRITE_PAUSE))?;
        Ok(Self { socket, pause: WRITE_PAUSE })
    }

    /// Writes what the socket takes; 0: nothing now.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        if self.pause.is_zero() {
            self.set_pause(WRITE_PAUSE)?;
        }
        nothing_yet(self.socket.write(bytes))
    }

    /// Reads what comes in within `pause`; 0: nothing did. A signal ends the pause.
    fn read(&mut self, space: &mut [u8], pause: Duration) -> Result<usize, Error> {
        self.set_pause(pause)?;
        match self.socket.read(space) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            read => nothing_yet(read),
        }
    }

    fn set_pause(&mut self, pause: Duration) -> Result<(), Error> {
        if pause == self.pause {
            return Ok(());
        }
        if pause.is_zero() || self.pause.is_zero() {
            self.socket.set_nonblocking(pause.is_zero())?;
        }
        if !pause.is_zero() {
            self.socket.set_read_timeout(Some(pause))?;
        }
        self.pause = pause;
        Ok(())
    }
}

/// What came of a look at what comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    Nothing,
    Bytes,
    /// The link is lost.
    End,
}

/// Reads what comes in within `pause`, as much as there is space for.
pub(crate) fn receive(link: &mut Link, session: &mut Session, inbox: &mut Inbox, pause: Duration) -> Received {
    let space = inbox.space();
    // It may be empty as long as something is to be written.
    if space.is_empty() {
        return Received::Nothing;
    }
    match link.read(space, pause) {
        Ok(0) => Received::Nothing,
        Ok(received) => {
            inbox.filled(received);
            Received::Bytes
        }
        Err(_) => {
            session.connection_lost();
            Received::End
        }
    }
}

fn nothing_yet(done: Result<usize, Error>) -> Result<usize, Error> {
    match done {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {
            Ok(0)
        }
        done => done,
    }
}
