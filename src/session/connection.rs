//! The client's end: how a connection begins, and what only a client receives.

use core::hash::Hasher;

use crate::command;
use crate::control;
use crate::engine::state::{
    Authentication, ClientHash, Core, Limits, Options, Phase, SessionLifetime, SessionLoss, Support, flags,
};
use crate::engine::{Announcement, Digest, End, Engine, Processed, StepOf, is_announced, received, tell};
use crate::error::{CloseReason, CommandError};
use crate::event::{Event, StrayPacket};
use crate::flow::identifiers::{self, Slot, SlotId, slot};
use crate::flow::sender::Sent;
use crate::inbox::{Inbox, Unread};
use crate::keepalive::KeepAlive;
use crate::outbox::Order;
use crate::report::report;
use crate::time::seconds;
use crate::timer::Timer;
use crate::wire::{
    self, Announcing, Auth, Connack, DisconnectPacket, Frame, List, Measured, PacketId, PacketType, Properties, Reader,
    ReasonCode, Role, Suback, Unsuback, Version, Violation,
};

use super::command::{Connect, LostSession};

/// The client's end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Client {
    /// How many slots, from the first one on, may still have a request that was lost with the connection.
    unsearched: u16,
    request: Request,
    lost_session: LostSession,
}

flags! {
    /// What CONNECT asked for, as far as an answer depends on it.
    Request {
        awaits_connack, with_awaiting_connack = 1;
        clean_start, with_clean_start = 2;
        nameless, with_nameless = 4;
        /// Session Expiry Interval above 0; in 3.1.1 Clean Session 0.
        lasting, with_lasting = 8;
        /// Request Problem Information 0.
        undiagnosed, with_undiagnosed = 16;
    }
}

/// In 3.1.1 no server sends AUTH or DISCONNECT, and what would be done with them is not built without 5.0.
const SPEAKS_V5: bool = Version::LATEST.is_v5();

impl End for Client {
    const NEW: Self = Self { unsearched: 0, request: Request::NONE, lost_session: LostSession::Standard };
    const ROLE: Role = Role::Client;
    const PEER: Role = Role::Server;
    const NO_BEGINNING: CloseReason = CloseReason::ConnackTimeout;
    const SILENCE: CloseReason = CloseReason::PingTimeout;
    const QUEUE_OUTLIVES_SESSION: bool = true;

    type Event<'i> = Event<'i>;

    fn level(core: &Core<Self>) -> u8 {
        core.level
    }

    fn next<'i>(engine: &mut Engine<'_, Self>, inbox: &Unread<'i>) -> Result<Option<Frame<'i>>, CloseReason> {
        Ok(inbox.frame(engine.version(), Role::Client)?)
    }

    fn take<'m, 'i>(
        engine: &mut Engine<'m, Self>,
        packet_type: PacketType,
        body: Reader<'i>,
        step: &mut StepOf<'m, 'i, Self>,
    ) -> Result<Processed, CloseReason> {
        match (packet_type, Self::is_beginning(engine)) {
            (PacketType::Connack, _) => engine.take_connack(body, step),
            (PacketType::Auth, _) if SPEAKS_V5 => engine.take_auth(body, step),
            (_, true) => Err(CloseReason::ConnackMissing),
            (PacketType::Suback, false) => engine.take_suback(body, step),
            (PacketType::Unsuback, false) => engine.take_unsuback(body, step),
            (PacketType::Disconnect, false) if SPEAKS_V5 => engine.take_disconnect(body, step),
            (PacketType::Pingresp, false) => {
                received(packet_type);
                engine.core.keep_alive.answered();
                Ok(Processed::Nothing)
            }
            _ => Err(CloseReason::Violation(Violation::PacketNotForThisEnd)),
        }
    }

    /// What ends a request.
    fn is_awaited(packet_type: PacketType) -> bool {
        matches!(packet_type, PacketType::Suback | PacketType::Unsuback)
    }

    /// [MQTT-3.2.0-1]
    fn is_beginning(engine: &Engine<'_, Self>) -> bool {
        engine.core.end.request.awaits_connack()
    }

    /// [MQTT-3.1.2-29]
    fn check_diagnostics(engine: &Engine<'_, Self>, properties: &Properties<'_>) -> Result<(), CloseReason> {
        if !engine.core.end.request.undiagnosed() {
            return Ok(());
        }
        let talks = properties.reason_string().is_some() || properties.user_properties().next().is_some();
        if talks { Err(CloseReason::DiagnosticsUnrequested) } else { Ok(()) }
    }

    fn check_publish(_: &Engine<'_, Self>, _: &wire::PublishPacket<'_>) -> Result<(), CloseReason> {
        Ok(())
    }

    fn answer_neglected(_: &mut Engine<'_, Self>) {}

    /// A request that was lost with its connection.
    fn report<'m, 'i>(engine: &mut Engine<'m, Self>, step: &mut StepOf<'m, 'i, Self>) -> bool {
        // Mostly there is none.
        engine.core.end.unsearched != 0 && engine.report_lost_request(step)
    }

    fn republished<'i>(lost: PacketId, packet_id: PacketId) -> Option<Event<'i>> {
        Some(Event::Republished { lost, packet_id })
    }

    fn refuse(engine: &mut Engine<'_, Self>, cause: CloseReason) -> bool {
        // Nothing may come before CONNECT, not even a DISCONNECT. [MQTT-3.1.0-1]
        let is_unsaid = engine.queue.control.is_untouched();
        if is_unsaid {
            engine.end(cause);
        }
        is_unsaid
    }

    fn ended(engine: &mut Engine<'_, Self>) {
        engine.drop_requests();
    }

    fn comparable(core: &Core<Self>) -> Self {
        Self { unsearched: 0, ..core.end }
    }
}

impl<'m> Engine<'m, Client> {
    pub(super) fn connect(&mut self, inbox: &mut Inbox, connect: &Connect<'_>) -> Result<(), CommandError> {
        let client = hash(connect.client_id);
        self.check_session(connect, client)?;
        // The server may have a session that is not to be resumed.
        let clean_start = connect.clean_start || self.core.session_lifetime == SessionLifetime::Abandoned;
        let held = if clean_start { 0 } else { self.held_after_end() };
        let receive_maximum = self.places().saturating_sub(held).max(1);
        if connect.properties.iter().any(|property| is_announced(&property)) {
            return Err(CommandError::Reserved);
        }
        let (capacity, aliases) = (inbox.capacity(), inbox.topic_aliases());
        let announced = Announcement::new(connect.version, capacity, aliases, receive_maximum);
        let packet = wire::ConnectPacket {
            clean_start,
            keep_alive: connect.keep_alive,
            client_id: connect.client_id,
            will: connect.will,
            user_name: connect.user_name,
            password: connect.password,
            properties: connect.properties,
        };
        let packet = Announcing { packet, announced: List::of(announced.properties()) };
        let measured = Measured::new(&packet, connect.version, Role::Server)?;
        if measured.len() > control::capacity(self.queue.bytes, connect.topic_aliases) {
            return Err(CommandError::TooLarge);
        }
        if !matches!(self.core.phase, Phase::Offline | Phase::Reporting) {
            self.end(CloseReason::ConnectionLost);
        }
        inbox.clear();
        self.queue.clear();
        self.begin(connect, clean_start, client, receive_maximum);
        self.queue.push(&measured);
        self.queue.show();
        report!(trace, "sends {:?}", self.queued_packets());
        Ok(())
    }

    /// What is stored speaks for one client and one version. [MQTT-3.1.3-2]
    fn check_session(&self, connect: &Connect<'_>, client: ClientHash) -> Result<(), CommandError> {
        let same_version = self.core.level == connect.version.level();
        let resumed = self.core.session_lifetime == SessionLifetime::Kept;
        let refused = !connect.clean_start
            && if same_version {
                resumed && self.core.client != client
            } else {
                resumed || !self.store.outbox.is_empty()
            };
        if refused { Err(CommandError::OtherSession) } else { Ok(()) }
    }

    fn begin(&mut self, connect: &Connect<'_>, clean_start: bool, client: ClientHash, receive_maximum: u16) {
        if clean_start {
            if self.core.session_lifetime == SessionLifetime::Kept {
                self.lose_session(SessionLoss::InFlight);
            }
            self.core.session_lifetime = SessionLifetime::Abandoned;
        }
        if self.core.level != 0 && self.core.level != connect.version.level() {
            self.give_up_queue();
            self.lose_session(SessionLoss::InFlight);
        }
        self.core.level = connect.version.level();
        self.core.client = client;
        self.begin_authentication(&connect.properties);
        self.core.end.request = Request::of(connect, clean_start);
        self.core.end.lost_session = connect.lost_session;
        self.core.keep_alive = KeepAlive::proposed(connect.keep_alive, seconds(connect.response_timeout).max(1));
        self.core.receive_quota = receive_maximum;
        self.core.options = Options::of(connect.acknowledgement, connect.offline, connect.oversized);
        self.queue.set_aliases(connect.topic_aliases);
        // 5.0 sends nothing again on the same connection. [MQTT-4.4.0-1]
        self.core.retry_interval = if connect.version.is_v5() { 0 } else { seconds(connect.retry_interval) };
        // CONNACK says how much of it the server allows.
        self.core.quota = connect.max_inflight.max(1);
        self.core.disconnect_timeout = seconds(connect.disconnect_timeout).max(1);
        self.core.limits = Limits::NONE;
        self.core.support = Support::NONE;
        self.core.phase = Phase::Connecting;
        self.core.deadline = Timer::set(seconds(connect.response_timeout).max(1));
    }

    fn take_connack<'i>(
        &mut self,
        mut body: Reader<'i>,
        step: &mut StepOf<'m, 'i, Client>,
    ) -> Result<Processed, CloseReason> {
        let connack = Connack::read(&mut body);
        body.end()?;
        let connack = received(connack);
        if !Client::is_beginning(self) {
            return Err(CloseReason::ConnackRepeated);
        }
        match connack.reason_code {
            ReasonCode::Success => {
                self.accepted(&connack)?;
                return Ok(tell(step, Event::Connected(connack)));
            }
            ReasonCode::UnsupportedProtocolVersion => self.end(CloseReason::UnsupportedVersion),
            code => self.end(CloseReason::ConnectionRefused(code)),
        }
        Ok(tell(step, Event::ConnectionRefused(connack)))
    }

    fn accepted(&mut self, connack: &Connack<'_>) -> Result<(), CloseReason> {
        let request = self.core.end.request;
        let v5 = self.version().is_v5();
        let assigned = connack.properties.assigned_client_identifier();
        if connack.session_present {
            self.check_session_present()?;
        }
        if request.nameless() && v5 && assigned.is_none() {
            return Err(CloseReason::ClientIdentifierMissing);
        }
        self.check_method(&connack.properties)?;
        // A name that we gave stays ours.
        if let Some(assigned) = assigned
            && request.nameless()
        {
            self.core.client = hash(assigned);
        }
        self.core.end.request = request.with_awaiting_connack(false);
        self.core.limits = Limits::ALL;
        self.core.support = Support::ALL;
        if v5 {
            self.core.limits = Limits::of(&connack.properties);
            self.core.support = Support::of(&connack.properties);
        }
        self.core.limits.receive_maximum = self.core.limits.receive_maximum.min(self.core.quota);
        if !connack.session_present && self.core.session_lifetime == SessionLifetime::Kept {
            self.session_was_lost();
        }
        let lasting = match connack.properties.session_expiry_interval() {
            Some(seconds) => seconds != 0,
            None => request.lasting(),
        };
        self.core.session_lifetime = if lasting { SessionLifetime::Kept } else { SessionLifetime::UntilClose };
        self.core.keep_alive.start(connack.properties.server_keep_alive());
        self.go_online();
        Ok(())
    }

    /// The server goes on with a session: is it ours? [MQTT-3.2.2-1] in 3.1.1, [MQTT-3.2.2-2], [MQTT-3.2.2-4] in 5.0
    fn check_session_present(&mut self) -> Result<(), CloseReason> {
        match self.core.session_lifetime {
            SessionLifetime::Abandoned if self.core.end.request.clean_start() => Err(CloseReason::SessionNotClean),
            SessionLifetime::Abandoned => Err(CloseReason::SessionUnknown),
            SessionLifetime::None if self.version().is_v5() => {
                // It would be there at the next attempt, too.
                self.core.session_lifetime = SessionLifetime::Abandoned;
                Err(CloseReason::SessionUnknown)
            }
            _ => Ok(()),
        }
    }

    /// The server knows nothing of our session. [MQTT-3.2.2-5] of 5.0
    fn session_was_lost(&mut self) {
        match (self.core.end.lost_session, self.version().is_v5()) {
            (LostSession::Standard, false) => self.core.table.clear(self.held),
            (LostSession::Standard, true) | (LostSession::Report, _) => self.lose_session(SessionLoss::InFlight),
            (LostSession::Republish, _) => self.lose_session(SessionLoss::Republishing),
        }
    }

    fn take_suback<'i>(
        &mut self,
        mut body: Reader<'i>,
        step: &mut StepOf<'m, 'i, Client>,
    ) -> Result<Processed, CloseReason> {
        let packet = Suback::read(&mut body);
        body.end()?;
        let Suback { packet_id, reason_codes, properties } = received(packet);
        Client::check_diagnostics(self, &properties)?;
        let known = self.answered(Sent::Subscribing, packet_id, Some(reason_codes.iter().count()))?;
        Ok(if known {
            tell(step, Event::Subscribed { packet_id, reason_codes, properties })
        } else {
            tell(step, Event::Stray { packet: StrayPacket::Suback, packet_id })
        })
    }

    fn take_unsuback<'i>(
        &mut self,
        mut body: Reader<'i>,
        step: &mut StepOf<'m, 'i, Client>,
    ) -> Result<Processed, CloseReason> {
        let packet = Unsuback::read(&mut body);
        body.end()?;
        let Unsuback { packet_id, reason_codes, properties } = received(packet);
        Client::check_diagnostics(self, &properties)?;
        // 3.1.1 has no codes to count.
        let codes = self.version().is_v5().then(|| reason_codes.iter().count());
        let known = self.answered(Sent::Unsubscribing, packet_id, codes)?;
        Ok(if known {
            tell(step, Event::Unsubscribed { packet_id, reason_codes, properties })
        } else {
            tell(step, Event::Stray { packet: StrayPacket::Unsuback, packet_id })
        })
    }

    fn take_disconnect<'i>(
        &mut self,
        mut body: Reader<'i>,
        step: &mut StepOf<'m, 'i, Client>,
    ) -> Result<Processed, CloseReason> {
        let disconnect = DisconnectPacket::read(&mut body);
        body.end()?;
        let disconnect = received(disconnect);
        self.end(CloseReason::DisconnectedByPeer(disconnect.reason_code));
        Ok(tell(step, Event::Disconnected(disconnect)))
    }

    pub(super) fn disconnect(&mut self, disconnect: &command::Disconnect<'_>) -> Result<(), CommandError> {
        self.check_online()?;
        let expiry = disconnect.properties.session_expiry_interval();
        if expiry.is_some_and(|seconds| seconds != 0) && !self.core.end.request.lasting() {
            return Err(CommandError::ExpiryRaised);
        }
        self.leave(disconnect)?;
        match expiry {
            Some(0) => self.core.session_lifetime = SessionLifetime::UntilClose,
            Some(_) => self.core.session_lifetime = SessionLifetime::Kept,
            None => {}
        }
        Ok(())
    }

    pub(super) fn authenticate(&mut self, auth: &Auth<'_>) -> Result<(), CommandError> {
        let due = matches!(
            (self.core.phase, self.core.authentication, auth.reason_code),
            (Phase::Connecting | Phase::Online, Authentication::Due, ReasonCode::ContinueAuthentication)
                | (Phase::Online, Authentication::Settled, ReasonCode::Reauthenticate)
        );
        self.authenticate_if(due, auth)
    }

    /// AUTH: of an authentication before CONNACK ([MQTT-4.12.0-2]), or of a re-authentication, which we began. (5.0: 4.12.1)
    fn take_auth<'i>(
        &mut self,
        mut body: Reader<'i>,
        step: &mut StepOf<'m, 'i, Client>,
    ) -> Result<Processed, CloseReason> {
        let auth = Auth::read(&mut body);
        body.end()?;
        let auth = received(auth);
        let is_expected = if Client::is_beginning(self) {
            self.core.authentication != Authentication::Without
                && auth.reason_code == ReasonCode::ContinueAuthentication
        } else {
            matches!(self.core.authentication, Authentication::Awaited | Authentication::Due)
        };
        if !is_expected {
            return Err(CloseReason::AuthenticationUnexpected);
        }
        self.check_method(&auth.properties)?;
        Client::check_diagnostics(self, &auth.properties)?;
        self.core.authentication = match auth.reason_code {
            ReasonCode::Success => Authentication::Settled,
            _ => Authentication::Due,
        };
        Ok(tell(step, Event::Authenticating(auth)))
    }

    #[cold]
    #[inline(never)]
    fn report_lost_request(&mut self, step: &mut StepOf<'m, '_, Client>) -> bool {
        while let Some(id) = SlotId::new(self.core.end.unsearched) {
            self.core.end.unsearched = id.get().wrapping_sub(1);
            if slot(self.slots, id).is_some_and(Slot::is_request)
                && let Some(packet_id) = identifiers::packet_id(self.slots, id)
            {
                self.free(id);
                tell(step, Event::RequestLost { packet_id });
                return true;
            }
        }
        false
    }

    /// SUBSCRIBE and UNSUBSCRIBE are no session state, not even unsent. What is in a slot is still to be told.
    fn drop_requests(&mut self) {
        let mut next = self.store.records().first(Order::Immediate);
        while let Some(place) = next {
            next = self.store.records().after(place);
            if self.store.records().label(place).slot != 0 {
                self.store.remove(Order::Immediate, place);
            }
        }
        let last = self.slots.iter().rposition(Slot::is_request);
        self.core.end.unsearched = last.map_or(0, |last| u16::try_from(last.wrapping_add(1)).unwrap_or(u16::MAX));
    }
}

impl Request {
    fn of(connect: &Connect<'_>, clean_start: bool) -> Self {
        let lasting = if connect.version.is_v5() {
            connect.properties.session_expiry_interval().is_some_and(|seconds| seconds != 0)
        } else {
            !clean_start
        };
        Self::NONE
            .with_awaiting_connack(true)
            .with_clean_start(connect.clean_start)
            .with_nameless(connect.client_id.is_empty())
            .with_lasting(lasting)
            .with_undiagnosed(connect.properties.request_problem_information() == Some(false))
    }
}

/// A client identifier of this application. Two that it uses are taken for one in one of 2^64 cases.
fn hash(client_id: &str) -> ClientHash {
    let mut digest = Digest::NEW;
    digest.write(client_id.as_bytes());
    ClientHash(digest.finish())
}
