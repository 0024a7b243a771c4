//! What must not be told by time. These tests run alone, one after the other: `tests/run` gives them a turn of their own.

mod codes;
mod passwords;
mod schemes;
mod steps;

use std::time::Duration;

/// How often a difference must show before it counts. What the server does differs each time; a machine that was busy
/// with something else does not differ the same way three times.
const ROUNDS: usize = 3;

/// Passes once a measurement finds nothing that tells its samples apart; fails when each one does.
async fn nothing_tells(mut measure: impl AsyncFnMut() -> Vec<String>) {
    let mut told = Vec::new();
    for _ in 0..ROUNDS {
        let found = measure().await;
        if found.is_empty() {
            return;
        }
        told.push(found);
    }
    panic!("told apart in each of {ROUNDS} rounds: {told:#?}");
}

/// What tells two samples apart. Neither the ranks nor the medians do so alone: one may be chance, or too little to
/// matter.
fn told_apart(a: &[Duration], b: &[Duration], what: &str) -> Option<String> {
    let (z, [first, second]) = (rank_score(a, b), [median(a), median(b)]);
    let apart = (first - second).abs() / first.min(second);
    (z.abs() > 4.0 && apart > 0.25)
        .then(|| format!("{what}: z = {z:.1}, medians {first:.4} s and {second:.4} s"))
}

/// The z-score of the Mann-Whitney test: how unlikely it is that two samples are of one distribution.
fn rank_score(a: &[Duration], b: &[Duration]) -> f64 {
    let count = |n: usize| f64::from(u32::try_from(n).unwrap());
    let win = |x: &Duration, y: &Duration| match x.cmp(y) {
        std::cmp::Ordering::Greater => 1.0,
        std::cmp::Ordering::Equal => 0.5,
        std::cmp::Ordering::Less => 0.0,
    };
    let wins: f64 = a.iter().map(|x| b.iter().map(|y| win(x, y)).sum::<f64>()).sum();
    let (m, n) = (count(a.len()), count(b.len()));
    (wins - m * n / 2.0) / (m * n * (m + n + 1.0) / 12.0).sqrt()
}

fn median(sample: &[Duration]) -> f64 {
    let mut sorted = sample.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2].as_secs_f64()
}

#[tokio::test]
async fn the_rank_test_tells_apart_what_differs_and_nothing_else() {
    let sample = |from: u64| (0..80).map(|n| Duration::from_micros(from + n * 7 % 80)).collect::<Vec<_>>();
    assert!(rank_score(&sample(100), &sample(100)).abs() < 0.1);
    assert!(rank_score(&sample(200), &sample(100)) > 10.0);
    assert!(told_apart(&sample(200), &sample(100), "differs").is_some());
    assert_eq!(told_apart(&sample(100), &sample(101), "is the same"), None);

    let mut rounds = 0;
    nothing_tells(async || {
        rounds += 1;
        told_apart(&sample(if rounds < ROUNDS { 200 } else { 100 }), &sample(100), "by chance")
            .into_iter()
            .collect()
    })
    .await;
    assert_eq!(rounds, ROUNDS);
    let always = tokio::spawn(nothing_tells(async || vec!["differs".to_owned()]));
    assert!(always.await.unwrap_err().is_panic());
}
