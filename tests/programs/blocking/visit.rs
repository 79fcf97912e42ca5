//! An example that takes a host and a port, as a process: against mosquitto, and against brokers that are of no use.

use core::time::Duration;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Instant;

use super::broker::Broker;

/// It does its exchange and ends without a word.
pub(crate) fn mosquitto(name: &str, program: &Path) {
    let Some(broker) = Broker::start(&format!("visit-{name}"), "") else { return };
    assert_ends_well(&run(program, broker.address().port()));
    for text in ["Received SUBSCRIBE", "Sending PUBCOMP", "Received PUBREC", "Received DISCONNECT"] {
        broker.await_log(text);
    }
}

/// It says one line, in time.
pub(crate) fn useless_brokers(name: &str, program: &Path) {
    let end = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    assert_fails(&run(program, end), name, "cannot be reached: ");
    assert_fails(&run_against(program, |_| {}), name, "the transport was lost");
    let nonsense = |socket: &mut TcpStream| socket.write_all(b"SSH-2.0-OpenSSH_9.6\r\n").unwrap();
    assert_fails(&run_against(program, nonsense), name, "the peer broke a rule: ");
    let refusal = |socket: &mut TcpStream| socket.write_all(&[0x20, 3, 0, 0x87, 0]).unwrap();
    assert_fails(&run_against(program, refusal), name, "the server refused the connection: not authorized (0x87)");
    let begin = Instant::now();
    let silence = |socket: &mut TcpStream| drop(socket.read_to_end(&mut Vec::new()));
    assert_fails(&run_against(program, silence), name, "CONNACK did not come in time");
    assert!(begin.elapsed() < Duration::from_secs(15));
}

pub(crate) fn assert_ends_well(output: &Output) {
    let Output { status, stdout, stderr } = output;
    assert_eq!((&*String::from_utf8_lossy(stderr), &**stdout), ("", &b""[..]));
    assert!(status.success());
}

pub(crate) fn run(program: &Path, port: u16) -> Output {
    assert!(program.exists(), "{} is not built: cargo build --examples", program.display());
    Command::new(program).args(["127.0.0.1", &port.to_string()]).stdin(Stdio::null()).output().unwrap()
}

#[track_caller]
fn assert_fails(output: &Output, name: &str, line: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.starts_with(&format!("{name}: ")) && said.contains(line) && said.lines().count() == 1, "{said}");
    assert_eq!((output.status.code(), &*output.stdout), (Some(1), &b""[..]));
}

/// Each connection is given to `serve` once CONNECT has come, and then closed.
fn run_against(program: &Path, serve: impl Fn(&mut TcpStream) + Send + 'static) -> Output {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // It ends with this process.
    thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            let mut connect = [0; 2];
            socket.read_exact(&mut connect).unwrap();
            socket.read_exact(&mut vec![0; connect[1].into()]).unwrap();
            serve(&mut socket);
        }
    });
    run(program, port)
}
