//! What is the owner's own on `/account`: every login to be ended, the data to take along, the account to remove.

use std::time::Duration;

use fantoccini::key::Key;
use readylogin::clock::Clock;
use serde_json::{Value, json};

use super::account::account_of;
use super::driver::Window;
use super::keyboard::tab_to;
use super::pictures::Size;
use super::steps::{phone_of, server};
use crate::harness::{PASSWORD, Server, eventually};

const OTHERS: &str = "#devices [data-id]:not(:first-child)";

#[tokio::test]
async fn logins_are_listed_and_ended_one_by_one_or_all_others_at_once() {
    let server = server(&[]).await;
    let ann = server.person("ann").await;
    let login = async |name: &str| ann.post("login", &json!({"name_device": name})).await.token();
    let (laptop, tablet) = (login("Ann's laptop").await, login("Ann's tablet").await);
    let page = account_of(&ann, &server).await;
    page.says("#devices li:first-child", "This device").await;
    page.hides("#devices li:first-child button").await;
    page.says("#devices", "Ann's tablet").await;
    page.says("#devices", "Ann's laptop").await;
    page.picture("own-1-logins").await;
    let ids = "return [...document.querySelectorAll('#devices [data-id]')].find((item) => \
               item.innerText.includes(\"Ann's tablet\")).dataset.id;";
    let id = page.script(ids, &[]).await.as_str().unwrap().to_owned();
    page.click(&format!("[data-id=\"{id}\"] button")).await;
    page.says("#sure-title", "Log “Ann's tablet” out?").await;
    page.sure().await;
    page.says("#notice", "“Ann's tablet” is logged out.").await;
    server.http.get_as(&tablet, "/dashboard/2fa").await.expect(401);
    server.http.get_as(&laptop, "/dashboard/2fa").await.expect(200);

    page.click("#end-others").await;
    page.says("#sure-title", "Log out everywhere else?").await;
    page.picture("own-2-everywhere-else").await;
    page.sure().await;
    page.says("#notice", "Everywhere else you are logged out.").await;
    page.focuses("#devices-title").await;
    page.hides(OTHERS).await;
    page.hides("#end-others").await;
    for token in [&laptop, &ann.token] {
        server.http.get_as(token, "/dashboard/2fa").await.expect(401);
    }
    page.shows("#home").await;
    page.close().await;
}

#[tokio::test]
async fn everywhere_is_here_too_and_a_phone_that_approves_stays() {
    let server = server(&[]).await;
    let ann = server.person("ann").await;
    let phone = phone_of(&ann, &server).await;
    let page = Window::open(&server, Size::Desktop).await;
    page.enter_account(&ann).await;
    page.click("#ask-phone").await;
    phone.approve().await;
    page.says("#devices", "Approves logins").await;
    page.says("#devices", "Ann's phone").await;
    page.hides("#end-others").await;
    page.click("#end-all").await;
    page.says("#sure-title", "Log out everywhere?").await;
    page.says("#sure-text", "Other phones that approve stay").await;
    page.sure().await;
    page.says("#notice", "You are logged out everywhere.").await;
    page.focuses("#signin-title").await;
    page.hides("#home").await;
    assert!(!page.whole().await.contains(&ann.email));
    phone.state("ready").await;
    page.close().await;
    phone.close().await;
}

#[tokio::test]
async fn the_data_comes_as_a_file_after_a_fresh_password() {
    let server = Server::start_with(&[], Clock::manual(Clock::system().now())).await;
    let ann = server.person("ann").await;
    let page = account_of(&ann, &server).await;
    let folder = tempfile::tempdir().unwrap();
    let to = json!({"behavior": "allow", "downloadPath": folder.path()});
    page.devtools("Browser.setDownloadBehavior", to).await;
    server.clock.advance(Duration::from_mins(6));
    page.click("#export").await;
    page.focuses("#proof-password").await;
    page.write(PASSWORD).await;
    page.press(Key::Enter).await;
    page.says("#notice", "Your data is downloaded as readylogin-export.json.").await;
    page.focuses("#export").await;
    page.hides("#error").await;
    let file = folder.path().join("readylogin-export.json");
    let read = || serde_json::from_str::<Value>(&std::fs::read_to_string(&file).ok()?).ok();
    let document = eventually("the file", read).await;
    assert_eq!(document["account"]["email"], ann.email.as_str());
    assert!(document["devices"].as_array().unwrap().len() >= 2);
    page.picture("own-3-data").await;
    page.close().await;
}

#[tokio::test]
async fn an_account_is_removed_by_who_types_its_password() {
    let server = server(&[]).await;
    let ann = server.person("ann").await;
    let page = account_of(&ann, &server).await;
    page.click("#removal").await;
    page.focuses("#remove-password").await;
    page.says("#remove-text", "every login, on all devices").await;
    page.says("#remove-text", "backup codes").await;
    page.picture("own-4-remove").await;
    page.write("not the password").await;
    page.press(Key::Enter).await;
    page.says("#remove-error", "That is not the password of this account.").await;
    page.focuses("#remove-password").await;
    page.picture("own-5-remove-wrong").await;
    page.press(Key::Escape).await;
    page.hides("#remove").await;
    page.focuses("#removal").await;
    page.hides("#error").await;
    ann.post("login", &json!({})).await.token();

    page.press(Key::Enter).await;
    page.focuses("#remove-password").await;
    page.hides("#remove-error").await;
    page.write(PASSWORD).await;
    tab_to(&page, "#remove-cancel").await;
    tab_to(&page, "#remove-submit").await;
    page.press(Key::Enter).await;
    page.says("#notice", "Your account is removed").await;
    page.focuses("#signin-title").await;
    page.hides("#home").await;
    page.picture("own-6-removed").await;
    let whole = page.whole().await;
    assert!(!whole.contains(&ann.email) && !whole.contains(PASSWORD));
    ann.post("login", &json!({})).await.expect(401);
    page.close().await;
}

#[tokio::test]
async fn a_french_owner_on_a_phone_reads_it_all() {
    let server = server(&[]).await;
    let ann = server.person("ann").await;
    let page = Window::open_in("fr", &server, Size::Phone).await;
    page.enter_account(&ann).await;
    page.says("#devices-title", "Où vous êtes connecté").await;
    page.says("#end-all", "Se déconnecter partout").await;
    page.says("#export", "Télécharger mes données").await;
    // The longest words there are: a name and its state side by side, neither on the other.
    let overlaps = "return [...document.querySelectorAll('.row > .state')].filter((state) => { \
                    const words = document.createRange(); \
                    words.selectNodeContents(state); \
                    const name = state.parentElement.querySelector('h3').getBoundingClientRect(); \
                    return words.getBoundingClientRect().left - 17 < name.right; }).map((state) => state.id);";
    assert_eq!(page.script(overlaps, &[]).await, json!([]));
    page.picture("own-7-french").await;
    page.click("#removal").await;
    page.says("#remove-title", "Supprimer votre compte\u{a0}?").await;
    page.picture("own-8-french-remove").await;
    page.close().await;
}
