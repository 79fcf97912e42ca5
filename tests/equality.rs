//! Sessions are equal if they mean the same, and their hashes tell apart what equality tells apart: a model checker that
//! knows states by their hashes alone must not take two for one.
#![cfg(all(feature = "v3", feature = "v5"))]
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a fault here is a failed test")]

use core::hash::{Hash, Hasher};
use std::collections::hash_map::DefaultHasher;

use mqtt_session::{Connect, Inbox, Instant, Property, Publish, QoS, Session, Step, Version};

type Client = Session<256, 4, 4>;

const NOW: Instant = Instant::from_millis(0);

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// A session that is connected, and its inbox.
fn connected() -> (Client, Inbox<[u8; 64]>) {
    let mut session = Client::new();
    let mut inbox = Inbox::new();
    let lasting = [Property::SessionExpiryInterval(u32::MAX)];
    let connect = Connect { clean_start: false, properties: &lasting, ..Connect::new(Version::V5, "c") };
    session.connect(&mut inbox, &connect).unwrap();
    write(&mut session, &mut inbox);
    receive(&mut inbox, &[0x20, 3, 0, 0, 0]);
    assert!(matches!(session.poll(&mut inbox, NOW), Step::Event(_)));
    (session, inbox)
}

fn receive(inbox: &mut Inbox<[u8; 64]>, bytes: &[u8]) {
    inbox.space()[..bytes.len()].copy_from_slice(bytes);
    inbox.filled(bytes.len());
}

fn write(session: &mut Client, inbox: &mut Inbox<[u8; 64]>) {
    let Step::Transmit(bytes) = session.poll(inbox, NOW) else { panic!("nothing to write") };
    let len = bytes.len();
    session.transmitted(len);
}

/// Receives a message of QoS 2 and answers it by PUBREC.
fn hold(packet_id: u8) -> Client {
    let (mut session, mut inbox) = connected();
    receive(&mut inbox, &[0x34, 6, 0, 1, b't', 0, packet_id, 0]);
    assert!(matches!(session.poll(&mut inbox, NOW), Step::Event(_)));
    write(&mut session, &mut inbox);
    session
}

#[test]
fn hashes_tell_which_messages_are_held() {
    assert_eq!(hold(7), hold(7));
    assert_eq!(hash(&hold(7)), hash(&hold(7)));
    assert_ne!(hold(7), hold(8));
    assert_ne!(hash(&hold(7)), hash(&hold(8)));
}

/// What is shown to a transport leaves by itself; what is only queued leaves together with what comes next.
#[test]
fn what_is_shown_differs_from_what_is_queued() {
    let (mut session, mut inbox) = connected();
    receive(&mut inbox, &[0x32, 6, 0, 1, b't', 0, 7, 0]);
    assert!(matches!(session.poll(&mut inbox, NOW), Step::Event(_)));
    let mut shown = (session.clone(), inbox.clone());
    assert!(matches!(shown.0.poll(&mut shown.1, NOW), Step::Transmit(_)));
    let mut queued = (session, inbox);
    for (session, inbox) in [&mut shown, &mut queued] {
        receive(inbox, &[0x32, 6, 0, 1, b't', 0, 8, 0]);
        assert!(matches!(session.poll(inbox, NOW), Step::Event(_)));
    }
    assert_ne!(shown.0, queued.0);
    let len = |step: Step<'_, _>| if let Step::Transmit(bytes) = step { bytes.len() } else { 0 };
    let (first, both) = (len(shown.0.poll(&mut shown.1, NOW)), len(queued.0.poll(&mut queued.1, NOW)));
    assert!(first < both, "{first} {both}");
}

/// A packet whose acknowledgement came before its last byte was written is still written to its end.
#[test]
fn what_is_half_written_differs_from_what_is_gone() {
    let acknowledged = |written: usize| {
        let (mut session, mut inbox) = connected();
        session.publish(&Publish { qos: QoS::AtLeastOnce, ..Publish::new("t", b"") }).unwrap();
        assert!(matches!(session.poll(&mut inbox, NOW), Step::Transmit(_)));
        session.transmitted(written);
        receive(&mut inbox, &[0x40, 2, 0, 1]);
        assert!(matches!(session.poll(&mut inbox, NOW), Step::Event(_)));
        session
    };
    assert_eq!(acknowledged(8), acknowledged(usize::MAX));
    assert_ne!(acknowledged(3), acknowledged(8));
    assert_ne!(hash(&acknowledged(3)), hash(&acknowledged(8)));
}
