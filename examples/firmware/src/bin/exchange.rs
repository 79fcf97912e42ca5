//! Connects to a broker in 5.0, subscribes, publishes with each QoS, and receives its own messages and those of a host,
//! while the connection is lost again and again. Ends well if each message of QoS 2 arrived once, each of QoS 1 at least
//! once, and each of QoS 0 at most once.
#![no_std]
#![no_main]

use core::str::from_utf8;

use cortex_m_rt::entry;
use firmware::clock::Ticks;
use firmware::uart::Uart;
use firmware::{end, modem};
use mqtt_session::io::Driver;
use mqtt_session::{
    Backoff, CloseReason, CommandError, Connect, Disconnect, Event, Inbox, Message, Outcome, Properties, Property,
    Publish, QoS, Subscribe, Subscription, Version,
};

/// Bytes for packets, publishes under way, received messages under way (as many as mosquitto asks for).
type Session = mqtt_session::Session<1024, 16, 64>;

/// How many messages this board publishes, a third with each QoS, and how many it expects of the host.
const OWN: usize = 180;
const HOSTS: usize = 40;

/// How long all of it may take, in milliseconds.
const LIMIT: u64 = 60_000;

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
        let connections = work.connections;
        let connect = Connect {
            clean_start: work.connections == 0,
            keep_alive: 10,
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
        // Why a connection ended is logged by the crate.
        let reason = closed.close_reason();
        if reason == CloseReason::Disconnected {
            work.report();
        }
        if !reason.is_temporary() {
            end::fail();
        }
        if work.connections != connections {
            backoff.reset();
        }
        modem::pause(&mut clock, &mut backoff);
    }
}

/// What should not have happened.
#[derive(defmt::Format)]
enum Fault {
    Refused(CommandError),
    SubscriptionFailed,
    Ended(Outcome),
    /// A message that nobody publishes.
    Strange,
    /// A message that came once more than its QoS allows.
    Repeated(usize),
}

impl From<CommandError> for Fault {
    fn from(refused: CommandError) -> Self {
        Self::Refused(refused)
    }
}

/// What is done, and what came of it.
struct Work {
    connections: usize,
    is_subscribed: bool,
    published: usize,
    acknowledged: usize,
    /// How often each message arrived.
    own: [u8; OWN],
    hosts: [u8; HOSTS],
}

impl Work {
    const NEW: Self =
        Self { connections: 0, is_subscribed: false, published: 0, acknowledged: 0, own: [0; OWN], hosts: [0; HOSTS] };

    fn go_on(&mut self, session: &mut Session, event: Event<'_>) -> Result<(), Fault> {
        self.take(session, event)?;
        if self.is_subscribed {
            self.publish(session)?;
        }
        if self.is_done() && session.is_online() {
            // With it the server forgets the session.
            session.disconnect(&Disconnect { properties: Properties::of(&ENDING), ..Disconnect::default() })?;
        }
        Ok(())
    }

    fn take(&mut self, session: &mut Session, event: Event<'_>) -> Result<(), Fault> {
        match event {
            Event::Connected(connack) => {
                self.connections += 1;
                defmt::info!(
                    "connection {=usize}, session present: {=bool}",
                    self.connections,
                    connack.session_present
                );
                if !connack.session_present || !self.is_subscribed {
                    let subscriptions =
                        ["board/up", "board/down"].map(|filter| Subscription::new(filter, QoS::ExactlyOnce));
                    session.subscribe(&Subscribe::new(&subscriptions))?;
                }
            }
            Event::Subscribed { reason_codes, .. } if reason_codes.iter().any(|code| code.is_error()) => {
                return Err(Fault::SubscriptionFailed);
            }
            Event::Subscribed { .. } => {
                self.is_subscribed = true;
                // The host begins.
                session.publish(&Publish { qos: QoS::AtLeastOnce, ..Publish::new("board/ready", b"") })?;
            }
            Event::Published { outcome: Outcome::Acknowledged(_), .. } => self.acknowledged += 1,
            Event::Published { outcome, .. } => return Err(Fault::Ended(outcome)),
            Event::Message(message) => self.count(&message)?,
            _ => {}
        }
        Ok(())
    }

    /// Publishes as long as there is room.
    fn publish(&mut self, session: &mut Session) -> Result<(), Fault> {
        while self.published < OWN && !self.is_done() {
            let mut digits = [0; 3];
            let payload = decimal(self.published, &mut digits);
            match session.publish(&Publish { qos: qos_of(self.published), ..Publish::new("board/up", payload) }) {
                Ok(_) => self.published += 1,
                // `Event::Writable` follows, or another connection.
                Err(CommandError::Full | CommandError::Closing) => return Ok(()),
                Err(refused) => return Err(refused.into()),
            }
        }
        Ok(())
    }

    fn count(&mut self, message: &Message<'_>) -> Result<(), Fault> {
        let number =
            from_utf8(message.payload).ok().and_then(|text| text.parse::<usize>().ok()).ok_or(Fault::Strange)?;
        let (count, qos) = match message.topic {
            "board/up" => (self.own.get_mut(number), qos_of(number)),
            "board/down" => (self.hosts.get_mut(number), QoS::ExactlyOnce),
            _ => (None, message.qos()),
        };
        let count = count.ok_or(Fault::Strange)?;
        *count = count.saturating_add(1);
        if *count > 1 && qos != QoS::AtLeastOnce { Err(Fault::Repeated(number)) } else { Ok(()) }
    }

    fn is_done(&self) -> bool {
        // `board/ready`, too, is of QoS 1.
        self.acknowledged > OWN / 3 * 2
            && self.own.iter().enumerate().all(|(number, count)| *count != 0 || qos_of(number) == QoS::AtMostOnce)
            && self.hosts.iter().all(|count| *count == 1)
    }

    fn report(&self) -> ! {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let counts =
                self.own.iter().enumerate().filter(|(number, _)| qos_of(*number) == qos).map(|(_, count)| count);
            let (arrived, all) = counts
                .fold((0, 0), |(arrived, all), count| (arrived + usize::from(*count != 0), all + usize::from(*count)));
            defmt::println!("{}: {=usize} published, {=usize} arrived, {=usize} times", qos, OWN / 3, arrived, all);
        }
        defmt::println!("of the host, ExactlyOnce: {=usize} arrived, each once", HOSTS);
        defmt::println!("{=usize} connections", self.connections);
        end::succeed()
    }
}

fn qos_of(number: usize) -> QoS {
    [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][number % 3]
}

/// A number below 1000.
fn decimal(number: usize, digits: &mut [u8; 3]) -> &[u8] {
    *digits = [number / 100, number / 10 % 10, number % 10].map(|digit| b'0' + digit as u8);
    let leading = digits.iter().take_while(|digit| **digit == b'0').count().min(2);
    &digits[leading..]
}
