//! What owners are told by mail, and that a letter is never lost.

use std::path::Path;

use serde_json::json;

use crate::harness::{
    Mail, PASSWORD, Person, Process, Server, all_settings, await_mail, eventually, execute, letters_to,
    mails, mails_in, store_url,
};

/// The letters in a folder, oldest first, once there are this many.
async fn letters(folder: &Path, count: usize) -> Vec<Mail> {
    let enough = || Some(mails_in(folder)).filter(|found| found.len() >= count);
    eventually(&format!("letter {count}"), enough).await
}

#[tokio::test]
async fn the_owner_is_told_what_changed_and_from_where() {
    let server = Server::start(&[("MAIL__FROM", "Desk <desk@example.org>")]).await;
    let (ann, phone) = server.proven_person_with_phone("ann").await;
    let told = await_mail(&server, "ann@example.org", 1).await;
    assert_eq!(told.header("From").unwrap(), "Desk <desk@example.org>");
    assert_eq!(told.subject, "A phone may approve your logins");
    for part in ["Pixel", "127.0.0.1"] {
        assert!(told.text.contains(part) && told.html.contains(part), "{part} is missing in {}", told.raw);
    }

    let change = json!({"password": "correct horse battery", "new_password": "another horse entirely"});
    server.http.post_as(&phone.token, "/dashboard/password", &change).await.expect(200);
    server.http.delete_as(&phone.token, "/dashboard/2fa/MOBILE").await.expect(200);
    server.http.post("/auth/p/register", &ann.body(&json!({}))).await.expect(400);
    await_mail(&server, "ann@example.org", 4).await;
    let subjects: Vec<String> = mails(&server).into_iter().map(|mail| mail.subject).collect();
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
    let server = Server::start(&[]).await;
    let (ann, _phone) = server.proven_person_with_phone("ann").await;
    for _ in 0..12 {
        ann.post("backup_code_2fa", &json!({"backup_code": "wrong"})).await;
    }
    assert_eq!(await_mail(&server, "ann@example.org", 2).await.subject, "Too many wrong codes");
    assert_eq!(mails(&server).len(), 2);
}

#[tokio::test]
async fn a_letter_that_can_not_be_delivered_waits_for_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let mail = folder.path().join("mail");
    // A file stands where the folder should be.
    std::fs::write(&mail, "in the way").unwrap();
    let store = store_url(folder.path()).await;
    // A server that ends in the middle of a delivery holds the letter for so long and five seconds more.
    let mine = [("MAIL__FOLDER", mail.to_str().unwrap()), ("MAIL__TIMEOUT", "1s")];
    let settings = all_settings(&mine, &store, folder.path());
    let server = Process::start(&["serve"], &settings, folder.path()).await;
    let ann = Person::register(&server.http, "p", "ann@example.org").await;
    execute(&settings, "UPDATE accounts SET verified = 1".to_owned()).await;
    ann.bind_phone(&server).await;
    server.kill().await;
    std::fs::remove_file(&mail).unwrap();
    let _server = Process::start(&["serve"], &settings, folder.path()).await;
    assert_eq!(letters(&mail, 1).await[0].subject, "A phone may approve your logins");
}

#[tokio::test]
async fn an_address_that_was_not_proven_gets_codes_and_no_notices() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    let token = ann.post("login", &json!({"name_device": "win at evil.example"})).await.token();
    ann.bind_with(&server, token.clone()).await;
    let new = json!({"password": PASSWORD, "new_password": "another horse entirely"});
    server.http.post_as(&token, "/dashboard/password", &new).await.expect(200);
    let again = json!({"email": ann.email, "password": PASSWORD, "name": "win at evil.example"});
    server.http.post("/auth/p/register", &again).await.expect(400);
    ann.login_code(&server).await;
    let subjects = async || -> Vec<String> {
        letters_to(&server, &ann.email).await.into_iter().map(|letter| letter.subject).collect()
    };
    assert_eq!(subjects().await, ["Your login code"]);

    server.prove_address(&ann.email).await;
    server.http.post("/auth/p/register", &again).await.expect(400);
    assert_eq!(subjects().await[1..], ["Somebody tried to register with your address"]);
}
