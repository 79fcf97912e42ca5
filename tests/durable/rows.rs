//! The table of records in `docs/durable.md`, row by row: what must be in the store when a packet is shown.

use std::collections::BTreeMap;

use mqtt_session::durable::Key;

const PUBLISH: u8 = 0x11;
const RELEASE: u8 = 0x12;
const HELD: u8 = 0x14;

/// Lifetimes, as the record of a session has them.
const UNTIL_CLOSE: u8 = 1;
const ABANDONED: u8 = 2;
const BEGUN: u8 = 3;
const KEPT: u8 = 4;

type Records = BTreeMap<Key, Vec<u8>>;

/// Splits what is shown into packets, of which the first `left` bytes belong to one that is half written.
pub(crate) fn packets(shown: &[u8], left: usize) -> Vec<&[u8]> {
    let mut rest = &shown[left.min(shown.len())..];
    let mut packets = Vec::new();
    while !rest.is_empty() {
        // All packets of these tests are short.
        let (packet, behind) = rest.split_at((2 + usize::from(rest[1])).min(rest.len()));
        packets.push(packet);
        rest = behind;
    }
    packets
}

/// How many bytes of a packet are left once so many of what was shown are written.
pub(crate) fn left_of(shown: &[u8], left: usize, written: usize) -> usize {
    if written < left {
        return left - written;
    }
    let mut end = left;
    for packet in packets(shown, left) {
        if end >= written {
            break;
        }
        end += packet.len();
    }
    end - written
}

/// Checks that what a packet depends on is in the store.
pub(crate) fn check(packet: &[u8], records: &Records) {
    let session = &records.get(&Key::SESSION).unwrap_or_else(|| panic!("no session for {packet:?}"))[..];
    let (lifetime, number) = (session[7], &session[8..12]);
    let id = |at: usize| &packet[at..at + 2];
    let has =
        |kind: u8, at: usize, id: &[u8]| records.values().any(|value| value[0] == kind && &value[at..at + 2] == id);
    let holds =
        |id: &[u8]| records.values().any(|value| value[0] == HELD && &value[5..9] == number && &value[9..11] == id);
    match packet[0] >> 4 {
        1 => {
            let is_clean = packet[9] & 2 != 0;
            assert!(!is_clean || lifetime == ABANDONED, "CONNECT with a clean start, and lifetime {lifetime}");
        }
        2 if packet[2] & 1 == 0 && packet[3] == 0 => {
            assert!([UNTIL_CLOSE, BEGUN, KEPT].contains(&lifetime), "CONNACK, and lifetime {lifetime}");
        }
        3 if packet[0] & 6 != 0 => {
            assert!([UNTIL_CLOSE, KEPT].contains(&lifetime), "PUBLISH, and lifetime {lifetime}");
            assert!(has(PUBLISH, 19, id(5)), "PUBLISH without a record: {packet:?}, {records:?}");
        }
        5 if packet.len() < 5 || packet[4] < 0x80 => {
            assert!([UNTIL_CLOSE, KEPT].contains(&lifetime), "PUBREC, and lifetime {lifetime}");
            assert!(holds(id(2)), "PUBREC without a record: {packet:?}, {records:?}");
        }
        6 if packet.len() == 4 => {
            assert!(has(RELEASE, 14, id(2)), "PUBREL without a record: {packet:?}, {records:?}");
        }
        7 => assert!(!holds(id(2)), "PUBCOMP for what is held: {packet:?}, {records:?}"),
        _ => {}
    }
}
