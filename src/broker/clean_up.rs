//! Clean-up: what is over leaves the memory of each node, and the store by one node at a time.

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::Broker;
use crate::auth::roots;
use crate::store::{self, Tx, leases, sweep};

/// How often.
const EVERY: Duration = Duration::from_secs(60);
/// Windows of devices that one round looks at; the next round goes on behind them.
const LOOKS: usize = 100;
/// The lease under which the store is swept. It outlives the pause between two rounds, so that the same node goes on; when
/// that has died, another takes over once it has run out.
const LEASE: &str = "sweep";
const LEASE_SPAN: Duration = Duration::from_secs(120);

impl Broker {
    /// Cleans up, for ever.
    pub(crate) async fn clean_up(&self) {
        let (mut begun, mut device) = (self.auth.clock.uptime(), 0);
        loop {
            self.auth.clock.sleep_until(begun + EVERY).await;
            begun = self.auth.clock.uptime();
            self.auth.limits.sweep();
            if let Err(e) = self.sweep_store(&mut device).await {
                tracing::warn!(error = %e, "clean-up");
            }
        }
    }

    /// Leaves the rest to another node.
    pub(crate) async fn end_clean_up(&self) -> Result<(), store::Error> {
        let (holder, _turn) = (self.holder, self.lease_turn.lock().await);
        self.auth.store.write(move |tx| Box::pin(leases::let_go(tx, LEASE, holder))).await
    }

    /// One round; `device` is the last device that was looked at.
    async fn sweep_store(&self, device: &mut i64) -> Result<(), store::Error> {
        let keep = self.auth.config.audit.keep;
        for step in 0..sweep::STEPS {
            let mut removed = sweep::BATCH;
            while removed >= sweep::BATCH {
                let now = self.auth.clock.now();
                let batch = self.under_lease(move |tx| Box::pin(sweep::batch(tx, step, keep, now))).await?;
                let Some(rows) = batch else { return Ok(()) };
                removed = rows;
            }
        }
        self.drop_spent_roots().await?;
        self.remove_idle_devices(device).await
    }

    async fn remove_idle_devices(&self, device: &mut i64) -> Result<(), store::Error> {
        for _ in 0..LOOKS {
            let (after, now) = (*device, self.auth.clock.now());
            let look = self.auth.store.read(move |tx| Box::pin(sweep::idle_devices(tx, after, now))).await?;
            // Behind the last one the next round begins anew.
            *device = look.last.unwrap_or(0);
            if look.last.is_none() {
                break;
            }
            let idle = look.idle;
            if idle.is_empty() {
                continue;
            }
            let remove =
                self.under_lease(move |tx| Box::pin(async move { sweep::remove_devices(tx, &idle).await }));
            if remove.await?.is_none() {
                break;
            }
        }
        Ok(())
    }

    async fn drop_spent_roots(&self) -> Result<(), store::Error> {
        // A store that is away is reported by the next batch.
        for name in self.auth.spent_roots().await.unwrap_or_default() {
            let now = self.auth.clock.now();
            self.under_lease(move |tx| Box::pin(async move { roots::remove(tx, &name, now).await })).await?;
        }
        Ok(())
    }

    /// Runs a batch as a unit of its own, so that others have their turn in between; none while another node cleans up, or
    /// when this one is about to stop.
    async fn under_lease<T, F>(&self, batch: F) -> Result<Option<T>, store::Error>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, store::Error>> + Send + 'static,
    {
        if self.is_draining() {
            return Ok(None);
        }
        let (holder, now) = (self.holder, self.auth.clock.now());
        let unit = async move |tx: &mut Tx| {
            // Renewed with each batch: the row is locked until both are committed, so no two nodes remove at once.
            let is_mine = leases::hold(tx, LEASE, holder, LEASE_SPAN, now).await?;
            if is_mine { batch(tx).await.map(Some) } else { Ok(None) }
        };
        // In a task of its own: when this one is stopped in the middle, the unit goes on all the same, and the lease must
        // not be given up before it has ended.
        let (turn, store) = (self.lease_turn.clone().lock_owned().await, self.auth.store.clone());
        let batch = tokio::spawn(async move {
            let done = store.write(move |tx| Box::pin(async move { unit(tx).await })).await;
            drop(turn);
            done
        });
        batch.await.unwrap_or_else(|e| Err(store::Error::Failed(e.to_string())))
    }
}
