//! Programs that the tests start: brokers, clients of mosquitto, and the tools among the examples.

use core::time::Duration;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::{Write, stderr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Once;
use std::thread::sleep;
use std::time::Instant as Clock;

use mqtt_session::Version;

/// How long a process may take to start, to end, or to write a line.
pub(crate) const LIMIT: Duration = Duration::from_secs(15);

/// A client of a broker on this machine, as a command.
pub(crate) fn client<A: AsRef<OsStr>>(program: &Path, port: u16, version: Version, arguments: &[A]) -> Command {
    let version = if version == Version::V5 { "mqttv5" } else { "mqttv311" };
    let mut command = Command::new(program);
    command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-V", version]).args(arguments);
    command.stdin(Stdio::null());
    command
}

/// Where one of the examples is.
pub(crate) fn example(name: &str) -> PathBuf {
    let mut path = env::current_exe().expect("this is a program");
    path.pop();
    path.pop();
    path.push("examples");
    path.push(name);
    assert!(path.exists(), "{} is not built: cargo build --examples", path.display());
    path
}

/// Ends a process as an administrator does.
pub(crate) fn terminate(process: &mut Child) -> ExitStatus {
    let asked = Command::new("sh").args(["-c", "kill -TERM \"$1\"", "sh"]).arg(process.id().to_string()).status();
    assert!(asked.expect("there is a shell").success());
    let end = Clock::now() + LIMIT;
    loop {
        if let Some(status) = process.try_wait().expect("it is our child") {
            return status;
        }
        assert!(Clock::now() < end, "a process does not end");
        sleep(Duration::from_millis(5));
    }
}

/// A running `mosquitto_sub`, or a tool like it, and the link that it uses, if it is not a plain one.
pub(crate) struct Listener<L = ()> {
    process: Option<Child>,
    _link: L,
}

impl Listener {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self::start_over((), command)
    }
}

impl<L> Listener<L> {
    pub(crate) fn start_over(link: L, command: &mut Command) -> Self {
        let process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        Self { process: Some(process), _link: link }
    }

    /// What it has printed when it has ended by itself, which it does after its number of messages or some seconds.
    pub(crate) fn output(mut self) -> Vec<u8> {
        let process = self.process.take().expect("it is there until now");
        let Output { stdout, .. } = process.wait_with_output().expect("it is our child");
        stdout
    }

    /// The same as lines of text.
    pub(crate) fn lines(self) -> Vec<String> {
        String::from_utf8(self.output()).expect("text").lines().map(str::to_owned).collect()
    }
}

impl<L> Drop for Listener<L> {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            _ = process.kill();
            _ = process.wait();
        }
    }
}

/// Says something that is seen also when the test passes.
pub(crate) fn say(text: &str) {
    // Where nobody listens, nothing is to be said.
    _ = writeln!(stderr(), "{text}");
}

/// Where a program is. `None`, after a word about it, if it is not installed; in continuous integration it must be.
pub(crate) fn installed(program: &str) -> Option<PathBuf> {
    static SAID: Once = Once::new();
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    let found = folders.map(|folder| folder.join(program)).find(|file| file.is_file());
    if found.is_none() {
        assert_ne!(env::var("CI").as_deref(), Ok("true"), "{program} is not installed");
        SAID.call_once(|| say("skipped: mosquitto is not installed"));
    }
    found
}

/// An empty folder of a test's own.
pub(crate) fn fresh_folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("interop").join(name);
    // There is none the first time.
    _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("the target folder is ours");
    folder
}
