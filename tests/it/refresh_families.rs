//! Refresh tokens whose answer got lost, and whoever copied one: the owner goes on, two parties never do.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::device_login::{login, told};
use crate::harness::{Answer, Person, Server, claims, letters_to};

const HOUR: Duration = Duration::from_secs(3600);
const GRACE: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_secs(86_400);
const LETTER: &str = "A session was ended for your safety";

/// The tokens of a login.
async fn tokens(server: &Server, person: &Person) -> (String, String) {
    let done = login(server, person, &json!({})).await.expect(200).json();
    (told(&done, "access_token"), told(&done, "refresh_token"))
}

async fn refresh(server: &Server, token: &str) -> Answer {
    server.http.post("/api/v1/auth/refresh", &json!({"refresh_token": token})).await
}

/// The same from another network.
async fn refresh_from(server: &Server, ip: &str, token: &str) -> Answer {
    let request = server.http.request("POST", "/api/v1/auth/refresh").header("x-forwarded-for", ip);
    Answer::read(request.json(&json!({"refresh_token": token})).send().await.unwrap()).await
}

/// A refresh that succeeds: the access token and the successor.
async fn refreshed(server: &Server, token: &str) -> (String, String) {
    let done = refresh(server, token).await.expect(200).json();
    (told(&done, "access_token"), told(&done, "refresh_token"))
}

async fn is_alive(server: &Server, access: &str) -> bool {
    server.http.get_as(access, "/dashboard/devices").await.status == 200
}

async fn theft_letters(server: &Server, person: &Person) -> usize {
    letters_to(server, &person.email).await.iter().filter(|letter| letter.subject == LETTER).count()
}

#[tokio::test]
async fn after_the_grace_a_lost_answer_is_made_up_for_by_a_new_successor() {
    // Nodes of one service share its address.
    let server = Server::start(&[("SERVER__PUBLIC_URL", "https://login.example")]).await;
    let ann = server.proven_person("ann").await;
    let twin = server.twin().await;
    let (_, token) = tokens(&server, &ann).await;
    let (lost_access, lost) = refreshed(&server, &token).await;
    server.clock.advance(GRACE);
    let (access, next) = refreshed(&twin, &token).await;
    assert_ne!(next, lost);
    let (before, now) = (claims(&lost_access), claims(&access));
    assert_ne!(before["jti"], now["jti"]);
    assert_eq!(now["iat"].as_i64().unwrap(), server.clock.now().seconds(), "dated now");
    assert_eq!((&before["sid"], &before["auth_time"]), (&now["sid"], &now["auth_time"]));
    // Its own repeat, within a grace of its own, is the same again, on any node.
    server.clock.advance(GRACE - Duration::from_secs(1));
    for place in [&server, &twin] {
        let (again, same) = refreshed(place, &token).await;
        assert_eq!((claims(&again), same), (now.clone(), next.clone()));
    }
    // Each further retry replaces the one before, until a day after the first answer.
    server.clock.advance(RETRY - 2 * GRACE);
    let (access, last) = refreshed(&server, &token).await;
    assert!(![&lost, &next].contains(&&last));
    let (_, on) = refreshed(&server, &last).await;
    refreshed(&twin, &on).await;
    assert!(is_alive(&server, &access).await);
    assert_eq!(theft_letters(&server, &ann).await, 0);
}

#[tokio::test]
async fn a_revoked_successor_that_is_shown_ends_the_session() {
    for retries in 1..3 {
        let server = Server::start(&[]).await;
        let ann = server.proven_person("ann").await;
        let (_, token) = tokens(&server, &ann).await;
        let mut handed_out = Vec::new();
        for _ in 0..=retries {
            handed_out.push(refreshed(&server, &token).await);
            server.clock.advance(GRACE);
        }
        let (access, last) = handed_out.pop().unwrap();
        let (_, revoked) = handed_out.pop().unwrap();
        refresh(&server, &revoked).await.expect(401);
        assert!(!is_alive(&server, &access).await);
        for ended in [&token, &last, &revoked] {
            refresh(&server, ended).await.expect(401);
        }
        assert_eq!(theft_letters(&server, &ann).await, 1);
    }
}

#[tokio::test]
async fn a_retry_that_is_too_late_ends_the_session() {
    let server = Server::start(&[("REFRESH__RETRY", "1h")]).await;
    let ann = server.proven_person("ann").await;
    let (_, token) = tokens(&server, &ann).await;
    refreshed(&server, &token).await;
    server.clock.advance(HOUR - GRACE);
    // The hour is counted from the first answer, not from the latest.
    let (access, next) = refreshed(&server, &token).await;
    server.clock.advance(GRACE);
    refresh(&server, &token).await.expect(401);
    assert!(!is_alive(&server, &access).await);
    refresh(&server, &next).await.expect(401);
    assert_eq!(theft_letters(&server, &ann).await, 1);
}

#[tokio::test]
async fn retries_at_once_on_two_nodes_get_one_successor() {
    let server = Server::start(&[("SERVER__PUBLIC_URL", "https://login.example")]).await;
    let ann = server.person("ann").await;
    let twin = server.twin().await;
    let (_, token) = tokens(&server, &ann).await;
    let (_, lost) = refreshed(&server, &token).await;
    server.clock.advance(HOUR);
    let answers = join_all((0..40).map(|n| refresh([&server, &twin][n % 2], &token))).await;
    let mut next: Vec<String> =
        answers.into_iter().map(|answer| told(&answer.expect(200).json(), "refresh_token")).collect();
    next.dedup();
    assert!(next.len() == 1 && next[0] != lost, "{next:?}");
    refreshed(&twin, &next[0]).await;
}

/// A client that keeps the newest token it got, in one network.
struct Client {
    network: &'static str,
    token: String,
}

impl Client {
    /// Refreshes, and says what that was answered with.
    async fn refresh(&mut self, server: &Server) -> u16 {
        let answer = refresh_from(server, self.network, &self.token).await;
        if answer.status == 200 {
            self.token = told(&answer.json(), "refresh_token");
        }
        answer.status
    }
}

/// An owner and a thief who has copied the owner's token, each with a login of their own network.
async fn owner_and_thief(server: &Server, ann: &Person) -> [Client; 2] {
    let (_, token) = tokens(server, ann).await;
    ["192.0.2.1", "203.0.113.9"].map(|network| Client { network, token: token.clone() })
}

const BEHIND_A_PROXY: [(&str, &str); 1] = [("SERVER__TRUSTED_PROXIES", "127.0.0.1")];

#[tokio::test]
async fn a_client_that_changes_its_network_in_the_middle_of_a_refresh_goes_on() {
    let server = Server::start(&BEHIND_A_PROXY).await;
    let ann = server.proven_person("ann").await;
    let (_, mut token) = tokens(&server, &ann).await;
    for round in 0..8 {
        let first = refresh_from(&server, "192.0.2.1", &token).await.expect(200).json();
        if round % 3 != 2 {
            let again = refresh_from(&server, "198.51.100.7", &token).await.expect(200).json();
            assert_eq!(again["refresh_token"], first["refresh_token"]);
        }
        token = told(&first, "refresh_token");
        server.clock.advance(HOUR);
    }
    assert_eq!(theft_letters(&server, &ann).await, 0);
}

#[tokio::test]
async fn two_networks_that_always_refresh_together_are_two_parties() {
    // What the second of them does once it got no token: waits for the next time, asks again and again, waits as it is
    // told, or that and asks again. Whichever of them is the thief.
    for (waits, first) in
        [0, 1, GRACE.as_secs(), 2 * GRACE.as_secs()].into_iter().flat_map(|w| [(w, 0), (w, 1)])
    {
        let server = Server::start(&BEHIND_A_PROXY).await;
        let ann = server.proven_person("ann").await;
        let mut clients = owner_and_thief(&server, &ann).await;
        let mut ends = [Vec::new(), Vec::new()];
        for _ in 0..8 {
            for who in [first, 1 - first] {
                let mut status = clients[who].refresh(&server).await;
                for _ in 0..waits {
                    if status == 503 {
                        server.clock.advance(Duration::from_secs(1));
                        status = clients[who].refresh(&server).await;
                    }
                }
                ends[who].push(status);
            }
            server.clock.advance(HOUR);
        }
        // Both go on twice.
        assert!(ends.iter().all(|end| end[..2] == [200, 200]), "{waits} {ends:?}");
        assert!(ends.iter().all(|end| end.last() == Some(&401)), "{waits} {ends:?}");
        assert_eq!(theft_letters(&server, &ann).await, 1, "{waits} {ends:?}");
    }
}

#[tokio::test]
async fn a_thief_who_gets_no_token_and_stays_away_has_none_and_the_owner_goes_on() {
    let server = Server::start(&BEHIND_A_PROXY).await;
    let ann = server.proven_person("ann").await;
    let [mut owner, mut thief] = owner_and_thief(&server, &ann).await;
    for _ in 0..2 {
        assert_eq!((owner.refresh(&server).await, thief.refresh(&server).await), (200, 200));
        server.clock.advance(HOUR);
    }
    assert_eq!(owner.refresh(&server).await, 200);
    let refused = refresh_from(&server, thief.network, &thief.token).await.expect(503);
    assert_eq!((refused.header("retry-after"), &refused.json()["status"]), ("10", &json!(503)));
    for _ in 0..3 {
        server.clock.advance(HOUR);
        assert_eq!(owner.refresh(&server).await, 200);
    }
}

#[tokio::test]
async fn two_tabs_of_one_browser_with_an_address_of_each_family_keep_their_session() {
    let server = Server::start(&BEHIND_A_PROXY).await;
    let ann = server.proven_person("ann").await;
    let (_, mut stored) = tokens(&server, &ann).await;
    for round in 0..12 {
        // The tabs share what they store, and both begin with the same.
        let shown = stored.clone();
        let order = if round % 2 == 0 { ["192.0.2.1", "2001:db8::1"] } else { ["2001:db8::1", "192.0.2.1"] };
        for network in order {
            let answer = refresh_from(&server, network, &shown).await;
            if answer.status == 503 {
                // The other tab has stored a fresh one meanwhile.
                continue;
            }
            stored = told(&answer.expect(200).json(), "refresh_token");
        }
        assert_ne!(stored, shown);
        server.clock.advance(HOUR);
    }
    assert_eq!(theft_letters(&server, &ann).await, 0);
}

/// What somebody does with the newest token that they have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Act {
    /// Refreshes and gets the answer.
    Refresh,
    /// Refreshes, and the answer gets lost.
    Lose,
}

/// Who does what, and how long they wait before it.
type Step = (usize, Act, Duration);

/// Every sequence of three steps. Both parties hold the same token before the first step, so it may always be the first
/// party's.
fn sequences() -> Vec<Vec<Step>> {
    let mut all: Vec<Vec<Step>> = vec![Vec::new()];
    for parties in [1, 2, 2] {
        let longer = |begun: &Vec<Step>| {
            let mut out = Vec::new();
            for who in 0..parties {
                for act in [Act::Refresh, Act::Lose] {
                    for wait in [GRACE, RETRY] {
                        let mut steps = begun.clone();
                        steps.push((who, act, wait));
                        out.push(steps);
                    }
                }
            }
            out
        };
        all = all.iter().flat_map(longer).collect();
    }
    all
}

/// Plays a sequence, then lets both refresh in turn; whether each of them still could.
async fn play(server: &Server, ann: &Person, steps: &[Step]) -> [bool; 2] {
    let (_, token) = tokens(server, ann).await;
    // The owner, and a thief who copied the owner's first token.
    let mut held = [token.clone(), token];
    let endgame = [0, 1, 0, 1].map(|who| (who, Act::Refresh, GRACE));
    let mut lives = [true; 2];
    for (who, act, wait) in steps.iter().copied().chain(endgame) {
        server.clock.advance(wait);
        let answer = refresh(server, &held[who]).await;
        lives[who] = answer.status == 200;
        if lives[who] && act == Act::Refresh {
            held[who] = told(&answer.json(), "refresh_token");
        }
    }
    lives
}

#[tokio::test]
async fn of_an_owner_and_a_thief_at_most_one_goes_on_however_they_take_turns() {
    let server = Server::start(&[("REFRESH__TTL", "60d"), ("SESSION__MAX_TTL", "400d")]).await;
    let ann = server.person("ann").await;
    for steps in sequences() {
        let lives = play(&server, &ann, &steps).await;
        assert_ne!(lives, [true, true], "{steps:?}");
    }
}

#[tokio::test]
async fn an_owner_alone_goes_on_through_any_lost_answers() {
    let server = Server::start(&[]).await;
    let ann = server.proven_person("ann").await;
    for lost in 0..32_u32 {
        let (_, mut token) = tokens(&server, &ann).await;
        for bit in 0..5 {
            // Tried again at once, after the grace, and hours later.
            server.clock.advance([Duration::from_secs(1), GRACE, 2 * HOUR][bit % 3]);
            let next = refreshed(&server, &token).await.1;
            if lost >> bit & 1 == 0 {
                token = next;
            }
        }
        refreshed(&server, &token).await;
    }
    assert_eq!(theft_letters(&server, &ann).await, 0);
}

#[tokio::test]
async fn a_token_that_was_refused_as_expired_stays_so_and_a_used_one_stays_used() {
    let server = Server::start(&[("REFRESH__TTL", "1h"), ("SESSION__TTL", "7d")]).await;
    let ann = server.person("ann").await;
    let (_, token) = tokens(&server, &ann).await;
    server.clock.advance(HOUR);
    refresh(&server, &token).await.expect(401);
    server.clock.step_back(HOUR);
    refresh(&server, &token).await.expect(401);
    let unharmed: Value = login(&server, &ann, &json!({})).await.expect(200).json();
    refreshed(&server, &told(&unharmed, "refresh_token")).await;
}
