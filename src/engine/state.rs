//! What a session is besides its arrays.

use crate::command::{Acknowledge, Offline, Oversized};
use crate::error::CloseReason;
use crate::flow::chain::Chain;
use crate::flow::held::Table;
use crate::flow::identifiers::{Identifiers, SlotId};
use crate::keepalive::KeepAlive;
use crate::outbox::Outbox;
use crate::time::Instant;
use crate::timer::{NEVER, Timer};
#[cfg(feature = "streaming")]
use crate::wire::ReasonCode;
use crate::wire::{PacketId, Properties, Property, QoS, Version};

use super::packed::packed;

/// All that a session is besides its arrays; all zero bits at first.
///
/// The small fields come first, where the short instructions of a microcontroller reach them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub(crate) struct Core<E> {
    pub(crate) phase: Phase,
    pub(crate) cause: CloseReason,
    pub(crate) turn: Turn,
    pub(crate) overdue: Overdue,
    pub(crate) news: News,
    pub(crate) terms: Terms,
    /// The protocol level; 0: never connected.
    pub(crate) level: u8,
    /// What the server supports on this connection, whichever end that is.
    pub(crate) support: Support,
    pub(crate) pending_answer_type: PendingAnswer,
    /// How many seconds the last packets of a connection may take.
    pub(crate) disconnect_timeout: u8,
    pub(crate) retry_interval: u8,
    /// The message that is received in pieces, and how many seconds the application has to go on with one that is sent so.
    #[cfg(feature = "streaming")]
    pub(crate) arriving: Arriving,
    #[cfg(feature = "streaming")]
    pub(crate) payload_timeout: u8,
    /// What only this end has.
    pub(crate) end: E,
    /// The message that was handed out last, if the session is to acknowledge it.
    pub(crate) pending_answer: Option<PacketId>,
    /// How many packets were stored since the last poll, from the first one on that may expire; 65,535: at least so many.
    pub(crate) unstamped: u16,
    /// How many PUBLISHes of QoS 1 and 2 may be shown. (5.0: 4.9)
    pub(crate) quota: u16,
    /// How many messages of QoS 1 and 2 the peer may still send on this connection, and how many more once what is queued is
    /// shown. A peer may count each PUBCOMP, also one for a message of an earlier connection, so this may become more than the
    /// Receive Maximum that we announced. (5.0: 3.3.4, 4.9)
    pub(crate) receive_quota: u16,
    pub(crate) closing: u16,
    pub(crate) identifiers: Identifiers,
    /// The exchanges that wait for PUBCOMP, in the order of their PUBRECs.
    pub(crate) releases: Chain,
    /// What has expired, was given up, or was lost with its connection, and whose outcome is still to be told.
    pub(crate) untold: Chain,
    /// The next PUBREL of an earlier connection that is to be sent again.
    pub(crate) next_release: Option<SlotId>,
    pub(crate) table: Table,
    /// The client identifier that the session belongs to, and the authentication method of the connection, as hashes. That a
    /// method changes is a fault of the peer and no more, so fewer bits do.
    pub(crate) method: u16,
    pub(crate) client: ClientHash,
    pub(crate) limits: Limits,
    pub(crate) keep_alive: KeepAlive,
    /// When the phase must be over or, online, when there is a look for what is to be sent again.
    pub(crate) deadline: Timer,
    /// When the first of the messages that wait may have expired, as long as any wait.
    pub(crate) expiry: Timer,
    pub(crate) now: Instant,
}

impl<E> Core<E> {
    /// All zero bits, if `end` is.
    pub(crate) const fn new(end: E) -> Self {
        Self {
            now: Instant::from_millis(0),
            keep_alive: KeepAlive::OFF,
            deadline: Timer::OFF,
            expiry: Timer::OFF,
            limits: Limits::NONE,
            client: ClientHash::NONE,
            method: 0,
            identifiers: Identifiers::NEW,
            releases: Chain::NEW,
            untold: Chain::NEW,
            next_release: None,
            table: Table::NEW,
            unstamped: 0,
            quota: 0,
            receive_quota: 0,
            closing: 0,
            pending_answer: None,
            pending_answer_type: PendingAnswer::Puback,
            disconnect_timeout: 0,
            retry_interval: 0,
            #[cfg(feature = "streaming")]
            arriving: Arriving::Nothing,
            #[cfg(feature = "streaming")]
            payload_timeout: 0,
            phase: Phase::Offline,
            cause: CloseReason::NotConnected,
            turn: Turn::Queue,
            overdue: Overdue::No,
            news: News::NEW,
            terms: Terms::NEW,
            level: 0,
            support: Support::NONE,
            end,
        }
    }

    /// The next instant at which time demands something.
    pub(crate) fn next_deadline(&self, outbox: &Outbox) -> Option<Instant> {
        self.after(self.pause(outbox))
    }

    /// How many received messages are not completely acknowledged: one that the session acknowledges itself, in the hands of the
    /// application, is in no table if it is of QoS 1.
    pub(crate) const fn pending_received(&self) -> u16 {
        let is_beside = self.pending_answer.is_some() && matches!(self.pending_answer_type, PendingAnswer::Puback);
        self.table.len().saturating_add(is_beside as u16)
    }

    /// The end of a pause that has one.
    pub(crate) fn after(&self, pause: u32) -> Option<Instant> {
        if pause == NEVER { None } else { Some(self.now.after_millis(pause.into())) }
    }

    /// What the server supports, once the connection has begun: in 3.1.1 all.
    pub(crate) const fn support(&self) -> Support {
        if Version::LATEST.is_v5() { self.support } else { Support::ALL }
    }

    /// The milliseconds until time demands something; `NEVER`: it does not.
    pub(crate) fn pause(&self, outbox: &Outbox) -> u32 {
        // Whoever leaves asks no more.
        let keep_alive = if self.phase.is_watched() { self.keep_alive.pause() } else { NEVER };
        let expiry = if Version::LATEST.is_v5() && outbox.is_waiting() { self.expiry.left() } else { NEVER };
        let limit = match (keep_alive.min(self.deadline.left()), self.overdue) {
            // It is judged at the next instant.
            (0, Overdue::Writing) => 1,
            (pause, _) => pause,
        };
        limit.min(expiry)
    }
}

/// What tells client identifiers apart; each end makes its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(Rust, packed(4))]
pub(crate) struct ClientHash(pub(crate) u64);

impl ClientHash {
    /// Of no client.
    pub(crate) const NONE: Self = Self(0);
}

/// Where the connection stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) enum Phase {
    /// There is none; its cause is told.
    #[default]
    Offline,
    /// CONNECT is on its way, CONNACK awaited.
    Connecting,
    /// CONNACK has come, or has been given.
    Online,
    /// CONNACK is awaited, and the application wants to disconnect once every exchange is over.
    Awaiting,
    /// The application wants to disconnect once every exchange is over.
    Completing,
    /// The application wants to disconnect: what needs no answer leaves first.
    Leaving,
    /// The peer is at fault: nothing but a disconnect_timeout leaves.
    Failing,
    /// The last packet is being written.
    Parting,
    /// The transport is gone; whole packets are still taken.
    Draining,
    /// The transport is gone, and the application wanted to disconnect: whole acknowledgements are still taken.
    Settling,
    /// The connection is over; outcomes are told.
    Reporting,
}

impl Phase {
    /// Whether the keep alive counts.
    pub(crate) const fn is_watched(self) -> bool {
        matches!(self, Self::Online | Self::Completing)
    }

    /// Whether CONNACK is what comes next.
    pub(crate) const fn is_connecting(self) -> bool {
        matches!(self, Self::Connecting | Self::Awaiting)
    }

    /// Whether PUBLISHes leave.
    pub(crate) const fn publishes(self) -> bool {
        matches!(self, Self::Online | Self::Completing | Self::Leaving)
    }
}

/// How long the session lives.
///
/// The client's end. A clean start gives the session up at once, and the server may have it until CONNACK says otherwise.
/// "Kept" stands for `Kept`, or `UntilClose` if the session is to end with its connection, after which there is `None`.
///
/// | | `None` | `Kept` | `Abandoned` |
/// |---|---|---|---|
/// | `connect`, clean start | `Abandoned` | lost; `Abandoned` | `Abandoned` |
/// | `connect`, no clean start | `None` | `Kept`; refused under another client identifier or version | sent as a clean start |
/// | not sent, refused, no CONNACK | `None` | `Kept` | `Abandoned` |
/// | CONNACK, Session Present 0 | Kept | in flight: `LostSession`; Kept | Kept |
/// | CONNACK, Session Present 1 | 5.0: `SessionUnknown`, `Abandoned`; 3.1.1: Kept | resumed; Kept | closed; `Abandoned` |
///
/// The server's end. A client that was not told of a new session takes it for the old one if it is ever told of it.
///
/// | | `None` | `Begun` | `Kept` |
/// |---|---|---|---|
/// | `accept`, Session Present 0 | `Begun` | - | lost; `Begun` |
/// | `accept`, Session Present 1 | - | - | `Kept` |
/// | CONNACK is written whole | - | `Kept` | `Kept` |
/// | the connection ends | `None` | lost; `None` | `Kept` |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum SessionLifetime {
    /// There is none.
    #[default]
    None,
    /// As long as its connection.
    UntilClose,
    /// There is none here. The server may have one that this end gave up or never knew: CONNECT asks for a clean start until one
    /// is accepted.
    Abandoned,
    /// It is to live longer than its connection, if CONNACK is written whole.
    #[cfg(feature = "server")]
    Begun,
    /// Longer than its connection.
    Kept,
}

impl SessionLifetime {
    /// Whether a session in this state ends with its connection.
    pub(crate) const fn ends_with_connection(self) -> bool {
        match self {
            Self::UntilClose => true,
            #[cfg(feature = "server")]
            Self::Begun => true,
            _ => false,
        }
    }
}

/// Whether what was in flight is being reported as lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum SessionLoss {
    #[default]
    Nothing,
    InFlight,
    /// What may be published anew is; the rest is reported.
    Republishing,
}

/// Whether a command was refused for want of room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum SpaceWait {
    #[default]
    No,
    Yes,
    /// And something has become free since.
    Relieved,
    /// And then another command was refused: the event waits until more becomes free.
    Again,
}

/// What is shown next where both the queue and the store have something to send: neither keeps the other waiting for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Turn {
    #[default]
    Queue,
    Store,
    /// The queue, also if it was written last: something is in it that leaves before what is stored.
    Ahead,
}

/// A rule that the packet broke which was taken last, as long as that is still to be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Tolerated {
    #[default]
    Nothing,
    /// PUBREC refused a message with a code that it does not have.
    PubrecCode,
}

/// Whether messages of QoS 0 were dropped since that was told last. Each end counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Dropped {
    #[default]
    Nothing,
    Something,
}

/// What was made of a time limit that is over. The application may have let more time pass than there was, so it is judged
/// only after one more attempt to write and to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Overdue {
    /// None is.
    #[default]
    No,
    /// The caller writes once more.
    Writing,
    /// The caller has written, or has nothing to write.
    Written,
    /// The caller reads once more.
    Reading,
}

/// What is known of a message that is received in pieces, besides what the inbox knows.
#[cfg(feature = "streaming")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Arriving {
    /// There is none.
    #[default]
    Nothing,
    /// Its first pieces were told.
    Begun,
    /// The application does not want the rest, and answers with this code.
    Discarded(ReasonCode),
    /// The connection ended before its last piece, which is still to be told.
    Aborted,
}

/// What became of the demands of time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Met {
    All,
    /// The caller is to read first.
    NotRead,
}

/// What answers the message that was handed out last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum PendingAnswer {
    #[default]
    Puback,
    Pubrec,
}

/// Where the enhanced authentication stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Authentication {
    /// There is none.
    #[default]
    Without,
    /// There is a method, and no exchange is going on.
    Settled,
    /// An exchange is going on, and it is the peer's turn.
    Awaited,
    /// An exchange is going on, and it is our turn.
    Due,
}

/// A set of facts that are one bit each.
macro_rules! flags {
    ($(#[$about:meta])* $name:ident { $($(#[$what:meta])* $fact:ident, $set:ident = $bit:literal;)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) struct $name(u8);

        impl $name {
            pub(crate) const NONE: Self = Self(0);

            $($(#[$what])*
            pub(crate) const fn $fact(self) -> bool {
                self.0 & $bit != 0
            }

            pub(crate) const fn $set(self, holds: bool) -> Self {
                Self(if holds { self.0 | $bit } else { self.0 & !$bit })
            })*
        }
    };
}
pub(crate) use flags;

packed! {
    /// What is to be told, and what waits for something to be told.
    News {
        tolerated, set_tolerated: Tolerated = 1 << 0 { Nothing, PubrecCode }
        session_loss, set_session_loss: SessionLoss = 3 << 1 { Nothing, InFlight, Republishing }
        space_wait, set_space_wait: SpaceWait = 3 << 3 { No, Yes, Relieved, Again }
        authentication, set_authentication: Authentication = 3 << 5 { Without, Settled, Awaited, Due }
        dropped, set_dropped: Dropped = 1 << 7 { Nothing, Something }
    }
}

impl News {
    /// Whether there may be something to tell. Mostly there is nothing.
    pub(crate) const fn has_any(self) -> bool {
        // An authentication is nothing to tell.
        self.0 & !(3 << 5) != 0
    }
}

packed! {
    /// How the application wants the session to behave, and how long it lives.
    Terms {
        acknowledgement, set_acknowledgement: Acknowledge = 1 << 0 { AfterHandling, Manually }
        offline, set_offline: Offline = 3 << 1 { Everything, Acknowledged, Nothing }
        oversized, set_oversized: Oversized = 3 << 3 {
            Disconnect,
            Skipped,
            #[cfg(feature = "streaming")]
            InPieces
        }
        session_lifetime, set_session_lifetime: SessionLifetime = 7 << 5 {
            None,
            UntilClose,
            Abandoned,
            #[cfg(feature = "server")]
            Begun,
            Kept
        }
    }
}

impl Terms {
    /// What the application says of them for a connection.
    pub(crate) const fn agree(&mut self, acknowledgement: Acknowledge, offline: Offline, oversized: Oversized) {
        self.set_acknowledgement(acknowledgement);
        self.set_offline(offline);
        self.set_oversized(oversized);
    }
}

flags! {
    /// What a server supports. [MQTT-3.2.2-9] and on
    Support {
        retain, with_retain = 1;
        wildcards, with_wildcards = 2;
        subscription_identifiers, with_subscription_identifiers = 4;
        shared, with_shared = 8;
        qos_1, with_qos_1 = 16;
        qos_2, with_qos_2 = 32;
    }
}

impl Support {
    /// All of it: what is not announced otherwise.
    pub(crate) const ALL: Self = Self::NONE
        .with_retain(true)
        .with_wildcards(true)
        .with_subscription_identifiers(true)
        .with_shared(true)
        .with_qos_1(true)
        .with_qos_2(true);

    /// What CONNACK says, and the defaults for what it does not.
    pub(crate) fn of(properties: &Properties<'_>) -> Self {
        properties.iter().fold(Self::ALL, |support, property| match property {
            Property::RetainAvailable(available) => support.with_retain(available),
            Property::WildcardSubscriptionAvailable(available) => support.with_wildcards(available),
            Property::SubscriptionIdentifierAvailable(available) => support.with_subscription_identifiers(available),
            Property::SharedSubscriptionAvailable(available) => support.with_shared(available),
            Property::MaximumQos(qos) => {
                support.with_qos_1(qos >= QoS::AtLeastOnce).with_qos_2(qos >= QoS::ExactlyOnce)
            }
            _ => support,
        })
    }

    /// Whether a message of this QoS may be published. [MQTT-3.2.2-11]
    pub(crate) const fn has(self, qos: QoS) -> bool {
        match qos {
            QoS::AtMostOnce => true,
            QoS::AtLeastOnce => self.qos_1(),
            QoS::ExactlyOnce => self.qos_2(),
        }
    }
}

/// What the peer takes on this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Limits {
    /// Maximum Packet Size; 0: no limit. [MQTT-3.1.2-24], [MQTT-3.2.2-15]
    pub(crate) packet_size: u32,
    /// [MQTT-3.3.4-7], [MQTT-3.3.4-9]
    pub(crate) receive_maximum: u16,
    /// [MQTT-3.1.2-26], [MQTT-3.2.2-17]
    pub(crate) topic_alias_maximum: u16,
}

impl Limits {
    pub(crate) const NONE: Self = Self { packet_size: 0, receive_maximum: 0, topic_alias_maximum: 0 };

    /// What counts where nothing is said, as in 3.1.1.
    pub(crate) const ALL: Self = Self { receive_maximum: u16::MAX, ..Self::NONE };

    /// What CONNECT or CONNACK says, and the defaults for what it does not.
    pub(crate) fn of(properties: &Properties<'_>) -> Self {
        let mut limits = Self::ALL;
        for property in properties.iter() {
            match property {
                Property::MaximumPacketSize(maximum) => limits.packet_size = maximum,
                Property::ReceiveMaximum(maximum) => limits.receive_maximum = maximum,
                Property::TopicAliasMaximum(maximum) => limits.topic_alias_maximum = maximum,
                _ => {}
            }
        }
        limits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_first_nothing_goes_on_and_nothing_is_due() {
        let core = Core::new(());
        assert_eq!(
            (core.phase, core.cause, core.terms.session_lifetime()),
            (Phase::Offline, CloseReason::NotConnected, SessionLifetime::None)
        );
        assert_eq!((core.identifiers.taken(), core.table.len(), core.quota, core.level), (0, 0, 0, 0));
        assert_eq!(core.next_deadline(&Outbox::EMPTY), None);
    }

    #[test]
    fn what_was_due_before_is_due_now() {
        let mut core = Core::new(());
        core.now = Instant::from_millis(100);
        core.keep_alive = KeepAlive::proposed(8, 10);
        core.keep_alive.start(None);
        core.phase = Phase::Online;
        assert_eq!(core.next_deadline(&Outbox::EMPTY), Some(Instant::from_millis(7_100)));
        core.keep_alive.elapse(7_000);
        assert_eq!(core.next_deadline(&Outbox::EMPTY), Some(core.now));
        core.phase = Phase::Leaving;
        assert_eq!(core.next_deadline(&Outbox::EMPTY), None);
    }
}
