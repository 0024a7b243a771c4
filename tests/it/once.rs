//! No token without approval, and at most one for each: codes that race, codes of others, codes whose ground is gone.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Answer, PASSWORD, Person, Phone, Server, run};

const NEW_PASSWORD: &str = "another horse battery";

/// Room for hundreds of passwords that are checked at once.
const WIDE: &[(&str, &str)] = &[("PASSWORD__QUEUE", "1000")];

/// How many at once.
const RACERS: usize = 200;

/// The same exchange many times at once; each entry of `people` speaks to its own server.
async fn race(people: &[&Person], route: &'static str, body: &Value) -> Vec<Answer> {
    let racers = (0..RACERS).map(|n| {
        let (person, body) = (people[n % people.len()].clone(), body.clone());
        tokio::spawn(async move { person.post(route, &body).await })
    });
    let racers: Vec<_> = racers.collect();
    let mut answers = Vec::new();
    for racer in racers {
        answers.push(racer.await.unwrap());
    }
    answers
}

/// One token, and all others are told the same refusal; a slow machine asks some to come back (503).
#[track_caller]
fn check_one_token(answers: &[Answer], refusal: &str) {
    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(200), count(400) + count(503)), (1, answers.len() - 1), "{:?}", answers.last());
    for answer in answers.iter().filter(|answer| answer.status == 400) {
        assert_eq!(answer.json()["message"], refusal);
        assert!(answer.json().get("token").is_none());
    }
}

/// The code is refused as one that is nobody's.
async fn check_dead(person: &Person, code: &str) {
    assert_eq!(person.exchange(code).await.refusal(400), "invalid 2FA token");
}

async fn ready(settings: &[(&str, &str)]) -> (Server, Person, Phone) {
    let server = Server::start(settings).await;
    let (ann, phone) = server.person_with_phone("ann").await;
    (server, ann, phone)
}

#[tokio::test]
async fn two_hundred_exchanges_of_a_code_yield_one_token() {
    let (server, ann, mut phone) = ready(WIDE).await;
    let code = phone.approved_code(&server, &ann).await;
    let answers = race(&[&ann], "mobile_2fa", &json!({"token_2fa": code})).await;
    check_one_token(&answers, "invalid 2FA token");
}

#[tokio::test]
async fn two_nodes_that_race_for_a_code_yield_one_token() {
    let (server, ann, mut phone) = ready(WIDE).await;
    let twin = server.twin().await;
    let code = phone.approved_code(&server, &ann).await;
    let answers = race(&[&ann, &ann.at(&twin)], "mobile_2fa", &json!({"token_2fa": code})).await;
    check_one_token(&answers, "invalid 2FA token");
}

#[tokio::test]
async fn two_hundred_uses_of_a_backup_code_yield_one_token() {
    let (server, ann, phone) = ready(WIDE).await;
    let twin = server.twin().await;
    let body = json!({"backup_code": phone.backup_codes[0]});
    let answers = race(&[&ann, &ann.at(&twin)], "backup_code_2fa", &body).await;
    check_one_token(&answers, "invalid backup code");
    // None of the losers counted as wrong: the next code is still taken.
    ann.post("backup_code_2fa", &json!({"backup_code": phone.backup_codes[1]})).await.token();
}

#[tokio::test]
async fn the_other_route_is_the_same_handler_and_the_same_single_use() {
    let (server, ann, mut phone) = ready(&[]).await;
    let code = phone.approved_code(&server, &ann).await;
    ann.post("email_2fa", &json!({"token_2fa": code})).await.token();
    check_dead(&ann, &code).await;
    assert_eq!(ann.post("email_2fa", &json!({"token_2fa": code})).await.refusal(400), "invalid 2FA token");
}

#[tokio::test]
async fn a_code_is_its_own_account_s() {
    let (server, ann, mut phone) = ready(&[]).await;
    let (bob, _) = server.person_with_phone("bob").await;
    let doctor = server.person_of("d", "ann").await;
    let _doctors_phone = doctor.bind_phone(&server).await;
    let code = phone.approved_code(&server, &ann).await;
    check_dead(&bob, &code).await;
    check_dead(&doctor, &code).await;
    ann.exchange(&code).await.token();
}

#[tokio::test]
async fn a_backup_code_is_its_own_account_s() {
    let (server, ann, phone) = ready(&[]).await;
    let (bob, _) = server.person_with_phone("bob").await;
    let code = json!({"backup_code": phone.backup_codes[0]});
    assert_eq!(bob.post("backup_code_2fa", &code).await.refusal(400), "invalid backup code");
    ann.post("backup_code_2fa", &code).await.token();
}

#[tokio::test]
async fn a_code_dies_at_its_time() {
    let (server, ann, mut phone) = ready(&[("TICKET__TTL", "10m")]).await;
    let code = phone.approved_code(&server, &ann).await;
    server.clock.advance(Duration::from_secs(600));
    check_dead(&ann, &code).await;
    let code = phone.approved_code(&server, &ann).await;
    server.clock.advance(Duration::from_secs(599));
    ann.exchange(&code).await.token();
}

#[tokio::test]
async fn a_wrong_password_does_not_spend_the_code() {
    let (server, ann, mut phone) = ready(&[]).await;
    let code = phone.approved_code(&server, &ann).await;
    let wrong = json!({"password": "not the password", "token_2fa": code});
    assert_eq!(ann.post("mobile_2fa", &wrong).await.refusal(401), "Email and password mismatch");
    ann.exchange(&code).await.token();
}

#[tokio::test]
async fn a_wrong_password_does_not_spend_a_backup_code() {
    let (_server, ann, phone) = ready(&[]).await;
    let code = &phone.backup_codes[0];
    let wrong = json!({"password": "not the password", "backup_code": code});
    assert_eq!(ann.post("backup_code_2fa", &wrong).await.refusal(401), "Email and password mismatch");
    ann.post("backup_code_2fa", &json!({"backup_code": code})).await.token();
}

#[tokio::test]
async fn no_token_without_approval() {
    let (server, ann, mut phone) = ready(&[]).await;
    let answer = ann.post("login", &json!({"token_2fa": "x", "backup_code": "x"})).await.expect(200).json();
    assert_eq!(answer["Methods"], json!(["MOBILE"]));
    assert!(answer.get("token").is_none());
    assert_eq!(
        answer["DeviceInfo"].as_object().unwrap().keys().collect::<Vec<_>>(),
        ["browser", "location", "os"]
    );

    let (_browser, uuid) = ann.asking_browser(&server).await;
    phone.socket.expect("ask_mobile_connection").await;
    // Asked, not answered: neither the uuid nor a guess of the right shape is worth anything.
    for guess in [uuid.as_str().unwrap(), &"A".repeat(43), &"-".repeat(43)] {
        ann.exchange(guess).await.expect(400);
    }
}

#[tokio::test]
async fn a_refused_and_an_expired_ask_yield_no_code() {
    let (server, ann, mut phone) = ready(&[]).await;
    let (mut browser, uuid) = ann.asking_browser(&server).await;
    phone.answer(&uuid, false).await;
    assert_eq!(browser.expect("response_mobile_connection").await["code"], "");

    let (mut late, uuid) = ann.asking_browser(&server).await;
    phone.socket.expect("ask_mobile_connection").await;
    server.clock.advance(Duration::from_secs(121));
    assert_eq!(late.receive().await["error"], "expired");
    late.expect_end().await;
    phone.socket.expect("resolved_mobile_connection").await;
    assert_eq!(phone.socket.refused(&phone.answer_frame(&uuid, true)).await, "expired");
}

#[tokio::test]
async fn a_disabled_account_s_code_is_worth_nothing() {
    let (server, ann, mut phone) = ready(&[]).await;
    let code = phone.approved_code(&server, &ann).await;
    let folder = tempfile::tempdir().unwrap();
    let done = |verb: &'static str| {
        let arguments = ["account", verb, "--kind", "p", "--email", "ann@example.org"];
        let (settings, folder) = (server.settings().to_vec(), folder.path().to_owned());
        async move { assert_eq!(run(&arguments, &settings, &folder, "").await.code, Some(0)) }
    };
    done("disable").await;
    let refusal = ann.exchange(&code).await.refusal(403);
    assert_eq!(refusal, "Not authorized, this account is disable");
    assert_eq!(ann.post("login", &json!({})).await.refusal(403), refusal);
    server.http.get_as(&phone.token, "/dashboard/devices").await.expect(401);
    // Started again it is as before, but what hung in the air stays dead.
    done("enable").await;
    check_dead(&ann, &code).await;
    server.http.get_as(&phone.token, "/dashboard/devices").await.expect(401);
}

#[tokio::test]
async fn a_revoked_phone_s_approval_is_worth_nothing() {
    let (server, ann, mut phone) = ready(&[]).await;
    let second = ann.bind_another_phone(&server, &phone.backup_codes[0]).await;
    let code = phone.approved_code(&server, &ann).await;
    let path = format!("/dashboard/device/{}", phone.device);
    server.http.delete_as(&second.token, &path).await.expect(200);
    check_dead(&ann, &code).await;
}

#[tokio::test]
async fn the_approval_of_a_phone_that_stopped_approving_is_worth_nothing() {
    let (server, ann, mut phone) = ready(&[]).await;
    let code = phone.approved_code(&server, &ann).await;
    let path = format!("/dashboard/2fa/device/{}", phone.device);
    server.http.delete_as(&phone.token, &path).await.expect(200);
    check_dead(&ann, &code).await;
    // Nor does trusting it again bring the old approval back.
    server.http.post_as(&phone.token, &path, &json!({})).await.expect(200);
    check_dead(&ann, &code).await;
}

#[tokio::test]
async fn a_code_ends_with_its_method() {
    let (server, ann, mut phone) = ready(&[]).await;
    let code = phone.approved_code(&server, &ann).await;
    server.http.delete_as(&phone.token, "/dashboard/2fa/MOBILE").await.expect(200);
    assert_eq!(ann.exchange(&code).await.refusal(400), "no 2FA method associated with");
    let _bound_again = ann.bind_phone(&server).await;
    check_dead(&ann, &code).await;
}

#[tokio::test]
async fn a_code_ends_with_its_password() {
    let (server, ann, mut phone) = ready(&[]).await;
    let code = phone.approved_code(&server, &ann).await;
    let (_browser, uuid) = ann.asking_browser(&server).await;
    phone.socket.expect("ask_mobile_connection").await;
    let change = json!({"password": PASSWORD, "new_password": NEW_PASSWORD});
    server.http.post_as(&phone.token, "/dashboard/password", &change).await.expect(200);
    let with_new = json!({"password": NEW_PASSWORD, "token_2fa": code});
    assert_eq!(ann.post("mobile_2fa", &with_new).await.refusal(400), "invalid 2FA token");
    assert_eq!(ann.exchange(&code).await.refusal(401), "Email and password mismatch");
    // Nor is an ask that the old password made still worth an approval.
    let reply = phone.socket.call(&phone.answer_frame(&uuid, true)).await;
    assert_ne!(reply["message"], "Message sent", "{reply}");
}

#[tokio::test]
async fn no_login_by_the_old_password_outlives_its_change() {
    let settings =
        [("PASSWORD__THREADS", "8"), ("PASSWORD__QUEUE", "100"), ("PASSWORD__MEMORY_KIB", "16384")];
    let server = Server::start(&settings).await;
    let ann = server.person("ann").await;
    let changed = tokio_util::sync::CancellationToken::new();
    // Logins that are at every step of theirs when the change is committed.
    let logins = (0..8).map(|_| {
        let (ann, changed) = (ann.clone(), changed.clone());
        tokio::spawn(async move {
            let mut answers = Vec::new();
            while !changed.is_cancelled() {
                answers.push(ann.post("login", &json!({})).await);
            }
            answers
        })
    });
    let logins: Vec<_> = logins.collect();
    let change = json!({"password": PASSWORD, "new_password": NEW_PASSWORD});
    server.http.post_as(&ann.token, "/dashboard/password", &change).await.expect(200);
    changed.cancel();
    let mut seen = Vec::new();
    for login in logins {
        for answer in login.await.unwrap() {
            seen.push(answer.status);
            if answer.status == 200 {
                server.http.get_as(&answer.token(), "/dashboard/devices").await.expect(401);
            }
        }
    }
    assert!(seen.contains(&200), "{seen:?}");
    server.http.get_as(&ann.token, "/dashboard/devices").await.expect(200);
}
