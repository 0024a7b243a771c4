//! Tokens that nobody but the server could have made are the only ones that it takes.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::harness::{Http, Server};

/// A P-256 key pair that no server knows: PKCS #8 and its point.
struct Stranger {
    pkcs8: Vec<u8>,
    point: Vec<u8>,
}

impl Stranger {
    fn new() -> Self {
        use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING as ALG, EcdsaKeyPair, KeyPair as _};
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ALG, &aws_lc_rs::rand::SystemRandom::new()).unwrap();
        let point = EcdsaKeyPair::from_pkcs8(&ALG, pkcs8.as_ref()).unwrap().public_key().as_ref().to_vec();
        Self { pkcs8: pkcs8.as_ref().to_vec(), point }
    }

    fn key(&self) -> EncodingKey {
        EncodingKey::from_ec_der(&self.pkcs8)
    }

    fn jwk(&self, kid: &str) -> Value {
        let [x, y] = [&self.point[1..33], &self.point[33..]].map(|half| URL_SAFE_NO_PAD.encode(half));
        json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": kid, "use": "sig", "alg": "ES256"})
    }
}

fn part(token: &str, at: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(at).unwrap()).unwrap()).unwrap()
}

fn base64url(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A token with this header and these claims, signed over by ES256 as the header may or may not say.
fn signed(header: &Value, claims: &Value, key: &EncodingKey) -> String {
    let message = format!("{}.{}", base64url(header), base64url(claims));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, Algorithm::ES256).unwrap();
    format!("{message}.{signature}")
}

async fn jwks(http: &Http) -> Vec<Value> {
    http.get("/.well-known/jwks.json").await.expect(200).json()["keys"].as_array().unwrap().clone()
}

async fn check(http: &Http, token: &str, status: u16, what: &str) {
    let answer = http.request("GET", "/dashboard/devices").bearer_auth(token).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), status, "{what}");
}

#[tokio::test]
async fn tokens_that_others_made_are_refused() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    let (http, claims) = (&server.http, part(&ann.token, 1));
    let (header, stranger) = (part(&ann.token, 0), Stranger::new());
    let kid = header["kid"].as_str().unwrap();
    check(http, &ann.token, 200, "the token itself").await;

    let body = base64url(&claims);
    for alg in ["none", "None", "NONE", ""] {
        let none = base64url(&json!({"alg": alg, "typ": "at+jwt", "kid": kid}));
        let [_, _, signature] = ann.token.split('.').collect::<Vec<_>>().try_into().unwrap();
        for end in ["", signature] {
            check(http, &format!("{none}.{body}.{end}"), 401, alg).await;
        }
        check(http, &format!("{none}.{body}"), 401, "two parts").await;
    }
    check(http, &signed(&header, &claims, &stranger.key()), 401, "another key under our kid").await;
    let own_kid = json!({"alg": "ES256", "typ": "at+jwt", "kid": "stranger"});
    check(http, &signed(&own_kid, &claims, &stranger.key()), 401, "an unknown kid").await;
    let no_kid = json!({"alg": "ES256", "typ": "at+jwt"});
    check(http, &signed(&no_kid, &claims, &stranger.key()), 401, "no kid").await;

    // The public key as an HMAC secret, in the forms in which it may lie about.
    let public = &jwks(http).await[0];
    let coordinates = ["x", "y"].map(|half| URL_SAFE_NO_PAD.decode(public[half].as_str().unwrap()).unwrap());
    let point = [vec![4], coordinates.concat()].concat();
    for secret in
        [point.clone(), point[1..].to_vec(), public.to_string().into_bytes(), kid.as_bytes().to_vec()]
    {
        let mut hs = Header::new(Algorithm::HS256);
        (hs.typ, hs.kid) = (Some("at+jwt".to_owned()), Some(kid.to_owned()));
        let forged = jsonwebtoken::encode(&hs, &claims, &EncodingKey::from_secret(&secret)).unwrap();
        check(http, &forged, 401, "HS256 with the public key").await;
    }
}

#[tokio::test]
async fn a_header_that_brings_or_names_a_key_is_refused() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    let (http, claims, stranger) = (&server.http, part(&ann.token, 1), Stranger::new());
    let (header, own) = (part(&ann.token, 0), own_key(&server).await);
    let jwk = stranger.jwk(header["kid"].as_str().unwrap());
    for (name, value) in [
        ("jwk", jwk.clone()),
        ("jku", json!("https://example.org/jwks.json")),
        ("x5u", json!("https://example.org/cert.pem")),
        ("x5c", json!(["AAAA"])),
        ("crit", json!(["exp"])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("typ", json!("JWT")),
        ("typ", json!("dpop+jwt")),
        ("typ", Value::Null),
        ("kid", json!("../../seal.key")),
        ("kid", json!("' OR 1=1 --")),
        ("kid", jwk),
        ("alg", json!("ES384")),
        ("alg", json!("EdDSA")),
    ] {
        let mut forged = header.clone();
        forged[name] = value;
        check(http, &signed(&forged, &claims, &stranger.key()), 401, name).await;
        // Not even over the right signature: such a header is none that this server writes.
        check(http, &signed(&forged, &claims, &own), 401, &format!("{name}, rightly signed")).await;
    }
    let twice = header.to_string().replacen('{', "{\"kid\":\"x\",", 1);
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(twice), base64url(&claims));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &own, Algorithm::ES256).unwrap();
    check(http, &format!("{message}.{signature}"), 401, "a kid that stands twice").await;
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    let [head, body, signature] = ann.token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let huge = format!("{head}.{}.{signature}", "A".repeat(8000));
    let other_claims = base64url(&json!({"sub": "x"}));
    for (forged, what) in [
        (String::new(), "nothing"),
        (".".into(), "a dot"),
        ("..".into(), "two dots"),
        (format!("{head}.{body}"), "no signature"),
        (format!("{head}.{body}."), "an empty signature"),
        (format!("{head}..{signature}"), "no claims"),
        (format!(".{body}.{signature}"), "no header"),
        (format!("{head}.{body}.{signature}.x"), "four parts"),
        (format!("{head}.{body}.{}", &signature[..signature.len() - 2]), "half a signature"),
        (format!("{head}.{body}.{}", "A".repeat(signature.len())), "a signature of zeros"),
        (format!("{head}.{body}.{signature}="), "padding"),
        (format!("{head}.{other_claims}.{signature}"), "other claims"),
        (format!("{head}.{}.{signature}", base64url(&json!([1]))), "claims that are no object"),
        (format!("{}.{body}.{signature}", base64url(&json!("x"))), "a header that is no object"),
        (ann.token[1..].to_owned(), "truncated"),
        (ann.token.to_lowercase(), "lower case"),
        (huge, "huge"),
    ] {
        check(&server.http, &forged, 401, what).await;
    }
    for scheme in ["Basic", "DPoP", "Token"] {
        let request = server.http.request("GET", "/dashboard/devices");
        let request = request.header("authorization", format!("{scheme} {}", ann.token));
        assert_eq!(request.send().await.unwrap().status(), 401, "{scheme}");
    }
    let by_query = format!("/dashboard/devices?access_token={}", ann.token);
    server.http.get(&by_query).await.expect(401);
}

/// The server's own signing key, taken from its store and unsealed: with it, only the claims can be wrong.
async fn own_key(server: &Server) -> EncodingKey {
    let setting = |name: &str| {
        let found = server.settings().iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.clone()).unwrap()
    };
    let seal =
        STANDARD.decode(std::fs::read_to_string(setting("READYLOGIN_KEYS__SEAL_FILE")).unwrap().trim());
    let cipher = XChaCha20Poly1305::new_from_slice(&seal.unwrap()).unwrap();
    let (_, sealed) = crate::harness::signing_keys(server).await.pop().unwrap();
    let (nonce, msg) = sealed.as_deref().unwrap().split_at(24);
    let private = cipher.decrypt(XNonce::from_slice(nonce), Payload { msg, aad: b"signing key" }).unwrap();
    EncodingKey::from_ec_der(&private)
}

#[tokio::test]
async fn claims_that_are_wrong_or_missing_are_refused_though_the_signature_is_right() {
    let server = Server::start(&[]).await;
    let (ann, bob) = (server.person("ann").await, server.person("bob").await);
    let (http, header, claims, key) =
        (&server.http, part(&ann.token, 0), part(&ann.token, 1), own_key(&server).await);
    check(http, &signed(&header, &claims, &key), 200, "the same claims, signed again").await;

    let now = claims["iat"].as_i64().unwrap();
    let bobs = part(&bob.token, 1);
    for (name, value) in [
        ("iss", json!("https://evil.example")),
        ("iss", json!(server.url().to_uppercase())),
        ("aud", json!("another")),
        ("aud", json!([])),
        ("exp", json!(now)),
        ("exp", json!(-1)),
        ("exp", json!("9999999999")),
        ("exp", json!(1e300)),
        ("nbf", json!(now + 60)),
        ("iat", json!(now + 60)),
        ("sub", json!("ann@example.org")),
        ("sub", json!("")),
        ("sub", json!(uuid::Uuid::new_v4())),
        ("sub", bobs["sub"].clone()),
        ("sid", json!(uuid::Uuid::new_v4())),
        ("sid", bobs["sid"].clone()),
        ("account_id", bobs["account_id"].clone()),
        ("account_id", json!(0)),
    ] {
        let mut wrong = claims.clone();
        wrong[name] = value.clone();
        check(http, &signed(&header, &wrong, &key), 401, &format!("{name} {value}")).await;
    }
    for name in ["iss", "aud", "exp", "sub", "sid", "iat", "nbf", "account_id"] {
        let mut missing = claims.clone();
        missing.as_object_mut().unwrap().remove(name);
        check(http, &signed(&header, &missing, &key), 401, name).await;
    }
    for other in [json!([claims]), json!("claims"), json!(1), Value::Null, json!({})] {
        check(http, &signed(&header, &other, &key), 401, "claims of another form").await;
    }
}

#[tokio::test]
async fn a_rightly_signed_token_with_another_subject_is_nobody_s_on_a_socket_either() {
    let server = Server::start(&[]).await;
    let (ann, bob) = (server.person("ann").await, server.person("bob").await);
    let (header, claims, key) = (part(&ann.token, 0), part(&ann.token, 1), own_key(&server).await);
    for subject in [json!(uuid::Uuid::new_v4()), part(&bob.token, 1)["sub"].clone()] {
        let mut wrong = claims.clone();
        wrong["sub"] = subject;
        let ready = json!({"action": "ready", "authToken": signed(&header, &wrong, &key)});
        assert_eq!(server.socket().await.refused(&ready).await, "not_authenticated");
    }
    let ready = json!({"action": "ready", "authToken": signed(&header, &claims, &key)});
    assert_eq!(server.socket().await.call(&ready).await["message"], "Connection ready");
}
