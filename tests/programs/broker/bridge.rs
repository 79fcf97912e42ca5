//! T9: a bridge of mosquitto, which first asks in a version of its own. Where mosquitto is not installed the test passes with a
//! word about it, but not in continuous integration (`CI=true`).

use std::fs;
use std::process::{Command, Stdio};

use super::clients::{installed, terminate};
use super::process::Broker;

#[test]
fn a_bridge_with_default_settings_gets_in() {
    let Some(mosquitto) = installed("mosquitto") else { return };
    let broker = Broker::launch("bridge", &[]);
    let (settings, socket) = (broker.file("bridge.conf"), broker.file("socket"));
    let text = format!(
        "user root\nlistener 0 {}\nallow_anonymous true\nconnection over\naddress 127.0.0.1:{}\ntopic # both 1\nrestart_timeout 1\n",
        socket.display(),
        broker.port()
    );
    fs::write(&settings, text).expect("the folder is ours");
    let mut command = Command::new(mosquitto);
    command.arg("-c").arg(&settings).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut bridge = command.spawn().expect("mosquitto starts");
    broker.await_log("MQTT 4, a new session");
    broker.await_log("subscribed to #");
    terminate(&mut bridge);
}
