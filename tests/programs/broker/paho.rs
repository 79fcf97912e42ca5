//! Clients of paho-mqtt, where `MQTT_PAHO` names a Python that has it; `.ci/paho` installs one.

use std::collections::BTreeSet;
use std::process::{Command, Output};
use std::{env, fs};

use mqtt_session::{Role, Version};

use super::clients::say;
use super::process::Broker;
use super::proxy::{Faults, Proxy};

const MESSAGES: usize = 1_000;

const HARSH: Faults = Faults { cut_within: 450, refusals: 20, fragments: 8, delays: 12, stalls: 25, ..Faults::NONE };

/// Several times the places of a session.
const CROWD: usize = 5_000;

pub(crate) fn plain(version: Version) {
    let Some(python) = python() else { return };
    let broker = Broker::launch(&format!("paho-{}", version.level()), &[]);
    run(&python, "plain", version, &[broker.port().into()]);
}

/// More QoS 2 messages at once than a session has places for: all of them arrive, over few connections.
pub(crate) fn crowd(version: Version) {
    let Some(python) = python() else { return };
    let flags = ["--queue", "100000"];
    let broker = Broker::launch(&format!("paho-crowd-{}", version.level()), &flags);
    let said = run(&python, "crowd", version, &[broker.port().into(), CROWD]);
    say(&format!("paho, MQTT {}: {}", version.level(), said.replace('\n', "; ")));
    let lines: Vec<Vec<_>> = said.lines().map(|line| line.split_whitespace().collect()).collect();
    let [lasting, clean] = &lines[..] else { panic!("{said}") };
    let number = |text: &str| text.parse::<usize>().expect("a number");
    // Each message once as long as the session lasts, and as often as it is published in clean ones.
    assert_eq!(number(lasting[2]), CROWD);
    assert!(number(lasting[1]) <= 1 + CROWD / 1_000 && number(clean[1]) <= 2, "{said}");
}

/// Hundreds of cuts on either side: the broker keeps to the rules, and each message arrives exactly once, but for those that
/// paho publishes again after their PUBREL. It does so when a connection was lost before CONNACK.
pub(crate) fn cuts(version: Version) {
    let Some(python) = python() else { return };
    for seed in 1..=seeds() {
        let broker = Broker::launch(&format!("paho-cuts-{}-{seed}", version.level()), &[]);
        // Once the publisher's link is whole, and nothing is exempt.
        let up = if seed == 1 { Faults::NONE } else { HARSH };
        let proxies = [(seed, up), (100 + seed, HARSH)];
        let proxies = proxies.map(|(seed, faults)| Proxy::start(broker.address(), version, seed, faults));
        let [publisher, subscriber] = proxies.each_ref().map(|proxy| usize::from(proxy.address().port()));
        let said = run(&python, "cuts", version, &[publisher, subscriber, MESSAGES]);
        let mut received: Vec<_> = said.split_whitespace().map(str::to_owned).collect();
        let (repeated, story) = proxies[0].wire(|wire| wire.broken_by(Role::Client));
        for (proxy, name) in proxies.iter().zip(["publisher", "subscriber"]) {
            // It serves whoever looks for the reason of what follows.
            _ = fs::write(broker.file(name), proxy.wire(|wire| wire.trace.join("\n")));
            // A message that is published anew is passed on anew.
            let (broken, story) = proxy.wire(|wire| wire.broken_by(Role::Server));
            assert!(broken.is_subset(&repeated), "the broker broke the rules:{story}");
            assert_eq!(proxy.wire(|wire| wire.malformed.clone()), [""; 0]);
        }
        let cuts = proxies.each_ref().map(|proxy| proxy.counts().cuts());
        let count = received.len();
        say(&format!(
            "paho, MQTT {}, seed {seed}: {cuts:?} cuts, {count} delivered, {} published anew by paho",
            version.level(),
            repeated.len()
        ));
        received.sort();
        let twice = received.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0].clone().into_bytes());
        let twice: BTreeSet<_> = twice.filter(|number| !repeated.contains(number)).collect();
        assert!(twice.is_empty(), "arrived twice: {twice:?}{story}");
        received.dedup();
        assert_eq!(received.len(), MESSAGES);
        assert!(cuts[0] > 50 || seed == 1 && repeated.is_empty(), "{cuts:?} cuts");
        assert!(cuts[1] > 50, "{cuts:?} cuts");
    }
}

fn seeds() -> u64 {
    env::var("MQTT_SEEDS").ok().and_then(|count| count.parse().ok()).unwrap_or(3)
}

fn python() -> Option<String> {
    let python = env::var("MQTT_PAHO").ok();
    if python.is_none() {
        say("skipped: MQTT_PAHO names no Python with paho-mqtt");
    }
    python
}

fn run(python: &str, command: &str, version: Version, numbers: &[usize]) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/programs/broker/paho_clients.py");
    let version = if version == Version::V5 { 5 } else { 3 };
    let numbers = [&[version], numbers].concat();
    let numbers = numbers.iter().map(usize::to_string);
    let output = Command::new(python).args([script, command]).args(numbers).output();
    let Output { status, stdout, stderr } = output.expect("MQTT_PAHO names a program");
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).expect("text")
}
