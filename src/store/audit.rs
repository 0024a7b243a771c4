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

/// An entry on its way to the log.
#[derive(Clone, Debug)]
pub(super) struct Line {
    event: &'static str,
    outcome: &'static str,
    account: Option<AccountId>,
    device: Option<DeviceId>,
    pairing: Option<PairingId>,
    source: String,
}

/// Writes the row with the unit of work, and the log line once that is committed.
pub(crate) async fn record(tx: &mut Tx, entry: Entry<'_>, now: Timestamp) -> Result<(), Error> {
    let Entry { event, outcome, account, device, pairing, source } = entry;
    let args = [
        arg(now),
        arg(event),
        arg(outcome),
        arg(account.map(|id| id.0)),
        arg(device.map(|id| id.0)),
        arg(pairing.map(|id| id.to_string())),
        arg(source),
    ];
    tx.execute(INSERT, args).await?;
    tx.trail.push(Line { event, outcome, account, device, pairing, source: source.to_owned() });
    Ok(())
}

impl Line {
    pub(super) fn log(&self) {
        tracing::info!(
            target: "audit",
            event = self.event,
            outcome = self.outcome,
            account = self.account.map(|id| id.0),
            device = self.device.map(|id| id.0),
            pairing = self.pairing.map(tracing::field::display),
            source = self.source,
        );
    }
}
