//! Messages are published, a window at a time.

use super::{check, record};
use crate::contestant::{Contestant, Lane};
use crate::peer;
use crate::work::{TOPIC, Work};

pub struct Send<C> {
    work: Work,
    contestant: C,
    qos: u8,
    window: usize,
    number: u64,
}

impl<C: Contestant> Send<C> {
    pub fn new(work: Work, contestant: C, qos: u8, window: usize) -> Self {
        Self { work, contestant, qos, window, number: 0 }
    }
}

impl<C: Contestant> Lane for Send<C> {
    fn run(&mut self, messages: usize) {
        for _ in 0..messages / self.window {
            for _ in 0..self.window {
                self.contestant.publish(self.qos, TOPIC, &peer::payload(self.number));
                self.number += 1;
            }
            self.contestant.turn();
            while self.contestant.link(peer::answer) {
                self.contestant.turn();
            }
        }
    }

    fn begin_record(&mut self) {
        self.number = 0;
        record::begin(&mut self.contestant);
    }

    fn check(&mut self, messages: usize) -> Result<(), String> {
        let (record, _, completed) = record::end(&mut self.contestant);
        if completed != messages {
            return Err(format!("{completed} of {messages} publishes ended"));
        }
        check::published(&record, self.work.version, self.qos, self.window, messages)
    }
}
