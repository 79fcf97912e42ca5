//! The command-line tools, as processes, where no broker is needed: wrong arguments, hosts that cannot be reached, brokers
//! that refuse, stay silent, or send nonsense.
#![cfg(all(feature = "v311", feature = "v5"))]
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a fault here is a failed test")]

use core::time::Duration;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Instant;

const TOOLS: [&str; 4] = ["publish", "subscribe", "echo", "throughput"];

/// The least that each tool needs.
fn needed(tool: &str) -> &'static [&'static str] {
    match tool {
        "publish" => &["-t", "a", "-m", "b", "-q", "1"],
        "subscribe" => &["-t", "a"],
        _ => &[],
    }
}

fn run(tool: &str, arguments: &[&str]) -> Output {
    command(tool).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn command(tool: &str) -> Command {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples");
    path.push(format!("{tool}{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "{} is not built: cargo build --examples", path.display());
    Command::new(path)
}

/// Runs a tool with the least it needs, against a port of this machine.
fn run_at(tool: &str, port: u16, version: &str, more: &[&str]) -> Output {
    let port = port.to_string();
    let mut arguments = vec!["-h", "127.0.0.1", "-p", &port, "-V", version];
    arguments.extend(needed(tool));
    arguments.extend(more);
    run(tool, &arguments)
}

/// One line on standard error, nothing on standard output, and this status.
#[track_caller]
fn assert_fails(output: &Output, status: i32, line: &str) {
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!((said.trim_end(), output.status.code()), (line, Some(status)));
    let table = output.stdout.starts_with(b"QoS") && output.stdout.split(|&byte| byte == b'\n').count() == 2;
    assert!(output.stdout.is_empty() || table, "{}", String::from_utf8_lossy(&output.stdout));
}

/// Runs a tool against a broker for one connection, which is given to `serve` once CONNECT has come.
fn run_against(tool: &str, version: &str, more: &[&str], serve: impl FnOnce(TcpStream) + Send + 'static) -> Output {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let broker = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        assert_eq!(packet(&mut socket).first(), Some(&0x10));
        serve(socket);
    });
    let output = run_at(tool, port, version, more);
    broker.join().unwrap();
    output
}

/// Reads a packet of up to 127 bytes behind its header; empty at the end.
fn packet(socket: &mut TcpStream) -> Vec<u8> {
    let mut packet = vec![0; 2];
    if socket.read_exact(&mut packet).is_err() {
        return Vec::new();
    }
    let mut body = vec![0; packet.last().copied().unwrap().into()];
    socket.read_exact(&mut body).unwrap();
    packet.extend(body);
    packet
}

/// Stays until the other end has closed, so that nothing that was written is cut off.
fn see_off(mut socket: TcpStream) {
    let _ = socket.read_to_end(&mut Vec::new());
}

fn answer(bytes: &'static [u8]) -> impl FnOnce(TcpStream) + Send {
    move |mut socket| {
        socket.write_all(bytes).unwrap();
        see_off(socket);
    }
}

#[test]
fn help_is_printed() {
    for tool in TOOLS {
        let output = run(tool, &["--help"]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && output.stderr.is_empty());
        assert!(text.starts_with(&format!("usage: {tool} ")), "{text}");
        assert!(text.lines().count() > 15 && text.lines().all(|line| line.len() <= 120), "{text}");
    }
}

#[test]
fn wrong_arguments_are_one_line() {
    for (tool, arguments, line) in [
        ("publish", &["--nonsense"][..], "--nonsense is not known"),
        ("publish", &["-t"], "-t needs a value"),
        ("publish", &["-m", "a"], "-t is missing: the topic"),
        ("publish", &["-t", "a"], "there must be one of -m, -n, -f and -l"),
        ("publish", &["-t", "a", "-m", "b", "-n"], "there must be one of -m, -n, -f and -l"),
        ("publish", &["-t", "a/#", "-n"], "-t: a/#: A topic name contains a wildcard."),
        ("publish", &["-t", "a", "-n", "-q", "3"], "-q: 3 is no QoS: 0, 1 or 2"),
        ("publish", &["-t", "a", "-n", "-p", "x"], "-p: x: invalid digit found in string"),
        ("publish", &["-t", "a", "-n", "-p", "65536"], "-p: 65536: number too large to fit in target type"),
        ("publish", &["-t", "a", "-n", "-V", "6"], "-V: 6 is neither mqttv311 nor mqttv5"),
        ("publish", &["-t", "a", "-n", "-c"], "-c needs -i: a session is kept under a name"),
        ("publish", &["-t", "a", "-n", "-x", "5"], "-x needs -c and -V mqttv5"),
        ("publish", &["-t", "a", "-n", "-P", "secret"], "-P needs -u in 3.1.1"),
        ("publish", &["-t", "a", "-n", "-M", "4097"], "-M: 4097 is not among 1 to 4096"),
        ("publish", &["-t", "a", "-n", "--max-pause", "0"], "--max-pause: it takes at least one millisecond"),
        ("publish", &["-t", "a", "-n", "--will-qos", "1"], "a will needs --will-topic"),
        ("subscribe", &[], "-t is missing: what to subscribe to"),
        (
            "subscribe",
            &["-t", "a#"],
            "-t: a#: The wildcard `#` does not stand alone in the last level of its topic filter.",
        ),
        ("subscribe", &["-t", "a", "-C", "0"], "-C: it takes at least one message"),
        ("echo", &["-t", "a/#", "--to", "a/b"], "--to: a/b is among what is answered, and would never end"),
        ("throughput", &["--size", "3"], "it takes at least one message, of at least 4 bytes"),
    ] {
        assert_fails(&run(tool, arguments), 2, &format!("{tool}: {line} (--help tells more)"));
    }
}

#[test]
fn a_file_that_is_not_there_is_one_line() {
    let output = run("publish", &["-t", "a", "-f", "no/such/file"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("publish: no/such/file: ") && said.lines().count() == 1, "{said}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn an_unreachable_port_is_one_line() {
    // Taken, and free again: nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for tool in TOOLS {
        for more in [&[][..], &["-i", "x", "-c"]] {
            if tool == "throughput" && !more.is_empty() {
                continue;
            }
            let output = run_at(tool, port, "5", more);
            let said = String::from_utf8(output.stderr).unwrap();
            let start = format!("{tool}: 127.0.0.1:{port} cannot be reached: ");
            assert!(said.starts_with(&start) && said.lines().count() == 1, "{said}");
            assert_eq!(output.status.code(), Some(1));
        }
    }
}

#[test]
fn a_refusal_is_told_in_words() {
    for tool in TOOLS {
        for (version, connack, words) in [
            ("mqttv311", &[0x20, 2, 0, 5][..], "the broker refused the connection: not authorized (0x87)"),
            ("mqttv311", &[0x20, 2, 0, 4], "the broker refused the connection: bad user name or password (0x86)"),
            ("mqttv311", &[0x20, 2, 0, 2], "the broker refused the connection: client identifier not valid (0x85)"),
            ("mqttv5", &[0x20, 3, 0, 0x87, 0], "the broker refused the connection: not authorized (0x87)"),
            (
                "mqttv5",
                b"\x20\x0d\0\x9b\x0a\x1f\0\x07so much",
                "the broker refused the connection: qos not supported (0x9B) (so much)",
            ),
            ("mqttv5", &[0x20, 2, 0, 1], "the broker does not speak this version; -V asks for another"),
        ] {
            let output = run_against(tool, version, &[], answer(connack));
            assert_fails(&output, 1, &format!("{tool}: {words}"));
        }
    }
}

#[test]
fn the_response_timeout_ends() {
    let begin = Instant::now();
    let tools =
        TOOLS.map(|tool| thread::spawn(move || (tool, run_against(tool, "5", &["--response_timeout", "1"], see_off))));
    for thread in tools {
        let (tool, output) = thread.join().unwrap();
        assert_fails(&output, 1, &format!("{tool}: CONNACK did not come in time"));
    }
    assert!((Duration::from_secs(1)..Duration::from_secs(4)).contains(&begin.elapsed()));
}

#[test]
fn nonsense_ends_the_connection() {
    for tool in TOOLS {
        for (version, bytes, words) in [
            ("5", &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "the peer broke a rule: "),
            ("311", b"\xff\xff\xff\xff\xff", "the peer broke a rule: "),
            ("5", b"\xd0\0", "a packet came before CONNACK"),
            ("311", b"\x20\x02\x01\0", "the server resumes a session though a clean start was asked for"),
        ] {
            let output = run_against(tool, version, &[], answer(bytes));
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(said.starts_with(&format!("{tool}: {words}")) && said.lines().count() == 1, "{said}");
            assert_eq!(output.status.code(), Some(1));
        }
    }
}

#[test]
fn a_lost_link_is_one_line() {
    for tool in TOOLS {
        let output = run_against(tool, "311", &[], drop);
        assert_fails(&output, 1, &format!("{tool}: the transport was lost"));
    }
}

#[test]
fn a_rejected_message_is_told() {
    let output = run_against("publish", "5", &["-i", "x"], |mut socket| {
        socket.write_all(&[0x20, 3, 0, 0, 0]).unwrap();
        let publish = packet(&mut socket);
        assert_eq!(publish, [0x32, 7, 0, 1, b'a', 0, 1, 0, b'b']);
        socket.write_all(&[0x40, 3, 0, 1, 0x97]).unwrap();
        assert_eq!(packet(&mut socket), [0xE0, 0]);
    });
    assert_fails(&output, 1, "publish: the message was refused: quota exceeded (0x97)");
}

/// The link is lost before the answer: the message comes again over the next one, and the session ends at last.
#[test]
fn a_message_survives_the_link() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let broker = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let connect = packet(&mut socket);
        socket.write_all(&[0x20, 3, 0, 0, 0]).unwrap();
        assert_eq!(packet(&mut socket), [0x32, 7, 0, 1, b'a', 0, 1, 0, b'b']);
        drop(socket);
        let (mut socket, _) = listener.accept().unwrap();
        assert_eq!(packet(&mut socket), connect);
        socket.write_all(&[0x20, 3, 1, 0, 0]).unwrap();
        assert_eq!(packet(&mut socket), [0x3A, 7, 0, 1, b'a', 0, 1, 0, b'b']);
        socket.write_all(&[0x40, 2, 0, 1]).unwrap();
        assert_eq!(packet(&mut socket), [0xE0, 7, 0, 5, 0x11, 0, 0, 0, 0]);
    });
    let output = run_at("publish", port, "5", &["-i", "x", "-c"]);
    broker.join().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("publish: the transport was lost; connecting again in "), "{said}");
    assert_eq!((said.lines().count(), output.status.code()), (1, Some(0)));
}

#[test]
fn a_refused_subscription_is_told() {
    for tool in ["subscribe", "echo", "throughput"] {
        let more: &[&str] = if tool == "subscribe" { &["-i", "x"] } else { &["-t", "a", "-i", "x"] };
        let output = run_against(tool, "5", more, |mut socket| {
            socket.write_all(&[0x20, 3, 0, 0, 0]).unwrap();
            let subscribe = packet(&mut socket);
            assert_eq!(subscribe.first(), Some(&0x82));
            socket.write_all(&[0x90, 4, 0, 1, 0, 0x87]).unwrap();
            assert_eq!(packet(&mut socket), [0xE0, 0]);
        });
        assert_fails(&output, 1, &format!("{tool}: the subscription to a was refused: not authorized (0x87)"));
    }
}

#[test]
fn a_message_is_printed() {
    for (more, expected) in [(&[][..], &b"hello\n"[..]), (&["-v"], b"a hello\n"), (&["-N"], b"hello")] {
        let output = run_against("subscribe", "311", &[&["-q", "1", "-C", "1"], more].concat(), |mut socket| {
            socket.write_all(&[0x20, 2, 0, 0]).unwrap();
            assert_eq!(packet(&mut socket), [0x82, 6, 0, 1, 0, 1, b'a', 1]);
            socket.write_all(&[0x90, 3, 0, 1, 1]).unwrap();
            socket.write_all(b"\x32\x0a\0\x01a\0\x07hello").unwrap();
            assert_eq!(packet(&mut socket), [0x40, 2, 0, 7]);
            assert_eq!(packet(&mut socket), [0xE0, 0]);
        });
        assert_eq!((output.stdout, output.status.code()), (expected.to_vec(), Some(0)));
    }
}

#[test]
fn the_time_ends() {
    let output = run_against("subscribe", "311", &["-W", "1"], |mut socket| {
        socket.write_all(&[0x20, 2, 0, 0, 0x90, 3, 0, 1, 0]).unwrap();
        assert_eq!(packet(&mut socket).first(), Some(&0x82));
        assert_eq!(packet(&mut socket), [0xE0, 0]);
    });
    assert_fails(&output, 27, "subscribe: the time is over");
}

/// Each of these connections carries a message and is lost. The pauses stay as short as the first.
///
/// They doubled, once: to more than 8 seconds behind the seventh connection.
#[test]
fn pauses_begin_anew_behind_a_message() {
    for (version, v5) in [("311", false), ("5", true)] {
        let pauses = pauses(version, 8, &["-C", "9"], move |socket, connection| {
            begin(socket, v5, connection != 0);
            if connection == 0 {
                grant(socket, v5);
            }
            socket.write_all(if v5 { b"\x30\x05\0\x01a\0b" } else { b"\x30\x04\0\x01ab" }).unwrap();
        });
        assert!(pauses.iter().all(|pause| (125..=250).contains(pause)), "{pauses:?}");
    }
}

/// The same where these connections carry nothing but a message that was sent before, in one piece with CONNACK.
#[test]
fn pauses_begin_anew_behind_what_comes_again() {
    for (version, v5) in [("311", false), ("5", true)] {
        let pauses = pauses(version, 6, &["-C", "2", "-q", "2"], move |socket, connection| {
            let publish: &[u8] = if v5 { b"\x3c\x07\0\x01a\0\x07\0b" } else { b"\x3c\x06\0\x01a\0\x07b" };
            if connection == 0 {
                begin(socket, v5, false);
                grant(socket, v5);
                socket.write_all(&[&[0x34], publish.get(1..).unwrap()].concat()).unwrap();
                assert_eq!(packet(socket), [0x50, 2, 0, 7]);
                return;
            }
            assert_eq!(packet(socket).first(), Some(&0x10));
            let connack: &[u8] = if v5 { &[0x20, 3, 1, 0, 0] } else { &[0x20, 2, 1, 0] };
            socket.write_all(&[connack, publish].concat()).unwrap();
            if connection == 6 {
                socket.write_all(if v5 { b"\x30\x05\0\x01a\0b" } else { b"\x30\x04\0\x01ab" }).unwrap();
            }
        });
        assert!(pauses.iter().all(|pause| (125..=250).contains(pause)), "{pauses:?}");
    }
}

/// The same for what is published and acknowledged.
#[test]
fn pauses_begin_anew_behind_an_acknowledgement() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let broker = thread::spawn(move || {
        for connection in 0..6 {
            let (mut socket, _) = listener.accept().unwrap();
            begin(&mut socket, false, connection != 0);
            let publish = packet(&mut socket);
            assert_eq!(publish.first().map(|first| first >> 4), Some(3));
            let identifier = publish.get(5..7).unwrap();
            socket.write_all(&[&[0x40, 2], identifier].concat()).unwrap();
            if connection == 5 {
                see_off(socket);
            } else {
                // The next message is lost.
                packet(&mut socket);
            }
        }
    });
    let input = std::env::temp_dir().join(format!("mqtt-session-lines-{}", std::process::id()));
    std::fs::write(&input, "1\n2\n3\n4\n5\n6\n").unwrap();
    let port = port.to_string();
    let output = command("publish")
        .args(["-h", "127.0.0.1", "-p", &port, "-t", "a", "-q", "1", "-l", "-c", "-i", "x", "-M", "1"])
        .stdin(std::fs::File::open(&input).unwrap())
        .output()
        .unwrap();
    broker.join().unwrap();
    std::fs::remove_file(&input).unwrap();
    let pauses = told_pauses(&output);
    assert_eq!((pauses.len(), output.status.code()), (5, Some(0)), "{output:?}");
    assert!(pauses.iter().all(|pause| (125..=250).contains(pause)), "{pauses:?}");
}

/// Connections that are accepted and lost, and some that are not even accepted: the pauses grow, up to what was allowed.
#[test]
fn pauses_grow_where_nothing_comes_of_them() {
    for accepted in [true, false] {
        let pauses = pauses("311", 5, &["-C", "1", "--max-pause", "800"], move |socket, connection| {
            if accepted || connection == 5 {
                begin(socket, false, connection != 0);
            }
            if connection == 5 {
                socket.write_all(b"\x30\x04\0\x01ab").unwrap();
            }
        });
        for (pause, longest) in pauses.iter().zip([250, 500, 800, 800, 800]) {
            assert!((longest / 2..=longest).contains(pause), "{pauses:?}");
        }
    }
}

/// The first connection is lost before CONNACK. In 5.0 what CONNECT began is not known here, so a clean start must follow.
#[test]
fn a_first_connection_that_is_lost_comes_again() {
    for (version, v5) in [("311", false), ("5", true)] {
        let pauses = pauses(version, 1, &["-C", "1"], move |socket, connection| {
            if connection == 0 {
                assert_eq!(packet(socket).first(), Some(&0x10));
                return;
            }
            assert_eq!(begin(socket, v5, !v5), v5);
            grant(socket, v5);
            socket.write_all(if v5 { b"\x30\x05\0\x01a\0b" } else { b"\x30\x04\0\x01ab" }).unwrap();
        });
        assert_eq!(pauses.len(), 1);
    }
}

/// The link is gone and nobody says so. The keep alive would tell of it after minutes.
#[test]
fn a_subscription_that_is_not_answered_is_told() {
    for tool in ["subscribe", "echo"] {
        for (version, connack) in [("311", &[0x20, 2, 0, 0][..]), ("5", &[0x20, 3, 0, 0, 0])] {
            let output =
                run_against(tool, version, &["-i", "x", "--response_timeout", "1", "-k", "600"], answer(connack));
            let words = "the transport was lost (SUBACK did not come in time)";
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!((said.trim_end(), output.status.code()), (&*format!("{tool}: {words}"), Some(1)));
        }
    }
}

/// Runs `subscribe` over connections that `serve` is given before CONNECT is read, each of which is lost behind it but the
/// last: the pauses that it told.
fn pauses(
    version: &str,
    lost: usize,
    more: &[&str],
    serve: impl Fn(&mut TcpStream, usize) + Send + 'static,
) -> Vec<u32> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let broker = thread::spawn(move || {
        for connection in 0..=lost {
            let (mut socket, _) = listener.accept().unwrap();
            serve(&mut socket, connection);
            if connection == lost {
                see_off(socket);
            }
        }
    });
    let output = run_at("subscribe", port, version, &[&["-c", "-i", "x", "-W", "60"], more].concat());
    broker.join().unwrap();
    let pauses = told_pauses(&output);
    assert_eq!((pauses.len(), output.status.code()), (lost, Some(0)), "{output:?}");
    pauses
}

/// CONNECT and CONNACK. Tells whether a clean start was asked for.
fn begin(socket: &mut TcpStream, v5: bool, session_present: bool) -> bool {
    let connect = packet(socket);
    assert_eq!(connect.first(), Some(&0x10));
    let present = u8::from(session_present);
    let connack: &[u8] = if v5 { &[0x20, 3, present, 0, 0] } else { &[0x20, 2, present, 0] };
    socket.write_all(connack).unwrap();
    connect.get(9).unwrap() & 2 != 0
}

/// SUBSCRIBE and SUBACK.
fn grant(socket: &mut TcpStream, v5: bool) {
    let subscribe = packet(socket);
    assert_eq!(subscribe.first(), Some(&0x82));
    let identifier = subscribe.get(2..4).unwrap();
    let suback = if v5 { [&[0x90, 4], identifier, &[0, 0]].concat() } else { [&[0x90, 3], identifier, &[0]].concat() };
    socket.write_all(&suback).unwrap();
}

/// The milliseconds of each line that tells of a pause.
fn told_pauses(output: &Output) -> Vec<u32> {
    let said = String::from_utf8_lossy(&output.stderr);
    let pauses = said.lines().filter_map(|line| line.split_once("connecting again in ")?.1.strip_suffix(" ms"));
    pauses.map(|pause| pause.parse().unwrap()).collect()
}
