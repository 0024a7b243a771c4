//! Rates hold on every node of a store, and a restart forgives nobody.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{
    Answer, Http, PATIENCE, Person, Process, Server, all_settings, await_number, number, store_url,
};

const HALF_SECOND: Duration = Duration::from_millis(500);
const SECOND: Duration = Duration::from_secs(1);

/// Rates as they are in the field.
const RATES: &[(&str, &str)] = &[("LIMITS__FACTOR", "1")];

const ROWS: &str = "SELECT COUNT(*) FROM rates";

async fn guess(http: &Http, email: &str, times: usize) {
    let body = json!({"email": email, "password": "wrong password"});
    for n in 0..times {
        assert_eq!(http.post("/auth/p/login", &body).await.status, 401, "{email} {n}");
    }
}

/// With the right password, which is not counted: whoever is limited is refused all the same.
async fn login(person: &Person) -> Answer {
    person.post("login", &json!({})).await
}

#[track_caller]
fn check_throttled(answer: &Answer, seconds: u32) {
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (429, seconds.to_string().as_str()),
        "{answer:?}"
    );
}

/// Waits until somebody is refused; the clock stands still meanwhile.
async fn refused(person: &Person) -> Answer {
    let look = async {
        loop {
            let answer = login(person).await;
            if answer.status == 429 {
                return answer;
            }
            answer.expect(200);
        }
    };
    tokio::time::timeout(PATIENCE, look).await.expect("limited in time")
}

/// Lets half a second pass, at whose end there are so many rows of counts, and then another, at whose end they are read.
async fn a_second_in_which(server: &Server, rows: i64) {
    server.clock.advance(HALF_SECOND);
    await_number(server.settings(), ROWS, |found| found == rows).await;
    server.clock.advance(HALF_SECOND);
}

#[tokio::test]
async fn wrong_passwords_are_not_forgiven_by_a_restart() {
    let mut server = Server::start(RATES).await;
    let ann = server.person("ann").await;
    guess(&server.http, &ann.email, 6).await;
    a_second_in_which(&server, 1).await;
    // These are written as the server stops.
    guess(&server.http, &ann.email, 4).await;
    server.clock.advance(Duration::from_millis(100));
    server.restart().await;
    check_throttled(&login(&ann.at(&server)).await, 599);
    server.clock.advance(9 * 60 * SECOND);
    server.restart().await;
    check_throttled(&login(&ann.at(&server)).await, 59);
    server.clock.advance(59 * SECOND);
    login(&ann.at(&server)).await.token();
}

#[tokio::test]
async fn another_node_limits_within_a_second() {
    let server = Server::start(RATES).await;
    let ann = server.person("ann").await;
    let twin = server.twin().await;
    guess(&server.http, &ann.email, 10).await;
    check_throttled(&login(&ann).await, 600);
    a_second_in_which(&server, 1).await;
    check_throttled(&refused(&ann.at(&twin)).await, 599);
    // Others are not meant, nor is this address from elsewhere.
    guess(&twin.http, "bob@example.org", 1).await;
}

#[tokio::test]
async fn half_on_one_node_and_half_on_the_other_are_limited_on_both_until_they_are_over() {
    let server = Server::start(RATES).await;
    let ann = server.person("ann").await;
    let twin = server.twin().await;
    for node in [&server, &twin] {
        guess(&node.http, &ann.email, 5).await;
        login(&ann.at(node)).await.token();
    }
    a_second_in_which(&server, 2).await;
    for node in [&server, &twin] {
        check_throttled(&refused(&ann.at(node)).await, 599);
    }
    server.clock.advance(599 * SECOND);
    for node in [&server, &twin] {
        login(&ann.at(node)).await.token();
    }
    server.clock.advance(61 * SECOND);
    await_number(server.settings(), ROWS, |rows| rows == 0).await;
}

#[tokio::test]
async fn the_factor_scales_what_was_counted_before_a_restart() {
    let mut server = Server::start(&[("LIMITS__FACTOR", "2")]).await;
    let ann = server.person("ann").await;
    guess(&server.http, &ann.email, 20).await;
    server.restart().await;
    check_throttled(&login(&ann.at(&server)).await, 600);
    server.restart_with(&[("LIMITS__FACTOR", "3")]).await;
    login(&ann.at(&server)).await.token();
    guess(&server.http, &ann.email, 10).await;
    check_throttled(&login(&ann.at(&server)).await, 600);
    // Switched off, nothing counts and nothing is written.
    server.restart_with(&[("LIMITS__FACTOR", "0")]).await;
    let rows = number(server.settings(), ROWS).await;
    guess(&server.http, &ann.email, 40).await;
    server.restart_with(&[("LIMITS__FACTOR", "1")]).await;
    assert_eq!(number(server.settings(), ROWS).await, rows);
}

#[tokio::test]
async fn codes_asked_for_count_over_nodes_and_restarts_alike_for_known_and_unknown_addresses() {
    let mut server = Server::start(RATES).await;
    let ann = server.person("ann").await;
    let ask =
        async |http: &Http, email: &str| http.post("/auth/sending_email", &json!({"email": email})).await;
    let emails = [ann.email.as_str(), "unknown@example.org"];
    for email in emails {
        for _ in 0..4 {
            ask(&server.http, email).await.expect(200);
        }
    }
    // With the registration in another half second or in the same.
    server.restart().await;
    let mut twin = server.twin().await;
    for email in emails {
        for _ in 0..6 {
            ask(&twin.http, email).await.expect(200);
        }
        check_throttled(&ask(&twin.http, email).await, 600);
    }
    twin.stop().await;
    server.restart().await;
    let mut told = Vec::new();
    for email in emails {
        let answer = ask(&server.http, email).await;
        check_throttled(&answer, 600);
        told.push(answer.text);
    }
    assert_eq!(told[0], told[1]);
}

#[tokio::test]
async fn what_else_is_counted_by_source_is_not_forgiven_either() {
    let mut server = Server::start(RATES).await;
    let (ann, phone) = server.person_with_phone("ann").await;
    drop(phone);
    let token = json!({"refresh_token": "a".repeat(64)});
    let account = json!({"email": "ann@example.org", "password": "another password", "name": "Somebody"});
    let routes: [(&str, Value, usize, u16); 3] = [
        ("/auth/p/mobile_2fa", ann.body(&json!({"token_2fa": "A".repeat(43)})), 30, 400),
        ("/api/v1/auth/refresh", token, 60, 401),
        // The first registration was hers.
        ("/auth/p/register", account, 59, 400),
    ];
    for (route, body, times, status) in &routes {
        for _ in 0..*times {
            server.http.post(route, body).await.expect(*status);
        }
        check_throttled(&server.http.post(route, body).await, 600);
    }
    server.restart().await;
    for (route, body, ..) in &routes {
        check_throttled(&server.http.post(route, body).await, 600);
    }
}

#[tokio::test]
async fn a_clock_that_was_set_back_frees_nobody_and_limits_nobody_for_ever() {
    let mut server = Server::start(RATES).await;
    let ann = server.person("ann").await;
    guess(&server.http, &ann.email, 10).await;
    server.restart().await;
    server.clock.step_back(30 * 24 * 3600 * SECOND);
    check_throttled(&login(&ann.at(&server)).await, 600);
    server.restart().await;
    check_throttled(&login(&ann.at(&server)).await, 600);
    server.clock.advance(600 * SECOND);
    login(&ann.at(&server)).await.token();
    // The rows are of a day that is a month away, and do not stay that long.
    await_number(server.settings(), "SELECT COUNT(*) FROM leases", |leases| leases == 1).await;
    let day = "SELECT CAST(MAX(expires_at) - (SELECT expires_at FROM leases) AS BIGINT) / 3600000 FROM rates";
    await_number(server.settings(), day, |hours| hours < 1).await;
    server.clock.advance(2 * 3600 * SECOND);
    await_number(server.settings(), ROWS, |rows| rows == 0).await;
    server.restart().await;
    login(&ann.at(&server)).await.token();
}

#[tokio::test]
async fn a_killed_server_still_refuses_once_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let settings = all_settings(RATES, &store_url(folder.path()).await, folder.path());
    let start = async || Process::start(&["serve"], &settings, folder.path()).await;
    let (server, twin) = (start().await, start().await);
    let ann = Person::register(&server.http, "p", "ann@example.org").await;
    guess(&server.http, &ann.email, 10).await;
    // Once another node knows of it, it is in the store.
    refused(&ann.at(&twin)).await;
    server.kill().await;
    twin.kill().await;
    let answer = login(&ann.at(&start().await)).await;
    let wait: u32 = answer.header("retry-after").parse().unwrap();
    assert!(answer.status == 429 && (540..=600).contains(&wait), "{answer:?}");
}

#[tokio::test]
async fn a_browser_that_waits_costs_the_store_nothing() {
    let server = Server::start(RATES).await;
    let mut waiting = Vec::new();
    for _ in 0..20 {
        let mut socket = server.socket().await;
        socket.ready_login().await;
        waiting.push(socket);
    }
    server.clock.advance(SECOND);
    guess(&server.http, "ann@example.org", 1).await;
    server.clock.advance(HALF_SECOND);
    await_number(server.settings(), ROWS, |rows| rows > 0).await;
    // One count of the source's wrong passwords, and one for the address.
    let bytes = number(server.settings(), "SELECT CAST(SUM(LENGTH(counts)) AS BIGINT) FROM rates").await;
    assert_eq!(bytes, 2 * 24);
}
