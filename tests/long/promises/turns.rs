//! Whose turn it is, at an end whose caller reads while it writes: the queue is never empty, and what is stored leaves all the
//! same.

use mqtt_session::{Connect, Event, Inbox, Instant, Properties, Property, Publish, QoS, Session, Step, Version};
use proptest::prelude::*;

/// What happens while what was shown last is being written.
#[derive(Clone, Debug)]
enum During {
    /// A message comes in.
    Received(QoS),
    /// The application publishes.
    Published(QoS),
}

const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

fn during() -> impl Strategy<Value = During> {
    prop_oneof![
        3 => (1..3_usize).prop_map(|qos| During::Received(QOS[qos])),
        1 => (0..3_usize).prop_map(|qos| During::Published(QOS[qos])),
    ]
}

struct End {
    session: Session<4096, 64, 256, 128>,
    inbox: Inbox<[u8; 512]>,
    next_id: u16,
    version: Version,
    /// How many PUBLISHes were accepted and not yet shown.
    stored: usize,
}

impl End {
    fn online(version: Version) -> Self {
        let mut end = Self { session: Session::new(), inbox: Inbox::new(), next_id: 1, version, stored: 0 };
        let properties = [Property::SessionExpiryInterval(60)];
        let properties = if version == Version::V5 { &properties[..] } else { &[] };
        let connect = Connect { keep_alive: 0, properties: Properties::of(properties), ..Connect::new(version, "c") };
        end.session.connect(&mut end.inbox, &connect).expect("CONNECT fits");
        end.session.transmitted(usize::MAX);
        end.receive(if version == Version::V5 { &[0x20, 3, 0, 0, 0] } else { &[0x20, 2, 0, 0] });
        end
    }

    fn receive(&mut self, bytes: &[u8]) {
        let space = self.inbox.space();
        if let Some(space) = space.get_mut(..bytes.len()) {
            space.copy_from_slice(bytes);
            self.inbox.filled(bytes.len());
        }
    }

    fn happens(&mut self, what: &During) {
        match what {
            During::Received(qos) => {
                let [high, low] = self.next_id.to_be_bytes();
                self.next_id += 1;
                let first = 0x30 | (*qos as u8) << 1;
                if self.version == Version::V5 {
                    self.receive(&[first, 6, 0, 1, b't', high, low, 0]);
                } else {
                    self.receive(&[first, 5, 0, 1, b't', high, low]);
                }
            }
            During::Published(qos) => {
                let publish = Publish { qos: *qos, ..Publish::new("t", b"") };
                self.stored += usize::from(self.session.publish(&publish).is_ok());
            }
        }
    }

    /// What is to be written next, once all events have been handled; none if nothing is.
    fn shown(&mut self) -> Option<Vec<u8>> {
        loop {
            match self.session.poll(&mut self.inbox, Instant::from_millis(0)) {
                Step::Event(Event::Connected(_) | Event::Message(_) | Event::Writable) => {}
                Step::Transmit(bytes) => return Some(bytes.to_vec()),
                Step::Wait(_) => return None,
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Whenever a write ends while something is stored, that is written next.
fn whatever_is_stored_leaves(version: Version, run: &[Vec<During>]) {
    let mut end = End::online(version);
    let mut is_due = false;
    for what in run {
        if let Some(shown) = end.shown() {
            let is_publish = shown[0] >> 4 == 3;
            assert!(is_publish || !is_due, "{} stored, and {shown:02X?} leaves", end.stored);
            end.stored -= usize::from(is_publish);
            what.iter().for_each(|what| end.happens(what));
            is_due = !is_publish && end.stored != 0;
            end.session.transmitted(shown.len());
        } else {
            assert_eq!(end.stored, 0, "nothing more is written");
            what.iter().for_each(|what| end.happens(what));
            is_due = false;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_stored_gets_its_turn(is_v5: bool, run in prop::collection::vec(prop::collection::vec(during(), 0..4), 1..60)) {
        whatever_is_stored_leaves(if is_v5 { Version::V5 } else { Version::V311 }, &run);
    }
}
