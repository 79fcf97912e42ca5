//! Bytes to packets and back: pure functions of a version, a direction and bytes. The two versions differ only here.
//!
//! [`Packet::decode`] borrows from the received bytes and checks every rule of the standard that a packet alone can
//! break; [`Packet::encode`] applies the same rules to what is sent. What is broken has a name: [`Violation`].

mod acknowledgement;
mod connack;
mod connect;
mod disconnect;
mod frame;
mod header;
mod kind;
mod list;
mod packet;
mod property;
mod publish;
mod qos;
mod reader;
mod reason;
mod subscribe;
mod topic;
mod version;
mod violation;
mod writer;

pub use acknowledgement::{AckType, Acknowledgement};
pub use connack::Connack;
pub use connect::{ConnectPacket, Will};
pub use disconnect::{Auth, DisconnectPacket};
pub use header::Header;
pub use kind::PacketType;
pub use list::{Element, Iter, List};
pub use packet::Packet;
pub use property::{Properties, Property};
pub use publish::{Delivery, PublishPacket};
pub use qos::QoS;
pub use reader::PacketId;
pub use reason::ReasonCode;
pub use subscribe::{RetainHandling, Suback, SubscribePacket, Subscription, Unsuback, UnsubscribePacket};
pub use topic::{check_topic_filter, check_topic_name, matches, shared_subscription};
pub use version::{Role, Version};
pub use violation::Violation;
pub use writer::Unencodable;

pub(crate) use acknowledgement::Shortest as ShortAcknowledgement;
#[cfg(feature = "server")]
pub(crate) use connect::connect_level;
pub(crate) use connect::connect_version;
pub(crate) use frame::Frame;
pub(crate) use header::packet_len;
#[cfg(feature = "streaming")]
pub(crate) use header::{PADDED_HEADER, fixed_header, is_padded, padded_header};
pub(crate) use kind::PublishFlags;
pub(crate) use property::{Announcing, Secret, Unshown};
pub(crate) use publish::{Aliased, publish_expiry_offset, publish_id_offset};
pub(crate) use reader::Reader;
pub(crate) use subscribe::Request;
pub(crate) use topic::has_wildcard;
pub(crate) use writer::{Extent, Layout, Measured, Writer};
