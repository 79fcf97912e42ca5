//! The command line.

use crate::common::{Arguments, Failure};
use crate::queue::Bounds;

pub(crate) const USAGE: &str = "usage: broker [flags]
  -h, --host HOST               where to listen; 127.0.0.1 by default
  -p, --port PORT               1883 by default; 0: any that is free, which is printed
  -v, --verbose                 a line on standard error for each connection, its end, and each subscription
      --connections N           how many there may be; those beyond are closed at once; 1000 by default
      --sessions N              how many sessions there may be, with a connection or without; those beyond are refused,
                                with 0x97 in 5.0, as server unavailable in 3.1.1; 1000 by default
      --queue N                 how many messages may wait for a session; at the bound QoS 0 is dropped, then what comes
                                anew: 0x97 if nobody else gets it and its publisher speaks 5.0; 10000 by default
      --queue-bytes N           how many bytes they may take, with the same at the bound; 4194304 (4 MiB) by default
      --retained N              how many messages are retained; at the bound one with a new topic is refused with 0x97,
                                or, in 3.1.1, at QoS 0 and as a will, delivered but not retained; 10000 by default
      --retained-bytes N        how many bytes they may take, with the same at the bound; 67108864 (64 MiB) by default
      --keep-alive SECONDS      the longest keep alive of 5.0 clients, who are told; 0 (the default): as they want

What is dropped or not retained is counted below $SYS/broker/messages, and is a line on standard error, one a second at
most. The other bounds have no flags; examples/broker/limits.rs says what they are.
It prints `listening on HOST:PORT` once it does, and ends at Ctrl-C or SIGTERM.
Nothing is stored: sessions and retained messages end with the broker.
Everybody is let in, and nothing is encrypted: it is meant for the loopback interface.";

#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) verbose: bool,
    pub(crate) connections: usize,
    pub(crate) sessions: usize,
    pub(crate) queue: Bounds,
    pub(crate) retained: Bounds,
    pub(crate) keep_alive: u16,
}

impl Options {
    pub(crate) fn read(mut arguments: Arguments) -> Result<Self, Failure> {
        let mut options = Self {
            host: "127.0.0.1".to_owned(),
            port: 1883,
            verbose: false,
            connections: 1000,
            sessions: 1000,
            queue: Bounds { messages: 10_000, bytes: 0x40_0000 },
            retained: Bounds { messages: 10_000, bytes: 0x400_0000 },
            keep_alive: 0,
        };
        while let Some(flag) = arguments.flag()? {
            match flag.as_str() {
                "-h" | "--host" => options.host = arguments.text(&flag)?,
                "-p" | "--port" => options.port = arguments.number(&flag)?,
                "-v" | "--verbose" => options.verbose = true,
                "--connections" => options.connections = arguments.number(&flag)?,
                "--sessions" => options.sessions = arguments.number(&flag)?,
                "--queue" => options.queue.messages = arguments.number(&flag)?,
                "--queue-bytes" => options.queue.bytes = arguments.number(&flag)?,
                "--retained" => options.retained.messages = arguments.number(&flag)?,
                "--retained-bytes" => options.retained.bytes = arguments.number(&flag)?,
                "--keep-alive" => options.keep_alive = arguments.number(&flag)?,
                _ => return Err(Failure::Usage(format!("{flag} is not known"))),
            }
        }
        if options.connections == 0 || options.sessions == 0 || options.queue.messages == 0 {
            return Err(Failure::Usage("--connections, --sessions and --queue: at least 1".to_owned()));
        }
        Ok(options)
    }
}
