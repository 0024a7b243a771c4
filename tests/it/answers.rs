//! A phone's answer: taken once, from those that were asked, in time, and final (docs/protocol.md, "Phone frames").

use std::time::Duration;

use serde_json::{Value, json};

use crate::bad_frames::{Raw, frame};
use crate::harness::{Person, Phone, Server, Socket};

const ASK_TTL: Duration = Duration::from_secs(120);

fn over() -> Value {
    json!({"message": "The connection has expired", "error": "expired"})
}

/// Somebody with two phones that show an ask, and the browser that asked.
async fn two_phones(server: &Server) -> (Person, Phone, Phone, Socket, Value) {
    let (ann, mut first) = server.person_with_phone("ann").await;
    let mut second = ann.bind_another_phone(server, &first.backup_codes[0]).await;
    let (browser, uuid) = ann.asking_browser(server).await;
    for phone in [&mut first, &mut second] {
        assert_eq!(phone.socket.expect("ask_mobile_connection").await["uuid"], uuid);
    }
    (ann, first, second, browser, uuid)
}

#[tokio::test]
async fn an_answer_nobody_asked_for_is_told_apart_from_one_about_nothing() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let mut browser = server.socket().await;
    let uuid = browser.ready_login().await["uuid"].clone();
    let reply = phone.socket.call(&phone.answer_frame(&uuid, true)).await;
    assert_eq!(reply, json!({"message": "No login was asked for", "error": "not_asked"}));
    let nothing = json!("00000000-0000-4000-8000-000000000000");
    assert_eq!(phone.socket.call(&phone.answer_frame(&nothing, true)).await, over());
    // The early answer is not kept for later.
    assert_eq!(browser.call(&ann.ask_frame(&uuid)).await["message"], "Message sent");
    browser.expect_nothing_more().await;
    phone.answer(&uuid, true).await;
    browser.expect_code().await;
}

#[tokio::test]
async fn only_phones_of_the_asked_account_answer() {
    let server = Server::start(&[]).await;
    let (ann, mut anns) = server.person_with_phone("ann").await;
    let (_bob, mut bobs) = server.person_with_phone("bob").await;
    let (mut browser, uuid) = ann.asking_browser(&server).await;
    for response in [true, false] {
        assert_eq!(bobs.socket.refused(&bobs.answer_frame(&uuid, response)).await, "wrong_account");
    }
    let mut foreign = anns.answer_frame(&uuid, true);
    foreign["authToken"] = json!(bobs.token);
    assert_eq!(server.socket().await.refused(&foreign).await, "wrong_account");
    browser.expect_nothing_more().await;
    anns.answer(&uuid, true).await;
    ann.exchange(&browser.expect_code().await).await.token();
    assert_eq!(bobs.socket.refused(&bobs.answer_frame(&uuid, true)).await, "wrong_account");
}

#[tokio::test]
async fn the_token_of_the_answer_decides_not_the_socket() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let (mut browser, uuid) = ann.asking_browser(&server).await;
    phone.socket.expect("ask_mobile_connection").await;
    let mut answer = phone.answer_frame(&uuid, true);
    answer["authToken"] = json!(ann.laptop(&phone.backup_codes[0]).await);
    let reply = phone.socket.call(&answer).await;
    assert_eq!(reply, json!({"message": "Device not found in the token", "error": "unknown_device"}));
    answer["authToken"] = json!("garbage");
    let reply = phone.socket.call(&answer).await;
    assert_eq!(reply, json!({"message": "Not authenticated", "error": "not_authenticated"}));
    browser.expect_nothing_more().await;
    let reply = server.socket().await.call(&phone.answer_frame(&uuid, true)).await;
    assert_eq!(reply["message"], "Message sent", "a good token answers from any socket");
    browser.expect_code().await;
}

#[tokio::test]
async fn only_json_true_and_false_are_answers() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let (mut browser, uuid) = ann.asking_browser(&server).await;
    phone.socket.expect("ask_mobile_connection").await;
    for response in [json!("true"), json!(1), json!(null), json!([true]), json!({"a": true}), json!(0.0)] {
        let mut answer = phone.answer_frame(&uuid, true);
        answer["response"] = response;
        assert_eq!(phone.socket.refused(&answer).await, "bad_message");
    }
    browser.expect_nothing_more().await;
    assert_eq!(phone.socket.call(&phone.answer_frame(&uuid, false)).await["message"], "Message sent");
    assert_eq!(browser.expect("response_mobile_connection").await["response"], false);
}

#[tokio::test]
async fn the_first_answer_is_final() {
    for (first_says, second_says) in [(true, false), (false, true), (true, true), (false, false)] {
        let server = Server::start(&[]).await;
        let (ann, mut first, mut second, mut browser, uuid) = two_phones(&server).await;
        let answer = first.answer_frame(&uuid, first_says);
        let taken = first.socket.call(&answer).await;
        assert_eq!(taken, json!({"message": "Message sent"}));
        let resolved = second.socket.expect("resolved_mobile_connection").await;
        assert_eq!([&resolved["response"], &resolved["reason"]], [&json!(first_says), &json!("answered")]);

        let late = second.socket.call(&second.answer_frame(&uuid, second_says)).await;
        assert_eq!(late, json!({"message": "Already answered", "error": "already_answered"}));
        assert_eq!(first.socket.call(&answer).await, taken, "a repeated answer gets the same reply");
        let changed = first.answer_frame(&uuid, !first_says);
        assert_eq!(first.socket.refused(&changed).await, "already_answered");
        first.socket.expect_nothing_more().await;
        second.socket.expect_nothing_more().await;

        let told = browser.expect("response_mobile_connection").await;
        assert_eq!(told["response"], first_says);
        browser.expect_close(1000).await;
        if first_says {
            ann.exchange(told["code"].as_str().unwrap()).await.token();
        } else {
            assert_eq!(told["code"], "");
        }
    }
}

#[tokio::test]
async fn an_answer_after_the_asks_end_is_too_late() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let (mut browser, uuid) = ann.asking_browser(&server).await;
    phone.socket.expect("ask_mobile_connection").await;
    server.clock.advance(ASK_TTL);
    assert_eq!(browser.receive().await, over());
    browser.expect_close(1000).await;
    assert_eq!(phone.socket.expect("resolved_mobile_connection").await["reason"], "expired");
    assert_eq!(phone.socket.call(&phone.answer_frame(&uuid, true)).await, over());
    server.clock.step_back(ASK_TTL);
    assert_eq!(phone.socket.call(&phone.answer_frame(&uuid, true)).await, over(), "the clock stepped back");
}

#[tokio::test]
async fn an_answer_that_was_too_late_stays_so_when_the_clock_steps_back() {
    let server = Server::start(&[("METRICS__LISTEN", "127.0.0.1:0")]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let (browser, uuid) = ann.asking_browser(&server).await;
    phone.socket.expect("ask_mobile_connection").await;
    // No browser is there to notice the end; the late answer itself is the first to.
    browser.vanish();
    server.until_browsers_wait(0).await;
    server.clock.advance(ASK_TTL);
    let answer = phone.answer_frame(&uuid, true);
    phone.socket.send(&answer).await;
    let frames = [phone.socket.receive().await, phone.socket.receive().await];
    assert!(frames.contains(&over()), "{frames:?}");
    assert!(frames.iter().any(|frame| frame["action"] == "resolved_mobile_connection"), "{frames:?}");
    server.clock.step_back(ASK_TTL);
    assert_eq!(phone.socket.call(&answer).await, over());
}

#[tokio::test]
async fn a_pairing_that_nobody_was_asked_about_ends_too() {
    let server = Server::start(&[]).await;
    let (_ann, mut phone) = server.person_with_phone("ann").await;
    let mut browser = server.socket().await;
    let uuid = browser.ready_login().await["uuid"].clone();
    server.clock.advance(Duration::from_secs(600));
    assert_eq!(browser.receive().await, over());
    browser.expect_close(1000).await;
    assert_eq!(phone.socket.call(&phone.answer_frame(&uuid, true)).await, over());
}

#[tokio::test]
async fn a_phone_that_may_no_longer_approve_does_not() {
    let server = Server::start(&[]).await;
    let (_ann, mut first, second, mut browser, uuid) = two_phones(&server).await;
    let path = format!("/dashboard/device/{}", first.device);
    server.http.delete_as(&second.token, &path).await.expect(200);
    first.socket.expect_close(4003).await;
    let answer = first.answer_frame(&uuid, true);
    assert_eq!(server.socket().await.refused(&answer).await, "not_authenticated");
    browser.expect_nothing_more().await;
}

#[tokio::test]
async fn an_answer_said_just_before_the_close_counts() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let (mut browser, uuid) = ann.asking_browser(&server).await;
    phone.socket.expect("ask_mobile_connection").await;
    let mut raw = Raw::open(server.url()).await;
    let ready = json!({"action": "ready", "authToken": phone.token}).to_string();
    let answer = phone.answer_frame(&uuid, true).to_string();
    let close = frame(0x88, &1000_u16.to_be_bytes());
    let whole = [frame(0x81, ready.as_bytes()), frame(0x81, answer.as_bytes()), close].concat();
    raw.write(&whole).await;
    assert_eq!(raw.close_code().await, 1000);
    ann.exchange(&browser.expect_code().await).await.token();
}

#[tokio::test]
async fn an_approval_dies_with_the_device_that_gave_it() {
    let server = Server::start(&[]).await;
    let (ann, mut first, second, mut browser, uuid) = two_phones(&server).await;
    first.socket.call(&first.answer_frame(&uuid, true)).await;
    let code = browser.expect_code().await;
    let path = format!("/dashboard/device/{}", first.device);
    server.http.delete_as(&second.token, &path).await.expect(200);
    assert_eq!(ann.exchange(&code).await.refusal(400), "invalid 2FA token");
}
