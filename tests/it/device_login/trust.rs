//! Devices that are known by a fingerprint: what it spares, for how long, on which account, and what it never opens.

use std::time::Duration;

use serde_json::{Value, json};

use super::{log_in_by_mail, login, naming, post, refusal, told, verify, with_mail, with_phone_and_mail};
use crate::harness::{Answer, Browser, PASSWORD, Person, Server, letters_to, mailed_code, text_pairs};

const DAY: Duration = Duration::from_secs(86_400);
const FINGERPRINT: &str = "HJJKJ6-BKJLOI-12";

fn device() -> Value {
    json!({"device_fingerprint": FINGERPRINT, "device_name": "SAMSUNG GALAXY A13"})
}

/// Somebody whose device is trusted, and a token of it.
async fn trusting(server: &Server, name: &str) -> (Person, String) {
    let person = with_mail(server, name).await;
    let done = log_in_by_mail(server, &person, &device()).await;
    (person, told(&done, "access_token"))
}

/// The account's trusted devices.
async fn listed(server: &Server, token: &str) -> Vec<Value> {
    let listed = server.http.get_as(token, "/dashboard/2fa/trusted").await.expect(200).json();
    listed["trusted"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_trusted_device_is_not_asked_for_thirty_days() {
    let server = Server::start(&[("SERVER__TRUSTED_PROXIES", "127.0.0.1")]).await;
    let (ann, token) = trusting(&server, "ann").await;
    let begun = listed(&server, &token).await;
    assert_eq!((begun.len(), &begun[0]["name"]), (1, &json!("SAMSUNG GALAXY A13")));
    let end = begun[0]["date"].as_i64().unwrap() + 30 * 86_400;
    assert_eq!(begun[0]["expires"], end);
    for day in 1..30 {
        server.clock.advance(DAY);
        let ip = format!("192.0.2.{day}");
        let request = server.http.request("POST", "/api/v1/auth/login").header("x-forwarded-for", &ip);
        let request =
            request.json(&naming(&ann.email, &json!({"device_fingerprint": format!("  {FINGERPRINT}\n")})));
        let done = Answer::read(request.send().await.unwrap()).await.expect(200).json();
        // When and from where it came last moves; the end does not.
        let now = listed(&server, &told(&done, "access_token")).await;
        assert_eq!((now.len(), &now[0]["id"], &now[0]["expires"]), (1, &begun[0]["id"], &json!(end)));
        assert_eq!(
            (&now[0]["ip_address"], &now[0]["last_used"]),
            (&json!(ip), &json!(server.clock.now().seconds()))
        );
        assert_eq!(now[0]["date"], begun[0]["date"]);
    }
    server.clock.advance(DAY);
    login(&server, &ann, &device()).await.expect(202);
    // What was refused as over stays over, also when the clock is set back.
    server.clock.step_back(DAY);
    login(&server, &ann, &device()).await.expect(202);
}

#[tokio::test]
async fn the_owner_is_told_and_nothing_shows_the_fingerprint() {
    let server = Server::start(&[]).await;
    let (ann, token) = trusting(&server, "ann").await;
    let letters = letters_to(&server, &ann.email).await;
    let of_trust: Vec<_> =
        letters.iter().filter(|letter| letter.subject == "A device is trusted now").collect();
    assert_eq!(of_trust.len(), 1);
    assert!(of_trust[0].text.contains("SAMSUNG GALAXY A13"));
    login(&server, &ann, &device()).await.expect(200);
    assert_eq!(letters_to(&server, &ann.email).await.len(), letters.len());
    let shown = format!(
        "{:?} {} {}",
        letters.iter().map(|letter| &letter.raw).collect::<Vec<_>>(),
        server.http.get_as(&token, "/dashboard/2fa/trusted").await.text,
        server.http.get_as(&token, "/api/v1/auth/sessions").await.text,
    );
    assert!(!shown.contains(FINGERPRINT), "{shown}");
}

#[tokio::test]
async fn it_is_worth_nothing_elsewhere() {
    let server = Server::start(&[]).await;
    let (ann, _) = trusting(&server, "ann").await;
    let bob = with_mail(&server, "bob").await;
    // On another account, as another text, or without the password.
    login(&server, &bob, &device()).await.expect(202);
    for other in ["hjjkj6-bkjloi-12", "HJJKJ6-BKJLOI-1", "HJJKJ6-BKJLOI-12 x", "x"] {
        login(&server, &ann, &json!({"device_fingerprint": other})).await.expect(202);
    }
    login(&server, &ann, &json!({})).await.expect(202);
    let mut body = naming(&ann.email, &device());
    body["password"] = json!("wrong password");
    refusal(post(&server, "login", &body).await, 401);
    // It proves the password alone.
    let done = login(&server, &ann, &device()).await.expect(200).json();
    let token = told(&done, "access_token");
    let listed = server.http.get_as(&token, "/api/v1/auth/sessions").await.expect(200).json();
    let current =
        listed["sessions"].as_array().unwrap().iter().find(|s| s["current"] == true).unwrap().clone();
    assert_eq!((&current["amr"], &current["acr"]), (&json!(["pwd"]), &json!("urn:readylogin:acr:pwd")));
}

#[tokio::test]
async fn it_is_no_cookie_and_no_cookie_is_one() {
    let server = Server::start(&[]).await;
    let (ann, _) = trusting(&server, "ann").await;
    let mut browser = Browser::new(&server);
    browser.plant("trust_device", FINGERPRINT);
    assert_eq!(browser.sign_in("ann").await.expect(200).json()["twoFactorRedirect"], true);
    browser.post("/two-factor/send-otp", &json!({})).await.expect(200);
    let code = mailed_code(&server, &ann.email).await;
    browser.post("/two-factor/verify-otp", &json!({"code": code, "trustDevice": true})).await.expect(200);
    let cookie = browser.cookie("trust_device").unwrap();
    let token = cookie.split('.').next().unwrap().to_owned();
    for stolen in [cookie, token] {
        login(&server, &ann, &json!({"device_fingerprint": stolen})).await.expect(202);
    }
    // The cookie itself still is what it was.
    assert!(browser.sign_in("ann").await.expect(200).json()["token"].is_string());
}

#[tokio::test]
async fn it_ends_when_it_is_revoked_or_the_password_changes() {
    let server = Server::start(&[]).await;
    let (ann, token) = trusting(&server, "ann").await;
    let id = told(&listed(&server, &token).await[0], "id");
    let bob = with_mail(&server, "bob").await;
    let foreign = told(&log_in_by_mail(&server, &bob, &device()).await, "access_token");
    server.http.delete_as(&foreign, &format!("/dashboard/2fa/trusted/{id}")).await.expect(404);
    login(&server, &ann, &device()).await.expect(200);
    server.http.delete_as(&token, &format!("/dashboard/2fa/trusted/{id}")).await.expect(200);
    login(&server, &ann, &device()).await.expect(202);

    server.clock.advance(Duration::from_secs(61));
    let token = told(&log_in_by_mail(&server, &ann, &device()).await, "access_token");
    login(&server, &ann, &device()).await.expect(200);
    let change = json!({"password": PASSWORD, "new_password": "another horse battery"});
    server.http.post_as(&token, "/dashboard/password", &change).await.expect(200);
    let mut again = device();
    again["password"] = json!("another horse battery");
    login(&server, &ann, &again).await.expect(202);
    // Bob's device is Bob's.
    login(&server, &bob, &device()).await.expect(200);
}

#[tokio::test]
async fn only_a_second_factor_makes_a_device_trusted() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    login(&server, &ann, &device()).await.expect(200);
    refusal(verify(&server, &ann, "123456", &device()).await, 401);
    ann.turn_mail_on(&server, &ann.token).await;
    login(&server, &ann, &device()).await.expect(202);
    refusal(verify(&server, &ann, "12345", &device()).await, 401);
    login(&server, &ann, &device()).await.expect(202);
    assert_eq!(text_pairs(&server, "SELECT name, ip FROM trusts").await, []);
}

#[tokio::test]
async fn proven_again_its_time_begins_anew() {
    let server = Server::start(&[("TWO_FACTOR__TRUST_TTL", "10d")]).await;
    let (ann, _) = trusting(&server, "ann").await;
    server.clock.advance(9 * DAY);
    post(&server, "2fa/request-otp", &json!({"identifier": ann.email})).await.expect(201);
    let code = mailed_code(&server, &ann.email).await;
    let done = verify(&server, &ann, &code, &device()).await.expect(200).json();
    let trusted = listed(&server, &told(&done, "access_token")).await;
    let now = server.clock.now().seconds();
    assert_eq!(
        (trusted.len(), &trusted[0]["date"], &trusted[0]["expires"]),
        (1, &json!(now), &json!(now + 10 * 86_400))
    );
    server.clock.advance(9 * DAY);
    login(&server, &ann, &device()).await.expect(200);
    server.clock.advance(DAY);
    login(&server, &ann, &device()).await.expect(202);
}

#[tokio::test]
async fn a_race_of_proofs_trusts_a_device_once() {
    let server = Server::start(&[("PASSWORD__QUEUE", "1000")]).await;
    let twin = server.twin().await;
    let (ann, phone) = with_phone_and_mail(&server, "ann").await;
    let racers: Vec<_> = (0..100)
        .map(|n| {
            let mut body = naming(&ann.email, &device());
            body["otp"] = json!(phone.backup_codes[n % 10]);
            let http = [&server, &twin][n / 10 % 2].http.clone();
            tokio::spawn(async move { http.post("/api/v1/auth/2fa/verify", &body).await })
        })
        .collect();
    let mut opened = 0;
    for racer in racers {
        let answer = racer.await.unwrap();
        assert!([200, 401].contains(&answer.status), "{answer:?}");
        opened += usize::from(answer.status == 200);
    }
    assert_eq!(opened, 10);
    assert_eq!(text_pairs(&server, "SELECT name, ip FROM trusts").await.len(), 1);
    login(&server, &ann, &device()).await.expect(200);
}
