//! Who a token speaks for: its signature, and the session, device and account behind it, at this moment.

use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::seen::Shown;
use super::{Auth, Error};
use crate::crypto::jwt::Bearer;
use crate::domain::claims::OWN_CLIENT;
use crate::domain::factor::Method;
use crate::domain::ids::SessionId;
use crate::domain::secret::Password;
use crate::domain::time::Timestamp;
use crate::store::devices::{self, SEEN_EVERY};
use crate::store::lapse::{self, Redeemable};
use crate::store::sessions::{self, Live};
use crate::store::{self, Tx, accounts};

/// How long a proven password or factor is fresh (RFC 9470 `max_age`; docs/protocol.md, "A fresh proof").
pub(crate) const FRESH: Duration = Duration::from_secs(300);
/// How far a proof may lie in the future.
const AHEAD: Duration = Duration::from_secs(2);

impl Auth {
    /// The live session of an access token.
    ///
    /// # Errors
    /// `NotAuthenticated`, whatever is wrong with it.
    pub(crate) async fn bearer(&self, token: &str) -> Result<Live, Error> {
        let bearer = self.keyring.verify(token).map_err(|_| Error::NotAuthenticated)?;
        if bearer.expired {
            return Err(Error::NotAuthenticated);
        }
        let live = self.shown(Shown::Session(bearer.session)).await?;
        live.filter(|live| is_of(live, &bearer)).ok_or(Error::NotAuthenticated)
    }

    /// The live session of a token shown on a socket. An approving phone keeps its first token for ever, so there,
    /// and only there, the session decides and the token's `exp` does not.
    ///
    /// # Errors
    /// `NotAuthenticated`; `UnknownDevice` for a token that names no device or another session's.
    pub(crate) async fn socket_bearer(&self, token: &str) -> Result<Live, Error> {
        let bearer = self.keyring.verify(token).map_err(|_| Error::NotAuthenticated)?;
        let device = bearer.device.ok_or(Error::UnknownDevice)?;
        let live = self.shown(Shown::Session(bearer.session)).await?;
        let live = live.filter(|live| is_of(live, &bearer)).ok_or(Error::NotAuthenticated)?;
        if live.device != device {
            return Err(Error::UnknownDevice);
        }
        if bearer.expired && !live.approving { Err(Error::NotAuthenticated) } else { Ok(live) }
    }

    /// The session, unless it, its device or its account has ended: another look at one that was found before.
    pub(crate) async fn live(&self, session: SessionId) -> Result<Option<Live>, Error> {
        let now = self.now();
        let live = self.store.read(move |tx| Box::pin(sessions::live(tx, session, now))).await?;
        if live.is_none() {
            self.note_over(Redeemable::Session(session), now).await?;
        }
        Ok(live)
    }

    /// Notes that a device is there, and moves an approving one's end of session on, when that is worth a write.
    pub(crate) async fn shows_up(&self, live: &Live, source: IpAddr) -> Result<(), Error> {
        let (now, ttl, ip) = (self.now(), self.config.device.session_ttl, source.to_string());
        let (longest, until) = (self.longest(), live.until(now.plus(ttl), self.longest()));
        let slides = live.approving && until.since(live.expires_at) >= ttl / 100;
        let was_just_there = live.seen_at.is_some_and(|at| now.since(at) <= SEEN_EVERY) && live.seen_ip == ip;
        if !slides && was_just_there {
            return Ok(());
        }
        let device = live.device;
        let unit = async move |tx: &mut Tx| {
            devices::seen(tx, device, &ip, now).await?;
            if slides { sessions::extend(tx, device, until, longest).await } else { Ok(()) }
        };
        Ok(self.store.write(move |tx| Box::pin(async move { unit(tx).await })).await?)
    }

    /// Runs a unit of work in an owner's name. Whatever was true when the request came in, the session, its proof and
    /// the password are looked at again inside of the unit, under the account's lock.
    ///
    /// # Errors
    /// `WrongClient`; `NotAuthenticated` when the session has ended meanwhile; `StaleProof`; `BadCredentials` for a password that is
    /// wrong or was changed meanwhile; or what `work` says.
    pub(super) async fn as_owner<T, F>(
        &self,
        live: &Live,
        demand: Demand<'_>,
        source: IpAddr,
        work: F,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx, Owner) -> BoxFuture<'t, Result<Result<T, Error>, store::Error>>
            + Send
            + 'static,
    {
        let proof = self.prove(live, demand, source).await?;
        self.as_proven(live, proof, source, work).await
    }

    /// What is found of a demand before the unit of work, for a use case that has more to do before that.
    ///
    /// # Errors
    /// `WrongClient`; `BadCredentials`, and what else a wrong password leads to.
    pub(super) async fn prove(
        &self,
        live: &Live,
        demand: Demand<'_>,
        source: IpAddr,
    ) -> Result<Proof, Error> {
        if !matches!(demand, Demand::Leaving) {
            live.must_manage()?;
        }
        Ok(match demand {
            Demand::Session | Demand::Leaving => Proof::NotNeeded,
            Demand::Fresh(None) => Proof::Recent,
            Demand::Fresh(Some(password)) => {
                let account = self.prove_own_password(live.account, password, source).await?;
                Proof::Now { password_version: account.password_version }
            }
        })
    }

    /// [`Auth::as_owner`] with what [`Auth::prove`] found.
    pub(super) async fn as_proven<T, F>(
        &self,
        live: &Live,
        proof: Proof,
        source: IpAddr,
        work: F,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx, Owner) -> BoxFuture<'t, Result<Result<T, Error>, store::Error>>
            + Send
            + 'static,
    {
        let (account, session, now, source) = (live.account, live.id, self.now(), source.to_string());
        let unit = async move |tx: &mut Tx| {
            let account = accounts::lock(tx, account).await?;
            let live = sessions::live(tx, session, now).await?;
            let (Some(account), Some(mut live)) = (account, live) else {
                lapse::note(tx, Redeemable::Session(session), now).await?;
                return Ok(Err(Error::NotAuthenticated));
            };
            match proof {
                Proof::NotNeeded => {}
                Proof::Recent if live.is_fresh(now) => {}
                Proof::Recent => return Ok(Err(Error::StaleProof)),
                Proof::Now { password_version } if password_version == account.password_version => {
                    sessions::prove(tx, session, now).await?;
                    live.proved_at = now;
                }
                Proof::Now { .. } => return Ok(Err(Error::BadCredentials)),
            }
            work(tx, Owner { live, source, now }).await
        };
        self.store.write(move |tx| Box::pin(async move { unit(tx).await })).await?
    }
}

/// Notes that a code was proven in a session. `on` is what was on before. While two-factor login is on, only a code of
/// a method that is on counts: a mailbox alone, or an app that is only being set up (`None`), must not open what changes
/// the factors.
pub(super) async fn freshen(
    tx: &mut Tx,
    owner: &Owner,
    on: &[Method],
    method: Option<Method>,
) -> Result<(), store::Error> {
    let is_off = !on.iter().any(|method| method.turns_on());
    if is_off || method.is_some_and(|method| on.contains(&method)) {
        sessions::prove(tx, owner.live.id, owner.now).await?;
    }
    Ok(())
}

/// Whether a token names this session's account, by its number and by its public name.
fn is_of(live: &Live, bearer: &Bearer) -> bool {
    live.account == bearer.account && live.account_uuid == bearer.subject
}

impl Live {
    /// Refuses sessions of other clients: who holds one of their tokens, a relying party say, must not change what the
    /// account can be opened with.
    ///
    /// # Errors
    /// `WrongClient`.
    pub(crate) fn must_manage(&self) -> Result<(), Error> {
        if self.client_id == OWN_CLIENT { Ok(()) } else { Err(Error::WrongClient) }
    }

    /// Whether a password or factor was proven in the last five minutes.
    pub(super) fn is_fresh(&self, now: Timestamp) -> bool {
        // Another node's clock, or another request's look at it, may be a little ahead.
        self.proved_at <= now.plus(AHEAD) && now.since(self.proved_at) < FRESH
    }
}

/// What a use case demands of the one who asks for it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Demand<'a> {
    /// A session that lives.
    Session,
    /// The same for what ends that session and nothing else: a session of any client may do so.
    Leaving,
    /// A password or factor proven in the last five minutes, or this password now.
    Fresh(Option<&'a Password>),
}

impl<'a> Demand<'a> {
    /// A session that lives, and this password if one came: whether it has to be fresh is found out in the unit.
    pub(super) fn session_with(password: Option<&'a Password>) -> Self {
        if password.is_some() { Self::Fresh(password) } else { Self::Session }
    }

    /// The same, or that it only leaves: what a session of another client may do.
    pub(super) fn unless_leaving(self, live: &Live, ends_itself_alone: bool) -> Self {
        if ends_itself_alone && live.must_manage().is_err() { Self::Leaving } else { self }
    }
}

/// What was found of that before the unit of work.
#[derive(Clone, Copy, Debug)]
pub(super) enum Proof {
    NotNeeded,
    Recent,
    Now { password_version: i64 },
}

/// In whose name a unit of work runs, as it stands inside of the unit.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    pub(super) live: Live,
    pub(super) source: String,
    pub(super) now: Timestamp,
}
