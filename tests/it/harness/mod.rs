//! How tests start the real server, talk to it as a browser, a phone or an HTTP client, and move its clock.

mod certificate;
mod client;
mod codes;
mod cookies;
mod mail;
mod nats;
mod people;
mod process;
mod routes;
mod sealed;
mod smtp;
mod socket;
mod store;
mod totp;
mod words;

pub(crate) use certificate::Certificate;
pub(crate) use client::{Answer, Http};
pub(crate) use codes::{letters_to, mailed_code, wrong};
pub(crate) use cookies::{Browser, refused};
pub(crate) use mail::{Mail, await_mail, eventually, mails, mails_in};
pub(crate) use nats::{NatsServer, quiet_port, soon};
pub(crate) use people::{PASSWORD, Person, Phone, current_device};
pub(crate) use process::{Finished, Process, run, serve_under};
pub(crate) use routes::{filled, routes};
pub(crate) use sealed::{SealFile, key_rows, seal, sealed_rows, unseal};
pub(crate) use smtp::{Entrance, MailServer, Manner};
pub(crate) use socket::Socket;
pub(crate) use store::{
    StoreKind, await_number, change_store, dump, execute, number, signing_keys, store_kind, store_url,
    text_pairs, url_of,
};
pub(crate) use totp::App;
pub(crate) use words::{claims, mailed_words, words_mailed};

use std::time::Duration;

use readylogin::app;
use readylogin::clock::Clock;
use readylogin::config::Config;
use readylogin::domain::time::Timestamp;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long a test waits for something that must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The time on a manual clock when a test begins: 2026-11-22.
const START: Timestamp = Timestamp(1_795_305_600_000);

/// A running server, in this process or another.
pub(crate) trait Place {
    fn url(&self) -> &str;

    fn http(&self) -> &Http;

    /// A socket to `/ws`.
    async fn socket(&self) -> Socket {
        Socket::open(self.url()).await
    }
}

impl Place for Server {
    fn url(&self) -> &str {
        &self.url
    }

    fn http(&self) -> &Http {
        &self.http
    }
}

impl Place for Process {
    fn url(&self) -> &str {
        &self.url
    }

    fn http(&self) -> &Http {
        &self.http
    }
}

/// The real server on port 0, inside the test's process, with a clock that the test moves.
pub(crate) struct Server {
    pub(crate) clock: Clock,
    pub(crate) http: Http,
    /// The listener of the metrics, if there is one.
    pub(crate) monitor: Option<Http>,
    url: String,
    settings: Vec<(String, String)>,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
    _folder: Option<tempfile::TempDir>,
}

impl Server {
    /// A server with cheap password hashes, registration open for p, d and a, and no rate limits; `settings` are `SECTION__KEY` pairs
    /// that override these.
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        Self::start_with(settings, Clock::manual(START)).await
    }

    /// The same with a clock of the test's choice.
    pub(crate) async fn start_with(settings: &[(&str, &str)], clock: Clock) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = all_settings(settings, &store_url(folder.path()).await, folder.path());
        Self::run(settings, clock, Some(folder)).await
    }

    /// A server on a store that is there already; `settings` are those of [`all_settings`].
    pub(crate) async fn on(settings: &[(String, String)]) -> Self {
        Self::run(settings.to_vec(), Clock::manual(START), None).await
    }

    /// Stops the server as SIGTERM would, and waits until it has drained.
    pub(crate) async fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        tokio::time::timeout(PATIENCE, &mut self.running).await.expect("the server drains").unwrap();
    }

    /// Stops the server and starts it again on the same store and clock.
    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        let again = Self::run(self.settings.clone(), self.clock.clone(), self._folder.take()).await;
        *self = again;
    }

    /// A second server on the same store: another node, or the same after a crash.
    pub(crate) async fn twin(&self) -> Self {
        Self::run(self.settings.clone(), self.clock.clone(), None).await
    }

    /// The same with other settings: `SECTION__KEY` pairs.
    pub(crate) async fn twin_with(&self, changes: &[(&str, &str)]) -> Self {
        Self::run(changed(&self.settings, changes), self.clock.clone(), None).await
    }

    /// Stops the server and starts it again on the same store and clock with other settings.
    pub(crate) async fn restart_with(&mut self, changes: &[(&str, &str)]) {
        self.settings = changed(&self.settings, changes);
        self.restart().await;
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A socket to `/ws`.
    pub(crate) async fn socket(&self) -> Socket {
        Socket::open(&self.url).await
    }

    /// Waits until the server has noticed that so many browsers wait and no more; it must have a `METRICS__LISTEN`.
    pub(crate) async fn until_browsers_wait(&self, count: usize) {
        let monitor = self.monitor.as_ref().expect("METRICS__LISTEN");
        let line = format!("readylogin_browsers_waiting {count}");
        let look = async || monitor.get("/metrics").await.text.lines().any(|l| l == line).then_some(());
        soon(&line, look).await;
    }

    /// The settings as they stand in the environment of a process on the same store.
    pub(crate) fn settings(&self) -> &[(String, String)] {
        &self.settings
    }

    async fn run(settings: Vec<(String, String)>, clock: Clock, folder: Option<tempfile::TempDir>) -> Self {
        let config = Config::load(None, settings.clone()).unwrap();
        let _ = app::init_log(&config.log);
        let server = app::Server::start(config, clock.clone()).await.unwrap();
        let url = server.url().to_owned();
        let monitor = server.metrics_address().map(|at| Http::new(&format!("http://{at}")));
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(async move {
            let until = async {
                let _ = stopped.await;
            };
            server.run_until(until).await.unwrap();
        });
        Self {
            clock,
            http: Http::new(&url),
            monitor,
            url,
            settings,
            stop: Some(stop),
            running,
            _folder: folder,
        }
    }
}

/// The environment of a server under test.
pub(crate) fn all_settings(
    overrides: &[(&str, &str)],
    store: &str,
    folder: &std::path::Path,
) -> Vec<(String, String)> {
    let seal = folder.join("seal.key").display().to_string();
    let mail = folder.join("mail").display().to_string();
    let base = [
        ("SERVER__LISTEN", "127.0.0.1:0"),
        ("STORE__URL", store),
        ("KEYS__SEAL_FILE", &seal),
        ("ACCOUNTS__REGISTRATION", "p,d,a"),
        ("PASSWORD__MEMORY_KIB", "64"),
        ("PASSWORD__ITERATIONS", "1"),
        ("LIMITS__FACTOR", "0"),
        ("MAIL__FOLDER", &mail),
        ("LOG__LEVEL", "warn"),
    ];
    changed(&changed(&[], &base), overrides)
}

/// The same settings with some of them changed.
pub(crate) fn changed(settings: &[(String, String)], changes: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut settings = settings.to_vec();
    for (key, value) in changes {
        let name = format!("READYLOGIN_{key}");
        settings.retain(|(known, _)| *known != name);
        settings.push((name, (*value).to_owned()));
    }
    settings
}
