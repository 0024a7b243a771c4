//! The code to scan: a phone opens its link and is asked at once.

use super::driver::Window;
use super::pictures::Size;
use super::steps::{desktop, phone_of, server};

/// What the QR code on the page says.
async fn scan(page: &Window) -> String {
    page.shows("#qr svg").await;
    page.attribute("#qr-link", "href").await
}

#[tokio::test]
async fn a_scanned_login_is_asked_at_once_and_finished_with_the_password() {
    let server = server(&[]).await;
    let ann = server.person("ann").await;
    let phone = phone_of(&ann, &server).await;
    let page = desktop(&server).await;
    let link = scan(&page).await;
    assert!(link.starts_with(&format!("{}/phone#u=", server.url())), "{link}");

    // As a camera does: in a page of its own.
    phone.goto("about:blank").await;
    phone.goto(&link).await;
    phone.shows(".ask").await;
    assert_eq!(phone.script("return location.hash", &[]).await, "", "nobody reads it over a shoulder");
    page.state("asked").await;
    page.says("#lead", "Type your email and password to finish it.").await;
    page.hides("#qr").await;
    page.picture("login-5-scanned").await;

    page.log_in(&ann).await;
    page.shows("#waiting").await;
    phone.approve().await;
    let token = page.token().await;
    server.http.get_as(&token, "/dashboard/devices").await.expect(200);
    page.close().await;
    phone.close().await;
}

#[tokio::test]
async fn an_approval_waits_for_the_password() {
    let server = server(&[]).await;
    let ann = server.person("ann").await;
    let phone = phone_of(&ann, &server).await;
    let page = desktop(&server).await;
    // The phone's page is open already: only the part after # changes.
    phone.goto(&scan(&page).await).await;
    phone.approve().await;
    page.state("approved").await;
    page.picture("login-6-approved-first").await;
    page.log_in(&ann).await;
    page.token().await;
    page.close().await;
    phone.close().await;
}

#[tokio::test]
async fn somebody_elses_approval_is_worth_nothing() {
    let server = server(&[]).await;
    let (ann, bob) = (server.person("ann").await, server.person("bob").await);
    let anns = phone_of(&ann, &server).await;
    let bobs = phone_of(&bob, &server).await;
    let page = desktop(&server).await;
    bobs.goto(&scan(&page).await).await;
    bobs.approve().await;
    page.state("approved").await;

    page.log_in(&ann).await;
    page.says("#error", "The approval was for another account").await;
    page.hides("#result").await;
    page.state("ready").await;
    page.log_in(&ann).await;
    anns.approve().await;
    page.token().await;
    for window in [page, anns, bobs] {
        window.close().await;
    }
}

#[tokio::test]
async fn a_phone_that_is_not_set_up_sees_the_login_after_signing_in() {
    let server = server(&[]).await;
    let ann = server.person("ann").await;
    let page = desktop(&server).await;
    let phone = Window::open(&server, Size::Phone).await;
    phone.goto(&scan(&page).await).await;
    phone.says("#signin-lead", "You scanned a login.").await;
    phone.sign_in(&ann).await;
    phone.shows(".ask").await;
    phone.approve().await;
    page.state("approved").await;
    page.close().await;
    phone.close().await;
}

#[tokio::test]
async fn a_code_that_is_over_is_said_to_be() {
    let server = server(&[]).await;
    let ann = server.person("ann").await;
    let phone = phone_of(&ann, &server).await;
    let page = desktop(&server).await;
    let link = scan(&page).await;
    page.close().await;
    // The pairing may end at once or later, but never becomes a question about a browser that has gone.
    phone.goto(&link.replace(&link[link.len() - 4..], "0000")).await;
    phone.says("#error", "That code is no longer valid.").await;
    phone.picture("phone-8-old-code").await;
    phone.close().await;
}

#[tokio::test]
async fn a_code_that_nobody_scanned_ends_and_a_new_one_is_had_for_a_press() {
    let server = server(&[("PAIRING__TTL", "2s")]).await;
    let page = desktop(&server).await;
    let link = scan(&page).await;
    page.state("expired").await;
    page.says("#qr-text", "This code is no longer valid.").await;
    page.hides("#qr").await;
    page.picture("login-11-code-over").await;
    page.click("#renew").await;
    page.state("ready").await;
    assert_ne!(scan(&page).await, link);
    page.close().await;
}
