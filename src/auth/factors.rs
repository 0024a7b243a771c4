//! Turning second factors on and off: approving phones and backup codes.

use std::net::IpAddr;

use super::backup_codes::{CodeForm, fresh_codes};
use super::bearer::{Demand, Owner};
use super::change::changed;
use super::release::{all_off, release_phones};
use super::{Auth, Error, backup_codes};
use crate::domain::claims::OWN_CLIENT;
use crate::domain::factor::Method;
use crate::domain::ids::DeviceId;
use crate::domain::secret::{AccessToken, BackupCode, Password};
use crate::mail::{self, Letter};
use crate::store::sessions::Live;
use crate::store::{Tx, devices, factors, sessions, tickets, totp};

/// What is on for an account.
#[derive(Clone, Debug)]
pub(crate) struct DoubleAuth {
    pub(crate) account: uuid::Uuid,
    pub(crate) methods: Vec<Method>,
    /// The approving devices, oldest first.
    pub(crate) approving: Vec<DeviceId>,
    pub(crate) backup_codes_left: u64,
}

/// A phone that became an approving device.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) methods: Vec<Method>,
    /// Ten codes, when this was the account's first method; never shown again.
    pub(crate) backup_codes: Option<Vec<BackupCode>>,
    /// For the session that asked.
    pub(crate) token: AccessToken,
}

impl Auth {
    /// What is on for the session's account.
    pub(crate) async fn double_auth(&self, live: &Live) -> Result<DoubleAuth, Error> {
        let (account, uuid, now) = (live.account, live.account_uuid, self.now());
        let limit = self.config.lock_policy().disable_after;
        let unit = async move |tx: &mut Tx| {
            let mut methods = factors::methods(tx, account).await?;
            let worn_out = factors::worn_out(tx, account, limit).await?;
            methods.retain(|method| !worn_out.contains(method));
            let devices = devices::list(tx, account, now).await?;
            let approving =
                devices.iter().filter(|device| device.approving).map(|device| device.id).collect();
            let backup_codes_left = factors::codes_left(tx, account).await?;
            Ok(DoubleAuth { account: uuid, methods, approving, backup_codes_left })
        };
        Ok(self.store.read(move |tx| Box::pin(async move { unit(tx).await })).await?)
    }

    /// Makes a device of the account an approving one and turns MOBILE on. With the first method come ten backup codes,
    /// if the caller has a place for them.
    ///
    /// # Errors
    /// `StaleProof`; `UnknownDevice` for a device that the account does not have, or has with another client.
    pub(crate) async fn bind_phone(
        &self,
        live: &Live,
        device: DeviceId,
        with_codes: bool,
        password: Option<&Password>,
        source: IpAddr,
    ) -> Result<Bound, Error> {
        let codes = fresh_codes(CodeForm::Plain);
        let hashes = self.hashes(live, &codes);
        let (ttl, longest) = (self.config.device.session_ttl, self.longest());
        let unit = async move |tx: &mut Tx, owner: Owner| {
            let Owner { live, source, now } = owner;
            // A device of another client approves nothing: that client would answer asks in the owner's name.
            if !devices::approve(tx, live.account, device, OWN_CLIENT, now).await? {
                return Ok(Err(Error::UnknownDevice));
            }
            let had_one = factors::methods(tx, live.account).await?.iter().any(|method| method.turns_on());
            factors::turn_on(tx, live.account, Method::Mobile, now).await?;
            let makes_codes = with_codes && !had_one;
            if makes_codes {
                factors::replace_codes(tx, live.account, &hashes, now).await?;
            }
            sessions::set_end(tx, device, now.plus(ttl), longest).await?;
            sessions::revoke_others(tx, live.account, live.id, now).await?;
            changed(tx, "factor.on", live.account, Some(device), &source, now).await?;
            let name = devices::name(tx, device).await?;
            mail::notify(tx, live.account, Letter::PhoneAdded { device: &name, source: &source }, now)
                .await?;
            let methods = factors::methods(tx, live.account).await?;
            Ok(Ok((methods, makes_codes)))
        };
        let demand = Demand::Fresh(password);
        let (methods, makes_codes) = self
            .as_owner(live, demand, source, move |tx, owner| Box::pin(async move { unit(tx, owner).await }))
            .await?;
        let token = self.renew(live.id).await?;
        Ok(Bound { methods, backup_codes: makes_codes.then_some(codes), token })
    }

    /// Stops a device from approving; it stays logged in like any other.
    ///
    /// # Errors
    /// `StaleProof`; `UnknownDevice`.
    pub(crate) async fn unbind_phone(
        &self,
        live: &Live,
        device: DeviceId,
        password: Option<&Password>,
        source: IpAddr,
    ) -> Result<(), Error> {
        let ttl = self.config.session.ttl;
        let unit = async move |tx: &mut Tx, owner: Owner| {
            let Owner { live, source, now } = owner;
            if !devices::stop_approving(tx, live.account, device).await? {
                return Ok(Err(Error::UnknownDevice));
            }
            sessions::shorten(tx, device, now.plus(ttl)).await?;
            tickets::kill_of_device(tx, device, now).await?;
            sessions::revoke_others(tx, live.account, live.id, now).await?;
            changed(tx, "device.stop_approving", live.account, Some(device), &source, now).await?;
            let name = devices::name(tx, device).await?;
            mail::notify(tx, live.account, Letter::PhoneRemoved { device: &name, source: &source }, now)
                .await?;
            Ok(Ok(()))
        };
        let demand = Demand::Fresh(password);
        self.as_owner(live, demand, source, move |tx, owner| Box::pin(async move { unit(tx, owner).await }))
            .await
    }

    /// Turns a method off. Without the last one that counts, everything is off.
    ///
    /// # Errors
    /// `StaleProof`; `NoMethod` when it is not on.
    pub(crate) async fn remove_method(
        &self,
        live: &Live,
        method: Method,
        password: Option<&Password>,
        source: IpAddr,
    ) -> Result<(), Error> {
        let ttl = self.config.session.ttl;
        let unit = async move |tx: &mut Tx, owner: Owner| {
            let Owner { live, source, now } = owner;
            if !factors::turn_off(tx, live.account, method).await? {
                return Ok(Err(Error::NoMethod));
            }
            match method {
                Method::Mobile => release_phones(tx, live.account, now, now.plus(ttl)).await?,
                Method::BackupCode => factors::clear_codes(tx, live.account).await?,
                Method::Authenticator => totp::forget(tx, live.account).await?,
                Method::Email => {}
            }
            if !factors::methods(tx, live.account).await?.iter().any(|left| left.turns_on()) {
                all_off(tx, &live).await?;
            }
            sessions::revoke_others(tx, live.account, live.id, now).await?;
            changed(tx, "factor.off", live.account, None, &source, now).await?;
            mail::notify(tx, live.account, Letter::FactorRemoved { method, source: &source }, now).await?;
            Ok(Ok(()))
        };
        let demand = Demand::Fresh(password);
        self.as_owner(live, demand, source, move |tx, owner| Box::pin(async move { unit(tx, owner).await }))
            .await
    }

    /// Replaces all backup codes by ten new ones.
    ///
    /// # Errors
    /// `StaleProof`; `NoMethod` while no second factor is on.
    pub(crate) async fn new_backup_codes(
        &self,
        live: &Live,
        form: CodeForm,
        password: Option<&Password>,
        source: IpAddr,
    ) -> Result<Vec<BackupCode>, Error> {
        let codes = fresh_codes(form);
        let hashes = self.hashes(live, &codes);
        let unit = async move |tx: &mut Tx, owner: Owner| {
            let Owner { live, source, now } = owner;
            if !factors::methods(tx, live.account).await?.iter().any(|method| method.turns_on()) {
                return Ok(Err(Error::NoMethod));
            }
            factors::replace_codes(tx, live.account, &hashes, now).await?;
            sessions::revoke_others(tx, live.account, live.id, now).await?;
            changed(tx, "backup_codes.new", live.account, None, &source, now).await?;
            mail::notify(tx, live.account, Letter::CodesReplaced { source: &source }, now).await?;
            Ok(Ok(()))
        };
        let demand = Demand::Fresh(password);
        self.as_owner(live, demand, source, move |tx, owner| Box::pin(async move { unit(tx, owner).await }))
            .await?;
        Ok(codes)
    }

    pub(super) fn hashes(&self, live: &Live, codes: &[BackupCode]) -> Vec<[u8; 32]> {
        codes.iter().map(|code| backup_codes::hash_of(&self.root, live.account_uuid, code)).collect()
    }
}
