//! Signals: how a change by another process (a command, another node) reaches the servers that run.

use super::{Error, Row, Tx, arg};
use crate::domain::ids::{AccountId, PairingId};
use crate::domain::time::Timestamp;

const EMIT: &str = "INSERT INTO signals (at, kind, account_id, pairing, ask) VALUES ($1, $2, $3, $4, $5)";
const SINCE: &str = "SELECT id, kind, account_id, pairing, ask FROM signals WHERE at > $1 ORDER BY id";

/// What changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Signal {
    /// Signing keys: read them again.
    Keys,
    /// The proportions of the stored password schemes: count them again.
    Passwords,
    /// An account, its devices or its sessions: see who of its sockets may stay.
    Account(AccountId),
    /// An ask was ended by something else than an answer: its browser and the phones that show it are told.
    Dropped { account: AccountId, pairing: PairingId, ask: u32, how: Dropped },
}

/// What ended an ask before its time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Dropped {
    /// Something changed about its account.
    Ended,
    /// Its browser asked again.
    Replaced,
    /// Its browser gave it up.
    Gone,
}

impl Dropped {
    const ALL: [Self; 3] = [Self::Ended, Self::Replaced, Self::Gone];

    fn kind(self) -> &'static str {
        match self {
            Self::Ended => "dropped",
            Self::Replaced => "replaced",
            Self::Gone => "gone",
        }
    }
}

pub(crate) async fn emit(tx: &mut Tx, signal: Signal, now: Timestamp) -> Result<(), Error> {
    let none = None::<i64>;
    let [kind, account, pairing, ask] = match signal {
        Signal::Keys => [arg("keys"), arg(none), arg(None::<String>), arg(none)],
        Signal::Passwords => [arg("passwords"), arg(none), arg(None::<String>), arg(none)],
        Signal::Account(account) => [arg("account"), arg(account.0), arg(None::<String>), arg(none)],
        Signal::Dropped { account, pairing, ask, how } => {
            [arg(how.kind()), arg(account.0), arg(pairing.to_string()), arg(ask)]
        }
    };
    tx.execute(EMIT, [arg(now), kind, account, pairing, ask]).await.map(drop)
}

/// Signals after `since`, with their numbers. Ask with some overlap: on PostgreSQL a lower number may be committed
/// after a higher one. A kind that only a later release knows is passed over: during an upgrade both run.
pub(crate) async fn since(tx: &mut Tx, since: Timestamp) -> Result<Vec<(i64, Signal)>, Error> {
    tx.all(SINCE, [arg(since)]).await?.iter().filter_map(|row| read(row).transpose()).collect()
}

fn read(row: &Row) -> Result<Option<(i64, Signal)>, Error> {
    let damaged = || Error::Failed("signals: a damaged row".to_owned());
    let account = || Ok::<_, Error>(AccountId(row.get::<Option<i64>>(2)?.ok_or_else(damaged)?));
    let signal = match row.get::<String>(1)?.as_str() {
        "keys" => Signal::Keys,
        "passwords" => Signal::Passwords,
        "account" => Signal::Account(account()?),
        kind => match Dropped::ALL.into_iter().find(|how| how.kind() == kind) {
            Some(how) => Signal::Dropped {
                account: account()?,
                pairing: row.get::<Option<String>>(3)?.and_then(|id| id.parse().ok()).ok_or_else(damaged)?,
                ask: row.get::<Option<i64>>(4)?.and_then(|ask| ask.try_into().ok()).ok_or_else(damaged)?,
                how,
            },
            None => return Ok(None),
        },
    };
    Ok(Some((row.get(0)?, signal)))
}
