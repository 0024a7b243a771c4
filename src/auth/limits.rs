//! Rates per source and per source and address: exact and at once on their node, in bounded memory, by the injected
//! clock; over the store the same on every node within a second, and after a restart.

mod exchange;
mod sketch;
mod table;
mod window;

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use self::exchange::Exchange;
use self::table::{MAX_KEYS, Subject, Table};
use self::window::Window;
use super::Error;
use crate::clock::Clock;
use crate::crypto::root::RootKeys;
use crate::domain::source::network;

/// What may be done so often in a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    name: &'static str,
    max: u32,
    window: Duration,
    /// Whether the store keeps it, for all nodes and the time after a restart.
    kept: bool,
}

impl Rule {
    const fn kept(name: &'static str, max: u32, window: Duration) -> Self {
        Self { name, max, window, kept: true }
    }

    const fn in_memory(name: &'static str, max: u32, window: Duration) -> Self {
        Self { name, max, window, kept: false }
    }
}

const TEN_MINUTES: Duration = Duration::from_secs(600);

/// Wrong passwords from one source. All limits are in docs/protocol.md, "Rate limits".
pub(crate) const PASSWORDS_PER_SOURCE: Rule = Rule::kept("password/source", 30, TEN_MINUTES);
/// Wrong passwords for one address from one source.
pub(crate) const PASSWORDS_PER_ADDRESS: Rule = Rule::kept("password/address", 10, TEN_MINUTES);
/// `readyLogin` from one source. Each node counts for itself and forgets at a restart: a browser that merely waits costs
/// the store nothing.
pub(crate) const PAIRINGS_PER_SOURCE: Rule = Rule::in_memory("pairing/source", MOST, Duration::from_secs(60));
/// Tickets that were used, expired or another account's, from one source.
pub(crate) const TICKETS_PER_SOURCE: Rule = Rule::kept("ticket/source", 30, TEN_MINUTES);
/// Codes that one source asks for, and for one address: a mailbox is not a stranger's to fill.
pub(crate) const CODES_PER_SOURCE: Rule = Rule::kept("code/source", 60, TEN_MINUTES);
pub(crate) const CODES_PER_ADDRESS: Rule = Rule::kept("code/address", 10, TEN_MINUTES);
/// Codes that are asked for in an account's name, with its password or inside of its session: by nobody but its owner, or
/// by a stranger who registered the owner's address.
pub(crate) const CODES_PER_ACCOUNT: Rule = Rule::kept("code/account", 20, TEN_MINUTES);
/// Refresh tokens that were none, from one source.
pub(crate) const REFRESHES_PER_SOURCE: Rule = Rule::kept("refresh/source", 60, TEN_MINUTES);
/// Tokens of logins by mail that were none, or over, from one source.
pub(crate) const MAIL_TOKENS_PER_SOURCE: Rule = Rule::kept("mail token/source", 30, TEN_MINUTES);
/// Second calls of `/users` without a step value that led to nothing, from one source.
pub(crate) const STEPS_PER_SOURCE: Rule = Rule::kept("step/source", 60, TEN_MINUTES);
/// Accounts made from one source.
pub(crate) const REGISTRATIONS_PER_SOURCE: Rule = Rule::kept("register/source", 60, TEN_MINUTES);

/// The largest `max` of all rules: more in one window says nothing more.
const MOST: u32 = 300;

/// Exports of an account's data from one source: each reads all that there is.
pub(crate) const EXPORTS_PER_SOURCE: Rule = Rule::kept("export/source", 30, TEN_MINUTES);

/// Logins that may wait for the outcome of others before they are tried themselves.
const MAX_WAITING: usize = 256;

/// Sliding windows by key. Addresses are held as keyed hashes only, whether their account exists or not.
pub(crate) struct Limits {
    factor: f64,
    clock: Clock,
    root: RootKeys,
    table: Mutex<Table>,
    /// Somebody's attempt has come to its end.
    settled: Notify,
    waiting: AtomicUsize,
    exchange: Exchange,
}

type Key = [u8; 16];

/// An attempt that counts as a failure unless [`Attempt::settle`] says otherwise: also when it is dropped because its
/// client hung up. While it is pending it takes the place of a failure, so that attempts made at once can't overrun a
/// limit; those beyond it wait for its outcome.
#[must_use = "an attempt that is dropped counts as a failure"]
pub(crate) struct Attempt<'a> {
    limits: &'a Limits,
    rule: Rule,
    /// Where its outcome is noted; `None` when limits are off, or when it was counted at its beginning.
    key: Option<Key>,
    is_spared: bool,
}

impl Limits {
    pub(crate) fn new(factor: f64, clock: Clock, root: RootKeys) -> Self {
        let (table, settled, waiting) = (Mutex::new(Table::new()), Notify::new(), AtomicUsize::new(0));
        Self { factor, clock, root, table, settled, waiting, exchange: Exchange::new() }
    }

    /// Counts one act of `source`, or says how long to wait.
    pub(crate) fn count(&self, rule: Rule, source: IpAddr) -> Result<(), Error> {
        self.count_key(rule, source, self.key(rule, &[network(source).to_string().as_bytes()]))
    }

    /// Counts one act of `source` towards an address or what else an account is named by, or says how long to wait.
    pub(crate) fn count_at(
        &self,
        rule: Rule,
        source: IpAddr,
        kind: &str,
        address: &str,
    ) -> Result<(), Error> {
        let parts = [network(source).to_string().into_bytes(), kind.into(), address.into()];
        self.count_key(rule, source, self.key(rule, &parts.each_ref().map(Vec::as_slice)))
    }

    /// Counts one act of an account, from wherever; `source` says whose place the count may take when memory runs short.
    pub(crate) fn count_account(&self, rule: Rule, source: IpAddr, account: uuid::Uuid) -> Result<(), Error> {
        self.count_key(rule, source, self.key(rule, &[account.as_bytes()]))
    }

    fn count_key(&self, rule: Rule, source: IpAddr, key: Key) -> Result<(), Error> {
        let Some(max) = self.scaled(rule.max) else { return Ok(()) };
        let (now, subject) = (self.clock.uptime(), Subject { key, source, rule, max });
        let mut table = self.table.lock();
        let Some(window) = table.place(subject, now) else {
            let is_free = table.count_in_sketch(subject, now);
            return if is_free { Ok(()) } else { Err(Error::TooManyRequests(rule.window)) };
        };
        if window.counted() >= max {
            return Err(Error::TooManyRequests(window.wait(now, max)));
        }
        self.add(window, rule, key, now);
        Ok(())
    }

    /// Begins an attempt by `source`.
    pub(crate) async fn attempt(&self, rule: Rule, source: IpAddr) -> Result<Attempt<'_>, Error> {
        self.begin(rule, source, self.key(rule, &[network(source).to_string().as_bytes()])).await
    }

    /// Begins an attempt at an address by `source`.
    pub(crate) async fn attempt_at(
        &self,
        rule: Rule,
        source: IpAddr,
        kind: &str,
        address: &str,
    ) -> Result<Attempt<'_>, Error> {
        let parts = [network(source).to_string().into_bytes(), kind.into(), address.into()];
        self.begin(rule, source, self.key(rule, &parts.each_ref().map(Vec::as_slice))).await
    }

    /// A count scaled by `limits.factor`: `None` when limits are off.
    pub(crate) fn scaled(&self, max: u32) -> Option<u64> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a positive, small number"
        )]
        (self.factor > 0.0).then(|| (f64::from(max) * self.factor).ceil().min(1e15) as u64)
    }

    /// A wait, the shorter the larger `limits.factor` is: `None` when limits are off.
    pub(crate) fn scaled_wait(&self, wait: Duration) -> Option<Duration> {
        (self.factor > 0.0)
            .then(|| Duration::try_from_secs_f64(wait.as_secs_f64() / self.factor).unwrap_or(wait))
    }

    /// Throws out what no longer limits anybody, piece by piece: requests come in between.
    pub(crate) fn sweep(&self) {
        let now = self.clock.uptime();
        while self.table.lock().sweep_slice(now) {}
    }

    async fn begin(&self, rule: Rule, source: IpAddr, key: Key) -> Result<Attempt<'_>, Error> {
        let attempt = |key| Attempt { limits: self, rule, key, is_spared: false };
        let Some(max) = self.scaled(rule.max) else { return Ok(attempt(None)) };
        let _waiting = Waiting::new(&self.waiting);
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            // Listening before looking: an outcome in between is not missed.
            settled.as_mut().enable();
            match self.try_begin(Subject { key, source, rule, max })? {
                Begun::Held => return Ok(attempt(Some(key))),
                Begun::Counted => return Ok(attempt(None)),
                Begun::No => {}
            }
            if self.waiting.load(Ordering::Acquire) > MAX_WAITING {
                return Err(Error::Busy(super::Auth::BUSY));
            }
            settled.await;
        }
    }

    fn try_begin(&self, subject: Subject) -> Result<Begun, Error> {
        let (now, max) = (self.clock.uptime(), subject.max);
        let mut table = self.table.lock();
        let Some(window) = table.place(subject, now) else {
            let is_free = table.count_in_sketch(subject, now);
            return if is_free {
                Ok(Begun::Counted)
            } else {
                Err(Error::TooManyRequests(subject.rule.window))
            };
        };
        let counted = window.counted();
        if counted >= max {
            return Err(Error::TooManyRequests(window.wait(now, max)));
        }
        let is_free = counted + u64::from(window.pending) < max;
        window.pending += u32::from(is_free);
        Ok(if is_free { Begun::Held } else { Begun::No })
    }

    /// Counts one act, here and for the other nodes.
    fn add(&self, window: &mut Window, rule: Rule, key: Key, now: Duration) {
        debug_assert!(rule.max <= MOST, "{rule:?}");
        let end = now + rule.window;
        window.add(end, 1);
        if rule.kept {
            self.exchange.note(key, end);
        }
    }

    fn key(&self, rule: Rule, parts: &[&[u8]]) -> Key {
        let mac = self.root.mac(rule.name, parts);
        let mut key = [0; 16];
        key.copy_from_slice(&mac[..16]);
        key
    }
}

/// How an attempt begins.
enum Begun {
    /// It takes a place in its window until its outcome is known.
    Held,
    /// Its key has no window, so it was counted at once, whatever comes of it.
    Counted,
    /// Others are under way, and their outcome decides.
    No,
}

impl Attempt<'_> {
    /// Ends it. What was not judged (the server was busy, the store away) is no failure.
    pub(crate) fn settle(mut self, has_failed: bool) {
        self.is_spared = !has_failed;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let Some(key) = self.key else { return };
        let now = self.limits.clock.uptime();
        let mut table = self.limits.table.lock();
        if let Some(window) = table.find(&key) {
            window.pending = window.pending.saturating_sub(1);
            if !self.is_spared {
                self.limits.add(window, self.rule, key, now);
            }
        }
        table.remove_if_over(&key, now);
        drop(table);
        self.limits.settled.notify_waiters();
    }
}

/// Counts those who wait, also when they go away.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests;
