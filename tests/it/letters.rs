//! What owners are told by mail, and that a letter is never lost.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::harness::{PATIENCE, Person, Process, Server, all_settings, store_url};

/// The letters in a folder, oldest first, once there are this many.
async fn letters(folder: &Path, count: usize) -> Vec<String> {
    let read = || -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.extension().is_some_and(|e| e == "eml")).collect()
    };
    let all = tokio::time::timeout(PATIENCE, async {
        loop {
            let mut found = read();
            if found.len() >= count {
                found.sort();
                return found;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    all.await
        .expect("the letters in time")
        .iter()
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect()
}

#[tokio::test]
async fn the_owner_is_told_what_changed_and_from_where() {
    let folder = tempfile::tempdir().unwrap();
    let mail = folder.path().join("mail");
    let server =
        Server::start(&[("MAIL__FOLDER", mail.to_str().unwrap()), ("MAIL__FROM", "Desk <desk@example.org>")])
            .await;
    let (ann, phone) = server.person_with_phone("ann").await;
    let told = letters(&mail, 1).await;
    for part in [
        "To: ann@example.org",
        "From: Desk <desk@example.org>",
        "Subject: A phone may approve",
        "Pixel",
        "127.0.0.1",
    ] {
        assert!(told[0].contains(part), "{part} is missing in {}", told[0]);
    }

    let change = json!({"password": "correct horse battery", "new_password": "another horse entirely"});
    server.http.post_as(&phone.token, "/dashboard/password", &change).await.expect(200);
    server.http.delete_as(&phone.token, "/dashboard/2fa/MOBILE").await.expect(200);
    server.http.post("/auth/p/register", &ann.body(&json!({}))).await.expect(400);
    let subjects: Vec<String> = letters(&mail, 4).await.iter().map(|letter| subject(letter)).collect();
    assert_eq!(
        subjects[1..],
        [
            "Your password was changed",
            "A second factor was turned off",
            "Somebody tried to register with your address"
        ]
    );
}

#[tokio::test]
async fn a_block_is_told_once_it_begins() {
    let folder = tempfile::tempdir().unwrap();
    let mail = folder.path().join("mail");
    let server = Server::start(&[("MAIL__FOLDER", mail.to_str().unwrap())]).await;
    let (ann, _phone) = server.person_with_phone("ann").await;
    for _ in 0..12 {
        ann.post("backup_code_2fa", &json!({"backup_code": "wrong"})).await;
    }
    let told = letters(&mail, 2).await;
    assert_eq!(subject(&told[1]), "Too many wrong codes");
    assert_eq!(told.len(), 2);
}

#[tokio::test]
async fn a_letter_that_can_not_be_delivered_waits_for_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let mail = folder.path().join("mail");
    // A file stands where the folder should be.
    std::fs::write(&mail, "in the way").unwrap();
    let store = store_url(folder.path()).await;
    let settings = all_settings(&[("MAIL__FOLDER", mail.to_str().unwrap())], &store, folder.path());
    let server = Process::start(&["serve"], &settings, folder.path()).await;
    let ann = Person::register(&server.http, "p", "ann@example.org").await;
    ann.bind_phone(&server).await;
    server.kill().await;
    std::fs::remove_file(&mail).unwrap();
    let _server = Process::start(&["serve"], &settings, folder.path()).await;
    assert_eq!(subject(&letters(&mail, 1).await[0]), "A phone may approve your logins");
}

fn subject(letter: &str) -> String {
    let line = letter.lines().find_map(|line| line.strip_prefix("Subject: "));
    line.expect("a subject").to_owned()
}
