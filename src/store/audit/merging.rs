//! Which row of the audit trail a refusal is counted in: one for each hour, event, outcome, account, device and network,
//! and for the name that was typed where one was.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};

use parking_lot::Mutex;
use zeroize::Zeroizing;

use super::entry::Entry;
use crate::crypto::random;
use crate::crypto::seal::{base64url, hmac};
use crate::domain::ids::AccountId;
use crate::domain::source::{neighbourhood, network};
use crate::domain::time::Timestamp;

const HOUR_MS: i64 = 3_600_000;
/// Rows for refusals that a process begins in an hour. Beyond that a new one is counted without its source, so that neither
/// a botnet nor whoever has many IPv6 networks fills the disk; rows that were begun before go on counting.
const ROWS: usize = 10_000;
/// As many again are for typed names, and so many of those for names that one network (/24, /48) types: whoever invents
/// names takes the detail from no other's rows.
const NAMES_OF_NETWORK: usize = 500;
/// What stands for the source then.
const MANY: &str = "many";
/// Rows that further names share then, for each event and outcome. Names with an account and others share them alike, so
/// they hold no account.
const SHARED: u64 = 1_000;

/// The rows of this hour. Each process has its own: no node waits for a row of another, which may be frozen.
#[derive(Debug)]
pub(super) struct Merging {
    process: String,
    /// By it a typed name becomes part of a key: who reads the table learns no name, and can't guess at one.
    secret: Zeroizing<[u8; 32]>,
    hour: Mutex<Hour>,
    hasher: RandomState,
}

#[derive(Default, Debug)]
struct Hour {
    number: i64,
    begun: HashSet<u64>,
    begun_for_names: HashSet<u64>,
    names_of: HashMap<String, usize>,
}

/// A row to count in.
pub(super) struct Place<'a> {
    /// Unique in the table.
    pub(super) key: String,
    /// The source to write in it.
    pub(super) source: &'a str,
    /// The account to write in it.
    pub(super) account: Option<AccountId>,
}

impl Default for Merging {
    fn default() -> Self {
        let (hour, hasher) = (Mutex::default(), RandomState::new());
        Self { process: random::alphanumeric(8), secret: Zeroizing::new(random::bytes()), hour, hasher }
    }
}

impl Merging {
    /// The row of an outcome that concerns a proven account, or none.
    pub(super) fn place<'a>(&self, entry: &Entry<'a>, now: Timestamp) -> Place<'a> {
        let hour = now.0.div_euclid(HOUR_MS);
        let key = self.key(hour, entry, &network_of(entry.source));
        let row = self.hasher.hash_one(&key);
        if self.this_hour(hour, |rows| rows.begin(row)) {
            Place { key, source: entry.source, account: entry.account }
        } else {
            Place { key: self.key(hour, entry, MANY), source: MANY, account: entry.account }
        }
    }

    /// The row of an outcome that was brought about by typing a name. It is the name's own, whether or not an account has
    /// the name: two names never wait for one row.
    pub(super) fn place_of_name<'a>(&self, entry: &Entry<'a>, name: &str, now: Timestamp) -> Place<'a> {
        let hour = now.0.div_euclid(HOUR_MS);
        let mac = hmac(self.secret.as_slice(), &[&hour.to_be_bytes(), name.as_bytes()]);
        let about = base64url(&mac[..16]);
        let key = [self.key(hour, entry, &network_of(entry.source)), about].join("/");
        let row = self.hasher.hash_one(&key);
        if self.this_hour(hour, |rows| rows.begin_for_name(row, entry.source)) {
            return Place { key, source: entry.source, account: entry.account };
        }
        let shared =
            mac.iter().skip(16).take(8).fold(0_u64, |all, byte| all << 8 | u64::from(*byte)) % SHARED;
        let anybody = Entry { account: None, device: None, ..*entry };
        let key = [self.key(hour, &anybody, MANY), shared.to_string()].join("/");
        Place { key, source: MANY, account: None }
    }

    fn key(&self, hour: i64, entry: &Entry<'_>, network: &str) -> String {
        let number = |id: Option<i64>| id.map(|id| id.to_string()).unwrap_or_default();
        let (account, device) = (number(entry.account.map(|id| id.0)), number(entry.device.map(|id| id.0)));
        [&hour.to_string(), &self.process, entry.event, entry.outcome, &account, &device, network].join("/")
    }

    fn this_hour<T>(&self, hour: i64, look: impl FnOnce(&mut Hour) -> T) -> T {
        let mut rows = self.hour.lock();
        if rows.number != hour {
            *rows = Hour { number: hour, ..Hour::default() };
        }
        look(&mut rows)
    }
}

impl Hour {
    /// Whether the row is one of the first of this hour.
    fn begin(&mut self, row: u64) -> bool {
        if self.begun.len() < ROWS {
            self.begun.insert(row);
            return true;
        }
        self.begun.contains(&row)
    }

    /// The same for the row of a name that was typed at this address.
    fn begin_for_name(&mut self, row: u64, source: &str) -> bool {
        if self.begun_for_names.contains(&row) {
            return true;
        }
        let around = source.parse().map_or_else(|_| source.to_owned(), |ip| neighbourhood(ip).to_string());
        let names = self.names_of.get(&around).copied().unwrap_or(0);
        let has_room = self.begun_for_names.len() < ROWS && names < NAMES_OF_NETWORK;
        if has_room {
            self.names_of.insert(around, names + 1);
            self.begun_for_names.insert(row);
        }
        has_room
    }
}

fn network_of(source: &str) -> String {
    source.parse().map_or_else(|_| source.to_owned(), |ip| network(ip).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

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

    fn named(account: Option<i64>, source: &str) -> Entry<'_> {
        Entry { account: account.map(AccountId), ..entry(0, source) }
    }

    #[test]
    fn each_name_has_a_row_whether_or_not_an_account_has_it() {
        let merging = Merging::default();
        let key = |account, source, name, now| merging.place_of_name(&named(account, source), name, now).key;
        for account in [None, Some(1)] {
            let ann = key(account, "2001:db8::1", "ann", NOW);
            assert_eq!(ann, key(account, "2001:db8::2", "ann", NOW));
            assert_ne!(ann, key(account, "2001:db8::1", "bob", NOW));
            assert_ne!(ann, key(account, "192.0.2.1", "ann", NOW));
            assert!(!ann.contains("ann"));
            let next = key(account, "2001:db8::1", "ann", Timestamp(NOW.0 + HOUR_MS));
            assert_ne!(
                ann.rsplit('/').next(),
                next.rsplit('/').next(),
                "a name is not found again in the next hour"
            );
        }
        let elsewhere = Merging::default().place_of_name(&named(None, "192.0.2.1"), "ann", NOW).key;
        assert_ne!(key(None, "192.0.2.1", "ann", NOW).rsplit('/').next(), elsewhere.rsplit('/').next());
    }

    #[test]
    fn a_flood_of_names_makes_so_many_rows_and_then_those_with_an_account_share_them_with_others() {
        let merging = Merging::default();
        let at = |source: &str, account, name: &str| {
            let Place { key, account, source } = merging.place_of_name(&named(account, source), name, NOW);
            (key, account, source == MANY)
        };
        let first = at("10.0.0.1", Some(1), "ann").0;
        let rows: HashSet<String> = (0..5 * ROWS)
            .map(|n| at(&format!("10.{}.{}.1", n / 200 / 256, n / 200 % 256), None, &n.to_string()).0)
            .collect();
        assert_eq!(rows.len(), ROWS - 1 + usize::try_from(SHARED).unwrap());
        assert_eq!(at("10.0.0.1", Some(1), "ann").0, first);
        let (known, unknown) = (at("10.0.0.1", Some(2), "bob"), at("10.0.0.1", None, "bob"));
        assert_eq!(known, unknown);
        assert_eq!((known.1, known.2), (None, true));
        assert_eq!(merging.place(&entry(3, "192.0.2.1"), NOW).account, Some(AccountId(3)));
        assert_eq!(merging.place(&entry(3, "192.0.2.1"), NOW).source, "192.0.2.1");
    }

    #[test]
    fn a_network_that_invents_names_takes_the_detail_from_its_own_rows_alone() {
        let merging = Merging::default();
        let is_detailed = |source: &str, name: &str| {
            merging.place_of_name(&named(Some(1), source), name, NOW).source != MANY
        };
        let flood = 0..2 * NAMES_OF_NETWORK;
        let detailed = flood.filter(|n| is_detailed(&format!("192.0.2.{}", n % 250), &n.to_string()));
        assert_eq!(detailed.count(), NAMES_OF_NETWORK);
        assert!(is_detailed("198.51.100.1", "bob"));
    }
}
