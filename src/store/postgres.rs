//! PostgreSQL: each unit of work in a transaction of its own, from a pool.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection as _, PgConnection, PgPool, Postgres as Db};
use tokio::time::timeout;

use super::outbox::Room;
use super::tx::{ANSWER, Arg, Connection, Memory, NO_ANSWER, Row, run_alone};
use super::{Error, Tx, turn_at};
use crate::turns::{Gate, LONGEST, Size};

/// How long a unit waits for a connection before it is told to come back.
const PATIENCE: Duration = Duration::from_secs(3);

/// Begins a unit in one round trip, with the limits under which it holds its locks: a node that freezes in the middle of a
/// unit loses them within five seconds, and nobody waits for a lock longer than two. `tcp_user_timeout` is for a backend
/// that is sending to such a node, which the other limits do not end. Set for the transaction and not for the connection,
/// which may be a pooler's and serve others next.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; \
     SET LOCAL lock_timeout = '2s'; SET LOCAL statement_timeout = '5s'; \
     SET LOCAL idle_in_transaction_session_timeout = '5s'; \
     SET LOCAL tcp_keepalives_idle = 5; SET LOCAL tcp_keepalives_interval = 5; \
     SET LOCAL tcp_user_timeout = '5s'";

/// The same for the connection that migrates, which holds an advisory lock between its transactions too. A statement may
/// take its time: an index over a large table does. PostgreSQL before 14 has no `idle_session_timeout`.
const LIMIT_MIGRATION: &str = "SELECT set_config(name, '5000', false) FROM pg_settings WHERE name IN \
     ('idle_in_transaction_session_timeout', 'idle_session_timeout', 'tcp_user_timeout')";

/// Takes these limits back: a pooler may lend the session on, to clients that may idle longer.
const LIMIT_MIGRATION_NO_MORE: &str = "SELECT set_config(name, reset_val, false) FROM pg_settings WHERE name IN \
     ('idle_in_transaction_session_timeout', 'idle_session_timeout', 'tcp_user_timeout')";

/// The first version that has all that is used: `tcp_user_timeout` came with it.
const OLDEST_VERSION: u32 = 120_000;

/// Units that may wait for their turn at the pool.
const ROOM: usize = 1024;

/// A pool of connections, and the gate in front of it.
#[derive(Clone)]
pub(crate) struct Postgres {
    pool: PgPool,
    gate: Gate,
    pub(super) mail: Room,
    pub(super) memory: Memory,
}

impl Postgres {
    pub(super) async fn open(url: &str, connections: u32, mail: Room) -> Result<Self, Error> {
        // One connection by itself first: a pool that can't connect says only that it waited.
        let alone = timeout(PATIENCE, PgConnection::connect(url)).await;
        let mut alone = alone.map_err(|_| Error::Failed(NO_ANSWER.to_owned()))??;
        check_version(alone.server_version_num())?;
        migrate(&mut alone).await?;
        alone.close().await?;
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(PATIENCE)
            // A connection that is dead shows that when a unit begins on it; another round trip would tell no more.
            .test_before_acquire(false)
            .connect(url)
            .await?;
        let turns = usize::try_from(connections).unwrap_or(usize::MAX);
        let gate = Gate::new(Size { turns, room: ROOM, patience: Some(PATIENCE), longest: LONGEST });
        Ok(Self { pool, gate, mail, memory: Memory::default() })
    }

    pub(super) async fn run<T, F>(&self, unit: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, Error>> + Send + 'static,
    {
        let turn = turn_at(&self.gate).await?;
        // A task of its own: a client that goes away in the middle must not undo what was begun.
        let (pool, mail, memory) = (self.pool.clone(), self.mail.clone(), self.memory.clone());
        let work = tokio::spawn(async move {
            let _turn = turn;
            let mut tx = Tx::new(Connection::Postgres(begin(&pool).await?), mail, memory);
            let outcome = AssertUnwindSafe(async { unit(&mut tx).await }).catch_unwind().await;
            finish(tx, outcome.unwrap_or_else(|_| Err(Error::Failed("a unit of work panicked".to_owned()))))
                .await
        });
        work.await.unwrap_or_else(|e| Err(Error::Failed(e.to_string())))
    }

    /// Runs one statement that PostgreSQL commits by itself.
    pub(super) async fn at_once(&self, sql: &'static str, args: Vec<Arg>) -> Result<Option<Row>, Error> {
        let _turn = turn_at(&self.gate).await?;
        let mut left = self.pool.options().get_max_connections();
        loop {
            let mut connection = self.pool.acquire().await?;
            let done = tokio::time::timeout(PATIENCE, run_alone(&mut connection, sql, args.clone())).await;
            let failure = match done {
                Ok(Ok(row)) => return Ok(row),
                Ok(Err(e)) => e,
                Err(_) => {
                    left = 0;
                    Error::Failed("no answer".to_owned())
                }
            };
            // It may have been dead since before this.
            connection.close_on_drop();
            if left == 0 {
                return Err(failure);
            }
            left -= 1;
        }
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

/// Refuses a server that would refuse every unit of work.
fn check_version(version: Option<u32>) -> Result<(), Error> {
    match version {
        Some(old) if old < OLDEST_VERSION => {
            // Before version 10 the second number counted, too: 9.6 is 90600.
            let major = old / 10_000;
            Err(Error::Failed(format!("PostgreSQL 12 or later is needed, and the server is version {major}")))
        }
        Some(_) | None => Ok(()),
    }
}

/// Brings the tables up to date. Of many nodes that start at once one migrates under an advisory lock, the others wait.
async fn migrate(connection: &mut PgConnection) -> Result<(), Error> {
    sqlx::raw_sql(LIMIT_MIGRATION).execute(&mut *connection).await?;
    let migrated = sqlx::migrate!("src/store/migrations/postgres").run(&mut *connection).await;
    let unlimited = sqlx::raw_sql(LIMIT_MIGRATION_NO_MORE).execute(connection).await;
    migrated.map_err(|e| Error::Failed(format!("migrations: {e}")))?;
    unlimited?;
    Ok(())
}

/// A connection on which a unit has begun. Connections that the server has ended meanwhile fail at their first statement, and
/// nothing is done by then: each is replaced.
async fn begin(pool: &PgPool) -> Result<PoolConnection<Db>, Error> {
    let mut left = pool.options().get_max_connections();
    loop {
        let mut connection = pool.acquire().await?;
        let begun = timeout(PATIENCE, sqlx::raw_sql(BEGIN).execute(&mut *connection)).await;
        let failure = match begun {
            Ok(Ok(_)) => return Ok(connection),
            Ok(Err(e)) => Error::from(e),
            Err(_) => {
                left = 0;
                Error::Failed(NO_ANSWER.to_owned())
            }
        };
        connection.close_on_drop();
        if left == 0 {
            return Err(failure);
        }
        left -= 1;
    }
}

/// Commits, or rolls back. A connection of which it is not certain how its transaction ended is closed: the server rolls back
/// what is open on it, and no other unit may begin there.
async fn finish<T>(tx: Tx, outcome: Result<T, Error>) -> Result<T, Error> {
    let Connection::Postgres(mut connection) = tx.connection else { return outcome };
    // After a statement that failed PostgreSQL answers COMMIT with a ROLLBACK, and calls that a success.
    let outcome = match outcome {
        Ok(_) if tx.has_failed => Err(Error::Failed("a statement of the unit had failed".to_owned())),
        outcome => outcome,
    };
    let last = if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = if tx.has_lost_connection {
        Err(Error::Failed(NO_ANSWER.to_owned()))
    } else {
        let ended = timeout(ANSWER, sqlx::raw_sql(last).execute(&mut *connection)).await;
        ended.map_or_else(|_| Err(Error::Failed(NO_ANSWER.to_owned())), |ended| Ok(ended.map(drop)?))
    };
    if ended.is_err() {
        connection.close_on_drop();
    }
    let value = outcome?;
    ended?;
    tx.memory.tell(tx.after);
    Ok(value)
}
