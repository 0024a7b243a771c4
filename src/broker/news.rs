//! What other nodes did and did not tell, or told in vain: looked up in the store, twice a second. Only what was asked or
//! answered lately is read; a browser that merely waits costs nothing here.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;

use super::mailbox::Notice;
use super::{Broker, OVERLAP};
use crate::auth::Error;
use crate::bus::{Reason, Resolved};
use crate::domain::ids::PairingId;
use crate::domain::time::Timestamp;

/// A pairing, and which of its asks.
type Ask = (PairingId, u32);

/// The news that were delivered already: those of the last looks, which overlap.
#[derive(Debug, Default)]
pub(super) struct Seen {
    answered: Mutex<HashSet<Ask>>,
    asked: Mutex<HashSet<Ask>>,
}

impl Seen {
    /// Notes an ask that this node's phones were told of; the next look need not tell them again.
    pub(super) fn asked(&self, pairing: PairingId, number: u32) {
        self.asked.lock().insert((pairing, number));
    }
}

impl Broker {
    /// Looks at what was asked and answered since `last`, and returns until when it has looked.
    pub(super) async fn notice_news(&self, last: Timestamp) -> Result<Timestamp, Error> {
        let now = self.auth.clock.now();
        let news = self.auth.news(last.min(now).minus(OVERLAP)).await?;
        let key = |(_, ask): &(_, Ask)| *ask;
        let asked: Vec<_> = news.asked.iter().map(|a| (a.account, (a.pairing, a.number))).collect();
        for (account, ask) in &asked {
            if !self.news.asked.lock().contains(ask) {
                self.phones.tell(*account, || Notice::Recheck);
            }
        }
        *self.news.asked.lock() = asked.iter().map(key).collect();
        let mut before = self.news.answered.lock();
        for answer in &news.answered {
            if before.contains(&(answer.ask.pairing, answer.ask.number)) {
                continue;
            }
            self.wake(answer.ask.pairing);
            let over = Arc::new(Resolved {
                account: answer.ask.account,
                pairing: answer.ask.pairing,
                number: answer.ask.number,
                reason: Reason::Answered,
                approved: answer.approved,
            });
            self.phones.tell(over.account, || Notice::Resolved(over.clone()));
        }
        *before = news.answered.iter().map(|answer| (answer.ask.pairing, answer.ask.number)).collect();
        Ok(now)
    }
}
