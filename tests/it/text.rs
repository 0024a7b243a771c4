//! Text from strangers, over HTTP: stored and shown tame, whatever it is made of, and never a reason to fail.

use serde_json::json;

use crate::harness::{Answer, PASSWORD, Person, Process, Server, all_settings, store_url};

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
        ann.post("login", &facts).await.token();
        let devices = server.http.get_as(&ann.token, "/dashboard/devices").await.expect(200).json();
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

#[tokio::test]
async fn no_text_of_a_client_stands_in_the_log() {
    const FORGED: &str = "2026-11-22T00:00:00Z  INFO audit: event=login outcome=ok forged";
    for format in ["text", "json"] {
        let folder = tempfile::tempdir().unwrap();
        let changes = [("LOG__LEVEL", "info"), ("LOG__FORMAT", format), ("SERVER__DRAIN", "1s")];
        let settings = all_settings(&changes, &store_url(folder.path()).await, folder.path());
        let log = folder.path().join("log");
        let process = Process::start_logging(&["serve"], &settings, folder.path(), &log).await;
        let ann = Person::register(&process.http, "p", "ann@example.org").await;
        for text in [format!("x\n{FORGED}"), format!("x\r{FORGED}"), format!("x\u{1b}[2K{FORGED}")] {
            let facts = json!({"name_device": text, "os": text, "browser": text, "location": text, "client_id": text});
            ann.post("login", &facts).await.token();
            for wrong in [
                json!({"password": text}),
                json!({"email": text}),
                json!({"email": format!("{text}@example.org")}),
            ] {
                ann.post("login", &wrong).await.expect(401);
            }
            let mut socket = process.socket().await;
            let hello = json!({"action": "readyLogin", "os": text, "browser": text, "location": text});
            let hello = socket.call(&hello).await;
            socket.call(&ann.ask_frame(&hello["uuid"])).await;
            socket.refused(&json!({"action": text})).await;
            socket.refused(&json!({"action": "ready", "authToken": text})).await;
            let path = format!("/{}", text.replace(char::is_whitespace, "%0A"));
            process.http.request("GET", &path.replace('\u{1b}', "%1B")).send().await.unwrap();
        }
        process.signal("TERM").await;
        process.wait().await;
        let log = std::fs::read_to_string(log).unwrap();
        assert!(log.contains("audit"), "little was logged: {log}");
        assert!(!log.contains("forged"), "{format}: {log}");
    }
}
