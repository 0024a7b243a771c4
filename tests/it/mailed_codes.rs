//! Mailed login codes: who gets one, which one counts, how long, how often, and what it is worth.

use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::harness::{
    Answer, PASSWORD, Person, Server, current_device, letters_to, mailed_code, run, text_pairs, wrong,
};

const SECOND: Duration = Duration::from_secs(1);

/// Somebody with mailed codes on, and the backup codes that came with them.
async fn ready(settings: &[(&str, &str)]) -> (Server, Person, Vec<String>) {
    let server = Server::start(settings).await;
    let ann = server.person("ann").await;
    let on = ann.turn_mail_on(&server, &ann.token).await;
    let codes = on["backup_codes"].as_array().unwrap();
    let codes = codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect();
    (server, ann, codes)
}

async fn ask(server: &Server, email: &str) -> Answer {
    server.http.post("/auth/sending_email", &json!({"email": email})).await
}

/// How many codes were mailed to an address.
async fn mailed(server: &Server, email: &str) -> usize {
    letters_to(server, email).await.iter().filter(|letter| letter.code().is_some()).count()
}

async fn exchange(person: &Person, code: &str) -> Answer {
    person.post("email_2fa", &json!({"token_2fa": code})).await
}

async fn check_refused(person: &Person, code: &str) {
    assert_eq!(exchange(person, code).await.refusal(400), "invalid 2FA token");
}

async fn operate(server: &Server, verb: &str, kind: &str, email: &str) {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["account", verb, "--kind", kind, "--email", email];
    assert_eq!(run(&arguments, server.settings(), folder.path(), "").await.code, Some(0), "{verb}");
}

/// All of an answer but its date.
fn told(answer: &Answer) -> String {
    let mut headers: Vec<_> = answer.headers.iter().filter(|(name, _)| *name != "date").collect();
    headers.sort_by_key(|(name, _)| name.as_str());
    format!("{} {headers:?} {}", answer.status, answer.text)
}

#[tokio::test]
async fn only_who_has_an_account_gets_a_code_and_nobody_is_told() {
    let server = Server::start(&[]).await;
    server.person("plain").await;
    server.person("disabled").await;
    server.person_of("d", "doctor").await;
    operate(&server, "disable", "p", "disabled@example.org").await;
    let mut answers = Vec::new();
    for email in [
        "unknown@example.org",
        "plain@example.org",
        " PLAIN@example.org ",
        "disabled@example.org",
        "doctor@example.org",
        "plain@example.orgs",
    ] {
        answers.push(told(&ask(&server, email).await.expect(200)));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:#?}");
    assert!(answers[0].ends_with(r#"{"email":"send"}"#) && answers[0].contains("no-store"), "{answers:?}");
    for (email, count) in [("plain", 1), ("doctor", 1), ("unknown", 0), ("disabled", 0), ("PLAIN", 1)]
        .map(|(n, c)| (format!("{n}@example.org"), c))
    {
        assert_eq!(mailed(&server, &email).await, count, "{email}");
    }
}

#[tokio::test]
async fn what_is_no_address_is_said_to_be_none() {
    let server = Server::start(&[]).await;
    let send = async |kind: &str, body: String| {
        let request = server.http.request("POST", "/auth/sending_email").header("content-type", kind);
        Answer::read(request.body(body).send().await.unwrap()).await
    };
    let long = format!("\"{}@example.org\"", "a".repeat(300));
    for email in [
        "\"\"",
        "\" \"",
        "\"ann\"",
        "\"@example.org\"",
        "\"a b@example.org\"",
        "5",
        "null",
        "true",
        "{}",
        "[]",
        "[\"ann@example.org\"]",
        "{\"a\":1}",
        "\"ann@example.org\\r\\nBcc: eve@example.org\"",
        "\"ann@example.org,eve@example.org\"",
        "\"<ann@example.org>\"",
        "\"ann@example.org\\u0000\"",
        &long,
    ] {
        let answer = send("application/json", format!("{{\"email\":{email}}}")).await;
        assert_eq!(answer.refusal(400), "Invalid email", "{email}");
    }
    assert_eq!(send("application/json", "{}".into()).await.refusal(400), "Invalid email");
    for body in [
        "",
        " ",
        "{",
        "nope",
        "[]",
        "\"ann@example.org\"",
        "[\"ann@example.org\"]",
        "null",
        "{\"email\":\"ann@example.org\",\"email\":\"eve@example.org\"}",
        "{'email':'ann@example.org'}",
        "{\"email\":\"ann@example.org\"}x",
    ] {
        assert_eq!(send("application/json", body.into()).await.refusal(400), "Invalid JSON input", "{body}");
    }
    send("text/plain", "{\"email\":\"ann@example.org\"}".into()).await.expect(415);
    let large = format!("{{\"email\":\"ann@example.org\",\"x\":\"{}\"}}", "x".repeat(70_000));
    send("application/json", large).await.expect(413);
    assert_eq!(server.http.get("/auth/sending_email").await.expect(405).header("allow"), "POST");
    assert!(text_pairs(&server, "SELECT recipient, subject FROM outbox").await.is_empty());
}

#[tokio::test]
async fn a_code_is_not_sent_again_within_a_minute_whatever_the_limits() {
    let (server, ann, _) = ready(&[("LIMITS__FACTOR", "0")]).await;
    let first = ann.login_code(&server).await;
    server.clock.advance(59 * SECOND);
    assert_eq!(ann.login_code(&server).await, first);
    assert_eq!(mailed(&server, &ann.email).await, 1);
    server.clock.advance(SECOND);
    assert_eq!(ann.login_code(&server).await, first);
    assert_eq!(mailed(&server, &ann.email).await, 2);
    exchange(&ann, &first).await.token();
    // A used one is not live: the next is sent at once.
    ann.login_code(&server).await;
    assert_eq!(mailed(&server, &ann.email).await, 3);
}

#[tokio::test]
async fn two_hundred_requests_at_once_are_one_mail() {
    let (server, ann, _) = ready(&[]).await;
    let twin = server.twin().await;
    let nodes = [server.http.clone(), twin.http.clone()];
    let asks = (0..200).map(|n: usize| {
        let (http, body) = (nodes[n % 2].clone(), json!({"email": ann.email}));
        tokio::spawn(async move { http.post("/auth/sending_email", &body).await.status })
    });
    for asked in asks.collect::<Vec<_>>() {
        assert_eq!(asked.await.unwrap(), 200);
    }
    assert_eq!(mailed(&server, &ann.email).await, 1);
    exchange(&ann, &mailed_code(&server, &ann.email).await).await.token();
}

#[tokio::test]
async fn requests_are_limited_alike_for_known_and_unknown_addresses() {
    let (server, ann, _) = ready(&[("LIMITS__FACTOR", "1")]).await;
    let mut refusals = Vec::new();
    for email in [ann.email.as_str(), "unknown@example.org"] {
        for _ in 0..10 {
            ask(&server, email).await.expect(200);
        }
        let refused = ask(&server, &email.to_uppercase()).await.expect(429);
        assert_eq!(refused.header("retry-after"), "600");
        refusals.push(told(&refused));
    }
    assert_eq!(refusals[0], refusals[1]);
}

#[tokio::test]
async fn a_code_lives_for_its_time() {
    for (ttl, seconds) in [("1s", 1), ("10m", 600)] {
        let (server, ann, _) = ready(&[("OTP__TTL", ttl)]).await;
        let late = ann.login_code(&server).await;
        server.clock.advance(seconds * SECOND);
        check_refused(&ann, &late).await;
        // What has expired is sent again at once.
        let code = ann.login_code(&server).await;
        assert_eq!(mailed(&server, &ann.email).await, 2);
        server.clock.advance(seconds * SECOND - Duration::from_millis(1));
        exchange(&ann, &code).await.token();
    }
}

#[tokio::test]
async fn a_code_is_good_on_either_route_typed_with_spaces_and_once() {
    let (server, ann, _) = ready(&[]).await;
    let code = ann.login_code(&server).await;
    ann.exchange(&format!(" {} {}", &code[..3], &code[3..])).await.token();
    for _ in 0..15 {
        check_refused(&ann, &code).await;
        assert_eq!(ann.exchange(&code).await.refusal(400), "invalid 2FA token");
    }
    // It was right, once: none of that counted, neither towards a block nor against the next code.
    let next = ann.login_code(&server).await;
    if next != code {
        for _ in 0..15 {
            check_refused(&ann, &code).await;
        }
    }
    exchange(&ann, &next).await.token();
}

#[tokio::test]
async fn two_hundred_exchanges_of_kinds_and_nodes_at_once_yield_one_token_for_each_account() {
    let (server, ann, codes) = ready(&[("PASSWORD__QUEUE", "1000")]).await;
    let doctor = server.person_of("d", "ann").await;
    doctor.turn_mail_on(&server, &doctor.token).await;
    let twin = server.twin().await;
    let racers = [ann.clone(), doctor.clone(), ann.at(&twin), doctor.at(&twin)];
    let code = ann.login_code(&server).await;
    let races = (0..200).map(|n: usize| {
        let (racer, code) = (racers[n % 4].clone(), code.clone());
        tokio::spawn(async move { exchange(&racer, &code).await })
    });
    let mut won = [0, 0];
    for (n, race) in races.collect::<Vec<_>>().into_iter().enumerate() {
        let answer = race.await.unwrap();
        if answer.status == 200 {
            won[n % 2] += 1;
        } else {
            assert_eq!(answer.refusal(400), "invalid 2FA token");
        }
    }
    assert_eq!(won, [1, 1]);
    // None of the losers counted as wrong.
    ann.post("backup_code_2fa", &json!({"backup_code": codes[0]})).await.token();
    let next = ann.login_code(&server).await;
    exchange(&doctor, &next).await.token();
}

#[tokio::test]
async fn another_address_s_code_is_none() {
    let (server, ann, _) = ready(&[]).await;
    let bob = server.person("bob").await;
    bob.turn_mail_on(&server, &bob.token).await;
    let (anns, bobs) = (ann.login_code(&server).await, bob.login_code(&server).await);
    if anns != bobs {
        check_refused(&bob, &anns).await;
        check_refused(&ann, &bobs).await;
    }
    exchange(&ann, &anns).await.token();
    exchange(&bob, &bobs).await.token();
}

#[tokio::test]
async fn a_code_for_one_purpose_is_none_for_another() {
    let (server, ann, _) = ready(&[]).await;
    let token = exchange(&ann, &ann.login_code(&server).await).await.token();
    server.http.delete_as(&token, "/dashboard/2fa/EMAIL").await.expect(200);
    server.http.get_as(&token, "/users/enable_2fa").await.expect(200);
    let enabling = mailed_code(&server, &ann.email).await;
    let login = ann.login_code(&server).await;
    assert_eq!(mailed(&server, &ann.email).await, 3, "each purpose has its own minute");
    let confirm = async |code: &str| {
        let body = json!({"email": ann.email, "provider": "Email", "token": code});
        server.http.post_as(&token, "/users/enable_2fa_confirm", &body).await
    };
    if login != enabling {
        let refused = confirm(&login).await.expect(400);
        assert_eq!(refused.text, "Invalid two factor token");
    }
    // Here the surface has its own way to turn the method on; the enabling code opens no login.
    ann.turn_mail_on(&server, &token).await;
    if login != enabling {
        check_refused(&ann, &enabling).await;
    }
    exchange(&ann, &login).await.token();
}

#[tokio::test]
async fn five_wrong_tries_are_the_end_of_a_code() {
    let (server, ann, _) = ready(&[]).await;
    let code = ann.login_code(&server).await;
    for _ in 0..4 {
        check_refused(&ann, &wrong(&code)).await;
    }
    exchange(&ann, &code).await.token();

    let code = ann.login_code(&server).await;
    for _ in 0..5 {
        check_refused(&ann, &wrong(&code)).await;
    }
    for _ in 0..2 {
        check_refused(&ann, &code).await;
    }
    // What is dead is sent anew at once, and the new one is good.
    let next = ann.login_code(&server).await;
    assert_eq!(mailed(&server, &ann.email).await, 3);
    exchange(&ann, &next).await.token();
}

#[tokio::test]
async fn a_restart_forgets_neither_codes_nor_tries_nor_the_minute() {
    let (mut server, ann, _) = ready(&[]).await;
    let code = ann.login_code(&server).await;
    for _ in 0..4 {
        check_refused(&ann, &wrong(&code)).await;
    }
    server.restart().await;
    let ann = ann.at(&server);
    assert_eq!(ann.login_code(&server).await, code);
    assert_eq!(mailed(&server, &ann.email).await, 1);
    check_refused(&ann, &wrong(&code)).await;
    check_refused(&ann, &code).await;
    let next = ann.login_code(&server).await;
    server.restart().await;
    let ann = ann.at(&server);
    exchange(&ann, &next).await.token();
    server.restart().await;
    check_refused(&ann.at(&server), &next).await;
}

#[tokio::test]
async fn a_redeemed_code_verifies_its_account_and_no_other() {
    let (server, ann, codes) = ready(&[]).await;
    let _doctor = server.person_of("d", "ann").await;
    let verified = async || {
        text_pairs(&server, "SELECT kind, CAST(verified AS TEXT) FROM accounts ORDER BY kind DESC").await
    };
    let flags = |p: &str| [("p".to_owned(), p.to_owned()), ("d".to_owned(), "0".to_owned())];
    ann.post("backup_code_2fa", &json!({"backup_code": codes[0]})).await.token();
    let code = ann.login_code(&server).await;
    check_refused(&ann, &wrong(&code)).await;
    assert_eq!(verified().await, flags("0"));
    exchange(&ann, &code).await.token();
    assert_eq!(verified().await, flags("1"));
}

#[tokio::test]
async fn a_token_says_that_a_mailed_code_was_its_second_factor() {
    let (server, ann, _) = ready(&[]).await;
    let body =
        json!({"token_2fa": ann.login_code(&server).await, "name_device": "Laptop", "device_os": "Linux"});
    let token = ann.post("email_2fa", &body).await.token();
    let claims = token.split('.').nth(1).unwrap();
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["amr"], json!(["pwd", "otp", "mfa"]));
    assert_eq!([&claims["acr"], &claims["name_device"]], ["urn:readylogin:acr:mail", "Laptop"]);
    let id = current_device(&server.http, &token).await;
    let device = server.http.get_as(&token, &format!("/dashboard/device/{id}")).await.expect(200).json();
    assert_eq!(device["devices"]["os"], "Linux");
}

#[tokio::test]
async fn the_password_is_proven_at_the_exchange_and_a_wrong_one_spends_nothing() {
    let (server, ann, _) = ready(&[]).await;
    let code = ann.login_code(&server).await;
    for _ in 0..12 {
        let body = json!({"password": "wrong password", "token_2fa": code});
        assert_eq!(ann.post("email_2fa", &body).await.refusal(401), "Email and password mismatch");
    }
    let change = json!({"password": PASSWORD, "new_password": "another horse battery"});
    server.http.post_as(&ann.token, "/dashboard/password", &change).await.expect(200);
    assert_eq!(exchange(&ann, &code).await.refusal(401), "Email and password mismatch");
    let body = json!({"password": "another horse battery", "token_2fa": code});
    ann.post("email_2fa", &body).await.token();
}

#[tokio::test]
async fn a_disabled_account_s_mailed_code_is_worth_nothing() {
    let (server, ann, _) = ready(&[]).await;
    let code = ann.login_code(&server).await;
    operate(&server, "disable", "p", &ann.email).await;
    for code in [&code, &wrong(&code)] {
        let refusal = exchange(&ann, code).await.refusal(403);
        assert_eq!(refusal, "Not authorized, this account is disable");
    }
    operate(&server, "enable", "p", &ann.email).await;
    exchange(&ann, &code).await.token();
}

#[tokio::test]
async fn where_mailed_codes_are_off_a_right_one_opens_nothing() {
    let (server, ann, _) = ready(&[]).await;
    let bob = server.person("bob").await;
    let code = bob.login_code(&server).await;
    assert_eq!(exchange(&bob, &code).await.refusal(400), "no 2FA method associated with");
    let phone = bob.bind_phone(&server).await;
    assert_eq!(exchange(&bob, &code).await.refusal(400), "email is not a valid 2FA method");
    // It was not used up by that.
    bob.turn_mail_on(&server, &phone.token).await;
    exchange(&bob, &code).await.token();
    let methods = ann.post("login", &json!({})).await.expect(200).json()["Methods"].clone();
    assert_eq!(methods, json!(["EMAIL"]));
}
