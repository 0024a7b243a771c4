//! The courier: takes mail out of the outbox, until each is delivered or nobody wants it any more.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use lettre::message::Mailbox;
use tokio::sync::Notify;

use super::transport::{CONNECTIONS, Failure, Transport};
use crate::clock::Clock;
use crate::domain::time::Timestamp;
use crate::store::outbox::{self, Waiting};
use crate::store::{Error, Store, Tx};

/// How often the outbox is looked at when nobody rings.
const ROUND: Duration = Duration::from_secs(5);
/// The wait after a first failed delivery; it doubles up to [`MAX_PAUSE`].
const PAUSE: Duration = Duration::from_secs(5);
const MAX_PAUSE: Duration = Duration::from_secs(600);

/// Delivers mail; one per node.
#[derive(Debug)]
pub(crate) struct Courier {
    transport: Transport,
    from: Mailbox,
    give_up: Duration,
    bell: Notify,
}

impl Courier {
    pub(crate) fn new(transport: Transport, from: Mailbox, give_up: Duration) -> Self {
        Self { transport, from, give_up, bell: Notify::new() }
    }

    /// Says that something was put into the outbox.
    pub(crate) fn ring(&self) {
        self.bell.notify_one();
    }

    /// Delivers, for ever.
    pub(crate) async fn run(&self, store: &Store, clock: &Clock) {
        loop {
            let now = clock.uptime();
            if let Err(e) = self.deliver_all(store, clock).await {
                tracing::warn!(error = %e, "outbox");
            }
            tokio::select! {
                () = self.bell.notified() => {}
                () = clock.sleep_until(now + ROUND) => {}
            }
        }
    }

    async fn deliver_all(&self, store: &Store, clock: &Clock) -> Result<(), Error> {
        loop {
            let now = clock.now();
            let due = store.read(move |tx| Box::pin(outbox::due(tx, now))).await?;
            if due.is_empty() {
                return Ok(());
            }
            // Several at once: one that hangs does not hold up the rest.
            let deliveries = stream::iter(due).map(|mail| self.deliver(store, mail, now));
            let mut deliveries = deliveries.buffer_unordered(CONNECTIONS);
            while let Some(delivered) = deliveries.next().await {
                delivered?;
            }
        }
    }

    async fn deliver(&self, store: &Store, mail: Waiting, now: Timestamp) -> Result<(), Error> {
        let (claimed, pause) =
            (mail.clone(), PAUSE.saturating_mul(1 << mail.attempts.min(10)).min(MAX_PAUSE));
        let unit = async move |tx: &mut Tx| outbox::claim(tx, &claimed, pause, now).await;
        if !store.write(move |tx| Box::pin(async move { unit(tx).await })).await? {
            return Ok(());
        }
        let is_too_late =
            mail.expires_at.is_some_and(|end| end <= now) || mail.created_at.plus(self.give_up) <= now;
        let outcome = if is_too_late {
            Err(Failure::Refused("no time left".to_owned()))
        } else {
            self.transport.send(&self.from, &mail).await
        };
        match outcome {
            Ok(()) => {}
            Err(Failure::Refused(why)) => {
                tracing::error!(mail = mail.id, attempts = mail.attempts, why, "a mail is given up");
            }
            Err(Failure::Later(why)) => {
                tracing::warn!(
                    mail = mail.id,
                    attempts = mail.attempts,
                    why,
                    "a mail waits for its next attempt"
                );
                return Ok(());
            }
        }
        store.write(move |tx| Box::pin(outbox::done(tx, mail.id))).await
    }
}
