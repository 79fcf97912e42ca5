//! The same work in memory for this crate, for others, and for two floors.
//!
//! ```text
//! cargo run --release --manifest-path benches/Cargo.toml
//! ```
//!
//! Each contestant is one end of a connection over memory; the other end answers what it is sent. What each does is compared
//! with what it should do before it is timed. `--help` tells the flags.

mod allocations;
mod budget;
mod chart;
mod contestant;
mod contestants;
mod instructions;
mod lanes;
mod link;
mod options;
mod peer;
mod race;
mod table;
mod work;

use std::error::Error;
use std::process::ExitCode;

use crate::options::Options;
use crate::table::Table;

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

/// Sessions with many messages in flight are large, and are made on the stack.
const STACK: usize = 256 << 20;

fn main() -> ExitCode {
    let thread = std::thread::Builder::new().stack_size(STACK);
    let result = thread.spawn(|| run().map_err(|error| error.to_string()));
    match result.map(std::thread::JoinHandle::join) {
        Ok(Ok(Ok(()))) => ExitCode::SUCCESS,
        Ok(Ok(Err(error))) => {
            eprintln!("benches: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::FAILURE,
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let options = Options::read(std::env::args().skip(1))?;
    if let Some(file) = &options.budget {
        return budget::check(file);
    }
    let entries = options.entries()?;
    let works = options.works()?;
    let mut table = Table::new(&entries);
    for work in works {
        eprintln!("{work}");
        let mut outcomes = race::run(&work, &entries, options.rounds, options.messages);
        if options.instructions {
            instructions::add(&work, &entries, &mut outcomes)?;
        }
        table.add(work, outcomes);
    }
    let text = table.markdown();
    print!("{text}");
    if let Some(file) = &options.markdown {
        std::fs::write(file, text)?;
    }
    if let Some(file) = &options.svg {
        svg::save(file, &chart::draw(&table))?;
    }
    Ok(())
}
