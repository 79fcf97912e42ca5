//! The broker: one that is named, or a mosquitto on a port of its own.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio, id};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

const INSTALL: &str = "mosquitto is not installed (on Debian: apt-get install mosquitto mosquitto-clients)";

/// It ends with this value, if it was started here.
pub struct Broker {
    address: SocketAddr,
    started: Option<(Child, PathBuf)>,
}

impl Broker {
    pub fn named(address: &str) -> Result<Self> {
        let found = address.to_socket_addrs().ok().and_then(|mut all| all.next());
        Ok(Self { address: found.with_context(|| format!("no host and port: {address}"))?, started: None })
    }

    pub fn start() -> Result<Self> {
        let address = free_address()?;
        let file = env::temp_dir().join(format!("firmware-{}.conf", id()));
        let settings = format!(
            "listener {} 127.0.0.1\nallow_anonymous true\npersistence false\nset_tcp_nodelay true\nmax_queued_messages 0\n",
            address.port()
        );
        fs::write(&file, settings)?;
        let process = tool("mosquitto").arg("-c").arg(&file).stdin(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut broker = Self { address, started: Some((process.context(INSTALL)?, file)) };
        broker.await_start()?;
        Ok(broker)
    }

    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    fn await_start(&mut self) -> Result<()> {
        let end = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(self.address).is_err() {
            if let Some((process, _)) = &mut self.started
                && let Some(status) = process.try_wait()?
            {
                bail!("mosquitto does not start: {status}");
            }
            if Instant::now() > end {
                bail!("mosquitto does not answer");
            }
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some((process, file)) = &mut self.started {
            _ = process.kill();
            _ = process.wait();
            _ = fs::remove_file(file);
        }
    }
}

/// An address of this machine where nobody listens.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// A program of mosquitto, also where the search path lacks what administrators start.
pub fn tool(name: &str) -> Command {
    let mut path: OsString = env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/usr/local/sbin");
    let found = env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
    Command::new(found.unwrap_or_else(|| name.into()))
}
