//! A packet of either version, decoded and encoded.

use super::acknowledgement::{AckType, Acknowledgement};
use super::connack::Connack;
use super::connect::ConnectPacket;
use super::disconnect::{Auth, DisconnectPacket};
use super::frame::Frame;
use super::header::Header;
use super::kind::PacketType;
use super::publish::PublishPacket;
use super::subscribe::{Suback, SubscribePacket, Unsuback, UnsubscribePacket};
use super::version::{Role, Version};
use super::violation::Violation;
use super::writer::{Layout, Measured, Unencodable, Writer};

/// A control packet of either version. What a version lacks is empty or has its default: properties and reason codes
/// in 3.1.1.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Packet<'a> {
    /// CONNECT.
    Connect(ConnectPacket<'a>),
    /// CONNACK.
    Connack(Connack<'a>),
    /// PUBLISH.
    Publish(PublishPacket<'a>),
    /// PUBACK, PUBREC, PUBREL or PUBCOMP.
    Acknowledgement(Acknowledgement<'a>),
    /// SUBSCRIBE.
    Subscribe(SubscribePacket<'a>),
    /// SUBACK.
    Suback(Suback<'a>),
    /// UNSUBSCRIBE.
    Unsubscribe(UnsubscribePacket<'a>),
    /// UNSUBACK.
    Unsuback(Unsuback<'a>),
    /// PINGREQ.
    Pingreq,
    /// PINGRESP.
    Pingresp,
    /// DISCONNECT.
    Disconnect(DisconnectPacket<'a>),
    /// AUTH; 5.0 only.
    Auth(Auth<'a>),
}

impl<'a> Packet<'a> {
    /// The packet at the front of `bytes` and its length in bytes, or `None` while bytes of it are missing.
    ///
    /// The packet borrows from `bytes`; nothing is copied. `to` is the end that received them. Nothing behind the packet
    /// is looked at. The size of a packet has no limit here but that of the standard; see
    /// [`Inbox`](crate::Inbox) for one.
    ///
    /// # Errors
    ///
    /// The first rule that the packet breaks: one of the header as soon as its bytes show it, any other once the packet
    /// is whole.
    ///
    /// ```
    /// use mqtt_session::wire::Packet;
    /// use mqtt_session::{Role, Version};
    /// # #[cfg(feature = "v311")] {
    /// let (packet, len) = Packet::decode(Version::V311, Role::Client, b"\x30\x07\x00\x03a/bhi\xd0")?.unwrap();
    /// let Packet::Publish(publish) = packet else { panic!() };
    /// assert_eq!((publish.topic, publish.payload, len), ("a/b", &b"hi"[..], 9));
    /// # }
    /// # Ok::<(), mqtt_session::Violation>(())
    /// ```
    pub fn decode(version: Version, to: Role, bytes: &'a [u8]) -> Result<Option<(Self, usize)>, Violation> {
        let Some(header) = Header::decode(version, to, bytes)? else {
            return Ok(None);
        };
        let Some((packet, _)) = usize::try_from(header.packet_len()).ok().and_then(|len| bytes.split_at_checked(len))
        else {
            return Ok(None);
        };
        Self::read(to, &Frame::new(version, to, header, packet)).map(|decoded| Some((decoded, packet.len())))
    }

    /// The packet in a frame that `to` received.
    pub(crate) fn read(to: Role, frame: &Frame<'a>) -> Result<Self, Violation> {
        let Frame { packet_type, body, .. } = *frame;
        if let Some(kind) = AckType::of(packet_type) {
            return body.packet(|from| Acknowledgement::read(kind, from)).map(Self::Acknowledgement);
        }
        // The header has refused what the other end receives.
        match (packet_type, to) {
            (PacketType::Publish, _) => PublishPacket::read(frame.first_byte, body).map(Self::Publish),
            (PacketType::Connect, Role::Server) => body.packet(ConnectPacket::read).map(Self::Connect),
            (PacketType::Connack, Role::Client) => body.packet(Connack::read).map(Self::Connack),
            (PacketType::Subscribe, Role::Server) => body.packet(SubscribePacket::read).map(Self::Subscribe),
            (PacketType::Suback, Role::Client) => body.packet(Suback::read).map(Self::Suback),
            (PacketType::Unsubscribe, Role::Server) => body.packet(UnsubscribePacket::read).map(Self::Unsubscribe),
            (PacketType::Unsuback, Role::Client) => body.packet(Unsuback::read).map(Self::Unsuback),
            (PacketType::Pingreq, Role::Server) => body.end().map(|()| Self::Pingreq),
            (PacketType::Pingresp, Role::Client) => body.end().map(|()| Self::Pingresp),
            (PacketType::Disconnect, _) => body.packet(DisconnectPacket::read).map(Self::Disconnect),
            (PacketType::Auth, _) => body.packet(Auth::read).map(Self::Auth),
            _ => Err(Violation::PacketNotForThisEnd),
        }
    }

    /// Writes the packet to the front of `out`, in its shortest form, and tells its length in bytes. `to` is the end
    /// that will receive it. An empty `out` tells the length by [`Unencodable::NoRoom`].
    ///
    /// # Errors
    ///
    /// What [`Packet::decode`] would refuse cannot be encoded; see [`Unencodable`].
    ///
    /// ```
    /// use mqtt_session::wire::{Packet, Unencodable};
    /// use mqtt_session::{Role, Version};
    /// # #[cfg(feature = "v5")] {
    /// let mut out = [0; 2];
    /// assert_eq!(Packet::Pingreq.encode(Version::V5, Role::Server, &mut out), Ok(2));
    /// assert_eq!(out, [0xC0, 0x00]);
    /// assert_eq!(Packet::Pingreq.encode(Version::V5, Role::Server, &mut []), Err(Unencodable::NoRoom(2)));
    /// # }
    /// ```
    pub fn encode(&self, version: Version, to: Role, out: &mut [u8]) -> Result<usize, Unencodable> {
        Measured::new(self.layout(), version, to)?.encode(out)
    }

    pub(crate) fn layout(&self) -> &dyn Layout {
        match self {
            Self::Connect(packet) => packet,
            Self::Connack(packet) => packet,
            Self::Publish(packet) => packet,
            Self::Acknowledgement(packet) => packet,
            Self::Subscribe(packet) => packet,
            Self::Suback(packet) => packet,
            Self::Unsubscribe(packet) => packet,
            Self::Unsuback(packet) => packet,
            Self::Pingreq => &Ping(PacketType::Pingreq),
            Self::Pingresp => &Ping(PacketType::Pingresp),
            Self::Disconnect(packet) => packet,
            Self::Auth(packet) => packet,
        }
    }
}

/// PINGREQ (3.12) or PINGRESP (3.13): nothing but its header.
struct Ping(PacketType);

impl Layout for Ping {
    fn first_byte(&self) -> u8 {
        self.0.first_byte()
    }

    fn body(&self, _: &mut Writer<'_>) {}
}
