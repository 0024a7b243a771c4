//! One open transaction on either database: SQL with typed arguments in, rows out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{ColumnIndex, Decode, Postgres, Row as _, Sqlite, SqliteConnection, Type};

use super::Error;
use super::audit::trail::{Counts, Line};
use super::effects::{Delivery, Effects};
use super::outbox::Room;
use super::password_classes::known::{Known, Move};

/// How long PostgreSQL may take to answer one statement. Longer than `statement_timeout`, so that only a server or a network
/// that is away comes to it.
pub(super) const ANSWER: Duration = Duration::from_secs(7);

pub(super) const NO_ANSWER: &str = "PostgreSQL does not answer";

/// A transaction that somebody else begins and ends. The SQL is one text for both databases.
pub(crate) struct Tx {
    pub(super) connection: Connection,
    /// The room for mail; see [`crate::mail::post`].
    pub(super) mail: Room,
    /// Where what follows is told …
    pub(super) memory: Memory,
    /// … once this is committed.
    pub(super) after: After,
    /// Whether PostgreSQL has refused a statement: then nothing of the transaction can be committed.
    pub(super) has_failed: bool,
    /// Whether it has not answered a statement in time: then nothing more can be said on this connection.
    pub(super) has_lost_connection: bool,
}

/// What this process remembers of the units that it committed; clones share it.
#[derive(Clone, Default)]
pub(super) struct Memory {
    pub(super) counts: Counts,
    pub(super) passwords: Known,
    /// Where the effects of this node's units go.
    pub(super) delivery: Delivery,
    /// Whether the last write failed: the store may be full, or only be read.
    pub(super) write_failed: Arc<AtomicBool>,
}

/// What a unit leaves in memory and in the log, and what follows from it elsewhere.
#[derive(Default)]
pub(super) struct After {
    pub(super) trail: Vec<Line>,
    pub(super) moved: Vec<Move>,
    pub(super) effects: Effects,
}

impl Memory {
    /// Notes how a write ended.
    pub(super) fn wrote<T>(&self, outcome: &Result<T, Error>) {
        match outcome {
            Ok(_) => self.write_failed.store(false, Ordering::Relaxed),
            Err(Error::Failed(_)) => self.write_failed.store(true, Ordering::Relaxed),
            Err(Error::Full | Error::Duplicate) => {}
        }
    }

    /// Takes over what is committed by now.
    pub(super) fn tell(&self, after: After) {
        after.trail.iter().for_each(|line| line.tell(&self.counts));
        self.passwords.tell(after.moved);
        self.delivery.deliver(after.effects);
    }
}

/// Where a transaction runs.
pub(super) enum Connection {
    /// The one connection that writes.
    SqliteWriter(SqliteConnection),
    /// One of those that only read.
    SqliteReader(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

/// An argument of a statement.
#[derive(Clone, Debug)]
pub(crate) enum Arg {
    Integer(Option<i64>),
    Text(Option<String>),
    Blob(Option<Vec<u8>>),
}

/// Turns what the aggregates hold into an argument.
pub(crate) fn arg(value: impl Into<Arg>) -> Arg {
    value.into()
}

/// A row of a result; columns by position, as the SQL beside names them.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// Binds the arguments for one database and runs the query on its connection.
macro_rules! bound {
    ($sql:expr, $args:expr) => {
        $args.into_iter().fold(sqlx::query($sql), |query, arg| match arg {
            Arg::Integer(value) => query.bind(value),
            Arg::Text(value) => query.bind(value),
            Arg::Blob(value) => query.bind(value),
        })
    };
}

macro_rules! run {
    ($tx:expr, $sql:expr, $args:expr, |$query:ident, $conn:ident, $row:ident| $body:expr) => {
        match &mut $tx.connection {
            Connection::SqliteWriter(conn) => {
                let ($query, $conn, $row) = (bound!($sql, $args), conn, Row::Sqlite);
                $body
            }
            Connection::SqliteReader(conn) => {
                let ($query, $conn, $row) = (bound!($sql, $args), &mut **conn, Row::Sqlite);
                $body
            }
            Connection::Postgres(conn) => {
                let ($query, $conn, $row) = (bound!($sql, $args), &mut **conn, Row::Postgres);
                let answer = tokio::time::timeout(ANSWER, async { $body }).await;
                $tx.has_failed |= !matches!(answer, Ok(Ok(_)));
                $tx.has_lost_connection |= answer.is_err();
                answer.unwrap_or_else(|_| Err(Error::Failed(NO_ANSWER.to_owned())))
            }
        }
    };
}

/// Runs a statement outside of a transaction, and returns its first row.
pub(super) async fn run_alone(
    connection: &mut sqlx::PgConnection,
    sql: &'static str,
    args: Vec<Arg>,
) -> Result<Option<Row>, Error> {
    Ok(bound!(sql, args).fetch_optional(connection).await?.map(Row::Postgres))
}

impl Tx {
    pub(super) fn new(connection: Connection, mail: Room, memory: Memory) -> Self {
        let after = After::default();
        Self { connection, mail, memory, after, has_failed: false, has_lost_connection: false }
    }

    /// Whether units run at the same time and lock rows from each other. On SQLite only one writes at a time.
    pub(crate) fn locks_rows(&self) -> bool {
        matches!(self.connection, Connection::Postgres(_))
    }

    /// Runs a statement and returns how many rows it changed.
    pub(crate) async fn execute(
        &mut self,
        sql: &'static str,
        args: impl IntoIterator<Item = Arg>,
    ) -> Result<u64, Error> {
        run!(self, sql, args, |query, conn, _row| Ok(query.execute(conn).await?.rows_affected()))
    }

    /// The first row, if there is one.
    pub(crate) async fn optional(
        &mut self,
        sql: &'static str,
        args: impl IntoIterator<Item = Arg>,
    ) -> Result<Option<Row>, Error> {
        run!(self, sql, args, |query, conn, row| Ok(query.fetch_optional(conn).await?.map(row)))
    }

    /// The one row there must be.
    pub(crate) async fn one(
        &mut self,
        sql: &'static str,
        args: impl IntoIterator<Item = Arg>,
    ) -> Result<Row, Error> {
        self.optional(sql, args).await?.ok_or_else(|| Error::Failed("a row is missing".to_owned()))
    }

    /// All rows.
    pub(crate) async fn all(
        &mut self,
        sql: &'static str,
        args: impl IntoIterator<Item = Arg>,
    ) -> Result<Vec<Row>, Error> {
        run!(self, sql, args, |query, conn, row| Ok(query
            .fetch_all(conn)
            .await?
            .into_iter()
            .map(row)
            .collect()))
    }
}

impl Row {
    /// The value of a column.
    pub(crate) fn get<'r, T>(&'r self, column: usize) -> Result<T, Error>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, Postgres> + Type<Postgres>,
        usize: ColumnIndex<SqliteRow> + ColumnIndex<PgRow>,
    {
        match self {
            Self::Sqlite(row) => Ok(row.try_get(column)?),
            Self::Postgres(row) => Ok(row.try_get(column)?),
        }
    }
}

impl From<i64> for Arg {
    fn from(value: i64) -> Self {
        Self::Integer(Some(value))
    }
}

impl From<u32> for Arg {
    fn from(value: u32) -> Self {
        Self::Integer(Some(value.into()))
    }
}

impl From<bool> for Arg {
    fn from(value: bool) -> Self {
        Self::Integer(Some(value.into()))
    }
}

impl From<Option<i64>> for Arg {
    fn from(value: Option<i64>) -> Self {
        Self::Integer(value)
    }
}

impl From<&str> for Arg {
    fn from(value: &str) -> Self {
        Self::Text(Some(value.to_owned()))
    }
}

impl From<String> for Arg {
    fn from(value: String) -> Self {
        Self::Text(Some(value))
    }
}

impl From<Option<String>> for Arg {
    fn from(value: Option<String>) -> Self {
        Self::Text(value)
    }
}

impl From<&[u8]> for Arg {
    fn from(value: &[u8]) -> Self {
        Self::Blob(Some(value.to_vec()))
    }
}

impl From<Option<[u8; 32]>> for Arg {
    fn from(value: Option<[u8; 32]>) -> Self {
        Self::Blob(value.map(Vec::from))
    }
}

impl From<crate::domain::time::Timestamp> for Arg {
    fn from(value: crate::domain::time::Timestamp) -> Self {
        Self::Integer(Some(value.0))
    }
}

impl From<Option<crate::domain::time::Timestamp>> for Arg {
    fn from(value: Option<crate::domain::time::Timestamp>) -> Self {
        Self::Integer(value.map(|t| t.0))
    }
}
