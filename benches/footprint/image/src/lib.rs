//! What stands for the board: the images are linked, never run.
#![no_std]

#[cfg(any(feature = "v311", feature = "v5"))]
pub mod client;

use core::panic::PanicInfo;

/// A register of a device that the compiler knows nothing about.
const DEVICE: usize = 0x4000_0000;

/// A number that comes from outside.
#[inline(always)]
pub fn number() -> u32 {
    // SAFETY: the image is linked, not run; the address stands for a device register.
    unsafe { core::ptr::with_exposed_provenance::<u32>(DEVICE).read_volatile() }
}

/// A number that goes outside.
#[inline(always)]
pub fn tell(number: usize) {
    // SAFETY: as above.
    unsafe { core::ptr::with_exposed_provenance_mut::<usize>(DEVICE).write_volatile(number) }
}

/// Hands bytes to the transport, as far as it takes them.
#[inline(always)]
pub fn transmit(bytes: &[u8]) -> usize {
    tell(bytes.as_ptr().addr());
    tell(bytes.len());
    number() as usize
}

/// Has the transport fill a buffer; tells how far it did.
#[inline(always)]
pub fn receive(buffer: &mut [u8]) -> usize {
    tell(buffer.as_mut_ptr().addr());
    tell(buffer.len());
    number() as usize
}

/// Never linked: the crate has no branch that could panic.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}
