//! The transport as `embedded-io-async` wants it, and futures without a runtime.

use std::cell::RefCell;
use std::convert::Infallible;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use embedded_io_async::{ErrorType, Read, Write};

use crate::link::Link;

/// A transport that is looked at from both sides.
#[derive(Clone, Default)]
pub struct Wire(pub Rc<RefCell<Link>>);

impl ErrorType for Wire {
    type Error = Infallible;
}

impl Read for Wire {
    /// Waits for ever where there is nothing to be read.
    async fn read(&mut self, to: &mut [u8]) -> Result<usize, Infallible> {
        let received = self.0.borrow_mut().read(to);
        match received {
            0 => std::future::pending().await,
            received => Ok(received),
        }
    }
}

impl Write for Wire {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        self.0.borrow_mut().write(bytes);
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// What comes of a future that is asked once; `None`: it waits.
#[inline]
pub fn ask<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
