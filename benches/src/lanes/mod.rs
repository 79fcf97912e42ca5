//! How the works are done.

mod check;
mod exchange;
mod receive;
mod record;
mod send;
mod stream;

use crate::contestant::{Contestant, Lane};
use crate::work::{Kind, LARGE, PAYLOAD, Work};

/// A contestant that is connected, ready for the work.
pub fn lane<C: Contestant + 'static>(work: &Work, contestant: C) -> Box<dyn Lane> {
    let work = *work;
    match work.kind {
        Kind::Decode => Box::new(stream::Stream::new(work, contestant, PAYLOAD)),
        Kind::Large => Box::new(stream::Stream::new(work, contestant, LARGE)),
        Kind::Send(qos, window) => Box::new(send::Send::new(work, contestant, qos, window)),
        Kind::Receive(window) => Box::new(receive::Receive::new(work, contestant, window)),
        Kind::Exchange(in_flight) => Box::new(exchange::Exchange::new(work, contestant, in_flight)),
    }
}
