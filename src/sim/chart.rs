//! A sequence chart of what passes over a link.

use core::fmt::{self, Write};

use crate::time::Instant;
use crate::wire::{AckType, Acknowledgement, Packet, PublishPacket, ReasonCode, Role};

use super::{Observer, Sight};

/// Draws each packet, each cut and each new transport as a line, with the time in milliseconds in front. A packet that did
/// not arrive ends in an `x`. Control characters are escaped; of a payload the first 12 bytes are shown and its length, of one
/// that is no text the length alone.
///
/// ```text
///       0 |--------------------- link up ---------------------|
///       0 |-- CONNECT "meter-7" ----------------------------->|
///      11 |<--------------------------------------- CONNACK --|
///      11 |-- PUBLISH 1 QoS 2 "power" ----------------x       |
/// ```
#[derive(Clone, Debug)]
pub struct Chart<W> {
    out: W,
}

/// How many characters there are between the ends.
const WIDTH: usize = 56;

impl<W: Write> Chart<W> {
    /// A chart that is written to `out`.
    pub const fn new(out: W) -> Self {
        Self { out }
    }

    /// A line of the application's own, between the ends.
    pub fn note(&mut self, now: Instant, text: fmt::Arguments<'_>) {
        let mut label = Label::EMPTY;
        let _ = label.write_fmt(text);
        self.centred(now, ' ', label.text());
    }

    /// Where the chart is written to.
    pub const fn out(&mut self) -> &mut W {
        &mut self.out
    }

    fn line(&mut self, now: Instant, text: fmt::Arguments<'_>) {
        // A chart that cannot be written is no reason to stop what it shows.
        let _ = writeln!(self.out, "{:>9} |{text}|", now.as_millis());
    }

    fn centred(&mut self, now: Instant, fill: char, text: &str) {
        let room = WIDTH.saturating_sub(text.len().saturating_add(2));
        let left = room / 2;
        let right = room.saturating_sub(left);
        self.line(now, format_args!("{} {text} {}", Repeated(fill, left), Repeated(fill, right)));
    }

    fn arrow(&mut self, now: Instant, from: Role, label: &str, arrived: bool) {
        let shaft = WIDTH.saturating_sub(label.chars().count().saturating_add(5));
        // A packet that is lost gets only so far.
        let gap = if arrived { 0 } else { shaft / 3 };
        let (shaft, gap) = (Repeated('-', shaft.saturating_sub(gap)), Repeated(' ', gap));
        match (from, arrived) {
            (Role::Client, true) => self.line(now, format_args!("-- {label} {shaft}>")),
            (Role::Client, false) => self.line(now, format_args!("-- {label} {shaft}x{gap}")),
            (Role::Server, true) => self.line(now, format_args!("<{shaft} {label} --")),
            (Role::Server, false) => self.line(now, format_args!("{gap}x{shaft} {label} --")),
        }
    }
}

impl<W: Write> Observer for Chart<W> {
    fn observe(&mut self, now: Instant, sight: &Sight<'_>) {
        match sight {
            Sight::Connected => self.centred(now, '=', "link up"),
            Sight::Cut => self.centred(now, '~', "link cut"),
            Sight::Packet { from, packet, arrived } => {
                let mut label = Label::EMPTY;
                let _ = write!(label, "{}", Name(packet));
                self.arrow(now, *from, label.text(), *arrived);
            }
            Sight::Part { from, packet_type } => {
                let mut label = Label::EMPTY;
                let _ = write!(label, "part of a {packet_type:?}");
                self.arrow(now, *from, label.text(), false);
            }
        }
    }
}

/// A character so many times.
struct Repeated(char, usize);

impl fmt::Display for Repeated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (0..self.1).try_for_each(|_| f.write_char(self.0))
    }
}

/// The text on an arrow, cut off where there is no room.
struct Label {
    bytes: [u8; WIDTH - 7],
    len: usize,
}

impl Label {
    const EMPTY: Self = Self { bytes: [0; WIDTH - 7], len: 0 };

    fn text(&self) -> &str {
        self.bytes.get(..self.len).and_then(|bytes| str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

impl Write for Label {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            let mut utf8 = [0; 4];
            let utf8 = character.encode_utf8(&mut utf8).as_bytes();
            let Some(place) = self.bytes.get_mut(self.len..).and_then(|rest| rest.get_mut(..utf8.len())) else { break };
            place.copy_from_slice(utf8);
            self.len = self.len.saturating_add(utf8.len());
        }
        Ok(())
    }
}

/// What a packet says, in few words.
struct Name<'p>(&'p Packet<'p>);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Packet::Connect(packet) => {
                let clean = if packet.clean_start { " clean" } else { "" };
                write!(f, "CONNECT {:?}{clean}", packet.client_id)
            }
            Packet::Connack(packet) => {
                let present = if packet.session_present { " session present" } else { "" };
                write!(f, "CONNACK{present}{}", Failure(packet.reason_code))
            }
            Packet::Publish(packet) => publish(packet, f),
            Packet::Acknowledgement(packet) => acknowledgement(packet, f),
            Packet::Subscribe(packet) => write!(f, "SUBSCRIBE {}", packet.packet_id),
            Packet::Suback(packet) => write!(f, "SUBACK {}", packet.packet_id),
            Packet::Unsubscribe(packet) => write!(f, "UNSUBSCRIBE {}", packet.packet_id),
            Packet::Unsuback(packet) => write!(f, "UNSUBACK {}", packet.packet_id),
            Packet::Pingreq => f.write_str("PINGREQ"),
            Packet::Pingresp => f.write_str("PINGRESP"),
            Packet::Disconnect(packet) => write!(f, "DISCONNECT{}", Failure(packet.reason_code)),
            Packet::Auth(_) => f.write_str("AUTH"),
        }
    }
}

fn publish(packet: &PublishPacket<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("PUBLISH")?;
    if let Some(packet_id) = packet.delivery.packet_id() {
        write!(f, " {packet_id}")?;
    }
    let dup = if packet.delivery.dup() { " DUP" } else { "" };
    write!(f, " QoS {}{dup} {}", packet.delivery.qos() as u8, Bare(packet.topic))?;
    let len = packet.payload.len();
    match str::from_utf8(packet.payload) {
        Ok(text) if len <= SHORT => write!(f, " {text:?}"),
        Ok(text) => write!(f, " {:?}.. {len} bytes", beginning(text)),
        Err(_) => write!(f, " [{len} bytes]"),
    }
}

/// How many bytes of a payload are shown.
const SHORT: usize = 12;

/// What is shown of a long payload: as many whole characters as fit.
fn beginning(text: &str) -> &str {
    let fit = text.char_indices().map(|(place, character)| place.saturating_add(character.len_utf8()));
    text.get(..fit.take_while(|&end| end <= SHORT).last().unwrap_or(0)).unwrap_or_default()
}

/// A topic without quotation marks, in one line: what cannot be seen is escaped.
struct Bare<'t>(&'t str);

impl fmt::Display for Bare<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character {
            '"' | '\'' | '\\' => f.write_char(character),
            _ => write!(f, "{}", character.escape_debug()),
        })
    }
}

fn acknowledgement(packet: &Acknowledgement<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let name = match packet.kind {
        AckType::Puback => "PUBACK",
        AckType::Pubrec => "PUBREC",
        AckType::Pubrel => "PUBREL",
        AckType::Pubcomp => "PUBCOMP",
    };
    write!(f, "{name} {}{}", packet.packet_id, Failure(packet.reason_code))
}

/// A reason code that is not the usual one.
struct Failure(ReasonCode);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == ReasonCode::Success { Ok(()) } else { write!(f, " 0x{:02X}", self.0 as u8) }
    }
}
