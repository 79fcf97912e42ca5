//! A floor: what the bytes need, and nothing else. It checks nothing, keeps nothing, and knows no state.

use crate::contestant::{Contestant, Entry, Lane};
use crate::lanes::lane;
use crate::link::{Link, READ};
use crate::peer::{self, first_two, frame, length, short};
use crate::work::{Setup, Version, Work};

pub const ENTRY: Entry = Entry { name: "floor: bytes", enter };

struct Least {
    setup: Setup,
    buffer: Vec<u8>,
    len: usize,
    last_id: u16,
    link: Link,
}

fn enter(work: &Work) -> Result<Box<dyn Lane>, &'static str> {
    let setup = work.setup();
    Ok(lane(work, Least { setup, buffer: vec![0; setup.packet + READ], len: 0, last_id: 0, link: Link::default() }))
}

impl Contestant for Least {
    fn publish(&mut self, qos: u8, topic: &'static str, payload: &[u8]) {
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        peer::publish(&mut self.link.outgoing, self.setup.version, qos, topic, self.last_id, payload);
    }

    fn turn(&mut self) {
        loop {
            let received = self.link.read(&mut self.buffer[self.len..]);
            if received == 0 {
                return;
            }
            self.len += received;
            let mut at = 0;
            while let Some((first, body, len)) = frame(&self.buffer[at..self.len]) {
                take(&mut self.link, self.setup.version, first, body);
                at += len;
            }
            self.buffer.copy_within(at..self.len, 0);
            self.len -= at;
        }
    }

    fn link<R>(&mut self, show: impl FnOnce(&mut Link) -> R) -> R {
        show(&mut self.link)
    }
}

#[inline]
fn take(link: &mut Link, version: Version, first: u8, body: &[u8]) {
    match first >> 4 {
        3 => {
            let (topic, rest) = body[2..].split_at(first_two(body).into());
            let (id, rest) = rest.split_at(if first & 0b110 == 0 { 0 } else { 2 });
            let payload = if version == Version::V5 {
                let (properties, rest) = length(rest);
                &rest[properties..]
            } else {
                rest
            };
            link.deliver(topic, payload);
            if !id.is_empty() {
                link.write(&short(0x50, first_two(id)));
            }
        }
        5 => link.write(&short(0x62, first_two(body))),
        6 => link.write(&short(0x70, first_two(body))),
        _ => link.complete(),
    }
}
