//! `account export`: everything that is kept about an account, on standard output or in a file for its owner alone.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::Which;
use crate::auth::Auth;
use crate::cli::failure::words;
use crate::cli::output;
use crate::domain::ids::AccountId;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Export {
    #[command(flatten)]
    which: Which,
    /// Write to this file, which must not be there yet and which only you can read; by default to standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Export {
    pub(super) async fn run(self, auth: &Auth) -> anyhow::Result<()> {
        let account = self.which.find(auth).await?;
        let Some(path) = &self.output else { return output::line(&export(auth, account.id).await?) };
        // Made first: an export that finds no place is none, and is not on record as one.
        let at = || format!("--output {}", path.display());
        let mut file = make_private(path).with_context(at)?;
        let json = export(auth, account.id).await?;
        writeln!(file, "{json}").and_then(|()| file.sync_all()).with_context(at)?;
        output::line(&format!("{} {} is in {}", account.kind, account.email.as_given(), path.display()))
    }
}

async fn export(auth: &Auth, account: AccountId) -> anyhow::Result<String> {
    auth.export_account(account).await.and_then(|export| export.to_json()).map_err(words)
}

/// A file that was not there before, and that nobody else may read from its first byte on.
fn make_private(path: &Path) -> std::io::Result<File> {
    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}
