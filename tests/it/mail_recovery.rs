//! A password recovered by mail: what ends, what stays, and that mail is no second factor until the next login.

use serde_json::{Value, json};

use crate::harness::{Answer, Browser, PASSWORD, Person, Server, claims, letters_to, refused, text_pairs};

const ANN: &str = "ann@example.org";
const NEW: &str = "another horse entirely";

async fn recover(server: &Server, proof: &str, more: &Value) -> Answer {
    let mut body = json!({"password": NEW});
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    server.http.mail_auth("recover-password", proof, &body).await
}

/// Recovers the password of this address's account.
async fn recovered(server: &Server) {
    let proof = server.mail_proof(ANN).await;
    assert_eq!(recover(server, &proof, &json!({})).await.expect(200).json(), json!({}));
    recover(server, &proof, &json!({})).await.expect(410);
}

fn codes(answer: &Value) -> Vec<String> {
    answer["backup_codes"].as_array().unwrap().iter().map(|code| code.as_str().unwrap().to_owned()).collect()
}

/// Somebody whose only factor is mail.
async fn with_mail() -> (Server, Person, Vec<String>) {
    let server = Server::start(&[]).await;
    let ann = server.proven_person("ann").await;
    let on = ann.turn_mail_on(&server, &ann.token).await;
    (server, ann, codes(&on))
}

fn new(more: &Value) -> Value {
    let mut body = more.clone();
    body["password"] = json!(NEW);
    body
}

#[tokio::test]
async fn a_new_password_ends_what_hung_on_the_old_one() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.proven_person_with_phone("ann").await;
    let laptop = ann.laptop(&phone.backup_codes[0]).await;
    let ticket = phone.approved_code(&server, &ann).await;
    let (mut browser, _) = ann.asking_browser(&server).await;
    phone.socket.expect("ask_mobile_connection").await;
    let mut waiting = Browser::second_step(&server, "ann").await;
    recovered(&server).await;

    server.http.get_as(&laptop, "/dashboard/devices").await.expect(401);
    server.http.get_as(&ann.token, "/dashboard/devices").await.expect(401);
    browser.expect_end().await;
    ann.post("login", &json!({})).await.expect(401);
    let spent = json!({"token_2fa": ticket});
    assert_eq!(ann.post("mobile_2fa", &new(&spent)).await.refusal(400), "invalid 2FA token");
    let code = json!({"code": phone.backup_codes[1]});
    let over = waiting.post("/two-factor/verify-backup-code", &code).await;
    assert_eq!(refused(over, 401), "INVALID_TWO_FACTOR_COOKIE");

    let told = letters_to(&server, ANN).await.pop().unwrap();
    assert_eq!(told.subject, "Your password was recovered");
    assert!(told.text.contains("From: 127.0.0.1") && !told.raw.contains(NEW), "{}", told.raw);
    let rows = text_pairs(&server, "SELECT event, source FROM audit WHERE event = 'password.recover'").await;
    assert_eq!(rows.len(), 1);
}

#[tokio::test]
async fn no_factor_is_removed_and_the_phone_still_approves() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.proven_person_with_phone("ann").await;
    recovered(&server).await;
    server.http.get_as(&phone.token, "/dashboard/devices").await.expect(200);
    let asked = ann.post("login", &new(&json!({}))).await.expect(200).json();
    assert_eq!(asked["Methods"], json!(["MOBILE"]));
    let mut browser = server.socket().await;
    let uuid = browser.ready_login().await["uuid"].clone();
    let mut frame = ann.ask_frame(&uuid);
    frame["password"] = json!(NEW);
    assert_eq!(browser.call(&frame).await["message"], "Message sent");
    phone.answer(&uuid, true).await;
    let code = browser.expect_code().await;
    ann.post("mobile_2fa", &new(&json!({"token_2fa": code}))).await.token();
}

#[tokio::test]
async fn mail_is_no_second_factor_until_the_next_login_on_the_thin_routes() {
    let (server, ann, backup) = with_mail().await;
    recovered(&server).await;
    let asked = ann.post("login", &new(&json!({}))).await.expect(200).json();
    assert_eq!(asked["Methods"], json!([]));
    let code = ann.login_code(&server).await;
    // Neither counted nor spent.
    for _ in 0..15 {
        let answer = ann.post("email_2fa", &new(&json!({"token_2fa": code}))).await;
        assert_eq!(answer.refusal(400), "email is not a valid 2FA method");
    }
    ann.post("backup_code_2fa", &new(&json!({"backup_code": backup[0]}))).await.token();
    assert_eq!(ann.post("login", &new(&json!({}))).await.expect(200).json()["Methods"], json!(["EMAIL"]));
    ann.post("email_2fa", &new(&json!({"token_2fa": code}))).await.token();
}

#[tokio::test]
async fn mail_is_no_second_factor_until_the_next_login_on_the_other_surfaces() {
    let (server, ann, backup) = with_mail().await;
    recovered(&server).await;
    let mails = letters_to(&server, ANN).await.len();
    let step = json!({"username": ANN, "password": NEW, "provider": "Email"});
    server.http.post("/users/two_step_verification_login", &step).await.expect(400);
    let mut browser = Browser::new(&server);
    let signed = browser.post("/sign-in/email", &json!({"email": ANN, "password": NEW})).await.expect(200);
    assert_eq!(signed.json(), json!({"twoFactorRedirect": true, "twoFactorMethods": []}));
    assert_eq!(refused(browser.post("/two-factor/send-otp", &json!({})).await, 400), "OTP_NOT_CONFIGURED");
    assert_eq!(letters_to(&server, ANN).await.len(), mails, "no code was mailed");
    let code = ann.login_code(&server).await;
    for _ in 0..12 {
        let answer = browser.post("/two-factor/verify-otp", &json!({"code": code})).await;
        assert_eq!(refused(answer, 400), "OTP_HAS_EXPIRED");
    }
    browser.post("/two-factor/verify-backup-code", &json!({"code": backup[0]})).await.expect(200);
    // The next login may use it again, by the very code.
    let mut browser = Browser::new(&server);
    let signed = browser.post("/sign-in/email", &json!({"email": ANN, "password": NEW})).await.expect(200);
    assert_eq!(signed.json()["twoFactorMethods"], json!(["otp"]));
    browser.post("/two-factor/verify-otp", &json!({"code": code})).await.expect(200);
}

#[tokio::test]
async fn inside_of_a_phone_s_session_mail_is_barred_too() {
    let server = Server::start(&[]).await;
    let (ann, phone) = server.proven_person_with_phone("ann").await;
    ann.turn_mail_on(&server, &phone.token).await;
    recovered(&server).await;
    let code = ann.login_code(&server).await;
    let request = server.http.request("POST", "/api/auth/two-factor/verify-otp").bearer_auth(&phone.token);
    let answer = Answer::read(request.json(&json!({"code": code})).send().await.unwrap()).await;
    assert_eq!(refused(answer, 400), "OTP_HAS_EXPIRED");
}

#[tokio::test]
async fn a_recovered_password_is_no_second_step_beside_words() {
    let (server, _, backup) = with_mail().await;
    recovered(&server).await;
    let proof = server.mail_proof(ANN).await;
    let still = server.http.mail_auth("sign-in", &proof, &json!({"password": NEW})).await.expect(202);
    assert_eq!(still.json()["methods"], json!(["BACKUPCODE"]));
    let proof = still.mail_token("mailAuthToken");
    let still = server.http.mail_auth("sign-in", &proof, &json!({"password": NEW})).await.expect(202);
    let proof = still.mail_token("mailAuthToken");
    let opened = server.http.mail_auth("sign-in", &proof, &json!({"otp": backup[0]})).await.token();
    assert_eq!(claims(&opened)["acr"], "urn:readylogin:acr:otp");
    let proof = server.mail_proof(ANN).await;
    server.http.mail_auth("sign-in", &proof, &json!({"password": NEW})).await.token();
}

#[tokio::test]
async fn without_any_factor_the_new_password_opens_the_account() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    recovered(&server).await;
    let token = ann.post("login", &new(&json!({}))).await.token();
    let on = ann.turn_mail_on(&server, &token).await;
    assert_eq!(on["methods"], json!(["EMAIL"]));
    let code = ann.login_code(&server).await;
    ann.post("email_2fa", &new(&json!({"token_2fa": code}))).await.token();
}

#[tokio::test]
async fn trusted_devices_are_forgotten() {
    let server = Server::start(&[]).await;
    let (_, app, _) = crate::two_factor::with_app(&server, "ann").await;
    server.prove_address(ANN).await;
    let mut browser = Browser::second_step(&server, "ann").await;
    let trusting = json!({"code": app.code(&server), "trustDevice": true});
    browser.post("/two-factor/verify-totp", &trusting).await.expect(200);
    recovered(&server).await;
    let signed = browser.post("/sign-in/email", &json!({"email": ANN, "password": NEW})).await.expect(200);
    assert_eq!(signed.json()["twoFactorRedirect"], true);
}

#[tokio::test]
async fn a_password_that_is_too_weak_spends_nothing_and_the_right_account_gets_the_new_one() {
    let server = Server::start(&[]).await;
    let (ann, doctor) = (server.person("ann").await, server.person_of("d", "ann").await);
    let proof = server.mail_proof(ANN).await;
    for weak in ["short", "password1", "xxann@example.orgxx", &"x".repeat(257)] {
        recover(&server, &proof, &json!({"password": weak})).await.expect(400);
    }
    recover(&server, &proof, &json!({"type": "a"})).await.expect(404);
    recover(&server, &proof, &json!({"type": "d"})).await.expect(200);
    ann.post("login", &json!({})).await.token();
    doctor.post("login", &json!({})).await.expect(401);
    doctor.post("login", &new(&json!({}))).await.token();
}

#[tokio::test]
async fn a_recovery_wins_against_logins_by_the_old_password_that_race_it() {
    let server = Server::start(&[("PASSWORD__QUEUE", "1000")]).await;
    let ann = server.person("ann").await;
    let proof = server.mail_proof(ANN).await;
    let logins = (0..60).map(|_| {
        let ann = ann.clone();
        tokio::spawn(async move { ann.post("login", &json!({"password": PASSWORD})).await })
    });
    let logins: Vec<_> = logins.collect();
    recover(&server, &proof, &json!({})).await.expect(200);
    for login in logins {
        let answer = login.await.unwrap();
        if answer.status == 200 {
            server.http.get_as(&answer.token(), "/dashboard/devices").await.expect(401);
        } else {
            answer.expect(401);
        }
    }
    assert!(letters_to(&server, ANN).await.iter().all(|mail| mail.code().is_none()));
}
