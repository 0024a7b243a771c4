//! The signing keys in memory: which one signs now, which are published, and what a token's `kid` means.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::{DecodingKey, EncodingKey};
use parking_lot::RwLock;
use serde_json::{Value, json};

use super::Error;
use crate::clock::Clock;
use crate::config;
use crate::crypto::jwt::{self, Bearer, Invalid, Names};
use crate::crypto::keys::{self, FreshKey};
use crate::crypto::seal::SealKey;
use crate::domain::claims::Grant;
use crate::domain::secret::AccessToken;
use crate::domain::time::Timestamp;
use crate::store::signals::{self, Signal};
use crate::store::{self, Store, Tx};

/// What a signing key is sealed for.
const PURPOSE: &str = "signing key";
/// Within this time every running server has noticed a new key and publishes it.
const NOTICE: Duration = Duration::from_secs(2);

/// The keys that sign and verify access tokens.
pub(crate) struct Keyring {
    names: Names,
    seal: SealKey,
    clock: Clock,
    access_ttl: Duration,
    jwks_max_age: Duration,
    keys: RwLock<Arc<Keys>>,
}

#[derive(Default)]
struct Keys {
    /// In the order in which they sign.
    all: Vec<Key>,
    by_kid: HashMap<String, usize>,
    /// All names under which these keys have signed.
    issuers: Vec<String>,
}

struct Key {
    kid: String,
    signs_from: Timestamp,
    encoding: Option<EncodingKey>,
    decoding: DecodingKey,
    jwk: Value,
}

impl Keyring {
    pub(super) async fn open(
        store: &Store,
        seal: SealKey,
        names: Names,
        config: &config::Jwt,
        clock: Clock,
    ) -> Result<Self, Error> {
        let (access_ttl, jwks_max_age) = (config.access_ttl, config.jwks_max_age);
        let ring = Self { names, seal, clock, access_ttl, jwks_max_age, keys: RwLock::default() };
        ring.add(store, ring.clock.now(), true).await?;
        ring.reload(store).await?;
        Ok(ring)
    }

    /// Lets every server on this store accept what this one signs from now on.
    pub(super) async fn announce(&self, store: &Store) -> Result<(), Error> {
        let (issuer, now) = (self.names.issuer.clone(), self.clock.now());
        let unit = async move |tx: &mut Tx| {
            let is_new = store::keys::add_issuer(tx, &issuer, now).await?;
            if is_new { signals::emit(tx, Signal::Keys, now).await } else { Ok(()) }
        };
        store.write(move |tx| Box::pin(async move { unit(tx).await })).await?;
        self.reload(store).await
    }

    /// Makes a new key that signs once every relying party has had the time to fetch it.
    pub(crate) async fn rotate(&self, store: &Store) -> Result<(), Error> {
        self.add(store, self.clock.now().plus(NOTICE + self.jwks_max_age), false).await?;
        self.reload(store).await
    }

    /// Reads the keys again and destroys the private halves that have signed their last token.
    pub(crate) async fn reload(&self, store: &Store) -> Result<(), Error> {
        let now = self.clock.now();
        let unit = async |tx: &mut Tx| Ok((store::keys::signing(tx).await?, store::keys::issuers(tx).await?));
        let (rows, issuers) = store.read(move |tx| Box::pin(async move { unit(tx).await })).await?;
        let keys = rows.iter().map(|row| self.open_key(row)).collect::<Result<Vec<_>, Error>>()?;
        let by_kid = keys.iter().enumerate().map(|(at, key)| (key.kid.clone(), at)).collect();
        let keys = Keys { all: keys, by_kid, issuers };
        let finished: Vec<String> = match keys.current_at(now) {
            Some(current) => {
                keys.all[..current].iter().filter(|k| k.encoding.is_some()).map(|k| k.kid.clone()).collect()
            }
            None => Vec::new(),
        };
        *self.keys.write() = Arc::new(keys);
        if finished.is_empty() {
            return Ok(());
        }
        store
            .write(move |tx| {
                Box::pin(async move {
                    for kid in &finished {
                        store::keys::forget_private(tx, kid).await?;
                    }
                    Ok(())
                })
            })
            .await?;
        Ok(())
    }

    /// Signs with the key of the hour. Only the mint calls this.
    pub(super) fn sign(&self, grant: &Grant) -> Result<AccessToken, Error> {
        let keys = self.keys.read().clone();
        let key = keys.current_at(self.clock.now()).and_then(|at| keys.all.get(at));
        let (key, encoding) = key
            .and_then(|k| Some((k, k.encoding.as_ref()?)))
            .ok_or_else(|| Error::internal("no signing key"))?;
        jwt::sign(&self.names, &key.kid, encoding, grant)
            .map_err(|e| Error::internal(format!("signing: {e}")))
    }

    /// Verifies a token by the key that its `kid` names, among this server's keys alone.
    pub(super) fn verify(&self, token: &str) -> Result<Bearer, Invalid> {
        let kid = jwt::kid(token)?;
        let keys = self.keys.read().clone();
        let key = keys.by_kid.get(&kid).and_then(|at| keys.all.get(*at)).ok_or(Invalid::Forged)?;
        jwt::verify(&keys.issuers, &self.names.audience, &key.decoding, token, self.clock.now())
    }

    /// The JWK set (RFC 7517 §5): keys that sign, will sign, or signed a token that may still live.
    pub(crate) fn jwks(&self) -> Value {
        let (keys, now) = (self.keys.read().clone(), self.clock.now());
        let published = keys.all.iter().enumerate().filter(|(at, _)| {
            let successor = keys.all.get(at + 1);
            successor.is_none_or(|next| next.signs_from.plus(self.access_ttl) > now)
        });
        json!({"keys": published.map(|(_, key)| &key.jwk).collect::<Vec<_>>()})
    }

    /// For how long others may keep the published keys.
    pub(crate) fn max_age(&self) -> Duration {
        self.jwks_max_age
    }

    async fn add(&self, store: &Store, signs_from: Timestamp, only_first: bool) -> Result<(), Error> {
        let fresh = FreshKey::generate().map_err(|e| Error::internal(e.to_string()))?;
        let now = self.clock.now();
        let key = store::keys::SigningKey {
            sealed: Some(self.seal.seal(PURPOSE, &fresh.private)),
            kid: fresh.kid,
            public: fresh.public,
            created_at: now,
            signs_from,
        };
        let unit = async move |tx: &mut Tx| {
            let is_new = store::keys::add_signing(tx, key, only_first).await?;
            if is_new { signals::emit(tx, Signal::Keys, now).await } else { Ok(()) }
        };
        Ok(store.write(move |tx| Box::pin(async move { unit(tx).await })).await?)
    }

    fn open_key(&self, row: &store::keys::SigningKey) -> Result<Key, Error> {
        let broken = |e: keys::Error| Error::internal(e.to_string());
        let encoding = match &row.sealed {
            Some(sealed) => {
                let private = self
                    .seal
                    .open(PURPOSE, sealed)
                    .map_err(|e| Error::internal(format!("signing key: {e}")))?;
                Some(keys::encoding(&private))
            }
            None => None,
        };
        Ok(Key {
            kid: row.kid.clone(),
            signs_from: row.signs_from,
            encoding,
            decoding: keys::decoding(&row.public).map_err(broken)?,
            jwk: keys::jwk(&row.kid, &row.public).map_err(broken)?,
        })
    }
}

impl Keys {
    /// The latest key whose time to sign has come; when the clock was set back so far that there is none, the first
    /// that can sign at all.
    fn current_at(&self, now: Timestamp) -> Option<usize> {
        let can_sign = |key: &Key| key.encoding.is_some();
        let due = self.all.iter().rposition(|key| key.signs_from <= now && can_sign(key));
        due.or_else(|| self.all.iter().position(can_sign))
    }
}
