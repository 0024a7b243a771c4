//! The two-step API (docs/protocol-http.md, "Two-step API"): the order of its checks, its texts, and refused requests.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Answer, PASSWORD, Person, Server, mailed_code, run, wrong};

const LOGIN: &str = "/users/two_step_verification_login";
const CONFIRM: &str = "/users/two_step_verification_confirm";
const ENABLE: &str = "/users/enable_2fa_confirm";

/// Somebody whose address is known to be theirs.
async fn verified(server: &Server, name: &str) -> Person {
    let folder = tempfile::tempdir().unwrap();
    let email = format!("{name}@example.org");
    let arguments = ["account", "add", "--kind", "p", "--email", &email, "--verified", "--password-stdin"];
    let done = run(&arguments, server.settings(), folder.path(), PASSWORD).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    let mut person = Person::known(&server.http, "p", &email);
    person.token = person.post("login", &json!({})).await.token();
    person
}

/// The same with mailed codes on.
async fn with_mail(server: &Server, name: &str) -> Person {
    let person = verified(server, name).await;
    person.turn_mail_on(server, &person.token).await;
    person
}

fn login(person: &Person, provider: &str) -> Value {
    json!({"username": person.email, "password": PASSWORD, "provider": provider})
}

fn confirm(person: &Person, provider: &str, token: &str) -> Value {
    json!({"email": person.email, "provider": provider, "token": token})
}

#[track_caller]
fn text(answer: &Answer, status: u16, text: &str) {
    assert_eq!((answer.status, answer.text.as_str()), (status, text), "{answer:?}");
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
}

#[track_caller]
fn problem(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.json()["status"], status);
    assert!(answer.json()["title"].is_string());
    assert_eq!(answer.header("www-authenticate").is_empty(), status != 401);
}

#[tokio::test]
async fn mailed_codes_are_turned_on_by_a_code() {
    let server = Server::start(&[]).await;
    let ann = verified(&server, "ann").await;
    let asked = server.http.get_as(&ann.token, "/users/enable_2fa").await.expect(200);
    assert_eq!(asked.text, "");
    let code = mailed_code(&server, &ann.email).await;
    // For enabling, and for nothing else.
    let body = json!({"Email": ann.email, "PROVIDER": "Email", "token": wrong(&code)});
    text(&server.http.post_as(&ann.token, ENABLE, &body).await, 400, "Invalid two factor token");
    let body = json!({"Email": ann.email, "PROVIDER": "Email", "token": code});
    let done = server.http.post_as(&ann.token, ENABLE, &body).await.expect(200);
    assert_eq!(done.text, "");
    problem(&server.http.post_as(&ann.token, ENABLE, &body).await, 401);
    problem(&server.http.get_as(&ann.token, "/users/enable_2fa").await, 401);
    let methods = ann.post("login", &json!({})).await.expect(200).json();
    assert_eq!(methods["Methods"], json!(["EMAIL"]));
}

#[tokio::test]
async fn enabling_is_checked_in_its_order() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    problem(&server.http.get("/users/enable_2fa").await, 401);
    problem(&server.http.post(ENABLE, &json!({})).await, 401);
    problem(&server.http.get_as("nonsense", "/users/enable_2fa").await, 401);
    text(&server.http.get_as(&ann.token, "/users/enable_2fa").await, 400, "Email is not verified.");
    let missing = server.http.post_as(&ann.token, ENABLE, &json!({"email": ann.email})).await.expect(400);
    assert_eq!(
        missing.json(),
        json!({
            "title": "One or more validation errors occurred.", "status": 400,
            "errors": {"Provider": ["The Provider field is required."], "Token": ["The Token field is required."]},
        })
    );
    let of = |email: &str| json!({"email": email, "provider": "Email", "token": "123456"});
    let other = server.http.post_as(&ann.token, ENABLE, &of("bob@example.org")).await;
    text(&other, 401, "Invalid user");
    let own = server.http.post_as(&ann.token, ENABLE, &of(&ann.email)).await;
    text(&own, 400, "Email is not confirmed");
}

#[tokio::test]
async fn a_stale_session_turns_nothing_on_without_the_password() {
    let server = Server::start(&[]).await;
    let ann = verified(&server, "ann").await;
    server.clock.advance(Duration::from_secs(300));
    server.http.get_as(&ann.token, "/users/enable_2fa").await.expect(200);
    let code = mailed_code(&server, &ann.email).await;
    let mut body = json!({"email": ann.email, "provider": "Email", "token": code});
    let stale = server.http.post_as(&ann.token, ENABLE, &body).await;
    assert!(stale.header("www-authenticate").contains("insufficient_user_authentication"));
    problem(&stale, 401);
    body["password"] = json!(PASSWORD);
    server.http.post_as(&ann.token, ENABLE, &body).await.expect(200);
}

#[tokio::test]
async fn the_first_step_is_checked_in_its_order() {
    let server = Server::start(&[]).await;
    let plain = verified(&server, "plain").await;
    let unverified = server.person("unverified").await;
    unverified.turn_mail_on(&server, &unverified.token).await;
    let ann = with_mail(&server, "ann").await;

    let missing = server.http.post(LOGIN, &json!({"Username": ann.email})).await.expect(400).json();
    assert_eq!(missing["errors"].as_object().unwrap().len(), 2, "{missing}");
    let mut wrong_password = login(&ann, "Nonsense");
    wrong_password["password"] = json!("wrong password");
    text(&server.http.post(LOGIN, &wrong_password).await, 401, "Invalid credentials");
    let nobody = json!({"username": "nobody@example.org", "password": PASSWORD, "provider": "Email"});
    text(&server.http.post(LOGIN, &nobody).await, 401, "Invalid credentials");
    problem(&server.http.post(LOGIN, &login(&plain, "Nonsense")).await, 401);
    text(&server.http.post(LOGIN, &login(&unverified, "Nonsense")).await, 400, "Email is not verified");
    for provider in ["Nonsense", "Phone", "Authenticator"] {
        problem(&server.http.post(LOGIN, &login(&ann, provider)).await, 400);
    }
    let done = server.http.post(LOGIN, &login(&ann, "Email")).await.expect(200);
    assert_eq!(done.text, "");
}

#[tokio::test]
async fn an_unknown_user_is_told_only_where_the_operator_wants_it() {
    let server = Server::start(&[("TWO_STEP__UNKNOWN_USER", "404")]).await;
    let ann = with_mail(&server, "ann").await;
    let nobody = json!({"username": "nobody@example.org", "password": PASSWORD, "provider": "Email"});
    text(&server.http.post(LOGIN, &nobody).await, 404, "Invalid credentials");
    let mut known = login(&ann, "Email");
    known["password"] = json!("wrong password");
    text(&server.http.post(LOGIN, &known).await, 401, "Invalid credentials");
}

#[tokio::test]
async fn both_steps_make_a_login() {
    let server = Server::start(&[]).await;
    let ann = with_mail(&server, "ann").await;
    server.http.post(LOGIN, &login(&ann, "Email")).await.expect(200);
    let code = mailed_code(&server, &ann.email).await;
    text(&server.http.post(CONFIRM, &confirm(&ann, "Email", &wrong(&code))).await, 400, "Invalid token");
    let done = server.http.post(CONFIRM, &confirm(&ann, "Email", &code)).await.expect(200).json();
    let access = done["accessToken"].as_str().unwrap();
    assert!(done["refreshToken"].is_string());
    server.http.get_as(access, "/dashboard/2fa").await.expect(200);
    // Neither the code nor the first step is good twice.
    text(&server.http.post(CONFIRM, &confirm(&ann, "Email", &code)).await, 400, "Invalid token");
}

#[tokio::test]
async fn without_the_first_step_nobody_gets_in() {
    let server = Server::start(&[]).await;
    let ann = with_mail(&server, "ann").await;
    let code = ann.login_code(&server).await;
    for email in [ann.email.as_str(), "nobody@example.org", "no address"] {
        let body = json!({"email": email, "provider": "Email", "token": code});
        text(&server.http.post(CONFIRM, &body).await, 400, "Invalid token");
    }
    // The code was not spent on them.
    server.http.post(LOGIN, &login(&ann, "Email")).await.expect(200);
    server.http.post(CONFIRM, &confirm(&ann, "Email", &code)).await.expect(200);
}

#[tokio::test]
async fn the_first_step_holds_for_ten_minutes() {
    let server = Server::start(&[("OTP__TTL", "1h")]).await;
    let ann = with_mail(&server, "ann").await;
    server.http.post(LOGIN, &login(&ann, "Email")).await.expect(200);
    let code = mailed_code(&server, &ann.email).await;
    server.clock.advance(Duration::from_secs(600));
    text(&server.http.post(CONFIRM, &confirm(&ann, "Email", &code)).await, 400, "Invalid token");
}

#[tokio::test]
async fn the_second_step_comes_from_where_the_first_came() {
    let server = Server::start(&[("SERVER__TRUSTED_PROXIES", "127.0.0.1")]).await;
    let ann = with_mail(&server, "ann").await;
    let from = async |address: &str, path: &str, body: &Value| {
        let request = server.http.request("POST", path).header("x-forwarded-for", address).json(body);
        Answer::read(request.send().await.unwrap()).await
    };
    from("192.0.2.1", LOGIN, &login(&ann, "Email")).await.expect(200);
    let code = mailed_code(&server, &ann.email).await;
    // A stranger who knows the address can neither use the code nor spoil it.
    for _ in 0..12 {
        text(
            &from("198.51.100.7", CONFIRM, &confirm(&ann, "Email", &wrong(&code))).await,
            400,
            "Invalid token",
        );
    }
    from("192.0.2.1", CONFIRM, &confirm(&ann, "Email", &code)).await.expect(200);
}

#[tokio::test]
async fn the_provider_that_is_named_is_the_one_that_is_checked() {
    let server = Server::start(&[]).await;
    let ann = verified(&server, "ann").await;
    let app = ann.bind_app(&server, &ann.token).await;
    ann.turn_mail_on(&server, &ann.token).await;
    server.http.post(LOGIN, &login(&ann, "Authenticator")).await.expect(200);
    let shown = app.code(&server);
    text(&server.http.post(CONFIRM, &confirm(&ann, "Email", &shown)).await, 400, "Invalid token");
    server.http.post(CONFIRM, &confirm(&ann, "Authenticator", &shown)).await.expect(200);
    text(&server.http.post(CONFIRM, &confirm(&ann, "Authenticator", &shown)).await, 400, "Invalid token");
}

#[tokio::test]
async fn ten_wrong_codes_block_here_too() {
    let server = Server::start(&[]).await;
    let ann = with_mail(&server, "ann").await;
    for _ in 0..10 {
        ann.post("email_2fa", &json!({"token_2fa": "000000"})).await.expect(400);
    }
    server.http.post(LOGIN, &login(&ann, "Email")).await.expect(200);
    let code = mailed_code(&server, &ann.email).await;
    let locked = server.http.post(CONFIRM, &confirm(&ann, "Email", &code)).await;
    problem(&locked, 423);
    assert_eq!(locked.header("retry-after"), "900");
}

#[tokio::test]
async fn a_new_first_step_begins_the_second_anew() {
    let server = Server::start(&[]).await;
    let ann = verified(&server, "ann").await;
    let app = ann.bind_app(&server, &ann.token).await;
    server.http.post(LOGIN, &login(&ann, "Authenticator")).await.expect(200);
    let bad = app.wrong_code(&server);
    for _ in 0..6 {
        let refused = server.http.post(CONFIRM, &confirm(&ann, "Authenticator", &bad)).await;
        text(&refused, 400, "Invalid token");
    }
    server.http.post(LOGIN, &login(&ann, "Authenticator")).await.expect(200);
    server.http.post(CONFIRM, &confirm(&ann, "Authenticator", &app.code(&server))).await.expect(200);
}

#[tokio::test]
async fn names_stand_once_and_bodies_are_objects() {
    let server = Server::start(&[]).await;
    for body in [r#"{"email":"a","Email":"b","provider":"Email","token":"1"}"#, "[]", "nonsense", "null"] {
        let request =
            server.http.request("POST", CONFIRM).header("content-type", "application/json").body(body);
        let answer = Answer::read(request.send().await.unwrap()).await;
        problem(&answer, 400);
        assert_eq!(answer.json()["title"], "One or more validation errors occurred.", "{body}");
    }
    let request = server.http.request("POST", CONFIRM).header("content-type", "text/plain").body("{}");
    problem(&Answer::read(request.send().await.unwrap()).await, 415);
}
