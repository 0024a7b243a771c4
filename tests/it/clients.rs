//! Tokens that were made for another client than this service manage nothing, and a page of another origin gets no others.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{Answer, PASSWORD, Person, Server, claims, filled, routes};

const ANN: &str = "ann@example.org";
const SHOP: &str = "https://shop.example";

/// A login on one of the surfaces from a page of `origin`, naming `client`; its token and, where there is one, its
/// refresh token.
async fn log_in(server: &Server, surface: &str, origin: Option<&str>, client: Option<&str>) -> Value {
    let (path, mut body) = match surface {
        "thin" => ("/auth/p/login", json!({"email": ANN, "password": PASSWORD})),
        "device" => ("/api/v1/auth/login", json!({"identifier": ANN, "password": PASSWORD})),
        "words" => {
            let proof = server.mail_proof(ANN).await;
            ("/auth/mail-auth/sign-in", json!({"mailAuthToken": proof}))
        }
        other => ("/auth/p/register", json!({"email": other, "password": PASSWORD})),
    };
    if let Some(client) = client {
        body["client_id"] = json!(client);
    }
    let mut request = server.http.request("POST", path).json(&body);
    if let Some(origin) = origin {
        request = request.header("origin", origin);
    }
    let answer = Answer::read(request.send().await.unwrap()).await.expect(200).json();
    json!({"token": answer.get("access_token").or(answer.get("token")), "refresh_token": answer["refresh_token"]})
}

async fn client_of(server: &Server, surface: &str, origin: Option<&str>, client: Option<&str>) -> String {
    let answer = log_in(server, surface, origin, client).await;
    claims(answer["token"].as_str().unwrap())["client_id"].as_str().unwrap().to_owned()
}

/// A token of the client `shop`.
async fn of_shop(server: &Server) -> String {
    log_in(server, "thin", None, Some("shop")).await["token"].as_str().unwrap().to_owned()
}

/// What a route does with a token of another client (docs/protocol.md, "Clients").
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Foreign {
    /// 403 `wrong_client`: it would show or change the account.
    Refused,
    /// The session of the token may end itself, and no other one.
    EndsItself,
    /// The route tells about the session of the token and no other one.
    SeesItself,
    /// The route takes no access token.
    Unread,
}

/// Every route of the server.
const ROUTES: &[(Foreign, &str, &[&str])] = &[
    (
        Foreign::Refused,
        "GET",
        &[
            "/dashboard/2fa",
            "/dashboard/2fa/device/{id}",
            "/dashboard/2fa/devices",
            "/dashboard/2fa/trusted",
            "/dashboard/device/{id}",
            "/dashboard/devices",
            "/api/v1/auth/sessions",
            "/users/enable_2fa",
        ],
    ),
    (
        Foreign::Refused,
        "POST",
        &[
            "/2fa/method/email",
            "/2fa/method/mobile",
            "/2fa/method/third_party",
            "/2fa/method/third_party/generate",
            "/auth/creation_backup_code",
            "/dashboard/2fa/device/{id}",
            "/dashboard/export",
            "/dashboard/password",
            "/users/enable_2fa_confirm",
            "/api/auth/two-factor/disable",
            "/api/auth/two-factor/enable",
            "/api/auth/two-factor/generate-backup-codes",
            "/api/auth/two-factor/get-totp-uri",
            "/api/auth/two-factor/send-otp",
            "/api/auth/two-factor/verify-backup-code",
            "/api/auth/two-factor/verify-otp",
            "/api/auth/two-factor/verify-totp",
        ],
    ),
    (
        Foreign::Refused,
        "DELETE",
        &[
            "/dashboard/2fa/device/{id}",
            "/dashboard/2fa/trusted/{id}",
            "/dashboard/2fa/{method}",
            "/dashboard/account",
        ],
    ),
    (Foreign::EndsItself, "POST", &["/api/auth/sign-out", "/api/v1/auth/logout"]),
    (Foreign::EndsItself, "DELETE", &["/api/v1/auth/sessions/{session_uuid}", "/dashboard/device/{id}"]),
    (Foreign::SeesItself, "GET", &["/api/auth/get-session"]),
    (
        Foreign::Unread,
        "GET",
        &[
            "/",
            "/.well-known/jwks.json",
            "/account",
            "/docs",
            "/docs/",
            "/docs/{name}",
            "/favicon.ico",
            "/healthz",
            "/metrics",
            "/phone",
            "/readyz",
            "/settings.json",
            "/static/{*path}",
            "/ws",
        ],
    ),
    (
        Foreign::Unread,
        "POST",
        &[
            "/api/auth/sign-in/email",
            "/api/auth/sign-up/email",
            "/api/v1/auth/2fa/request-otp",
            "/api/v1/auth/2fa/verify",
            "/api/v1/auth/login",
            "/api/v1/auth/refresh",
            "/auth/mail-auth/create-account",
            "/auth/mail-auth/recover-password",
            "/auth/mail-auth/sign-in",
            "/auth/send-mail-login-code-v2",
            "/auth/sending_email",
            "/auth/sign-in-by-mail-code",
            "/auth/{type}/backup_code_2fa",
            "/auth/{type}/email_2fa",
            "/auth/{type}/login",
            "/auth/{type}/mobile_2fa",
            "/auth/{type}/register",
            "/auth/{type}/third_party_2fa",
            "/users/two_step_verification_confirm",
            "/users/two_step_verification_login",
        ],
    ),
];

/// The device that a token names.
fn device_of(token: &str) -> String {
    claims(token)["device_id"].to_string()
}

#[test]
fn every_route_says_what_it_does_with_a_token_of_another_client() {
    let entry = |method: &str, path: &str| (method.to_owned(), path.to_owned());
    let of_row = |(_, method, paths): &(Foreign, &str, &[&str])| -> Vec<_> {
        paths.iter().map(|path| entry(method, path)).collect()
    };
    let listed: Vec<_> = ROUTES.iter().flat_map(of_row).collect();
    let table: BTreeSet<_> = listed.iter().cloned().collect();
    assert_eq!(table.len(), listed.len(), "a route stands in two rows");
    let declared = routes();
    assert_eq!(
        declared.difference(&table).collect::<Vec<_>>(),
        Vec::<&(String, String)>::new(),
        "not judged"
    );
    assert_eq!(table.difference(&declared).collect::<Vec<_>>(), Vec::<&(String, String)>::new(), "no routes");
}

#[tokio::test]
async fn a_token_of_another_client_sees_and_manages_nothing_on_any_surface() {
    let server = Server::start(&[]).await;
    let ann = server.proven_person("ann").await;
    let token = of_shop(&server).await;
    let (device, session) = (device_of(&ann.token), claims(&ann.token)["sid"].as_str().unwrap().to_owned());
    // Whole for every route, so that nothing else is refused first.
    let body = json!({
        "email": ANN, "password": PASSWORD, "new_password": "another horse entirely", "code": "123456", "token": "123456",
        "provider": "Email",
    });
    for (foreign, method, paths) in ROUTES {
        for path in *paths {
            let value = |name: &str| match name {
                "id" => device.clone(),
                "session_uuid" => session.clone(),
                "method" => "EMAIL".to_owned(),
                "type" => "p".to_owned(),
                other => other.to_owned(),
            };
            let all = if *path == "/api/v1/auth/logout" { "?all=true" } else { "" };
            let path = filled(path, value) + all;
            let body = Some(&body).filter(|_| *method != "GET");
            let send = async |token: Option<&str>| server.http.send(method, &path, token, body).await;
            match foreign {
                Foreign::Unread => {
                    let (with, without) = (send(Some(&token)).await, send(None).await);
                    assert_eq!(with.status, without.status, "{method} {path}: {with:?}");
                }
                Foreign::SeesItself => {
                    let seen = send(Some(&token)).await.expect(200).json();
                    assert_eq!(seen["session"]["id"], claims(&token)["sid"], "{method} {path}");
                }
                // It names no other session.
                Foreign::EndsItself if path == "/api/auth/sign-out" => {}
                Foreign::Refused | Foreign::EndsItself => {
                    let answer = send(Some(&token)).await.expect(403);
                    let code = answer.json().get("error").or(answer.json().get("code")).cloned();
                    let code = code.unwrap().as_str().unwrap().to_lowercase();
                    assert_eq!(code, "wrong_client", "{method} {path}: {answer:?}");
                    assert_eq!(send(None).await.status, 401, "{method} {path}");
                }
            }
        }
    }
    // Nothing of it happened, and the password was tried nowhere.
    server.http.get_as(&ann.token, "/dashboard/devices").await.expect(200);
    assert_eq!(ann.post("login", &json!({})).await.expect(200).json().get("Methods"), None);
    let bind = json!({"method_2fa": "MOBILE", "trusted_device_id": device});
    server.http.post_as(&ann.token, "/2fa/method/mobile", &bind).await.expect(200);
}

#[tokio::test]
async fn a_device_of_another_client_is_shown_no_ask_and_answers_none() {
    let server = Server::start(&[]).await;
    let ann = server.proven_person("ann").await;
    let mut phone = ann.bind_phone(&server).await;
    let login = json!({"backup_code": phone.backup_codes[0], "client_id": "shop"});
    let token = ann.post("backup_code_2fa", &login).await.token();
    // The owner can't be talked into making a device of the shop approve, either.
    let device = device_of(&token);
    let bind = json!({"method_2fa": "MOBILE", "trusted_device_id": device});
    server.http.post_as(&phone.token, "/2fa/method/mobile", &bind).await.expect(404);
    server
        .http
        .post_as(&phone.token, &format!("/dashboard/2fa/device/{device}"), &json!({}))
        .await
        .expect(404);
    let mut socket = server.socket().await;
    let ready = socket.call(&json!({"action": "ready", "authToken": token})).await;
    assert_eq!(ready["approving"], false, "{ready}");
    let (mut browser, uuid) = ann.asking_browser(&server).await;
    let mut answer = phone.answer_frame(&uuid, true);
    answer["authToken"] = json!(token);
    assert_eq!(socket.refused(&answer).await, "unknown_device");
    assert_eq!(socket.refused(&ann.ask_frame(&uuid)).await, "not_authenticated");
    phone.answer(&uuid, true).await;
    browser.expect_code().await;
}

#[tokio::test]
async fn a_token_of_another_client_ends_itself_is_renewed_and_comes_online_without_asks() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    let mut socket = server.socket().await;
    let token = of_shop(&server).await;
    let ready = socket.call(&json!({"action": "ready", "authToken": token})).await;
    assert_eq!(ready["approving"], false, "{ready}");
    assert_eq!(claims(ready["token"].as_str().unwrap())["client_id"], "shop");
    let login = log_in(&server, "device", None, Some("shop")).await;
    let renewed =
        server.http.post("/api/v1/auth/refresh", &json!({"refresh_token": login["refresh_token"]})).await;
    let renewed = renewed.expect(200).json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(claims(&renewed)["client_id"], "shop");
    server.http.send("POST", "/api/v1/auth/logout", Some(&renewed), None).await.expect(204);
    server.http.get_as(&renewed, "/dashboard/devices").await.expect(401);
    // By its number, too.
    server.http.delete_as(&token, &format!("/dashboard/device/{}", device_of(&token))).await.expect(200);
    let token = of_shop(&server).await;
    let session = claims(&token)["sid"].as_str().unwrap().to_owned();
    server.http.delete_as(&token, &format!("/api/v1/auth/sessions/{session}")).await;
    server.http.get_as(&token, "/dashboard/devices").await.expect(401);
    server.http.get_as(&ann.token, "/dashboard/devices").await.expect(200);
}

#[tokio::test]
async fn a_login_from_another_origin_gets_that_origin_as_its_client() {
    let server = Server::start(&[]).await;
    server.proven_person("ann").await;
    for surface in ["thin", "device", "words", "new@example.org"] {
        assert_eq!(client_of(&server, surface, Some(SHOP), None).await, SHOP, "{surface}");
    }
    for (origin, client, expected) in [
        (None, None, "readylogin"),
        (None, Some("shop"), "shop"),
        (Some(server.url()), None, "readylogin"),
        (Some(SHOP), Some("shop"), "shop"),
        // Naming this service is no way round, however it is written.
        (Some(SHOP), Some("readylogin"), SHOP),
        (Some(SHOP), Some(" ready\u{200b}login "), SHOP),
        (Some(SHOP), Some(" "), SHOP),
        (Some("null"), None, "null"),
        (Some("http://localhost.shop.example"), None, "http://localhost.shop.example"),
    ] {
        for surface in ["thin", "device", "words"] {
            let found = client_of(&server, surface, origin, client).await;
            assert_eq!(found, expected, "{surface} {origin:?} {client:?}");
        }
    }
    let token = log_in(&server, "thin", Some(SHOP), Some("readylogin")).await;
    let token = token["token"].as_str().unwrap();
    let bind = json!({"method_2fa": "MOBILE", "trusted_device_id": device_of(token)});
    let refused = server.http.post_as(token, "/2fa/method/mobile", &bind).await.expect(403).json();
    assert_eq!(refused["error"], "wrong_client");
    // The alias of a loopback listener is this service itself.
    let alias = server.url().replace("127.0.0.1", "localhost");
    assert_eq!(client_of(&server, "thin", Some(&alias), None).await, "readylogin");
}

#[tokio::test]
async fn two_step_verification_from_another_origin_gets_that_origin_too() {
    let server = Server::start(&[]).await;
    let ann = server.proven_person("ann").await;
    ann.turn_mail_on(&server, &ann.token).await;
    let login = json!({"username": ANN, "password": PASSWORD, "provider": "Email"});
    server.http.post("/users/two_step_verification_login", &login).await.expect(200);
    let code = crate::harness::mailed_code(&server, ANN).await;
    let confirm = json!({"email": ANN, "provider": "Email", "token": code});
    let request = server.http.request("POST", "/users/two_step_verification_confirm").header("origin", SHOP);
    let done = Answer::read(request.json(&confirm).send().await.unwrap()).await.expect(200).json();
    let token = done["accessToken"].as_str().unwrap();
    assert_eq!(claims(token)["client_id"], SHOP);
    let answer = server.http.get_as(token, "/users/enable_2fa").await.expect(403);
    assert_eq!(answer.json()["error"], "wrong_client");
}

#[tokio::test]
async fn origins_that_the_setting_lists_manage_the_account_and_allowed_origins_do_not() {
    let settings = [("SERVER__ACCOUNT_ORIGINS", "https://own.example"), ("SERVER__ALLOWED_ORIGINS", SHOP)];
    let server = Server::start(&settings).await;
    server.proven_person("ann").await;
    let token = log_in(&server, "thin", Some("https://own.example"), None).await;
    let token = token["token"].as_str().unwrap().to_owned();
    assert_eq!(claims(&token)["client_id"], "readylogin");
    Person::known(&server.http, "p", ANN).bind_with(&server, token).await;
    let proof = log_in(&server, "new@example.org", Some(SHOP), None).await;
    assert_eq!(claims(proof["token"].as_str().unwrap())["client_id"], SHOP);
    // Cookie sessions are this service's own: their surface has a list of origins itself.
    let body = json!({"name": "Ben", "email": "ben@example.org", "password": PASSWORD});
    let request = server.http.request("POST", "/api/auth/sign-up/email").header("origin", SHOP);
    let made = Answer::read(request.json(&body).send().await.unwrap()).await.expect(200);
    let session = made.header("set-auth-token").to_owned();
    let enable = json!({"password": PASSWORD, "method": "otp"});
    server.http.post_as(&session, "/api/auth/two-factor/enable", &enable).await.expect(200);
}
