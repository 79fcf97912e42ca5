//! What a build for 5.0 alone says to clients of 3.1.1: `cargo test --no-default-features --features v5,server --test it one_version`.
#![cfg(all(feature = "server", feature = "v5", not(feature = "v311")))]
#![allow(clippy::indexing_slicing, clippy::panic, reason = "a fault here is a failed test")]

use mqtt_session::server::Session;
use mqtt_session::{Inbox, Instant, Step};

/// T9: a refusal that they can read. [MQTT-3.1.2-2] in 3.1.1
#[test]
fn t09_a_client_of_the_older_version_is_refused_in_its_form() {
    for (connect, answer) in [
        (&b"\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01a"[..], &[0x20, 2, 0, 1][..]),
        (b"\x10\x0d\0\x04MQTT\x84\x02\0\x3c\0\x01a", &[0x20, 2, 0, 1]),
        (b"\x10\x0d\0\x04MQTT\x03\x02\0\x3c\0\x01a", &[0x20, 2, 0, 1]),
        (b"\x10\x0f\0\x06MQIsdp\x03\x02\0\x3c\0\x01a", &[0x20, 2, 0, 1]),
        (b"\x10\x0e\0\x04MQTT\x06\x02\0\x3c\0\0\x01a", &[0x20, 3, 0, 0x84, 0]),
        (b"\x10\x0e\0\x04MQTT\x85\x02\0\x3c\0\0\x01a", &[0x20, 3, 0, 0x84, 0]),
    ] {
        let mut session: Session<64, 2, 2> = Session::new();
        let mut inbox: Inbox<[u8; 64]> = Inbox::new();
        session.open(core::time::Duration::from_secs(10));
        inbox.space()[..connect.len()].copy_from_slice(connect);
        inbox.filled(connect.len());
        match session.poll(&mut inbox, Instant::from_millis(0)) {
            Step::Transmit(bytes) => assert_eq!(bytes, answer, "{connect:?}"),
            step => panic!("{step:?}"),
        }
    }
}
