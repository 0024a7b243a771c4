//! Cookie sessions and sign-ins under way: their tokens, how they are renewed, and what a code proves inside of them.

use std::net::IpAddr;
use std::time::Duration;

use super::bearer::{Demand, Owner, freshen};
use super::enrol::{hash_of, put_in_force, rotate_session, turn_on};
use super::second_factor::SecondFactor;
use super::seen::Shown;
use super::{Auth, Error};
use crate::crypto::random;
use crate::crypto::seal::digest;
use crate::domain::account::Account;
use crate::domain::factor::Method;
use crate::domain::ids::AccountId;
use crate::domain::secret::{BackupCode, ChallengeToken, OneTimeCode, SessionToken};
use crate::store::challenges::{self, New};
use crate::store::lapse::Redeemable;
use crate::store::sessions::Live;
use crate::store::totp::{self, Which};
use crate::store::{self, Tx, accounts, devices, factors, sessions};

/// A session is renewed when it was not for so long (docs/protocol-http.md, "Cookies"), or for a seventh of its life.
const RENEW_EVERY: Duration = Duration::from_secs(86_400);

/// A code that is shown inside of a session.
#[derive(Clone, Debug)]
pub(crate) enum InSession {
    MailedCode(OneTimeCode),
    Totp(OneTimeCode),
    BackupCode(BackupCode),
}

impl InSession {
    fn method(&self) -> Method {
        match self {
            Self::MailedCode(_) => Method::Email,
            Self::Totp(_) => Method::Authenticator,
            Self::BackupCode(_) => Method::BackupCode,
        }
    }
}

impl Auth {
    /// Begins a sign-in whose password was just proven and whose second factor is awaited.
    pub(crate) async fn challenge(&self, account: &Account, remember: bool) -> Result<ChallengeToken, Error> {
        let token = ChallengeToken::new(random::alphanumeric(32));
        let (hash, account) = (digest(token.expose().as_bytes()), account.clone());
        let until = self.now().plus(self.config.two_factor.cookie_ttl);
        let unit = async move |tx: &mut Tx| {
            let (hash, account) = (&hash, &account);
            challenges::insert(tx, New { hash, account, remember, login_call: None, expires_at: until }).await
        };
        self.store.write(move |tx| Box::pin(async move { unit(tx).await })).await?;
        Ok(token)
    }

    /// Whose sign-in is under way.
    ///
    /// # Errors
    /// `InvalidChallenge` for one that is unknown, over, or was begun with another password.
    pub(crate) async fn challenged(&self, token: &ChallengeToken) -> Result<(Account, Vec<Method>), Error> {
        let (hash, now) = (digest(token.expose().as_bytes()), self.now());
        let unit = async move |tx: &mut Tx| {
            let Some(challenge) = challenges::live(tx, &hash, now).await? else { return Ok(None) };
            let mut methods = factors::methods(tx, challenge.account).await?;
            let account = accounts::by_id(tx, challenge.account).await?;
            let same =
                |a: &Account| a.password_version == challenge.password_version && a.disabled_at.is_none();
            let account = account.filter(same);
            methods.retain(|method| {
                *method != Method::Email || account.as_ref().is_none_or(|account| !account.mail_barred)
            });
            Ok(account.map(|account| (account, methods)))
        };
        let found = self.store.read(move |tx| Box::pin(async move { unit(tx).await })).await?;
        if found.is_none() {
            self.note_over(Redeemable::Challenge(hash), now).await?;
        }
        found.ok_or(Error::InvalidChallenge)
    }

    /// The live session of a cookie's token.
    pub(crate) async fn cookie_session(&self, token: &str) -> Result<Option<Live>, Error> {
        self.shown(Shown::Cookie(digest(token.as_bytes()))).await
    }

    /// Moves the end of a session on when it was not for a day; the session as it is then, if it was.
    pub(crate) async fn renew_session(&self, live: &Live, source: IpAddr) -> Result<Option<Live>, Error> {
        let (now, ttl, longest) = (self.now(), self.config.session.ttl, self.longest());
        let is_due = now.since(live.renewed_at) >= RENEW_EVERY.min(ttl / 7);
        // A session that was to be forgotten stays short, and a phone's stays long.
        let is_of_full_length = live.expires_at.since(live.renewed_at) >= ttl;
        if !is_due || !is_of_full_length || live.until(now.plus(ttl), longest) <= live.expires_at {
            return Ok(None);
        }
        let (live, ip) = (live.clone(), source.to_string());
        let unit = async move |tx: &mut Tx| {
            sessions::renew(tx, &live, now.plus(ttl), longest, now).await?;
            devices::seen(tx, live.device, &ip, now).await?;
            sessions::live(tx, live.id, now).await
        };
        Ok(self.store.write(move |tx| Box::pin(async move { unit(tx).await })).await?)
    }

    /// Proves a factor inside of a session. The first code of an app that is being set up, or a mailed code while
    /// two-factor login is off, turns it on; then, and only then, the session goes by `rotated`.
    ///
    /// # Errors
    /// `Locked`, or the code's refusal; `TotpNotEnabled`, `NoBackupCodes`.
    pub(crate) async fn prove_in_session(
        &self,
        live: &Live,
        code: InSession,
        rotated: &SessionToken,
        source: IpAddr,
    ) -> Result<bool, Error> {
        let (factor, token) = (self.second_factor(source), Some(hash_of(rotated)));
        let unit = async move |tx: &mut Tx, owner: Owner| {
            let id = owner.live.account;
            let Some(account) = accounts::by_id(tx, id).await? else {
                return Ok(Err(Error::NotAuthenticated));
            };
            if let Some(left) = account.block_left(owner.now) {
                return Ok(Err(Error::Locked(left)));
            }
            let methods = factors::methods(tx, id).await?;
            let sets_up = totp::secret(tx, id, Which::Pending).await?.is_some();
            let has_app = methods.contains(&Method::Authenticator);
            let was_on = methods.iter().any(|method| method.turns_on());
            let turns_on = !was_on && matches!(code, InSession::MailedCode(_));
            let is_fresh = owner.live.is_fresh(owner.now);
            // Before the code is tried: one that is refused for this is not spent.
            if turns_on && !is_fresh {
                return Ok(Err(Error::StaleProof));
            }
            let proven = match &code {
                InSession::Totp(code)
                    if sets_up && (!has_app || proves_pending(tx, &factor, id, code).await?) =>
                {
                    // The first factor was asked for by the password; any other changes what protects the account.
                    if was_on && !is_fresh {
                        return Ok(Err(Error::StaleProof));
                    }
                    if let Err(refused) = put_in_force(tx, &factor, &owner, code).await? {
                        return Ok(Err(refused));
                    }
                    // This surface offers mailed codes beside the app (docs/protocol.md, "Methods").
                    turn_on(tx, &owner, Method::Email).await?;
                    rotate_session(tx, &owner, token).await?;
                    return Ok(Ok(true));
                }
                InSession::Totp(_) if !has_app => {
                    return Ok(Err(Error::TotpNotEnabled));
                }
                InSession::BackupCode(_) if !methods.contains(&Method::BackupCode) => {
                    return Ok(Err(Error::NoBackupCodes));
                }
                InSession::Totp(code) => factor.totp(tx, &account, code, true).await?,
                InSession::BackupCode(code) => factor.backup_code(tx, &account, code, true).await?,
                InSession::MailedCode(code) => factor.mailed_code(tx, &account, code, false).await?,
            };
            if let Err(refused) = proven {
                return Ok(Err(refused));
            }
            if turns_on {
                turn_on(tx, &owner, Method::Email).await?;
                rotate_session(tx, &owner, token).await?;
            }
            freshen(tx, &owner, &methods, Some(code.method())).await?;
            Ok(Ok(turns_on))
        };
        self.as_owner(live, Demand::Session, source, move |tx, owner| {
            Box::pin(async move { unit(tx, owner).await })
        })
        .await
    }
}

/// Whether a code is of the app that is being set up while another one is on.
async fn proves_pending(
    tx: &mut Tx,
    factor: &SecondFactor,
    account: AccountId,
    code: &OneTimeCode,
) -> Result<bool, store::Error> {
    Ok(factor.step_of(tx, account, Which::Pending, code).await?.is_some())
}

/// A token for a session that is about to be known by another one.
pub(crate) fn fresh_session_token() -> SessionToken {
    SessionToken::new(random::alphanumeric(32))
}
