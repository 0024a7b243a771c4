//! Guesses at the fingerprints of an account's trusted devices, and until when its fingerprints do not count.

use super::{Error, Tx, arg};
use crate::domain::ids::AccountId;
use crate::domain::time::Timestamp;

const FIND: &str = "SELECT run, ignored_until FROM fingerprint_guesses WHERE account_id = $1";
const GUESSED: &str = "INSERT INTO fingerprint_guesses (account_id, run) VALUES ($1, 1) \
     ON CONFLICT (account_id) DO UPDATE SET run = fingerprint_guesses.run + 1 RETURNING run";
const IGNORE: &str = "UPDATE fingerprint_guesses SET ignored_until = $2 WHERE account_id = $1";
const FORGET: &str = "DELETE FROM fingerprint_guesses WHERE account_id = $1";
const FORGIVE: &str = "UPDATE fingerprint_guesses SET run = 0 WHERE account_id = $1 AND run > 0";

/// How an account's fingerprints stand.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Guesses {
    /// Unknown ones in a row.
    pub(crate) run: u32,
    /// Until when no fingerprint counts.
    pub(crate) ignored_until: Option<Timestamp>,
}

pub(crate) async fn find(tx: &mut Tx, account: AccountId) -> Result<Guesses, Error> {
    let Some(row) = tx.optional(FIND, [arg(account.0)]).await? else { return Ok(Guesses::default()) };
    Ok(Guesses {
        run: u32::try_from(row.get::<i64>(0)?).unwrap_or(u32::MAX),
        ignored_until: row.get::<Option<i64>>(1)?.map(Timestamp),
    })
}

/// Counts an unknown fingerprint and returns how many there were in a row.
pub(crate) async fn guessed(tx: &mut Tx, account: AccountId) -> Result<u32, Error> {
    let run: i64 = tx.one(GUESSED, [arg(account.0)]).await?.get(0)?;
    Ok(u32::try_from(run).unwrap_or(u32::MAX))
}

/// Lets no fingerprint of the account count until `until`.
pub(crate) async fn ignore(tx: &mut Tx, account: AccountId, until: Timestamp) -> Result<(), Error> {
    tx.execute(IGNORE, [arg(account.0), arg(until)]).await.map(drop)
}

/// Forgets all guesses.
pub(crate) async fn forget(tx: &mut Tx, account: AccountId) -> Result<(), Error> {
    tx.execute(FORGET, [arg(account.0)]).await.map(drop)
}

/// Ends the run of guesses; the time in which no fingerprint counts stays.
pub(crate) async fn forgive(tx: &mut Tx, account: AccountId) -> Result<(), Error> {
    tx.execute(FORGIVE, [arg(account.0)]).await.map(drop)
}
