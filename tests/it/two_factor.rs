//! The better-auth API (docs/protocol-http.md, "better-auth API") beyond the cases of the official client: time, other
//! surfaces, foreign cookies.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{
    App, Browser, PASSWORD, Person, Server, current_device, mailed_code, refused, run, wrong,
};

const CODE: &str = "/two-factor/verify-totp";
const OTP: &str = "/two-factor/verify-otp";
const BACKUP: &str = "/two-factor/verify-backup-code";

/// A signed-up person with an app, its backup codes, and the browser it was done in.
pub(crate) async fn with_app(server: &Server, name: &str) -> (Browser, App, Vec<String>) {
    let mut browser = Browser::signed_up(server, name).await;
    let begun = browser.post("/two-factor/enable", &json!({"password": PASSWORD})).await.expect(200).json();
    let uri = begun["totpURI"].as_str().unwrap();
    let secret = uri.split("secret=").nth(1).unwrap().split('&').next().unwrap();
    let app = App::new(secret);
    let codes = begun["backupCodes"].as_array().unwrap();
    let codes = codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect();
    browser.post(CODE, &json!({"code": app.code(server)})).await.expect(200);
    server.clock.advance(Duration::from_secs(30));
    (browser, app, codes)
}

pub(crate) fn code(text: &str) -> Value {
    json!({"code": text})
}

#[tokio::test]
async fn a_session_is_one_of_all_sessions() {
    let server = Server::start(&[]).await;
    let mut browser = Browser::signed_up(&server, "ann").await;
    let other = ann(&server).post("login", &json!({})).await.token();
    let listed = server.http.get_as(&other, "/dashboard/devices").await.expect(200).json();
    let own = current_device(&server.http, &other).await;
    let devices = listed["devices"].as_array().unwrap();
    assert_eq!(devices.len(), 2);
    let theirs = devices.iter().find(|device| device["id"] != own.as_str()).unwrap()["id"].as_str().unwrap();
    assert!(!browser.session().await.is_null());
    server.http.delete_as(&other, &format!("/dashboard/device/{theirs}")).await.expect(200);
    assert_eq!(browser.session().await, Value::Null);
    assert_eq!(browser.cookie("session_token"), None, "a dead session's cookie stays");
}

#[tokio::test]
async fn signing_out_ends_the_session_for_good() {
    let server = Server::start(&[]).await;
    let mut browser = Browser::signed_up(&server, "ann").await;
    let mut thief = browser.clone();
    browser.post("/sign-out", &json!({})).await.expect(200);
    assert_eq!(thief.session().await, Value::Null);
}

#[tokio::test]
async fn a_session_is_renewed_when_it_is_a_day_old_and_ends_a_week_after_that() {
    let server = Server::start(&[]).await;
    let mut browser = Browser::signed_up(&server, "ann").await;
    let first = browser.session().await["session"].clone();
    server.clock.advance(Duration::from_secs(23 * 3600));
    assert_eq!(browser.session().await["session"]["expiresAt"], first["expiresAt"]);
    server.clock.advance(Duration::from_secs(2 * 3600));
    let renewed = browser.session().await["session"].clone();
    assert_ne!(renewed["expiresAt"], first["expiresAt"]);
    assert_ne!(renewed["updatedAt"], first["updatedAt"]);
    server.clock.advance(Duration::from_secs(7 * 86_400 - 1));
    assert!(!browser.session().await.is_null());
    server.clock.advance(Duration::from_secs(8 * 86_400));
    assert_eq!(browser.session().await, Value::Null);
}

#[tokio::test]
async fn who_is_not_remembered_is_forgotten_within_a_day() {
    let server = Server::start(&[]).await;
    let (_, app, _) = with_app(&server, "ann").await;
    let mut browser = Browser::new(&server);
    let body = json!({"email": "ann@example.org", "password": PASSWORD, "rememberMe": false});
    browser.post("/sign-in/email", &body).await.expect(200);
    let done = browser.post(CODE, &code(&app.code(&server))).await.expect(200);
    let set: Vec<_> = done.headers.get_all("set-cookie").iter().map(|v| v.to_str().unwrap()).collect();
    let session = set.iter().find(|set| set.contains("session_token=")).unwrap();
    assert!(!session.contains("Max-Age"), "{set:?}");
    assert!(browser.cookie("dont_remember").is_some());
    server.clock.advance(Duration::from_secs(86_399));
    assert!(!browser.session().await.is_null());
    server.clock.advance(Duration::from_secs(1));
    assert_eq!(browser.session().await, Value::Null);
}

#[tokio::test]
async fn who_is_not_remembered_is_not_renewed_without_the_cookie_that_says_so() {
    let server = Server::start(&[]).await;
    let mut browser = Browser::new(&server);
    let body = json!({"name": "ann", "email": "ann@example.org", "password": PASSWORD, "rememberMe": false});
    browser.post("/sign-up/email", &body).await.expect(200);
    browser.cookies.retain(|name, _| name.ends_with("session_token"));
    for _ in 0..4 {
        server.clock.advance(Duration::from_secs(6 * 3600));
        browser.session().await;
    }
    assert_eq!(browser.session().await, Value::Null);
}

#[tokio::test]
async fn a_stale_session_turns_nothing_on_and_spends_no_code() {
    let server = Server::start(&[]).await;
    let mut browser = Browser::signed_up(&server, "ann").await;
    server.clock.advance(Duration::from_secs(300));
    browser.post("/two-factor/send-otp", &json!({})).await.expect(200);
    let mailed = mailed_code(&server, "ann@example.org").await;
    let stale = browser.post(OTP, &code(&mailed)).await;
    assert!(stale.header("www-authenticate").contains("insufficient_user_authentication"));
    assert_eq!(refused(stale, 401), "SESSION_NOT_FRESH");
    let mut fresh = Browser::new(&server);
    fresh.sign_in("ann").await.expect(200);
    let done = fresh.post(OTP, &code(&mailed)).await.expect(200).json();
    assert_eq!(done["user"]["twoFactorEnabled"], true);
}

#[tokio::test]
async fn a_sign_in_goes_on_at_another_node_and_after_a_restart() {
    let mut server = Server::start(&[]).await;
    let (_, app, _) = with_app(&server, "ann").await;
    let mut browser = Browser::second_step(&server, "ann").await;
    let twin = server.twin().await;
    browser.go_to(&twin);
    browser.post(CODE, &code(&app.code(&server))).await.expect(200);
    server.clock.advance(Duration::from_secs(30));
    let mut later = Browser::second_step(&server, "ann").await;
    server.restart().await;
    later.go_to(&server);
    later.post(CODE, &code(&app.code(&server))).await.expect(200);
    assert!(!later.session().await.is_null());
}

#[tokio::test]
async fn a_backup_code_alone_leaves_no_session_behind() {
    let server = Server::start(&[]).await;
    let (_, app, codes) = with_app(&server, "ann").await;
    let mut browser = Browser::second_step(&server, "ann").await;
    let body = json!({"code": codes[0], "disableSession": true});
    let done = browser.post(BACKUP, &body).await.expect(200).json();
    assert!(done.get("token").is_none() && done["user"]["email"] == "ann@example.org", "{done}");
    assert_eq!(browser.cookie("session_token"), None);
    let jwt = ann(&server).post("third_party_2fa", &json!({"token_2fa": app.code(&server)})).await.token();
    let listed = server.http.get_as(&jwt, "/dashboard/devices").await.expect(200).json();
    // The browser of the beginning, and this login.
    assert_eq!(listed["devices"].as_array().unwrap().len(), 2, "{listed}");
}

#[tokio::test]
async fn bodies_have_bounds_here_too() {
    let server = Server::start(&[]).await;
    for (body, status) in [
        (format!(r#"{{"email":"{}"}}"#, "x".repeat(70_000)), 413),
        (format!(r#"{{"email":{}1{}}}"#, "[".repeat(40), "]".repeat(40)), 400),
        (r#"{"email":"a@b.cd","email":"b@b.cd","password":"x"}"#.to_owned(), 400),
    ] {
        let request = server.http.request("POST", "/api/auth/sign-in/email");
        let request = request.header("content-type", "application/json").body(body);
        crate::harness::Answer::read(request.send().await.unwrap()).await.expect(status);
    }
    let head = server.http.request("HEAD", "/api/auth/get-session").send().await.unwrap();
    assert_eq!(head.status().as_u16(), 404);
}

#[tokio::test]
async fn a_session_token_opens_this_surface_only() {
    let server = Server::start(&[]).await;
    let browser = Browser::signed_up(&server, "ann").await;
    let token = browser.cookie("session_token").unwrap();
    let here = server.http.get_as(&token, "/api/auth/get-session").await.expect(200).json();
    assert_eq!(here["user"]["email"], "ann@example.org");
    server.http.get_as(&token, "/dashboard/devices").await.expect(401);
    // An access token works here too, with its own session.
    let jwt = ann(&server).post("login", &json!({})).await.token();
    let there = server.http.get_as(&jwt, "/api/auth/get-session").await.expect(200).json();
    assert_eq!(
        [&there["session"]["token"], &there["user"]["email"]],
        [&json!(jwt), &json!("ann@example.org")]
    );
    let wrong = format!("{token}x");
    for none in [wrong.as_str(), "x", "a.b.c"] {
        assert_eq!(server.http.get_as(none, "/api/auth/get-session").await.expect(200).json(), Value::Null);
        let body = json!({"password": PASSWORD});
        server.http.post_as(none, "/api/auth/two-factor/disable", &body).await.expect(401);
    }
}

#[tokio::test]
async fn a_phone_manages_its_owner_s_factors_and_keeps_its_token() {
    let server = Server::start(&[]).await;
    let (_, phone) = server.person_with_phone("ann").await;
    let password = json!({"password": PASSWORD, "method": "otp"});
    let enabled = server.http.post_as(&phone.token, "/api/auth/two-factor/enable", &password).await;
    assert_eq!(enabled.expect(200).json(), json!({"method": "otp"}));
    server.http.get_as(&phone.token, "/dashboard/devices").await.expect(200);
    let methods = server.http.get_as(&phone.token, "/dashboard/2fa").await.expect(200).json();
    assert_eq!(methods["double_auth"]["methods"], json!(["EMAIL", "MOBILE", "BACKUPCODE"]));
}

#[tokio::test]
async fn a_rotated_token_is_dead() {
    let server = Server::start(&[]).await;
    let mut browser = Browser::signed_up(&server, "ann").await;
    for (path, body) in [
        ("/two-factor/enable", json!({"password": PASSWORD, "method": "otp"})),
        ("/two-factor/disable", json!({"password": PASSWORD})),
    ] {
        let mut before = browser.clone();
        browser.post(path, &body).await.expect(200);
        assert_eq!(before.session().await, Value::Null, "{path}");
        assert!(!browser.session().await.is_null(), "{path}");
    }
}

#[tokio::test]
async fn turning_a_factor_on_ends_the_other_sessions() {
    let server = Server::start(&[]).await;
    let mut first = Browser::signed_up(&server, "ann").await;
    let mut second = Browser::new(&server);
    second.sign_in("ann").await.expect(200);
    first.post("/two-factor/enable", &json!({"password": PASSWORD, "method": "otp"})).await.expect(200);
    assert_eq!(second.session().await, Value::Null);
}

#[tokio::test]
async fn a_sign_in_ends_with_its_time_its_success_or_a_new_password() {
    let server = Server::start(&[]).await;
    let (mut owner, app, _) = with_app(&server, "ann").await;

    let mut late = Browser::second_step(&server, "ann").await;
    server.clock.advance(Duration::from_secs(600));
    assert_eq!(refused(late.post(CODE, &code(&app.code(&server))).await, 401), "INVALID_TWO_FACTOR_COOKIE");

    let mut done = Browser::second_step(&server, "ann").await;
    let mut thief = done.clone();
    done.post(CODE, &code(&app.code(&server))).await.expect(200);
    server.clock.advance(Duration::from_secs(30));
    assert_eq!(refused(thief.post(CODE, &code(&app.code(&server))).await, 401), "INVALID_TWO_FACTOR_COOKIE");

    let mut changed = Browser::second_step(&server, "ann").await;
    let jwt = ann(&server).post("third_party_2fa", &json!({"token_2fa": app.code(&server)})).await.token();
    let change = json!({"password": PASSWORD, "new_password": "another horse entirely"});
    server.http.post_as(&jwt, "/dashboard/password", &change).await.expect(200);
    server.clock.advance(Duration::from_secs(30));
    assert_eq!(
        refused(changed.post(CODE, &code(&app.code(&server))).await, 401),
        "INVALID_TWO_FACTOR_COOKIE"
    );
    assert_eq!(owner.session().await, Value::Null, "a new password ends other sessions");
}

/// The same person for the other surfaces.
pub(crate) fn ann(server: &Server) -> Person {
    Person::known(&server.http, "p", "ann@example.org")
}

#[tokio::test]
async fn a_disabled_account_is_out_everywhere() {
    let server = Server::start(&[]).await;
    let (mut browser, app, _) = with_app(&server, "ann").await;
    let mut under_way = Browser::second_step(&server, "ann").await;
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["account", "disable", "--kind", "p", "--email", "ann@example.org"];
    assert_eq!(run(&arguments, server.settings(), folder.path(), "").await.code, Some(0));
    assert_eq!(browser.session().await, Value::Null);
    assert_eq!(
        refused(under_way.post(CODE, &code(&app.code(&server))).await, 401),
        "INVALID_TWO_FACTOR_COOKIE"
    );
    let again = Browser::new(&server).sign_in("ann").await;
    assert_eq!(refused(again, 401), "INVALID_EMAIL_OR_PASSWORD");
}

#[tokio::test]
async fn a_mailed_code_lives_three_minutes_here_and_ten_elsewhere() {
    let server = Server::start(&[]).await;
    let (_, _, _) = with_app(&server, "ann").await;
    let mut browser = Browser::second_step(&server, "ann").await;
    browser.post("/two-factor/send-otp", &json!({})).await.expect(200);
    let mailed = mailed_code(&server, "ann@example.org").await;
    server.clock.advance(Duration::from_secs(180));
    assert_eq!(refused(browser.post(OTP, &code(&mailed)).await, 400), "OTP_HAS_EXPIRED");
    // One purpose on every surface: a code that was asked for elsewhere is taken here, and longer.
    server.http.post("/auth/sending_email", &json!({"email": "ann@example.org"})).await.expect(200);
    let mailed = mailed_code(&server, "ann@example.org").await;
    server.clock.advance(Duration::from_secs(400));
    browser.post(OTP, &code(&mailed)).await.expect(200);
}

#[tokio::test]
async fn five_wrong_mailed_codes_kill_the_code_and_not_the_sign_in() {
    let server = Server::start(&[]).await;
    let (_, _, _) = with_app(&server, "ann").await;
    let mut browser = Browser::second_step(&server, "ann").await;
    browser.post("/two-factor/send-otp", &json!({})).await.expect(200);
    let right = mailed_code(&server, "ann@example.org").await;
    for _ in 0..5 {
        assert_eq!(refused(browser.post(OTP, &code(&wrong(&right))).await, 401), "INVALID_CODE");
    }
    let sixth = browser.post(OTP, &code(&right)).await;
    assert_eq!(refused(sixth, 400), "TOO_MANY_ATTEMPTS_REQUEST_NEW_CODE");
    assert_eq!(refused(browser.post(OTP, &code(&right)).await, 400), "OTP_HAS_EXPIRED");
    browser.post("/two-factor/send-otp", &json!({})).await.expect(200);
    let fresh = mailed_code(&server, "ann@example.org").await;
    browser.post(OTP, &code(&fresh)).await.expect(200);
}

#[tokio::test]
async fn five_wrong_codes_of_an_app_end_the_sign_in_and_ten_block_them_all() {
    let server = Server::start(&[]).await;
    let (_, app, codes) = with_app(&server, "ann").await;
    let bad = code(&app.wrong_code(&server));
    let mut browser = Browser::second_step(&server, "ann").await;
    for _ in 0..5 {
        assert_eq!(refused(browser.post(CODE, &bad).await, 401), "INVALID_CODE");
    }
    let sixth = browser.post(CODE, &code(&app.code(&server))).await;
    assert_eq!(refused(sixth, 400), "TOO_MANY_ATTEMPTS_REQUEST_NEW_CODE");
    assert_eq!(browser.cookie("two_factor"), None);
    let mut browser = Browser::second_step(&server, "ann").await;
    for _ in 0..5 {
        assert_eq!(refused(browser.post(CODE, &bad).await, 401), "INVALID_CODE");
    }
    // Blocked: whatever the method, and on every surface; the password step answers as before.
    let mut browser = Browser::second_step(&server, "ann").await;
    let right = code(&app.code(&server));
    for (path, body) in [(CODE, &right), (BACKUP, &code(&codes[0])), (OTP, &code("000000"))] {
        let locked = browser.post(path, body).await;
        assert_eq!(locked.header("retry-after"), "900");
        assert_eq!(refused(locked, 429), "ACCOUNT_TEMPORARILY_LOCKED", "{path}");
    }
    let elsewhere = ann(&server).post("third_party_2fa", &json!({"token_2fa": app.code(&server)})).await;
    elsewhere.expect(423);
    server.clock.advance(Duration::from_secs(900));
    let mut browser = Browser::second_step(&server, "ann").await;
    browser.post(CODE, &code(&app.code(&server))).await.expect(200);
}

#[tokio::test]
async fn codes_are_their_owner_s_alone() {
    let server = Server::start(&[]).await;
    let (_, app, codes) = with_app(&server, "ann").await;
    let (_, _, _) = with_app(&server, "bob").await;
    let mut ann = Browser::second_step(&server, "ann").await;
    ann.post("/two-factor/send-otp", &json!({})).await.expect(200);
    let mailed = mailed_code(&server, "ann@example.org").await;
    let mut bob = Browser::second_step(&server, "bob").await;
    assert_eq!(refused(bob.post(CODE, &code(&app.code(&server))).await, 401), "INVALID_CODE");
    assert_eq!(refused(bob.post(BACKUP, &code(&codes[0])).await, 401), "INVALID_BACKUP_CODE");
    assert_eq!(refused(bob.post(OTP, &code(&mailed)).await, 400), "OTP_HAS_EXPIRED");
    // The cookie says whose sign-in it is, whatever else the browser holds.
    bob.plant("two_factor", &ann.cookie("two_factor").unwrap());
    let user = bob.post(OTP, &code(&mailed)).await.expect(200).json();
    assert_eq!(user["user"]["email"], "ann@example.org");
}

#[tokio::test]
async fn what_is_asked_inside_of_a_session_counts_as_well() {
    let server = Server::start(&[]).await;
    let (mut browser, app, _) = with_app(&server, "ann").await;
    for _ in 0..10 {
        assert_eq!(refused(browser.post(CODE, &code(&app.wrong_code(&server))).await, 401), "INVALID_CODE");
    }
    let locked = browser.post(CODE, &code(&app.code(&server))).await;
    assert_eq!(refused(locked, 429), "ACCOUNT_TEMPORARILY_LOCKED");
}

#[tokio::test]
async fn an_app_that_is_being_set_up_can_not_be_guessed_at_without_end() {
    let server = Server::start(&[]).await;
    let mut browser = Browser::signed_up(&server, "ann").await;
    let begun = browser.post("/two-factor/enable", &json!({"password": PASSWORD})).await.expect(200).json();
    let app = App::new(
        begun["totpURI"].as_str().unwrap().split("secret=").nth(1).unwrap().split('&').next().unwrap(),
    );
    for _ in 0..10 {
        assert_eq!(refused(browser.post(CODE, &code(&app.wrong_code(&server))).await, 401), "INVALID_CODE");
    }
    let locked = browser.post(CODE, &code(&app.code(&server))).await;
    assert_eq!(refused(locked, 429), "ACCOUNT_TEMPORARILY_LOCKED");
    // Nothing is on: the password is still enough.
    Browser::new(&server).sign_in("ann").await.expect(200);
}

#[tokio::test]
async fn over_https_cookies_are_secure_and_say_so_in_their_names() {
    let settings = [("SERVER__PUBLIC_URL", "https://login.example"), ("TWO_FACTOR__COOKIE_PREFIX", "desk")];
    let server = Server::start(&settings).await;
    let body = json!({"name": "ann", "email": "ann@example.org", "password": PASSWORD});
    let answer = server.http.post("/api/auth/sign-up/email", &body).await.expect(200);
    let set = answer.header("set-cookie");
    assert!(set.starts_with("__Secure-desk.session_token="), "{set}");
    for part in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/"] {
        assert!(set.split("; ").any(|word| word == part), "{part} is missing in {set}");
    }
}

#[tokio::test]
async fn a_cookie_and_a_stranger_s_page_change_nothing() {
    let server = Server::start(&[]).await;
    let browser = Browser::signed_up(&server, "ann").await;
    let cookie = format!("better-auth.session_token={}", browser.cookie("session_token").unwrap());
    for (headers, told) in [
        (vec![], "MISSING_OR_NULL_ORIGIN"),
        (vec![("origin", "null")], "MISSING_OR_NULL_ORIGIN"),
        (vec![("origin", "https://evil.example")], "INVALID_ORIGIN"),
        (vec![("referer", "https://evil.example/page")], "INVALID_ORIGIN"),
        (vec![("referer", "nonsense")], "INVALID_ORIGIN"),
    ] {
        for path in ["/two-factor/disable", "/two-factor/enable", "/sign-out", "/two-factor/send-otp"] {
            let mut request =
                server.http.request("POST", &format!("/api/auth{path}")).header("cookie", &cookie);
            for (name, value) in &headers {
                request = request.header(*name, *value);
            }
            let answer = crate::harness::Answer::read(
                request.json(&json!({"password": PASSWORD})).send().await.unwrap(),
            );
            assert_eq!(refused(answer.await, 403), told, "{path} {headers:?}");
        }
    }
    assert!(!browser.clone().session().await.is_null());
}
