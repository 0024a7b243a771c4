//! Second factors of an account: which are on, backup codes, and runs of failures.

use super::{Error, Tx, arg};
use crate::domain::factor::Method;
use crate::domain::ids::AccountId;
use crate::domain::time::Timestamp;

const METHODS: &str = "SELECT method FROM factors WHERE account_id = $1";
const TURN_ON: &str =
    "INSERT INTO factors (account_id, method, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
const TURN_OFF: &str = "DELETE FROM factors WHERE account_id = $1 AND method = $2";
const TURN_ALL_OFF: &str = "DELETE FROM factors WHERE account_id = $1";
const FAILED: &str = "INSERT INTO factor_failures (account_id, method, run) VALUES ($1, $2, 1) \
     ON CONFLICT (account_id, method) DO UPDATE SET run = factor_failures.run + 1 RETURNING run";
const SUCCEEDED: &str = "DELETE FROM factor_failures WHERE account_id = $1 AND method = $2";
const REBOUND: &str = "DELETE FROM factor_failures WHERE account_id = $1 AND method = $2 AND run >= $3";
const WORN_OUT: &str = "SELECT f.method FROM factors f JOIN factor_failures r ON r.account_id = f.account_id AND r.method = f.method \
     WHERE f.account_id = $1 AND r.run >= $2";
const FORGET_FAILURES: &str = "DELETE FROM factor_failures WHERE account_id = $1";
const CLEAR_CODES: &str = "DELETE FROM backup_codes WHERE account_id = $1";
const CLEAR_PENDING: &str = "DELETE FROM backup_codes WHERE account_id = $1 AND pending = 1";
const CLEAR_IN_FORCE: &str = "DELETE FROM backup_codes WHERE account_id = $1 AND pending = 0";
const HAS_PENDING: &str = "SELECT 1 FROM backup_codes WHERE account_id = $1 AND pending = 1 LIMIT 1";
const PROMOTE: &str = "UPDATE backup_codes SET pending = 0 WHERE account_id = $1";
const CODES_LEFT: &str =
    "SELECT COUNT(*) FROM backup_codes WHERE account_id = $1 AND used_at IS NULL AND pending = 0";
const ADD_CODE: &str =
    "INSERT INTO backup_codes (account_id, hash, pending, made_at) VALUES ($1, $2, $3, $4)";
const CODES_END: &str = "SELECT MAX(account_id) FROM (SELECT account_id FROM backup_codes WHERE account_id > $1 \
     ORDER BY account_id LIMIT 10000) AS counted";
const WITH_CODES_BEFORE: &str = "SELECT CAST(COUNT(DISTINCT account_id) AS BIGINT) FROM backup_codes \
     WHERE account_id > $1 AND account_id <= $2 AND made_at < $3 AND used_at IS NULL AND pending = 0";
const USE_CODE: &str = "UPDATE backup_codes SET used_at = $3 WHERE account_id = $1 AND hash = $2 AND pending = 0 AND used_at IS NULL";
const KNOWS_CODE: &str = "SELECT 1 FROM backup_codes WHERE account_id = $1 AND hash = $2 AND pending = 0";

/// The methods that are on, in the order of [`Method`].
pub(crate) async fn methods(tx: &mut Tx, account: AccountId) -> Result<Vec<Method>, Error> {
    let rows = tx.all(METHODS, [arg(account.0)]).await?;
    read_methods(&rows)
}

/// The methods that are on and were guessed at so often that they are worth nothing until they are bound again.
pub(crate) async fn worn_out(tx: &mut Tx, account: AccountId, limit: u32) -> Result<Vec<Method>, Error> {
    let rows = tx.all(WORN_OUT, [arg(account.0), arg(limit)]).await?;
    read_methods(&rows)
}

fn read_methods(rows: &[super::Row]) -> Result<Vec<Method>, Error> {
    let parse = |row: &super::Row| {
        row.get::<String>(0)?.parse().map_err(|()| Error::Failed("factors: an unknown method".to_owned()))
    };
    let mut methods = rows.iter().map(parse).collect::<Result<Vec<Method>, Error>>()?;
    methods.sort_unstable();
    Ok(methods)
}

/// Turns a method on and forgets its failures: binding again is what ends its being off.
pub(crate) async fn turn_on(
    tx: &mut Tx,
    account: AccountId,
    method: Method,
    now: Timestamp,
) -> Result<(), Error> {
    tx.execute(SUCCEEDED, [arg(account.0), arg(method.as_str())]).await?;
    tx.execute(TURN_ON, [arg(account.0), arg(method.as_str()), arg(now)]).await.map(drop)
}

/// Turns a method on without a proof of it. Its failures stay, unless they were `limit` and had ended it: else whoever has
/// a session could guess at codes for ever, by turning the method on again before each block.
pub(crate) async fn turn_on_unproven(
    tx: &mut Tx,
    account: AccountId,
    method: Method,
    limit: u32,
    now: Timestamp,
) -> Result<(), Error> {
    tx.execute(REBOUND, [arg(account.0), arg(method.as_str()), arg(limit)]).await?;
    tx.execute(TURN_ON, [arg(account.0), arg(method.as_str()), arg(now)]).await.map(drop)
}

/// Turns a method off; false when it was not on.
pub(crate) async fn turn_off(tx: &mut Tx, account: AccountId, method: Method) -> Result<bool, Error> {
    Ok(tx.execute(TURN_OFF, [arg(account.0), arg(method.as_str())]).await? == 1)
}

/// Turns everything off and destroys the backup codes.
pub(crate) async fn turn_all_off(tx: &mut Tx, account: AccountId) -> Result<(), Error> {
    tx.execute(CLEAR_CODES, [arg(account.0)]).await?;
    tx.execute(TURN_ALL_OFF, [arg(account.0)]).await.map(drop)
}

/// Counts a failure and returns the method's run of failures, this one included.
pub(crate) async fn failed(tx: &mut Tx, account: AccountId, method: Method) -> Result<u32, Error> {
    let run: i64 = tx.one(FAILED, [arg(account.0), arg(method.as_str())]).await?.get(0)?;
    Ok(u32::try_from(run).unwrap_or(u32::MAX))
}

/// Ends a method's run of failures.
pub(crate) async fn succeeded(tx: &mut Tx, account: AccountId, method: Method) -> Result<(), Error> {
    tx.execute(SUCCEEDED, [arg(account.0), arg(method.as_str())]).await.map(drop)
}

pub(crate) async fn forget_failures(tx: &mut Tx, account: AccountId) -> Result<(), Error> {
    tx.execute(FORGET_FAILURES, [arg(account.0)]).await.map(drop)
}

/// Replaces all backup codes by these hashes.
pub(crate) async fn replace_codes(
    tx: &mut Tx,
    account: AccountId,
    hashes: &[[u8; 32]],
    now: Timestamp,
) -> Result<(), Error> {
    tx.execute(CLEAR_CODES, [arg(account.0)]).await?;
    for hash in hashes {
        tx.execute(ADD_CODE, [arg(account.0), arg(hash.as_slice()), arg(false), arg(now)]).await?;
    }
    turn_on(tx, account, Method::BackupCode, now).await
}

/// Keeps these hashes until the factor that they were shown with is proven; those in force stay until then.
pub(crate) async fn prepare_codes(
    tx: &mut Tx,
    account: AccountId,
    hashes: &[[u8; 32]],
    now: Timestamp,
) -> Result<(), Error> {
    tx.execute(CLEAR_PENDING, [arg(account.0)]).await?;
    for hash in hashes {
        tx.execute(ADD_CODE, [arg(account.0), arg(hash.as_slice()), arg(true), arg(now)]).await?;
    }
    Ok(())
}

/// Puts the codes in force that were prepared, if there are any.
pub(crate) async fn promote_codes(tx: &mut Tx, account: AccountId, now: Timestamp) -> Result<(), Error> {
    if tx.optional(HAS_PENDING, [arg(account.0)]).await?.is_none() {
        return Ok(());
    }
    tx.execute(CLEAR_IN_FORCE, [arg(account.0)]).await?;
    tx.execute(PROMOTE, [arg(account.0)]).await?;
    turn_on(tx, account, Method::BackupCode, now).await
}

/// How many backup codes have not been used.
pub(crate) async fn codes_left(tx: &mut Tx, account: AccountId) -> Result<u64, Error> {
    let left: i64 = tx.one(CODES_LEFT, [arg(account.0)]).await?.get(0)?;
    Ok(u64::try_from(left).unwrap_or(0))
}

/// How many accounts hold unused backup codes that were made before `time`. Counted in windows, so that no statement takes
/// longer the more codes there are.
pub(crate) async fn accounts_with_codes_before(tx: &mut Tx, time: Timestamp) -> Result<u64, Error> {
    let (mut accounts, mut after) = (0, 0);
    while let Some(end) = tx.one(CODES_END, [arg(after)]).await?.get::<Option<i64>>(0)? {
        let counted = tx.one(WITH_CODES_BEFORE, [arg(after), arg(end), arg(time)]).await?;
        accounts += counted.get::<i64>(0)?.unsigned_abs();
        after = end;
    }
    Ok(accounts)
}

pub(crate) async fn clear_codes(tx: &mut Tx, account: AccountId) -> Result<(), Error> {
    tx.execute(CLEAR_CODES, [arg(account.0)]).await.map(drop)
}

/// Whether a backup code was spent by this call, was spent before, or is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Spent {
    Now,
    Before,
    Unknown,
}

/// Spends a backup code: of many that race, one gets [`Spent::Now`].
pub(crate) async fn use_code(
    tx: &mut Tx,
    account: AccountId,
    hash: &[u8; 32],
    now: Timestamp,
) -> Result<Spent, Error> {
    if tx.execute(USE_CODE, [arg(account.0), arg(hash.as_slice()), arg(now)]).await? == 1 {
        return Ok(Spent::Now);
    }
    let known = tx.optional(KNOWS_CODE, [arg(account.0), arg(hash.as_slice())]).await?;
    Ok(if known.is_some() { Spent::Before } else { Spent::Unknown })
}
