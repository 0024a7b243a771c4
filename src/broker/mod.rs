//! The live side: who waits, who may answer, and how one reaches the other. Knows no JSON and no HTTP.

mod clean_up;
mod mailbox;
mod news;
mod phones;
mod registry;
mod seats;
mod session;
#[cfg(test)]
mod sim;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{Notify, oneshot};

pub(crate) use mailbox::{Mailbox, Notice};
pub(crate) use phones::{PhoneSession, Recheck, answer};
pub(crate) use seats::{Full, Seat, Sockets};
pub(crate) use session::{BrowserSession, Verdict};

use crate::auth::{AskView, Auth, Ended, Error};
use crate::bus::{Bus, Message, Node, Reason, Resolved, Scan};
use crate::crypto::random;
use crate::domain::ids::PairingId;
use crate::domain::time::Timestamp;
use crate::store::signals::{self, Dropped, Signal};
use crate::store::{Effects, Sink};

/// How often deadlines are looked at: the most that one may be noticed late.
const SWEEP: Duration = Duration::from_millis(250);
/// How often the store is asked what other processes changed.
const POLL: Duration = Duration::from_millis(500);
/// So many times as long as counting the passwords' classes took it is not done again.
const RECOUNT_REST: u32 = 20;
/// How far each look at the signals reaches back over the one before.
const OVERLAP: Duration = Duration::from_secs(10);
/// How long a phone waits for the holder of the browser it scanned.
const SCAN_PATIENCE: Duration = Duration::from_secs(5);

/// Who is connected, in numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crowd {
    pub(crate) sockets: usize,
    /// Browsers that wait for an approval.
    pub(crate) browsers: usize,
    /// Sockets of phones, and of how many accounts.
    pub(crate) phones: usize,
    pub(crate) accounts: usize,
}

/// When the classes of the stored passwords are counted again.
#[derive(Default)]
struct Recount {
    is_due: bool,
    /// In uptime.
    not_before: Duration,
}

/// One per node.
pub(crate) struct Broker {
    pub(crate) auth: Arc<Auth>,
    pub(crate) bus: Bus,
    pub(crate) sockets: Arc<Sockets>,
    pub(crate) phones: Arc<phones::Phones>,
    registry: Arc<registry::Registry>,
    /// This run of this server, among all that clean the store up.
    holder: i64,
    news: news::Seen,
    /// Held while a batch of the clean-up is under way.
    lease_turn: Arc<tokio::sync::Mutex<()>>,
    draining: AtomicBool,
    /// Something was changed here: the signals are looked at now.
    bell: Notify,
}

impl Broker {
    pub(crate) fn new(auth: Arc<Auth>, bus: &Bus) -> Arc<Self> {
        let broker = Arc::new(Self {
            auth,
            bus: bus.clone(),
            sockets: Arc::default(),
            phones: Arc::default(),
            registry: Arc::default(),
            holder: i64::from_be_bytes(random::bytes()),
            news: news::Seen::default(),
            lease_turn: Arc::default(),
            draining: AtomicBool::new(false),
            bell: Notify::new(),
        });
        let node: Arc<dyn Node> = broker.clone();
        bus.attach(Arc::downgrade(&node));
        let sink: Arc<dyn Sink> = broker.clone();
        broker.auth.store.attach(Arc::downgrade(&sink));
        broker
    }

    /// Refuses new sockets, and tells the others within `time` to come back elsewhere.
    pub(crate) async fn drain(&self, time: Duration) {
        self.draining.store(true, Ordering::Release);
        self.sockets.drain(time).await;
    }

    /// Whether the server is stopping.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Who is connected to this node.
    pub(crate) fn crowd(&self) -> Crowd {
        let (accounts, phones) = self.phones.len();
        Crowd { sockets: self.sockets.len(), browsers: self.registry.len(), phones, accounts }
    }

    /// Delivers deadlines and pings, for ever.
    pub(crate) async fn sweep(&self) {
        loop {
            let now = self.auth.clock.uptime();
            self.sockets.tick(now, self.auth.config.socket.ping_every);
            self.registry.forget(now);
            self.auth.clock.sleep_until(now + SWEEP).await;
        }
    }

    /// Looks after what no socket's task looks after, for ever: changes made by other processes, asks whose browser
    /// is gone.
    pub(crate) async fn keep_house(&self) {
        let (mut seen, mut last) = (HashSet::new(), self.auth.clock.now());
        let mut recount = Recount::default();
        let mut heard = last;
        let mut rounds = 0_u32;
        loop {
            let now = self.auth.clock.uptime();
            match self.notice_signals(&mut seen, last, &mut recount).await {
                Ok(looked) => last = looked,
                Err(e) => tracing::warn!(error = %e, "signals"),
            }
            self.recount(&mut recount).await;
            match self.notice_news(heard).await {
                Ok(looked) => heard = looked,
                Err(e) => tracing::warn!(error = %e, "news"),
            }
            if let Err(e) = self.end_overdue_asks().await {
                tracing::warn!(error = %e, "overdue asks");
            }
            rounds = rounds.wrapping_add(1);
            if rounds.is_multiple_of(120) {
                self.read_keys().await;
            }
            tokio::select! {
                biased;
                () = self.bell.notified() => {}
                () = self.auth.clock.sleep_until(now + POLL) => {}
            }
        }
    }

    /// Looks at what other processes changed since `last`, and returns until when it has looked.
    async fn notice_signals(
        &self,
        seen: &mut HashSet<i64>,
        last: Timestamp,
        recount: &mut Recount,
    ) -> Result<Timestamp, Error> {
        let now = self.auth.clock.now();
        // Overlapping looks: what was committed late is seen by the next one. After a pause (a stopped process, a store
        // that was away) the look reaches back to the last one, and a clock that was set back misses nothing either.
        let since = last.min(now).minus(OVERLAP);
        let signals = self.auth.store.read(move |tx| Box::pin(signals::since(tx, since))).await?;
        let current: HashSet<i64> = signals.iter().map(|(number, _)| *number).collect();
        for (number, signal) in signals {
            if seen.contains(&number) {
                continue;
            }
            match signal {
                Signal::Keys => self.read_keys().await,
                // Counted once for all of them.
                Signal::Passwords => recount.is_due = true,
                Signal::Account(account) => self.phones.tell(account, || Notice::Recheck),
                Signal::Dropped { account, pairing, ask, how } => {
                    self.wake(pairing);
                    let reason = match how {
                        Dropped::Ended => Reason::Expired,
                        Dropped::Replaced => Reason::Replaced,
                        Dropped::Gone => Reason::Gone,
                    };
                    // Every node reads this for its own phones.
                    let over = Arc::new(Resolved { account, pairing, number: ask, reason, approved: false });
                    self.phones.tell(account, || Notice::Resolved(over.clone()));
                }
            }
        }
        *seen = current;
        Ok(now)
    }

    /// Lets the browser that waits here on a pairing look at the store.
    fn wake(&self, pairing: PairingId) {
        if let Some(browser) = self.registry.find(pairing) {
            browser.push(Notice::Settled);
        }
    }

    /// Counts the classes of the stored passwords when somebody changed them, and spends a twentieth of the time on that at
    /// most: where a count takes long, one login more or less is no proportion.
    async fn recount(&self, recount: &mut Recount) {
        let begun = self.auth.clock.uptime();
        if !std::mem::take(&mut recount.is_due) {
            return;
        }
        if begun < recount.not_before {
            recount.is_due = true;
            return;
        }
        self.weigh_dummies().await;
        let ended = self.auth.clock.uptime();
        recount.not_before = ended + ended.saturating_sub(begun) * RECOUNT_REST;
    }

    async fn weigh_dummies(&self) {
        if let Err(e) = self.auth.weigh_dummies().await {
            tracing::warn!(error = %e, "the password schemes can't be counted");
        }
    }

    async fn end_overdue_asks(&self) -> Result<(), Error> {
        for id in self.auth.overdue_asks().await? {
            if let Some(Ended { account, number, holder }) = self.auth.expire(id, Dropped::Gone).await? {
                self.resolve(account, id, number, Reason::Gone);
                self.bus.send(Message::Settled { pairing: id, holder });
            }
        }
        Ok(())
    }

    async fn read_keys(&self) {
        match self.auth.keyring.reload(&self.auth.store).await {
            // Whoever came in with a token of a revoked key leaves.
            Ok(true) => self.phones.tell_all(|| Notice::Recheck),
            Ok(false) => {}
            Err(e) => tracing::error!(error = %e, "the signing keys can't be read"),
        }
        if let Err(e) = self.auth.reload_roots().await {
            tracing::error!(error = %e, "the root keys can't be read");
        }
        // Each login with an old hash makes it a new one.
        self.weigh_dummies().await;
    }
}

impl Sink for Broker {
    fn deliver(&self, effects: Effects) {
        if effects.has_mail {
            self.auth.courier.ring();
        }
        for signal in effects.signals {
            match signal {
                // Every node looks again at who of the account's sockets may stay.
                Signal::Account(account) => self.bus.send(Message::Account(account)),
                Signal::Keys | Signal::Passwords => {}
                // The use case that ended the ask notifies its browser and phones itself.
                Signal::Dropped { .. } => continue,
            }
            self.bell.notify_one();
        }
    }
}

impl Node for Broker {
    fn deliver(&self, message: Message) {
        match message {
            Message::Settled { pairing, .. } => self.wake(pairing),
            Message::TakenOver { pairing, resumes, .. } => self.registry.take_away(pairing, resumes),
            Message::Ask(view) => {
                self.news.asked(view.pairing, view.number);
                self.phones.tell(view.account, || Notice::Ask(view.clone()));
            }
            Message::Resolved(over) => self.phones.tell(over.account, || Notice::Resolved(over.clone())),
            Message::Account(account) => self.phones.tell(account, || Notice::Recheck),
        }
    }

    fn scan(&self, scan: Scan) -> BoxFuture<'_, Result<AskView, Error>> {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            let browser = self.registry.find(scan.pairing).ok_or(Error::Expired)?;
            browser.push(Notice::Scan(Box::new((scan, reply))));
            // The mailbox is not kept while this waits: with its socket the question goes too.
            drop(browser);
            match tokio::time::timeout(SCAN_PATIENCE, answer).await {
                Ok(Ok(outcome)) => outcome,
                // The browser's socket went away with the question.
                Ok(Err(_)) => Err(Error::Expired),
                Err(_) => Err(Error::Busy(Auth::BUSY)),
            }
        })
    }

    fn holds(&self, pairing: PairingId) -> bool {
        self.registry.find(pairing).is_some()
    }
}
