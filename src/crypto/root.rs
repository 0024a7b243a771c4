//! The server's root keys: from them it derives values that must be made twice (the code of an approval that is sent
//! again on resume) or compared without being kept (backup codes). They are the same on every node.

use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::random;
use super::seal::hmac;
use crate::clock::Clock;
use crate::domain::time::Timestamp;

/// 256 bits, and from when new values are derived from them.
#[derive(Clone)]
pub(crate) struct DatedKey {
    pub(crate) makes_from: Timestamp,
    secret: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for DatedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatedKey(from {}, •••)", self.makes_from.0)
    }
}

impl DatedKey {
    /// A new key.
    pub(crate) fn generate(makes_from: Timestamp) -> Self {
        Self { makes_from, secret: Zeroizing::new(random::bytes()) }
    }

    /// Out of the store; `None` unless it is 32 bytes.
    pub(crate) fn from_bytes(makes_from: Timestamp, bytes: &[u8]) -> Option<Self> {
        Some(Self { makes_from, secret: Zeroizing::new(bytes.try_into().ok()?) })
    }

    /// Into the store, sealed.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.secret.as_slice()
    }

    fn mac(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        let key = Zeroizing::new(hmac(self.secret.as_slice(), &[purpose.as_bytes()]));
        hmac(key.as_slice(), parts)
    }
}

/// A handle to the root keys; clones share them. The latest key whose time has come makes new values; all keys, the next
/// one included, verify values: another node's clock may be a little ahead.
#[derive(Clone)]
pub(crate) struct RootKeys(Arc<Shared>);

struct Shared {
    clock: Clock,
    /// Oldest first, never empty.
    keys: RwLock<Vec<DatedKey>>,
}

impl fmt::Debug for RootKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootKeys(•••)")
    }
}

impl RootKeys {
    /// Takes keys over from the store; `None` when there are none.
    pub(crate) fn new(clock: Clock, keys: Vec<DatedKey>) -> Option<Self> {
        let shared = Shared { clock, keys: RwLock::new(sorted(keys)?) };
        Some(Self(Arc::new(shared)))
    }

    /// One new key that is in force from the beginning of time, for tests.
    #[cfg(test)]
    pub(crate) fn generate() -> Self {
        Self::new(Clock::manual(Timestamp(0)), vec![DatedKey::generate(Timestamp(0))]).unwrap()
    }

    /// Takes over the keys that are in the store now. An empty list is refused: the keys that are held stay.
    pub(crate) fn replace(&self, keys: Vec<DatedKey>) {
        if let Some(keys) = sorted(keys) {
            *self.0.keys.write() = keys;
        }
    }

    /// HMAC-SHA-256 over `parts`, each preceded by its length, by the key that is in force and under a key of its own for
    /// `purpose`.
    pub(crate) fn mac(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        let keys = self.0.keys.read();
        keys[in_force(&keys, self.0.clock.now())].mac(purpose, parts)
    }

    /// The same by every key, that in force first: for values that are looked up and may have been made before a rotation.
    pub(crate) fn macs(&self, purpose: &str, parts: &[&[u8]]) -> Vec<[u8; 32]> {
        let keys = self.0.keys.read();
        let first = in_force(&keys, self.0.clock.now());
        let others = (0..keys.len()).rev().filter(|at| *at != first);
        std::iter::once(first).chain(others).map(|at| keys[at].mac(purpose, parts)).collect()
    }

    /// Whether `shown` is the MAC by any of the keys; compared in constant time.
    pub(crate) fn verify(&self, purpose: &str, parts: &[&[u8]], shown: &[u8]) -> bool {
        let macs = self.macs(purpose, parts);
        macs.iter().fold(false, |found, mac| found | bool::from(mac.ct_eq(shown)))
    }
}

fn sorted(mut keys: Vec<DatedKey>) -> Option<Vec<DatedKey>> {
    keys.sort_by_key(|key| key.makes_from);
    (!keys.is_empty()).then_some(keys)
}

/// The place of the latest key whose time has come; before the first one's time, of the first.
fn in_force(keys: &[DatedKey], now: Timestamp) -> usize {
    keys.iter().rposition(|key| key.makes_from <= now).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn parts_of_a_mac_can_not_be_shifted() {
        let root = RootKeys::generate();
        assert_ne!(root.mac("x", &[b"ab", b"c"]), root.mac("x", &[b"a", b"bc"]));
        assert_ne!(root.mac("x", &[b"ab"]), root.mac("y", &[b"ab"]));
    }

    #[test]
    fn the_next_key_makes_values_from_its_time_on_and_all_keys_verify() {
        let clock = Clock::manual(Timestamp(1_000));
        let old = DatedKey::generate(Timestamp(0));
        let root = RootKeys::new(clock.clone(), vec![old.clone()]).unwrap();
        let node = root.clone();
        let before = root.mac("x", &[b"a"]);
        node.replace(vec![DatedKey::generate(Timestamp(3_000)), old]);
        assert_eq!(root.mac("x", &[b"a"]), before, "the next key's time has not come");
        clock.advance(Duration::from_secs(2));
        let after = root.mac("x", &[b"a"]);
        assert_ne!(after, before);
        assert_eq!(root.macs("x", &[b"a"]), [after, before]);
        for mac in [before, after] {
            assert!(root.verify("x", &[b"a"], &mac) && !root.verify("x", &[b"b"], &mac));
            assert!(!root.verify("y", &[b"a"], &mac) && !root.verify("x", &[b"a"], &mac[..31]));
        }
        clock.step_back(Duration::from_secs(2));
        assert!(
            root.verify("x", &[b"a"], &after),
            "a node whose clock is behind takes what another node makes"
        );
    }

    #[test]
    fn a_store_that_names_no_key_takes_none_away() {
        let root = RootKeys::generate();
        let before = root.mac("x", &[]);
        root.replace(Vec::new());
        assert_eq!(root.mac("x", &[]), before);
    }

    #[test]
    fn a_key_is_not_printed() {
        let key = DatedKey::from_bytes(Timestamp(5), &[0xab; 32]).unwrap();
        assert_eq!(format!("{key:?}"), "DatedKey(from 5, •••)");
        assert!(DatedKey::from_bytes(Timestamp(5), &[0; 31]).is_none());
    }
}
