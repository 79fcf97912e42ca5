//! Enhanced authentication, as far as both ends do the same. (5.0: 4.12)

use crate::control;
use crate::error::{CloseReason, CommandError};
use crate::timer::Timer;
use crate::wire::{Auth, Measured, Properties, ReasonCode, Role, Version};

use super::machine::{End, Engine};
use super::state::{Authentication, Phase};

impl<E: End> Engine<'_, E> {
    /// Notes the authentication method of CONNECT.
    pub(crate) fn begin_authentication(&mut self, properties: &Properties<'_>) {
        if !Version::LATEST.is_v5() {
            return;
        }
        let method = properties.authentication_method();
        self.core.method = method.map_or(0, |method| hash(method.as_bytes()));
        self.core.news.set_authentication(if method.is_some() {
            Authentication::Awaited
        } else {
            Authentication::Without
        });
    }

    /// [MQTT-4.12.0-5], [MQTT-4.12.0-6]
    pub(crate) fn check_method(&self, properties: &Properties<'_>) -> Result<(), CloseReason> {
        let method = properties.authentication_method().map(|method| hash(method.as_bytes()));
        let asked = (self.core.news.authentication() != Authentication::Without).then_some(self.core.method);
        if method == asked { Ok(()) } else { Err(CloseReason::AuthenticationMethodChanged) }
    }

    /// Sends AUTH, if it is due.
    pub(crate) fn authenticate_if(&mut self, due: bool, auth: &Auth<'_>) -> Result<(), CommandError> {
        let method = auth.properties.authentication_method().map(|method| hash(method.as_bytes()));
        if !due || method != Some(self.core.method) {
            return Err(CommandError::NotAuthenticating);
        }
        let measured = Measured::new(auth, self.version(), E::PEER)?;
        self.queue.check_size(measured.len(), control::DISCONNECT_RESERVE)?;
        self.check_peer(measured.len())?;
        if !self.queue.has_room(measured.len()) {
            self.wait_for_space();
            return Err(CommandError::Full);
        }
        self.queue.push(&measured);
        self.core.news.set_authentication(match auth.reason_code {
            ReasonCode::Success => Authentication::Settled,
            _ => Authentication::Awaited,
        });
        // The time that the application took is not the peer's.
        if self.core.phase == Phase::Connecting {
            let limit = self.limit(Phase::Connecting);
            match E::ROLE {
                Role::Client => self.core.deadline = Timer::set(limit),
                // A client could go on for ever.
                Role::Server => self.core.deadline.restart(limit),
            }
        }
        Ok(())
    }
}

/// What tells authentication methods apart.
fn hash(bytes: &[u8]) -> u16 {
    let [a, b, c, d] = fnv(bytes).to_le_bytes();
    u16::from_le_bytes([a, b]) ^ u16::from_le_bytes([c, d])
}

/// FNV-1a of 32 bits.
fn fnv(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811C_9DC5, |hash: u32, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart_by_a_hash_in_wide_use() {
        assert_eq!(fnv(b""), 0x811C_9DC5);
        assert_eq!(fnv(b"a"), 0xE40C_292C);
        assert_eq!(fnv(b"foobar"), 0xBF9C_F968);
        assert_eq!(hash(b"foobar"), 0xBF9C ^ 0xF968);
    }
}
