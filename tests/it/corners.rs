//! Corners in which time, space and the order of things meet.
#![cfg(all(feature = "v311", feature = "v5"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a fault here is a failed test")]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, reason = "numbers are small")]

use mqtt_session::wire::Properties;
use mqtt_session::{
    Acknowledge, CloseReason, CommandError, Connect, Disconnect, Inbox, Instant, LostSession, Property, Publish, QoS,
    ReasonCode, Session, Step, Subscribe, Subscription, Version, server,
};

fn feed<const N: usize>(inbox: &mut Inbox<[u8; N]>, bytes: &[u8]) {
    inbox.space()[..bytes.len()].copy_from_slice(bytes);
    inbox.filled(bytes.len());
}
fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

/// Polls until there is nothing to do: the events, and the bytes.
fn run<const A: usize, const B: usize, const C: usize, const D: usize, const N: usize>(
    session: &mut Session<A, B, C, D>,
    inbox: &mut Inbox<[u8; N]>,
    now: u64,
) -> (Vec<String>, Vec<u8>) {
    let (mut ev, mut out) = (vec![], vec![]);
    for _ in 0..1000 {
        match session.poll(inbox, at(now)) {
            Step::Event(e) => ev.push(format!("{e:?}")),
            Step::Transmit(b) => {
                out.extend_from_slice(b);
                let n = b.len();
                session.transmitted(n);
            }
            Step::Wait(_) => break,
            Step::Close(c) => {
                ev.push(format!("Close {c:?}"));
                break;
            }
        }
    }
    (ev, out)
}
/// The same of a server's end, which accepts everybody.
fn run_s<const A: usize, const B: usize, const C: usize, const D: usize, const N: usize>(
    session: &mut server::Session<A, B, C, D>,
    inbox: &mut Inbox<[u8; N]>,
    now: u64,
) -> (Vec<String>, Vec<u8>) {
    let (mut ev, mut out) = (vec![], vec![]);
    for _ in 0..1000 {
        match session.poll(inbox, at(now)) {
            Step::Event(e) => {
                ev.push(format!("{e:?}"));
                if matches!(e, server::Event::Connecting { .. }) {
                    session.accept(&server::Accept::default()).unwrap();
                }
            }
            Step::Transmit(b) => {
                out.extend_from_slice(b);
                let n = b.len();
                session.transmitted(n);
            }
            Step::Wait(_) => break,
            Step::Close(c) => {
                ev.push(format!("Close {c:?}"));
                break;
            }
        }
    }
    (ev, out)
}

/// Connects in 3.1.1.
fn online<const A: usize, const B: usize, const C: usize, const D: usize>(
    session: &mut Session<A, B, C, D>,
    inbox: &mut Inbox<[u8; 256]>,
    connect: &Connect<'_>,
) {
    session.connect(inbox, connect).unwrap();
    run(session, inbox, 0);
    feed(inbox, &[0x20, 2, 0, 0]);
    run(session, inbox, 0);
}

/// A PINGREQ that waits behind a half-written packet is not yet asked.
#[test]
fn a_slow_upload_is_no_silence() {
    let mut session: Session<4096, 4, 4> = Session::new();
    let mut inbox: Inbox<[u8; 256]> = Inbox::new();
    session.connect(&mut inbox, &Connect { keep_alive: 8, ..Connect::new(Version::V311, "c") }).unwrap();
    run(&mut session, &mut inbox, 0);
    feed(&mut inbox, &[0x20, 2, 0, 0]);
    run(&mut session, &mut inbox, 0);
    session.publish(&Publish { qos: QoS::AtLeastOnce, ..Publish::new("t", &[7; 3000]) }).unwrap();
    for sec in 0..40 {
        loop {
            match session.poll(&mut inbox, at(sec * 1000)) {
                Step::Transmit(_) => {
                    session.transmitted(100);
                    break;
                }
                Step::Event(_) => {}
                Step::Wait(_) => break,
                Step::Close(c) => {
                    panic!("closed at {sec} s with {c:?} though bytes are taken each second");
                }
            }
        }
    }
}

/// [MQTT-3.1.2-23] in 3.1.1, [MQTT-3.1.2-20] in 5.0: PINGRESP is behind the packet, and the pause must not grow.
#[test]
fn something_is_sent_while_a_long_packet_trickles_in() {
    let mut session: Session<4096, 4, 4> = Session::new();
    let mut inbox: Inbox<[u8; 256]> = Inbox::new();
    session.connect(&mut inbox, &Connect { keep_alive: 8, ..Connect::new(Version::V311, "c") }).unwrap();
    run(&mut session, &mut inbox, 0);
    feed(&mut inbox, &[0x20, 2, 0, 0]);
    run(&mut session, &mut inbox, 0);
    let mut msg = vec![0x30, 100, 0, 1, b't'];
    msg.extend([0; 97]);
    let mut last = 0;
    let mut worst = 0;
    let mut pings = vec![];
    for sec in 1..100u64 {
        feed(&mut inbox, &msg[(sec - 1) as usize..sec as usize]);
        let (ev, out) = run(&mut session, &mut inbox, sec * 1000);
        assert!(ev.is_empty(), "{sec} {ev:?}");
        if !out.is_empty() {
            pings.push(sec);
            last = sec;
        }
        worst = worst.max(sec - last);
    }
    assert!(worst <= 8, "nothing sent for {worst} s with a keep alive of 8 s; pings at {pings:?}");
}

/// A client that takes nothing is given up, though its next request lies in the inbox.
#[test]
fn a_request_that_waits_for_room_is_heard_once() {
    let mut session: server::Session<1024, 4, 4, 40> = server::Session::new();
    let mut inbox: Inbox<[u8; 256]> = Inbox::new();
    session.open(core::time::Duration::from_secs(10));
    feed(&mut inbox, b"\x10\x0d\0\x04MQTT\x04\x02\0\x08\0\x01a"); // keep alive 8 s
    run_s(&mut session, &mut inbox, 0);
    assert!(session.is_online());
    // SUBSCRIBEs with 20 filters each; the transport takes nothing.
    for id in 1..=2u8 {
        let mut body = vec![0, id];
        for _ in 0..20 {
            body.extend([0, 1, b'x', 0]);
        }
        let mut p = vec![0x82, body.len() as u8];
        p.extend(body);
        feed(&mut inbox, &p);
    }
    let mut now = 0;
    for _ in 0..100 {
        match session.poll(&mut inbox, at(now)) {
            Step::Event(_) => {}
            Step::Transmit(_) => {
                // blocked: wait until the deadline
                let d = session.deadline().unwrap().as_millis();
                now = d.max(now + 1);
            }
            Step::Wait(Some(d)) if d <= at(now) => {} // nothing comes of one more read
            Step::Wait(d) => panic!("wait {d:?}"),
            Step::Close(c) => {
                assert_eq!(c, CloseReason::KeepAliveTimeout);
                assert!(now <= 20_000, "{now}");
                return;
            }
        }
    }
    panic!("after {} s of silence (keep alive 8 s) the connection is still open", now / 1000);
}

/// A dead server is given up, though a message of it lies in the inbox.
#[test]
fn a_message_that_waits_for_a_place_is_heard_once() {
    let mut session: Session<1024, 4, 1> = Session::new();
    let mut inbox: Inbox<[u8; 256]> = Inbox::new();
    session
        .connect(
            &mut inbox,
            &Connect { keep_alive: 8, acknowledgement: Acknowledge::Manually, ..Connect::new(Version::V311, "c") },
        )
        .unwrap();
    run(&mut session, &mut inbox, 0);
    feed(&mut inbox, &[0x20, 2, 0, 0]);
    run(&mut session, &mut inbox, 0);
    feed(&mut inbox, &[0x32, 5, 0, 1, b't', 0, 1]);
    feed(&mut inbox, &[0x32, 5, 0, 1, b't', 0, 2]);
    run(&mut session, &mut inbox, 0);
    session.publish(&Publish { qos: QoS::AtLeastOnce, ..Publish::new("t", &[7; 100]) }).unwrap();
    let mut now = 0;
    for _ in 0..100 {
        match session.poll(&mut inbox, at(now)) {
            Step::Event(_) => {}
            Step::Transmit(_) => {
                let d = session.deadline().unwrap().as_millis();
                now = d.max(now + 1);
            }
            Step::Wait(Some(d)) if d <= at(now) => {} // nothing comes of one more read
            Step::Wait(d) => panic!("wait {d:?}"),
            Step::Close(c) => {
                assert_eq!(c, CloseReason::PingTimeout);
                assert!(now <= 20_000, "{now}");
                return;
            }
        }
    }
    panic!("after {} s of silence and a blocked transport the connection is still open", now / 1000);
}

/// What waits for PUBCOMP still counts.
#[test]
fn a_window_is_kept_when_all_is_sent_again() {
    let mut session: Session<1024, 8, 4> = Session::new();
    let mut inbox: Inbox<[u8; 256]> = Inbox::new();
    session
        .connect(
            &mut inbox,
            &Connect {
                keep_alive: 0,
                max_inflight: 1,
                retry_interval: core::time::Duration::from_secs(5),
                ..Connect::new(Version::V311, "c")
            },
        )
        .unwrap();
    run(&mut session, &mut inbox, 0);
    feed(&mut inbox, &[0x20, 2, 0, 0]);
    run(&mut session, &mut inbox, 0);
    let a = session.publish(&Publish { qos: QoS::ExactlyOnce, ..Publish::new("t", b"a") }).unwrap().unwrap();
    session.publish(&Publish { qos: QoS::ExactlyOnce, ..Publish::new("t", b"BB") }).unwrap();
    session.publish(&Publish { qos: QoS::ExactlyOnce, ..Publish::new("t", b"CC") }).unwrap();
    run(&mut session, &mut inbox, 0);
    let [h, l] = a.get().to_be_bytes();
    feed(&mut inbox, &[0x50, 2, h, l]);
    let (_, out) = run(&mut session, &mut inbox, 6000);
    assert!(!out.contains(&b'B'), "the second is shown while the first is open");
    let (_, out) = run(&mut session, &mut inbox, 12_000);
    assert_eq!(out, [0x62, 2, h, l], "PUBREL is sent again, and nothing else");
    feed(&mut inbox, &[0x70, 2, h, l]);
    let (_, out) = run(&mut session, &mut inbox, 12_000);
    assert!(out.contains(&b'B') && !out.contains(&b'C'), "the third is shown while the second is open");
}

/// Each that waits for PUBCOMP counts once, and what is free of the window is used.
#[test]
fn a_window_that_is_half_free_takes_what_is_sent_again() {
    let mut session: Session<1024, 4, 4> = Session::new();
    let mut inbox: Inbox<[u8; 256]> = Inbox::new();
    let connect = Connect {
        keep_alive: 0,
        max_inflight: 2,
        retry_interval: core::time::Duration::from_secs(5),
        ..Connect::new(Version::V311, "c")
    };
    online(&mut session, &mut inbox, &connect);
    let ids = [b"AA", b"BB", b"CC"].map(|payload| {
        let publish = Publish { qos: QoS::ExactlyOnce, ..Publish::new("t", payload) };
        session.publish(&publish).unwrap().unwrap().get().to_be_bytes()
    });
    let (_, out) = run(&mut session, &mut inbox, 0);
    assert!(out.contains(&b'B') && !out.contains(&b'C'));
    for (now, [high, low], is_sent_again) in [(0, ids[0], true), (12_000, ids[1], false)] {
        feed(&mut inbox, &[0x50, 2, high, low]);
        run(&mut session, &mut inbox, now);
        let (_, out) = run(&mut session, &mut inbox, now + 6000);
        assert_eq!((out.contains(&b'B'), out.contains(&b'C')), (is_sent_again, false));
    }
}

/// When it was shown says nothing of when it would expire.
#[test]
fn what_is_published_anew_does_not_expire_in_the_old_version() {
    let mut session: Session<1024, 3, 4> = Session::new();
    let mut inbox: Inbox<[u8; 256]> = Inbox::new();
    let connect = Connect {
        clean_start: false,
        keep_alive: 0,
        retry_interval: core::time::Duration::from_secs(5),
        lost_session: LostSession::Republish,
        ..Connect::new(Version::V311, "c")
    };
    online(&mut session, &mut inbox, &connect);
    for payload in [b"AA", b"BB"] {
        session.publish(&Publish { qos: QoS::AtLeastOnce, ..Publish::new("t", payload) }).unwrap();
    }
    let (_, out) = run(&mut session, &mut inbox, 1);
    assert!(out.contains(&b'A') && out.contains(&b'B'));
    session.connection_lost();
    run(&mut session, &mut inbox, 10_000);
    // The second one waits.
    session.connect(&mut inbox, &Connect { max_inflight: 1, ..connect }).unwrap();
    run(&mut session, &mut inbox, 10_000);
    feed(&mut inbox, &[0x20, 2, 0, 0]);
    let (events, out) = run(&mut session, &mut inbox, 10_000);
    assert!(out.contains(&b'A') && !out.contains(&b'B'), "{events:?}");
    assert!(!events.iter().any(|event| event.contains("Expired")), "{events:?}");
}

/// What expires makes room.
#[test]
fn writable_is_told_before_there_is_nothing_to_do() {
    let mut session: Session<64, 8, 4> = Session::new();
    let mut inbox: Inbox<[u8; 256]> = Inbox::new();
    session.connect(&mut inbox, &Connect::new(Version::V5, "c")).unwrap();
    run(&mut session, &mut inbox, 0);
    let p = [Property::MessageExpiryInterval(1)];
    let publish = Publish { properties: Properties::of(&p), ..Publish::new("out", &[0; 20]) };
    session.publish(&publish).unwrap();
    assert_eq!(session.publish(&publish), Err(CommandError::Full));
    run(&mut session, &mut inbox, 0);
    let (ev, _) = run(&mut session, &mut inbox, 3000);
    assert!(session.free_space() > 30);
    assert!(ev.contains(&"Writable".to_string()), "room {} but Wait without Writable: {ev:?}", session.free_space());
}

/// SUBACK must have as many codes as the request has filters.
#[test]
fn requests_of_different_lengths_make_different_sessions() {
    let mk = |n: usize| {
        let mut session: Session<256, 8, 4> = Session::new();
        let mut inbox: Inbox<[u8; 256]> = Inbox::new();
        session.connect(&mut inbox, &Connect { keep_alive: 0, ..Connect::new(Version::V311, "c") }).unwrap();
        run(&mut session, &mut inbox, 0);
        feed(&mut inbox, &[0x20, 2, 0, 0]);
        run(&mut session, &mut inbox, 0);
        let subs = [Subscription::new("a", QoS::AtMostOnce); 2];
        session.subscribe(&Subscribe::new(&subs[..n])).unwrap();
        run(&mut session, &mut inbox, 0);
        (session, inbox)
    };
    let ((mut a, mut ia), (mut b, mut ib)) = (mk(1), mk(2));
    assert!(a != b);
    feed(&mut ia, &[0x90, 3, 0, 1, 0]);
    feed(&mut ib, &[0x90, 3, 0, 1, 0]);
    assert_ne!(run(&mut a, &mut ia, 0).0, run(&mut b, &mut ib, 0).0);
}

/// The answer has no room beside a long DISCONNECT.
#[test]
fn a_neglected_request_does_not_replace_a_farewell() {
    let mut session: server::Session<256, 4, 4, 60> = server::Session::new();
    let mut inbox: Inbox<[u8; 256]> = Inbox::new();
    session.open(core::time::Duration::from_secs(10));
    feed(&mut inbox, b"\x10\x0e\0\x04MQTT\x05\x02\0\x08\0\0\x01a");
    run_s(&mut session, &mut inbox, 0);
    assert!(session.is_online());
    feed(&mut inbox, &[0x82, 7, 0, 1, 0, 0, 1, b'x', 0]);
    assert!(matches!(session.poll(&mut inbox, at(0)), Step::Event(server::Event::Subscribing { .. })));
    let r = "x".repeat(48);
    let p = [Property::ReasonString(&r)];
    let d =
        Disconnect { reason_code: ReasonCode::NotAuthorized, properties: Properties::of(&p), ..Disconnect::default() };
    session.disconnect(&d).unwrap();
    let (events, out) = run_s(&mut session, &mut inbox, 0);
    assert!(events.last().is_some_and(|event| event == "Close Disconnected"), "{events:?}");
    assert_eq!(out[..3], [0xE0, 53, 0x87]);
}

/// A packet is half written when everything should be sent again.
#[test]
fn a_repeat_that_is_due_does_not_spin() {
    let mut session: Session<1024, 8, 4> = Session::new();
    let mut inbox: Inbox<[u8; 256]> = Inbox::new();
    online(
        &mut session,
        &mut inbox,
        &Connect {
            keep_alive: 0,
            retry_interval: core::time::Duration::from_secs(5),
            ..Connect::new(Version::V311, "c")
        },
    );
    session.publish(&Publish { qos: QoS::ExactlyOnce, ..Publish::new("t", b"a") }).unwrap();
    assert!(matches!(session.poll(&mut inbox, at(0)), Step::Transmit(_)));
    session.transmitted(1);
    for k in 0..3 {
        assert!(matches!(session.poll(&mut inbox, at(6000 + k)), Step::Transmit(_)));
    }
    assert!(session.deadline() > Some(at(6002)), "deadline is now: {:?}", session.deadline());
}

/// Otherwise DISCONNECT would never leave.
#[test]
fn a_farewell_without_time_has_a_second() {
    let mut session: Session<1024, 8, 4> = Session::new();
    let mut inbox: Inbox<[u8; 256]> = Inbox::new();
    online(
        &mut session,
        &mut inbox,
        &Connect { disconnect_timeout: core::time::Duration::from_secs(0), ..Connect::new(Version::V311, "c") },
    );
    session.disconnect(&Disconnect::default()).unwrap();
    let (e, o) = run(&mut session, &mut inbox, 0);
    assert!(o == [0xe0, 0], "{e:?} {o:?}");
}
