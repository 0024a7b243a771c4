//! Which row of the audit trail a refusal is counted in: one for each hour, event, outcome, account, device and network.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

use parking_lot::Mutex;

use super::Entry;
use crate::crypto::random;
use crate::domain::source::network;
use crate::domain::time::Timestamp;

const HOUR_MS: i64 = 3_600_000;
/// Rows for refusals that a process begins in an hour. Beyond that a new one is counted without its source, so that neither
/// a botnet nor whoever has many IPv6 networks fills the disk; rows that were begun before go on counting.
const ROWS: usize = 10_000;
/// What stands for the source then.
const MANY: &str = "many";

/// The rows of this hour. Each process has its own: no node waits for a row of another, which may be frozen.
#[derive(Debug)]
pub(super) struct Merging {
    process: String,
    hour: Mutex<Hour>,
    hasher: RandomState,
}

#[derive(Default, Debug)]
struct Hour {
    number: i64,
    begun: HashSet<u64>,
}

/// A row to count in.
pub(super) struct Place<'a> {
    /// Unique in the table.
    pub(super) key: String,
    /// The source to write in it.
    pub(super) source: &'a str,
}

impl Default for Merging {
    fn default() -> Self {
        let (hour, hasher) = (Mutex::default(), RandomState::new());
        Self { process: random::alphanumeric(8), hour, hasher }
    }
}

impl Merging {
    pub(super) fn place<'a>(&self, entry: &Entry<'a>, now: Timestamp) -> Place<'a> {
        let hour = now.0.div_euclid(HOUR_MS);
        let network =
            entry.source.parse().map_or_else(|_| entry.source.to_owned(), |ip| network(ip).to_string());
        let key = self.key(hour, entry, &network);
        if self.has_room(hour, &key) {
            Place { key, source: entry.source }
        } else {
            Place { key: self.key(hour, entry, MANY), source: MANY }
        }
    }

    fn key(&self, hour: i64, entry: &Entry<'_>, network: &str) -> String {
        let number = |id: Option<i64>| id.map(|id| id.to_string()).unwrap_or_default();
        let (account, device) = (number(entry.account.map(|id| id.0)), number(entry.device.map(|id| id.0)));
        [&hour.to_string(), &self.process, entry.event, entry.outcome, &account, &device, network].join("/")
    }

    /// Whether the row is one of the first of this hour.
    fn has_room(&self, hour: i64, key: &str) -> bool {
        let hash = self.hasher.hash_one(key);
        let mut rows = self.hour.lock();
        if rows.number != hour {
            *rows = Hour { number: hour, begun: HashSet::new() };
        }
        if rows.begun.len() < ROWS {
            rows.begun.insert(hash);
            return true;
        }
        rows.begun.contains(&hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::AccountId;

    const NOW: Timestamp = Timestamp(1_795_305_600_000);

    fn entry(account: i64, source: &str) -> Entry<'_> {
        let account = Some(AccountId(account));
        Entry { event: "password", outcome: "bad_credentials", account, device: None, pairing: None, source }
    }

    #[test]
    fn one_network_and_account_has_one_row_in_an_hour() {
        let merging = Merging::default();
        let key = |account, source, now| merging.place(&entry(account, source), now).key;
        assert_eq!(key(1, "2001:db8::1", NOW), key(1, "2001:db8::2", NOW));
        assert_ne!(key(1, "2001:db8::1", NOW), key(2, "2001:db8::1", NOW));
        assert_ne!(key(1, "192.0.2.1", NOW), key(1, "192.0.2.2", NOW));
        assert_ne!(key(1, "192.0.2.1", NOW), key(1, "192.0.2.1", Timestamp(NOW.0 + HOUR_MS)));
        assert_ne!(key(1, "192.0.2.1", NOW), Merging::default().place(&entry(1, "192.0.2.1"), NOW).key);
    }

    #[test]
    fn a_flood_from_everywhere_makes_so_many_rows_and_no_more() {
        let merging = Merging::default();
        let known = merging.place(&entry(1, "192.0.2.1"), NOW).key;
        let flood = (0..3 * ROWS).map(|n| format!("2001:db8:{:x}:{:x}::1", n / 65_536, n % 65_536));
        let rows: HashSet<String> = flood.map(|source| merging.place(&entry(1, &source), NOW).key).collect();
        assert_eq!(rows.len(), ROWS);
        assert_eq!(merging.place(&entry(1, "192.0.2.1"), NOW).key, known);
        assert_eq!(merging.place(&entry(1, "198.51.100.1"), NOW).source, MANY);
        assert_eq!(
            merging.place(&entry(1, "198.51.100.1"), Timestamp(NOW.0 + HOUR_MS)).source,
            "198.51.100.1"
        );
    }
}
