//! What is told to the loggers `defmt` and `log`, whichever are there. Without their features everything here expands to
//! nothing, or to what it is given: the image does not change by a byte.
//!
//! Levels: `trace` for packets, `debug` for events and for commands that are refused for now, `info` for the end of a
//! connection that was asked for, `warn` for what the peer refuses, for other ends of connections, and for commands that
//! will be refused again. Nothing here shows a secret, or a byte of a payload: the loggers are given what `Debug` and
//! `Format` make of values, which is lengths.

use core::fmt::Debug;

#[cfg(feature = "defmt")]
pub(crate) use defmt::Format;

#[cfg(any(feature = "defmt", feature = "log"))]
pub(crate) use self::told::{Packets, refused};

/// Tells every logger the same. Of the placeholders, both know `{}` and `{:?}`.
macro_rules! report {
    ($level:ident, $($text_and_values:tt)*) => {
        #[cfg(feature = "defmt")]
        defmt::$level!($($text_and_values)*);
        #[cfg(feature = "log")]
        log::$level!(target: "mqtt_session", $($text_and_values)*);
    };
}

/// The result of a command, told if it is a refusal.
#[cfg(any(feature = "defmt", feature = "log"))]
macro_rules! attempt {
    ($command:literal, $result:expr) => {
        crate::report::refused($command, $result)
    };
}

#[cfg(not(any(feature = "defmt", feature = "log")))]
macro_rules! attempt {
    ($command:literal, $result:expr) => {
        $result
    };
}

pub(crate) use {attempt, report};

/// What can be told.
pub(crate) trait Reportable: Debug + Format {}

impl<T: Debug + Format> Reportable for T {}

/// Anything, where nobody asks.
#[cfg(not(feature = "defmt"))]
pub(crate) trait Format {}

#[cfg(not(feature = "defmt"))]
impl<T> Format for T {}

#[cfg(any(feature = "defmt", feature = "log"))]
mod told {
    use core::fmt;

    use crate::error::CommandError;
    use crate::wire::{Packet, Role, Version};

    /// Whole packets, one behind the other. They are decoded if a logger wants to show them.
    #[derive(Clone, Copy)]
    pub(crate) struct Packets<'p> {
        pub(crate) version: Version,
        pub(crate) to: Role,
        pub(crate) bytes: &'p [u8],
    }

    impl<'p> Iterator for Packets<'p> {
        type Item = Packet<'p>;

        fn next(&mut self) -> Option<Packet<'p>> {
            let (packet, len) = Packet::decode(self.version, self.to, self.bytes).ok()??;
            self.bytes = self.bytes.get(len..).unwrap_or_default();
            Some(packet)
        }
    }

    impl fmt::Debug for Packets<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_list().entries(*self).finish()
        }
    }

    #[cfg(feature = "defmt")]
    impl defmt::Format for Packets<'_> {
        fn format(&self, f: defmt::Formatter<'_>) {
            for packet in *self {
                defmt::write!(f, "{} ", packet);
            }
        }
    }

    /// See [`attempt`](super::attempt).
    pub(crate) fn refused<T>(command: &str, result: Result<T, CommandError>) -> Result<T, CommandError> {
        match &result {
            Ok(_) => {}
            Err(refused @ (CommandError::Full | CommandError::Offline | CommandError::Closing)) => {
                report!(debug, "{} refused: {:?}", command, refused);
            }
            Err(refused) => {
                report!(warn, "{} refused: {:?}", command, refused);
            }
        }
        result
    }
}

#[cfg(all(test, feature = "defmt", feature = "v311"))]
mod tests {
    extern crate std;

    use crate::wire::{Role, Version};

    use super::told::Packets;

    /// At the level `trace`, which images for tests leave out.
    #[test]
    fn packets_are_told_without_their_payloads() {
        let bytes = b"\x30\x09\0\x05first12\x30\x09\0\x06second3";
        let packets = Packets { version: Version::V311, to: Role::Server, bytes };
        defmt::export::fetch_bytes();
        defmt::println!("{}", packets);
        let told = defmt::export::fetch_bytes();
        let has = |text: &[u8]| told.windows(text.len()).any(|window| window == text);
        assert!(has(b"first") && has(b"second"), "{told:?}");
        assert!(!has(b"first1") && !has(b"12") && !has(b"second3"), "{told:?}");
    }
}
