//! What a contestant has to do.

use crate::link::Link;
use crate::work::Work;

/// One end of a connection, which is up.
pub trait Contestant {
    /// Publishes a message. It may be written now or in the next turn.
    fn publish(&mut self, qos: u8, topic: &'static str, payload: &[u8]);

    /// Reads what there is to be read, does what comes of it, and writes what there is to be written, until nothing is left.
    fn turn(&mut self);

    /// Shows the transport.
    fn link<R>(&mut self, show: impl FnOnce(&mut Link) -> R) -> R;
}

/// A contestant with its work before it.
pub trait Lane {
    /// Does so many messages of the work.
    fn run(&mut self, messages: usize);

    fn begin_record(&mut self);

    /// Compares what was seen since with what there should have been.
    fn check(&mut self, messages: usize) -> Result<(), String>;
}

/// Who takes part.
pub struct Entry {
    pub name: &'static str,
    /// A contestant ready for a work, or why it cannot do it.
    pub enter: fn(&Work) -> Result<Box<dyn Lane>, &'static str>,
}
