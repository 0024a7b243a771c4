//! How many accounts have a password of which class: function and cost, which decide how long verifying takes.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::accounts::class_of;
use super::signals::{self, Signal};
use super::{Error, Tx, arg};
use crate::domain::account::PasswordHash;
use crate::domain::time::Timestamp;

/// Rows of one batch; as many mean that there may be more.
pub(crate) const BATCH: usize = 500;

// Out of the index alone, and so many accounts by one statement at most: none takes longer the larger the table is.
const NEXT: &str = "SELECT password_class, kind FROM accounts WHERE (password_class, kind) > ($1, $2) \
     ORDER BY password_class, kind LIMIT 1";
const COUNT: &str = "SELECT CAST(COUNT(*) AS BIGINT), MAX(id) FROM (SELECT id FROM accounts \
     WHERE password_class = $1 AND kind = $2 AND id > $3 ORDER BY id LIMIT $4) AS counted";
/// Accounts that one statement counts.
const WINDOW: i64 = 10_000;
const UNCLASSED: &str = "SELECT id, password FROM accounts WHERE password_class = '' LIMIT 500";
const CLASS: &str =
    "UPDATE accounts SET password_class = $3 WHERE id = $1 AND password = $2 AND password_class = ''";

/// So many accounts of a kind have a password of a class.
#[derive(Clone, Debug)]
pub(crate) struct Share {
    pub(crate) kind: String,
    /// Empty in rows of before there were classes.
    pub(crate) class: String,
    pub(crate) accounts: u64,
}

/// All classes of all kinds.
pub(crate) async fn count(tx: &mut Tx) -> Result<Vec<Share>, Error> {
    count_by(tx, WINDOW).await
}

async fn count_by(tx: &mut Tx, window: i64) -> Result<Vec<Share>, Error> {
    let (mut shares, mut class, mut kind) = (Vec::new(), String::new(), String::new());
    while let Some(row) = tx.optional(NEXT, [arg(class), arg(kind)]).await? {
        (class, kind) = (row.get(0)?, row.get(1)?);
        let (mut accounts, mut last) = (0, Some(0_i64));
        while let Some(after) = last {
            let args = [arg(class.as_str()), arg(kind.as_str()), arg(after), arg(window)];
            let counted = tx.one(COUNT, args).await?;
            accounts += counted.get::<i64>(0)?.unsigned_abs();
            last = counted.get(1)?;
        }
        shares.push(Share { kind: kind.clone(), class: class.clone(), accounts });
    }
    Ok(shares)
}

/// Notes the classes of one batch of rows of before there were any, and returns how many it was.
pub(crate) async fn classify(tx: &mut Tx) -> Result<usize, Error> {
    let rows = tx.all(UNCLASSED, []).await?;
    for row in &rows {
        let (id, hash): (i64, String) = (row.get(0)?, row.get(1)?);
        let hash = PasswordHash(hash);
        let class = class_of(&hash);
        tx.execute(CLASS, [arg(id), arg(hash.0), arg(class)]).await?;
    }
    Ok(rows.len())
}

/// A password of a kind that came, went or is of another class now.
#[derive(Clone, Debug)]
pub(super) struct Move {
    kind: String,
    from: Option<String>,
    to: Option<String>,
}

/// Notes that with this unit of work a password of a kind comes (no `from`), goes (no `to`) or changes its class: for this
/// process once it is committed, and for the others as a signal.
pub(super) async fn moved(
    tx: &mut Tx,
    kind: &str,
    from: Option<String>,
    to: Option<String>,
    now: Timestamp,
) -> Result<(), Error> {
    if from == to {
        return Ok(());
    }
    tx.after.moved.push(Move { kind: kind.to_owned(), from, to });
    signals::emit(tx, Signal::Passwords, now).await
}

/// What is stored, by kind and class, as this process knows it: counted now and then, and in between changed by every
/// unit that this process commits. Clones share it.
#[derive(Clone, Default, Debug)]
pub(crate) struct Known(Arc<Mutex<State>>);

#[derive(Default, Debug)]
struct State {
    accounts: BTreeMap<(String, String), u64>,
    /// Grows with every change.
    version: u64,
    /// What was committed since a count began, while there is one.
    since: Option<Vec<Move>>,
}

impl Known {
    /// The version of what is known; it tells whether a look at [`Known::shares`] is worth while.
    pub(crate) fn version(&self) -> u64 {
        self.0.lock().version
    }

    /// What is known, and its version.
    pub(crate) fn shares(&self) -> (u64, Vec<Share>) {
        let state = self.0.lock();
        let share = |((kind, class), accounts): (&(String, String), &u64)| Share {
            kind: kind.clone(),
            class: class.clone(),
            accounts: *accounts,
        };
        (state.version, state.accounts.iter().map(share).collect())
    }

    /// A count of the table begins.
    pub(crate) fn begin_count(&self) {
        self.0.lock().since = Some(Vec::new());
    }

    /// Takes a count over. What was committed while it was made may be in it or not, and is counted in once more: the
    /// signal that came with it has it counted again.
    pub(crate) fn counted(&self, shares: &[Share]) {
        let mut state = self.0.lock();
        state.accounts =
            shares.iter().map(|share| ((share.kind.clone(), share.class.clone()), share.accounts)).collect();
        let since = state.since.take();
        since.iter().flatten().for_each(|moved| state.apply(moved));
        state.version += 1;
    }

    /// Takes over what is committed by now.
    pub(super) fn tell(&self, committed: Vec<Move>) {
        if committed.is_empty() {
            return;
        }
        let mut state = self.0.lock();
        committed.iter().for_each(|moved| state.apply(moved));
        if let Some(since) = &mut state.since {
            since.extend(committed);
        }
        state.version += 1;
    }
}

impl State {
    fn apply(&mut self, Move { kind, from, to }: &Move) {
        if let Some(class) = from
            && let Some(accounts) = self.accounts.get_mut(&(kind.clone(), class.clone()))
        {
            *accounts = accounts.saturating_sub(1);
        }
        if let Some(class) = to {
            *self.accounts.entry((kind.clone(), class.clone())).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests;
