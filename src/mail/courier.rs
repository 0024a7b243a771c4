//! The courier: takes mail out of the outbox until each is delivered, or given up and reported.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use lettre::message::Mailbox;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::NOBODY;
use super::failure::Failure;
use super::folder::Folder;
use super::message::message;
use super::smtp::Smtp;
use crate::clock::Clock;
use crate::config;
use crate::domain::time::Timestamp;
use crate::store::outbox::{self, Waiting};
use crate::store::{Error, Store};

/// How often the outbox is looked at when nobody rings.
const ROUND: Duration = Duration::from_secs(5);
/// The wait after a first failed delivery; it doubles up to [`MAX_PAUSE`].
const PAUSE: Duration = Duration::from_secs(5);
const MAX_PAUSE: Duration = Duration::from_secs(600);
/// Deliveries to a mail server at the same time, so that one that hangs does not hold the others up.
const LANES: usize = 4;

/// Delivers mail; one per node.
pub(crate) struct Courier {
    way: Way,
    from: Mailbox,
    timeout: Duration,
    give_up: Duration,
    bell: Notify,
    /// What is being delivered, by number and attempt.
    held: Mutex<HashMap<i64, u32>>,
}

enum Way {
    Folder(Folder),
    Smtp(Box<Smtp>),
}

impl Courier {
    /// # Errors
    /// Names the setting that can't be used.
    pub(crate) fn new(mail: &config::Mail, from: Mailbox) -> Result<Self, config::Error> {
        let way = match &mail.smtp_url {
            None => Way::Folder(Folder::new(mail.folder.clone())),
            Some(relay) => {
                let smtp = Smtp::new(relay.clone(), mail.smtp_ca.as_deref(), mail.timeout, &from)?;
                Way::Smtp(Box::new(smtp))
            }
        };
        Ok(Self {
            way,
            from,
            timeout: mail.timeout,
            give_up: mail.give_up,
            bell: Notify::new(),
            held: Mutex::default(),
        })
    }

    /// Says that something was put into the outbox.
    pub(crate) fn ring(&self) {
        self.bell.notify_one();
    }

    /// Delivers, for ever.
    pub(crate) async fn run(&self, store: &Store, clock: &Clock) {
        let lanes = match self.way {
            // One after the other, in the order of the promises.
            Way::Folder(_) => 1,
            Way::Smtp(_) => LANES,
        };
        let (mut next, mut taken, mut under_way) = (VecDeque::new(), HashSet::new(), FuturesUnordered::new());
        let mut round = Duration::ZERO;
        loop {
            let now = clock.uptime();
            if now >= round {
                super::tell_repeats(store, clock.now()).await;
                round = now + ROUND;
            }
            while under_way.len() < lanes {
                if next.is_empty() {
                    next = self.due(store, clock, &taken).await;
                }
                let Some(mail) = next.pop_front() else { break };
                taken.insert(mail.id);
                under_way.push(async move {
                    let id = mail.id;
                    if let Err(e) = self.deliver(store, clock, mail).await {
                        tracing::warn!(mail = id, error = %e, "outbox");
                        // The store reads and does not write: what it could not note is due again at once.
                        clock.sleep_until(clock.uptime() + PAUSE).await;
                    }
                    id
                });
            }
            if let Way::Smtp(smtp) = &self.way {
                smtp.tidy(clock);
            }
            tokio::select! {
                Some(id) = under_way.next() => { taken.remove(&id); }
                // A code that was just promised goes before the news that were fetched earlier.
                () = self.bell.notified() => next.clear(),
                () = clock.sleep_until(now + ROUND) => {}
            }
        }
    }

    /// Leaves what was being delivered when [`Courier::run`] ended to the next one, without waiting for its lease.
    pub(crate) async fn let_go(&self, store: &Store, now: Timestamp) -> Result<(), Error> {
        let held: Vec<(i64, u32)> = self.held.lock().drain().collect();
        let unit = async move |tx: &mut crate::store::Tx| {
            for (id, attempts) in held {
                outbox::postpone(tx, id, attempts, now).await?;
            }
            Ok(())
        };
        store.write(move |tx| Box::pin(async move { unit(tx).await })).await
    }

    /// What is due and not under way.
    async fn due(&self, store: &Store, clock: &Clock, taken: &HashSet<i64>) -> VecDeque<Waiting> {
        let now = clock.now();
        let due = store.read(move |tx| Box::pin(outbox::due(tx, now))).await;
        let due = due.unwrap_or_else(|e| {
            tracing::warn!(error = %e, "outbox");
            Vec::new()
        });
        due.into_iter().filter(|mail| !taken.contains(&mail.id)).collect()
    }

    async fn deliver(&self, store: &Store, clock: &Clock, mail: Waiting) -> Result<(), Error> {
        let (now, lease) = (clock.now(), self.lease());
        let claimed = store.write(move |tx| Box::pin(outbox::claim(tx, mail, lease, now))).await?;
        let Some(mail) = claimed else { return Ok(()) };
        let (id, attempts) = (mail.id, mail.attempts);
        self.held.lock().insert(id, attempts);
        let settled = self.deliver_held(mail, store, clock, now).await;
        self.held.lock().remove(&id);
        settled
    }

    async fn deliver_held(
        &self,
        mail: Waiting,
        store: &Store,
        clock: &Clock,
        now: Timestamp,
    ) -> Result<(), Error> {
        let (id, attempts) = (mail.id, mail.attempts);
        let sent = if self.is_over(&mail, now) {
            Err(Failure::passing("its time was over before it could be sent"))
        } else {
            self.send(&mail, store, clock).await
        };
        let Err(failure) = sent else {
            return store.write(move |tx| Box::pin(outbox::done(tx, id, attempts))).await;
        };
        let reason = failure.reason.as_str();
        match self.next_attempt(&mail, failure.is_lasting, clock.now()) {
            Some(at) => {
                tracing::warn!(mail = id, attempts, reason, "a mail waits for its next attempt");
                store.write(move |tx| Box::pin(outbox::postpone(tx, id, attempts, at))).await
            }
            None => {
                tracing::error!(mail = id, attempts, reason, "a mail is given up");
                store.write(move |tx| Box::pin(outbox::done(tx, id, attempts))).await
            }
        }
    }

    async fn send(&self, mail: &Waiting, store: &Store, clock: &Clock) -> Result<(), Failure> {
        let message = message(&self.from, mail)?;
        let is_anybody_s = mail.recipient != NOBODY;
        match &self.way {
            Way::Smtp(_) if !is_anybody_s => Ok(()),
            Way::Smtp(smtp) => smtp.send(&message, clock).await,
            Way::Folder(folder) => {
                let name = format!("{}-{}.eml", mail.created_at.0, mail.id);
                let failed = |e: std::io::Error| Failure::passing(format!("mail.folder: {e}"));
                let draft = folder.draft(&name, mail.attempts, &message.formatted()).await.map_err(failed)?;
                // Writing may have taken longer than the lease: then another node delivers it, and this draft is nothing.
                let (id, attempts) = (mail.id, mail.attempts);
                let held = store.read(move |tx| Box::pin(outbox::is_held(tx, id, attempts))).await;
                let is_held = held.map_err(|e| Failure::passing(e.to_string()))?;
                folder.finish(draft, is_anybody_s && is_held).await.map_err(failed)
            }
        }
    }

    /// How long a mail is left to the node that took it: a delivery under way is over by then, or that node is gone.
    fn lease(&self) -> Duration {
        self.timeout + PAUSE
    }

    fn end(&self, mail: &Waiting) -> Timestamp {
        mail.expires_at.unwrap_or_else(|| mail.created_at.plus(self.give_up))
    }

    fn is_over(&self, mail: &Waiting, now: Timestamp) -> bool {
        now >= self.end(mail)
    }

    /// When to try again after a failure; `None`: there is no sense in it before the mail's end.
    fn next_attempt(&self, mail: &Waiting, is_lasting: bool, now: Timestamp) -> Option<Timestamp> {
        let left = self.end(mail).since(now);
        let pause = if is_lasting {
            MAX_PAUSE
        } else {
            // Close to the end half of what is left, so that the last minutes of a code are used.
            Some(pause(mail.attempts.saturating_sub(1)))
                .filter(|pause| *pause < left)
                .unwrap_or((left / 2).max(PAUSE))
        };
        (pause < left).then(|| now.plus(pause))
    }
}

fn pause(attempts: u32) -> Duration {
    PAUSE.saturating_mul(1 << attempts.min(10)).min(MAX_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn courier() -> Courier {
        let config = config::Config::load(None, []).unwrap();
        Courier::new(&config.mail, "desk@example.org".parse().unwrap()).unwrap()
    }

    fn waiting(expires_at: Option<Timestamp>) -> Waiting {
        Waiting {
            id: 1,
            recipient: String::new(),
            content: None,
            created_at: Timestamp(0),
            attempts: 1,
            expires_at,
        }
    }

    /// The seconds at which a mail that always fails is tried.
    fn attempts(expires_at: Option<Timestamp>, is_lasting: bool) -> Vec<i64> {
        let (courier, mut mail) = (courier(), waiting(expires_at));
        let (mut all, mut now) = (vec![0], Timestamp(0));
        while let Some(at) = courier.next_attempt(&mail, is_lasting, now) {
            all.push(at.seconds());
            (now, mail.attempts) = (at, mail.attempts + 1);
        }
        all
    }

    #[test]
    fn the_pause_doubles_until_the_mail_is_given_up() {
        let all = attempts(None, false);
        assert_eq!(all[..9], [0, 5, 15, 35, 75, 155, 315, 635, 1235]);
        assert!(all.len() < 170 && all.last() < Some(&86_400), "{all:?}");
    }

    #[test]
    fn a_code_is_tried_up_to_its_end_and_not_longer() {
        let end = Some(Timestamp(180_000));
        assert_eq!(attempts(end, false), [0, 5, 15, 35, 75, 155, 167, 173, 178]);
        assert_eq!(attempts(end, true), [0]);
    }

    #[test]
    fn a_refused_mail_is_not_tried_every_few_seconds() {
        assert_eq!(attempts(None, true)[..3], [0, 600, 1200]);
    }
}
