//! Memory for inboxes and sessions that is taken by need.
//!
//! New ones are all zero bits. In a `static` that takes no memory until something is written, and then by pages; a `Box` of as
//! many bytes would be written to in whole, with zeros.

use std::sync::{Mutex, MutexGuard};

use crate::limits::{Inbox, POOL, Session};

/// What nobody uses now.
pub(crate) struct Pool<T: 'static> {
    /// What was used before.
    used: Vec<&'static mut T>,
    /// What was never used.
    fresh: core::slice::Iter<'static, Mutex<T>>,
}

static INBOXES: [Mutex<Inbox>; POOL] = [const { Mutex::new(Inbox::new()) }; POOL];
static SESSIONS: [Mutex<Session>; POOL] = [const { Mutex::new(Session::new()) }; POOL];

impl Pool<Inbox> {
    pub(crate) fn of_inboxes() -> Self {
        Self { used: Vec::new(), fresh: INBOXES.iter() }
    }
}

impl Pool<Session> {
    pub(crate) fn of_sessions() -> Self {
        Self { used: Vec::new(), fresh: SESSIONS.iter() }
    }
}

impl<T: Default> Pool<T> {
    /// Something as it was given back, or new.
    pub(crate) fn take(&mut self) -> &'static mut T {
        if let Some(used) = self.used.pop() {
            return used;
        }
        match self.fresh.next().and_then(|mutex| mutex.try_lock().ok()) {
            // It stays locked: from now on it is here or with whoever took it.
            Some(guard) => {
                let guard: &'static mut MutexGuard<'static, T> = Box::leak(Box::new(guard));
                guard
            }
            None => Box::leak(Box::default()),
        }
    }

    pub(crate) fn give_back(&mut self, used: &'static mut T) {
        self.used.push(used);
    }
}
