//! Every command in every phase does what it says, or is refused and changes nothing; fragments, clones, sizes and clocks.

use mqtt_session::QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
use mqtt_session::server::{Accept, Event, Session};
use mqtt_session::wire::{Auth, List, Properties, Suback, Unsuback};
use mqtt_session::{
    Acknowledge, CloseReason, CommandError, Disconnect, DisconnectWhen, Handle, Inbox, Instant, Property, Publish, QoS,
    ReasonCode, SizeLimit, Step, Version,
};

use super::packets::{Bytes, packet_id, puback, pubrec, pubrel, qos0, qos1, qos2, subscribe};
use super::trace::{LASTING, Seen, Trace, both};

/// Where a session stands when a command comes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    Never,
    Opened,
    Asked,
    Rejected,
    Online,
    Requested,
    Completing,
    Leaving,
    Failing,
    Parting,
    Draining,
    Reporting,
    Closed,
}

const EVERYWHERE: [At; 13] = [
    At::Never,
    At::Opened,
    At::Asked,
    At::Rejected,
    At::Online,
    At::Requested,
    At::Completing,
    At::Leaving,
    At::Failing,
    At::Parting,
    At::Draining,
    At::Reporting,
    At::Closed,
];

/// A session somewhere on its way, with messages to be acknowledged, of QoS 1 and 2.
fn stage(version: Version, at: At) -> Option<(Trace, [Handle; 2])> {
    let mut t = <Trace>::new(version).manual();
    t.hello.will = Some("");
    t.connects();
    t.receives((qos1(1, "a"), qos2(2, "b")));
    let handles = [t.hands_out(qos1(1, "a")), t.hands_out(qos2(2, "b"))];
    t.publish(ExactlyOnce, "out");
    t.sends(qos2(1, "out"));
    match at {
        At::Never => t.session = Session::new(),
        At::Opened | At::Asked | At::Rejected => {
            t.loses_link();
            t.will_due(0);
            t.closes(CloseReason::ConnectionLost);
            t.opens();
            if at != At::Opened {
                t.receives(t.hello);
                t.connecting(true);
            }
            if at == At::Rejected {
                t.rejects(ReasonCode::NotAuthorized);
            }
        }
        At::Online => {}
        At::Requested => {
            t.receives(subscribe(5, "f"));
            t.asked(5, 1);
        }
        At::Completing => assert_eq!(t.session.disconnect(&COMPLETED), Ok(())),
        At::Leaving => t.disconnect(ReasonCode::Success),
        At::Failing | At::Parting if version == Version::V311 => return None,
        At::Failing => {
            t.publish(AtMostOnce, "half");
            t.shows(qos0("half"), 1);
            t.receives("36 00");
            t.see();
        }
        At::Parting => {
            t.receives("36 00");
            t.shows("E0 01 81", 0);
        }
        At::Draining => t.loses_link(),
        At::Reporting => {
            t.receives(if version == Version::V5 { "E0 01 04" } else { "E0 00" });
            t.event(|_, event| assert!(matches!(event, Event::Disconnected(_))));
        }
        At::Closed => {
            t.loses_link();
            t.will_due(0);
            t.closes(CloseReason::ConnectionLost);
        }
    }
    Some((t, handles))
}

/// Once every exchange is over.
const COMPLETED: Disconnect<'static> = Disconnect {
    reason_code: ReasonCode::Success,
    properties: Properties::EMPTY,
    when: DisconnectWhen::Completed { timeout: None },
};

type Call = fn(&mut Trace, [Handle; 2]) -> Result<(), CommandError>;

type Expected = fn(Version, At) -> Result<(), CommandError>;

fn publish(t: &mut Trace, qos: QoS) -> Result<(), CommandError> {
    t.try_publish(qos, "x").map(drop)
}

fn acknowledge_with(t: &mut Trace, handle: Handle) -> Result<(), CommandError> {
    t.session.acknowledge_with(handle, ReasonCode::Success, Properties::of(&[Property::ReasonString("why")]))
}

/// What must come of each command, by phase and version.
#[allow(clippy::too_many_lines, reason = "it is a table")]
fn commands() -> Vec<(&'static str, Call, Expected)> {
    use At::{
        Asked, Closed, Completing, Draining, Failing, Leaving, Never, Online, Opened, Parting, Rejected, Reporting,
        Requested,
    };
    const CODES: &[ReasonCode] = &[ReasonCode::Success];
    let published: Expected = |_, at| match at {
        Never => Err(CommandError::Offline),
        Rejected | Completing | Leaving | Failing | Parting => Err(CommandError::Closing),
        _ => Ok(()),
    };
    let disconnected: Expected = |_, at| match at {
        Online | Requested => Ok(()),
        Rejected | Completing | Leaving | Failing | Parting => Err(CommandError::Closing),
        Never | Opened | Asked | Draining | Reporting | Closed => Err(CommandError::Offline),
    };
    vec![
        (
            "accept",
            |t, _| t.session.accept(&Accept::default()),
            |_, at| if at == Asked { Ok(()) } else { Err(CommandError::NothingToAnswer) },
        ),
        (
            "accept with a limit",
            |t, _| {
                t.session
                    .accept(&Accept { properties: Properties::of(&[Property::ReceiveMaximum(1)]), ..Accept::default() })
            },
            |_, at| if at == Asked { Err(CommandError::Reserved) } else { Err(CommandError::NothingToAnswer) },
        ),
        (
            "reject",
            |t, _| t.session.reject(ReasonCode::NotAuthorized, Properties::EMPTY),
            |_, at| if at == Asked { Ok(()) } else { Err(CommandError::NothingToAnswer) },
        ),
        (
            "suback",
            |t, _| {
                t.session.suback(&Suback {
                    packet_id: packet_id(5),
                    properties: Properties::EMPTY,
                    reason_codes: List::of(CODES),
                })
            },
            |_, at| if at == Requested { Ok(()) } else { Err(CommandError::NothingToAnswer) },
        ),
        (
            "unsuback",
            |t, _| {
                t.session.unsuback(&Unsuback {
                    packet_id: packet_id(5),
                    properties: Properties::EMPTY,
                    reason_codes: List::of(CODES),
                })
            },
            |_, _| Err(CommandError::NothingToAnswer),
        ),
        (
            "authenticate",
            |t, _| {
                t.session.authenticate(&Auth {
                    reason_code: ReasonCode::ContinueAuthentication,
                    properties: Properties::of(&[Property::AuthenticationMethod("m")]),
                })
            },
            |_, _| Err(CommandError::NotAuthenticating),
        ),
        ("publish 0", |t, _| publish(t, AtMostOnce), published),
        ("publish 1", |t, _| publish(t, AtLeastOnce), published),
        ("publish 2", |t, _| publish(t, ExactlyOnce), published),
        (
            "publish too much",
            |t, _| t.session.publish(&Publish::new("t", &[0; 1024])).map(drop),
            |version, at| match at {
                Never => Err(CommandError::Offline),
                Rejected | Completing | Leaving | Failing | Parting => Err(CommandError::Closing),
                _ => Err(too_large(SizeLimit::Store, if version == Version::V5 { 1031 } else { 1030 }, 1008)),
            },
        ),
        (
            "acknowledge 1",
            |t, handles| t.session.acknowledge(handles[0], ReasonCode::Success),
            |_, at| match at {
                Never | Opened | Asked | Rejected | Reporting | Closed => Err(CommandError::StaleHandle),
                _ => Ok(()),
            },
        ),
        (
            "acknowledge 2",
            |t, handles| t.session.acknowledge(handles[1], ReasonCode::Success),
            |_, at| if at == Never { Err(CommandError::StaleHandle) } else { Ok(()) },
        ),
        (
            "acknowledge 1 with a reason",
            |t, handles| acknowledge_with(t, handles[0]),
            |version, at| match at {
                Never | Opened | Asked | Rejected | Reporting | Closed => Err(CommandError::StaleHandle),
                _ if version == Version::V311 => Err(CommandError::NotInVersion),
                Online | Requested | Completing | Leaving => Ok(()),
                Failing | Parting | Draining => Err(CommandError::Offline),
            },
        ),
        (
            "acknowledge 2 with a reason",
            |t, handles| acknowledge_with(t, handles[1]),
            |version, at| match at {
                Never => Err(CommandError::StaleHandle),
                _ if version == Version::V311 => Err(CommandError::NotInVersion),
                Online | Requested | Completing | Leaving => Err(CommandError::NotNext),
                _ => Err(CommandError::Offline),
            },
        ),
        (
            "give up",
            |t, _| if t.session.give_up(packet_id(1)) { Ok(()) } else { Err(CommandError::StaleHandle) },
            |_, at| if at == Never { Err(CommandError::StaleHandle) } else { Ok(()) },
        ),
        (
            "give up nothing",
            |t, _| if t.session.give_up(packet_id(2)) { Ok(()) } else { Err(CommandError::StaleHandle) },
            |_, _| Err(CommandError::StaleHandle),
        ),
        ("disconnect", |t, _| t.session.disconnect(&Disconnect::default()), disconnected),
        ("disconnect, completed", |t, _| t.session.disconnect(&COMPLETED), disconnected),
    ]
}

/// All that comes of a fixed course of things.
fn future(mut t: Trace) -> Vec<String> {
    let mut seen = Vec::new();
    for bytes in ["", "C0 00", "40 02 0063", ""] {
        t.receives(bytes);
        for _ in 0..100 {
            let step = t.see();
            seen.push(step.describe());
            match step {
                Seen::Transmit(bytes) => t.transmits(bytes.len()),
                Seen::Wait(_) | Seen::Close(_) => break,
                Seen::Event(_) => {}
            }
        }
        t.now += 20_000;
    }
    seen
}

#[test]
fn every_command_in_every_phase() {
    let mut faults = Vec::new();
    for version in [Version::V311, Version::V5] {
        for at in EVERYWHERE {
            let Some((before, handles)) = stage(version, at) else { continue };
            for (name, call, expected) in commands() {
                let mut t = before.clone();
                let result = call(&mut t, handles);
                if result != expected(version, at) {
                    faults.push(format!("{version:?} {at:?} {name}: {result:?}"));
                }
                if result.is_err() && (t.session != before.session || future(t) != future(before.clone())) {
                    faults.push(format!("{version:?} {at:?} {name}: refused, but something has changed"));
                }
            }
        }
    }
    crate::support::report(&faults);
}

/// How many received messages are open, and whether all has left that needs no answer.
#[test]
fn what_is_open_is_told_in_every_phase() {
    for version in [Version::V311, Version::V5] {
        for at in EVERYWHERE {
            let Some((mut t, _)) = stage(version, at) else { continue };
            let open = match at {
                At::Never => 0,
                At::Opened | At::Asked | At::Rejected | At::Reporting | At::Closed => 1,
                _ => 2,
            };
            assert_eq!(t.session.pending_received(), open, "{version:?} {at:?}");
            let is_writing = matches!(at, At::Rejected | At::Failing | At::Parting);
            assert_eq!(t.session.is_flushed(), !is_writing, "{version:?} {at:?}");
            let accepted = t.try_publish(AtMostOnce, "x").is_ok();
            assert_eq!(t.session.is_flushed(), !is_writing && !accepted, "{version:?} {at:?}");
        }
    }
}

/// How bytes come and go.
#[derive(Clone, Copy)]
struct Link {
    reads: usize,
    writes: usize,
    clones: bool,
}

/// A day of a client: what the application hears, and what it is sent.
fn day(version: Version, acknowledgement: Acknowledge, link: Link) -> (Vec<String>, Vec<u8>) {
    let mut session: Session<512, 6, 6, 64> = Session::new();
    let mut inbox: Inbox<[u8; 64]> = Inbox::new();
    let (mut events, mut written) = (Vec::new(), Vec::new());
    let first = (LASTING, (qos0("a"), qos1(1, "b"), qos2(2, "c")), (subscribe(3, "f"), pubrel(2), "C0 00"));
    let second = (LASTING, (qos2(2, "c").dup(), pubrel(2), qos1(1, "d")), (puback(1), pubrec(2), "E0 00"));
    for (is_first, bytes) in [(true, first.bytes(version)), (false, second.bytes(version))] {
        let mut left = &bytes[..];
        inbox.clear();
        session.open(core::time::Duration::from_secs(10));
        loop {
            match session.poll(&mut inbox, Instant::from_millis(0)) {
                Step::Event(event) => {
                    events.push(format!("{event:?}"));
                    match event {
                        Event::Connecting { .. } => {
                            session.accept(&Accept { acknowledgement, ..Accept::default() }).unwrap();
                        }
                        Event::Message(message) => {
                            if message.payload == b"a" {
                                session.publish(&Publish { qos: AtLeastOnce, ..Publish::new("t", b"x") }).unwrap();
                                session.publish(&Publish { qos: ExactlyOnce, ..Publish::new("t", b"y") }).unwrap();
                            }
                            if let Some(handle) = message.handle {
                                session.acknowledge(handle, ReasonCode::Success).unwrap();
                            }
                        }
                        _ => {}
                    }
                }
                Step::Transmit(shown) => {
                    let len = shown.len().min(link.writes);
                    // What is sent again depends on what has come by then.
                    written.extend_from_slice(if is_first { &shown[..len] } else { &[] });
                    if link.clones {
                        session = session.clone();
                        inbox = inbox.clone();
                    }
                    session.transmitted(len);
                }
                Step::Wait(_) if left.is_empty() => session.connection_lost(),
                Step::Wait(_) => {
                    let space = inbox.space();
                    let len = space.len().min(left.len()).min(link.reads);
                    assert!(len != 0);
                    space[..len].copy_from_slice(&left[..len]);
                    inbox.filled(len);
                    left = &left[len..];
                }
                Step::Close(cause) => {
                    events.push(format!("{cause:?}"));
                    break;
                }
            }
        }
    }
    (events, written)
}

/// What an application hears does not depend on how bytes are cut, nor on where the session lies; what leaves is the same
/// packets.
#[test]
fn fragments_and_clones_change_nothing() {
    let sorted = |mut bytes: Vec<u8>| {
        bytes.sort_unstable();
        bytes
    };
    for version in [Version::V311, Version::V5] {
        for acknowledgement in [Acknowledge::AfterHandling, Acknowledge::Manually] {
            let whole = day(version, acknowledgement, Link { reads: usize::MAX, writes: usize::MAX, clones: false });
            assert!(whole.0.len() > 10, "{whole:?}");
            for reads in [1, 2, 3, 5, 7, 64] {
                for writes in [1, 2, 3, 5, 7, 64] {
                    for clones in [false, true] {
                        let cut = day(version, acknowledgement, Link { reads, writes, clones });
                        assert_eq!(cut.0, whole.0, "{reads} {writes}");
                        assert_eq!(sorted(cut.1), sorted(whole.1.clone()), "{reads} {writes}");
                    }
                }
            }
        }
    }
}

/// No place for messages in flight, in either direction.
#[test]
fn the_smallest_sessions() {
    for version in [Version::V311, Version::V5] {
        let mut t = Trace::<64, 0, 0, 64, 64>::new(version);
        t.connects();
        assert!(matches!(t.try_publish(AtLeastOnce, "a"), Err(CommandError::TooLarge { .. })));
        t.publish(AtMostOnce, "a");
        t.sends(qos0("a"));
        t.receives((qos1(1, "b"), qos0("c")));
        t.message(qos1(1, "b"));
        t.message(qos0("c"));
        t.sends(puback(1));
        t.receives(qos2(2, "d"));
        t.fails(CloseReason::TooManyHeld, 0x97);

        let mut t = Trace::<64, 1, 1, 64, 64>::new(version);
        t.connects();
        t.publish(ExactlyOnce, "a");
        assert_eq!(t.try_publish(AtLeastOnce, "b"), Err(CommandError::Full));
        t.sends(qos2(1, "a"));
        t.tells(&Event::Writable);
        t.receives(qos2(2, "d"));
        t.message(qos2(2, "d"));
        t.sends(pubrec(2));
        t.receives(qos2(3, "e"));
        let cause = if t.is_v5() { CloseReason::ReceiveMaximumExceeded } else { CloseReason::TooManyHeld };
        t.fails(cause, 0x93);

        let mut t = Trace::<0, 0, 0, 64, 64>::new(version);
        t.connects();
        assert!(matches!(t.try_publish(AtMostOnce, ""), Err(CommandError::TooLarge { .. })));
        t.receives("C0 00");
        t.sends("D0 00");
    }
}

const fn too_large(limit: SizeLimit, needed: u32, available: u32) -> CommandError {
    CommandError::TooLarge { limit, needed, available }
}

/// A packet as long as there is room fits, and one of a byte more does not.
#[test]
fn room_is_exact_to_the_byte() {
    for version in [Version::V311, Version::V5] {
        let mut t = Trace::<128, 2, 1, 64, 64>::new(version);
        t.connects();
        for (used, refused) in [(0, too_large(SizeLimit::Store, 113, 112)), (40, CommandError::Full)] {
            if used != 0 {
                t.publish(AtLeastOnce, &"x".repeat(used));
            }
            // Type and length, topic, property length.
            let payload = t.session.free_space() - if t.is_v5() { 6 } else { 5 };
            let fits = |payload| t.clone().try_publish(AtMostOnce, &"x".repeat(payload));
            assert_eq!((fits(payload), fits(payload + 1)), (Ok(0), Err(refused)), "{version:?}, {used} bytes");
        }
    }
}

/// T18. Backwards what was counted stays counted; far forwards everything is over.
#[test]
fn clocks_that_jump() {
    for mut t in both() {
        t.hello.keep_alive = 10;
        t.now = 1_000_000;
        t.connects();
        t.now = 1_005_000;
        assert_eq!(t.quiet(), Some(1_015_000));
        t.now = 0;
        assert_eq!(t.quiet(), Some(10_000));
        t.now = 9_999;
        assert_eq!(t.quiet(), Some(10_000));
        t.now = u64::MAX;
        t.fails(CloseReason::KeepAliveTimeout, 0x8D);
        t.opens();
        t.receives(t.hello);
        t.connecting(true);
    }
}
