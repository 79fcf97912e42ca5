//! The rules that received bytes can break, one variant each.

use core::fmt;

use super::reason::ReasonCode;
use super::version::Version;

/// Declares the rules: name, reason code, the statement in 3.1.1 and in 5.0 ("" where that version has no such rule).
macro_rules! rules {
    ($( $(#[doc = $doc:literal])+ $name:ident $reason:ident [$v311:literal | $v5:literal] )+) => {
        /// A rule of the standard that a packet breaks.
        ///
        /// It knows its [reason code](Self::reason_code), with which a 5.0 connection is closed (3.1.1 closes without
        /// a word, [MQTT-4.8.0-1], unless CONNACK has a return code for it), and the [statement](Self::statement) of the standard.
        ///
        /// ```
        /// use mqtt_session::{ReasonCode, Violation};
        /// assert_eq!(Violation::TopicAliasZero.reason_code(), ReasonCode::TopicAliasInvalid);
        /// ```
        #[non_exhaustive]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[repr(u8)]
        pub enum Violation {
            $( $(#[doc = $doc])+ #[doc = concat!("\n\n[", $v311, " | ", $v5, "]")] $name, )+
        }

        impl Violation {
            /// Every rule.
            pub const ALL: &[Self] = &[$( Self::$name ),+];

            /// The reason code that the standard, or the reading of it that `README.md` states, gives for this rule.
            #[must_use]
            pub const fn reason_code(self) -> ReasonCode {
                match self {
                    $( Self::$name => ReasonCode::$reason, )+
                }
            }

            /// The statement of the standard that is broken: its number, or the section for a rule without one. Empty
            /// where that version has no such rule.
            #[must_use]
            pub const fn statement(self, version: Version) -> &'static str {
                if version.is_v5() {
                    match self { $( Self::$name => $v5, )+ }
                } else {
                    match self { $( Self::$name => $v311, )+ }
                }
            }

            /// What the rule forbids, as a sentence.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self {
                    $( Self::$name => const { concat!($($doc),+).trim_ascii() }, )+
                }
            }
        }
    };
}

rules! {
    // The fixed header.

    /// The packet type is reserved: 0, or 15 in 3.1.1.
    PacketTypeReserved MalformedPacket ["section 2.2.1" | "section 2.1.2"]
    /// The flags of the fixed header are not those of the packet type.
    PacketFlagsReserved MalformedPacket ["MQTT-2.2.2-2" | "MQTT-2.1.3-1"]
    /// This end never receives packets of this type.
    PacketNotForThisEnd ProtocolError ["section 2.2.1" | "section 2.1.2"]
    /// A variable byte integer has more than four bytes.
    IntegerTooLong MalformedPacket ["section 2.2.3" | "section 1.5.5"]
    /// A variable byte integer is longer than it needs to be.
    IntegerPadded MalformedPacket ["" | "MQTT-1.5.5-1"]
    /// The packet is larger than this end accepts.
    PacketTooLarge PacketTooLarge ["MQTT-4.8.0-2" | "MQTT-3.1.2-24"]

    // Fields of every packet.

    /// A field runs past the end of its packet or of its property block, or is missing.
    FieldTruncated MalformedPacket ["MQTT-4.8.0-1" | "section 1.2"]
    /// Bytes are left over behind the last field of the packet.
    TrailingBytes MalformedPacket ["MQTT-4.8.0-1" | "section 1.2"]
    /// A string is not UTF-8, or encodes a surrogate.
    StringNotUtf8 MalformedPacket ["MQTT-1.5.3-1" | "MQTT-1.5.4-1"]
    /// A string contains U+0000.
    StringContainsNull MalformedPacket ["MQTT-1.5.3-2" | "MQTT-1.5.4-2"]
    /// A packet identifier is 0.
    PacketIdentifierZero ProtocolError ["MQTT-2.3.1-1" | "MQTT-2.2.1-3"]

    // Topic names and filters.

    /// A topic name is empty, and there is no topic alias to stand in for it.
    TopicNameEmpty ProtocolError ["MQTT-4.7.3-1" | "MQTT-4.7.3-1"]
    /// A topic name contains a wildcard.
    TopicNameWildcard ProtocolError ["MQTT-4.7.1-1" | "MQTT-4.7.0-1"]
    /// A topic filter is empty.
    TopicFilterEmpty ProtocolError ["MQTT-4.7.3-1" | "MQTT-4.7.3-1"]
    /// The wildcard `#` does not stand alone in the last level of its topic filter.
    MultiLevelWildcardMisplaced ProtocolError ["MQTT-4.7.1-2" | "MQTT-4.7.1-1"]
    /// The wildcard `+` does not fill its level of the topic filter.
    SingleLevelWildcardMisplaced ProtocolError ["MQTT-4.7.1-3" | "MQTT-4.7.1-2"]
    /// The share name of a shared subscription is empty.
    ShareNameEmpty ProtocolError ["" | "MQTT-4.8.2-1"]
    /// The share name of a shared subscription contains a wildcard, or no topic filter follows it.
    ShareNameMisplaced ProtocolError ["" | "MQTT-4.8.2-2"]

    // Properties.

    /// A property has no identifier that the standard knows.
    PropertyUnknown MalformedPacket ["" | "section 2.2.2.2"]
    /// A property does not belong to this packet.
    PropertyNotAllowed MalformedPacket ["" | "section 2.2.2.2"]
    /// A property stands twice where it may stand once; each property of 5.0 has its own sentence for that.
    PropertyRepeated ProtocolError ["" | "section 3.1.2.11"]
    /// A property that is a flag is neither 0 nor 1.
    PropertyNotFlag ProtocolError ["" | "section 3.1.2.11"]
    /// The receive maximum is 0.
    ReceiveMaximumZero ProtocolError ["" | "section 3.1.2.11.3"]
    /// The maximum packet size is 0.
    MaximumPacketSizeZero ProtocolError ["" | "section 3.1.2.11.4"]
    /// The maximum QoS is neither 0 nor 1.
    MaximumQosInvalid ProtocolError ["" | "section 3.2.2.3.4"]
    /// The topic alias is 0.
    TopicAliasZero TopicAliasInvalid ["" | "MQTT-3.3.2-8"]
    /// The subscription identifier is 0.
    SubscriptionIdentifierZero ProtocolError ["" | "section 3.8.2.1.2"]
    /// A PUBLISH of a client carries a subscription identifier.
    SubscriptionIdentifierFromClient ProtocolError ["" | "MQTT-3.3.4-6"]
    /// A DISCONNECT of a server carries a session expiry interval.
    SessionExpiryFromServer ProtocolError ["" | "MQTT-3.14.2-2"]
    /// A DISCONNECT of a client carries a server reference.
    ServerReferenceFromClient ProtocolError ["" | "section 3.14.2.2.5"]
    /// There is authentication data without an authentication method.
    AuthenticationDataAlone ProtocolError ["" | "section 3.1.2.11.10"]
    /// An AUTH has no authentication method.
    AuthenticationMethodMissing ProtocolError ["" | "section 3.15.2.2.2"]

    // CONNECT and CONNACK.

    /// The protocol name of a CONNECT is not `MQTT`.
    ProtocolNameUnknown UnsupportedProtocolVersion ["MQTT-3.1.2-1" | "MQTT-3.1.2-1"]
    /// The protocol level of a CONNECT is not the one that this end speaks.
    ProtocolLevelUnsupported UnsupportedProtocolVersion ["MQTT-3.1.2-2" | "MQTT-3.1.2-2"]
    /// The reserved flag of a CONNECT is set.
    ConnectFlagReserved MalformedPacket ["MQTT-3.1.2-3" | "MQTT-3.1.2-3"]
    /// The will QoS is 3.
    WillQosReserved MalformedPacket ["MQTT-3.1.2-14" | "MQTT-3.1.2-12"]
    /// There is a will QoS, but no will.
    WillQosWithoutWill ProtocolError ["MQTT-3.1.2-13" | "MQTT-3.1.2-11"]
    /// There is a will retain flag, but no will.
    WillRetainWithoutWill ProtocolError ["MQTT-3.1.2-15" | "MQTT-3.1.2-13"]
    /// There is a password, but no user name.
    PasswordWithoutUserName ProtocolError ["MQTT-3.1.2-22" | ""]
    /// The client identifier is empty, though the session is to be kept.
    ClientIdentifierEmpty ClientIdentifierNotValid ["MQTT-3.1.3-7" | ""]
    /// A reserved flag of a CONNACK is set.
    ConnackFlagsReserved MalformedPacket ["section 3.2.2.1" | "MQTT-3.2.2-1"]
    /// A CONNACK that refuses says that a session is present.
    SessionPresentInRefusal ProtocolError ["MQTT-3.2.2-4" | "MQTT-3.2.2-6"]
    /// A 5.0 CONNECT is answered by the refusal of a server that speaks only 3.1.1, `20 02 00 01`.
    RefusedByOlderServer UnsupportedProtocolVersion ["" | "MQTT-3.1.2-2"]

    // PUBLISH.

    /// The QoS of a PUBLISH is 3.
    PublishQosReserved MalformedPacket ["MQTT-3.3.1-4" | "MQTT-3.3.1-4"]
    /// DUP is set on a PUBLISH of QoS 0.
    DupWithoutQos MalformedPacket ["MQTT-3.3.1-2" | "MQTT-3.3.1-2"]

    // Subscriptions.

    /// A SUBSCRIBE has no topic filter.
    SubscribeEmpty ProtocolError ["MQTT-3.8.3-3" | "MQTT-3.8.3-2"]
    /// An UNSUBSCRIBE has no topic filter.
    UnsubscribeEmpty ProtocolError ["MQTT-3.10.3-2" | "MQTT-3.10.3-2"]
    /// A reserved bit of the subscription options is set; in 3.1.1 also: the requested QoS is 3.
    SubscriptionOptionsReserved MalformedPacket ["MQTT-3.8.3-4" | "MQTT-3.8.3-5"]
    /// The requested QoS of a subscription is 3.
    SubscriptionQosReserved ProtocolError ["" | "section 3.8.3.1"]
    /// The retain handling of a subscription is 3.
    RetainHandlingReserved ProtocolError ["" | "section 3.8.3.1"]
    /// No Local is set on a shared subscription.
    NoLocalOnShared ProtocolError ["" | "MQTT-3.8.3-4"]
    /// A SUBACK has no reason code.
    SubackEmpty ProtocolError ["MQTT-3.8.4-5" | "MQTT-3.8.4-6"]
    /// An UNSUBACK has no reason code.
    UnsubackEmpty ProtocolError ["" | "MQTT-3.11.3-1"]

    // Reason codes.

    /// A CONNACK carries a code that is not in its table.
    ConnackCodeReserved ProtocolError ["section 3.2.2.3" | "MQTT-3.2.2-8"]
    /// A PUBACK carries a code that is not in its table.
    PubackCodeReserved ProtocolError ["" | "MQTT-3.4.2-1"]
    /// A PUBREC carries a code that is not in its table.
    PubrecCodeReserved ProtocolError ["" | "MQTT-3.5.2-1"]
    /// A PUBREL carries a code that is not in its table.
    PubrelCodeReserved ProtocolError ["" | "MQTT-3.6.2-1"]
    /// A PUBCOMP carries a code that is not in its table.
    PubcompCodeReserved ProtocolError ["" | "MQTT-3.7.2-1"]
    /// A SUBACK carries a code that is not in its table.
    SubackCodeReserved ProtocolError ["MQTT-3.9.3-2" | "MQTT-3.9.3-2"]
    /// An UNSUBACK carries a code that is not in its table.
    UnsubackCodeReserved ProtocolError ["" | "MQTT-3.11.3-2"]
    /// A DISCONNECT carries a code that is not in the table of its sender.
    DisconnectCodeReserved ProtocolError ["" | "MQTT-3.14.2-1"]
    /// An AUTH carries a code that is not in the table of its sender.
    AuthCodeReserved ProtocolError ["" | "MQTT-3.15.2-1"]
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for Violation {}
