//! When to stop before the work is done: signals, and the time that was given.

use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::Arc;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag::register_usize;

use super::{Clock, Failure};

/// How late a signal may be noticed, should it come just before a pause begins. It ends a pause that has begun.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// What ends a tool early.
#[derive(Debug)]
pub(crate) struct Stop {
    clock: Clock,
    /// The signal that came; 0: none.
    signal: Arc<AtomicUsize>,
    /// The end of the time that was given.
    end: Option<Duration>,
}

impl Stop {
    /// Listens to SIGINT and SIGTERM from now on.
    pub(crate) fn new(clock: Clock, seconds: Option<u64>) -> Result<Self, Failure> {
        let signal = Arc::new(AtomicUsize::new(0));
        for number in [SIGINT, SIGTERM] {
            let value = usize::try_from(number).unwrap_or_default();
            register_usize(number, Arc::clone(&signal), value)
                .map_err(|error| Failure::Failed(format!("signals cannot be heard: {error}")))?;
        }
        Ok(Self { clock, signal, end: seconds.map(Duration::from_secs) })
    }

    /// Why to stop now, if there is a reason.
    pub(crate) fn reason(&self) -> Option<Failure> {
        let signal = self.signal.load(Ordering::Relaxed);
        if signal != 0 {
            Some(Failure::Interrupted(u8::try_from(signal).unwrap_or_default()))
        } else if self.end.is_some_and(|end| end <= self.clock.elapsed()) {
            Some(Failure::TimeOver)
        } else {
            None
        }
    }

    /// How long a pause may be at most, so that nothing is noticed too late.
    pub(crate) fn longest_pause(&self) -> Duration {
        let left = self.end.map_or(LONGEST_PAUSE, |end| end.saturating_sub(self.clock.elapsed()));
        left.clamp(Duration::from_millis(1), LONGEST_PAUSE)
    }

    /// Waits, unless there is a reason to stop.
    pub(crate) fn sleep(&self, time: Duration) -> Result<(), Failure> {
        let end = self.clock.elapsed().saturating_add(time);
        loop {
            if let Some(failure) = self.reason() {
                return Err(failure);
            }
            let left = end.saturating_sub(self.clock.elapsed());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
    }
}
