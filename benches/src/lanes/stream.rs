//! A stream of messages comes in.

use super::{check, record};
use crate::contestant::{Contestant, Lane};
use crate::peer;
use crate::work::{PAYLOAD, STREAM, TOPIC, Work};

pub struct Stream<C> {
    contestant: C,
    bytes: Vec<u8>,
    messages: usize,
    payloads: Vec<Vec<u8>>,
}

impl<C: Contestant> Stream<C> {
    pub fn new(work: Work, contestant: C, payload: usize) -> Self {
        let messages = if payload == PAYLOAD { STREAM } else { 1 };
        let payloads: Vec<Vec<u8>> = (0..messages as u64)
            .map(|number| peer::payload(number).into_iter().cycle().take(payload).collect())
            .collect();
        let mut bytes = Vec::new();
        for payload in &payloads {
            peer::publish(&mut bytes, work.version, 0, TOPIC, 0, payload);
        }
        Self { contestant, bytes, messages, payloads }
    }
}

impl<C: Contestant> Lane for Stream<C> {
    fn run(&mut self, messages: usize) {
        let times = messages / self.messages;
        self.contestant.link(|link| link.repeat(&self.bytes, times));
        self.contestant.turn();
    }

    fn begin_record(&mut self) {
        record::begin(&mut self.contestant);
    }

    fn check(&mut self, messages: usize) -> Result<(), String> {
        let (record, delivered, _) = record::end(&mut self.contestant);
        check::deliveries(&record, delivered, messages, |number| &self.payloads[number % self.messages])?;
        check::packets(&record, &[])
    }
}
