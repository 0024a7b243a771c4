//! Delivery into a folder: a file of its own for each mail.

use std::path::{Path, PathBuf};

use tokio::io::AsyncWriteExt as _;

/// A folder of `.eml` files, made when it is not there.
pub(super) struct Folder(PathBuf);

/// A mail that is written and has no name yet.
pub(super) struct Draft {
    draft: PathBuf,
    file: PathBuf,
}

impl Folder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Writes the whole file under a name of this attempt alone.
    pub(super) async fn draft(&self, name: &str, attempt: u32, bytes: &[u8]) -> std::io::Result<Draft> {
        tokio::fs::create_dir_all(&self.0).await?;
        let draft = self.0.join(format!(".{name}.{attempt}.draft"));
        write_synced(&draft, bytes).await?;
        for older in 1..attempt {
            // Left by a node that ended in the middle; if it is only slow, it has nothing to give a name to.
            let _ = tokio::fs::remove_file(self.0.join(format!(".{name}.{older}.draft"))).await;
        }
        Ok(Draft { draft, file: self.0.join(name) })
    }

    /// Gives a draft its name; without `keeps` it is thrown away, after the same work.
    pub(super) async fn finish(&self, draft: Draft, keeps: bool) -> std::io::Result<()> {
        let Draft { draft, file } = draft;
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
