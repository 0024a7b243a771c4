//! The places of all sockets of this node: how many there are for a source and in all, which of them are kept for phones,
//! and whose socket makes room when they run out. Registration is a guard.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use super::mailbox::{Mailbox, Notice};
use crate::domain::ids::DeviceId;
use crate::domain::source::Compact;

/// Sockets are told to come back elsewhere in so many waves at most, and so many of them at a time at least.
const WAVES: u32 = 16;
const SMALLEST_WAVE: usize = 50;

/// One place in so many is kept for sockets that become `ready` soon.
const KEPT_SHARE: usize = 10;
/// Kept places that one device may hold.
const KEPT_PER_DEVICE: u32 = 4;
/// Displaced sockets that have not closed yet, at most: so far beyond the total the sockets may go for a moment.
const MOST_LEAVING: usize = 64;

/// All sockets of this node.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    all: DashMap<u64, Seated>,
    by_source: DashMap<Compact, u64>,
    /// Places that any socket may take.
    common: AtomicUsize,
    /// Places that are kept for phones.
    kept: AtomicUsize,
    kept_by_device: DashMap<DeviceId, u32>,
    leaving: AtomicUsize,
    next: AtomicU64,
}

/// A socket that can be reached.
#[derive(Debug)]
struct Seated {
    mailbox: Arc<Mailbox>,
    source: Compact,
}

/// A socket's place; leaves it when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    sockets: Arc<Sockets>,
    id: u64,
    source: Compact,
    share: Share,
}

/// Out of which places a seat is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Share {
    Common,
    /// One that is kept for phones, and the device that it went to.
    Kept(Option<DeviceId>),
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
    /// Takes a place before the upgrade, so that a silent or blocked peer counts and dies too. When the places run out,
    /// the newest socket that waits for nobody's answer makes room, of the network (/24, /48) with the most sockets, if
    /// that has more than the newcomer's. Where no network has more, the places that are kept for phones are left.
    pub(crate) fn take(
        self: &Arc<Self>,
        source: IpAddr,
        per_source: Option<u64>,
        total: Option<usize>,
    ) -> Result<Seat, Full> {
        let source = Compact::network(source);
        let mut of_source = self.by_source.entry(source).or_insert(0);
        if *of_source >= per_source.unwrap_or(u64::MAX) {
            return Err(Full::Source);
        }
        *of_source += 1;
        drop(of_source);
        let Some(share) = self.admit(source, total.unwrap_or(usize::MAX)) else {
            self.give_back(source);
            return Err(Full::All);
        };
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        Ok(Seat { sockets: self.clone(), id, source, share })
    }

    /// Which place there is for a newcomer, if any.
    fn admit(&self, newcomer: Compact, total: usize) -> Option<Share> {
        let kept = total / KEPT_SHARE;
        if take_below(&self.common, total - kept) {
            return Some(Share::Common);
        }
        if self.displace_for(newcomer) {
            self.common.fetch_add(1, Ordering::AcqRel);
            return Some(Share::Common);
        }
        take_below(&self.kept, kept).then_some(Share::Kept(None))
    }

    /// Asks a socket to make room for one of `newcomer`'s network; whether there is one.
    fn displace_for(&self, newcomer: Compact) -> bool {
        if self.leaving.load(Ordering::Acquire) >= MOST_LEAVING {
            return false;
        }
        let mut sizes: HashMap<Compact, u64> = HashMap::new();
        self.by_source
            .iter()
            .for_each(|of| *sizes.entry(of.key().neighbourhood()).or_default() += *of.value());
        let size = |of: Compact| sizes.get(&of.neighbourhood()).copied().unwrap_or(0);
        let own = size(newcomer);
        let may_go = |seated: &Seated| size(seated.source) > own && seated.mailbox.may_be_displaced();
        let rank = |id: u64, seated: &Seated| (size(seated.source), id);
        let candidates = self.all.iter().filter(|seated| may_go(seated.value()));
        let Some((_, chosen)) = candidates.map(|seated| rank(*seated.key(), &seated)).max() else {
            return false;
        };
        // Under the guard, so that a seat that is given back meanwhile sees that it was displaced, and counts it no longer.
        let Some(seated) = self.all.get(&chosen) else { return false };
        // Another newcomer may have chosen the same one: then there is the next request.
        let is_chosen = seated.mailbox.displace();
        if is_chosen {
            self.leaving.fetch_add(1, Ordering::AcqRel);
        }
        is_chosen
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.common.load(Ordering::Acquire) + self.kept.load(Ordering::Acquire)
    }

    /// Delivers deadlines and pings: one sweep for all sockets instead of a timer for each.
    pub(super) fn tick(&self, now: Duration, ping_every: Duration) {
        self.all.iter().for_each(|seated| seated.mailbox.tick(now, ping_every));
    }

    /// Tells every socket, wave after wave within `time`: were all told at once, all would come back at once.
    pub(super) async fn drain(&self, time: Duration) {
        let all: Vec<_> = self.all.iter().map(|seated| seated.mailbox.clone()).collect();
        let waves = all.chunks(all.len().div_ceil(WAVES as usize).max(SMALLEST_WAVE));
        for (number, wave) in waves.enumerate() {
            if number > 0 {
                tokio::time::sleep(time / WAVES).await;
            }
            wave.iter().for_each(|mailbox| mailbox.push(Notice::Drain));
        }
    }

    fn give_back(&self, source: Compact) {
        less_one(&self.by_source, source);
    }
}

impl Seat {
    /// Makes the socket reachable.
    pub(crate) fn sit(&self, mailbox: Arc<Mailbox>) {
        let seated = Seated { mailbox, source: self.source };
        self.sockets.all.insert(self.id, seated);
    }

    /// A number that no other socket of this node has.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Whether the place is one of those that are kept for phones.
    pub(crate) fn is_kept(&self) -> bool {
        matches!(self.share, Share::Kept(_))
    }

    /// Gives a kept place to a device that became `ready`; false when it holds as many as it may.
    pub(crate) fn give_to(&mut self, device: DeviceId) -> bool {
        match self.share {
            Share::Kept(Some(own)) if own != device => less_one(&self.sockets.kept_by_device, own),
            Share::Kept(None) => {}
            Share::Kept(Some(_)) | Share::Common => return true,
        }
        self.share = Share::Kept(None);
        let mut held = self.sockets.kept_by_device.entry(device).or_insert(0);
        let has_room = *held < KEPT_PER_DEVICE;
        if has_room {
            *held += 1;
            self.share = Share::Kept(Some(device));
        }
        has_room
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let removed = self.sockets.all.remove(&self.id);
        if removed.is_some_and(|(_, seated)| seated.mailbox.is_displaced()) {
            self.sockets.leaving.fetch_sub(1, Ordering::AcqRel);
        }
        let places = if self.is_kept() { &self.sockets.kept } else { &self.sockets.common };
        places.fetch_sub(1, Ordering::AcqRel);
        if let Share::Kept(Some(device)) = self.share {
            less_one(&self.sockets.kept_by_device, device);
        }
        self.sockets.give_back(self.source);
    }
}

/// Counts one more, unless there are `most` already.
fn take_below(count: &AtomicUsize, most: usize) -> bool {
    let more = |held| (held < most).then_some(held + 1);
    count.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_ok()
}

/// Counts one less, and forgets what has none.
fn less_one<K: Eq + std::hash::Hash, N: std::ops::SubAssign + PartialEq + From<u8>>(
    counts: &DashMap<K, N>,
    of: K,
) {
    if let Entry::Occupied(mut count) = counts.entry(of) {
        *count.get_mut() -= N::from(1);
        if *count.get() == N::from(0) {
            count.remove();
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
        assert_eq!(sockets.len(), 0);
        assert!(sockets.by_source.is_empty());
        assert!(sockets.take(HERE, Some(1), Some(1)).is_ok());
    }

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// A socket that can be reached, and its mailbox.
    fn seated(sockets: &Arc<Sockets>, source: &str, total: usize) -> Option<(Seat, Arc<Mailbox>)> {
        let seat = sockets.take(at(source), None, Some(total)).ok()?;
        let mailbox = Arc::new(Mailbox::new(Duration::from_secs(1)));
        seat.sit(mailbox.clone());
        Some((seat, mailbox))
    }

    #[test]
    fn the_newest_socket_of_the_largest_network_makes_room_unless_it_is_settled() {
        let sockets = Arc::new(Sockets::default());
        let crowd: Vec<_> = (1..=4).map(|n| seated(&sockets, &format!("192.0.2.{n}"), 5).unwrap()).collect();
        let other = seated(&sockets, "198.51.100.1", 5).unwrap();
        crowd[3].1.set_settled(true);
        let newcomer = seated(&sockets, "203.0.113.1", 5).unwrap();
        let displaced: Vec<_> = crowd.iter().map(|(_, mailbox)| mailbox.is_displaced()).collect();
        assert_eq!(displaced, [false, false, true, false]);
        assert!(!other.1.is_displaced() && !newcomer.1.is_displaced());
        assert!(seated(&sockets, "192.0.2.9", 5).is_none(), "the largest network makes no room for itself");
        drop((crowd, other, newcomer));
        assert_eq!((sockets.len(), sockets.leaving.load(Ordering::Relaxed)), (0, 0));
    }

    #[test]
    fn where_no_network_has_more_a_tenth_is_kept_and_four_of_it_for_each_device() {
        let sockets = Arc::new(Sockets::default());
        let common: Vec<_> = (0..45).map(|n| seated(&sockets, &format!("10.0.{n}.1"), 50).unwrap()).collect();
        assert!(common.iter().all(|(seat, _)| !seat.is_kept()));
        let mut kept: Vec<_> =
            (0..5).map(|n| seated(&sockets, &format!("10.1.{n}.1"), 50).unwrap()).collect();
        assert!(kept.iter().all(|(seat, _)| seat.is_kept()));
        assert!(seated(&sockets, "10.2.0.1", 50).is_none());
        let given: Vec<_> = kept.iter_mut().map(|(seat, _)| seat.give_to(DeviceId(7))).collect();
        assert_eq!(given, [true, true, true, true, false]);
        assert!(kept[0].0.give_to(DeviceId(7)), "it is this device's already");
        assert!(kept[4].0.give_to(DeviceId(8)));
        drop((common, kept));
        assert!(sockets.kept_by_device.is_empty() && sockets.len() == 0);
    }
}
