//! One login, end to end: the browser asks (2a), the phone scans (2b), the code becomes a token.

use base64::Engine as _;
use serde_json::{Value, json};

use crate::harness::Server;

/// The claims of a token, unverified.
fn claims(token: &str) -> Value {
    let body = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(body).unwrap()).unwrap()
}

#[tokio::test]
async fn a_browser_waits_a_phone_approves_and_a_client_gets_a_token() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    assert_eq!(ann.post("login", &json!({})).await.expect(200).json()["Methods"], json!(["MOBILE"]));

    let (mut browser, uuid) = ann.asking_browser(&server).await;
    let ask = phone.socket.expect("ask_mobile_connection").await;
    assert_eq!(ask["uuid"], uuid);
    assert_eq!([&ask["os"], &ask["browser"], &ask["location"]], ["Linux", "Firefox", "Paris"]);
    assert_eq!(ask["ip"], "127.0.0.1");
    assert_eq!(ask["seenAt"], "2026-11-22T00:00:00.000Z");
    assert_eq!(ask["expiresIn"], 120);

    let reply = phone.socket.call(&phone.answer_frame(&uuid, true)).await;
    assert_eq!(reply, json!({"message": "Message sent"}));
    let code = browser.expect_code().await;
    let token = ann.post("mobile_2fa", &json!({"token_2fa": code, "name_device": "Laptop"})).await.token();

    let claims = claims(&token);
    assert_eq!(claims["patient"], "ann@example.org");
    assert_eq!(claims["name_device"], "Laptop");
    assert_eq!(claims["amr"], json!(["pwd", "mca", "mfa"]));
    assert_eq!(claims["acr"], "urn:readylogin:acr:tap");
    assert_eq!(claims["sub"], claims["id"]);
    assert_eq!(claims["sid"], claims["session_uuid"]);
    assert_eq!(claims["iss"], server.url());
    assert_eq!(claims["aud"], "readylogin");
    assert_eq!(claims["client_id"], "readylogin");
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
    assert!(claims["account_id"].is_i64() && claims["device_id"].is_i64());
    server.http.get_as(&token, "/dashboard/devices").await.expect(200);
}

#[tokio::test]
async fn a_phone_that_scanned_the_uuid_asks_for_the_browser() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let mut browser = server.socket().await;
    let uuid = browser.ready_login().await["uuid"].clone();

    let scan =
        json!({"action": "askMobileConnection", "uuid": uuid, "type": "p", "email": "ANN@example.org"});
    let ask = phone.socket.call(&scan).await;
    assert_eq!(ask["action"], "ask_mobile_connection");
    assert_eq!(ask["uuid"], uuid);
    let told = browser.expect_message("Message sent").await;
    assert!(told.get("uuid").is_none(), "upstream's browsers adopt any uuid they see");

    let reply = phone.socket.call(&phone.answer_frame(&uuid, true)).await;
    assert_eq!(reply["message"], "Message sent");
    let code = browser.expect_code().await;
    ann.exchange(&code).await.token();
}

#[tokio::test]
async fn a_refusal_yields_an_empty_code() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let (mut browser, uuid) = ann.asking_browser(&server).await;
    phone.answer(&uuid, false).await;
    let answer = browser.expect("response_mobile_connection").await;
    assert_eq!(answer, json!({"action": "response_mobile_connection", "code": "", "response": false}));
    browser.expect_close(1000).await;
    assert_eq!(ann.exchange("").await.refusal(400), "email is not a valid 2FA method");
}
