//! What both images need of the board: a UART, a clock, a modem, the stack, and an end.
#![no_std]

pub mod clock;
pub mod end;
pub mod modem;
pub mod register;
pub mod stack;
pub mod uart;

// Its logger is linked by being named.
use defmt_semihosting as _;
