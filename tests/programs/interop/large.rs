//! Files of 4 MiB through the tools `publish` and `subscribe`, whose memory is smaller, over links that are cut.

use core::time::Duration;
use std::fs::{self, File};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::Instant as Clock;

use super::on::On;
use super::process::{client, example, say};
use super::proxy::{Faults, Proxy};

const LEN: usize = 4 << 20;

/// More than half of the connections are cut before all of such a file has passed.
const FAULTS: Faults = Faults { cut_within: 5_000_000, ..Faults::NONE };

/// What is published behind the file, with the same QoS.
const LAST: &[u8] = b"end";

const LIMIT: Duration = Duration::from_secs(60);

/// With QoS 2 the file arrives once, with QoS 1 at least once, and each time whole.
pub(crate) fn files_over_cut_links(on: On) {
    let Some(broker) = on.start("large-files") else { return };
    let content: Vec<u8> = (0..LEN).map(|at| (at ^ at >> 8 ^ at >> 16).to_le_bytes()[0]).collect();
    let (sent, received) = (broker.file("sent"), broker.file("received"));
    fs::write(&sent, &content).expect("the folder is there");
    for qos in ["1", "2"] {
        let links = [5, 4].map(|seed| Proxy::start(broker.address(), on.version, seed, FAULTS));
        let (name, topic) = (format!("reader-{qos}"), format!("large/{qos}"));
        let out = File::create(&received).expect("the folder is there");
        let arguments = ["-t", &topic, "-q", qos, "-N", "-C", "2", "-W", "50", "-c", "-i", &name];
        let mut reader = client(&example("subscribe"), links[0].address().port(), on.version, &arguments);
        let mut reader = reader.stdout(out).stderr(Stdio::inherit()).spawn().expect("it starts");
        broker.await_log(&format!("Sending SUBACK to {name}"));
        let file = sent.to_str().expect("a path of ours");
        for content in [["-f", file], ["-m", "end"]] {
            let arguments = ["-t", &topic, "-q", qos, "-c", "-i", "writer", content[0], content[1]];
            let mut writer = client(&example("publish"), links[1].address().port(), on.version, &arguments);
            let mut writer = writer.stdin(Stdio::null()).spawn().expect("it starts");
            assert!(await_end(&mut writer), "{on}: publish, QoS {qos}");
        }
        // With QoS 1 it may be that the file came twice, and that is all that was waited for.
        assert!(await_end(&mut reader), "{on}: subscribe, QoS {qos}");
        let got = fs::read(&received).expect("it was written");
        let rest = got.strip_prefix(&content[..]).unwrap_or_else(|| panic!("{on}: QoS {qos}: another file came"));
        assert!(rest == LAST || (qos == "1" && rest == content), "{on}: QoS {qos}: {} bytes more came", rest.len());
        let cuts = links.each_ref().map(|link| link.counts().cuts());
        assert!(!cuts.contains(&0), "{on}: no link was cut: {cuts:?}");
        let cuts = cuts.iter().sum::<usize>();
        say(&format!("{on}: 4 MiB with QoS {qos} over links that were cut {cuts} times"));
    }
}

/// Whether a process ends well, and in time.
fn await_end(process: &mut Child) -> bool {
    let begun = Clock::now();
    loop {
        match process.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if begun.elapsed() < LIMIT => sleep(Duration::from_millis(20)),
            _ => {
                let _ = process.kill();
                return false;
            }
        }
    }
}
