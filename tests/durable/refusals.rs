//! What a restore refuses, and that nothing it is given makes it panic.

use mqtt_session::durable::{Key, RestoreError};
use mqtt_session::sim::Random;
use mqtt_session::{Instant, QoS, Version, durable};

use crate::world::{Client, Plan, Server, World};

type Records = Vec<(Key, Vec<u8>)>;

fn restore(records: &Records, version: Version, client_id: &str) -> Result<Client, RestoreError> {
    let mut restore = Client::restore();
    for (key, value) in records {
        restore.record(*key, value)?;
    }
    restore.finish(version, client_id, Instant::from_millis(0))
}

/// Records of a client with something in flight in both directions.
fn some(seed: u64) -> Records {
    let plan = Plan { version: Version::V5, manual: false, transactions: true, losses: false };
    for seed in seed.. {
        let mut world = World::new(plan, seed);
        for _ in 0..300 {
            world.step(QoS::ExactlyOnce, 12);
        }
        let records: Records = world.client.disk.records.clone().into_iter().collect();
        let has = |kind: u8| records.iter().any(|(_, value)| value[0] == kind);
        if has(0x10) && has(0x11) && has(0x14) {
            return records;
        }
    }
    unreachable!("there are many seeds")
}

#[test]
fn no_records_are_a_new_session() {
    assert_eq!(restore(&Vec::new(), Version::V5, "c").ok(), Some(Client::new()));
}

#[test]
fn each_fault_has_a_name() {
    let records = some(0);
    assert!(restore(&records, Version::V5, "c").is_ok());
    assert_eq!(restore(&records, Version::V311, "c").err(), Some(RestoreError::OtherVersion));
    assert_eq!(restore(&records, Version::V5, "d").err(), Some(RestoreError::OtherClient));
    let without_session: Records = records.iter().filter(|(key, _)| *key != Key::SESSION).cloned().collect();
    assert_eq!(restore(&without_session, Version::V5, "c").err(), Some(RestoreError::SessionMissing));
    let (key, value) = records.iter().find(|(_, value)| value[0] == 0x11).expect("a PUBLISH").clone();
    let with =
        |key: Key, value: Vec<u8>| restore(&[records.clone(), vec![(key, value)]].concat(), Version::V5, "c").err();
    assert_eq!(with(key, value.clone()), Some(RestoreError::Repeated(key)));
    assert_eq!(with(Key::new(65_536), Vec::new()), Some(RestoreError::Damaged(Key::new(65_536))));
    let mut other_format = value;
    other_format[0] = 0x21;
    assert_eq!(with(key, other_format), Some(RestoreError::OtherFormat(key)));
}

#[test]
fn another_end_and_too_small_a_session_are_refused() {
    let records = some(7);
    let mut server = Server::restore();
    let taken = records.iter().try_for_each(|(key, value)| server.record(*key, value));
    assert_eq!(taken, Err(RestoreError::OtherEnd));
    let mut small = durable::Session::<16, 3, 3, 64>::restore();
    let taken = records.iter().try_for_each(|(key, value)| small.record(*key, value));
    assert_eq!(taken, Err(RestoreError::StoreTooSmall));
    let mut narrow = durable::Session::<160, 3, 0, 64>::restore();
    let taken = records.iter().try_for_each(|(key, value)| narrow.record(*key, value));
    assert!(matches!(taken, Err(RestoreError::NoPlace(key)) if key.get() > 65_536), "{taken:?}");
}

#[test]
fn damage_is_refused_or_says_the_same() {
    let mut random = Random::new(5);
    for seed in 0..40 {
        let records = some(seed * 100);
        for _ in 0..500 {
            let mut damaged = records.clone();
            let index = random.below(damaged.len());
            let (key, value) = &mut damaged[index];
            match random.below(4) {
                0 => {
                    let at = random.below(value.len());
                    value[at] ^= 1 << random.below(8);
                }
                1 => value.truncate(random.below(value.len())),
                2 => *key = Key::new(random.below(140_000) as u32),
                _ => value.push(0),
            }
            let is_same = damaged == records;
            assert_eq!(restore(&damaged, Version::V5, "c").is_ok(), is_same, "{damaged:?}");
        }
    }
}
