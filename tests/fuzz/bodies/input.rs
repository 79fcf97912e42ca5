//! Decisions out of arbitrary bytes.

use mqtt_session::{QoS, ReasonCode, Role, Version};

/// The bytes that are left. When there are none, every decision is the first choice.
pub(super) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) const fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or(0)
    }

    pub(super) fn below(&mut self, bound: u8) -> u8 {
        self.byte() % bound
    }

    pub(super) fn short(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    pub(super) fn flag(&mut self) -> bool {
        self.byte() & 1 != 0
    }

    /// Up to so many bytes as they are.
    pub(super) fn bytes(&mut self, most: usize) -> &'a [u8] {
        let len = usize::from(self.byte()).min(most).min(self.0.len());
        self.0.split_off(..len).unwrap_or_default()
    }

    pub(super) fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.0)
    }

    pub(super) fn version(&mut self) -> Version {
        if self.flag() { Version::V311 } else { Version::V5 }
    }

    pub(super) fn role(&mut self) -> Role {
        if self.flag() { Role::Client } else { Role::Server }
    }

    pub(super) fn qos(&mut self) -> QoS {
        match self.below(3) {
            0 => QoS::AtMostOnce,
            1 => QoS::AtLeastOnce,
            _ => QoS::ExactlyOnce,
        }
    }

    pub(super) fn code(&mut self) -> ReasonCode {
        ReasonCode::of_byte(self.byte()).unwrap_or_default()
    }

    /// A topic, mostly a good one.
    pub(super) fn topic(&mut self) -> &'a str {
        match self.below(6) {
            0 => "a",
            1 => "a/b",
            2 => "sensors/kitchen/temperature",
            3 => "",
            4 => "a/+",
            _ => str::from_utf8(self.bytes(40)).unwrap_or("c"),
        }
    }
}
