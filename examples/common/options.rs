//! The command line: flags as those of `mosquitto_pub` and `mosquitto_sub`.

use core::fmt::Display;
use core::str::FromStr;
use core::time::Duration;
use std::ffi::OsString;
use std::io::Error;

use mqtt_session::wire::check_topic_name;
use mqtt_session::{Connect, Properties, Property, QoS, Version, Will};

use super::{Failure, Link};

/// The arguments that are not read yet.
#[derive(Debug)]
pub(crate) struct Arguments(std::env::ArgsOs);

impl Arguments {
    pub(crate) fn of_process() -> Self {
        let mut arguments = std::env::args_os();
        arguments.next();
        Self(arguments)
    }

    /// The next flag; `None` behind the last one.
    pub(crate) fn flag(&mut self) -> Result<Option<String>, Failure> {
        let Some(flag) = self.0.next() else { return Ok(None) };
        match flag.into_string() {
            Ok(flag) if flag == "--help" => Err(Failure::Help),
            Ok(flag) => Ok(Some(flag)),
            Err(_) => Err(Failure::Usage("there is an argument that is not UTF-8".to_owned())),
        }
    }

    /// The value of a flag, as it is.
    pub(crate) fn raw(&mut self, flag: &str) -> Result<OsString, Failure> {
        self.0.next().ok_or_else(|| Failure::Usage(format!("{flag} needs a value")))
    }

    pub(crate) fn text(&mut self, flag: &str) -> Result<String, Failure> {
        self.raw(flag)?.into_string().map_err(|_| Failure::Usage(format!("{flag}: the value is not UTF-8")))
    }

    /// A value of any bytes.
    pub(crate) fn bytes(&mut self, flag: &str) -> Result<Vec<u8>, Failure> {
        self.raw(flag).map(OsString::into_encoded_bytes)
    }

    pub(crate) fn number<N: FromStr<Err: Display>>(&mut self, flag: &str) -> Result<N, Failure> {
        let text = self.text(flag)?;
        text.parse().map_err(|error| Failure::Usage(format!("{flag}: {text}: {error}")))
    }

    pub(crate) fn qos(&mut self, flag: &str) -> Result<QoS, Failure> {
        let text = self.text(flag)?;
        let qos = text.parse().ok().and_then(QoS::of_bits);
        qos.ok_or_else(|| Failure::Usage(format!("{flag}: {text} is no QoS: 0, 1 or 2")))
    }

    pub(crate) fn topic(&mut self, flag: &str) -> Result<String, Failure> {
        let topic = self.text(flag)?;
        match check_topic_name(&topic) {
            Ok(()) => Ok(topic),
            Err(violation) => Err(Failure::Usage(format!("{flag}: {topic}: {violation}"))),
        }
    }

    fn version(&mut self, flag: &str) -> Result<Version, Failure> {
        let text = self.text(flag)?;
        match text.as_str() {
            "mqttv311" | "311" | "4" => Ok(Version::V311),
            "mqttv5" | "5" => Ok(Version::V5),
            _ => Err(Failure::Usage(format!("{flag}: {text} is neither mqttv311 nor mqttv5"))),
        }
    }
}

/// How to connect, and to whom.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) version: Version,
    pub(crate) client_id: String,
    pub(crate) keep_alive: u16,
    /// Whether the session is to outlive its connections.
    pub(crate) lasting: bool,
    /// For how many seconds. (5.0)
    expiry: Option<u32>,
    /// How many seconds the broker may take for an answer.
    response_timeout: u8,
    /// The longest pause between two connections, in milliseconds.
    pub(crate) max_pause: u32,
    user_name: Option<String>,
    password: Option<Vec<u8>>,
    will: WillOptions,
}

#[derive(Debug, Default)]
struct WillOptions {
    topic: Option<String>,
    payload: Option<Vec<u8>>,
    qos: Option<QoS>,
    retain: bool,
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            host: "localhost".to_owned(),
            port: 1883,
            version: Version::V311,
            client_id: String::new(),
            keep_alive: 60,
            lasting: false,
            expiry: None,
            response_timeout: 10,
            max_pause: 30_000,
            user_name: None,
            password: None,
            will: WillOptions::default(),
        }
    }
}

impl Connection {
    /// The part of a usage that tells of the connection.
    pub(crate) const USAGE: &str = "
  -h, --host HOST               localhost by default
  -p, --port PORT               1883 by default
  -V, --protocol-version V      mqttv311 (the default) or mqttv5
  -i, --id ID                   the client identifier; the broker chooses one by default
  -k, --keepalive SECONDS       60 by default; 0: none
  -c, --disable-clean-session   keep the session, and connect again when the link is lost; needs -i
  -x, --session-expiry-interval SECONDS
                                with -c in 5.0: how long the broker keeps it; 3600 by default
  -u, --username NAME
  -P, --pw PASSWORD
      --response_timeout SECONDS        how long the broker may take for an answer; 10 by default
      --max-pause MILLISECONDS  with -c: the longest pause before another connection; 30000 by default
      --will-topic TOPIC, --will-payload TEXT, --will-qos QOS, --will-retain
                                what the broker publishes if the link is lost";

    /// Takes a flag that tells of the connection.
    pub(crate) fn take(&mut self, flag: &str, arguments: &mut Arguments) -> Result<(), Failure> {
        match flag {
            "-h" | "--host" => self.host = arguments.text(flag)?,
            "-p" | "--port" => self.port = arguments.number(flag)?,
            "-V" | "--protocol-version" => self.version = arguments.version(flag)?,
            "-i" | "--id" => self.client_id = arguments.text(flag)?,
            "-k" | "--keepalive" => self.keep_alive = arguments.number(flag)?,
            "-c" | "--disable-clean-session" => self.lasting = true,
            "-x" | "--session-expiry-interval" => self.expiry = Some(arguments.number(flag)?),
            "-u" | "--username" => self.user_name = Some(arguments.text(flag)?),
            "-P" | "--pw" => self.password = Some(arguments.bytes(flag)?),
            "--response_timeout" => self.response_timeout = arguments.number(flag)?,
            "--max-pause" => self.max_pause = arguments.number(flag)?,
            "--will-topic" => self.will.topic = Some(arguments.topic(flag)?),
            "--will-payload" => self.will.payload = Some(arguments.bytes(flag)?),
            "--will-qos" => self.will.qos = Some(arguments.qos(flag)?),
            "--will-retain" => self.will.retain = true,
            _ => return Err(Failure::Usage(format!("{flag} is not known"))),
        }
        Ok(())
    }

    /// Refuses what contradicts itself.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let wrong = |line: &str| Err(Failure::Usage(line.to_owned()));
        let Self { version, will, .. } = self;
        match (will.topic.is_some(), &will.payload, will.qos, will.retain) {
            (true, ..) | (false, None, None, false) => {}
            _ => return wrong("a will needs --will-topic"),
        }
        if self.lasting && self.client_id.is_empty() {
            return wrong("-c needs -i: a session is kept under a name");
        }
        if self.expiry.is_some() && (!self.lasting || *version != Version::V5) {
            return wrong("-x needs -c and -V mqttv5");
        }
        if self.expiry == Some(0) {
            return wrong("-x: a session that is kept needs at least one second");
        }
        if self.password.is_some() && self.user_name.is_none() && *version == Version::V311 {
            return wrong("-P needs -u in 3.1.1");
        }
        if self.response_timeout == 0 {
            return wrong("--response_timeout: it takes at least one second");
        }
        if self.max_pause == 0 {
            return wrong("--max-pause: it takes at least one millisecond");
        }
        Ok(())
    }

    pub(crate) fn open(&self) -> Result<Link, Error> {
        Link::open(&self.host, self.port, self.response_timeout())
    }

    /// How long the broker may take for an answer.
    pub(crate) fn response_timeout(&self) -> Duration {
        Duration::from_secs(self.response_timeout.into())
    }

    /// The properties of CONNECT: a session that is kept says for how long in 5.0.
    pub(crate) fn properties(&self) -> Vec<Property<'static>> {
        if self.lasting && self.version == Version::V5 {
            vec![Property::SessionExpiryInterval(self.expiry.unwrap_or(3600))]
        } else {
            Vec::new()
        }
    }

    pub(crate) fn connect<'a>(&'a self, properties: &'a [Property<'a>]) -> Connect<'a> {
        Connect {
            clean_start: !self.lasting,
            keep_alive: self.keep_alive,
            user_name: self.user_name.as_deref(),
            password: self.password.as_deref(),
            will: self.will(),
            properties: Properties::of(properties),
            response_timeout: core::time::Duration::from_secs(self.response_timeout.into()),
            ..Connect::new(self.version, &self.client_id)
        }
    }

    fn will(&self) -> Option<Will<'_>> {
        let WillOptions { topic, payload, qos, retain } = &self.will;
        topic.as_deref().map(|topic| Will {
            qos: qos.unwrap_or_default(),
            retain: *retain,
            ..Will::new(topic, payload.as_deref().unwrap_or_default())
        })
    }
}
