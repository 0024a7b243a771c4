//! Devices that are not asked for a second factor again, until their trust ends or is revoked.

use super::tx::Arg;
use super::{Error, Row, Tx, arg};
use crate::domain::ids::AccountId;
use crate::domain::time::Timestamp;

const INSERT: &str = "INSERT INTO trusts (account_id, hash, name, ip, created_at, used_at, expires_at) VALUES ($1, $2, $3, $4, $5, $5, $6)";
// The old value dies in the statement that takes it: of many that race with it, one changes a row.
const RENEW: &str = "UPDATE trusts SET hash = $3, ip = $4, used_at = $5, expires_at = $6 \
     WHERE hash = $2 AND account_id = $1 AND expires_at > $5";
const PUT: &str = "INSERT INTO trusts (account_id, hash, name, ip, created_at, used_at, expires_at) VALUES ($1, $2, $3, $4, $5, $5, $6) \
     ON CONFLICT (hash) DO UPDATE SET name = excluded.name, ip = excluded.ip, created_at = excluded.created_at, \
     used_at = excluded.used_at, expires_at = excluded.expires_at";
const USED: &str =
    "UPDATE trusts SET ip = $3, used_at = $4 WHERE hash = $2 AND account_id = $1 AND expires_at > $4";
const LIST: &str = "SELECT id, name, ip, created_at, used_at, expires_at FROM trusts WHERE account_id = $1 AND expires_at > $2 ORDER BY id";
const REVOKE: &str = "DELETE FROM trusts WHERE account_id = $1 AND id = $2";
const REVOKE_ALL: &str = "DELETE FROM trusts WHERE account_id = $1";

/// A trusted device, as its owner sees it.
#[derive(Clone, Debug)]
pub(crate) struct Trust {
    pub(crate) id: i64,
    pub(crate) name: String,
    /// The address of its last sign-in.
    pub(crate) ip: String,
    pub(crate) created_at: Timestamp,
    pub(crate) used_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

/// Whom, until when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Term<'a> {
    pub(crate) account: AccountId,
    pub(crate) ip: &'a str,
    pub(crate) expires_at: Timestamp,
}

pub(crate) async fn insert(
    tx: &mut Tx,
    term: Term<'_>,
    hash: &[u8; 32],
    name: &str,
    now: Timestamp,
) -> Result<(), Error> {
    tx.execute(INSERT, row_of(term, hash, name, now)).await.map(drop)
}

/// Trusts a device that keeps its name, or trusts it anew from now on.
pub(crate) async fn put(
    tx: &mut Tx,
    term: Term<'_>,
    hash: &[u8; 32],
    name: &str,
    now: Timestamp,
) -> Result<(), Error> {
    tx.execute(PUT, row_of(term, hash, name, now)).await.map(drop)
}

fn row_of(term: Term<'_>, hash: &[u8; 32], name: &str, now: Timestamp) -> [Arg; 6] {
    [arg(term.account.0), arg(hash.as_slice()), arg(name), arg(term.ip), arg(now), arg(term.expires_at)]
}

/// Notes that a trusted device logged in; false when it is not trusted. Its trust ends when it was to end all the same.
pub(crate) async fn used(
    tx: &mut Tx,
    account: AccountId,
    hash: &[u8; 32],
    ip: &str,
    now: Timestamp,
) -> Result<bool, Error> {
    Ok(tx.execute(USED, [arg(account.0), arg(hash.as_slice()), arg(ip), arg(now)]).await? == 1)
}

/// Takes the trust known by `old` and lets it be known by `new`; false when there is none.
pub(crate) async fn renew(
    tx: &mut Tx,
    term: Term<'_>,
    old: &[u8; 32],
    new: &[u8; 32],
    now: Timestamp,
) -> Result<bool, Error> {
    let args = [
        arg(term.account.0),
        arg(old.as_slice()),
        arg(new.as_slice()),
        arg(term.ip),
        arg(now),
        arg(term.expires_at),
    ];
    Ok(tx.execute(RENEW, args).await? == 1)
}

/// The account's trusted devices, oldest first.
pub(crate) async fn list(tx: &mut Tx, account: AccountId, now: Timestamp) -> Result<Vec<Trust>, Error> {
    tx.all(LIST, [arg(account.0), arg(now)]).await?.iter().map(read).collect()
}

/// Ends a trust; false when the account has no such one.
pub(crate) async fn revoke(tx: &mut Tx, account: AccountId, id: i64) -> Result<bool, Error> {
    Ok(tx.execute(REVOKE, [arg(account.0), arg(id)]).await? == 1)
}

pub(crate) async fn revoke_all(tx: &mut Tx, account: AccountId) -> Result<(), Error> {
    tx.execute(REVOKE_ALL, [arg(account.0)]).await.map(drop)
}

fn read(row: &Row) -> Result<Trust, Error> {
    Ok(Trust {
        id: row.get(0)?,
        name: row.get(1)?,
        ip: row.get(2)?,
        created_at: Timestamp(row.get(3)?),
        used_at: Timestamp(row.get(4)?),
        expires_at: Timestamp(row.get(5)?),
    })
}
