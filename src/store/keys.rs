//! Keys at rest: the root key and the signing keys, sealed under a key that is not in the database.

use super::{Error, Tx, arg};
use crate::domain::signing::{Algorithm, Turn};
use crate::domain::time::Timestamp;

const SECRETS: &str = "SELECT name, sealed FROM server_secrets ORDER BY name";
const ANY_SECRET: &str = "SELECT 1 FROM server_secrets";
const ADD_SECRET: &str = "INSERT INTO server_secrets (name, sealed) VALUES ($1, $2) ON CONFLICT DO NOTHING";
const SIGNING: &str = "SELECT kid, public, sealed, created_at, signs_from, algorithm, retired FROM signing_keys \
     ORDER BY signs_from, created_at, kid";
const REMOVE_SECRET: &str = "DELETE FROM server_secrets WHERE name = $1";
/// Backup codes by their time of making; trusted devices known by a fingerprint.
const ROOT_IS_NEEDED: &str = "SELECT 1 WHERE EXISTS (SELECT 1 FROM backup_codes WHERE made_at < $1 AND used_at IS NULL) \
     OR EXISTS (SELECT 1 FROM trusts WHERE created_at < $1)";
const ADD_SIGNING: &str = "INSERT INTO signing_keys (kid, public, sealed, created_at, signs_from, algorithm) \
     VALUES ($1, $2, $3, $4, $5, $6)";
const REMOVE_SIGNING: &str = "DELETE FROM signing_keys WHERE kid = $1";
const ADD_ISSUER: &str = "INSERT INTO issuers (issuer, since) VALUES ($1, $2) ON CONFLICT DO NOTHING";
const ISSUERS: &str = "SELECT issuer FROM issuers";
const RETIRE: &str = "UPDATE signing_keys SET retired = 1, sealed = NULL WHERE kid = $1";
const RETIRE_SYMMETRIC: &str = "UPDATE signing_keys SET retired = 1 WHERE kid = $1";

/// A signing key. Its public half stays for ever: the phone that keeps its first token still proves its session.
#[derive(Clone, Debug)]
pub(crate) struct SigningKey {
    pub(crate) kid: String,
    pub(crate) algorithm: Algorithm,
    /// Empty for a symmetric algorithm.
    pub(crate) public: Vec<u8>,
    /// The sealed private half, until it has signed its last token; the secret of a symmetric algorithm, for ever.
    pub(crate) sealed: Option<Vec<u8>>,
    pub(crate) created_at: Timestamp,
    /// From when it signs; the key with the latest such time that has come is the one in use.
    pub(crate) signs_from: Timestamp,
    /// Whether it has signed its last token.
    pub(crate) retired: bool,
}

impl SigningKey {
    /// What the order of the keys depends on.
    pub(crate) fn turn(&self) -> Turn {
        let can_sign = !self.retired && self.sealed.is_some();
        Turn { algorithm: self.algorithm, signs_from: self.signs_from, can_sign }
    }
}

/// Adds a sealed secret, unless there is one of that name.
pub(crate) async fn add_secret(tx: &mut Tx, name: &str, sealed: &[u8]) -> Result<(), Error> {
    tx.execute(ADD_SECRET, [arg(name), arg(sealed)]).await.map(drop)
}

/// The server's secrets by name, sealed.
pub(crate) async fn secrets(tx: &mut Tx) -> Result<Vec<(String, Vec<u8>)>, Error> {
    tx.all(SECRETS, []).await?.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}

/// Takes a secret away.
pub(crate) async fn remove_secret(tx: &mut Tx, name: &str) -> Result<(), Error> {
    tx.execute(REMOVE_SECRET, [arg(name)]).await.map(drop)
}

/// Whether something without an end, or with a distant one, is kept that a root key made before `successor`.
pub(crate) async fn root_is_needed(tx: &mut Tx, successor: Timestamp) -> Result<bool, Error> {
    Ok(tx.optional(ROOT_IS_NEEDED, [arg(successor)]).await?.is_some())
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
            algorithm: Algorithm::parse(&row.get::<String>(5)?)
                .ok_or_else(|| Error::Failed("signing_keys: an unknown algorithm".to_owned()))?,
            retired: row.get::<i64>(6)? != 0,
        })
    };
    rows.iter().map(read).collect()
}

/// Adds a signing key. Only after [`super::seals::check_alone`], so that nobody else adds one at the same time.
pub(crate) async fn add_signing(tx: &mut Tx, key: SigningKey) -> Result<(), Error> {
    let args = [
        arg(key.kid),
        arg(key.public.as_slice()),
        arg(key.sealed.unwrap_or_default().as_slice()),
        arg(key.created_at),
        arg(key.signs_from),
        arg(key.algorithm.name()),
    ];
    tx.execute(ADD_SIGNING, args).await.map(drop)
}

/// Takes a signing key away, and with it every token that it signed.
pub(crate) async fn remove_signing(tx: &mut Tx, kid: &str) -> Result<(), Error> {
    tx.execute(REMOVE_SIGNING, [arg(kid)]).await.map(drop)
}

/// Notes that a key signs no more and destroys its private half, unless that is what verifies its tokens.
pub(crate) async fn retire(tx: &mut Tx, kid: &str, algorithm: Algorithm) -> Result<(), Error> {
    let sql = if algorithm.is_symmetric() { RETIRE_SYMMETRIC } else { RETIRE };
    tx.execute(sql, [arg(kid)]).await.map(drop)
}

/// Notes that a server signs under this issuer; whether that is new.
pub(crate) async fn add_issuer(tx: &mut Tx, issuer: &str, now: Timestamp) -> Result<bool, Error> {
    Ok(tx.execute(ADD_ISSUER, [arg(issuer), arg(now)]).await? == 1)
}

/// Every issuer under which tokens were signed.
pub(crate) async fn issuers(tx: &mut Tx) -> Result<Vec<String>, Error> {
    tx.all(ISSUERS, []).await?.iter().map(|row| row.get(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whether_a_root_key_is_needed_is_found_without_a_look_at_all_that_was_made() {
        super::super::plans::check(&[ROOT_IS_NEEDED]).await;
    }
}
