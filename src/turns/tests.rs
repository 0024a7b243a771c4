//! What holds at a gate, however many come: lines take turns, no line fills the room, no turn is lost.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::gate::Full;
use super::*;

/// A wait for a turn that is looked at by hand.
struct Wait(BoxFuture<'static, Result<Turn, Full>>);

impl Wait {
    /// How the wait ended, once it has.
    fn look(&mut self) -> Option<Result<Turn, Full>> {
        (&mut self.0).now_or_never()
    }

    #[track_caller]
    fn is_waiting(&mut self) {
        assert!(self.look().is_none(), "it waits no more");
    }

    #[track_caller]
    fn has_its_turn(&mut self) -> Turn {
        self.look().expect("it still waits").expect("it was turned away")
    }

    #[track_caller]
    fn is_turned_away(&mut self) {
        assert!(self.look().expect("it still waits").is_err(), "it has a turn");
    }
}

fn account(number: i64) -> Who {
    Who::Account(AccountId(number))
}

fn network(address: &str) -> Who {
    Who::at(address.parse().unwrap())
}

fn gate(turns: usize, room: usize) -> Gate {
    Gate::new(Size { turns, room, patience: None, longest: LONGEST })
}

/// Comes to the gate; waits in its line from its first look on.
fn come(gate: &Gate, who: Who, patient: bool) -> Wait {
    let gate = gate.clone();
    let turn = async move { gate.turn().await };
    let turn = if patient { for_notice(who, turn).boxed() } else { for_request(who, turn).boxed() };
    // Without tokio's own turns: a look must not end because there were many before it.
    Wait(tokio::task::unconstrained(turn).boxed())
}

/// Comes and must wait.
#[track_caller]
fn wait(gate: &Gate, who: Who) -> Wait {
    let mut wait = come(gate, who, false);
    wait.is_waiting();
    wait
}

#[tokio::test]
async fn lines_take_turns_and_not_those_who_stand_in_them() {
    let gate = gate(1, 100);
    let (ann, bob, cafe) = (account(1), account(2), network("192.0.2.1"));
    let first = come(&gate, ann, false).has_its_turn();
    let mut flood: Vec<_> = (0..50).map(|_| wait(&gate, ann)).collect();
    let (mut login, mut stranger) = (wait(&gate, bob), wait(&gate, cafe));
    drop(first);
    // One that came before both, then each of them, and only then the rest of the flood.
    let turn = flood[0].has_its_turn();
    login.is_waiting();
    drop(turn);
    let turn = login.has_its_turn();
    stranger.is_waiting();
    drop(turn);
    drop(stranger.has_its_turn());
    for waiting in &mut flood[1..] {
        drop(waiting.has_its_turn());
    }
    assert_eq!(gate.busy(), 0);
}

#[tokio::test]
async fn when_no_more_may_wait_the_last_of_the_longest_line_makes_room() {
    let gate = gate(1, 3);
    let turn = come(&gate, account(1), false).has_its_turn();
    let mut flood: Vec<_> = (0..3).map(|_| wait(&gate, account(1))).collect();
    // The line itself gets no longer.
    come(&gate, account(1), false).is_turned_away();
    let mut one = wait(&gate, account(2));
    flood[2].is_turned_away();
    let mut two = wait(&gate, network("192.0.2.1"));
    flood[1].is_turned_away();
    // Three lines of one: nobody's place is another's any more.
    come(&gate, account(3), false).is_turned_away();
    drop(turn);
    drop(flood[0].has_its_turn());
    drop(one.has_its_turn());
    drop(two.has_its_turn());
    assert_eq!(gate.busy(), 0);
}

#[tokio::test]
async fn an_account_has_half_of_the_turns_and_a_network_three_quarters() {
    for (who, share) in [(account(1), 4), (network("2001:db8::1"), 6), (Who::Server, 8)] {
        let gate = gate(8, 100);
        let turns: Vec<_> = (0..share).map(|_| come(&gate, who, false).has_its_turn()).collect();
        if who != Who::Server {
            wait(&gate, who);
            // What is left is had without waiting.
            drop(come(&gate, account(2), false).has_its_turn());
        }
        drop(turns);
        assert_eq!(gate.busy(), 0);
    }
    // Where there is one turn only, it is anybody's.
    drop(come(&gate(1, 0), account(1), false).has_its_turn());
    drop(come(&gate(1, 0), network("192.0.2.1"), false).has_its_turn());
}

#[tokio::test]
async fn who_gives_up_leaves_the_line_and_a_turn_that_came_too_late_goes_to_the_next() {
    let gate = gate(1, 100);
    let turn = come(&gate, account(1), false).has_its_turn();
    let (given_up, late, mut next) =
        (wait(&gate, account(1)), wait(&gate, account(1)), wait(&gate, account(1)));
    drop(given_up);
    assert_eq!(gate.busy(), 3);
    drop(turn);
    // It is the turn of `late`, which does not look.
    next.is_waiting();
    drop(late);
    drop(next.has_its_turn());
    assert_eq!(gate.busy(), 0);
}

#[tokio::test]
async fn notices_wait_however_many_they_are_and_take_no_request_s_place() {
    let gate = gate(1, 1);
    let turn = come(&gate, account(1), false).has_its_turn();
    let mut notices: Vec<_> = (2..100).map(|number| come(&gate, account(number), true)).collect();
    notices.iter_mut().for_each(Wait::is_waiting);
    let mut login = wait(&gate, network("192.0.2.1"));
    notices.iter_mut().for_each(Wait::is_waiting);
    drop(turn);
    notices.iter_mut().for_each(|notice| drop(notice.has_its_turn()));
    drop(login.has_its_turn());
}

/// A gate with one turn, which is taken, where a request waits for a millisecond.
async fn taken(longest: Duration) -> (Gate, Turn) {
    let gate = Gate::new(Size { turns: 1, room: 9, patience: Some(Duration::from_millis(1)), longest });
    let turn = gate.turn().await.unwrap();
    (gate, turn)
}

#[tokio::test]
async fn nobody_waits_for_ever() {
    let (gate, turn) = taken(Duration::from_millis(2)).await;
    for patient in [false, true] {
        assert!(come(&gate, account(1), patient).0.await.is_err());
    }
    assert!(gate.turn().await.is_err());
    drop(turn);
    assert!(come(&gate, account(1), false).0.await.is_ok());
    assert_eq!(gate.busy(), 0);
}

#[tokio::test]
async fn what_no_client_repeats_waits_longer_than_a_request() {
    let (gate, turn) = taken(Duration::from_secs(3600)).await;
    let (mut notice, own) = (come(&gate, account(1), true), gate.clone());
    let mut own = Wait(async move { own.turn().await }.boxed());
    notice.is_waiting();
    own.is_waiting();
    // Its millisecond began after theirs.
    assert!(come(&gate, account(2), false).0.await.is_err());
    notice.is_waiting();
    own.is_waiting();
    drop(turn);
    drop(notice.has_its_turn());
    drop(own.has_its_turn());
}

#[tokio::test]
async fn a_request_is_its_network_s_until_it_shows_a_token_and_the_server_s_work_stays_its_own() {
    proven(AccountId(1));
    assert_eq!(Who::current(), Who::Server);
    for_request(network("192.0.2.1"), async {
        assert_eq!(Who::current(), network("192.0.2.250"));
        proven(AccountId(1));
        assert_eq!(Who::current(), account(1));
    })
    .await;
    assert_eq!(Who::current(), Who::Server);
}

/// Whatever comes, waits, gives up and goes, in an order that differs each time: in the end all turns are there again.
#[tokio::test]
async fn no_turn_is_lost_and_none_is_made() {
    let mut state = 88_172_645_463_325_252_u64;
    let mut chance = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % 1_000_003).unwrap() % below
    };
    for turns in [1, 2, 3, 8] {
        let gate = gate(turns, 10);
        let (mut waits, mut held) = (Vec::new(), Vec::new());
        for _ in 0..5_000 {
            match chance(4) {
                0 | 1 => {
                    let who = account(i64::try_from(chance(4)).unwrap());
                    waits.push(come(&gate, who, chance(8) == 0));
                }
                2 if !waits.is_empty() => drop(waits.swap_remove(chance(waits.len()))),
                _ if !held.is_empty() => drop(held.swap_remove(chance(held.len()))),
                _ => {}
            }
            if !waits.is_empty() && chance(2) == 0 {
                let place = chance(waits.len());
                match waits[place].look() {
                    Some(Ok(turn)) => {
                        held.push(turn);
                        waits.swap_remove(place);
                    }
                    Some(Err(Full)) => drop(waits.swap_remove(place)),
                    None => {}
                }
            }
            assert!(held.len() <= turns);
        }
        drop((waits, held));
        assert_eq!(gate.busy(), 0);
    }
}
