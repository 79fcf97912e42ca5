//! Contestants in turn, round by round. What counts is the time of the processor that they take, not that of the clock: other
//! programs may be running.

use std::time::Duration;

use cpu_time::ThreadTime;

use crate::allocations;
use crate::contestant::{Entry, Lane};
use crate::work::Work;

/// How long a round of one contestant may take, about: one that is slow does fewer messages.
const ROUND: Duration = Duration::from_millis(250);

/// How long a contestant may take for the first messages of all.
const PATIENCE: Duration = Duration::from_secs(1);

/// What became of one contestant in one work.
pub enum Outcome {
    Measured(Measured),
    /// It cannot do it, or does not do it right.
    Skipped(String),
}

#[derive(Clone, Copy)]
pub struct Measured {
    /// The median of the rounds, per message.
    pub nanoseconds: f64,
    pub allocations: f64,
    /// Filled in by who counts them.
    pub instructions: Option<f64>,
}

/// A contestant under way.
struct Runner {
    lane: Box<dyn Lane>,
    messages: usize,
    times: Vec<f64>,
    allocations: u64,
}

/// One work, done by all. Each is checked before it is timed.
pub fn run(work: &Work, entries: &[&Entry], rounds: usize, messages: Option<usize>) -> Vec<Outcome> {
    let mut runners: Vec<Result<Runner, String>> =
        entries.iter().map(|entry| Runner::new(work, entry, messages)).collect();
    for _ in 0..rounds {
        for runner in runners.iter_mut().flatten() {
            runner.round();
        }
    }
    runners.into_iter().map(|runner| runner.map_or_else(Outcome::Skipped, |runner| runner.outcome(rounds))).collect()
}

impl Runner {
    fn new(work: &Work, entry: &Entry, messages: Option<usize>) -> Result<Self, String> {
        let mut lane = (entry.enter)(work)?;
        let batch = work.batch();
        let checked = batch * 4;
        // One batch without a look at it, so that what is checked is what a long run consists of.
        let begin = ThreadTime::now();
        lane.run(batch);
        if begin.elapsed() > PATIENCE {
            return Err(format!("took {:.1} s for the first {batch} messages", begin.elapsed().as_secs_f64()));
        }
        lane.begin_record();
        lane.run(checked);
        lane.check(checked)?;
        let messages = messages.unwrap_or_else(|| affordable(lane.as_mut(), batch, work.messages()));
        let messages = (messages / batch).max(1) * batch;
        Ok(Self { lane, messages, times: Vec::new(), allocations: 0 })
    }

    fn round(&mut self) {
        let allocations = allocations::count();
        let begin = ThreadTime::now();
        self.lane.run(self.messages);
        let time = begin.elapsed();
        self.allocations += allocations::count() - allocations;
        self.times.push(time.as_nanos() as f64 / self.messages as f64);
    }

    fn outcome(mut self, rounds: usize) -> Outcome {
        self.times.sort_by(f64::total_cmp);
        let nanoseconds = self.times[self.times.len() / 2];
        let allocations = self.allocations as f64 / (rounds * self.messages) as f64;
        Outcome::Measured(Measured { nanoseconds, allocations, instructions: None })
    }
}

/// As many messages as are wanted, or as fit into a round.
fn affordable(lane: &mut dyn Lane, batch: usize, wanted: usize) -> usize {
    let begin = ThreadTime::now();
    lane.run(batch);
    let batches = ROUND.as_nanos() / begin.elapsed().as_nanos().max(1);
    wanted.min(batch.saturating_mul(batches as usize))
}
