//! A message that is kept, and what is sent of it to one of those whom it reaches.

use std::rc::Rc;

use mqtt_session::{Instant, Property, QoS, Will};

use crate::topics::Receiver;

/// The name of a session in this broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key(pub(crate) u64);

#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) publisher: Option<Key>,
    properties: Vec<Kept>,
    /// Message Expiry Interval in seconds.
    lifetime: Option<u32>,
    expires: Option<Instant>,
}

/// What one receiver gets of a message.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) message: Rc<Message>,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    /// By which shared subscription it comes, if by one.
    pub(crate) share: Option<Share>,
    identifiers: Vec<u32>,
}

/// The shared subscription of a delivery.
#[derive(Debug)]
pub(crate) struct Share {
    pub(crate) filter: Rc<str>,
    /// The sessions that could not deliver it.
    pub(crate) passed: Vec<Key>,
}

/// A property that is passed on unaltered. [MQTT-3.3.2-4], [MQTT-3.3.2-15], [MQTT-3.3.2-16], [MQTT-3.3.2-17],
/// [MQTT-3.3.2-20]
#[derive(Debug)]
enum Kept {
    PayloadFormatIndicator(bool),
    ContentType(String),
    ResponseTopic(String),
    CorrelationData(Vec<u8>),
    User(String, String),
}

impl Message {
    /// A message of the broker's own.
    pub(crate) fn new(topic: &str, payload: Vec<u8>) -> Self {
        Self {
            topic: topic.to_owned(),
            payload,
            qos: QoS::AtMostOnce,
            retain: true,
            publisher: None,
            properties: Vec::new(),
            lifetime: None,
            expires: None,
        }
    }

    pub(crate) fn received(message: &mqtt_session::Message<'_>, publisher: Key) -> Self {
        Self {
            qos: message.qos(),
            retain: message.retain,
            publisher: Some(publisher),
            properties: message.properties.iter().filter_map(|property| Kept::of(&property)).collect(),
            lifetime: message.properties.message_expiry_interval(),
            ..Self::new(message.topic, message.payload.to_vec())
        }
    }

    pub(crate) fn of_will(will: &Will<'_>, publisher: Key) -> Self {
        Self {
            qos: will.qos,
            retain: will.retain,
            publisher: Some(publisher),
            properties: will.properties.iter().filter_map(|property| Kept::of(&property)).collect(),
            lifetime: will.properties.message_expiry_interval(),
            ..Self::new(will.topic, will.payload.to_vec())
        }
    }

    /// Its lifetime begins.
    pub(crate) fn published(self, now: Instant) -> Self {
        let expires = self.lifetime.map(|seconds| now.after_millis(u64::from(seconds).saturating_mul(1000)));
        Self { expires, ..self }
    }

    /// How many bytes of memory it takes, roughly.
    pub(crate) fn len(&self) -> usize {
        let properties = self.properties.iter().map(Kept::len).sum::<usize>();
        size_of::<Self>().saturating_add(self.topic.len()).saturating_add(self.payload.len()).saturating_add(properties)
    }

    pub(crate) fn is_expired(&self, now: Instant) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }
}

impl Delivery {
    pub(crate) fn new(message: &Rc<Message>, receiver: Receiver<Key>) -> Self {
        let Receiver { qos, retain_as_published, identifiers, share, .. } = receiver;
        let message = Rc::clone(message);
        let share = share.map(|filter| Share { filter, passed: Vec::new() });
        // [MQTT-3.3.1-12], [MQTT-3.3.1-13]; [MQTT-3.3.1-9] in 3.1.1
        Self { qos: qos.min(message.qos), retain: message.retain && retain_as_published, message, share, identifiers }
    }

    /// What a new subscription gets of a retained message. [MQTT-3.3.1-8] in 3.1.1
    pub(crate) fn of_retained(message: Rc<Message>, qos: QoS, identifier: Option<u32>) -> Self {
        let identifiers = identifier.into_iter().collect();
        Self { qos: qos.min(message.qos), retain: true, message, share: None, identifiers }
    }

    /// The same message for another one who shares the subscription.
    pub(crate) fn passed_on(self, from: Key, to: Receiver<Key>) -> Self {
        let mut share = self.share;
        if let Some(share) = &mut share {
            share.passed.push(from);
        }
        Self { share, ..Self::new(&self.message, to) }
    }

    /// The properties for a 5.0 client. [MQTT-3.3.2-6]
    pub(crate) fn properties(&self, now: Instant) -> Vec<Property<'_>> {
        let left = self.message.expires.map(|end| end.millis_since(now).div_ceil(1000));
        let left = left.map(|seconds| Property::MessageExpiryInterval(u32::try_from(seconds).unwrap_or(u32::MAX)));
        let kept = self.message.properties.iter().map(Kept::property);
        kept.chain(left).chain(self.identifiers.iter().copied().map(Property::SubscriptionIdentifier)).collect()
    }
}

impl Kept {
    fn of(property: &Property<'_>) -> Option<Self> {
        Some(match *property {
            Property::PayloadFormatIndicator(is_text) => Self::PayloadFormatIndicator(is_text),
            Property::ContentType(text) => Self::ContentType(text.to_owned()),
            Property::ResponseTopic(topic) => Self::ResponseTopic(topic.to_owned()),
            Property::CorrelationData(data) => Self::CorrelationData(data.to_vec()),
            Property::UserProperty(name, value) => Self::User(name.to_owned(), value.to_owned()),
            _ => return None,
        })
    }

    fn property(&self) -> Property<'_> {
        match self {
            Self::PayloadFormatIndicator(is_text) => Property::PayloadFormatIndicator(*is_text),
            Self::ContentType(text) => Property::ContentType(text),
            Self::ResponseTopic(topic) => Property::ResponseTopic(topic),
            Self::CorrelationData(data) => Property::CorrelationData(data),
            Self::User(name, value) => Property::UserProperty(name, value),
        }
    }

    fn len(&self) -> usize {
        let bytes = match self {
            Self::PayloadFormatIndicator(_) => 0,
            Self::ContentType(text) | Self::ResponseTopic(text) => text.len(),
            Self::CorrelationData(data) => data.len(),
            Self::User(name, value) => name.len().saturating_add(value.len()),
        };
        bytes.saturating_add(size_of::<Self>())
    }
}
