//! A host that publishes images for the board, and reads its logs, by the clients of mosquitto.

use std::env::temp_dir;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio, id};
use std::sync::mpsc::{Receiver, channel};
use std::thread::spawn;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::broker::tool;

/// What the image says, too.
const LEN: u32 = 1 << 20;

/// How long the host waits for its own greeting, which tells that it is subscribed, and for the logs.
const HELLO: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(10);

const INSTALL: &str = "mosquitto's clients are not installed (on Debian: apt-get install mosquitto-clients)";

/// It ends with this value.
pub struct Host {
    broker: SocketAddr,
    listener: Child,
    /// The topics of the logs that came.
    heard: Receiver<String>,
    folder: PathBuf,
}

impl Host {
    /// Waits until it is subscribed. The images follow as soon as the board is ready.
    pub fn start(broker: SocketAddr) -> Result<Self> {
        let folder = temp_dir().join(format!("firmware-large-{}", id()));
        fs::create_dir_all(&folder)?;
        for image in [1, 2] {
            fs::write(folder.join(format!("image-{image}")), payload(image - 1))?;
        }
        let topics = ["-t", "board/log/#", "-t", "board/ready", "-t", "board/hello", "-F", "%t %l"];
        let listener = client(broker, "mosquitto_sub").args(["-q", "2"]).args(topics).stdout(Stdio::piped()).spawn();
        let mut listener = listener.context(INSTALL)?;
        let lines = BufReader::new(listener.stdout.take().context("its output is piped")?).lines();
        let (says, heard) = channel();
        let images = folder.clone();
        spawn(move || {
            let mut is_ready = false;
            for line in lines.map_while(Result::ok) {
                // It may come more than once.
                if line == "board/ready 0" {
                    if !is_ready {
                        publish(broker, &images);
                    }
                    is_ready = true;
                } else if says.send(line).is_err() {
                    return;
                }
            }
        });
        let host = Self { broker, listener, heard, folder };
        let end = Instant::now() + PATIENCE;
        while host.heard.recv_timeout(HELLO).is_err() {
            if Instant::now() > end {
                bail!("mosquitto_sub does not subscribe");
            }
            client(broker, "mosquitto_pub").args(["-t", "board/hello", "-n"]).status()?;
        }
        Ok(host)
    }

    /// Whether the logs came as they were made, that of QoS 2 once. They are retained.
    pub fn check(&self) -> Result<()> {
        for log in [1, 2] {
            let (topic, file) = (format!("board/log/{log}"), self.folder.join(format!("log-{log}")));
            let out = fs::File::create(&file)?;
            let arguments = ["-q", "2", "-t", &topic, "-N", "-C", "1", "-W", "10"];
            let status = client(self.broker, "mosquitto_sub").args(arguments).stdout(out).status()?;
            if !status.success() || fs::read(&file)? != payload(log + 1) {
                bail!("{topic} is not what the board has made");
            }
        }
        let lines: Vec<_> = self.heard.try_iter().collect();
        let whole = |log: u32| lines.iter().filter(|line| **line == format!("board/log/{log} {LEN}")).count();
        if whole(1) == 0 || whole(2) != 1 {
            bail!("the logs came {} and {} times", whole(1), whole(2));
        }
        println!("the host has both logs of 1 MiB, that of QoS 2 once");
        Ok(())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        _ = self.listener.kill();
        _ = self.listener.wait();
        _ = fs::remove_dir_all(&self.folder);
    }
}

fn client(broker: SocketAddr, name: &str) -> Command {
    let mut command = tool(name);
    command.args(["-h", &broker.ip().to_string(), "-p", &broker.port().to_string(), "-V", "mqttv5"]);
    command
}

/// Publishes both images. The board misses what fails, and says so.
fn publish(broker: SocketAddr, folder: &std::path::Path) {
    for qos in ["1", "2"] {
        let file = folder.join(format!("image-{qos}"));
        let topic = format!("board/image/{qos}");
        _ = client(broker, "mosquitto_pub").args(["-q", qos, "-t", &topic, "-f"]).arg(file).status();
    }
}

/// What the board makes and expects, too.
fn payload(number: u32) -> Vec<u8> {
    let byte_at = |at: u32| {
        let mixed = (at ^ at >> 7).wrapping_mul(0x9E37_79B1).wrapping_add(number);
        (mixed >> 13).to_le_bytes()[0]
    };
    (0..LEN).map(byte_at).collect()
}
