//! The tool `subscribe` over a link that is cut behind each byte of what the broker says first: CONNACK, SUBACK, a message
//! of QoS 2 and its PUBREL. It comes back, subscribes again where it must, and prints each message once.
#![cfg(all(feature = "v311", feature = "v5"))]
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a fault here is a failed test"
)]

use core::iter::repeat_n;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::thread::{scope, spawn};

use mqtt_session::Version;

const MESSAGES: [&[u8]; 2] = [b"one", b"two"];

/// How the client learns of a cut, and what the broker knows afterwards.
#[derive(Clone, Copy, Debug)]
struct Cut {
    version: Version,
    /// Behind so many bytes of the broker.
    behind: usize,
    kind: CutKind,
    /// Whether the broker still has the session then.
    kept: bool,
}

#[derive(Clone, Copy, Debug)]
enum CutKind {
    Closed,
    /// The broker's stream ends, and it still takes what the client says.
    HalfClosed,
}

/// A broker for one client. It publishes each of its messages once it is subscribed to, one behind the other.
struct Broker {
    version: Version,
    session: Session,
    /// How many bytes it may still say.
    left: usize,
    subscribes: usize,
}

/// What the broker knows of its client.
#[derive(Clone, Copy)]
enum Session {
    Unknown,
    Unsubscribed,
    /// What is under way, by its number.
    Publishing {
        message: usize,
        dup: bool,
    },
    Releasing {
        message: usize,
    },
    Done,
}

impl Broker {
    /// One connection; `true`: the client took its leave.
    fn serve(&mut self, socket: &mut TcpStream, kind: CutKind) -> bool {
        loop {
            let packet = packet(socket);
            let answer = match packet.first() {
                None => return false,
                Some(0xE0) => return true,
                Some(&first) => self.answer(first, &packet),
            };
            let passed = answer.len().min(self.left);
            self.left -= passed;
            // It may be gone; that is seen at the next read.
            _ = socket.write_all(&answer[..passed]);
            if self.left == 0 {
                if let CutKind::HalfClosed = kind {
                    _ = socket.shutdown(Shutdown::Write);
                    _ = socket.read_to_end(&mut Vec::new());
                }
                return false;
            }
        }
    }

    fn answer(&mut self, first: u8, packet: &[u8]) -> Vec<u8> {
        match (first, self.session) {
            (0x10, session) => {
                let clean_start = packet[9] & 2 != 0;
                let is_present = !clean_start && !matches!(session, Session::Unknown);
                if !is_present {
                    self.session = Session::Unsubscribed;
                }
                let connack = self.with_properties(&[0x20, 2, is_present.into(), 0], 4);
                [connack, self.say()].concat()
            }
            (0x82, session) => {
                self.subscribes += 1;
                // A repeated one changes nothing but is answered.
                let suback = self.with_properties(&[0x90, 3, packet[2], packet[3], 2], 4);
                if let Session::Unsubscribed = session {
                    self.session = Session::Publishing { message: 0, dup: false };
                    return [suback, self.say()].concat();
                }
                suback
            }
            (0x50, Session::Publishing { message, .. }) => {
                self.session = Session::Releasing { message };
                self.say()
            }
            (0x70, Session::Releasing { message }) => {
                self.session = Session::Publishing { message: message + 1, dup: false };
                if message + 1 == MESSAGES.len() {
                    self.session = Session::Done;
                }
                self.say()
            }
            (first, _) => panic!("{first:#x} is not due: {packet:x?}"),
        }
    }

    /// What is under way, perhaps once more.
    fn say(&mut self) -> Vec<u8> {
        let identifier = |message: usize| u8::try_from(message).unwrap() + 7;
        match &mut self.session {
            Session::Publishing { message, dup } => {
                let payload = MESSAGES[*message];
                let mut publish = vec![if *dup { 0x3C } else { 0x34 }, 0, 0, 1, b'a', 0, identifier(*message)];
                *dup = true;
                publish.extend(repeat_n(0, usize::from(self.version == Version::V5)));
                publish.extend(payload);
                publish[1] = u8::try_from(publish.len() - 2).unwrap();
                publish
            }
            Session::Releasing { message } => vec![0x62, 2, 0, identifier(*message)],
            Session::Unknown | Session::Unsubscribed | Session::Done => Vec::new(),
        }
    }

    /// A packet with properties, of which there are none, at this place. (5.0)
    fn with_properties(&self, packet: &[u8], at: usize) -> Vec<u8> {
        let mut packet = packet.to_vec();
        if self.version == Version::V5 {
            packet[1] += 1;
            packet.insert(at, 0);
        }
        packet
    }
}

impl Cut {
    fn run(self) {
        let Self { version, behind, kind, kept } = self;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let broker = spawn(move || {
            let mut broker = Broker { version, session: Session::Unknown, left: behind, subscribes: 0 };
            let is_over = broker.serve(&mut listener.accept().unwrap().0, kind);
            assert!(!is_over, "nothing was cut");
            let subscribes = broker.subscribes;
            if !kept {
                broker.session = Session::Unknown;
            }
            broker.left = usize::MAX;
            assert!(broker.serve(&mut listener.accept().unwrap().0, kind), "the second connection is lost as well");
            (subscribes, broker.subscribes)
        });
        let output = subscribe(port, version);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{self:?}: {said}");
        let (first, both) = broker.join().unwrap_or_else(|_| panic!("{self:?}: {said}"));
        let suback_arrived = behind >= if version == Version::V5 { 5 + 6 } else { 4 + 5 };
        assert_eq!(
            both - first,
            usize::from(!(suback_arrived && kept)),
            "{self:?}: SUBSCRIBE on the second connection"
        );
        let printed = String::from_utf8(output.stdout).unwrap();
        // Of a session that is gone nobody knows what was delivered.
        assert!(printed == "one\ntwo\n" || !kept && printed == "one\none\n", "{self:?}: {printed}");
        assert!(said.lines().count() == 1 && said.contains("the transport was lost; connecting again in "), "{said}");
    }
}

/// Runs the tool until it has printed both messages.
fn subscribe(port: u16, version: Version) -> Output {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples");
    path.push(format!("subscribe{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "{} is not built: cargo build --examples", path.display());
    let version = if version == Version::V5 { "mqttv5" } else { "mqttv311" };
    let mut command = Command::new(path);
    command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-V", version, "-c", "-i", "x", "-t", "a", "-q", "2"]);
    command.args(["-C", "2", "-W", "30", "-k", "600", "--max-pause", "20"]).stdin(Stdio::null()).output().unwrap()
}

/// Reads a packet of up to 127 bytes behind its header; empty at the end.
fn packet(socket: &mut TcpStream) -> Vec<u8> {
    let mut packet = vec![0; 2];
    if socket.read_exact(&mut packet).is_err() {
        return Vec::new();
    }
    let mut body = vec![0; packet[1].into()];
    if socket.read_exact(&mut body).is_err() {
        return Vec::new();
    }
    packet.extend(body);
    packet
}

/// What the broker says until the first message is released.
fn length(version: Version) -> usize {
    if version == Version::V5 { 5 + 6 + 11 + 4 } else { 4 + 5 + 10 + 4 }
}

#[test]
fn the_subscriber_comes_back() {
    let mut cuts = Vec::new();
    for version in [Version::V311, Version::V5] {
        for behind in 0..=length(version) {
            for kind in [CutKind::Closed, CutKind::HalfClosed] {
                cuts.extend([true, false].map(|kept| Cut { version, behind, kind, kept }));
            }
        }
    }
    let next = AtomicUsize::new(0);
    scope(|threads| {
        for _ in 0..8 {
            threads.spawn(|| {
                while let Some(cut) = cuts.get(next.fetch_add(1, Ordering::SeqCst)) {
                    cut.run();
                }
            });
        }
    });
}
