//! The two real sessions and their inboxes, behind one face.

use core::hash::Hash;

use mqtt_session::server::{self, Accept};
use mqtt_session::sim::Endpoint;
use mqtt_session::wire::Delivery;
use mqtt_session::{
    Acknowledge, CloseReason, CommandError, Connect, Event, Handle, Inbox, Instant, Outcome, PacketId, Properties,
    Property, Publish, QoS, ReasonCode, Role, Session, Step,
};

use super::plan::Plan;

/// Room for any CONNECT and CONNACK here, and for a dozen acknowledgements.
const CONTROL: usize = 64;

/// Room for all that is ever in flight.
pub(crate) const INBOX: usize = 128;

/// Time stands still.
const NOW: Instant = Instant::from_millis(0);

const CLIENT_ID: &str = "c";
const TOPIC: &str = "t";

/// Both ends.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Ends<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize> {
    pub(crate) client: Session<STORE, OUTBOUND, INBOUND, CONTROL>,
    pub(crate) server: server::Session<STORE, OUTBOUND, INBOUND, CONTROL>,
    pub(crate) inboxes: [Inbox<[u8; INBOX]>; 2],
}

/// A step without what it borrows.
pub(crate) enum Did {
    Told(Told),
    Transmit(Vec<u8>),
    Wait,
    Close(CloseReason),
}

/// An event of either end, as far as it matters here.
pub(crate) enum Told {
    Message { index: usize, packet_id: Option<PacketId>, handle: Option<Handle> },
    Published { packet_id: PacketId, outcome: Outcome },
    Republished { lost: PacketId, packet_id: PacketId },
    Connecting { session_present: bool },
    Connected { session_present: bool },
    Stray,
    Writable,
    Other,
}

/// The number of an end, for arrays of two.
pub(crate) const fn number(role: Role) -> usize {
    match role {
        Role::Client => 0,
        Role::Server => 1,
    }
}

/// The other end.
pub(crate) const fn other(role: Role) -> Role {
    match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    }
}

impl<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize> Ends<STORE, OUTBOUND, INBOUND> {
    pub(crate) const fn new() -> Self {
        Self { client: Session::new(), server: server::Session::new(), inboxes: [Inbox::new(), Inbox::new()] }
    }

    pub(crate) fn poll(&mut self, role: Role) -> Did {
        let [client_inbox, server_inbox] = &mut self.inboxes;
        match role {
            Role::Client => did(self.client.poll(client_inbox, NOW), told_client),
            Role::Server => did(self.server.poll(server_inbox, NOW), told_server),
        }
    }

    /// What a poll would tell.
    pub(crate) fn would(&self, role: Role) -> Did {
        self.clone().poll(role)
    }

    pub(crate) fn transmitted(&mut self, role: Role, len: usize) {
        match role {
            Role::Client => Endpoint::transmitted(&mut self.client, len),
            Role::Server => Endpoint::transmitted(&mut self.server, len),
        }
    }

    pub(crate) fn connection_lost(&mut self, role: Role) {
        match role {
            Role::Client => Endpoint::connection_lost(&mut self.client),
            Role::Server => Endpoint::connection_lost(&mut self.server),
        }
    }

    /// A new transport, on both ends.
    pub(crate) fn connect(&mut self, plan: &Plan, clean_start: bool) -> Result<(), CommandError> {
        self.ask(plan, clean_start)?;
        self.inboxes[1].clear();
        self.server.open(core::time::Duration::from_secs(10));
        Ok(())
    }

    /// A new transport, on the client's end.
    pub(crate) fn ask(&mut self, plan: &Plan, clean_start: bool) -> Result<(), CommandError> {
        let [client_inbox, _] = &mut self.inboxes;
        let lasting = [Property::SessionExpiryInterval(u32::MAX)];
        let properties = Properties::for_version(plan.version, &lasting);
        let connect = Connect {
            clean_start,
            keep_alive: 0,
            properties,
            acknowledgement: plan.acknowledgement(),
            lost_session: plan.lost_session,
            ..Connect::new(plan.version, CLIENT_ID)
        };
        self.client.connect(client_inbox, &connect)
    }

    pub(crate) fn accept(&mut self, acknowledgement: Acknowledge) -> Result<(), CommandError> {
        self.server.accept(&Accept { acknowledgement, ..Accept::default() })
    }

    pub(crate) fn publish(&mut self, role: Role, index: usize, qos: QoS) -> Result<Option<PacketId>, CommandError> {
        let payload = [b'0' + u8::try_from(index).unwrap()];
        let publish = Publish { qos, ..Publish::new(TOPIC, &payload) };
        match role {
            Role::Client => self.client.publish(&publish),
            Role::Server => self.server.publish(&publish),
        }
    }

    pub(crate) fn acknowledge(&mut self, role: Role, handle: Handle, code: ReasonCode) -> Result<(), CommandError> {
        match role {
            Role::Client => self.client.acknowledge(handle, code),
            Role::Server => self.server.acknowledge(handle, code),
        }
    }

    pub(crate) fn give_up(&mut self, role: Role, packet_id: PacketId) -> bool {
        match role {
            Role::Client => self.client.give_up(packet_id),
            Role::Server => self.server.give_up(packet_id),
        }
    }

    pub(crate) fn inbox(&self, role: Role) -> &Inbox<[u8; INBOX]> {
        &self.inboxes[number(role)]
    }

    pub(crate) fn receive(&mut self, role: Role, bytes: &[u8]) {
        let inbox = &mut self.inboxes[number(role)];
        inbox.space()[..bytes.len()].copy_from_slice(bytes);
        inbox.filled(bytes.len());
    }

    /// Whether nothing is left of all exchanges on either end, but for identifiers that are kept, and what the other end may know of
    /// their messages.
    pub(crate) fn is_clear(&self, kept: [usize; 2]) -> bool {
        let fresh = Session::<STORE, OUTBOUND, INBOUND, CONTROL>::new();
        let debugged = [format!("{:?}", self.client), format!("{:?}", self.server)];
        usize::from(self.client.pending()) == kept[0]
            && usize::from(self.server.pending()) == kept[1]
            && self.client.free_space() == fresh.free_space()
            && self.server.free_space() == fresh.free_space()
            && (kept != [0; 2] || debugged.iter().all(|text| text.contains("held: 0,")))
    }
}

fn did<E>(step: Step<'_, E>, told: impl FnOnce(E) -> Told) -> Did {
    match step {
        Step::Event(event) => Did::Told(told(event)),
        Step::Transmit(bytes) => Did::Transmit(bytes.to_vec()),
        Step::Wait(_) => Did::Wait,
        Step::Close(cause) => Did::Close(cause),
    }
}

fn message(payload: &[u8], delivery: Delivery, handle: Option<Handle>) -> Told {
    Told::Message { index: usize::from(payload[0] - b'0'), packet_id: delivery.packet_id(), handle }
}

fn told_client(event: Event<'_>) -> Told {
    match event {
        Event::Message(m) => message(m.payload, m.delivery, m.handle),
        Event::Published { packet_id, outcome, .. } => Told::Published { packet_id, outcome },
        Event::Republished { lost, packet_id } => Told::Republished { lost, packet_id },
        Event::Connected(connack) => Told::Connected { session_present: connack.session_present },
        Event::Stray { .. } => Told::Stray,
        Event::Writable => Told::Writable,
        _ => Told::Other,
    }
}

fn told_server(event: server::Event<'_>) -> Told {
    match event {
        server::Event::Message(m) => message(m.payload, m.delivery, m.handle),
        server::Event::Published { packet_id, outcome, .. } => Told::Published { packet_id, outcome },
        server::Event::Connecting { session_present, .. } => Told::Connecting { session_present },
        server::Event::Stray { .. } => Told::Stray,
        server::Event::Writable => Told::Writable,
        _ => Told::Other,
    }
}
