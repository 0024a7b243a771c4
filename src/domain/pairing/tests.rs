//! Every sequence of events up to a length, checked against what a pairing promises.

use proptest::prelude::*;

use super::*;

const TTL: Duration = Duration::from_secs(10);
const ACCOUNTS: [AccountId; 2] = [AccountId(1), AccountId(2)];

fn pairing() -> Pairing {
    Pairing::ready(PairingId(uuid::Uuid::nil()), Browser::default(), Timestamp(0).plus(TTL))
}

/// An event, or time passing.
#[derive(Clone, Copy, Debug)]
enum Step {
    Do(Event),
    Wait(Duration),
}

fn steps() -> Vec<Step> {
    let mut steps =
        vec![Step::Do(Event::Expire), Step::Do(Event::Abandon), Step::Wait(Duration::from_secs(6))];
    for account in ACCOUNTS {
        for (by, shown) in [(Asker::Browser, true), (Asker::Browser, false), (Asker::Phone, true)] {
            steps.push(Step::Do(Event::Ask { account, by, shown, ttl: TTL }));
        }
        for approved in [true, false] {
            let device = DeviceId(account.0 * 10);
            steps.push(Step::Do(Event::Answer { account, device, approved }));
        }
    }
    steps.push(Step::Do(Event::Answer { account: ACCOUNTS[0], device: DeviceId(11), approved: true }));
    steps
}

/// Runs a sequence and checks, after every step, what must hold whatever came before.
fn check(sequence: &[Step]) {
    let (mut at, mut now) = (pairing(), Timestamp(0));
    for step in sequence {
        let event = match *step {
            Step::Wait(span) => {
                now = now.plus(span);
                continue;
            }
            Step::Do(event) => event,
        };
        let before = at.clone();
        let late = before.deadline().is_some_and(|deadline| now >= deadline);
        match at.clone().apply(event, now) {
            Err(_) => {}
            Ok((after, effect)) => {
                check_step(&before, &after, event, effect, late);
                at = after;
            }
        }
    }
}

fn check_step(before: &Pairing, after: &Pairing, event: Event, effect: Effect, late: bool) {
    assert_eq!((after.id, &after.browser), (before.id, &before.browser));
    match (&before.state, &after.state) {
        (State::Answered(_) | State::Expired, _) => {
            assert_eq!(before, after, "a final state stays");
            assert_eq!(effect, Effect::AnsweredAgain);
        }
        (State::Asked(ask), State::Answered(answer)) => {
            assert!(ask.shown && !late, "only a live ask that a phone saw is answered");
            assert_eq!(ask.account, answer.account, "only the account that was asked answers");
            assert!(matches!(event, Event::Answer { approved, .. } if approved == answer.approved));
        }
        (State::Ready, State::Answered(_)) => panic!("an approval without an ask"),
        (_, State::Expired) => assert!(late || event == Event::Abandon, "nothing expires early"),
        (State::Asked(old), State::Asked(new)) if old != new => {
            assert_eq!(new.by, Asker::Browser, "only the browser's own ask replaces one");
            assert_eq!(effect, Effect::Asked { replaced: Some(*old) });
            assert!(!late);
        }
        (State::Ready, State::Asked(_)) => assert!(!late),
        (State::Ready | State::Asked(_), _) => {}
    }
}

#[test]
fn every_sequence_of_four_events_keeps_the_promises() {
    let steps = steps();
    for a in &steps {
        for b in &steps {
            for c in &steps {
                for d in &steps {
                    check(&[*a, *b, *c, *d]);
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn long_sequences_keep_the_promises(picks in prop::collection::vec(0usize..64, 1..60)) {
        let steps = steps();
        check(&picks.iter().map(|pick| steps[pick % steps.len()]).collect::<Vec<_>>());
    }
}

#[test]
fn an_expired_pairing_stays_expired_when_the_clock_steps_back() {
    let (expired, _) = pairing().apply(Event::Expire, Timestamp(0).plus(TTL)).unwrap();
    let ask = Event::Ask { account: ACCOUNTS[0], by: Asker::Browser, shown: true, ttl: TTL };
    assert_eq!(expired.apply(ask, Timestamp(0)), Err(Refused::Expired));
}

#[test]
fn a_phone_never_replaces_what_the_browser_asked() {
    let ask = |by| Event::Ask { account: ACCOUNTS[0], by, shown: true, ttl: TTL };
    let (asked, _) = pairing().apply(ask(Asker::Browser), Timestamp(0)).unwrap();
    assert_eq!(asked.clone().apply(ask(Asker::Phone), Timestamp(1)), Err(Refused::AlreadyAsked));
    let (again, effect) = asked.apply(ask(Asker::Browser), Timestamp(1)).unwrap();
    assert!(matches!(effect, Effect::Asked { replaced: Some(_) }));
    assert_eq!(again.asks, 2);
}
