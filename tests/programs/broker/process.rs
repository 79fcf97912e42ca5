//! The example broker as a process of the test's own, on a port of its own.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread::sleep;
use std::time::Instant as Clock;

use mqtt_session::Version;

use super::clients::{LIMIT, Listener, client, example, fresh_folder, terminate};

/// A running broker; it ends with this value.
pub(crate) struct Broker {
    folder: PathBuf,
    flags: Vec<String>,
    port: u16,
    process: Option<Child>,
}

impl Broker {
    /// A broker with further flags.
    pub(crate) fn launch(name: &str, flags: &[&str]) -> Self {
        let flags = flags.iter().map(|&flag| flag.to_owned()).collect();
        let mut broker = Self { folder: fresh_folder(&format!("broker-{name}")), flags, port: 0, process: None };
        broker.start();
        broker
    }

    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Asks the broker to end, and waits until it has.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        terminate(&mut self.process.take().expect("it runs"))
    }

    /// What the broker has said.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Waits until the broker has said `text`.
    pub(crate) fn await_log(&self, text: &str) {
        let end = Clock::now() + LIMIT;
        while !self.log().contains(text) {
            assert!(Clock::now() < end, "the broker never said {text:?}:\n{}", self.log());
            sleep(Duration::from_millis(2));
        }
    }

    /// A path in the folder of the broker.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// One of the command-line tools among the examples, as a command.
    pub(crate) fn example(&self, tool: &str, version: Version, arguments: &[&str]) -> Command {
        client(&example(tool), self.port, version, arguments)
    }

    /// Runs such a tool to its end, which must be a good one.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, tool: &str, version: Version, arguments: &[A]) -> String {
        let Output { stdout, stderr, status } =
            client(&example(tool), self.port, version, arguments).output().expect("it starts");
        assert!(status.success(), "{tool}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).expect("text")
    }

    /// Starts a tool that subscribes under a name, and waits until it is subscribed.
    pub(crate) fn listen(&self, tool: &str, version: Version, name: &str, arguments: &[&str]) -> Listener {
        let mut command = self.example(tool, version, arguments);
        self.await_subscription(command.args(["-i", name]), name)
    }

    pub(crate) fn await_subscription(&self, command: &mut Command, name: &str) -> Listener {
        let listener = Listener::start(command);
        self.await_log(&format!("{name:?} subscribed to "));
        listener
    }

    /// How much memory the broker uses, in KiB; `None` where that cannot be told.
    pub(crate) fn memory(&self) -> Option<u64> {
        let process = self.process.as_ref()?;
        let status = fs::read_to_string(format!("/proc/{}/status", process.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.split_whitespace().next()?.parse().ok()
    }

    /// Starts a stopped broker again on its port.
    pub(crate) fn start(&mut self) {
        let log = File::create(self.folder.join("log")).expect("the folder is ours");
        let mut command = Command::new(example("broker"));
        command.args(["--verbose", "--port", &self.port.to_string()]).args(&self.flags);
        let mut process =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().expect("the broker starts");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("it is text");
        self.process = Some(process);
        let port = line.trim_end().strip_prefix("listening on 127.0.0.1:").and_then(|port| port.parse().ok());
        self.port = port.unwrap_or_else(|| panic!("{line:?}: {}", self.log()));
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            _ = process.kill();
            _ = process.wait();
        }
    }
}
