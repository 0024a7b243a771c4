//! Before the password is proven nobody learns whether an address has an account: same words, same headers. (That it is
//! the same time, too, is tested in `timing`.)

use serde_json::{Value, json};

use crate::harness::{Answer, Phone, Server, run};

/// An account in each of the states that must not show, and the phone that one of them has.
pub(crate) async fn accounts(server: &Server) -> Phone {
    server.person("plain").await;
    server.person("disabled").await;
    let blocked = server.person("blocked").await;
    for _ in 0..10 {
        blocked.post("mobile_2fa", &json!({"token_2fa": "000000"})).await.expect(400);
    }
    blocked.post("mobile_2fa", &json!({"token_2fa": "000000"})).await.expect(423);
    server.person_of("d", "doctor").await;
    let (_, phone) = server.person_with_phone("phone").await;
    let arguments = ["account", "disable", "--kind", "p", "--email", "disabled@example.org"];
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run(&arguments, server.settings(), folder.path(), "").await.code, Some(0));
    phone
}

/// Whom a stranger may name: nobody, everybody of [`accounts`], and what is no address at all.
const NAMED: &[&str] = &[
    "unknown@example.org",
    "plain@example.org",
    "PLAIN@example.org",
    "disabled@example.org",
    "blocked@example.org",
    "doctor@example.org",
    "phone@example.org",
    "no address",
    "",
];

/// All of an answer but its date.
fn told(answer: &Answer) -> String {
    let mut headers: Vec<_> = answer.headers.iter().filter(|(name, _)| *name != "date").collect();
    headers.sort_by_key(|(name, _)| name.as_str());
    format!("{} {headers:?} {}", answer.status, answer.text)
}

#[tokio::test]
async fn http_answers_are_the_same_to_the_letter() {
    let server = Server::start(&[]).await;
    let phone = accounts(&server).await;
    for route in ["login", "mobile_2fa", "email_2fa", "backup_code_2fa", "third_party_2fa"] {
        let mut answers = Vec::new();
        for email in NAMED {
            let body = json!({
                "email": email, "password": "wrong password",
                "token_2fa": "A".repeat(43), "backup_code": phone.backup_codes[0],
            });
            answers.push(told(&server.http.post(&format!("/auth/p/{route}"), &body).await.expect(401)));
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "{route}: {answers:#?}");
    }
}

#[tokio::test]
async fn socket_answers_are_the_same_to_the_letter() {
    let server = Server::start(&[]).await;
    let _phone = accounts(&server).await;
    let mut browser = server.socket().await;
    let uuid = browser.ready_login().await["uuid"].clone();
    for email in NAMED {
        let ask = json!({"action": "askMobileConnection", "uuid": uuid, "type": "p", "email": email, "password": "wrong password"});
        let mismatch = json!({"message": "username and password mismatch", "error": "bad_credentials"});
        assert_eq!(browser.call(&ask).await, mismatch, "{email}");
    }
}

#[tokio::test]
async fn throttles_are_the_same_to_the_letter() {
    let server = Server::start(&[("LIMITS__FACTOR", "0.5")]).await;
    server.person("plain").await;
    let mut answers = Vec::new();
    for email in ["plain@example.org", "unknown@example.org"] {
        let body = json!({"email": email, "password": "wrong password"});
        for _ in 0..5 {
            server.http.post("/auth/p/login", &body).await.expect(401);
        }
        answers.push(told(&server.http.post("/auth/p/login", &body).await.expect(429)));
    }
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn an_ask_that_nobody_can_see_is_answered_like_one_that_somebody_can() {
    let server = Server::start(&[]).await;
    let (online, _phone) = server.person_with_phone("online").await;
    let (offline, phone) = server.person_with_phone("offline").await;
    phone.socket.vanish();
    let without = server.person("without").await;
    let mut told: Vec<Value> = Vec::new();
    for person in [&online, &offline, &without] {
        let mut browser = server.socket().await;
        let uuid = browser.ready_login().await["uuid"].clone();
        told.push(browser.call(&person.ask_frame(&uuid)).await);
    }
    assert!(told.iter().all(|frame| *frame == told[0]), "{told:?}");
}

#[tokio::test]
async fn the_other_surfaces_answer_the_same_to_the_letter() {
    let server = Server::start(&[]).await;
    let _phone = accounts(&server).await;
    let addresses = NAMED.iter().filter(|name| name.contains('@'));
    let mut answers = vec![Vec::new(); 3];
    for email in addresses {
        let sign_in = json!({"email": email, "password": "wrong password"});
        answers[0].push(told(&server.http.post("/api/auth/sign-in/email", &sign_in).await.expect(401)));
        let first = json!({"username": email, "password": "wrong password", "provider": "Email"});
        let path = "/users/two_step_verification_login";
        answers[1].push(told(&server.http.post(path, &first).await.expect(401)));
        let second = json!({"email": email, "provider": "Email", "token": "123456"});
        let path = "/users/two_step_verification_confirm";
        answers[2].push(told(&server.http.post(path, &second).await.expect(400)));
    }
    for mut same in answers {
        same.dedup();
        assert_eq!(same.len(), 1, "{same:#?}");
    }
}

#[tokio::test]
async fn after_the_password_the_owner_is_told() {
    let server = Server::start(&[]).await;
    let _phone = accounts(&server).await;
    let named =
        |name: &str| json!({"email": format!("{name}@example.org"), "password": crate::harness::PASSWORD});
    let refusal = server.http.post("/auth/p/login", &named("disabled")).await.refusal(403);
    assert_eq!(refusal, "Not authorized, this account is disable");
    let mut browser = server.socket().await;
    let mut ask = named("disabled");
    ask["action"] = json!("askMobileConnection");
    ask["type"] = json!("p");
    ask["uuid"] = browser.ready_login().await["uuid"].clone();
    assert_eq!(browser.refused(&ask).await, "disabled");
    server.http.post("/auth/p/login", &named("blocked")).await.expect(200);
}
