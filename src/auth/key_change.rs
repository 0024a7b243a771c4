//! How signing keys come and go: the first of an algorithm, the next one, and one that leaked and is revoked.

use serde_json::{Value, json};

use super::change::OPERATOR;
use super::keyring::Keyring;
use super::reseal::{NOTICE, storing};
use super::{Auth, Error};
use crate::crypto::keys::{self, FreshKey};
use crate::crypto::seals::SIGNING_KEY;
use crate::domain::signing::{self, Algorithm, Turn};
use crate::domain::time::Timestamp;
use crate::store::audit::{self, Entry};
use crate::store::keys::SigningKey;
use crate::store::signals::{self, Signal};
use crate::store::{self, Store, Tx};

/// Why a key is made.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Cause {
    /// This algorithm has none that may sign.
    First,
    /// The one that signs is to be followed.
    Next,
    /// This one leaked.
    Revoked(String),
}

/// What became of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// A new key is in the store, and signs from then on.
    Made { kid: String, signs_from: Timestamp },
    /// There is no need for a new key.
    NotNeeded,
    /// The next key is there already.
    Waits { kid: String, signs_from: Timestamp },
    /// No key has that name.
    Unknown,
}

/// A key on its way into the store.
struct Order {
    cause: Cause,
    key: SigningKey,
    /// When it signs if it has to be published before.
    later: Timestamp,
}

impl Auth {
    /// Makes the next key; it signs once every relying party has had the time to fetch it.
    pub(crate) async fn rotate_keys(&self) -> Result<Change, Error> {
        self.change_keys(Cause::Next).await
    }

    /// Takes a key that leaked away, from verifying and from what is published, at once. When it was the one that
    /// signs, a new one does from now on.
    pub(crate) async fn revoke_key(&self, kid: &str) -> Result<Change, Error> {
        self.change_keys(Cause::Revoked(kid.to_owned())).await
    }

    /// The secrets of HS256 as a JWK set: those that sign, will sign, or signed a token that may still live.
    pub(crate) async fn shared_secrets(&self) -> Result<Vec<Value>, Error> {
        let (now, rows) = (self.now(), self.signing_keys().await?);
        let turns: Vec<Turn> = rows.iter().map(SigningKey::turn).collect();
        let mut secrets = Vec::new();
        for (at, row) in rows.iter().enumerate() {
            if row.algorithm == Algorithm::Hs256
                && self.keyring.is_in_use(&turns, at, now)
                && let Some(secret) = self.keyring.private(row)?
            {
                secrets.push(keys::secret_jwk(&row.kid, &secret));
            }
        }
        Ok(secrets)
    }

    /// All keys in the order in which they sign.
    pub(crate) async fn signing_keys(&self) -> Result<Vec<SigningKey>, Error> {
        Ok(self.store.read(|tx| Box::pin(store::keys::signing(tx))).await?)
    }

    async fn change_keys(&self, cause: Cause) -> Result<Change, Error> {
        let change = self.keyring.change(&self.store, cause).await?;
        self.keyring.reload(&self.store).await?;
        Ok(change)
    }
}

impl Keyring {
    /// Makes a key when none of this server's algorithm may sign. It signs at once when it is the first of all, and
    /// otherwise after it was published for long enough; until then the keys that are there sign on.
    pub(super) async fn make_first(&self, store: &Store) -> Result<(), Error> {
        let rows = store.read(|tx| Box::pin(store::keys::signing(tx))).await?;
        let is_there = |row: &SigningKey| row.algorithm == self.algorithm && row.turn().can_sign;
        if rows.iter().any(is_there) {
            return Ok(());
        }
        self.change(store, Cause::First).await.map(drop)
    }

    async fn change(&self, store: &Store, cause: Cause) -> Result<Change, Error> {
        let fresh = FreshKey::generate(self.algorithm).map_err(|e| Error::internal(e.to_string()))?;
        let now = self.clock.now();
        storing(store, &self.seals, SIGNING_KEY, &fresh.private, |sealed| {
            let key = SigningKey {
                kid: fresh.kid.clone(),
                algorithm: self.algorithm,
                public: fresh.public.clone(),
                sealed: Some(sealed.sealed),
                created_at: now,
                signs_from: now,
                retired: false,
            };
            let order = Order { cause: cause.clone(), key, later: now.plus(NOTICE + self.jwks_max_age) };
            let unit = async move |tx: &mut Tx| {
                if !store::seals::check_alone(tx, sealed.under).await? {
                    return Ok(None);
                }
                order.carry_out(tx, now).await.map(Some)
            };
            async move { Ok(store.write(move |tx| Box::pin(async move { unit(tx).await })).await?) }
        })
        .await
    }
}

impl Order {
    /// Decides on what is in the store now; nobody else adds a key before this unit has ended.
    async fn carry_out(mut self, tx: &mut Tx, now: Timestamp) -> Result<Change, store::Error> {
        let rows = store::keys::signing(tx).await?;
        let turns: Vec<Turn> = rows.iter().map(SigningKey::turn).collect();
        let algorithm = self.key.algorithm;
        match &self.cause {
            Cause::First if turns.iter().any(|turn| turn.can_sign && turn.algorithm == algorithm) => {
                return Ok(Change::NotNeeded);
            }
            Cause::First if turns.iter().any(|turn| turn.can_sign) => self.key.signs_from = self.later,
            Cause::First => {}
            Cause::Next => {
                if let Some(at) = signing::waiting(&turns, algorithm, now) {
                    return Ok(Change::Waits { kid: rows[at].kid.clone(), signs_from: rows[at].signs_from });
                }
                self.key.signs_from = self.later;
            }
            Cause::Revoked(kid) => {
                let Some(at) = rows.iter().position(|row| row.kid == *kid) else {
                    return Ok(Change::Unknown);
                };
                store::keys::remove_signing(tx, kid).await?;
                let entry = Entry {
                    event: "keys.revoke",
                    outcome: "ok",
                    account: None,
                    device: None,
                    pairing: None,
                    source: OPERATOR,
                };
                audit::record(tx, entry, now).await?;
                // Not "whether another one may sign": one that has ended may be about to be retired.
                if signing::signer(&turns, algorithm, now) != Some(at) {
                    signals::emit(tx, Signal::Keys, now).await?;
                    return Ok(Change::NotNeeded);
                }
            }
        }
        let made = Change::Made { kid: self.key.kid.clone(), signs_from: self.key.signs_from };
        store::keys::add_signing(tx, self.key).await?;
        signals::emit(tx, Signal::Keys, now).await?;
        Ok(made)
    }
}

/// Secrets as a JWK set (RFC 7517 §5).
pub(crate) fn jwk_set(keys: &[Value]) -> Value {
    json!({ "keys": keys })
}
