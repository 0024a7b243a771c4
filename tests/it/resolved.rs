//! What phones show: an ask while it is pending, its end, and never one that is over or beyond a limit.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Person, Phone, Server, Socket};

const ASK_TTL: Duration = Duration::from_secs(120);
const LIMITED: &[(&str, &str)] = &[("LIMITS__FACTOR", "1")];

async fn check_resolved(phone: &mut Phone, uuid: &Value, response: bool, reason: &str) {
    let expected =
        json!({"action": "resolved_mobile_connection", "uuid": uuid, "response": response, "reason": reason});
    assert_eq!(phone.socket.receive().await, expected);
    phone.socket.expect_nothing_more().await;
}

async fn check_asked(phone: &mut Phone, uuid: &Value) {
    assert_eq!(phone.socket.expect("ask_mobile_connection").await["uuid"], *uuid);
    phone.socket.expect_nothing_more().await;
}

/// Another socket of the same device.
async fn also_here(server: &Server, phone: &Phone) -> Phone {
    let mut copy = Phone {
        token: phone.token.clone(),
        device: phone.device.clone(),
        backup_codes: Vec::new(),
        socket: server.socket().await,
    };
    copy.reconnect(server).await;
    copy
}

#[tokio::test]
async fn every_other_socket_hears_of_the_answer_and_never_the_one_that_gave_it() {
    for response in [true, false] {
        let server = Server::start(&[]).await;
        let (ann, mut first) = server.person_with_phone("ann").await;
        let mut second = ann.bind_another_phone(&server, &first.backup_codes[0]).await;
        let mut same_device = also_here(&server, &first).await;
        let (_bob, mut bobs) = server.person_with_phone("bob").await;
        let (_browser, uuid) = ann.asking_browser(&server).await;
        check_asked(&mut second, &uuid).await;
        check_asked(&mut same_device, &uuid).await;
        first.answer(&uuid, response).await;
        check_resolved(&mut second, &uuid, response, "answered").await;
        check_resolved(&mut same_device, &uuid, response, "answered").await;
        first.socket.expect_nothing_more().await;
        bobs.socket.expect_nothing_more().await;
    }
}

#[tokio::test]
async fn phones_hear_that_an_ask_has_expired() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let (mut browser, uuid) = ann.asking_browser(&server).await;
    check_asked(&mut phone, &uuid).await;
    server.clock.advance(ASK_TTL);
    assert_eq!(browser.receive().await["error"], "expired");
    check_resolved(&mut phone, &uuid, false, "expired").await;
}

#[tokio::test]
async fn phones_hear_that_a_browser_did_not_come_back() {
    let server = Server::start(&[("METRICS__LISTEN", "127.0.0.1:0")]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let (browser, uuid) = ann.asking_browser(&server).await;
    check_asked(&mut phone, &uuid).await;
    browser.vanish();
    server.until_browsers_wait(0).await;
    // It may come back until the ask's end.
    server.clock.advance(ASK_TTL - Duration::from_secs(1));
    phone.socket.expect_nothing_more().await;
    for _ in 0..5 {
        server.clock.advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
    }
    server.clock.advance(Duration::from_secs(1));
    check_resolved(&mut phone, &uuid, false, "gone").await;
}

#[tokio::test]
async fn a_phone_that_comes_online_sees_what_is_pending_and_only_that() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let (_answered, uuid) = ann.asking_browser(&server).await;
    phone.answer(&uuid, true).await;
    let (mut replaced, old) = ann.asking_browser(&server).await;
    replaced.ready_login().await;
    let (_pending, pending) = ann.asking_browser(&server).await;
    assert_ne!(old, pending);

    let mut late = also_here(&server, &phone).await;
    check_asked(&mut late, &pending).await;
    server.clock.advance(ASK_TTL);
    let mut later = also_here(&server, &phone).await;
    later.socket.expect_nothing_more().await;
}

#[tokio::test]
async fn a_phone_sees_an_ask_again_on_each_socket_and_may_answer_on_any() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let (mut browser, uuid) = ann.asking_browser(&server).await;
    check_asked(&mut phone, &uuid).await;
    phone.reconnect(&server).await;
    phone.answer(&uuid, true).await;
    ann.exchange(&browser.expect_code().await).await.token();
}

#[tokio::test]
async fn phones_hear_that_a_new_password_ended_the_ask() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let (mut browser, uuid) = ann.asking_browser(&server).await;
    check_asked(&mut phone, &uuid).await;
    let body = json!({"password": crate::harness::PASSWORD, "new_password": "another good password"});
    server.http.post_as(&phone.token, "/dashboard/password", &body).await.expect(200);
    check_resolved(&mut phone, &uuid, false, "expired").await;
    assert_eq!(browser.receive().await["error"], "expired");
    browser.expect_close(1000).await;
    assert_eq!(phone.socket.refused(&phone.answer_frame(&uuid, true)).await, "expired");
}

async fn check_not_shown(ann: &Person, phone: &mut Phone, server: &Server) -> (Socket, Value) {
    let mut browser = server.socket().await;
    let uuid = browser.ready_login().await["uuid"].clone();
    let reply = browser.call(&ann.ask_frame(&uuid)).await;
    assert_eq!(
        reply,
        json!({"message": "Message sent", "expiresIn": 120}),
        "nobody is told that it is not shown"
    );
    phone.socket.expect_nothing_more().await;
    also_here(server, phone).await.socket.expect_nothing_more().await;
    assert_eq!(phone.socket.refused(&phone.answer_frame(&uuid, true)).await, "not_asked");
    browser.expect_nothing_more().await;
    (browser, uuid)
}

#[tokio::test]
async fn the_sixth_ask_in_ten_minutes_is_shown_to_nobody() {
    let server = Server::start(LIMITED).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let mut browsers = Vec::new();
    for _ in 0..5 {
        let (browser, uuid) = ann.asking_browser(&server).await;
        check_asked(&mut phone, &uuid).await;
        server.clock.advance(ASK_TTL);
        check_resolved(&mut phone, &uuid, false, "expired").await;
        browsers.push(browser);
    }
    // Ten minutes after the first one, less the time it takes to say so.
    server.clock.step_back(Duration::from_secs(60));
    let (mut sixth, _) = check_not_shown(&ann, &mut phone, &server).await;
    let (bob, mut bobs) = server.person_with_phone("bob").await;
    let (_browser, uuid) = bob.asking_browser(&server).await;
    check_asked(&mut bobs, &uuid).await;
    server.clock.advance(ASK_TTL);
    assert_eq!(sixth.receive().await["error"], "expired");
    phone.socket.expect_nothing_more().await;
    let (_browser, uuid) = ann.asking_browser(&server).await;
    check_asked(&mut phone, &uuid).await;
}

#[tokio::test]
async fn asks_are_counted_since_the_last_approval() {
    let server = Server::start(LIMITED).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    for _ in 0..2 {
        for _ in 0..4 {
            let (mut browser, uuid) = ann.asking_browser(&server).await;
            check_asked(&mut phone, &uuid).await;
            browser.ready_login().await;
            check_resolved(&mut phone, &uuid, false, "gone").await;
        }
        let (mut browser, uuid) = ann.asking_browser(&server).await;
        phone.answer(&uuid, true).await;
        browser.expect_code().await;
    }
}

#[tokio::test]
async fn asks_that_replace_each_other_count_as_well() {
    let server = Server::start(LIMITED).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let (mut browser, uuid) = ann.asking_browser(&server).await;
    check_asked(&mut phone, &uuid).await;
    for _ in 1..5 {
        browser.call(&ann.ask_frame(&uuid)).await;
        assert_eq!(phone.socket.expect("resolved_mobile_connection").await["reason"], "replaced");
        check_asked(&mut phone, &uuid).await;
    }
    browser.call(&ann.ask_frame(&uuid)).await;
    check_resolved(&mut phone, &uuid, false, "replaced").await;
    assert_eq!(phone.socket.refused(&phone.answer_frame(&uuid, true)).await, "not_asked");
}

#[tokio::test]
async fn after_a_refusal_the_same_place_waits() {
    let server = Server::start(LIMITED).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let (_browser, uuid) = ann.asking_browser(&server).await;
    phone.answer(&uuid, false).await;
    check_not_shown(&ann, &mut phone, &server).await;
    server.clock.advance(Duration::from_secs(61));
    let (_browser, uuid) = ann.asking_browser(&server).await;
    check_asked(&mut phone, &uuid).await;
}

#[tokio::test]
async fn an_owner_who_scans_is_shown_the_ask_whatever_the_limit() {
    let server = Server::start(LIMITED).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let (_browser, uuid) = ann.asking_browser(&server).await;
    phone.answer(&uuid, false).await;
    let mut browser = server.socket().await;
    let uuid = browser.ready_login().await["uuid"].clone();
    let scan = json!({"action": "askMobileConnection", "uuid": uuid, "type": "p", "email": ann.email});
    assert_eq!(phone.socket.call(&scan).await["action"], "ask_mobile_connection");
    browser.expect_message("Message sent").await;
    assert_eq!(phone.socket.call(&phone.answer_frame(&uuid, true)).await["message"], "Message sent");
    browser.expect_code().await;
}
