//! How an image ends: with a status that the emulator passes on.

use core::panic::PanicInfo;

use cortex_m_rt::{ExceptionFrame, exception};
use semihosting::process::exit;

use crate::stack;

/// All went as it should.
pub fn succeed() -> ! {
    let (used, size) = (stack::used(), stack::size());
    defmt::println!("stack: {=usize} of {=usize} bytes used at most", used, size);
    exit(0)
}

/// It did not; why is logged.
pub fn fail() -> ! {
    exit(1)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    defmt::error!("{}", defmt::Display2Format(info));
    fail()
}

#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    defmt::error!("hard fault at {=u32:#x}", frame.pc());
    fail()
}
