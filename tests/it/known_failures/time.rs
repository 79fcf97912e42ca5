//! T: time limits. Who is given up, and when; what is sent again, and when.
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a fault here is a failed test"
)]

use mqtt_session::{
    CloseReason, Connect, Event, Inbox, Instant, Outcome, Publish, QoS, ReasonCode, Session, Step, Version,
};

use super::trace::{Trace, both, connack, puback, pubcomp, pubrec, pubrel, qos0, qos1, qos2};

/// What comes in while nobody looks: it is in the socket, not in the inbox.
struct Loop {
    session: Session<2048, 8, 8>,
    inbox: Inbox<[u8; 64]>,
    now: u64,
    socket: Vec<u8>,
    written: Vec<u8>,
    /// How long each write takes.
    write: u64,
    reads: usize,
}

/// What a turn of the loop came to.
#[derive(Debug, PartialEq)]
enum Came {
    Event(String),
    Waits(u64),
    Closed(CloseReason),
}

impl Loop {
    fn new(connect: &Connect<'_>) -> Self {
        let (mut session, mut inbox) = (Session::new(), Inbox::new());
        session.connect(&mut inbox, connect).expect("it fits");
        Self { session, inbox, now: 1_000, socket: vec![], written: vec![], write: 0, reads: 0 }
    }

    fn online(connect: &Connect<'_>) -> Self {
        let mut own = Self::new(connect);
        own.socket = if connect.version == Version::V5 { vec![0x20, 3, 0, 0, 0] } else { vec![0x20, 2, 0, 0] };
        assert!(matches!(own.run(), Came::Event(_)));
        own
    }

    /// Does what the steps say until something happens or there is a pause.
    fn run(&mut self) -> Came {
        for _ in 0..100 {
            let now = Instant::from_millis(self.now);
            match self.session.poll(&mut self.inbox, now) {
                Step::Event(event) => return Came::Event(format!("{event:?}")),
                Step::Transmit(bytes) => {
                    self.written.extend_from_slice(bytes);
                    let len = bytes.len();
                    self.now += self.write;
                    self.session.transmitted(len);
                }
                Step::Wait(until) => {
                    self.reads += 1;
                    let space = self.inbox.space();
                    let len = space.len().min(self.socket.len());
                    space[..len].copy_from_slice(&self.socket[..len]);
                    self.inbox.filled(len);
                    self.socket.drain(..len);
                    let until = until.map_or(u64::MAX, Instant::as_millis);
                    if len == 0 && until > self.now {
                        return Came::Waits(until);
                    }
                }
                Step::Close(cause) => return Came::Closed(cause),
            }
        }
        panic!("no end of steps")
    }
}

const PINGRESP: [u8; 2] = [0xD0, 0];

fn both_versions() -> [Version; 2] {
    [Version::V311, Version::V5]
}

/// T1
#[test]
fn who_took_long_reads_before_the_server_is_given_up() {
    for version in both_versions() {
        for pause in [10_001, 15_000, 3_600_000, u64::from(u32::MAX) * 3] {
            let connect = Connect { keep_alive: 8, ..Connect::new(version, "c") };
            let mut own = Loop::online(&connect);
            let Came::Waits(at) = own.run() else { panic!() };
            own.now = at;
            own.run();
            assert_eq!(own.written[own.written.len() - 2..], [0xC0, 0]);
            own.socket.extend(PINGRESP);
            own.now += pause;
            let Came::Waits(at) = own.run() else { panic!("{version:?} {pause}: given up") };
            assert!(at > own.now);

            // And if there is nothing, the server is gone.
            own.now = at;
            own.run();
            own.now += pause;
            own.reads = 0;
            assert_eq!(own.run(), Came::Closed(CloseReason::PingTimeout));
            assert_eq!(own.reads, 1, "one read");
        }
    }
}

/// T1. CONNACK is there, in pieces of any length.
#[test]
fn who_took_long_reads_before_connack_is_missed() {
    for version in both_versions() {
        let connack: &[u8] = if version == Version::V5 { &[0x20, 3, 0, 0, 0] } else { &[0x20, 2, 0, 0] };
        let mut own = Loop::new(&Connect::new(version, "c"));
        own.run();
        own.now += 15_000;
        own.socket.extend(connack);
        assert!(matches!(own.run(), Came::Event(event) if event.starts_with("Connected")));

        // One byte with each read.
        let mut own = Loop::new(&Connect::new(version, "c"));
        own.run();
        own.now += 15_000;
        for byte in connack {
            let now = Instant::from_millis(own.now);
            let Step::Wait(Some(at)) = own.session.poll(&mut own.inbox, now) else { panic!("{version:?}") };
            assert!(at <= now);
            own.inbox.space()[0] = *byte;
            own.inbox.filled(1);
        }
        assert!(matches!(own.run(), Came::Event(event) if event.starts_with("Connected")));

        let mut own = Loop::new(&Connect::new(version, "c"));
        own.run();
        own.now += 15_000;
        own.reads = 0;
        assert_eq!((own.run(), own.reads), (Came::Closed(CloseReason::ConnackTimeout), 1));
    }
}

/// T1. Something is always to be written, so nobody ever waits.
#[test]
fn who_always_writes_reads_before_the_server_is_given_up() {
    for version in both_versions() {
        let mut own = Loop::online(&Connect { keep_alive: 8, ..Connect::new(version, "c") });
        own.socket.extend(PINGRESP);
        let mut reads = 0;
        for _ in 0..300 {
            own.session.publish(&Publish::new("t", b"x")).expect("there is room");
            let now = Instant::from_millis(own.now);
            match own.session.poll(&mut own.inbox, now) {
                Step::Transmit(bytes) => {
                    let len = bytes.len();
                    own.session.transmitted(len);
                }
                Step::Wait(_) => {
                    reads += 1;
                    own.inbox.space()[..2].copy_from_slice(&PINGRESP);
                    own.inbox.filled(2);
                }
                other => panic!("{other:?}"),
            }
            own.now += 100;
        }
        assert!(reads != 0);
    }
}

/// T1. An application that has no place for more reads nothing, for an hour.
#[test]
fn who_does_not_read_on_purpose_keeps_the_connection() {
    for version in both_versions() {
        let mut own = Loop::online(&Connect { keep_alive: 20, ..Connect::new(version, "c") });
        let begun = own.now;
        let mut asked = 0;
        while own.now < begun + 3_600_000 {
            let now = Instant::from_millis(own.now);
            match own.session.poll(&mut own.inbox, now) {
                Step::Transmit(bytes) => {
                    assert_eq!(bytes, [0xC0, 0]);
                    asked += 1;
                    own.session.transmitted(2);
                }
                Step::Wait(until) => {
                    own.session.reading_paused();
                    own.now = until.map_or(own.now, Instant::as_millis).max(own.now + 1);
                }
                other => panic!("{other:?} after {} ms", own.now - begun),
            }
        }
        assert!((200..=210).contains(&asked), "{asked}: as often as the keep alive wants it");
        own.socket.extend(PINGRESP.repeat(30));
        own.now += 1;
        assert!(matches!(own.run(), Came::Waits(_)));

        // A transport that takes nothing ends it all the same.
        let mut own = Loop::online(&Connect { keep_alive: 20, ..Connect::new(version, "c") });
        own.session.publish(&Publish::new("t", b"x")).expect("there is room");
        let begun = own.now;
        loop {
            let now = Instant::from_millis(own.now);
            match own.session.poll(&mut own.inbox, now) {
                Step::Transmit(_) => {}
                Step::Wait(_) => own.session.reading_paused(),
                Step::Event(Event::Dropped { count: 1 }) => {}
                Step::Close(cause) => break assert_eq!(cause, CloseReason::PingTimeout),
                other => panic!("{other:?}"),
            }
            own.now += 100;
        }
        assert!(own.now - begun < 30_000);
    }
}

/// T1, T2. An authentication in which the application thinks for longer than the server may.
#[test]
fn the_time_of_the_application_is_not_the_servers() {
    use mqtt_session::Property;
    use mqtt_session::wire::{Auth, Properties};
    let method = [Property::AuthenticationMethod("m")];
    for response_timeout in [1, 10].map(core::time::Duration::from_secs) {
        let connect =
            Connect { properties: Properties::of(&method), response_timeout, ..Connect::new(Version::V5, "c") };
        let mut own = Loop::new(&connect);
        own.run();
        for _ in 0..3 {
            own.socket.extend([0xF0, 6, 0x18, 4, 0x15, 0, 1, b'm']);
            assert!(matches!(own.run(), Came::Event(event) if event.starts_with("Authenticating")));
            own.now += 60_000;
            let auth = Auth { reason_code: ReasonCode::ContinueAuthentication, properties: Properties::of(&method) };
            own.session.authenticate(&auth).expect("it is due");
            assert_eq!(own.run(), Came::Waits(own.now + response_timeout.as_secs() * 1000));
        }
    }
}

/// T2
#[test]
fn a_farewell_leaves_behind_a_write_that_took_long() {
    for version in both_versions() {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
            let mut own = Loop::online(&Connect::new(version, "c"));
            own.session.publish(&Publish { qos, ..Publish::new("t", b"x") }).expect("there is room");
            own.session.disconnect(&mqtt_session::Disconnect::default()).expect("it is online");
            own.write = 6_000;
            let mut came = own.run();
            while matches!(came, Came::Event(_)) {
                came = own.run();
            }
            assert_eq!(came, Came::Closed(CloseReason::Disconnected), "{version:?}");
            assert_eq!(own.written[own.written.len() - 2..], [0xE0, 0]);
        }
    }
}

/// T2. CONNECT and PINGREQ take longer to leave than their answers may take.
#[test]
fn the_wait_for_an_answer_begins_behind_the_write() {
    for version in both_versions() {
        let mut own = Loop::new(&Connect { keep_alive: 60, ..Connect::new(version, "c") });
        own.write = 15_000;
        assert_eq!(own.run(), Came::Waits(own.now + 10_000));
        own.now += 9_999;
        own.socket = if version == Version::V5 { vec![0x20, 3, 0, 0, 0] } else { vec![0x20, 2, 0, 0] };
        assert!(matches!(own.run(), Came::Event(_)));
        own.now += 52_500;
        assert_eq!(own.run(), Came::Waits(own.now + 10_000));
        own.now += 10_000;
        assert_eq!(own.run(), Came::Closed(CloseReason::PingTimeout));
    }
}

/// T2. As long as something is written there is time, but not for ever; and what did not leave is not said to have left.
#[test]
fn a_farewell_that_does_not_leave_has_a_name() {
    for version in both_versions() {
        for (bytes, longest) in [(0, 5_000), (1, 50_000)] {
            let mut own = Loop::online(&Connect::new(version, "c"));
            own.session.publish(&Publish::new("t", &[0; 100])).expect("there is room");
            own.session.disconnect(&mqtt_session::Disconnect::default()).expect("it is online");
            let begun = own.now;
            let cause = loop {
                match own.session.poll(&mut own.inbox, Instant::from_millis(own.now)) {
                    Step::Transmit(_) => own.session.transmitted(bytes),
                    Step::Event(Event::Dropped { count: 1 }) => {}
                    Step::Close(cause) => break cause,
                    other => panic!("{other:?}"),
                }
                own.now += 1_000;
            };
            assert_eq!(cause, CloseReason::DisconnectTimeout, "{version:?}");
            let taken = own.now - begun;
            assert!((longest..=longest + 2_000).contains(&taken), "{version:?} {bytes}: {taken}");
        }
        // A transport that is lost in the middle of it says so.
        let mut own = Loop::online(&Connect::new(version, "c"));
        own.session.disconnect(&mqtt_session::Disconnect::default()).expect("it is online");
        let Step::Transmit(_) = own.session.poll(&mut own.inbox, Instant::from_millis(own.now)) else { panic!() };
        own.session.transmitted(1);
        let mut lost = own.session.clone();
        lost.connection_lost();
        let step = lost.poll(&mut own.inbox, Instant::from_millis(own.now));
        assert!(matches!(step, Step::Close(CloseReason::ConnectionLost)), "{step:?}");
        own.session.transmitted(1);
        own.session.connection_lost();
        let step = own.session.poll(&mut own.inbox, Instant::from_millis(own.now));
        assert!(matches!(step, Step::Close(CloseReason::Disconnected)), "{step:?}");
    }
}

/// Documented as at least 1.
#[test]
fn a_patience_of_0_is_one_second() {
    for mut t in both() {
        t.options.response_timeout = core::time::Duration::from_secs(0);
        t.options.keep_alive = 8;
        t.connect();
        t.quiet();
        t.passes(999);
        t.receives(connack(false, ""));
        t.connected(false);
        t.passes(7_000);
        t.sends("C0 00");
        t.quiet();
        t.passes(999);
        t.quiet();
        t.receives("D0 00");
        t.quiet();
        t.passes(7_000);
        t.sends("C0 00");
        t.quiet();
        t.passes(1_000);
        t.closes(CloseReason::PingTimeout);
    }
}

/// A trace of 3.1.1 that sends again after 20 seconds.
fn repeating(window: u16) -> Trace {
    let mut t = <Trace>::new(Version::V311);
    t.options.retry_interval = core::time::Duration::from_secs(20);
    t.options.keep_alive = 0;
    t.options.max_inflight = window;
    t.connects();
    t
}

/// T3
#[test]
fn acknowledgements_of_others_put_off_nothing() {
    let mut t = repeating(u16::MAX);
    let a = t.publish(QoS::AtLeastOnce, "a");
    t.sends(qos1(a, "a"));
    for second in 1..=100 {
        t.passes(1_000);
        if second % 20 == 0 {
            t.sends(qos1(a, "a").dup());
        }
        let id = t.publish(QoS::AtLeastOnce, "b");
        t.sends(qos1(id, "b"));
        t.receives(puback(id));
        t.acknowledged(id);
        t.quiet();
    }
}

/// T3, of PUBREL
#[test]
fn pubcomps_of_others_put_off_no_pubrel() {
    let mut t = repeating(u16::MAX);
    let a = t.publish(QoS::ExactlyOnce, "a");
    t.sends(qos2(a, "a"));
    t.receives(pubrec(a));
    t.sends(pubrel(a));
    for second in 1..=100 {
        t.passes(1_000);
        if second % 20 == 0 {
            t.sends(pubrel(a));
        }
        let id = t.publish(QoS::ExactlyOnce, "b");
        t.sends(qos2(id, "b"));
        t.receives(pubrec(id));
        t.sends(pubrel(id));
        t.receives(pubcomp(id));
        t.acknowledged(id);
        t.quiet();
    }
}

/// T4, of PUBLISH and PUBREL: each by its own age, however often.
#[test]
fn each_is_sent_again_by_its_own_age() {
    let mut t = repeating(u16::MAX);
    let a = t.publish(QoS::AtLeastOnce, "a");
    let b = t.publish(QoS::ExactlyOnce, "b");
    t.sends((qos1(a, "a"), qos2(b, "b")));
    t.receives(pubrec(b));
    t.sends(pubrel(b));
    t.passes(19_900);
    let c = t.publish(QoS::AtLeastOnce, "c");
    let d = t.publish(QoS::ExactlyOnce, "d");
    t.sends((qos1(c, "c"), qos2(d, "d")));
    t.receives(pubrec(d));
    t.sends(pubrel(d));
    for _ in 0..5 {
        t.passes(99);
        t.quiet();
        t.passes(1);
        t.sends((pubrel(b), qos1(a, "a").dup()));
        t.quiet();
        t.passes(19_899);
        t.quiet();
        t.passes(1);
        t.sends((pubrel(d), qos1(c, "c").dup()));
        t.quiet();
    }
    t.receives((puback(a), pubcomp(b)));
    t.acknowledged(a);
    t.acknowledged(b);
    t.passes(19_999);
    t.quiet();
    t.passes(1);
    t.sends((pubrel(d), qos1(c, "c").dup()));
}

/// T4. The clock is set back in between.
#[test]
fn ages_outlast_a_clock_that_is_set_back() {
    let mut t = repeating(u16::MAX);
    t.passes(10_000_000);
    let a = t.publish(QoS::AtLeastOnce, "a");
    let b = t.publish(QoS::ExactlyOnce, "b");
    t.sends((qos1(a, "a"), qos2(b, "b")));
    t.receives(pubrec(b));
    t.sends(pubrel(b));
    t.passes(15_000);
    t.quiet();
    t.goes_back(3_600_000);
    t.quiet();
    t.passes(4_999);
    t.quiet();
    t.passes(1);
    t.sends((pubrel(b), qos1(a, "a").dup()));
}

/// What is sent again takes no second place in the window, and gives none back.
#[test]
fn a_window_holds_whatever_is_sent_again() {
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let packet = |id, payload| if qos == QoS::AtLeastOnce { qos1(id, payload) } else { qos2(id, payload) };
        let mut t = repeating(2);
        let a = t.publish(qos, "a");
        let b = t.publish(qos, "b");
        let c = t.publish(qos, "c");
        let d = t.publish(qos, "d");
        t.sends((packet(a, "a"), packet(b, "b")));
        t.quiet();
        t.passes(20_000);
        t.sends((packet(a, "a").dup(), packet(b, "b").dup()));
        t.quiet();
        if qos == QoS::AtLeastOnce {
            t.receives(puback(a));
        } else {
            t.receives(pubrec(a));
            t.sends(pubrel(a));
            t.quiet();
            t.passes(20_000);
            t.sends((pubrel(a), packet(b, "b").dup()));
            t.quiet();
            t.receives(pubcomp(a));
        }
        t.acknowledged(a);
        t.sends(packet(c, "c"));
        t.quiet();
        t.passes(20_000);
        t.sends((packet(b, "b").dup(), packet(c, "c").dup()));
        t.quiet();
        _ = d;
    }
}

/// What is taken while a look goes on is not passed over: PUBREL leaves at once.
#[test]
fn a_pubrec_in_the_middle_of_a_look_is_answered() {
    let mut t = repeating(u16::MAX);
    let a = t.publish(QoS::AtLeastOnce, "a");
    let b = t.publish(QoS::ExactlyOnce, "b");
    t.sends((qos1(a, "a"), qos2(b, "b")));
    t.passes(20_000);
    t.shows(qos1(a, "a").dup(), 1);
    t.receives(pubrec(b));
    let rest = qos1(a, "a").dup();
    t.sends_rest_of(rest, 1);
    t.sends(pubrel(b));
    t.quiet();
    t.cut();
    t.resumes();
    t.sends((pubrel(b), qos1(a, "a").dup()));
    t.quiet();
    t.publish(QoS::AtMostOnce, "z");
    t.sends(qos0("z"));
    let outcome = Outcome::Acknowledged(ReasonCode::Success);
    t.receives(puback(a));
    t.event(|_, event| assert!(matches!(event, Event::Published { outcome: found, .. } if found == outcome)));
}

/// The messages of a client that sends again after a time, and when each was sent last.
#[derive(Default)]
struct Ages {
    /// By identifier: whether PUBREC has come, and when PUBLISH or PUBREL left.
    under_way: std::collections::BTreeMap<u16, (bool, u64)>,
    repeats: usize,
}

impl Ages {
    const LIMIT: u64 = 5_000;

    /// What left at this time that has passed in all: a new one, or one that is old enough.
    fn sent(&mut self, mut bytes: &[u8], passed: u64) {
        while let [first, len, rest @ ..] = bytes {
            let (body, behind) = rest.split_at(usize::from(*len));
            bytes = behind;
            let (is_release, id) = match first >> 4 {
                3 => (false, &body[3..5]),
                6 => (true, &body[..2]),
                _ => continue,
            };
            let id = u16::from_be_bytes([id[0], id[1]]);
            let dup = first & 0x08 != 0;
            let last = self.under_way.insert(id, (is_release, passed));
            match last {
                Some((was_release, at)) if was_release == is_release => {
                    assert_eq!(passed - at, Self::LIMIT, "{id} is not sent again by its own age");
                    assert!(is_release || dup);
                    self.repeats += 1;
                }
                _ => assert!(is_release || !dup, "{id}"),
            }
        }
    }

    fn answer(&mut self, draw: usize) -> Vec<u8> {
        let ids: Vec<u16> = self.under_way.keys().copied().collect();
        let Some(&id) = ids.get(draw % ids.len().max(1)) else { return vec![] };
        let [high, low] = id.to_be_bytes();
        // Those of an odd number are of QoS 1.
        let kind = match (id % 2, self.under_way[&id].0) {
            (1, _) => 0x40,
            (_, false) => 0x50,
            (_, true) => 0x70,
        };
        if kind != 0x50 {
            self.under_way.remove(&id);
        }
        vec![kind, 2, high, low]
    }
}

/// T3, T4, T18: whatever is published and acknowledged when, each is sent again when it is as old as it may be, not before and
/// not later; also if the clock is set back.
#[test]
fn each_goes_by_its_own_age_whatever_happens() {
    let mut repeats = 0;
    for seed in 0..60 {
        let mut random = mqtt_session::sim::Random::new(seed);
        let connect = Connect {
            keep_alive: 0,
            retry_interval: core::time::Duration::from_secs(5),
            ..Connect::new(Version::V311, "c")
        };
        let mut own = Loop::online(&connect);
        own.now = 100_000_000;
        let (mut ages, mut passed) = (Ages::default(), 0);
        for _ in 0..200 {
            match random.below(8) {
                0..=2 => {
                    let next =
                        own.session.clone().publish(&Publish { qos: QoS::AtLeastOnce, ..Publish::new("t", b"x") });
                    if let Ok(Some(id)) = next {
                        let qos = if id.get() % 2 == 1 { QoS::AtLeastOnce } else { QoS::ExactlyOnce };
                        own.session.publish(&Publish { qos, ..Publish::new("t", b"x") }).expect("there is room");
                    }
                }
                3 => own.socket.extend(ages.answer(random.below(8))),
                4 => own.now -= 1_000 + random.below(3_000_000) as u64,
                _ => {
                    let step = random.below(1_500) as u64;
                    let until = own.session.deadline().map_or(u64::MAX, Instant::as_millis);
                    let step = step.min(until.saturating_sub(own.now));
                    own.now += step;
                    passed += step;
                }
            }
            own.written.clear();
            while let Came::Event(_) = own.run() {}
            ages.sent(&own.written.clone(), passed);
            for (id, (_, at)) in &ages.under_way {
                assert!(passed - at < Ages::LIMIT, "{seed}: {id} is {} ms old", passed - at);
            }
        }
        repeats += ages.repeats;
    }
    assert!(repeats > 500, "{repeats}");
}
