//! One line of the table: what is under way, and how long it took.

use core::fmt;
use core::time::Duration;
use std::time::Instant;

use mqtt_session::{CommandError, List, Message, Outcome, Publish, QoS, ReasonCode, Subscribe, Subscription};

use crate::common::{Failure, Session, granted};

pub(crate) struct Run {
    topic: String,
    messages: u32,
    payload: Vec<u8>,
    qos: QoS,
    window: u32,
    /// Whether the subscription is granted.
    started: bool,
    /// When each message left.
    sent: Vec<Instant>,
    /// How long each took that came back.
    times: Vec<Duration>,
    begin: Instant,
    /// When the last one came back.
    end: Instant,
    pub(crate) failure: Option<Failure>,
    pub(crate) said: String,
}

impl Run {
    pub(crate) fn new(topic: String, messages: u32, size: usize) -> Self {
        let now = Instant::now();
        Self {
            topic,
            messages,
            payload: vec![b'.'; size],
            qos: QoS::AtMostOnce,
            window: 1,
            started: false,
            sent: Vec::new(),
            times: Vec::new(),
            begin: now,
            end: now,
            failure: None,
            said: String::new(),
        }
    }

    /// The next line.
    pub(crate) fn begin(&mut self, qos: QoS, window: u32) {
        (self.qos, self.window, self.started) = (qos, window, false);
        self.sent.clear();
        self.times.clear();
    }

    pub(crate) fn is_over(&self) -> bool {
        self.times.len() == usize::try_from(self.messages).unwrap_or(usize::MAX)
    }

    pub(crate) fn subscribe(&mut self, session: &mut Session) {
        let subscriptions = [Subscription::new(&self.topic, self.qos)];
        match session.subscribe(&Subscribe::new(&subscriptions)) {
            Ok(_) | Err(CommandError::Offline) => {} // offline: the link is gone already, and Close follows
            Err(refused) => self.failure = Some(refused.into()),
        }
    }

    /// SUBACK: the time runs.
    pub(crate) fn start(&mut self, reason_codes: List<'_, ReasonCode>, said: &str) {
        for code in reason_codes.iter() {
            match granted(code) {
                Ok(qos) if qos == self.qos => {}
                Ok(_) => self.fail(format!("the broker grants less than {:?}", self.qos)),
                Err(why) => self.fail(format!("the subscription to {} was refused: {why}{said}", self.topic)),
            }
        }
        self.started = true;
        self.begin = Instant::now();
        self.end = self.begin;
    }

    /// Publishes as many messages as the window allows. `false`: none.
    pub(crate) fn publish(&mut self, session: &mut Session) -> bool {
        let mut published = false;
        while self.started && self.failure.is_none() && self.has_place() {
            let number = u32::try_from(self.sent.len()).unwrap_or(u32::MAX);
            for (to, from) in self.payload.iter_mut().zip(number.to_be_bytes()) {
                *to = from;
            }
            let now = Instant::now();
            match session.publish(&Publish { qos: self.qos, ..Publish::new(&self.topic, &self.payload) }) {
                Ok(_) => {
                    self.sent.push(now);
                    published = true;
                }
                Err(CommandError::Full) => break,
                Err(refused) => self.fail(format!("a message cannot be published: {refused}")),
            }
        }
        published
    }

    fn has_place(&self) -> bool {
        let under_way = self.sent.len().saturating_sub(self.times.len());
        let (window, messages) = (usize::try_from(self.window), usize::try_from(self.messages));
        under_way < window.unwrap_or(usize::MAX) && self.sent.len() < messages.unwrap_or(usize::MAX)
    }

    /// A message came back.
    pub(crate) fn returned(&mut self, message: &Message<'_>) {
        let number = message.payload.first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
        let sent = number.and_then(|number| self.sent.get(usize::try_from(number).unwrap_or(usize::MAX)));
        match sent {
            Some(sent) => {
                self.end = Instant::now();
                self.times.push(self.end.duration_since(*sent));
            }
            None => self.fail(format!("somebody else publishes to {}", self.topic)),
        }
    }

    pub(crate) fn published(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Acknowledged(_) => {}
            Outcome::Rejected(code) => self.fail(format!("a message was refused: {code}")),
            other => self.fail(format!("a message did not arrive: {other:?}")),
        }
    }

    /// Gives up when nothing comes back any more.
    pub(crate) fn check_stall(&mut self, limit: Duration) {
        if self.started && self.failure.is_none() && !self.is_over() && limit < self.end.elapsed() {
            self.fail(format!("of {} messages only {} came back", self.sent.len(), self.times.len()));
        }
    }

    fn fail(&mut self, line: String) {
        self.failure = Some(Failure::Failed(line));
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut times = self.times.clone();
        times.sort_unstable();
        let percentile = |percent: usize| {
            let rank = times.len().saturating_mul(percent).div_ceil(100).saturating_sub(1);
            times.get(rank).copied().unwrap_or_default().as_secs_f64() * 1000.0
        };
        let rate = f64::from(self.messages) / self.end.duration_since(self.begin).as_secs_f64();
        let (qos, window) = (self.qos as u8, self.window);
        let [p50, p95, p99] = [50, 95, 99].map(percentile);
        write!(f, "{qos:>3}{window:>8}{rate:>12.0}{p50:>10.3}{p95:>10.3}{p99:>10.3}")
    }
}
