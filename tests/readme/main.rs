//! The loop of the README as it stands there, run over a simulated link with a server's end that is real.
//!
//! Of `std` it sees what is in this crate: a socket, a clock and a pause that belong to a [`World`](world::World).
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a fault here is a failed test"
)]

extern crate self as std;
extern crate std as real;

// Lints are for what is not shown to everybody.
#[allow(clippy::cast_possible_truncation, clippy::std_instead_of_core, clippy::too_many_lines)]
mod client {
    use real::prelude::rust_2024::*;

    include!("client.rs");

    pub(crate) fn run() -> Result<(), Box<dyn std::error::Error>> {
        main()
    }
}
mod runs;
mod world;

pub(crate) use real::error;

/// Of the real one, but the same in each run.
mod hash {
    pub(crate) use real::hash::BuildHasher;

    pub(crate) struct RandomState;

    impl RandomState {
        pub(crate) const fn new() -> Self {
            Self
        }
    }

    impl BuildHasher for RandomState {
        type Hasher = real::hash::DefaultHasher;

        fn build_hasher(&self) -> Self::Hasher {
            Self::Hasher::new()
        }
    }
}

mod io {
    pub(crate) use real::io::{Error, ErrorKind, Read, Result, Write};
}

/// Sockets to the only server that there is.
mod net {
    use crate::io::{Read, Result, Write};
    use crate::time::Duration;
    use crate::world::with;

    pub(crate) struct TcpStream {
        timeout: Option<Duration>,
    }

    impl TcpStream {
        pub(crate) fn connect(address: &str) -> Result<Self> {
            assert_eq!(address, "localhost:1883");
            with(|world| world.dial())?;
            Ok(Self { timeout: None })
        }

        pub(crate) fn set_read_timeout(&mut self, timeout: Option<Duration>) -> Result<()> {
            assert_ne!(timeout, Some(Duration::ZERO), "refused by std");
            self.timeout = timeout;
            Ok(())
        }
    }

    impl Read for TcpStream {
        fn read(&mut self, into: &mut [u8]) -> Result<usize> {
            assert!(!into.is_empty());
            with(|world| world.read(into, self.timeout))
        }
    }

    impl Write for TcpStream {
        fn write(&mut self, bytes: &[u8]) -> Result<usize> {
            with(|world| world.write(bytes))
        }

        fn flush(&mut self) -> Result<()> {
            Ok(())
        }
    }

    impl Drop for TcpStream {
        fn drop(&mut self) {
            with(|world| world.hang_up());
        }
    }
}

mod thread {
    pub(crate) fn sleep(pause: crate::time::Duration) {
        crate::world::with(|world| world.sleep(pause));
    }
}

mod time {
    pub(crate) use real::time::Duration;

    pub(crate) struct Instant(mqtt_session::Instant);

    impl Instant {
        pub(crate) fn now() -> Self {
            Self(crate::world::with(|world| world.now()))
        }

        pub(crate) fn elapsed(&self) -> Duration {
            Duration::from_millis(Self::now().0.millis_since(self.0))
        }
    }
}

/// What the README shows is what is run here.
#[test]
fn the_readme_shows_this_loop() {
    let readme = include_str!("../../README.md");
    let shown = readme.split("```rust,no_run\n").filter_map(|rest| rest.split("```\n").next());
    let loops = shown.filter(|block| *block == include_str!("client.rs"));
    assert_eq!(loops.count(), 1, "the README has not the loop of tests/readme/client.rs");
}
