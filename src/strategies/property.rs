//! Properties: which packet may have which, and every value that they may have.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::wire::{Property, QoS};

use super::alloc::borrow::ToOwned;
use super::alloc::string::String;
use super::alloc::vec;
use super::alloc::vec::Vec;
use super::text::{Limits, binary, text, topic_name};

/// A property and the form of its value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    Flag(fn(bool) -> Property<'static>),
    /// With the least value.
    Short(fn(u16) -> Property<'static>, u16),
    /// With the least value.
    Long(fn(u32) -> Property<'static>, u32),
    SubscriptionIdentifier,
    MaximumQos,
    Text(OfText),
    Topic(OfText),
    Binary(OfBinary),
    User,
}

type OfText = for<'a> fn(&'a str) -> Property<'a>;
type OfBinary = for<'a> fn(&'a [u8]) -> Property<'a>;

/// A property that owns its value.
#[derive(Clone, Debug)]
pub(super) enum Owned {
    Number(Property<'static>),
    Text(OfText, String),
    Binary(OfBinary, Vec<u8>),
    User(String, String),
}

impl Owned {
    pub(super) fn property(&self) -> Property<'_> {
        match self {
            Self::Number(property) => *property,
            Self::Text(of, text) => of(text),
            Self::Binary(of, bytes) => of(bytes),
            Self::User(name, value) => Property::UserProperty(name, value),
        }
    }
}

pub(super) fn borrowed(properties: &[Owned]) -> Vec<Property<'_>> {
    properties.iter().map(Owned::property).collect()
}

/// Some of these, each at most once, among some user properties, in any order.
pub(super) fn properties(limits: Limits, forms: &[Form]) -> BoxedStrategy<Vec<Owned>> {
    let some: Vec<_> = forms.iter().map(|form| option::weighted(0.4, form.value(limits))).collect();
    let further = vec(Form::User.value(limits), 0..3);
    let properties = (some, further)
        .prop_map(|(some, further)| some.into_iter().flatten().chain(further).collect::<Vec<_>>())
        .prop_shuffle();
    prop_oneof![1 => Just(Vec::new()), 2 => properties].boxed()
}

/// Authentication data needs a method beside it. (5.0: 3.1.2.11.10)
pub(super) fn with_method_for_data(mut properties: Vec<Owned>) -> Vec<Owned> {
    let has = |test: fn(&Property<'_>) -> bool| properties.iter().any(|owned| test(&owned.property()));
    if has(|it| matches!(it, Property::AuthenticationData(_)))
        && !has(|it| matches!(it, Property::AuthenticationMethod(_)))
    {
        properties.push(Owned::Text(|text| Property::AuthenticationMethod(text), "added".to_owned()));
    }
    properties
}

impl Form {
    /// The property with any value that it may have.
    pub(super) fn value(self, limits: Limits) -> BoxedStrategy<Owned> {
        match self {
            Self::Flag(of) => any::<bool>().prop_map(move |flag| Owned::Number(of(flag))).boxed(),
            Self::Short(of, least) => (least..=u16::MAX).prop_map(move |number| Owned::Number(of(number))).boxed(),
            Self::Long(of, least) => (least..=u32::MAX).prop_map(move |number| Owned::Number(of(number))).boxed(),
            Self::SubscriptionIdentifier => {
                let edges = select(vec![1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455]);
                let numbers = prop_oneof![edges, 1..=268_435_455_u32];
                numbers.prop_map(|number| Owned::Number(Property::SubscriptionIdentifier(number))).boxed()
            }
            Self::MaximumQos => select(vec![QoS::AtMostOnce, QoS::AtLeastOnce])
                .prop_map(|qos| Owned::Number(Property::MaximumQos(qos)))
                .boxed(),
            Self::Text(of) => text(limits.text).prop_map(move |text| Owned::Text(of, text)).boxed(),
            Self::Topic(of) => topic_name(limits.text).prop_map(move |text| Owned::Text(of, text)).boxed(),
            Self::Binary(of) => binary(limits.binary).prop_map(move |bytes| Owned::Binary(of, bytes)).boxed(),
            Self::User => {
                (text(limits.text), text(limits.text)).prop_map(|(name, value)| Owned::User(name, value)).boxed()
            }
        }
    }
}

pub(super) const AUTHENTICATION_METHOD: Form = Form::Text(|text| Property::AuthenticationMethod(text));
const AUTHENTICATION_DATA: Form = Form::Binary(|data| Property::AuthenticationData(data));
const REASON_STRING: Form = Form::Text(|text| Property::ReasonString(text));
const SERVER_REFERENCE: Form = Form::Text(|text| Property::ServerReference(text));
const SESSION_EXPIRY_INTERVAL: Form = Form::Long(Property::SessionExpiryInterval, 0);
const RECEIVE_MAXIMUM: Form = Form::Short(Property::ReceiveMaximum, 1);
const TOPIC_ALIAS_MAXIMUM: Form = Form::Short(Property::TopicAliasMaximum, 0);
const MAXIMUM_PACKET_SIZE: Form = Form::Long(Property::MaximumPacketSize, 1);
const PAYLOAD_FORMAT_INDICATOR: Form = Form::Flag(Property::PayloadFormatIndicator);
const MESSAGE_EXPIRY_INTERVAL: Form = Form::Long(Property::MessageExpiryInterval, 0);
const CONTENT_TYPE: Form = Form::Text(|text| Property::ContentType(text));
const RESPONSE_TOPIC: Form = Form::Topic(|text| Property::ResponseTopic(text));
const CORRELATION_DATA: Form = Form::Binary(|data| Property::CorrelationData(data));

pub(super) const CONNECT: &[Form] = &[
    SESSION_EXPIRY_INTERVAL,
    AUTHENTICATION_METHOD,
    AUTHENTICATION_DATA,
    Form::Flag(Property::RequestProblemInformation),
    Form::Flag(Property::RequestResponseInformation),
    RECEIVE_MAXIMUM,
    TOPIC_ALIAS_MAXIMUM,
    MAXIMUM_PACKET_SIZE,
];

pub(super) const WILL: &[Form] = &[
    PAYLOAD_FORMAT_INDICATOR,
    MESSAGE_EXPIRY_INTERVAL,
    CONTENT_TYPE,
    RESPONSE_TOPIC,
    CORRELATION_DATA,
    Form::Long(Property::WillDelayInterval, 0),
];

pub(super) const CONNACK: &[Form] = &[
    SESSION_EXPIRY_INTERVAL,
    Form::Text(|text| Property::AssignedClientIdentifier(text)),
    Form::Short(Property::ServerKeepAlive, 0),
    AUTHENTICATION_METHOD,
    AUTHENTICATION_DATA,
    Form::Text(|text| Property::ResponseInformation(text)),
    SERVER_REFERENCE,
    REASON_STRING,
    RECEIVE_MAXIMUM,
    TOPIC_ALIAS_MAXIMUM,
    Form::MaximumQos,
    Form::Flag(Property::RetainAvailable),
    MAXIMUM_PACKET_SIZE,
    Form::Flag(Property::WildcardSubscriptionAvailable),
    Form::Flag(Property::SubscriptionIdentifierAvailable),
    Form::Flag(Property::SharedSubscriptionAvailable),
];

pub(super) const PUBLISH: &[Form] = &[
    PAYLOAD_FORMAT_INDICATOR,
    MESSAGE_EXPIRY_INTERVAL,
    CONTENT_TYPE,
    RESPONSE_TOPIC,
    CORRELATION_DATA,
    Form::Short(Property::TopicAlias, 1),
];

pub(super) const SUBSCRIBE: &[Form] = &[Form::SubscriptionIdentifier];
pub(super) const DIAGNOSED: &[Form] = &[REASON_STRING];
pub(super) const DISCONNECT_TO_CLIENT: &[Form] = &[SERVER_REFERENCE, REASON_STRING];
pub(super) const DISCONNECT_TO_SERVER: &[Form] = &[SESSION_EXPIRY_INTERVAL, REASON_STRING];
pub(super) const AUTH: &[Form] = &[AUTHENTICATION_DATA, REASON_STRING];
