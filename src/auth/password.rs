//! Proving a password: throttled, hashed on a bounded pool, alike for known and unknown addresses.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::Params;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::limits::{PASSWORDS_PER_ADDRESS, PASSWORDS_PER_SOURCE};
use super::{Auth, Error};
use crate::config;
use crate::crypto::password::{Hasher, Verdict};
use crate::crypto::random;
use crate::domain::account::{Account, Email, PasswordHash};
use crate::domain::ids::AccountId;
use crate::domain::secret::Password;
use crate::store::{accounts, audit};

/// The bounded pool that computes password hashes: the only slow thing in the server.
pub(crate) struct Passwords {
    turns: Arc<Semaphore>,
    hashers: Arc<Mutex<Vec<Hasher>>>,
    waiting: AtomicUsize,
    queue: usize,
    dummy: PasswordHash,
}

/// Counts a waiting login for as long as it waits or works, also when its client goes away.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Passwords {
    pub(super) fn new(config: &config::Password) -> Result<Self, Error> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = if config.threads == 0 { cores } else { config.threads };
        let params = Params::new(config.memory_kib, config.iterations, config.parallelism, None)
            .map_err(|e| Error::internal(e.to_string()))?;
        let mut hashers: Vec<Hasher> = (0..threads).map(|_| Hasher::new(params.clone())).collect();
        let dummy = Password::new(random::alphanumeric(24));
        let first = hashers.first_mut().ok_or_else(|| Error::internal("no hashing thread"))?;
        let dummy = first.hash(&dummy).map_err(|e| Error::internal(e.to_string()))?;
        Ok(Self {
            turns: Arc::new(Semaphore::new(threads)),
            hashers: Arc::new(Mutex::new(hashers)),
            waiting: AtomicUsize::new(0),
            queue: threads + config.queue,
            dummy,
        })
    }

    /// Hashes a password that is about to be stored.
    pub(super) async fn hash(&self, password: Password) -> Result<PasswordHash, Error> {
        self.run(move |hasher| hasher.hash(&password)).await
    }

    async fn verify(&self, hash: Option<PasswordHash>, password: Password) -> Result<Verdict, Error> {
        let is_known = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.dummy.clone());
        let verdict = self.run(move |hasher| hasher.verify(&hash, &password)).await?;
        Ok(if is_known { verdict } else { Verdict::Wrong })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Hasher) -> Result<T, crate::crypto::password::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let waiting = Waiting(&self.waiting);
        if self.waiting.fetch_add(1, Ordering::AcqRel) >= self.queue {
            return Err(Error::Busy(Auth::BUSY));
        }
        let turn = self.turns.clone().acquire_owned().await.map_err(|_| Error::internal("pool closed"))?;
        let hashers = self.hashers.clone();
        let task = tokio::task::spawn_blocking(move || {
            let hasher = hashers.lock().pop();
            let mut hasher = hasher.ok_or_else(|| Error::internal("more turns than hashers"))?;
            let outcome = work(&mut hasher).map_err(|e| Error::internal(e.to_string()));
            hashers.lock().push(hasher);
            drop(turn);
            outcome
        });
        let outcome = task.await.map_err(|e| Error::internal(e.to_string()))?;
        drop(waiting);
        outcome
    }
}

impl Auth {
    /// The account behind an address and its password.
    ///
    /// # Errors
    /// `BadCredentials` alike for an unknown address and a wrong password, in words and time; `Disabled` only after
    /// the right password; `TooManyRequests`; `Busy`.
    pub(crate) async fn prove_password(
        &self,
        kind: &str,
        email: &str,
        password: &Password,
        source: IpAddr,
    ) -> Result<Account, Error> {
        let address = Email::parse(email);
        let by_source = self.limits.hit(PASSWORDS_PER_SOURCE, source)?;
        let by_address = match &address {
            Some(address) => Some(self.limits.hit_address(PASSWORDS_PER_ADDRESS, source, kind, address)),
            None => None,
        };
        let by_address = match by_address.transpose() {
            Ok(hit) => hit,
            Err(too_many) => {
                self.limits.forgive(&by_source);
                return Err(too_many);
            }
        };
        let outcome = self.check_password(kind, address, password).await;
        if !matches!(outcome, Err(Error::BadCredentials)) {
            self.limits.forgive(&by_source);
            by_address.iter().for_each(|hit| self.limits.forgive(hit));
        }
        self.audit_password(&outcome, source).await?;
        outcome
    }

    /// Whether this is the account's password; counted like a login's.
    pub(crate) async fn prove_own_password(
        &self,
        id: AccountId,
        password: &Password,
        source: IpAddr,
    ) -> Result<Account, Error> {
        let account = self.store.read(move |tx| Box::pin(accounts::by_id(tx, id))).await?;
        let account = account.ok_or(Error::NotAuthenticated)?;
        self.prove_password(&account.kind, account.email.as_given(), password, source).await
    }

    async fn check_password(
        &self,
        kind: &str,
        address: Option<Email>,
        password: &Password,
    ) -> Result<Account, Error> {
        // An address that can't be one is looked up like any other; whoever is found under the stand-in is not meant.
        let is_address = address.is_some();
        let stand_in = || Email::parse("nobody@invalid").ok_or(Error::BadCredentials);
        let address = address.map_or_else(stand_in, Ok)?;
        for _ in 0..2 {
            let found = self.account_at(kind, address.clone()).await?.filter(|_| is_address);
            let hash = found.as_ref().map(|account| account.password_hash.clone());
            let verdict = self.passwords.verify(hash, password.clone()).await?;
            let Some(mut account) = found else { return Err(Error::BadCredentials) };
            match verdict {
                Verdict::Wrong => return Err(Error::BadCredentials),
                Verdict::Right => {}
                Verdict::RightButOutdated => match self.upgrade(&account, password).await? {
                    Some(hash) => account.password_hash = hash,
                    // Another login upgraded it first, or it is a new password: look again.
                    None => continue,
                },
            }
            return if account.disabled_at.is_some() { Err(Error::Disabled) } else { Ok(account) };
        }
        Err(Error::Busy(Self::BUSY))
    }

    async fn account_at(&self, kind: &str, address: Email) -> Result<Option<Account>, Error> {
        let kind = kind.to_owned();
        Ok(self
            .store
            .read(move |tx| Box::pin(async move { accounts::by_email(tx, &kind, &address).await }))
            .await?)
    }

    /// Hashes the password at today's cost; `None` when the hash that it replaces is not there any more.
    async fn upgrade(&self, account: &Account, password: &Password) -> Result<Option<PasswordHash>, Error> {
        let (id, old) = (account.id, account.password_hash.clone());
        let new = self.passwords.hash(password.clone()).await?;
        let kept = new.clone();
        let done = self
            .store
            .write(move |tx| Box::pin(async move { accounts::upgrade_password(tx, id, &old, &new).await }))
            .await?;
        Ok(done.then_some(kept))
    }

    async fn audit_password(&self, outcome: &Result<Account, Error>, source: IpAddr) -> Result<(), Error> {
        // A right password is recorded with what it led to. A full queue or store says `busy` by itself.
        let outcome = match outcome {
            Err(e @ (Error::BadCredentials | Error::Disabled)) => e.code(),
            _ => return Ok(()),
        };
        let (now, source) = (self.now(), source.to_string());
        self.store
            .write(move |tx| {
                Box::pin(async move {
                    let entry = audit::Entry {
                        event: "password",
                        outcome,
                        account: None,
                        device: None,
                        pairing: None,
                        source: &source,
                    };
                    audit::record(tx, entry, now).await
                })
            })
            .await?;
        Ok(())
    }
}
