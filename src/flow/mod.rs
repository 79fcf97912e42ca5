//! The flows of QoS 1 and 2 as tables of values. Nothing here knows bytes.

pub(crate) mod chain;
pub(crate) mod held;
pub(crate) mod identifiers;
pub(crate) mod receiver;
pub(crate) mod sender;
