//! What the broker tells of itself: lines on standard error, and the topics below `$SYS`.

use core::mem::take;
use std::io::{Write, stderr};

use mqtt_session::Instant;

use crate::limits::LOSSES;
use crate::message::Key;

/// Lines on standard error, if they are wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Log {
    verbose: bool,
}

/// Messages that were dropped or not retained since the last line about that.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    count: u64,
    /// Whose the last one was, and why it was lost.
    last: Option<(Key, &'static str)>,
    /// When there may be a line again.
    next: Option<Instant>,
}

impl Log {
    pub(crate) fn new(verbose: bool) -> Self {
        Self { verbose }
    }

    /// A line for those who want to know everything.
    pub(crate) fn line(self, text: impl FnOnce() -> String) {
        if self.verbose {
            self.trouble(&text());
        }
    }

    /// A line for everybody.
    pub(crate) fn trouble(self, text: &str) {
        // Where nobody listens, nothing is to be said; a broker goes on.
        _ = writeln!(stderr(), "broker: {text}");
    }
}

impl Losses {
    pub(crate) fn add(&mut self, count: u64, key: Key, why: &'static str) {
        self.count = self.count.saturating_add(count);
        self.last = Some((key, why));
    }

    /// A line about them, if it is time for one: how many there were, whose the last one was, and why.
    pub(crate) fn line(&mut self, now: Instant, title: impl FnOnce(Key) -> String) -> Option<String> {
        if self.count == 0 || self.next.is_some_and(|next| now < next) {
            return None;
        }
        let (key, why) = self.last?;
        let Self { count, .. } = take(self);
        self.next = Some(now.after_millis(LOSSES));
        let messages = if count == 1 { "message" } else { "messages" };
        Some(format!("{count} {messages} dropped or not retained: {}: {why}", title(key)))
    }
}

/// What was counted since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Messages from clients.
    pub(crate) received: u64,
    /// Messages that did not reach somebody who had subscribed: there was no room, they were too large for the client, the
    /// client refused them, or they were under way when its session ended.
    pub(crate) dropped: u64,
    /// Messages that were delivered, but not retained: there was no room.
    pub(crate) unretained: u64,
}

/// What there is now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct State {
    pub(crate) connected: usize,
    pub(crate) sessions: usize,
    pub(crate) retained: usize,
    pub(crate) retained_bytes: usize,
    /// What waits in all queues.
    pub(crate) queued: usize,
    pub(crate) queued_bytes: usize,
}

impl Counts {
    pub(crate) fn report(self, state: State) -> [(&'static str, String); 10] {
        [
            ("$SYS/broker/version", concat!("mqtt-session broker example ", env!("CARGO_PKG_VERSION")).to_owned()),
            ("$SYS/broker/clients/connected", state.connected.to_string()),
            ("$SYS/broker/clients/total", state.sessions.to_string()),
            ("$SYS/broker/messages/received", self.received.to_string()),
            ("$SYS/broker/messages/dropped", self.dropped.to_string()),
            ("$SYS/broker/messages/unretained", self.unretained.to_string()),
            ("$SYS/broker/messages/queued", state.queued.to_string()),
            ("$SYS/broker/messages/queued bytes", state.queued_bytes.to_string()),
            ("$SYS/broker/retained messages/count", state.retained.to_string()),
            ("$SYS/broker/retained messages/bytes", state.retained_bytes.to_string()),
        ]
    }
}
