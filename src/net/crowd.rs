//! How many connections each source has open: counted as they are accepted, whatever they are for.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::domain::networks::Networks;
use crate::domain::source::Compact;

/// All connections. Those of declared proxies are counted in all, not by source: they speak for many.
#[derive(Debug)]
pub(crate) struct Crowd {
    per_source: Option<u64>,
    /// The most connections in all; `None` does not limit them.
    total: Option<usize>,
    proxies: Arc<[IpNet]>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    count: usize,
    by_source: HashMap<Compact, u64>,
    /// Those that are not upgraded to a socket, by number, and how each is told to end.
    plain: Networks<u64>,
    ends: HashMap<u64, Arc<Notify>>,
    next: u64,
}

/// A connection that counts until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    crowd: Arc<Crowd>,
    /// `None` when it is not counted by source.
    source: Option<Compact>,
}

/// A connection that serves requests: it may be ended to make room for another network's. Upgraded sockets have their own
/// rules.
#[derive(Debug)]
pub(super) struct Plain {
    crowd: Arc<Crowd>,
    source: IpAddr,
    number: u64,
    end: Arc<Notify>,
}

impl Crowd {
    /// `per_source` connections for each source and `total` in all.
    pub(crate) fn new(per_source: Option<u64>, total: Option<usize>, proxies: Arc<[IpNet]>) -> Arc<Self> {
        Arc::new(Self { per_source, total, proxies, state: Mutex::default() })
    }

    /// A place for a connection of `peer`, unless its source has as many as it may. When there are too many in all, the
    /// newest of the network with the most makes room, unless that is `peer`'s own.
    pub(super) fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<(Place, Option<Plain>)> {
        let peer = peer.to_canonical();
        let is_proxy = self.proxies.iter().any(|net| net.contains(&peer));
        let source = Compact::network(peer);
        let mut state = self.state.lock();
        let most = self.per_source.filter(|_| !is_proxy).unwrap_or(u64::MAX);
        if state.by_source.get(&source).is_some_and(|count| *count >= most) {
            return None;
        }
        if self.total.is_some_and(|total| state.count >= total) {
            state.make_room_for(peer)?;
        }
        state.count += 1;
        let is_counted = !is_proxy && self.per_source.is_some();
        if is_counted {
            *state.by_source.entry(source).or_insert(0) += 1;
        }
        // A proxy's connections are never ended for others'.
        let plain = (!is_proxy).then(|| {
            let (number, end) = (state.next, Arc::new(Notify::new()));
            state.next += 1;
            state.plain.join(peer, number);
            state.ends.insert(number, end.clone());
            Plain { crowd: self.clone(), source: peer, number, end }
        });
        Some((Place { crowd: self.clone(), source: is_counted.then_some(source) }, plain))
    }
}

impl State {
    /// Ends a connection of the largest network; `None` when no network has more than that of `source`.
    fn make_room_for(&mut self, source: IpAddr) -> Option<()> {
        let payer = self.plain.payer(source)?;
        let (of, newest) = self.plain.members(payer).max_by_key(|(_, number)| *number)?;
        self.plain.leave(of, newest);
        self.ends.remove(&newest)?.notify_one();
        Some(())
    }
}

impl Plain {
    /// Returns when the connection has to make room.
    pub(super) async fn ended(&self) {
        self.end.notified().await;
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        let mut state = self.crowd.state.lock();
        if state.ends.remove(&self.number).is_some() {
            state.plain.leave(self.source, self.number);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.crowd.state.lock();
        state.count -= 1;
        let Some(source) = self.source else { return };
        if let Some(count) = state.by_source.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                state.by_source.remove(&source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_so_many_places_and_gets_them_back_and_a_proxy_is_not_counted() {
        let crowd = Crowd::new(Some(2), None, vec!["10.0.0.0/8".parse().unwrap()].into());
        let [here, there, proxy] = ["192.0.2.1", "192.0.2.2", "10.1.2.3"].map(|text| text.parse().unwrap());
        let taken = (crowd.enter(here), crowd.enter(here));
        assert!(crowd.enter(here).is_none() && crowd.enter(there).is_some());
        let proxied: Vec<_> = (0..9).map(|_| crowd.enter(proxy)).collect();
        assert!(proxied.iter().all(Option::is_some));
        drop(taken);
        assert!(crowd.enter(here).is_some());
        assert!(crowd.state.lock().by_source.is_empty());
    }

    #[tokio::test]
    async fn when_there_are_too_many_the_newest_of_the_largest_network_is_ended() {
        let crowd = Crowd::new(None, Some(4), vec!["10.0.0.0/8".parse().unwrap()].into());
        let enter = |text: &str| crowd.enter(text.parse().unwrap());
        let large: Vec<_> = (1..=3).map(|n| enter(&format!("192.0.2.{n}")).unwrap()).collect();
        let _proxy = enter("10.1.2.3").unwrap();
        assert!(enter("192.0.2.9").is_none(), "the largest network makes no room for itself");
        let newcomer = enter("198.51.100.1").unwrap();
        large[2].1.as_ref().unwrap().ended().await;
        for (_, plain) in [&large[0], &large[1], &newcomer] {
            let ended = plain.as_ref().unwrap().ended();
            assert!(futures_util::FutureExt::now_or_never(ended).is_none());
        }
        drop((large, newcomer));
        let state = crowd.state.lock();
        assert!(state.count == 1 && state.ends.is_empty() && state.plain.largest().is_none());
    }
}
