//! A state of everything, and what can happen in it.

use mqtt_session::{CloseReason, CommandError, ReasonCode, Role};

use super::defects::Memory;
use super::drawing::Recorder;
use super::ends::{Did, Ends, Told, number, other};
use super::ledger::{Belief, Fault, Hand, Knowledge, Ledger, MESSAGES};
use super::link::{Pipe, packet_len, packets};
use super::plan::Plan;

/// Both ends, by role.
pub(crate) const ROLES: [Role; 2] = [Role::Client, Role::Server];

/// Everything.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct World<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize> {
    pub(crate) ends: Ends<STORE, OUTBOUND, INBOUND>,
    /// By sender.
    pub(crate) pipes: [Pipe; 2],
    pub(crate) writing: [Writing; 2],
    pub(crate) link: Link,
    pub(crate) starved: [Starved; 2],
    /// Whether another message fits: as long as a packet is half written, that depends on where it lies.
    fits: [bool; 2],
    pub(crate) cuts: u8,
    pub(crate) losses: u8,
    attempts: u8,
    cleans: u8,
    oddities: u8,
    refusals: u8,
    give_ups: u8,
    pub(crate) ledger: Ledger,
    pub(crate) memory: Memory,
}

/// Of the bytes that an end shows next, how many the ledger has seen, and how many are in the pipe already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Writing {
    pub(crate) seen: usize,
    pub(crate) sent: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Link {
    Up,
    /// Gone, as both ends know.
    Down,
    /// Gone, as both ends will learn from the next connection.
    Unnoticed,
}

/// Whether an application waits until it may publish again, and whether a poll would say so now: a session leaves that out
/// of its equality.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Starved {
    No,
    Yes,
    Relieved,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    /// The application publishes its next message.
    Publish(Role),
    /// The application acknowledges one of the messages in its hands.
    Acknowledge(Role, usize),
    /// The application refuses one of them.
    Refuse(Role, usize),
    /// The application gives up this one of its own.
    GiveUp(Role, usize),
    /// A poll, and what it says is done.
    Poll(Role, Write),
    /// The next packet arrives, or a part of it, and a poll.
    Deliver(Role, Write),
    Cut(Cut),
    Reconnect,
    /// The same, with a clean start.
    CleanStart,
    /// An attempt to connect, with a clean start or not, comes to nothing: CONNECT does not arrive, or is refused.
    Attempt {
        clean_start: bool,
        refused: bool,
    },
    /// The server's session is replaced by a new one.
    LoseSession,
}

/// What a transport does with what it is to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Write {
    All,
    /// Half of the first packet.
    Half,
    /// All of it, but it does not say so yet.
    Late,
}

/// How a link is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Cut {
    /// Of what is under way from the client and from the server so many packets arrive. Then both ends notice.
    Noticed([usize; 2]),
    /// The same, after a last write of this end, which arrives though it is reported as failed.
    Failing(Role, [usize; 2]),
    /// Nothing arrives, and the ends are told nothing before the next connection.
    Unnoticed,
}

impl<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize> World<STORE, OUTBOUND, INBOUND> {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            ends: Ends::new(),
            pipes: Default::default(),
            writing: Default::default(),
            link: Link::Down,
            starved: [Starved::No; 2],
            fits: [true; 2],
            cuts: plan.cuts,
            losses: plan.losses,
            attempts: plan.attempts,
            cleans: plan.cleans,
            oddities: plan.oddities,
            refusals: plan.refusals,
            give_ups: plan.give_ups,
            ledger: Ledger::default(),
            memory: Memory::default(),
        }
    }

    /// Whether nothing can be promised any more.
    pub(crate) fn is_beyond(&self, plan: &Plan) -> bool {
        self.ledger.knowledge == Knowledge::Wrong && !plan.beyond
    }

    /// What may happen; not all of it can.
    pub(crate) fn actions(&self, plan: &Plan, actions: &mut Vec<Action>) {
        if self.ledger.fault.is_some() || self.is_beyond(plan) {
            return;
        }
        if self.link != Link::Up {
            actions.push(Action::Reconnect);
            if self.cleans != 0 {
                actions.push(Action::CleanStart);
            }
            if self.attempts != 0 {
                for clean_start in [false, true] {
                    let is_possible = !clean_start || self.cleans != 0;
                    let attempt = |refused| Action::Attempt { clean_start, refused };
                    actions.extend([false, true].map(attempt).into_iter().filter(|_| is_possible));
                }
            }
            if self.losses != 0 {
                actions.push(Action::LoseSession);
            }
        }
        if self.give_ups != 0 && self.link != Link::Unnoticed {
            for role in ROLES {
                let under_way = (0..MESSAGES).filter(|&index| self.ledger.under_way(role, index).is_some());
                actions.extend(under_way.map(|index| Action::GiveUp(role, index)));
            }
        }
        if self.link == Link::Down {
            actions.extend(ROLES.into_iter().filter(|&role| self.wants_to_publish(plan, role)).map(Action::Publish));
            self.push_acknowledgements(actions);
        }
        if self.link == Link::Up {
            self.push_online(plan, actions);
        }
        if self.link == Link::Up && self.cuts != 0 {
            self.push_cuts(actions);
        }
    }

    fn push_online(&self, plan: &Plan, actions: &mut Vec<Action>) {
        for role in ROLES {
            if self.wants_to_publish(plan, role) {
                actions.push(Action::Publish(role));
            }
            let delivers = self.can_deliver(role);
            let odd = self.oddities != 0;
            let late = odd || self.writing[number(role)].sent != 0;
            for (write, is_possible) in [(Write::All, true), (Write::Half, odd), (Write::Late, late)] {
                if is_possible {
                    actions.push(Action::Poll(role, write));
                }
                if is_possible && delivers {
                    actions.push(Action::Deliver(role, write));
                }
            }
        }
        self.push_acknowledgements(actions);
    }

    fn push_acknowledgements(&self, actions: &mut Vec<Action>) {
        for role in ROLES {
            let places = 0..self.ledger.hands[number(role)].len();
            actions.extend(places.clone().map(|place| Action::Acknowledge(role, place)));
            if self.refusals != 0 {
                actions.extend(places.map(|place| Action::Refuse(role, place)));
            }
        }
    }

    fn push_cuts(&self, actions: &mut Vec<Action>) {
        let [of_client, of_server] = [0, 1].map(|sender: usize| self.pipes[sender].count());
        actions.push(Action::Cut(Cut::Unnoticed));
        for client in 0..=of_client {
            actions.extend((0..=of_server).map(|server| Action::Cut(Cut::Noticed([client, server]))));
        }
        for server in 0..=of_server {
            actions.push(Action::Cut(Cut::Failing(Role::Client, [usize::MAX, server])));
        }
        for client in 0..=of_client {
            actions.push(Action::Cut(Cut::Failing(Role::Server, [client, usize::MAX])));
        }
    }

    fn wants_to_publish(&self, plan: &Plan, role: Role) -> bool {
        let stream = &self.ledger.streams[number(role)];
        stream.accepted < plan.messages[number(role)].len() && self.starved[number(role)] == Starved::No
    }

    /// Packets that wait in the inbox, or for something else to be told first, may as well wait in the link.
    fn can_deliver(&self, role: Role) -> bool {
        !self.pipes[number(other(role))].is_empty()
            && packets(self.ends.inbox(role).unread()).next().is_none()
            && !matches!(self.ends.would(role), Did::Told(_))
    }

    /// Does it; `false` if it cannot be done, or changes nothing.
    pub(crate) fn act(&mut self, plan: &Plan, action: Action, recorder: &mut Recorder) -> bool {
        let done = match action {
            Action::Publish(role) => self.publish(plan, role, recorder),
            Action::Acknowledge(role, place) => self.acknowledge(role, place, ReasonCode::Success),
            Action::Refuse(role, place) => {
                recorder.note(format_args!("{role:?} refuses a message"));
                self.refusals -= 1;
                self.acknowledge(role, place, ReasonCode::QuotaExceeded)
            }
            Action::GiveUp(role, index) => self.give_up(role, index, recorder),
            Action::Poll(role, write) => self.poll(plan, role, write, recorder),
            Action::Deliver(role, write) => self.deliver(plan, role, write, recorder),
            Action::Cut(cut) => self.cut(plan, cut, recorder),
            Action::Reconnect => self.reconnect(plan, false, recorder),
            Action::CleanStart => self.reconnect(plan, true, recorder),
            Action::Attempt { clean_start, refused } => self.attempt(plan, clean_start, refused, recorder),
            Action::LoseSession => self.lose_session(plan, recorder),
        };
        self.fits = [self.ends.client.free_space(), self.ends.server.free_space()].map(|room| room >= PACKET);
        for role in ROLES {
            if self.starved[number(role)] != Starved::No {
                let relieved = matches!(self.ends.would(role), Did::Told(Told::Writable));
                self.starved[number(role)] = if relieved { Starved::Relieved } else { Starved::Yes };
            }
        }
        done
    }

    fn publish(&mut self, plan: &Plan, role: Role, recorder: &mut Recorder) -> bool {
        let index = self.ledger.streams[number(role)].accepted;
        let qos = plan.messages[number(role)][index];
        match self.ends.publish(role, index, qos) {
            Ok(packet_id) => {
                recorder.note(format_args!("{role:?} publishes \"{index}\" with QoS {}", qos as u8));
                self.ledger.accepted(plan, role, packet_id);
            }
            Err(CommandError::Full) => {
                recorder.note(format_args!("{role:?} has no room for \"{index}\""));
                self.starved[number(role)] = Starved::Yes;
            }
            Err(CommandError::Offline) => return false,
            // The client is about to close.
            Err(CommandError::Closing) if self.ledger.belief != Belief::Known => return false,
            Err(_) => self.ledger.fail(Fault::CommandRefused),
        }
        true
    }

    fn acknowledge(&mut self, role: Role, place: usize, code: ReasonCode) -> bool {
        let hand = self.ledger.hands[number(role)].remove(place);
        self.ledger.judged(role, hand, code);
        if self.ends.acknowledge(role, hand.handle, code).is_err() {
            self.ledger.fail(Fault::CommandRefused);
        }
        true
    }

    /// Only what was sent can be given up.
    fn give_up(&mut self, role: Role, index: usize, recorder: &mut Recorder) -> bool {
        let is_given_up =
            self.ledger.under_way(role, index).is_some_and(|packet_id| self.ends.give_up(role, packet_id));
        if is_given_up {
            recorder.note(format_args!("{role:?} gives up \"{index}\""));
            self.give_ups -= 1;
            self.ledger.gave_up(role, index);
        }
        is_given_up
    }

    fn poll(&mut self, plan: &Plan, role: Role, write: Write, recorder: &mut Recorder) -> bool {
        let before = self.writing[number(role)];
        match self.ends.poll(role) {
            Did::Transmit(_) if write == Write::Late && before.sent != 0 => false,
            Did::Transmit(bytes) => self.write(plan, role, &bytes, write),
            _ if write != Write::All => false,
            Did::Told(told) => {
                self.tell(plan, role, told, recorder);
                true
            }
            Did::Wait => {
                self.ledger.waits(role);
                self.ledger.fault.is_some()
            }
            Did::Close(cause) => self.closed(plan, role, cause, recorder),
        }
    }

    /// A client closes where the server speaks of a session that it does not know; the server hears of it, or of the end of the
    /// link.
    fn closed(&mut self, plan: &Plan, role: Role, cause: CloseReason, recorder: &mut Recorder) -> bool {
        match (role, cause) {
            (Role::Client, CloseReason::SessionUnknown) if self.ledger.belief != Belief::Known => {
                recorder.note(format_args!("Client does not know the session"));
                self.drain(plan, Role::Server, usize::MAX, recorder);
                self.is_cut(plan, Link::Down, recorder);
                true
            }
            (Role::Server, CloseReason::DisconnectedByPeer(_)) if self.ledger.belief != Belief::Known => false,
            _ => {
                self.ledger.fail(Fault::Closed(cause));
                true
            }
        }
    }

    fn deliver(&mut self, plan: &Plan, role: Role, write: Write, recorder: &mut Recorder) -> bool {
        let Some(bytes) = self.pipes[number(other(role))].take() else { return false };
        let swallowed = self.arrive(plan, role, &bytes, recorder);
        if swallowed {
            return true;
        }
        match self.ends.would(role) {
            Did::Wait if write == Write::All => {
                let _ = self.ends.poll(role);
                self.ledger.waits(role);
                true
            }
            _ => self.poll(plan, role, write, recorder),
        }
    }

    /// Bytes come in. `true`: nobody has to look at them yet.
    fn arrive(&mut self, plan: &Plan, role: Role, bytes: &[u8], recorder: &mut Recorder) -> bool {
        let bytes = &*self.spoil_incoming(plan, role, bytes);
        self.ends.receive(role, bytes);
        let unread = self.ends.inbox(role).unread();
        let last = packets(unread).last().map(<[u8]>::to_vec);
        let is_whole = packets(unread).map(<[u8]>::len).sum::<usize>() == unread.len();
        if let Some(packet) = last.filter(|_| is_whole) {
            recorder.arrived(plan, other(role), &packet);
            self.ledger.received(plan, role, &packet);
            return self.spoil_arrived(plan, role, &packet);
        }
        false
    }

    fn write(&mut self, plan: &Plan, role: Role, bytes: &[u8], write: Write) -> bool {
        let Writing { seen, sent } = self.writing[number(role)];
        match write {
            Write::All => {
                self.put(plan, role, bytes);
                self.ends.transmitted(role, bytes.len());
                self.writing[number(role)] = Writing::default();
            }
            Write::Half if seen == 0 && packet_len(bytes) >= 4 => {
                let half = packet_len(bytes) / 2;
                self.note_written(plan, role, bytes);
                self.pipes[number(role)].push(&bytes[..half]);
                self.ends.transmitted(role, half);
                self.writing[number(role)] = Writing { seen: bytes.len() - half, sent: 0 };
                self.oddities -= 1;
            }
            Write::Half => return false,
            Write::Late => {
                if sent == 0 {
                    self.oddities -= 1;
                }
                self.put(plan, role, bytes);
                self.writing[number(role)] = Writing { seen: bytes.len(), sent: bytes.len() };
            }
        }
        true
    }

    /// What an end shows goes on its way, as far as it was not seen, or is not under way, already.
    fn put(&mut self, plan: &Plan, role: Role, bytes: &[u8]) {
        let Writing { seen, sent } = self.writing[number(role)];
        let unseen = self.spoil_outgoing(plan, role, &bytes[seen..]);
        self.note_written(plan, role, &unseen);
        self.pipes[number(role)].push(&bytes[sent..seen]);
        self.pipes[number(role)].push(&unseen);
    }

    fn note_written(&mut self, plan: &Plan, role: Role, bytes: &[u8]) {
        for packet in packets(bytes) {
            self.ledger.written(plan, role, packet);
        }
    }

    fn tell(&mut self, plan: &Plan, role: Role, told: Told, recorder: &mut Recorder) {
        match told {
            Told::Message { index, packet_id, handle } => {
                recorder.note(format_args!("{role:?} is handed \"{index}\""));
                self.ledger.delivered(plan, role, index);
                if let (Some(handle), Some(packet_id)) = (handle, packet_id) {
                    self.ledger.handed(role, Hand { index, packet_id, handle });
                }
            }
            Told::Published { packet_id, outcome } => {
                recorder.note(format_args!("{role:?} is told of {packet_id}: {outcome:?}"));
                self.ledger.ended(plan, role, packet_id, outcome);
            }
            Told::Republished { lost, packet_id } => self.ledger.renewed(role, lost, packet_id),
            Told::Connecting { session_present } => {
                if !session_present {
                    self.ledger.begun(plan);
                }
                let acknowledgement = plan.acknowledgement();
                if self.ends.accept(acknowledgement).is_err() {
                    self.ledger.fail(Fault::CommandRefused);
                }
            }
            Told::Connected { session_present } => self.ledger.connected(plan, session_present),
            Told::Stray => self.ledger.fail(Fault::Stray),
            Told::Writable => {
                recorder.note(format_args!("{role:?} may have room again"));
                self.starved[number(role)] = Starved::No;
            }
            Told::Other => {}
        }
    }

    fn cut(&mut self, plan: &Plan, cut: Cut, recorder: &mut Recorder) -> bool {
        self.cuts -= 1;
        if let Cut::Failing(role, _) = cut {
            let Did::Transmit(bytes) = self.ends.poll(role) else { return false };
            self.put(plan, role, &bytes);
        }
        self.spoil_cut(plan);
        match cut {
            Cut::Unnoticed => {
                for (inbox, sender) in self.ends.inboxes.iter_mut().zip([Role::Server, Role::Client]) {
                    inbox.clear();
                    recorder.lost(plan, sender, &mut self.pipes[number(sender)]);
                }
                self.is_cut(plan, Link::Unnoticed, recorder);
            }
            Cut::Noticed(arriving) | Cut::Failing(_, arriving) => {
                for role in ROLES {
                    self.drain(plan, role, arriving[number(other(role))], recorder);
                }
                self.is_cut(plan, Link::Down, recorder);
            }
        }
        true
    }

    fn is_cut(&mut self, plan: &Plan, link: Link, recorder: &mut Recorder) {
        self.link = link;
        self.writing = Default::default();
        for pipe in &mut self.pipes {
            pipe.clear();
        }
        self.ledger.disconnected(plan);
        self.look_for_ends(plan);
        recorder.cut();
    }

    /// The server's session may have ended with its connection.
    fn look_for_ends(&mut self, plan: &Plan) {
        if !self.ends.server.is_lasting() {
            self.ledger.begun(plan);
        }
    }

    /// An end takes what still arrives, learns that the link is gone, and tells everything that follows from it.
    fn drain(&mut self, plan: &Plan, role: Role, arriving: usize, recorder: &mut Recorder) {
        let sender = number(other(role));
        for _ in 0..arriving {
            let Some(bytes) = self.pipes[sender].take() else { break };
            self.arrive(plan, role, &bytes, recorder);
        }
        recorder.lost(plan, other(role), &mut self.pipes[sender]);
        self.ends.connection_lost(role);
        loop {
            match self.ends.poll(role) {
                Did::Told(Told::Connecting { .. }) => {}
                Did::Told(told) => self.tell(plan, role, told, recorder),
                Did::Close(CloseReason::ConnectionLost) => break,
                Did::Close(CloseReason::SessionUnknown | CloseReason::DisconnectedByPeer(_))
                    if self.ledger.belief != Belief::Known =>
                {
                    break;
                }
                Did::Close(cause) => return self.ledger.fail(Fault::Closed(cause)),
                Did::Transmit(_) | Did::Wait => return self.ledger.fail(Fault::LingersAfterLoss),
            }
        }
    }

    fn reconnect(&mut self, plan: &Plan, clean_start: bool, recorder: &mut Recorder) -> bool {
        recorder.connected();
        self.asks(plan, clean_start);
        if self.ends.connect(plan, clean_start).is_err() {
            self.ledger.fail(Fault::CommandRefused);
        }
        self.look_for_ends(plan);
        self.link = Link::Up;
        self.spoil_connection(plan);
        true
    }

    /// What the client gives up by asking so.
    fn asks(&mut self, plan: &Plan, clean_start: bool) {
        if clean_start {
            self.cleans -= 1;
        }
        self.ledger.asked(plan, clean_start);
    }

    /// The server hears nothing of it.
    fn attempt(&mut self, plan: &Plan, clean_start: bool, refused: bool, recorder: &mut Recorder) -> bool {
        recorder.note(format_args!("Client tries to connect"));
        self.attempts -= 1;
        self.asks(plan, clean_start);
        if self.ends.ask(plan, clean_start).is_err() {
            self.ledger.fail(Fault::CommandRefused);
        }
        if refused {
            let refusal: &[u8] = if plan.is_v5() { &[0x20, 3, 0, 0x88, 0] } else { &[0x20, 2, 0, 3] };
            self.ends.receive(Role::Client, refusal);
        }
        self.ends.connection_lost(Role::Client);
        loop {
            match self.ends.poll(Role::Client) {
                Did::Told(told) => self.tell(plan, Role::Client, told, recorder),
                Did::Close(CloseReason::ConnectionLost | CloseReason::ConnectionRefused(_)) => return true,
                Did::Close(cause) => {
                    self.ledger.fail(Fault::Closed(cause));
                    return true;
                }
                Did::Transmit(_) | Did::Wait => {
                    self.ledger.fail(Fault::LingersAfterLoss);
                    return true;
                }
            }
        }
    }

    fn lose_session(&mut self, plan: &Plan, recorder: &mut Recorder) -> bool {
        recorder.note(format_args!("the server loses its session"));
        self.losses -= 1;
        self.ends.server = mqtt_session::server::Session::new();
        self.starved[number(Role::Server)] = Starved::No;
        self.ledger.server_lost(plan);
        true
    }

    /// Whether an application has had to wait, and whether its session says that it need not wait any more.
    pub(crate) fn has_starved(&self) -> bool {
        self.starved.contains(&Starved::Relieved)
    }

    /// Whether a new connection allows fewer messages at a time than there are places.
    pub(crate) fn has_lower_limit(&self) -> bool {
        self.link == Link::Up
            && self.ledger.duties.iter().any(|duties| duties.limit != 0 && usize::from(duties.limit) < INBOUND)
    }

    /// Goes on without another fault to the end, and tells whether everything has come to a good one.
    pub(crate) fn can_finish(&self, plan: &Plan) -> bool {
        let mut world = self.clone();
        world.run(plan, &mut Recorder::off());
        if world.is_beyond(plan) {
            return true;
        }
        // A fault is found by itself. One that needs nothing else to go wrong, and is not meant, is no good end either.
        if world.ledger.fault.is_some() {
            return plan.defect.is_some() || plan.beyond;
        }
        let kept = [0, 1].map(|sender: usize| world.ledger.streams[sender].kept.len());
        world.ledger.is_settled(plan)
            && (world.ends.is_clear(kept) || plan.beyond)
            && world.pipes.iter().all(Pipe::is_empty)
    }

    /// Everything that can be done is done, in a fixed order, as long as anything changes.
    pub(crate) fn run(&mut self, plan: &Plan, recorder: &mut Recorder) {
        for _ in 0..LONGEST {
            let mut moved = self.link != Link::Up && self.act(plan, Action::Reconnect, recorder);
            for role in ROLES {
                if self.link != Link::Up {
                    break;
                }
                moved |= !self.ledger.hands[number(role)].is_empty()
                    && self.act(plan, Action::Acknowledge(role, 0), recorder);
                moved |= self.wants_to_publish(plan, role) && self.act(plan, Action::Publish(role), recorder);
                moved |= self.act(plan, Action::Poll(role, Write::All), recorder);
                moved |= self.can_deliver(role) && self.act(plan, Action::Deliver(role, Write::All), recorder);
            }
            if !moved || self.ledger.fault.is_some() || self.is_beyond(plan) {
                return;
            }
        }
    }
}

/// The length of the longest PUBLISH.
const PACKET: usize = 9;

/// How many rounds everything may take.
const LONGEST: usize = 200;
