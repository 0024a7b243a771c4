//! The server that is measured: a process of its own, so that nothing of the measuring is counted.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{ChildStdout, Command};

use crate::cli::temporary::Temporary;

/// How long the server may take to come up.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server; killed when dropped, since nothing it keeps is needed.
pub(super) struct Child {
    pub(super) address: SocketAddr,
    process: tokio::process::Child,
    /// Kept open: a server whose first line can't be written would complain.
    _stdout: BufReader<ChildStdout>,
}

impl Child {
    /// Starts this very program as a server and waits until it listens.
    pub(super) async fn start(temporary: &Temporary) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("where this program lies can't be told")?;
        let mut command = Command::new(program);
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("READYLOGIN_"))
        {
            command.env_remove(name);
        }
        command
            .arg("serve")
            .envs(temporary.settings().iter().map(|(name, value)| (name, value)))
            // There is no settings file there.
            .current_dir(temporary.folder())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut process = command.spawn().context("the server can't be started")?;
        let stdout = process.stdout.take().context("the server has no standard output")?;
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        let reading = tokio::time::timeout(PATIENCE, stdout.read_line(&mut line)).await;
        reading.context("the server did not come up in time")??;
        let address =
            line.trim().strip_prefix("listening on http://").and_then(|address| address.parse().ok());
        let address =
            address.with_context(|| format!("the server did not say where it listens: {line:?}"))?;
        Ok(Self { address, process, _stdout: stdout })
    }

    /// The server's own memory in bytes, after it was left alone for a while.
    pub(super) async fn settled_memory(&self, settle: Duration) -> anyhow::Result<u64> {
        tokio::time::sleep(settle).await;
        let pid = self.process.id().context("the server ended")?;
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}"));
        let own =
            read("smaps_rollup").ok().and_then(|text| sum(&text, &["Private_Clean:", "Private_Dirty:"]));
        let resident = || read("status").ok().and_then(|text| sum(&text, &["VmRSS:"]));
        own.or_else(resident).context("the server's memory can't be read: bench needs Linux's /proc")
    }
}

/// The sum of the lines that begin so, in bytes; `None` when one is missing.
fn sum(text: &str, names: &[&str]) -> Option<u64> {
    let kib = |name: &&str| {
        let value = text.lines().find_map(|line| line.strip_prefix(*name))?;
        value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    names.iter().map(kib).sum::<Option<u64>>().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_summed_over_the_named_lines() {
        let text = "Rss:  900 kB\nPrivate_Clean:     8 kB\nPrivate_Dirty:   120 kB\nSwap: 0 kB\n";
        assert_eq!(sum(text, &["Private_Clean:", "Private_Dirty:"]), Some(128 * 1024));
        assert_eq!(sum(text, &["VmRSS:"]), None);
    }
}
