//! What a chart of the simulator draws, line by line.
#![cfg(all(feature = "sim", feature = "v311", feature = "v5"))]
#![allow(clippy::unwrap_used, reason = "a fault here is a failed test")]

use mqtt_session::sim::{Chart, Faults, Observer, Sight, Simulation};
use mqtt_session::wire::{Packet, PacketType};
use mqtt_session::{Instant, Role, Version};

/// What a sight looks like, without the time.
fn drawn(sight: &Sight<'_>) -> String {
    let mut chart = Chart::new(String::new());
    chart.observe(Instant::from_millis(7), sight);
    let line = chart.out().strip_prefix("        7 |").and_then(|line| line.strip_suffix("|\n")).unwrap();
    assert_eq!(line.chars().count(), 56, "{line}");
    line.to_owned()
}

/// Each packet of 5.0, as it goes from one end to the other, and what is written on its arrow.
const PACKETS: [(Role, &[u8], &str); 23] = [
    (Role::Client, b"\x10\x0e\0\x04MQTT\x05\x02\0\0\0\0\x01c", "CONNECT \"c\" clean"),
    (Role::Client, b"\x10\x0e\0\x04MQTT\x05\x00\0\0\0\0\x01c", "CONNECT \"c\""),
    (Role::Server, b"\x20\x03\0\0\0", "CONNACK"),
    (Role::Server, b"\x20\x03\x01\0\0", "CONNACK session present"),
    (Role::Server, b"\x20\x03\0\x87\0", "CONNACK 0x87"),
    (Role::Client, b"\x30\x05\0\x01t\0x", "PUBLISH QoS 0 t \"x\""),
    (Role::Server, b"\x3a\x09\0\x01t\0\x05\0xyz", "PUBLISH 5 QoS 1 DUP t \"xyz\""),
    (Role::Server, b"\x34\x13\0\x01t\0\x05\0thirteen long", "PUBLISH 5 QoS 2 t \"thirteen lon\".. 13 bytes"),
    (
        Role::Server,
        "\x32\x15\0\x01t\0\x05\0elevenbytes\u{e9}\u{e9}".as_bytes(),
        "PUBLISH 5 QoS 1 t \"elevenbytes\".. 15 bytes",
    ),
    (Role::Client, b"\x30\x08\0\x01t\0\"\n\x1b\\", "PUBLISH QoS 0 t \"\\\"\\n\\u{1b}\\\\\""),
    (Role::Client, b"\x30\x0a\0\x04a\n'\"\0\xff\xfe\xfd", "PUBLISH QoS 0 a\\n'\" [3 bytes]"),
    (Role::Client, b"\x10\x0f\0\x04MQTT\x05\x02\0\0\0\0\x02\"\n", "CONNECT \"\\\"\\n\" clean"),
    (Role::Client, b"\x40\x02\0\x05", "PUBACK 5"),
    (Role::Client, b"\x50\x03\0\x05\x97", "PUBREC 5 0x97"),
    (Role::Server, b"\x62\x02\0\x05", "PUBREL 5"),
    (Role::Server, b"\x70\x03\0\x05\x92", "PUBCOMP 5 0x92"),
    (Role::Client, b"\x82\x07\0\x05\0\0\x01t\0", "SUBSCRIBE 5"),
    (Role::Server, b"\x90\x04\0\x05\0\0", "SUBACK 5"),
    (Role::Client, b"\xa2\x06\0\x05\0\0\x01t", "UNSUBSCRIBE 5"),
    (Role::Server, b"\xb0\x04\0\x05\0\0", "UNSUBACK 5"),
    (Role::Client, b"\xc0\0", "PINGREQ"),
    (Role::Server, b"\xd0\0", "PINGRESP"),
    (Role::Client, b"\xe0\x01\x04", "DISCONNECT 0x04"),
];

#[test]
fn packets_are_arrows_with_their_names() {
    let again = (Role::Client, &b"\xf0\x06\x19\x04\x15\0\x01m"[..], "AUTH");
    for (from, bytes, name) in PACKETS.into_iter().chain([again]) {
        let to = if from == Role::Client { Role::Server } else { Role::Client };
        let (packet, len) = Packet::decode(Version::V5, to, bytes).unwrap().unwrap();
        assert_eq!(len, bytes.len(), "{name}");
        let room = 56 - name.len() - 5;
        let gap = room / 3;
        let sight = |arrived| Sight::Packet { from, packet, arrived };
        let (arrived, lost) = (drawn(&sight(true)), drawn(&sight(false)));
        let (shaft, torn, gap) = ("-".repeat(room), "-".repeat(room - gap), " ".repeat(gap));
        if from == Role::Client {
            assert_eq!((arrived, lost), (format!("-- {name} {shaft}>"), format!("-- {name} {torn}x{gap}")));
        } else {
            assert_eq!((arrived, lost), (format!("<{shaft} {name} --"), format!("{gap}x{torn} {name} --")));
        }
    }
}

#[test]
fn a_name_that_is_too_long_is_cut_off() {
    let (mut bytes, filter) = (vec![0x30, 83, 0, 80], "t".repeat(80));
    bytes.extend(filter.bytes());
    bytes.push(0);
    let (packet, _) = Packet::decode(Version::V5, Role::Server, &bytes).unwrap().unwrap();
    let sight = Sight::Packet { from: Role::Client, packet, arrived: true };
    assert_eq!(drawn(&sight), format!("-- PUBLISH QoS 0 {} -->", &filter[..35]));
}

#[test]
fn the_link_and_what_the_application_says_stand_in_the_middle() {
    let mut chart = Chart::new(String::new());
    let mut sim: Simulation<_> = Simulation::new(1, Faults::NONE, &mut chart);
    assert!(!sim.is_up());
    sim.connect();
    assert!(sim.is_up());
    sim.pass(12);
    sim.cut();
    assert!(!sim.is_up());
    let now = sim.now();
    sim.observer().note(now, format_args!("{} said", "it"));
    let torn = Sight::Part { from: Role::Server, packet_type: PacketType::Publish };
    chart.observe(Instant::from_millis(13), &torn);
    assert_eq!(
        chart.out().lines().collect::<Vec<_>>(),
        [
            "        0 |======================= link up ========================|",
            "       12 |~~~~~~~~~~~~~~~~~~~~~~~ link cut ~~~~~~~~~~~~~~~~~~~~~~~|",
            "       12 |                        it said                         |",
            "       13 |           x----------------------- part of a Publish --|",
        ]
    );
}

/// SplitMix64, whose first numbers are well known.
#[test]
fn chance_is_what_the_seed_says() {
    let mut sim: Simulation<()> = Simulation::new(0, Faults::NONE, ());
    let numbers = [(); 3].map(|()| sim.random().next());
    assert_eq!(numbers, [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4, 0x06C4_5D18_8009_454F]);
    assert_eq!(sim.random().below(0), 0);
    assert!(!sim.random().once_in(0) && sim.random().once_in(1));
}
