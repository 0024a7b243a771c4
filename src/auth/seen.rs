//! Sessions that were found to live a moment ago: their requests, and no others, wait in the line of their account.
//!
//! A token that is rightly signed may be of a session that has ended, and its holder must not keep the account's owner
//! waiting. Only a look at the store shows which it is, so that look waits in the line of the network. A session that was
//! found to live is remembered for a while, so that many requests of it don't fill that line.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;

use super::{Auth, Error};
use crate::domain::ids::{AccountId, SessionId};
use crate::store::Tx;
use crate::store::lapse::Redeemable;
use crate::store::sessions::{self, Live};
use crate::turns;

/// A session is forgotten after one to two of these, unless it is found again.
const SPAN: Duration = Duration::from_secs(60);
/// Sessions that are kept for one such time: a few MiB.
const MOST: usize = 20_000;

/// What a client shows of a session.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Shown {
    /// Its name, in a token that is rightly signed.
    Session(SessionId),
    /// The hash of its cookie.
    Cookie([u8; 32]),
}

impl From<Shown> for Redeemable {
    fn from(shown: Shown) -> Self {
        match shown {
            Shown::Session(session) => Self::Session(session),
            Shown::Cookie(hash) => Self::Cookie(hash),
        }
    }
}

/// The sessions that were found, with their accounts.
#[derive(Default)]
pub(super) struct Seen(Mutex<State>);

#[derive(Default)]
struct State {
    /// Those found since `since`, and those found in the time before that.
    new: HashMap<Shown, AccountId>,
    old: HashMap<Shown, AccountId>,
    since: Duration,
}

impl Seen {
    fn account(&self, shown: &Shown, now: Duration) -> Option<AccountId> {
        let mut state = self.0.lock();
        state.age(now);
        state.new.get(shown).or_else(|| state.old.get(shown)).copied()
    }

    fn found(&self, shown: Shown, account: AccountId, now: Duration) {
        let mut state = self.0.lock();
        if state.new.len() >= MOST && !state.new.contains_key(&shown) {
            state.turn_over(now);
        }
        state.age(now);
        state.new.insert(shown, account);
    }

    fn ended(&self, shown: &Shown) {
        let mut state = self.0.lock();
        state.new.remove(shown);
        state.old.remove(shown);
    }
}

impl State {
    fn age(&mut self, now: Duration) {
        let age = now.saturating_sub(self.since);
        if age >= SPAN * 2 {
            self.new.clear();
        }
        if age >= SPAN {
            self.turn_over(now);
        }
    }

    fn turn_over(&mut self, now: Duration) {
        self.old = std::mem::take(&mut self.new);
        self.since = now;
    }
}

impl Auth {
    /// The session that a client shows, unless it, its device or its account has ended.
    pub(super) async fn shown(&self, shown: Shown) -> Result<Option<Live>, Error> {
        if let Some(account) = self.seen.account(&shown, self.clock.uptime()) {
            turns::proven(account);
        }
        let now = self.now();
        let unit = async move |tx: &mut Tx| match shown {
            Shown::Session(session) => sessions::live(tx, session, now).await,
            Shown::Cookie(hash) => sessions::by_token(tx, &hash, now).await,
        };
        let live = self.store.read(move |tx| Box::pin(async move { unit(tx).await })).await?;
        match &live {
            Some(live) => {
                self.seen.found(shown, live.account, self.clock.uptime());
                turns::proven(live.account);
            }
            None => {
                self.seen.ended(&shown);
                self.note_over(shown.into(), now).await?;
            }
        }
        Ok(live)
    }
}

#[cfg(test)]
mod tests;
