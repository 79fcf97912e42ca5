//! How often the random unit tests try.

use proptest::test_runner::Config;

/// So many cases, and nothing written beside the sources; one where an interpreter runs them.
pub(crate) fn trials(cases: u32) -> Config {
    let cases = if cfg!(miri) { 1 } else { cases };
    Config { cases, failure_persistence: None, ..Config::default() }
}
