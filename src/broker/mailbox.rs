//! A socket's mailbox: a bounded queue, a waker and two deadlines. This is all that others hold of a socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use atomic_waker::AtomicWaker;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::auth::{AskView, Error};
use crate::bus::{Resolved, Scan};
use crate::domain::ids::PairingId;

/// Notices that may wait; a peer that has more is closed, not waited for.
const CAPACITY: usize = 64;

/// What a socket's task is told.
#[derive(Debug)]
pub(crate) enum Notice {
    /// The server stops: close and come back.
    Drain,
    /// The mailbox was full: this peer does not keep up.
    Overflow,
    /// The deadline that was set has come.
    Due,
    /// Time to ping.
    Ping,
    /// Another socket resumed this pairing: if it is still this one's, this one is over.
    TakenOver(PairingId),
    /// The pairing was decided or ended: look at the store.
    Settled,
    /// A phone scanned this browser's uuid; the answer goes back to the phone.
    Scan(Box<(Scan, oneshot::Sender<Result<AskView, Error>>)>),
    /// Show this ask.
    Ask(Arc<AskView>),
    /// Take this ask away.
    Resolved(Arc<Resolved>),
    /// See whether the session still lives.
    Recheck,
    /// The server is full and others need the place: close and come back.
    Displaced,
}

/// Tenths of a second of uptime; 13 years.
type Tenths = u32;
const NEVER: Tenths = Tenths::MAX;

/// The side of a socket that others see.
#[derive(Debug)]
pub(crate) struct Mailbox {
    waker: AtomicWaker,
    notices: Mutex<Vec<Notice>>,
    due: AtomicU32,
    ping_at: AtomicU32,
    place: AtomicU8,
}

/// What may become of a socket's place when there are too few, in [`Mailbox::place`].
const MAY_GO: u8 = 0;
const SETTLED: u8 = 1;
const DISPLACED: u8 = 2;

impl Mailbox {
    pub(crate) fn new(first_ping: Duration) -> Self {
        Self {
            waker: AtomicWaker::new(),
            notices: Mutex::new(Vec::new()),
            due: AtomicU32::new(NEVER),
            ping_at: AtomicU32::new(tenths_up(first_ping)),
            place: AtomicU8::new(MAY_GO),
        }
    }

    /// Says whether the socket keeps its place whatever happens: it is a phone, or somebody was asked for its login.
    pub(crate) fn set_settled(&self, is_settled: bool) {
        let (old, new) = if is_settled { (MAY_GO, SETTLED) } else { (SETTLED, MAY_GO) };
        // A displaced one stays so.
        let _ = self.place.compare_exchange(old, new, Ordering::AcqRel, Ordering::Relaxed);
    }

    pub(super) fn may_be_displaced(&self) -> bool {
        self.place.load(Ordering::Acquire) == MAY_GO
    }

    pub(super) fn is_displaced(&self) -> bool {
        self.place.load(Ordering::Acquire) == DISPLACED
    }

    /// Asks the socket to make room; false when it may not be, or was asked before.
    pub(super) fn displace(&self) -> bool {
        let asked =
            self.place.compare_exchange(MAY_GO, DISPLACED, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if asked {
            self.push(Notice::Displaced);
        }
        asked
    }

    /// Puts a notice in and wakes the socket's task.
    pub(crate) fn push(&self, notice: Notice) {
        let mut notices = self.notices.lock();
        match notices.len() {
            len if len < CAPACITY => notices.push(notice),
            CAPACITY => notices.push(Notice::Overflow),
            _ => return,
        }
        drop(notices);
        self.waker.wake();
    }

    /// All notices that wait, or a promise to wake the task when there is one.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<Vec<Notice>> {
        self.waker.register(cx.waker());
        let mut notices = self.notices.lock();
        if notices.is_empty() { Poll::Pending } else { Poll::Ready(std::mem::take(&mut *notices)) }
    }

    /// Asks for [`Notice::Due`] at an uptime, instead of what was asked before.
    pub(crate) fn set_due(&self, at: Option<Duration>) {
        self.due.store(at.map_or(NEVER, tenths_up), Ordering::Release);
    }

    /// Delivers what is due at `now`; called by the sweep alone.
    pub(super) fn tick(&self, now: Duration, ping_every: Duration) {
        let now = tenths(now);
        let due = self.due.load(Ordering::Acquire);
        if due <= now && self.due.compare_exchange(due, NEVER, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            self.push(Notice::Due);
        }
        if self.ping_at.load(Ordering::Relaxed) <= now {
            self.ping_at.store(now.saturating_add(tenths_up(ping_every)), Ordering::Relaxed);
            self.push(Notice::Ping);
        }
    }
}

fn tenths(span: Duration) -> Tenths {
    Tenths::try_from(span.as_millis() / 100).unwrap_or(NEVER)
}

/// Rounded up: what is due is over when it is noticed.
fn tenths_up(span: Duration) -> Tenths {
    Tenths::try_from(span.as_millis().div_ceil(100)).unwrap_or(NEVER - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notices(mailbox: &Mailbox) -> Vec<Notice> {
        match mailbox.poll(&Context::from_waker(std::task::Waker::noop())) {
            Poll::Ready(notices) => notices,
            Poll::Pending => Vec::new(),
        }
    }

    #[test]
    fn a_full_mailbox_says_so_once_and_grows_no_further() {
        let mailbox = Mailbox::new(Duration::from_secs(30));
        (0..CAPACITY * 3).for_each(|_| mailbox.push(Notice::Settled));
        let notices = notices(&mailbox);
        assert_eq!(notices.len(), CAPACITY + 1);
        assert!(matches!(notices.last(), Some(Notice::Overflow)));
    }

    #[test]
    fn a_deadline_comes_once_and_never_early() {
        let mailbox = Mailbox::new(Duration::from_secs(1000));
        mailbox.set_due(Some(Duration::from_millis(1950)));
        mailbox.tick(Duration::from_millis(1949), Duration::from_secs(30));
        assert!(notices(&mailbox).is_empty());
        mailbox.tick(Duration::from_secs(2), Duration::from_secs(30));
        mailbox.tick(Duration::from_secs(3), Duration::from_secs(30));
        assert_eq!(notices(&mailbox).len(), 1);
    }
}
