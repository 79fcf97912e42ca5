//! What each end says of itself in CONNECT and CONNACK. (5.0)

use crate::aliases::TopicAliases;
use crate::wire::{Property, Version};

/// What each end says of itself in CONNECT and CONNACK: how much it takes. (5.0)
pub(crate) struct Announcement {
    properties: [Property<'static>; 3],
    said: usize,
}

impl Announcement {
    pub(crate) fn new(version: Version, receive_maximum: u16, packet_size: Option<u32>, aliases: TopicAliases) -> Self {
        let aliases_said = Property::TopicAliasMaximum(aliases.maximum);
        let second = packet_size.map_or(aliases_said, Property::MaximumPacketSize);
        let said = 1_usize.wrapping_add(packet_size.is_some().into()).wrapping_add((!aliases.is_empty()).into());
        Self {
            properties: [Property::ReceiveMaximum(receive_maximum), second, aliases_said],
            said: if version.is_v5() { said } else { 0 },
        }
    }

    pub(crate) fn properties(&self) -> &[Property<'static>] {
        self.properties.get(..self.said).unwrap_or_default()
    }
}

/// Whether a property is one of those.
pub(crate) const fn is_announced(property: &Property<'_>) -> bool {
    matches!(property, Property::ReceiveMaximum(_) | Property::MaximumPacketSize(_) | Property::TopicAliasMaximum(_))
}
