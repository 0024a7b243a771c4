//! Tokens by every algorithm: who can verify them, that none is taken for another, and how a setting is changed.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Validation};
use serde_json::{Value, json};

use crate::harness::{Http, PATIENCE, Person, SealFile, Server, changed, key_rows, run, unseal};

const ALL: [&str; 4] = ["ES256", "EdDSA", "RS256", "HS256"];
/// Tokens that outlive what the tests wait for, under a name that no restart changes.
const LONG: &[(&str, &str)] = &[
    ("JWT__ISSUER", "https://login.example"),
    ("JWT__ACCESS_TTL", "2h"),
    ("JWT__JWKS_MAX_AGE", "1h"),
    ("SESSION__TTL", "30d"),
    ("SERVER__DRAIN", "1s"),
];
/// What a new key waits beside `jwt.jwks_max_age`.
const HOUR: Duration = Duration::from_secs(3600 + 2);

fn part(token: &str, at: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(at).unwrap()).unwrap()).unwrap()
}

fn named(name: &str) -> Algorithm {
    name.parse().unwrap()
}

/// The published keys, none of which holds a secret.
async fn jwks(http: &Http) -> Vec<Value> {
    let set = http.get("/.well-known/jwks.json").await.expect(200).json();
    let keys = set["keys"].as_array().unwrap().clone();
    for key in &keys {
        assert_ne!(key["kty"], "oct", "{key}");
        for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            assert!(key[member].is_null(), "{member} in {key}");
        }
    }
    keys
}

async fn check(http: &Http, token: &str, status: u16, what: &str) {
    let answer = http.get_as(token, "/dashboard/devices").await;
    assert_eq!(answer.status, status, "{what}");
}

/// The claims, if one of these keys is the token's.
fn relying_party(keys: &[Value], token: &str, algorithm: Algorithm) -> Option<Value> {
    let kid = part(token, 0)["kid"].clone();
    let jwk: Jwk = serde_json::from_value(keys.iter().find(|key| key["kid"] == kid)?.clone()).unwrap();
    let mut rules = Validation::new(algorithm);
    rules.set_audience(&["readylogin"]);
    rules.validate_exp = false;
    let key = DecodingKey::from_jwk(&jwk).unwrap();
    jsonwebtoken::decode::<Value>(token, &key, &rules).ok().map(|verified| verified.claims)
}

/// The secrets that the command tells.
async fn secrets(server: &Server) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let told = run(&["keys", "secret", "--yes-show-secret"], server.settings(), folder.path(), "").await;
    assert_eq!(told.code, Some(0), "{told:?}");
    serde_json::from_str::<Value>(&told.stdout).unwrap()["keys"].as_array().unwrap().clone()
}

#[tokio::test]
async fn every_algorithm_signs_what_a_relying_party_verifies() {
    for (name, members) in [
        ("ES256", &["alg", "crv", "kid", "kty", "use", "x", "y"][..]),
        ("EdDSA", &["alg", "crv", "kid", "kty", "use", "x"]),
        ("RS256", &["alg", "e", "kid", "kty", "n", "use"]),
    ] {
        let server = Server::start(&[("JWT__ALGORITHM", name)]).await;
        let ann = server.person("ann").await;
        let keys = jwks(&server.http).await;
        assert_eq!(keys.len(), 1, "{name}");
        assert_eq!(keys[0].as_object().unwrap().keys().collect::<Vec<_>>(), members, "{name}");
        assert_eq!(part(&ann.token, 0), json!({"alg": name, "typ": "at+jwt", "kid": keys[0]["kid"]}));
        let jwk: Jwk = serde_json::from_value(keys[0].clone()).unwrap();
        assert_eq!(jwk.thumbprint(ThumbprintHash::SHA256).unwrap(), keys[0]["kid"].as_str().unwrap());
        assert_eq!(relying_party(&keys, &ann.token, named(name)).expect(name)["patient"], "ann@example.org");
        check(&server.http, &ann.token, 200, name).await;
        if name == "RS256" {
            let modulus = URL_SAFE_NO_PAD.decode(keys[0]["n"].as_str().unwrap()).unwrap();
            assert!(modulus.len() >= 256, "{} bytes", modulus.len());
        }
    }
}

#[tokio::test]
async fn the_secret_of_hs256_is_published_nowhere_and_told_on_demand_alone() {
    let server = Server::start(&[("JWT__ALGORITHM", "HS256")]).await;
    let ann = server.person("ann").await;
    assert!(jwks(&server.http).await.is_empty());
    assert_eq!(part(&ann.token, 0)["alg"], "HS256");
    check(&server.http, &ann.token, 200, "HS256").await;

    let folder = tempfile::tempdir().unwrap();
    let not_asked = run(&["keys", "secret"], server.settings(), folder.path(), "").await;
    assert_eq!((not_asked.code, not_asked.stdout.as_str()), (Some(2), ""), "{not_asked:?}");
    assert!(not_asked.stderr.contains("--yes-show-secret"), "{not_asked:?}");
    let told = secrets(&server).await;
    assert_eq!(relying_party(&told, &ann.token, Algorithm::HS256).unwrap()["patient"], "ann@example.org");
    let secret = URL_SAFE_NO_PAD.decode(told[0]["k"].as_str().unwrap()).unwrap();
    assert_eq!(secret.len(), 32);
    // In the store it is sealed, and the row's other columns know nothing of it.
    let [(kid, _, public, sealed, _)] = key_rows(server.settings()).await.try_into().unwrap();
    assert!(public.is_empty());
    assert!(!sealed.unwrap().windows(32).any(|bytes| bytes == secret));
    let members = format!("{{\"k\":{},\"kty\":\"oct\"}}", told[0]["k"]);
    for input in [secret.as_slice(), members.as_bytes()] {
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, input);
        assert!(!URL_SAFE_NO_PAD.encode(hash).contains(&kid), "the kid is a hash of the secret");
    }

    let other = Server::start(&[]).await;
    let none = run(&["keys", "secret", "--yes-show-secret"], other.settings(), folder.path(), "").await;
    assert_eq!((none.code, none.stdout.as_str()), (Some(1), ""), "{none:?}");
}

/// The algorithm that a login's token is signed by.
async fn alg(person: &Person, server: &Server) -> Value {
    part(&person.at(server).post("login", &json!({})).await.token(), 0)["alg"].clone()
}

/// The newest signing key, unsealed.
async fn own_private(server: &Server) -> Vec<u8> {
    let (_, _, _, sealed, _) = key_rows(server.settings()).await.pop().unwrap();
    unseal(&SealFile::of(server.settings()).keys()[0], "signing key", &sealed.unwrap()).unwrap()
}

fn encoding(algorithm: Algorithm, private: &[u8]) -> EncodingKey {
    match algorithm {
        Algorithm::ES256 => EncodingKey::from_ec_der(private),
        Algorithm::EdDSA => EncodingKey::from_ed_der(private),
        Algorithm::RS256 | Algorithm::RS512 | Algorithm::PS256 => EncodingKey::from_rsa_der(private),
        _ => EncodingKey::from_secret(private),
    }
}

/// A token whose header says `alg` and whose signature is by `algorithm`.
fn signed(alg: &str, kid: &str, claims: &Value, algorithm: Algorithm, key: &EncodingKey) -> String {
    let header = json!({"alg": alg, "typ": "at+jwt", "kid": kid}).to_string();
    let message =
        format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, algorithm).unwrap();
    format!("{message}.{signature}")
}

/// The public key in every form in which it lies about: JWK, its members, DER, PEM.
fn public_forms(jwk: &Value, public: &[u8], kid: &str) -> Vec<Vec<u8>> {
    let mut forms = vec![jwk.to_string().into_bytes(), public.to_vec(), kid.as_bytes().to_vec(), Vec::new()];
    for member in ["x", "y", "n"].iter().filter_map(|name| jwk[name].as_str()) {
        forms.extend([member.as_bytes().to_vec(), URL_SAFE_NO_PAD.decode(member).unwrap()]);
    }
    // SubjectPublicKeyInfo (RFC 5280 §4.1): of P-256 and Ed25519 a fixed head before the point; of RSA by aws-lc-rs.
    let head: &[u8] = match jwk["kty"].as_str() {
        Some("EC") => b"0Y0\x13\x06\x07*\x86H\xce=\x02\x01\x06\x08*\x86H\xce=\x03\x01\x07\x03B\0",
        Some("OKP") => b"0*0\x05\x06\x03+ep\x03!\0",
        _ => b"0\x82\x01\"0\r\x06\t*\x86H\x86\xf7\r\x01\x01\x01\x05\0\x03\x82\x01\x0f\0",
    };
    for (label, der) in [("PUBLIC KEY", [head, public].concat()), ("RSA PUBLIC KEY", public.to_vec())] {
        let lines: Vec<_> = STANDARD
            .encode(&der)
            .into_bytes()
            .chunks(64)
            .map(|l| String::from_utf8(l.to_vec()).unwrap())
            .collect();
        let pem = format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"));
        forms.extend([der, pem.trim_end().as_bytes().to_vec(), pem.into_bytes()]);
    }
    forms
}

#[tokio::test]
async fn no_algorithm_is_taken_for_another() {
    for own in ALL {
        let server = Server::start(&[("JWT__ALGORITHM", own)]).await;
        let ann = server.person("ann").await;
        let (http, claims, private) = (&server.http, part(&ann.token, 1), own_private(&server).await);
        let kid = part(&ann.token, 0)["kid"].as_str().unwrap().to_owned();
        let key = encoding(named(own), &private);
        check(http, &signed(own, &kid, &claims, named(own), &key), 200, "the same claims, signed again")
            .await;
        // The right key under another name, and the right name over another way to sign with it.
        for alg in
            ["none", "None", "", "HS256", "HS384", "HS512", "ES256", "ES384", "EdDSA", "RS256", "PS256"]
        {
            if alg != own {
                check(http, &signed(alg, &kid, &claims, named(own), &key), 401, &format!("{own} as {alg}"))
                    .await;
            }
        }
        let others: &[Algorithm] = match own {
            "HS256" => &[Algorithm::HS384, Algorithm::HS512],
            "RS256" => &[Algorithm::RS512, Algorithm::PS256],
            _ => &[],
        };
        for other in others {
            let key = encoding(*other, &private);
            for alg in [own.to_owned(), format!("{other:?}")] {
                check(http, &signed(&alg, &kid, &claims, *other, &key), 401, &format!("{other:?} as {alg}"))
                    .await;
            }
        }
        let public = jwks(http).await.into_iter().next().unwrap_or_else(|| json!({"kid": kid}));
        let (_, _, bytes, _, _) = key_rows(server.settings()).await.pop().unwrap();
        for form in public_forms(&public, &bytes, &kid) {
            let key = EncodingKey::from_secret(&form);
            for alg in ["HS256", own] {
                let forged = signed(alg, &kid, &claims, Algorithm::HS256, &key);
                check(http, &forged, 401, &format!("HMAC by {} bytes of public key", form.len())).await;
            }
        }
    }
}

#[tokio::test]
async fn a_key_verifies_nothing_under_the_name_of_another() {
    let mut server = Server::start(LONG).await;
    let mut tokens = vec![server.person("ann").await.token];
    for other in &ALL[1..] {
        server.restart_with(&[("JWT__ALGORITHM", other)]).await;
        server.clock.advance(HOUR);
        tokens.push(server.person(other).await.token);
    }
    let seal = SealFile::of(server.settings()).keys()[0].clone();
    let rows = key_rows(server.settings()).await;
    assert_eq!(rows.iter().map(|row| row.1.as_str()).collect::<Vec<_>>(), ALL);
    let claims = part(&tokens[3], 1);
    for (own, (kid, algorithm, _, sealed, _)) in rows.iter().enumerate() {
        let key =
            encoding(named(algorithm), &unseal(&seal, "signing key", sealed.as_ref().unwrap()).unwrap());
        for (other, (other_kid, other_algorithm, ..)) in rows.iter().enumerate() {
            let status = if own == other { 200 } else { 401 };
            let forged = signed(algorithm, other_kid, &claims, named(algorithm), &key);
            check(&server.http, &forged, status, &format!("{algorithm} by the name of {other_algorithm}"))
                .await;
            let forged = signed(other_algorithm, kid, &claims, named(algorithm), &key);
            check(&server.http, &forged, status, &format!("{algorithm} that says {other_algorithm}")).await;
        }
    }
}

#[tokio::test]
async fn another_algorithm_is_published_before_it_signs_and_old_tokens_stay_good() {
    let mut server = Server::start(LONG).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let bob = server.person("bob").await;
    for (next, previous) in [("EdDSA", "ES256"), ("RS256", "EdDSA"), ("ES256", "RS256")] {
        let before = bob.at(&server).post("login", &json!({})).await.token();
        let published = jwks(&server.http).await.len();
        server.restart_with(&[("JWT__ALGORITHM", next)]).await;
        let keys = jwks(&server.http).await;
        assert_eq!((keys.len(), &keys.last().unwrap()["alg"]), (published + 1, &json!(next)), "{keys:?}");

        assert_eq!(alg(&bob, &server).await, previous);
        server.clock.advance(HOUR - Duration::from_secs(1));
        assert_eq!(alg(&bob, &server).await, previous);
        server.clock.advance(Duration::from_secs(1));
        assert_eq!(alg(&bob, &server).await, next);
        check(&server.http, &before, 200, &format!("{previous} after the change to {next}")).await;
        let token = bob.at(&server).post("login", &json!({})).await.token();
        assert!(relying_party(&jwks(&server.http).await, &token, named(next)).is_some());
        // A day later the old key has signed its last token; when that has expired it is not published any more.
        server.clock.advance(Duration::from_secs(25 * 3600));
        server.restart().await;
        let kid = part(&before, 0)["kid"].as_str().unwrap().to_owned();
        let rows = key_rows(server.settings()).await;
        let (_, _, _, sealed, retired) = rows.iter().find(|row| row.0 == kid).unwrap();
        assert!(sealed.is_none() && *retired == 1, "{previous} keeps its private half");
        server.clock.advance(HOUR * 2);
        assert!(jwks(&server.http).await.iter().all(|key| key["kid"] != kid));
        assert_eq!(alg(&bob, &server).await, next);
        // The phone has kept its first token.
        phone.reconnect(&server).await;
        let (mut browser, uuid) = ann.at(&server).asking_browser(&server).await;
        phone.answer(&uuid, true).await;
        browser.expect_code().await;
    }
}

#[tokio::test]
async fn a_secret_that_signs_no_more_still_verifies() {
    let settings = [LONG, &[("JWT__ALGORITHM", "HS256")]].concat();
    let mut server = Server::start(&settings).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let old = part(&phone.token, 0)["kid"].clone();
    server.restart_with(&[("JWT__ALGORITHM", "EdDSA")]).await;
    server.clock.advance(HOUR + Duration::from_secs(25 * 3600));
    server.restart().await;
    let [(kid, algorithm, _, sealed, retired), _] = key_rows(server.settings()).await.try_into().unwrap();
    assert_eq!((json!(kid), algorithm.as_str(), retired), (old.clone(), "HS256", 1));
    assert!(sealed.is_some(), "without it the phone's first token is lost");
    phone.reconnect(&server).await;
    let (mut browser, uuid) = ann.at(&server).asking_browser(&server).await;
    phone.answer(&uuid, true).await;
    let token = ann.at(&server).exchange(&browser.expect_code().await).await.token();
    assert_eq!(part(&token, 0)["alg"], "EdDSA");
    // Back again: what has signed its last token does not begin anew.
    server.restart_with(&[("JWT__ALGORITHM", "HS256")]).await;
    server.clock.advance(HOUR);
    let token = server.person("bob").await.token;
    assert_eq!(part(&token, 0)["alg"], "HS256");
    assert_ne!(part(&token, 0)["kid"], old);
}

#[tokio::test]
async fn nodes_with_different_algorithms_take_each_others_tokens() {
    let one = Server::start(LONG).await;
    let other = one.twin_with(&[("JWT__ALGORITHM", "EdDSA")]).await;
    let ann = one.person("ann").await;
    assert_eq!(
        part(&ann.at(&other).post("login", &json!({})).await.token(), 0)["alg"],
        "ES256",
        "not yet due"
    );
    one.clock.advance(HOUR);
    let noticed = async {
        while jwks(&one.http).await.len() < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, noticed).await.expect("the key is noticed");
    for _ in 0..2 {
        let [es, ed] =
            [ann.at(&one).post("login", &json!({})).await, ann.at(&other).post("login", &json!({})).await];
        let [es, ed] = [es.token(), ed.token()];
        assert_eq!([&part(&es, 0)["alg"], &part(&ed, 0)["alg"]], ["ES256", "EdDSA"]);
        for node in [&one, &other] {
            check(&node.http, &es, 200, "ES256").await;
            check(&node.http, &ed, 200, "EdDSA").await;
            assert!(relying_party(&jwks(&node.http).await, &ed, Algorithm::EdDSA).is_some());
        }
        // Whoever starts again finds its key.
        one.twin().await;
        other.twin().await;
    }
    assert_eq!(key_rows(one.settings()).await.len(), 2);
}

#[tokio::test]
async fn many_nodes_that_start_at_once_make_one_key() {
    let server = Server::start(LONG).await;
    for next in ["EdDSA", "HS256"] {
        let change = [("JWT__ALGORITHM", next)];
        let start = || server.twin_with(&change);
        tokio::join!(start(), start(), start(), start());
        let rows = key_rows(server.settings()).await;
        assert_eq!(rows.iter().filter(|row| row.1 == next).count(), 1, "{next}");
    }
}

#[tokio::test]
async fn one_key_of_an_algorithm_waits_at_a_time() {
    let server = Server::start(&[]).await;
    let folder = tempfile::tempdir().unwrap();
    let other = changed(server.settings(), &[("JWT__ALGORITHM", "EdDSA")]);
    // A command with another setting brings that algorithm's first key, and it waits.
    for (settings, code, algorithms) in [
        (server.settings(), 0, &["ES256", "ES256"][..]),
        (server.settings(), 1, &["ES256", "ES256"]),
        (&other, 1, &["ES256", "ES256", "EdDSA"]),
    ] {
        let done = run(&["keys", "rotate"], settings, folder.path(), "").await;
        let rows = key_rows(server.settings()).await;
        assert_eq!(rows.iter().map(|row| row.1.as_str()).collect::<Vec<_>>(), algorithms, "{done:?}");
        assert_eq!(done.code, Some(code), "{done:?}");
        let told = if code == 0 { &done.stdout } else { &done.stderr };
        assert!(told.contains(&rows.last().unwrap().0), "{done:?}");
        assert_eq!(told.contains("waits already, signs from"), code == 1, "{done:?}");
    }
}
