//! What is bounded, and what happens at the bound.
//!
//! A connection costs an inbox, up to [`OUT`] bytes that wait to be written, and what the kernel keeps. A session costs its
//! arrays, its queue and its subscriptions. Messages in queues are shared: one that waits for a hundred sessions is there
//! once.

use mqtt_session::TopicAliases;

/// The largest packet in bytes that is received: a payload of 64 KiB and what comes with it. 5.0 is told so; a larger one
/// ends the connection, with 0x95 (packet too large) in 5.0.
const PACKET: usize = 0x1_2000;

/// The topic aliases of a client, and how long the topics may be that they stand for; a longer one ends the connection with
/// 0x97 (quota exceeded).
pub(crate) const ALIASES: TopicAliases = TopicAliases { maximum: 10, topic: 1024 };

/// The bytes for both of them.
const INBOX: usize = PACKET + 10 * (1024 + 2);

pub(crate) type Inbox = mqtt_session::Inbox<[u8; INBOX]>;

/// A session: room for the largest packet with its subscription identifiers; [`WINDOW`] messages under way to the client;
/// 1,024 of QoS 2 from it, which 5.0 is told as Receive Maximum (beyond that: 0x93), while a 3.1.1 client that has more under
/// way loses its connection, but no message; answers.
pub(crate) type Session = mqtt_session::server::Session<0x1_4000, 64, 1024, 2048>;

/// How many messages of QoS 1 and 2 are under way to a client. The others wait in its queue.
pub(crate) const WINDOW: u16 = 64;

/// The same in 3.1.1, where a client cannot say how many it takes.
pub(crate) const WINDOW_OF_3_1_1: u16 = 20;

/// From how many bytes on that wait to be written nothing more is taken from a session until the client reads.
pub(crate) const OUT: usize = 0x8000;

/// How many bytes the messages in the queue of a session may have. At this bound, as at that of their number, the oldest
/// of QoS 0 is dropped; if there is none, the new one is. Should it be dropped for everybody, its publisher is told by
/// 0x97, if it speaks 5.0. For a session without a connection no QoS 0 is queued.
pub(crate) const QUEUE_BYTES: usize = 0x40_0000;

/// How many subscriptions a session may have; the next one is refused with 0x97.
pub(crate) const SUBSCRIPTIONS: usize = 1000;

/// How many levels a topic filter may have; one with more is refused with 0x8F (topic filter invalid).
pub(crate) const LEVELS: usize = 200;

/// How many messages are retained, and how many bytes they have. At the bound a message to be retained under another topic
/// is refused with 0x97; where nobody can be told, it is delivered, but not retained.
pub(crate) const RETAINED: usize = 10_000;
pub(crate) const RETAINED_BYTES: usize = 0x400_0000;

/// How long a client identifier may be; a longer one is refused with 0x85.
pub(crate) const CLIENT_ID: usize = 1024;

/// How many seconds a client may take for its CONNECT; later it is closed without a word.
pub(crate) const PATIENCE: u8 = 10;

/// How many milliseconds the last bytes of a connection may take.
pub(crate) const LINGER: u64 = 2000;

/// How many steps a connection may take before it is the turn of the others.
pub(crate) const STEPS: usize = 256;

/// After how many milliseconds the broker tells of itself again.
pub(crate) const REPORT: u64 = 10_000;
