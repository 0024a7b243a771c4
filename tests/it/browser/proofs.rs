//! What protects an account is changed with a fresh password only, by any keyboard, in either language; and what was
//! let in is thrown out again.

use std::time::Duration;

use fantoccini::key::Key;
use readylogin::clock::Clock;
use serde_json::json;

use super::account::account_of;
use super::driver::Window;
use super::keyboard::tab_to;
use super::pictures::Size;
use super::steps::{phone_of, server};
use crate::harness::{PASSWORD, Person, Server};

#[tokio::test]
async fn an_old_login_is_asked_for_the_password_and_goes_on_with_it() {
    let server = Server::start_with(&[], Clock::manual(Clock::system().now())).await;
    let ann = server.person("ann").await;
    let page = account_of(&ann, &server).await;
    server.clock.advance(Duration::from_mins(6));
    page.click("#on-EMAIL").await;
    page.focuses("#proof-password").await;
    page.picture("proof-1-password").await;
    page.write("not the password").await;
    page.press(Key::Enter).await;
    page.says("#proof-error", "That is not the password of this account.").await;
    page.focuses("#proof-password").await;
    assert_eq!(page.shows("#proof-password").await, "");
    page.picture("proof-2-wrong").await;

    // Escape leaves everything as it was, and the keyboard where it came from.
    page.press(Key::Escape).await;
    page.hides("#proof").await;
    page.focuses("#on-EMAIL").await;
    page.hides("#error").await;
    page.says("#state-EMAIL", "Off").await;

    page.press(Key::Enter).await;
    page.focuses("#proof-password").await;
    page.hides("#proof-error").await;
    page.write(PASSWORD).await;
    page.press(Key::Enter).await;
    page.keep_codes().await;
    page.says("#state-EMAIL", "On").await;
    assert!(!page.whole().await.contains(PASSWORD));
    page.close().await;
}

/// A phone, and a desktop's window with the account that the phone let in.
async fn with_phone(ann: &Person, server: &Server) -> (Window, Window) {
    let phone = phone_of(ann, server).await;
    let page = Window::open(server, Size::Desktop).await;
    page.enter_account(ann).await;
    page.click("#ask-phone").await;
    phone.approve().await;
    page.shows("#home").await;
    (phone, page)
}

#[tokio::test]
async fn a_phone_that_is_logged_out_is_off_the_line_at_once() {
    let server = server(&[]).await;
    let ann = server.person("ann").await;
    let (phone, page) = with_phone(&ann, &server).await;
    page.click("#devices [data-id]:not(:first-child) button").await;
    page.says("#sure-title", "Log “Ann's phone” out?").await;
    page.says("#sure-more", "It is the last phone that approves.").await;
    page.picture("proof-3-log-out").await;
    page.click("#sure-no").await;
    page.hides("#sure").await;
    phone.state("ready").await;
    page.click("#devices [data-id]:not(:first-child) button").await;
    page.sure().await;
    phone.state("signed-out").await;
    page.says("#notice", "“Ann's phone” is logged out.").await;
    page.focuses("#devices-title").await;
    page.hides("#phones").await;
    page.close().await;
    phone.close().await;
}

#[tokio::test]
async fn a_phone_is_stopped_and_without_the_last_one_backup_codes_are_needed() {
    let server = server(&[]).await;
    let ann = server.person("ann").await;
    let (phone, page) = with_phone(&ann, &server).await;
    page.click("#phones button").await;
    page.says("#sure-title", "Stop “Ann's phone” from approving?").await;
    page.says("#sure-more", "To log in you then need a backup code").await;
    page.sure().await;
    page.says("#notice", "“Ann's phone” does not approve any more.").await;
    page.focuses("#name-MOBILE").await;
    page.hides("#phones").await;
    phone.state("signed-out").await;
    page.says("#state-MOBILE", "On, but no phone is left").await;
    assert_eq!(ann.post("login", &json!({})).await.json()["Methods"], json!(["MOBILE"]));
    page.picture("proof-5-no-phone").await;
    page.click("#off-MOBILE").await;
    page.says("#sure-more", "your password alone logs you in").await;
    page.sure().await;
    page.says("#state-MOBILE", "Off").await;
    ann.post("login", &json!({})).await.token();
    page.close().await;
    phone.close().await;
}

#[tokio::test]
async fn all_phones_are_turned_off_together() {
    let server = server(&[]).await;
    let ann = server.person("ann").await;
    let (phone, page) = with_phone(&ann, &server).await;
    page.click("#off-MOBILE").await;
    page.sure().await;
    page.says("#notice", "No phone approves your logins any more.").await;
    page.says("#state-MOBILE", "Off").await;
    phone.state("signed-out").await;
    page.close().await;
    phone.close().await;
}

/// Trusts a browser by the cookie of `/api/auth`, and proves that it is.
async fn trust_a_browser(server: &Server, person: &Person, backup_code: &str) {
    let post = |path: &str, cookie: &str, body| {
        let request = server.http.request("POST", path).header("origin", server.url());
        let request = request.header("user-agent", "Mozilla/5.0 (Windows NT 10.0) Firefox/140.0");
        request.header("cookie", cookie.to_owned()).json(&body).send()
    };
    let signed = post("/api/auth/sign-in/email", "", person.body(&json!({}))).await.unwrap();
    let cookies: Vec<String> = signed
        .headers()
        .get_all("set-cookie")
        .iter()
        .map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap().to_owned())
        .collect();
    let body = json!({"code": backup_code, "trustDevice": true});
    let verified = post("/api/auth/two-factor/verify-backup-code", &cookies.join("; "), body).await.unwrap();
    assert_eq!(verified.status(), 200);
}

#[tokio::test]
async fn a_trusted_device_is_listed_and_asked_again() {
    let server = server(&[]).await;
    let ann = server.person("ann").await;
    let page = account_of(&ann, &server).await;
    page.click("#on-EMAIL").await;
    let codes = page.keep_codes().await;
    trust_a_browser(&server, &ann, &codes[0]).await;
    page.enter_account(&ann).await;
    page.choose("#factor-method", "BACKUPCODE").await;
    page.fill("#backup-code", &codes[1]).await;
    page.click("#backup-submit").await;
    page.says("#trusted", "from 127.0.0.1").await;
    page.says("#trusted", "Until").await;
    page.picture("proof-4-trusted").await;
    page.click("#trusted button").await;
    page.says("#sure-text", "needs your second step").await;
    page.sure().await;
    page.focuses("#trusted-title").await;
    page.shows("#trusted-none").await;
    page.close().await;
}

#[tokio::test]
async fn an_account_is_protected_without_a_mouse() {
    let server = server(&[]).await;
    let ann = server.person("ann").await;
    let page = Window::open(&server, Size::Desktop).await;
    page.goto("/account").await;
    page.shows("#signin").await;
    tab_to(&page, "#email").await;
    page.write(&ann.email).await;
    tab_to(&page, "#password").await;
    page.write(PASSWORD).await;
    page.press(Key::Enter).await;
    page.focuses("#home-title").await;
    tab_to(&page, "#on-EMAIL").await;
    page.press(Key::Enter).await;
    page.focuses("#codes-title").await;
    tab_to(&page, "#codes-kept").await;
    page.press(Key::Enter).await;
    page.focuses("#name-EMAIL").await;

    tab_to(&page, "#off-EMAIL").await;
    page.press(Key::Enter).await;
    page.focuses("#sure-no").await;
    // The keyboard does not leave the question.
    for _ in 0..6 {
        page.press(Key::Tab).await;
        assert!(!page.is_focused("main *, header *, footer *").await);
    }
    page.press(Key::Escape).await;
    page.focuses("#off-EMAIL").await;
    page.press(Key::Enter).await;
    page.focuses("#sure-no").await;
    tab_to(&page, "#sure-yes").await;
    page.press(Key::Enter).await;
    page.focuses("#name-EMAIL").await;
    page.says("#state-EMAIL", "Off").await;
    page.close().await;
}

#[tokio::test]
async fn every_button_says_what_it_is_for() {
    let server = server(&[]).await;
    let ann = server.person("ann").await;
    let (phone, page) = with_phone(&ann, &server).await;
    // What a screen reader calls the buttons, as the browser computes it.
    page.devtools("Accessibility.enable", json!({})).await;
    let tree = page.devtools("Accessibility.getFullAXTree", json!({})).await;
    let nodes = tree["nodes"].as_array().unwrap();
    let names = |role: &str| -> Vec<String> {
        let of_role = nodes.iter().filter(|node| node["role"]["value"] == role && node["ignored"] == false);
        of_role.map(|node| node["name"]["value"].as_str().unwrap_or_default().to_owned()).collect()
    };
    let buttons = names("button");
    for name in
        ["Turn on Code by mail", "Set up Authenticator app", "Stop Ann's phone", "Log out Ann's phone"]
    {
        assert!(buttons.iter().any(|button| button == name), "{name} is not among {buttons:?}");
    }
    for role in ["button", "link", "textbox", "list", "region", "dialog", "navigation"] {
        assert!(names(role).iter().all(|name| !name.is_empty()), "{role} without a name: {:?}", names(role));
    }
    page.close().await;
    phone.close().await;
}

#[tokio::test]
async fn a_french_owner_reads_french() {
    let server = server(&[]).await;
    let ann = server.person("ann").await;
    let page = Window::open_in("fr", &server, Size::Phone).await;
    page.enter_account(&ann).await;
    page.says("#home-title", "Votre compte").await;
    page.says("#state-EMAIL", "Désactivé").await;
    page.says("#devices", "Cet appareil").await;
    page.click("#on-EMAIL").await;
    page.says("#codes-title", "Vos codes de secours").await;
    page.picture("french-6-account-codes").await;
    page.keep_codes().await;
    page.picture("french-7-account").await;
    page.click("#off-EMAIL").await;
    page.says("#sure-title", "Désactiver les codes par e-mail\u{a0}?").await;
    page.picture("french-8-sure").await;
    page.click("#sure-no").await;
    page.hides("#sure").await;
    page.click("#languages [lang=en]").await;
    page.says("#devices", "This device").await;
    page.says("#state-BACKUPCODE", "10 of 10 left").await;
    page.close().await;
}
