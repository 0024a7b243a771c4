//! Input that no client should send: each message has its answer, and other logins go on meanwhile.

use std::time::Duration;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::bad_frames::{Raw, frame};
use crate::harness::{Person, Phone, Process, Server, Socket, all_settings, soon, store_url};

const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

async fn check_text(socket: &mut Socket, text: &str, code: &str) {
    socket.send_raw(Message::text(text)).await;
    let reply = socket.receive().await;
    let message = if code == "unknown_action" { "Forbidden" } else { "Bad message" };
    assert_eq!(reply, json!({"message": message, "error": code}), "to {text}");
}

async fn check_login(server: &Server, ann: &Person, phone: &mut Phone) {
    let (mut browser, uuid) = ann.asking_browser(server).await;
    phone.answer(&uuid, true).await;
    ann.exchange(&browser.expect_code().await).await.token();
}

#[tokio::test]
async fn what_is_no_message_is_said_to_be_none() {
    let server = Server::start(&[]).await;
    let mut socket = server.socket().await;
    let deep = |open: &str, close: &str| {
        format!(r#"{{"action":"readyLogin","x":{}1{}}}"#, open.repeat(1200), close.repeat(1200))
    };
    let keys = (0..500).map(|n| format!(r#","k{n}":1"#)).collect::<String>();
    let bad = [
        "".to_owned(),
        " ".to_owned(),
        "null".to_owned(),
        "true".to_owned(),
        "\"readyLogin\"".to_owned(),
        "[]".to_owned(),
        "[{\"action\":\"readyLogin\"}]".to_owned(),
        "{}".to_owned(),
        "{\"action\":\"readyLogin\"".to_owned(),
        "{'action':'readyLogin'}".to_owned(),
        "{\"action\":\"readyLogin\"}{}".to_owned(),
        "{\"action\":\"readyLogin\",}".to_owned(),
        "\u{feff}{\"action\":\"readyLogin\"}".to_owned(),
        "{\"action\":\"ready\0Login\"}".to_owned(),
        "{\"action\":\"\\ud800\"}".to_owned(),
        "{\"action\":\"readyLogin\",\"os\":NaN}".to_owned(),
        deep("[", "]"),
        deep("{\"a\":", "}"),
        format!(r#"{{"action":"readyLogin"{keys}}}"#),
    ];
    for text in bad {
        check_text(&mut socket, &text, "bad_message").await;
    }
    for action in
        ["", "readylogin", "READYLOGIN", "ready\\u0000", "readyLogin\\u200b", "resolved_mobile_connection"]
    {
        check_text(&mut socket, &format!(r#"{{"action":"{action}"}}"#), "unknown_action").await;
    }
    socket.ready_login().await;
}

#[tokio::test]
async fn known_fields_are_there_once_and_of_their_type() {
    let server = Server::start(&[]).await;
    let mut socket = server.socket().await;
    let whole = [
        json!({"action": "ready", "authToken": "x"}),
        json!({"action": "resumeLogin", "uuid": NOBODY, "resume": "x"}),
        json!({"action": "askMobileConnection", "uuid": NOBODY, "type": "p", "email": "a@example.org"}),
        json!({"action": "responseMobileConnection", "authToken": "x", "uuid": NOBODY, "response": true}),
    ];
    for message in &whole {
        for (key, value) in message.as_object().unwrap() {
            let text = message.to_string();
            let twice = format!("{},{}:{value}}}", &text[..text.len() - 1], json!(key));
            check_text(&mut socket, &twice, "bad_message").await;
            let first = key.as_bytes()[0];
            let disguised = format!("{},\"\\u{first:04x}{}\":{value}}}", &text[..text.len() - 1], &key[1..]);
            check_text(&mut socket, &disguised, "bad_message").await;
            for wrong in [json!(1), json!(null), json!([value]), json!({"a": value})] {
                let mut changed = message.clone();
                changed[key] = wrong;
                check_text(&mut socket, &changed.to_string(), "bad_message").await;
            }
            let mut without = message.clone();
            without.as_object_mut().unwrap().remove(key);
            check_text(&mut socket, &without.to_string(), "bad_message").await;
        }
        socket.send(message).await;
        assert_ne!(socket.receive().await["error"], "bad_message", "{message}");
    }
    for uuid in
        ["", "x", &NOBODY.replace('-', ""), &format!("{{{NOBODY}}}"), &NOBODY[1..], &format!("{NOBODY}0")]
    {
        for message in &whole[1..] {
            let mut changed = message.clone();
            changed["uuid"] = json!(uuid);
            check_text(&mut socket, &changed.to_string(), "bad_message").await;
        }
    }
    check_text(&mut socket, r#"{"action":"readyLogin","os":1}"#, "bad_message").await;
    check_text(&mut socket, r#"{"action":"readyLogin","os":"a","os":"b"}"#, "bad_message").await;
    let unknown = r#"{"action":"readyLogin","more":{"os":1},"more":[]}"#;
    socket.send_raw(Message::text(unknown)).await;
    socket.expect_message("Connection ready").await;
}

#[tokio::test]
async fn a_phone_shows_no_text_that_can_deceive() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let mut browser = server.socket().await;
    let hello = json!({
        "action": "readyLogin",
        "os": "Li\0nux\u{1b}[2J\u{7f}\r\n",
        "browser": "\u{202e}xoferiF\u{2066}\u{200b}\u{feff}",
        "location": format!("<b>Paris</b>\u{85}{}", "é".repeat(500)),
    });
    let uuid = browser.call(&hello).await["uuid"].clone();
    browser.call(&ann.ask_frame(&uuid)).await;
    let ask = phone.socket.expect("ask_mobile_connection").await;
    assert_eq!([&ask["os"], &ask["browser"]], ["Linux[2J", "xoferiF"]);
    let location = ask["location"].as_str().unwrap();
    assert!(location.starts_with("<b>Paris</b>é") && location.chars().count() == 120, "{location}");
    assert_eq!(ask["ip"], "127.0.0.1");
}

#[tokio::test]
async fn passwords_of_any_length_are_refused_alike() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let mut browser = server.socket().await;
    let uuid = browser.ready_login().await["uuid"].clone();
    for password in ["".to_owned(), "\0".to_owned(), "correct horse battery\0".to_owned(), "x".repeat(7000)] {
        let mut ask = ann.ask_frame(&uuid);
        ask["password"] = json!(password);
        let reply = browser.call(&ask).await;
        assert_eq!(reply, json!({"message": "username and password mismatch", "error": "bad_credentials"}));
    }
    let mut ask = ann.ask_frame(&uuid);
    ask["password"] = json!("x".repeat(1 << 20));
    browser.send_raw(Message::text(ask.to_string())).await;
    browser.expect_close(1009).await;
    check_login(&server, &ann, &mut phone).await;
}

#[tokio::test]
async fn a_flood_on_one_socket_harms_nobody() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let mut flood = server.socket().await;
    flood.ready_login().await;
    for round in 0..20 {
        for _ in 0..1000 {
            flood.send_raw(Message::Ping(Bytes::from_static(b"ping"))).await;
            flood.send_raw(Message::text("{")).await;
        }
        for _ in 0..1000 {
            assert_eq!(flood.receive().await["error"], "bad_message");
        }
        if round % 5 == 0 {
            check_login(&server, &ann, &mut phone).await;
        }
    }
    let mut empty = Raw::open(server.url()).await;
    empty.write(&frame(0x01, b"")).await;
    empty.write(&frame(0x00, b"").repeat(50_000)).await;
    check_login(&server, &ann, &mut phone).await;
}

#[tokio::test]
async fn who_never_reads_costs_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let settings = all_settings(&[], &store_url(folder.path()).await, folder.path());
    let server = Process::start(&["serve"], &settings, folder.path()).await;
    let person = Person::register(&server.http, "p", "ann@example.org").await;
    let hello =
        json!({"action": "readyLogin", "os": "🦀".repeat(120), "browser": "🦀".repeat(120)}).to_string();
    let before = resident_kib(server.pid());
    let mut deaf = Vec::new();
    for _ in 0..10 {
        let mut raw = Raw::open(&server.url).await;
        let batch = frame(0x81, hello.as_bytes()).repeat(100);
        let mut batches = 0;
        while batches < 100 && raw.is_taken(&batch).await {
            batches += 1;
        }
        assert!(batches < 100, "10,000 messages were taken from somebody who reads nothing");
        deaf.push(raw);
    }
    let grown = resident_kib(server.pid()).saturating_sub(before);
    assert!(grown < 16 * 1024, "{grown} KiB for ten clients that never read");

    let mut browser = server.socket().await;
    let uuid = browser.ready_login().await["uuid"].clone();
    assert_eq!(browser.call(&person.ask_frame(&uuid)).await["message"], "Message sent");
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn who_says_nothing_whole_is_closed() {
    let server = Server::start(&[("SOCKET__FIRST_MESSAGE", "20s")]).await;
    let mut earlier = server.socket().await;
    earlier.expect_pong().await;
    server.clock.advance(Duration::from_secs(1));
    let mut silent = server.socket().await;
    let mut pinging = server.socket().await;
    pinging.send_raw(Message::Ping(Bytes::new())).await;
    let mut spoke = server.socket().await;
    spoke.expect_nothing_more().await;
    let mut halfway = Raw::open(server.url()).await;
    halfway.write(&frame(0x01, b"{\"action\":")).await;
    server.clock.advance(Duration::from_secs(19));
    // Those who came a second earlier are sorted out by now.
    earlier.expect_close(1008).await;
    silent.expect_pong().await;
    server.clock.advance(Duration::from_secs(1));
    silent.expect_close(1008).await;
    pinging.expect_close(1008).await;
    assert_eq!(halfway.close_code().await, 1008);
    spoke.expect_close(1008).await;
}

#[tokio::test]
async fn who_answers_no_pings_is_closed() {
    let server = Server::start(&[]).await;
    let (_ann, mut phone) = server.person_with_phone("ann").await;
    let mut browser = server.socket().await;
    let uuid = browser.ready_login().await["uuid"].clone();
    // Its client answers pings only while it reads, which it does not.
    for _ in 0..2 {
        server.clock.advance(Duration::from_secs(30));
        phone.socket.expect_ping().await;
    }
    assert_eq!(phone.socket.refused(&phone.answer_frame(&uuid, true)).await, "not_asked");
    server.clock.advance(Duration::from_secs(30));
    phone.socket.expect_ping().await;
    let answer = phone.answer_frame(&uuid, true);
    soon("the browser's end", async || (phone.socket.refused(&answer).await == "expired").then_some(()))
        .await;
}

#[tokio::test]
async fn the_21st_ready_login_in_a_minute_waits() {
    let server = Server::start(&[("LIMITS__FACTOR", "1")]).await;
    let mut browser = server.socket().await;
    let hello: Value = json!({"action": "readyLogin"});
    for _ in 0..20 {
        browser.call(&hello).await;
    }
    let refused = browser.call(&hello).await;
    assert_eq!(
        refused,
        json!({"message": "Too many requests", "error": "too_many_requests", "retryAfter": 60})
    );
    server.socket().await.ready_login().await;
    server.clock.advance(Duration::from_secs(59));
    assert_eq!(browser.call(&hello).await["retryAfter"], 1);
    server.clock.advance(Duration::from_secs(1));
    browser.ready_login().await;
}

#[tokio::test]
async fn three_hundred_ready_logins_a_minute_from_one_place_are_enough() {
    let server = Server::start(&[("LIMITS__FACTOR", "1")]).await;
    for _ in 0..15 {
        let mut browser = server.socket().await;
        for _ in 0..20 {
            browser.ready_login().await;
        }
    }
    let mut browser = server.socket().await;
    let refused = browser.call(&json!({"action": "readyLogin"})).await;
    assert_eq!([&refused["error"], &refused["retryAfter"]], [&json!("too_many_requests"), &json!(60)]);
    server.clock.advance(Duration::from_secs(60));
    server.socket().await.ready_login().await;
}

#[tokio::test]
async fn wrong_passwords_are_counted_per_place_and_address() {
    let server = Server::start(&[("LIMITS__FACTOR", "1")]).await;
    let (ann, bob) = (server.person("ann").await, server.person("bob").await);
    let mut browser = server.socket().await;
    let uuid = browser.ready_login().await["uuid"].clone();
    let mut wrong = ann.ask_frame(&uuid);
    wrong["password"] = json!("not the password");
    for _ in 0..10 {
        assert_eq!(browser.refused(&wrong).await, "bad_credentials");
    }
    for ask in [wrong, ann.ask_frame(&uuid)] {
        let refused = browser.call(&ask).await;
        assert_eq!([&refused["error"], &refused["retryAfter"]], [&json!("too_many_requests"), &json!(600)]);
    }
    assert_eq!(browser.call(&bob.ask_frame(&uuid)).await["message"], "Message sent");
}

#[tokio::test]
async fn a_socket_without_a_role_ends_whatever_it_said() {
    let server = Server::start(&[("SOCKET__FIRST_MESSAGE", "20s")]).await;
    let (_ann, mut phone) = server.person_with_phone("ann").await;
    let (mut idle, mut browser) = (server.socket().await, server.socket().await);
    browser.ready_login().await;
    for _ in 0..3 {
        assert_eq!(idle.refused(&json!({"action": "nonsense"})).await, "unknown_action");
        let token = json!({"action": "ready", "authToken": "no token"});
        assert_eq!(idle.refused(&token).await, "not_authenticated");
    }
    server.clock.advance(Duration::from_secs(21));
    idle.expect_close(1008).await;
    browser.expect_nothing_more().await;
    phone.socket.expect_nothing_more().await;
}
