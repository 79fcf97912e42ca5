//! What the broker tells of itself: lines on standard error, and the topics below `$SYS`.

use std::io::{Write, stderr};

/// Lines on standard error, if they are wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Log {
    verbose: bool,
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

/// What was counted since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Messages from clients.
    pub(crate) received: u64,
    /// Messages that did not reach somebody who had subscribed: there was no room, they were too large for the client, the
    /// client refused them, or they were under way when its session ended.
    pub(crate) dropped: u64,
}

impl Counts {
    pub(crate) fn report(self, connected: usize, sessions: usize, retained: usize) -> [(&'static str, String); 6] {
        [
            ("$SYS/broker/version", concat!("mqtt-session broker example ", env!("CARGO_PKG_VERSION")).to_owned()),
            ("$SYS/broker/clients/connected", connected.to_string()),
            ("$SYS/broker/clients/total", sessions.to_string()),
            ("$SYS/broker/messages/received", self.received.to_string()),
            ("$SYS/broker/messages/dropped", self.dropped.to_string()),
            ("$SYS/broker/retained messages/count", retained.to_string()),
        ]
    }
}
