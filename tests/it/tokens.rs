//! Access tokens: what they claim, who can verify them, when they end, and that no secret is in a log.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use readylogin::clock::Clock;
use serde_json::{Value, json};

use crate::harness::{
    Http, PASSWORD, PATIENCE, Person, Process, Server, all_settings, run, signing_keys, store_url,
};

fn part(token: &str, at: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(at).unwrap()).unwrap()).unwrap()
}

async fn jwks(http: &Http) -> Vec<Value> {
    http.get("/.well-known/jwks.json").await.expect(200).json()["keys"].as_array().unwrap().clone()
}

async fn check(http: &Http, token: &str, status: u16, what: &str) {
    let answer = http.request("GET", "/dashboard/devices").bearer_auth(token).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), status, "{what}");
}

/// What a relying party does: the key by its `kid` from the published set, then RFC 9068 §4.
fn relying_party(keys: &[Value], token: &str, issuer: &str) -> Value {
    let kid = part(token, 0)["kid"].clone();
    let key = keys.iter().find(|key| key["kid"] == kid).expect("the key is published");
    let key =
        DecodingKey::from_ec_components(key["x"].as_str().unwrap(), key["y"].as_str().unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_issuer(&[issuer]);
    validation.set_audience(&["readylogin"]);
    validation.validate_exp = false;
    jsonwebtoken::decode::<Value>(token, &key, &validation).expect("the signature is right").claims
}

#[tokio::test]
async fn a_relying_party_verifies_a_token_by_the_published_keys() {
    let server = Server::start(&[]).await;
    let doctor = server.person_of("d", "ann").await;
    let answer = server.http.get("/.well-known/jwks.json").await.expect(200);
    assert_eq!(answer.header("cache-control"), "public, max-age=300");
    assert_eq!(answer.header("content-type"), "application/jwk-set+json");
    let keys = jwks(&server.http).await;
    assert_eq!(keys.len(), 1);
    let members: Vec<_> = keys[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x", "y"], "a private half is never published");

    assert_eq!(part(&doctor.token, 0), json!({"alg": "ES256", "typ": "at+jwt", "kid": keys[0]["kid"]}));
    let claims = relying_party(&keys, &doctor.token, server.url());
    assert_eq!(claims["doctor"], "ann@example.org");
    assert_eq!(claims["amr"], json!(["pwd"]));
    assert_eq!(claims["acr"], "urn:readylogin:acr:pwd");
    assert_eq!(claims["auth_time"], claims["iat"]);
    assert_eq!(claims["nbf"], claims["iat"]);
    let login = json!({"client_id": "app", "name_device": "Laptop"});
    let again = relying_party(&keys, &doctor.post("login", &login).await.token(), server.url());
    assert_eq!([&again["client_id"], &again["name_device"]], ["app", "Laptop"]);
    assert_eq!(again["sub"], claims["sub"]);
    for fresh in ["jti", "sid", "device_id"] {
        assert_ne!(again[fresh], claims[fresh], "{fresh}");
    }
}

#[tokio::test]
async fn a_token_ends_with_its_time_its_session_and_its_logout() {
    let server = Server::start(&[("JWT__ACCESS_TTL", "1h"), ("SESSION__TTL", "90m")]).await;
    let ann = server.person("ann").await;
    let other = ann.post("login", &json!({})).await.token();
    server.http.post_as(&other, "/api/v1/auth/logout", &json!({})).await.expect(204);
    check(&server.http, &other, 401, "logged out").await;
    server.http.post_as(&other, "/api/v1/auth/logout", &json!({})).await.expect(401);
    check(&server.http, &ann.token, 200, "the other session").await;
    server.clock.advance(Duration::from_secs(3599));
    check(&server.http, &ann.token, 200, "a second before").await;
    server.clock.advance(Duration::from_secs(1));
    check(&server.http, &ann.token, 401, "expired").await;
}

#[tokio::test]
async fn a_token_never_outlives_its_session() {
    let server = Server::start(&[("JWT__ACCESS_TTL", "1h"), ("SESSION__TTL", "10m")]).await;
    let ann = server.person("ann").await;
    let claims = part(&ann.token, 1);
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 600);
    server.clock.advance(Duration::from_secs(600));
    check(&server.http, &ann.token, 401, "the session is over").await;
}

/// Looks again and again until `found` says what it was looking for.
async fn until<T>(mut found: impl AsyncFnMut() -> Option<T>) -> T {
    let look = async {
        loop {
            if let Some(it) = found().await {
                return it;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, look).await.expect("it comes in time")
}

/// When a node first published `kid`, and when it first signed with it, as uptime of the clock.
async fn watch(node: &Server, ann: &Person, kid: &str) -> [Duration; 2] {
    let ann = ann.at(node);
    let published = until(async || {
        let keys = jwks(&node.http).await;
        keys.iter().any(|key| key["kid"] == kid).then(|| node.clock.uptime())
    })
    .await;
    let signs = until(async || {
        let token = ann.post("login", &json!({})).await.token();
        (part(&token, 0)["kid"] == kid).then(|| node.clock.uptime())
    })
    .await;
    [published, signs]
}

#[tokio::test]
async fn a_new_key_is_published_before_it_signs_and_the_old_one_verifies_on() {
    let settings = [("JWT__JWKS_MAX_AGE", "2s"), ("JWT__ISSUER", "https://login.example")];
    let mut server = Server::start_with(&settings, Clock::system()).await;
    let twin = server.twin().await;
    let ann = server.person("ann").await;
    let folder = tempfile::tempdir().unwrap();
    let done = run(&["keys", "rotate"], server.settings(), folder.path(), "").await;
    assert_eq!(done.code, Some(0), "{done:?}");
    let old_kid = part(&ann.token, 0)["kid"].as_str().unwrap().to_owned();
    let rows = signing_keys(&server).await;
    let (new_kid, _) = rows.iter().find(|(kid, _)| *kid != old_kid).expect("a second key");

    let (here, there) = tokio::join!(watch(&server, &ann, new_kid), watch(&twin, &ann, new_kid));
    for [published, signs] in [here, there] {
        assert!(signs >= published + Duration::from_secs(2), "published {published:?}, signs {signs:?}");
    }
    // Both nodes take both tokens, and a relying party finds both keys.
    let fresh = ann.post("login", &json!({})).await.token();
    assert_eq!(part(&fresh, 0)["kid"], **new_kid);
    for node in [&server, &twin] {
        for token in [&ann.token, &fresh] {
            check(&node.http, token, 200, "either key's token").await;
            relying_party(&jwks(&node.http).await, token, "https://login.example");
        }
    }
    // The next look at the keys destroys the private half that signs no more.
    server.restart().await;
    let rows = signing_keys(&server).await;
    let private = |kid: &str| rows.iter().find(|(k, _)| k == kid).unwrap().1.as_ref();
    assert!(private(&old_kid).is_none_or(Vec::is_empty) && private(new_kid).is_some());
    check(&server.http, &ann.token, 200, "an old token after the restart").await;
    assert_eq!(part(&ann.at(&server).post("login", &json!({})).await.token(), 0)["kid"], **new_kid);
}

#[tokio::test]
async fn no_secret_is_in_the_log_however_much_is_logged() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_url(folder.path()).await;
    let settings = all_settings(&[("LOG__LEVEL", "trace"), ("SERVER__DRAIN", "1s")], &store, folder.path());
    let log = folder.path().join("log");
    let process = Process::start_logging(&["serve"], &settings, folder.path(), &log).await;
    let ann = Person::register(&process.http, "p", "ann@example.org").await;
    let wrong = json!({"password": "a wrong password"});
    ann.post("login", &wrong).await.expect(401);
    let mut phone = ann.bind_phone(&process).await;
    let mut browser = process.socket().await;
    let hello = browser.ready_login().await;
    browser.call(&ann.ask_frame(&hello["uuid"])).await;
    phone.answer(&hello["uuid"], true).await;
    let code = browser.expect_code().await;
    let token = ann.exchange(&code).await.token();
    ann.post("backup_code_2fa", &json!({"backup_code": phone.backup_codes[0]})).await.token();
    process.http.get_as(&token, "/dashboard/devices").await.expect(200);
    process.signal("TERM").await;
    process.wait().await;

    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("DEBUG"), "little was logged: {log}");
    let resume = hello["resume"].as_str().unwrap();
    for secret in [PASSWORD, "a wrong password", &code, &token, &phone.token, resume, &phone.backup_codes[0]]
    {
        assert!(!log.contains(secret), "{secret} is in the log");
        // Nor behind what a Debug of bytes or JSON makes of it.
        let signature = secret.rsplit('.').next().unwrap();
        assert!(!log.contains(signature), "{signature} is in the log");
    }
}
