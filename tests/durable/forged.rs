//! Records that are whole but say what no session wrote.

use mqtt_session::durable::Key;
use mqtt_session::sim::Random;
use mqtt_session::{Connect, Inbox, Instant, Publish, QoS, Step, Version, durable};

type Client = durable::Session<96, 3, 3, 64>;

/// CRC-32 bit by bit, written a second time so that it checks the first.
fn checksum(bytes: impl Iterator<Item = u8>) -> [u8; 4] {
    let sum = bytes.fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| if sum & 1 == 0 { sum >> 1 } else { sum >> 1 ^ 0xEDB8_8320 })
    });
    (!sum).to_be_bytes()
}

fn sealed(key: u32, mut value: Vec<u8>) -> Vec<u8> {
    value[1..5].fill(0);
    let sum = checksum(key.to_be_bytes().into_iter().chain(value.iter().copied()));
    value[1..5].copy_from_slice(&sum);
    value
}

/// Small numbers mostly, so that records meet.
fn small(random: &mut Random) -> u8 {
    if random.below(8) == 0 { random.below(256) as u8 } else { random.below(4) as u8 }
}

fn forged(random: &mut Random) -> (Key, Vec<u8>) {
    let key = [0, 1, 2, 3, 65_537, 65_538, 65_539, 4][random.below(8)];
    let kind = match key {
        0 => 0,
        1..=4 => 1 + random.below(3) as u8,
        _ => 4,
    };
    let len = [33, 14, 17, 17, 11][usize::from(kind)];
    let mut value: Vec<u8> = (0..len).map(|_| 0).collect();
    value[0] = 0x10 | kind;
    for byte in &mut value[5..] {
        if random.below(3) == 0 {
            *byte = small(random);
        }
    }
    if kind == 0 && random.below(8) != 0 {
        (value[5], value[6], value[7]) = (0, [4, 5][random.below(2)], random.below(5) as u8);
        // FNV-1a of the empty identifier's successor "c".
        value[21..29].copy_from_slice(&[0xAF, 0x63, 0xDE, 0x4C, 0x86, 0x01, 0xEF, 0xF2]);
    }
    if kind == 1 {
        let id = small(random);
        let mut packet = vec![[0x32, 0x34, 0x3A][random.below(3)], 7, 0, 1, b't', 0, id, 0, 9];
        if random.below(4) == 0 {
            let at = random.below(packet.len());
            packet[at] = small(random);
        }
        value.extend(packet);
    }
    (Key::new(key), sealed(key, value))
}

#[test]
fn what_is_restored_can_be_used_whatever_it_is() {
    let mut random = Random::new(11);
    let (mut accepted, mut in_flight) = (0, 0);
    for _ in 0..200_000 {
        let mut restore = Client::restore();
        for _ in 0..random.below(7) {
            let (key, value) = forged(&mut random);
            // A record that is refused is told once more by `finish`.
            if restore.clone().record(key, &value).is_ok() {
                restore.record(key, &value).unwrap();
            }
        }
        let version = if random.below(2) == 0 { Version::V311 } else { Version::V5 };
        let Ok(mut client) = restore.finish(version, "c", Instant::from_millis(5)) else { continue };
        accepted += 1;
        in_flight += u32::from(client.pending());
        assert!(client.outstanding().count() <= usize::from(client.pending()));
        let mut inbox: Inbox<[u8; 64]> = Inbox::new();
        client
            .connect(&mut inbox, &Connect { clean_start: false, keep_alive: 0, ..Connect::new(version, "c") })
            .unwrap();
        let connack: &[u8] = if version == Version::V5 { &[0x20, 3, 1, 0, 0] } else { &[0x20, 2, 1, 0] };
        inbox.space()[..connack.len()].copy_from_slice(connack);
        inbox.filled(connack.len());
        let _ = client.publish(&Publish { qos: QoS::ExactlyOnce, ..Publish::new("t", b"1234") });
        for _ in 0..60 {
            match client.poll(&mut inbox, Instant::from_millis(9)) {
                Step::Event(_) => {}
                Step::Transmit(bytes) => {
                    let len = bytes.len();
                    client.transmitted(len);
                }
                Step::Persist(batch) => {
                    assert!(batch.iter().count() > 0);
                    client.persisted();
                }
                Step::Wait(_) | Step::Close(_) => break,
            }
        }
        // Everything ends with the connection that is asked for anew.
        client.connect(&mut inbox, &Connect { keep_alive: 0, ..Connect::new(version, "c") }).unwrap();
    }
    assert!(accepted > 10_000 && in_flight > 2_000, "{accepted} accepted, {in_flight} in flight");
}
