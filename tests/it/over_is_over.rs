//! What was refused as expired stays expired when the clock steps back.

use std::time::Duration;

use serde_json::{Value, json};

use crate::device_login::{login, told};
use crate::harness::{Browser, PASSWORD, Person, Server, current_device, mailed_code};
use crate::two_factor::{code, with_app};

const MINUTE: Duration = Duration::from_secs(60);
const ANN: &str = "ann@example.org";

#[tokio::test]
async fn an_approval_s_code_stays_expired() {
    let server = Server::start(&[("SESSION__TTL", "30d")]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let ticket = phone.approved_code(&server, &ann).await;
    server.clock.advance(10 * MINUTE);
    ann.exchange(&ticket).await.expect(400);
    server.clock.step_back(10 * MINUTE);
    ann.exchange(&ticket).await.expect(400);
    // One that nobody has shown meanwhile is as good as its time.
    let ticket = phone.approved_code(&server, &ann).await;
    server.clock.advance(10 * MINUTE);
    server.clock.step_back(10 * MINUTE);
    ann.exchange(&ticket).await.token();
}

#[tokio::test]
async fn a_sign_in_under_way_stays_expired_whichever_route_refused_it() {
    let server = Server::start(&[]).await;
    let (_, app, _) = with_app(&server, "ann").await;
    for route in ["/two-factor/verify-totp", "/two-factor/send-otp", "/two-factor/verify-backup-code"] {
        let mut browser = Browser::second_step(&server, "ann").await;
        let mut same = browser.clone();
        server.clock.advance(10 * MINUTE);
        browser.post(route, &code(&app.code(&server))).await.expect(401);
        server.clock.step_back(10 * MINUTE);
        same.post("/two-factor/verify-totp", &code(&app.code(&server))).await.expect(401);
    }
}

#[tokio::test]
async fn words_and_the_proof_of_an_address_stay_expired() {
    let server = Server::start(&[]).await;
    server.person("ann").await;
    let (token, words) = server.words(ANN).await;
    server.clock.advance(10 * MINUTE);
    server.http.show_words(&words, &token).await.expect(410);
    server.clock.step_back(10 * MINUTE);
    server.http.show_words(&words, &token).await.expect(410);
    let routes = [
        ("sign-in", json!({})),
        ("sign-in", json!({"password": PASSWORD})),
        ("recover-password", json!({"password": "another horse battery"})),
        ("create-account", json!({"type": "p", "password": "another horse battery"})),
    ];
    for (route, body) in routes {
        server.clock.advance(10 * MINUTE);
        let proof = server.mail_proof(ANN).await;
        server.clock.advance(10 * MINUTE);
        server.http.mail_auth(route, &proof, &body).await.expect(410);
        server.clock.step_back(10 * MINUTE);
        server.http.mail_auth(route, &proof, &body).await.expect(410);
        server.http.mail_auth("sign-in", &proof, &json!({})).await.expect(410);
    }
}

/// Somebody whose sign-ins by cookie and by fingerprint are trusted on a device.
async fn trusting(server: &Server) -> (Person, Browser, Value) {
    let ann = server.person("ann").await;
    ann.turn_mail_on(server, &ann.token).await;
    let device = json!({"device_fingerprint": "HJJKJ6-BKJLOI-12"});
    login(server, &ann, &device).await.expect(202);
    let mut body = crate::device_login::naming(&ann.email, &device);
    body["otp"] = json!(mailed_code(server, &ann.email).await);
    server.http.post("/api/v1/auth/2fa/verify", &body).await.expect(200);
    server.clock.advance(2 * MINUTE);
    let mut browser = Browser::second_step(server, "ann").await;
    browser.post("/two-factor/send-otp", &json!({})).await.expect(200);
    let code = mailed_code(server, &ann.email).await;
    let proof = json!({"code": code, "trustDevice": true});
    browser.post("/two-factor/verify-otp", &proof).await.expect(200);
    (ann, browser, device)
}

#[tokio::test]
async fn trust_in_a_device_stays_expired() {
    let server = Server::start(&[("TWO_FACTOR__TRUST_TTL", "1h")]).await;
    let (ann, mut browser, device) = trusting(&server).await;
    let mut same = browser.clone();
    server.clock.advance(60 * MINUTE);
    login(&server, &ann, &device).await.expect(202);
    assert_eq!(browser.sign_in("ann").await.expect(200).json()["twoFactorRedirect"], true);
    server.clock.step_back(60 * MINUTE);
    login(&server, &ann, &device).await.expect(202);
    assert_eq!(same.sign_in("ann").await.expect(200).json()["twoFactorRedirect"], true);
}

#[tokio::test]
async fn a_session_stays_expired() {
    let server = Server::start(&[("SESSION__TTL", "1h"), ("REFRESH__TTL", "1h")]).await;
    let mut browser = Browser::signed_up(&server, "ann").await;
    let mut same = browser.clone();
    let ann = Person::known(&server.http, "p", ANN);
    let done = login(&server, &ann, &json!({})).await.expect(200).json();
    let refresh = json!({"refresh_token": told(&done, "refresh_token")});
    server.clock.advance(60 * MINUTE);
    assert_eq!(browser.session().await, Value::Null);
    server.http.post("/api/v1/auth/refresh", &refresh).await.expect(401);
    server.clock.step_back(60 * MINUTE);
    assert_eq!(same.session().await, Value::Null);
    server.http.post("/api/v1/auth/refresh", &refresh).await.expect(401);
}

#[tokio::test]
async fn a_phone_s_session_stays_expired() {
    let server = Server::start(&[("DEVICE__SESSION_TTL", "1h")]).await;
    let (_, phone) = server.person_with_phone("ann").await;
    let ready = json!({"action": "ready", "authToken": phone.token});
    server.clock.advance(60 * MINUTE);
    assert_eq!(server.socket().await.refused(&ready).await, "not_authenticated");
    server.clock.step_back(60 * MINUTE);
    assert_eq!(server.socket().await.refused(&ready).await, "not_authenticated");
}

#[tokio::test]
async fn a_pairing_whose_browser_came_back_too_late_stays_over() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let mut browser = server.socket().await;
    let first = browser.ready_login().await;
    let (uuid, secret) = (first["uuid"].clone(), first["resume"].clone());
    browser.call(&ann.ask_frame(&uuid)).await;
    phone.socket.expect("ask_mobile_connection").await;
    browser.vanish();
    server.clock.advance(2 * MINUTE);
    let back = json!({"action": "resumeLogin", "uuid": uuid, "resume": secret});
    assert_eq!(server.socket().await.refused(&back).await, "expired");
    server.clock.step_back(2 * MINUTE);
    assert_eq!(phone.socket.expect("resolved_mobile_connection").await["response"], false);
    assert_eq!(phone.socket.refused(&phone.answer_frame(&uuid, true)).await, "expired");
}

#[tokio::test]
async fn sessions_slide_up_to_their_longest_life_and_no_further() {
    const DAY: Duration = Duration::from_secs(86_400);
    let server = Server::start(&[("SESSION__MAX_TTL", "20d"), ("REFRESH__TTL", "8d")]).await;
    let ann = server.person("ann").await;
    let mut browser = Browser::new(&server);
    browser.sign_in("ann").await.expect(200);
    let done = login(&server, &ann, &json!({})).await.expect(200).json();
    let mut token = told(&done, "refresh_token");
    for _ in 0..19 {
        server.clock.advance(DAY);
        let next = server.http.post("/api/v1/auth/refresh", &json!({"refresh_token": token})).await;
        token = told(&next.expect(200).json(), "refresh_token");
        assert!(!browser.session().await.is_null());
    }
    let ends = told(&browser.session().await["session"], "expiresAt");
    assert_eq!(ends, "2026-12-12T00:00:00.000Z");
    server.clock.advance(DAY);
    server.http.post("/api/v1/auth/refresh", &json!({"refresh_token": token})).await.expect(401);
    assert_eq!(browser.session().await, Value::Null);
}

#[tokio::test]
async fn a_login_is_no_longer_than_the_longest_life_either() {
    let server = Server::start(&[("SESSION__MAX_TTL", "1h")]).await;
    let ann = server.person("ann").await;
    let done = login(&server, &ann, &json!({})).await.expect(200).json();
    server.clock.advance(60 * MINUTE - Duration::from_secs(1));
    let body = json!({"refresh_token": told(&done, "refresh_token")});
    let next = server.http.post("/api/v1/auth/refresh", &body).await.expect(200).json();
    server.http.get_as(&told(&next, "access_token"), "/dashboard/devices").await.expect(200);
    server.clock.advance(Duration::from_secs(1));
    server.http.get_as(&told(&next, "access_token"), "/dashboard/devices").await.expect(401);
}

#[tokio::test]
async fn an_approving_phone_must_log_in_again_after_its_longest_life() {
    const DAY: Duration = Duration::from_secs(86_400);
    let settings = [("DEVICE__MAX_TTL", "30d"), ("DEVICE__SESSION_TTL", "10d"), ("SESSION__MAX_TTL", "15d")];
    let server = Server::start(&settings).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    for _ in 0..29 {
        server.clock.advance(DAY);
        phone.reconnect(&server).await;
    }
    let fresh = phone.approved_code(&server, &ann).await;
    ann.exchange(&fresh).await.token();
    server.clock.advance(DAY);
    let ready = json!({"action": "ready", "authToken": phone.token});
    assert_eq!(server.socket().await.refused(&ready).await, "not_authenticated");
    // It is bound again like a new one, by a backup code.
    let again = ann.bind_another_phone(&server, &phone.backup_codes[0]).await;
    assert_eq!(current_device(&server.http, &again.token).await, again.device);
}
