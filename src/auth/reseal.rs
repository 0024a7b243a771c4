//! Going over to another seal key while servers run: everything is sealed again, in one unit of work.

use std::future::Future;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use super::{Auth, Error};
use crate::crypto::seal_file;
use crate::crypto::seals::{Fresh, Seals};
use crate::domain::time::Timestamp;
use crate::store::sealed::Sealed;
use crate::store::signals::{self, Signal};
use crate::store::{self, Store, Tx};

/// Within this time every running server has noticed what a command changed.
pub(super) const NOTICE: Duration = Duration::from_secs(2);

/// What a change of the seal key came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Resealed {
    /// How many secrets were under another key.
    pub(crate) changed: usize,
    /// How many there are.
    pub(crate) all: usize,
}

impl Auth {
    /// Seals everything under the first of the seal keys. A file with one key gets a new one in front before, and is
    /// left with that one alone. Whatever ends this half-way leaves a file that opens the store; the next run goes on.
    ///
    /// # Errors
    /// `Internal` with what is wrong: the file can't be replaced, another such command runs, something does not open.
    pub(crate) async fn rotate_seal(&self) -> Result<Resealed, Error> {
        let Some(file) = self.seals.file() else {
            let resealed = self.reseal().await?;
            self.reseal_stragglers().await?;
            self.keyring.reload(&self.store).await?;
            return Ok(resealed);
        };
        let unusable = |e: std::io::Error| unusable(file, &e);
        let _alone = seal_file::lock(file).map_err(unusable)?;
        self.seals.reread().map_err(unusable)?;
        if self.seals.keys().is_single() {
            seal_file::replace(file, &self.seals.keys().with_a_new_one_first()).map_err(unusable)?;
            self.seals.reread().map_err(unusable)?;
        }
        // Not that anything would be lost otherwise: a server that meets what it can't open looks at the file.
        self.tell_servers().await?;
        self.clock.sleep_until(self.clock.uptime() + NOTICE).await;
        let resealed = self.reseal().await?;
        self.reseal_stragglers().await?;
        seal_file::replace(file, &self.seals.keys().first_alone()).map_err(unusable)?;
        self.tell_servers().await?;
        self.keyring.reload(&self.store).await?;
        Ok(resealed)
    }

    async fn tell_servers(&self) -> Result<(), Error> {
        let now = self.now();
        let unit = async move |tx: &mut Tx| signals::emit(tx, Signal::Keys, now).await;
        Ok(self.store.write(move |tx| Box::pin(async move { unit(tx).await })).await?)
    }

    /// Mail takes no lock when it is sealed: what a unit that was under way has added under the old key is found now.
    async fn reseal_stragglers(&self) -> Result<(), Error> {
        self.clock.sleep_until(self.clock.uptime() + NOTICE).await;
        self.reseal().await.map(drop)
    }

    async fn reseal(&self) -> Result<Resealed, Error> {
        let (all, now) = (self.seals.clone(), self.now());
        let first = Seals::given(all.keys().first_alone());
        let unit = async move |tx: &mut Tx| go_over(tx, &all, &first, now).await;
        let done = self.store.write(move |tx| Box::pin(async move { unit(tx).await })).await?;
        done.map_err(|which| {
            Error::internal(format!(
                "{which} does not open with any seal key: put the key it was sealed under behind the others; \
                 nothing was changed in the store"
            ))
        })
    }
}

/// Seals everything under `first`, or says what does not open and changes nothing.
async fn go_over(
    tx: &mut Tx,
    all: &Seals,
    first: &Seals,
    now: Timestamp,
) -> Result<Result<Resealed, String>, store::Error> {
    store::seals::lock(tx).await?;
    let rows = store::sealed::all(tx).await?;
    let mut fresh: Vec<(&Sealed, Vec<u8>)> = Vec::new();
    for row in &rows {
        if first.open(row.purpose(), &row.sealed).is_ok() {
            continue;
        }
        let Ok(plain) = all.open(row.purpose(), &row.sealed) else {
            if row.is_mail() {
                // It could not be sent before either, and is given up at its end.
                continue;
            }
            return Ok(Err(row.which()));
        };
        fresh.push((row, first.seal(row.purpose(), &plain)));
    }
    for (row, sealed) in &fresh {
        store::sealed::replace(tx, row, sealed).await?;
    }
    store::seals::name(tx, first.fingerprint()).await?;
    signals::emit(tx, Signal::Keys, now).await?;
    let lasting = |row: &Sealed| !row.is_mail();
    let changed = fresh.iter().filter(|(row, _)| lasting(row)).count();
    Ok(Ok(Resealed { changed, all: rows.iter().filter(|row| lasting(row)).count() }))
}

/// Seals `plain` and lets `attempt` store it. That begins its unit of work with [`store::seals::check`] and returns
/// `None` where it fails: the store was sealed under another key meanwhile, and the attempt is made once more with it.
///
/// # Errors
/// `Busy` when the second attempt fails as well, or what `attempt` says.
pub(super) async fn storing<T, F>(
    store: &Store,
    seals: &Seals,
    purpose: &str,
    plain: &[u8],
    attempt: impl Fn(Fresh) -> F,
) -> Result<T, Error>
where
    F: Future<Output = Result<Option<T>, Error>>,
{
    if let Some(stored) = attempt(seals.seal_fresh(purpose, plain)).await? {
        return Ok(stored);
    }
    let named = store.read(|tx| Box::pin(store::seals::named(tx))).await?;
    if named.is_none_or(|named| !seals.seal_with(named)) {
        tracing::error!("the store is sealed under another key: check keys.seal or keys.seal_file");
        return Err(Error::Busy(Auth::BUSY));
    }
    attempt(seals.seal_fresh(purpose, plain)).await?.ok_or(Error::Busy(Auth::BUSY))
}

fn unusable(file: &Path, e: &std::io::Error) -> Error {
    let why = if e.kind() == ErrorKind::WouldBlock {
        "another command replaces it at this moment".to_owned()
    } else {
        e.to_string()
    };
    Error::internal(format!("keys.seal_file: {}: {why}", file.display()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::config::StoreUrl;
    use crate::crypto::seal::Fingerprint;
    use crate::crypto::seal_keys::SealKeys;

    async fn name(store: &Store, key: Fingerprint) {
        let unit = async move |tx: &mut Tx| {
            store::seals::name_first(tx, key).await?;
            store::seals::name(tx, key).await
        };
        store.write(move |tx| Box::pin(async move { unit(tx).await })).await.unwrap();
    }

    /// How often it was tried, and under what it was stored.
    async fn attempts(store: &Store, seals: &Seals) -> (usize, Result<Fingerprint, Error>) {
        let tries = AtomicUsize::new(0);
        let done = storing(store, seals, "x", b"secret", |fresh| {
            tries.fetch_add(1, Ordering::Relaxed);
            let unit = async move |tx: &mut Tx| store::seals::check(tx, fresh.under).await;
            async move {
                let fits = store.write(move |tx| Box::pin(async move { unit(tx).await })).await?;
                Ok(fits.then_some(fresh.under))
            }
        });
        let done = done.await;
        (tries.into_inner(), done)
    }

    #[tokio::test]
    async fn who_has_not_noticed_another_key_stores_nothing_under_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&StoreUrl::Sqlite(dir.path().join("store.db")), 1, 10).await.unwrap();
        let file = dir.path().join("seal.key");
        let seals = Seals::from_file(&file).unwrap();
        let old = seals.fingerprint();
        name(&store, old).await;
        assert_eq!(attempts(&store, &seals).await, (1, Ok(old)));

        let both = seals.keys().with_a_new_one_first();
        let new = Seals::given(both.first_alone()).fingerprint();
        seal_file::replace(&file, &both).unwrap();
        assert_eq!(attempts(&store, &seals).await, (1, Ok(old)), "the store has not gone over yet");
        name(&store, new).await;
        assert_eq!(attempts(&store, &seals).await, (2, Ok(new)));

        let foreign = Seals::given(SealKeys::parse(&"ab".repeat(32)).unwrap());
        name(&store, foreign.fingerprint()).await;
        assert_eq!(attempts(&store, &seals).await, (1, Err(Error::Busy(Auth::BUSY))));
        store.close().await;
    }
}
