//! Refresh tokens (RFC 9700 §4.14.2; docs/tokens.md, "Refresh tokens"): each is replaced at its first use. A replaced
//! token that is shown again, other than by an honest repeat, ends the session for every holder of a token of it.

use std::net::IpAddr;
use std::time::Duration;

use super::change::changed;
use super::limits::REFRESHES_PER_SOURCE;
use super::{Auth, Error};
use crate::config;
use crate::crypto::random;
use crate::crypto::root::RootKeys;
use crate::crypto::seal::digest;
use crate::domain::ids::SessionId;
use crate::domain::secret::{AccessToken, RefreshToken};
use crate::domain::source::network;
use crate::domain::time::Timestamp;
use crate::mail::{self, Letter};
use crate::store::refresh::Kept;
use crate::store::sessions::{Live, Longest};
use crate::store::{self, Tx, accounts, devices, lapse, refresh, sessions, tickets};

/// A refresh token on its way into the store.
pub(super) struct Fresh {
    pub(super) token: RefreshToken,
    pub(super) ttl: Duration,
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

/// For the last of so many tokens in a row that two networks show at nearly the same time, the second network gets no
/// successor until the grace is over. A lost answer is repeated on another network once in a while, not each time. The
/// session goes on: tabs of one browser, one on IPv4 and one on IPv6, share what the first of them got. Two parties can't
/// both go on: the second either shows its old token once the successor was used, or gets another successor after the
/// grace, which revokes that of the first.
const SHARED_IN_A_ROW: u32 = 3;

/// What a refresh token led to; a session that was ended for it is a value, since it has to stay ended.
enum Outcome {
    HandedOut(Box<HandedOut>),
    /// The other network has the successor; this one may come again after that time.
    SharedTooOften(Duration),
    Reused,
    Unknown,
}

/// A successor, and the access token that comes with it.
struct HandedOut {
    live: Live,
    successor: RefreshToken,
    id: uuid::Uuid,
    /// When the successor was handed out first; a repeat says the same.
    at: Timestamp,
}

impl Auth {
    pub(super) fn fresh_refresh_token(&self) -> Fresh {
        Fresh { token: RefreshToken::new(hex(&random::bytes::<32>())), ttl: self.config.refresh.ttl }
    }

    /// Exchanges a refresh token for a fresh access token and its successor. While the successor is unused, the shown
    /// token may come again, since an answer may have been lost: within `refresh.grace` it gets the same successor and
    /// an access token of the same claims; until `refresh.retry` it gets another successor, and the one before is
    /// revoked.
    ///
    /// # Errors
    /// `NotAuthenticated` for a token that is unknown or expired, and for one that is revoked or was used before: then
    /// its session has ended, and the owner gets a letter. `Busy` for a token whose successor another network has just
    /// received, for the third time in a row.
    pub(crate) async fn refresh(
        &self,
        token: &RefreshToken,
        source: IpAddr,
    ) -> Result<(AccessToken, RefreshToken), Error> {
        let attempt = self.limits.attempt(REFRESHES_PER_SOURCE, source).await?;
        let shown = Shown {
            hash: hash(token),
            token: token.clone(),
            root: self.root.clone(),
            settings: self.config.refresh.clone(),
            longest: self.longest(),
            source: source.to_string(),
            network: network(source).to_string(),
            now: self.now(),
        };
        let outcome = self.store.write(move |tx| Box::pin(shown.exchange(tx))).await;
        attempt.settle(matches!(outcome, Ok(Outcome::Reused | Outcome::Unknown)));
        match outcome? {
            Outcome::HandedOut(done) => Ok((self.sign_for(done.live, done.at, done.id)?, done.successor)),
            Outcome::SharedTooOften(wait) => Err(Error::Busy(wait)),
            Outcome::Reused | Outcome::Unknown => Err(Error::NotAuthenticated),
        }
    }
}

/// A refresh token that is shown, and what its exchange needs to know.
struct Shown {
    hash: [u8; 32],
    token: RefreshToken,
    root: RootKeys,
    settings: config::Refresh,
    longest: Longest,
    source: String,
    network: String,
    now: Timestamp,
}

impl Shown {
    async fn exchange(self, tx: &mut Tx) -> Result<Outcome, store::Error> {
        let Some(kept) = refresh::find(tx, &self.hash).await? else { return Ok(Outcome::Unknown) };
        let Some(live) = sessions::live(tx, kept.session, self.now).await? else {
            lapse::note(tx, lapse::Redeemable::Session(kept.session), self.now).await?;
            return Ok(Outcome::Unknown);
        };
        accounts::lock(tx, live.account).await?;
        // Looked at again under the lock: what ended or replaced it may have come first.
        let live = sessions::live(tx, kept.session, self.now).await?;
        let (Some(kept), Some(live)) = (refresh::find(tx, &self.hash).await?, live) else {
            return Ok(Outcome::Unknown);
        };
        match kept.replaced_at {
            // It was over before it was used. A repeat, below, may come after the end of what it repeats.
            None if kept.expires_at <= self.now => {
                lapse::note(tx, lapse::Redeemable::RefreshToken(self.hash), self.now).await?;
                Ok(Outcome::Unknown)
            }
            None => {
                refresh::replace(tx, &self.hash, &self.network, self.now).await?;
                self.hand_out(tx, live, 0).await
            }
            Some(first) => self.again(tx, &kept, live, first).await,
        }
    }

    /// The token was replaced before: an honest repeat, or theft.
    async fn again(
        &self,
        tx: &mut Tx,
        kept: &Kept,
        live: Live,
        first: Timestamp,
    ) -> Result<Outcome, store::Error> {
        let unused = self.unused_successor(tx, kept).await?;
        let Some(Next { token: successor, id }) =
            unused.filter(|_| self.time_from(first) < self.settings.retry)
        else {
            return self.end(tx, &live).await;
        };
        let successor_hash = hash(&successor);
        let at = kept.retried_at.unwrap_or(first);
        if self.time_from(at) >= self.settings.grace {
            refresh::revoke(tx, &successor_hash, self.now).await?;
            refresh::retry(tx, &self.hash, &self.network, self.now).await?;
            return self.hand_out(tx, live, kept.retries + 1).await;
        }
        // Two parties that repeat each other's refresh at once would both go on for ever.
        if kept.network != self.network && !kept.network.is_empty() {
            let run = kept.shared + 1;
            if run >= SHARED_IN_A_ROW {
                return Ok(Outcome::SharedTooOften(self.settings.grace.saturating_sub(self.time_from(at))));
            }
            refresh::share(tx, &successor_hash, run).await?;
        }
        Ok(Outcome::HandedOut(Box::new(HandedOut { live, successor, id, at })))
    }

    /// The newest successor while it is unused. A revoked token has none.
    async fn unused_successor(&self, tx: &mut Tx, kept: &Kept) -> Result<Option<Next>, store::Error> {
        for next in Next::all(&self.root, &self.token, kept.retries) {
            if let Some(found) = refresh::find(tx, &hash(&next.token)).await? {
                return Ok(found.replaced_at.is_none().then_some(next));
            }
        }
        Ok(None)
    }

    async fn hand_out(&self, tx: &mut Tx, live: Live, number: u32) -> Result<Outcome, store::Error> {
        let made = Next::all(&self.root, &self.token, number).into_iter().next();
        let made = made.ok_or_else(|| store::Error::Failed("no root key".to_owned()))?;
        let fresh = Fresh { token: made.token, ttl: self.settings.ttl };
        fresh.keep(tx, live.id, self.now).await?;
        sessions::renew(tx, &live, self.now.plus(fresh.ttl), self.longest, self.now).await?;
        devices::seen(tx, live.device, &self.source, self.now).await?;
        // With the end that it has now: a repeat reads that one, too.
        let live = sessions::live(tx, live.id, self.now).await?.unwrap_or(live);
        let (successor, id, at) = (fresh.token, made.id, self.now);
        Ok(Outcome::HandedOut(Box::new(HandedOut { live, successor, id, at })))
    }

    /// Ends the session for everybody who holds a token of it, and tells the owner.
    async fn end(&self, tx: &mut Tx, live: &Live) -> Result<Outcome, store::Error> {
        let now = self.now;
        sessions::revoke_device(tx, live.device, now).await?;
        // What a thief's phone has approved ends with it.
        tickets::kill_of_device(tx, live.device, now).await?;
        changed(tx, "refresh.reused", live.account, Some(live.device), &self.source, now).await?;
        let letter = Letter::RefreshReused { device: &live.device_name, source: &self.source };
        mail::notify(tx, live.account, letter, now).await?;
        Ok(Outcome::Reused)
    }

    /// Of two requests at once, or on two nodes, the later may have looked at its clock first.
    fn time_from(&self, at: Timestamp) -> Duration {
        self.now.since(at).max(at.since(self.now))
    }
}

pub(super) fn hash(token: &RefreshToken) -> [u8; 32] {
    digest(token.expose().as_bytes())
}

/// What a refresh token is exchanged for, derived from it: so a repeat gets the same although none of it is kept.
struct Next {
    token: RefreshToken,
    /// Of the access token that comes with it.
    id: uuid::Uuid,
}

impl Next {
    /// By the root key in force first, then by those of before a rotation, one of which may have made it.
    fn all(root: &RootKeys, shown: &RefreshToken, number: u32) -> Vec<Self> {
        let (shown, number) = (shown.expose().as_bytes(), number.to_be_bytes());
        // The first one without its number: so nodes of an older release derive it, too.
        let parts: &[&[u8]] = if number == [0; 4] { &[shown] } else { &[shown, &number] };
        let ids = root.macs("access token of a refresh", parts);
        let tokens = root.macs("refresh token", parts);
        let next = |(token, id): ([u8; 32], [u8; 32])| {
            let mut bytes = [0; 16];
            bytes.copy_from_slice(&id[..16]);
            let id = uuid::Builder::from_random_bytes(bytes).into_uuid();
            Self { token: RefreshToken::new(hex(&token)), id }
        };
        tokens.into_iter().zip(ids).map(next).collect()
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a text can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
