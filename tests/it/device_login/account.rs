//! What `account` tells: every documented key in its order, and nothing that is not so.

use std::time::Duration;

use serde_json::{Value, json};

use super::{added, log_in_by_mail, login, naming, order, post, told, verify, with_mail};
use crate::harness::{Answer, Server, mailed_code, wrong};

/// The keys of the documented answer.
const KEYS: [&str; 25] = [
    "failed_attempts",
    "id",
    "uuid",
    "email",
    "phone",
    "password_digest",
    "accountable_type",
    "accountable_id",
    "role_id",
    "remember_created_at",
    "sign_in_count",
    "current_sign_in_at",
    "last_sign_in_at",
    "current_sign_in_ip",
    "last_sign_in_ip",
    "account_confirmed_at",
    "account_confirmed",
    "unlock_token",
    "locked_at",
    "two_factor_enabled",
    "provider",
    "provider_uid",
    "created_at",
    "updated_at",
    // The last of `account` and of the whole answer.
    "}",
];

/// A login from an address that a trusted proxy names.
async fn login_from(server: &Server, ip: &str, body: &Value) -> Answer {
    let request = server.http.request("POST", "/api/v1/auth/login").header("x-forwarded-for", ip).json(body);
    Answer::read(request.send().await.unwrap()).await
}

#[tokio::test]
async fn every_key_is_there_in_order_and_true() {
    let server = Server::start(&[("SERVER__TRUSTED_PROXIES", "127.0.0.1")]).await;
    let ann =
        added(&server, "p", "Ann@Example.org", &["--verified", "--phone-number", "+41 79 123 45 67"]).await;
    let body = naming(&ann.email, &json!({}));
    let first = login_from(&server, "192.0.2.1", &body).await.expect(200);
    let mut at = first.text.find("\"account\":{").unwrap();
    assert!(first.text.starts_with("{\"status\":200,\"access_token\":\""), "{}", first.text);
    for key in KEYS {
        let key = if key == "}" { "}}".to_owned() } else { format!("\"{key}\":") };
        at += first.text[at..].find(&key).unwrap_or_else(|| panic!("{key} in {}", first.text));
    }
    let answer = first.json();
    let refresh = told(&answer, "refresh_token");
    assert!(refresh.len() == 64 && refresh.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
    let account = &answer["account"];
    assert!(account["id"].is_i64() && account["id"] == account["accountable_id"]);
    assert!(account["uuid"].as_str().unwrap().parse::<uuid::Uuid>().is_ok());
    let start = "2026-11-22T00:00:00.000Z";
    for (key, value) in [
        ("failed_attempts", json!(0)),
        ("email", json!("Ann@Example.org")),
        ("phone", json!("+41791234567")),
        ("password_digest", json!(null)),
        ("accountable_type", json!("Patient")),
        ("role_id", json!(1)),
        ("remember_created_at", json!(null)),
        ("sign_in_count", json!(1)),
        ("current_sign_in_at", json!(start)),
        ("last_sign_in_at", json!(null)),
        ("current_sign_in_ip", json!("192.0.2.1")),
        ("last_sign_in_ip", json!(null)),
        ("account_confirmed", json!(true)),
        ("unlock_token", json!(null)),
        ("locked_at", json!(null)),
        ("two_factor_enabled", json!(false)),
        ("provider", json!("local")),
        ("provider_uid", json!(null)),
    ] {
        assert_eq!(account[key], value, "{key}");
    }
    for key in ["account_confirmed_at", "created_at", "updated_at"] {
        let time = told(account, key);
        assert!(time.len() == start.len() && time.ends_with('Z'), "{key}: {time}");
    }
}

#[tokio::test]
async fn counters_times_and_addresses_move_with_each_login() {
    let server = Server::start(&[("SERVER__TRUSTED_PROXIES", "127.0.0.1")]).await;
    let ann = server.person("ann").await;
    let right = naming(&ann.email, &json!({}));
    let mut wrong = right.clone();
    wrong["password"] = json!("wrong password");
    let mut before: Option<Value> = None;
    for n in 1..=4_u64 {
        server.clock.advance(Duration::from_millis(90_061_001));
        let ip = format!("192.0.2.{n}");
        for _ in 0..n {
            login_from(&server, "203.0.113.9", &wrong).await.expect(401);
        }
        let account = login_from(&server, &ip, &right).await.expect(200).json()["account"].clone();
        assert_eq!(account["failed_attempts"], n);
        assert_eq!(account["current_sign_in_ip"], json!(ip));
        if let Some(before) = before {
            assert_eq!(account["sign_in_count"], before["sign_in_count"].as_u64().unwrap() + 1);
            assert_eq!(account["last_sign_in_at"], before["current_sign_in_at"]);
            assert_eq!(account["last_sign_in_ip"], before["current_sign_in_ip"]);
            assert_ne!(account["last_sign_in_at"], account["current_sign_in_at"]);
        }
        before = Some(account);
    }
    // Logins on other surfaces are logins, and wrong passwords there are wrong passwords.
    ann.post("login", &json!({"password": "wrong password"})).await.expect(401);
    ann.post("login", &json!({})).await.token();
    let account = login(&server, &ann, &json!({})).await.expect(200).json()["account"].clone();
    assert_eq!(account["sign_in_count"], before.unwrap()["sign_in_count"].as_u64().unwrap() + 2);
    assert_eq!(account["failed_attempts"], 0);
}

#[tokio::test]
async fn what_two_factor_login_does_to_an_account_is_told() {
    let server = Server::start(&[]).await;
    let ann = with_mail(&server, "ann").await;
    let fingerprint = json!({"device_fingerprint": "HJJKJ6-BKJLOI-12"});
    server.clock.advance(Duration::from_secs(3600));
    let account = log_in_by_mail(&server, &ann, &fingerprint).await["account"].clone();
    // The code that came back has proven the address, and the device is trusted from now on.
    let now = "2026-11-22T01:00:00.000Z";
    assert_eq!(
        (&account["account_confirmed_at"], &account["account_confirmed"]),
        (&json!(now), &json!(true))
    );
    assert_eq!(account["remember_created_at"], now);
    assert_eq!((&account["two_factor_enabled"], &account["locked_at"]), (&json!(true), &json!(null)));
    // A block is told to the trusted device, for as long as it lasts.
    for _ in 0..10 {
        verify(&server, &ann, "000000", &json!({})).await;
    }
    let locked = login(&server, &ann, &fingerprint).await.expect(200).json()["account"].clone();
    assert_eq!(locked["locked_at"], now);
    server.clock.advance(Duration::from_secs(900));
    let free = login(&server, &ann, &fingerprint).await.expect(200).json()["account"].clone();
    assert_eq!(free["locked_at"], json!(null));
}

#[tokio::test]
async fn an_account_s_kind_is_told_by_name_and_place() {
    let settings = [("ACCOUNTS__KINDS", "p, n:nurse, d"), ("ACCOUNTS__REGISTRATION", "p, n, d")];
    let server = Server::start(&settings).await;
    for (kind, name, place) in [("p", "Patient", 1), ("n", "Nurse", 2), ("d", "Doctor", 3)] {
        let person = server.person_of(kind, "ann").await;
        let account =
            login(&server, &person, &json!({"type": kind})).await.expect(200).json()["account"].clone();
        assert_eq!((&account["accountable_type"], &account["role_id"]), (&json!(name), &json!(place)));
    }
    // Without a type the oldest is meant, and a proven address comes first.
    let account = async || {
        let body = naming("ann@example.org", &json!({}));
        post(&server, "login", &body).await.expect(200).json()["account"]["accountable_type"].clone()
    };
    assert_eq!(account().await, "Patient");
    added(&server, "d", "bob@example.org", &["--verified"]).await;
    server.person("bob").await;
    let body = naming("bob@example.org", &json!({}));
    assert_eq!(
        post(&server, "login", &body).await.expect(200).json()["account"]["accountable_type"],
        "Doctor"
    );
    for none in ["x", "P", "", "patient"] {
        post(&server, "login", &naming("ann@example.org", &json!({"type": none}))).await.expect(422);
    }
}

#[tokio::test]
async fn without_a_type_verified_come_before_vouched_and_those_before_the_oldest_registered() {
    let server = Server::start(&[]).await;
    let meant = async || {
        let body = naming("ann@example.org", &json!({}));
        post(&server, "login", &body).await.expect(200).json()["account"]["accountable_type"].clone()
    };
    // Registered ones: the oldest, whichever kind comes first in the list.
    server.person_of("d", "ann").await;
    server.clock.advance(Duration::from_secs(60));
    server.person_of("p", "ann").await;
    assert_eq!(meant().await, "Doctor");
    // One that an operator made is younger, of the last kind, and not verified.
    added(&server, "a", "ann@example.org", &[]).await;
    assert_eq!(meant().await, "Admin");
    // One whose address was proven.
    let patient = json!({"type": "p"});
    let proof = server.mail_proof("ann@example.org").await;
    let recovery = json!({"type": "p", "password": crate::harness::PASSWORD});
    server.http.mail_auth("recover-password", &proof, &recovery).await.expect(200);
    assert_eq!(meant().await, "Patient");
    post(&server, "login", &naming("ann@example.org", &patient)).await.expect(200);
}

#[tokio::test]
async fn a_stopped_account_is_told_so_after_the_right_password_alone() {
    let server = Server::start(&[]).await;
    let ann = with_mail(&server, "ann").await;
    login(&server, &ann, &json!({})).await.expect(202);
    let code = mailed_code(&server, &ann.email).await;
    // Between the first step and the second.
    order(&server, &ann, "disable").await;
    let (message, error) = super::refusal(verify(&server, &ann, &code, &json!({})).await, 403);
    assert_eq!((message.as_str(), error.as_str()), ("Ce compte est désactivé.", "disabled"));
    super::refusal(verify(&server, &ann, &wrong(&code), &json!({})).await, 403);
    super::refusal(login(&server, &ann, &json!({})).await, 403);
    super::refusal(login(&server, &ann, &json!({"password": "wrong password"})).await, 401);
    super::refusal(verify(&server, &ann, &code, &json!({"password": "wrong password"})).await, 401);
    // Nothing of it was counted or spent.
    order(&server, &ann, "enable").await;
    verify(&server, &ann, &code, &json!({})).await.expect(200);
}
