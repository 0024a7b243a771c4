//! What a proof of an address opens: sessions, beside a second factor where one is on; each once.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Answer, App, PASSWORD, Person, Server, claims, run, text_pairs};

const ANN: &str = "ann@example.org";
const SECOND: Duration = Duration::from_secs(1);
const NONE: Value = Value::Null;

async fn sign_in(server: &Server, proof: &str, more: &Value) -> Answer {
    let more = if more.is_null() { json!({}) } else { more.clone() };
    server.http.mail_auth("sign-in", proof, &more).await
}

/// The methods of a second step, and the proof it goes on by; the old one is spent.
async fn second_step(server: &Server, proof: &str) -> (Value, String) {
    let answer = sign_in(server, proof, &NONE).await.expect(202);
    assert_eq!(answer.json()["two_factor_required"], true);
    let (methods, next) = (answer.json()["methods"].clone(), answer.mail_token("mailAuthToken"));
    sign_in(server, proof, &NONE).await.expect(410);
    (methods, next)
}

async fn operate(server: &Server, verb: &str) {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["account", verb, "--kind", "p", "--email", ANN];
    assert_eq!(run(&arguments, server.settings(), folder.path(), "").await.code, Some(0), "{verb}");
}

async fn new_codes(server: &Server, token: &str) -> Vec<String> {
    let made = server.http.post_as(token, "/auth/creation_backup_code", &json!({})).await.expect(201).json();
    made["double_auth"]["code"]
        .as_array()
        .unwrap()
        .iter()
        .map(|code| code.as_str().unwrap().to_owned())
        .collect()
}

/// Somebody with an app and backup codes.
async fn with_app(settings: &[(&str, &str)]) -> (Server, Person, App, Vec<String>) {
    let server = Server::start(settings).await;
    let ann = server.proven_person("ann").await;
    let app = ann.bind_app(&server, &ann.token).await;
    let codes = new_codes(&server, &ann.token).await;
    (server, ann, app, codes)
}

/// Somebody whose only factor is mail, and the backup codes that came with it.
async fn with_mail() -> (Server, Person, Vec<String>) {
    let server = Server::start(&[]).await;
    let ann = server.proven_person("ann").await;
    let on = ann.turn_mail_on(&server, &ann.token).await;
    let codes =
        on["backup_codes"].as_array().unwrap().iter().map(|c| c.as_str().unwrap().to_owned()).collect();
    (server, ann, codes)
}

#[track_caller]
fn check_proof(token: &str, amr: &[&str], acr: &str) {
    let claims = claims(token);
    assert_eq!(claims["amr"], json!(amr));
    assert_eq!(claims["acr"], format!("urn:readylogin:acr:{acr}"));
}

#[tokio::test]
async fn a_kind_that_there_is_not_has_no_accounts_whatever_it_is_written_with() {
    let server = Server::start(&[]).await;
    server.person("ann").await;
    let proof = server.mail_proof(ANN).await;
    for kind in ["", "x", "P", "p ", "p\0", "\0", "\u{ffff}"] {
        let more = json!({"type": kind, "password": PASSWORD});
        sign_in(&server, &proof, &json!({"type": kind})).await.expect(404);
        sign_in(&server, &proof, &more).await.expect(404);
        server.http.mail_auth("recover-password", &proof, &more).await.expect(404);
        server.http.mail_auth("create-account", &proof, &more).await.expect(400);
        let login = json!({"identifier": ANN, "type": kind, "password": PASSWORD});
        let refused = server.http.post("/api/v1/auth/login", &login).await;
        assert!((400..500).contains(&refused.status), "{kind:?}: {refused:?}");
        let login = json!({"email": ANN, "type": kind, "password": PASSWORD});
        let refused = server.http.post("/api/auth/sign-in/email", &login).await;
        assert!((400..500).contains(&refused.status), "{kind:?}: {refused:?}");
        let login = json!({"username": ANN, "type": kind, "password": PASSWORD, "provider": "Authenticator"});
        let refused = server.http.post("/users/two_step_verification_login", &login).await;
        assert!((400..500).contains(&refused.status), "{kind:?}: {refused:?}");
    }
    sign_in(&server, &proof, &json!({"type": "p"})).await.expect(200);
}

#[tokio::test]
async fn a_proof_opens_the_account_once_and_verifies_its_address() {
    let server = Server::start(&[]).await;
    server.person("ann").await;
    server.person_of("d", "ann").await;
    let proof = server.mail_proof(ANN).await;
    let facts = json!({"type": "p", "name_device": "Laptop", "device_os": "Linux", "client_id": "shop"});
    let opened = sign_in(&server, &proof, &facts).await.expect(200);
    let refresh = opened.json()["refresh_token"].as_str().unwrap().to_owned();
    let token = opened.token();
    check_proof(&token, &["otp"], "mail");
    assert_eq!((&claims(&token)["client_id"], &claims(&token)["patient"]), (&json!("shop"), &json!(ANN)));
    let devices = text_pairs(&server, "SELECT name, os FROM devices WHERE os <> ''").await;
    assert_eq!(devices, [("Laptop".to_owned(), "Linux".to_owned())]);
    server.http.post("/api/v1/auth/refresh", &json!({"refresh_token": refresh})).await.expect(200);
    for route in ["sign-in", "create-account", "recover-password"] {
        let more = if route == "sign-in" { json!({}) } else { json!({"password": PASSWORD}) };
        server.http.mail_auth(route, &proof, &more).await.expect(410);
    }
    let verified =
        text_pairs(&server, "SELECT kind, CAST(verified AS TEXT) FROM accounts ORDER BY kind").await;
    let flag = |kind: &str, flag: &str| (kind.to_owned(), flag.to_owned());
    assert_eq!(verified, [flag("d", "0"), flag("p", "1")]);
}

#[tokio::test]
async fn a_hundred_at_once_open_one_session_whatever_they_ask_for() {
    let server = Server::start(&[("PASSWORD__QUEUE", "1000")]).await;
    let (twin, _, _) = (server.twin().await, server.person("ann").await, server.person_of("d", "ann").await);
    let proof = server.mail_proof(ANN).await;
    let races = (0..100).map(|n: usize| {
        let (http, proof) = ([&server, &twin][n % 2].http.clone(), proof.clone());
        let kind = ["p", "d"][n / 2 % 2];
        tokio::spawn(async move {
            match n % 5 {
                4 => {
                    let more = json!({"type": kind, "password": "another horse entirely"});
                    http.mail_auth("recover-password", &proof, &more).await.status
                }
                3 => {
                    let more = json!({"type": "a", "password": "another horse entirely"});
                    http.mail_auth("create-account", &proof, &more).await.status
                }
                _ => http.mail_auth("sign-in", &proof, &json!({"type": kind})).await.status,
            }
        })
    });
    let mut seen = Vec::new();
    for race in races.collect::<Vec<_>>() {
        seen.push(race.await.unwrap());
    }
    assert_eq!(seen.iter().filter(|status| **status == 200).count(), 1, "{seen:?}");
    assert!(seen.iter().all(|status| [200, 410, 409].contains(status)), "{seen:?}");
}

#[tokio::test]
async fn without_such_an_account_nothing_is_spent() {
    let server = Server::start(&[]).await;
    let proof = server.mail_proof(ANN).await;
    for more in [NONE, json!({"type": "p"}), json!({"type": "zebra"}), json!({"password": PASSWORD})] {
        assert_eq!(sign_in(&server, &proof, &more).await.refusal(404), "not found");
        let recover = json!({"password": "another horse entirely"});
        server.http.mail_auth("recover-password", &proof, &recover).await.expect(404);
    }
    server.person_of("d", "ann").await;
    sign_in(&server, &proof, &json!({"type": "p"})).await.expect(404);
    let token = sign_in(&server, &proof, &NONE).await.token();
    assert_eq!(claims(&token)["doctor"], ANN);
}

#[tokio::test]
async fn without_a_type_the_verified_account_comes_first_and_then_the_oldest() {
    let server = Server::start(&[]).await;
    server.person_of("d", "ann").await;
    server.person("ann").await;
    let proof = server.mail_proof(ANN).await;
    let token = sign_in(&server, &proof, &NONE).await.token();
    assert_eq!(claims(&token)["doctor"], ANN);
    let server = Server::start(&[]).await;
    server.person("ann").await;
    server.person_of("d", "ann").await;
    sign_in(&server, &server.mail_proof(ANN).await, &json!({"type": "d"})).await.token();
    let token = sign_in(&server, &server.mail_proof(ANN).await, &NONE).await.token();
    assert_eq!(claims(&token)["doctor"], ANN);
}

#[tokio::test]
async fn an_app_or_a_backup_code_comes_beside_the_words() {
    let (server, _, app, codes) = with_app(&[]).await;
    let (methods, proof) = second_step(&server, &server.mail_proof(ANN).await).await;
    assert_eq!(methods, json!(["AUTHENTIFICATOR", "BACKUPCODE"]));
    let wrong = app.wrong_code(&server);
    assert_eq!(sign_in(&server, &proof, &json!({"otp": wrong})).await.refusal(403), "token 2fa is invalid");
    assert_eq!(
        sign_in(&server, &proof, &json!({"otp": "abcdefgh"})).await.refusal(403),
        "invalid backup code"
    );
    sign_in(&server, &proof, &json!({"otp": "A".repeat(43)})).await.expect(403);
    sign_in(&server, &proof, &json!({"otp": " "})).await.expect(400);
    let code = app.code(&server);
    let typed = format!(" {} {}", &code[..3], &code[3..]);
    check_proof(&sign_in(&server, &proof, &json!({"otp": typed})).await.token(), &["otp", "mfa"], "otp");
    sign_in(&server, &proof, &json!({"otp": code})).await.expect(410);
    // All in one go, without a second step.
    let proof = server.mail_proof(ANN).await;
    sign_in(&server, &proof, &json!({"otp": code})).await.expect(403);
    check_proof(&sign_in(&server, &proof, &json!({"otp": codes[0]})).await.token(), &["otp", "mfa"], "otp");
    let proof = server.mail_proof(ANN).await;
    sign_in(&server, &proof, &json!({"otp": codes[0]})).await.expect(403);
    // The password alone is no second factor here, and a wrong one is told.
    let (methods, proof) = (json!(["AUTHENTIFICATOR", "BACKUPCODE"]), proof);
    let still = sign_in(&server, &proof, &json!({"password": PASSWORD})).await.expect(202);
    assert_eq!(still.json()["methods"], methods);
    let proof = still.mail_token("mailAuthToken");
    sign_in(&server, &proof, &json!({"password": "wrong password", "otp": codes[1]})).await.expect(403);
    sign_in(&server, &proof, &json!({"password": PASSWORD, "otp": codes[1]})).await.token();
}

#[tokio::test]
async fn codes_of_the_dashed_form_are_read_too() {
    let (server, ..) = with_mail().await;
    let mut browser = crate::harness::Browser::second_step(&server, "ann").await;
    let code = Person::known(&server.http, "p", ANN).login_code(&server).await;
    browser.post("/two-factor/verify-otp", &json!({"code": code})).await.expect(200);
    let made = browser.post("/two-factor/generate-backup-codes", &json!({"password": PASSWORD})).await;
    let codes = made.expect(200).json()["backupCodes"].clone();
    let proof = server.mail_proof(ANN).await;
    sign_in(&server, &proof, &json!({"otp": codes[0]})).await.token();
}

#[tokio::test]
async fn a_phone_s_approval_comes_beside_the_words() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.proven_person_with_phone("ann").await;
    let (bob, mut bobs) = server.proven_person_with_phone("bob").await;
    let (methods, proof) = second_step(&server, &server.mail_proof(ANN).await).await;
    assert_eq!(methods, json!(["MOBILE", "BACKUPCODE"]));
    let foreign = bobs.approved_code(&server, &bob).await;
    assert_eq!(sign_in(&server, &proof, &json!({"otp": foreign})).await.refusal(403), "invalid 2FA token");
    let ticket = phone.approved_code(&server, &ann).await;
    check_proof(
        &sign_in(&server, &proof, &json!({"otp": ticket})).await.token(),
        &["otp", "mca", "mfa"],
        "tap",
    );
    let proof = server.mail_proof(ANN).await;
    sign_in(&server, &proof, &json!({"otp": ticket})).await.expect(403);
}

#[tokio::test]
async fn mail_twice_is_one_factor() {
    let (server, ann, codes) = with_mail().await;
    let (methods, proof) = second_step(&server, &server.mail_proof(ANN).await).await;
    assert_eq!(methods, json!(["BACKUPCODE"]));
    let mailed = ann.login_code(&server).await;
    sign_in(&server, &proof, &json!({"otp": mailed})).await.expect(403);
    let wrong = sign_in(&server, &proof, &json!({"password": "wrong password"})).await;
    assert_eq!(wrong.refusal(403), "Email and password mismatch");
    let token = sign_in(&server, &proof, &json!({"password": PASSWORD})).await.token();
    check_proof(&token, &["otp", "pwd", "mfa"], "mail");
    let proof = server.mail_proof(ANN).await;
    check_proof(&sign_in(&server, &proof, &json!({"otp": codes[0]})).await.token(), &["otp", "mfa"], "otp");
    // Without codes the list is empty: then the password is what is left.
    server.http.delete_as(&token, "/dashboard/2fa/BACKUPCODE").await.expect(200);
    let (methods, proof) = second_step(&server, &server.mail_proof(ANN).await).await;
    assert_eq!(methods, json!([]));
    sign_in(&server, &proof, &json!({"password": PASSWORD})).await.token();
}

#[tokio::test]
async fn where_no_factor_is_on_a_password_is_told_apart_and_a_code_is_not_needed() {
    let server = Server::start(&[]).await;
    server.person("ann").await;
    let proof = server.mail_proof(ANN).await;
    sign_in(&server, &proof, &json!({"password": "wrong password"})).await.expect(403);
    let token = sign_in(&server, &proof, &json!({"password": PASSWORD})).await.token();
    check_proof(&token, &["otp", "pwd", "mfa"], "mail");
    let proof = server.mail_proof(ANN).await;
    check_proof(&sign_in(&server, &proof, &json!({"otp": "123456"})).await.token(), &["otp"], "mail");
}

#[tokio::test]
async fn a_sign_in_stands_five_wrong_tries_also_over_its_second_step() {
    let (server, ann, app, codes) = with_app(&[]).await;
    let proof = server.mail_proof(ANN).await;
    sign_in(&server, &proof, &json!({"otp": app.wrong_code(&server)})).await.expect(403);
    sign_in(&server, &proof, &json!({"otp": "wrong-codes"})).await.expect(403);
    sign_in(&server, &proof, &json!({"password": "wrong password"})).await.expect(403);
    // Asking again is no way to more tries.
    let (_, proof) = second_step(&server, &proof).await;
    for _ in 0..2 {
        sign_in(&server, &proof, &json!({"password": "wrong password"})).await.expect(403);
    }
    sign_in(&server, &proof, &json!({"otp": app.code(&server)})).await.expect(410);
    let proof = server.mail_proof(ANN).await;
    for _ in 0..5 {
        sign_in(&server, &proof, &json!({"password": "wrong password"})).await.expect(403);
    }
    sign_in(&server, &proof, &json!({"password": PASSWORD, "otp": codes[0]})).await.expect(410);
    ann.post("backup_code_2fa", &json!({"backup_code": codes[0]})).await.token();
}

#[tokio::test]
async fn passwords_guessed_at_once_are_five_and_no_more() {
    let (server, _, _) = with_mail().await;
    let proof = server.mail_proof(ANN).await;
    let guesses = (0..40).map(|n| {
        let (http, proof) = (server.http.clone(), proof.clone());
        tokio::spawn(async move {
            http.mail_auth("sign-in", &proof, &json!({"password": format!("wrong {n}")})).await.status
        })
    });
    let mut wrong = 0;
    for guess in guesses.collect::<Vec<_>>() {
        match guess.await.unwrap() {
            403 => wrong += 1,
            410 => {}
            other => panic!("{other}"),
        }
    }
    assert_eq!(wrong, 5);
}

#[tokio::test]
async fn a_second_step_ends_with_its_time_whatever_is_asked() {
    let (server, _, app, _) = with_app(&[]).await;
    let (_, mut proof) = second_step(&server, &server.mail_proof(ANN).await).await;
    for _ in 0..3 {
        server.clock.advance(180 * SECOND);
        (_, proof) = second_step(&server, &proof).await;
    }
    server.clock.advance(60 * SECOND);
    sign_in(&server, &proof, &json!({"otp": app.code(&server)})).await.expect(410);
}

#[tokio::test]
async fn a_second_step_is_one_account_s_and_for_signing_in_alone() {
    let (server, _, app, _) = with_app(&[]).await;
    server.person_of("d", "ann").await;
    let (_, proof) = second_step(&server, &server.mail_proof(ANN).await).await;
    sign_in(&server, &proof, &json!({"type": "d"})).await.expect(404);
    for route in ["create-account", "recover-password"] {
        let more = json!({"type": "a", "password": "another horse entirely"});
        server.http.mail_auth(route, &proof, &more).await.expect(410);
    }
    sign_in(&server, &proof, &json!({"type": "p", "otp": app.code(&server)})).await.token();
}

#[tokio::test]
async fn ten_failures_block_and_tell_so_beside_the_words() {
    let (server, ann, app, codes) = with_app(&[]).await;
    for _ in 0..2 {
        let proof = server.mail_proof(ANN).await;
        for _ in 0..5 {
            sign_in(&server, &proof, &json!({"otp": app.wrong_code(&server)})).await.expect(403);
        }
    }
    let (_, proof) = second_step(&server, &server.mail_proof(ANN).await).await;
    for otp in [app.code(&server), codes[0].clone(), app.wrong_code(&server)] {
        let locked = sign_in(&server, &proof, &json!({"otp": otp})).await.expect(423);
        assert_eq!(locked.header("retry-after"), "900");
    }
    ann.post("backup_code_2fa", &json!({"backup_code": codes[0]})).await.expect(423);
    server.clock.advance(900 * SECOND);
    let proof = server.mail_proof(ANN).await;
    sign_in(&server, &proof, &json!({"otp": codes[0]})).await.token();
}

#[tokio::test]
async fn a_block_holds_for_the_password_beside_the_words_too() {
    let (server, ann, _) = with_mail().await;
    for _ in 0..10 {
        ann.post("backup_code_2fa", &json!({"backup_code": "wrong"})).await.expect(400);
    }
    let proof = server.mail_proof(ANN).await;
    sign_in(&server, &proof, &json!({"password": "wrong password"})).await.expect(403);
    sign_in(&server, &proof, &json!({"password": PASSWORD})).await.expect(423);
}

#[tokio::test]
async fn wrong_passwords_beside_the_words_count_with_all_others() {
    let server = Server::start(&[("LIMITS__FACTOR", "1")]).await;
    let ann = server.person("ann").await;
    for _ in 0..6 {
        ann.post("login", &json!({"password": "wrong password"})).await.expect(401);
    }
    let proof = server.mail_proof(ANN).await;
    for _ in 0..4 {
        sign_in(&server, &proof, &json!({"password": "wrong password"})).await.expect(403);
    }
    let throttled = sign_in(&server, &proof, &json!({"password": PASSWORD})).await.expect(429);
    assert_eq!(throttled.header("retry-after"), "600");
    // Not a try, and nothing is spent: the words alone are enough here.
    sign_in(&server, &proof, &NONE).await.token();
}

#[tokio::test]
async fn a_disabled_account_is_told_so_and_nothing_is_spent() {
    let server = Server::start(&[]).await;
    server.proven_person("ann").await;
    let proof = server.mail_proof(ANN).await;
    operate(&server, "disable").await;
    let text = "Not authorized, this account is disable";
    for more in [NONE, json!({"password": PASSWORD}), json!({"otp": "123456"})] {
        assert_eq!(sign_in(&server, &proof, &more).await.refusal(403), text);
    }
    let recover = json!({"password": "another horse entirely"});
    assert_eq!(server.http.mail_auth("recover-password", &proof, &recover).await.refusal(403), text);
    operate(&server, "enable").await;
    sign_in(&server, &proof, &NONE).await.token();
    // Between the two steps as well.
    let ann = Person::known(&server.http, "p", ANN);
    let token = ann.post("login", &json!({})).await.token();
    let app = ann.bind_app(&server, &token).await;
    let (_, proof) = second_step(&server, &server.mail_proof(ANN).await).await;
    operate(&server, "disable").await;
    sign_in(&server, &proof, &json!({"otp": app.code(&server)})).await.expect(403);
}

#[tokio::test]
async fn a_second_step_ends_with_its_password() {
    let (server, ann, codes) = with_mail().await;
    let (_, proof) = second_step(&server, &server.mail_proof(ANN).await).await;
    let change = json!({"password": PASSWORD, "new_password": "another horse entirely"});
    server.http.post_as(&ann.token, "/dashboard/password", &change).await.expect(200);
    sign_in(&server, &proof, &json!({"otp": codes[0]})).await.expect(410);
}

#[tokio::test]
async fn trusted_devices_are_asked_beside_the_words_too() {
    let server = Server::start(&[]).await;
    let (browser, app, _) = crate::two_factor::with_app(&server, "ann").await;
    server.prove_address(ANN).await;
    drop(browser);
    let mut browser = crate::harness::Browser::second_step(&server, "ann").await;
    let trusting = json!({"code": app.code(&server), "trustDevice": true});
    browser.post("/two-factor/verify-totp", &trusting).await.expect(200);
    let proof = server.mail_proof(ANN).await;
    let trust = browser.cookie("trust_device").expect("a trust");
    let request =
        server.http.request("POST", "/auth/mail-auth/sign-in").json(&json!({"mailAuthToken": proof}));
    let cookie = format!("better-auth.trust_device={trust}");
    let answer = Answer::read(request.header("cookie", cookie).send().await.unwrap()).await;
    answer.expect(202);
}

#[tokio::test]
async fn of_a_hundred_at_once_one_goes_on_to_the_second_step() {
    let (server, _, app, _) = with_app(&[]).await;
    let twin = server.twin().await;
    let proof = server.mail_proof(ANN).await;
    let races = (0..100).map(|n: usize| {
        let (http, proof) = ([&server, &twin][n % 2].http.clone(), proof.clone());
        tokio::spawn(async move { http.mail_auth("sign-in", &proof, &json!({})).await })
    });
    let mut next = Vec::new();
    for race in races.collect::<Vec<_>>() {
        match race.await.unwrap() {
            answer if answer.status == 202 => next.push(answer.mail_token("mailAuthToken")),
            answer => drop(answer.expect(410)),
        }
    }
    assert_eq!(next.len(), 1);
    sign_in(&server, &next[0], &json!({"otp": app.code(&server)})).await.token();
}
