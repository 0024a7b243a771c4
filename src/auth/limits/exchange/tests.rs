//! What limits say on several nodes, each with its own memory and clock, that share one store.

use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::auth::Error;
use crate::auth::limits::Rule;
use crate::clock::Clock;
use crate::config::StoreUrl;
use crate::crypto::root::RootKeys;

const RULE: Rule = Rule::kept("test", 4, Duration::from_secs(60));
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const START: Timestamp = Timestamp(1_795_305_600_000);

/// What all nodes share.
struct House {
    folder: tempfile::TempDir,
    store: Store,
    root: RootKeys,
}

impl House {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder).await;
        Self { folder, store, root: RootKeys::generate() }
    }

    /// A node that has just started.
    async fn node(&self, clock: &Clock) -> Limits {
        let node = Limits::new(1.0, clock.clone(), self.root.clone());
        node.load(&self.store).await.unwrap();
        node
    }

    /// All of them write, then all of them read.
    async fn exchange(&self, nodes: &[&Limits]) {
        for node in nodes.iter().chain(nodes) {
            node.exchange(&self.store).await.unwrap();
        }
    }

    /// How many rows there are, and how many counts are in them.
    async fn rows(&self) -> (usize, usize) {
        let read = self.store.read(|tx| {
            Box::pin(async move {
                tx.all("SELECT counts FROM rates", []).await?.iter().map(|row| row.get(0)).collect()
            })
        });
        let rows: Vec<Vec<u8>> = read.await.unwrap();
        (rows.len(), rows.iter().map(|row| row.len() / 24).sum())
    }
}

async fn open(folder: &tempfile::TempDir) -> Store {
    Store::open(&StoreUrl::Sqlite(folder.path().join("readylogin.db")), 1, 1).await.unwrap()
}

fn count(node: &Limits, times: usize) {
    (0..times).for_each(|_| node.count(RULE, HERE).unwrap());
}

/// How long a node lets wait; nothing when it lets go on.
fn wait(node: &Limits) -> Option<u64> {
    match node.count(RULE, HERE) {
        Err(Error::TooManyRequests(wait)) => Some(wait.as_secs()),
        other => other.map(|()| None).unwrap(),
    }
}

#[tokio::test]
async fn half_here_and_half_there_are_limited_on_both() {
    let (house, clock) = (House::new().await, Clock::manual(START));
    let (one, other) = (house.node(&clock).await, house.node(&clock).await);
    count(&one, 2);
    clock.advance(10 * SECOND);
    count(&other, 2);
    house.exchange(&[&one, &other]).await;
    assert_eq!((wait(&one), wait(&other)), (Some(50), Some(50)));
    clock.advance(50 * SECOND);
    assert_eq!((wait(&one), wait(&other)), (None, None));
}

#[tokio::test]
async fn a_count_is_read_once_however_often_nodes_look() {
    let (house, clock) = (House::new().await, Clock::manual(START));
    let (one, other) = (house.node(&clock).await, house.node(&clock).await);
    count(&one, 1);
    for _ in 0..5 {
        house.exchange(&[&one, &other]).await;
    }
    count(&one, 1);
    for _ in 0..5 {
        house.exchange(&[&one, &other]).await;
    }
    assert_eq!(house.rows().await, (2, 2));
    count(&other, 2);
    assert_eq!(wait(&other), Some(60));
}

#[tokio::test]
async fn a_node_that_starts_knows_what_was_counted() {
    let (house, clock) = (House::new().await, Clock::manual(START));
    let before = house.node(&clock).await;
    count(&before, 4);
    before.flush(&house.store).await.unwrap();
    clock.advance(20 * SECOND);
    let after = house.node(&clock).await;
    assert_eq!(wait(&after), Some(40));
    // Nor does it pass on what it has not counted itself.
    after.flush(&house.store).await.unwrap();
    assert_eq!(house.rows().await, (1, 1));
    clock.advance(40 * SECOND);
    assert_eq!((wait(&after), wait(&house.node(&clock).await)), (None, None));
}

#[tokio::test]
async fn a_clock_that_was_set_back_neither_frees_nor_limits_for_longer() {
    let (house, clock) = (House::new().await, Clock::manual(START));
    let before = house.node(&clock).await;
    count(&before, 4);
    clock.step_back(HOUR);
    assert_eq!(wait(&before), Some(60));
    before.flush(&house.store).await.unwrap();
    clock.step_back(HOUR);
    let after = house.node(&clock).await;
    assert_eq!(wait(&after), Some(60));
    clock.advance(60 * SECOND);
    assert_eq!(wait(&after), None);
}

#[tokio::test]
async fn nodes_whose_clocks_differ_limit_together() {
    let house = House::new().await;
    let (early, late) = (Clock::manual(START), Clock::manual(START.plus(HOUR)));
    let (one, other) = (house.node(&early).await, house.node(&late).await);
    for (counts, reads, clock) in [(&one, &other, &late), (&other, &one, &early)] {
        count(counts, 4);
        house.exchange(&[counts, reads]).await;
        assert_eq!(wait(reads), Some(60));
        clock.advance(60 * SECOND);
        assert_eq!(wait(reads), None);
        reads.exchange(&house.store).await.unwrap();
        [&early, &late].iter().for_each(|clock| clock.advance(60 * SECOND));
        house.exchange(&[counts, reads]).await;
    }
}

#[tokio::test]
async fn while_the_store_is_away_limits_go_on_and_are_written_later() {
    let (mut house, clock) = (House::new().await, Clock::manual(START));
    let node = house.node(&clock).await;
    house.store.close().await;
    for _ in 0..4 {
        count(&node, 1);
        assert!(node.exchange(&house.store).await.is_err());
        clock.advance(SECOND);
    }
    assert_eq!(wait(&node), Some(56));
    house.store = open(&house.folder).await;
    node.flush(&house.store).await.unwrap();
    assert_eq!(wait(&house.node(&clock).await), Some(56));
}

#[tokio::test]
async fn a_row_of_which_nobody_knows_whether_it_was_written_is_there_once() {
    let (house, clock) = (House::new().await, Clock::manual(START));
    let (one, other) = (house.node(&clock).await, house.node(&clock).await);
    count(&one, 2);
    one.exchange(&house.store).await.unwrap();
    // As if the answer had been lost.
    let key = one.table.lock().any_key().unwrap();
    one.exchange.journal.lock().await.unsure.push((key, Fresh { hits: 2, end: 60 * SECOND }));
    count(&one, 1);
    house.exchange(&[&one, &one, &other]).await;
    assert_eq!(house.rows().await, (2, 2));
    assert_eq!(wait(&other), None);
    assert_eq!(wait(&other), Some(60));
}

#[tokio::test]
async fn what_is_counted_in_memory_alone_is_not_written() {
    let (house, clock) = (House::new().await, Clock::manual(START));
    let node = house.node(&clock).await;
    node.count(Rule::in_memory("other", 1, SECOND), HERE).unwrap();
    node.attempt(RULE, HERE).await.unwrap().settle(false);
    node.flush(&house.store).await.unwrap();
    assert_eq!(house.rows().await, (0, 0));
    node.attempt(RULE, HERE).await.unwrap().settle(true);
    node.flush(&house.store).await.unwrap();
    assert_eq!(house.rows().await, (1, 1));
}

#[tokio::test]
async fn a_flood_of_sources_fills_neither_memory_nor_a_row_and_does_not_go_first() {
    let (house, clock) = (House::new().await, Clock::manual(START));
    let node = house.node(&clock).await;
    let flood = |node: &Limits, from: u32| {
        for n in 0..60_000 {
            // Beyond the bound some find their window full.
            let _ = node.count(RULE, IpAddr::V4(Ipv4Addr::from_bits(from + n)));
        }
    };
    flood(&node, 0x0a00_0000);
    count(&node, 2);
    flood(&node, 0x0b00_0000);
    assert!(node.table.lock().len() <= MAX_KEYS);
    assert!(node.exchange.fresh.lock().len() <= MAX_KEYS);
    node.exchange(&house.store).await.unwrap();
    assert_eq!(house.rows().await, (1, rates::COUNTS));

    // Whoever was counted twice was not left behind.
    let other = house.node(&clock).await;
    count(&other, 2);
    assert_eq!(wait(&other), Some(60));

    // The rest follows, and is no more at another node than there.
    node.flush(&house.store).await.unwrap();
    assert_eq!(house.rows().await, (100, MAX_KEYS));
    flood(&other, 0x0c00_0000);
    other.exchange(&house.store).await.unwrap();
    assert!(other.table.lock().len() <= MAX_KEYS);
    // What is over is not written.
    clock.advance(60 * SECOND);
    other.flush(&house.store).await.unwrap();
    assert_eq!(house.rows().await, (101, MAX_KEYS + rates::COUNTS));
    other.sweep();
    assert_eq!(other.table.lock().len(), 0);
}
