//! Completes more QoS 2 publishes than there are packet identifiers, in 3.1.1, and receives each of its own messages. Ends
//! well if no identifier was given that was still in use, and if each message arrived once and in order.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use firmware::clock::Ticks;
use firmware::uart::Uart;
use firmware::{end, modem};
use mqtt_session::io::Driver;
use mqtt_session::{
    Backoff, CloseReason, CommandError, Connect, Disconnect, Event, Inbox, Message, Outcome, PacketId, Publish, QoS,
    Subscribe, Subscription, Version,
};

type Session = mqtt_session::Session<1024, 16, 64>;

const MESSAGES: u32 = (1 << 16) + 1000;

/// How many publishes mosquitto takes at a time.
const WINDOW: u16 = 20;

/// How long all of it may take, in milliseconds.
const LIMIT: u64 = 280_000;

#[entry]
fn main() -> ! {
    static mut SESSION: Session = Session::new();
    static mut INBOX: Inbox<[u8; 512]> = Inbox::new();
    static mut WORK: Work = Work::NEW;

    let Some(mut core) = cortex_m::Peripherals::take() else { end::fail() };
    let mut clock = Ticks::start(core.SYST, LIMIT);
    let mut uart = Uart::start(&mut core.NVIC);
    modem::dial(&mut uart, &mut clock, &mut Backoff::new(100, 5_000));
    let connect = Connect { keep_alive: 10, max_inflight: WINDOW, ..Connect::new(Version::V311, "many") };
    if let Err(refused) = SESSION.connect(INBOX, &connect) {
        defmt::error!("connect: {}", refused);
        end::fail();
    }
    let mut driver = Driver::new(&mut uart, &mut clock);
    let closed = loop {
        match driver.next(SESSION, INBOX, |session, event| WORK.go_on(session, event)) {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => {
                defmt::error!("{}", fault);
                end::fail();
            }
            Err(closed) => break closed,
        }
    };
    if closed.close_reason() != CloseReason::Disconnected {
        end::fail();
    }
    let given = WORK.given.count();
    defmt::println!("{=u32} messages of QoS 2, each arrived once; {=usize} different identifiers", MESSAGES, given);
    end::succeed();
}

/// What should not have happened.
#[derive(defmt::Format)]
enum Fault {
    Refused(CommandError),
    Ended(Outcome),
    /// An identifier was given that is still in use.
    Reused(PacketId),
    /// An outcome came that nobody waits for.
    Unasked(PacketId),
    /// A message came that is not the next one.
    OutOfOrder,
}

impl From<CommandError> for Fault {
    fn from(refused: CommandError) -> Self {
        Self::Refused(refused)
    }
}

struct Work {
    is_subscribed: bool,
    published: u32,
    acknowledged: u32,
    arrived: u32,
    in_use: Set,
    given: Set,
}

impl Work {
    const NEW: Self =
        Self { is_subscribed: false, published: 0, acknowledged: 0, arrived: 0, in_use: Set::EMPTY, given: Set::EMPTY };

    fn go_on(&mut self, session: &mut Session, event: Event<'_>) -> Result<(), Fault> {
        match event {
            Event::Connected(_) => {
                let subscriptions = [Subscription::new("board/many", QoS::ExactlyOnce)];
                session.subscribe(&Subscribe::new(&subscriptions))?;
            }
            Event::Subscribed { .. } => self.is_subscribed = true,
            Event::Published { packet_id, outcome: Outcome::Acknowledged(_), .. } => {
                if !self.in_use.remove(packet_id) {
                    return Err(Fault::Unasked(packet_id));
                }
                self.acknowledged += 1;
            }
            Event::Published { outcome, .. } => return Err(Fault::Ended(outcome)),
            Event::Message(message) => self.count(&message)?,
            _ => {}
        }
        if self.is_subscribed {
            self.publish(session)?;
        }
        if self.is_done() && session.is_online() {
            session.disconnect(&Disconnect::default())?;
        }
        Ok(())
    }

    /// Publishes as long as there is room.
    fn publish(&mut self, session: &mut Session) -> Result<(), Fault> {
        while self.published < MESSAGES {
            let payload = self.published.to_be_bytes();
            match session.publish(&Publish { qos: QoS::ExactlyOnce, ..Publish::new("board/many", &payload) }) {
                Ok(Some(packet_id)) if self.in_use.insert(packet_id) => {
                    self.given.insert(packet_id);
                    self.published += 1;
                }
                Ok(packet_id) => return Err(packet_id.map_or(Fault::OutOfOrder, Fault::Reused)),
                Err(CommandError::Full) => return Ok(()),
                Err(refused) => return Err(refused.into()),
            }
        }
        Ok(())
    }

    fn count(&mut self, message: &Message<'_>) -> Result<(), Fault> {
        if message.qos() != QoS::ExactlyOnce || message.payload != self.arrived.to_be_bytes() {
            return Err(Fault::OutOfOrder);
        }
        self.arrived += 1;
        if self.arrived.is_multiple_of(10_000) {
            defmt::info!("{=u32} messages", self.arrived);
        }
        Ok(())
    }

    const fn is_done(&self) -> bool {
        self.acknowledged == MESSAGES && self.arrived == MESSAGES
    }
}

/// A set of packet identifiers.
struct Set([u32; 2048]);

impl Set {
    const EMPTY: Self = Self([0; 2048]);

    /// Whether it was not yet in.
    fn insert(&mut self, packet_id: PacketId) -> bool {
        let (word, bit) = self.place(packet_id);
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    /// Whether it was in.
    fn remove(&mut self, packet_id: PacketId) -> bool {
        let (word, bit) = self.place(packet_id);
        let was_in = *word & bit != 0;
        *word &= !bit;
        was_in
    }

    fn count(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    fn place(&mut self, packet_id: PacketId) -> (&mut u32, u32) {
        let packet_id = packet_id.get();
        (&mut self.0[usize::from(packet_id / 32)], 1 << (packet_id % 32))
    }
}
