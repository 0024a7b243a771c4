//! Text from strangers, over HTTP: stored and shown tame, whatever it is made of, and never a reason to fail.

use serde_json::json;

use crate::harness::{Answer, PASSWORD, Server};

/// What breaks databases, logs and screens: NUL, controls, bidirectional marks, halves of pairs, sheer length.
const STRANGE: &[&str] = &[
    "Pa\u{0}ris",
    "Pa\u{202e}ris\u{1b}[31m",
    "'; DROP TABLE accounts; --",
    "<script>alert(1)</script>",
    "$1 {} %s \\",
    "🦀\u{301}\u{fe0f}",
    "\u{feff}\r\n\t",
];

#[tokio::test]
async fn what_a_device_says_of_itself_is_shown_tame() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    let long = "x".repeat(5_000);
    for text in STRANGE.iter().copied().chain([long.as_str()]) {
        let facts = json!({
            "name_device": text, "device_type": text, "os": text, "browser": text, "location": text, "client_id": text,
            "name": text,
        });
        let token = ann.post("login", &facts).await.token();
        let devices = server.http.get_as(&token, "/dashboard/devices").await.expect(200).json();
        for device in devices["devices"].as_array().unwrap() {
            let name = device["name"].as_str().unwrap();
            assert!(name.chars().count() <= 120, "{name}");
            assert!(!name.chars().any(|c| c.is_control() || c == '\u{202e}' || c == '\u{feff}'), "{name:?}");
        }
    }
}

#[tokio::test]
async fn strange_credentials_are_wrong_and_nothing_else() {
    let server = Server::start(&[]).await;
    let (ann, _phone) = server.person_with_phone("ann").await;
    let long = "x".repeat(50_000);
    for text in STRANGE.iter().copied().chain([long.as_str()]) {
        let with_address = json!({"email": format!("{text}@example.org"), "password": PASSWORD});
        assert_eq!(server.http.post("/auth/p/login", &with_address).await.status, 401, "{text:.40}");
        assert_eq!(ann.post("login", &json!({"password": text})).await.status, 401, "{text:.40}");
        let answer: Answer = ann.post("backup_code_2fa", &json!({"backup_code": text})).await;
        assert_eq!(answer.status, 400, "{text:.40}");
        assert!([400, 423].contains(&ann.exchange(text).await.status), "{text:.40}");
    }
}

#[tokio::test]
async fn a_password_may_be_made_of_anything() {
    let server = Server::start(&[]).await;
    for (n, text) in STRANGE.iter().filter(|text| text.chars().count() >= 8).enumerate() {
        let new = |password: &str| json!({"email": format!("somebody{n}@example.org"), "password": password});
        server.http.post("/auth/p/register", &new(text)).await.token();
        server.http.post("/auth/p/login", &new(text)).await.token();
        let cut = text.split('\0').next().unwrap();
        if cut != *text {
            assert_eq!(server.http.post("/auth/p/login", &new(cut)).await.status, 401, "{text:?}");
        }
    }
}
