//! Clean-up: what is over leaves the store in small batches.

use std::time::Duration;

use super::{Error, Tx, arg};
use crate::domain::time::Timestamp;

const DAY: Duration = Duration::from_secs(86_400);

/// A pairing and its ticket are kept a day past their end, so that a late client hears "expired", not "unknown".
const STATEMENTS: [&str; 5] = [
    "DELETE FROM pairings WHERE uuid IN (SELECT uuid FROM pairings WHERE expires_at < $1 AND state <> 'asked' LIMIT 500)",
    "DELETE FROM tickets WHERE hash IN (SELECT hash FROM tickets WHERE expires_at < $1 LIMIT 500)",
    "DELETE FROM sessions WHERE uuid IN (SELECT uuid FROM sessions WHERE expires_at < $1 LIMIT 500)",
    "DELETE FROM hits WHERE expires_at < $1",
    "DELETE FROM signals WHERE at < $1",
];

/// Removes one batch of each kind.
pub(crate) async fn sweep(tx: &mut Tx, now: Timestamp) -> Result<u64, Error> {
    let mut removed = 0;
    for sql in STATEMENTS {
        removed += tx.execute(sql, [arg(now.minus(DAY))]).await?;
    }
    Ok(removed)
}
