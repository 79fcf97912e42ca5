//! Where several of the failures meet: whose turn it is, what time has passed, how a session ends.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a fault here is a failed test"
)]

use mqtt_session::QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
use mqtt_session::wire::Properties;
use mqtt_session::{CloseReason, CommandError, Event, LostSession, Outcome, Property, Publish, QoS, Version};

use super::trace::{
    TOPIC, Trace, both, connack, packet_id, puback, pubcomp, pubrec, pubrel, qos0, qos1, qos2, with_header,
};

/// Publishes with a Message Expiry Interval.
fn expiring(t: &mut Trace, qos: QoS, seconds: u32) -> Result<u16, CommandError> {
    let properties = [Property::MessageExpiryInterval(seconds)];
    t.tries(&Publish { qos, properties: Properties::of(&properties), ..Publish::new(TOPIC, b"e") })
}

/// T10: PUBREC is taken while an acknowledgement is being written: PUBREL leaves before any PUBLISH all the same.
#[test]
fn t10_a_pubrel_that_is_queued_during_a_write_is_before_a_publish() {
    for written in 0..4 {
        for mut t in both() {
            t.connects();
            let released = t.publish(ExactlyOnce, "out");
            t.sends(qos2(released, "out"));
            t.receives(qos1(1, "in"));
            t.message(qos1(1, "in"));
            let id = t.publish(AtLeastOnce, "next");
            t.shows(qos1(1, "in").answer(), written);
            t.receives(pubrec(released));
            // It is taken by this poll.
            t.looks();
            t.sends_rest_of(qos1(1, "in").answer(), written);
            t.sends(pubrel(released));
            t.sends(qos1(id, "next"));
            t.quiet();
        }
    }
}

/// T3, T4: nobody could answer before the message had left. Its age counts from the last poll that found bytes of it unwritten.
#[test]
fn t03_a_message_ages_from_when_it_has_left() {
    let mut t = <Trace>::new(Version::V311);
    t.options.retry_interval = core::time::Duration::from_secs(10);
    t.connects();
    let id = t.publish(AtLeastOnce, "a");
    t.shows(qos1(id, "a"), 3);
    for _ in 0..3 {
        t.passes(9_000);
        t.looks();
    }
    t.sends_rest_of(qos1(id, "a"), 3);
    t.quiet();
    t.passes(9_999);
    t.quiet();
    t.passes(1);
    t.sends(qos1(id, "a").dup());
}

/// T3: a PUBREL that waits behind a slow write is not queued twice.
#[test]
fn t03_a_pubrel_that_has_not_left_is_not_repeated() {
    let mut t = <Trace>::new(Version::V311);
    t.options.retry_interval = core::time::Duration::from_secs(10);
    t.connects();
    let released = t.publish(ExactlyOnce, "a");
    t.sends(qos2(released, "a"));
    let id = t.publish(AtMostOnce, "slow");
    assert_eq!(id, 0);
    t.shows(qos0("slow"), 1);
    t.receives(pubrec(released));
    t.looks();
    t.shows(super::trace::Bytes::bytes(&qos0("slow"), Version::V311)[1..].to_vec(), 0);
    t.passes(15_000);
    t.sends_rest_of(qos0("slow"), 1);
    t.sends(pubrel(released));
    t.quiet();
}

/// T3 with `LostSession::Republish`: in 3.1.1 nothing expires, however long the clock has run.
#[test]
fn t03_what_is_published_anew_does_not_expire() {
    for hours in [0, 1, 24 * 13, 24 * 24, 24 * 60] {
        for window in [1, 8] {
            let mut t = <Trace>::new(Version::V311);
            t.options.retry_interval = core::time::Duration::from_secs(10);
            t.options.lost_session = LostSession::Republish;
            t.options.max_inflight = window;
            t.passes(hours * 3_600_000);
            t.connects();
            let ids = [t.publish(AtLeastOnce, "a"), t.publish(ExactlyOnce, "b")];
            t.sends(qos1(ids[0], "a"));
            if window == 8 {
                t.sends(qos2(ids[1], "b"));
            }
            t.cut();
            t.options.max_inflight = 8;
            t.connects();
            t.tells(&Event::Republished { lost: packet_id(ids[0]), packet_id: packet_id(9) });
            let second = if window == 8 {
                t.tells(&Event::Republished { lost: packet_id(ids[1]), packet_id: packet_id(10) });
                10
            } else {
                ids[1]
            };
            t.sends((qos1(9, "a"), qos2(second, "b")));
            t.cut();
            t.passes(3_600_000);
            t.closes(CloseReason::ConnectionLost);
            assert_eq!(t.session.deadline(), None);
        }
    }
}

/// T7, T3: leaving takes no notice of what is old enough to be sent again.
#[test]
fn t07_leaving_repeats_nothing() {
    let mut t = <Trace>::new(Version::V311);
    t.options.retry_interval = core::time::Duration::from_secs(10);
    t.connects();
    let id = t.publish(AtLeastOnce, "a");
    let released = t.publish(ExactlyOnce, "b");
    t.sends((qos1(id, "a"), qos2(released, "b")));
    t.receives(pubrec(released));
    t.sends(pubrel(released));
    t.passes(60_000);
    t.disconnect();
    t.receives(pubcomp(released));
    t.acknowledged(released);
    t.sends("E000");
    t.closes(CloseReason::Disconnected);
}

/// T5: what has expired, and whatever comes next.
#[test]
fn t05_what_has_expired_is_told_whatever_comes_between() {
    for what in 0..6 {
        let mut t = <Trace>::new(Version::V5);
        t.options.lost_session = LostSession::Republish;
        t.connects_with(false, "21 0001");
        let shown = t.publish(ExactlyOnce, "a");
        t.sends(qos2(shown, "a"));
        let ids = [expiring(&mut t, AtLeastOnce, 1).unwrap(), expiring(&mut t, ExactlyOnce, 1).unwrap()];
        t.quiet();
        t.passes(1_000);
        t.published(ids[0], Outcome::Expired);
        match what {
            0 => {
                t.disconnect();
                t.published(ids[1], Outcome::Expired);
                t.sends("E000");
                t.closes(CloseReason::Disconnected);
            }
            1 => {
                t.loses_link();
                t.published(ids[1], Outcome::Expired);
                t.closes(CloseReason::ConnectionLost);
            }
            2 => {
                t.receives("F0");
                t.receives("00");
                t.event(|_, event| assert!(matches!(event, Event::Published { .. }), "{event:?}"));
            }
            3 => {
                t.options.clean_start = true;
                t.announced = 8;
                t.begins();
                t.published(shown, Outcome::Lost);
                t.published(ids[1], Outcome::Expired);
                t.sends(t.connect_packet());
            }
            4 => {
                t.begins();
                t.published(ids[1], Outcome::Expired);
                t.sends(t.connect_packet());
                t.receives(connack(false, ""));
                t.connected(false);
                t.tells(&Event::Republished { lost: packet_id(shown), packet_id: packet_id(9) });
                t.sends(qos2(9, "a"));
            }
            _ => {
                t.options =
                    mqtt_session::Connect { clean_start: true, ..mqtt_session::Connect::new(Version::V311, "c") };
                t.options.keep_alive = 0;
                t.version = Version::V311;
                t.begins();
                t.published(shown, Outcome::Lost);
                t.published(ids[1], Outcome::Expired);
                t.sends(t.connect_packet());
                t.receives(connack(false, ""));
                t.connected(false);
                t.quiet();
            }
        }
    }
}

/// T5: QoS 0 half written is written whole though its time is over; what is behind it and has expired is not.
#[test]
fn t05_what_is_half_written_does_not_expire() {
    let packet = |seconds: u32| with_header(0x30, &[&[0, 1, b't', 5, 2][..], &seconds.to_be_bytes(), b"e"].concat());
    for written in 0..packet(1).len() {
        let mut t = <Trace>::new(Version::V5);
        t.connects();
        expiring(&mut t, AtMostOnce, 1).unwrap();
        expiring(&mut t, AtMostOnce, 1).unwrap();
        expiring(&mut t, AtMostOnce, 100).unwrap();
        t.shows(packet(1), written);
        t.passes(50_000);
        t.dropped(1);
        t.sends_rest_of(packet(1), written);
        t.sends(packet(100));
        t.quiet();
        assert_eq!(t.session.deadline(), None);
    }
}

/// T7: the link is lost, and in front of the acknowledgement is a message that the application has no place for.
#[test]
fn t07_an_acknowledgement_counts_behind_a_message_that_has_no_place() {
    for clean_start in [false, true] {
        let mut t = Trace::<1024, 8, 1>::new(Version::V311);
        t.options.acknowledgement = mqtt_session::Acknowledge::Manually;
        t.options.clean_start = clean_start;
        t.connects();
        let ids = [t.publish(AtLeastOnce, "a"), t.publish(AtLeastOnce, "b")];
        t.sends((qos1(ids[0], "a"), qos1(ids[1], "b")));
        t.receives((qos1(1, "in"), qos1(2, "in"), puback(ids[0])));
        let handle = t.hands_out(qos1(1, "in"));
        t.quiet();
        t.loses_link();
        t.acknowledged(ids[0]);
        if clean_start {
            t.published(ids[1], Outcome::Lost);
        }
        t.closes(CloseReason::ConnectionLost);
        assert!(t.session.acknowledge(handle, mqtt_session::ReasonCode::Success).is_err());
    }
}

/// T2, T7: the limit of leaving is over, and the acknowledgement is here.
#[test]
fn t02_an_acknowledgement_counts_though_the_limit_is_over() {
    for mut t in both() {
        t.options.disconnect_timeout = core::time::Duration::from_secs(5);
        t.connects();
        let id = t.publish(AtLeastOnce, "a");
        t.sends(qos1(id, "a"));
        t.publish(AtMostOnce, "b");
        t.disconnect();
        t.shows(qos0("b"), 1);
        t.passes(60_000);
        t.receives(puback(id));
        t.acknowledged(id);
        t.looks();
    }
}

/// A course of events that is drawn at random, in small words, so that the same states are reached in many ways.
mod courses {
    use core::hash::{Hash, Hasher};
    use std::hash::DefaultHasher;

    use mqtt_session::{
        Acknowledge, Connect, Inbox, Instant, LostSession, Offline, Property, Publish, QoS, Session, Step, Subscribe,
        Subscription, Version, wire::Properties,
    };

    struct Draw(u64);

    impl Draw {
        fn below(&mut self, limit: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % limit
        }
    }

    #[derive(Clone)]
    struct Run {
        session: Session<160, 3, 3, 48>,
        inbox: Inbox<[u8; 40]>,
        now: u64,
        /// When it was polled last: what the session knows of the time is left out of equality.
        polled: u64,
    }

    const LASTING: &[Property<'_>] = &[Property::SessionExpiryInterval(100)];

    /// What is done, by number: a word of the application, of the server, of the transport or of the clock.
    impl Run {
        fn new() -> Self {
            Self { session: Session::new(), inbox: Inbox::new(), now: 5_000, polled: 0 }
        }

        fn hear(&mut self, bytes: &[u8]) {
            let space = self.inbox.space();
            if space.len() >= bytes.len() {
                space[..bytes.len()].copy_from_slice(bytes);
                self.inbox.filled(bytes.len());
            }
        }

        fn step(&mut self) -> (String, Option<u64>) {
            let now = Instant::from_millis(self.now);
            self.polled = self.now;
            // That a command was refused has changed nothing, so this event tells no two sessions apart.
            let (mut session, mut inbox) = (self.session.clone(), self.inbox.clone());
            if matches!(session.poll(&mut inbox, now), Step::Event(mqtt_session::Event::Writable)) {
                (self.session, self.inbox) = (session, inbox);
            }
            match self.session.poll(&mut self.inbox, now) {
                Step::Wait(until) => (String::new(), until.map(Instant::as_millis)),
                step => (format!("{step:?}"), None),
            }
        }

        fn publish(&mut self, qos: QoS, expiry: Option<u32>) -> String {
            let properties = [Property::MessageExpiryInterval(expiry.unwrap_or_default())];
            let properties = if expiry.is_some() { Properties::of(&properties) } else { Properties::EMPTY };
            format!("{:?}", self.session.publish(&Publish { qos, properties, ..Publish::new("t", b"x") }))
        }

        fn connect(&mut self, version: Version, policy: u64, small: u8) -> String {
            let connect = Connect {
                clean_start: small == 0,
                keep_alive: if policy & 1 == 0 { 0 } else { 4 },
                properties: if version == Version::V5 { Properties::of(LASTING) } else { Properties::EMPTY },
                retry_interval: core::time::Duration::from_secs(if policy & 2 == 0 { 0 } else { 3 }),
                lost_session: if policy & 4 == 0 { LostSession::Standard } else { LostSession::Republish },
                offline: if policy & 8 == 0 { Offline::Everything } else { Offline::Acknowledged },
                acknowledgement: if policy & 16 == 0 { Acknowledge::AfterHandling } else { Acknowledge::Manually },
                max_inflight: 2,
                response_timeout: core::time::Duration::from_secs(2),
                disconnect_timeout: core::time::Duration::from_secs(1),
                ..Connect::new(version, "c")
            };
            format!("{:?}", self.session.connect(&mut self.inbox, &connect))
        }

        fn act(&mut self, version: Version, policy: u64, word: u64, small: u8) -> String {
            let v5 = version == Version::V5;
            match word {
                0 => return self.connect(version, policy, small),
                1 | 2 => {
                    let present = small & 1;
                    if v5 { self.hear(&[0x20, 3, present, 0, 0]) } else { self.hear(&[0x20, 2, present, 0]) }
                }
                3 => return self.publish(QoS::AtLeastOnce, (v5 && small > 1).then_some(small.into())),
                4 => return self.publish(QoS::ExactlyOnce, (v5 && small > 1).then_some(small.into())),
                5 => return self.publish(QoS::AtMostOnce, (v5 && small > 1).then_some(small.into())),
                6 => self.hear(&[0x40, 2, 0, small]),
                7 => self.hear(&[0x50, 2, 0, small]),
                8 => self.hear(&[0x70, 2, 0, small]),
                9 => self.hear(&[0x62, 2, 0, small]),
                10 | 11 => {
                    let first = if word == 10 { 0x32 } else { 0x34 };
                    if v5 {
                        self.hear(&[first, 6, 0, 1, b'i', 0, small, 0])
                    } else {
                        self.hear(&[first, 5, 0, 1, b'i', 0, small])
                    }
                }
                12 => self.session.transmitted(usize::from(small)),
                13 | 14 => self.session.transmitted(100),
                15 => {
                    if small == 0 {
                        self.session.connection_lost();
                    }
                }
                16 => {
                    if small == 0 {
                        return format!("{:?}", self.session.disconnect(&mqtt_session::Disconnect::default()));
                    }
                }
                17 => self.hear(&[0xD0, 0]),
                18 => {
                    let subscriptions = [Subscription::new("f", QoS::AtMostOnce)];
                    let subscribe = Subscribe::new(&subscriptions);
                    return format!("{:?}", self.session.subscribe(&subscribe));
                }
                19 => {
                    let id = mqtt_session::PacketId::new(small.max(1).into());
                    return format!("{:?}", id.map(|id| self.session.cancel(id)));
                }
                20 => self.now += u64::from(small) * 700,
                21 => self.now -= if small == 3 { 1_500.min(self.now) } else { 0 },
                _ => return format!("{:?}", self.step()),
            }
            String::new()
        }
    }

    fn word(draw: &mut Draw) -> (u64, u8) {
        (draw.below(32), u8::try_from(draw.below(4)).unwrap())
    }

    /// A loop that sleeps until the instant it is told makes progress then, or is told a later one.
    #[test]
    fn whoever_sleeps_until_the_deadline_does_not_wake_in_vain() {
        for case in 0..600 {
            let mut draw = Draw(case);
            let (version, policy) = (if case % 2 == 0 { Version::V311 } else { Version::V5 }, draw.below(32));
            let mut run = Run::new();
            for _ in 0..draw.below(60) + 5 {
                let (word, small) = word(&mut draw);
                run.act(version, policy, word, small);
                let mut sleeper = run.clone();
                let mut vain = 0;
                for _ in 0..200 {
                    let (told, until) = sleeper.step();
                    let known = sleeper.session.deadline().map(Instant::as_millis);
                    if told.is_empty() {
                        assert_eq!(known, until, "case {case}");
                    }
                    if told.starts_with("Transmit") {
                        sleeper.session.transmitted(5);
                    }
                    match known {
                        _ if !told.is_empty() && !told.starts_with("Close") => vain = 0,
                        None => break,
                        Some(at) if at <= sleeper.now => {
                            vain += 1;
                            assert!(vain < 4, "case {case}: {:?} at {}", sleeper.session, sleeper.now);
                        }
                        Some(at) => {
                            vain = 0;
                            sleeper.now = at;
                        }
                    }
                }
            }
        }
    }

    fn hash(run: &Run) -> u64 {
        let mut hasher = DefaultHasher::new();
        run.session.hash(&mut hasher);
        hasher.finish()
    }

    /// Sessions that are equal behave equally, however they came to be so, and stay equal.
    #[test]
    fn what_is_equal_stays_equal() {
        let (mut pairs, mut different) = (0, 0);
        for case in 0..100 {
            let mut draw = Draw(case);
            let (version, policy) = (if case % 2 == 0 { Version::V311 } else { Version::V5 }, draw.below(32));
            let mut run = Run::new();
            let mut seen: Vec<(u64, Run)> = Vec::new();
            for _ in 0..80 {
                let (word, small) = word(&mut draw);
                run.act(version, policy, word, small);
                seen.push((hash(&run), run.clone()));
            }
            for (index, (hash_a, a)) in seen.iter().enumerate().skip(20) {
                for (hash_b, b) in seen.iter().take(index) {
                    if hash_a != hash_b
                        || (a.now, a.polled) != (b.now, b.polled)
                        || a.session != b.session
                        || a.inbox != b.inbox
                    {
                        continue;
                    }
                    pairs += 1;
                    let (mut a, mut b) = (a.clone(), b.clone());
                    let mut course = String::new();
                    for _ in 0..12 {
                        assert_eq!(hash(&a), hash(&b));
                        let (word, small) = super::courses::word(&mut draw);
                        course += &format!(" {word}/{small}");
                        let mut told = [&mut a, &mut b].map(|run| run.act(version, policy, word, small));
                        // Identifiers go around, and where they stand is left out.
                        if told[0].contains("PacketId") || told[0].contains("Ok(Some(") {
                            told[1] = told[0].clone();
                        }
                        if told[0] != told[1] {
                            different += 1;
                            println!("case {case}{course}: {told:?}");
                            break;
                        }
                        // The next identifier is another one, and so is what is stored.
                        if a.session != b.session {
                            break;
                        }
                    }
                }
            }
        }
        assert!(pairs > 200, "{pairs}");
        assert_eq!(different, 0);
    }
}
