//! Logins under way while everything around them dies: three server processes, PostgreSQL and NATS, killed, stopped, put to
//! sleep, restarted and cut off. What was promised is looked for in the history afterwards. Run alone, on PostgreSQL.

mod flow;
mod history;
mod nemesis;
mod proxy;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;

use crate::harness::{NatsServer, Process, StoreKind, all_settings, store_kind, store_url};
use history::History;
use nemesis::Nemesis;
pub(crate) use proxy::Proxy;

/// How many people log in at the same time, again and again.
const PEOPLE: usize = 16;
const NODES: usize = 3;
/// How long what is under way may take to end once nothing is broken any more.
const AFTERMATH: Duration = Duration::from_secs(90);

/// A number from the environment, or this one.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}: a number")))
}

/// Chance by a seed: what a run did can be done again, as far as processes and networks let it.
#[derive(Clone, Debug)]
struct Chance(u64);

impl Chance {
    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }

    fn between(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.next() % (most - least))
    }
}

/// The servers, as those who use them know them: some of the addresses lead nowhere at times.
struct World {
    nodes: Mutex<Vec<Option<Process>>>,
    /// The address of each node; an old one while it is down.
    urls: parking_lot::Mutex<Vec<String>>,
    settings: Vec<(String, String)>,
    folder: tempfile::TempDir,
    over: AtomicBool,
}

impl World {
    /// Some node's address.
    fn some(&self, chance: &mut Chance) -> String {
        let urls = self.urls.lock();
        urls[chance.below(urls.len())].clone()
    }

    /// Starts a node; as long as its store is away it is tried again.
    async fn start(&self, number: usize) {
        let node = Process::start_patiently(&self.settings, self.folder.path()).await;
        self.urls.lock()[number].clone_from(&node.url);
        self.nodes.lock().await[number] = Some(node);
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_and_nothing_is_redeemed_twice() {
    assert_eq!(store_kind(), StoreKind::Postgres, "run tests/run chaos");
    let seed = setting("READYLOGIN_TEST_CHAOS_SEED", u64::from(std::process::id()));
    let time = Duration::from_secs(setting("READYLOGIN_TEST_CHAOS_SECONDS", 60));
    eprintln!("chaos: seed {seed}, {time:?}; READYLOGIN_TEST_CHAOS_SEED={seed} does it again");

    let folder = tempfile::tempdir().unwrap();
    let nats = NatsServer::start().await;
    let proxy = Proxy::start(nats.port()).await;
    let bus = format!("nats://127.0.0.1:{}", proxy.port());
    let key = "c5".repeat(32);
    let own = [
        ("BUS__URL", bus.as_str()),
        ("SERVER__PUBLIC_URL", "http://localhost:1"),
        ("SERVER__DRAIN", "1s"),
        ("KEYS__SEAL", &key),
        ("PAIRING__ASK_TTL", "5m"),
        ("LOG__LEVEL", "off"),
    ];
    let settings = all_settings(&own, &store_url(folder.path()).await, folder.path());
    let world = Arc::new(World {
        nodes: Mutex::new((0..NODES).map(|_| None).collect()),
        urls: parking_lot::Mutex::new(vec![String::new(); NODES]),
        settings,
        folder,
        over: AtomicBool::new(false),
    });
    for number in 0..NODES {
        world.start(number).await;
    }
    let history = Arc::new(History::default());
    let people = flow::settle_in(&world, PEOPLE).await;
    let mut flows = tokio::task::JoinSet::new();
    for (number, person) in people.into_iter().enumerate() {
        let chance = Chance(seed.wrapping_mul(1_000_003).wrapping_add(number as u64));
        flow::begin(&mut flows, &world, &history, person, &chance);
    }
    let mut nemesis = Nemesis { world: world.clone(), nats, proxy, chance: Chance(seed), done: Vec::new() };
    nemesis.rage(time).await;
    world.over.store(true, Ordering::Release);
    let ended = tokio::time::timeout(AFTERMATH, async {
        while let Some(flow) = flows.join_next().await {
            flow.unwrap();
        }
    });
    ended.await.unwrap_or_else(|_| panic!("seed {seed}: logins that don't end\n{}", history.tail()));
    let figures = history.judge().unwrap_or_else(|why| {
        panic!("seed {seed}: {why:#?}\nwhat was done: {:?}\n{}", nemesis.done, history.tail())
    });
    eprintln!("chaos: {figures}, {}", nemesis.summary());
    assert!(figures.approved > 0 && figures.refused > 0, "nothing happened: {figures}");
}
