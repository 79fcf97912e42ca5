//! The command line.

use std::error::Error;

use crate::contestant::Entry;
use crate::contestants::ALL;
use crate::work::Work;

const USAGE: &str = "usage: benches [flags]
  --only NAME      only contestants whose name contains this
  --work NAME      only works whose name contains this
  --rounds N       how many rounds; 7 by default, the median counts
  --messages N     how many messages in each, instead of what the work says
  --instructions   counts instructions, too, with valgrind
  --markdown FILE  writes the tables
  --svg FILE       writes a chart
  --budget FILE    does nothing but count the instructions of this crate, and fails where this file is exceeded";

pub struct Options {
    only: Option<String>,
    work: Option<String>,
    pub rounds: usize,
    pub messages: Option<usize>,
    pub instructions: bool,
    pub markdown: Option<String>,
    pub svg: Option<String>,
    pub budget: Option<String>,
}

impl Options {
    pub fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut options = Self {
            only: None,
            work: None,
            rounds: 7,
            messages: None,
            instructions: false,
            markdown: None,
            svg: None,
            budget: None,
        };
        while let Some(flag) = arguments.next() {
            if flag == "--instructions" {
                options.instructions = true;
                continue;
            }
            let value = arguments.next().ok_or(USAGE)?;
            match flag.as_str() {
                "--only" => options.only = Some(value),
                "--work" => options.work = Some(value),
                "--rounds" => options.rounds = value.parse::<usize>()?.max(1),
                "--messages" => options.messages = Some(value.parse()?),
                "--markdown" => options.markdown = Some(value),
                "--svg" => options.svg = Some(value),
                "--budget" => options.budget = Some(value),
                _ => return Err(USAGE.into()),
            }
        }
        Ok(options)
    }

    pub fn entries(&self) -> Result<Vec<&'static Entry>, Box<dyn Error>> {
        let entries: Vec<&Entry> = ALL.iter().filter(|entry| contains(&self.only, entry.name)).collect();
        if entries.is_empty() { Err("there is no such contestant".into()) } else { Ok(entries) }
    }

    pub fn works(&self) -> Result<Vec<Work>, Box<dyn Error>> {
        let works: Vec<Work> = Work::all().filter(|work| contains(&self.work, &work.to_string())).collect();
        if works.is_empty() { Err("there is no such work".into()) } else { Ok(works) }
    }
}

fn contains(wanted: &Option<String>, name: &str) -> bool {
    wanted.as_ref().is_none_or(|wanted| name.contains(wanted.as_str()))
}
