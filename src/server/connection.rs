//! The server's end: how a connection begins, and how it ends for the server alone.

use core::time::Duration;

use crate::command::{self, MaximumPacketSize, Oversized};
use crate::control;
use crate::engine::state::{Authentication, Core, Limits, Phase, SessionLifetime, SessionLoss, Support, Turn};
use crate::engine::{Announcement, End, Engine, Processed, SHORTEST, StepOf, is_announced, received, tell};
use crate::error::{CloseReason, CommandError};
use crate::inbox::Unread;
use crate::keepalive::KeepAlive;
use crate::time::Instant;
use crate::time::seconds;
use crate::timer::Timer;
use crate::wire::{
    self, Announcing, Auth, Connack, ConnectPacket, DisconnectPacket, Frame, List, Measured, PacketType, Properties,
    Property, Reader, ReasonCode, Role, SubscribePacket, UnsubscribePacket, Version, Violation,
};

use super::command::{Accept, DISCONNECT_TIMEOUT, Liveness};
use super::event::Event;
use super::identity::hash;
use super::state::{Asked, Pending, Server, Stage, Will};

impl End for Server {
    const NEW: Self = Self::NEW;
    const ROLE: Role = Role::Server;
    const PEER: Role = Role::Client;
    const NO_BEGINNING: CloseReason = CloseReason::ConnectTimeout;
    const SILENCE: CloseReason = CloseReason::KeepAliveTimeout;
    const QUEUE_OUTLIVES_SESSION: bool = false;

    type Event<'i> = Event<'i>;

    /// That of CONNECT, once it has come; before, that of the stored session.
    fn level(core: &Core<Self>) -> u8 {
        if core.end.asked.level == 0 { core.level } else { core.end.asked.level }
    }

    fn next<'i>(engine: &mut Engine<'_, Self>, inbox: &Unread<'i>) -> Result<Option<Frame<'i>>, CloseReason> {
        let stage = engine.core.end.stage;
        if stage != Stage::Accepted && engine.core.phase == Phase::Draining {
            // Nobody is left to be accepted.
            return Ok(None);
        }
        if stage == Stage::Unconnected {
            return engine.next_connect(inbox);
        }
        Ok(inbox.frame(engine.version(), Role::Server)?)
    }

    fn take<'m, 'i>(
        engine: &mut Engine<'m, Self>,
        packet_type: PacketType,
        body: Reader<'i>,
        step: &mut StepOf<'m, 'i, Self>,
    ) -> Result<Processed, CloseReason> {
        match (engine.core.end.stage, packet_type) {
            (Stage::Unconnected, PacketType::Connect) => {
                Ok(tell(step, engine.take_connect(received(body.packet(ConnectPacket::read)?))))
            }
            (Stage::Authenticating, PacketType::Auth) => engine.take_answer(received(body.packet(Auth::read)?), step),
            (Stage::Authenticating, PacketType::Disconnect) => {
                let disconnect = received(body.packet(DisconnectPacket::read)?);
                engine.end(CloseReason::DisconnectedByPeer(disconnect.reason_code));
                Ok(tell(step, Event::Disconnected(disconnect)))
            }
            (Stage::Authenticating, _) => Err(CloseReason::AuthenticationUnexpected),
            (Stage::Accepted, PacketType::Connect) => match body.packet(ConnectPacket::read) {
                // It may speak another version than the first one.
                Ok(_) | Err(Violation::ProtocolLevelUnsupported | Violation::ProtocolNameUnknown) => {
                    Err(CloseReason::ConnectRepeated)
                }
                Err(violation) => Err(CloseReason::Violation(violation)),
            },
            (Stage::Accepted, PacketType::Subscribe) => {
                engine.take_subscribe(&received(body.packet(SubscribePacket::read)?), step)
            }
            (Stage::Accepted, PacketType::Unsubscribe) => {
                engine.take_unsubscribe(&received(body.packet(UnsubscribePacket::read)?), step)
            }
            (Stage::Accepted, PacketType::Auth) => {
                engine.take_reauthentication(received(body.packet(Auth::read)?), step)
            }
            (Stage::Accepted, PacketType::Disconnect) => {
                engine.take_disconnect(received(body.packet(DisconnectPacket::read)?), step)
            }
            (Stage::Accepted, PacketType::Pingreq) => {
                received(packet_type);
                // The longest answer has room, and this one is short. A connection that is gone gets none.
                if engine.core.phase == Phase::Draining || engine.push_encoded(&PacketType::Pingresp.alone()) {
                    Ok(Processed::Nothing)
                } else {
                    Err(CloseReason::MaximumPacketSizeTooSmall)
                }
            }
            (Stage::Accepted, _) => Err(CloseReason::Violation(Violation::PacketNotForThisEnd)),
            _ => Err(CloseReason::ConnectMissing),
        }
    }

    /// DISCONNECT, which takes the will back. [MQTT-3.14.4-3], [MQTT-3.1.2-10] in 3.1.1
    fn is_awaited(_: &Engine<'_, Self>, packet_type: PacketType) -> bool {
        packet_type == PacketType::Disconnect
    }

    fn is_beginning(engine: &Engine<'_, Self>) -> bool {
        engine.core.end.stage != Stage::Accepted
    }

    fn check_diagnostics(_: &Engine<'_, Self>, _: &Properties<'_>) -> Result<(), CloseReason> {
        Ok(())
    }

    fn diagnostics<'p>(engine: &Engine<'_, Self>, properties: Properties<'p>) -> Properties<'p> {
        if engine.is_undiagnosed() { Properties::EMPTY } else { properties }
    }

    fn reserved(engine: &Engine<'_, Self>) -> usize {
        engine.len_of_failure(engine.core.end.pending).unwrap_or(0)
    }

    /// [MQTT-3.2.2-11], [MQTT-3.2.2-14]
    fn check_publish(engine: &Engine<'_, Self>, publish: &wire::PublishPacket<'_>) -> Result<(), CloseReason> {
        let support = engine.core.end.support;
        if !support.has(publish.delivery.qos()) {
            return Err(CloseReason::QosUnsupported);
        }
        if publish.retain && !support.retain() { Err(CloseReason::RetainUnsupported) } else { Ok(()) }
    }

    fn packet_limit(engine: &Engine<'_, Self>, _: &Unread<'_>) -> u32 {
        engine.core.end.packet_limit
    }

    fn queue_written(engine: &mut Engine<'_, Self>) {
        if engine.core.terms.session_lifetime() == SessionLifetime::Begun
            && !engine.queue.holds(PacketType::Connack.first_byte())
        {
            engine.core.terms.set_session_lifetime(SessionLifetime::Kept);
        }
    }

    fn answer_neglected(engine: &mut Engine<'_, Self>) {
        if engine.core.phase == Phase::Connecting && engine.core.end.stage == Stage::Undecided {
            engine.refuse_as(ReasonCode::ServerUnavailable, CloseReason::Rejected(ReasonCode::ServerUnavailable));
        }
        engine.answer_pending();
    }

    fn has_report(core: &Core<Self>) -> bool {
        core.end.will == Will::Due
    }

    fn report<'m, 'i>(engine: &mut Engine<'m, Self>, step: &mut StepOf<'m, 'i, Self>) -> bool {
        let is_due = Self::has_report(engine.core);
        if is_due {
            engine.core.end.will = Will::None;
            tell(step, Event::WillDue { delay: engine.core.end.will_delay });
        }
        is_due
    }

    /// A CONNECT that cannot be accepted is answered by CONNACK, anything else by nothing. [MQTT-3.1.4-1], [MQTT-3.2.2-7]
    fn refuse(engine: &mut Engine<'_, Self>, cause: CloseReason) -> bool {
        match engine.refusal(cause) {
            Some(code) => engine.refuse_as(code, cause),
            None => engine.end(cause),
        }
        true
    }

    fn ended(engine: &mut Engine<'_, Self>) {
        let now = engine.core.now;
        let is_lasting = engine.core.terms.session_lifetime() == SessionLifetime::Kept;
        let end = &mut engine.core.end;
        end.pending = Pending::NOTHING;
        if end.stage == Stage::Accepted {
            end.ended = now;
            if end.will == Will::Armed {
                end.will = Will::Due;
                // The will does not outlast the session. [MQTT-3.1.3-9]
                end.will_delay = end.will_delay.min(if is_lasting { end.expiry } else { 0 });
            }
        }
        end.stage = Stage::Unconnected;
        end.packet_limit = 0;
        end.asked = Asked::NOTHING;
    }

    fn dropped(&mut self) -> &mut u8 {
        &mut self.dropped
    }

    fn set_back(&mut self, millis: u64) {
        self.ended = self.ended.before_millis(millis);
    }

    #[cfg(feature = "durable")]
    fn expiry(core: &Core<Self>) -> u32 {
        core.end.expiry
    }

    /// How long the power was gone nobody knows, so the session has its whole time again.
    #[cfg(feature = "durable")]
    fn restored(core: &mut Core<Self>, expiry: u32, now: Instant) {
        core.end.expiry = expiry;
        core.end.ended = now;
    }

    fn comparable(core: &Core<Self>) -> Self {
        // When the connection ended matters by how much is left of the session.
        let left = core.expires_at().map_or(0, |end| end.millis_since(core.now));
        Self { ended: Instant::from_millis(left), ..core.end }
    }
}

impl<'m> Engine<'m, Server> {
    pub(crate) fn open(&mut self, response_timeout: Duration) {
        let response_timeout = seconds(response_timeout);
        if !matches!(self.core.phase, Phase::Offline | Phase::Reporting) {
            self.end(CloseReason::ConnectionLost);
        }
        self.queue.clear();
        self.core.disconnect_timeout = seconds(DISCONNECT_TIMEOUT);
        self.core.keep_alive = KeepAlive::proposed(0, response_timeout);
        self.core.phase = Phase::Connecting;
        self.core.deadline = Timer::set(response_timeout);
    }

    /// The first packet. Until its version is known, lengths are read as the older one does, which is more lenient.
    fn next_connect<'i>(&mut self, inbox: &Unread<'i>) -> Result<Option<Frame<'i>>, CloseReason> {
        let asked = &mut self.core.end.asked;
        (asked.capacity, asked.aliases) = inbox.extent();
        let level = match inbox.connect_level() {
            Ok(level) => level,
            Err(Violation::PacketNotForThisEnd) => return Err(CloseReason::ConnectMissing),
            Err(violation) => return Err(violation.into()),
        };
        asked.level = level.unwrap_or(0);
        Ok(inbox.frame(level.map_or(Version::OLDEST, Version::nearest), Role::Server)?)
    }

    fn take_connect<'i>(&mut self, connect: ConnectPacket<'i>) -> Event<'i> {
        let version = self.version();
        self.core.end.asked.read(version, &connect);
        let session_present = self.is_session_present();
        let asked = &mut self.core.end.asked;
        asked.request = asked.request.with_session_present(session_present);
        self.core.end.stage = Stage::Undecided;
        self.core.limits = Limits::of(&connect.properties);
        self.core.support = Support::ALL;
        self.begin_authentication(&connect.properties);
        Event::Connecting { version, connect, session_present }
    }

    /// Whether the session that is stored here is the one that CONNECT goes on with. [MQTT-3.1.2-4], [MQTT-3.1.2-5]
    fn is_session_present(&self) -> bool {
        let Asked { request, client, level, .. } = self.core.end.asked;
        let is_over = self.core.expires_at().is_some_and(|end| end <= self.core.now);
        self.core.terms.session_lifetime() == SessionLifetime::Kept
            && !request.clean_start()
            && !request.nameless()
            && !is_over
            && self.core.client == client
            && self.core.level == level
    }

    /// CONNACK, and with it the beginning of everything else. [MQTT-3.1.4-4] in 3.1.1, [MQTT-3.1.4-5] in 5.0
    pub(crate) fn accept(&mut self, accept: &Accept<'_>) -> Result<(), CommandError> {
        let Server { stage, asked, .. } = self.core.end;
        if self.core.phase != Phase::Connecting || stage != Stage::Undecided {
            return Err(CommandError::NothingToAnswer);
        }
        if accept.properties.iter().any(|property| is_announced(&property)) {
            return Err(CommandError::Reserved);
        }
        let properties = accept.properties;
        let assigned = properties.assigned_client_identifier();
        if asked.request.nameless() && self.version().is_v5() && assigned.is_none() {
            return Err(CommandError::ClientIdentifierMissing);
        }
        asked.check_will(Support::of(&properties))?;
        if properties.response_information().is_some() && !asked.request.inquiring() {
            return Err(CommandError::NothingToAnswer);
        }
        self.check_method(&properties).map_err(|_| CommandError::NotAuthenticating)?;
        let session_present = asked.request.session_present();
        let held = if session_present { self.core.table.len() } else { 0 };
        let receive_maximum = self.places().saturating_sub(held).min(accept.receive_maximum).max(1);
        let packet_size = accept.maximum_packet_size.announced(asked.capacity);
        let announced = Announcement::new(self.version(), receive_maximum, packet_size, asked.aliases);
        let packet = Connack { session_present, reason_code: ReasonCode::Success, properties };
        let packet = Announcing { packet, announced: List::of(announced.properties()) };
        let measured = Measured::new(&packet, self.version(), Role::Client)?;
        let room = control::capacity(self.queue.bytes, accept.topic_aliases);
        // Without room for an answer nothing more would be received.
        control::check_size(SHORTEST, room, 0)?;
        // An AUTH may be in front of it.
        control::check_size(measured.len(), room, self.queue.end())?;
        self.check_peer(measured.len())?;
        self.queue.set_aliases(accept.topic_aliases);
        self.queue.push(&measured);
        self.core.receive_quota = receive_maximum;
        self.begin(accept);
        Ok(())
    }

    fn begin(&mut self, accept: &Accept<'_>) {
        let properties = &accept.properties;
        let asked = self.core.end.asked;
        if !asked.request.session_present() {
            self.lose_session(SessionLoss::InFlight);
        }
        let expiry = properties.session_expiry_interval();
        let lasting = expiry.map_or(asked.request.lasting(), |seconds| seconds != 0);
        self.core.terms.set_session_lifetime(match (lasting, asked.request.session_present()) {
            (false, _) => SessionLifetime::UntilClose,
            (true, false) => SessionLifetime::Begun,
            (true, true) => SessionLifetime::Kept,
        });
        // A client that gave a name comes back with it, whatever else it is told.
        let assigned = properties.assigned_client_identifier().filter(|_| asked.request.nameless());
        self.core.client = assigned.map_or(asked.client, hash);
        self.core.level = asked.level;
        let may_exceed = !self.version().is_v5() || accept.maximum_packet_size != MaximumPacketSize::Inbox;
        let oversized = if may_exceed { accept.oversized } else { Oversized::Disconnect };
        self.core.terms.agree(accept.acknowledgement, accept.offline, oversized);
        self.core.disconnect_timeout = seconds(accept.disconnect_timeout).max(1);
        #[cfg(feature = "streaming")]
        {
            self.core.payload_timeout = seconds(accept.payload_timeout).max(1);
        }
        self.core.keep_alive = KeepAlive::watching(
            properties.server_keep_alive().unwrap_or(asked.keep_alive),
            accept.liveness == Liveness::Bytes,
        );
        let is_v5 = self.version().is_v5();
        let end = &mut self.core.end;
        end.expiry = expiry.unwrap_or(asked.expiry);
        end.packet_limit = match accept.maximum_packet_size {
            MaximumPacketSize::Bytes(_) if is_v5 => {
                accept.maximum_packet_size.announced(asked.capacity).unwrap_or_default()
            }
            _ => 0,
        };
        end.will_delay = asked.will_delay;
        end.will = if asked.request.has_will() { Will::Armed } else { Will::None };
        end.support = Support::of(properties);
        end.stage = Stage::Accepted;
        self.go_online();
        // An AUTH may still be on its way. [MQTT-3.2.0-1]
        self.core.turn = Turn::Ahead;
    }

    pub(crate) fn reject(&mut self, reason_code: ReasonCode, properties: Properties<'_>) -> Result<(), CommandError> {
        if self.core.phase != Phase::Connecting || self.core.end.stage != Stage::Undecided {
            return Err(CommandError::NothingToAnswer);
        }
        self.turn_away(reason_code, properties, CloseReason::Rejected(reason_code))
    }

    /// CONNACK with a code other than success, and the end. [MQTT-3.1.4-2], [MQTT-3.2.2-5] in 3.1.1, [MQTT-3.2.2-7] in 5.0
    fn turn_away(
        &mut self,
        reason_code: ReasonCode,
        properties: Properties<'_>,
        cause: CloseReason,
    ) -> Result<(), CommandError> {
        if reason_code == ReasonCode::Success {
            return Err(CommandError::Forbidden(Violation::ConnackCodeReserved));
        }
        if Version::OLDEST.is_v5() && !self.is_asked_for_v5() {
            // 3.1.1 is not in this build.
            control::check_size(REFUSAL_OF_OLDER_CLIENT.len(), self.queue.free(), 0)?;
            self.queue.push_encoded(&REFUSAL_OF_OLDER_CLIENT);
        } else {
            let packet = Connack { session_present: false, reason_code, properties };
            let measured = Measured::new(&packet, self.version(), Role::Client)?;
            control::check_size(measured.len(), self.queue.free(), 0)?;
            self.check_peer(measured.len())?;
            self.queue.push(&measured);
        }
        self.core.end.stage = Stage::Rejected;
        self.core.cause = cause;
        self.core.phase = Phase::Parting;
        self.core.deadline = Timer::set(self.core.disconnect_timeout);
        Ok(())
    }

    /// Whether the client can read what 5.0 says, as far as its protocol level tells.
    const fn is_asked_for_v5(&self) -> bool {
        self.core.end.asked.level >= 5
    }

    fn refuse_as(&mut self, reason_code: ReasonCode, cause: CloseReason) {
        if self.turn_away(reason_code, Properties::EMPTY, cause).is_err() {
            self.end(cause);
        }
    }

    /// What CONNACK says of a fault; nothing before CONNECT. 3.1.1 has a code for few of them. [MQTT-3.1.4-1]
    fn refusal(&self, cause: CloseReason) -> Option<ReasonCode> {
        if self.core.end.asked.level == 0 {
            return None;
        }
        match cause {
            CloseReason::Violation(Violation::ClientIdentifierEmpty) => Some(ReasonCode::ClientIdentifierNotValid),
            CloseReason::Violation(Violation::ProtocolLevelUnsupported | Violation::ProtocolNameUnknown) => {
                Some(ReasonCode::UnsupportedProtocolVersion)
            }
            _ if self.version().is_v5() => cause.reason_code(),
            _ => None,
        }
    }

    /// The client ends the connection, and with success takes its will back. [MQTT-3.14.4-3], [MQTT-3.1.2-10] in 3.1.1
    fn take_disconnect<'i>(
        &mut self,
        disconnect: DisconnectPacket<'i>,
        step: &mut StepOf<'m, 'i, Server>,
    ) -> Result<Processed, CloseReason> {
        if let Some(seconds) = disconnect.properties.session_expiry_interval() {
            if seconds != 0 && !self.core.end.asked.request.lasting() {
                return Err(CloseReason::ExpiryRaised);
            }
            self.core.end.expiry = seconds;
            let is_known =
                self.core.end.asked.request.session_present() || !self.queue.holds(PacketType::Connack.first_byte());
            self.core.terms.set_session_lifetime(match seconds {
                0 => SessionLifetime::UntilClose,
                _ if is_known => SessionLifetime::Kept,
                _ => SessionLifetime::Begun,
            });
        }
        if disconnect.reason_code == ReasonCode::NORMAL_DISCONNECTION {
            self.core.end.will = Will::None;
        }
        self.end(CloseReason::DisconnectedByPeer(disconnect.reason_code));
        Ok(tell(step, Event::Disconnected(disconnect)))
    }

    pub(crate) fn disconnect(&mut self, disconnect: &command::Disconnect<'_>) -> Result<(), CommandError> {
        self.check_online()?;
        self.leave(disconnect)
    }

    pub(crate) fn authenticate(&mut self, auth: &Auth<'_>) -> Result<(), CommandError> {
        let goes_on = auth.reason_code == ReasonCode::ContinueAuthentication;
        let Server { stage, .. } = self.core.end;
        let due = match (self.core.phase, self.core.news.authentication()) {
            (Phase::Connecting, authentication) => {
                stage == Stage::Undecided && authentication != Authentication::Without && goes_on
            }
            (Phase::Online, Authentication::Due) => goes_on || auth.reason_code == ReasonCode::Success,
            _ => false,
        };
        let method = auth.properties.authentication_method().unwrap_or_default();
        let data = auth.properties.authentication_data();
        let bare = [Property::AuthenticationMethod(method), Property::AuthenticationData(data.unwrap_or_default())];
        let bare = bare.get(..if data.is_some() { 2 } else { 1 }).unwrap_or_default();
        // What the client wants to know besides. [MQTT-3.1.2-29]
        let properties = if self.is_undiagnosed() { List::of(bare) } else { auth.properties };
        self.authenticate_if(due, &Auth { properties, ..*auth })?;
        if stage == Stage::Undecided {
            self.core.end.stage = Stage::Authenticating;
        }
        Ok(())
    }

    /// AUTH that answers ours before CONNACK. [MQTT-4.12.0-3]
    fn take_answer<'i>(&mut self, auth: Auth<'i>, step: &mut StepOf<'m, 'i, Server>) -> Result<Processed, CloseReason> {
        if auth.reason_code != ReasonCode::ContinueAuthentication {
            return Err(CloseReason::AuthenticationUnexpected);
        }
        self.check_method(&auth.properties)?;
        self.core.end.stage = Stage::Undecided;
        Ok(tell(step, Event::Authenticating(auth)))
    }

    /// AUTH of a re-authentication, which the client begins. [MQTT-4.12.1-1]
    fn take_reauthentication<'i>(
        &mut self,
        auth: Auth<'i>,
        step: &mut StepOf<'m, 'i, Server>,
    ) -> Result<Processed, CloseReason> {
        let expected = match self.core.news.authentication() {
            Authentication::Settled => ReasonCode::Reauthenticate,
            Authentication::Awaited => ReasonCode::ContinueAuthentication,
            Authentication::Without | Authentication::Due => return Err(CloseReason::AuthenticationUnexpected),
        };
        if auth.reason_code != expected {
            return Err(CloseReason::AuthenticationUnexpected);
        }
        self.check_method(&auth.properties)?;
        self.core.news.set_authentication(Authentication::Due);
        Ok(tell(step, Event::Authenticating(auth)))
    }

    pub(super) fn is_undiagnosed(&self) -> bool {
        self.core.end.asked.request.undiagnosed()
    }
}

/// CONNACK that says to a client of 3.1.1, in a form that it can read, that its version is not spoken here. [MQTT-3.1.2-2]
const REFUSAL_OF_OLDER_CLIENT: [u8; 4] = [0x20, 2, 0, 1];
