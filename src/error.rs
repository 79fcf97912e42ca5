//! What was refused (your call) and why a connection ended (the peer, the transport, you).

use core::fmt;

use crate::aliases::BadAlias;
use crate::wire::{ReasonCode, Unencodable, Violation};

/// Why a command was refused. A refused command has changed nothing.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum CommandError {
    /// The store or the table of outstanding requests is full. `Event::Writable` tells when to try again.
    Full,
    /// It does not fit, and waiting does not help: it needs so much of what this limit makes available. [MQTT-3.2.2-15]
    ///
    /// ```
    /// use mqtt_session::{CommandError, Connect, Inbox, Publish, Session, SizeLimit, Version};
    /// # #[cfg(feature = "v311")] {
    /// let mut session: Session<100, 8, 8> = Session::new();
    /// let mut inbox: Inbox<[u8; 100]> = Inbox::new();
    /// session.connect(&mut inbox, &Connect::new(Version::V311, "meter-7"))?;
    /// let refused = session.publish(&Publish::new("power", &[0; 100])).unwrap_err();
    /// let CommandError::TooLarge { limit: SizeLimit::Store, needed, available } = refused else { panic!() };
    /// assert_eq!((needed, available), (109, session.free_space() as u32));
    /// # }
    /// # Ok::<(), CommandError>(())
    /// ```
    TooLarge {
        /// What it does not fit into.
        limit: SizeLimit,
        /// How much it needs: the length of the packet in bytes, unless the limit says otherwise.
        needed: u32,
        /// How much the limit allows.
        available: u32,
    },
    /// It needs a connection, and there is none, or CONNACK is not yet here.
    Offline,
    /// The connection is being closed.
    Closing,
    /// The packet breaks this rule of the standard; a peer would refuse it.
    Forbidden(Violation),
    /// The version of the connection has no such field.
    NotInVersion,
    /// The server does not support this QoS, of a message or of a will. [MQTT-3.2.2-11], [MQTT-3.2.2-12]
    QosUnsupported,
    /// The server does not retain messages, nor a will. [MQTT-3.2.2-14], [MQTT-3.2.2-13]
    RetainUnsupported,
    /// The topic alias is above what the peer allows, or what was set aside. [MQTT-3.2.2-17], [MQTT-3.1.2-26]
    TopicAliasUnsupported,
    /// The server has no wildcard subscriptions. (5.0: 3.2.2.3.11)
    WildcardUnsupported,
    /// The server has no subscription identifiers. (5.0: 3.2.2.3.12)
    SubscriptionIdentifierUnsupported,
    /// The server has no shared subscriptions. (5.0: 3.2.2.3.13)
    SharedUnsupported,
    /// The session, or what is stored, belongs to another client identifier or version, and is not given up by a clean
    /// start.
    OtherSession,
    /// The message that the handle stands for is acknowledged already, or gone with its connection or session.
    StaleHandle,
    /// Another message is to be acknowledged before this one, or this one did not come again on this connection. So its
    /// acknowledgement cannot leave now, and has no place for properties until then.
    NotNext,
    /// A session that was to end with its connection cannot be kept. (5.0: 3.14.2.2.2)
    ExpiryRaised,
    /// The connection has no authentication method, or this is not the moment. [MQTT-4.12.0-7]
    NotAuthenticating,
    /// The session sets this property itself.
    Reserved,
    /// There is nothing that this would answer: CONNECT, SUBSCRIBE or UNSUBSCRIBE did not come, is answered already, or has
    /// another number of filters; or the client did not ask for response information. [MQTT-3.1.2-28]
    NothingToAnswer,
    /// The client gave no identifier, so the server must assign one. [MQTT-3.2.2-16]
    ClientIdentifierMissing,
}

/// What is too small for a command.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum SizeLimit {
    /// `STORE`. Available is the longest packet that fits into an empty store, which is what `free_space` tells of one: 16 bytes
    /// less than `STORE`. For a CONNECT that is larger than `CONTROL`, it is what messages that wait have left of that.
    Store,
    /// `OUTBOUND` is 0, and one exchange is needed.
    Outbound,
    /// `CONTROL`. Available are its bytes without those of topic aliases, and without what is kept for other packets: 5 bytes for an
    /// acknowledgement before DISCONNECT, 9 for a DISCONNECT behind AUTH, SUBACK and UNSUBACK.
    Control,
    /// The Maximum Packet Size of the peer. [MQTT-3.1.2-24], [MQTT-3.2.2-15]
    Peer,
    /// The standard: 268,435,455 bytes behind the fixed header of a packet, as much for a subscription identifier, and 65,535 bytes
    /// for a field. Needed is the length of that, or the number.
    Standard,
}

impl CommandError {
    /// From 4 GiB on the figures stay where they are.
    #[cold]
    pub(crate) fn too_large(limit: SizeLimit, needed: usize, available: usize) -> Self {
        let [needed, available] = [needed, available].map(|len| u32::try_from(len).unwrap_or(u32::MAX));
        Self::TooLarge { limit, needed, available }
    }
}

impl From<Unencodable> for CommandError {
    fn from(error: Unencodable) -> Self {
        match error {
            // No command encodes into an output that is too small.
            Unencodable::NoRoom(needed) => Self::too_large(SizeLimit::Store, needed, 0),
            Unencodable::TooLong { needed, available } => {
                Self::TooLarge { limit: SizeLimit::Standard, needed, available }
            }
            Unencodable::NotInVersion => Self::NotInVersion,
            Unencodable::Forbidden(violation) => Self::Forbidden(violation),
        }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "there is no room now",
            Self::TooLarge { limit, needed, available } => {
                return match limit {
                    SizeLimit::Store => write!(f, "it takes {needed} bytes, and the store has room for {available}"),
                    SizeLimit::Outbound => f.write_str("it takes a place among the exchanges, and there are none"),
                    SizeLimit::Control => write!(f, "it takes {needed} bytes, and CONTROL has room for {available}"),
                    SizeLimit::Peer => write!(f, "it takes {needed} bytes, and the peer accepts {available}"),
                    SizeLimit::Standard => write!(f, "it takes {needed}, and the standard allows {available}"),
                };
            }
            Self::Offline => "there is no connection",
            Self::Closing => "the connection is being closed",
            Self::Forbidden(violation) => return write!(f, "a peer would refuse it: {violation}"),
            Self::NotInVersion => "the version of the connection has no such field",
            Self::QosUnsupported => "the server does not support this QoS",
            Self::RetainUnsupported => "the server does not retain messages",
            Self::TopicAliasUnsupported => "there is no such topic alias",
            Self::WildcardUnsupported => "the server has no wildcard subscriptions",
            Self::SubscriptionIdentifierUnsupported => "the server has no subscription identifiers",
            Self::SharedUnsupported => "the server has no shared subscriptions",
            Self::OtherSession => "the session belongs to another client identifier or version",
            Self::StaleHandle => "the message is acknowledged or gone",
            Self::NotNext => "another message is to be acknowledged before it",
            Self::ExpiryRaised => "a session that ends with its connection cannot be kept",
            Self::NotAuthenticating => "there is no authentication to go on with",
            Self::Reserved => "the session sets this property itself",
            Self::NothingToAnswer => "there is nothing that this would answer",
            Self::ClientIdentifierMissing => "the client needs an identifier",
        })
    }
}

impl core::error::Error for CommandError {}

/// Why a connection ended.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum CloseReason {
    /// There was no connection yet.
    #[default]
    NotConnected,
    /// The transport was lost, as the caller said.
    ConnectionLost,
    /// The application disconnected.
    Disconnected,
    /// The application disconnected when every exchange was over
    /// ([`DisconnectWhen::Completed`](crate::DisconnectWhen::Completed)), but not all were in time, or the peer broke a rule meanwhile.
    /// DISCONNECT has left. What is not over goes on with the next connection of the session, or is reported as lost.
    DisconnectedIncomplete,
    /// The application disconnected, but DISCONNECT, or what was to leave before it, did not leave in time: to a server the
    /// connection ended badly, and it publishes the will.
    DisconnectTimeout,
    /// The server refused the connection with this code. [MQTT-3.2.2-5] in 3.1.1, [MQTT-3.2.2-7] in 5.0
    ConnectionRefused(ReasonCode),
    /// The server does not speak this version; another one may work. [MQTT-3.1.2-2]
    UnsupportedVersion,
    /// The server disconnected with this code. [MQTT-4.13.2-1]
    DisconnectedByPeer(ReasonCode),
    /// CONNACK did not come in time. (5.0: 3.2)
    ConnackTimeout,
    /// Nothing came in although we asked. (5.0: 3.1.2.10)
    PingTimeout,
    /// The application could not go on with the payload of a message (`abort_payload`). The message is sent again from its beginning
    /// on the next connection of the session.
    PayloadAborted,
    /// The next piece of a payload did not come in time from the application (`payload_timeout`). The message is sent again from its
    /// beginning on the next connection of the session.
    PayloadTimeout,
    /// A received packet broke this rule.
    Violation(Violation),
    /// A packet came before CONNACK. [MQTT-3.2.0-1]
    ConnackMissing,
    /// A second CONNACK came. [MQTT-3.2.0-2]
    ConnackRepeated,
    /// CONNACK speaks of a session though we asked for a clean start. [MQTT-3.2.2-1] in 3.1.1, [MQTT-3.2.2-2] in 5.0
    SessionNotClean,
    /// CONNACK speaks of a session that we know nothing of, or gave up. The next connection begins with a clean start, which ends
    /// it. [MQTT-3.2.2-4] of 5.0
    SessionUnknown,
    /// CONNACK assigns no client identifier though we gave none. [MQTT-3.2.2-16]
    ClientIdentifierMissing,
    /// The authentication method is not that of CONNECT. [MQTT-4.12.0-5], [MQTT-4.12.0-6]
    AuthenticationMethodChanged,
    /// AUTH came, but no authentication is going on, or with a code that is not due. [MQTT-4.12.0-2]
    AuthenticationUnexpected,
    /// An acknowledgement contradicts its exchange.
    UnexpectedAcknowledgement,
    /// SUBACK or UNSUBACK does not answer its request. [MQTT-3.8.4-5] in 3.1.1, [MQTT-3.8.4-6] in 5.0
    AnswerMismatched,
    /// The peer used an identifier again before its exchange was over. [MQTT-2.3.1-2] in 3.1.1, [MQTT-2.2.1-4] in 5.0
    PacketIdentifierReused,
    /// More messages are unacknowledged than we allowed. mosquitto 2.0 does that when messages have queued up; more places help.
    /// [MQTT-3.3.4-9]
    ReceiveMaximumExceeded,
    /// More messages are open than the session has places for; nothing is lost. Should it come back at each connection, the
    /// server has forgotten what is open here, and a clean start helps. [MQTT-4.8.0-2] in 3.1.1
    TooManyHeld,
    /// A topic alias is above our maximum. [MQTT-3.3.2-11]
    TopicAliasTooHigh,
    /// A topic alias stands for no topic. (5.0: 3.3.4)
    TopicAliasUnknown,
    /// The topic of an alias is longer than the inbox has room for.
    TopicTooLong,
    /// The server takes packets only so small that an acknowledgement does not fit. [MQTT-3.2.2-15]
    MaximumPacketSizeTooSmall,
    /// A diagnostic property came though we asked for none. [MQTT-3.1.2-29]
    DiagnosticsUnrequested,
    /// The client's first packet is not CONNECT, which closes the connection without a word. [MQTT-3.1.0-1]
    ConnectMissing,
    /// CONNECT, or what was due of the authentication, did not come in time. (3.1.4)
    ConnectTimeout,
    /// A second CONNECT came. [MQTT-3.1.0-2]
    ConnectRepeated,
    /// This server's end refused the connection with this code. [MQTT-3.1.4-2]
    Rejected(ReasonCode),
    /// Nothing came for one and a half times the keep alive. [MQTT-3.1.2-24] in 3.1.1, [MQTT-3.1.2-22] in 5.0
    KeepAliveTimeout,
    /// A message came with a QoS that this server does not support. [MQTT-3.2.2-11]
    QosUnsupported,
    /// A message to be retained came, which this server does not do. [MQTT-3.2.2-14]
    RetainUnsupported,
    /// A wildcard subscription was asked for, which this server does not have. (5.0: 3.2.2.3.11)
    WildcardUnsupported,
    /// A subscription identifier was given, which this server does not have. (5.0: 3.2.2.3.12)
    SubscriptionIdentifierUnsupported,
    /// A shared subscription was asked for, which this server does not have. (5.0: 3.2.2.3.13)
    SharedUnsupported,
    /// SUBSCRIBE or UNSUBSCRIBE names more filters than `CONTROL` bytes can answer.
    RequestTooLarge,
    /// DISCONNECT wants to keep a session that was to end with its connection. (5.0: 3.14.2.2.2)
    ExpiryRaised,
    /// The application could not write the records of a durable session, as it said. What was not written is due again on the next
    /// connection.
    RecordsNotWritten,
}

impl From<BadAlias> for CloseReason {
    fn from(bad: BadAlias) -> Self {
        match bad {
            BadAlias::TooHigh => Self::TopicAliasTooHigh,
            BadAlias::Unknown => Self::TopicAliasUnknown,
            BadAlias::TopicTooLong => Self::TopicTooLong,
        }
    }
}

impl CloseReason {
    /// Whether another attempt may succeed without a change of what is asked for: the transport was lost, the peer was silent, busy,
    /// going down or overloaded, or the next `connect` takes another course by itself. Wait before it, as [`Backoff`](crate::Backoff)
    /// says. `false` for what the application asked for, for credentials and identifiers that are refused, for another client that has
    /// taken the session over, and for a peer that breaks the standard.
    ///
    /// ```
    /// use mqtt_session::{CloseReason, ReasonCode};
    /// assert!(CloseReason::ConnectionRefused(ReasonCode::ServerBusy).is_temporary());
    /// assert!(!CloseReason::ConnectionRefused(ReasonCode::BadUserNameOrPassword).is_temporary());
    /// ```
    #[must_use]
    pub const fn is_temporary(self) -> bool {
        match self {
            Self::ConnectionLost
            | Self::ConnackTimeout
            | Self::ConnectTimeout
            | Self::PingTimeout
            | Self::KeepAliveTimeout
            | Self::DisconnectTimeout
            | Self::SessionUnknown
            | Self::ReceiveMaximumExceeded
            | Self::TooManyHeld
            | Self::PayloadAborted
            | Self::PayloadTimeout => true,
            Self::ConnectionRefused(code) | Self::DisconnectedByPeer(code) => matches!(
                code,
                ReasonCode::ServerUnavailable
                    | ReasonCode::ServerBusy
                    | ReasonCode::ServerShuttingDown
                    | ReasonCode::KeepAliveTimeout
                    | ReasonCode::ReceiveMaximumExceeded
                    | ReasonCode::MessageRateTooHigh
                    | ReasonCode::QuotaExceeded
                    | ReasonCode::ConnectionRateExceeded
                    | ReasonCode::MaximumConnectTime
            ),
            _ => false,
        }
    }

    /// Whether DISCONNECT has left as the application asked.
    pub(crate) const fn is_disconnected(self) -> bool {
        matches!(self, Self::Disconnected | Self::DisconnectedIncomplete)
    }

    /// The reason code with which a 5.0 connection is closed for this cause; `None` where no DISCONNECT is sent.
    #[must_use]
    pub const fn reason_code(self) -> Option<ReasonCode> {
        match self {
            Self::NotConnected
            | Self::ConnectionLost
            | Self::ConnectionRefused(_)
            | Self::UnsupportedVersion
            | Self::DisconnectedByPeer(_)
            | Self::DisconnectTimeout
            | Self::ConnackTimeout
            | Self::PingTimeout
            | Self::PayloadAborted
            | Self::PayloadTimeout
            | Self::ConnectMissing
            | Self::ConnectTimeout
            | Self::Rejected(_) => None,
            Self::Disconnected | Self::DisconnectedIncomplete => Some(ReasonCode::NORMAL_DISCONNECTION),
            Self::Violation(violation) => Some(violation.reason_code()),
            Self::ReceiveMaximumExceeded => Some(ReasonCode::ReceiveMaximumExceeded),
            Self::TooManyHeld => Some(ReasonCode::QuotaExceeded),
            Self::MaximumPacketSizeTooSmall | Self::RecordsNotWritten => Some(ReasonCode::ImplementationSpecificError),
            Self::TopicAliasTooHigh => Some(ReasonCode::TopicAliasInvalid),
            Self::TopicTooLong | Self::RequestTooLarge => Some(ReasonCode::QuotaExceeded),
            Self::KeepAliveTimeout => Some(ReasonCode::KeepAliveTimeout),
            Self::QosUnsupported => Some(ReasonCode::QosNotSupported),
            Self::RetainUnsupported => Some(ReasonCode::RetainNotSupported),
            Self::WildcardUnsupported => Some(ReasonCode::WildcardSubscriptionsNotSupported),
            Self::SubscriptionIdentifierUnsupported => Some(ReasonCode::SubscriptionIdentifiersNotSupported),
            Self::SharedUnsupported => Some(ReasonCode::SharedSubscriptionsNotSupported),
            Self::ConnackMissing
            | Self::ConnackRepeated
            | Self::SessionNotClean
            | Self::SessionUnknown
            | Self::ClientIdentifierMissing
            | Self::AuthenticationMethodChanged
            | Self::AuthenticationUnexpected
            | Self::UnexpectedAcknowledgement
            | Self::AnswerMismatched
            | Self::PacketIdentifierReused
            | Self::TopicAliasUnknown
            | Self::ConnectRepeated
            | Self::ExpiryRaised
            | Self::DiagnosticsUnrequested => Some(ReasonCode::ProtocolError),
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotConnected => "there was no connection yet",
            Self::ConnectionLost => "the transport was lost",
            Self::Disconnected => "disconnected as asked",
            Self::DisconnectedIncomplete => "disconnected as asked, before every exchange was over",
            Self::DisconnectTimeout => "DISCONNECT did not leave in time",
            Self::ConnectionRefused(code) => return write!(f, "the server refused the connection: {code}"),
            Self::UnsupportedVersion => "the server does not speak this version",
            Self::DisconnectedByPeer(code) => return write!(f, "the peer disconnected: {code}"),
            Self::ConnackTimeout => "CONNACK did not come in time",
            Self::PingTimeout => "the server does not answer",
            Self::PayloadAborted => "the application could not go on with a payload",
            Self::PayloadTimeout => "a piece of a payload did not come in time",
            Self::Violation(violation) => return write!(f, "the peer broke a rule: {violation}"),
            Self::ConnackMissing => "a packet came before CONNACK",
            Self::ConnackRepeated => "a second CONNACK came",
            Self::SessionNotClean => "the server resumes a session though a clean start was asked for",
            Self::SessionUnknown => "the server resumes a session that is not known here",
            Self::ClientIdentifierMissing => "the server assigned no client identifier",
            Self::AuthenticationMethodChanged => "the authentication method is not that of CONNECT",
            Self::AuthenticationUnexpected => "AUTH came though none was due",
            Self::UnexpectedAcknowledgement => "an acknowledgement contradicts its exchange",
            Self::AnswerMismatched => "SUBACK or UNSUBACK does not answer its request",
            Self::PacketIdentifierReused => "the peer used a packet identifier again too early",
            Self::ReceiveMaximumExceeded => "more messages are unacknowledged than allowed",
            Self::TooManyHeld => "more messages are under way than there are places for",
            Self::TopicAliasTooHigh => "a topic alias is above the maximum",
            Self::TopicAliasUnknown => "a topic alias stands for no topic",
            Self::TopicTooLong => "the topic of an alias is longer than there is room for",
            Self::MaximumPacketSizeTooSmall => "the peer takes only packets too small for an acknowledgement",
            Self::DiagnosticsUnrequested => "the server sent diagnostics that were not asked for",
            Self::ConnectMissing => "the first packet is not CONNECT",
            Self::ConnectTimeout => "the client did not connect in time",
            Self::ConnectRepeated => "a second CONNECT came",
            Self::Rejected(code) => return write!(f, "the connection was refused: {code}"),
            Self::KeepAliveTimeout => "nothing came in for too long",
            Self::QosUnsupported => "a message came with a QoS that is not supported",
            Self::RetainUnsupported => "a message to be retained came, which is not supported",
            Self::WildcardUnsupported => "a wildcard subscription was asked for, which is not supported",
            Self::SubscriptionIdentifierUnsupported => "a subscription identifier was given, which is not supported",
            Self::SharedUnsupported => "a shared subscription was asked for, which is not supported",
            Self::RequestTooLarge => "a request names more filters than can be answered",
            Self::ExpiryRaised => "a session that ends with its connection cannot be kept",
            Self::RecordsNotWritten => "the records of the session could not be written",
        })
    }
}

impl core::error::Error for CloseReason {}

impl From<Violation> for CloseReason {
    fn from(violation: Violation) -> Self {
        match violation {
            Violation::RefusedByOlderServer => Self::UnsupportedVersion,
            _ => Self::Violation(violation),
        }
    }
}
