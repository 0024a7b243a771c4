//! Where a simulation stops a use case: right before each unit of work and right after it, committed and not yet heard of.
//! Nobody else stops here: a thread on which nothing is watched goes straight on.

use std::cell::Cell;
use std::future::poll_fn;
use std::task::Poll;

use super::Error;

/// A place at which everything else may happen, a crash among it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stop {
    /// A unit is about to be handed to the store.
    Before,
    /// A unit that may have written is committed, and its result is on the way back.
    Written,
    /// A unit that only reads is done.
    Read,
}

#[derive(Clone, Copy, Default)]
struct Watch {
    is_on: bool,
    reached: Option<Stop>,
    fails: bool,
}

thread_local! {
    static WATCH: Cell<Watch> = const { Cell::new(Watch { is_on: false, reached: None, fails: false }) };
}

/// Polls something that is to stop, and says where it has stopped. With `fails`, the store seems to have failed at the
/// stop that it goes on from.
pub(crate) fn watch<T>(fails: bool, poll: impl FnOnce() -> T) -> (T, Option<Stop>) {
    WATCH.set(Watch { is_on: true, reached: None, fails });
    let polled = poll();
    (polled, WATCH.take().reached)
}

/// Stops here, if this is watched, until it is polled again.
pub(super) async fn reach(stop: Stop) -> Result<(), Error> {
    let mut has_stopped = false;
    poll_fn(move |_| {
        let watch = WATCH.get();
        if !watch.is_on {
            return Poll::Ready(Ok(()));
        }
        if !std::mem::replace(&mut has_stopped, true) {
            WATCH.set(Watch { reached: Some(stop), ..watch });
            return Poll::Pending;
        }
        WATCH.set(Watch { fails: false, ..watch });
        Poll::Ready(if watch.fails { Err(Error::Failed("simulated".to_owned())) } else { Ok(()) })
    })
    .await
}
