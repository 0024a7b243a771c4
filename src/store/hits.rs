//! What was done within a time, for limits that must survive a restart: asks of an account, refusals of a source.

use super::{Error, Tx, arg};
use crate::domain::ids::AccountId;
use crate::domain::time::Timestamp;

const COUNT: &str = "SELECT CAST(COUNT(*) AS BIGINT) FROM hits WHERE bucket = $1 AND at > $2";
const NTH_NEWEST: &str =
    "SELECT at FROM hits WHERE bucket = $1 AND at > $2 AND at <= $3 ORDER BY at DESC LIMIT 1 OFFSET $4";
const ADD: &str = "INSERT INTO hits (bucket, at, expires_at) VALUES ($1, $2, $3)";
const CLEAR: &str = "DELETE FROM hits WHERE bucket = $1";
const FORGET: &str = "DELETE FROM hits WHERE bucket LIKE $1 OR bucket LIKE $2";

/// How often `bucket` was hit after `since`.
pub(crate) async fn count(tx: &mut Tx, bucket: &str, since: Timestamp) -> Result<u64, Error> {
    let count: i64 = tx.one(COUNT, [arg(bucket), arg(since)]).await?.get(0)?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// When the `nth` newest hit of `bucket` within a time was, counted from 1: there is one if there were as many.
pub(crate) async fn nth_newest(
    tx: &mut Tx,
    bucket: &str,
    (after, until): (Timestamp, Timestamp),
    nth: u64,
) -> Result<Option<Timestamp>, Error> {
    let skipped = i64::try_from(nth.saturating_sub(1)).unwrap_or(i64::MAX);
    let row = tx.optional(NTH_NEWEST, [arg(bucket), arg(after), arg(until), arg(skipped)]).await?;
    row.map(|row| row.get(0).map(Timestamp)).transpose()
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

/// Forgets all hits of an account: of buckets `WHAT/ACCOUNT` and `WHAT/ACCOUNT/MORE`.
pub(crate) async fn forget(tx: &mut Tx, account: AccountId) -> Result<(), Error> {
    let args = [arg(format!("%/{account}")), arg(format!("%/{account}/%"))];
    tx.execute(FORGET, args).await.map(drop)
}
