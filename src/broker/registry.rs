//! Who is connected: all sockets with their limits, and the browser behind each pairing. Registration is a guard.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use super::mailbox::{Mailbox, Notice};
use crate::domain::ids::PairingId;
use crate::domain::source::network;

/// Sockets are told to come back elsewhere in so many waves at most, and so many of them at a time at least.
const WAVES: u32 = 16;
const SMALLEST_WAVE: usize = 50;

/// All sockets of this node.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    all: DashMap<u64, Arc<Mailbox>>,
    by_source: DashMap<IpAddr, u64>,
    count: AtomicUsize,
    next: AtomicU64,
}

/// A socket's place; leaves it when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    sockets: Arc<Sockets>,
    id: u64,
    source: IpAddr,
}

/// Why there is no place for a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Full {
    /// This source has as many as it may.
    Source,
    /// The server has as many as it may.
    All,
}

impl Sockets {
    /// Takes a place before the upgrade, so that a silent or blocked peer counts and dies too.
    pub(crate) fn take(
        self: &Arc<Self>,
        source: IpAddr,
        per_source: Option<u64>,
        total: Option<usize>,
    ) -> Result<Seat, Full> {
        if self.count.fetch_add(1, Ordering::AcqRel) >= total.unwrap_or(usize::MAX) {
            self.count.fetch_sub(1, Ordering::AcqRel);
            return Err(Full::All);
        }
        let source = network(source);
        let mut of_source = self.by_source.entry(source).or_insert(0);
        if *of_source >= per_source.unwrap_or(u64::MAX) {
            drop(of_source);
            self.count.fetch_sub(1, Ordering::AcqRel);
            return Err(Full::Source);
        }
        *of_source += 1;
        drop(of_source);
        Ok(Seat { sockets: self.clone(), id: self.next.fetch_add(1, Ordering::Relaxed), source })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Delivers deadlines and pings: one sweep for all sockets instead of a timer for each.
    pub(super) fn tick(&self, now: Duration, ping_every: Duration) {
        self.all.iter().for_each(|mailbox| mailbox.tick(now, ping_every));
    }

    /// Tells every socket, wave after wave within `time`: were all told at once, all would come back at once.
    pub(super) async fn drain(&self, time: Duration) {
        let all: Vec<_> = self.all.iter().map(|mailbox| mailbox.value().clone()).collect();
        let waves = all.chunks(all.len().div_ceil(WAVES as usize).max(SMALLEST_WAVE));
        for (number, wave) in waves.enumerate() {
            if number > 0 {
                tokio::time::sleep(time / WAVES).await;
            }
            wave.iter().for_each(|mailbox| mailbox.push(Notice::Drain));
        }
    }
}

impl Seat {
    /// Makes the socket reachable.
    pub(crate) fn sit(&self, mailbox: Arc<Mailbox>) {
        self.sockets.all.insert(self.id, mailbox);
    }

    /// A number that no other socket of this node has.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.sockets.all.remove(&self.id);
        self.sockets.count.fetch_sub(1, Ordering::AcqRel);
        if let Entry::Occupied(mut of_source) = self.sockets.by_source.entry(self.source) {
            *of_source.get_mut() -= 1;
            if *of_source.get() == 0 {
                of_source.remove();
            }
        }
    }
}

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

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn seats_are_counted_per_source_and_in_all_and_given_back() {
        let sockets = Arc::new(Sockets::default());
        let other = "192.0.2.1".parse().unwrap();
        let first = sockets.take(HERE, Some(1), Some(2)).unwrap();
        assert_eq!(sockets.take(HERE, Some(1), Some(2)).err(), Some(Full::Source));
        let second = sockets.take(other, Some(1), Some(2)).unwrap();
        assert_eq!(sockets.take(HERE, Some(9), Some(2)).err(), Some(Full::All));
        drop((first, second));
        assert_eq!(sockets.count.load(Ordering::Relaxed), 0);
        assert!(sockets.by_source.is_empty());
        assert!(sockets.take(HERE, Some(1), Some(1)).is_ok());
    }

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
