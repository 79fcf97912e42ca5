//! The transport: bytes that the peer has written, and bytes for it.

use std::hint::black_box;

/// How many bytes a read brings at most: what fits into a packet of TCP on an Ethernet.
pub const READ: usize = 1_460;

/// Both directions, and what the application was told.
#[derive(Default)]
pub struct Link {
    incoming: Vec<u8>,
    /// How much of that was read, and how often it is to be read again.
    at: usize,
    repeats: usize,
    pub outgoing: Vec<u8>,
    /// How many messages the application was handed, and how many publishes were told to have ended.
    pub delivered: usize,
    pub completed: usize,
    /// What went over it, if that is to be looked at.
    pub record: Option<Record>,
}

/// What there was to see.
#[derive(Default)]
pub struct Record {
    pub written: Vec<u8>,
    /// Topic and payload.
    pub messages: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Link {
    /// Received bytes, at most as many as a read brings; 0: there are none now.
    #[inline]
    pub fn read(&mut self, to: &mut [u8]) -> usize {
        let mut left = &self.incoming[self.at..];
        if left.is_empty() && self.repeats != 0 {
            self.repeats -= 1;
            self.at = 0;
            left = &self.incoming;
        }
        let len = left.len().min(to.len()).min(READ);
        to[..len].copy_from_slice(&left[..len]);
        self.at += len;
        len
    }

    #[inline]
    pub fn write(&mut self, bytes: &[u8]) {
        self.outgoing.extend_from_slice(bytes);
    }

    /// The application is handed a message.
    #[inline]
    pub fn deliver(&mut self, topic: &[u8], payload: &[u8]) {
        self.delivered += 1;
        black_box((topic.as_ptr(), topic.len(), payload.as_ptr(), payload.len()));
        if let Some(record) = &mut self.record {
            record.messages.push((topic.to_vec(), payload.to_vec()));
        }
    }

    /// The application is told that a publish has ended.
    #[inline]
    pub fn complete(&mut self) {
        self.completed += 1;
    }

    /// The peer's side: where to put bytes for the contestant.
    #[inline]
    pub fn send(&mut self) -> &mut Vec<u8> {
        if self.at == self.incoming.len() {
            self.incoming.clear();
            self.at = 0;
        }
        &mut self.incoming
    }

    /// The peer sends a stream over and over.
    pub fn repeat(&mut self, stream: &[u8], times: usize) {
        if self.incoming.len() != stream.len() {
            self.incoming.clear();
            self.incoming.extend_from_slice(stream);
        }
        self.at = self.incoming.len();
        self.repeats = times;
    }

    /// The peer's side: what was written since, kept if it is to be looked at.
    #[inline]
    pub fn written(&mut self) {
        if let Some(record) = &mut self.record {
            record.written.extend_from_slice(&self.outgoing);
        }
        self.outgoing.clear();
    }
}
