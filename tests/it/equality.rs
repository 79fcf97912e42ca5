//! Sessions are equal if they mean the same, and their hashes tell apart what equality tells apart: a model checker that
//! knows states by their hashes alone must not take two for one.
#![cfg(all(feature = "v311", feature = "v5"))]
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a fault here is a failed test")]

use core::hash::{Hash, Hasher};
use std::collections::hash_map::DefaultHasher;

use mqtt_session::{
    Acknowledge, CommandError, Connect, Disconnect, Event, Inbox, Instant, Properties, Property, Publish, QoS,
    ReasonCode, Session, Step, Subscribe, Subscription, Unsubscribe, Version,
};

type Client = Session<256, 4, 4>;

const NOW: Instant = Instant::from_millis(0);

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// A session that is connected, and its inbox.
fn connected() -> (Client, Inbox<[u8; 64]>) {
    connected_with(Acknowledge::AfterHandling)
}

fn connected_with(acknowledgement: Acknowledge) -> (Client, Inbox<[u8; 64]>) {
    let mut session = Client::new();
    let mut inbox = Inbox::new();
    let lasting = [Property::SessionExpiryInterval(u32::MAX)];
    let connect = Connect {
        clean_start: false,
        properties: Properties::of(&lasting),
        acknowledgement,
        ..Connect::new(Version::V5, "c")
    };
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

/// What a client does once it is connected.
type Deed = fn(&mut Client, &mut Inbox<[u8; 64]>);

fn after(deed: Deed) -> Client {
    let (mut session, mut inbox) = connected();
    deed(&mut session, &mut inbox);
    session
}

/// Does what each step says until there is nothing to do.
fn settle(session: &mut Client, inbox: &mut Inbox<[u8; 64]>, now: Instant) {
    loop {
        match session.poll(inbox, now) {
            Step::Event(_) => {}
            Step::Transmit(bytes) => {
                let len = bytes.len();
                session.transmitted(len);
            }
            Step::Wait(_) => return,
            Step::Close(cause) => panic!("{cause}"),
        }
    }
}

fn hear(session: &mut Client, inbox: &mut Inbox<[u8; 64]>, bytes: &[u8]) {
    receive(inbox, bytes);
    settle(session, inbox, NOW);
}

fn publish(session: &mut Client, qos: QoS, payload: &[u8]) {
    session.publish(&Publish { qos, ..Publish::new("t", payload) }).unwrap();
}

fn subscribe(session: &mut Client, inbox: &mut Inbox<[u8; 64]>, filters: &[&str]) {
    let subscriptions: Vec<_> = filters.iter().map(|filter| Subscription::new(filter, QoS::AtMostOnce)).collect();
    session.subscribe(&Subscribe::new(&subscriptions)).unwrap();
    settle(session, inbox, NOW);
}

/// Messages that the application has in its hands, and what it says of the last one.
fn handed(packet_ids: [u8; 2], verdict: Option<ReasonCode>) -> Client {
    let (mut session, mut inbox) = connected_with(Acknowledge::Manually);
    let mut last = None;
    for packet_id in packet_ids {
        receive(&mut inbox, &[0x34, 6, 0, 1, b't', 0, packet_id, 0]);
        let Step::Event(Event::Message(message)) = session.poll(&mut inbox, NOW) else { panic!("no message") };
        last = message.handle;
    }
    if let Some(verdict) = verdict {
        session.acknowledge(last.unwrap(), verdict).unwrap();
    }
    session
}

/// Each of these means something else than each other one, in one respect or in several.
#[test]
fn what_differs_is_told_apart_by_equality_and_hash() {
    let deeds: [(&str, Deed); 18] = [
        ("nothing", |_, _| {}),
        ("a message", |session, _| publish(session, QoS::AtLeastOnce, b"a")),
        ("another payload", |session, _| publish(session, QoS::AtLeastOnce, b"b")),
        ("another QoS", |session, _| publish(session, QoS::ExactlyOnce, b"a")),
        ("another sequence", |session, _| publish(session, QoS::AtMostOnce, b"a")),
        ("a message that was shown", |session, inbox| {
            publish(session, QoS::AtLeastOnce, b"a");
            settle(session, inbox, NOW);
        }),
        ("two PUBRELs", |session, inbox| release(session, inbox, [1, 2])),
        ("two PUBRELs in another order", |session, inbox| release(session, inbox, [2, 1])),
        ("a SUBSCRIBE", |session, inbox| subscribe(session, inbox, &["t"])),
        ("a SUBSCRIBE of two filters", |session, inbox| subscribe(session, inbox, &["t", "u"])),
        ("an UNSUBSCRIBE", |session, inbox| {
            session.unsubscribe(&Unsubscribe::new(&["t"])).unwrap();
            settle(session, inbox, NOW);
        }),
        ("a farewell", |session, _| session.disconnect(&Disconnect::default()).unwrap()),
        ("another farewell", |session, _| {
            let reason_code = ReasonCode::DisconnectWithWill;
            session.disconnect(&Disconnect { reason_code, ..Disconnect::default() }).unwrap();
        }),
        ("a message that is not answered", |session, inbox| {
            receive(inbox, &[0x32, 6, 0, 1, b't', 0, 7, 0]);
            assert!(matches!(session.poll(inbox, NOW), Step::Event(_)));
        }),
        ("an answer", |session, inbox| {
            receive(inbox, &[0x32, 6, 0, 1, b't', 0, 7, 0]);
            assert!(matches!(session.poll(inbox, NOW), Step::Event(_)));
            assert!(matches!(session.poll(inbox, NOW), Step::Transmit(_)));
        }),
        ("half an answer", |session, inbox| {
            receive(inbox, &[0x32, 6, 0, 1, b't', 0, 7, 0]);
            assert!(matches!(session.poll(inbox, NOW), Step::Event(_)));
            assert!(matches!(session.poll(inbox, NOW), Step::Transmit(_)));
            session.transmitted(1);
        }),
        ("a message that is held", |session, inbox| hear(session, inbox, &[0x34, 6, 0, 1, b't', 0, 7, 0])),
        ("a link that was lost", |session, _| session.connection_lost()),
    ];
    let mut sessions: Vec<_> = deeds.into_iter().map(|(name, deed)| (name.to_string(), after(deed))).collect();
    for order in [[7, 8], [8, 7]] {
        for verdict in [None, Some(ReasonCode::Success), Some(ReasonCode::QuotaExceeded)] {
            sessions.push((format!("{order:?} {verdict:?}"), handed(order, verdict)));
        }
    }
    for (at, (name, session)) in sessions.iter().enumerate() {
        assert_eq!(session, &session.clone(), "{name}");
        for (other, different) in &sessions[at + 1..] {
            assert_ne!(session, different, "{name}, {other}");
            assert_ne!(hash(session), hash(different), "{name}, {other}");
        }
    }
}

/// Two messages of QoS 2 that the server has taken, the PUBRELs written.
fn release(session: &mut Client, inbox: &mut Inbox<[u8; 64]>, order: [u8; 2]) {
    publish(session, QoS::ExactlyOnce, b"a");
    publish(session, QoS::ExactlyOnce, b"a");
    settle(session, inbox, NOW);
    for packet_id in order {
        hear(session, inbox, &[0x50, 2, 0, packet_id]);
    }
}

/// After all is done nothing is left of it, wherever it lay and whenever it was.
#[test]
fn what_is_over_leaves_no_difference() {
    let deeds: [(&str, Deed); 7] = [
        ("QoS 0", |session, inbox| {
            publish(session, QoS::AtMostOnce, b"a");
            settle(session, inbox, NOW);
        }),
        ("QoS 1", |session, inbox| {
            publish(session, QoS::AtLeastOnce, b"a");
            settle(session, inbox, NOW);
            hear(session, inbox, &[0x40, 2, 0, 1]);
        }),
        ("QoS 2", |session, inbox| {
            release(session, inbox, [2, 1]);
            hear(session, inbox, &[0x70, 2, 0, 2]);
            hear(session, inbox, &[0x70, 2, 0, 1]);
        }),
        ("a subscription", |session, inbox| {
            subscribe(session, inbox, &["t"]);
            hear(session, inbox, &[0x90, 4, 0, 1, 0, 0]);
        }),
        ("received, QoS 1", |session, inbox| hear(session, inbox, &[0x32, 6, 0, 1, b't', 0, 7, 0])),
        ("received, QoS 2", |session, inbox| {
            for packet_id in [7, 8] {
                hear(session, inbox, &[0x34, 6, 0, 1, b't', 0, packet_id, 0]);
            }
            for packet_id in [7, 8] {
                hear(session, inbox, &[0x62, 2, 0, packet_id]);
            }
        }),
        ("at another time", |session, inbox| {
            let later = NOW.after_millis(7_000);
            settle(session, inbox, later);
            publish(session, QoS::AtLeastOnce, b"a");
            settle(session, inbox, later);
            receive(inbox, &[0x40, 2, 0, 1]);
            settle(session, inbox, later);
        }),
    ];
    let fresh = after(|session, inbox| settle(session, inbox, NOW));
    for (name, deed) in deeds {
        let session = after(deed);
        assert_eq!(session, fresh, "{name}");
        assert_eq!(hash(&session), hash(&fresh), "{name}");
    }
}

/// The same in other places of the store and of the table means the same.
#[test]
fn where_things_lie_makes_no_difference() {
    let pairs: [(&str, Deed, Deed); 3] = [
        (
            "a message",
            |session, _| publish(session, QoS::AtLeastOnce, b"a"),
            |session, inbox| {
                publish(session, QoS::AtMostOnce, b"in front");
                publish(session, QoS::AtLeastOnce, b"a");
                let Step::Transmit(bytes) = session.poll(inbox, NOW) else { panic!("nothing to write") };
                let len = bytes.len();
                session.transmitted(len);
            },
        ),
        (
            "a message that is held",
            |session, inbox| hear(session, inbox, &[0x34, 6, 0, 1, b't', 0, 8, 0]),
            |session, inbox| {
                for packet_id in [7, 8] {
                    hear(session, inbox, &[0x34, 6, 0, 1, b't', 0, packet_id, 0]);
                }
                hear(session, inbox, &[0x62, 2, 0, 7]);
            },
        ),
        (
            "a store that has refused",
            |session, _| fill(session),
            |session, _| {
                fill(session);
                assert_eq!(
                    session.publish(&Publish { qos: QoS::AtLeastOnce, ..Publish::new("t", b"") }),
                    Err(CommandError::Full)
                );
            },
        ),
    ];
    for (name, one, other) in pairs {
        let (one, other) = (after(one), after(other));
        assert_eq!(one, other, "{name}");
        assert_eq!(hash(&one), hash(&other), "{name}");
    }
}

fn fill(session: &mut Client) {
    for _ in 0..3 {
        publish(session, QoS::AtLeastOnce, b"");
    }
}

/// Where no time is measured, none counts: an idle session means the same at each poll.
#[test]
fn the_clock_of_an_idle_session_makes_no_difference() {
    let polled = |session: &Client, inbox: &Inbox<[u8; 64]>, millis: u64| {
        let (mut session, mut inbox) = (session.clone(), inbox.clone());
        let step = session.poll(&mut inbox, NOW.after_millis(millis));
        assert!(matches!(step, Step::Wait(_) | Step::Close(_)), "{step:?}");
        session
    };
    let never = (Client::new(), Inbox::new());
    let mut connected = connected_with_keep_alive(0);
    settle(&mut connected.0, &mut connected.1, NOW);
    let mut lost = connected_with_keep_alive(60);
    lost.0.connection_lost();
    while !matches!(lost.0.poll(&mut lost.1, NOW), Step::Close(_)) {}
    for (name, (session, inbox)) in [("never", never), ("without keep alive", connected), ("lost", lost)] {
        let (now, later) = (polled(&session, &inbox, 0), polled(&session, &inbox, 7_000));
        assert_eq!(now, later, "{name}");
        assert_eq!(hash(&now), hash(&later), "{name}");
    }
    // Where it is measured it counts.
    let (mut session, mut inbox) = connected_with_keep_alive(60);
    settle(&mut session, &mut inbox, NOW);
    assert_ne!(polled(&session, &inbox, 0), polled(&session, &inbox, 7_000));
}

fn connected_with_keep_alive(keep_alive: u16) -> (Client, Inbox<[u8; 64]>) {
    let (mut session, mut inbox) = (Client::new(), Inbox::new());
    session.connect(&mut inbox, &Connect { keep_alive, ..Connect::new(Version::V5, "c") }).unwrap();
    write(&mut session, &mut inbox);
    receive(&mut inbox, &[0x20, 3, 0, 0, 0]);
    assert!(matches!(session.poll(&mut inbox, NOW), Step::Event(_)));
    (session, inbox)
}

/// The same at a server's end.
#[cfg(feature = "server")]
#[test]
fn the_clock_of_an_idle_server_session_makes_no_difference() {
    use mqtt_session::server;
    type Server = server::Session<256, 4, 4>;
    let accepted = |keep_alive: u8, millis: u64, lost: bool| {
        let (mut session, mut inbox) = (Server::new(), Inbox::<[u8; 64]>::new());
        session.open(core::time::Duration::from_secs(10));
        receive(&mut inbox, &[0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 4, 0, 0, keep_alive, 0, 1, b'a']);
        assert!(matches!(session.poll(&mut inbox, NOW), Step::Event(_)));
        session.accept(&server::Accept::default()).unwrap();
        assert!(matches!(session.poll(&mut inbox, NOW), Step::Transmit(_)));
        session.transmitted(4);
        if lost {
            session.connection_lost();
            assert!(matches!(session.poll(&mut inbox, NOW), Step::Close(_)));
        }
        let step = session.poll(&mut inbox, NOW.after_millis(millis));
        assert!(matches!(step, Step::Wait(_) | Step::Close(_)), "{step:?}");
        session
    };
    for (keep_alive, lost) in [(0, false), (0, true), (60, true)] {
        assert_eq!(accepted(keep_alive, 0, lost), accepted(keep_alive, 7_000, lost));
        assert_eq!(hash(&accepted(keep_alive, 0, lost)), hash(&accepted(keep_alive, 7_000, lost)));
    }
    assert_ne!(accepted(60, 0, false), accepted(60, 7_000, false));
}

/// Something has become free, and whoever was refused before is yet to be told.
#[test]
fn an_event_that_is_owed_makes_a_difference() {
    let acknowledged = |refused: bool| {
        let (mut session, mut inbox) = connected();
        fill(&mut session);
        settle(&mut session, &mut inbox, NOW);
        if refused {
            let publish = Publish { qos: QoS::AtLeastOnce, ..Publish::new("t", b"") };
            assert_eq!(session.publish(&publish), Err(CommandError::Full));
        }
        receive(&mut inbox, &[0x40, 2, 0, 1]);
        assert!(matches!(session.poll(&mut inbox, NOW), Step::Event(Event::Published { .. })));
        (session, inbox)
    };
    let (calm, (mut owing, mut inbox)) = (acknowledged(false).0, acknowledged(true));
    assert_ne!(calm, owing);
    assert_ne!(hash(&calm), hash(&owing));
    assert!(matches!(owing.poll(&mut inbox, NOW), Step::Event(Event::Writable)));
    assert_eq!(calm, owing);
    assert_eq!(hash(&calm), hash(&owing));
}
