//! Removing an account: what hangs on its row goes with it, and what is kept by other names is looked for and goes too.

use super::change::{OPERATOR, changed};
use super::{Auth, Error, mailed_code};
use crate::domain::account::{Account, Email};
use crate::domain::time::Timestamp;
use crate::store::{self, Tx, accounts, hits, mail_logins, pairings};

impl Auth {
    /// Removes an account and everything kept about it, for an operator.
    pub(crate) async fn remove_for_operator(&self, account: Account) -> Result<(), Error> {
        let (id, email, now) = (account.id, account.email, self.now());
        let unit = async move |tx: &mut Tx| match accounts::lock(tx, id).await? {
            Some(account) => remove(tx, &account, OPERATOR, now).await,
            None => Ok(()),
        };
        self.store.write(move |tx| Box::pin(async move { unit(tx).await })).await?;
        self.forget_address(email).await
    }

    /// Forgets what is kept by the address of a removed account. Mailed words belong to the address: with an account of
    /// another kind they stay.
    pub(super) async fn forget_address(&self, email: Email) -> Result<(), Error> {
        let (root, kinds) = (self.root.clone(), self.config.accounts.kinds.len());
        let unit = async move |tx: &mut Tx| {
            if !accounts::by_address(tx, email.key()).await?.is_empty() {
                return Ok(());
            }
            mail_logins::forget(tx, &email).await?;
            mailed_code::forget_address(tx, &root, &email, kinds).await
        };
        Ok(self.store.write(move |tx| Box::pin(async move { unit(tx).await })).await?)
    }
}

/// Removes an account and what is kept by its number. What stays: its rows of the audit trail, with that number, which is
/// never given again, and where each act came from. Who breaks into an account and removes it must not take the traces
/// along. Letters on their way are delivered, and leave the outbox with that.
pub(super) async fn remove(
    tx: &mut Tx,
    account: &Account,
    source: &str,
    now: Timestamp,
) -> Result<(), store::Error> {
    pairings::drop_asks(tx, account.id, now).await?;
    mailed_code::forget(tx, account).await?;
    hits::forget(tx, account.id).await?;
    changed(tx, "account.remove", account.id, None, source, now).await?;
    accounts::remove(tx, account.id, now).await
}
