//! Who a token speaks for: its signature, and the session, device and account behind it, at this moment.

use std::net::IpAddr;
use std::time::Duration;

use super::{Auth, Error};
use crate::domain::ids::SessionId;
use crate::domain::secret::Password;
use crate::store::sessions::{self, Live};

/// How long a proven password or factor opens what is delicate (RFC 9470 `max_age`).
pub(crate) const FRESH: Duration = Duration::from_secs(300);

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
        self.live(bearer.session)
            .await?
            .filter(|live| live.account == bearer.account)
            .ok_or(Error::NotAuthenticated)
    }

    /// The live session of a token shown on a socket. An approving phone keeps its first token for ever, so there,
    /// and only there, the session decides and the token's `exp` does not.
    ///
    /// # Errors
    /// `NotAuthenticated`; `UnknownDevice` for a token that names no device or another session's.
    pub(crate) async fn socket_bearer(&self, token: &str) -> Result<Live, Error> {
        let bearer = self.keyring.verify(token).map_err(|_| Error::NotAuthenticated)?;
        let device = bearer.device.ok_or(Error::UnknownDevice)?;
        let live = self.live(bearer.session).await?.filter(|live| live.account == bearer.account);
        let live = live.ok_or(Error::NotAuthenticated)?;
        if live.device != device {
            return Err(Error::UnknownDevice);
        }
        if bearer.expired && !live.approving { Err(Error::NotAuthenticated) } else { Ok(live) }
    }

    /// The session, unless it, its device or its account has ended.
    pub(crate) async fn live(&self, session: SessionId) -> Result<Option<Live>, Error> {
        let now = self.now();
        Ok(self.store.read(move |tx| Box::pin(sessions::live(tx, session, now))).await?)
    }

    /// Moves an approving device's end of session on, when that is worth a write.
    pub(crate) async fn slide(&self, live: &Live) -> Result<(), Error> {
        let ttl = self.config.device.session_ttl;
        let (device, until) = (live.device, self.now().plus(ttl));
        if !live.approving || until.since(live.expires_at) < ttl / 100 {
            return Ok(());
        }
        Ok(self.store.write(move |tx| Box::pin(sessions::extend(tx, device, until))).await?)
    }

    /// Demands that the owner proved to be there in the last five minutes, or proves it now by `password`.
    ///
    /// # Errors
    /// `StaleProof`, or what [`Auth::prove_password`] says.
    pub(crate) async fn demand_fresh(
        &self,
        live: &Live,
        password: Option<&Password>,
        source: IpAddr,
    ) -> Result<(), Error> {
        let now = self.now();
        let Some(password) = password else {
            let is_fresh = live.proved_at <= now && now.since(live.proved_at) < FRESH;
            return if is_fresh { Ok(()) } else { Err(Error::StaleProof) };
        };
        self.prove_own_password(live.account, password, source).await?;
        let session = live.id;
        Ok(self.store.write(move |tx| Box::pin(sessions::prove(tx, session, now))).await?)
    }
}
