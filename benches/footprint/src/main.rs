//! Links firmware images for microcontrollers and measures them: flash, memory, stack, the largest functions.
//!
//! ```text
//! cargo run --release --manifest-path benches/footprint/Cargo.toml
//! ```
//!
//! `--check` fails where `budgets.toml` is exceeded, and measures only the level of optimization that makes images smallest, for
//! which its limits are; `--markdown FILE` writes the tables; `--functions N` says how many of
//! the largest functions are listed.

mod budgets;
mod image;
mod linking;
mod report;
mod stack;

use std::error::Error;
use std::process::ExitCode;

use crate::budgets::Budgets;
use crate::linking::{CLIENTS, LEVELS, SMALLEST, Source, TARGETS};
use crate::report::{Measured, Report};

const USAGE: &str = "usage: footprint [--check] [--markdown FILE] [--functions N]";

struct Options {
    check: bool,
    markdown: Option<String>,
    functions: usize,
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("footprint: {error}");
            ExitCode::from(2)
        }
    }
}

/// `false`: a budget is exceeded.
fn run() -> Result<bool, Box<dyn Error>> {
    let options = options(std::env::args().skip(1))?;
    let report = measure(if options.check { &SMALLEST } else { &LEVELS })?;
    let text = report.markdown(options.functions);
    print!("{text}");
    if let Some(file) = options.markdown {
        std::fs::write(file, text)?;
    }
    if !options.check {
        return Ok(true);
    }
    let exceeded = Budgets::read()?.exceeded(&report);
    for line in &exceeded {
        eprintln!("footprint: {line}");
    }
    Ok(exceeded.is_empty())
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, Box<dyn Error>> {
    let mut options = Options { check: false, markdown: None, functions: 25 };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--check" => options.check = true,
            "--markdown" => options.markdown = Some(arguments.next().ok_or(USAGE)?),
            "--functions" => options.functions = arguments.next().ok_or(USAGE)?.parse()?,
            _ => return Err(USAGE.into()),
        }
    }
    Ok(options)
}

/// Links and reads every image at these levels of optimization.
fn measure(levels: &[&'static str]) -> Result<Report, Box<dyn Error>> {
    let mut report = Report::default();
    for target in TARGETS {
        let empty = Source { target, level: "s", name: "empty", features: "v311" }.link()?;
        for (client, features) in CLIENTS {
            for &level in levels {
                let image = Source { target, level, name: client, features }.link()?;
                report.clients.push(Measured { target, client, features, level, image, empty: empty.flash() });
            }
        }
        report.sizes.push((target, Source { target, level: "s", name: "sizes", features: "v311,v5" }.link()?));
    }
    Ok(report)
}
