//! The root keys in the store: the first one, rotation, and the end of a key once nothing that it made is good any more.

use std::time::Duration;

use super::change::OPERATOR;
use super::reseal::{NOTICE, storing};
use super::{Auth, Error};
use crate::clock::Clock;
use crate::config::Config;
use crate::crypto::root::{DatedKey, RootKeys};
use crate::crypto::seals::Seals;
use crate::domain::time::Timestamp;
use crate::store::signals::{self, Signal};
use crate::store::{self, Store, Tx, audit, keys};

/// The first root key's name in the store, and what it is sealed for. Later ones are called `root@` and the time from
/// which they make values, in milliseconds.
const FIRST: &str = "root";
const LATER: &str = "root@";

/// The longest window over which mails are counted by address (docs/protocol-http.md, "Limits of mail").
const LONGEST_QUOTA: Duration = Duration::from_secs(86_400);

/// The result of a rotation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RootChange {
    /// A new root key makes values from then on; so many accounts hold unused backup codes of the keys before it.
    Made { makes_from: Timestamp, accounts: u64 },
    /// The next root key's time has not come yet.
    Waits { makes_from: Timestamp },
}

impl Auth {
    /// Makes the next root key. It is in force once every running server has noticed it; what the keys before it made
    /// stays good until its own end.
    ///
    /// # Errors
    /// `Busy`: the store is away, or another seal key takes over at this moment.
    pub(crate) async fn rotate_root(&self) -> Result<RootChange, Error> {
        let now = self.now();
        let key = DatedKey::generate(now.plus(NOTICE));
        let name = name_of(key.makes_from);
        let made = storing(&self.store, &self.seals, &name, key.as_bytes(), |fresh| {
            let (name, makes_from) = (name.clone(), key.makes_from);
            let unit = async move |tx: &mut Tx| {
                if !store::seals::check_alone(tx, fresh.under).await? {
                    return Ok(None);
                }
                add(tx, &name, makes_from, &fresh.sealed, now).await.map(Some)
            };
            async move { Ok(self.store.write(move |tx| Box::pin(async move { unit(tx).await })).await?) }
        });
        let change = made.await?;
        if matches!(change, RootChange::Made { .. }) {
            self.reload_roots().await?;
        }
        Ok(change)
    }

    /// Takes over the root keys that are in the store.
    pub(crate) async fn reload_roots(&self) -> Result<(), Error> {
        let rows = self.store.read(|tx| Box::pin(async move { rows(tx).await })).await?;
        let keys = opened(&rows, &self.seals).ok_or_else(sealed_otherwise)?;
        self.root.replace(keys);
        Ok(())
    }

    /// The root keys that may go at `now`, by their names in the store: a later one makes values, and everything that
    /// they made is over. Backup codes have no end; a key stays while unused ones of it are kept.
    pub(crate) async fn spent_roots(&self) -> Result<Vec<String>, Error> {
        let (now, longest) = (self.now(), longest_life(&self.config));
        let unit = async move |tx: &mut Tx| spent(tx, longest, now).await;
        Ok(self.store.read(move |tx| Box::pin(async move { unit(tx).await })).await?)
    }
}

/// Opens the root keys of a store; makes the first one where there is none.
pub(super) async fn open(store: &Store, seals: &Seals, clock: Clock) -> Result<RootKeys, Error> {
    let fresh = seals.seal(FIRST, DatedKey::generate(Timestamp(0)).as_bytes());
    let (all, seals) = (seals.clone(), seals.clone());
    let unit = async move |tx: &mut Tx| {
        let mut kept = rows(tx).await?;
        if kept.is_empty() {
            // Nodes that start at once all get the key of one of them.
            keys::add_secret(tx, FIRST, &fresh).await?;
            kept = rows(tx).await?;
        }
        let Some((name, sealed)) = kept.first() else { return Ok(None) };
        let Ok((_, under)) = seals.open_and_tell(name, sealed) else { return Ok(None) };
        // A store from before the key was named is sealed under the one that opens it.
        let named = store::seals::name_first(tx, under).await?;
        Ok(seals.seal_with(named).then_some(kept))
    };
    let kept = store.write(move |tx| Box::pin(async move { unit(tx).await })).await?;
    let keys = kept.and_then(|rows| opened(&rows, &all));
    keys.and_then(|keys| RootKeys::new(clock, keys)).ok_or_else(sealed_otherwise)
}

/// Takes a root key away that nothing depends on any more; every server reads the keys again.
pub(crate) async fn remove(tx: &mut Tx, name: &str, now: Timestamp) -> Result<(), store::Error> {
    keys::remove_secret(tx, name).await?;
    record(tx, "keys.drop_root", now).await?;
    signals::emit(tx, Signal::Keys, now).await
}

async fn add(
    tx: &mut Tx,
    name: &str,
    makes_from: Timestamp,
    sealed: &[u8],
    now: Timestamp,
) -> Result<RootChange, store::Error> {
    let waiting = rows(tx).await?.iter().filter_map(|(name, _)| time_of(name)).find(|from| *from > now);
    if let Some(makes_from) = waiting {
        return Ok(RootChange::Waits { makes_from });
    }
    keys::add_secret(tx, name, sealed).await?;
    record(tx, "keys.rotate_root", now).await?;
    signals::emit(tx, Signal::Keys, now).await?;
    let accounts = store::factors::accounts_with_codes_before(tx, makes_from).await?;
    Ok(RootChange::Made { makes_from, accounts })
}

async fn record(tx: &mut Tx, event: &'static str, now: Timestamp) -> Result<(), store::Error> {
    let entry =
        audit::Entry { event, outcome: "ok", account: None, device: None, pairing: None, source: OPERATOR };
    audit::record(tx, entry, now).await
}

async fn spent(tx: &mut Tx, longest: Duration, now: Timestamp) -> Result<Vec<String>, store::Error> {
    let mut dated: Vec<(Timestamp, String)> =
        rows(tx).await?.into_iter().filter_map(|(name, _)| Some((time_of(&name)?, name))).collect();
    dated.sort();
    let mut spent = Vec::new();
    for pair in dated.windows(2) {
        let [(_, name), (successor, _)] = pair else { continue };
        // Oldest first: a key whose predecessor is still needed is needed as well.
        if successor.plus(longest) > now || keys::root_is_needed(tx, *successor).await? {
            break;
        }
        spent.push(name.clone());
    }
    Ok(spent)
}

async fn rows(tx: &mut Tx) -> Result<Vec<(String, Vec<u8>)>, store::Error> {
    let all = keys::secrets(tx).await?;
    Ok(all.into_iter().filter(|(name, _)| time_of(name).is_some()).collect())
}

fn opened(rows: &[(String, Vec<u8>)], seals: &Seals) -> Option<Vec<DatedKey>> {
    rows.iter()
        .map(|(name, sealed)| DatedKey::from_bytes(time_of(name)?, &seals.open(name, sealed).ok()?))
        .collect()
}

fn name_of(makes_from: Timestamp) -> String {
    format!("{LATER}{}", makes_from.0)
}

/// From when a root key makes values; `None` for a name that is none of a root key.
fn time_of(name: &str) -> Option<Timestamp> {
    if name == FIRST {
        return Some(Timestamp(0));
    }
    name.strip_prefix(LATER)?.parse().ok().map(Timestamp)
}

/// How long a value that a root key made may be good at most, backup codes aside.
fn longest_life(config: &Config) -> Duration {
    let pairing = config.pairing.ttl + config.pairing.ask_ttl + config.ticket.ttl;
    let codes = config.otp.ttl.max(config.two_factor.otp_ttl).max(config.two_factor.cookie_ttl);
    let mail = config.mail_code.ttl + config.mail_code.auth_ttl;
    let refresh = config.refresh.ttl.max(config.refresh.retry);
    [pairing, codes, mail, config.two_factor.trust_ttl, refresh, LONGEST_QUOTA]
        .into_iter()
        .max()
        .unwrap_or(LONGEST_QUOTA)
}

fn sealed_otherwise() -> Error {
    Error::internal("the store is sealed under another key: check keys.seal or keys.seal_file")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::StoreUrl;

    async fn added(store: &Store, makes_from: Timestamp, now: Timestamp) -> RootChange {
        let unit = async move |tx: &mut Tx| add(tx, &name_of(makes_from), makes_from, b"sealed", now).await;
        store.write(move |tx| Box::pin(async move { unit(tx).await })).await.unwrap()
    }

    #[tokio::test]
    async fn a_second_rotation_waits_for_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&StoreUrl::Sqlite(dir.path().join("store.db")), 1, 10).await.unwrap();
        let (first, second) = (Timestamp(2_000), Timestamp(3_000));
        let made = |makes_from| RootChange::Made { makes_from, accounts: 0 };
        assert_eq!(added(&store, first, Timestamp(0)).await, made(first));
        assert_eq!(added(&store, second, Timestamp(1_999)).await, RootChange::Waits { makes_from: first });
        assert_eq!(added(&store, second, Timestamp(2_000)).await, made(second));
    }

    #[test]
    fn names_of_root_keys_carry_their_time_and_no_other_secret_is_one() {
        assert_eq!(time_of(&name_of(Timestamp(42))), Some(Timestamp(42)));
        assert_eq!(time_of("root"), Some(Timestamp(0)));
        for other in ["seal", "root@", "root@x", "rootkit"] {
            assert_eq!(time_of(other), None, "{other}");
        }
    }
}
