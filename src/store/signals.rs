//! Signals: how a change by another process (a command, another node) reaches the servers that run.

use super::{Error, Tx, arg};
use crate::domain::ids::AccountId;
use crate::domain::time::Timestamp;

const EMIT: &str = "INSERT INTO signals (at, kind, account_id) VALUES ($1, $2, $3)";
const SINCE: &str = "SELECT id, kind, account_id FROM signals WHERE at > $1 ORDER BY id";

/// What changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Signal {
    /// Signing keys: read them again.
    Keys,
    /// An account, its devices or its sessions: see who of its sockets may stay.
    Account(AccountId),
}

pub(crate) async fn emit(tx: &mut Tx, signal: Signal, now: Timestamp) -> Result<(), Error> {
    let (kind, account) = match signal {
        Signal::Keys => ("keys", None),
        Signal::Account(id) => ("account", Some(id.0)),
    };
    tx.execute(EMIT, [arg(now), arg(kind), arg(account)]).await.map(drop)
}

/// Signals after `since`, with their numbers. Ask with some overlap: on PostgreSQL a lower number may be committed
/// after a higher one.
pub(crate) async fn since(tx: &mut Tx, since: Timestamp) -> Result<Vec<(i64, Signal)>, Error> {
    let rows = tx.all(SINCE, [arg(since)]).await?;
    let read = |row: &super::Row| {
        let signal = match row.get::<Option<i64>>(2)? {
            Some(account) => Signal::Account(AccountId(account)),
            None => Signal::Keys,
        };
        Ok((row.get(0)?, signal))
    };
    rows.iter().map(read).collect()
}
