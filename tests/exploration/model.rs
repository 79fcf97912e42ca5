//! What is explored, as `stateright` sees it.

use core::fmt;
use std::time::Instant as Clock;

use stateright::{Checker, HasDiscoveries, Model, Property};

use super::drawing::Recorder;
use super::ledger::Fault;
use super::plan::Plan;
use super::world::{Action, World};

/// A configuration, with sessions of this size on both ends.
pub(crate) struct Exploration<const STORE: usize, const SENT: usize, const HELD: usize>(pub(crate) Plan);

impl<const STORE: usize, const SENT: usize, const HELD: usize> fmt::Debug for World<STORE, SENT, HELD> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("link", &self.link).field("ledger", &self.ledger).finish_non_exhaustive()
    }
}

/// An `always` property per kind of fault.
macro_rules! promises {
    ($($name:literal: $fault:pat,)*) => {
        vec![
            $(Property::always($name, |_, world: &World<STORE, SENT, HELD>| !matches!(world.ledger.fault, Some($fault))),)*
            Property::always("everything can still be finished", |model: &Self, world: &World<STORE, SENT, HELD>| {
                world.ledger.fault.is_some() || world.can_finish(&model.0)
            }),
        ]
    };
}

impl<const STORE: usize, const SENT: usize, const HELD: usize> Model for Exploration<STORE, SENT, HELD> {
    type State = World<STORE, SENT, HELD>;
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
            "a lost link ends a connection": Fault::LingersAfterLoss,
        }
    }
}

/// What came of an exploration.
pub(crate) struct Found {
    pub(crate) states: usize,
    /// The property that does not hold, and a shortest counterexample.
    pub(crate) broken: Option<(&'static str, String)>,
}

impl<const STORE: usize, const SENT: usize, const HELD: usize> Exploration<STORE, SENT, HELD> {
    /// Explores all states, or as many as it takes to find a fault.
    pub(crate) fn explore(plan: Plan) -> Found {
        let checker = Self(plan).checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
        let broken = checker.discoveries().into_iter().map(|(name, path)| (name, Self::draw(&plan, path.into_actions()))).next();
        Found { states: checker.unique_state_count(), broken }
    }

    /// A counterexample, and after it how it goes on without another fault.
    fn draw(plan: &Plan, actions: Vec<Action>) -> String {
        let mut recorder = Recorder::on();
        let mut world = World::<STORE, SENT, HELD>::new(plan);
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

    /// Explores all states and prints how many there are; none may break a promise.
    pub(crate) fn assert_sound(name: &str, plan: Plan) {
        let start = Clock::now();
        let Found { states, broken } = Self::explore(plan);
        println!("{name:<50} {:<4} {states:>10} states {:>8.1} s", version(&plan), start.elapsed().as_secs_f32());
        if let Some((property, chart)) = broken {
            panic!("{name}: not {property}\n{chart}");
        }
    }
}

fn version(plan: &Plan) -> &'static str {
    if plan.is_v5() { "5.0" } else { "3.1.1" }
}

