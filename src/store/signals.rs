//! Signals: how a change by another process (a command, another node) reaches the servers that run.

use super::{Error, Tx, arg};
use crate::domain::ids::{AccountId, PairingId};
use crate::domain::time::Timestamp;

const EMIT: &str = "INSERT INTO signals (at, kind, account_id, pairing) VALUES ($1, $2, $3, $4)";
const SINCE: &str = "SELECT id, account_id, pairing FROM signals WHERE at > $1 ORDER BY id";

/// What changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Signal {
    /// Signing keys: read them again.
    Keys,
    /// An account, its devices or its sessions: see who of its sockets may stay.
    Account(AccountId),
    /// A pairing's ask was ended by something else than an answer: its browser looks at the store.
    Pairing(PairingId),
}

pub(crate) async fn emit(tx: &mut Tx, signal: Signal, now: Timestamp) -> Result<(), Error> {
    let (kind, account, pairing) = match signal {
        Signal::Keys => ("keys", None, None),
        Signal::Account(id) => ("account", Some(id.0), None),
        Signal::Pairing(id) => ("pairing", None, Some(id.to_string())),
    };
    tx.execute(EMIT, [arg(now), arg(kind), arg(account), arg(pairing)]).await.map(drop)
}

/// Signals after `since`, with their numbers. Ask with some overlap: on PostgreSQL a lower number may be committed
/// after a higher one.
pub(crate) async fn since(tx: &mut Tx, since: Timestamp) -> Result<Vec<(i64, Signal)>, Error> {
    let rows = tx.all(SINCE, [arg(since)]).await?;
    let read = |row: &super::Row| {
        let pairing = row.get::<Option<String>>(2)?.and_then(|text| text.parse().ok());
        let signal = match (row.get::<Option<i64>>(1)?, pairing) {
            (Some(account), _) => Signal::Account(AccountId(account)),
            (None, Some(pairing)) => Signal::Pairing(pairing),
            (None, None) => Signal::Keys,
        };
        Ok((row.get(0)?, signal))
    };
    rows.iter().map(read).collect()
}
