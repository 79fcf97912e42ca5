//! Messages of 1 MiB on a board with 64 KiB of RAM: two are received with an inbox of 512 bytes, and two are sent that nobody ever holds
//! whole, of QoS 1 and 2, while the connection is lost in the midst of them. Ends well if each came as it was sent.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use firmware::clock::Ticks;
use firmware::uart::Uart;
use firmware::{end, modem};
use mqtt_session::io::Driver;
use mqtt_session::{
    Backoff, CloseReason, CommandError, Connect, Disconnect, Event, Inbox, MaximumPacketSize, Message, MessagePart,
    Outcome, Oversized, PayloadRequest, Properties, Property, Publish, QoS, Source, Subscribe, Subscription, Version,
};

type Session = mqtt_session::Session<2048, 8, 8>;

/// The length of each message, and how much of one is sent at a time.
const LEN: u32 = 1 << 20;
const PIECE: u16 = 512;

/// What is received and sent, each with its QoS.
const IMAGES: [(&str, QoS); 2] = [("board/image/1", QoS::AtLeastOnce), ("board/image/2", QoS::ExactlyOnce)];
const LOGS: [(&str, QoS); 2] = [("board/log/1", QoS::AtLeastOnce), ("board/log/2", QoS::ExactlyOnce)];

/// How long all of it may take, in milliseconds.
const LIMIT: u64 = 240_000;

const LASTING: [Property<'static>; 1] = [Property::SessionExpiryInterval(3_600)];
const ENDING: [Property<'static>; 1] = [Property::SessionExpiryInterval(0)];

#[entry]
fn main() -> ! {
    static mut SESSION: Session = Session::new();
    static mut INBOX: Inbox<[u8; 512]> = Inbox::new();

    let Some(mut core) = cortex_m::Peripherals::take() else { end::fail() };
    let mut clock = Ticks::start(core.SYST, LIMIT);
    let mut uart = Uart::start(&mut core.NVIC);
    let mut backoff = Backoff::new(100, 5_000);
    let mut work = Work::NEW;
    loop {
        modem::dial(&mut uart, &mut clock, &mut backoff);
        let connect = Connect {
            clean_start: work.connections == 0,
            oversized: Oversized::InPieces,
            maximum_packet_size: MaximumPacketSize::Absent,
            properties: Properties::of(&LASTING),
            ..Connect::new(Version::V5, "board")
        };
        if let Err(refused) = SESSION.connect(INBOX, &connect) {
            defmt::error!("connect: {}", refused);
            end::fail();
        }
        let mut driver = Driver::new(&mut uart, &mut clock);
        let closed = loop {
            match driver.next(SESSION, INBOX, |session, event| work.go_on(session, event)) {
                Ok(Ok(())) => {}
                Ok(Err(fault)) => {
                    defmt::error!("{}", fault);
                    end::fail();
                }
                Err(closed) => break closed,
            }
        };
        let reason = closed.close_reason();
        if reason == CloseReason::Disconnected {
            work.report();
        }
        if !reason.is_temporary() {
            end::fail();
        }
        backoff.reset();
        modem::pause(&mut clock, &mut backoff);
    }
}

/// What should not have happened.
#[derive(defmt::Format)]
enum Fault {
    Refused(CommandError),
    SubscriptionFailed,
    Ended(Outcome),
    /// A message that nobody publishes, or another payload.
    Strange,
    /// A message of QoS 2 came again.
    Repeated,
}

impl From<CommandError> for Fault {
    fn from(refused: CommandError) -> Self {
        Self::Refused(refused)
    }
}

/// A message that is being received: which one, and how much of it came.
struct Arriving {
    image: usize,
    len: u32,
}

struct Work {
    connections: usize,
    is_subscribed: bool,
    arriving: Option<Arriving>,
    /// How often each image came whole, and how many messages broke off.
    images: [u8; 2],
    aborted: usize,
    acknowledged: usize,
}

impl Work {
    const NEW: Self =
        Self { connections: 0, is_subscribed: false, arriving: None, images: [0; 2], aborted: 0, acknowledged: 0 };

    fn go_on(&mut self, session: &mut Session, event: Event<'_>) -> Result<(), Fault> {
        match event {
            Event::Connected(_) => {
                self.connections += 1;
                if !self.is_subscribed {
                    let subscriptions = IMAGES.map(|(topic, qos)| Subscription::new(topic, qos));
                    session.subscribe(&Subscribe::new(&subscriptions))?;
                }
            }
            Event::Subscribed { reason_codes, .. } if reason_codes.iter().any(|code| code.is_error()) => {
                return Err(Fault::SubscriptionFailed);
            }
            Event::Subscribed { .. } => self.begin(session)?,
            Event::Published { outcome: Outcome::Acknowledged(_), .. } => self.acknowledged += 1,
            Event::Published { outcome, .. } => return Err(Fault::Ended(outcome)),
            Event::Message(message) => self.take_front(&message)?,
            Event::MessagePart(part) => self.take_part(&part)?,
            Event::MessageAborted => {
                self.arriving = None;
                self.aborted += 1;
            }
            Event::PayloadRequested(request) => supply(session, &request),
            _ => {}
        }
        // The host is told to begin by a message of its own.
        let is_done = self.acknowledged > LOGS.len() && self.images.iter().all(|count| *count != 0);
        if is_done && session.is_online() {
            session.disconnect(&Disconnect { properties: Properties::of(&ENDING), ..Disconnect::default() })?;
        }
        Ok(())
    }

    /// The host may begin, and so does the board.
    fn begin(&mut self, session: &mut Session) -> Result<(), Fault> {
        self.is_subscribed = true;
        session.publish(&Publish { qos: QoS::AtLeastOnce, ..Publish::new("board/ready", b"") })?;
        for (number, (topic, qos)) in (1..).zip(LOGS) {
            // The host reads it when all is over.
            let publish = Publish { qos, retain: true, ..Publish::new(topic, &[]) };
            session.publish_from(&publish, &Source { piece: PIECE, ..Source::new(number, LEN) })?;
        }
        Ok(())
    }

    fn take_front(&mut self, message: &Message<'_>) -> Result<(), Fault> {
        let image = IMAGES.iter().position(|&(topic, qos)| topic == message.topic && qos == message.qos());
        self.arriving = Some(Arriving { image: image.ok_or(Fault::Strange)?, len: 0 });
        self.take(message.payload)
    }

    fn take_part(&mut self, part: &MessagePart<'_>) -> Result<(), Fault> {
        self.take(part.payload)?;
        if part.remaining != 0 {
            return Ok(());
        }
        let Arriving { image, len } = self.arriving.take().ok_or(Fault::Strange)?;
        self.images[image] = self.images[image].saturating_add(1);
        match (len, IMAGES[image].1, self.images[image]) {
            (LEN, QoS::AtLeastOnce, _) | (LEN, QoS::ExactlyOnce, 1) => Ok(()),
            (LEN, _, _) => Err(Fault::Repeated),
            _ => Err(Fault::Strange),
        }
    }

    /// Every byte is what it should be: a device would write it to its flash here.
    fn take(&mut self, payload: &[u8]) -> Result<(), Fault> {
        let Some(Arriving { image, len }) = &mut self.arriving else { return Err(Fault::Strange) };
        let expected = (*len..).map(|at| byte_at(*image, at));
        if !payload.iter().copied().zip(expected).all(|(found, expected)| found == expected) {
            return Err(Fault::Strange);
        }
        *len += payload.len() as u32;
        Ok(())
    }

    fn report(&self) -> ! {
        defmt::println!("received of QoS 1: {=u8} times, of QoS 2: {=u8} times", self.images[0], self.images[1]);
        defmt::println!("{=usize} broke off and came again; {=usize} connections", self.aborted, self.connections);
        end::succeed()
    }
}

/// The next piece of a log, which is made as it is sent.
fn supply(session: &mut Session, request: &PayloadRequest) {
    let space = session.payload_space();
    for (at, byte) in (request.offset..).zip(space.iter_mut()) {
        *byte = byte_at(request.source as usize + 1, at);
    }
    let len = space.len();
    session.payload_filled(len);
}

/// What the host makes, too: images are the payloads 0 and 1, logs 2 and 3.
const fn byte_at(payload: usize, at: u32) -> u8 {
    let mixed = (at ^ at >> 7).wrapping_mul(0x9E37_79B1).wrapping_add(payload as u32);
    (mixed >> 13) as u8
}
