//! `serve`: the server, from its first line to the signal that ends it.

use anyhow::{Context as _, bail};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::output;
use crate::app::Server;
use crate::clock::Clock;
use crate::config::Config;

/// Serves until a signal says stop.
pub(super) async fn run(config: Config) -> anyhow::Result<()> {
    super::init_log(&config)?;
    for setting in &config.without_effect {
        tracing::warn!(
            setting,
            "this setting has no effect in this release: remove it, or wait for a later one"
        );
    }
    // Before the first line: who reads it may send a signal at once.
    let mut signals = Signals::new()?;
    let _survived = survive_file_size_limit()?;
    let scheme = if config.server.tls.cert.is_some() { "https" } else { "http" };
    let server = Server::start(config, Clock::system()).await?;
    if let Err(error) = output::line(&format!("listening on {scheme}://{}", server.address())) {
        tracing::warn!("nobody reads the first line: {error}");
    }
    let stop = CancellationToken::new();
    let insist = async {
        signals.next().await;
        stop.cancel();
        signals.next().await;
    };
    tokio::select! {
        done = server.run_until(stop.cancelled()) => done,
        () = insist => bail!("ended by a second signal, before everything was finished"),
    }
}

/// The signal that ends a process which writes more to a file than its limit (`ulimit -f`) allows; tokio has no name for it.
const SIGXFSZ: i32 = 25;

/// Catches that signal, so that such a write fails like one on a full disk: it is refused, and the server goes on.
fn survive_file_size_limit() -> anyhow::Result<Signal> {
    signal(SignalKind::from_raw(SIGXFSZ)).context("signals can't be caught")
}

/// What an operator or an init system sends to end a command.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Catches the signals from now on.
    pub(super) fn new() -> anyhow::Result<Self> {
        let catch = |kind| signal(kind).context("signals can't be caught");
        Ok(Self { terminate: catch(SignalKind::terminate())?, interrupt: catch(SignalKind::interrupt())? })
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
