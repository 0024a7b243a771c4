//! Ending a device that approves logins: it is a factor, so another one ends only by a fresh proof, and its owner is told.

use std::time::Duration;

use serde_json::{Value, json};

use crate::device_login::{login, naming, post, told};
use crate::harness::{Answer, Browser, PASSWORD, Person, Phone, Server, letters_to};

const STALE: Duration = Duration::from_secs(300);
const SESSIONS: &str = "/api/v1/auth/sessions";
const LETTER: &str = "A phone may not approve your logins any more";

/// An owner with an approving phone, the phone's refresh token, and a laptop's token whose proof is old.
struct Home {
    server: Server,
    ann: Person,
    phone: Phone,
    refresh: String,
    laptop: String,
}

async fn home() -> Home {
    let server = Server::start(&[]).await;
    let ann = server.proven_person("ann").await;
    let done = login(&server, &ann, &json!({"device_name": "Pixel"})).await.expect(200).json();
    let phone = ann.bind_with(&server, told(&done, "access_token")).await;
    let laptop = ann.laptop(&phone.backup_codes[0]).await;
    server.clock.advance(STALE);
    Home { refresh: told(&done, "refresh_token"), server, ann, phone, laptop }
}

impl Home {
    /// The uuid of the phone's session.
    async fn phone_session(&self) -> String {
        let all = self.server.http.get_as(&self.laptop, SESSIONS).await.expect(200).json();
        let all = all["sessions"].as_array().unwrap().clone();
        told(all.iter().find(|session| session["approving"] == true).unwrap(), "session_uuid")
    }

    /// Every route by which one session can end another's device.
    async fn routes(&self) -> Vec<(&'static str, String, Value)> {
        vec![
            ("DELETE", format!("/dashboard/device/{}", self.phone.device), json!({})),
            ("DELETE", format!("/dashboard/2fa/device/{}", self.phone.device), json!({})),
            ("DELETE", format!("{SESSIONS}/{}", self.phone_session().await), json!({})),
            ("POST", "/api/v1/auth/logout".to_owned(), json!({"refresh_token": self.refresh})),
        ]
    }

    async fn ask(&self, (method, path, body): &(&'static str, String, Value), more: &Value) -> Answer {
        let mut body = body.clone();
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        self.server.http.send(method, path, Some(&self.laptop), Some(&body)).await
    }

    async fn letters(&self) -> usize {
        let letters = letters_to(&self.server, &self.ann.email).await;
        letters.iter().filter(|letter| letter.subject == LETTER && letter.text.contains("Pixel")).count()
    }

    async fn is_alive(&self, token: &str) -> bool {
        self.server.http.get_as(token, SESSIONS).await.status == 200
    }
}

#[tokio::test]
async fn an_old_proof_ends_no_other_device_that_approves_on_any_route() {
    let mut home = home().await;
    for route in home.routes().await {
        let refused = home.ask(&route, &json!({})).await.expect(401);
        let challenge = refused.header("www-authenticate");
        assert!(challenge.contains("insufficient_user_authentication"), "{route:?} {challenge}");
        home.ask(&route, &json!({"password": "wrong password"})).await.expect(401);
        assert!(home.is_alive(&home.laptop).await && home.is_alive(&home.phone.token).await, "{route:?}");
    }
    assert_eq!(home.letters().await, 0);
    let code = home.phone.approved_code(&home.server, &home.ann).await;
    home.ann.exchange(&code).await.token();
}

#[tokio::test]
async fn the_password_ends_it_on_every_route_and_the_owner_is_told() {
    for at in 0..4 {
        let mut home = home().await;
        let other = home.ann.laptop(&home.phone.backup_codes[1]).await;
        let route = home.routes().await.remove(at);
        let done = home.ask(&route, &json!({"password": PASSWORD})).await;
        assert!([200, 204].contains(&done.status), "{route:?} {done:?}");
        assert_eq!(home.letters().await, 1, "{route:?}");
        // As with any change of the factors, other sessions end.
        assert!(!home.is_alive(&other).await, "{route:?}");
        home.phone.socket.expect_close(4003).await;
    }
}

#[tokio::test]
async fn a_device_that_does_not_approve_ends_without_more() {
    let home = home().await;
    let desk = home.ann.laptop(&home.phone.backup_codes[1]).await;
    let desk = crate::harness::current_device(&home.server.http, &desk).await;
    home.server.clock.advance(STALE);
    home.server.http.delete_as(&home.laptop, &format!("/dashboard/device/{desk}")).await.expect(200);
    assert_eq!(home.letters().await, 0);
}

#[tokio::test]
async fn a_device_may_always_end_itself_and_its_owner_is_told() {
    for at in 0..3 {
        let mut home = home().await;
        let token = home.phone.token.clone();
        let (method, path) = match at {
            0 => ("DELETE", format!("/dashboard/device/{}", home.phone.device)),
            1 => ("DELETE", format!("{SESSIONS}/{}", home.phone_session().await)),
            _ => ("POST", "/api/v1/auth/logout".to_owned()),
        };
        let done = home.server.http.send(method, &path, Some(&token), None).await;
        assert!([200, 204].contains(&done.status), "{path} {done:?}");
        home.phone.socket.expect_close(4003).await;
        assert_eq!(home.letters().await, 1, "{path}");
        assert!(home.is_alive(&home.laptop).await, "{path}");
    }
}

#[tokio::test]
async fn a_logout_of_all_spares_other_approving_devices_and_tells_of_its_own() {
    let home = home().await;
    let other = home.ann.bind_another_phone(&home.server, &home.phone.backup_codes[1]).await;
    let path = "/api/v1/auth/logout?all=true";
    home.server.http.send("POST", path, Some(&home.phone.token), None).await.expect(204);
    assert!(home.is_alive(&other.token).await);
    assert!(!home.is_alive(&home.laptop).await && !home.is_alive(&home.phone.token).await);
    assert_eq!(home.letters().await, 1);
    // From a device that does not approve nothing of that is said.
    let laptop = home.ann.laptop(&home.phone.backup_codes[2]).await;
    home.server.http.send("POST", path, Some(&laptop), None).await.expect(204);
    assert!(home.is_alive(&other.token).await);
    assert_eq!(home.letters().await, 1);
}

#[tokio::test]
async fn a_cookie_session_that_approves_signs_out_and_its_owner_is_told() {
    let server = Server::start(&[]).await;
    let mut browser = Browser::signed_up(&server, "ann").await;
    server.prove_address("ann@example.org").await;
    let sessions = post(&server, "login", &naming("ann@example.org", &json!({}))).await.expect(200).json();
    let token = told(&sessions, "access_token");
    let all = server.http.get_as(&token, "/dashboard/devices").await.expect(200).json();
    let cookie = all["devices"].as_array().unwrap().iter().find(|d| d["current"] == false).unwrap().clone();
    let body = json!({"trusted_device_id": cookie["id"]});
    server.http.post_as(&token, "/2fa/method/mobile", &body).await.expect(200);
    server.clock.advance(STALE);
    browser.post("/sign-out", &json!({})).await.expect(200);
    let letters = letters_to(&server, "ann@example.org").await;
    assert_eq!(letters.iter().filter(|letter| letter.subject == LETTER).count(), 1);
}
