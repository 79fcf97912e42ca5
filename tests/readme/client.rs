use std::hash::{BuildHasher, RandomState};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant as Clock};

use mqtt_session::{
    Backoff, CommandError, Connect, Event, Inbox, Instant, Properties, Property, Publish, QoS, Step, Subscribe,
    Subscription, Version,
};

// STORE: bytes for unacknowledged packets; OUTBOUND: requests under way; INBOUND: received messages not yet finished.
type Session = mqtt_session::Session<2048, 16, 64>;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let start = Clock::now();
    let now = || Instant::from_millis(start.elapsed().as_millis() as u64);
    let mut session = Session::new();
    let mut inbox: Inbox<[u8; 1024]> = Inbox::new();

    // A session that outlives its connections. In 3.1.1 that is `clean_start: false` alone, without the property.
    let lasting = [Property::SessionExpiryInterval(3600)];
    // This process knows nothing of an earlier one, so its first connection begins anew.
    let mut known = false;
    let topics = [Subscription::new("meter/7/ask", QoS::ExactlyOnce)];
    let subscribe = Subscribe::new(&topics);
    let mut subscribed = false;
    // Between two connections: a second at first, twice as long each time, half a minute at most.
    let mut backoff = Backoff::new(1_000, 30_000);
    let pause = |backoff: &mut Backoff| {
        let random = RandomState::new().hash_one(0) as u32;
        std::thread::sleep(Duration::from_millis(backoff.next(random).into()));
    };
    loop {
        let Ok(mut socket) = TcpStream::connect("localhost:1883") else {
            pause(&mut backoff);
            continue;
        };
        let properties = Properties::of(&lasting);
        let connect = Connect { clean_start: !known, properties, ..Connect::new(Version::V5, "meter-7") };
        session.connect(&mut inbox, &connect)?;
        let reason = loop {
            if session.is_online() && !subscribed {
                match session.subscribe(&subscribe) {
                    Ok(_) => subscribed = true,
                    Err(CommandError::Full) => {} // what was stored while offline leaves first
                    Err(refused) => return Err(refused.into()),
                }
            }
            match session.poll(&mut inbox, now()) {
                // A subscription that was lost with its connection is asked for again, and so are all of a new session.
                Step::Event(Event::Connected(connack)) => {
                    known = true;
                    backoff.reset();
                    subscribed = subscribed && connack.session_present;
                }
                Step::Event(Event::RequestLost { .. }) => subscribed = false,
                // The payload lies in the inbox, and goes into the store from there: one copy.
                Step::Event(Event::Message(message)) => {
                    println!("{}: {} bytes", message.topic, message.payload.len());
                    let echo = Publish { qos: QoS::ExactlyOnce, ..Publish::new("meter/7/echo", message.payload) };
                    match session.publish(&echo) {
                        Ok(_) => {}
                        // This answer is not given. With `Acknowledge::Manually` the question could wait for
                        // `Event::Writable`; `examples/echo` does that.
                        Err(CommandError::Full) => println!("no room"),
                        Err(refused) => return Err(refused.into()),
                    }
                }
                Step::Event(event) => println!("{event:?}"), // Published, Subscribed, ...
                Step::Transmit(bytes) => match socket.write(bytes) {
                    Ok(written) => session.transmitted(written),
                    Err(_) => session.connection_lost(),
                },
                Step::Wait(deadline) => {
                    // An instant that is over asks for one read without waiting; a timeout of 0 is refused by `std`.
                    let timeout = deadline.map(|at| Duration::from_millis(at.millis_since(now()).max(1)));
                    socket.set_read_timeout(timeout)?;
                    match socket.read(inbox.space()) {
                        Ok(0) => session.connection_lost(),
                        Ok(received) => inbox.filled(received),
                        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                        Err(_) => session.connection_lost(),
                    }
                }
                Step::Close(reason) => break reason, // the DISCONNECT has already been transmitted
            }
        };
        if !reason.is_temporary() {
            return Err(reason.into());
        }
        println!("{reason}");
        pause(&mut backoff);
    }
}
