//! The least that a client of all qualities of service needs: it connects to a session that outlives its connections,
//! subscribes, publishes and receives in QoS 0, 1 and 2, and comes back with all that was under way when the link is lost.
#![no_std]
#![no_main]

use image::{number, receive, tell, transmit};
use mqtt_session::{
    Connect, Event, Inbox, Instant, Message, Property, Publish, QoS, Session, Step, Subscribe, Subscription, Version,
};

static mut SESSION: Session<512, 8, 8> = Session::new();
static mut INBOX: Inbox<[u8; 256]> = Inbox::new();

#[unsafe(no_mangle)]
pub extern "C" fn _start() -> ! {
    let (session, inbox) = (&raw mut SESSION, &raw mut INBOX);
    // SAFETY: there is one thread, and this function is entered once.
    let (session, inbox) = unsafe { (&mut *session, &mut *inbox) };
    loop {
        connect(session, inbox);
        converse(session, inbox);
    }
}

fn connect(session: &mut Session<512, 8, 8>, inbox: &mut Inbox) {
    let lasting = [Property::SessionExpiryInterval(3600)];
    let version = version();
    let properties = if version.level() < 5 { &[][..] } else { &lasting };
    let connect = Connect { clean_start: false, properties, ..Connect::new(version, "meter-7") };
    tell(session.connect(inbox, &connect).is_err().into());
}

fn converse(session: &mut Session<512, 8, 8>, inbox: &mut Inbox) {
    loop {
        match session.poll(inbox, Instant::from_millis(number().into())) {
            Step::Event(event) => told(session, &event),
            Step::Transmit(bytes) => match transmit(bytes) {
                0 => session.connection_lost(),
                written => session.transmitted(written),
            },
            Step::Wait(deadline) => {
                tell(deadline.map_or(0, |deadline| deadline.as_millis() as usize));
                match receive(inbox.space()) {
                    0 => session.connection_lost(),
                    received => inbox.filled(received),
                }
            }
            Step::Close(_) => return,
        }
    }
}

fn told(session: &mut Session<512, 8, 8>, event: &Event<'_>) {
    match event {
        Event::Connected(_) => {
            let subscriptions = [Subscription::new("meter/7/ask", QoS::ExactlyOnce)];
            let subscribe = Subscribe { subscriptions: &subscriptions, ..Subscribe::default() };
            tell(session.subscribe(&subscribe).is_err().into());
        }
        Event::Message(message) => answer(session, message),
        Event::Published { packet_id, .. } => tell(packet_id.get().into()),
        _ => {}
    }
}

/// Publishes what came, with the QoS that it had.
fn answer(session: &mut Session<512, 8, 8>, message: &Message<'_>) {
    let publish = Publish { qos: message.qos(), ..Publish::new("meter/7/answer", message.payload) };
    tell(session.publish(&publish).is_err().into());
}

#[cfg(not(feature = "v5"))]
fn version() -> Version {
    Version::V3
}

#[cfg(not(feature = "v3"))]
fn version() -> Version {
    Version::V5
}

#[cfg(all(feature = "v3", feature = "v5"))]
fn version() -> Version {
    if number() == 0 { Version::V3 } else { Version::V5 }
}
