//! The deterministic simulation: the real use cases, broker and store under a schedule that a seed alone decides.
//!
//! **What is real.** `auth`, `broker`, `bus` and `store` as they are, on a SQLite file: several nodes on one store, each with
//! its two loops (deadlines, housekeeping), its sockets' tasks, and its clock. **What is not:** NATS, whose place a post office
//! in memory takes (`bus/simulated.rs`, with the real frames); `ws/socket.rs`, which the task in `line.rs` follows without
//! frames and JSON; password hashing.
//!
//! **Why the real code and not a model of it.** A model's bugs are not the code's, and what is worth finding sits between
//! two steps of an async function. So every use case stops before and after each of its units of work (`store/stops.rs`), and
//! the seed decides who goes on, which letter of the bus is delivered, lost, doubled or overtaken, who says what, when time
//! moves and what crashes: also between a commit and what should follow it. A unit of work itself is one step, which is what
//! a transaction is. SQLite's threads work while nothing else goes on, so nothing depends on them.
//!
//! **What is asserted.** Promises 1 to 4 of the design, at every step (`witness.rs`) and after the faults have ended
//! (`finale.rs`).
//!
//! `READYLOGIN_SIM_SEEDS` says how many seeds are run, `READYLOGIN_SIM_SEED` which is the first. A failure names its seed:
//! `READYLOGIN_SIM_SEED=… READYLOGIN_SIM_SEEDS=1 cargo test --lib sim` plays it again.

mod chance;
mod clients;
mod finale;
mod line;
mod ops;
mod run;
mod socket;
mod witness;
mod world;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use run::Run;
use world::World;

/// So many take some twenty seconds on two cores that do nothing else.
const SEEDS: u64 = 1000;
/// Seeds that share a store.
const SHARE: u64 = 100;
/// Lines of history that a failure tells.
const KEPT: usize = 40;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// How often what has happened.
type Counts = BTreeMap<&'static str, u64>;

/// What has to happen now and then in so many seeds.
const MUST_HAPPEN: [&str; 16] = [
    "a browser told a code",
    "a browser told no",
    "a browser told that it is over",
    "a dead secret tried",
    "a letter lost",
    "acknowledged",
    "approved",
    "asked by a scan",
    "crashed after a commit",
    "over",
    "redeemed",
    "refused",
    "replaced",
    "resumed",
    "taken away",
    "the store failed",
];

/// Where a promise was broken, and what happened before.
struct Failure {
    seed: u64,
    text: String,
}

#[test]
#[expect(clippy::print_stdout, reason = "what happened in the seeds is worth a look, with --nocapture")]
fn what_is_promised_holds_on_every_seed() {
    let first = setting("READYLOGIN_SIM_SEED", 1);
    let seeds = setting("READYLOGIN_SIM_SEEDS", SEEDS);
    let (next, counts) = (AtomicU64::new(first), Mutex::new(Counts::new()));
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let shares = shares(&next, first + seeds, &counts);
                if let Err(failure) = runtime.block_on(tokio::task::unconstrained(shares)) {
                    failures.lock().push(failure);
                }
            });
        }
    });
    let counts = counts.into_inner();
    println!("{seeds} seeds from {first}: {counts:?}");
    if let Some(Failure { seed, text }) = failures.into_inner().into_iter().min_by_key(|failure| failure.seed)
    {
        panic!(
            "seed {seed}, {text}\nagain, with its whole history: \
             READYLOGIN_SIM_SEED={seed} READYLOGIN_SIM_SEEDS=1 cargo test --lib sim"
        );
    }
    // A simulation in which nothing happens finds nothing.
    let is_there = |what: &&str| counts.get(what).is_some_and(|count| *count > 0);
    assert!(seeds < SEEDS || MUST_HAPPEN.iter().all(is_there), "something never happened: {counts:?}");
}

/// Takes one share of seeds after the other, each with a store of its own.
async fn shares(next: &AtomicU64, end: u64, counts: &Mutex<Counts>) -> Result<(), Failure> {
    loop {
        let begin = next.fetch_add(SHARE, Ordering::Relaxed);
        if begin >= end {
            return Ok(());
        }
        let mut world = World::new().await;
        for seed in begin..end.min(begin + SHARE) {
            let played = play(&mut world, seed).await;
            if played.is_err() {
                // Nobody begins another share.
                next.store(end, Ordering::Relaxed);
            }
            let mut sums = counts.lock();
            played?.into_iter().for_each(|(what, count)| *sums.entry(what).or_default() += count);
        }
    }
}

/// Plays one seed, and says what happened in it.
async fn play(world: &mut World, seed: u64) -> Result<Counts, Failure> {
    let mut run = Run::begin(world, seed).await;
    run.play().await;
    if !run.is_broken() {
        run.end().await;
    }
    let broken = run.witness.borrow().broken.clone();
    if let Some(promise) = broken {
        let kept = if setting("READYLOGIN_SIM_SEEDS", SEEDS) == 1 { usize::MAX } else { KEPT };
        let text = format!("step {}: {promise}\n  {}", run.steps, run.history(kept));
        return Err(Failure { seed, text });
    }
    run.hand_back();
    let mut counts = std::mem::take(&mut run.witness.borrow_mut().counts);
    counts.insert("steps", run.steps.into());
    Ok(counts)
}

/// In whatever order seeds come, and whatever went on in their store before.
#[test]
fn a_seed_says_everything() {
    let play_all = |seeds: &[u64]| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let all = async {
            let (mut world, mut played) = (World::new().await, BTreeMap::new());
            for seed in seeds {
                played.insert(*seed, play(&mut world, *seed).await.map_err(|failure| failure.text).unwrap());
            }
            played
        };
        runtime.block_on(tokio::task::unconstrained(all))
    };
    let seeds: Vec<u64> = (1..=20).collect();
    let backwards: Vec<u64> = seeds.iter().rev().copied().collect();
    assert_eq!(play_all(&seeds), play_all(&backwards));
}
