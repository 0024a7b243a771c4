//! The step value of `/users`: who has it is the client that proved the password; who has none may be a neighbour of the
//! owner's, and harms nobody.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Answer, App, PASSWORD, Person, Server, mailed_code, run, wrong};

const LOGIN: &str = "/users/two_step_verification_login";
const CONFIRM: &str = "/users/two_step_verification_confirm";
const OWNER: &str = "192.0.2.1";
/// Behind the same /24.
const NEIGHBOUR: &str = "192.0.2.99";
const ELSEWHERE: &str = "198.51.100.7";
const DAY: Duration = Duration::from_secs(86_400);

/// A client that reads the header, keeps the cookie, or does neither.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Keeps {
    Header,
    Cookie,
    Nothing,
}

async fn server(settings: &[(&str, &str)]) -> Server {
    Server::start(&[&[("SERVER__TRUSTED_PROXIES", "127.0.0.1")], settings].concat()).await
}

/// Somebody with a proven address and mailed codes.
async fn with_mail(server: &Server, kind: &'static str, name: &str) -> Person {
    let folder = tempfile::tempdir().unwrap();
    let email = format!("{name}@example.org");
    let arguments = ["account", "add", "--kind", kind, "--email", &email, "--verified", "--password-stdin"];
    let done = run(&arguments, server.settings(), folder.path(), PASSWORD).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    let mut person = Person::known(&server.http, kind, &email);
    person.token = person.post("login", &json!({})).await.token();
    person.turn_mail_on(server, &person.token).await;
    person
}

async fn send(server: &Server, from: &str, path: &str, headers: &[(&str, String)], body: &Value) -> Answer {
    let mut request = server.http.request("POST", path).header("x-forwarded-for", from).json(body);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    Answer::read(request.send().await.unwrap()).await
}

/// The login call; what its client brings along from then on.
async fn log_in(
    server: &Server,
    from: &str,
    person: &Person,
    how: (&str, Keeps),
) -> Vec<(&'static str, String)> {
    let body =
        json!({"username": person.email, "password": PASSWORD, "provider": how.0, "type": person.kind});
    let answer = send(server, from, LOGIN, &[], &body).await.expect(200);
    let value = answer.header("x-readylogin-step").to_owned();
    let cookie = answer.header("set-cookie");
    assert!(value.len() >= 32 && cookie.starts_with(&format!("readylogin_step={value}; ")), "{answer:?}");
    match how.1 {
        Keeps::Header => vec![("x-readylogin-step", value)],
        Keeps::Cookie => vec![("cookie", format!("other=1; readylogin_step={value}"))],
        Keeps::Nothing => Vec::new(),
    }
}

async fn confirm(
    server: &Server,
    from: &str,
    headers: &[(&str, String)],
    person: &Person,
    (provider, code): (&str, &str),
) -> Answer {
    let body = json!({"email": person.email, "provider": provider, "token": code});
    send(server, from, CONFIRM, headers, &body).await
}

#[track_caller]
fn invalid(answer: &Answer) {
    assert_eq!((answer.status, answer.text.as_str()), (400, "Invalid token"), "{answer:?}");
}

async fn guess(server: &Server, from: &str, person: &Person, code: &str, times: usize) {
    for _ in 0..times {
        invalid(&confirm(server, from, &[], person, ("Email", &wrong(code))).await);
    }
}

#[tokio::test]
async fn a_neighbour_who_guesses_neither_blocks_the_owner_nor_kills_the_code() {
    for keeps in [Keeps::Header, Keeps::Cookie] {
        let server = server(&[]).await;
        let ann = with_mail(&server, "p", "ann").await;
        let step = log_in(&server, OWNER, &ann, ("Email", keeps)).await;
        let code = mailed_code(&server, &ann.email).await;
        guess(&server, NEIGHBOUR, &ann, &code, 40).await;
        let done = confirm(&server, OWNER, &step, &ann, ("Email", &code)).await.expect(200);
        assert!(done.header("set-cookie").contains("Max-Age=0"), "{done:?}");
        assert!(done.json()["accessToken"].is_string() && done.json()["refreshToken"].is_string());
        // Nothing is blocked anywhere else, either.
        server.clock.advance(Duration::from_secs(60));
        let next = ann.login_code(&server).await;
        ann.post("email_2fa", &json!({"token_2fa": next})).await.token();
    }
}

#[tokio::test]
async fn a_client_that_keeps_nothing_signs_in_as_before() {
    let server = server(&[]).await;
    let ann = with_mail(&server, "p", "ann").await;
    log_in(&server, OWNER, &ann, ("Email", Keeps::Nothing)).await;
    let code = mailed_code(&server, &ann.email).await;
    guess(&server, OWNER, &ann, &code, 2).await;
    invalid(&confirm(&server, ELSEWHERE, &[], &ann, ("Email", &code)).await);
    confirm(&server, NEIGHBOUR, &[], &ann, ("Email", &code)).await.expect(200);
    invalid(&confirm(&server, OWNER, &[], &ann, ("Email", &code)).await);
}

#[tokio::test]
async fn a_login_call_whose_login_is_done_is_over_by_its_value_and_by_its_network() {
    let server = server(&[]).await;
    let ann = with_mail(&server, "p", "ann").await;
    let next_code = async || {
        server.clock.advance(Duration::from_secs(60));
        ann.login_code(&server).await
    };
    // With the value, on another network than the login call: nothing is left for the neighbours there.
    let step = log_in(&server, OWNER, &ann, ("Email", Keeps::Header)).await;
    let code = mailed_code(&server, &ann.email).await;
    confirm(&server, ELSEWHERE, &step, &ann, ("Email", &code)).await.expect(200);
    let code = next_code().await;
    invalid(&confirm(&server, NEIGHBOUR, &[], &ann, ("Email", &code)).await);
    // Without the value: it is worth nothing any more.
    let step = log_in(&server, OWNER, &ann, ("Email", Keeps::Header)).await;
    confirm(&server, OWNER, &[], &ann, ("Email", &code)).await.expect(200);
    let code = next_code().await;
    invalid(&confirm(&server, OWNER, &step, &ann, ("Email", &code)).await);
    // Another login call that is under way beside it goes on, by either.
    let done = log_in(&server, ELSEWHERE, &ann, ("Email", Keeps::Header)).await;
    let step = log_in(&server, OWNER, &ann, ("Email", Keeps::Header)).await;
    log_in(&server, ELSEWHERE, &ann, ("Email", Keeps::Nothing)).await;
    confirm(&server, OWNER, &done, &ann, ("Email", &code)).await.expect(200);
    let code = next_code().await;
    confirm(&server, OWNER, &step, &ann, ("Email", &code)).await.expect(200);
    let code = next_code().await;
    confirm(&server, ELSEWHERE, &[], &ann, ("Email", &code)).await.expect(200);
}

#[tokio::test]
async fn without_a_step_value_three_tries_for_each_login_call_are_judged() {
    let server = server(&[]).await;
    let ann = with_mail(&server, "p", "ann").await;
    log_in(&server, OWNER, &ann, ("Email", Keeps::Nothing)).await;
    let code = mailed_code(&server, &ann.email).await;
    guess(&server, OWNER, &ann, &code, 3).await;
    invalid(&confirm(&server, OWNER, &[], &ann, ("Email", &code)).await);
    log_in(&server, OWNER, &ann, ("Email", Keeps::Nothing)).await;
    confirm(&server, OWNER, &[], &ann, ("Email", &code)).await.expect(200);
}

#[tokio::test]
async fn ten_wrong_tries_without_a_step_value_are_all_that_an_account_stands_in_a_day() {
    let mut server = server(&[]).await;
    let ann = with_mail(&server, "p", "ann").await;
    let app = ann.bind_app(&server, &ann.token).await;
    let bad = |app: &App, server: &Server| app.wrong_code(server);
    for tries in [3, 3, 3, 1] {
        log_in(&server, OWNER, &ann, ("Authenticator", Keeps::Nothing)).await;
        for _ in 0..tries {
            let code = bad(&app, &server);
            invalid(&confirm(&server, NEIGHBOUR, &[], &ann, ("Authenticator", &code)).await);
        }
    }
    server.restart().await;
    let twin = server.twin().await;
    for node in [&server, &twin] {
        log_in(node, OWNER, &ann, ("Authenticator", Keeps::Nothing)).await;
        let right = app.code(node);
        invalid(&confirm(node, OWNER, &[], &ann, ("Authenticator", &right)).await);
    }
    // None of them counted elsewhere, and the code is not spent.
    let ann = ann.at(&server);
    let step = log_in(&server, OWNER, &ann, ("Authenticator", Keeps::Header)).await;
    confirm(&server, OWNER, &step, &ann, ("Authenticator", &app.code(&server))).await.expect(200);
    server.clock.advance(DAY);
    log_in(&server, OWNER, &ann, ("Authenticator", Keeps::Nothing)).await;
    confirm(&server, OWNER, &[], &ann, ("Authenticator", &app.code(&server))).await.expect(200);
}

#[tokio::test]
async fn fifty_tries_at_once_without_a_step_value_are_three() {
    let server = server(&[]).await;
    let ann = with_mail(&server, "p", "ann").await;
    log_in(&server, OWNER, &ann, ("Email", Keeps::Nothing)).await;
    let code = mailed_code(&server, &ann.email).await;
    let twin = server.twin().await;
    let nodes = [&server, &twin];
    let tries = (0..50).map(|n: usize| guess(nodes[n % 2], NEIGHBOUR, &ann, &code, 1));
    futures_util::future::join_all(tries).await;
    let judged = "SELECT CAST(MAX(tries) AS BIGINT) FROM challenges";
    assert_eq!(crate::harness::number(server.settings(), judged).await, 3);
    invalid(&confirm(&server, OWNER, &[], &ann, ("Email", &code)).await);
}

#[tokio::test]
async fn tries_with_the_step_value_count_as_everywhere() {
    let server = server(&[]).await;
    let ann = with_mail(&server, "p", "ann").await;
    let app = ann.bind_app(&server, &ann.token).await;
    let step = log_in(&server, OWNER, &ann, ("Authenticator", Keeps::Header)).await;
    for _ in 0..5 {
        let code = app.wrong_code(&server);
        invalid(&confirm(&server, OWNER, &step, &ann, ("Authenticator", &code)).await);
    }
    for _ in 0..5 {
        ann.post("third_party_2fa", &json!({"token_2fa": "x"})).await.expect(400);
    }
    let step = log_in(&server, OWNER, &ann, ("Authenticator", Keeps::Header)).await;
    let locked = confirm(&server, OWNER, &step, &ann, ("Authenticator", &app.code(&server))).await;
    assert_eq!(locked.expect(423).header("retry-after"), "900");
}

#[tokio::test]
async fn a_step_value_is_good_from_any_network_for_its_address_and_time() {
    let server = server(&[]).await;
    let (ann, bob) = (with_mail(&server, "p", "ann").await, with_mail(&server, "p", "bob").await);
    let bobs = log_in(&server, OWNER, &bob, ("Email", Keeps::Header)).await;
    let anns = log_in(&server, ELSEWHERE, &ann, ("Email", Keeps::Header)).await;
    let code = mailed_code(&server, &ann.email).await;
    let forged = [("x-readylogin-step", format!("{}x", &anns[0].1))];
    for step in [bobs.as_slice(), &forged] {
        invalid(&confirm(&server, OWNER, step, &ann, ("Email", &code)).await);
    }
    confirm(&server, OWNER, &anns, &ann, ("Email", &code)).await.expect(200);
    let step = log_in(&server, OWNER, &bob, ("Email", Keeps::Cookie)).await;
    server.clock.advance(Duration::from_secs(600));
    let late = bob.login_code(&server).await;
    invalid(&confirm(&server, OWNER, &step, &bob, ("Email", &late)).await);
    // What was refused as over stays so.
    server.clock.step_back(Duration::from_secs(300));
    for headers in [step.as_slice(), &[]] {
        invalid(&confirm(&server, OWNER, headers, &bob, ("Email", &late)).await);
    }
}

#[tokio::test]
async fn the_second_call_may_leave_the_type_out() {
    let server = server(&[]).await;
    let (ann, doctor) = (with_mail(&server, "p", "ann").await, with_mail(&server, "d", "ann").await);
    for keeps in [Keeps::Nothing, Keeps::Cookie] {
        let step = log_in(&server, OWNER, &doctor, ("Email", keeps)).await;
        let code = mailed_code(&server, &ann.email).await;
        let mut named = json!({"email": doctor.email, "provider": "Email", "token": code, "type": "p"});
        invalid(&send(&server, OWNER, CONFIRM, &step, &named).await);
        named["type"] = Value::Null;
        let done = send(&server, OWNER, CONFIRM, &step, &named).await.expect(200).json();
        let token = done["accessToken"].as_str().unwrap();
        let claims = crate::harness::claims(token);
        assert_eq!(claims["doctor"], "ann@example.org", "{claims}");
    }
}

#[tokio::test]
async fn where_the_step_value_is_required_clients_without_it_are_refused() {
    let server = server(&[("TWO_STEP__STEP_VALUE", "required")]).await;
    let ann = with_mail(&server, "p", "ann").await;
    let step = log_in(&server, OWNER, &ann, ("Email", Keeps::Cookie)).await;
    let code = mailed_code(&server, &ann.email).await;
    invalid(&confirm(&server, OWNER, &[], &ann, ("Email", &code)).await);
    confirm(&server, OWNER, &step, &ann, ("Email", &code)).await.expect(200);
}

#[tokio::test]
async fn the_step_s_cookie_is_no_script_s_and_lasts_ten_minutes() {
    for (url, is_secure) in [("http://login.example.org", false), ("https://login.example.org", true)] {
        let server = server(&[("SERVER__PUBLIC_URL", url)]).await;
        let ann = with_mail(&server, "p", "ann").await;
        let body = json!({"username": ann.email, "password": PASSWORD, "provider": "Email"});
        let answer = send(&server, OWNER, LOGIN, &[], &body).await.expect(200);
        let cookie = answer.header("set-cookie");
        for part in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=600"] {
            assert!(cookie.split("; ").any(|known| known == part), "{part} is missing in {cookie}");
        }
        assert_eq!(cookie.split("; ").any(|part| part == "Secure"), is_secure, "{cookie}");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn tries_without_a_step_value_are_limited_by_source_alike_for_all_addresses() {
    let server = server(&[("LIMITS__FACTOR", "1")]).await;
    let ann = with_mail(&server, "p", "ann").await;
    let step = log_in(&server, OWNER, &ann, ("Email", Keeps::Cookie)).await;
    let code = mailed_code(&server, &ann.email).await;
    let nobody = Person::known(&server.http, "p", "nobody@example.org");
    for (from, who) in [(OWNER, &ann), ("192.0.2.50", &nobody)] {
        guess(&server, from, who, &code, 60).await;
        let refused = confirm(&server, from, &[], who, ("Email", &code)).await;
        assert_eq!(refused.expect(429).header("retry-after"), "600");
    }
    confirm(&server, OWNER, &step, &ann, ("Email", &code)).await.expect(200);
}
