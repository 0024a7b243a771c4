//! Secrets of authenticator apps, sealed: the one in force and the one that is being set up.

use super::{Error, Tx, arg};
use crate::domain::ids::AccountId;
use crate::domain::time::Timestamp;

const SECRET: &str = "SELECT sealed FROM totp_secrets WHERE account_id = $1 AND pending = $2";
const BEGIN: &str = "INSERT INTO totp_secrets (account_id, pending, sealed, step, created_at) VALUES ($1, 1, $2, 0, $3) \
     ON CONFLICT (account_id, pending) DO UPDATE SET sealed = excluded.sealed, step = 0, created_at = excluded.created_at";
// A step counts once: of many that race with the same code, one changes a row.
const USE_STEP: &str =
    "UPDATE totp_secrets SET step = $2 WHERE account_id = $1 AND pending = 0 AND step < $2";
const DROP: &str = "DELETE FROM totp_secrets WHERE account_id = $1 AND pending = $2";
const PROMOTE: &str = "UPDATE totp_secrets SET pending = 0, step = $2 WHERE account_id = $1 AND pending = 1";
const DROP_ALL: &str = "DELETE FROM totp_secrets WHERE account_id = $1";

/// Which of an account's two secrets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Which {
    InForce,
    Pending,
}

impl Which {
    fn flag(self) -> bool {
        self == Self::Pending
    }
}

/// The sealed secret, if there is one.
pub(crate) async fn secret(tx: &mut Tx, account: AccountId, which: Which) -> Result<Option<Vec<u8>>, Error> {
    let row = tx.optional(SECRET, [arg(account.0), arg(which.flag())]).await?;
    row.map(|row| row.get(0)).transpose()
}

/// Begins to set an app up; one that was begun before is forgotten.
pub(crate) async fn begin(
    tx: &mut Tx,
    account: AccountId,
    sealed: &[u8],
    now: Timestamp,
) -> Result<(), Error> {
    tx.execute(BEGIN, [arg(account.0), arg(sealed), arg(now)]).await.map(drop)
}

/// Takes a time step; false when it, or a later one, was taken before.
pub(crate) async fn use_step(tx: &mut Tx, account: AccountId, step: i64) -> Result<bool, Error> {
    Ok(tx.execute(USE_STEP, [arg(account.0), arg(step)]).await? == 1)
}

/// Puts the pending secret in force; `step` proved it and is used up.
pub(crate) async fn promote(tx: &mut Tx, account: AccountId, step: i64) -> Result<(), Error> {
    tx.execute(DROP, [arg(account.0), arg(false)]).await?;
    tx.execute(PROMOTE, [arg(account.0), arg(step)]).await.map(drop)
}

/// Forgets both secrets.
pub(crate) async fn forget(tx: &mut Tx, account: AccountId) -> Result<(), Error> {
    tx.execute(DROP_ALL, [arg(account.0)]).await.map(drop)
}
