//! How many accounts have a password of which class: function and cost, which decide how long verifying takes.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::accounts::class_of;
use super::signals::{self, Signal};
use super::{Error, Row, Tx, arg};
use crate::domain::account::PasswordHash;
use crate::domain::time::Timestamp;

/// Rows of one batch; as many mean that there may be more.
pub(crate) const BATCH: usize = 500;

// Out of the index alone.
const COUNT: &str = "SELECT kind, password_class, count(*) FROM accounts GROUP BY password_class, kind ORDER BY password_class, kind";
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
    let read = |row: &Row| {
        let accounts = row.get::<i64>(2)?.unsigned_abs();
        Ok(Share { kind: row.get(0)?, class: row.get(1)?, accounts })
    };
    tx.all(COUNT, []).await?.iter().map(read).collect()
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
