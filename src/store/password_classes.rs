//! How many accounts have a password of which class: function and cost, which decide how long verifying takes.

pub(super) mod known;

use known::Move;
pub(crate) use known::{Known, Share};

use super::signals::{self, Signal};
use super::{Error, Tx, arg};
use crate::crypto::password;
use crate::domain::account::PasswordHash;
use crate::domain::time::Timestamp;

/// Rows of one batch; as many mean that there may be more.
pub(crate) const BATCH: usize = 500;

// Out of the index alone, and so many accounts by one statement at most: none takes longer the larger the table is.
const NEXT: &str = "SELECT password_class, kind FROM accounts WHERE (password_class, kind) > ($1, $2) \
     ORDER BY password_class, kind LIMIT 1";
const COUNT: &str = "SELECT CAST(COUNT(*) AS BIGINT), MAX(id) FROM (SELECT id FROM accounts \
     WHERE password_class = $1 AND kind = $2 AND id > $3 ORDER BY id LIMIT $4) AS counted";
/// Accounts that one statement counts.
const WINDOW: i64 = 10_000;
const UNCLASSED: &str = "SELECT id, password FROM accounts WHERE password_class = '' LIMIT 500";
const CLASS: &str =
    "UPDATE accounts SET password_class = $3 WHERE id = $1 AND password = $2 AND password_class = ''";

/// The class of a hash that can't be read. Empty would be taken for a row of before there were classes.
const UNREADABLE: &str = "?";

/// All classes of all kinds.
pub(crate) async fn count(tx: &mut Tx) -> Result<Vec<Share>, Error> {
    count_by(tx, WINDOW).await
}

async fn count_by(tx: &mut Tx, window: i64) -> Result<Vec<Share>, Error> {
    let (mut shares, mut class, mut kind) = (Vec::new(), String::new(), String::new());
    while let Some(row) = tx.optional(NEXT, [arg(class), arg(kind)]).await? {
        (class, kind) = (row.get(0)?, row.get(1)?);
        let (mut accounts, mut last) = (0, Some(0_i64));
        while let Some(after) = last {
            let args = [arg(class.as_str()), arg(kind.as_str()), arg(after), arg(window)];
            let counted = tx.one(COUNT, args).await?;
            accounts += counted.get::<i64>(0)?.unsigned_abs();
            last = counted.get(1)?;
        }
        shares.push(Share { kind: kind.clone(), class: class.clone(), accounts });
    }
    Ok(shares)
}

/// What a row says of its hash beside the hash itself.
pub(super) fn class_of(hash: &PasswordHash) -> String {
    password::class(hash).unwrap_or_else(|| UNREADABLE.to_owned())
}

/// Notes the classes of one batch of rows of before there were any, and returns how many it was.
pub(crate) async fn classify(tx: &mut Tx) -> Result<usize, Error> {
    let rows = tx.all(UNCLASSED, []).await?;
    for row in &rows {
        let (id, hash): (i64, String) = (row.get(0)?, row.get(1)?);
        let hash = PasswordHash(hash);
        let class = class_of(&hash);
        tx.execute(CLASS, [arg(id), arg(hash.0), arg(class)]).await?;
    }
    Ok(rows.len())
}

/// Notes that with this unit of work a password of a kind comes (no `from`), goes (no `to`) or changes its class: for this
/// process once it is committed, and for the others as a signal.
pub(super) async fn moved(
    tx: &mut Tx,
    kind: &str,
    from: Option<String>,
    to: Option<String>,
    now: Timestamp,
) -> Result<(), Error> {
    if from == to {
        return Ok(());
    }
    tx.after.moved.push(Move { kind: kind.to_owned(), from, to });
    signals::emit(tx, Signal::Passwords, now).await
}

#[cfg(test)]
mod tests;
