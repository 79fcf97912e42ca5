//! A small MQTT broker over the server's end of this crate: 3.1.1 and 5.0, in one thread over sockets that never block.
//!
//! ```text
//! cargo run --release --example broker -- --port 1883
//! ```
//!
//! It has QoS 0, 1 and 2, wildcards, shared subscriptions, retained messages, wills with their delay, sessions that wait
//! for their clients with what comes meanwhile, take-over, message expiry, subscription identifiers, and `$SYS`. What it
//! takes of memory is bounded; `--help` and `limits.rs` say by what, and what happens at each bound.
//!
//! * `topics.rs`: the topic tree, and whom a message reaches. `retained.rs`: what is kept for those who come later.
//! * `message.rs`: a message, and what is sent of it to one of them. `queue.rs`: those that wait. `client.rs`: a session.
//! * `broker.rs`: how sessions begin, end and pass over. `requests.rs`: their subscriptions. `routing.rs`: how messages get to
//!   them. None of this knows sockets.
//! * `link.rs`: a socket. `server.rs`: the loop over all of them; each turn is "do what the step says, then poll again".
//! * `pool.rs` and `seat.rs`: where inboxes and sessions lie. `limits.rs` and `options.rs`: what is bounded.
//!
//! **What a broker needs besides**, once others than its own machine reach it: TLS; authentication, and who may publish and
//! subscribe to what; a store that outlives the process (here all that was acknowledged and waits is gone with it); limits
//! per user and per rate rather than per connection; an end for sessions of 3.1.1 clients, which have none; more than one
//! thread or machine; its figures where somebody looks at them.

mod broker;
mod client;
#[path = "../common/mod.rs"]
mod common;
mod limits;
mod link;
mod message;
mod options;
mod pool;
mod queue;
mod report;
mod requests;
mod retained;
mod routing;
mod seat;
mod server;
mod topics;

use std::io::{Error, Write, stdout};
use std::net::ToSocketAddrs;
use std::process::ExitCode;

use broker::Broker;
use common::{Arguments, Clock, Failure, Stop, finish};
use options::{Options, USAGE};
use server::Server;

fn main() -> ExitCode {
    finish("broker", USAGE, run)
}

fn run(arguments: Arguments) -> Result<(), Failure> {
    let options = Options::read(arguments)?;
    let clock = Clock::start();
    let stop = Stop::new(clock, None)?;
    let mut server = listen(&options, clock)?;
    let address = server.address().map_err(|error| Failure::Failed(error.to_string()))?;
    // Whoever started it may not want to know.
    _ = writeln!(stdout(), "listening on {address}").and_then(|()| stdout().flush());
    server.run(&stop).map_err(|error| Failure::Failed(error.to_string()))
}

/// Listens at the first address of the host that can be had.
fn listen(options: &Options, clock: Clock) -> Result<Server, Failure> {
    let Options { host, port, connections, .. } = options;
    let failed = |error: Error| Failure::Failed(format!("{host}:{port} cannot be listened at: {error}"));
    let mut failure = None;
    for address in (host.as_str(), *port).to_socket_addrs().map_err(failed)? {
        match Server::new(address, Broker::new(options.clone()), *connections, clock) {
            Ok(server) => return Ok(server),
            Err(error) => failure = Some(failed(error)),
        }
    }
    Err(failure.unwrap_or_else(|| Failure::Failed(format!("{host}: there is no such host"))))
}
