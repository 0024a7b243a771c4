//! Delivery into a folder: a file of its own for each mail.

use std::path::{Path, PathBuf};

use tokio::io::AsyncWriteExt as _;

/// A folder of `.eml` files, made when it is not there.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Writes the file whole before it has its name; without `keeps` all but that.
    pub(super) async fn write(&self, name: &str, bytes: &[u8], keeps: bool) -> std::io::Result<()> {
        tokio::fs::create_dir_all(&self.0).await?;
        let (draft, file) = (self.0.join(format!(".{name}.draft")), self.0.join(name));
        write_synced(&draft, bytes).await?;
        if keeps {
            tokio::fs::rename(&draft, &file).await?;
        } else {
            tokio::fs::remove_file(&draft).await?;
        }
        // The name, too, has to survive a power failure before the outbox forgets the mail.
        tokio::fs::File::open(&self.0).await?.sync_all().await
    }
}

async fn write_synced(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut out =
        tokio::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file).await?;
    out.write_all(bytes).await?;
    out.sync_all().await
}
