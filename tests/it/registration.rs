//! Which kinds strangers may register as, and what tokens say of an address that nobody has proven.

use serde_json::{Value, json};

use crate::harness::{Answer, Browser, PASSWORD, Person, Server, claims, refused};

async fn register(server: &Server, kind: &str) -> Answer {
    let body = json!({"email": "ann@example.org", "password": PASSWORD});
    server.http.post(&format!("/auth/{kind}/register"), &body).await
}

async fn sign_up(server: &Server, email: &str, kind: Option<&str>) -> Answer {
    let mut body = json!({"name": "Ann", "email": email, "password": PASSWORD});
    if let Some(kind) = kind {
        body["type"] = json!(kind);
    }
    Browser::new(server).post("/sign-up/email", &body).await
}

async fn create(server: &Server, email: &str, kind: Option<&str>) -> Answer {
    let proof = server.mail_proof(email).await;
    let mut body = json!({"password": PASSWORD});
    if let Some(kind) = kind {
        body["type"] = json!(kind);
    }
    server.http.mail_auth("create-account", &proof, &body).await
}

#[tokio::test]
async fn open_registration_is_for_the_first_kind_alone_on_every_surface() {
    let server = Server::start(&[("ACCOUNTS__REGISTRATION", "open")]).await;
    for kind in ["a", "d"] {
        assert_eq!(register(&server, kind).await.refusal(403), "registration is closed");
        let refusal = refused(sign_up(&server, "ben@example.org", Some(kind)).await, 400);
        assert_eq!(refusal, "EMAIL_PASSWORD_SIGN_UP_DISABLED");
        assert_eq!(
            create(&server, "cleo@example.org", Some(kind)).await.refusal(403),
            "registration is closed"
        );
    }
    register(&server, "p").await.token();
    sign_up(&server, "ben@example.org", None).await.expect(200);
    let made = create(&server, "cleo@example.org", None).await.token();
    assert_eq!(claims(&made)["patient"], "cleo@example.org");
}

#[tokio::test]
async fn a_list_opens_these_kinds_and_no_other() {
    let server = Server::start(&[("ACCOUNTS__REGISTRATION", "d, a")]).await;
    register(&server, "p").await.expect(403);
    register(&server, "d").await.token();
    assert_eq!(
        refused(sign_up(&server, "ben@example.org", Some("p")).await, 400),
        "EMAIL_PASSWORD_SIGN_UP_DISABLED"
    );
    sign_up(&server, "ben@example.org", Some("a")).await.expect(200);
    // Who names none gets the first that is open.
    let made = create(&server, "cleo@example.org", None).await.token();
    assert_eq!(claims(&made)["doctor"], "cleo@example.org");
    let settings = server.http.get("/settings.json").await.expect(200).json();
    assert_eq!(
        (&settings["registration"], &settings["registrationKinds"]),
        (&json!("open"), &json!(["d", "a"]))
    );
}

/// What a token says of its address.
fn verified(token: &str) -> Value {
    claims(token)["email_verified"].clone()
}

#[tokio::test]
async fn tokens_say_whether_the_address_is_proven_when_they_are_signed() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    assert_eq!(verified(&ann.token), json!(false));
    let login = json!({"identifier": ann.email, "password": PASSWORD});
    let paired = server.http.post("/api/v1/auth/login", &login).await.expect(200).json();
    assert_eq!(verified(paired["access_token"].as_str().unwrap()), json!(false));
    let mut phone = ann.bind_phone(&server).await;
    ann.turn_mail_on(&server, &phone.token).await;
    let verify = json!({"identifier": ann.email, "password": PASSWORD, "otp": ann.login_code(&server).await});
    let paired = server.http.post("/api/v1/auth/2fa/verify", &verify).await.expect(200).json();
    assert_eq!(
        verified(paired["access_token"].as_str().unwrap()),
        json!(true),
        "the very code that proves it"
    );
    // Sessions of before: refreshed, and renewed on a socket.
    let refresh = json!({"refresh_token": paired["refresh_token"]});
    let renewed = server.http.post("/api/v1/auth/refresh", &refresh).await.expect(200).json();
    assert_eq!(verified(renewed["access_token"].as_str().unwrap()), json!(true));
    assert_eq!(verified(&phone.token), json!(false));
    let ready = phone.socket.call(&json!({"action": "ready", "authToken": phone.token})).await;
    assert_eq!(verified(ready["token"].as_str().unwrap()), json!(true));
    let made = create(&server, "cleo@example.org", None).await.token();
    assert_eq!(verified(&made), json!(true));
    let vouched = crate::device_login::added(&server, "p", "dora@example.org", &[]).await;
    assert_eq!(verified(&vouched.post("login", &json!({})).await.token()), json!(false));
    Person::known(&server.http, "p", "cleo@example.org").post("login", &json!({})).await.token();
}

#[tokio::test]
async fn names_that_a_stranger_chose_hold_no_link() {
    let server = Server::start(&[]).await;
    let ann = server.proven_person("ann").await;
    let lure = "win at https://evil.example/x";
    let device = json!({"name_device": lure, "device_os": "evil.example", "browser": "www.evil.example",
        "location": "mailto:x@evil.example", "device_type": "evil.example"});
    let token = ann.post("login", &device).await.token();
    let mut phone = ann.bind_with(&server, token).await;
    let devices = server.http.get_as(&phone.token, "/dashboard/devices").await.expect(200).text;
    let mut browser = server.socket().await;
    let wait = json!({"action": "readyLogin", "os": "evil.example", "browser": lure, "location": "www.evil.example"});
    let uuid = browser.call(&wait).await["uuid"].clone();
    browser.call(&ann.ask_frame(&uuid)).await;
    let ask = phone.socket.expect("ask_mobile_connection").await.to_string();
    let letters = crate::harness::letters_to(&server, &ann.email).await;
    let letter =
        letters.iter().find(|letter| letter.text.contains("win at")).expect("a letter with the name");
    for text in [&devices, &ask, &letter.raw] {
        for link in ["evil.example", "www.", "https:", "://", "mailto:"] {
            assert!(!text.contains(link), "{link} in {text}");
        }
    }
}
