//! A broker of the test's own, on a port of its own, and mosquitto's command line clients.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Instant as Clock;

use mqtt_session::Version;

use self::kind::listens_here_alone;
use super::process::{LIMIT, Listener, client, example, fresh_folder, installed, terminate};

#[path = "kind.rs"]
mod kind;

pub(crate) use self::kind::Kind;

/// A running broker; it ends with this value.
pub(crate) struct Broker {
    kind: Kind,
    folder: PathBuf,
    port: u16,
    process: Option<Child>,
}

impl Broker {
    /// A mosquitto that lets everybody in, with further settings, a line each. `None`, after a word about it, where mosquitto
    /// is not installed.
    pub(crate) fn start(name: &str, settings: &str) -> Option<Self> {
        Self::configured(name, &format!("allow_anonymous true\n{settings}"))
    }

    /// Another broker than mosquitto, which lets everybody in, too.
    pub(crate) fn start_other(kind: Kind, name: &str) -> Option<Self> {
        for tool in ["mosquitto_pub", "mosquitto_sub"] {
            installed(tool)?;
        }
        Some(Self::launched(kind, fresh_folder(name), ""))
    }

    /// A mosquitto that lets in one user alone.
    pub(crate) fn with_password(name: &str, user: &str, password: &str) -> Option<Self> {
        let tool = installed("mosquitto_passwd")?;
        let folder = fresh_folder(name);
        let file = folder.join("passwords");
        let status = Command::new(tool).args(["-b", "-c"]).arg(&file).args([user, password]).status();
        assert!(status.expect("mosquitto_passwd starts").success());
        installed("mosquitto")?;
        Some(Self::launched(
            Kind::Mosquitto,
            folder,
            &format!("allow_anonymous false\npassword_file {}\n", file.display()),
        ))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Ends the broker as an administrator does; it writes its persistence.
    pub(crate) fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            terminate(&mut process);
        }
    }

    /// Starts a stopped broker again, on its port and with what it has kept.
    pub(crate) fn restart(&mut self) {
        self.stop();
        assert!(self.launch(), "the broker does not start again: {}", self.log());
    }

    /// What the broker has logged since it was started last.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Waits until the broker has logged `text`.
    pub(crate) fn await_log(&self, text: &str) {
        let end = Clock::now() + LIMIT;
        while !self.log().contains(text) {
            assert!(Clock::now() < end, "the broker never logged {text:?}:\n{}", self.log());
            sleep(Duration::from_millis(2));
        }
    }

    /// A path in the folder of the broker.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Publishes with `mosquitto_pub` and waits until it has ended well.
    pub(crate) fn publish<A: AsRef<OsStr>>(&self, version: Version, arguments: &[A]) {
        let output = self.client("mosquitto_pub", version, arguments).output().expect("mosquitto_pub starts");
        assert!(output.status.success(), "mosquitto_pub: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// One of the command-line tools among the examples, as a command.
    pub(crate) fn example(&self, tool: &str, version: Version, arguments: &[&str]) -> Command {
        client(&example(tool), self.port, version, arguments)
    }

    /// Starts an example that subscribes under a name, and waits until it is subscribed.
    pub(crate) fn listen(&self, tool: &str, version: Version, name: &str, arguments: &[&str]) -> Listener {
        let mut command = self.example(tool, version, arguments);
        command.args(["-i", name]);
        let listener = Listener::start(&mut command);
        self.await_log(&format!("Sending SUBACK to {name}"));
        listener
    }

    /// One of mosquitto's clients, as a command.
    pub(crate) fn client<A: AsRef<OsStr>>(&self, tool: &str, version: Version, arguments: &[A]) -> Command {
        client(&installed(tool).expect("it was found before"), self.port, version, arguments)
    }

    fn configured(name: &str, settings: &str) -> Option<Self> {
        for tool in ["mosquitto", "mosquitto_pub", "mosquitto_sub"] {
            installed(tool)?;
        }
        Some(Self::launched(Kind::Mosquitto, fresh_folder(name), settings))
    }

    fn launched(kind: Kind, folder: PathBuf, settings: &str) -> Self {
        let mut broker = Self { kind, folder, port: 0, process: None };
        // Somebody else may take the port before the broker does.
        for _ in 0..5 {
            broker.port = free_port();
            broker.configure(settings);
            if broker.launch() {
                return broker;
            }
        }
        panic!("{kind:?} does not start: {}", broker.log());
    }

    fn configure(&self, settings: &str) {
        let Self { folder, port, .. } = self;
        // Started by root it would otherwise become somebody who cannot write into the folder.
        let text = format!(
            "listener {port} 127.0.0.1\nset_tcp_nodelay true\nuser root\npersistence true\npersistence_location {}/\n\
             log_dest stderr\nlog_type all\n{settings}\n",
            folder.display()
        );
        fs::write(folder.join("mosquitto.conf"), text).expect("the folder is ours");
    }

    fn program(&self) -> Command {
        if self.kind != Kind::Mosquitto {
            return self.kind.command(&self.folder, self.port);
        }
        let mut command = Command::new(installed("mosquitto").expect("it was found before"));
        command.arg("-c").arg(self.folder.join("mosquitto.conf"));
        command
    }

    /// Whether the broker has come up.
    fn launch(&mut self) -> bool {
        let log = File::create(self.folder.join("log")).expect("the folder is ours");
        let more = log.try_clone().expect("it is open");
        let mut process =
            self.program().stdin(Stdio::null()).stdout(more).stderr(log).spawn().expect("the broker starts");
        let end = Clock::now() + LIMIT;
        while process.try_wait().expect("it is our child").is_none() && Clock::now() < end {
            if TcpStream::connect(self.address()).is_ok() && listens_here_alone(process.id(), self.port) {
                self.process = Some(process);
                return true;
            }
            sleep(Duration::from_millis(5));
        }
        // Whether it has ended already does not matter.
        _ = process.kill();
        _ = process.wait();
        false
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

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a loopback interface");
    listener.local_addr().expect("it is bound").port()
}
