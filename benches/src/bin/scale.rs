//! How many sessions fit into a gigabyte, and what they do together: from one to 100,000 of a broker's ends in one process.
//!
//! ```text
//! cargo run --release --manifest-path benches/Cargo.toml --bin scale
//! ```
//!
//! In turn each client publishes a message of QoS 1 and is sent one, and acknowledges it. `--markdown FILE` writes the table.

use std::error::Error;

use cpu_time::ThreadTime;
use mqtt_session::server::{Accept, Event, Session};
use mqtt_session::{Inbox, Instant, Publish, QoS, Step};

/// What a broker sets aside for clients that seldom speak: a few short messages.
type Small = Seat<512, 8, 8, 64, 256>;
/// For clients that are sent more than they take at once.
type Large = Seat<8_192, 32, 32, 128, 2_048>;

const GIGABYTE: usize = 1 << 30;

/// How many messages are passed in each line of the table, both directions counted.
const MESSAGES: usize = 400_000;

const CONNECT: &[u8] = b"\x10\x0f\0\x04MQTT\x05\x02\0\x3c\0\0\x02ab";
const PUBLISH: &[u8] = b"\x32\x2d\0\x14site/7/meter/1/power\0\x01\0twenty-byte payload.";

/// A client at its place: what a broker needs of this crate for it.
struct Seat<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize, const CONTROL: usize, const INBOX: usize> {
    session: Session<STORE, OUTBOUND, INBOUND, CONTROL>,
    inbox: Inbox<[u8; INBOX]>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = match (arguments.next().as_deref(), arguments.next()) {
        (None, _) => None,
        (Some("--markdown"), Some(file)) => Some(file),
        _ => return Err("usage: scale [--markdown FILE]".into()),
    };
    let text = table()?;
    print!("{text}");
    if let Some(file) = file {
        std::fs::write(file, text)?;
    }
    Ok(())
}

fn table() -> Result<String, Box<dyn Error>> {
    let mut text = String::from(
        "| store, window, inbox | bytes each | in a gigabyte | sessions | messages/s |\n|---|--:|--:|--:|--:|\n",
    );
    for sessions in [1, 10, 100, 1_000, 10_000, 100_000] {
        text += &Small::line("512 B, 8 + 8, 256 B", sessions)?;
    }
    for sessions in [1, 10, 100, 1_000, 10_000, 100_000] {
        text += &Large::line("8 KiB, 32 + 32, 2 KiB", sessions)?;
    }
    Ok(text)
}

impl<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize, const CONTROL: usize, const INBOX: usize>
    Seat<STORE, OUTBOUND, INBOUND, CONTROL, INBOX>
{
    /// A line of the table.
    fn line(name: &str, sessions: usize) -> Result<String, Box<dyn Error>> {
        let mut seats = Vec::with_capacity(sessions);
        for _ in 0..sessions {
            seats.push(Self::new()?);
        }
        let rounds = MESSAGES / 2 / sessions;
        seats.iter_mut().try_for_each(Self::pass)?;
        let begin = ThreadTime::now();
        for _ in 0..rounds {
            seats.iter_mut().try_for_each(Self::pass)?;
        }
        let rate = (2 * rounds * sessions) as f64 / begin.elapsed().as_secs_f64();
        let size = size_of::<Self>();
        Ok(format!("| {name} | {size} | {} | {sessions} | {rate:.0} |\n", GIGABYTE / size))
    }

    /// A client that is connected.
    fn new() -> Result<Self, Box<dyn Error>> {
        let mut seat = Self { session: Session::new(), inbox: Inbox::new() };
        seat.session.open(core::time::Duration::from_secs(10));
        seat.receive(CONNECT);
        seat.settle()?;
        seat.session.accept(&Accept::default())?;
        seat.settle()?;
        Ok(seat)
    }

    /// One message in, one out, both acknowledged.
    fn pass(&mut self) -> Result<(), Box<dyn Error>> {
        self.receive(PUBLISH);
        let (taken, _, _) = self.settle()?;
        let message = Publish { qos: QoS::AtLeastOnce, ..Publish::new("site/7/meter/1/set", b"twenty-byte payload.") };
        let id = self.session.publish(&message)?.ok_or("QoS 1 has an identifier")?.get().to_be_bytes();
        let (_, _, written) = self.settle()?;
        self.receive(&[0x40, 2, id[0], id[1]]);
        let (_, ended, _) = self.settle()?;
        if taken == 1 && ended == 1 && written != 0 { Ok(()) } else { Err("a message was lost".into()) }
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.inbox.space()[..bytes.len()].copy_from_slice(bytes);
        self.inbox.filled(bytes.len());
    }

    /// Does what there is to be done. Tells how many messages came, how many publishes ended, and how much was written.
    fn settle(&mut self) -> Result<(usize, usize, usize), Box<dyn Error>> {
        let (mut taken, mut ended, mut written) = (0, 0, 0);
        loop {
            match self.session.poll(&mut self.inbox, Instant::from_millis(1)) {
                Step::Event(Event::Message(_)) => taken += 1,
                Step::Event(Event::Published { .. }) => ended += 1,
                Step::Event(Event::Connecting { .. }) => return Ok((taken, ended, written)),
                Step::Event(_) => {}
                Step::Transmit(bytes) => {
                    let len = bytes.len();
                    written += len;
                    self.session.transmitted(len);
                }
                Step::Wait(_) => return Ok((taken, ended, written)),
                Step::Close(cause) => return Err(cause.to_string().into()),
            }
        }
    }
}
