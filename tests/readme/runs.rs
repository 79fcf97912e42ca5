//! What the loop does over links that break, with servers that refuse it, and with a store that is full.

use mqtt_session::sim::Faults;
use mqtt_session::{CloseReason, ReasonCode};

use crate::world::{Answer, Plan, Seen, World};

const PLAN: Plan = Plan {
    seed: 1,
    faults: Faults { fragments: true, delay: 20, ..Faults::NONE },
    answers: real::collections::VecDeque::new(),
    questions: 10,
    len: 8,
    acknowledges_from: 0,
    cut_after: None,
};

/// All runs end when the server knows the password no more.
fn run(plan: Plan) -> Seen {
    let (reason, seen) = World::run(plan);
    assert_eq!(reason, CloseReason::ConnectionRefused(ReasonCode::BadUserNameOrPassword));
    seen
}

/// How many milliseconds there were before each connection but the first.
fn pauses(seen: &Seen) -> Vec<u64> {
    seen.dialled.windows(2).map(|pair| pair[1].millis_since(pair[0])).collect()
}

#[test]
fn each_question_is_answered_once_over_a_link_that_breaks() {
    let mut cuts = 0;
    for seed in 0..100 {
        let seen = run(Plan { seed, faults: Faults { cut_once_in: 40, ..PLAN.faults }, ..PLAN });
        assert_eq!(seen.answered, [1; 10], "seed {seed}");
        cuts += seen.dialled.len() - 2;
    }
    assert!(cuts > 100, "{cuts} cuts");
}

#[test]
fn a_server_that_is_not_there_or_not_available_is_asked_again_later_and_later() {
    let mut answers = vec![Answer::Refuse; 4];
    answers.extend([Answer::Reject(ReasonCode::ServerUnavailable); 4]);
    let seen = run(Plan { answers: answers.into(), ..PLAN });
    assert_eq!(seen.answered, [1; 10]);
    let pauses = pauses(&seen);
    for (attempt, pause) in pauses[..8].iter().enumerate() {
        let longest = 30_000.min(1_000 << attempt);
        assert!((longest / 2..=longest + 200).contains(pause), "{pauses:?}");
    }
}

#[test]
fn a_password_that_is_refused_ends_it() {
    let seen = run(Plan { answers: [Answer::Reject(ReasonCode::BadUserNameOrPassword)].into(), ..PLAN });
    assert_eq!((seen.dialled.len(), seen.subscribes), (1, 0));
}

#[test]
fn a_session_that_the_server_has_lost_is_subscribed_to_again() {
    for seed in 0..20 {
        let answers = [Answer::Accept, Answer::Forget].into();
        let seen = run(Plan { seed, answers, cut_after: Some(5), ..PLAN });
        assert!(seen.subscribes >= 2, "seed {seed}");
        // What was under way is lost with the session, and nothing arrives twice.
        assert!(seen.answered.iter().all(|&times| times <= 1), "seed {seed}: {:?}", seen.answered);
        assert!(seen.answered[seen.asked_before_loss..].iter().all(|&times| times == 1), "seed {seed}");
    }
}

/// Of an outage and of refusals nothing is left behind a connection that was accepted.
#[test]
fn the_pauses_begin_anew_behind_a_connection() {
    let mut answers = vec![Answer::Refuse; 6];
    answers.extend([Answer::Accept, Answer::Refuse]);
    let seen = run(Plan { answers: answers.into(), ..PLAN });
    let pauses = pauses(&seen);
    assert!(pauses[5] > 10_000 && pauses[7] <= 2_000, "{pauses:?}");
}

/// What cannot be stored is not answered; what is stored is, though the server forgets the session and takes no more than two at
/// once. As long as the store is full, there is no room for SUBSCRIBE either; of the table of what is under way one place is kept.
#[test]
fn a_full_store_delays_answers_and_subscriptions() {
    refusals::watch();
    for (len, stored, is_store_full) in [(8, 15, false), (256, 7, true)] {
        refusals::forget();
        let answers = [Answer::Accept, Answer::Forget].into();
        let seen = run(Plan { questions: 30, len, acknowledges_from: 2, answers, ..PLAN });
        assert_eq!(seen.subscribes, 2);
        let answered: u32 = seen.answered.iter().sum();
        // The two that were under way had arrived, though the client is told that they are lost.
        assert_eq!(answered, stored, "{:?}", seen.answered);
        assert!(seen.answered.iter().all(|&times| times <= 1), "{:?}", seen.answered);
        if cfg!(feature = "log") {
            assert!(refusals::told("publish refused: Full"));
            assert_eq!(refusals::told("subscribe refused: Full"), is_store_full);
        }
    }
}

/// What the session tells a logger of refused commands.
mod refusals {
    use real::cell::RefCell;

    thread_local! {
        static TOLD: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    struct Logger;

    impl log::Log for Logger {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }

        fn log(&self, record: &log::Record<'_>) {
            TOLD.with_borrow_mut(|told| told.push(record.args().to_string()));
        }

        fn flush(&self) {}
    }

    /// From here on all is kept, for each thread.
    pub(crate) fn watch() {
        log::set_logger(&Logger).unwrap();
        log::set_max_level(log::LevelFilter::Debug);
    }

    pub(crate) fn forget() {
        TOLD.take();
    }

    pub(crate) fn told(text: &str) -> bool {
        TOLD.with_borrow(|told| told.iter().any(|line| line.contains(text)))
    }
}
