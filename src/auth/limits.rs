//! Rates per source and per source and address, in memory, bounded, by the injected clock.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use dashmap::mapref::one::RefMut;
use tokio::sync::Notify;

use super::Error;
use crate::clock::Clock;
use crate::crypto::seal::RootKey;
use crate::domain::account::Email;
use crate::domain::source::network;

/// Keys held at once; beyond that, those that say nothing any more are thrown out first.
const MAX_KEYS: usize = 100_000;

/// What may be done so often in a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    name: &'static str,
    max: u32,
    window: Duration,
}

const TEN_MINUTES: Duration = Duration::from_secs(600);

/// Wrong passwords from one source (CONTRACT.md section 2.1).
pub(crate) const PASSWORDS_PER_SOURCE: Rule = Rule { name: "password/source", max: 30, window: TEN_MINUTES };
/// Wrong passwords for one address from one source.
pub(crate) const PASSWORDS_PER_ADDRESS: Rule =
    Rule { name: "password/address", max: 10, window: TEN_MINUTES };
/// `readyLogin` from one source.
pub(crate) const PAIRINGS_PER_SOURCE: Rule =
    Rule { name: "pairing/source", max: 300, window: Duration::from_secs(60) };
/// Tickets that were used, expired or another account's, from one source.
pub(crate) const TICKETS_PER_SOURCE: Rule = Rule { name: "ticket/source", max: 30, window: TEN_MINUTES };
/// Codes that one source asks for, and for one address: a mailbox is not a stranger's to fill.
pub(crate) const CODES_PER_SOURCE: Rule = Rule { name: "code/source", max: 60, window: TEN_MINUTES };
pub(crate) const CODES_PER_ADDRESS: Rule = Rule { name: "code/address", max: 10, window: TEN_MINUTES };
/// Refresh tokens that were none, from one source.
pub(crate) const REFRESHES_PER_SOURCE: Rule = Rule { name: "refresh/source", max: 60, window: TEN_MINUTES };
/// Tokens of logins by mail that were none, or over, from one source.
pub(crate) const MAIL_TOKENS_PER_SOURCE: Rule =
    Rule { name: "mail token/source", max: 30, window: TEN_MINUTES };
/// Accounts made from one source.
pub(crate) const REGISTRATIONS_PER_SOURCE: Rule =
    Rule { name: "register/source", max: 60, window: TEN_MINUTES };

/// Logins that may wait for the outcome of others before they are tried themselves.
const MAX_WAITING: usize = 256;

/// Sliding windows by key. Addresses are held as keyed hashes only, whether their account exists or not.
pub(crate) struct Limits {
    factor: f64,
    clock: Clock,
    root: RootKey,
    windows: DashMap<Key, Window>,
    /// Somebody's attempt has come to its end.
    settled: Notify,
    waiting: AtomicUsize,
    /// The second of uptime in which a full table was swept last.
    swept: AtomicU64,
}

type Key = [u8; 16];

struct Window {
    /// Times of what counted, oldest first, as uptime.
    counted: VecDeque<Duration>,
    /// Attempts whose outcome is not known yet.
    pending: u32,
    span: Duration,
}

/// An attempt that counts only if it fails. While it is pending it takes the place of a failure, so that attempts made
/// at once can't overrun a limit; those beyond it wait for its outcome.
#[must_use]
pub(crate) struct Attempt<'a> {
    limits: &'a Limits,
    key: Option<Key>,
}

impl Limits {
    pub(crate) fn new(factor: f64, clock: Clock, root: RootKey) -> Self {
        let (windows, settled) = (DashMap::new(), Notify::new());
        let (waiting, swept) = (AtomicUsize::new(0), AtomicU64::new(u64::MAX));
        Self { factor, clock, root, windows, settled, waiting, swept }
    }

    /// Counts one act of `source`, or says how long to wait.
    pub(crate) fn count(&self, rule: Rule, source: IpAddr) -> Result<(), Error> {
        self.count_key(rule, self.key(rule, &[network(source).to_string().as_bytes()]))
    }

    /// Counts one act of `source` towards an address, or says how long to wait.
    pub(crate) fn count_at(
        &self,
        rule: Rule,
        source: IpAddr,
        kind: &str,
        email: &Email,
    ) -> Result<(), Error> {
        let parts = [network(source).to_string().into_bytes(), kind.into(), email.key().into()];
        self.count_key(rule, self.key(rule, &parts.each_ref().map(Vec::as_slice)))
    }

    fn count_key(&self, rule: Rule, key: Key) -> Result<(), Error> {
        let Some(max) = self.scaled(rule.max) else { return Ok(()) };
        let now = self.clock.uptime();
        let mut window = self.window(key, rule, now);
        if window.counted.len() as u64 >= max {
            return Err(Error::TooManyRequests(window.wait(now)));
        }
        window.counted.push_back(now);
        Ok(())
    }

    /// Begins an attempt by `source`.
    pub(crate) async fn attempt(&self, rule: Rule, source: IpAddr) -> Result<Attempt<'_>, Error> {
        self.begin(rule, self.key(rule, &[network(source).to_string().as_bytes()])).await
    }

    /// Begins an attempt at an address by `source`.
    pub(crate) async fn attempt_at(
        &self,
        rule: Rule,
        source: IpAddr,
        kind: &str,
        email: &Email,
    ) -> Result<Attempt<'_>, Error> {
        let parts = [network(source).to_string().into_bytes(), kind.into(), email.key().into()];
        self.begin(rule, self.key(rule, &parts.each_ref().map(Vec::as_slice))).await
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

    /// Throws out what no longer limits anybody.
    pub(crate) fn sweep(&self) {
        let now = self.clock.uptime();
        self.windows.retain(|_, window| {
            window.pending > 0 || window.counted.back().is_some_and(|at| *at + window.span > now)
        });
    }

    async fn begin(&self, rule: Rule, key: Key) -> Result<Attempt<'_>, Error> {
        let Some(max) = self.scaled(rule.max) else { return Ok(Attempt { limits: self, key: None }) };
        let _waiting = Waiting::new(&self.waiting);
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            // Listening before looking: an outcome in between is not missed.
            settled.as_mut().enable();
            if self.try_begin(rule, key, max)? {
                return Ok(Attempt { limits: self, key: Some(key) });
            }
            if self.waiting.load(Ordering::Acquire) > MAX_WAITING {
                return Err(Error::Busy(super::Auth::BUSY));
            }
            settled.await;
        }
    }

    fn try_begin(&self, rule: Rule, key: Key, max: u64) -> Result<bool, Error> {
        let now = self.clock.uptime();
        let mut window = self.window(key, rule, now);
        let counted = window.counted.len() as u64;
        if counted >= max {
            return Err(Error::TooManyRequests(window.wait(now)));
        }
        let is_free = counted + u64::from(window.pending) < max;
        window.pending += u32::from(is_free);
        Ok(is_free)
    }

    /// The window of a key, without what is too old to count.
    fn window(&self, key: Key, rule: Rule, now: Duration) -> RefMut<'_, Key, Window> {
        let fresh = || Window { counted: VecDeque::new(), pending: 0, span: rule.window };
        let mut window = self.windows.entry(key).or_insert_with(fresh);
        while window.counted.front().is_some_and(|at| *at + rule.window <= now) {
            window.counted.pop_front();
        }
        window
    }

    /// Whether no further key may be held, after throwing out what is old; that is looked at once a second at most.
    fn is_full(&self) -> bool {
        if self.windows.len() < MAX_KEYS {
            return false;
        }
        let second = self.clock.uptime().as_secs();
        if self.swept.swap(second, Ordering::AcqRel) != second {
            self.sweep();
        }
        self.windows.len() >= MAX_KEYS
    }

    fn key(&self, rule: Rule, parts: &[&[u8]]) -> Key {
        let mac = self.root.mac(rule.name, parts);
        let mut key = [0; 16];
        key.copy_from_slice(&mac[..16]);
        // New keys beyond the bound share a few windows: what is held stays bounded, and a flood limits itself.
        if self.is_full() && !self.windows.contains_key(&key) { shared(key) } else { key }
    }
}

/// One of 256 windows for keys that find no place of their own.
fn shared(key: Key) -> Key {
    let mut shared = [0; 16];
    shared[0] = key[0];
    shared
}

impl Window {
    /// How long until the oldest of what counted is old.
    fn wait(&self, now: Duration) -> Duration {
        let oldest = self.counted.front().copied().unwrap_or(now);
        (oldest + self.span).saturating_sub(now)
    }
}

impl Attempt<'_> {
    /// It failed: from now on it counts.
    pub(crate) fn failed(self) {
        if let Some(mut window) = self.key.and_then(|key| self.limits.windows.get_mut(&key)) {
            window.counted.push_back(self.limits.clock.uptime());
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let Some(key) = self.key else { return };
        if let Some(mut window) = self.limits.windows.get_mut(&key) {
            window.pending = window.pending.saturating_sub(1);
        }
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
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    fn limits(factor: f64) -> (Limits, Clock) {
        let clock = Clock::manual(Timestamp(0));
        (Limits::new(factor, clock.clone(), RootKey::generate()), clock)
    }

    const RULE: Rule = Rule { name: "test", max: 2, window: Duration::from_secs(60) };
    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn the_third_of_two_waits_until_the_first_is_old() {
        let (limits, clock) = limits(1.0);
        assert!(limits.count(RULE, HERE).is_ok());
        clock.advance(Duration::from_secs(20));
        assert!(limits.count(RULE, HERE).is_ok());
        assert_eq!(limits.count(RULE, HERE), Err(Error::TooManyRequests(Duration::from_secs(40))));
        clock.advance(Duration::from_secs(40));
        assert!(limits.count(RULE, HERE).is_ok());
    }

    #[tokio::test]
    async fn only_what_failed_counts() {
        let (limits, _) = limits(1.0);
        for _ in 0..10 {
            drop(limits.attempt(RULE, HERE).await.unwrap());
        }
        limits.attempt(RULE, HERE).await.unwrap().failed();
        limits.attempt(RULE, HERE).await.unwrap().failed();
        assert!(matches!(limits.attempt(RULE, HERE).await, Err(Error::TooManyRequests(_))));
    }

    #[tokio::test]
    async fn attempts_made_at_once_can_not_overrun_a_limit() {
        let (limits, _) = limits(1.0);
        let tried = AtomicUsize::new(0);
        let attempts = (0..100).map(|_| async {
            let attempt = limits.attempt(RULE, HERE).await?;
            tried.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            attempt.failed();
            Ok::<_, Error>(())
        });
        let outcomes = futures_util::future::join_all(attempts).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 2);
        assert_eq!(tried.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn right_attempts_made_at_once_all_get_their_turn() {
        let (limits, _) = limits(1.0);
        let attempts = (0..100).map(|_| async {
            let attempt = limits.attempt(RULE, HERE).await?;
            tokio::task::yield_now().await;
            drop(attempt);
            Ok::<_, Error>(())
        });
        let outcomes = futures_util::future::join_all(attempts).await;
        assert!(outcomes.iter().all(Result::is_ok));
    }

    #[test]
    fn the_factor_stretches_and_switches_off() {
        let (wide, _) = limits(2.0);
        assert_eq!((0..9).filter(|_| wide.count(RULE, HERE).is_ok()).count(), 4);
        let (off, _) = limits(0.0);
        assert_eq!((0..9).filter(|_| off.count(RULE, HERE).is_ok()).count(), 9);
    }

    #[test]
    fn old_keys_are_thrown_out() {
        let (limits, clock) = limits(1.0);
        limits.count(RULE, HERE).unwrap();
        clock.advance(Duration::from_secs(61));
        limits.sweep();
        assert!(limits.windows.is_empty());
    }
}
