//! The example as a command, and the tools beside it.

use std::io::Write;
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use mqtt_session::Version;

use super::clients::example;
use super::process::Broker;

fn run(arguments: &[&str]) -> (String, String, Option<i32>) {
    let Output { stdout, stderr, status } = Command::new(example("broker")).args(arguments).output().unwrap();
    (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap(), status.code())
}

#[test]
fn help_is_printed() {
    let (stdout, stderr, status) = run(&["--help"]);
    assert!(stdout.starts_with("usage: broker ") && stdout.lines().all(|line| line.len() <= 120), "{stdout}");
    assert_eq!((stderr.as_str(), status), ("", Some(0)));
}

#[test]
fn wrong_arguments_are_one_line() {
    for (arguments, line) in [
        (&["--nonsense"][..], "--nonsense is not known"),
        (&["--port"], "--port needs a value"),
        (&["-p", "70000"], "-p: 70000: number too large to fit in target type"),
        (&["--queue", "0"], "--connections, --sessions and --queue: at least 1"),
    ] {
        let expected = (String::new(), format!("broker: {line} (--help tells more)\n"), Some(2));
        assert_eq!(run(arguments), expected);
    }
}

#[test]
fn a_port_that_is_taken_is_one_line() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let (stdout, stderr, status) = run(&["-p", &port]);
    let start = format!("broker: 127.0.0.1:{port} cannot be listened at: ");
    assert!(stderr.starts_with(&start) && stderr.lines().count() == 1, "{stderr}");
    assert_eq!((stdout.as_str(), status), ("", Some(1)));
}

pub(crate) fn publish_to_subscribe(version: Version) {
    let broker = Broker::launch(&format!("tools-{}", version.level()), &[]);
    let listener =
        broker.listen("subscribe", version, "listener", &["-t", "a/#", "-q", "2", "-v", "-C", "4", "-W", "20"]);
    for qos in ["0", "1", "2"] {
        broker.run("publish", version, &["-t", "a/b", "-q", qos, "-m", qos, "-r"]);
    }
    broker.run("publish", version, &["-t", "a", "-n"]);
    assert_eq!(listener.lines(), ["a/b 0", "a/b 1", "a/b 2", "a "]);
    let kept = broker.run("subscribe", version, &["-t", "+/b", "-C", "1", "-W", "20"]);
    assert_eq!(kept, "2\n");
}

/// Each line exactly once and in order.
pub(crate) fn many_lines(version: Version) {
    // A subscriber that falls behind loses nothing.
    let broker = Broker::launch(&format!("lines-{}", version.level()), &["--queue", "20000"]);
    let listener = broker.listen("subscribe", version, "listener", &["-t", "n", "-q", "2", "-C", "20000", "-W", "60"]);
    let mut command = broker.example("publish", version, &["-t", "n", "-q", "2", "-l"]);
    let mut publisher = command.stdin(Stdio::piped()).spawn().unwrap();
    let lines: Vec<_> = (0..20_000).map(|number| number.to_string()).collect();
    publisher.stdin.take().unwrap().write_all(lines.join("\n").as_bytes()).unwrap();
    assert!(publisher.wait().unwrap().success());
    assert!(listener.lines() == lines, "other lines arrived");
}
