//! The queue of mail: whom it serves when somebody fills it, what is told together, and that it shows nothing to who
//! reads the store.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Person, Server, dump, letters_to, mailed_code, run};

const HOUR: Duration = Duration::from_secs(3600);

/// A server whose folder for mail can't be made, since a file is in its place: whatever is promised waits.
async fn blocked(folder: &tempfile::TempDir, queue: &str) -> (Server, std::path::PathBuf) {
    let mail = folder.path().join("mail");
    std::fs::write(&mail, "in the way").unwrap();
    let settings = [("MAIL__FOLDER", mail.to_str().unwrap()), ("MAIL__QUEUE", queue)];
    (Server::start(&settings).await, mail)
}

/// The status of a request for a code.
async fn ask(server: &Server, email: &str) -> u16 {
    server.http.post("/auth/sending_email", &json!({"email": email})).await.status
}

async fn new_codes(server: &Server, person: &Person) {
    server.http.post_as(&person.token, "/auth/creation_backup_code", &json!({})).await.expect(201);
}

#[tokio::test]
async fn new_backup_codes_in_a_loop_leave_room_for_others_and_are_told_together() {
    let folder = tempfile::tempdir().unwrap();
    let (server, mail) = blocked(&folder, "3").await;
    let ann = server.proven_person("ann").await;
    ann.turn_mail_on(&server, &ann.token).await;
    for _ in 0..40 {
        new_codes(&server, &ann).await;
    }
    for name in ["bob", "cleo"] {
        server.person(name).await;
        assert_eq!(ask(&server, &format!("{name}@example.org")).await, 200);
    }
    std::fs::remove_file(&mail).unwrap();
    server.clock.advance(HOUR);
    let told = letters_to(&server, &ann.email).await;
    let told: Vec<_> = told.iter().filter(|letter| letter.subject == "You have new backup codes").collect();
    assert_eq!(told.len(), 2);
    assert!(told[1].text.contains("39 more times"), "{}", told[1].text);
}

#[tokio::test]
async fn what_is_granted_or_removed_is_told_each_time() {
    let server = Server::start(&[]).await;
    let ann = server.proven_person("ann").await;
    ann.bind_app(&server, &ann.token).await;
    for times in 1..=5 {
        ann.turn_mail_on(&server, &ann.token).await;
        server.http.delete_as(&ann.token, "/dashboard/2fa/EMAIL").await.expect(200);
        let told = letters_to(&server, &ann.email).await;
        let count = |subject: &str| told.iter().filter(|letter| letter.subject == subject).count();
        // The first is of the app.
        assert_eq!(count("A second factor was turned on"), times + 1);
        assert_eq!(count("A second factor was turned off"), times);
    }
}

#[tokio::test]
async fn codes_for_unknown_addresses_take_no_room_and_a_full_queue_is_answered_alike() {
    let folder = tempfile::tempdir().unwrap();
    let (server, _) = blocked(&folder, "2").await;
    for name in ["ann", "bob", "cleo"] {
        server.person(name).await;
    }
    for n in 0..10 {
        assert_eq!(ask(&server, &format!("nobody{n}@example.org")).await, 200);
    }
    assert_eq!(ask(&server, "ann@example.org").await, 200);
    assert_eq!(ask(&server, "bob@example.org").await, 200);
    for email in ["cleo@example.org", "nobody@example.org"] {
        assert_eq!(ask(&server, email).await, 503, "{email}");
    }
    // Before a password is looked at, too.
    for password in ["correct horse battery", "wrong"] {
        let body = json!({"username": "ann@example.org", "password": password, "provider": "Email"});
        assert_eq!(server.http.post("/users/two_step_verification_login", &body).await.status, 503);
    }
    let words = json!({"mail": "ann@example.org", "locale": "en"});
    assert_eq!(server.http.post("/auth/send-mail-login-code-v2", &words).await.status, 503);
}

#[tokio::test]
async fn a_code_that_waits_is_sealed_and_outlives_a_change_of_the_seal_key() {
    let folder = tempfile::tempdir().unwrap();
    let (mut server, mail) = blocked(&folder, "10").await;
    let ann = server.person("ann").await;
    ann.turn_mail_on(&server, &ann.token).await;
    assert_eq!(ask(&server, &ann.email).await, 200);
    let before = dump(&server).await;
    let rotated = run(&["keys", "rotate", "--seal"], server.settings(), folder.path(), "").await;
    assert_eq!(rotated.code, Some(0), "{rotated:?}");
    server.restart().await;
    std::fs::remove_file(&mail).unwrap();
    server.clock.advance(Duration::from_secs(60));
    let code = mailed_code(&server, &ann.email).await;
    let hex: String = code.bytes().map(|byte| format!("{byte:02x}")).collect();
    let waiting: Vec<_> = before.iter().filter(|(table, _)| table == "outbox").collect();
    assert!(!waiting.is_empty());
    for value in waiting.iter().flat_map(|(_, row)| row) {
        assert!(
            !value.contains(&code) && !value.contains(&hex) && !value.contains("code to log in"),
            "{value}"
        );
    }
    ann.at(&server).post("email_2fa", &json!({"token_2fa": code})).await.token();
}
