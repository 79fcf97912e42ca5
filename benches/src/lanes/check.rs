//! What a contestant did, compared with what it should have done.

use std::collections::HashSet;

use crate::link::Record;
use crate::peer::{self, Packets};
use crate::work::{PAYLOAD, TOPIC, Version};

/// Every message, once and in order.
pub fn deliveries<'p>(
    record: &Record,
    delivered: usize,
    messages: usize,
    payload: impl Fn(usize) -> &'p Vec<u8>,
) -> Result<(), String> {
    if delivered != messages || record.messages.len() != messages {
        return Err(format!("{delivered} of {messages} messages were delivered"));
    }
    for (number, (topic, found)) in record.messages.iter().enumerate() {
        if topic != TOPIC.as_bytes() || found != payload(number) {
            return Err(format!("message {number} is not what was sent"));
        }
    }
    Ok(())
}

/// Exactly these packets, by their first bytes and identifiers.
pub fn packets(record: &Record, expected: &[(u8, u16)]) -> Result<(), String> {
    let found: Vec<(u8, u16)> = Packets(&record.written).map(|(first, body)| (first, id_of(first, body))).collect();
    if found == expected { Ok(()) } else { Err("other packets were written than expected".to_owned()) }
}

/// PUBREC for each message of a window, then PUBCOMP for each.
pub fn answered(record: &Record, window: usize, messages: usize) -> Result<(), String> {
    let batch = [0x50, 0x70].into_iter().flat_map(|first| (1..=window as u16).map(move |id| (first, id)));
    let expected: Vec<(u8, u16)> = batch.cycle().take(2 * messages).collect();
    packets(record, &expected)
}

/// A window of messages, PUBRELs for them in the same order if they are of QoS 2, and the next window.
pub fn published(record: &Record, version: Version, qos: u8, window: usize, messages: usize) -> Result<(), String> {
    let mut packets = Packets(&record.written);
    let mut number = 0;
    while number < messages {
        let mut ids = Vec::new();
        for _ in 0..window {
            ids.push(publish(packets.next(), version, qos, number)?);
            number += 1;
        }
        if ids.iter().collect::<HashSet<_>>().len() != ids.len() {
            return Err("an identifier is used twice at a time".to_owned());
        }
        for id in ids.into_iter().filter(|_| qos == 2) {
            release(packets.next(), id)?;
        }
    }
    if packets.next().is_some() { Err("more was written than expected".to_owned()) } else { Ok(()) }
}

/// PUBREL and the next message, in turn.
pub fn exchanged(record: &Record, version: Version, messages: usize) -> Result<(), String> {
    let mut packets = Packets(&record.written);
    for number in 0..messages {
        if packets.next().is_none_or(|(first, _)| first != 0x62) {
            return Err(format!("message {number} was not released"));
        }
        publish(packets.next(), version, 2, number)?;
    }
    if packets.next().is_some() { Err("more was written than expected".to_owned()) } else { Ok(()) }
}

/// The identifier of the PUBLISH that this must be.
fn publish(packet: Option<(u8, &[u8])>, version: Version, qos: u8, number: usize) -> Result<u16, String> {
    let wrong = || format!("message {number} was not written as it should be");
    let (first, body) = packet.ok_or_else(wrong)?;
    let id = peer::publish_id(body);
    let mut expected = Vec::new();
    peer::publish(&mut expected, version, qos, TOPIC, id, &peer::payload(number as u64));
    let expected = Packets(&expected).next();
    if id != 0 && expected == Some((first, body)) && body.len() > PAYLOAD { Ok(id) } else { Err(wrong()) }
}

/// PUBREL that says success, in whichever form.
fn release(packet: Option<(u8, &[u8])>, id: u16) -> Result<(), String> {
    match packet {
        Some((0x62, body)) if peer::first_two(body) == id && body[2..].iter().all(|&byte| byte == 0) => Ok(()),
        _ => Err(format!("message {id} was not released")),
    }
}

fn id_of(first: u8, body: &[u8]) -> u16 {
    if first >> 4 == 3 { peer::publish_id(body) } else { peer::first_two(body) }
}
