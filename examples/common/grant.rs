//! Whether the broker has granted a subscription, and when it is to be asked.

use core::time::Duration;

/// Where a subscription stands.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Grant {
    /// It is to be asked for with the next connection.
    Missing,
    /// It was asked for then.
    Asked(Duration),
    Given,
}

impl Grant {
    /// The broker accepted a connection. `true`: SUBSCRIBE is due, because it has no session or its SUBACK never came.
    pub(crate) fn is_due(&mut self, session_present: bool, now: Duration) -> bool {
        let is_due = !(session_present && matches!(self, Self::Given));
        if is_due {
            *self = Self::Asked(now);
        }
        is_due
    }

    /// Whether SUBACK should have come by now. The keep alive may be so long that nothing else tells of a link that is gone.
    pub(crate) fn is_late(&self, response_timeout: Duration, now: Duration) -> bool {
        matches!(self, Self::Asked(since) if response_timeout < now.saturating_sub(*since))
    }
}
