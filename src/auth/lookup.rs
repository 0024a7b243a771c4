//! Finding accounts by address, also where a surface names no kind.

use super::{Auth, Error};
use crate::domain::account::{Account, Email, Kind};
use crate::domain::factor::Method;
use crate::domain::ids::AccountId;
use crate::store::{self, Tx, accounts, factors};

/// What [`Auth::find`] does, inside of a unit of work.
pub(super) async fn find(
    tx: &mut Tx,
    kinds: &[Kind],
    kind: Option<&str>,
    email: &Email,
) -> Result<Option<Account>, store::Error> {
    if let Some(kind) = kind {
        return accounts::by_email(tx, kind, email).await;
    }
    let found = accounts::by_address(tx, email).await?;
    let place = |account: &Account| kinds.iter().position(|kind| kind.id == account.kind);
    Ok(found.into_iter().min_by_key(|account| (!account.verified, place(account).unwrap_or(usize::MAX))))
}

impl Auth {
    /// The account with an address: of this kind, or else of the kind that is meant by an address alone. There verified
    /// accounts come before unverified ones, then the kinds' order (CONTRACT.md section 1).
    pub(super) async fn find(&self, kind: Option<&str>, email: Email) -> Result<Option<Account>, Error> {
        let (kind, kinds) = (kind.map(str::to_owned), self.config.accounts.kinds.clone());
        let unit = async move |tx: &mut Tx| find(tx, &kinds, kind.as_deref(), &email).await;
        Ok(self.store.read(move |tx| Box::pin(async move { unit(tx).await })).await?)
    }

    /// Whether there is such an account, for the one route that may be told to say so.
    pub(crate) async fn is_known(&self, kind: Option<&str>, email: &str) -> Result<bool, Error> {
        let Some(email) = Email::parse(email) else { return Ok(false) };
        Ok(self.find(kind, email).await?.is_some())
    }

    /// What is on for an account.
    pub(crate) async fn methods(&self, account: AccountId) -> Result<Vec<Method>, Error> {
        Ok(self.store.read(move |tx| Box::pin(factors::methods(tx, account))).await?)
    }
}
