//! PostgreSQL: each unit of work in a transaction of its own, from a pool.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection as _, PgPool};

use super::audit::Counts;
use super::outbox::Room;
use super::tx::Connection;
use super::{Error, Tx};

/// How long a unit waits for a connection before it is told to come back.
const PATIENCE: Duration = Duration::from_secs(3);

/// A pool of connections.
#[derive(Clone)]
pub(crate) struct Postgres {
    pool: PgPool,
    pub(super) mail: Room,
    pub(super) counts: Counts,
}

impl Postgres {
    pub(super) async fn open(url: &str, connections: u32, mail: Room) -> Result<Self, Error> {
        // One connection by itself first: a pool that can't connect says only that it waited.
        let alone = tokio::time::timeout(PATIENCE, sqlx::PgConnection::connect(url)).await;
        alone.map_err(|_| Error::Failed("no answer".to_owned()))??.close().await?;
        let pool =
            PgPoolOptions::new().max_connections(connections).acquire_timeout(PATIENCE).connect(url).await?;
        // Takes an advisory lock: of many nodes that start at once one migrates, the others wait.
        sqlx::migrate!("src/store/migrations/postgres")
            .run(&pool)
            .await
            .map_err(|e| Error::Failed(format!("migrations: {e}")))?;
        Ok(Self { pool, mail, counts: Counts::default() })
    }

    pub(super) async fn run<T, F>(&self, unit: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, Error>> + Send + 'static,
    {
        // A task of its own: a client that goes away in the middle must not undo what was begun.
        let (pool, mail, counts) = (self.pool.clone(), self.mail.clone(), self.counts.clone());
        let work = tokio::spawn(async move {
            let mut tx = Tx::new(Connection::Postgres(pool.begin().await?), mail, counts);
            let outcome = AssertUnwindSafe(async { unit(&mut tx).await }).catch_unwind().await;
            finish(tx, outcome.unwrap_or_else(|_| Err(Error::Failed("a unit of work panicked".to_owned()))))
                .await
        });
        work.await.unwrap_or_else(|e| Err(Error::Failed(e.to_string())))
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

async fn finish<T>(tx: Tx, outcome: Result<T, Error>) -> Result<T, Error> {
    let Connection::Postgres(transaction) = tx.connection else { return outcome };
    match outcome {
        Ok(value) => {
            transaction.commit().await?;
            tx.trail.iter().for_each(|line| line.tell(&tx.counts));
            Ok(value)
        }
        Err(e) => {
            transaction.rollback().await?;
            Err(e)
        }
    }
}
