//! The board, emulated.

use std::io::{Read, Write, stdout};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use defmt_decoder::{DecodeError, Frame, Table};

use super::image::Image;

const EMULATOR: &str = "qemu-system-arm";

/// It ends with this value.
pub struct Emulator(Child);

impl Emulator {
    /// Starts it with its UART at this address, where it waits for the modem before anything runs. It is a telnet
    /// connection, because that can carry a break.
    pub fn start(image: &Path, line: SocketAddr) -> Result<Self> {
        let line =
            format!("socket,id=line,host={},port={},server=on,wait=on,telnet=on,nodelay=on", line.ip(), line.port());
        let child = Command::new(EMULATOR)
            .args(["-M", "lm3s6965evb", "-display", "none", "-monitor", "none"])
            .args(["-semihosting-config", "enable=on,target=native"])
            .args(["-chardev", &line, "-serial", "chardev:line", "-kernel"])
            .arg(image)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{EMULATOR} is not installed (on Debian: apt-get install qemu-system-arm)"))?;
        Ok(Self(child))
    }

    /// Shows what the image logs, and waits until it ends.
    pub fn run(&mut self, image: Image, limit: Duration) -> Result<i32> {
        let output = self.0.stdout.take().context("its output is piped")?;
        let shown = spawn(move || decode(output, &image.table));
        let status = self.wait(limit);
        // So that the output ends.
        _ = self.0.kill();
        match shown.join() {
            Ok(shown) => shown.context("what the image logs cannot be read")?,
            Err(_) => bail!("what the image logs cannot be shown"),
        }
        if !matches!(status, Ok(0)) {
            self.complain()?;
        }
        status
    }

    /// What the emulator itself has to say, which is of interest only if something went wrong.
    fn complain(&mut self) -> Result<()> {
        let mut said = String::new();
        self.0.stderr.take().context("it is piped")?.read_to_string(&mut said)?;
        eprint!("{said}");
        Ok(())
    }

    fn wait(&mut self, limit: Duration) -> Result<i32> {
        let end = Instant::now() + limit;
        loop {
            if let Some(status) = self.0.try_wait()? {
                return status.code().context("the emulator was killed");
            }
            if Instant::now() > end {
                bail!("the image does not end within {} s", limit.as_secs());
            }
            sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

fn decode(mut output: ChildStdout, table: &Table) -> Result<()> {
    let mut decoder = table.new_stream_decoder();
    let mut buffer = [0; 4096];
    loop {
        let len = output.read(&mut buffer)?;
        if len == 0 {
            return Ok(());
        }
        decoder.received(&buffer[..len]);
        loop {
            match decoder.decode() {
                Ok(frame) => show(&frame)?,
                Err(DecodeError::UnexpectedEof) => break,
                Err(DecodeError::Malformed) => bail!("a malformed frame"),
            }
        }
    }
}

fn show(frame: &Frame<'_>) -> Result<()> {
    let time = frame.display_timestamp().map(|time| time.to_string()).unwrap_or_default();
    let level = frame.level().map_or("", |level| level.as_str());
    Ok(writeln!(stdout(), "{time:>8} {level:5} {}", frame.display_message())?)
}
