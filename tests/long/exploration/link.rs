//! One direction of a link.

/// Bytes in flight. They arrive packet by packet; of one that is half written, the half may arrive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Pipe {
    bytes: Vec<u8>,
    /// How many bytes are missing of the packet whose front has arrived.
    rest: usize,
}

impl Pipe {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.rest = 0;
    }

    /// The next packet, or as much of it as there is.
    pub(crate) fn take(&mut self) -> Option<Vec<u8>> {
        if self.bytes.is_empty() {
            return None;
        }
        let whole = if self.rest == 0 { packet_len(&self.bytes) } else { self.rest };
        let len = whole.min(self.bytes.len());
        self.rest = whole - len;
        Some(self.bytes.drain(..len).collect())
    }

    /// How often something can be taken.
    pub(crate) fn count(&self) -> usize {
        let mut copy = self.clone();
        core::iter::from_fn(|| copy.take()).count()
    }
}

/// The length of the packet in front: none here is longer than 127 bytes.
pub(crate) fn packet_len(bytes: &[u8]) -> usize {
    usize::from(bytes[1]) + 2
}

/// The packets in front that are whole.
pub(crate) fn packets(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    core::iter::from_fn(move || {
        let len = if bytes.len() < 2 { 0 } else { packet_len(bytes) };
        let (packet, rest) = bytes.split_at_checked(len).filter(|(packet, _)| !packet.is_empty())?;
        bytes = rest;
        Some(packet)
    })
}
