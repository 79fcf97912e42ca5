//! The tools `publish` and `subscribe` over links that are cut again and again, mostly while a connection begins: each
//! message of QoS 2 arrives exactly once, and both tools end well, whatever was cut.
//!
//! A subscriber once made no further connection for 20 seconds after seven that were cut. Its pauses had doubled each time,
//! although each connection had carried packets: after seven of them, to as much as 16 seconds. Of 500 runs as
//! [`Links::Cut`] 35 stood still like that, of 500 with cuts in the handshake 100.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
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
use super::process::{client, example, say, terminate};
use super::proxy::{Counts, Faults, Proxy};

const MESSAGES: usize = 300;

/// How many runs go on at a time; they mostly wait.
const AT_A_TIME: usize = 12;

/// How long no message may arrive and no connection begin before a run counts as stuck, and how long it may take.
const STALL: Duration = Duration::from_secs(20);
const LIMIT: Duration = Duration::from_secs(180);

/// How long nothing more may arrive behind the last message.
const LATER: Duration = Duration::from_millis(200);

/// The status of a tool that SIGTERM ended.
const TERMINATED: i32 = 128 + 15;

/// What happens to the links of a run.
#[derive(Clone, Copy)]
enum Links {
    /// Each is cut, behind some tens of messages. Pauses are what they are by default.
    Cut,
    /// Half of them do not get beyond their first packets.
    CutInHandshake,
    /// The same, and some of the cuts are told to nobody. With a short keep alive the tools notice.
    CutSilently,
}

impl Links {
    const CUT: Faults = Faults { cut_within: 1500, fragments: 8, delays: 12, stalls: 25, ..Faults::NONE };
    const CUT_IN_HANDSHAKE: Faults = Faults { handshakes: 2, half_closed: 8, refusals: 20, silences: 40, ..Self::CUT };

    fn faults(self) -> Faults {
        match self {
            Self::Cut => Self::CUT,
            Self::CutInHandshake => Self::CUT_IN_HANDSHAKE,
            Self::CutSilently => Faults { half_open: 20, ..Self::CUT_IN_HANDSHAKE },
        }
    }

    fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Cut => &["-k", "600", "--response_timeout", "5"],
            // Many in a row may be of no use, and the pauses grow as they should.
            Self::CutInHandshake => &["-k", "600", "--response_timeout", "1", "--max-pause", "1000"],
            Self::CutSilently => &["-k", "2", "--response_timeout", "1", "--max-pause", "1000"],
        }
    }
}

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
    let counts = results.iter().fold(Counts::default(), |sum, report| added(&sum, &report.counts));
    let repeated: usize = results.iter().map(|report| report.repeated).sum();
    let longest = results.iter().map(|report| report.time).max().unwrap_or_default();
    let failed: Vec<u64> =
        results.iter().filter(|report| !report.faults.is_empty()).map(|report| report.seed).collect();
    say(&format!(
        "{on}: {} runs with {}; {repeated} messages came twice from the broker; the longest took {:.1} s; failed: {failed:?}",
        results.len(),
        Told(&counts),
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
    counts: Counts,
    /// How many messages were delivered twice, for the broker published them again after their PUBREL.
    repeated: usize,
    time: Duration,
}

/// One of the tools, and the link that it uses.
struct Tool {
    name: &'static str,
    proxy: Arc<Proxy>,
    process: Child,
    /// What it has printed so far.
    printed: Arc<Mutex<Printed>>,
    readers: Vec<JoinHandle<()>>,
}

/// The messages that a subscriber has printed, with how often each.
#[derive(Clone, Debug, Default, PartialEq)]
struct Printed(BTreeMap<String, usize>);

impl Run {
    /// `None`: there is no broker.
    fn go(self) -> Option<Report> {
        let Self { on, seed } = self;
        let broker = on.start(&format!("recovery-{seed}"))?;
        let start = Clock::now();
        let proxy = |seed| Arc::new(Proxy::start(broker.address(), on.version, seed, self.links().faults()));
        // Where a broker repeats messages, the number of lines says nothing.
        let count = MESSAGES.to_string();
        let end: &[&str] = if On::KEEPS_QOS_2 { &["-C", &count] } else { &[] };
        let mut subscriber = self.tool("subscribe", proxy(2 * seed), end);
        let mut publisher = self.tool("publish", proxy(2 * seed + 1), &["-l"]);
        let mut faults = Vec::new();
        if subscriber.is_subscribed() {
            publisher.feed();
            faults.extend(follow(&mut publisher, &mut subscriber));
        } else {
            let status = subscriber.status();
            faults.push(format!("{} is not subscribed: {status:?}", subscriber.name));
        }
        for tool in [&mut publisher, &mut subscriber] {
            tool.end();
            faults.extend(tool.broken_rules());
        }
        let (broken, story) = subscriber.proxy.wire(|wire| wire.broken_by(Role::Server));
        let printed = subscriber.printed();
        faults.extend(printed.faults(&broken));
        let counts = subscriber.proxy.counts();
        let time = start.elapsed();
        say(&format!("{on}, tools, seed {seed}: {}; {:.1} s", Told(&counts), time.as_secs_f32()));
        if !faults.is_empty() {
            publisher.tell();
            subscriber.tell();
            say(&format!("{on}, tools, seed {seed} FAILED: {}{story}", faults.join("\n")));
        }
        Some(Report { seed, faults, counts, repeated: printed.repeated().len(), time })
    }

    fn links(self) -> Links {
        match self.seed % 3 {
            0 => Links::CutSilently,
            1 => Links::Cut,
            _ => Links::CutInHandshake,
        }
    }

    fn tool(self, name: &'static str, proxy: Arc<Proxy>, more: &[&str]) -> Tool {
        let arguments = [&["-c", "-i", name, "-q", "2", "-t", "recovery"], self.links().flags(), more].concat();
        Tool::start(name, proxy, self.on.version, &arguments)
    }
}

/// Waits until both have ended well, and says what is wrong: one has ended otherwise, or nothing goes on any more.
fn follow(publisher: &mut Tool, subscriber: &mut Tool) -> Option<String> {
    let start = Clock::now();
    let (mut seen, mut moved) = (None, start);
    loop {
        let statuses = [publisher.status(), subscriber.status()];
        for (tool, status) in [&*publisher, &*subscriber].into_iter().zip(statuses) {
            if let Some(status) = status.filter(|status| !status.success()) {
                return Some(format!("{} ended: {status}", tool.name));
            }
        }
        match statuses {
            [Some(_), Some(_)] => return None,
            [Some(_), None] if !On::KEEPS_QOS_2 && subscriber.printed().0.len() == MESSAGES => {
                sleep(LATER);
                let status = terminate(&mut subscriber.process);
                return (status.code() != Some(TERMINATED)).then(|| format!("{} ended: {status}", subscriber.name));
            }
            _ => {}
        }
        let now = Some([publisher.progress(), subscriber.progress()]);
        if seen != now {
            (seen, moved) = (now, Clock::now());
        }
        if moved.elapsed() > STALL || start.elapsed() > LIMIT {
            return Some(format!("after {:.1} s there is no end: {statuses:?}", start.elapsed().as_secs_f32()));
        }
        sleep(Duration::from_millis(10));
    }
}

impl Printed {
    fn repeated(&self) -> Vec<&String> {
        self.0.iter().filter(|(_, count)| **count > 1).map(|(line, _)| line).collect()
    }

    /// Each message comes once, unless the broker has published it again after its PUBREL.
    fn faults(&self, broken: &BTreeSet<Vec<u8>>) -> Vec<String> {
        let all: BTreeSet<String> = (0..MESSAGES).map(|number| number.to_string()).collect();
        let unknown: Vec<_> = self.0.keys().filter(|line| !all.contains(*line)).collect();
        let missing: Vec<_> = all.iter().filter(|line| !self.0.contains_key(*line)).collect();
        let mut repeated = self.repeated();
        repeated.retain(|line| On::KEEPS_QOS_2 || !broken.contains(line.as_bytes()));
        let kinds = [("was not published", unknown), ("did not arrive", missing), ("arrived more than once", repeated)];
        kinds.iter().filter(|(_, which)| !which.is_empty()).map(|(what, which)| format!("{what}: {which:?}")).collect()
    }
}

impl Tool {
    fn start(name: &'static str, proxy: Arc<Proxy>, version: Version, arguments: &[&str]) -> Self {
        let mut command: Command = client(&example(name), proxy.address().port(), version, arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("it starts");
        let printed = Arc::new(Mutex::new(Printed::default()));
        let (stdout, stderr) =
            (process.stdout.take().expect("it is piped"), process.stderr.take().expect("it is piped"));
        let (theirs, log) = (Arc::clone(&printed), Arc::clone(&proxy));
        let output = spawn(move || {
            for line in lines(stdout) {
                let mut printed = theirs.lock().unwrap_or_else(PoisonError::into_inner);
                *printed.0.entry(line).or_default() += 1;
            }
        });
        let words = spawn(move || lines(stderr).for_each(|line| log.note(&line)));
        Self { name, proxy, process, printed, readers: vec![output, words] }
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

    fn printed(&self) -> Printed {
        self.printed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn progress(&self) -> (usize, Printed) {
        (self.proxy.counts().connections, self.printed())
    }

    /// Whatever it sent against the rules, or could not read.
    fn broken_rules(&self) -> Option<String> {
        let malformed = self.proxy.wire(|wire| wire.malformed.clone());
        let (broken, story) = self.proxy.wire(|wire| wire.broken_by(Role::Client));
        let is_right = malformed.is_empty() && broken.is_empty();
        (!is_right).then(|| format!("{} broke the rules: {malformed:?}{story}", self.name))
    }

    /// Prints what went over its link, and what it said.
    fn tell(&self) {
        let log = self.proxy.wire(|wire| wire.trace.join("\n"));
        say(&format!("---------- the log of {}:\n{log}", self.name));
    }

    fn end(&mut self) {
        // It may have ended by itself.
        _ = self.process.kill();
        _ = self.process.wait();
        for reader in self.readers.drain(..) {
            reader.join().expect("it reads to the end");
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

fn added(one: &Counts, other: &Counts) -> Counts {
    Counts {
        connections: one.connections + other.connections,
        refused: one.refused + other.refused,
        left_alone: one.left_alone + other.left_alone,
        cut_in_connect: one.cut_in_connect + other.cut_in_connect,
        cut_before_connack: one.cut_before_connack + other.cut_before_connack,
        cut_up: one.cut_up + other.cut_up,
        cut_down: one.cut_down + other.cut_down,
        abrupt: one.abrupt + other.abrupt,
        half_closed: one.half_closed + other.half_closed,
        half_open: one.half_open + other.half_open,
        ..Counts::default()
    }
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
