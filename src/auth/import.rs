//! Accounts that come along from another system, with the password hashes that it made.

use super::change::OPERATOR;
use super::{Auth, Error};
use crate::crypto::random;
use crate::domain::account::{Email, PasswordHash};
use crate::domain::language::Language;
use crate::domain::text::shown;
use crate::domain::time::Timestamp;
use crate::store::signals::{self, Signal};
use crate::store::{Tx, accounts, audit, imports};

/// An account as another system had it. Whoever makes one has checked the hash.
#[derive(Clone, Debug)]
pub(crate) struct Imported {
    pub(crate) kind: String,
    pub(crate) email: Email,
    pub(crate) password: PasswordHash,
    pub(crate) name: String,
    pub(crate) phone: Option<String>,
    pub(crate) verified: bool,
    pub(crate) language: Option<Language>,
    /// When the other system made it; now, if nobody knows.
    pub(crate) created: Option<Timestamp>,
}

impl Auth {
    /// Adds a batch in one transaction and says of each account whether it was added; not where the address is taken.
    pub(crate) async fn import(&self, batch: Vec<Imported>) -> Result<Vec<bool>, Error> {
        let now = self.now();
        let rows: Vec<_> = batch.into_iter().map(|account| row(account, now)).collect();
        let unit = async move |tx: &mut Tx| {
            let added = imports::add(tx, rows, now).await?;
            let ids: Vec<_> = added.iter().copied().flatten().collect();
            let entry = audit::Entry {
                event: "account.import",
                outcome: "ok",
                account: None,
                device: None,
                pairing: None,
                source: OPERATOR,
            };
            audit::record_all(tx, entry, &ids, now).await?;
            if !ids.is_empty() {
                signals::emit(tx, Signal::Passwords, now).await?;
            }
            Ok(added.iter().map(Option::is_some).collect())
        };
        Ok(self.store.write(move |tx| Box::pin(async move { unit(tx).await })).await?)
    }

    /// What [`Auth::import`] would say; changes nothing.
    pub(crate) async fn try_import(&self, batch: Vec<Imported>) -> Result<Vec<bool>, Error> {
        let unit = async move |tx: &mut Tx| {
            let mut free = Vec::with_capacity(batch.len());
            for account in &batch {
                free.push(!imports::is_taken(tx, &account.kind, &account.email).await?);
            }
            Ok(free)
        };
        Ok(self.store.read(move |tx| Box::pin(async move { unit(tx).await })).await?)
    }
}

fn row(account: Imported, now: Timestamp) -> (accounts::New, Timestamp) {
    let new = accounts::New {
        uuid: random::uuid(),
        kind: account.kind,
        email: account.email,
        name: shown(&account.name),
        phone: account.phone,
        password: account.password,
        verified: account.verified,
        vouched: true,
        language: account.language,
        image: String::new(),
    };
    (new, account.created.unwrap_or(now))
}
