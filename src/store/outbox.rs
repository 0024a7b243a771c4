//! The outbox: mail that was promised in a transaction and waits for its delivery, also over a restart.

use std::time::Duration;

use super::{Error, Row, Tx, arg};
use crate::domain::time::Timestamp;

const ADD: &str = "INSERT INTO outbox (recipient, subject, body, html, created_at, due_at, attempts, expires_at) VALUES ($1, $2, $3, $4, $5, $5, 0, $6)";
/// Who waits for a code comes before who reads a notice later.
const DUE: &str = "SELECT id, recipient, subject, body, html, created_at, attempts, expires_at FROM outbox WHERE due_at <= $1 ORDER BY CASE WHEN expires_at IS NULL THEN 1 ELSE 0 END, id LIMIT 20";
const CLAIM: &str = "UPDATE outbox SET due_at = $3, attempts = attempts + 1 WHERE id = $1 AND attempts = $2";
const POSTPONE: &str = "UPDATE outbox SET due_at = $2 WHERE id = $1";
const DONE: &str = "DELETE FROM outbox WHERE id = $1";
/// The condition, always true, lets the index answer without reading a letter.
const COUNT: &str = "SELECT COUNT(*) FROM (SELECT due_at FROM outbox WHERE due_at >= -1 LIMIT $1) AS waiting";

/// A mail to be promised.
#[derive(Clone, Copy)]
pub(crate) struct Promise<'a> {
    pub(crate) recipient: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) text: &'a str,
    pub(crate) html: &'a str,
    /// When there is no sense any more in sending it.
    pub(crate) expires_at: Option<Timestamp>,
}

/// A mail that waits.
#[derive(Clone)]
pub(crate) struct Waiting {
    pub(crate) id: i64,
    pub(crate) recipient: String,
    pub(crate) subject: String,
    pub(crate) text: String,
    /// Empty in rows of the first release.
    pub(crate) html: String,
    pub(crate) created_at: Timestamp,
    pub(crate) attempts: u32,
    pub(crate) expires_at: Option<Timestamp>,
}

/// Promises a mail.
pub(crate) async fn add(tx: &mut Tx, mail: Promise<'_>, now: Timestamp) -> Result<(), Error> {
    let texts = [mail.recipient, mail.subject, mail.text, mail.html].map(arg);
    let args = texts.into_iter().chain([arg(now), arg(mail.expires_at)]);
    tx.execute(ADD, args).await.map(drop)
}

/// Whether fewer than `limit` mails wait.
pub(crate) async fn has_room(tx: &mut Tx, limit: u32) -> Result<bool, Error> {
    Ok(tx.one(COUNT, [arg(limit)]).await?.get::<i64>(0)? < i64::from(limit))
}

/// How many mails wait, `limit` at most.
pub(crate) async fn waiting(tx: &mut Tx, limit: u32) -> Result<i64, Error> {
    tx.one(COUNT, [arg(limit)]).await?.get(0)
}

/// Mails whose time has come: those with a code first, then the oldest.
pub(crate) async fn due(tx: &mut Tx, now: Timestamp) -> Result<Vec<Waiting>, Error> {
    tx.all(DUE, [arg(now)]).await?.iter().map(read).collect()
}

/// Takes a mail for delivery; false when another node has it. Unless more is said, it is due again after `pause`.
pub(crate) async fn claim(
    tx: &mut Tx,
    mail: &Waiting,
    pause: Duration,
    now: Timestamp,
) -> Result<bool, Error> {
    let args = [arg(mail.id), arg(mail.attempts), arg(now.plus(pause))];
    Ok(tx.execute(CLAIM, args).await? == 1)
}

/// It was not delivered, and is due again at `due_at`.
pub(crate) async fn postpone(tx: &mut Tx, id: i64, due_at: Timestamp) -> Result<(), Error> {
    tx.execute(POSTPONE, [arg(id), arg(due_at)]).await.map(drop)
}

/// It is delivered or given up.
pub(crate) async fn done(tx: &mut Tx, id: i64) -> Result<(), Error> {
    tx.execute(DONE, [arg(id)]).await.map(drop)
}

fn read(row: &Row) -> Result<Waiting, Error> {
    Ok(Waiting {
        id: row.get(0)?,
        recipient: row.get(1)?,
        subject: row.get(2)?,
        text: row.get(3)?,
        html: row.get(4)?,
        created_at: Timestamp(row.get(5)?),
        attempts: u32::try_from(row.get::<i64>(6)?).unwrap_or(u32::MAX),
        expires_at: row.get::<Option<i64>>(7)?.map(Timestamp),
    })
}
