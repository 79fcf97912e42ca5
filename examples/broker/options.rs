//! The command line.

use crate::common::{Arguments, Failure};

pub(crate) const USAGE: &str = "usage: broker [flags]
  -h, --host HOST               where to listen; 127.0.0.1 by default
  -p, --port PORT               1883 by default; 0: any that is free, which is printed
  -v, --verbose                 a line on standard error for each connection, its end, and each subscription
      --connections N           how many there may be; those beyond are closed at once; 1000 by default
      --sessions N              how many sessions there may be, with a connection or without; those beyond are refused,
                                with 0x97 in 5.0, as server unavailable in 3.1.1; 1000 by default
      --queue N                 how many messages may wait for a session; at the bound QoS 0 is dropped, then what comes
                                anew: 0x97 if nobody else gets it; 10000 by default
      --keep-alive SECONDS      the longest keep alive of 5.0 clients, who are told; 0 (the default): as they want

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
    pub(crate) queue: usize,
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
            queue: 10_000,
            keep_alive: 0,
        };
        while let Some(flag) = arguments.flag()? {
            match flag.as_str() {
                "-h" | "--host" => options.host = arguments.text(&flag)?,
                "-p" | "--port" => options.port = arguments.number(&flag)?,
                "-v" | "--verbose" => options.verbose = true,
                "--connections" => options.connections = arguments.number(&flag)?,
                "--sessions" => options.sessions = arguments.number(&flag)?,
                "--queue" => options.queue = arguments.number(&flag)?,
                "--keep-alive" => options.keep_alive = arguments.number(&flag)?,
                _ => return Err(Failure::Usage(format!("{flag} is not known"))),
            }
        }
        if options.connections == 0 || options.sessions == 0 || options.queue == 0 {
            return Err(Failure::Usage("--connections, --sessions and --queue: at least 1".to_owned()));
        }
        Ok(options)
    }
}
