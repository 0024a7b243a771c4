//! Authenticator apps: set up, proven, replaced, and each time step of theirs worth one login.

use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::harness::{Answer, App, PASSWORD, Person, Server, StoreKind, run, store_kind, text_pairs};

const STEP: Duration = Duration::from_secs(30);
const GENERATE: &str = "/2fa/method/third_party/generate";
const CONFIRM: &str = "/2fa/method/third_party";

async fn ready(settings: &[(&str, &str)]) -> (Server, Person, App) {
    let server = Server::start(settings).await;
    let ann = server.person("ann").await;
    let app = ann.bind_app(&server, &ann.token).await;
    (server, ann, app)
}

async fn login(person: &Person, code: &str) -> Answer {
    person.post("third_party_2fa", &json!({"token_2fa": code})).await
}

async fn check_refused(person: &Person, code: &str) {
    assert_eq!(login(person, code).await.refusal(400), "token 2fa is invalid");
}

async fn confirm(server: &Server, token: &str, code: &str) -> Answer {
    server.http.post_as(token, CONFIRM, &json!({"token": code})).await
}

async fn methods(server: &Server, token: &str) -> Value {
    server.http.get_as(token, "/dashboard/2fa").await.expect(200).json()["double_auth"]["methods"].clone()
}

#[tokio::test]
async fn an_app_is_on_once_its_code_is_proven_and_not_before() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    let before = confirm(&server, &ann.token, "000000").await;
    assert_eq!(before.refusal(400), "token 2fa is invalid", "nothing is being set up");
    let begun = server.http.send("POST", GENERATE, Some(&ann.token), None).await.expect(200).json();
    let keys: Vec<_> = begun.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["secret", "url"]);
    let app = App::new(begun["secret"].as_str().unwrap());
    assert_eq!(app.secret.len(), 20);
    let url = begun["url"].as_str().unwrap();
    assert!(url.starts_with("otpauth://totp/") && url.contains("ann%40example.org"), "{url}");
    assert!(
        url.contains(&format!("secret={}&", app.base32)) && url.ends_with("&digits=6&period=30"),
        "{url}"
    );

    ann.post("login", &json!({})).await.token();
    for wrong in
        [&app.wrong_code(&server), &app.code_at(&server, -2), &app.code_at(&server, 2), "", "１２３４５６"]
    {
        assert_eq!(confirm(&server, &ann.token, wrong).await.refusal(400), "token 2fa is invalid", "{wrong}");
    }
    assert_eq!(methods(&server, &ann.token).await, json!([]));
    check_refused(&ann, &app.code(&server)).await;
    ann.post("login", &json!({})).await.token();

    let on = confirm(&server, &ann.token, &app.code(&server)).await.expect(200);
    assert_eq!(on.json(), json!(true));
    // No place for backup codes in that answer, so none were made.
    assert_eq!(methods(&server, &ann.token).await, json!(["AUTHENTIFICATOR"]));
    assert_eq!(ann.post("login", &json!({})).await.expect(200).json()["Methods"], json!(["AUTHENTIFICATOR"]));
    // The proof's own step is used up.
    check_refused(&ann, &app.code(&server)).await;
    server.clock.advance(STEP);
    login(&ann, &app.code(&server)).await.token();
}

#[tokio::test]
async fn of_two_begun_the_last_counts() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    let first = ann.begin_app(&server, &ann.token).await;
    let second = ann.begin_app(&server, &ann.token).await;
    assert_ne!(first.base32, second.base32);
    confirm(&server, &ann.token, &first.code(&server)).await.expect(400);
    confirm(&server, &ann.token, &second.code(&server)).await.expect(200);
    // What has been proven is nothing to be proven again.
    server.clock.advance(STEP);
    confirm(&server, &ann.token, &second.code(&server)).await.expect(400);
}

#[tokio::test]
async fn setting_up_and_proving_demand_a_fresh_session_or_the_password() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    server.clock.advance(Duration::from_secs(300));
    let fresh = json!({"password": PASSWORD});
    let check_stale = |answer: Answer| {
        let challenge = "Bearer error=\"insufficient_user_authentication\", max_age=\"300\"";
        assert_eq!(answer.expect(401).header("www-authenticate"), challenge);
    };
    check_stale(server.http.post_as(&ann.token, GENERATE, &json!({})).await);
    check_stale(server.http.post_as(&ann.token, "/2fa/method/email", &json!({})).await);
    let wrong = server.http.post_as(&ann.token, GENERATE, &json!({"password": "wrong password"})).await;
    assert_eq!(wrong.refusal(401), "Email and password mismatch");
    let begun = server.http.post_as(&ann.token, GENERATE, &fresh).await.expect(200).json();
    let app = App::new(begun["secret"].as_str().unwrap());
    server.clock.advance(Duration::from_secs(300));
    check_stale(confirm(&server, &ann.token, &app.code(&server)).await);
    let body = json!({"token": app.code(&server), "password": PASSWORD});
    server.http.post_as(&ann.token, CONFIRM, &body).await.expect(200);
    for path in [GENERATE, CONFIRM, "/2fa/method/email"] {
        let none = server.http.post(path, &json!({"token": "000000"})).await.expect(401);
        assert_eq!(none.header("www-authenticate"), "Bearer");
    }
}

#[tokio::test]
async fn a_replaced_app_works_until_the_new_one_is_proven() {
    let (server, ann, old) = ready(&[]).await;
    let token = login(&ann, &old.code(&server)).await.token();
    let new = ann.begin_app(&server, &token).await;
    server.clock.advance(STEP);
    check_refused(&ann, &new.code(&server)).await;
    login(&ann, &old.code(&server)).await.token();
    // A wrong proof changes nothing.
    confirm(&server, &token, &old.code(&server)).await.expect(400);
    server.clock.advance(STEP);
    login(&ann, &old.code(&server)).await.token();
    confirm(&server, &token, &new.code(&server)).await.expect(200);
    server.clock.advance(STEP);
    check_refused(&ann, &old.code(&server)).await;
    login(&ann, &new.code(&server)).await.token();
    assert_eq!(methods(&server, &token).await, json!(["AUTHENTIFICATOR"]));
}

#[tokio::test]
async fn a_code_is_good_one_step_before_and_after_its_own() {
    let (server, ann, app) = ready(&[]).await;
    server.clock.advance(10 * STEP);
    for far in [-2, 2, -3, 3] {
        check_refused(&ann, &app.code_at(&server, far)).await;
    }
    login(&ann, &app.code_at(&server, -1)).await.token();
    login(&ann, &app.code(&server)).await.token();
    login(&ann, &app.code_at(&server, 1)).await.token();
    let next = app.code_at(&server, 2);
    server.clock.advance(STEP - Duration::from_millis(1));
    check_refused(&ann, &next).await;
    server.clock.advance(Duration::from_millis(1));
    login(&ann, &next).await.token();
}

#[tokio::test]
async fn a_step_counts_once_and_no_earlier_one_after_it() {
    let (server, ann, app) = ready(&[]).await;
    server.clock.advance(10 * STEP);
    let (before, now, after) = (app.code_at(&server, -1), app.code(&server), app.code_at(&server, 1));
    let spaced = format!(" {} {} ", &after[..3], &after[3..]);
    login(&ann, &spaced).await.token();
    // They were right, all of them: none of this counts.
    for _ in 0..5 {
        for code in [&before, &now, &after] {
            check_refused(&ann, code).await;
        }
    }
    server.clock.advance(STEP);
    check_refused(&ann, &after).await;
    login(&ann, &app.code_at(&server, 1)).await.token();
}

#[tokio::test]
async fn two_hundred_logins_with_a_code_on_two_nodes_are_one() {
    let (server, ann, app) = ready(&[("PASSWORD__QUEUE", "1000")]).await;
    let twin = server.twin().await;
    let (nodes, code) = ([ann.clone(), ann.at(&twin)], app.code(&server));
    let races = (0..200).map(|n: usize| {
        let (person, code) = (nodes[n % 2].clone(), code.clone());
        tokio::spawn(async move { login(&person, &code).await })
    });
    let mut won = 0;
    for race in races.collect::<Vec<_>>() {
        let answer = race.await.unwrap();
        if answer.status == 200 {
            won += 1;
        } else {
            assert_eq!(answer.refusal(400), "token 2fa is invalid");
        }
    }
    assert_eq!(won, 1);
    server.clock.advance(STEP);
    login(&ann, &app.code(&server)).await.token();
}

#[tokio::test]
async fn two_hundred_proofs_at_once_are_one() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    let app = ann.begin_app(&server, &ann.token).await;
    let body = json!({"token": app.code(&server)});
    let races = (0..200).map(|_| {
        let (http, token, body) = (server.http.clone(), ann.token.clone(), body.clone());
        tokio::spawn(async move { http.post_as(&token, CONFIRM, &body).await.status })
    });
    let mut won = 0;
    for race in races.collect::<Vec<_>>() {
        won += u32::from(race.await.unwrap() == 200);
    }
    assert_eq!(won, 1);
    check_refused(&ann, &app.code(&server)).await;
}

#[tokio::test]
async fn a_restart_keeps_the_app_and_its_used_steps() {
    let (mut server, ann, app) = ready(&[]).await;
    let token = login(&ann, &app.code(&server)).await.token();
    let new = ann.begin_app(&server, &token).await;
    server.restart().await;
    let ann = ann.at(&server);
    check_refused(&ann, &app.code(&server)).await;
    server.clock.advance(STEP);
    login(&ann, &app.code(&server)).await.token();
    confirm(&server, &token, &new.code(&server)).await.expect(200);
    server.restart().await;
    let ann = ann.at(&server);
    check_refused(&ann, &new.code(&server)).await;
    server.clock.advance(STEP);
    login(&ann, &new.code(&server)).await.token();
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_secret_is_sealed_in_the_store_and_never_shown_again() {
    let (server, ann, app) = ready(&[]).await;
    let token = login(&ann, &app.code(&server)).await.token();
    let pending = ann.begin_app(&server, &token).await;
    for path in ["/dashboard/2fa", "/dashboard/devices", "/dashboard/2fa/devices", "/dashboard/2fa/trusted"] {
        let told = server.http.get_as(&token, path).await.expect(200).text;
        assert!(!told.contains(&app.base32) && !told.contains(&pending.base32), "{told}");
    }
    let both = server.http.get_as(&token, "/dashboard/2fa").await.json()["double_auth"].clone();
    assert_eq!([&both["secret"], &both["url"]], ["", ""]);

    let rows = match store_kind() {
        StoreKind::Sqlite => text_pairs(&server, "SELECT hex(sealed), '' FROM totp_secrets").await,
        StoreKind::Postgres => {
            text_pairs(&server, "SELECT encode(sealed, 'hex'), '' FROM totp_secrets").await
        }
    };
    assert_eq!(rows.len(), 2);
    for (sealed, _) in &rows {
        for secret in [&app.secret, &pending.secret, &app.base32.as_bytes().to_vec()] {
            assert!(!sealed.to_lowercase().contains(&hex(secret)), "{sealed}");
        }
    }
    if store_kind() == StoreKind::Sqlite {
        let url = server.settings().iter().find(|(name, _)| name == "READYLOGIN_STORE__URL").unwrap();
        let folder = std::path::Path::new(url.1.strip_prefix("sqlite://").unwrap()).parent().unwrap();
        let mut bytes = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                bytes.extend(std::fs::read(path).unwrap());
            }
        }
        let holds = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
        assert!(holds(b"ann@example.org"), "this is where it would be");
        for app in [&app, &pending] {
            assert!(!holds(&app.secret) && !holds(app.base32.as_bytes()));
        }
    }
}

#[tokio::test]
async fn a_login_with_an_app_names_what_is_wrong_with_it() {
    let (server, ann, app) = ready(&[]).await;
    let wrong = json!({"password": "wrong password", "token_2fa": app.code(&server)});
    assert_eq!(ann.post("third_party_2fa", &wrong).await.refusal(401), "Email and password mismatch");
    let unknown = json!({"email": "unknown@example.org", "password": PASSWORD, "token_2fa": "000000"});
    let unknown = server.http.post("/auth/p/third_party_2fa", &unknown).await;
    assert_eq!(unknown.refusal(401), "Email and password mismatch");
    server.http.post("/auth/x/third_party_2fa", &wrong).await.expect(404);
    for no_code in ["", " ", "1", "12345", "1234567", "abcdef", "１２３４５６", &"1".repeat(5000)] {
        check_refused(&ann, no_code).await;
    }
    // Another's app is no app of this account.
    let bob = server.person("bob").await;
    let bobs = bob.bind_app(&server, &bob.token).await;
    check_refused(&ann, &bobs.code(&server)).await;
    login(&bob, &bobs.code(&server)).await.token();
    let token = login(&ann, &app.code(&server)).await.token();
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap());
    let claims: Value = serde_json::from_slice(&claims.unwrap()).unwrap();
    assert_eq!(claims["amr"], json!(["pwd", "otp", "mfa"]));
    assert_eq!(claims["acr"], "urn:readylogin:acr:otp");
}

#[tokio::test]
async fn without_an_app_its_codes_are_guesses() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    for _ in 0..10 {
        check_refused(&ann, "000000").await;
    }
    login(&ann, "000000").await.expect(423);
    ann.post("login", &json!({})).await.token();
}

#[tokio::test]
async fn an_app_that_was_removed_is_forgotten() {
    let (server, ann, app) = ready(&[]).await;
    let token = login(&ann, &app.code(&server)).await.token();
    ann.turn_mail_on(&server, &token).await;
    let pending = ann.begin_app(&server, &token).await;
    server.http.delete_as(&token, "/dashboard/2fa/AUTHENTIFICATOR").await.expect(200);
    server.http.delete_as(&token, "/dashboard/2fa/AUTHENTIFICATOR").await.expect(400);
    assert_eq!(methods(&server, &token).await, json!(["EMAIL"]));
    server.clock.advance(STEP);
    check_refused(&ann, &app.code(&server)).await;
    confirm(&server, &token, &pending.code(&server)).await.expect(400);
    assert!(text_pairs(&server, "SELECT 'row', 'row' FROM totp_secrets").await.is_empty());
}

#[tokio::test]
async fn an_app_follows_its_account() {
    let (server, ann, app) = ready(&[]).await;
    let folder = tempfile::tempdir().unwrap();
    let operate = async |verb: &str| {
        let arguments = ["account", verb, "--kind", "p", "--email", "ann@example.org"];
        assert_eq!(run(&arguments, server.settings(), folder.path(), "").await.code, Some(0));
    };
    operate("disable").await;
    let refusal = login(&ann, &app.code(&server)).await.refusal(403);
    assert_eq!(refusal, "Not authorized, this account is disable");
    operate("enable").await;
    let token = login(&ann, &app.code(&server)).await.token();
    let change = json!({"password": PASSWORD, "new_password": "another horse battery"});
    server.http.post_as(&token, "/dashboard/password", &change).await.expect(200);
    server.clock.advance(STEP);
    assert_eq!(login(&ann, &app.code(&server)).await.refusal(401), "Email and password mismatch");
    let body = json!({"password": "another horse battery", "token_2fa": app.code(&server)});
    ann.post("third_party_2fa", &body).await.token();
}

#[tokio::test]
async fn an_app_outlives_the_key_that_its_secret_was_sealed_under() {
    let mut server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    let app = ann.bind_app(&server, &ann.token).await;
    let folder = tempfile::tempdir().unwrap();
    let rotated = run(&["keys", "rotate", "--seal"], server.settings(), folder.path(), "").await;
    assert_eq!(rotated.code, Some(0), "{rotated:?}");
    ann.post("third_party_2fa", &json!({"token_2fa": app.code(&server)})).await.token();
    server.clock.advance(Duration::from_secs(30));
    server.restart().await;
    ann.at(&server).post("third_party_2fa", &json!({"token_2fa": app.code(&server)})).await.token();
}
