//! A real NATS server of the test's own, on free ports.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::process::{Child, Command};

use super::PATIENCE;

/// A running `nats-server`; it ends when this is dropped.
pub(crate) struct NatsServer {
    folder: tempfile::TempDir,
    /// Further options.
    options: Vec<String>,
    server: Option<Child>,
    /// Kept over a restart.
    port: u16,
    monitor: String,
}

impl NatsServer {
    /// Starts a server on a port that stays free while it is away.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with options of `nats-server`.
    pub(crate) async fn start_with(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut nats = Self { folder, options, server: None, port: 0, monitor: String::new() };
        loop {
            nats.port = quiet_port();
            if nats.try_begin().await {
                return nats;
            }
        }
    }

    /// As a setting of servers.
    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Ends it at once, as a crash would.
    pub(crate) async fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().await.unwrap();
        }
    }

    /// Starts it again on the same port.
    pub(crate) async fn begin(&mut self) {
        assert!(self.try_begin().await, "nats-server ended at its start");
    }

    /// Starts it on its port; false when another program was faster to take that.
    async fn try_begin(&mut self) -> bool {
        let ports = self.folder.path().join("ports");
        let _ = std::fs::remove_dir_all(&ports);
        std::fs::create_dir(&ports).unwrap();
        let mut command = Command::new("nats-server");
        command.args([
            "--addr",
            "127.0.0.1",
            "--port",
            &self.port.to_string(),
            "--http_port",
            "-1",
            "--ports_file_dir",
        ]);
        command
            .arg(&ports)
            .args(&self.options)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let mut server = command
            .spawn()
            .unwrap_or_else(|e| panic!("nats-server can't be started ({e}): run tests/run setup sqlite"));
        let started = soon("the ports of nats-server", async || {
            if server.try_wait().unwrap().is_some() {
                return Some(None);
            }
            let file = std::fs::read_dir(&ports).ok()?.next()?.ok()?.path();
            let open: Value = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
            (open["nats"].is_array() && open["monitoring"].is_array()).then_some(Some(open))
        })
        .await;
        let Some(open) = started else { return false };
        let monitoring = open["monitoring"][0].as_str().unwrap();
        self.monitor = format!("http://127.0.0.1:{}", monitoring.rsplit(':').next().unwrap());
        self.server = Some(server);
        true
    }

    /// The subjects that somebody listens to.
    pub(crate) async fn subjects(&self) -> Vec<String> {
        let url = format!("{}/subsz?subs=1&limit=10000", self.monitor);
        let told = tokio::time::timeout(PATIENCE, reqwest::get(url)).await.expect("an answer in time");
        let told: Value = told.unwrap().json().await.unwrap();
        let all = told["subscriptions_list"].as_array().cloned().unwrap_or_default();
        let mut subjects: Vec<_> = all
            .iter()
            .filter_map(|one| one["subject"].as_str())
            .filter(|subject| subject.starts_with("rl."))
            .map(str::to_owned)
            .collect();
        subjects.sort_unstable();
        subjects
    }

    /// Waits until so many nodes listen, and so many of them to accounts.
    pub(crate) async fn until_heard(&self, nodes: usize, accounts: usize) {
        soon("the nodes' subscriptions", async || {
            let subjects = self.subjects().await;
            let of = |kind: &str| subjects.iter().filter(|subject| subject.starts_with(kind)).count();
            ((of("rl.node."), of("rl.account.")) == (nodes, accounts)).then_some(())
        })
        .await;
    }
}

/// A port below those that the kernel gives to clients and to listeners without a wish of their own: none of them takes it
/// while its server is away.
pub(crate) fn quiet_port() -> u16 {
    loop {
        let drawn = u16::from_be_bytes(uuid::Uuid::new_v4().as_bytes()[..2].try_into().unwrap());
        let port = 20_000 + drawn % 12_000;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Asks again and again until there is something.
pub(crate) async fn soon<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    found.await.unwrap_or_else(|_| panic!("{what}: waited in vain"))
}
