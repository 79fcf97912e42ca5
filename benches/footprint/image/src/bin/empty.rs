//! The image that all others are compared with.
#![no_std]
#![no_main]

use image::{number, tell};

#[unsafe(no_mangle)]
pub extern "C" fn _start() -> ! {
    loop {
        tell(number() as usize);
    }
}
