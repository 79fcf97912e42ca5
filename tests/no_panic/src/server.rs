//! The server's end: every command, every event.

use mqtt_session::server::{Accept, Event, Session};
use mqtt_session::wire::{Suback, Unsuback};
use mqtt_session::{
    Acknowledge, Auth, Disconnect, DisconnectWhen, Inbox, List, MaximumPacketSize, PacketId, Properties, Property, Publish,
    Step, TopicAliases,
};

use crate::client::{any_oversized, any_source, keep_properties, received};
use crate::{any, any_code, any_duration, any_flag, any_qos, any_short, any_text, any_time, fill, keep, keep_bytes};

pub static mut SESSION: Session<512, 8, 8> = Session::new();
pub static mut INBOX: Inbox<[u8; 256]> = Inbox::new();

pub fn turn() {
    // SAFETY: there is one thread, and this function does not call itself.
    let (session, inbox) = unsafe { (&mut *(&raw mut SESSION), &mut *(&raw mut INBOX)) };
    if let Ok(Some((version, connect))) = inbox.peek_connect() {
        keep(version.level().into());
        keep_bytes(connect.client_id.as_bytes());
    }
    command(session, inbox);
    keep(session.expires_at().map_or(0, |end| end.as_millis() as usize));
    match session.poll(inbox, any_time()) {
        Step::Event(event) => told(event),
        Step::Transmit(bytes) => {
            keep_bytes(bytes);
            session.transmitted(any() as usize);
        }
        Step::Wait(deadline) => keep(deadline.map_or(0, |deadline| deadline.as_millis() as usize)),
        Step::Close(cause) => keep(cause.reason_code().map_or(0, |code| code as usize)),
    }
}

fn command(session: &mut Session<512, 8, 8>, inbox: &mut Inbox<[u8; 256]>) {
    let packet_id = PacketId::new(any_short()).unwrap_or(PacketId::MIN);
    let texts = [Property::ReasonString(any_text()), Property::UserProperty(any_text(), any_text())];
    let properties = Properties::of(&texts);
    let codes = [any_code(), any_code()];
    let reason_codes = List::of(codes.get(..any() as usize).unwrap_or_default());
    let refused = match any() {
        0 => {
            session.open(any_duration());
            inbox.clear();
            None
        }
        1 => accept(session),
        2 => session.reject(any_code(), Properties::of(&texts)).err(),
        3 => session.suback(&Suback { packet_id, reason_codes, properties }).err(),
        4 => session.unsuback(&Unsuback { packet_id, reason_codes, properties }).err(),
        5 => {
            let timeout = any_flag().then(any_duration);
            let when = if any_flag() { DisconnectWhen::Completed { timeout } } else { DisconnectWhen::Sent };
            session.disconnect(&Disconnect { reason_code: any_code(), properties, when }).err()
        }
        6 => session.authenticate(&Auth { reason_code: any_code(), properties }).err(),
        7 => {
            session.connection_lost();
            None
        }
        8 => session.publish(&Publish { qos: any_qos(), ..Publish::new(any_text(), b"message") }).err(),
        10 => session.publish_from(&Publish { qos: any_qos(), ..Publish::new(any_text(), b"") }, &any_source()).err(),
        11 => {
            let filled = fill(session.payload_space());
            session.payload_filled(filled);
            keep(session.supply(b"piece"));
            None
        }
        12 => session.abort_payload().err(),
        13 => session.discard_message(any_code()).err(),
        9 => {
            keep(session.give_up(packet_id).into());
            keep(session.is_flushed().into());
            keep(session.pending_received().into());
            None
        }
        _ => {
            let filled = fill(inbox.space());
            inbox.filled(filled);
            None
        }
    };
    keep(refused.is_some().into());
}

fn accept(session: &mut Session<512, 8, 8>) -> Option<mqtt_session::CommandError> {
    let properties = [Property::AssignedClientIdentifier(any_text()), Property::ServerKeepAlive(any_short())];
    let accept = Accept {
        properties: Properties::of(&properties),
        acknowledgement: if any_flag() { Acknowledge::Manually } else { Acknowledge::AfterHandling },
        topic_aliases: TopicAliases { maximum: any_short(), topic: any_short() },
        oversized: any_oversized(),
        maximum_packet_size: MaximumPacketSize::Bytes(any()),
        payload_timeout: any_duration(),
        ..Accept::default()
    };
    session.accept(&accept).err()
}

pub fn told(event: Event<'_>) {
    match event {
        Event::Connecting { connect, .. } => keep_properties(&connect.properties),
        Event::Message(message) => received(&message),
        Event::MessagePart(part) => keep_bytes(part.payload),
        Event::PayloadRequested(request) => keep(request.offset as usize),
        Event::Subscribing { subscriptions, .. } => {
            subscriptions.iter().for_each(|subscription| keep_bytes(subscription.filter.as_bytes()));
        }
        Event::Unsubscribing { filters, .. } => filters.iter().for_each(|filter| keep_bytes(filter.as_bytes())),
        Event::WillDue { delay } => keep(delay as usize),
        _ => keep(0),
    }
}
