//! Tickets: the one-time codes of approvals, kept as hashes, redeemed at most once.

use super::{Error, Tx, arg};
use crate::domain::ids::{AccountId, DeviceId, PairingId};
use crate::domain::time::Timestamp;

const INSERT: &str = "INSERT INTO tickets (hash, account_id, device_id, pairing, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)";
// Every condition stands in the one statement that spends: of many that race, one changes a row. The phone that
// approved must still be approving, its account must still be allowed to log in and have the method on.
const REDEEM: &str = "UPDATE tickets SET used_at = $3 \
     WHERE hash = $1 AND account_id = $2 AND used_at IS NULL AND expires_at > $3 \
     AND EXISTS (SELECT 1 FROM accounts a WHERE a.id = $2 AND a.disabled_at IS NULL) \
     AND EXISTS (SELECT 1 FROM factors f WHERE f.account_id = $2 AND f.method = 'MOBILE') \
     AND EXISTS (SELECT 1 FROM devices d WHERE d.id = tickets.device_id AND d.revoked_at IS NULL AND d.approving_since IS NOT NULL \
         AND d.approving_since < $4)";
const LIVE: &str = "SELECT 1 FROM tickets WHERE hash = $1 AND used_at IS NULL AND expires_at > $2";
const KILL: &str = "UPDATE tickets SET used_at = $2 WHERE account_id = $1 AND used_at IS NULL";
const KILL_OF_DEVICE: &str = "UPDATE tickets SET used_at = $2 WHERE device_id = $1 AND used_at IS NULL";

/// A ticket on its way into the store.
pub(crate) struct New {
    pub(crate) hash: [u8; 32],
    pub(crate) account: AccountId,
    /// The phone that approved.
    pub(crate) device: DeviceId,
    pub(crate) pairing: PairingId,
    pub(crate) expires_at: Timestamp,
}

pub(crate) async fn insert(tx: &mut Tx, new: New, now: Timestamp) -> Result<(), Error> {
    let args = [
        arg(new.hash.as_slice()),
        arg(new.account.0),
        arg(new.device.0),
        arg(new.pairing.to_string()),
        arg(now),
        arg(new.expires_at),
    ];
    tx.execute(INSERT, args).await.map(drop)
}

/// Spends a ticket of this account. Of any number of racing calls exactly one returns true. With `blocked_at`,
/// only a phone that was bound before that moment counts (docs/protocol.md, "Failed second factors").
pub(crate) async fn redeem(
    tx: &mut Tx,
    hash: &[u8; 32],
    account: AccountId,
    blocked_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<bool, Error> {
    let bound_before = blocked_at.unwrap_or(Timestamp(i64::MAX));
    let args = [arg(hash.as_slice()), arg(account.0), arg(now), arg(bound_before)];
    Ok(tx.execute(REDEEM, args).await? == 1)
}

/// Whether a ticket could still be redeemed, as far as its own row tells.
pub(crate) async fn is_live(tx: &mut Tx, hash: &[u8; 32], now: Timestamp) -> Result<bool, Error> {
    Ok(tx.optional(LIVE, [arg(hash.as_slice()), arg(now)]).await?.is_some())
}

/// Ends every ticket of an account.
pub(crate) async fn kill(tx: &mut Tx, account: AccountId, now: Timestamp) -> Result<(), Error> {
    tx.execute(KILL, [arg(account.0), arg(now)]).await.map(drop)
}

/// Ends every ticket that a phone's approval made.
pub(crate) async fn kill_of_device(tx: &mut Tx, device: DeviceId, now: Timestamp) -> Result<(), Error> {
    tx.execute(KILL_OF_DEVICE, [arg(device.0), arg(now)]).await.map(drop)
}
