//! Nothing of what a client sends stands in an error or in the log: a marker in every place that a client can fill, on every
//! route and in every message of the socket.

use std::collections::BTreeSet;

use futures_util::StreamExt as _;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::{self, Message};

use crate::harness::{
    Answer, Http, PASSWORD, Person, Process, Server, Socket, all_settings, filled, routes, store_url,
};

/// Letters and digits alone: fit for every place, and changed by no escape.
const MARKER: &str = "q7mark3rz";
const ADDRESS: &str = "q7mark3rz@example.org";

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// Headers that some part of the server reads.
const HEADERS: &[(&str, &str)] = &[
    ("accept", "q7mark3rz/q7mark3rz"),
    ("accept-language", "q7mark3rz"),
    ("authorization", "Bearer q7mark3rz"),
    ("authorization", "Bearer q7mark3rz.q7mark3rz.q7mark3rz"),
    ("authorization", "q7mark3rz q7mark3rz"),
    ("content-encoding", "q7mark3rz"),
    ("content-type", "q7mark3rz"),
    ("content-type", "application/q7mark3rz; charset=q7mark3rz"),
    ("cookie", "q7mark3rz=q7mark3rz; better-auth.session_token=q7mark3rz; better-auth.two_factor=q7mark3rz"),
    ("cookie", "better-auth.session_token=q7mark3rz.q7mark3rz.q7mark3rz; better-auth.trust_device=q7mark3rz"),
    ("cookie", "readylogin_step=q7mark3rz"),
    ("forwarded", "for=q7mark3rz"),
    ("host", "q7mark3rz.example"),
    ("if-none-match", "\"q7mark3rz\""),
    ("origin", "https://q7mark3rz.example"),
    ("referer", "https://q7mark3rz.example/q7mark3rz"),
    ("sec-websocket-key", "q7mark3rz"),
    ("sec-websocket-protocol", "q7mark3rz"),
    ("sec-websocket-version", "q7mark3rz"),
    ("upgrade", "q7mark3rz"),
    ("user-agent", "q7mark3rz"),
    ("x-forwarded-for", "q7mark3rz"),
    ("x-readylogin-step", "q7mark3rz"),
    ("q7mark3rz", "q7mark3rz"),
];

/// A body that the route reads to its end.
fn whole(path: &str) -> Value {
    match path {
        "/auth/send-mail-login-code-v2" => {
            json!({"mail": "ann@example.org", "locale": "en", "deviceAuthToken": null})
        }
        "/auth/sign-in-by-mail-code" => json!({"receivedCode": "one two three", "mailLoginToken": "x"}),
        "/auth/mail-auth/sign-in" => json!({
            "mailAuthToken": "x", "type": "p", "otp": null, "password": null, "client_id": null, "name_device": null,
        }),
        "/auth/mail-auth/create-account" => {
            json!({"mailAuthToken": "x", "type": "p", "password": PASSWORD, "name": "Ann"})
        }
        "/auth/mail-auth/recover-password" => {
            json!({"mailAuthToken": "x", "type": "p", "password": PASSWORD})
        }
        _ => json!({
            "email": "ann@example.org", "identifier": "ann@example.org", "username": "ann@example.org", "phone": null,
            "password": PASSWORD, "new_password": "another horse entirely", "name": "Ann", "image": null, "type": "p",
            "code": "123456", "token": "123456", "otp": "123456", "token_2fa": "123456", "backup_code": "abcd1234",
            "provider": "Email", "method_2fa": null, "trusted_device_id": "1", "refresh_token": "0".repeat(64),
            "method": null, "issuer": null, "trustDevice": null, "disableSession": null, "rememberMe": null,
            "callbackURL": null, "device_fingerprint": null, "device_type": null, "device_name": null, "device_os": null,
            "name_device": null, "os": null, "browser": null, "location": null, "client_id": null,
        }),
    }
}

/// Bodies with the marker in one place each, and others that are no such object.
fn bodies(path: &str) -> Vec<String> {
    let Value::Object(whole) = whole(path) else { unreachable!("an object") };
    let with = |name: &str, value: Value| {
        let mut body: Map<_, _> = whole.clone().into_iter().filter(|(_, value)| !value.is_null()).collect();
        body.insert(name.to_owned(), value);
        Value::Object(body).to_string()
    };
    let names = whole.keys().map(String::as_str).chain([MARKER]);
    let one = names.flat_map(|name| {
        [json!(MARKER), json!(ADDRESS), json!([MARKER]), json!({MARKER: MARKER})]
            .map(|value| with(name, value))
    });
    let all: Map<_, _> = whole.keys().map(|name| (name.clone(), json!(MARKER))).collect();
    let twice = format!("{{\"{MARKER}\":1,\"email\":\"{MARKER}\",\"email\":\"{MARKER}\",\"{MARKER}\":2}}");
    let others = [MARKER.to_owned(), format!("\"{MARKER}\""), format!("{{\"{MARKER}\""), twice];
    one.chain([Value::Object(all).to_string()]).chain(others).collect()
}

/// Answers that have the marker in them, though they are errors.
#[derive(Default)]
struct Findings {
    asked: usize,
    refused: usize,
    found: Vec<String>,
}

impl Findings {
    fn look(&mut self, what: &str, answer: &Answer) {
        self.asked += 1;
        if answer.status < 400 {
            return;
        }
        self.refused += 1;
        let headers =
            answer.headers.iter().map(|(name, value)| format!("{name}: {value:?}\n")).collect::<String>();
        if (headers + &answer.text).to_lowercase().contains(MARKER) {
            self.found.push(format!("{what}: {answer:?}"));
        }
    }
}

/// Sends everything to one route, as somebody with an account.
async fn attack(http: &Http, number: usize, (method, path): (String, String)) -> Findings {
    let mut findings = Findings::default();
    let token = new_token(http, &format!("plain{number}")).await;
    let sound = filled(&path, |name| if name == "type" { "p".to_owned() } else { "1".to_owned() });
    let marked = filled(&path, |_| MARKER.to_owned());
    let query = format!("{sound}?{MARKER}={MARKER}&all={MARKER}");
    let whole = whole(&path).to_string();
    for (name, value) in HEADERS {
        let request = http.request(&method, &sound).body(whole.clone());
        let request = if *name == "content-type" { request } else { request.header("content-type", JSON) };
        let answer = Answer::read(request.header(*name, *value).send().await.unwrap()).await;
        findings.look(&format!("{method} {sound} with {name}: {value}"), &answer);
    }
    for path in [&sound, &marked, &query] {
        for method in [&method, MARKER] {
            let answer = http.send(method, path, Some(&token), None).await;
            findings.look(&format!("{method} {path}"), &answer);
        }
    }
    if method == "GET" {
        return findings;
    }
    // Two routes read forms, too.
    let is_form_read = ["/api/auth/sign-in/email", "/api/auth/sign-up/email"].contains(&path.as_str());
    let kinds = if is_form_read { [JSON, FORM].as_slice() } else { &[JSON] };
    let mut token = new_token(http, &format!("whole{number}")).await;
    for body in bodies(&path) {
        for kind in kinds {
            let request = http.request(&method, &sound).header("content-type", *kind).body(body.clone());
            let answer = Answer::read(request.bearer_auth(&token).send().await.unwrap()).await;
            findings.look(&format!("{method} {path} {kind} {body}"), &answer);
            if answer.status < 400 && is_over(http, &token).await {
                token = new_token(http, &format!("again{number}.{}", findings.asked)).await;
            }
        }
    }
    findings
}

async fn new_token(http: &Http, name: &str) -> String {
    Person::register(http, "p", &format!("{name}@example.org")).await.token
}

/// Whether the session of a token, or its account, has ended.
async fn is_over(http: &Http, token: &str) -> bool {
    http.get_as(token, "/api/auth/get-session").await.expect(200).json().is_null()
}

#[tokio::test]
async fn nothing_that_a_client_sends_stands_in_an_error_of_any_route_or_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let changes =
        [("LOG__LEVEL", "debug"), ("SERVER__DRAIN", "1s"), ("SERVER__TRUSTED_PROXIES", "127.0.0.1")];
    let settings = all_settings(&changes, &store_url(folder.path()).await, folder.path());
    let log = folder.path().join("log");
    let process = Process::start_logging(&["serve"], &settings, folder.path(), &log).await;
    Person::register(&process.http, "p", "ann@example.org").await;
    let attacks = routes().into_iter().enumerate().map(|(n, route)| attack(&process.http, n, route));
    let all: Vec<_> = futures_util::stream::iter(attacks).buffer_unordered(8).collect().await;
    for request in [
        format!("{MARKER}\r\n\r\n"),
        format!("GET /{MARKER} HTTP/{MARKER}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: x\r\n{MARKER}\r\n\r\n"),
        format!("POST /auth/p/login HTTP/1.1\r\nHost: x\r\nContent-Length: {MARKER}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: x\r\nx: {}\r\n\r\n", MARKER.repeat(30_000)),
    ] {
        let answer = raw(&process.url, &request).await;
        assert!(!answer.contains(MARKER), "{answer}");
    }
    process.signal("TERM").await;
    process.wait().await;
    let found: Vec<_> = all.iter().flat_map(|findings| &findings.found).collect();
    assert!(found.is_empty(), "{} answers, the first ones: {:#?}", found.len(), &found[..found.len().min(5)]);
    let (asked, refused) = all.iter().fold((0, 0), |sum, each| (sum.0 + each.asked, sum.1 + each.refused));
    assert!(refused > 1_000 && refused < asked, "{refused} of {asked} were errors");
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("audit"), "little was logged: {log}");
    let line = log.lines().find(|line| line.to_lowercase().contains(MARKER));
    assert_eq!(line, None);
}

/// What the server answers to these bytes.
async fn raw(url: &str, request: &str) -> String {
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    // The server may have answered and hung up before the end.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// The messages of the socket.
fn messages(uuid: &Value, token: &str) -> Vec<Value> {
    vec![
        json!({"action": "readyLogin", "os": "Linux", "browser": "Firefox", "location": "Paris"}),
        json!({"action": "resumeLogin", "uuid": uuid, "resume": "x"}),
        json!({"action": "ready", "authToken": token}),
        json!({
            "action": "askMobileConnection", "uuid": uuid, "type": "p", "email": "ann@example.org", "password": PASSWORD,
        }),
        json!({"action": "responseMobileConnection", "authToken": token, "uuid": uuid, "response": true}),
    ]
}

#[test]
fn every_message_of_the_socket_is_sent_with_the_marker() {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/ws/wire.rs");
    let source = std::fs::read_to_string(source).unwrap();
    let arms = source.lines().filter(|line| line.contains("\" => Incoming::"));
    let known: BTreeSet<_> = arms.map(|line| line.split('"').nth(1).unwrap().to_owned()).collect();
    let action = |message: Value| message["action"].as_str().unwrap().to_owned();
    assert_eq!(known, messages(&Value::Null, "").into_iter().map(action).collect());
}

#[tokio::test]
async fn nothing_that_a_client_sends_stands_in_an_error_of_the_socket() {
    let server = Server::start(&[]).await;
    let (ann, phone) = server.person_with_phone("ann").await;
    let hello = server.socket().await.ready_login().await;
    let mut sent = Vec::new();
    for message in messages(&hello["uuid"], &phone.token) {
        let names: Vec<_> = message.as_object().unwrap().keys().cloned().collect();
        for name in names.iter().map(String::as_str).chain([MARKER, "uuid", "type"]) {
            for value in [json!(MARKER), json!(ADDRESS), json!([MARKER]), json!({MARKER: MARKER})] {
                let mut message = message.clone();
                message[name] = value;
                sent.push(message.to_string());
            }
        }
        sent.push(format!("{}{MARKER}", message));
    }
    sent.extend([MARKER.to_owned(), format!("{{\"action\":\"{MARKER}\""), format!("[\"{MARKER}\"]")]);
    let mut errors = 0;
    for text in sent {
        let mut socket = server.socket().await;
        socket.send_raw(Message::text(text.clone())).await;
        let frame = socket.receive().await;
        if frame.get("error").is_some() {
            errors += 1;
            assert!(!frame.to_string().contains(MARKER), "{text}: {frame}");
        }
    }
    assert!(errors > 60, "{errors}");
    for (header, value) in
        [("origin", "https://q7mark3rz.example"), ("origin", MARKER), ("sec-websocket-protocol", MARKER)]
    {
        if let Err(tungstenite::Error::Http(answer)) =
            Socket::try_open(server.url(), &[(header, value)]).await
        {
            assert!(!format!("{answer:?}").contains(MARKER), "{answer:?}");
            let body = answer.body().clone().unwrap_or_default();
            assert!(!String::from_utf8_lossy(&body).contains(MARKER));
        }
    }
    drop(ann);
}
