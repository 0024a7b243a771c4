//! The truth: SQLite or PostgreSQL behind one set of SQL texts, a file of functions per aggregate.
//!
//! A use case hands [`Store::write`] a closure over [`Tx`] and gets its result after COMMIT. A closure that
//! returns `Err` leaves no trace; an outcome that must be kept (a counted failure) is an `Ok` value.

pub(crate) mod accounts;
pub(crate) mod audit;
pub(crate) mod challenges;
pub(crate) mod devices;
mod effects;
pub(crate) mod export;
pub(crate) mod factors;
pub(crate) mod fingerprints;
pub(crate) mod hits;
pub(crate) mod imports;
pub(crate) mod keys;
pub(crate) mod lapse;
pub(crate) mod leases;
pub(crate) mod mail_logins;
pub(crate) mod mailed_codes;
pub(crate) mod notices;
pub(crate) mod outbox;
pub(crate) mod pairings;
pub(crate) mod password_classes;
#[cfg(test)]
pub(crate) mod plans;
mod postgres;
pub(crate) mod rates;
pub(crate) mod refresh;
pub(crate) mod sealed;
pub(crate) mod seals;
pub(crate) mod sessions;
pub(crate) mod signals;
mod sqlite;
#[cfg(test)]
pub(crate) mod stops;
pub(crate) mod sweep;
pub(crate) mod tickets;
pub(crate) mod totp;
pub(crate) mod trusts;
mod tx;

use std::sync::Weak;
use std::sync::atomic::Ordering;

use futures_util::future::BoxFuture;

pub(crate) use effects::{Effects, Sink};
pub(crate) use tx::{Arg, Row, Tx, arg};

use crate::config::StoreUrl;
use crate::crypto::seals::Seals;
use crate::domain::time::Timestamp;
use crate::turns::{self, Gate, Turn, Who};

/// The store can't do what was asked of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Too many units wait for their turn: come back.
    #[error("the store's queue is full")]
    Full,
    /// A row that must not be there twice.
    #[error("already there")]
    Duplicate,
    /// Away, broken, or refusing: come back.
    #[error("the store failed: {0}")]
    Failed(String),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let is_duplicate = error.as_database_error().is_some_and(|e| e.is_unique_violation());
        if is_duplicate { Self::Duplicate } else { Self::Failed(error.to_string()) }
    }
}

/// A turn for a unit of work that somebody asked for. What the server does by itself needs none: it is little, it is
/// bounded by itself, and it is what keeps the house.
async fn turn_at(gate: &Gate) -> Result<Option<Turn>, Error> {
    if Who::current() == Who::Server {
        return Ok(None);
    }
    gate.turn().await.map(Some).map_err(|_| Error::Full)
}

/// A handle to the store; clones share it.
#[derive(Clone)]
pub(crate) enum Store {
    Sqlite(sqlite::Sqlite),
    Postgres(postgres::Postgres),
}

impl Store {
    /// Opens the store, makes it when it is SQLite's and not there, and brings its tables up to date.
    /// `mail_queue` codes may wait in it before another is refused.
    pub(crate) async fn open(url: &StoreUrl, connections: u32, mail_queue: u32) -> Result<Self, Error> {
        let mail = outbox::Room::new(mail_queue);
        match url {
            StoreUrl::Sqlite(path) => sqlite::Sqlite::open(path, mail).await.map(Self::Sqlite),
            StoreUrl::Postgres(url) => {
                postgres::Postgres::open(url, connections, mail).await.map(Self::Postgres)
            }
        }
    }

    /// Runs a unit of work and returns its value once it is committed.
    pub(crate) async fn write<T, F>(&self, unit: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, Error>> + Send + 'static,
    {
        #[cfg(test)]
        stops::reach(stops::Stop::Before).await?;
        let outcome = match self {
            Self::Sqlite(sqlite) => sqlite.write(unit).await,
            Self::Postgres(postgres) => postgres.run(unit).await,
        };
        self.memory().wrote(&outcome);
        #[cfg(test)]
        stops::reach(stops::Stop::Written).await?;
        outcome
    }

    /// Runs a unit of work for which no caller waits, in the turn of the current request: strangers decide how many there
    /// are. What keeps it from being done is logged.
    pub(crate) fn write_later<F>(&self, unit: F)
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<(), Error>> + Send + 'static,
    {
        let (store, who) = (self.clone(), Who::current());
        tokio::spawn(async move {
            match turns::for_request(who, store.write(unit)).await {
                Ok(()) => {}
                // A flood of requests must not become a flood of lines.
                Err(Error::Full) => tracing::debug!("too much waits: a write without a caller is left out"),
                Err(e) => tracing::warn!(error = %e, "a write without a caller failed"),
            }
        });
    }

    /// Runs one statement that is committed by itself, and returns its first row. Between nodes it holds no lock over a round
    /// trip. When the answer is lost it may run twice.
    pub(crate) async fn at_once(&self, sql: &'static str, args: Vec<Arg>) -> Result<Option<Row>, Error> {
        match self {
            Self::Sqlite(sqlite) => {
                let unit = async move |tx: &mut Tx| tx.optional(sql, args).await;
                sqlite.write(move |tx| Box::pin(async move { unit(tx).await })).await
            }
            Self::Postgres(postgres) => postgres.at_once(sql, args).await,
        }
    }

    /// Runs a unit that only reads.
    pub(crate) async fn read<T, F>(&self, unit: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, Error>> + Send + 'static,
    {
        #[cfg(test)]
        stops::reach(stops::Stop::Before).await?;
        let outcome = match self {
            Self::Sqlite(sqlite) => sqlite.read(unit).await,
            Self::Postgres(postgres) => postgres.run(unit).await,
        };
        #[cfg(test)]
        stops::reach(stops::Stop::Read).await?;
        outcome
    }

    /// Whether the store takes what is written to it. Only after a write that failed this is tried out, by a row that is over
    /// at once.
    pub(crate) async fn takes_writes(&self, now: Timestamp) -> bool {
        if !self.memory().write_failed.load(Ordering::Relaxed) {
            return true;
        }
        self.write(move |tx| Box::pin(hits::add(tx, "probe", None, now, now))).await.is_ok()
    }

    /// Says what seals the mail that waits; the first call counts.
    pub(crate) fn seal_mail_with(&self, seals: Seals) {
        match self {
            Self::Sqlite(sqlite) => sqlite.mail.seal_with(seals),
            Self::Postgres(postgres) => postgres.mail.seal_with(seals),
        }
    }

    /// Says where the effects of committed units go, instead of where they went before.
    pub(crate) fn attach(&self, sink: Weak<dyn Sink>) {
        self.memory().delivery.attach(sink);
    }

    /// The same store for another node of this process, which has a sink of its own.
    #[cfg(test)]
    pub(crate) fn for_another_node(&self) -> Self {
        let mut other = self.clone();
        match &mut other {
            Self::Sqlite(sqlite) => sqlite.memory.delivery = effects::Delivery::default(),
            Self::Postgres(postgres) => postgres.memory.delivery = effects::Delivery::default(),
        }
        other
    }

    /// How often each outcome was recorded by this process.
    pub(crate) fn counts(&self) -> &audit::Counts {
        &self.memory().counts
    }

    /// What this process knows of the stored passwords' classes.
    pub(crate) fn passwords(&self) -> &password_classes::Known {
        &self.memory().passwords
    }

    fn memory(&self) -> &tx::Memory {
        match self {
            Self::Sqlite(sqlite) => &sqlite.memory,
            Self::Postgres(postgres) => &postgres.memory,
        }
    }

    /// Waits until what was accepted is committed, then closes.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(sqlite) => sqlite.close().await,
            Self::Postgres(postgres) => postgres.close().await,
        }
    }
}
