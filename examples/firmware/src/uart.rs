//! The UART that the bytes of MQTT go through, as a transport of `embedded-io`.
//!
//! An interrupt moves bytes between the FIFOs of the device and two rings; `Read` and `Write` move them between the rings
//! and the session. For another chip, replace this file: with DMA, the two rings are what the DMA controller fills and
//! empties, and `fill` and `drain` go.
//!
//! When the ring is full, received bytes stay in the FIFO. On a board, let the device stop the modem by RTS then; the
//! emulator keeps what does not fit.

use core::cell::RefCell;

use critical_section::Mutex;
use embedded_io::{Error, ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};
use heapless::Deque;
use lm3s6965::{Interrupt, interrupt};

use crate::register::Register;

/// How many bytes wait for the application, and for the device. At 115,200 baud the first is 22 ms.
const RING: usize = 256;

/// What the modem sends when the connection is gone: the line goes low for longer than a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, defmt::Format)]
pub struct Break;

impl core::fmt::Display for Break {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the modem has lost the connection")
    }
}

impl core::error::Error for Break {}

impl Error for Break {
    fn kind(&self) -> ErrorKind {
        ErrorKind::ConnectionReset
    }
}

/// The device as the application has it; there is one.
pub struct Uart(());

impl Uart {
    /// Switches the device on, for 8 bits without parity at 115,200 baud.
    pub fn start(nvic: &mut cortex_m::peripheral::NVIC) -> Self {
        CLOCK_GATES.0.set(1);
        CLOCK_GATES.1.set(1);
        PINS.0.set(0b11);
        PINS.1.set(0b11);
        CONTROL.clear(ENABLED);
        // 12.5 MHz / (16 * 115,200) = 6 + 50 / 64
        BAUD.0.write(6);
        BAUD.1.write(50);
        LINE_CONTROL.write(EIGHT_BITS | FIFOS);
        CONTROL.set(ENABLED);
        INTERRUPT_MASK.write(RECEIVING);
        // SAFETY: no critical section is built upon priorities or masked interrupts of the controller.
        unsafe { cortex_m::peripheral::NVIC::unmask(Interrupt::UART0) };
        // SAFETY: bits of the set-enable register belong to one interrupt each.
        unsafe { nvic.set_priority(Interrupt::UART0, 0x20) };
        Self(())
    }

    /// Forgets what came in, and what has not left: a new connection begins.
    pub fn forget(&mut self) {
        with(|rings| {
            rings.received.clear();
            rings.waiting.clear();
            rings.broken = false;
        });
    }
}

/// Whether there is something to read. Asked with interrupts off, so that none is missed before the processor sleeps.
pub fn has_news() -> bool {
    with(|rings| rings.broken || !rings.received.is_empty())
}

impl ErrorType for Uart {
    type Error = Break;
}

impl Read for Uart {
    /// Waits for the first byte, as `embedded-io` asks for. A driver looks at [`ReadReady`] before.
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Break> {
        if buf.is_empty() {
            return Ok(0);
        }
        while !self.read_ready()? {
            cortex_m::asm::wfi();
        }
        Ok(with(|rings| {
            let mut len = 0;
            for (byte, received) in buf.iter_mut().zip(core::iter::from_fn(|| rings.received.pop_front())) {
                *byte = received;
                len += 1;
            }
            rings.fill();
            len
        }))
    }
}

impl ReadReady for Uart {
    fn read_ready(&mut self) -> Result<bool, Break> {
        with(
            |rings| if rings.received.is_empty() && rings.broken { Err(Break) } else { Ok(!rings.received.is_empty()) },
        )
    }
}

impl Write for Uart {
    fn write(&mut self, buf: &[u8]) -> Result<usize, Break> {
        if buf.is_empty() {
            return Ok(0);
        }
        while !self.write_ready()? {
            cortex_m::asm::wfi();
        }
        Ok(with(|rings| {
            let len = buf.iter().map_while(|&byte| rings.waiting.push_back(byte).ok()).count();
            rings.drain();
            len
        }))
    }

    fn flush(&mut self) -> Result<(), Break> {
        while with(|rings| !rings.waiting.is_empty()) {
            cortex_m::asm::wfi();
        }
        Ok(())
    }
}

impl WriteReady for Uart {
    fn write_ready(&mut self) -> Result<bool, Break> {
        with(|rings| if rings.broken { Err(Break) } else { Ok(!rings.waiting.is_full()) })
    }
}

/// What the interrupt and the application share.
struct Rings {
    received: Deque<u8, RING>,
    waiting: Deque<u8, RING>,
    broken: bool,
}

impl Rings {
    /// Takes what was received, as far as there is room, and asks to be called for the rest once there is.
    fn fill(&mut self) {
        while !self.received.is_full() && FLAGS.read() & RECEIVED_NOTHING == 0 {
            let data = DATA.read();
            if data & BREAK != 0 {
                self.broken = true;
            } else if !self.broken {
                _ = self.received.push_back(data as u8);
            }
        }
        if self.received.is_full() {
            INTERRUPT_MASK.clear(RECEIVING);
        } else {
            INTERRUPT_MASK.set(RECEIVING);
        }
    }

    /// Gives the device what is to be sent, and asks to be called again if that was not all.
    fn drain(&mut self) {
        while FLAGS.read() & SENDS_NO_MORE == 0
            && let Some(byte) = self.waiting.pop_front()
        {
            DATA.write(byte.into());
        }
        if self.waiting.is_empty() {
            INTERRUPT_MASK.clear(SENDING);
        } else {
            INTERRUPT_MASK.set(SENDING);
        }
    }
}

static RINGS: Mutex<RefCell<Rings>> =
    Mutex::new(RefCell::new(Rings { received: Deque::new(), waiting: Deque::new(), broken: false }));

fn with<R>(work: impl FnOnce(&mut Rings) -> R) -> R {
    critical_section::with(|token| work(&mut RINGS.borrow_ref_mut(token)))
}

#[interrupt]
fn UART0() {
    INTERRUPT_CLEAR.write(RECEIVING | SENDING);
    with(|rings| {
        rings.fill();
        rings.drain();
    });
}

/// A register of UART 0, a PL011.
const fn register(offset: usize) -> Register {
    // SAFETY: the data sheet says so, and only this module uses the device.
    unsafe { Register::at(0x4000_C000 + offset) }
}

const DATA: Register = register(0x000);
const FLAGS: Register = register(0x018);
const BAUD: (Register, Register) = (register(0x024), register(0x028));
const LINE_CONTROL: Register = register(0x02C);
const CONTROL: Register = register(0x030);
const INTERRUPT_MASK: Register = register(0x038);
const INTERRUPT_CLEAR: Register = register(0x044);

/// The clocks of UART 0 and of port A, and two pins of that port: their function, and that they are digital.
// SAFETY: the data sheet says so, and only this module uses the device.
const CLOCK_GATES: (Register, Register) = unsafe { (Register::at(0x400F_E104), Register::at(0x400F_E108)) };
// SAFETY: as above.
const PINS: (Register, Register) = unsafe { (Register::at(0x4000_4420), Register::at(0x4000_451C)) };

const BREAK: u32 = 1 << 10;
const RECEIVED_NOTHING: u32 = 1 << 4;
const SENDS_NO_MORE: u32 = 1 << 5;
const EIGHT_BITS: u32 = 0b11 << 5;
const FIFOS: u32 = 1 << 4;
const ENABLED: u32 = 1 | 1 << 8 | 1 << 9;
/// The FIFO is filled so far, or not empty for a while.
const RECEIVING: u32 = 1 << 4 | 1 << 6;
const SENDING: u32 = 1 << 5;
