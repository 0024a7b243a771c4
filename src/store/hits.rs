//! What was done within a time, for limits that must survive a restart: asks of an account, refusals of a source.

use super::{Error, Tx, arg};
use crate::domain::time::Timestamp;

const COUNT: &str = "SELECT CAST(COUNT(*) AS BIGINT) FROM hits WHERE bucket = $1 AND at > $2";
const ADD: &str = "INSERT INTO hits (bucket, at, expires_at) VALUES ($1, $2, $3)";
const CLEAR: &str = "DELETE FROM hits WHERE bucket = $1";

/// How often `bucket` was hit after `since`.
pub(crate) async fn count(tx: &mut Tx, bucket: &str, since: Timestamp) -> Result<u64, Error> {
    let count: i64 = tx.one(COUNT, [arg(bucket), arg(since)]).await?.get(0)?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Hits `bucket`; after `expires_at` the hit may be forgotten.
pub(crate) async fn add(
    tx: &mut Tx,
    bucket: &str,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<(), Error> {
    tx.execute(ADD, [arg(bucket), arg(now), arg(expires_at)]).await.map(drop)
}

/// Forgets all hits of `bucket`.
pub(crate) async fn clear(tx: &mut Tx, bucket: &str) -> Result<(), Error> {
    tx.execute(CLEAR, [arg(bucket)]).await.map(drop)
}
