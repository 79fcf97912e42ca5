//! What several tests share: hex, vector files, packets from and to their neutral description, received bytes.
#![allow(dead_code, reason = "each test uses a part of this module")]
#![allow(clippy::panic, clippy::expect_used, clippy::indexing_slicing, reason = "a fault here is a failed test")]

pub(crate) mod build;
#[path = "../../examples/decode/neutral.rs"]
pub(crate) mod neutral;

use core::fmt::{Debug, Write};
use std::env;
use std::fs;
use std::path::PathBuf;

use mqtt_session::wire::{Packet, Unencodable};
use mqtt_session::{Inbox, Role, Version, Violation};
use serde_json::{Value, json};

/// Each version with each end that receives.
pub(crate) const CONNECTIONS: [(Version, Role); 4] = [
    (Version::V311, Role::Client),
    (Version::V311, Role::Server),
    (Version::V5, Role::Client),
    (Version::V5, Role::Server),
];

/// The bytes of hex digits, with or without white space between them.
pub(crate) fn from_hex(text: &str) -> Result<Vec<u8>, String> {
    let digits: Option<Vec<u32>> =
        text.chars().filter(|digit| !digit.is_whitespace()).map(|digit| digit.to_digit(16)).collect();
    let digits = digits.ok_or_else(|| format!("{text:?} is not hex"))?;
    let bytes = digits.chunks(2).map(|pair| match *pair {
        [high, low] => u8::try_from(high << 4 | low).ok(),
        _ => None,
    });
    bytes.collect::<Option<_>>().ok_or_else(|| format!("{text:?} has half a byte"))
}

/// The bytes of hex digits that stand in a test.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    from_hex(text).expect("hex digits")
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all");
        text
    })
}

/// The rows of a vector file: of `tests/vectors`, or of the folder that the variable `MQTT_VECTORS` names.
pub(crate) fn rows(file: &str) -> Vec<Value> {
    let own = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let path = env::var_os("MQTT_VECTORS").map_or_else(own, PathBuf::from).join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    match serde_json::from_str(&text) {
        Ok(Value::Array(rows)) if !rows.is_empty() => rows,
        Ok(_) => panic!("{}: not a list of rows", path.display()),
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

/// A description in which equal packets are equal: binary that is text is text, and no properties are left out.
pub(crate) fn normal(description: &Value) -> Value {
    match description {
        Value::Array(elements) => elements.iter().map(normal).collect(),
        Value::Object(fields) if fields.len() == 1 && fields.contains_key("hex") => {
            let bytes = hex(fields["hex"].as_str().expect("hex is text"));
            str::from_utf8(&bytes).map_or_else(|_| json!({ "hex": to_hex(&bytes) }), |text| json!(text))
        }
        Value::Object(fields) => {
            let kept = fields.iter().filter(|&(name, value)| !(name == "properties" && *value == json!([])));
            kept.map(|(name, value)| (name.clone(), normal(value))).collect()
        }
        other => other.clone(),
    }
}

/// The length of a packet, as an empty buffer tells it.
fn encoded_len(version: Version, to: Role, packet: &Packet<'_>) -> Result<usize, Unencodable> {
    match packet.encode(version, to, &mut []) {
        Err(Unencodable::NoRoom(len)) => Ok(len),
        Err(fault) => Err(fault),
        Ok(len) => panic!("{len} bytes were written to nowhere"),
    }
}

/// Encodes a packet into a buffer of its length, and into one that lacks a byte.
fn encode_into(version: Version, to: Role, packet: &Packet<'_>, bytes: &mut [u8]) {
    let len = bytes.len();
    let (short, _) = bytes.split_at_mut(len.saturating_sub(1));
    assert_eq!(packet.encode(version, to, short), Err(Unencodable::NoRoom(len)), "one byte too few");
    assert_eq!(packet.encode(version, to, bytes), Ok(len), "an exact fit");
}

/// The bytes of a packet.
pub(crate) fn encode(version: Version, to: Role, packet: &Packet<'_>) -> Result<Vec<u8>, Unencodable> {
    let mut bytes = vec![0xA5; encoded_len(version, to, packet)?];
    encode_into(version, to, packet, &mut bytes);
    Ok(bytes)
}

/// Encodes what was decoded: it must decode to the same packet again, and not be longer than it was.
pub(crate) fn encode_again(version: Version, to: Role, packet: &Packet<'_>, was: usize) {
    let len = encoded_len(version, to, packet);
    let len = len.unwrap_or_else(|fault| panic!("{packet:?} was received, but: {fault}"));
    assert!(len <= was, "{packet:?} grew from {was} bytes to {len}");
    // Most are short, and there are many.
    let (mut few, mut many) = ([0xA5; 64], Vec::new());
    let bytes = few.get_mut(..len).unwrap_or_else(|| {
        many.resize(len, 0xA5);
        &mut many
    });
    encode_into(version, to, packet, bytes);
    assert_eq!(Packet::decode(version, to, bytes), Ok(Some((*packet, len))), "{}", to_hex(bytes));
}

/// Puts the front of `bytes` into the inbox, as much as there is space, and gives back the rest.
pub(crate) fn receive<'b, B>(inbox: &mut Inbox<B>, bytes: &'b [u8]) -> &'b [u8]
where
    B: ?Sized + AsRef<[u8]> + AsMut<[u8]>,
{
    let space = inbox.space();
    let (now, later) = bytes.split_at(space.len().min(bytes.len()));
    space[..now.len()].copy_from_slice(now);
    inbox.filled(now.len());
    later
}

/// What a receiver makes of the front of some bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    Incomplete,
    Refused(Violation),
    /// A packet in its neutral description, and its length.
    Taken(Value, usize),
}

impl Verdict {
    pub(crate) fn of_bytes(version: Version, to: Role, bytes: &[u8]) -> Self {
        match Packet::decode(version, to, bytes) {
            Ok(None) => Self::Incomplete,
            Ok(Some((packet, len))) => Self::Taken(normal(&neutral::describe(version, &packet)), len),
            Err(violation) => Self::Refused(violation),
        }
    }

    /// The same by way of an inbox of `capacity` bytes that is polled after every piece of `size` bytes.
    pub(crate) fn of_pieces(version: Version, to: Role, capacity: usize, bytes: &[u8], size: usize) -> Self {
        let mut inbox = Inbox::over(vec![0; capacity]);
        let mut received = 0_usize;
        for mut piece in bytes.chunks(size.max(1)) {
            while !piece.is_empty() {
                let rest = receive(&mut inbox, piece);
                assert!(rest.len() < piece.len(), "no space, though the packet is incomplete");
                received = received.saturating_add(piece.len().abs_diff(rest.len()));
                piece = rest;
                let description = inbox
                    .packet(version, to)
                    .map(|packet| packet.map(|packet| normal(&neutral::describe(version, &packet))));
                match description {
                    Ok(None) => {}
                    Ok(Some(packet)) => return Self::Taken(packet, received.abs_diff(inbox.unread().len())),
                    Err(violation) => return Self::Refused(violation),
                }
            }
        }
        Self::Incomplete
    }
}

/// Fails with all faults together, if there are any.
pub(crate) fn report(faults: &[impl Debug]) {
    let list: String = faults.iter().map(|fault| format!("\n  {fault:?}")).collect();
    assert!(faults.is_empty(), "{} faults:{list}", faults.len());
}
