//! The courier: takes mail out of the outbox, one after the other, until each is delivered.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::domain::time::Timestamp;
use crate::store::outbox::{self, Waiting};
use crate::store::{Error, Store};

/// How often the outbox is looked at when nobody rings.
const ROUND: Duration = Duration::from_secs(5);
/// The wait after a first failed delivery; it doubles up to [`MAX_PAUSE`].
const PAUSE: Duration = Duration::from_secs(5);
const MAX_PAUSE: Duration = Duration::from_secs(600);

/// Delivers mail; one per node.
#[derive(Debug)]
pub(crate) struct Courier {
    folder: PathBuf,
    from: Mailbox,
    bell: Notify,
}

impl Courier {
    pub(crate) fn new(folder: PathBuf, from: Mailbox) -> Self {
        Self { folder, from, bell: Notify::new() }
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
            for mail in due {
                self.deliver(store, mail, now).await?;
            }
        }
    }

    async fn deliver(&self, store: &Store, mail: Waiting, now: Timestamp) -> Result<(), Error> {
        let (claimed, pause) =
            (mail.clone(), PAUSE.saturating_mul(1 << mail.attempts.min(10)).min(MAX_PAUSE));
        let unit = async move |tx: &mut crate::store::Tx| outbox::claim(tx, &claimed, pause, now).await;
        if !store.write(move |tx| Box::pin(async move { unit(tx).await })).await? {
            return Ok(());
        }
        match self.write(&mail).await {
            Ok(()) => store.write(move |tx| Box::pin(outbox::done(tx, mail.id))).await,
            Err(e) => {
                tracing::warn!(mail = mail.id, attempts = mail.attempts, error = %e, "a mail waits for its next attempt");
                Ok(())
            }
        }
    }

    /// Writes the file whole before it has its name.
    async fn write(&self, mail: &Waiting) -> anyhow::Result<()> {
        let bytes = self.message(mail)?;
        tokio::fs::create_dir_all(&self.folder).await?;
        let name = format!("{}-{}.eml", mail.created_at.0, mail.id);
        let (draft, file) = (self.folder.join(format!(".{name}.draft")), self.folder.join(name));
        write_synced(&draft, &bytes).await?;
        tokio::fs::rename(&draft, &file).await?;
        // The name, too, has to survive a power failure before the outbox forgets the mail.
        Ok(tokio::fs::File::open(&self.folder).await?.sync_all().await?)
    }

    fn message(&self, mail: &Waiting) -> anyhow::Result<Vec<u8>> {
        let to = Mailbox::new(None, mail.recipient.parse()?);
        let date = std::time::SystemTime::UNIX_EPOCH + mail.created_at.since(Timestamp(0));
        let message = lettre::Message::builder()
            .from(self.from.clone())
            .to(to)
            .date(date)
            .subject(&mail.subject)
            .header(ContentType::TEXT_PLAIN)
            .body(mail.body.clone())?;
        Ok(message.formatted())
    }
}

async fn write_synced(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut out =
        tokio::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file).await?;
    out.write_all(bytes).await?;
    out.sync_all().await
}
