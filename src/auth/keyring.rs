//! The signing keys in memory: the key that signs now, the keys that are published (docs/tokens.md, "The key set"), and the
//! look-up of a token's `kid`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::{DecodingKey, EncodingKey};
use parking_lot::RwLock;
use serde_json::{Value, json};

use super::Error;
use crate::clock::Clock;
use crate::config;
use crate::crypto::jwt::{self, Bearer, Invalid, Names, Verifier};
use crate::crypto::keys;
use crate::crypto::seals::{SIGNING_KEY, Seals};
use crate::domain::claims::Grant;
use crate::domain::secret::AccessToken;
use crate::domain::signing::{self, Algorithm, Turn};
use crate::domain::time::Timestamp;
use crate::store::keys::SigningKey;
use crate::store::signals::{self, Signal};
use crate::store::{self, Store, Tx};

/// The keys that sign and verify access tokens.
pub(crate) struct Keyring {
    pub(super) names: Names,
    pub(super) seals: Seals,
    pub(super) clock: Clock,
    pub(super) algorithm: Algorithm,
    pub(super) access_ttl: Duration,
    pub(super) jwks_max_age: Duration,
    pub(super) keys: RwLock<Arc<Keys>>,
}

/// All keys, in the order in which they sign.
#[derive(Default)]
pub(super) struct Keys {
    all: Vec<Key>,
    turns: Vec<Turn>,
    by_kid: HashMap<String, usize>,
    /// All names under which these keys have signed.
    issuers: Vec<String>,
}

struct Key {
    kid: String,
    algorithm: Algorithm,
    /// While it may sign.
    encoding: Option<EncodingKey>,
    /// `None` for an HMAC key whose secret is gone.
    decoding: Option<DecodingKey>,
    /// `None` for what is never published.
    jwk: Option<Value>,
}

impl Keyring {
    pub(super) async fn open(
        store: &Store,
        seals: Seals,
        names: Names,
        config: &config::Jwt,
        clock: Clock,
    ) -> Result<Self, Error> {
        let config::Jwt { algorithm, access_ttl, jwks_max_age, .. } = *config;
        let ring = Self { names, seals, clock, algorithm, access_ttl, jwks_max_age, keys: RwLock::default() };
        ring.make_first(store).await?;
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
        self.reload(store).await.map(drop)
    }

    /// Reads the keys again, and under what they are sealed, and destroys the private halves that have signed their
    /// last token. Returns whether a key was taken away.
    pub(crate) async fn reload(&self, store: &Store) -> Result<bool, Error> {
        let now = self.clock.now();
        let unit = async |tx: &mut Tx| {
            let rows = store::keys::signing(tx).await?;
            Ok((rows, store::keys::issuers(tx).await?, store::seals::named(tx).await?))
        };
        let (rows, issuers, seal) = store.read(move |tx| Box::pin(async move { unit(tx).await })).await?;
        self.seals.refresh();
        if seal.is_none_or(|seal| !self.seals.seal_with(seal)) {
            tracing::error!("the store is sealed under another key: check keys.seal or keys.seal_file");
        }
        let all = rows.iter().map(|row| self.open_key(row)).collect::<Result<Vec<_>, Error>>()?;
        let turns: Vec<Turn> = rows.iter().map(SigningKey::turn).collect();
        let finished: Vec<(String, Algorithm)> = rows
            .iter()
            .enumerate()
            .filter(|(at, _)| {
                turns[*at].can_sign && signing::ends_at(&turns, *at).is_some_and(|end| end <= now)
            })
            .map(|(_, row)| (row.kid.clone(), row.algorithm))
            .collect();
        let by_kid = all.iter().enumerate().map(|(at, key)| (key.kid.clone(), at)).collect();
        let keys = Arc::new(Keys { all, turns, by_kid, issuers });
        let before = std::mem::replace(&mut *self.keys.write(), keys.clone());
        let is_one_gone = before.by_kid.keys().any(|kid| !keys.by_kid.contains_key(kid));
        if finished.is_empty() {
            return Ok(is_one_gone);
        }
        let retire = async move |tx: &mut Tx| {
            for (kid, algorithm) in &finished {
                store::keys::retire(tx, kid, *algorithm).await?;
            }
            Ok(())
        };
        store.write(move |tx| Box::pin(async move { retire(tx).await })).await?;
        Ok(is_one_gone)
    }

    /// Signs with the key of the hour. Only the mint calls this.
    pub(super) fn sign(&self, grant: &Grant) -> Result<AccessToken, Error> {
        let keys = self.keys.read().clone();
        let at = signing::signer(&keys.turns, self.algorithm, self.clock.now());
        let key = at.and_then(|at| keys.all.get(at));
        let (key, encoding) = key
            .and_then(|k| Some((k, k.encoding.as_ref()?)))
            .ok_or_else(|| Error::internal("no signing key"))?;
        jwt::sign(&self.names, &key.kid, key.algorithm, encoding, grant)
            .map_err(|e| Error::internal(format!("signing: {e}")))
    }

    /// Verifies a token by the key that its `kid` names, among this server's keys alone.
    pub(super) fn verify(&self, token: &str) -> Result<Bearer, Invalid> {
        let head = jwt::head(token)?;
        let keys = self.keys.read().clone();
        let key = keys.by_kid.get(&head.kid).and_then(|at| keys.all.get(*at)).ok_or(Invalid::Forged)?;
        let by = Verifier {
            algorithm: key.algorithm,
            key: key.decoding.as_ref().ok_or(Invalid::Forged)?,
            issuers: &keys.issuers,
            audience: &self.names.audience,
        };
        jwt::verify(&by, &head, token, self.clock.now())
    }

    /// Which key a token names, if this server has that key.
    pub(crate) fn kid(&self, token: &AccessToken) -> Option<String> {
        jwt::head(token.expose()).ok().map(|head| head.kid).filter(|kid| self.has(kid))
    }

    /// Whether this server takes what a key signed.
    pub(crate) fn has(&self, kid: &str) -> bool {
        self.keys.read().by_kid.contains_key(kid)
    }

    /// The JWK set (RFC 7517 §5): keys that sign, will sign, or signed a token that may still live.
    pub(crate) fn jwks(&self) -> Value {
        let (keys, now) = (self.keys.read().clone(), self.clock.now());
        let published = keys.all.iter().enumerate().filter(|(at, _)| self.is_in_use(&keys.turns, *at, now));
        json!({"keys": published.filter_map(|(_, key)| key.jwk.as_ref()).collect::<Vec<_>>()})
    }

    /// For how long others may keep the published keys.
    pub(crate) fn max_age(&self) -> Duration {
        self.jwks_max_age
    }

    /// Whether a token by this key may live now or later.
    pub(super) fn is_in_use(&self, turns: &[Turn], at: usize, now: Timestamp) -> bool {
        signing::ends_at(turns, at).is_none_or(|end| end.plus(self.access_ttl) > now)
    }

    /// The private half, or the secret of a symmetric key.
    pub(super) fn private(&self, row: &SigningKey) -> Result<Option<zeroize::Zeroizing<Vec<u8>>>, Error> {
        let open = |sealed| self.seals.open(SIGNING_KEY, sealed);
        let private = row.sealed.as_deref().map(open).transpose();
        private.map_err(|e| Error::internal(format!("signing key: {e}")))
    }

    fn open_key(&self, row: &SigningKey) -> Result<Key, Error> {
        let broken = |e: keys::Error| Error::internal(e.to_string());
        let (algorithm, private) = (row.algorithm, self.private(row)?);
        let private = private.as_ref().map(|private| private.as_slice());
        Ok(Key {
            kid: row.kid.clone(),
            algorithm,
            encoding: private.filter(|_| !row.retired).map(|private| keys::encoding(algorithm, private)),
            decoding: keys::decoding(algorithm, &row.public, private).map_err(broken)?,
            jwk: keys::jwk(algorithm, &row.kid, &row.public).map_err(broken)?,
        })
    }
}
