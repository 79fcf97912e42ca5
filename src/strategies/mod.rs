//! Strategies of [`proptest`] for tests of applications, brokers and transports. (feature `proptest`, for a host)
//!
//! * [`Packets`]: valid packets of each type, for either end and version; and what is nearly a packet.
//! * [`Reads`]: how bytes come in pieces.
//! * [`Operations`]: lists of what applications do with their sessions, and of what happens meanwhile.
//! * [`Links`]: what a [`Harness`](crate::sim::Harness) or a [`Simulation`](crate::sim::Simulation) does to its link, and when that
//!   breaks.
//!
//! Each is a set of limits with defaults, and a failure shrinks to few and simple things.
//!
//! An application that counts something, and whose sum must be right on the server, too, whatever the link does:
//!
//! ```
//! use mqtt_session::sim::{Happened, Harness};
//! use mqtt_session::strategies::{Link, Links, Operation, Operations, Weights};
//! use mqtt_session::{CommandError, Connect, Event, Publish, QoS, Session, Version, server};
//! use proptest::prelude::*;
//!
//! # #[cfg(feature = "v311")] {
//! /// The application under test. It counts, and tells the server what to add.
//! #[derive(Default)]
//! struct Counter {
//!     session: Session<512, 4, 4>,
//!     sum: usize,
//!     /// What found no room yet.
//!     untold: usize,
//! }
//!
//! impl Counter {
//!     fn add(&mut self, some: usize) -> Result<(), CommandError> {
//!         self.sum += some;
//!         self.untold += some;
//!         let number = [u8::try_from(self.untold).unwrap()];
//!         match self.session.publish(&Publish { qos: QoS::ExactlyOnce, ..Publish::new("add", &number) }) {
//!             Ok(_) => Ok(self.untold = 0),
//!             Err(CommandError::Full) => Ok(()),
//!             Err(refused) => Err(refused),
//!         }
//!     }
//! }
//!
//! /// Both sums, once nothing is under way.
//! fn run(link: &Link, operations: &[Operation]) -> Result<(usize, usize), CommandError> {
//!     let mut counter = Counter::default();
//!     let mut harness: Harness = Harness::new(link.seed, link.faults, ());
//!     let connect = Connect { clean_start: false, ..Connect::new(Version::V311, "counter") };
//!     let (mut breaks, mut operations) = (link.breaks.iter(), operations.iter());
//!     let (mut steps, mut arrived) = (0, 0);
//!     loop {
//!         let happened = harness.step(&mut counter.session);
//!         let is_quiet = matches!(happened, Happened::Quiet);
//!         match happened {
//!             Happened::Offline => {
//!                 harness.connect(&mut counter.session, &connect)?;
//!                 breaks.next().into_iter().for_each(|it| harness.simulation().cut_after(it.after));
//!             }
//!             Happened::Server(server::Event::Message(message)) => arrived += usize::from(message.payload[0]),
//!             Happened::Client(Event::Published { .. }) if counter.untold != 0 => counter.add(0)?,
//!             _ => {}
//!         }
//!         // What the application does next, and when.
//!         if steps != 0 && !is_quiet {
//!             steps -= 1;
//!             continue;
//!         }
//!         match operations.next() {
//!             Some(Operation::Step(count)) => steps = *count,
//!             Some(Operation::Publish { len, .. }) => counter.add(*len)?,
//!             Some(_) => {}
//!             None if is_quiet => return Ok((counter.sum, arrived)),
//!             None => continue,
//!         }
//!         harness.simulation().wake();
//!     }
//! }
//!
//! let weights = Weights { publish: [0, 0, 3], step: 3, ..Weights::NONE };
//! let operations = Operations { payload: 5, weights, ..Operations::new(Version::V311) };
//! proptest!(|(link in Links::default().link(), operations in operations.list())| {
//!     let (counted, arrived) = run(&link, &operations).unwrap();
//!     prop_assert_eq!(counted, arrived);
//! });
//! # }
//! ```

extern crate alloc;

mod damage;
mod link;
mod operation;
mod packet;
mod property;
mod text;

pub use self::damage::{Damage, Damaged, Reads, reads};
pub use self::link::{Break, Link, Links, seed};
pub use self::operation::{Operation, Operations, Weights};
pub use self::packet::{Encoded, Packets};
pub use self::text::{topic_filter, topic_name};
