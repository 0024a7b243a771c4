//! Logging out and forgetting: what was shown is gone, what was given is dead.

use std::time::Duration;

use fantoccini::key::Key;
use readylogin::clock::Clock;

use super::driver::Window;
use super::steps::{desktop, phone_of, server};
use crate::harness::{PASSWORD, Server, current_device};

#[tokio::test]
async fn logging_out_ends_the_token() {
    let server = server(&[]).await;
    let ann = server.person("ann").await;
    let page = desktop(&server).await;
    page.log_in(&ann).await;
    let token = page.token().await;
    server.http.get_as(&token, "/dashboard/devices").await.expect(200);

    page.click("#forget").await;
    page.says("#notice", "Logged out.").await;
    page.state("ready").await;
    page.picture("login-10-logged-out").await;
    server.http.get_as(&token, "/dashboard/devices").await.expect(401);
    let left = page.script("return document.documentElement.outerHTML", &[]).await;
    assert!(!left.as_str().unwrap().contains(&token));
    let kept = page.script("return JSON.stringify([{...sessionStorage}, {...localStorage}])", &[]).await;
    assert!(!kept.as_str().unwrap().contains(&ann.email), "{kept}");
    assert_eq!(page.shows("#email").await, "");
    assert_eq!(page.script("return document.getElementById('token').value", &[]).await, "");
    page.close().await;
}

/// The token that the phone's page keeps.
async fn kept_token(phone: &Window) -> String {
    let kept = phone.script("return JSON.parse(localStorage.getItem('readylogin.phone')).token", &[]).await;
    kept.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_forgotten_phone_is_signed_out_and_its_token_dead() {
    let server = server(&[]).await;
    let ann = server.person("ann").await;
    let phone = phone_of(&ann, &server).await;
    let token = kept_token(&phone).await;
    server.http.get_as(&token, "/dashboard/devices").await.expect(200);

    phone.click("#forget").await;
    phone.focuses("#leave-title").await;
    phone.picture("phone-13-forget").await;
    phone.click("#leave-no").await;
    phone.focuses("#forget").await;
    phone.hides("#leave").await;
    phone.click("#forget").await;
    phone.click("#leave-yes").await;
    phone.state("signed-out").await;
    phone.says("#notice", "This phone is forgotten.").await;
    assert_eq!(phone.shows("#email").await, "");
    phone.picture("phone-10-forgotten").await;
    assert!(phone.script("return localStorage.getItem('readylogin.phone')", &[]).await.is_null());
    server.http.get_as(&token, "/dashboard/devices").await.expect(401);
    phone.reload().await;
    phone.shows("#signin").await;
    phone.close().await;
}

#[tokio::test]
async fn a_phone_that_was_revoked_elsewhere_says_so() {
    let server = server(&[]).await;
    let ann = server.person("ann").await;
    let phone = phone_of(&ann, &server).await;
    let token = kept_token(&phone).await;
    let id = current_device(&server.http, &token).await;
    server.http.delete_as(&token, &format!("/dashboard/device/{id}")).await.expect(200);
    phone.state("signed-out").await;
    phone.says("#notice", "Set it up again to approve logins.").await;
    phone.close().await;
}

#[tokio::test]
async fn a_phone_that_may_not_approve_any_more_is_trusted_again_with_a_password() {
    // A clock of its own, because the password must have been typed more than five minutes ago.
    let server = Server::start_with(&[], Clock::manual(Clock::system().now())).await;
    let ann = server.person("ann").await;
    let phone = phone_of(&ann, &server).await;
    let token = kept_token(&phone).await;
    let id = current_device(&server.http, &token).await;
    server.http.delete_as(&token, &format!("/dashboard/2fa/device/{id}")).await.expect(200);
    server.clock.advance(Duration::from_mins(6));
    phone.reload().await;
    phone.state("not-approving").await;
    phone.shows("#untrusted").await;
    phone.picture("phone-11-not-approving").await;

    phone.click("#retrust").await;
    phone.focuses("#confirm-password").await;
    phone.picture("phone-12-password-again").await;
    phone.write("not the password").await;
    phone.press(Key::Enter).await;
    phone.says("#error", "That is not the password of this account.").await;
    phone.focuses("#confirm-password").await;
    phone.click("#confirm-cancel").await;
    phone.shows("#untrusted").await;
    phone.hides("#error").await;

    phone.click("#retrust").await;
    phone.fill("#confirm-password", PASSWORD).await;
    phone.click("#confirm-submit").await;
    phone.state("ready").await;
    phone.hides("#untrusted").await;
    phone.close().await;
}
