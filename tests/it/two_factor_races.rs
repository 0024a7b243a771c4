//! Races on the better-auth API: hundreds of requests for one code, one sign-in, one trusted device.

use futures_util::future::join_all;
use serde_json::json;

use crate::harness::{Answer, Browser, PASSWORD, Server, mailed_code, refused};
use crate::two_factor::{code, with_app};

fn succeeded(answers: &[Answer]) -> usize {
    answers.iter().filter(|answer| answer.status == 200).count()
}

/// As many browsers with a sign-in of their own.
async fn sign_ins(server: &Server, name: &str, count: usize) -> Vec<Browser> {
    join_all((0..count).map(|_| Browser::second_step(server, name))).await
}

#[tokio::test]
async fn guessing_over_many_sign_ins_at_once_comes_to_ten_guesses() {
    let server = Server::start(&[("PASSWORD__QUEUE", "500")]).await;
    let (_, app, _) = with_app(&server, "ann").await;
    let bad = code(&app.wrong_code(&server));
    let mut browsers = sign_ins(&server, "ann", 100).await;
    let guesses = browsers.iter_mut().map(|browser| browser.post("/two-factor/verify-totp", &bad));
    let answers = join_all(guesses).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 401).count(), 10);
    assert_eq!(answers.iter().filter(|answer| answer.status == 429).count(), 90);
    let right = code(&app.code(&server));
    let late = browsers[0].post("/two-factor/verify-totp", &right).await;
    assert_eq!(refused(late, 429), "ACCOUNT_TEMPORARILY_LOCKED");
}

#[tokio::test]
async fn one_code_raced_two_hundred_times_signs_in_once() {
    let server = Server::start(&[("PASSWORD__QUEUE", "500")]).await;
    let (_, app, codes) = with_app(&server, "ann").await;
    let mut asking = Browser::second_step(&server, "ann").await;
    asking.post("/two-factor/send-otp", &json!({})).await.expect(200);
    let mailed = mailed_code(&server, "ann@example.org").await;
    let tries = [
        ("/two-factor/verify-totp", app.code(&server)),
        ("/two-factor/verify-backup-code", codes[3].clone()),
        ("/two-factor/verify-otp", mailed),
    ];
    for (path, right) in tries {
        let mut browsers = sign_ins(&server, "ann", 200).await;
        let right = code(&right);
        let answers = join_all(browsers.iter_mut().map(|browser| browser.post(path, &right))).await;
        assert_eq!(succeeded(&answers), 1, "{path}");
        // A code that was right, once, is not held against the account. A slow machine turns some requests away (503).
        let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        assert!(statuses.iter().all(|status| [200, 400, 401, 503].contains(status)), "{path}: {statuses:?}");
    }
}

#[tokio::test]
async fn one_sign_in_raced_two_hundred_times_makes_one_session() {
    let server = Server::start(&[]).await;
    let (_, _, codes) = with_app(&server, "ann").await;
    let browser = Browser::second_step(&server, "ann").await;
    let mut browsers = vec![browser; 200];
    // Ten codes that are all right, and one sign-in.
    let tries = browsers.iter_mut().enumerate().map(|(n, browser)| {
        let right = code(&codes[n % codes.len()]);
        async move { browser.post("/two-factor/verify-backup-code", &right).await }
    });
    assert_eq!(succeeded(&join_all(tries).await), 1);
}

/// A browser that is trusted, and the value it is known by.
async fn trusted(server: &Server, name: &str, right: &str) -> (Browser, String) {
    let mut browser = Browser::second_step(server, name).await;
    let body = json!({"code": right, "trustDevice": true});
    browser.post("/two-factor/verify-backup-code", &body).await.expect(200);
    let value = browser.cookie("trust_device").expect("a trusted device");
    (browser, value)
}

#[tokio::test]
async fn a_trusted_device_is_known_by_a_value_that_works_once() {
    let server = Server::start(&[("PASSWORD__QUEUE", "500")]).await;
    let (_, _, codes) = with_app(&server, "ann").await;
    let (mut browser, value) = trusted(&server, "ann", &codes[0]).await;
    let mut thieves = vec![browser.clone(); 50];
    let answers = join_all(thieves.iter_mut().map(|thief| thief.sign_in("ann"))).await;
    let through = answers.iter().filter(|answer| answer.json().get("token").is_some()).count();
    assert_eq!(through, 1, "a value was good for more than one sign-in");
    let asked = browser.sign_in("ann").await.expect(200).json();
    assert_eq!(asked["twoFactorRedirect"], true, "the old value still works");
    assert_ne!(browser.cookie("trust_device"), Some(value));
}

#[tokio::test]
async fn trust_is_for_one_account_and_ends_with_its_reasons() {
    let server = Server::start(&[]).await;
    let (_, _, ann) = with_app(&server, "ann").await;
    let (mut bob, _, _) = with_app(&server, "bob").await;
    let asked = async |browser: &mut Browser, name: &str| {
        let answer = browser.sign_in(name).await.expect(200).json();
        answer["twoFactorRedirect"] == true
    };
    // Not another's.
    let (_, value) = trusted(&server, "ann", &ann[0]).await;
    bob.plant("trust_device", &value);
    assert!(asked(&mut bob, "bob").await);
    // Not after its time; each sign-in begins it anew.
    let (mut browser, _) = trusted(&server, "ann", &ann[1]).await;
    for _ in 0..3 {
        server.clock.advance(std::time::Duration::from_secs(29 * 86_400));
        assert!(!asked(&mut browser, "ann").await, "a trusted device was asked");
    }
    server.clock.advance(std::time::Duration::from_secs(30 * 86_400));
    assert!(asked(&mut browser, "ann").await);
    // Not once it is revoked.
    let (mut browser, _) = trusted(&server, "ann", &ann[2]).await;
    let owner = crate::two_factor::ann(&server);
    let jwt = owner.post("backup_code_2fa", &json!({"backup_code": ann[3]})).await.token();
    let listed = server.http.get_as(&jwt, "/dashboard/2fa/trusted").await.expect(200).json();
    for trust in listed["trusted"].as_array().unwrap() {
        let path = format!("/dashboard/2fa/trusted/{}", trust["id"].as_str().unwrap());
        server.http.delete_as(&jwt, &path).await.expect(200);
    }
    assert!(asked(&mut browser, "ann").await);
    // Not after the password was changed, and not after everything was off in between.
    let (mut browser, value) = trusted(&server, "ann", &ann[4]).await;
    browser.post("/two-factor/disable", &json!({"password": PASSWORD})).await.expect(200);
    browser.post("/two-factor/enable", &json!({"password": PASSWORD, "method": "otp"})).await.expect(200);
    let mut again = Browser::new(&server);
    again.plant("trust_device", &value);
    assert!(asked(&mut again, "ann").await);
}
