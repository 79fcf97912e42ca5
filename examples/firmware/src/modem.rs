//! The modem at the other end of the line: it connects to the broker when it is told to, passes bytes on both ways, and
//! sends a break when the connection is gone. Here is what a module with AT commands, or a TCP/IP stack, wants of its
//! driver before MQTT begins.

use embedded_io::{Read, ReadReady, Write};
use mqtt_session::{Backoff, Instant};

use crate::clock::Ticks;
use crate::uart::Uart;

/// Asks for a connection, and the answer that it is there. What comes before the answer is left of an earlier one.
const DIAL: &[u8] = b"ATD\r";
const CONNECTED: &[u8] = b"CONNECT\r";

/// How long the modem may take to answer, in milliseconds.
const ANSWER_TIMEOUT: u64 = 2_000;

/// Connects to the broker, however often that takes.
pub fn dial(uart: &mut Uart, clock: &mut Ticks, backoff: &mut Backoff) {
    loop {
        uart.forget();
        if uart.write_all(DIAL).is_ok() && is_answered(uart, clock) {
            return;
        }
        defmt::warn!("the modem does not connect");
        pause(clock, backoff);
    }
}

/// Waits before the next attempt.
pub fn pause(clock: &mut Ticks, backoff: &mut Backoff) {
    let pause = backoff.next(clock.any());
    defmt::info!("again in {=u32} ms", pause);
    let end = clock.now().as_millis() + u64::from(pause);
    while clock.now() < Instant::from_millis(end) {
        cortex_m::asm::wfi();
    }
}

/// Whether the answer comes in time.
fn is_answered(uart: &mut Uart, clock: &mut Ticks) -> bool {
    let end = Instant::from_millis(clock.now().as_millis() + ANSWER_TIMEOUT);
    let mut matched = 0;
    while clock.now() < end {
        let mut byte = [0];
        match uart.read_ready() {
            Ok(true) if uart.read(&mut byte) == Ok(1) => {
                matched =
                    if byte[0] == CONNECTED[matched] { matched + 1 } else { usize::from(byte[0] == CONNECTED[0]) };
            }
            Ok(_) => clock.sleep(),
            Err(_) => return false,
        }
        if matched == CONNECTED.len() {
            return true;
        }
    }
    false
}
