//! Sessions as their owner sees and ends them: one list for every surface, revoked at once, logged out of.

use std::time::Duration;

use serde_json::{Value, json};

use crate::device_login::{login, post, refusal, told};
use crate::harness::{Answer, Browser, Person, Server, current_device, number};

const PATH: &str = "/api/v1/auth/sessions";

/// Access and refresh token of a login.
async fn tokens(server: &Server, person: &Person, more: &Value) -> (String, String) {
    let done = login(server, person, more).await.expect(200).json();
    (told(&done, "access_token"), told(&done, "refresh_token"))
}

async fn listed(server: &Server, token: &str) -> Vec<Value> {
    let answer = server.http.get_as(token, PATH).await.expect(200).json();
    assert_eq!(answer["status"], 200);
    answer["sessions"].as_array().unwrap().clone()
}

/// The uuid of a token's own session.
async fn own(server: &Server, token: &str) -> String {
    let all = listed(server, token).await;
    told(all.iter().find(|session| session["current"] == true).expect("a current session"), "session_uuid")
}

async fn refresh(server: &Server, token: &str) -> Answer {
    post(server, "refresh", &json!({"refresh_token": token})).await
}

async fn check_alive(server: &Server, access: &str, is_alive: bool) {
    server.http.get_as(access, PATH).await.expect(if is_alive { 200 } else { 401 });
}

#[tokio::test]
async fn every_session_of_every_surface_is_listed_oldest_first() {
    let server = Server::start(&[("SERVER__TRUSTED_PROXIES", "127.0.0.1")]).await;
    let ann = server.person("ann").await;
    server.person("bob").await;
    let second = Duration::from_secs(1);
    server.clock.advance(second);
    ann.post("login", &json!({"name_device": "Pixel"})).await.token();
    server.clock.advance(second);
    Browser::new(&server).sign_in("ann").await.expect(200);
    server.clock.advance(second);
    let said = json!({"device_type": "Tablette", "device_name": "Galaxy Tab", "device_os": "Android", "location": "Genève"});
    let (access, token) = tokens(&server, &ann, &said).await;
    let all = listed(&server, &access).await;
    assert_eq!(all.len(), 4, "{all:?}");
    let begun: Vec<_> = all.iter().map(|session| told(session, "created_at")).collect();
    assert!(begun.is_sorted() && begun[3] == "2026-11-22T00:00:03.000Z", "{begun:?}");
    assert_eq!(
        all.iter().map(|session| session["current"] == true).collect::<Vec<_>>(),
        [false, false, false, true]
    );
    for (key, value) in [
        ("device_name", json!("Galaxy Tab")),
        ("device_type", json!("Tablette")),
        ("device_os", json!("Android")),
        ("browser", json!("")),
        ("location", json!("Genève")),
        ("ip_address", json!("127.0.0.1")),
        ("last_used_at", json!("2026-11-22T00:00:03.000Z")),
        ("last_ip", json!("127.0.0.1")),
        ("expires_at", json!("2026-12-22T00:00:03.000Z")),
        ("amr", json!(["pwd"])),
        ("acr", json!("urn:readylogin:acr:pwd")),
        ("approving", json!(false)),
    ] {
        assert_eq!(all[3][key], value, "{key}");
    }
    assert_eq!(all[3]["device_id"].to_string(), current_device(&server.http, &access).await);
    // A refresh is a use: its time and its address are told.
    server.clock.advance(Duration::from_secs(3600));
    let request = server.http.request("POST", "/api/v1/auth/refresh").header("x-forwarded-for", "192.0.2.7");
    let next = Answer::read(request.json(&json!({"refresh_token": token})).send().await.unwrap()).await;
    let access = told(&next.expect(200).json(), "access_token");
    let moved = listed(&server, &access).await[3].clone();
    assert_eq!(
        (&moved["last_used_at"], &moved["last_ip"]),
        (&json!("2026-11-22T01:00:03.000Z"), &json!("192.0.2.7"))
    );
    assert_eq!((&moved["ip_address"], &moved["created_at"]), (&all[3]["ip_address"], &all[3]["created_at"]));
}

#[tokio::test]
async fn a_session_is_revoked_at_once_with_all_that_hangs_on_it() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let laptop = ann.laptop(&phone.backup_codes[0]).await;
    let uuid = own(&server, &phone.token).await;
    assert!(
        listed(&server, &laptop)
            .await
            .iter()
            .any(|s| s["session_uuid"] == uuid.as_str() && s["approving"] == true)
    );
    // In any case of its letters.
    let gone = server.http.delete_as(&laptop, &format!("{PATH}/{}", uuid.to_uppercase())).await.expect(204);
    assert_eq!(gone.text, "");
    check_alive(&server, &phone.token, false).await;
    phone.socket.expect_close(4003).await;
    assert!(listed(&server, &laptop).await.iter().all(|session| session["session_uuid"] != uuid.as_str()));
    refusal(server.http.delete_as(&laptop, &format!("{PATH}/{uuid}")).await, 404);
    // And one's own.
    let uuid = own(&server, &laptop).await;
    server.http.delete_as(&laptop, &format!("{PATH}/{uuid}")).await.expect(204);
    check_alive(&server, &laptop, false).await;
}

#[tokio::test]
async fn nobody_else_s_session_can_be_ended_or_is_shown() {
    let server = Server::start(&[]).await;
    let (ann, bob) = (server.person("ann").await, server.person("bob").await);
    let (access, _) = tokens(&server, &ann, &json!({})).await;
    let uuid = own(&server, &access).await;
    assert!(listed(&server, &bob.token).await.iter().all(|session| session["session_uuid"] != uuid.as_str()));
    let random = uuid::Uuid::new_v4().to_string();
    let simple = uuid.replace('-', "");
    for none in
        [uuid.as_str(), &random, &simple, "x", "1", "%00", "%ff", "' OR 1=1", "..%2f..", &"9".repeat(5000)]
    {
        let (_, error) = refusal(server.http.delete_as(&bob.token, &format!("{PATH}/{none}")).await, 404);
        assert_eq!(error, "not_found", "{none}");
    }
    check_alive(&server, &access, true).await;
}

#[tokio::test]
async fn a_cookie_session_is_ended_like_any_other() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    let mut browser = Browser::new(&server);
    browser.sign_in("ann").await.expect(200);
    let (access, _) = tokens(&server, &ann, &json!({})).await;
    let all = listed(&server, &access).await;
    let uuid = told(&all[1], "session_uuid");
    server.http.delete_as(&access, &format!("{PATH}/{uuid}")).await.expect(204);
    assert_eq!(browser.session().await, Value::Null);
}

#[tokio::test]
async fn a_logout_ends_its_session_and_the_one_whose_refresh_token_it_shows() {
    let server = Server::start(&[]).await;
    let (ann, bob) = (server.person("ann").await, server.person("bob").await);
    let (first, second, third) = (
        tokens(&server, &ann, &json!({})).await,
        tokens(&server, &ann, &json!({})).await,
        tokens(&server, &ann, &json!({})).await,
    );
    let foreign = tokens(&server, &bob, &json!({})).await;
    let log_out =
        async |access: &str, body: Value| server.http.post_as(access, "/api/v1/auth/logout", &body).await;
    refusal(log_out(&first.0, json!({"refresh_token": 5})).await, 422);
    check_alive(&server, &first.0, true).await;
    assert_eq!(log_out(&first.0, json!({"refresh_token": second.1})).await.expect(204).text, "");
    for ended in [&first, &second] {
        check_alive(&server, &ended.0, false).await;
        refusal(refresh(&server, &ended.1).await, 401);
    }
    // Another's, an unknown one and the own one are nothing more.
    for other in [json!(foreign.1), json!("x"), json!(first.1), json!(null)] {
        let fresh = tokens(&server, &ann, &json!({})).await;
        log_out(&fresh.0, json!({"refresh_token": other})).await.expect(204);
        refusal(log_out(&fresh.0, json!({})).await, 401);
    }
    let fresh = tokens(&server, &ann, &json!({})).await;
    log_out(&fresh.0, json!({"refresh_token": fresh.1})).await.expect(204);
    check_alive(&server, &fresh.0, false).await;
    check_alive(&server, &third.0, true).await;
    check_alive(&server, &foreign.0, true).await;
    refresh(&server, &foreign.1).await.expect(200);
}

#[tokio::test]
async fn a_logout_of_all_spares_the_other_phones() {
    let server = Server::start(&[]).await;
    let (ann, phone) = server.person_with_phone("ann").await;
    let (laptop, desk) = (ann.laptop(&phone.backup_codes[0]).await, ann.laptop(&phone.backup_codes[1]).await);
    for path in [
        "/api/v1/auth/logout?all=false",
        "/api/v1/auth/logout?all=TRUE",
        "/api/v1/auth/logout?all=%ff&x=true",
    ] {
        let other = ann.laptop(&phone.backup_codes[2 + path.len() % 7]).await;
        server.http.send("POST", path, Some(&other), None).await.expect(204);
        check_alive(&server, &laptop, true).await;
    }
    server.http.send("POST", "/api/v1/auth/logout?all=true", Some(&laptop), None).await.expect(204);
    for (token, is_alive) in [(&laptop, false), (&desk, false), (&phone.token, true), (&ann.token, false)] {
        check_alive(&server, token, is_alive).await;
    }
    // The trail says so, once: the other paths ended one session each.
    let rows = "SELECT COUNT(*) FROM audit WHERE event = 'session.revoke_all' AND outcome = 'ok'";
    assert_eq!(number(server.settings(), rows).await, 1);
}
