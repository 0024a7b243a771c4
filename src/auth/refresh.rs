//! Refresh tokens (RFC 9700 §4.14.2): each is replaced at its first use; whoever shows a replaced one again, but for an
//! honest repeat, ends the session for everybody who holds a piece of it.

use std::net::IpAddr;

use super::factors::changed;
use super::limits::REFRESHES_PER_SOURCE;
use super::{Auth, Error};
use crate::crypto::random;
use crate::crypto::root::RootKeys;
use crate::crypto::seal::digest;
use crate::domain::ids::SessionId;
use crate::domain::secret::{AccessToken, RefreshToken};
use crate::domain::time::Timestamp;
use crate::mail::{self, Letter};
use crate::store::sessions::Live;
use crate::store::{self, Tx, accounts, devices, refresh, sessions, tickets};

/// A refresh token on its way into the store.
pub(super) struct Fresh {
    pub(super) token: RefreshToken,
    pub(super) ttl: std::time::Duration,
}

impl Fresh {
    /// Keeps it for a session.
    pub(super) async fn keep(
        &self,
        tx: &mut Tx,
        session: SessionId,
        now: Timestamp,
    ) -> Result<(), store::Error> {
        refresh::insert(tx, &hash(&self.token), session, now.plus(self.ttl)).await
    }
}

/// What a refresh token led to; a session that was ended for it is a value, since it has to stay ended.
enum Outcome {
    /// At this time; at a repeat, too, the first one's.
    Replaced(Box<Live>, Timestamp),
    Reused,
    Unknown,
}

impl Auth {
    pub(super) fn fresh_refresh_token(&self) -> Fresh {
        Fresh { token: RefreshToken::new(hex(&random::bytes::<32>())), ttl: self.config.refresh.ttl }
    }

    /// Exchanges a refresh token for a fresh access token and its successor. A repeat within `refresh.grace`, while the
    /// successor is unused, gets the same successor again, and an access token of the same claims: two tabs, or a lost
    /// answer.
    ///
    /// # Errors
    /// `NotAuthenticated` for one that is unknown, expired, or used before: then its session has ended, and its owner is
    /// told.
    pub(crate) async fn refresh(
        &self,
        token: &RefreshToken,
        source: IpAddr,
    ) -> Result<(AccessToken, RefreshToken), Error> {
        let attempt = self.limits.attempt(REFRESHES_PER_SOURCE, source).await?;
        let next = Fresh { token: successor(&self.root, token), ttl: self.config.refresh.ttl };
        let (successor, old) = (next.token.clone(), hash(token));
        let (now, grace, ip) = (self.now(), self.config.refresh.grace, source.to_string());
        let unit = async move |tx: &mut Tx| {
            let Some(kept) = refresh::find(tx, &old).await? else { return Ok(Outcome::Unknown) };
            let Some(live) = sessions::live(tx, kept.session, now).await? else {
                return Ok(Outcome::Unknown);
            };
            accounts::lock(tx, live.account).await?;
            // Looked at again under the lock: what ended it may have come first.
            let Some(live) = sessions::live(tx, kept.session, now).await? else {
                return Ok(Outcome::Unknown);
            };
            let is_over = kept.expires_at <= now;
            if !is_over && refresh::replace(tx, &old, now).await? {
                next.keep(tx, kept.session, now).await?;
                sessions::renew(tx, kept.session, now.plus(next.ttl), now).await?;
                devices::seen(tx, live.device, &ip, now).await?;
                // With the end that it has now: a repeat reads that one, too.
                let live = sessions::live(tx, kept.session, now).await?.unwrap_or(live);
                return Ok(Outcome::Replaced(Box::new(live), now));
            }
            let again = refresh::find(tx, &old).await?.and_then(|kept| kept.replaced_at);
            let unused =
                refresh::find(tx, &hash(&next.token)).await?.is_some_and(|n| n.replaced_at.is_none());
            // Of two at once, or on two nodes, the later may have looked at its clock first.
            let repeated = again.filter(|at| now.since(*at).max(at.since(now)) < grace);
            if let Some(at) = repeated.filter(|_| unused) {
                return Ok(Outcome::Replaced(Box::new(live), at));
            }
            // One that was over before it was shown is nothing; a repeat may come after the end of what it repeats.
            if is_over && repeated.is_none() {
                return Ok(Outcome::Unknown);
            }
            sessions::revoke_device(tx, live.device, now).await?;
            // What a thief's phone has approved ends with it.
            tickets::kill_of_device(tx, live.device, now).await?;
            changed(tx, "refresh.reused", live.account, Some(live.device), &ip, now).await?;
            let letter = Letter::RefreshReused { device: &live.device_name, source: &ip };
            mail::notify(tx, live.account, letter, now).await?;
            Ok(Outcome::Reused)
        };
        let outcome = self.store.write(move |tx| Box::pin(async move { unit(tx).await })).await;
        attempt.settle(matches!(outcome, Ok(Outcome::Reused | Outcome::Unknown)));
        match outcome? {
            Outcome::Replaced(live, at) => {
                Ok((self.sign_for(*live, at, token_id(&self.root, token))?, successor))
            }
            Outcome::Reused | Outcome::Unknown => {
                self.courier.ring();
                Err(Error::NotAuthenticated)
            }
        }
    }
}

pub(super) fn hash(token: &RefreshToken) -> [u8; 32] {
    digest(token.expose().as_bytes())
}

/// Derived, so that a repeat gets the same one although none is kept.
fn successor(root: &RootKeys, token: &RefreshToken) -> RefreshToken {
    RefreshToken::new(hex(&root.mac("refresh token", &[token.expose().as_bytes()])))
}

/// Derived as well: a repeat's access token is the same one, told again.
fn token_id(root: &RootKeys, token: &RefreshToken) -> uuid::Uuid {
    let mac = root.mac("access token of a refresh", &[token.expose().as_bytes()]);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&mac[..16]);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a text can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
