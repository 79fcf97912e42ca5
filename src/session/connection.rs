//! The client's end: how a connection begins, and what only a client receives.

use core::hash::Hasher;

use crate::command::{self, MaximumPacketSize, Oversized};
use crate::control;
use crate::engine::state::{
    Authentication, ClientHash, Core, Limits, Phase, SessionLifetime, SessionLoss, Support, flags,
};
use crate::engine::{Announcement, Digest, End, Engine, Processed, SHORTEST, StepOf, is_announced, received, tell};
use crate::error::{CloseReason, CommandError, SizeLimit};
use crate::event::{Event, StrayPacket};
use crate::flow::identifiers::SlotId;
use crate::inbox::{Inbox, Unread};
use crate::keepalive::KeepAlive;
use crate::outbox::{Order, Place};
use crate::report::report;
use crate::time::seconds;
use crate::timer::Timer;
use crate::wire::{
    self, Announcing, Auth, Connack, DisconnectPacket, Frame, List, Measured, PacketId, PacketType, Properties, Reader,
    ReasonCode, Role, Suback, Unsuback, Version, Violation,
};

use super::command::{Connect, LostSession};
use super::ping::Ping;

/// The client's end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Client {
    pub(super) ping: Ping,
    /// How many slots have a request, lost ones included.
    pub(super) requests: u16,
    request: Request,
    dropped: u8,
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
        /// Said by DISCONNECT, not by CONNECT: the session ends with this connection.
        ending, with_ending = 128;
    }
}

/// What a request is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Subscribe,
    Unsubscribe,
}

/// In 3.1.1 no server sends AUTH, DISCONNECT or properties, and what would be done with them is not built without 5.0.
const SPEAKS_V5: bool = Version::LATEST.is_v5();

impl End for Client {
    const NEW: Self = Self { ping: Ping::NONE, requests: 0, request: Request::NONE, dropped: 0 };
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
                // Mostly nobody asked.
                if engine.core.end.ping == Ping::NONE { Ok(Processed::Nothing) } else { Ok(engine.pinged(step)) }
            }
            _ => Err(CloseReason::Violation(Violation::PacketNotForThisEnd)),
        }
    }

    /// What ends a request, and what says which session there is.
    fn is_awaited(engine: &Engine<'_, Self>, packet_type: PacketType) -> bool {
        match packet_type {
            PacketType::Suback | PacketType::Unsuback => true,
            PacketType::Connack => Self::is_beginning(engine),
            _ => false,
        }
    }

    /// [MQTT-3.2.0-1]
    fn is_beginning(engine: &Engine<'_, Self>) -> bool {
        engine.core.end.request.awaits_connack()
    }

    /// [MQTT-3.1.2-29]
    fn check_diagnostics(engine: &Engine<'_, Self>, properties: &Properties<'_>) -> Result<(), CloseReason> {
        if !SPEAKS_V5 || !engine.core.end.request.undiagnosed() {
            return Ok(());
        }
        let talks = properties.reason_string().is_some() || properties.user_properties().next().is_some();
        if talks { Err(CloseReason::DiagnosticsUnrequested) } else { Ok(()) }
    }

    fn check_publish(_: &Engine<'_, Self>, _: &wire::PublishPacket<'_>) -> Result<(), CloseReason> {
        Ok(())
    }

    fn packet_limit(_: &Engine<'_, Self>, inbox: &Unread<'_>) -> u32 {
        inbox.limit()
    }

    fn queue_written(engine: &mut Engine<'_, Self>) {
        // Mostly nobody asked.
        if engine.core.end.ping != Ping::NONE {
            engine.ping_written();
        }
    }

    fn answer_neglected(_: &mut Engine<'_, Self>) {}

    /// A slot for one request, where there are two or more.
    fn kept_slots(core: &Core<Self>, slots: usize) -> usize {
        usize::from(slots > 1 && core.end.requests == 0)
    }

    fn lose_request<'i>(engine: &mut Engine<'_, Self>, id: SlotId) -> Option<Event<'i>> {
        engine.end_request(id).map(|packet_id| Event::RequestLost { packet_id })
    }

    fn vet_request<'i>(engine: &mut Engine<'_, Self>, id: SlotId, place: Place) -> Option<Event<'i>> {
        engine.vet_request(id, place)
    }

    fn republished<'i>(lost: PacketId, packet_id: PacketId) -> Option<Event<'i>> {
        Some(Event::Republished { lost, packet_id })
    }

    fn refuse(engine: &mut Engine<'_, Self>, cause: CloseReason) -> bool {
        // Nothing may come before CONNECT, not even a DISCONNECT. [MQTT-3.1.0-1]
        let is_unsaid = engine.is_connect_untouched();
        if is_unsaid {
            engine.end(cause);
        }
        is_unsaid
    }

    fn ended(engine: &mut Engine<'_, Self>) {
        engine.core.end.ping = Ping::NONE;
    }

    fn dropped(&mut self) -> &mut u8 {
        &mut self.dropped
    }

    fn set_back(&mut self, millis: u64) {
        self.ping.set_back(millis);
    }

    fn comparable(core: &Core<Self>) -> Self {
        Self { ping: core.end.ping.comparable(core.now), ..core.end }
    }
}

impl<'m> Engine<'m, Client> {
    pub(crate) fn connect(&mut self, inbox: &mut Inbox, connect: &Connect<'_>) -> Result<(), CommandError> {
        let client = hash(connect.client_id);
        self.check_session(connect, client)?;
        // The server may have a session that is not to be resumed.
        let clean_start = connect.clean_start || self.core.terms.session_lifetime() == SessionLifetime::Abandoned;
        let held = if clean_start { 0 } else { self.held_after_end() };
        let receive_maximum = self.places().saturating_sub(held).min(connect.receive_maximum).max(1);
        if connect.properties.iter().any(|property| is_announced(&property)) {
            return Err(CommandError::Reserved);
        }
        let packet_size = connect.maximum_packet_size.announced(inbox.capacity());
        let announced = Announcement::new(connect.version, receive_maximum, packet_size, inbox.topic_aliases());
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
        let passes = self.passes(measured.len(), control::capacity(self.queue.bytes, connect.topic_aliases))?;
        if !matches!(self.core.phase, Phase::Offline | Phase::Reporting) {
            self.end(CloseReason::ConnectionLost);
        }
        inbox.clear();
        inbox.set_limit(match connect.maximum_packet_size {
            MaximumPacketSize::Bytes(_) if connect.version.is_v5() => packet_size.unwrap_or_default(),
            _ => 0,
        });
        self.queue.clear();
        self.begin(connect, clean_start, client, receive_maximum);
        if passes {
            return self.pass(&measured);
        }
        self.queue.push(&measured);
        self.queue.show();
        report!(trace, "sends {:?}", self.queued_packets());
        Ok(())
    }

    /// Whether CONNECT passes through the store, because the control bytes have no room for it.
    fn passes(&self, len: usize, control: usize) -> Result<bool, CommandError> {
        if len <= control {
            return Ok(false);
        }
        match self.store.records().idle() {
            // Without room for an answer nothing would be received.
            idle if len <= idle => control::check_size(SHORTEST, control, 0).map(|()| true),
            idle if idle > control => Err(CommandError::too_large(SizeLimit::Store, len, idle)),
            _ => Err(CommandError::too_large(SizeLimit::Control, len, control)),
        }
    }

    /// CONNECT leaves from the idle bytes of the store, where it has room as long as nothing else is being written.
    #[cold]
    #[inline(never)]
    fn pass(&mut self, connect: &Measured<'_>) -> Result<(), CommandError> {
        let place = self.find_place(connect.len()).ok_or(CommandError::Full)?;
        connect.encode(self.store.pass(place, connect.len()))?;
        report!(trace, "sends {:?}", self.stored_packet(place));
        Ok(())
    }

    /// Whether CONNECT is here, and not a byte of it was written.
    fn is_connect_untouched(&self) -> bool {
        self.queue.is_untouched(PacketType::Connect.first_byte()) || self.store.records().is_passing_untouched()
    }

    /// What is stored speaks for one client and one version. [MQTT-3.1.3-2]
    fn check_session(&self, connect: &Connect<'_>, client: ClientHash) -> Result<(), CommandError> {
        let same_version = self.core.level == connect.version.level();
        let resumed = self.core.terms.session_lifetime() == SessionLifetime::Kept;
        let refused = !connect.clean_start
            && if same_version { resumed && self.core.client != client } else { resumed || self.has_stored_messages() };
        if refused { Err(CommandError::OtherSession) } else { Ok(()) }
    }

    /// Whether there are messages in the store. Requests end with their connection, whatever comes.
    fn has_stored_messages(&self) -> bool {
        let mut immediate = self.store.first(Order::Immediate);
        while let Some(place) = immediate.filter(|&place| !self.store.is_publish(place)) {
            immediate = self.store.after(place);
        }
        immediate.is_some() || self.store.first(Order::Acknowledged).is_some()
    }

    fn begin(&mut self, connect: &Connect<'_>, clean_start: bool, client: ClientHash, receive_maximum: u16) {
        if clean_start {
            if self.core.terms.session_lifetime() == SessionLifetime::Kept {
                self.lose_session(SessionLoss::InFlight);
            }
            self.core.terms.set_session_lifetime(SessionLifetime::Abandoned);
        }
        if self.core.level != 0 && self.core.level != connect.version.level() {
            self.give_up_queue();
            self.lose_session(SessionLoss::InFlight);
        }
        self.core.level = connect.version.level();
        self.core.client = client;
        self.begin_authentication(&connect.properties);
        self.core.end.request = Request::of(connect, clean_start);
        self.core.keep_alive = KeepAlive::proposed(connect.keep_alive, seconds(connect.response_timeout).max(1));
        self.core.receive_quota = receive_maximum;
        let may_exceed = !connect.version.is_v5() || connect.maximum_packet_size != MaximumPacketSize::Inbox;
        let oversized = if may_exceed { connect.oversized } else { Oversized::Disconnect };
        self.core.terms.agree(connect.acknowledgement, connect.offline, oversized);
        self.queue.set_aliases(connect.topic_aliases);
        // 5.0 sends nothing again on the same connection. [MQTT-4.4.0-1]
        self.core.retry_interval = if connect.version.is_v5() { 0 } else { seconds(connect.retry_interval) };
        // CONNACK says how much of it the server allows.
        self.core.quota = connect.max_inflight.max(1);
        self.core.disconnect_timeout = seconds(connect.disconnect_timeout).max(1);
        #[cfg(feature = "streaming")]
        {
            self.core.payload_timeout = seconds(connect.payload_timeout).max(1);
        }
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

    #[inline(never)]
    fn accepted(&mut self, connack: &Connack<'_>) -> Result<(), CloseReason> {
        let request = self.core.end.request;
        let v5 = self.version().is_v5();
        let properties = if SPEAKS_V5 { connack.properties } else { Properties::EMPTY };
        let assigned = properties.assigned_client_identifier();
        if connack.session_present {
            self.check_session_present()?;
        }
        if request.nameless() && v5 && assigned.is_none() {
            return Err(CloseReason::ClientIdentifierMissing);
        }
        if SPEAKS_V5 {
            self.check_method(&properties)?;
        }
        // A name that we gave stays ours.
        if let Some(assigned) = assigned
            && request.nameless()
        {
            self.core.client = hash(assigned);
        }
        self.core.end.request = request.with_awaiting_connack(false).with_ending(false);
        self.core.limits = Limits::ALL;
        self.core.support = Support::ALL;
        if v5 {
            self.core.limits = Limits::of(&properties);
            self.core.support = Support::of(&properties);
        }
        self.core.limits.receive_maximum = self.core.limits.receive_maximum.min(self.core.quota);
        if !connack.session_present && self.core.terms.session_lifetime() == SessionLifetime::Kept {
            self.session_was_lost();
        }
        let lasting = match properties.session_expiry_interval() {
            _ if request.ending() => false,
            Some(seconds) => seconds != 0,
            None => request.lasting(),
        };
        self.core.terms.set_session_lifetime(if lasting { SessionLifetime::Kept } else { SessionLifetime::UntilClose });
        self.core.keep_alive.start(properties.server_keep_alive());
        self.go_online();
        Ok(())
    }

    /// The server goes on with a session: is it ours? [MQTT-3.2.2-1] in 3.1.1, [MQTT-3.2.2-2], [MQTT-3.2.2-4] in 5.0
    fn check_session_present(&mut self) -> Result<(), CloseReason> {
        match self.core.terms.session_lifetime() {
            SessionLifetime::Abandoned if self.core.end.request.clean_start() => Err(CloseReason::SessionNotClean),
            SessionLifetime::Abandoned => Err(CloseReason::SessionUnknown),
            SessionLifetime::None if self.version().is_v5() => {
                // It would be there at the next attempt, too.
                self.core.terms.set_session_lifetime(SessionLifetime::Abandoned);
                Err(CloseReason::SessionUnknown)
            }
            _ => Ok(()),
        }
    }

    /// The server knows nothing of our session. [MQTT-3.2.2-5] of 5.0
    fn session_was_lost(&mut self) {
        match (self.core.end.request.lost_session(), self.version().is_v5()) {
            (LostSession::Standard, false) => {
                #[cfg(feature = "durable")]
                self.note_session_lost(SessionLoss::Nothing);
                self.core.table.clear(self.held);
                self.free_identifiers();
            }
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
        let known = self.answered(Kind::Subscribe, packet_id, Some(reason_codes.count()))?;
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
        let codes = self.version().is_v5().then(|| reason_codes.count());
        let known = self.answered(Kind::Unsubscribe, packet_id, codes)?;
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

    pub(crate) fn disconnect(&mut self, disconnect: &command::Disconnect<'_>) -> Result<(), CommandError> {
        let is_connecting = self.core.phase == Phase::Connecting;
        if !is_connecting {
            self.check_online()?;
        }
        let expiry = disconnect.properties.session_expiry_interval();
        if expiry.is_some_and(|seconds| seconds != 0) && !self.core.end.request.lasting() {
            return Err(CommandError::ExpiryRaised);
        }
        self.leave(disconnect)?;
        match expiry {
            // Which session there is, CONNACK says.
            Some(seconds) if is_connecting => self.core.end.request = self.core.end.request.with_ending(seconds == 0),
            Some(0) => self.core.terms.set_session_lifetime(SessionLifetime::UntilClose),
            Some(_) => self.core.terms.set_session_lifetime(SessionLifetime::Kept),
            None => {}
        }
        Ok(())
    }

    pub(crate) fn authenticate(&mut self, auth: &Auth<'_>) -> Result<(), CommandError> {
        let due = matches!(
            (self.core.phase, self.core.news.authentication(), auth.reason_code),
            (
                Phase::Connecting | Phase::Awaiting | Phase::Online,
                Authentication::Due,
                ReasonCode::ContinueAuthentication,
            ) | (Phase::Online, Authentication::Settled, ReasonCode::Reauthenticate)
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
            self.core.news.authentication() != Authentication::Without
                && auth.reason_code == ReasonCode::ContinueAuthentication
        } else {
            matches!(self.core.news.authentication(), Authentication::Awaited | Authentication::Due)
        };
        if !is_expected {
            return Err(CloseReason::AuthenticationUnexpected);
        }
        self.check_method(&auth.properties)?;
        Client::check_diagnostics(self, &auth.properties)?;
        self.core.news.set_authentication(match auth.reason_code {
            ReasonCode::Success => Authentication::Settled,
            _ => Authentication::Due,
        });
        Ok(tell(step, Event::Authenticating(auth)))
    }
}

impl Request {
    const LOST_SESSION_SHIFT: u32 = 5;

    /// What becomes of messages in flight if the server has lost the session: beside the flags.
    const fn lost_session(self) -> LostSession {
        match self.0 >> Self::LOST_SESSION_SHIFT & 3 {
            0 => LostSession::Standard,
            1 => LostSession::Report,
            _ => LostSession::Republish,
        }
    }

    const fn with_lost_session(self, lost_session: LostSession) -> Self {
        Self(self.0 | (lost_session as u8) << Self::LOST_SESSION_SHIFT)
    }

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
            .with_undiagnosed(SPEAKS_V5 && connect.properties.request_problem_information() == Some(false))
            .with_lost_session(connect.lost_session)
    }
}

/// A client identifier of this application. Two that it uses are taken for one in one of 2^64 cases.
pub(crate) fn hash(client_id: &str) -> ClientHash {
    let mut digest = Digest::NEW;
    digest.write(client_id.as_bytes());
    ClientHash(digest.finish())
}
