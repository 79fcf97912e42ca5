//! The least that a client of all qualities of service needs: it connects to a session that outlives its connections,
//! subscribes, publishes and receives in QoS 0, 1 and 2, and comes back with all that was under way when the link is lost.
#![no_std]
#![no_main]

use image::client::{Client, connect, memory, now, told};
use image::{receive, tell, transmit};
use mqtt_session::{Inbox, Step};

#[unsafe(no_mangle)]
pub extern "C" fn _start() -> ! {
    // SAFETY: this function is entered once.
    let (session, inbox) = unsafe { memory() };
    loop {
        connect(session, inbox);
        converse(session, inbox);
    }
}

fn converse(session: &mut Client, inbox: &mut Inbox) {
    loop {
        match session.poll(inbox, now()) {
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
