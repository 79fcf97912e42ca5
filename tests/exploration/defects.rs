//! Ends that misbehave on the wire, as other implementations do: each must be found.

use mqtt_session::Role;

use super::plan::Plan;
use super::world::World;

/// What an end does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Defect {
    DropsDup,
}

/// What a misbehaving end keeps for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Memory {
    kept: Vec<u8>,
}

impl<const STORE: usize, const SENT: usize, const HELD: usize> World<STORE, SENT, HELD> {
    pub(crate) fn spoil_outgoing(&mut self, _plan: &Plan, _role: Role, bytes: &[u8]) -> Vec<u8> {
        bytes.to_vec()
    }
    pub(crate) fn spoil_incoming(&mut self, _plan: &Plan, _role: Role, bytes: &[u8]) -> Vec<u8> {
        bytes.to_vec()
    }
    pub(crate) fn spoil_arrived(&mut self, _plan: &Plan, _role: Role, _packet: &[u8]) -> bool {
        false
    }
    pub(crate) fn spoil_cut(&mut self, _plan: &Plan) {}
    pub(crate) fn spoil_connection(&mut self, _plan: &Plan) {}
}
