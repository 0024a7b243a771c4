//! How an owner keeps second factors: turned on and off, devices seen and trusted, what is told by mail, and bodies
//! that no client should send.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Answer, PASSWORD, Person, Server, Socket, current_device, letters_to, text_pairs};

const MINUTE: Duration = Duration::from_secs(60);

async fn double_auth(server: &Server, token: &str) -> Value {
    server.http.get_as(token, "/dashboard/2fa").await.expect(200).json()["double_auth"].clone()
}

async fn devices(server: &Server, token: &str) -> Vec<Value> {
    let listed = server.http.get_as(token, "/dashboard/devices").await.expect(200).json();
    listed["devices"].as_array().unwrap().clone()
}

async fn subjects(server: &Server, person: &Person) -> Vec<String> {
    letters_to(server, &person.email).await.into_iter().map(|letter| letter.subject).collect()
}

#[tokio::test]
async fn mailed_codes_bring_ten_backup_codes_when_they_are_the_first_method() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    let first = ann.turn_mail_on(&server, &ann.token).await;
    assert_eq!(first["methods"], json!(["EMAIL"]));
    let codes = first["backup_codes"].as_array().unwrap().clone();
    assert_eq!(codes.len(), 10);
    for code in &codes {
        let code = code.as_str().unwrap();
        assert!(code.len() == 8 && code.bytes().all(|b| b.is_ascii_alphanumeric()), "{code}");
    }
    let again = ann.turn_mail_on(&server, &ann.token).await;
    assert_eq!(again, json!({"methods": ["EMAIL"]}), "shown once");
    ann.bind_app(&server, &ann.token).await;
    server.http.delete_as(&ann.token, "/dashboard/2fa/EMAIL").await.expect(200);
    let second = ann.turn_mail_on(&server, &ann.token).await;
    assert_eq!(second, json!({"methods": ["EMAIL", "AUTHENTIFICATOR"]}), "no first method");
    ann.post("backup_code_2fa", &json!({"backup_code": codes[0]})).await.token();
    for method in ["SMS", "MOBILE", "email", "", "BACKUPCODE"] {
        let body = json!({"method_2fa": method});
        server.http.post_as(&ann.token, "/2fa/method/email", &body).await.expect(400);
    }
    server.http.post_as(&ann.token, "/2fa/method/email", &json!({})).await.expect(200);
}

#[tokio::test]
async fn without_the_last_method_everything_is_off_and_forgotten() {
    let server = Server::start(&[]).await;
    let ann = server.proven_person("ann").await;
    let codes = ann.turn_mail_on(&server, &ann.token).await["backup_codes"].clone();
    let app = ann.bind_app(&server, &ann.token).await;
    ann.begin_app(&server, &ann.token).await;
    server.http.delete_as(&ann.token, "/dashboard/2fa/EMAIL").await.expect(200);
    assert_eq!(double_auth(&server, &ann.token).await["methods"], json!(["AUTHENTIFICATOR", "BACKUPCODE"]));
    let gone = server.http.delete_as(&ann.token, "/dashboard/2fa/AUTHENTIFICATOR").await.expect(200);
    assert_eq!(gone.json(), json!({"message": "Double auth deleted successfully"}));
    let left = double_auth(&server, &ann.token).await;
    assert_eq!([&left["methods"], &left["backup_codes_left"]], [&json!([]), &json!(0)]);
    assert!(text_pairs(&server, "SELECT 'row', 'row' FROM totp_secrets").await.is_empty());
    assert!(text_pairs(&server, "SELECT 'row', 'row' FROM backup_codes").await.is_empty());
    ann.post("login", &json!({})).await.token();
    ann.post("third_party_2fa", &json!({"token_2fa": app.code(&server)})).await.expect(400);
    ann.post("backup_code_2fa", &json!({"backup_code": codes[0]})).await.expect(400);
    // The first again, with codes again.
    let again = ann.turn_mail_on(&server, &ann.token).await;
    assert_eq!(again["backup_codes"].as_array().unwrap().len(), 10);
    assert!(again["backup_codes"].as_array().unwrap().iter().all(|code| *code != codes[0]));
}

#[tokio::test]
async fn turning_a_method_on_ends_other_sessions() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    let other = async || ann.post("login", &json!({})).await.token();
    let check_ended = async |token: &str| {
        server.http.get_as(token, "/dashboard/devices").await.expect(401);
        server.http.get_as(&ann.token, "/dashboard/devices").await.expect(200);
    };
    let before = other().await;
    let app = ann.begin_app(&server, &ann.token).await;
    server.http.get_as(&before, "/dashboard/devices").await.expect(200);
    let proof = json!({"token": app.code(&server)});
    server.http.post_as(&ann.token, "/2fa/method/third_party", &proof).await.expect(200);
    check_ended(&before).await;
    server.clock.advance(Duration::from_secs(30));
    let body = json!({"token_2fa": app.code(&server)});
    let second = ann.post("third_party_2fa", &body).await.token();
    ann.turn_mail_on(&server, &ann.token).await;
    check_ended(&second).await;
}

#[tokio::test]
async fn an_owner_is_told_of_every_change() {
    let server = Server::start(&[]).await;
    let ann = server.proven_person("ann").await;
    let codes = ann.turn_mail_on(&server, &ann.token).await["backup_codes"].clone();
    ann.bind_app(&server, &ann.token).await;
    server.http.delete_as(&ann.token, "/dashboard/2fa/EMAIL").await.expect(200);
    let on = "A second factor was turned on";
    assert_eq!(subjects(&server, &ann).await, [on, on, "A second factor was turned off"]);
    // The seventh code of ten leaves three.
    for (used, code) in codes.as_array().unwrap().iter().enumerate() {
        ann.post("backup_code_2fa", &json!({"backup_code": code})).await.token();
        assert_eq!(subjects(&server, &ann).await.len(), 3 + (used + 1).saturating_sub(6), "{used}");
    }
    for letter in letters_to(&server, &ann.email).await {
        assert!(letter.text.contains("2026-11-22") && letter.text.contains("127.0.0.1"), "{letter:?}");
        assert_eq!(letter.code(), None);
    }
    let told = letters_to(&server, &ann.email).await;
    let low: Vec<_> = told.iter().filter(|l| l.subject == "Your backup codes are running low").collect();
    assert_eq!(low.len(), 4);
    for (letter, left) in low.iter().zip(["3", "2", "1", "0"]) {
        assert!(letter.text.contains(left), "{letter:?}");
    }
    // The refused say nothing.
    ann.post("backup_code_2fa", &json!({"backup_code": codes[0]})).await.expect(400);
    server.http.delete_as(&ann.token, "/dashboard/2fa/EMAIL").await.expect(400);
    assert_eq!(letters_to(&server, &ann.email).await.len(), told.len());
}

/// A phone's socket from an address that a trusted proxy names.
async fn show_up(server: &Server, token: &str, from: &str) -> Socket {
    let mut socket = Socket::try_open(server.url(), &[("x-forwarded-for", from)]).await.unwrap();
    let reply = socket.call(&json!({"action": "ready", "authToken": token})).await;
    assert_eq!(reply["message"], "Connection ready", "{reply}");
    socket
}

#[tokio::test]
async fn a_phone_s_device_tells_when_and_from_where_it_was_there_last() {
    let server = Server::start(&[("SERVER__TRUSTED_PROXIES", "127.0.0.1")]).await;
    let (ann, phone) = server.person_with_phone("ann").await;
    let laptop = ann.laptop(&phone.backup_codes[0]).await;
    let seen = async || {
        let listed = devices(&server, &laptop).await;
        let phone = listed.iter().find(|device| device["id"] == phone.device.as_str()).unwrap();
        (phone["last_used"].as_i64().unwrap(), phone["last_ip"].as_str().unwrap().to_owned())
    };
    let start = server.clock.now().seconds();
    let at = |seconds: i64, ip: &str| (start + seconds, ip.to_owned());
    assert_eq!(seen().await, at(0, "127.0.0.1"));
    server.clock.advance(2 * MINUTE);
    let _first = show_up(&server, &phone.token, "192.0.2.7").await;
    assert_eq!(seen().await, at(120, "192.0.2.7"));
    // Within a minute and from the same address it is not written again.
    server.clock.advance(MINUTE);
    let _second = show_up(&server, &phone.token, "192.0.2.7").await;
    assert_eq!(seen().await, at(120, "192.0.2.7"));
    server.clock.advance(Duration::from_secs(1));
    let _third = show_up(&server, &phone.token, "192.0.2.7").await;
    assert_eq!(seen().await, at(181, "192.0.2.7"));
    let _fourth = show_up(&server, &phone.token, "192.0.2.8").await;
    assert_eq!(seen().await, at(181, "192.0.2.8"));
    // Being asked is no sign of life, and an answer is, also on a socket that is not the phone's own.
    let mut shown = show_up(&server, &phone.token, "192.0.2.8").await;
    let (_browser, uuid) = ann.asking_browser(&server).await;
    shown.expect("ask_mobile_connection").await;
    assert_eq!(seen().await, at(181, "192.0.2.8"));
    let reply = server.socket().await.call(&phone.answer_frame(&uuid, false)).await;
    assert_eq!(reply["message"], "Message sent");
    assert_eq!(seen().await, at(181, "127.0.0.1"));
    let mut socket = server.socket().await;
    let refused = socket.refused(&json!({"action": "ready", "authToken": "x"})).await;
    assert_eq!(refused, "not_authenticated");
}

/// What a browser has done that is trusted from now on: a sign-in by a backup code.
async fn trust(server: &Server, person: &Person, backup_code: &Value) {
    let post = async |path: &str, body: Value, cookies: &[String]| {
        let request = server.http.request("POST", path).header("origin", server.url()).json(&body);
        Answer::read(request.header("cookie", cookies.join("; ")).send().await.unwrap()).await
    };
    let cookies = |answer: &Answer| -> Vec<String> {
        let all = answer.headers.get_all("set-cookie").iter();
        all.map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap().to_owned()).collect()
    };
    let credentials = json!({"email": person.email, "password": PASSWORD});
    let begun = post("/api/auth/sign-in/email", credentials, &[]).await.expect(200);
    let body = json!({"code": backup_code, "trustDevice": true});
    let done = post("/api/auth/two-factor/verify-backup-code", body, &cookies(&begun)).await.expect(200);
    assert!(cookies(&done).iter().any(|cookie| cookie.contains("trust_device=")), "{done:?}");
}

#[tokio::test]
async fn trusted_devices_are_listed_and_revoked_by_their_owner_alone() {
    let server = Server::start(&[]).await;
    let ann = server.proven_person("ann").await;
    let codes = ann.turn_mail_on(&server, &ann.token).await["backup_codes"].clone();
    let bob = server.person("bob").await;
    bob.turn_mail_on(&server, &bob.token).await;
    let path = "/dashboard/2fa/trusted";
    let list = async |token: &str| {
        let listed = server.http.get_as(token, path).await.expect(200).json();
        listed["trusted"].as_array().unwrap().clone()
    };
    assert_eq!(list(&ann.token).await, Vec::<Value>::new());
    trust(&server, &ann, &codes[0]).await;
    server.clock.advance(MINUTE);
    trust(&server, &ann, &codes[1]).await;
    let both = list(&ann.token).await;
    let keys: Vec<_> = both[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["date", "expires", "id", "ip_address", "last_used", "name"]);
    assert_eq!(both[0]["ip_address"], "127.0.0.1");
    let date = |at: usize, key: &str| both[at][key].as_i64().unwrap();
    assert_eq!((date(1, "date") - date(0, "date"), date(0, "expires") - date(0, "date")), (60, 30 * 86_400));
    assert!(subjects(&server, &ann).await.iter().any(|subject| subject == "A device is trusted now"));

    let one = format!("{path}/{}", both[0]["id"].as_str().unwrap());
    assert_eq!(list(&bob.token).await, Vec::<Value>::new());
    server.http.delete_as(&bob.token, &one).await.expect(404);
    for id in ["x", "0", "-1", "+1", "99999999999999999999", "%31%00", "1e0", "1.0", " 1"] {
        server.http.delete_as(&ann.token, &format!("{path}/{id}")).await.expect(404);
    }
    for method in ["GET", "POST"] {
        let wrong = server.http.send(method, &one, Some(&ann.token), None).await.expect(405);
        assert_eq!(wrong.header("allow"), "DELETE");
    }
    server.http.send("DELETE", &one, None, None).await.expect(401);
    server.http.get(path).await.expect(401);
    assert_eq!(list(&ann.token).await, both);
    server.http.delete_as(&ann.token, &one).await.expect(200);
    server.http.delete_as(&ann.token, &one).await.expect(404);
    assert_eq!(list(&ann.token).await, both[1..]);
    // It ends with what it stood for.
    server.http.delete_as(&ann.token, "/dashboard/2fa/EMAIL").await.expect(200);
    assert_eq!(list(&ann.token).await, Vec::<Value>::new());
}

#[tokio::test]
async fn trust_ends_with_the_password_and_with_its_time() {
    let server = Server::start(&[("TWO_FACTOR__TRUST_TTL", "1h")]).await;
    let ann = server.person("ann").await;
    let codes = ann.turn_mail_on(&server, &ann.token).await["backup_codes"].clone();
    let count = async |token: &str| {
        let listed = server.http.get_as(token, "/dashboard/2fa/trusted").await.expect(200).json();
        listed["trusted"].as_array().unwrap().len()
    };
    trust(&server, &ann, &codes[0]).await;
    assert_eq!(count(&ann.token).await, 1);
    server.clock.advance(60 * MINUTE);
    let token = ann.post("backup_code_2fa", &json!({"backup_code": codes[1]})).await.token();
    assert_eq!(count(&token).await, 0);
    trust(&server, &ann, &codes[2]).await;
    assert_eq!(count(&token).await, 1);
    let change = json!({"password": PASSWORD, "new_password": "another horse battery"});
    server.http.post_as(&token, "/dashboard/password", &change).await.expect(200);
    assert_eq!(count(&token).await, 0);
}

/// The routes that came with mailed codes and apps, their fields, and a body that is whole.
fn routes(ann: &Person) -> Vec<(&'static str, Value, &'static [&'static str])> {
    let login = ann.body(&json!({"token_2fa": "000000"}));
    let fields: &[&str] = &["email", "password", "token_2fa"];
    vec![
        ("/auth/p/email_2fa", login.clone(), fields),
        ("/auth/p/third_party_2fa", login, fields),
        ("/2fa/method/email", json!({"method_2fa": "EMAIL", "password": PASSWORD}), &[]),
        ("/2fa/method/third_party", json!({"token": "000000", "password": PASSWORD}), &["token"]),
        ("/2fa/method/third_party/generate", json!({"password": PASSWORD}), &[]),
    ]
}

#[tokio::test]
async fn bodies_are_objects_of_known_fields_each_once_and_of_its_type() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    let post = async |path: &str, kind: &str, body: String| {
        let request = server.http.request("POST", path).bearer_auth(&ann.token).header("content-type", kind);
        Answer::read(request.body(body).send().await.unwrap()).await
    };
    let send = async |path: &str, body: &str| post(path, "application/json", body.to_owned()).await;
    for (path, whole, needed) in routes(&ann) {
        let text = whole.to_string();
        for (key, value) in whole.as_object().unwrap() {
            let twice = format!("{},{}:{value}}}", &text[..text.len() - 1], json!(key));
            assert_eq!(send(path, &twice).await.refusal(400), "Invalid or missing field", "{path} {twice}");
            for wrong in [json!(1), json!(true), json!([value]), json!({"a": value})] {
                let mut changed = whole.clone();
                changed[key] = wrong;
                let refusal = send(path, &changed.to_string()).await.refusal(400);
                assert_eq!(refusal, "Invalid or missing field", "{path} {changed}");
            }
        }
        for key in needed {
            let mut without = whole.clone();
            without.as_object_mut().unwrap().remove(*key);
            let refusal = send(path, &without.to_string()).await.refusal(400);
            assert_eq!(refusal, "Invalid or missing field", "{path} {without}");
            without[*key] = json!(null);
            send(path, &without.to_string()).await.expect(400);
        }
        let values: Vec<_> = whole.as_object().unwrap().values().collect();
        for text in [json!(values).to_string(), "[]".into(), "null".into(), "\"x\"".into(), "7".into()] {
            assert_eq!(send(path, &text).await.refusal(400), "Invalid or missing field", "{path} {text}");
        }
        for broken in ["{", "nope", &format!("{text}}}"), &"[".repeat(5000)] {
            assert_eq!(send(path, broken).await.refusal(400), "Invalid JSON input", "{path}");
        }
        post(path, "text/plain", text.clone()).await.expect(415);
        let large = format!("{},\"x\":\"{}\"}}", &text[..text.len() - 1], "x".repeat(70_000));
        send(path, &large).await.expect(413);
        assert_eq!(server.http.get_as(&ann.token, path).await.expect(405).header("allow"), "POST");
    }
    // None of all that turned anything on, or counted.
    assert_eq!(double_auth(&server, &ann.token).await["methods"], json!([]));
    for (path, whole, _) in routes(&ann).into_iter().take(2) {
        send(path, &whole.to_string()).await.expect(400);
    }
    current_device(&server.http, &ann.token).await;
}
