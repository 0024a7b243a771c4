//! Refresh tokens by their hash: one live one per session. Each is replaced once; while its successor is unused that
//! may be replaced by another one.

use super::{Error, Tx, arg};
use crate::domain::ids::SessionId;
use crate::domain::time::Timestamp;

const INSERT: &str = "INSERT INTO refresh_tokens (hash, session, expires_at) VALUES ($1, $2, $3)";
const FIND: &str = "SELECT session, expires_at, replaced_at, retries, retried_at, network, shared FROM refresh_tokens WHERE hash = $1";
const REPLACE: &str =
    "UPDATE refresh_tokens SET replaced_at = $2, network = $3 WHERE hash = $1 AND replaced_at IS NULL";
const RETRY: &str =
    "UPDATE refresh_tokens SET retries = retries + 1, retried_at = $2, network = $3 WHERE hash = $1";
// Replaced, and by no other token: nobody may show it, on nodes of an older release neither.
const REVOKE: &str = "UPDATE refresh_tokens SET replaced_at = $2 WHERE hash = $1 AND replaced_at IS NULL";
const SHARE: &str = "UPDATE refresh_tokens SET shared = $2 WHERE hash = $1";

/// What is kept of a refresh token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Kept {
    pub(crate) session: SessionId,
    pub(crate) expires_at: Timestamp,
    /// When its first successor was handed out, or when it was revoked.
    pub(crate) replaced_at: Option<Timestamp>,
    /// How many successors were handed out after the first one.
    pub(crate) retries: u32,
    /// When the newest of these was.
    pub(crate) retried_at: Option<Timestamp>,
    /// The network that got the newest successor.
    pub(crate) network: String,
    /// How many tokens in a row, the last of them its predecessor, two networks have shown at nearly the same time.
    pub(crate) shared: u32,
}

pub(crate) async fn insert(
    tx: &mut Tx,
    hash: &[u8; 32],
    session: SessionId,
    expires_at: Timestamp,
) -> Result<(), Error> {
    tx.execute(INSERT, [arg(hash.as_slice()), arg(session.to_string()), arg(expires_at)]).await.map(drop)
}

pub(crate) async fn find(tx: &mut Tx, hash: &[u8; 32]) -> Result<Option<Kept>, Error> {
    let Some(row) = tx.optional(FIND, [arg(hash.as_slice())]).await? else { return Ok(None) };
    let damaged = |_| Error::Failed("refresh_tokens: a damaged session".to_owned());
    let count = |column| row.get::<i64>(column).map(|n| u32::try_from(n).unwrap_or(u32::MAX));
    Ok(Some(Kept {
        session: row.get::<String>(0)?.parse().map_err(damaged)?,
        expires_at: Timestamp(row.get(1)?),
        replaced_at: row.get::<Option<i64>>(2)?.map(Timestamp),
        retries: count(3)?,
        retried_at: row.get::<Option<i64>>(4)?.map(Timestamp),
        network: row.get(5)?,
        shared: count(6)?,
    }))
}

/// Notes that the successor was handed out: of any number of racing calls exactly one returns true.
pub(crate) async fn replace(
    tx: &mut Tx,
    hash: &[u8; 32],
    network: &str,
    now: Timestamp,
) -> Result<bool, Error> {
    Ok(tx.execute(REPLACE, [arg(hash.as_slice()), arg(now), arg(network)]).await? == 1)
}

/// Notes that another successor was handed out.
pub(crate) async fn retry(tx: &mut Tx, hash: &[u8; 32], network: &str, now: Timestamp) -> Result<(), Error> {
    tx.execute(RETRY, [arg(hash.as_slice()), arg(now), arg(network)]).await.map(drop)
}

/// Revokes an unused token: who shows it from now on is taken for a thief.
pub(crate) async fn revoke(tx: &mut Tx, hash: &[u8; 32], now: Timestamp) -> Result<(), Error> {
    tx.execute(REVOKE, [arg(hash.as_slice()), arg(now)]).await.map(drop)
}

/// Notes how many tokens in a row, up to this one's predecessor, were shown by two networks.
pub(crate) async fn share(tx: &mut Tx, hash: &[u8; 32], run: u32) -> Result<(), Error> {
    tx.execute(SHARE, [arg(hash.as_slice()), arg(run)]).await.map(drop)
}
