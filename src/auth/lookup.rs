//! Finding accounts by address where a surface names no kind.

use super::{Auth, Error};
use crate::domain::account::{Account, Email};
use crate::domain::factor::Method;
use crate::domain::ids::AccountId;
use crate::store::{Tx, accounts, factors};

impl Auth {
    /// The kind that is meant by an address alone: verified accounts come before unverified ones, then the kinds'
    /// order; for an unknown address the first kind.
    pub(crate) async fn kind_for(&self, email: &str, wanted: Option<&str>) -> Result<String, Error> {
        let kinds = &self.config.accounts.kinds;
        let first = kinds.first().map(|kind| kind.id.clone()).unwrap_or_default();
        let Some(email) = Email::parse(email) else { return Ok(wanted.map_or(first, str::to_owned)) };
        let unit = async move |tx: &mut Tx| accounts::by_address(tx, &email).await;
        let found = self.store.read(move |tx| Box::pin(async move { unit(tx).await })).await?;
        if let Some(wanted) = wanted {
            return Ok(wanted.to_owned());
        }
        let place = |account: &Account| kinds.iter().position(|kind| kind.id == account.kind);
        let meant = found
            .iter()
            .filter_map(|account| Some((!account.verified, place(account)?, account)))
            .min_by_key(|(unverified, place, _)| (*unverified, *place));
        Ok(meant.map_or(first, |(_, _, account)| account.kind.clone()))
    }

    /// The account of a kind with an address.
    pub(super) async fn find(&self, kind: &str, email: &str) -> Result<Option<Account>, Error> {
        let Some(email) = Email::parse(email) else { return Ok(None) };
        let kind = kind.to_owned();
        let unit = async move |tx: &mut Tx| accounts::by_email(tx, &kind, &email).await;
        Ok(self.store.read(move |tx| Box::pin(async move { unit(tx).await })).await?)
    }

    /// Whether there is such an account, for the one route that may be told to say so.
    pub(crate) async fn is_known(&self, kind: &str, email: &str) -> Result<bool, Error> {
        Ok(self.find(kind, email).await?.is_some())
    }

    /// What is on for an account.
    pub(crate) async fn methods(&self, account: AccountId) -> Result<Vec<Method>, Error> {
        Ok(self.store.read(move |tx| Box::pin(factors::methods(tx, account))).await?)
    }
}
