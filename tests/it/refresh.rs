//! Refresh tokens: replaced at every use, an honest repeat forgiven, a stolen one the end of the session.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::device_login::login;
use crate::harness::{Answer, PASSWORD, Person, Server, letters_to, mailed_code, run, text_pairs};

/// The tokens of a login by both steps, the way that hands out refresh tokens.
async fn tokens(server: &Server, person: &Person) -> (String, String) {
    let first = json!({"username": person.email, "password": PASSWORD, "provider": "Email"});
    server.http.post("/users/two_step_verification_login", &first).await.expect(200);
    let code = mailed_code(server, &person.email).await;
    let second = json!({"email": person.email, "provider": "Email", "token": code});
    let done = server.http.post("/users/two_step_verification_confirm", &second).await.expect(200).json();
    (told(&done, "accessToken"), told(&done, "refreshToken"))
}

fn told(answer: &Value, name: &str) -> String {
    answer[name].as_str().unwrap().to_owned()
}

/// Somebody with mailed codes on, at a proven address.
async fn ann(server: &Server) -> Person {
    let ann = server.person("ann").await;
    ann.turn_mail_on(server, &ann.token).await;
    // The first mailed code that comes back proves the address.
    let code = ann.login_code(server).await;
    ann.post("email_2fa", &json!({"token_2fa": code})).await.token();
    ann
}

fn claims(access: &str) -> Value {
    use base64::Engine as _;
    let part = access.split('.').nth(1).unwrap();
    let json = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap();
    serde_json::from_slice(&json).unwrap()
}

async fn refresh(server: &Server, token: &str) -> Answer {
    server.http.post("/api/v1/auth/refresh", &json!({"refresh_token": token})).await
}

async fn check_alive(server: &Server, access: &str, is_alive: bool) {
    server.http.get_as(access, "/dashboard/devices").await.expect(if is_alive { 200 } else { 401 });
}

#[tokio::test]
async fn each_use_brings_a_new_one_of_the_same_login() {
    let server = Server::start(&[]).await;
    let ann = ann(&server).await;
    let (access, mut token) = tokens(&server, &ann).await;
    assert!(token.len() == 64 && token.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
    let before = claims(&access);
    for _ in 0..3 {
        server.clock.advance(Duration::from_secs(86_400));
        let next = refresh(&server, &token).await.expect(200).json();
        assert_ne!(next["refresh_token"], token.as_str());
        token = told(&next, "refresh_token");
        let now = claims(&told(&next, "access_token"));
        for name in ["sid", "sub", "amr", "acr", "auth_time", "device_id"] {
            assert_eq!(now[name], before[name], "{name}");
        }
        check_alive(&server, &told(&next, "access_token"), true).await;
    }
}

#[tokio::test]
async fn a_repeat_in_time_gets_the_same_one() {
    // Nodes of one service share its address.
    let server = Server::start(&[("SERVER__PUBLIC_URL", "https://login.example")]).await;
    let ann = ann(&server).await;
    let (_, token) = tokens(&server, &ann).await;
    let first = refresh(&server, &token).await.expect(200).json();
    let twin = server.twin().await;
    server.clock.advance(Duration::from_secs(9));
    for place in [&server, &twin] {
        let again = refresh(place, &token).await.expect(200).json();
        assert_eq!(again["refresh_token"], first["refresh_token"]);
        // On any node the same access token, signed again.
        assert_eq!(claims(&told(&again, "access_token")), claims(&told(&first, "access_token")));
        check_alive(place, &told(&again, "access_token"), true).await;
    }
    // A clock that is set back makes a repeat neither late nor another one.
    server.clock.step_back(Duration::from_secs(12));
    let again = refresh(&server, &token).await.expect(200).json();
    assert_eq!(claims(&told(&again, "access_token")), claims(&told(&first, "access_token")));
}

#[tokio::test]
async fn of_a_short_session_a_repeat_is_the_same_too() {
    let server = Server::start(&[("REFRESH__TTL", "60s"), ("SESSION__TTL", "60s")]).await;
    let ann = ann(&server).await;
    let (_, token) = tokens(&server, &ann).await;
    server.clock.advance(Duration::from_secs(30));
    let first = refresh(&server, &token).await.expect(200).json();
    server.clock.advance(Duration::from_secs(5));
    let again = refresh(&server, &token).await.expect(200).json();
    let (first, again) = (claims(&told(&first, "access_token")), claims(&told(&again, "access_token")));
    assert_eq!(first, again);
    assert_eq!(first["exp"].as_i64().unwrap() - first["iat"].as_i64().unwrap(), 60);
}

#[tokio::test]
async fn a_hundred_tabs_at_once_get_the_same_one() {
    // A clock that runs: of two requests the later may have looked at it first.
    let server = Server::start_with(&[], readylogin::clock::Clock::system()).await;
    let ann = ann(&server).await;
    let (_, token) = tokens(&server, &ann).await;
    let answers = join_all((0..100).map(|_| refresh(&server, &token))).await;
    let mut told: Vec<String> =
        answers.into_iter().map(|answer| told(&answer.expect(200).json(), "refresh_token")).collect();
    told.dedup();
    assert_eq!(told.len(), 1);
    let kept = text_pairs(
        &server,
        "SELECT session, CAST(replaced_at AS TEXT) FROM refresh_tokens WHERE replaced_at IS NOT NULL",
    )
    .await;
    assert_eq!(kept.len(), 1);
    let kept = text_pairs(&server, "SELECT session, session FROM refresh_tokens").await;
    assert_eq!(kept.len(), 2);
    refresh(&server, &told[0]).await.expect(200);
}

#[tokio::test]
async fn a_late_repeat_ends_the_session() {
    let server = Server::start(&[("REFRESH__RETRY", "10s")]).await;
    let ann = ann(&server).await;
    let (access, token) = tokens(&server, &ann).await;
    let next = refresh(&server, &token).await.expect(200).json();
    check_alive(&server, &access, true).await;
    server.clock.advance(Duration::from_secs(10));
    let reused = refresh(&server, &token).await.expect(401);
    assert!(!reused.header("www-authenticate").is_empty());
    check_alive(&server, &access, false).await;
    check_alive(&server, &told(&next, "access_token"), false).await;
    refresh(&server, &told(&next, "refresh_token")).await.expect(401);
}

#[tokio::test]
async fn a_repeat_after_the_successor_was_used_ends_the_session() {
    let server = Server::start(&[]).await;
    let ann = ann(&server).await;
    let (_, token) = tokens(&server, &ann).await;
    let next = told(&refresh(&server, &token).await.expect(200).json(), "refresh_token");
    let third = refresh(&server, &next).await.expect(200).json();
    refresh(&server, &token).await.expect(401);
    refresh(&server, &told(&third, "refresh_token")).await.expect(401);
    check_alive(&server, &told(&third, "access_token"), false).await;
    // The owner is told, once.
    refresh(&server, &token).await.expect(401);
    let letters = letters_to(&server, &ann.email).await;
    let of_it = letters.iter().filter(|letter| letter.subject == "A session was ended for your safety");
    assert_eq!(of_it.count(), 1, "{letters:?}");
}

#[tokio::test]
async fn a_new_password_ends_it_and_a_block_does_not() {
    let server = Server::start(&[]).await;
    let ann = ann(&server).await;
    let (_, other) = tokens(&server, &ann).await;
    for _ in 0..10 {
        ann.post("email_2fa", &json!({"token_2fa": "x"})).await.expect(400);
    }
    ann.post("email_2fa", &json!({"token_2fa": "x"})).await.expect(423);
    let next = refresh(&server, &other).await.expect(200).json();
    server.clock.advance(Duration::from_secs(900));
    let (access, own) = tokens(&server, &ann).await;
    let change = json!({"password": PASSWORD, "new_password": "another horse battery"});
    server.http.post_as(&access, "/dashboard/password", &change).await.expect(200);
    refresh(&server, &told(&next, "refresh_token")).await.expect(401);
    refresh(&server, &own).await.expect(200);
}

#[tokio::test]
async fn it_lives_for_its_time_and_over_a_restart() {
    let mut server = Server::start(&[("REFRESH__TTL", "10d")]).await;
    let ann = ann(&server).await;
    let (_, token) = tokens(&server, &ann).await;
    server.restart().await;
    server.clock.advance(Duration::from_secs(9 * 86_400));
    let next = told(&refresh(&server, &token).await.expect(200).json(), "refresh_token");
    server.clock.advance(Duration::from_secs(10 * 86_400));
    refresh(&server, &next).await.expect(401);
}

#[tokio::test]
async fn what_is_none_or_a_stopped_account_s_gets_nothing() {
    let server = Server::start(&[]).await;
    let ann = ann(&server).await;
    let (access, token) = tokens(&server, &ann).await;
    for none in ["x", &"0".repeat(64), &token[..63], &access] {
        refresh(&server, none).await.expect(401);
    }
    server.http.post("/api/v1/auth/refresh", &json!({})).await.expect(422);
    server.http.post("/api/v1/auth/refresh", &json!({"refresh_token": 5})).await.expect(422);
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["account", "disable", "--kind", "p", "--email", &ann.email];
    assert_eq!(run(&arguments, server.settings(), folder.path(), "").await.code, Some(0));
    refresh(&server, &token).await.expect(401);
    // Started again, it finds its session ended.
    let arguments = ["account", "enable", "--kind", "p", "--email", &ann.email];
    assert_eq!(run(&arguments, server.settings(), folder.path(), "").await.code, Some(0));
    refresh(&server, &token).await.expect(401);
}

#[tokio::test]
async fn a_repeat_is_forgiven_over_the_end_of_the_token_that_it_shows() {
    let server = Server::start(&[("REFRESH__TTL", "60s"), ("SESSION__TTL", "60s")]).await;
    let ann = ann(&server).await;
    let (_, token) = tokens(&server, &ann).await;
    server.clock.advance(Duration::from_secs(59));
    let first = refresh(&server, &token).await.expect(200).json();
    server.clock.advance(Duration::from_secs(2));
    let again = refresh(&server, &token).await.expect(200).json();
    assert_eq!(again["refresh_token"], first["refresh_token"]);
    assert_eq!(claims(&told(&again, "access_token")), claims(&told(&first, "access_token")));
    server.clock.advance(Duration::from_secs(8));
    let retried = refresh(&server, &token).await.expect(200).json();
    assert_ne!(retried["refresh_token"], first["refresh_token"]);
}

#[tokio::test]
async fn with_the_session_of_a_phone_end_the_logins_that_it_approved() {
    let server = Server::start(&[("REFRESH__RETRY", "10s")]).await;
    let ann = server.person("ann").await;
    let done = login(&server, &ann, &json!({"device_name": "Pixel"})).await.expect(200).json();
    let mut phone = ann.bind_with(&server, told(&done, "access_token")).await;
    let token = told(&done, "refresh_token");
    refresh(&server, &token).await.expect(200);
    let ticket = phone.approved_code(&server, &ann).await;
    server.clock.advance(Duration::from_secs(10));
    refresh(&server, &token).await.expect(401);
    ann.exchange(&ticket).await.expect(400);
}
