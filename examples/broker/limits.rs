//! What is bounded, and what happens at the bound. What `options.rs` has a flag for is bounded there.
//!
//! A connection costs an inbox, up to [`OUT`] bytes that wait to be written, and what the kernel keeps. A session costs its
//! arrays, its queue and its subscriptions. Inboxes and sessions lie in memory that is all zero bits at first (`pool.rs`), so
//! each takes as many pages as were ever written to: some 40 kB for a client that sends and gets small messages. Messages in
//! queues are shared: one that waits for a hundred sessions is there once.

use mqtt_session::TopicAliases;
use mqtt_session::server;

/// The largest packet in bytes that is received: a payload of 64 KiB and what comes with it. 5.0 is told so; a larger one
/// ends the connection, with 0x95 (packet too large) in 5.0.
const PACKET: usize = 0x1_2000;

/// The topic aliases of a client, and how long the topics may be that they stand for; a longer one ends the connection with
/// 0x97 (quota exceeded).
pub(crate) const ALIASES: TopicAliases = TopicAliases { maximum: 10, topic: 1024 };

/// The bytes for both of them.
const INBOX: usize = PACKET + 10 * (1024 + 2);

pub(crate) type Inbox = mqtt_session::Inbox<[u8; INBOX]>;

/// The bytes of a session for packets to its client: the largest one with its subscription identifiers.
const STORE: usize = 0x1_4000;

/// The bytes of a session for answers.
const ANSWERS: usize = 2048;

/// A session: [`WINDOW`] messages under way to the client, [`INBOUND`] of QoS 2 from it.
pub(crate) type Session = server::Session<STORE, { WINDOW as usize }, INBOUND, ANSWERS>;

/// A session of a 3.1.1 client that has had more than [`INBOUND`] under way: as many as there are packet identifiers, in 740 kB.
pub(crate) type WideSession = server::Session<STORE, { WINDOW as usize }, 65_535, ANSWERS>;

/// How many messages of QoS 1 and 2 are under way to a client. The others wait in its queue.
pub(crate) const WINDOW: u16 = 64;

/// The same in 3.1.1, where a client cannot say how many it takes.
pub(crate) const WINDOW_OF_3_1_1: u16 = 20;

/// How many QoS 2 messages of a client are under way. 5.0 is told so by Receive Maximum, and more end the connection (0x93).
///
/// A 3.1.1 client cannot be told, and to read no further does not help: the PUBREL that frees a place lies behind the
/// PUBLISHes that are sent already, so the sooner all of them are read, and answered, the better. When it has more under way
/// nevertheless, all that was taken is acknowledged, and the connection ends once the client has read that; what it still
/// writes meanwhile is thrown away. Then
///
/// * a session that begins anew is a [`WideSession`], which has a place for each packet identifier: for this reason no
///   connection of it ends;
/// * a session that goes on completes what was acknowledged, for the client sends PUBREL for that before anything else, and
///   takes as many again: so each connection gets so much further.
const INBOUND: usize = 1024;

/// How many clients are remembered for having had more than that under way. At the bound all are forgotten.
pub(crate) const CROWDS: usize = 10_000;

/// From how many bytes on that wait to be written nothing more is taken from a session until the client reads.
pub(crate) const OUT: usize = 0x8000;

/// How many inboxes, and how many sessions, take no more memory than was written to. Those beyond take all of theirs at once.
pub(crate) const POOL: usize = 1024;

/// How many subscriptions a session may have; the next one is refused with 0x97.
pub(crate) const SUBSCRIPTIONS: usize = 1000;

/// How many levels a topic filter may have; one with more is refused with 0x8F (topic filter invalid).
pub(crate) const LEVELS: usize = 200;

/// How many levels all topic filters of a session may have together, and how many bytes. A subscription beyond is refused
/// with 0x97. A message looks at no more nodes of the topic tree for a session than it has levels.
pub(crate) const LEVELS_OF_SESSION: usize = 10_000;
pub(crate) const FILTER_BYTES: usize = 0x4_0000;

/// How many nodes the topic tree may have, some 200 bytes each; a subscription that needs more is refused with 0x97. Filters
/// share the nodes of the levels that they begin with.
pub(crate) const NODES: usize = 500_000;

/// At how many messages, or bytes of them, in its queue a session is given no more retained ones for the time being.
pub(crate) const WALK_QUEUE: usize = 64;
pub(crate) const WALK_BYTES: usize = 0x1_0000;

/// How many retained messages are compared with a new subscription before it is the turn of something else.
pub(crate) const LOOKS: usize = 256;

/// How long a client identifier may be; a longer one is refused with 0x85.
pub(crate) const CLIENT_ID: usize = 1024;

/// How many seconds a client may take for its CONNECT; later it is closed without a word.
pub(crate) const PATIENCE: u8 = 10;

/// How many milliseconds the last bytes of a connection may take.
pub(crate) const LINGER: u64 = 2000;

/// The same for a client that has more messages under way than there are places: it writes all of them before it reads.
pub(crate) const CROWD_LINGER: u64 = 60_000;

/// How many steps a connection may take before it is the turn of the others.
pub(crate) const STEPS: usize = 256;

/// After how many milliseconds the broker tells of itself again.
pub(crate) const REPORT: u64 = 10_000;

/// How many milliseconds pass at least between two lines about messages that were lost.
pub(crate) const LOSSES: u64 = 1000;
