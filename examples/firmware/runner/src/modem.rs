//! A modem: it waits for `ATD`, connects to the broker, says `CONNECT`, and passes bytes on both ways. When the connection
//! is gone, or cut by us, it sends a break, and waits again. Only what comes before the next `ATD` is lost, on either side.
//!
//! To the emulator it speaks telnet, which can say break; a byte of 0xFF is sent twice therefore. What the emulator sends
//! is not doubled.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread::{scope, sleep, spawn};
use std::time::{Duration, Instant};

const DIAL: &[u8] = b"ATD\r";
const CONNECTED: &[u8] = b"CONNECT\r";
const ESCAPE: u8 = 0xFF;
const BREAK: [u8; 2] = [ESCAPE, 243];

/// How long a read may wait, so that the end of the other direction is noticed.
const PAUSE: Duration = Duration::from_millis(10);

/// How long the emulator may take to start.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Towards {
    Broker,
    Board,
}

impl fmt::Display for Towards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Broker => "broker",
            Self::Board => "board",
        })
    }
}

/// Cuts a connection after so many bytes in one direction.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    pub towards: Towards,
    pub after: usize,
}

/// Starts a modem at the end of a line, as soon as there is one. Its first connections are cut like this.
pub fn start(line: SocketAddr, broker: SocketAddr, cuts: &'static [Cut]) {
    spawn(move || {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            match TcpStream::connect(line) {
                // The emulator has gone when this fails; how it ended tells its status.
                Ok(line) => return drop(serve(&line, broker, cuts)),
                Err(_) => sleep(PAUSE),
            }
        }
    });
}

fn serve(line: &TcpStream, broker: SocketAddr, cuts: &[Cut]) -> std::io::Result<()> {
    line.set_nodelay(true)?;
    let mut cuts = cuts.iter().copied();
    loop {
        await_dial(line)?;
        // Nobody answers: the board dials again.
        let Ok(broker) = TcpStream::connect(broker) else { continue };
        broker.set_nodelay(true)?;
        send(line, CONNECTED)?;
        let cut = cuts.next();
        pass(line, &broker, cut)?;
        let mut line = line;
        line.write_all(&BREAK)?;
    }
}

fn await_dial(mut line: &TcpStream) -> std::io::Result<()> {
    line.set_read_timeout(None)?;
    let mut last = [0; DIAL.len()];
    while last != DIAL {
        last.rotate_left(1);
        line.read_exact(&mut last[DIAL.len() - 1..])?;
    }
    line.set_read_timeout(Some(PAUSE))
}

/// Passes bytes on until one side ends, or the connection is cut.
fn pass(line: &TcpStream, broker: &TcpStream, cut: Option<Cut>) -> std::io::Result<()> {
    let limit = |towards| cut.filter(|cut| cut.towards == towards).map_or(usize::MAX, |cut| cut.after);
    scope(|threads| {
        let down = threads.spawn(|| {
            let passed = copy(broker, limit(Towards::Board), || false, |bytes| send(line, bytes));
            _ = broker.shutdown(Shutdown::Both);
            passed
        });
        let mut sink = broker;
        let up = copy(line, limit(Towards::Broker), || down.is_finished(), |bytes| sink.write_all(bytes));
        _ = broker.shutdown(Shutdown::Both);
        _ = down.join();
        if let Some(Cut { towards, after }) = cut {
            println!("{:>8} modem the connection is cut after {after} bytes towards the {towards}", "");
        }
        // A broker that does not take more is gone; without the line it is over.
        up.or_else(|error| if is_line_error(&error) { Err(error) } else { Ok(()) })
    })
}

fn is_line_error(error: &std::io::Error) -> bool {
    error.kind() == ErrorKind::UnexpectedEof
}

/// Passes up to `limit` bytes on.
fn copy(
    mut from: &TcpStream,
    limit: usize,
    is_over: impl Fn() -> bool,
    mut write: impl FnMut(&[u8]) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut buffer = [0; 4096];
    let mut left = limit;
    while left != 0 && !is_over() {
        let len = buffer.len().min(left);
        match from.read(&mut buffer[..len]) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(len) => {
                write(&buffer[..len])?;
                left -= len;
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Sends bytes to the board.
fn send(mut line: &TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    let mut escaped = Vec::with_capacity(bytes.len());
    for &byte in bytes {
        escaped.extend(std::iter::repeat_n(byte, if byte == ESCAPE { 2 } else { 1 }));
    }
    line.write_all(&escaped)
}
