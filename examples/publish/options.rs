//! What the command line asks for.

use std::path::PathBuf;

use mqtt_session::QoS;

use crate::common::{Arguments, Connection, Failure, MAX_WINDOW};

/// What to publish, and over which connection.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) connection: Connection,
    pub(crate) task: Task,
}

/// What to publish.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) topic: String,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    /// How many messages of QoS 1 and 2 may be under way.
    pub(crate) window: u16,
    pub(crate) source: Source,
}

/// How many a broker takes at a time at least: it cannot say so in 3.1.1, and mosquitto confirms there what is more, but
/// drops it.
const WINDOW: u16 = 20;

/// Where the messages come from.
#[derive(Debug)]
pub(crate) enum Source {
    Message(Vec<u8>),
    File(PathBuf),
    Lines,
}

impl Options {
    pub(crate) fn usage() -> String {
        format!(
            "usage: publish -t TOPIC (-m TEXT | -n | -f FILE | -l) [flags]
  -t, --topic TOPIC
  -m, --message TEXT            publish this
  -n, --null-message            publish an empty message
  -f, --file FILE               publish what is in the file, of up to 256 MiB
  -l, --stdin-line              publish each line of standard input
  -q, --qos QOS                 0 (the default), 1 or 2
  -r, --retain                  the broker keeps the message
  -M, --max-inflight N          how many may be under way, at most {MAX_WINDOW}; {WINDOW} by default, which mosquitto takes,
                                too{}",
            Connection::USAGE
        )
    }

    pub(crate) fn read(mut arguments: Arguments) -> Result<Self, Failure> {
        let mut connection = Connection::default();
        let (mut topic, mut sources) = (None, Vec::new());
        let (mut qos, mut retain, mut window) = (QoS::AtMostOnce, false, WINDOW);
        while let Some(flag) = arguments.flag()? {
            match flag.as_str() {
                "-t" | "--topic" => topic = Some(arguments.topic(&flag)?),
                "-m" | "--message" => sources.push(Source::Message(arguments.bytes(&flag)?)),
                "-n" | "--null-message" => sources.push(Source::Message(Vec::new())),
                "-f" | "--file" => sources.push(Source::File(arguments.raw(&flag)?.into())),
                "-l" | "--stdin-line" => sources.push(Source::Lines),
                "-q" | "--qos" => qos = arguments.qos(&flag)?,
                "-M" | "--max-inflight" => window = arguments.number(&flag)?,
                "-r" | "--retain" => retain = true,
                _ => connection.take(&flag, &mut arguments)?,
            }
        }
        connection.check()?;
        if !(1..=MAX_WINDOW).contains(&window) {
            return Err(Failure::Usage(format!("-M: {window} is not among 1 to {MAX_WINDOW}")));
        }
        let topic = topic.ok_or_else(|| Failure::Usage("-t is missing: the topic".to_owned()))?;
        let (Some(source), true) = (sources.pop(), sources.is_empty()) else {
            return Err(Failure::Usage("there must be one of -m, -n, -f and -l".to_owned()));
        };
        Ok(Self { connection, task: Task { topic, qos, retain, window, source } })
    }
}
