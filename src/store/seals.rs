//! What is sealed in the store, and the name of the key under which: one for all of it.
//!
//! Lock order: an account's row, then [`check`], then the rows that hold what was sealed.

use super::{Error, Row, Tx, arg};
use crate::crypto::seal::Fingerprint;

/// The row of `server_secrets` that names the key. No secret: the name tells nothing of the key.
pub(super) const NAME: &str = "seal";

const ADD: &str = "INSERT INTO server_secrets (name, sealed) VALUES ($1, $2) ON CONFLICT DO NOTHING";
const NAMED: &str = "SELECT sealed FROM server_secrets WHERE name = $1";
const LOCK: &str = "UPDATE server_secrets SET name = name WHERE name = $1 RETURNING sealed";
const SHARE: &str = "SELECT sealed FROM server_secrets WHERE name = $1 FOR SHARE";
const SET: &str = "UPDATE server_secrets SET sealed = $2 WHERE name = $1";

/// Names the key for a store that has none named yet, and returns the one that is.
pub(crate) async fn name_first(tx: &mut Tx, key: Fingerprint) -> Result<Fingerprint, Error> {
    tx.execute(ADD, [arg(NAME), arg(key.as_bytes())]).await?;
    read(&tx.one(NAMED, [arg(NAME)]).await?)
}

/// The key under which everything is sealed.
pub(crate) async fn named(tx: &mut Tx) -> Result<Option<Fingerprint>, Error> {
    tx.optional(NAMED, [arg(NAME)]).await?.map(|row| read(&row)).transpose()
}

/// Whether what was sealed `under` this key may be stored in this unit of work: until it ends, nobody goes over to
/// another key. Every unit that stores something freshly sealed calls this before it writes it. Units that do so at the
/// same time don't wait for each other: all owners who set up an app read this one row, and a node may freeze meanwhile.
pub(crate) async fn check(tx: &mut Tx, under: Fingerprint) -> Result<bool, Error> {
    let sql = if tx.locks_rows() { SHARE } else { NAMED };
    let named = tx.optional(sql, [arg(NAME)]).await?.map(|row| read(&row)).transpose()?;
    Ok(named == Some(under))
}

/// The same for a unit that decides by what is stored which key to add: until it ends, nobody else adds one either.
pub(crate) async fn check_alone(tx: &mut Tx, under: Fingerprint) -> Result<bool, Error> {
    Ok(lock(tx).await? == Some(under))
}

/// Keeps out everybody else who seals, until this unit ends, and returns the key that is named.
pub(crate) async fn lock(tx: &mut Tx) -> Result<Option<Fingerprint>, Error> {
    tx.optional(LOCK, [arg(NAME)]).await?.map(|row| read(&row)).transpose()
}

/// Names another key, once everything is sealed under it.
pub(crate) async fn name(tx: &mut Tx, key: Fingerprint) -> Result<(), Error> {
    tx.execute(SET, [arg(NAME), arg(key.as_bytes())]).await.map(drop)
}

fn read(row: &Row) -> Result<Fingerprint, Error> {
    let bytes: Vec<u8> = row.get(0)?;
    Fingerprint::from_bytes(&bytes).ok_or_else(|| Error::Failed("server_secrets: a damaged row".to_owned()))
}
