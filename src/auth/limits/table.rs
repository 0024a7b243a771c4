//! The windows of all keys in bounded memory. When it is full, the network with the most keys makes room for others: a
//! flood displaces itself. What is displaced goes on counting in a sketch.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use super::sketch::Sketch;
use super::window::Window;
use super::{Key, Rule};
use crate::domain::networks::Networks;

/// Keys held at once: with their windows some 30 MB, and 6 MB for the sketches of all rules.
pub(super) const MAX_KEYS: usize = 100_000;
/// Members of the largest network that are looked at for one that may go.
const LOOKED_AT: usize = 16;
/// Keys that are thrown out while the table is locked.
const SLICE: usize = 2_000;
/// A key whose rule is not known, since another node counted it, stays once it was counted as often as the strictest
/// rule allows.
const STRICTEST: u64 = 10;
/// The network of keys that other nodes counted.
const ELSEWHERE: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

pub(super) struct Table {
    pub(super) capacity: usize,
    held: HashMap<Key, Held>,
    networks: Networks<Key>,
    sketches: HashMap<&'static str, Sketch>,
    cursor: Option<(IpAddr, Key)>,
}

/// What is limited: a rule's key, and the source that it stands for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject {
    pub(super) key: Key,
    pub(super) source: IpAddr,
    pub(super) rule: Rule,
    /// What the rule allows here.
    pub(super) max: u64,
}

struct Held {
    window: Window,
    source: IpAddr,
    /// The rule, and what it allows, once it was asked for on this node.
    rule: Option<(Rule, u64)>,
}

impl Held {
    /// Whether it may be displaced: never while it refuses, or while an outcome is awaited.
    fn may_go(&self) -> bool {
        self.window.pending == 0 && self.window.counted() < self.rule.map_or(STRICTEST, |(_, max)| max)
    }
}

impl Table {
    pub(super) fn new() -> Self {
        Self {
            capacity: MAX_KEYS,
            held: HashMap::new(),
            networks: Networks::default(),
            sketches: HashMap::new(),
            cursor: None,
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    #[cfg(test)]
    pub(super) fn any_key(&self) -> Option<Key> {
        self.held.keys().next().copied()
    }

    /// The window of a key that is held already.
    pub(super) fn find(&mut self, key: &Key) -> Option<&mut Window> {
        self.held.get_mut(key).map(|held| &mut held.window)
    }

    /// The window of a subject, without what is over; `None` when there is no room for it.
    pub(super) fn place(&mut self, subject: Subject, now: Duration) -> Option<&mut Window> {
        let Subject { key, source, rule, max } = subject;
        if !self.held.contains_key(&key) {
            if !self.make_room(source, now) {
                return None;
            }
            let mut window = Window::default();
            // What was counted before it was displaced, or while it had no place.
            let counted = self.estimate(subject, now);
            window.add(now + rule.window, counted);
            self.insert(key, Held { window, source, rule: Some((rule, max)) });
        }
        let held = self.held.get_mut(&key)?;
        held.rule = Some((rule, max));
        held.window.forget(now);
        Some(&mut held.window)
    }

    /// The window of a key that another node counted.
    pub(super) fn place_elsewhere(&mut self, key: Key, now: Duration) -> Option<&mut Window> {
        if !self.held.contains_key(&key) {
            if !self.make_room(ELSEWHERE, now) {
                return None;
            }
            self.insert(key, Held { window: Window::default(), source: ELSEWHERE, rule: None });
        }
        let held = self.held.get_mut(&key)?;
        held.window.forget(now);
        Some(&mut held.window)
    }

    /// Counts a subject that has no place, unless it has reached its limit.
    pub(super) fn count_in_sketch(&mut self, subject: Subject, now: Duration) -> bool {
        let counted = self.estimate(subject, now);
        let is_free = u64::from(counted) < subject.max;
        if is_free {
            self.raise(subject.rule, subject.source, &subject.key, counted + 1, now);
        }
        is_free
    }

    /// Throws out a key that says nothing.
    pub(super) fn remove_if_over(&mut self, key: &Key, now: Duration) {
        if self.held.get(key).is_some_and(|held| held.window.is_over(now)) {
            self.remove(key);
        }
    }

    /// Throws out some keys that say nothing any more; whether there may be more of them.
    pub(super) fn sweep_slice(&mut self, now: Duration) -> bool {
        let is_over = |(_, held): &(&Key, &Held)| held.window.is_over(now);
        let over: Vec<Key> = self.held.iter().filter(is_over).map(|(key, _)| *key).take(SLICE).collect();
        over.iter().for_each(|key| self.remove(key));
        over.len() == SLICE
    }

    /// Makes room for one more key of a source, at the expense of the network with the most keys.
    fn make_room(&mut self, source: IpAddr, now: Duration) -> bool {
        if self.held.len() < self.capacity {
            return true;
        }
        let own = crate::domain::networks::wide(source);
        let Some(net) =
            self.networks.payer(source).or_else(|| self.networks.largest().filter(|net| *net == own))
        else {
            return false;
        };
        let (mut victim, mut fewest) = (None, u64::MAX);
        let looked_at: Vec<_> =
            self.networks.members_of_largest_part(net, self.cursor).take(LOOKED_AT).collect();
        for (at, key) in looked_at {
            self.cursor = Some((at, key));
            let Some(held) = self.held.get_mut(&key) else { continue };
            held.window.forget(now);
            let counted = held.window.counted();
            if held.may_go() && counted < fewest {
                (victim, fewest) = (Some(key), counted);
            }
            if fewest == 0 {
                break;
            }
        }
        let Some(victim) = victim else { return false };
        if let Some(Held { source, rule: Some((rule, _)), .. }) = self.held.get(&victim) {
            let (source, rule) = (*source, *rule);
            self.raise(rule, source, &victim, u32::try_from(fewest).unwrap_or(u32::MAX), now);
        }
        self.remove(&victim);
        true
    }

    fn estimate(&self, subject: Subject, now: Duration) -> u32 {
        let sketch = self.sketches.get(subject.rule.name);
        sketch.map_or(0, |sketch| sketch.estimate(subject.source, &subject.key, now))
    }

    fn raise(&mut self, rule: Rule, source: IpAddr, key: &Key, count: u32, now: Duration) {
        if count > 0 {
            let sketch = self.sketches.entry(rule.name).or_insert_with(|| Sketch::new(rule.window));
            sketch.raise(source, key, count, now);
        }
    }

    fn insert(&mut self, key: Key, held: Held) {
        self.networks.join(held.source, key);
        self.held.insert(key, held);
    }

    fn remove(&mut self, key: &Key) {
        if let Some(held) = self.held.remove(key) {
            self.networks.leave(held.source, *key);
        }
    }
}
