//! Tokens that were made for another client than this service manage nothing, and a page of another origin gets no others.

use serde_json::{Value, json};

use crate::harness::{Answer, PASSWORD, Person, Server, claims, current_device, refused};

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

#[tokio::test]
async fn a_token_of_another_client_manages_nothing_on_any_surface() {
    let server = Server::start(&[]).await;
    let ann = server.proven_person("ann").await;
    let token = of_shop(&server).await;
    let device = current_device(&server.http, &token).await;
    let other = current_device(&server.http, &ann.token).await;
    let own = claims(&ann.token)["sid"].as_str().unwrap().to_owned();
    let password = json!({"password": PASSWORD});
    let change = json!({"password": PASSWORD, "new_password": "another horse entirely"});
    for (method, path, body) in [
        ("POST", "/2fa/method/mobile", json!({"method_2fa": "MOBILE", "trusted_device_id": device})),
        ("POST", &format!("/dashboard/2fa/device/{device}"), json!({})),
        ("DELETE", &format!("/dashboard/2fa/device/{device}"), Value::Null),
        ("POST", "/2fa/method/email", json!({"method_2fa": "EMAIL"})),
        ("POST", "/2fa/method/third_party/generate", json!({})),
        ("POST", "/2fa/method/third_party", json!({"token": "123456"})),
        ("POST", "/auth/creation_backup_code", json!({})),
        ("DELETE", "/dashboard/2fa/EMAIL", Value::Null),
        ("DELETE", "/dashboard/2fa/trusted/1", Value::Null),
        ("DELETE", &format!("/dashboard/device/{other}"), Value::Null),
        ("POST", "/dashboard/password", change),
        ("POST", "/dashboard/export", password.clone()),
        ("DELETE", "/dashboard/account", Value::Null),
        ("DELETE", &format!("/api/v1/auth/sessions/{own}"), Value::Null),
        ("POST", "/api/v1/auth/logout?all=true", Value::Null),
        ("GET", "/users/enable_2fa", Value::Null),
    ] {
        let body = Some(&body).filter(|body| !body.is_null());
        let answer = server.http.send(method, path, Some(&token), body).await.expect(403);
        assert_eq!(answer.json()["error"], "wrong_client", "{path}: {answer:?}");
    }
    for (path, body) in [
        ("enable", password.clone()),
        ("enable", json!({"password": PASSWORD, "method": "otp"})),
        ("get-totp-uri", password.clone()),
        ("generate-backup-codes", password.clone()),
        ("disable", password.clone()),
        ("send-otp", json!({})),
    ] {
        let path = format!("/api/auth/two-factor/{path}");
        let answer = server.http.post_as(&token, &path, &body).await;
        assert_eq!(refused(answer, 403), "WRONG_CLIENT", "{path}");
    }
    // Nothing of it happened, and the password was tried nowhere.
    server.http.get_as(&ann.token, "/dashboard/devices").await.expect(200);
    assert_eq!(ann.post("login", &json!({})).await.expect(200).json().get("Methods"), None);
    let bind = json!({"method_2fa": "MOBILE", "trusted_device_id": other});
    server.http.post_as(&ann.token, "/2fa/method/mobile", &bind).await.expect(200);
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
    let device = current_device(&server.http, &token).await;
    server.http.delete_as(&token, &format!("/dashboard/device/{device}")).await.expect(200);
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
    let bind =
        json!({"method_2fa": "MOBILE", "trusted_device_id": current_device(&server.http, token).await});
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
