//! A client of bytes, for what a session would never send, and to see what it would not show.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{Read, Write};
use std::net::TcpStream;

use mqtt_session::wire::{ConnectPacket, Header, Packet};
use mqtt_session::{Role, Version};

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(15);

pub(crate) struct Raw {
    pub(crate) socket: TcpStream,
    version: Version,
    received: Vec<u8>,
}

impl Raw {
    pub(crate) fn open(address: SocketAddr, version: Version) -> Self {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        Self { socket, version, received: Vec::new() }
    }

    /// A connection that is accepted.
    pub(crate) fn connected(address: SocketAddr, version: Version, connect: ConnectPacket<'_>) -> Self {
        let mut raw = Self::open(address, version);
        raw.send(&Packet::Connect(connect));
        let connack = raw.next().unwrap();
        assert_eq!((connack[0], connack[3]), (0x20, 0), "{connack:02x?}");
        raw
    }

    pub(crate) fn send(&mut self, packet: &Packet<'_>) {
        let mut buffer = vec![0; 0x2_0000];
        let len = packet.encode(self.version, Role::Server, &mut buffer).unwrap();
        self.bytes(&buffer[..len]);
    }

    /// Sends bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        // The broker may have closed already.
        _ = self.socket.write_all(bytes);
    }

    /// The next packet; `None`: the broker has closed.
    pub(crate) fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            let header = Header::decode(self.version, Role::Client, &self.received).unwrap();
            let len = header.map_or(usize::MAX, |header| header.packet_len().try_into().unwrap());
            if len <= self.received.len() {
                return Some(self.received.drain(..len).collect());
            }
            let mut buffer = [0; 4096];
            match self.socket.read(&mut buffer) {
                Ok(0) => return None,
                Ok(read) => self.received.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("no answer: {error}"),
            }
        }
    }

    /// All that comes until the broker closes.
    pub(crate) fn rest(&mut self) -> Vec<Vec<u8>> {
        core::iter::from_fn(|| self.next()).collect()
    }
}
