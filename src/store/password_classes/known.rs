//! The classes of the stored passwords as this process knows them.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// So many accounts of a kind have a password of a class.
#[derive(Clone, Debug)]
pub(crate) struct Share {
    pub(crate) kind: String,
    /// Empty in rows of before there were classes.
    pub(crate) class: String,
    pub(crate) accounts: u64,
}

/// A password of a kind that came, went or is of another class now.
#[derive(Clone, Debug)]
pub(in crate::store) struct Move {
    pub(super) kind: String,
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
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
    pub(in crate::store) fn tell(&self, committed: Vec<Move>) {
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
