//! What bodies may look like, how each refusal reads, and in which language.

use serde_json::{Value, json};

use super::{log_in_by_mail, login, naming, post, refusal, told, with_mail};
use crate::harness::{Answer, Server};

/// The optional fields of a login.
const OPTIONAL: [&str; 11] = [
    "type",
    "device_type",
    "device_name",
    "device_os",
    "device_fingerprint",
    "name_device",
    "os",
    "browser",
    "location",
    "client_id",
    "unknown",
];

async fn send(server: &Server, route: &str, headers: &[(&str, &str)], body: &'static str) -> Answer {
    let mut request = server.http.request("POST", &format!("/api/v1/auth/{route}")).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::read(request.send().await.unwrap()).await
}

#[tokio::test]
async fn an_optional_field_may_be_null_but_not_of_another_type() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    for name in OPTIONAL {
        login(&server, &ann, &json!({name: null})).await.expect(200);
        for wrong in [json!(5), json!(true), json!([]), json!({"$ne": ""})] {
            let answer = login(&server, &ann, &json!({name: wrong})).await;
            if name == "unknown" {
                answer.expect(200);
            } else {
                let (message, error) = refusal(answer, 422);
                assert_eq!(
                    (message, error.as_str()),
                    (format!("Champ manquant ou invalide\u{a0}: {name}"), "bad_field")
                );
            }
        }
    }
}

#[tokio::test]
async fn a_field_that_is_needed_is_named_when_it_is_missing_or_blank() {
    let server = Server::start(&[]).await;
    let whole =
        json!({"identifier": "ann@example.org", "password": "x", "otp": "123456", "refresh_token": "x"});
    for (route, needed) in [
        ("login", &["identifier", "password"][..]),
        ("2fa/request-otp", &["identifier"]),
        ("2fa/verify", &["identifier", "password", "otp"]),
        ("refresh", &["refresh_token"]),
    ] {
        for name in needed {
            for wrong in [json!(null), json!(""), json!(7), json!(["x"])] {
                let mut body = whole.clone();
                body[name] = wrong;
                assert!(refusal(post(&server, route, &body).await, 422).0.ends_with(name), "{route} {name}");
            }
        }
    }
    // Blanks are no address, no code, no token; they may be a password.
    for (route, name, status) in [
        ("login", "identifier", 422),
        ("2fa/verify", "otp", 422),
        ("refresh", "refresh_token", 422),
        ("login", "password", 401),
    ] {
        let mut body = whole.clone();
        body[name] = json!(" \t ");
        refusal(post(&server, route, &body).await, status);
    }
}

#[tokio::test]
async fn a_fingerprint_has_1_to_256_characters() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    for (fingerprint, status) in [
        ("x".to_owned(), 200),
        ("é".repeat(256), 200),
        (format!(" {} ", "x".repeat(256)), 200),
        (String::new(), 422),
        ("  ".to_owned(), 422),
        ("é".repeat(257), 422),
    ] {
        login(&server, &ann, &json!({"device_fingerprint": fingerprint})).await.expect(status);
    }
}

#[tokio::test]
async fn what_is_no_request_of_this_surface_is_refused_in_its_form() {
    let server = Server::start(&[]).await;
    let json = [("content-type", "application/json")];
    for route in ["login", "2fa/request-otp", "2fa/verify", "refresh"] {
        for body in [
            "",
            "nonsense",
            "[]",
            "\"x\"",
            "{\"identifier\":\"a\",\"identifier\":\"b\"}",
            "{\"identifier\":}",
        ] {
            assert_eq!(refusal(send(&server, route, &json, body).await, 400).1, "bad_json", "{route} {body}");
        }
        refusal(send(&server, route, &[("content-type", "text/plain")], "{}").await, 415);
        refusal(send(&server, route, &[], "{}").await, 415);
        refusal(send(&server, route, &[json[0], ("content-encoding", "gzip")], "{}").await, 415);
        let long = json!({"identifier": "x".repeat(70_000)});
        refusal(post(&server, route, &long).await, 413);
        for method in ["GET", "DELETE", "PUT"] {
            let answer =
                server.http.send(method, &format!("/api/v1/auth/{route}"), None, None).await.expect(405);
            assert_eq!(answer.header("allow"), "POST", "{route}");
            assert_eq!(refusal(answer, 405).1, "method_not_allowed");
        }
    }
    for (method, path) in [("GET", "sessions"), ("POST", "logout"), ("DELETE", "sessions/x")] {
        let path = format!("/api/v1/auth/{path}");
        assert_eq!(refusal(server.http.send(method, &path, None, None).await, 401).1, "not_authenticated");
        let foreign = server.http.send(method, &path, Some("nonsense"), None).await;
        assert!(foreign.header("www-authenticate").contains("invalid_token"));
        refusal(foreign, 401);
    }
}

#[tokio::test]
async fn who_comes_while_all_is_busy_is_told_to_come_back() {
    let settings = [("PASSWORD__THREADS", "1"), ("PASSWORD__QUEUE", "0"), ("PASSWORD__MEMORY_KIB", "16384")];
    let server = Server::start(&settings).await;
    server.person("ann").await;
    let logins = (0..30).map(|n| {
        let name = if n % 2 == 0 { "ann@example.org" } else { "+41790000000" };
        let (http, body) = (server.http.clone(), naming(name, &json!({})));
        tokio::spawn(async move { http.post("/api/v1/auth/login", &body).await })
    });
    let logins: Vec<_> = logins.collect();
    let mut refused = 0;
    for login in logins {
        let answer = login.await.unwrap();
        if ![200, 401].contains(&answer.status) {
            refused += 1;
            assert_eq!(refusal(answer, 503).1, "busy");
        }
    }
    assert!(refused > 0);
}

/// What is said of a missing field, of a code that was sent, and of a second factor.
const FRENCH: [&str; 3] = [
    "Champ manquant ou invalide\u{a0}: identifier",
    "Un code OTP de 6 chiffres a été renvoyé.",
    "Un second facteur est nécessaire.",
];
const ENGLISH: [&str; 3] = [
    "Missing or invalid field: identifier",
    "A 6-digit OTP code has been sent again.",
    "A second factor is needed.",
];
const GERMAN: [&str; 3] = [
    "Fehlendes oder ungültiges Feld: identifier",
    "Ein sechsstelliger OTP-Code wurde erneut gesendet.",
    "Ein zweiter Faktor ist nötig.",
];
const SPANISH: [&str; 3] = [
    "Campo ausente o no válido: identifier",
    "Se ha reenviado un código OTP de 6 cifras.",
    "Se necesita un segundo factor.",
];

#[tokio::test]
async fn messages_are_in_the_language_that_is_accepted() {
    let server = Server::start(&[]).await;
    with_mail(&server, "ann").await;
    for (header, language, texts) in [
        ("", "fr", FRENCH),
        ("fr-CA", "fr", FRENCH),
        ("en-GB, fr;q=0.5", "en", ENGLISH),
        ("de", "de", GERMAN),
        ("ja, es;q=0.1", "es", SPANISH),
        ("tlh", "fr", FRENCH),
    ] {
        let ask = async |route: &str, body: &Value| {
            let mut request = server.http.request("POST", &format!("/api/v1/auth/{route}")).json(body);
            if !header.is_empty() {
                request = request.header("accept-language", header);
            }
            let answer = Answer::read(request.send().await.unwrap()).await;
            assert_eq!(answer.header("content-language"), language, "{header}");
            told(&answer.json(), "message")
        };
        let ann = json!({"identifier": "ann@example.org"});
        let [missing, sent, second] = texts;
        assert_eq!(ask("login", &json!({})).await, missing);
        assert_eq!(ask("2fa/request-otp", &ann).await, sent);
        assert_eq!(ask("login", &naming("ann@example.org", &json!({}))).await, second);
    }
    let asked = post(&server, "2fa/request-otp", &json!({"identifier": "ann@example.org"})).await.expect(201);
    let whole = "{\"status\":201,\"message\":\"Un code OTP de 6 chiffres a été renvoyé.\"}";
    assert_eq!(asked.text, whole);
}

#[tokio::test]
async fn what_a_device_says_of_itself_is_kept_fit_to_be_shown() {
    let server = Server::start(&[]).await;
    let ann = with_mail(&server, "ann").await;
    let said = json!({
        "device_type": "Mobile", "device_name": "SAMSUNG\u{202e} GALAXY\u{1b} A13", "device_os": "x".repeat(5000),
        "browser": "\u{0}", "location": "Genève",
    });
    let done = log_in_by_mail(&server, &ann, &said).await;
    let token = told(&done, "access_token");
    let listed = server.http.get_as(&token, "/api/v1/auth/sessions").await.expect(200).json();
    let current =
        listed["sessions"].as_array().unwrap().iter().find(|s| s["current"] == true).unwrap().clone();
    for (key, value) in [
        ("device_type", "Mobile"),
        ("device_name", "SAMSUNG GALAXY A13"),
        ("browser", ""),
        ("location", "Genève"),
    ] {
        assert_eq!(current[key], value, "{key}");
    }
    assert_eq!(current["device_os"].as_str().unwrap().len(), 120);
    for (device_type, shown) in
        [("Tablette", "Tablette"), ("Navigateur", "Navigateur"), ("Montre\n", "Montre")]
    {
        let done = log_in_by_mail(&server, &ann, &json!({"device_type": device_type})).await;
        let token = told(&done, "access_token");
        let listed = server.http.get_as(&token, "/api/v1/auth/sessions").await.expect(200).json();
        let current =
            listed["sessions"].as_array().unwrap().iter().find(|s| s["current"] == true).unwrap().clone();
        assert_eq!(current["device_type"], shown);
    }
}
