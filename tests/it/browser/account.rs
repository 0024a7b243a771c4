//! The account's page: who gets in, what is seen there, and that nothing of it stays.

use serde_json::json;

use super::driver::Window;
use super::pictures::Size;
use super::steps::{desktop, phone_of, server};
use crate::harness::{PASSWORD, Person, Server};

/// A window with the account's page, logged in by the password alone.
pub(super) async fn account_of(person: &Person, server: &Server) -> Window {
    let page = Window::open(server, Size::Desktop).await;
    page.enter_account(person).await;
    page.shows("#home").await;
    page
}

impl Window {
    /// Opens `/account` and sends its form.
    pub(super) async fn enter_account(&self, person: &Person) {
        self.goto("/account").await;
        self.shows("#signin").await;
        self.log_in(person).await;
    }

    /// Answers the question whether one is sure.
    pub(super) async fn sure(&self) {
        self.click("#sure-yes").await;
        self.hides("#sure").await;
    }

    /// The new backup codes that are shown, put away.
    pub(super) async fn keep_codes(&self) -> Vec<String> {
        self.shows("#codes").await;
        let script =
            "return [...document.querySelectorAll('#backup-codes code')].map((code) => code.textContent);";
        let codes: Vec<String> = serde_json::from_value(self.script(script, &[]).await).unwrap();
        assert_eq!(codes.len(), 10);
        self.click("#codes-kept").await;
        self.hides("#codes").await;
        codes
    }

    /// All that a script finds on the page and in what the tab and the browser store.
    pub(super) async fn whole(&self) -> String {
        let script = "return document.documentElement.outerHTML + \
                      [...document.querySelectorAll('input, textarea')].map((field) => field.value) + \
                      JSON.stringify([{...sessionStorage}, {...localStorage}, document.cookie]);";
        self.script(script, &[]).await.as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn an_account_is_seen_after_a_login_and_forgotten_with_the_page() {
    let server = server(&[]).await;
    let ann = server.person("ann").await;
    let page = Window::open(&server, Size::Desktop).await;
    page.goto("/account").await;
    page.shows("#signin").await;
    page.picture("account-1-log-in").await;
    page.log_in_with(&ann, "not the password").await;
    page.says("#error", "Email and password do not match.").await;
    page.focuses("#password").await;

    page.log_in(&ann).await;
    page.focuses("#home-title").await;
    page.hides("#signin").await;
    page.hides("#error").await;
    page.says("#owner", &ann.email).await;
    page.says("#protection", "your password alone logs you in").await;
    page.says("#devices li:first-child", "This device").await;
    page.says("#devices li:first-child", "from 127.0.0.1").await;
    page.says("#trusted-none", "every device is asked").await;
    page.picture("account-2-no-factor").await;
    let kept = "return JSON.stringify([{...sessionStorage}, {...localStorage}, document.cookie])";
    assert_eq!(page.script(kept, &[]).await, "[{},{},\"\"]", "the login is in memory only");
    page.reload().await;
    page.shows("#signin").await;
    assert!(!page.whole().await.contains(&ann.email));
    page.close().await;
}

#[tokio::test]
async fn logging_out_ends_the_session_and_leaves_nothing() {
    let server = server(&[]).await;
    let ann = server.person("ann").await;
    let page = account_of(&ann, &server).await;
    let sessions = async || {
        let listed = server.http.get_as(&ann.token, "/dashboard/devices").await.expect(200).json();
        listed["devices"].as_array().unwrap().len()
    };
    assert_eq!(sessions().await, 2);
    page.click("#log-out").await;
    page.says("#notice", "Logged out. This page has forgotten everything.").await;
    page.focuses("#signin-title").await;
    page.hides("#log-out").await;
    assert_eq!(sessions().await, 1);
    let whole = page.whole().await;
    assert!(!whole.contains(&ann.email) && !whole.contains("Last used"), "{whole}");
    page.close().await;
}

#[tokio::test]
async fn a_login_is_taken_along_from_the_page_that_logs_in() {
    let server = server(&[]).await;
    let ann = server.person("ann").await;
    let page = desktop(&server).await;
    page.log_in(&ann).await;
    let token = page.token().await;
    page.click("#manage").await;
    page.focuses("#home-title").await;
    page.says("#owner", &ann.email).await;
    assert!(!page.whole().await.contains(&token));

    page.script("history.back()", &[]).await;
    page.shows("#login-form").await;
    assert!(!page.whole().await.contains(&token));
    page.script("history.forward()", &[]).await;
    page.shows("#signin").await;
    page.hides("#home").await;
    assert!(!page.whole().await.contains(&ann.email));
    page.close().await;
}

#[tokio::test]
async fn a_login_that_has_ended_elsewhere_is_told() {
    let server = server(&[]).await;
    let ann = server.person("ann").await;
    let page = account_of(&ann, &server).await;
    server.http.send("POST", "/api/v1/auth/logout?all=true", Some(&ann.token), None).await.expect(204);
    page.click("#on-EMAIL").await;
    page.says("#notice", "Your login here has ended.").await;
    page.shows("#signin").await;
    page.hides("#home").await;
    page.close().await;
}

#[tokio::test]
async fn a_phone_lets_its_owner_in() {
    let server = server(&[]).await;
    let ann = server.person("ann").await;
    let phone = phone_of(&ann, &server).await;
    let page = Window::open(&server, Size::Desktop).await;
    page.enter_account(&ann).await;
    page.picture("account-3-second-step").await;
    page.click("#ask-phone").await;
    page.focuses("#other-title").await;
    page.picture("account-4-phone-asked").await;
    phone.approve().await;
    page.focuses("#home-title").await;
    page.says("#phones", "Ann's phone").await;
    page.says("#devices", "Approves logins").await;
    page.click("summary").await;
    page.shows("#phone-qr svg").await;
    page.picture("account-5-phone").await;
    page.close().await;
    phone.close().await;
}

#[tokio::test]
async fn a_password_is_changed_by_who_knows_it() {
    let server = server(&[]).await;
    let ann = server.person("ann").await;
    let page = account_of(&ann, &server).await;
    let change = async |old: &str, new: &str, again: &str| {
        page.fill("#password-old", old).await;
        page.fill("#password-new", new).await;
        page.fill("#password-again", again).await;
        page.click("#password-submit").await;
    };
    change(PASSWORD, "another horse", "another house").await;
    page.says("#error", "The two new passwords are not the same.").await;
    page.focuses("#password-again").await;
    change("not the password", "another horse", "another horse").await;
    page.says("#error", "That is not the password of this account.").await;
    page.focuses("#password-old").await;
    change(PASSWORD, "password1", "password1").await;
    page.says("#error", "too easy to guess").await;
    page.focuses("#password-new").await;
    page.picture("account-6-weak-password").await;

    change(PASSWORD, "another horse", "another horse").await;
    page.says("#notice", "Your password is changed.").await;
    assert_eq!(page.shows("#password-new").await, "");
    ann.post("login", &json!({"password": "another horse"})).await.token();
    server.http.get_as(&ann.token, "/dashboard/devices").await.expect(401);
    page.close().await;
}
