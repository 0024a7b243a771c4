//! Signals: how a change by another process (a command, another node) reaches the servers that run.

use super::{Error, Row, Tx, arg};
use crate::domain::ids::{AccountId, PairingId};
use crate::domain::time::Timestamp;

const EMIT: &str =
    "INSERT INTO signals (at, kind, account_id, pairing, ask, detail) VALUES ($1, $2, $3, $4, $5, $6)";
const SINCE: &str =
    "SELECT id, kind, account_id, pairing, ask, detail FROM signals WHERE at > $1 ORDER BY id";

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

    fn detail(self) -> &'static str {
        match self {
            Self::Ended => "",
            Self::Replaced => "replaced",
            Self::Gone => "gone",
        }
    }
}

/// What [`Signal::Passwords`] says beside its kind.
const PASSWORDS: &str = "passwords";

pub(crate) async fn emit(tx: &mut Tx, signal: Signal, now: Timestamp) -> Result<(), Error> {
    let none = None::<i64>;
    let [kind, account, pairing, ask, detail] = match signal {
        Signal::Keys => [arg("keys"), arg(none), arg(None::<String>), arg(none), arg("")],
        Signal::Passwords => [arg("keys"), arg(none), arg(None::<String>), arg(none), arg(PASSWORDS)],
        Signal::Account(account) => [arg("account"), arg(account.0), arg(None::<String>), arg(none), arg("")],
        Signal::Dropped { account, pairing, ask, how } => {
            [arg("dropped"), arg(account.0), arg(pairing.to_string()), arg(ask), arg(how.detail())]
        }
    };
    tx.execute(EMIT, [arg(now), kind, account, pairing, ask, detail]).await?;
    tx.after.effects.signals.push(signal);
    Ok(())
}

/// Signals after `since`, with their numbers. Ask with some overlap: on PostgreSQL a lower number may be committed
/// after a higher one. A kind that only a later release knows is passed over: during an upgrade both run.
pub(crate) async fn since(tx: &mut Tx, since: Timestamp) -> Result<Vec<(i64, Signal)>, Error> {
    tx.all(SINCE, [arg(since)]).await?.iter().filter_map(|row| read(row).transpose()).collect()
}

fn read(row: &Row) -> Result<Option<(i64, Signal)>, Error> {
    let damaged = || Error::Failed("signals: a damaged row".to_owned());
    let account = || Ok::<_, Error>(AccountId(row.get::<Option<i64>>(2)?.ok_or_else(damaged)?));
    let detail: String = row.get(5)?;
    let signal = match row.get::<String>(1)?.as_str() {
        "keys" if detail == PASSWORDS => Signal::Passwords,
        "keys" => Signal::Keys,
        "account" => Signal::Account(account()?),
        "dropped" => Signal::Dropped {
            account: account()?,
            pairing: row.get::<Option<String>>(3)?.and_then(|id| id.parse().ok()).ok_or_else(damaged)?,
            ask: row.get::<Option<i64>>(4)?.and_then(|ask| ask.try_into().ok()).ok_or_else(damaged)?,
            how: Dropped::ALL.into_iter().find(|how| how.detail() == detail).unwrap_or(Dropped::Ended),
        },
        _ => return Ok(None),
    };
    Ok(Some((row.get(0)?, signal)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::StoreUrl;
    use crate::store::Store;

    #[tokio::test]
    async fn signals_come_back_as_they_were_and_no_node_of_the_first_release_stumbles() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&StoreUrl::Sqlite(folder.path().join("x.db")), 1, 1).await.unwrap();
        let (account, pairing) = (AccountId(7), PairingId(uuid::Uuid::from_u128(9)));
        let dropped = Dropped::ALL.map(|how| Signal::Dropped { account, pairing, ask: 2, how });
        let all = [&[Signal::Keys, Signal::Passwords, Signal::Account(account)], &dropped[..]].concat();
        let emitted = all.clone();
        let unit = async move |tx: &mut Tx| {
            for signal in emitted {
                emit(tx, signal, Timestamp(5)).await?;
            }
            let kinds = tx.all("SELECT DISTINCT kind FROM signals ORDER BY kind", []).await?;
            let kinds: Vec<String> = kinds.iter().map(|row| row.get(0)).collect::<Result<_, _>>()?;
            let known: Vec<_> =
                since(tx, Timestamp(0)).await?.into_iter().map(|(_, signal)| signal).collect();
            tx.execute("UPDATE signals SET kind = 'of a later release'", []).await?;
            Ok((kinds, known, since(tx, Timestamp(0)).await?.len()))
        };
        let (kinds, known, of_later) =
            store.write(move |tx| Box::pin(async move { unit(tx).await })).await.unwrap();
        assert_eq!((known, of_later), (all, 0));
        assert_eq!(kinds, ["account", "dropped", "keys"]);
    }
}
