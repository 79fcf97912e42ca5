//! One application, and a server that does what it is asked.

use core::time::Duration;

use crate::endpoint::{ClientCommands, PlainEndpoint};
use crate::error::{CloseReason, CommandError};
use crate::inbox::Inbox;
use crate::server::{self, Accept};
use crate::session::command::Connect;
use crate::wire::{ConnectPacket, List, Properties, Property, QoS, ReasonCode, Role, Suback, Unsuback, Version};

use super::{Attention, Faults, Observer, Simulation, Turn};

/// A server and the link to it, for a test of one application.
///
/// The server accepts each connection, grants each subscription as it is asked for (up to 32 with one SUBSCRIBE), and keeps its
/// session. It does not know which message belongs to which subscription: the test publishes for it, by [`server`](Self::server).
/// Both inboxes are the harness's; `STORE`, `WINDOW` and `INBOX` say what the server has room for, `INBOX` holds for the client, too.
///
/// Ten messages over a link that breaks, each of which arrives once:
///
/// ```
/// use mqtt_session::sim::{Faults, Happened, Harness};
/// use mqtt_session::{CommandError, Connect, Publish, QoS, Session, Version, server};
///
/// # #[cfg(feature = "v311")]
/// for seed in 0..20 {
///     let faults = Faults { fragments: true, delay: 20, cut_once_in: 30, ..Faults::NONE };
///     let mut harness: Harness = Harness::new(seed, faults, ());
///     let mut session: Session<512, 10, 10> = Session::new();
///     let connect = Connect { clean_start: false, ..Connect::new(Version::V311, "meter-7") };
///     let (mut published, mut arrived) = (0, [0; 10]);
///     loop {
///         match harness.step(&mut session) {
///             Happened::Offline => harness.connect(&mut session, &connect)?,
///             Happened::Server(server::Event::Message(message)) => arrived[usize::from(message.payload[0])] += 1,
///             Happened::Quiet if published < 10 => {
///                 session.publish(&Publish { qos: QoS::ExactlyOnce, ..Publish::new("power", &[published]) })?;
///                 published += 1;
///             }
///             Happened::Quiet => break,
///             _ => {}
///         }
///     }
///     assert_eq!(arrived, [1; 10], "seed {seed}");
/// }
/// # Ok::<(), CommandError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Harness<O = (), const STORE: usize = 4096, const WINDOW: usize = 32, const INBOX: usize = 1024> {
    sim: Simulation<O>,
    server: server::Session<STORE, WINDOW, WINDOW>,
    client_inbox: Inbox<[u8; INBOX]>,
    server_inbox: Inbox<[u8; INBOX]>,
    /// Whether it was said that nothing happens, and time may pass.
    told: Told,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Something,
    Quiet,
}

/// What a step of a [`Harness`] came to.
#[non_exhaustive]
#[derive(Debug)]
pub enum Happened<'h, E> {
    /// There is no connection: call [`Harness::connect`].
    Offline,
    /// Something happened on the application's end.
    Client(E),
    /// Something happened on the server's end that it need not answer: a message, the outcome of one.
    Server(server::Event<'h>),
    /// The application's end has closed. [`Offline`](Self::Offline) follows.
    Closed(CloseReason),
    /// Both ends are connected, and all that was under way has arrived. A further step lets time pass until it demands something:
    /// PINGREQ, say.
    Quiet,
    /// Bytes or time moved, or the server answered.
    Moved,
}

/// How many subscriptions of one SUBSCRIBE are answered.
const MOST: usize = 32;

impl<O: Observer, const STORE: usize, const WINDOW: usize, const INBOX: usize> Harness<O, STORE, WINDOW, INBOX> {
    /// A server that nobody has connected to. The same seed leads to the same events.
    #[must_use]
    pub const fn new(seed: u64, faults: Faults, observer: O) -> Self {
        Self {
            sim: Simulation::new(seed, faults, observer),
            server: server::Session::new(),
            client_inbox: Inbox::new(),
            server_inbox: Inbox::new(),
            told: Told::Something,
        }
    }

    /// A new transport, and CONNECT over it.
    ///
    /// # Errors
    ///
    /// As of [`Session::connect`](crate::Session::connect).
    pub fn connect(&mut self, client: &mut dyn ClientCommands, connect: &Connect<'_>) -> Result<(), CommandError> {
        client.connect(&mut self.client_inbox, connect)?;
        self.sim.connect();
        self.server_inbox.clear();
        self.server.open(Duration::from_secs(10));
        Ok(())
    }

    /// One step: an end is polled, or time moves.
    pub fn step<'h, C: PlainEndpoint>(&'h mut self, client: &mut C) -> Happened<'h, C::Event<'h>> {
        let sim = &mut self.sim;
        if sim.client.attention == Attention::Closed && sim.server.attention == Attention::Closed {
            return Happened::Offline;
        }
        let runnable = [Role::Client, Role::Server].map(|role| match role {
            Role::Client => sim.is_runnable(role, &mut self.client_inbox),
            Role::Server => sim.is_runnable(role, &mut self.server_inbox),
        });
        match (sim.is_carrying(), runnable, self.told) {
            (true, ..) => self.told = Told::Something,
            (false, [false, false], Told::Something) => {
                self.told = Told::Quiet;
                // What the application does now is seen before time passes.
                sim.wake();
                return Happened::Quiet;
            }
            (false, [false, false], Told::Quiet) => self.told = Told::Something,
            (false, ..) => {}
        }
        match sim.step(client, &mut self.client_inbox, &mut self.server, &mut self.server_inbox) {
            Turn::Server(event) => {
                self.told = Told::Something;
                answered(&mut self.server, event)
            }
            Turn::Client(event) => {
                self.told = Told::Something;
                Happened::Client(event)
            }
            Turn::Closed { end: Role::Client, reason } => Happened::Closed(reason),
            Turn::Closed { .. } | Turn::Moved => Happened::Moved,
            Turn::Idle => Happened::Quiet,
        }
    }

    /// The server's end, to publish or disconnect by, or to look at.
    pub fn server(&mut self) -> &mut server::Session<STORE, WINDOW, WINDOW> {
        self.told = Told::Something;
        self.sim.wake();
        &mut self.server
    }

    /// The server loses its session, and the link with it.
    pub fn lose_session(&mut self) {
        self.sim.cut();
        self.server = server::Session::new();
    }

    /// The link and the time.
    pub const fn simulation(&mut self) -> &mut Simulation<O> {
        &mut self.sim
    }
}

impl<O: Observer, const IN_FLIGHT: usize> Simulation<O, IN_FLIGHT> {
    /// Whether bytes are under way.
    fn is_carrying(&self) -> bool {
        [&self.client, &self.server].into_iter().any(|side| !side.outgoing.in_flight().is_empty())
    }
}

/// Gives the answer that is due, if one is.
fn answered<'h, E, const STORE: usize, const WINDOW: usize>(
    server: &mut server::Session<STORE, WINDOW, WINDOW>,
    event: server::Event<'h>,
) -> Happened<'h, E> {
    // The transport may be gone meanwhile: then there is nothing to answer.
    _ = match event {
        server::Event::Connecting { version, connect, .. } => accept(server, version, &connect),
        server::Event::Subscribing { packet_id, subscriptions, .. } => {
            let mut codes = [ReasonCode::UnspecifiedError; MOST];
            let asked =
                codes.iter_mut().zip(subscriptions.iter()).map(|(code, asked)| *code = granted(asked.qos)).count();
            let reason_codes = List::of(codes.get(..asked).unwrap_or_default());
            server.suback(&Suback { packet_id, reason_codes, properties: Properties::EMPTY })
        }
        server::Event::Unsubscribing { packet_id, filters, .. } => {
            let codes = [ReasonCode::Success; MOST];
            let reason_codes = List::of(codes.get(..filters.iter().count()).unwrap_or_default());
            server.unsuback(&Unsuback { packet_id, reason_codes, properties: Properties::EMPTY })
        }
        other => return Happened::Server(other),
    };
    Happened::Moved
}

fn accept<const STORE: usize, const WINDOW: usize>(
    server: &mut server::Session<STORE, WINDOW, WINDOW>,
    version: Version,
    connect: &ConnectPacket<'_>,
) -> Result<(), CommandError> {
    let assigned = [Property::AssignedClientIdentifier("assigned")];
    let named = if connect.client_id.is_empty() { assigned.as_slice() } else { &[] };
    server.accept(&Accept { properties: Properties::for_version(version, named), ..Accept::default() })
}

const fn granted(qos: QoS) -> ReasonCode {
    match qos {
        QoS::AtMostOnce => ReasonCode::Success,
        QoS::AtLeastOnce => ReasonCode::GrantedQos1,
        QoS::ExactlyOnce => ReasonCode::GrantedQos2,
    }
}
