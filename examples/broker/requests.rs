//! SUBSCRIBE and UNSUBSCRIBE.

use mqtt_session::wire::{Suback, Unsuback, shared_subscription};
use mqtt_session::{List, PacketId, Properties, QoS, ReasonCode, RetainHandling, Subscription, Version};

use crate::broker::Broker;
use crate::client::levels;
use crate::limits::{FILTER_BYTES, LEVELS, LEVELS_OF_SESSION, NODES, SUBSCRIPTIONS};
use crate::message::Key;
use crate::topics;

impl Broker {
    /// SUBSCRIBE: SUBACK answers it.
    pub(crate) fn subscribe(
        &mut self,
        key: Key,
        packet_id: PacketId,
        subscriptions: &List<'_, Subscription<'_>>,
        properties: &Properties<'_>,
    ) {
        let identifier = properties.subscription_identifier();
        let mut codes = Vec::new();
        for subscription in subscriptions.iter() {
            let is_new = self.note(key, &subscription, identifier);
            codes.push(match (&is_new, subscription.qos) {
                (Err(code), _) => *code,
                (Ok(_), QoS::AtMostOnce) => ReasonCode::Success,
                (Ok(_), QoS::AtLeastOnce) => ReasonCode::GrantedQos1,
                (Ok(_), QoS::ExactlyOnce) => ReasonCode::GrantedQos2,
            });
            let is_wanted = match (is_new, subscription.retain_handling) {
                (Err(_), _) | (_, RetainHandling::DoNotSend) => false,
                (Ok(is_new), RetainHandling::SendIfNew) => is_new,
                (Ok(_), RetainHandling::Send) => true,
            };
            if is_wanted && shared_subscription(subscription.filter).is_none() {
                self.begin_walk(key, &subscription, identifier);
            }
        }
        let Some(client) = self.clients.get_mut(&key) else { return };
        let suback = Suback { packet_id, reason_codes: List::of(&codes), properties: Properties::EMPTY };
        if client.session.suback(&suback).is_err() {
            // There was room for it when the request came, so this does not happen; without an answer nothing would do.
            client.session.connection_lost();
        }
    }

    /// The retained messages of a subscription will come; if some of an earlier one to this filter are still to come, instead
    /// of those.
    fn begin_walk(&mut self, key: Key, subscription: &Subscription<'_>, identifier: Option<u32>) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        client.walks.retain(|walk| walk.filter != subscription.filter);
        client.walks.push_back(self.retained.walk(subscription.filter, subscription.qos, identifier));
    }

    /// Notes a subscription. `Ok(false)`: there was one to this filter.
    fn note(&mut self, key: Key, subscription: &Subscription<'_>, identifier: Option<u32>) -> Result<bool, ReasonCode> {
        let Subscription { filter, qos, no_local, retain_as_published, .. } = *subscription;
        let Some(client) = self.clients.get_mut(&key) else { return Err(ReasonCode::UnspecifiedError) };
        // 3.1.1 has one code for all failures. [MQTT-3.9.3-2]
        let failure = |code| Err(if client.version == Version::V5 { code } else { ReasonCode::UnspecifiedError });
        let depth = levels(filter);
        if depth > LEVELS {
            return failure(ReasonCode::TopicFilterInvalid);
        }
        let (levels, bytes) = client.filters.with(filter);
        let is_too_much = client.filters.len() >= SUBSCRIPTIONS
            || levels > LEVELS_OF_SESSION
            || bytes > FILTER_BYTES
            || self.topics.nodes().saturating_add(depth) > NODES;
        if is_too_much && !client.filters.contains(filter) {
            return failure(ReasonCode::QuotaExceeded);
        }
        client.filters.insert(filter);
        self.log.line(|| format!("{} subscribed to {filter}, QoS {}", client.title(), qos as u8));
        Ok(self.topics.subscribe(filter, key, topics::Options { qos, no_local, retain_as_published, identifier }))
    }

    /// UNSUBSCRIBE: UNSUBACK answers it.
    pub(crate) fn unsubscribe(&mut self, key: Key, packet_id: PacketId, filters: &List<'_, &str>) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        let mut codes = Vec::new();
        for filter in filters.iter() {
            client.filters.remove(filter);
            // [MQTT-3.10.4-2] in 3.1.1 and 5.0
            client.walks.retain(|walk| walk.filter != filter);
            let was_there = self.topics.unsubscribe(filter, key);
            codes.push(if was_there { ReasonCode::Success } else { ReasonCode::NoSubscriptionExisted });
        }
        let unsuback = Unsuback { packet_id, reason_codes: List::of(&codes), properties: Properties::EMPTY };
        if client.session.unsuback(&unsuback).is_err() {
            client.session.connection_lost();
        }
    }
}
