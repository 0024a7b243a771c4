//! An account's own side: registering, turning factors on and off, devices, what has to be proven for that, and what
//! ends with it.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Answer, Http, PASSWORD, Person, Server, current_device};

const NEW_PASSWORD: &str = "another horse battery";

async fn register(http: &Http, kind: &str, email: &str, password: &str) -> Answer {
    let body = json!({"email": email, "password": password});
    http.post(&format!("/auth/{kind}/register"), &body).await
}

/// A bearer's session lives, or it does not.
async fn check_session(http: &Http, token: &str, lives: bool) {
    let answer = http.get_as(token, "/dashboard/devices").await.expect(if lives { 200 } else { 401 });
    if !lives {
        assert_eq!(answer.header("www-authenticate"), "Bearer error=\"invalid_token\"");
    }
}

async fn methods(http: &Http, token: &str) -> Value {
    http.get_as(token, "/dashboard/2fa").await.expect(200).json()["double_auth"]["methods"].clone()
}

fn codes(answer: &Value) -> Vec<String> {
    answer.as_array().unwrap().iter().map(|code| code.as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn check_ten_codes(codes: &[String]) {
    assert_eq!(codes.iter().collect::<HashSet<_>>().len(), 10, "{codes:?}");
    for code in codes {
        assert!(code.len() == 8 && code.bytes().all(|b| b.is_ascii_alphanumeric()), "{code}");
    }
}

#[tokio::test]
async fn registration_is_closed_unless_it_is_opened() {
    let server = Server::start(&[("ACCOUNTS__REGISTRATION", "closed")]).await;
    let refusal = register(&server.http, "p", "ann@example.org", PASSWORD).await.refusal(403);
    assert_eq!(refusal, "registration is closed");
}

#[tokio::test]
async fn a_taken_address_a_wrong_one_and_a_weak_password_are_refused_alike() {
    let server = Server::start(&[]).await;
    let _ann = server.person("ann").await;
    let mut texts = HashSet::new();
    for (email, password) in [
        ("ann@example.org", PASSWORD),
        ("ANN@Example.ORG", PASSWORD),
        (" ann@example.org ", PASSWORD),
        ("not an address", PASSWORD),
        ("", PASSWORD),
        ("bob@example.org", "short"),
        ("bob@example.org", "password1"),
        ("bobby@example.org", "bobby@example.org"),
        ("bob@example.org", &"x".repeat(257)),
    ] {
        let answer = register(&server.http, "p", email, password).await.expect(400);
        assert_eq!(answer.json()["message"], "registration not possible", "{email}");
        texts.insert(answer.text);
    }
    assert_eq!(texts.len(), 1, "{texts:?}");
    // The same address as another kind is another account; nothing above kept bob's place.
    register(&server.http, "d", "ann@example.org", PASSWORD).await.token();
    register(&server.http, "p", "bob@example.org", PASSWORD).await.token();
}

#[tokio::test]
async fn an_unknown_kind_is_nowhere() {
    let server = Server::start(&[]).await;
    for route in ["register", "login", "mobile_2fa", "email_2fa", "backup_code_2fa"] {
        for kind in ["x", "P", "patient", "%70%00", "p%2F"] {
            let path = format!("/auth/{kind}/{route}");
            server.http.post(&path, &json!({"email": "a@b.c", "password": PASSWORD})).await.expect(404);
        }
    }
}

#[tokio::test]
async fn a_login_names_what_is_wrong_with_it() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    let wrong = ann.post("login", &json!({"password": "wrong password"})).await;
    assert_eq!(wrong.header("www-authenticate"), "Bearer");
    assert_eq!(wrong.refusal(401), "Email and password mismatch");
    let http = &server.http;
    http.post("/auth/p/login", &json!({"email": ann.email})).await.expect(400);
    http.post("/auth/p/login", &json!({"email": ann.email, "password": 12345678})).await.expect(400);
    http.post("/auth/p/login", &json!({"email": ["ann"], "password": PASSWORD})).await.expect(400);
    http.post("/auth/p/login", &json!({"email": " ANN@example.org", "password": PASSWORD})).await.token();
    // An account of another kind is another account.
    assert_eq!(http.post("/auth/d/login", &ann.body(&json!({}))).await.status, 401);
}

#[tokio::test]
async fn text_that_is_no_address_stands_for_nobody() {
    let server = Server::start(&[]).await;
    register(&server.http, "p", "nobody@invalid", PASSWORD).await.token();
    for email in ["", "no address", "nobody@", "nobody@invalid\u{0}"] {
        let body = json!({"email": email, "password": PASSWORD});
        assert_eq!(server.http.post("/auth/p/login", &body).await.status, 401, "{email:?}");
    }
}

#[tokio::test]
async fn the_first_method_brings_ten_backup_codes_and_the_next_none() {
    let server = Server::start(&[]).await;
    let (ann, phone) = server.person_with_phone("ann").await;
    check_ten_codes(&phone.backup_codes);
    let second = ann.bind_another_phone(&server, &phone.backup_codes[0]).await;
    assert!(second.backup_codes.is_empty());
    // Each once, whatever its place, with spaces around it or not.
    for code in &phone.backup_codes[1..9] {
        ann.post("backup_code_2fa", &json!({"backup_code": code})).await.token();
    }
    let spaced = format!(" {} ", phone.backup_codes[9]);
    ann.post("backup_code_2fa", &json!({"backup_code": spaced})).await.token();
    for code in &phone.backup_codes {
        let refusal = ann.post("backup_code_2fa", &json!({"backup_code": code})).await.refusal(400);
        assert_eq!(refusal, "invalid backup code");
    }
}

#[tokio::test]
async fn where_an_answer_has_no_place_for_codes_none_are_made() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    let http = &server.http;
    let device = current_device(http, &ann.token).await;
    let refusal = http.post_as(&ann.token, "/auth/creation_backup_code", &json!({})).await.refusal(400);
    assert_eq!(refusal, "no 2FA method associated with");
    let path = format!("/dashboard/2fa/device/{device}");
    let trusted = http.post_as(&ann.token, &path, &json!({})).await.expect(200).json();
    assert_eq!(trusted["trusted_device"], json!(device));
    assert!(trusted["token"].is_string() && trusted.get("backup_codes").is_none(), "{trusted}");
    assert_eq!(methods(http, &ann.token).await, json!(["MOBILE"]));
    let made = http.post_as(&ann.token, "/auth/creation_backup_code", &json!({})).await.expect(201).json();
    check_ten_codes(&codes(&made["double_auth"]["code"]));
    assert_eq!(methods(http, &ann.token).await, json!(["MOBILE", "BACKUPCODE"]));
}

#[tokio::test]
async fn new_backup_codes_replace_all_ten() {
    let server = Server::start(&[]).await;
    let (ann, phone) = server.person_with_phone("ann").await;
    let path = "/auth/creation_backup_code";
    let made = server.http.send("POST", path, Some(&phone.token), None).await.expect(201).json();
    let new = codes(&made["double_auth"]["code"]);
    check_ten_codes(&new);
    for old in &phone.backup_codes[..3] {
        ann.post("backup_code_2fa", &json!({"backup_code": old})).await.expect(400);
    }
    ann.post("backup_code_2fa", &json!({"backup_code": new[9]})).await.token();
}

#[tokio::test]
async fn factors_and_devices_are_told_as_clients_read_them() {
    let server = Server::start(&[]).await;
    let (ann, phone) = server.person_with_phone("ann").await;
    let laptop = json!({"backup_code": phone.backup_codes[0], "name_device": "Laptop", "browser": "Firefox"});
    let laptop = ann.post("backup_code_2fa", &laptop).await.token();
    let get = async |path: String| server.http.get_as(&laptop, &path).await.expect(200).json();

    let both = get("/dashboard/2fa".into()).await["double_auth"].clone();
    assert_eq!(both["methods"], json!(["MOBILE", "BACKUPCODE"]));
    assert_eq!([&both["secret"], &both["url"], &both["trust_device_id"]], ["", "", phone.device.as_str()]);
    assert_eq!(get(format!("/dashboard/2fa/device/{}", phone.device)).await["double_auth"], both);

    // Registering was a session too, which ended when the phone was bound.
    let listed = get("/dashboard/devices".into()).await["devices"].as_array().unwrap().clone();
    let flags = |d: &Value| (d["trust_device"].clone(), d["current"].clone());
    assert_eq!(
        listed.iter().map(flags).collect::<Vec<_>>(),
        [(json!(true), json!(false)), (json!(false), json!(true))]
    );
    assert_eq!([&listed[1]["browser"], &listed[1]["ip_address"]], ["Firefox", "127.0.0.1"]);
    assert_eq!(listed[1]["date"], json!(1_795_305_600));
    assert!(
        listed[0]["id"].is_string()
            && listed[0]["latitude"].is_number()
            && listed[0]["longitude"].is_number()
    );
    assert_eq!(get(format!("/dashboard/device/{}", phone.device)).await["devices"], listed[0]);
    assert_eq!(get("/dashboard/2fa/devices".into()).await["devices"], json!([listed[0]]));
    let own = current_device(&server.http, &laptop).await;
    server.http.get_as(&laptop, &format!("/dashboard/2fa/device/{own}")).await.expect(404);
}

#[tokio::test]
async fn another_s_devices_are_nowhere() {
    let server = Server::start(&[]).await;
    let (_ann, phone) = server.person_with_phone("ann").await;
    let bob = server.person("bob").await;
    let id = &phone.device;
    for (method, path) in [
        ("GET", format!("/dashboard/device/{id}")),
        ("DELETE", format!("/dashboard/device/{id}")),
        ("GET", format!("/dashboard/2fa/device/{id}")),
        ("POST", format!("/dashboard/2fa/device/{id}")),
        ("DELETE", format!("/dashboard/2fa/device/{id}")),
        ("DELETE", "/dashboard/2fa/SMS".to_owned()),
        ("GET", "/dashboard/device/x".to_owned()),
        ("GET", "/dashboard/device/99999999999999999999".to_owned()),
    ] {
        server.http.send(method, &path, Some(&bob.token), None).await.expect(404);
    }
    let bind = json!({"method_2fa": "MOBILE", "trusted_device_id": id});
    server.http.post_as(&bob.token, "/2fa/method/mobile", &bind).await.expect(404);
    assert_eq!(methods(&server.http, &bob.token).await, json!([]));
    check_session(&server.http, &phone.token, true).await;
}

#[tokio::test]
async fn a_device_that_is_revoked_is_gone_at_once() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let other = ann.post("backup_code_2fa", &json!({"backup_code": phone.backup_codes[0]})).await.token();
    let path = format!("/dashboard/device/{}", phone.device);
    server.http.delete_as(&other, &path).await.expect(200);
    phone.socket.expect_end().await;
    check_session(&server.http, &phone.token, false).await;
    server.http.get_as(&other, &path).await.expect(404);
    server.http.delete_as(&other, &path).await.expect(404);
}

#[tokio::test]
async fn without_its_last_method_two_factor_login_is_off() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let second = ann.bind_another_phone(&server, &phone.backup_codes[0]).await;
    server.http.delete_as(&second.token, "/dashboard/2fa/EMAIL").await.expect(400);
    let gone = server.http.delete_as(&second.token, "/dashboard/2fa/MOBILE").await.expect(200).json();
    assert_eq!(gone, json!({"message": "Double auth deleted successfully"}));
    assert_eq!(methods(&server.http, &second.token).await, json!([]));
    ann.post("login", &json!({})).await.token();
    // The other phone approved only: without that right it is a session like others, and those ended.
    phone.socket.expect_end().await;
    check_session(&server.http, &phone.token, false).await;
    ann.post("backup_code_2fa", &json!({"backup_code": phone.backup_codes[1]})).await.expect(400);
}

#[tokio::test]
async fn without_backup_codes_the_other_methods_stay() {
    let server = Server::start(&[]).await;
    let (ann, phone) = server.person_with_phone("ann").await;
    server.http.delete_as(&phone.token, "/dashboard/2fa/BACKUPCODE").await.expect(200);
    assert_eq!(ann.post("login", &json!({})).await.expect(200).json()["Methods"], json!(["MOBILE"]));
    ann.post("backup_code_2fa", &json!({"backup_code": phone.backup_codes[0]})).await.expect(400);
}

/// What demands a proof of the last five minutes: method and path, `{id}` for the session's own device.
const DELICATE: &[(&str, &str)] = &[
    ("POST", "/2fa/method/mobile"),
    ("POST", "/dashboard/2fa/device/{id}"),
    ("POST", "/auth/creation_backup_code"),
    ("DELETE", "/dashboard/2fa/device/{id}"),
    ("DELETE", "/dashboard/2fa/MOBILE"),
    ("DELETE", "/dashboard/account"),
];

async fn delicate(server: &Server, token: &str, (method, path): (&str, &str), more: Value) -> Answer {
    let id = current_device(&server.http, token).await;
    let mut body = json!({"trusted_device_id": id});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    server.http.send(method, &path.replace("{id}", &id), Some(token), Some(&body)).await
}

#[tokio::test]
async fn an_old_proof_opens_nothing_delicate_until_the_password_is_told() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    for (step, request) in DELICATE.iter().enumerate() {
        server.clock.advance(Duration::from_secs(300));
        let stale = delicate(&server, &ann.token, *request, json!({})).await.expect(401);
        let challenge = "Bearer error=\"insufficient_user_authentication\", max_age=\"300\"";
        assert_eq!(stale.header("www-authenticate"), challenge, "{request:?}");
        let wrong = delicate(&server, &ann.token, *request, json!({"password": "wrong password"})).await;
        assert_eq!(wrong.refusal(401), "Email and password mismatch");
        delicate(&server, &ann.token, *request, json!({})).await.expect(401);
        let fresh = delicate(&server, &ann.token, *request, json!({"password": PASSWORD})).await;
        let expected = [200, 200, 201, 200, 200, 204][step];
        assert_eq!(fresh.status, expected, "{request:?} {fresh:?}");
    }
}

#[tokio::test]
async fn a_proof_holds_for_just_under_five_minutes() {
    let server = Server::start(&[]).await;
    let (_ann, phone) = server.person_with_phone("ann").await;
    server.clock.advance(Duration::from_secs(299));
    let path = "/auth/creation_backup_code";
    server.http.post_as(&phone.token, path, &json!({})).await.expect(201);
    server.clock.advance(Duration::from_secs(1));
    server.http.post_as(&phone.token, path, &json!({})).await.expect(401);
    // What the password freshened stays fresh without it.
    server.http.post_as(&phone.token, path, &json!({"password": PASSWORD})).await.expect(201);
    server.clock.advance(Duration::from_secs(299));
    server.http.post_as(&phone.token, path, &json!({})).await.expect(201);
}

/// Two phones and two further sessions of one account.
async fn crowd(server: &Server) -> (Person, [crate::harness::Phone; 2], [String; 2]) {
    let (ann, phone) = server.person_with_phone("ann").await;
    let second = ann.bind_another_phone(server, &phone.backup_codes[0]).await;
    let mut sessions = Vec::new();
    for code in &phone.backup_codes[1..3] {
        sessions.push(ann.post("backup_code_2fa", &json!({"backup_code": code})).await.token());
    }
    (ann, [phone, second], sessions.try_into().unwrap())
}

async fn check_crowd(server: &Server, phones: &[crate::harness::Phone; 2], sessions: &[String; 2]) {
    check_session(&server.http, &sessions[0], true).await;
    check_session(&server.http, &sessions[1], false).await;
    for phone in phones {
        check_session(&server.http, &phone.token, true).await;
    }
}

#[tokio::test]
async fn a_new_password_ends_other_sessions_and_no_approving_phone() {
    let server = Server::start(&[]).await;
    let (ann, phones, sessions) = crowd(&server).await;
    let change = |old: &str, new: &str| json!({"password": old, "new_password": new});
    let post = async |body: Value| server.http.post_as(&sessions[0], "/dashboard/password", &body).await;
    assert_eq!(
        post(change("wrong password", NEW_PASSWORD)).await.refusal(401),
        "Email and password mismatch"
    );
    post(change(PASSWORD, "short")).await.expect(400);
    check_session(&server.http, &sessions[1], true).await;
    assert_eq!(post(change(PASSWORD, NEW_PASSWORD)).await.expect(200).json(), json!({}));
    check_crowd(&server, &phones, &sessions).await;
    assert_eq!(ann.post("login", &json!({})).await.status, 401);
    ann.post("login", &json!({"password": NEW_PASSWORD})).await.expect(200);
}

#[tokio::test]
async fn a_change_of_factors_ends_other_sessions_and_no_approving_phone() {
    let server = Server::start(&[]).await;
    let (_ann, phones, sessions) = crowd(&server).await;
    server.http.delete_as(&sessions[0], "/dashboard/2fa/BACKUPCODE").await.expect(200);
    check_crowd(&server, &phones, &sessions).await;
}

#[tokio::test]
async fn a_phone_that_is_bound_ends_other_sessions() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    let phone = ann.bind_phone(&server).await;
    check_session(&server.http, &ann.token, false).await;
    check_session(&server.http, &phone.token, true).await;
}

#[tokio::test]
async fn an_account_that_is_removed_leaves_nothing() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let code = phone.approved_code(&server, &ann).await;
    assert_eq!(server.http.delete_as(&phone.token, "/dashboard/account").await.expect(204).text, "");
    phone.socket.expect_end().await;
    check_session(&server.http, &phone.token, false).await;
    assert_eq!(ann.exchange(&code).await.status, 401);
    // Who takes the address next begins with nothing of the old one.
    let next = server.person("ann").await;
    assert_eq!(methods(&server.http, &next.token).await, json!([]));
    check_session(&server.http, &phone.token, false).await;
}
