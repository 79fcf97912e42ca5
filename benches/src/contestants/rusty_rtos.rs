//! `rusty_rtos_mqtt-core`: 5.0, without a heap, after coreMQTT. What it sends is kept by a store of the application's.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use rusty_rtos_mqtt_core::client::{AckReply, Clock, Event, EventHandler, Store};
use rusty_rtos_mqtt_core::reader::Recv;
use rusty_rtos_mqtt_core::{
    ClientError, Connect, ConnectInfo, MqttContext, OutgoingPublish, QoS, Record, Sent, Transport,
};

use crate::contestant::{Contestant, Entry, Lane};
use crate::lanes::lane;
use crate::link::{Link, READ};
use crate::work::{Setup, Version, Work};

pub const ENTRY: Entry = Entry { name: "rusty_rtos_mqtt-core", enter };

struct RustyRtos {
    context: MqttContext<'static>,
    transport: Wire,
    store: Kept,
    last_id: u16,
}

/// The transport, and the ear of the application.
#[derive(Clone)]
struct Wire {
    link: Rc<RefCell<Link>>,
    is_empty: bool,
}

/// A clock that stands still.
struct Still;

/// Copies of packets. What one needs no more, another one takes.
#[derive(Default)]
struct Kept {
    packets: HashMap<u32, Vec<u8>>,
    spare: Vec<Vec<u8>>,
}

impl Transport for Wire {
    fn recv(&mut self, into: &mut [u8]) -> Recv {
        match self.link.borrow_mut().read(into) {
            0 => {
                self.is_empty = true;
                Recv::Nothing
            }
            received => Recv::Bytes(received),
        }
    }

    fn send(&mut self, bytes: &[u8]) -> Sent {
        self.link.borrow_mut().write(bytes);
        Sent::Bytes(bytes.len())
    }
}

impl EventHandler for Wire {
    fn on_event(&mut self, event: &Event<'_>, _: &mut AckReply<'_>) -> bool {
        match (event.packet_type >> 4, &event.publish) {
            (3, Some(publish)) => self.link.borrow_mut().deliver(publish.topic_name, publish.payload),
            (4 | 7, _) => self.link.borrow_mut().complete(),
            _ => {}
        }
        true
    }
}

impl Clock for Still {
    fn now_ms(&mut self) -> u32 {
        0
    }
}

impl Store for Kept {
    fn store(&mut self, packet_id: u32, parts: &[&[u8]]) -> bool {
        let mut packet = self.spare.pop().unwrap_or_default();
        packet.clear();
        parts.iter().for_each(|part| packet.extend_from_slice(part));
        self.packets.insert(packet_id, packet);
        true
    }

    fn retrieve(&mut self, packet_id: u32) -> Option<&[u8]> {
        self.packets.get(&packet_id).map(Vec::as_slice)
    }

    fn clear(&mut self, packet_id: u32) {
        self.spare.extend(self.packets.remove(&packet_id));
    }
}

fn enter(work: &Work) -> Result<Box<dyn Lane>, &'static str> {
    let Setup { version, sent, held, packet } = work.setup();
    if version == Version::V311 {
        return Err("speaks 5.0 only");
    }
    let mut context = MqttContext::new(Box::leak(vec![0; packet + READ].into_boxed_slice()));
    let records = |count| Box::leak(vec![Record::default(); count].into_boxed_slice());
    context.enable_qos(records(sent), records(held), Box::leak(Box::new([0; 64])));
    let mut transport = Wire { link: Rc::default(), is_empty: false };
    transport.link.borrow_mut().send().extend_from_slice(version.connack());
    let info = ConnectInfo { clean_session: true, keep_alive_seconds: 60, username: None, password: None };
    let connect = Connect { info, client_identifier: b"bench", properties: &[], will: None };
    let mut store = Kept::default();
    let connected = context.connect(&mut transport, &mut Still, Some(&mut store), &connect, 1_000, &mut false);
    connected.map_err(|_| "does not connect")?;
    transport.link.borrow_mut().outgoing.clear();
    Ok(lane(work, RustyRtos { context, transport, store, last_id: 0 }))
}

impl Contestant for RustyRtos {
    fn publish(&mut self, qos: u8, topic: &'static str, payload: &[u8]) {
        let qos = if qos == 1 { QoS::AtLeastOnce } else { QoS::ExactlyOnce };
        let topic_name = topic.as_bytes();
        let publish = OutgoingPublish { qos, dup: false, retain: false, topic_name, payload, properties: &[] };
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        let Self { context, transport, store, last_id } = self;
        context.publish(transport, &mut Still, Some(store), &publish, *last_id).expect("there is room");
    }

    fn turn(&mut self) {
        let Self { context, transport, store, .. } = self;
        let mut ear = transport.clone();
        transport.is_empty = false;
        while !transport.is_empty {
            match context.receive_loop(transport, &mut Still, Some(store), &mut ear) {
                Ok(()) | Err(ClientError::NeedMoreBytes) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
    }

    fn link<R>(&mut self, show: impl FnOnce(&mut Link) -> R) -> R {
        show(&mut self.transport.link.borrow_mut())
    }
}
