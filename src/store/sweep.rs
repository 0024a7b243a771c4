//! Clean-up: what is over leaves the store in small batches.

use std::time::Duration;

use super::{Error, Tx, arg};
use crate::domain::time::Timestamp;

const DAY: Duration = Duration::from_secs(86_400);

/// Rows that one batch removes at most; as many mean that there may be more.
pub(crate) const BATCH: u64 = 500;

/// One statement for each table, in the order in which rows hang on each other. What is over is kept for a day.
const STATEMENTS: [&str; TABLES] = [
    "DELETE FROM pairings WHERE uuid IN (SELECT uuid FROM pairings WHERE expires_at < $1 AND state <> 'asked' LIMIT 500)",
    "DELETE FROM tickets WHERE hash IN (SELECT hash FROM tickets WHERE expires_at < $1 LIMIT 500)",
    "DELETE FROM sessions WHERE uuid IN (SELECT uuid FROM sessions WHERE expires_at < $1 LIMIT 500)",
    "DELETE FROM devices WHERE id IN (SELECT id FROM devices d WHERE created_at < $1 \
     AND NOT EXISTS (SELECT 1 FROM sessions s WHERE s.device_id = d.id) LIMIT 500)",
    "DELETE FROM mailed_codes WHERE id IN (SELECT id FROM mailed_codes WHERE expires_at < $1 LIMIT 500)",
    "DELETE FROM mailed_code_turns WHERE subject IN (SELECT subject FROM mailed_code_turns WHERE at < $1 LIMIT 500)",
    "DELETE FROM refresh_tokens WHERE hash IN (SELECT hash FROM refresh_tokens WHERE expires_at < $1 LIMIT 500)",
    "DELETE FROM challenges WHERE hash IN (SELECT hash FROM challenges WHERE expires_at < $1 LIMIT 500)",
    "DELETE FROM trusts WHERE id IN (SELECT id FROM trusts WHERE expires_at < $1 LIMIT 500)",
    "DELETE FROM mail_logins WHERE hash IN (SELECT hash FROM mail_logins WHERE expires_at < $1 LIMIT 500)",
    "DELETE FROM mail_auths WHERE hash IN (SELECT hash FROM mail_auths WHERE expires_at < $1 LIMIT 500)",
    "DELETE FROM hits WHERE id IN (SELECT id FROM hits WHERE expires_at < $1 LIMIT 500)",
    "DELETE FROM signals WHERE id IN (SELECT id FROM signals WHERE at < $1 LIMIT 500)",
];

/// How many tables are swept.
pub(crate) const TABLES: usize = 13;

/// Removes one batch of a table and returns how many rows it was.
pub(crate) async fn batch(tx: &mut Tx, table: usize, now: Timestamp) -> Result<u64, Error> {
    match STATEMENTS.get(table) {
        Some(sql) => tx.execute(sql, [arg(now.minus(DAY))]).await,
        None => Ok(0),
    }
}
