//! What was done within a time, for limits that must survive a restart: asks of an account, refusals of a source.

use super::{Error, Store, Tx, arg};
use crate::domain::ids::AccountId;
use crate::domain::time::Timestamp;

const COUNT: &str = "SELECT CAST(COUNT(*) AS BIGINT) FROM hits WHERE bucket = $1 AND at > $2";
const NTH_NEWEST: &str =
    "SELECT at FROM hits WHERE bucket = $1 AND at > $2 AND at <= $3 ORDER BY at DESC LIMIT 1 OFFSET $4";
const ADD: &str =
    "INSERT INTO hits (bucket, account_id, at, expires_at) VALUES ($1, $2, $3, $4) RETURNING id";
const REMOVE: &str = "DELETE FROM hits WHERE id = $1";
/// Adds a hit with the next number, if each of three windows has room; no more hits are counted than fill it. The order
/// is for PostgreSQL, which would otherwise collect all of them before it counts the first. Who takes number N has seen all
/// that were numbered before, so the count is exact; of two that take the same number at once one adds nothing.
const ADD_NUMBERED: &str = "INSERT INTO hits (bucket, number, at, expires_at) \
     SELECT $1, COALESCE((SELECT MAX(number) FROM hits WHERE bucket = $1), 0) + 1, $2, $3 \
     WHERE (SELECT COUNT(*) FROM (SELECT at FROM hits WHERE bucket = $1 AND at > $4 AND at <= $5 ORDER BY at DESC LIMIT $6) AS a) < $7 \
     AND (SELECT COUNT(*) FROM (SELECT at FROM hits WHERE bucket = $1 AND at > $8 AND at <= $9 ORDER BY at DESC LIMIT $10) AS b) < $11 \
     AND (SELECT COUNT(*) FROM (SELECT at FROM hits WHERE bucket = $1 AND at > $12 AND at <= $13 ORDER BY at DESC LIMIT $14) AS c) < $15 \
     ON CONFLICT DO NOTHING RETURNING id";
const CLEAR: &str = "DELETE FROM hits WHERE bucket = $1";
const FORGET: &str = "DELETE FROM hits WHERE account_id = $1";

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

/// Hits `bucket`, which counts something of `account` if there is one; after `expires_at` the hit may be forgotten.
/// Returns its id.
pub(crate) async fn add(
    tx: &mut Tx,
    bucket: &str,
    account: Option<AccountId>,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<i64, Error> {
    let account = account.map(|account| account.0);
    tx.one(ADD, [arg(bucket), arg(account), arg(now), arg(expires_at)]).await?.get(0)
}

/// Takes a hit back.
pub(crate) async fn remove(tx: &mut Tx, id: i64) -> Result<(), Error> {
    tx.execute(REMOVE, [arg(id)]).await.map(drop)
}

/// So many hits may lie between two times. They are counted up to that many, and a limit that does not bind lets others
/// be added all the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    pub(crate) after: Timestamp,
    pub(crate) until: Timestamp,
    pub(crate) max: u64,
    pub(crate) binds: bool,
}

/// Hits `bucket` if all windows have room, exactly and by one statement alone: no lock is held between two, so a node that
/// stops in the middle holds nobody up. `None`: there was no room, or somebody else was faster.
pub(crate) async fn add_at_once(
    store: &Store,
    bucket: &str,
    windows: [Limit; 3],
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<Option<i64>, Error> {
    let mut args = vec![arg(bucket), arg(now), arg(expires_at)];
    for Limit { after, until, max, binds } in windows {
        let counted = i64::try_from(max).unwrap_or(i64::MAX - 1);
        let below = if binds { counted } else { counted + 1 };
        args.extend([arg(after), arg(until), arg(counted), arg(below)]);
    }
    store.at_once(ADD_NUMBERED, args).await?.map(|row| row.get(0)).transpose()
}

/// Forgets all hits of `bucket`.
pub(crate) async fn clear(tx: &mut Tx, bucket: &str) -> Result<(), Error> {
    tx.execute(CLEAR, [arg(bucket)]).await.map(drop)
}

/// Forgets all hits of an account. Those that a node of an older release added name no account; they are over within a day.
pub(crate) async fn forget(tx: &mut Tx, account: AccountId) -> Result<(), Error> {
    tx.execute(FORGET, [arg(account.0)]).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_counted_of_an_account_is_forgotten_without_a_look_at_all_hits() {
        super::super::plans::check(&[COUNT, NTH_NEWEST, CLEAR, FORGET]).await;
    }
}
