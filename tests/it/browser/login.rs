//! A login through two windows: approved, refused, left unanswered.

use base64::Engine as _;
use serde_json::{Value, json};

use super::driver::Window;
use super::pictures::Size;
use super::steps::{desktop, phone_of, server};
use crate::harness::{PASSWORD, Person, Server};

/// The claims of a token, unverified.
fn claims(token: &str) -> Value {
    let body = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(body).unwrap()).unwrap()
}

/// Sets a phone up step by step, looking at each.
async fn phone_in_pictures(person: &Person, server: &Server) -> Window {
    let phone = Window::open(server, Size::Phone).await;
    phone.goto("/phone").await;
    phone.shows("#signin").await;
    phone.state("signed-out").await;
    phone.picture("phone-1-set-up").await;
    phone.sign_in(person).await;
    phone.shows("#codes").await;
    let codes = phone.script("return document.querySelectorAll('#backup-codes li').length", &[]).await;
    assert_eq!(codes, 10);
    phone.state("ready").await;
    phone.picture("phone-2-backup-codes").await;
    phone.click("#codes-kept").await;
    phone.hides("#codes").await;
    phone.picture("phone-3-ready").await;
    phone
}

/// What the phone says about the browser that asks.
async fn expect_ask(phone: &Window, person: &Person) {
    phone.says(".ask h2", &person.email).await;
    for fact in ["Chrome", "Linux", "Europe/Paris", "127.0.0.1"] {
        phone.says(".ask .facts", fact).await;
    }
    assert!(phone.script("return document.title", &[]).await.as_str().unwrap().starts_with("(1)"));
}

/// The page shows what the token says.
async fn expect_claims(page: &Window, token: &str, person: &Person) {
    let claims = claims(token);
    assert_eq!(claims["amr"], json!(["pwd", "mca", "mfa"]));
    assert_eq!(claims["acr"], "urn:readylogin:acr:tap");
    page.says("[data-claim=sub] td", claims["sub"].as_str().unwrap()).await;
    page.says("[data-claim=email] td", &person.email).await;
    page.says("[data-claim=amr] td", "mca").await;
    page.says("[data-claim=acr] td", "urn:readylogin:acr:tap").await;
}

#[tokio::test]
async fn a_login_is_asked_approved_and_shown() {
    let server = server(&[]).await;
    let ann = server.person("ann").await;
    let phone = Box::pin(phone_in_pictures(&ann, &server)).await;

    let page = desktop(&server).await;
    page.shows("#qr svg").await;
    page.picture("login-1-form").await;
    page.log_in(&ann).await;
    page.state("asked").await;
    page.says("#waiting-text", &ann.email).await;
    page.picture("login-2-asked").await;

    expect_ask(&phone, &ann).await;
    phone.picture("phone-4-ask").await;
    phone.approve().await;
    phone.says("#log", "You approved Chrome on Linux.").await;
    phone.picture("phone-5-approved").await;

    let token = page.token().await;
    expect_claims(&page, &token, &ann).await;
    assert!(page.is_focused("#result-title").await);
    page.picture("login-3-token").await;
    server.http.get_as(&token, "/dashboard/devices").await.expect(200);
    page.close().await;
    phone.close().await;
}

#[tokio::test]
async fn a_refusal_is_told_and_yields_no_token() {
    let server = server(&[]).await;
    let ann = server.person("ann").await;
    let phone = phone_of(&ann, &server).await;
    let page = desktop(&server).await;
    page.log_in(&ann).await;
    phone.click(".ask .refuse").await;
    phone.says("#log", "You refused Chrome on Linux.").await;

    page.state("refused").await;
    page.says("#error", "The login was refused on the phone.").await;
    page.picture("login-4-refused").await;
    page.hides("#result").await;
    assert_eq!(page.script("return document.getElementById('token').value", &[]).await, "");
    assert_eq!(page.shows("#password").await, "", "a password must be typed again");
    page.focuses("#password").await;

    // The next try is a new pairing.
    page.log_in(&ann).await;
    page.state("asked").await;
    phone.approve().await;
    page.token().await;
    page.close().await;
    phone.close().await;
}

#[tokio::test]
async fn an_ask_that_nobody_answers_ends_on_both_sides() {
    let server = server(&[("PAIRING__ASK_TTL", "2s")]).await;
    let ann = server.person("ann").await;
    let phone = phone_of(&ann, &server).await;
    let page = desktop(&server).await;
    page.log_in(&ann).await;
    phone.shows(".ask").await;
    page.state("expired").await;
    page.says("#error", "Nobody answered in time.").await;
    page.focuses("#password").await;
    phone.hides(".ask").await;
    phone.says("#log", "was not answered in time").await;
    phone.picture("phone-6-not-answered").await;
    page.close().await;
    phone.close().await;
}

#[tokio::test]
async fn a_cancelled_login_leaves_the_phone() {
    let server = server(&[]).await;
    let ann = server.person("ann").await;
    let phone = phone_of(&ann, &server).await;
    let page = desktop(&server).await;
    page.log_in(&ann).await;
    phone.shows(".ask").await;
    page.click("#cancel").await;
    page.state("ready").await;
    page.shows("#login-form").await;
    phone.hides(".ask").await;
    phone.shows("#none").await;
    page.close().await;
    phone.close().await;
}

#[tokio::test]
async fn a_second_phone_is_set_up_with_the_first_ones_consent() {
    let server = server(&[]).await;
    let ann = server.person("ann").await;
    let first = phone_of(&ann, &server).await;
    let second = Window::open(&server, Size::Phone).await;
    second.goto("/phone").await;
    second.sign_in(&ann).await;
    second.click("#ask-phone").await;
    second.shows("#other-phone").await;
    second.picture("phone-7-other-phone").await;
    first.approve().await;
    second.state("ready").await;

    // Both are asked; the second answers, the first is told.
    let page = desktop(&server).await;
    page.log_in(&ann).await;
    first.shows(".ask").await;
    second.approve().await;
    page.token().await;
    first.hides(".ask").await;
    first.says("#log", "was approved on another phone").await;
    for window in [page, first, second] {
        window.close().await;
    }
}

#[tokio::test]
async fn without_a_second_factor_the_password_is_enough() {
    let server = server(&[]).await;
    let ann = server.person("ann").await;
    let page = desktop(&server).await;
    page.fill("#email", &ann.email).await;
    page.fill("#password", PASSWORD).await;
    page.click("#submit").await;
    let token = page.token().await;
    assert_eq!(claims(&token)["amr"], json!(["pwd"]));
    page.says("[data-claim=acr] td", "password").await;
    page.close().await;
}
