//! Resuming: a browser that lost its socket, or its server, comes back and misses nothing (docs/protocol.md,
//! "Resuming").

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Server, Socket};

/// Tokens outlive a restart on another port; it does not wait for clients that don't read.
const SETTINGS: &[(&str, &str)] = &[("SERVER__PUBLIC_URL", "http://localhost:1"), ("SERVER__DRAIN", "1s")];

/// A pairing as its browser remembers it.
#[derive(Clone, Debug)]
struct Held {
    uuid: Value,
    secret: Value,
}

impl Held {
    fn of(reply: &Value) -> Self {
        assert!(reply["resume"].as_str().is_some_and(|secret| secret.len() >= 43), "{reply}");
        Self { uuid: reply["uuid"].clone(), secret: reply["resume"].clone() }
    }

    fn frame(&self) -> Value {
        json!({"action": "resumeLogin", "uuid": self.uuid, "resume": self.secret})
    }

    /// Comes back on a new socket.
    async fn resume(&self, server: &Server) -> (Socket, Self) {
        let mut socket = server.socket().await;
        let reply = socket.call(&self.frame()).await;
        assert_eq!([&reply["message"], &reply["uuid"]], [&json!("Connection ready"), &self.uuid], "{reply}");
        let new = Self::of(&reply);
        assert_ne!(new.secret, self.secret);
        (socket, new)
    }

    async fn check_expired(&self, server: &Server) {
        let mut socket = server.socket().await;
        let reply = socket.call(&self.frame()).await;
        assert_eq!(reply, json!({"message": "The connection has expired", "error": "expired"}), "{self:?}");
        socket.expect_nothing_more().await;
    }
}

async fn waiting(server: &Server) -> (Socket, Held) {
    let mut browser = server.socket().await;
    let held = Held::of(&browser.ready_login().await);
    (browser, held)
}

#[tokio::test]
async fn resuming_takes_over_and_the_answer_comes_to_the_new_socket() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let (mut old, held) = waiting(&server).await;
    old.call(&ann.ask_frame(&held.uuid)).await;
    let (mut new, _) = held.resume(&server).await;
    old.expect_close(4001).await;
    phone.answer(&held.uuid, true).await;
    ann.exchange(&new.expect_code().await).await.token();
}

#[tokio::test]
async fn a_resumed_browser_is_asked_for_as_before() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let (old, held) = waiting(&server).await;
    old.vanish();
    let (mut new, _) = held.resume(&server).await;
    new.call(&ann.ask_frame(&held.uuid)).await;
    let ask = phone.socket.expect("ask_mobile_connection").await;
    assert_eq!([&ask["os"], &ask["browser"], &ask["location"]], ["Linux", "Firefox", "Paris"]);
    phone.socket.call(&phone.answer_frame(&held.uuid, true)).await;
    ann.exchange(&new.expect_code().await).await.token();
}

#[tokio::test]
async fn a_secret_works_until_its_successor_was_used() {
    for asked in [false, true] {
        let server = Server::start(&[]).await;
        let ann = server.person("ann").await;
        let (mut browser, first) = waiting(&server).await;
        if asked {
            browser.call(&ann.ask_frame(&first.uuid)).await;
        }
        let (_lost, _) = first.resume(&server).await;
        // The reply was lost on the way: the browser still has its first secret only.
        let (mut before, second) = first.resume(&server).await;
        let (_now, third) = second.resume(&server).await;
        before.expect_close(4001).await;
        first.check_expired(&server).await;
        third.resume(&server).await;
        second.check_expired(&server).await;
    }
}

#[tokio::test]
async fn a_used_secret_stays_dead_when_every_socket_is_gone() {
    let server = Server::start(&[("METRICS__LISTEN", "127.0.0.1:0")]).await;
    let (browser, first) = waiting(&server).await;
    let (lost, second) = first.resume(&server).await;
    let (last, third) = second.resume(&server).await;
    browser.vanish();
    lost.vanish();
    last.vanish();
    server.until_browsers_wait(0).await;
    first.check_expired(&server).await;
    third.resume(&server).await;
}

#[tokio::test]
async fn what_is_unknown_wrong_or_foreign_is_expired_alike() {
    let server = Server::start(&[]).await;
    let (_browser, held) = waiting(&server).await;
    let (_other, foreign) = waiting(&server).await;
    let with = |secret: &str| Held { secret: json!(secret), ..held.clone() };
    let secret = held.secret.as_str().unwrap();
    let flipped = format!("{}{}", &secret[..secret.len() - 6], "AAAAAA");
    let later = format!("AAAAAg{}", &secret[6..]);
    for secret in
        ["", "x", "====", "ünï", &"A".repeat(4000), &secret[1..], &flipped, &later, &format!("{secret}A")]
    {
        with(secret).check_expired(&server).await;
    }
    with(foreign.secret.as_str().unwrap()).check_expired(&server).await;
    let unknown = json!("00000000-0000-4000-8000-000000000000");
    Held { uuid: unknown, ..held.clone() }.check_expired(&server).await;
    held.resume(&server).await;
}

#[tokio::test]
async fn a_pairing_that_nobody_asked_about_survives_a_restart() {
    let mut server = Server::start(SETTINGS).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let (mut browser, held) = waiting(&server).await;
    server.restart().await;
    browser.expect_close(1001).await;
    let (mut browser, next) = held.resume(&server).await;
    phone.reconnect(&server).await;
    browser.call(&ann.ask_frame(&held.uuid)).await;
    phone.answer(&held.uuid, true).await;
    ann.at(&server).exchange(&browser.expect_code().await).await.token();
    next.check_expired(&server).await;
}

#[tokio::test]
async fn a_pairing_that_somebody_was_asked_about_survives_a_restart() {
    let mut server = Server::start(SETTINGS).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let (mut browser, held) = waiting(&server).await;
    browser.call(&ann.ask_frame(&held.uuid)).await;
    server.restart().await;
    phone.reconnect(&server).await;
    let (mut browser, _) = held.resume(&server).await;
    phone.answer(&held.uuid, true).await;
    ann.at(&server).exchange(&browser.expect_code().await).await.token();
}

#[tokio::test]
async fn an_answer_that_came_in_between_follows_until_its_code_is_used() {
    let mut server = Server::start(SETTINGS).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let (mut browser, held) = waiting(&server).await;
    browser.call(&ann.ask_frame(&held.uuid)).await;
    browser.vanish();
    phone.answer(&held.uuid, true).await;

    let (mut again, held) = held.resume(&server).await;
    let code = again.expect_code().await;
    server.restart().await;
    let (mut again, held) = held.resume(&server).await;
    assert_eq!(again.expect_code().await, code);
    ann.at(&server).exchange(&code).await.token();
    held.check_expired(&server).await;
    ann.at(&server).exchange(&code).await.refusal(400);
}

#[tokio::test]
async fn a_code_that_is_not_fetched_dies_with_its_ticket() {
    let server = Server::start(&[("TICKET__TTL", "30s")]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let (mut browser, held) = waiting(&server).await;
    browser.call(&ann.ask_frame(&held.uuid)).await;
    browser.vanish();
    phone.answer(&held.uuid, true).await;
    server.clock.advance(Duration::from_secs(30));
    held.check_expired(&server).await;
}

#[tokio::test]
async fn a_refusal_that_came_in_between_follows() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let (mut browser, held) = waiting(&server).await;
    browser.call(&ann.ask_frame(&held.uuid)).await;
    browser.vanish();
    phone.answer(&held.uuid, false).await;
    for _ in 0..2 {
        let (mut again, _) = held.resume(&server).await;
        let told = again.receive().await;
        assert_eq!(told, json!({"action": "response_mobile_connection", "code": "", "response": false}));
        again.expect_close(1000).await;
    }
}

#[tokio::test]
async fn another_server_on_the_same_store_takes_the_pairing_over() {
    for asked in [false, true] {
        let server = Server::start(SETTINGS).await;
        let (ann, mut phone) = server.person_with_phone("ann").await;
        let twin = server.twin().await;
        let (mut browser, held) = waiting(&server).await;
        if asked {
            browser.call(&ann.ask_frame(&held.uuid)).await;
        }
        browser.vanish();
        let (lost, second) = held.resume(&twin).await;
        lost.vanish();
        let (mut browser, _third) = second.resume(&twin).await;
        held.check_expired(&twin).await;
        held.check_expired(&server).await;
        phone.reconnect(&twin).await;
        if !asked {
            browser.call(&ann.ask_frame(&held.uuid)).await;
        }
        phone.answer(&held.uuid, true).await;
        ann.at(&twin).exchange(&browser.expect_code().await).await.token();
    }
}

#[tokio::test]
async fn resuming_on_the_same_socket_goes_on() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let (mut browser, held) = waiting(&server).await;
    for held in [held.clone(), held.clone(), Held::of(&browser.call(&held.frame()).await)] {
        assert_eq!(browser.call(&held.frame()).await["uuid"], held.uuid);
    }
    browser.expect_nothing_more().await;
    assert_eq!(browser.call(&ann.ask_frame(&held.uuid)).await["message"], "Message sent");
    phone.answer(&held.uuid, true).await;
    browser.expect_code().await;
}

#[tokio::test]
async fn a_failed_resume_leaves_what_waits_alone() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let (mut browser, held) = waiting(&server).await;
    let (_other, foreign) = waiting(&server).await;
    browser.call(&ann.ask_frame(&held.uuid)).await;
    let wrong = Held { secret: foreign.secret.clone(), ..held.clone() };
    let elsewhere = Held { uuid: foreign.uuid, ..held.clone() };
    for frame in [wrong.frame(), elsewhere.frame()] {
        assert_eq!(browser.refused(&frame).await, "expired");
    }
    phone.answer(&held.uuid, true).await;
    browser.expect_code().await;
}

#[tokio::test]
async fn resuming_another_pairing_gives_the_present_one_up() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let (lost, wanted) = waiting(&server).await;
    lost.vanish();
    let (mut browser, present) = waiting(&server).await;
    browser.call(&ann.ask_frame(&present.uuid)).await;
    phone.socket.expect("ask_mobile_connection").await;
    assert_eq!(browser.call(&wanted.frame()).await["uuid"], wanted.uuid);
    assert_eq!(phone.socket.expect("resolved_mobile_connection").await["reason"], "gone");
    browser.call(&ann.ask_frame(&wanted.uuid)).await;
    phone.answer(&wanted.uuid, true).await;
    browser.expect_code().await;
}

#[tokio::test]
async fn a_pairing_that_is_over_is_not_resumed() {
    let mut server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    let (browser, unasked) = waiting(&server).await;
    browser.vanish();
    let (mut browser, asked) = waiting(&server).await;
    browser.call(&ann.ask_frame(&asked.uuid)).await;
    browser.vanish();
    server.clock.advance(Duration::from_secs(120));
    asked.check_expired(&server).await;
    server.clock.advance(Duration::from_secs(480));
    unasked.check_expired(&server).await;
    server.restart().await;
    asked.check_expired(&server).await;
    unasked.check_expired(&server).await;
}
