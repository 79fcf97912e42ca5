//! What both ends do: the client subscribes and publishes, the server sends everything back, and in the end the client leaves.

use mqtt_session::wire::Suback;
use mqtt_session::{
    CloseReason, Connect, Disconnect, Event, Inbox, List, Outcome, Properties, Publish, QoS, ReasonCode, Session,
    Subscribe, Subscription, Version, server,
};

const LEVELS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// How many messages of each QoS there are.
pub(crate) const MESSAGES: u8 = 4;

pub(crate) type Client = Session<1024, 16, 16>;
pub(crate) type Server = server::Session<1024, 16, 16>;

/// The client's end.
pub(crate) struct Asking {
    pub(crate) session: Client,
    pub(crate) inbox: Inbox<[u8; 64]>,
    pub(crate) seen: Seen,
}

/// What came back of each QoS, and how many publishes were acknowledged.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Seen {
    pub(crate) messages: [Vec<u8>; 3],
    pub(crate) acknowledged: u8,
}

/// The server's end.
pub(crate) struct Answering {
    pub(crate) session: Server,
    pub(crate) inbox: Inbox<[u8; 64]>,
}

impl Asking {
    pub(crate) fn new() -> Self {
        Self { session: Session::new(), inbox: Inbox::new(), seen: Seen::default() }
    }

    pub(crate) fn connect(&mut self, version: Version) {
        self.seen = Seen::default();
        let connect = Connect { keep_alive: 2, ..Connect::new(version, "meter-7") };
        self.session.connect(&mut self.inbox, &connect).unwrap();
    }
}

impl Answering {
    pub(crate) fn new() -> Self {
        let mut session = Server::new();
        session.open(core::time::Duration::from_secs(10));
        Self { session, inbox: Inbox::new() }
    }
}

impl Seen {
    /// All that must have come, in order.
    pub(crate) fn everything() -> Self {
        Self { messages: [(); 3].map(|()| (0..MESSAGES).collect()), acknowledged: 2 * MESSAGES }
    }

    /// The handler of the client's end.
    pub(crate) fn note(&mut self, session: &mut Client, event: &Event<'_>) {
        match event {
            Event::Connected(_) => {
                let subscriptions = [Subscription::new("answer", QoS::ExactlyOnce)];
                session.subscribe(&Subscribe::new(&subscriptions)).unwrap();
            }
            Event::Subscribed { .. } => {
                for (number, qos) in (0..MESSAGES).flat_map(|number| LEVELS.map(|qos| (number, qos))) {
                    session.publish(&Publish { qos, ..Publish::new("question", &[number]) }).unwrap();
                }
            }
            Event::Message(message) => self.messages[message.qos() as usize].push(message.payload[0]),
            Event::Published { outcome: Outcome::Acknowledged(_), .. } => self.acknowledged += 1,
            other => panic!("{other:?}"),
        }
        if *self == Self::everything() {
            session.disconnect(&Disconnect::default()).unwrap();
        }
    }
}

/// The handler of the server's end. The answer is given while the question is held.
pub(crate) fn answer(session: &mut Server, event: &server::Event<'_>) {
    match event {
        server::Event::Connecting { .. } => session.accept(&server::Accept::default()).unwrap(),
        server::Event::Subscribing { packet_id, .. } => {
            let reason_codes = List::of(&[ReasonCode::GrantedQos2]);
            let properties = Properties::EMPTY;
            session.suback(&Suback { packet_id: *packet_id, reason_codes, properties }).unwrap();
        }
        server::Event::Message(message) => {
            session.publish(&Publish { qos: message.qos(), ..Publish::new("answer", message.payload) }).unwrap();
        }
        server::Event::Published { .. } | server::Event::Disconnected(_) => {}
        other => panic!("{other:?}"),
    }
}

/// How the server's end of such a conversation ends.
pub(crate) fn is_orderly(cause: CloseReason) -> bool {
    matches!(cause, CloseReason::DisconnectedByPeer(ReasonCode::Success))
}
