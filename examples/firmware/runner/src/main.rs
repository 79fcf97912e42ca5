//! Runs an image in QEMU: `runner IMAGE`. Its UART is connected to a modem, which connects to a broker, the one that
//! `MQTT_BROKER` names (host:port) or a mosquitto that is started here. The status is that of the image, or 1 if
//! something around it failed or took too long.

mod broker;
mod emulator;
mod host;
mod image;
mod large;
mod modem;

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use broker::{Broker, free_address};
use emulator::Emulator;
use host::Host;
use image::Image;
use modem::{Cut, Towards};

/// Where the connections of `exchange` are cut: after so many bytes in this direction. Its later ones are not.
const CUTS: [Cut; 6] = [
    // In the midst of CONNECT, and of CONNACK; the others wherever that is.
    Cut { towards: Towards::Broker, after: 9 },
    Cut { towards: Towards::Board, after: 3 },
    Cut { towards: Towards::Broker, after: 400 },
    Cut { towards: Towards::Board, after: 700 },
    Cut { towards: Towards::Broker, after: 1_001 },
    Cut { towards: Towards::Board, after: 333 },
];

/// The same for `large`: in the midst of what is received, and of what is sent.
const LARGE_CUTS: [Cut; 2] =
    [Cut { towards: Towards::Board, after: 300_000 }, Cut { towards: Towards::Broker, after: 700_000 }];

fn main() -> ExitCode {
    match run() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(status) => {
            eprintln!("the image failed: {status}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<i32> {
    let path: PathBuf = env::args_os().nth(1).context("usage: runner IMAGE")?.into();
    let image = Image::read(&path)?;
    println!("flash: {} bytes; RAM: {} bytes of statics", image.flash, image.statics);
    let broker = match env::var("MQTT_BROKER") {
        Ok(address) => Broker::named(&address)?,
        Err(_) => Broker::start()?,
    };
    match path.file_stem().and_then(|name| name.to_str()) {
        Some("hello") => play(&path, image, &broker, &[], Duration::from_secs(60)),
        Some("exchange") => exchange(&path, image, &broker),
        Some("large") => large(&path, image, &broker),
        Some("many") => play(&path, image, &broker, &[], Duration::from_secs(300)),
        _ => bail!("no such image is known here: {}", path.display()),
    }
}

fn exchange(path: &Path, image: Image, broker: &Broker) -> Result<i32> {
    let host = Host::start(broker.address())?;
    let status = play(path, image, broker, &CUTS, Duration::from_secs(90))?;
    if status == 0 {
        host.check()?;
    }
    Ok(status)
}

fn large(path: &Path, image: Image, broker: &Broker) -> Result<i32> {
    let host = large::Host::start(broker.address())?;
    let status = play(path, image, broker, &LARGE_CUTS, Duration::from_secs(300))?;
    if status == 0 {
        host.check()?;
    }
    Ok(status)
}

/// Runs the image to its end, or to the end of its time.
fn play(path: &Path, image: Image, broker: &Broker, cuts: &'static [Cut], limit: Duration) -> Result<i32> {
    let line = free_address()?;
    let mut emulator = Emulator::start(path, line)?;
    modem::start(line, broker.address(), cuts);
    emulator.run(image, limit)
}
