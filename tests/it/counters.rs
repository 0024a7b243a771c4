//! What guessing costs: wrong second factors block, wrong passwords are throttled, and neither locks the owner out.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Answer, Person, Phone, Server, run};

const MINUTE: Duration = Duration::from_secs(60);

async fn ready(settings: &[(&str, &str)]) -> (Server, Person, Phone) {
    let server = Server::start(settings).await;
    let (ann, phone) = server.person_with_phone("ann").await;
    // A phone that was bound before a block began: not in the same millisecond.
    server.clock.advance(MINUTE);
    (server, ann, phone)
}

async fn backup(person: &Person, code: &str) -> Answer {
    person.post("backup_code_2fa", &json!({"backup_code": code})).await
}

/// Wrong backup codes, each answered as wrong.
async fn guess(person: &Person, times: usize) {
    for n in 0..times {
        let refusal = backup(person, &format!("wrong{n:03}")).await.refusal(400);
        assert_eq!(refusal, "invalid backup code", "guess {n}");
    }
}

/// Second-factor checks are blocked for this many seconds still.
#[track_caller]
fn check_blocked(answer: &Answer, seconds: u32) {
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (423, seconds.to_string().as_str()),
        "{answer:?}"
    );
    assert_eq!(answer.json()["error"], "locked");
}

#[tokio::test]
async fn ten_wrong_second_factors_block_all_checks_for_fifteen_minutes() {
    let (server, ann, phone) = ready(&[]).await;
    guess(&ann, 10).await;
    check_blocked(&backup(&ann, &phone.backup_codes[0]).await, 900);
    server.clock.advance(10 * MINUTE);
    check_blocked(&backup(&ann, &phone.backup_codes[0]).await, 300);
    check_blocked(&ann.exchange("000000").await, 300);
    check_blocked(&ann.post("email_2fa", &json!({"token_2fa": "000000"})).await, 300);
    check_blocked(&ann.exchange(&"A".repeat(43)).await, 300);
    server.clock.advance(5 * MINUTE);
    // The right codes that were refused are not used up.
    backup(&ann, &phone.backup_codes[0]).await.token();
}

#[tokio::test]
async fn a_block_says_nothing_to_who_has_no_password_and_stops_no_password_step() {
    let (_server, ann, _phone) = ready(&[]).await;
    guess(&ann, 10).await;
    let wrong = json!({"password": "wrong password", "backup_code": "x", "token_2fa": "x"});
    for route in ["login", "mobile_2fa", "email_2fa", "backup_code_2fa"] {
        assert_eq!(ann.post(route, &wrong).await.refusal(401), "Email and password mismatch");
    }
    assert_eq!(ann.post("login", &json!({})).await.expect(200).json()["Methods"], json!(["MOBILE"]));
}

#[tokio::test]
async fn what_has_no_ticket_s_shape_counts_as_a_wrong_mailed_code() {
    let (_server, ann, phone) = ready(&[]).await;
    for code in [
        "000000",
        "",
        " ",
        "AAAA",
        &"A".repeat(42),
        &"A".repeat(44),
        &"é".repeat(43),
        &"+".repeat(43),
        "0",
        "1",
    ] {
        assert_eq!(ann.exchange(code).await.refusal(400), "email is not a valid 2FA method");
    }
    check_blocked(&ann.exchange("000000").await, 900);
    check_blocked(&backup(&ann, &phone.backup_codes[0]).await, 900);
}

#[tokio::test]
async fn such_guesses_count_where_no_factor_is_on_too() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    for _ in 0..10 {
        assert_eq!(ann.exchange("000000").await.refusal(400), "no 2FA method associated with");
    }
    check_blocked(&ann.exchange("000000").await, 900);
    ann.post("login", &json!({})).await.token();
}

#[tokio::test]
async fn used_expired_and_foreign_tickets_do_not_count() {
    let (server, ann, mut phone) = ready(&[]).await;
    let (bob, mut bobs) = server.person_with_phone("bob").await;
    let old = phone.approved_code(&server, &ann).await;
    server.clock.advance(11 * MINUTE);
    let (used, foreign) = (phone.approved_code(&server, &ann).await, bobs.approved_code(&server, &bob).await);
    ann.exchange(&used).await.token();
    for code in [&old, &used, &foreign, &"A".repeat(43)] {
        for _ in 0..8 {
            assert_eq!(ann.exchange(code).await.refusal(400), "invalid 2FA token");
        }
    }
    backup(&ann, &phone.backup_codes[0]).await.token();
}

#[tokio::test]
async fn a_used_backup_code_is_wrong_and_does_not_count() {
    let (_server, ann, phone) = ready(&[]).await;
    backup(&ann, &phone.backup_codes[0]).await.token();
    for _ in 0..15 {
        assert_eq!(backup(&ann, &phone.backup_codes[0]).await.refusal(400), "invalid backup code");
    }
    backup(&ann, &phone.backup_codes[1]).await.token();
}

#[tokio::test]
async fn a_success_ends_the_run_of_its_method_alone() {
    let (_server, ann, phone) = ready(&[]).await;
    for _ in 0..9 {
        ann.exchange("000000").await.expect(400);
    }
    guess(&ann, 9).await;
    backup(&ann, &phone.backup_codes[0]).await.token();
    guess(&ann, 9).await;
    // The mailed codes' run went on all the time.
    ann.exchange("000000").await.expect(400);
    check_blocked(&backup(&ann, &phone.backup_codes[1]).await, 900);
}

#[tokio::test]
async fn new_backup_codes_end_no_block() {
    let (server, ann, phone) = ready(&[]).await;
    guess(&ann, 10).await;
    let made = server.http.post_as(&phone.token, "/auth/creation_backup_code", &json!({})).await.expect(201);
    let code = made.json()["double_auth"]["code"][0].as_str().unwrap().to_owned();
    check_blocked(&backup(&ann, &code).await, 900);
}

#[tokio::test]
async fn a_phone_bound_before_a_block_still_approves() {
    let (server, ann, mut phone) = ready(&[]).await;
    let before = phone.approved_code(&server, &ann).await;
    guess(&ann, 10).await;
    ann.exchange(&before).await.token();
    server.clock.advance(MINUTE);
    let during = phone.approved_code(&server, &ann).await;
    ann.exchange(&during).await.token();
    // It is its own method: its success ends no block of others.
    check_blocked(&backup(&ann, &phone.backup_codes[0]).await, 840);
}

#[tokio::test]
async fn a_phone_bound_after_a_block_began_does_not() {
    let (server, ann, mut phone) = ready(&[]).await;
    let token = backup(&ann, &phone.backup_codes[0]).await.token();
    guess(&ann, 10).await;
    server.clock.advance(MINUTE);
    let mut late = ann.bind_with(&server, token).await;
    let (mut browser, uuid) = ann.asking_browser(&server).await;
    late.answer(&uuid, true).await;
    phone.socket.expect("ask_mobile_connection").await;
    let code = browser.expect_code().await;
    check_blocked(&ann.exchange(&code).await, 840);
    server.clock.advance(14 * MINUTE);
    // The block is over, and with it the ticket's time.
    assert_eq!(ann.exchange(&code).await.refusal(400), "invalid 2FA token");
}

#[tokio::test]
async fn a_hundred_in_a_row_end_the_method_until_it_is_bound_again() {
    let (server, ann, mut phone) = ready(&[]).await;
    for _ in 0..10 {
        guess(&ann, 10).await;
        server.clock.advance(15 * MINUTE);
    }
    let on = async |token: &str| server.http.get_as(token, "/dashboard/2fa").await.expect(200).json();
    // The phone's session outlives the hour that its token lives; a login brings another token.
    phone.reconnect(&server).await;
    let code = phone.approved_code(&server, &ann).await;
    let token = ann.exchange(&code).await.token();
    assert_eq!(on(&token).await["double_auth"]["methods"], json!(["MOBILE"]));
    assert_eq!(backup(&ann, &phone.backup_codes[0]).await.refusal(400), "invalid backup code");
    server.clock.advance(15 * MINUTE);
    let fresh = json!({"password": crate::harness::PASSWORD});
    let made = server.http.post_as(&token, "/auth/creation_backup_code", &fresh).await.expect(201).json();
    backup(&ann, made["double_auth"]["code"][0].as_str().unwrap()).await.token();
}

#[tokio::test]
async fn two_hundred_guesses_at_once_are_ten_guesses() {
    let (server, ann, phone) = ready(&[("PASSWORD__QUEUE", "1000")]).await;
    let twin = server.twin().await;
    let nodes = [ann.clone(), ann.at(&twin)];
    let guesses = (0..200).map(|n: usize| {
        let person = nodes[n % 2].clone();
        tokio::spawn(async move { backup(&person, &format!("guess{n:03}")).await.status })
    });
    let guesses: Vec<_> = guesses.collect();
    let (mut wrong, mut blocked) = (0, 0);
    for guess in guesses {
        match guess.await.unwrap() {
            400 => wrong += 1,
            423 => blocked += 1,
            other => panic!("{other}"),
        }
    }
    assert_eq!((wrong, blocked), (10, 190));
    server.clock.advance(15 * MINUTE);
    backup(&ann, &phone.backup_codes[0]).await.token();
}

#[tokio::test]
async fn an_operator_ends_a_block() {
    let (server, ann, phone) = ready(&[]).await;
    guess(&ann, 10).await;
    let arguments = ["account", "unlock", "--kind", "p", "--email", "ann@example.org"];
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run(&arguments, server.settings(), folder.path(), "").await.code, Some(0));
    guess(&ann, 9).await;
    backup(&ann, &phone.backup_codes[0]).await.token();
}

/// Rates as they are in the field.
const RATES: &[(&str, &str)] = &[("LIMITS__FACTOR", "1")];

async fn wrong_password(server: &Server, email: &str) -> Answer {
    server.http.post("/auth/p/login", &json!({"email": email, "password": "wrong password"})).await
}

#[track_caller]
fn check_throttled(answer: &Answer, seconds: u32) {
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (429, seconds.to_string().as_str()),
        "{answer:?}"
    );
}

#[tokio::test]
async fn ten_wrong_passwords_for_an_address_throttle_it_known_or_not() {
    let server = Server::start(RATES).await;
    let ann = server.person("ann").await;
    for email in ["ann@example.org", "unknown@example.org"] {
        for n in 0..10 {
            assert_eq!(wrong_password(&server, email).await.status, 401, "{email} {n}");
        }
        check_throttled(&wrong_password(&server, email).await, 600);
        check_throttled(&wrong_password(&server, &email.to_uppercase()).await, 600);
    }
    // This source is throttled for this address, the right password too; nothing else is.
    check_throttled(&ann.post("login", &json!({})).await, 600);
    check_throttled(&ann.post("mobile_2fa", &json!({"token_2fa": "x"})).await, 600);
    server.http.post("/auth/d/login", &ann.body(&json!({}))).await.expect(401);
    server.clock.advance(10 * MINUTE);
    ann.post("login", &json!({})).await.token();
}

#[tokio::test]
async fn thirty_wrong_passwords_throttle_a_source() {
    let server = Server::start(RATES).await;
    let ann = server.person("ann").await;
    for n in 0..30 {
        assert_eq!(wrong_password(&server, &format!("nobody{n}@example.org")).await.status, 401, "{n}");
    }
    check_throttled(&wrong_password(&server, "somebody@example.org").await, 600);
    check_throttled(&ann.post("login", &json!({})).await, 600);
}

#[tokio::test]
async fn another_source_is_not_throttled() {
    let settings = [("LIMITS__FACTOR", "1"), ("SERVER__TRUSTED_PROXIES", "127.0.0.1")];
    let server = Server::start(&settings).await;
    let ann = server.person("ann").await;
    for _ in 0..11 {
        wrong_password(&server, "ann@example.org").await;
    }
    check_throttled(&ann.post("login", &json!({})).await, 600);
    let elsewhere = server.http.request("POST", "/auth/p/login").header("x-forwarded-for", "192.0.2.7");
    Answer::read(elsewhere.json(&ann.body(&json!({}))).send().await.unwrap()).await.token();
}

#[tokio::test]
async fn right_passwords_are_not_counted() {
    let server = Server::start(RATES).await;
    let ann = server.person("ann").await;
    for _ in 0..40 {
        ann.post("login", &json!({})).await.token();
    }
}

#[tokio::test]
async fn tickets_that_are_nobody_s_throttle_a_source() {
    let server = Server::start(RATES).await;
    let (ann, phone) = server.person_with_phone("ann").await;
    for _ in 0..30 {
        assert_eq!(ann.exchange(&"A".repeat(43)).await.refusal(400), "invalid 2FA token");
    }
    check_throttled(&ann.exchange(&"A".repeat(43)).await, 600);
    backup(&ann, &phone.backup_codes[0]).await.token();
}
