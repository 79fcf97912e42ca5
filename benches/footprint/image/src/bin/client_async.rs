//! The same client over the driver for asynchronous transports, and the least of executors.
#![no_std]
#![no_main]

use core::convert::Infallible;
use core::future::poll_fn;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use embedded_io_async::{ErrorType, Read, Write};
use image::client::{connect, memory, now, told};
use image::{number, receive, transmit};
use mqtt_session::Instant;
use mqtt_session::io::{AsyncClock, AsyncDriver};

struct Uart;

struct Ticks;

/// Waits for the device.
async fn ready() {
    poll_fn(|_| if number() == 0 { Poll::Pending } else { Poll::Ready(()) }).await
}

impl ErrorType for Uart {
    type Error = Infallible;
}

impl Read for Uart {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        ready().await;
        Ok(receive(buffer))
    }
}

impl Write for Uart {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        ready().await;
        Ok(transmit(bytes))
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl AsyncClock for Ticks {
    fn now(&mut self) -> Instant {
        now()
    }

    async fn sleep_until(&mut self, at: Instant) {
        poll_fn(|_| if now() < at { Poll::Pending } else { Poll::Ready(()) }).await
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn _start() -> ! {
    // SAFETY: this function is entered once.
    let (session, inbox) = unsafe { memory() };
    let mut client = pin!(async {
        loop {
            connect(session, inbox);
            let mut driver = AsyncDriver::new(Uart, Ticks);
            while driver.next(session, inbox, |session, event| told(session, &event)).await.is_ok() {}
        }
    });
    loop {
        let _: Poll<()> = client.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }
}
