//! Second factors on the account's page, turned on, used and turned off.

use std::path::Path;

use readylogin::clock::Clock;
use serde_json::{Value, json};

use super::account::account_of;
use super::driver::Window;
use super::pictures::Size;
use super::steps::{desktop, phone_of, server};
use crate::harness::{App, Mail, PATIENCE, Person, eventually, mails_in};

/// What an authenticator app makes of a key that was typed in (RFC 6238), `later` steps from now.
pub(super) fn digits(key: &str, later: i64) -> String {
    let step = Clock::system().now().seconds() / 30 + later;
    App::new(&key.replace(' ', "")).of_step(step)
}

/// The code in the latest mail that has one.
async fn mailed_code(folder: &Path) -> String {
    eventually("a mailed code", || mails_in(folder).iter().rev().find_map(Mail::code)).await
}

/// What a login with the password demands.
async fn methods(person: &Person) -> Value {
    let answer = person.post("login", &json!({})).await.expect(200).json();
    if answer["token"].is_string() { json!([]) } else { answer["Methods"].clone() }
}

impl Window {
    /// Sets an authenticator app up, and returns its key.
    pub(super) async fn set_up_app(&self) -> String {
        self.click("#on-AUTHENTIFICATOR").await;
        self.focuses("#totp-title").await;
        let key = self.shows("#totp-secret").await;
        self.fill("#totp-code", &digits(&key, 0)).await;
        self.click("#totp-submit").await;
        self.hides("#totp").await;
        key
    }
}

#[tokio::test]
async fn mailed_codes_are_turned_on_used_and_turned_off() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(&[("MAIL__FOLDER", folder.path().to_str().unwrap())]).await;
    let ann = server.person("ann").await;
    let page = account_of(&ann, &server).await;
    page.click("#on-EMAIL").await;
    page.focuses("#codes-title").await;
    page.says("#notice", "Codes by mail are on.").await;
    page.hides("#home").await;
    page.picture("factors-1-backup-codes").await;
    page.keep_codes().await;
    page.focuses("#name-EMAIL").await;
    page.says("#state-EMAIL", "On").await;
    page.says("#protection", "On: after your password").await;
    page.says("#state-BACKUPCODE", "10 of 10 left").await;
    page.hides("#on-EMAIL").await;
    page.picture("factors-2-mail-on").await;
    assert_eq!(methods(&ann).await, json!(["EMAIL"]));

    // From now on the page itself asks for one.
    page.enter_account(&ann).await;
    page.focuses("#factor input").await;
    page.click("#factor-send").await;
    page.says("#factor-sent", &ann.email).await;
    page.says("#factor-send", "Another one in").await;
    page.fill("#backup-code", &mailed_code(folder.path()).await).await;
    page.click("#backup-submit").await;
    page.focuses("#home-title").await;

    page.click("#off-EMAIL").await;
    page.says("#sure-more", "your password alone logs you in, and your backup codes are void").await;
    page.focuses("#sure-no").await;
    page.picture("factors-3-sure").await;
    page.sure().await;
    page.says("#notice", "Codes by mail are off.").await;
    page.focuses("#name-EMAIL").await;
    page.says("#state-EMAIL", "Off").await;
    page.hides("#on-BACKUPCODE").await;
    assert_eq!(methods(&ann).await, json!([]));
    page.close().await;
}

#[tokio::test]
async fn an_app_is_set_up_by_its_key_and_brings_backup_codes_if_they_are_wanted() {
    let server = server(&[]).await;
    let ann = server.person("ann").await;
    let page = account_of(&ann, &server).await;
    page.click("#on-AUTHENTIFICATOR").await;
    page.shows("#totp-qr svg").await;
    let key = page.shows("#totp-secret").await;
    assert!(key.split(' ').all(|group| group.len() == 4), "{key}");
    let link = page.attribute("#totp-link", "href").await;
    assert!(link.starts_with("otpauth://totp/") && link.contains("ann%40example.org"), "{link}");
    assert!(link.contains(&format!("secret={}&", key.replace(' ', ""))), "{link}");
    page.picture("factors-4-app").await;

    let right = digits(&key, 0);
    page.fill("#totp-code", if right == "123456" { "654321" } else { "123456" }).await;
    page.click("#totp-submit").await;
    page.says("#error", "That code is wrong or was used before.").await;
    page.focuses("#totp-code").await;
    assert_eq!(methods(&ann).await, json!([]), "nothing is on before a code is proven");
    let spaced = format!("{} {}", &digits(&key, 0)[..3], &digits(&key, 0)[3..]);
    page.fill("#totp-code", &spaced).await;
    page.click("#totp-submit").await;

    page.says("#sure-title", "Make backup codes as well?").await;
    page.picture("factors-5-codes-offered").await;
    page.sure().await;
    page.keep_codes().await;
    page.focuses("#name-BACKUPCODE").await;
    assert!(!page.whole().await.contains(&key.replace(' ', "")), "the key is shown once");
    assert_eq!(methods(&ann).await, json!(["AUTHENTIFICATOR"]));

    page.enter_account(&ann).await;
    page.fill("#backup-code", &digits(&key, 1)).await;
    page.click("#backup-submit").await;
    page.focuses("#home-title").await;
    page.click("#off-AUTHENTIFICATOR").await;
    page.sure().await;
    page.says("#state-AUTHENTIFICATOR", "Off").await;
    page.shows("#on-AUTHENTIFICATOR").await;
    page.close().await;
}

#[tokio::test]
async fn setting_an_app_up_can_be_left_off() {
    let server = server(&[]).await;
    let ann = server.person("ann").await;
    let page = account_of(&ann, &server).await;
    page.click("#on-AUTHENTIFICATOR").await;
    let key = page.shows("#totp-secret").await;
    page.click("#totp-cancel").await;
    page.focuses("#on-AUTHENTIFICATOR").await;
    page.hides("#totp").await;
    assert!(!page.whole().await.contains(&key));
    page.set_up_app().await;
    page.click("#sure-no").await;
    page.says("#state-AUTHENTIFICATOR", "On").await;
    page.says("#state-BACKUPCODE", "None left").await;
    page.close().await;
}

#[tokio::test]
async fn backup_codes_are_shown_once_and_new_ones_replace_them() {
    let server = server(&[]).await;
    let ann = server.person("ann").await;
    let page = account_of(&ann, &server).await;
    page.click("#on-EMAIL").await;
    let old = page.keep_codes().await;
    let whole = page.whole().await;
    assert!(old.iter().all(|code| !whole.contains(code)), "they are shown once");
    ann.post("backup_code_2fa", &json!({"backup_code": old[0]})).await.token();

    page.click("#on-BACKUPCODE").await;
    page.says("#sure-text", "stop working at once").await;
    page.sure().await;
    page.says("#codes", "They are shown only now.").await;
    let new = page.keep_codes().await;
    page.focuses("#name-BACKUPCODE").await;
    ann.post("backup_code_2fa", &json!({"backup_code": old[1]})).await.expect(400);

    page.enter_account(&ann).await;
    let whole = page.whole().await;
    assert!(new.iter().all(|code| !whole.contains(code)));
    page.choose("#factor-method", "BACKUPCODE").await;
    page.fill("#backup-code", &new[0]).await;
    page.click("#backup-submit").await;
    page.says("#state-BACKUPCODE", "9 of 10 left").await;
    for code in &new[1..7] {
        ann.post("backup_code_2fa", &json!({"backup_code": code})).await.token();
    }
    page.enter_account(&ann).await;
    page.choose("#factor-method", "BACKUPCODE").await;
    page.fill("#backup-code", &new[7]).await;
    page.click("#backup-submit").await;
    page.says("#state-BACKUPCODE", "2 of 10 left").await;
    page.picture("factors-6-few-codes").await;

    page.click("#off-BACKUPCODE").await;
    page.says("#sure-text", "you may be locked out").await;
    page.sure().await;
    page.says("#state-BACKUPCODE", "None left").await;
    ann.post("backup_code_2fa", &json!({"backup_code": new[8]})).await.expect(400);
    page.close().await;
}

#[tokio::test]
async fn backup_codes_are_downloaded_and_printed_alone() {
    let server = server(&[]).await;
    let folder = tempfile::tempdir().unwrap();
    let ann = server.person("ann").await;
    let page = account_of(&ann, &server).await;
    page.click("#on-EMAIL").await;
    page.shows("#codes").await;
    let to = json!({"behavior": "allow", "downloadPath": folder.path()});
    page.devtools("Browser.setDownloadBehavior", to).await;
    page.click("#codes-download").await;
    let file = folder.path().join("readylogin-backup-codes.txt");
    let looking = async {
        while !file.exists() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.expect("the file in time");

    page.devtools("Emulation.setEmulatedMedia", json!({"media": "print"})).await;
    page.shows("#codes-for").await;
    let paper = page.script("return document.body.innerText", &[]).await.as_str().unwrap().to_owned();
    page.print("factors-7-on-paper").await;
    page.devtools("Emulation.setEmulatedMedia", json!({"media": ""})).await;
    page.hides("#codes-for").await;
    let codes = page.keep_codes().await;
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains(&ann.email), "{text}");
    assert!(codes.iter().all(|code| text.contains(code) && paper.contains(code)), "{text}\n{paper}");
    for other in ["Download", "ReadyLogin\n", "Log out", "Français", "Codes by mail are on", "only now"] {
        assert!(!paper.contains(other), "{other} is on the paper: {paper}");
    }
    page.close().await;
}

#[tokio::test]
async fn the_last_step_of_a_login_may_be_any_that_the_account_has() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(&[("MAIL__FOLDER", folder.path().to_str().unwrap())]).await;
    let ann = server.person("ann").await;
    let page = account_of(&ann, &server).await;
    page.click("#on-EMAIL").await;
    let codes = page.keep_codes().await;
    let key = page.set_up_app().await;
    page.says("#state-AUTHENTIFICATOR", "On").await;
    page.close().await;

    for (method, code) in [("AUTHENTIFICATOR", digits(&key, 1)), ("BACKUPCODE", codes[0].clone())] {
        let page = desktop(&server).await;
        page.log_in(&ann).await;
        page.choose("#factor-method", method).await;
        page.fill("#backup-code", &code).await;
        page.click("#backup-submit").await;
        page.token().await;
        page.close().await;
    }
    let page = desktop(&server).await;
    page.log_in(&ann).await;
    page.choose("#factor-method", "EMAIL").await;
    page.click("#factor-send").await;
    page.says("#factor-send", "Another one in").await;
    page.picture("login-12-mailed-code").await;
    page.fill("#backup-code", &mailed_code(folder.path()).await).await;
    page.click("#backup-submit").await;
    page.token().await;
    page.close().await;
}

#[tokio::test]
async fn while_the_phone_is_asked_another_way_is_open() {
    let server = server(&[]).await;
    let ann = server.person("ann").await;
    let phone = phone_of(&ann, &server).await;
    let page = Window::open(&server, Size::Desktop).await;
    page.enter_account(&ann).await;
    page.click("#ask-phone").await;
    phone.approve().await;
    page.shows("#home").await;
    let key = page.set_up_app().await;
    page.says("#state-AUTHENTIFICATOR", "On").await;
    page.goto("/").await;
    page.state("ready").await;
    page.log_in(&ann).await;
    phone.shows(".ask").await;
    page.says("#use-another", "Confirm another way").await;
    page.click("#use-another").await;
    page.fill("#backup-code", &digits(&key, 1)).await;
    page.picture("login-13-another-way").await;
    page.click("#backup-submit").await;
    page.token().await;
    phone.hides(".ask").await;
    page.close().await;
    phone.close().await;
}
