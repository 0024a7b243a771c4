//! How many connections each source has open: counted as they are accepted, whatever they are for.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use parking_lot::Mutex;

use crate::domain::source::network;

/// All connections but those of declared proxies, which speak for many.
#[derive(Debug)]
pub(crate) struct Crowd {
    per_source: Option<u64>,
    proxies: Arc<[IpNet]>,
    open: Mutex<HashMap<IpAddr, u64>>,
}

/// A connection that counts until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    crowd: Arc<Crowd>,
    /// `None` when it is not counted.
    source: Option<IpAddr>,
}

impl Crowd {
    /// `per_source` connections for each source; `None` does not limit them.
    pub(crate) fn new(per_source: Option<u64>, proxies: Arc<[IpNet]>) -> Arc<Self> {
        Arc::new(Self { per_source, proxies, open: Mutex::default() })
    }

    /// A place for a connection of `peer`, unless it has as many as it may.
    pub(super) fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let peer = peer.to_canonical();
        let is_proxy = self.proxies.iter().any(|net| net.contains(&peer));
        let Some(most) = self.per_source.filter(|_| !is_proxy) else {
            return Some(Place { crowd: self.clone(), source: None });
        };
        let source = network(peer);
        let mut open = self.open.lock();
        let count = open.entry(source).or_insert(0);
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Place { crowd: self.clone(), source: Some(source) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(source) = self.source else { return };
        if let Entry::Occupied(mut count) = self.crowd.open.lock().entry(source) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_so_many_places_and_gets_them_back_and_a_proxy_is_not_counted() {
        let crowd = Crowd::new(Some(2), vec!["10.0.0.0/8".parse().unwrap()].into());
        let [here, there, proxy] = ["192.0.2.1", "192.0.2.2", "10.1.2.3"].map(|text| text.parse().unwrap());
        let taken = (crowd.enter(here), crowd.enter(here));
        assert!(crowd.enter(here).is_none() && crowd.enter(there).is_some());
        let proxied: Vec<_> = (0..9).map(|_| crowd.enter(proxy)).collect();
        assert!(proxied.iter().all(Option::is_some));
        drop(taken);
        assert!(crowd.enter(here).is_some());
        assert!(crowd.open.lock().is_empty());
    }
}
