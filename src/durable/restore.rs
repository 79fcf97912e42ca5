//! How a session is made of its records.

use crate::record::{Key, RestoreError};
use crate::report::{Reportable, report};
use crate::time::Instant;
use crate::wire::Version;

/// A session that is being restored. Tell it every record that the store has, in any order, then [`finish`](Self::finish).
///
/// The records are bytes from outside: whatever they are, nothing panics, and what is accepted is a session as it could have been. It needs no
/// memory besides the session. Records that come in the order of their messages are taken in a time that grows with their number; out
/// of order it grows with the square.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Restore<S> {
    pub(super) session: S,
    pub(super) error: Option<RestoreError>,
}

/// What is restored.
pub(super) trait Restorable {
    fn record(&mut self, key: Key, value: &[u8]) -> Result<(), RestoreError>;
    fn finish(&mut self, now: Instant) -> Result<(), RestoreError>;
    fn check(&self, version: Version, client_id: &str) -> Result<(), RestoreError>;
}

#[expect(private_bounds, reason = "it is for the sessions of this crate")]
impl<S: Restorable> Restore<S> {
    /// A record of the store.
    ///
    /// # Errors
    ///
    /// What is wrong with it. `finish` says the same.
    pub fn record(&mut self, key: Key, value: &[u8]) -> Result<(), RestoreError> {
        let result = match self.error {
            Some(error) => Err(error),
            None => self.session.record(key, value),
        };
        self.error = result.err();
        result
    }

    /// All records were told: the session that they are, or a new one if there were none. `version` and `client_id` are those with
    /// which it is to connect.
    ///
    /// # Errors
    ///
    /// The first fault that was found. What to do then: [`RestoreError`].
    pub fn finish(mut self, version: Version, client_id: &str, now: Instant) -> Result<S, RestoreError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        self.session.check(version, client_id)?;
        self.session.finish(now)?;
        Ok(self.session)
    }
}

/// Tells the loggers of an event.
pub(super) fn report_event<E: Reportable>(event: E) -> E {
    report!(debug, "{:?}", event);
    event
}
