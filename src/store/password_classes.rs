//! How many accounts have a password of which class: function and cost, which decide how long verifying takes.

use super::accounts::class_of;
use super::{Error, Row, Tx, arg};
use crate::domain::account::PasswordHash;

/// Rows of one batch; as many mean that there may be more.
pub(crate) const BATCH: usize = 500;

// Out of the index alone.
const COUNT: &str = "SELECT kind, password_class, count(*) FROM accounts GROUP BY password_class, kind ORDER BY password_class, kind";
const UNCLASSED: &str = "SELECT id, password FROM accounts WHERE password_class = '' LIMIT 500";
const CLASS: &str =
    "UPDATE accounts SET password_class = $3 WHERE id = $1 AND password = $2 AND password_class = ''";

/// So many accounts of a kind have a password of a class.
#[derive(Clone, Debug)]
pub(crate) struct Share {
    pub(crate) kind: String,
    /// Empty in rows of before there were classes.
    pub(crate) class: String,
    pub(crate) accounts: u64,
}

/// All classes of all kinds.
pub(crate) async fn count(tx: &mut Tx) -> Result<Vec<Share>, Error> {
    let read = |row: &Row| {
        let accounts = row.get::<i64>(2)?.unsigned_abs();
        Ok(Share { kind: row.get(0)?, class: row.get(1)?, accounts })
    };
    tx.all(COUNT, []).await?.iter().map(read).collect()
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
