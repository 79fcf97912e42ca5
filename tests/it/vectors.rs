//! Every row of the vector files that concerns packets alone.
#![cfg(all(feature = "v311", feature = "v5"))]

use std::collections::BTreeSet;

use crate::support::Verdict;
use crate::support::build::Builder;
use crate::support::{encode, from_hex, neutral, normal, report, rows, to_hex};
use bumpalo::Bump;
use mqtt_session::wire::Header;
use mqtt_session::{ReasonCode, Role, Version, Violation};
use serde_json::Value;

type Result<T> = core::result::Result<T, String>;

/// How many bytes arrive at once.
const PIECES: [usize; 5] = [1, 2, 3, 5, 7];

/// What the context of a row may tell about a session.
const LIMITS: [&str; 15] = [
    "maximum_packet_size",
    "topic_alias_maximum",
    "mapped_aliases",
    "receive_maximum",
    "unacknowledged_inbound",
    "unacknowledged_outbound_qos1",
    "qos2_pending",
    "connected",
    "clean_start",
    "client_has_session",
    "connect_authentication_method",
    "connect_session_expiry_interval",
    "request_problem_information",
    "pending_subscribe",
    "pending_unsubscribe",
];

/// What may lie behind a packet.
const TAILS: [&[u8]; 4] = [&[0x00], &[0xFF; 9], &[0xD0, 0x00], b"\x30\x80"];

#[test]
fn malformed_packets_have_the_outcome_of_their_row() {
    let rows = rows("decode_vectors.json");
    // What depends on the state of a session is a matter of its tests.
    let (of_sessions, of_packets): (Vec<_>, Vec<_>) = rows.iter().partition(|row| needs_session(row));
    assert!(!of_packets.is_empty());
    report(&faults(&of_packets, check_decode_row));
    report(&faults(&of_sessions, |row| check_decode_fields(row).map(drop)));
}

#[test]
fn valid_packets_decode_and_encode_to_their_row() {
    let rows = rows("positive_vectors.json");
    report(&faults(&rows.iter().collect::<Vec<_>>(), check_positive_row));
}

/// What is wrong with each of the rows.
fn faults(rows: &[&Value], check: impl Fn(&Value) -> Result<()>) -> Vec<String> {
    rows.iter().filter_map(|row| check(row).err().map(|fault| format!("{}: {fault}", row["name"]))).collect()
}

/// The size of packets is the one limit of a session that an inbox knows.
fn needs_session(row: &Value) -> bool {
    let only_size = row["ctx"].as_object().is_some_and(|it| it.keys().eq(["maximum_packet_size"]));
    row["layer"] == "session" && !only_size
}

fn check_decode_row(row: &Value) -> Result<()> {
    let (version, to) = check_decode_fields(row)?;
    let bytes = from_hex(text(&row["hex"])?)?;
    match text(&row["layer"])? {
        "codec" => check_codec_row(row, version, to, &bytes),
        _ => check_size_row(row, version, to, &bytes),
    }
}

/// A layer, field or limit that is not known here may mean something that would go untested.
fn check_decode_fields(row: &Value) -> Result<(Version, Role)> {
    check_fields(row, &["name", "version", "role", "hex", "expect", "also", "layer", "reason", "ctx", "ids", "note"])?;
    let known: &[&str] = match text(&row["layer"])? {
        "codec" => &["consumed"],
        "session" => &LIMITS,
        layer => return Err(format!("layer {layer}")),
    };
    let context = row["ctx"].as_object().ok_or("no context")?;
    match context.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(format!("{name} in the context")),
        None => connection(row),
    }
}

fn check_codec_row(row: &Value, version: Version, to: Role, bytes: &[u8]) -> Result<()> {
    let whole = Verdict::of_bytes(version, to, bytes);
    check_outcome(row, version, &whole)?;
    check_consumed(row, bytes, &whole)?;
    check_prefixes(version, to, bytes, &whole)?;
    check_pieces(version, to, bytes, &whole)
}

/// Rows for a receiver that accepts only packets up to a size: that is the capacity of its inbox.
fn check_size_row(row: &Value, version: Version, to: Role, bytes: &[u8]) -> Result<()> {
    let capacity =
        row["ctx"].get("maximum_packet_size").and_then(Value::as_u64).and_then(|size| usize::try_from(size).ok());
    let capacity = capacity.ok_or("no size")?;
    for size in PIECES.into_iter().chain([bytes.len()]) {
        check_outcome(row, version, &Verdict::of_pieces(version, to, capacity, bytes, size))?;
    }
    Ok(())
}

fn check_outcome(row: &Value, version: Version, verdict: &Verdict) -> Result<()> {
    let outcome = outcome(verdict);
    if row["expect"] == outcome {
        let expected = text(&row["reason"])?;
        let reason = reason(version, verdict);
        let same = expected.is_empty() || expected.eq_ignore_ascii_case(&reason);
        return same.then_some(()).ok_or_else(|| format!("reason {reason}, not {expected}"));
    }
    let also = row["also"].as_array().ok_or("no list of other outcomes")?;
    let allowed = also.iter().any(|other| *other == outcome);
    allowed.then_some(()).ok_or_else(|| format!("{outcome} ({verdict:?}), not {} or {}", row["expect"], row["also"]))
}

/// A length counted from the front, or, where negative, from the end.
fn check_consumed(row: &Value, bytes: &[u8], verdict: &Verdict) -> Result<()> {
    let Some(consumed) = row["ctx"].get("consumed") else {
        return Ok(());
    };
    let consumed = consumed.as_i64().and_then(|consumed| isize::try_from(consumed).ok()).ok_or("no number")?;
    let expected = if consumed < 0 { bytes.len().checked_add_signed(consumed) } else { usize::try_from(consumed).ok() };
    match *verdict {
        Verdict::Taken(_, len) if Some(len) == expected => Ok(()),
        _ => Err(format!("{verdict:?}, not {expected:?} bytes consumed")),
    }
}

/// The front of some bytes tells nothing yet or all, and what it tells is final.
fn check_prefixes(version: Version, to: Role, bytes: &[u8], whole: &Verdict) -> Result<()> {
    let mut decided = false;
    for (len, _) in bytes.iter().enumerate() {
        let prefix = Verdict::of_bytes(version, to, bytes.get(..len).unwrap_or_default());
        let undecided = prefix == Verdict::Incomplete && !decided;
        let too_early = matches!(prefix, Verdict::Taken(_, consumed) if consumed > len);
        if too_early || !(undecided || prefix == *whole) {
            return Err(format!("the first {len} bytes are {prefix:?}, all are {whole:?}"));
        }
        decided = prefix != Verdict::Incomplete;
    }
    Ok(())
}

fn check_pieces(version: Version, to: Role, bytes: &[u8], whole: &Verdict) -> Result<()> {
    // Large enough for whatever the header announces.
    let announced = Header::decode(version, to, bytes).ok().flatten().and_then(|it| it.packet_len().try_into().ok());
    let capacity = announced.unwrap_or(5).max(bytes.len()).max(5);
    for size in PIECES.into_iter().chain([bytes.len()]) {
        let pieces = Verdict::of_pieces(version, to, capacity, bytes, size);
        if pieces != *whole {
            return Err(format!("in pieces of {size}: {pieces:?}, not {whole:?}"));
        }
    }
    Ok(())
}

fn check_positive_row(row: &Value) -> Result<()> {
    check_fields(row, &["name", "version", "role", "hex", "alt", "canonical", "packet", "ids"])?;
    let (version, to) = connection(row)?;
    let description = normal(&row["packet"]);
    let others = row["alt"].as_array().ok_or("no list of other encodings")?;
    let encodings = [&row["hex"]].into_iter().chain(others).map(|hex| from_hex(text(hex)?));
    let encodings = encodings.collect::<Result<Vec<_>>>()?;
    for bytes in &encodings {
        check_encoding(version, to, bytes, &description).map_err(|fault| format!("{}: {fault}", to_hex(bytes)))?;
    }
    let arena = Bump::new();
    let packet = Builder { arena: &arena, version }.packet(&row["packet"])?;
    let built = normal(&neutral::describe(version, &packet));
    if built != description {
        return Err(format!("built as {built}"));
    }
    let canonical = row["canonical"].as_bool().ok_or("canonical or not?")?;
    match encode(version, to, &packet) {
        Ok(bytes) if !canonical || encodings.contains(&bytes) => Ok(()),
        Ok(bytes) => Err(format!("encoded as {}", to_hex(&bytes))),
        Err(fault) => Err(format!("cannot be encoded: {fault}")),
    }
}

fn check_encoding(version: Version, to: Role, bytes: &[u8], description: &Value) -> Result<()> {
    let expected = Verdict::Taken(description.clone(), bytes.len());
    let whole = Verdict::of_bytes(version, to, bytes);
    if whole != expected {
        return Err(format!("{whole:?}, not {expected:?}"));
    }
    for tail in TAILS {
        let followed = Verdict::of_bytes(version, to, &[bytes, tail].concat());
        if followed != expected {
            return Err(format!("followed by {tail:?}: {followed:?}"));
        }
    }
    check_prefixes(version, to, bytes, &whole)?;
    check_pieces(version, to, bytes, &whole)
}

fn check_fields(row: &Value, known: &[&str]) -> Result<()> {
    let fields = row.as_object().ok_or("not an object")?;
    let same = fields.keys().map(String::as_str).collect::<BTreeSet<_>>() == known.iter().copied().collect();
    same.then_some(()).ok_or_else(|| format!("the fields are {:?}", fields.keys().collect::<Vec<_>>()))
}

fn connection(row: &Value) -> Result<(Version, Role)> {
    let level = row["version"].as_u64().and_then(|level| u8::try_from(level).ok());
    let version = level.and_then(Version::of_level).ok_or_else(|| format!("version {}", row["version"]))?;
    match text(&row["role"])? {
        "client" => Ok((version, Role::Client)),
        "server" => Ok((version, Role::Server)),
        other => Err(format!("role {other}")),
    }
}

fn text(value: &Value) -> Result<&str> {
    value.as_str().ok_or_else(|| format!("{value} is no text"))
}

fn outcome(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Incomplete => "incomplete",
        Verdict::Taken(..) => "ok",
        Verdict::Refused(violation) => refusal(*violation),
    }
}

/// The name that the vectors give to a refusal.
fn refusal(violation: Violation) -> &'static str {
    match violation.reason_code() {
        ReasonCode::MalformedPacket => "malformed",
        ReasonCode::PacketTooLarge => "packet-too-large",
        ReasonCode::TopicAliasInvalid => "topic-alias-invalid",
        ReasonCode::UnsupportedProtocolVersion => "unsupported-protocol-version",
        ReasonCode::ClientIdentifierNotValid => "client-id-rejected",
        _ => "protocol-error",
    }
}

/// With what the connection ends: a reason code in 5.0; in 3.1.1 a CONNACK, or nothing at all.
fn reason(version: Version, verdict: &Verdict) -> String {
    let Verdict::Refused(violation) = verdict else {
        return String::new();
    };
    let code = violation.reason_code();
    match (version, code.return_code()) {
        (Version::V311, Some(code)) => format!("connack {code:#04x}"),
        (Version::V311, None) => "close".to_owned(),
        _ => format!("{:#04x}", code as u8),
    }
}
