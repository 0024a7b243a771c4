//! What an owner does with the own account: devices, password, removal.

use std::net::IpAddr;

use super::bearer::{Demand, Owner};
use super::change::changed;
use super::{Auth, Error, removal};
use crate::domain::account::{Email, check_new_password};
use crate::domain::device::Device;
use crate::domain::ids::{AccountId, DeviceId, SessionId};
use crate::domain::secret::{Password, RefreshToken};
use crate::domain::time::Timestamp;
use crate::mail::{self, Letter};
use crate::store::sessions::{Listed, Live};
use crate::store::{self, Tx, accounts, devices, pairings, refresh, sessions, tickets, trusts};

impl Auth {
    /// The devices that are logged in, oldest first.
    pub(crate) async fn devices(&self, account: AccountId) -> Result<Vec<Device>, Error> {
        let now = self.now();
        Ok(self.store.read(move |tx| Box::pin(devices::list(tx, account, now))).await?)
    }

    /// Ends a device of the account: its sessions, and its right to approve.
    ///
    /// # Errors
    /// `NotFound` when the account has no such device; `StaleProof` for another one that may approve.
    pub(crate) async fn revoke_device(
        &self,
        live: &Live,
        device: DeviceId,
        password: Option<&Password>,
        source: IpAddr,
    ) -> Result<(), Error> {
        let unit = async move |tx: &mut Tx, owner: Owner| end_own_device(tx, &owner, device).await;
        let demand = Demand::session_with(password).unless_leaving(live, device == live.device);
        self.as_owner(live, demand, source, move |tx, owner| Box::pin(async move { unit(tx, owner).await }))
            .await
    }

    /// Ends the session, or with `all` every session of the account. An approving phone that logs out stops approving
    /// with it; the others stay.
    ///
    /// A refresh token of another session of the account ends that one as well; any other token is nothing.
    ///
    /// # Errors
    /// `StaleProof` when that other session is on a device that may approve.
    pub(crate) async fn log_out(
        &self,
        live: &Live,
        all: bool,
        other: Option<&RefreshToken>,
        password: Option<&Password>,
        source: IpAddr,
    ) -> Result<(), Error> {
        let other = other.map(super::refresh::hash);
        let unit = async move |tx: &mut Tx, owner: Owner| {
            let Owner { live, source, now } = &owner;
            let now = *now;
            if let Some(kept) = match &other {
                Some(hash) => refresh::find(tx, hash).await?,
                None => None,
            } {
                let other = sessions::live(tx, kept.session, now).await?;
                // A token of another client ends its own session and no other.
                let is_own = |other: &Live| other.account == live.account && live.must_manage().is_ok();
                if let Some(other) = other.filter(|other| is_own(other) && other.id != live.id)
                    && let Err(refused) = end_session(tx, &owner, &other).await?
                {
                    return Ok(Err(refused));
                }
            }
            if all {
                sessions::revoke_logins(tx, live.account, now).await?;
                changed(tx, "session.revoke_all", live.account, None, source, now).await?;
            }
            end_own_device(tx, &owner, live.device).await
        };
        let demand = Demand::session_with(password).unless_leaving(live, !all);
        self.as_owner(live, demand, source, move |tx, owner| Box::pin(async move { unit(tx, owner).await }))
            .await
    }

    /// The account's live sessions on every surface, oldest first.
    pub(crate) async fn sessions(&self, account: AccountId) -> Result<Vec<Listed>, Error> {
        let now = self.now();
        Ok(self.store.read(move |tx| Box::pin(sessions::list(tx, account, now))).await?)
    }

    /// Ends a session of the account, and its device unless that has another one.
    ///
    /// # Errors
    /// `NotFound` when the account has no such session; `StaleProof` for one of another device that may approve.
    pub(crate) async fn revoke_session(
        &self,
        live: &Live,
        session: SessionId,
        password: Option<&Password>,
        source: IpAddr,
    ) -> Result<(), Error> {
        let unit = async move |tx: &mut Tx, owner: Owner| {
            let found = sessions::live(tx, session, owner.now).await?;
            match found.filter(|found| found.account == owner.live.account) {
                Some(found) => end_session(tx, &owner, &found).await,
                None => Ok(Err(Error::NotFound)),
            }
        };
        let demand = Demand::session_with(password).unless_leaving(live, session == live.id);
        self.as_owner(live, demand, source, move |tx, owner| Box::pin(async move { unit(tx, owner).await }))
            .await
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
        let address = Email::parse(&live.email).ok_or_else(|| Error::internal("a damaged address"))?;
        check_new_password(&new, &address, crate::crypto::password::is_common).map_err(Error::Weak)?;
        // Hashing is slow: it is done for nobody who has not proven the old one.
        let proof = self.prove(live, Demand::Fresh(Some(old)), source).await?;
        let hash = self.passwords.hash(new).await?;
        let unit = async move |tx: &mut Tx, owner: Owner| {
            let Owner { live, source, now } = owner;
            accounts::set_password(tx, live.account, &hash, now).await?;
            sessions::revoke_others(tx, live.account, live.id, now).await?;
            pairings::drop_asks(tx, live.account, now).await?;
            tickets::kill(tx, live.account, now).await?;
            trusts::revoke_all(tx, live.account).await?;
            changed(tx, "password.change", live.account, None, &source, now).await?;
            mail::notify(tx, live.account, Letter::PasswordChanged { source: &source }, now).await?;
            Ok(Ok(()))
        };
        self.as_proven(live, proof, source, move |tx, owner| Box::pin(async move { unit(tx, owner).await }))
            .await
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
        let unit = async move |tx: &mut Tx, owner: Owner| {
            let Owner { live, source, now } = owner;
            if let Some(account) = accounts::by_id(tx, live.account).await? {
                removal::remove(tx, &account, &source, now).await?;
            }
            Ok(Ok(()))
        };
        let demand = Demand::Fresh(password);
        self.as_owner(live, demand, source, move |tx, owner| Box::pin(async move { unit(tx, owner).await }))
            .await?;
        let email = Email::parse(&live.email).ok_or_else(|| Error::internal("a damaged address"))?;
        self.forget_address(email).await
    }
}

/// Ends a session of the owner's account, and its device with all that hangs on it unless another session is on it.
///
/// # Errors
/// `StaleProof`, and nothing is changed, when the session is on another device that may approve.
async fn end_session(tx: &mut Tx, owner: &Owner, session: &Live) -> Result<Result<(), Error>, store::Error> {
    if session.approving && !may_end_approving(owner, session.device) {
        return Ok(Err(Error::StaleProof));
    }
    let (source, now) = (&owner.source, owner.now);
    sessions::revoke(tx, session.id, now).await?;
    if !sessions::device_has_one(tx, session.device, now).await? {
        return end_own_device(tx, owner, session.device).await;
    }
    changed(tx, "session.revoke", session.account, Some(session.device), source, now).await?;
    Ok(Ok(()))
}

/// Ends a device of the owner's account. One that may approve is a factor: ending another one needs a fresh proof and
/// ends the other sessions; its own device may always end, and in both cases the owner gets a letter.
///
/// # Errors
/// `NotFound`; `StaleProof`, and nothing is changed.
async fn end_own_device(
    tx: &mut Tx,
    owner: &Owner,
    device: DeviceId,
) -> Result<Result<(), Error>, store::Error> {
    let Owner { live, source, now } = owner;
    if !devices::may_approve(tx, live.account, device).await? {
        return end_device(tx, live.account, device, source, *now).await;
    }
    if !may_end_approving(owner, device) {
        return Ok(Err(Error::StaleProof));
    }
    if let Err(refused) = end_device(tx, live.account, device, source, *now).await? {
        return Ok(Err(refused));
    }
    if device != live.device {
        sessions::revoke_others(tx, live.account, live.id, *now).await?;
    }
    let name = devices::name(tx, device).await?;
    let letter = Letter::PhoneRemoved { device: &name, source };
    mail::notify(tx, live.account, letter, *now).await?;
    Ok(Ok(()))
}

/// Whether the owner may end this device, which may approve.
fn may_end_approving(owner: &Owner, device: DeviceId) -> bool {
    device == owner.live.device || owner.live.is_fresh(owner.now)
}

/// Ends a device with all that hangs on it.
///
/// # Errors
/// `NotFound` when the account has no such device.
pub(super) async fn end_device(
    tx: &mut Tx,
    account: AccountId,
    device: DeviceId,
    source: &str,
    now: Timestamp,
) -> Result<Result<(), Error>, store::Error> {
    if !devices::revoke(tx, account, device, now).await? {
        return Ok(Err(Error::NotFound));
    }
    sessions::revoke_device(tx, device, now).await?;
    tickets::kill_of_device(tx, device, now).await?;
    changed(tx, "device.revoke", account, Some(device), source, now).await?;
    Ok(Ok(()))
}
