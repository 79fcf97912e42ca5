//! The promises, each as a judgement on what was seen.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use mqtt_session::{AckType, CloseReason, Outcome, PacketId, QoS, ReasonCode, Role};

use super::journal::{Fact, Wire, other};
use super::model::{Message, Model, number_in};
use super::world::index;

/// What a run has left, to be judged.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) facts: Vec<(u64, Fact)>,
    /// Whether 3.1.1 sends again after a time, on any of the connections.
    pub(crate) retries: bool,
    pub(crate) is_v5: bool,
}

pub(crate) type Checked = Result<(), String>;

macro_rules! ensure {
    ($holds:expr, $($said:tt)+) => {
        if !$holds {
            return Err(format!($($said)+));
        }
    };
}

/// Judges each fact by what was known before it.
fn follow(seen: &Seen, mut judge: impl FnMut(&Model, u64, &Fact) -> Checked) -> Checked {
    let mut model = Model::default();
    for (now, fact) in &seen.facts {
        judge(&model, *now, fact).map_err(|fault| format!("{fault} (at {now})"))?;
        model.learn(*now, fact);
    }
    Ok(())
}

/// Judges each message by what is known in the end.
fn each(seen: &Seen, judge: impl Fn(u32, &Message) -> Checked) -> Checked {
    Model::of(&seen.facts).messages.iter().try_for_each(|(number, message)| judge(*number, message))
}

pub(crate) fn one_outcome_each(seen: &Seen) -> Checked {
    let mut requests = BTreeSet::new();
    for (now, fact) in &seen.facts {
        match fact {
            Fact::Told { number: None, .. } => return Err(format!("an outcome of nothing at {now}")),
            Fact::Requested(packet_id) => ensure!(requests.insert(*packet_id), "request {packet_id} twice"),
            Fact::Answered { packet_id, .. } => {
                ensure!(requests.remove(packet_id), "an answer to nothing: {packet_id}")
            }
            _ => {}
        }
    }
    ensure!(requests.is_empty(), "requests without an end: {requests:?}");
    each(seen, |number, message| {
        let Message { qos, told, cancelled, abandoned, .. } = message;
        let expected = usize::from(*qos != QoS::AtMostOnce && !cancelled);
        let enough = told.len() == expected || (*abandoned && told.is_empty());
        ensure!(enough, "message {number} ended so: {told:?}");
        Ok(())
    })
}

pub(crate) fn qos_0_at_most_once(seen: &Seen) -> Checked {
    each(seen, |number, message| {
        if message.qos != QoS::AtMostOnce {
            return Ok(());
        }
        ensure!(message.deliveries <= 1, "message {number} arrived {} times", message.deliveries);
        ensure!(message.shown.len() <= 1, "message {number} was shown on connections {:?}", message.shown);
        Ok(())
    })
}

/// What an outcome says must be so.
fn outcome_is_true(number: u32, message: &Message) -> Checked {
    let Message { deliveries, shown, refusals, received, may_be_lost, republished, .. } = message;
    match message.told.first() {
        Some(Outcome::Acknowledged(_)) => {
            ensure!(*deliveries != 0 || message.estranged, "message {number} was confirmed and never arrived");
        }
        Some(Outcome::Rejected(_)) => {
            ensure!(*refusals != 0 || message.estranged, "message {number}: rejected by nobody");
        }
        // One that is published anew is a new message.
        Some(Outcome::Expired) if *republished != 0 => {}
        Some(Outcome::Expired) => ensure!(shown.is_empty() && *deliveries == 0, "message {number} expired late"),
        Some(Outcome::GivenUp) => {
            ensure!(message.given_up && !shown.is_empty(), "message {number} is given up by nobody")
        }
        Some(Outcome::Lost) => ensure!(*may_be_lost, "message {number}: no session was lost"),
        Some(Outcome::LostUnconfirmed) => ensure!(*may_be_lost && *received, "message {number}: no session was lost"),
        _ => {}
    }
    Ok(())
}

pub(crate) fn qos_1_at_least_once(seen: &Seen) -> Checked {
    each(
        seen,
        |number, message| if message.qos == QoS::AtLeastOnce { outcome_is_true(number, message) } else { Ok(()) },
    )
}

pub(crate) fn qos_2_exactly_once(seen: &Seen) -> Checked {
    each(seen, |number, message| {
        if message.qos != QoS::ExactlyOnce {
            return Ok(());
        }
        // Once more for each time that the other end has forgotten it, or its application has refused it.
        let most = 1 + message.forgotten + message.republished + message.refusals;
        ensure!(message.deliveries <= most, "message {number} arrived {} times", message.deliveries);
        outcome_is_true(number, message)
    })
}

pub(crate) fn messages_arrive_as_they_were(seen: &Seen) -> Checked {
    follow(seen, |model, _, fact| {
        if let Fact::Delivered { to, number, intact, .. } = fact {
            let from = model.messages.get(number).map(|message| message.from);
            ensure!(*intact && from == Some(other(*to)), "message {number} arrived damaged");
        }
        Ok(())
    })
}

pub(crate) fn first_deliveries_in_order(seen: &Seen) -> Checked {
    let mut last: BTreeMap<(usize, bool), u32> = BTreeMap::new();
    follow(seen, |model, _, fact| {
        let Fact::Delivered { to, number, qos, .. } = fact else { return Ok(()) };
        if model.messages.get(number).is_some_and(|message| message.deliveries != 0) {
            return Ok(());
        }
        let before = last.insert((index(*to), *qos == QoS::AtMostOnce), *number);
        ensure!(before.is_none_or(|before| before < *number), "message {number} arrived behind {before:?}");
        Ok(())
    })
}

pub(crate) fn publishes_leave_in_order(seen: &Seen) -> Checked {
    let mut last: BTreeMap<usize, u32> = BTreeMap::new();
    let mut last_of_qos_0: BTreeMap<usize, u32> = BTreeMap::new();
    follow(seen, |model, _, fact| {
        match fact {
            Fact::Connected => last.clear(),
            Fact::Shown { from, packet: Wire::Publish { packet_id: None, topic, .. } } => {
                let Some(number) = number_in(topic) else { return Ok(()) };
                let before = last_of_qos_0.insert(index(*from), number);
                ensure!(before.is_none_or(|before| before < number), "message {number} left behind {before:?}");
            }
            Fact::Shown { from, packet: Wire::Publish { packet_id, dup, .. } } => {
                let Some((number, _)) = model.message(*from, *packet_id) else { return Ok(()) };
                let before = last.insert(index(*from), number);
                let again = seen.retries && *dup;
                ensure!(
                    again || before.is_none_or(|before| before < number),
                    "message {number} left behind {before:?}"
                );
            }
            _ => {}
        }
        Ok(())
    })
}

pub(crate) fn acknowledgements_leave_in_order(seen: &Seen) -> Checked {
    let mut owed: [Vec<PacketId>; 2] = Default::default();
    follow(seen, |_, _, fact| {
        match fact {
            Fact::Connected => owed = Default::default(),
            Fact::Arrived { from, packet: Wire::Publish { packet_id: Some(packet_id), .. } } => {
                let owed = &mut owed[index(other(*from))];
                if !owed.contains(packet_id) {
                    owed.push(*packet_id);
                }
            }
            Fact::Shown { from, packet: Wire::Answer { kind: AckType::Puback | AckType::Pubrec, packet_id, .. } } => {
                let owed = &mut owed[index(*from)];
                ensure!(owed.first() == Some(packet_id), "{from:?} answers {packet_id} where {owed:?} is due");
                owed.remove(0);
            }
            _ => {}
        }
        Ok(())
    })
}

pub(crate) fn acknowledgements_come_after_the_application(seen: &Seen) -> Checked {
    let mut handled: [BTreeMap<PacketId, bool>; 2] = Default::default();
    follow(seen, |_, _, fact| {
        match fact {
            Fact::Delivered { to, packet_id: Some(packet_id), manual, .. } => {
                handled[index(*to)].insert(*packet_id, !manual);
            }
            Fact::Judged { by, packet_id, code: Some(_), .. } => {
                handled[index(*by)].insert(*packet_id, true);
            }
            Fact::Shown { from, packet: Wire::Answer { kind: AckType::Puback | AckType::Pubrec, packet_id, .. } } => {
                let handled = handled[index(*from)].get(packet_id) == Some(&true);
                ensure!(handled, "{from:?} answers {packet_id} before the application has");
            }
            _ => {}
        }
        Ok(())
    })
}

/// A handle is stale only once its message is acknowledged, its connection (QoS 1) or its session (QoS 2) gone.
pub(crate) fn handles_live_as_long_as_they_should(seen: &Seen) -> Checked {
    let mut born: BTreeMap<u32, (u32, u32)> = BTreeMap::new();
    let mut sessions = 0;
    let mut ended = false;
    follow(seen, |model, _, fact| {
        match fact {
            Fact::Connected => ended = false,
            Fact::Cut | Fact::Closed { .. } => ended = true,
            Fact::Connecting { clean, lasting } => sessions += u32::from(*clean || !*lasting),
            Fact::Admitted { session_present: false, .. }
            | Fact::Online { session_present: false }
            | Fact::Replaced => {
                sessions += 1;
            }
            Fact::Delivered { serial, manual: true, .. } => {
                born.insert(*serial, (model.connection, sessions));
            }
            Fact::Judged { number, serial, qos, code: None, .. } => {
                let Some(&(connection, session)) = born.get(serial) else { return Err("a handle of nothing".into()) };
                let connection_gone = connection != model.connection || ended;
                let passed = !lasting(seen, connection) || model.unannounced;
                let session_gone = sessions != session || (connection_gone && passed);
                let gone = if *qos == QoS::AtLeastOnce { connection_gone } else { session_gone };
                ensure!(gone, "the handle of message {number} is stale");
            }
            _ => {}
        }
        Ok(())
    })
}

/// The server goes on with no session that it told nobody of, and the client with none that it gave up or, in 5.0, never knew.
pub(crate) fn only_a_known_session_is_resumed(seen: &Seen) -> Checked {
    let (mut known, mut given_up, mut asked) = (false, false, false);
    follow(seen, |model, _, fact| {
        match fact {
            Fact::Connecting { clean, lasting } => {
                known &= !clean;
                given_up |= clean;
                asked = *lasting;
            }
            Fact::Admitted { session_present: true, .. } => {
                ensure!(!model.unannounced, "a session that nobody was told of is resumed");
            }
            Fact::Online { session_present } => {
                let allowed = known || !seen.is_v5 && !given_up;
                ensure!(!session_present || allowed, "a session that is not known is resumed");
                (known, given_up) = (asked, false);
            }
            _ => {}
        }
        Ok(())
    })
}

/// Whether the session is to outlive the connection with this number.
fn lasting(seen: &Seen, connection: u32) -> bool {
    let mut asked = seen.facts.iter().filter_map(|(_, fact)| match fact {
        Fact::Connecting { lasting, .. } => Some(*lasting),
        _ => None,
    });
    asked.nth(connection.saturating_sub(1) as usize).unwrap_or(false)
}

/// What two ends that keep the rules may end a connection for.
const fn is_fair(cause: CloseReason) -> bool {
    matches!(
        cause,
        CloseReason::NotConnected
            | CloseReason::ConnectionLost
            | CloseReason::Disconnected
            | CloseReason::ConnackTimeout
            | CloseReason::ConnectTimeout
            | CloseReason::PingTimeout
            | CloseReason::KeepAliveTimeout
            | CloseReason::SessionUnknown
            | CloseReason::ConnectionRefused(ReasonCode::ServerUnavailable)
            | CloseReason::Rejected(ReasonCode::ServerUnavailable)
            // The server was misled.
            | CloseReason::ReceiveMaximumExceeded
            | CloseReason::DisconnectedByPeer(
                ReasonCode::Success
                    | ReasonCode::DisconnectWithWill
                    | ReasonCode::SessionTakenOver
                    | ReasonCode::ServerShuttingDown
                    | ReasonCode::KeepAliveTimeout
                    | ReasonCode::ReceiveMaximumExceeded
                    | ReasonCode::ProtocolError
            )
    )
}

pub(crate) fn everything_finishes(seen: &Seen) -> Checked {
    let mut begun = 0;
    follow(seen, |model, now, fact| {
        match fact {
            Fact::Closed { end, cause } => {
                let full = matches!(
                    cause,
                    CloseReason::TooManyHeld | CloseReason::DisconnectedByPeer(ReasonCode::QuotaExceeded)
                );
                // A repeat that comes after its acknowledgement is a new message of QoS 1, and takes a place.
                let leftover = model.estranged || seen.retries || gave_up_what_was_sent(&seen.facts);
                ensure!(is_fair(*cause) || (full && leftover), "{end:?} closes for {cause:?}");
            }
            Fact::Settling => begun = now,
            Fact::Settled(settled) => {
                ensure!(*settled || model.estranged, "not everything came to its end");
                ensure!(now - begun < 3_600_000, "it took {} ms", now - begun);
            }
            _ => {}
        }
        Ok(())
    })
}

pub(crate) fn identifiers_stand_for_one_thing(seen: &Seen) -> Checked {
    follow(seen, |model, _, fact| {
        let (from, packet_id) = match fact {
            Fact::Accepted { from, packet_id: Some(packet_id), .. } => (*from, packet_id),
            Fact::Requested(packet_id) | Fact::Republished { packet_id, .. } => (Role::Client, packet_id),
            Fact::InFlight(role, count) => {
                let kept = model.messages.values().filter(|message| message.from == *role && is_kept(message)).count();
                let fair = usize::from(*count) <= kept || model.estranged;
                ensure!(fair, "{role:?} has {count} identifiers left, and {kept} are kept");
                return Ok(());
            }
            Fact::Shown { from, packet: Wire::Publish { packet_id: packet_id @ Some(_), qos, topic, .. } } => {
                let Some((number, message)) = model.message(*from, *packet_id) else {
                    return Err(format!("{from:?} publishes with {packet_id:?}, which stands for nothing"));
                };
                let same = message.qos == *qos && number_in(topic).is_none_or(|named| named == number);
                ensure!(same, "{from:?} publishes another message with {packet_id:?}");
                return Ok(());
            }
            _ => return Ok(()),
        };
        let is_taken = model.live[index(from)].contains_key(packet_id) || model.kept[index(from)].contains(packet_id);
        ensure!(!is_taken, "{from:?} uses {packet_id} twice");
        Ok(())
    })
}

pub(crate) fn receive_maximum_is_kept(seen: &Seen) -> Checked {
    let mut open: [BTreeSet<PacketId>; 2] = Default::default();
    let mut maximum = [u16::MAX; 2];
    follow(seen, |_, _, fact| {
        match fact {
            Fact::Connected => open = Default::default(),
            Fact::Arrived { packet: Wire::Connect { receive_maximum, .. }, .. } => maximum[1] = *receive_maximum,
            Fact::Arrived { packet: Wire::Connack { receive_maximum, .. }, .. } => maximum[0] = *receive_maximum,
            Fact::Arrived { from, packet: Wire::Answer { kind, packet_id, code } }
                if matches!(kind, AckType::Puback | AckType::Pubcomp)
                    || (*kind == AckType::Pubrec && code.is_error()) =>
            {
                open[index(other(*from))].remove(packet_id);
            }
            Fact::Shown { from, packet: Wire::Publish { packet_id: Some(packet_id), .. } } => {
                let from = index(*from);
                open[from].insert(*packet_id);
                let (open, maximum) = (open[from].len(), maximum[from]);
                ensure!(open <= usize::from(maximum), "{open} in flight, allowed are {maximum}");
            }
            _ => {}
        }
        Ok(())
    })
}

/// What a client was told of before it says that it disconnects is not lost: not what PUBACK or PUBCOMP confirmed.
pub(crate) fn what_was_confirmed_before_leaving_is_not_lost(seen: &Seen) -> Checked {
    let mut confirmed: BTreeSet<u32> = BTreeSet::new();
    let mut lost: Option<u32> = None;
    let mut has_left = false;
    follow(seen, |model, _, fact| {
        match fact {
            Fact::Connected => {
                confirmed.clear();
                (lost, has_left) = (None, false);
            }
            Fact::Shown { from: Role::Client, packet: Wire::Disconnect(_) } => has_left = true,
            Fact::Arrived { from: Role::Server, packet: Wire::Answer { kind, packet_id, .. } } if !has_left => {
                if let Some((number, message)) = model.message(Role::Client, Some(*packet_id)) {
                    let shown = message.shown.last() == Some(&model.connection);
                    let ends =
                        *kind == AckType::Pubcomp || (*kind == AckType::Puback && message.qos == QoS::AtLeastOnce);
                    confirmed.extend((ends && shown).then_some(number));
                }
            }
            Fact::Told {
                from: Role::Client,
                number: Some(number),
                outcome: Outcome::Lost | Outcome::LostUnconfirmed,
            } => {
                lost = lost.or(Some(*number).filter(|number| confirmed.contains(number)));
            }
            Fact::Closed { end: Role::Client, cause: CloseReason::Disconnected } => {
                ensure!(lost.is_none(), "{lost:?} was confirmed before the client left, and told as lost");
            }
            _ => {}
        }
        Ok(())
    })
}

/// A client whose server does not know how many messages it takes refuses none that the server might send if it knew: as many
/// as were allowed, and one more for each acknowledgement, also for each PUBCOMP of an earlier connection. (5.0: 4.9)
pub(crate) fn no_peer_is_refused_that_counts_each_pubcomp(seen: &Seen) -> Checked {
    let mut allowed = None;
    // What arrived and was not handed out: which it is, whether it may be a repeat that is taken in silence, and how many answers had
    // left by then.
    let mut waiting: VecDeque<(PacketId, bool, usize)> = VecDeque::new();
    let (mut used, mut freed, mut has_left) = (0_usize, 0_usize, false);
    follow(seen, |model, _, fact| {
        match fact {
            Fact::Connected => {
                (allowed, has_left) = (None, false);
                waiting.clear();
                (used, freed) = (0, 0);
            }
            Fact::Allowed(maximum) => allowed = Some(usize::from(*maximum)),
            Fact::Arrived { from: Role::Server, packet: Wire::Publish { dup, packet_id: Some(id), .. } }
                if !has_left =>
            {
                let sent = model.message(Role::Server, Some(*id));
                waiting.push_back((*id, *dup && sent.is_none_or(|(_, message)| message.deliveries != 0), freed));
            }
            Fact::Delivered { to: Role::Client, packet_id: Some(id), .. } => {
                // A message is handed out when those before it were seen for repeats.
                let place = waiting.iter().position(|(waiting, ..)| waiting == id).unwrap_or(0);
                used += waiting.drain(..=place).count();
            }
            Fact::Shown { from: Role::Client, packet: Wire::Answer { kind, code, .. } }
                if matches!(kind, AckType::Puback | AckType::Pubcomp)
                    || (*kind == AckType::Pubrec && code.is_error()) =>
            {
                freed += 1;
            }
            Fact::Shown { from: Role::Client, packet: Wire::Disconnect(_) } => has_left = true,
            // Who has missed that the server lost the session takes its new messages for repeats of old ones: no end can know.
            Fact::Closed { end: Role::Client, cause: CloseReason::ReceiveMaximumExceeded } if !model.estranged => {
                let repeats = waiting.iter().take_while(|(_, is_repeat, _)| *is_repeat).count();
                // It is the first that is no repeat, or one before it that was delivered on an earlier connection alone.
                let exceeds = |(place, &(.., freed)): (usize, &(PacketId, bool, usize))| {
                    allowed.is_none_or(|allowed| used + place >= allowed + freed)
                };
                let exceeded = waiting.iter().enumerate().take(repeats + 1).any(exceeds);
                ensure!(exceeded, "{waiting:?} refused behind {used} messages, where {allowed:?} were allowed");
            }
            _ => {}
        }
        Ok(())
    })
}

pub(crate) fn dup_says_whether_it_was_shown(seen: &Seen) -> Checked {
    follow(seen, |model, _, fact| {
        let Fact::Shown { from, packet: Wire::Publish { packet_id, dup, .. } } = fact else { return Ok(()) };
        let Some((number, message)) = model.message(*from, *packet_id) else { return Ok(()) };
        let shown = &message.shown;
        ensure!(*dup != shown.is_empty(), "DUP of message {number} is {dup}, shown on {shown:?}");
        let again = shown.contains(&model.connection) && !seen.retries;
        ensure!(!again, "message {number} is sent again on the same connection");
        Ok(())
    })
}

pub(crate) fn releases_follow_the_order_of_receipt(seen: &Seen) -> Checked {
    let mut received: [Vec<PacketId>; 2] = Default::default();
    let mut last: [Option<usize>; 2] = [None; 2];
    let mut base = [0_usize; 2];
    follow(seen, |model, _, fact| {
        match fact {
            Fact::Connected => last = [None; 2],
            Fact::Replaced => received[1].clear(),
            Fact::Arrived { from, packet: Wire::Answer { kind: AckType::Pubrec, packet_id, code } }
                if !code.is_error() =>
            {
                let sender = other(*from);
                let received = &mut received[index(sender)];
                if model.message(sender, Some(*packet_id)).is_some() && !received.contains(packet_id) {
                    received.push(*packet_id);
                }
            }
            // Its PUBREC came in, but was not taken; or it is another message.
            Fact::Shown { from, packet: Wire::Publish { packet_id: Some(packet_id), .. } } => {
                let place = received[index(*from)].iter().position(|id| id == packet_id);
                if let Some(place) = place {
                    received[index(*from)].remove(place);
                    base[index(*from)] += 1;
                }
            }
            Fact::Shown { from, packet: Wire::Answer { kind: AckType::Pubrel, packet_id, .. } } => {
                let end = index(*from);
                let Some(place) = received[end].iter().position(|id| id == packet_id) else { return Ok(()) };
                let place = place + base[end];
                let in_order = seen.retries || last[end].is_none_or(|last| last < place);
                ensure!(in_order, "{from:?} releases {packet_id} too late");
                last[end] = Some(place);
            }
            _ => {}
        }
        Ok(())
    })
}

pub(crate) fn nothing_comes_before_connack(seen: &Seen) -> Checked {
    let mut said = [0_u32; 2];
    let mut connected = false;
    follow(seen, |_, _, fact| {
        match fact {
            Fact::Connected => (said, connected) = ([0; 2], false),
            Fact::Replaced => said[1] = 0,
            Fact::Arrived { packet: Wire::Connack { success, .. }, .. } => connected = *success,
            Fact::Shown { from, packet } => {
                let allowed = match (from, packet, said[index(*from)]) {
                    (Role::Client, Wire::Connect { .. }, 0) => true,
                    (Role::Server, Wire::Connack { .. }, 0) => true,
                    (_, Wire::Connect { .. } | Wire::Connack { .. }, _) => false,
                    // A client need not wait for CONNACK to leave. [MQTT-3.1.4-5] of 3.1.1, section 3.1.4 of 5.0
                    (Role::Client, Wire::Disconnect(_), 1) => true,
                    (Role::Client, _, count) => count != 0 && connected,
                    (Role::Server, _, count) => count != 0,
                };
                ensure!(allowed, "{from:?} says {packet:?} too early");
                said[index(*from)] += 1;
            }
            _ => {}
        }
        Ok(())
    })
}

pub(crate) fn nothing_exceeds_its_bounds(seen: &Seen) -> Checked {
    let mut limits = [u32::MAX; 2];
    follow(seen, |_, _, fact| {
        match fact {
            Fact::Garbled { from, fault } => return Err(format!("{from:?}: {fault}")),
            Fact::Connected => limits = [u32::MAX; 2],
            Fact::Arrived { packet: Wire::Connect { packet_size, .. }, .. } => limits[1] = *packet_size,
            Fact::Arrived { packet: Wire::Connack { packet_size, .. }, .. } => limits[0] = *packet_size,
            Fact::Shown { from, packet: Wire::Publish { len, .. } } => {
                let limit = limits[index(*from)];
                ensure!(*len <= limit, "{from:?} sends {len} bytes, allowed are {limit}");
            }
            _ => {}
        }
        Ok(())
    })
}

pub(crate) fn a_refused_command_changes_nothing(seen: &Seen) -> Checked {
    follow(seen, |_, _, fact| {
        if let Fact::Refused { unchanged, .. } = fact {
            ensure!(*unchanged, "a refused command has changed the session");
        }
        Ok(())
    })
}

pub(crate) fn only_the_unseen_is_taken_back(seen: &Seen) -> Checked {
    follow(seen, |model, now, fact| {
        match fact {
            Fact::Cancelled { number, taken } => {
                let message = &model.messages[number];
                let unseen = message.shown.is_empty();
                // What is lost with its session is told so, and not taken back.
                let fair = *taken == unseen || (!taken && message.may_be_lost);
                ensure!(fair, "message {number}: shown on {:?}, taken back: {taken}", message.shown);
            }
            Fact::Told { number: Some(number), outcome: Outcome::Expired, .. } => {
                let message = &model.messages[number];
                let unseen = message.shown.is_empty() || message.republished != 0;
                ensure!(unseen, "message {number} expired after it was shown");
                let over = message.expiry.is_some_and(|seconds| now >= message.accepted + u64::from(seconds) * 1000);
                ensure!(over, "message {number} expired early");
            }
            Fact::Shown { from, packet: Wire::Publish { packet_id: None, topic, .. } } => {
                let Some(message) = number_in(topic).and_then(|number| model.messages.get(&number)) else {
                    return Ok(());
                };
                ensure!(message.from == *from && !message.cancelled, "{topic} is sent though it was taken back");
            }
            _ => {}
        }
        Ok(())
    })
}

/// What a server sends says how much is left of its time, each time that it is sent; what a client sends, how much there was.
pub(crate) fn messages_age(seen: &Seen) -> Checked {
    let mut first: BTreeMap<u32, (u64, u32)> = BTreeMap::new();
    follow(seen, |model, now, fact| {
        let Fact::Shown { from, packet: Wire::Publish { topic, expiry: Some(said), .. } } = fact else { return Ok(()) };
        let Some(number) = number_in(topic) else { return Ok(()) };
        let most = model.messages[&number].expiry.unwrap_or(0);
        let (since, left) = *first.entry(number).or_insert((now, *said));
        ensure!(left <= most && (left == most || *from == Role::Server), "{topic} lives for {left} s, not {most}");
        let waited = u64::from(*from == Role::Server) * (now - since) / 1000;
        let left = u64::from(left).saturating_sub(waited);
        // A second has no parts.
        ensure!(u64::from(*said).abs_diff(left) <= 1, "{topic} is said to live for {said} s, not {left}");
        Ok(())
    })
}

/// Whether a client has missed that the server had lost its session.
pub(crate) fn was_estranged(facts: &[(u64, Fact)]) -> bool {
    Model::of(facts).estranged
}

/// Whether a message that was shown could not be sent again.
pub(crate) fn gave_up_what_was_sent(facts: &[(u64, Fact)]) -> bool {
    let model = Model::of(facts);
    model.messages.values().any(is_kept)
}

/// Whether the identifier of a message may stay taken behind its end.
fn is_kept(message: &Message) -> bool {
    matches!(message.told[..], [Outcome::Unsendable | Outcome::GivenUp]) && !message.shown.is_empty()
}
