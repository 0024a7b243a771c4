//! Refresh tokens by their hash: one live one per session, each replaced at most once.

use super::{Error, Tx, arg};
use crate::domain::ids::SessionId;
use crate::domain::time::Timestamp;

const INSERT: &str = "INSERT INTO refresh_tokens (hash, session, expires_at) VALUES ($1, $2, $3)";
const FIND: &str = "SELECT session, expires_at, replaced_at FROM refresh_tokens WHERE hash = $1";
const REPLACE: &str = "UPDATE refresh_tokens SET replaced_at = $2 WHERE hash = $1 AND replaced_at IS NULL";

/// What is kept of a refresh token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Kept {
    pub(crate) session: SessionId,
    pub(crate) expires_at: Timestamp,
    /// When its successor was handed out.
    pub(crate) replaced_at: Option<Timestamp>,
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
    Ok(Some(Kept {
        session: row.get::<String>(0)?.parse().map_err(damaged)?,
        expires_at: Timestamp(row.get(1)?),
        replaced_at: row.get::<Option<i64>>(2)?.map(Timestamp),
    }))
}

/// Notes that the successor was handed out: of any number of racing calls exactly one returns true.
pub(crate) async fn replace(tx: &mut Tx, hash: &[u8; 32], now: Timestamp) -> Result<bool, Error> {
    Ok(tx.execute(REPLACE, [arg(hash.as_slice()), arg(now)]).await? == 1)
}
