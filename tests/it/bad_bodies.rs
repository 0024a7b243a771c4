//! Bodies that no client should send, to every route that takes a second factor: refused by rule, never a panic.

use serde_json::{Value, json};

use crate::harness::{Answer, PASSWORD, Server};

/// Routes and a body that is whole; those that begin with `*` take a Bearer.
fn routes() -> Vec<(&'static str, Value)> {
    let (email, code) = ("ann@example.org", "123456");
    let sign_in = json!({"email": email, "password": PASSWORD});
    let login = |name: &str| {
        let mut body = sign_in.clone();
        body[name] = json!(code);
        body
    };
    vec![
        ("/auth/sending_email", json!({"email": email})),
        ("/auth/send-mail-login-code-v2", json!({"mail": email, "locale": "en"})),
        ("/auth/sign-in-by-mail-code", json!({"receivedCode": "one two three", "mailLoginToken": "x"})),
        ("/auth/mail-auth/sign-in", json!({"mailAuthToken": "x"})),
        ("/auth/mail-auth/create-account", json!({"mailAuthToken": "x", "password": PASSWORD})),
        ("/auth/mail-auth/recover-password", json!({"mailAuthToken": "x", "password": PASSWORD})),
        ("/auth/p/login", sign_in.clone()),
        ("/auth/p/email_2fa", login("token_2fa")),
        ("/auth/p/third_party_2fa", login("token_2fa")),
        ("/auth/p/backup_code_2fa", login("backup_code")),
        ("*/2fa/method/third_party", json!({"token": code})),
        ("/api/v1/auth/login", json!({"identifier": email, "password": PASSWORD})),
        ("/api/v1/auth/2fa/request-otp", json!({"identifier": email})),
        ("/api/v1/auth/2fa/verify", json!({"identifier": email, "password": PASSWORD, "otp": code})),
        ("/api/v1/auth/refresh", json!({"refresh_token": "0".repeat(64)})),
        (
            "/users/two_step_verification_login",
            json!({"username": email, "password": PASSWORD, "provider": "Email"}),
        ),
        ("/users/two_step_verification_confirm", json!({"email": email, "provider": "Email", "token": code})),
        ("*/users/enable_2fa_confirm", json!({"email": email, "provider": "Email", "token": code})),
        ("/api/auth/sign-in/email", sign_in.clone()),
        ("/api/auth/sign-up/email", json!({"name": "Ann", "email": "new@example.org", "password": PASSWORD})),
        ("*/api/auth/two-factor/enable", json!({"password": PASSWORD})),
        ("*/api/auth/two-factor/disable", json!({"password": PASSWORD})),
        ("*/api/auth/two-factor/get-totp-uri", json!({"password": PASSWORD})),
        ("*/api/auth/two-factor/generate-backup-codes", json!({"password": PASSWORD})),
        ("*/api/auth/two-factor/verify-totp", json!({"code": code})),
        ("*/api/auth/two-factor/verify-otp", json!({"code": code})),
        ("*/api/auth/two-factor/verify-backup-code", json!({"code": code})),
    ]
}

async fn send(server: &Server, token: &str, route: &str, kind: &str, body: String) -> Answer {
    let (path, takes_bearer) = match route.strip_prefix('*') {
        Some(path) => (path, true),
        None => (route, false),
    };
    let mut request = server.http.request("POST", path).header("content-type", kind).body(body);
    if takes_bearer {
        request = request.bearer_auth(token);
    }
    Answer::read(request.send().await.unwrap()).await
}

#[tokio::test]
async fn a_field_that_is_missing_or_of_another_type_is_refused_by_the_status_of_its_surface() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    for (route, whole) in routes() {
        for name in whole.as_object().unwrap().keys() {
            for wrong in [None, Some(json!(5)), Some(json!(null)), Some(json!([])), Some(json!({"$ne": ""}))]
            {
                let mut body = whole.clone();
                match &wrong {
                    Some(value) => body[name] = value.clone(),
                    None => drop(body.as_object_mut().unwrap().remove(name)),
                }
                let answer = send(&server, &ann.token, route, "application/json", body.to_string()).await;
                let status = if route.starts_with("/api/v1/") { 422 } else { 400 };
                assert_eq!(answer.status, status, "{route} {name} {wrong:?}: {answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_no_object_too_large_or_of_another_kind_is_told_apart() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    let long = json!({"email": "x".repeat(70_000)}).to_string();
    for (route, whole) in routes() {
        for (kind, body, status) in [
            ("application/json", "nonsense".to_owned(), 400),
            ("application/json", "[]".to_owned(), 400),
            ("application/json", format!("{{\"a\":{}1{}}}", "[".repeat(50), "]".repeat(50)), 400),
            ("application/json", long.clone(), 413),
            ("text/plain", whole.to_string(), 415),
            ("application/xml", "<a/>".to_owned(), 415),
        ] {
            let answer = send(&server, &ann.token, route, kind, body).await;
            assert_eq!(answer.status, status, "{route} {kind}: {answer:?}");
            assert_eq!(answer.header("cache-control"), "no-store", "{route}");
            assert_eq!(answer.header("x-content-type-options"), "nosniff", "{route}");
            assert!(!answer.header("content-type").is_empty(), "{route}");
        }
    }
    // Nothing of it has made anything.
    ann.post("login", &json!({})).await.token();
}
