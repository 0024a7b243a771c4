//! How many accounts have a password of which class: function and cost, which decide how long verifying takes.

use super::accounts::class_of;
use super::{Error, Tx, arg};
use crate::domain::account::PasswordHash;

/// Rows of one batch; as many mean that there may be more.
pub(crate) const BATCH: usize = 500;

// Out of the index alone.
const COUNT: &str =
    "SELECT password_class, count(*) FROM accounts GROUP BY password_class ORDER BY password_class";
const UNCLASSED: &str = "SELECT id, password FROM accounts WHERE password_class = '' LIMIT 500";
const CLASS: &str =
    "UPDATE accounts SET password_class = $3 WHERE id = $1 AND password = $2 AND password_class = ''";

/// The classes and how many accounts are of each. Empty: of before there were classes.
pub(crate) async fn count(tx: &mut Tx) -> Result<Vec<(String, u64)>, Error> {
    let rows = tx.all(COUNT, []).await?;
    rows.iter().map(|row| Ok((row.get(0)?, row.get::<i64>(1)?.unsigned_abs()))).collect()
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
