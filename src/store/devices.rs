//! Devices of an account, and which of them may approve logins.

use std::time::Duration;

use super::{Error, Row, Tx, arg};
use crate::domain::device::{Device, DeviceFacts};
use crate::domain::ids::{AccountId, DeviceId};
use crate::domain::time::Timestamp;

macro_rules! columns {
    () => {
        "id, device_type, name, os, browser, location, ip, approving_since, created_at, seen_at, seen_ip"
    };
}

const INSERT: &str = "INSERT INTO devices (account_id, device_type, name, os, browser, location, ip, created_at, seen_at, seen_ip) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $7) RETURNING id";
const LIST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM devices d WHERE account_id = $1 AND revoked_at IS NULL \
     AND EXISTS (SELECT 1 FROM sessions s WHERE s.device_id = d.id AND s.revoked_at IS NULL AND s.expires_at > $2) ORDER BY id"
);
const APPROVE: &str = "UPDATE devices SET approving_since = COALESCE(approving_since, $3) \
     WHERE account_id = $1 AND id = $2 AND revoked_at IS NULL AND EXISTS \
     (SELECT 1 FROM sessions s WHERE s.device_id = devices.id AND s.revoked_at IS NULL AND s.expires_at > $3 AND s.client_id = $4)";
const STOP: &str = "UPDATE devices SET approving_since = NULL WHERE account_id = $1 AND id = $2 AND approving_since IS NOT NULL";
const STOP_ALL: &str = "UPDATE devices SET approving_since = NULL WHERE account_id = $1";
const REVOKE: &str = "UPDATE devices SET revoked_at = $3, approving_since = NULL WHERE account_id = $1 AND id = $2 AND revoked_at IS NULL";
const REVOKE_ALL: &str =
    "UPDATE devices SET revoked_at = $2, approving_since = NULL WHERE account_id = $1 AND revoked_at IS NULL";
const NAME: &str = "SELECT name FROM devices WHERE id = $1";
const SEEN: &str = "UPDATE devices SET seen_at = $3, seen_ip = $2 WHERE id = $1 AND (seen_ip <> $2 OR seen_at IS NULL OR seen_at < $4)";
const OWNER: &str = "SELECT account_id FROM devices WHERE id = $1 AND revoked_at IS NULL";
const MAY_APPROVE: &str = "SELECT 1 FROM devices \
     WHERE account_id = $1 AND id = $2 AND revoked_at IS NULL AND approving_since IS NOT NULL";

/// How exact the time is at which a device was last there.
pub(crate) const SEEN_EVERY: Duration = Duration::from_secs(60);

pub(crate) async fn insert(
    tx: &mut Tx,
    account: AccountId,
    facts: &DeviceFacts,
    now: Timestamp,
) -> Result<DeviceId, Error> {
    let args = [
        arg(account.0),
        arg(facts.device_type.as_str()),
        arg(facts.name.as_str()),
        arg(facts.os.as_str()),
        arg(facts.browser.as_str()),
        arg(facts.location.as_str()),
        arg(facts.ip.as_str()),
        arg(now),
    ];
    tx.one(INSERT, args).await?.get(0).map(DeviceId)
}

/// The devices that have a live session, oldest first.
pub(crate) async fn list(tx: &mut Tx, account: AccountId, now: Timestamp) -> Result<Vec<Device>, Error> {
    tx.all(LIST, [arg(account.0), arg(now)]).await?.iter().map(read).collect()
}

/// Lets a device approve; false when the account has no such device with a session of this client.
pub(crate) async fn approve(
    tx: &mut Tx,
    account: AccountId,
    id: DeviceId,
    client: &str,
    now: Timestamp,
) -> Result<bool, Error> {
    Ok(tx.execute(APPROVE, [arg(account.0), arg(id.0), arg(now), arg(client)]).await? == 1)
}

/// Stops a device from approving; false when it did not.
pub(crate) async fn stop_approving(tx: &mut Tx, account: AccountId, id: DeviceId) -> Result<bool, Error> {
    Ok(tx.execute(STOP, [arg(account.0), arg(id.0)]).await? == 1)
}

pub(crate) async fn stop_all_approving(tx: &mut Tx, account: AccountId) -> Result<(), Error> {
    tx.execute(STOP_ALL, [arg(account.0)]).await.map(drop)
}

/// Ends a device for good; false when the account has no such device.
pub(crate) async fn revoke(
    tx: &mut Tx,
    account: AccountId,
    id: DeviceId,
    now: Timestamp,
) -> Result<bool, Error> {
    Ok(tx.execute(REVOKE, [arg(account.0), arg(id.0), arg(now)]).await? == 1)
}

/// Ends every device of an account for good.
pub(crate) async fn revoke_all(tx: &mut Tx, account: AccountId, now: Timestamp) -> Result<(), Error> {
    tx.execute(REVOKE_ALL, [arg(account.0), arg(now)]).await.map(drop)
}

/// What the device called itself.
pub(crate) async fn name(tx: &mut Tx, id: DeviceId) -> Result<String, Error> {
    tx.one(NAME, [arg(id.0)]).await?.get(0)
}

/// Notes that the device was there just now; within a minute, and from the same address, once is enough.
pub(crate) async fn seen(tx: &mut Tx, id: DeviceId, ip: &str, now: Timestamp) -> Result<(), Error> {
    let args = [arg(id.0), arg(ip), arg(now), arg(now.minus(SEEN_EVERY))];
    tx.execute(SEEN, args).await.map(drop)
}

/// Whose device this is, while it is not revoked.
pub(crate) async fn owner(tx: &mut Tx, id: DeviceId) -> Result<Option<AccountId>, Error> {
    tx.optional(OWNER, [arg(id.0)]).await?.map(|row| row.get(0).map(AccountId)).transpose()
}

/// Whether a device of the account may approve.
pub(crate) async fn may_approve(tx: &mut Tx, account: AccountId, id: DeviceId) -> Result<bool, Error> {
    Ok(tx.optional(MAY_APPROVE, [arg(account.0), arg(id.0)]).await?.is_some())
}

fn read(row: &Row) -> Result<Device, Error> {
    Ok(Device {
        id: DeviceId(row.get(0)?),
        facts: DeviceFacts {
            device_type: row.get(1)?,
            name: row.get(2)?,
            os: row.get(3)?,
            browser: row.get(4)?,
            location: row.get(5)?,
            ip: row.get(6)?,
        },
        approving: row.get::<Option<i64>>(7)?.is_some(),
        created_at: Timestamp(row.get(8)?),
        // Devices of an older release have not been seen yet since they logged in.
        seen_at: Timestamp(row.get::<Option<i64>>(9)?.unwrap_or(row.get(8)?)),
        seen_ip: Some(row.get(10)?).filter(|ip: &String| !ip.is_empty()).map_or_else(|| row.get(6), Ok)?,
    })
}
