//! A dissector for captures: reads one packet in hex per line and prints what it is as one JSON object per line.
//!
//! ```text
//! echo 'd0 00' | cargo run --example decode -- --version 5 --to client
//! ```

mod neutral;

use std::fmt;
use std::io::{self, BufRead, ErrorKind, Write};
use std::process::ExitCode;

use mqtt_session::wire::{Header, Packet};
use mqtt_session::{ReasonCode, Role, Version, Violation};
use serde_json::{Value, json};

const USAGE: &str = "usage: decode --version 4|5 --to client|server [--max-packet-size N]
Reads one packet in hex per line from standard input, prints one JSON object per line.
  --version 4|5          the protocol level: 4 is MQTT 3.1.1, 5 is MQTT 5.0
  --to client|server     the end that receives the packets
  --max-packet-size N    refuse packets of more than N bytes";

fn main() -> ExitCode {
    let dissector = match Dissector::from_arguments(std::env::args().skip(1)) {
        Ok(Some(dissector)) => dissector,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("decode: {error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match dissector.run(io::stdin().lock(), io::stdout().lock()) {
        // Whoever reads the output has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("decode: {error}");
            ExitCode::FAILURE
        }
        Ok(()) => ExitCode::SUCCESS,
    }
}

/// What the command line asks for.
struct Dissector {
    version: Version,
    to: Role,
    max_packet_size: u32,
}

impl Dissector {
    /// `None` where help is asked for.
    fn from_arguments(mut arguments: impl Iterator<Item = String>) -> Result<Option<Self>, UsageError> {
        let (mut version, mut to, mut max_packet_size) = (None, None, u32::MAX);
        while let Some(option) = arguments.next() {
            if matches!(option.as_str(), "-h" | "--help") {
                return Ok(None);
            }
            let mut value = || arguments.next().ok_or_else(|| UsageError(format!("{option} needs a value")));
            match option.as_str() {
                "--version" => version = Some(parse_version(&value()?)?),
                "--to" => to = Some(parse_role(&value()?)?),
                "--max-packet-size" => max_packet_size = parse_size(&value()?)?,
                _ => return Err(UsageError(format!("{option} is not an option"))),
            }
        }
        let version = version.ok_or_else(|| UsageError("--version is missing".to_owned()))?;
        let to = to.ok_or_else(|| UsageError("--to is missing".to_owned()))?;
        Ok(Some(Self { version, to, max_packet_size }))
    }

    /// Dissects line by line; empty lines are passed over. A line need not be text.
    fn run(&self, input: impl BufRead, mut output: impl Write) -> io::Result<()> {
        for line in input.split(b'\n') {
            let line = line?;
            if !line.trim_ascii().is_empty() {
                writeln!(output, "{}", self.dissect(&line))?;
            }
        }
        output.flush()
    }

    fn dissect(&self, line: &[u8]) -> Value {
        let Some(bytes) = from_hex(line) else {
            return json!({ "outcome": "not-hex" });
        };
        match self.decode(&bytes) {
            Ok(Some((packet, consumed))) => {
                json!({ "outcome": "ok", "consumed": consumed, "packet": neutral::describe(self.version, &packet) })
            }
            Ok(None) => json!({ "outcome": "incomplete" }),
            Err(violation) => self.refusal(violation),
        }
    }

    fn decode<'a>(&self, bytes: &'a [u8]) -> Result<Option<(Packet<'a>, usize)>, Violation> {
        match Header::decode(self.version, self.to, bytes)? {
            Some(header) if header.packet_len() > self.max_packet_size => Err(Violation::PacketTooLarge),
            _ => Packet::decode(self.version, self.to, bytes),
        }
    }

    fn refusal(&self, violation: Violation) -> Value {
        json!({
            "outcome": outcome(violation),
            "reason": self.reason(violation),
            "rule": format!("{}: {violation}", violation.statement(self.version)),
        })
    }

    /// With which code the receiver ends the connection: 3.1.1 has words for it in CONNACK alone.
    fn reason(&self, violation: Violation) -> String {
        let code = violation.reason_code();
        match (self.version, code.return_code()) {
            (Version::V311, Some(code)) => format!("connack {code:#04x}"),
            (Version::V311, None) => "close".to_owned(),
            _ => format!("{:#04x}", code as u8),
        }
    }
}

/// The name that the test vectors give to this kind of refusal.
fn outcome(violation: Violation) -> &'static str {
    match violation.reason_code() {
        ReasonCode::MalformedPacket => "malformed",
        ReasonCode::PacketTooLarge => "packet-too-large",
        ReasonCode::TopicAliasInvalid => "topic-alias-invalid",
        ReasonCode::UnsupportedProtocolVersion => "unsupported-protocol-version",
        ReasonCode::ClientIdentifierNotValid => "client-id-rejected",
        _ => "protocol-error",
    }
}

/// The bytes of a line of hex digits, with or without white space between the bytes.
fn from_hex(line: &[u8]) -> Option<Vec<u8>> {
    let mut digits = line.iter().filter(|byte| !byte.is_ascii_whitespace()).map(|&byte| char::from(byte).to_digit(16));
    let mut bytes = Vec::with_capacity(line.len() / 2);
    while let Some(high) = digits.next() {
        bytes.push(u8::try_from(high? << 4 | digits.next()??).ok()?);
    }
    Some(bytes)
}

/// What is wrong with the command line.
struct UsageError(String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn parse_version(value: &str) -> Result<Version, UsageError> {
    let level = value.parse().ok();
    level.and_then(Version::of_level).ok_or_else(|| UsageError(format!("--version is 4 or 5, not {value}")))
}

fn parse_role(value: &str) -> Result<Role, UsageError> {
    match value {
        "client" => Ok(Role::Client),
        "server" => Ok(Role::Server),
        _ => Err(UsageError(format!("--to is client or server, not {value}"))),
    }
}

fn parse_size(value: &str) -> Result<u32, UsageError> {
    match value.parse() {
        Ok(size) if size > 0 => Ok(size),
        _ => Err(UsageError(format!("--max-packet-size is a number of bytes above 0, not {value}"))),
    }
}
