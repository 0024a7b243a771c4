//! Notices of one kind to one account: the first goes at once, those of the next hour are counted for one letter more, and
//! so are those for which the outbox has no room.

use std::time::Duration;

use super::{Error, Row, Tx, arg};
use crate::domain::ids::AccountId;
use crate::domain::time::Timestamp;

/// How long repeats are gathered.
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// What was counted and not yet said goes on being counted, however late its letter is.
const COUNT: &str = "INSERT INTO notice_runs (account_id, kind, since, repeats, last_at, source) VALUES ($1, $2, $3, 0, $3, $4) \
     ON CONFLICT (account_id, kind) DO UPDATE SET \
     repeats = CASE WHEN notice_runs.repeats > 0 OR (notice_runs.since > $5 AND notice_runs.since < $6) \
     THEN notice_runs.repeats + 1 ELSE 0 END, \
     since = CASE WHEN notice_runs.repeats > 0 OR (notice_runs.since > $5 AND notice_runs.since < $6) \
     THEN notice_runs.since ELSE $3 END, last_at = $3, source = $4 RETURNING repeats";
const REPEAT: &str = "INSERT INTO notice_runs (account_id, kind, since, repeats, last_at, source) VALUES ($1, $2, $3, 1, $3, $4) \
     ON CONFLICT (account_id, kind) DO UPDATE SET repeats = notice_runs.repeats + 1, last_at = $3, source = $4";
/// What no letter had room for is due as soon as there is some: it began before any hour that is still gathered.
const OWE: &str = "INSERT INTO notice_runs (account_id, kind, since, repeats, last_at, source) VALUES ($1, $2, $5, 1, $3, $4) \
     ON CONFLICT (account_id, kind) DO UPDATE SET repeats = notice_runs.repeats + 1, since = $5, last_at = $3, source = $4";
const DUE: &str = "SELECT account_id, kind, since, repeats, last_at, source FROM notice_runs \
     WHERE repeats > 0 AND (since <= $1 OR since >= $2) ORDER BY since, account_id, kind LIMIT 20 OFFSET $3";
/// The `since` of occasions of which the first had no letter.
const NO_LETTER: Timestamp = Timestamp(0);
const TAKE: &str = "UPDATE notice_runs SET repeats = 0, since = $5 WHERE account_id = $1 AND kind = $2 AND since = $3 AND repeats = $4";

/// Repeats that were counted and not yet told.
#[derive(Clone, Debug)]
pub(crate) struct Repeats {
    pub(crate) account: AccountId,
    pub(crate) kind: String,
    since: Timestamp,
    pub(crate) times: i64,
    /// When the last of them was, and from where.
    pub(crate) last_at: Timestamp,
    pub(crate) source: String,
}

/// Notes an occasion for a notice; whether it is the first of its kind within an hour, and to be told at once.
pub(crate) async fn is_first(
    tx: &mut Tx,
    account: AccountId,
    kind: &str,
    source: &str,
    now: Timestamp,
) -> Result<bool, Error> {
    // A time to come is of a clock that was put back; it does not gather for ever.
    let args = [arg(account.0), arg(kind), arg(now), arg(source), arg(now.minus(HOUR)), arg(now.plus(HOUR))];
    Ok(tx.one(COUNT, args).await?.get::<i64>(0)? == 0)
}

/// Counts an occasion as a repeat.
pub(crate) async fn repeat(
    tx: &mut Tx,
    account: AccountId,
    kind: &str,
    source: &str,
    now: Timestamp,
) -> Result<(), Error> {
    tx.execute(REPEAT, [arg(account.0), arg(kind), arg(now), arg(source)]).await.map(drop)
}

/// Counts an occasion for whose letter the outbox has no room: the letter is written once there is room.
pub(crate) async fn owe(
    tx: &mut Tx,
    account: AccountId,
    kind: &str,
    source: &str,
    now: Timestamp,
) -> Result<(), Error> {
    tx.execute(OWE, [arg(account.0), arg(kind), arg(now), arg(source), arg(NO_LETTER)]).await.map(drop)
}

impl Repeats {
    /// Whether a letter about the first of them was written when it happened.
    pub(crate) fn follow_a_letter(&self) -> bool {
        self.since != NO_LETTER
    }
}

/// Repeats whose hour is over, and occasions whose letter had no room: some of those after the first `skipped`, the oldest
/// first.
pub(crate) async fn due(tx: &mut Tx, skipped: u32, now: Timestamp) -> Result<Vec<Repeats>, Error> {
    tx.all(DUE, [arg(now.minus(HOUR)), arg(now.plus(HOUR)), arg(skipped)]).await?.iter().map(read).collect()
}

/// Takes repeats to tell them; false when another node has. The next hour begins.
pub(crate) async fn take(tx: &mut Tx, repeats: &Repeats, now: Timestamp) -> Result<bool, Error> {
    let Repeats { account, kind, since, times, .. } = repeats;
    let args = [arg(account.0), arg(kind.as_str()), arg(*since), arg(*times), arg(now)];
    Ok(tx.execute(TAKE, args).await? == 1)
}

fn read(row: &Row) -> Result<Repeats, Error> {
    Ok(Repeats {
        account: AccountId(row.get(0)?),
        kind: row.get(1)?,
        since: Timestamp(row.get(2)?),
        times: row.get(3)?,
        last_at: Timestamp(row.get(4)?),
        source: row.get(5)?,
    })
}
