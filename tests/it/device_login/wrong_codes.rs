//! What wrong codes cost: one failure of one method, five tries of a code, and after ten a block of codes alone.

use std::time::Duration;

use serde_json::json;

use super::{login, post, refusal, verify, with_mail, with_phone_and_mail};
use crate::harness::{App, Person, Phone, Server, change_store, mailed_code, text_pairs, wrong};

const MINUTE: Duration = Duration::from_secs(60);

/// The runs of failures of the one who has any.
async fn runs(server: &Server) -> Vec<(String, String)> {
    text_pairs(server, "SELECT method, CAST(run AS TEXT) FROM factor_failures ORDER BY method").await
}

fn run(method: &str, count: usize) -> (String, String) {
    (method.to_owned(), count.to_string())
}

/// Somebody with mailed codes, an app, a phone and backup codes.
async fn fort(server: &Server) -> (Person, Phone, App) {
    let (ann, phone) = with_phone_and_mail(server, "ann").await;
    let app = ann.bind_app(server, &phone.token).await;
    server.clock.advance(MINUTE);
    (ann, phone, app)
}

#[tokio::test]
async fn the_sixth_try_of_a_mailed_code_finds_it_dead() {
    let server = Server::start(&[]).await;
    let ann = with_mail(&server, "ann").await;
    login(&server, &ann, &json!({})).await.expect(202);
    let code = mailed_code(&server, &ann.email).await;
    for _ in 0..5 {
        assert_eq!(refusal(verify(&server, &ann, &wrong(&code), &json!({})).await, 401).1, "invalid_code");
    }
    for guess in [code.clone(), wrong(&code), code.clone()] {
        let (message, error) = refusal(verify(&server, &ann, &guess, &json!({})).await, 410);
        assert!(message.contains("nouveau"), "{message}");
        assert!(["too_many_tries", "code_expired"].contains(&error.as_str()), "{error}");
    }
    assert_eq!(runs(&server).await, [run("EMAIL", 8)]);
    // A dead code does not stand in the way of a new one, which resets nothing.
    post(&server, "2fa/request-otp", &json!({"identifier": ann.email})).await.expect(201);
    let fresh = mailed_code(&server, &ann.email).await;
    assert_eq!(runs(&server).await, [run("EMAIL", 8)]);
    verify(&server, &ann, &fresh, &json!({})).await.expect(200);
    assert_eq!(runs(&server).await, []);
}

#[tokio::test]
async fn a_code_that_is_over_is_gone() {
    let server = Server::start(&[]).await;
    let ann = with_mail(&server, "ann").await;
    login(&server, &ann, &json!({})).await.expect(202);
    let code = mailed_code(&server, &ann.email).await;
    server.clock.advance(Duration::from_secs(600));
    refusal(verify(&server, &ann, &code, &json!({})).await, 410);
    // Not brought back by a clock that is set back: its failure was counted, and the code lives by its own time.
    login(&server, &ann, &json!({})).await.expect(202);
    let fresh = mailed_code(&server, &ann.email).await;
    refusal(verify(&server, &ann, &code, &json!({})).await, 401);
    verify(&server, &ann, &fresh, &json!({})).await.expect(200);
}

#[tokio::test]
async fn with_both_on_a_wrong_code_is_one_failure_of_the_likeliest_method() {
    let server = Server::start(&[]).await;
    let (ann, phone, app) = fort(&server).await;
    let guess = app.wrong_code(&server);
    // No mailed code lives: the app is meant.
    refusal(verify(&server, &ann, &guess, &json!({})).await, 401);
    assert_eq!(runs(&server).await, [run("AUTHENTIFICATOR", 1)]);
    login(&server, &ann, &json!({})).await.expect(202);
    let code = mailed_code(&server, &ann.email).await;
    let guess = [wrong(&code), wrong(&wrong(&code))].into_iter().find(|g| *g != app.code(&server)).unwrap();
    refusal(verify(&server, &ann, &guess, &json!({})).await, 401);
    assert_eq!(runs(&server).await, [run("AUTHENTIFICATOR", 1), run("EMAIL", 1)]);
    refusal(verify(&server, &ann, "not six digits", &json!({})).await, 401);
    assert_eq!(runs(&server).await, [run("AUTHENTIFICATOR", 1), run("EMAIL", 2)]);
    refusal(verify(&server, &ann, "12345678", &json!({})).await, 401);
    assert_eq!(runs(&server).await, [run("AUTHENTIFICATOR", 1), run("BACKUPCODE", 1), run("EMAIL", 2)]);
    // A code of the app is no failure of the mailed one, nor is its repeat, and the mailed one still opens.
    let totp = app.code(&server);
    verify(&server, &ann, &totp, &json!({})).await.expect(200);
    refusal(verify(&server, &ann, &totp, &json!({})).await, 401);
    assert_eq!(runs(&server).await, [run("BACKUPCODE", 1), run("EMAIL", 2)]);
    verify(&server, &ann, &code, &json!({})).await.expect(200);
    refusal(verify(&server, &ann, &code, &json!({})).await, 401);
    assert_eq!(runs(&server).await, [run("BACKUPCODE", 1)]);
    verify(&server, &ann, &phone.backup_codes[0], &json!({})).await.expect(200);
    assert_eq!(runs(&server).await, []);
}

#[tokio::test]
async fn with_both_on_a_dead_mailed_code_is_told_and_the_app_still_opens() {
    let server = Server::start(&[]).await;
    let (ann, _phone, app) = fort(&server).await;
    login(&server, &ann, &json!({})).await.expect(202);
    let code = mailed_code(&server, &ann.email).await;
    let guess = [wrong(&code), wrong(&wrong(&code))].into_iter().find(|g| *g != app.code(&server)).unwrap();
    for _ in 0..5 {
        refusal(verify(&server, &ann, &guess, &json!({})).await, 401);
    }
    for _ in 0..2 {
        refusal(verify(&server, &ann, &code, &json!({})).await, 410);
    }
    assert_eq!(runs(&server).await, [run("AUTHENTIFICATOR", 2), run("EMAIL", 5)]);
    verify(&server, &ann, &app.code(&server), &json!({})).await.expect(200);
}

#[tokio::test]
async fn a_step_of_the_app_before_the_last_one_is_a_wrong_code() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    let app = ann.bind_app(&server, &ann.token).await;
    server.clock.advance(MINUTE);
    verify(&server, &ann, &app.code_at(&server, 1), &json!({})).await.expect(200);
    for steps in [1, 0, -1] {
        refusal(verify(&server, &ann, &app.code_at(&server, steps), &json!({})).await, 401);
    }
    // Nor does a clock that is set back bring one to life again.
    server.clock.step_back(MINUTE);
    for steps in [-1, 0, 1] {
        refusal(verify(&server, &ann, &app.code_at(&server, steps), &json!({})).await, 401);
    }
    assert_eq!(runs(&server).await, []);
}

#[tokio::test]
async fn ten_failures_block_codes_and_nothing_else() {
    let server = Server::start(&[]).await;
    let (ann, mut phone, app) = fort(&server).await;
    let first = login(&server, &ann, &json!({})).await.expect(202).json();
    let ticket = phone.approved_code(&server, &ann).await;
    for _ in 0..10 {
        refusal(verify(&server, &ann, "zzzzzzzz", &json!({})).await, 401);
    }
    let mailed = mailed_code(&server, &ann.email).await;
    for code in
        [mailed.as_str(), &app.code(&server), &phone.backup_codes[0], "123456", "nonsense", &"A".repeat(43)]
    {
        let answer = verify(&server, &ann, code, &json!({})).await;
        assert_eq!(answer.header("retry-after"), "900");
        assert_eq!(refusal(answer, 423).1, "locked");
    }
    // Who does not know the password is told nothing of it.
    refusal(verify(&server, &ann, &mailed, &json!({"password": "wrong password"})).await, 401);
    assert_eq!(login(&server, &ann, &json!({})).await.expect(202).json(), first);
    // A phone that was bound before still approves, and a refresh goes on.
    let done = verify(&server, &ann, &ticket, &json!({})).await.expect(200).json();
    let refresh = json!({"refresh_token": done["refresh_token"]});
    post(&server, "refresh", &refresh).await.expect(200);
    server.clock.advance(Duration::from_secs(900));
    verify(&server, &ann, &phone.backup_codes[0], &json!({})).await.expect(200);
}

#[tokio::test]
async fn tickets_that_are_none_are_throttled_and_count_against_nobody() {
    let server = Server::start(&[("LIMITS__FACTOR", "0.1")]).await;
    let (ann, phone) = server.person_with_phone("ann").await;
    for n in 0..3 {
        refusal(verify(&server, &ann, &format!("{n}{}", "A".repeat(42)), &json!({})).await, 401);
    }
    refusal(verify(&server, &ann, &"A".repeat(43), &json!({})).await, 429);
    assert_eq!(runs(&server).await, []);
    verify(&server, &ann, &phone.backup_codes[0], &json!({})).await.expect(200);
}

#[tokio::test]
async fn mailed_codes_that_are_worn_out_take_no_guess_at_the_app() {
    let server = Server::start(&[]).await;
    let ann = with_mail(&server, "ann").await;
    change_store(
        &server,
        "INSERT INTO factor_failures (account_id, method, run) SELECT id, 'EMAIL', 100 FROM accounts",
    )
    .await;
    let app = ann.bind_app(&server, &ann.token).await;
    server.clock.advance(MINUTE);
    // Anybody can have one sent, and it opens nothing.
    post(&server, "2fa/request-otp", &json!({"identifier": ann.email})).await.expect(201);
    let code = mailed_code(&server, &ann.email).await;
    refusal(verify(&server, &ann, &app.wrong_code(&server), &json!({})).await, 401);
    refusal(verify(&server, &ann, &code, &json!({})).await, 401);
    assert_eq!(runs(&server).await, [run("AUTHENTIFICATOR", 2), run("EMAIL", 100)]);
    verify(&server, &ann, &app.code(&server), &json!({})).await.expect(200);
}
