//! A socket that never blocks, and the bytes that wait to be written to it.

use core::mem::take;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;

use mio::net::TcpStream;

use crate::limits::OUT;

#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) stream: TcpStream,
    /// Whether there may be something to read, and room to write: the operating system tells only once.
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// Whether the other end has closed, or the socket has failed.
    is_over: bool,
    /// What is to be written, and how much of it is.
    out: Vec<u8>,
    written: usize,
}

impl Link {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, readable: true, writable: true, is_over: false, out: Vec::new(), written: 0 }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Whether all is written.
    pub(crate) fn is_flushed(&self) -> bool {
        self.out.is_empty()
    }

    /// How many bytes may be put behind those that wait; the last packet may take more.
    pub(crate) fn free_space(&self) -> usize {
        OUT.saturating_sub(self.out.len())
    }

    /// Whether more bytes may be put behind those that wait.
    pub(crate) fn has_room(&self) -> bool {
        self.free_space() != 0
    }

    /// Borrows memory for bytes that will wait, and gives it back: a connection needs none while nothing waits.
    pub(crate) fn borrow(&mut self, spare: &mut Vec<u8>) {
        if self.out.capacity() == 0 {
            self.out = take(spare);
        }
    }

    pub(crate) fn give_back(&mut self, spare: &mut Vec<u8>) {
        if self.is_flushed() {
            let out = take(&mut self.out);
            if spare.capacity() < out.capacity() {
                *spare = out;
            }
        }
    }

    /// Puts bytes behind those that wait: many packets leave with one write.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Writes what the socket takes. Nothing is written where nothing waits: after [`end`](Self::end) that would fail.
    pub(crate) fn flush(&mut self) {
        while self.writable && !self.is_over && !self.is_flushed() {
            match self.stream.write(self.out.get(self.written..).unwrap_or_default()) {
                Ok(written) => self.written = self.written.saturating_add(written),
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.is_over = true,
            }
            if self.out.len() <= self.written {
                self.out.clear();
                self.written = 0;
            }
        }
    }

    /// Reads what there is, as much as there is space for; 0: nothing now.
    pub(crate) fn read(&mut self, space: &mut [u8]) -> usize {
        while self.readable && !self.is_over && !space.is_empty() {
            match self.stream.read(space) {
                Ok(0) => self.is_over = true,
                Ok(read) => return read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.is_over = true,
            }
        }
        0
    }

    /// Says that nothing more will be written.
    pub(crate) fn end(&mut self) {
        // It may be closed already from the other side.
        _ = self.stream.shutdown(Shutdown::Write);
    }
}
