//! Turning mailed codes and authenticator apps on and off, from inside of a session.

use std::net::IpAddr;

use zeroize::Zeroizing;

use super::backup_codes::{CodeForm, fresh_codes};
use super::bearer::{Demand, Owner, freshen};
use super::change::changed;
use super::mailed_code::{self, Purpose, Tried};
use super::release::{all_off, release_phones};
use super::reseal::storing;
use super::second_factor::SecondFactor;
use super::{Auth, Error, first_proof};
use crate::crypto::seals::{Fresh, TOTP};
use crate::crypto::totp::TotpSecret;
use crate::domain::factor::Method;
use crate::domain::secret::{BackupCode, OneTimeCode, Password, SessionToken};
use crate::mail::{self, Letter};
use crate::store::sessions::Live;
use crate::store::totp::{self, Which};
use crate::store::{self, Tx, accounts, factors, sessions};

/// What is asked of the session before a factor changes, and where the request comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Consent<'a> {
    /// The password again; without it a proof of the last five minutes is enough.
    pub(crate) password: Option<&'a Password>,
    pub(crate) source: IpAddr,
}

/// An authenticator app that is being set up; what is in it is shown once.
#[derive(Debug)]
pub(crate) struct Enrolment {
    /// Base32, to be typed.
    pub(crate) secret: Zeroizing<String>,
    /// To be shown as a QR code.
    pub(crate) uri: Zeroizing<String>,
    /// Ten codes that count once the app is proven, if there was a place for them.
    pub(crate) backup_codes: Vec<BackupCode>,
}

/// What a change of factors left behind.
#[derive(Debug)]
pub(crate) struct Changed {
    pub(crate) methods: Vec<Method>,
    /// Ten codes, when this was the account's first method and there was a place for them.
    pub(crate) backup_codes: Option<Vec<BackupCode>>,
}

impl Auth {
    /// Turns mailed codes on; the surface has proven as much as it wants.
    ///
    /// # Errors
    /// `StaleProof`.
    pub(crate) async fn enable_email(
        &self,
        live: &Live,
        with_codes: bool,
        rotate: Option<&SessionToken>,
        consent: Consent<'_>,
    ) -> Result<Changed, Error> {
        let codes = fresh_codes(CodeForm::Plain);
        let hashes = self.hashes(live, &codes);
        let rotate = rotate.map(hash_of);
        let limit = self.config.lock_policy().disable_after;
        let unit = async move |tx: &mut Tx, owner: Owner| {
            let is_first = !has_method(tx, &owner.live).await?;
            turn_mail_on_unproven(tx, &owner, limit).await?;
            let makes_codes = with_codes && is_first;
            if makes_codes {
                factors::replace_codes(tx, owner.live.account, &hashes, owner.now).await?;
            }
            rotate_session(tx, &owner, rotate).await?;
            let methods = factors::methods(tx, owner.live.account).await?;
            Ok(Ok((methods, makes_codes)))
        };
        let (methods, makes_codes) = self
            .as_owner(live, Demand::Fresh(consent.password), consent.source, move |tx, owner| {
                Box::pin(async move { unit(tx, owner).await })
            })
            .await?;
        Ok(Changed { methods, backup_codes: makes_codes.then_some(codes) })
    }

    /// Turns mailed codes on by a code that was mailed for it.
    ///
    /// # Errors
    /// `EmailEnabled`, `InvalidCode`, `CodeExpired`, `TooManyTries`.
    pub(crate) async fn enable_email_by_code(
        &self,
        live: &Live,
        code: OneTimeCode,
        consent: Consent<'_>,
    ) -> Result<(), Error> {
        let factor = self.second_factor(consent.source);
        let unit = async move |tx: &mut Tx, owner: Owner| {
            let account = owner.live.account;
            if has_method(tx, &owner.live).await? {
                return Ok(Err(Error::EmailEnabled));
            }
            let Some(stored) = accounts::by_id(tx, account).await? else {
                return Ok(Err(Error::NotAuthenticated));
            };
            let whose = (Purpose::Enable, &stored);
            match mailed_code::attempt(tx, &factor.root, whose, &code, true, owner.now).await? {
                Tried::Right => {}
                Tried::Wrong | Tried::UsedBefore => return Ok(Err(Error::InvalidCode)),
                Tried::TooMany => return Ok(Err(Error::TooManyTries)),
                Tried::NoCode => return Ok(Err(Error::CodeExpired)),
            }
            if let Some(account) = accounts::by_id(tx, account).await? {
                first_proof::with_password(tx, &account, &owner.source, owner.now).await?;
            }
            freshen(tx, &owner, &[], Some(Method::Email)).await?;
            turn_on(tx, &owner, Method::Email).await?;
            Ok(Ok(()))
        };
        self.as_owner(live, Demand::Fresh(consent.password), consent.source, move |tx, owner| {
            Box::pin(async move { unit(tx, owner).await })
        })
        .await
    }

    /// Begins to set an authenticator app up; nothing is on before [`Auth::confirm_totp`].
    ///
    /// # Errors
    /// `StaleProof`; `TotpEnabled` when one is on and `replace` is not wanted.
    pub(crate) async fn begin_totp(
        &self,
        live: &Live,
        issuer: Option<&str>,
        codes: Option<CodeForm>,
        replace: bool,
        consent: Consent<'_>,
    ) -> Result<Enrolment, Error> {
        let secret = TotpSecret::generate();
        let backup_codes = codes.map(fresh_codes).unwrap_or_default();
        let hashes = self.hashes(live, &backup_codes);
        let attempt = |fresh: Fresh| {
            let hashes = hashes.clone();
            let unit = async move |tx: &mut Tx, owner: Owner| {
                let account = owner.live.account;
                if !store::seals::check(tx, fresh.under).await? {
                    return Ok(Ok(None));
                }
                if !replace && factors::methods(tx, account).await?.contains(&Method::Authenticator) {
                    return Ok(Err(Error::TotpEnabled));
                }
                totp::begin(tx, account, &fresh.sealed, owner.now).await?;
                factors::prepare_codes(tx, account, &hashes, owner.now).await?;
                Ok(Ok(Some(())))
            };
            self.as_owner(live, Demand::Fresh(consent.password), consent.source, move |tx, owner| {
                Box::pin(async move { unit(tx, owner).await })
            })
        };
        storing(&self.store, &self.seals, TOTP, secret.as_bytes(), attempt).await?;
        let uri = secret.uri(issuer.unwrap_or(&self.config.two_factor.issuer), &live.email);
        Ok(Enrolment { secret: secret.base32(), uri, backup_codes })
    }

    /// Puts the app that is being set up in force by its first code. With `and_email` mailed codes come on too.
    ///
    /// # Errors
    /// `StaleProof`; `TotpNotEnabled` when none is being set up; `InvalidTotp`.
    pub(crate) async fn confirm_totp(
        &self,
        live: &Live,
        code: OneTimeCode,
        consent: Consent<'_>,
    ) -> Result<Vec<Method>, Error> {
        let factor = self.second_factor(consent.source);
        let unit = async move |tx: &mut Tx, owner: Owner| {
            let done = put_in_force(tx, &factor, &owner, &code).await?;
            if let Err(refused) = done {
                return Ok(Err(refused));
            }
            Ok(Ok(factors::methods(tx, owner.live.account).await?))
        };
        self.as_owner(live, Demand::Fresh(consent.password), consent.source, move |tx, owner| {
            Box::pin(async move { unit(tx, owner).await })
        })
        .await
    }

    /// The key URI of the app that is being set up, or else of the one that is on.
    ///
    /// # Errors
    /// `BadCredentials` for a wrong password; `TotpNotEnabled` when there is none.
    pub(crate) async fn totp_uri(
        &self,
        live: &Live,
        password: &Password,
        source: IpAddr,
    ) -> Result<Zeroizing<String>, Error> {
        let factor = self.second_factor(source);
        let unit = async move |tx: &mut Tx, owner: Owner| {
            let account = owner.live.account;
            let secret = match factor.totp_secret(tx, account, Which::Pending).await? {
                Some(pending) => Some(pending),
                None => factor.totp_secret(tx, account, Which::InForce).await?,
            };
            let Some(secret) = secret else { return Ok(Err(Error::TotpNotEnabled)) };
            changed(tx, "totp.shown", account, None, &owner.source, owner.now).await?;
            Ok(Ok(secret))
        };
        let secret = self
            .as_owner(live, Demand::Fresh(Some(password)), source, move |tx, owner| {
                Box::pin(async move { unit(tx, owner).await })
            })
            .await?;
        Ok(secret.uri(&self.config.two_factor.issuer, &live.email))
    }

    /// Turns every second factor off, phones too.
    ///
    /// # Errors
    /// `BadCredentials` for a wrong password.
    pub(crate) async fn disable_two_factor(
        &self,
        live: &Live,
        password: &Password,
        rotate: &SessionToken,
        source: IpAddr,
    ) -> Result<(), Error> {
        let (ttl, rotate) = (self.config.session.ttl, Some(hash_of(rotate)));
        let unit = async move |tx: &mut Tx, owner: Owner| {
            let Owner { live, source, now } = &owner;
            release_phones(tx, live.account, *now, now.plus(ttl)).await?;
            all_off(tx, live).await?;
            sessions::revoke_others(tx, live.account, live.id, *now).await?;
            rotate_session(tx, &owner, rotate).await?;
            changed(tx, "factor.all_off", live.account, None, source, *now).await?;
            mail::notify(tx, live.account, Letter::TwoFactorOff { source }, *now).await?;
            Ok(Ok(()))
        };
        self.as_owner(live, Demand::Fresh(Some(password)), source, move |tx, owner| {
            Box::pin(async move { unit(tx, owner).await })
        })
        .await
    }
}

/// Proves the app that is being set up and puts it in force, with the backup codes that were shown with it.
pub(super) async fn put_in_force(
    tx: &mut Tx,
    factor: &SecondFactor,
    owner: &Owner,
    code: &OneTimeCode,
) -> Result<Result<(), Error>, store::Error> {
    let account = owner.live.account;
    if totp::secret(tx, account, Which::Pending).await?.is_none() {
        return Ok(Err(Error::TotpNotEnabled));
    }
    let methods = factors::methods(tx, account).await?;
    let Some(stored) = accounts::by_id(tx, account).await? else { return Ok(Err(Error::NotAuthenticated)) };
    if let Some(left) = stored.block_left(owner.now) {
        return Ok(Err(Error::Locked(left)));
    }
    let Some(step) = factor.step_of(tx, account, Which::Pending, code).await? else {
        // Not even a secret that is not in force yet is there to be guessed at.
        factor.count_failure(tx, &stored, Method::Authenticator).await?;
        return Ok(Err(Error::InvalidTotp));
    };
    totp::promote(tx, account, step).await?;
    factors::promote_codes(tx, account, owner.now).await?;
    freshen(tx, owner, &methods, None).await?;
    turn_on(tx, owner, Method::Authenticator).await?;
    Ok(Ok(()))
}

/// Turns a method on that was just proven, ends the other sessions and tells the owner.
pub(super) async fn turn_on(tx: &mut Tx, owner: &Owner, method: Method) -> Result<(), store::Error> {
    let is_new = !factors::methods(tx, owner.live.account).await?.contains(&method);
    factors::turn_on(tx, owner.live.account, method, owner.now).await?;
    tell_of_method(tx, owner, method, is_new).await
}

/// The same for mailed codes that no code has proven; `limit` failures end the method.
async fn turn_mail_on_unproven(tx: &mut Tx, owner: &Owner, limit: u32) -> Result<(), store::Error> {
    let (account, method) = (owner.live.account, Method::Email);
    let is_new = !factors::methods(tx, account).await?.contains(&method);
    factors::turn_on_unproven(tx, account, method, limit, owner.now).await?;
    tell_of_method(tx, owner, method, is_new).await
}

async fn tell_of_method(
    tx: &mut Tx,
    owner: &Owner,
    method: Method,
    is_new: bool,
) -> Result<(), store::Error> {
    let Owner { live, source, now } = owner;
    sessions::revoke_others(tx, live.account, live.id, *now).await?;
    changed(tx, "factor.on", live.account, None, source, *now).await?;
    if is_new || method == Method::Authenticator {
        mail::notify(tx, live.account, Letter::FactorAdded { method, source }, *now).await?;
    }
    Ok(())
}

/// Lets a cookie session be known by a new token from now on.
pub(super) async fn rotate_session(
    tx: &mut Tx,
    owner: &Owner,
    token: Option<[u8; 32]>,
) -> Result<(), store::Error> {
    match token {
        Some(token) => sessions::set_token(tx, owner.live.id, &token).await,
        None => Ok(()),
    }
}

pub(super) fn hash_of(token: &SessionToken) -> [u8; 32] {
    crate::crypto::seal::digest(token.expose().as_bytes())
}

async fn has_method(tx: &mut Tx, live: &Live) -> Result<bool, store::Error> {
    Ok(factors::methods(tx, live.account).await?.iter().any(|method| method.turns_on()))
}
