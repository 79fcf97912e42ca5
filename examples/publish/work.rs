//! The messages: which are to be published, which are under way, and how they ended.

use core::mem::take;
use core::time::Duration;
use std::collections::HashMap;
use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};

use mqtt_session::{self as mqtt, CommandError, Event, Outcome, PacketId, PayloadRequest, Publish};

use crate::common::{Clock, Failure, Session, said};
use crate::file::Payload;
use crate::options::{Source, Task};

/// How long to wait for the broker while lines may come: nothing in `std` waits for both.
const LINE_PAUSE: Duration = Duration::from_millis(10);

/// How often the progress is shown.
const PROGRESS_PAUSE: Duration = Duration::from_millis(500);

/// How many bytes of a file are read at a time.
const PIECE: u16 = 8_192;

/// How many lines may be read ahead.
const LINES_AHEAD: usize = 256;

type Message = io::Result<Content>;

/// What a message says.
#[derive(Debug)]
enum Content {
    Bytes(Vec<u8>),
    /// What is in the file.
    File,
}

#[derive(Debug)]
pub(crate) struct Work {
    task: Task,
    messages: Receiver<Message>,
    /// What is read as it is sent.
    file: Option<Payload>,
    /// Whether there is nothing more to come from `messages`.
    ended: bool,
    /// A message that found no room.
    pending: Option<Content>,
    /// Whether to wait for `Event::Writable`.
    full: bool,
    /// The numbers of the messages of QoS 1 and 2 that are under way.
    under_way: HashMap<PacketId, u64>,
    /// How many messages there were so far.
    count: u64,
    acknowledged: u64,
    failed: bool,
    said: String,
    clock: Clock,
    /// When the progress was shown last; `None`: it is not.
    shown: Option<Duration>,
}

impl Work {
    pub(crate) fn new(task: Task, clock: Clock) -> Result<Self, Failure> {
        let lines = matches!(task.source, Source::Lines);
        let file = if let Source::File(path) = &task.source { Payload::open(path)? } else { None };
        Ok(Self {
            messages: messages(&task.source, file.is_some())?,
            file,
            task,
            ended: false,
            pending: None,
            full: false,
            under_way: HashMap::new(),
            count: 0,
            acknowledged: 0,
            failed: false,
            said: String::new(),
            clock,
            shown: (lines && io::stderr().is_terminal()).then_some(Duration::ZERO),
        })
    }

    /// What the broker said of the end of the connection, once.
    pub(crate) fn said(&mut self) -> String {
        take(&mut self.said)
    }

    /// Whether each message was published and has come to its end.
    pub(crate) fn is_done(&self, session: &Session) -> bool {
        let is_sent = session.pending() == 0 && session.is_flushed();
        self.ended && self.pending.is_none() && is_sent && session.is_online()
    }

    /// How long there may be nothing to do.
    pub(crate) fn pause(&self, session: &Session) -> Duration {
        let has_place = !self.full && session.pending() < self.task.window;
        if self.ended || !has_place { Duration::MAX } else { LINE_PAUSE }
    }

    /// Publishes what there is, until there is no room. `false`: nothing.
    pub(crate) fn publish(&mut self, session: &mut Session) -> bool {
        let mut published = false;
        while session.is_online() && !self.full && session.pending() < self.task.window {
            let Some(content) = self.pending.take().or_else(|| self.next()) else { break };
            match self.publish_one(session, &content) {
                Ok(packet_id) => {
                    published = true;
                    if let Some(packet_id) = packet_id {
                        self.under_way.insert(packet_id, self.count);
                    }
                }
                Err(CommandError::Full) => {
                    self.pending = Some(content);
                    self.full = true;
                }
                Err(refused) => self.complain(self.count, &format!("cannot be published: {refused}")),
            }
        }
        published
    }

    fn publish_one(&self, session: &mut Session, content: &Content) -> Result<Option<PacketId>, CommandError> {
        let Task { topic, qos, retain, .. } = &self.task;
        let publish = Publish { qos: *qos, retain: *retain, ..Publish::new(topic, &[]) };
        match content {
            Content::Bytes(payload) => session.publish(&Publish { payload, ..publish }),
            Content::File => {
                let len = self.file.as_ref().map_or(0, |file| file.len);
                session.publish_from(&publish, &mqtt::Source { piece: PIECE, ..mqtt::Source::new(0, len) })
            }
        }
    }

    /// Reads the next piece of the file.
    pub(crate) fn supply(&mut self, session: &mut Session, request: &PayloadRequest) {
        let Some(file) = &mut self.file else { return };
        let space = session.payload_space();
        let len = space.len();
        match file.read(request.offset, space) {
            Ok(()) => session.payload_filled(len),
            Err(why) => {
                self.tell(&why);
                self.failed = true;
                // A payload is being sent, so this is not refused.
                let _ = session.abort_payload();
            }
        }
    }

    fn next(&mut self) -> Option<Content> {
        if self.ended {
            return None;
        }
        match self.messages.try_recv() {
            Ok(Ok(message)) => {
                self.count = self.count.saturating_add(1);
                Some(message)
            }
            Ok(Err(error)) => {
                self.tell(&format!("standard input: {error}"));
                self.failed = true;
                self.ended = true;
                None
            }
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => {
                self.ended = true;
                None
            }
        }
    }

    pub(crate) fn take(&mut self, event: &Event<'_>) {
        match event {
            Event::ConnectionRefused(connack) => self.said = said(&connack.properties),
            Event::Disconnected(disconnect) => self.said = said(&disconnect.properties),
            Event::Writable => self.full = false,
            Event::Published { packet_id, outcome, properties } => {
                let number = self.under_way.remove(packet_id).unwrap_or_default();
                let why = match outcome {
                    Outcome::Acknowledged(_) => {
                        self.acknowledged = self.acknowledged.saturating_add(1);
                        return;
                    }
                    Outcome::Rejected(code) => format!("was refused: {code}{}", said(properties)),
                    Outcome::Unsendable => "is more than the broker takes now".to_owned(),
                    Outcome::Lost => {
                        "was under way when the session was lost; whether the broker has it is unknown".to_owned()
                    }
                    Outcome::LostUnconfirmed => {
                        "was under way when the session was lost; the broker has confirmed that it has it".to_owned()
                    }
                    other => format!("has ended: {other:?}"),
                };
                self.complain(number, &why);
            }
            _ => {}
        }
    }

    /// The work is over, or given up.
    pub(crate) fn end(&self, in_flight: u16) {
        if self.shown.is_some() {
            self.write_progress("\n");
        }
        if in_flight != 0 {
            self.tell(&format!("given up, with messages that are not confirmed: {in_flight}"));
        }
    }

    pub(crate) fn result(&self) -> Result<(), Failure> {
        if self.failed { Err(Failure::Told) } else { Ok(()) }
    }

    fn complain(&mut self, number: u64, why: &str) {
        self.failed = true;
        match self.task.source {
            Source::Lines => self.tell(&format!("line {number} {why}")),
            _ => self.tell(&format!("the message {why}")),
        }
    }

    fn tell(&self, line: &str) {
        let start = if self.shown.is_some() { "\r\x1b[K" } else { "" };
        eprintln!("{start}publish: {line}");
    }

    /// Shows how far it is, on a terminal and now and then.
    pub(crate) fn show_progress(&mut self) {
        let now = self.clock.elapsed();
        if self.shown.is_some_and(|shown| PROGRESS_PAUSE <= now.saturating_sub(shown)) {
            self.shown = Some(now);
            self.write_progress("");
        }
    }

    fn write_progress(&self, end: &str) {
        let per_second = |count: u64| {
            let millis = self.clock.elapsed().as_millis().max(1);
            u128::from(count).saturating_mul(1000).checked_div(millis).unwrap_or_default()
        };
        let (count, acknowledged) = (self.count, self.acknowledged);
        let mut out = io::stderr().lock();
        // Nothing is lost if it cannot be shown.
        let _ = write!(
            out,
            "\r\x1b[K{count} published ({}/s), {acknowledged} acknowledged ({}/s){end}",
            per_second(count),
            per_second(acknowledged)
        );
        let _ = out.flush();
    }
}

/// The messages of a source: at once, or line by line from a thread of its own.
fn messages(source: &Source, is_read_later: bool) -> Result<Receiver<Message>, Failure> {
    let (sender, receiver) = sync_channel(LINES_AHEAD);
    let only = match source {
        Source::Message(message) => message.clone(),
        Source::File(_) if is_read_later => {
            // There is room for it, and somebody to take it.
            let _ = sender.send(Ok(Content::File));
            return Ok(receiver);
        }
        Source::File(path) => {
            std::fs::read(path).map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))?
        }
        Source::Lines => {
            std::thread::spawn(move || {
                for line in io::stdin().lock().split(b'\n') {
                    let is_over = line.is_err();
                    if sender.send(line.map(Content::Bytes)).is_err() || is_over {
                        return;
                    }
                }
            });
            return Ok(receiver);
        }
    };
    // There is room for it, and somebody to take it.
    let _ = sender.send(Ok(Content::Bytes(only)));
    Ok(receiver)
}
