//! SUBSCRIBE, SUBACK, UNSUBSCRIBE and UNSUBACK. (3.8 to 3.11)

use super::kind::PacketType;
use super::list::{Element, List, Sealed};
use super::property::{Holder, Properties};
use super::qos::QoS;
use super::reader::{PacketId, Reader};
use super::reason::{Carrier, ReasonCode};
use super::topic::{check_topic_filter, shared_subscription};
use super::version::Version;
use super::violation::Violation;
use super::writer::{Fault, Layout, Writer};

/// SUBSCRIBE: asks for the messages of topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SubscribePacket<'a> {
    /// What SUBACK repeats. [MQTT-3.8.4-2]
    pub packet_id: PacketId,
    /// The properties; none in 3.1.1.
    pub properties: Properties<'a>,
    /// What is asked for: at least one. [MQTT-3.8.3-3] in 3.1.1, [MQTT-3.8.3-2] in 5.0
    pub subscriptions: List<'a, Subscription<'a>>,
}

/// A topic filter and the options of the subscription to it.
///
/// ```
/// use mqtt_session::{QoS, Subscription};
/// let plain = Subscription::new("sport/#", QoS::AtLeastOnce);
/// let quiet = Subscription { no_local: true, ..plain };
/// # assert_eq!(quiet.filter, plain.filter);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Subscription<'a> {
    /// The topic filter. [MQTT-3.8.3-1]
    pub filter: &'a str,
    /// The highest QoS at which messages are to be sent.
    pub qos: QoS,
    /// Whether the client's own messages stay away; 5.0 only, not with a shared subscription. [MQTT-3.8.3-3],
    /// [MQTT-3.8.3-4]
    pub no_local: bool,
    /// Whether messages keep the RETAIN flag of their publication; 5.0 only. [MQTT-3.3.1-13]
    pub retain_as_published: bool,
    /// When retained messages are sent; 5.0 only.
    pub retain_handling: RetainHandling,
}

/// When a server sends the retained messages of a new subscription. (5.0: 3.8.3.1)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum RetainHandling {
    /// With each SUBSCRIBE. [MQTT-3.3.1-9]
    #[default]
    Send = 0,
    /// Where there was no subscription to this filter before. [MQTT-3.3.1-10]
    SendIfNew = 1,
    /// Never. [MQTT-3.3.1-11]
    DoNotSend = 2,
}

impl<'a> Subscription<'a> {
    const NO_LOCAL: u8 = 1 << 2;
    const RETAIN_AS_PUBLISHED: u8 = 1 << 3;
    const RESERVED: u8 = 0b1100_0000;

    /// The subscription without the options of 5.0.
    #[must_use]
    pub const fn new(filter: &'a str, qos: QoS) -> Self {
        Self { filter, qos, no_local: false, retain_as_published: false, retain_handling: RetainHandling::Send }
    }

    /// The byte that follows the topic filter. (3.8.3.1)
    const fn options(&self) -> u8 {
        let no_local = if self.no_local { Self::NO_LOCAL } else { 0 };
        let retain_as_published = if self.retain_as_published { Self::RETAIN_AS_PUBLISHED } else { 0 };
        self.qos as u8 | no_local | retain_as_published | (self.retain_handling as u8) << 4
    }

    const fn of_options(version: Version, filter: &'a str, options: u8) -> Result<Self, Violation> {
        if options & Self::RESERVED != 0 || (!version.is_v5() && options > QoS::ExactlyOnce as u8) {
            return Err(Violation::SubscriptionOptionsReserved);
        }
        let Some(qos) = QoS::of_bits(options & 0b11) else {
            return Err(Violation::SubscriptionQosReserved);
        };
        let retain_handling = match options >> 4 & 0b11 {
            0 => RetainHandling::Send,
            1 => RetainHandling::SendIfNew,
            2 => RetainHandling::DoNotSend,
            _ => return Err(Violation::RetainHandlingReserved),
        };
        Ok(Self {
            filter,
            qos,
            no_local: options & Self::NO_LOCAL != 0,
            retain_as_published: options & Self::RETAIN_AS_PUBLISHED != 0,
            retain_handling,
        })
    }

    fn check(&self, version: Version) -> Result<(), Violation> {
        check_topic_filter(version, self.filter)?;
        if self.no_local && shared_subscription(self.filter).is_some() {
            return Err(Violation::NoLocalOnShared);
        }
        Ok(())
    }
}

impl Sealed for Subscription<'_> {}

impl<'a> Element<'a> for Subscription<'a> {
    fn read(from: &mut Reader<'a>) -> Self {
        let filter = from.text();
        let options = from.byte();
        Self::of_options(from.version, filter, options).unwrap_or_else(|violation| {
            from.fail(violation);
            Self::new(filter, QoS::AtMostOnce)
        })
    }

    fn write(&self, to: &mut Writer<'_>) {
        let version = to.version;
        to.is_v5_or_without(self.options() != self.qos as u8);
        to.check(|| self.check(version));
        to.text(self.filter);
        to.byte(self.options());
    }
}

impl<'a> SubscribePacket<'a> {
    pub(crate) fn read(reader: &mut Reader<'a>) -> Self {
        let packet_id = reader.packet_id();
        let properties = reader.properties(Holder::Subscribe);
        let version = reader.version;
        let subscriptions = reader.some(Violation::SubscribeEmpty, |from| {
            let subscription = Subscription::read(from);
            from.check(subscription.check(version));
        });
        Self { packet_id, properties, subscriptions }
    }
}

impl Layout for SubscribePacket<'_> {
    fn first_byte(&self) -> u8 {
        PacketType::Subscribe.first_byte()
    }

    fn body(&self, to: &mut Writer<'_>) {
        to.packet_id(self.packet_id);
        to.properties(Holder::Subscribe, &self.properties);
        to.some(self.subscriptions, Violation::SubscribeEmpty);
    }
}

/// SUBSCRIBE or UNSUBSCRIBE, made from a slice of what is asked for: what reads a packet is not built for it.
pub(crate) struct Request<'a, T> {
    pub(crate) packet_id: PacketId,
    pub(crate) properties: Properties<'a>,
    pub(crate) elements: &'a [T],
}

impl Layout for Request<'_, Subscription<'_>> {
    fn first_byte(&self) -> u8 {
        PacketType::Subscribe.first_byte()
    }

    fn body(&self, to: &mut Writer<'_>) {
        to.packet_id(self.packet_id);
        to.properties(Holder::Subscribe, &self.properties);
        to.some(self.elements.iter().copied(), Violation::SubscribeEmpty);
    }
}

impl Layout for Request<'_, &str> {
    fn first_byte(&self) -> u8 {
        PacketType::Unsubscribe.first_byte()
    }

    fn body(&self, to: &mut Writer<'_>) {
        to.packet_id(self.packet_id);
        to.properties(Holder::Unsubscribe, &self.properties);
        to.some(self.elements.iter().copied(), Violation::UnsubscribeEmpty);
    }
}

/// UNSUBSCRIBE: ends subscriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct UnsubscribePacket<'a> {
    /// What UNSUBACK repeats. [MQTT-3.10.4-4] in 3.1.1, [MQTT-3.10.4-5] in 5.0
    pub packet_id: PacketId,
    /// The properties; none in 3.1.1.
    pub properties: Properties<'a>,
    /// The filters of the subscriptions to end: at least one. [MQTT-3.10.3-2]
    pub filters: List<'a, &'a str>,
}

impl<'a> UnsubscribePacket<'a> {
    pub(crate) fn read(reader: &mut Reader<'a>) -> Self {
        let packet_id = reader.packet_id();
        let properties = reader.properties(Holder::Unsubscribe);
        let version = reader.version;
        let filters = reader.some(Violation::UnsubscribeEmpty, |from| {
            let filter = from.text();
            from.check(check_topic_filter(version, filter));
        });
        Self { packet_id, properties, filters }
    }
}

impl Layout for UnsubscribePacket<'_> {
    fn first_byte(&self) -> u8 {
        PacketType::Unsubscribe.first_byte()
    }

    fn body(&self, to: &mut Writer<'_>) {
        to.packet_id(self.packet_id);
        to.properties(Holder::Unsubscribe, &self.properties);
        to.some(self.filters, Violation::UnsubscribeEmpty);
    }
}

impl Sealed for &str {}

/// A topic filter.
impl<'a> Element<'a> for &'a str {
    fn read(from: &mut Reader<'a>) -> Self {
        from.text()
    }

    fn write(&self, to: &mut Writer<'_>) {
        let version = to.version;
        to.check(|| check_topic_filter(version, self));
        to.text(self);
    }
}

/// SUBACK: the outcome of each subscription of a SUBSCRIBE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Suback<'a> {
    /// The identifier of the SUBSCRIBE. [MQTT-2.3.1-7] in 3.1.1, [MQTT-2.2.1-6] in 5.0
    pub packet_id: PacketId,
    /// The properties; none in 3.1.1.
    pub properties: Properties<'a>,
    /// The granted QoS or the failure, in the order of the subscriptions. [MQTT-3.9.3-1]
    pub reason_codes: List<'a, ReasonCode>,
}

impl<'a> Suback<'a> {
    const CODES: (Carrier, Violation) = (Carrier::Suback, Violation::SubackCodeReserved);

    pub(crate) fn read(reader: &mut Reader<'a>) -> Self {
        let packet_id = reader.packet_id();
        let properties = reader.properties(Holder::Suback);
        let version = reader.version;
        let reason_codes = reader.some(Violation::SubackEmpty, |from| {
            let code = from.reason_code(Self::CODES);
            from.check(Self::check_code(version, code));
        });
        Self { packet_id, properties, reason_codes }
    }

    /// 3.1.1 knows one way to fail. [MQTT-3.9.3-2]
    const fn check_code(version: Version, code: ReasonCode) -> Result<(), Violation> {
        match code {
            ReasonCode::Success | ReasonCode::GrantedQos1 | ReasonCode::GrantedQos2 | ReasonCode::UnspecifiedError => {
                Ok(())
            }
            _ if version.is_v5() && code.is_allowed_in(Carrier::Suback) => Ok(()),
            _ => Err(Violation::SubackCodeReserved),
        }
    }
}

impl Layout for Suback<'_> {
    fn first_byte(&self) -> u8 {
        PacketType::Suback.first_byte()
    }

    fn body(&self, to: &mut Writer<'_>) {
        let version = to.version;
        to.packet_id(self.packet_id);
        to.properties(Holder::Suback, &self.properties);
        to.check(|| self.reason_codes.iter().try_for_each(|code| Self::check_code(version, code)));
        to.some(self.reason_codes, Violation::SubackEmpty);
    }
}

/// UNSUBACK: the outcome of each filter of an UNSUBSCRIBE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Unsuback<'a> {
    /// The identifier of the UNSUBSCRIBE. [MQTT-2.3.1-7] in 3.1.1, [MQTT-2.2.1-6] in 5.0
    pub packet_id: PacketId,
    /// The properties; none in 3.1.1.
    pub properties: Properties<'a>,
    /// The outcomes in the order of the filters ([MQTT-3.11.3-1]); none in 3.1.1.
    pub reason_codes: List<'a, ReasonCode>,
}

impl<'a> Unsuback<'a> {
    const CODES: (Carrier, Violation) = (Carrier::Unsuback, Violation::UnsubackCodeReserved);

    pub(crate) fn read(reader: &mut Reader<'a>) -> Self {
        let packet_id = reader.packet_id();
        let mut packet = Self { packet_id, properties: Properties::EMPTY, reason_codes: List::EMPTY };
        if reader.version.is_v5() {
            packet.properties = reader.properties(Holder::Unsuback);
            packet.reason_codes = reader.some(Violation::UnsubackEmpty, |from| {
                from.reason_code(Self::CODES);
            });
        }
        packet
    }
}

impl Layout for Unsuback<'_> {
    fn first_byte(&self) -> u8 {
        PacketType::Unsuback.first_byte()
    }

    fn body(&self, to: &mut Writer<'_>) {
        to.packet_id(self.packet_id);
        to.properties(Holder::Unsuback, &self.properties);
        if to.is_v5_or_without(!self.reason_codes.is_empty()) {
            let (carrier, rule) = Self::CODES;
            to.check(|| self.reason_codes.iter().all(|code| code.is_allowed_in(carrier)).then_some(()).ok_or(rule));
            to.some(self.reason_codes, Violation::UnsubackEmpty);
        }
    }
}

impl Sealed for ReasonCode {}

impl<'a> Element<'a> for ReasonCode {
    fn read(from: &mut Reader<'a>) -> Self {
        // SUBACK and UNSUBACK check their codes when they are decoded.
        Self::of_byte(from.byte()).unwrap_or_default()
    }

    fn write(&self, to: &mut Writer<'_>) {
        to.byte(*self as u8);
    }
}

impl Writer<'_> {
    /// Elements; that there are none breaks `rule`.
    fn some<'a, T: Element<'a>>(&mut self, elements: impl IntoIterator<Item = T>, rule: Violation) {
        let mut is_empty = true;
        for element in elements {
            is_empty = false;
            element.write(self);
        }
        if is_empty {
            self.fail(Fault::Forbidden(rule));
        }
    }
}
