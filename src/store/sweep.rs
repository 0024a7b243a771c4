//! Clean-up: what is over leaves the store in small batches.

use std::time::Duration;

use super::{Error, Tx, arg};
use crate::domain::time::Timestamp;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// Rows that one batch removes at most; as many mean that there may be more.
pub(crate) const BATCH: u64 = 500;

/// How many steps there are.
pub(crate) const STEPS: usize = STATEMENTS.len() + 1;

/// A statement, and the time that its `$1` is.
type Step = (&'static str, fn(Timestamp) -> Timestamp);

/// In the order in which rows hang on each other: what a session takes with it goes before it, so that no batch is large.
const STATEMENTS: [Step; 18] = [
    (
        "DELETE FROM pairings WHERE uuid IN (SELECT uuid FROM pairings WHERE expires_at < $1 AND state <> 'asked' LIMIT 500)",
        kept_for_a_day,
    ),
    (
        "DELETE FROM tickets WHERE hash IN (SELECT hash FROM tickets WHERE expires_at < $1 LIMIT 500)",
        kept_for_a_day,
    ),
    (
        "DELETE FROM refresh_tokens WHERE hash IN (SELECT hash FROM refresh_tokens WHERE expires_at < $1 LIMIT 500)",
        kept_for_a_day,
    ),
    (
        "DELETE FROM refresh_tokens WHERE hash IN (SELECT r.hash FROM refresh_tokens r JOIN sessions s ON s.uuid = r.session \
         WHERE s.expires_at < $1 LIMIT 500)",
        kept_for_a_day,
    ),
    (
        "DELETE FROM refresh_tokens WHERE hash IN (SELECT r.hash FROM refresh_tokens r JOIN sessions s ON s.uuid = r.session \
         WHERE s.revoked_at < $1 LIMIT 500)",
        kept_for_a_day,
    ),
    (
        "DELETE FROM sessions WHERE uuid IN (SELECT uuid FROM sessions WHERE expires_at < $1 LIMIT 500)",
        kept_for_a_day,
    ),
    (
        "DELETE FROM sessions WHERE uuid IN (SELECT uuid FROM sessions WHERE revoked_at < $1 LIMIT 500)",
        kept_for_a_day,
    ),
    (
        "DELETE FROM mailed_codes WHERE id IN (SELECT id FROM mailed_codes WHERE expires_at < $1 LIMIT 500)",
        kept_for_a_day,
    ),
    (
        "DELETE FROM mailed_code_turns WHERE subject IN (SELECT subject FROM mailed_code_turns WHERE at < $1 LIMIT 500)",
        kept_for_a_day,
    ),
    (
        "DELETE FROM challenges WHERE hash IN (SELECT hash FROM challenges WHERE expires_at < $1 LIMIT 500)",
        kept_for_a_day,
    ),
    (
        "DELETE FROM trusts WHERE id IN (SELECT id FROM trusts WHERE expires_at < $1 LIMIT 500)",
        kept_for_a_day,
    ),
    (
        "DELETE FROM mail_logins WHERE hash IN (SELECT hash FROM mail_logins WHERE expires_at < $1 LIMIT 500)",
        kept_for_a_day,
    ),
    (
        "DELETE FROM mail_auths WHERE hash IN (SELECT hash FROM mail_auths WHERE expires_at < $1 LIMIT 500)",
        kept_for_a_day,
    ),
    ("DELETE FROM hits WHERE id IN (SELECT id FROM hits WHERE expires_at < $1 LIMIT 500)", kept_for_a_day),
    // Nothing has happened since, so a next one is told at once anyhow.
    (
        "DELETE FROM notice_runs WHERE (account_id, kind) IN \
         (SELECT account_id, kind FROM notice_runs WHERE since < $1 AND repeats = 0 LIMIT 500)",
        kept_for_a_day,
    ),
    ("DELETE FROM signals WHERE id IN (SELECT id FROM signals WHERE at < $1 LIMIT 500)", kept_for_a_day),
    // Nobody looks at these again, and in a flood there are many.
    (
        "DELETE FROM rates WHERE (node, number) IN (SELECT node, number FROM rates WHERE expires_at < $1 LIMIT 500)",
        |now| now,
    ),
    // Written before the clock was set back: they count no longer than others, and may go no later.
    (
        "UPDATE rates SET expires_at = $1 WHERE (node, number) IN \
         (SELECT node, number FROM rates WHERE expires_at > $1 LIMIT 500)",
        |now| now.plus(HOUR),
    ),
];

/// The last step: the audit trail, after the time that the operator keeps it.
const AUDIT: &str = "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < $1 LIMIT 500)";

/// Devices that one statement looks at. Nothing but a look at each tells which of them have no session left, and a
/// statement that went on until it had found some would take longer the larger the table is.
const WINDOW: i64 = 500;
const WINDOW_END: &str =
    "SELECT MAX(id) FROM (SELECT id FROM devices WHERE id > $1 ORDER BY id LIMIT $2) AS looked_at";
// By ranges of both indexes. For NOT EXISTS the planner of PostgreSQL may read all sessions, however few devices there are.
const IDLE_DEVICES: &str = "SELECT id FROM devices WHERE id > $1 AND id <= $2 AND created_at < $3 \
     EXCEPT SELECT device_id FROM sessions WHERE device_id > $1 AND device_id <= $2";
const REMOVE_DEVICE: &str = "DELETE FROM devices WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM sessions s WHERE s.device_id = devices.id)";

fn kept_for_a_day(now: Timestamp) -> Timestamp {
    now.minus(DAY)
}

/// Removes one batch of a step and returns how many rows it was. The audit trail is kept for `audit_keep`.
pub(crate) async fn batch(
    tx: &mut Tx,
    step: usize,
    audit_keep: Duration,
    now: Timestamp,
) -> Result<u64, Error> {
    let (sql, before) = match STATEMENTS.get(step) {
        Some((sql, time)) => (*sql, time(now)),
        None => (AUDIT, now.minus(audit_keep)),
    };
    tx.execute(sql, [arg(before)]).await
}

/// What a look at one window of the devices found.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    /// Devices whose sessions are all gone.
    pub(crate) idle: Vec<i64>,
    /// The last device that was looked at; `None` when there were none.
    pub(crate) last: Option<i64>,
}

/// Looks at the next [`WINDOW`] devices behind one, by their numbers. That is a reader's work, and would hold the one
/// writer of SQLite up.
pub(crate) async fn idle_devices(tx: &mut Tx, after: i64, now: Timestamp) -> Result<Look, Error> {
    let last: Option<i64> = tx.one(WINDOW_END, [arg(after), arg(WINDOW)]).await?.get(0)?;
    let Some(end) = last else { return Ok(Look { idle: Vec::new(), last }) };
    let rows = tx.all(IDLE_DEVICES, [arg(after), arg(end), arg(kept_for_a_day(now))]).await?;
    Ok(Look { idle: rows.iter().map(|row| row.get(0)).collect::<Result<_, _>>()?, last })
}

/// Removes those of these devices that still have no session.
pub(crate) async fn remove_devices(tx: &mut Tx, devices: &[i64]) -> Result<(), Error> {
    for device in devices {
        tx.execute(REMOVE_DEVICE, [arg(*device)]).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
