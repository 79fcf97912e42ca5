//! `mqtt-protocol-core`: both versions, without I/O, with a heap. The session outlives its connections, so that it keeps
//! what it sends, as the others do.

use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::connection::Event;
use mqtt_protocol_core::mqtt::packet::{Packet, Property, Qos, SessionExpiryInterval, v3_1_1, v5_0};
use mqtt_protocol_core::mqtt::prelude::*;
use mqtt_protocol_core::mqtt::{self, role::Client};

use crate::contestant::{Contestant, Entry, Lane};
use crate::lanes::lane;
use crate::link::{Link, READ};
use crate::work::{Setup, Version, Work};

pub const ENTRY: Entry = Entry { name: "mqtt-protocol-core", enter };

struct ProtocolCore {
    version: Version,
    connection: mqtt::Connection<Client>,
    buffer: [u8; READ],
    link: Link,
}

fn enter(work: &Work) -> Result<Box<dyn Lane>, &'static str> {
    let Setup { version, .. } = work.setup();
    let spoken = match version {
        Version::V311 => mqtt::Version::V3_1_1,
        Version::V5 => mqtt::Version::V5_0,
    };
    let mut connection = mqtt::Connection::new(spoken);
    connection.set_auto_pub_response(true);
    let mut contestant = ProtocolCore { version, connection, buffer: [0; READ], link: Link::default() };
    let events = contestant.connection.send(connect(version));
    contestant.happened(events);
    contestant.link.outgoing.clear();
    contestant.link.send().extend_from_slice(version.connack());
    contestant.turn();
    Ok(lane(work, contestant))
}

fn connect(version: Version) -> Packet {
    match version {
        Version::V311 => {
            let connect = v3_1_1::Connect::builder().client_id("bench").expect("it is short").clean_session(false);
            connect.build().expect("CONNECT is sound").into()
        }
        Version::V5 => {
            let lasting = SessionExpiryInterval::new(3600).expect("any number will do");
            let connect = v5_0::Connect::builder().client_id("bench").expect("it is short");
            let connect = connect.clean_start(false).props(vec![Property::SessionExpiryInterval(lasting)]);
            connect.build().expect("CONNECT is sound").into()
        }
    }
}

impl ProtocolCore {
    fn happened(&mut self, events: Vec<Event>) {
        for event in events {
            match event {
                Event::NotifyPacketReceived(Packet::V3_1_1Publish(publish)) => {
                    self.link.deliver(publish.topic_name().as_bytes(), publish.payload().as_slice());
                }
                Event::NotifyPacketReceived(Packet::V5_0Publish(publish)) => {
                    self.link.deliver(publish.topic_name().as_bytes(), publish.payload().as_slice());
                }
                Event::RequestSendPacket { packet, .. } => {
                    for part in packet.to_buffers() {
                        self.link.write(&part);
                    }
                }
                Event::NotifyPacketIdReleased(_) => self.link.complete(),
                Event::NotifyError(error) => panic!("{error:?}"),
                _ => {}
            }
        }
    }
}

impl Contestant for ProtocolCore {
    fn publish(&mut self, qos: u8, topic: &'static str, payload: &[u8]) {
        let id = self.connection.acquire_packet_id().expect("there is an identifier");
        let qos = Qos::try_from(qos).expect("it is a QoS");
        let packet: Packet = match self.version {
            Version::V311 => {
                let publish = v3_1_1::Publish::builder().topic_name(topic).expect("the topic is sound").qos(qos);
                publish.packet_id(id).payload(payload).build().expect("PUBLISH is sound").into()
            }
            Version::V5 => {
                let publish = v5_0::Publish::builder().topic_name(topic).expect("the topic is sound").qos(qos);
                publish.packet_id(id).payload(payload).build().expect("PUBLISH is sound").into()
            }
        };
        let events = self.connection.send(packet);
        self.happened(events);
    }

    fn turn(&mut self) {
        loop {
            let received = self.link.read(&mut self.buffer);
            if received == 0 {
                return;
            }
            let buffer = self.buffer;
            let mut cursor = Cursor::new(&buffer[..received]);
            while (cursor.position() as usize) < received {
                let events = self.connection.recv(&mut cursor);
                self.happened(events);
            }
        }
    }

    fn link<R>(&mut self, show: impl FnOnce(&mut Link) -> R) -> R {
        show(&mut self.link)
    }
}
