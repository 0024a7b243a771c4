//! Which codes make a session fresh again: while two-factor login is on, only those of a method that is on.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Answer, App, Person, Server, letters_to, mailed_code};

const STALE: Duration = Duration::from_secs(300);

/// A route of `/api/auth` in the session of an access token.
async fn prove(server: &Server, token: &str, route: &str, code: &str) -> Answer {
    server.http.post_as(token, &format!("/api/auth/two-factor/{route}"), &json!({"code": code})).await
}

/// Whether a session may change factors without its password.
async fn is_fresh(server: &Server, token: &str) -> bool {
    let answer = server.http.send("POST", "/2fa/method/third_party/generate", Some(token), None).await;
    if answer.status == 401 {
        assert!(answer.header("www-authenticate").contains("insufficient_user_authentication"));
    }
    answer.status == 200
}

/// The code of a mail that a session asked for.
async fn mailed(server: &Server, person: &Person, token: &str) -> String {
    server.clock.advance(Duration::from_secs(61));
    server.http.post_as(token, "/api/auth/two-factor/send-otp", &json!({})).await.expect(200);
    mailed_code(server, &person.email).await
}

async fn methods(server: &Server, token: &str) -> Value {
    server.http.get_as(token, "/dashboard/2fa").await.expect(200).json()["double_auth"]["methods"].clone()
}

/// Somebody with an app only, and a session whose proof is old.
async fn with_app_only(server: &Server) -> (Person, App) {
    let ann = server.person("ann").await;
    let app = ann.bind_app(server, &ann.token).await;
    server.clock.advance(STALE);
    (ann, app)
}

#[tokio::test]
async fn a_mailed_code_freshens_nothing_while_only_an_app_is_on() {
    let server = Server::start(&[]).await;
    let (ann, app) = with_app_only(&server).await;
    let code = mailed(&server, &ann, &ann.token).await;
    prove(&server, &ann.token, "verify-otp", &code).await;
    assert!(!is_fresh(&server, &ann.token).await);
    for path in ["/dashboard/2fa/AUTHENTIFICATOR", "/dashboard/account"] {
        server.http.delete_as(&ann.token, path).await.expect(401);
    }
    assert_eq!(methods(&server, &ann.token).await, json!(["AUTHENTIFICATOR"]));
    // The app's own code does.
    prove(&server, &ann.token, "verify-totp", &app.code(&server)).await.expect(200);
    assert!(is_fresh(&server, &ann.token).await);
    server.http.delete_as(&ann.token, "/dashboard/2fa/AUTHENTIFICATOR").await.expect(200);
}

#[tokio::test]
async fn a_mailed_code_and_a_backup_code_freshen_while_they_are_on() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    let codes = ann.turn_mail_on(&server, &ann.token).await["backup_codes"].clone();
    server.clock.advance(STALE);
    assert!(!is_fresh(&server, &ann.token).await);
    let code = mailed(&server, &ann, &ann.token).await;
    prove(&server, &ann.token, "verify-otp", &code).await.expect(200);
    assert!(is_fresh(&server, &ann.token).await);
    server.clock.advance(STALE);
    assert!(!is_fresh(&server, &ann.token).await);
    prove(&server, &ann.token, "verify-backup-code", codes[0].as_str().unwrap()).await.expect(200);
    assert!(is_fresh(&server, &ann.token).await);
}

#[tokio::test]
async fn an_app_that_is_only_being_set_up_freshens_nothing() {
    let server = Server::start(&[]).await;
    let ann = server.proven_person("ann").await;
    let app = ann.bind_app(&server, &ann.token).await;
    let pending = ann.begin_app(&server, &ann.token).await;
    server.clock.advance(STALE);
    let letters = letters_to(&server, &ann.email).await.len();
    let refused = prove(&server, &ann.token, "verify-totp", &pending.code(&server)).await.expect(401);
    assert_eq!(refused.json()["code"], "SESSION_NOT_FRESH");
    assert!(!is_fresh(&server, &ann.token).await);
    assert_eq!(letters_to(&server, &ann.email).await.len(), letters, "nothing was turned on");
    prove(&server, &ann.token, "verify-totp", &app.code(&server)).await.expect(200);
    prove(&server, &ann.token, "verify-totp", &pending.code(&server)).await.expect(200);
}

#[tokio::test]
async fn to_bind_an_app_beside_other_methods_makes_a_session_no_fresher() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    ann.turn_mail_on(&server, &ann.token).await;
    let app = ann.begin_app(&server, &ann.token).await;
    server.clock.advance(STALE - Duration::from_secs(10));
    prove(&server, &ann.token, "verify-totp", &app.code(&server)).await.expect(200);
    server.clock.advance(Duration::from_secs(10));
    assert!(!is_fresh(&server, &ann.token).await);
}
