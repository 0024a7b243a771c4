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
    assert!(limits.windows.is_empty());
}
