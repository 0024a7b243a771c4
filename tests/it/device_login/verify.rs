//! The second step: every kind of code opens, each once, and only for its account.

use std::time::Duration;

use serde_json::{Value, json};

use super::{login, naming, post, refusal, told, verify, with_mail, with_phone_and_mail};
use crate::harness::{Answer, PASSWORD, Server, letters_to, mailed_code};

const MINUTE: Duration = Duration::from_secs(60);
/// Room for hundreds of passwords that are checked at once.
const WIDE: &[(&str, &str)] = &[("PASSWORD__QUEUE", "1000")];

/// The claims of an access token.
fn claims(access: &str) -> Value {
    use base64::Engine as _;
    let part = access.split('.').nth(1).unwrap();
    let json = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap();
    serde_json::from_slice(&json).unwrap()
}

#[tokio::test]
async fn the_first_step_names_the_methods_and_mails_a_code() {
    let server = Server::start(&[]).await;
    let (ann, phone) = server.person_with_phone("ann").await;
    let first = login(&server, &ann, &json!({})).await.expect(202);
    assert_eq!(
        first.text,
        "{\"status\":202,\"two_factor_required\":true,\"methods\":[\"MOBILE\"],\"message\":\"Un second facteur est nécessaire.\"}"
    );
    assert!(letters_to(&server, &ann.email).await.iter().all(|letter| letter.code().is_none()));
    ann.turn_mail_on(&server, &phone.token).await;
    ann.bind_app(&server, &phone.token).await;
    let first = login(&server, &ann, &json!({})).await.expect(202).json();
    assert_eq!(first["methods"], json!(["EMAIL", "MOBILE", "AUTHENTIFICATOR"]));
    let code = mailed_code(&server, &ann.email).await;
    // Asked again within a minute, nothing new is sent.
    login(&server, &ann, &json!({})).await.expect(202);
    post(&server, "2fa/request-otp", &json!({"identifier": ann.email})).await.expect(201);
    assert_eq!(mailed_code(&server, &ann.email).await, code);
}

#[tokio::test]
async fn the_first_code_comes_in_the_language_of_who_asks() {
    let server = Server::start(&[]).await;
    let ann = with_mail(&server, "ann").await;
    let request = server.http.request("POST", "/api/v1/auth/login").header("accept-language", "fr");
    let first = Answer::read(request.json(&naming(&ann.email, &json!({}))).send().await.unwrap()).await;
    first.expect(202);
    let letters = letters_to(&server, &ann.email).await;
    assert_eq!(letters.last().unwrap().subject, "Votre code de connexion");
}

#[tokio::test]
async fn every_kind_of_code_opens_and_each_of_them_once() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = with_phone_and_mail(&server, "ann").await;
    let app = ann.bind_app(&server, &phone.token).await;
    server.clock.advance(MINUTE);
    login(&server, &ann, &json!({})).await.expect(202);
    let mailed = mailed_code(&server, &ann.email).await;
    let ticket = phone.approved_code(&server, &ann).await;
    let totp = app.code(&server);
    let spaced = format!(" {} {} ", &mailed[..3], &mailed[3..]);
    let backup = phone.backup_codes[0].clone();
    for (code, acr) in [(&spaced, "mail"), (&totp, "otp"), (&backup, "otp"), (&ticket, "tap")] {
        let done = verify(&server, &ann, code, &json!({})).await.expect(200).json();
        assert_eq!(done["account"]["two_factor_enabled"], true);
        let told = claims(&told(&done, "access_token"));
        assert_eq!(told["acr"], format!("urn:readylogin:acr:{acr}"), "{code}");
        assert!(told["amr"].as_array().unwrap().contains(&json!("mfa")), "{told}");
    }
    for code in [&mailed, &totp, &backup, &ticket] {
        refusal(verify(&server, &ann, code, &json!({})).await, 401);
    }
    // None of these repeats counts as a guess.
    let runs =
        crate::harness::text_pairs(&server, "SELECT method, CAST(run AS TEXT) FROM factor_failures").await;
    assert_eq!(runs, []);
}

#[tokio::test]
async fn backup_codes_of_both_forms_open() {
    let server = Server::start(&[]).await;
    let (ann, phone) = server.person_with_phone("ann").await;
    verify(&server, &ann, &phone.backup_codes[3], &json!({})).await.expect(200);
    let path = "/api/auth/two-factor/generate-backup-codes";
    let made =
        server.http.post_as(&phone.token, path, &json!({"password": PASSWORD})).await.expect(200).json();
    let dashed = told(&json!({"code": made["backupCodes"][0]}), "code");
    assert_eq!(dashed.len(), 11);
    verify(&server, &ann, &dashed, &json!({})).await.expect(200);
    refusal(verify(&server, &ann, &dashed, &json!({})).await, 401);
    refusal(verify(&server, &ann, &phone.backup_codes[4], &json!({})).await, 401);
}

#[tokio::test]
async fn a_code_is_spent_by_the_right_password_of_its_own_account_alone() {
    let server = Server::start(&[]).await;
    let (ann, phone) = with_phone_and_mail(&server, "ann").await;
    let app = ann.bind_app(&server, &phone.token).await;
    let bob = with_mail(&server, "bob").await;
    login(&server, &ann, &json!({})).await.expect(202);
    let codes = [mailed_code(&server, &ann.email).await, app.code(&server), phone.backup_codes[0].clone()];
    for code in &codes {
        refusal(verify(&server, &bob, code, &json!({})).await, 401);
        refusal(verify(&server, &ann, code, &json!({"password": "wrong password"})).await, 401);
        let mut body = naming("nobody@example.org", &json!({}));
        body["otp"] = json!(code);
        refusal(post(&server, "2fa/verify", &body).await, 401);
    }
    for code in &codes {
        verify(&server, &ann, code, &json!({})).await.expect(200);
    }
}

#[tokio::test]
async fn two_hundred_verifies_of_one_code_yield_one_login() {
    let server = Server::start(WIDE).await;
    let twin = server.twin().await;
    let (ann, phone) = with_phone_and_mail(&server, "ann").await;
    let app = ann.bind_app(&server, &phone.token).await;
    server.clock.advance(MINUTE);
    login(&server, &ann, &json!({})).await.expect(202);
    for code in [mailed_code(&server, &ann.email).await, app.code(&server), phone.backup_codes[0].clone()] {
        let body = naming(&ann.email, &json!({"otp": code, "device_fingerprint": "x"}));
        let racers: Vec<_> = (0..200)
            .map(|n| {
                let (http, body) = ([&server, &twin][n % 2].http.clone(), body.clone());
                tokio::spawn(async move { http.post("/api/v1/auth/2fa/verify", &body).await })
            })
            .collect();
        let mut answers: Vec<Answer> = Vec::new();
        for racer in racers {
            answers.push(racer.await.unwrap());
        }
        let count = |status| answers.iter().filter(|answer| answer.status == status).count();
        // A slow machine asks some of them to come back.
        assert_eq!((count(200), count(401) + count(503)), (1, 199), "{code}: {:?}", answers.last());
    }
    // Nobody who lost has guessed.
    verify(&server, &ann, &phone.backup_codes[1], &json!({})).await.expect(200);
}

#[tokio::test]
async fn while_two_factor_login_is_off_a_code_is_a_wrong_one() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    let mailed = ann.login_code(&server).await;
    let ticket = "A".repeat(43);
    for code in [
        mailed.as_str(),
        "123456",
        "12345",
        "abcdEFGH",
        "abcde-FGHIJ",
        &ticket,
        "nonsense",
        "\u{202e}1",
        "１２３４５６",
    ] {
        let (message, _) = refusal(verify(&server, &ann, code, &json!({})).await, 401);
        assert_eq!(message, "Code incorrect.", "{code}");
    }
    login(&server, &ann, &json!({})).await.expect(200);
}
