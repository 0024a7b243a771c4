//! The ways that are typed: passwords, right and wrong, and backup codes.

use super::driver::Window;
use super::pictures::Size;
use super::steps::{desktop, server};

#[tokio::test]
async fn a_wrong_password_is_told_and_can_be_typed_over() {
    let server = server(&[]).await;
    let (ann, _phone) = server.person_with_phone("ann").await;
    let page = desktop(&server).await;
    page.log_in_with(&ann, "not the password").await;
    page.says("#error", "Email and password do not match.").await;
    page.focuses("#password").await;
    page.picture("login-8-wrong-password").await;
    let selected = "const field = document.activeElement; return field.selectionEnd - field.selectionStart;";
    assert_eq!(page.script(selected, &[]).await, "not the password".len(), "typing replaces it");
    page.state("ready").await;

    page.log_in(&ann).await;
    page.state("asked").await;
    page.hides("#error").await;
    page.close().await;
}

#[tokio::test]
async fn a_backup_code_does_where_no_phone_is_at_hand() {
    let server = server(&[]).await;
    let (ann, phone) = server.person_with_phone("ann").await;
    let page = desktop(&server).await;
    page.log_in(&ann).await;
    page.click("#use-another").await;
    page.focuses("#backup-code").await;
    page.picture("login-9-backup-code").await;

    page.fill("#backup-code", "wrong123").await;
    page.click("#backup-submit").await;
    page.says("#error", "That code is wrong or was used before.").await;
    page.focuses("#backup-code").await;

    page.fill("#backup-code", &phone.backup_codes[0]).await;
    page.click("#backup-submit").await;
    let token = page.token().await;
    server.http.get_as(&token, "/dashboard/devices").await.expect(200);
    page.close().await;
}

#[tokio::test]
async fn a_further_phone_is_set_up_with_a_backup_code() {
    let server = server(&[]).await;
    let (ann, first) = server.person_with_phone("ann").await;
    let phone = Window::open(&server, Size::Phone).await;
    phone.goto("/phone").await;
    phone.sign_in(&ann).await;
    phone.focuses("#backup-code").await;
    phone.picture("phone-9-second-step").await;
    phone.fill("#backup-code", &first.backup_codes[0]).await;
    phone.click("#backup-submit").await;
    phone.state("ready").await;
    phone.hides("#codes").await;
    phone.close().await;
}

#[tokio::test]
async fn a_wrong_account_type_is_a_wrong_password() {
    let server = server(&[]).await;
    let ann = server.person("ann").await;
    let page = desktop(&server).await;
    page.choose("#kind", "d").await;
    page.log_in(&ann).await;
    page.says("#error", "Email and password do not match.").await;
    page.close().await;
}
