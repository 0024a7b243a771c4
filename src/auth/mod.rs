//! The use cases: passwords, second factors, approvals, devices, and the one mint. Knows no HTTP and no sockets.

mod approval;
mod backup_codes;
pub(crate) mod bearer;
mod change;
pub(crate) mod cookie;
mod dummies;
pub(crate) mod enrol;
mod error;
pub(crate) mod export;
mod factors;
mod first_proof;
mod first_step;
pub(crate) mod import;
mod key_change;
mod keyring;
pub(crate) mod limits;
pub(crate) mod login;
mod lookup;
pub(crate) mod mail_auth;
pub(crate) mod mail_login;
mod mail_quota;
mod mailed_code;
mod mint;
pub(crate) mod operator;
mod owner;
mod password;
pub(crate) mod profile;
mod refresh;
pub(crate) mod register;
mod release;
mod removal;
mod reseal;
mod resume;
pub(crate) mod roots;
mod second_factor;
mod seen;
mod trust;

use std::sync::Arc;
use std::time::Duration;

pub(crate) use approval::{AskView, Asked, Decided, Ended, Outcome};
pub(crate) use backup_codes::CodeForm;
pub(crate) use change::OPERATOR;
pub(crate) use error::Error;
pub(crate) use factors::DoubleAuth;
pub(crate) use first_step::Second;
pub(crate) use key_change::{Change as KeyChange, jwk_set};
pub(crate) use keyring::Keyring;
pub(crate) use limits::Limits;
pub(crate) use login::{Credential, First, Login, Minted, Wish};
pub(crate) use password::Passwords;
use seen::Seen;

use crate::clock::Clock;
use crate::config::Config;
use crate::crypto::root::RootKeys;
use crate::crypto::seals::Seals;
use crate::domain::time::Timestamp;
use crate::mail::Courier;
use crate::store::lapse::{self, Redeemable};
use crate::store::sessions::Longest;
use crate::store::{self, Store};

/// Everything the use cases share; one per server.
pub(crate) struct Auth {
    pub(crate) config: Arc<Config>,
    pub(crate) clock: Clock,
    pub(crate) store: Store,
    pub(crate) keyring: Keyring,
    pub(crate) limits: Limits,
    pub(crate) courier: Courier,
    passwords: Passwords,
    root: RootKeys,
    seals: Seals,
    seen: Seen,
}

impl Auth {
    /// Opens the keys in the store with the seal keys; makes them at the first start.
    ///
    /// # Errors
    /// The store is away, or sealed under another key.
    pub(crate) async fn open(
        config: Arc<Config>,
        clock: Clock,
        store: Store,
        seals: Seals,
        issuer: String,
        courier: Courier,
    ) -> Result<Self, Error> {
        store.seal_mail_with(seals.clone());
        let root = roots::open(&store, &seals, clock.clone()).await?;
        let names = crate::crypto::jwt::Names { issuer, audience: config.jwt.audience.clone() };
        let keyring = Keyring::open(&store, seals.clone(), names, &config.jwt, clock.clone()).await?;
        let passwords = Passwords::new(&config.password)?;
        let limits = Limits::new(config.limits.factor, clock.clone(), root.clone());
        Ok(Self {
            config,
            clock,
            store,
            keyring,
            limits,
            courier,
            passwords,
            root,
            seals,
            seen: Seen::default(),
        })
    }

    /// What a server does, and a command does not, before its first login.
    pub(crate) async fn begin_to_serve(&self) -> Result<(), Error> {
        self.keyring.announce(&self.store).await?;
        self.limits.load(&self.store).await?;
        // Counting may take too long on a large store; it is done again with the next change.
        if let Err(e) = self.weigh_dummies().await {
            tracing::warn!(error = %e, "the password schemes can't be counted");
        }
        Ok(())
    }

    /// The keys that all nodes of a store share.
    pub(crate) fn root(&self) -> &RootKeys {
        &self.root
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Makes the end of something final that a reading unit has refused as over `now`. One that is refused again and
    /// again costs one write.
    async fn note_over(&self, what: Redeemable, now: Timestamp) -> Result<(), Error> {
        if self.store.read(move |tx| Box::pin(lapse::is_due(tx, what, now))).await? {
            self.store.write(move |tx| Box::pin(lapse::note(tx, what, now))).await?;
        }
        Ok(())
    }

    /// How long sessions last at most.
    fn longest(&self) -> Longest {
        Longest { session: self.config.session.max_ttl, device: self.config.device.max_ttl }
    }

    /// Whether the store answers, and takes what is written to it.
    pub(crate) async fn store_answers(&self) -> bool {
        let read = self.store.read(|tx| Box::pin(async move { store::keys::signing(tx).await.map(drop) }));
        read.await.is_ok() && self.store.takes_writes(self.now()).await
    }

    /// How many logins wait for a password hash.
    pub(crate) fn hashes_waiting(&self) -> usize {
        self.passwords.waiting()
    }

    /// How many mails wait for their delivery; `None` when the store does not say so soon.
    pub(crate) async fn mails_waiting(&self) -> Option<i64> {
        let limit = self.config.mail.queue.saturating_mul(2);
        let count = self.store.read(move |tx| Box::pin(store::outbox::waiting(tx, limit)));
        tokio::time::timeout(Self::BUSY, count).await.ok()?.ok()
    }

    /// The wait that a client is told when the server has too much to do.
    pub(crate) const BUSY: Duration = Duration::from_secs(2);
}
