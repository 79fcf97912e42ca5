//! A firmware image that calls all of the crate, on both ends, with arguments that the compiler knows nothing about. Its
//! panic handler calls a function that does not exist, so a branch that can panic, anywhere in the image, is an error of
//! the linker: `undefined symbol: a_panic_can_be_reached`.
#![no_std]
#![no_main]

mod client;
mod drivers;
mod server;

use core::panic::PanicInfo;
use core::time::Duration;

use mqtt_session::{Instant, QoS, ReasonCode};

unsafe extern "C" {
    fn a_panic_can_be_reached() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: it is never linked, so it is never called.
    unsafe { a_panic_can_be_reached() }
}

/// A register of a device that this image does not know; nothing else lies there.
static mut DEVICE: u32 = 0;

#[unsafe(no_mangle)]
pub extern "C" fn _start() -> ! {
    loop {
        client::turn();
        server::turn();
        drivers::turn();
    }
}

/// Any number at all.
fn any() -> u32 {
    // SAFETY: there is one thread, and nothing is borrowed.
    unsafe { (&raw const DEVICE).read_volatile() }
}

fn any_short() -> u16 {
    any() as u16
}

fn any_byte() -> u8 {
    any() as u8
}

fn any_duration() -> Duration {
    Duration::from_millis(any_time().as_millis())
}

fn any_flag() -> bool {
    any() & 1 != 0
}

fn any_time() -> Instant {
    Instant::from_millis(u64::from(any()) << 32 | u64::from(any()))
}

fn any_bytes() -> &'static [u8] {
    // SAFETY: as above; where the bytes lie and how many there are is the device's affair.
    unsafe { core::slice::from_raw_parts(core::ptr::with_exposed_provenance(any() as usize), any() as usize >> 1) }
}

fn any_text() -> &'static str {
    core::str::from_utf8(any_bytes()).unwrap_or_default()
}

fn any_qos() -> QoS {
    [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce].into_iter().nth(any() as usize).unwrap_or(QoS::AtMostOnce)
}

fn any_code() -> ReasonCode {
    ReasonCode::of_byte(any_byte()).unwrap_or_default()
}

/// Something that the compiler must not leave out.
fn keep(number: usize) {
    // SAFETY: as above.
    unsafe { (&raw mut DEVICE).write_volatile(number as u32) }
}

fn keep_bytes(bytes: &[u8]) {
    for byte in bytes {
        keep((*byte).into());
    }
}

/// Lets the device fill a buffer; tells how far.
fn fill(buffer: &mut [u8]) -> usize {
    for byte in buffer {
        *byte = any_byte();
    }
    any() as usize
}
