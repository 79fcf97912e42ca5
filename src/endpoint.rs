//! What the two ends have in common: for those who carry their bytes, and for those who call their commands.

use core::convert::Infallible;

#[cfg(feature = "streaming")]
use crate::command::Source;
use crate::command::{Disconnect, Publish};
use crate::error::CommandError;
use crate::event::{self, Handle, Step};
use crate::inbox::Inbox;
#[cfg(feature = "server")]
use crate::server;
use crate::session::Session;
use crate::session::command::{Connect, Subscribe, Unsubscribe};
use crate::time::Instant;
use crate::wire::{Auth, PacketId, Properties, ReasonCode};

/// Either end of a connection, as far as a transport sees it: what is written for an `Endpoint` serves clients and servers.
///
/// It is open: implement it for a wrapper that records or changes what passes, or for an end of another kind in a simulation. So
/// a method is added only with a default body, or counts as a breaking change.
pub trait Endpoint {
    /// What a poll tells.
    type Event<'i>;

    /// What a poll asks for besides: [`Infallible`] if nothing, and then a `match` on a [`Step`] needs no arm for it.
    type Record<'s>
    where
        Self: 's;

    /// See [`Session::poll`].
    fn poll<'i>(&mut self, inbox: &'i mut Inbox, now: Instant) -> Step<'_, Self::Event<'i>, Self::Record<'_>>;

    /// See [`Session::transmitted`].
    fn transmitted(&mut self, len: usize);

    /// See [`Session::reading_paused`].
    fn reading_paused(&mut self);

    /// See [`Session::connection_lost`].
    fn connection_lost(&mut self);

    /// See [`Session::deadline`].
    fn deadline(&self) -> Option<Instant>;
}

/// An endpoint that asks for nothing but writing, reading and waiting, as all of this version do.
pub trait PlainEndpoint: 'static + for<'s> Endpoint<Record<'s> = Infallible> {}

impl<E: 'static + for<'s> Endpoint<Record<'s> = Infallible>> PlainEndpoint for E {}

/// The commands of either end, of whatever size it is: for helpers that need not name the four constants of a session. Of a
/// client's end there are more, in [`ClientCommands`].
///
/// Each does what the method of the session does that has the same name. Only this crate implements it, so that it can grow.
///
/// ```
/// use mqtt_session::{CommandError, Commands, Publish, QoS, Session};
///
/// /// Publishes a reading, unless there is too little room left for something that matters more.
/// fn report(session: &mut dyn Commands, watts: u32) -> Result<bool, CommandError> {
///     let text = watts.to_string();
///     if session.free_space() < 100 {
///         return Ok(false);
///     }
///     session.publish(&Publish { qos: QoS::AtLeastOnce, ..Publish::new("power", text.as_bytes()) })?;
///     Ok(true)
/// }
///
/// let mut large: Session<2048, 16, 16> = Session::new();
/// let mut small: Session<64, 2, 2> = Session::new();
/// // Neither was ever connected, so which version to encode in is not known yet.
/// assert_eq!(report(&mut large, 230), Err(CommandError::Offline));
/// assert_eq!(report(&mut small, 230), Ok(false));
/// ```
pub trait Commands: Sealed {
    /// See [`Session::publish`].
    ///
    /// # Errors
    ///
    /// As there.
    fn publish(&mut self, publish: &Publish<'_>) -> Result<Option<PacketId>, CommandError>;

    /// See [`Session::publish_with`]; `fill` is called once at most.
    ///
    /// # Errors
    ///
    /// As there.
    fn publish_with(
        &mut self,
        publish: &Publish<'_>,
        len: usize,
        fill: &mut dyn FnMut(&mut [u8]),
    ) -> Result<Option<PacketId>, CommandError>;

    /// See [`Session::publish_from`].
    ///
    /// # Errors
    ///
    /// As there.
    #[cfg(feature = "streaming")]
    fn publish_from(&mut self, publish: &Publish<'_>, source: &Source) -> Result<Option<PacketId>, CommandError>;

    /// See [`Session::payload_space`].
    #[cfg(feature = "streaming")]
    fn payload_space(&mut self) -> &mut [u8];

    /// See [`Session::payload_filled`].
    #[cfg(feature = "streaming")]
    fn payload_filled(&mut self, len: usize);

    /// See [`Session::supply`].
    #[cfg(feature = "streaming")]
    fn supply(&mut self, bytes: &[u8]) -> usize;

    /// See [`Session::abort_payload`].
    ///
    /// # Errors
    ///
    /// As there.
    #[cfg(feature = "streaming")]
    fn abort_payload(&mut self) -> Result<(), CommandError>;

    /// See [`Session::discard_message`].
    ///
    /// # Errors
    ///
    /// As there.
    #[cfg(feature = "streaming")]
    fn discard_message(&mut self, reason_code: ReasonCode) -> Result<(), CommandError>;

    /// See [`Session::acknowledge`].
    ///
    /// # Errors
    ///
    /// As there.
    fn acknowledge(&mut self, handle: Handle, reason_code: ReasonCode) -> Result<(), CommandError>;

    /// See [`Session::acknowledge_with`].
    ///
    /// # Errors
    ///
    /// As there.
    fn acknowledge_with(
        &mut self,
        handle: Handle,
        reason_code: ReasonCode,
        properties: Properties<'_>,
    ) -> Result<(), CommandError>;

    /// See [`Session::authenticate`].
    ///
    /// # Errors
    ///
    /// As there.
    fn authenticate(&mut self, auth: &Auth<'_>) -> Result<(), CommandError>;

    /// See [`Session::disconnect`].
    ///
    /// # Errors
    ///
    /// As there.
    fn disconnect(&mut self, disconnect: &Disconnect<'_>) -> Result<(), CommandError>;

    /// See [`Session::connection_lost`].
    fn connection_lost(&mut self);

    /// See [`Session::cancel`].
    fn cancel(&mut self, packet_id: PacketId) -> bool;

    /// See [`Session::give_up`].
    fn give_up(&mut self, packet_id: PacketId) -> bool;

    /// See [`Session::free_space`].
    fn free_space(&self) -> usize;

    /// See [`Session::pending`].
    fn pending(&self) -> u16;

    /// See [`Session::pending_received`].
    fn pending_received(&self) -> u16;

    /// See [`Session::is_flushed`].
    fn is_flushed(&self) -> bool;

    /// See [`Session::is_online`].
    fn is_online(&self) -> bool;
}

/// The commands of a client's end, of whatever size it is.
///
/// ```
/// use mqtt_session::{ClientCommands, Connack, Connect, Inbox, Properties, Property, QoS, Subscribe, Subscription, Version};
/// use mqtt_session::CommandError;
///
/// /// Connects, with a session that outlives the connection.
/// fn begin(session: &mut dyn ClientCommands, inbox: &mut Inbox, version: Version) -> Result<(), CommandError> {
///     let properties = Properties::for_version(version, &[Property::SessionExpiryInterval(3600)]);
///     session.connect(inbox, &Connect { clean_start: false, properties, ..Connect::new(version, "meter-7") })
/// }
///
/// /// What is done at `Event::Connected`: a session that is new has no subscriptions.
/// fn connected(session: &mut dyn ClientCommands, connack: &Connack<'_>) -> Result<(), CommandError> {
///     if !connack.session_present {
///         session.subscribe(&Subscribe::one(&Subscription::new("meter/7/ask", QoS::ExactlyOnce)))?;
///     }
///     Ok(())
/// }
///
/// # #[cfg(feature = "v5")]
/// begin(&mut mqtt_session::Session::<256, 4, 4>::new(), &mut Inbox::<[u8; 256]>::new(), Version::V5)?;
/// # Ok::<(), CommandError>(())
/// ```
pub trait ClientCommands: Commands {
    /// See [`Session::connect`].
    ///
    /// # Errors
    ///
    /// As there.
    fn connect(&mut self, inbox: &mut Inbox, connect: &Connect<'_>) -> Result<(), CommandError>;

    /// See [`Session::subscribe`].
    ///
    /// # Errors
    ///
    /// As there.
    fn subscribe(&mut self, subscribe: &Subscribe<'_>) -> Result<PacketId, CommandError>;

    /// See [`Session::unsubscribe`].
    ///
    /// # Errors
    ///
    /// As there.
    fn unsubscribe(&mut self, unsubscribe: &Unsubscribe<'_>) -> Result<PacketId, CommandError>;

    /// See [`Session::ping`].
    ///
    /// # Errors
    ///
    /// As there.
    fn ping(&mut self) -> Result<(), CommandError>;
}

/// Keeps [`Commands`] to this crate.
pub trait Sealed {}

/// Implements [`Endpoint`] and [`Commands`] by the methods of the same names.
macro_rules! endpoint {
    ($session:ty, $event:ty) => {
        impl<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize, const CONTROL: usize> Endpoint
            for $session
        {
            type Event<'i> = $event;
            type Record<'s> = Infallible;

            fn poll<'i>(&mut self, inbox: &'i mut Inbox, now: Instant) -> Step<'_, Self::Event<'i>, Self::Record<'_>> {
                self.poll(inbox, now)
            }

            fn transmitted(&mut self, len: usize) {
                self.transmitted(len);
            }

            fn reading_paused(&mut self) {
                self.reading_paused();
            }

            fn connection_lost(&mut self) {
                self.connection_lost();
            }

            fn deadline(&self) -> Option<Instant> {
                self.deadline()
            }
        }

        impl<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize, const CONTROL: usize> Sealed
            for $session
        {
        }

        impl<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize, const CONTROL: usize> Commands
            for $session
        {
            fn publish(&mut self, publish: &Publish<'_>) -> Result<Option<PacketId>, CommandError> {
                self.publish(publish)
            }

            fn publish_with(
                &mut self,
                publish: &Publish<'_>,
                len: usize,
                fill: &mut dyn FnMut(&mut [u8]),
            ) -> Result<Option<PacketId>, CommandError> {
                self.publish_with(publish, len, fill)
            }

            #[cfg(feature = "streaming")]
            fn publish_from(
                &mut self,
                publish: &Publish<'_>,
                source: &Source,
            ) -> Result<Option<PacketId>, CommandError> {
                self.publish_from(publish, source)
            }

            #[cfg(feature = "streaming")]
            fn payload_space(&mut self) -> &mut [u8] {
                self.payload_space()
            }

            #[cfg(feature = "streaming")]
            fn payload_filled(&mut self, len: usize) {
                self.payload_filled(len);
            }

            #[cfg(feature = "streaming")]
            fn supply(&mut self, bytes: &[u8]) -> usize {
                self.supply(bytes)
            }

            #[cfg(feature = "streaming")]
            fn abort_payload(&mut self) -> Result<(), CommandError> {
                self.abort_payload()
            }

            #[cfg(feature = "streaming")]
            fn discard_message(&mut self, reason_code: ReasonCode) -> Result<(), CommandError> {
                self.discard_message(reason_code)
            }

            fn acknowledge(&mut self, handle: Handle, reason_code: ReasonCode) -> Result<(), CommandError> {
                self.acknowledge(handle, reason_code)
            }

            fn acknowledge_with(
                &mut self,
                handle: Handle,
                reason_code: ReasonCode,
                properties: Properties<'_>,
            ) -> Result<(), CommandError> {
                self.acknowledge_with(handle, reason_code, properties)
            }

            fn authenticate(&mut self, auth: &Auth<'_>) -> Result<(), CommandError> {
                self.authenticate(auth)
            }

            fn disconnect(&mut self, disconnect: &Disconnect<'_>) -> Result<(), CommandError> {
                self.disconnect(disconnect)
            }

            fn connection_lost(&mut self) {
                self.connection_lost();
            }

            fn cancel(&mut self, packet_id: PacketId) -> bool {
                self.cancel(packet_id)
            }

            fn give_up(&mut self, packet_id: PacketId) -> bool {
                self.give_up(packet_id)
            }

            fn free_space(&self) -> usize {
                self.free_space()
            }

            fn pending(&self) -> u16 {
                self.pending()
            }

            fn pending_received(&self) -> u16 {
                self.pending_received()
            }

            fn is_flushed(&self) -> bool {
                self.is_flushed()
            }

            fn is_online(&self) -> bool {
                self.is_online()
            }
        }
    };
}

endpoint!(Session<STORE, OUTBOUND, INBOUND, CONTROL>, event::Event<'i>);
#[cfg(feature = "server")]
endpoint!(server::Session<STORE, OUTBOUND, INBOUND, CONTROL>, server::Event<'i>);

impl<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize, const CONTROL: usize> ClientCommands
    for Session<STORE, OUTBOUND, INBOUND, CONTROL>
{
    fn connect(&mut self, inbox: &mut Inbox, connect: &Connect<'_>) -> Result<(), CommandError> {
        self.connect(inbox, connect)
    }

    fn subscribe(&mut self, subscribe: &Subscribe<'_>) -> Result<PacketId, CommandError> {
        self.subscribe(subscribe)
    }

    fn unsubscribe(&mut self, unsubscribe: &Unsubscribe<'_>) -> Result<PacketId, CommandError> {
        self.unsubscribe(unsubscribe)
    }

    fn ping(&mut self) -> Result<(), CommandError> {
        self.ping()
    }
}
