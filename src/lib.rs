//! The MQTT protocol as a value: 3.1.1 and 5.0, without I/O, allocation, clock or `unsafe`.
//!
//! A [`Session`] is the client's end of an MQTT session, `server::Session` the server's. It is fed received bytes, through an
//! [`Inbox`], and the time, and answers with a [`Step`]: an event, bytes to transmit, the time to wait, or the end of the
//! connection.
//!
//! ```text
//!            commands: connect, publish, subscribe, acknowledge, disconnect, ...
//!                                     |
//!   socket -- read --> Inbox -- poll(now) --> Session -- Step::Transmit --> write -- transmitted(n)
//!                                     |
//!                       Step::Event, Step::Wait, Step::Close
//! ```
//!
//! "Do what the step says, then poll again" is the whole contract; the README shows the loop, and [`Session`] an example
//! without a socket.
//!
//! * [`Connect`], [`Publish`], [`Subscribe`], [`Unsubscribe`], [`Disconnect`]: what commands take. Their namesakes in
//!   [`wire`] are the packets.
//! * [`Event`], [`Message`], [`Outcome`]: what happened. [`CommandError`]: why a command was refused. [`CloseReason`]: why a
//!   connection ended.
//! * [`Commands`], [`ClientCommands`]: the commands of a session of any size, for helpers; [`Endpoint`]: the rest of it.
//! * `server` (feature `server`): the mirror image of all that.
//! * `io` (features `embedded-io`, `embedded-io-async`): drivers that run the loop over a transport. [`Backoff`]: when to
//!   connect again.
//! * `durable` (feature `durable`): both ends with a journal, so that they survive a loss of power.
//! * `sim` (feature `sim`): both ends over a simulated link with faults, for tests here and elsewhere.
//! * `strategies` (feature `proptest`): packets, damage, operations and links for property tests.
//! * [`wire`]: bytes to packets and back, for both ends, every rule of the standard checked.
//!
//! # Architecture
//!
//! ```text
//!   io   sim                             drivers over transports | simulated link
//!        |
//!   session   server                     what only one end does: CONNECT and CONNACK, requests and their answers
//!        \     /
//!        engine                          what both do: the order of work in a poll, flows, resume, DISCONNECT
//!   /    |    |     \
//! inbox flow outbox control              received bytes | transition tables | packets to send | what nothing may block
//!   \    |    |     /
//!          wire                          bytes to packets and back; the versions differ only here
//! ```
//!
//! Imports go downward only; `flow` knows no bytes, nothing below `engine` knows events or steps.
//!
//! Features: `v311` (MQTT 3.1.1) and `v5` (MQTT 5.0), both on by default, at least one needed; `server`, `streaming`, `durable`,
//! `embedded-io`,
//! `embedded-io-async`, `sim` and `proptest`; `defmt` and `log`.
//!
//! # What may be added
//!
//! Not counted as breaking changes are, so write programs that allow for them:
//!
//! * a new field of a struct with public fields: build [`Connect`], `server::Accept`, [`Publish`], [`Subscribe`], [`Will`] and the
//!   like by `..` over `new` or `default()`, and end patterns of structs and of events with `..`;
//! * a new variant of an enum that is `#[non_exhaustive]`. [`Step`], `sim::Turn` and `io::Error` are
//!   not, and get none;
//! * a new method of [`Commands`] or [`ClientCommands`], which only this crate implements, or one with a default body of
//!   [`Endpoint`], which anybody may.
//!
//! # Logging
//!
//! With `defmt` or `log`, or both, a session tells what it does, and every type here has `defmt::Format`:
//!
//! | level | what |
//! |---|---|
//! | `trace` | each packet, when it is first shown to the transport and when it is received |
//! | `debug` | each event; a command that is refused for now: `Full`, `Offline`, `Closing` |
//! | `info` | the end of a connection that was asked for |
//! | `warn` | what the peer refuses; what it broke; any other end of a connection; any other refusal of a command |
//!
//! Passwords and authentication data are never shown, and of payloads, of correlation data and of bytes to write only how
//! many there are. Topics, client identifiers, user names and user properties are.
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(not(any(feature = "v311", feature = "v5")))]
compile_error!("mqtt-session needs the feature `v311` (MQTT 3.1.1), `v5` (MQTT 5.0), or both");

mod aliases;
mod backoff;
mod bytes;
mod command;
mod control;
#[cfg(feature = "durable")]
pub mod durable;
mod endpoint;
mod engine;
mod error;
mod event;
mod flow;
mod inbox;
#[cfg(any(feature = "embedded-io", feature = "embedded-io-async"))]
pub mod io;
#[cfg(feature = "durable")]
mod journal;
mod keepalive;
mod outbox;
#[cfg(feature = "durable")]
mod record;
mod report;
#[cfg(feature = "server")]
pub mod server;
mod session;
#[cfg(feature = "sim")]
pub mod sim;
#[cfg(feature = "proptest")]
pub mod strategies;
mod time;
mod timer;
#[cfg(test)]
mod trials;
pub mod wire;

pub use self::{
    aliases::TopicAliases,
    backoff::Backoff,
    command::{Acknowledge, Disconnect, DisconnectWhen, MaximumPacketSize, Offline, Oversized, Publish},
    endpoint::{ClientCommands, Commands, Endpoint, PlainEndpoint},
    error::{CloseReason, CommandError, SizeLimit},
    event::{Event, Handle, Message, Outcome, Step, StrayPacket},
    inbox::Inbox,
    session::{
        Session,
        command::{Connect, LostSession, Subscribe, Unsubscribe},
    },
    time::Instant,
    wire::{
        AckType, Auth, Connack, Delivery, List, PacketId, Properties, Property, QoS, ReasonCode, RetainHandling, Role,
        Subscription, Version, Violation, Will, matches,
    },
};
#[cfg(feature = "streaming")]
pub use self::{
    command::Source,
    event::{MessagePart, PayloadRequest},
};

/// The README's examples, run as tests.
#[cfg(all(doctest, feature = "v311", feature = "v5"))]
#[doc = include_str!("../README.md")]
struct Readme;
