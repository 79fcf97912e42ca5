//! The application of every client: it subscribes, and publishes what it receives, with the QoS that it had.

use mqtt_session::{
    Connect, Event, Inbox, Instant, Message, Properties, Property, Publish, QoS, Session, Subscribe, Subscription, Version,
};

use crate::{number, tell};

pub type Client = Session<512, 8, 8>;

static mut SESSION: Client = Session::new();
static mut INBOX: Inbox<[u8; 256]> = Inbox::new();

/// The session and its inbox.
///
/// # Safety
///
/// To be called once.
pub unsafe fn memory() -> (&'static mut Client, &'static mut Inbox) {
    let (session, inbox) = (&raw mut SESSION, &raw mut INBOX);
    // SAFETY: as the caller promises.
    unsafe { (&mut *session, &mut *inbox) }
}

pub fn now() -> Instant {
    Instant::from_millis(number().into())
}

/// Begins a connection of a session that outlives its connections.
pub fn connect(session: &mut Client, inbox: &mut Inbox) {
    let version = version();
    let properties = Properties::for_version(version, &[Property::SessionExpiryInterval(3600)]);
    let connect = Connect { clean_start: false, properties, ..Connect::new(version, "meter-7") };
    tell(session.connect(inbox, &connect).is_err().into());
}

/// Does what an event asks for.
pub fn told(session: &mut Client, event: &Event<'_>) {
    match event {
        Event::Connected(_) => {
            let subscriptions = [Subscription::new("meter/7/ask", QoS::ExactlyOnce)];
            let subscribe = Subscribe::new(&subscriptions);
            tell(session.subscribe(&subscribe).is_err().into());
        }
        Event::Message(message) => answer(session, message),
        Event::Published { packet_id, .. } => tell(packet_id.get().into()),
        _ => {}
    }
}

/// Publishes what came, with the QoS that it had.
fn answer(session: &mut Client, message: &Message<'_>) {
    let publish = Publish { qos: message.qos(), ..Publish::new("meter/7/answer", message.payload) };
    tell(session.publish(&publish).is_err().into());
}

#[cfg(not(feature = "v5"))]
fn version() -> Version {
    Version::V311
}

#[cfg(not(feature = "v311"))]
fn version() -> Version {
    Version::V5
}

#[cfg(all(feature = "v311", feature = "v5"))]
fn version() -> Version {
    if number() == 0 { Version::V311 } else { Version::V5 }
}
