//! Three words by mail on the page that logs in: they log in, make an account, and set a new password.

use fantoccini::key::Key;
use serde_json::json;

use super::driver::Window;
use super::keyboard::tab_to;
use super::pictures::Size;
use super::steps::{desktop, server};
use crate::harness::{PASSWORD, Server, mailed_words};

const ADDRESS: &str = "ann@example.org";

impl Window {
    /// From the form to the three words, which are on their way to this address.
    async fn ask_for_words(&self, button: &str, address: &str) {
        self.click(button).await;
        self.focuses("#mail-address").await;
        self.fill("#mail-address", address).await;
        self.click("#mail-ask-submit").await;
        self.focuses("#mail-typed").await;
        self.says("#mail-lead", address).await;
    }

    async fn type_words(&self, words: &str) {
        self.fill("#mail-typed", words).await;
        self.click("#mail-words-submit").await;
    }

    async fn choose_password(&self, form: &str, password: &str, again: &str) {
        self.fill(&format!("#{form}-new"), password).await;
        self.fill(&format!("#{form}-again"), again).await;
        self.click(&format!("#{form}-submit")).await;
    }
}

#[tokio::test]
async fn three_words_log_in_and_nothing_of_them_stays() {
    let server = server(&[]).await;
    let ann = server.person("ann").await;
    let page = desktop(&server).await;
    page.fill("#email", ADDRESS).await;
    page.fill("#password", "half a password").await;
    page.picture("mail-1-form").await;
    page.click("#mail-login").await;
    page.focuses("#mail-address").await;
    page.hides("#login-form").await;
    assert_eq!(page.shows("#mail-address").await, ADDRESS, "what was typed goes along");
    assert_eq!(page.script("return document.getElementById('password').value", &[]).await, "");
    page.picture("mail-2-ask").await;
    page.press(Key::Enter).await;
    page.focuses("#mail-typed").await;
    page.says("#mail-lead", "Three words are on their way to ann@example.org").await;
    for (name, value) in
        [("autocomplete", "one-time-code"), ("autocapitalize", "off"), ("spellcheck", "false")]
    {
        assert_eq!(page.attribute("#mail-typed", name).await, value);
    }
    let words = mailed_words(&server, ADDRESS).await;
    page.type_words("none of these").await;
    page.says("#error", "You can try twice more.").await;
    page.focuses("#mail-typed").await;
    page.picture("mail-3-wrong-words").await;
    page.type_words(&words.to_uppercase()).await;
    let token = page.token().await;
    page.hides("#mail").await;
    page.hides("#error").await;
    page.says("[data-claim=acr]", "mail").await;
    server.http.get_as(&token, "/dashboard/devices").await.expect(200);
    assert!(!page.whole().await.to_lowercase().contains(&words));
    page.click("#forget").await;
    page.says("#notice", "Logged out.").await;
    let whole = page.whole().await;
    assert!(!whole.contains(&ann.email) && !whole.contains(&token), "{whole}");
    page.close().await;
}

#[tokio::test]
async fn a_third_wrong_try_ends_the_words_and_new_ones_can_be_had() {
    let server = server(&[]).await;
    server.person("ann").await;
    let page = desktop(&server).await;
    page.ask_for_words("#mail-login", ADDRESS).await;
    let first = mailed_words(&server, ADDRESS).await;
    for told in ["twice more", "once more", "not valid any more"] {
        page.type_words("none of these").await;
        page.says("#error", told).await;
    }
    page.focuses("#mail-address").await;
    assert_eq!(page.shows("#mail-address").await, ADDRESS);
    page.picture("mail-4-over").await;
    page.click("#mail-ask-submit").await;
    page.focuses("#mail-typed").await;
    page.hides("#error").await;
    page.type_words(&first).await;
    page.says("#error", "twice more").await;
    page.click("#mail-again").await;
    page.focuses("#mail-address").await;
    page.hides("#error").await;
    page.click("#mail-ask-submit").await;
    page.focuses("#mail-typed").await;
    page.type_words(&mailed_words(&server, ADDRESS).await).await;
    page.token().await;
    page.close().await;
}

#[tokio::test]
async fn a_second_step_is_asked_for_beside_the_words() {
    let server = server(&[]).await;
    let ann = server.proven_person("ann").await;
    let codes = ann.turn_mail_on(&server, &ann.token).await["backup_codes"].clone();
    let page = desktop(&server).await;
    page.ask_for_words("#mail-login", ADDRESS).await;
    page.type_words(&mailed_words(&server, ADDRESS).await).await;
    page.says("#mail-title", "Second step").await;
    page.focuses("#mail-proof").await;
    assert_eq!(page.attribute("#mail-proof", "type").await, "password", "mail alone is one factor");
    page.picture("mail-5-password").await;
    page.write("not the password").await;
    page.press(Key::Enter).await;
    page.says("#error", "That is not the password of this account.").await;
    page.focuses("#mail-proof").await;
    page.choose("#mail-method", "BACKUPCODE").await;
    assert_eq!(page.attribute("#mail-proof", "type").await, "text");
    page.fill("#mail-proof", "wrongone").await;
    page.click("#mail-second-submit").await;
    page.says("#error", "That code is wrong or was used before.").await;
    page.picture("mail-6-backup-code").await;
    page.choose("#mail-method", "PASSWORD").await;
    page.fill("#mail-proof", PASSWORD).await;
    page.click("#mail-second-submit").await;
    let token = page.token().await;
    assert!(!page.whole().await.contains(PASSWORD));

    let app = ann.begin_app(&server, &token).await;
    let proof = json!({"token": app.code(&server)});
    server.http.post_as(&token, "/2fa/method/third_party", &proof).await.expect(200);
    page.click("#forget").await;
    page.ask_for_words("#mail-login", ADDRESS).await;
    page.type_words(&mailed_words(&server, ADDRESS).await).await;
    page.focuses("#mail-proof").await;
    let ways = "return [...document.querySelectorAll('#mail-method option')].map((option) => option.value)";
    assert_eq!(page.script(ways, &[]).await, json!(["AUTHENTIFICATOR", "BACKUPCODE"]));
    page.write(&app.code_at(&server, 1)).await;
    page.press(Key::Enter).await;
    page.token().await;
    assert_eq!(codes.as_array().unwrap().len(), 10);
    page.close().await;
}

#[tokio::test]
async fn who_has_no_account_makes_one_where_registration_is_open() {
    let server = server(&[]).await;
    let page = desktop(&server).await;
    page.ask_for_words("#mail-login", "new@example.org").await;
    page.type_words(&mailed_words(&server, "new@example.org").await).await;
    page.says("#mail-title", "Create an account").await;
    page.focuses("#mail-name").await;
    page.picture("mail-7-create").await;
    page.write("Nia").await;
    page.choose_password("mail-create", "another horse", "another house").await;
    page.says("#error", "The two new passwords are not the same.").await;
    page.focuses("#mail-create-again").await;
    page.choose_password("mail-create", "password1", "password1").await;
    page.says("#error", "too easy to guess").await;
    page.choose_password("mail-create", "another horse", "another horse").await;
    page.token().await;
    let login = json!({"email": "new@example.org", "password": "another horse"});
    server.http.post("/auth/p/login", &login).await.token();
    page.close().await;
}

#[tokio::test]
async fn where_registration_is_closed_no_account_is_told_to_its_mailbox_alone() {
    // Patients can't register, and this address is a doctor's: words are mailed only where there is an account.
    let server = server(&[("ACCOUNTS__REGISTRATION", "d")]).await;
    server.person_of("d", "new").await;
    let page = desktop(&server).await;
    page.ask_for_words("#mail-login", "new@example.org").await;
    page.type_words(&mailed_words(&server, "new@example.org").await).await;
    page.says("#error", "This address has no account of this type here.").await;
    page.focuses("#mail-address").await;
    page.ask_for_words_again(&server, "new@example.org").await;
    page.close().await;
}

impl Window {
    /// Goes back, and to the new password by mail, which nobody can set without an account.
    async fn ask_for_words_again(&self, server: &Server, address: &str) {
        self.click("#mail-ask [data-mail-back]").await;
        self.focuses("#login-title").await;
        self.hides("#error").await;
        self.ask_for_words("#mail-recover", address).await;
        self.type_words(&mailed_words(server, address).await).await;
        self.choose_password("mail-renew", "another horse", "another horse").await;
        self.says("#error", "This address has no account of this type here.").await;
    }
}

#[tokio::test]
async fn a_forgotten_password_is_replaced_and_what_follows_is_told() {
    let server = server(&[]).await;
    let ann = server.proven_person("ann").await;
    ann.turn_mail_on(&server, &ann.token).await;
    let page = desktop(&server).await;
    page.ask_for_words("#mail-recover", ADDRESS).await;
    page.type_words(&mailed_words(&server, ADDRESS).await).await;
    page.says("#mail-title", "Choose a new password").await;
    page.says("#mail-lead", "logged out everywhere").await;
    page.says("#mail-lead", "a code by mail will not do").await;
    page.focuses("#mail-renew-new").await;
    page.picture("mail-8-new-password").await;
    page.choose_password("mail-renew", "password1", "password1").await;
    page.says("#error", "too easy to guess").await;
    page.choose_password("mail-renew", "another horse", "another horse").await;
    page.says("#notice", "Your new password is set, and you are logged out everywhere.").await;
    page.focuses("#password").await;
    page.hides("#mail").await;
    page.hides("#error").await;
    assert_eq!(page.shows("#email").await, ADDRESS);
    page.picture("mail-9-recovered").await;
    assert!(!page.whole().await.contains("another horse"));
    server.http.get_as(&ann.token, "/dashboard/devices").await.expect(401);
    ann.post("login", &json!({"password": PASSWORD})).await.expect(401);
    let first = ann.post("login", &json!({"password": "another horse"})).await.expect(200).json();
    assert!(first["token"].is_null(), "the second step stays: {first}");
    page.close().await;
}

#[tokio::test]
async fn what_the_server_mails_to_nobody_and_how_long_to_wait_are_told() {
    let settings = [("MAIL_CODE__ALLOW", "example.org"), ("MAIL_CODE__BLOCK", "blocked.example.org")];
    let server = server(&settings).await;
    let page = desktop(&server).await;
    page.click("#mail-login").await;
    for (address, told) in
        [("ann@example.com", "to certain addresses only"), ("someone@localhost..", "no mail address")]
    {
        page.script("document.getElementById('mail-ask').noValidate = true", &[]).await;
        page.fill("#mail-address", address).await;
        page.click("#mail-ask-submit").await;
        page.says("#error", told).await;
        page.focuses("#mail-address").await;
    }
    page.picture("mail-10-not-allowed").await;
    page.close().await;
}

#[tokio::test]
async fn too_many_mails_are_told_with_the_wait() {
    let server = server(&[("LIMITS__FACTOR", "1"), ("MAIL_CODE__BLOCK", "blocked.example")]).await;
    let page = desktop(&server).await;
    page.click("#mail-login").await;
    page.fill("#mail-address", "ann@blocked.example").await;
    page.click("#mail-ask-submit").await;
    page.says("#error", "mails no words to that mail provider").await;
    for _ in 0..2 {
        page.fill("#mail-address", ADDRESS).await;
        page.click("#mail-ask-submit").await;
        page.focuses("#mail-typed").await;
        page.click("#mail-again").await;
    }
    page.click("#mail-ask-submit").await;
    page.says("#error", "Too many tries. Try again in 5 min.").await;
    page.close().await;
}

#[tokio::test]
async fn words_are_asked_for_typed_and_taken_without_a_mouse_and_in_french() {
    let server = server(&[]).await;
    server.person("ann").await;
    let page = Window::open_in("fr", &server, Size::Phone).await;
    page.goto("/").await;
    page.state("ready").await;
    tab_to(&page, "#mail-recover").await;
    page.press(Key::Enter).await;
    page.says("#mail-title", "Choisir un nouveau mot de passe").await;
    tab_to(&page, "#mail-ask [data-mail-back]").await;
    page.press(Key::Enter).await;
    page.focuses("#login-title").await;
    tab_to(&page, "#mail-login").await;
    page.press(Key::Enter).await;
    page.focuses("#mail-address").await;
    page.write(ADDRESS).await;
    page.press(Key::Enter).await;
    page.says("#mail-title", "Regardez vos e-mails").await;
    page.focuses("#mail-typed").await;
    page.picture("mail-11-french").await;
    page.write(&mailed_words(&server, ADDRESS).await).await;
    tab_to(&page, "#mail-words-submit").await;
    page.press(Key::Enter).await;
    page.focuses("#result-title").await;
    page.close().await;
}
