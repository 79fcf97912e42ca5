//! The harness of the simulator, and helpers that take a session of any size.
#![cfg(all(feature = "sim", feature = "v311", feature = "v5"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a fault here is a failed test")]

use mqtt_session::sim::{Chart, Faults, Happened, Harness};
use mqtt_session::{
    ClientCommands, CloseReason, CommandError, Commands, Connect, Disconnect, Event, Properties, Property, Publish,
    QoS, Session, Subscribe, Subscription, Unsubscribe, Version, server,
};

const VERSIONS: [Version; 2] = [Version::V311, Version::V5];
const LEVELS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

fn lasting(version: Version) -> Connect<'static> {
    let properties = Properties::for_version(version, &[Property::SessionExpiryInterval(3600)]);
    Connect { clean_start: false, properties, ..Connect::new(version, "meter-7") }
}

/// A helper that serves either end, whatever its size.
fn send(end: &mut dyn Commands, qos: QoS, payload: u8) -> Result<bool, CommandError> {
    end.publish_with(&Publish { qos, ..Publish::new("t", &[]) }, 1, &mut |place| place[0] = payload)?;
    Ok(end.is_online())
}

/// A helper for any client.
fn ask(client: &mut dyn ClientCommands, filters: &[&str]) -> Result<(), CommandError> {
    let subscriptions: Vec<_> =
        filters.iter().zip(LEVELS.iter().cycle()).map(|(filter, &qos)| Subscription::new(filter, qos)).collect();
    client.subscribe(&Subscribe::new(&subscriptions)).map(drop)
}

#[test]
fn each_message_arrives_once_both_ways_over_links_that_break() {
    for (seed, version) in (0..30).flat_map(|seed| VERSIONS.map(|version| (seed, version))) {
        let faults = Faults { fragments: true, delay: 30, cut_once_in: 40, ..Faults::NONE };
        let mut harness: Harness = Harness::new(seed, faults, ());
        let mut session: Session<256, 4, 4> = Session::new();
        let (mut published, mut arrived) = (0, [[0; 10]; 2]);
        loop {
            match harness.step(&mut session) {
                Happened::Offline => harness.connect(&mut session, &lasting(version)).unwrap(),
                Happened::Client(Event::Message(message)) => arrived[0][usize::from(message.payload[0])] += 1,
                Happened::Server(server::Event::Message(message)) => arrived[1][usize::from(message.payload[0])] += 1,
                Happened::Quiet if published < 10 => {
                    send(&mut session, QoS::ExactlyOnce, published).unwrap();
                    send(harness.server(), QoS::ExactlyOnce, published).unwrap();
                    published += 1;
                }
                Happened::Quiet => break,
                _ => {}
            }
        }
        assert_eq!(arrived, [[1; 10]; 2], "seed {seed}, {version:?}");
    }
}

/// What a client may ask for, the server does, and time passes where nothing else happens.
#[test]
fn the_server_does_what_it_is_asked() {
    for version in VERSIONS {
        let mut harness: Harness<_> = Harness::new(1, Faults::NONE, Chart::new(String::new()));
        let mut session: Session<256, 4, 4> = Session::new();
        let (mut seen, mut quiet) = (Vec::new(), Vec::new());
        loop {
            match harness.step(&mut session) {
                Happened::Offline => match seen.last() {
                    None => harness.connect(&mut session, &Connect::new(version, "")).unwrap(),
                    Some(_) => break,
                },
                Happened::Client(event) => seen.push(match event {
                    Event::Subscribed { reason_codes, .. } => format!("{reason_codes:?}"),
                    Event::Unsubscribed { reason_codes, .. } => format!("{}", reason_codes.iter().count()),
                    Event::Connected(_) => String::from("connected"),
                    other => format!("{other:?}"),
                }),
                Happened::Closed(reason) => assert_eq!(reason, CloseReason::Disconnected),
                Happened::Quiet => {
                    quiet.push(harness.simulation().now().as_millis());
                    match quiet.len() {
                        1 => ask(&mut session, &["a", "b", "c"]).unwrap(),
                        2 => session.unsubscribe(&Unsubscribe::new(&["a", "b"])).map(drop).unwrap(),
                        // Nothing is asked for, so PINGREQ is next.
                        3 => {}
                        _ => session.disconnect(&Disconnect::default()).unwrap(),
                    }
                }
                _ => {}
            }
        }
        let codes = if version == Version::V5 { "2" } else { "0" };
        assert_eq!(seen, ["connected", "[Success, GrantedQos1, GrantedQos2]", codes]);
        assert_eq!(quiet, [0, 0, 0, 52_500]);
        assert!(harness.simulation().observer().out().contains("PINGRESP"));
    }
}

#[test]
fn a_server_that_loses_its_session_says_so() {
    for version in VERSIONS {
        let mut harness: Harness = Harness::new(1, Faults::NONE, ());
        let mut session: Session<256, 4, 4> = Session::new();
        let (mut present, mut quiet) = (Vec::new(), 0);
        loop {
            match harness.step(&mut session) {
                Happened::Offline => harness.connect(&mut session, &lasting(version)).unwrap(),
                Happened::Client(Event::Connected(connack)) => present.push(connack.session_present),
                Happened::Quiet => {
                    quiet += 1;
                    match quiet {
                        1 => harness.simulation().cut(),
                        2 => harness.lose_session(),
                        _ => break,
                    }
                }
                _ => {}
            }
        }
        assert_eq!(present, [false, true, false], "{version:?}");
    }
}

/// More than the store holds is refused through the trait as it is without.
#[test]
fn helpers_see_what_the_session_says() {
    let mut session: Session<64, 1, 1> = Session::new();
    let end: &mut dyn Commands = &mut session;
    assert_eq!((end.is_online(), end.pending(), end.free_space()), (false, 0, 48));
    assert_eq!(send(end, QoS::AtMostOnce, 1), Err(CommandError::Offline));
    assert_eq!(end.disconnect(&Disconnect::default()), Err(CommandError::Offline));
    assert_eq!(ask(&mut session, &["a"]), Err(CommandError::Offline));
    let mut inbox: mqtt_session::Inbox<[u8; 64]> = mqtt_session::Inbox::new();
    ClientCommands::connect(&mut session, &mut inbox, &lasting(Version::V311)).unwrap();
    let end: &mut dyn Commands = &mut session;
    let packet_id = end.publish(&Publish { qos: QoS::AtLeastOnce, ..Publish::new("t", b"x") }).unwrap().unwrap();
    assert_eq!((end.pending(), send(end, QoS::AtLeastOnce, 1)), (1, Err(CommandError::Full)));
    assert!(end.cancel(packet_id) && !end.cancel(packet_id));
    assert_eq!(end.pending(), 0);
    assert_eq!(ask(&mut session, &["a"]), Ok(()));
    let other = server::Session::<64, 1, 1>::new();
    assert_eq!(Commands::free_space(&other), 48);
}
