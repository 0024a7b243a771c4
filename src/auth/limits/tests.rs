//! What limits say on one node.

use super::*;
use crate::domain::time::Timestamp;

fn limits(factor: f64) -> (Limits, Clock) {
    let clock = Clock::manual(Timestamp(0));
    (Limits::new(factor, clock.clone(), RootKeys::generate()), clock)
}

const RULE: Rule = Rule::kept("test", 2, Duration::from_secs(60));
const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

#[test]
fn the_third_of_two_waits_until_the_first_is_old() {
    let (limits, clock) = limits(1.0);
    assert!(limits.count(RULE, HERE).is_ok());
    clock.advance(Duration::from_secs(20));
    assert!(limits.count(RULE, HERE).is_ok());
    assert_eq!(limits.count(RULE, HERE), Err(Error::TooManyRequests(Duration::from_secs(40))));
    clock.advance(Duration::from_secs(40));
    assert!(limits.count(RULE, HERE).is_ok());
}

#[tokio::test]
async fn only_what_failed_counts() {
    let (limits, _) = limits(1.0);
    for _ in 0..10 {
        limits.attempt(RULE, HERE).await.unwrap().settle(false);
    }
    limits.attempt(RULE, HERE).await.unwrap().settle(true);
    limits.attempt(RULE, HERE).await.unwrap().settle(true);
    assert!(matches!(limits.attempt(RULE, HERE).await, Err(Error::TooManyRequests(_))));
}

#[tokio::test]
async fn an_attempt_that_is_dropped_before_its_outcome_is_known_counts_as_a_failure() {
    let (limits, _) = limits(1.0);
    drop(limits.attempt(RULE, HERE).await.unwrap());
    let abandoned = async {
        let _attempt = limits.attempt(RULE, HERE).await.unwrap();
        std::future::pending::<()>().await;
    };
    assert!(tokio::time::timeout(Duration::from_millis(1), abandoned).await.is_err());
    assert!(matches!(limits.attempt(RULE, HERE).await, Err(Error::TooManyRequests(_))));
}

#[tokio::test]
async fn attempts_made_at_once_can_not_overrun_a_limit() {
    let (limits, _) = limits(1.0);
    let tried = AtomicUsize::new(0);
    let attempts = (0..100).map(|_| async {
        let attempt = limits.attempt(RULE, HERE).await?;
        tried.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        attempt.settle(true);
        Ok::<_, Error>(())
    });
    let outcomes = futures_util::future::join_all(attempts).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 2);
    assert_eq!(tried.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn right_attempts_made_at_once_all_get_their_turn() {
    let (limits, _) = limits(1.0);
    let attempts = (0..100).map(|_| async {
        let attempt = limits.attempt(RULE, HERE).await?;
        tokio::task::yield_now().await;
        attempt.settle(false);
        Ok::<_, Error>(())
    });
    let outcomes = futures_util::future::join_all(attempts).await;
    assert!(outcomes.iter().all(Result::is_ok));
}

#[test]
fn the_factor_stretches_and_switches_off() {
    let (wide, _) = limits(2.0);
    assert_eq!((0..9).filter(|_| wide.count(RULE, HERE).is_ok()).count(), 4);
    let (off, _) = limits(0.0);
    assert_eq!((0..9).filter(|_| off.count(RULE, HERE).is_ok()).count(), 9);
}

#[test]
fn old_keys_are_thrown_out() {
    let (limits, clock) = limits(1.0);
    limits.count(RULE, HERE).unwrap();
    clock.advance(Duration::from_secs(61));
    limits.sweep();
    assert_eq!(limits.table.lock().len(), 0);
}

/// 100,000 sources of one /48, each with as many wrong tickets and requests as keep it below every limit.
async fn flood(limits: &Limits, clock: &Clock) {
    for n in 0..100_000_u128 {
        let source = IpAddr::from((0x2001_0db8_0001_u128 << 80 | n << 64 | 1).to_be_bytes());
        limits.attempt(TICKETS_PER_SOURCE, source).await.unwrap().settle(true);
        let _ = limits.count(PAIRINGS_PER_SOURCE, source);
        clock.advance(Duration::from_micros(910));
    }
}

#[tokio::test]
async fn a_flood_of_one_network_keeps_nobody_else_out_and_frees_no_guesser() {
    let (limits, clock) = limits(1.0);
    let guess = async |source: IpAddr, is_wrong: bool| {
        let by_source = limits.attempt(PASSWORDS_PER_SOURCE, source).await?;
        let by_name = limits.attempt_at(PASSWORDS_PER_ADDRESS, source, "p", "ann@example.org").await;
        by_source.settle(is_wrong);
        by_name?.settle(is_wrong);
        Ok::<_, Error>(())
    };
    let guesser: IpAddr = "203.0.113.7".parse().unwrap();
    let beside_flood: IpAddr = "2001:db8:1:7777::1".parse().unwrap();
    for _ in 0..10 {
        guess(guesser, true).await.unwrap();
    }
    for _ in 0..9 {
        guess(beside_flood, true).await.unwrap();
    }
    flood(&limits, &clock).await;
    assert!(limits.table.lock().len() <= MAX_KEYS);
    for n in 0..60 {
        guess(IpAddr::from([198, 51, n, 1]), false).await.unwrap();
    }
    assert!(matches!(guess(guesser, false).await, Err(Error::TooManyRequests(_))));
    // One that was displaced by its own network's flood does not begin anew.
    let more = async || futures_util::future::join_all((0..9).map(|_| guess(beside_flood, true))).await;
    assert!(more().await.iter().filter(|outcome| outcome.is_ok()).count() <= 1);
}

#[tokio::test]
async fn a_table_full_of_keys_at_their_limit_lets_others_in() {
    let (limits, _) = limits(1.0);
    limits.table.lock().capacity = 100;
    for n in 0..200_u8 {
        let source = IpAddr::from([198, 51, 100, n]);
        while let Ok(attempt) = limits.attempt(RULE, source).await {
            attempt.settle(true);
        }
    }
    for n in 0..100_u8 {
        limits.attempt(RULE, IpAddr::from([203, 0, n, 1])).await.unwrap().settle(false);
        assert!(limits.attempt(RULE, IpAddr::from([198, 51, 100, n])).await.is_err(), "{n}");
    }
    assert!(limits.table.lock().len() <= 100);
}
