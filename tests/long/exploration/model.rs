//! What is explored, as `stateright` sees it.

use core::fmt;
use core::hash::{Hash, Hasher};
use std::collections::HashMap;
use std::collections::hash_map::{DefaultHasher, Entry};
use std::time::Instant as Clock;

use stateright::{Checker, HasDiscoveries, Model, Property};

use super::drawing::Recorder;
use super::ledger::Fault;
use super::plan::Plan;
use super::world::{Action, World};

/// A configuration, with sessions of this size on both ends.
pub(crate) struct Exploration<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize>(pub(crate) Plan);

impl<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize> fmt::Debug for World<STORE, OUTBOUND, INBOUND> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("link", &self.link).field("ledger", &self.ledger).finish_non_exhaustive()
    }
}

/// An `always` property per kind of fault.
macro_rules! promises {
    ($($name:literal: $fault:pat,)*) => {
        vec![
            $(Property::always($name, |_, world: &World<STORE, OUTBOUND, INBOUND>| !matches!(world.ledger.fault, Some($fault))),)*
            Property::always("everything can still be finished", |model: &Self, world: &World<STORE, OUTBOUND, INBOUND>| {
                world.ledger.fault.is_some() || world.can_finish(&model.0)
            }),
            Property::sometimes(RELIEVED, |_, world: &World<STORE, OUTBOUND, INBOUND>| world.has_starved()),
            Property::sometimes(LIMITED, |_, world: &World<STORE, OUTBOUND, INBOUND>| world.has_lower_limit()),
        ]
    };
}

impl<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize> Model for Exploration<STORE, OUTBOUND, INBOUND> {
    type State = World<STORE, OUTBOUND, INBOUND>;
    type Action = Action;

    fn init_states(&self) -> Vec<Self::State> {
        vec![World::new(&self.0)]
    }

    fn actions(&self, world: &Self::State, actions: &mut Vec<Action>) {
        world.actions(&self.0, actions);
    }

    fn next_state(&self, world: &Self::State, action: Action) -> Option<Self::State> {
        let mut next = world.clone();
        next.act(&self.0, action, &mut Recorder::off()).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        promises! {
            "one outcome each": Fault::OutcomeUnasked,
            "QoS 0 at most once": Fault::Qos0Twice,
            "QoS 2 at most once": Fault::Qos2Twice,
            "what is acknowledged was delivered": Fault::Undelivered,
            "in order": Fault::Disordered,
            "no identifier twice": Fault::IdentifierReused,
            "never more than the Receive Maximum": Fault::ReceiveMaximumExceeded,
            "whoever waits owes nothing": Fault::Owing,
            "answers in order": Fault::AnswersDisordered,
            "answers only to questions": Fault::AnswerUnasked,
            "DUP if and only if sent again": Fault::DupWrong,
            "nobody closes": Fault::Closed(_),
            "no stray acknowledgements": Fault::Stray,
            "no command is refused": Fault::CommandRefused,
            "only a session that is known is resumed": Fault::Resumed,
            "a lost link ends a connection": Fault::LingersAfterLoss,
        }
    }
}

/// A full store has become free again.
pub(crate) const RELIEVED: &str = "somebody may publish again";
/// The Receive Maximum of a connection is lower than at first.
pub(crate) const LIMITED: &str = "somebody may send fewer";

/// What came of an exploration.
pub(crate) struct Found {
    pub(crate) states: usize,
    /// The properties that do not hold, as far as they were found, with counterexamples.
    pub(crate) broken: Vec<(&'static str, String)>,
    /// What happens somewhere.
    pub(crate) seen: Vec<&'static str>,
}

impl<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize> Exploration<STORE, OUTBOUND, INBOUND> {
    /// Explores all states, or as many as it takes to find a fault: with one thread a shortest way to it.
    pub(crate) fn explore(plan: Plan, threads: usize) -> Found {
        let finish = HasDiscoveries::AnyFailures;
        let checker = Self(plan).checker().threads(threads).finish_when(finish).spawn_bfs().join();
        let states = checker.unique_state_count();
        let (seen, broken) = checker.discoveries().into_iter().partition::<Vec<_>, _>(|(name, _)| is_wanted(name));
        let broken = broken.into_iter().map(|(name, path)| (name, Self::draw(&plan, path.into_actions()))).collect();
        Found { states, broken, seen: seen.into_iter().map(|(name, _)| name).collect() }
    }

    /// A counterexample, and after it how it goes on without another fault.
    fn draw(plan: &Plan, actions: Vec<Action>) -> String {
        let mut recorder = Recorder::on();
        let mut world = World::<STORE, OUTBOUND, INBOUND>::new(plan);
        for action in actions {
            recorder.step += 1;
            world.act(plan, action, &mut recorder);
        }
        if world.ledger.fault.is_none() {
            recorder.note(format_args!("without another fault:"));
            world.run(plan, &mut recorder);
        }
        let fault = world.ledger.fault;
        format!("{}{fault:?} {:?}", recorder.text(), world.ledger.streams.map(|stream| stream.fates))
    }

    /// Explores all states and prints how many there are; none may break a promise. Tells what was seen.
    pub(crate) fn assert_sound(name: &str, plan: Plan) -> Vec<&'static str> {
        let start = Clock::now();
        let Found { states, broken, seen } = Self::explore(plan, 2);
        let version = if plan.is_v5() { "5.0" } else { "3.1.1" };
        println!("{name:<52} {version:<5} {states:>9} states {:>7.1} s", start.elapsed().as_secs_f32());
        if let Some((property, chart)) = broken.first() {
            panic!("{name}: not {property}\n{chart}");
        }
        seen
    }

    /// Explores all states again, keeps them, and compares each with the one that has the same hash. Tells how many there are.
    pub(crate) fn assert_hashes_tell_apart(plan: Plan) -> usize {
        let model = Self(plan);
        let mut known = HashMap::new();
        let mut pending = model.init_states();
        while let Some(world) = pending.pop() {
            let mut actions = Vec::new();
            model.actions(&world, &mut actions);
            for next in actions.into_iter().filter_map(|action| model.next_state(&world, action)) {
                let mut hasher = DefaultHasher::new();
                next.hash(&mut hasher);
                match known.entry(hasher.finish()) {
                    Entry::Occupied(same) => assert!(*same.get() == next, "two states have one hash"),
                    Entry::Vacant(entry) => {
                        pending.push(next.clone());
                        entry.insert(next);
                    }
                }
            }
        }
        known.len()
    }
}

fn is_wanted(property: &str) -> bool {
    [RELIEVED, LIMITED].contains(&property)
}
