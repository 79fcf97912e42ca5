//! The properties of 5.0: the tables of the standard as one. (5.0: 2.2.2)

use core::fmt;

use super::kind::PacketType;
use super::list::{Element, List, Sealed};
use super::qos::QoS;
use super::reader::Reader;
use super::topic::check_topic_name;
use super::version::{Role, Version};
use super::violation::Violation;
use super::writer::Writer;

/// The properties of a packet, in their order. Always empty in 3.1.1.
///
/// The getters give the value of a property that stands at most once; [`iter`](List::iter) gives all, in wire order
/// ([MQTT-3.3.2-18], [MQTT-3.1.3-10]). A getter looks through the list anew.
pub type Properties<'a> = List<'a, Property<'a>>;

/// A packet with properties, or the will in a CONNECT, as a bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Holder {
    Will = 1,
    Connect = 1 << PacketType::Connect as u16,
    Connack = 1 << PacketType::Connack as u16,
    Publish = 1 << PacketType::Publish as u16,
    Puback = 1 << PacketType::Puback as u16,
    Pubrec = 1 << PacketType::Pubrec as u16,
    Pubrel = 1 << PacketType::Pubrel as u16,
    Pubcomp = 1 << PacketType::Pubcomp as u16,
    Subscribe = 1 << PacketType::Subscribe as u16,
    Suback = 1 << PacketType::Suback as u16,
    Unsubscribe = 1 << PacketType::Unsubscribe as u16,
    Unsuback = 1 << PacketType::Unsuback as u16,
    Disconnect = 1 << PacketType::Disconnect as u16,
    Auth = 1 << PacketType::Auth as u16,
}

const WILL: u16 = Holder::Will as u16;
const CONNECT: u16 = Holder::Connect as u16;
const CONNACK: u16 = Holder::Connack as u16;
const PUBLISH: u16 = Holder::Publish as u16;
const SUBSCRIBE: u16 = Holder::Subscribe as u16;
const UNSUBSCRIBE: u16 = Holder::Unsubscribe as u16;
const DISCONNECT: u16 = Holder::Disconnect as u16;
const AUTH: u16 = Holder::Auth as u16;

/// The holders of a reason string.
const DIAGNOSED: u16 = CONNACK
    | Holder::Puback as u16
    | Holder::Pubrec as u16
    | Holder::Pubrel as u16
    | Holder::Pubcomp as u16
    | Holder::Suback as u16
    | Holder::Unsuback as u16
    | DISCONNECT
    | AUTH;

/// The holders of user properties: all.
const EVERY: u16 = DIAGNOSED | WILL | CONNECT | PUBLISH | SUBSCRIBE | UNSUBSCRIBE;

/// The identifier of the user property.
const USER_PROPERTY: u8 = 0x26;

/// The property of one of these kinds. The last stands for all others, so that no case is left.
macro_rules! named {
    ($kind:ident, $value:ident, $name:ident) => {
        Self::$name($value)
    };
    ($kind:ident, $value:ident, $name:ident $($others:tt)+) => {
        if matches!($kind, Kind::$name) { Self::$name($value) } else { named!($kind, $value, $($others)+) }
    };
}

/// Declares the properties by the form of their values: for each form its name as a method of `Reader` and `Writer`, and its
/// type; for each property identifier, name, name in lower case, and holders. The user property, a pair that may always
/// repeat, stands apart.
macro_rules! properties {
    ($( $form:ident: $type:ty {
        $( $(#[doc = $doc:literal])+ $id:literal $name:ident $getter:ident in $holders:expr; )+
    } )+) => {
        /// A property of a 5.0 packet. (5.0: 2.2.2.2)
        ///
        /// `Debug` and `defmt` show of correlation data only the length, and nothing of authentication data.
        #[non_exhaustive]
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Property<'a> {
            $($( $(#[doc = $doc])+ $name($type), )+)+
            /// A name and a value whose meaning is the application's. Repeats and their order are kept.
            /// [MQTT-3.3.2-18]
            UserProperty(&'a str, &'a str),
        }

        /// A property without its value. Those whose values have one form have numbers in a row.
        #[derive(Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        enum Kind {
            $($( $name, )+)+
            UserProperty,
        }

        impl Kind {
            /// By their property identifiers.
            #[expect(clippy::indexing_slicing, reason = "in a constant, where an index out of bounds does not compile")]
            const ALL: [Option<Self>; 0x2B] = {
                let mut all = [None; 0x2B];
                $($( all[$id] = Some(Self::$name); )+)+
                all[USER_PROPERTY as usize] = Some(Self::UserProperty);
                all
            };

            const fn holders(self) -> u16 {
                match self {
                    $($( Self::$name => $holders, )+)+
                    Self::UserProperty => EVERY,
                }
            }
        }

        impl<'a> Property<'a> {
            /// The property identifier.
            #[must_use]
            #[inline(never)]
            pub const fn identifier(&self) -> u8 {
                match self {
                    $($( Self::$name(_) => $id, )+)+
                    Self::UserProperty(..) => USER_PROPERTY,
                }
            }

            /// The name that the standard gives the property, in lower case with underscores.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self {
                    $($( Self::$name(_) => stringify!($getter), )+)+
                    Self::UserProperty(..) => "user_property",
                }
            }

            const fn kind(&self) -> Kind {
                match self {
                    $($( Self::$name(_) => Kind::$name, )+)+
                    Self::UserProperty(..) => Kind::UserProperty,
                }
            }

            /// Takes the value of a property of this kind.
            fn read_value(kind: Kind, from: &mut Reader<'a>) -> Self {
                match kind {
                    $( $( Kind::$name )|+ => {
                        let value = from.$form();
                        named!(kind, value, $( $name )+)
                    } )+
                    Kind::UserProperty => Self::UserProperty(from.text(), from.text()),
                }
            }
        }

        impl<'a> Element<'a> for Property<'a> {
            fn read(from: &mut Reader<'a>) -> Self {
                // Without 5.0 there is no property.
                let identifier = if cfg!(feature = "v5") { from.variable() } else { 0 };
                match Kind::of_identifier(identifier) {
                    Some(kind) => Self::read_value(kind, from),
                    None => {
                        from.fail(Violation::PropertyUnknown);
                        Self::UserProperty("", "")
                    }
                }
            }

            fn write(&self, to: &mut Writer<'_>) {
                to.byte(self.identifier());
                match *self {
                    $( $( Self::$name(value) )|+ => to.$form(value), )+
                    Self::UserProperty(name, value) => to.pair(name, value),
                }
            }
        }

        impl<'a> Properties<'a> {
            $($(
                $(#[doc = $doc])+
                #[must_use]
                pub fn $getter(&self) -> Option<$type> {
                    match self.find(Kind::$name)? {
                        Property::$name(value) => Some(value),
                        _ => None,
                    }
                }
            )+)+
        }

        impl fmt::Debug for Property<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut shown = f.debug_tuple(self.name());
                match self {
                    Self::CorrelationData(data) => shown.field(&Unshown(data)),
                    Self::AuthenticationData(_) => shown.field(&Secret),
                    Self::UserProperty(name, value) => shown.field(name).field(value),
                    $($(
                        #[allow(unreachable_patterns, reason = "two of them are shown above")]
                        Self::$name(value) => shown.field(value),
                    )+)+
                }
                .finish()
            }
        }

        #[cfg(feature = "defmt")]
        impl defmt::Format for Property<'_> {
            fn format(&self, f: defmt::Formatter<'_>) {
                defmt::write!(f, "{=str}(", self.name());
                match self {
                    Self::CorrelationData(data) => Unshown(data).format(f),
                    Self::AuthenticationData(_) => Secret.format(f),
                    Self::UserProperty(name, value) => defmt::write!(f, "{=str}, {=str}", name, value),
                    $($(
                        #[allow(unreachable_patterns, reason = "two of them are shown above")]
                        Self::$name(value) => value.format(f),
                    )+)+
                }
                defmt::write!(f, ")");
            }
        }
    };
}

properties! {
    property_flag: bool {
        /// Whether the payload is UTF-8 text. Absent: it is not known to be. (3.3.2.3.2)
        0x01 PayloadFormatIndicator payload_format_indicator in PUBLISH | WILL;
        /// Whether the server may send reason strings and user properties with every packet. Absent: yes. [MQTT-3.1.2-29]
        0x17 RequestProblemInformation request_problem_information in CONNECT;
        /// Whether the client asks for response information. Absent: no. [MQTT-3.1.2-28]
        0x19 RequestResponseInformation request_response_information in CONNECT;
        /// Whether the server retains messages. Absent: yes. [MQTT-3.2.2-14]
        0x25 RetainAvailable retain_available in CONNACK;
        /// Whether the server has wildcard subscriptions. Absent: yes. (3.2.2.3.11)
        0x28 WildcardSubscriptionAvailable wildcard_subscription_available in CONNACK;
        /// Whether the server has subscription identifiers. Absent: yes. (3.2.2.3.12)
        0x29 SubscriptionIdentifierAvailable subscription_identifier_available in CONNACK;
        /// Whether the server has shared subscriptions. Absent: yes. (3.2.2.3.13)
        0x2A SharedSubscriptionAvailable shared_subscription_available in CONNACK;
    }
    maximum_qos: QoS {
        /// The highest QoS that the server supports: 0 or 1. Absent: 2. [MQTT-3.2.2-9]
        0x24 MaximumQos maximum_qos in CONNACK;
    }
    two: u16 {
        /// The keep alive in seconds that the client must use. [MQTT-3.2.2-21]
        0x13 ServerKeepAlive server_keep_alive in CONNACK;
        /// How many messages of QoS 1 and 2 may be unacknowledged; never 0. Absent: 65,535. (3.1.2.11.3)
        0x21 ReceiveMaximum receive_maximum in CONNECT | CONNACK;
        /// The highest topic alias that the sender of this property accepts. Absent: 0, none. (3.1.2.11.5)
        0x22 TopicAliasMaximum topic_alias_maximum in CONNECT | CONNACK;
        /// The number that stands for the topic; never 0. [MQTT-3.3.2-8]
        0x23 TopicAlias topic_alias in PUBLISH;
    }
    four: u32 {
        /// The lifetime of the message in seconds. Absent: it does not expire. (3.3.2.3.3)
        0x02 MessageExpiryInterval message_expiry_interval in PUBLISH | WILL;
        /// How many seconds the session outlives the connection; `0xFFFF_FFFF`: for ever. Absent: 0 in CONNECT, elsewhere
        /// the value of CONNECT. (3.1.2.11.2)
        0x11 SessionExpiryInterval session_expiry_interval in CONNECT | CONNACK | DISCONNECT;
        /// The seconds by which the server delays the will. Absent: 0. (3.1.3.2.2)
        0x18 WillDelayInterval will_delay_interval in WILL;
        /// The largest packet in bytes that the sender of this property accepts; never 0. Absent: no limit.
        /// (3.1.2.11.4)
        0x27 MaximumPacketSize maximum_packet_size in CONNECT | CONNACK;
    }
    variable: u32 {
        /// The number of a subscription that the message matches: 1 to 268,435,455. A PUBLISH may carry several, a
        /// SUBSCRIBE one. [MQTT-3.3.4-4]
        0x0B SubscriptionIdentifier subscription_identifier in PUBLISH | SUBSCRIBE;
    }
    text: &'a str {
        /// What the payload is, for example a MIME type. [MQTT-3.3.2-19]
        0x03 ContentType content_type in PUBLISH | WILL;
        /// The topic for a response: a topic name. [MQTT-3.3.2-13], [MQTT-3.3.2-14]
        0x08 ResponseTopic response_topic in PUBLISH | WILL;
        /// The client identifier that the server chose for a client that gave none. [MQTT-3.2.2-16]
        0x12 AssignedClientIdentifier assigned_client_identifier in CONNACK;
        /// The method of the enhanced authentication. [MQTT-4.12.0-5]
        0x15 AuthenticationMethod authentication_method in CONNECT | CONNACK | AUTH;
        /// A basis for response topics. (3.2.2.3.15)
        0x1A ResponseInformation response_information in CONNACK;
        /// Other servers to use. (3.2.2.3.16)
        0x1C ServerReference server_reference in CONNACK | DISCONNECT;
        /// A diagnostic text. (3.4.2.2.2 and the like)
        0x1F ReasonString reason_string in DIAGNOSED;
    }
    binary: &'a [u8] {
        /// What tells the requester which request a response answers. (3.3.2.3.6)
        0x09 CorrelationData correlation_data in PUBLISH | WILL;
        /// Data of the enhanced authentication; a secret. (3.1.2.11.10)
        0x16 AuthenticationData authentication_data in CONNECT | CONNACK | AUTH;
    }
}

impl Sealed for Property<'_> {}

impl Kind {
    #[inline(never)]
    fn of_identifier(identifier: u32) -> Option<Self> {
        usize::try_from(identifier).ok().and_then(|identifier| Self::ALL.get(identifier)).copied().flatten()
    }
}

impl Property<'_> {
    /// What the value of a property may not be, apart from its form.
    fn check_value(&self) -> Result<(), Violation> {
        match *self {
            Self::ReceiveMaximum(0) => Err(Violation::ReceiveMaximumZero),
            Self::MaximumPacketSize(0) => Err(Violation::MaximumPacketSizeZero),
            Self::MaximumQos(QoS::ExactlyOnce) => Err(Violation::MaximumQosInvalid),
            Self::TopicAlias(0) => Err(Violation::TopicAliasZero),
            Self::SubscriptionIdentifier(0) => Err(Violation::SubscriptionIdentifierZero),
            Self::ResponseTopic(topic) => check_topic_name(topic),
            _ => Ok(()),
        }
    }

    /// What the standard forbids one end to say in a packet that both ends send.
    const fn check_sender(&self, holder: Holder, to: Role) -> Result<(), Violation> {
        match (self, holder, to) {
            (Self::SubscriptionIdentifier(_), Holder::Publish, Role::Server) => {
                Err(Violation::SubscriptionIdentifierFromClient)
            }
            (Self::SessionExpiryInterval(_), Holder::Disconnect, Role::Client) => {
                Err(Violation::SessionExpiryFromServer)
            }
            (Self::ServerReference(_), Holder::Disconnect, Role::Server) => Err(Violation::ServerReferenceFromClient),
            _ => Ok(()),
        }
    }

    const fn may_repeat_in(&self, holder: Holder) -> bool {
        match self {
            Self::UserProperty(..) => true,
            Self::SubscriptionIdentifier(_) => matches!(holder, Holder::Publish),
            _ => false,
        }
    }
}

impl<'a> Properties<'a> {
    /// These properties in 5.0, none in 3.1.1: for a program that speaks either.
    ///
    /// ```
    /// use mqtt_session::{Connect, Properties, Property, Publish, Version};
    ///
    /// /// A session that outlives its connection by an hour at least, in either version.
    /// fn lasting(version: Version, client_id: &str) -> Connect<'_> {
    ///     let properties = Properties::for_version(version, &[Property::SessionExpiryInterval(3600)]);
    ///     Connect { clean_start: false, properties, ..Connect::new(version, client_id) }
    /// }
    ///
    /// # #[cfg(feature = "v5")]
    /// assert_eq!(lasting(Version::V5, "meter-7").properties.session_expiry_interval(), Some(3600));
    /// # #[cfg(feature = "v311")]
    /// assert!(lasting(Version::V311, "meter-7").properties.is_empty());
    /// ```
    #[must_use]
    pub const fn for_version(version: Version, properties: &'a [Property<'a>]) -> Self {
        if version.is_v5() { Self::of(properties) } else { Self::EMPTY }
    }

    // What all getters have in common.
    #[inline(never)]
    fn find(&self, kind: Kind) -> Option<Property<'a>> {
        let mut properties = self.iter();
        loop {
            let property = properties.next();
            if property.is_none_or(|property| property.kind() == kind) {
                return property;
            }
        }
    }

    /// The numbers of all subscriptions that a message matches. [MQTT-3.3.4-3]
    pub fn subscription_identifiers(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.iter().filter_map(|property| match property {
            Property::SubscriptionIdentifier(value) => Some(value),
            _ => None,
        })
    }

    /// All user properties, in their order. [MQTT-3.3.2-18]
    pub fn user_properties(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.iter().filter_map(|property| match property {
            Property::UserProperty(name, value) => Some((name, value)),
            _ => None,
        })
    }
}

/// The properties of one packet, admitted one by one: the same rules for what is received and for what is sent.
struct Admission {
    holder: Holder,
    to: Role,
    /// A bit for each kind of property.
    seen: u32,
}

impl Admission {
    const fn new(holder: Holder, to: Role) -> Self {
        Self { holder, to, seen: 0 }
    }

    /// Takes all properties of a packet that was received: the rest of `from`.
    fn read_all(&mut self, from: &mut Reader<'_>) {
        while !from.is_empty() {
            let identifier = from.variable();
            let Some(kind) = Kind::of_identifier(identifier) else { return from.fail(Violation::PropertyUnknown) };
            from.check(self.check_holder(kind));
            let property = Property::read_value(kind, from);
            from.check(self.check(&property));
        }
        from.check(self.finish());
    }

    /// Takes all properties of a packet that is to be sent.
    fn admit_all(&mut self, properties: &Properties<'_>) -> Result<(), Violation> {
        for property in properties.iter() {
            self.check_holder(property.kind())?;
            self.check(&property)?;
        }
        self.finish()
    }

    /// Checks the identifier alone: a misplaced property is that, whatever its value.
    const fn check_holder(&self, kind: Kind) -> Result<(), Violation> {
        if kind.holders() & self.holder as u16 == 0 { Err(Violation::PropertyNotAllowed) } else { Ok(()) }
    }

    /// Checks a property that is in its place.
    fn check(&mut self, property: &Property<'_>) -> Result<(), Violation> {
        property.check_sender(self.holder, self.to)?;
        if self.repeats(property.kind()) && !property.may_repeat_in(self.holder) {
            return Err(Violation::PropertyRepeated);
        }
        property.check_value()
    }

    /// Notes a property; tells whether it was there before.
    const fn repeats(&mut self, kind: Kind) -> bool {
        let was_seen = self.has(kind);
        self.seen |= bit(kind);
        was_seen
    }

    /// What the standard demands of all properties of the packet together.
    fn finish(&self) -> Result<(), Violation> {
        let method = self.has(Kind::AuthenticationMethod);
        match self.holder {
            Holder::Connect if self.has(Kind::AuthenticationData) && !method => Err(Violation::AuthenticationDataAlone),
            Holder::Auth if !method => Err(Violation::AuthenticationMethodMissing),
            _ => Ok(()),
        }
    }

    const fn has(&self, kind: Kind) -> bool {
        self.seen & bit(kind) != 0
    }
}

impl<'a> Reader<'a> {
    /// The properties of `holder` behind their length; none in 3.1.1.
    pub(crate) fn properties(&mut self, holder: Holder) -> Properties<'a> {
        List::checked(if self.version.is_v5() { self.property_bytes(holder) } else { &[] })
    }

    /// The same for a packet that need not have any, and mostly has none.
    // Part of what reads the packet, so that the list need not go through memory.
    #[inline]
    pub(crate) fn rare_properties(&mut self, holder: Holder) -> Properties<'a> {
        List::checked(match self.rest().first() {
            _ if !self.version.is_v5() => &[],
            Some(0) => {
                self.byte();
                &[]
            }
            _ => self.property_bytes(holder),
        })
    }

    #[inline(never)]
    fn property_bytes(&mut self, holder: Holder) -> &'a [u8] {
        let len = self.variable();
        let mut bytes = &[][..];
        self.within(usize::try_from(len).unwrap_or(usize::MAX), |block| {
            bytes = block.rest();
            Admission::new(holder, block.to).read_all(block);
        });
        bytes
    }

    fn property_flag(&mut self) -> bool {
        self.flag(Violation::PropertyNotFlag)
    }

    fn maximum_qos(&mut self) -> QoS {
        let byte = self.byte();
        self.qos(QoS::of_bits(byte), Violation::MaximumQosInvalid)
    }
}

impl Writer<'_> {
    /// The properties of `holder` behind their length; in 3.1.1 there may be none.
    pub(crate) fn properties(&mut self, holder: Holder, properties: &Properties<'_>) {
        self.properties_and(holder, properties, &Properties::EMPTY);
    }

    /// The same, and behind them those that are `announced`, which are sound.
    pub(crate) fn properties_and(&mut self, holder: Holder, properties: &Properties<'_>, announced: &Properties<'_>) {
        let is_empty = properties.is_empty() & announced.is_empty();
        if !self.is_v5_or_without(!is_empty) {
            return;
        }
        let to = self.to;
        self.check(|| Admission::new(holder, to).admit_all(properties));
        let all = |to: &mut Self| {
            properties.write(to);
            announced.write(to);
        };
        let len = self.measure(all);
        // What is longer than that is too long in any case.
        self.variable(u32::try_from(len).unwrap_or(u32::MAX));
        all(self);
    }

    /// Those of a packet that need not have any, and mostly has none.
    #[inline]
    pub(crate) fn rare_properties(&mut self, holder: Holder, properties: &Properties<'_>) {
        if !properties.is_empty() {
            self.properties(holder, properties);
        } else if self.version.is_v5() {
            self.byte(0);
        }
    }

    fn property_flag(&mut self, value: bool) {
        self.flag(value);
    }

    fn maximum_qos(&mut self, qos: QoS) {
        self.byte(qos as u8);
    }
}

/// CONNECT or CONNACK, and the properties by which a session itself tells how much it takes. They follow those of the packet.
pub(crate) struct Announcing<'p, P> {
    pub(crate) packet: P,
    pub(crate) announced: Properties<'p>,
}

/// Bytes that do not belong into a log; shows their number.
pub(crate) struct Unshown<'a>(pub(crate) &'a [u8]);

impl fmt::Debug for Unshown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} bytes]", self.0.len())
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Unshown<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "[{=usize} bytes]", self.0.len());
    }
}

/// Bytes of which not even the number belongs into a log.
pub(crate) struct Secret;

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Secret {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "[hidden]");
    }
}

/// That of a kind, of which there are fewer than 32.
const fn bit(kind: Kind) -> u32 {
    1u32.wrapping_shl(kind as u32)
}
