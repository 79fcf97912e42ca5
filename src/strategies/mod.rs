//! Strategies of [`proptest`] for tests of applications, brokers and transports. (feature `proptest`, for a host)
//!
//! * [`Packets`]: valid packets of each type, for either end and version; and what is nearly a packet.
//! * [`Reads`]: how bytes come in pieces.
//! * [`Operations`]: lists of what applications do with their sessions, and of what happens meanwhile.
//! * [`Links`]: what a [`Simulation`](crate::sim::Simulation) does to its link, and when that breaks.
//!
//! Each is a set of limits with defaults, and a failure shrinks to few and simple things.
//!
//! An application that counts something, and whose sum must be right on the server, too, whatever the link does:
//!
//! ```
//! use mqtt_session::sim::{Simulation, Turn};
//! use mqtt_session::strategies::{Link, Links, Operation, Operations, Weights};
//! use mqtt_session::{Connect, Event, Inbox, Publish, QoS, CommandError, Session, Version, server};
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
//!     let mut server: server::Session<512, 4, 4> = server::Session::new();
//!     let mut inboxes: [Inbox<[u8; 64]>; 2] = [Inbox::new(), Inbox::new()];
//!     let [client_inbox, server_inbox] = &mut inboxes;
//!     let connect = Connect { clean_start: false, keep_alive: 0, ..Connect::new(Version::V311, "counter") };
//!     let mut sim: Simulation<()> = Simulation::new(link.seed, link.faults, ());
//!     let (mut breaks, mut operations) = (link.breaks.iter(), operations.iter());
//!     let (mut open, mut steps, mut arrived) = (0, 0, 0);
//!     loop {
//!         if open == 0 {
//!             sim.connect();
//!             breaks.next().into_iter().for_each(|it| sim.cut_after(it.after));
//!             server.open(core::time::Duration::from_secs(10));
//!             server_inbox.clear();
//!             counter.session.connect(client_inbox, &connect)?;
//!             open = 2;
//!         }
//!         let turn = sim.step(&mut counter.session, client_inbox, &mut server, server_inbox);
//!         let is_idle = matches!(turn, Turn::Idle);
//!         match turn {
//!             Turn::Server(server::Event::Connecting { .. }) => server.accept(&server::Accept::default())?,
//!             Turn::Server(server::Event::Message(message)) => arrived += usize::from(message.payload[0]),
//!             Turn::Client(Event::Published { .. }) if counter.untold != 0 => counter.add(0)?,
//!             Turn::Closed { .. } => open -= 1,
//!             _ => {}
//!         }
//!         // What the application does next, and when.
//!         if steps != 0 && !is_idle {
//!             steps -= 1;
//!             continue;
//!         }
//!         match operations.next() {
//!             Some(Operation::Step(count)) => steps = *count,
//!             Some(Operation::Publish { len, .. }) => counter.add(*len)?,
//!             Some(_) => {}
//!             None if is_idle => return Ok((counter.sum, arrived)),
//!             None => continue,
//!         }
//!         sim.wake();
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
