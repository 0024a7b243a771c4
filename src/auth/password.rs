//! Proving a password: throttled, hashed on a bounded pool, alike for known and unknown addresses and numbers.

use std::net::IpAddr;
use std::sync::Arc;

use argon2::Params;
use parking_lot::Mutex;

use super::dummies::ANY_KIND;
use super::dummies::Dummies;
use super::limits::{PASSWORDS_PER_ADDRESS, PASSWORDS_PER_SOURCE};
use super::{Auth, Error};
use crate::config;
use crate::crypto::password::{Hasher, Verdict, class_of};
use crate::domain::account::{Account, PasswordHash};
use crate::domain::ids::AccountId;
use crate::domain::phone::Identifier;
use crate::domain::secret::Password;
use crate::store::{Tx, accounts, audit};
use crate::turns::{Gate, LONGEST, Size};

/// The number of no account.
const NOBODY: AccountId = AccountId(0);

/// The bounded pool that computes password hashes: the only slow thing in the server. Networks and accounts take turns at
/// it, so that nobody's guesses or changes keep others from logging in.
pub(crate) struct Passwords {
    gate: Gate,
    hashers: Arc<Mutex<Vec<Hasher>>>,
    pub(super) dummies: Dummies,
}

impl Passwords {
    pub(super) fn new(config: &config::Password) -> Result<Self, Error> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = if config.threads == 0 { cores } else { config.threads };
        let params = Params::new(config.memory_kib, config.iterations, config.parallelism, None)
            .map_err(|e| Error::internal(e.to_string()))?;
        let hashers: Vec<Hasher> = (0..threads).map(|_| Hasher::new(params.clone())).collect();
        Ok(Self {
            gate: Gate::new(Size { turns: threads, room: config.queue, patience: None, longest: LONGEST }),
            hashers: Arc::new(Mutex::new(hashers)),
            dummies: Dummies::new(class_of(&params))?,
        })
    }

    /// How many logins wait for a hash, or for their turn to have one computed.
    pub(super) fn waiting(&self) -> usize {
        self.gate.busy()
    }

    /// Hashes a password that is about to be stored. What proves that it may be is looked at first.
    pub(super) async fn hash(&self, password: Password) -> Result<PasswordHash, Error> {
        self.run(move |hasher| hasher.hash(&password)).await
    }

    /// What an account's hash says of a password; without one `Wrong`, after the work that `dummy` makes.
    async fn verify(
        &self,
        hash: Option<PasswordHash>,
        dummy: PasswordHash,
        password: Password,
    ) -> Result<Verdict, Error> {
        let is_known = hash.is_some();
        let hash = hash.unwrap_or(dummy);
        let verdict = self.run(move |hasher| hasher.verify(&hash, &password)).await?;
        Ok(if is_known { verdict } else { Verdict::Wrong })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Hasher) -> Result<T, crate::crypto::password::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let turn = self.gate.turn().await.map_err(|_| Error::Busy(Auth::BUSY))?;
        let hashers = self.hashers.clone();
        let task = tokio::task::spawn_blocking(move || {
            let hasher = hashers.lock().pop();
            let mut hasher = hasher.ok_or_else(|| Error::internal("more turns than hashers"))?;
            let outcome = work(&mut hasher).map_err(|e| Error::internal(e.to_string()));
            hashers.lock().push(hasher);
            // Not the client's to give back: the thread is busy also when nobody waits for it any more.
            drop(turn);
            outcome
        });
        task.await.map_err(|e| Error::internal(e.to_string()))?
    }
}

impl Auth {
    /// The account of this name and password; without a kind, the one that is meant by the name alone.
    ///
    /// # Errors
    /// `BadCredentials` alike for an unknown name and a wrong password, in words and time; `Disabled` only after
    /// the right password; `TooManyRequests`; `Busy`.
    pub(crate) async fn prove_password(
        &self,
        kind: Option<&str>,
        who: &Identifier,
        password: &Password,
        source: IpAddr,
    ) -> Result<Account, Error> {
        let by_source = self.limits.attempt(PASSWORDS_PER_SOURCE, source).await?;
        let by_name = match who {
            Identifier::Email(_) | Identifier::Phone(_) => {
                // Counted under what was asked, not under what was found.
                let kind = kind.unwrap_or(ANY_KIND);
                match self.limits.attempt_at(PASSWORDS_PER_ADDRESS, source, kind, who.key()).await {
                    Ok(attempt) => Some(attempt),
                    Err(refused) => {
                        by_source.settle(false);
                        return Err(refused);
                    }
                }
            }
            Identifier::Nobodys => None,
        };
        let (whose, outcome) = self.find_and_check(kind, who, password).await;
        let is_wrong = matches!(outcome, Err(Error::BadCredentials));
        by_source.settle(is_wrong);
        by_name.into_iter().for_each(|attempt| attempt.settle(is_wrong));
        let name = format!("{}/{}", kind.unwrap_or(ANY_KIND), who.key());
        self.audit_password((name, whose), &outcome, source).await?;
        outcome
    }

    async fn find_and_check(
        &self,
        kind: Option<&str>,
        who: &Identifier,
        password: &Password,
    ) -> (Option<AccountId>, Result<Account, Error>) {
        // Drawn for everybody, so that drawing tells nothing.
        let dummy = match self.dummy(kind.unwrap_or(ANY_KIND), who) {
            Ok(dummy) => dummy,
            Err(e) => return (None, Err(e)),
        };
        match self.find(kind, who).await {
            Ok(found) => {
                let whose = found.as_ref().map(|account| account.id);
                (whose, self.check_password(found, dummy, password).await)
            }
            Err(e) => (None, Err(e)),
        }
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
        self.prove_password(Some(&account.kind), &Identifier::Email(account.email), password, source).await
    }

    async fn check_password(
        &self,
        found: Option<Account>,
        dummy: PasswordHash,
        password: &Password,
    ) -> Result<Account, Error> {
        let hash = found.as_ref().map(|account| account.password_hash.clone());
        let verdict = self.passwords.verify(hash, dummy, password.clone()).await?;
        let Some(account) = found else { return Err(Error::BadCredentials) };
        match verdict {
            Verdict::Wrong => return Err(Error::BadCredentials),
            Verdict::Right => {}
            Verdict::RightButOutdated => self.upgrade(&account, password).await?,
        }
        if account.disabled_at.is_some() { Err(Error::Disabled) } else { Ok(account) }
    }

    async fn upgrade(&self, account: &Account, password: &Password) -> Result<(), Error> {
        let (id, old) = (account.id, account.password_hash.clone());
        let new = match self.passwords.hash(password.clone()).await {
            // It was right, and lets in; the next login hashes it anew.
            Err(Error::Busy(_)) => return Ok(()),
            other => other?,
        };
        let now = self.now();
        let unit = async move |tx: &mut Tx| accounts::upgrade_password(tx, id, &old, &new, now).await;
        Ok(self.store.write(move |tx| Box::pin(async move { unit(tx).await })).await?)
    }

    /// Records a refused password. A right one is recorded with what it led to.
    async fn audit_password(
        &self,
        (name, whose): (String, Option<AccountId>),
        outcome: &Result<Account, Error>,
        source: IpAddr,
    ) -> Result<(), Error> {
        // A full queue or store says `busy` by itself.
        let outcome = match outcome {
            Err(e @ (Error::BadCredentials | Error::Disabled)) => e.code(),
            _ => return Ok(()),
        };
        let (now, source) = (self.now(), source.to_string());
        // For an unknown address too, so that both take the same time.
        let failed = (outcome == Error::BadCredentials.code()).then_some(whose.unwrap_or(NOBODY));
        let unit = async move |tx: &mut Tx| {
            let entry = audit::Entry {
                event: "password",
                outcome,
                account: whose,
                device: None,
                pairing: None,
                source: &source,
            };
            audit::record_named(tx, entry, &name, now).await?;
            match failed {
                Some(account) => accounts::password_failed(tx, account).await,
                None => Ok(true),
            }
        };
        let is_counted = self.store.write(move |tx| Box::pin(async move { unit(tx).await })).await?;
        if let (false, Some(account)) = (is_counted, whose) {
            // Who waited for a row of the account would learn that there is one.
            self.store.write_later(move |tx| Box::pin(accounts::password_failed_meanwhile(tx, account)));
        }
        Ok(())
    }
}
