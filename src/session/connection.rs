//! How a connection begins and ends: CONNECT, CONNACK, AUTH, DISCONNECT, and what becomes of the session.

use crate::error::{Cause, Refused};
use crate::event::Event;
use crate::flow::sender::Sent;
use crate::inbox::Inbox;
use crate::keepalive::KeepAlive;
use crate::outbox::Order;
use crate::timer::Timer;
use crate::wire::{self, Auth, Connack, List, Measured, Packet, Properties, Property, QoS, ReasonCode, Role};

use super::command::{Connect, Disconnect, LostSession};
use super::engine::{ANSWER, Authentication, Engine, Life, Limits, Losing, Phase, Request, Starved};
use super::receiving::Taken;

impl Engine<'_> {
    pub(crate) fn connect(&mut self, inbox: &mut Inbox, connect: &Connect<'_>) -> Result<(), Refused> {
        let client = hash(connect.client_id.as_bytes());
        self.check_session(connect, client)?;
        let held = if connect.clean_start { 0 } else { self.core.table.len() };
        let places = u16::try_from(self.held.len()).unwrap_or(u16::MAX);
        let receive_maximum = places.saturating_sub(held).max(1);
        let announced = [
            Property::ReceiveMaximum(receive_maximum),
            Property::MaximumPacketSize(u32::try_from(inbox.capacity()).unwrap_or(u32::MAX).max(1)),
        ];
        let own = |property: &Property<'_>| {
            matches!(
                property,
                Property::ReceiveMaximum(_) | Property::MaximumPacketSize(_) | Property::TopicAliasMaximum(_)
            )
        };
        if connect.properties.iter().any(own) {
            return Err(Refused::Reserved);
        }
        let announced: &[Property<'_>] = if connect.version.is_v5() { &announced } else { &[] };
        let packet = Packet::Connect(wire::Connect {
            clean_start: connect.clean_start,
            keep_alive: connect.keep_alive,
            client_id: connect.client_id,
            will: connect.will,
            user_name: connect.user_name,
            password: connect.password,
            properties: List::joined(connect.properties, announced),
        });
        let measured = Measured::new(packet.layout(), connect.version, Role::Server)?;
        if measured.len() > self.queue.bytes.len().min(u16::MAX.into()) {
            return Err(Refused::TooLarge);
        }
        if !matches!(self.core.phase, Phase::Offline | Phase::Reporting) {
            self.end(Cause::ConnectionLost);
        }
        inbox.clear();
        self.queue.clear();
        self.begin(connect, client, receive_maximum);
        self.queue.push(&measured);
        self.queue.show();
        Ok(())
    }

    /// What is stored speaks for one client and one version. [MQTT-3.1.3-2]
    fn check_session(&self, connect: &Connect<'_>, client: u32) -> Result<(), Refused> {
        let same_version = self.core.level == connect.version.level();
        let resumed = self.core.life == Life::Kept;
        let refused = !connect.clean_start
            && if same_version {
                resumed && self.core.client != client
            } else {
                resumed || !self.store.outbox.is_empty()
            };
        if refused { Err(Refused::OtherSession) } else { Ok(()) }
    }

    fn begin(&mut self, connect: &Connect<'_>, client: u32, receive_maximum: u16) {
        if connect.clean_start && self.core.life != Life::None {
            self.lose_session(Losing::InFlight);
            self.core.life = Life::None;
        }
        if self.core.level != 0 && self.core.level != connect.version.level() {
            self.give_up_store();
        }
        let properties = List::of(connect.properties);
        let method = properties.authentication_method();
        self.core.level = connect.version.level();
        self.core.client = client;
        self.core.method = method.map_or(0, |method| hash(method.as_bytes()));
        self.core.authentication = if method.is_some() { Authentication::Awaited } else { Authentication::Without };
        self.core.request = Request {
            clean_start: connect.clean_start,
            nameless: connect.client_id.is_empty(),
            lasting: if connect.version.is_v5() {
                properties.session_expiry_interval().is_some_and(|seconds| seconds != 0)
            } else {
                !connect.clean_start
            },
            undiagnosed: properties.request_problem_information() == Some(false),
        };
        self.core.keep_alive = KeepAlive::proposed(connect.keep_alive, connect.patience);
        self.core.receive_maximum = receive_maximum;
        self.core.acknowledge = connect.acknowledgement;
        self.core.lost_session = connect.lost_session;
        self.core.retry_interval = connect.retry_interval;
        self.core.farewell = connect.farewell;
        self.core.awaits_connack = true;
        self.core.limits = Limits::NONE;
        self.core.phase = Phase::Connecting;
        self.core.deadline = Timer::set(connect.patience);
    }

    /// What is stored was made for another version: it will be reported as lost, and QoS 0 is dropped.
    fn give_up_store(&mut self) {
        while let Some(place) = self.store.outbox.first(Order::Immediate) {
            self.store.remove(Order::Immediate, place);
        }
        for slot in self.slots.iter_mut() {
            if let Sent::Queued(level) = slot.sent {
                slot.sent = Sent::Resend(level);
            }
        }
        self.lose_session(Losing::InFlight);
    }

    pub(crate) fn take_before_connack<'i>(&mut self, packet: Packet<'i>) -> Result<Taken<'i>, Cause> {
        match packet {
            Packet::Connack(connack) if connack.reason_code == ReasonCode::Success => {
                self.accepted(&connack)?;
                Ok(Taken::Event(Event::Connected(connack)))
            }
            Packet::Connack(connack) => {
                self.end(match connack.reason_code {
                    ReasonCode::UnsupportedProtocolVersion => Cause::UnsupportedVersion,
                    code => Cause::Refused(code),
                });
                Ok(Taken::Event(Event::Refused(connack)))
            }
            Packet::Auth(auth) => self.take_challenge(auth),
            _ => Err(Cause::ConnackMissing),
        }
    }

    fn accepted(&mut self, connack: &Connack<'_>) -> Result<(), Cause> {
        let Request { clean_start, nameless, .. } = self.core.request;
        let v5 = self.version().is_v5();
        if connack.session_present && clean_start {
            return Err(Cause::SessionNotClean);
        }
        if connack.session_present && self.core.life == Life::None && v5 {
            return Err(Cause::SessionUnknown);
        }
        if nameless && v5 && connack.properties.assigned_client_identifier().is_none() {
            return Err(Cause::ClientIdentifierMissing);
        }
        self.check_method(&connack.properties)?;
        if let Some(assigned) = connack.properties.assigned_client_identifier() {
            self.core.client = hash(assigned.as_bytes());
        }
        if self.core.authentication != Authentication::Without {
            self.core.authentication = Authentication::Settled;
        }
        self.core.awaits_connack = false;
        self.core.limits = Limits::of(&connack.properties);
        self.core.quota = self.core.limits.receive_maximum;
        self.core.keep_alive.start(connack.properties.server_keep_alive());
        self.core.deadline = Timer::OFF;
        if !connack.session_present && self.core.life == Life::Kept {
            self.session_was_lost();
        }
        let lasting = match connack.properties.session_expiry_interval() {
            Some(seconds) => seconds != 0,
            None => self.core.request.lasting,
        };
        self.core.life = if lasting { Life::Kept } else { Life::UntilClose };
        // A connection that is drained after its loss stays lost.
        if self.core.phase == Phase::Connecting {
            self.core.phase = Phase::Online;
        }
        Ok(())
    }

    /// The server knows nothing of our session. [MQTT-3.2.2-5] of 5.0
    fn session_was_lost(&mut self) {
        match (self.core.lost_session, self.version().is_v5()) {
            (LostSession::AsTheStandardSays, false) => self.core.table.clear(self.held),
            (LostSession::AsTheStandardSays, true) | (LostSession::Report, _) => self.lose_session(Losing::InFlight),
            (LostSession::Republish, _) => self.lose_session(Losing::Republishing),
        }
    }

    pub(crate) fn disconnect(&mut self, disconnect: &Disconnect<'_>) -> Result<(), Refused> {
        match self.core.phase {
            Phase::Online => {}
            Phase::Offline | Phase::Connecting | Phase::Draining | Phase::Reporting => return Err(Refused::Offline),
            Phase::Leaving | Phase::Failing | Phase::Parting => return Err(Refused::Closing),
        }
        let expiry = disconnect.properties.session_expiry_interval();
        if expiry.is_some_and(|seconds| seconds != 0) && !self.core.request.lasting {
            return Err(Refused::ExpiryRaised);
        }
        let Disconnect { reason_code, properties } = *disconnect;
        let packet = Packet::Disconnect(wire::Disconnect { reason_code, properties });
        let measured = Measured::new(packet.layout(), self.version(), Role::Server)?;
        // Beside it there must be room for acknowledgements, which leave before it.
        let with_answer = measured.len().saturating_add(ANSWER);
        if with_answer > self.queue.bytes.len() || self.is_oversize(measured.len()) {
            return Err(Refused::TooLarge);
        }
        if with_answer > self.queue.free() || !self.queue.keep_farewell(&measured) {
            self.core.starved = Starved::Yes;
            return Err(Refused::Full);
        }
        match expiry {
            Some(0) => self.core.life = Life::UntilClose,
            Some(_) => self.core.life = Life::Kept,
            None => {}
        }
        self.core.cause = Cause::Disconnected;
        self.core.phase = Phase::Leaving;
        self.core.deadline = Timer::set(self.core.farewell);
        Ok(())
    }

    /// The transport is gone.
    pub(crate) fn connection_lost(&mut self) {
        match self.core.phase {
            Phase::Connecting | Phase::Online => {
                self.core.cause = Cause::ConnectionLost;
                self.core.phase = Phase::Draining;
                self.core.keep_alive = KeepAlive::OFF;
                self.core.deadline = Timer::OFF;
                self.core.closing = 0;
                self.core.owed = None;
                self.queue.clear();
            }
            Phase::Leaving => self.end(Cause::ConnectionLost),
            Phase::Failing | Phase::Parting => self.end(self.core.cause),
            Phase::Offline | Phase::Draining | Phase::Reporting => {}
        }
    }

    /// The peer is at fault.
    pub(crate) fn fail(&mut self, cause: Cause) {
        if self.core.phase == Phase::Draining || !self.version().is_v5() || cause.reason_code().is_none() {
            return self.end(cause);
        }
        // Nothing may come before CONNECT, not even a farewell. [MQTT-3.1.0-1]
        if self.core.phase == Phase::Connecting && self.queue.control.is_untouched() {
            return self.end(cause);
        }
        self.core.cause = cause;
        self.core.phase = Phase::Failing;
        self.core.deadline = Timer::set(self.core.farewell);
        self.queue.cut_short();
    }

    /// DISCONNECT with the code of the cause, behind a packet that is half written. (5.0: 4.13.1)
    pub(crate) fn say_farewell(&mut self) {
        if let Some(reason_code) = self.core.cause.reason_code() {
            self.push(&Packet::Disconnect(wire::Disconnect { reason_code, properties: Properties::EMPTY }));
        }
        self.core.phase = Phase::Parting;
        if self.queue.control.is_empty() {
            self.end(self.core.cause);
        }
    }

    pub(crate) fn authenticate(&mut self, auth: &Auth<'_>) -> Result<(), Refused> {
        let due = matches!(
            (self.core.phase, self.core.authentication, auth.reason_code),
            (Phase::Connecting | Phase::Online, Authentication::Due, ReasonCode::ContinueAuthentication)
                | (Phase::Online, Authentication::Settled, ReasonCode::Reauthenticate)
        );
        let method = auth.properties.authentication_method().map(|method| hash(method.as_bytes()));
        if !due || method != Some(self.core.method) {
            return Err(Refused::NotAuthenticating);
        }
        let packet = Packet::Auth(*auth);
        let measured = Measured::new(packet.layout(), self.version(), Role::Server)?;
        if measured.len() > self.queue.bytes.len() || self.is_oversize(measured.len()) {
            return Err(Refused::TooLarge);
        }
        if !self.queue.has_room(measured.len()) {
            self.core.starved = Starved::Yes;
            return Err(Refused::Full);
        }
        self.queue.push(&measured);
        self.core.authentication = Authentication::Awaited;
        Ok(())
    }

    /// AUTH before CONNACK. [MQTT-4.12.0-2]
    fn take_challenge<'i>(&mut self, auth: Auth<'i>) -> Result<Taken<'i>, Cause> {
        if self.core.authentication == Authentication::Without || auth.reason_code != ReasonCode::ContinueAuthentication
        {
            return Err(Cause::AuthenticationUnexpected);
        }
        self.check_method(&auth.properties)?;
        self.core.authentication = Authentication::Due;
        Ok(Taken::Event(Event::Authenticating(auth)))
    }

    /// AUTH of a re-authentication, which we began. (5.0: 4.12.1)
    pub(crate) fn take_reauthentication<'i>(&mut self, auth: Auth<'i>) -> Result<Taken<'i>, Cause> {
        if !matches!(self.core.authentication, Authentication::Awaited | Authentication::Due) {
            return Err(Cause::AuthenticationUnexpected);
        }
        self.check_method(&auth.properties)?;
        self.core.authentication = match auth.reason_code {
            ReasonCode::Success => Authentication::Settled,
            _ => Authentication::Due,
        };
        Ok(Taken::Event(Event::Authenticating(auth)))
    }

    /// [MQTT-4.12.0-5], [MQTT-4.12.0-6]
    fn check_method(&self, properties: &Properties<'_>) -> Result<(), Cause> {
        let method = properties.authentication_method().map(|method| hash(method.as_bytes()));
        let asked = (self.core.authentication != Authentication::Without).then_some(self.core.method);
        if method == asked { Ok(()) } else { Err(Cause::AuthenticationMethodChanged) }
    }
}

impl Limits {
    /// What CONNACK says, and the defaults for what it does not. [MQTT-3.2.2-9] and on
    fn of(properties: &Properties<'_>) -> Self {
        Self {
            packet_size: properties.maximum_packet_size().unwrap_or(0),
            receive_maximum: properties.receive_maximum().unwrap_or(u16::MAX),
            maximum_qos: properties.maximum_qos().unwrap_or(QoS::ExactlyOnce),
            retain: properties.retain_available().unwrap_or(true),
            wildcards: properties.wildcard_subscription_available().unwrap_or(true),
            subscription_identifiers: properties.subscription_identifier_available().unwrap_or(true),
            shared: properties.shared_subscription_available().unwrap_or(true),
        }
    }
}

/// FNV-1a.
fn hash(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811C_9DC5, |hash: u32, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
