//! The audit trail: every outcome of an authentication, as a row and as a structured log line.

use super::{Error, Tx, arg};
use crate::domain::ids::{AccountId, DeviceId, PairingId};
use crate::domain::time::Timestamp;

const INSERT: &str = "INSERT INTO audit (at, event, outcome, account_id, device_id, pairing, source) VALUES ($1, $2, $3, $4, $5, $6, $7)";

/// What happened. Words of this project only: no secret, and no text that a client chose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    /// `login`, `ask`, `approve`, `factor.on`, …
    pub(crate) event: &'static str,
    /// `ok`, or a stable code that says why not.
    pub(crate) outcome: &'static str,
    pub(crate) account: Option<AccountId>,
    pub(crate) device: Option<DeviceId>,
    pub(crate) pairing: Option<PairingId>,
    /// The address that the server saw.
    pub(crate) source: &'a str,
}

pub(crate) async fn record(tx: &mut Tx, entry: Entry<'_>, now: Timestamp) -> Result<(), Error> {
    let Entry { event, outcome, account, device, pairing, source } = entry;
    tracing::info!(
        target: "audit",
        event,
        outcome,
        account = account.map(|id| id.0),
        device = device.map(|id| id.0),
        pairing = pairing.map(tracing::field::display),
        source,
    );
    let args = [
        arg(now),
        arg(event),
        arg(outcome),
        arg(account.map(|id| id.0)),
        arg(device.map(|id| id.0)),
        arg(pairing.map(|id| id.to_string())),
        arg(source),
    ];
    tx.execute(INSERT, args).await.map(drop)
}
