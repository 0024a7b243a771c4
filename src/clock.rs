//! The only reader of time: the system's, or one that a test moves by hand.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::domain::time::Timestamp;

/// A clock: cheap to clone, all clones show the same time.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System(Instant),
    Manual(Arc<Manual>),
}

#[derive(Debug)]
struct Manual {
    at: Mutex<(Timestamp, Duration)>,
    moved: watch::Sender<()>,
}

impl Clock {
    /// The system's clock.
    #[expect(clippy::disallowed_methods, reason = "this is where time is read")]
    pub fn system() -> Self {
        Self(Source::System(Instant::now()))
    }

    /// A clock that stands still at `start` until a test moves it.
    pub fn manual(start: Timestamp) -> Self {
        let moved = watch::Sender::new(());
        Self(Source::Manual(Arc::new(Manual { at: Mutex::new((start, Duration::ZERO)), moved })))
    }

    /// The time of day: for everything that is stored or shown. It may step back.
    #[expect(clippy::disallowed_methods, reason = "this is where time is read")]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System(_) => {
                let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                Timestamp(0).plus(since)
            }
            Source::Manual(manual) => manual.at.lock().0,
        }
    }

    /// The time since this clock was made: for deadlines in memory. It never steps back.
    pub fn uptime(&self) -> Duration {
        match &self.0 {
            Source::System(start) => start.elapsed(),
            Source::Manual(manual) => manual.at.lock().1,
        }
    }

    /// Waits until [`Clock::uptime`] has reached `until`. A loop that takes the time before its work and sleeps until
    /// that plus its interval misses no move of a manual clock.
    pub async fn sleep_until(&self, until: Duration) {
        match &self.0 {
            Source::System(start) => tokio::time::sleep_until((*start + until).into()).await,
            Source::Manual(manual) => {
                let mut moved = manual.moved.subscribe();
                while self.uptime() < until {
                    if moved.changed().await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Moves a manual clock on and wakes who sleeps on it; the system's clock does not listen.
    pub fn advance(&self, span: Duration) {
        self.shift(|(day, up)| (day.plus(span), up + span));
    }

    /// Sets the time of day of a manual clock back, as an administrator might; deadlines don't notice.
    pub fn step_back(&self, span: Duration) {
        self.shift(|(day, up)| (day.minus(span), up));
    }

    fn shift(&self, change: impl FnOnce((Timestamp, Duration)) -> (Timestamp, Duration)) {
        if let Source::Manual(manual) = &self.0 {
            let mut at = manual.at.lock();
            *at = change(*at);
            drop(at);
            manual.moved.send_replace(());
        }
    }
}
