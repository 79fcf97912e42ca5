//! Messages of QoS 2 come in, a window at a time.

use super::{check, record};
use crate::contestant::{Contestant, Lane};
use crate::peer;
use crate::work::{TOPIC, Work};

pub struct Receive<C> {
    contestant: C,
    window: usize,
    bytes: Vec<u8>,
    payloads: Vec<Vec<u8>>,
}

impl<C: Contestant> Receive<C> {
    pub fn new(work: Work, contestant: C, window: usize) -> Self {
        let mut bytes = Vec::new();
        let mut payloads = Vec::new();
        for (id, number) in (1..).zip(0..window as u64) {
            let payload = peer::payload(number);
            peer::publish(&mut bytes, work.version, 2, TOPIC, id, &payload);
            payloads.push(payload.to_vec());
        }
        Self { contestant, window, bytes, payloads }
    }
}

impl<C: Contestant> Lane for Receive<C> {
    fn run(&mut self, messages: usize) {
        for _ in 0..messages / self.window {
            self.contestant.link(|link| link.send().extend_from_slice(&self.bytes));
            self.contestant.turn();
            while self.contestant.link(peer::answer) {
                self.contestant.turn();
            }
        }
    }

    fn begin_record(&mut self) {
        record::begin(&mut self.contestant);
    }

    fn check(&mut self, messages: usize) -> Result<(), String> {
        let (record, delivered, _) = record::end(&mut self.contestant);
        check::deliveries(&record, delivered, messages, |number| &self.payloads[number % self.window])?;
        check::answered(&record, self.window, messages)
    }
}
