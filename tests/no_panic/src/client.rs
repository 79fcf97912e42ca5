//! The client's end: every command, every event.

use core::num::NonZeroU16;

use mqtt_session::{
    Acknowledge, Auth, Connect, Disconnect, DisconnectWhen, Event, Handle, Inbox, LostSession, MaximumPacketSize, Message, Offline,
    Oversized, PacketId, Properties, Property, Publish, Session, Source, Step, Subscribe, Subscription, TopicAliases, Unsubscribe, Version, Will,
    matches,
};

use crate::{
    any, any_bytes, any_code, any_duration, any_flag, any_qos, any_short, any_text, any_time, fill, keep, keep_bytes,
};

pub static mut SESSION: Session<512, 8, 8> = Session::new();
pub static mut INBOX: Inbox<[u8; 256]> = Inbox::new();
static mut HANDLE: Option<Handle> = None;

pub fn turn() {
    // SAFETY: there is one thread, and this function does not call itself.
    let (session, inbox) = unsafe { (&mut *(&raw mut SESSION), &mut *(&raw mut INBOX)) };
    command(session, inbox);
    keep(session.free_space());
    keep(session.pending().into());
    keep(session.is_online().into());
    keep(session.is_flushed().into());
    keep(session.pending_received().into());
    keep(session.deadline().map_or(0, |deadline| deadline.as_millis() as usize));
    match session.poll(inbox, any_time()) {
        Step::Event(event) => told(event),
        Step::Transmit(bytes) => {
            keep_bytes(bytes);
            session.transmitted(any() as usize);
        }
        Step::Wait(deadline) => keep(deadline.map_or(0, |deadline| deadline.millis_since(any_time()) as usize)),
        Step::Close(cause) => keep(cause.reason_code().map_or(0, |code| code as usize)),
    }
}

fn command(session: &mut Session<512, 8, 8>, inbox: &mut Inbox<[u8; 256]>) {
    let refused = match any() {
        0 => connect(session, inbox),
        1 => publish(session),
        2 => {
            let subscriptions = [Subscription { no_local: any_flag(), ..Subscription::new(any_text(), any_qos()) }];
            let properties = [Property::UserProperty(any_text(), any_text())];
            let properties = Properties::of(&properties);
            session.subscribe(&Subscribe { subscriptions: &subscriptions, properties }).err()
        }
        3 => session.unsubscribe(&Unsubscribe::new(&[any_text()])).err(),
        4 => {
            let properties = [Property::SessionExpiryInterval(any()), Property::ReasonString(any_text())];
            let properties = Properties::of(&properties);
            let timeout = any_flag().then(any_duration);
            let when = if any_flag() { DisconnectWhen::Completed { timeout } } else { DisconnectWhen::Sent };
            session.disconnect(&Disconnect { reason_code: any_code(), properties, when }).err()
        }
        5 => {
            let properties = [Property::AuthenticationMethod(any_text()), Property::AuthenticationData(any_bytes())];
            session.authenticate(&Auth { reason_code: any_code(), properties: Properties::of(&properties) }).err()
        }
        6 => {
            // SAFETY: as in `turn`.
            let handle = unsafe { *(&raw const HANDLE) };
            handle.and_then(|handle| session.acknowledge(handle, any_code()).err())
        }
        7 => {
            session.connection_lost();
            None
        }
        8 => {
            keep(session.cancel(PacketId::new(any_short()).unwrap_or(PacketId::MIN)).into());
            None
        }
        9 => session.ping().err(),
        10 => {
            keep(session.give_up(PacketId::new(any_short()).unwrap_or(PacketId::MIN)).into());
            None
        }
        11 => {
            // SAFETY: as in `turn`.
            let handle = unsafe { *(&raw const HANDLE) };
            let why = [Property::ReasonString(any_text())];
            handle.and_then(|handle| session.acknowledge_with(handle, any_code(), Properties::of(&why)).err())
        }
        12 => {
            keep(matches(any_text(), any_text()).into());
            None
        }
        13 => session.publish_from(&Publish { qos: any_qos(), ..Publish::new(any_text(), b"") }, &any_source()).err(),
        14 => {
            let filled = fill(session.payload_space());
            session.payload_filled(filled);
            keep(session.supply(any_bytes()));
            None
        }
        15 => session.abort_payload().err(),
        16 => session.discard_message(any_code()).err(),
        _ => {
            let filled = fill(inbox.space());
            inbox.filled(filled);
            None
        }
    };
    keep(refused.is_some().into());
}

fn connect(session: &mut Session<512, 8, 8>, inbox: &mut Inbox<[u8; 256]>) -> Option<mqtt_session::CommandError> {
    inbox.set_topic_aliases(TopicAliases { maximum: any_short(), topic: any_short() });
    let delay = [Property::WillDelayInterval(any())];
    let properties = Properties::of(&delay);
    let will = Will { topic: any_text(), payload: any_bytes(), qos: any_qos(), retain: any_flag(), properties };
    let properties = [Property::SessionExpiryInterval(any()), Property::AuthenticationMethod(any_text())];
    let connect = Connect {
        clean_start: any_flag(),
        keep_alive: any_short(),
        will: Some(will),
        user_name: Some(any_text()),
        password: Some(any_bytes()),
        properties: Properties::of(&properties),
        acknowledgement: if any_flag() { Acknowledge::Manually } else { Acknowledge::AfterHandling },
        lost_session: if any_flag() { LostSession::Report } else { LostSession::Republish },
        offline: if any_flag() { Offline::Acknowledged } else { Offline::Everything },
        oversized: any_oversized(),
        maximum_packet_size: MaximumPacketSize::Bytes(any()),
        payload_timeout: any_duration(),
        topic_aliases: TopicAliases { maximum: any_short(), topic: any_short() },
        retry_interval: any_duration(),
        response_timeout: any_duration(),
        disconnect_timeout: any_duration(),
        ..Connect::new(if any_flag() { Version::V311 } else { Version::V5 }, any_text())
    };
    session.connect(inbox, &connect).err()
}

pub fn any_oversized() -> Oversized {
    match any() {
        0 => Oversized::Skipped,
        1 => Oversized::InPieces,
        _ => Oversized::Disconnect,
    }
}

pub fn any_source() -> Source {
    Source { id: any(), len: any(), piece: any_short() }
}

fn publish(session: &mut Session<512, 8, 8>) -> Option<mqtt_session::CommandError> {
    let properties = [Property::ContentType(any_text()), Property::MessageExpiryInterval(any())];
    let publish = Publish {
        qos: any_qos(),
        retain: any_flag(),
        properties: Properties::of(&properties),
        topic_alias: NonZeroU16::new(any_short()),
        offline: if any_flag() { Some(Offline::Nothing) } else { None },
        ..Publish::new(any_text(), any_bytes())
    };
    if any_flag() {
        return session.publish(&publish).err();
    }
    session.publish_with(&publish, any() as usize, |buffer| keep(fill(buffer))).err()
}

pub fn told(event: Event<'_>) {
    match event {
        Event::Connected(connack) | Event::ConnectionRefused(connack) => keep_properties(&connack.properties),
        Event::Message(message) => received(&message),
        Event::MessagePart(part) => keep_bytes(part.payload),
        Event::PayloadRequested(request) => keep(request.offset as usize),
        Event::Published { packet_id, properties, .. } => {
            keep(packet_id.get().into());
            keep_properties(&properties);
        }
        Event::Subscribed { reason_codes, .. } | Event::Unsubscribed { reason_codes, .. } => {
            reason_codes.iter().for_each(|code| keep(code as usize));
        }
        Event::Authenticating(auth) => keep_properties(&auth.properties),
        Event::Disconnected(disconnect) => keep_properties(&disconnect.properties),
        _ => keep(0),
    }
}

pub fn received(message: &Message<'_>) {
    keep_bytes(message.topic.as_bytes());
    keep_bytes(message.payload);
    keep_properties(&message.properties);
    // SAFETY: as in `turn`.
    unsafe { *(&raw mut HANDLE) = message.handle };
}

pub fn keep_properties(properties: &Properties<'_>) {
    for property in properties.iter() {
        match property {
            Property::UserProperty(name, value) => {
                keep_bytes(name.as_bytes());
                keep_bytes(value.as_bytes());
            }
            Property::CorrelationData(data) => keep_bytes(data),
            Property::SubscriptionIdentifier(identifier) => keep(identifier as usize),
            _ => keep(1),
        }
    }
}
