//! SQLite: one writer that gathers waiting units into one durable transaction, and a few readers (WAL).

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, Sqlite as Db, SqliteConnection};
use tokio::sync::{mpsc, oneshot};

use super::outbox::Room;
use super::tx::{Connection, Memory};
use super::{Error, Tx, turn_at};
use crate::turns::{Gate, LONGEST, Size, Turn};

/// Units that may wait for the writer; one more is told to come back.
const QUEUE: usize = 1024;
/// Units in one transaction: enough to share the sync, few enough to answer soon.
const BATCH: usize = 64;
/// Connections that read beside the writer.
const READERS: u32 = 4;
/// How long a request waits for a reader, or for a turn at the writer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Two batches: one that is being written and one that gathers. The others wait for their turn in fair lines.
const WRITES: Size = Size { turns: 2 * BATCH, room: QUEUE, patience: Some(PATIENCE), longest: LONGEST };
const READS: Size = Size { turns: READERS as usize, room: QUEUE, patience: Some(PATIENCE), longest: LONGEST };

/// A unit's outcome, waiting for COMMIT: whether its changes stay, and whom to tell.
struct Settled {
    keep: bool,
    tell: Box<dyn FnOnce(Result<(), Error>) + Send>,
}

/// What the writer is sent.
enum Order {
    Unit(Unit),
    /// Close the file, and say when that is done.
    Close(oneshot::Sender<()>),
}

type Unit = Box<dyn for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Settled> + Send>;

/// Handles to the writer task and the readers.
#[derive(Clone)]
pub(crate) struct Sqlite {
    orders: mpsc::Sender<Order>,
    readers: sqlx::Pool<Db>,
    writes: Gate,
    reads: Gate,
    pub(super) mail: Room,
    pub(super) memory: Memory,
}

impl Sqlite {
    pub(super) async fn open(path: &Path, mail: Room) -> Result<Self, Error> {
        make_private(path).map_err(|e| Error::Failed(format!("{}: {e}", path.display())))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // FULL, since "acknowledged" has to survive a power failure.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5));
        let writer = migrated(&options, path).await?;
        let readers = SqlitePoolOptions::new()
            // All opened now and kept: a server that has run out of file handles can still read.
            .min_connections(READERS)
            .max_connections(READERS)
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(PATIENCE)
            .connect_with(options.read_only(true).create_if_missing(false))
            .await?;
        let (orders, queue) = mpsc::channel(QUEUE);
        let memory = Memory::default();
        let tx = Tx::new(Connection::SqliteWriter(writer), mail.clone(), memory.clone());
        tokio::spawn(writer_task(tx, queue));
        let (writes, reads) = (Gate::new(WRITES), Gate::new(READS));
        Ok(Self { orders, readers, writes, reads, mail, memory })
    }

    pub(super) async fn write<T, F>(&self, unit: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, Error>> + Send + 'static,
    {
        let turn = turn_at(&self.writes).await?;
        let (reply, answer) = oneshot::channel();
        let memory = self.memory.clone();
        let unit: Unit = Box::new(move |tx| Box::pin(settle(unit, reply, turn, memory, tx)));
        self.orders.try_send(Order::Unit(unit)).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => Error::Full,
            mpsc::error::TrySendError::Closed(_) => Error::Failed("closed".to_owned()),
        })?;
        answer.await.unwrap_or_else(|_| Err(Error::Failed("the file can't be written".to_owned())))
    }

    pub(super) async fn read<T, F>(&self, unit: F) -> Result<T, Error>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, Error>>,
    {
        let _turn = turn_at(&self.reads).await?;
        let reader = Connection::SqliteReader(self.readers.acquire().await?);
        let mut tx = Tx::new(reader, self.mail.clone(), self.memory.clone());
        unit(&mut tx).await
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        // The writer takes orders in turn: all units before this one are committed when it is answered.
        let (reply, closed) = oneshot::channel();
        if self.orders.send(Order::Close(reply)).await.is_ok() {
            let _ = closed.await;
        }
    }
}

/// Opens the file and brings its tables up to date. SQLite has no lock for that: of several processes that start at once one
/// migrates, and the others wait for it at their folder.
async fn migrated(options: &SqliteConnectOptions, path: &Path) -> Result<SqliteConnection, Error> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = std::fs::File::open(folder).map_err(|e| Error::Failed(e.to_string()))?;
    let turn = tokio::task::spawn_blocking(move || folder.lock().map(|()| folder));
    // On a file system without locks there is nobody to wait for.
    let _turn = turn.await.ok().and_then(Result::ok);
    let mut writer = options.connect().await?;
    sqlx::migrate!("src/store/migrations/sqlite")
        .run(&mut writer)
        .await
        .map_err(|e| Error::Failed(format!("migrations: {e}")))?;
    Ok(writer)
}

/// Makes the file and its folder when they are not there, for their owner only: password hashes live in it.
fn make_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path).map(drop)
}

async fn settle<T, F>(
    unit: F,
    reply: oneshot::Sender<Result<T, Error>>,
    turn: Option<Turn>,
    memory: Memory,
    tx: &mut Tx,
) -> Settled
where
    T: Send + 'static,
    F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, Error>> + Send + 'static,
{
    let outcome = AssertUnwindSafe(async { unit(tx).await }).catch_unwind().await;
    let outcome = outcome.unwrap_or_else(|_| Err(Error::Failed("a unit of work panicked".to_owned())));
    let (keep, after) = (outcome.is_ok(), std::mem::take(&mut tx.after));
    let tell = Box::new(move |committed: Result<(), Error>| {
        if keep && committed.is_ok() {
            memory.tell(after);
        }
        // Nobody listens any more when the client went away; the work stands all the same.
        let _ = reply.send(committed.and(outcome));
        drop(turn);
    });
    Settled { keep, tell }
}

async fn writer_task(mut tx: Tx, mut queue: mpsc::Receiver<Order>) {
    let (mut orders, mut closing) = (Vec::with_capacity(BATCH), None);
    while closing.is_none() && queue.recv_many(&mut orders, BATCH).await > 0 {
        let mut batch = Vec::with_capacity(orders.len());
        for order in orders.drain(..) {
            match order {
                Order::Unit(unit) => batch.push(unit),
                Order::Close(reply) => closing = Some(reply),
            }
        }
        let mut settled = Vec::with_capacity(batch.len());
        let committed = run_batch(&mut tx, &mut batch, &mut settled).await;
        if committed.is_err() && settled.is_empty() {
            // Another process holds the file's lock, and may be frozen. Who waits behind this batch has waited as long by now:
            // they are told to come back as well, not one batch after the other every five seconds.
            refuse_waiting(&mut queue, &mut closing);
        }
        let failure = committed.err().map(|e| e.to_string());
        for unit in settled {
            (unit.tell)(failure.clone().map_or(Ok(()), |text| Err(Error::Failed(text))));
        }
    }
    if let Connection::SqliteWriter(writer) = tx.connection {
        let _ = writer.close().await;
    }
    if let Some(reply) = closing {
        let _ = reply.send(());
    }
}

/// Drops the units that wait; each of them is answered that it was not done.
fn refuse_waiting(queue: &mut mpsc::Receiver<Order>, closing: &mut Option<oneshot::Sender<()>>) {
    while let Ok(order) = queue.try_recv() {
        if let Order::Close(reply) = order {
            *closing = Some(reply);
        }
    }
}

async fn run_batch(tx: &mut Tx, batch: &mut Vec<Unit>, settled: &mut Vec<Settled>) -> Result<(), Error> {
    tx.execute("BEGIN IMMEDIATE", []).await?;
    let outcome = run_units(tx, batch, settled).await;
    let outcome = match outcome {
        Ok(()) => tx.execute("COMMIT", []).await.map(|_| ()),
        Err(e) => Err(e),
    };
    if outcome.is_err() {
        // Fails when SQLite has rolled back by itself; either way nothing of the batch stays.
        let _ = tx.execute("ROLLBACK", []).await;
    }
    outcome
}

async fn run_units(tx: &mut Tx, batch: &mut Vec<Unit>, settled: &mut Vec<Settled>) -> Result<(), Error> {
    for unit in batch.drain(..) {
        tx.execute("SAVEPOINT unit", []).await?;
        let done = unit(tx).await;
        if !done.keep {
            tx.execute("ROLLBACK TO unit", []).await?;
        }
        settled.push(done);
        tx.execute("RELEASE unit", []).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sqlx::{ConnectOptions as _, Executor as _};

    use super::*;
    use crate::config::StoreUrl;
    use crate::store::Store;

    /// As another process does that is stopped in the middle of a unit.
    #[tokio::test]
    async fn while_another_holds_the_file_all_who_wait_are_told_to_come_back_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("readylogin.db");
        let store = Store::open(&StoreUrl::Sqlite(path.clone()), 1, 1).await.unwrap();
        let mut other = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
        let write = || {
            let store = store.clone();
            async move {
                let unit = async |tx: &mut Tx| tx.execute("DELETE FROM hits", []).await;
                store.write(move |tx| Box::pin(async move { unit(tx).await })).await
            }
        };
        other.execute("BEGIN IMMEDIATE").await.unwrap();
        let waiting = futures_util::future::join_all((0..10 * BATCH).map(|_| write()));
        // One look at the lock takes five seconds; one for each batch would take fifty.
        let answers = tokio::time::timeout(Duration::from_secs(25), waiting).await.expect("in time");
        assert!(answers.iter().all(|answer| matches!(answer, Err(Error::Failed(_)))));
        assert!(store.read(|tx| Box::pin(async move { tx.all("SELECT 1", []).await })).await.is_ok());
        other.execute("ROLLBACK").await.unwrap();
        write().await.unwrap();
    }
}
