//! A login without a mouse.

use fantoccini::key::Key;

use super::driver::Window;
use super::steps::{desktop, phone_of, server};
use crate::harness::PASSWORD;

/// How many stops the keyboard may need to get anywhere on these pages.
const STOPS: usize = 12;

/// Presses Tab until the keyboard is there, where it can be seen.
pub(super) async fn tab_to(page: &Window, css: &str) {
    for _ in 0..STOPS {
        page.press(Key::Tab).await;
        if page.is_focused(css).await {
            let outline = "return getComputedStyle(document.activeElement).outlineStyle;";
            assert_ne!(page.script(outline, &[]).await, "none", "{css} shows that it has the focus");
            return;
        }
    }
    panic!("{STOPS} times Tab do not lead to {css}");
}

#[tokio::test]
async fn a_login_is_typed_tabbed_and_approved_with_enter() {
    let server = server(&[]).await;
    let ann = server.person("ann").await;
    let phone = phone_of(&ann, &server).await;
    let page = desktop(&server).await;
    tab_to(&page, "#email").await;
    page.write(&ann.email).await;
    tab_to(&page, "#password").await;
    page.write(PASSWORD).await;
    tab_to(&page, "#submit").await;
    page.press(Key::Enter).await;
    page.focuses("#waiting-title").await;

    phone.shows(".ask").await;
    tab_to(&phone, ".ask .approve").await;
    phone.press(Key::Enter).await;
    phone.hides(".ask").await;
    phone.focuses("#asks-title").await;

    page.focuses("#result-title").await;
    tab_to(&page, "#forget").await;
    page.press(Key::Enter).await;
    page.shows("#login-form").await;
    page.close().await;
    phone.close().await;
}

#[tokio::test]
async fn enter_in_the_password_field_sends_the_form() {
    let server = server(&[]).await;
    let ann = server.person("ann").await;
    let page = desktop(&server).await;
    tab_to(&page, "#email").await;
    page.write(&ann.email).await;
    page.press(Key::Tab).await;
    page.write(PASSWORD).await;
    page.press(Key::Enter).await;
    page.token().await;
    page.close().await;
}
