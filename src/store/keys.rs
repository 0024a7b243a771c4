//! Keys at rest: the root key and the signing keys, sealed under a key that is not in the database.

use super::{Error, Tx, arg};
use crate::domain::time::Timestamp;

const SECRET: &str = "SELECT sealed FROM server_secrets WHERE name = $1";
const ANY_SECRET: &str = "SELECT 1 FROM server_secrets";
const ADD_SECRET: &str = "INSERT INTO server_secrets (name, sealed) VALUES ($1, $2) ON CONFLICT DO NOTHING";
const SIGNING: &str = "SELECT kid, public, sealed, created_at, signs_from FROM signing_keys ORDER BY signs_from, created_at, kid";
const ADD_SIGNING: &str =
    "INSERT INTO signing_keys (kid, public, sealed, created_at, signs_from) VALUES ($1, $2, $3, $4, $5)";
const ADD_FIRST: &str = "INSERT INTO signing_keys (kid, public, sealed, created_at, signs_from) \
     SELECT $1, $2, $3, $4, $5 WHERE NOT EXISTS (SELECT 1 FROM signing_keys)";
const ADD_ISSUER: &str = "INSERT INTO issuers (issuer, since) VALUES ($1, $2) ON CONFLICT DO NOTHING";
const ISSUERS: &str = "SELECT issuer FROM issuers";
const FORGET_PRIVATE: &str = "UPDATE signing_keys SET sealed = NULL WHERE kid = $1";

/// A signing key. Its public half stays for ever: the phone that keeps its first token still proves its session.
#[derive(Clone, Debug)]
pub(crate) struct SigningKey {
    pub(crate) kid: String,
    pub(crate) public: Vec<u8>,
    /// The sealed private half, until it has signed its last token.
    pub(crate) sealed: Option<Vec<u8>>,
    pub(crate) created_at: Timestamp,
    /// From when it signs; the key with the latest such time that has come is the one in use.
    pub(crate) signs_from: Timestamp,
}

/// The sealed secret called `name`; when there is none, `fresh` becomes it. Many nodes may call at once: all get
/// the same.
pub(crate) async fn secret(tx: &mut Tx, name: &'static str, fresh: &[u8]) -> Result<Vec<u8>, Error> {
    tx.execute(ADD_SECRET, [arg(name), arg(fresh)]).await?;
    tx.one(SECRET, [arg(name)]).await?.get(0)
}

/// Whether anything was ever sealed in this store.
pub(crate) async fn is_sealed(tx: &mut Tx) -> Result<bool, Error> {
    Ok(tx.optional(ANY_SECRET, []).await?.is_some())
}

/// All signing keys, in the order in which they sign.
pub(crate) async fn signing(tx: &mut Tx) -> Result<Vec<SigningKey>, Error> {
    let rows = tx.all(SIGNING, []).await?;
    let read = |row: &super::Row| {
        Ok(SigningKey {
            kid: row.get(0)?,
            public: row.get(1)?,
            sealed: row.get(2)?,
            created_at: Timestamp(row.get(3)?),
            signs_from: Timestamp(row.get(4)?),
        })
    };
    rows.iter().map(read).collect()
}

/// Adds a signing key, with `only_first` only when there is none yet; whether it was added.
pub(crate) async fn add_signing(tx: &mut Tx, key: SigningKey, only_first: bool) -> Result<bool, Error> {
    let args = [
        arg(key.kid),
        arg(key.public.as_slice()),
        arg(key.sealed.unwrap_or_default().as_slice()),
        arg(key.created_at),
        arg(key.signs_from),
    ];
    Ok(tx.execute(if only_first { ADD_FIRST } else { ADD_SIGNING }, args).await? == 1)
}

/// Destroys the private half of a key that signs no more.
pub(crate) async fn forget_private(tx: &mut Tx, kid: &str) -> Result<(), Error> {
    tx.execute(FORGET_PRIVATE, [arg(kid)]).await.map(drop)
}

/// Notes that a server signs under this issuer; whether that is new.
pub(crate) async fn add_issuer(tx: &mut Tx, issuer: &str, now: Timestamp) -> Result<bool, Error> {
    Ok(tx.execute(ADD_ISSUER, [arg(issuer), arg(now)]).await? == 1)
}

/// Every issuer under which tokens were signed.
pub(crate) async fn issuers(tx: &mut Tx) -> Result<Vec<String>, Error> {
    tx.all(ISSUERS, []).await?.iter().map(|row| row.get(0)).collect()
}
