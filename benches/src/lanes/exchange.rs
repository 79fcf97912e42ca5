//! The oldest of many messages in flight is acknowledged and another one published.

use std::collections::VecDeque;

use super::{check, record};
use crate::contestant::{Contestant, Lane};
use crate::peer::{self, Packets};
use crate::work::{TOPIC, Work};

pub struct Exchange<C> {
    work: Work,
    contestant: C,
    in_flight: VecDeque<u16>,
    number: u64,
}

impl<C: Contestant> Exchange<C> {
    pub fn new(work: Work, contestant: C, in_flight: usize) -> Self {
        let mut exchange = Self { work, contestant, in_flight: VecDeque::with_capacity(in_flight + 1), number: 0 };
        for _ in 0..in_flight {
            exchange.publish();
        }
        exchange
    }

    fn publish(&mut self) {
        self.contestant.publish(2, TOPIC, &peer::payload(self.number));
        self.number += 1;
        self.contestant.turn();
        let id = self.contestant.link(|link| {
            let id = Packets(&link.outgoing).last().map(|(_, body)| peer::publish_id(body));
            link.written();
            id
        });
        self.in_flight.extend(id);
    }
}

impl<C: Contestant> Lane for Exchange<C> {
    fn run(&mut self, messages: usize) {
        for _ in 0..messages {
            let Some(id) = self.in_flight.pop_front() else { return };
            self.contestant.link(|link| peer::received(link, id));
            self.contestant.turn();
            while self.contestant.link(peer::answer) {
                self.contestant.turn();
            }
            self.publish();
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
        check::exchanged(&record, self.work.version, messages)
    }
}
