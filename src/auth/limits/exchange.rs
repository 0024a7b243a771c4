//! How the nodes on one store tell each other what they counted: each writes its own counts twice a second, if there are
//! any, and reads what the others wrote since its last look.
//!
//! The windows in memory decide, and never wait for the store: while it is away each node limits by what it knows, and
//! writes later. A node that is killed takes at most the last half second's counts with it; until others have read a
//! count they may let through as much again.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;

use super::{Key, Limits, MAX_KEYS, MOST};
use crate::crypto::random;
use crate::domain::time::Timestamp;
use crate::store::rates::{self, Count, Written};
use crate::store::{self, Store};

/// How often counts are written and read.
const EVERY: Duration = Duration::from_millis(500);

/// What is on its way to the store and from it.
pub(super) struct Exchange {
    /// This run of this server, among all on the store.
    node: i64,
    /// What was counted here since the last row.
    fresh: Mutex<HashMap<Key, Fresh>>,
    journal: tokio::sync::Mutex<Journal>,
}

/// Hits of a key that are in no row yet, and when (as uptime) the last of them is over.
struct Fresh {
    hits: u32,
    end: Duration,
}

#[derive(Default)]
struct Journal {
    /// The number of this node's last row.
    written: i64,
    /// That row while it is not known to be in the store: tried again under the same number.
    unsure: Vec<(Key, Fresh)>,
    /// Up to which row each other node was read.
    read: HashMap<i64, i64>,
    /// When (as uptime) all of them were read last.
    looked: Option<Duration>,
}

impl Exchange {
    pub(super) fn new() -> Self {
        let (node, fresh) = (i64::from_be_bytes(random::bytes()), Mutex::default());
        Self { node, fresh, journal: tokio::sync::Mutex::default() }
    }

    /// Notes a hit for the next row.
    pub(super) fn note(&self, key: Key, end: Duration) {
        let mut fresh = self.fresh.lock();
        // No more keys than windows.
        if fresh.len() < MAX_KEYS || fresh.contains_key(&key) {
            let noted = fresh.entry(key).or_insert(Fresh { hits: 0, end });
            *noted = Fresh { hits: noted.hits.saturating_add(1), end: noted.end.max(end) };
        }
    }

    /// Takes what fits in a row. When there is more, those that were hit most often go first: what is near its limit
    /// does not wait behind a flood of keys that were hit once.
    fn take(&self, now: Duration) -> Vec<(Key, Fresh)> {
        let mut fresh = self.fresh.lock();
        fresh.retain(|_, noted| noted.end > now);
        let mut keys: Vec<(Key, u32)> = fresh.iter().map(|(key, noted)| (*key, noted.hits)).collect();
        if keys.len() > rates::COUNTS {
            keys.select_nth_unstable_by_key(rates::COUNTS, |(_, hits)| Reverse(*hits));
            keys.truncate(rates::COUNTS);
        }
        keys.into_iter().filter_map(|(key, _)| fresh.remove_entry(&key)).collect()
    }
}

impl Limits {
    /// Takes over what counts still of what any node has written: before the first request of a server.
    pub(crate) async fn load(&self, store: &Store) -> Result<(), store::Error> {
        if self.factor > 0.0 {
            self.read(store, &mut *self.exchange.journal.lock().await).await
        } else {
            Ok(())
        }
    }

    /// Shares counts with the other nodes, for ever.
    pub(crate) async fn share(&self, store: &Store) {
        if self.factor == 0.0 {
            return std::future::pending().await;
        }
        let mut is_away = false;
        loop {
            let now = self.clock.uptime();
            match self.exchange(store).await {
                Ok(()) => is_away = false,
                // Said once: the limits go on.
                Err(e) if !std::mem::replace(&mut is_away, true) => tracing::warn!(error = %e, "limits"),
                Err(_) => {}
            }
            self.clock.sleep_until(now + EVERY).await;
        }
    }

    /// Writes all that is not written yet: before a server closes its store.
    pub(crate) async fn flush(&self, store: &Store) -> Result<(), store::Error> {
        let mut journal = self.exchange.journal.lock().await;
        while self.write(store, &mut journal).await? {}
        Ok(())
    }

    async fn exchange(&self, store: &Store) -> Result<(), store::Error> {
        let mut journal = self.exchange.journal.lock().await;
        self.write(store, &mut journal).await?;
        self.read(store, &mut journal).await
    }

    /// Writes the next row, or once more the last when nobody knows what became of it; false when there is none.
    async fn write(&self, store: &Store, journal: &mut Journal) -> Result<bool, store::Error> {
        let (now, day) = (self.clock.uptime(), self.clock.now());
        if journal.unsure.is_empty() {
            journal.unsure = self.exchange.take(now);
            journal.written += i64::from(!journal.unsure.is_empty());
        }
        let count = |(key, noted): &(Key, Fresh)| Count {
            key: *key,
            left: noted.end.saturating_sub(now),
            hits: noted.hits,
        };
        let counts: Vec<Count> = journal.unsure.iter().map(count).collect();
        if counts.is_empty() {
            return Ok(false);
        }
        let (node, number) = (self.exchange.node, journal.written);
        store
            .write(move |tx| Box::pin(async move { rates::add(tx, node, number, &counts, day).await }))
            .await?;
        journal.unsure.clear();
        Ok(true)
    }

    /// Reads what other nodes wrote since the last look.
    async fn read(&self, store: &Store, journal: &mut Journal) -> Result<(), store::Error> {
        let begun = self.clock.uptime();
        let heads = store.read(|tx| Box::pin(rates::heads(tx))).await?;
        // Of whom no row is left, none was left unread.
        journal.read.retain(|node, _| heads.iter().any(|(known, _)| known == node));
        for (node, head) in heads.into_iter().filter(|(node, _)| *node != self.exchange.node) {
            loop {
                let last = journal.read.get(&node).copied().unwrap_or(0);
                let rows = if last < head {
                    store.read(move |tx| Box::pin(rates::after(tx, node, last))).await?
                } else {
                    Vec::new()
                };
                let Some(newest) = rows.last().map(|row| row.number) else { break };
                // Nothing in between may be interrupted: a row is merged once.
                rows.iter().for_each(|row| self.merge(row, journal.looked));
                journal.read.insert(node, newest);
            }
        }
        journal.looked = Some(begun);
        Ok(())
    }

    /// Counts here what another node has counted.
    fn merge(&self, row: &Written, looked: Option<Duration>) {
        let (now, most) = (self.clock.uptime(), self.scaled(MOST).unwrap_or(0));
        let age = age(row.at, self.clock.now(), looked.map(|at| now.saturating_sub(at)));
        for count in row.counts.iter().filter(|count| count.left > age) {
            // All that other nodes report is one network: a flood there displaces its own keys and nobody's here.
            let mut table = self.table.lock();
            let Some(window) = table.place_elsewhere(count.key, now) else { continue };
            window.add(now + (count.left - age), count.hits.min(u32::try_from(most).unwrap_or(u32::MAX)));
            window.keep(most);
        }
    }
}

/// How old a row is at most: by the time of day, and no older than the last look, at which it was not there. So neither
/// nodes whose clocks differ nor a clock that was set back or on let what another node counts go uncounted; nor can
/// either make it last longer than it would where it was counted just now.
fn age(written: Timestamp, day: Timestamp, since_look: Option<Duration>) -> Duration {
    let by_day = day.since(written);
    since_look.map_or(by_day, |since| by_day.min(since))
}

#[cfg(test)]
mod tests;
