//! The browser behind each pairing. Registration is a guard.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use super::mailbox::{Mailbox, Notice};
use crate::domain::ids::PairingId;

/// The browsers that wait on this node, by pairing.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    held: DashMap<PairingId, Held>,
    next: AtomicU64,
}

/// A pairing on this node. One that was resumed is remembered when its socket is gone, so that a used resume secret
/// stays dead although no row knows of it.
#[derive(Debug)]
struct Held {
    mailbox: Option<Arc<Mailbox>>,
    /// Which guard holds it: one socket may take a pairing over from itself.
    holder: u64,
    resumes: u32,
    /// Uptime after which nobody can come back to it.
    until: Duration,
}

/// A browser's place under its pairing; leaves it when dropped, unless it was taken over.
#[derive(Debug)]
pub(crate) struct Guard {
    registry: Arc<Registry>,
    pairing: PairingId,
    holder: u64,
}

impl Registry {
    /// Puts a socket under a pairing with resume secret number `resumes` used. The socket that was there is told
    /// that it is taken over. `None` when a later secret was used already.
    pub(super) fn hold(
        self: &Arc<Self>,
        pairing: PairingId,
        mailbox: &Arc<Mailbox>,
        resumes: u32,
        until: Duration,
    ) -> Option<Guard> {
        let holder = self.next.fetch_add(1, Ordering::Relaxed);
        let fresh = Held { mailbox: Some(mailbox.clone()), holder, resumes, until };
        match self.held.entry(pairing) {
            Entry::Vacant(free) => {
                free.insert(fresh);
            }
            Entry::Occupied(held) if held.get().resumes > resumes => return None,
            Entry::Occupied(mut held) => {
                if let Some(old) = held.insert(fresh).mailbox.filter(|old| !Arc::ptr_eq(old, mailbox)) {
                    old.push(Notice::TakenOver(pairing));
                }
            }
        }
        Some(Guard { registry: self.clone(), pairing, holder })
    }

    /// The socket that waits on a pairing.
    pub(super) fn find(&self, pairing: PairingId) -> Option<Arc<Mailbox>> {
        self.held.get(&pairing).and_then(|held| held.mailbox.clone())
    }

    /// Tells a pairing's socket that its browser came back on another node, with resume secret number `resumes`.
    pub(super) fn take_away(&self, pairing: PairingId, resumes: u32) {
        if let Some(held) = self.held.get(&pairing).filter(|held| held.resumes < resumes)
            && let Some(mailbox) = &held.mailbox
        {
            mailbox.push(Notice::TakenOver(pairing));
        }
    }

    /// How many browsers wait here.
    pub(super) fn len(&self) -> usize {
        self.held.iter().filter(|held| held.mailbox.is_some()).count()
    }

    /// Forgets resumed pairings whose time is over.
    pub(super) fn forget(&self, now: Duration) {
        self.held.retain(|_, held| held.mailbox.is_some() || held.until > now);
    }
}

impl Guard {
    /// Whether this place is still its holder's: no other socket of this node took the pairing over.
    pub(super) fn is_held(&self) -> bool {
        self.registry.held.get(&self.pairing).is_some_and(|held| held.holder == self.holder)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Entry::Occupied(mut held) = self.registry.held.entry(self.pairing) else { return };
        if held.get().holder != self.holder {
            return;
        }
        if held.get().resumes == 0 {
            held.remove();
        } else {
            held.get_mut().mailbox = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_removes_itself_and_not_its_successor() {
        let registry = Arc::new(Registry::default());
        let id = PairingId(uuid::Uuid::from_u128(1));
        let [old, new] = [(); 2].map(|()| Arc::new(Mailbox::new(Duration::from_secs(1))));
        let first = registry.hold(id, &old, 0, Duration::from_secs(9)).unwrap();
        let second = registry.hold(id, &new, 1, Duration::from_secs(9)).unwrap();
        drop(first);
        assert!(registry.find(id).is_some_and(|mailbox| Arc::ptr_eq(&mailbox, &new)));
        assert!(registry.hold(id, &old, 0, Duration::from_secs(9)).is_none(), "a used secret came back");
        drop(second);
        assert!(registry.find(id).is_none());
        assert!(
            registry.hold(id, &old, 0, Duration::from_secs(9)).is_none(),
            "a used secret came back later"
        );
        registry.forget(Duration::from_secs(9));
        assert!(registry.held.is_empty());
    }
}
