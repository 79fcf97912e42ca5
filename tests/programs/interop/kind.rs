//! Which brokers there are, and how those besides mosquitto are started. `.ci/brokers` installs them.

use std::collections::BTreeSet;
use std::fs::{self, read_link};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Mosquitto,
    Aedes,
    Amqtt,
    Mqttv5,
}

impl Kind {
    /// How the broker is started on a port of the loopback interface, in a folder of its own; its state is in memory alone.
    pub(crate) fn command(self, folder: &Path, port: u16) -> Command {
        let here = format!("127.0.0.1:{port}");
        match self {
            Self::Mosquitto => unreachable!("it has a configuration of the test's own"),
            Self::Aedes => {
                let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/interop/aedes.mjs");
                let mut command = Command::new("node");
                command.arg(script).arg(installed("aedes/node_modules/aedes/aedes.js")).arg(port.to_string());
                command
            }
            Self::Amqtt => {
                let file = folder.join("amqtt.yaml");
                let settings = format!(
                    "listeners:\n  default:\n    type: tcp\n    bind: {here}\nplugins:\n  \
                     amqtt.plugins.authentication.AnonymousAuthPlugin:\n    allow_anonymous: true\n"
                );
                fs::write(&file, settings).expect("the folder is ours");
                let mut command = Command::new(installed("amqtt/bin/amqtt"));
                command.arg("-c").arg(file);
                command
            }
            Self::Mqttv5 => {
                let mut command = Command::new(installed("mqttv5/bin/mqttv5"));
                command.args([
                    "broker",
                    "--non-interactive",
                    "--allow-anonymous",
                    "true",
                    "--storage-backend",
                    "memory",
                ]);
                command.args(["--no-sys-topics", "--host", &here]);
                command
            }
        }
    }

    /// What the names of its folders begin with.
    pub(crate) fn prefix(self) -> String {
        match self {
            Self::Mosquitto => String::new(),
            other => format!("{other:?}-").to_lowercase(),
        }
    }
}

/// Whether a process listens on this port of the loopback interface, and nowhere else. Only Linux tells.
pub(crate) fn listens_here_alone(process: u32, port: u16) -> bool {
    let Some(sockets) = sockets_of(process) else { return true };
    let here = format!("0100007F:{port:04X}");
    let mut addresses = Vec::new();
    for table in ["tcp", "tcp6", "udp", "udp6"] {
        let text = fs::read_to_string(format!("/proc/{process}/net/{table}")).unwrap_or_default();
        for fields in text.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>()) {
            // 0A: it listens. A datagram socket needs no such state.
            let open = fields.get(3) == Some(&"0A") || table.starts_with("udp");
            let [address, inode] = [1, 9].map(|index| fields.get(index).copied().unwrap_or_default().to_owned());
            if open && sockets.contains(&inode) {
                addresses.push(address);
            }
        }
    }
    assert!(addresses.iter().all(|address| *address == here), "it listens on {addresses:?}");
    !addresses.is_empty()
}

/// The inodes of the sockets of a process.
fn sockets_of(process: u32) -> Option<BTreeSet<String>> {
    let links =
        fs::read_dir(format!("/proc/{process}/fd")).ok()?.filter_map(|entry| read_link(entry.ok()?.path()).ok());
    let inode = |link: PathBuf| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned());
    Some(links.filter_map(inode).collect())
}

/// Where `.ci/brokers` puts things.
fn installed(path: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in the target folder");
    let file = target.join("brokers").join(path);
    assert!(file.is_file(), "{} is not there: `.ci/brokers` installs it", file.display());
    file
}
