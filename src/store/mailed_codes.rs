//! Mailed codes by subject: kept as keyed hashes, at most two of them live at a time, spent and guessed at together.

use super::{Error, Row, Tx, arg};
use crate::domain::time::Timestamp;

/// Wrong tries that the codes of a subject stand; at the next one they are dead (docs/protocol.md, "Mailed codes").
pub(crate) const TRIES: u32 = 5;

/// What a code is for: a hash of its purpose, and of the account or of an address that has none.
pub(crate) type Subject = [u8; 32];

/// What the digits of a code are derived from.
pub(crate) type Nonce = [u8; 16];

// More than are ever looked at: two that live, and those that have ended after the older of them was made.
const NEWEST: &str = "SELECT id, hash, nonce, tries, created_at, mailed_at, expires_at, ended_at, used_at \
     FROM mailed_codes WHERE subject = $1 ORDER BY id DESC LIMIT 16";
const INSERT: &str = "INSERT INTO mailed_codes (subject, hash, nonce, tries, created_at, mailed_at, expires_at) \
     VALUES ($1, $2, $3, $4, $5, $5, $6)";
const MAILED: &str = "UPDATE mailed_codes SET mailed_at = $2 WHERE id = $1";
const END: &str = "UPDATE mailed_codes SET ended_at = $2 \
     WHERE subject = $1 AND used_at IS NULL AND ended_at IS NULL AND expires_at <= $2";
// Of many that race, one changes rows; codes that were guessed at too often are none any more.
const SPEND: &str = "UPDATE mailed_codes SET used_at = $2 \
     WHERE subject = $1 AND used_at IS NULL AND ended_at IS NULL AND expires_at > $2 AND tries < $3";
const TRIED: &str = "UPDATE mailed_codes SET tries = tries + 1 \
     WHERE subject = $1 AND used_at IS NULL AND ended_at IS NULL AND expires_at > $2 AND tries <= $3";
const FORGET: &str = "DELETE FROM mailed_codes WHERE subject = $1";
const FORGET_TURN: &str = "DELETE FROM mailed_code_turns WHERE subject = $1";
const TURN: &str = "INSERT INTO mailed_code_turns (subject, at) VALUES ($1, $2) ON CONFLICT (subject) DO UPDATE SET at = excluded.at";

/// A code that was mailed.
#[derive(Clone, Debug)]
pub(crate) struct Mailed {
    pub(crate) id: i64,
    pub(crate) hash: [u8; 32],
    pub(crate) nonce: Option<Nonce>,
    pub(crate) tries: u32,
    pub(crate) created_at: Timestamp,
    pub(crate) mailed_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) ended: bool,
    pub(crate) used: bool,
}

impl Mailed {
    /// Whether it would be taken.
    pub(crate) fn is_live(&self, now: Timestamp) -> bool {
        !self.used && !self.ended && self.expires_at > now && self.tries < TRIES
    }
}

/// The newest codes of a subject, newest first. What is over by now is marked so: a clock that is set back does not bring
/// it to life again.
pub(crate) async fn newest(tx: &mut Tx, subject: &Subject, now: Timestamp) -> Result<Vec<Mailed>, Error> {
    let rows = tx.all(NEWEST, [arg(subject.as_slice())]).await?;
    let mut codes = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let is_over = |code: &Mailed| !code.used && !code.ended && code.expires_at <= now;
    if codes.iter().any(is_over) {
        tx.execute(END, [arg(subject.as_slice()), arg(now)]).await?;
        codes.iter_mut().filter(|code| is_over(code)).for_each(|code| code.ended = true);
    }
    Ok(codes)
}

fn read(row: &Row) -> Result<Mailed, Error> {
    let damaged = |_| Error::Failed("mailed_codes: a damaged row".to_owned());
    let created_at = Timestamp(row.get(4)?);
    Ok(Mailed {
        id: row.get(0)?,
        hash: row.get::<Vec<u8>>(1)?.try_into().map_err(damaged)?,
        nonce: row.get::<Option<Vec<u8>>>(2)?.map(|nonce| nonce.try_into().map_err(damaged)).transpose()?,
        tries: u32::try_from(row.get::<i64>(3)?).unwrap_or(u32::MAX),
        created_at,
        mailed_at: row.get::<Option<i64>>(5)?.map_or(created_at, Timestamp),
        expires_at: Timestamp(row.get(6)?),
        ended: row.get::<Option<i64>>(7)?.is_some(),
        used: row.get::<Option<i64>>(8)?.is_some(),
    })
}

/// Makes this unit the only one that sends or tries codes under this key until it is committed.
pub(crate) async fn take_turn(tx: &mut Tx, key: &Subject, now: Timestamp) -> Result<(), Error> {
    tx.execute(TURN, [arg(key.as_slice()), arg(now)]).await.map(drop)
}

/// A code on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct New {
    pub(crate) hash: [u8; 32],
    pub(crate) nonce: Nonce,
    /// The wrong tries that the live codes of its subject have had.
    pub(crate) tries: u32,
    pub(crate) expires_at: Timestamp,
}

/// Adds a code to those of a subject.
pub(crate) async fn insert(tx: &mut Tx, subject: &Subject, new: New, now: Timestamp) -> Result<(), Error> {
    let New { hash, nonce, tries, expires_at } = new;
    let args = [
        arg(subject.as_slice()),
        arg(hash.as_slice()),
        arg(nonce.as_slice()),
        arg(tries),
        arg(now),
        arg(expires_at),
    ];
    tx.execute(INSERT, args).await.map(drop)
}

/// Notes that a code was mailed again.
pub(crate) async fn mailed(tx: &mut Tx, id: i64, now: Timestamp) -> Result<(), Error> {
    tx.execute(MAILED, [arg(id), arg(now)]).await.map(drop)
}

/// Spends the live codes of a subject: of any number of racing calls exactly one returns true.
pub(crate) async fn spend(tx: &mut Tx, subject: &Subject, now: Timestamp) -> Result<bool, Error> {
    Ok(tx.execute(SPEND, [arg(subject.as_slice()), arg(now), arg(TRIES)]).await? > 0)
}

/// Counts a wrong try against the codes of a subject; false when there is none to count it against.
pub(crate) async fn tried(tx: &mut Tx, subject: &Subject, now: Timestamp) -> Result<bool, Error> {
    Ok(tx.execute(TRIED, [arg(subject.as_slice()), arg(now), arg(TRIES)]).await? > 0)
}

/// Forgets every code of a subject.
pub(crate) async fn forget(tx: &mut Tx, subject: &Subject) -> Result<(), Error> {
    tx.execute(FORGET, [arg(subject.as_slice())]).await.map(drop)
}

/// Forgets that anybody sent or tried codes under this key.
pub(crate) async fn forget_turn(tx: &mut Tx, key: &Subject) -> Result<(), Error> {
    tx.execute(FORGET_TURN, [arg(key.as_slice())]).await.map(drop)
}
