//! The audit trail: every outcome of an authentication, as a row and as a structured log line.
//!
//! Who is refused can bring that about as often as they like, so a refusal that repeats within the hour is counted in the
//! row of its first, and one that concerns nothing that exists is counted in memory alone. What follows from typing a name
//! is counted in that name's row. What was granted or changed has a row of its own each time.

mod merging;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use dashmap::DashMap;

use merging::{Merging, Place};

use super::tx::Arg;
use super::{Error, Tx, arg};
use crate::domain::ids::{AccountId, DeviceId, PairingId};
use crate::domain::time::Timestamp;

const INSERT: &str = "INSERT INTO audit (at, event, outcome, account_id, device_id, pairing, source) VALUES ($1, $2, $3, $4, $5, $6, $7)";
/// A refusal's first row, or one more in it; how many it is by then.
const MERGE: &str = "INSERT INTO audit (at, event, outcome, account_id, device_id, pairing, source, count, until, merged) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $1, $8) ON CONFLICT (merged) DO UPDATE \
     SET count = audit.count + 1, until = CASE WHEN excluded.until > audit.until THEN excluded.until ELSE audit.until END \
     RETURNING count";

/// The outcome of what was granted or changed.
pub(crate) const OK: &str = "ok";

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
    written: Written,
}

/// What an entry has become.
#[derive(Clone, Copy, Debug)]
enum Written {
    /// A row of its own.
    Row,
    /// The so many-eth in a row with others like it.
    Merged(i64),
    /// Nothing.
    Nothing,
}

/// How often each event had which outcome since this process started, and which refusals it merges; clones share it.
#[derive(Clone, Default, Debug)]
pub(crate) struct Counts {
    outcomes: Arc<DashMap<(&'static str, &'static str), u64>>,
    merging: Arc<Merging>,
}

impl Counts {
    /// Event, outcome and number, by name.
    pub(crate) fn all(&self) -> BTreeMap<(&'static str, &'static str), u64> {
        self.outcomes.iter().map(|count| (*count.key(), *count.value())).collect()
    }
}

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
        let line = |id: &AccountId| Line {
            event,
            outcome,
            account: Some(*id),
            device: None,
            pairing: None,
            source: source.to_owned(),
            written: Written::Row,
        };
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
    let Entry { event, outcome, account, device, pairing, source } = entry;
    tx.after.trail.push(Line {
        event,
        outcome,
        account,
        device,
        pairing,
        source: source.to_owned(),
        written,
    });
}

impl Line {
    /// Counts and logs what is committed by now.
    pub(super) fn tell(&self, counts: &Counts) {
        *counts.outcomes.entry((self.event, self.outcome)).or_default() += 1;
        match self.written {
            Written::Row => self.log(1),
            // The log is a disk as well: of a flood it says how far it has come.
            Written::Merged(count) if count <= 10 || count.unsigned_abs().is_power_of_two() => {
                self.log(count)
            }
            Written::Merged(_) | Written::Nothing => {}
        }
    }

    fn log(&self, count: i64) {
        tracing::info!(
            target: "audit",
            event = self.event,
            outcome = self.outcome,
            account = self.account.map(|id| id.0),
            device = self.device.map(|id| id.0),
            pairing = self.pairing.map(tracing::field::display),
            source = self.source,
            count = (count > 1).then_some(count),
        );
    }
}
