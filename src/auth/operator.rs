//! What an operator does from the command line; running servers notice within a second.

use super::change::{OPERATOR, changed};
use super::owner::end_device;
use super::release::release_phones;
use super::{Auth, Error};
use crate::domain::account::{Account, Email, check_new_password};
use crate::domain::ids::{AccountId, DeviceId};
use crate::domain::secret::Password;
use crate::store::{Tx, accounts, devices, factors, pairings, sessions, tickets, totp, trusts};

/// Which account a command means.
#[derive(Clone, Debug)]
pub(crate) struct AccountFilter {
    pub(crate) kind: String,
    pub(crate) email: String,
}

/// A change that takes no argument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// Stops the account, at once and everywhere: every session ends, those of its phones too.
    Disable,
    /// Starts it again.
    Enable,
    /// Ends a block after wrong second factors and forgets the failures.
    Unlock,
    /// Takes all second factors and approving phones away.
    ResetFactors,
}

impl Auth {
    /// The account that a command means.
    ///
    /// # Errors
    /// `NotFound`.
    pub(crate) async fn find_account(&self, filter: &AccountFilter) -> Result<Account, Error> {
        let email = Email::parse(&filter.email).ok_or(Error::NotFound)?;
        let kind = filter.kind.clone();
        let found = self
            .store
            .read(move |tx| Box::pin(async move { accounts::by_email(tx, &kind, &email).await }))
            .await?;
        found.ok_or(Error::NotFound)
    }

    /// All accounts with their methods, by kind and address.
    pub(crate) async fn list_accounts(
        &self,
    ) -> Result<Vec<(Account, Vec<crate::domain::factor::Method>)>, Error> {
        let unit = async |tx: &mut Tx| {
            let mut all = Vec::new();
            for account in accounts::list(tx).await? {
                let methods = factors::methods(tx, account.id).await?;
                all.push((account, methods));
            }
            Ok(all)
        };
        Ok(self.store.read(move |tx| Box::pin(async move { unit(tx).await })).await?)
    }

    /// Changes an account.
    pub(crate) async fn change_account(&self, account: AccountId, change: Change) -> Result<(), Error> {
        let now = self.now();
        let until = now.plus(self.config.session.ttl);
        let unit = async move |tx: &mut Tx| {
            accounts::lock(tx, account).await?;
            let event = match change {
                Change::Disable => {
                    accounts::set_disabled(tx, account, true, now).await?;
                    sessions::revoke_all(tx, account, now).await?;
                    pairings::drop_asks(tx, account, now).await?;
                    tickets::kill(tx, account, now).await?;
                    "account.disable"
                }
                Change::Enable => {
                    accounts::set_disabled(tx, account, false, now).await?;
                    "account.enable"
                }
                Change::Unlock => {
                    accounts::set_block(tx, account, None).await?;
                    factors::forget_failures(tx, account).await?;
                    "account.unlock"
                }
                Change::ResetFactors => {
                    release_phones(tx, account, now, until).await?;
                    factors::turn_all_off(tx, account).await?;
                    totp::forget(tx, account).await?;
                    trusts::revoke_all(tx, account).await?;
                    accounts::set_block(tx, account, None).await?;
                    factors::forget_failures(tx, account).await?;
                    "account.reset_factors"
                }
            };
            changed(tx, event, account, None, OPERATOR, now).await
        };
        Ok(self.store.write(move |tx| Box::pin(async move { unit(tx).await })).await?)
    }

    /// Sets a password and ends what hung on the old one. Approving phones stay: they are the second factor.
    ///
    /// # Errors
    /// `Weak`.
    pub(crate) async fn set_password(&self, account: &Account, new: Password) -> Result<(), Error> {
        check_new_password(&new, &account.email, crate::crypto::password::is_common).map_err(Error::Weak)?;
        let hash = self.passwords.hash(new).await?;
        let (account, now) = (account.id, self.now());
        let unit = async move |tx: &mut Tx| {
            accounts::lock(tx, account).await?;
            accounts::set_password(tx, account, &hash, now).await?;
            sessions::revoke_logins(tx, account, now).await?;
            pairings::drop_asks(tx, account, now).await?;
            tickets::kill(tx, account, now).await?;
            trusts::revoke_all(tx, account).await?;
            changed(tx, "password.set", account, None, OPERATOR, now).await
        };
        Ok(self.store.write(move |tx| Box::pin(async move { unit(tx).await })).await?)
    }

    /// Ends a device, whoever has it.
    ///
    /// # Errors
    /// `NotFound`.
    pub(crate) async fn end_device(&self, account: AccountId, device: DeviceId) -> Result<(), Error> {
        let now = self.now();
        let unit = async move |tx: &mut Tx| {
            accounts::lock(tx, account).await?;
            end_device(tx, account, device, OPERATOR, now).await
        };
        self.store.write(move |tx| Box::pin(async move { unit(tx).await })).await?
    }

    /// Whose device this is.
    ///
    /// # Errors
    /// `NotFound`.
    pub(crate) async fn device_owner(&self, device: DeviceId) -> Result<AccountId, Error> {
        self.store.read(move |tx| Box::pin(devices::owner(tx, device))).await?.ok_or(Error::NotFound)
    }
}
