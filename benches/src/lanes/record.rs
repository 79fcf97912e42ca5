//! What a contestant's transport saw.

use crate::contestant::Contestant;
use crate::link::Record;

/// Shows a contestant's transport a new record.
pub fn begin<C: Contestant>(contestant: &mut C) {
    contestant.link(|link| {
        link.record = Some(Record::default());
        (link.delivered, link.completed) = (0, 0);
    });
}

/// What was recorded, and how many messages the application was told to have arrived and to have ended.
pub fn end<C: Contestant>(contestant: &mut C) -> (Record, usize, usize) {
    contestant.link(|link| (link.record.take().unwrap_or_default(), link.delivered, link.completed))
}
