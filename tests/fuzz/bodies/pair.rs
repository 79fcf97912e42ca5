//! Both ends over a link with faults.

use std::collections::BTreeMap;

use mqtt_session::server::{self, Accept};
use mqtt_session::sim::{Faults, Simulation, Turn};
use mqtt_session::{
    CloseReason, Connect, Event, Inbox, Outcome, PacketId, Properties, Property, Publish, QoS, Role, Session, Version,
};

use super::input::Input;

/// Whatever is published, cut and lost: each message has one outcome, QoS 0 arrives at most once, QoS 1 at least once and
/// QoS 2 exactly once. Where bits are wrong on the way, both ends go on all the same.
pub(crate) fn pair(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut pair = Pair::new(&mut input);
    pair.connect(false);
    while !input.is_over() && pair.messages.len() < 200 {
        match input.below(8) {
            0..=2 => pair.publish(input.flag(), input.qos()),
            3 => pair.sim.cut(),
            4 => pair.sim.cut_after(input.byte().into()),
            5 => pair.sim.pass(input.short().into()),
            _ => {
                for _ in 0..input.byte() {
                    pair.step();
                }
            }
        }
    }
    pair.finish();
    if !pair.is_corrupted {
        pair.check();
    }
}

struct Message {
    qos: QoS,
    delivered: u32,
    outcome: Option<Outcome>,
}

struct Pair {
    version: Version,
    is_corrupted: bool,
    sim: Simulation<(), 256>,
    client: Session<256, 3, 3>,
    server: server::Session<256, 3, 3>,
    client_inbox: Inbox<[u8; 128]>,
    server_inbox: Inbox<[u8; 128]>,
    messages: Vec<Message>,
    under_way: BTreeMap<(Role2, PacketId), usize>,
    is_closed: [bool; 2],
    /// A session of the server ended although the client wanted to keep it, as its CONNACK did not arrive: what it had is lost.
    has_lost: bool,
}

/// The end that publishes: 0 for the client.
type Role2 = usize;

impl Pair {
    fn new(input: &mut Input<'_>) -> Self {
        let corrupt_once_in = if input.below(4) == 0 { 20 } else { 0 };
        let faults = Faults {
            fragments: input.flag(),
            delay: input.byte().into(),
            cut_once_in: u32::from(input.byte()) / 4,
            corrupt_once_in,
        };
        Self {
            version: input.version(),
            is_corrupted: corrupt_once_in != 0,
            sim: Simulation::new(input.short().into(), faults, ()),
            client: Session::new(),
            server: server::Session::new(),
            client_inbox: Inbox::new(),
            server_inbox: Inbox::new(),
            messages: Vec::new(),
            under_way: BTreeMap::new(),
            is_closed: [true; 2],
            has_lost: false,
        }
    }

    fn connect(&mut self, clean_start: bool) {
        let expiry = Properties::for_version(self.version, &[Property::SessionExpiryInterval(u32::MAX)]);
        let connect = Connect { clean_start, properties: expiry, ..Connect::new(self.version, "c") };
        self.is_closed = [false; 2];
        self.sim.connect();
        self.server.open(core::time::Duration::from_secs(10));
        self.server_inbox.clear();
        self.client.connect(&mut self.client_inbox, &connect).unwrap();
    }

    fn publish(&mut self, by_client: bool, qos: QoS) {
        let number = self.messages.len().to_string();
        let publish = Publish { qos, ..Publish::new("t", number.as_bytes()) };
        let accepted = if by_client { self.client.publish(&publish) } else { self.server.publish(&publish) };
        // There may be no room, or the server's end has never seen its client.
        let Ok(packet_id) = accepted else { return };
        if let Some(packet_id) = packet_id {
            let earlier = self.under_way.insert((usize::from(!by_client), packet_id), self.messages.len());
            assert_eq!(earlier, None, "{packet_id} is in flight");
        }
        self.messages.push(Message { qos, delivered: 0, outcome: None });
    }

    /// One step; tells whether nothing more will happen.
    fn step(&mut self) -> bool {
        let Self { sim, client, client_inbox, server, server_inbox, .. } = self;
        match sim.step(client, client_inbox, server, server_inbox) {
            Turn::Client(Event::Message(message)) => deliver(&mut self.messages, message.payload),
            Turn::Client(Event::Published { packet_id, outcome, .. }) => self.end(0, packet_id, outcome),
            Turn::Server(server::Event::Connecting { .. }) => server.accept(&Accept::default()).unwrap(),
            Turn::Server(server::Event::Message(message)) => deliver(&mut self.messages, message.payload),
            Turn::Server(server::Event::Published { packet_id, outcome, .. }) => self.end(1, packet_id, outcome),
            Turn::Closed { end, reason: cause } => {
                self.is_closed[usize::from(end == Role::Server)] = true;
                // A client that knows of no session ends it by a clean start.
                self.has_lost |= !server.is_lasting() || cause == CloseReason::SessionUnknown;
            }
            Turn::Idle => return true,
            _ => {}
        }
        if self.is_closed == [true; 2] {
            self.connect(false);
        }
        false
    }

    fn end(&mut self, from: Role2, packet_id: PacketId, outcome: Outcome) {
        let number = self.under_way.remove(&(from, packet_id)).expect("an outcome of something that was accepted");
        assert_eq!(self.messages[number].outcome.replace(outcome), None, "a second outcome");
    }

    /// From here on the link is good, and everything comes to its end.
    fn finish(&mut self) {
        self.sim.set_faults(Faults::NONE);
        self.sim.cut();
        for step in 0.. {
            assert!(step < 20_000, "it does not come to an end");
            let is_idle = self.step();
            let is_done = self.client.pending() == 0 && self.server.pending() == 0;
            if self.client.is_online() && (is_idle || is_done) {
                break;
            }
            // After wrong bits the ends may disagree for ever about what they had; a clean start settles that.
            if self.is_corrupted && step == 5_000 {
                self.connect(true);
            }
        }
    }

    fn check(&self) {
        for (number, message) in self.messages.iter().enumerate() {
            let Message { qos, delivered, outcome } = message;
            let is_kept = match qos {
                QoS::AtMostOnce => *delivered <= 1 && outcome.is_none(),
                QoS::AtLeastOnce => *delivered >= 1 && matches!(outcome, Some(Outcome::Acknowledged(_))),
                QoS::ExactlyOnce => *delivered == 1 && matches!(outcome, Some(Outcome::Acknowledged(_))),
            };
            let is_lost = self.has_lost && *delivered == 0 && *outcome == Some(Outcome::Lost);
            assert!(is_kept || is_lost, "message {number}: {qos:?}, {delivered} times, {outcome:?}");
        }
    }
}

fn deliver(messages: &mut [Message], payload: &[u8]) {
    let number = str::from_utf8(payload).ok().and_then(|text| text.parse::<usize>().ok());
    if let Some(message) = number.and_then(|number| messages.get_mut(number)) {
        message.delivered += 1;
    }
}
