//! Device login (docs/protocol-http.md, "Device login"): identifiers, the `account` of the answer, and refused
//! requests.

mod account;
mod bodies;
mod guesses;
mod identifiers;
mod trust;
mod verify;
mod wrong_codes;

use serde_json::{Value, json};

use crate::harness::{Answer, PASSWORD, Person, Phone, Server, mailed_code, run};

/// Posts a body to a route of this surface.
pub(crate) async fn post(server: &Server, route: &str, body: &Value) -> Answer {
    server.http.post(&format!("/api/v1/auth/{route}"), body).await
}

/// The body of a login, with more fields.
pub(crate) fn naming(identifier: &str, more: &Value) -> Value {
    let mut body = json!({"identifier": identifier, "password": PASSWORD});
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

/// A login by address, with more fields.
pub(crate) async fn login(server: &Server, person: &Person, more: &Value) -> Answer {
    post(server, "login", &naming(&person.email, more)).await
}

/// A refused login: of whoever is named, with a password that is nobody's.
pub(crate) async fn wrong_password(server: &Server, named: &str) -> Answer {
    post(server, "login", &naming(named, &json!({"password": "wrong password"}))).await
}

/// A login's second step.
async fn verify(server: &Server, person: &Person, otp: &str, more: &Value) -> Answer {
    let mut body = naming(&person.email, more);
    body["otp"] = json!(otp);
    post(server, "2fa/verify", &body).await
}

/// A whole login with a mailed code.
async fn log_in_by_mail(server: &Server, person: &Person, more: &Value) -> Value {
    login(server, person, more).await.expect(202);
    let code = mailed_code(server, &person.email).await;
    verify(server, person, &code, more).await.expect(200).json()
}

/// A field of an answer as text.
#[track_caller]
pub(crate) fn told(answer: &Value, name: &str) -> String {
    answer[name].as_str().unwrap_or_else(|| panic!("no {name} in {answer}")).to_owned()
}

/// A refusal in this surface's form; returns its message and its code.
#[track_caller]
pub(crate) fn refusal(answer: Answer, status: u16) -> (String, String) {
    let answer = answer.expect(status);
    let body = answer.json();
    assert_eq!(body["status"], status, "{body}");
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("www-authenticate").is_empty(), status != 401, "{answer:?}");
    let has_wait = answer.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0);
    assert_eq!(has_wait, [423, 429, 503].contains(&status), "{answer:?}");
    (told(&body, "message"), told(&body, "error"))
}

/// Adds an account as an operator does.
pub(crate) async fn added(server: &Server, kind: &'static str, email: &str, more: &[&str]) -> Person {
    let folder = tempfile::tempdir().unwrap();
    let mut arguments = vec!["account", "add", "--kind", kind, "--email", email, "--password-stdin"];
    arguments.extend(more);
    let done = run(&arguments, server.settings(), folder.path(), PASSWORD).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    Person::known(&server.http, kind, email)
}

/// Stops or starts an account as an operator does.
async fn order(server: &Server, person: &Person, command: &str) {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["account", command, "--kind", person.kind, "--email", &person.email];
    let done = run(&arguments, server.settings(), folder.path(), "").await;
    assert_eq!(done.code, Some(0), "{done:?}");
}

/// Somebody with mailed codes on.
async fn with_mail(server: &Server, name: &str) -> Person {
    let person = server.person(name).await;
    person.turn_mail_on(server, &person.token).await;
    person
}

/// Somebody with an approving phone and mailed codes on.
async fn with_phone_and_mail(server: &Server, name: &str) -> (Person, Phone) {
    let (person, phone) = server.person_with_phone(name).await;
    person.turn_mail_on(server, &phone.token).await;
    (person, phone)
}
