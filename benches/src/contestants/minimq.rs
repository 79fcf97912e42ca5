//! `minimq`: 5.0, without a heap, over `embedded-io-async`. It has places for eight messages each way.

use std::task::Waker;

use embassy_time_driver::Driver;
use minimq::{Buffers, ConfigBuilder, Connection, Op, Publication, QoS, Session};

use super::wire::{Wire, ask};
use crate::contestant::{Contestant, Entry, Lane};
use crate::lanes::lane;
use crate::link::Link;
use crate::work::{Setup, Version, Work};

pub const ENTRY: Entry = Entry { name: "minimq", enter };

/// How many messages may be under way, each way.
const PLACES: usize = 8;

/// A clock that stands still, so that no contestant pays for one.
struct Still;

impl Driver for Still {
    fn now(&self) -> u64 {
        0
    }

    fn schedule_wake(&self, _: u64, _: &Waker) {}
}

embassy_time_driver::time_driver_impl!(static CLOCK: Still = Still);

struct Minimq {
    connection: Connection<'static, 'static, Wire>,
    wire: Wire,
    under_way: Vec<Op>,
}

fn enter(work: &Work) -> Result<Box<dyn Lane>, &'static str> {
    let Setup { version, sent, held, packet } = work.setup();
    if version == Version::V311 {
        return Err("speaks 5.0 only");
    }
    if sent > PLACES || held > PLACES {
        return Err("has places for eight messages each way");
    }
    let receive = Box::leak(vec![0; packet].into_boxed_slice());
    let store = Box::leak(vec![0; 2_048].into_boxed_slice());
    let config = ConfigBuilder::new(Buffers::new(receive, store)).client_id("bench").expect("it is short");
    let session = Box::leak(Box::new(Session::new(config.session_expiry_interval(3_600))));
    let wire = Wire::default();
    wire.0.borrow_mut().send().extend_from_slice(version.connack());
    let connection = ask(session.connect(wire.clone())).expect("CONNACK is here").expect("it accepts");
    wire.0.borrow_mut().outgoing.clear();
    Ok(lane(work, Minimq { connection, wire, under_way: Vec::with_capacity(PLACES) }))
}

impl Contestant for Minimq {
    fn publish(&mut self, qos: u8, topic: &'static str, payload: &[u8]) {
        let qos = if qos == 1 { QoS::AtLeastOnce } else { QoS::ExactlyOnce };
        let publish = self.connection.publish(Publication::bytes(topic, payload).qos(qos));
        let op = ask(publish).expect("the transport takes everything").expect("there is room");
        self.under_way.extend(op);
    }

    fn turn(&mut self) {
        while let Some(progress) = ask(self.connection.poll()) {
            if let Some(message) = progress.expect("the peer makes no mistake") {
                self.wire.0.borrow_mut().deliver(message.topic().as_bytes(), message.payload());
            }
        }
        let (connection, wire) = (&self.connection, &self.wire);
        self.under_way.retain(|op| {
            let ended = connection.is_complete(op);
            if ended {
                wire.0.borrow_mut().complete();
            }
            !ended
        });
    }

    fn link<R>(&mut self, show: impl FnOnce(&mut Link) -> R) -> R {
        show(&mut self.wire.0.borrow_mut())
    }
}
