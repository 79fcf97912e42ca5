//! What was promised of each message, and what became of it.

use std::collections::BTreeMap;
use std::fmt;

use mqtt_session::{Outcome, QoS, Role};

/// The messages of both directions by their numbers.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    messages: BTreeMap<u32, Entry>,
}

#[derive(Debug)]
struct Entry {
    from: Role,
    qos: QoS,
    /// How often the other end was given it.
    delivered: u32,
    outcome: Option<Outcome>,
}

/// What a line of the summary counts.
#[derive(Default)]
struct Counts {
    accepted: usize,
    delivered: usize,
    duplicates: usize,
    reported: usize,
}

impl Ledger {
    /// A session has accepted a message; its number is returned.
    pub(crate) fn accept(&mut self, from: Role, qos: QoS) -> u32 {
        let number = self.next();
        self.messages.insert(number, Entry { from, qos, delivered: 0, outcome: None });
        number
    }

    /// The number of the message that is accepted next.
    pub(crate) fn next(&self) -> u32 {
        u32::try_from(self.messages.len()).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// A message arrived: its payload is its number.
    pub(crate) fn deliver(&mut self, payload: &[u8]) {
        let number = str::from_utf8(payload).ok().and_then(|text| text.parse().ok());
        if let Some(entry) = number.and_then(|number: u32| self.messages.get_mut(&number)) {
            entry.delivered = entry.delivered.saturating_add(1);
        }
    }

    /// A session has told how a message ended.
    pub(crate) fn end(&mut self, number: u32, outcome: Outcome) {
        if let Some(entry) = self.messages.get_mut(&number) {
            entry.outcome = Some(outcome);
        }
    }

    /// How many messages were accepted.
    pub(crate) fn accepted(&self) -> usize {
        self.messages.len()
    }

    /// The promises that were broken, in words.
    pub(crate) fn broken(&self) -> Vec<String> {
        self.messages
            .iter()
            .filter_map(|(number, entry)| entry.fault().map(|fault| format!("message {number}: {fault}")))
            .collect()
    }

    fn counts(&self, from: Role, qos: QoS) -> Counts {
        let mut counts = Counts::default();
        for entry in self.messages.values().filter(|entry| entry.from == from && entry.qos == qos) {
            counts.accepted = counts.accepted.saturating_add(1);
            counts.delivered = counts.delivered.saturating_add(usize::from(entry.delivered != 0));
            counts.duplicates = counts.duplicates.saturating_add(usize::from(entry.delivered > 1));
            counts.reported = counts.reported.saturating_add(usize::from(entry.is_lost()));
        }
        counts
    }
}

impl Entry {
    const fn is_lost(&self) -> bool {
        matches!(self.outcome, Some(Outcome::Lost | Outcome::LostUnconfirmed))
    }

    /// QoS 0 arrives at most once, QoS 1 at least once and QoS 2 exactly once, unless it is reported lost.
    fn fault(&self) -> Option<&'static str> {
        match (self.qos, self.delivered, self.outcome) {
            (QoS::AtMostOnce | QoS::ExactlyOnce, 2.., _) => Some("arrived twice"),
            (QoS::AtMostOnce, ..) => None,
            (_, _, None) => Some("has no outcome"),
            (_, 0, Some(_)) if !self.is_lost() => Some("never arrived, and was not reported lost"),
            _ => None,
        }
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let directions = [(Role::Client, "client to server"), (Role::Server, "server to client")];
        for (from, name) in directions {
            for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
                let Counts { accepted, delivered, duplicates, reported } = self.counts(from, qos);
                writeln!(
                    f,
                    "{name}, QoS {}: {accepted} accepted, {delivered} delivered, {duplicates} duplicates, \
                     {reported} lost and reported",
                    qos as u8
                )?;
            }
        }
        Ok(())
    }
}
