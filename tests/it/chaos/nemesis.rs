//! What goes wrong, one thing after the other, by chance.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use readylogin::clock::Clock;
use tokio::process::Command;

use super::proxy::Proxy;
use super::{Chance, NODES, World};
use crate::harness::NatsServer;

pub(super) struct Nemesis {
    pub(super) world: Arc<World>,
    pub(super) nats: NatsServer,
    pub(super) proxy: Proxy,
    pub(super) chance: Chance,
    /// What was done, in order.
    pub(super) done: Vec<&'static str>,
}

impl Nemesis {
    /// Breaks things for this long, and leaves everything as it should be.
    pub(super) async fn rage(&mut self, time: Duration) {
        let clock = Clock::system();
        while clock.uptime() < time {
            tokio::time::sleep(self.chance.between(200, 1_500)).await;
            let node = self.chance.below(NODES);
            let what = match self.chance.below(10) {
                0..=2 => self.kill(node).await,
                3 | 4 => self.stop(node).await,
                5 => self.put_to_sleep(node).await,
                6 => self.restart_postgres("fast").await,
                7 => self.restart_postgres("immediate").await,
                8 => self.restart_nats().await,
                _ => self.cut_nats_off().await,
            };
            self.done.push(what);
        }
    }

    async fn kill(&mut self, node: usize) -> &'static str {
        let process = self.world.nodes.lock().await[node].take().expect("it runs");
        process.kill().await;
        tokio::time::sleep(self.chance.between(0, 1_000)).await;
        self.world.start(node).await;
        "kill -9"
    }

    async fn stop(&mut self, node: usize) -> &'static str {
        let process = self.world.nodes.lock().await[node].take().expect("it runs");
        process.signal("TERM").await;
        process.wait().await;
        self.world.start(node).await;
        "SIGTERM"
    }

    async fn put_to_sleep(&mut self, node: usize) -> &'static str {
        let pause = self.chance.between(500, 4_000);
        let nodes = self.world.nodes.lock().await;
        let process = nodes[node].as_ref().expect("it runs");
        process.signal("STOP").await;
        tokio::time::sleep(pause).await;
        process.signal("CONT").await;
        "SIGSTOP"
    }

    async fn restart_postgres(&mut self, mode: &'static str) -> &'static str {
        let script = std::env::var("READYLOGIN_TEST_POSTGRES_RESTART")
            .expect("READYLOGIN_TEST_POSTGRES_RESTART names no command: run tests/run chaos");
        let done = Command::new(script).arg(mode).output().await.unwrap();
        assert!(done.status.success(), "{done:?}");
        if mode == "fast" { "PostgreSQL, fast" } else { "PostgreSQL, immediate" }
    }

    async fn restart_nats(&mut self) -> &'static str {
        self.nats.kill().await;
        tokio::time::sleep(self.chance.between(0, 2_000)).await;
        self.nats.begin().await;
        "NATS restarted"
    }

    async fn cut_nats_off(&mut self) -> &'static str {
        self.proxy.set_cut(true);
        tokio::time::sleep(self.chance.between(500, 3_000)).await;
        self.proxy.set_cut(false);
        "NATS cut off"
    }

    /// What was done, and how often.
    pub(super) fn summary(&self) -> String {
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        for what in &self.done {
            *counts.entry(what).or_default() += 1;
        }
        let mut text = format!("{} blows:", self.done.len());
        for (what, count) in counts {
            let _ = write!(text, " {what} {count},");
        }
        text.trim_end_matches(',').to_owned()
    }
}
