//! Lost connections and reloads: a login under way goes on.

use super::steps::{desktop, phone_of, server};
use crate::harness::{PASSWORD, quiet_port};

#[tokio::test]
async fn both_pages_come_back_after_a_restart_and_the_login_goes_on() {
    let address = format!("127.0.0.1:{}", quiet_port());
    let mut server = server(&[("SERVER__LISTEN", &address), ("SERVER__DRAIN", "1s")]).await;
    let ann = server.person("ann").await;
    let phone = phone_of(&ann, &server).await;
    let page = desktop(&server).await;
    page.log_in(&ann).await;
    phone.shows(".ask").await;
    page.watch_states().await;
    phone.watch_states().await;

    server.restart().await;
    page.went_through("reconnecting").await;
    phone.went_through("reconnecting").await;
    page.state("asked").await;
    phone.state("ready").await;
    phone.approve().await;
    let token = page.token().await;
    server.http.get_as(&token, "/dashboard/devices").await.expect(200);
    page.close().await;
    phone.close().await;
}

#[tokio::test]
async fn an_answer_given_while_the_page_was_reloaded_arrives() {
    let server = server(&[]).await;
    let ann = server.person("ann").await;
    let phone = phone_of(&ann, &server).await;
    let page = desktop(&server).await;
    page.log_in(&ann).await;
    phone.shows(".ask").await;

    page.goto("about:blank").await;
    phone.approve().await;
    page.goto("/").await;
    page.state("approved").await;
    assert_eq!(page.shows("#email").await, ann.email, "the address is kept, the password is not");
    page.fill("#password", PASSWORD).await;
    page.click("#submit").await;
    page.token().await;
    page.close().await;
    phone.close().await;
}

#[tokio::test]
async fn a_reload_asks_for_the_password_again_but_not_the_phone() {
    let server = server(&[]).await;
    let ann = server.person("ann").await;
    let phone = phone_of(&ann, &server).await;
    let page = desktop(&server).await;
    page.log_in(&ann).await;
    phone.shows(".ask").await;

    page.reload().await;
    page.state("asked").await;
    page.says("#lead", "A login is under way.").await;
    page.picture("login-7-reloaded").await;
    page.fill("#password", PASSWORD).await;
    page.click("#submit").await;
    page.shows("#waiting").await;
    assert_eq!(phone.script("return document.querySelectorAll('.ask').length", &[]).await, 1);
    phone.reload().await;
    phone.approve().await;
    page.token().await;
    page.close().await;
    phone.close().await;
}

#[tokio::test]
async fn a_copy_of_the_tab_takes_the_login_over() {
    let server = server(&[]).await;
    let ann = server.person("ann").await;
    let phone = phone_of(&ann, &server).await;
    let page = desktop(&server).await;
    page.log_in(&ann).await;
    phone.shows(".ask").await;

    page.duplicate().await;
    page.state("asked").await;
    page.first_tab().await;
    page.state("taken").await;
    page.says("#error", "This login went on in another tab or window.").await;
    page.picture("login-12-taken").await;
    page.close().await;
    phone.close().await;
}
