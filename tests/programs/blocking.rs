//! The example `blocking` as a process: against mosquitto, over a link that breaks, and against brokers that are of no use.
#![cfg(all(feature = "v311", feature = "v5", feature = "embedded-io"))]
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a fault here is a failed test"
)]

mod visit;

use core::net::SocketAddr;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::thread;

use crate::interop::broker::{self, Broker};

fn program() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples");
    path.push(format!("blocking{}", std::env::consts::EXE_SUFFIX));
    path
}

#[test]
fn visits_mosquitto() {
    visit::mosquitto("blocking", &program());
}

#[test]
fn tells_in_one_line_what_went_wrong() {
    visit::useless_brokers("blocking", &program());
}

/// The first connection breaks after some bytes of the broker, wherever that is; the second one finishes what was begun.
#[test]
fn connects_again() {
    let Some(broker) = Broker::start("visit-again", "") else { return };
    for bytes in [0, 3, 20, 25, 40] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let address = broker.address();
        let proxy = thread::spawn(move || [bytes, usize::MAX].map(|bytes| pass(&listener, address, bytes)));
        visit::assert_ends_well(&visit::run(&program(), port));
        assert_eq!(proxy.join().unwrap(), [(); 2]);
    }
}

/// Passes a connection on until so many bytes have come back.
fn pass(listener: &TcpListener, address: SocketAddr, bytes: usize) {
    let (near, _) = listener.accept().unwrap();
    let far = TcpStream::connect(address).unwrap();
    let (mut from_near, mut to_far) = (near.try_clone().unwrap(), far.try_clone().unwrap());
    let copy = thread::spawn(move || {
        // However it ends, it has ended.
        _ = std::io::copy(&mut from_near, &mut to_far);
        _ = to_far.shutdown(Shutdown::Both);
    });
    _ = std::io::copy(&mut (&far).take(u64::try_from(bytes).unwrap()), &mut &near);
    _ = (&near).flush();
    _ = near.shutdown(Shutdown::Both);
    copy.join().unwrap();
}
