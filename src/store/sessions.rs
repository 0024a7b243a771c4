//! Sessions: what a login left behind, whether it still lives, and when its owner last proved to be there.

use std::time::Duration;

use super::{Error, Row, Tx, arg};
use crate::domain::ids::{AccountId, DeviceId, SessionId};
use crate::domain::time::Timestamp;

const INSERT: &str = "INSERT INTO sessions (uuid, account_id, device_id, client_id, amr, acr, auth_time, proved_at, created_at, expires_at, token, ip, agent, renewed_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $7, $8, $9, $10, $11, $7)";
macro_rules! live {
    ($key:literal) => {
        live!($key, "", "")
    };
    ($key:literal, $more:literal, $order:literal) => {
        concat!(
            "SELECT s.account_id, s.device_id, s.client_id, s.amr, s.acr, s.auth_time, s.proved_at, s.expires_at, \
             d.approving_since, d.name, a.kind, a.email, a.uuid, d.seen_ip, s.uuid, s.created_at, s.renewed_at, s.ip, s.agent, \
             d.seen_at, a.verified",
            $more,
            " FROM sessions s JOIN accounts a ON a.id = s.account_id JOIN devices d ON d.id = s.device_id WHERE ",
            $key,
            " = $1 AND s.revoked_at IS NULL AND s.expires_at > $2 AND a.disabled_at IS NULL AND d.revoked_at IS NULL",
            $order
        )
    };
}

const LIVE: &str = live!("s.uuid");
const BY_TOKEN: &str = live!("s.token");
const OF_ACCOUNT: &str = live!(
    "s.account_id",
    ", d.device_type, d.os, d.browser, d.location",
    " ORDER BY s.created_at, s.device_id"
);
const OF_DEVICE: &str =
    "SELECT 1 FROM sessions WHERE device_id = $1 AND revoked_at IS NULL AND expires_at > $2";
const SET_TOKEN: &str = "UPDATE sessions SET token = $2 WHERE uuid = $1";
const RENEW: &str =
    "UPDATE sessions SET renewed_at = $2, expires_at = $3 WHERE uuid = $1 AND expires_at < $3";
const PROVE: &str = "UPDATE sessions SET proved_at = $2 WHERE uuid = $1";
// $3 is how long a session lasts at most.
macro_rules! at_most {
    () => {
        "CASE WHEN created_at + $3 < $2 THEN created_at + $3 ELSE $2 END"
    };
}
const SLIDE: &str = concat!(
    "UPDATE sessions SET expires_at = ",
    at_most!(),
    " WHERE device_id = $1 AND revoked_at IS NULL AND expires_at < ",
    at_most!(),
    " AND EXISTS (SELECT 1 FROM devices d WHERE d.id = sessions.device_id AND d.approving_since IS NOT NULL)"
);
const SET_END: &str =
    concat!("UPDATE sessions SET expires_at = ", at_most!(), " WHERE device_id = $1 AND revoked_at IS NULL");
const SHORTEN: &str = "UPDATE sessions SET expires_at = $2 WHERE device_id = $1 AND expires_at > $2";
const REVOKE: &str = "UPDATE sessions SET revoked_at = $2 WHERE uuid = $1 AND revoked_at IS NULL";
const REVOKE_DEVICE: &str = "UPDATE sessions SET revoked_at = $2 WHERE device_id = $1 AND revoked_at IS NULL";
const REVOKE_OTHERS: &str = "UPDATE sessions SET revoked_at = $3 WHERE account_id = $1 AND uuid <> $2 AND revoked_at IS NULL \
     AND NOT EXISTS (SELECT 1 FROM devices d WHERE d.id = sessions.device_id AND d.approving_since IS NOT NULL)";
const REVOKE_ALL: &str = "UPDATE sessions SET revoked_at = $2 WHERE account_id = $1 AND revoked_at IS NULL";
const REVOKE_LOGINS: &str = "UPDATE sessions SET revoked_at = $2 WHERE account_id = $1 AND revoked_at IS NULL \
     AND NOT EXISTS (SELECT 1 FROM devices d WHERE d.id = sessions.device_id AND d.approving_since IS NOT NULL)";

/// A session on its way into the store.
pub(crate) struct New {
    pub(crate) id: SessionId,
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
    pub(crate) client_id: String,
    pub(crate) amr: String,
    pub(crate) acr: &'static str,
    pub(crate) expires_at: Timestamp,
    /// The hash of a cookie session's token.
    pub(crate) token: Option<[u8; 32]>,
    /// From where it was begun, and by what.
    pub(crate) ip: String,
    pub(crate) agent: String,
}

/// A session whose account and device live too.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) id: SessionId,
    pub(crate) account: AccountId,
    pub(crate) account_uuid: uuid::Uuid,
    pub(crate) kind: String,
    pub(crate) email: String,
    /// Whether that address is proven.
    pub(crate) verified: bool,
    pub(crate) device: DeviceId,
    pub(crate) device_name: String,
    /// Whether its device may approve logins.
    pub(crate) approving: bool,
    pub(crate) client_id: String,
    /// `amr`, joined by spaces.
    pub(crate) amr: String,
    pub(crate) acr: String,
    pub(crate) auth_time: Timestamp,
    /// When a password or factor was last proven in it.
    pub(crate) proved_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) created_at: Timestamp,
    /// When its end was last moved on.
    pub(crate) renewed_at: Timestamp,
    /// From where it was begun, and by what.
    pub(crate) ip: String,
    pub(crate) agent: String,
    /// When and from where its device was there last; no time in rows of an older release.
    pub(crate) seen_at: Option<Timestamp>,
    pub(crate) seen_ip: String,
}

/// How long sessions last at most, counted from their login, however often they are renewed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Longest {
    pub(crate) session: Duration,
    /// For devices that may approve.
    pub(crate) device: Duration,
}

impl Live {
    /// The end that is wanted for it, or its last possible one if that is sooner.
    pub(crate) fn until(&self, wanted: Timestamp, longest: Longest) -> Timestamp {
        let span = if self.approving { longest.device } else { longest.session };
        wanted.min(self.created_at.plus(span))
    }
}

pub(crate) async fn insert(tx: &mut Tx, new: New, now: Timestamp) -> Result<(), Error> {
    let args = [
        arg(new.id.to_string()),
        arg(new.account.0),
        arg(new.device.0),
        arg(new.client_id),
        arg(new.amr),
        arg(new.acr),
        arg(now),
        arg(new.expires_at),
        arg(new.token),
        arg(new.ip),
        arg(new.agent),
    ];
    tx.execute(INSERT, args).await.map(drop)
}

/// The session, unless it, its device or its account has ended.
pub(crate) async fn live(tx: &mut Tx, id: SessionId, now: Timestamp) -> Result<Option<Live>, Error> {
    tx.optional(LIVE, [arg(id.to_string()), arg(now)]).await?.map(|row| read(&row)).transpose()
}

/// The session of a cookie's token, unless it, its device or its account has ended.
pub(crate) async fn by_token(tx: &mut Tx, token: &[u8; 32], now: Timestamp) -> Result<Option<Live>, Error> {
    tx.optional(BY_TOKEN, [arg(token.as_slice()), arg(now)]).await?.map(|row| read(&row)).transpose()
}

/// A live session as its owner sees it: with what its device says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) live: Live,
    pub(crate) device_type: String,
    pub(crate) os: String,
    pub(crate) browser: String,
    pub(crate) location: String,
}

/// The account's live sessions on every surface, oldest first.
pub(crate) async fn list(tx: &mut Tx, account: AccountId, now: Timestamp) -> Result<Vec<Listed>, Error> {
    let listed = |row: &Row| {
        Ok(Listed {
            live: read(row)?,
            device_type: row.get(21)?,
            os: row.get(22)?,
            browser: row.get(23)?,
            location: row.get(24)?,
        })
    };
    tx.all(OF_ACCOUNT, [arg(account.0), arg(now)]).await?.iter().map(listed).collect()
}

/// Whether a device has a live session.
pub(crate) async fn device_has_one(tx: &mut Tx, device: DeviceId, now: Timestamp) -> Result<bool, Error> {
    Ok(!tx.all(OF_DEVICE, [arg(device.0), arg(now)]).await?.is_empty())
}

/// Lets a session be known by another token; the old one is worth nothing from now on.
pub(crate) async fn set_token(tx: &mut Tx, id: SessionId, token: &[u8; 32]) -> Result<(), Error> {
    tx.execute(SET_TOKEN, [arg(id.to_string()), arg(token.as_slice())]).await.map(drop)
}

/// Moves the end of a session on to `until`, or to its last possible one.
pub(crate) async fn renew(
    tx: &mut Tx,
    live: &Live,
    until: Timestamp,
    longest: Longest,
    now: Timestamp,
) -> Result<(), Error> {
    let until = live.until(until, longest);
    tx.execute(RENEW, [arg(live.id.to_string()), arg(now), arg(until)]).await.map(drop)
}

/// Notes that the owner proved to be there just now.
pub(crate) async fn prove(tx: &mut Tx, id: SessionId, now: Timestamp) -> Result<(), Error> {
    tx.execute(PROVE, [arg(id.to_string()), arg(now)]).await.map(drop)
}

/// Lets the sessions of a device that has just become an approving one live until `until`, or their last possible end.
pub(crate) async fn set_end(
    tx: &mut Tx,
    device: DeviceId,
    until: Timestamp,
    longest: Longest,
) -> Result<(), Error> {
    tx.execute(SET_END, [arg(device.0), arg(until), millis(longest.device)]).await.map(drop)
}

/// Lets an approving device's sessions live at least until `until`, or their last possible end.
pub(crate) async fn extend(
    tx: &mut Tx,
    device: DeviceId,
    until: Timestamp,
    longest: Longest,
) -> Result<(), Error> {
    tx.execute(SLIDE, [arg(device.0), arg(until), millis(longest.device)]).await.map(drop)
}

fn millis(span: Duration) -> super::tx::Arg {
    arg(Timestamp(0).plus(span))
}

/// Lets a device's sessions live at most until `until`.
pub(crate) async fn shorten(tx: &mut Tx, device: DeviceId, until: Timestamp) -> Result<(), Error> {
    tx.execute(SHORTEN, [arg(device.0), arg(until)]).await.map(drop)
}

/// Ends one session; its device stays.
pub(crate) async fn revoke(tx: &mut Tx, id: SessionId, now: Timestamp) -> Result<(), Error> {
    tx.execute(REVOKE, [arg(id.to_string()), arg(now)]).await.map(drop)
}

pub(crate) async fn revoke_device(tx: &mut Tx, device: DeviceId, now: Timestamp) -> Result<(), Error> {
    tx.execute(REVOKE_DEVICE, [arg(device.0), arg(now)]).await.map(drop)
}

/// Ends the account's other sessions. Approving phones stay: they are its second factor, and are ended as such.
pub(crate) async fn revoke_others(
    tx: &mut Tx,
    account: AccountId,
    keep: SessionId,
    now: Timestamp,
) -> Result<(), Error> {
    tx.execute(REVOKE_OTHERS, [arg(account.0), arg(keep.to_string()), arg(now)]).await.map(drop)
}

/// Ends all of the account's sessions.
pub(crate) async fn revoke_all(tx: &mut Tx, account: AccountId, now: Timestamp) -> Result<(), Error> {
    tx.execute(REVOKE_ALL, [arg(account.0), arg(now)]).await.map(drop)
}

/// Ends all of the account's sessions but those of approving phones.
pub(crate) async fn revoke_logins(tx: &mut Tx, account: AccountId, now: Timestamp) -> Result<(), Error> {
    tx.execute(REVOKE_LOGINS, [arg(account.0), arg(now)]).await.map(drop)
}

fn read(row: &Row) -> Result<Live, Error> {
    let damaged = |_| Error::Failed("sessions: a row with a damaged uuid".to_owned());
    Ok(Live {
        id: row.get::<String>(14)?.parse().map_err(damaged)?,
        created_at: Timestamp(row.get(15)?),
        renewed_at: Timestamp(row.get::<Option<i64>>(16)?.unwrap_or(row.get(15)?)),
        ip: row.get(17)?,
        agent: row.get(18)?,
        seen_at: row.get::<Option<i64>>(19)?.map(Timestamp),
        seen_ip: row.get(13)?,
        account: AccountId(row.get(0)?),
        device: DeviceId(row.get(1)?),
        client_id: row.get(2)?,
        amr: row.get(3)?,
        acr: row.get(4)?,
        auth_time: Timestamp(row.get(5)?),
        proved_at: Timestamp(row.get(6)?),
        expires_at: Timestamp(row.get(7)?),
        approving: row.get::<Option<i64>>(8)?.is_some(),
        device_name: row.get(9)?,
        kind: row.get(10)?,
        email: row.get(11)?,
        verified: row.get::<i64>(20)? != 0,
        account_uuid: row.get::<String>(12)?.parse().map_err(damaged)?,
    })
}
