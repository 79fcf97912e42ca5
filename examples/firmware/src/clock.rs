//! Time: milliseconds since the start, counted by SysTick.

use core::cell::Cell;

use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::exception;
use critical_section::Mutex;
use mqtt_session::{Instant, io};

use crate::{end, uart};

/// The processor's frequency after a reset.
const FREQUENCY: u32 = 12_500_000;

/// The clock as the application has it.
pub struct Ticks(SYST);

impl Ticks {
    /// Starts the clock. After `limit` milliseconds the image ends, whatever it does: a hang is a failure.
    pub fn start(mut timer: SYST, limit: u64) -> Self {
        critical_section::with(|token| LIMIT.borrow(token).set(limit));
        timer.set_reload(FREQUENCY / 1000 - 1);
        timer.set_clock_source(SystClkSource::Core);
        timer.clear_current();
        timer.enable_interrupt();
        timer.enable_counter();
        Self(timer)
    }

    pub fn now(&self) -> Instant {
        now()
    }

    /// Any number. A product has a better source, or at least a number of its own.
    pub fn any(&self) -> u32 {
        (SYST::get_current() ^ now().as_millis() as u32).wrapping_mul(0x9E37_79B9)
    }

    /// Sleeps until the next interrupt, if nothing has come in.
    pub fn sleep(&mut self) {
        critical_section::with(|_| {
            if !uart::has_news() {
                // An interrupt wakes the processor also while it is masked, and is served behind this section.
                cortex_m::asm::wfi();
            }
        });
        _ = &self.0;
    }
}

impl io::Clock for Ticks {
    fn now(&mut self) -> Instant {
        now()
    }

    /// SysTick wakes the processor each millisecond, so the time need not be looked at.
    fn pause(&mut self, _until: Option<Instant>) {
        self.sleep();
    }
}

fn now() -> Instant {
    Instant::from_millis(critical_section::with(|token| MILLIS.borrow(token).get()))
}

static MILLIS: Mutex<Cell<u64>> = Mutex::new(Cell::new(0));
static LIMIT: Mutex<Cell<u64>> = Mutex::new(Cell::new(u64::MAX));

#[exception]
fn SysTick() {
    let is_over = critical_section::with(|token| {
        let millis = MILLIS.borrow(token).get() + 1;
        MILLIS.borrow(token).set(millis);
        millis > LIMIT.borrow(token).get()
    });
    if is_over {
        defmt::error!("the time is over");
        end::fail();
    }
}

defmt::timestamp!("{=u64:ms}", now().as_millis());
