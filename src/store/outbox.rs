//! The outbox: mail that was promised in a transaction and waits for its delivery, also over a restart.

use std::time::Duration;

use super::{Error, Row, Tx, arg};
use crate::domain::time::Timestamp;

const ADD: &str = "INSERT INTO outbox (recipient, subject, body, created_at, due_at, attempts) VALUES ($1, $2, $3, $4, $4, 0)";
const DUE: &str = "SELECT id, recipient, subject, body, created_at, attempts FROM outbox WHERE due_at <= $1 ORDER BY id LIMIT 20";
const CLAIM: &str = "UPDATE outbox SET due_at = $3, attempts = attempts + 1 WHERE id = $1 AND attempts = $2";
const DONE: &str = "DELETE FROM outbox WHERE id = $1";

/// A mail that waits.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) id: i64,
    pub(crate) recipient: String,
    pub(crate) subject: String,
    pub(crate) body: String,
    pub(crate) created_at: Timestamp,
    pub(crate) attempts: u32,
}

/// Promises a mail.
pub(crate) async fn add(
    tx: &mut Tx,
    recipient: &str,
    subject: &str,
    body: &str,
    now: Timestamp,
) -> Result<(), Error> {
    tx.execute(ADD, [arg(recipient), arg(subject), arg(body), arg(now)]).await.map(drop)
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
        created_at: Timestamp(row.get(4)?),
        attempts: u32::try_from(row.get::<i64>(5)?).unwrap_or(u32::MAX),
    })
}
