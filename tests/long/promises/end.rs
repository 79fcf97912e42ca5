//! Both ends by the same names, and a watch over what they transmit.

use core::fmt::Debug;

use mqtt_session::sim::{Endpoint, PlainEndpoint};
use mqtt_session::{
    CommandError, Connect, Disconnect, Event, Handle, Inbox, Instant, PacketId, Properties, Publish, ReasonCode,
    Source, Step, Subscribe, Unsubscribe, server,
};

use super::journal::Tap;

/// What a command answered, and whether the session is what it was before.
pub(crate) type Attempt<T> = (Result<T, CommandError>, bool);

/// What both ends do.
pub(crate) trait Commands {
    fn publish(&mut self, publish: &Publish<'_>, in_place: bool) -> Attempt<Option<PacketId>>;
    /// The payload, of this length, is asked for later.
    fn publish_from(&mut self, publish: &Publish<'_>, source: &Source) -> Attempt<Option<PacketId>>;
    fn supply(&mut self, bytes: &[u8]);
    fn acknowledge(&mut self, handle: Handle, code: ReasonCode) -> Attempt<()>;
    fn disconnect(&mut self, disconnect: &Disconnect<'_>) -> Attempt<()>;
    /// Whether it was taken back, and whether the session is what it was.
    fn cancel(&mut self, packet_id: PacketId) -> (bool, bool);
    /// The same, of one that was sent.
    fn give_up(&mut self, packet_id: PacketId) -> (bool, bool);
    fn pending(&self) -> u16;
    fn is_online(&self) -> bool;
    /// Puts a clone in its own place.
    fn replace_by_clone(&mut self);
    /// How many messages it can hold.
    fn held(&self) -> usize;
}

pub(crate) trait Either: Commands + PlainEndpoint + Clone + Eq + Debug + Default {}

pub(crate) trait ClientEnd: Either + for<'i> Endpoint<Event<'i> = Event<'i>> {
    fn connect(&mut self, inbox: &mut Inbox, connect: &Connect<'_>) -> Attempt<()>;
    fn subscribe(&mut self, subscribe: &Subscribe<'_>) -> Attempt<PacketId>;
    fn unsubscribe(&mut self, unsubscribe: &Unsubscribe<'_>) -> Attempt<PacketId>;
}

pub(crate) trait ServerEnd: Either + for<'i> Endpoint<Event<'i> = server::Event<'i>> {
    fn open(&mut self);
    /// `false`: the transport is gone, and nobody hears the answer.
    fn accept(&mut self, accept: &server::Accept<'_>) -> bool;
    fn reject(&mut self);
    fn suback(&mut self, packet_id: PacketId, codes: &[ReasonCode]);
    fn unsuback(&mut self, packet_id: PacketId, codes: &[ReasonCode]);
}

type Client<const A: usize, const B: usize, const C: usize, const D: usize> = mqtt_session::Session<A, B, C, D>;
type Server<const A: usize, const B: usize, const C: usize, const D: usize> = server::Session<A, B, C, D>;

/// Calls a command and tells whether the session has changed.
fn attempt<S: Clone + PartialEq, T>(
    session: &mut S,
    command: impl FnOnce(&mut S) -> Result<T, CommandError>,
) -> Attempt<T> {
    let before = session.clone();
    let answer = command(session);
    let unchanged = *session == before;
    (answer, unchanged)
}

macro_rules! commands {
    ($session:ident) => {
        impl<const A: usize, const B: usize, const C: usize, const D: usize> Commands for $session<A, B, C, D> {
            fn publish(&mut self, publish: &Publish<'_>, in_place: bool) -> Attempt<Option<PacketId>> {
                attempt(self, |session| {
                    if !in_place {
                        return session.publish(publish);
                    }
                    let head = Publish { payload: &[], ..*publish };
                    session.publish_with(&head, publish.payload.len(), |place| place.copy_from_slice(publish.payload))
                })
            }

            fn publish_from(&mut self, publish: &Publish<'_>, source: &Source) -> Attempt<Option<PacketId>> {
                attempt(self, |session| session.publish_from(publish, source))
            }

            fn supply(&mut self, bytes: &[u8]) {
                assert!(self.supply(bytes) > 0, "a piece was asked for, and is not taken");
            }

            fn acknowledge(&mut self, handle: Handle, code: ReasonCode) -> Attempt<()> {
                attempt(self, |session| session.acknowledge(handle, code))
            }

            fn disconnect(&mut self, disconnect: &Disconnect<'_>) -> Attempt<()> {
                attempt(self, |session| session.disconnect(disconnect))
            }

            fn cancel(&mut self, packet_id: PacketId) -> (bool, bool) {
                let before = self.clone();
                let taken = self.cancel(packet_id);
                (taken, *self == before)
            }

            fn give_up(&mut self, packet_id: PacketId) -> (bool, bool) {
                let before = self.clone();
                let taken = self.give_up(packet_id);
                (taken, *self == before)
            }

            fn pending(&self) -> u16 {
                self.pending()
            }

            fn is_online(&self) -> bool {
                self.is_online()
            }

            fn replace_by_clone(&mut self) {
                *self = self.clone();
            }

            fn held(&self) -> usize {
                C
            }
        }

        impl<const A: usize, const B: usize, const C: usize, const D: usize> Either for $session<A, B, C, D> {}
    };
}

commands!(Client);
commands!(Server);

impl<const A: usize, const B: usize, const C: usize, const D: usize> ClientEnd for Client<A, B, C, D> {
    fn connect(&mut self, inbox: &mut Inbox, connect: &Connect<'_>) -> Attempt<()> {
        attempt(self, |session| session.connect(inbox, connect))
    }

    fn subscribe(&mut self, subscribe: &Subscribe<'_>) -> Attempt<PacketId> {
        attempt(self, |session| session.subscribe(subscribe))
    }

    fn unsubscribe(&mut self, unsubscribe: &Unsubscribe<'_>) -> Attempt<PacketId> {
        attempt(self, |session| session.unsubscribe(unsubscribe))
    }
}

impl<const A: usize, const B: usize, const C: usize, const D: usize> ServerEnd for Server<A, B, C, D> {
    fn open(&mut self) {
        self.open(core::time::Duration::from_secs(10));
    }

    fn accept(&mut self, accept: &server::Accept<'_>) -> bool {
        match self.accept(accept) {
            Ok(()) => true,
            Err(CommandError::NothingToAnswer) => false,
            Err(refused) => panic!("CONNACK is refused: {refused}"),
        }
    }

    fn reject(&mut self) {
        let answer = self.reject(ReasonCode::ServerUnavailable, Properties::EMPTY);
        assert!(matches!(answer, Ok(()) | Err(CommandError::NothingToAnswer)), "{answer:?}");
    }

    fn suback(&mut self, packet_id: PacketId, codes: &[ReasonCode]) {
        let reason_codes = mqtt_session::List::of(codes);
        let packet =
            mqtt_session::wire::Suback { packet_id, reason_codes, properties: mqtt_session::Properties::EMPTY };
        self.suback(&packet).expect("there was room when it was asked for");
    }

    fn unsuback(&mut self, packet_id: PacketId, codes: &[ReasonCode]) {
        let reason_codes = mqtt_session::List::of(codes);
        let packet =
            mqtt_session::wire::Unsuback { packet_id, reason_codes, properties: mqtt_session::Properties::EMPTY };
        self.unsuback(&packet).expect("there was room when it was asked for");
    }
}

/// An end whose transmissions are looked at, and its CONNECT perhaps changed.
#[derive(Clone, Debug)]
pub(crate) struct Watched<S> {
    pub(crate) session: S,
    pub(crate) tap: Tap,
    /// The Receive Maximum that CONNECT is made to announce.
    pub(crate) claim: Option<u16>,
    claimed: Vec<u8>,
}

impl<S> Watched<S> {
    pub(crate) const fn new(session: S, tap: Tap) -> Self {
        Self { session, tap, claim: None, claimed: Vec::new() }
    }

    /// A new transport.
    pub(crate) fn begin(&mut self, claim: Option<u16>) {
        self.tap.begin();
        self.claim = claim;
        self.claimed.clear();
    }
}

impl<S: PlainEndpoint> Endpoint for Watched<S> {
    type Record<'s> = core::convert::Infallible;
    type Event<'i> = S::Event<'i>;

    fn poll<'i>(&mut self, inbox: &'i mut Inbox, now: Instant) -> Step<'_, Self::Event<'i>> {
        let Self { session, tap, claim, claimed } = self;
        let step = session.poll(inbox, now);
        let Step::Transmit(bytes) = step else { return step };
        if let Some(claim) = claim.take() {
            *claimed = exaggerated(bytes, claim, |allowed| tap.allowed(allowed));
        }
        let bytes = claimed.get(tap.written()..).filter(|rest| !rest.is_empty()).unwrap_or(bytes);
        tap.shown(bytes);
        Step::Transmit(bytes)
    }

    fn transmitted(&mut self, len: usize) {
        self.tap.transmitted(len);
        self.session.transmitted(len);
    }

    fn reading_paused(&mut self) {
        self.session.reading_paused();
    }

    fn connection_lost(&mut self) {
        self.session.connection_lost();
    }

    fn deadline(&self) -> Option<Instant> {
        self.session.deadline()
    }
}

/// CONNECT with another Receive Maximum, which stands in front of the Maximum Packet Size. What was there is allowed.
fn exaggerated(connect: &[u8], claim: u16, allowed: impl FnOnce(u16)) -> Vec<u8> {
    let mut bytes = connect.to_vec();
    let place = connect.windows(4).position(|at| at[0] == 0x21 && at[3] == 0x27);
    if let Some(place) = place {
        allowed(u16::from_be_bytes([connect[place + 1], connect[place + 2]]));
        bytes[place + 1..place + 3].copy_from_slice(&claim.to_be_bytes());
    }
    bytes
}
