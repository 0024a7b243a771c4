//! Codes as people type them, on every surface: in any script, with spaces, dashes and what can't be seen.

use serde_json::{Value, json};

use crate::device_login::{naming, post};
use crate::harness::{Browser, PASSWORD, Person, Server, mailed_code};

/// The digits of another script, with something invisible or a dash in the middle.
fn typed(code: &str, zero: char, between: &str) -> String {
    let digit = |c: char| char::from_u32(u32::from(zero) + c.to_digit(10).unwrap()).unwrap();
    let digits: String = code.chars().map(digit).collect();
    let middle = digits.char_indices().nth(3).unwrap().0;
    format!("\u{feff} {}{between}{}\u{200b}", &digits[..middle], &digits[middle..])
}

fn arabic(code: &str) -> String {
    typed(code, '\u{660}', "\u{2011}")
}

fn wide(code: &str) -> String {
    typed(code, '\u{ff10}', " \u{2212} ")
}

fn swapped(text: &str) -> String {
    let swap = |c: char| if c.is_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
    text.chars().map(swap).collect()
}

/// Signed up with codes by mail and an app, and the backup codes of the `xxxxx-xxxxx` form.
async fn with_everything(server: &Server) -> (Person, crate::harness::App, Vec<String>) {
    let (mut browser, app, codes) = crate::two_factor::with_app(server, "ann").await;
    browser.session().await;
    (Person::known(&server.http, "p", "ann@example.org"), app, codes)
}

#[tokio::test]
async fn mailed_codes_and_codes_of_an_app_are_read_in_any_script() {
    let server = Server::start(&[]).await;
    let (ann, app, _) = with_everything(&server).await;
    let next = async || server.clock.advance(std::time::Duration::from_secs(60));
    ann.post("email_2fa", &json!({"token_2fa": arabic(&ann.login_code(&server).await)})).await.token();
    ann.post("third_party_2fa", &json!({"token_2fa": wide(&app.code(&server))})).await.token();
    next().await;
    let verify = async |otp: String| {
        post(&server, "2fa/verify", &naming(&ann.email, &json!({"otp": otp}))).await.expect(200)
    };
    verify(wide(&ann.login_code(&server).await)).await;
    verify(arabic(&app.code(&server))).await;
    next().await;
    for (path, shown) in [("/two-factor/verify-otp", "mail"), ("/two-factor/verify-totp", "app")] {
        let mut browser = Browser::second_step(&server, "ann").await;
        let code = if shown == "mail" {
            browser.post("/two-factor/send-otp", &json!({})).await.expect(200);
            mailed_code(&server, &ann.email).await
        } else {
            app.code(&server)
        };
        browser.post(path, &json!({"code": arabic(&code)})).await.expect(200);
    }
    next().await;
    for provider in ["Email", "Authenticator"] {
        let body = json!({"username": ann.email, "password": PASSWORD, "provider": provider});
        server.http.post("/users/two_step_verification_login", &body).await.expect(200);
        let code =
            if provider == "Email" { mailed_code(&server, &ann.email).await } else { app.code(&server) };
        let body = json!({"email": ann.email, "provider": provider, "token": wide(&code)});
        server.http.post("/users/two_step_verification_confirm", &body).await.expect(200);
    }
}

#[tokio::test]
async fn dashed_backup_codes_are_read_in_either_case_with_or_without_their_dash() {
    let server = Server::start(&[]).await;
    let (ann, _, codes) = with_everything(&server).await;
    let mut codes = codes.into_iter();
    let mut next = || codes.next().unwrap();
    for form in
        [swapped, |code: &str| code.to_lowercase(), |code: &str| code.replace('-', " "), str::to_owned]
    {
        let mut browser = Browser::second_step(&server, "ann").await;
        let code = json!({"code": form(&next())});
        browser.post("/two-factor/verify-backup-code", &code).await.expect(200);
        let mut again = Browser::second_step(&server, "ann").await;
        let used = again.post("/two-factor/verify-backup-code", &code).await;
        assert_eq!(crate::harness::refused(used, 401), "INVALID_BACKUP_CODE");
    }
    let body = json!({"backup_code": swapped(&next()).replace('-', "\u{2013}")});
    ann.post("backup_code_2fa", &body).await.token();
    let body = naming(&ann.email, &json!({"otp": next().replace('-', "").to_uppercase()}));
    post(&server, "2fa/verify", &body).await.expect(200);
}

#[tokio::test]
async fn plain_backup_codes_keep_their_case() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    let on = ann.turn_mail_on(&server, &ann.token).await;
    let codes: Vec<&str> = on["backup_codes"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let lettered = codes.iter().find(|code| code.bytes().any(|b| b.is_ascii_alphabetic())).unwrap();
    ann.post("backup_code_2fa", &json!({"backup_code": swapped(lettered)})).await.expect(400);
    let spaced = format!("{} {}", &lettered[..4], &lettered[4..]);
    ann.post("backup_code_2fa", &json!({"backup_code": spaced})).await.token();
}
