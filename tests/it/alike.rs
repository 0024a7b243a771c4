//! Before the password is proven nobody learns whether an address has an account: same words, same headers, same time.

use std::time::Duration;

use readylogin::clock::Clock;
use serde_json::{Value, json};

use crate::harness::{Answer, Phone, Server, run};

/// An account in each of the states that must not show, and the phone that one of them has.
async fn accounts(server: &Server) -> Phone {
    server.person("plain").await;
    server.person("disabled").await;
    let blocked = server.person("blocked").await;
    for _ in 0..10 {
        blocked.post("mobile_2fa", &json!({"token_2fa": "000000"})).await.expect(400);
    }
    blocked.post("mobile_2fa", &json!({"token_2fa": "000000"})).await.expect(423);
    server.person_of("d", "doctor").await;
    let (_, phone) = server.person_with_phone("phone").await;
    let arguments = ["account", "disable", "--kind", "p", "--email", "disabled@example.org"];
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run(&arguments, server.settings(), folder.path(), "").await.code, Some(0));
    phone
}

/// Whom a stranger may name: nobody, everybody of [`accounts`], and what is no address at all.
const NAMED: &[&str] = &[
    "unknown@example.org",
    "plain@example.org",
    "PLAIN@example.org",
    "disabled@example.org",
    "blocked@example.org",
    "doctor@example.org",
    "phone@example.org",
    "no address",
    "",
];

/// All of an answer but its date.
fn told(answer: &Answer) -> String {
    let mut headers: Vec<_> = answer.headers.iter().filter(|(name, _)| *name != "date").collect();
    headers.sort_by_key(|(name, _)| name.as_str());
    format!("{} {headers:?} {}", answer.status, answer.text)
}

#[tokio::test]
async fn http_answers_are_the_same_to_the_letter() {
    let server = Server::start(&[]).await;
    let phone = accounts(&server).await;
    for route in ["login", "mobile_2fa", "email_2fa", "backup_code_2fa", "third_party_2fa"] {
        let mut answers = Vec::new();
        for email in NAMED {
            let body = json!({
                "email": email, "password": "wrong password",
                "token_2fa": "A".repeat(43), "backup_code": phone.backup_codes[0],
            });
            answers.push(told(&server.http.post(&format!("/auth/p/{route}"), &body).await.expect(401)));
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "{route}: {answers:#?}");
    }
}

#[tokio::test]
async fn socket_answers_are_the_same_to_the_letter() {
    let server = Server::start(&[]).await;
    let _phone = accounts(&server).await;
    let mut browser = server.socket().await;
    let uuid = browser.ready_login().await["uuid"].clone();
    for email in NAMED {
        let ask = json!({"action": "askMobileConnection", "uuid": uuid, "type": "p", "email": email, "password": "wrong password"});
        let mismatch = json!({"message": "username and password mismatch", "error": "bad_credentials"});
        assert_eq!(browser.call(&ask).await, mismatch, "{email}");
    }
}

#[tokio::test]
async fn throttles_are_the_same_to_the_letter() {
    let server = Server::start(&[("LIMITS__FACTOR", "0.5")]).await;
    server.person("plain").await;
    let mut answers = Vec::new();
    for email in ["plain@example.org", "unknown@example.org"] {
        let body = json!({"email": email, "password": "wrong password"});
        for _ in 0..5 {
            server.http.post("/auth/p/login", &body).await.expect(401);
        }
        answers.push(told(&server.http.post("/auth/p/login", &body).await.expect(429)));
    }
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn an_ask_that_nobody_can_see_is_answered_like_one_that_somebody_can() {
    let server = Server::start(&[]).await;
    let (online, _phone) = server.person_with_phone("online").await;
    let (offline, phone) = server.person_with_phone("offline").await;
    phone.socket.vanish();
    let without = server.person("without").await;
    let mut told: Vec<Value> = Vec::new();
    for person in [&online, &offline, &without] {
        let mut browser = server.socket().await;
        let uuid = browser.ready_login().await["uuid"].clone();
        told.push(browser.call(&person.ask_frame(&uuid)).await);
    }
    assert!(told.iter().all(|frame| *frame == told[0]), "{told:?}");
}

/// The z-score of the Mann-Whitney test: how unlikely it is that two samples are of one distribution.
fn rank_score(a: &[Duration], b: &[Duration]) -> f64 {
    let count = |n: usize| f64::from(u32::try_from(n).unwrap());
    let wins: f64 = a
        .iter()
        .map(|x| {
            b.iter()
                .map(|y| {
                    if x > y {
                        1.0
                    } else if x == y {
                        0.5
                    } else {
                        0.0
                    }
                })
                .sum::<f64>()
        })
        .sum();
    let (m, n) = (count(a.len()), count(b.len()));
    (wins - m * n / 2.0) / (m * n * (m + n + 1.0) / 12.0).sqrt()
}

pub(crate) fn median(sample: &[Duration]) -> f64 {
    let mut sorted = sample.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2].as_secs_f64()
}

/// Neither the ranks nor the medians tell two samples apart: one alone may be chance, or too little to matter.
#[track_caller]
pub(crate) fn check_alike(a: &[Duration], b: &[Duration], what: &str) {
    let (z, [first, second]) = (rank_score(a, b), [median(a), median(b)]);
    let apart = (first - second).abs() / first.min(second);
    assert!(z.abs() <= 4.0 || apart <= 0.25, "{what}: z = {z:.1}, medians {first:.4} s and {second:.4} s");
}

#[tokio::test]
async fn the_other_surfaces_answer_the_same_to_the_letter() {
    let server = Server::start(&[]).await;
    let _phone = accounts(&server).await;
    let addresses = NAMED.iter().filter(|name| name.contains('@'));
    let mut answers = vec![Vec::new(); 3];
    for email in addresses {
        let sign_in = json!({"email": email, "password": "wrong password"});
        answers[0].push(told(&server.http.post("/api/auth/sign-in/email", &sign_in).await.expect(401)));
        let first = json!({"username": email, "password": "wrong password", "provider": "Email"});
        let path = "/users/two_step_verification_login";
        answers[1].push(told(&server.http.post(path, &first).await.expect(401)));
        let second = json!({"email": email, "provider": "Email", "token": "123456"});
        let path = "/users/two_step_verification_confirm";
        answers[2].push(told(&server.http.post(path, &second).await.expect(400)));
    }
    for mut same in answers {
        same.dedup();
        assert_eq!(same.len(), 1, "{same:#?}");
    }
}

/// Where a wrong password is refused: a route, and the name of the field with the address in it.
const PASSWORD_STEPS: &[(&str, &str)] = &[
    ("/auth/p/login", "email"),
    ("/api/auth/sign-in/email", "email"),
    ("/users/two_step_verification_login", "username"),
];

#[tokio::test]
async fn refusals_take_the_same_time() {
    // A hash's real work: the passwords of the other tests cost next to nothing, and would hide it.
    let settings = [("PASSWORD__MEMORY_KIB", "8192"), ("PASSWORD__THREADS", "1")];
    let server = Server::start(&settings).await;
    let _phone = accounts(&server).await;
    let clock = Clock::system();
    let names = ["unknown@example.org", "plain@example.org", "disabled@example.org"];
    let mut asked: Vec<_> = PASSWORD_STEPS.iter().flat_map(|step| names.map(|name| (step, name))).collect();
    asked.push((&PASSWORD_STEPS[0], "no address"));
    let mut samples = vec![Vec::new(); asked.len()];
    for round in 0..65 {
        for (((path, field), name), sample) in asked.iter().zip(&mut samples) {
            let mut body = json!({"password": "wrong password", "provider": "Email"});
            body[*field] = json!(name);
            let begun = clock.uptime();
            server.http.post(path, &body).await.expect(401);
            // The first ones warm caches up.
            if round >= 5 {
                sample.push(clock.uptime() - begun);
            }
        }
    }
    for (at, sample) in samples.iter().enumerate() {
        let unknown = asked.iter().position(|(step, _)| *step == asked[at].0).unwrap();
        check_alike(&samples[unknown], sample, &format!("{:?}", asked[at]));
    }
}

#[test]
fn the_rank_test_tells_apart_what_differs_and_nothing_else() {
    let sample = |from: u64| (0..80).map(|n| Duration::from_micros(from + n * 7 % 80)).collect::<Vec<_>>();
    assert!(rank_score(&sample(100), &sample(100)).abs() < 0.1);
    assert!(rank_score(&sample(200), &sample(100)) > 10.0);
    assert!(std::panic::catch_unwind(|| check_alike(&sample(200), &sample(100), "differs")).is_err());
}

#[tokio::test]
async fn after_the_password_the_owner_is_told() {
    let server = Server::start(&[]).await;
    let _phone = accounts(&server).await;
    let named =
        |name: &str| json!({"email": format!("{name}@example.org"), "password": crate::harness::PASSWORD});
    let refusal = server.http.post("/auth/p/login", &named("disabled")).await.refusal(403);
    assert_eq!(refusal, "Not authorized, this account is disable");
    let mut browser = server.socket().await;
    let mut ask = named("disabled");
    ask["action"] = json!("askMobileConnection");
    ask["type"] = json!("p");
    ask["uuid"] = browser.ready_login().await["uuid"].clone();
    assert_eq!(browser.refused(&ask).await, "disabled");
    server.http.post("/auth/p/login", &named("blocked")).await.expect(200);
}
