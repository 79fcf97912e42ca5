//! This crate.

use mqtt_session::{Connect, Event, Inbox, Instant, Publish, QoS, Session, Step, Version};

use crate::contestant::{Contestant, Entry, Lane};
use crate::lanes::lane;
use crate::link::Link;
use crate::work::{self, Setup, Work};

pub const ENTRY: Entry = Entry { name: "mqtt-session", enter };

struct Ours<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize, const INBOX: usize> {
    session: Box<Session<STORE, OUTBOUND, INBOUND>>,
    inbox: Box<Inbox<[u8; INBOX]>>,
    link: Link,
}

/// Memory as for the window that is asked for, and a place that is kept for requests.
fn enter(work: &Work) -> Result<Box<dyn Lane>, &'static str> {
    let setup = work.setup();
    Ok(match (setup.sent, setup.held, setup.packet) {
        (1, 1, 2_048) => lane(work, Ours::<256, 1, 1, 2_048>::new(setup)),
        (1, 1, _) => lane(work, Ours::<256, 1, 1, { 256 * 1024 + 64 }>::new(setup)),
        (1, 16, _) => lane(work, Ours::<256, 1, 16, 2_048>::new(setup)),
        (1, 1_000, _) => lane(work, Ours::<256, 1, 1_000, 2_048>::new(setup)),
        (16, ..) => lane(work, Ours::<2_048, 17, 1, 2_048>::new(setup)),
        (256, ..) => lane(work, Ours::<{ 32 * 1024 }, 257, 1, 2_048>::new(setup)),
        (1_000, ..) => lane(work, Ours::<{ 128 * 1024 }, 1_001, 1, 2_048>::new(setup)),
        (4_096, ..) => lane(work, Ours::<{ 512 * 1024 }, 4_097, 1, 2_048>::new(setup)),
        (65_534, ..) => lane(work, Ours::<{ 8 * 1024 * 1024 }, 65_535, 1, 2_048>::new(setup)),
        _ => return Err("no session of this size is prepared"),
    })
}

impl<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize, const INBOX: usize>
    Ours<STORE, OUTBOUND, INBOUND, INBOX>
{
    fn new(setup: Setup) -> Self {
        let mut ours = Self { session: Box::default(), inbox: Box::default(), link: Link::default() };
        let version = match setup.version {
            work::Version::V311 => Version::V311,
            work::Version::V5 => Version::V5,
        };
        ours.session.connect(&mut *ours.inbox, &Connect::new(version, "bench")).expect("CONNECT fits");
        ours.turn();
        ours.link.outgoing.clear();
        ours.link.send().extend_from_slice(setup.version.connack());
        ours.turn();
        ours
    }
}

impl<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize, const INBOX: usize> Contestant
    for Ours<STORE, OUTBOUND, INBOUND, INBOX>
{
    fn publish(&mut self, qos: u8, topic: &'static str, payload: &[u8]) {
        let qos = if qos == 1 { QoS::AtLeastOnce } else { QoS::ExactlyOnce };
        self.session.publish(&Publish { qos, ..Publish::new(topic, payload) }).expect("there is room");
    }

    fn turn(&mut self) {
        let Self { session, inbox, link } = self;
        loop {
            match session.poll(&mut **inbox, Instant::from_millis(1)) {
                Step::Event(Event::Message(message)) => link.deliver(message.topic.as_bytes(), message.payload),
                Step::Event(Event::Published { .. }) => link.complete(),
                Step::Event(_) => {}
                Step::Transmit(bytes) => {
                    link.write(bytes);
                    let written = bytes.len();
                    session.transmitted(written);
                }
                Step::Wait(_) => match link.read(inbox.space()) {
                    0 => return,
                    received => inbox.filled(received),
                },
                Step::Close(cause) => panic!("{cause}"),
            }
        }
    }

    fn link<R>(&mut self, show: impl FnOnce(&mut Link) -> R) -> R {
        show(&mut self.link)
    }
}
