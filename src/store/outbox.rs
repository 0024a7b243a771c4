//! The outbox: mail that was promised in a transaction and waits for its delivery, also over a restart.

use std::time::Duration;

use super::{Error, Row, Tx, arg};
use crate::domain::time::Timestamp;

const ADD: &str = "INSERT INTO outbox (recipient, subject, body, html, created_at, due_at, expires_at, attempts) VALUES ($1, $2, $3, $4, $5, $5, $6, 0)";
const DUE: &str = "SELECT id, recipient, subject, body, created_at, attempts, html, expires_at FROM outbox WHERE due_at <= $1 ORDER BY id LIMIT 20";
// Steps over as many rows as may wait: a long queue costs something, a short one nothing.
const IS_LONGER: &str = "SELECT 1 FROM outbox ORDER BY id LIMIT 1 OFFSET $1";
const CLAIM: &str = "UPDATE outbox SET due_at = $3, attempts = attempts + 1 WHERE id = $1 AND attempts = $2";
const DONE: &str = "DELETE FROM outbox WHERE id = $1";

/// So many mails may wait before no further code is promised; of news, twice as many.
const MANY: u32 = 10_000;

/// A mail on its way into the outbox. No `Debug`: there may be a code in it.
#[derive(Clone, Copy)]
pub(crate) struct New<'a> {
    pub(crate) recipient: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) body: &'a str,
    pub(crate) html: &'a str,
    /// After that it is worth nothing: it holds a code.
    pub(crate) expires_at: Option<Timestamp>,
}

/// A mail that waits.
#[derive(Clone)]
pub(crate) struct Waiting {
    pub(crate) id: i64,
    pub(crate) recipient: String,
    pub(crate) subject: String,
    pub(crate) body: String,
    /// Empty for one that has a plain text only.
    pub(crate) html: String,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) attempts: u32,
}

/// Whether one more may wait.
///
/// # Errors
/// `Full` when it is a code.
pub(crate) async fn has_room(tx: &mut Tx, is_code: bool) -> Result<bool, Error> {
    let most = if is_code { MANY } else { MANY * 2 };
    if tx.optional(IS_LONGER, [arg(most)]).await?.is_none() {
        return Ok(true);
    }
    tracing::error!(is_code, "too many mails wait: is the mail server away?");
    if is_code { Err(Error::Full) } else { Ok(false) }
}

/// Promises a mail.
///
/// # Errors
/// `Full` for a code that would wait behind too many others; news that nobody could send any more is dropped.
pub(crate) async fn add(tx: &mut Tx, mail: &New<'_>, now: Timestamp) -> Result<(), Error> {
    if !has_room(tx, mail.expires_at.is_some()).await? {
        return Ok(());
    }
    let args = [
        arg(mail.recipient),
        arg(mail.subject),
        arg(mail.body),
        arg(mail.html),
        arg(now),
        arg(mail.expires_at),
    ];
    tx.execute(ADD, args).await.map(drop)
}

/// The oldest mails whose time has come.
pub(crate) async fn due(tx: &mut Tx, now: Timestamp) -> Result<Vec<Waiting>, Error> {
    tx.all(DUE, [arg(now)]).await?.iter().map(read).collect()
}

/// Takes a mail for delivery; false when another node has it. Unless it is done by then, it is due again after `pause`.
pub(crate) async fn claim(
    tx: &mut Tx,
    mail: &Waiting,
    pause: Duration,
    now: Timestamp,
) -> Result<bool, Error> {
    let args = [arg(mail.id), arg(mail.attempts), arg(now.plus(pause))];
    Ok(tx.execute(CLAIM, args).await? == 1)
}

/// It is delivered.
pub(crate) async fn done(tx: &mut Tx, id: i64) -> Result<(), Error> {
    tx.execute(DONE, [arg(id)]).await.map(drop)
}

fn read(row: &Row) -> Result<Waiting, Error> {
    Ok(Waiting {
        id: row.get(0)?,
        recipient: row.get(1)?,
        subject: row.get(2)?,
        body: row.get(3)?,
        html: row.get(6)?,
        expires_at: row.get::<Option<i64>>(7)?.map(Timestamp),
        created_at: Timestamp(row.get(4)?),
        attempts: u32::try_from(row.get::<i64>(5)?).unwrap_or(u32::MAX),
    })
}
