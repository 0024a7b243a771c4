//! Mailed codes: kept as keyed hashes by subject, the newest counts, each spent at most once.

use super::{Error, Tx, arg};
use crate::domain::time::Timestamp;

/// Wrong tries that a code stands; at the next one it is dead (CONTRACT.md section 1).
pub(crate) const TRIES: u32 = 5;

/// What a code is for: a keyed hash of its purpose, and of the address or the account.
pub(crate) type Subject = [u8; 32];

const NEWEST: &str = "SELECT id, hash, tries, created_at, expires_at, used_at FROM mailed_codes WHERE subject = $1 ORDER BY id DESC LIMIT 1";
const INSERT: &str =
    "INSERT INTO mailed_codes (subject, hash, tries, created_at, expires_at) VALUES ($1, $2, 0, $3, $4)";
// Of many that race, one changes a row; a code that was guessed at too often is none any more.
const SPEND: &str = "UPDATE mailed_codes SET used_at = $2 WHERE id = $1 AND used_at IS NULL AND expires_at > $2 AND tries < $3";
const TRIED: &str =
    "UPDATE mailed_codes SET tries = tries + 1 WHERE id = $1 AND used_at IS NULL RETURNING tries";
const WAS_SPENT: &str = "SELECT 1 FROM mailed_codes WHERE subject = $1 AND hash = $2 AND used_at IS NOT NULL";
const FORGET: &str = "DELETE FROM mailed_codes WHERE subject = $1";
const FORGET_TURN: &str = "DELETE FROM mailed_code_turns WHERE subject = $1";
const TURN: &str = "INSERT INTO mailed_code_turns (subject, at) VALUES ($1, $2) ON CONFLICT (subject) DO UPDATE SET at = excluded.at";

/// The newest code of a subject.
#[derive(Clone, Debug)]
pub(crate) struct Newest {
    pub(crate) id: i64,
    pub(crate) hash: [u8; 32],
    pub(crate) tries: u32,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) used: bool,
}

impl Newest {
    /// Whether the right code would still be taken.
    pub(crate) fn is_live(&self, now: Timestamp) -> bool {
        !self.used && self.expires_at > now && self.tries < TRIES
    }
}

pub(crate) async fn newest(tx: &mut Tx, subject: &Subject) -> Result<Option<Newest>, Error> {
    let Some(row) = tx.optional(NEWEST, [arg(subject.as_slice())]).await? else { return Ok(None) };
    let damaged = |_| Error::Failed("mailed_codes: a damaged hash".to_owned());
    Ok(Some(Newest {
        id: row.get(0)?,
        hash: row.get::<Vec<u8>>(1)?.try_into().map_err(damaged)?,
        tries: u32::try_from(row.get::<i64>(2)?).unwrap_or(u32::MAX),
        created_at: Timestamp(row.get(3)?),
        expires_at: Timestamp(row.get(4)?),
        used: row.get::<Option<i64>>(5)?.is_some(),
    }))
}

/// Makes this unit the only one that sends codes to the subject until it is committed.
pub(crate) async fn take_turn(tx: &mut Tx, subject: &Subject, now: Timestamp) -> Result<(), Error> {
    tx.execute(TURN, [arg(subject.as_slice()), arg(now)]).await.map(drop)
}

/// Adds a code; from now on it is the subject's newest.
pub(crate) async fn insert(
    tx: &mut Tx,
    subject: &Subject,
    hash: &[u8; 32],
    expires_at: Timestamp,
    now: Timestamp,
) -> Result<(), Error> {
    let args = [arg(subject.as_slice()), arg(hash.as_slice()), arg(now), arg(expires_at)];
    tx.execute(INSERT, args).await.map(drop)
}

/// Spends a code: of any number of racing calls exactly one returns true.
pub(crate) async fn spend(tx: &mut Tx, id: i64, now: Timestamp) -> Result<bool, Error> {
    Ok(tx.execute(SPEND, [arg(id), arg(now), arg(TRIES)]).await? == 1)
}

/// Counts a wrong try and returns how many there were, this one included.
pub(crate) async fn tried(tx: &mut Tx, id: i64) -> Result<u32, Error> {
    let row = tx.optional(TRIED, [arg(id)]).await?;
    row.map_or(Ok(u32::MAX), |row| Ok(u32::try_from(row.get::<i64>(0)?).unwrap_or(u32::MAX)))
}

/// Whether this was a code of the subject that has been spent.
pub(crate) async fn was_spent(tx: &mut Tx, subject: &Subject, hash: &[u8; 32]) -> Result<bool, Error> {
    Ok(tx.optional(WAS_SPENT, [arg(subject.as_slice()), arg(hash.as_slice())]).await?.is_some())
}

/// Forgets every code of a subject.
pub(crate) async fn forget(tx: &mut Tx, subject: &Subject) -> Result<(), Error> {
    tx.execute(FORGET, [arg(subject.as_slice())]).await?;
    tx.execute(FORGET_TURN, [arg(subject.as_slice())]).await.map(drop)
}
