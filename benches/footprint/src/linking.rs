//! The images that are linked, and how.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::image::Image;

/// Cortex-M4 and Cortex-M0.
pub const TARGETS: [&str; 2] = ["thumbv7em-none-eabihf", "thumbv6m-none-eabi"];

/// How the optimizer is told to be brief.
pub const LEVELS: [&str; 2] = ["s", "z"];

/// The one of them that makes images smallest.
pub const SMALLEST: [&str; 1] = ["z"];

/// The images that stand for a client, and the features of each.
pub const CLIENTS: [(&str, &str); 9] = [
    ("client", "v311"),
    ("client", "v5"),
    ("client", "v311,v5"),
    ("client_blocking", "v311,embedded-io"),
    ("client_blocking", "v5,embedded-io"),
    ("client_blocking", "v311,v5,embedded-io"),
    ("client_async", "v311,embedded-io-async"),
    ("client_async", "v5,embedded-io-async"),
    ("client_async", "v311,v5,embedded-io-async"),
];

/// Where the package of the images lies.
const PACKAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/image");

/// An image before it is linked.
pub struct Source {
    pub target: &'static str,
    pub level: &'static str,
    pub name: &'static str,
    pub features: &'static str,
}

impl Source {
    pub fn link(&self) -> Result<Image, Box<dyn Error>> {
        let folder = folder();
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--locked", "--release", "--bin", self.name])
            .args(["--target", self.target, "--features", self.features])
            .arg("--target-dir")
            .arg(&folder)
            .current_dir(PACKAGE)
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", self.level)
            // The compiler tells the frame of each function, in a section that is not loaded. Only nightly compilers take
            // the option, unless asked like this; the image is the same.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTFLAGS", "-Zemit-stack-sizes")
            .status()?;
        if !status.success() {
            return Err(format!("{} cannot be linked for {}", self.name, self.target).into());
        }
        Image::read(&std::fs::read(folder.join(self.target).join("release").join(self.name))?)
    }
}

/// Where the images go.
fn folder() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => Path::new(&folder).join("footprint"),
        None => Path::new(PACKAGE).join("target"),
    }
}
