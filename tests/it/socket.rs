//! The roles on the socket: which clients may be ready, which may ask, and their replies (docs/protocol.md, "The
//! socket").

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{PASSWORD, Server, Socket, run};

const DAY: Duration = Duration::from_secs(86_400);

fn ready(token: &str) -> Value {
    json!({"action": "ready", "authToken": token})
}

fn scan(uuid: &Value, email: &str) -> Value {
    json!({"action": "askMobileConnection", "uuid": uuid, "type": "p", "email": email})
}

/// The whole refusal, word for word.
async fn check_refused(socket: &mut Socket, frame: &Value, message: &str, code: &str) {
    let reply = socket.call(frame).await;
    assert_eq!(reply, json!({"message": message, "error": code}), "to {frame}");
}

async fn waiting_browser(server: &Server) -> (Socket, Value) {
    let mut browser = server.socket().await;
    let uuid = browser.ready_login().await["uuid"].clone();
    (browser, uuid)
}

#[tokio::test]
async fn a_phone_that_is_ready_gets_a_fresh_token() {
    let server = Server::start(&[]).await;
    let (_, phone) = server.person_with_phone("ann").await;
    server.clock.advance(Duration::from_secs(5));
    let mut socket = server.socket().await;
    let reply = socket.call(&ready(&phone.token)).await;
    assert_eq!(reply["message"], "Connection ready");
    assert_eq!(reply.get("approving"), None);
    let fresh = reply["token"].as_str().unwrap();
    assert_ne!(fresh, phone.token);
    server.http.get_as(fresh, "/dashboard/devices").await.expect(200);
    assert_eq!(server.socket().await.call(&ready(fresh)).await["message"], "Connection ready");
}

#[tokio::test]
async fn a_device_that_does_not_approve_hears_so_and_sees_no_asks() {
    let server = Server::start(&[]).await;
    let (ann, phone) = server.person_with_phone("ann").await;
    let token = ann.laptop(&phone.backup_codes[0]).await;
    let mut laptop = server.socket().await;
    let reply = laptop.call(&ready(&token)).await;
    assert_eq!([&reply["message"], &reply["approving"]], [&json!("Connection ready"), &json!(false)]);
    let _browser = ann.asking_browser(&server).await;
    laptop.expect_nothing_more().await;
    assert_eq!(laptop.call(&ready(&token)).await["approving"], false);
    laptop.expect_nothing_more().await;
}

#[tokio::test]
async fn a_revoked_phone_drops_at_once_and_can_not_come_back() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let mut other = ann.bind_another_phone(&server, &phone.backup_codes[0]).await;
    let path = format!("/dashboard/device/{}", phone.device);
    server.http.delete_as(&other.token, &path).await.expect(200);
    phone.socket.expect_close(4003).await;

    let (_browser, uuid) = ann.asking_browser(&server).await;
    let mut again = server.socket().await;
    check_refused(&mut again, &ready(&phone.token), "Not authenticated", "not_authenticated").await;
    let answer = phone.answer_frame(&uuid, true);
    check_refused(&mut again, &answer, "Not authenticated", "not_authenticated").await;
    other.answer(&uuid, true).await;
}

#[tokio::test]
async fn a_token_that_is_not_ours_makes_nobody_ready() {
    let server = Server::start(&[]).await;
    let (_, phone) = server.person_with_phone("ann").await;
    let (body, signature) = phone.token.rsplit_once('.').unwrap();
    let claims = body.split_once('.').unwrap().1;
    let twisted = signature.chars().rev().collect::<String>();
    let forged = [
        "",
        "x",
        "a.b.c",
        &format!("{body}."),
        &format!("{body}.{twisted}"),
        &format!("e30.{claims}.{signature}"),
    ]
    .map(str::to_owned);
    let mut socket = server.socket().await;
    for token in forged {
        check_refused(&mut socket, &ready(&token), "Not authenticated", "not_authenticated").await;
    }
}

#[tokio::test]
async fn an_old_token_opens_the_socket_for_ever_but_nothing_else() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let laptop = ann.laptop(&phone.backup_codes[0]).await;
    server.clock.advance(Duration::from_secs(2 * 3600));
    server.http.get_as(&phone.token, "/dashboard/devices").await.expect(401);
    phone.reconnect(&server).await;
    let (mut browser, uuid) = ann.asking_browser(&server).await;
    phone.answer(&uuid, true).await;
    ann.exchange(&browser.expect_code().await).await.token();
    let frame = ready(&laptop);
    check_refused(&mut server.socket().await, &frame, "Not authenticated", "not_authenticated").await;
}

#[tokio::test]
async fn a_phone_that_is_used_stays_and_one_that_is_not_goes() {
    let server = Server::start(&[]).await;
    let (_, mut phone) = server.person_with_phone("ann").await;
    for _ in 0..3 {
        server.clock.advance(60 * DAY);
        phone.reconnect(&server).await;
    }
    server.clock.advance(91 * DAY);
    let frame = ready(&phone.token);
    check_refused(&mut server.socket().await, &frame, "Not authenticated", "not_authenticated").await;
}

#[tokio::test]
async fn a_phone_that_only_answers_stays_too() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    for _ in 0..3 {
        server.clock.advance(60 * DAY);
        let (_browser, uuid) = ann.asking_browser(&server).await;
        phone.answer(&uuid, true).await;
    }
}

#[tokio::test]
async fn actions_are_trimmed_uuids_read_in_any_case_and_a_clients_own_is_ignored() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let mut browser = server.socket().await;
    let own = "11111111-1111-4111-8111-111111111111";
    let hello = json!({"action": " readyLogin\t", "uuid": own, "os": "", "browser": "", "location": ""});
    let uuid = browser.call(&hello).await["uuid"].clone();
    assert_ne!(uuid, own);
    assert_eq!(uuid.as_str().unwrap().as_bytes()[14], b'4');

    let loud = json!(uuid.as_str().unwrap().to_uppercase());
    assert_eq!(browser.call(&ann.ask_frame(&loud)).await["message"], "Message sent");
    assert_eq!(phone.socket.expect("ask_mobile_connection").await["uuid"], uuid);
    let mut answer = phone.answer_frame(&loud, true);
    answer["action"] = json!("responseMobileConnection ");
    assert_eq!(phone.socket.call(&answer).await["message"], "Message sent");
    browser.expect_code().await;
}

#[tokio::test]
async fn a_second_ready_login_replaces_the_first() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let (mut browser, old) = ann.asking_browser(&server).await;
    phone.socket.expect("ask_mobile_connection").await;

    let new = browser.ready_login().await["uuid"].clone();
    assert_ne!(old, new);
    let gone = phone.socket.expect("resolved_mobile_connection").await;
    assert_eq!([&gone["uuid"], &gone["response"], &gone["reason"]], [&old, &json!(false), &json!("gone")]);
    assert_eq!(phone.socket.refused(&phone.answer_frame(&old, true)).await, "expired");
    assert_eq!(browser.refused(&ann.ask_frame(&old)).await, "not_authenticated");
    browser.expect_nothing_more().await;

    assert_eq!(browser.call(&ann.ask_frame(&new)).await["message"], "Message sent");
    phone.answer(&new, true).await;
    ann.exchange(&browser.expect_code().await).await.token();
}

#[tokio::test]
async fn a_second_ask_replaces_the_first_even_of_another_account() {
    let server = Server::start(&[]).await;
    let (ann, mut anns) = server.person_with_phone("ann").await;
    let (bob, mut bobs) = server.person_with_phone("bob").await;
    let (mut browser, uuid) = ann.asking_browser(&server).await;
    anns.socket.expect("ask_mobile_connection").await;
    assert_eq!(browser.call(&bob.ask_frame(&uuid)).await["message"], "Message sent");
    assert_eq!(anns.socket.expect("resolved_mobile_connection").await["reason"], "replaced");
    assert_eq!(anns.socket.refused(&anns.answer_frame(&uuid, true)).await, "wrong_account");
    bobs.answer(&uuid, true).await;
    let code = browser.expect_code().await;
    ann.exchange(&code).await.refusal(400);
    bob.exchange(&code).await.token();
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_account_look_alike_and_bind_nothing() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let (mut browser, uuid) = waiting_browser(&server).await;
    let wrong = [
        ("password", "not the password"),
        ("email", "nobody@example.org"),
        ("email", "no\0body"),
        ("type", "d"),
    ];
    for (field, value) in wrong {
        let mut ask = ann.ask_frame(&uuid);
        ask[field] = json!(value);
        check_refused(&mut browser, &ask, "username and password mismatch", "bad_credentials").await;
    }
    phone.socket.expect_nothing_more().await;
    assert_eq!(phone.socket.refused(&phone.answer_frame(&uuid, true)).await, "not_asked");
    assert_eq!(browser.call(&ann.ask_frame(&uuid)).await["message"], "Message sent");
    phone.answer(&uuid, true).await;
}

#[tokio::test]
async fn a_disabled_account_is_told_after_the_right_password_only() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let (mut browser, uuid) = waiting_browser(&server).await;
    let folder = tempfile::tempdir().unwrap();
    let command = ["account", "disable", "--kind", "p", "--email", &ann.email];
    let done = run(&command, server.settings(), folder.path(), "").await;
    assert_eq!(done.code, Some(0), "{done:?}");

    let mut wrong = ann.ask_frame(&uuid);
    wrong["password"] = json!("not the password");
    check_refused(&mut browser, &wrong, "username and password mismatch", "bad_credentials").await;
    let ask = ann.ask_frame(&uuid);
    check_refused(&mut browser, &ask, "Not authorized, this account is disable", "disabled").await;
    server.clock.advance(Duration::from_secs(1));
    phone.socket.expect_close(4003).await;
}

#[tokio::test]
async fn after_an_answer_nobody_asks_again() {
    let server = Server::start(&[("SERVER__PUBLIC_URL", "http://localhost:1")]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let (mut browser, uuid) = ann.asking_browser(&server).await;
    // The phone answers at another node, so the browser's socket is still open.
    let twin = server.twin().await;
    phone.reconnect(&twin).await;
    phone.answer(&uuid, true).await;
    assert_eq!(browser.refused(&ann.ask_frame(&uuid)).await, "already_answered");
}

#[tokio::test]
async fn the_reply_to_an_ask_does_not_tell_whether_there_is_a_phone() {
    let server = Server::start(&[]).await;
    let without = server.person("without").await;
    let (online, _phone) = server.person_with_phone("online").await;
    let (offline, phone) = server.person_with_phone("offline").await;
    phone.socket.vanish();
    let mut replies = Vec::new();
    for person in [without, online, offline] {
        let (mut browser, uuid) = waiting_browser(&server).await;
        replies.push(browser.call(&person.ask_frame(&uuid)).await);
        browser.expect_nothing_more().await;
    }
    assert_eq!(replies[0], json!({"message": "Message sent", "expiresIn": 120}));
    assert!(replies.iter().all(|reply| *reply == replies[0]), "{replies:?}");
}

#[tokio::test]
async fn only_an_approving_phone_of_the_account_asks_for_somebody_elses_browser() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let (_bob, mut bobs) = server.person_with_phone("bob").await;
    let (mut browser, uuid) = waiting_browser(&server).await;

    let (mut thief, _) = waiting_browser(&server).await;
    assert_eq!(thief.refused(&ann.ask_frame(&uuid)).await, "not_authenticated");
    assert_eq!(server.socket().await.refused(&scan(&uuid, &ann.email)).await, "not_authenticated");
    let mut laptop = server.socket().await;
    let token = ann.laptop(&phone.backup_codes[0]).await;
    assert_eq!(laptop.call(&ready(&token)).await["approving"], false);
    assert_eq!(laptop.refused(&ann.ask_frame(&uuid)).await, "not_authenticated");
    assert_eq!(bobs.socket.refused(&scan(&uuid, &ann.email)).await, "wrong_account");
    assert_eq!(bobs.socket.refused(&ann.ask_frame(&uuid)).await, "wrong_account");
    let mut doctor = scan(&uuid, &ann.email);
    doctor["type"] = json!("d");
    assert_eq!(phone.socket.refused(&doctor).await, "wrong_account");
    let mut wrong = ann.ask_frame(&uuid);
    wrong["password"] = json!("not the password");
    assert_eq!(phone.socket.refused(&wrong).await, "bad_credentials");
    let unknown = json!("00000000-0000-4000-8000-000000000000");
    assert_eq!(phone.socket.refused(&scan(&unknown, &ann.email)).await, "expired");
    browser.expect_nothing_more().await;
    phone.socket.expect_nothing_more().await;
}

#[tokio::test]
async fn a_scan_never_replaces_what_the_browser_asked() {
    let server = Server::start(&[]).await;
    let (ann, mut anns) = server.person_with_phone("ann").await;
    let (bob, mut bobs) = server.person_with_phone("bob").await;
    let (mut browser, uuid) = ann.asking_browser(&server).await;
    anns.socket.expect("ask_mobile_connection").await;
    assert_eq!(bobs.socket.refused(&scan(&uuid, &bob.email)).await, "already_asked");
    assert_eq!(anns.socket.refused(&scan(&uuid, &ann.email)).await, "already_asked");
    browser.expect_nothing_more().await;
    assert_eq!(anns.socket.call(&anns.answer_frame(&uuid, true)).await["message"], "Message sent");
    ann.exchange(&browser.expect_code().await).await.token();
}

#[tokio::test]
async fn a_phone_may_scan_twice_and_the_browser_may_still_ask() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let mut other = ann.bind_another_phone(&server, &phone.backup_codes[0]).await;
    let (bob, mut bobs) = server.person_with_phone("bob").await;
    let (mut browser, uuid) = waiting_browser(&server).await;
    for _ in 0..2 {
        let ask = phone.socket.call(&scan(&uuid, &ann.email)).await;
        assert_eq!([&ask["action"], &ask["uuid"]], [&json!("ask_mobile_connection"), &uuid]);
        browser.expect_message("Message sent").await;
    }
    phone.socket.expect_nothing_more().await;
    other.socket.expect("ask_mobile_connection").await;
    other.socket.expect_nothing_more().await;
    assert_eq!(bobs.socket.refused(&scan(&uuid, &bob.email)).await, "already_asked");

    assert_eq!(browser.call(&bob.ask_frame(&uuid)).await["message"], "Message sent");
    for phone in [&mut phone, &mut other] {
        assert_eq!(phone.socket.expect("resolved_mobile_connection").await["reason"], "replaced");
    }
    bobs.answer(&uuid, true).await;
    bob.exchange(&browser.expect_code().await).await.token();
}

#[tokio::test]
async fn messages_out_of_order_or_twice_are_refused_and_change_nothing() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let uuid = json!("00000000-0000-4000-8000-000000000000");
    let mut browser = server.socket().await;
    assert_eq!(browser.refused(&ann.ask_frame(&uuid)).await, "not_authenticated");
    assert_eq!(browser.refused(&phone.answer_frame(&uuid, true)).await, "expired");
    let resume = json!({"action": "resumeLogin", "uuid": uuid, "resume": "x"});
    assert_eq!(browser.refused(&resume).await, "expired");
    let mut unknown = ann.ask_frame(&browser.ready_login().await["uuid"]);
    unknown["type"] = json!("zebra");
    check_refused(&mut browser, &unknown, "Bad message", "bad_message").await;
    check_refused(&mut browser, &json!({"action": "fly"}), "Forbidden", "unknown_action").await;
    phone.socket.expect_nothing_more().await;
    assert_eq!(phone.socket.call(&ready(&phone.token)).await["message"], "Connection ready");
}

#[tokio::test]
async fn a_browser_sees_a_uuid_in_the_replies_to_ready_login_and_resume_only() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let mut browser = server.socket().await;
    let hello = browser.ready_login().await;
    let uuid = &hello["uuid"];
    let mut frames = vec![browser.call(&ann.ask_frame(uuid)).await];
    let mut wrong = ann.ask_frame(uuid);
    wrong["password"] = json!(format!("{PASSWORD} "));
    frames.push(browser.call(&wrong).await);
    frames.push(browser.call(&json!({"action": "fly", "uuid": uuid})).await);
    let mut second = server.socket().await;
    let resumed =
        second.call(&json!({"action": "resumeLogin", "uuid": uuid, "resume": hello["resume"]})).await;
    assert_eq!(resumed["uuid"], *uuid);
    phone.answer(uuid, false).await;
    frames.push(second.receive().await);
    assert_eq!(frames.len(), 4);
    assert!(frames.iter().all(|frame| frame.get("uuid").is_none()), "{frames:?}");
}
