//! Rotating the root key: everything that the old key made stays good until its own end, and then the old key goes.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{
    PASSWORD, Person, Server, Socket, await_number, eventually, execute, mailed_words, number, run,
};

const DAY: Duration = Duration::from_secs(86_400);
const ROOTS: &str = "SELECT COUNT(*) FROM server_secrets WHERE name LIKE 'root%'";
const FIRST_ROOTS: &str = "SELECT COUNT(*) FROM server_secrets WHERE name = 'root'";

/// `keys rotate --root` as a process of its own, beside the server.
async fn rotate(server: &Server) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let done = run(&["keys", "rotate", "--root"], server.settings(), folder.path(), "").await;
    (done.code, done.stdout + &done.stderr)
}

/// Rotates, and waits until the new key is in force on a server with the system's clock.
async fn rotate_and_wait(server: &Server) {
    let (code, output) = rotate(server).await;
    assert_eq!(code, Some(0), "{output}");
    let newest = "SELECT MAX(CAST(SUBSTR(name, 6) AS BIGINT)) FROM server_secrets WHERE name LIKE 'root@%'";
    let from = number(server.settings(), newest).await;
    eventually("the new key is in force", || (server.clock.now().0 >= from).then_some(())).await;
}

async fn browser(server: &Server) -> (Socket, Value) {
    let mut socket = server.socket().await;
    let hello = socket.ready_login().await;
    (socket, hello)
}

#[tokio::test]
async fn values_made_before_a_root_rotation_stay_good() {
    let server = Server::start_with(&[("REFRESH__GRACE", "1h")], readylogin::clock::Clock::system()).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let code = phone.approved_code(&server, &ann).await;
    let (lost, hello) = browser(&server).await;
    drop(lost);
    let bob = server.person("bob").await;
    bob.turn_mail_on(&server, &bob.token).await;
    let trusted =
        json!({"identifier": bob.email, "password": PASSWORD, "device_fingerprint": "HJJKJ6-BKJLOI-12"});
    server.http.post("/api/v1/auth/login", &trusted).await.expect(202);
    let mut verify = trusted.clone();
    verify["otp"] = json!(bob.login_code(&server).await);
    let session = server.http.post("/api/v1/auth/2fa/verify", &verify).await.expect(200).json();
    let refresh = json!({"refresh_token": session["refresh_token"]});
    let successor = server.http.post("/api/v1/auth/refresh", &refresh).await.expect(200).json();
    let zoe = server.person("zoe").await;
    zoe.turn_mail_on(&server, &zoe.token).await;
    let mailed = zoe.login_code(&server).await;
    let carl = server.person("carl").await;
    let words = server.http.ask_words(&carl.email).await.expect(200).json();

    rotate_and_wait(&server).await;
    assert!(number(server.settings(), ROOTS).await >= 2);

    ann.exchange(&code).await.token();
    ann.post("backup_code_2fa", &json!({"backup_code": phone.backup_codes[0]})).await.token();
    let mut resumed = server.socket().await;
    let resume = json!({"action": "resumeLogin", "uuid": hello["uuid"], "resume": hello["resume"]});
    let reply = resumed.call(&resume).await;
    assert_eq!(reply["message"], "Connection ready", "{reply}");
    let shown = mailed_words(&server, &carl.email).await;
    server.http.show_words(&shown, words["mailLoginToken"].as_str().unwrap()).await.expect(200);

    server.http.post("/api/v1/auth/login", &trusted).await.expect(200);
    let again = server.http.post("/api/v1/auth/refresh", &refresh).await.expect(200).json();
    assert_eq!(again["refresh_token"], successor["refresh_token"]);
    zoe.post("email_2fa", &json!({"token_2fa": mailed})).await.token();

    // New values are made and taken, too.
    let code = phone.approved_code(&server, &ann).await;
    ann.exchange(&code).await.token();
}

#[tokio::test]
async fn an_approval_from_before_a_root_rotation_is_sent_again_on_resume() {
    let server = Server::start_with(&[], readylogin::clock::Clock::system()).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let (mut first, hello) = browser(&server).await;
    first.call(&ann.ask_frame(&hello["uuid"])).await;
    phone.answer(&hello["uuid"], true).await;
    let code = first.expect_code().await;
    rotate_and_wait(&server).await;
    let mut again = server.socket().await;
    let resume = json!({"action": "resumeLogin", "uuid": hello["uuid"], "resume": hello["resume"]});
    again.call(&resume).await;
    assert_eq!(again.expect_code().await, code);
    ann.exchange(&code).await.token();
}

/// On a manual clock that is days behind the command's: the new key's time comes when the test moves the clock there.
#[tokio::test]
async fn an_old_root_key_goes_once_nothing_of_it_is_good_any_more() {
    let mut server = Server::start(&[("DEVICE__SESSION_TTL", "300d"), ("SESSION__TTL", "200d")]).await;
    let (ann, phone) = server.person_with_phone("ann").await;
    let (code, output) = rotate(&server).await;
    assert_eq!(code, Some(0), "{output}");
    let day_of_rotation = number(
        server.settings(),
        "SELECT MAX(CAST(SUBSTR(name, 6) AS BIGINT)) FROM server_secrets WHERE name LIKE 'root@%'",
    )
    .await;
    let until = Duration::from_millis(u64::try_from(day_of_rotation - server.clock.now().0).unwrap());
    server.clock.advance(until + 31 * DAY);
    // A round of the clean-up that found the key still needed has removed something else.
    await_clean_up(&server).await;
    assert_eq!(number(server.settings(), FIRST_ROOTS).await, 1, "unused backup codes need it");
    ann.post("backup_code_2fa", &json!({"backup_code": phone.backup_codes[0]})).await.token();

    let token = ann.post("backup_code_2fa", &json!({"backup_code": phone.backup_codes[1]})).await.token();
    let fresh =
        server.http.post_as(&token, "/auth/creation_backup_code", &json!({})).await.expect(201).json();
    server.clock.advance(Duration::from_secs(60));
    await_number(server.settings(), FIRST_ROOTS, |left| left == 0).await;
    assert_eq!(number(server.settings(), ROOTS).await, 1);

    server.restart().await;
    let ann = Person::known(&server.http, "p", &ann.email);
    let code = fresh["double_auth"]["code"][0].as_str().unwrap();
    ann.post("backup_code_2fa", &json!({"backup_code": code})).await.token();
}

/// Waits until the clean-up has been through the store once more.
async fn await_clean_up(server: &Server) {
    let marker = "INSERT INTO hits (bucket, at, expires_at) VALUES ('marker', 1, 1)";
    execute(server.settings(), marker.to_owned()).await;
    server.clock.advance(Duration::from_secs(60));
    await_number(server.settings(), "SELECT COUNT(*) FROM hits WHERE bucket = 'marker'", |n| n == 0).await;
}
