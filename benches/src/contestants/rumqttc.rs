//! `rumqttc`: its state machines, and its packets as its own event loop reads and writes them, without that loop.

use bytes::{Buf, BytesMut};
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::v5;

use crate::contestant::{Contestant, Entry, Lane};
use crate::lanes::lane;
use crate::link::{Link, READ};
use crate::work::{Setup, Version, Work};

pub const ENTRY: Entry = Entry { name: "rumqttc state", enter };

/// What is read and what is written.
struct Buffers {
    incoming: BytesMut,
    outgoing: BytesMut,
    largest: usize,
    link: Link,
}

struct V311 {
    state: rumqttc::MqttState,
    buffers: Buffers,
}

struct V5 {
    state: rumqttc::v5::MqttState,
    buffers: Buffers,
}

fn enter(work: &Work) -> Result<Box<dyn Lane>, &'static str> {
    let Setup { version, sent, packet, .. } = work.setup();
    let window = u16::try_from(sent).unwrap_or(u16::MAX);
    let buffers = Buffers {
        incoming: BytesMut::with_capacity(packet + READ),
        outgoing: BytesMut::with_capacity(packet),
        largest: packet,
        link: Link::default(),
    };
    Ok(match version {
        Version::V311 => lane(work, V311 { state: rumqttc::MqttState::new(window, false), buffers }),
        Version::V5 => lane(work, V5 { state: rumqttc::v5::MqttState::new(window, false), buffers }),
    })
}

impl Buffers {
    /// Reads what there is; `false`: nothing.
    fn fill(&mut self) -> bool {
        let before = self.incoming.len();
        self.incoming.resize(before + READ, 0);
        let received = self.link.read(&mut self.incoming[before..]);
        self.incoming.truncate(before + received);
        received != 0
    }

    fn flush(&mut self) {
        self.link.write(&self.outgoing);
        self.outgoing.advance(self.outgoing.len());
        self.outgoing.clear();
    }
}

impl Contestant for V311 {
    fn publish(&mut self, qos: u8, topic: &'static str, payload: &[u8]) {
        let qos = rumqttc::mqttbytes::qos(qos).expect("it is a QoS");
        let publish = rumqttc::Request::Publish(v4::Publish::new(topic, qos, payload));
        let packet = self.state.handle_outgoing_packet(publish).expect("there is room");
        write_v3(&mut self.buffers, packet);
        self.state.events.clear();
        self.buffers.flush();
    }

    fn turn(&mut self) {
        while self.buffers.fill() {
            while let Ok(packet) = v4::Packet::read(&mut self.buffers.incoming, self.buffers.largest) {
                let answer = self.state.handle_incoming_packet(packet).expect("the peer makes no mistake");
                write_v3(&mut self.buffers, answer);
            }
            while let Some(event) = self.state.events.pop_front() {
                match event {
                    rumqttc::Event::Incoming(v4::Packet::Publish(publish)) => {
                        self.buffers.link.deliver(publish.topic.as_bytes(), &publish.payload);
                    }
                    rumqttc::Event::Incoming(v4::Packet::PubAck(_) | v4::Packet::PubComp(_)) => {
                        self.buffers.link.complete();
                    }
                    _ => {}
                }
            }
            self.buffers.flush();
        }
    }

    fn link<R>(&mut self, show: impl FnOnce(&mut Link) -> R) -> R {
        show(&mut self.buffers.link)
    }
}

impl Contestant for V5 {
    fn publish(&mut self, qos: u8, topic: &'static str, payload: &[u8]) {
        let qos =
            if qos == 1 { rumqttc::v5::mqttbytes::QoS::AtLeastOnce } else { rumqttc::v5::mqttbytes::QoS::ExactlyOnce };
        let publish = v5::Publish::new(topic, qos, payload.to_vec(), None);
        let publish = rumqttc::v5::Request::Publish(publish);
        let packet = self.state.handle_outgoing_packet(publish).expect("there is room");
        write_v5(&mut self.buffers, packet);
        self.state.events.clear();
        self.buffers.flush();
    }

    fn turn(&mut self) {
        while self.buffers.fill() {
            while let Ok(packet) = v5::Packet::read(&mut self.buffers.incoming, None) {
                let answer = self.state.handle_incoming_packet(packet).expect("the peer makes no mistake");
                write_v5(&mut self.buffers, answer);
            }
            while let Some(event) = self.state.events.pop_front() {
                match event {
                    rumqttc::v5::Event::Incoming(v5::Packet::Publish(publish)) => {
                        self.buffers.link.deliver(&publish.topic, &publish.payload);
                    }
                    rumqttc::v5::Event::Incoming(v5::Packet::PubAck(_) | v5::Packet::PubComp(_)) => {
                        self.buffers.link.complete();
                    }
                    _ => {}
                }
            }
            self.buffers.flush();
        }
    }

    fn link<R>(&mut self, show: impl FnOnce(&mut Link) -> R) -> R {
        show(&mut self.buffers.link)
    }
}

fn write_v3(buffers: &mut Buffers, packet: Option<v4::Packet>) {
    if let Some(packet) = packet {
        packet.write(&mut buffers.outgoing, buffers.largest).expect("it is not too large");
    }
}

fn write_v5(buffers: &mut Buffers, packet: Option<v5::Packet>) {
    if let Some(packet) = packet {
        packet.write(&mut buffers.outgoing, None).expect("it is not too large");
    }
}
