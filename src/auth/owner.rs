//! What an owner does with the own account: devices, password, removal.

use std::net::IpAddr;

use super::factors::changed;
use super::{Auth, Error};
use crate::domain::account::check_new_password;
use crate::domain::device::Device;
use crate::domain::ids::{AccountId, DeviceId};
use crate::domain::secret::Password;
use crate::mail::{self, Letter};
use crate::store::sessions::Live;
use crate::store::{Tx, accounts, devices, pairings, sessions, tickets};

impl Auth {
    /// The devices that are logged in, oldest first.
    pub(crate) async fn devices(&self, account: AccountId) -> Result<Vec<Device>, Error> {
        let now = self.now();
        Ok(self.store.read(move |tx| Box::pin(devices::list(tx, account, now))).await?)
    }

    /// Ends a device of the account: its sessions, and its right to approve.
    ///
    /// # Errors
    /// `NotFound` when the account has no such device.
    pub(crate) async fn revoke_device(
        &self,
        account: AccountId,
        device: DeviceId,
        source: &str,
    ) -> Result<(), Error> {
        let (now, source) = (self.now(), source.to_owned());
        let unit = async move |tx: &mut Tx| {
            accounts::lock(tx, account).await?;
            if !devices::revoke(tx, account, device, now).await? {
                return Ok(Err(Error::NotFound));
            }
            sessions::revoke_device(tx, device, now).await?;
            tickets::kill_of_device(tx, device, now).await?;
            changed(tx, "device.revoke", account, Some(device), &source, now).await?;
            Ok(Ok(()))
        };
        self.store.write(move |tx| Box::pin(async move { unit(tx).await })).await?
    }

    /// Ends the session. An approving phone that logs out stops approving with it.
    pub(crate) async fn log_out(&self, live: &Live, source: IpAddr) -> Result<(), Error> {
        self.revoke_device(live.account, live.device, &source.to_string()).await
    }

    /// Changes the password and ends what hung on the old one: other sessions, pending asks, unused tickets.
    ///
    /// # Errors
    /// `BadCredentials` for a wrong old password; `Weak`.
    pub(crate) async fn change_password(
        &self,
        live: &Live,
        old: &Password,
        new: Password,
        source: IpAddr,
    ) -> Result<(), Error> {
        let account = self.prove_own_password(live.account, old, source).await?;
        check_new_password(&new, &account.email, crate::crypto::password::is_common).map_err(Error::Weak)?;
        let hash = self.passwords.hash(new).await?;
        let (email, source) = (live.email.clone(), source.to_string());
        let (account, session, now) = (live.account, live.id, self.now());
        let unit = async move |tx: &mut Tx| {
            accounts::lock(tx, account).await?;
            accounts::set_password(tx, account, &hash, now).await?;
            sessions::revoke_others(tx, account, session, now).await?;
            sessions::prove(tx, session, now).await?;
            pairings::drop_asks(tx, account, now).await?;
            tickets::kill(tx, account, now).await?;
            changed(tx, "password.change", account, None, &source, now).await?;
            mail::post(tx, Letter::PasswordChanged { source: &source }, &email, now).await
        };
        self.store.write(move |tx| Box::pin(async move { unit(tx).await })).await?;
        self.courier.ring();
        Ok(())
    }

    /// Removes the account and everything kept about it.
    ///
    /// # Errors
    /// `StaleProof`.
    pub(crate) async fn remove_account(
        &self,
        live: &Live,
        password: Option<&Password>,
        source: IpAddr,
    ) -> Result<(), Error> {
        self.demand_fresh(live, password, source).await?;
        let (account, now, source) = (live.account, self.now(), source.to_string());
        let unit = async move |tx: &mut Tx| {
            accounts::lock(tx, account).await?;
            changed(tx, "account.remove", account, None, &source, now).await?;
            accounts::remove(tx, account).await
        };
        Ok(self.store.write(move |tx| Box::pin(async move { unit(tx).await })).await?)
    }
}
