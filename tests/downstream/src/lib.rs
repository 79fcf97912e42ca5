//! What somebody does who has the crate with some of its features only. `.ci/downstream` compiles it with each feature alone.
#![no_std]

use mqtt_session::{
    Backoff, CloseReason, CommandError, Connect, Event, Inbox, Instant, PlainEndpoint, Publish, QoS, Session, Step,
    Version,
};

#[cfg(feature = "v311")]
pub const VERSION: Version = Version::V311;
#[cfg(all(feature = "v5", not(feature = "v311")))]
pub const VERSION: Version = Version::V5;

pub type Meter = Session<256, 4, 4>;

/// The loop by hand.
pub fn turn(
    session: &mut Meter,
    inbox: &mut Inbox,
    now: Instant,
    mut write: impl FnMut(&[u8]) -> usize,
) -> Option<CloseReason> {
    match session.poll(inbox, now) {
        Step::Event(Event::Message(message)) => drop(session.publish(&Publish::new("echo", message.payload))),
        Step::Event(_) | Step::Wait(_) => {}
        Step::Transmit(bytes) => {
            let written = write(bytes);
            session.transmitted(written);
        }
        Step::Close(cause) => return Some(cause),
    }
    None
}

pub fn begin(session: &mut Meter, inbox: &mut Inbox) -> Result<(), CommandError> {
    session.connect(inbox, &Connect::new(VERSION, "meter-7"))?;
    session.publish(&Publish { qos: QoS::AtLeastOnce, ..Publish::new("power", b"230 W") }).map(drop)
}

pub fn pause(backoff: &mut Backoff, random: u32) -> u32 {
    backoff.next(random)
}

pub fn give_up(end: &mut impl PlainEndpoint) {
    end.connection_lost();
}

#[cfg(feature = "server")]
pub fn serve(session: &mut mqtt_session::server::Session<256, 4, 4>, inbox: &mut Inbox, now: Instant) -> bool {
    use mqtt_session::server::{Accept, Event};
    let step = session.poll(inbox, now);
    matches!(step, Step::Event(Event::Connecting { .. })) && session.accept(&Accept::default()).is_ok()
}

#[cfg(feature = "streaming")]
pub fn send_log(session: &mut Meter, log: &[u8]) -> Result<(), CommandError> {
    let len = u32::try_from(log.len()).unwrap_or(u32::MAX);
    session.publish_from(&Publish::new("log", &[]), &mqtt_session::Source::new(1, len)).map(drop)
}

#[cfg(feature = "streaming")]
pub fn go_on(session: &mut Meter, event: &Event<'_>, log: &[u8]) {
    if let Event::PayloadRequested(request) = event {
        let offset = usize::try_from(request.offset).unwrap_or(usize::MAX);
        session.supply(log.get(offset..).unwrap_or_default());
    }
}

#[cfg(feature = "defmt")]
pub fn tell(step: &Step<'_, Event<'_>>) {
    defmt::info!("{}", step);
}

#[cfg(feature = "embedded-io")]
pub fn block<T, C>(transport: T, clock: C, session: &mut Meter, inbox: &mut Inbox) -> Result<(), CloseReason>
where
    T: embedded_io::Read + embedded_io::Write + embedded_io::ReadReady + embedded_io::WriteReady,
    C: mqtt_session::io::Clock,
{
    let mut driver = mqtt_session::io::Driver::new(transport, clock);
    driver.next(session, inbox, |_, _| ()).map_err(|error| error.close_reason())
}

#[cfg(feature = "embedded-io-async")]
pub async fn wait<T, C>(transport: T, clock: C, session: &mut Meter, inbox: &mut Inbox) -> Result<(), CloseReason>
where
    T: embedded_io_async::Read + embedded_io_async::Write,
    C: mqtt_session::io::AsyncClock,
{
    let mut driver = mqtt_session::io::AsyncDriver::new(transport, clock);
    driver.next(session, inbox, |_, _| ()).await.map_err(|error| error.close_reason())
}

#[cfg(feature = "sim")]
pub fn simulate(seed: u64) -> mqtt_session::sim::Simulation<()> {
    mqtt_session::sim::Simulation::new(seed, mqtt_session::sim::Faults::NONE, ())
}

#[cfg(feature = "proptest")]
pub fn topics() -> impl proptest::strategy::Strategy {
    mqtt_session::strategies::topic_name(20)
}
