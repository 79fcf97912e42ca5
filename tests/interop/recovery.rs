//! The tools `publish` and `subscribe` over links that are cut again and again, mostly while a connection begins: each
//! message of QoS 2 arrives exactly once, and both tools end well, whatever was cut.
//!
//! A subscriber once made no further connection for 20 seconds after seven that were cut. Its pauses had doubled each time,
//! although each connection had carried messages: after seven of them, to as much as 16 seconds.

use core::fmt;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, scope, sleep, spawn};
use std::time::Instant as Clock;

use mqtt_session::{Role, Version};

use super::on::On;
use super::process::{client, example, say};
use super::proxy::{Counts, Faults, Proxy};

const MESSAGES: usize = 300;

/// How many runs go on at a time; they mostly wait.
const AT_A_TIME: usize = 8;

/// How long no message may arrive and no connection begin before a run counts as stuck, and how long it may take.
const STALL: Duration = Duration::from_secs(20);
const LIMIT: Duration = Duration::from_secs(180);

/// Half of the connections do not get beyond their first packets, the others beyond some tens of messages.
const FAULTS: Faults = Faults {
    cut_within: 1500,
    handshakes: 2,
    half_closed: 8,
    half_open: 0,
    refusals: 20,
    silences: 40,
    fragments: 8,
    delays: 12,
    stalls: 25,
    ..Faults::NONE
};

/// With a short keep alive a client notices, too, that a link is gone of which nobody told it.
const UNTOLD: Faults = Faults { half_open: 10, ..FAULTS };

/// Every run comes to its end, with each message delivered once.
pub(crate) fn tools_come_back(on: On) {
    let runs = env::var("MQTT_CUTS").ok().and_then(|count| count.parse().ok()).unwrap_or(3);
    let next = AtomicU64::new(1);
    let results = Mutex::new(Vec::new());
    scope(|threads| {
        for _ in 0..AT_A_TIME {
            threads.spawn(|| {
                while let seed @ 1.. = next.fetch_add(1, Ordering::SeqCst)
                    && seed <= runs
                    && let Some(report) = (Run { on, seed }).go()
                {
                    results.lock().unwrap_or_else(PoisonError::into_inner).push(report);
                }
            });
        }
    });
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    let cuts: usize = results.iter().map(|report| report.cuts).sum();
    let repeats: usize = results.iter().map(|report| report.repeats).sum();
    let longest = results.iter().map(|report| report.time).max().unwrap_or_default();
    let failed: Vec<u64> = results.iter().filter(|report| !report.faults.is_empty()).map(|report| report.seed).collect();
    say(&format!(
        "{on}: {} runs with {cuts} cuts, {repeats} messages that the broker repeated, the longest {:.1} s; failed: {failed:?}",
        results.len(),
        longest.as_secs_f32(),
    ));
    assert!(failed.is_empty(), "{on}: these seeds failed: {failed:?}");
}

/// A run.
#[derive(Clone, Copy)]
struct Run {
    on: On,
    seed: u64,
}

/// What came of it.
struct Report {
    seed: u64,
    faults: Vec<String>,
    cuts: usize,
    /// How many messages the broker published again after their PUBREL.
    repeats: usize,
    time: Duration,
}

/// One of the tools, and the link that it uses.
struct Tool {
    name: &'static str,
    proxy: Arc<Proxy>,
    process: Child,
    /// How many messages it has printed.
    printed: Arc<AtomicUsize>,
    output: Option<JoinHandle<Vec<String>>>,
    words: Option<JoinHandle<()>>,
}

impl Run {
    /// `None`: there is no broker.
    fn go(self) -> Option<Report> {
        let Self { on, seed } = self;
        let broker = on.start(&format!("recovery-{seed}"))?;
        let start = Clock::now();
        let faults = if seed % 3 == 0 { UNTOLD } else { FAULTS };
        let proxy = |seed| Arc::new(Proxy::start(broker.address(), on.version, seed, faults));
        let count = MESSAGES.to_string();
        let mut subscriber = self.tool("subscribe", proxy(2 * seed), &["-C", &count]);
        let mut faults = Vec::new();
        let mut statuses = Vec::new();
        if subscriber.is_subscribed() {
            let mut publisher = self.tool("publish", proxy(2 * seed + 1), &["-l"]);
            publisher.feed();
            statuses = follow(&mut [&mut publisher, &mut subscriber]);
            faults.extend(publisher.faults(&statuses[0]));
            if !faults.is_empty() {
                publisher.tell();
            }
            statuses.remove(0);
        }
        faults.extend(subscriber.faults(statuses.first().unwrap_or(&None)));
        let (broken, story) = subscriber.proxy.wire(|wire| wire.broken_by(Role::Server));
        faults.extend(judge(&subscriber.lines(), &broken));
        faults.extend(subscriber.proxy.wire(|wire| wire.malformed.clone()));
        let (ours, our_story) = subscriber.proxy.wire(|wire| wire.broken_by(Role::Client));
        if !ours.is_empty() {
            faults.push(format!("the client broke QoS 2:{our_story}"));
        }
        let counts = subscriber.proxy.counts();
        let time = start.elapsed();
        say(&format!("{on}, tools, seed {seed}: {}; {:.1} s", Told(&counts), time.as_secs_f32()));
        if !faults.is_empty() {
            subscriber.tell();
            say(&format!("{on}, tools, seed {seed} FAILED: {}{story}", faults.join("\n")));
        }
        Some(Report { seed, faults, cuts: counts.cuts(), repeats: broken.len(), time })
    }

    fn tool(self, name: &'static str, proxy: Arc<Proxy>, more: &[&str]) -> Tool {
        let keep_alive = if self.seed % 3 == 0 { "2" } else { "600" };
        let mut arguments = vec!["-c", "-i", name, "-q", "2", "-t", "recovery", "-k", keep_alive];
        arguments.extend(["--patience", "1", "--max-pause", "200"]);
        arguments.extend(more);
        Tool::start(name, proxy, self.on.version, &arguments)
    }
}

/// Waits until both have ended, or nothing goes on any more: the status of each that has.
fn follow(tools: &mut [&mut Tool]) -> Vec<Option<ExitStatus>> {
    let start = Clock::now();
    let (mut seen, mut moved) = (Vec::new(), start);
    loop {
        let statuses: Vec<_> = tools.iter_mut().map(|tool| tool.status()).collect();
        let now: Vec<_> = tools.iter().map(|tool| tool.progress()).collect();
        if seen != now {
            (seen, moved) = (now, Clock::now());
        }
        if statuses.iter().all(Option::is_some) || moved.elapsed() > STALL || start.elapsed() > LIMIT {
            return statuses;
        }
        sleep(Duration::from_millis(10));
    }
}

/// Each message once. What the broker has published again after its PUBREL is a new message for the subscriber, which
/// then ends that much earlier.
fn judge(lines: &[String], broken: &BTreeSet<Vec<u8>>) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for line in lines {
        *counts.entry(line).or_default() += 1;
    }
    let mut faults = Vec::new();
    let unknown: Vec<_> = counts.keys().filter(|line| line.parse().is_ok_and(|number: usize| number < MESSAGES)).collect();
    if unknown.len() != counts.len() {
        faults.push(format!("not all of this was published: {lines:?}"));
    }
    let twice: Vec<_> =
        counts.iter().filter(|(line, count)| **count > 1 && !broken.contains(line.as_bytes())).collect();
    if !twice.is_empty() {
        faults.push(format!("arrived more than once: {twice:?}"));
    }
    let repeats = lines.len() - counts.len();
    if counts.len() + repeats < MESSAGES {
        let missing: Vec<_> = (0..MESSAGES).filter(|number| !counts.contains_key(number.to_string().as_str())).collect();
        faults.push(format!("{} messages did not arrive: {missing:?}", missing.len()));
    }
    faults
}

impl Tool {
    fn start(name: &'static str, proxy: Arc<Proxy>, version: Version, arguments: &[&str]) -> Self {
        let mut command: Command = client(&example(name), proxy.address().port(), version, arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("it starts");
        let printed = Arc::new(AtomicUsize::new(0));
        let (stdout, stderr) = (process.stdout.take().expect("it is piped"), process.stderr.take().expect("it is piped"));
        let (count, log) = (Arc::clone(&printed), Arc::clone(&proxy));
        let output = spawn(move || {
            let seen = lines(stdout).inspect(|_| {
                count.fetch_add(1, Ordering::SeqCst);
            });
            seen.collect()
        });
        let words = spawn(move || lines(stderr).for_each(|line| log.note(&line)));
        Self { name, proxy, process, printed, output: Some(output), words: Some(words) }
    }

    /// Waits until the broker has granted the subscription.
    fn is_subscribed(&mut self) -> bool {
        let end = Clock::now() + STALL;
        while !self.proxy.wire(|wire| wire.trace.iter().any(|line| line.starts_with("<- Suback"))) {
            if self.status().is_some() || Clock::now() > end {
                return false;
            }
            sleep(Duration::from_millis(5));
        }
        true
    }

    /// Gives it all messages.
    fn feed(&mut self) {
        let lines: String = (0..MESSAGES).map(|number| format!("{number}\n")).collect();
        let mut stdin = self.process.stdin.take().expect("it is piped");
        // They have room in the pipe. Whether it takes them is seen later.
        _ = stdin.write_all(lines.as_bytes());
    }

    fn status(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().expect("it is our child")
    }

    fn progress(&self) -> (usize, usize) {
        (self.proxy.counts().connections, self.printed.load(Ordering::SeqCst))
    }

    fn faults(&self, status: &Option<ExitStatus>) -> Option<String> {
        match status {
            Some(status) if status.success() => None,
            Some(status) => Some(format!("{} ended: {status}", self.name)),
            None => Some(format!("{} did not end", self.name)),
        }
    }

    /// What it has printed; ends it.
    fn lines(&mut self) -> Vec<String> {
        self.end();
        self.output.take().map_or_else(Vec::new, |output| output.join().expect("it reads to the end"))
    }

    /// Prints what went over its link, and what it said.
    fn tell(&mut self) {
        self.end();
        let log = self.proxy.wire(|wire| wire.trace.join("\n"));
        say(&format!("---------- the log of {}:\n{log}", self.name));
    }

    fn end(&mut self) {
        // It may have ended by itself.
        _ = self.process.kill();
        _ = self.process.wait();
        if let Some(words) = self.words.take() {
            words.join().expect("it reads to the end");
        }
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        self.end();
    }
}

fn lines(from: impl Read) -> impl Iterator<Item = String> {
    BufReader::new(from).lines().map_while(Result::ok)
}

/// How a link was cut, in words.
struct Told<'c>(&'c Counts);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { refused, left_alone, cut_in_connect, cut_before_connack, cut_up, cut_down, .. } = self.0;
        let Counts { connections, abrupt, half_closed, half_open, .. } = self.0;
        write!(
            f,
            "{} cuts of the subscriber's link ({refused} refused, {left_alone} left alone, {cut_in_connect} in CONNECT, \
             {cut_before_connack} before CONNACK, {cut_up} up, {cut_down} down; {abrupt} abrupt, {half_closed} half closed, \
             {half_open} half open), {connections} connections",
            self.0.cuts(),
        )
    }
}
