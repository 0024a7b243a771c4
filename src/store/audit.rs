//! The audit trail: every outcome of an authentication, as a row and as a structured log line.
//!
//! Who is refused can bring that about as often as they like, so a refusal that repeats within the hour is counted in the
//! row of its first, and one that concerns nothing that exists is counted in memory alone. What follows from typing a name
//! is counted in that name's row. What was granted or changed has a row of its own each time.

mod entry;
mod merging;
pub(super) mod trail;

use std::sync::LazyLock;

pub(crate) use entry::{Entry, OK};
use merging::Place;
pub(crate) use trail::Counts;
use trail::{Line, Written};

use super::{Arg, Error, Tx, arg};
use crate::domain::ids::AccountId;
use crate::domain::time::Timestamp;

const INSERT: &str = "INSERT INTO audit (at, event, outcome, account_id, device_id, pairing, source) VALUES ($1, $2, $3, $4, $5, $6, $7)";
/// A refusal's first row, or one more in it; how many it is by then.
const MERGE: &str = "INSERT INTO audit (at, event, outcome, account_id, device_id, pairing, source, count, until, merged) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $1, $8) ON CONFLICT (merged) DO UPDATE \
     SET count = audit.count + 1, until = CASE WHEN excluded.until > audit.until THEN excluded.until ELSE audit.until END \
     RETURNING count";

/// Rows of one statement of [`record_all`].
const MANY: usize = 40;

/// The same with many rows that differ in the account alone.
static INSERT_MANY: LazyLock<String> = LazyLock::new(|| {
    let row = |n: usize| format!("($1, $2, $3, ${}, NULL, NULL, $4)", n + 5);
    let rows = (0..MANY).map(row).collect::<Vec<_>>().join(", ");
    format!("INSERT INTO audit (at, event, outcome, account_id, device_id, pairing, source) VALUES {rows}")
});

/// Writes one row for each account, as [`record`] does, in fewer statements.
pub(crate) async fn record_all(
    tx: &mut Tx,
    entry: Entry<'_>,
    accounts: &[AccountId],
    now: Timestamp,
) -> Result<(), Error> {
    let Entry { event, outcome, source, .. } = entry;
    let (many, rest) = accounts.as_chunks::<MANY>();
    for chunk in many {
        let common = [arg(now), arg(event), arg(outcome), arg(source)];
        tx.execute(&INSERT_MANY, common.into_iter().chain(chunk.iter().map(|id| arg(id.0)))).await?;
        let line = |id: &AccountId| Line::new(Entry { account: Some(*id), ..entry }, Written::Row);
        tx.after.trail.extend(chunk.iter().map(line));
    }
    for id in rest {
        record(tx, Entry { account: Some(*id), ..entry }, now).await?;
    }
    Ok(())
}

/// Writes the row with the unit of work, and the log line once that is committed. A refusal that was there before within the
/// hour is counted in its row.
pub(crate) async fn record(tx: &mut Tx, entry: Entry<'_>, now: Timestamp) -> Result<(), Error> {
    if entry.outcome != OK {
        let place = tx.memory.counts.merging.place(&entry, now);
        return merge(tx, entry, place, now).await;
    }
    tx.execute(INSERT, args(&entry, entry.account, entry.source, now)).await?;
    note(tx, entry, Written::Row);
    Ok(())
}

/// Records an outcome that a stranger brings about by typing a name. What an hour brings is counted in one row of that name
/// and network, also what went well, by the same statement whether or not an account has the name: the row is locked until
/// the unit is committed, and who waits for it must not learn by that which names are known.
pub(crate) async fn record_named(
    tx: &mut Tx,
    entry: Entry<'_>,
    name: &str,
    now: Timestamp,
) -> Result<(), Error> {
    let place = tx.memory.counts.merging.place_of_name(&entry, name, now);
    merge(tx, entry, place, now).await
}

async fn merge(tx: &mut Tx, entry: Entry<'_>, place: Place<'_>, now: Timestamp) -> Result<(), Error> {
    let args = args(&entry, place.account, place.source, now).into_iter().chain([arg(place.key)]);
    let count = tx.one(MERGE, args).await?.get(0)?;
    note(tx, entry, Written::Merged(count));
    Ok(())
}

fn args(entry: &Entry<'_>, account: Option<AccountId>, source: &str, now: Timestamp) -> [Arg; 7] {
    [
        arg(now),
        arg(entry.event),
        arg(entry.outcome),
        arg(account.map(|id| id.0)),
        arg(entry.device.map(|id| id.0)),
        arg(entry.pairing.map(|id| id.to_string())),
        arg(source),
    ]
}

/// Counts a refusal that concerns nothing that exists, and writes no row.
pub(crate) fn count(tx: &mut Tx, entry: Entry<'_>) {
    note(tx, entry, Written::Nothing);
}

fn note(tx: &mut Tx, entry: Entry<'_>, written: Written) {
    tx.after.trail.push(Line::new(entry, written));
}
