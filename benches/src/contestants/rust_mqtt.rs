//! `rust-mqtt`: 5.0, without a heap, over `embedded-io-async`. It keeps the identifiers of what it sends, and leaves the
//! messages to the application.

use rust_mqtt::Bytes;
use rust_mqtt::buffer::BumpBuffer;
use rust_mqtt::client::Client;
use rust_mqtt::client::event::Event;
use rust_mqtt::client::options::{ConnectOptions, PublicationOptions, TopicReference};
use rust_mqtt::types::{MqttString, TopicName};

use super::wire::{Wire, ask};
use crate::contestant::{Contestant, Entry, Lane};
use crate::lanes::lane;
use crate::link::Link;
use crate::work::{Setup, TOPIC, Version, Work};

pub const ENTRY: Entry = Entry { name: "rust-mqtt", enter };

type Buffer = BumpBuffer<'static>;

struct RustMqtt<const RECEIVE: usize, const SEND: usize> {
    client: Box<Client<'static, 'static, Wire, Buffer, 1, RECEIVE, SEND, 1, 0, 0, 0>>,
    wire: Wire,
    topic: TopicName<'static>,
}

/// Memory as for the window that is asked for.
fn enter(work: &Work) -> Result<Box<dyn Lane>, &'static str> {
    let setup = work.setup();
    if setup.version == Version::V311 {
        return Err("speaks 5.0 only");
    }
    Ok(match (setup.sent, setup.held) {
        (1, 1) => lane(work, RustMqtt::<1, 1>::new(setup)),
        (1, 16) => lane(work, RustMqtt::<16, 1>::new(setup)),
        (1, 1_000) => lane(work, RustMqtt::<1_000, 1>::new(setup)),
        (16, _) => lane(work, RustMqtt::<1, 16>::new(setup)),
        (256, _) => lane(work, RustMqtt::<1, 256>::new(setup)),
        (1_000, _) => lane(work, RustMqtt::<1, 1_000>::new(setup)),
        (4_096, _) => lane(work, RustMqtt::<1, 4_096>::new(setup)),
        (65_534, _) => return Err("had not published 65,534 messages after three minutes"),
        _ => return Err("no client of this size is prepared"),
    })
}

impl<const RECEIVE: usize, const SEND: usize> RustMqtt<RECEIVE, SEND> {
    fn new(setup: Setup) -> Self {
        let memory = Box::leak(vec![0; setup.packet].into_boxed_slice());
        let mut client = Box::new(Client::new(Box::leak(Box::new(BumpBuffer::new(memory)))));
        let wire = Wire::default();
        wire.0.borrow_mut().send().extend_from_slice(setup.version.connack());
        let name = MqttString::from_str("bench").expect("it is short");
        let options = ConnectOptions::new().clean_start();
        let connected = ask(client.connect(wire.clone(), &options, Some(name))).expect("CONNACK is here");
        drop(connected.expect("it accepts"));
        wire.0.borrow_mut().outgoing.clear();
        let topic = MqttString::from_str(TOPIC).expect("it is short");
        Self { client, wire, topic: TopicName::new(topic).expect("the topic is sound") }
    }
}

impl<const RECEIVE: usize, const SEND: usize> Contestant for RustMqtt<RECEIVE, SEND> {
    fn publish(&mut self, qos: u8, _: &'static str, payload: &[u8]) {
        let options = PublicationOptions::new(TopicReference::Name(self.topic.as_borrowed()));
        let options = if qos == 1 { options.at_least_once() } else { options.exactly_once() };
        let publish = self.client.publish(&options, Bytes::from(payload));
        ask(publish).expect("the transport takes everything").expect("there is room");
    }

    fn turn(&mut self) {
        while let Some(header) = ask(self.client.poll_header()) {
            let header = header.expect("the peer makes no mistake");
            match ask(self.client.poll_body(header)).expect("the packet is whole").expect("and sound") {
                Event::Publish(message) => {
                    let topic = message.topic.name().map_or("", |topic| topic.as_ref().as_str());
                    self.wire.0.borrow_mut().deliver(topic.as_bytes(), &message.message);
                }
                Event::PublishAcknowledged(_) | Event::PublishComplete(_) => self.wire.0.borrow_mut().complete(),
                _ => {}
            }
            // SAFETY: the event, which alone borrowed from the buffer, is gone.
            unsafe { self.client.buffer_mut().reset() };
        }
    }

    fn link<R>(&mut self, show: impl FnOnce(&mut Link) -> R) -> R {
        show(&mut self.wire.0.borrow_mut())
    }
}
