//! What goes on at the same time, and the one place that lets one of it go on: to its next unit of work, or to where it
//! waits for somebody else.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::store::stops::{self, Stop};

/// How long a unit waits for the store. A unit's time is taken before it waits, and looks at what is new reach back by ten
/// seconds, of which clocks that are apart take their share.
const PATIENCE: Duration = Duration::from_secs(3);

/// Something under way on a node; dropping it is what a crash does to it.
pub(super) struct Op<K> {
    pub(super) kind: K,
    /// Where it runs; a crash there ends it.
    pub(super) node: usize,
    future: Pin<Box<dyn Future<Output = ()>>>,
    flag: Arc<Flag>,
    at: Option<Stop>,
    /// How long it has stood before its unit of work.
    stood: Duration,
}

/// Whether it may go on.
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Where something has come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Came {
    /// To a unit of work.
    To(Stop),
    /// To where it waits for somebody.
    ToWait,
    /// To its end.
    ToEnd,
}

impl<K> Op<K> {
    pub(super) fn new(kind: K, node: usize, work: impl Future<Output = ()> + 'static) -> Self {
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        Self { kind, node, future: Box::pin(work), flag, at: None, stood: Duration::ZERO }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.at.is_some() || self.flag.0.load(Ordering::Relaxed)
    }

    /// Where it stands now.
    pub(super) fn at(&self) -> Option<Stop> {
        self.at
    }

    /// Whether it would stand before its unit for longer than a store makes anybody wait.
    pub(super) fn would_wait_too_long(&self, span: Duration) -> bool {
        self.at == Some(Stop::Before) && self.stood + span > PATIENCE
    }

    /// Time goes by where it stands.
    pub(super) fn stands(&mut self, span: Duration) {
        self.stood += span;
    }

    /// Goes on until the next stop. With `fails`, the store seems to have failed at the present one.
    pub(super) async fn go_on(&mut self, fails: bool) -> Came {
        let is_storing = self.at == Some(Stop::Before) && !fails;
        let (mut fails, waker) = (fails, Waker::from(self.flag.clone()));
        self.flag.0.store(false, Ordering::Relaxed);
        let came = poll_fn(|cx| {
            // While the store works, its threads wake the whole simulation, which does nothing else meanwhile. So
            // who is ready next depends on nothing that a thread does.
            let waker = if is_storing { cx.waker() } else { &waker };
            let future = self.future.as_mut();
            let poll = || future.poll(&mut Context::from_waker(waker));
            match stops::watch(std::mem::take(&mut fails), poll) {
                (Poll::Ready(()), _) => Poll::Ready(Came::ToEnd),
                (Poll::Pending, Some(stop)) => Poll::Ready(Came::To(stop)),
                (Poll::Pending, None) if is_storing => Poll::Pending,
                (Poll::Pending, None) => Poll::Ready(Came::ToWait),
            }
        })
        .await;
        self.at = if let Came::To(stop) = came { Some(stop) } else { None };
        self.stood = Duration::ZERO;
        came
    }
}
