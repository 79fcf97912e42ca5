//! The same client over the driver for blocking transports.
#![no_std]
#![no_main]

use core::convert::Infallible;

use embedded_io::{ErrorType, Read, ReadReady, Write, WriteReady};
use image::client::{connect, memory, now, told};
use image::{number, receive, transmit};
use mqtt_session::Instant;
use mqtt_session::io::{Clock, Driver};

struct Uart;

struct Ticks;

impl ErrorType for Uart {
    type Error = Infallible;
}

impl Read for Uart {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        Ok(receive(buffer))
    }
}

impl ReadReady for Uart {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(number() != 0)
    }
}

impl Write for Uart {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        Ok(transmit(bytes))
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl WriteReady for Uart {
    fn write_ready(&mut self) -> Result<bool, Infallible> {
        Ok(number() != 0)
    }
}

impl Clock for Ticks {
    fn now(&mut self) -> Instant {
        now()
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn _start() -> ! {
    // SAFETY: this function is entered once.
    let (session, inbox) = unsafe { memory() };
    loop {
        connect(session, inbox);
        let mut driver = Driver::new(Uart, Ticks);
        while driver.next(session, inbox, |session, event| told(session, &event)).is_ok() {}
    }
}
