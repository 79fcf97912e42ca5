//! Reason codes and the packets that may carry them: the tables of the standard as one.

use core::fmt::{self, Write};

use super::version::Role;

/// Declares the reason codes: value, name, meaning, and the packets that may carry it.
macro_rules! reason_codes {
    ($( $(#[doc = $doc:literal])+ $value:literal $name:ident in $($carrier:ident)|+; )+) => {
        /// A reason code: the outcome of an operation, as acknowledgements, CONNACK, DISCONNECT and AUTH carry it.
        /// Below 0x80 the operation succeeded. (5.0: 2.4)
        ///
        /// The return codes of a 3.1.1 CONNACK are given as the codes of 5.0 that mean the same; see
        /// [`ReasonCode::of_return_code`].
        #[non_exhaustive]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[repr(u8)]
        pub enum ReasonCode {
            #[default]
            $( $(#[doc = $doc])+ $name = $value, )+
        }

        impl ReasonCode {
            /// Every reason code, in the order of their values.
            pub const ALL: &[Self] = &[$( Self::$name ),+];

            /// The reason code of this value, if the standard names one.
            #[must_use]
            pub const fn of_byte(byte: u8) -> Option<Self> {
                match byte {
                    $( $value => Some(Self::$name), )+
                    _ => None,
                }
            }

            /// The carriers in which this code is legal.
            const fn carriers(self) -> u16 {
                match self {
                    $( Self::$name => 0 $(| Carrier::$carrier as u16)+, )+
                }
            }
        }
    };
}

/// A packet that carries a reason code, as a bit. DISCONNECT and AUTH differ by the end that receives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Carrier {
    Connack = 1,
    /// PUBACK and PUBREC, whose codes are the same.
    Publish = 1 << 1,
    /// PUBREL and PUBCOMP, whose codes are the same.
    Release = 1 << 2,
    Suback = 1 << 3,
    Unsuback = 1 << 4,
    DisconnectToClient = 1 << 5,
    DisconnectToServer = 1 << 6,
    AuthToClient = 1 << 7,
    AuthToServer = 1 << 8,
    /// PUBREC on the wire: servers in wide use refuse a message with whatever code of 0x80 or above fits.
    Pubrec = 1 << 9,
}

impl Carrier {
    pub(crate) const fn disconnect(to: Role) -> Self {
        match to {
            Role::Client => Self::DisconnectToClient,
            Role::Server => Self::DisconnectToServer,
        }
    }

    pub(crate) const fn auth(to: Role) -> Self {
        match to {
            Role::Client => Self::AuthToClient,
            Role::Server => Self::AuthToServer,
        }
    }
}

reason_codes! {
    /// Success; in DISCONNECT: normal disconnection; in SUBACK: granted QoS 0.
    0x00 Success in Connack | Publish | Release | Suback | Unsuback | DisconnectToClient | DisconnectToServer | AuthToClient;
    /// The subscription was granted with QoS 1.
    0x01 GrantedQos1 in Suback;
    /// The subscription was granted with QoS 2.
    0x02 GrantedQos2 in Suback;
    /// The client goes, but wants its will published.
    0x04 DisconnectWithWill in DisconnectToServer;
    /// The message was accepted, but nobody has subscribed to its topic.
    0x10 NoMatchingSubscribers in Publish;
    /// There was no such subscription to end.
    0x11 NoSubscriptionExisted in Unsuback;
    /// The exchange of authentication data goes on.
    0x18 ContinueAuthentication in AuthToClient | AuthToServer;
    /// The client starts a re-authentication.
    0x19 Reauthenticate in AuthToServer;
    /// Refused without a reason given; in a 3.1.1 SUBACK: failure.
    0x80 UnspecifiedError in Connack | Publish | Suback | Unsuback | DisconnectToClient | DisconnectToServer;
    /// The bytes are not a packet.
    0x81 MalformedPacket in Connack | DisconnectToClient | DisconnectToServer;
    /// The packet breaks the protocol.
    0x82 ProtocolError in Connack | DisconnectToClient | DisconnectToServer;
    /// Valid, but this implementation does not accept it.
    0x83 ImplementationSpecificError in Connack | Publish | Suback | Unsuback | DisconnectToClient | DisconnectToServer;
    /// The server does not speak this version; return code 1 of 3.1.1.
    0x84 UnsupportedProtocolVersion in Connack;
    /// The client identifier is refused; return code 2 of 3.1.1.
    0x85 ClientIdentifierNotValid in Connack;
    /// The user name or password is refused; return code 4 of 3.1.1.
    0x86 BadUserNameOrPassword in Connack;
    /// The client may not do this; return code 5 of 3.1.1.
    0x87 NotAuthorized in Connack | Publish | Suback | Unsuback | DisconnectToClient;
    /// The server cannot serve; return code 3 of 3.1.1.
    0x88 ServerUnavailable in Connack;
    /// The server is busy.
    0x89 ServerBusy in Connack | DisconnectToClient;
    /// The client is banned.
    0x8A Banned in Connack;
    /// The server is shutting down.
    0x8B ServerShuttingDown in DisconnectToClient;
    /// The authentication method is not supported, or not the one of CONNECT.
    0x8C BadAuthenticationMethod in Connack;
    /// Nothing arrived for one and a half times the keep alive.
    0x8D KeepAliveTimeout in DisconnectToClient;
    /// Another connection uses this client identifier now.
    0x8E SessionTakenOver in DisconnectToClient;
    /// The topic filter is well formed, but refused.
    0x8F TopicFilterInvalid in Suback | Unsuback | DisconnectToClient;
    /// The topic name is well formed, but refused.
    0x90 TopicNameInvalid in Connack | Publish | DisconnectToClient | DisconnectToServer;
    /// The packet identifier belongs to another exchange.
    0x91 PacketIdentifierInUse in Publish | Suback | Unsuback;
    /// The packet identifier is not known; harmless after a reconnect.
    0x92 PacketIdentifierNotFound in Release;
    /// More messages are unacknowledged than the receiver allowed.
    0x93 ReceiveMaximumExceeded in DisconnectToClient | DisconnectToServer;
    /// The topic alias is 0 or above the receiver's maximum.
    0x94 TopicAliasInvalid in DisconnectToClient | DisconnectToServer;
    /// The packet is larger than the receiver allowed.
    0x95 PacketTooLarge in Connack | DisconnectToClient | DisconnectToServer;
    /// Data comes in too fast.
    0x96 MessageRateTooHigh in DisconnectToClient | DisconnectToServer;
    /// A limit of the implementation or the administrator is reached.
    0x97 QuotaExceeded in Connack | Publish | Suback | DisconnectToClient | DisconnectToServer;
    /// Ended by the administrator.
    0x98 AdministrativeAction in DisconnectToClient | DisconnectToServer;
    /// The payload is not what the payload format indicator says.
    0x99 PayloadFormatInvalid in Connack | Publish | DisconnectToClient | DisconnectToServer;
    /// The server does not retain messages.
    0x9A RetainNotSupported in Connack | DisconnectToClient;
    /// The QoS is above what the server supports.
    0x9B QosNotSupported in Connack | DisconnectToClient;
    /// Another server is to be used for now.
    0x9C UseAnotherServer in Connack | DisconnectToClient;
    /// Another server is to be used from now on.
    0x9D ServerMoved in Connack | DisconnectToClient;
    /// The server has no shared subscriptions.
    0x9E SharedSubscriptionsNotSupported in Suback | DisconnectToClient;
    /// Too many connections in a short time.
    0x9F ConnectionRateExceeded in Connack | DisconnectToClient;
    /// The longest allowed time of a connection is over.
    0xA0 MaximumConnectTime in DisconnectToClient;
    /// The server has no subscription identifiers.
    0xA1 SubscriptionIdentifiersNotSupported in Suback | DisconnectToClient;
    /// The server has no wildcard subscriptions.
    0xA2 WildcardSubscriptionsNotSupported in Suback | DisconnectToClient;
}

impl ReasonCode {
    /// Success, by its name in DISCONNECT.
    pub const NORMAL_DISCONNECTION: Self = Self::Success;
    /// Success, by its name in SUBACK.
    pub const GRANTED_QOS_0: Self = Self::Success;

    /// Whether this code says that the operation failed: 0x80 and above.
    #[must_use]
    pub const fn is_error(self) -> bool {
        self as u8 >= 0x80
    }

    /// The reason code that means the same as return code `code` of a 3.1.1 CONNACK; `None` for the reserved 6 to 255.
    ///
    /// ```
    /// use mqtt_session::ReasonCode;
    /// assert_eq!(ReasonCode::of_return_code(5), Some(ReasonCode::NotAuthorized));
    /// assert_eq!(ReasonCode::of_return_code(6), None);
    /// ```
    #[must_use]
    pub const fn of_return_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Success),
            1 => Some(Self::UnsupportedProtocolVersion),
            2 => Some(Self::ClientIdentifierNotValid),
            3 => Some(Self::ServerUnavailable),
            4 => Some(Self::BadUserNameOrPassword),
            5 => Some(Self::NotAuthorized),
            _ => None,
        }
    }

    /// The return code of a 3.1.1 CONNACK that means the same; `None` where 3.1.1 has no word for it, and the server
    /// closes the connection without a CONNACK. [MQTT-3.2.2-6]
    #[must_use]
    pub const fn return_code(self) -> Option<u8> {
        match self {
            Self::Success => Some(0),
            Self::UnsupportedProtocolVersion => Some(1),
            Self::ClientIdentifierNotValid => Some(2),
            Self::ServerUnavailable => Some(3),
            Self::BadUserNameOrPassword => Some(4),
            Self::NotAuthorized => Some(5),
            _ => None,
        }
    }

    /// Whether `carrier` may carry this code.
    pub(crate) const fn is_allowed_in(self, carrier: Carrier) -> bool {
        let allowed = match carrier {
            Carrier::Pubrec if self.is_error() => return true,
            Carrier::Pubrec => Carrier::Publish,
            carrier => carrier,
        };
        self.carriers() & allowed as u16 != 0
    }
}

/// The name in words and the number: "not authorized (0x87)".
impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Words { out: f, is_first: true }, "{self:?}")?;
        write!(f, " (0x{:02X})", *self as u8)
    }
}

/// Takes a name apart at its capital letters.
struct Words<'f, 'o> {
    out: &'f mut fmt::Formatter<'o>,
    is_first: bool,
}

impl fmt::Write for Words<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.chars() {
            if letter.is_ascii_uppercase() && !core::mem::take(&mut self.is_first) {
                self.out.write_char(' ')?;
            }
            self.out.write_char(letter.to_ascii_lowercase())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tables of the standard, read off a second time, packet by packet.
    #[test]
    fn each_packet_carries_its_codes_and_no_others() {
        let expected: [(Carrier, &[u8]); 10] = [
            (
                Carrier::Connack,
                &[
                    0, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95, 0x97, 0x99,
                    0x9A, 0x9B, 0x9C, 0x9D, 0x9F,
                ],
            ),
            (Carrier::Publish, &[0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]),
            (Carrier::Release, &[0, 0x92]),
            (Carrier::Suback, &[0, 1, 2, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2]),
            (Carrier::Unsuback, &[0, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91]),
            (
                Carrier::DisconnectToClient,
                &[
                    0, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97,
                    0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2,
                ],
            ),
            (
                Carrier::DisconnectToServer,
                &[0, 4, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99],
            ),
            (Carrier::AuthToClient, &[0, 0x18]),
            (Carrier::AuthToServer, &[0x18, 0x19]),
            // Those of PUBACK, and every other from 0x80 on.
            (
                Carrier::Pubrec,
                &[
                    0, 0x10, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8B, 0x8C, 0x8D, 0x8E,
                    0x8F, 0x90, 0x91, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E,
                    0x9F, 0xA0, 0xA1, 0xA2,
                ],
            ),
        ];
        for (carrier, codes) in expected {
            for byte in 0..=u8::MAX {
                let allowed = ReasonCode::of_byte(byte).is_some_and(|code| code.is_allowed_in(carrier));
                assert_eq!(allowed, codes.contains(&byte), "{carrier:?} {byte:#04x}");
            }
        }
    }

    #[test]
    fn a_code_says_its_name() {
        extern crate std;
        use std::string::ToString;
        assert_eq!(ReasonCode::BadUserNameOrPassword.to_string(), "bad user name or password (0x86)");
        assert_eq!(ReasonCode::Success.to_string(), "success (0x00)");
    }

    #[test]
    fn a_code_is_its_byte() {
        for &code in ReasonCode::ALL {
            assert_eq!(ReasonCode::of_byte(code as u8), Some(code));
        }
        assert_eq!(ReasonCode::ALL.len(), 43);
    }

    #[test]
    fn return_codes_go_there_and_back() {
        for code in 0..=u8::MAX {
            match ReasonCode::of_return_code(code) {
                Some(reason) => assert_eq!(reason.return_code(), Some(code)),
                None => assert!(code > 5),
            }
        }
        assert_eq!(ReasonCode::Banned.return_code(), None);
    }
}
