//! `mosquitto_sub` with brokers that do not log what they do.

use core::time::Duration;
use std::rc::Rc;
use std::thread::sleep;
use std::time::Instant as Clock;

use mqtt_session::Version;

use super::broker::Broker;
use super::process::{LIMIT, Listener};
use super::proxy::{Faults, Proxy};

impl Broker {
    /// Starts `mosquitto_sub` and waits until it is subscribed.
    pub(crate) fn subscribe(&self, version: Version, name: &str, arguments: &[&str]) -> Listener<Rc<Proxy>> {
        let proxy = Rc::new(Proxy::start(self.address(), version, 1, Faults::NONE));
        let mut command = self.client("mosquitto_sub", version, arguments);
        command.args(["-p", &proxy.address().port().to_string(), "-i", name, "-W", "20"]);
        let listener = Listener::start_over(Rc::clone(&proxy), &mut command);
        let end = Clock::now() + LIMIT;
        while !proxy.wire(|wire| wire.trace.iter().any(|line| line.starts_with("<- Suback"))) {
            assert!(Clock::now() < end, "mosquitto_sub is not subscribed");
            sleep(Duration::from_millis(2));
        }
        listener
    }
}
