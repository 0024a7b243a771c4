//! Sign-ins whose password was right and whose second factor is awaited.

use super::{Error, Tx, arg};
use crate::domain::account::Account;
use crate::domain::ids::AccountId;
use crate::domain::time::Timestamp;

const INSERT: &str = "INSERT INTO challenges (hash, account_id, password_version, remember, login_call, tries, expires_at) VALUES ($1, $2, $3, $4, $5, 0, $6) \
     ON CONFLICT (hash) DO UPDATE SET account_id = excluded.account_id, password_version = excluded.password_version, \
     login_call = excluded.login_call, tries = 0, expires_at = excluded.expires_at";
const LIVE: &str = "SELECT account_id, password_version, remember, tries, expires_at FROM challenges WHERE hash = $1 AND expires_at > $2";
const TRIED: &str = "UPDATE challenges SET tries = tries + 1 WHERE hash = $1";
// A login call without a value of `login_call` has one row: NULL equals nothing.
const END: &str = "DELETE FROM challenges WHERE account_id = (SELECT account_id FROM challenges WHERE hash = $1) \
     AND (hash = $1 OR login_call = (SELECT login_call FROM challenges WHERE hash = $1))";
const END_ALL: &str = "DELETE FROM challenges WHERE account_id = $1";

/// A sign-in under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Challenge {
    pub(crate) account: AccountId,
    /// The password that was proven; another one ends the sign-in.
    pub(crate) password_version: i64,
    /// Whether the session may outlive the browser.
    pub(crate) remember: bool,
    /// Wrong codes so far.
    pub(crate) tries: u32,
    pub(crate) expires_at: Timestamp,
}

/// A sign-in on its way into the store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct New<'a> {
    pub(crate) hash: &'a [u8; 32],
    pub(crate) account: &'a Account,
    pub(crate) remember: bool,
    /// The same for all rows of one sign-in, where it is known by more than one hash.
    pub(crate) login_call: Option<&'a [u8; 32]>,
    pub(crate) expires_at: Timestamp,
}

/// Notes that the account's password was proven.
pub(crate) async fn insert(tx: &mut Tx, new: New<'_>) -> Result<(), Error> {
    let args = [
        arg(new.hash.as_slice()),
        arg(new.account.id.0),
        arg(new.account.password_version),
        arg(new.remember),
        arg(new.login_call.copied()),
        arg(new.expires_at),
    ];
    tx.execute(INSERT, args).await.map(drop)
}

pub(crate) async fn live(tx: &mut Tx, hash: &[u8; 32], now: Timestamp) -> Result<Option<Challenge>, Error> {
    let Some(row) = tx.optional(LIVE, [arg(hash.as_slice()), arg(now)]).await? else { return Ok(None) };
    Ok(Some(Challenge {
        account: AccountId(row.get(0)?),
        password_version: row.get(1)?,
        remember: row.get::<i64>(2)? != 0,
        tries: u32::try_from(row.get::<i64>(3)?).unwrap_or(u32::MAX),
        expires_at: Timestamp(row.get(4)?),
    }))
}

/// Counts a wrong code.
pub(crate) async fn tried(tx: &mut Tx, hash: &[u8; 32]) -> Result<(), Error> {
    tx.execute(TRIED, [arg(hash.as_slice())]).await.map(drop)
}

/// Ends a sign-in, by whichever hash it is known.
pub(crate) async fn end(tx: &mut Tx, hash: &[u8; 32]) -> Result<(), Error> {
    tx.execute(END, [arg(hash.as_slice())]).await.map(drop)
}

/// Ends every sign-in that is under way for an account.
pub(crate) async fn end_all(tx: &mut Tx, account: AccountId) -> Result<(), Error> {
    tx.execute(END_ALL, [arg(account.0)]).await.map(drop)
}
