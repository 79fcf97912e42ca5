//! How a tool ends: one line on standard error, and the exit status.

use std::process::ExitCode;

use mqtt_session::{CloseReason, CommandError, Properties, QoS, ReasonCode};

use super::Arguments;

/// Why a tool ends without success.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Help was asked for; that is none.
    Help,
    /// The command line is wrong: status 2.
    Usage(String),
    /// It did not work: status 1.
    Failed(String),
    /// It did not work, and everything is said: status 1.
    Told,
    /// The time given is over: status 27, as of mosquitto's tools.
    TimeOver,
    /// A signal came: status 128 and its number.
    Interrupted(u8),
}

impl Failure {
    fn status(&self) -> u8 {
        match self {
            Self::Help => 0,
            Self::Failed(_) | Self::Told => 1,
            Self::Usage(_) => 2,
            Self::TimeOver => 27,
            Self::Interrupted(signal) => signal.saturating_add(128),
        }
    }
}

impl From<CommandError> for Failure {
    fn from(refused: CommandError) -> Self {
        Self::Failed(refused.to_string())
    }
}

/// Runs a tool, and tells how it ended.
pub(crate) fn finish(name: &str, usage: &str, tool: fn(Arguments) -> Result<(), Failure>) -> ExitCode {
    let Err(failure) = tool(Arguments::of_process()) else { return ExitCode::SUCCESS };
    match &failure {
        Failure::Help => println!("{usage}"),
        Failure::Usage(line) => eprintln!("{name}: {line} (--help tells more)"),
        Failure::Failed(line) => eprintln!("{name}: {line}"),
        Failure::TimeOver => eprintln!("{name}: the time is over"),
        Failure::Told | Failure::Interrupted(_) => {}
    }
    ExitCode::from(failure.status())
}

/// Why a connection ended, in words.
pub(crate) fn ended(reason: CloseReason) -> String {
    match reason {
        CloseReason::ConnectionRefused(code) => format!("the broker refused the connection: {code}"),
        CloseReason::DisconnectedByPeer(code) => format!("the broker ended the connection: {code}"),
        CloseReason::UnsupportedVersion => "the broker does not speak this version; -V asks for another".to_owned(),
        CloseReason::SessionUnknown => {
            "the broker has a session of an earlier run, which 5.0 does not let this one resume; once without -c ends it"
                .to_owned()
        }
        other => other.to_string(),
    }
}

/// What a broker adds in its own words. (5.0)
pub(crate) fn said(properties: &Properties<'_>) -> String {
    properties.reason_string().map_or_else(String::new, |reason| format!(" ({reason})"))
}

/// What a broker granted: `Err` with the failure in words.
pub(crate) fn granted(code: ReasonCode) -> Result<QoS, String> {
    match code {
        ReasonCode::Success => Ok(QoS::AtMostOnce),
        ReasonCode::GrantedQos1 => Ok(QoS::AtLeastOnce),
        ReasonCode::GrantedQos2 => Ok(QoS::ExactlyOnce),
        failure => Err(failure.to_string()),
    }
}
