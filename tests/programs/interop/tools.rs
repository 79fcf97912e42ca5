//! The command-line tools among the examples, with mosquitto's own on the other side.

use super::on::On;

pub(crate) fn publish_to_mosquitto_sub(on: On) {
    let Some(broker) = on.start("tools-publish") else { return };
    let version = on.version;
    let arguments = ["-q", "2", "-t", "tools/#", "-C", "4", "-F", "%t %q %r %p"];
    let listener = broker.subscribe(version, "listener", &arguments);
    for (qos, more) in [("0", "-n"), ("1", "-r"), ("2", "-r")] {
        let message: &[&str] = if more == "-n" { &["-n"] } else { &["-r", "-m", "hello"] };
        let mut command = broker.example("publish", version, &["-t", "tools/a", "-q", qos]);
        let output = command.args(message).output().expect("it starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    broker.publish(version, &["-q", "2", "-t", "tools/b", "-m", "last"]);
    assert_eq!(listener.lines(), ["tools/a 0 0 ", "tools/a 1 0 hello", "tools/a 2 0 hello", "tools/b 2 0 last"]);
}

pub(crate) fn mosquitto_pub_to_subscribe(on: On) {
    let Some(broker) = on.start("tools-subscribe") else { return };
    let version = on.version;
    let listener =
        broker.listen("subscribe", version, "ours", &["-q", "2", "-t", "tools/#", "-v", "-C", "3", "-W", "20"]);
    for qos in ["0", "1", "2"] {
        broker.publish(version, &["-q", qos, "-t", "tools/a", "-m", qos]);
    }
    assert_eq!(listener.lines(), ["tools/a 0", "tools/a 1", "tools/a 2"]);
}

pub(crate) fn echo_between_both(on: On) {
    let Some(broker) = on.start("tools-echo") else { return };
    let version = on.version;
    let _echo = broker.listen("echo", version, "echo", &["-t", "ask/#", "--to", "answer", "-q", "2"]);
    let listener = broker.subscribe(version, "listener", &["-q", "2", "-t", "answer", "-C", "2", "-F", "%q %p"]);
    broker.publish(version, &["-q", "1", "-t", "ask/a", "-m", "who"]);
    broker.publish(version, &["-q", "2", "-t", "ask/b", "-m", "where"]);
    let answers = listener.lines();
    assert!(answers.iter().map(|answer| &answer[2..]).eq(["who", "where"]), "{answers:?}");
}
